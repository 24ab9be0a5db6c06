//! The contract `Governance`.

use std::collections::BTreeSet;

use fabric_contract::Context;
use healthchain_interface::{CastVote, ExplainQuery, Governance, GroupsQuery, Page, ProposalsQuery, ProposeChange};
use healthchain_rules::change::{Affairs, Change, Execution};
use healthchain_rules::governance::{
    GovernanceAct, MayGovern, Proposal, Ruling, decide_proposal, decide_reading, decide_vote, decide_withdrawal,
};
use healthchain_rules::group::{Explanation, Group, decide_explanation};
use healthchain_rules::{
    Caller, GroupId, GroupState, KeyHolder, MemberId, Outcome, ProposalId, Refusal, RefusalCode, Settings, limit,
};
use serde::{Deserialize, Serialize};

use crate::audit::Record;
use crate::caller::{load_caller, load_caller_with};
use crate::encryption_key::require_hash;
use crate::page_token;
use crate::storage::agent::load_charter;
use crate::storage::governance::{load_page_of_proposals, load_proposal, save_ruling};
use crate::storage::group::{load_group, load_groups, load_page_of_groups};
use crate::storage::member::{load_key_holder, load_member};
use crate::storage::organisation::load_organisations;
use crate::storage::settings::load_settings;
use crate::storage::{Load, fetch};
use crate::transaction;

pub(crate) struct GovernanceContract;

impl Governance for GovernanceContract {
    async fn propose(&self, context: &mut Context, call: ProposeChange) -> Result<Proposal, Refusal> {
        let ProposeChange { proposal: id, change } = call;
        change.encryption_key().map(require_hash).transpose()?;
        let (caller, existing, touched) =
            load_caller_with(context, load_proposal(&id), |_, _| load_touched(&change)).await?;
        let affairs = load_affairs(context, &change, touched).await?;

        let made = GovernanceAct::ProposalMade { proposal: id.clone(), change: change.clone() };
        match decide_proposal(&caller, existing, id, change, &affairs, transaction::time(context)?)? {
            Outcome::Repeated(ruling) => Ok(ruling.proposal),
            Outcome::Decided(ruling, proof) => save(context, &caller, ruling, made, proof),
        }
    }

    async fn vote(&self, context: &mut Context, call: CastVote) -> Result<Proposal, Refusal> {
        let CastVote { proposal: id, choice, reason } = call;
        let (caller, proposal, touched) = load_caller_with(context, load_proposal(&id), |proposal, _| {
            proposal.as_ref().map(|proposal: &Proposal| load_touched(&proposal.change))
        })
        .await?;
        let affairs = match (&proposal, touched) {
            (Some(proposal), Some(touched)) => load_affairs(context, &proposal.change, touched).await?,
            _ => Affairs::default(),
        };

        let at = transaction::time(context)?;
        match decide_vote(&caller, proposal, choice, reason, &affairs, at)? {
            Outcome::Repeated(ruling) => Ok(ruling.proposal),
            Outcome::Decided(ruling, proof) => {
                save(context, &caller, ruling, GovernanceAct::VoteCast { proposal: id, choice }, proof)
            }
        }
    }

    async fn withdraw(&self, context: &mut Context, proposal: ProposalId) -> Result<Proposal, Refusal> {
        let (caller, found, ()) = load_caller_with(context, load_proposal(&proposal), |_, _| ()).await?;

        match decide_withdrawal(&caller, found, transaction::time(context)?)? {
            Outcome::Repeated(ruling) => Ok(ruling.proposal),
            Outcome::Decided(ruling, proof) => {
                save(context, &caller, ruling, GovernanceAct::ProposalWithdrawn { proposal }, proof)
            }
        }
    }

    async fn proposal(&self, context: &Context, proposal: ProposalId) -> Result<Proposal, Refusal> {
        let (caller, proposal, ()) = load_caller_with(context, load_proposal(&proposal), |_, _| ()).await?;
        decide_reading(&caller, proposal, transaction::time(context)?)
    }

