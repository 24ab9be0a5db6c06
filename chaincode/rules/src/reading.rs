//! Reading the audit, which is itself on the audit: a query writes nothing, so that a reading is committed first, and its pages are
//! for whoever made it, for an hour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{Malformed, MemberId, MspId, TransactionId};
use crate::limit;
use crate::member::{Caller, Member};
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// Whose trail. JSON: `{"of-patient": "…"}`, `{"of-member": "…"}` or `{"of-organisation": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trail {
    /// What was done with a patient's records and consents, by whichever organisation.
    OfPatient(MemberId),
    /// What a member did, and what was done to it.
    OfMember(MemberId),
    /// What an organisation's members and gateway did. Entries of the first release are on the other two trails only.
    OfOrganisation(MspId),
}

/// The fact that somebody reads a trail. Named by its transaction; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// The transaction, which names the reading.
    pub transaction: TransactionId,
    /// Who reads.
    pub by: MemberId,
    /// What.
    pub trail: Trail,
    /// Entries of this moment or later; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<LedgerTime>,
    /// Entries before this moment; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<LedgerTime>,
    /// When it was asked.
    pub time: LedgerTime,
}

/// What a reading leaves on the trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum ReadingAct {
    /// Somebody read the audit.
    AuditRead {
        /// Which trail.
        trail: Trail,
        /// From when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<LedgerTime>,
        /// Until when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<LedgerTime>,
    },
}

/// What the ledger holds of whose trail is read.
#[derive(Clone, Debug, Default)]
pub struct TrailState {
    /// The member whose trail it is, if it is a member's and exists.
    pub member: Option<Member>,
    /// What the patient whose trail it is lets the caller do, if anything.
    pub delegation: Option<Delegation>,
}

/// Proof that the reading may be saved.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRead(());

/// Proof that the caller may have entries of the reading's trail.
#[derive(Debug, PartialEq, Eq)]
pub struct MayHaveEntries(());

/// Whether the caller may read this trail: patients their own, and guardians whom they let; members their own; administrators and privacy officers those of their
/// organisation and its members.
pub fn decide_reading(
    caller: &Caller,
    state: &TrailState,
    trail: Trail,
    (from, until): (Option<LedgerTime>, Option<LedgerTime>),
    transaction: TransactionId,
    at: LedgerTime,
) -> Result<(Reading, MayRead), Refusal> {
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        return Err(Malformed::new("a reading's end", "later than its beginning").into());
    }
    require_reader(caller, state, &trail, at)?;
    let by = caller.active_member()?.member.id.clone();
    Ok((Reading { transaction, by, trail, from, until, time: at }, MayRead(())))
}

/// Whether the caller may have entries of this reading: whoever made it, for an hour, as long as another one could be made.
pub fn decide_entries(
    caller: &Caller,
    state: &TrailState,
    reading: Option<Reading>,
    at: LedgerTime,
) -> Result<(Reading, MayHaveEntries), Refusal> {
    let actor = caller.active_member()?;
    let reading = reading
        .filter(|reading| reading.by == actor.member.id)
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownReading, "there is no such reading of yours: make one"))?;
    if at.milliseconds().saturating_sub(reading.time.milliseconds()) >= limit::READING_MILLISECONDS {
        return Err(Refusal::new(RefusalCode::ReadingExpired, "the reading is an hour old: make another"));
    }
    require_reader(caller, state, &reading.trail, at)?;
    Ok((reading, MayHaveEntries(())))
}

impl Reading {
    /// Whether an entry of this time is within the bounds.
    pub fn covers(&self, time: LedgerTime) -> bool {
        self.from.is_none_or(|from| from <= time) && self.until.is_none_or(|until| time < until)
    }

    /// The same trail, of the six years that an accounting of disclosures reaches back; refused unless it is a patient's.
    pub fn for_accounting(self, at: LedgerTime) -> Result<Self, Refusal> {
        if self.trail.patient().is_none() {
            return Err(Malformed::new("an accounting's reading", "of a patient's trail").into());
        }
        let six_years = LedgerTime::from_milliseconds(0).plus_days(limit::ACCOUNTING_DAYS).milliseconds();
        let earliest = LedgerTime::from_milliseconds(at.milliseconds().saturating_sub(six_years));
        Ok(Self { from: Some(self.from.map_or(earliest, |from| from.max(earliest))), ..self })
    }

    /// What it leaves on the trail.
    pub fn act(&self) -> ReadingAct {
        ReadingAct::AuditRead { trail: self.trail.clone(), from: self.from, until: self.until }
    }
}

impl Trail {
    /// The patient whose trail it is, so that the patient sees who reads it.
    pub const fn patient(&self) -> Option<&MemberId> {
        match self {
            Self::OfPatient(patient) => Some(patient),
            Self::OfMember(_) | Self::OfOrganisation(_) => None,
        }
    }

    /// The member whose trail it is, so that the member sees who reads it.
    pub const fn member(&self) -> Option<&MemberId> {
        match self {
            Self::OfMember(member) => Some(member),
            Self::OfPatient(_) | Self::OfOrganisation(_) => None,
        }
    }
}

pub(crate) fn require_reader(
    caller: &Caller,
    state: &TrailState,
    trail: &Trail,
    at: LedgerTime,
) -> Result<(), Refusal> {
    match trail {
        Trail::OfPatient(patient) => {
            let (permission, power) = (Permission::ReadPatientAudit, Power::ReadAudit);
            require_acting_for(caller, patient, permission, power, state.delegation.as_ref(), at).map(|_| ())
        }
        Trail::OfMember(id) => require_reader_of_member(caller, state.member.as_ref().filter(|found| found.id == *id)),
        Trail::OfOrganisation(msp_id) => {
            let actor = caller.permitted_member(Permission::ReadOrganisationAudit)?;
            require_own(&actor.organisation.msp_id, msp_id)
        }
    }
}

fn require_reader_of_member(caller: &Caller, member: Option<&Member>) -> Result<(), Refusal> {
    let actor = caller.active_member()?;
    let member = member.ok_or_else(|| Refusal::new(RefusalCode::UnknownMember, "no such member"))?;
    if actor.member.id == member.id {
        return Ok(());
    }
    caller.permitted_member(Permission::ReadOrganisationAudit)?;
    require_own(&actor.organisation.msp_id, &member.organisation)
}

fn require_own(own: &MspId, organisation: &MspId) -> Result<(), Refusal> {
    if own == organisation {
        Ok(())
    } else {
        Err(Refusal::new(RefusalCode::OtherOrganisation, "another organisation's trail: ask its privacy officer"))
    }
}
