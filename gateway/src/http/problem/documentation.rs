//! The problems of each route, for `openapi.json`.

use std::collections::{BTreeMap, BTreeSet};

use healthchain_rules::RefusalCode;
use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::failures::denial;
use super::*;
use healthchain_rules::Denial;

macro_rules! documented {
    ($($(#[$about:meta])* $name:ident: $($group:ident)+; $($refusal:ident)*;)+) => {
        $(
            $(#[$about])*
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    responses(&[REQUEST, LIMITS, $($group),+], &[$(RefusalCode::$refusal),*], &[])
                }
            }
        )+
    };
}

documented! {
    /// Of `POST /v1/links`.
    PublishProblems: CALLER MEMBER_CALLER QUERY REPETITION RECORD_BODY UPLOADS LEDGER LEDGER_WRITE RECORDS;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownPatient EnvelopeMissing EnvelopeNotWanted LinkExists;
    /// Of `POST /v1/links/{link}/amendments`.
    AmendProblems: CALLER MEMBER_CALLER QUERY REPETITION RECORD_BODY UPLOADS LEDGER LEDGER_WRITE RECORDS;
        UnknownCaller MemberSuspended MemberRetired NotPermitted OtherOrganisation UnknownLink LinkWithdrawn LinkErased
        AmendmentExists AmendmentConflict TooManyAmendments TooManyVersions EnvelopeMissing EnvelopeNotWanted;
    /// Of `POST /v1/uploads`.
    NewUploadProblems: CALLER MEMBER_CALLER TUS UPLOADS RECORD_BODY LEDGER;
        UnknownCaller MemberSuspended MemberRetired NotPermitted;
    /// Of `/v1/uploads/{upload}`.
    UploadProblems: CALLER MEMBER_CALLER TUS UPLOADS RECORDS STATE; ;
    /// Of both audit trails.
    AuditProblems: CALLER MEMBER_CALLER QUERY LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted OtherOrganisation UnknownMember UnknownReading
        ReadingExpired PageTokenMismatch;
    /// Of `GET /v1/events`.
    EventsProblems: CALLER MEMBER_CALLER QUERY LEDGER EVENTS EVENT_NAMES;
        UnknownCaller UnknownMember MemberSuspended MemberRetired AgentNotPermitted;
    /// Of webhooks.
    WebhookProblems: CALLER MEMBER_CALLER QUERY JSON_BODY REPETITION STATE LEDGER EVENT_NAMES WEBHOOKS;
        UnknownCaller UnknownMember MemberSuspended MemberRetired AgentNotPermitted;
    /// Of redelivering.
    RedeliveryProblems: CALLER MEMBER_CALLER REPETITION STATE LEDGER WEBHOOKS REDELIVERY;
        UnknownCaller UnknownMember MemberSuspended MemberRetired AgentNotPermitted;
    /// Of the patient index.
    IndexProblems: CALLER MEMBER_CALLER JSON_BODY REPETITION STATE INDEX LEDGER;
        UnknownCaller MemberSuspended MemberRetired UnknownMember;
    /// Of `GET /v1/jobs/{job}`.
    JobProblems: CALLER MEMBER_CALLER STATE JOB; ;
    /// Of both signatures that are made elsewhere; besides, whatever the signed request's own route may answer.
    SignatureProblems: CALLER MEMBER_CALLER JSON_BODY SIGNATURE STATE LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted;
    /// Of `POST /v1/sessions/challenges`.
    ChallengeProblems: STATE SESSION; ;
    /// Of `POST /v1/sessions`.
    SessionProblems: STATE SESSION SIGNING_CERTIFICATE TOKEN_CALLER JSON_BODY; ;
    /// Of `DELETE /v1/sessions/current`.
    SessionEndProblems: CALLER MEMBER_CALLER SESSION; ;
    /// Of `GET /.well-known/smart-configuration`.
    ClientsProblems: CLIENTS; ;
    /// Of `GET /v1/contents/{link}/{version}`.
    ContentProblems: CALLER GATEWAY_CALLER QUERY LEDGER RECORDS RECORD_CONTENT SECOND_LOCK OPENED RECORD_RANGE;
        UnknownEnvelope OpeningNotInForce;
    /// Of `GET /v1/openings/{opening}/content`.
    OpenedContentProblems: CALLER MEMBER_CALLER LEDGER RECORDS RECORD_CONTENT OPENING SECOND_LOCK OPENED RECORD_RANGE;
        UnknownCaller MemberSuspended MemberRetired UnknownOpening OpeningNotInForce;
}

/// Of `POST /v1/links/{link}/openings`.
pub(crate) struct OpeningProblems;

impl IntoResponses for OpeningProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let groups = &[
            REQUEST,
            LIMITS,
            CALLER,
            MEMBER_CALLER,
            JSON_BODY,
            LEDGER,
            LEDGER_WRITE,
            RECORDS,
            RECORD_CONTENT,
            OPENING,
        ];
        let refusals = &[RefusalCode::UnknownCaller, RefusalCode::UnknownLink, RefusalCode::OpeningNotInForce];
        let denials =
            Denial::ALL.map(|reason| format!("`{}` (denied, committed): {}", reason.as_str(), denial(reason)));
        responses(groups, refusals, &denials)
    }
}

