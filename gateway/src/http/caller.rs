//! Who calls: the TLS client certificate, judged with each request.

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use healthchain_rules::MspId;
use rustls::pki_types::UnixTime;

use super::listener::Peer;
use super::problem::{
    CLIENT_CERTIFICATE_MISSING, CLIENT_CERTIFICATE_NOT_BOUND, CLIENT_CERTIFICATE_NOT_TRUSTED,
    CLIENT_CERTIFICATE_OUTSIDE_ITS_PERIOD, CLIENT_CERTIFICATE_REVOKED, CROSS_SITE_REQUEST, INTERNAL, Kind,
    NOT_A_GATEWAY, NOT_A_MEMBER, Problem,
};
use crate::gateway::Gateway;
use crate::tls::{Distrust, Holder};
use crate::wallet::WalletMember;

/// The member to whom the certificate is bound.
pub(crate) struct MemberCaller(pub(crate) Arc<WalletMember>);

/// The organisation whose gateway presented the certificate.
pub(crate) struct GatewayCaller(pub(crate) MspId);

impl FromRequestParts<Arc<Gateway>> for MemberCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        refuse_other_sites(parts, gateway)?;
        let peer = peer(parts)?;
        match judge(peer, gateway)? {
            Holder::Member => {
                let leaf = peer.certificates.first().ok_or(CLIENT_CERTIFICATE_MISSING)?;
                let member = gateway.wallet.holder_of(leaf).await;
                let member = member.ok_or(CLIENT_CERTIFICATE_NOT_BOUND)?;
                gateway.rates.count_member(&parts.extensions, &member.id)?;
                Ok(Self(member))
            }
            Holder::Gateway(_) => Err(NOT_A_MEMBER.into()),
        }
    }
}

impl FromRequestParts<Arc<Gateway>> for GatewayCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<Self, Problem> {
        match judge(peer(parts)?, gateway)? {
            Holder::Gateway(msp_id) => msp_id.parse().map(Self).map_err(|_| INTERNAL.into()),
            Holder::Member => Err(NOT_A_GATEWAY.into()),
        }
    }
}

/// A browser presents a member's certificate to whichever page asks it to. What writes is refused to other sites' pages; browsers
/// say of each request where it comes from (W3C Fetch Metadata), and other clients say nothing. Sites that the configuration names
/// are own ones.
fn refuse_other_sites(parts: &Parts, gateway: &Gateway) -> Result<(), Kind> {
    let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let own = matches!(site, None | Some(b"same-origin" | b"none"));
    if own || parts.method.is_safe() || gateway.origins.include(&parts.headers) {
        Ok(())
    } else {
        Err(CROSS_SITE_REQUEST)
    }
}

fn peer(parts: &Parts) -> Result<&Peer, Kind> {
    parts.extensions.get::<ConnectInfo<Peer>>().map(|info| &info.0).ok_or(INTERNAL)
}

fn judge<'a>(peer: &Peer, gateway: &'a Gateway) -> Result<Holder<'a>, Kind> {
    if peer.certificates.is_empty() {
        return Err(CLIENT_CERTIFICATE_MISSING);
    }
    gateway.trust.judge(&peer.certificates, UnixTime::now()).map_err(|distrust| match distrust {
        Distrust::OutsideItsPeriod => CLIENT_CERTIFICATE_OUTSIDE_ITS_PERIOD,
        Distrust::Revoked => CLIENT_CERTIFICATE_REVOKED,
        Distrust::NotTrusted => CLIENT_CERTIFICATE_NOT_TRUSTED,
    })
}
