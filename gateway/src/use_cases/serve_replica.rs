//! What goes between a publisher and its custodian without an opening: a content to be copied, or the copy back. Whether the one is the
//! other's custodian, each side asks its own peer.

use futures::{StreamExt as _, TryStreamExt as _};
use healthchain_interface::LinksClient;
use healthchain_rules::MspId;

use super::read_record::Wanted;
use super::serve_content::{ServedContent, checked, own_name};
use crate::content::parts::Place;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::replicas;

/// The encrypted content of a version, or what is wanted of it, for the gateway of the publisher or of a custodian.
pub async fn serve_replica(
    gateway: &Gateway,
    asking: &MspId,
    place: Place<'_>,
    wanted: Option<Wanted>,
) -> Result<ServedContent, Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let content = links.replicable(place.link, &place.version, asking).await?;
    let range = match wanted {
        Some(wanted) => Some(wanted.of(content.length).ok_or(Failure::RangeNotSatisfiable(content.length))?),
        None => None,
    };
    let name = match replicas::kept(&gateway.state, place).await? {
        Some(copy) if copy.publisher == *asking => copy.name,
        _ => own_name(gateway, place, links.link(place.link).await?.category).await?,
    };
    let bytes = gateway.records.fetch(&name, range.clone()).await?;
    tracing::info!(link = %place.link, version = place.version, organisation = %asking, ?range, "content copied out");
    let bytes = match range {
        Some(_) => bytes,
        None => checked(bytes, place.link, place.version, &content.hash),
    };
    let range = range.unwrap_or(0..content.length);
    Ok(ServedContent { length: content.length, range, bytes: bytes.map_err(Failure::from).boxed() })
}
