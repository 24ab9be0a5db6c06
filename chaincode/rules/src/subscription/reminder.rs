//! Reminders: the ledger tells a patient, and whoever pays, that a subscription ends, once in its course for each reason.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Phase, Subscription, SubscriptionAct};
use crate::identifier::MemberId;
use crate::limit;
use crate::link::require_patient;
use crate::member::{Caller, Member};
use crate::organisation::{Organisation, OrganisationKind};
use crate::outcome::Outcome;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::time::LedgerTime;

/// Of what somebody is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reminder {
    /// What is paid for ends within 30 days.
    Ending,
    /// It has ended, and counts as paid for its grace only.
    InGrace,
}

/// A reminder that nobody has given yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DueReminder {
    /// Whose subscription.
    pub patient: MemberId,
    /// Of what.
    pub reminder: Reminder,
    /// Until when the subscription is paid.
    pub until: LedgerTime,
}

/// Proof that the reminder may be given.
#[derive(Debug, PartialEq, Eq)]
pub struct MayRemind(());

/// Whether the caller may ask which reminders are due: maintainers, and their agents, of organisations that serve patients. Gives the
/// organisation, whose patients alone they remind.
pub fn decide_asking_reminders(caller: &Caller) -> Result<&Organisation, Refusal> {
    let organisation = &caller.permitted_member(Permission::RemindSubscriber)?.organisation;
    if organisation.kind == OrganisationKind::PatientServices {
        Ok(organisation)
    } else {
        Err(Refusal::new(RefusalCode::NotPermitted, "only organisations that serve patients remind them"))
    }
}

/// Whether the caller may give this reminder of a subscription that is paid until then: when it is due, and once.
pub fn decide_reminding(
    caller: &Caller,
    patient: Option<&Member>,
    subscription: Option<Subscription>,
    (reminder, until): (Reminder, LedgerTime),
    at: LedgerTime,
) -> Result<Outcome<Subscription, MayRemind>, Refusal> {
    let organisation = decide_asking_reminders(caller)?;
    require_patient(patient.filter(|member| member.organisation == organisation.msp_id))?;
    let mut subscription = subscription
        .filter(|subscription| patient.is_some_and(|patient| patient.id == subscription.patient))
        .ok_or_else(|| Refusal::new(RefusalCode::UnknownSubscription, "the patient has no subscription"))?;
    if subscription.until != until {
        return Err(not_due("the subscription was renewed or ended otherwise: ask for the reminders that are due"));
    }
    if subscription.reminded.contains(&reminder) {
        return Ok(Outcome::Repeated(subscription));
    }
    if subscription.reminder(at) != Some(reminder) {
        return Err(not_due("nobody is to be reminded of this now"));
    }
    subscription.reminded.insert(reminder);
    Ok(Outcome::Decided(subscription, MayRemind(())))
}

impl Subscription {
    /// The reminder that is to be given now, if nobody has.
    pub fn due_reminder(&self, at: LedgerTime) -> Option<DueReminder> {
        let reminder = self.reminder(at).filter(|reminder| !self.reminded.contains(reminder))?;
        Some(DueReminder { patient: self.patient.clone(), reminder, until: self.until })
    }

    /// What the trail says of a reminder.
    pub fn reminding_act(&self, reminder: Reminder) -> SubscriptionAct {
        let (plan, payer, until) = (self.plan.clone(), self.payer.clone(), self.until);
        SubscriptionAct::SubscriptionEnding { reminder, plan, payer, until }
    }

    fn reminder(&self, at: LedgerTime) -> Option<Reminder> {
        match self.phase(at) {
            Phase::Running if self.until <= at.plus_days(limit::REMINDER_DAYS) => Some(Reminder::Ending),
            Phase::Grace => Some(Reminder::InGrace),
            Phase::Running | Phase::Lapsed => None,
        }
    }
}

fn not_due(why: &str) -> Refusal {
    Refusal::new(RefusalCode::ReminderNotDue, why)
}
