//! The amendment verifier: says yes for the organisation to what other organisations' amendments pass its policy.
//!
//! It sees what any approver may see before a version takes effect: not the record, whose envelopes wait on the ledger, but who
//! proposed what. Who signed the proposal the ledger has checked; here it is judged whom to trust with which records.

use healthchain_interface::{AmendmentsClient, ApproveAmendment, LinksClient, MembersClient, RejectAmendment};
use healthchain_rules::amendment::AmendmentAct;
use healthchain_rules::audit::Act;
use healthchain_rules::{
    Amendment, AmendmentId, AmendmentStanding, LedgerEvent, Link, Member, Reason, RefusalCode, Role, Standing,
};

use super::{Halt, Listener, Post};
use crate::configuration::AmendmentPolicy;
use crate::failure::Failure;

/// See the module.
pub struct AmendmentVerifier {
    policy: AmendmentPolicy,
}

impl AmendmentVerifier {
    /// A verifier that judges by this policy.
    pub const fn new(policy: AmendmentPolicy) -> Self {
        Self { policy }
    }
}

impl Listener for AmendmentVerifier {
    const NAME: &'static str = "amendment_verifier";

    async fn deal_with(&self, post: &Post, event: &LedgerEvent) -> Result<(), Halt> {
        let Act::Amendment(AmendmentAct::AmendmentProposed { amendment, .. }) = &event.entry.act else { return Ok(()) };
        if event.entry.organisation == post.gateway.organisation.msp_id {
            return Ok(());
        }
        let outcome = match self.judge(post, amendment).await {
            // Somebody, or time, was faster.
            Err(Halt::Failed(Failure::Refused(refusal))) if is_over(refusal.code()) => "too-late",
            judged => judged?,
        };
        post.did(outcome);
        Ok(())
    }
}

impl AmendmentVerifier {
    async fn judge(&self, post: &Post, id: &AmendmentId) -> Result<&'static str, Halt> {
        let amendments = AmendmentsClient::new(post.contract().await?);
        let view = amendments.amendment(id).await?;
        let own_voice = view.amendment.voices.get(&post.gateway.organisation.msp_id);
        if view.standing != AmendmentStanding::Open || !matches!(own_voice, Some(None)) {
            return Ok("too-late");
        }
        match self.objection(post, &view.amendment).await? {
            None => {
                amendments.approve(&ApproveAmendment { amendment: id.clone() }).await?;
                tracing::info!(amendment = id.as_str(), "the amendment verifier approved");
                Ok("approved")
            }
            Some(objection) if self.policy.reject => {
                amendments.reject(&RejectAmendment { amendment: id.clone(), reason: reason(objection) }).await?;
                tracing::info!(amendment = id.as_str(), objection, "the amendment verifier rejected");
                Ok("rejected")
            }
            Some(objection) => {
                tracing::info!(amendment = id.as_str(), objection, "the amendment verifier leaves it to people");
                Ok("left-to-people")
            }
        }
    }

    async fn objection(&self, post: &Post, amendment: &Amendment) -> Result<Option<&'static str>, Halt> {
        let contract = post.contract().await?;
        let link = match LinksClient::new(contract.clone()).link(&amendment.link).await.map_err(Halt::from) {
            Err(Halt::Failed(Failure::Refused(refusal))) if refusal.code() == RefusalCode::UnknownLink => None,
            link => Some(link?),
        };
        let proposer = MembersClient::new(contract).member(&amendment.version.by).await?;
        Ok(objection(&self.policy, amendment, link.as_ref(), &proposer))
    }
}

/// What of the policy an amendment does not pass. `link` is none when the ledger does not let the agent know of it.
fn objection(
    policy: &AmendmentPolicy,
    amendment: &Amendment,
    link: Option<&Link>,
    proposer: &Member,
) -> Option<&'static str> {
    // Stopping an agent changes its charter, not its standing: only who names it can know that it is to be trusted.
    let is_named_agent = proposer.role == Role::Agent && policy.proposers.contains(&proposer.id);
    let is_in_good_standing =
        proposer.standing == Standing::Active && (proposer.role == Role::Clinician || is_named_agent);
    let Some(link) = link else { return Some("the record is not known to the agent") };
    let (content, current) = (&amendment.version.content, &link.current.content);
    let objections = [
        (!policy.publishers.contains(&amendment.publisher), "the publisher is not among those that are trusted"),
        (
            !policy.proposers.is_empty() && !policy.proposers.contains(&proposer.id),
            "the proposer is not among those who are trusted",
        ),
        (
            proposer.organisation != amendment.publisher || !is_in_good_standing,
            "the proposer is no active clinician of the publisher, nor an agent that the policy names",
        ),
        (!policy.categories.contains(&link.category), "records of this category are for people to judge"),
        (!policy.media_types.contains(&content.media_type), "records of this media type are for people to judge"),
        (content.media_type != current.media_type, "the media type is another than the current version's"),
        (content.length > policy.max_bytes, "the content is larger than the agent judges"),
        (content.hash == current.hash, "the content is the current version's"),
    ];
    objections.into_iter().find_map(|(applies, objection)| applies.then_some(objection))
}

/// Refusals after which nothing is left to say to an amendment.
fn is_over(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::AmendmentClosed
            | RefusalCode::AmendmentConflict
            | RefusalCode::LinkErased
            | RefusalCode::LinkWithdrawn
            | RefusalCode::UnknownAmendment
            | RefusalCode::UnknownMember
            | RefusalCode::VoiceGiven
    )
}

fn reason(objection: &str) -> Reason {
    format!("policy of the amendment verifier: {objection}").parse().expect("each objection is a short text")
}
