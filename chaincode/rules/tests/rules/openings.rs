//! What opens a link, and what does not.

use crate::support::*;
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::opening::{decide_reading, decide_reading_envelope, require_in_force};
use healthchain_rules::*;

fn to_payer(effect: Effect, scope: Scope) -> Terms {
    terms(Grantee::Organisation(id("payer")), scope, &[Purpose::Payment], effect)
}

#[test]
fn a_payer_without_consent_is_denied() {
    let decided = decision(
        &caller("pia", Role::PayerOfficer),
        &link("l", Category::Summary),
        &book_of(&[]),
        Purpose::Payment,
        NOW,
    );
    assert_eq!(denial(decided), Denial::ConsentRequired);
}

#[test]
fn a_consent_to_the_organisation_opens_through_the_organisations_key() {
    let book = book_of(&[("c1", to_payer(Effect::Permit, everything()))]);
    let pia = caller("pia", Role::PayerOfficer);
    match decision(&pia, &link("l", Category::Summary), &book, Purpose::Payment, NOW) {
        Decision::Permitted { category, provision, recipient, content: found, commitment } => {
            assert_eq!(category, Category::Summary);
            assert_eq!(provision, Provision::Consent(id("c1")));
            assert_eq!(recipient, Recipient { holder: Holder::Organisation(id("payer")), key: key("payer") });
            assert_eq!(found, content());
            assert_eq!(commitment, hash("commitment"));
        }
        Decision::Denied { reason, .. } => panic!("{reason:?}"),
    }
}

#[test]
fn a_key_is_a_members_an_agents_or_nobodys_and_an_openings_envelope_has_a_recipient_if_it_is_permitted() {
    let agent = KeyHolder::Agent { agent: id("bot"), owner: id("carol") };
    assert_eq!(KeyHolder::Member(id("carol")).member(), Some(&id("carol")));
    assert_eq!(agent.member(), Some(&id("bot")));
    assert_eq!(KeyHolder::Gateway(id("hospital")).member(), None);
    let pia = caller("pia", Role::PayerOfficer);
    let book = book_of(&[("c1", to_payer(Effect::Permit, everything()))]);
    let recipient = Recipient { holder: Holder::Organisation(id("payer")), key: key("payer") };
    assert_eq!(opened(&pia, &book, Purpose::Payment).recipient(), Some(&recipient));
    assert_eq!(opened(&pia, &book_of(&[]), Purpose::Payment).recipient(), None);
}

#[test]
fn a_consent_to_one_person_opens_through_the_persons_key_and_to_nobody_else() {
    let terms = terms(Grantee::Member(id("pia")), everything(), &[Purpose::Payment], Effect::Permit);
    let book = book_of(&[("c1", terms)]);
    let summary = link("l", Category::Summary);
    match decision(&caller("pia", Role::PayerOfficer), &summary, &book, Purpose::Payment, NOW) {
        Decision::Permitted { recipient, .. } => assert_eq!(recipient.holder, Holder::Member(id("pia"))),
        Decision::Denied { reason, .. } => panic!("{reason:?}"),
    }
    let colleague = decision(&caller("paul", Role::PayerOfficer), &summary, &book, Purpose::Payment, NOW);
    assert_eq!(denial(colleague), Denial::ConsentRequired);
}

#[test]
fn a_consent_for_one_purpose_permits_no_other() {
    let book = book_of(&[("c1", to_payer(Effect::Permit, everything()))]);
    let decided =
        decision(&caller("pia", Role::PayerOfficer), &link("l", Category::Summary), &book, Purpose::Operations, NOW);
    assert_eq!(denial(decided), Denial::ConsentRequired);
}

#[test]
fn a_consent_to_one_organisation_permits_no_other() {
    let book = book_of(&[("c1", to_payer(Effect::Permit, everything()))]);
    let other = caller_of(organisation("other-payer", OrganisationKind::Payer), "olga", Role::PayerOfficer);
    let decided = decision(&other, &link("l", Category::Summary), &book, Purpose::Payment, NOW);
    assert_eq!(denial(decided), Denial::ConsentRequired);
}

#[test]
fn a_consent_that_names_links_permits_those_alone() {
    let book = book_of(&[("c1", to_payer(Effect::Permit, only(&["named"])))]);
    let pia = caller("pia", Role::PayerOfficer);
    let named = decision(&pia, &link("named", Category::Restricted), &book, Purpose::Payment, NOW);
    assert_eq!(provision(named), Provision::Consent(id("c1")));
    let other = decision(&pia, &link("other", Category::Summary), &book, Purpose::Payment, NOW);
    assert_eq!(denial(other), Denial::ConsentRequired);
}

