//! Whether a certificate is one of the organisation's, as its MSP says. The authority that issued it is not asked: it may be another one, or
//! have been changed since.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use fabric_msp::{Identity, Msp, MspError, Msps, SigningIdentity};
use fabric_protos::common::msp_role::MspRoleType;

use crate::configuration::Configuration;

/// Why a certificate does not count. No member is named in it.
#[derive(Debug, thiserror::Error)]
pub enum JudgementError {
    /// The organisation's MSP folder is not configured.
    #[error("[wallet] msp names no folder; without the organisation's MSP nobody can tell whose certificate it is")]
    NoMsp,
    /// The organisation's MSP folder cannot be used.
    #[error("[wallet] msp: {0}")]
    Msp(#[from] MspError),
    /// The certificate is not of this organisation, or not a member's.
    #[error("the certificate is not a member's of {msp_id}: {reason}")]
    NotAMember {
        /// The organisation.
        msp_id: String,
        /// What is wrong.
        reason: String,
    },
    /// The certificate is not good now.
    #[error("the certificate has expired or is not valid yet")]
    OutsideItsPeriod,
}

/// Judges certificates by the organisation's MSP.
#[derive(Debug, Clone)]
pub struct Judge {
    msp_id: String,
    folder: PathBuf,
}

impl Judge {
    /// By the MSP that a configuration names.
    pub fn new(configuration: &Configuration) -> Result<Self, JudgementError> {
        let folder = configuration.wallet.msp.clone().ok_or(JudgementError::NoMsp)?;
        let judge = Self { msp_id: configuration.msp_id.clone(), folder };
        judge.msps()?;
        Ok(judge)
    }

    /// Refuses who is no member of the organisation today. What its role is does not count.
    pub fn accept(&self, identity: &SigningIdentity) -> Result<(), JudgementError> {
        self.judged(identity).map(|_| ())
    }

    /// Refuses who is neither a client nor an administrator of the organisation today.
    pub fn accept_person(&self, identity: &SigningIdentity) -> Result<(), JudgementError> {
        let judged = self.judged(identity)?;
        if judged.has_role(MspRoleType::Client) || judged.has_role(MspRoleType::Admin) {
            return Ok(());
        }
        Err(self.not_a_member("its organizational unit is neither client nor admin"))
    }

    fn judged(&self, identity: &SigningIdentity) -> Result<Identity, JudgementError> {
        let judged = self.msps()?.identify(identity.serialized()).map_err(|error| self.not_a_member(error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let certificate = identity.certificate();
        match now < certificate.not_before() || now > certificate.not_after() {
            true => Err(JudgementError::OutsideItsPeriod),
            false => Ok(judged),
        }
    }

    /// As the folder is now: its revocation lists change.
    fn msps(&self) -> Result<Msps, JudgementError> {
        Ok(Msps::new(vec![Msp::load(&self.folder, &self.msp_id)?]))
    }

    pub(super) fn not_a_member(&self, reason: impl ToString) -> JudgementError {
        JudgementError::NotAMember { msp_id: self.msp_id.clone(), reason: reason.to_string() }
    }
}
