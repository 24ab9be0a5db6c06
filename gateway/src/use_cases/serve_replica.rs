//! What goes between a publisher and its custodian without an opening: a content to be copied, or the copy back. Whether the one is the
//! other's custodian, each side asks its own peer.

use healthchain_interface::LinksClient;
use healthchain_rules::MspId;

use super::read_record::Wanted;
use super::serve_content::{ServedContent, hand_out, own_name, range_of};
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
    let range = range_of(&content, wanted)?;
    let name = match replicas::kept(&gateway.state, place).await? {
        Some(copy) if copy.publisher == *asking => copy.name,
        _ => own_name(gateway, place, &content, links.link(place.link).await?.category).await?,
    };
    let served = hand_out(gateway, &name, place, &content, range.clone()).await?;
    tracing::info!(link = %place.link, version = place.version, organisation = %asking, ?range, "content copied out");
    Ok(served)
}
