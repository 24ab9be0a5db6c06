use healthchain_interface::{AddEnvelope, Opened, WithdrawLink};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

/// Pia's permitted opening, and the envelope that it asks for.
async fn wanted(consortium: &Consortium) -> (Opened, AddEnvelope) {
    consortium.publish("l1", Category::Summary).await;
    consortium.grant(to_payer("c1", Effect::Permit)).await;
    let opened = consortium.open("pia", "l1", Purpose::Payment).await;
    let call = asked_for(&opened);
    (opened, call)
}

/// The envelope that a permitted opening asks for.
pub(crate) fn asked_for(opened: &Opened) -> AddEnvelope {
    let Decision::Permitted { recipient, .. } = &opened.opening.decision else { panic!("denied") };
    AddEnvelope { opening: opened.opening.transaction.clone(), envelope: envelope_for(recipient) }
}

#[tokio::test]
async fn the_publishers_gateway_adds_the_envelope_and_the_opener_fetches_it() {
    let consortium = Consortium::new().await;
    let (opened, call) = wanted(&consortium).await;
    assert_eq!(consortium.person("pia").links().envelope(&call.opening).await.unwrap(), None);
    let gateway = consortium.person("gateway-hospital").links();
    let own = gateway.custodian_envelope(&id("l1"), &1).await.unwrap();
    assert_eq!(own.holder, Holder::Organisation(id("hospital")));

    assert_eq!(gateway.add_envelope(&call).await.unwrap(), call.envelope);
    assert_eq!(gateway.add_envelope(&call).await.unwrap(), call.envelope, "repeated");
    let mut other = call.clone();
    other.envelope.sealed = id("b3RoZXIh");
    assert_eq!(refused(gateway.add_envelope(&other).await), RefusalCode::EnvelopeExists);
    for reader in ["pia", "gateway-payer"] {
        let found = consortium.person(reader).links().envelope(&opened.opening.transaction).await.unwrap();
        assert_eq!(found.as_ref(), Some(&call.envelope));
    }
    let again = consortium.open("paul", "l1", Purpose::Payment).await;
    assert_eq!(again.envelope, Some(call.envelope), "the organisation's envelope serves a colleague's opening");
}

#[tokio::test]
async fn an_envelope_is_added_only_as_the_opening_instructs() {
    let consortium = Consortium::new().await;
    let (_, call) = wanted(&consortium).await;
    for (who, expected) in [
        ("carol", RefusalCode::NotPermitted),
        ("pia", RefusalCode::NotPermitted),
        ("gateway-payer", RefusalCode::UnknownOpening),
        ("gateway-clinic", RefusalCode::UnknownOpening),
    ] {
        assert_eq!(refused(consortium.person(who).links().add_envelope(&call).await), expected, "{who}");
    }
    let gateway = consortium.person("gateway-hospital");
    let mut unknown = call.clone();
    unknown.opening = hash("none");
    assert_eq!(refused(gateway.links().add_envelope(&unknown).await), RefusalCode::UnknownOpening);
    let mut other_holder = call.clone();
    other_holder.envelope.holder = Holder::Member(id("pia"));
    assert_eq!(refused(gateway.links().add_envelope(&other_holder).await), RefusalCode::EnvelopeNotWanted);
    let mut other_key = call.clone();
    other_key.envelope.recipient_key_hash = hash("other");
    assert_eq!(refused(gateway.links().add_envelope(&other_key).await), RefusalCode::EnvelopeNotWanted);
    let mut oversized = serde_json::to_value(&call).unwrap();
    oversized["envelope"]["sealed"] = json!("A".repeat(2052));
    assert_eq!(gateway.status_of("Links:addEnvelope", oversized).await, 400);
    let denied = consortium.open("pia", "l1", Purpose::Operations).await.opening;
    let for_denied = AddEnvelope { opening: denied.transaction, ..call };
    assert_eq!(refused(gateway.links().add_envelope(&for_denied).await), RefusalCode::OpeningNotInForce);
}

