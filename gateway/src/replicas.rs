//! The custodian of other organisations' records: follows the ledger's events, copies what its publishers publish, destroys what they
//! erase, and makes again what the store has lost. Keeping a copy gives no key to it.
//!
//! For each publisher, how far it has read is kept in the state, and each copy that is still to be made is a row there: a restart or an
//! outage delays copies, and loses none. Whoever becomes a custodian reads the ledger from its beginning, and so copies what was there before.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use healthchain_interface::OrganisationsClient;
use healthchain_rules::amendment::AmendmentAct;
use healthchain_rules::audit::Act;
use healthchain_rules::erasure::ErasureAct;
use healthchain_rules::link::LinkAct;
use healthchain_rules::organisation::OrganisationAct;
use healthchain_rules::{LedgerEvent, LedgerTime, MspId};
use tokio::sync::Mutex;

use crate::configuration::ReplicasConfiguration;
use crate::content::parts::Place;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::ledger::{Notice, Start};
use crate::state::checkpoint::{self, Bookmark};
use crate::state::replicas::Replica;
use crate::state::{records, replicas};
use crate::use_cases::erase_records::erase_copies;
use crate::use_cases::keep_replicas::{
    Custody, Mended, confirm_copies_destroyed, copy, custody_for, destroy_copies, destroy_copy, heal, is_outage, mend,
    want,
};
use crate::use_cases::now;

/// How patiently copies are kept.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks for something to do, and before what failed is tried again for the first time.
    pub pause: Duration,
    /// The longest pause before what failed is tried again.
    pub longest_pause: Duration,
    /// Between two checks that everything is in the store.
    pub check: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            check: Duration::from_secs(60 * 60),
        }
    }
}

/// Keeps copies until the task is dropped.
pub async fn run(gateway: Arc<Gateway>, configuration: ReplicasConfiguration, pace: Pace) {
    let parsed: Result<Vec<MspId>, _> = configuration.keep_for.iter().map(|publisher| publisher.parse()).collect();
    let keep_for = match parsed {
        Ok(keep_for) => keep_for,
        Err(error) => return tracing::error!(%error, "[replicas] keep_for cannot be used"),
    };
    let keeper = Keeper { gateway: &gateway, max_bytes: configuration.max_bytes, pace };
    let kept = join_all(keep_for.iter().map(|publisher| keeper.keep(publisher)));
    tokio::join!(keeper.settle(&keep_for), kept, keeper.check(), keeper.mend());
}

/// Under which name the checkpoint of a publisher's events is kept.
fn reader(publisher: &MspId) -> String {
    format!("replicas of {publisher}")
}

struct Keeper<'a> {
    gateway: &'a Gateway,
    max_bytes: u64,
    pace: Pace,
}

