//! Who vouches for a member's identity.

use crate::support::*;
use healthchain_rules::attestation::{IdentityAttestation, MayAttest, ProofingMethod, decide_attestation};
use healthchain_rules::*;

type Attested = Result<Outcome<IdentityAttestation, MayAttest>, Refusal>;

fn patient() -> Member {
    member_of(&home(Role::Patient), "alice", Role::Patient)
}

fn attest(caller: &Caller, existing: Option<IdentityAttestation>, method: ProofingMethod) -> Attested {
    decide_attestation(caller, Some(&patient()), existing, method, NOW)
}

fn carols() -> IdentityAttestation {
    match attest(&caller("carol", Role::Clinician), None, ProofingMethod::InPerson) {
        Ok(Outcome::Decided(attestation, _)) => attestation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clinician_attests_a_patient_of_another_organisation_and_the_fact_names_both_how_and_when() {
    let expected = IdentityAttestation {
        member: id("alice"),
        by: id("carol"),
        organisation: id("hospital"),
        role: Role::Clinician,
        method: ProofingMethod::InPerson,
        at: NOW,
    };
    assert_eq!(carols(), expected);
}

#[test]
fn administrators_clinicians_and_payer_officers_attest_and_no_other_role() {
    for role in Role::ALL {
        let attested = attest(&caller("someone", role), None, ProofingMethod::SupervisedRemote);
        if matches!(role, Role::Administrator | Role::Clinician | Role::PayerOfficer) {
            assert!(matches!(attested, Ok(Outcome::Decided(..))), "{role}");
        } else {
            assert_eq!(code(attested), RefusalCode::NotPermitted, "{role}");
        }
    }
    let gateway = Caller::Custodian(hospital());
    assert_eq!(code(attest(&gateway, None, ProofingMethod::InPerson)), RefusalCode::NotPermitted);
    let suspended = suspended(caller("carol", Role::Clinician));
    assert_eq!(code(attest(&suspended, None, ProofingMethod::InPerson)), RefusalCode::MemberSuspended);
}

#[test]
fn an_attestation_repeated_stays_as_it_was_and_another_method_is_refused() {
    let carol = caller("carol", Role::Clinician);
    let again = decide_attestation(&carol, Some(&patient()), Some(carols()), ProofingMethod::InPerson, at(9));
    assert_eq!(again, Ok(Outcome::Repeated(carols())));
    let other = attest(&carol, Some(carols()), ProofingMethod::ExistingRelationship);
    assert_eq!(code(other), RefusalCode::AttestationExists);
}

#[test]
fn nobody_attests_oneself_nor_somebody_who_is_unknown_or_retired() {
    let carol = caller("carol", Role::Clinician);
    let attest = |member: Option<&Member>| decide_attestation(&carol, member, None, ProofingMethod::InPerson, NOW);
    let herself = member_of(&hospital(), "carol", Role::Clinician);
    assert_eq!(code(attest(Some(&herself))), RefusalCode::OwnAttestation);
    assert_eq!(code(attest(None)), RefusalCode::UnknownMember);
    let program = agent_of(actor("carol", Role::Clinician), "bot", "Members:attest");
    let owner = decide_attestation(&program, Some(&herself), None, ProofingMethod::InPerson, NOW);
    assert_eq!(code(owner), RefusalCode::OwnAttestation, "nor by a program");
    let retired = Member { standing: Standing::Retired { at: at(-1), by: None, reason: None }, ..patient() };
    assert_eq!(code(attest(Some(&retired))), RefusalCode::StandingConflict);
    let away = Standing::Suspended { by: id("admin"), at: at(-1), reason: id("lost the key") };
    assert!(attest(Some(&Member { standing: away, ..patient() })).is_ok(), "who is suspended is still somebody");
}
