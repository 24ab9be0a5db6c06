//! Proposing a link's next version: encrypt and store as it comes, seal, submit. It takes effect when other organisations approve it.

use std::sync::Arc;

use healthchain_interface::{AmendmentsClient, LinksClient, ProposeAmendment, RecipientsQuery};
use healthchain_rules::{
    Amendment, AmendmentId, AmendmentState, Category, Envelope, Link, LinkId, MediaType, Permission, Reason, Recipient,
    Refusal, RefusalCode,
};

use super::share_link::{commits_to, id_of, is_own, require_known_for, seal_to, stored_again};
use super::store_record::{RecordBytes, StoredRecord, store_record};
use crate::content::Payload;
use crate::content::parts::Place;
use crate::failure::Failure;
use crate::gateway::{Gateway, unseal};
use crate::ledger::Contract;
use crate::state::records;
use crate::telemetry::SPANS;
use crate::wallet::WalletMember;

/// What a proposal says besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Which link.
    pub link: LinkId,
    /// The version that it is to follow.
    pub base_version: u32,
    /// Why; stays on the ledger for ever.
    pub reason: Reason,
    /// Media type of the next version's bytes.
    pub media_type: MediaType,
}

/// A proposed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposed {
    /// This request proposed it.
    Now(Amendment),
    /// An earlier request with the same key and the same record did.
    Before(Amendment),
}

/// What the ledger says before the record itself is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// It may be proposed under this id.
    New(AmendmentId, Sealing),
    /// An earlier request with the same key has proposed this for the link.
    Proposed(Box<Amendment>, Category),
}

/// To whom a version is sealed, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealing {
    category: Category,
    recipients: Vec<Recipient>,
}

/// Asks the ledger whether the member may propose this, and to whom it is sealed. The amendment's id follows from the member and its
/// idempotency key, as a link's does when it is published.
pub async fn may_amend(
    gateway: &Gateway,
    member: &WalletMember,
    idempotency_key: &str,
    draft: &Draft,
) -> Result<Prospect, Failure> {
    let id = id_of(&member.id, idempotency_key);
    let contract = gateway.contract(member.signer()?);
    let links = LinksClient::new(contract.clone());
    let (earlier, link) = tokio::join!(proposed(&contract, &id), links.link(&draft.link));
    let (earlier, link) = (earlier?, link?);
    if let Some(earlier) = earlier {
        return Ok(Prospect::Proposed(Box::new(earlier), link.category));
    }
    let (rehearsed, sealing) = tokio::join!(rehearse(gateway, member, &id, draft), sealing(contract, link));
    rehearsed?;
    Ok(Prospect::New(id, sealing?))
}

/// As [`may_amend`], for a member whose key is elsewhere: the organisation's gateway asks. Whether the member may propose it the ledger says
/// when the proposal is endorsed; but nobody fills the store whom the ledger knows as somebody who does not amend.
pub async fn will_amend(
    gateway: &Gateway,
    member: &WalletMember,
    idempotency_key: &str,
    draft: &Draft,
) -> Result<(AmendmentId, Sealing), Failure> {
    require_known_for(gateway, member, &[Permission::AmendLink]).await?;
    let contract = gateway.own_contract();
    let link = LinksClient::new(contract.clone()).link(&draft.link).await?;
    Ok((id_of(&member.id, idempotency_key), sealing(contract, link).await?))
}

