use fabric_client::Contract;
use healthchain_interface::{
    AnswerRequest, AskForAccess, Delegate, OwnRequestsQuery, PatientRequestsQuery, RemoveStandingRule, RequestsClient,
    SetStandingRule,
};
use healthchain_rules::request::{Answer, RequestAct, RequestFor};
use healthchain_rules::standing_rule::RuleAnswer;
use healthchain_rules::*;
use serde_json::{Value, json};

use crate::consortium::*;

pub(crate) fn asking(request: &str) -> AskForAccess {
    AskForAccess {
        request: id(request),
        patient: id("alice"),
        beneficiary: RequestFor::Organisation,
        scope: Scope::Categories([Category::Summary, Category::Claim].into()),
        purposes: [Purpose::Payment].into(),
        from: None,
        until: None,
        reason: id("claim 7"),
    }
}

pub(crate) fn granting(request: &str, consent: &str) -> AnswerRequest {
    let answer = Answer::Grant { consent: id(consent), until: None };
    AnswerRequest { request: id(request), patient: id("alice"), answer }
}

fn refusing(request: &str) -> AnswerRequest {
    let answer = Answer::Refuse { reason: Some(id("not now")) };
    AnswerRequest { request: id(request), patient: id("alice"), answer }
}

pub(crate) fn rule(name: &str, answer: RuleAnswer) -> SetStandingRule {
    SetStandingRule {
        rule: id(name),
        patient: id("alice"),
        grantee: Grantee::Organisation(id("payer")),
        purposes: [Purpose::Payment].into(),
        categories: [Category::Summary, Category::Claim].into(),
        answer,
    }
}

pub(crate) fn removal(name: &str) -> RemoveStandingRule {
    RemoveStandingRule { rule: id(name), patient: id("alice") }
}

pub(crate) fn of_alice() -> PatientRequestsQuery {
    PatientRequestsQuery { patient: id("alice"), page_token: None, limit: None }
}

fn requests(consortium: &Consortium, who: &str) -> RequestsClient<Contract> {
    consortium.person(who).requests()
}

#[tokio::test]
async fn a_granted_request_opens_what_was_asked_for_and_leaves_its_trace() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let (pia, alice) = (requests(&consortium, "pia"), requests(&consortium, "alice"));
    let asked = pia.ask(&asking("r1")).await.unwrap();
    assert_eq!(asked.state, RequestState::Open);
    assert_eq!(pia.ask(&asking("r1")).await.unwrap(), asked, "repeated");
    assert!(!consortium.open("pia", "l1", Purpose::Payment).await.opening.decision.is_permitted());

    let granted = alice.answer(&granting("r1", "c1")).await.unwrap();
    assert!(matches!(&granted.state, RequestState::Granted { consent, .. } if *consent == id("c1")));
    assert_eq!(alice.answer(&granting("r1", "c1")).await.unwrap(), granted, "repeated");
    let opening = consortium.open("pia", "l1", Purpose::Payment).await.opening;
    assert!(
        matches!(opening.decision, Decision::Permitted { provision: Provision::Consent(by), .. } if by == id("c1"))
    );
    for reader in ["alice", "pia", "paul"] {
        assert_eq!(requests(&consortium, reader).request(&id("r1")).await.unwrap(), granted);
    }

    let act = RequestAct::RequestGranted { request: id("r1"), consent: id("c1"), rule: None };
    for who in ["alice", "pia"] {
        let trail = match who {
            "alice" => Trail::OfPatient(id("alice")),
            _ => Trail::OfMember(id("pia")),
        };
        let entries = consortium.person(who).trail(trail).await;
        assert!(entries.iter().any(|entry| entry.act == act.clone().into()), "{who}");
    }
}

