//! Which failure is which problem.

use healthchain_rules::{Decision, Denial, Opening};

use super::*;
use crate::callers::Unproven;
use crate::callers::signing_certificate::Unfit;
use crate::contents::ContentsError;
use crate::failure::{Failure, Lock};
use crate::ledger::LedgerFailure;
use crate::records::RecordsError;
use crate::use_cases::patient_index::IndexRefusal;
use crate::use_cases::upload::UploadRefusal;
use crate::webhooks::WebhookRefusal;

impl From<Failure> for Problem {
    /// The inside message goes to the log, never to the caller.
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        let problem = problem(failure);
        if problem.status >= 500 {
            tracing::warn!(code = %problem.code, reason = %message, "request failed");
        }
        problem
    }
}

fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Refused(refusal) => Problem::of_code(refusal.status(), refusal.code().as_str(), refusal.detail()),
        Failure::Denied(opening) => denied(&opening),
        Failure::KeyElsewhere => SIGN_YOURSELF.into(),
        Failure::NothingToSign => NOTHING_TO_SIGN.into(),
        Failure::SignatureNotAwaited => SIGNATURE_NOT_AWAITED.into(),
        Failure::Ledger(failure) => ledger(failure),
        Failure::Unintelligible(_) => LEDGER_UNINTELLIGIBLE.into(),
        Failure::IdempotencyKeyReused => IDEMPOTENCY_KEY_REUSED.into(),
        Failure::RecipientKeyUnusable(holder) => Problem::new(RECIPIENT_KEY_UNUSABLE).because(match holder {
            healthchain_rules::Holder::Organisation(msp_id) => msp_id.to_string(),
            healthchain_rules::Holder::Member(member) => member.to_string(),
        }),
        Failure::EnvelopeNotYetSealed => ENVELOPE_NOT_YET_SEALED.into(),
        Failure::EnvelopeDoesNotOpen => ENVELOPE_DOES_NOT_OPEN.into(),
        Failure::KeyUnavailable => ENCRYPTION_KEY_UNAVAILABLE.into(),
        Failure::RecordEmpty => RECORD_EMPTY.into(),
        Failure::RecordDigest => RECORD_DIGEST_MISMATCH.into(),
        Failure::RecordTooLarge(limit) => Problem::new(RECORD_TOO_LARGE).because(format_args!("at most {limit} bytes")),
        Failure::RecordBroken(reason) => Problem::new(MALFORMED_BODY).because(reason),
        Failure::Records(RecordsError::Lost) => RECORD_LOST.into(),
        Failure::Records(RecordsError::Unavailable(_)) => RECORD_STORE_UNAVAILABLE.into(),
        Failure::Index(refusal) => index(refusal).into(),
        Failure::Upload(refusal) => upload(refusal),
        Failure::Webhook(refusal) => webhook(refusal),
        Failure::State(_) => STATE_UNAVAILABLE.into(),
        Failure::Contents(error) => contents(error),
        Failure::Tampered(what) => Problem::new(RECORD_TAMPERED).because(what),
        Failure::BeyondLimit(bytes) => {
            Problem::new(RECORD_BEYOND_LIMIT).because(format_args!("{bytes} bytes of ciphertext"))
        }
        Failure::Crowded => LARGE_RECORDS_CROWDED.into(),
        Failure::RangeNotSatisfiable(length) => {
            Problem::new(RANGE_NOT_SATISFIABLE).because(format_args!("it has {length} bytes"))
        }
        Failure::Locked(lock) => locked(lock).into(),
        Failure::AfterOpening { opening, failure } => problem(*failure).of_opening(opening),
        Failure::Internal(_) => INTERNAL.into(),
    }
}

fn webhook(refusal: WebhookRefusal) -> Problem {
    match refusal {
        WebhookRefusal::Url(reason) => Problem::new(WEBHOOK_URL_REFUSED).because(reason),
        WebhookRefusal::TooMany(most) => Problem::new(TOO_MANY_WEBHOOKS).because(format_args!("at most {most}")),
        WebhookRefusal::Unknown => WEBHOOK_NOT_FOUND.into(),
        WebhookRefusal::NoSuchLetter => DEAD_LETTER_NOT_FOUND.into(),
        WebhookRefusal::NotTaken(reason) => Problem::new(WEBHOOK_NOT_TAKEN).because(reason),
    }
}

