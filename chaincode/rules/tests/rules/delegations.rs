//! What guardians may do for patients, and until when.

use std::collections::BTreeSet;

use crate::support::*;
use healthchain_rules::delegation::{
    MayDelegate, NewDelegation, decide_delegation, decide_end, decide_listing, require_acting_for,
};
use healthchain_rules::*;

const TWO_YEARS: i64 = 731 * 86_400_000;

fn new() -> NewDelegation {
    NewDelegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: [Power::Open, Power::Consent].into(),
        categories: [Category::Summary].into(),
        from: None,
        until: at(1000),
    }
}

fn gina() -> Member {
    member_of(&home(Role::Guardian), "gina", Role::Guardian)
}

fn delegate(
    caller: &Caller,
    existing: Option<Delegation>,
    new: NewDelegation,
) -> Result<Outcome<Delegation, MayDelegate>, Refusal> {
    decide_delegation(caller, Some(&gina()), existing, new, NOW)
}

fn granted(new: NewDelegation) -> Delegation {
    match delegate(&alice(), None, new) {
        Ok(Outcome::Decided(delegation, _)) => delegation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_patient_lets_a_guardian_act_from_now_on_or_from_later_on() {
    let expected = Delegation {
        id: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: [Power::Open, Power::Consent].into(),
        categories: [Category::Summary].into(),
        from: NOW,
        until: at(1000),
        state: DelegationState::Granted,
    };
    assert_eq!(granted(new()), expected);
    assert_eq!(granted(NewDelegation { from: Some(at(5)), ..new() }), Delegation { from: at(5), ..expected });
}

#[test]
fn only_the_patient_delegates() {
    for role in Role::ALL {
        let refused = delegate(&caller("somebody", role), None, new());
        assert_eq!(code(refused), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(delegate(&Caller::Custodian(hospital()), None, new())), RefusalCode::NotPermitted);
    assert_eq!(code(delegate(&suspended(alice()), None, new())), RefusalCode::MemberSuspended);
}

#[test]
fn only_guardians_who_may_act_are_delegated_to() {
    let delegate = |guardian: Option<&Member>| decide_delegation(&alice(), guardian, None, new(), NOW);
    assert_eq!(code(delegate(None)), RefusalCode::UnknownMember);
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Guardian) {
        let other = Member { role, ..gina() };
        assert_eq!(code(delegate(Some(&other))), RefusalCode::NotGuardian, "{role}");
    }
    let away = Standing::Suspended { by: id("admin"), at: at(-1), reason: id("left") };
    assert_eq!(code(delegate(Some(&Member { standing: away, ..gina() }))), RefusalCode::NotGuardian);
}

#[test]
fn a_delegation_has_powers_categories_and_an_end_within_two_years() {
    let refused = |new: NewDelegation| assert_eq!(code(delegate(&alice(), None, new)), RefusalCode::Malformed);
    refused(NewDelegation { powers: BTreeSet::new(), ..new() });
    refused(NewDelegation { categories: BTreeSet::new(), ..new() });
    granted(NewDelegation { powers: [Power::Subscribe].into(), categories: BTreeSet::new(), ..new() });

    refused(NewDelegation { until: NOW, ..new() });
    granted(NewDelegation { until: at(1), ..new() });
    refused(NewDelegation { from: Some(at(9)), until: at(9), ..new() });
    granted(NewDelegation { from: Some(at(9)), until: at(10), ..new() });
    refused(NewDelegation { from: Some(at(-9)), until: NOW, ..new() });
    refused(NewDelegation { until: at(TWO_YEARS + 1), ..new() });
    granted(NewDelegation { until: at(TWO_YEARS), ..new() });
}

#[test]
fn a_delegation_repeated_is_harmless_and_its_id_is_not_for_another() {
    let first = granted(new());
    let again = decide_delegation(&alice(), Some(&gina()), Some(first.clone()), new(), at(7));
    assert_eq!(again, Ok(Outcome::Repeated(first.clone())));
    let others = [
        NewDelegation { powers: [Power::Open].into(), ..new() },
        NewDelegation { categories: [Category::Claim].into(), ..new() },
        NewDelegation { from: Some(at(1)), ..new() },
        NewDelegation { until: at(1001), ..new() },
    ];
    for other in others {
        assert_eq!(code(delegate(&alice(), Some(first.clone()), other)), RefusalCode::DelegationExists);
    }
    let later = granted(NewDelegation { from: Some(at(5)), ..new() });
    assert_eq!(code(delegate(&alice(), Some(later), new())), RefusalCode::DelegationExists, "at once is not later");
    let ended = Delegation { state: DelegationState::Ended { by: id("gina"), at: at(1) }, ..first };
    assert_eq!(code(delegate(&alice(), Some(ended), new())), RefusalCode::DelegationExists);
}

#[test]
fn a_delegation_with_another_id_replaces_the_former() {
    let second = NewDelegation { id: id("d2"), powers: [Power::ReadAudit].into(), ..new() };
    let Ok(Outcome::Decided(replaced, _)) = delegate(&alice(), Some(granted(new())), second) else {
        panic!("not replaced")
    };
    assert_eq!((replaced.id, replaced.powers), (id("d2"), [Power::ReadAudit].into()));
}

#[test]
fn patient_and_guardian_end_a_delegation_and_nobody_else_knows_of_it() {
    for (who, role) in [("alice", Role::Patient), ("gina", Role::Guardian)] {
        let by = caller(who, role);
        let Ok(Outcome::Decided(ended, _)) = decide_end(&by, Some(granted(new())), at(3)) else { panic!("not new") };
        assert_eq!(ended.state, DelegationState::Ended { by: id(who), at: at(3) });
        assert_eq!(decide_end(&alice(), Some(ended.clone()), at(4)), Ok(Outcome::Repeated(ended)));
    }
    for role in Role::ALL {
        let refused = decide_end(&caller("somebody", role), Some(granted(new())), NOW);
        assert_eq!(code(refused), RefusalCode::UnknownDelegation, "{role}");
    }
    assert_eq!(code(decide_end(&alice(), None, NOW)), RefusalCode::UnknownDelegation);
    assert_eq!(code(decide_end(&suspended(alice()), Some(granted(new())), NOW)), RefusalCode::MemberSuspended);
    assert_eq!(code(decide_end(&Caller::Custodian(hospital()), None, NOW)), RefusalCode::NotPermitted);
}

#[test]
fn delegations_are_listed_for_those_whose_they_are() {
    assert!(decide_listing(&alice(), &id("alice")).is_ok());
    assert!(decide_listing(&caller("gina", Role::Guardian), &id("gina")).is_ok());
    for role in Role::ALL {
        assert_eq!(code(decide_listing(&caller("somebody", role), &id("alice"))), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(decide_listing(&suspended(alice()), &id("alice"))), RefusalCode::MemberSuspended);
}

fn acting(who: &Caller, power: Power, delegation: Option<&Delegation>, at: LedgerTime) -> Result<MemberId, Refusal> {
    require_acting_for(who, &id("alice"), Permission::GrantConsent, power, delegation, at)
        .map(|actor| actor.member.id.clone())
}

#[test]
fn a_guardian_acts_within_its_powers_and_period_alone() {
    let delegation = granted(NewDelegation { from: Some(at(10)), until: at(20), ..new() });
    let gina = caller("gina", Role::Guardian);
    let act = |power, when| acting(&gina, power, Some(&delegation), when);
    assert_eq!(act(Power::Consent, at(10)), Ok(id("gina")));
    assert_eq!(act(Power::Consent, at(19)), Ok(id("gina")));
    assert_eq!(code(act(Power::Consent, at(9))), RefusalCode::NotPermitted);
    assert_eq!(code(act(Power::Consent, at(20))), RefusalCode::NotPermitted);
    for power in [Power::AnswerRequests, Power::Subscribe, Power::ReadAudit, Power::CollectRewards] {
        assert_eq!(code(act(power, at(15))), RefusalCode::NotPermitted, "{power:?}");
    }
    let ended = Delegation { state: DelegationState::Ended { by: id("alice"), at: at(12) }, ..delegation.clone() };
    assert_eq!(code(acting(&gina, Power::Consent, Some(&ended), at(15))), RefusalCode::NotPermitted);
    let of_bob = Delegation { patient: id("bob"), ..delegation.clone() };
    assert_eq!(code(acting(&gina, Power::Consent, Some(&of_bob), at(15))), RefusalCode::NotPermitted);
    let to_greg = Delegation { guardian: id("greg"), ..delegation.clone() };
    assert_eq!(code(acting(&gina, Power::Consent, Some(&to_greg), at(15))), RefusalCode::NotPermitted);
    assert_eq!(code(acting(&gina, Power::Consent, None, at(15))), RefusalCode::NotPermitted);
    let away = suspended(gina);
    assert_eq!(code(acting(&away, Power::Consent, Some(&delegation), at(15))), RefusalCode::MemberSuspended);
}

#[test]
fn a_patient_acts_without_a_delegation_and_no_other_role_acts_with_one() {
    assert_eq!(acting(&alice(), Power::Consent, None, NOW), Ok(id("alice")));
    assert_eq!(code(acting(&caller("bob", Role::Patient), Power::Consent, None, NOW)), RefusalCode::NotPermitted);
    let delegation = granted(new());
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Guardian) {
        let refused = acting(&caller("gina", role), Power::Consent, Some(&delegation), NOW);
        assert_eq!(code(refused), RefusalCode::NotPermitted, "{role}");
    }
}
