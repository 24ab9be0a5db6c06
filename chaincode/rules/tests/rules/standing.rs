//! How members retire, and why an organisation always keeps an administrator.

use crate::support::*;
use healthchain_rules::standing::{
    MayChangeStanding, as_seen_by, decide_listing, decide_reinstatement, decide_retirement, decide_suspension,
};
use healthchain_rules::*;
use proptest::prelude::*;

fn adam() -> Caller {
    caller("adam", Role::Administrator)
}

fn carol() -> Member {
    member_of(&hospital(), "carol", Role::Clinician)
}

fn retire(caller: &Caller, member: Member) -> Result<Outcome<Member, MayChangeStanding>, Refusal> {
    decide_retirement(caller, Some(member), id("left"), NOW)
}

fn retired() -> Member {
    let standing = Standing::Retired { at: NOW, by: Some(id("adam")), reason: Some(id("left")) };
    Member { standing, ..carol() }
}

/// Found by review: everybody saw which permission groups a member is in.
#[test]
fn a_members_groups_are_seen_by_its_organisation_alone() {
    let member = Member { groups: [(id("g1"), group("g1").privileges)].into(), ..carol() };
    for own in [caller("carol", Role::Clinician), caller("dora", Role::Clinician), Caller::Custodian(hospital())] {
        assert_eq!(as_seen_by(&own, member.clone()), member);
    }
    let adele = caller_of(clinic(), "adele", Role::Administrator);
    for other in [alice(), adele, Caller::Custodian(clinic())] {
        assert_eq!(as_seen_by(&other, member.clone()), carol());
    }
}

#[test]
fn an_administrator_retires_active_and_suspended_members_for_ever() {
    let away = Standing::Suspended { by: id("adam"), at: at(-1), reason: id("lost the key") };
    for member in [carol(), Member { standing: away, ..carol() }] {
        let Ok(Outcome::Decided(decided, _)) = retire(&adam(), member) else { panic!("not new") };
        assert_eq!(decided, retired());
    }
    let again = decide_retirement(&adam(), Some(retired()), id("left"), at(7));
    assert_eq!(again, Ok(Outcome::Repeated(retired())));
    let other = decide_retirement(&adam(), Some(retired()), id("died"), NOW);
    assert_eq!(code(other), RefusalCode::StandingConflict);
    assert_eq!(code(decide_reinstatement(&adam(), Some(retired()))), RefusalCode::StandingConflict);
    let suspension = decide_suspension(&adam(), Some(retired()), id("left"), NOW);
    assert_eq!(code(suspension), RefusalCode::StandingConflict);
}

#[test]
fn retirement_is_refused_to_others_for_oneself_and_for_other_organisations() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Administrator) {
        assert_eq!(code(retire(&caller("other", role), carol())), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(retire(&Caller::Custodian(hospital()), carol())), RefusalCode::NotPermitted);
    assert_eq!(code(retire(&suspended(adam()), carol())), RefusalCode::MemberSuspended);
    let adele = caller_of(clinic(), "adele", Role::Administrator);
    assert_eq!(code(retire(&adele, carol())), RefusalCode::OtherOrganisation);
    let himself = member_of(&hospital(), "adam", Role::Administrator);
    assert_eq!(code(retire(&adam(), himself)), RefusalCode::OwnSuspension);
    assert_eq!(code(decide_retirement(&adam(), None, id("left"), NOW)), RefusalCode::UnknownMember);
}

#[test]
fn no_program_stops_its_owner_but_it_stops_others_for_its_owner() {
    let program = agent_of(actor("adam", Role::Administrator), "bot", "Members:retire");
    assert!(matches!(retire(&program, carol()), Ok(Outcome::Decided(..))));
    let owner = || member_of(&hospital(), "adam", Role::Administrator);
    assert_eq!(code(retire(&program, owner())), RefusalCode::OwnSuspension);
    assert_eq!(code(retire(&program, member_of(&hospital(), "bot", Role::Agent))), RefusalCode::OwnSuspension);
    let program = agent_of(actor("adam", Role::Administrator), "bot", "Members:suspend");
    assert_eq!(code(decide_suspension(&program, Some(owner()), id("left"), NOW)), RefusalCode::OwnSuspension);
}

