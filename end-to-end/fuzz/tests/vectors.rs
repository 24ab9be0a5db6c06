//! What somebody might forge, and how each is refused: contents, envelopes, what callers show, certificates. Contents and envelopes are made from one
//! that opens; its key is 00 01 … 1f, the recipient's 01 02 … 20. Proofs are signed with the latter, assertions with the clinic system's key, 01 02 … 30.

#![allow(clippy::unwrap_used)] // reason: helpers of tests

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fabric_msp::{Certificate, Msp, Msps};
use fabric_protos::msp::{FabricMspConfig, FabricNodeOUs, FabricOuIdentifier};
use healthchain_fuzz::TARGETS;
use healthchain_fuzz::tokens::DOOR;
use healthchain_gateway::callers::Unproven;
use healthchain_gateway::callers::smart::TokenRefusal;
use healthchain_gateway::content::{ContentError, ContentKey};
use healthchain_gateway::sealing::software::SoftwareKey;
use healthchain_gateway::sealing::{DecryptionKey as _, EnvelopeContext, SealingError};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    jwe: Vec<Jwe>,
    envelope: Vec<Envelope>,
    token: Vec<Shown>,
    proof: Vec<Shown>,
    assertion: Vec<Shown>,
    /// Of all certificates, PEM.
    authority: String,
    /// The certificate that the others are made from.
    member: String,
    certificate: Vec<Shown>,
}

/// What a caller shows.
#[derive(Deserialize)]
struct Shown {
    what: String,
    #[serde(alias = "token", alias = "proof", alias = "assertion", alias = "pem")]
    shown: String,
    refusal: String,
}

#[derive(Deserialize)]
struct Jwe {
    what: String,
    jwe: String,
    refusal: String,
}

#[derive(Deserialize)]
struct Envelope {
    what: String,
    sealed: String,
    link: Option<String>,
    version: Option<u32>,
    category: Option<String>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

#[test]
fn every_forged_content_is_refused_for_what_is_wrong_with_it() {
    let key = ContentKey::from_text(&URL_SAFE_NO_PAD.encode((0..32).collect::<Vec<u8>>())).unwrap();
    let refusals = vectors().jwe;
    assert!(refusals.len() > 25);
    for Jwe { what, jwe, refusal } in refusals {
        let error: ContentError = key.decrypt(jwe.as_bytes()).expect_err(&what);
        assert_eq!(error.to_string(), refusal, "{what}");
    }
}

#[test]
fn every_forged_or_moved_envelope_stays_shut() {
    let recipient = recipient();
    let refusals = vectors().envelope;
    assert!(refusals.len() > 12);
    for Envelope { what, sealed, link, version, category } in refusals {
        let context = EnvelopeContext {
            link: link.as_deref().unwrap_or("link-1"),
            version: version.unwrap_or(1),
            category: category.as_deref().unwrap_or("summary"),
            recipient_key_hash: "f1d59449b727165de732bf283338122b99628a615918fedc67d878fffcf47da7",
        };
        let opened = recipient.unseal(&context, &hex::decode(sealed).unwrap());
        assert_eq!(opened.map(drop), Err(SealingError::DoesNotOpen), "{what}");
    }
}

#[test]
fn every_forged_token_is_refused_for_what_is_wrong_with_it() {
    refused(vectors().token, 10, |token| DOOR.refuses_token(token).map(|reason| reason.to_string()));
}

#[test]
fn every_forged_proof_is_refused_for_what_is_wrong_with_it() {
    refused(vectors().proof, 30, |proof| DOOR.refuses_proof(proof).map(|reason| reason.to_string()));
}

#[test]
fn every_forged_assertion_is_refused_for_what_is_wrong_with_it() {
    refused(vectors().assertion, 19, |assertion| DOOR.refuses_assertion(assertion).map(|reason| format!("{reason:?}")));
}

#[test]
fn a_good_proof_assertion_and_answer_count_and_count_once() {
    let good = |target: &str| {
        let seeds = TARGETS.iter().find(|it| it.name == target).unwrap().seeds;
        String::from_utf8(seeds().remove(0)).unwrap()
    };
    let (proof, assertion) = (good("proof"), good("assertion"));
    assert!(DOOR.refuses_proof(&proof).is_none());
    assert!(matches!(DOOR.refuses_proof(&proof), Some(Unproven::ProofReplayed)));
    assert_eq!(DOOR.refuses_assertion(&assertion), None);
    assert_eq!(DOOR.refuses_assertion(&assertion), Some(TokenRefusal::InvalidClient("jti was used before")));
    let answer: serde_json::Value = serde_json::from_str(&good("session-answer")).unwrap();
    let answer = ["certificate", "nonce", "time", "signature"].map(|name| answer[name].as_str().unwrap());
    assert!(DOOR.refuses_answer(answer).is_none());
    assert!(matches!(DOOR.refuses_answer(answer), Some(Unproven::ChallengeUsed)));
}

#[test]
fn every_forged_certificate_is_refused_for_what_is_wrong_with_it() {
    let Vectors { authority, member, certificate, .. } = vectors();
    let unit = |name: &str| {
        Some(FabricOuIdentifier { organizational_unit_identifier: name.into(), ..FabricOuIdentifier::default() })
    };
    let units = FabricNodeOUs {
        enable: true,
        client_ou_identifier: unit("client"),
        peer_ou_identifier: unit("peer"),
        admin_ou_identifier: unit("admin"),
        orderer_ou_identifier: unit("orderer"),
    };
    let (name, root_certs) = ("HospitalMSP".into(), vec![authority.into_bytes()]);
    let config = FabricMspConfig { name, root_certs, fabric_node_ous: Some(units), ..FabricMspConfig::default() };
    let msps = Msps::new(vec![Msp::from_config(config).unwrap()]);
    let refusal = |pem: &str| match Certificate::from_pem(pem) {
        Ok(read) => msps.identify_certificate("HospitalMSP", &read).err().map(|reason| reason.to_string()),
        Err(reason) => Some(reason.to_string()),
    };
    assert_eq!(refusal(&member), None);
    refused(certificate, 25, refusal);
}

/// Fails unless each is refused with its reason, at least so many.
fn refused(vectors: Vec<Shown>, least: usize, refusal: impl Fn(&str) -> Option<String>) {
    assert!(vectors.len() >= least);
    for Shown { what, shown, refusal: expected } in vectors {
        assert_eq!(refusal(&shown), Some(expected), "{what}");
    }
}

fn recipient() -> SoftwareKey {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let number = BigNum::from_slice(&(1..=32).collect::<Vec<u8>>()).unwrap();
    let mut public = EcPoint::new(&group).unwrap();
    public.mul_generator2(&group, &number, &mut BigNumContext::new().unwrap()).unwrap();
    let key = EcKey::from_private_components(&group, &number, &public).unwrap();
    SoftwareKey::from_pem(&PKey::from_ec_key(key).unwrap().private_key_to_pem_pkcs8().unwrap()).unwrap()
}
