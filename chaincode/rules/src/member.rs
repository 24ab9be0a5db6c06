//! Members: persons and programs, each with a certificate of its organisation. Who a caller is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::AgentAtWork;
use crate::attestation::ProofingMethod;
use crate::group::{Authority, Basis, Groups};
use crate::identifier::{KeyHash, MemberId, MspId, Reason};
use crate::opening::Denial;
use crate::organisation::{EncryptionKey, Organisation};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// A person or program of an organisation, under a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its pseudonym.
    pub id: MemberId,
    /// Its organisation.
    pub organisation: MspId,
    /// What it is.
    pub role: Role,
    /// The hash of its certificate's public key: who signs with that key is this member.
    pub key_hash: KeyHash,
    /// The key that what is meant for this person alone is sealed to.
    pub encryption_key: EncryptionKey,
    /// Who vouched for its identity, and when.
    pub attestation: Attestation,
    /// Whether it may act.
    pub standing: Standing,
    /// The permission groups that it is in.
    #[serde(default, skip_serializing_if = "Groups::is_empty")]
    pub groups: Groups,
}

/// Who vouched for a member's identity, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attestation {
    /// The administrator; an organisation's first administrator is vouched for by its certificate and names itself.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
}

/// Whether a member may act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// May act.
    Active,
    /// May not act until reinstated.
    Suspended {
        /// The administrator who suspended it.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
    },
    /// Will not act again.
    Retired {
        /// When.
        at: LedgerTime,
        /// The administrator who retired it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<MemberId>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
}

/// What is done to members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum MemberAct {
    /// A member was registered.
    MemberRegistered {
        /// Which.
        registered: MemberId,
        /// As what.
        role: Role,
    },
    /// A member was suspended.
    MemberSuspended {
        /// Which.
        suspended: MemberId,
        /// Why.
        reason: Reason,
    },
    /// A suspended member was reinstated.
    MemberReinstated {
        /// Which.
        reinstated: MemberId,
    },
    /// A member was retired.
    MemberRetired {
        /// Which.
        retired: MemberId,
        /// Why.
        reason: Reason,
    },
    /// Somebody vouched for a member's identity.
    IdentityAttested {
        /// Whose.
        attested: MemberId,
        /// How it was found.
        method: ProofingMethod,
    },
    /// A member's keys were replaced.
    KeyRotated {
        /// Whose.
        rotated: MemberId,
        /// The hash of the signing key that it had.
        from: KeyHash,
        /// The hash of the signing key that it has.
        to: KeyHash,
        /// The hash of the encryption key that it has.
        encryption_key: KeyHash,
    },
}

/// Who signed the transaction, as the certificate says. Fabric has checked certificate and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The organisation whose authority issued the certificate.
    pub msp_id: MspId,
    /// SHA-256 of the certificate's public key.
    pub key_hash: KeyHash,
    /// Whether the certificate is an administrator's (OU `admin`).
    pub is_administrator: bool,
}

/// Whose a signing key is, among those that one organisation registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHolder {
    /// A member's.
    Member(MemberId),
    /// The gateway's of an organisation.
    Gateway(MspId),
    /// An agent's.
    Agent {
        /// The agent, a member.
        agent: MemberId,
        /// Its owner, a member.
        owner: MemberId,
    },
    /// Once a member's, who rotated it away: who signs with it is unknown, and nobody else gets it.
    Former(MemberId),
}

impl KeyHolder {
    /// The member who signs with the key, if a member does.
    pub const fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Member(id) | Self::Agent { agent: id, .. } => Some(id),
            Self::Gateway(_) | Self::Former(_) => None,
        }
    }
}

/// Who signed the transaction, as the ledger knows it by the certificate's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A member of an organisation.
    Member(Box<Actor>),
    /// An organisation's gateway, as custodian of the organisation's key.
    Custodian(Organisation),
}

/// A member with its organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The member.
    pub member: Member,
    /// Its organisation.
    pub organisation: Organisation,
    /// What bounds it, when it is an agent.
    pub agent: Option<AgentAtWork>,
}

impl Caller {
    /// Who the signer is: `holder` is what the signer's organisation registered the key as, `member` the member that it names,
    /// `organisation` the signer's, `agent` what bounds an agent. A key of one organisation's member under another organisation's certificate is nobody's.
    pub fn identify(
        signer: &Signer,
        holder: Option<&KeyHolder>,
        member: Option<Member>,
        organisation: Option<Organisation>,
        agent: Option<AgentAtWork>,
    ) -> Result<Self, Refusal> {
        let unknown = || {
            Refusal::new(
                RefusalCode::UnknownCaller,
                format!(
                    "no member or gateway of {} is registered with this certificate's key: have it registered",
                    signer.msp_id
                ),
            )
        };
        let organisation = organisation.filter(|found| found.msp_id == signer.msp_id).ok_or_else(unknown)?;
        let signing = |id: &MemberId| {
            let is_signer = |found: &Member| {
                found.id == *id && found.organisation == signer.msp_id && found.key_hash == signer.key_hash
            };
            member.filter(is_signer).ok_or_else(unknown)
        };
        match holder {
            Some(KeyHolder::Member(id)) => {
                Ok(Self::Member(Box::new(Actor { member: signing(id)?, organisation, agent: None })))
            }
            Some(KeyHolder::Agent { agent: id, owner }) => {
                let is_its = |work: &AgentAtWork| work.charter.agent == *id && work.owner.id == *owner;
                let agent = Some(agent.filter(is_its).ok_or_else(unknown)?);
                Ok(Self::Member(Box::new(Actor { member: signing(id)?, organisation, agent })))
            }
            Some(KeyHolder::Gateway(msp_id)) if *msp_id == signer.msp_id => Ok(Self::Custodian(organisation)),
            Some(KeyHolder::Gateway(_) | KeyHolder::Former(_)) | None => Err(unknown()),
        }
    }

