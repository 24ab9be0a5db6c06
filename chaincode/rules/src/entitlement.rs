//! The decision that everything else rests on: whether somebody may have a record. Printed as a golden table.

use crate::consent::{ConsentBook, Effect, Grantee, Subject, Wanted};
use crate::identifier::MemberId;
use crate::opening::{Denial, Provision, Rule};
use crate::purpose::Purpose;
use crate::role::Permission;
use crate::time::LedgerTime;

/// Whether somebody may have a record, and through whose key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entitlement {
    /// May have it, through a key of this kind.
    Entitled {
        /// By which provision.
        provision: Provision,
        /// Whose key envelopes are sealed to.
        through: KeyOf,
    },
    /// May not.
    NotEntitled {
        /// Why.
        reason: Denial,
        /// The provision that denies, where there is one.
        provision: Option<Provision>,
    },
}

/// Whose key envelopes are sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOf {
    /// The person's.
    Member,
    /// The person's organisation's, which its gateway uses for a member only after the member's opening.
    Organisation,
}

/// Whether `subject` may have `wanted`, a record of `patient`, for `purpose`. In this order: the patient's own access; what the role
/// never does; the patient's denials; direct access for treatment; the patient's permissions.
pub fn entitlement(
    subject: Subject<'_>,
    patient: &MemberId,
    wanted: Wanted<'_>,
    book: &ConsentBook,
    purpose: Purpose,
    at: LedgerTime,
) -> Entitlement {
    if subject.member == Some(patient) && purpose == Purpose::Personal {
        return Entitlement::Entitled { provision: Provision::Rule(Rule::OwnAccess), through: KeyOf::Member };
    }
    if !subject.role.may(Permission::OpenLink) || !subject.role.purposes().contains(&purpose) {
        return Entitlement::NotEntitled { reason: Denial::PurposeNotPermitted, provision: None };
    }
    if let Some((consent, _)) = book.provision(Effect::Deny, subject, wanted, purpose, at) {
        let provision = Some(Provision::Consent(consent.clone()));
        return Entitlement::NotEntitled { reason: Denial::PatientDenied, provision };
    }
    if let Some(rule) = subject.role.direct_access(wanted.category, purpose) {
        return Entitlement::Entitled { provision: Provision::Rule(rule), through: KeyOf::Organisation };
    }
    if let Some((consent, terms)) = book.provision(Effect::Permit, subject, wanted, purpose, at) {
        let through = match terms.grantee() {
            Grantee::Member(_) => KeyOf::Member,
            Grantee::Organisation(_) | Grantee::Role(_) => KeyOf::Organisation,
        };
        return Entitlement::Entitled { provision: Provision::Consent(consent.clone()), through };
    }
    Entitlement::NotEntitled { reason: Denial::ConsentRequired, provision: None }
}
