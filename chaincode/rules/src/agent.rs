//! Agents: programs that act for an owner, within a charter.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{FunctionName, MemberId, Reason};
use crate::member::Member;
use crate::purpose::Purpose;
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
