//! Who calls: each proof that a request shows is judged, with each request, and all of them must name the same member.

mod authorization;

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue};
use healthchain_rules::MspId;
use rustls::pki_types::{CertificateDer, UnixTime};

pub(crate) use self::authorization::Authorization;
use super::listener::Peer;
use super::problem::{
    CLIENT_CERTIFICATE_MISSING, CLIENT_CERTIFICATE_NOT_BOUND, CLIENT_CERTIFICATE_NOT_TRUSTED,
    CLIENT_CERTIFICATE_OUTSIDE_ITS_PERIOD, CLIENT_CERTIFICATE_REVOKED, CROSS_SITE_REQUEST, INTERNAL, Kind,
    NOT_A_GATEWAY, NOT_A_MEMBER, PROOFS_DISAGREE, Problem,
};
use crate::callers::scope::Act;
use crate::callers::{Presented, Unproven};
use crate::gateway::Gateway;
use crate::tls::{Distrust, Holder};
use crate::wallet::WalletMember;

/// The member whom the request's proofs name.
#[derive(Clone)]
pub(crate) struct MemberCaller(pub(crate) Arc<WalletMember>);

/// What a request shows of its caller, to be judged again while its answer lasts.
pub(crate) struct Shown(Parts);

/// The organisation whose gateway presented the certificate.
pub(crate) struct GatewayCaller(pub(crate) MspId);

impl FromRequestParts<Arc<Gateway>> for MemberCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        // A proof counts once; whoever asks again within the request is told the same.
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let member = named(parts, gateway, Time::First).await?;
        gateway.rates.count_member(&parts.extensions, &member.id)?;
        parts.extensions.insert(Self(Arc::clone(&member)));
        Ok(Self(member))
    }
}

impl FromRequestParts<Arc<Gateway>> for GatewayCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        match judge(&mut parts.extensions, gateway)? {
            Holder::Gateway(msp_id) => msp_id.parse().map(Self).map_err(|_| INTERNAL.into()),
            Holder::Member => Err(NOT_A_GATEWAY.into()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for Shown {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        Ok(Self(parts.clone()))
    }
}

impl Shown {
    /// Whether it still names this member: nothing of it has ended or was revoked since.
    pub(crate) async fn still_names(&self, member: &WalletMember, gateway: &Gateway) -> bool {
        let mut parts = self.0.clone();
        parts.extensions.remove::<Judged>();
        let named = named(&mut parts, gateway, Time::Again).await;
        named.is_ok_and(|named| named.id == member.id)
    }
}

/// Whether a request is judged for the first time; a proof that counts once is not asked for again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    First,
    Again,
}

/// The member whom all of the request's proofs name.
async fn named(parts: &mut Parts, gateway: &Gateway, time: Time) -> Result<Arc<WalletMember>, Problem> {
    let peer = peer(&parts.extensions)?.clone();
    let authorization = Authorization::of(&parts.headers)?;
    if authorization.is_none() {
        refuse_other_sites(parts, gateway)?;
    }
    let by_certificate = match peer.certificates.first() {
        Some(leaf) => Some(certified(leaf, judge(&mut parts.extensions, gateway)?, gateway).await?),
        None => None,
    };
    let by_token = match &authorization {
        Some(authorization) => Some(named_by_token(authorization, parts, &peer, gateway, time).await?),
        None => None,
    };
    match (by_certificate, by_token) {
        (None, None) => Err(CLIENT_CERTIFICATE_MISSING.into()),
        (Some(one), Some(other)) if one.id != other.id => Err(PROOFS_DISAGREE.into()),
        (_, Some(member)) | (Some(member), None) => Ok(member),
    }
}

/// The member to whom the TLS client certificate is bound.
async fn certified(leaf: &CertificateDer<'_>, holder: Holder, gateway: &Gateway) -> Result<Arc<WalletMember>, Problem> {
    match holder {
        Holder::Member => {
            let member = gateway.wallet.holder_of(leaf).await.ok_or(CLIENT_CERTIFICATE_NOT_BOUND)?;
            gateway.callers.require_fit(member.creator().certificate()).map_err(Unproven::from)?;
            Ok(member)
        }
        Holder::Gateway(_) => Err(NOT_A_MEMBER.into()),
    }
}

/// The member whom the token names.
async fn named_by_token(
    authorization: &Authorization<'_>,
    parts: &Parts,
    peer: &Peer,
    gateway: &Gateway,
    time: Time,
) -> Result<Arc<WalletMember>, Problem> {
    let route = parts.extensions.get::<MatchedPath>().map_or(parts.uri.path(), MatchedPath::as_str);
    let shown = Presented {
        with_proof: authorization.with_proof,
        token: authorization.token,
        proof: authorization.proof,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        act: Act::of(parts.method.as_str(), route),
        certificate: peer.certificates.first().map(AsRef::as_ref),
    };
    let wallet = gateway.wallet.as_ref();
    match time {
        Time::First => Ok(gateway.callers.member(&shown, wallet).await?),
        Time::Again => Ok(gateway.callers.member_again(&shown, wallet).await?),
    }
}

/// A browser presents a member's certificate to whichever page asks it to, and a token only to the page that has it. What comes with
/// nothing but a certificate is refused to other sites' pages, reading too, for who reads a trail is on the ledger; browsers say of each
/// request where it comes from (W3C Fetch Metadata), and other clients say nothing. Sites that the configuration names are own ones.
fn refuse_other_sites(parts: &Parts, gateway: &Gateway) -> Result<(), Kind> {
    let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let own = matches!(site, None | Some(b"same-origin" | b"none"));
    if own || gateway.origins.include(&parts.headers) { Ok(()) } else { Err(CROSS_SITE_REQUEST) }
}

fn peer(request: &Extensions) -> Result<&Peer, Kind> {
    request.get::<ConnectInfo<Peer>>().map(|info| &info.0).ok_or(INTERNAL)
}

/// What a request's client certificate was found to be worth.
#[derive(Clone)]
struct Judged(Result<Holder, Kind>);

/// Whose the request's client certificate is. It is judged with each request, and once.
pub(crate) fn judge(request: &mut Extensions, gateway: &Gateway) -> Result<Holder, Kind> {
    if let Some(Judged(found)) = request.get() {
        return found.clone();
    }
    let peer = peer(request)?;
    let found = if peer.certificates.is_empty() {
        Err(CLIENT_CERTIFICATE_MISSING)
    } else {
        gateway.trust.judge(&peer.certificates, UnixTime::now()).map_err(|distrust| match distrust {
            Distrust::OutsideItsPeriod => CLIENT_CERTIFICATE_OUTSIDE_ITS_PERIOD,
            Distrust::Revoked => CLIENT_CERTIFICATE_REVOKED,
            Distrust::NotTrusted => CLIENT_CERTIFICATE_NOT_TRUSTED,
        })
    };
    request.insert(Judged(found.clone()));
    found
}
