//! What each change needs, and what carrying it out writes.

use std::collections::BTreeSet;

use crate::governance::{admin, admit, affairs, expel, left, never_entered, propose};
use crate::support::*;
use healthchain_rules::change::{Affairs, Change, Execution};
use healthchain_rules::governance::{Base, Choice, Proposal, Ruling, decide_vote};
use healthchain_rules::*;

/// What an only organisation's proposal writes.
fn execute(change: Change, affairs: &Affairs) -> Result<Execution, Refusal> {
    propose("a", change, affairs).map(|Ruling { execution, .. }| execution.unwrap())
}

fn refused(change: Change, affairs: &Affairs) -> RefusalCode {
    code(execute(change, affairs))
}

/// What a's proposal writes when b approves it.
fn execute_with_b(change: Change, affairs: &Affairs) -> Result<Execution, Refusal> {
    let proposal = propose("a", change, affairs)?.proposal;
    match decide_vote(&admin("b"), Some(proposal), Choice::Approve, None, affairs, NOW)? {
        Outcome::Decided(Ruling { execution, .. }, _) => Ok(execution.unwrap()),
        repeated @ Outcome::Repeated(_) => panic!("{repeated:?}"),
    }
}

#[test]
fn an_organisation_is_admitted_once() {
    let mut two = affairs(&["a"]);
    two.organisations.push(Organisation { state: OrganisationState::Founded, ..left("b") });
    assert_eq!(refused(admit("a"), &two), RefusalCode::OrganisationExists);
    assert_eq!(refused(admit("b"), &two), RefusalCode::OrganisationExists);
}

#[test]
fn an_organisation_that_left_is_admitted_again_with_its_kind() {
    let mut affairs = affairs(&["a"]);
    affairs.organisations.push(left("b"));
    let founded = Organisation { state: OrganisationState::Founded, ..left("b") };
    assert_eq!(
        execute(admit("b"), &affairs).unwrap(),
        Execution::Organisation { organisation: founded, former_gateway_key: None }
    );
    let otherwise = Change::AdmitOrganisation { msp_id: id("b"), kind: OrganisationKind::Pharmacy };
    assert_eq!(refused(otherwise, &affairs), RefusalCode::OrganisationExists);
}

#[test]
fn there_are_at_most_64_organisations_beside_those_that_left() {
    let mut affairs = affairs(&["a"]);
    affairs.organisations.extend((1..limit::ORGANISATIONS).map(|n| never_entered(&format!("o{n}"))));
    assert_eq!(refused(admit("new"), &affairs), RefusalCode::TooManyOrganisations);
    affairs.organisations[1] = left("o1");
    assert!(propose("a", admit("new"), &affairs).is_ok());
    assert!(propose("a", admit("o1"), &affairs).is_ok());
}

#[test]
fn an_organisation_leaves_at_the_time_of_the_deciding_vote() {
    let two = affairs(&["a", "b"]);
    let proposal = propose("a", expel("b"), &two).unwrap().proposal;
    let voted = decide_vote(&admin("b"), Some(proposal), Choice::Approve, None, &two, at(7));
    let Ok(Outcome::Decided(Ruling { execution: Some(execution), .. }, _)) = voted else { panic!("{voted:?}") };
    let gone = Organisation { state: OrganisationState::Left { at: at(7) }, ..left("b") };
    assert_eq!((gone.encryption_key(), gone.gateway_key_hash(), gone.is_active()), (None, None, false));
    assert_eq!(execution, Execution::Organisation { organisation: gone, former_gateway_key: Some(hash("g-b")) });
}

#[test]
fn the_last_active_organisation_stays() {
    let mut alone = affairs(&["a"]);
    alone.organisations.extend([left("o1"), never_entered("o2")]);
    assert_eq!(refused(expel("a"), &alone), RefusalCode::LastOrganisation);
    assert_eq!(refused(expel("o1"), &alone), RefusalCode::OrganisationLeft);
    assert_eq!(refused(expel("nobody"), &alone), RefusalCode::UnknownOrganisation);
    let mut two = affairs(&["a", "b"]);
    two.organisations.push(never_entered("o2"));
    let gone = Organisation { state: OrganisationState::Left { at: NOW }, ..left("o2") };
    let expected = Execution::Organisation { organisation: gone, former_gateway_key: None };
    assert_eq!(execute_with_b(expel("o2"), &two).unwrap(), expected, "one that never entered");
}

fn exchange(msp_id: &str, gateway_key: &str) -> Change {
    Change::ChangeOrganisation {
        msp_id: id(msp_id),
        gateway_url: id("https://new.example"),
        gateway_key_hash: hash(gateway_key),
        encryption_key: key("new"),
    }
}

