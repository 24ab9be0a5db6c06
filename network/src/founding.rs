//! What the consortium's founding puts on the ledger: its organisations and their members, each by its own administrator.

use crate::{NetworkError, Organisation, network::PeerAccess, site::Site};

/// Completes what is missing on the ledger.
pub(crate) async fn complete(_site: &Site) -> Result<(), NetworkError> {
    Ok(())
}

/// How many blocks an organisation's peer has.
pub(crate) async fn height(_site: &Site, _organisation: &Organisation) -> Result<u64, NetworkError> {
    Ok(0)
}

/// Where an organisation's gateway is.
pub(crate) fn gateway_url(organisation: &Organisation) -> String {
    format!("https://localhost:{}", organisation.ports().gateway)
}

/// How to reach an organisation's peer.
pub(crate) fn peer(site: &Site, organisation: &Organisation) -> PeerAccess {
    PeerAccess {
        msp_id: organisation.msp_id.clone(),
        endpoint: format!("https://localhost:{}", organisation.ports().peer),
        tls_root: site.layout.organisation(&organisation.name).tls_root(),
    }
}
