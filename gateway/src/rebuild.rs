//! `healthchain-gateway rebuild`: after the state was lost, makes again what can be made from the ledger, and says what cannot.

use crate::configuration::Configuration;
use crate::custodian;
use crate::keeper;
use crate::ledger::Ledger as _;
use crate::ledger::fabric::FabricLedger;
use crate::server::{StartError, open_state};
use crate::state::{State, StateError, checkpoint, patient_index};
use crate::wallet::key_store::KeyStore;

/// One thing that a state holds, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The thing.
    pub what: &'static str,
    /// Whether it is as if it had never been lost.
    pub rebuilt: bool,
    /// What was done, or what is to be done by others.
    pub says: String,
}

/// Rebuilds the state that the configuration names. Nothing that is there is lost by it.
pub async fn rebuild(configuration: &Configuration) -> Result<Vec<Outcome>, StartError> {
    let state = open_state(configuration).await?;
    let own = KeyStore::open(&configuration.wallet)?.own_signer(configuration)?;
    let height = FabricLedger::connect(configuration)?.height(&own).await;
    let height = height.map_err(|failure| StartError::Peer(failure.to_string()))?;
    let outcomes = outcomes(&state, height).await;
    state.close().await;
    Ok(outcomes?)
}

/// Rebuilds a state beside a ledger of this height.
pub async fn outcomes(state: &State, height: u64) -> Result<Vec<Outcome>, StateError> {
    checkpoint::forget(state, custodian::READER).await?;
    checkpoint::forget(state, keeper::READER).await?;
    let first = height.saturating_sub(custodian::RECENT_BLOCKS);
    let numbers = patient_index::count(state).await?;
    let outcome = |what, rebuilt, says: String| Outcome { what, rebuilt, says };
    Ok(vec![
        outcome("tables", true, "as this release needs them".into()),
        outcome(
            "key custodian's checkpoint",
            true,
            format!(
                "the ledger's events from block {first} on are dealt with again; an envelope that is there is not made twice"
            ),
        ),
        outcome(
            "what lies in the record store",
            true,
            "the keeper reads the ledger again from its beginning once the gateway runs; nothing is collected and no agent counts before"
                .into(),
        ),
        outcome(
            "agents",
            true,
            "they go through the ledger again, which carries nothing out twice; noise that was drawn and not yet released is drawn anew"
                .into(),
        ),
        outcome(
            "copies that are kept for others",
            true,
            "they are copied again; those that lie in the store from before are left alone until their links are erased"
                .into(),
        ),
        outcome(
            "patient index",
            false,
            format!(
                "the ledger knows no record numbers: {numbers} are here, enter the others again or restore a backup"
            ),
        ),
        outcome(
            "answers to repeated requests, and jobs",
            false,
            "repeat the request with the same Idempotency-Key: what it made is found by the id that the key makes"
                .into(),
        ),
        outcome(
            "uploads under way",
            false,
            "callers upload again; pieces of the lost ones stay in the record store, where nobody can read them".into(),
        ),
        outcome("sessions", false, "callers sign in again".into()),
        outcome(
            "webhooks",
            false,
            "members make them again, each behind the last event that its server knows: none is lost, for the ledger has them all"
                .into(),
        ),
    ])
}
