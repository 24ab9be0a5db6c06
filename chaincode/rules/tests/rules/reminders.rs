//! Who reminds whom that a subscription ends, when, and how often.

use crate::subscriptions::{DAY, payer, running};
use crate::support::*;
use healthchain_rules::subscription::*;
use healthchain_rules::*;

fn patients() -> Organisation {
    home(Role::Patient)
}

fn ada() -> Caller {
    caller_of(patients(), "ada", Role::Maintainer)
}

/// Alice's subscription, paid for so many days more, with a grace of 7 days.
fn ending_in(days: i64) -> Subscription {
    Subscription { until: at(days * DAY), grace_until: at((days + 7) * DAY), ..running(payer()) }
}

fn remind(
    caller: &Caller,
    subscription: Subscription,
    reminder: Reminder,
) -> Result<Outcome<Subscription, MayRemind>, Refusal> {
    let (alice, until) = (member_of(&patients(), "alice", Role::Patient), subscription.until);
    decide_reminding(caller, Some(&alice), Some(subscription), (reminder, until), NOW)
}

fn reminded(subscription: Subscription, reminder: Reminder) -> Subscription {
    match remind(&ada(), subscription, reminder) {
        Ok(Outcome::Decided(subscription, _)) => subscription,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_reminder_is_given_in_its_time_and_once() {
    for (days, due) in [
        (31, None),
        (30, Some(Reminder::Ending)),
        (1, Some(Reminder::Ending)),
        (0, Some(Reminder::InGrace)),
        (-6, Some(Reminder::InGrace)),
        (-7, None),
    ] {
        let subscription = ending_in(days);
        assert_eq!(subscription.due_reminder(NOW).map(|due| due.reminder), due, "{days}");
        for reminder in [Reminder::Ending, Reminder::InGrace] {
            if due != Some(reminder) {
                let refused = remind(&ada(), subscription.clone(), reminder);
                assert_eq!(code(refused), RefusalCode::ReminderNotDue, "{days} {reminder:?}");
            }
        }
        if let Some(reminder) = due {
            let once = reminded(subscription.clone(), reminder);
            assert_eq!(once.due_reminder(NOW), None);
            assert_eq!(remind(&ada(), once.clone(), reminder), Ok(Outcome::Repeated(once)));
        }
    }
    let later = Subscription { until: NOW, ..reminded(ending_in(1), Reminder::Ending) };
    assert_eq!(later.due_reminder(NOW).map(|due| due.reminder), Some(Reminder::InGrace), "another reason");
}

#[test]
fn a_subscription_that_was_renewed_meanwhile_is_no_reason() {
    let alice = member_of(&patients(), "alice", Role::Patient);
    let (subscription, known) = (ending_in(10), (Reminder::Ending, at(5 * DAY)));
    let refused = decide_reminding(&ada(), Some(&alice), Some(subscription), known, NOW);
    assert_eq!(code(refused), RefusalCode::ReminderNotDue);
}

#[test]
fn only_maintainers_of_those_who_serve_patients_remind_them() {
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Maintainer) {
        let other = caller_of(patients(), "other", role);
        assert_eq!(code(remind(&other, ending_in(5), Reminder::Ending)), RefusalCode::NotPermitted, "{role}");
        assert_eq!(code(decide_asking_reminders(&other)), RefusalCode::NotPermitted, "{role}");
    }
    let elsewhere = caller("max", Role::Maintainer);
    assert_eq!(code(remind(&elsewhere, ending_in(5), Reminder::Ending)), RefusalCode::NotPermitted);
    let gateway = Caller::Custodian(patients());
    assert_eq!(code(remind(&gateway, ending_in(5), Reminder::Ending)), RefusalCode::NotPermitted);
    assert_eq!(code(remind(&suspended(ada()), ending_in(5), Reminder::Ending)), RefusalCode::MemberSuspended);
}

#[test]
fn an_agent_of_a_maintainer_reminds_within_its_charter() {
    let Caller::Member(owner) = ada() else { panic!("no member") };
    let agent = agent_of((*owner).clone(), "reminders", "Subscriptions:remind");
    assert!(matches!(remind(&agent, ending_in(5), Reminder::Ending), Ok(Outcome::Decided(..))));
    let Caller::Member(mut spent) = agent else { panic!("no member") };
    spent.agent.as_mut().unwrap().used.calls = 1;
    let refused = remind(&Caller::Member(spent), ending_in(5), Reminder::Ending);
    assert_eq!(code(refused), RefusalCode::AgentNotPermitted);
}

#[test]
fn patients_of_others_and_such_without_a_subscription_are_not_known() {
    let remind = |patient: Option<&Member>, subscription| {
        let until = at(5 * DAY);
        code(decide_reminding(&ada(), patient, subscription, (Reminder::Ending, until), NOW))
    };
    let alice = member_of(&patients(), "alice", Role::Patient);
    let (elsewhere, no_patient) =
        (member_of(&hospital(), "alice", Role::Patient), member_of(&patients(), "alice", Role::Guardian));
    for unknown in [None, Some(&elsewhere), Some(&no_patient)] {
        assert_eq!(remind(unknown, Some(ending_in(5))), RefusalCode::UnknownPatient);
    }
    assert_eq!(remind(Some(&alice), None), RefusalCode::UnknownSubscription);
    let of_bob = Subscription { patient: id("bob"), ..ending_in(5) };
    assert_eq!(remind(Some(&alice), Some(of_bob)), RefusalCode::UnknownSubscription);
}
