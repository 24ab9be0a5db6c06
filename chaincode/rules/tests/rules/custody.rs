//! Custodians: who names them, and what their gateways learn.

use std::collections::BTreeSet;

use crate::support::*;
use healthchain_rules::custody::{MayNameCustodians, decide_clearance, decide_copying, decide_giving, decide_naming};
use healthchain_rules::opening::decide_reading;
use healthchain_rules::*;

fn adam() -> Caller {
    caller("adam", Role::Administrator)
}

fn payer() -> Organisation {
    home(Role::PayerOfficer)
}

fn named(custodians: &[&str]) -> Custodians {
    Custodians::of(id("hospital"), custodians.iter().map(|name| id(name)).collect())
}

fn left(organisation: Organisation) -> Organisation {
    Organisation { state: OrganisationState::Left { at: NOW }, ..organisation }
}

fn name(
    caller: &Caller,
    existing: Option<Custodians>,
    custodians: Custodians,
) -> Result<Outcome<Custodians, MayNameCustodians>, Refusal> {
    decide_naming(caller, existing, custodians, &[clinic(), payer(), left(home(Role::Pharmacist))])
}

#[test]
fn an_administrator_names_custodians_in_place_of_the_former_ones() {
    for (existing, wanted) in [
        (None, named(&["clinic"])),
        (Some(named(&["clinic"])), named(&["clinic", "payer"])),
        (Some(named(&["clinic"])), named(&["payer"])),
        (Some(named(&["clinic"])), named(&[])),
    ] {
        let Ok(Outcome::Decided(decided, _)) = name(&adam(), existing, wanted.clone()) else { panic!("not new") };
        assert_eq!((decided.custodians, decided.namings), (wanted.custodians, 1));
    }
}

/// The hospital's custodians after these were named, one list after the other.
fn after(lists: &[&[&str]], mut existing: Custodians) -> Custodians {
    for list in lists {
        let Ok(Outcome::Decided(decided, _)) = name(&adam(), Some(existing), named(list)) else { panic!("not new") };
        existing = decided;
    }
    existing
}

fn clear(
    caller: &Caller,
    existing: &Custodians,
) -> Result<Outcome<Custodians, healthchain_rules::custody::MayConfirmClearance>, Refusal> {
    decide_clearance(caller, &id("hospital"), Some(existing.clone()), at(9))
}

#[test]
fn whoever_is_struck_off_stays_on_the_list_of_former_custodians_until_its_gateway_has_destroyed_its_copies() {
    let former = after(&[&["clinic", "payer"], &["payer"], &[]], named(&[]));
    assert_eq!((&former.former, former.namings), (&[id("clinic"), id("payer")].into(), 3));
    assert_eq!(former.holders().collect::<Vec<_>>(), [&id::<MspId>("clinic"), &id("payer")]);

    let Ok(Outcome::Decided(cleared, _)) = clear(&Caller::Custodian(clinic()), &former) else { panic!("refused") };
    assert_eq!(cleared.former, [id("payer")].into());
    assert_eq!(cleared.cleared, [(id("clinic"), Clearance { at: at(9), namings: 3 })].into());
    let again = clear(&Caller::Custodian(clinic()), &cleared);
    assert_eq!(again, Ok(Outcome::Repeated(cleared.clone())));

    let named_again = after(&[&["clinic"]], cleared.clone());
    assert_eq!((&named_again.former, &named_again.cleared), (&cleared.former, &cleared.cleared));
    assert_eq!(after(&[&["payer"]], former).former, [id("clinic")].into(), "named again before it said anything");
}

#[test]
fn only_the_gateway_of_a_former_custodian_says_that_its_copies_are_destroyed() {
    let former = after(&[&["clinic", "payer"], &["payer"]], named(&[]));
    let refused = |caller: &Caller| code(clear(caller, &former));
    assert_eq!(refused(&Caller::Custodian(payer())), RefusalCode::StillACustodian);
    for stranger in [hospital(), home(Role::Pharmacist)] {
        assert_eq!(refused(&Caller::Custodian(stranger)), RefusalCode::NotACustodian);
    }
    for member in [adam(), alice(), caller_of(clinic(), "cleo", Role::Administrator)] {
        assert_eq!(refused(&member), RefusalCode::NotPermitted, "{member:?}");
    }
    assert_eq!(refused(&Caller::Custodian(left(clinic()))), RefusalCode::OrganisationNotActive);
    let never = decide_clearance(&Caller::Custodian(clinic()), &id("hospital"), None, NOW);
    assert_eq!(code(never), RefusalCode::NotACustodian);
}

