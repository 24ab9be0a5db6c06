//! Emergency accesses (break-glass): a clinician opens what was denied, for hours, and answers for it in a review.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::envelope::require_care_organisation;
use crate::identifier::{Malformed, MemberId, MspId, Reason, TransactionId};
use crate::limit;
use crate::link::require_patient;
use crate::member::{Caller, Member};
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::settings::Settings;
use crate::time::LedgerTime;

/// An emergency access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Emergency {
    /// The transaction that declared it.
    pub id: TransactionId,
    /// Whose records.
    pub patient: MemberId,
    /// Who opens them.
    pub clinician: MemberId,
    /// The clinician's organisation.
    pub organisation: MspId,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub at: LedgerTime,
    /// Until when (that moment excluded); earlier than declared if the clinician or a review ended it.
    pub until: LedgerTime,
    /// When its review is due.
    pub review_due: LedgerTime,
    /// Whether it was reviewed.
    pub state: EmergencyState,
}

/// Whether an emergency access was reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum EmergencyState {
    /// Not yet.
    Open,
    /// By a privacy officer of another organisation.
    Reviewed {
        /// Who.
        by: MemberId,
        /// The officer's organisation.
        organisation: MspId,
        /// When.
        at: LedgerTime,
        /// What was found.
        finding: Finding,
        /// In the officer's words.
        note: Reason,
    },
}

/// What a review found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// There was an emergency.
    Justified,
    /// There was none.
    NotJustified,
}

/// A clinician's emergency accesses that wait for their reviews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docket {
    /// Each with the time at which its review is due.
    pub open: BTreeMap<TransactionId, LedgerTime>,
}

/// What is done about emergencies. Declaring one is also the notice to the patient and to privacy officers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum EmergencyAct {
    /// A clinician declared an emergency, which the entry's transaction names.
    EmergencyDeclared {
        /// Until when.
        until: LedgerTime,
        /// When its review is due.
        review_due: LedgerTime,
    },
    /// The clinician ended it before its time.
    EmergencyEnded {
        /// Which.
        emergency: TransactionId,
    },
    /// It was reviewed.
    EmergencyReviewed {
        /// Which.
        emergency: TransactionId,
        /// What was found.
        finding: Finding,
    },
}

/// An emergency to be declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The transaction that declares it.
    pub transaction: TransactionId,
    /// Why.
    pub reason: Reason,
    /// For how many hours; as long as the settings allow if absent, and never longer.
    pub hours: Option<u32>,
}

/// Proof that the emergency may be declared.
#[derive(Debug, PartialEq, Eq)]
pub struct MayDeclare(());

/// Proof that the emergency may be reviewed so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayReview(());

/// Proof that the emergency may be ended.
#[derive(Debug, PartialEq, Eq)]
pub struct MayEnd(());

/// Whether the caller may declare an emergency of this patient: a person who treats patients in an active care organisation, none of
/// whose emergency accesses waits for an overdue review. Gives it, and the clinician's docket with it. Declared twice it is two.
pub fn decide_declaration(
    caller: &Caller,
    patient: Option<&Member>,
    docket: Docket,
    settings: &Settings,
    declaration: Declaration,
    at: LedgerTime,
) -> Result<((Emergency, Docket), MayDeclare), Refusal> {
    let actor = caller.permitted_member(Permission::DeclareEmergency)?;
    require_care_organisation(&actor.organisation)?;
    if actor.agent.is_some() {
        return Err(Refusal::new(RefusalCode::NotPermitted, "a person must declare an emergency, not an agent"));
    }
    let patient = require_patient(patient)?;
    if declaration.hours == Some(0) {
        return Err(Malformed::new("an emergency's hours", "at least one").into());
    }
    if docket.is_overdue(at) {
        return Err(Refusal::new(
            RefusalCode::EmergencySuspended,
            "the review of an emergency access is overdue: have a privacy officer of another organisation do it first",
        ));
    }
    if docket.open.len() >= limit::EMERGENCIES_UNREVIEWED {
        return Err(Refusal::new(
            RefusalCode::TooManyEmergencies,
            "8 emergency accesses wait for their reviews: have privacy officers of other organisations do some first",
        ));
    }
    let hours = declaration.hours.map_or(settings.emergency_hours, |hours| hours.min(settings.emergency_hours));
    let emergency = Emergency {
        id: declaration.transaction,
        patient: patient.id.clone(),
        clinician: actor.member.id.clone(),
        organisation: actor.organisation.msp_id.clone(),
        reason: declaration.reason,
        at,
        until: at.plus_hours(hours),
        review_due: at.plus_days(settings.review_days),
        state: EmergencyState::Open,
    };
    let mut docket = docket;
    docket.open.insert(emergency.id.clone(), emergency.review_due);
    Ok(((emergency, docket), MayDeclare(())))
}

