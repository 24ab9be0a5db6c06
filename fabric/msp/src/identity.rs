//! Who signed: identities recognised and judged by the channel's organisations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use fabric_protos::common::msp_principal::Classification;
use fabric_protos::common::msp_role::MspRoleType;
use fabric_protos::common::{CombinedPrincipal, MspPrincipal, MspRole, OrganizationUnit};
use fabric_protos::msp::SerializedIdentity;
use openssl::sha::sha256;
use prost::Message;

use crate::msp::CertifiersId;
use crate::{Certificate, Msp, signature};

/// How many recognised identities are remembered, so that each transaction does not verify the same chain again.
const REMEMBERED: usize = 256;

/// The MSPs of a channel. Clones are cheap and share what was recognised.
#[derive(Clone)]
pub struct Msps(Arc<Inner>);

struct Inner {
    by_id: BTreeMap<String, Arc<Msp>>,
    remembered: Mutex<BTreeMap<Vec<u8>, Identity>>,
}

/// A valid member of one of the channel's organisations. Clones are cheap.
#[derive(Clone)]
pub struct Identity {
    msp: Arc<Msp>,
    certificate: Certificate,
    certifiers: CertifiersId,
}

/// Why a creator or endorser is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no `msp.SerializedIdentity` or hold no certificate.
    #[error("the identity is malformed: {0}")]
    Malformed(String),
    /// No organisation of the channel has this name.
    #[error("MSP {0} is not defined on channel")]
    UnknownMsp(String),
    /// The certificate names an organisation whose authorities did not issue it.
    #[error("the identity does not chain to MSP {msp_id}: {reason}")]
    Untrusted {
        /// The organisation that it names.
        msp_id: String,
        /// What is wrong.
        reason: Invalidity,
    },
    /// The certificate is the organisation's, but not a valid member's.
    #[error("the identity is not valid under MSP {msp_id}: {reason}")]
    Invalid {
        /// The organisation.
        msp_id: String,
        /// What is wrong.
        reason: Invalidity,
    },
}

impl IdentityError {
    /// True when a peer says "creator org unknown, creator is malformed": the identity cannot even be decoded. False when
    /// it says "creator org \[MSP\]": decoded, but refused.
    pub fn is_unknown(&self) -> bool {
        !matches!(self, Self::Invalid { .. })
    }
}

/// What makes a certificate no valid member's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalidity {
    /// Neither ECDSA nor Ed25519.
    #[error("its public key algorithm is not supported; use ECDSA P-256")]
    KeyAlgorithm,
    /// An authority's certificate.
    #[error("an authority's certificate (basic constraint CA) cannot be used as an identity")]
    Authority,
    /// No chain to a root, or more than one.
    #[error("could not obtain certification chain: {0}")]
    Chain(String),
    /// In a revocation list of its issuer.
    #[error("The certificate has been revoked")]
    Revoked,
    /// The MSP lists organizational units and the certificate has none of them.
    #[error("none of the identity's organizational units {units:?} are in MSP {msp_id}")]
    UnitNotListed {
        /// The certificate's units.
        units: Vec<String>,
        /// The organisation.
        msp_id: String,
    },
    /// The unit is a role's, but another authority must have issued it.
    #[error("certifiersIdentifier does not match: {units:?}, MSP: [{msp_id}]")]
    Certifiers {
        /// The certificate's units.
        units: Vec<String>,
        /// The organisation.
        msp_id: String,
    },
    /// NodeOUs are on and no unit is a role's.
    #[error(
        "the identity does not have an OU that resolves to client, peer, orderer, or admin role. OUs: {units:?}, MSP: \
         [{msp_id}]"
    )]
    NoNodeUnit {
        /// The certificate's units.
        units: Vec<String>,
        /// The organisation.
        msp_id: String,
    },
    /// NodeOUs are on and several units are roles'.
    #[error(
        "the identity must have a client, a peer, an orderer, or an admin OU role to be valid, not a combination of them. \
         OUs: {units:?}, MSP: [{msp_id}]"
    )]
    SeveralNodeUnits {
        /// The certificate's units.
        units: Vec<String>,
        /// The organisation.
        msp_id: String,
    },
}

/// Why a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not an ECDSA signature in DER.
    #[error("the signature is not ECDSA in DER")]
    Malformed,
    /// S is above half the curve's order, so that a second valid signature exists.
    #[error("Invalid S. Must be smaller than half the order")]
    HighS,
    /// Made by another key or over other bytes.
    #[error("The signature is invalid")]
    Wrong,
    /// Neither ECDSA nor Ed25519.
    #[error("the public key algorithm is not supported; use ECDSA P-256")]
    KeyAlgorithm,
}

impl Msps {
    /// Those of a channel; of two with the same name the last counts.
    pub fn new(msps: Vec<Msp>) -> Self {
        let by_id = msps.into_iter().map(|msp| (msp.id().to_owned(), Arc::new(msp))).collect();
        Self(Arc::new(Inner { by_id, remembered: Mutex::default() }))
    }

    /// The organisation of this name.
    pub fn get(&self, msp_id: &str) -> Option<&Msp> {
        self.0.by_id.get(msp_id).map(Arc::as_ref)
    }

