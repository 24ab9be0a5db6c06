//! What is due, and who reads whose statement.

use std::collections::BTreeMap;

use crate::subscriptions::*;
use crate::support::*;
use healthchain_rules::charge::*;
use healthchain_rules::*;

#[test]
fn a_statement_is_for_those_whose_account_it_is() {
    let read = |caller: &Caller, account: &Account, delegation: Option<&Delegation>| {
        decide_reading_statement(caller, account, delegation, None, None, NOW).map(|_| ())
    };
    let patient = Account::Patient(id("alice"));
    assert_eq!(read(&alice(), &patient, None), Ok(()));
    assert_eq!(read(&guardian(), &patient, Some(&delegation(&[Power::Subscribe]))), Ok(()));
    assert_eq!(code(read(&guardian(), &patient, Some(&delegation(&[Power::Consent])))), RefusalCode::NotPermitted);
    for role in Role::ALL {
        assert_eq!(code(read(&caller("other", role), &patient, None)), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(read(&suspended(alice()), &patient, None)), RefusalCode::MemberSuspended);

    let account = Account::Organisation(id("payer"));
    for role in [Role::PayerOfficer, Role::Administrator] {
        assert_eq!(read(&caller_of(home(Role::PayerOfficer), "any", role), &account, None), Ok(()));
    }
    for role in Role::ALL.into_iter().filter(|role| !role.may(Permission::ReadStatement)) {
        let member = caller_of(home(Role::PayerOfficer), "any", role);
        assert_eq!(code(read(&member, &account, None)), RefusalCode::NotPermitted, "{role}");
    }
    let adam = caller("adam", Role::Administrator);
    assert_eq!(code(read(&adam, &account, None)), RefusalCode::OtherOrganisation);
    assert_eq!(code(read(&suspended(pia()), &account, None)), RefusalCode::MemberSuspended);
}

#[test]
fn a_statements_end_is_later_than_its_beginning() {
    let read = |from, until| {
        decide_reading_statement(&alice(), &Account::Patient(id("alice")), None, from, until, NOW).map(|_| ())
    };
    for (from, until) in [(Some(at(1)), Some(at(2))), (None, Some(at(0))), (Some(at(5)), None)] {
        assert_eq!(read(from, until), Ok(()));
    }
    assert_eq!(code(read(Some(at(1)), Some(at(1)))), RefusalCode::Malformed);
    assert_eq!(code(read(Some(at(2)), Some(at(1)))), RefusalCode::Malformed);
}

fn notarization_charge(when: LedgerTime, transaction: &str, allowance: Option<Allowance>) -> Charge {
    Charge {
        transaction: hash(transaction),
        time: when,
        patient: id("alice"),
        payer: Payer::Patient,
        item: Item::Notarization { notarization: id("n1"), allowance },
        amount: 40,
        currency: usd(),
    }
}

#[test]
fn the_first_notarizations_of_a_year_are_free_by_time_and_then_by_transaction() {
    let allowance = Some(Allowance { year: NOW, free: 2 });
    let charges = [("b", 2), ("a", 2), ("c", 1), ("d", 3)]
        .map(|(transaction, time)| notarization_charge(at(time), transaction, allowance));
    let mut places: Vec<Place> = charges.iter().map(Charge::place).collect();
    places.sort();
    assert_eq!(charges.each_ref().map(|charge| charge.due(&places)), [40, 0, 0, 40]);
    assert_eq!(charges.each_ref().map(|charge| charge.due(&places[..2])), [40, 0, 0, 40], "as many as are free");
    let unpaid = notarization_charge(at(1), "c", None);
    assert_eq!(unpaid.due(&places), 40, "no allowance");
    let none_free = notarization_charge(at(1), "c", Some(Allowance { year: NOW, free: 0 }));
    assert_eq!(none_free.due(&places), 40);
}

#[test]
fn an_allowance_is_used_up_and_never_below_nothing() {
    let allowance = Allowance { year: NOW, free: 2 };
    assert_eq!([0, 1, 2, 3, usize::MAX].map(|used| allowance.left(used)), [2, 1, 0, 0, 0]);
}

#[test]
fn an_accounts_sums_are_what_it_pays_by_currency() {
    let line = |payer: Payer, patient: &str, currency: &str, due: i64| ChargeLine {
        charge: Charge { payer, patient: id(patient), currency: id(currency), ..notarization_charge(NOW, "t", None) },
        due,
    };
    let lines = [
        line(Payer::Patient, "alice", "USD", 500),
        line(Payer::Patient, "alice", "EUR", 7),
        line(Payer::Patient, "alice", "USD", -200),
        line(Payer::Patient, "bob", "USD", 1),
        line(payer(), "alice", "USD", 90),
        line(payer(), "bob", "USD", 9),
        line(Payer::Organisation(id("insurer")), "bob", "USD", 10_000),
    ];
    let sums = |account: Account| account.sums(&lines);
    let expected = |sums: &[(&str, i64)]| -> Sums { sums.iter().map(|(name, sum)| (id(name), *sum)).collect() };
    assert_eq!(sums(Account::Patient(id("alice"))), expected(&[("EUR", 7), ("USD", 300)]));
    assert_eq!(sums(Account::Organisation(id("payer"))), expected(&[("USD", 99)]));
    assert_eq!(sums(Account::Organisation(id("hospital"))), BTreeMap::new());
}

#[test]
fn a_period_of_a_statement_begins_with_what_is_older_than_its_end() {
    let place = Place::last_before(at(5));
    assert_eq!((place.time, place.transaction), (at(4), hash("")));
    assert_eq!(Place::last_before(LedgerTime::from_milliseconds(0)).time, LedgerTime::from_milliseconds(0));
}
