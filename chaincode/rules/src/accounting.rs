//! The accounting of disclosures (45 CFR 164.528): who received what of a patient's records, and what may be held back from it.
//!
//! A hold serves a health-oversight agency or law enforcement (164.528(a)(2)): while it stands, the patient reads nothing of the
//! openings by that recipient, neither in the accounting nor in the trail, nor of the hold itself, which would tell as much. It is on
//! the trail of the organisation that placed it. When it ends, everything is there again: entries are passed over, never changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::{Act, AuditEntry};
use crate::category::Category;
use crate::envelope::EnvelopeAct;
use crate::identifier::{HoldId, LinkId, Malformed, MemberId, MspId, Reason, TransactionId};
use crate::limit;
use crate::link::require_patient;
use crate::member::{Caller, Member};
use crate::opening::{OpeningAct, Provision, Rule};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// A permitted opening, as an accounting tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disclosure {
    /// The opening's transaction.
    pub transaction: TransactionId,
    /// When.
    pub time: LedgerTime,
    /// The organisation that received.
    pub organisation: MspId,
    /// Its member who received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// Who disclosed: the organisation that keeps the record; unknown in entries of the first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<MspId>,
    /// Which record.
    pub link: LinkId,
    /// What kind of record.
    pub category: Category,
    /// For what.
    pub purpose: Purpose,
    /// Under which provision.
    pub provision: Provision,
    /// Why it need not be accounted for; such openings are listed only when all are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<AccountingException>,
}

/// Why an opening need not be accounted for (45 CFR 164.528(a)(1)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountingException {
    /// For treatment, payment or health care operations.
    CareOperations,
    /// To the individual, or to a guardian whom the individual lets act.
    Individual,
    /// By the individual's own authorisation: a consent.
    Authorised,
    /// Within the organisation that keeps the record: a use, not a disclosure (45 CFR 160.103).
    WithinOrganisation,
}

/// What a privacy officer holds back from a patient's accounting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Its id, chosen by the privacy officer.
    pub id: HoldId,
    /// The organisation that disclosed, and holds back.
    pub organisation: MspId,
    /// What it holds back, from whom, until when.
    pub terms: HoldTerms,
    /// Who placed it.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
    /// Whether it still stands.
    pub state: HoldState,
}

/// What a hold says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldTerms {
    /// Whose accounting.
    pub patient: MemberId,
    /// Disclosures to whom.
    pub recipient: MspId,
    /// How the recipient stated that an accounting would impede its work.
    pub statement: Statement,
    /// Until when (that moment excluded).
    pub until: LedgerTime,
    /// Why: the statement's reference.
    pub reason: Reason,
}

/// How the agency stated that an accounting would impede its work (45 CFR 164.528(a)(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Statement {
    /// In writing: a hold of a year at most.
    Written,
    /// Orally: a hold of thirty days at most.
    Oral,
}

/// Whether a hold still stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum HoldState {
    /// Stands, until its end.
    Standing,
    /// Released before its end.
    Released {
        /// By whom.
        by: MemberId,
        /// When.
        at: LedgerTime,
    },
}

/// What is done to holds. The patient is not named: listeners would learn of the hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum HoldAct {
    /// A hold was placed.
    HoldPlaced {
        /// Which.
        hold: HoldId,
    },
    /// A hold was released.
    HoldReleased {
        /// Which.
        hold: HoldId,
    },
}

/// All holds on a patient's accounting that stand, so that a reading reads them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldBook {
    holds: Vec<StandingHold>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StandingHold {
    hold: HoldId,
    organisation: MspId,
    recipient: MspId,
    until: LedgerTime,
}

/// What the ledger holds of what a hold names.
#[derive(Clone, Copy, Debug)]
pub struct HoldTarget<'a> {
    /// The caller's organisation's hold with this id.
    pub existing: Option<&'a Hold>,
    /// The patient.
    pub patient: Option<&'a Member>,
    /// The recipient.
    pub recipient: Option<&'a Organisation>,
}

/// Proof that the hold may be placed or released.
#[derive(Debug, PartialEq, Eq)]
pub struct MayHold(());

/// What an accounting tells of an entry; nothing, unless it is a permitted opening.
pub fn disclosure(entry: &AuditEntry) -> Option<Disclosure> {
    let Act::Opening(OpeningAct::LinkOpened { link, publisher, category, purpose, provision, .. }) = &entry.act else {
        return None;
    };
    Some(Disclosure {
        transaction: entry.transaction.clone(),
        time: entry.time,
        organisation: entry.organisation.clone(),
        member: entry.member.clone(),
        publisher: publisher.clone(),
        link: link.clone(),
        category: *category,
        purpose: *purpose,
        provision: provision.clone(),
        exception: exception(entry, publisher.as_ref(), *purpose, provision),
    })
}

/// Emergency accesses are for treatment, and so excepted by law; they are accounted for all the same: they overrode what the patient
/// said.
fn exception(
    entry: &AuditEntry,
    publisher: Option<&MspId>,
    purpose: Purpose,
    provision: &Provision,
) -> Option<AccountingException> {
    match (provision, purpose) {
        (Provision::Emergency(_), _) => None,
        (Provision::Rule(Rule::OwnAccess) | Provision::Delegation(_), _) => Some(AccountingException::Individual),
        _ if publisher == Some(&entry.organisation) => Some(AccountingException::WithinOrganisation),
        (_, Purpose::Treatment | Purpose::Payment | Purpose::Operations)
        | (Provision::Rule(Rule::DirectTreatment | Rule::PharmacyTreatment), _) => {
            Some(AccountingException::CareOperations)
        }
        (Provision::Consent(_), _) => Some(AccountingException::Authorised),
    }
}