    /// All organisations, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Msp> {
        self.0.by_id.values().map(Arc::as_ref)
    }

    /// Decodes and judges an `msp.SerializedIdentity`.
    pub fn identify(&self, serialized: &[u8]) -> Result<Identity, IdentityError> {
        if let Some(known) = self.remembered().get(serialized) {
            return Ok(known.clone());
        }
        let identity = self.judge(serialized)?;
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(serialized.to_vec(), identity.clone());
        Ok(identity)
    }

    /// Judges a certificate as a member's of this organisation.
    pub fn identify_certificate(&self, msp_id: &str, certificate: &Certificate) -> Result<Identity, IdentityError> {
        let id_bytes = certificate.pem().into_bytes();
        self.identify(&SerializedIdentity { mspid: msp_id.to_owned(), id_bytes }.encode_to_vec())
    }

    fn judge(&self, serialized: &[u8]) -> Result<Identity, IdentityError> {
        let decoded = SerializedIdentity::decode(serialized).map_err(|error| {
            IdentityError::Malformed(format!("could not deserialize a SerializedIdentity: {error}"))
        })?;
        let msp = self.0.by_id.get(&decoded.mspid).ok_or_else(|| IdentityError::UnknownMsp(decoded.mspid.clone()))?;
        let certificate =
            Certificate::from_pem(&decoded.id_bytes).map_err(|error| IdentityError::Malformed(error.to_string()))?;
        let certificate = msp
            .canonical(certificate)
            .map_err(|reason| IdentityError::Untrusted { msp_id: decoded.mspid.clone(), reason })?;
        let standing =
            msp.validate(&certificate).map_err(|reason| IdentityError::Invalid { msp_id: decoded.mspid, reason })?;
        Ok(Identity { msp: Arc::clone(msp), certificate, certifiers: standing.certifiers })
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Identity>> {
        self.0.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity {
    /// The organisation.
    pub fn msp_id(&self) -> &str {
        self.msp.id()
    }

    /// The certificate, with the low form of its signature.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What tells identities apart: the organisation and SHA-256 of the certificate.
    pub fn id(&self) -> (&str, [u8; 32]) {
        (self.msp.id(), sha256(self.certificate.der()))
    }

    /// The `msp.SerializedIdentity`, with the certificate encoded anew.
    pub fn serialized(&self) -> Vec<u8> {
        let id_bytes = self.certificate.pem().into_bytes();
        SerializedIdentity { mspid: self.msp_id().to_owned(), id_bytes }.encode_to_vec()
    }

    /// Checks a signature of this identity: ECDSA over SHA-256 in DER with low S, or Ed25519.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        signature::verify(self.certificate.public_key(), message, signature)
    }

    /// Whether the identity has a role in its own organisation.
    pub fn has_role(&self, role: MspRoleType) -> bool {
        self.msp.has_role(&self.certificate, role)
    }

    /// Whether it is a person's or an application's (NodeOU client or admin) and no peer's or orderer's. Where the organisation has no
    /// NodeOUs, nothing tells them apart, and it is.
    pub fn may_be_a_client(&self) -> bool {
        !self.msp.has_node_units() || self.has_role(MspRoleType::Client) || self.has_role(MspRoleType::Admin)
    }

    /// Whether the identity is one of those that a policy's principal describes. A principal that cannot be decoded
    /// describes nobody.
    pub fn satisfies(&self, principal: &MspPrincipal) -> bool {
        let bytes = principal.principal.as_slice();
        match Classification::try_from(principal.principal_classification) {
            Ok(Classification::Role) => MspRole::decode(bytes).is_ok_and(|asked| {
                asked.msp_identifier == self.msp_id()
                    && MspRoleType::try_from(asked.role).is_ok_and(|role| self.has_role(role))
            }),
            Ok(Classification::OrganizationUnit) => OrganizationUnit::decode(bytes).is_ok_and(|asked| {
                asked.msp_identifier == self.msp_id()
                    && asked.certifiers_identifier == self.certifiers
                    && self.certificate.has_organizational_unit(&asked.organizational_unit_identifier)
            }),
            Ok(Classification::Identity) => self.is(bytes),
            // MSPIdentityAnonymity{1 anonymity_type}: NOMINAL = 0, which every X.509 identity is; ANONYMOUS = 1.
            Ok(Classification::Anonymity) => bytes.is_empty() || bytes == [8, 0],
            Ok(Classification::Combined) => CombinedPrincipal::decode(bytes).is_ok_and(|all| {
                !all.principals.is_empty() && all.principals.iter().all(|principal| self.satisfies(principal))
            }),
            Err(_) => false,
        }
    }

    fn is(&self, serialized: &[u8]) -> bool {
        let Ok(other) = SerializedIdentity::decode(serialized) else { return false };
        other.mspid == self.msp_id()
            && Certificate::from_pem(&other.id_bytes)
                .ok()
                .and_then(|certificate| self.msp.canonical(certificate).ok())
                .is_some_and(|certificate| certificate == self.certificate)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Identity {}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("msp_id", &self.msp_id()).field("certificate", &self.certificate).finish()
    }
}

impl fmt::Debug for Msps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.by_id.keys()).finish()
    }
}
