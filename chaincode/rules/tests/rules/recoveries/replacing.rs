//! A recovery that too few have approved gives way to another trustee's.

use super::*;
use healthchain_rules::recovery::{RecoveryAct, RecoveryState, Replaced};

/// All three of them.
fn all() -> RecoveryPlan {
    let trustees = trustees(&[person("gina"), person("carol"), administrators("hospital")], 3);
    RecoveryPlan { trustees, ..plan() }
}

fn begin_as(by: &Caller, latest: Option<&Recovery>, name: &str, when: LedgerTime) -> GoesOn {
    let (plan, patient) = (all(), patient());
    let state = BeginningState { patient: Some(&patient), plan: Some(&plan), latest, taken: None };
    decide_beginning(by, state, new(name), HOURS, when)
}

/// Found by review: a trustee who began again and again blocked the recovery for ever.
#[test]
fn another_trustees_beginning_replaces_a_recovery_that_collects_approvals_and_tells_which() {
    let first = decided(begin_as(&carol(), None, "r1", NOW));
    assert_eq!(first.replaced, None);
    let second = decided(begin_as(&gina(), Some(&first), "r2", at(1)));
    let replaced = Replaced { recovery: id("r1"), approved_by: [person("carol")].into() };
    assert_eq!((&second.id, &second.by, &second.replaced), (&id("r2"), &id("gina"), &Some(replaced)));
    assert_eq!(second.approvals.len(), 1, "the other's approvals are not its own");
    assert_eq!(second.begun, at(1));
    let RecoveryAct::RecoveryBegun { replaced, .. } = RecoveryAct::of_beginning(&second) else {
        panic!("no beginning")
    };
    assert_eq!(replaced, Some(id("r1")));
    let gone = decide_approval(&adam(), Some(second), &id("r1"), Some(&patient()), HOURS, at(2));
    assert_eq!(code(gone), RefusalCode::UnknownRecovery, "the replaced one has ended");
}

#[test]
fn who_began_a_recovery_does_not_replace_it_nor_does_anybody_one_that_waits() {
    let first = decided(begin_as(&carol(), None, "r1", NOW));
    assert_eq!(code(begin_as(&carol(), Some(&first), "r2", at(1))), RefusalCode::RecoveryOpen);
    let waiting = Recovery { id: id("r0"), ..waiting() };
    for other in [gina(), carol(), adam()] {
        assert_eq!(code(begin_as(&other, Some(&waiting), "r2", at(1))), RefusalCode::RecoveryOpen);
    }
    assert_eq!(code(begin_as(&caller("dora", Role::Clinician), Some(&first), "r2", at(1))), RefusalCode::NotPermitted);
    let after = decided(begin_as(&gina(), Some(&first), "r2", at(LAPSE)));
    assert_eq!(after.replaced, None, "one that has lapsed is not replaced");
}

/// Found by review: a trustee who began again and again blocked the recovery for ever.
#[test]
fn those_whose_recovery_was_replaced_do_not_replace_the_other_in_turn() {
    let first = decided(begin_as(&adam(), None, "r1", NOW));
    let second = decided(begin_as(&gina(), Some(&first), "r2", at(1)));
    let colleague = caller("anna", Role::Administrator);
    for replaced in [adam(), colleague] {
        assert_eq!(code(begin_as(&replaced, Some(&second), "r3", at(2))), RefusalCode::RecoveryOpen);
        assert!(approve(&replaced, &second, at(2)).is_ok(), "but approve it");
    }
    let third = decided(begin_as(&carol(), Some(&second), "r3", at(2)));
    assert_eq!(third.replaced, Some(Replaced { recovery: id("r2"), approved_by: [person("gina")].into() }));
    assert_eq!(third.state, RecoveryState::Collecting);
}
