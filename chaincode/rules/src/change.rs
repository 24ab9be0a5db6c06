//! What governance can change, and what carrying a change out writes.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::governance::{Base, Proposal};
use crate::group::{Group, GroupState, Groups, Privileges};
use crate::identifier::{GatewayUrl, GroupId, KeyHash, Malformed, MemberId, MspId, Reason};
use crate::limit;
use crate::member::{Attestation, KeyHolder, Member, Standing};
use crate::organisation::{EncryptionKey, Organisation, OrganisationKind, OrganisationState};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Role;
use crate::rotation::key_taken;
use crate::settings::Settings;
use crate::time::LedgerTime;

/// A change of the consortium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// Lets an organisation in, which then enters. One that left is admitted again with the kind it had: its members are its members
    /// again once it has entered with a new administrator.
    AdmitOrganisation {
        /// Which.
        msp_id: MspId,
        /// What it is for.
        kind: OrganisationKind,
    },
    /// Exchanges the proposing organisation's gateway and keys. From then on the former gateway key is nobody's.
    ChangeOrganisation {
        /// Which.
        msp_id: MspId,
        /// Where its gateway is reached.
        gateway_url: GatewayUrl,
        /// The hash of its gateway's signing key.
        gateway_key_hash: KeyHash,
        /// The key that is sealed to.
        encryption_key: EncryptionKey,
    },
    /// Takes an organisation out, also at its own wish: its members and its gateway may do nothing any more.
    ExpelOrganisation {
        /// Which.
        msp_id: MspId,
        /// Why; stays on the ledger for ever.
        reason: Reason,
    },
    /// Gives an organisation whose administrators lost their keys a new one. Its certificate is still that organisation's to issue.
    AppointAdministrator {
        /// Whose.
        organisation: MspId,
        /// The new administrator's pseudonym.
        member: MemberId,
        /// The hash of its certificate's public key.
        key_hash: KeyHash,
        /// Its encryption key.
        encryption_key: EncryptionKey,
    },
    /// Makes a permission group.
    MakeGroup {
        /// Its id, not used before.
        group: GroupId,
        /// What its members may do, and may not.
        privileges: Privileges,
        /// 1 to 256 members, of whatever organisation.
        members: BTreeSet<MemberId>,
    },
    /// Replaces a group's privileges and members.
    ChangeGroup {
        /// Which.
        group: GroupId,
        /// What its members may do from now on, and may not.
        privileges: Privileges,
        /// 1 to 256 members, of whatever organisation.
        members: BTreeSet<MemberId>,
    },
    /// Ends a group for good.
    DissolveGroup {
        /// Which.
        group: GroupId,
    },
    /// Replaces all the channel's settings; what is left out has its default again.
    ChangeSettings {
        /// The settings.
        settings: Settings,
    },
}

/// What the ledger holds of what a change is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affairs {
    /// All organisations.
    pub organisations: Vec<Organisation>,
    /// The group that the change names.
    pub group: Option<Group>,
    /// How many groups there are; asked for when one is to be made.
    pub groups: usize,
    /// The members whom the change names, and those of the group.
    pub members: Vec<Member>,
    /// Whose the signing key is that the change would register.
    pub key_holder: Option<KeyHolder>,
    /// The settings as they are.
    pub settings: Settings,
}

/// What carrying out a change writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Execution {
    /// The organisation, and whose its gateway's key is.
    Organisation {
        /// The organisation.
        organisation: Organisation,
        /// The hash of the key that its gateway had, which is nobody's unless the gateway has it still.
        former_gateway_key: Option<KeyHash>,
    },
    /// The new administrator, and whose its key is.
    Administrator(Box<Member>),
    /// The group, and the members whose groups it changes.
    Group {
        /// The group.
        group: Group,
        /// The members, with the groups that they are in now.
        members: Vec<Member>,
    },
    /// The settings.
    Settings(Settings),
}

impl Change {
    /// The group that it is about.
    pub const fn group(&self) -> Option<&GroupId> {
        match self {
            Self::MakeGroup { group, .. } | Self::ChangeGroup { group, .. } | Self::DissolveGroup { group } => {
                Some(group)
            }
            _ => None,
        }
    }

    /// The members whom it names.
    pub fn members(&self) -> Vec<&MemberId> {
        match self {
            Self::MakeGroup { members, .. } | Self::ChangeGroup { members, .. } => members.iter().collect(),
            Self::AppointAdministrator { member, .. } => vec![member],
            _ => Vec::new(),
        }
    }

    /// The signing key that it would register, and for whose organisation.
    pub const fn signing_key(&self) -> Option<(&MspId, &KeyHash)> {
        match self {
            Self::ChangeOrganisation { msp_id, gateway_key_hash, .. } => Some((msp_id, gateway_key_hash)),
            Self::AppointAdministrator { organisation, key_hash, .. } => Some((organisation, key_hash)),
            _ => None,
        }
    }

