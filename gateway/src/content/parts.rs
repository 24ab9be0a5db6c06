//! Large records in parts, so that nobody holds one in memory whole: each part a compact JWE of its own, on a line of its own.
//!
//! The construction is that of STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as RFC 8188 uses it, with the place of a part in
//! its authenticated header instead of its nonce: the number of the part, whether it is the last, and a tag of the content that it is
//! part of. A part that is dropped, moved, repeated or taken from another content does not open, and a content that was cut off
//! has no last part. Nonces are random: at most 4096 of them under one key, and an upload that is taken up again never repeats one.
//!
//! The tag is an HMAC under the content key, so that it also commits to the key, which AES-GCM does not: nobody can make a
//! part that opens under two keys to two texts. Each part can therefore be released as soon as it opens.
//!
//! A header has one spelling only, so that all parts but the last are equally long and a reader can go to any of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use healthchain_rules::LinkId;

use super::{ContentError, ContentKey, Hmac, IV_BYTES, TAG_BYTES, jwe_bytes, library};

/// Plain bytes of each part but the last, and of the largest record that is not in parts. It costs a transfer some copies of this
/// length in memory, and the header makes the content 0.03 % longer; a range of a record costs at most two parts too many.
pub const PART_BYTES: usize = 1 << 20;
/// Media type of a content in parts.
pub const MEDIA_TYPE: &str = "application/vnd.healthchain.parts";
/// The header's extension, which whoever opens a part must understand.
const EXTENSION: &str = "healthchain-part";
const TAG_LABEL: &[u8] = b"healthchain parts v1";
const LINE_END: u8 = b'\n';

/// What a content belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The link.
    pub link: &'a LinkId,
    /// Its version.
    pub version: u32,
}

/// One content's parts: how they are spelt, made and opened.
#[derive(Clone)]
pub struct Parts {
    key: ContentKey,
    media_type: String,
    tag: String,
}

/// Where the parts of a content lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Length of each line but the last, with its end.
    pub line: u64,
    /// Length of the record's plain bytes.
    pub record: u64,
}

impl Parts {
    /// The parts of the content at a place, with the media type of the record.
    pub fn new(key: &ContentKey, media_type: &str, place: Place<'_>) -> Result<Self, ContentError> {
        let mut tag = Hmac::new(&key.derived(TAG_LABEL)?)?;
        tag.update(format!("{}/{}", place.link, place.version).as_bytes())?;
        let tag = URL_SAFE_NO_PAD.encode(tag.finish()?);
        Ok(Self { key: key.clone(), media_type: media_type.to_owned(), tag })
    }

    /// Encrypts a part: a line with its end.
    pub fn seal(&self, number: u32, is_last: bool, plain: &[u8]) -> Result<Vec<u8>, ContentError> {
        let mut iv = [0; IV_BYTES];
        openssl::rand::rand_bytes(&mut iv).map_err(library)?;
        self.seal_with(&iv, number, is_last, plain)
    }

    fn seal_with(
        &self,
        iv: &[u8; IV_BYTES],
        number: u32,
        is_last: bool,
        plain: &[u8],
    ) -> Result<Vec<u8>, ContentError> {
        let mut line = self.key.seal_jwe(self.header(number, is_last).as_bytes(), iv, plain)?;
        line.push(LINE_END);
        Ok(line)
    }

    /// Decrypts a line, which must be the part of this number and kind.
    pub fn open(&self, number: u32, is_last: bool, line: &[u8]) -> Result<Vec<u8>, ContentError> {
        let jwe = line.strip_suffix(&[LINE_END]).ok_or(ContentError::NotAJwe)?;
        let expected = self.header(number, is_last);
        let plain = self.key.open_jwe(jwe, |header| match header == expected.as_bytes() {
            true => Ok(()),
            false => Err(ContentError::DoesNotOpen),
        })?;
        let is_full = plain.len() == PART_BYTES;
        let fits = is_full || (is_last && !plain.is_empty() && plain.len() < PART_BYTES);
        if fits { Ok(plain) } else { Err(ContentError::DoesNotOpen) }
    }

    /// Whether a content that begins like this is in parts.
    pub fn begin(&self, content: &[u8]) -> bool {
        content.starts_with(URL_SAFE_NO_PAD.encode(self.header(0, false)).as_bytes())
    }

    /// Whether some part of this content begins like this.
    pub fn looks_like(&self, line: &[u8]) -> bool {
        let header = self.header(0, false);
        let common = header.find(r#""number""#).unwrap_or(0) / 3 * 3;
        line.starts_with(URL_SAFE_NO_PAD.encode(&header[..common]).as_bytes())
    }

    /// Length of the beginning that [`Parts::begin`] looks at.
    pub fn beginning(&self) -> usize {
        super::base64_bytes(self.header(0, false).len())
    }

    /// Where the parts of a content of this length lie; none when there is no such content.
    pub fn layout(&self, content: u64) -> Option<Layout> {
        let line = jwe_bytes(self.header(0, false).len(), PART_BYTES) as u64 + 1;
        let full = content.checked_sub(1)? / line;
        // What the last line has besides its ciphertext.
        let rest = (jwe_bytes(self.header(0, true).len(), 0) + 1) as u64;
        let encrypted = (content - full * line).checked_sub(rest)?;
        let last = encrypted / 4 * 3 + [0, 0, 1, 2][(encrypted % 4) as usize];
        let is_one = full > 0 && (1..=PART_BYTES as u64).contains(&last) && full < u64::from(u32::MAX);
        is_one.then_some(Layout { line, record: full * PART_BYTES as u64 + last })
    }

    /// Its one spelling. The number is in eight hexadecimal digits, so that all headers but the last one's are equally long.
    fn header(&self, number: u32, is_last: bool) -> String {
        let cty = serde_json::Value::from(self.media_type.as_str());
        format!(
            r#"{{"alg":"dir","enc":"A256GCM","cty":{cty},"crit":["{EXTENSION}"],"{EXTENSION}":{{"of":"{}","number":"{number:08x}","last":{is_last}}}}}"#,
            self.tag,
        )
    }
}

impl Layout {
    /// Number of the last part.
    pub fn last(&self) -> u32 {
        // The number of parts was checked to fit.
        ((self.record - 1) / PART_BYTES as u64) as u32
    }
}

const _: () = assert!(TAG_BYTES == 16, "the layout counts with the tag in whole base64 digits of its own");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> ContentKey {
        ContentKey(std::array::from_fn(|index| index as u8))
    }

