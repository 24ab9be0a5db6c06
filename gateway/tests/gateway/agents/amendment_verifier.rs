//! What the amendment verifier approves, what it leaves alone, and when it stops.

use std::sync::Arc;

use healthchain_gateway::agents::Listening;
use healthchain_gateway::agents::amendment_verifier::AmendmentVerifier;
use healthchain_gateway::configuration::AmendmentPolicy;
use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::RefusalCode;
use healthchain_rules::amendment::AmendmentAct;
use serde_json::{Value, json};

use super::super::ledger::{When, refused};
use super::super::world::World;
use super::{AGENT, a_while, at_work, at_work_as, dealt_with, until, world, world_without_agent};

const NAME: &str = "amendment_verifier";
const PUBLISHER: &str = "ClinicMSP";

fn verifier(reject: bool) -> Listening<AmendmentVerifier> {
    verifier_of(&["dr-bailey"], reject)
}

fn verifier_of(proposers: &[&str], reject: bool) -> Listening<AmendmentVerifier> {
    let policy: AmendmentPolicy = serde_json::from_value(json!({
        "publishers": [PUBLISHER], "proposers": proposers, "categories": ["summary"], "max_bytes": 1000, "reject": reject,
    }))
    .unwrap();
    Listening(AmendmentVerifier::new(policy))
}

/// Has the ledger tell and show an amendment that passes, but for what the test changes.
async fn propose(world: &World, change: impl FnOnce(&mut Value, &mut Value, &mut Value)) {
    let link = match world.ledger.state.lock().unwrap().links.keys().next().cloned() {
        Some(link) => link.to_string(),
        None => String::new(),
    };
    let link = if link.is_empty() { world.published().await } else { link };
    let id = link.parse().unwrap();
    let mut shown = serde_json::to_value(world.ledger.state.lock().unwrap().links[&id].clone()).unwrap();
    shown["current"]["content"] =
        json!({ "hash": "ef".repeat(32), "length": 800, "media_type": "application/fhir+json" });
    let mut version = shown["current"].clone();
    version["number"] = 2.into();
    version["by"] = "dr-bailey".into();
    version["content"] = json!({ "hash": "ab".repeat(32), "length": 900, "media_type": "application/fhir+json" });
    shown["publisher"] = PUBLISHER.into();
    shown["category"] = "summary".into();
    let mut view = json!({
        "standing": "open",
        "amendment": {
            "id": "a-1", "link": link, "patient": "anna", "publisher": PUBLISHER, "version": version, "reason": "corrected",
            "until": 4_000_000_000_000_u64, "quorum": 1, "voices": { "HospitalMSP": null }, "state": { "state": "open" },
        },
    });
    let mut proposer = json!({
        "id": "dr-bailey", "organisation": PUBLISHER, "role": "clinician", "key_hash": "cd".repeat(32),
        "encryption_key": serde_json::to_value(&world.ledger.state.lock().unwrap().recipients[0].key).unwrap(),
        "attestation": { "by": "admin", "at": 1 }, "standing": { "standing": "active" },
    });
    change(&mut view, &mut shown, &mut proposer);
    {
        let mut state = world.ledger.state.lock().unwrap();
        state.links.insert(id.clone(), serde_json::from_value(shown).unwrap());
        state.answers.insert("Members:member".into(), proposer);
        let amendment = view["amendment"].clone();
        state.answers.insert("Amendments:amendment".into(), view);
        state.answers.insert("Amendments:approve".into(), amendment.clone());
        state.answers.insert("Amendments:reject".into(), amendment);
    }
    tell(world, PUBLISHER, &link);
}

fn tell(world: &World, organisation: &str, link: &str) {
    let (amendment, link) = ("a-1".parse().unwrap(), link.parse().unwrap());
    world.ledger.tell(organisation, AmendmentAct::AmendmentProposed { amendment, link, version: 2 });
}

fn approvals(world: &World) -> usize {
    world.ledger.called("Amendments:approve")
}

#[tokio::test]
async fn what_passes_the_policy_is_approved_once() {
    let world = world().await;
    propose(&world, |_, _, _| {}).await;
    let at_work = at_work(&world, verifier(false));
    dealt_with(&world, NAME, 1).await;
    assert_eq!(approvals(&world), 1);
    drop(at_work);

    // After a restart it goes on behind what is dealt with.
    let _at_work = super::at_work(&world, verifier(false));
    a_while().await;
    assert_eq!(approvals(&world), 1);
}

#[tokio::test]
async fn what_does_not_pass_is_left_to_people_whatever_it_lacks() {
    let world = world().await;
    let _at_work = at_work(&world, verifier(false));
    let changes: [fn(&mut Value, &mut Value, &mut Value); 11] = [
        |view, _, _| view["amendment"]["publisher"] = "PayerMSP".into(),
        |_, _, proposer| proposer["id"] = "dr-evil".into(),
        |_, _, proposer| proposer["organisation"] = "PayerMSP".into(),
        |_, _, proposer| proposer["role"] = "maintainer".into(),
        |_, _, proposer| {
            proposer["standing"] = json!({ "standing": "suspended", "by": "admin", "at": 1, "reason": "left" });
        },
        |_, link, _| link["category"] = "restricted".into(),
        |view, _, _| view["amendment"]["version"]["content"]["media_type"] = "text/plain".into(),
        |_, link, _| link["current"]["content"]["media_type"] = "text/plain".into(),
        |view, _, _| view["amendment"]["version"]["content"]["length"] = 1001.into(),
        |view, link, _| {
            link["current"]["content"] = view["amendment"]["version"]["content"].clone();
        },
        |view, _, _| view["amendment"]["link"] = "a-link-that-the-agent-may-not-know".into(),
    ];
    for (told, change) in changes.into_iter().enumerate() {
        propose(&world, change).await;
        dealt_with(&world, NAME, told as u64 + 1).await;
        assert_eq!(approvals(&world), 0, "change {told}");
    }
    assert_eq!(world.ledger.called("Amendments:reject"), 0);
    propose(&world, |_, _, _| {}).await;
    until("the one that passes", async || approvals(&world) == 1).await;
}

