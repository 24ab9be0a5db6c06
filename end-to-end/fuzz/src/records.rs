//! What a publisher's gateway and the ledger hand a gateway: contents, envelopes, what is in them.

use std::sync::LazyLock;

use healthchain_gateway::content::parts::{Parts, Place};
use healthchain_gateway::content::{ContentKey, Payload};
use healthchain_gateway::sealing::software::SoftwareKey;
use healthchain_gateway::sealing::{DecryptionKey as _, EnvelopeContext, seal};
use healthchain_gateway::use_cases::read_record::Wanted;

use crate::ledger::PERSON;

const RECORD: &[u8] = br#"{"resourceType":"Patient"}"#;

static KEY: LazyLock<ContentKey> = LazyLock::new(|| ContentKey::generate().expect("there is randomness"));
static RECIPIENT: LazyLock<SoftwareKey> =
    LazyLock::new(|| SoftwareKey::from_pem(PERSON.key_pem()).expect("the key is a P-256 key"));

static PARTS: LazyLock<Parts> = LazyLock::new(|| {
    let link = "l".parse().expect("it is a link id");
    Parts::new(&KEY, "application/dicom", Place { link: &link, version: 1 }).expect("parts are prepared")
});
/// Number of the one part.
const PART: u32 = 7;

fn context() -> EnvelopeContext<'static> {
    EnvelopeContext { link: "l", version: 1, category: "summary", recipient_key_hash: RECIPIENT.key_hash() }
}

/// Nobody without the key makes a content that opens.
pub(crate) fn content(data: &[u8]) {
    if let Ok(record) = KEY.decrypt(data) {
        assert_eq!(record, RECORD, "a content was forged");
    }
}

pub(crate) fn content_seeds() -> Vec<Vec<u8>> {
    vec![KEY.encrypt("application/fhir+json", RECORD).expect("a record is encrypted")]
}

pub(crate) fn payload(data: &[u8]) {
    if let Ok(payload) = Payload::from_bytes(data) {
        assert_eq!(Payload::from_bytes(&payload.to_bytes()), Ok(payload), "it is not read as it was written");
    }
}

pub(crate) fn payload_seeds() -> Vec<Vec<u8>> {
    let payload = Payload { url: "https://h/v1/contents/l/1".into(), key: KEY.clone(), record: Some("n".into()) };
    vec![payload.to_bytes().to_vec(), payload.for_others().to_bytes().to_vec()]
}

/// An envelope that is changed does not open. (Anybody may seal a new one; chance does not.)
pub(crate) fn envelope(data: &[u8]) {
    if let Ok(payload) = RECIPIENT.unseal(&context(), data) {
        assert_eq!(payload.as_slice(), b"payload", "an envelope was forged");
    }
}

pub(crate) fn envelope_seeds() -> Vec<Vec<u8>> {
    vec![seal(RECIPIENT.public_key(), &context(), b"payload").expect("the recipient's key is sealed to")]
}

/// Nobody without the key makes a part, and the one that there is opens in its place only.
pub(crate) fn part(data: &[u8]) {
    if let Ok(plain) = PARTS.open(PART, true, data) {
        assert_eq!(plain, RECORD, "a part was forged");
    }
    assert!(PARTS.open(PART + 1, true, data).is_err() && PARTS.open(PART, false, data).is_err(), "a part was moved");
    if let Some(layout) = PARTS.layout(data.len() as u64) {
        assert!(layout.record < data.len() as u64);
    }
}

pub(crate) fn part_seeds() -> Vec<Vec<u8>> {
    vec![PARTS.seal(PART, true, RECORD).expect("a part is encrypted")]
}

/// A range that is understood is written as RFC 9110 has it, and lies within the record.
pub(crate) fn range(data: &[u8]) {
    const LENGTH: u64 = 1000;
    let header = String::from_utf8_lossy(data);
    if let Some(wanted) = Wanted::parse(&header) {
        let numbers = header.strip_prefix("bytes=").and_then(|numbers| numbers.split_once('-'));
        let (first, last) = numbers.expect("it is a range of bytes");
        assert!(first.bytes().chain(last.bytes()).all(|letter| letter.is_ascii_digit()), "{header}");
        let range = wanted.of(LENGTH).unwrap_or(0..1);
        assert!(range.start < range.end && range.end <= LENGTH, "{header}: {range:?}");
    }
}

pub(crate) fn range_seeds() -> Vec<Vec<u8>> {
    ["bytes=0-499", "bytes=-1", "bytes=18446744073709551615-", "bytes=1-2,4-5"].map(|text| text.into()).to_vec()
}
