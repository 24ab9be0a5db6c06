//! Publishing, withdrawing and sealing.

use crate::support::*;
use healthchain_rules::envelope::{
    AdditionState, decide_adding, decide_addition, decide_asking, decide_reading_own, recipients,
};
use healthchain_rules::link::{Draft, decide_publication, decide_reading, decide_withdrawal, version};
use healthchain_rules::*;

fn carol() -> Caller {
    caller("carol", Role::Clinician)
}

fn everybody() -> Vec<Organisation> {
    let kinds = [Role::Patient, Role::Pharmacist, Role::PayerOfficer, Role::Analyst];
    [hospital(), clinic()].into_iter().chain(kinds.map(home)).collect()
}

fn patient() -> Member {
    member_of(&home(Role::Patient), "alice", Role::Patient)
}

fn recipients_for(category: Category, book: &ConsentBook, members: &[Member]) -> Vec<Recipient> {
    recipients(&hospital(), &patient(), &everybody(), members, category, &on(book), NOW)
}

fn names(recipients: &[Recipient]) -> Vec<&str> {
    recipients
        .iter()
        .map(|recipient| match &recipient.holder {
            Holder::Organisation(name) => name.as_str(),
            Holder::Member(name) => name.as_str(),
        })
        .collect()
}

fn envelope(recipient: &Recipient) -> Envelope {
    Envelope {
        holder: recipient.holder.clone(),
        recipient_key_hash: recipient.key.key_hash.clone(),
        sealed: id("c2VhbGVk"),
    }
}

fn draft() -> Draft {
    Draft {
        id: id("l"),
        patient: id("alice"),
        category: Category::Summary,
        content: content(),
        commitment: hash("commitment"),
    }
}

fn publish(caller: &Caller, draft: Draft, envelopes: &[Envelope]) -> Result<Outcome<Link, link::MayPublish>, Refusal> {
    let recipients = recipients_for(draft.category, &book_of(&[]), &[]);
    decide_publication(caller, Some(&patient()), None, &recipients, draft, envelopes, NOW)
}

fn complete() -> Vec<Envelope> {
    recipients_for(Category::Summary, &book_of(&[]), &[]).iter().map(envelope).collect()
}

#[test]
fn recipients_are_those_whom_an_opening_would_permit() {
    let none = book_of(&[]);
    assert_eq!(names(&recipients_for(Category::Summary, &none, &[])), ["alice", "hospital", "clinic"]);
    assert_eq!(names(&recipients_for(Category::Allergy, &none, &[])), ["alice", "hospital", "clinic", "pharmacy"]);
    assert_eq!(names(&recipients_for(Category::Restricted, &none, &[])), ["alice", "hospital"]);

    let pia = member_of(&home(Role::PayerOfficer), "pia", Role::PayerOfficer);
    let book = book_of(&[
        ("c1", terms(Grantee::Member(id("pia")), everything(), &[Purpose::Payment], Effect::Permit)),
        ("c2", terms(Grantee::Role(Role::Pharmacist), everything(), &[Purpose::Treatment], Effect::Permit)),
        ("c3", terms(Grantee::Organisation(id("clinic")), everything(), &Purpose::ALL, Effect::Deny)),
    ]);
    let found = recipients_for(Category::Summary, &book, std::slice::from_ref(&pia));
    assert_eq!(names(&found), ["alice", "hospital", "pharmacy", "pia"]);
    let suspended = Member { standing: Standing::Suspended { by: id("a"), at: NOW, reason: id("left") }, ..pia };
    assert_eq!(names(&recipients_for(Category::Summary, &book, &[suspended])), ["alice", "hospital", "pharmacy"]);
}

#[test]
fn nobody_who_borrows_anothers_key_stops_a_publication() {
    let thief =
        Member { encryption_key: key("hospital"), ..member_of(&home(Role::PayerOfficer), "tom", Role::PayerOfficer) };
    let book = book_of(&[("c1", terms(Grantee::Member(id("tom")), everything(), &[Purpose::Payment], Effect::Permit))]);
    assert_eq!(names(&recipients_for(Category::Summary, &book, &[thief])), ["alice", "hospital", "clinic"]);
}

