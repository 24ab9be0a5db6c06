//! Issuing: authorities, certificates with P-256 keys, and the MSP folders that Fabric's own programs read.
//!
//! An organisation has two [`Authority`]s, one for signing identities and one for TLS, so that a leaked TLS key signs no
//! transaction. A program's certificate carries its role as organizational unit ([`Request::organizational_unit`]).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509NameBuilder};
use zeroize::Zeroizing;

use crate::{Certificate, CertificateError};

mod msp_folder;
mod revocation;

pub use msp_folder::{MspFolder, write_msp_folder};

const DAY: i64 = 24 * 60 * 60;
/// Certificates start a little in the past, for clocks that differ.
const BACKDATED: i64 = 5 * 60;
/// An authority's files in its folder.
const CERTIFICATE_FILE: &str = "ca-cert.pem";
const KEY_FILE: &str = "ca-key.pem";

/// Issues certificates for one organisation, either signing ones or TLS ones.
#[derive(Clone)]
pub struct Authority {
    certificate: Certificate,
    x509: X509,
    key: PKey<Private>,
}

/// What a certificate shall say.
#[derive(Debug, Clone)]
pub struct Request {
    /// The subject's common name: a host, a program or a member's pseudonymous id.
    pub common_name: String,
    /// The role under NodeOUs: `client`, `peer`, `admin` or `orderer`. TLS certificates need none.
    pub organizational_unit: Option<String>,
    /// Host names that a TLS client may find it under.
    pub dns_names: Vec<String>,
    /// Addresses that a TLS client may find it under.
    pub ip_addresses: Vec<IpAddr>,
    /// What the key is for.
    pub usage: Usage,
    /// Days until it expires; never beyond its authority.
    pub valid_days: u32,
    /// Attributes, which the certificate carries as Fabric CA writes them.
    pub attributes: BTreeMap<String, String>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Signing transactions, endorsements, blocks.
    Signing,
    /// Both ends of a TLS connection.
    TlsServerClient,
}

/// A certificate and its new private key.
pub struct Issued {
    certificate: Certificate,
    key_pem: Zeroizing<Vec<u8>>,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The library refused, for example a common name over 64 characters.
    #[error("the certificate cannot be made: {0}; check names (common name at most 64 characters) and addresses")]
    Library(#[from] ErrorStack),
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: std::path::PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The folder's certificate and key are not a pair.
    #[error("{0}: the authority's key does not belong to its certificate; restore the pair from your backup")]
    Mismatch(std::path::PathBuf),
}

impl Request {
    /// A signing certificate in a role, for a year.
    pub fn signing(common_name: impl Into<String>, organizational_unit: impl Into<String>) -> Self {
        Self {
            common_name: common_name.into(),
            organizational_unit: Some(organizational_unit.into()),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            usage: Usage::Signing,
            valid_days: 365,
            attributes: BTreeMap::new(),
        }
    }

    /// A TLS certificate, for a year, under these names; a client's needs none.
    pub fn tls(common_name: impl Into<String>, dns_names: &[&str], ip_addresses: &[IpAddr]) -> Self {
        Self {
            common_name: common_name.into(),
            organizational_unit: None,
            dns_names: dns_names.iter().map(|name| (*name).to_owned()).collect(),
            ip_addresses: ip_addresses.to_vec(),
            usage: Usage::TlsServerClient,
            valid_days: 365,
            attributes: BTreeMap::new(),
        }
    }
}

impl Authority {
    /// A new root with a new P-256 key, for ten years.
    pub fn create(common_name: &str, organisation: &str) -> Result<Self, IssueError> {
        let key = new_key()?;
        let public = public_part(&key)?;
        let start = now() - 60 * 60;
        let mut builder = builder(common_name, None, organisation, &public, start, start + 3652 * DAY)?;
        let name = name(common_name, None, organisation)?;
        builder.set_issuer_name(&name.build())?;
        builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        let subject_key_id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
        builder.append_extension(subject_key_id)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Self::from_parts(Certificate::from_der(&builder.build().to_der()?)?.with_low_s(&public), key)
    }

