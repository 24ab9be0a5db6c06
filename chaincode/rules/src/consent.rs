//! Consents: what a patient permits or denies, to whom, for what, until when.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::Charter;
use crate::category::Category;
use crate::group::{Authority, Groups};
use crate::identifier::{ConsentId, LinkId, Malformed, MemberId, MspId};
use crate::limit;
use crate::link::Link;
use crate::member::{Caller, Member};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// A patient's permission or denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    /// Its id, chosen by the patient.
    pub id: ConsentId,
    /// Whose records it is about, and who granted it.
    pub patient: MemberId,
    /// What it says.
    pub terms: Terms,
    /// When it was granted.
    pub granted: LedgerTime,
    /// Whether it still stands.
    pub state: ConsentState,
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

/// To whom a consent is given. JSON: `{"member": "…"}`, `{"organisation": "…"}` or `{"role": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grantee {
    /// One person: envelopes are sealed to the person's key.
    Member(MemberId),
    /// The members of an organisation: envelopes are sealed to the organisation's key.
    Organisation(MspId),
    /// Everybody with a role, in any organisation: envelopes are sealed to their organisations' keys.
    Role(Role),
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
    /// Revoked by the patient.
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

/// All of a patient's consents that stand, so that an opening reads them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentBook {
    consents: BTreeMap<ConsentId, Standing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    terms: Terms,
    granted: LedgerTime,
}

/// Who wants a record, as far as consents can name them. Without a member it means any member of the role.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The member, if it is a certain one.
    pub member: Option<&'a MemberId>,
    /// Its organisation.
    pub organisation: &'a MspId,
    /// Its role.
    pub role: Role,
    /// The permission groups that it is in.
    pub groups: &'a Groups,
    /// What bounds it, when it is an agent.
    pub charter: Option<&'a Charter>,
}

/// Which record is wanted. Without a link it means any of the category.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The link, if it is a certain one.
    pub link: Option<&'a LinkId>,
    /// The record's category.
    pub category: Category,
    /// Whose record it is.
    pub patient: &'a MemberId,
    /// Who keeps it.
    pub publisher: Option<&'a MspId>,
}

impl Subject<'_> {
    pub(crate) fn may(&self, permission: Permission) -> bool {
        Authority::of(self.role, self.groups, permission).is_granted()
    }
}

/// Proof that the consent may be granted.
#[derive(Debug, PartialEq, Eq)]
pub struct MayGrant(());

/// Proof that the consent may be revoked.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRevoke(());