/// Whether a route of the table reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// It asks the ledger.
    Reads,
    /// It has something written.
    Writes,
}

/// What the routes of the table may answer besides refusals: whoever adds to what holds for all of them adds its kinds here.
const READS: &[&[Kind]] = &[REQUEST, LIMITS, QUERY, LEDGER];
const WRITES: &[&[Kind]] = &[REQUEST, LIMITS, QUERY, JSON_BODY, REPETITION, CONDITION, STATE, LEDGER, LEDGER_WRITE];
const OF_MEMBERS: &[&[Kind]] = &[CALLER, MEMBER_CALLER];

/// The statuses of problems of a route of the table.
pub(crate) fn shared_statuses(touch: Touch, of_members: bool) -> BTreeSet<u16> {
    let groups = if touch == Touch::Reads { READS } else { WRITES };
    let groups = groups.iter().chain(OF_MEMBERS.iter().filter(|_| of_members)).copied().flatten();
    // What is taken already, or was decided otherwise, only a write can meet.
    let refusals = RefusalCode::ALL.into_iter().map(RefusalCode::status);
    let refusals = refusals.filter(|status| touch == Touch::Writes || *status != 409);
    groups.map(|kind| kind.status).chain(refusals).collect()
}

/// The responses that the routes of the table share: `Problem404` and so on, with every code that may come with the status.
pub(crate) fn shared_responses() -> Value {
    let groups = [WRITES, OF_MEMBERS].concat();
    let responses = responses(&groups, &RefusalCode::ALL, &[]);
    let named = responses.into_iter().map(|(status, response)| {
        let mut response = serde_json::to_value(response).expect("an OpenAPI response always serialises");
        if status == "503" {
            let text = "Seconds after which the same request may succeed";
            response["headers"]["Retry-After"] = json!({"description": text, "schema": {"type": "integer"}});
        }
        (format!("Problem{status}"), response)
    });
    Value::Object(named.collect())
}

/// One response a status, with every code that it may carry.
fn responses(groups: &[&[Kind]], refusals: &[RefusalCode], denials: &[String]) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // A member may come with a token, too.
    let by_token: &[&[Kind]] = &[TOKEN_CALLER, SIGNING_CERTIFICATE, STATE];
    let by_token = if groups.contains(&MEMBER_CALLER) { by_token } else { &[] };
    let mut kinds: Vec<&Kind> = Vec::new();
    for kind in groups.iter().chain(by_token).copied().flatten() {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for kind in kinds {
        descriptions.entry(kind.status.to_string()).or_default().push(format!("`{}`: {}", kind.code, kind.meaning));
    }
    for code in refusals {
        descriptions.entry(code.status().to_string()).or_default().push(format!("`{code}`: refused by the ledger."));
    }
    if !denials.is_empty() {
        descriptions.entry("403".into()).or_default().extend_from_slice(denials);
    }
    let response = |description: Vec<String>| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(description.join("\n\n")).content(MEDIA_TYPE, content).build().into()
    };
    descriptions.into_iter().map(|(status, description)| (status, response(description))).collect()
}
