use std::collections::BTreeSet;

use healthchain_rules::{Category, MediaType, MemberId, MspId};
use serde::Deserialize;

/// `[agents]`: programs that act for the organisation under charters on the ledger; each runs when its section is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentsConfiguration {
    /// Approves other organisations' amendments that pass a policy.
    pub amendment_verifier: Option<AmendmentVerifierConfiguration>,
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
    /// Their members whose amendments are approved; all clinicians, when there is none here.
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

fn default_media_types() -> BTreeSet<MediaType> {
    ["application/fhir+json".parse().expect("it is a media type")].into()
}

fn default_max_bytes() -> u64 {
    16 << 20
}
