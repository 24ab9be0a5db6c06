//! Clinic systems (SMART App Launch 2.2, Backend Services): a registered client signs an assertion and gets an access token of minutes.

use std::collections::BTreeMap;

use healthchain_rules::MemberId;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::CallersError;
use super::jwt::{Flaw, OneOrMany, Period, SKEW, Unverified, period};
use super::key_sets::{KeySet, Pace, Place};
use super::scope::Scope;
use crate::configuration::callers::ClientConfiguration;

/// What may sign assertions: the two that every implementation has.
const ALGORITHMS: &[Algorithm] = &[Algorithm::RS384, Algorithm::ES384];
/// Their names, for the discovery document.
pub const ALGORITHM_NAMES: [&str; 2] = ["RS384", "ES384"];
/// The only kind of assertion (RFC 7523).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an access token lasts, in seconds.
pub const TOKEN_SECONDS: u64 = 5 * 60;
/// Longest time from an assertion's use to its `exp`.
const ASSERTION_SECONDS: u64 = 5 * 60;
const MAX_ID: usize = 256;

/// A registered client.
pub(super) struct Client {
    pub(super) member: MemberId,
    pub(super) scope: Scope,
    keys: KeySet,
}

/// A request for a token, as its form says (RFC 6749 section 4.4.2, RFC 7523 section 2.2).
#[derive(Deserialize)]
pub struct TokenRequest {
    grant_type: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    client_assertion_type: String,
    #[serde(default)]
    client_assertion: String,
    /// Need not be there, for the assertion says it.
    client_id: Option<String>,
}

/// Why no token is given. The name is that of RFC 6749 section 5.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRefusal {
    /// Not a request of this kind.
    InvalidRequest(&'static str),
    /// The client is not registered, or its assertion is not good.
    InvalidClient(&'static str),
    /// Another grant than client_credentials.
    UnsupportedGrantType,
    /// Nothing of what is asked for may be given, or something is no scope.
    InvalidScope,
    /// The client's keys cannot be had.
    Unavailable,
}

/// An assertion that is good, if it was not used before.
pub(super) struct Granted {
    pub(super) client: String,
    pub(super) scope: Scope,
    /// The assertion's id.
    pub(super) id: String,
    /// From this second on the assertion is too old in any case.
    pub(super) over: u64,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: u64,
    iat: Option<u64>,
    nbf: Option<u64>,
    jti: String,
}

impl Client {
    /// Reads what the configuration says.
    pub(super) fn new(configuration: &ClientConfiguration, pace: Pace) -> Result<Self, CallersError> {
        let wrong = |reason: String| CallersError::Client { client: configuration.client.clone(), reason };
        let place = match (&configuration.jwks, &configuration.jwks_url) {
            (Some(file), None) => Place::File(file.clone()),
            (None, Some(url)) if url.scheme() == "https" => Place::Address(url.clone()),
            _ => return Err(wrong("give either jwks (a file) or jwks_url (https)".into())),
        };
        let unknown = |scope: String| wrong(format!("scopes: {scope} is none; write for example \"system/*.rs\""));
        let scope = Scope::parse(&configuration.scopes.join(" ")).map_err(unknown)?;
        if scope.is_empty() {
            return Err(wrong("scopes is empty: the client could do nothing".into()));
        }
        let keys = KeySet::new(place, configuration.tls_root.as_deref(), pace).map_err(wrong)?;
        Ok(Self { member: configuration.member.clone(), scope, keys })
    }
}

/// Judges a request for a token.
pub(super) async fn judge(
    clients: &BTreeMap<String, Client>,
    request: &TokenRequest,
    endpoint: &str,
    now: u64,
) -> Result<Granted, TokenRefusal> {
    if request.grant_type != "client_credentials" {
        return Err(TokenRefusal::UnsupportedGrantType);
    }
    if request.client_assertion_type != ASSERTION_TYPE {
        return Err(TokenRefusal::InvalidRequest("client_assertion_type"));
    }
    let assertion = Unverified::parse(&request.client_assertion)?;
    if assertion.header.typ.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
        return Err(TokenRefusal::InvalidClient("typ"));
    }
    let algorithm = assertion.algorithm(ALGORITHMS)?;
    let id = assertion.header.kid.as_deref().ok_or(TokenRefusal::InvalidClient("kid"))?;
    let named: Claims = assertion.claims()?;
    let client = clients.get(&named.iss).ok_or(TokenRefusal::InvalidClient("iss"))?;
    let key = client.keys.key(id, algorithm).await.map_err(|_| TokenRefusal::Unavailable)?;
    let claims: Claims = assertion.verify(&key.ok_or(TokenRefusal::InvalidClient("kid"))?, algorithm)?;
    if claims.sub != claims.iss || request.client_id.as_ref().is_some_and(|id| *id != claims.iss) {
        return Err(TokenRefusal::InvalidClient("sub"));
    }
    if !claims.aud.contains(endpoint) {
        return Err(TokenRefusal::InvalidClient("aud"));
    }
    if period(claims.nbf.max(claims.iat), claims.exp, now) != Period::Now || claims.exp > now + ASSERTION_SECONDS + SKEW
    {
        return Err(TokenRefusal::InvalidClient("exp"));
    }
    if !(1..=MAX_ID).contains(&claims.jti.len()) {
        return Err(TokenRefusal::InvalidClient("jti"));
    }
    let asked = Scope::parse(&request.scope).map_err(|_| TokenRefusal::InvalidScope)?;
    let scope = asked.and(client.scope);
    if scope.is_empty() {
        return Err(TokenRefusal::InvalidScope);
    }
    Ok(Granted { client: claims.iss, scope, id: claims.jti, over: claims.exp + SKEW + 1 })
}

impl From<Flaw> for TokenRefusal {
    fn from(flaw: Flaw) -> Self {
        Self::InvalidClient(flaw.0)
    }
}