    /// Reads what [`save`](Self::save) wrote.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, IssueError> {
        let folder = folder.as_ref();
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| IssueError::Io { path, source })
        };
        let certificate = Certificate::from_pem(read(CERTIFICATE_FILE)?)?;
        let key = PKey::private_key_from_pem(&Zeroizing::new(read(KEY_FILE)?))?;
        if !key.public_eq(certificate.public_key()) {
            return Err(IssueError::Mismatch(folder.to_owned()));
        }
        Self::from_parts(certificate, key)
    }

    /// Writes `ca-cert.pem` and, readable by the owner only, `ca-key.pem`.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), IssueError> {
        let folder = folder.as_ref();
        create_folder(folder)?;
        write_secret(&folder.join(KEY_FILE), &Zeroizing::new(self.key.private_key_to_pem_pkcs8()?))?;
        write_public(&folder.join(CERTIFICATE_FILE), self.certificate.pem().as_bytes())
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Makes a new P-256 key and certifies it.
    pub fn issue(&self, request: &Request) -> Result<Issued, IssueError> {
        let key = new_key()?;
        let certificate = self.certify(request, &public_part(&key)?)?;
        Ok(Issued { certificate, key_pem: Zeroizing::new(key.private_key_to_pem_pkcs8()?) })
    }

    /// Certifies a public key that somebody else made and keeps.
    pub fn certify(&self, request: &Request, public_key: &PKey<Public>) -> Result<Certificate, IssueError> {
        // A chain is looked at just after the certificate's start, when its authority must already be valid.
        let start = (now() - BACKDATED).max(self.certificate.not_before());
        let end = (start + i64::from(request.valid_days) * DAY).min(self.certificate.not_after());
        let organisation = self.x509.subject_name().entries_by_nid(Nid::ORGANIZATIONNAME).next();
        let organisation = organisation.and_then(|entry| entry.data().to_string().ok());
        let mut builder = builder(
            &request.common_name,
            request.organizational_unit.as_deref(),
            &organisation.unwrap_or_default(),
            public_key,
            start,
            end,
        )?;
        builder.set_issuer_name(self.x509.subject_name())?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        if request.usage == Usage::TlsServerClient {
            builder.append_extension(ExtendedKeyUsage::new().server_auth().client_auth().build()?)?;
        }
        let context = builder.x509v3_context(Some(&self.x509), None);
        let subject_key_id = SubjectKeyIdentifier::new().build(&context)?;
        let authority_key_id = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
        let mut names = SubjectAlternativeName::new();
        for name in &request.dns_names {
            names.dns(name);
        }
        for address in &request.ip_addresses {
            names.ip(&address.to_string());
        }
        let names = (!request.dns_names.is_empty() || !request.ip_addresses.is_empty())
            .then(|| names.build(&context))
            .transpose()?;
        builder.append_extension(subject_key_id)?;
        builder.append_extension(authority_key_id)?;
        if let Some(names) = names {
            builder.append_extension(names)?;
        }
        if !request.attributes.is_empty() {
            builder.append_extension(attributes(&request.attributes)?)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        let certificate = Certificate::from_der(&builder.build().to_der()?)?;
        Ok(certificate.with_low_s(self.certificate.public_key()))
    }

    fn from_parts(certificate: Certificate, key: PKey<Private>) -> Result<Self, IssueError> {
        Ok(Self { x509: X509::from_der(certificate.der())?, certificate, key })
    }
}

impl Issued {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// The private key, PKCS#8 in PEM; wiped from memory when this is dropped.
    pub fn key_pem(&self) -> &[u8] {
        &self.key_pem
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Creates a folder, and those above it, that only the owner may enter.
pub fn create_folder(path: &Path) -> Result<(), IssueError> {
    use std::os::unix::fs::DirBuilderExt;
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|source| IssueError::Io { path: path.to_owned(), source })
}

/// Writes a file that only its owner may read (mode 0600). The content appears whole or not at all.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), IssueError> {
    write(path, content, 0o600)
}

/// Writes a file that everybody may read. The content appears whole or not at all.
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), IssueError> {
    write(path, content, 0o644)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), IssueError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = std::path::PathBuf::from(beside);
    let written = (|| {
        // A leftover of a killed run could have other permissions: mode() counts only for files newly made.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    written.map_err(|source| IssueError::Io { path: path.to_owned(), source })
}

fn builder(
    common_name: &str,
    organizational_unit: Option<&str>,
    organisation: &str,
    public_key: &PKey<Public>,
    start: i64,
    end: i64,
) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&name(common_name, organizational_unit, organisation)?.build())?;
    builder.set_not_before(&*Asn1Time::from_unix(start)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(end)?)?;
    builder.set_pubkey(public_key)?;
    Ok(builder)
}

fn name(
    common_name: &str,
    organizational_unit: Option<&str>,
    organisation: &str,
) -> Result<X509NameBuilder, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    if !organisation.is_empty() {
        name.append_entry_by_nid(Nid::ORGANIZATIONNAME, organisation)?;
    }
    if let Some(unit) = organizational_unit {
        name.append_entry_by_nid(Nid::ORGANIZATIONALUNITNAME, unit)?;
    }
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(name)
}

/// Extension 1.2.3.4.5.6.7.8.1: `{"attrs":{"name":"value"}}` (`lib/attrmgr` of hyperledger/fabric-ca).
fn attributes(attributes: &BTreeMap<String, String>) -> Result<X509Extension, ErrorStack> {
    let oid = Asn1Object::from_str("1.2.3.4.5.6.7.8.1")?;
    let value = serde_json::json!({ "attrs": attributes }).to_string();
    X509Extension::new_from_der(&oid, false, &*Asn1OctetString::new_from_bytes(value.as_bytes())?)
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn public_part(key: &PKey<Private>) -> Result<PKey<Public>, ErrorStack> {
    PKey::public_key_from_der(&key.public_key_to_der()?)
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
