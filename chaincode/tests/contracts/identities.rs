//! What becomes of members after they are registered: attested, given other keys, retired, listed.

use healthchain_interface::{
    AttestIdentity, AttestationsQuery, Me, OrganisationMembersQuery, RetireMember, RotateKey, SuspendMember,
};
use healthchain_rules::attestation::ProofingMethod;
use healthchain_rules::*;
use serde_json::json;

use crate::consortium::*;

#[tokio::test]
async fn a_patients_identity_is_attested_by_clinicians_and_payers_and_everybody_may_see_it() {
    let consortium = Consortium::new().await;
    let of_alice = |method| AttestIdentity { member: id("alice"), method };
    let (carol, pia) = (consortium.person("carol").members(), consortium.person("pia").members());
    let first = carol.attest(&of_alice(ProofingMethod::InPerson)).await.unwrap();
    assert_eq!(carol.attest(&of_alice(ProofingMethod::InPerson)).await.unwrap(), first, "repeated");
    let other = carol.attest(&of_alice(ProofingMethod::SupervisedRemote)).await;
    assert_eq!(refused(other), RefusalCode::AttestationExists);
    let second = pia.attest(&of_alice(ProofingMethod::ExistingRelationship)).await.unwrap();

    let query = AttestationsQuery { member: id("alice"), page_token: None, limit: Some(1.try_into().unwrap()) };
    let phil = consortium.person("phil").members();
    let page = phil.attestations(&query).await.unwrap();
    assert_eq!(page.items, [first]);
    let rest = phil.attestations(&AttestationsQuery { page_token: page.next_page_token, ..query.clone() }).await;
    assert_eq!(rest.unwrap().items, [second]);
    consortium.suspend("phil", "pharmacy").await;
    assert_eq!(refused(phil.attestations(&query).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn attestations_are_refused_to_others_of_oneself_and_of_nobody() {
    let consortium = Consortium::new().await;
    let call = |member: &str| AttestIdentity { member: id(member), method: ProofingMethod::InPerson };
    for (who, whom, expected) in [
        ("phil", "alice", RefusalCode::NotPermitted),
        ("alice", "bob", RefusalCode::NotPermitted),
        ("gateway-hospital", "alice", RefusalCode::NotPermitted),
        ("carol", "carol", RefusalCode::OwnAttestation),
        ("carol", "nobody", RefusalCode::UnknownMember),
    ] {
        assert_eq!(refused(consortium.person(who).members().attest(&call(whom)).await), expected, "{who} {whom}");
    }
    let carol = consortium.person("carol");
    for malformed in
        [json!({"member": "alice", "method": "by-guess"}), json!({"member": "ALICE", "method": "in-person"})]
    {
        assert_eq!(carol.status_of("Members:attest", malformed).await, 400);
    }
    consortium.suspend("carol", "hospital").await;
    assert_eq!(refused(carol.members().attest(&call("alice")).await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn a_retired_member_never_acts_again_and_its_key_stays_taken() {
    let mut consortium = Consortium::new().await;
    consortium.add("second", "hospital", "client");
    let admin = consortium.person("admin-hospital").members();
    let call = RetireMember { member: id("dora"), reason: id("left") };
    let retired = admin.retire(&call).await.unwrap();
    assert!(matches!(&retired.standing, Standing::Retired { by: Some(by), .. } if *by == id("admin-hospital")));
    assert_eq!(admin.retire(&call).await.unwrap(), retired, "repeated");
    let other = RetireMember { reason: id("died"), ..call.clone() };
    assert_eq!(refused(admin.retire(&other).await), RefusalCode::StandingConflict);
    assert_eq!(refused(admin.reinstate(&id("dora")).await), RefusalCode::StandingConflict);
    let dora = consortium.person("dora").members();
    assert_eq!(refused(dora.member(&id("alice")).await), RefusalCode::MemberRetired);
    let mut heir = consortium.new_member("second", Role::Clinician);
    heir.key_hash = consortium.person("dora").key_hash.clone();
    assert_eq!(refused(admin.register(&heir).await), RefusalCode::KeyTaken);

    for (who, whom, expected) in [
        ("admin-hospital", "admin-hospital", RefusalCode::OwnSuspension),
        ("admin-clinic", "carol", RefusalCode::OtherOrganisation),
        ("pam", "carol", RefusalCode::NotPermitted),
        ("admin-hospital", "nobody", RefusalCode::UnknownMember),
    ] {
        let call = RetireMember { member: id(whom), ..call.clone() };
        assert_eq!(refused(consortium.person(who).members().retire(&call).await), expected, "{who} {whom}");
    }
    let long = json!({"member": "carol", "reason": "x".repeat(201)});
    assert_eq!(consortium.person("admin-hospital").status_of("Members:retire", long).await, 400);
}

/// Carol's next certificate and keys.
pub(crate) async fn with_next_key() -> (Consortium, RotateKey) {
    let mut consortium = Consortium::new().await;
    consortium.add("carol-again", "hospital", "client");
    let next = consortium.person("carol-again");
    let call =
        RotateKey { member: id("carol"), key_hash: next.key_hash.clone(), encryption_key: next.encryption_key.clone() };
    (consortium, call)
}

#[tokio::test]
async fn a_member_rotates_its_key_and_the_old_one_is_unknown_and_stays_taken() {
    let (mut consortium, call) = with_next_key().await;
    let (old, new) = (consortium.person("carol").clone(), consortium.person("carol-again").clone());
    let rotated = old.members().rotate_key(&call).await.unwrap();
    assert_eq!(refused(old.members().me().await), RefusalCode::UnknownCaller);
    assert_eq!(new.members().me().await.unwrap(), Me::Member(Box::new(rotated.clone())));
    assert_eq!(new.members().rotate_key(&call).await.unwrap(), rotated, "repeated with the new key");
    let back = RotateKey { key_hash: old.key_hash.clone(), ..call };
    assert_eq!(refused(new.members().rotate_key(&back).await), RefusalCode::KeyTaken);

    consortium.add("nina", "hospital", "client");
    let mut nina = consortium.new_member("nina", Role::Clinician);
    nina.key_hash = old.key_hash;
    let registered = consortium.person("admin-hospital").members().register(&nina).await;
    assert_eq!(refused(registered), RefusalCode::KeyTaken);
}

#[tokio::test]
async fn an_administrator_replaces_a_lost_key_but_no_patients() {
    let (consortium, call) = with_next_key().await;
    for (who, expected) in [
        ("dora", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
        ("admin-clinic", RefusalCode::OtherOrganisation),
    ] {
        assert_eq!(refused(consortium.person(who).members().rotate_key(&call).await), expected, "{who}");
    }
    let admin = consortium.person("admin-hospital").members();
    let taken = RotateKey { key_hash: consortium.person("dora").key_hash.clone(), ..call.clone() };
    assert_eq!(refused(admin.rotate_key(&taken).await), RefusalCode::KeyTaken);
    let unknown = RotateKey { member: id("nobody"), ..call.clone() };
    assert_eq!(refused(admin.rotate_key(&unknown).await), RefusalCode::UnknownMember);
    consortium.suspend("carol", "hospital").await;
    assert_eq!(refused(consortium.person("carol").members().rotate_key(&call).await), RefusalCode::MemberSuspended);
    let rotated = admin.rotate_key(&call).await.unwrap();
    assert_eq!(admin.rotate_key(&call).await.unwrap(), rotated, "repeated");
    assert!(matches!(rotated.standing, Standing::Suspended { .. }));

    let patients = RotateKey { member: id("alice"), ..call.clone() };
    let refusal = refused(consortium.person("admin-patients").members().rotate_key(&patients).await);
    assert_eq!(refusal, RefusalCode::NotPermitted);
    let off_curve = format!("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{:A<85}A==", "B");
    let off_curve = RotateKey { encryption_key: id(&off_curve), ..call };
    assert_eq!(refused(admin.rotate_key(&off_curve).await), RefusalCode::Malformed);
    let short = json!({"member": "carol", "key_hash": "ab", "encryption_key": "AAAA"});
    assert_eq!(consortium.person("admin-hospital").status_of("Members:rotateKey", short).await, 400);
}

#[tokio::test]
async fn an_organisations_members_are_listed_page_by_page_without_gateways_and_former_keys() {
    let (consortium, call) = with_next_key().await;
    consortium.person("carol").members().rotate_key(&call).await.unwrap();
    let call = SuspendMember { member: id("dora"), reason: id("left") };
    consortium.person("admin-hospital").members().suspend(&call).await.unwrap();
    let query = |page_token| OrganisationMembersQuery {
        organisation: id("hospital"),
        page_token,
        limit: Some(2.try_into().unwrap()),
    };
    let pam = consortium.person("pam").members();
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let page = pam.of_organisation(&query(token)).await.unwrap();
        found.extend(page.items.into_iter().map(|member| member.id.to_string()));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, ["admin-hospital", "carol", "dora", "pam"], "each once, also who is suspended");
    for (who, expected) in [
        ("carol-again", RefusalCode::NotPermitted),
        ("gateway-hospital", RefusalCode::NotPermitted),
        ("admin-clinic", RefusalCode::OtherOrganisation),
        ("dora", RefusalCode::MemberSuspended),
    ] {
        let refusal = refused(consortium.person(who).members().of_organisation(&query(None)).await);
        assert_eq!(refusal, expected, "{who}");
    }
    let malformed = json!({"organisation": "hospital", "limit": 101});
    assert_eq!(consortium.person("pam").status_of("Members:ofOrganisation", malformed).await, 400);
}
