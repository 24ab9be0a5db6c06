//! Notarizations: a notary attests that it saw a document, or a patient's immunization status, at a time. The ledger holds a hash, and
//! whoever has what was hashed can have it verified without an account.
//!
//! Of a document the hash is its SHA-256. Of an immunization status it is a keyed commitment: HMAC-SHA-256 (RFC 2104), with a random key
//! of 32 bytes that the notary hands to the patient, of vaccine (CVX code), date and lot. There are so few vaccines, dates and lots that
//! anything less would be guessed; so not even the vaccine stands on the ledger, and who holds the key can prove all of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::charge::{Charge, Item, Price};
use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{MemberId, MspId, NotarizationId, NotarizedHash, Reason, TransactionId};
use crate::link::require_patient;
use crate::member::{Caller, Member};
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::settings::Settings;
use crate::subscription::{Payer, Subscription};
use crate::time::LedgerTime;

/// That a notary attested something for a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notarization {
    /// Its id, chosen by the notary.
    pub id: NotarizationId,
    /// For which patient. Verification does not tell.
    pub patient: MemberId,
    /// What was seen.
    pub kind: NotarizedKind,
    /// Its hash.
    pub hash: NotarizedHash,
    /// The notary.
    pub notary: MemberId,
    /// The notary's organisation.
    pub organisation: MspId,
    /// When.
    pub time: LedgerTime,
    /// In which transaction.
    pub transaction: TransactionId,
    /// Whom it was billed to.
    pub bill_to: BillTo,
    /// Whether the notary's organisation stands by it.
    pub state: NotarizationState,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotarizedKind {
    /// A document; the hash is its SHA-256.
    Document,
    /// An immunization status; the hash is a keyed commitment.
    Immunization,
}

/// Whom a notarization is billed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BillTo {
    /// Whoever pays for the patient's subscription; the first of a year are free, as the plan says.
    Subscription,
    /// The notary's organisation, at the price that the channel's settings name.
    Organisation,
}

/// Whether the notary's organisation stands by a notarization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum NotarizationState {
    /// It does.
    Valid,
    /// It does no more. What it cost is not given back.
    Revoked {
        /// Who revoked it.
        by: MemberId,
        /// When.
        at: LedgerTime,
        /// Why.
        reason: Reason,
    },
}

/// What anybody may know of a notarization who has its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// Its id.
    pub id: NotarizationId,
    /// What was seen.
    pub kind: NotarizedKind,
    /// Its hash.
    pub hash: NotarizedHash,
    /// The notary.
    pub notary: MemberId,
    /// The notary's organisation.
    pub organisation: MspId,
    /// When.
    pub time: LedgerTime,
    /// In which transaction.
    pub transaction: TransactionId,
    /// Whether the notary's organisation stands by it.
    pub state: NotarizationState,
}

/// What is done with notarizations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum NotarizationAct {
    /// Something was notarized.
    Notarized {
        /// By which notarization.
        notarization: NotarizationId,
        /// What.
        kind: NotarizedKind,
    },
    /// A notarization was revoked.
    NotarizationRevoked {
        /// Which.
        notarization: NotarizationId,
        /// Why.
        reason: Reason,
    },
}

/// A notarization to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotarizationDraft {
    /// Its id.
    pub id: NotarizationId,
    /// For which patient.
    pub patient: MemberId,
    /// What was seen.
    pub kind: NotarizedKind,
    /// Its hash.
    pub hash: NotarizedHash,
    /// Whom it is billed to.
    pub bill_to: BillTo,
}

/// What the ledger holds of what a notarization names.
#[derive(Clone, Copy, Debug)]
pub struct NotarizationGround<'a> {
    /// The notarization with this id.
    pub existing: Option<&'a Notarization>,
    /// The patient, if there is such a member.
    pub patient: Option<&'a Member>,
    /// The patient's subscription.
    pub subscription: Option<&'a Subscription>,
    /// The channel's settings.
    pub settings: &'a Settings,
}

/// Proof that it may be notarized, with what it costs.
#[derive(Debug, PartialEq, Eq)]
pub struct MayNotarize(Charge);

/// Proof that the notarization may be revoked.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRevokeNotarization(());

/// Proof that the caller may list a patient's notarizations.
#[derive(Debug, PartialEq, Eq)]
pub struct MayListNotarizations(());

