use std::collections::BTreeMap;

use crate::support::*;
use healthchain_rules::accounting::HoldBook;
use healthchain_rules::delegation::{DelegationState, Power};
use healthchain_rules::replay::{RULES, decide_replaying, require_evidence};
use healthchain_rules::*;

/// The payer's, of a record that the hospital keeps.
fn opening() -> Opening {
    let opener = caller("pia", Role::PayerOfficer);
    let link = link("l1", Category::Summary);
    let purpose = Purpose::Payment;
    opening::decide_opening(&opener, &link, &Grounds::default(), purpose, hash("transaction"), NOW).unwrap().0
}

fn evidence() -> Evidence {
    Evidence { rules: 7, signing_key: hash("s-pia"), values: BTreeMap::new() }
}

fn replaying(caller: &Caller) -> Result<Opening, Refusal> {
    decide_replaying(caller, Some(opening()), None, &HoldBook::default(), NOW)
}

#[test]
fn a_replay_is_for_the_patient_and_both_organisations_auditors() {
    assert_eq!(replaying(&alice()), Ok(opening()));
    for organisation in [hospital(), home(Role::PayerOfficer), clinic()] {
        for role in Role::ALL {
            let found = replaying(&caller_of(organisation.clone(), "other", role));
            let is_auditor = matches!(role, Role::Administrator | Role::PrivacyOfficer);
            if is_auditor && organisation != clinic() {
                assert_eq!(found, Ok(opening()));
            } else {
                assert_eq!(code(found), RefusalCode::UnknownOpening, "{role}");
            }
        }
    }
    assert_eq!(code(replaying(&suspended(alice()))), RefusalCode::MemberSuspended);
    assert_eq!(code(replaying(&Caller::Custodian(hospital()))), RefusalCode::NotPermitted);
    assert_eq!(code(decide_replaying(&alice(), None, None, &HoldBook::default(), NOW)), RefusalCode::UnknownOpening);
}

#[test]
fn a_guardian_replays_what_the_patient_lets_read() {
    let let_gus = Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gus"),
        powers: [Power::ReadAudit].into(),
        categories: [].into(),
        from: at(-10),
        until: at(10),
        state: DelegationState::Granted,
    };
    let gus = caller("gus", Role::Guardian);
    assert!(decide_replaying(&gus, Some(opening()), Some(&let_gus), &HoldBook::default(), NOW).is_ok());
    let over = decide_replaying(&gus, Some(opening()), Some(&let_gus), &HoldBook::default(), at(10));
    assert_eq!(code(over), RefusalCode::UnknownOpening);
    let other = Delegation { powers: [Power::Open].into(), ..let_gus };
    assert_eq!(
        code(decide_replaying(&gus, Some(opening()), Some(&other), &HoldBook::default(), NOW)),
        RefusalCode::UnknownOpening
    );
}

#[test]
fn an_opening_without_evidence_is_not_replayed() {
    assert_eq!(require_evidence(Some(evidence())), Ok(evidence()));
    assert_eq!(code(require_evidence(None)), RefusalCode::NoEvidence);
}

#[test]
fn a_replay_agrees_when_everything_is_the_same_and_nothing_is_missing() {
    let same = Replay::compare(opening(), &evidence(), Some(opening()), Vec::new());
    let expected = Replay {
        opening: hash("transaction"),
        decided_by_rules: 7,
        replayed_by_rules: RULES,
        recorded: opening().decision,
        replayed: Some(opening().decision),
        agrees: true,
        missing: Vec::new(),
    };
    assert_eq!(same, expected);
}

#[test]
fn a_replay_that_differs_or_misses_values_does_not_agree() {
    let denial = Decision::Denied { reason: Denial::MemberRetired, provision: None, exception: None };
    let other = Opening { decision: denial.clone(), ..opening() };
    let differs = Replay::compare(opening(), &evidence(), Some(other), Vec::new());
    assert_eq!((differs.agrees, differs.replayed), (false, Some(denial)));
    let undecided = Replay::compare(opening(), &evidence(), None, Vec::new());
    assert_eq!((undecided.agrees, undecided.replayed), (false, None));
    let missing = vec!["member/pia".to_owned()];
    let incomplete = Replay::compare(opening(), &evidence(), Some(opening()), missing.clone());
    assert_eq!((incomplete.agrees, incomplete.replayed, incomplete.missing), (false, None, missing));
}