#[test]
fn an_organisation_that_has_not_entered_is_no_recipient() {
    let founded = Organisation { state: OrganisationState::Founded, ..clinic() };
    let found =
        recipients(&hospital(), &patient(), &[hospital(), founded], &[], Category::Summary, &Grounds::default(), NOW);
    assert_eq!(names(&found), ["alice", "hospital"]);
}

/// Found by review: a denial that names a link was overlooked when that link was sealed anew.
#[test]
fn a_link_is_not_sealed_to_those_whom_the_patient_denies_it() {
    let deny = terms(Grantee::Organisation(id("clinic")), only(&["l1"]), &Purpose::ALL, Effect::Deny);
    let grounds = on(&book_of(&[("c1", deny)]));
    let of_link = |name: &str| {
        let link = link(name, Category::Summary);
        let found = recipients(&hospital(), &patient(), &[hospital(), clinic()], &[], &link, &grounds, NOW);
        names(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of_link("l1"), ["alice", "hospital"]);
    assert_eq!(of_link("l2"), ["alice", "hospital", "clinic"]);
}

/// Found by review: members of an organisation that had left were still sealed to.
#[test]
fn a_member_of_an_organisation_that_takes_no_part_is_no_recipient() {
    let payer = home(Role::PayerOfficer);
    let (pia, dora) = (member_of(&payer, "pia", Role::PayerOfficer), member_of(&hospital(), "dora", Role::Clinician));
    let to = |name: &str| terms(Grantee::Member(id(name)), everything(), &Purpose::ALL, Effect::Permit);
    let grounds = on(&book_of(&[("c1", to("pia")), ("c2", to("dora"))]));
    let found = |organisations: &[Organisation]| {
        let members = [pia.clone(), dora.clone()];
        let found = recipients(&hospital(), &patient(), organisations, &members, Category::Restricted, &grounds, NOW);
        names(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let left = Organisation { state: OrganisationState::Left { at: at(-1) }, ..payer.clone() };
    let founded = Organisation { state: OrganisationState::Founded, ..payer.clone() };
    assert_eq!(found(&[hospital(), payer]), ["alice", "hospital", "pia", "dora"]);
    for others in [vec![hospital(), left], vec![hospital(), founded], vec![]] {
        assert_eq!(found(&others), ["alice", "hospital", "dora"], "the publisher's own stay");
    }
}

#[test]
fn a_clinician_publishes_with_envelopes_for_patient_and_own_organisation() {
    let Ok(Outcome::Decided(link, _)) = publish(&carol(), draft(), &complete()[..2]) else { panic!("not new") };
    assert_eq!((link.publisher.as_str(), link.current.number, link.state), ("hospital", 1, LinkState::Active));
}

#[test]
fn publication_is_refused_to_everybody_else() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Clinician) {
        assert_eq!(code(publish(&caller("x", role), draft(), &complete())), RefusalCode::NotPermitted, "{role}");
        assert_eq!(code(decide_asking(&caller("x", role))), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(publish(&Caller::Custodian(hospital()), draft(), &complete())), RefusalCode::NotPermitted);
    assert_eq!(code(publish(&suspended(carol()), draft(), &complete())), RefusalCode::MemberSuspended);
    let founded = Organisation { state: OrganisationState::Founded, ..hospital() };
    let early = caller_of(founded, "carol", Role::Clinician);
    assert_eq!(code(publish(&early, draft(), &complete())), RefusalCode::OrganisationNotActive);
    assert!(decide_asking(&Caller::Custodian(hospital())).is_ok());
    assert_eq!(code(decide_asking(&Caller::Custodian(home(Role::PayerOfficer)))), RefusalCode::NotPermitted);
}

#[test]
fn publication_is_refused_with_envelopes_missing_twice_for_strangers_or_for_old_keys() {
    let all = complete();
    assert_eq!(code(publish(&carol(), draft(), &all[..1])), RefusalCode::EnvelopeMissing);
    assert_eq!(code(publish(&carol(), draft(), &all[1..])), RefusalCode::EnvelopeMissing);
    let twice = [all.clone(), vec![all[0].clone()]].concat();
    assert_eq!(code(publish(&carol(), draft(), &twice)), RefusalCode::EnvelopeNotWanted);
    let stranger = Envelope {
        holder: Holder::Organisation(id("payer")),
        recipient_key_hash: key("payer").key_hash,
        ..all[0].clone()
    };
    let with_stranger = [all.clone(), vec![stranger]].concat();
    assert_eq!(code(publish(&carol(), draft(), &with_stranger)), RefusalCode::EnvelopeNotWanted);
    let mut old_key = all.clone();
    old_key[0].recipient_key_hash = hash("old");
    assert_eq!(code(publish(&carol(), draft(), &old_key)), RefusalCode::EnvelopeNotWanted);
    let many = vec![all[0].clone(); 65];
    assert_eq!(code(publish(&carol(), draft(), &many)), RefusalCode::Malformed);
    assert_eq!(code(publish(&carol(), draft(), &many[1..])), RefusalCode::EnvelopeNotWanted, "64 are not too many");
}

#[test]
fn publication_needs_a_patient_and_content() {
    let recipients = recipients_for(Category::Summary, &book_of(&[]), &[]);
    for patient in [None, Some(member_of(&hospital(), "alice", Role::Clinician))] {
        let refused = decide_publication(&carol(), patient.as_ref(), None, &recipients, draft(), &complete(), NOW);
        assert_eq!(code(refused), RefusalCode::UnknownPatient);
    }
    for length in [0, limit::CONTENT_BYTES + 1] {
        let draft = Draft { content: Content { length, ..content() }, ..draft() };
        assert_eq!(code(publish(&carol(), draft, &complete())), RefusalCode::Malformed);
    }
}

#[test]
fn a_repeated_publication_is_harmless_and_another_one_under_its_id_is_refused() {
    let Ok(Outcome::Decided(link, _)) = publish(&carol(), draft(), &complete()) else { panic!("not new") };
    let again = |caller: &Caller, draft| {
        decide_publication(caller, Some(&patient()), Some((&link, &link.current)), &[], draft, &[], at(60)).map(
            |outcome| match outcome {
                Outcome::Repeated(link) => link,
                Outcome::Decided(..) => panic!("published twice"),
            },
        )
    };
    assert_eq!(again(&carol(), draft()).unwrap(), link);
    assert_eq!(again(&caller("dora", Role::Clinician), draft()).unwrap(), link);
    for other in [
        Draft { content: Content { hash: hash("other"), ..content() }, ..draft() },
        Draft { commitment: hash("other"), ..draft() },
        Draft { patient: id("bob"), ..draft() },
        Draft { category: Category::Claim, ..draft() },
    ] {
        assert_eq!(code(again(&carol(), other)), RefusalCode::LinkExists);
    }
    let elsewhere = caller_of(clinic(), "clara", Role::Clinician);
    assert_eq!(code(again(&elsewhere, draft())), RefusalCode::LinkExists);
}

#[test]
fn a_link_is_withdrawn_by_its_publishers_clinicians_alone() {
    let withdraw = |caller: &Caller, link| decide_withdrawal(caller, link, None, None, id("wrong patient"), NOW);
    let there = || Some(link("l", Category::Summary));
    let Ok(Outcome::Decided(gone, _)) = withdraw(&carol(), there()) else { panic!("not new") };
    assert_eq!(withdraw(&carol(), Some(gone.clone())), Ok(Outcome::Repeated(gone.clone())));
    assert_eq!(code(decide_withdrawal(&carol(), Some(gone), None, None, id("other"), NOW)), RefusalCode::LinkWithdrawn);
    assert_eq!(code(withdraw(&carol(), None)), RefusalCode::UnknownLink);
    assert_eq!(code(withdraw(&caller_of(clinic(), "clara", Role::Clinician), there())), RefusalCode::UnknownLink);
    assert_eq!(code(withdraw(&caller("adam", Role::Administrator), there())), RefusalCode::NotPermitted);
    assert_eq!(code(withdraw(&alice(), there())), RefusalCode::OtherOrganisation);
    assert_eq!(code(withdraw(&suspended(carol()), there())), RefusalCode::MemberSuspended);
    assert_eq!(code(withdraw(&Caller::Custodian(hospital()), there())), RefusalCode::NotPermitted);
}

#[test]
fn a_withdrawal_names_what_replaces_the_link() {
    let old = || link("old", Category::Summary);
    let new = link("new", Category::Laboratory);
    let replace = |found: Option<&Link>| {
        decide_withdrawal(&carol(), Some(old()), Some(id("new")), found, id("published twice"), NOW)
    };
    let Ok(Outcome::Decided(gone, _)) = replace(Some(&new)) else { panic!("not new") };
    let (by, reason) = (id("carol"), id("published twice"));
    assert_eq!(gone.state, LinkState::Withdrawn { by, at: NOW, reason, superseded_by: Some(id("new")) });
    let again = |superseded_by| {
        decide_withdrawal(&carol(), Some(gone.clone()), superseded_by, None, id("published twice"), NOW)
    };
    assert_eq!(again(Some(id("new"))), Ok(Outcome::Repeated(gone.clone())), "even if that one is gone by now");
    assert_eq!(code(again(None)), RefusalCode::LinkWithdrawn);
    assert_eq!(code(again(Some(id("newer")))), RefusalCode::LinkWithdrawn);

    let withdrawn = Link { state: gone.state.clone(), ..new.clone() };
    let of_bob = Link { patient: id("bob"), ..new.clone() };
    let of_the_clinic = Link { publisher: id("clinic"), ..new.clone() };
    let another = Link { id: id("another"), ..new };
    for unfit in [None, Some(&withdrawn), Some(&of_bob), Some(&of_the_clinic), Some(&another)] {
        assert_eq!(code(replace(unfit)), RefusalCode::SupersedingLink, "{unfit:?}");
    }
    let itself = decide_withdrawal(&carol(), Some(old()), Some(id("old")), Some(&old()), id("published twice"), NOW);
    assert_eq!(code(itself), RefusalCode::SupersedingLink);
}

#[test]
fn a_repeated_publication_is_recognised_by_the_first_version() {
    let Ok(Outcome::Decided(link, _)) = publish(&carol(), draft(), &complete()) else { panic!("not new") };
    let second = Version {
        number: 2,
        content: Content { hash: hash("second"), ..content() },
        commitment: hash("second commitment"),
        ..link.current.clone()
    };
    let amended = Link { current: second, ..link.clone() };
    let again = |draft| {
        decide_publication(&carol(), Some(&patient()), Some((&amended, &link.current)), &[], draft, &[], at(60))
    };
    assert_eq!(again(draft()), Ok(Outcome::Repeated(amended.clone())));
    let as_amended = Draft { content: amended.current.content.clone(), ..draft() };
    assert_eq!(code(again(as_amended)), RefusalCode::LinkExists);
    let with_commitment = Draft { commitment: amended.current.commitment.clone(), ..draft() };
    assert_eq!(code(again(with_commitment)), RefusalCode::LinkExists);
}

#[test]
fn a_version_is_the_current_one_or_the_former_one_of_that_number() {
    let amended = || {
        let mut amended = link("l", Category::Summary);
        amended.current.number = 3;
        amended
    };
    let former = |number| {
        let version = Version { number, ..amended().current };
        VersionOfLink { version, superseded: Some(NOW) }
    };
    let current = VersionOfLink { version: amended().current, superseded: None };
    assert_eq!(version(amended(), 3, None), Ok(current));
    assert_eq!(version(amended(), 2, Some(former(2))), Ok(former(2)));
    assert_eq!(code(version(amended(), 2, Some(former(1)))), RefusalCode::UnknownVersion);
    for number in [0, 2, 4] {
        assert_eq!(code(version(amended(), number, None)), RefusalCode::UnknownVersion);
    }
}

#[test]
fn a_link_is_unknown_to_those_who_have_nothing_to_do_with_it() {
    let read = |caller: &Caller, book: &ConsentBook| {
        decide_reading(caller, Some(link("l", Category::Summary)), &on(book), NOW)
    };
    let none = book_of(&[]);
    for reader in [
        alice(),
        caller("adam", Role::Administrator),
        Caller::Custodian(hospital()),
        caller_of(clinic(), "clara", Role::Clinician),
    ] {
        assert!(read(&reader, &none).is_ok());
    }
    let (by, reason) = (id("carol"), id("wrong patient"));
    let withdrawn = LinkState::Withdrawn { by, at: NOW, reason, superseded_by: None };
    let erased = LinkState::Erased { by: id("pam"), at: NOW, reason: id("wrong patient") };
    for state in [withdrawn, erased] {
        let closed = || Some(Link { state: state.clone(), ..link("l", Category::Summary) });
        assert!(decide_reading(&alice(), closed(), &on(&none), NOW).is_ok());
        let clara = caller_of(clinic(), "clara", Role::Clinician);
        assert_eq!(code(decide_reading(&clara, closed(), &on(&none), NOW)), RefusalCode::UnknownLink);
    }
    let pia = caller("pia", Role::PayerOfficer);
    for stranger in [pia.clone(), caller("bob", Role::Patient), Caller::Custodian(clinic())] {
        assert_eq!(code(read(&stranger, &none)), RefusalCode::UnknownLink);
    }
    let permit = terms(Grantee::Organisation(id("payer")), everything(), &[Purpose::Payment], Effect::Permit);
    assert!(read(&pia, &book_of(&[("c", permit)])).is_ok());
    assert_eq!(code(read(&suspended(alice()), &none)), RefusalCode::MemberSuspended);
}

#[test]
fn the_publishers_gateway_adds_exactly_the_envelope_that_an_opening_asks_for() {
    let permit = terms(Grantee::Organisation(id("payer")), everything(), &[Purpose::Payment], Effect::Permit);
    let book = book_of(&[("c", permit)]);
    let pia = caller("pia", Role::PayerOfficer);
    let summary = link("l", Category::Summary);
    let (opening, _) = opening::decide_opening(&pia, &summary, &on(&book), Purpose::Payment, hash("t"), NOW).unwrap();
    let Decision::Permitted { recipient, .. } = &opening.decision else { panic!("denied") };

    assert!(decide_adding(&Caller::Custodian(hospital()), Some(opening.clone())).is_ok());
    assert_eq!(code(decide_adding(&Caller::Custodian(clinic()), Some(opening.clone()))), RefusalCode::UnknownOpening);
    assert_eq!(code(decide_adding(&carol(), Some(opening.clone()))), RefusalCode::NotPermitted);
    assert_eq!(code(decide_adding(&Caller::Custodian(hospital()), None)), RefusalCode::UnknownOpening);

    let state = AdditionState { opener: pia.member().unwrap(), link: &summary, grounds: &on(&book), existing: None };
    let wanted = envelope(recipient);
    assert!(matches!(decide_addition(&opening, state, wanted.clone(), NOW), Ok(Outcome::Decided(..))));
    let there = AdditionState { existing: Some(&wanted), ..state };
    assert!(matches!(decide_addition(&opening, there, wanted.clone(), NOW), Ok(Outcome::Repeated(_))));
    let other = Envelope { sealed: id("b3RoZXIh"), ..wanted.clone() };
    assert_eq!(code(decide_addition(&opening, there, other, NOW)), RefusalCode::EnvelopeExists);
    let for_another = Envelope { holder: Holder::Member(id("pia")), ..wanted.clone() };
    assert_eq!(code(decide_addition(&opening, state, for_another, NOW)), RefusalCode::EnvelopeNotWanted);
    let revoked = AdditionState { grounds: &Grounds::default(), ..state };
    assert_eq!(code(decide_addition(&opening, revoked, wanted, NOW)), RefusalCode::OpeningNotInForce);
}

#[test]
fn only_the_publishers_gateway_reads_the_publishers_envelope() {
    let there = || Some(link("l", Category::Summary));
    assert!(decide_reading_own(&Caller::Custodian(hospital()), there()).is_ok());
    assert_eq!(code(decide_reading_own(&Caller::Custodian(clinic()), there())), RefusalCode::UnknownLink);
    assert_eq!(code(decide_reading_own(&carol(), there())), RefusalCode::NotPermitted);
    assert_eq!(code(decide_reading_own(&Caller::Custodian(hospital()), None)), RefusalCode::UnknownLink);
}
