//! Whom an MSP takes for its member, and whom it refuses and how.
#![allow(clippy::unwrap_used)] // reason: helpers of tests

mod made;

use fabric_msp::issue::{Authority, Request};
use fabric_msp::{Certificate, IdentityError, Invalidity, Msp, Msps};
use fabric_protos::common::msp_role::MspRoleType;
use fabric_protos::msp::SerializedIdentity;
use made::{Made, Wish, YEAR, authority, configuration, member, msps};
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::PKey;
use prost::Message;

fn invalidity(msps: &Msps, made: &Made) -> Invalidity {
    match msps.identify(&made.serialized("A")) {
        Err(IdentityError::Invalid { msp_id, reason }) if msp_id == "A" => reason,
        other => panic!("expected an invalid identity, got {other:?}"),
    }
}

fn untrusted(msps: &Msps, made: &Made) -> String {
    let error = msps.identify(&made.serialized("A")).unwrap_err();
    assert!(matches!(error, IdentityError::Untrusted { .. }), "{error}");
    assert!(error.is_unknown());
    error.to_string()
}

/// Found by review: Go, and so the peer, passes over a block whose END has another label; the reader here ended at any END.
#[test]
fn a_colleagues_certificate_before_the_own_one_is_malformed() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let pem = |name: &str| String::from_utf8(member(name, &["client"]).issued_by(&root).pem()).unwrap();
    let first = pem("victim").replace("END CERTIFICATE", "END X");
    let id_bytes = (first + &pem("attacker")).into_bytes();
    let crafted = SerializedIdentity { mspid: "A".to_owned(), id_bytes }.encode_to_vec();
    let error = msps.identify(&crafted).unwrap_err();
    assert!(matches!(error, IdentityError::Malformed(_)) && error.is_unknown(), "{error}");
}

#[test]
fn each_unit_gives_exactly_its_role() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let roles = [
        ("client", MspRoleType::Client),
        ("peer", MspRoleType::Peer),
        ("admin", MspRoleType::Admin),
        ("orderer", MspRoleType::Orderer),
    ];
    for (unit, own) in roles {
        let identity = msps.identify(&member("m", &[unit]).issued_by(&root).serialized("A")).unwrap();
        assert!(identity.has_role(MspRoleType::Member));
        for (_, role) in roles {
            assert_eq!(identity.has_role(role), role == own, "{unit} {role:?}");
        }
    }
}

#[test]
fn a_unit_that_is_no_role_may_stand_beside_one() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    assert!(msps.identify(&member("m", &["cardiology", "client"]).issued_by(&root).serialized("A")).is_ok());
}

#[test]
fn two_node_units_are_refused() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let reason = invalidity(&msps, &member("m", &["client", "admin"]).issued_by(&root));
    assert!(
        reason.to_string().contains("not a combination of them. OUs: [\"client\", \"admin\"], MSP: [A]"),
        "{reason}"
    );
    assert!(matches!(
        invalidity(&msps, &member("m", &["peer", "peer"]).issued_by(&root)),
        Invalidity::SeveralNodeUnits { .. }
    ));
}

#[test]
fn no_node_unit_is_refused() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    for units in [&[][..], &["Client"], &["cardiology"]] {
        let reason = invalidity(&msps, &member("m", units).issued_by(&root));
        assert!(matches!(reason, Invalidity::NoNodeUnit { .. }), "{reason}");
    }
}

#[test]
fn expired_and_not_yet_valid_certificates_pass_msp_validation() {
    let root = Wish { end: made::START + 100 * YEAR, ..authority("ca") }.self_signed();
    let msps = msps(configuration(&root));
    let expired = Wish { end: made::START + 1, ..member("old", &["client"]) };
    let future = Wish { start: made::START + 60 * YEAR, end: made::START + 61 * YEAR, ..member("new", &["client"]) };
    assert!(msps.identify(&expired.issued_by(&root).serialized("A")).is_ok());
    assert!(msps.identify(&future.issued_by(&root).serialized("A")).is_ok());
}

#[test]
fn a_member_from_before_its_authority_is_refused() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let early = Wish { start: made::START - YEAR, ..member("early", &["client"]) };
    assert!(untrusted(&msps, &early.issued_by(&root)).contains("unknown authority"));
}

