//! Checksums that callers send along: of a piece of an upload (tus), or of a whole record (RFC 9530).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::{Hasher, MessageDigest};

use crate::content::ContentError;

/// What bytes have to be.
#[derive(Clone)]
pub struct Checksum {
    algorithm: MessageDigest,
    value: Vec<u8>,
}

/// A checksum of bytes as they come.
pub struct Summing {
    hasher: Hasher,
    expected: Vec<u8>,
}

/// The algorithms of `Upload-Checksum`, by tus's names; the first one every server has to know.
pub const OF_UPLOADS: [&str; 3] = ["sha1", "sha256", "sha512"];

impl Checksum {
    /// Reads `Upload-Checksum`: an algorithm's name, a space, and the sum in base64.
    pub fn of_upload(text: &str) -> Option<Self> {
        let (algorithm, value) = text.split_once(' ')?;
        let algorithm = match algorithm {
            "sha1" => MessageDigest::sha1(),
            "sha256" => MessageDigest::sha256(),
            "sha512" => MessageDigest::sha512(),
            _ => return None,
        };
        Self::new(algorithm, value)
    }

    /// Reads `Repr-Digest` (RFC 9530): the first sum of an algorithm that is secure. The others are passed over, as the RFC says; so is a
    /// header that has none.
    pub fn of_representation(text: &str) -> Option<Self> {
        text.split(',').find_map(|one| {
            let (algorithm, value) = one.trim().split_once('=')?;
            let algorithm = match algorithm {
                "sha-256" => MessageDigest::sha256(),
                "sha-512" => MessageDigest::sha512(),
                _ => return None,
            };
            Self::new(algorithm, value.strip_prefix(':')?.strip_suffix(':')?)
        })
    }

    fn new(algorithm: MessageDigest, value: &str) -> Option<Self> {
        let value = STANDARD.decode(value).ok()?;
        (value.len() == algorithm.size()).then_some(Self { algorithm, value })
    }
}

impl Summing {
    /// Before the first byte.
    pub fn new(checksum: Checksum) -> Result<Self, ContentError> {
        let Checksum { algorithm, value: expected } = checksum;
        Ok(Self { hasher: Hasher::new(algorithm).map_err(|_| ContentError::Library)?, expected })
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.hasher.update(bytes).map_err(|_| ContentError::Library)
    }

    /// Whether that were the bytes.
    pub fn fits(mut self) -> Result<bool, ContentError> {
        Ok(*self.hasher.finish().map_err(|_| ContentError::Library)? == self.expected[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(checksum: Option<Checksum>, bytes: &[u8]) -> bool {
        let mut summing = Summing::new(checksum.unwrap()).unwrap();
        bytes.chunks(2).for_each(|chunk| summing.update(chunk).unwrap());
        summing.fits().unwrap()
    }

    #[test]
    fn a_checksum_fits_the_bytes_that_it_is_of_and_no_others() {
        // The example of the tus protocol.
        let upload = || Checksum::of_upload("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
        assert!(fits(upload(), b"hello world") && !fits(upload(), b"hello worlD") && !fits(upload(), b""));
        // The example of RFC 9530, appendix B.1.
        let whole =
            || Checksum::of_representation("md5=:AAAA:, sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
        assert!(fits(whole(), b"{\"hello\": \"world\"}\n") && !fits(whole(), b"{\"hello\": \"world\"}"));
    }

    #[test]
    fn what_is_no_checksum_is_none() {
        for text in
            ["", "sha1", "md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1 AAAA", "sha256 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "sha1 ?"]
        {
            assert!(Checksum::of_upload(text).is_none(), "{text}");
        }
        for text in ["", "sha-256=RK/0", "sha-256=::", "md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", "sha-256"] {
            assert!(Checksum::of_representation(text).is_none(), "{text}");
        }
    }
}
