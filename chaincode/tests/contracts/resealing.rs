use healthchain_interface::{DeployAgent, Reseal, ResealQuery, RotateKey, StopAgent, ToReseal};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

pub(crate) fn of_alice() -> ResealQuery {
    ResealQuery { patient: id("alice"), page_token: None, limit: None }
}

async fn to_reseal(consortium: &Consortium) -> Vec<ToReseal> {
    consortium.person("gateway-hospital").links().to_reseal(&of_alice()).await.unwrap().items
}

/// Alice's next key, to which nothing is sealed yet.
pub(crate) async fn rotate_alices_encryption_key(consortium: &Consortium) -> EncryptionKey {
    let alice = consortium.person("alice");
    let call =
        RotateKey { member: id("alice"), key_hash: alice.key_hash.clone(), encryption_key: new_encryption_key() };
    alice.members().rotate_key(&call).await.unwrap().encryption_key
}

#[tokio::test]
async fn a_rotated_key_makes_a_work_list_that_the_publishers_gateway_works_off() {
    let consortium = Consortium::new().await;
    for (link, category) in [("l1", Category::Summary), ("l2", Category::Imaging)] {
        consortium.publish(link, category).await;
    }
    assert_eq!(to_reseal(&consortium).await, [], "all are sealed at publication");
    let key = rotate_alices_encryption_key(&consortium).await;
    let recipient = Recipient { holder: Holder::Member(id("alice")), key };
    let item = |link: &str, category| ToReseal { link: id(link), version: 1, category, recipient: recipient.clone() };
    let list = [item("l1", Category::Summary), item("l2", Category::Imaging)];
    assert_eq!(to_reseal(&consortium).await, list);

    let gateway = consortium.person("gateway-hospital").links();
    let one = ResealQuery { limit: Some(1.try_into().unwrap()), ..of_alice() };
    let page = gateway.to_reseal(&one).await.unwrap();
    assert_eq!(page.items, list[..1]);
    let rest = ResealQuery { page_token: page.next_page_token, ..of_alice() };
    assert_eq!(gateway.to_reseal(&rest).await.unwrap().items, list[1..]);

    let call = Reseal { link: id("l1"), envelope: envelope_for(&recipient) };
    let before = consortium.open("alice", "l1", Purpose::Personal).await;
    assert_eq!(before.envelope, None);
    let added = gateway.reseal(&call).await.unwrap();
    assert_eq!(gateway.reseal(&call).await.unwrap(), added, "repeated");
    let other = Reseal { envelope: Envelope { sealed: id("b3RoZXIh"), ..added.clone() }, ..call };
    assert_eq!(refused(gateway.reseal(&other).await), RefusalCode::EnvelopeExists);
    let after = consortium.open("alice", "l1", Purpose::Personal).await;
    assert_eq!(after.envelope, Some(added));
    assert_eq!(to_reseal(&consortium).await, list[1..]);
}

#[tokio::test]
async fn who_became_entitled_is_on_the_list_until_the_consent_is_revoked() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Claim).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    let list = to_reseal(&consortium).await;
    let holders: Vec<&Holder> = list.iter().map(|item| &item.recipient.holder).collect();
    assert_eq!(holders, [&Holder::Organisation(id("payer"))]);
    let gateway = consortium.person("gateway-hospital").links();
    let call = Reseal { link: id("l1"), envelope: envelope_for(&list[0].recipient) };
    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    assert_eq!(to_reseal(&consortium).await, []);
    assert_eq!(refused(gateway.reseal(&call).await), RefusalCode::EnvelopeNotWanted);
}

#[tokio::test]
async fn re_sealing_is_for_the_publishers_gateway() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let key = rotate_alices_encryption_key(&consortium).await;
    let call =
        Reseal { link: id("l1"), envelope: envelope_for(&Recipient { holder: Holder::Member(id("alice")), key }) };
    for (who, expected) in [
        ("carol", RefusalCode::NotPermitted),
        ("alice", RefusalCode::NotPermitted),
        ("gateway-payer", RefusalCode::NotPermitted),
        ("gateway-clinic", RefusalCode::UnknownLink),
    ] {
        assert_eq!(refused(consortium.person(who).links().reseal(&call).await), expected, "{who}");
    }
    for who in ["carol", "alice", "gateway-payer"] {
        let refusal = refused(consortium.person(who).links().to_reseal(&of_alice()).await);
        assert_eq!(refusal, RefusalCode::NotPermitted, "{who}");
    }
    let clinic = consortium.person("gateway-clinic").links().to_reseal(&of_alice()).await.unwrap();
    assert_eq!(clinic.items, [], "another publisher's links are not on it");
    let gateway = consortium.person("gateway-hospital");
    let unknown = ResealQuery { patient: id("nobody"), ..of_alice() };
    assert_eq!(refused(gateway.links().to_reseal(&unknown).await), RefusalCode::UnknownPatient);
    let unknown = Reseal { link: id("l9"), ..call };
    assert_eq!(refused(gateway.links().reseal(&unknown).await), RefusalCode::UnknownLink);
    assert_eq!(gateway.status_of("Links:toReseal", json!({"patient": "alice", "limit": 0})).await, 400);
    assert_eq!(gateway.status_of("Links:reseal", json!({"link": "l1", "envelope": {}})).await, 400);
}

#[tokio::test]
async fn an_agent_of_a_clinician_works_off_the_list_until_it_is_stopped() {
    let mut consortium = Consortium::new().await;
    consortium.add("custodian", "hospital", "client");
    let person = consortium.person("custodian");
    let deployment = DeployAgent {
        agent: id("custodian"),
        owner: id("carol"),
        key_hash: person.key_hash.clone(),
        encryption_key: person.encryption_key.clone(),
        functions: [id("Links:reseal"), id("Links:toReseal")].into(),
        purposes: [].into(),
        categories: [].into(),
        calls_a_day: 100,
        epsilon_a_day: 0,
        until: now().plus_days(7),
    };
    consortium.person("admin-hospital").agents().deploy(&deployment).await.unwrap();
    for link in ["l1", "l2"] {
        consortium.publish(link, Category::Summary).await;
    }
    rotate_alices_encryption_key(&consortium).await;

    let custodian = consortium.person("custodian").links();
    let list = custodian.to_reseal(&of_alice()).await.unwrap().items;
    let call = |item: &ToReseal| Reseal { link: item.link.clone(), envelope: envelope_for(&item.recipient) };
    custodian.reseal(&call(&list[0])).await.unwrap();
    assert_eq!(to_reseal(&consortium).await, list[1..]);
    let used = consortium.person("carol").agents().agent(&id("custodian")).await.unwrap().used;
    assert_eq!(used.calls, 1);

    let stop = StopAgent { agent: id("custodian"), reason: id("not needed") };
    consortium.person("carol").agents().stop(&stop).await.unwrap();
    assert_eq!(refused(custodian.reseal(&call(&list[1])).await), RefusalCode::AgentNotPermitted);
    assert_eq!(refused(custodian.to_reseal(&of_alice()).await), RefusalCode::AgentNotPermitted);
}
