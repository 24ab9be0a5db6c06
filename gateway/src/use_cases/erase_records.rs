//! Destroying the contents of an erased link, and saying on the ledger that they are gone.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;
use healthchain_interface::LinksClient;
use healthchain_rules::erasure::Destruction;
use healthchain_rules::{ErasureReceipt, LinkId, RefusalCode};
use openssl::sha::Sha256;

use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::state::{records, replicas};

/// Destroys what the store holds of all versions of an erased link, then confirms it. It may be done again at any point.
pub async fn erase(gateway: &Gateway, link: &LinkId) -> Result<(), Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let receipt = match links.erasure_receipt(link).await.map_err(Failure::from) {
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::LinkNotErased => return Ok(()),
        receipt => receipt?,
    };
    let stored = records::of_link(&gateway.state, link).await?;
    for record in &stored {
        gateway.records.delete(&record.name).await?;
    }
    if receipt.content == Destruction::Ordered {
        let known: BTreeSet<_> = stored.iter().filter_map(|record| record.content_hash.as_deref()).collect();
        destroy_and_confirm(gateway, &receipt, &known).await?;
        tracing::info!(%link, versions = receipt.destroyed.versions.len(), "an erased link's contents are destroyed");
    }
    for record in &stored {
        records::forget(&gateway.state, &record.name).await?;
        // What was on its way while it was deleted may have come back.
        gateway.records.delete(&record.name).await?;
    }
    Ok(())
}

/// Destroys the copies that are kept of an erased link of another organisation, then confirms it, if the receipt names this organisation.
/// It may be done again at any point.
pub async fn erase_copies(gateway: &Gateway, link: &LinkId) -> Result<(), Failure> {
    let links = LinksClient::new(gateway.own_contract());
    let copies = replicas::of_link(&gateway.state, link).await?;
    for copy in &copies {
        gateway.records.delete(&copy.name).await?;
    }
    let receipt = match links.erasure_receipt(link).await.map_err(Failure::from) {
        // It is for those who may have held copies then; whoever is named since never had one.
        Err(Failure::Refused(_)) => None,
        receipt => Some(receipt?),
    };
    let own = receipt.as_ref().and_then(|receipt| receipt.copies.get(&gateway.organisation.msp_id));
    if let (Some(receipt), Some(Destruction::Ordered)) = (&receipt, own) {
        let known: BTreeSet<_> = copies.iter().map(|copy| copy.content_hash.as_str()).collect();
        destroy_and_confirm(gateway, receipt, &known).await?;
        tracing::info!(%link, "the copies of an erased link are destroyed");
    }
    for copy in &copies {
        replicas::forget(&gateway.state, &copy.name).await?;
        // What was on its way while it was deleted may have come back.
        gateway.records.delete(&copy.name).await?;
    }
    Ok(())
}

/// Destroys what of an erased link is not known by its name, then says on the receipt that all of it is gone here.
async fn destroy_and_confirm(
    gateway: &Gateway,
    receipt: &ErasureReceipt,
    known: &BTreeSet<&str>,
) -> Result<(), Failure> {
    let versions = receipt.destroyed.versions.iter().map(|version| version.content_hash.as_str());
    destroy(gateway, versions.filter(|hash| !known.contains(hash)).collect()).await?;
    LinksClient::new(gateway.own_contract()).confirm_destruction(&receipt.link).await?;
    Ok(())
}

/// Destroys contents of which only the hash is known: the state was lost, or another gateway stored them. The ledger has no
/// envelope of an erased link any more that would name them, so that the whole store is looked through.
async fn destroy(gateway: &Gateway, hashes: BTreeSet<&str>) -> Result<(), Failure> {
    if hashes.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = gateway.records.list().try_collect().await?;
    for name in all {
        // Another link's, whatever its hash: a link's publisher may claim any.
        if records::is_known(&gateway.state, &name).await? || replicas::is_known(&gateway.state, &name).await? {
            continue;
        }
        let Some(hash) = hash(gateway, &name).await? else { continue };
        if hashes.contains(hash.as_str()) {
            gateway.records.delete(&name).await?;
        }
    }
    Ok(())
}

/// SHA-256 of what is stored; none when it has gone in the meantime.
pub(super) async fn hash(gateway: &Gateway, name: &str) -> Result<Option<String>, Failure> {
    let mut bytes = match gateway.records.fetch(name, None).await {
        Err(crate::records::RecordsError::Lost) => return Ok(None),
        bytes => bytes?,
    };
    let mut hash = Sha256::new();
    while let Some(chunk) = bytes.try_next().await? {
        hash.update(&chunk);
    }
    Ok(Some(hex::encode(hash.finish())))
}
