use healthchain_interface::{Me, NewMember, SuspendMember};
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

#[tokio::test]
async fn an_administrator_registers_a_member_once() {
    let mut consortium = Consortium::new().await;
    consortium.add("nina", "hospital", "client");
    let new = consortium.new_member("nina", Role::Clinician);
    let nina = consortium.person("nina").clone();
    assert_eq!(refused(nina.members().me().await), RefusalCode::UnknownCaller);

    let admin = consortium.person("admin-hospital").members();
    let registered = admin.register(&new).await.unwrap();
    assert_eq!((registered.organisation.as_str(), registered.attestation.by.as_str()), ("hospital", "admin-hospital"));
    assert_eq!(admin.register(&new).await.unwrap(), registered, "repeated");
    let other = NewMember { role: Role::PrivacyOfficer, ..new };
    assert_eq!(refused(admin.register(&other).await), RefusalCode::MemberExists);
    assert_eq!(nina.members().me().await.unwrap(), Me::Member(Box::new(registered.clone())));
    assert_eq!(consortium.person("pia").members().member(&id("nina")).await.unwrap(), registered);
}

#[tokio::test]
async fn registration_is_refused_to_others_for_foreign_roles_taken_keys_and_taken_ids() {
    let mut consortium = Consortium::new().await;
    consortium.add("nina", "hospital", "client");
    let new = consortium.new_member("nina", Role::Clinician);
    for other in ["carol", "pam", "gateway-hospital"] {
        assert_eq!(
            refused(consortium.person(other).members().register(&new).await),
            RefusalCode::NotPermitted,
            "{other}"
        );
    }
    assert_eq!(refused(consortium.person("nina").members().register(&new).await), RefusalCode::UnknownCaller);
    let admin = consortium.person("admin-hospital");
    let patient = NewMember { role: Role::Patient, ..new.clone() };
    assert_eq!(refused(admin.members().register(&patient).await), RefusalCode::NotPermitted);
    for taken in ["carol", "gateway-hospital"] {
        let key_hash = consortium.person(taken).key_hash.clone();
        let taken = NewMember { key_hash, ..new.clone() };
        assert_eq!(refused(admin.members().register(&taken).await), RefusalCode::KeyTaken);
    }
    let taken = NewMember { id: id("clara"), ..new.clone() };
    assert_eq!(refused(admin.members().register(&taken).await), RefusalCode::MemberExists);

    let off_curve = id(&format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{:A<85}A==", "B"));
    let off_curve = NewMember { encryption_key: off_curve, ..new.clone() };
    assert_eq!(refused(admin.members().register(&off_curve).await), RefusalCode::Malformed);
    let mut long = serde_json::to_value(&new).unwrap();
    long["id"] = json!("n".repeat(65));
    assert_eq!(admin.status_of("Members:register", long).await, 400);
    let mut unknown_role = serde_json::to_value(&new).unwrap();
    unknown_role["role"] = json!("surgeon");
    assert_eq!(admin.status_of("Members:register", unknown_role).await, 400);
}

#[tokio::test]
async fn a_key_that_another_organisation_registered_is_still_its_owners_to_register() {
    let mut consortium = Consortium::new().await;
    consortium.add("nina", "hospital", "client");
    let nina = consortium.new_member("nina", Role::Clinician);
    let squatting = NewMember { id: id("squatter"), ..nina.clone() };
    consortium.person("admin-clinic").members().register(&squatting).await.unwrap();

    let registered = consortium.person("admin-hospital").members().register(&nina).await.unwrap();
    let me = consortium.person("nina").members().me().await.unwrap();
    assert_eq!(me, Me::Member(Box::new(registered)), "and not the squatter");
}

#[tokio::test]
async fn a_member_registered_elsewhere_cannot_act_with_the_same_key_in_another_organisation() {
    let mut consortium = Consortium::new().await;
    consortium.add("mallory", "payer", "client");
    let mallory = consortium.new_member("mallory", Role::Clinician);
    consortium.person("admin-hospital").members().register(&mallory).await.unwrap();
    assert_eq!(refused(consortium.person("mallory").members().me().await), RefusalCode::UnknownCaller);
}

#[tokio::test]
async fn a_suspended_member_may_do_nothing_until_reinstated() {
    let consortium = Consortium::new().await;
    let admin = consortium.person("admin-hospital").members();
    let call = SuspendMember { member: id("carol"), reason: id("lost the key") };
    let suspended = admin.suspend(&call).await.unwrap();
    assert!(matches!(suspended.standing, Standing::Suspended { .. }));
    assert_eq!(admin.suspend(&call).await.unwrap(), suspended, "repeated");
    let other = SuspendMember { reason: id("left"), ..call };
    assert_eq!(refused(admin.suspend(&other).await), RefusalCode::StandingConflict);

    let carol = consortium.person("carol").members();
    assert_eq!(carol.me().await.unwrap(), Me::Member(Box::new(suspended)));
    assert_eq!(refused(carol.member(&id("alice")).await), RefusalCode::MemberSuspended);
    let active = admin.reinstate(&id("carol")).await.unwrap();
    assert_eq!(active.standing, Standing::Active);
    assert_eq!(admin.reinstate(&id("carol")).await.unwrap(), active, "repeated");
    assert!(carol.member(&id("alice")).await.is_ok());
}

#[tokio::test]
async fn suspension_is_refused_to_others_for_oneself_and_for_other_organisations() {
    let consortium = Consortium::new().await;
    let call = |member: &str| SuspendMember { member: id(member), reason: id("left") };
    for (who, whom, expected) in [
        ("carol", "dora", RefusalCode::NotPermitted),
        ("gateway-hospital", "dora", RefusalCode::NotPermitted),
        ("admin-clinic", "dora", RefusalCode::OtherOrganisation),
        ("admin-hospital", "nobody", RefusalCode::UnknownMember),
        ("admin-hospital", "admin-hospital", RefusalCode::OwnSuspension),
    ] {
        assert_eq!(refused(consortium.person(who).members().suspend(&call(whom)).await), expected, "{who} {whom}");
    }
    for (who, whom, expected) in [
        ("carol", "dora", RefusalCode::NotPermitted),
        ("admin-clinic", "dora", RefusalCode::OtherOrganisation),
        ("admin-hospital", "nobody", RefusalCode::UnknownMember),
    ] {
        assert_eq!(refused(consortium.person(who).members().reinstate(&id(whom)).await), expected, "{who} {whom}");
    }
    let admin = consortium.person("admin-hospital");
    for reason in ["", "two\nlines", &"x".repeat(201)] {
        let malformed = json!({"member": "carol", "reason": reason});
        assert_eq!(admin.status_of("Members:suspend", malformed).await, 400);
    }
    assert_eq!(admin.status_of("Members:reinstate", json!("NOT AN ID")).await, 400);
}

#[tokio::test]
async fn a_suspended_administrator_registers_and_suspends_nobody() {
    let mut consortium = Consortium::new().await;
    for name in ["second", "nina"] {
        consortium.add(name, "hospital", "client");
    }
    let admin = consortium.person("admin-hospital").members();
    admin.register(&consortium.new_member("second", Role::Administrator)).await.unwrap();
    consortium.suspend("second", "hospital").await;
    let second = consortium.person("second").members();
    let new = consortium.new_member("nina", Role::Clinician);
    assert_eq!(refused(second.register(&new).await), RefusalCode::MemberSuspended);
    let call = SuspendMember { member: id("carol"), reason: id("left") };
    assert_eq!(refused(second.suspend(&call).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(second.reinstate(&id("second")).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn members_are_known_to_members_and_gateways_alone() {
    let mut consortium = Consortium::new().await;
    consortium.add("stranger", "payer", "client");
    let gateway = consortium.person("gateway-payer").members();
    assert!(gateway.member(&id("alice")).await.is_ok());
    assert!(matches!(gateway.me().await.unwrap(), Me::Custodian(organisation) if organisation.msp_id == id("payer")));
    assert_eq!(refused(gateway.member(&id("nobody")).await), RefusalCode::UnknownMember);
    let stranger = consortium.person("stranger").members();
    assert_eq!(refused(stranger.member(&id("alice")).await), RefusalCode::UnknownCaller);
}
