//! The agents that come with the gateway: programs that act for the organisation, each a ledger agent of its own, within the charter
//! that an administrator gave it.
//!
//! An agent's key lies in the wallet like a member's; its charter (what it may call, how often, until when) lies on the ledger, and so does
//! its kill switch: see docs/agents.md. That a charter was stopped, has ended or is used up for the day, an agent learns from the
//! ledger's refusals. It then pauses, says so once, asks again now and then, and goes on when the ledger lets it.
//!
//! Several gateways of one organisation run the same agents; a lease in the state keeps all but one of each idle.

pub mod amendment_verifier;
pub mod key_custodian;
pub mod prescription_monitor;
pub mod statistics_releases;
pub mod subscription_reminders;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use healthchain_rules::{LedgerEvent, MemberId, Refusal, RefusalCode};
use metrics::{counter, gauge};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::configuration::AgentsConfiguration;
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::ledger::{Contract, LedgerFailure, Start};
use crate::state::checkpoint::{self, Bookmark};
use crate::state::{StateError, leases};
use crate::use_cases::now;

use self::amendment_verifier::AmendmentVerifier;
use self::key_custodian::KeyCustodian;
use self::prescription_monitor::{CodesError, PrescriptionMonitor};
use self::statistics_releases::StatisticsReleases;
use self::subscription_reminders::SubscriptionReminders;

/// A program that acts under a charter.
pub trait Agent: Send + Sync + 'static {
    /// What it is called in configuration, log and metrics.
    const NAME: &'static str;

    /// Does what there is to do. It is begun anew, after a pause, whenever it returns.
    fn round(&self, post: &Post) -> impl Future<Output = Result<(), Halt>> + Send;
}

/// An agent whose work is what the ledger's events tell.
pub trait Listener: Send + Sync + 'static {
    /// As [`Agent::NAME`].
    const NAME: &'static str;

    /// Does what an event asks. An event is passed when this succeeds; doing it twice must be harmless.
    fn deal_with(&self, post: &Post, event: &LedgerEvent) -> impl Future<Output = Result<(), Halt>> + Send;
}

/// Makes an agent of a listener: reads the events from where it stopped, at first from the ledger's beginning.
pub struct Listening<L>(pub L);

/// Where an agent works, and as whom.
pub struct Post {
    /// The organisation's gateway.
    pub gateway: Arc<Gateway>,
    name: &'static str,
    member: MemberId,
    lease: Duration,
    holder: String,
    rests: AtomicBool,
}

/// How long an agent waits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two rounds.
    pub round: Duration,
    /// Before it asks again whether the ledger lets it act.
    pub pause: Duration,
    /// Before it tries again after a failure.
    pub retry: Duration,
    /// Until another gateway takes over from one that has died.
    pub lease: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            round: Duration::from_secs(1),
            pause: minute,
            retry: Duration::from_secs(5),
            lease: Duration::from_secs(15),
        }
    }
}

/// Why a round ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The wallet has no key of this member.
    #[error("the wallet holds no key of the agent: enrol it there")]
    NoKey,
    /// The ledger does not let the agent act.
    #[error("the ledger does not let it act: {0}")]
    NotLet(Refusal),
    /// Something failed, and may succeed later.
    #[error(transparent)]
    Failed(Failure),
}

/// Starts the agents that the configuration names.
pub fn start(gateway: &Arc<Gateway>, configuration: &AgentsConfiguration) -> Result<Vec<JoinHandle<()>>, CodesError> {
    let AgentsConfiguration {
        pause_seconds,
        amendment_verifier,
        key_custodian,
        prescription_monitor,
        statistics_releases,
        subscription_reminders,
    } = configuration;
    let pace = Pace { pause: Duration::from_secs(pause_seconds.get()), ..Pace::default() };
    let mut tasks = Vec::new();
    if let Some(verifier) = amendment_verifier {
        let agent = Listening(AmendmentVerifier::new(verifier.policy.clone()));
        tasks.push(spawn(gateway, &verifier.member, agent, pace));
    }
    if let Some(custodian) = key_custodian {
        tasks.push(spawn(gateway, &custodian.member, Listening(KeyCustodian), pace));
    }
    if let Some(monitor) = prescription_monitor {
        tasks.push(spawn(gateway, &monitor.member, PrescriptionMonitor::new(monitor.clone())?, pace));
    }
    if let Some(releases) = statistics_releases {
        tasks.push(spawn(gateway, &releases.member, StatisticsReleases::new(releases.clone()), pace));
    }
    if let Some(reminders) = subscription_reminders {
        let agent = SubscriptionReminders::new(reminders.days, Duration::from_secs(reminders.check_seconds.get()));
        tasks.push(spawn(gateway, &reminders.member, agent, pace));
    }
    Ok(tasks)
}

fn spawn<A: Agent>(gateway: &Arc<Gateway>, member: &MemberId, agent: A, pace: Pace) -> JoinHandle<()> {
    tokio::spawn(run(Arc::clone(gateway), member.clone(), agent, pace))
}

