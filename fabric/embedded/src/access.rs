//! Who somebody is, and what the channel's policies let them do: Writers are clients and administrators, Readers are all
//! members, of any organisation of the channel.

use std::time::{SystemTime, UNIX_EPOCH};

use fabric_msp::{
    Identity, IdentityError, Msps,
    policy::{self, Signed},
};
use fabric_protos::common::msp_role::MspRoleType;

/// The organisations' verifiers.
pub(crate) struct Members {
    msps: Msps,
}

/// Why somebody is nobody here.
pub(crate) enum Stranger {
    /// Of no organisation of the channel, not readable, or not issued by that organisation's authority.
    Unknown,
    /// Issued by this organisation's authority, but not valid.
    Invalid(String),
}

impl Members {
    pub(crate) fn new(msps: Msps) -> Self {
        Self { msps }
    }

    /// Decodes and validates an identity.
    pub(crate) fn identify(&self, serialized: &[u8]) -> Result<Identity, Stranger> {
        self.msps.identify(serialized).map_err(|error| match error {
            IdentityError::Invalid { msp_id, .. } => Stranger::Invalid(msp_id),
            _ => Stranger::Unknown,
        })
    }

    /// The distinct members whose signatures are good.
    pub(crate) fn signers<'a>(&self, signatures: impl IntoIterator<Item = Signed<'a>>) -> Vec<Identity> {
        policy::valid_signers(&self.msps, signatures)
    }

    /// May this identity propose and submit transactions?
    pub(crate) fn may_write(&self, identity: &Identity) -> bool {
        identity.has_role(MspRoleType::Client) || identity.has_role(MspRoleType::Admin)
    }

    /// The check `policy` of something signed: `Err` holds Fabric's text.
    pub(crate) fn check_reader(
        &self,
        channel: &str,
        serialized: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), String> {
        let reader = self.identify(serialized).ok().filter(|identity| identity.verify(message, signature).is_ok());
        match reader {
            Some(identity) if identity.has_role(MspRoleType::Member) => Ok(()),
            _ => Err(policy_text(channel, "Readers")),
        }
    }
}

/// What a peer answers when nobody of the channel signed as the policy asks.
pub(crate) fn policy_text(channel: &str, policy: &str) -> String {
    format!(
        "Failed evaluating policy on signed data during check policy on channel [{channel}] with policy \
         [/Channel/Application/{policy}]: [{}]",
        unsatisfied(policy)
    )
}

/// The inner part of it.
pub(crate) fn unsatisfied(policy: &str) -> String {
    format!(
        "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the '{policy}' \
         sub-policies to be satisfied"
    )
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
