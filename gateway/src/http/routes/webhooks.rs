use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use healthchain_interface::PageLimit;
use healthchain_rules::{LedgerTime, MemberId, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::events::Told;
use crate::events::names::Names;
use crate::events::place::Place;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::input::{self, Path, Query};
use crate::http::problem::{
    INTERNAL, Problem, RedeliveryProblems, UNKNOWN_EVENT, WEBHOOK_URL_REFUSED, WebhookProblems,
};
use crate::http::repeatable::{self, Wish, fingerprint};
use crate::state::webhooks::{self as kept, Webhook};
use crate::webhooks;

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// A webhook to be made.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// Where messages go: `https://…`, on the public internet.
    #[schemars(length(max = 2048))]
    url: String,
    /// Names of the events; all if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    /// The id of the last event that is known already, or `0:0` for the ledger's beginning; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Place>,
}

/// A webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(crate) struct WebhookView {
    /// Its id.
    id: String,
    /// Where messages go.
    #[schemars(with = "String")]
    url: Url,
    /// Names of the events; all if there is none.
    events: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    created_at: LedgerTime,
    /// Everything before this place is delivered or given up.
    place: Place,
    /// How often the next message was tried in vain.
    failures: u32,
    /// Signs the messages: `whsec_…` (Standard Webhooks). Shown when the webhook is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// A member's webhooks.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Webhooks {
    items: Vec<WebhookView>,
}

/// An event that was not taken.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeadLetterView {
    /// The event's transaction, by which it is redelivered; also the message's `webhook-id`.
    transaction: String,
    /// What the receiver did instead.
    reason: String,
    /// When it was given up, in milliseconds since 1970.
    died_at: LedgerTime,
    /// The event.
    told: Told,
}

/// Some dead letters, in the ledger's order.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeadLetters {
    items: Vec<DeadLetterView>,
}

/// Which dead letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLettersQuery {
    after: Option<Place>,
    limit: Option<PageLimit>,
}

/// Have a server told of events
///
/// The server gets what `GET /v1/events` would tell you, as signed messages (Standard Webhooks 1.0.0). Answer 2xx to take one, 410 to have it
/// given up at once; anything else is tried again, later and later, and becomes a dead letter in the end. Messages come at least once
/// and in order: know them by `webhook-id`.
#[utoipa::path(post, path = "/v1/webhooks",
    operation_id = "createWebhook", tag = "events",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible characters, the same for a repeated request")),
    request_body(content = ref("#/components/schemas/NewWebhook"), content_type = "application/json"),
    responses(
        (status = 201, description = "Made", body = ref("#/components/schemas/Webhook"), headers(("Location" = String))),
        WebhookProblems,
    ))]
pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    headers: HeaderMap,
    input::Json(new): input::Json<NewWebhook>,
) -> Result<Response, Problem> {
    let names = Names::new(new.events.iter().map(String::as_str));
    let names = names.map_err(|error| Problem::new(UNKNOWN_EVENT).because(error))?;
    let url = Url::parse(&new.url).map_err(|error| Problem::new(WEBHOOK_URL_REFUSED).because(error))?;
    let said = serde_json::to_vec(&new).map_err(|error| Failure::Internal(error.to_string()))?;
    let wish = wish(&gateway, "POST /v1/webhooks", [said.as_slice()]);
    let (its_gateway, its_member) = (Arc::clone(&gateway), member.id.clone());
    let work = async move {
        let made = webhooks::create(&its_gateway, &its_member, url, names, new.after).await?;
        let location = HeaderValue::try_from(format!("/v1/webhooks/{}", made.webhook.id)).map_err(|_| INTERNAL)?;
        let view = WebhookView { secret: Some(made.secret), ..WebhookView::from(made.webhook) };
        Ok((StatusCode::CREATED, NO_STORE, [(header::LOCATION, location)], Json(view)).into_response())
    };
    repeatable::answer(&gateway, &member.id, &headers, wish, work).await
}

/// Your webhooks
#[utoipa::path(get, path = "/v1/webhooks",
    operation_id = "webhooks", tag = "events",
    responses((status = 200, description = "Oldest first", body = ref("#/components/schemas/Webhooks")), WebhookProblems))]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
) -> Result<Response, Problem> {
    let found = kept::of_member(&gateway.state, &member.id).await.map_err(Failure::from)?;
    let items = found.into_iter().map(WebhookView::from).collect();
    Ok((NO_STORE, Json(Webhooks { items })).into_response())
}

