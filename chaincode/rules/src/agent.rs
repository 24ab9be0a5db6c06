//! Agents: programs that act for an owner, within a charter.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::group::Groups;
use crate::identifier::{FunctionName, KeyHash, Malformed, MemberId, Reason};
use crate::limit;
use crate::member::{Attestation, Caller, KeyHolder, Member, Standing};
use crate::organisation::EncryptionKey;
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::rotation::key_taken;
use crate::time::LedgerTime;

/// What an agent may do, of what its owner may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charter {
    /// The program.
    pub agent: MemberId,
    /// Who answers for it, and whose role bounds it.
    pub owner: MemberId,
    /// The contract functions that it may submit.
    pub functions: BTreeSet<FunctionName>,
    /// The purposes for which it may open records.
    pub purposes: BTreeSet<Purpose>,
    /// The categories of records that it may open.
    pub categories: BTreeSet<Category>,
    /// Transactions in a day (UTC) at most.
    pub calls_a_day: u32,
    /// Privacy budget in a day, in thousandths of ε.
    pub epsilon_a_day: u32,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
    /// Whether it may run.
    pub state: CharterState,
}

/// Whether an agent may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum CharterState {
    /// May run.
    Running,
    /// Was stopped for good.
    Stopped {
        /// By whom.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
    },
}

/// What is done to agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum AgentAct {
    /// An agent was deployed.
    AgentDeployed {
        /// Which.
        agent: MemberId,
        /// Who answers for it.
        answering: MemberId,
    },
    /// An agent was stopped for good.
    AgentStopped {
        /// Which.
        agent: MemberId,
        /// Why.
        reason: Reason,
    },
}

/// What an agent used up of a day's budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayUse {
    /// Transactions.
    pub calls: u32,
    /// Privacy budget, in thousandths of ε.
    pub epsilon: u32,
}

/// An agent as it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAtWork {
    /// Its charter.
    pub charter: Charter,
    /// Its owner, as the ledger knows it now.
    pub owner: Member,
    /// What it used up today.
    pub used: DayUse,
    /// The function that it calls.
    pub function: Option<FunctionName>,
    /// When.
    pub at: LedgerTime,
}

impl AgentAtWork {
    /// An agent that called before: as far as its charter goes, it could open a link now.
    pub fn at_rest(charter: Charter, owner: Member, at: LedgerTime) -> Self {
        Self { charter, owner, used: DayUse::default(), function: "Links:open".parse().ok(), at }
    }

    /// Whether the charter lets it call this function now.
    pub fn may_call(&self) -> bool {
        let Charter { functions, until, state, calls_a_day, .. } = &self.charter;
        *state == CharterState::Running
            && self.at < *until
            && self.function.as_ref().is_some_and(|function| functions.contains(function))
            && self.used.calls < *calls_a_day
    }

    /// Whether the day's privacy budget has room for this, in thousandths of ε.
    pub fn may_spend(&self, epsilon: u32) -> bool {
        self.used.epsilon.checked_add(epsilon).is_some_and(|used| used <= self.charter.epsilon_a_day)
    }

    /// What is used up after one more call that spends this, in thousandths of ε.
    pub fn used_after(&self, epsilon: u32) -> DayUse {
        DayUse { calls: self.used.calls.saturating_add(1), epsilon: self.used.epsilon.saturating_add(epsilon) }
    }
}

/// What no agent calls, whatever its owner may: that which says who decides.
const FOR_PEOPLE: [&str; 6] =
    ["Agents:", "Delegations:", "Governance:", "Members:register", "Members:reinstate", "Recoveries:"];

/// An agent to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// What it may do.
    pub charter: Charter,
    /// The hash of its certificate's public key.
    pub key_hash: KeyHash,
    /// Its encryption key.
    pub encryption_key: EncryptionKey,
}

/// What the ledger holds already of what a deployment names.
#[derive(Clone, Copy, Debug)]
pub struct DeploymentState<'a> {
    /// The member with the agent's id.
    pub existing: Option<&'a Member>,
    /// That agent's charter.
    pub charter: Option<&'a Charter>,
    /// Whose the agent's key is in the caller's organisation.
    pub key_holder: Option<&'a KeyHolder>,
    /// The owner.
    pub owner: Option<&'a Member>,
}

/// Proof that the agent may be deployed.
#[derive(Debug, PartialEq, Eq)]
pub struct MayDeploy(());

/// Proof that the agent may be stopped.
#[derive(Debug, PartialEq, Eq)]
pub struct MayStop(());

