//! Fabric identities: certificates, MSP folders, NodeOUs, signature policies, issuing.
//!
//! - [`SigningIdentity`] signs as a member of an organisation; a [`Creator`] is one whose key is elsewhere; [`Msps`] recognises and
//!   judges what others signed.
//! - [`policy`] reads and evaluates signature policies such as `OutOf(2, 'A.peer', 'B.peer', 'C.peer')`.
//! - [`key_file`] keeps private keys encrypted under a passphrase.
//! - [`issue`] makes authorities, certificates, keys and the MSP folders that Fabric's own programs read.
//!
//! The rules are those of Fabric 3.1 (folder `msp/` of its source) with channel capability `V3_0`, or it says otherwise.

mod certificate;
mod chain;
mod creator;
mod der;
mod folder;
mod identity;
pub mod issue;
pub mod key_file;
mod msp;
mod pem;
pub mod policy;
mod request;
mod revocation;
mod signature;
mod signing;

pub use certificate::{Certificate, CertificateError, key_hash};
pub use creator::Creator;
pub use folder::FolderError;
pub use identity::{Identity, IdentityError, Invalidity, Msps, SignatureError};
pub use msp::{Msp, MspError};
pub use request::certification_request;
pub use signing::{Signer, SigningError, SigningIdentity, SoftwareSigner};
