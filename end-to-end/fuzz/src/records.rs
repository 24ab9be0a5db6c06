//! What a publisher's gateway and the ledger hand a gateway: contents, envelopes, what is in them.

use std::sync::LazyLock;

use healthchain_gateway::content::{ContentKey, Payload};
use healthchain_gateway::sealing::software::SoftwareKey;
use healthchain_gateway::sealing::{DecryptionKey as _, EnvelopeContext, seal};

use crate::ledger::PERSON;

const RECORD: &[u8] = br#"{"resourceType":"Patient"}"#;

static KEY: LazyLock<ContentKey> = LazyLock::new(|| ContentKey::generate().expect("there is randomness"));
static RECIPIENT: LazyLock<SoftwareKey> =
    LazyLock::new(|| SoftwareKey::from_pem(PERSON.key_pem()).expect("the key is a P-256 key"));

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
