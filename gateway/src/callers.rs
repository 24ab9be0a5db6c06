//! Who is calling, where a token says it: sessions of browsers and scripts, OpenID providers, clinic systems. Whatever the proof, it names
//! a member explicitly, by key or by a table that an administrator wrote; never by a name.

mod dpop;
mod jwt;
mod key_sets;
mod oidc;
mod possession;
pub mod scope;
pub mod sessions;
pub mod signing_certificate;
pub mod smart;
mod subjects;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fabric_msp::{Certificate, MspError};
use healthchain_rules::MemberId;
use url::Url;

use self::key_sets::KeysUnavailable;
pub use self::key_sets::Pace;
use self::scope::{Act, Scope};
use self::sessions::{Answer, Challenge, Challenges, SESSION_SECONDS, random};
use self::signing_certificate::{SigningAuthority, Unfit, require_period};
use self::smart::{Client, TOKEN_SECONDS, TokenRefusal, TokenRequest};
use crate::configuration::callers::CallersConfiguration;
use crate::state::callers::{CallerTokens, Held};
use crate::state::{State, StateError};
use crate::wallet::{Wallet, WalletMember};

/// How tokens of this gateway begin; what does not begin so is an OpenID provider's.
const SESSION_TOKEN: &str = "hcs_";
const ACCESS_TOKEN: &str = "hca_";

/// Knows every kind of proof but the TLS certificate.
pub struct Callers {
    public_url: Url,
    challenges: Challenges,
    signing: Option<SigningAuthority>,
    providers: Vec<oidc::Provider>,
    clients: BTreeMap<String, Client>,
    tokens: CallerTokens,
}

/// Why a gateway's `[callers]` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CallersError {
    /// The MSP folder.
    #[error("[callers] msp: {0}")]
    Msp(#[from] MspError),
    /// An OpenID provider.
    #[error("[[callers.oidc]] {issuer}: {reason}")]
    Provider {
        /// Which.
        issuer: String,
        /// What is wrong.
        reason: String,
    },
    /// A clinic system.
    #[error("[[callers.smart]] {client}: {reason}")]
    Client {
        /// Which.
        client: String,
        /// What is wrong.
        reason: String,
    },
}