/// Runs an agent under this member's identity until the task is dropped.
pub async fn run<A: Agent>(gateway: Arc<Gateway>, member: MemberId, agent: A, pace: Pace) {
    let (holder, rests) = (Uuid::new_v4().to_string(), AtomicBool::new(false));
    let post = Post { gateway, name: A::NAME, member, lease: pace.lease, holder, rests };
    post.show_paused(false);
    loop {
        let pause = match under_lease(&agent, &post).await {
            Ok(()) => pace.round,
            Err(Halt::Failed(failure)) => {
                post.count("failed");
                tracing::warn!(agent = A::NAME, %failure, "the agent's work failed; it is tried again");
                pace.retry
            }
            Err(halt) => {
                post.rest(&halt);
                pace.pause
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Does a round, if no other gateway of the organisation has the agent's lease.
async fn under_lease<A: Agent>(agent: &A, post: &Post) -> Result<(), Halt> {
    if !post.take_lease().await? {
        // Whether the ledger lets it act, the gateway that has the lease learns.
        post.show_paused(false);
        return Ok(());
    }
    let lost = async {
        loop {
            tokio::time::sleep(post.lease / 3).await;
            if !post.take_lease().await? {
                return Ok(());
            }
        }
    };
    tokio::select! {
        done = agent.round(post) => {
            done?;
            post.go_on();
            Ok(())
        }
        lost = lost => lost,
    }
}

impl Post {
    /// The chaincode as the agent calls it.
    pub async fn contract(&self) -> Result<Contract, Halt> {
        let member = self.gateway.wallet.member(&self.member).await.ok_or(Halt::NoKey)?;
        let signer = member.signer().map_err(|_| Halt::NoKey)?;
        Ok(self.gateway.contract(signer))
    }

    /// Counts something that the agent has come to, and so is at work again if it paused.
    pub(crate) fn did(&self, outcome: &'static str) {
        self.count(outcome);
        self.go_on();
    }

    /// Waits when the round's work is done, or there is none.
    pub(crate) async fn wait(&self, pause: Duration) {
        self.go_on();
        tokio::time::sleep(pause).await;
    }

    fn go_on(&self) {
        if self.rests.swap(false, Ordering::Relaxed) {
            self.show_paused(false);
            tracing::info!(agent = self.name, "the agent goes on");
        }
    }

    fn rest(&self, halt: &Halt) {
        self.show_paused(true);
        if !self.rests.swap(true, Ordering::Relaxed) {
            self.count("paused");
            tracing::warn!(agent = self.name, reason = %halt, "the agent pauses");
        }
    }

    fn show_paused(&self, paused: bool) {
        gauge!("healthchain_agent_paused", "agent" => self.name).set(f64::from(u8::from(paused)));
    }

    /// Counts so many things that the agent has found.
    pub(crate) fn add(&self, outcome: &'static str, count: u64) {
        counter!("healthchain_agent_work_total", "agent" => self.name, "outcome" => outcome).increment(count);
    }

    fn count(&self, outcome: &'static str) {
        self.add(outcome, 1);
    }

    async fn take_lease(&self) -> Result<bool, Halt> {
        let name = format!("agent {}", self.name);
        Ok(leases::take(&self.gateway.state, &name, &self.holder, now(), self.lease).await?)
    }
}

impl<L: Listener> Agent for Listening<L> {
    const NAME: &'static str = L::NAME;

    async fn round(&self, post: &Post) -> Result<(), Halt> {
        let (gateway, reader) = (&post.gateway, format!("agent {}", L::NAME));
        let start = match checkpoint::load(&gateway.state, &reader).await? {
            Some(position) => Start::After(position),
            None => Start::Block(0),
        };
        let mut events = gateway.ledger.events(&gateway.organisation.signer.current(), start);
        let mut bookmark = Bookmark::of(&gateway.state, &reader);
        while let Some(notice) = bookmark.next(&mut events).await? {
            let notice = notice?;
            let dealt_with = match &notice.event {
                Some(event) => self.hand_over(post, event).await.inspect(|()| post.go_on()),
                None => Ok(()),
            };
            bookmark.dealt_with(notice.position, dealt_with).await?;
        }
        Ok(())
    }
}

impl<L: Listener> Listening<L> {
    /// What cannot succeed later is said, and passed: it shall not hold up what comes after it.
    async fn hand_over(&self, post: &Post, event: &LedgerEvent) -> Result<(), Halt> {
        match self.0.deal_with(post, event).await {
            Err(Halt::Failed(failure)) if !failure.is_passing() => {
                post.count("failed");
                let transaction = event.entry.transaction.as_str();
                tracing::error!(agent = L::NAME, transaction, %failure, "the agent could not deal with an event");
                Ok(())
            }
            dealt_with => dealt_with,
        }
    }
}

/// A refusal of the agent itself is told from one of what it asked for.
impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) if is_of_the_agent(refusal.code()) => Self::NotLet(refusal),
            failure => Self::Failed(failure),
        }
    }
}

fn is_of_the_agent(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::AgentNotPermitted
            | RefusalCode::MemberRetired
            | RefusalCode::MemberSuspended
            | RefusalCode::NotPermitted
            | RefusalCode::OrganisationNotActive
            | RefusalCode::UnknownCaller
    )
}

impl From<LedgerFailure> for Halt {
    fn from(failure: LedgerFailure) -> Self {
        Failure::from(failure).into()
    }
}

impl From<StateError> for Halt {
    fn from(error: StateError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<fabric_contract::CallError<LedgerFailure, Refusal>> for Halt {
    fn from(error: fabric_contract::CallError<LedgerFailure, Refusal>) -> Self {
        Failure::from(error).into()
    }
}
