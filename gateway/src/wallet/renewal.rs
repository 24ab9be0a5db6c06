//! New certificates for the old keys, before the old certificates end; and the members' revocation list.
//!
//! The ledger knows members by the hash of their key, so a renewal never changes a key.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fabric_client::ca::{CaClient, CaError, Wishes};
use fabric_msp::issue::write_public;
use fabric_msp::{Certificate, SigningError, SigningIdentity};
use metrics::counter;
use openssl::x509::{X509, X509Crl};

use super::Keys;
use super::folder::{self, CERTIFICATE, WalletError};
use super::judge::{Judge, JudgementError};
use super::key_store::KeyStore;
use crate::configuration::{Configuration, ConfigurationError, FabricCaConfiguration, read};
use crate::gateway::OwnSigner;

/// Renewals by outcome.
const RENEWALS: &str = "gateway_certificate_renewals_total";
/// Fetched revocation lists by outcome.
const LISTS: &str = "gateway_revocation_lists_total";

/// Why a certificate was not renewed, or a list not fetched. No member is named in it.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The authority did not issue.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// What is to be renewed cannot be used.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] fabric_msp::issue::IssueError),
    /// The member keeps the key, so only the member can renew.
    #[error("the key is elsewhere: whoever keeps it has to renew the certificate")]
    KeyElsewhere,
    /// What the authority gave is for another key.
    #[error("the authority issued a certificate for another key")]
    AnotherKey(#[source] SigningError),
    /// What the authority gave is for another name or unit.
    #[error("the authority issued a certificate for another name or role")]
    AnotherName,
    /// What the authority gave ends before the certificate that it replaces.
    #[error("the authority issued a certificate that ends before the old one")]
    EndsEarlier,
    /// The organisation's MSP does not take what the authority gave.
    #[error("what the authority issued is not taken: {0}")]
    Judgement(#[from] JudgementError),
    /// The revocation list is not the members' authority's.
    #[error("the revocation list is not of the authority of [tls] member_root: {0}")]
    List(String),
}

/// Renews what the configuration names.
pub struct Renewal {
    authority: CaClient,
    judge: Judge,
    settings: FabricCaConfiguration,
    msp_id: String,
    wallet: PathBuf,
    store: KeyStore,
    own_certificate: PathBuf,
    own: OwnSigner,
    member_root: PathBuf,
    list: Option<PathBuf>,
}

impl Renewal {
    /// None where no authority is configured.
    pub fn new(configuration: &Configuration, store: &KeyStore, own: &OwnSigner) -> Result<Option<Self>, RenewalError> {
        let Some(settings) = configuration.fabric_ca.clone() else { return Ok(None) };
        Ok(Some(Self {
            authority: authority(&settings)?,
            judge: Judge::new(configuration)?,
            settings,
            msp_id: configuration.msp_id.clone(),
            wallet: configuration.wallet.folder.clone(),
            store: store.clone(),
            own_certificate: configuration.identity.certificate.clone(),
            own: own.clone(),
            member_root: configuration.tls.member_root.clone(),
            list: configuration.tls.crl.clone(),
        }))
    }

    /// Renews and fetches until the task is dropped.
    pub async fn run(self) {
        let mut certificates = tokio::time::interval(Duration::from_secs(self.settings.check_seconds.max(1)));
        let lists = self.settings.crl_seconds.zip(self.list.clone());
        let mut fetching = tokio::time::interval(Duration::from_secs(self.settings.crl_seconds.unwrap_or(1).max(1)));
        loop {
            tokio::select! {
                _ = certificates.tick() => self.renew_due().await,
                _ = fetching.tick(), if lists.is_some() => {
                    if let Some((_, file)) = &lists {
                        count(LISTS, "a revocation list", &self.fetch_list(file).await);
                    }
                }
            }
        }
    }

    /// Renews every certificate whose end is near: the members', then the gateway's own.
    pub async fn renew_due(&self) {
        let folders = folder::member_folders(&self.wallet).unwrap_or_else(|error| {
            tracing::error!(%error, "the wallet's certificates cannot be looked at");
            Vec::new()
        });
        for member in folders {
            let due = certificate(&member.join(CERTIFICATE)).is_ok_and(|held| self.is_due(&held));
            if due {
                count(RENEWALS, "a member's certificate", &self.renew_member(&member).await);
            }
        }
        if self.is_due(self.own.current().certificate()) {
            count(RENEWALS, "the gateway's certificate", &self.renew_own().await);
        }
    }

    /// Fetches the revocation list. One that is not of the members' authority would lock everybody out, so it is not taken.
    pub async fn fetch_list(&self, file: &Path) -> Result<(), RenewalError> {
        let list = self.authority.revocation_list(&self.own.current()).await?;
        check_list(&list, &read(&self.member_root)?)?;
        Ok(write_public(file, list.as_bytes())?)
    }

    async fn renew_member(&self, member: &Path) -> Result<(), RenewalError> {
        let (folder, msp_id, store) = (member.to_owned(), self.msp_id.clone(), self.store.clone());
        let keys = tokio::task::spawn_blocking(move || folder::keys_of(&folder, &msp_id, &store)).await;
        let Keys::Here { signer, .. } = keys.map_err(|error| CaError::Setup(error.to_string()))?? else {
            return Err(RenewalError::KeyElsewhere);
        };
        let renewed = renew(&self.authority, &self.judge, &signer).await?;
        Ok(write_public(&member.join(CERTIFICATE), renewed.certificate().pem().as_bytes())?)
    }

    async fn renew_own(&self) -> Result<(), RenewalError> {
        let renewed = renew(&self.authority, &self.judge, &self.own.current()).await?;
        write_public(&self.own_certificate, renewed.certificate().pem().as_bytes())?;
        self.own.replace(renewed);
        Ok(())
    }

    fn is_due(&self, certificate: &Certificate) -> bool {
        is_due(certificate, self.settings.renew_in_last, now())
    }
}

/// The authority that a configuration names.
pub fn authority(settings: &FabricCaConfiguration) -> Result<CaClient, RenewalError> {
    Ok(CaClient::new(settings.url.as_str(), &read(&settings.tls_root)?, settings.name.clone())?)
}

/// Has a certificate renewed: the same key, name and role, no earlier end, and one that the organisation's MSP takes.
pub async fn renew(
    authority: &CaClient,
    judge: &Judge,
    identity: &SigningIdentity,
) -> Result<SigningIdentity, RenewalError> {
    let (before, after) = (identity.certificate(), authority.reenroll(identity, &Wishes::default()).await?);
    if after.common_name() != before.common_name() || after.organizational_units() != before.organizational_units() {
        return Err(RenewalError::AnotherName);
    }
    if after.not_after() < before.not_after() {
        return Err(RenewalError::EndsEarlier);
    }
    let renewed = identity.with_certificate(after).map_err(RenewalError::AnotherKey)?;
    judge.accept(&renewed)?;
    Ok(renewed)
}

/// Whether a certificate is in this last share of its lifetime.
fn is_due(certificate: &Certificate, share: f64, now: i64) -> bool {
    let lifetime = certificate.not_after() - certificate.not_before();
    (certificate.not_after() - now) as f64 <= lifetime as f64 * share
}

fn check_list(list: &str, roots: &[u8]) -> Result<(), RenewalError> {
    let wrong = |reason: &str| RenewalError::List(reason.to_owned());
    let list = X509Crl::from_pem(list.as_bytes()).map_err(|_| wrong("it is no list in PEM"))?;
    let roots = X509::stack_from_pem(roots).map_err(|_| wrong("the authority's certificate is not in PEM"))?;
    let signed = roots.iter().filter_map(|root| root.public_key().ok()).any(|key| list.verify(&key).unwrap_or(false));
    if signed { Ok(()) } else { Err(wrong("another one signed it")) }
}

fn certificate(file: &Path) -> Result<Certificate, RenewalError> {
    Certificate::from_pem(read(file)?).map_err(SigningError::from).map_err(RenewalError::AnotherKey)
}

/// Neither log nor metric names whose certificate it is.
fn count(metric: &'static str, what: &str, outcome: &Result<(), RenewalError>) {
    match outcome {
        Ok(()) => {
            counter!(metric, "outcome" => "done").increment(1);
            tracing::info!("{what} was renewed");
        }
        Err(RenewalError::Wallet(_) | RenewalError::File(_) | RenewalError::Write(_)) => {
            counter!(metric, "outcome" => "failed").increment(1);
            tracing::error!("{what} could not be renewed: a file of it cannot be used; `--check` names it");
        }
        Err(error) => {
            counter!(metric, "outcome" => "failed").increment(1);
            tracing::error!(%error, "{what} could not be renewed");
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use fabric_msp::issue::{Authority, Request};

    use super::*;

    #[test]
    fn a_certificate_is_due_in_the_last_share_of_its_lifetime_and_when_it_has_ended() {
        let authority = Authority::create("root", "Hospital").unwrap();
        let issued = authority.issue(&Request { valid_days: 90, ..Request::signing("amy", "client") }).unwrap();
        let certificate = issued.certificate();
        let lifetime = certificate.not_after() - certificate.not_before();
        let at = |part: f64| certificate.not_before() + (lifetime as f64 * part) as i64;
        for (part, due) in [(0.0, false), (0.5, false), (0.66, false), (0.67, true), (0.99, true), (1.5, true)] {
            assert_eq!(is_due(certificate, 1.0 / 3.0, at(part)), due, "{part}");
        }
        assert!(is_due(certificate, 1.0, at(0.0)));
        assert!(!is_due(certificate, 0.0, at(0.99)));
    }

    #[test]
    fn a_revocation_list_of_another_authority_is_not_taken() {
        let (own, other) = (Authority::create("root", "A").unwrap(), Authority::create("root", "A").unwrap());
        let roots = own.certificate().pem();
        check_list(&own.revocation_list(&[], 1).unwrap(), roots.as_bytes()).unwrap();
        for list in [other.revocation_list(&[], 1).unwrap(), "no list".to_owned(), String::new()] {
            assert!(matches!(check_list(&list, roots.as_bytes()), Err(RenewalError::List(_))));
        }
    }
}
