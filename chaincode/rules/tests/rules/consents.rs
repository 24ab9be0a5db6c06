//! Granting and revoking consents.

use crate::support::*;
use healthchain_rules::consent::{
    GrantState, GranteeState, RevocationState, decide_grant, decide_reading, decide_reading_one, decide_revocation,
};
use healthchain_rules::*;

fn to_role() -> Terms {
    terms(Grantee::Role(Role::PayerOfficer), everything(), &[Purpose::Payment], Effect::Permit)
}

fn nothing() -> GrantState<'static> {
    GrantState::default()
}

fn standing(consent: Consent, book: ConsentBook) -> RevocationState {
    RevocationState { existing: Some(consent), book, ..RevocationState::default() }
}

fn grant(
    caller: &Caller,
    state: GrantState<'_>,
    terms: Terms,
) -> Result<Outcome<(Consent, ConsentBook), consent::MayGrant>, Refusal> {
    decide_grant(caller, &id("alice"), state, ConsentBook::default(), id("c"), terms, NOW)
}

#[test]
fn terms_name_at_least_one_purpose_and_record_and_end_after_they_begin() {
    let new = |scope, purposes: &[Purpose], from, until| {
        Terms::new(
            Grantee::Role(Role::Clinician),
            scope,
            purposes.iter().copied().collect(),
            from,
            until,
            Effect::Permit,
        )
    };
    assert!(new(everything(), &[Purpose::Payment], Some(at(1)), Some(at(2))).is_ok());
    assert!(new(everything(), &[], None, None).is_err());
    assert!(new(Scope::Categories([].into()), &[Purpose::Payment], None, None).is_err());
    assert!(new(only(&[]), &[Purpose::Payment], None, None).is_err());
    assert!(new(everything(), &[Purpose::Payment], Some(at(2)), Some(at(2))).is_err());
    let names: Vec<String> = (0..33).map(|n| format!("l{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(new(only(&names[..32]), &[Purpose::Payment], None, None).is_ok());
    assert!(new(only(&names), &[Purpose::Payment], None, None).is_err());
}

#[test]
fn only_the_patient_grants_revokes_and_reads_consents() {
    for other in [caller("bob", Role::Patient), caller("carol", Role::Clinician), Caller::Custodian(hospital())] {
        assert_eq!(code(grant(&other, nothing(), to_role())), RefusalCode::NotPermitted);
        assert_eq!(code(decide_reading(&other, &id("alice"), None, NOW)), RefusalCode::NotPermitted);
        let revoked = decide_revocation(&other, &id("alice"), RevocationState::default(), NOW);
        assert_eq!(code(revoked), RefusalCode::NotPermitted);
    }
    assert_eq!(code(grant(&suspended(alice()), nothing(), to_role())), RefusalCode::MemberSuspended);
}

#[test]
fn a_repeated_grant_is_harmless_and_another_one_under_its_id_is_refused() {
    let Ok(Outcome::Decided((consent, book), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let state = GrantState { existing: Some(&consent), ..nothing() };
    let again = decide_grant(&alice(), &id("alice"), state, book.clone(), id("c"), to_role(), at(5));
    assert_eq!(again.unwrap(), Outcome::Repeated((consent.clone(), book)));
    let other = terms(Grantee::Role(Role::Clinician), everything(), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), state, other)), RefusalCode::ConsentExists);
}

#[test]
fn a_revocation_ends_one_consent_and_leaves_the_others() {
    let mut book = ConsentBook::default();
    let mut granted = |name: &str| {
        let outcome = decide_grant(&alice(), &id("alice"), nothing(), book.clone(), id(name), to_role(), NOW);
        let Ok(Outcome::Decided((consent, with), _)) = outcome else { panic!("not new") };
        book = with;
        consent
    };
    let (first, second) = (granted("c1"), granted("c2"));
    let Ok(Outcome::Decided((_, left), _)) = decide_revocation(&alice(), &id("alice"), standing(first, book), at(1))
    else {
        panic!("not new")
    };
    assert_eq!(left.standing(&id("alice"), at(1)), [second]);
}

#[test]
fn a_grant_under_a_revoked_consents_id_is_refused_for_nothing_would_be_in_force() {
    let Ok(Outcome::Decided((consent, book), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let Ok(Outcome::Decided((revoked, book), _)) =
        decide_revocation(&alice(), &id("alice"), standing(consent, book), at(1))
    else {
        panic!("not new")
    };
    let state = GrantState { existing: Some(&revoked), ..nothing() };
    let again = decide_grant(&alice(), &id("alice"), state, book.clone(), id("c"), to_role(), at(2)).unwrap_err();
    assert_eq!(again.code(), RefusalCode::ConsentExists);
    assert!(again.detail().contains("revoked"), "{}", again.detail());
    assert!(book.standing(&id("alice"), at(2)).is_empty());
    let twice = decide_revocation(&alice(), &id("alice"), standing(revoked.clone(), book.clone()), at(3)).unwrap();
    assert_eq!(twice, Outcome::Repeated((revoked, book)));
}

#[test]
fn a_consent_names_only_what_exists_and_is_the_patients() {
    let to = |grantee| terms(grantee, everything(), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), nothing(), to(Grantee::Member(id("x"))))), RefusalCode::UnknownMember);
    assert_eq!(code(grant(&alice(), nothing(), to(Grantee::Organisation(id("x"))))), RefusalCode::UnknownOrganisation);
    let named = || terms(Grantee::Role(Role::PayerOfficer), only(&["l"]), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), nothing(), named())), RefusalCode::UnknownLink);
    let bobs = [Link { patient: id("bob"), ..link("l", Category::Summary) }];
    let state = GrantState { links: &bobs, ..nothing() };
    assert_eq!(code(grant(&alice(), state, named())), RefusalCode::UnknownLink);
}

