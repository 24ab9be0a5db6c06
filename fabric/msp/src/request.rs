//! Requests for certificates (PKCS#10, RFC 2986), which the OpenSSL bindings sign only with keys in memory.

use openssl::base64::encode_block;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::sha::sha256;
use openssl::x509::X509NameBuilder;

use crate::der::{bit_string, sequence, tagged};
use crate::{Signer, SigningError};

const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// Asks for a certificate of this name for a public key (SubjectPublicKeyInfo, DER); the holder of the private key signs. PEM.
pub fn certification_request(
    common_name: &str,
    public_key_spki_der: &[u8],
    signer: &dyn Signer,
) -> Result<String, SigningError> {
    let subject = name(common_name).map_err(|error| SigningError::Name(error.to_string()))?;
    // Version 0; no attributes.
    let to_sign = sequence(&[&tagged(2, &[0]), &subject, public_key_spki_der, &tagged(0xa0, &[])]);
    let signature = signer.sign_digest(&sha256(&to_sign))?;
    let request = sequence(&[&to_sign, ECDSA_WITH_SHA256, &bit_string(&signature)]);
    let text = encode_block(&request);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n")))
}

fn name(common_name: &str) -> Result<Vec<u8>, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    name.build().to_der()
}