#[test]
fn a_former_custodian_is_given_nothing() {
    let former = after(&[&["clinic"], &[]], named(&[]));
    assert_eq!(code(copy(&Caller::Custodian(clinic()), Some(&former), &hospital())), RefusalCode::UnknownLink);
    assert_eq!(code(copy(&Caller::Custodian(hospital()), Some(&former), &clinic())), RefusalCode::NotACustodian);
}

#[test]
fn naming_the_same_again_is_harmless_even_when_one_has_left_in_the_meantime() {
    for custodians in [named(&["clinic"]), named(&["clinic", "pharmacy"])] {
        let again = name(&adam(), Some(custodians.clone()), custodians.clone());
        assert_eq!(again, Ok(Outcome::Repeated(custodians)));
    }
    assert_eq!(name(&adam(), None, named(&[])), Ok(Outcome::Repeated(named(&[]))), "none as before");
}

#[test]
fn only_an_organisations_own_administrators_name_its_custodians() {
    let refused = |caller: &Caller| code(name(caller, None, named(&["clinic"])));
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Administrator) {
        assert_eq!(refused(&caller_of(hospital(), "x", role)), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(refused(&caller_of(payer(), "adele", Role::Administrator)), RefusalCode::OtherOrganisation);
    assert_eq!(refused(&Caller::Custodian(hospital())), RefusalCode::NotPermitted);
    assert_eq!(refused(&suspended(adam())), RefusalCode::MemberSuspended);
    assert_eq!(refused(&caller_of(left(hospital()), "adam", Role::Administrator)), RefusalCode::OrganisationNotActive);
}

#[test]
fn strangers_those_who_left_oneself_and_too_many_are_no_custodians() {
    let refused = |custodians| code(name(&adam(), None, custodians));
    assert_eq!(refused(named(&["nobody"])), RefusalCode::UnknownOrganisation);
    assert_eq!(refused(named(&["clinic", "pharmacy"])), RefusalCode::OrganisationNotActive);
    assert_eq!(refused(named(&["clinic", "hospital"])), RefusalCode::Malformed);
    let many = |count: usize| {
        let organisations: Vec<_> =
            (0..count).map(|number| organisation(&format!("o{number}"), OrganisationKind::Payer)).collect();
        let custodians = organisations.iter().map(|one| one.msp_id.clone()).collect();
        decide_naming(&adam(), None, Custodians { custodians, ..named(&[]) }, &organisations)
    };
    assert!(matches!(many(limit::CUSTODIANS), Ok(Outcome::Decided(..))));
    assert_eq!(code(many(limit::CUSTODIANS + 1)), RefusalCode::Malformed);
}

#[test]
fn an_organisation_that_has_left_is_no_custodian_until_it_is_admitted_again() {
    let custodians = named(&["clinic", "payer", "nobody"]);
    assert_eq!(custodians.clone().in_effect(&[clinic(), payer()]), named(&["clinic", "payer"]));
    assert_eq!(custodians.in_effect(&[left(clinic()), payer()]), named(&["payer"]));
}

fn copy(caller: &Caller, custodians: Option<&Custodians>, other: &Organisation) -> Result<Content, Refusal> {
    decide_copying(caller, Some(link("l", Category::Summary)), custodians, Some(other), 1, None)
}

#[test]
fn a_content_goes_between_a_publisher_and_its_custodian_both_ways_and_nowhere_else() {
    let custodians = named(&["clinic"]);
    let custodians = Some(&custodians);
    assert_eq!(copy(&Caller::Custodian(clinic()), custodians, &hospital()), Ok(content()));
    assert_eq!(copy(&Caller::Custodian(hospital()), custodians, &clinic()), Ok(content()));

    let refused = |caller: &Caller, other: &Organisation| code(copy(caller, custodians, other));
    assert_eq!(refused(&Caller::Custodian(hospital()), &payer()), RefusalCode::NotACustodian);
    assert_eq!(refused(&Caller::Custodian(payer()), &hospital()), RefusalCode::UnknownLink);
    assert_eq!(refused(&Caller::Custodian(clinic()), &payer()), RefusalCode::UnknownLink);
    assert_eq!(refused(&Caller::Custodian(payer()), &clinic()), RefusalCode::UnknownLink);
    for member in [adam(), alice(), caller_of(clinic(), "clara", Role::Clinician)] {
        assert_eq!(refused(&member, &hospital()), RefusalCode::NotPermitted);
    }
    assert_eq!(refused(&Caller::Custodian(left(clinic())), &hospital()), RefusalCode::OrganisationNotActive);
    assert_eq!(refused(&Caller::Custodian(hospital()), &left(clinic())), RefusalCode::OrganisationNotActive);
    for struck_off in [None, Some(&named(&[])), Some(&Custodians { organisation: id("payer"), ..named(&["clinic"]) })] {
        assert_eq!(code(copy(&Caller::Custodian(clinic()), struck_off, &hospital())), RefusalCode::UnknownLink);
        assert_eq!(code(copy(&Caller::Custodian(hospital()), struck_off, &clinic())), RefusalCode::NotACustodian);
    }
}

#[test]
fn former_versions_are_copied_too_but_no_links_that_open_to_nobody() {
    let custodians = named(&["clinic"]);
    let copy = |link: Option<Link>, number, former| {
        decide_copying(&Caller::Custodian(clinic()), link, Some(&custodians), Some(&hospital()), number, former)
    };
    let summary = link("l", Category::Summary);
    let first = Version { content: Content { length: 7, ..content() }, ..summary.current.clone() };
    let former = VersionOfLink { version: first.clone(), superseded: Some(NOW) };
    let amended = Link { current: Version { number: 2, ..summary.current.clone() }, ..summary.clone() };
    assert_eq!(copy(Some(amended.clone()), 1, Some(former)), Ok(first.content));
    assert_eq!(code(copy(Some(amended), 3, None)), RefusalCode::UnknownVersion);
    assert_eq!(code(copy(None, 1, None)), RefusalCode::UnknownLink);
    let (by, at, reason) = (id("pam"), NOW, id("wrong patient"));
    let withdrawn = LinkState::Withdrawn { by, at, reason, superseded_by: None };
    assert_eq!(code(copy(Some(Link { state: withdrawn, ..summary.clone() }), 1, None)), RefusalCode::LinkWithdrawn);
    let erased = LinkState::Erased { by: id("pam"), at: NOW, reason: id("court") };
    assert_eq!(code(copy(Some(Link { state: erased, ..summary }), 1, None)), RefusalCode::LinkErased);
}

#[test]
fn custodians_gateways_know_the_openings_of_their_publishers_records_and_nobody_elses() {
    let phil = caller("phil", Role::Pharmacist);
    let summary = link("l", Category::Medication);
    let opening = opening::decide_opening(&phil, &summary, &on(&book_of(&[])), Purpose::Treatment, hash("t"), NOW);
    let opening = opening.unwrap().0;
    let custodians = named(&["clinic"]);
    let known = |caller: &Caller, custodians: Option<&Custodians>| {
        let reads = decide_reading(caller, Some(opening.clone()), custodians);
        let gives = decide_giving(caller, Some(opening.clone()), custodians);
        assert_eq!(reads.is_ok(), gives.is_ok(), "{caller:?}");
        gives.map(|given| assert_eq!(given, opening))
    };
    assert_eq!(known(&Caller::Custodian(clinic()), Some(&custodians)), Ok(()));
    assert_eq!(known(&Caller::Custodian(hospital()), None), Ok(()));
    for custodians in [None, Some(&Custodians { organisation: id("clinic"), ..named(&["clinic"]) })] {
        assert_eq!(code(known(&Caller::Custodian(clinic()), custodians)), RefusalCode::UnknownOpening);
    }
    assert_eq!(code(known(&Caller::Custodian(payer()), Some(&custodians))), RefusalCode::UnknownOpening);
    let left = Caller::Custodian(left(clinic()));
    assert_eq!(code(known(&left, Some(&custodians))), RefusalCode::OrganisationNotActive);
    let officer = caller_of(clinic(), "pat", Role::PrivacyOfficer);
    assert_eq!(code(decide_reading(&officer, Some(opening.clone()), Some(&custodians))), RefusalCode::UnknownOpening);
    assert_eq!(code(decide_giving(&officer, Some(opening.clone()), Some(&custodians))), RefusalCode::NotPermitted);
    assert_eq!(code(decide_giving(&Caller::Custodian(clinic()), None, Some(&custodians))), RefusalCode::UnknownOpening);
}

#[test]
fn a_custodians_list_has_each_organisation_once() {
    let text = r#"{"organisation":"hospital","custodians":["payer","clinic","payer"]}"#;
    let read: Custodians = serde_json::from_str(text).unwrap();
    assert_eq!(read.custodians, BTreeSet::from([id("clinic"), id("payer")]));
}
