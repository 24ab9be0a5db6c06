//! `healthchain-gateway --check`: everything that a start loads, one thing after the other, without serving.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fabric_msp::{Certificate, SigningIdentity};

use crate::configuration::{Configuration, read};
use crate::contents::https::HttpsContents;
use crate::ledger::Ledger as _;
use crate::ledger::fabric::FabricLedger;
use crate::records::Records as _;
use crate::server::{StartError, assemble, open_state};
use crate::tls::{OwnCertificate, Trust};
use crate::wallet::folder::FolderWallet;
use crate::wallet::key_store::KeyStore;

/// How long the peer may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const DAY: i64 = 24 * 60 * 60;

/// What was seen of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing.
    pub subject: &'static str,
    /// How it is.
    pub verdict: Verdict,
}

/// How a thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be; something may be said of it.
    Good(String),
    /// Not as it should be, but the gateway starts and waits for it.
    Missing(String),
    /// The gateway does not start, or not for long.
    Wrong(String),
}

/// Loads everything that the configuration names. The record store is written to and the state's tables are brought up to date, as
/// at a start. Must be called within a Tokio runtime.
pub async fn check(configuration: &Configuration) -> Vec<Finding> {
    let records = async {
        let records = configuration.records.open()?;
        Ok(records.check().await.map(|()| configuration.records.to_string())?)
    };
    let state = async {
        let state = open_state(configuration).await?;
        state.close().await;
        Ok(format!("{:?}", configuration.state.place()?))
    };
    let all = async {
        let own = OwnCertificate::load(configuration)?;
        let keys = KeyStore::open(&configuration.wallet)?;
        assemble(configuration, &own, &keys).await.map(|_| String::new())
    };
    let wallet = KeyStore::open(&configuration.wallet)
        .map_err(StartError::from)
        .and_then(|keys| Ok(FolderWallet::open_with(&configuration.wallet.folder, &configuration.msp_id, keys)?));
    vec![
        finding("[tls] certificate and key", tls(configuration)),
        finding("[tls] member_root and crl, [[organisations]] tls_root", told(Trust::load(configuration))),
        finding("[identity] certificate and key", identity(configuration)),
        finding("[identity] encryption_key", encryption_key(configuration)),
        finding("wallet", told(wallet)),
        finding("records", records.await),
        finding("[state]", state.await),
        finding("[[organisations]] gateways", contents(configuration)),
        finding("[peer] endpoint and tls_root", told(FabricLedger::connect(configuration))),
        finding("everything together", all.await),
        Finding { subject: "the peer answers", verdict: peer(configuration).await },
    ]
}

fn finding(subject: &'static str, result: Result<String, StartError>) -> Finding {
    let verdict = match result {
        Ok(about) => Verdict::Good(about),
        Err(error) => Verdict::Wrong(error.to_string()),
    };
    Finding { subject, verdict }
}

/// Of something that only has to be there.
fn told<T, E: Into<StartError>>(loaded: Result<T, E>) -> Result<String, StartError> {
    loaded.map(|_| String::new()).map_err(Into::into)
}

fn tls(configuration: &Configuration) -> Result<String, StartError> {
    OwnCertificate::load(configuration)?.server()?;
    lifetime("[tls] certificate", &configuration.tls.certificate)
}

fn identity(configuration: &Configuration) -> Result<String, StartError> {
    let identity = &configuration.identity;
    signer(configuration)?;
    lifetime("[identity] certificate", &identity.certificate)
}

fn encryption_key(configuration: &Configuration) -> Result<String, StartError> {
    KeyStore::open(&configuration.wallet)?.decryption_key(&configuration.identity.encryption_key, None)?;
    Ok(String::new())
}

fn signer(configuration: &Configuration) -> Result<SigningIdentity, StartError> {
    Ok(KeyStore::open(&configuration.wallet)?.own_signer(configuration)?)
}

fn contents(configuration: &Configuration) -> Result<String, StartError> {
    HttpsContents::load(configuration, &OwnCertificate::load(configuration)?)?;
    Ok(format!("{} other organisations", configuration.organisations.len()))
}

async fn peer(configuration: &Configuration) -> Verdict {
    let ask = async {
        let signer = signer(configuration)?;
        let ledger = FabricLedger::connect(configuration)?;
        let height = ledger.height(&signer).await;
        Ok::<_, StartError>(height.map_err(|error| error.to_string()))
    };
    match tokio::time::timeout(TIMEOUT, ask).await {
        Ok(Ok(Ok(height))) => Verdict::Good(format!("{} has {height} blocks", configuration.channel)),
        Ok(Ok(Err(reason))) => Verdict::Missing(reason),
        Ok(Err(_)) => Verdict::Missing("it cannot be asked; see what is wrong above".into()),
        Err(_) => Verdict::Missing(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}

/// Says until when a certificate is good; one that is not good now is an error.
fn lifetime(name: &'static str, path: &Path) -> Result<String, StartError> {
    let certificate =
        Certificate::from_pem(read(path)?).map_err(|error| StartError::Certificate(name, error.to_string()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
    if now < certificate.not_before() {
        return Err(StartError::Certificate(name, "it is not valid yet; check this machine's clock".into()));
    }
    match (certificate.not_after() - now) / DAY {
        _ if certificate.not_after() <= now => {
            Err(StartError::Certificate(name, "it has expired; have a new one issued".into()))
        }
        days => Ok(format!("good for {days} more days")),
    }
}
