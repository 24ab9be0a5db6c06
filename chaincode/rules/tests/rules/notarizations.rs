//! Who notarizes what, whom it is billed to, and who may know of it.

use crate::subscriptions::{delegation, guardian, running, usd};
use crate::support::*;
use healthchain_rules::charge::{Allowance, Charge, Item};
use healthchain_rules::notarization::*;
use healthchain_rules::*;

fn draft(bill_to: BillTo) -> NotarizationDraft {
    NotarizationDraft {
        id: id("n1"),
        patient: id("alice"),
        kind: NotarizedKind::Document,
        hash: hash("document"),
        bill_to,
    }
}

fn carol() -> Caller {
    caller("carol", Role::Clinician)
}

fn notarize(
    caller: &Caller,
    existing: Option<&Notarization>,
    subscription: Option<&Subscription>,
    draft: NotarizationDraft,
) -> Result<Outcome<Notarization, MayNotarize>, Refusal> {
    let alice = member_of(&home(Role::Patient), "alice", Role::Patient);
    let settings = Settings { notarization_price: 250, currency: id("EUR"), ..Settings::default() };
    let ground = NotarizationGround { existing, patient: Some(&alice), subscription, settings: &settings };
    decide_notarization(caller, ground, draft, hash("transaction"), NOW)
}

fn notarized() -> Notarization {
    let Ok(Outcome::Decided(notarization, _)) = notarize(&carol(), None, None, draft(BillTo::Organisation)) else {
        panic!("not new")
    };
    notarization
}

pub(crate) fn revoked() -> Notarization {
    let Ok(Outcome::Decided(revoked, _)) = decide_revocation(&carol(), Some(notarized()), id("wrong page"), at(5))
    else {
        panic!("not revoked")
    };
    revoked
}

/// What one in the first year of a subscription costs that offers two a year for nothing.
pub(crate) fn charge() -> Charge {
    let subscription = Subscription { from: at(0), ..running(Payer::Organisation(id("payer"))) };
    let Ok(Outcome::Decided(_, proof)) = notarize(&carol(), None, Some(&subscription), draft(BillTo::Subscription))
    else {
        panic!("not new")
    };
    proof.charge().clone()
}

#[test]
fn a_notarization_says_who_saw_what_when_and_in_which_transaction() {
    let expected = Notarization {
        id: id("n1"),
        patient: id("alice"),
        kind: NotarizedKind::Document,
        hash: hash("document"),
        notary: id("carol"),
        organisation: id("hospital"),
        time: NOW,
        transaction: hash("transaction"),
        bill_to: BillTo::Organisation,
        state: NotarizationState::Valid,
    };
    assert_eq!(notarized(), expected);
}

#[test]
fn the_notarys_organisation_is_billed_at_the_price_of_the_settings() {
    let Ok(Outcome::Decided(_, proof)) = notarize(&carol(), None, None, draft(BillTo::Organisation)) else {
        panic!("not new")
    };
    let charge = proof.charge();
    assert_eq!((charge.amount, charge.currency.as_str()), (250, "EUR"));
    assert_eq!(charge.payer, Payer::Organisation(id("hospital")));
    assert_eq!((charge.time, &charge.transaction), (NOW, &hash("transaction")));
    assert_eq!(charge.patient, id("alice"));
    assert_eq!(charge.item, Item::Notarization { notarization: id("n1"), allowance: None });
}

#[test]
fn a_subscription_is_billed_at_its_plans_price_and_offers_its_allowance() {
    let charge = charge();
    assert_eq!((charge.amount, charge.currency.clone()), (40, usd()));
    assert_eq!(charge.payer, Payer::Organisation(id("payer")));
    assert_eq!(charge.allowance(), Some(Allowance { year: NOW, free: 2 }));
}

#[test]
fn without_a_subscription_in_force_there_is_none_to_bill() {
    let bill = |subscription: Option<&Subscription>| {
        notarize(&carol(), None, subscription, draft(BillTo::Subscription)).map(|_| ())
    };
    assert_eq!(code(bill(None)), RefusalCode::NoSubscription);
    let subscription = Subscription { until: at(-10), grace_until: at(0), ..running(Payer::Patient) };
    assert_eq!(code(bill(Some(&subscription))), RefusalCode::NoSubscription, "lapsed this moment");
    let in_grace = Subscription { grace_until: at(1), ..subscription.clone() };
    assert_eq!(bill(Some(&in_grace)), Ok(()));
    assert!(notarize(&carol(), None, Some(&subscription), draft(BillTo::Organisation)).is_ok());
}

#[test]
fn clinicians_and_pharmacists_notarize_and_nobody_else() {
    for role in Role::ALL {
        let found = notarize(&caller("somebody", role), None, None, draft(BillTo::Organisation));
        if matches!(role, Role::Clinician | Role::Pharmacist) {
            assert!(found.is_ok(), "{role}");
        } else {
            assert_eq!(code(found), RefusalCode::NotPermitted, "{role}");
        }
    }
    let gateway = Caller::Custodian(hospital());
    assert_eq!(code(notarize(&gateway, None, None, draft(BillTo::Organisation))), RefusalCode::NotPermitted);
    assert_eq!(
        code(notarize(&suspended(carol()), None, None, draft(BillTo::Organisation))),
        RefusalCode::MemberSuspended
    );
}

#[test]
fn one_notarizes_for_patients_only() {
    let settings = Settings::default();
    let carl = member_of(&hospital(), "carl", Role::Clinician);
    for patient in [None, Some(&carl)] {
        let ground = NotarizationGround { existing: None, patient, subscription: None, settings: &settings };
        let found = decide_notarization(&carol(), ground, draft(BillTo::Organisation), hash("t"), NOW);
        assert_eq!(code(found), RefusalCode::UnknownPatient);
    }
}

