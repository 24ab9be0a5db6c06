//! Random histories of orders, cancellations and notarizations: what is due never falls below nothing, quotas keep to their caps, and
//! the order of independent calls does not matter.

use std::collections::BTreeMap;

use crate::subscriptions::{plan, usd};
use crate::support::*;
use healthchain_rules::charge::*;
use healthchain_rules::notarization::*;
use healthchain_rules::subscription::*;
use healthchain_rules::*;
use proptest::prelude::*;

const PATIENTS: [&str; 2] = ["alice", "bob"];
const PLANS: [&str; 2] = ["basic", "family"];

/// One call; the patient, plan and so on are chosen by number.
#[derive(Clone, Debug)]
enum Call {
    Order { patient: usize, plan: usize, periods: u32, by_payer: bool },
    Cancel { patient: usize, order: usize, by_payer: bool },
    Notarize { patient: usize, bill_to: BillTo },
}

impl Call {
    const fn patient(&self) -> usize {
        match self {
            Self::Order { patient, .. } | Self::Cancel { patient, .. } | Self::Notarize { patient, .. } => *patient,
        }
    }

    /// Whether it reads nothing that the other writes.
    fn is_independent_of(&self, other: &Self) -> bool {
        let are_notarizations = matches!((self, other), (Self::Notarize { .. }, Self::Notarize { .. }));
        self.patient() != other.patient() || are_notarizations
    }
}

/// What the ledger would hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ledger {
    subscriptions: BTreeMap<MemberId, Subscription>,
    orders: BTreeMap<(MemberId, OrderId), Order>,
    notarizations: BTreeMap<NotarizationId, Notarization>,
    charges: BTreeMap<Place, Charge>,
}

impl Ledger {
    /// Does what the rules allow of this call, which is the `number`th; others leave no trace.
    fn call(&mut self, call: &Call, number: usize, at: LedgerTime) {
        let patient: MemberId = id(PATIENTS[call.patient()]);
        let transaction: TransactionId = hash(&format!("{number:04}"));
        match call {
            Call::Order { plan: which, periods, by_payer, .. } => {
                let member = member_of(&home(Role::Patient), patient.as_str(), Role::Patient);
                let plan = plan(PLANS[*which]);
                let ground = OrderGround {
                    plan: Some(&plan),
                    patient: Some(&member),
                    subscription: self.subscriptions.get(&patient),
                    ..OrderGround::default()
                };
                let draft = OrderDraft {
                    id: order_id(number),
                    patient: patient.clone(),
                    plan: plan.id.clone(),
                    periods: *periods,
                };
                let caller = orderer(&patient, *by_payer);
                if let Ok(Outcome::Decided(order, proof)) = decide_order(&caller, ground, draft, transaction, at) {
                    self.keep(order, proof.subscription(), proof.charge());
                }
            }
            Call::Cancel { order, by_payer, .. } => {
                let key = (patient.clone(), order_id(*order));
                let (order, subscription) = (self.orders.get(&key).cloned(), self.subscriptions.get(&patient));
                let caller = orderer(&patient, *by_payer);
                let decided = decide_cancellation(&caller, &patient, order, subscription, None, transaction, at);
                if let Ok(Outcome::Decided(order, proof)) = decided {
                    self.keep(order, proof.subscription(), proof.charge());
                }
            }
            Call::Notarize { bill_to, .. } => {
                let member = member_of(&home(Role::Patient), patient.as_str(), Role::Patient);
                let ground = NotarizationGround {
                    existing: None,
                    patient: Some(&member),
                    subscription: self.subscriptions.get(&patient),
                    settings: &Settings { notarization_price: 7, ..Settings::default() },
                };
                let draft = NotarizationDraft {
                    id: id(&format!("n{number}")),
                    patient,
                    kind: NotarizedKind::Document,
                    hash: hash("document"),
                    bill_to: *bill_to,
                };
                let notary = caller("carol", Role::Clinician);
                if let Ok(Outcome::Decided(made, proof)) = decide_notarization(&notary, ground, draft, transaction, at)
                {
                    self.charge(proof.charge());
                    self.notarizations.insert(made.id.clone(), made);
                }
            }
        }
    }

    fn keep(&mut self, order: Order, subscription: &Subscription, charge: &Charge) {
        self.charge(charge);
        self.subscriptions.insert(order.patient.clone(), subscription.clone());
        self.orders.insert((order.patient.clone(), order.id.clone()), order);
    }

    fn charge(&mut self, charge: &Charge) {
        assert!(self.charges.insert(charge.place(), charge.clone()).is_none(), "no two transactions share a key");
    }

    /// The notarizations of a year of a patient's subscription, first ones first.
    fn year(&self, patient: &MemberId, allowance: Allowance) -> Vec<Place> {
        let is_of_year = |charge: &&Charge| {
            charge.patient == *patient && charge.allowance().is_some_and(|found| found.year == allowance.year)
        };
        self.charges.values().filter(is_of_year).map(Charge::place).collect()
    }

