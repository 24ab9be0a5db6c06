//! Permission groups: how they are made, changed and dissolved, and why somebody may do something.

use std::collections::{BTreeMap, BTreeSet};

use crate::governance::{affairs, propose};
use crate::support::*;
use healthchain_rules::change::{Affairs, Change, Execution};
use healthchain_rules::group::decide_explanation;
use healthchain_rules::*;

fn privileges(level: u8, grants: &[Permission], withholds: &[Permission]) -> Privileges {
    Privileges { level, grants: grants.iter().copied().collect(), withholds: withholds.iter().copied().collect() }
}

fn notaries() -> Privileges {
    privileges(3, &[Permission::Notarize], &[])
}

fn names(members: &[&str]) -> BTreeSet<MemberId> {
    members.iter().map(|name| id(name)).collect()
}

fn make(privileges: Privileges, members: &[&str]) -> Change {
    Change::MakeGroup { group: id("g"), privileges, members: names(members) }
}

fn change(privileges: Privileges, members: &[&str]) -> Change {
    Change::ChangeGroup { group: id("g"), privileges, members: names(members) }
}

fn dissolve() -> Change {
    Change::DissolveGroup { group: id("g") }
}

fn clinician(name: &str, groups: &[(&str, Privileges)]) -> Member {
    let groups = groups.iter().map(|(name, privileges)| (id(name), privileges.clone())).collect();
    Member { groups, ..member_of(&hospital(), name, Role::Clinician) }
}

/// The group of notaries with these members, who know that they are in it, and others who are not.
fn with_group(members: &[&str], others: &[&str]) -> Affairs {
    let group = Group {
        id: id("g"),
        privileges: notaries(),
        members: members.iter().map(|name| (id(name), id("hospital"))).collect(),
        state: GroupState::Active,
    };
    let members = members.iter().map(|name| clinician(name, &[("g", notaries())]));
    let members = members.chain(others.iter().map(|name| clinician(name, &[]))).collect();
    Affairs { group: Some(group), groups: 1, members, ..affairs(&["a"]) }
}

fn execute(change: Change, affairs: &Affairs) -> Result<(Group, Vec<Member>), Refusal> {
    match propose("a", change, affairs)?.execution {
        Some(Execution::Group { group, members }) => Ok((group, members)),
        other => panic!("{other:?}"),
    }
}

fn refused(change: Change, affairs: &Affairs) -> RefusalCode {
    code(execute(change, affairs))
}

#[test]
fn a_group_is_made_of_members_of_several_organisations_who_carry_it() {
    let clara = member_of(&clinic(), "clara", Role::Clinician);
    let carol = clinician("carol", &[("other", privileges(1, &[Permission::MakePlan], &[]))]);
    let affairs = Affairs { members: vec![carol.clone(), clara], ..affairs(&["a"]) };
    let (group, members) = execute(make(notaries(), &["carol", "clara"]), &affairs).unwrap();
    let expected = Group {
        id: id("g"),
        privileges: notaries(),
        members: [(id("carol"), id("hospital")), (id("clara"), id("clinic"))].into(),
        state: GroupState::Active,
    };
    assert_eq!(group, expected);
    let mut groups = carol.groups.clone();
    groups.insert(id("g"), notaries());
    assert_eq!(members[0], Member { groups, ..carol });
    assert_eq!(members[1].groups, [(id("g"), notaries())].into());
}

#[test]
fn a_changed_group_is_carried_by_those_who_are_in_it_now() {
    let affairs = with_group(&["stays", "goes"], &["comes"]);
    let same = execute(change(notaries(), &["stays", "comes"]), &affairs).unwrap().1;
    assert_eq!(same, [clinician("goes", &[]), clinician("comes", &[("g", notaries())])], "who stays is not written");
    let other = privileges(9, &[], &[Permission::Notarize]);
    let (group, members) = execute(change(other.clone(), &["stays", "comes"]), &affairs).unwrap();
    let with = |name| clinician(name, &[("g", other.clone())]);
    assert_eq!(members, [with("stays"), clinician("goes", &[]), with("comes")]);
    assert_eq!((group.privileges, group.members.len()), (other, 2));
}

#[test]
fn a_dissolved_group_is_carried_by_nobody_and_its_id_is_not_used_again() {
    let affairs = with_group(&["one", "two"], &[]);
    let (group, members) = execute(dissolve(), &affairs).unwrap();
    assert_eq!((&group.state, &group.members), (&GroupState::Dissolved { at: NOW }, &BTreeMap::new()));
    assert_eq!(members, [clinician("one", &[]), clinician("two", &[])]);
    let after = Affairs { group: Some(group), members, ..affairs };
    assert_eq!(refused(dissolve(), &after), RefusalCode::GroupDissolved);
    assert_eq!(refused(change(notaries(), &["one"]), &after), RefusalCode::GroupDissolved);
    assert_eq!(refused(make(notaries(), &["one"]), &after), RefusalCode::GroupExists);
}

