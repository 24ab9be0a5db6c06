use fabric_contract::{Context, split_composite_key};
use healthchain_rules::governance::{MayGovern, Proposal, Ruling};
use healthchain_rules::{Execution, LedgerTime, ProposalId, Refusal, RefusalCode};
use serde::{Deserialize, Serialize};

use super::{Load, decode, fetch, group, key, ledger, member, organisation, put, settings};

/// Where the list of proposals goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProposalPosition {
    made: LedgerTime,
    proposal: ProposalId,
}

pub(crate) fn load_proposal(id: &ProposalId) -> Load<Proposal> {
    Load::at(key::proposal(id))
}

/// Some proposals, newest first, and where the list goes on. For queries only.
pub(crate) async fn load_page_of_proposals(
    context: &Context,
    from: Option<&ProposalPosition>,
    limit: u32,
) -> Result<(Vec<Proposal>, Option<ProposalPosition>), Refusal> {
    let from = from.map(|from| key::proposal_by_time(from.made, &from.proposal));
    let page = context.composite_page(key::PROPOSAL_BY_TIME, &[], limit, from.as_deref()).await.map_err(ledger)?;
    let ids = page.items.iter().map(|(_, value)| decode(value)).collect::<Result<Vec<ProposalId>, _>>()?;
    let proposals = fetch(context, ids.iter().map(load_proposal).collect::<Vec<_>>()).await?;
    let next = page.bookmark.map(|bookmark| position(&bookmark)).transpose()?;
    Ok((proposals, next))
}

/// Saves the proposal as it stands, and carries its change out if it was carried.
pub(crate) fn save_ruling(context: &mut Context, ruling: &Ruling, _: MayGovern) -> Result<(), Refusal> {
    let proposal = &ruling.proposal;
    put(context, key::proposal(&proposal.id), proposal)?;
    put(context, key::proposal_by_time(proposal.made, &proposal.id), &proposal.id)?;
    ruling.execution.iter().try_for_each(|execution| execute(context, execution))
}

fn execute(context: &mut Context, execution: &Execution) -> Result<(), Refusal> {
    match execution {
        Execution::Organisation { organisation: changed, former_gateway_key } => {
            if let Some(former) = former_gateway_key {
                context.delete(key::key_holder(&changed.msp_id, former));
            }
            organisation::save_with_gateway_key(context, changed)
        }
        Execution::Administrator(administrator) => member::save_with_key(context, administrator),
        Execution::Group { group: changed, members } => {
            group::save(context, changed)?;
            members.iter().try_for_each(|one| member::save(context, one))
        }
        Execution::Settings(changed) => settings::save(context, changed),
    }
}

fn position(bookmark: &str) -> Result<ProposalPosition, Refusal> {
    let unreadable =
        || Refusal::new(RefusalCode::Ledger, "the peer's bookmark is not of the proposals: check its version");
    let (_, attributes) = split_composite_key(bookmark).map_err(|_| unreadable())?;
    let [descending, proposal] = attributes.as_slice() else { return Err(unreadable()) };
    let made = key::ascending(descending).ok_or_else(unreadable)?;
    Ok(ProposalPosition { made, proposal: proposal.parse()? })
}
