//! Whom a publisher's gateway seals to after the fact.

use crate::support::*;
use healthchain_rules::resealing::{MayReseal, ResealingState, decide_asking, decide_resealing};
use healthchain_rules::*;

fn patient() -> Member {
    member_of(&home(Role::Patient), "alice", Role::Patient)
}

fn envelope(holder: Holder, key_of: &str) -> Envelope {
    Envelope { holder, recipient_key_hash: key(key_of).key_hash, sealed: id("AAAA") }
}

fn for_alice() -> Envelope {
    envelope(Holder::Member(id("alice")), "alice")
}

fn nothing<'a>(grounds: &'a Grounds) -> ResealingState<'a> {
    ResealingState { link: None, patient: None, organisation: None, member: None, grounds, existing: None }
}

fn reseal(
    caller: &Caller,
    state: ResealingState<'_>,
    envelope: Envelope,
) -> Result<Outcome<Envelope, MayReseal>, Refusal> {
    decide_resealing(caller, state, envelope, NOW)
}

fn gateway() -> Caller {
    Caller::Custodian(hospital())
}

#[test]
fn the_publishers_gateway_seals_to_the_patients_present_key_once() {
    let (link, patient, grounds) = (link("l1", Category::Summary), patient(), Grounds::default());
    let state = ResealingState { link: Some(&link), patient: Some(&patient), ..nothing(&grounds) };
    assert!(matches!(reseal(&gateway(), state, for_alice()), Ok(Outcome::Decided(added, _)) if added == for_alice()));

    let existing = for_alice();
    let there = ResealingState { existing: Some(&existing), ..state };
    assert_eq!(reseal(&gateway(), there, for_alice()), Ok(Outcome::Repeated(for_alice())));
    let other = Envelope { sealed: id("BBBB"), ..for_alice() };
    assert_eq!(code(reseal(&gateway(), there, other)), RefusalCode::EnvelopeExists);
    let old_key = envelope(Holder::Member(id("alice")), "alice-before");
    assert_eq!(code(reseal(&gateway(), state, old_key)), RefusalCode::EnvelopeNotWanted);
    let borrowed = envelope(Holder::Member(id("bob")), "alice");
    assert_eq!(code(reseal(&gateway(), state, borrowed)), RefusalCode::EnvelopeNotWanted);
}

#[test]
fn whoever_became_entitled_is_sealed_to_and_nobody_else() {
    let (link, patient) = (link("l1", Category::Summary), patient());
    let to_payer = terms(Grantee::Organisation(id("payer")), everything(), &[Purpose::Payment], Effect::Permit);
    let to_pia = terms(Grantee::Member(id("pia")), everything(), &[Purpose::Payment], Effect::Permit);
    let (payer, pia) = (home(Role::PayerOfficer), member_of(&home(Role::PayerOfficer), "pia", Role::PayerOfficer));
    let nobody = Grounds::default();
    for (grounds, organisation, member, envelope) in [
        (on(&book_of(&[("c1", to_payer)])), Some(&payer), None, envelope(Holder::Organisation(id("payer")), "payer")),
        (on(&book_of(&[("c1", to_pia)])), Some(&payer), Some(&pia), envelope(Holder::Member(id("pia")), "pia")),
    ] {
        let state =
            ResealingState { link: Some(&link), patient: Some(&patient), organisation, member, ..nothing(&grounds) };
        assert!(reseal(&gateway(), state, envelope.clone()).is_ok());
        let before = ResealingState { grounds: &nobody, ..state };
        assert_eq!(code(reseal(&gateway(), before, envelope.clone())), RefusalCode::EnvelopeNotWanted);
        let unknown = ResealingState { organisation: None, member: None, ..state };
        assert_eq!(code(reseal(&gateway(), unknown, envelope)), RefusalCode::EnvelopeNotWanted);
    }
}

/// Found by review: members of an organisation that had left were still sealed to.
#[test]
fn nobody_of_an_organisation_that_takes_no_part_is_sealed_to() {
    let (link, patient) = (link("l1", Category::Summary), patient());
    let to_pia = terms(Grantee::Member(id("pia")), everything(), &[Purpose::Payment], Effect::Permit);
    let (grounds, pia) =
        (on(&book_of(&[("c1", to_pia)])), member_of(&home(Role::PayerOfficer), "pia", Role::PayerOfficer));
    let left = Organisation { state: OrganisationState::Left { at: at(-1) }, ..home(Role::PayerOfficer) };
    let founded = Organisation { state: OrganisationState::Founded, ..home(Role::PayerOfficer) };
    let (present, other) = (home(Role::PayerOfficer), clinic());
    let sealed = |organisation| {
        let (link, patient, member) = (Some(&link), Some(&patient), Some(&pia));
        let state = ResealingState { link, patient, organisation, member, ..nothing(&grounds) };
        reseal(&gateway(), state, envelope(Holder::Member(id("pia")), "pia")).map(|_| ())
    };
    assert_eq!(sealed(Some(&present)), Ok(()));
    for organisation in [Some(&left), Some(&founded), Some(&other), None] {
        assert_eq!(code(sealed(organisation)), RefusalCode::EnvelopeNotWanted, "{organisation:?}");
    }
}

