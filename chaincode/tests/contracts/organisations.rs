use healthchain_interface::{Founder, Founders, Me, NewMember};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

#[tokio::test]
async fn an_administrator_founds_the_consortium_once() {
    let consortium = Consortium::empty().await;
    let hospital = consortium.person("admin-hospital").organisations();
    let founded = hospital.bootstrap(&founders()).await.unwrap();
    assert_eq!(founded.len(), 5);
    assert!(founded.iter().all(|organisation| organisation.state == OrganisationState::Founded));

    let payer = consortium.person("admin-payer").organisations();
    assert_eq!(payer.bootstrap(&founders()).await.unwrap(), founded, "repeated");
    let fewer = Founders { organisations: founders().organisations[1..].to_vec() };
    assert_eq!(refused(hospital.bootstrap(&fewer).await), RefusalCode::AlreadyFounded);
    assert_eq!(payer.organisations().await.unwrap(), founded);
}

#[tokio::test]
async fn founding_is_refused_to_clients_and_strangers_and_with_malformed_lists() {
    let consortium = Consortium::empty().await;
    let gateway = consortium.person("gateway-hospital").organisations();
    assert_eq!(refused(gateway.bootstrap(&founders()).await), RefusalCode::NotPermitted);
    let hospital = consortium.person("admin-hospital");
    let without_own = Founders { organisations: vec![Founder { msp_id: id("payer"), kind: OrganisationKind::Payer }] };
    assert_eq!(refused(hospital.organisations().bootstrap(&without_own).await), RefusalCode::NotPermitted);
    let none = Founders { organisations: Vec::new() };
    assert_eq!(refused(hospital.organisations().bootstrap(&none).await), RefusalCode::Malformed);
    for malformed in [
        json!({}),
        json!({"organisations": [{"msp_id": "a b", "kind": "payer"}]}),
        json!({"organisations": [{"msp_id": "a", "kind": "bank"}]}),
        json!({"organisations": [], "more": 1}),
    ] {
        assert_eq!(hospital.status_of("Organisations:bootstrap", malformed).await, 400);
    }
}

#[tokio::test]
async fn an_organisation_enters_once_with_its_first_administrator() {
    let consortium = Consortium::empty().await;
    let hospital = consortium.person("admin-hospital");
    assert_eq!(
        refused(hospital.organisations().enter(&consortium.entry("hospital")).await),
        RefusalCode::UnknownOrganisation
    );
    hospital.organisations().bootstrap(&founders()).await.unwrap();
    let call = consortium.entry("hospital");
    let entered = hospital.organisations().enter(&call).await.unwrap();
    assert_eq!(entered.encryption_key().unwrap().public_key, call.encryption_key);
    assert_eq!(hospital.organisations().enter(&call).await.unwrap(), entered, "repeated");
    assert_eq!(hospital.organisations().organisation(&id("hospital")).await.unwrap(), entered);

    let mut other = call.clone();
    other.gateway_url = id("https://elsewhere.example");
    assert_eq!(refused(hospital.organisations().enter(&other).await), RefusalCode::AlreadyEntered);
    let me = hospital.members().member(&id("admin-hospital")).await.unwrap();
    assert_eq!((me.role, me.key_hash), (Role::Administrator, hospital.key_hash.clone()));
}

#[tokio::test]
async fn entry_is_refused_to_clients_with_taken_ids_and_keys_and_with_keys_off_the_curve() {
    let consortium = Consortium::empty().await;
    let hospital = consortium.person("admin-hospital").organisations();
    hospital.bootstrap(&founders()).await.unwrap();
    hospital.enter(&consortium.entry("hospital")).await.unwrap();

    let gateway = consortium.person("gateway-payer").organisations();
    assert_eq!(refused(gateway.enter(&consortium.entry("payer")).await), RefusalCode::NotPermitted);
    let payer = consortium.person("admin-payer");
    let mut taken_id = consortium.entry("payer");
    taken_id.administrator = id("admin-hospital");
    assert_eq!(refused(payer.organisations().enter(&taken_id).await), RefusalCode::MemberExists);
    let mut taken_key = consortium.entry("payer");
    taken_key.gateway_key_hash = payer.key_hash.clone();
    assert_eq!(refused(payer.organisations().enter(&taken_key).await), RefusalCode::KeyTaken);
    let mut off_curve = consortium.entry("payer");
    off_curve.encryption_key = id(&format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{:A<85}A==", "B"));
    assert_eq!(refused(payer.organisations().enter(&off_curve).await), RefusalCode::Malformed);
}

#[tokio::test]
async fn a_key_that_another_organisation_registered_does_not_keep_its_owner_from_entering() {
    let consortium = Consortium::empty().await;
    let hospital = consortium.person("admin-hospital");
    hospital.organisations().bootstrap(&founders()).await.unwrap();
    let mut squatting = consortium.entry("hospital");
    squatting.gateway_key_hash = consortium.person("gateway-payer").key_hash.clone();
    hospital.organisations().enter(&squatting).await.unwrap();
    let registration = NewMember {
        id: id("squatter"),
        role: Role::Clinician,
        key_hash: consortium.person("admin-payer").key_hash.clone(),
        encryption_key: new_encryption_key(),
    };
    hospital.members().register(&registration).await.unwrap();

    let entered = consortium.person("admin-payer").organisations().enter(&consortium.entry("payer")).await.unwrap();
    let me = consortium.person("gateway-payer").members().me().await.unwrap();
    assert_eq!(me, Me::Custodian(entered), "the payer's gateway acts for the payer");
}

#[tokio::test]
async fn an_organisation_that_is_not_there_is_unknown() {
    let consortium = Consortium::empty().await;
    let anybody = consortium.person("gateway-payer").organisations();
    assert_eq!(refused(anybody.organisation(&id("nobody")).await), RefusalCode::UnknownOrganisation);
    assert!(anybody.organisations().await.unwrap().is_empty());
    let status = consortium.person("gateway-payer").status_of("Organisations:organisation", json!("a b")).await;
    assert_eq!(status, 400);
}
