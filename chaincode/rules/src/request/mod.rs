//! Access requests: somebody asks a patient for access, and the patient answers, or a standing rule does.

mod answering;
mod asking;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::consent::{Consent, ConsentBook, Decider, MayGrant, Terms};
use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{ConsentId, MemberId, MspId, Reason, RequestId, StandingRuleId};
use crate::limit;
use crate::member::Caller;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

pub use answering::{Answer, AnswerState, MayAnswer, decide_answer, decide_withdrawal};
pub use asking::{AskState, MayAsk, RequestFor, Wish, decide_asking};

/// A request for access to a patient's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessRequest {
    /// Its id, chosen by the requester.
    pub id: RequestId,
    /// Whose records.
    pub patient: MemberId,
    /// Who asks.
    pub requester: MemberId,
    /// The requester's organisation.
    pub organisation: MspId,
    /// The consent that is asked for.
    pub terms: Terms,
    /// Why.
    pub reason: Reason,
    /// When it was asked.
    pub asked: LedgerTime,
    /// From when it cannot be answered any more.
    pub expires: LedgerTime,
    /// What became of it.
    pub state: RequestState,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RequestState {
    /// Waits for its answer.
    Open,
    /// Nobody answered in time. Never stored: this is computed when somebody asks.
    Expired,
    /// Was granted.
    Granted {
        /// The consent that this made.
        consent: ConsentId,
        /// By whom.
        by: Decider,
        /// When.
        at: LedgerTime,
    },
    /// Was refused.
    Refused {
        /// By whom.
        by: Decider,
        /// When.
        at: LedgerTime,
        /// Why, if the patient says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
    },
    /// Was taken back by the requester.
    Withdrawn {
        /// When.
        at: LedgerTime,
    },
}

/// The requests of one organisation to one patient that wait, each with the time from which it does not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenRequests(BTreeMap<RequestId, LedgerTime>);

/// What is done to requests and standing rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum RequestAct {
    /// Access was asked for, and waits for an answer.
    AccessRequested {
        /// By which request.
        request: RequestId,
    },
    /// A request was granted: by whom the entry says, or by a rule when it was asked.
    RequestGranted {
        /// Which.
        request: RequestId,
        /// The consent that this made.
        consent: ConsentId,
        /// The standing rule that did it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<StandingRuleId>,
    },
    /// A request was refused: by whom the entry says, or by a rule when it was asked.
    RequestRefused {
        /// Which.
        request: RequestId,
        /// The standing rule that did it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<StandingRuleId>,
    },
    /// A request was withdrawn.
    RequestWithdrawn {
        /// Which.
        request: RequestId,
    },
    /// A standing rule was set.
    StandingRuleSet {
        /// Which.
        rule: StandingRuleId,
    },
    /// A standing rule was removed.
    StandingRuleRemoved {
        /// Which.
        rule: StandingRuleId,
    },
}

/// A request that was asked or changed, and all that changes with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    /// The request.
    pub request: AccessRequest,
    /// Its organisation's requests to the patient that wait.
    pub open: OpenRequests,
    /// The consent that it made, if it was granted just now.
    pub granted: Option<Granted>,
}

/// A consent that a granted request made.
#[derive(Debug, PartialEq, Eq)]
pub struct Granted {
    /// The consent.
    pub consent: Consent,
    /// The book that holds it.
    pub book: ConsentBook,
    /// Proof that it may be granted.
    pub proof: MayGrant,
}

impl AccessRequest {
    /// The request as it stands at this time.
    pub fn seen_at(self, at: LedgerTime) -> Self {
        match self.state {
            RequestState::Open if self.expires <= at => Self { state: RequestState::Expired, ..self },
            _ => self,
        }
    }

    /// What settling it leaves on the trail.
    pub fn act(&self) -> RequestAct {
        let request = self.id.clone();
        match &self.state {
            RequestState::Open | RequestState::Expired => RequestAct::AccessRequested { request },
            RequestState::Granted { consent, by, .. } => {
                RequestAct::RequestGranted { request, consent: consent.clone(), rule: by.rule().cloned() }
            }
            RequestState::Refused { by, .. } => RequestAct::RequestRefused { request, rule: by.rule().cloned() },
            RequestState::Withdrawn { .. } => RequestAct::RequestWithdrawn { request },
        }
    }

    fn require_open(&self, at: LedgerTime) -> Result<(), Refusal> {
        if self.state == RequestState::Open && at < self.expires {
            Ok(())
        } else {
            Err(Refusal::new(RefusalCode::RequestNotOpen, "the request was answered or withdrawn, or has expired"))
        }
    }
}

impl OpenRequests {
    /// Those that wait at this time.
    pub fn waiting(&self, at: LedgerTime) -> impl Iterator<Item = &RequestId> {
        self.0.iter().filter(move |(_, expires)| at < **expires).map(|(id, _)| id)
    }

    /// Adds one and forgets those that have expired, or says that there is no room.
    fn with(mut self, request: &AccessRequest) -> Option<Self> {
        self.0.retain(|_, expires| request.asked < *expires);
        self.0.insert(request.id.clone(), request.expires);
        (self.0.len() <= limit::OPEN_REQUESTS).then_some(self)
    }

    fn without(mut self, request: &RequestId) -> Self {
        self.0.remove(request);
        self
    }
}

/// Whether the caller may read this request: the patient, a guardian who answers for the patient, and those of the requester's
/// organisation who ask for access or read its audit. For all others it is unknown.
pub fn decide_reading(
    caller: &Caller,
    request: Option<AccessRequest>,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<AccessRequest, Refusal> {
    let actor = caller.active_member()?;
    let may = |permission| actor.authority(permission).is_granted();
    let is_colleague = |request: &AccessRequest| {
        request.organisation == actor.organisation.msp_id
            && (may(Permission::RequestAccess) || may(Permission::ReadOrganisationAudit))
    };
    let may_read = |request: &AccessRequest| {
        request.requester == actor.member.id
            || is_colleague(request)
            || decide_listing(caller, &request.patient, delegation, at).is_ok()
    };
    let request = request.filter(may_read).ok_or_else(unknown_request)?;
    Ok(request.seen_at(at))
}

/// Whether the caller may list the requests to this patient: the patient, or a guardian who answers for the patient.
pub fn decide_listing(
    caller: &Caller,
    patient: &MemberId,
    delegation: Option<&Delegation>,
    at: LedgerTime,
) -> Result<(), Refusal> {
    require_acting_for(caller, patient, Permission::GrantConsent, Power::AnswerRequests, delegation, at).map(|_| ())
}

fn unknown_request() -> Refusal {
    Refusal::new(RefusalCode::UnknownRequest, "no such request")
}