#[tokio::test]
async fn another_organisations_agent_is_trusted_only_by_name_and_a_clinician_without_one() {
    let cases =
        [("agent", vec![], 0), ("agent", vec!["dr-bailey"], 1), ("clinician", vec![], 1), ("maintainer", vec![], 0)];
    for (role, proposers, approved) in cases {
        let world = world().await;
        let _at_work = at_work(&world, verifier_of(&proposers, false));
        propose(&world, |_, _, proposer| proposer["role"] = role.into()).await;
        dealt_with(&world, NAME, 1).await;
        assert_eq!(approvals(&world), approved, "{role}, of {proposers:?}");
    }
}

#[tokio::test]
async fn what_does_not_pass_is_rejected_where_the_organisation_says_so() {
    let world = world().await;
    let _at_work = at_work(&world, verifier(true));
    propose(&world, |view, _, _| view["amendment"]["version"]["content"]["length"] = 1001.into()).await;
    dealt_with(&world, NAME, 1).await;
    assert_eq!((approvals(&world), world.ledger.called("Amendments:reject")), (0, 1));
}

#[tokio::test]
async fn what_is_decided_withdrawn_or_the_own_organisations_is_no_work() {
    let world = world().await;
    let _at_work = at_work(&world, verifier(true));
    propose(&world, |view, _, _| view["standing"] = "expired".into()).await;
    propose(&world, |view, _, _| {
        view["amendment"]["voices"]["HospitalMSP"] = json!({ "by": "dr-grey", "at": 1, "opinion": "approves" });
    })
    .await;
    propose(&world, |view, _, _| view["amendment"]["voices"] = json!({})).await;
    dealt_with(&world, NAME, 3).await;
    assert_eq!(world.ledger.called("Amendments:amendment"), 3);
    tell(&world, "HospitalMSP", "some-link");
    dealt_with(&world, NAME, 4).await;
    assert_eq!(world.ledger.called("Amendments:amendment"), 3, "the own organisation's is not even looked at");
    assert_eq!((approvals(&world), world.ledger.called("Amendments:reject")), (0, 0));
}

#[tokio::test]
async fn a_stopped_agent_does_nothing_and_goes_on_where_it_was_when_the_ledger_lets_it() {
    let world = world().await;
    for code in [RefusalCode::AgentNotPermitted, RefusalCode::MemberRetired, RefusalCode::UnknownCaller] {
        world.ledger.refuse_member(AGENT, Some(code));
        let before = world.ledger.called("Amendments:amendment");
        propose(&world, |_, _, _| {}).await;
        let _at_work = at_work(&world, verifier(true));
        until("it asks now and then", async || world.ledger.called("Amendments:amendment") > before + 1).await;
        assert_eq!((approvals(&world), world.ledger.called("Amendments:reject")), (0, 0));
    }
    let _at_work = at_work(&world, verifier(true));
    world.ledger.refuse_member(AGENT, None);
    dealt_with(&world, NAME, 3).await;
    assert_eq!(approvals(&world), 3, "the amendments waited");
}

#[tokio::test]
async fn a_budget_that_ends_between_asking_and_approving_loses_nothing() {
    let world = world().await;
    world.ledger.fail_next("Amendments:approve", When::Before, refused(RefusalCode::AgentNotPermitted));
    propose(&world, |_, _, _| {}).await;
    let _at_work = at_work(&world, verifier(false));
    dealt_with(&world, NAME, 1).await;
    assert_eq!(approvals(&world), 2);
}

#[tokio::test]
async fn somebody_who_was_faster_does_not_hold_up_what_comes_after() {
    let world = world().await;
    let _at_work = at_work(&world, verifier(false));
    for code in [RefusalCode::VoiceGiven, RefusalCode::AmendmentClosed, RefusalCode::AmendmentConflict] {
        world.ledger.fail_next("Amendments:approve", When::Before, refused(code));
    }
    world.ledger.fail_next("Amendments:approve", When::Before, LedgerFailure::Unreachable("down".into()));
    for told in 1..=4 {
        propose(&world, |_, _, _| {}).await;
        dealt_with(&world, NAME, told).await;
    }
    assert_eq!(approvals(&world), 5, "three were too late, and one was tried again");
}

#[tokio::test]
async fn an_agent_without_a_key_waits_for_it() {
    let world = world_without_agent().await;
    propose(&world, |_, _, _| {}).await;
    let _at_work = at_work(&world, verifier(false));
    a_while().await;
    assert_eq!(world.ledger.called("Amendments:amendment"), 0);
    world.hospital.add_member(&world.ledger, AGENT);
    dealt_with(&world, NAME, 1).await;
    assert_eq!(approvals(&world), 1);
}

#[tokio::test]
async fn of_several_gateways_one_does_the_work() {
    let world = world().await;
    let gateway = &world.hospital.gateway;
    let _pair: Vec<_> = (0..2).map(|_| at_work_as(&Arc::clone(gateway), AGENT, verifier(false))).collect();
    a_while().await;
    for told in 1..=3 {
        propose(&world, |_, _, _| {}).await;
        dealt_with(&world, NAME, told).await;
    }
    a_while().await;
    assert_eq!((world.ledger.called("Amendments:amendment"), approvals(&world)), (3, 3));
}