/// Whether the caller, an administrator, may deploy this agent for a member of its organisation. Gives the agent as a member.
pub fn decide_deployment(
    caller: &Caller,
    state: DeploymentState<'_>,
    new: Deployment,
    at: LedgerTime,
) -> Result<Outcome<(Member, Charter), MayDeploy>, Refusal> {
    let actor = caller.permitted_member(Permission::DeployAgent)?;
    let Deployment { charter, key_hash, encryption_key } = new;
    charter.require_bounded()?;
    let agent = Member {
        id: charter.agent.clone(),
        organisation: actor.organisation.msp_id.clone(),
        role: Role::Agent,
        key_hash,
        encryption_key,
        attestation: Attestation { by: actor.member.id.clone(), at },
        standing: Standing::Active,
        groups: Groups::new(),
    };
    if let Some(existing) = state.existing {
        let as_deployed = Member { attestation: existing.attestation.clone(), ..agent };
        return match state.charter {
            Some(found) if *existing == as_deployed && *found == charter => {
                Ok(Outcome::Repeated((as_deployed, charter)))
            }
            Some(_) | None => Err(Refusal::new(RefusalCode::MemberExists, "the agent's id is taken: choose another")),
        };
    }
    let is_owner = |owner: &&Member| owner.id == charter.owner && owner.organisation == agent.organisation;
    let owner = state
        .owner
        .filter(is_owner)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "the organisation has no such member to own it"))?;
    if owner.role == Role::Agent || owner.standing != Standing::Active {
        return Err(Refusal::new(RefusalCode::NotPermitted, "an active person must answer for an agent"));
    }
    if owner.role == Role::Administrator {
        actor.require_administrator()?;
    }
    if charter.until <= at || charter.until > at.plus_days(limit::CHARTER_DAYS) {
        return Err(Malformed::new("a charter's end", "in the future, and within 366 days").into());
    }
    if state.key_holder.is_some() {
        return Err(key_taken());
    }
    Ok(Outcome::Decided((agent, charter), MayDeploy(())))
}

/// Whether the caller may stop this agent for good: its owner, and administrators of its organisation. For others it is unknown.
pub fn decide_stopping(
    caller: &Caller,
    agent: Option<&Member>,
    charter: Option<Charter>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<Charter, MayStop>, Refusal> {
    let charter = decide_reading(caller, agent, charter)?;
    let actor = caller.active_member()?;
    if actor.agent.is_some() {
        return Err(Refusal::new(RefusalCode::NotPermitted, "a person must do this, not an agent"));
    }
    match &charter.state {
        CharterState::Running => {
            let state = CharterState::Stopped { by: actor.member.id.clone(), at, reason };
            Ok(Outcome::Decided(Charter { state, ..charter }, MayStop(())))
        }
        CharterState::Stopped { reason: standing, .. } if *standing == reason => Ok(Outcome::Repeated(charter)),
        CharterState::Stopped { .. } => {
            Err(Refusal::new(RefusalCode::StandingConflict, "the agent is stopped already, for another reason"))
        }
    }
}

/// Whether the caller may know of this agent's charter: the agent, its owner, and the administrators and privacy officers of its
/// organisation. For others it is unknown.
pub fn decide_reading(caller: &Caller, agent: Option<&Member>, charter: Option<Charter>) -> Result<Charter, Refusal> {
    caller.require_active()?;
    let actor = caller.member()?;
    let is_auditor = actor.authority(Permission::DeployAgent).is_granted()
        || actor.authority(Permission::ReadOrganisationAudit).is_granted();
    let may_know = |charter: &Charter| {
        let of_organisation = agent.is_some_and(|agent| {
            agent.id == charter.agent && agent.organisation == actor.organisation.msp_id && actor.agent.is_none()
        });
        actor.member.id == charter.agent || actor.member.id == charter.owner || of_organisation && is_auditor
    };
    charter.filter(may_know).ok_or_else(|| Refusal::new(RefusalCode::UnknownAgent, "no such agent"))
}

impl Charter {
    fn require_bounded(&self) -> Result<(), Refusal> {
        if !(1..=limit::CHARTER_FUNCTIONS).contains(&self.functions.len()) {
            return Err(Malformed::new("a charter's functions", "1 to 32 of them").into());
        }
        if !(1..=limit::CALLS_A_DAY).contains(&self.calls_a_day) {
            return Err(Malformed::new("a charter's calls a day", "1 to 100000").into());
        }
        let is_for_people =
            |function: &&FunctionName| FOR_PEOPLE.iter().any(|contract| function.as_str().starts_with(contract));
        match self.functions.iter().find(is_for_people) {
            None => Ok(()),
            Some(function) => {
                Err(Refusal::new(RefusalCode::NotPermitted, format!("no agent may call {function}: people must")))
            }
        }
    }
}