impl From<Unproven> for Problem {
    fn from(reason: Unproven) -> Self {
        let kind = match &reason {
            Unproven::TokenUnknown => TOKEN_UNKNOWN,
            Unproven::TokenExpired => TOKEN_EXPIRED,
            Unproven::TokenNotTrusted(why) => return Self::new(TOKEN_NOT_TRUSTED).because(why),
            Unproven::ProofMissing => DPOP_PROOF_MISSING,
            Unproven::CertificateMissing => TOKEN_CERTIFICATE_MISSING,
            Unproven::ProofInvalid(why) => return Self::new(DPOP_PROOF_INVALID).because(why),
            Unproven::ProofReplayed => DPOP_PROOF_REPLAYED,
            Unproven::SubjectNotMapped => SUBJECT_NOT_MAPPED,
            Unproven::NotInWallet => MEMBER_NOT_IN_WALLET,
            Unproven::ChallengeUnknown => CHALLENGE_UNKNOWN,
            Unproven::ChallengeUsed => CHALLENGE_USED,
            Unproven::PossessionNotProven(why) => return Self::new(POSSESSION_NOT_PROVEN).because(why),
            Unproven::SigningCertificate(Unfit::Revoked) => SIGNING_CERTIFICATE_REVOKED,
            Unproven::SigningCertificate(Unfit::OutsideItsPeriod) => SIGNING_CERTIFICATE_OUTSIDE_ITS_PERIOD,
            Unproven::SigningCertificate(Unfit::NotTrusted) => SIGNING_CERTIFICATE_NOT_TRUSTED,
            Unproven::SigningCertificate(Unfit::NotAClient) => SIGNING_CERTIFICATE_NOT_A_CLIENTS,
            Unproven::ScopeInsufficient => SCOPE_INSUFFICIENT,
            Unproven::SessionsNotOffered => SESSIONS_NOT_OFFERED,
            Unproven::ProviderUnavailable => IDENTITY_PROVIDER_UNAVAILABLE,
            Unproven::State(error) => {
                tracing::error!(%error, "callers cannot be judged");
                STATE_UNAVAILABLE
            }
        };
        kind.into()
    }
}

fn ledger(failure: LedgerFailure) -> Problem {
    match failure {
        // Words that are not the contract's: an unknown function, a chaincode of another release.
        LedgerFailure::Refused { .. } => LEDGER_UNINTELLIGIBLE.into(),
        LedgerFailure::Unreachable(_) => PEER_UNAVAILABLE.into(),
        LedgerFailure::ChaincodeUnavailable(_) => CHAINCODE_UNAVAILABLE.into(),
        LedgerFailure::TooFewPeers(_) => ENDORSERS_UNAVAILABLE.into(),
        LedgerFailure::OutcomeUnknown { transaction, .. } => {
            Problem::new(COMMIT_OUTCOME_UNKNOWN).because(format_args!("transaction {transaction}"))
        }
        LedgerFailure::NotSigned(error) => Problem::new(SIGNATURE_REFUSED).because(error),
        LedgerFailure::Conflict => COMMIT_CONFLICT.into(),
        LedgerFailure::Failed(_) => LEDGER_FAILED.into(),
    }
}

fn contents(error: ContentsError) -> Problem {
    match error {
        ContentsError::UnknownOrganisation(msp_id) => Problem::new(PUBLISHER_NOT_CONFIGURED).because(msp_id),
        ContentsError::Unreachable(msp_id, _) => Problem::new(PUBLISHER_UNAVAILABLE).because(msp_id),
        ContentsError::Refused(msp_id, code) => {
            Problem::new(PUBLISHER_REFUSED).because(format_args!("{msp_id}: {code}"))
        }
        ContentsError::Lost(msp_id) => Problem::new(RECORD_LOST).because(msp_id),
        ContentsError::TooLong(_) => Problem::new(RECORD_TAMPERED).because("length"),
    }
}

fn index(refusal: IndexRefusal) -> Kind {
    match refusal {
        IndexRefusal::NotForYou => INDEX_NOT_PERMITTED,
        IndexRefusal::OfAnotherPatient => IDENTIFIER_OF_ANOTHER_PATIENT,
        IndexRefusal::NotAPatient => NOT_A_PATIENT,
        IndexRefusal::Unknown => IDENTIFIER_UNKNOWN,
    }
}

fn upload(refusal: UploadRefusal) -> Problem {
    match refusal {
        UploadRefusal::Unknown => UPLOAD_UNKNOWN.into(),
        UploadRefusal::At(received) => Problem::new(UPLOAD_ELSEWHERE).because(format_args!("it has {received} bytes")),
        UploadRefusal::BeyondLength(length) => {
            Problem::new(UPLOAD_BEYOND_LENGTH).because(format_args!("it has {length} bytes"))
        }
        UploadRefusal::Checksum => CHECKSUM_MISMATCH.into(),
        UploadRefusal::Incomplete(received, length) => {
            Problem::new(UPLOAD_INCOMPLETE).because(format_args!("it has {received} of {length} bytes"))
        }
        UploadRefusal::Used => UPLOAD_USED.into(),
        UploadRefusal::Quota => UPLOADS_TOO_MANY.into(),
    }
}