#[test]
fn a_repeated_notarization_is_harmless_and_another_under_its_id_is_refused() {
    let first = notarized();
    let again = |caller: &Caller, draft| notarize(caller, Some(&first), None, draft);
    let same = draft(BillTo::Organisation);
    assert_eq!(again(&carol(), same.clone()), Ok(Outcome::Repeated(first.clone())));
    assert_eq!(again(&caller("dora", Role::Clinician), same.clone()), Ok(Outcome::Repeated(first.clone())));
    for other in [
        NotarizationDraft { patient: id("bob"), ..same.clone() },
        NotarizationDraft { kind: NotarizedKind::Immunization, ..same.clone() },
        NotarizationDraft { hash: hash("other"), ..same.clone() },
        NotarizationDraft { bill_to: BillTo::Subscription, ..same.clone() },
    ] {
        assert_eq!(code(again(&carol(), other)), RefusalCode::NotarizationExists);
    }
    let elsewhere = caller_of(clinic(), "clara", Role::Clinician);
    assert_eq!(code(again(&elsewhere, same.clone())), RefusalCode::NotarizationExists);
    let revoked = revoked();
    assert_eq!(notarize(&carol(), Some(&revoked), None, same), Ok(Outcome::Repeated(revoked.clone())));
}

#[test]
fn who_notarizes_for_the_notarys_organisation_revokes_and_says_why() {
    let dora = caller("dora", Role::Clinician);
    let Ok(Outcome::Decided(gone, _)) = decide_revocation(&dora, Some(notarized()), id("wrong page"), at(5)) else {
        panic!("not revoked")
    };
    let state = NotarizationState::Revoked { by: id("dora"), at: at(5), reason: id("wrong page") };
    assert_eq!(gone, Notarization { state, ..notarized() });

    let again = |reason: &str| decide_revocation(&carol(), Some(gone.clone()), id(reason), at(9));
    assert_eq!(again("wrong page"), Ok(Outcome::Repeated(gone.clone())));
    assert_eq!(code(again("forged")), RefusalCode::NotarizationRevoked);
}

#[test]
fn revocation_is_refused_to_all_others() {
    let revoke = |caller: &Caller| decide_revocation(caller, Some(notarized()), id("wrong page"), NOW);
    for role in Role::ALL.into_iter().filter(|role| !role.may(Permission::Notarize)) {
        assert_eq!(code(revoke(&caller("somebody", role))), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(revoke(&suspended(carol()))), RefusalCode::MemberSuspended);
    assert_eq!(code(revoke(&Caller::Custodian(hospital()))), RefusalCode::NotPermitted);
    let elsewhere = caller_of(clinic(), "clara", Role::Clinician);
    assert_eq!(code(revoke(&elsewhere)), RefusalCode::UnknownNotarization);
    assert_eq!(code(decide_revocation(&carol(), None, id("wrong page"), NOW)), RefusalCode::UnknownNotarization);
}

#[test]
fn verification_tells_everything_but_the_patient_and_whom_it_was_billed_to() {
    let told = serde_json::to_value(revoked().verification()).unwrap();
    let mut whole = serde_json::to_value(revoked()).unwrap();
    let whole = whole.as_object_mut().unwrap();
    assert!(whole.remove("patient").is_some() && whole.remove("bill_to").is_some());
    assert_eq!(told.as_object().unwrap(), whole);
    assert!(!told.to_string().contains("alice"));
}

#[test]
fn the_patient_its_guardian_and_the_notarys_organisation_read_a_notarization() {
    let read =
        |caller: &Caller, delegation: Option<&Delegation>| decide_reading(caller, Some(notarized()), delegation, NOW);
    let carl = caller("carl", Role::Clinician);
    for reader in [alice(), carol(), carl, caller("pam", Role::PrivacyOfficer), caller("adam", Role::Administrator)] {
        assert_eq!(read(&reader, None), Ok(notarized()));
    }
    let let_read = delegation(&[Power::ReadAudit]);
    assert_eq!(read(&guardian(), Some(&let_read)), Ok(notarized()));
    let let_subscribe = delegation(&[Power::Subscribe]);
    for (other, delegation) in [
        (guardian(), None),
        (guardian(), Some(&let_subscribe)),
        (caller("bob", Role::Patient), None),
        (caller("max", Role::Maintainer), None),
        (caller("pia", Role::PayerOfficer), None),
        (caller_of(clinic(), "clara", Role::Clinician), None),
        (caller_of(clinic(), "paul", Role::PrivacyOfficer), None),
    ] {
        assert_eq!(code(read(&other, delegation)), RefusalCode::UnknownNotarization);
    }
    assert_eq!(code(read(&suspended(alice()), None)), RefusalCode::MemberSuspended);
    assert_eq!(code(read(&Caller::Custodian(hospital()), None)), RefusalCode::NotPermitted);
    assert_eq!(code(decide_reading(&alice(), None, None, NOW)), RefusalCode::UnknownNotarization);
}

#[test]
fn a_patients_list_is_for_the_patient_and_guardians_who_may_read_its_trail() {
    let list = |caller: &Caller, delegation: Option<&Delegation>| {
        decide_listing(caller, &id("alice"), delegation, NOW).map(|_| ())
    };
    assert_eq!(list(&alice(), None), Ok(()));
    let let_read = delegation(&[Power::ReadAudit]);
    assert_eq!(list(&guardian(), Some(&let_read)), Ok(()));
    assert_eq!(code(list(&guardian(), Some(&delegation(&[Power::Open])))), RefusalCode::NotPermitted);
    for role in Role::ALL {
        assert_eq!(code(list(&caller("other", role), Some(&let_read))), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(code(list(&suspended(alice()), None)), RefusalCode::MemberSuspended);
}
