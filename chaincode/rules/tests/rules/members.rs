//! Who a caller is; how organisations enter and members are registered and suspended.

use crate::support::*;
use healthchain_rules::organisation::{Entry, EntryState, decide_entry, decide_founding};
use healthchain_rules::registration::{Registration, decide_registration};
use healthchain_rules::standing::{decide_reinstatement, decide_suspension};
use healthchain_rules::*;

fn signer(msp_id: &str, key: &str) -> Signer {
    Signer { msp_id: id(msp_id), key_hash: hash(key), is_administrator: true }
}

#[test]
fn a_signer_is_the_member_whose_key_it_is() {
    let carol = member_of(&hospital(), "carol", Role::Clinician);
    let holder = KeyHolder::Member(id("carol"));
    let identified =
        Caller::identify(&signer("hospital", "s-carol"), Some(&holder), Some(carol.clone()), Some(hospital()), None);
    assert!(identified.unwrap().is(&id("carol")));

    let unknown = |signer: Signer, holder: Option<&KeyHolder>, member: Option<Member>, home: Option<Organisation>| {
        assert_eq!(code(Caller::identify(&signer, holder, member, home, None)), RefusalCode::UnknownCaller);
    };
    unknown(signer("hospital", "s-carol"), None, None, Some(hospital()));
    unknown(signer("hospital", "s-carol"), Some(&holder), None, Some(hospital()));
    unknown(signer("clinic", "s-carol"), Some(&holder), Some(carol.clone()), Some(clinic()));
    unknown(signer("hospital", "s-other"), Some(&holder), Some(carol.clone()), Some(hospital()));
    unknown(signer("hospital", "s-carol"), Some(&holder), Some(carol), None);
}

#[test]
fn a_gateways_key_under_another_organisations_certificate_is_nobodys() {
    let holder = KeyHolder::Gateway(id("hospital"));
    assert!(Caller::identify(&signer("hospital", "g"), Some(&holder), None, Some(hospital()), None).is_ok());
    let other = Caller::identify(&signer("clinic", "g"), Some(&holder), None, Some(clinic()), None);
    assert_eq!(code(other), RefusalCode::UnknownCaller);
}

#[test]
fn the_consortium_is_founded_once() {
    let founders = || vec![(id("hospital"), OrganisationKind::PrimaryCare), (id("payer"), OrganisationKind::Payer)];
    let decided = decide_founding(&signer("hospital", "a"), &[], founders()).unwrap();
    let Outcome::Decided(founded, _) = decided else { panic!("not new") };
    assert!(matches!(decide_founding(&signer("payer", "b"), &founded, founders()), Ok(Outcome::Repeated(_))));

    let fewer = decide_founding(&signer("hospital", "a"), &founded, founders()[..1].to_vec());
    assert_eq!(code(fewer), RefusalCode::AlreadyFounded);
}

#[test]
fn only_an_administrator_of_a_founder_founds() {
    let list = || vec![(id("hospital"), OrganisationKind::PrimaryCare)];
    let stranger = decide_founding(&signer("payer", "a"), &[], list());
    assert_eq!(code(stranger), RefusalCode::NotPermitted);
    let clerk = Signer { is_administrator: false, ..signer("hospital", "a") };
    assert_eq!(code(decide_founding(&clerk, &[], list())), RefusalCode::NotPermitted);
    let twice = [list(), list()].concat();
    assert_eq!(code(decide_founding(&signer("hospital", "a"), &[], twice)), RefusalCode::Malformed);
    assert_eq!(code(decide_founding(&signer("hospital", "a"), &[], Vec::new())), RefusalCode::Malformed);
    let many = (0..65).map(|n| (id(&format!("o{n}")), OrganisationKind::Payer)).collect();
    assert_eq!(code(decide_founding(&signer("o1", "a"), &[], many)), RefusalCode::Malformed);
}

