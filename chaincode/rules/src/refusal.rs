//! Refusals: why a call was not carried out. Nothing is written when a call is refused.
//!
//! A refusal leaves a chaincode as text, `{"code":"…","detail":"…"}`; that form, its writer and its parser stand here together.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identifier::Malformed;

/// Why a call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: RefusalCode,
    detail: String,
}

macro_rules! refusal_codes {
    ($($(#[doc = $meaning:literal])+ $name:ident $status:literal $text:literal)+) => {
        /// The stable name of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum RefusalCode {
            $($(#[doc = $meaning])+ #[serde(rename = $text)] $name,)+
        }

        impl RefusalCode {
            /// Every code.
            pub const ALL: [Self; [$($status),+].len()] = [$(Self::$name),+];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The status of the chaincode's response, 400 to 599; means what it means in HTTP.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)+
                }
            }
        }
    };
}

// One line a code: its name, its status, its name on the wire.
refusal_codes! {
    // What every function may answer.
    /// An argument is not well formed, or larger than its limit.
    Malformed 400 "malformed"
    /// The caller's key is not known to the ledger, or belongs to another organisation's member.
    UnknownCaller 403 "unknown-caller"
    /// The caller is suspended.
    MemberSuspended 403 "member-suspended"
    /// The caller is retired.
    MemberRetired 403 "member-retired"
    /// The caller's role, kind of organisation or certificate does not allow it.
    NotPermitted 403 "not-permitted"
    /// It belongs to another organisation.
    OtherOrganisation 403 "other-organisation"
    /// No such organisation, or none that the caller may know of.
    UnknownOrganisation 404 "unknown-organisation"
    /// No such member, or none that the caller may know of.
    UnknownMember 404 "unknown-member"
    /// No such patient.
    UnknownPatient 404 "unknown-patient"
    /// No such link, or none that the caller may know of.
    UnknownLink 404 "unknown-link"
    /// No such consent of this patient.
    UnknownConsent 404 "unknown-consent"
    /// No such opening, or none that the caller may know of.
    UnknownOpening 404 "unknown-opening"
    /// No such envelope.
    UnknownEnvelope 404 "unknown-envelope"
    // Organisations.
    /// The consortium was founded with other organisations.
    AlreadyFounded 409 "already-founded"
    /// The organisation entered with other facts.
    AlreadyEntered 409 "already-entered"
    /// The organisation has not entered yet.
    NotEntered 409 "not-entered"
    /// The organisation does not take part, not yet or not any more.
    OrganisationNotActive 403 "organisation-not-active"
    // Governance and groups.
    /// The organisation left the consortium.
    OrganisationLeft 409 "organisation-left"
    /// The organisation is of the consortium already, or was with another kind.
    OrganisationExists 409 "organisation-exists"
    /// The consortium has as many organisations as there may be.
    TooManyOrganisations 409 "too-many-organisations"
    /// The last active organisation stays, or nobody could decide anything any more.
    LastOrganisation 409 "last-organisation"
    /// No such proposal.
    UnknownProposal 404 "unknown-proposal"
    /// The id is taken by another proposal.
    ProposalExists 409 "proposal-exists"
    /// The proposal was carried, rejected or withdrawn.
    ProposalClosed 409 "proposal-closed"
    /// The proposal was not decided in time.
    ProposalExpired 409 "proposal-expired"
    /// What was proposed cannot be carried out any more.
    ProposalOutdated 409 "proposal-outdated"
    /// The organisation voted otherwise.
    AlreadyVoted 409 "already-voted"
    /// No such group.
    UnknownGroup 404 "unknown-group"
    /// The id is taken by another group, or by one that was dissolved.
    GroupExists 409 "group-exists"
    /// The group was dissolved.
    GroupDissolved 409 "group-dissolved"
    /// There are as many groups as there may be.
    TooManyGroups 409 "too-many-groups"
    // Members.
    /// The id is taken by a member with other facts.
    MemberExists 409 "member-exists"
    /// The key belongs to somebody else of the organisation already.
    KeyTaken 409 "key-taken"
    /// Administrators cannot suspend or retire themselves: one would be the last.
    OwnSuspension 403 "own-suspension"
    /// The member is suspended already, or is retired: its standing cannot change so.
    StandingConflict 409 "standing-conflict"
    /// Nobody attests the own identity.
    OwnAttestation 403 "own-attestation"
    /// The caller attested the member by another method already.
    AttestationExists 409 "attestation-exists"
    // Delegations and recovery.
    /// No such delegation, or none that the caller may know of.
    UnknownDelegation 404 "unknown-delegation"
    /// The id is taken by a delegation with other facts, or by one that was ended.
    DelegationExists 409 "delegation-exists"
    /// The member is no guardian who may act.
    NotGuardian 409 "not-guardian"
    /// No such recovery, or none that the caller may know of.
    UnknownRecovery 404 "unknown-recovery"
    /// The patient named nobody who may replace a lost key.
    NoRecoveryPlan 409 "no-recovery-plan"
    /// The id is taken by a recovery with other facts.
    RecoveryExists 409 "recovery-exists"
    /// Another recovery of the patient is open.
    RecoveryOpen 409 "recovery-open"
    /// The recovery was completed or objected to, or has lapsed.
    RecoveryNotOpen 409 "recovery-not-open"
    /// The waiting time is not over.
    RecoveryTooEarly 409 "recovery-too-early"
    /// Too few trustees who may act have approved the recovery.
    RecoveryNotApproved 409 "recovery-not-approved"
    // Agents.
    /// The agent's charter has ended, does not name the function, or has no calls left today.
    AgentNotPermitted 403 "agent-not-permitted"
    /// No such agent, or none that the caller may know of.
    UnknownAgent 404 "unknown-agent"
    // Links, envelopes and openings.
    /// The id is taken by a link with other facts.
    LinkExists 409 "link-exists"
    /// The link is withdrawn.
    LinkWithdrawn 409 "link-withdrawn"
    /// The link is erased.
    LinkErased 409 "link-erased"
    /// The organisation is no custodian of the publisher.
    NotACustodian 403 "not-a-custodian"
    /// The organisation is a custodian of the publisher, and so keeps copies.
    StillACustodian 409 "still-a-custodian"
    /// The link is not erased.
    LinkNotErased 409 "link-not-erased"
    /// What is to supersede the link is not another active link of the same patient and publisher.
    SupersedingLink 409 "superseding-link"
    /// No such version of the link.
    UnknownVersion 404 "unknown-version"
    /// An envelope that publication needs is missing: the patient's or the publisher's.
    EnvelopeMissing 400 "envelope-missing"
    /// An envelope is for somebody who is not entitled, for an old key, or there twice.
    EnvelopeNotWanted 400 "envelope-not-wanted"
    /// There is another envelope for this key already.
    EnvelopeExists 409 "envelope-exists"
    /// The opening is not permitted any more.
    OpeningNotInForce 403 "opening-not-in-force"
    // Amendments.
    /// No such amendment, or none that the caller may know of.
    UnknownAmendment 404 "unknown-amendment"
    /// The id is taken by an amendment with other facts.
    AmendmentExists 409 "amendment-exists"
    /// The link has another version by now than the one that was to be amended.
    AmendmentConflict 409 "amendment-conflict"
    /// The amendment took effect, was rejected or withdrawn, or was not decided in time.
    AmendmentClosed 409 "amendment-closed"
    /// The organisation has said otherwise about the amendment already.
    VoiceGiven 409 "voice-given"
    /// The link has as many open amendments as there may be.
    TooManyAmendments 409 "too-many-amendments"
    /// The link has as many versions as there may be.
    TooManyVersions 409 "too-many-versions"
    // Emergencies.
    /// No such emergency access, or none that the caller may know of.
    UnknownEmergency 404 "unknown-emergency"
    /// The review of one of the clinician's emergency accesses is overdue.
    EmergencySuspended 403 "emergency-suspended"
    /// As many of the clinician's emergency accesses wait for their reviews as may.
    TooManyEmergencies 409 "too-many-emergencies"
    /// The emergency access was reviewed with another finding.
    EmergencyReviewed 409 "emergency-reviewed"
    // Consents.
    /// The id is taken by a consent with other facts, or by one that was revoked.
    ConsentExists 409 "consent-exists"
    /// The patient has as many consents in force as there may be.
    TooManyConsents 409 "too-many-consents"
    // Access requests.
    /// No such access request, or none that the caller may know of.
    UnknownRequest 404 "unknown-request"
    /// The id is taken by a request with other facts.
    RequestExists 409 "request-exists"
    /// The request was answered, withdrawn, or has expired.
    RequestNotOpen 409 "request-not-open"
    /// As many requests of the organisation wait for the patient as may.
    TooManyRequests 409 "too-many-requests"
    /// The id is taken by a standing rule with other facts.
    StandingRuleExists 409 "standing-rule-exists"
    /// The patient has as many standing rules as there may be.
    TooManyStandingRules 409 "too-many-standing-rules"
    // Subscriptions.
    /// No such plan.
    UnknownPlan 404 "unknown-plan"
    /// The patient has no subscription, or none that the caller may know of.
    UnknownSubscription 404 "unknown-subscription"
    /// No such order of this patient that the caller pays.
    UnknownOrder 404 "unknown-order"
    /// The id is taken by a plan with other terms.
    PlanExists 409 "plan-exists"
    /// The plan takes no orders any more.
    PlanClosed 409 "plan-closed"
    /// The id is taken by an order with other facts, or by one that was cancelled.
    OrderExists 409 "order-exists"
    /// The order's period has begun.
    OrderBegun 409 "order-begun"
    /// A later order follows this one.
    OrderNotLast 409 "order-not-last"
    /// The order ends later than orders may.
    OrderTooFarAhead 409 "order-too-far-ahead"
    /// A subscription of another plan or payer runs.
    SubscriptionRunning 409 "subscription-running"
    /// The subscription does not end so, or not now.
    ReminderNotDue 409 "reminder-not-due"
    // Notarizations.
    /// No such notarization, or none that the caller may know of.
    UnknownNotarization 404 "unknown-notarization"
    /// The id is taken by a notarization with other facts.
    NotarizationExists 409 "notarization-exists"
    /// The notarization is revoked already, for another reason.
    NotarizationRevoked 409 "notarization-revoked"
    /// The patient has no subscription that could be billed.
    NoSubscription 409 "no-subscription"
    // Statistics.
    /// No such measure.
    UnknownMeasure 404 "unknown-measure"
    /// The id is taken by a measure that counts something else.
    MeasureExists 409 "measure-exists"
    /// Another measure counts one of the classes already.
    MeasureOverlaps 409 "measure-overlaps"
    /// There are as many measures as there may be.
    TooManyMeasures 409 "too-many-measures"
    /// The measure ends with another month.
    MeasureEnded 409 "measure-ended"
    /// The measure does not count this month.
    PeriodNotCounted 409 "period-not-counted"
    /// The month is not over.
    PeriodNotOver 409 "period-not-over"
    /// The month is over.
    PeriodOver 409 "period-over"
    /// The month takes contributions still.
    PeriodOpen 409 "period-open"
    /// The month takes no contributions any more.
    PeriodClosed 409 "period-closed"
    /// A cell is of a class or region that the measure does not count.
    CellNotOfMeasure 400 "cell-not-of-measure"
    /// The organisation contributed other counts.
    ContributionExists 409 "contribution-exists"
    /// So few organisations contributed that nothing may be shown.
    TooFewContributors 409 "too-few-contributors"
    /// The id is taken by another release.
    ReleaseExists 409 "release-exists"
    /// The measure's privacy budget does not bear it.
    BudgetSpent 409 "budget-spent"
    // Rewards.
    /// No such reward program.
    UnknownProgram 404 "unknown-program"
    /// The id is taken by another reward program.
    ProgramExists 409 "program-exists"
    /// There are as many reward programs as there may be.
    TooManyPrograms 409 "too-many-programs"
    /// The sponsor's rewards exceed what the law allows.
    RewardTooLarge 409 "reward-too-large"
    /// The reward program is over.
    ProgramOver 409 "program-over"
    /// Another organisation than the named one sponsors the program.
    OtherSponsor 409 "other-sponsor"
    /// The patient does not take part in the program, or did not in that period.
    NotEnrolled 409 "not-enrolled"
    /// The patient does not take part in the program, as far as the caller may know.
    UnknownParticipation 404 "unknown-participation"
    /// The program does not reward the period, or it is too early or too late to attest it.
    PeriodNotRewarded 409 "period-not-rewarded"
    /// The program has no alternative standard.
    NoAlternativeStandard 409 "no-alternative-standard"
    /// The other standard was attested for this period.
    TargetAttested 409 "target-attested"
    /// The id is taken by a redemption of other points.
    RedemptionExists 409 "redemption-exists"
    /// There are not as many points.
    PointsInsufficient 409 "points-insufficient"
    // The audit and pages.
    /// No such reading of the audit, or somebody else's.
    UnknownReading 404 "unknown-reading"
    /// The reading of the audit is more than an hour old.
    ReadingExpired 403 "reading-expired"
    /// No such hold of the caller's organisation.
    UnknownHold 404 "unknown-hold"
    /// The id is taken by a hold with other facts, or by one that was released.
    HoldExists 409 "hold-exists"
    /// As many holds stand on the patient's accounting as there may be.
    TooManyHolds 409 "too-many-holds"
    /// The opening was decided by a release that kept no evidence of what its decisions rest on.
    NoEvidence 404 "no-evidence"
    /// The page token is of another query.
    PageTokenMismatch 400 "page-token-mismatch"
    // The ledger itself.
    /// The ledger could not be read, or holds what this chaincode cannot read.
    Ledger 500 "ledger"
}

impl Refusal {
    /// A refusal with a sentence for whoever called, which says what to do. Quotation marks, backslashes and control characters of
    /// the sentence become apostrophes, slashes and blanks, so that the JSON form needs no escapes.
    pub fn new(code: RefusalCode, detail: impl AsRef<str>) -> Self {
        let detail = detail
            .as_ref()
            .chars()
            .map(|character| match character {
                '"' => '\'',
                '\\' => '/',
                control if control.is_control() => ' ',
                other => other,
            })
            .collect();
        Self { code, detail }
    }

    /// The stable name of what went wrong.
    pub const fn code(&self) -> RefusalCode {
        self.code
    }

    /// The sentence for whoever called.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The status of the chaincode's response, 400 to 599; means what it means in HTTP.
    pub const fn status(&self) -> u16 {
        self.code.status()
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Writes the JSON form.
impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, r#"{{"code":"{}","detail":"{}"}}"#, self.code, self.detail)
    }
}

impl std::error::Error for Refusal {}

/// The chaincode's response: its status and message.
impl From<Refusal> for (u16, String) {
    fn from(refusal: Refusal) -> Self {
        (refusal.status(), refusal.to_string())
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(RefusalCode::Malformed, malformed.to_string())
    }
}

/// Reads exactly what is written here, and nothing else.
impl FromStr for Refusal {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let not_a_refusal = Malformed::new("a refusal", r#"{"code":"…","detail":"…"} with a known code"#);
        text.strip_prefix(r#"{"code":""#)
            .and_then(|rest| rest.strip_suffix(r#""}"#))
            .and_then(|inner| inner.split_once(r#"","detail":""#))
            .and_then(|(name, detail)| {
                let code = RefusalCode::ALL.into_iter().find(|code| code.as_str() == name)?;
                let refusal = Self::new(code, detail);
                (refusal.detail == detail).then_some(refusal)
            })
            .ok_or(not_a_refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_survives_its_text_form() {
        for code in RefusalCode::ALL {
            let refusal = Refusal::new(code, "say \"please\" \\ twice\nnow — ünïcode");
            let (status, message) = refusal.clone().into();
            assert!((400..600).contains(&status), "{code}");
            assert_eq!(message.parse(), Ok(refusal));
        }
    }

    #[test]
    fn the_text_form_is_json_with_the_code_that_serde_writes() {
        for code in RefusalCode::ALL {
            let json: serde_json::Value = serde_json::from_str(&Refusal::new(code, "a \"b\" \\").to_string()).unwrap();
            assert_eq!(json["code"], serde_json::to_value(code).unwrap());
            assert_eq!(json["detail"], "a 'b' /");
        }
    }

    #[test]
    fn what_no_refusal_wrote_is_not_read_as_one() {
        for text in
            ["", "{}", "no such function", r#"{"code":"other","detail":""}"#, r#"{"code":"ledger","detail":"a"b"}"#]
        {
            assert!(text.parse::<Refusal>().is_err(), "{text}");
        }
    }
}
