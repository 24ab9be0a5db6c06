//! Every composite key of the ledger, in one list: object type, attributes, and what lies there. Attributes are parsed values:
//! none holds a character that a key may not.

use fabric_contract::composite_key;
use healthchain_rules::{
    AmendmentId, CalendarPeriod, Category, ConsentId, GroupId, HoldId, KeyHash, LedgerTime, LinkId, MeasureId,
    MemberId, Month, MspId, NotarizationId, NotarizedHash, OrderId, PlanId, ProgramId, ProposalId, RedemptionId,
    ReleaseId, RequestId, TransactionId,
};

macro_rules! keys {
    ($(
        $(#[doc = $value:literal])+
        $constant:ident $object_type:literal $name:ident($($argument:ident: $kind:ty),*) [$($attribute:expr),*]
    )+) => {
        $(
            #[allow(dead_code)] // Asked for only by what reads all keys of the type.
            pub(super) const $constant: &str = $object_type;

            $(#[doc = $value])+
            pub(super) fn $name($($argument: $kind),*) -> String {
                key($object_type, &[$($attribute.as_ref()),*])
            }
        )+

        #[cfg(test)]
        const OBJECT_TYPES: &[&str] = &[$($object_type),+];
    };
}

keys! {
    // Organisations.
    /// An organisation.
    ORGANISATION "organisation" organisation(msp_id: &MspId) [msp_id]
    /// Who keeps copies of what an organisation publishes.
    CUSTODIANS "custodians" custodians(organisation: &MspId) [organisation]
    // Governance and groups.
    /// A proposal with its votes.
    PROPOSAL "proposal" proposal(id: &ProposalId) [id]
    /// A proposal's id in the list of proposals.
    PROPOSAL_BY_TIME "proposal-by-time" proposal_by_time(made: LedgerTime, id: &ProposalId) [descending(made), id]
    /// A permission group.
    GROUP "group" group(id: &GroupId) [id]
    /// The channel's settings.
    SETTINGS "settings" settings() []
    // Members.
    /// A member.
    MEMBER "member" member(id: &MemberId) [id]
    /// Whose a signing key is in an organisation.
    KEY_HOLDER "key-holder" key_holder(msp_id: &MspId, key_hash: &KeyHash) [msp_id, key_hash]
    /// Who vouched for a member's identity.
    ATTESTATION "attestation" attestation(member: &MemberId, attester: &MemberId) [member, attester]
    // Delegations and recovery.
    /// What a patient lets a guardian do.
    DELEGATION "delegation" delegation(patient: &MemberId, guardian: &MemberId) [patient, guardian]
    /// The patients who let a guardian act, now or once.
    WARD "ward" ward(guardian: &MemberId, patient: &MemberId) [guardian, patient]
    /// Whom a patient named to replace a lost key.
    RECOVERY_PLAN "recovery-plan" recovery_plan(patient: &MemberId) [patient]
    /// A patient's latest recovery.
    RECOVERY "recovery" recovery(patient: &MemberId) [patient]
    // Agents.
    /// What an agent may do.
    CHARTER "charter" charter(agent: &MemberId) [agent]
    /// What an agent used up of a day's budget.
    AGENT_DAY "agent-day" agent_day(agent: &MemberId, at: LedgerTime) [agent, day(at)]
    // Links, envelopes and openings.
    /// A link with its current version.
    LINK "link" link(id: &LinkId) [id]
    /// What a list shows of an active link.
    LINK_OF_PATIENT "link-of-patient" link_of_patient(
        patient: &MemberId, category: Category, published: LedgerTime, link: &LinkId
    ) [patient, category.as_str(), descending(published), link]
    /// A former version of a link.
    LINK_VERSION "link-version" link_version(link: &LinkId, number: u32) [link, latest_first(number)]
    /// What was destroyed when a link was erased.
    ERASURE_RECEIPT "erasure-receipt" erasure_receipt(link: &LinkId) [link]
    /// An envelope for one key.
    ENVELOPE "envelope" envelope(link: &LinkId, version: u32, recipient_key_hash: &KeyHash)
        [link, ordered(version), recipient_key_hash]
    /// An opening.
    OPENING "opening" opening(transaction: &TransactionId) [transaction]
    /// What an opening's decision rested on.
    EVIDENCE "evidence" evidence(opening: &TransactionId) [opening]
    // Amendments.
    /// An amendment.
    AMENDMENT "amendment" amendment(id: &AmendmentId) [id]
    /// The id of an amendment of a link.
    AMENDMENT_OF_LINK "amendment-of-link" amendment_of_link(link: &LinkId, time: LedgerTime, amendment: &AmendmentId)
        [link, descending(time), amendment]
    /// A link's amendments that may still be open.
    OPEN_AMENDMENTS "open-amendments" open_amendments(link: &LinkId) [link]
    /// The envelopes that wait for an amendment's activation.
    AMENDMENT_ENVELOPES "amendment-envelopes" amendment_envelopes(amendment: &AmendmentId) [amendment]
    // Emergencies.
    /// An emergency access.
    EMERGENCY "emergency" emergency(id: &TransactionId) [id]
    /// A clinician's emergency accesses that wait for their reviews.
    EMERGENCY_DOCKET "emergency-docket" emergency_docket(clinician: &MemberId) [clinician]
    /// The id of an emergency access that waits for its review.
    EMERGENCY_DUE "emergency-due" emergency_due(due: LedgerTime, id: &TransactionId) [chronological(due), id]
    // Consents.
    /// A consent.
    CONSENT "consent" consent(patient: &MemberId, id: &ConsentId) [patient, id]
    /// A patient's consents that stand.
    CONSENT_BOOK "consent-book" consent_book(patient: &MemberId) [patient]
    // Access requests.
    /// An access request.
    ACCESS_REQUEST "access-request" access_request(id: &RequestId) [id]
    /// The id of a request to a patient.
    REQUEST_OF_PATIENT "request-of-patient" request_of_patient(patient: &MemberId, asked: LedgerTime, id: &RequestId)
        [patient, descending(asked), id]
    /// The id of a member's request.
    REQUEST_OF_REQUESTER "request-of-requester" request_of_requester(
        requester: &MemberId, asked: LedgerTime, id: &RequestId
    ) [requester, descending(asked), id]
    /// An organisation's requests to a patient that wait.
    OPEN_REQUESTS "open-requests" open_requests(patient: &MemberId, organisation: &MspId) [patient, organisation]
    /// A patient's standing rules.
    STANDING_RULES "standing-rules" standing_rules(patient: &MemberId) [patient]
    // Subscriptions.
    /// A plan.
    PLAN "plan" plan(id: &PlanId) [id]
    /// A patient's subscription.
    SUBSCRIPTION "subscription" subscription(patient: &MemberId) [patient]
    /// A patient of an organisation whose subscription is paid until then.
    SUBSCRIPTION_END "subscription-end" subscription_end(
        organisation: &MspId, until: LedgerTime, patient: &MemberId
    ) [organisation, chronological(until), patient]
    /// An order.
    ORDER "order" order(patient: &MemberId, id: &OrderId) [patient, id]
    /// A charge for a patient.
    CHARGE_OF_PATIENT "charge-of-patient" charge_of_patient(
        patient: &MemberId, time: LedgerTime, transaction: &TransactionId
    ) [patient, descending(time), transaction]
    /// A charge that an organisation pays.
    CHARGE_OF_ORGANISATION "charge-of-organisation" charge_of_organisation(
        payer: &MspId, time: LedgerTime, transaction: &TransactionId
    ) [payer, descending(time), transaction]
    // Notarizations.
    /// A notarization.
    NOTARIZATION "notarization" notarization(id: &NotarizationId) [id]
    /// What anybody may know of a notarization who has its hash.
    NOTARIZATION_OF_HASH "notarization-of-hash" notarization_of_hash(hash: &NotarizedHash, id: &NotarizationId)
        [hash, id]
    /// The id of one of a patient's notarizations.
    NOTARIZATION_OF_PATIENT "notarization-of-patient" notarization_of_patient(
        patient: &MemberId, time: LedgerTime, transaction: &TransactionId
    ) [patient, descending(time), transaction]
    /// The place of a notarization among those that a patient's subscription is billed for in a year, first ones first.
    NOTARIZATION_OF_YEAR "notarization-of-year" notarization_of_year(
        patient: &MemberId, year: LedgerTime, time: LedgerTime, transaction: &TransactionId
    ) [patient, ordered_time(year), ordered_time(time), transaction]
    // Statistics.
    /// A measure.
    MEASURE "measure" measure(id: &MeasureId) [id]
    /// What an organisation counted in a month.
    CONTRIBUTION "contribution" contribution(measure: &MeasureId, period: Month, organisation: &MspId)
        [measure, period.to_string(), organisation]
    /// That a month takes no contributions any more.
    CLOSED_PERIOD "closed-period" closed_period(measure: &MeasureId, period: Month) [measure, period.to_string()]
    /// A release of noisy counts.
    RELEASE "release" release(measure: &MeasureId, id: &ReleaseId) [measure, id]
    /// What a measure's releases have spent.
    EPSILON_SPENT "epsilon-spent" epsilon_spent(measure: &MeasureId) [measure]
    // Rewards.
    /// A reward program.
    PROGRAM "program" program(id: &ProgramId) [id]
    /// A patient's part in a program.
    PARTICIPATION "participation" participation(program: &ProgramId, patient: &MemberId) [program, patient]
    /// That a patient met a standard in a period.
    TARGET_ATTESTATION "target-attestation" target_attestation(
        program: &ProgramId, patient: &MemberId, period: CalendarPeriod
    ) [program, patient, period.to_string()]
    /// Points that were redeemed.
    REDEMPTION "redemption" redemption(program: &ProgramId, patient: &MemberId, id: &RedemptionId)
        [program, patient, id]
    // The audit.
    /// An audit entry on the trail of a patient's records.
    AUDIT_OF_PATIENT "audit-of-patient" audit_of_patient(
        patient: &MemberId, time: LedgerTime, transaction: &TransactionId
    ) [patient, descending(time), transaction]
    /// An audit entry on the trail of what a member did, and what was done to it.
    AUDIT_OF_MEMBER "audit-of-member" audit_of_member(
        member: &MemberId, time: LedgerTime, transaction: &TransactionId
    ) [member, descending(time), transaction]
    /// An audit entry on the trail of what an organisation did.
    AUDIT_OF_ORGANISATION "audit-of-organisation" audit_of_organisation(
        msp_id: &MspId, time: LedgerTime, transaction: &TransactionId
    ) [msp_id, descending(time), transaction]
    /// A hold on a patient's accounting, by the organisation that placed it.
    HOLD "accounting-hold" hold(msp_id: &MspId, id: &HoldId) [msp_id, id]
    /// The holds that stand on a patient's accounting.
    HOLD_BOOK "accounting-hold-book" hold_book(patient: &MemberId) [patient]
    /// A reading of the audit.
    READING "reading" reading(transaction: &TransactionId) [transaction]
}

/// A time written so that later ones sort first, 20 digits.
fn descending(time: LedgerTime) -> String {
    format!("{:020}", u64::MAX - time.milliseconds())
}

/// The time that [`descending`] wrote.
pub(super) fn ascending(text: &str) -> Option<LedgerTime> {
    text.parse::<u64>().ok().map(|inverted| LedgerTime::from_milliseconds(u64::MAX - inverted))
}

/// The day of a time (UTC), counted from 1970.
fn day(time: LedgerTime) -> String {
    format!("{:010}", time.milliseconds() / 86_400_000)
}

/// A time written so that earlier ones sort first, 20 digits.
pub(super) fn ordered_time(time: LedgerTime) -> String {
    format!("{:020}", time.milliseconds())
}

pub(super) fn chronological(time: LedgerTime) -> String {
    format!("{:020}", time.milliseconds())
}

/// The time that [`chronological`] wrote.
pub(super) fn chronological_time(text: &str) -> Option<LedgerTime> {
    text.parse().ok().map(LedgerTime::from_milliseconds)
}

/// A number written so that lower ones sort first.
fn ordered(number: u32) -> String {
    format!("{number:010}")
}

/// A number written so that higher ones sort first.
fn latest_first(number: u32) -> String {
    ordered(u32::MAX - number)
}

/// The number that [`latest_first`] wrote.
pub(super) fn number(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().map(|inverted| u32::MAX - inverted)
}

fn key(object_type: &str, attributes: &[&str]) -> String {
    composite_key(object_type, attributes)
        .expect("object types are not empty, and parsed attributes hold no reserved character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_things_share_an_object_type() {
        let different: std::collections::BTreeSet<_> = OBJECT_TYPES.iter().collect();
        assert_eq!(different.len(), OBJECT_TYPES.len());
    }

    #[test]
    fn a_signing_key_is_known_under_each_organisation_apart() {
        let key_hash: KeyHash = "ab".repeat(32).parse().unwrap();
        let of = |msp_id: &str| key_holder(&msp_id.parse().unwrap(), &key_hash);
        assert_ne!(of("HospitalMSP"), of("ClinicMSP"));
    }
}
