use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use healthchain_rules::{Category, MeasureId, MediaType, MemberId, MspId, RegionCode};
use serde::Deserialize;

/// `[agents]`: programs that act for the organisation under charters on the ledger; each runs when its section is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentsConfiguration {
    /// How long an agent that the ledger does not let act waits before it asks again, in seconds.
    pub pause_seconds: NonZeroU64,
    /// Approves other organisations' amendments that pass a policy.
    pub amendment_verifier: Option<AmendmentVerifierConfiguration>,
    /// Seals anew what was sealed to keys that patients have replaced.
    pub key_custodian: Option<KeyCustodianConfiguration>,
    /// Counts prescriptions in the organisation's own records.
    pub prescription_monitor: Option<PrescriptionMonitorConfiguration>,
    /// Releases statistics with noise.
    pub statistics_releases: Option<StatisticsReleasesConfiguration>,
    /// Has patients told that their subscriptions end.
    pub subscription_reminders: Option<SubscriptionRemindersConfiguration>,
}

impl Default for AgentsConfiguration {
    fn default() -> Self {
        Self {
            pause_seconds: const { NonZeroU64::new(60).unwrap() },
            amendment_verifier: None,
            key_custodian: None,
            prescription_monitor: None,
            statistics_releases: None,
            subscription_reminders: None,
        }
    }
}

/// `[agents.amendment_verifier]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmendmentVerifierConfiguration {
    /// The agent, a member of the wallet.
    pub member: MemberId,
    /// What it approves.
    pub policy: AmendmentPolicy,
}

/// `[agents.amendment_verifier.policy]`: an amendment must pass all of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmendmentPolicy {
    /// Organisations whose amendments are approved.
    pub publishers: BTreeSet<MspId>,
    /// Their members whose amendments are approved; all clinicians, when there is none here. Agents pass only by name.
    #[serde(default)]
    pub proposers: BTreeSet<MemberId>,
    /// Kinds of records.
    pub categories: BTreeSet<Category>,
    /// Media types of the plain record.
    #[serde(default = "default_media_types")]
    pub media_types: BTreeSet<MediaType>,
    /// Length of the longest encrypted content, in bytes.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
    /// Whether what does not pass is rejected for the organisation; otherwise it is left to people.
    #[serde(default)]
    pub reject: bool,
}

/// `[agents.key_custodian]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyCustodianConfiguration {
    /// The agent, a member of the wallet.
    pub member: MemberId,
}

/// `[agents.subscription_reminders]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRemindersConfiguration {
    /// The agent, a member of the wallet.
    pub member: MemberId,
    /// How many days before its end somebody is reminded of a subscription; the ledger takes 30 at most.
    #[serde(default = "default_days")]
    pub days: u32,
    /// How often it is looked whom to remind, in seconds.
    #[serde(default = "default_check_seconds")]
    pub check_seconds: NonZeroU64,
}

/// `[agents.prescription_monitor]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrescriptionMonitorConfiguration {
    /// The agent, a member of the wallet.
    pub member: MemberId,
    /// The measure whose drug classes are counted.
    pub measure: MeasureId,
    /// The region that the organisation's visits count for.
    pub region: RegionCode,
    /// How many days after a month's end it is counted, so that what is published late counts, too.
    #[serde(default = "default_wait_days")]
    pub wait_days: u32,
    /// Length of the longest encrypted content that is read, in bytes.
    #[serde(default = "default_max_bytes")]
    pub max_bytes: u64,
    /// The site's own table of RxNorm codes and ATC classes, beside the one that comes with the gateway.
    #[serde(default)]
    pub rxnorm_map: Option<PathBuf>,
    /// How often it is looked whether a month is over, in seconds.
    #[serde(default = "default_check_seconds")]
    pub check_seconds: NonZeroU64,
}

impl AgentsConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        let map = self.prescription_monitor.as_mut().and_then(|monitor| monitor.rxnorm_map.as_mut());
        map.into_iter().for_each(|path| *path = folder.join(&*path));
    }
}

impl PrescriptionMonitorConfiguration {
    /// How often it is looked whether a month is over.
    pub const fn check(&self) -> Duration {
        Duration::from_secs(self.check_seconds.get())
    }
}

/// `[agents.statistics_releases]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsReleasesConfiguration {
    /// The agent, a member of the wallet.
    pub member: MemberId,
    /// The measure whose months are released.
    pub measure: MeasureId,
    /// What each release spends of the measure's privacy budget, in thousandths of ε.
    pub epsilon: NonZeroU32,
    /// How often it is looked whether a month is closed, in seconds.
    #[serde(default = "default_check_seconds")]
    pub check_seconds: NonZeroU64,
}

impl StatisticsReleasesConfiguration {
    /// How often it is looked whether a month is closed.
    pub const fn check(&self) -> Duration {
        Duration::from_secs(self.check_seconds.get())
    }
}

fn default_wait_days() -> u32 {
    7
}

fn default_days() -> u32 {
    14
}

fn default_check_seconds() -> NonZeroU64 {
    const { NonZeroU64::new(3600).unwrap() }
}

fn default_media_types() -> BTreeSet<MediaType> {
    ["application/fhir+json".parse().expect("it is a media type")].into()
}

fn default_max_bytes() -> u64 {
    16 << 20
}