#[test]
fn a_denial_of_one_link_wins_over_a_permission_of_all() {
    let book = book_of(&[
        ("a-permit", to_payer(Effect::Permit, everything())),
        ("z-deny", to_payer(Effect::Deny, only(&["l"]))),
    ]);
    let decided =
        decision(&caller("pia", Role::PayerOfficer), &link("l", Category::Summary), &book, Purpose::Payment, NOW);
    assert_eq!(
        decided,
        Decision::Denied {
            reason: Denial::PatientDenied,
            exception: Some(Exception::Privacy),
            provision: Some(Provision::Consent(id("z-deny"))),
        }
    );
}

#[test]
fn clinicians_open_for_treatment_without_consent_but_no_restricted_record() {
    for organisation in [hospital(), clinic()] {
        let clinician = caller_of(organisation, "carol", Role::Clinician);
        let open = |category| decision(&clinician, &link("l", category), &book_of(&[]), Purpose::Treatment, NOW);
        assert_eq!(provision(open(Category::Laboratory)), Provision::Rule(Rule::DirectTreatment));
        assert_eq!(denial(open(Category::Restricted)), Denial::ConsentRequired);
    }
}

#[test]
fn a_denial_does_not_tell_a_restricted_record_from_another() {
    let pia = caller("pia", Role::PayerOfficer);
    let ask = |category| {
        let asked = link("l", category);
        let (opening, _) =
            opening::decide_opening(&pia, &asked, &Grounds::default(), Purpose::Payment, hash("t"), NOW).unwrap();
        (OpeningAct::of(&opening), opening)
    };
    let restricted = ask(Category::Restricted);
    assert_eq!(denial(restricted.1.decision.clone()), Denial::ConsentRequired);
    assert_eq!(restricted, ask(Category::Summary));
}

#[test]
fn a_consent_to_categories_covers_restricted_records_only_if_it_says_so() {
    let all_but_restricted = Category::ALL.into_iter().filter(|category| *category != Category::Restricted).collect();
    let scope = Scope::Categories(all_but_restricted);
    let permit = terms(Grantee::Role(Role::Clinician), scope, &[Purpose::Treatment], Effect::Permit);
    let clinician = caller("carol", Role::Clinician);
    let restricted = link("l", Category::Restricted);
    let decided = decision(&clinician, &restricted, &book_of(&[("c", permit)]), Purpose::Treatment, NOW);
    assert_eq!(denial(decided), Denial::ConsentRequired);
}

#[test]
fn a_denial_stops_direct_access_too_even_at_the_publisher() {
    let deny = terms(Grantee::Organisation(id("hospital")), everything(), &[Purpose::Treatment], Effect::Deny);
    let decided = decision(
        &caller("carol", Role::Clinician),
        &link("l", Category::Summary),
        &book_of(&[("c", deny)]),
        Purpose::Treatment,
        NOW,
    );
    assert_eq!(denial(decided), Denial::PatientDenied);
}

#[test]
fn patients_open_their_own_records_whatever_they_denied() {
    let deny = terms(Grantee::Role(Role::Patient), everything(), &Purpose::ALL, Effect::Deny);
    let book = book_of(&[("c", deny)]);
    let decided = decision(&alice(), &link("l", Category::Restricted), &book, Purpose::Personal, NOW);
    assert_eq!(provision(decided), Provision::Rule(Rule::OwnAccess));
}

#[test]
fn patients_do_not_open_the_records_of_others() {
    let decided =
        decision(&caller("bob", Role::Patient), &link("l", Category::Summary), &book_of(&[]), Purpose::Personal, NOW);
    assert_eq!(denial(decided), Denial::ConsentRequired);
}

#[test]
fn a_suspended_member_is_denied_as_a_decision() {
    let decided = decision(
        &suspended(caller("carol", Role::Clinician)),
        &link("l", Category::Summary),
        &book_of(&[]),
        Purpose::Treatment,
        NOW,
    );
    assert_eq!(denial(decided), Denial::MemberSuspended);
}

#[test]
fn a_withdrawn_link_opens_to_nobody() {
    let withdrawn = Link {
        state: LinkState::Withdrawn { by: id("carol"), at: at(-1), reason: id("wrong patient"), superseded_by: None },
        ..link("l", Category::Summary)
    };
    for (caller, purpose) in [(alice(), Purpose::Personal), (caller("carol", Role::Clinician), Purpose::Treatment)] {
        assert_eq!(denial(decision(&caller, &withdrawn, &book_of(&[]), purpose, NOW)), Denial::LinkWithdrawn);
    }
}