#[test]
fn a_stranger_is_unknown_whatever_organisation_it_names() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let other = authority("ca").self_signed();
    let stranger = member("m", &["client"]).issued_by(&other);
    untrusted(&msps, &stranger);
    assert_eq!(msps.identify(&stranger.serialized("B")), Err(IdentityError::UnknownMsp("B".to_owned())));
    untrusted(&msps, &member("m", &["client"]).self_signed());
}

#[test]
fn what_is_no_identity_is_malformed() {
    use fabric_protos::msp::SerializedIdentity;
    use prost::Message;
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let with =
        |id_bytes: &[u8]| SerializedIdentity { mspid: "A".to_owned(), id_bytes: id_bytes.to_vec() }.encode_to_vec();
    let mut cut = member("m", &["client"]).issued_by(&root).pem();
    cut.truncate(200);
    for bytes in [
        b"\xff\xff".to_vec(),
        with(b""),
        with(b"certificate"),
        with(&cut),
        with(&root.key.private_key_to_pem_pkcs8().unwrap()),
    ] {
        let error = msps.identify(&bytes).unwrap_err();
        assert!(matches!(error, IdentityError::Malformed(_)), "{error}");
        assert!(error.is_unknown());
    }
}

#[test]
fn an_authoritys_certificate_is_no_identity() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    assert_eq!(invalidity(&msps, &root), Invalidity::Authority);
    let second = Wish { units: vec!["client"], ..authority("second") }.issued_by(&root);
    assert_eq!(invalidity(&msps, &second), Invalidity::Authority);
}

#[test]
fn rsa_members_are_refused_and_ed25519_members_accepted() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let rsa = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
    let reason = invalidity(&msps, &Wish { key: Some(rsa), ..member("m", &["client"]) }.issued_by(&root));
    assert_eq!(reason, Invalidity::KeyAlgorithm);

    let ed25519 = Wish { key: Some(PKey::generate_ed25519().unwrap()), ..member("m", &["client"]) }.issued_by(&root);
    let identity = msps.identify(&ed25519.serialized("A")).unwrap();
    let mut signer = openssl::sign::Signer::new_without_digest(&ed25519.key).unwrap();
    identity.verify(b"message", &signer.sign_oneshot_to_vec(b"message").unwrap()).unwrap();
}

#[test]
fn an_extended_usage_without_server_authentication_is_refused() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    untrusted(&msps, &Wish { client_usage_only: true, ..member("m", &["client"]) }.issued_by(&root));
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    untrusted(&msps, &Wish { unknown_critical: true, ..member("m", &["client"]) }.issued_by(&root));
}

#[test]
fn members_of_an_intermediate_authority_pass_and_those_of_its_parent_no_longer_do() {
    let root = authority("ca").self_signed();
    let intermediate = authority("sub").issued_by(&root);
    let mut config = configuration(&root);
    config.intermediate_certs = vec![intermediate.pem()];
    let msps = msps(config);
    assert!(msps.identify(&member("m", &["client"]).issued_by(&intermediate).serialized("A")).is_ok());
    let reason = invalidity(&msps, &member("m", &["client"]).issued_by(&root));
    assert!(matches!(reason, Invalidity::Chain(_)), "{reason}");
}

#[test]
fn a_path_length_is_kept() {
    let root = Wish { path_length: Some(0), ..authority("ca") }.self_signed();
    let intermediate = authority("sub").issued_by(&root);
    let mut config = configuration(&root);
    config.intermediate_certs = vec![intermediate.pem()];
    untrusted(&msps(config), &member("m", &["client"]).issued_by(&intermediate));
    let alone = msps(configuration(&root));
    assert!(alone.identify(&member("m", &["client"]).issued_by(&root).serialized("A")).is_ok());
}

#[test]
fn two_chains_to_roots_are_refused() {
    let root = authority("ca").self_signed();
    let renewed = Wish { key: Some(root.key.clone()), end: made::START + 90 * YEAR, ..authority("ca") }.self_signed();
    let mut config = configuration(&root);
    config.root_certs.push(renewed.pem());
    let msps = msps(config);
    let reason = untrusted(&msps, &member("m", &["client"]).issued_by(&root));
    assert!(reason.contains("single validation chain, got 2"), "{reason}");
}