/// Whether the caller may place this hold: a privacy officer of the organisation that disclosed. Gives the hold and the book with it.
pub fn decide_hold(
    caller: &Caller,
    target: HoldTarget<'_>,
    book: HoldBook,
    id: HoldId,
    terms: HoldTerms,
    at: LedgerTime,
) -> Result<Outcome<(Hold, HoldBook), MayHold>, Refusal> {
    let actor = caller.permitted_member(Permission::HoldAccounting)?;
    let organisation = actor.organisation.msp_id.clone();
    if let Some(existing) = target.existing {
        return if existing.terms == terms && existing.state == HoldState::Standing {
            Ok(Outcome::Repeated((existing.clone(), book)))
        } else {
            Err(Refusal::new(RefusalCode::HoldExists, "the hold's id is taken: choose another"))
        };
    }
    require_patient(target.patient)?;
    if target.recipient.is_none() {
        return Err(Refusal::new(RefusalCode::UnknownOrganisation, "there is no such recipient"));
    }
    if terms.recipient == organisation {
        return Err(Refusal::new(RefusalCode::NotPermitted, "nobody holds back what the own organisation received"));
    }
    if terms.until <= at || terms.until > at.plus_days(terms.statement.days()) {
        let expected = "in the future: at most a year after a written statement, thirty days after an oral one";
        return Err(Malformed::new("a hold's end", expected).into());
    }
    let mut book = book.standing(at);
    if book.holds.len() >= limit::HOLDS {
        return Err(Refusal::new(RefusalCode::TooManyHolds, "16 holds on this accounting stand: release some first"));
    }
    let (recipient, until) = (terms.recipient.clone(), terms.until);
    book.holds.push(StandingHold { hold: id.clone(), organisation: organisation.clone(), recipient, until });
    let by = actor.member.id.clone();
    Ok(Outcome::Decided((Hold { id, organisation, terms, by, at, state: HoldState::Standing }, book), MayHold(())))
}

/// Whether the caller may release this hold: a privacy officer of the organisation that placed it.
pub fn decide_release(
    caller: &Caller,
    existing: Option<Hold>,
    book: HoldBook,
    at: LedgerTime,
) -> Result<Outcome<(Hold, HoldBook), MayHold>, Refusal> {
    let actor = caller.permitted_member(Permission::HoldAccounting)?;
    let hold = decide_reading_hold(caller, existing)?;
    if hold.state != HoldState::Standing {
        return Ok(Outcome::Repeated((hold, book)));
    }
    let mut book = book.standing(at);
    book.holds.retain(|standing| (&standing.organisation, &standing.hold) != (&hold.organisation, &hold.id));
    let state = HoldState::Released { by: actor.member.id.clone(), at };
    Ok(Outcome::Decided((Hold { state, ..hold }, book), MayHold(())))
}

/// Whether the caller may know of this hold: privacy officers of the organisation that placed it.
pub fn decide_reading_hold(caller: &Caller, existing: Option<Hold>) -> Result<Hold, Refusal> {
    let actor = caller.permitted_member(Permission::HoldAccounting)?;
    existing
        .filter(|hold| hold.organisation == actor.organisation.msp_id)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownHold, "the organisation has no such hold"))
}

impl HoldBook {
    /// Whether this entry of the patient's trail is held back now.
    pub fn hides(&self, entry: &AuditEntry, at: LedgerTime) -> bool {
        match &entry.act {
            Act::Opening(OpeningAct::LinkOpened { publisher, .. }) => {
                publisher.as_ref().is_some_and(|publisher| self.hides_opening(publisher, &entry.organisation, at))
            }
            // The entry does not name the publisher; that the recipient asked at all would tell.
            Act::Opening(OpeningAct::OpeningDenied { .. }) => {
                self.in_force(at).any(|hold| hold.recipient == entry.organisation)
            }
            Act::Envelope(EnvelopeAct::EnvelopeAdded { organisation: Some(recipient), .. }) => {
                self.hides_opening(&entry.organisation, recipient, at)
            }
            _ => false,
        }
    }

    /// Whether openings of this publisher's records by this recipient are held back now.
    pub fn hides_opening(&self, publisher: &MspId, recipient: &MspId, at: LedgerTime) -> bool {
        self.in_force(at).any(|hold| hold.organisation == *publisher && hold.recipient == *recipient)
    }

    fn in_force(&self, at: LedgerTime) -> impl Iterator<Item = &StandingHold> {
        self.holds.iter().filter(move |hold| at < hold.until)
    }

    fn standing(self, at: LedgerTime) -> Self {
        Self { holds: self.holds.into_iter().filter(|hold| at < hold.until).collect() }
    }
}

impl Statement {
    /// The days that a hold lasts at most.
    const fn days(self) -> u32 {
        match self {
            Self::Written => limit::WRITTEN_HOLD_DAYS,
            Self::Oral => limit::ORAL_HOLD_DAYS,
        }
    }
}
