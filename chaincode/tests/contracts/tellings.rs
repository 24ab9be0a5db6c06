use healthchain_interface::{DeployAgent, KnownQuery, StopAgent};
use healthchain_rules::*;

use crate::agents::monitor;
use crate::consortium::*;

/// The names of those events that the gateway is told this member may know of.
async fn known(consortium: &Consortium, gateway: &str, member: &str) -> Result<Vec<String>, RefusalCode> {
    let events = consortium.told().await;
    let query = KnownQuery { member: id(member), events: events.clone() };
    let answer = consortium.person(gateway).audit().known(&query).await;
    let Ok(known) = answer else { return Err(refused(answer)) };
    let known = events.iter().filter(|event| known.contains(&event.entry.transaction));
    let name =
        |event: &LedgerEvent| serde_json::to_value(&event.entry.act).unwrap()["act"].as_str().unwrap().to_owned();
    Ok(known.map(name).collect())
}

async fn some_history() -> Consortium {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    consortium.open("pia", "l1", Purpose::Payment).await;
    consortium
}

#[tokio::test]
async fn a_gateway_learns_what_its_own_members_may_know() {
    let consortium = some_history().await;
    let of_alice = ["member-registered", "link-published", "opening-denied", "consent-granted", "link-opened"];
    assert_eq!(known(&consortium, "gateway-patients", "alice").await.unwrap(), of_alice);
    let of_pia = ["member-registered", "opening-denied", "link-opened"];
    assert_eq!(known(&consortium, "gateway-payer", "pia").await.unwrap(), of_pia);
    let of_dora = ["member-registered"];
    assert_eq!(known(&consortium, "gateway-hospital", "dora").await.unwrap(), of_dora);
    let of_pam = known(&consortium, "gateway-hospital", "pam").await.unwrap();
    assert!(of_pam.ends_with(&["link-published".into(), "link-opened".into()]), "an opening of its record: {of_pam:?}");
}

#[tokio::test]
async fn nobody_else_learns_it_and_nothing_is_told_to_whom_may_not_act() {
    let consortium = some_history().await;
    consortium.suspend("carol", "hospital").await;
    for (who, whom, expected) in [
        ("gateway-hospital", "alice", RefusalCode::UnknownMember),
        ("gateway-hospital", "nobody", RefusalCode::UnknownMember),
        ("gateway-hospital", "carol", RefusalCode::MemberSuspended),
        ("alice", "alice", RefusalCode::NotPermitted),
        ("pam", "dora", RefusalCode::NotPermitted),
        ("admin-hospital", "dora", RefusalCode::NotPermitted),
    ] {
        assert_eq!(known(&consortium, who, whom).await, Err(expected), "{who} {whom}");
        let query = KnownQuery { member: id(whom), events: Vec::new() };
        assert_eq!(refused(consortium.person(who).audit().known(&query).await), expected, "{who} {whom}");
    }
}

#[tokio::test]
async fn an_agent_is_told_as_long_as_it_may_read() {
    let mut consortium = Consortium::new().await;
    consortium.add("monitor", "pharmacy", "client");
    let call = DeployAgent { functions: [id("Audit:read")].into(), ..monitor(&consortium) };
    consortium.person("admin-pharmacy").agents().deploy(&call).await.unwrap();
    assert_eq!(known(&consortium, "gateway-pharmacy", "monitor").await.unwrap(), ["agent-deployed"]);
    let stop = StopAgent { agent: id("monitor"), reason: id("enough") };
    consortium.person("phil").agents().stop(&stop).await.unwrap();
    let refused = known(&consortium, "gateway-pharmacy", "monitor").await;
    assert_eq!(refused, Err(RefusalCode::AgentNotPermitted));
}