#[test]
fn a_consent_acts_from_its_beginning_and_until_before_its_end() {
    let terms = Terms::new(
        Grantee::Organisation(id("payer")),
        everything(),
        [Purpose::Payment].into(),
        Some(at(10)),
        Some(at(20)),
        Effect::Permit,
    )
    .unwrap();
    let book = book_of(&[("c", terms)]);
    let pia = caller("pia", Role::PayerOfficer);
    let is_permitted =
        |when| decision(&pia, &link("l", Category::Claim), &book, Purpose::Payment, at(when)).is_permitted();
    assert_eq!([9, 10, 19, 20].map(is_permitted), [false, true, true, false]);
}

#[test]
fn gateways_open_nothing() {
    let gateway = Caller::Custodian(hospital());
    let refused = opening::decide_opening(
        &gateway,
        &link("l", Category::Summary),
        &Grounds::default(),
        Purpose::Treatment,
        hash("t"),
        NOW,
    );
    assert_eq!(code(refused), RefusalCode::NotPermitted);
}

fn opened(caller: &Caller, book: &ConsentBook, purpose: Purpose) -> Opening {
    opening::decide_opening(caller, &link("l", Category::Summary), &on(book), purpose, hash("t"), NOW).unwrap().0
}

#[test]
fn an_opening_is_known_to_its_opener_and_to_those_who_audit_for_its_parties() {
    let opening = opened(&caller_of(clinic(), "dora", Role::Clinician), &book_of(&[]), Purpose::Treatment);
    let knows = |caller: Caller| decide_reading(&caller, Some(opening.clone()), None).is_ok();
    assert!(knows(caller_of(clinic(), "dora", Role::Clinician)));
    assert!(knows(Caller::Custodian(clinic())));
    assert!(knows(Caller::Custodian(hospital())));
    assert!(knows(caller_of(hospital(), "pam", Role::PrivacyOfficer)));
    assert!(!knows(Caller::Custodian(home(Role::PayerOfficer))));
    assert!(!knows(caller_of(clinic(), "dan", Role::Clinician)));
    assert!(!knows(caller("pia", Role::PayerOfficer)));
    assert!(!knows(suspended(caller_of(clinic(), "dora", Role::Clinician))));
}

#[test]
fn an_openings_envelope_is_for_the_opener_and_the_openers_gateway() {
    let opening = opened(&caller_of(clinic(), "dora", Role::Clinician), &book_of(&[]), Purpose::Treatment);
    let read =
        |caller: Caller| decide_reading_envelope(&caller, Some(opening.clone())).map_err(|refusal| refusal.code());
    assert!(read(caller_of(clinic(), "dora", Role::Clinician)).is_ok());
    assert!(read(Caller::Custodian(clinic())).is_ok());
    assert_eq!(read(Caller::Custodian(hospital())), Err(RefusalCode::NotPermitted));
    assert_eq!(read(caller_of(clinic(), "adam", Role::Administrator)), Err(RefusalCode::NotPermitted));
    assert_eq!(read(Caller::Custodian(home(Role::PayerOfficer))), Err(RefusalCode::UnknownOpening));
}

#[test]
fn an_opening_is_in_force_only_while_it_would_be_permitted_again() {
    let book = book_of(&[("c1", to_payer(Effect::Permit, everything()))]);
    let pia = caller("pia", Role::PayerOfficer);
    let actor = pia.member().unwrap();
    let opening = opened(&pia, &book, Purpose::Payment);
    let summary = link("l", Category::Summary);
    assert!(require_in_force(&opening, actor, &summary, &on(&book), NOW).is_ok());

    let refuses = |opening: &Opening, caller: &Caller, link: &Link, book: &ConsentBook| {
        code(require_in_force(opening, caller.member().unwrap(), link, &on(book), NOW))
            == RefusalCode::OpeningNotInForce
    };
    assert!(refuses(&opening, &pia, &summary, &book_of(&[])), "revoked");
    assert!(refuses(&opening, &suspended(pia.clone()), &summary, &book), "suspended");
    assert!(refuses(&opening, &caller("paul", Role::PayerOfficer), &summary, &book), "somebody else");
    assert!(refuses(&opening, &pia, &link("other", Category::Summary), &book), "another link");
    let next = Link { current: Version { number: 2, ..summary.current.clone() }, ..summary.clone() };
    assert!(refuses(&opening, &pia, &next, &book), "another version");
    let denied = opened(&pia, &book_of(&[]), Purpose::Payment);
    assert!(refuses(&denied, &pia, &summary, &book), "denied at first, permitted since");
}
