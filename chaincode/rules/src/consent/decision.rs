use super::{Consent, ConsentBook, ConsentState, Decider, Effect, Grantee, Scope, Terms};
use crate::delegation::{Delegation, Power, require_acting_for};
use crate::group::{Group, GroupState};
use crate::identifier::{ConsentId, Malformed, MemberId};
use crate::link::Link;
use crate::member::{Actor, Caller, Member};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::{Permission, Role};
use crate::time::LedgerTime;

/// Proof that the consent may be granted.
#[derive(Debug, PartialEq, Eq)]
pub struct MayGrant(());

/// Proof that the consent may be revoked.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRevoke(());

/// What the ledger holds of what a grant names.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrantState<'a> {
    /// The consent with this id.
    pub existing: Option<&'a Consent>,
    /// Who is to be the grantee.
    pub grantee: GranteeState<'a>,
    /// Those of the named links that exist.
    pub links: &'a [Link],
    /// What the patient lets the caller do, if the caller is a guardian.
    pub delegation: Option<&'a Delegation>,
}

/// Who is to be a grantee, if such a one exists.
#[derive(Clone, Copy, Debug, Default)]
pub struct GranteeState<'a> {
    /// The member, if one is named.
    pub member: Option<&'a Member>,
    /// The organisation, if one is named.
    pub organisation: Option<&'a Organisation>,
    /// The permission group, if one is named.
    pub group: Option<&'a Group>,
}

/// What the ledger holds of what a revocation names.
#[derive(Clone, Debug, Default)]
pub struct RevocationState {
    /// The consent.
    pub existing: Option<Consent>,
    /// The patient's consents that stand.
    pub book: ConsentBook,
    /// The links that the consent names.
    pub links: Vec<Link>,
    /// What the patient lets the caller do, if the caller is a guardian.
    pub delegation: Option<Delegation>,
}

/// Somebody who may decide for a patient: the patient, or a guardian within what the patient lets the guardian do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Authorised<'a> {
    actor: &'a Actor,
    delegation: Option<&'a Delegation>,
}

/// Whether the caller, the patient or a guardian with that power, may grant this consent over the records of `patient`. Gives the
/// consent and the book that holds it.
///
/// What a guardian grants, permission or denial, is about records of the delegation's categories only, ends with the delegation at the
/// latest, and permits the guardian nothing.
pub fn decide_grant(
    caller: &Caller,
    patient: &MemberId,
    state: GrantState<'_>,
    book: ConsentBook,
    id: ConsentId,
    terms: Terms,
    at: LedgerTime,
) -> Result<Outcome<(Consent, ConsentBook), MayGrant>, Refusal> {
    let authorised = Authorised::for_patient(caller, patient, Power::Consent, state.delegation, at)?;
    authorised.require_within(&terms, state.links)?;
    authorised.require_no_agent(&terms, state.grantee)?;
    let by = authorised.decider();
    grant(Consent { id, patient: patient.clone(), terms, granted: at, by, state: ConsentState::Granted }, state, book)
}

/// Whether the caller, the patient or a guardian with that power, may take this consent back. Gives the consent and the book without it.
///
/// A guardian revokes consents about the delegation's categories, but never a denial that the patient gave in person.
pub fn decide_revocation(
    caller: &Caller,
    patient: &MemberId,
    state: RevocationState,
    at: LedgerTime,
) -> Result<Outcome<(Consent, ConsentBook), MayRevoke>, Refusal> {
    let RevocationState { existing, book, links, delegation } = state;
    let authorised = Authorised::for_patient(caller, patient, Power::Consent, delegation.as_ref(), at)?;
    let consent = existing.filter(|existing| existing.patient == *patient).ok_or_else(unknown_consent)?;
    authorised.require_revocable(&consent, &links)?;
    match consent.state {
        ConsentState::Revoked { .. } => Ok(Outcome::Repeated((consent, book))),
        ConsentState::Granted => {
            let book = book.without(&consent.id);
            let revoked = Consent { state: ConsentState::Revoked { at }, ..consent };
            Ok(Outcome::Decided((revoked, book), MayRevoke(())))
        }
    }
}