    fn parts_of(link: &str, version: u32) -> Parts {
        Parts::new(&key(), "application/dicom", Place { link: &link.parse().unwrap(), version }).unwrap()
    }

    fn parts() -> Parts {
        parts_of("scan-1", 1)
    }

    /// A record of a full part and a byte.
    fn content(parts: &Parts) -> [Vec<u8>; 2] {
        [parts.seal(0, false, &vec![7; PART_BYTES]).unwrap(), parts.seal(1, true, b"!").unwrap()]
    }

    #[test]
    fn a_part_is_a_compact_jwe_whose_header_has_one_spelling() {
        let line = parts().seal_with(&[7; IV_BYTES], 42, true, b"plain").unwrap();
        let line = String::from_utf8(line).unwrap();
        let header = String::from_utf8(URL_SAFE_NO_PAD.decode(line.split_once('.').unwrap().0).unwrap()).unwrap();
        insta::assert_snapshot!(format!("{header}\n{line}"));
    }

    #[test]
    fn parts_open_in_their_places_and_nowhere_else() {
        let parts = parts();
        let [first, last] = content(&parts);
        assert_eq!(parts.open(0, false, &first).unwrap(), vec![7; PART_BYTES]);
        assert_eq!(parts.open(1, true, &last).unwrap(), b"!");
        for (number, is_last, line) in [(1, false, &first), (0, true, &first), (1, false, &last), (2, true, &last)] {
            assert_eq!(parts.open(number, is_last, line), Err(ContentError::DoesNotOpen), "{number} {is_last}");
        }
    }

    #[test]
    fn a_part_of_another_content_does_not_open_even_under_the_same_key() {
        let last = &content(&parts())[1];
        for (link, version) in [("scan-2", 1), ("scan-1", 2), ("scan-1", 11)] {
            assert_eq!(parts_of(link, version).open(1, true, last), Err(ContentError::DoesNotOpen), "{link} {version}");
        }
    }

    #[test]
    fn a_part_alone_is_no_record() {
        let parts = parts();
        let whole = parts.seal(0, true, b"a record in one part").unwrap();
        assert_eq!(key().decrypt(&whole), Err(ContentError::NotAJwe));
        assert_eq!(key().decrypt(whole.strip_suffix(b"\n").unwrap()), Err(ContentError::NotAJwe));
    }

    #[test]
    fn one_changed_byte_anywhere_in_a_part_is_noticed() {
        let parts = parts();
        let line = parts.seal(3, true, b"plain").unwrap();
        for index in 0..line.len() {
            let mut changed = line.clone();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert!(parts.open(3, true, &changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_part_that_is_too_short_too_long_or_empty_does_not_open() {
        let parts = parts();
        for (is_last, length) in [(false, PART_BYTES - 1), (false, PART_BYTES + 1), (true, PART_BYTES + 1), (true, 0)] {
            let line = parts.seal(1, is_last, &vec![0; length]).unwrap();
            assert_eq!(parts.open(1, is_last, &line), Err(ContentError::DoesNotOpen), "{is_last} {length}");
        }
    }

    #[test]
    fn the_layout_follows_from_the_contents_length_alone() {
        let parts = parts();
        let full = parts.seal(0, false, &vec![0; PART_BYTES]).unwrap().len() as u64;
        for last in [1, 2, 3, 4, 1000, PART_BYTES - 2, PART_BYTES - 1, PART_BYTES] {
            let line = parts.seal(3, true, &vec![0; last]).unwrap().len() as u64;
            let layout = parts.layout(3 * full + line).unwrap();
            assert_eq!(layout, Layout { line: full, record: (3 * PART_BYTES + last) as u64 }, "{last}");
            assert_eq!(layout.last(), 3);
        }
        for nothing in [0, 1, 100, full, full + 1] {
            assert_eq!(parts.layout(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_content_in_parts_is_known_by_its_beginning() {
        let parts = parts();
        let [first, last] = content(&parts);
        assert!(parts.begin(&first) && !parts.begin(&last));
        assert!(!parts.begin(&key().encrypt("application/dicom", b"whole").unwrap()));
        assert!(parts.looks_like(&first) && parts.looks_like(&last) && !parts.looks_like(b"eyJhbGciOiJkaXIi"));
        assert!(!parts.begin(&first[..parts.beginning() - 1]) && parts.begin(&first[..parts.beginning()]));
    }

    proptest! {
        #[test]
        fn no_line_panics(noise: Vec<u8>, number: u32, length: u64) {
            prop_assert!(parts().open(number, true, &noise).is_err());
            if let Some(layout) = parts().layout(length) {
                prop_assert!(layout.record < length && u64::from(layout.last()) * layout.line < length);
            }
        }
    }
}