#[test]
fn a_consent_that_has_ended_already_is_refused() {
    let terms = Terms::new(
        Grantee::Role(Role::PayerOfficer),
        everything(),
        [Purpose::Payment].into(),
        None,
        Some(NOW),
        Effect::Permit,
    );
    assert_eq!(code(grant(&alice(), nothing(), terms.unwrap())), RefusalCode::Malformed);
}

#[test]
fn a_book_is_full_at_256_consents_and_ended_ones_make_room() {
    let mut book = ConsentBook::default();
    for n in 0..256 {
        book = granted(book, &format!("c{n}"), to_role()).unwrap();
    }
    assert_eq!(code(granted(book, "one-more", to_role())), RefusalCode::TooManyConsents);

    let short = Terms::new(
        Grantee::Role(Role::Clinician),
        everything(),
        [Purpose::Research].into(),
        None,
        Some(at(10)),
        Effect::Permit,
    );
    let mut book = granted(ConsentBook::default(), "short", short.unwrap()).unwrap();
    for n in 0..255 {
        book = granted(book, &format!("c{n}"), to_role()).unwrap();
    }
    let later = decide_grant(&alice(), &id("alice"), nothing(), book, id("c255"), to_role(), at(10));
    assert!(matches!(later, Ok(Outcome::Decided(..))));
}

#[test]
fn only_permissions_in_force_name_members_to_seal_to_and_links_to_list() {
    let to = |member: &str, link: &str, effect| {
        terms(Grantee::Member(id(member)), only(&[link]), &[Purpose::Personal], effect)
    };
    let book = book_of(&[("c1", to("pia", "l1", Effect::Permit)), ("c2", to("paul", "l2", Effect::Deny))]);
    assert_eq!(book.permitted_members(NOW), [&id("pia")].into());
    assert_eq!(book.permitted_links(NOW), [&id("l1")].into());
    let later = Terms::new(
        Grantee::Member(id("pia")),
        only(&["l1"]),
        [Purpose::Personal].into(),
        Some(at(1)),
        None,
        Effect::Permit,
    );
    let book = book_of(&[("c1", later.unwrap())]);
    assert!(book.permitted_members(NOW).is_empty() && book.permitted_links(NOW).is_empty());
    assert_eq!(book.permitted_members(at(1)), [&id("pia")].into());
}

