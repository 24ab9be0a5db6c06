//! Contents and envelopes as somebody might forge them, and how each is refused. All are made from one that opens; its key is 00 01 … 1f, the
//! recipient's 01 02 … 20.

#![allow(clippy::unwrap_used)] // reason: helpers of tests

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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

fn recipient() -> SoftwareKey {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let number = BigNum::from_slice(&(1..=32).collect::<Vec<u8>>()).unwrap();
    let mut public = EcPoint::new(&group).unwrap();
    public.mul_generator2(&group, &number, &mut BigNumContext::new().unwrap()).unwrap();
    let key = EcKey::from_private_components(&group, &number, &public).unwrap();
    SoftwareKey::from_pem(&PKey::from_ec_key(key).unwrap().private_key_to_pem_pkcs8().unwrap()).unwrap()
}
