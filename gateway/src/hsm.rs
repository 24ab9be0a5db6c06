//! Keys in a hardware security module, through PKCS#11 (OASIS, version 2.40): a token signs and does the Diffie-Hellman, and never
//! gives a key away.

mod key;
mod sessions;

use std::sync::Arc;

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::Session;
use serde::Deserialize;

pub use self::key::HsmKey;
use self::sessions::Sessions;
use crate::configuration::Pkcs11Configuration;

/// A token of a PKCS#11 module, logged in. Clones share its sessions.
#[derive(Clone)]
pub struct Hsm(Arc<Sessions>);

/// Names a key in the token: by its label, by its id, or by both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyName {
    /// `CKA_LABEL`.
    #[serde(default)]
    pub label: Option<String>,
    /// `CKA_ID`, hexadecimal.
    #[serde(default)]
    pub id: Option<String>,
}

/// Why a key in a token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HsmError {
    /// The module cannot be loaded or started.
    #[error("the PKCS#11 module {module}: {reason}; [wallet.pkcs11] module names the vendor's library")]
    Module {
        /// Its file.
        module: String,
        /// What is wrong.
        reason: String,
    },
    /// No slot holds a token of this label.
    #[error("no slot holds the token {0:?}; is the device there, and is [wallet.pkcs11] token its label?")]
    NoToken(String),
    /// The file with the PIN cannot be read.
    #[error("[wallet.pkcs11] pin_file: {0}")]
    PinFile(String),
    /// The token takes no PIN, or not this one. Tokens lock themselves after a few wrong ones, so nothing is tried again.
    #[error("the token refuses the PIN of [wallet.pkcs11] pin_file: {0}; correct it before the token locks itself")]
    Pin(String),
    /// The token has no such key, or more than one.
    #[error("the token holds {found} private elliptic-curve keys {name}; there has to be exactly one")]
    NotOneKey {
        /// What was looked for.
        name: String,
        /// How many there are.
        found: usize,
    },
    /// The configuration names no key.
    #[error("a key in the token needs a label or an id (hexadecimal)")]
    NoName,
    /// The key has no public half in the token and no certificate gives it.
    #[error("the token holds no public key {0}; keep the public key beside the private one")]
    NoPublicKey(String),
    /// A call of the module failed.
    #[error("the token: {0}")]
    Call(String),
}

impl Hsm {
    /// Loads the module and logs in to the token.
    pub fn open(configuration: &Pkcs11Configuration) -> Result<Self, HsmError> {
        Ok(Self(Arc::new(Sessions::open(configuration)?)))
    }

    /// A private key of the token.
    pub fn key(&self, name: &KeyName) -> Result<HsmKey, HsmError> {
        if name.label.is_none() && name.id.is_none() {
            return Err(HsmError::NoName);
        }
        let key = HsmKey::new(Arc::clone(&self.0), name.clone());
        key.check()?;
        Ok(key)
    }
}

impl std::fmt::Debug for Hsm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hsm").finish_non_exhaustive()
    }
}

impl KeyName {
    fn template(&self, class: ObjectClass) -> Result<Vec<Attribute>, HsmError> {
        let mut template = vec![Attribute::Class(class), Attribute::KeyType(KeyType::EC)];
        if let Some(label) = &self.label {
            template.push(Attribute::Label(label.as_bytes().to_vec()));
        }
        if let Some(id) = &self.id {
            template.push(Attribute::Id(hex::decode(id).map_err(|_| HsmError::NoName)?));
        }
        Ok(template)
    }

    /// The uncompressed point of the public key of this name, where the token keeps it.
    fn public_point(&self, session: &Session) -> Result<Option<Vec<u8>>, Attempt> {
        let objects = session.find_objects(&self.template(ObjectClass::PUBLIC_KEY)?)?;
        let Some(object) = objects.first() else { return Ok(None) };
        let attributes = session.get_attributes(*object, &[AttributeType::EcPoint])?;
        let point = attributes.into_iter().find_map(|attribute| match attribute {
            // An OCTET STRING in DER around the point.
            Attribute::EcPoint(point) => point.strip_prefix(&[4, 65]).map(<[u8]>::to_vec),
            _ => None,
        });
        Ok(point)
    }
}

impl std::fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.label, &self.id) {
            (Some(label), Some(id)) => write!(formatter, "with label {label:?} and id {id}"),
            (Some(label), None) => write!(formatter, "with label {label:?}"),
            (None, Some(id)) => write!(formatter, "with id {id}"),
            (None, None) => formatter.write_str("without a name"),
        }
    }
}

/// What comes of one try with one session.
enum Attempt {
    /// The module failed; with another session it may go well.
    Module(cryptoki::error::Error),
    /// The session is not logged in any more, so that private keys cannot be seen.
    LoggedOut,
    /// It would fail again.
    Final(HsmError),
}

impl From<cryptoki::error::Error> for Attempt {
    fn from(error: cryptoki::error::Error) -> Self {
        Self::Module(error)
    }
}

impl From<HsmError> for Attempt {
    fn from(error: HsmError) -> Self {
        Self::Final(error)
    }
}
