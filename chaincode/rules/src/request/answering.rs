use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessRequest, Granted, OpenRequests, RequestState, Settled, unknown_request};
use crate::consent::{Authorised, Consent, ConsentBook, ConsentState, GrantState, GranteeState, grant};
use crate::delegation::{Delegation, Power};
use crate::identifier::{ConsentId, MemberId, Reason};
use crate::link::Link;
use crate::member::{Caller, Member};
use crate::organisation::Organisation;
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::time::LedgerTime;

/// A patient's answer. JSON: `{"grant": {"consent": "…"}}` or `{"refuse": {}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// Grants what is asked.
    Grant {
        /// The id of the consent that this makes, chosen by the patient.
        consent: ConsentId,
        /// An end earlier than the one asked for; a later one changes nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<LedgerTime>,
    },
    /// Refuses it.
    Refuse {
        /// Why, if the patient wants to say so. The requester reads it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
}

/// What the ledger holds of what an answer names.
#[derive(Clone, Debug, Default)]
pub struct AnswerState {
    /// The request.
    pub request: Option<AccessRequest>,
    /// Its organisation's requests to the patient that wait.
    pub open: OpenRequests,
    /// What the patient lets the caller do, if the caller is a guardian.
    pub delegation: Option<Delegation>,
    /// The patient's consent with the id that the answer chooses.
    pub consent: Option<Consent>,
    /// The patient's consents that stand.
    pub book: ConsentBook,
    /// The requester, if it asks for itself.
    pub member: Option<Member>,
    /// The requester's organisation, if it asks for that.
    pub organisation: Option<Organisation>,
    /// Those of the named links that exist.
    pub links: Vec<Link>,
}

/// Proof that the request may change so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayAnswer(());

/// Whether the caller, the patient or a guardian with that power, may answer a request so. Granting it makes the consent, by the same
/// rule as a grant without a request.
pub fn decide_answer(
    caller: &Caller,
    patient: &MemberId,
    state: AnswerState,
    answer: Answer,
    at: LedgerTime,
) -> Result<Outcome<Settled, MayAnswer>, Refusal> {
    let authorised = Authorised::for_patient(caller, patient, Power::AnswerRequests, state.delegation.as_ref(), at)?;
    let request = state.request.filter(|request| request.patient == *patient).ok_or_else(unknown_request)?;
    let by = authorised.decider();
    let (new_state, granted) = match answer {
        Answer::Refuse { reason } => {
            if matches!(&request.state, RequestState::Refused { reason: former, .. } if *former == reason) {
                return Ok(Outcome::Repeated(Settled { request, open: state.open, granted: None }));
            }
            request.require_open(at)?;
            (RequestState::Refused { by, at, reason }, None)
        }
        Answer::Grant { consent: id, until } => {
            let terms = match until {
                Some(until) => request.terms.ending_by(until)?,
                None => request.terms.clone(),
            };
            let granted_so = |consent: &Consent| consent.id == id && consent.terms == terms;
            if matches!(&request.state, RequestState::Granted { consent, .. } if *consent == id)
                && state.consent.as_ref().is_some_and(granted_so)
            {
                return Ok(Outcome::Repeated(Settled { request, open: state.open, granted: None }));
            }
            request.require_open(at)?;
            authorised.require_within(&terms, &state.links)?;
            let new = Consent {
                id: id.clone(),
                patient: patient.clone(),
                terms,
                granted: at,
                by: by.clone(),
                state: ConsentState::Granted,
            };
            let grantee = GranteeState {
                member: state.member.as_ref(),
                organisation: state.organisation.as_ref(),
                ..GranteeState::default()
            };
            let grant_state =
                GrantState { existing: state.consent.as_ref(), grantee, links: &state.links, delegation: None };
            let made = match grant(new, grant_state, state.book)? {
                Outcome::Decided((consent, book), proof) => Some(Granted { consent, book, proof }),
                Outcome::Repeated(_) => None,
            };
            (RequestState::Granted { consent: id, by, at }, made)
        }
    };
    let open = state.open.without(&request.id);
    let request = AccessRequest { state: new_state, ..request };
    Ok(Outcome::Decided(Settled { request, open, granted }, MayAnswer(())))
}

/// Whether the caller may take this request back: only the requester, while it waits. For others it is unknown.
pub fn decide_withdrawal(
    caller: &Caller,
    request: Option<AccessRequest>,
    open: OpenRequests,
    at: LedgerTime,
) -> Result<Outcome<Settled, MayAnswer>, Refusal> {
    let actor = caller.active_member()?;
    let request = request.filter(|request| request.requester == actor.member.id).ok_or_else(unknown_request)?;
    if let RequestState::Withdrawn { .. } = request.state {
        return Ok(Outcome::Repeated(Settled { request, open, granted: None }));
    }
    request.require_open(at)?;
    let open = open.without(&request.id);
    let request = AccessRequest { state: RequestState::Withdrawn { at }, ..request };
    Ok(Outcome::Decided(Settled { request, open, granted: None }, MayAnswer(())))
}