fn entry() -> Entry {
    Entry {
        encryption_key: key("hospital"),
        gateway_url: id("https://gateway.example:8443"),
        gateway_key_hash: hash("g-hospital"),
        administrator: id("adam"),
        administrator_encryption_key: key("adam"),
    }
}

fn nothing() -> EntryState<'static> {
    EntryState { organisation: None, administrator: None, signing_key: None, gateway_key: None }
}

#[test]
fn an_organisation_enters_once_and_a_repeated_entry_is_harmless() {
    let founded = Organisation { state: OrganisationState::Founded, ..hospital() };
    let state = EntryState { organisation: Some(&founded), ..nothing() };
    let Ok(Outcome::Decided((entered, adam), _)) = decide_entry(&signer("hospital", "s-adam"), state, entry(), NOW)
    else {
        panic!("not new")
    };
    assert_eq!(adam.role, Role::Administrator);
    let holder = KeyHolder::Member(id("adam"));
    let gateway = KeyHolder::Gateway(id("hospital"));
    let state = EntryState {
        organisation: Some(&entered),
        administrator: Some(&adam),
        signing_key: Some(&holder),
        gateway_key: Some(&gateway),
    };
    let again = decide_entry(&signer("hospital", "s-adam"), state, entry(), at(5)).unwrap();
    assert_eq!(again, Outcome::Repeated((entered.clone(), adam.clone())));
    let other = Entry { gateway_url: id("https://elsewhere.example"), ..entry() };
    assert_eq!(code(decide_entry(&signer("hospital", "s-adam"), state, other, NOW)), RefusalCode::AlreadyEntered);
    let second = decide_entry(&signer("hospital", "s-anna"), state, entry(), NOW);
    assert_eq!(code(second), RefusalCode::AlreadyEntered);
}

#[test]
fn an_entry_needs_a_founded_organisation_and_keys_of_its_own() {
    let founded = Organisation { state: OrganisationState::Founded, ..hospital() };
    let state = EntryState { organisation: Some(&founded), ..nothing() };
    let enter = |state, key| decide_entry(&signer("hospital", key), state, entry(), NOW);
    assert_eq!(code(enter(nothing(), "s-adam")), RefusalCode::UnknownOrganisation);
    assert_eq!(code(enter(state, "g-hospital")), RefusalCode::KeyTaken);
    let left = Organisation { state: OrganisationState::Left { at: at(-1) }, ..hospital() };
    let gone = EntryState { organisation: Some(&left), ..nothing() };
    assert_eq!(code(enter(gone, "s-adam")), RefusalCode::OrganisationLeft);
    let holder = KeyHolder::Member(id("someone"));
    assert_eq!(code(enter(EntryState { signing_key: Some(&holder), ..state }, "s-adam")), RefusalCode::KeyTaken);
    assert_eq!(code(enter(EntryState { gateway_key: Some(&holder), ..state }, "s-adam")), RefusalCode::KeyTaken);
    let taken = member_of(&clinic(), "adam", Role::Clinician);
    assert_eq!(code(enter(EntryState { administrator: Some(&taken), ..state }, "s-adam")), RefusalCode::MemberExists);
    let clerk = Signer { is_administrator: false, ..signer("hospital", "s-adam") };
    assert_eq!(code(decide_entry(&clerk, state, entry(), NOW)), RefusalCode::NotPermitted);
}

fn new(name: &str, role: Role) -> Registration {
    Registration { id: id(name), role, key_hash: hash(&format!("s-{name}")), encryption_key: key(name) }
}

fn adam() -> Caller {
    caller("adam", Role::Administrator)
}

