//! Standing rules: answers that a patient gives beforehand to access requests of a kind.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::consent::{self, Grantee, GranteeState, Scope, Subject, Terms};
use crate::identifier::{Malformed, MemberId, StandingRuleId};
use crate::limit;
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;

/// How access requests of a kind are answered, in the transaction that asks. Restricted records only if `restricted` is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StandingRule {
    /// Requests by whom.
    grantee: Grantee,
    /// For what.
    purposes: BTreeSet<Purpose>,
    /// About which records.
    categories: BTreeSet<Category>,
    /// The answer.
    answer: RuleAnswer,
}

/// The answer of a standing rule. JSON: `{"grant": {"days": …}}` or `"refuse"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RuleAnswer {
    /// Grants what is asked.
    Grant {
        /// For so many days at most, 1 to 3,660.
        days: u32,
    },
    /// Refuses.
    Refuse,
}

/// A patient's standing rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StandingRules(BTreeMap<StandingRuleId, StandingRule>);

/// Proof that a patient's standing rules may change so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayChangeRules(());

impl StandingRule {
    /// A rule: at least one purpose and category, and 1 to 3,660 days if it grants.
    pub fn new(
        grantee: Grantee,
        purposes: BTreeSet<Purpose>,
        categories: BTreeSet<Category>,
        answer: RuleAnswer,
    ) -> Result<Self, Malformed> {
        if purposes.is_empty() || categories.is_empty() {
            return Err(Malformed::new("a standing rule", "of at least one purpose and one category"));
        }
        match answer {
            RuleAnswer::Grant { days } if !(1..=limit::RULE_DAYS).contains(&days) => {
                Err(Malformed::new("a standing rule's days", "1 to 3660"))
            }
            RuleAnswer::Grant { .. } | RuleAnswer::Refuse => Ok(Self { grantee, purposes, categories, answer }),
        }
    }

    /// To whose requests it applies.
    pub const fn grantee(&self) -> &Grantee {
        &self.grantee
    }

    /// Whether what is asked lies wholly within the rule, whoever else of the organisation would profit from it.
    fn contains(&self, terms: &Terms, categories: &BTreeSet<Category>, asker: Subject<'_>) -> bool {
        let contains_grantee = match terms.grantee() {
            Grantee::Member(_) => self.concerns(asker),
            whole => self.grantee == *whole,
        };
        contains_grantee && categories.is_subset(&self.categories) && terms.purposes().is_subset(&self.purposes)
    }

    fn concerns(&self, asker: Subject<'_>) -> bool {
        match self.answer {
            RuleAnswer::Grant { .. } => self.grantee.names(asker),
            RuleAnswer::Refuse => self.grantee.stops(asker),
        }
    }

    fn touches(&self, terms: &Terms, categories: &BTreeSet<Category>, asker: Subject<'_>) -> bool {
        self.concerns(asker)
            && !categories.is_disjoint(&self.categories)
            && !terms.purposes().is_disjoint(&self.purposes)
    }
}

impl StandingRules {
    /// The rules by id.
    pub const fn rules(&self) -> &BTreeMap<StandingRuleId, StandingRule> {
        &self.0
    }

    /// The answer to a request by `asker`, and the rule that gives it; of several the first by id. A rule answers what lies wholly
    /// within it. Refusing rules win: what lies partly within one is left to the patient, whatever others would grant. So are requests
    /// that name links: an answer would tell whether the links exist and of which kind they are.
    pub fn answer(&self, terms: &Terms, asker: Subject<'_>) -> Option<(&StandingRuleId, RuleAnswer)> {
        let Scope::Categories(categories) = terms.scope() else { return None };
        let refusing = || self.0.iter().filter(|(_, rule)| rule.answer == RuleAnswer::Refuse);
        let mut containing = refusing().filter(|(_, rule)| rule.contains(terms, categories, asker));
        if let Some((id, rule)) = containing.next() {
            return Some((id, rule.answer));
        }
        if refusing().any(|(_, rule)| rule.touches(terms, categories, asker)) {
            return None;
        }
        let first = self.0.iter().find(|(_, rule)| rule.contains(terms, categories, asker));
        first.map(|(id, rule)| (id, rule.answer))
    }
}

/// Whether the caller, who must be the patient, may set this rule. Gives all rules.
pub fn decide_setting(
    caller: &Caller,
    patient: &MemberId,
    rules: StandingRules,
    id: StandingRuleId,
    rule: StandingRule,
    state: GranteeState<'_>,
) -> Result<Outcome<StandingRules, MayChangeRules>, Refusal> {
    consent::require_patient(caller, patient, Permission::GrantConsent)?;
    match rules.0.get(&id) {
        Some(existing) if *existing == rule => return Ok(Outcome::Repeated(rules)),
        Some(_) => {
            let detail = "the rule's id is taken: remove the rule first, or choose another id";
            return Err(Refusal::new(RefusalCode::StandingRuleExists, detail));
        }
        None => {}
    }
    state.require(&rule.grantee)?;
    if rules.0.len() >= limit::STANDING_RULES {
        return Err(Refusal::new(RefusalCode::TooManyStandingRules, "32 rules stand: remove one first"));
    }
    let mut rules = rules;
    rules.0.insert(id, rule);
    Ok(Outcome::Decided(rules, MayChangeRules(())))
}

/// Whether the caller, who must be the patient, may remove this rule; one that is not there is as good as removed. Gives those that
/// are left.
pub fn decide_removal(
    caller: &Caller,
    patient: &MemberId,
    rules: StandingRules,
    id: &StandingRuleId,
) -> Result<Outcome<StandingRules, MayChangeRules>, Refusal> {
    consent::require_patient(caller, patient, Permission::GrantConsent)?;
    let mut rules = rules;
    match rules.0.remove(id) {
        None => Ok(Outcome::Repeated(rules)),
        Some(_) => Ok(Outcome::Decided(rules, MayChangeRules(()))),
    }
}

/// Whether the caller may read this patient's rules: only the patient.
pub fn decide_reading(caller: &Caller, patient: &MemberId) -> Result<(), Refusal> {
    consent::require_patient(caller, patient, Permission::GrantConsent)
}
