//! Taking a new identity into the wallet: from a PKCS#12 file, or from the organisation's Fabric CA.

use std::path::{Path, PathBuf};

use fabric_client::ca::{CaClient, CaError, Wishes};
use fabric_msp::issue::{create_folder, write_public};
use fabric_msp::{Certificate, SigningIdentity, SoftwareSigner, certification_request};
use healthchain_rules::MemberId;
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{Id, PKey, Private};

use super::folder::{BOUND_CERTIFICATE, CERTIFICATE, KEY, KEY_NAMES};
use super::judge::{Judge, JudgementError};
use super::key_store::{KeyStore, KeyStoreError};
use crate::configuration::{Configuration, ConfigurationError, read};

/// Why an identity is not taken into the wallet. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// The organisation's MSP does not take the certificate.
    #[error(transparent)]
    Judgement(#[from] JudgementError),
    /// The file is no PKCS#12.
    #[error("this is no PKCS#12 file")]
    NotPkcs12,
    /// The file does not open.
    #[error(
        "the PKCS#12 file does not open: the password is another one, or the file is encrypted as programs did before 2020 (RC2, 3DES); \
         then export it anew with AES-256"
    )]
    PasswordWrong,
    /// Something is missing in the file.
    #[error("the PKCS#12 file holds no {0}")]
    Incomplete(&'static str),
    /// The key is of another kind.
    #[error("the private key is not a P-256 key")]
    NotP256,
    /// Certificate and key do not belong together.
    #[error("certificate and private key do not belong together")]
    Mismatch,
    /// The member is there, with another key.
    #[error(
        "this member is in the wallet with another key; the ledger knows members by their key, so change it there first and remove \
             the folder"
    )]
    AnotherKey,
    /// Nothing binds the member to a TLS client certificate.
    #[error("a member is bound to a TLS client certificate; give it with --tls-certificate")]
    NotBound,
    /// The TLS client certificate is none.
    #[error("--tls-certificate: {0}")]
    BoundCertificate(String),
    /// The authority did not issue.
    #[error("{error}{}", error.explanation().map(|said| format!(": {said}")).unwrap_or_default())]
    Authority {
        /// Its refusal.
        #[from]
        error: CaError,
    },
    /// The key cannot be kept.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] fabric_msp::issue::IssueError),
    /// The library refused.
    #[error("the key cannot be made: {0}")]
    Library(#[from] openssl::error::ErrorStack),
}

/// Takes identities into an organisation's wallet.
pub struct Admission {
    judge: Judge,
    msp_id: String,
    wallet: PathBuf,
    store: KeyStore,
}

impl Admission {
    /// For the wallet and the MSP that a configuration names.
    pub fn new(configuration: &Configuration) -> Result<Self, AdmissionError> {
        Ok(Self {
            judge: Judge::new(configuration)?,
            msp_id: configuration.msp_id.clone(),
            wallet: configuration.wallet.folder.clone(),
            store: KeyStore::open(&configuration.wallet)?,
        })
    }

    /// Takes certificate and key of a PKCS#12 file (RFC 7292).
    pub fn import(
        &self,
        member: &MemberId,
        file: &[u8],
        password: &str,
        bound: Option<&[u8]>,
    ) -> Result<Certificate, AdmissionError> {
        let parsed = Pkcs12::from_der(file).map_err(|_| AdmissionError::NotPkcs12)?;
        let parsed = parsed.parse2(password).map_err(|_| AdmissionError::PasswordWrong)?;
        let key = parsed.pkey.ok_or(AdmissionError::Incomplete("private key"))?;
        let certificate = parsed.cert.ok_or(AdmissionError::Incomplete("certificate of that key"))?;
        let certificate =
            Certificate::from_der(&certificate.to_der()?).map_err(|error| self.judge.not_a_member(error))?;
        self.admit(member, certificate, &key, bound)
    }

    /// Makes a key, has it certified for the secret of a registration, and takes both.
    pub async fn enroll(
        &self,
        member: &MemberId,
        authority: &CaClient,
        secret: &str,
        bound: Option<&[u8]>,
    ) -> Result<Certificate, AdmissionError> {
        self.check_binding(member, bound)?;
        let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let signer = SoftwareSigner::new(key.clone()).map_err(CaError::from)?;
        let request = certification_request(member.as_str(), &key.public_key_to_der()?, &signer);
        let request = request.map_err(CaError::from)?;
        let certificate = authority.enroll(member.as_str(), secret, &request, &Wishes::default()).await?;
        self.admit(member, certificate, &key, bound)
    }

    fn admit(
        &self,
        member: &MemberId,
        certificate: Certificate,
        key: &PKey<Private>,
        bound: Option<&[u8]>,
    ) -> Result<Certificate, AdmissionError> {
        let p256 = key.id() == Id::EC && key.ec_key()?.group().curve_name() == Some(Nid::X9_62_PRIME256V1);
        if !p256 {
            return Err(AdmissionError::NotP256);
        }
        let identity =
            SigningIdentity::from_key(&*self.msp_id, certificate, key.clone()).map_err(|_| AdmissionError::Mismatch)?;
        self.judge.accept_person(&identity)?;
        self.check_binding(member, bound)?;
        let folder = self.folder(member);
        if is_there_with_another_key(&folder, identity.certificate())? {
            return Err(AdmissionError::AnotherKey);
        }
        create_folder(&folder)?;
        if !folder.join(KEY_NAMES).exists() {
            self.store.write(&folder.join(KEY), key)?;
        }
        if let Some(bound) = bound {
            write_public(&folder.join(BOUND_CERTIFICATE), bound)?;
        }
        write_public(&folder.join(CERTIFICATE), identity.certificate().pem().as_bytes())?;
        Ok(identity.certificate().clone())
    }

    fn check_binding(&self, member: &MemberId, bound: Option<&[u8]>) -> Result<(), AdmissionError> {
        match bound {
            Some(pem) => Certificate::from_pem(pem)
                .map(|_| ())
                .map_err(|error| AdmissionError::BoundCertificate(error.to_string())),
            None if self.folder(member).join(BOUND_CERTIFICATE).exists() => Ok(()),
            None => Err(AdmissionError::NotBound),
        }
    }

    fn folder(&self, member: &MemberId) -> PathBuf {
        self.wallet.join(member.as_str())
    }
}

fn is_there_with_another_key(folder: &Path, certificate: &Certificate) -> Result<bool, AdmissionError> {
    let file = folder.join(CERTIFICATE);
    if !file.exists() {
        return Ok(folder.join(KEY).exists() || folder.join(KEY_NAMES).exists());
    }
    Ok(Certificate::from_pem(read(&file)?).is_ok_and(|held| held.spki() != certificate.spki()))
}