#[test]
fn an_administrator_registers_members_of_the_own_organisation() {
    let Ok(Outcome::Decided(carol, _)) = decide_registration(&adam(), None, None, new("carol", Role::Clinician), NOW)
    else {
        panic!("not new")
    };
    assert_eq!((carol.organisation.as_str(), carol.attestation.by.as_str()), ("hospital", "adam"));

    let again = decide_registration(
        &adam(),
        Some(&carol),
        Some(&KeyHolder::Member(id("carol"))),
        new("carol", Role::Clinician),
        at(9),
    );
    assert_eq!(again.unwrap(), Outcome::Repeated(carol.clone()));
    let other_role = decide_registration(&adam(), Some(&carol), None, new("carol", Role::PrivacyOfficer), NOW);
    assert_eq!(code(other_role), RefusalCode::MemberExists);
    let elsewhere = caller_of(clinic(), "adele", Role::Administrator);
    let taken = decide_registration(&elsewhere, Some(&carol), None, new("carol", Role::Clinician), NOW);
    assert_eq!(code(taken), RefusalCode::MemberExists);
}

#[test]
fn registration_is_refused_to_others_for_foreign_roles_and_for_taken_keys() {
    let register = |caller: &Caller, role| decide_registration(caller, None, None, new("new", role), NOW);
    assert_eq!(code(register(&caller("carol", Role::Clinician), Role::Clinician)), RefusalCode::NotPermitted);
    assert_eq!(code(register(&suspended(adam()), Role::Clinician)), RefusalCode::MemberSuspended);
    assert_eq!(code(register(&Caller::Custodian(hospital()), Role::Clinician)), RefusalCode::NotPermitted);
    assert_eq!(code(register(&adam(), Role::Patient)), RefusalCode::NotPermitted);
    let gateway = KeyHolder::Gateway(id("hospital"));
    let taken = decide_registration(&adam(), None, Some(&gateway), new("new", Role::Clinician), NOW);
    assert_eq!(code(taken), RefusalCode::KeyTaken);
}

#[test]
fn suspension_and_reinstatement_are_for_administrators_of_the_same_organisation() {
    let carol = || Some(member_of(&hospital(), "carol", Role::Clinician));
    let reason = || id::<Reason>("left");
    let Ok(Outcome::Decided(gone, _)) = decide_suspension(&adam(), carol(), reason(), NOW) else { panic!("not new") };
    assert_eq!(decide_suspension(&adam(), Some(gone.clone()), reason(), at(7)), Ok(Outcome::Repeated(gone.clone())));
    let other_reason = decide_suspension(&adam(), Some(gone.clone()), id("stolen key"), NOW);
    assert_eq!(code(other_reason), RefusalCode::StandingConflict);
    let Ok(Outcome::Decided(back, _)) = decide_reinstatement(&adam(), Some(gone.clone())) else { panic!("not new") };
    assert_eq!(back.standing, Standing::Active);
    assert_eq!(decide_reinstatement(&adam(), Some(back.clone())), Ok(Outcome::Repeated(back)));

    let own = member_of(&hospital(), "adam", Role::Administrator);
    assert_eq!(code(decide_suspension(&adam(), Some(own), reason(), NOW)), RefusalCode::OwnSuspension);
    assert_eq!(code(decide_suspension(&adam(), None, reason(), NOW)), RefusalCode::UnknownMember);
    let adele = caller_of(clinic(), "adele", Role::Administrator);
    assert_eq!(code(decide_suspension(&adele, carol(), reason(), NOW)), RefusalCode::OtherOrganisation);
    assert_eq!(code(decide_reinstatement(&adele, Some(gone))), RefusalCode::OtherOrganisation);
    let doctor = caller("dora", Role::Clinician);
    assert_eq!(code(decide_suspension(&doctor, carol(), reason(), NOW)), RefusalCode::NotPermitted);
    assert_eq!(code(decide_suspension(&suspended(adam()), carol(), reason(), NOW)), RefusalCode::MemberSuspended);
    let retired = Member {
        standing: Standing::Retired { at: at(-1), by: None, reason: None },
        ..member_of(&hospital(), "carol", Role::Clinician)
    };
    assert_eq!(code(decide_reinstatement(&adam(), Some(retired))), RefusalCode::StandingConflict);
}
