//! The problems of each route, for `openapi.json`.

use std::collections::BTreeMap;

use healthchain_rules::RefusalCode;
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
                    responses(&[REQUEST, $($group),+], &[$(RefusalCode::$refusal),*], &[])
                }
            }
        )+
    };
}

documented! {
    /// Of `POST /v1/links`.
    PublishProblems: CALLER MEMBER_CALLER QUERY RECORD_BODY LEDGER LEDGER_WRITE RECORDS;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownPatient EnvelopeMissing EnvelopeNotWanted LinkExists;
    /// Of `GET /v1/links/{link}`.
    LinkProblems: CALLER MEMBER_CALLER LEDGER; UnknownCaller MemberSuspended MemberRetired UnknownLink;
    /// Of `GET /v1/patients/{patient}/links`.
    PermittedProblems: CALLER MEMBER_CALLER QUERY LEDGER;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownPatient PageTokenMismatch;
    /// Of `POST /v1/links/{link}/withdrawal`.
    WithdrawalProblems: CALLER MEMBER_CALLER JSON_BODY LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownLink OtherOrganisation LinkWithdrawn;
    /// Of `POST /v1/consents`.
    GrantProblems: CALLER MEMBER_CALLER JSON_BODY LEDGER LEDGER_WRITE;
        Malformed UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownMember UnknownOrganisation UnknownLink
        ConsentExists TooManyConsents;
    /// Of `POST /v1/patients/{patient}/consents/{consent}/revocation`.
    RevocationProblems: CALLER MEMBER_CALLER LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownConsent;
    /// Of `GET /v1/patients/{patient}/consents`.
    ConsentsProblems: CALLER MEMBER_CALLER LEDGER; UnknownCaller MemberSuspended MemberRetired NotPermitted;
    /// Of both audit trails.
    AuditProblems: CALLER MEMBER_CALLER QUERY LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted OtherOrganisation UnknownMember UnknownReading
        ReadingExpired PageTokenMismatch;
    /// Of `GET /v1/me`.
    MeProblems: CALLER MEMBER_CALLER LEDGER; UnknownCaller;
    /// Of `GET /v1/members/{member}`.
    MemberProblems: CALLER MEMBER_CALLER LEDGER; UnknownCaller MemberSuspended MemberRetired UnknownMember;
    /// Of `POST /v1/members`.
    RegistrationProblems: CALLER MEMBER_CALLER JSON_BODY LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted MemberExists KeyTaken;
    /// Of suspending a member.
    SuspensionProblems: CALLER MEMBER_CALLER JSON_BODY LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownMember OtherOrganisation OwnSuspension StandingConflict;
    /// Of reinstating a member.
    ReinstatementProblems: CALLER MEMBER_CALLER LEDGER LEDGER_WRITE;
        UnknownCaller MemberSuspended MemberRetired NotPermitted UnknownMember OtherOrganisation StandingConflict;
    /// Of `GET /v1/organisations`.
    OrganisationsProblems: CALLER MEMBER_CALLER LEDGER; ;
    /// Of `GET /v1/contents/{link}/{version}`.
    ContentProblems: CALLER GATEWAY_CALLER QUERY LEDGER RECORDS RECORD_CONTENT SECOND_LOCK;
        UnknownEnvelope OpeningNotInForce;
}

/// Of `POST /v1/links/{link}/openings`.
pub(crate) struct OpeningProblems;

impl IntoResponses for OpeningProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let groups =
            &[REQUEST, CALLER, MEMBER_CALLER, JSON_BODY, LEDGER, LEDGER_WRITE, RECORDS, RECORD_CONTENT, OPENING];
        let refusals = &[RefusalCode::UnknownCaller, RefusalCode::UnknownLink, RefusalCode::OpeningNotInForce];
        let denials =
            Denial::ALL.map(|reason| format!("`{}` (denied, committed): {}", reason.as_str(), denial(reason)));
        responses(groups, refusals, &denials)
    }
}

/// One response a status, with every code that it may carry.
fn responses(groups: &[&[Kind]], refusals: &[RefusalCode], denials: &[String]) -> BTreeMap<String, RefOr<Response>> {
    let mut descriptions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in groups.iter().copied().flatten() {
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