#[tokio::test]
async fn a_refused_or_withdrawn_request_opens_nothing() {
    let consortium = Consortium::new().await;
    let (pia, alice) = (requests(&consortium, "pia"), requests(&consortium, "alice"));
    pia.ask(&asking("r1")).await.unwrap();
    let refused_request = alice.answer(&refusing("r1")).await.unwrap();
    assert!(matches!(&refused_request.state, RequestState::Refused { by: Decider::Patient, .. }));
    assert_eq!(alice.answer(&refusing("r1")).await.unwrap(), refused_request, "repeated");
    assert_eq!(refused(alice.answer(&granting("r1", "c1")).await), RefusalCode::RequestNotOpen);

    pia.ask(&asking("r2")).await.unwrap();
    assert_eq!(refused(requests(&consortium, "paul").withdraw(&id("r2")).await), RefusalCode::UnknownRequest);
    let withdrawn = pia.withdraw(&id("r2")).await.unwrap();
    assert_eq!(pia.withdraw(&id("r2")).await.unwrap(), withdrawn, "repeated");
    assert_eq!(refused(alice.answer(&granting("r2", "c1")).await), RefusalCode::RequestNotOpen);
    assert!(consortium.person("alice").consents().of_patient(&id("alice")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_request_expires_after_thirty_days() {
    let consortium = Consortium::new().await;
    requests(&consortium, "pia").ask(&asking("r1")).await.unwrap();
    let later = |hours| RequestsClient::new(consortium.person("alice").later(hours));
    assert_eq!(later(30 * 24 - 1).request(&id("r1")).await.unwrap().state, RequestState::Open);
    assert_eq!(later(30 * 24 + 1).request(&id("r1")).await.unwrap().state, RequestState::Expired);
    assert_eq!(refused(later(30 * 24 + 1).answer(&granting("r1", "c1")).await), RefusalCode::RequestNotOpen);
}

#[tokio::test]
async fn requests_are_listed_page_by_page_newest_first() {
    let consortium = Consortium::new().await;
    let (pia, alice) = (requests(&consortium, "pia"), requests(&consortium, "alice"));
    for name in ["r1", "r2", "r3"] {
        pia.ask(&asking(name)).await.unwrap();
    }
    requests(&consortium, "paul").ask(&asking("r4")).await.unwrap();
    let names = |items: &[AccessRequest]| items.iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    let first = PatientRequestsQuery { limit: Some(3.try_into().unwrap()), ..of_alice() };
    let page = alice.of_patient(&first).await.unwrap();
    assert_eq!(names(&page.items), ["r4", "r3", "r2"]);
    let token = page.next_page_token.clone();
    let next = alice.of_patient(&PatientRequestsQuery { page_token: token, ..of_alice() }).await.unwrap();
    assert_eq!((names(&next.items), next.next_page_token), (vec!["r1".to_owned()], None));
    let own = pia.of_requester(&OwnRequestsQuery::default()).await.unwrap();
    assert_eq!(names(&own.items), ["r3", "r2", "r1"]);
    let token = OwnRequestsQuery { page_token: page.next_page_token, limit: None };
    assert_eq!(refused(pia.of_requester(&token).await), RefusalCode::PageTokenMismatch);
    for other in ["bob", "carol", "pia", "gateway-patients"] {
        assert_eq!(refused(requests(&consortium, other).of_patient(&of_alice()).await), RefusalCode::NotPermitted);
    }
}

#[tokio::test]
async fn requests_are_refused_to_those_who_may_not_ask_or_answer() {
    let consortium = Consortium::new().await;
    for other in ["alice", "pam", "max", "admin-payer", "gateway-payer"] {
        assert_eq!(
            refused(requests(&consortium, other).ask(&asking("r1")).await),
            RefusalCode::NotPermitted,
            "{other}"
        );
    }
    let pia = requests(&consortium, "pia");
    let for_research = AskForAccess { purposes: [Purpose::Research].into(), ..asking("r1") };
    assert_eq!(refused(pia.ask(&for_research).await), RefusalCode::NotPermitted);
    let nobody = AskForAccess { patient: id("carol"), ..asking("r1") };
    assert_eq!(refused(pia.ask(&nobody).await), RefusalCode::UnknownPatient);
    pia.ask(&asking("r1")).await.unwrap();
    let other = AskForAccess { reason: id("claim 8"), ..asking("r1") };
    assert_eq!(refused(pia.ask(&other).await), RefusalCode::RequestExists);

    for other in ["bob", "carol", "pia", "gateway-patients"] {
        let answered = requests(&consortium, other).answer(&granting("r1", "c1")).await;
        assert_eq!(refused(answered), RefusalCode::NotPermitted, "{other}");
    }
    let bobs = AnswerRequest { patient: id("bob"), ..granting("r1", "c1") };
    assert_eq!(refused(requests(&consortium, "bob").answer(&bobs).await), RefusalCode::UnknownRequest);
    for other in ["bob", "carol", "max"] {
        assert_eq!(refused(requests(&consortium, other).request(&id("r1")).await), RefusalCode::UnknownRequest);
    }
    for (who, home) in [("pia", "payer"), ("alice", "patients")] {
        consortium.suspend(who, home).await;
    }
    assert_eq!(refused(pia.ask(&asking("r2")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(pia.withdraw(&id("r1")).await), RefusalCode::MemberSuspended);
    let alice = requests(&consortium, "alice");
    assert_eq!(refused(alice.answer(&granting("r1", "c1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(alice.set_rule(&rule("a", RuleAnswer::Refuse)).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_request_for_links_tells_the_patient_alone_which_exist() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Claim).await;
    let named = |links: &[&str], name| {
        let scope = Scope::Links(links.iter().map(|link| id(link)).collect());
        AskForAccess { scope, beneficiary: RequestFor::Member, ..asking(name) }
    };
    let (pia, alice) = (requests(&consortium, "pia"), requests(&consortium, "alice"));
    for (links, name) in [(&["l1"][..], "r1"), (&["l1", "none"], "r2")] {
        assert_eq!(pia.ask(&named(links, name)).await.unwrap().state, RequestState::Open);
    }
    assert_eq!(refused(alice.answer(&granting("r2", "c2")).await), RefusalCode::UnknownLink);
    alice.answer(&granting("r1", "c1")).await.unwrap();
    assert!(consortium.open("pia", "l1", Purpose::Payment).await.opening.decision.is_permitted());
    assert!(!consortium.open("paul", "l1", Purpose::Payment).await.opening.decision.is_permitted());
}

#[tokio::test]
async fn standing_rules_answer_in_the_transaction_that_asks() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let (pia, alice) = (requests(&consortium, "pia"), requests(&consortium, "alice"));
    let rules = alice.set_rule(&rule("b", RuleAnswer::Grant { days: 9 })).await.unwrap();
    assert_eq!(alice.set_rule(&rule("b", RuleAnswer::Grant { days: 9 })).await.unwrap(), rules, "repeated");
    assert_eq!(alice.rules(&id("alice")).await.unwrap(), rules);
    let other = rule("b", RuleAnswer::Refuse);
    assert_eq!(refused(alice.set_rule(&other).await), RefusalCode::StandingRuleExists);

    let granted = pia.ask(&asking("r1")).await.unwrap();
    let RequestState::Granted { consent, by, .. } = &granted.state else { panic!("{granted:?}") };
    assert_eq!((consent.as_str(), by), ("r1", &Decider::Rule(id("b"))));
    assert_eq!(pia.ask(&asking("r1")).await.unwrap(), granted, "repeated");
    assert!(consortium.open("paul", "l1", Purpose::Payment).await.opening.decision.is_permitted());
    let consents = consortium.person("alice").consents().of_patient(&id("alice")).await.unwrap();
    assert_eq!((consents[0].id.as_str(), &consents[0].by), ("r1", by));

    alice.set_rule(&rule("c", RuleAnswer::Refuse)).await.unwrap();
    let refused_request = pia.ask(&asking("r2")).await.unwrap();
    assert!(
        matches!(&refused_request.state, RequestState::Refused { by: Decider::Rule(rule), .. } if *rule == id("c"))
    );

    for name in ["b", "c", "c"] {
        alice.remove_rule(&removal(name)).await.unwrap();
    }
    assert!(alice.rules(&id("alice")).await.unwrap().rules().is_empty());
    assert_eq!(pia.ask(&asking("r3")).await.unwrap().state, RequestState::Open);
    for other in ["bob", "pia", "gateway-patients"] {
        let other = requests(&consortium, other);
        assert_eq!(refused(other.set_rule(&rule("a", RuleAnswer::Refuse)).await), RefusalCode::NotPermitted);
        assert_eq!(refused(other.remove_rule(&removal("a")).await), RefusalCode::NotPermitted);
        assert_eq!(refused(other.rules(&id("alice")).await), RefusalCode::NotPermitted);
    }
    let nobody = SetStandingRule { grantee: Grantee::Group(id("none")), ..rule("a", RuleAnswer::Refuse) };
    assert_eq!(refused(alice.set_rule(&nobody).await), RefusalCode::UnknownGroup);
}

#[tokio::test]
async fn a_guardian_answers_requests_within_the_delegation() {
    let mut consortium = Consortium::new().await;
    consortium.add("gina", "patients", "client");
    let gina = consortium.new_member("gina", Role::Guardian);
    consortium.person("admin-patients").members().register(&gina).await.unwrap();
    let asked = requests(&consortium, "pia").ask(&asking("r1")).await.unwrap();
    let until = asked.expires;
    let delegate = Delegate {
        delegation: id("d1"),
        patient: id("alice"),
        guardian: id("gina"),
        powers: [Power::AnswerRequests, Power::Consent].into(),
        categories: [Category::Summary, Category::Claim].into(),
        from: None,
        until,
    };
    let gina = requests(&consortium, "gina");
    assert_eq!(refused(gina.answer(&refusing("r1")).await), RefusalCode::NotPermitted);
    consortium.person("alice").delegations().delegate(&delegate).await.unwrap();
    assert_eq!(gina.of_patient(&of_alice()).await.unwrap().items, [asked]);
    assert_eq!(refused(gina.answer(&granting("r1", "c1")).await), RefusalCode::NotPermitted, "without an end");
    let answer = Answer::Grant { consent: id("c1"), until: Some(until) };
    gina.answer(&AnswerRequest { answer, ..granting("r1", "c1") }).await.unwrap();
    let consents = consortium.person("gina").consents().of_patient(&id("alice")).await.unwrap();
    assert_eq!(consents[0].by, Decider::Guardian(id("gina")));
    consortium.person("gina").consents().revoke(&revocation("c1")).await.unwrap();
}

#[tokio::test]
async fn malformed_and_oversized_requests_are_refused() {
    let consortium = Consortium::new().await;
    let (pia, alice) = (consortium.person("pia"), consortium.person("alice"));
    let ask = |field: &str, value: Value| {
        let mut call = serde_json::to_value(asking("r1")).unwrap();
        call[field] = value;
        call
    };
    let many: Vec<String> = (0..33).map(|n| format!("l{n}")).collect();
    for (field, value) in [
        ("request", json!("R")),
        ("request", json!("r".repeat(65))),
        ("for", json!("everybody")),
        ("scope", json!({"links": many})),
        ("scope", json!({"categories": []})),
        ("purposes", json!([])),
        ("until", json!(1)),
        ("reason", json!("x".repeat(201))),
        ("more", json!(1)),
    ] {
        assert_eq!(pia.status_of("Requests:ask", ask(field, value)).await, 400, "{field}");
    }
    let mut answer = serde_json::to_value(granting("r1", "c1")).unwrap();
    answer["answer"] = json!({"grant": {"consent": "c1", "more": 1}});
    assert_eq!(alice.status_of("Requests:answer", answer).await, 400);
    let set = |field: &str, value: Value| {
        let mut call = serde_json::to_value(rule("a", RuleAnswer::Refuse)).unwrap();
        call[field] = value;
        call
    };
    for (field, value) in [
        ("answer", json!({"grant": {"days": 0}})),
        ("answer", json!({"grant": {"days": 3661}})),
        ("categories", json!([])),
        ("purposes", json!([])),
        ("more", json!(1)),
    ] {
        assert_eq!(alice.status_of("Requests:setRule", set(field, value)).await, 400, "{field}");
    }
    assert_eq!(alice.status_of("Requests:removeRule", json!({"rule": "a"})).await, 400);
    assert_eq!(alice.status_of("Requests:rules", json!(7)).await, 400);
    assert_eq!(pia.status_of("Requests:withdraw", json!("R")).await, 400);
    assert_eq!(pia.status_of("Requests:request", json!(7)).await, 400);
    assert_eq!(pia.status_of("Requests:ofRequester", json!({"limit": 101})).await, 400);
    assert_eq!(alice.status_of("Requests:ofPatient", json!({"patient": "alice", "limit": 0})).await, 400);
}
