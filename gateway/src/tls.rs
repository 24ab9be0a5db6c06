//! TLS: what this gateway presents, and what it asks of those who call it.
//!
//! A client certificate is optional in the handshake, and any certificate is taken there, provided that its holder proves
//! possession of the key. Whether it is trusted, and for what, is judged with each request ([`Trust::judge`]), so that a
//! caller reads *why* it is refused instead of seeing a broken connection.

mod revocation;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fabric_msp::Certificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

use self::revocation::Revocations;
use crate::configuration::{Configuration, ConfigurationError, read};

/// Common name of every gateway's TLS certificate.
const GATEWAY_NAME: &str = "gateway";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigurationError),
    /// A file is not what it should be.
    #[error("{file}: {reason}; expected PEM made for this gateway")]
    Material {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The certificate chain and key that this gateway presents, as a server and as a client.
pub struct OwnCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl OwnCertificate {
    /// Reads the files that the configuration names.
    pub fn load(configuration: &Configuration) -> Result<Self, TlsError> {
        let (certificate, key) = (&configuration.tls.certificate, &configuration.tls.key);
        Ok(Self {
            chain: certificates(&name(certificate), &read(certificate)?)?,
            key: key_of(&name(key), &Zeroizing::new(read(key)?))?,
        })
    }

    /// A certificate chain, leaf first, and its key, both in PEM.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self { chain: certificates("certificate", chain)?, key: key_of("key", key)? })
    }

    /// Configuration of the listener.
    pub fn server(&self) -> Result<ServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(PossessionOnly { provider: aws_lc_rs::default_provider() }))
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Configuration for dialling the gateway of an organisation: only that organisation's authority is trusted.
    pub fn client(&self, roots: RootCertStore) -> Result<ClientConfig, Error> {
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
    }
}

/// Reads the authorities of a PEM file.
pub fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    store(&name(path), &read(path)?)
}

/// The authorities of a PEM text.
pub fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    store("authority", pem)
}

fn store(file: &str, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file, pem)? {
        store.add(certificate).map_err(|error| material(file, error))?;
    }
    Ok(store)
}

/// The authorities whose certificates count here.
#[derive(Debug)]
pub struct Trust {
    members: Members,
    gateways: BTreeMap<String, Arc<dyn ClientCertVerifier>>,
}

#[derive(Debug)]
enum Members {
    Issued(Arc<dyn ClientCertVerifier>),
    NotRevoked(Revocations),
}

/// Whose a trusted certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Issued by this organisation's own authority; which member it is bound to, the wallet knows.
    Member,
    /// The gateway of another organisation, by MSP id.
    Gateway(String),
}

/// Why a certificate does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Its period has ended, or has not begun.
    #[error("the client certificate is expired or not yet valid")]
    OutsideItsPeriod,
    /// The authority that issued it has revoked it.
    #[error("the client certificate is revoked")]
    Revoked,
    /// No known authority issued it, or not for TLS clients, or it is another organisation's but not its gateway's.
    #[error("the client certificate was not issued for this by an authority that is trusted here")]
    NotTrusted,
}

impl Trust {
    /// Trust in the members' authority and in the other organisations' (MSP id, authority).
    pub fn new(
        members: RootCertStore,
        gateways: impl IntoIterator<Item = (String, RootCertStore)>,
    ) -> Result<Self, TlsError> {
        let members = Members::Issued(verifier(members)?);
        Ok(Self { members, gateways: verifiers(gateways)? })
    }

    /// The same, and members' certificates on this revocation list (a PEM file) do not count.
    pub fn with_revocations(
        members: RootCertStore,
        revocations: &Path,
        gateways: impl IntoIterator<Item = (String, RootCertStore)>,
    ) -> Result<Self, TlsError> {
        let members = Members::NotRevoked(Revocations::open(members, revocations)?);
        Ok(Self { members, gateways: verifiers(gateways)? })
    }

    /// Reads the files that the configuration names.
    pub fn load(configuration: &Configuration) -> Result<Self, TlsError> {
        let gateways =
            configuration.organisations.iter().map(|other| Ok((other.msp_id.clone(), roots(&other.tls_root)?)));
        let gateways = gateways.collect::<Result<Vec<_>, TlsError>>()?;
        let members = roots(&configuration.tls.member_root)?;
        match &configuration.tls.crl {
            Some(crl) => Self::with_revocations(members, crl, gateways),
            None => Self::new(members, gateways),
        }
    }

    /// Whose this chain (leaf first) is, at this time.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Holder, Distrust> {
        let [leaf, intermediates @ ..] = chain else { return Err(Distrust::NotTrusted) };
        let members = match &self.members {
            Members::Issued(verifier) => Arc::clone(verifier),
            Members::NotRevoked(revocations) => revocations.verifier(),
        };
        let mut distrust = match verify(&members, leaf, intermediates, now) {
            Ok(()) => return Ok(Holder::Member),
            Err(distrust) => distrust,
        };
        for (msp_id, gateways) in &self.gateways {
            match verify(gateways, leaf, intermediates, now) {
                Ok(()) if is_gateway(leaf) => return Ok(Holder::Gateway(msp_id.clone())),
                Ok(()) => return Err(Distrust::NotTrusted),
                Err(Distrust::OutsideItsPeriod) => distrust = Distrust::OutsideItsPeriod,
                Err(Distrust::NotTrusted | Distrust::Revoked) => {}
            }
        }
        Err(distrust)
    }
}

fn verifiers(
    roots: impl IntoIterator<Item = (String, RootCertStore)>,
) -> Result<BTreeMap<String, Arc<dyn ClientCertVerifier>>, TlsError> {
    roots.into_iter().map(|(msp_id, roots)| Ok((msp_id, verifier(roots)?))).collect()
}

fn verifier(roots: RootCertStore) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(aws_lc_rs::default_provider()))
        .build()
        .map_err(|error| TlsError::Material { file: "trusted authorities".into(), reason: error.to_string() })
}

fn verify(
    verifier: &Arc<dyn ClientCertVerifier>,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Distrust> {
    match verifier.verify_client_cert(leaf, intermediates, now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => Err(Distrust::OutsideItsPeriod),
        Err(Error::InvalidCertificate(CertificateError::Revoked)) => Err(Distrust::Revoked),
        Err(Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)) => {
            tracing::warn!(
                "no revocation list covers a client certificate's authority: add that authority's to [tls] crl"
            );
            Err(Distrust::NotTrusted)
        }
        Err(_) => Err(Distrust::NotTrusted),
    }
}

fn is_gateway(leaf: &CertificateDer<'_>) -> bool {
    Certificate::from_der(leaf).is_ok_and(|certificate| certificate.common_name() == Some(GATEWAY_NAME))
}

fn certificates(file: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| material(file, error))?;
    if certificates.is_empty() { Err(material(file, "holds no certificate")) } else { Ok(certificates) }
}

fn key_of(file: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| material(file, error))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn material(file: &str, reason: impl ToString) -> TlsError {
    TlsError::Material { file: file.to_owned(), reason: reason.to_string() }
}

/// Takes any client certificate whose holder proves possession of its key; trust is judged later.
#[derive(Debug)]
struct PossessionOnly {
    provider: CryptoProvider,
}

impl ClientCertVerifier for PossessionOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
