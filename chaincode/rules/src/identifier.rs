//! Texts that name things or carry key material: each is checked once, when it is made, and never again.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limit;

/// A text that is not what it should be; says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {form}")]
pub struct Malformed {
    what: &'static str,
    form: &'static str,
}

impl Malformed {
    /// `what` must be `form`.
    pub const fn new(what: &'static str, form: &'static str) -> Self {
        Self { what, form }
    }
}

macro_rules! parsed_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $form:literal, $pattern:literal, $is_well_formed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;

            fn try_from(text: String) -> Result<Self, Malformed> {
                let is_well_formed: fn(&str) -> bool = $is_well_formed;
                if is_well_formed(&text) { Ok(Self(text)) } else { Err(Malformed::new($what, $form)) }
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

/// An id that a caller chooses, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
macro_rules! parsed_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        parsed_text!($(#[$doc])* $name, $what, "1 to 64 characters of a-z, 0-9 and -", "^[a-z0-9-]{1,64}$", is_id);
    };
}

parsed_id!(
    /// A member's pseudonym on the ledger, chosen at registration: 1 to 64 of a-z, 0-9 and `-`. Never a name or a record number.
    MemberId, "a member id"
);
parsed_id!(
    /// A link's id, chosen by the publisher, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    LinkId, "a link id"
);
parsed_id!(
    /// A consent's id, chosen by the patient among the own consents, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    ConsentId, "a consent id"
);
parsed_id!(
    /// A governance proposal's id, chosen by the proposer, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    ProposalId, "a proposal id"
);
parsed_id!(
    /// A permission group's id, chosen by whoever proposes it, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    GroupId, "a group id"
);
parsed_id!(
    /// A delegation's id, chosen by the patient among the own delegations, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    DelegationId, "a delegation id"
);
parsed_id!(
    /// The id of an attempt to recover a key, chosen by whoever begins it, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    RecoveryId, "a recovery id"
);
parsed_id!(
    /// An amendment's id, chosen by the proposer, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    AmendmentId, "an amendment id"
);
parsed_id!(
    /// An access request's id, chosen by the requester, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    RequestId, "a request id"
);
parsed_id!(
    /// A standing rule's id, chosen by the patient among the own rules, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    StandingRuleId, "a standing rule id"
);
parsed_id!(
    /// A subscription plan's id, chosen by the maintainer, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    PlanId, "a plan id"
);
parsed_id!(
    /// A subscription order's id, chosen by whoever pays, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    OrderId, "an order id"
);
parsed_id!(
    /// A notarization's id, chosen by the notary, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    NotarizationId, "a notarization id"
);
parsed_id!(
    /// The id of a measure of population statistics, chosen by the maintainer, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    MeasureId, "a measure id"
);
parsed_id!(
    /// The id of a release of population statistics, chosen by the analyst, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    ReleaseId, "a release id"
);
parsed_id!(
    /// A reward program's id, chosen by the sponsor, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    ProgramId, "a program id"
);
parsed_id!(
    /// The id of a redemption of points, chosen by the patient, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    RedemptionId, "a redemption id"
);
parsed_id!(
    /// The id of a hold on an accounting of disclosures, chosen by the privacy officer, so that a retry is recognised: 1 to 64 of a-z, 0-9 and `-`.
    HoldId, "a hold id"
);
parsed_text!(
    /// A code of a catalogue, such as what a measure counts or a program rewards: 1 to 64 of a-z, 0-9 and `-`.
    Code, "a code", "1 to 64 characters of a-z, 0-9 and -", "^[a-z0-9-]{1,64}$", is_id
);
parsed_text!(
    /// A class of the Anatomical Therapeutic Chemical classification, of any of its five levels, such as `J01` or `N02A`.
    AtcClass, "a drug class", "a code of the ATC classification, such as J01 or N02A",
    r"^[ABCDGHJLMNPRSV]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?$", is_atc_class
);
parsed_text!(
    /// A region, by country and subdivision: 2 to 16 of A-Z, 0-9 and `-`, such as `US-MA` (ISO 3166-2).
    RegionCode, "a region", "2 to 16 characters of A-Z, 0-9 and -, such as US-MA",
    r"^[A-Z0-9-]{2,16}$",
    |text| (2..=limit::REGION_CHARACTERS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-')
);
parsed_text!(
    /// An organisation, named by its Fabric membership service provider: 1 to 64 of letters, digits, `-`, `_` and `.`.
    MspId, "an MSP id", "1 to 64 letters, digits, hyphens, underscores and full stops",
    r"^[A-Za-z0-9._-]{1,64}$",
    |text| has_length(text, limit::ID_CHARACTERS) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
);
parsed_text!(
    /// A contract function, `Contract:function`: letters and digits around one colon, at most 64 characters.
    FunctionName, "a function's name", "Contract:function, letters and digits around one colon, at most 64 characters",
    r"^(?=.{3,64}$)[A-Za-z0-9]+:[A-Za-z0-9]+$", is_function_name
);
parsed_text!(
    /// SHA-256 of a public key's SPKI DER, 64 lower-case hexadecimal digits.
    KeyHash, "a key hash", "64 lower-case hexadecimal digits (SHA-256 of the key's SPKI DER)",
    r"^[0-9a-f]{64}$", is_sha256
);
parsed_text!(
    /// SHA-256 of the encrypted content, 64 lower-case hexadecimal digits.
    ContentHash, "a content hash", "64 lower-case hexadecimal digits (SHA-256 of the encrypted content)",
    r"^[0-9a-f]{64}$", is_sha256
);
parsed_text!(
    /// A keyed commitment (HMAC-SHA-256) to the plain content, 64 lower-case hexadecimal digits.
    Commitment, "a commitment", "64 lower-case hexadecimal digits",
    r"^[0-9a-f]{64}$", is_sha256
);
parsed_text!(
    /// SHA-256 of a value as it lies on the ledger, 64 lower-case hexadecimal digits.
    ValueHash, "a value's hash", "64 lower-case hexadecimal digits (SHA-256 of the value)",
    r"^[0-9a-f]{64}$", is_sha256
);
parsed_text!(
    /// Fabric's transaction id, 64 lower-case hexadecimal digits.
    TransactionId, "a transaction id", "64 lower-case hexadecimal digits",
    r"^[0-9a-f]{64}$", is_sha256
);
parsed_text!(
    /// What a notary attests to have seen: SHA-256 of a document, or a keyed commitment, 64 lower-case hexadecimal digits.
    NotarizedHash, "a notarized hash", "64 lower-case hexadecimal digits",
    r"^[0-9a-f]{64}$", is_sha256
);
parsed_text!(
    /// A currency (ISO 4217), three letters A-Z.
    Currency, "a currency", "three letters A-Z (ISO 4217)",
    r"^[A-Z]{3}$", |text| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
);
parsed_text!(
    /// A P-256 public key: the 91 bytes of its uncompressed SPKI DER (RFC 5480) in base64. That the point lies on the curve is for
    /// the chaincode to check, which has the arithmetic.
    PublicKey, "a public key", "the base64 of a P-256 key's SPKI DER with an uncompressed point (RFC 5480)",
    r"^MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE[A-Za-z0-9+/]{86}==$", is_p256_spki
);
parsed_text!(
    /// A sealed payload: base64 of HPKE's encapsulated key and ciphertext, at most 2,048 characters.
    Sealed, "a sealed payload", "at most 2048 characters of padded base64",
    r"^(?=.{4,2048}$)([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$", |text| has_length(text, limit::SEALED_CHARACTERS) && is_base64(text)
);
parsed_text!(
    /// Why somebody did something, 1 to 200 characters without control characters. It stays on the ledger for ever: write no name,
    /// date of birth, record number or finding in it.
    Reason, "a reason", "1 to 200 characters without control characters",
    r"^(?=.*\S)[^\u0000-\u001f\u007f-\u009f]{1,200}$",
    |text| !text.trim().is_empty() && text.chars().count() <= limit::REASON_CHARACTERS && !text.chars().any(char::is_control)
);
parsed_text!(
    /// Where an organisation's gateway is reached, `https://host[:port]`, at most 256 characters, no path.
    GatewayUrl, "a gateway address", "https://host or https://host:port, at most 256 characters",
    r"^(?=.{9,256}$)https://[A-Za-z0-9.-]+(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$", is_gateway_url
);
parsed_text!(
    /// A media type (RFC 6838) without blanks, such as `application/fhir+json`, at most 128 characters.
    MediaType, "a media type", "type/subtype with parameters and no blanks, at most 128 characters (RFC 6838)",
    r"^(?=.{3,128}$)[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;[A-Za-z0-9!#$&^_.+-]+=[A-Za-z0-9!#$&^_.+-]+)*$", is_media_type
);

/// The id of the consent that a standing rule makes: the request's.
impl From<&RequestId> for ConsentId {
    fn from(request: &RequestId) -> Self {
        Self(request.0.clone())
    }
}

impl KeyHash {
    /// The hash of a key, from its 32 bytes.
    pub fn from_bytes(hash: &[u8; 32]) -> Self {
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl AtcClass {
    /// Whether another class is this one or within it.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

fn has_length(text: &str, at_most: usize) -> bool {
    (1..=at_most).contains(&text.len())
}

fn is_id(text: &str) -> bool {
    has_length(text, limit::ID_CHARACTERS)
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_function_name(text: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    has_length(text, limit::ID_CHARACTERS)
        && text.split_once(':').is_some_and(|(contract, function)| is_name(contract) && is_name(function))
}

/// Five levels: a main group's letter, two digits, a letter, a letter, two digits.
fn is_atc_class(text: &str) -> bool {
    let is_level = |(place, byte): (usize, u8)| match place {
        0 => b"ABCDGHJLMNPRSV".contains(&byte),
        1 | 2 | 5 | 6 => byte.is_ascii_digit(),
        _ => byte.is_ascii_uppercase(),
    };
    matches!(text.len(), 1 | 3 | 4 | 5 | 7) && text.bytes().enumerate().all(is_level)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_base64(text: &str) -> bool {
    let unpadded = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    text.len().is_multiple_of(4)
        && unpadded.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// The first 27 of the 91 bytes are the same for every uncompressed P-256 key, and 27 bytes are 36 characters exactly.
fn is_p256_spki(text: &str) -> bool {
    text.len() == 124
        && text.starts_with("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE")
        && text.ends_with("==")
        && is_base64(text)
}

fn is_gateway_url(text: &str) -> bool {
    let Some(authority) = text.strip_prefix("https://") else { return false };
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "443"));
    text.len() <= limit::URL_CHARACTERS
        && !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_media_type(text: &str) -> bool {
    let (kind, subtype) = text.split_once('/').unwrap_or_default();
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let mut parameters = subtype.split(';');
    has_length(text, limit::MEDIA_TYPE_CHARACTERS)
        && is_token(kind)
        && parameters.next().is_some_and(is_token)
        && parameters.all(|one| one.split_once('=').is_some_and(|(name, value)| is_token(name) && is_token(value)))
}