impl Keeper<'_> {
    /// Destroys copies for whom none are kept any more, and says who counts on this organisation in vain.
    async fn settle(&self, keep_for: &[MspId]) {
        loop {
            let pause = match self.settle_once(keep_for).await {
                Ok(()) => self.pace.check,
                Err(failure) => {
                    tracing::debug!(%failure, "whose copies are kept cannot be settled yet");
                    self.pace.longest_pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn settle_once(&self, keep_for: &[MspId]) -> Result<(), Failure> {
        for publisher in replicas::publishers(&self.gateway.state).await? {
            if !keep_for.contains(&publisher) {
                destroy_copies(self.gateway, &publisher).await?;
                checkpoint::forget(&self.gateway.state, &reader(&publisher)).await?;
            }
        }
        for other in OrganisationsClient::new(self.gateway.own_contract()).organisations().await? {
            if keep_for.contains(&other.msp_id) {
                continue;
            }
            match custody_for(self.gateway, &other.msp_id).await? {
                Custody::Custodian => tracing::warn!(
                    publisher = %other.msp_id,
                    "this organisation is its custodian and keeps nothing for it; add it to [replicas] keep_for, or ask to be struck off"
                ),
                Custody::Former => self.leave(&other.msp_id, Custody::Former, &Mutex::default()).await?,
                Custody::None => {}
            }
        }
        Ok(())
    }

    /// Keeps a publisher's copies.
    async fn keep(&self, publisher: &MspId) {
        let copying = Mutex::default();
        tokio::join!(self.follow(publisher, &copying), self.copy(publisher, &copying));
    }

    async fn follow(&self, publisher: &MspId, copying: &Mutex<()>) {
        loop {
            if let Err(failure) = self.read_events(publisher, copying).await {
                tracing::warn!(%publisher, %failure, "a publisher's events cannot be followed; it is tried again");
            }
            tokio::time::sleep(self.pace.pause).await;
        }
    }

    async fn read_events(&self, publisher: &MspId, copying: &Mutex<()>) -> Result<(), Failure> {
        let Self { gateway, .. } = self;
        let (signer, reader) = (&gateway.organisation.signer.current(), reader(publisher));
        let read = checkpoint::load(&gateway.state, &reader).await?;
        let height = gateway.ledger.height(signer).await.map_err(Failure::Ledger)?;
        if read.as_ref().is_some_and(|position| position.block >= height) {
            // A peer that was set up anew: it does not know yet who is a custodian.
            tracing::warn!(%publisher, "the peer knows less than it once did; copies stay as they are until it has caught up");
            return Ok(());
        }
        match custody_for(gateway, publisher).await? {
            Custody::Custodian => {}
            custody => return self.leave(publisher, custody, copying).await,
        }
        let mut events = gateway.ledger.events(signer, read.map_or(Start::Block(0), Start::After));
        let mut bookmark = Bookmark::of(&gateway.state, &reader);
        while let Some(notice) = bookmark.next(&mut events).await? {
            let notice = notice.map_err(Failure::Ledger)?;
            let handled = self.handle(publisher, &notice).await;
            if !bookmark.dealt_with(notice.position, handled).await? {
                return Ok(bookmark.save().await?);
            }
        }
        Ok(())
    }

    /// Destroys what is kept for a publisher to whom this organisation is no custodian (any more), and says so, if the ledger waits for it.
    async fn leave(&self, publisher: &MspId, custody: Custody, copying: &Mutex<()>) -> Result<(), Failure> {
        let Self { gateway, .. } = self;
        // What is on its way would come after the word.
        let _copying = copying.lock().await;
        destroy_copies(gateway, publisher).await?;
        let reader = reader(publisher);
        if custody == Custody::Former {
            if checkpoint::load(&gateway.state, &reader).await?.is_none() {
                self.destroy_what_may_be(publisher).await?;
            }
            confirm_copies_destroyed(gateway, publisher).await?;
            tracing::info!(%publisher, "all copies are destroyed, and the ledger has heard it");
        }
        // Whoever is named again begins again.
        Ok(checkpoint::forget(&gateway.state, &reader).await?)
    }

    /// Destroys every copy that there may be of a publisher's contents, by their names: a state that knows nothing may have been lost.
    async fn destroy_what_may_be(&self, publisher: &MspId) -> Result<(), Failure> {
        let Self { gateway, pace, .. } = self;
        let signer = &gateway.organisation.signer.current();
        let height = gateway.ledger.height(signer).await.map_err(Failure::Ledger)?;
        let mut events = gateway.ledger.events(signer, Start::Block(0));
        while let Ok(Some(notice)) = tokio::time::timeout(pace.longest_pause, events.next()).await {
            let notice = notice.map_err(Failure::Ledger)?;
            if let Some(
                Act::Link(LinkAct::LinkPublished { link, version, .. })
                | Act::Amendment(AmendmentAct::AmendmentActivated { link, version, .. }),
            ) = notice.event.as_ref().map(|event| &event.entry.act)
            {
                destroy_copy(gateway, publisher, Place { link, version: *version }).await?;
            }
            if notice.position.block + 1 >= height {
                break;
            }
        }
        Ok(())
    }

    /// Does what an event asks. False when it is to be asked anew whether this organisation is a custodian.
    async fn handle(&self, publisher: &MspId, notice: &Notice) -> Result<bool, Failure> {
        let Some(LedgerEvent { entry, .. }) = &notice.event else { return Ok(true) };
        let is_publishers = entry.organisation == *publisher;
        match &entry.act {
            Act::Link(LinkAct::LinkPublished { link, version, .. }) if is_publishers => {
                want(self.gateway, publisher, Place { link, version: *version }).await?;
            }
            // Another organisation's approval may have activated it.
            Act::Amendment(AmendmentAct::AmendmentActivated { link, version, .. }) => {
                want(self.gateway, publisher, Place { link, version: *version }).await?;
            }
            Act::Erasure(ErasureAct::LinkErased { link, .. }) if is_publishers => {
                erase_copies(self.gateway, link).await?;
            }
            Act::Organisation(OrganisationAct::CustodiansNamed { .. }) if is_publishers => return Ok(false),
            _ => {}
        }
        Ok(true)
    }

    /// Makes one copy after the other. While the publisher is down, it is asked now and then.
    async fn copy(&self, publisher: &MspId, copying: &Mutex<()>) {
        let mut pause = self.pace.pause;
        let mut is_full = false;
        loop {
            let copied = {
                let _copying = copying.lock().await;
                self.copy_next(publisher, &mut is_full).await
            };
            match copied {
                Ok(true) => {
                    pause = self.pace.pause;
                    continue;
                }
                Ok(false) => pause = self.pace.pause,
                Err(failure) => {
                    tracing::warn!(%publisher, %failure, "no copies can be made now; it is tried again");
                    pause = (pause * 2).min(self.pace.longest_pause);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// False when nothing is due.
    async fn copy_next(&self, publisher: &MspId, is_full: &mut bool) -> Result<bool, Failure> {
        let state = &self.gateway.state;
        let Some(due) = replicas::next_due(state, publisher, now()).await? else { return Ok(false) };
        let room = self.max_bytes.saturating_sub(replicas::measure(state).await?.bytes);
        if due.content_length > room {
            if !std::mem::replace(is_full, true) {
                tracing::warn!(%publisher, "[replicas] max_bytes is reached: some records have no copy here");
            }
            self.postpone(&due).await?;
            return Ok(true);
        }
        match copy(self.gateway, &due).await {
            Ok(_) => *is_full = false,
            Err(failure) => {
                // Also when the publisher seems to be away: it may be this record alone that it cannot give.
                self.postpone(&due).await?;
                if is_outage(&failure) {
                    return Err(failure);
                }
                tracing::warn!(link = %due.link, version = due.version, %failure, "a copy cannot be made; it is tried again");
            }
        }
        Ok(true)
    }

    async fn postpone(&self, due: &Replica) -> Result<(), Failure> {
        let pause = self.pace.pause * 2u32.saturating_pow(due.tries.min(16));
        let until = now().milliseconds() + pause.min(self.pace.check).as_millis() as u64;
        Ok(replicas::postpone(&self.gateway.state, &due.name, LedgerTime::from_milliseconds(until)).await?)
    }

    /// Looks at what somebody found missing or spoilt, and mends it.
    async fn mend(&self) {
        loop {
            let (link, version) = self.gateway.suspects.next().await;
            match mend(self.gateway, Place { link: &link, version }).await {
                Ok(Mended::Whole) => continue,
                Ok(Mended::From(custodian)) => {
                    tracing::warn!(%link, version, %custodian, "a lost or spoilt record was brought back from a custodian");
                    continue;
                }
                Ok(Mended::ToBeCopied) => {
                    tracing::warn!(%link, version, "a copy is lost or spoilt; it is made again");
                    continue;
                }
                Ok(Mended::Not) => {
                    tracing::error!(%link, version, "a record is lost or spoilt, and no custodian gives it back");
                }
                Err(failure) => {
                    tracing::warn!(%link, version, %failure, "a lost or spoilt record cannot be mended now");
                }
            }
            // Whoever wants it next has it tried again.
            tokio::time::sleep(self.pace.pause).await;
        }
    }

    /// Looks now and then whether everything is in the store that should be.
    async fn check(&self) {
        loop {
            tokio::time::sleep(self.pace.check).await;
            if let Err(failure) = self.check_copies().await {
                tracing::warn!(%failure, "the copies in the store cannot be checked; it is tried again");
            }
            if let Err(failure) = self.check_own().await {
                tracing::warn!(%failure, "the records in the store cannot be checked; it is tried again");
            }
        }
    }

    async fn check_copies(&self) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let page = replicas::page(&self.gateway.state, &after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.name);
            for copy in &page {
                if !self.gateway.records.holds(&copy.name).await? {
                    tracing::warn!(link = %copy.link, version = copy.version, "a copy is lost; it is made again");
                    replicas::miss(&self.gateway.state, &copy.name).await?;
                }
            }
        }
    }

    async fn check_own(&self) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let page = records::linked(&self.gateway.state, &after).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.name);
            for record in &page {
                if self.gateway.records.holds(&record.name).await? {
                    continue;
                }
                match heal(self.gateway, record).await {
                    Ok(Mended::From(custodian)) => {
                        tracing::warn!(link = record.link, %custodian, "a lost record was brought back from a custodian")
                    }
                    Ok(_) => {
                        tracing::error!(link = record.link, "a record is lost, and no custodian gives it back")
                    }
                    Err(failure) if is_outage(&failure) => return Err(failure),
                    Err(failure) => tracing::error!(link = record.link, %failure, "a lost record was not brought back"),
                }
            }
        }
    }
}
