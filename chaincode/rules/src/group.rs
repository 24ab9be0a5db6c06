//! Permission groups: named sets of members with more permissions than their roles, or fewer.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::GroupId;
use crate::role::{Permission, Role};

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