/// Whether the caller may read this patient's consents: the patient, or a guardian who may grant them.
pub fn decide_reading(
    caller: &Caller,
    patient: &MemberId,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<(), Refusal> {
    Authorised::for_patient(caller, patient, Power::Consent, delegation, at).map(|_| ())
}

/// The consent, if the caller may read this patient's.
pub fn decide_reading_one(
    caller: &Caller,
    patient: &MemberId,
    consent: Option<Consent>,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<Consent, Refusal> {
    decide_reading(caller, patient, delegation, at)?;
    consent.filter(|consent| consent.patient == *patient).ok_or_else(unknown_consent)
}

/// Grants a consent, whoever decided on it: its id is free, and what it names exists.
pub(crate) fn grant(
    new: Consent,
    state: GrantState<'_>,
    book: ConsentBook,
) -> Result<Outcome<(Consent, ConsentBook), MayGrant>, Refusal> {
    if let Some(existing) = state.existing {
        let is_same = existing.patient == new.patient && existing.terms == new.terms;
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
    state.grantee.require(new.terms.grantee())?;
    for link in new.terms.named_links().into_iter().flatten() {
        if !state.links.iter().any(|found| found.id == *link && found.patient == new.patient) {
            return Err(Refusal::new(RefusalCode::UnknownLink, format!("the patient has no link {link}")));
        }
    }
    if new.terms.has_ended(new.granted) {
        return Err(Malformed::new("a consent's end", "in the future").into());
    }
    let book = book.with(&new, new.granted).ok_or_else(|| {
        Refusal::new(
            RefusalCode::TooManyConsents,
            "256 consents, or consents naming 1024 links, are in force: revoke some first",
        )
    })?;
    Ok(Outcome::Decided((new, book), MayGrant(())))
}

pub(crate) fn require_patient(caller: &Caller, patient: &MemberId, permission: Permission) -> Result<(), Refusal> {
    let actor = caller.permitted_member(permission)?;
    if actor.member.id == *patient {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "only the patient may do this"))
    }
}

impl<'a> Authorised<'a> {
    pub(crate) fn for_patient(
        caller: &'a Caller,
        patient: &MemberId,
        power: Power,
        delegation: Option<&'a Delegation>,
        at: LedgerTime,
    ) -> Result<Self, Refusal> {
        let actor = require_acting_for(caller, patient, Permission::GrantConsent, power, delegation, at)?;
        let delegation = delegation.filter(|_| actor.member.id != *patient);
        Ok(Self { actor, delegation })
    }

    pub(crate) fn decider(&self) -> Decider {
        match self.delegation {
            None => Decider::Patient,
            Some(delegation) => Decider::Guardian(delegation.guardian.clone()),
        }
    }

    /// Refuses a guardian what goes beyond the delegation. `links` are those of the named ones that exist; the others are refused later.
    pub(crate) fn require_within(&self, terms: &Terms, links: &[Link]) -> Result<(), Refusal> {
        let Some(delegation) = self.delegation else { return Ok(()) };
        require_categories(delegation, terms, links)?;
        if terms.until.is_none_or(|until| until > delegation.until) {
            return Err(Refusal::new(
                RefusalCode::NotPermitted,
                "what a guardian grants ends with the delegation at the latest: name an end",
            ));
        }
        if terms.effect == Effect::Permit && terms.grantee.names(self.actor.subject()) {
            return Err(Refusal::new(RefusalCode::NotPermitted, "a guardian permits oneself nothing"));
        }
        Ok(())
    }

    /// Refuses a guardian a permission to an agent: it might be the guardian's own.
    fn require_no_agent(&self, terms: &Terms, grantee: GranteeState<'_>) -> Result<(), Refusal> {
        let is_agent = grantee.member.is_some_and(|member| member.role == Role::Agent);
        if self.delegation.is_some() && terms.effect == Effect::Permit && is_agent {
            return Err(Refusal::new(RefusalCode::NotPermitted, "only the patient permits an agent anything"));
        }
        Ok(())
    }

    fn require_revocable(&self, consent: &Consent, links: &[Link]) -> Result<(), Refusal> {
        let Some(delegation) = self.delegation else { return Ok(()) };
        require_categories(delegation, &consent.terms, links)?;
        if consent.terms.effect == Effect::Deny && consent.by == Decider::Patient {
            return Err(Refusal::new(
                RefusalCode::NotPermitted,
                "only the patient takes back the patient's own denials",
            ));
        }
        Ok(())
    }
}

fn require_categories(delegation: &Delegation, terms: &Terms, links: &[Link]) -> Result<(), Refusal> {
    let is_within = match &terms.scope {
        Scope::Categories(categories) => categories.is_subset(&delegation.categories),
        Scope::Links(_) => {
            let is_within = |link: &Link| delegation.categories.contains(&link.category);
            links.iter().filter(|link| link.patient == delegation.patient).all(is_within)
        }
    };
    if is_within {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "the delegation does not cover records of these categories"))
    }
}

impl GranteeState<'_> {
    /// Refuses a grantee that does not exist.
    pub(crate) fn require(&self, grantee: &Grantee) -> Result<(), Refusal> {
        match grantee {
            Grantee::Member(id) if self.member.is_none_or(|found| found.id != *id) => {
                Err(Refusal::new(RefusalCode::UnknownMember, format!("there is no member {id} to grant to")))
            }
            Grantee::Organisation(id) if self.organisation.is_none_or(|found| found.msp_id != *id) => Err(
                Refusal::new(RefusalCode::UnknownOrganisation, format!("there is no organisation {id} to grant to")),
            ),
            Grantee::Group(id)
                if self.group.is_none_or(|found| found.id != *id || found.state != GroupState::Active) =>
            {
                Err(Refusal::new(RefusalCode::UnknownGroup, format!("there is no group {id} to grant to")))
            }
            Grantee::Member(_) | Grantee::Organisation(_) | Grantee::Role(_) | Grantee::Group(_) => Ok(()),
        }
    }
}

fn unknown_consent() -> Refusal {
    Refusal::new(RefusalCode::UnknownConsent, "the patient has no such consent")
}
