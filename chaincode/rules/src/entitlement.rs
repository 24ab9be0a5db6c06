//! The decision that everything else rests on: whether somebody may have a record. Printed as a golden table.

use crate::agent::Charter;
use crate::consent::{ConsentBook, Effect, Grantee, Subject, Wanted};
use crate::delegation::{Delegation, Power};
use crate::emergency::{Docket, Emergency};
use crate::opening::{Denial, Provision, Rule};
use crate::purpose::Purpose;
use crate::role::{Permission, Role};
use crate::settings::Settings;
use crate::subscription::{self, Payer, Subscription};
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

/// What a decision rests on, beside who asks for which record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// The channel's settings.
    pub settings: Settings,
    /// The patient's consents that stand.
    pub book: ConsentBook,
    /// The patient's subscription.
    pub subscription: Option<Subscription>,
    /// What the patient lets the one who asks do as guardian.
    pub delegation: Option<Delegation>,
    /// The emergency that is claimed.
    pub emergency: Option<Emergency>,
    /// The emergencies of the one who asks that wait for their reviews.
    pub docket: Docket,
}

/// Whether `subject` may have `wanted` for `purpose`. In this order: the patient's own access; an emergency that is claimed; what the
/// role, or an agent's charter, never does; the patient's denials; direct access for treatment; what a guardian is let do; the patient's
/// permissions, which need a subscription that has not lapsed when third parties use them.
pub fn entitlement(
    subject: Subject<'_>,
    wanted: Wanted<'_>,
    grounds: &Grounds,
    purpose: Purpose,
    at: LedgerTime,
) -> Entitlement {
    let not_entitled = |reason| Entitlement::NotEntitled { reason, provision: None };
    let is_agent = subject.charter.is_some();
    if subject.member == Some(wanted.patient) && purpose == Purpose::Personal && !is_agent {
        return Entitlement::Entitled { provision: Provision::Rule(Rule::OwnAccess), through: KeyOf::Member };
    }
    if let Some(emergency) = &grounds.emergency {
        return if grounds.is_emergency(emergency, subject, wanted, purpose, at) {
            let provision = Provision::Emergency(emergency.id.clone());
            Entitlement::Entitled { provision, through: KeyOf::Organisation }
        } else {
            not_entitled(Denial::EmergencyNotInForce)
        };
    }
    if !subject.may(Permission::OpenLink) || !subject.role.purposes().contains(&purpose) {
        return not_entitled(Denial::PurposeNotPermitted);
    }
    if subject.charter.is_some_and(|charter| !charter.purposes.contains(&purpose)) {
        return not_entitled(Denial::AgentNotPermitted);
    }
    // The category is asked for last: whoever has no right to the record learns nothing of it from what a charter leaves out.
    let is_beyond = |charter: &Charter| !charter.categories.contains(&wanted.category);
    match grounds.provision_for(subject, wanted, purpose, at) {
        Entitlement::Entitled { .. } if subject.charter.is_some_and(is_beyond) => {
            not_entitled(Denial::AgentNotPermitted)
        }
        found => found,
    }
}

impl Grounds {
    /// What denials, direct access, delegations and permissions say, of a purpose that the role has.
    fn provision_for(&self, subject: Subject<'_>, wanted: Wanted<'_>, purpose: Purpose, at: LedgerTime) -> Entitlement {
        let not_entitled = |reason| Entitlement::NotEntitled { reason, provision: None };
        if let Some((consent, _)) = self.book.provision(Effect::Deny, subject, wanted, purpose, at) {
            let provision = Some(Provision::Consent(consent.clone()));
            return Entitlement::NotEntitled { reason: Denial::PatientDenied, provision };
        }
        if let Some(rule) = subject.role.direct_access(wanted.category, purpose) {
            return Entitlement::Entitled { provision: Provision::Rule(rule), through: KeyOf::Organisation };
        }
        if let Some(delegation) = self.delegation_for(subject, wanted, purpose, at) {
            let provision = Provision::Delegation(delegation.id.clone());
            return Entitlement::Entitled { provision, through: KeyOf::Member };
        }
        let Some((consent, terms)) = self.book.provision(Effect::Permit, subject, wanted, purpose, at) else {
            return not_entitled(Denial::ConsentRequired);
        };
        if self.has_lapsed_for(subject, wanted, purpose, at) {
            return not_entitled(Denial::SubscriptionLapsed);
        }
        let through = match terms.grantee() {
            Grantee::Member(_) => KeyOf::Member,
            Grantee::Organisation(_) | Grantee::Role(_) | Grantee::Group(_) => KeyOf::Organisation,
        };
        Entitlement::Entitled { provision: Provision::Consent(consent.clone()), through }
    }

    fn is_emergency(
        &self,
        emergency: &Emergency,
        subject: Subject<'_>,
        wanted: Wanted<'_>,
        purpose: Purpose,
        at: LedgerTime,
    ) -> bool {
        purpose == Purpose::Treatment
            && subject.charter.is_none()
            && subject.may(Permission::OpenLink)
            && subject.may(Permission::DeclareEmergency)
            && subject.member.is_some_and(|member| emergency.covers(member, wanted.patient, at))
            && !self.docket.is_overdue(at)
    }

    fn delegation_for(
        &self,
        subject: Subject<'_>,
        wanted: Wanted<'_>,
        purpose: Purpose,
        at: LedgerTime,
    ) -> Option<&Delegation> {
        let guardian = subject.member.filter(|_| subject.role == Role::Guardian && purpose == Purpose::Personal)?;
        self.delegation.as_ref().filter(|delegation| {
            delegation.lets(guardian, wanted.patient, Power::Open, at)
                && delegation.categories.contains(&wanted.category)
        })
    }

    /// Whether a subscription that lapsed, or that is required and missing, keeps a third party from the record. The patient, whom the
    /// patient trusts, and those who treat the patient never depend on one (45 CFR 164.524, 45 CFR 171). What an organisation paid for
    /// counts, once lapsed, no more than none at all: nobody makes a patient depend on a subscription by paying for one.
    fn has_lapsed_for(&self, subject: Subject<'_>, wanted: Wanted<'_>, purpose: Purpose, at: LedgerTime) -> bool {
        is_third_party(subject, wanted, purpose)
            && match &self.subscription {
                Some(subscription) if !subscription.is_lapsed(at) => false,
                Some(Subscription { payer: Payer::Patient, .. }) => true,
                Some(Subscription { payer: Payer::Organisation(_), .. }) | None => self.settings.subscription_required,
            }
    }

    /// Whether somebody entitled is sealed to only when it first opens the link, and not at its publication: a third party, while the
    /// patient's plan offers no instant release and one is required.
    pub(crate) fn waits_for_opening(
        &self,
        subject: Subject<'_>,
        wanted: Wanted<'_>,
        purpose: Purpose,
        at: LedgerTime,
    ) -> bool {
        is_third_party(subject, wanted, purpose)
            && !subscription::releases_at_once(&self.settings, self.subscription.as_ref(), at)
    }
}

/// Whether somebody wants a record neither for the patient's treatment nor for the patient, and does not keep it itself.
fn is_third_party(subject: Subject<'_>, wanted: Wanted<'_>, purpose: Purpose) -> bool {
    match purpose {
        Purpose::Treatment | Purpose::Personal => false,
        Purpose::Payment | Purpose::Operations | Purpose::Research | Purpose::PublicHealth => {
            wanted.publisher != Some(subject.organisation)
        }
    }
}
