//! Calls by a member whose key is elsewhere: the gateway says what to sign, and hands on what was signed.
//!
//! A question takes one signature, a write two: one of the proposal, one of the transaction that was endorsed. What waits between
//! is in the gateway's state, bound to the member, for some minutes; whichever of the organisation's gateways is asked goes on with it.

use std::time::Duration;

use healthchain_rules::LedgerTime;

use super::now;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::ledger::{Before, Signed, Unsigned};
use crate::state::awaited_signatures::{self, Awaited, Step};
use crate::wallet::WalletMember;

/// How long a signature is waited for. Peers refuse proposals of another quarter of an hour (`peer.authentication.timewindow`).
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An answer; nothing is written.
    Question,
    /// A transaction.
    Write,
}

/// What a signature brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is endorsed, and another signature is asked for. The chaincode's answer is of no account until the transaction is committed.
    Endorsed(Awaited, Option<Vec<u8>>),
    /// It is done: how the answer is told, and the answer.
    Answered(String, Vec<u8>),
}

/// Prepares a call for its caller to sign. `telling` says how the answer will be told.
pub async fn prepare(
    gateway: &Gateway,
    member: &WalletMember,
    purpose: Purpose,
    function: &str,
    arguments: Vec<Vec<u8>>,
    telling: String,
) -> Result<Awaited, Failure> {
    let own = gateway.organisation.signer.current();
    let Unsigned { transaction, bytes } = gateway.ledger.propose(&own, member.creator(), function, arguments)?;
    let step = match purpose {
        Purpose::Question => Step::Question,
        Purpose::Write => Step::Proposal,
    };
    let until = now().milliseconds().saturating_add(PATIENCE.as_millis() as u64);
    let expires_at = LedgerTime::from_milliseconds(until);
    let awaited = Awaited { transaction, member: member.id.clone(), step, bytes, telling, expires_at };
    awaited_signatures::save(&gateway.state, &awaited).await?;
    Ok(awaited)
}

/// Goes on with a proposal's signature: a question is answered, a write endorsed. The same signature again does the same again, or tells
/// what was prepared before.
pub async fn proposal_signed(
    gateway: &Gateway,
    member: &WalletMember,
    transaction: &str,
    signature: &[u8],
) -> Result<Outcome, Failure> {
    let awaited = awaited(gateway, member, transaction).await?;
    let own = gateway.organisation.signer.current();
    let signed = Signed { creator: member.creator(), bytes: &awaited.bytes, signature };
    match awaited.step {
        Step::Question => {
            let answer = gateway.ledger.evaluate_signed(&own, signed).await?;
            Ok(Outcome::Answered(awaited.telling, answer))
        }
        Step::Proposal => {
            let endorsed = gateway.ledger.endorse_signed(&own, signed).await?;
            awaited_signatures::is_endorsed(&gateway.state, transaction, &endorsed.unsigned.bytes).await?;
            // Of two that were endorsed at once, the first one's bytes count.
            Ok(Outcome::Endorsed(self::awaited(gateway, member, transaction).await?, Some(endorsed.result)))
        }
        Step::Transaction | Step::Submitted => Ok(Outcome::Endorsed(awaited, None)),
    }
}

/// Goes on with a transaction's signature: it is submitted, and answered when it is committed. The same signature again submits nothing
/// twice.
pub async fn transaction_signed(
    gateway: &Gateway,
    member: &WalletMember,
    transaction: &str,
    signature: &[u8],
) -> Result<Outcome, Failure> {
    let awaited = awaited(gateway, member, transaction).await?;
    let own = gateway.organisation.signer.current();
    let signed = Signed { creator: member.creator(), bytes: &awaited.bytes, signature };
    if !matches!(awaited.step, Step::Transaction | Step::Submitted) {
        return Err(Failure::SignatureNotAwaited);
    }
    // Before it goes out, not after: whoever takes over from here has to know that it may be out.
    member.creator().accept(signed.bytes, signature).map_err(crate::ledger::LedgerFailure::NotSigned)?;
    let first = awaited_signatures::goes_out(&gateway.state, transaction).await?;
    let before = if first { Before::New } else { Before::MayBeOut };
    let answer = gateway.ledger.submit_signed(&own, signed, before).await?;
    Ok(Outcome::Answered(awaited.telling, answer))
}

async fn awaited(gateway: &Gateway, member: &WalletMember, transaction: &str) -> Result<Awaited, Failure> {
    let found = awaited_signatures::load(&gateway.state, transaction, &member.id, now()).await?;
    found.ok_or(Failure::NothingToSign)
}