#[test]
fn an_organisation_exchanges_its_gateway_and_keys_in_place() {
    let changed = Organisation {
        state: OrganisationState::Active {
            encryption_key: key("new"),
            gateway_url: id("https://new.example"),
            gateway_key_hash: hash("new"),
            entered: at(-1000),
        },
        ..organisation("a", OrganisationKind::Payer)
    };
    let expected = Execution::Organisation { organisation: changed, former_gateway_key: Some(hash("g-a")) };
    assert_eq!(execute(exchange("a", "new"), &affairs(&["a"])).unwrap(), expected);
    let same = Affairs { key_holder: Some(KeyHolder::Gateway(id("a"))), ..affairs(&["a"]) };
    assert!(execute(exchange("a", "g-a"), &same).is_ok(), "the gateway keeps its key");
}

#[test]
fn keys_are_exchanged_by_their_own_organisation_and_not_for_a_members() {
    let two = affairs(&["a", "b"]);
    assert_eq!(code(propose("a", exchange("b", "new"), &two)), RefusalCode::OtherOrganisation);
    assert!(propose("b", exchange("b", "new"), &two).is_ok());
    let agent = KeyHolder::Agent { agent: id("bot"), owner: id("adam") };
    for holder in [KeyHolder::Member(id("adam")), agent] {
        let taken = Affairs { key_holder: Some(holder), ..affairs(&["a"]) };
        assert_eq!(refused(exchange("a", "new"), &taken), RefusalCode::KeyTaken);
    }
}

fn appoint(organisation: &str) -> Change {
    Change::AppointAdministrator {
        organisation: id(organisation),
        member: id("anna"),
        key_hash: hash("s-anna"),
        encryption_key: key("anna"),
    }
}

#[test]
fn an_organisation_without_administrators_is_given_one() {
    let Execution::Administrator(anna) = execute(appoint("a"), &affairs(&["a"])).unwrap() else { panic!("not one") };
    let expected = member_of(&organisation("a", OrganisationKind::Payer), "anna", Role::Administrator);
    assert_eq!(anna.attestation.by, id("admin-a"));
    assert_eq!(*anna, Member { attestation: anna.attestation.clone(), ..expected });
}

#[test]
fn an_appointed_administrator_has_an_id_and_a_key_of_its_own_in_an_active_organisation() {
    let mut some = affairs(&["a"]);
    some.organisations.push(left("b"));
    some.organisations.push(Organisation { state: OrganisationState::Founded, ..left("c") });
    assert_eq!(refused(appoint("b"), &some), RefusalCode::OrganisationLeft);
    assert_eq!(refused(appoint("c"), &some), RefusalCode::NotEntered);
    assert_eq!(refused(appoint("d"), &some), RefusalCode::UnknownOrganisation);
    let anna = member_of(&clinic(), "anna", Role::Clinician);
    assert_eq!(refused(appoint("a"), &Affairs { members: vec![anna], ..some.clone() }), RefusalCode::MemberExists);
    let taken = Affairs { key_holder: Some(KeyHolder::Member(id("other"))), ..some };
    assert_eq!(refused(appoint("a"), &taken), RefusalCode::KeyTaken);
}

#[test]
fn settings_are_replaced_within_their_bounds() {
    let change = |settings: &Settings| Change::ChangeSettings { settings: settings.clone() };
    let alone = affairs(&["a"]);
    assert_eq!(execute(change(&Settings::default()), &alone).unwrap(), Execution::Settings(Settings::default()));
    type Set = fn(&mut Settings, u32);
    let bounded: [(u32, u32, Set); 7] = [
        (1, 90, |settings, value| settings.proposal_days = value),
        (1, 90, |settings, value| settings.amendment_days = value),
        (1, 24, |settings, value| settings.emergency_hours = value),
        (1, 30, |settings, value| settings.review_days = value),
        (24, 720, |settings, value| settings.recovery_hours = value),
        (0, 1_000_000, |settings, value| settings.notarization_price = value),
        (1, 64, |settings, value| settings.amendment_quorum = [(Category::Claim, value)].into()),
    ];
    for (number, (least, most, set)) in bounded.into_iter().enumerate() {
        let with = |value| {
            let mut settings = Settings::default();
            set(&mut settings, value);
            execute(change(&settings), &alone)
        };
        assert!(with(least).is_ok() && with(most).is_ok(), "{number}");
        assert_eq!(code(with(most + 1)), RefusalCode::Malformed, "{number}");
        if let Some(below) = least.checked_sub(1) {
            assert_eq!(code(with(below)), RefusalCode::Malformed, "{number}");
        }
    }
}

