use fabric_client::TxValidationCode;
use futures::StreamExt as _;
use healthchain_interface::{GrantConsent, OpenLink, Opened};
use healthchain_rules::opening::OpeningAct;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

fn denial(opened: &Opened) -> Denial {
    assert_eq!(opened.envelope, None);
    match &opened.opening.decision {
        Decision::Denied { reason, .. } => *reason,
        Decision::Permitted { provision, .. } => panic!("permitted by {provision:?}"),
    }
}

fn provision(opened: &Opened) -> Provision {
    match &opened.opening.decision {
        Decision::Permitted { provision, .. } => provision.clone(),
        Decision::Denied { reason, .. } => panic!("denied: {reason:?}"),
    }
}

#[tokio::test]
async fn a_payer_is_refused_permitted_and_refused_again() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    assert_eq!(denial(&consortium.open("pia", "l1", Purpose::Payment).await), Denial::ConsentRequired);
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    let opened = consortium.open("pia", "l1", Purpose::Payment).await;
    assert_eq!(provision(&opened), Provision::Consent(id("c1")));
    assert_eq!(opened.envelope, None, "nobody sealed to the payer yet");
    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    assert_eq!(denial(&consortium.open("pia", "l1", Purpose::Payment).await), Denial::ConsentRequired);
}

#[tokio::test]
async fn an_opening_gives_the_envelope_for_exactly_the_recipients_key() {
    let consortium = Consortium::new().await;
    let call = consortium.publication("l1", Category::Summary).await;
    consortium.person("carol").links().publish(&call).await.unwrap();
    for (who, purpose, holder, rule) in [
        ("alice", Purpose::Personal, Holder::Member(id("alice")), Rule::OwnAccess),
        ("carol", Purpose::Treatment, Holder::Organisation(id("hospital")), Rule::DirectTreatment),
        ("clara", Purpose::Treatment, Holder::Organisation(id("clinic")), Rule::DirectTreatment),
    ] {
        let opened = consortium.open(who, "l1", purpose).await;
        assert_eq!(provision(&opened), Provision::Rule(rule));
        assert_eq!(opened.envelope.as_ref(), call.envelopes.iter().find(|envelope| envelope.holder == holder));
        assert_eq!(opened.envelope.unwrap().holder, holder);
    }
}

#[tokio::test]
async fn a_consent_to_one_person_seals_to_the_person() {
    let consortium = Consortium::new().await;
    consortium.grant(GrantConsent { grantee: Grantee::Member(id("pia")), ..to_payer("c1", Effect::Permit) }).await;
    let call = consortium.publication("l1", Category::Summary).await;
    assert_eq!(call.envelopes.last().unwrap().holder, Holder::Member(id("pia")));
    consortium.person("carol").links().publish(&call).await.unwrap();
    let opened = consortium.open("pia", "l1", Purpose::Payment).await;
    assert_eq!(opened.envelope.unwrap().holder, Holder::Member(id("pia")));
    assert_eq!(denial(&consortium.open("paul", "l1", Purpose::Payment).await), Denial::ConsentRequired);
}

#[tokio::test]
async fn restricted_records_and_denials_stop_clinicians() {
    let consortium = Consortium::new().await;
    consortium.publish("secret", Category::Restricted).await;
    consortium.publish("l1", Category::Summary).await;
    for clinician in ["carol", "clara"] {
        let opened = consortium.open(clinician, "secret", Purpose::Treatment).await;
        assert_eq!(denial(&opened), Denial::ConsentRequired);
    }
    let deny = GrantConsent {
        grantee: Grantee::Role(Role::Clinician),
        purposes: [Purpose::Treatment].into(),
        ..to_payer("c1", Effect::Deny)
    };
    consortium.grant(deny).await;
    let opened = consortium.open("carol", "l1", Purpose::Treatment).await;
    assert_eq!(
        opened.opening.decision,
        Decision::Denied {
            reason: Denial::PatientDenied,
            exception: Some(Exception::Privacy),
            provision: Some(Provision::Consent(id("c1")))
        }
    );
}

#[tokio::test]
async fn a_denied_opener_is_not_told_that_the_record_is_restricted() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Restricted).await;
    let opened = consortium.open("pia", "l1", Purpose::Payment).await;
    assert_eq!(denial(&opened), Denial::ConsentRequired);
    let trail = consortium.person("pia").trail(Trail::OfMember(id("pia"))).await;
    for told in [serde_json::to_string(&opened).unwrap(), serde_json::to_string(&trail).unwrap()] {
        assert!(!told.contains("restricted"), "{told}");
    }
}

#[tokio::test]
async fn a_suspended_members_opening_is_a_committed_denial() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.suspend("clara", "clinic").await;
    let opened = consortium.open("clara", "l1", Purpose::Treatment).await;
    assert_eq!(denial(&opened), Denial::MemberSuspended);
    let committed = consortium.person("gateway-clinic").links().opening(&opened.opening.transaction).await.unwrap();
    assert_eq!(committed, opened.opening);
}

