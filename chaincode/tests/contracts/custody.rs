//! Custodians of records, as their gateways and administrators meet them.

use healthchain_interface::NameCustodians;
use healthchain_rules::audit::Act;
use healthchain_rules::organisation::OrganisationAct;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;
use crate::erasures::erasure;

fn naming(custodians: &[&str]) -> NameCustodians {
    NameCustodians { organisation: id("hospital"), custodians: custodians.iter().map(|name| id(name)).collect() }
}

impl Consortium {
    /// Makes an organisation the hospital's only custodian.
    pub(crate) async fn name_custodian(&self, custodian: &str) {
        let administrator = self.person("admin-hospital").organisations();
        administrator.name_custodians(&naming(&[custodian])).await.unwrap();
    }
}

#[tokio::test]
async fn everybody_sees_whom_an_administrator_named_last() {
    let consortium = Consortium::new().await;
    let administrator = consortium.person("admin-hospital");
    let seen = async || consortium.person("phil").organisations().custodians(&id("hospital")).await.unwrap().custodians;
    assert_eq!(seen().await, [].into());
    for custodians in [&["clinic", "payer"][..], &["payer"], &["payer"], &[]] {
        let call = naming(custodians);
        let named = administrator.organisations().name_custodians(&call).await.unwrap();
        assert_eq!((&named.custodians, &seen().await), (&call.custodians, &call.custodians));
    }
    let unknown = consortium.person("phil").organisations().custodians(&id("nobody")).await;
    assert_eq!(refused(unknown), RefusalCode::UnknownOrganisation);

    let entries = administrator.trail(Trail::OfMember(id("admin-hospital"))).await;
    let acts: Vec<_> = entries.into_iter().map(|entry| entry.act).collect();
    let act = |custodians| Act::from(OrganisationAct::CustodiansNamed { custodians });
    assert_eq!(acts.iter().filter(|found| **found == act([id("payer")].into())).count(), 1, "not when repeated");
    assert!(acts.contains(&act([].into())), "{acts:?}");
}

#[tokio::test]
async fn naming_is_refused_to_others_and_of_others_than_active_organisations() {
    let consortium = Consortium::new().await;
    for (who, expected) in [
        ("admin-clinic", RefusalCode::OtherOrganisation),
        ("carol", RefusalCode::NotPermitted),
        ("pam", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
        ("alice", RefusalCode::NotPermitted),
    ] {
        let named = consortium.person(who).organisations().name_custodians(&naming(&["clinic"])).await;
        assert_eq!(refused(named), expected, "{who}");
    }
    let administrator = consortium.person("admin-hospital");
    for (custodians, expected) in [
        (naming(&["nobody"]), RefusalCode::UnknownOrganisation),
        (naming(&["hospital"]), RefusalCode::Malformed),
        (naming(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]), RefusalCode::Malformed),
    ] {
        assert_eq!(refused(administrator.organisations().name_custodians(&custodians).await), expected);
    }
    for malformed in [
        json!({"organisation": "hospital"}),
        json!({"organisation": "hospital", "custodians": ["a b"]}),
        json!({"organisation": "hospital", "custodians": [], "more": 1}),
    ] {
        assert_eq!(administrator.status_of("Organisations:nameCustodians", malformed).await, 400);
    }
    assert_eq!(administrator.status_of("Organisations:custodians", json!("a b")).await, 400);
}

#[tokio::test]
async fn only_the_gateways_of_a_publisher_and_its_custodian_learn_what_goes_between_them() {
    let consortium = Consortium::new().await;
    let link = consortium.publish("l1", Category::Summary).await;
    let replicable =
        async |who: &str, other: &str| consortium.person(who).links().replicable(&id("l1"), &1, &id(other)).await;
    assert_eq!(refused(replicable("gateway-hospital", "clinic").await), RefusalCode::NotACustodian);
    assert_eq!(refused(replicable("gateway-clinic", "hospital").await), RefusalCode::UnknownLink);

    consortium.name_custodian("clinic").await;
    assert_eq!(replicable("gateway-hospital", "clinic").await.unwrap(), link.current.content);
    assert_eq!(replicable("gateway-clinic", "hospital").await.unwrap(), link.current.content);
    for (who, other, expected) in [
        ("gateway-hospital", "payer", RefusalCode::NotACustodian),
        ("gateway-hospital", "nobody", RefusalCode::UnknownLink),
        ("gateway-payer", "hospital", RefusalCode::UnknownLink),
        ("gateway-payer", "clinic", RefusalCode::UnknownLink),
        ("gateway-clinic", "payer", RefusalCode::UnknownLink),
        ("clara", "hospital", RefusalCode::NotPermitted),
        ("carol", "clinic", RefusalCode::NotPermitted),
    ] {
        assert_eq!(refused(replicable(who, other).await), expected, "{who} {other}");
    }
    let gateway = consortium.person("gateway-clinic").links();
    let hospital = id("hospital");
    assert_eq!(refused(gateway.replicable(&id("l1"), &2, &hospital).await), RefusalCode::UnknownVersion);
    assert_eq!(refused(gateway.replicable(&id("l2"), &1, &hospital).await), RefusalCode::UnknownLink);

    consortium.name_custodian("payer").await;
    assert_eq!(refused(replicable("gateway-clinic", "hospital").await), RefusalCode::UnknownLink, "struck off");
    assert_eq!(refused(replicable("gateway-hospital", "clinic").await), RefusalCode::NotACustodian, "struck off");
}