    /// The key to seal to that it brings. That its hash is the key's is for the chaincode to check, which has the arithmetic.
    pub const fn encryption_key(&self) -> Option<&EncryptionKey> {
        match self {
            Self::ChangeOrganisation { encryption_key, .. } | Self::AppointAdministrator { encryption_key, .. } => {
                Some(encryption_key)
            }
            _ => None,
        }
    }
}

impl Affairs {
    /// The organisations that take part now.
    pub fn active(&self) -> BTreeSet<&MspId> {
        self.organisations.iter().filter(|one| one.is_active()).map(|one| &one.msp_id).collect()
    }

    /// What the change replaces, for the changes that replace something whole.
    pub(crate) fn base(&self, change: &Change) -> Option<Base> {
        match change {
            Change::ChangeOrganisation { msp_id, .. } => self.organisation(msp_id).cloned().map(Base::Organisation),
            Change::ChangeGroup { .. } => self.group.clone().map(Base::Group),
            Change::ChangeSettings { .. } => Some(Base::Settings(self.settings.clone())),
            _ => None,
        }
    }

    /// Of how many organisations a majority is one: all that have not left, also those that have not entered yet.
    pub(crate) fn electorate(&self) -> usize {
        self.organisations.iter().filter(|one| !one.has_left()).count()
    }

    /// Since when an organisation takes part, if it does.
    pub(crate) fn entered(&self, msp_id: &MspId) -> Option<LedgerTime> {
        self.organisation(msp_id).and_then(Organisation::entered)
    }

    fn organisation(&self, msp_id: &MspId) -> Option<&Organisation> {
        self.organisations.iter().find(|one| one.msp_id == *msp_id)
    }

    fn active_organisation(&self, msp_id: &MspId) -> Result<&Organisation, Refusal> {
        let organisation = self.known_organisation(msp_id)?;
        match organisation.state {
            OrganisationState::Active { .. } => Ok(organisation),
            OrganisationState::Founded => {
                Err(Refusal::new(RefusalCode::NotEntered, format!("{msp_id} has not entered yet")))
            }
            OrganisationState::Left { .. } => Err(left(msp_id)),
        }
    }

    fn known_organisation(&self, msp_id: &MspId) -> Result<&Organisation, Refusal> {
        self.organisation(msp_id)
            .ok_or_else(|| Refusal::new(RefusalCode::UnknownOrganisation, format!("there is no organisation {msp_id}")))
    }

    fn group(&self) -> Result<&Group, Refusal> {
        let group = self.group.as_ref().ok_or_else(|| Refusal::new(RefusalCode::UnknownGroup, "no such group"))?;
        match group.state {
            GroupState::Active => Ok(group),
            GroupState::Dissolved { .. } => Err(Refusal::new(RefusalCode::GroupDissolved, "the group was dissolved")),
        }
    }
}

/// What carrying out the proposal's change would write; refused where the ledger as it is does not allow it.
pub(crate) fn carry_out(proposal: &Proposal, affairs: &Affairs, at: LedgerTime) -> Result<Execution, Refusal> {
    match &proposal.change {
        Change::AdmitOrganisation { msp_id, kind } => admit(msp_id, *kind, affairs),
        Change::ExpelOrganisation { msp_id, .. } => expel(msp_id, affairs, at),
        Change::ChangeOrganisation { msp_id, .. } if *msp_id != proposal.organisation => Err(Refusal::new(
            RefusalCode::OtherOrganisation,
            "an organisation's keys are its own to exchange: an administrator there must propose it",
        )),
        Change::ChangeOrganisation { msp_id, gateway_url, gateway_key_hash, encryption_key } => {
            let organisation = affairs.active_organisation(msp_id)?;
            require_gateways_or_free(affairs)?;
            let state = OrganisationState::Active {
                encryption_key: encryption_key.clone(),
                gateway_url: gateway_url.clone(),
                gateway_key_hash: gateway_key_hash.clone(),
                entered: organisation.entered().unwrap_or(at),
            };
            Ok(moved(organisation, state))
        }
        Change::AppointAdministrator { organisation, member, key_hash, encryption_key } => {
            require_free(member, organisation, affairs)?;
            Ok(Execution::Administrator(Box::new(Member {
                id: member.clone(),
                organisation: organisation.clone(),
                role: Role::Administrator,
                key_hash: key_hash.clone(),
                encryption_key: encryption_key.clone(),
                attestation: Attestation { by: proposal.by.clone(), at },
                standing: Standing::Active,
                groups: Groups::new(),
            })))
        }
        Change::MakeGroup { group, privileges, members } => {
            require_new_group(affairs)?;
            regroup(group, privileges, members, affairs)
        }
        Change::ChangeGroup { group, privileges, members } => {
            affairs.group()?;
            regroup(group, privileges, members, affairs)
        }
        Change::DissolveGroup { .. } => dissolve(affairs.group()?, affairs, at),
        Change::ChangeSettings { settings } => {
            settings.require_bounds()?;
            Ok(Execution::Settings(settings.clone()))
        }
    }
}