/// What the ledger holds of what a grant names.
#[derive(Clone, Copy, Debug)]
pub struct GrantState<'a> {
    /// The consent with this id.
    pub existing: Option<&'a Consent>,
    /// The member who is to be the grantee, if one is named and exists.
    pub member: Option<&'a Member>,
    /// The organisation that is to be the grantee, if one is named and exists.
    pub organisation: Option<&'a Organisation>,
    /// Those of the named links that exist.
    pub links: &'a [Link],
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

    fn has_begun(&self, at: LedgerTime) -> bool {
        self.from.is_none_or(|from| from <= at)
    }

    fn has_ended(&self, at: LedgerTime) -> bool {
        self.until.is_some_and(|until| until <= at)
    }

    fn is_in_force(&self, at: LedgerTime) -> bool {
        self.has_begun(at) && !self.has_ended(at)
    }

    fn covers(&self, subject: Subject<'_>, wanted: Wanted<'_>, purpose: Purpose) -> bool {
        let names_subject = match &self.grantee {
            Grantee::Member(member) => subject.member == Some(member),
            Grantee::Organisation(organisation) => subject.organisation == organisation,
            Grantee::Role(role) => subject.role == *role,
        };
        let names_record = match &self.scope {
            Scope::Categories(categories) => categories.contains(&wanted.category),
            Scope::Links(links) => wanted.link.is_some_and(|link| links.contains(link)),
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

impl ConsentBook {
    /// The first consent by id that is in force and has this effect on this subject, record and purpose.
    pub fn provision(
        &self,
        effect: Effect,
        subject: Subject<'_>,
        wanted: Wanted<'_>,
        purpose: Purpose,
        at: LedgerTime,
    ) -> Option<(&ConsentId, &Terms)> {
        self.consents.iter().map(|(id, standing)| (id, &standing.terms)).find(|(_, terms)| {
            terms.effect == effect && terms.is_in_force(at) && terms.covers(subject, wanted, purpose)
        })
    }

    /// The members whom permissions in force name, each once, by id.
    pub fn permitted_members(&self, at: LedgerTime) -> BTreeSet<&MemberId> {
        self.permissions(at)
            .filter_map(|terms| match &terms.grantee {
                Grantee::Member(member) => Some(member),
                Grantee::Organisation(_) | Grantee::Role(_) => None,
            })
            .collect()
    }

    /// The links that permissions in force name, each once, by id.
    pub fn permitted_links(&self, at: LedgerTime) -> BTreeSet<&LinkId> {
        self.permissions(at).filter_map(Terms::named_links).flatten().collect()
    }

    /// The consents of this patient that stand and have not ended; by id.
    pub fn standing(&self, patient: &MemberId, at: LedgerTime) -> Vec<Consent> {
        self.consents
            .iter()
            .filter(|(_, standing)| !standing.terms.has_ended(at))
            .map(|(id, standing)| Consent {
                id: id.clone(),
                patient: patient.clone(),
                terms: standing.terms.clone(),
                granted: standing.granted,
                state: ConsentState::Granted,
            })
            .collect()
    }

    fn permissions(&self, at: LedgerTime) -> impl Iterator<Item = &Terms> {
        let is_permission = move |terms: &&Terms| terms.effect == Effect::Permit && terms.is_in_force(at);
        self.consents.values().map(|standing| &standing.terms).filter(is_permission)
    }

    /// Adds a consent and forgets those that have ended, or says that there is no room.
    fn with(mut self, consent: &Consent, at: LedgerTime) -> Option<Self> {
        self.consents.retain(|_, standing| !standing.terms.has_ended(at));
        self.consents.insert(consent.id.clone(), Standing { terms: consent.terms.clone(), granted: consent.granted });
        let named: usize =
            self.consents.values().filter_map(|standing| standing.terms.named_links()).map(BTreeSet::len).sum();
        (self.consents.len() <= limit::CONSENTS_IN_FORCE && named <= limit::NAMED_LINKS_IN_FORCE).then_some(self)
    }

    fn without(mut self, id: &ConsentId) -> Self {
        self.consents.remove(id);
        self
    }
}

/// Whether the caller may grant this consent over the records of `patient`. Gives the consent and the book that holds it.
pub fn decide_grant(
    caller: &Caller,
    patient: &MemberId,
    state: GrantState<'_>,
    book: ConsentBook,
    id: ConsentId,
    terms: Terms,
    at: LedgerTime,
) -> Result<Outcome<(Consent, ConsentBook), MayGrant>, Refusal> {
    require_patient(caller, patient, Permission::GrantConsent)?;
    if let Some(existing) = state.existing {
        let is_same = existing.patient == *patient && existing.terms == terms;
        return match existing.state {
            ConsentState::Granted if is_same => Ok(Outcome::Repeated((existing.clone(), book))),
            ConsentState::Revoked { .. } if is_same => Err(Refusal::new(
                RefusalCode::ConsentExists,
                "the consent was revoked: choose a new id to grant it again",
            )),
            ConsentState::Granted | ConsentState::Revoked { .. } => {
                Err(Refusal::new(RefusalCode::ConsentExists, "the consent's id is taken: choose another"))
            }
        };
    }
    require_grantee(&terms.grantee, state)?;
    for link in terms.named_links().into_iter().flatten() {
        if !state.links.iter().any(|found| found.id == *link && found.patient == *patient) {
            return Err(Refusal::new(RefusalCode::UnknownLink, format!("the patient has no link {link}")));
        }
    }
    if terms.has_ended(at) {
        return Err(Malformed::new("a consent's end", "in the future").into());
    }
    let consent = Consent { id, patient: patient.clone(), terms, granted: at, state: ConsentState::Granted };
    let book = book.with(&consent, at).ok_or_else(|| {
        Refusal::new(
            RefusalCode::TooManyConsents,
            "256 consents, or consents naming 1024 links, are in force: revoke some first",
        )
    })?;
    Ok(Outcome::Decided((consent, book), MayGrant(())))
}

/// Whether the caller may take this consent back. Gives the consent and the book without it.
pub fn decide_revocation(
    caller: &Caller,
    patient: &MemberId,
    existing: Option<Consent>,
    book: ConsentBook,
    at: LedgerTime,
) -> Result<Outcome<(Consent, ConsentBook), MayRevoke>, Refusal> {
    require_patient(caller, patient, Permission::GrantConsent)?;
    let consent = existing
        .filter(|existing| existing.patient == *patient)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownConsent, "the patient has no such consent"))?;
    match consent.state {
        ConsentState::Revoked { .. } => Ok(Outcome::Repeated((consent, book))),
        ConsentState::Granted => {
            let book = book.without(&consent.id);
            let revoked = Consent { state: ConsentState::Revoked { at }, ..consent };
            Ok(Outcome::Decided((revoked, book), MayRevoke(())))
        }
    }
}

/// Whether the caller may read this patient's consents: only the patient.
pub fn decide_reading(caller: &Caller, patient: &MemberId) -> Result<(), Refusal> {
    require_patient(caller, patient, Permission::GrantConsent)
}

pub(crate) fn require_patient(caller: &Caller, patient: &MemberId, permission: Permission) -> Result<(), Refusal> {
    let actor = caller.permitted_member(permission)?;
    if actor.member.id == *patient {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "only the patient may do this"))
    }
}

fn require_grantee(grantee: &Grantee, state: GrantState<'_>) -> Result<(), Refusal> {
    match grantee {
        Grantee::Member(id) if state.member.is_none_or(|found| found.id != *id) => {
            Err(Refusal::new(RefusalCode::UnknownMember, format!("there is no member {id} to grant to")))
        }
        Grantee::Organisation(id) if state.organisation.is_none_or(|found| found.msp_id != *id) => {
            Err(Refusal::new(RefusalCode::UnknownOrganisation, format!("there is no organisation {id} to grant to")))
        }
        Grantee::Member(_) | Grantee::Organisation(_) | Grantee::Role(_) => Ok(()),
    }
}
