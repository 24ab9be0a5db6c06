//! The same promises of the authority in this repository and, where `fabric-ca-server` is on PATH, of that.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod authority;

use fabric_client::ca::{Attribute, AttributeRequest, CaClient, CaError, Revocation, Wishes};
use fabric_msp::issue::{Authority, Request};
use fabric_msp::{Certificate, SigningIdentity};
use openssl::x509::{X509, X509Crl};

use self::authority::{NAME, World, registration, request};

macro_rules! on_both {
    ($($promise:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(super::World::embedded().await).await;
            })*
        }
        mod fabric_ca_server_where_it_is_on_path {
            $(#[tokio::test]
            async fn $promise() {
                if let Some(world) = super::World::server().await {
                    super::$promise(world).await;
                }
            })*
        }
    };
}

on_both!(
    an_authority_tells_its_name_and_certificate,
    an_enrolment_gives_a_certificate_for_the_own_key_with_unit_and_attributes,
    a_wrong_or_used_up_secret_enrols_nobody,
    nobody_enrols_under_another_name,
    a_renewal_keeps_key_and_name,
    who_is_not_the_authoritys_own_is_refused,
    only_registrars_register_and_nobody_twice,
    a_revoked_identity_is_listed_and_can_do_nothing_more,
    one_certificate_is_revoked_by_its_number,
    only_who_may_revokes_and_lists,
    an_attribute_that_nobody_has_is_not_given,
    another_authority_of_the_server_is_not_there,
    a_server_with_another_tls_root_is_not_talked_to,
);

/// Status and Fabric CA's code of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T, CaError>) -> (u16, i64) {
    match result.unwrap_err() {
        CaError::Refused { status, code, .. } => (status, code),
        other => panic!("{other}"),
    }
}

const STRANGER: (u16, i64) = (401, 20);
const FORBIDDEN: (u16, i64) = (403, 71);

async fn an_authority_tells_its_name_and_certificate(world: World) {
    let info = world.client.info().await.unwrap();
    assert_eq!(info.name, NAME);
    assert!(Certificate::from_pem(&info.chain).unwrap().is_authority());
    assert!(!info.version.is_empty());
}

