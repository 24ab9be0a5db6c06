//! The keeper of the record store: reads the ledger's events, so that what is erased is destroyed and what is stored is known, and
//! collects what no link names, uploads past their time among it.
//!
//! How far it has read is kept in the state. When the state is lost, it reads the ledger from its beginning and learns from the
//! organisation's own envelopes what lies in the store; nothing is collected before it has read to the end.

use std::sync::Arc;
use std::time::Duration;

use healthchain_rules::amendment::AmendmentAct;
use healthchain_rules::audit::Act;
use healthchain_rules::erasure::ErasureAct;
use healthchain_rules::link::LinkAct;
use healthchain_rules::{LedgerEvent, LedgerTime};
use tokio::time::Instant;

use crate::content::parts::Place;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::ledger::{Notice, Start};
use crate::state::checkpoint::{self, Bookmark};
use crate::use_cases::collect_records::{collect, learn};
use crate::use_cases::erase_records::erase;
use crate::use_cases::{now, upload};

/// Under which name its checkpoint is kept.
pub const READER: &str = "records";
/// Pause before the event stream is asked for again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// How the store is kept.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// How long no event comes until all there were are read.
    pub silence: Duration,
    /// How long what no link names is kept: longer than any request takes to publish what it has stored.
    pub grace: Duration,
    /// Between two collections.
    pub pause: Duration,
}

impl Default for Keeping {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self { silence: Duration::from_secs(60), grace: day, pause: Duration::from_secs(60 * 60) }
    }
}

/// Keeps the store until the task is dropped.
pub async fn run(gateway: Arc<Gateway>, keeping: Keeping) {
    let mut due = Instant::now();
    loop {
        match read_events(&gateway, keeping, &mut due).await {
            Ok(()) => tracing::debug!("the event stream ended"),
            Err(error) => tracing::warn!(%error, "the record store cannot be kept in order; it is tried again"),
        }
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn read_events(gateway: &Gateway, keeping: Keeping, due: &mut Instant) -> Result<(), Failure> {
    let signer = &gateway.organisation.signer.current();
    let read = checkpoint::load(&gateway.state, READER).await?;
    let height = gateway.ledger.height(signer).await.map_err(Failure::Ledger)?;
    // A peer that was set up anew does not know yet what it will be told: it would make every record look forgotten.
    let is_behind = read.as_ref().is_some_and(|position| position.block >= height);
    let mut at_end = read.as_ref().is_some_and(|position| position.block + 1 == height);
    let mut events = gateway.ledger.events(signer, read.map_or(Start::Block(0), Start::After));
    let mut bookmark = Bookmark::of(&gateway.state, READER);
    loop {
        if at_end && !is_behind && Instant::now() >= *due {
            let before = before(now(), keeping.grace);
            collect(gateway, before).await?;
            upload::collect(gateway, before).await?;
            *due = Instant::now() + keeping.pause;
        }
        match tokio::time::timeout(keeping.silence, bookmark.next(&mut events)).await {
            Ok(Ok(Some(notice))) => {
                let notice = notice.map_err(Failure::Ledger)?;
                let handled = handle(gateway, &notice).await;
                at_end |= notice.position.block + 1 >= height;
                bookmark.dealt_with(notice.position, handled).await?;
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => at_end = true,
        }
    }
}

/// Does what an event asks. What may succeed later is tried again with the same event; the rest is passed, for good.
async fn handle(gateway: &Gateway, notice: &Notice) -> Result<(), Failure> {
    let Some(LedgerEvent { entry, .. }) = &notice.event else { return Ok(()) };
    let is_own = entry.organisation == gateway.organisation.msp_id;
    let handled = match &entry.act {
        Act::Link(LinkAct::LinkPublished { link, version, .. }) if is_own => {
            learn(gateway, Place { link, version: *version }).await
        }
        // Another organisation's approval may have activated it.
        Act::Amendment(AmendmentAct::AmendmentActivated { link, version, .. }) => {
            learn(gateway, Place { link, version: *version }).await
        }
        Act::Erasure(ErasureAct::LinkErased { link, .. }) if is_own => erase(gateway, link).await,
        _ => Ok(()),
    };
    match handled {
        Err(failure) if failure.is_passing() => Err(failure),
        Err(failure) => {
            tracing::error!(transaction = %notice.position.transaction, %failure, "an event was not dealt with");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn before(time: LedgerTime, duration: Duration) -> LedgerTime {
    LedgerTime::from_milliseconds(time.milliseconds().saturating_sub(duration.as_millis() as u64))
}
