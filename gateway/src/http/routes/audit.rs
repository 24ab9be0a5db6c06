use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use fabric_msp::SigningIdentity;
use healthchain_interface::{AccountingQuery, AuditClient, EntriesQuery, Page, PageLimit, PageToken, ReadTrail};
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::{Disclosure, MemberId, MspId, Refusal, RefusalCode, Trail, TransactionId};
use serde::Deserialize;

use super::PageQuery;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{Path, Query};
use crate::http::problem::{AuditProblems, Problem};
use crate::ledger::Contract;

/// What was done with a patient's records and consents
///
/// Newest first, across all organisations. For the patient. The first page is committed as a reading of the audit, which is the newest
/// entry; its tokens give the other pages for an hour.
#[utoipa::path(get, path = "/v1/patients/{patient}/audit",
    operation_id = "auditOfPatient", tag = "audit",
    params(
        ("patient" = String, Path),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/PageOfAuditEntries")), AuditProblems))]
pub(crate) async fn of_patient(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(patient): Path<MemberId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    entries(&gateway, member.signer()?, Trail::OfPatient(patient), page).await
}

/// What a member did
///
/// Newest first. For the member, and for administrators and privacy officers of its organisation. The first page is committed as a
/// reading of the audit, which the member sees; its tokens give the other pages for an hour.
#[utoipa::path(get, path = "/v1/members/{member}/audit",
    operation_id = "auditOfMember", tag = "audit",
    params(
        ("member" = String, Path),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/PageOfAuditEntries")), AuditProblems))]
pub(crate) async fn of_member(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(member): Path<MemberId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    entries(&gateway, caller.signer()?, Trail::OfMember(member), page).await
}

/// What an organisation's members and gateway did
///
/// Newest first. For administrators and privacy officers of the organisation. The first page is committed as a reading of the audit; its tokens
/// give the other pages for an hour.
#[utoipa::path(get, path = "/v1/organisations/{organisation}/audit",
    operation_id = "auditOfOrganisation", tag = "audit",
    params(
        ("organisation" = String, Path),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/PageOfAuditEntries")), AuditProblems))]
pub(crate) async fn of_organisation(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(organisation): Path<MspId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    entries(&gateway, caller.signer()?, Trail::OfOrganisation(organisation), page).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountingQueryOfPatient {
    #[serde(default)]
    all: bool,
    page_token: Option<PageToken>,
    limit: Option<PageLimit>,
}

/// An accounting of disclosures
///
/// Who received what of the patient's records in the last six years, newest first (45 CFR 164.528). For the patient. The first page is
/// committed as a reading of the audit; its tokens give the other pages for an hour.
#[utoipa::path(get, path = "/v1/patients/{patient}/accounting",
    operation_id = "accountingOfPatient", tag = "audit",
    params(
        ("patient" = String, Path),
        ("all" = Option<bool>, Query, description = "Also what need not be accounted for, with the exception that holds for each"),
        ("page_token" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses((status = 200, description = "A page", body = ref("#/components/schemas/PageOfDisclosures")), AuditProblems))]
pub(crate) async fn accounting(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(caller): MemberCaller,
    Path(patient): Path<MemberId>,
    Query(AccountingQueryOfPatient { all, page_token, limit }): Query<AccountingQueryOfPatient>,
) -> Result<Json<Page<Disclosure>>, Problem> {
    let audit = AuditClient::new(gateway.contract(caller.signer()?));
    let (reading, page_token) = reading(&audit, Trail::OfPatient(patient), page_token).await?;
    let query = AccountingQuery { reading: reading.clone(), all, page_token, limit };
    told(&reading, audit.accounting(&query).await?)
}

async fn entries(
    gateway: &Gateway,
    signer: &SigningIdentity,
    trail: Trail,
    PageQuery { page_token, limit }: PageQuery,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let audit = AuditClient::new(gateway.contract(signer));
    let (reading, page_token) = reading(&audit, trail, page_token).await?;
    let query = EntriesQuery { reading: reading.clone(), page_token, limit };
    told(&reading, audit.entries(&query).await?)
}

/// The first page makes the reading; a later one's token names it.
async fn reading(
    audit: &AuditClient<Contract>,
    trail: Trail,
    page_token: Option<PageToken>,
) -> Result<(TransactionId, Option<PageToken>), Problem> {
    match page_token {
        Some(token) => {
            let (reading, token) = split(&token).ok_or_else(|| Failure::Refused(not_of_a_reading()))?;
            Ok((reading, Some(token)))
        }
        None => Ok((audit.read(&ReadTrail { trail, from: None, until: None }).await?.transaction, None)),
    }
}

fn told<T>(reading: &TransactionId, page: Page<T>) -> Result<Json<Page<T>>, Problem> {
    let next_page_token = page.next_page_token.map(|token| join(reading, &token)).transpose()?;
    Ok(Json(Page { next_page_token, ..page }))
}

/// A token of these routes is the reading's 64 digits and the ledger's token.
fn join(reading: &TransactionId, token: &PageToken) -> Result<PageToken, Failure> {
    format!("{reading}{}", token.as_str()).try_into().map_err(|error| Failure::Refused(Refusal::from(error)))
}

fn split(token: &PageToken) -> Option<(TransactionId, PageToken)> {
    let (reading, token) = token.as_str().split_at_checked(64)?;
    Some((reading.parse().ok()?, token.to_owned().try_into().ok()?))
}

fn not_of_a_reading() -> Refusal {
    Refusal::new(RefusalCode::PageTokenMismatch, "use a page token with the query that gave it")
}
