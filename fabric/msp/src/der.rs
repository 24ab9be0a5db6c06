//! The little DER that openssl and x509-parser do not write.

/// The certificate (or revocation list) `der` with `signature` in the place of its own.
pub(crate) fn with_signature(der: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (content, _) = split(der).map(|(header, rest)| (&rest[..header.length], header))?;
    let (signed, rest) = element(content)?;
    let (algorithm, _) = element(rest)?;
    Some(sequence(&[signed, algorithm, &bit_string(signature)]))
}

/// SEQUENCE of elements already encoded.
pub(crate) fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    tagged(0x30, &elements.concat())
}

/// BIT STRING of whole bytes.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

/// A tag with a definite length and its content.
pub(crate) fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut encoded = vec![tag];
    match content.len() {
        short @ 0..=0x7f => encoded.push(short as u8),
        long => {
            let bytes = long.to_be_bytes();
            let bytes = &bytes[long.leading_zeros() as usize / 8..];
            encoded.push(0x80 | bytes.len() as u8);
            encoded.extend_from_slice(bytes);
        }
    }
    encoded.extend_from_slice(content);
    encoded
}

struct Header {
    size: usize,
    length: usize,
}

/// The header of the first element, and the bytes after that header.
fn split(der: &[u8]) -> Option<(Header, &[u8])> {
    let first = *der.get(1)?;
    let (size, length) = if first < 0x80 {
        (2, usize::from(first))
    } else {
        let count = usize::from(first & 0x7f);
        let bytes = der.get(2..2 + count)?;
        (2 + count, bytes.iter().try_fold(0usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?)
    };
    let rest = der.get(size..)?;
    (length <= rest.len()).then_some((Header { size, length }, rest))
}

/// The first element with its header, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, _) = split(der)?;
    Some(der.split_at(header.size + header.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        assert_eq!(tagged(4, &[7; 3]), [4, 3, 7, 7, 7]);
        assert_eq!(tagged(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tagged(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn the_signature_alone_is_replaced() {
        let certificate = sequence(&[&sequence(&[&[2, 1, 5]]), &sequence(&[]), &bit_string(&[1, 2, 3])]);
        let replaced = with_signature(&certificate, &[9]).unwrap();
        assert_eq!(replaced, sequence(&[&sequence(&[&[2, 1, 5]]), &sequence(&[]), &bit_string(&[9])]));
    }

    #[test]
    fn cut_off_bytes_are_refused() {
        let certificate = sequence(&[&sequence(&[&[2, 1, 5]]), &sequence(&[]), &bit_string(&[1, 2, 3])]);
        for length in 0..4 {
            assert_eq!(with_signature(&certificate[..length], &[9]), None);
        }
    }
}