#[test]
fn a_group_that_is_not_there_is_not_changed_and_one_that_is_there_is_not_made() {
    let without = affairs(&["a"]);
    assert_eq!(refused(dissolve(), &without), RefusalCode::UnknownGroup);
    assert_eq!(refused(change(notaries(), &["one"]), &without), RefusalCode::UnknownGroup);
    let with = with_group(&["one"], &[]);
    assert_eq!(refused(make(notaries(), &["one"]), &with), RefusalCode::GroupExists);
    assert_eq!(refused(change(notaries(), &["one", "nobody"]), &with), RefusalCode::UnknownMember);
}

#[test]
fn there_are_at_most_64_groups_of_1_to_256_members() {
    let numbered: Vec<String> = (0..257).map(|n| format!("m{n}")).collect();
    let numbered: Vec<&str> = numbered.iter().map(String::as_str).collect();
    let with = |groups| Affairs { groups, group: None, ..with_group(&[], &numbered) };
    assert_eq!(execute(make(notaries(), &numbered[..256]), &with(63)).unwrap().1.len(), 256);
    assert_eq!(refused(make(notaries(), &numbered[..256]), &with(64)), RefusalCode::TooManyGroups);
    assert_eq!(refused(make(notaries(), &numbered), &with(0)), RefusalCode::Malformed);
    assert_eq!(refused(make(notaries(), &[]), &with(0)), RefusalCode::Malformed);
}

#[test]
fn a_groups_privileges_have_a_level_say_something_and_do_not_contradict_themselves() {
    let affairs = Affairs { group: None, ..with_group(&[], &["one"]) };
    let refused = |privileges| refused(make(privileges, &["one"]), &affairs);
    assert_eq!(refused(privileges(0, &[Permission::Notarize], &[])), RefusalCode::Malformed);
    assert_eq!(refused(privileges(10, &[Permission::Notarize], &[])), RefusalCode::Malformed);
    assert_eq!(refused(privileges(1, &[], &[])), RefusalCode::Malformed);
    assert_eq!(refused(privileges(1, &[Permission::Notarize], &[Permission::Notarize])), RefusalCode::Malformed);
    for level in [1, 9] {
        assert!(execute(make(privileges(level, &[], &[Permission::Notarize]), &["one"]), &affairs).is_ok());
    }
}

#[test]
fn no_group_takes_away_what_would_lock_the_network_out() {
    let affairs = Affairs { group: None, ..with_group(&[], &["one"]) };
    for permission in Permission::ALL {
        use Permission::*;
        let withheld = execute(make(privileges(1, &[], &[permission]), &["one"]), &affairs);
        if matches!(permission, ProposeChange | RegisterMember | SuspendMember) {
            assert_eq!(code(withheld), RefusalCode::Malformed, "{permission:?}");
        } else {
            assert!(withheld.is_ok(), "{permission:?}");
        }
    }
}

#[test]
fn no_group_takes_from_patients_what_is_their_right() {
    let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
    let with = with_group(&["one"], &[]);
    let affairs = Affairs { members: [with.members.clone(), vec![patient]].concat(), ..with };
    for permission in Permission::ALL {
        use Permission::*;
        let is_protected = matches!(permission, ProposeChange | RegisterMember | SuspendMember);
        let withheld = execute(change(privileges(1, &[], &[permission]), &["one", "alice"]), &affairs);
        match permission {
            OpenLink | GrantConsent | ReadPatientAudit | Delegate => {
                assert_eq!(code(withheld), RefusalCode::NotPermitted, "{permission:?}");
            }
            _ => assert_eq!(withheld.is_ok(), !is_protected, "{permission:?}"),
        }
    }
}