#[test]
fn whom_a_group_lets_stop_members_stops_no_administrator() {
    let Caller::Member(mut actor) = caller("carla", Role::Clinician) else { panic!("no member") };
    let grants = [Permission::SuspendMember].into();
    let privileges = Privileges { level: 1, grants, withholds: Default::default() };
    actor.member.groups.insert(id("wardens"), privileges);
    let warden = Caller::Member(actor);
    assert!(matches!(retire(&warden, carol()), Ok(Outcome::Decided(..))));
    let adam = member_of(&hospital(), "adam", Role::Administrator);
    assert_eq!(code(retire(&warden, adam.clone())), RefusalCode::NotPermitted);
    assert_eq!(code(decide_suspension(&warden, Some(adam), id("left"), NOW)), RefusalCode::NotPermitted);
}

#[test]
fn a_retirement_of_the_first_release_is_still_read() {
    let read: Standing = serde_json::from_str(r#"{"standing":"retired","at":5}"#).unwrap();
    let expected = Standing::Retired { at: LedgerTime::from_milliseconds(5), by: None, reason: None };
    assert_eq!(read, expected);
    assert_eq!(serde_json::to_string(&expected).unwrap(), r#"{"standing":"retired","at":5}"#);
}

#[test]
fn members_are_listed_for_administrators_and_privacy_officers_of_their_organisation() {
    for role in Role::ALL {
        let caller = caller("someone", role);
        let listed = decide_listing(&caller, &caller.organisation().msp_id);
        assert_eq!(listed.is_ok(), matches!(role, Role::Administrator | Role::PrivacyOfficer), "{role}");
    }
    assert_eq!(code(decide_listing(&caller("carol", Role::Clinician), &id("hospital"))), RefusalCode::NotPermitted);
    assert_eq!(code(decide_listing(&adam(), &id("clinic"))), RefusalCode::OtherOrganisation);
    assert_eq!(code(decide_listing(&suspended(adam()), &id("hospital"))), RefusalCode::MemberSuspended);
    assert_eq!(code(decide_listing(&Caller::Custodian(hospital()), &id("hospital"))), RefusalCode::NotPermitted);
}

/// What an administrator does to another: suspends, reinstates, retires.
fn change() -> impl Strategy<Value = (usize, usize, u8)> {
    (0usize..4, 0usize..4, 0u8..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_administrators_do_to_each_other_one_who_may_act_stays(
        changes in prop::collection::vec(change(), 0..40),
    ) {
        let mut administrators: Vec<Member> =
            ["a", "b", "c", "d"].map(|name| member_of(&hospital(), name, Role::Administrator)).into();
        for (who, whom, change) in changes {
            let actor = Actor { member: administrators[who].clone(), ..actor("adam", Role::Administrator) };
            let (caller, member) = (Caller::Member(Box::new(actor)), Some(administrators[whom].clone()));
            let decided = match change {
                0 => decide_suspension(&caller, member, id("left"), NOW),
                1 => decide_reinstatement(&caller, member),
                _ => decide_retirement(&caller, member, id("left"), NOW),
            };
            if let Ok(Outcome::Decided(changed, _)) = decided {
                prop_assert_eq!(&administrators[who].standing, &Standing::Active, "who may not act changes nothing");
                let was_retired = matches!(administrators[whom].standing, Standing::Retired { .. });
                prop_assert!(!was_retired, "retirement is final");
                administrators[whom] = changed;
            }
            prop_assert!(administrators.iter().any(|one| one.standing == Standing::Active));
        }
    }
}