#[test]
fn a_book_names_at_most_1024_links() {
    let names: Vec<String> = (0..32).map(|n| format!("l{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let named = || terms(Grantee::Role(Role::PayerOfficer), only(&names), &[Purpose::Payment], Effect::Permit);
    let mut book = ConsentBook::default();
    for n in 0..32 {
        book = granted(book, &format!("c{n}"), named()).unwrap();
    }
    assert_eq!(code(granted(book, "one-more", named())), RefusalCode::TooManyConsents);
}

#[test]
fn another_patients_consent_is_unknown() {
    let Ok(Outcome::Decided((consent, _), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let bob = caller("bob", Role::Patient);
    let revoked = decide_revocation(&bob, &id("bob"), standing(consent.clone(), ConsentBook::default()), NOW);
    assert_eq!(code(revoked), RefusalCode::UnknownConsent);
    let state = GrantState { existing: Some(&consent), ..nothing() };
    let taken = decide_grant(&bob, &id("bob"), state, ConsentBook::default(), id("c"), to_role(), NOW);
    assert_eq!(code(taken), RefusalCode::ConsentExists);
}

#[test]
fn a_consent_to_a_group_names_its_members_while_there_is_such_a_group() {
    let to_group = || terms(Grantee::Group(id("g1")), everything(), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), nothing(), to_group())), RefusalCode::UnknownGroup);
    let grant_to = |group: &Group| {
        let grantee = GranteeState { group: Some(group), ..GranteeState::default() };
        grant(&alice(), GrantState { grantee, ..nothing() }, to_group())
    };
    assert_eq!(code(grant_to(&group("g2"))), RefusalCode::UnknownGroup);
    let dissolved = Group { state: GroupState::Dissolved { at: at(-1) }, ..group("g1") };
    assert_eq!(code(grant_to(&dissolved)), RefusalCode::UnknownGroup);
    let Ok(Outcome::Decided((_, book), _)) = grant_to(&group("g1")) else { panic!("not granted") };

    let opens = |groups: &[&str]| {
        let mut actor = actor("pia", Role::PayerOfficer);
        actor.member.groups = groups.iter().map(|name| (id(name), group(name).privileges)).collect();
        let pia = Caller::Member(Box::new(actor));
        decision(&pia, &link("l", Category::Summary), &book, Purpose::Payment, NOW)
    };
    let Decision::Permitted { recipient, .. } = opens(&["g1", "g2"]) else { panic!("denied") };
    assert_eq!(recipient.holder, Holder::Organisation(id("payer")));
    assert_eq!(denial(opens(&["g2"])), Denial::ConsentRequired);
}

fn gina() -> Caller {
    caller("gina", Role::Guardian)
}

fn delegation(powers: &[Power]) -> Delegation {
    Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: powers.iter().copied().collect(),
        categories: [Category::Summary, Category::Claim].into(),
        from: at(-10),
        until: at(50),
        state: DelegationState::Granted,
    }
}

fn about(grantee: Grantee, scope: Scope, until: Option<LedgerTime>, effect: Effect) -> Terms {
    Terms::new(grantee, scope, [Purpose::Payment].into(), None, until, effect).unwrap()
}

fn summaries() -> Scope {
    Scope::Categories([Category::Summary].into())
}

#[test]
fn a_guardian_grants_within_the_delegation_and_the_consent_says_so() {
    let officers = || Grantee::Role(Role::PayerOfficer);
    let consenting = delegation(&[Power::Consent]);
    let try_with = |delegation: &Delegation, links: &[Link], terms| {
        grant(&gina(), GrantState { delegation: Some(delegation), links, ..nothing() }, terms)
    };
    for effect in [Effect::Permit, Effect::Deny] {
        let granted = try_with(&consenting, &[], about(officers(), summaries(), Some(at(50)), effect));
        let Ok(Outcome::Decided((consent, book), _)) = granted else { panic!("{granted:?}") };
        assert_eq!(consent.by, Decider::Guardian(id("gina")));
        assert_eq!(book.standing(&id("alice"), NOW), [consent]);
    }
    let refused = |terms| code(try_with(&consenting, &[], terms));
    assert_eq!(refused(about(officers(), everything(), Some(at(50)), Effect::Permit)), RefusalCode::NotPermitted);
    assert_eq!(refused(about(officers(), summaries(), Some(at(51)), Effect::Permit)), RefusalCode::NotPermitted);
    assert_eq!(refused(about(officers(), summaries(), Some(at(51)), Effect::Deny)), RefusalCode::NotPermitted);
    assert_eq!(refused(about(officers(), summaries(), None, Effect::Deny)), RefusalCode::NotPermitted);

    let named = |link: &Link| {
        try_with(
            &consenting,
            std::slice::from_ref(link),
            about(officers(), only(&["l1"]), Some(at(50)), Effect::Permit),
        )
    };
    assert!(named(&link("l1", Category::Claim)).is_ok());
    assert_eq!(code(named(&link("l1", Category::Imaging))), RefusalCode::NotPermitted);
    let bobs = Link { patient: id("bob"), ..link("l1", Category::Imaging) };
    assert_eq!(code(named(&bobs)), RefusalCode::UnknownLink, "tells nothing of bob's");

    let plain = || about(officers(), summaries(), Some(at(50)), Effect::Permit);
    let others = [Power::Open, Power::AnswerRequests, Power::Subscribe, Power::ReadAudit, Power::CollectRewards];
    assert_eq!(code(try_with(&delegation(&others), &[], plain())), RefusalCode::NotPermitted);
    assert_eq!(code(grant(&gina(), nothing(), plain())), RefusalCode::NotPermitted);
}