#[tokio::test]
async fn only_the_publishers_gateway_learns_whether_an_opening_is_in_force() {
    let consortium = Consortium::new().await;
    let (opened, AddEnvelope { opening, .. }) = wanted(&consortium).await;
    let gateway = consortium.person("gateway-hospital").links();
    assert_eq!(gateway.in_force(&opening).await.unwrap(), opened.opening);
    assert_eq!(refused(gateway.in_force(&hash("none")).await), RefusalCode::UnknownOpening);
    for (who, expected) in [
        ("carol", RefusalCode::NotPermitted),
        ("pia", RefusalCode::NotPermitted),
        ("gateway-payer", RefusalCode::UnknownOpening),
        ("gateway-clinic", RefusalCode::UnknownOpening),
    ] {
        assert_eq!(refused(consortium.person(who).links().in_force(&opening).await), expected, "{who}");
    }
    let denied = consortium.open("pia", "l1", Purpose::Operations).await.opening;
    assert_eq!(refused(gateway.in_force(&denied.transaction).await), RefusalCode::OpeningNotInForce);
}

#[tokio::test]
async fn an_opening_is_not_in_force_after_a_revocation_a_suspension_or_a_withdrawal() {
    for end in ["revocation", "suspension", "withdrawal"] {
        let consortium = Consortium::new().await;
        let (_, AddEnvelope { opening, .. }) = wanted(&consortium).await;
        match end {
            "revocation" => drop(consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap()),
            "suspension" => consortium.suspend("pia", "payer").await,
            _ => {
                let call = WithdrawLink { link: id("l1"), reason: id("wrong patient"), superseded_by: None };
                consortium.person("carol").links().withdraw(&call).await.unwrap();
            }
        }
        let found = consortium.person("gateway-hospital").links().in_force(&opening).await;
        assert_eq!(refused(found), RefusalCode::OpeningNotInForce, "{end}");
    }
}

#[tokio::test]
async fn a_revoked_consent_stops_envelopes_of_earlier_openings() {
    let consortium = Consortium::new().await;
    let (_, call) = wanted(&consortium).await;
    let gateway = consortium.person("gateway-hospital").links();
    gateway.add_envelope(&call).await.unwrap();
    consortium.person("alice").consents().revoke(&revocation("c1")).await.unwrap();
    let pia = consortium.person("pia").links();
    assert_eq!(refused(pia.envelope(&call.opening).await), RefusalCode::OpeningNotInForce);
    assert_eq!(refused(gateway.add_envelope(&call).await), RefusalCode::OpeningNotInForce);
}

#[tokio::test]
async fn a_suspended_openers_envelope_is_given_to_nobody() {
    let consortium = Consortium::new().await;
    let (_, call) = wanted(&consortium).await;
    consortium.person("gateway-hospital").links().add_envelope(&call).await.unwrap();
    consortium.suspend("pia", "payer").await;
    let of = |who: &str| consortium.person(who).links();
    assert_eq!(refused(of("pia").envelope(&call.opening).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(of("gateway-payer").envelope(&call.opening).await), RefusalCode::OpeningNotInForce);
}

#[tokio::test]
async fn an_openings_envelope_is_refused_to_others() {
    let consortium = Consortium::new().await;
    let (_, call) = wanted(&consortium).await;
    consortium.person("gateway-hospital").links().add_envelope(&call).await.unwrap();
    for (who, expected) in [
        ("paul", RefusalCode::UnknownOpening),
        ("admin-payer", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
        ("gateway-clinic", RefusalCode::UnknownOpening),
        ("alice", RefusalCode::UnknownOpening),
    ] {
        assert_eq!(refused(consortium.person(who).links().envelope(&call.opening).await), expected, "{who}");
    }
    let pia = consortium.person("pia");
    assert_eq!(refused(pia.links().envelope(&hash("none")).await), RefusalCode::UnknownOpening);
    assert_eq!(pia.status_of("Links:envelope", json!("short")).await, 400);
}

#[tokio::test]
async fn only_the_publishers_gateway_reads_the_publishers_envelope() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    for (who, link, version, expected) in [
        ("gateway-clinic", "l1", 1, RefusalCode::UnknownLink),
        ("carol", "l1", 1, RefusalCode::NotPermitted),
        ("gateway-hospital", "l2", 1, RefusalCode::UnknownLink),
        ("gateway-hospital", "l1", 2, RefusalCode::UnknownEnvelope),
    ] {
        let found = consortium.person(who).links().custodian_envelope(&id(link), &version).await;
        assert_eq!(refused(found), expected, "{who} {link} {version}");
    }
    let gateway = consortium.person("gateway-hospital");
    assert_eq!(gateway.status_of("Links:custodianEnvelope", json!("l1")).await, 400, "an argument too few");
}