    /// The caller's organisation.
    pub fn organisation(&self) -> &Organisation {
        match self {
            Self::Member(actor) => &actor.organisation,
            Self::Custodian(organisation) => organisation,
        }
    }

    /// The member, of whatever standing; gateways are refused.
    pub fn member(&self) -> Result<&Actor, Refusal> {
        match self {
            Self::Member(actor) => Ok(actor),
            Self::Custodian(_) => Err(Refusal::new(RefusalCode::NotPermitted, "a member must do this, not a gateway")),
        }
    }

    /// The member, if it may act.
    pub fn active_member(&self) -> Result<&Actor, Refusal> {
        let actor = self.member()?;
        actor.require_unhindered()?;
        Ok(actor)
    }

    /// The member, if it may act and its role, or a group, gives it the permission.
    pub fn permitted_member(&self, permission: Permission) -> Result<&Actor, Refusal> {
        let actor = self.active_member()?;
        match actor.authority(permission) {
            Authority::Granted(_) => Ok(actor),
            Authority::Withheld(Basis::Role(role)) => {
                Err(Refusal::new(RefusalCode::NotPermitted, format!("the role {role} may not do this")))
            }
            Authority::Withheld(Basis::Group(group)) => {
                Err(Refusal::new(RefusalCode::NotPermitted, format!("the group {group} may not do this")))
            }
        }
    }

    /// Refuses members and gateways who may not act.
    pub fn require_active(&self) -> Result<(), Refusal> {
        match self {
            Self::Member(actor) => actor.require_unhindered(),
            Self::Custodian(organisation) => organisation.require_active(),
        }
    }

    /// The organisation for which the caller is key custodian; members are refused.
    pub fn custodian(&self) -> Result<&Organisation, Refusal> {
        match self {
            Self::Custodian(organisation) => {
                organisation.require_active()?;
                Ok(organisation)
            }
            Self::Member(actor) => {
                actor.require_unhindered()?;
                Err(Refusal::new(RefusalCode::NotPermitted, "an organisation's gateway must do this, not a member"))
            }
        }
    }

    /// Whether the caller is this member.
    pub fn is(&self, id: &MemberId) -> bool {
        matches!(self, Self::Member(actor) if actor.member.id == *id)
    }
}

impl Actor {
    /// The role by which it is judged: an agent's is its owner's.
    pub fn role(&self) -> Role {
        self.principal().role
    }

    /// Whether it has a permission, and why: an agent has its owner's.
    pub fn authority(&self, permission: Permission) -> Authority {
        let principal = self.principal();
        Authority::of(principal.role, &principal.groups, permission)
    }

    /// The groups by which it is judged: an agent's are its owner's.
    pub fn groups(&self) -> &Groups {
        &self.principal().groups
    }

    /// What keeps it from doing anything at all, if something does.
    pub fn hindrance(&self) -> Option<Denial> {
        let owner = self.agent.as_ref().map(|work| &work.owner);
        let standing = std::iter::once(&self.member).chain(owner).find_map(|member| match member.standing {
            Standing::Active => None,
            Standing::Suspended { .. } => Some(Denial::MemberSuspended),
            Standing::Retired { .. } => Some(Denial::MemberRetired),
        });
        let organisation = || (!self.organisation.is_active()).then_some(Denial::OrganisationNotActive);
        let agent = || self.agent.as_ref().filter(|work| !work.may_call()).map(|_| Denial::AgentNotPermitted);
        standing.or_else(organisation).or_else(agent)
    }

    /// Whether it is this member, or an agent of this member: what nobody does to oneself, no program does for one.
    pub fn stands_for(&self, id: &MemberId) -> bool {
        self.member.id == *id || self.principal().id == *id
    }

    /// Refuses everybody but administrators in person, whatever a group permits: for what would make administrators.
    pub(crate) fn require_administrator(&self) -> Result<(), Refusal> {
        if self.agent.is_none() && self.member.role == Role::Administrator {
            Ok(())
        } else {
            Err(Refusal::new(RefusalCode::NotPermitted, "an administrator must do this in person"))
        }
    }

    fn principal(&self) -> &Member {
        self.agent.as_ref().map_or(&self.member, |work| &work.owner)
    }

    fn require_unhindered(&self) -> Result<(), Refusal> {
        match self.hindrance() {
            None => Ok(()),
            Some(Denial::MemberSuspended) => Err(Refusal::new(
                RefusalCode::MemberSuspended,
                "this member is suspended: ask an administrator of its organisation",
            )),
            Some(Denial::MemberRetired) => Err(Refusal::new(RefusalCode::MemberRetired, "this member is retired")),
            Some(Denial::AgentNotPermitted) => Err(Refusal::new(
                RefusalCode::AgentNotPermitted,
                "the agent's charter has ended, does not name this function, or has no calls left today",
            )),
            Some(_) => self.organisation.require_active(),
        }
    }
}
