//! The contract `Links`: one file a group of functions.

mod envelopes;
mod erasure;
mod filling;
mod listing;
pub(crate) mod opening;
mod publication;
mod resealing;
mod versions;

use fabric_contract::Context;
use healthchain_interface::{
    AddEnvelope, EraseLink, Links, OpenLink, Opened, Page, PermittedLink, PermittedQuery, PublishLink, RecipientsQuery,
    Reseal, ResealQuery, ToReseal, VersionsQuery, WithdrawLink,
};
use healthchain_rules::{
    Content, Envelope, ErasureReceipt, Link, LinkId, MspId, Opening, Recipient, Refusal, TransactionId, VersionOfLink,
};

pub(crate) use publication::load_recipients;

pub(crate) struct LinkContract;

impl Links for LinkContract {
    async fn recipients(&self, context: &Context, query: RecipientsQuery) -> Result<Vec<Recipient>, Refusal> {
        publication::recipients(context, query).await
    }

    async fn publish(&self, context: &mut Context, call: PublishLink) -> Result<Link, Refusal> {
        publication::publish(context, call).await
    }

    async fn link(&self, context: &Context, link: LinkId) -> Result<Link, Refusal> {
        listing::link(context, link).await
    }

    async fn version(&self, context: &Context, link: LinkId, number: u32) -> Result<VersionOfLink, Refusal> {
        versions::version(context, link, number).await
    }

    async fn versions(&self, context: &Context, query: VersionsQuery) -> Result<Page<VersionOfLink>, Refusal> {
        versions::versions(context, query).await
    }

    async fn permitted(&self, context: &Context, query: PermittedQuery) -> Result<Page<PermittedLink>, Refusal> {
        listing::permitted(context, query).await
    }

    async fn open(&self, context: &mut Context, call: OpenLink) -> Result<Opened, Refusal> {
        opening::open(context, call).await
    }

    async fn opening(&self, context: &Context, opening: TransactionId) -> Result<Opening, Refusal> {
        opening::opening(context, opening).await
    }

    async fn envelope(&self, context: &Context, opening: TransactionId) -> Result<Option<Envelope>, Refusal> {
        envelopes::of_opening(context, opening).await
    }

    async fn in_force(&self, context: &Context, opening: TransactionId) -> Result<Opening, Refusal> {
        envelopes::in_force(context, opening).await
    }

    async fn replicable(
        &self,
        context: &Context,
        link: LinkId,
        version: u32,
        other: MspId,
    ) -> Result<Content, Refusal> {
        versions::replicable(context, link, version, other).await
    }

    async fn custodian_envelope(&self, context: &Context, link: LinkId, version: u32) -> Result<Envelope, Refusal> {
        envelopes::of_custodian(context, link, version).await
    }

    async fn add_envelope(&self, context: &mut Context, call: AddEnvelope) -> Result<Envelope, Refusal> {
        envelopes::add(context, call).await
    }

    async fn withdraw(&self, context: &mut Context, call: WithdrawLink) -> Result<Link, Refusal> {
        publication::withdraw(context, call).await
    }

    async fn erase(&self, context: &mut Context, call: EraseLink) -> Result<ErasureReceipt, Refusal> {
        erasure::erase(context, call).await
    }

    async fn confirm_destruction(&self, context: &mut Context, link: LinkId) -> Result<ErasureReceipt, Refusal> {
        erasure::confirm_destruction(context, link).await
    }

    async fn erasure_receipt(&self, context: &Context, link: LinkId) -> Result<ErasureReceipt, Refusal> {
        erasure::receipt(context, link).await
    }

    async fn to_reseal(&self, context: &Context, query: ResealQuery) -> Result<Page<ToReseal>, Refusal> {
        resealing::to_reseal(context, query).await
    }

    async fn reseal(&self, context: &mut Context, call: Reseal) -> Result<Envelope, Refusal> {
        resealing::reseal(context, call).await
    }
}