/// Whether the caller may close the review of this emergency so: a privacy officer of another organisation than the clinician's. Gives
/// the emergency, which the review ends, and the clinician's docket without it.
pub fn decide_review(
    caller: &Caller,
    emergency: Option<Emergency>,
    docket: Docket,
    finding: Finding,
    note: Reason,
    at: LedgerTime,
) -> Result<Outcome<(Emergency, Docket), MayReview>, Refusal> {
    let actor = caller.permitted_member(Permission::ReviewEmergency)?;
    let emergency = emergency.ok_or_else(unknown_emergency)?;
    if emergency.organisation == actor.organisation.msp_id {
        return Err(Refusal::new(
            RefusalCode::NotPermitted,
            "a privacy officer of another organisation than the clinician's must review this",
        ));
    }
    match &emergency.state {
        EmergencyState::Reviewed { finding: found, note: noted, .. } if *found == finding && *noted == note => {
            Ok(Outcome::Repeated((emergency, docket)))
        }
        EmergencyState::Reviewed { .. } => {
            Err(Refusal::new(RefusalCode::EmergencyReviewed, "the emergency access was reviewed already"))
        }
        EmergencyState::Open => {
            let mut docket = docket;
            docket.open.remove(&emergency.id);
            let (by, organisation) = (actor.member.id.clone(), actor.organisation.msp_id.clone());
            let state = EmergencyState::Reviewed { by, organisation, at, finding, note };
            let emergency = Emergency { until: emergency.until.min(at), state, ..emergency };
            Ok(Outcome::Decided((emergency, docket), MayReview(())))
        }
    }
}

/// Whether the caller may end this emergency before its time: the clinician who declared it. Harmless when it is over.
pub fn decide_end(
    caller: &Caller,
    emergency: Option<Emergency>,
    at: LedgerTime,
) -> Result<Outcome<Emergency, MayEnd>, Refusal> {
    let actor = caller.active_member()?;
    let emergency = emergency.filter(|found| found.clinician == actor.member.id).ok_or_else(unknown_emergency)?;
    if emergency.until <= at {
        Ok(Outcome::Repeated(emergency))
    } else {
        Ok(Outcome::Decided(Emergency { until: at, ..emergency }, MayEnd(())))
    }
}

/// Whether the caller may know of this emergency: the patient, the clinician, those who read the audit of the clinician's organisation,
/// and those who review emergencies. For all others it is unknown.
pub fn decide_reading(caller: &Caller, emergency: Option<Emergency>) -> Result<Emergency, Refusal> {
    let actor = caller.active_member()?;
    let may = |permission| actor.authority(permission).is_granted();
    let may_know = |emergency: &Emergency| {
        let is_party = [&emergency.patient, &emergency.clinician].contains(&&actor.member.id);
        let is_colleague = emergency.organisation == actor.organisation.msp_id;
        is_party || is_colleague && may(Permission::ReadOrganisationAudit) || may(Permission::ReviewEmergency)
    };
    emergency.filter(may_know).ok_or_else(unknown_emergency)
}

/// The organisation whose emergencies the caller, who reviews those of others, leaves to others.
pub fn decide_listing(caller: &Caller) -> Result<&MspId, Refusal> {
    Ok(&caller.permitted_member(Permission::ReviewEmergency)?.organisation.msp_id)
}

/// The refusal of an emergency access that does not exist, or that the caller may not know of.
pub fn unknown_emergency() -> Refusal {
    Refusal::new(RefusalCode::UnknownEmergency, "no such emergency access")
}

impl Emergency {
    /// Whether this clinician may open this patient's records under it now. A review ends it whatever the time: transactions may be dated
    /// back as far as peers let them.
    pub fn covers(&self, clinician: &MemberId, patient: &MemberId, at: LedgerTime) -> bool {
        self.state == EmergencyState::Open
            && self.clinician == *clinician
            && self.patient == *patient
            && self.at <= at
            && at < self.until
    }
}

impl Docket {
    /// Whether a review is overdue: then the clinician's emergency accesses rest.
    pub fn is_overdue(&self, at: LedgerTime) -> bool {
        self.open.values().any(|due| *due <= at)
    }
}
