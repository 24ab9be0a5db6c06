//! `healthchain-gateway wallet --config gateway.toml …`: what who runs a gateway does with keys.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use fabric_client::ca::{CaClient, Revocation};
use fabric_msp::Certificate;
use fabric_msp::issue::write_public;
use healthchain_rules::MemberId;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::Keys;
use super::admission::{Admission, AdmissionError};
use super::folder::{self, CERTIFICATE, ENCRYPTION_KEY, KEY, WalletError};
use super::judge::Judge;
use super::key_store::{KeyStore, KeyStoreError, without_line_end};
use super::renewal::{self, RenewalError};
use crate::configuration::{Configuration, ConfigurationError, FileOr, read};

/// The members' keys, and the gateway's own.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Encrypts every key that lies in a file unencrypted, the members' and the gateway's own.
    Encrypt,
    /// Takes a member's certificate and key from a PKCS#12 file.
    Import {
        /// The PKCS#12 file.
        #[arg(long, value_name = "FILE")]
        p12: PathBuf,
        /// The member's id.
        #[arg(long)]
        member: MemberId,
        /// File with its password; without one it is asked for, or read from standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// The TLS client certificate that is bound to the member, PEM.
        #[arg(long, value_name = "FILE")]
        tls_certificate: Option<PathBuf>,
    },
    /// Makes a key for a member and has it certified by the organisation's Fabric CA.
    Enroll {
        /// The member's id, which is the enrolment id.
        #[arg(long)]
        member: MemberId,
        /// File with the secret of the registration; without one it is asked for, or read from standard input.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// The TLS client certificate that is bound to the member, PEM.
        #[arg(long, value_name = "FILE")]
        tls_certificate: Option<PathBuf>,
    },
    /// Has new certificates issued for the same keys: for a member, or for the gateway itself.
    Reenroll {
        /// The member's id; without one, the gateway's own certificate is renewed.
        #[arg(long)]
        member: Option<MemberId>,
    },
    /// Has a member revoked, with all certificates. The gateway's own identity needs the attribute `hf.Revoker`.
    Revoke {
        /// The member's id, which is the enrolment id.
        #[arg(long)]
        member: MemberId,
        /// Why, as RFC 5280 calls it, in small letters: keycompromise, superseded, cessationofoperation, …
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The wallet cannot be used.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// An identity is not taken.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// A certificate is not renewed.
    #[error(transparent)]
    Renewal(#[from] RenewalError),
    /// No authority is configured.
    #[error("there is no section [fabric_ca]; it names the organisation's certificate authority")]
    NoAuthority,
    /// No password or secret was given.
    #[error("no password was given")]
    NoPassword,
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] fabric_msp::issue::IssueError),
}

impl WalletCommand {
    /// Carries it out; says what was done.
    pub async fn run(self, configuration: &Configuration) -> Result<String, CommandError> {
        match self {
            Self::Encrypt => encrypt(configuration),
            Self::Import { p12, member, password_file, tls_certificate } => {
                let admission = Admission::new(configuration)?;
                let password = secret(password_file.as_deref(), "Password of the PKCS#12 file")?;
                let (file, bound) = (Zeroizing::new(read(&p12)?), optional(tls_certificate.as_deref())?);
                let taken = admission.import(&member, &file, &password, bound.as_deref())?;
                Ok(taken_in(&member, &taken))
            }
            Self::Enroll { member, secret_file, tls_certificate } => {
                let (admission, authority) = (Admission::new(configuration)?, authority(configuration)?);
                let secret = secret(secret_file.as_deref(), "Secret of the registration")?;
                let bound = optional(tls_certificate.as_deref())?;
                let taken = admission.enroll(&member, &authority, &secret, bound.as_deref()).await?;
                Ok(taken_in(&member, &taken))
            }
            Self::Reenroll { member } => reenroll(configuration, member).await,
            Self::Revoke { member, reason } => {
                let (authority, own) =
                    (authority(configuration)?, KeyStore::open(&configuration.wallet)?.own_signer(configuration)?);
                let revocation = Revocation { id: Some(member.as_str().to_owned()), reason, ..Revocation::default() };
                let revoked = authority.revoke(&own, &revocation).await.map_err(AdmissionError::from)?;
                Ok(format!(
                    "{} certificates of {} are revoked. They count for nothing here from the next revocation list on; the ledger \
                     knows the member by its key until it is told otherwise.",
                    revoked.len(),
                    member.as_str()
                ))
            }
        }
    }
}

