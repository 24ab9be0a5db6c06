//! Copying encrypted contents into the store: another organisation's as its custodian, and an own one back that the store has lost or
//! spoilt.

use futures::TryStreamExt as _;
use healthchain_interface::{LinksClient, OrganisationsClient};
use healthchain_rules::{Content, LinkId, MspId, RefusalCode};
use openssl::sha::Sha256;

use super::erase_records::hash;
use super::find_content::Source;
use super::now;
use super::serve_content::name_on_the_ledger;
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

/// What this organisation is to a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// Its custodian.
    Custodian,
    /// Struck off, and the ledger has not heard that the copies are destroyed.
    Former,
    /// Nothing, or not any more.
    None,
}

/// What became of a content that somebody found missing or spoilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    /// It is as it was published.
    Whole,
    /// It was brought back from this custodian.
    From(MspId),
    /// It is a copy that is to be made again.
    ToBeCopied,
    /// No custodian gives it.
    Not,
}

/// What the ledger says that this organisation is to a publisher.
pub async fn custody_for(gateway: &Gateway, publisher: &MspId) -> Result<Custody, Failure> {
    let named = OrganisationsClient::new(gateway.own_contract()).custodians(publisher).await?;
    let own = &gateway.organisation.msp_id;
    Ok(match (named.custodians.contains(own), named.former.contains(own)) {
        (true, _) => Custody::Custodian,
        (false, true) => Custody::Former,
        (false, false) => Custody::None,
    })
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
            // Known for as long as it may be there: a store that fails is asked again.
            gateway.records.delete(&copy.name).await?;
            replicas::forget(&gateway.state, &copy.name).await?;
            // What was on its way while it was deleted may have come back.
            gateway.records.delete(&copy.name).await?;
        }
    }
}

/// Destroys the copy of a version, though the state may know nothing of it.
pub async fn destroy_copy(gateway: &Gateway, publisher: &MspId, place: Place<'_>) -> Result<(), Failure> {
    Ok(gateway.records.delete(&replicas::name(publisher, place)).await?)
}

/// Says on the ledger that this organisation, which was struck off, has destroyed all copies of a publisher's contents.
pub async fn confirm_copies_destroyed(gateway: &Gateway, publisher: &MspId) -> Result<(), Failure> {
    OrganisationsClient::new(gateway.own_contract()).confirm_copies_destroyed(publisher).await?;
    Ok(())
}

/// Brings back a content of this organisation that its store has lost.
pub async fn heal(gateway: &Gateway, lost: &Remembered) -> Result<Mended, Failure> {
    let Ok(link) = lost.link.parse::<LinkId>() else { return Ok(Mended::Not) };
    bring_back(gateway, Place { link: &link, version: lost.version }, Some(&lost.name)).await
}

/// Looks at a content that somebody found missing or spoilt, and mends it: a copy is made again, an own content brought back. Whoever found
/// it so may be wrong: a key or a commitment may not fit what lies in the store as it was published.
pub async fn mend(gateway: &Gateway, place: Place<'_>) -> Result<Mended, Failure> {
    let Some(copy) = replicas::kept(&gateway.state, place).await? else {
        return bring_back(gateway, place, None).await;
    };
    if hash(gateway, &copy.name).await?.as_ref() == Some(&copy.content_hash) {
        return Ok(Mended::Whole);
    }
    replicas::miss(&gateway.state, &copy.name).await?;
    Ok(Mended::ToBeCopied)
}

/// Brings back a content of this organisation from the first custodian that gives the right one, if the store does not hold it.
/// `expected` is the name in the store, where it is known.
async fn bring_back(gateway: &Gateway, place: Place<'_>, expected: Option<&str>) -> Result<Mended, Failure> {
    let own = &gateway.organisation.msp_id;
    let custodians = OrganisationsClient::new(gateway.own_contract()).custodians(own).await?.custodians;
    if custodians.is_empty() {
        return Ok(Mended::Not);
    }
    let category = LinksClient::new(gateway.own_contract()).link(place.link).await?.category;
    let name = name_on_the_ledger(gateway, place, category).await?;
    if expected.is_some_and(|expected| expected != name) {
        return Ok(Mended::Not);
    }
    let held = hash(gateway, &name).await?;
    for custodian in &custodians {
        let content = match replicable(gateway, custodian, place).await {
            Err(Failure::Refused(_)) => continue,
            content => content?,
        };
        if held.as_deref() == Some(content.hash.as_str()) {
            return Ok(Mended::Whole);
        }
        let source = Source::at(gateway, custodian, place, None).await?;
        match store(gateway, &source, &content, &name).await {
            Ok(()) => {
                let Err(Failure::Refused(_)) = replicable(gateway, custodian, place).await else {
                    return Ok(Mended::From(custodian.clone()));
                };
                // Erased while it was on its way.
                gateway.records.delete(&name).await?;
                return Ok(Mended::Not);
            }
            Err(failure @ (Failure::Contents(_) | Failure::Tampered(_))) => {
                tracing::warn!(%custodian, link = %place.link, %failure, "a lost content cannot be had of this custodian");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Mended::Not)
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
