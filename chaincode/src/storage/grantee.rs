//! Whom a consent, or a standing rule, names.

use healthchain_rules::consent::GranteeState;
use healthchain_rules::{Grantee, Group, Member, Organisation, Refusal};

use super::group::load_group;
use super::member::load_member;
use super::organisation::load_organisation;
use super::{Load, Loads, Values};

/// A grantee, to be read.
#[derive(Default)]
pub(crate) struct LoadGrantee {
    member: Option<Load<Member>>,
    organisation: Option<Load<Organisation>>,
    group: Option<Load<Group>>,
}

/// A grantee, as far as it exists.
#[derive(Default)]
pub(crate) struct FoundGrantee {
    pub(crate) member: Option<Member>,
    pub(crate) organisation: Option<Organisation>,
    pub(crate) group: Option<Group>,
}

pub(crate) fn load_grantee(grantee: &Grantee) -> LoadGrantee {
    match grantee {
        Grantee::Member(member) => LoadGrantee { member: Some(load_member(member)), ..LoadGrantee::default() },
        Grantee::Organisation(organisation) => {
            LoadGrantee { organisation: Some(load_organisation(organisation)), ..LoadGrantee::default() }
        }
        Grantee::Role(_) => LoadGrantee::default(),
        Grantee::Group(group) => LoadGrantee { group: Some(load_group(group)), ..LoadGrantee::default() },
    }
}

impl FoundGrantee {
    /// What the rules ask of it.
    pub(crate) fn state(&self) -> GranteeState<'_> {
        GranteeState {
            member: self.member.as_ref(),
            organisation: self.organisation.as_ref(),
            group: self.group.as_ref(),
        }
    }
}

impl Loads for LoadGrantee {
    type Loaded = FoundGrantee;

    fn keys(&self, keys: &mut Vec<String>) {
        self.member.keys(keys);
        self.organisation.keys(keys);
        self.group.keys(keys);
    }

    fn take(self, values: &mut Values) -> Result<FoundGrantee, Refusal> {
        Ok(FoundGrantee {
            member: self.member.take(values)?.flatten(),
            organisation: self.organisation.take(values)?.flatten(),
            group: self.group.take(values)?.flatten(),
        })
    }
}