/// A webhook of yours
#[utoipa::path(get, path = "/v1/webhooks/{webhook}",
    operation_id = "webhook", tag = "events",
    params(("webhook" = String, Path)),
    responses((status = 200, description = "How far it is", body = ref("#/components/schemas/Webhook")), WebhookProblems))]
pub(crate) async fn read(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(webhook): Path<String>,
) -> Result<Response, Problem> {
    let found = webhooks::find(&gateway, &member.id, &webhook).await?;
    Ok((NO_STORE, Json(WebhookView::from(found))).into_response())
}

/// Take a webhook away
///
/// With its dead letters. A message under way may still arrive.
#[utoipa::path(delete, path = "/v1/webhooks/{webhook}",
    operation_id = "removeWebhook", tag = "events",
    params(
        ("webhook" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible characters, the same for a repeated request"),
    ),
    responses((status = 204, description = "Taken away"), WebhookProblems))]
pub(crate) async fn remove(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    headers: HeaderMap,
    Path(webhook): Path<String>,
) -> Result<Response, Problem> {
    let wish = wish(&gateway, "DELETE /v1/webhooks/{webhook}", [webhook.as_bytes()]);
    let (its_gateway, its_member) = (Arc::clone(&gateway), member.id.clone());
    let work = async move {
        webhooks::remove(&its_gateway, &its_member, &webhook).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    repeatable::answer(&gateway, &member.id, &headers, wish, work).await
}

/// What a webhook's receiver did not take
///
/// In the ledger's order, for a month; without what you may not know of any more.
#[utoipa::path(get, path = "/v1/webhooks/{webhook}/dead-letters",
    operation_id = "deadLetters", tag = "events",
    params(
        ("webhook" = String, Path),
        ("after" = Option<String>, Query, description = "From the page before"),
        ("limit" = Option<u32>, Query, description = "Items at most, 1 to 100; 20 if absent"),
    ),
    responses(
        (status = 200, description = "A page", body = ref("#/components/schemas/DeadLetters"), headers(("Link" = String))),
        WebhookProblems,
    ))]
pub(crate) async fn dead_letters(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    Path(webhook): Path<String>,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Response, Problem> {
    let limit = u32::from(query.limit.unwrap_or_default());
    let after = query.after.unwrap_or(Place::at(0));
    let (letters, next) = webhooks::dead_letters(&gateway, &member.id, &webhook, after, limit).await?;
    let letters = letters.into_iter().map(|(told, letter)| DeadLetterView {
        transaction: letter.transaction,
        reason: letter.reason,
        died_at: letter.died_at,
        told,
    });
    let mut response = (NO_STORE, Json(DeadLetters { items: letters.collect() })).into_response();
    if let Some(next) = next {
        let next = format!("</v1/webhooks/{webhook}/dead-letters?after={next}&limit={limit}>; rel=\"next\"");
        response.headers_mut().insert(header::LINK, HeaderValue::try_from(next).map_err(|_| INTERNAL)?);
    }
    Ok(response)
}

/// Deliver a dead letter after all
///
/// It is tried at once, and leaves the list when the receiver takes it.
#[utoipa::path(post, path = "/v1/webhooks/{webhook}/dead-letters/{transaction}/redelivery",
    operation_id = "redeliver", tag = "events",
    params(
        ("webhook" = String, Path),
        ("transaction" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible characters, the same for a repeated request"),
    ),
    responses((status = 204, description = "Taken"), RedeliveryProblems))]
pub(crate) async fn redeliver(
    State(gateway): State<Arc<Gateway>>,
    MemberCaller(member): MemberCaller,
    headers: HeaderMap,
    Path((webhook, transaction)): Path<(String, TransactionId)>,
) -> Result<Response, Problem> {
    let route = "POST /v1/webhooks/{webhook}/dead-letters/{transaction}/redelivery";
    let wish = wish(&gateway, route, [webhook.as_bytes(), transaction.as_str().as_bytes()]);
    let (its_gateway, its_member): (_, MemberId) = (Arc::clone(&gateway), member.id.clone());
    let work = async move {
        webhooks::redeliver(&its_gateway, &its_member, &webhook, transaction.as_str()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    repeatable::answer(&gateway, &member.id, &headers, wish, work).await
}

fn wish<const PARTS: usize>(gateway: &Gateway, route: &str, parts: [&[u8]; PARTS]) -> Wish {
    Wish { route: route.to_owned(), fingerprint: fingerprint(gateway, parts) }
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            events: webhook.names.iter().map(str::to_owned).collect(),
            id: webhook.id,
            url: webhook.url,
            created_at: webhook.created_at,
            place: webhook.place,
            failures: webhook.failures,
            secret: None,
        }
    }
}
