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

/// The stable name of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// An argument is not well formed, or larger than its limit.
    Malformed,
    /// The caller's key is not known to the ledger, or belongs to another organisation's member.
    UnknownCaller,
    /// The caller is suspended.
    MemberSuspended,
    /// The caller is retired.
    MemberRetired,
    /// The caller's role, kind of organisation or certificate does not allow it.
    NotPermitted,
    /// It belongs to another organisation.
    OtherOrganisation,
    /// No such organisation, or none that the caller may know of.
    UnknownOrganisation,
    /// No such member, or none that the caller may know of.
    UnknownMember,
    /// No such patient.
    UnknownPatient,
    /// No such link, or none that the caller may know of.
    UnknownLink,
    /// No such consent of this patient.
    UnknownConsent,
    /// No such opening, or none that the caller may know of.
    UnknownOpening,
    /// No such envelope.
    UnknownEnvelope,
    /// The consortium was founded with other organisations.
    AlreadyFounded,
    /// The organisation entered with other facts.
    AlreadyEntered,
    /// The organisation has not entered yet.
    NotEntered,
    /// The id is taken by a member with other facts.
    MemberExists,
    /// The key belongs to somebody else of the organisation already.
    KeyTaken,
    /// Administrators cannot suspend themselves: one would be the last.
    OwnSuspension,
    /// The member is suspended already, or is retired: its standing cannot change so.
    StandingConflict,
    /// The id is taken by a link with other facts.
    LinkExists,
    /// The link is withdrawn.
    LinkWithdrawn,
    /// An envelope that publication needs is missing: the patient's or the publisher's.
    EnvelopeMissing,
    /// An envelope is for somebody who is not entitled, for an old key, or there twice.
    EnvelopeNotWanted,
    /// There is another envelope for this key already.
    EnvelopeExists,
    /// The opening is not permitted any more.
    OpeningNotInForce,
    /// The id is taken by a consent with other facts, or by one that was revoked.
    ConsentExists,
    /// The patient has as many consents in force as there may be.
    TooManyConsents,
    /// The page token is of another query.
    PageTokenMismatch,
    /// The ledger could not be read, or holds what this chaincode cannot read.
    Ledger,
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

impl RefusalCode {
    /// Every code.
    pub const ALL: [Self; 30] = [
        Self::Malformed,
        Self::UnknownCaller,
        Self::MemberSuspended,
        Self::MemberRetired,
        Self::NotPermitted,
        Self::OtherOrganisation,
        Self::UnknownOrganisation,
        Self::UnknownMember,
        Self::UnknownPatient,
        Self::UnknownLink,
        Self::UnknownConsent,
        Self::UnknownOpening,
        Self::UnknownEnvelope,
        Self::AlreadyFounded,
        Self::AlreadyEntered,
        Self::NotEntered,
        Self::MemberExists,
        Self::KeyTaken,
        Self::OwnSuspension,
        Self::StandingConflict,
        Self::LinkExists,
        Self::LinkWithdrawn,
        Self::EnvelopeMissing,
        Self::EnvelopeNotWanted,
        Self::EnvelopeExists,
        Self::OpeningNotInForce,
        Self::ConsentExists,
        Self::TooManyConsents,
        Self::PageTokenMismatch,
        Self::Ledger,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownCaller => "unknown-caller",
            Self::MemberSuspended => "member-suspended",
            Self::MemberRetired => "member-retired",
            Self::NotPermitted => "not-permitted",
            Self::OtherOrganisation => "other-organisation",
            Self::UnknownOrganisation => "unknown-organisation",
            Self::UnknownMember => "unknown-member",
            Self::UnknownPatient => "unknown-patient",
            Self::UnknownLink => "unknown-link",
            Self::UnknownConsent => "unknown-consent",
            Self::UnknownOpening => "unknown-opening",
            Self::UnknownEnvelope => "unknown-envelope",
            Self::AlreadyFounded => "already-founded",
            Self::AlreadyEntered => "already-entered",
            Self::NotEntered => "not-entered",
            Self::MemberExists => "member-exists",
            Self::KeyTaken => "key-taken",
            Self::OwnSuspension => "own-suspension",
            Self::StandingConflict => "standing-conflict",
            Self::LinkExists => "link-exists",
            Self::LinkWithdrawn => "link-withdrawn",
            Self::EnvelopeMissing => "envelope-missing",
            Self::EnvelopeNotWanted => "envelope-not-wanted",
            Self::EnvelopeExists => "envelope-exists",
            Self::OpeningNotInForce => "opening-not-in-force",
            Self::ConsentExists => "consent-exists",
            Self::TooManyConsents => "too-many-consents",
            Self::PageTokenMismatch => "page-token-mismatch",
            Self::Ledger => "ledger",
        }
    }

    /// The status of the chaincode's response, 400 to 599; means what it means in HTTP.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::EnvelopeMissing | Self::EnvelopeNotWanted | Self::PageTokenMismatch => 400,
            Self::UnknownCaller
            | Self::MemberSuspended
            | Self::MemberRetired
            | Self::NotPermitted
            | Self::OtherOrganisation
            | Self::OwnSuspension
            | Self::OpeningNotInForce => 403,
            Self::UnknownOrganisation
            | Self::UnknownMember
            | Self::UnknownPatient
            | Self::UnknownLink
            | Self::UnknownConsent
            | Self::UnknownOpening
            | Self::UnknownEnvelope => 404,
            Self::AlreadyFounded
            | Self::AlreadyEntered
            | Self::NotEntered
            | Self::MemberExists
            | Self::KeyTaken
            | Self::StandingConflict
            | Self::LinkExists
            | Self::LinkWithdrawn
            | Self::EnvelopeExists
            | Self::ConsentExists
            | Self::TooManyConsents => 409,
            Self::Ledger => 500,
        }
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