/// Found by review: a proposal that was carried late overwrote what had been changed meanwhile.
#[test]
fn what_was_changed_since_the_proposal_is_not_overwritten() {
    let two = affairs(&["a", "b"]);
    let shorter = Settings { review_days: 2, ..Settings::default() };
    let group = crate::support::group("g");
    let privileges = Privileges { level: 2, grants: [Permission::Notarize].into(), withholds: BTreeSet::new() };
    let wider = Group { privileges: privileges.clone(), ..group.clone() };
    let anna = member_of(&clinic(), "anna", Role::Clinician);
    let with = |group: &Group| Affairs { group: Some(group.clone()), members: vec![anna.clone()], ..two.clone() };
    let Ok(Execution::Organisation { organisation: moved, .. }) = execute(exchange("a", "k"), &affairs(&["a"])) else {
        panic!("not moved")
    };
    let of_a = |a: Organisation| Affairs { organisations: vec![a, two.organisations[1].clone()], ..two.clone() };
    let settings = Change::ChangeSettings { settings: Settings { proposal_days: 3, ..Settings::default() } };
    let regroup = Change::ChangeGroup { group: id("g"), privileges, members: [id("anna")].into() };
    let before = two.organisations[0].clone();
    for (change, base, now, meanwhile) in [
        (settings, Base::Settings(Settings::default()), two.clone(), Affairs { settings: shorter, ..two.clone() }),
        (regroup, Base::Group(group.clone()), with(&group), with(&wider)),
        (exchange("a", "new"), Base::Organisation(before), two.clone(), of_a(moved)),
    ] {
        let proposal = propose("a", change, &now).unwrap().proposal;
        assert_eq!(proposal.base, Some(base));
        let vote = |proposal: &Proposal, choice, affairs: &Affairs| {
            decide_vote(&admin("b"), Some(proposal.clone()), choice, None, affairs, NOW)
        };
        let carried =
            |voted: Result<_, Refusal>| matches!(voted, Ok(Outcome::Decided(Ruling { execution: Some(_), .. }, _)));
        assert!(carried(vote(&proposal, Choice::Approve, &now)));
        assert_eq!(code(vote(&proposal, Choice::Approve, &meanwhile)), RefusalCode::ProposalOutdated);
        assert!(vote(&proposal, Choice::Reject, &meanwhile).is_ok(), "it can be rejected");
        let of_before = Proposal { base: None, ..proposal };
        assert!(carried(vote(&of_before, Choice::Approve, &meanwhile)), "a proposal of before knows no base");
    }
}

#[test]
fn a_change_says_what_it_is_about() {
    let members: BTreeSet<MemberId> = [id("m1"), id("m2")].into();
    let privileges = Privileges { level: 1, grants: [Permission::Notarize].into(), withholds: BTreeSet::new() };
    let make = Change::MakeGroup { group: id("g"), privileges: privileges.clone(), members: members.clone() };
    let change = Change::ChangeGroup { group: id("g"), privileges, members };
    let (m1, m2) = (id("m1"), id("m2"));
    for group in [&make, &change] {
        assert_eq!((group.group(), group.members()), (Some(&id("g")), vec![&m1, &m2]));
    }
    assert_eq!(Change::DissolveGroup { group: id("g") }.group(), Some(&id("g")));
    assert_eq!((appoint("a").members(), appoint("a").group()), (vec![&id("anna")], None));
    assert_eq!(appoint("a").signing_key(), Some((&id("a"), &hash("s-anna"))));
    assert_eq!(exchange("a", "new").signing_key(), Some((&id("a"), &hash("new"))));
    assert_eq!(appoint("a").encryption_key(), Some(&key("anna")));
    assert_eq!(exchange("a", "new").encryption_key(), Some(&key("new")));
    assert_eq!((make.signing_key(), make.encryption_key()), (None, None));
    assert!(exchange("a", "new").members().is_empty());
}

#[test]
fn a_change_has_one_form_on_the_wire_and_nothing_else_in_it() {
    for change in [admit("a"), expel("a"), exchange("a", "k"), appoint("a"), Change::DissolveGroup { group: id("g") }] {
        let mut json = serde_json::to_value(&change).unwrap();
        assert_eq!(serde_json::from_value::<Change>(json.clone()).unwrap(), change);
        json["more"] = 1.into();
        assert!(serde_json::from_value::<Change>(json).is_err());
    }
}
