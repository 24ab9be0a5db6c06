//! Erasing: who may, what the receipt says, and that it is final.

use std::collections::BTreeSet;

use crate::support::*;
use healthchain_rules::erasure::{
    ErasureState, MayErase, decide_confirmation, decide_erasing, decide_erasure, decide_reading,
};
use healthchain_rules::link::{Draft, decide_publication, decide_withdrawal};
use healthchain_rules::*;

fn pam() -> Caller {
    caller("pam", Role::PrivacyOfficer)
}

fn there() -> Link {
    link("l", Category::Summary)
}

fn erase(
    caller: &Caller,
    link: Link,
    existing: Option<ErasureReceipt>,
    reason: &str,
) -> Result<Outcome<(Link, ErasureReceipt), MayErase>, Refusal> {
    let state = ErasureState { existing, former: &[], envelopes: 3, amendments: BTreeSet::new(), custodians: None };
    decide_erasure(caller, link, state, id(reason), NOW)
}

fn erased() -> (Link, ErasureReceipt) {
    match erase(&pam(), there(), None, "asked for by court") {
        Ok(Outcome::Decided(erased, _)) => erased,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_receipt_says_what_was_destroyed_by_whom_and_what_stays() {
    let first = there().current;
    let current = Version { number: 2, content: Content { hash: hash("second"), ..content() }, ..first.clone() };
    let amended = Link { current, ..there() };
    let custodians = Some(Custodians::of(id("hospital"), [id("clinic"), id("payer")].into()));
    let amendments = [id("a")].into();
    let state = ErasureState { existing: None, former: &[first], envelopes: 7, amendments, custodians };
    let erased = decide_erasure(&pam(), amended.clone(), state, id("asked for by court"), NOW);
    let Ok(Outcome::Decided((link, receipt), _)) = erased else { panic!("not new") };
    let state = LinkState::Erased { by: id("pam"), at: NOW, reason: id("asked for by court") };
    assert_eq!(link, Link { state, ..amended });
    let version = |number, content_hash| DestroyedVersion { number, content_hash };
    let expected = ErasureReceipt {
        link: id("l"),
        patient: id("alice"),
        publisher: id("hospital"),
        by: id("pam"),
        at: NOW,
        reason: id("asked for by court"),
        destroyed: Destroyed {
            versions: vec![version(1, hash("content")), version(2, hash("second"))],
            envelopes: 7,
            amendments: [id("a")].into(),
        },
        stays: vec![Remains::SealedEnvelopesInBlocks, Remains::AuditTrail, Remains::IdentifiersAndHashes],
        content: Destruction::Ordered,
        copies: [(id("clinic"), Destruction::Ordered), (id("payer"), Destruction::Ordered)].into(),
        namings: 0,
    };
    assert_eq!(receipt, expected);
}

/// What the receipt says of copies is what their keepers said.
#[test]
fn each_custodian_that_the_receipt_names_reads_it_and_confirms_for_itself() {
    let (link, receipt) = erased();
    let copies = [(id("clinic"), Destruction::Ordered), (id("payer"), Destruction::Ordered)].into();
    let receipt = ErasureReceipt { copies, ..receipt };
    let confirm = |caller: &Caller, receipt: &ErasureReceipt| {
        decide_confirmation(caller, Some(link.clone()), Some(receipt.clone()), at(9))
    };
    let keeper = Caller::Custodian(clinic());
    let Ok(Outcome::Decided(confirmed, _)) = confirm(&keeper, &receipt) else { panic!("refused") };
    let gone = Destruction::Confirmed { at: at(9) };
    let copies = [(id("clinic"), gone), (id("payer"), Destruction::Ordered)].into();
    assert_eq!(confirmed, ErasureReceipt { copies, ..receipt.clone() });
    assert_eq!(confirm(&keeper, &confirmed), Ok(Outcome::Repeated(confirmed.clone())));
    let Ok(Outcome::Decided(both, _)) = confirm(&Caller::Custodian(hospital()), &confirmed) else { panic!("refused") };
    assert_eq!(both, ErasureReceipt { content: gone, ..confirmed.clone() });

    assert_eq!(code(confirm(&Caller::Custodian(home(Role::Pharmacist)), &receipt)), RefusalCode::UnknownLink);
    assert_eq!(code(confirm(&caller_of(clinic(), "pat", Role::PrivacyOfficer), &receipt)), RefusalCode::NotPermitted);
    assert_eq!(decide_reading(&keeper, Some(&link), Some(receipt.clone()), None), Ok(receipt.clone()));
    let member = caller_of(clinic(), "pat", Role::PrivacyOfficer);
    assert_eq!(code(decide_reading(&member, Some(&link), Some(receipt), None)), RefusalCode::UnknownLink);
}

/// An erasure when the clinic had been struck off and had not said that it destroyed its copies, at the third naming.
fn erased_with_a_former_custodian() -> (Link, ErasureReceipt, Custodians) {
    let custodians = Custodians {
        former: [id("clinic")].into(),
        namings: 3,
        ..Custodians::of(id("hospital"), [id("payer")].into())
    };
    let (amendments, named) = (BTreeSet::new(), Some(custodians.clone()));
    let state = ErasureState { existing: None, former: &[], envelopes: 3, amendments, custodians: named };
    let outcome = decide_erasure(&pam(), there(), state, id("asked for by court"), NOW);
    let Ok(Outcome::Decided((link, receipt), _)) = outcome else { panic!("refused") };
    (link, receipt, custodians)
}

#[test]
fn whoever_was_struck_off_and_may_still_hold_a_copy_is_on_the_receipt_and_confirms_as_custodians_do() {
    let (link, receipt, _) = erased_with_a_former_custodian();
    let ordered = [(id("clinic"), Destruction::Ordered), (id("payer"), Destruction::Ordered)];
    assert_eq!((&receipt.copies, receipt.namings), (&ordered.into(), 3));
    let confirmed = decide_confirmation(&Caller::Custodian(clinic()), Some(link.clone()), Some(receipt.clone()), at(9));
    let Ok(Outcome::Decided(confirmed, _)) = confirmed else { panic!("refused") };
    assert_eq!(confirmed.copies[&id::<MspId>("clinic")], Destruction::Confirmed { at: at(9) });
    assert_eq!(confirmed.copies[&id::<MspId>("payer")], Destruction::Ordered);

    // Another publisher's custodians have nothing to do with it.
    let others = Custodians::of(id("clinic"), [id("payer")].into());
    let state = ErasureState {
        existing: None,
        former: &[],
        envelopes: 3,
        amendments: BTreeSet::new(),
        custodians: Some(others),
    };
    let outcome = decide_erasure(&pam(), there(), state, id("asked for by court"), NOW);
    let Ok(Outcome::Decided((_, receipt), _)) = outcome else { panic!("refused") };
    assert!(receipt.copies.is_empty());
}

/// What came first is told by how often custodians had been named, never by the clocks of two organisations.
#[test]
fn a_word_for_all_copies_is_on_the_receipts_that_waited_for_it_and_on_no_later_ones() {
    let (link, receipt, custodians) = erased_with_a_former_custodian();
    let cleared = |namings, time| Custodians {
        cleared: [(id("clinic"), Clearance { at: time, namings })].into(),
        ..custodians.clone()
    };
    let read = |custodians: &Custodians| {
        decide_reading(&alice(), Some(&link), Some(receipt.clone()), Some(custodians)).unwrap().copies
    };
    let long_ago = LedgerTime::from_milliseconds(1);
    for time in [long_ago, at(9)] {
        for namings in [3, 7] {
            let copies = [(id("clinic"), Destruction::Confirmed { at: time }), (id("payer"), Destruction::Ordered)];
            assert_eq!(read(&cleared(namings, time)), copies.into());
        }
        // It was cleared before, and named again.
        assert_eq!(read(&cleared(2, time)), receipt.copies);
    }
    assert_eq!(read(&custodians), receipt.copies);
    assert_eq!(read(&Custodians { organisation: id("payer"), ..cleared(3, NOW) }), receipt.copies);

    let repeated = ErasureState {
        existing: Some(receipt.clone()),
        former: &[],
        envelopes: 0,
        amendments: BTreeSet::new(),
        custodians: Some(cleared(3, NOW)),
    };
    let outcome = decide_erasure(&pam(), link.clone(), repeated, id("asked for by court"), at(9));
    let Ok(Outcome::Repeated((_, told))) = outcome else { panic!("not repeated") };
    assert_eq!(told.copies, read(&cleared(3, NOW)));

    // Its own word for this link, which came earlier, stands.
    let gone = Destruction::Confirmed { at: at(5) };
    let copies = [(id("clinic"), gone), (id("payer"), Destruction::Ordered)].into();
    let confirmed = ErasureReceipt { copies, ..receipt.clone() };
    let told = decide_reading(&alice(), Some(&link), Some(confirmed.clone()), Some(&cleared(3, at(9))));
    assert_eq!(told, Ok(confirmed));
}

#[test]
fn only_the_publishers_privacy_officers_erase() {
    let refused = |caller: &Caller| {
        let refused = code(erase(caller, there(), None, "reason"));
        assert_eq!(code(decide_erasing(caller, Some(there()))), refused);
        refused
    };
    for role in Role::ALL.into_iter().filter(|role| *role != Role::PrivacyOfficer) {
        assert_eq!(refused(&caller_of(hospital(), "x", role)), RefusalCode::NotPermitted, "{role}");
    }
    assert_eq!(refused(&caller_of(clinic(), "pat", Role::PrivacyOfficer)), RefusalCode::UnknownLink);
    assert_eq!(refused(&alice()), RefusalCode::OtherOrganisation);
    assert_eq!(refused(&Caller::Custodian(hospital())), RefusalCode::NotPermitted);
    assert_eq!(refused(&suspended(pam())), RefusalCode::MemberSuspended);
    assert_eq!(code(decide_erasing(&pam(), None)), RefusalCode::UnknownLink);
    assert_eq!(decide_erasing(&pam(), Some(there())), Ok(there()));
}

#[test]
fn a_repeated_erasure_is_harmless_and_one_for_another_reason_is_refused() {
    let (link, receipt) = erased();
    let colleague = caller("paula", Role::PrivacyOfficer);
    let again = erase(&colleague, link.clone(), Some(receipt.clone()), "asked for by court");
    assert_eq!(again, Ok(Outcome::Repeated((link.clone(), receipt.clone()))));
    assert_eq!(code(erase(&pam(), link, Some(receipt), "other")), RefusalCode::LinkErased);
}

#[test]
fn a_withdrawn_link_can_be_erased_too() {
    let (by, reason) = (id("carol"), id("wrong patient"));
    let state = LinkState::Withdrawn { by, at: NOW, reason, superseded_by: None };
    let outcome = erase(&pam(), Link { state, ..there() }, None, "wrong patient");
    let Ok(Outcome::Decided((link, _), _)) = outcome else { panic!("refused") };
    assert!(matches!(link.state, LinkState::Erased { .. }));
}

#[test]
fn nothing_more_is_done_to_an_erased_link() {
    let (link, _) = erased();
    let carol = caller("carol", Role::Clinician);
    let withdrawal = decide_withdrawal(&carol, Some(link.clone()), None, None, id("asked for by court"), NOW);
    assert_eq!(code(withdrawal), RefusalCode::LinkErased);
    assert_eq!(code(link.require_active()), RefusalCode::LinkErased);
    let draft = Draft {
        id: id("l"),
        patient: id("alice"),
        category: Category::Summary,
        content: content(),
        commitment: hash("commitment"),
    };
    let patient = member_of(&home(Role::Patient), "alice", Role::Patient);
    let publication = decide_publication(&carol, Some(&patient), Some((&link, &link.current)), &[], draft, &[], NOW);
    assert_eq!(code(publication), RefusalCode::LinkErased);
    for opener in [alice(), carol] {
        let decided = decision(&opener, &link, &book_of(&[]), Purpose::Personal, NOW);
        assert_eq!(denial(decided), Denial::LinkErased);
    }
    let replaced = decide_withdrawal(
        &caller("carol", Role::Clinician),
        Some(Link { id: id("other"), ..there() }),
        Some(id("l")),
        Some(&link),
        id("replaced"),
        NOW,
    );
    assert_eq!(code(replaced), RefusalCode::SupersedingLink);
}

#[test]
fn the_publishers_gateway_confirms_once_that_the_content_is_gone() {
    let (link, receipt) = erased();
    let confirm = |caller: &Caller, receipt: Option<&ErasureReceipt>| {
        decide_confirmation(caller, Some(link.clone()), receipt.cloned(), at(9))
    };
    let gateway = Caller::Custodian(hospital());
    let Ok(Outcome::Decided(confirmed, _)) = confirm(&gateway, Some(&receipt)) else { panic!("refused") };
    assert_eq!(confirmed, ErasureReceipt { content: Destruction::Confirmed { at: at(9) }, ..receipt.clone() });
    assert_eq!(confirm(&gateway, Some(&confirmed)), Ok(Outcome::Repeated(confirmed.clone())));

    assert_eq!(code(confirm(&gateway, None)), RefusalCode::LinkNotErased);
    assert_eq!(code(confirm(&Caller::Custodian(clinic()), Some(&receipt))), RefusalCode::UnknownLink);
    assert_eq!(code(confirm(&pam(), Some(&receipt))), RefusalCode::NotPermitted);
    assert_eq!(code(confirm(&suspended(pam()), Some(&receipt))), RefusalCode::MemberSuspended);
    assert_eq!(code(decide_confirmation(&gateway, None, None, NOW)), RefusalCode::UnknownLink);
}

#[test]
fn the_receipt_is_for_the_patient_and_the_publisher() {
    let (link, receipt) = erased();
    let read =
        |caller: &Caller, receipt: Option<&ErasureReceipt>| decide_reading(caller, Some(&link), receipt.cloned(), None);
    for reader in [alice(), pam(), caller("carol", Role::Clinician), Caller::Custodian(hospital())] {
        assert_eq!(read(&reader, Some(&receipt)), Ok(receipt.clone()), "{reader:?}");
    }
    for stranger in [caller("bob", Role::Patient), caller_of(clinic(), "clara", Role::Clinician)] {
        assert_eq!(code(read(&stranger, Some(&receipt))), RefusalCode::UnknownLink, "{stranger:?}");
    }
    assert_eq!(code(read(&Caller::Custodian(clinic()), Some(&receipt))), RefusalCode::UnknownLink);
    assert_eq!(code(read(&suspended(alice()), Some(&receipt))), RefusalCode::MemberSuspended);
    assert_eq!(code(read(&alice(), None)), RefusalCode::LinkNotErased);
    assert_eq!(code(decide_reading(&alice(), None, None, None)), RefusalCode::UnknownLink);
}
