//! One private key of a token.

use std::sync::Arc;

use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState};
use fabric_msp::{Signer, SigningError};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{Asn1Flag, EcGroup, EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use zeroize::Zeroizing;

use super::sessions::Sessions;
use super::{Attempt, HsmError, KeyName};
use crate::sealing::SealingError;
use crate::sealing::device::DiffieHellman;

/// Length of a P-256 coordinate, and so of what the Diffie-Hellman gives.
const COORDINATE_BYTES: u64 = 32;

/// A private key of a token: it signs (CKM_ECDSA) and does the Diffie-Hellman (CKM_ECDH1_DERIVE). Clones are cheap.
#[derive(Clone)]
pub struct HsmKey {
    sessions: Arc<Sessions>,
    name: KeyName,
}

impl HsmKey {
    pub(super) fn new(sessions: Arc<Sessions>, name: KeyName) -> Self {
        Self { sessions, name }
    }

    /// Whether it is there.
    pub(super) fn check(&self) -> Result<(), HsmError> {
        self.sessions.with(|session| self.find(session).map(|_| ()))
    }

    /// Its public half (SPKI, DER), from the public key object of the same name.
    pub fn public_key(&self) -> Result<Vec<u8>, HsmError> {
        let point = self.sessions.with(|session| self.name.public_point(session))?;
        let point = point.ok_or_else(|| HsmError::NoPublicKey(self.name.to_string()))?;
        spki(&point).map_err(|error| HsmError::Call(format!("the public key is no point of P-256: {error}")))
    }

    /// Handles are a session's, so the key is looked for each time.
    fn find(&self, session: &Session) -> Result<ObjectHandle, Attempt> {
        let found = session.find_objects(&self.name.template(ObjectClass::PRIVATE_KEY)?)?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] if !is_logged_in(session)? => Err(Attempt::LoggedOut),
            other => Err(HsmError::NotOneKey { name: self.name.to_string(), found: other.len() }.into()),
        }
    }

    fn derive(&self, session: &Session, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, Attempt> {
        let key = self.find(session)?;
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point));
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::ValueLen(COORDINATE_BYTES.into()),
        ];
        let derived = session.derive_key(&mechanism, key, &template)?;
        let attributes = session.get_attributes(derived, &[AttributeType::Value]);
        session.destroy_object(derived)?;
        let value = attributes?.into_iter().find_map(|attribute| match attribute {
            Attribute::Value(value) => Some(Zeroizing::new(value)),
            _ => None,
        });
        value.ok_or_else(|| HsmError::Call("it does not give what it derived (CKA_VALUE)".to_owned()).into())
    }
}

impl Signer for HsmKey {
    fn sign_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, SigningError> {
        let device = |reason: String| SigningError::Device(reason);
        let signed = self.sessions.with(|session| Ok(session.sign(&Mechanism::Ecdsa, self.find(session)?, digest)?));
        let raw = signed.map_err(|error| device(error.to_string()))?;
        der(&raw).map_err(|error| device(error.to_string()))
    }

    fn may_wait(&self) -> bool {
        true
    }
}

impl DiffieHellman for HsmKey {
    fn shared(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        self.sessions.with(|session| self.derive(session, point)).map_err(|error| {
            tracing::error!(%error, "a token did not do its part of opening an envelope");
            SealingError::DeviceUnavailable
        })
    }
}

impl std::fmt::Debug for HsmKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HsmKey").finish_non_exhaustive()
    }
}

fn is_logged_in(session: &Session) -> Result<bool, Attempt> {
    let state = session.get_session_info()?.session_state();
    Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
}

/// PKCS#11 gives r ‖ s.
fn der(raw: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let (r, s) = raw.split_at(raw.len() / 2);
    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()
}

fn spki(point: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    let point = EcPoint::from_bytes(&group, point, &mut *BigNumContext::new()?)?;
    PKey::from_ec_key(EcKey::from_public_key(&group, &point)?)?.public_key_to_der()
}