#[test]
fn a_guardian_permits_oneself_nothing_but_may_deny_oneself() {
    let consenting = delegation(&[Power::Consent]);
    let state = || GrantState { delegation: Some(&consenting), ..nothing() };
    let gina_herself = member_of(&home(Role::Guardian), "gina", Role::Guardian);
    let grantee = GranteeState { member: Some(&gina_herself), ..GranteeState::default() };
    let to = |grantee, effect| about(grantee, summaries(), Some(at(50)), effect);
    let herself = || Grantee::Member(id("gina"));
    for own in [herself(), Grantee::Role(Role::Guardian), Grantee::Organisation(id("patients"))] {
        let refusal = grant(&gina(), GrantState { grantee, ..state() }, to(own, Effect::Permit)).unwrap_err();
        assert_eq!(refusal.code(), RefusalCode::NotPermitted);
    }
    assert!(grant(&gina(), GrantState { grantee, ..state() }, to(herself(), Effect::Deny)).is_ok());
}

#[test]
fn a_guardian_permits_no_agent_anything_for_it_might_be_the_guardians_own() {
    let consenting = delegation(&[Power::Consent]);
    let to = |role, effect| {
        let grantee = member_of(&hospital(), "helper", role);
        let grantee = GranteeState { member: Some(&grantee), ..GranteeState::default() };
        let state = GrantState { delegation: Some(&consenting), grantee, ..nothing() };
        grant(&gina(), state, about(Grantee::Member(id("helper")), summaries(), Some(at(50)), effect))
    };
    assert_eq!(code(to(Role::Agent, Effect::Permit)), RefusalCode::NotPermitted);
    assert!(to(Role::Agent, Effect::Deny).is_ok());
    assert!(to(Role::Clinician, Effect::Permit).is_ok());
}

#[test]
fn a_guardian_revokes_within_the_delegation_but_no_denial_of_the_patient() {
    let revoke = |by: &Decider, terms: Terms, links: Vec<Link>, powers: &[Power]| {
        let (id, patient, state) = (id("c"), id("alice"), ConsentState::Granted);
        let consent = Consent { id, patient, terms, granted: at(-5), by: by.clone(), state };
        let delegation = Some(delegation(powers));
        let state = RevocationState { existing: Some(consent), links, delegation, ..RevocationState::default() };
        decide_revocation(&gina(), &healthchain_rules::MemberId::try_from("alice".to_owned()).unwrap(), state, NOW)
    };
    let officers = || Grantee::Role(Role::PayerOfficer);
    let (hers, alices) = (Decider::Guardian(id("gina")), Decider::Patient);
    let summary = |effect| about(officers(), summaries(), None, effect);
    for (by, effect) in [(&hers, Effect::Permit), (&hers, Effect::Deny), (&alices, Effect::Permit)] {
        assert!(matches!(revoke(by, summary(effect), vec![], &[Power::Consent]), Ok(Outcome::Decided(..))));
    }
    assert_eq!(code(revoke(&alices, summary(Effect::Deny), vec![], &[Power::Consent])), RefusalCode::NotPermitted);
    assert_eq!(code(revoke(&hers, summary(Effect::Permit), vec![], &[Power::Open])), RefusalCode::NotPermitted);
    let all = about(officers(), everything(), None, Effect::Permit);
    assert_eq!(code(revoke(&alices, all, vec![], &[Power::Consent])), RefusalCode::NotPermitted, "other categories");
    let named = || about(officers(), only(&["l1"]), None, Effect::Permit);
    assert!(revoke(&alices, named(), vec![link("l1", Category::Claim)], &[Power::Consent]).is_ok());
    let other = revoke(&alices, named(), vec![link("l1", Category::Imaging)], &[Power::Consent]);
    assert_eq!(code(other), RefusalCode::NotPermitted);
}

#[test]
fn consents_are_read_by_the_patient_and_guardians_who_consent() {
    let Ok(Outcome::Decided((consent, _), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let read =
        |caller: &Caller, delegation| decide_reading_one(caller, &id("alice"), Some(consent.clone()), delegation, NOW);
    let (consenting, other) = (delegation(&[Power::Consent]), delegation(&[Power::Open]));
    assert_eq!(read(&alice(), None), Ok(consent.clone()));
    assert_eq!(read(&gina(), Some(&consenting)), Ok(consent.clone()));
    assert!(decide_reading(&gina(), &id("alice"), Some(&consenting), NOW).is_ok());
    assert_eq!(code(decide_reading(&gina(), &id("alice"), Some(&consenting), at(50))), RefusalCode::NotPermitted);
    assert_eq!(code(read(&gina(), Some(&other))), RefusalCode::NotPermitted);
    assert_eq!(code(read(&caller("pia", Role::PayerOfficer), None)), RefusalCode::NotPermitted);
    let none = decide_reading_one(&alice(), &id("alice"), None, None, NOW);
    assert_eq!(code(none), RefusalCode::UnknownConsent);
    let bobs = decide_reading_one(&caller("bob", Role::Patient), &id("bob"), Some(consent.clone()), None, NOW);
    assert_eq!(code(bobs), RefusalCode::UnknownConsent);
}
