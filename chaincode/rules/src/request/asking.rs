use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessRequest, Granted, OpenRequests, RequestState, Settled};
use crate::consent::{
    Consent, ConsentBook, ConsentState, Decider, Effect, GrantState, Grantee, GranteeState, Scope, Terms, grant,
};
use crate::identifier::{ConsentId, Malformed, MemberId, Reason, RequestId, StandingRuleId};
use crate::limit;
use crate::link::require_patient;
use crate::member::{Actor, Caller, Member};
use crate::outcome::Outcome;
use crate::purpose::Purpose;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::standing_rule::{RuleAnswer, StandingRules};
use crate::time::LedgerTime;

/// For whom access is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestFor {
    /// For the requester alone.
    Member,
    /// For all of the requester's organisation.
    Organisation,
}

/// What is asked, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The request's id.
    pub id: RequestId,
    /// Whose records.
    pub patient: MemberId,
    /// For whom.
    pub beneficiary: RequestFor,
    /// Which records.
    pub scope: Scope,
    /// For what.
    pub purposes: BTreeSet<Purpose>,
    /// From when; at once if absent.
    pub from: Option<LedgerTime>,
    /// Until when; until revoked if absent.
    pub until: Option<LedgerTime>,
    /// Why.
    pub reason: Reason,
}

/// What the ledger holds of what a new request names.
#[derive(Clone, Debug, Default)]
pub struct AskState {
    /// The request with this id.
    pub existing: Option<AccessRequest>,
    /// The patient, if there is such a member.
    pub patient: Option<Member>,
    /// The organisation's requests to the patient that wait.
    pub open: OpenRequests,
    /// The patient's standing rules.
    pub rules: StandingRules,
    /// The patient's consent that has the request's id: the one that a rule would make.
    pub consent: Option<Consent>,
    /// The patient's consents that stand.
    pub book: ConsentBook,
}

/// Proof that the request may be made so.
#[derive(Debug, PartialEq, Eq)]
pub struct MayAsk(());

/// Whether the caller may ask so. Whether the patient has the links that a request names is not looked at: the patient learns of it when
/// answering, the requester never. A standing rule may answer at once; the consent that it makes has the request's id.
pub fn decide_asking(
    caller: &Caller,
    state: AskState,
    wish: Wish,
    at: LedgerTime,
) -> Result<Outcome<Settled, MayAsk>, Refusal> {
    let actor = caller.permitted_member(Permission::RequestAccess)?;
    let request = wish.of(actor, at)?;
    let AskState { existing, patient, open, rules, consent, book } = state;
    if let Some(existing) = existing {
        return if existing.asks_the_same_as(&request) {
            let request = existing.seen_at(at);
            Ok(Outcome::Repeated(Settled { request, open, granted: None }))
        } else {
            Err(Refusal::new(RefusalCode::RequestExists, "the request's id is taken: choose another"))
        };
    }
    require_patient(patient.as_ref())?;
    if request.terms.has_ended(at) {
        return Err(Malformed::new("a request's end", "in the future").into());
    }
    let answered = match rules.answer(&request.terms, actor.subject()) {
        Some((rule, RuleAnswer::Refuse)) => {
            let by = Decider::Rule(rule.clone());
            Some((RequestState::Refused { by, at, reason: None }, None))
        }
        Some((rule, RuleAnswer::Grant { days })) => {
            grant_by_rule(actor, &request, rule, days, consent.as_ref(), book).map(|(state, made)| (state, Some(made)))
        }
        None => None,
    };
    let settled = match answered {
        Some((state, granted)) => Settled { request: AccessRequest { state, ..request }, open, granted },
        None => {
            let open = open.with(&request).ok_or_else(|| {
                let detail = "32 requests of the organisation wait for the patient's answer: withdraw one, or wait";
                Refusal::new(RefusalCode::TooManyRequests, detail)
            })?;
            Settled { request, open, granted: None }
        }
    };
    Ok(Outcome::Decided(settled, MayAsk(())))
}

impl Wish {
    fn of(self, actor: &Actor, at: LedgerTime) -> Result<AccessRequest, Refusal> {
        let role = actor.role();
        if let Some(purpose) = self.purposes.iter().find(|purpose| !role.purposes().contains(purpose)) {
            let detail = format!("the role {role} never opens records for {purpose}: ask for other purposes");
            return Err(Refusal::new(RefusalCode::NotPermitted, detail));
        }
        let grantee = match self.beneficiary {
            RequestFor::Member => Grantee::Member(actor.member.id.clone()),
            RequestFor::Organisation => Grantee::Organisation(actor.organisation.msp_id.clone()),
        };
        Ok(AccessRequest {
            id: self.id,
            patient: self.patient,
            requester: actor.member.id.clone(),
            organisation: actor.organisation.msp_id.clone(),
            terms: Terms::new(grantee, self.scope, self.purposes, self.from, self.until, Effect::Permit)?,
            reason: self.reason,
            asked: at,
            expires: at.plus_days(limit::REQUEST_DAYS),
            state: RequestState::Open,
        })
    }
}

impl AccessRequest {
    fn asks_the_same_as(&self, other: &Self) -> bool {
        self.patient == other.patient
            && self.requester == other.requester
            && self.terms == other.terms
            && self.reason == other.reason
    }
}

/// The consent that a rule makes, by the same rule as the patient's own grants; none if the patient could not grant it either, has
/// another consent of that id, or so many that room is kept for the patient's own: then the request waits for the patient.
fn grant_by_rule(
    actor: &Actor,
    request: &AccessRequest,
    rule: &StandingRuleId,
    days: u32,
    existing: Option<&Consent>,
    book: ConsentBook,
) -> Option<(RequestState, Granted)> {
    let (id, at) = (ConsentId::from(&request.id), request.asked);
    if book.count(at) >= limit::CONSENTS_BY_RULE {
        return None;
    }
    let by = Decider::Rule(rule.clone());
    let new = Consent {
        id: id.clone(),
        patient: request.patient.clone(),
        terms: request.terms.ending_by(at.plus_days(days)).ok()?,
        granted: at,
        by: by.clone(),
        state: ConsentState::Granted,
    };
    let grantee = GranteeState {
        member: Some(&actor.member),
        organisation: Some(&actor.organisation),
        ..GranteeState::default()
    };
    match grant(new, GrantState { existing, grantee, ..GrantState::default() }, book).ok()? {
        Outcome::Decided((consent, book), proof) => {
            Some((RequestState::Granted { consent: id, by, at }, Granted { consent, book, proof }))
        }
        Outcome::Repeated(_) => None,
    }
}
