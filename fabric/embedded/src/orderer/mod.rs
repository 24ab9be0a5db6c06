//! Orders transactions into blocks and commits them (Fabric: `orderer/common`, `core/committer`).

mod cutter;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fabric_protos::common::{ChannelHeader, Envelope, HeaderType, Payload, SignatureHeader, Status};
use prost::Message;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::{access, channel::Channel, config::Batch, ledger::LedgerError, proposal, validation};
use cutter::Cutter;

/// So many transactions wait for the cutter, and so many blocks for the ledger, before senders wait.
const WAITING_TRANSACTIONS: usize = 5000;
const WAITING_BLOCKS: usize = 4;

/// The way to the ordering service; clones lead to the same.
#[derive(Clone)]
pub(crate) struct Orderer {
    channel: Arc<Channel>,
    absolute_max_bytes: usize,
    incoming: mpsc::Sender<Envelope>,
    failed: Arc<AtomicBool>,
}

/// Why a transaction was not taken.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    pub(crate) info: String,
}

impl Refusal {
    /// Another try with the same bytes makes no sense.
    pub(crate) fn is_clients_fault(&self) -> bool {
        (400..500).contains(&(self.status as i32))
    }
}

impl Orderer {
    /// Starts ordering; `tasks` holds what runs.
    pub(crate) fn start(channel: Arc<Channel>, batch: Batch, tasks: &mut JoinSet<()>) -> Self {
        let (incoming, transactions) = mpsc::channel(WAITING_TRANSACTIONS);
        let (cut, blocks) = mpsc::channel(WAITING_BLOCKS);
        let failed = Arc::new(AtomicBool::new(false));
        let absolute_max_bytes = batch.absolute_max_bytes;
        tasks.spawn(order(batch, transactions, cut));
        tasks.spawn(commit(channel.clone(), blocks, failed.clone()));
        Self { channel, absolute_max_bytes, incoming, failed }
    }

    /// `Broadcast` of one envelope: checked and taken, or refused.
    pub(crate) async fn broadcast(&self, envelope: Envelope) -> Result<(), Refusal> {
        self.check(&envelope)?;
        let stopped = || Refusal {
            status: Status::ServiceUnavailable,
            info: "the ledger has stopped: see the program's log, mend the cause and start it again".into(),
        };
        if self.has_failed() {
            return Err(stopped());
        }
        self.incoming.send(envelope).await.map_err(|_| stopped())
    }

    /// Whether a block could not be committed; nothing is ordered any more then.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn check(&self, envelope: &Envelope) -> Result<(), Refusal> {
        let undetermined = |reason: String| bad(format!("could not determine channel ID: {reason}"));
        let payload = Payload::decode(&envelope.payload[..]).map_err(|error| undetermined(error.to_string()))?;
        let header = payload.header.ok_or_else(|| undetermined("no header in payload".into()))?;
        let channel =
            ChannelHeader::decode(&header.channel_header[..]).map_err(|error| undetermined(error.to_string()))?;
        if channel.channel_id != self.channel.name {
            return Err(bad("channel does not exist"));
        }
        if channel.r#type == HeaderType::Config as i32 {
            return Err(bad("message is of type that cannot be processed directly"));
        }
        if channel.r#type == HeaderType::ConfigUpdate as i32 {
            return Err(bad(
                "the embedded ledger takes no channel configuration updates; change its configuration file",
            ));
        }
        let signature = SignatureHeader::decode(&header.signature_header[..]).unwrap_or_default();
        if proposal::expired(&signature.creator) {
            return Err(bad("broadcast client identity expired"));
        }
        let size = envelope.payload.len() + envelope.signature.len();
        if size > self.absolute_max_bytes {
            let most = self.absolute_max_bytes;
            return Err(bad(format!("message payload is {size} bytes and exceeds maximum allowed {most} bytes")));
        }
        let members = &self.channel.members;
        let writer = members
            .identify(&signature.creator)
            .is_ok_and(|who| who.verify(&envelope.payload, &envelope.signature).is_ok() && members.may_write(&who));
        if writer {
            return Ok(());
        }
        Err(Refusal {
            status: Status::Forbidden,
            info: format!("{}: permission denied", access::unsatisfied("Writers")),
        })
    }
}

fn bad(info: impl Into<String>) -> Refusal {
    Refusal { status: Status::BadRequest, info: info.into() }
}

/// Cuts blocks by number, bytes and time. The time runs from a block's first transaction.
async fn order(batch: Batch, mut transactions: mpsc::Receiver<Envelope>, cut: mpsc::Sender<Vec<Envelope>>) {
    let wait = Duration::from_millis(batch.timeout_milliseconds);
    let mut cutter = Cutter::new(batch);
    let mut timer: Option<Instant> = None;
    loop {
        let due = async {
            match timer {
                Some(timer) => tokio::time::sleep_until(timer).await,
                None => std::future::pending().await,
            }
        };
        let blocks = tokio::select! {
            biased;
            () = due => {
                timer = None;
                Vec::from_iter(cutter.cut())
            }
            envelope = transactions.recv() => match envelope {
                Some(envelope) => cutter.add(envelope),
                None => return,
            },
        };
        if cutter.is_empty() {
            timer = None;
        } else if timer.is_none() {
            timer = Some(Instant::now() + wait);
        }
        for block in blocks {
            if cut.send(block).await.is_err() {
                return;
            }
        }
    }
}

/// Validates and commits block after block. The first failure ends it: a peer that cannot write its ledger stops.
async fn commit(channel: Arc<Channel>, mut blocks: mpsc::Receiver<Vec<Envelope>>, failed: Arc<AtomicBool>) {
    while let Some(envelopes) = blocks.recv().await {
        let channel = channel.clone();
        let work = tokio::task::spawn_blocking(move || commit_block(&channel, envelopes));
        let outcome = work.await.unwrap_or_else(|panic| Err(LedgerError::Damaged(panic.to_string())));
        if let Err(error) = outcome {
            tracing::error!(%error, "a block could not be committed; the ledger stops");
            failed.store(true, Ordering::Release);
            return;
        }
    }
}

fn commit_block(channel: &Channel, envelopes: Vec<Envelope>) -> Result<(), LedgerError> {
    let envelopes: Vec<Vec<u8>> = envelopes.iter().map(Message::encode_to_vec).collect();
    let codes = validation::validate(channel, &envelopes)?;
    let committed = channel.ledger.commit(envelopes, &codes)?;
    let invalid = committed.transactions.iter().filter(|transaction| transaction.code as i32 != 0).count();
    let number = committed.block.header.as_ref().map_or(0, |header| header.number);
    tracing::info!(block = number, transactions = committed.transactions.len(), invalid, "committed");
    Ok(())
}
