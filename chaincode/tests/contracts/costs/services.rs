//! Calls about what is paid for, counted and rewarded.

use healthchain_interface::*;
use healthchain_rules::charge::Account;
use healthchain_rules::notarization::BillTo;

use super::Costs;
use crate::consortium::*;
use crate::{notarizations, rewards, statistics, subscriptions};

pub(super) async fn call_all(costs: &Costs) {
    let mut consortium = Consortium::new().await;
    subscriptions::add_maintainer(&mut consortium).await;
    call_subscriptions(costs, &consortium).await;
    call_notarizations(costs, &consortium).await;
    call_rewards(costs, &consortium).await;
    call_statistics(costs).await;
}

async fn call_subscriptions(costs: &Costs, consortium: &Consortium) {
    let max = SubscriptionsClient::new(costs.of(consortium, "max"));
    max.make_plan(&subscriptions::make_plan("basic")).await.unwrap();
    subscriptions::a_plan(consortium, "family").await;
    max.close_plan(&id("family")).await.unwrap();
    let alice = SubscriptionsClient::new(costs.of(consortium, "alice"));
    alice.plans(&PlansQuery::default()).await.unwrap();
    alice.order(&subscriptions::an_order("o1", 1)).await.unwrap();
    let renewal = subscriptions::an_order("o2", 1);
    consortium.person("alice").subscriptions().order(&renewal).await.unwrap();
    alice.cancel(&subscriptions::cancellation("o2")).await.unwrap();
    alice.subscription(&id("alice")).await.unwrap();
    alice.statement(&subscriptions::account_of(Account::Patient(id("alice")))).await.unwrap();
    let ada = SubscriptionsClient::new(costs.of(consortium, "ada"));
    let due = ada.due_reminders(&DueRemindersQuery::default()).await.unwrap();
    ada.remind(&subscriptions::reminder_of(&due.items[0])).await.unwrap();
}

async fn call_notarizations(costs: &Costs, consortium: &Consortium) {
    let carol = NotarizationsClient::new(costs.of(consortium, "carol"));
    carol.notarize(&notarizations::notarize("n1", BillTo::Subscription)).await.unwrap();
    carol.verify(&notarizations::of_hash("document")).await.unwrap();
    carol.notarization(&id("n1")).await.unwrap();
    let alice = NotarizationsClient::new(costs.of(consortium, "alice"));
    alice.of_patient(&notarizations::of_alice()).await.unwrap();
    carol.revoke(&notarizations::revocation("n1", "wrong page")).await.unwrap();
}

async fn call_rewards(costs: &Costs, consortium: &Consortium) {
    let pia = RewardsClient::new(costs.of(consortium, "pia"));
    pia.define(&rewards::program("walk")).await.unwrap();
    let alice = RewardsClient::new(costs.of(consortium, "alice"));
    let enrolled = alice.enrol(&rewards::enrol("alice")).await.unwrap();
    let carol = RewardsClient::new(costs.of(consortium, "carol"));
    carol.attest(&rewards::attest("alice", rewards::year_of(&enrolled))).await.unwrap();
    alice.redeem(&rewards::redeem("r1", 8)).await.unwrap();
    alice.account(&rewards::account()).await.unwrap();
    alice.programs(&ProgramsQuery { page_token: None, limit: None }).await.unwrap();
    alice.leave(&rewards::leave()).await.unwrap();
    pia.end(&id("walk")).await.unwrap();
}

async fn call_statistics(costs: &Costs) {
    let consortium = statistics::consortium().await;
    let max = StatisticsClient::new(costs.of(&consortium, "max"));
    max.define(&statistics::measure("antibiotics", "J01")).await.unwrap();
    let gateway = StatisticsClient::new(costs.of(&consortium, "gateway-hospital"));
    gateway.contribute(&statistics::counts("2020-01", 20)).await.unwrap();
    for other in ["gateway-clinic", "gateway-practice"] {
        let other = consortium.person(other).statistics();
        other.contribute(&statistics::counts("2020-01", 20)).await.unwrap();
    }
    max.close(&statistics::closing("2020-01")).await.unwrap();

    let ann = StatisticsClient::new(costs.of(&consortium, "ann"));
    ann.table(&statistics::of_month("2020-01")).await.unwrap();
    ann.release(&statistics::release("r1", 600)).await.unwrap();
    let query = ReleasesQuery { measure: id("antibiotics"), page_token: None, limit: None };
    ann.releases(&query).await.unwrap();
    ann.budget(&id("antibiotics")).await.unwrap();
    ann.measures().await.unwrap();
    max.end(&EndMeasure { measure: id("antibiotics"), last: id("2999-01") }).await.unwrap();
}