#[tokio::test]
async fn opening_is_refused_to_strangers_and_gateways_and_for_unknown_links() {
    let mut consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.add("stranger", "clinic", "client");
    let call = |link: &str| OpenLink { link: id(link), purpose: Purpose::Treatment, emergency: None };
    let stranger = consortium.person("stranger").links();
    assert_eq!(refused(stranger.open(&call("l1")).await), RefusalCode::UnknownCaller);
    let gateway = consortium.person("gateway-clinic").links();
    assert_eq!(refused(gateway.open(&call("l1")).await), RefusalCode::NotPermitted);
    let clara = consortium.person("clara");
    assert_eq!(refused(clara.links().open(&call("l2")).await), RefusalCode::UnknownLink);
    for malformed in
        [json!({"link": "l1"}), json!({"link": "L 1", "purpose": "treatment"}), json!({"link": "l1", "purpose": "fun"})]
    {
        assert_eq!(clara.status_of("Links:open", malformed).await, 400);
    }
    for role in ["max", "pam", "admin-hospital"] {
        let opened = consortium.open(role, "l1", Purpose::Treatment).await;
        assert_eq!(denial(&opened), Denial::PurposeNotPermitted);
    }
}

#[tokio::test]
async fn an_opening_is_known_to_its_parties_alone() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let opened = consortium.open("clara", "l1", Purpose::Treatment).await.opening;
    for party in ["clara", "gateway-clinic", "admin-clinic", "gateway-hospital", "pam"] {
        assert_eq!(consortium.person(party).links().opening(&opened.transaction).await.unwrap(), opened);
    }
    for other in ["pia", "gateway-payer", "carol", "bob"] {
        let found = consortium.person(other).links().opening(&opened.transaction).await;
        assert_eq!(refused(found), RefusalCode::UnknownOpening, "{other}");
    }
    let clara = consortium.person("clara");
    assert_eq!(refused(clara.links().opening(&hash("none")).await), RefusalCode::UnknownOpening);
    assert_eq!(clara.status_of("Links:opening", json!("short")).await, 400);
    consortium.suspend("clara", "clinic").await;
    assert_eq!(refused(clara.links().opening(&opened.transaction).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn many_openings_of_one_patient_commit_without_a_conflict() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let openings = (0..20).map(|n| {
        let who = consortium.person(if n % 2 == 0 { "clara" } else { "carol" });
        let contract = who.contract.clone().conflict_retries(0);
        async move {
            let links = healthchain_interface::LinksClient::new(contract);
            links.open(&OpenLink { link: id("l1"), purpose: Purpose::Treatment, emergency: None }).await
        }
    });
    for opened in futures::future::join_all(openings).await {
        assert!(opened.unwrap().opening.decision.is_permitted());
    }
}

#[tokio::test]
async fn listeners_learn_what_the_publishers_gateway_needs() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    let client = consortium.person("gateway-hospital").contract.client().clone();
    let mut events = client.chaincode_events(consortium.network.channel(), CHAINCODE, fabric_client::From::Block(0));
    let opened = consortium.open("pia", "l1", Purpose::Payment).await.opening;
    let event = loop {
        let event = events.next().await.unwrap().unwrap();
        if event.transaction_id == opened.transaction.as_str() {
            break event;
        }
    };
    let told: LedgerEvent = serde_json::from_slice(&event.payload).unwrap();
    assert_eq!(event.name, "link-opened");
    assert_eq!(told.wanted.as_ref(), opened.recipient());
    assert_eq!((told.entry.transaction, told.entry.act), (opened.transaction.clone(), OpeningAct::of(&opened).into()));
}

/// Endorses pia's opening for payment of link `l1`, and commits it only after `between` was.
async fn opened_across(consortium: &Consortium, between: impl Future<Output = ()>) -> TxValidationCode {
    let call = OpenLink { link: id("l1"), purpose: Purpose::Payment, emergency: None };
    let argument = serde_json::to_vec(&call).unwrap();
    let endorsed = consortium.person("pia").contract.proposal("Links:open", vec![argument]).endorse().await.unwrap();
    let opened: Opened = serde_json::from_slice(endorsed.result()).unwrap();
    assert!(opened.opening.decision.is_permitted());
    between.await;
    endorsed.submit().await.unwrap().status().await.unwrap().code()
}

#[tokio::test]
async fn an_opening_that_was_endorsed_before_a_revocation_is_not_committed_after_it() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    let revoke = async {
        consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    };
    assert_eq!(opened_across(&consortium, revoke).await, TxValidationCode::MvccReadConflict);
}

#[tokio::test]
async fn an_opening_that_was_endorsed_before_a_suspension_is_not_committed_after_it() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    let code = opened_across(&consortium, consortium.suspend("pia", "payer")).await;
    assert_eq!(code, TxValidationCode::MvccReadConflict);
    assert_eq!(denial(&consortium.open("pia", "l1", Purpose::Payment).await), Denial::MemberSuspended);
}
