//! Copying encrypted contents into the store: another organisation's as its custodian, and an own one back that the store has lost.

use futures::TryStreamExt as _;
use healthchain_interface::{LinksClient, OrganisationsClient};
use healthchain_rules::{Content, LinkId, MspId, RefusalCode};
use openssl::sha::Sha256;

use super::find_content::Source;
use super::now;
use super::serve_content::own_name;
use crate::content::parts::Place;
use crate::contents::ContentsError;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::records::RecordsError;
use crate::state::records::Remembered;
use crate::state::replicas::{self, Replica};

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// It is in the store.
    Kept,
    /// The ledger does not let it be kept any more.
    NotWanted,
}

/// Whether this organisation is a custodian of another one.
pub async fn is_custodian(gateway: &Gateway, publisher: &MspId) -> Result<bool, Failure> {
    let named = OrganisationsClient::new(gateway.own_contract()).custodians(publisher).await?;
    Ok(named.custodians.contains(&gateway.organisation.msp_id))
}

/// Remembers that a version is to be copied, if it is the publisher's and the ledger lets it be.
pub async fn want(gateway: &Gateway, publisher: &MspId, place: Place<'_>) -> Result<(), Failure> {
    if replicas::is_wanted(&gateway.state, place).await? {
        return Ok(());
    }
    match replicable(gateway, publisher, place).await {
        Ok(content) => Ok(replicas::want(&gateway.state, publisher, place, &content, now()).await?),
        // Another publisher's, or gone in the meantime.
        Err(Failure::Refused(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// Copies a content from its publisher.
pub async fn copy(gateway: &Gateway, replica: &Replica) -> Result<Copied, Failure> {
    let place = Place { link: &replica.link, version: replica.version };
    let content = match replicable(gateway, &replica.publisher, place).await {
        // For good. Whatever else is refused may be let later: by a peer that has caught up, of a publisher that comes back.
        Err(Failure::Refused(refusal)) if is_gone(refusal.code()) => {
            replicas::forget(&gateway.state, &replica.name).await?;
            gateway.records.delete(&replica.name).await?;
            return Ok(Copied::NotWanted);
        }
        content => content?,
    };
    let source = Source::at(gateway, &replica.publisher, place, None).await?;
    store(gateway, &source, &content, &replica.name).await?;
    if replicas::keep(&gateway.state, &replica.name).await? {
        tracing::info!(link = %replica.link, version = replica.version, "a copy is kept");
        return Ok(Copied::Kept);
    }
    // Erased, or struck off, while it was on its way.
    gateway.records.delete(&replica.name).await?;
    Ok(Copied::NotWanted)
}

/// Destroys all copies of a publisher's contents.
pub async fn destroy_copies(gateway: &Gateway, publisher: &MspId) -> Result<(), Failure> {
    loop {
        let copies = replicas::of_publisher(&gateway.state, publisher).await?;
        if copies.is_empty() {
            return Ok(());
        }
        tracing::info!(%publisher, copies = copies.len(), "copies are destroyed that are not to be kept any more");
        for copy in copies {
            replicas::forget(&gateway.state, &copy.name).await?;
            gateway.records.delete(&copy.name).await?;
        }
    }
}

/// Brings back a content of this organisation that its store has lost, from the first custodian that gives the right one. False when
/// none does.
pub async fn heal(gateway: &Gateway, lost: &Remembered) -> Result<bool, Failure> {
    let Ok(link) = lost.link.parse::<LinkId>() else { return Ok(false) };
    let place = Place { link: &link, version: lost.version };
    let own = &gateway.organisation.msp_id;
    let custodians = OrganisationsClient::new(gateway.own_contract()).custodians(own).await?.custodians;
    if custodians.is_empty() {
        return Ok(false);
    }
    let category = LinksClient::new(gateway.own_contract()).link(&link).await?.category;
    if own_name(gateway, place, category).await? != lost.name {
        return Ok(false);
    }
    for custodian in &custodians {
        let content = match replicable(gateway, custodian, place).await {
            Err(Failure::Refused(_)) => continue,
            content => content?,
        };
        let source = Source::at(gateway, custodian, place, None).await?;
        match store(gateway, &source, &content, &lost.name).await {
            Ok(()) => {
                let Err(Failure::Refused(_)) = replicable(gateway, custodian, place).await else { return Ok(true) };
                // Erased while it was on its way.
                gateway.records.delete(&lost.name).await?;
                return Ok(false);
            }
            Err(failure @ (Failure::Contents(_) | Failure::Tampered(_))) => {
                tracing::warn!(%custodian, %link, %failure, "a lost content cannot be had of this custodian");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(false)
}

/// What may be copied between this organisation and the other one.
async fn replicable(gateway: &Gateway, other: &MspId, place: Place<'_>) -> Result<Content, Failure> {
    Ok(LinksClient::new(gateway.own_contract()).replicable(place.link, &place.version, other).await?)
}

fn is_gone(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::LinkErased | RefusalCode::LinkWithdrawn)
}

/// Stores a content as it comes; nobody finds it before its length and SHA-256 are those of the ledger.
async fn store(gateway: &Gateway, source: &Source, content: &Content, name: &str) -> Result<(), Failure> {
    let patience = gateway.patience.transfer;
    let mut bytes = source.fetch(content.length, None, patience).await?;
    let mut object = gateway.records.create(name);
    let (mut hash, mut length) = (Sha256::new(), 0);
    let late = || ContentsError::Unreachable(source.holder().unwrap_or_default().to_owned(), "it fell silent".into());
    while let Some(chunk) = tokio::time::timeout(patience, bytes.try_next()).await.map_err(|_| late())?? {
        hash.update(&chunk);
        length += chunk.len() as u64;
        object.write(chunk).await?;
    }
    if length != content.length {
        return Err(Failure::Tampered("length"));
    }
    if hex::encode(hash.finish()) != content.hash.as_str() {
        return Err(Failure::Tampered("SHA-256"));
    }
    Ok(object.finish().await?)
}

/// Whether the organisation that was asked is not there, so that asking it for something else now is in vain.
pub fn is_outage(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Contents(ContentsError::Unreachable(..))
            | Failure::Ledger(_)
            | Failure::State(_)
            | Failure::Records(RecordsError::Unavailable(_))
    )
}