fn admit(msp_id: &MspId, kind: OrganisationKind, affairs: &Affairs) -> Result<Execution, Refusal> {
    if affairs.organisation(msp_id).is_some_and(|known| !known.has_left() || known.kind != kind) {
        return Err(Refusal::new(
            RefusalCode::OrganisationExists,
            format!("{msp_id} is of the consortium, or was with another kind"),
        ));
    }
    if affairs.electorate() >= limit::ORGANISATIONS {
        return Err(Refusal::new(
            RefusalCode::TooManyOrganisations,
            "there are 64 organisations: one must leave first",
        ));
    }
    let organisation = Organisation { msp_id: msp_id.clone(), kind, state: OrganisationState::Founded };
    Ok(Execution::Organisation { organisation, former_gateway_key: None })
}

fn expel(msp_id: &MspId, affairs: &Affairs, at: LedgerTime) -> Result<Execution, Refusal> {
    let organisation = affairs.known_organisation(msp_id)?;
    match organisation.state {
        OrganisationState::Left { .. } => Err(left(msp_id)),
        OrganisationState::Active { .. } if affairs.active().len() == 1 => Err(Refusal::new(
            RefusalCode::LastOrganisation,
            "the last active organisation stays: without it nobody could decide anything",
        )),
        OrganisationState::Active { .. } | OrganisationState::Founded => {
            Ok(moved(organisation, OrganisationState::Left { at }))
        }
    }
}

fn moved(organisation: &Organisation, state: OrganisationState) -> Execution {
    let former_gateway_key = organisation.gateway_key_hash().cloned();
    Execution::Organisation { organisation: Organisation { state, ..organisation.clone() }, former_gateway_key }
}

/// A gateway may keep its key; every other new key must be nobody's.
fn require_gateways_or_free(affairs: &Affairs) -> Result<(), Refusal> {
    match affairs.key_holder {
        Some(KeyHolder::Gateway(_)) | None => Ok(()),
        Some(KeyHolder::Member(_) | KeyHolder::Agent { .. } | KeyHolder::Former(_)) => Err(key_taken()),
    }
}

fn require_free(member: &MemberId, organisation: &MspId, affairs: &Affairs) -> Result<(), Refusal> {
    affairs.active_organisation(organisation)?;
    if affairs.members.iter().any(|known| known.id == *member) {
        return Err(Refusal::new(RefusalCode::MemberExists, "the member's id is taken: choose another"));
    }
    if affairs.key_holder.is_some() { Err(key_taken()) } else { Ok(()) }
}

fn require_new_group(affairs: &Affairs) -> Result<(), Refusal> {
    if affairs.group.is_some() {
        return Err(Refusal::new(RefusalCode::GroupExists, "the group's id is taken, or was: choose another"));
    }
    if affairs.groups >= limit::GROUPS {
        return Err(Refusal::new(RefusalCode::TooManyGroups, "there are 64 groups: dissolve one first"));
    }
    Ok(())
}

fn regroup(
    id: &GroupId,
    privileges: &Privileges,
    members: &BTreeSet<MemberId>,
    affairs: &Affairs,
) -> Result<Execution, Refusal> {
    privileges.require_bounds()?;
    if !(1..=limit::GROUP_MEMBERS).contains(&members.len()) {
        return Err(Malformed::new("a group's members", "1 to 256").into());
    }
    let find = |wanted: &MemberId| affairs.members.iter().find(|known| known.id == *wanted);
    let found = members.iter().map(|wanted| {
        let unknown = || Refusal::new(RefusalCode::UnknownMember, format!("there is no member {wanted}"));
        find(wanted).ok_or_else(unknown)
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if let Some(patient) = found.iter().find(|member| privileges.withholds_right_of(member.role)) {
        return Err(Refusal::new(
            RefusalCode::NotPermitted,
            format!("{} is a patient: own records, consents and trail are withheld from no patient", patient.id),
        ));
    }
    let organisations: BTreeMap<_, _> =
        found.into_iter().map(|member| (member.id.clone(), member.organisation.clone())).collect();
    let group =
        Group { id: id.clone(), privileges: privileges.clone(), members: organisations, state: GroupState::Active };
    let members = regrouped(&group, affairs);
    Ok(Execution::Group { group, members })
}

fn dissolve(group: &Group, affairs: &Affairs, at: LedgerTime) -> Result<Execution, Refusal> {
    let group = Group { members: BTreeMap::new(), state: GroupState::Dissolved { at }, ..group.clone() };
    let members = regrouped(&group, affairs);
    Ok(Execution::Group { group, members })
}

/// The members whose groups are others now.
fn regrouped(group: &Group, affairs: &Affairs) -> Vec<Member> {
    let changed = affairs.members.iter().filter_map(|member| {
        let mut groups = member.groups.clone();
        if group.members.contains_key(&member.id) {
            groups.insert(group.id.clone(), group.privileges.clone());
        } else {
            groups.remove(&group.id);
        }
        (groups != member.groups).then(|| Member { groups, ..member.clone() })
    });
    changed.collect()
}

fn left(msp_id: &MspId) -> Refusal {
    Refusal::new(RefusalCode::OrganisationLeft, format!("{msp_id} left the consortium"))
}