fn encrypt(configuration: &Configuration) -> Result<String, CommandError> {
    // Keys that are not encrypted yet are what this is for.
    let mut settings = configuration.wallet.clone();
    settings.require_encrypted = false;
    settings.pkcs11 = None;
    let keys = KeyStore::open(&settings)?;
    let identity = &configuration.identity;
    let own = [&identity.key, &identity.encryption_key].into_iter().filter_map(|place| match place {
        FileOr::File(file) => Some(file.clone()),
        FileOr::Table(_) => None,
    });
    let members = folder::member_folders(&configuration.wallet.folder)?;
    let members = members.iter().flat_map(|member| [KEY, ENCRYPTION_KEY].map(|file| member.join(file)));
    let (mut encrypted, mut before) = (0, 0);
    for file in own.chain(members.filter(|file| file.exists())) {
        if keys.encrypt_in_place(&file)? { encrypted += 1 } else { before += 1 }
    }
    Ok(format!("{encrypted} keys were encrypted; {before} were encrypted before"))
}

async fn reenroll(configuration: &Configuration, member: Option<MemberId>) -> Result<String, CommandError> {
    let (authority, keys) = (authority(configuration)?, KeyStore::open(&configuration.wallet)?);
    let (identity, file) = match &member {
        Some(member) => {
            let folder = configuration.wallet.folder.join(member.as_str());
            let Keys::Here { signer, .. } = folder::keys_of(&folder, &configuration.msp_id, &keys)? else {
                return Err(RenewalError::KeyElsewhere.into());
            };
            (signer, folder.join(CERTIFICATE))
        }
        None => (keys.own_signer(configuration)?, configuration.identity.certificate.clone()),
    };
    let judge = Judge::new(configuration).map_err(RenewalError::from)?;
    let renewed = renewal::renew(&authority, &judge, &identity).await?;
    write_public(&file, renewed.certificate().pem().as_bytes())?;
    Ok(format!("{} holds a new certificate for the same key", file.display()))
}

fn authority(configuration: &Configuration) -> Result<CaClient, CommandError> {
    Ok(renewal::authority(configuration.fabric_ca.as_ref().ok_or(CommandError::NoAuthority)?)?)
}

fn taken_in(member: &MemberId, certificate: &Certificate) -> String {
    format!("{} is in the wallet; the ledger knows the key as {}", member.as_str(), hex::encode(certificate.key_hash()))
}

fn optional(file: Option<&Path>) -> Result<Option<Vec<u8>>, CommandError> {
    Ok(file.map(read).transpose()?)
}

/// From a file, else from whoever sits there, else from standard input.
fn secret(file: Option<&Path>, prompt: &str) -> Result<Zeroizing<String>, CommandError> {
    let bytes = match file {
        Some(file) => Zeroizing::new(read(file)?),
        None => from_standard_input(prompt).map_err(|_| CommandError::NoPassword)?,
    };
    let text = std::str::from_utf8(&without_line_end(bytes)).map(str::to_owned);
    Ok(Zeroizing::new(text.map_err(|_| CommandError::NoPassword)?))
}

fn from_standard_input(prompt: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut input = std::io::stdin();
    let mut secret = Zeroizing::new(String::new());
    if !input.is_terminal() {
        input.read_to_string(&mut secret)?;
        return Ok(Zeroizing::new(std::mem::take(&mut *secret).into_bytes()));
    }
    eprint!("{prompt}: ");
    let shown = tcgetattr(&input)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &hidden)?;
    let line = input.read_line(&mut secret);
    tcsetattr(&input, OptionalActions::Flush, &shown)?;
    eprintln!();
    line?;
    Ok(Zeroizing::new(std::mem::take(&mut *secret).into_bytes()))
}