    fn statement(&self) -> Vec<ChargeLine> {
        let line = |charge: &Charge| {
            let first = charge.allowance().map(|allowance| self.year(&charge.patient, allowance)).unwrap_or_default();
            ChargeLine { charge: charge.clone(), due: charge.due(&first) }
        };
        self.charges.values().map(line).collect()
    }

    fn check(&self, now: LedgerTime) {
        for subscription in self.subscriptions.values() {
            assert!(subscription.from <= subscription.until && subscription.until <= subscription.grace_until);
            assert!(subscription.until <= now.plus_days(1830));
            let allowance = subscription.allowance(now);
            assert!(allowance.left(self.year(&subscription.patient, allowance).len()) <= allowance.free);
        }
        let statement = self.statement();
        let accounts = PATIENTS.map(|patient| Account::Patient(id(patient)));
        for account in accounts.into_iter().chain(["payer", "hospital"].map(|name| Account::Organisation(id(name)))) {
            assert!(account.sums(&statement).values().all(|sum| *sum >= 0), "{account:?}");
        }
        for line in &statement {
            let Some(allowance) = line.charge.allowance() else { continue };
            let year = self.year(&line.charge.patient, allowance);
            let free = statement.iter().filter(|line| year.contains(&line.charge.place()) && line.due == 0).count();
            assert_eq!(free, year.len().min(allowance.free as usize));
        }
        let placed = self.orders.values().filter(|order| order.state == OrderState::Placed);
        let paid: i64 = placed.map(|order| order.amount).sum();
        let is_of_order = |line: &&ChargeLine| !matches!(line.charge.item, Item::Notarization { .. });
        let charged: i64 = statement.iter().filter(is_of_order).map(|line| line.due).sum();
        assert_eq!(charged, paid, "what was cancelled is given back, once");
        assert!(statement.iter().all(|line| line.charge.currency == usd()));
    }
}

fn order_id(number: usize) -> OrderId {
    id(&format!("o{number}"))
}

fn orderer(patient: &MemberId, by_payer: bool) -> Caller {
    if by_payer { caller("pia", Role::PayerOfficer) } else { caller(patient.as_str(), Role::Patient) }
}

fn call() -> impl Strategy<Value = Call> {
    let bill_to = prop::sample::select(vec![BillTo::Subscription, BillTo::Subscription, BillTo::Organisation]);
    prop_oneof![
        (0..PATIENTS.len(), 0..PLANS.len(), 1u32..=12, any::<bool>())
            .prop_map(|(patient, plan, periods, by_payer)| Call::Order { patient, plan, periods, by_payer }),
        (0..PATIENTS.len(), 0usize..20, any::<bool>()).prop_map(|(patient, order, by_payer)| Call::Cancel {
            patient,
            order,
            by_payer
        }),
        (0..PATIENTS.len(), bill_to).prop_map(|(patient, bill_to)| Call::Notarize { patient, bill_to }),
    ]
}

fn independent_calls() -> impl Strategy<Value = (Call, Call)> {
    (call(), call()).prop_filter("one reads what the other writes", |(one, other)| one.is_independent_of(other))
}

/// Calls with how many hours each comes after the one before.
fn history() -> impl Strategy<Value = Vec<(Call, u32)>> {
    let pause = prop_oneof![4 => 0u32..48, 1 => 0u32..5000];
    prop::collection::vec((call(), pause), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn sums_are_never_below_nothing_and_quotas_never_above_their_caps(history in history()) {
        let (mut ledger, mut now) = (Ledger::default(), NOW);
        for (number, (call, pause)) in history.iter().enumerate() {
            now = now.plus_hours(*pause);
            ledger.call(call, number, now);
            ledger.check(now);
        }
    }

    #[test]
    fn two_orders_of_independent_calls_end_in_the_same_state(history in history(), (one, other) in independent_calls()) {
        let (mut ledger, mut now) = (Ledger::default(), NOW);
        for (number, (call, pause)) in history.iter().enumerate() {
            now = now.plus_hours(*pause);
            ledger.call(call, number, now);
        }
        let (mut forwards, mut backwards) = (ledger.clone(), ledger);
        forwards.call(&one, 1000, now.plus_hours(1));
        forwards.call(&other, 1001, now.plus_hours(1));
        backwards.call(&other, 1001, now.plus_hours(1));
        backwards.call(&one, 1000, now.plus_hours(1));
        prop_assert_eq!(&forwards, &backwards);
        prop_assert_eq!(forwards.statement(), backwards.statement());
    }

    #[test]
    fn the_earlier_lines_of_a_statement_never_change(history in history()) {
        let (mut ledger, mut now) = (Ledger::default(), NOW);
        for (number, (call, pause)) in history.iter().enumerate() {
            let before = ledger.clone();
            now = now.plus_hours(*pause);
            ledger.call(call, number, now);
            prop_assert!(before.charges.iter().all(|(place, charge)| ledger.charges.get(place) == Some(charge)));
            prop_assert!(ledger.charges.len() <= before.charges.len() + 1);
            prop_assert_eq!(&ledger.statement()[..before.charges.len()], before.statement());
        }
    }
}
