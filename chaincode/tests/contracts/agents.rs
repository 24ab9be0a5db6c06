use healthchain_interface::{DeployAgent, OpenLink, StopAgent};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

pub(crate) fn monitor(consortium: &Consortium) -> DeployAgent {
    let person = consortium.person("monitor");
    DeployAgent {
        agent: id("monitor"),
        owner: id("phil"),
        key_hash: person.key_hash.clone(),
        encryption_key: person.encryption_key.clone(),
        functions: [id("Links:open"), id("Members:member")].into(),
        purposes: [Purpose::Treatment].into(),
        categories: [Category::Medication, Category::Allergy].into(),
        calls_a_day: 2,
        epsilon_a_day: 0,
        until: now().plus_days(7),
    }
}

/// The pharmacy's prescription monitor, owned by phil, a pharmacist.
async fn with_monitor() -> (Consortium, DeployAgent) {
    let mut consortium = Consortium::new().await;
    consortium.add("monitor", "pharmacy", "client");
    let call = monitor(&consortium);
    let charter = consortium.person("admin-pharmacy").agents().deploy(&call).await.unwrap();
    assert_eq!((charter.owner.as_str(), &charter.state), ("phil", &CharterState::Running));
    (consortium, call)
}

fn open(link: &str) -> OpenLink {
    OpenLink { link: id(link), purpose: Purpose::Treatment, emergency: None }
}

#[tokio::test]
async fn an_agent_opens_within_its_charter_and_its_budget_and_every_entry_names_its_owner() {
    let (consortium, _) = with_monitor().await;
    consortium.publish("m1", Category::Medication).await;
    consortium.publish("s1", Category::Summary).await;
    let monitor = consortium.person("monitor");
    let opening = monitor.links().open(&open("m1")).await.unwrap().opening;
    assert!(opening.decision.is_permitted());
    assert_eq!((opening.opener.as_str(), opening.owner.as_ref().unwrap().as_str()), ("monitor", "phil"));
    let denied = monitor.links().open(&open("s1")).await.unwrap().opening;
    assert!(matches!(denied.decision, Decision::Denied { reason: Denial::ConsentRequired, .. }));

    let phil = consortium.person("phil").agents();
    assert_eq!(phil.agent(&id("monitor")).await.unwrap().used.calls, 2);
    let spent = monitor.links().open(&open("m1")).await.unwrap().opening;
    assert!(matches!(spent.decision, Decision::Denied { reason: Denial::AgentNotPermitted, .. }));
    assert_eq!(refused(monitor.members().member(&id("phil")).await), RefusalCode::AgentNotPermitted);
}

#[tokio::test]
async fn a_stopped_agent_does_nothing_from_the_next_transaction_on() {
    let (consortium, call) = with_monitor().await;
    consortium.publish("m1", Category::Medication).await;
    let phil = consortium.person("phil").agents();
    let stop = StopAgent { agent: id("monitor"), reason: id("odd answers") };
    let stopped = phil.stop(&stop).await.unwrap();
    assert_eq!(consortium.person("admin-pharmacy").agents().stop(&stop).await.unwrap(), stopped, "repeated");
    let monitor = consortium.person("monitor");
    let denied = monitor.links().open(&open("m1")).await.unwrap().opening;
    assert!(matches!(denied.decision, Decision::Denied { reason: Denial::AgentNotPermitted, .. }));
    let again = consortium.person("admin-pharmacy").agents().deploy(&call).await;
    assert_eq!(refused(again), RefusalCode::MemberExists);
}

#[tokio::test]
async fn agents_are_refused_to_those_who_may_not_deploy_stop_or_know_them() {
    let (consortium, call) = with_monitor().await;
    let administrator = consortium.person("admin-pharmacy");
    assert!(administrator.agents().deploy(&call).await.is_ok(), "repeated");
    let other = DeployAgent { calls_a_day: 3, ..call.clone() };
    assert_eq!(refused(administrator.agents().deploy(&other).await), RefusalCode::MemberExists);
    let of_other_organisation = DeployAgent { agent: id("m2"), ..call.clone() };
    let refusal = refused(consortium.person("admin-payer").agents().deploy(&of_other_organisation).await);
    assert_eq!(refusal, RefusalCode::UnknownMember);
    assert_eq!(refused(administrator.agents().deploy(&of_other_organisation).await), RefusalCode::KeyTaken);
    assert_eq!(refused(consortium.person("phil").agents().deploy(&call).await), RefusalCode::NotPermitted);

    let stop = StopAgent { agent: id("monitor"), reason: id("odd answers") };
    for stranger in ["pia", "admin-hospital", "carol"] {
        let agents = consortium.person(stranger).agents();
        assert_eq!(refused(agents.stop(&stop).await), RefusalCode::UnknownAgent, "{stranger}");
        assert_eq!(refused(agents.agent(&id("monitor")).await), RefusalCode::UnknownAgent, "{stranger}");
    }
    let malformed = [json!({"agent": "monitor"}), json!({"agent": "monitor", "reason": ""})];
    for argument in malformed {
        assert_eq!(administrator.status_of("Agents:stop", argument).await, 400);
    }
    let mut unbounded = serde_json::to_value(&call).unwrap();
    unbounded["functions"] = json!(["no colon"]);
    assert_eq!(administrator.status_of("Agents:deploy", unbounded).await, 400);
    let by_registration = consortium.new_member("monitor", Role::Agent);
    assert_eq!(refused(administrator.members().register(&by_registration).await), RefusalCode::NotPermitted);
}