    async fn proposals(&self, context: &Context, query: ProposalsQuery) -> Result<Page<Proposal>, Refusal> {
        load_caller(context).await?.require_active()?;
        let from = page_token::read(&query.open, query.page_token)?;
        let limit = query.limit.unwrap_or_default().into();
        let (proposals, next) = load_page_of_proposals(context, from.as_ref(), limit).await?;

        let at = transaction::time(context)?;
        let might_be_open = |last: &Proposal| at < last.made.plus_days(*limit::PROPOSAL_DAYS.end());
        let goes_on = !query.open || proposals.last().is_some_and(might_be_open);
        let next = page_token::write(&query.open, next.filter(|_| goes_on))?;
        let items = proposals.into_iter().map(|proposal| proposal.as_of(at));
        let items = items.filter(|proposal| !query.open || proposal.is_open()).collect();
        Ok(Page { items, next_page_token: next })
    }

    async fn settings(&self, context: &Context) -> Result<Settings, Refusal> {
        let (caller, settings, ()) = load_caller_with(context, load_settings(), |_, _| ()).await?;
        caller.require_active()?;
        Ok(settings.unwrap_or_default())
    }

    async fn group(&self, context: &Context, group: GroupId) -> Result<Group, Refusal> {
        let (caller, group, ()) = load_caller_with(context, load_group(&group), |_, _| ()).await?;
        caller.require_active()?;
        group.ok_or_else(|| Refusal::new(RefusalCode::UnknownGroup, "no such group"))
    }

    async fn groups(&self, context: &Context, query: GroupsQuery) -> Result<Page<Group>, Refusal> {
        load_caller(context).await?.require_active()?;
        let from: Option<GroupId> = page_token::read(&OfGroups, query.page_token)?;
        let limit = query.limit.unwrap_or_default().into();
        let (items, next) = load_page_of_groups(context, from.as_ref(), limit).await?;
        let next_page_token = page_token::write(&OfGroups, next)?;
        Ok(Page { items, next_page_token })
    }

    async fn explain(&self, context: &Context, query: ExplainQuery) -> Result<Explanation, Refusal> {
        let first = (load_member(&query.member), load_charter(&query.member));
        let (caller, (member, _), owner) = load_caller_with(context, first, |(_, charter), _| {
            charter.as_ref().map(|charter| load_member(&charter.owner))
        })
        .await?;
        decide_explanation(&caller, member, owner.flatten().as_ref(), query.permission)
    }
}

/// What a page token of the groups belongs to.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct OfGroups;

/// What a change is about: a group, a signing key; and the settings.
type Touched<G, K, S> = (Option<G>, Option<K>, S);

fn load_touched(change: &Change) -> Touched<Load<Group>, Load<KeyHolder>, Load<Settings>> {
    let key_holder = change.signing_key().map(|(organisation, key_hash)| load_key_holder(organisation, key_hash));
    (change.group().map(load_group), key_holder, load_settings())
}

/// Loads what else a change is about. The organisations and the groups are read as a whole: both change rarely, and by votes.
async fn load_affairs(
    context: &Context,
    change: &Change,
    (group, key_holder, settings): Touched<Option<Group>, Option<KeyHolder>, Option<Settings>>,
) -> Result<Affairs, Refusal> {
    let group = group.flatten();
    let groups = match change {
        Change::MakeGroup { .. } => load_groups(context).await?,
        _ => Vec::new(),
    };
    let of_group = group.iter().flat_map(|group| group.members.keys());
    let members: BTreeSet<&MemberId> = change.members().into_iter().chain(of_group).collect();
    Ok(Affairs {
        organisations: load_organisations(context).await?,
        members: fetch(context, members.into_iter().map(load_member).collect::<Vec<_>>()).await?,
        groups: groups.iter().filter(|group| group.state == GroupState::Active).count(),
        group,
        key_holder: key_holder.flatten(),
        settings: settings.unwrap_or_default(),
    })
}

/// Saves the ruling; the act is `otherwise`, unless the call decided the proposal.
fn save(
    context: &mut Context,
    caller: &Caller,
    ruling: Ruling,
    otherwise: GovernanceAct,
    proof: MayGovern,
) -> Result<Proposal, Refusal> {
    save_ruling(context, &ruling, proof)?;
    let record = Record::new(GovernanceAct::of(&ruling.proposal, otherwise));
    match &ruling.execution {
        Some(Execution::Administrator(appointed)) => record.upon(&appointed.id).save(context, caller)?,
        _ => record.save(context, caller)?,
    }
    Ok(ruling.proposal)
}
