//! Erasing a link: what is destroyed, what stays, and the receipt that says so.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custody::{Custodians, is_zero};
use crate::identifier::{AmendmentId, ContentHash, LinkId, MemberId, MspId, Reason};
use crate::link::{self, Link, LinkState, Version};
use crate::member::Caller;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// What an erasure destroyed, by whose decision, and what stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErasureReceipt {
    /// The erased link.
    pub link: LinkId,
    /// Whose record it was.
    pub patient: MemberId,
    /// The organisation that kept the record.
    pub publisher: MspId,
    /// The privacy officer who erased it.
    pub by: MemberId,
    /// When.
    pub at: LedgerTime,
    /// Why.
    pub reason: Reason,
    /// What the ledger's state holds no more.
    pub destroyed: Destroyed,
    /// What stays; nobody can take it from a ledger.
    pub stays: Vec<Remains>,
    /// Whether the publisher has destroyed the encrypted content, too.
    pub content: Destruction,
    /// Who may have held copies when the link was erased, and whether they have destroyed them: the publisher's custodians, and those
    /// that were struck off and had not said that they destroyed theirs. A custodian that keeps none for the publisher says nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copies: BTreeMap<MspId, Destruction>,
    /// How often the publisher had named custodians when the link was erased: whoever is struck off later destroys these copies, too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub namings: u32,
}

/// What the ledger's state holds no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destroyed {
    /// The versions, from the first on.
    pub versions: Vec<DestroyedVersion>,
    /// How many envelopes there were of all versions.
    pub envelopes: u32,
    /// The open amendments whose waiting envelopes are gone, too.
    pub amendments: BTreeSet<AmendmentId>,
}

/// A version that cannot be opened any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestroyedVersion {
    /// Its number.
    pub number: u32,
    /// SHA-256 of its ciphertext.
    pub content_hash: ContentHash,
}

/// What an erasure leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Remains {
    /// The sealed envelopes in the blocks of the past: they lead to a content that is gone.
    SealedEnvelopesInBlocks,
    /// The entries of the audit trail.
    AuditTrail,
    /// The link's id, its patient and the hashes of its versions.
    IdentifiersAndHashes,
}

/// Whether an organisation has destroyed what it had of the encrypted content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Destruction {
    /// Not that the ledger knows.
    Ordered,
    /// The organisation's gateway says so.
    Confirmed {
        /// When it did.
        at: LedgerTime,
    },
}

/// What is done to erase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "kebab-case")]
pub enum ErasureAct {
    /// A link was erased.
    LinkErased {
        /// Which.
        link: LinkId,
        /// Why.
        reason: Reason,
    },
    /// The gateway of the publisher, or of a custodian, removed an erased link's content from its store.
    DestructionConfirmed {
        /// Of which link.
        link: LinkId,
    },
}

/// What an erasure asks of the ledger.
#[derive(Clone, Debug)]
pub struct ErasureState<'a> {
    /// The receipt of an erasure that was carried out before.
    pub existing: Option<ErasureReceipt>,
    /// The link's former versions, from the first on.
    pub former: &'a [Version],
    /// How many envelopes there are of all versions.
    pub envelopes: u32,
    /// The amendments that may still be open.
    pub amendments: BTreeSet<AmendmentId>,
    /// Who keeps copies, or may still hold some.
    pub custodians: Option<Custodians>,
}

/// Proof that the link may be erased.
#[derive(Debug, PartialEq, Eq)]
pub struct MayErase(());

/// Proof that the receipt may say that the content is destroyed.
#[derive(Debug, PartialEq, Eq)]
pub struct MayConfirm(());

/// The link, if the caller may erase it: a privacy officer of its publisher. To those who have nothing to do with it, it is unknown.
pub fn decide_erasing(caller: &Caller, link: Option<Link>) -> Result<Link, Refusal> {
    Ok(link::require_own(caller, link, Permission::EraseLink)?.1)
}

