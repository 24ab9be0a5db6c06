//! The contract `Links`: one file a group of functions.

mod envelopes;
mod listing;
mod opening;
mod publication;

use fabric_contract::Context;
use healthchain_interface::{
    AddEnvelope, Links, OpenLink, Opened, Page, PermittedLink, PermittedQuery, PublishLink, RecipientsQuery,
    WithdrawLink,
};
use healthchain_rules::{Envelope, Link, LinkId, Opening, Recipient, Refusal, TransactionId};

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

    async fn custodian_envelope(&self, context: &Context, link: LinkId, version: u32) -> Result<Envelope, Refusal> {
        envelopes::of_custodian(context, link, version).await
    }

    async fn add_envelope(&self, context: &mut Context, call: AddEnvelope) -> Result<Envelope, Refusal> {
        envelopes::add(context, call).await
    }

    async fn withdraw(&self, context: &mut Context, call: WithdrawLink) -> Result<Link, Refusal> {
        publication::withdraw(context, call).await
    }
}