async fn an_enrolment_gives_a_certificate_for_the_own_key_with_unit_and_attributes(world: World) {
    let registrar = world.registrar().await;
    let mut amy = registration("amy");
    let attribute = |name: &str, ecert| Attribute { name: name.into(), value: "7".into(), ecert };
    amy.attributes = vec![attribute("ward", true), attribute("floor", false)];
    let secret = world.client.register(&registrar, &amy).await.unwrap();
    let amy = world.enrolled("amy", &secret).await;
    let certificate = amy.certificate();
    assert_eq!(certificate.common_name(), Some("amy"));
    assert_eq!(certificate.organizational_units(), ["client"]);
    let authority = X509::from_pem(world.client.info().await.unwrap().chain.as_bytes()).unwrap();
    assert!(X509::from_der(certificate.der()).unwrap().verify(&authority.public_key().unwrap()).unwrap());
    let text = String::from_utf8_lossy(certificate.der()).into_owned();
    assert!(text.contains(r#""ward":"7""#) && text.contains(r#""hf.EnrollmentID":"amy""#), "{text}");
    assert!(!text.contains("floor"), "{text}");

    let wishes = vec![AttributeRequest { name: "floor".into(), optional: false }];
    let asked = world.client.reenroll(&amy, &Wishes { attributes: Some(wishes), ..Wishes::default() }).await.unwrap();
    let text = String::from_utf8_lossy(asked.der()).into_owned();
    assert!(text.contains(r#""floor":"7""#) && !text.contains("ward"), "{text}");
}

async fn a_wrong_or_used_up_secret_enrols_nobody(world: World) {
    let mut once = registration("once");
    once.max_enrollments = Some(1);
    let secret = world.client.register(&world.registrar().await, &once).await.unwrap();
    let (_, asked) = request("once");
    for (id, secret) in [("once", "wrong"), ("once", ""), ("nobody", secret.as_str())] {
        assert_eq!(refusal(world.client.enroll(id, secret, &asked, &Wishes::default()).await), STRANGER, "{id}");
    }
    world.client.enroll("once", &secret, &asked, &Wishes::default()).await.unwrap();
    assert_eq!(refusal(world.client.enroll("once", &secret, &asked, &Wishes::default()).await), STRANGER);
}

async fn nobody_enrols_under_another_name(world: World) {
    let secret = world.client.register(&world.registrar().await, &registration("amy")).await.unwrap();
    let (_, asked) = request("bob");
    assert_eq!(refusal(world.client.enroll("amy", &secret, &asked, &Wishes::default()).await), (403, 77));
    assert_eq!(refusal(world.client.enroll("amy", &secret, "no request", &Wishes::default()).await), (400, 31));
}

async fn a_renewal_keeps_key_and_name(world: World) {
    let amy = world.member("amy").await;
    let renewed = world.client.reenroll(&amy, &Wishes::default()).await.unwrap();
    assert_ne!(renewed.serial(), amy.certificate().serial());
    assert_eq!(renewed.key_hash(), amy.certificate().key_hash());
    assert_eq!(renewed.subject(), amy.certificate().subject());
    assert!(renewed.not_after() >= amy.certificate().not_after());
    // And the new certificate renews as the old one did.
    let amy = amy.with_certificate(renewed).unwrap();
    world.client.reenroll(&amy, &Wishes::default()).await.unwrap();
}

async fn who_is_not_the_authoritys_own_is_refused(world: World) {
    let elsewhere = Authority::create("ca", "Hospital").unwrap();
    let issued = elsewhere.issue(&Request::signing("registrar", "client")).unwrap();
    let forged = SigningIdentity::from_pem("HospitalMSP", issued.certificate_pem(), issued.key_pem()).unwrap();
    assert_eq!(refusal(world.client.reenroll(&forged, &Wishes::default()).await), STRANGER);
    assert_eq!(refusal(world.client.register(&forged, &registration("amy")).await), STRANGER);
    assert_eq!(refusal(world.client.revocation_list(&forged).await), STRANGER);
}

async fn only_registrars_register_and_nobody_twice(world: World) {
    let amy = world.member("amy").await;
    assert_eq!(refusal(world.client.register(&amy, &registration("bob")).await), FORBIDDEN);
    let registrar = world.registrar().await;
    let refused = world.client.register(&registrar, &registration("amy")).await.unwrap_err();
    assert_eq!(refused.status(), Some(409));
    assert!(refused.explanation().unwrap().contains("amy"));
    assert!(!refused.to_string().contains("amy"), "{refused}");
    let mut bob = registration("bob");
    bob.secret = Some("chosen".into());
    assert_eq!(world.client.register(&registrar, &bob).await.unwrap().as_str(), "chosen");
}

async fn a_revoked_identity_is_listed_and_can_do_nothing_more(world: World) {
    let registrar = world.registrar().await;
    let secret = world.client.register(&registrar, &registration("amy")).await.unwrap();
    let amy = world.enrolled("amy", &secret).await;
    let before = list(&world, &registrar).await;
    assert!(!is_listed(&before, amy.certificate()));

    let revocation =
        Revocation { id: Some("amy".into()), reason: Some("keycompromise".into()), ..Revocation::default() };
    let revoked = world.client.revoke(&registrar, &revocation).await.unwrap();
    assert_eq!(revoked.len(), 1);
    assert!(is_listed(&list(&world, &registrar).await, amy.certificate()));
    assert!(!is_listed(&list(&world, &registrar).await, registrar.certificate()));
    assert_eq!(refusal(world.client.reenroll(&amy, &Wishes::default()).await), STRANGER);
    let (_, asked) = request("amy");
    assert_eq!(refusal(world.client.enroll("amy", &secret, &asked, &Wishes::default()).await), STRANGER);
}

async fn one_certificate_is_revoked_by_its_number(world: World) {
    let registrar = world.registrar().await;
    let amy = world.member("amy").await;
    let after = amy.with_certificate(world.client.reenroll(&amy, &Wishes::default()).await.unwrap()).unwrap();
    let x509 = X509::from_der(amy.certificate().der()).unwrap();
    let revocation = Revocation {
        serial: Some(hex::encode(amy.certificate().serial())),
        aki: Some(hex::encode(x509.authority_key_id().unwrap().as_slice())),
        ..Revocation::default()
    };
    assert_eq!(world.client.revoke(&registrar, &revocation).await.unwrap().len(), 1);
    assert_eq!(refusal(world.client.revoke(&registrar, &revocation).await), (404, 66));
    assert_eq!(refusal(world.client.reenroll(&amy, &Wishes::default()).await), STRANGER);
    world.client.reenroll(&after, &Wishes::default()).await.unwrap();
    let unknown = Revocation { serial: Some("7".into()), ..revocation };
    assert_eq!(refusal(world.client.revoke(&registrar, &unknown).await), (404, 8));
}

async fn only_who_may_revokes_and_lists(world: World) {
    let (amy, _bob) = (world.member("amy").await, world.member("bob").await);
    let bob = Revocation { id: Some("bob".into()), ..Revocation::default() };
    assert_eq!(refusal(world.client.revoke(&amy, &bob).await), FORBIDDEN);
    assert_eq!(refusal(world.client.revocation_list(&amy).await), FORBIDDEN);
    assert_eq!(refusal(world.client.revoke(&world.registrar().await, &Revocation::default()).await), (400, 15));
    let nobody = Revocation { id: Some("nobody".into()), ..Revocation::default() };
    assert_eq!(world.client.revoke(&world.registrar().await, &nobody).await.unwrap_err().status(), Some(404));
}

async fn an_attribute_that_nobody_has_is_not_given(world: World) {
    let amy = world.member("amy").await;
    let wishes = |optional| Wishes {
        attributes: Some(vec![AttributeRequest { name: "admin".into(), optional }]),
        ..Wishes::default()
    };
    assert_eq!(refusal(world.client.reenroll(&amy, &wishes(false)).await), (500, 0));
    world.client.reenroll(&amy, &wishes(true)).await.unwrap();
}

async fn another_authority_of_the_server_is_not_there(world: World) {
    let other = world.client.clone().named("elsewhere");
    assert_eq!(other.info().await.unwrap_err().status(), Some(404));
}

async fn a_server_with_another_tls_root_is_not_talked_to(world: World) {
    let another = Authority::create("tls root", "Hospital").unwrap();
    let client = CaClient::new(&world.url, another.certificate().pem().as_bytes(), Some(NAME.into())).unwrap();
    let (_, asked) = request("amy");
    let error = client.enroll("amy", "secret", &asked, &Wishes::default()).await.unwrap_err();
    assert!(matches!(error, CaError::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn secrets_go_over_tls_only_and_a_wrong_configuration_is_named() {
    let root = Authority::create("tls root", "Hospital").unwrap().certificate().pem();
    for (url, root) in [("http://localhost:7054", root.as_str()), ("no address", &root), ("https://ca", "no PEM")] {
        let error = CaClient::new(url, root.as_bytes(), None).unwrap_err();
        assert!(matches!(error, CaError::Setup(_)), "{error}");
    }
}

async fn list(world: &World, identity: &SigningIdentity) -> X509Crl {
    let list = X509Crl::from_pem(world.client.revocation_list(identity).await.unwrap().as_bytes()).unwrap();
    let authority = X509::from_pem(world.client.info().await.unwrap().chain.as_bytes()).unwrap();
    assert!(list.verify(&authority.public_key().unwrap()).unwrap());
    list
}

fn is_listed(list: &X509Crl, certificate: &Certificate) -> bool {
    let entries = list.get_revoked().into_iter().flatten();
    let mut numbers = entries.map(|entry| entry.serial_number().to_bn().unwrap().to_vec());
    numbers.any(|number| number == certificate.serial())
}