/// The erased link and its receipt, if the caller may erase it.
pub fn decide_erasure(
    caller: &Caller,
    link: Link,
    state: ErasureState<'_>,
    reason: Reason,
    at: LedgerTime,
) -> Result<Outcome<(Link, ErasureReceipt), MayErase>, Refusal> {
    let (actor, link) = link::require_own(caller, Some(link), Permission::EraseLink)?;
    let custodians = state.custodians.filter(|named| named.organisation == link.publisher);
    if let Some(receipt) = state.existing {
        return if receipt.reason == reason {
            Ok(Outcome::Repeated((link, receipt.with_clearances(custodians.as_ref()))))
        } else {
            Err(Refusal::new(RefusalCode::LinkErased, "the link is erased already, for another reason"))
        };
    }
    let versions = state
        .former
        .iter()
        .chain([&link.current])
        .map(|version| DestroyedVersion { number: version.number, content_hash: version.content.hash.clone() })
        .collect();
    let receipt = ErasureReceipt {
        link: link.id.clone(),
        patient: link.patient.clone(),
        publisher: link.publisher.clone(),
        by: actor.member.id.clone(),
        at,
        reason: reason.clone(),
        destroyed: Destroyed { versions, envelopes: state.envelopes, amendments: state.amendments },
        stays: vec![Remains::SealedEnvelopesInBlocks, Remains::AuditTrail, Remains::IdentifiersAndHashes],
        content: Destruction::Ordered,
        copies: custodians
            .iter()
            .flat_map(Custodians::holders)
            .map(|holder| (holder.clone(), Destruction::Ordered))
            .collect(),
        namings: custodians.as_ref().map_or(0, |named| named.namings),
    };
    let state = LinkState::Erased { by: actor.member.id.clone(), at, reason };
    Ok(Outcome::Decided((Link { state, ..link }, receipt), MayErase(())))
}

/// Whether the caller may confirm that it has destroyed the content: the gateway of the erased link's publisher, or of another
/// organisation that the receipt names.
pub fn decide_confirmation(
    caller: &Caller,
    link: Option<Link>,
    receipt: Option<ErasureReceipt>,
    at: LedgerTime,
) -> Result<Outcome<ErasureReceipt, MayConfirm>, Refusal> {
    let custodian = caller.custodian()?;
    let link = link.ok_or_else(link::unknown_link)?;
    let is_publisher = link.publisher == custodian.msp_id;
    let keeps_copies = receipt.as_ref().is_some_and(|receipt| receipt.copies.contains_key(&custodian.msp_id));
    if !is_publisher && !keeps_copies {
        return Err(link::unknown_link());
    }
    let mut receipt = receipt.ok_or_else(not_erased)?;
    let own = if is_publisher { Some(&mut receipt.content) } else { receipt.copies.get_mut(&custodian.msp_id) };
    match own {
        Some(own @ Destruction::Ordered) => {
            *own = Destruction::Confirmed { at };
            Ok(Outcome::Decided(receipt, MayConfirm(())))
        }
        Some(Destruction::Confirmed { .. }) | None => Ok(Outcome::Repeated(receipt)),
    }
}

/// The receipt, for the patient, for the publisher's members and gateway, and for the gateways of the others that it names; to all else
/// the link is unknown. `custodians` are the publisher's now.
pub fn decide_reading(
    caller: &Caller,
    link: Option<&Link>,
    receipt: Option<ErasureReceipt>,
    custodians: Option<&Custodians>,
) -> Result<ErasureReceipt, Refusal> {
    caller.require_active()?;
    let keeps_copies = |organisation: &MspId| receipt.as_ref().is_some_and(|it| it.copies.contains_key(organisation));
    let may_know = |link: &&Link| {
        caller.organisation().msp_id == link.publisher
            || caller.is(&link.patient)
            || matches!(caller, Caller::Custodian(organisation) if keeps_copies(&organisation.msp_id))
    };
    link.filter(may_know).ok_or_else(link::unknown_link)?;
    Ok(receipt.ok_or_else(not_erased)?.with_clearances(custodians))
}

impl ErasureReceipt {
    /// With what those confirmed who were struck off since and then destroyed everything at once. Whoever did so before the erasure and
    /// was named again has had new copies.
    fn with_clearances(mut self, custodians: Option<&Custodians>) -> Self {
        let Some(custodians) = custodians.filter(|named| named.organisation == self.publisher) else { return self };
        for (holder, destruction) in &mut self.copies {
            if let (Destruction::Ordered, Some(clearance)) = (*destruction, custodians.cleared.get(holder))
                && clearance.namings >= self.namings
            {
                *destruction = Destruction::Confirmed { at: clearance.at };
            }
        }
        self
    }
}

fn not_erased() -> Refusal {
    Refusal::new(RefusalCode::LinkNotErased, "the link is not erased")
}
