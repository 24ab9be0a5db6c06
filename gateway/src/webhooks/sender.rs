//! Carries messages to the servers that members name. These may be anywhere, and so it calls only HTTPS, follows no redirection, sends
//! no credentials but the signature, reads nothing of an answer but its status, and calls no address of the organisation's own network
//! unless its operator allows that. Addresses are judged when they are called: a name that is resolved anew is judged anew.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};
use serde_json::json;
use url::{Host, Url};

use super::addresses::is_public;
use super::signature::sign;
use crate::callers::sessions::rfc3339;
use crate::configuration::{ConfigurationError, WebhooksConfiguration, read};
use crate::events::Told;
use crate::observe::observe;
use crate::state::webhooks::Webhook;
use crate::use_cases::now;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a receiver to answer; the specification asks senders for 15 to 30 seconds.
const TIMEOUT: Duration = Duration::from_secs(15);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest address, in bytes.
const URL_BYTES: usize = 2048;
const USER_AGENT: &str = concat!("healthchain-gateway/", env!("CARGO_PKG_VERSION"));

/// Sends messages.
pub struct Sender {
    http: reqwest::Client,
    allow_private: bool,
    /// Webhooks that one member may have.
    pub(super) of_one_member: u32,
}

/// Why messages cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The file with the authority cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// The authority, or the system's, cannot be used.
    #[error("[webhooks] tls_root: {0}")]
    Tls(#[from] reqwest::Error),
}

/// Why a webhook's address is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// Another scheme, a user or a fragment in it, or too long.
    #[error("it must be https://HOST/… without user and fragment, and at most {URL_BYTES} characters long")]
    Form,
    /// Its host is of a network that is not the public internet.
    #[error("its host is not on the public internet")]
    Private,
    /// Its host is unknown.
    #[error("its host is not found")]
    Unknown,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// Answered 410: it never will be.
    #[error("answered 410 (gone)")]
    Gone,
    /// Answered with another status than a success.
    #[error("answered {0}")]
    Answered(u16),
    /// No answer in time.
    #[error("no answer within {} seconds", TIMEOUT.as_secs())]
    Silent,
    /// The connection or its TLS did not come about, or the address is not called.
    #[error("not reached")]
    NotReached,
}

impl Sender {
    /// As configured.
    pub fn new(configuration: &WebhooksConfiguration) -> Result<Self, SenderError> {
        let allow_private = configuration.allow_private;
        let builder = || {
            let http = reqwest::Client::builder().https_only(true).no_proxy().redirect(Policy::none());
            let http = http.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).user_agent(USER_AGENT);
            http.dns_resolver(Permitted { allow_private })
        };
        let http = match &configuration.tls_root {
            Some(file) => builder().tls_certs_merge(Certificate::from_pem_bundle(&read(file)?)?).build()?,
            None => builder().build().or_else(|error| {
                tracing::warn!(
                    ?error,
                    "the system has no TLS authorities: without [webhooks] tls_root no webhook is reached"
                );
                builder().tls_certs_only([]).build()
            })?,
        };
        Ok(Self { http, allow_private, of_one_member: configuration.of_one_member.get() })
    }

    /// Refuses an address that is not called.
    pub(super) async fn require_permitted(&self, url: &Url) -> Result<(), UrlRefused> {
        self.require_form(url)?;
        if let Some(Host::Domain(name)) = url.host() {
            resolve(name.to_owned(), self.allow_private).await?;
        }
        Ok(())
    }

    /// Tells a webhook's receiver of an event.
    pub(super) async fn deliver(&self, webhook: &Webhook, told: &Told) -> Result<(), Undelivered> {
        let delivered = observe("webhooks", "deliver", self.post(webhook, told)).await;
        let outcome = if delivered.is_ok() { "taken" } else { "not-taken" };
        metrics::counter!("healthchain_webhook_deliveries_total", "outcome" => outcome).increment(1);
        delivered
    }

    async fn post(&self, webhook: &Webhook, told: &Told) -> Result<(), Undelivered> {
        // A number for a host is not resolved, and so judged here.
        self.require_form(&webhook.url).map_err(|_| Undelivered::NotReached)?;
        let (id, timestamp) = (told.entry.transaction.as_str(), now().milliseconds() / 1000);
        let happened = rfc3339(told.entry.time.milliseconds() / 1000);
        let body = json!({"type": told.event, "timestamp": happened, "data": told}).to_string();
        let signature = sign(&webhook.secret, id, timestamp, body.as_bytes());
        let request = self.http.post(webhook.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = request.header("webhook-id", id).header("webhook-timestamp", timestamp);
        let response = request.header("webhook-signature", signature).body(body).send().await;
        match response.map(|response| response.status()) {
            Ok(status) if status.is_success() => Ok(()),
            Ok(StatusCode::GONE) => Err(Undelivered::Gone),
            Ok(status) => Err(Undelivered::Answered(status.as_u16())),
            Err(error) if error.is_timeout() => Err(Undelivered::Silent),
            Err(_) => Err(Undelivered::NotReached),
        }
    }

    fn require_form(&self, url: &Url) -> Result<(), UrlRefused> {
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if url.scheme() != "https" || !is_plain || url.as_str().len() > URL_BYTES {
            return Err(UrlRefused::Form);
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(UrlRefused::Form),
        };
        if self.allow_private || is_public(address) { Ok(()) } else { Err(UrlRefused::Private) }
    }
}

/// Resolves names, and gives only the addresses that may be called.
struct Permitted {
    allow_private: bool,
}

impl Resolve for Permitted {
    fn resolve(&self, name: Name) -> Resolving {
        let (name, allow_private) = (name.as_str().to_owned(), self.allow_private);
        Box::pin(async move {
            let addresses = resolve(name, allow_private).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

async fn resolve(name: String, allow_private: bool) -> Result<Vec<SocketAddr>, UrlRefused> {
    let found = tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((name, 0))).await;
    let found: Vec<_> = found.ok().and_then(Result::ok).ok_or(UrlRefused::Unknown)?.collect();
    let permitted: Vec<_> = found.iter().filter(|at| allow_private || is_public(at.ip())).copied().collect();
    match (found.is_empty(), permitted.is_empty()) {
        (true, _) => Err(UrlRefused::Unknown),
        (false, true) => Err(UrlRefused::Private),
        (false, false) => Ok(permitted),
    }
}