#[test]
fn a_unit_of_another_certifier_is_refused() {
    let (first, second) = (authority("first").self_signed(), authority("second").self_signed());
    let mut config = configuration(&first);
    config.root_certs.push(second.pem());
    config.fabric_node_ous.as_mut().unwrap().admin_ou_identifier.as_mut().unwrap().certificate = first.pem();
    let msps = msps(config);
    assert!(msps.identify(&member("m", &["admin"]).issued_by(&first).serialized("A")).is_ok());
    assert!(msps.identify(&member("m", &["client"]).issued_by(&second).serialized("A")).is_ok());
    let reason = invalidity(&msps, &member("m", &["admin"]).issued_by(&second));
    assert!(matches!(reason, Invalidity::Certifiers { .. }), "{reason}");
}

#[test]
fn listed_units_are_asked_for() {
    use fabric_protos::msp::FabricOuIdentifier;
    let root = authority("ca").self_signed();
    let mut config = configuration(&root);
    config.organizational_unit_identifiers =
        vec![FabricOuIdentifier { certificate: root.pem(), organizational_unit_identifier: "ward".to_owned() }];
    let msps = msps(config);
    assert!(msps.identify(&member("m", &["ward", "client"]).issued_by(&root).serialized("A")).is_ok());
    let reason = invalidity(&msps, &member("m", &["client"]).issued_by(&root));
    assert!(matches!(reason, Invalidity::UnitNotListed { .. }), "{reason}");
}

#[test]
fn without_node_units_only_named_administrators_have_a_role() {
    let root = authority("ca").self_signed();
    let chief = member("chief", &[]).issued_by(&root);
    let mut config = configuration(&root);
    config.fabric_node_ous = None;
    config.admins = vec![chief.pem()];
    let msps = msps(config);
    let chief = msps.identify(&chief.serialized("A")).unwrap();
    let amy = msps.identify(&member("amy", &["admin", "client"]).issued_by(&root).serialized("A")).unwrap();
    assert!(chief.has_role(MspRoleType::Admin) && amy.has_role(MspRoleType::Member));
    assert!(
        !amy.has_role(MspRoleType::Admin) && !amy.has_role(MspRoleType::Client) && !chief.has_role(MspRoleType::Peer)
    );
}

fn hospital() -> (Authority, fabric_protos::msp::FabricMspConfig) {
    let authority = Authority::create("ca", "Hospital").unwrap();
    let stand_in = made::authority("ca").self_signed();
    let mut config = configuration(&stand_in);
    config.root_certs = vec![authority.certificate().pem().into_bytes()];
    (authority, config)
}

#[test]
fn a_revoked_certificate_is_refused_and_its_neighbour_is_not() {
    let (authority, mut config) = hospital();
    let lost = authority.issue(&Request::signing("lost", "client")).unwrap();
    let kept = authority.issue(&Request::signing("kept", "client")).unwrap();
    let list = authority.revocation_list(&[lost.certificate()], 1).unwrap();
    config.revocation_list = vec![authority.revocation_list(&[], 0).unwrap().into_bytes(), list.into_bytes()];
    let msps = msps(config);
    let signer = |issued: &fabric_msp::issue::Issued| {
        fabric_msp::SigningIdentity::from_pem("A", issued.certificate_pem(), issued.key_pem()).unwrap()
    };
    assert!(msps.identify(signer(&kept).serialized()).is_ok());
    let error = msps.identify(signer(&lost).serialized()).unwrap_err();
    assert_eq!(error, IdentityError::Invalid { msp_id: "A".to_owned(), reason: Invalidity::Revoked });
    assert!(!error.is_unknown());
}

#[test]
fn a_list_that_the_issuer_did_not_sign_revokes_nothing() {
    let (authority, mut config) = hospital();
    let amy = authority.issue(&Request::signing("amy", "client")).unwrap();
    let stranger = Authority::create("ca", "Hospital").unwrap();
    let genuine = authority.revocation_list(&[amy.certificate()], 1).unwrap();
    // The last digits are the signature's.
    let mut der = openssl::x509::X509Crl::from_pem(genuine.as_bytes()).unwrap().to_der().unwrap();
    *der.last_mut().unwrap() ^= 1;
    let forged = openssl::x509::X509Crl::from_der(&der).unwrap().to_pem().unwrap();
    config.revocation_list = vec![stranger.revocation_list(&[amy.certificate()], 1).unwrap().into_bytes(), forged];
    let msps = msps(config);
    let signer = fabric_msp::SigningIdentity::from_pem("A", amy.certificate_pem(), amy.key_pem()).unwrap();
    assert!(msps.identify(signer.serialized()).is_ok());
}

