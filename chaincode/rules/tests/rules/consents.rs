//! Granting and revoking consents.

use crate::support::*;
use healthchain_rules::consent::{GrantState, RevocationState, decide_grant, decide_reading, decide_revocation};
use healthchain_rules::*;

fn to_role() -> Terms {
    terms(Grantee::Role(Role::PayerOfficer), everything(), &[Purpose::Payment], Effect::Permit)
}

fn nothing() -> GrantState<'static> {
    GrantState::default()
}

fn standing(consent: Consent, book: ConsentBook) -> RevocationState {
    RevocationState { existing: Some(consent), book, ..RevocationState::default() }
}

fn grant(
    caller: &Caller,
    state: GrantState<'_>,
    terms: Terms,
) -> Result<Outcome<(Consent, ConsentBook), consent::MayGrant>, Refusal> {
    decide_grant(caller, &id("alice"), state, ConsentBook::default(), id("c"), terms, NOW)
}

#[test]
fn terms_name_at_least_one_purpose_and_record_and_end_after_they_begin() {
    let new = |scope, purposes: &[Purpose], from, until| {
        Terms::new(
            Grantee::Role(Role::Clinician),
            scope,
            purposes.iter().copied().collect(),
            from,
            until,
            Effect::Permit,
        )
    };
    assert!(new(everything(), &[Purpose::Payment], Some(at(1)), Some(at(2))).is_ok());
    assert!(new(everything(), &[], None, None).is_err());
    assert!(new(Scope::Categories([].into()), &[Purpose::Payment], None, None).is_err());
    assert!(new(only(&[]), &[Purpose::Payment], None, None).is_err());
    assert!(new(everything(), &[Purpose::Payment], Some(at(2)), Some(at(2))).is_err());
    let names: Vec<String> = (0..33).map(|n| format!("l{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(new(only(&names[..32]), &[Purpose::Payment], None, None).is_ok());
    assert!(new(only(&names), &[Purpose::Payment], None, None).is_err());
}

#[test]
fn only_the_patient_grants_revokes_and_reads_consents() {
    for other in [caller("bob", Role::Patient), caller("carol", Role::Clinician), Caller::Custodian(hospital())] {
        assert_eq!(code(grant(&other, nothing(), to_role())), RefusalCode::NotPermitted);
        assert_eq!(code(decide_reading(&other, &id("alice"), None, NOW)), RefusalCode::NotPermitted);
        let revoked = decide_revocation(&other, &id("alice"), RevocationState::default(), NOW);
        assert_eq!(code(revoked), RefusalCode::NotPermitted);
    }
    assert_eq!(code(grant(&suspended(alice()), nothing(), to_role())), RefusalCode::MemberSuspended);
}

#[test]
fn a_repeated_grant_is_harmless_and_another_one_under_its_id_is_refused() {
    let Ok(Outcome::Decided((consent, book), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let state = GrantState { existing: Some(&consent), ..nothing() };
    let again = decide_grant(&alice(), &id("alice"), state, book.clone(), id("c"), to_role(), at(5));
    assert_eq!(again.unwrap(), Outcome::Repeated((consent.clone(), book)));
    let other = terms(Grantee::Role(Role::Clinician), everything(), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), state, other)), RefusalCode::ConsentExists);
}

#[test]
fn a_grant_under_a_revoked_consents_id_is_refused_for_nothing_would_be_in_force() {
    let Ok(Outcome::Decided((consent, book), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let Ok(Outcome::Decided((revoked, book), _)) =
        decide_revocation(&alice(), &id("alice"), standing(consent, book), at(1))
    else {
        panic!("not new")
    };
    let state = GrantState { existing: Some(&revoked), ..nothing() };
    let again = decide_grant(&alice(), &id("alice"), state, book.clone(), id("c"), to_role(), at(2)).unwrap_err();
    assert_eq!(again.code(), RefusalCode::ConsentExists);
    assert!(again.detail().contains("revoked"), "{}", again.detail());
    assert!(book.standing(&id("alice"), at(2)).is_empty());
    let twice = decide_revocation(&alice(), &id("alice"), standing(revoked.clone(), book.clone()), at(3)).unwrap();
    assert_eq!(twice, Outcome::Repeated((revoked, book)));
}

#[test]
fn a_consent_names_only_what_exists_and_is_the_patients() {
    let to = |grantee| terms(grantee, everything(), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), nothing(), to(Grantee::Member(id("x"))))), RefusalCode::UnknownMember);
    assert_eq!(code(grant(&alice(), nothing(), to(Grantee::Organisation(id("x"))))), RefusalCode::UnknownOrganisation);
    let named = || terms(Grantee::Role(Role::PayerOfficer), only(&["l"]), &[Purpose::Payment], Effect::Permit);
    assert_eq!(code(grant(&alice(), nothing(), named())), RefusalCode::UnknownLink);
    let bobs = [Link { patient: id("bob"), ..link("l", Category::Summary) }];
    let state = GrantState { links: &bobs, ..nothing() };
    assert_eq!(code(grant(&alice(), state, named())), RefusalCode::UnknownLink);
}

#[test]
fn a_consent_that_has_ended_already_is_refused() {
    let terms = Terms::new(
        Grantee::Role(Role::PayerOfficer),
        everything(),
        [Purpose::Payment].into(),
        None,
        Some(NOW),
        Effect::Permit,
    );
    assert_eq!(code(grant(&alice(), nothing(), terms.unwrap())), RefusalCode::Malformed);
}

#[test]
fn a_book_is_full_at_256_consents_and_ended_ones_make_room() {
    let mut book = ConsentBook::default();
    for n in 0..256 {
        book = granted(book, &format!("c{n}"), to_role()).unwrap();
    }
    assert_eq!(code(granted(book, "one-more", to_role())), RefusalCode::TooManyConsents);

    let short = Terms::new(
        Grantee::Role(Role::Clinician),
        everything(),
        [Purpose::Research].into(),
        None,
        Some(at(10)),
        Effect::Permit,
    );
    let mut book = granted(ConsentBook::default(), "short", short.unwrap()).unwrap();
    for n in 0..255 {
        book = granted(book, &format!("c{n}"), to_role()).unwrap();
    }
    let later = decide_grant(&alice(), &id("alice"), nothing(), book, id("c255"), to_role(), at(10));
    assert!(matches!(later, Ok(Outcome::Decided(..))));
}

#[test]
fn a_book_names_at_most_1024_links() {
    let names: Vec<String> = (0..32).map(|n| format!("l{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let named = || terms(Grantee::Role(Role::PayerOfficer), only(&names), &[Purpose::Payment], Effect::Permit);
    let mut book = ConsentBook::default();
    for n in 0..32 {
        book = granted(book, &format!("c{n}"), named()).unwrap();
    }
    assert_eq!(code(granted(book, "one-more", named())), RefusalCode::TooManyConsents);
}

#[test]
fn another_patients_consent_is_unknown() {
    let Ok(Outcome::Decided((consent, _), _)) = grant(&alice(), nothing(), to_role()) else { panic!("not new") };
    let bob = caller("bob", Role::Patient);
    let revoked = decide_revocation(&bob, &id("bob"), standing(consent.clone(), ConsentBook::default()), NOW);
    assert_eq!(code(revoked), RefusalCode::UnknownConsent);
    let state = GrantState { existing: Some(&consent), ..nothing() };
    let taken = decide_grant(&bob, &id("bob"), state, ConsentBook::default(), id("c"), to_role(), NOW);
    assert_eq!(code(taken), RefusalCode::ConsentExists);
}
