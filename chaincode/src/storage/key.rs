//! Every composite key of the ledger, in one list. Attributes are parsed values: none holds a character that a key may not.
//!
//! | object type | attributes | value |
//! |---|---|---|
//! | `organisation` | MSP id | organisation |
//! | `member` | id | member |
//! | `key-holder` | MSP id, hash of a signing key | whose it is in that organisation |
//! | `link` | id | link with its current version |
//! | `link-of-patient` | patient, category, time descending, link | what a list shows of an active link |
//! | `envelope` | link, version (10 digits), hash of the recipient's key | envelope |
//! | `consent` | patient, id | consent |
//! | `consent-book` | patient | the consents that stand |
//! | `opening` | transaction | opening |
//! | `audit-of-patient` | patient, time descending, transaction | audit entry |
//! | `audit-of-member` | member, time descending, transaction | audit entry |

use fabric_contract::composite_key;
use healthchain_rules::{Category, ConsentId, KeyHash, LedgerTime, LinkId, MemberId, MspId, TransactionId};

pub(super) const ORGANISATION: &str = "organisation";
pub(super) const LINK_OF_PATIENT: &str = "link-of-patient";
pub(super) const AUDIT_OF_PATIENT: &str = "audit-of-patient";
pub(super) const AUDIT_OF_MEMBER: &str = "audit-of-member";

pub(super) fn organisation(msp_id: &MspId) -> String {
    key(ORGANISATION, &[msp_id.as_str()])
}

pub(super) fn member(id: &MemberId) -> String {
    key("member", &[id.as_str()])
}

pub(super) fn key_holder(msp_id: &MspId, key_hash: &KeyHash) -> String {
    key("key-holder", &[msp_id.as_str(), key_hash.as_str()])
}

pub(super) fn link(id: &LinkId) -> String {
    key("link", &[id.as_str()])
}

pub(super) fn link_of_patient(patient: &MemberId, category: Category, published: LedgerTime, link: &LinkId) -> String {
    key(LINK_OF_PATIENT, &[patient.as_str(), category.as_str(), &descending(published), link.as_str()])
}

pub(super) fn envelope(link: &LinkId, version: u32, recipient_key_hash: &KeyHash) -> String {
    key("envelope", &[link.as_str(), &format!("{version:010}"), recipient_key_hash.as_str()])
}

pub(super) fn consent(patient: &MemberId, id: &ConsentId) -> String {
    key("consent", &[patient.as_str(), id.as_str()])
}

pub(super) fn consent_book(patient: &MemberId) -> String {
    key("consent-book", &[patient.as_str()])
}

pub(super) fn opening(transaction: &TransactionId) -> String {
    key("opening", &[transaction.as_str()])
}

pub(super) fn audit(of: &'static str, member: &MemberId, time: LedgerTime, transaction: &TransactionId) -> String {
    key(of, &[member.as_str(), &descending(time), transaction.as_str()])
}

/// A time written so that later ones sort first, 20 digits.
fn descending(time: LedgerTime) -> String {
    format!("{:020}", u64::MAX - time.milliseconds())
}

/// The time that [`descending`] wrote.
pub(super) fn ascending(text: &str) -> Option<LedgerTime> {
    text.parse::<u64>().ok().map(|inverted| LedgerTime::from_milliseconds(u64::MAX - inverted))
}

fn key(object_type: &str, attributes: &[&str]) -> String {
    composite_key(object_type, attributes)
        .expect("object types are not empty, and parsed attributes hold no reserved character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_is_known_under_each_organisation_apart() {
        let key_hash: KeyHash = "ab".repeat(32).parse().unwrap();
        let of = |msp_id: &str| key_holder(&msp_id.parse().unwrap(), &key_hash);
        assert_ne!(of("HospitalMSP"), of("ClinicMSP"));
    }
}
