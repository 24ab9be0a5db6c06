//! Permission groups: named sets of members with more permissions than their roles, or fewer.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::{GroupId, Malformed, MemberId, MspId};
use crate::limit;
use crate::member::{Caller, Member, Standing};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// What a group's members may do beside their roles, or may not. Each member carries it for each of its groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Privileges {
    /// How much the group's word weighs against that of other groups: 1 to 9.
    pub level: u8,
    /// What its members may do.
    pub grants: BTreeSet<Permission>,
    /// What its members may not do.
    pub withholds: BTreeSet<Permission>,
}

/// A permission group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What its members may do, and may not.
    pub privileges: Privileges,
    /// Its members, with the organisation of each; none of a dissolved group.
    pub members: BTreeMap<MemberId, MspId>,
    /// Whether there still is one.
    pub state: GroupState,
}

/// Whether there still is a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum GroupState {
    /// There is.
    Active,
    /// There is none any more, and its id is not used again.
    Dissolved {
        /// Since when.
        at: LedgerTime,
    },
}

/// Why a member may do something, or may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Who.
    pub member: MemberId,
    /// Do what.
    pub permission: Permission,
    /// Whether it may, all in all. An agent may only within its charter.
    pub may: bool,
    /// What decided on the permission: the role's row of the permission table, or a group.
    pub authority: Authority,
    /// The level of the group that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Whether the member may do anything at all.
    pub standing: Standing,
    /// Of an agent: its owner, whose role and groups decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<MemberId>,
}

/// The groups that a member is in.
pub type Groups = BTreeMap<GroupId, Privileges>;

/// Whether somebody has a permission, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "authority", content = "by", rename_all = "kebab-case")]
pub enum Authority {
    /// Has it.
    Granted(Basis),
    /// Does not have it.
    Withheld(Basis),
}

/// What decided on a permission. JSON: `{"role": "…"}` or `{"group": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The role's row in the permission table.
    Role(Role),
    /// A group.
    Group(GroupId),
}

impl Authority {
    /// Of the groups that mention the permission the highest level decides, and at equal levels withholding wins; if none does, the
    /// role's row of the permission table.
    pub fn of(role: Role, groups: &Groups, permission: Permission) -> Self {
        let voices = groups.iter().filter_map(|(id, privileges)| {
            let withholds = privileges.withholds.contains(&permission);
            (withholds || privileges.grants.contains(&permission)).then_some((privileges.level, withholds, id))
        });
        match voices.max_by_key(|(level, withholds, _)| (*level, *withholds)) {
            Some((_, true, group)) => Self::Withheld(Basis::Group(group.clone())),
            Some((_, false, group)) => Self::Granted(Basis::Group(group.clone())),
            None if role.may(permission) => Self::Granted(Basis::Role(role)),
            None => Self::Withheld(Basis::Role(role)),
        }
    }

    /// Whether it is granted.
    pub const fn is_granted(&self) -> bool {
        matches!(self, Self::Granted(_))
    }
}

impl Privileges {
    /// Refuses privileges without a level or a permission, that contradict themselves, or that could lock the network out.
    pub(crate) fn require_bounds(&self) -> Result<(), Malformed> {
        if !limit::GROUP_LEVEL.contains(&self.level) {
            return Err(Malformed::new("a group's level", "1 to 9"));
        }
        if self.grants.is_empty() && self.withholds.is_empty() {
            return Err(Malformed::new("a group's privileges", "at least one permission granted or withheld"));
        }
        if !self.grants.is_disjoint(&self.withholds) {
            return Err(Malformed::new("a group's privileges", "either granted or withheld, none both"));
        }
        if NEVER_WITHHELD.iter().any(|permission| self.withholds.contains(permission)) {
            return Err(Malformed::new(
                "what a group withholds",
                "none of propose-change, register-member and suspend-member, which keep the network governable",
            ));
        }
        Ok(())
    }

    /// Whether they withhold what members of this role have a right to: of patients, the own records, consents and trail
    /// (45 CFR 164.524, 164.528).
    pub(crate) fn withholds_right_of(&self, role: Role) -> bool {
        role == Role::Patient && RIGHTS_OF_PATIENTS.iter().any(|permission| self.withholds.contains(permission))
    }
}

const NEVER_WITHHELD: [Permission; 3] =
    [Permission::ProposeChange, Permission::RegisterMember, Permission::SuspendMember];

const RIGHTS_OF_PATIENTS: [Permission; 4] =
    [Permission::OpenLink, Permission::GrantConsent, Permission::ReadPatientAudit, Permission::Delegate];

/// Why a member of the caller's organisation may do something, or may not; `owner` is an agent's. For the member itself, and for
/// those who read the organisation's audit.
pub fn decide_explanation(
    caller: &Caller,
    member: Option<Member>,
    owner: Option<&Member>,
    permission: Permission,
) -> Result<Explanation, Refusal> {
    let actor = caller.active_member()?;
    let member = member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
    if actor.member.id != member.id {
        caller.permitted_member(Permission::ReadOrganisationAudit)?;
    }
    if actor.organisation.msp_id != member.organisation {
        return Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            "another organisation's member: ask an administrator or privacy officer there",
        ));
    }
    let principal = owner.unwrap_or(&member);
    let authority = Authority::of(principal.role, &principal.groups, permission);
    let level = match &authority {
        Authority::Granted(Basis::Group(id)) | Authority::Withheld(Basis::Group(id)) => {
            principal.groups.get(id).map(|privileges| privileges.level)
        }
        Authority::Granted(Basis::Role(_)) | Authority::Withheld(Basis::Role(_)) => None,
    };
    let is_active = [&member, principal].iter().all(|one| one.standing == Standing::Active);
    Ok(Explanation {
        may: is_active && authority.is_granted(),
        permission,
        authority,
        level,
        owner: owner.map(|owner| owner.id.clone()),
        standing: member.standing,
        member: member.id,
    })
}