/// Why a proof names nobody.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says what it is, and http/problem/kinds.rs what to do about it")]
pub enum Unproven {
    #[error("the token is not one that was given out and still counts")]
    TokenUnknown,
    #[error("the token is expired")]
    TokenExpired,
    #[error("the token is not trusted: {0}")]
    TokenNotTrusted(&'static str),
    #[error("the token is bound to a key, and no proof of it came along")]
    ProofMissing,
    #[error("the token is bound to a certificate, and the connection does not show it")]
    CertificateMissing,
    #[error("the DPoP proof is not good: {0}")]
    ProofInvalid(&'static str),
    #[error("the DPoP proof was used before")]
    ProofReplayed,
    #[error("the token's subject is mapped to no member")]
    SubjectNotMapped,
    #[error("the member is not in this gateway's wallet")]
    NotInWallet,
    #[error("the challenge is not one of this gateway, or too old")]
    ChallengeUnknown,
    #[error("the challenge was answered before")]
    ChallengeUsed,
    #[error("possession of the signing key is not proven: {0}")]
    PossessionNotProven(&'static str),
    #[error(transparent)]
    SigningCertificate(#[from] Unfit),
    #[error("the token's scope does not permit this")]
    ScopeInsufficient,
    #[error("this gateway offers no sessions")]
    SessionsNotOffered,
    #[error("the identity provider's keys cannot be had")]
    ProviderUnavailable,
    #[error(transparent)]
    State(#[from] StateError),
}

/// Whom a token names.
enum Named {
    Member(MemberId),
    Key([u8; 32]),
}

/// What a request shows.
pub struct Presented<'a> {
    /// `Authorization: DPoP` (else `Bearer`).
    pub with_proof: bool,
    /// The token.
    pub token: &'a str,
    /// The `DPoP` header.
    pub proof: Option<&'a str>,
    /// The request's method.
    pub method: &'a str,
    /// The request's path, without query.
    pub path: &'a str,
    /// What the request does.
    pub act: Act,
    /// The TLS client certificate (DER), if any.
    pub certificate: Option<&'a [u8]>,
}

/// A session that was opened.
pub struct Session {
    /// The token, which is shown once.
    pub token: String,
    /// Whose it is.
    pub member: MemberId,
    /// Until when, in seconds since 1970.
    pub expires: u64,
    /// Thumbprint of the key that proofs must be made with (RFC 7638).
    pub thumbprint: String,
}

/// An access token that was given.
pub struct Access {
    /// The token, which is shown once.
    pub token: String,
    /// What it permits.
    pub scope: Scope,
}

impl Callers {
    /// Reads what the configuration says.
    pub fn new(
        configuration: &CallersConfiguration,
        msp_id: &str,
        public_url: &Url,
        state: &State,
        pace: Pace,
    ) -> Result<Self, CallersError> {
        let signing = configuration.msp.as_ref().map(|folder| SigningAuthority::open(folder, msp_id)).transpose()?;
        let mut clients = BTreeMap::new();
        for client in &configuration.smart {
            if clients.insert(client.client.clone(), Client::new(client, pace)?).is_some() {
                let reason = "it stands there twice".to_owned();
                return Err(CallersError::Client { client: client.client.clone(), reason });
            }
        }
        Ok(Self {
            public_url: public_url.clone(),
            challenges: Challenges::new(public_url.origin().ascii_serialization()),
            signing,
            providers: configuration.oidc.iter().map(|one| oidc::Provider::new(one, pace)).collect::<Result<_, _>>()?,
            clients,
            tokens: CallerTokens::new(state),
        })
    }

    /// Whether clinic systems are registered.
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Refuses a member whose signing certificate may not act any more, however the member came.
    pub fn require_fit(&self, certificate: &Certificate) -> Result<(), Unfit> {
        match &self.signing {
            Some(authority) => authority.judge(certificate, now()),
            None => require_period(certificate, now()),
        }
    }

    /// Something to sign.
    pub fn challenge(&self) -> Result<Challenge, Unproven> {
        self.signing.as_ref().ok_or(Unproven::SessionsNotOffered)?;
        Ok(self.challenges.make(self.tokens.key(), now()))
    }

    /// Opens a session for whoever signed a challenge and is a member here.
    pub async fn open_session(&self, answer: &Answer<'_>, wallet: &dyn Wallet) -> Result<Session, Unproven> {
        let (now, signing) = (now(), self.signing.as_ref().ok_or(Unproven::SessionsNotOffered)?);
        let possessor = self.challenges.judge(self.tokens.key(), answer, now)?;
        signing.judge(&possessor.certificate, now)?;
        let member = wallet.signer_with(&possessor.certificate.key_hash()).await.ok_or(Unproven::NotInWallet)?;
        if !self.tokens.first_use(&["challenge", answer.nonce], now + sessions::CHALLENGE_SECONDS + 1).await? {
            return Err(Unproven::ChallengeUsed);
        }
        let (token, expires) = (new_token(SESSION_TOKEN), now + SESSION_SECONDS);
        let (certificate, thumbprint) = (possessor.certificate.pem(), possessor.thumbprint);
        let held = Held::Session { certificate, thumbprint: thumbprint.clone() };
        self.tokens.keep(&token, &held, expires).await?;
        Ok(Session { token, member: member.id.clone(), expires, thumbprint })
    }

    /// Ends the session of a token; says whether there was one.
    pub async fn close_session(&self, token: &str) -> Result<bool, Unproven> {
        Ok(token.starts_with(SESSION_TOKEN) && self.tokens.forget(token).await?)
    }

    /// Gives a registered client an access token.
    pub async fn grant(&self, request: &TokenRequest) -> Result<Access, TokenRefusal> {
        let now = now();
        let granted = smart::judge(&self.clients, request, &self.token_endpoint(), now).await?;
        let used = ["assertion", granted.client.as_str(), granted.id.as_str()];
        let unavailable = |error: StateError| {
            tracing::error!(%error, "no token could be given");
            TokenRefusal::Unavailable
        };
        if !self.tokens.first_use(&used, granted.over).await.map_err(unavailable)? {
            return Err(TokenRefusal::InvalidClient("jti was used before"));
        }
        let token = new_token(ACCESS_TOKEN);
        let held = Held::Access { client: granted.client, scope: granted.scope.to_string() };
        self.tokens.keep(&token, &held, now + TOKEN_SECONDS).await.map_err(unavailable)?;
        Ok(Access { token, scope: granted.scope })
    }

    /// Where clients get tokens: also the audience of their assertions.
    pub fn token_endpoint(&self) -> String {
        self.at("/v1/token").into()
    }

    /// The member whom a token names, if all that it asks for is there.
    pub async fn member(&self, shown: &Presented<'_>, wallet: &dyn Wallet) -> Result<Arc<WalletMember>, Unproven> {
        let (named, bound_to) = self.named(shown).await?;
        match (&bound_to, shown.with_proof) {
            (Some(thumbprint), true) => self.require_proof(shown, thumbprint).await?,
            (Some(_), false) => return Err(Unproven::ProofMissing),
            (None, true) => return Err(Unproven::TokenNotTrusted("it is bound to no key: send it as Bearer")),
            (None, false) => {}
        }
        self.in_wallet(&named, wallet).await
    }

    /// The member whom a token still names that named one before: whoever has shown a proof of the key once need not while the same
    /// request is answered.
    pub async fn member_again(
        &self,
        shown: &Presented<'_>,
        wallet: &dyn Wallet,
    ) -> Result<Arc<WalletMember>, Unproven> {
        let (named, _) = self.named(shown).await?;
        self.in_wallet(&named, wallet).await
    }

    async fn in_wallet(&self, named: &Named, wallet: &dyn Wallet) -> Result<Arc<WalletMember>, Unproven> {
        let member = match named {
            Named::Member(id) => wallet.member(id).await,
            Named::Key(key_hash) => wallet.signer_with(key_hash).await,
        };
        let member = member.ok_or(Unproven::NotInWallet)?;
        self.require_fit(member.creator().certificate())?;
        Ok(member)
    }

    /// Whom a token names, and the thumbprint of the key that it is bound to.
    async fn named(&self, shown: &Presented<'_>) -> Result<(Named, Option<String>), Unproven> {
        let now = now();
        if !shown.token.starts_with(SESSION_TOKEN) && !shown.token.starts_with(ACCESS_TOKEN) {
            let (named, confirmation) = oidc::judge(&self.providers, shown.token, now).await?;
            let Some(confirmation) = confirmation else { return Ok((named, None)) };
            if confirmation.is_empty() {
                return Err(Unproven::TokenNotTrusted("cnf"));
            }
            if let Some(wanted) = &confirmation.x5t {
                let own = shown.certificate.map(|der| URL_SAFE_NO_PAD.encode(openssl::sha::sha256(der)));
                if own.as_ref() != Some(wanted) {
                    return Err(Unproven::CertificateMissing);
                }
            }
            return Ok((named, confirmation.jkt));
        }
        let (held, expires) = self.tokens.held(shown.token).await?.ok_or(Unproven::TokenUnknown)?;
        if expires <= now {
            return Err(Unproven::TokenExpired);
        }
        match held {
            Held::Session { certificate, thumbprint } => {
                let certificate = Certificate::from_pem(certificate).map_err(|_| Unproven::TokenUnknown)?;
                self.require_fit(&certificate)?;
                Ok((Named::Key(certificate.key_hash()), Some(thumbprint)))
            }
            Held::Access { client, scope } => {
                let client = self.clients.get(&client).ok_or(Unproven::TokenUnknown)?;
                let scope = Scope::parse(&scope).unwrap_or_default().and(client.scope);
                if scope.permits(shown.act) {
                    Ok((Named::Member(client.member.clone()), None))
                } else {
                    Err(Unproven::ScopeInsufficient)
                }
            }
        }
    }

    async fn require_proof(&self, shown: &Presented<'_>, thumbprint: &str) -> Result<(), Unproven> {
        let (url, now) = (self.at(shown.path), now());
        let bound = dpop::Bound { method: shown.method, url: &url, token: shown.token };
        let proof = dpop::check(shown.proof.ok_or(Unproven::ProofMissing)?, &bound, now)
            .map_err(|flaw| Unproven::ProofInvalid(flaw.0))?;
        if !openssl_eq(&proof.thumbprint, thumbprint) {
            return Err(Unproven::ProofInvalid("it was made with another key"));
        }
        if self.tokens.first_use(&["dpop", thumbprint, &proof.id], proof.over).await? {
            Ok(())
        } else {
            Err(Unproven::ProofReplayed)
        }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.public_url.clone();
        url.set_path(path);
        url
    }
}

impl From<KeysUnavailable> for Unproven {
    fn from(_: KeysUnavailable) -> Self {
        Self::ProviderUnavailable
    }
}

fn new_token(kind: &str) -> String {
    format!("{kind}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

fn openssl_eq(one: &str, other: &str) -> bool {
    one.len() == other.len() && openssl::memcmp::eq(one.as_bytes(), other.as_bytes())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