#[test]
fn of_groups_with_different_minds_the_higher_level_decides_and_at_equal_levels_the_one_that_withholds() {
    use Permission::Notarize;
    let says = |level, grants| {
        privileges(level, if grants { &[Notarize] } else { &[] }, if grants { &[] } else { &[Notarize] })
    };
    let decides = |first: (u8, bool), second: (u8, bool)| {
        let groups = [(id("g"), says(first.0, first.1)), (id("h"), says(second.0, second.1))].into();
        Authority::of(Role::Clinician, &groups, Notarize)
    };
    let (granted, withheld) =
        (|group| Authority::Granted(Basis::Group(id(group))), |group| Authority::Withheld(Basis::Group(id(group))));
    assert_eq!(decides((2, true), (1, false)), granted("g"));
    assert_eq!(decides((1, true), (2, false)), withheld("h"));
    assert_eq!(decides((1, false), (2, true)), granted("h"));
    assert_eq!(decides((2, true), (2, false)), withheld("h"));
    assert_eq!(decides((2, false), (2, true)), withheld("g"));
    let silent = [(id("g"), privileges(9, &[Permission::MakePlan], &[Permission::OpenLink]))].into();
    let role = Role::Clinician;
    assert_eq!(Authority::of(role, &silent, Notarize), Authority::Granted(Basis::Role(role)));
    assert_eq!(Authority::of(role, &silent, Permission::MakePlan), granted("g"));
    assert_eq!(Authority::of(role, &silent, Permission::OpenLink), withheld("g"));
}

fn explain(caller: &Caller, member: Member, permission: Permission) -> Result<group::Explanation, Refusal> {
    decide_explanation(caller, Some(member), None, permission)
}

#[test]
fn an_explanation_names_the_role_or_the_group_that_decided() {
    let adam = caller("adam", Role::Administrator);
    let by_role = explain(&adam, clinician("carol", &[]), Permission::Notarize).unwrap();
    let expected = group::Explanation {
        member: id("carol"),
        permission: Permission::Notarize,
        may: true,
        authority: Authority::Granted(Basis::Role(Role::Clinician)),
        level: None,
        standing: Standing::Active,
        owner: None,
    };
    assert_eq!(by_role, expected);
    let not = explain(&adam, clinician("carol", &[]), Permission::MakePlan).unwrap();
    assert_eq!((not.may, not.authority), (false, Authority::Withheld(Basis::Role(Role::Clinician))));

    let silenced = privileges(4, &[], &[Permission::Notarize]);
    let carol = || clinician("carol", &[("g", notaries()), ("h", silenced.clone())]);
    let by_group = explain(&adam, carol(), Permission::Notarize).unwrap();
    assert_eq!((by_group.may, by_group.level), (false, Some(4)));
    assert_eq!(by_group.authority, Authority::Withheld(Basis::Group(id("h"))));
}

#[test]
fn an_explanation_says_when_the_standing_is_what_keeps_somebody_from_it() {
    let standing = Standing::Suspended { by: id("adam"), at: NOW, reason: id("lost the key") };
    let carol = Member { standing: standing.clone(), ..clinician("carol", &[]) };
    let found = explain(&caller("adam", Role::Administrator), carol, Permission::Notarize).unwrap();
    assert_eq!((found.may, found.standing), (false, standing));
    assert!(found.authority.is_granted());
}

#[test]
fn an_agent_has_what_its_owner_has() {
    let adam = caller("adam", Role::Administrator);
    let bot = || member_of(&hospital(), "bot", Role::Agent);
    let owner = clinician("carol", &[("g", notaries())]);
    let found = decide_explanation(&adam, Some(bot()), Some(&owner), Permission::Notarize).unwrap();
    assert_eq!((found.may, found.level, found.owner), (true, Some(3), Some(id("carol"))));
    let standing = Standing::Retired { at: NOW, by: None, reason: None };
    let retired = Member { standing, ..owner };
    assert!(!decide_explanation(&adam, Some(bot()), Some(&retired), Permission::Notarize).unwrap().may);
    assert!(!explain(&adam, bot(), Permission::Notarize).unwrap().may, "without a charter it may do nothing");
}

#[test]
fn explanations_are_for_the_member_and_for_those_who_read_its_organisations_audit() {
    let ask = |caller: &Caller| explain(caller, clinician("carol", &[]), Permission::Notarize);
    assert!(ask(&caller("carol", Role::Clinician)).is_ok());
    for role in Role::ALL {
        let found = ask(&caller_of(hospital(), "other", role));
        match role {
            Role::Administrator | Role::PrivacyOfficer => assert!(found.is_ok()),
            _ => assert_eq!(code(found), RefusalCode::NotPermitted, "{role}"),
        }
    }
    assert_eq!(code(ask(&caller_of(clinic(), "adele", Role::Administrator))), RefusalCode::OtherOrganisation);
    assert_eq!(code(ask(&suspended(caller("carol", Role::Clinician)))), RefusalCode::MemberSuspended);
    assert_eq!(code(ask(&Caller::Custodian(hospital()))), RefusalCode::NotPermitted);
    let unknown = decide_explanation(&caller("adam", Role::Administrator), None, None, Permission::Notarize);
    assert_eq!(code(unknown), RefusalCode::UnknownMember);
}
