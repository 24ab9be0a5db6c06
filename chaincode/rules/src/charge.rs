//! Charges: who owes what for which patient, in integers of minor units. A charge never changes and nothing is summed up on the
//! ledger: a statement says what is due when it is asked for, so that concurrent notarizations share no counter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delegation::{Delegation, Power, require_acting_for};
use crate::identifier::{Currency, Malformed, MemberId, MspId, NotarizationId, OrderId, PlanId, TransactionId};
use crate::member::Caller;
use crate::refusal::{Refusal, RefusalCode};
use crate::role::Permission;
use crate::subscription::Payer;
use crate::time::LedgerTime;

/// An amount of money that is asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// In minor units of the currency, such as cents.
    pub amount: u32,
    /// The currency.
    pub currency: Currency,
}

/// That somebody owes something for a patient. Named by its transaction; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Charge {
    /// The transaction that it came from.
    pub transaction: TransactionId,
    /// When.
    pub time: LedgerTime,
    /// For which patient.
    pub patient: MemberId,
    /// Who owes it.
    pub payer: Payer,
    /// For what.
    pub item: Item,
    /// How much at most, in minor units; below zero when something is given back.
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
}

/// What a charge is for. JSON: `{"order":{…}}`, `{"cancellation":{…}}` or `{"notarization":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Item {
    /// A subscription was ordered.
    Order {
        /// By which order.
        order: OrderId,
        /// Of which plan.
        plan: PlanId,
        /// From when.
        from: LedgerTime,
        /// Until when (that moment excluded).
        until: LedgerTime,
    },
    /// An order was taken back before its period began: the amount is what it had cost, below zero.
    Cancellation {
        /// Which order.
        order: OrderId,
    },
    /// Something was notarized.
    Notarization {
        /// Which notarization.
        notarization: NotarizationId,
        /// The free ones that it may be among; none when the notary's organisation pays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allowance: Option<Allowance>,
    },
}

/// Notarizations that a subscription offers for nothing: the first of each of its years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Allowance {
    /// When the year of the subscription began.
    pub year: LedgerTime,
    /// How many are free.
    pub free: u32,
}

/// Where something stands among a patient's notarizations of a year: by time, and by transaction among those of one time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// When.
    pub time: LedgerTime,
    /// Its transaction.
    pub transaction: TransactionId,
}

/// Whose statement. JSON: `{"patient": "…"}` or `{"organisation": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// Every charge for this patient, whoever pays it; the sums are what the patient pays.
    Patient(MemberId),
    /// Every charge that this organisation pays, for whichever patient.
    Organisation(MspId),
}

/// A charge on a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeLine {
    /// The charge.
    #[serde(flatten)]
    pub charge: Charge,
    /// What is due for it: nothing if it is among the free ones, else its amount.
    pub due: i64,
}

/// Amounts in minor units, by currency.
pub type Sums = BTreeMap<Currency, i64>;

/// Proof that the caller may read this account's statement.
#[derive(Debug, PartialEq, Eq)]
pub struct MayReadStatement(());

/// Whether the caller may read this account's statement, and whether it asks for a period: of a patient, the patient and guardians who
/// may subscribe for it; of an organisation, its members who may read statements. `delegation` is the patient's for the caller.
pub fn decide_reading_statement(
    caller: &Caller,
    account: &Account,
    delegation: Option<&Delegation>,
    from: Option<LedgerTime>,
    until: Option<LedgerTime>,
    at: LedgerTime,
) -> Result<MayReadStatement, Refusal> {
    match account {
        Account::Patient(patient) => {
            require_acting_for(caller, patient, Permission::OrderSubscription, Power::Subscribe, delegation, at)?;
        }
        Account::Organisation(organisation) => {
            let actor = caller.permitted_member(Permission::ReadStatement)?;
            if actor.organisation.msp_id != *organisation {
                return Err(Refusal::new(
                    RefusalCode::OtherOrganisation,
                    "another organisation's statement: ask for that of the own organisation",
                ));
            }
        }
    }
    if from.zip(until).is_some_and(|(from, until)| until <= from) {
        return Err(Malformed::new("a statement's end", "later than its beginning").into());
    }
    Ok(MayReadStatement(()))
}

impl Charge {
    /// Where it stands among others.
    pub fn place(&self) -> Place {
        Place { time: self.time, transaction: self.transaction.clone() }
    }

    /// What is due for it. `first` are the patient's first notarizations of the allowance's year: at least as many as are free, if there
    /// are so many.
    pub fn due(&self, first: &[Place]) -> i64 {
        match &self.item {
            Item::Notarization { allowance: Some(allowance), .. } => {
                let is_free = first.iter().take(allowance.free as usize).any(|place| *place == self.place());
                if is_free { 0 } else { self.amount }
            }
            Item::Notarization { allowance: None, .. } | Item::Order { .. } | Item::Cancellation { .. } => self.amount,
        }
    }

    /// The allowance that it may come under.
    pub const fn allowance(&self) -> Option<Allowance> {
        match self.item {
            Item::Notarization { allowance, .. } => allowance,
            Item::Order { .. } | Item::Cancellation { .. } => None,
        }
    }
}

impl Allowance {
    /// How many are left when so many were used.
    pub fn left(self, used: usize) -> u32 {
        self.free.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }
}

impl Place {
    /// In a list with the newest first, where those begin that are older than this.
    pub fn last_before(until: LedgerTime) -> Self {
        let time = LedgerTime::from_milliseconds(until.milliseconds().saturating_sub(1));
        let transaction = "0".repeat(64).parse().expect("64 digits are a transaction id");
        Self { time, transaction }
    }
}

impl Account {
    /// What this account pays of these lines.
    pub fn sums(&self, lines: &[ChargeLine]) -> Sums {
        let mut sums = Sums::new();
        for line in lines.iter().filter(|line| self.pays(&line.charge)) {
            *sums.entry(line.charge.currency.clone()).or_default() += line.due;
        }
        sums
    }

    fn pays(&self, charge: &Charge) -> bool {
        match (self, &charge.payer) {
            (Self::Patient(patient), Payer::Patient) => charge.patient == *patient,
            (Self::Organisation(organisation), Payer::Organisation(payer)) => organisation == payer,
            (Self::Patient(_), Payer::Organisation(_)) | (Self::Organisation(_), Payer::Patient) => false,
        }
    }
}
