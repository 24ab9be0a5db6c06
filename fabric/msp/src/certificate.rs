//! What a certificate says, read once.

use std::fmt;
use std::sync::Arc;

use openssl::pkey::{Id, PKey, Public};
use openssl::sha::sha256;
use openssl::x509::X509;
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
use x509_parser::x509::X509Name;

use crate::{der, pem, signature};

/// SHA-256 of a public key in SubjectPublicKeyInfo DER: how the ledger names a key.
pub fn key_hash(public_key_spki_der: &[u8]) -> [u8; 32] {
    sha256(public_key_spki_der)
}

/// An X.509 certificate, parsed once. Clones are cheap.
#[derive(Clone)]
pub struct Certificate(Arc<Parsed>);

/// Why bytes are not a certificate.
#[derive(Debug, thiserror::Error)]
#[error("not an X.509 certificate ({0}); give one certificate in PEM (-----BEGIN CERTIFICATE-----) and nothing else")]
pub struct CertificateError(String);

struct Parsed {
    x509: X509,
    public_key: PKey<Public>,
    der: Vec<u8>,
    subject: String,
    issuer: String,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    common_name: Option<String>,
    organizational_units: Vec<String>,
    serial: Vec<u8>,
    not_before: i64,
    not_after: i64,
    spki: Vec<u8>,
    signature_algorithm: String,
    extensions: Extensions,
}

/// What the extensions say about chains.
#[derive(Default)]
pub(crate) struct Extensions {
    pub(crate) authority: bool,
    pub(crate) path_length: Option<u32>,
    pub(crate) may_sign_certificates: Option<bool>,
    /// Serves as a TLS server's or for any usage, or has no extended key usage at all.
    pub(crate) server_usage: bool,
    pub(crate) subject_key_id: Option<Vec<u8>>,
    pub(crate) name_constraints: bool,
    pub(crate) unknown_critical: Option<String>,
}

impl Certificate {
    /// Reads PEM that holds this one certificate and nothing else, so that nobody can take it for another one: no text, no headers, no
    /// second block, no byte after the certificate's end. Fabric is laxer, and ignores what stands around the first whole block.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, CertificateError> {
        Self::from_der(&pem::single_block("CERTIFICATE", pem.as_ref()).map_err(CertificateError)?)
    }

    /// Reads DER in its one form; nothing may follow.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| CertificateError(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateError(format!("{} bytes after its end", rest.len())));
        }
        let x509 = X509::from_der(der).map_err(|error| CertificateError(error.to_string()))?;
        // What the authority signed is one text. The frame around it is not signed: anybody could write it in many ways, of which Fabric
        // takes one.
        if x509.to_der().map_err(|error| CertificateError(error.to_string()))? != der {
            return Err(CertificateError("it is not in the one form of DER".to_owned()));
        }
        let public_key = x509.public_key().map_err(|error| CertificateError(error.to_string()))?;
        Ok(Self(Arc::new(Parsed {
            public_key,
            der: der.to_vec(),
            subject: distinguished_name(parsed.subject()),
            issuer: distinguished_name(parsed.issuer()),
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            common_name: parsed.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok()).map(str::to_owned),
            organizational_units: parsed
                .subject()
                .iter_organizational_unit()
                .filter_map(|unit| unit.as_str().ok().map(str::to_owned))
                .collect(),
            serial: parsed.raw_serial().to_vec(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            spki: parsed.public_key().raw.to_vec(),
            signature_algorithm: parsed.signature_algorithm.algorithm.to_id_string(),
            extensions: extensions(&parsed)?,
            x509,
        })))
    }

    /// The DER encoding.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The PEM encoding: one block, lines of 64, a line feed at the end.
    pub fn pem(&self) -> String {
        let pem = self.0.x509.to_pem().expect("a parsed certificate can be encoded");
        String::from_utf8(pem).expect("PEM is ASCII")
    }

    /// The subject as RFC 2253 text, the most specific name first: `CN=amy,OU=client,O=Hospital`.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The issuer as RFC 2253 text.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The subject's first common name.
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// The subject's organizational units, in the certificate's order.
    pub fn organizational_units(&self) -> &[String] {
        &self.0.organizational_units
    }

    /// Whether `unit` is one of the subject's organizational units.
    pub fn has_organizational_unit(&self, unit: &str) -> bool {
        self.0.organizational_units.iter().any(|own| own == unit)
    }

    /// The serial number's bytes, big-endian, without a sign byte.
    pub fn serial(&self) -> &[u8] {
        match self.0.serial.as_slice() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            all => all,
        }
    }

    /// Start of validity, seconds since 1970.
    pub fn not_before(&self) -> i64 {
        self.0.not_before
    }

    /// End of validity, seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.0.not_after
    }

    /// The public key as SubjectPublicKeyInfo DER.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// SHA-256 of [`spki`](Self::spki).
    pub fn key_hash(&self) -> [u8; 32] {
        key_hash(&self.0.spki)
    }

    /// Whether it is an authority's certificate (basic constraints).
    pub fn is_authority(&self) -> bool {
        self.0.extensions.authority
    }

    /// The public key.
    pub fn public_key(&self) -> &PKey<Public> {
        &self.0.public_key
    }

    pub(crate) fn extensions(&self) -> &Extensions {
        &self.0.extensions
    }

    pub(crate) fn is_ecdsa_signed(&self) -> bool {
        ["1.2.840.10045.4.1", "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"]
            .contains(&self.0.signature_algorithm.as_str())
    }

    /// Whether `authority` issued this certificate: names match, it may sign certificates, and the signature is its own.
    pub(crate) fn is_issued_by(&self, authority: &Certificate) -> bool {
        const BROKEN: [&str; 3] = ["1.2.840.10045.4.1", "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.4"]; // SHA-1, MD5
        self.0.issuer_der == authority.0.subject_der
            && authority.is_authority()
            && authority.0.extensions.may_sign_certificates != Some(false)
            && !BROKEN.contains(&self.0.signature_algorithm.as_str())
            && self.0.x509.verify(authority.public_key()).unwrap_or(false)
    }

    /// The same certificate with the low form of its ECDSA signature. `issuer_key` made the signature; a certificate
    /// signed by another kind of key stays as it is (Fabric's `sanitizeECDSASignedCert`).
    pub(crate) fn with_low_s(&self, issuer_key: &PKey<Public>) -> Self {
        if !self.is_ecdsa_signed() || issuer_key.id() != Id::EC {
            return self.clone();
        }
        let signature = self.0.x509.signature().as_slice();
        match signature::to_low_s(signature, issuer_key) {
            Ok(low) if low != signature => {
                let der = der::with_signature(&self.0.der, &low).expect("a parsed certificate is a sequence of three");
                Self::from_der(&der).expect("only the signature's value was replaced")
            }
            _ => self.clone(),
        }
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("subject", &self.0.subject).field("issuer", &self.0.issuer).finish()
    }
}