#[test]
fn re_sealing_is_the_publishers_gateways() {
    let (link, patient, grounds) = (link("l1", Category::Summary), patient(), Grounds::default());
    let state = ResealingState { link: Some(&link), patient: Some(&patient), ..nothing(&grounds) };
    for role in Role::ALL {
        assert_eq!(code(reseal(&caller("carol", role), state, for_alice())), RefusalCode::NotPermitted, "{role}");
        assert_eq!(code(decide_asking(&caller("carol", role))), RefusalCode::NotPermitted, "{role}");
    }
    let away = suspended(caller("carol", Role::Clinician));
    assert_eq!(code(reseal(&away, state, for_alice())), RefusalCode::MemberSuspended);
    let other = Caller::Custodian(clinic());
    assert_eq!(code(reseal(&other, state, for_alice())), RefusalCode::UnknownLink);
    assert_eq!(code(reseal(&gateway(), nothing(&grounds), for_alice())), RefusalCode::UnknownLink);
    let payer = Caller::Custodian(home(Role::PayerOfficer));
    assert_eq!(code(decide_asking(&payer)), RefusalCode::NotPermitted);
    assert_eq!(decide_asking(&gateway()), Ok(&hospital()));
    let left = Organisation { state: OrganisationState::Left { at: at(-1) }, ..hospital() };
    assert!(decide_asking(&Caller::Custodian(left)).is_err());
}

#[test]
fn an_agent_of_somebody_who_publishes_re_seals_within_its_charter() {
    let (link, patient, grounds) = (link("l1", Category::Summary), patient(), Grounds::default());
    let state = ResealingState { link: Some(&link), patient: Some(&patient), ..nothing(&grounds) };
    let agent = |role, home: Organisation| {
        let Caller::Member(owner) = caller_of(home, "carol", role) else { panic!("no member") };
        agent_of(*owner, "custodian", "Links:reseal")
    };
    let custodian = agent(Role::Clinician, hospital());
    assert_eq!(decide_asking(&custodian), Ok(&hospital()));
    assert!(matches!(reseal(&custodian, state, for_alice()), Ok(Outcome::Decided(..))));
    let old_key = envelope(Holder::Member(id("alice")), "alice-before");
    assert_eq!(code(reseal(&custodian, state, old_key)), RefusalCode::EnvelopeNotWanted);
    assert_eq!(code(reseal(&agent(Role::Clinician, clinic()), state, for_alice())), RefusalCode::UnknownLink);
    for role in [Role::Administrator, Role::Maintainer, Role::PrivacyOfficer] {
        assert_eq!(code(reseal(&agent(role, hospital()), state, for_alice())), RefusalCode::NotPermitted, "{role}");
    }
    let Caller::Member(mut stopped) = custodian else { panic!("no member") };
    let charter = &mut stopped.agent.as_mut().unwrap().charter;
    charter.state = CharterState::Stopped { by: id("carol"), at: NOW, reason: id("enough") };
    assert_eq!(code(reseal(&Caller::Member(stopped), state, for_alice())), RefusalCode::AgentNotPermitted);
}

#[test]
fn a_withdrawn_or_erased_link_is_sealed_to_nobody() {
    let (patient, grounds) = (patient(), Grounds::default());
    let reason = || id("wrong patient");
    let withdrawn = LinkState::Withdrawn { by: id("carol"), at: at(-1), reason: reason(), superseded_by: None };
    let erased = LinkState::Erased { by: id("pam"), at: at(-1), reason: reason() };
    for (state, expected) in [(withdrawn, RefusalCode::LinkWithdrawn), (erased, RefusalCode::LinkErased)] {
        let link = Link { state, ..link("l1", Category::Summary) };
        let state = ResealingState { link: Some(&link), patient: Some(&patient), ..nothing(&grounds) };
        assert_eq!(code(reseal(&gateway(), state, for_alice())), expected);
    }
}