fn locked(lock: Lock) -> Kind {
    match lock {
        Lock::NoOpening => OPENING_NOT_FOUND,
        Lock::Denied => OPENING_DENIED,
        Lock::AnotherOrganisation => OPENING_OF_ANOTHER_ORGANISATION,
        Lock::AnotherLink => OPENING_OF_ANOTHER_LINK,
        Lock::AnotherVersion => OPENING_OF_ANOTHER_VERSION,
        Lock::TooOld => OPENING_TOO_OLD,
        Lock::NotThePublisher => NOT_THE_PUBLISHER,
    }
}

/// A denial is the ledger's committed decision: its reason is the code.
fn denied(opening: &Opening) -> Problem {
    let Decision::Denied { reason, provision, .. } = &opening.decision else { return INTERNAL.into() };
    let mut problem = Problem::of_code(403, reason.as_str(), denial(*reason)).of_opening(&opening.transaction);
    problem.provision = provision.as_ref().and_then(|provision| serde_json::to_value(provision).ok());
    problem
}

/// What a denial means to the one who asked.
pub(super) fn denial(reason: Denial) -> &'static str {
    match reason {
        Denial::MemberSuspended => "You are suspended: your organisation's administrator can reinstate you.",
        Denial::MemberRetired => "Your membership has ended.",
        Denial::OrganisationNotActive => "Your organisation does not take part in the network.",
        Denial::LinkWithdrawn => "The publisher withdrew this link; it opens to nobody.",
        Denial::LinkErased => "The publisher erased this record.",
        Denial::PurposeNotPermitted => "Your role never opens records for this purpose.",
        Denial::PatientDenied => "The patient denies you this record.",
        Denial::ConsentRequired => {
            "You need the patient's consent for this purpose, and none in force covers this record."
        }
        Denial::SubscriptionLapsed => "The patient permits it, but the patient's subscription has lapsed.",
        Denial::AgentNotPermitted => "The agent's charter does not allow it.",
        Denial::EmergencyNotInForce => {
            "The emergency is over, is another patient's or clinician's, or rests until your overdue reviews are done."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateError;

    #[test]
    fn a_failure_after_an_opening_keeps_its_own_status_and_names_the_opening() {
        let opening: healthchain_rules::TransactionId = "ab".repeat(32).parse().unwrap();
        let failure = Box::new(Failure::Records(RecordsError::Lost));
        let problem = Problem::from(Failure::AfterOpening { opening: opening.clone(), failure });
        assert_eq!((problem.status, problem.code.as_str()), (502, "record-lost"));
        assert_eq!(problem.opening, Some(opening.to_string()));
    }

    #[test]
    fn what_is_inside_stays_inside() {
        let secret = "postgres://admin:hunter2@10.0.0.7";
        for failure in [
            Failure::Internal(secret.into()),
            Failure::Unintelligible(secret.into()),
            Failure::Records(RecordsError::Unavailable(secret.into())),
            Failure::State(StateError::Url(secret)),
            Failure::Contents(ContentsError::Unreachable("PayerMSP".into(), secret.into())),
            Failure::Ledger(LedgerFailure::Unreachable(secret.into())),
            Failure::Ledger(LedgerFailure::Failed(secret.into())),
            Failure::Ledger(LedgerFailure::Refused { status: 500, message: secret.into() }),
            Failure::Ledger(LedgerFailure::OutcomeUnknown { transaction: "ab".into(), reason: secret.into() }),
        ] {
            let problem = Problem::from(failure);
            assert!(problem.status >= 500 && !problem.detail.contains("hunter2"), "{problem:?}");
        }
    }

    #[test]
    fn every_lock_of_the_second_lock_has_its_own_code() {
        let locks = [
            Lock::NoOpening,
            Lock::Denied,
            Lock::AnotherOrganisation,
            Lock::AnotherLink,
            Lock::AnotherVersion,
            Lock::TooOld,
            Lock::NotThePublisher,
        ];
        let codes: std::collections::BTreeSet<_> = locks.into_iter().map(|lock| locked(lock).code).collect();
        assert_eq!(codes.len(), locks.len());
        assert_eq!(SECOND_LOCK.len() + OPENED.len(), locks.len());
    }
}