fn extensions(certificate: &X509Certificate<'_>) -> Result<Extensions, CertificateError> {
    let mut read = Extensions { server_usage: true, ..Extensions::default() };
    let mut seen = Vec::new();
    for extension in certificate.extensions() {
        if seen.contains(&&extension.oid) {
            return Err(CertificateError(format!("the extension {} stands twice", extension.oid.to_id_string())));
        }
        seen.push(&extension.oid);
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                read.authority = basic.ca;
                read.path_length = basic.path_len_constraint;
            }
            ParsedExtension::KeyUsage(usage) => read.may_sign_certificates = Some(usage.key_cert_sign()),
            ParsedExtension::ExtendedKeyUsage(usage) => read.server_usage = usage.any || usage.server_auth,
            ParsedExtension::SubjectKeyIdentifier(id) => read.subject_key_id = Some(id.0.to_vec()),
            ParsedExtension::NameConstraints(_) => read.name_constraints = true,
            ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::AuthorityInfoAccess(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::CertificatePolicies(_) => {}
            ParsedExtension::ParseError { error } => {
                return Err(CertificateError(format!("the extension {}: {error}", extension.oid.to_id_string())));
            }
            _ if extension.critical => read.unknown_critical = Some(extension.oid.to_id_string()),
            _ => {}
        }
    }
    Ok(read)
}

/// RFC 2253 text: the last name first.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut relative: Vec<String> = name
        .iter_rdn()
        .map(|rdn| {
            let parts: Vec<String> = rdn
                .iter()
                .map(|attribute| {
                    let oid = attribute.attr_type().to_id_string();
                    match (short_name(&oid), attribute.as_str()) {
                        (Some(short), Ok(value)) => format!("{short}={}", escaped(value)),
                        _ => format!("{oid}=#{}", hex::encode(attribute.as_slice())),
                    }
                })
                .collect();
            parts.join("+")
        })
        .collect();
    relative.reverse();
    relative.join(",")
}

fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.17" => "POSTALCODE",
        _ => return None,
    })
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (position, character) in value.chars().enumerate() {
        let at_edge = (position == 0 && matches!(character, ' ' | '#')) || (position == last && character == ' ');
        if at_edge || matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
