use healthchain_interface::{ApproveAmendment, EraseLink, PermittedQuery, ProposeAmendment, WithdrawLink};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

pub(crate) fn erasure(link: &str) -> EraseLink {
    EraseLink { link: id(link), reason: id("asked for by court") }
}

/// Link `l1` at version 2, with amendment `a2` open.
async fn amended(consortium: &Consortium) {
    let publication = consortium.publication("l1", Category::Summary).await;
    let carol = consortium.person("carol");
    carol.links().publish(&publication).await.unwrap();
    for (amendment, base_version) in [("a1", 1), ("a2", 2)] {
        let call = ProposeAmendment {
            amendment: id(amendment),
            link: id("l1"),
            base_version,
            content_hash: hash(amendment),
            content_length: 2000,
            commitment: hash("next commitment"),
            media_type: id("application/fhir+json"),
            reason: id("result corrected"),
            envelopes: publication.envelopes.clone(),
        };
        carol.amendments().propose(&call).await.unwrap();
        if amendment == "a1" {
            let call = ApproveAmendment { amendment: id("a1") };
            consortium.person("clara").amendments().approve(&call).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_erased_links_envelopes_are_gone_and_the_receipt_says_what_was_and_what_stays() {
    let consortium = Consortium::new().await;
    amended(&consortium).await;
    let neighbour = consortium.publish("l10", Category::Summary).await;
    let pam = consortium.person("pam").links();
    assert_eq!(refused(pam.erasure_receipt(&id("l1")).await), RefusalCode::LinkNotErased);

    let receipt = pam.erase(&erasure("l1")).await.unwrap();
    let version = |number, content_hash| DestroyedVersion { number, content_hash };
    let destroyed = Destroyed {
        versions: vec![version(1, hash("l1")), version(2, hash("a1"))],
        envelopes: 6,
        amendments: [id("a2")].into(),
    };
    assert_eq!((&receipt.destroyed, receipt.by.as_str()), (&destroyed, "pam"));
    assert_eq!(receipt.stays.len(), 3);
    assert_eq!(receipt.content, Destruction::Ordered);
    assert_eq!(pam.erase(&erasure("l1")).await.unwrap(), receipt, "repeated");
    let other = EraseLink { reason: id("other"), ..erasure("l1") };
    assert_eq!(refused(pam.erase(&other).await), RefusalCode::LinkErased);

    let gateway = consortium.person("gateway-hospital").links();
    for version in [1, 2] {
        assert_eq!(refused(gateway.custodian_envelope(&id("l1"), &version).await), RefusalCode::UnknownEnvelope);
    }
    let opened = consortium.open("alice", "l1", Purpose::Personal).await;
    let Decision::Denied { reason, .. } = opened.opening.decision else { panic!("permitted") };
    assert_eq!((reason, opened.envelope), (Denial::LinkErased, None));
    let query = PermittedQuery { patient: id("alice"), purpose: Purpose::Personal, page_token: None, limit: None };
    let listed = consortium.person("alice").links().permitted(&query).await.unwrap().items;
    assert_eq!(listed.iter().map(|item| &item.link).collect::<Vec<_>>(), [&neighbour.id]);
    assert!(gateway.custodian_envelope(&id("l10"), &1).await.is_ok());
    let clara = consortium.person("clara");
    let approval = ApproveAmendment { amendment: id("a2") };
    assert_eq!(refused(clara.amendments().approve(&approval).await), RefusalCode::LinkErased);
    let carol = consortium.person("carol").links();
    let withdrawal = WithdrawLink { link: id("l1"), reason: id("replaced"), superseded_by: None };
    assert_eq!(refused(carol.withdraw(&withdrawal).await), RefusalCode::LinkErased);
    let publication = consortium.publication("l1", Category::Summary).await;
    assert_eq!(refused(carol.publish(&publication).await), RefusalCode::LinkErased);
    let former = carol.version(&id("l1"), &1).await.unwrap();
    assert_eq!(former.version.content.hash, hash::<ContentHash>("l1"), "hashes stay");

    for reader in ["alice", "carol", "pam", "gateway-hospital"] {
        assert_eq!(consortium.person(reader).links().erasure_receipt(&id("l1")).await.unwrap(), receipt);
    }
    for stranger in ["bob", "clara", "pia", "gateway-clinic"] {
        let stranger = consortium.person(stranger).links();
        assert_eq!(refused(stranger.erasure_receipt(&id("l1")).await), RefusalCode::UnknownLink);
    }
}

#[tokio::test]
async fn the_publishers_gateway_confirms_that_the_content_is_destroyed() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let gateway = consortium.person("gateway-hospital");
    assert_eq!(refused(gateway.links().confirm_destruction(&id("l1")).await), RefusalCode::LinkNotErased);
    let receipt = consortium.person("pam").links().erase(&erasure("l1")).await.unwrap();
    for (who, expected) in [
        ("gateway-clinic", RefusalCode::UnknownLink),
        ("pam", RefusalCode::NotPermitted),
        ("carol", RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(consortium.person(who).links().confirm_destruction(&id("l1")).await), expected, "{who}");
    }
    assert_eq!(refused(gateway.links().confirm_destruction(&id("l2")).await), RefusalCode::UnknownLink);
    assert_eq!(gateway.status_of("Links:confirmDestruction", json!("L 1")).await, 400);

    let confirmed = gateway.links().confirm_destruction(&id("l1")).await.unwrap();
    assert!(matches!(confirmed.content, Destruction::Confirmed { .. }));
    assert_eq!(ErasureReceipt { content: Destruction::Ordered, ..confirmed.clone() }, receipt);
    assert_eq!(gateway.links().confirm_destruction(&id("l1")).await.unwrap(), confirmed, "repeated");
    assert_eq!(consortium.person("alice").links().erasure_receipt(&id("l1")).await.unwrap(), confirmed);
    assert_eq!(consortium.person("pam").links().erase(&erasure("l1")).await.unwrap(), confirmed, "repeated");
}

#[tokio::test]
async fn erasing_is_refused_to_all_but_the_publishers_privacy_officers() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    for (who, expected) in [
        ("clara", RefusalCode::UnknownLink),
        ("pia", RefusalCode::UnknownLink),
        ("alice", RefusalCode::OtherOrganisation),
        ("carol", RefusalCode::NotPermitted),
        ("admin-hospital", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(consortium.person(who).links().erase(&erasure("l1")).await), expected, "{who}");
    }
    let pam = consortium.person("pam");
    assert_eq!(refused(pam.links().erase(&erasure("l2")).await), RefusalCode::UnknownLink);
    assert_eq!(pam.status_of("Links:erase", json!({"link": "l1", "reason": "x".repeat(201)})).await, 400);
    assert_eq!(pam.status_of("Links:erase", json!({"link": "l1"})).await, 400);
    assert_eq!(pam.status_of("Links:erasureReceipt", json!("L 1")).await, 400);
    consortium.suspend("pam", "hospital").await;
    assert_eq!(refused(pam.links().erase(&erasure("l1")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(pam.links().erasure_receipt(&id("l1")).await), RefusalCode::MemberSuspended);
    assert!(consortium.person("carol").links().link(&id("l1")).await.is_ok());
}
