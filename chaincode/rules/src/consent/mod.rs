//! Consents: what a patient permits or denies, to whom, for what, until when.

mod book;
mod decision;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category::Category;
use crate::identifier::{ConsentId, GroupId, LinkId, Malformed, MemberId, MspId, StandingRuleId};
use crate::limit;
use crate::purpose::Purpose;
use crate::role::Role;
use crate::time::LedgerTime;

pub use book::{ConsentBook, Subject, Wanted};
pub(crate) use decision::{Authorised, grant, require_patient};
pub use decision::{
    GrantState, GranteeState, MayGrant, MayRevoke, RevocationState, decide_grant, decide_reading, decide_reading_one,
    decide_revocation,
};

/// A patient's permission or denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    /// Its id, chosen by whoever granted it; a standing rule takes the request's.
    pub id: ConsentId,
    /// Whose records it is about.
    pub patient: MemberId,
    /// What it says.
    pub terms: Terms,
    /// When it was granted.
    pub granted: LedgerTime,
    /// Who granted it.
    #[serde(default, skip_serializing_if = "Decider::is_patient")]
    pub by: Decider,
    /// Whether it still stands.
    pub state: ConsentState,
}

/// Who decided on the patient's side. JSON: `"patient"`, `{"guardian": "…"}` or `{"rule": "…"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decider {
    /// The patient.
    #[default]
    Patient,
    /// A guardian, as the patient lets.
    Guardian(MemberId),
    /// A standing rule of the patient.
    Rule(StandingRuleId),
}

/// What a consent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// To whom.
    grantee: Grantee,
    /// About which records.
    scope: Scope,
    /// For what.
    purposes: BTreeSet<Purpose>,
    /// From when; at once if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<LedgerTime>,
    /// Until when (that moment excluded); until revoked if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<LedgerTime>,
    /// Permission or denial.
    effect: Effect,
}

/// To whom a consent is given. JSON: `{"member": "…"}`, `{"organisation": "…"}`, `{"role": "…"}` or `{"group": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grantee {
    /// One person: envelopes are sealed to the person's key.
    Member(MemberId),
    /// The members of an organisation: envelopes are sealed to the organisation's key.
    Organisation(MspId),
    /// Everybody with a role, in any organisation: envelopes are sealed to their organisations' keys.
    Role(Role),
    /// The members of a permission group: envelopes are sealed to their organisations' keys, at the first opening at the latest.
    Group(GroupId),
}

/// Which records a consent is about. JSON: `{"categories": […]}` or `{"links": […]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All links of these categories, also those published later. Restricted records only if `restricted` is named.
    Categories(BTreeSet<Category>),
    /// These links, at most 32.
    Links(BTreeSet<LinkId>),
}

/// Permission or denial. A denial wins over every permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Permits.
    Permit,
    /// Denies.
    Deny,
}

/// Whether a consent still stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ConsentState {
    /// Stands, within its period.
    Granted,
    /// Revoked by the patient, or a guardian.
    Revoked {
        /// When.
        at: LedgerTime,
    },
}

/// What is done to consents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum ConsentAct {
    /// A consent was granted.
    ConsentGranted {
        /// Which.
        consent: ConsentId,
        /// Permission or denial.
        effect: Effect,
    },
    /// A consent was revoked.
    ConsentRevoked {
        /// Which.
        consent: ConsentId,
    },
}

impl Terms {
    /// The terms of a consent: at least one purpose, at least one category or 1 to 32 links, and an end after the beginning.
    pub fn new(
        grantee: Grantee,
        scope: Scope,
        purposes: BTreeSet<Purpose>,
        from: Option<LedgerTime>,
        until: Option<LedgerTime>,
        effect: Effect,
    ) -> Result<Self, Malformed> {
        let is_scope_bounded = match &scope {
            Scope::Categories(categories) => !categories.is_empty(),
            Scope::Links(links) => (1..=limit::NAMED_LINKS).contains(&links.len()),
        };
        if !is_scope_bounded {
            return Err(Malformed::new("a consent's scope", "at least one category, or 1 to 32 links"));
        }
        if purposes.is_empty() {
            return Err(Malformed::new("a consent's purposes", "at least one"));
        }
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            return Err(Malformed::new("a consent's end", "later than its beginning"));
        }
        Ok(Self { grantee, scope, purposes, from, until, effect })
    }

    /// To whom.
    pub const fn grantee(&self) -> &Grantee {
        &self.grantee
    }

    /// About which records.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// For what.
    pub const fn purposes(&self) -> &BTreeSet<Purpose> {
        &self.purposes
    }

    /// Permission or denial.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// The same, but ending by this time at the latest.
    pub fn ending_by(&self, until: LedgerTime) -> Result<Self, Malformed> {
        let until = self.until.map_or(until, |former| former.min(until));
        let Self { grantee, scope, purposes, from, until: _, effect } = self.clone();
        Self::new(grantee, scope, purposes, from, Some(until), effect)
    }

    pub(crate) fn has_ended(&self, at: LedgerTime) -> bool {
        self.until.is_some_and(|until| until <= at)
    }

    fn has_begun(&self, at: LedgerTime) -> bool {
        self.from.is_none_or(|from| from <= at)
    }

    fn is_in_force(&self, at: LedgerTime) -> bool {
        self.has_begun(at) && !self.has_ended(at)
    }

    fn covers(&self, subject: Subject<'_>, wanted: Wanted<'_>, purpose: Purpose) -> bool {
        let names_record = match &self.scope {
            Scope::Categories(categories) => categories.contains(&wanted.category),
            Scope::Links(links) => wanted.link.is_some_and(|link| links.contains(link)),
        };
        let names_subject = match self.effect {
            Effect::Permit => self.grantee.names(subject),
            Effect::Deny => self.grantee.stops(subject),
        };
        names_subject && names_record && self.purposes.contains(&purpose)
    }

    fn named_links(&self) -> Option<&BTreeSet<LinkId>> {
        match &self.scope {
            Scope::Categories(_) => None,
            Scope::Links(links) => Some(links),
        }
    }
}

impl Decider {
    /// The standing rule, if one decided.
    pub const fn rule(&self) -> Option<&StandingRuleId> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Patient | Self::Guardian(_) => None,
        }
    }

    const fn is_patient(&self) -> bool {
        matches!(self, Self::Patient)
    }
}

impl Grantee {
    /// Whether a denial or refusal to this grantee stops the subject: also an agent, when its owner is named.
    pub(crate) fn stops(&self, subject: Subject<'_>) -> bool {
        self.names(subject) || matches!(self, Self::Member(member) if subject.owner == Some(member))
    }

    /// Whether a permission to this grantee is one to the subject.
    pub(crate) fn names(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::Member(member) => subject.member == Some(member),
            Self::Organisation(organisation) => subject.organisation == organisation,
            Self::Role(role) => subject.role == *role,
            Self::Group(group) => subject.groups.contains_key(group),
        }
    }
}
