//! Subscription reminders: asks the ledger now and then whose subscription ends, and has it tell them. The ledger keeps who was
//! told, so that nobody is told twice.

use std::time::Duration;

use healthchain_interface::{DueRemindersQuery, RemindSubscriber, SubscriptionsClient};
use healthchain_rules::RefusalCode;

use super::{Agent, Halt, Post};
use crate::failure::Failure;

/// See the module.
pub struct SubscriptionReminders {
    days: u32,
    pause: Duration,
}

impl SubscriptionReminders {
    /// Reminds so many days before an end; pauses between two looks.
    pub const fn new(days: u32, pause: Duration) -> Self {
        Self { days, pause }
    }
}

impl Agent for SubscriptionReminders {
    const NAME: &'static str = "subscription_reminders";

    async fn round(&self, post: &Post) -> Result<(), Halt> {
        let mut page_token = None;
        loop {
            let subscriptions = SubscriptionsClient::new(post.contract().await?);
            let query = DueRemindersQuery { days: Some(self.days), page_token, limit: None };
            let page = subscriptions.due_reminders(&query).await?;
            for due in page.items {
                let call = RemindSubscriber { patient: due.patient, reminder: due.reminder, until: due.until };
                match subscriptions.remind(&call).await.map_err(Halt::from) {
                    Ok(_) => post.did("reminded"),
                    Err(Halt::Failed(Failure::Refused(refusal))) if is_over(refusal.code()) => post.did("not-due"),
                    Err(halt) => return Err(halt),
                }
            }
            page_token = page.next_page_token;
            if page_token.is_none() {
                break;
            }
        }
        post.wait(self.pause).await;
        Ok(())
    }
}

/// Renewed, cancelled or lapsed since the list was made.
fn is_over(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::ReminderNotDue | RefusalCode::UnknownPatient | RefusalCode::UnknownSubscription)
}