#[tokio::test]
async fn a_custodians_gateway_judges_openings_as_the_publishers_does_and_adds_no_envelope() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Medication).await;
    let opening = consortium.open("phil", "l1", Purpose::Treatment).await.opening;
    let gateway = consortium.person("gateway-clinic").links();
    assert_eq!(refused(gateway.in_force(&opening.transaction).await), RefusalCode::UnknownOpening);
    assert_eq!(refused(gateway.opening(&opening.transaction).await), RefusalCode::UnknownOpening);

    consortium.name_custodian("clinic").await;
    assert_eq!(gateway.in_force(&opening.transaction).await.unwrap(), opening);
    assert_eq!(gateway.opening(&opening.transaction).await.unwrap(), opening);
    assert_eq!(refused(gateway.custodian_envelope(&id("l1"), &1).await), RefusalCode::UnknownLink);
    assert_eq!(refused(gateway.envelope(&opening.transaction).await), RefusalCode::UnknownOpening);
    let clara = consortium.person("clara").links();
    assert_eq!(refused(clara.in_force(&opening.transaction).await), RefusalCode::NotPermitted);
    assert_eq!(refused(clara.opening(&opening.transaction).await), RefusalCode::UnknownOpening);
}

#[tokio::test]
async fn the_receipt_of_an_erasure_names_the_custodians_and_says_what_each_confirmed() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    consortium.name_custodian("clinic").await;
    let receipt = consortium.person("pam").links().erase(&erasure("l1")).await.unwrap();
    assert_eq!(receipt.copies, [(id("clinic"), Destruction::Ordered)].into());

    consortium.name_custodian("payer").await;
    let keeper = consortium.person("gateway-clinic").links();
    assert_eq!(keeper.erasure_receipt(&id("l1")).await.unwrap(), receipt);
    let later = consortium.person("gateway-payer").links();
    assert_eq!(refused(later.erasure_receipt(&id("l1")).await), RefusalCode::UnknownLink);
    assert_eq!(refused(later.confirm_destruction(&id("l1")).await), RefusalCode::UnknownLink);

    let confirmed = keeper.confirm_destruction(&id("l1")).await.unwrap();
    assert_eq!(confirmed.content, Destruction::Ordered, "nobody speaks for the publisher");
    assert!(matches!(confirmed.copies[&id::<MspId>("clinic")], Destruction::Confirmed { .. }));
    assert_eq!(keeper.confirm_destruction(&id("l1")).await.unwrap(), confirmed, "repeated");
    let gateway = consortium.person("gateway-hospital").links();
    let complete = gateway.confirm_destruction(&id("l1")).await.unwrap();
    assert!(matches!(complete.content, Destruction::Confirmed { .. }));
    assert_eq!(complete.copies, confirmed.copies);
}

#[tokio::test]
async fn whoever_was_struck_off_is_on_later_receipts_until_its_gateway_says_that_all_copies_are_destroyed() {
    let consortium = Consortium::new().await;
    for link in ["l1", "l2", "l3"] {
        consortium.publish(link, Category::Summary).await;
    }
    let pam = consortium.person("pam").links();
    let clinic = consortium.person("gateway-clinic");
    let hospital = id("hospital");
    assert_eq!(refused(clinic.organisations().confirm_copies_destroyed(&hospital).await), RefusalCode::NotACustodian);
    consortium.name_custodian("clinic").await;
    assert_eq!(refused(clinic.organisations().confirm_copies_destroyed(&hospital).await), RefusalCode::StillACustodian);
    pam.erase(&erasure("l1")).await.unwrap();

    consortium.name_custodian("payer").await;
    let receipt = pam.erase(&erasure("l2")).await.unwrap();
    assert_eq!(receipt.copies, [(id("clinic"), Destruction::Ordered), (id("payer"), Destruction::Ordered)].into());
    assert_eq!(clinic.links().erasure_receipt(&id("l2")).await.unwrap(), receipt);
    for (who, expected) in [
        ("clara", RefusalCode::NotPermitted),
        ("admin-clinic", RefusalCode::NotPermitted),
        ("gateway-payer", RefusalCode::StillACustodian),
        ("gateway-hospital", RefusalCode::NotACustodian),
    ] {
        let said = consortium.person(who).organisations().confirm_copies_destroyed(&hospital).await;
        assert_eq!(refused(said), expected, "{who}");
    }
    assert_eq!(clinic.status_of("Organisations:confirmCopiesDestroyed", json!("a b")).await, 400);

    let cleared = clinic.organisations().confirm_copies_destroyed(&hospital).await.unwrap();
    assert_eq!(clinic.organisations().confirm_copies_destroyed(&hospital).await.unwrap(), cleared, "repeated");
    let at = cleared.cleared[&id::<MspId>("clinic")].at;
    let seen = consortium.person("phil").organisations().custodians(&hospital).await.unwrap();
    assert_eq!((seen, cleared.former.len()), (cleared.clone(), 0));
    for (link, reader) in [("l1", "alice"), ("l2", "gateway-clinic"), ("l2", "pam")] {
        let receipt = consortium.person(reader).links().erasure_receipt(&id(link)).await.unwrap();
        assert_eq!(receipt.copies[&id::<MspId>("clinic")], Destruction::Confirmed { at }, "{link}");
    }
    let later = pam.erase(&erasure("l3")).await.unwrap();
    assert_eq!(later.copies, [(id("payer"), Destruction::Ordered)].into());

    consortium.name_custodian("clinic").await;
    let entries = consortium.person("admin-hospital").organisations().custodians(&hospital).await.unwrap();
    assert_eq!(entries.former, [id("payer")].into());
    let receipt = pam.erasure_receipt(&id("l1")).await.unwrap();
    assert_eq!(receipt.copies[&id::<MspId>("clinic")], Destruction::Confirmed { at }, "said is said");
}
