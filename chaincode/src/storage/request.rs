use fabric_contract::{Context, split_composite_key};
use healthchain_rules::request::{AccessRequest, MayAnswer, MayAsk, OpenRequests, Settled};
use healthchain_rules::standing_rule::{MayChangeRules, StandingRules};
use healthchain_rules::{LedgerTime, MemberId, MspId, Refusal, RefusalCode, RequestId};
use serde::{Deserialize, Serialize};

use super::consent::save_granted;
use super::{Load, fetch, key, ledger, put};

/// Whose requests: those to a patient, or those of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RequestList {
    OfPatient(MemberId),
    OfRequester(MemberId),
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestPosition {
    asked: LedgerTime,
    request: RequestId,
}

pub(crate) fn load_request(id: &RequestId) -> Load<AccessRequest> {
    Load::at(key::access_request(id))
}

/// An organisation's requests to a patient that wait; none are as good as an empty list.
pub(crate) fn load_open_requests(patient: &MemberId, organisation: &MspId) -> Load<OpenRequests> {
    Load::at(key::open_requests(patient, organisation))
}

/// A patient's standing rules; none are as good as an empty list.
pub(crate) fn load_standing_rules(patient: &MemberId) -> Load<StandingRules> {
    Load::at(key::standing_rules(patient))
}

/// Some requests of a list, newest first, and where it goes on. For queries only.
pub(crate) async fn load_requests(
    context: &Context,
    list: &RequestList,
    from: Option<&RequestPosition>,
    limit: u32,
) -> Result<(Vec<AccessRequest>, Option<RequestPosition>), Refusal> {
    let from = from.map(|from| list.key(from.asked, &from.request));
    let (of, member) = list.parts();
    let page = context.composite_page(of, &[member.as_str()], limit, from.as_deref()).await.map_err(ledger)?;
    let ids = page.items.iter().map(|(key, _)| position(key)).collect::<Result<Vec<_>, _>>()?;
    let requests = fetch(context, ids.iter().map(|at| load_request(&at.request)).collect::<Vec<_>>()).await?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((requests, next))
}

/// Saves a new request with its places in the lists, and the consent that a standing rule made.
pub(crate) fn save_asked(context: &mut Context, settled: Settled, _: MayAsk) -> Result<AccessRequest, Refusal> {
    let request = &settled.request;
    for list in [RequestList::OfPatient(request.patient.clone()), RequestList::OfRequester(request.requester.clone())] {
        put(context, list.key(request.asked, &request.id), &request.id)?;
    }
    save(context, settled)
}

/// Saves a request that was answered or withdrawn, and the consent that this made.
pub(crate) fn save_answered(context: &mut Context, settled: Settled, _: MayAnswer) -> Result<AccessRequest, Refusal> {
    save(context, settled)
}

pub(crate) fn save_standing_rules(
    context: &mut Context,
    patient: &MemberId,
    rules: &StandingRules,
    _: MayChangeRules,
) -> Result<(), Refusal> {
    put(context, key::standing_rules(patient), rules)
}

fn save(context: &mut Context, settled: Settled) -> Result<AccessRequest, Refusal> {
    let Settled { request, open, granted } = settled;
    put(context, key::access_request(&request.id), &request)?;
    put(context, key::open_requests(&request.patient, &request.organisation), &open)?;
    if let Some(granted) = granted {
        save_granted(context, &granted.consent, &granted.book, granted.proof)?;
    }
    Ok(request)
}

impl RequestList {
    fn parts(&self) -> (&'static str, &MemberId) {
        match self {
            Self::OfPatient(patient) => (key::REQUEST_OF_PATIENT, patient),
            Self::OfRequester(requester) => (key::REQUEST_OF_REQUESTER, requester),
        }
    }

    fn key(&self, asked: LedgerTime, request: &RequestId) -> String {
        match self {
            Self::OfPatient(patient) => key::request_of_patient(patient, asked, request),
            Self::OfRequester(requester) => key::request_of_requester(requester, asked, request),
        }
    }
}

fn position(key: &str) -> Result<RequestPosition, Refusal> {
    let unreadable = || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the list: check its version");
    let (_, attributes) = split_composite_key(key).map_err(|_| unreadable())?;
    let [_, descending, request] = attributes.as_slice() else { return Err(unreadable()) };
    let asked = key::ascending(descending).ok_or_else(unreadable)?;
    Ok(RequestPosition { asked, request: request.parse()? })
}