#[test]
fn a_certificate_signed_with_a_high_s_is_the_same_identity_as_its_low_form() {
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let mut seen_high = false;
    for _ in 0..32 {
        let made = member("m", &["client"]).issued_by(&root);
        let identity = msps.identify(&made.serialized("A")).unwrap();
        let canonical = identity.certificate();
        assert_eq!(msps.identify(&identity.serialized()).unwrap().id(), identity.id());
        assert_eq!(canonical.spki(), Certificate::from_pem(made.pem()).unwrap().spki());
        let canonical = openssl::x509::X509::from_der(canonical.der()).unwrap();
        assert!(canonical.verify(&root.key).unwrap());
        let s = |x509: &openssl::x509::X509| EcdsaSig::from_der(x509.signature().as_slice()).unwrap().s().to_vec();
        assert!(s(&canonical).len() < 32 || s(&canonical)[0] < 0x80);
        seen_high |= s(&made.x509) != s(&canonical);
    }
    assert!(seen_high, "half of OpenSSL's signatures have a high S");
}

#[test]
fn configurations_that_fabric_refuses_are_refused() {
    use made::refusal;
    let root = authority("ca").self_signed();
    let good = configuration(&root);
    let with = |change: &dyn Fn(&mut fabric_protos::msp::FabricMspConfig)| {
        let mut config = good.clone();
        change(&mut config);
        refusal(config)
    };
    assert!(with(&|config| config.root_certs.clear()).contains("at least one CA certificate"));
    assert!(with(&|config| config.root_certs = vec![b"x".to_vec()]).contains("not an X.509 certificate"));
    assert!(with(&|config| config.name.clear()).contains("name is empty"));
    assert!(with(&|config| config.fabric_node_ous = None).contains("administrators must be declared"));
    assert!(with(&|config| config.revocation_list = vec![root.pem()]).contains("revocation list"));
    let plain = member("ca", &[]).self_signed();
    assert!(with(&|config| config.root_certs = vec![plain.pem()]).contains("did not have the CA attribute"));
    assert!(with(&|config| config.tls_root_certs = vec![plain.pem()]).contains("did not have the CA attribute"));
    let nameless = Wish { subject_key_id: false, ..authority("ca") }.self_signed();
    assert!(with(&|config| config.root_certs = vec![nameless.pem()]).contains("Subject Key Identifier"));
    let other = authority("other").self_signed();
    let orphan = authority("sub").issued_by(&other);
    assert!(with(&|config| config.intermediate_certs = vec![orphan.pem()]).contains("unknown authority"));
    let foreign = member("chief", &["admin"]).issued_by(&other);
    assert!(with(&|config| config.admins = vec![foreign.pem()]).contains("administrator"));
    let peer = member("chief", &["peer"]).issued_by(&root);
    assert!(with(&|config| config.admins = vec![peer.pem()]).contains("neither"));
    let unit = |config: &mut fabric_protos::msp::FabricMspConfig| {
        config.fabric_node_ous.as_mut().unwrap().peer_ou_identifier.as_mut().unwrap().certificate = other.pem();
    };
    assert!(with(&unit).contains("an OU's certificate"));
    let idemix = fabric_protos::msp::MspConfig { r#type: 1, config: Vec::new() };
    assert!(Msp::from_msp_config(&idemix).unwrap_err().to_string().contains("only 0"));
}

#[test]
fn a_certificate_with_any_bit_changed_is_refused() {
    use fabric_protos::msp::SerializedIdentity;
    use prost::Message;
    let root = authority("ca").self_signed();
    let msps = msps(configuration(&root));
    let der = member("m", &["client"]).issued_by(&root).x509.to_der().unwrap();
    for bit in 0..der.len() * 8 {
        let mut changed = der.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            openssl::base64::encode_block(&changed)
        );
        let serialized = SerializedIdentity { mspid: "A".to_owned(), id_bytes: pem.into_bytes() }.encode_to_vec();
        assert!(msps.identify(&serialized).is_err(), "bit {bit} of {}", hex::encode(&der));
    }
}
