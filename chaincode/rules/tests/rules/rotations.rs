//! Who replaces a member's keys.

use crate::support::*;
use healthchain_rules::rotation::{MayRotate, NewKeys, Rotation, RotationState, decide_rotation};
use healthchain_rules::*;

type Rotated = Result<Outcome<Rotation, MayRotate>, Refusal>;

fn keys(name: &str) -> NewKeys {
    NewKeys { key_hash: hash(&format!("s-{name}")), encryption_key: key(name) }
}

fn carol() -> Member {
    member_of(&hospital(), "carol", Role::Clinician)
}

fn rotate(caller: &Caller, member: &Member, keys: NewKeys) -> Rotated {
    let present = KeyHolder::Member(member.id.clone());
    let state = RotationState { member: Some(member), present: Some(&present), taken: None };
    decide_rotation(caller, state, keys)
}

fn decided(rotated: Rotated) -> Rotation {
    match rotated {
        Ok(Outcome::Decided(rotation, _)) => rotation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_replace_their_own_keys_whatever_their_role() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Agent) {
        let caller = caller("somebody", role);
        let member = &caller.member().unwrap().member;
        let rotation = decided(rotate(&caller, member, keys("next")));
        let expected = Member { key_hash: hash("s-next"), encryption_key: key("next"), ..member.clone() };
        assert_eq!(rotation.member, expected, "{role}");
        assert_eq!(rotation.former, hash("s-somebody"));
        assert_eq!(rotation.holder, KeyHolder::Member(id("somebody")));
    }
}

#[test]
fn an_administrator_replaces_lost_keys_but_neither_a_patients_nor_a_guardians() {
    for role in Role::ALL {
        let organisation = home(role);
        let lost = member_of(&organisation, "somebody", role);
        let administrator = caller_of(organisation, "adam", Role::Administrator);
        let rotated = rotate(&administrator, &lost, keys("next"));
        if matches!(role, Role::Patient | Role::Guardian) {
            assert_eq!(code(rotated), RefusalCode::NotPermitted, "{role}");
        } else {
            assert_eq!(decided(rotated).member.key_hash, hash("s-next"), "{role}");
        }
    }
}

#[test]
fn an_agents_owner_and_administrators_replace_its_keys_and_it_stays_an_agent() {
    let bot = member_of(&hospital(), "bot", Role::Agent);
    let present = KeyHolder::Agent { agent: id("bot"), owner: id("carol") };
    let state = RotationState { member: Some(&bot), present: Some(&present), taken: None };
    for keeper in [caller("carol", Role::Clinician), caller("adam", Role::Administrator)] {
        let rotation = decided(decide_rotation(&keeper, state, keys("next")));
        assert_eq!((rotation.member.key_hash, rotation.holder), (hash("s-next"), present.clone()));
    }
    let other = decide_rotation(&caller("dora", Role::Clinician), state, keys("next"));
    assert_eq!(code(other), RefusalCode::NotPermitted);
}

#[test]
fn keys_are_replaced_by_nobody_else() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Administrator) {
        assert_eq!(code(rotate(&caller("other", role), &carol(), keys("next"))), RefusalCode::NotPermitted, "{role}");
    }
    let elsewhere = caller_of(clinic(), "adele", Role::Administrator);
    assert_eq!(code(rotate(&elsewhere, &carol(), keys("next"))), RefusalCode::OtherOrganisation);
    assert_eq!(code(rotate(&Caller::Custodian(hospital()), &carol(), keys("next"))), RefusalCode::NotPermitted);
    let nobody = RotationState { member: None, present: None, taken: None };
    let adam = caller("adam", Role::Administrator);
    assert_eq!(code(decide_rotation(&adam, nobody, keys("next"))), RefusalCode::UnknownMember);
    let away = suspended(caller("carol", Role::Clinician));
    assert_eq!(code(rotate(&away, &carol(), keys("next"))), RefusalCode::MemberSuspended);
}

#[test]
fn one_of_the_two_keys_may_stay_and_when_both_do_nothing_changes() {
    let caller = caller("carol", Role::Clinician);
    let signing = NewKeys { encryption_key: carol().encryption_key, ..keys("next") };
    let rotation = decided(rotate(&caller, &carol(), signing));
    assert_eq!(rotation.member, Member { key_hash: hash("s-next"), ..carol() });

    let encryption = NewKeys { key_hash: carol().key_hash, ..keys("next") };
    let present = KeyHolder::Member(id("carol"));
    let state = RotationState { member: Some(&carol()), present: Some(&present), taken: Some(&present) };
    let rotation = decided(decide_rotation(&caller, state, encryption));
    assert_eq!(rotation.member, Member { encryption_key: key("next"), ..carol() });
    assert_eq!(rotation.former, carol().key_hash);

    let same = decide_rotation(&caller, state, keys("carol"));
    let unchanged = Rotation { member: carol(), former: carol().key_hash, holder: present.clone() };
    assert_eq!(same, Ok(Outcome::Repeated(unchanged)));
}

#[test]
fn a_key_that_somebody_has_or_had_is_taken_also_for_who_had_it() {
    let caller = caller("carol", Role::Clinician);
    let present = KeyHolder::Member(id("carol"));
    for taken in [KeyHolder::Member(id("dora")), KeyHolder::Gateway(id("hospital")), KeyHolder::Former(id("carol"))] {
        let state = RotationState { member: Some(&carol()), present: Some(&present), taken: Some(&taken) };
        assert_eq!(code(decide_rotation(&caller, state, keys("next"))), RefusalCode::KeyTaken, "{taken:?}");
    }
}

#[test]
fn a_suspended_members_lost_key_is_replaced_and_a_retired_members_is_not() {
    let adam = caller("adam", Role::Administrator);
    let standing = Standing::Suspended { by: id("adam"), at: at(-1), reason: id("lost the key") };
    let rotation = decided(rotate(&adam, &Member { standing: standing.clone(), ..carol() }, keys("next")));
    assert_eq!(rotation.member.standing, standing, "it stays suspended");
    let retired = Member { standing: Standing::Retired { at: at(-1), by: None, reason: None }, ..carol() };
    assert_eq!(code(rotate(&adam, &retired, keys("next"))), RefusalCode::StandingConflict);
}

#[test]
fn a_former_key_signs_for_nobody() {
    let signer = Signer { msp_id: id("hospital"), key_hash: hash("s-carol"), is_administrator: false };
    let former = KeyHolder::Former(id("carol"));
    let identified = Caller::identify(&signer, Some(&former), Some(carol()), Some(hospital()), None);
    assert_eq!(code(identified), RefusalCode::UnknownCaller);
}