/// Proposes a version, after [`may_amend`].
#[tracing::instrument(target = SPANS, skip_all)]
pub async fn amend_link(
    gateway: &Gateway,
    member: &WalletMember,
    prospect: Prospect,
    draft: Draft,
    bytes: RecordBytes,
) -> Result<Proposed, Failure> {
    let (id, sealing) = match prospect {
        Prospect::New(id, sealing) => (id, sealing),
        Prospect::Proposed(amendment, category) => {
            return same_proposal(gateway, *amendment, category, &draft, bytes).await;
        }
    };
    let contract = gateway.contract(member.signer()?);
    let category = sealing.category;
    let (call, stored) = compose(gateway, &id, sealing, draft.clone(), bytes).await?;
    match AmendmentsClient::new(contract.clone()).propose(&call).await.map_err(Failure::from) {
        Ok(amendment) => {
            if matches!(amendment.state, AmendmentState::Activated { .. })
                && let Err(error) = records::confirm(&gateway.state, &stored.name).await
            {
                tracing::warn!(%error, "that a stored record is published could not be remembered");
            }
            Ok(Proposed::Now(amendment))
        }
        // Another request with the same key was faster.
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::AmendmentExists => {
            match proposed(&contract, &id).await? {
                Some(amendment) => {
                    let place = Place { link: &draft.link, version: call.base_version.saturating_add(1) };
                    let bytes = stored_again(gateway, place, &draft.media_type, stored).await?;
                    same_proposal(gateway, amendment, category, &draft, bytes).await
                }
                None => Err(Failure::Refused(refusal)),
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Encrypts and stores a version and seals it to its recipients: what is left is to propose it.
pub async fn compose(
    gateway: &Gateway,
    id: &AmendmentId,
    Sealing { category, recipients }: Sealing,
    draft: Draft,
    bytes: RecordBytes,
) -> Result<(ProposeAmendment, StoredRecord), Failure> {
    let Draft { link, base_version, reason, media_type } = draft;
    let place = Place { link: &link, version: base_version.saturating_add(1) };
    let stored = store_record(gateway, place, &media_type, bytes).await?;
    let envelopes = seal_to(gateway, recipients, &stored, place, category)?;
    if let Some(own) = envelopes.iter().find(|envelope| is_own(gateway, &envelope.holder)) {
        records::keep_envelope(&gateway.state, &stored.name, own).await?;
    }
    let call = ProposeAmendment {
        amendment: id.clone(),
        base_version,
        content_hash: stored.content_hash.clone(),
        content_length: stored.content_length,
        commitment: stored.commitment.clone(),
        media_type,
        reason,
        envelopes,
        link,
    };
    Ok((call, stored))
}

/// Has the ledger judge the proposal before its record is taken: with a content that only stands for it, and sealed to nobody, which is
/// what is refused when all else is well.
async fn rehearse(gateway: &Gateway, member: &WalletMember, id: &AmendmentId, draft: &Draft) -> Result<(), Failure> {
    let zeros = "0".repeat(64);
    let call = ProposeAmendment {
        amendment: id.clone(),
        link: draft.link.clone(),
        base_version: draft.base_version,
        content_hash: zeros.parse().expect("64 hexadecimal digits are a content hash"),
        content_length: 1,
        commitment: zeros.parse().expect("64 hexadecimal digits are a commitment"),
        media_type: draft.media_type.clone(),
        reason: draft.reason.clone(),
        envelopes: Vec::new(),
    };
    let argument = serde_json::to_vec(&call).expect("ids, texts and numbers always serialise");
    let judged = gateway.ledger.evaluate(member.signer()?, "Amendments:propose", vec![argument]).await;
    match judged.map_err(Failure::from) {
        Ok(_) => Ok(()),
        Err(Failure::Refused(refusal)) if refusal.code() == RefusalCode::EnvelopeMissing => Ok(()),
        Err(failure) => Err(failure),
    }
}

async fn sealing(contract: Contract, link: Link) -> Result<Sealing, Failure> {
    let Link { patient, category, .. } = link;
    let recipients = LinksClient::new(contract).recipients(&RecipientsQuery { patient, category }).await?;
    Ok(Sealing { category, recipients })
}

async fn proposed(contract: &Contract, id: &AmendmentId) -> Result<Option<Amendment>, Failure> {
    match AmendmentsClient::new(contract.clone()).amendment(id).await.map_err(Failure::from) {
        Ok(view) => Ok(Some(view.amendment)),
        Err(Failure::Refused(refusal)) if is_unknown(&refusal) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn is_unknown(refusal: &Refusal) -> bool {
    refusal.code() == RefusalCode::UnknownAmendment
}

/// Whether what was proposed is of this record: the commitment, which needs the content's key, says so.
async fn same_proposal(
    gateway: &Gateway,
    amendment: Amendment,
    category: Category,
    draft: &Draft,
    bytes: RecordBytes,
) -> Result<Proposed, Failure> {
    require_facts(gateway, &amendment, draft)?;
    let payload = payload(gateway, &amendment, category).await?;
    match commits_to(&payload.key, &amendment.version.commitment, bytes).await? {
        true => Ok(Proposed::Before(amendment)),
        false => Err(Failure::IdempotencyKeyReused),
    }
}

/// Refuses an amendment that is not of this draft.
pub fn require_facts(gateway: &Gateway, amendment: &Amendment, draft: &Draft) -> Result<(), Failure> {
    let version = &amendment.version;
    let same = amendment.link == draft.link
        && amendment.publisher == gateway.organisation.msp_id
        && version.number == draft.base_version.saturating_add(1)
        && version.content.media_type == draft.media_type
        && amendment.reason == draft.reason;
    if same { Ok(()) } else { Err(Failure::IdempotencyKeyReused) }
}

/// The payload of a proposed version: from the state as long as it waits, from the ledger once it took effect.
async fn payload(gateway: &Gateway, amendment: &Amendment, category: Category) -> Result<Payload, Failure> {
    let (link, version) = (&amendment.link, &amendment.version);
    let kept: Option<Envelope> = records::envelope(&gateway.state, link, &version.content.hash).await?;
    match kept {
        Some(envelope) => {
            let key = Arc::clone(&gateway.organisation.encryption_key);
            unseal(key, envelope, link.clone(), version.number, category).await
        }
        None if matches!(amendment.state, AmendmentState::Activated { .. }) => {
            gateway.own_payload(link, version.number, category).await
        }
        // The state was lost, and nobody can tell any more what was proposed.
        None => Err(Failure::IdempotencyKeyReused),
    }
}
