//! Access tokens of OpenID providers: JWTs (RFC 9068), each provider's for this gateway only, each subject mapped to a member.

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Deserializer};

use super::jwt::{Flaw, OneOrMany, Period, Unverified, period};
use super::key_sets::{KeySet, Pace, Place};
use super::subjects::Subjects;
use super::{CallersError, Named, Unproven};
use crate::configuration::callers::ProviderConfiguration;

/// What may sign a provider's tokens: what is checked with a public key.
const ALGORITHMS: &[Algorithm] = &[
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

/// An OpenID provider.
pub(super) struct Provider {
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
    types: Vec<String>,
    keys: KeySet,
    subjects: Subjects,
}

/// Which key a token is bound to (RFC 7800); of its holder more is asked than the token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// Thumbprint of the key that makes DPoP proofs (RFC 9449 section 6).
    pub(super) jkt: Option<String>,
    /// Hash of the TLS client certificate (RFC 8705 section 3.1).
    #[serde(rename = "x5t#S256")]
    pub(super) x5t: Option<String>,
}

impl Confirmation {
    /// Whether it names no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.jkt.is_none() && self.x5t.is_none()
    }
}

/// What a token says (RFC 9068 section 2.2), as far as it is read here.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMany,
    sub: String,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "understood")]
    cnf: Option<Confirmation>,
}

/// What stands there, whatever it is, binds: `null` is no confirmation that is understood.
fn understood<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Confirmation>, D::Error> {
    Confirmation::deserialize(value).map(Some)
}

/// A token's issuer, before anything of it is believed.
#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

impl Provider {
    /// Reads what the configuration says; asks the provider nothing yet.
    pub(super) fn new(configuration: &ProviderConfiguration, pace: Pace) -> Result<Self, CallersError> {
        let issuer = configuration.issuer.to_string();
        let wrong = |reason: String| CallersError::Provider { issuer: issuer.clone(), reason };
        let algorithm = |name: &String| {
            let named: Option<Algorithm> = name.parse().ok();
            named.filter(|named| ALGORITHMS.contains(named)).ok_or_else(|| {
                wrong(format!("algorithms: {name} is none that is checked with a public key; take for example ES256"))
            })
        };
        let place = Place::Issuer(configuration.issuer.clone());
        let provider = Self {
            audience: configuration.audience.clone(),
            algorithms: configuration.algorithms.iter().map(algorithm).collect::<Result<_, _>>()?,
            types: configuration.types.iter().map(|name| media_type(name)).collect(),
            keys: KeySet::new(place, configuration.tls_root.as_deref(), pace).map_err(wrong)?,
            subjects: Subjects::open(&configuration.subjects).map_err(wrong)?,
            issuer: issuer.clone(),
        };
        if configuration.issuer.scheme() != "https" {
            return Err(wrong("issuer must be an https URL".into()));
        }
        if provider.algorithms.is_empty() || provider.types.is_empty() || provider.audience.is_empty() {
            return Err(wrong("audience, algorithms and types must not be empty".into()));
        }
        Ok(provider)
    }

    /// Whether a token says that it is this provider's.
    fn issued(&self, issuer: &str) -> bool {
        // A URL without a path is written with and without the slash.
        issuer.trim_end_matches('/') == self.issuer.trim_end_matches('/')
    }

    async fn judge(&self, token: &Unverified<'_>, now: u64) -> Result<(Named, Option<Confirmation>), Unproven> {
        let kind = token.header.typ.as_deref().map(media_type).unwrap_or_default();
        if !self.types.contains(&kind) {
            return Err(Unproven::TokenNotTrusted("typ"));
        }
        let algorithm = token.algorithm(&self.algorithms)?;
        let id = token.header.kid.as_deref().ok_or(Unproven::TokenNotTrusted("kid"))?;
        let key = self.keys.key(id, algorithm).await?.ok_or(Unproven::TokenNotTrusted("kid"))?;
        let claims: Claims = token.verify(&key, algorithm)?;
        if !self.issued(&claims.iss) {
            return Err(Unproven::TokenNotTrusted("iss"));
        }
        if !claims.aud.contains(&self.audience) {
            return Err(Unproven::TokenNotTrusted("aud"));
        }
        match period(claims.nbf.max(Some(claims.iat)), claims.exp, now) {
            Period::Over => return Err(Unproven::TokenExpired),
            Period::Ahead => return Err(Unproven::TokenNotTrusted("it is of the future")),
            Period::Now => {}
        }
        let member = self.subjects.member(&claims.sub).ok_or(Unproven::SubjectNotMapped)?;
        Ok((Named::Member(member), claims.cnf))
    }
}

/// Who a provider's token names, and which key it is bound to.
pub(super) async fn judge(
    providers: &[Provider],
    token: &str,
    now: u64,
) -> Result<(Named, Option<Confirmation>), Unproven> {
    let token = Unverified::parse(token)?;
    let issuer: Issuer = token.claims()?;
    let provider = providers.iter().find(|provider| provider.issued(&issuer.iss));
    provider.ok_or(Unproven::TokenNotTrusted("iss"))?.judge(&token, now).await
}

/// `at+jwt` and `application/at+jwt` are one (RFC 7515 section 4.1.9).
fn media_type(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_prefix("application/").map(str::to_owned).unwrap_or(name)
}

impl From<Flaw> for Unproven {
    fn from(flaw: Flaw) -> Self {
        Self::TokenNotTrusted(flaw.0)
    }
}