/// Whether the caller may notarize this. The patient is not asked; the trail tells.
pub fn decide_notarization(
    caller: &Caller,
    ground: NotarizationGround<'_>,
    draft: NotarizationDraft,
    transaction: TransactionId,
    at: LedgerTime,
) -> Result<Outcome<Notarization, MayNotarize>, Refusal> {
    let actor = caller.permitted_member(Permission::Notarize)?;
    let organisation = &actor.organisation.msp_id;
    if let Some(existing) = ground.existing {
        return if existing.organisation == *organisation && existing.is_drafted_as(&draft) {
            Ok(Outcome::Repeated(existing.clone()))
        } else {
            Err(Refusal::new(RefusalCode::NotarizationExists, "the notarization's id is taken: choose another"))
        };
    }
    let patient = require_patient(ground.patient)?;
    let (payer, price, allowance) = match draft.bill_to {
        BillTo::Organisation => {
            let Settings { notarization_price, currency, .. } = ground.settings;
            let price = Price { amount: *notarization_price, currency: currency.clone() };
            (Payer::Organisation(organisation.clone()), price, None)
        }
        BillTo::Subscription => {
            let subscription =
                ground.subscription.filter(|subscription| !subscription.is_lapsed(at)).ok_or_else(|| {
                    Refusal::new(
                        RefusalCode::NoSubscription,
                        "the patient has no subscription: have the own organisation billed",
                    )
                })?;
            let allowance = subscription.allowance(at);
            (subscription.payer.clone(), subscription.notarization_price.clone(), Some(allowance))
        }
    };
    let Price { amount, currency } = price;
    let charge = Charge {
        transaction: transaction.clone(),
        time: at,
        patient: patient.id.clone(),
        payer,
        item: Item::Notarization { notarization: draft.id.clone(), allowance },
        amount: amount.into(),
        currency,
    };
    let notarization = Notarization {
        id: draft.id,
        patient: draft.patient,
        kind: draft.kind,
        hash: draft.hash,
        notary: actor.member.id.clone(),
        organisation: organisation.clone(),
        time: at,
        transaction,
        bill_to: draft.bill_to,
        state: NotarizationState::Valid,
    };
    Ok(Outcome::Decided(notarization, MayNotarize(charge)))
}

/// Whether the caller may revoke this notarization: who notarizes for the same organisation. To others it is unknown.
pub fn decide_revocation(
    caller: &Caller,
    notarization: Option<Notarization>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<Notarization, MayRevokeNotarization>, Refusal> {
    let actor = caller.permitted_member(Permission::Notarize)?;
    let notarization = notarization
        .filter(|notarization| notarization.organisation == actor.organisation.msp_id)
        .ok_or_else(unknown_notarization)?;
    match &notarization.state {
        NotarizationState::Valid => {
            let state = NotarizationState::Revoked { by: actor.member.id.clone(), at, reason };
            Ok(Outcome::Decided(Notarization { state, ..notarization }, MayRevokeNotarization(())))
        }
        NotarizationState::Revoked { reason: revoked, .. } if *revoked == reason => Ok(Outcome::Repeated(notarization)),
        NotarizationState::Revoked { .. } => Err(Refusal::new(
            RefusalCode::NotarizationRevoked,
            "the notarization is revoked already, for another reason",
        )),
    }
}

/// Whether the caller may read this notarization, which names the patient: the patient, guardians who may read its trail, and whoever
/// notarizes or audits for the notary's organisation. To others it is unknown. `delegation` is the patient's for the caller.
pub fn decide_reading(
    caller: &Caller,
    notarization: Option<Notarization>,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<Notarization, Refusal> {
    let actor = caller.active_member()?;
    let may_know = |found: &Notarization| {
        let is_of_organisation = actor.organisation.msp_id == found.organisation
            && [Permission::Notarize, Permission::ReadOrganisationAudit]
                .into_iter()
                .any(|permission| caller.permitted_member(permission).is_ok());
        is_of_organisation || decide_listing(caller, &found.patient, delegation, at).is_ok()
    };
    notarization.filter(may_know).ok_or_else(unknown_notarization)
}

/// Whether the caller may list a patient's notarizations: the patient, and guardians who may read its trail. `delegation` is the
/// patient's for the caller.
pub fn decide_listing(
    caller: &Caller,
    patient: &MemberId,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<MayListNotarizations, Refusal> {
    require_acting_for(caller, patient, Permission::ReadPatientAudit, Power::ReadAudit, delegation, at)?;
    Ok(MayListNotarizations(()))
}

impl MayNotarize {
    /// What it costs.
    pub const fn charge(&self) -> &Charge {
        &self.0
    }
}

impl Notarization {
    /// What anybody may know of it who has its hash.
    pub fn verification(&self) -> Verification {
        let Self { id, patient: _, kind, hash, notary, organisation, time, transaction, bill_to: _, state } =
            self.clone();
        Verification { id, kind, hash, notary, organisation, time, transaction, state }
    }

    fn is_drafted_as(&self, draft: &NotarizationDraft) -> bool {
        self.patient == draft.patient
            && self.kind == draft.kind
            && self.hash == draft.hash
            && self.bill_to == draft.bill_to
    }
}

fn unknown_notarization() -> Refusal {
    Refusal::new(RefusalCode::UnknownNotarization, "no such notarization")
}
