//! A patient in a browser: a page of another origin makes the keys, and nothing but their use ever leaves it.

use fabric_msp::issue::Request;
use healthchain_end_to_end::World;
use openssl::base64::decode_block;
use openssl::pkey::PKey;
use serde_json::{Value, json};

use crate::own_key::{TakenKey, comes_to_sign_elsewhere, large_record, must_have_seen};
use crate::program::Program;

const RECORD: &[u8] = br#"{"resourceType":"Bundle","type":"document","entry":[]}"#;

crate::promises![a_patients_page_on_another_site_consents_and_opens_with_keys_that_never_leave_the_browser];

async fn a_patients_page_on_another_site_consents_and_opens_with_keys_that_never_leave_the_browser(world: &World) {
    let (hospital, payer, patient) = (world.hospital_clinician(), world.payer_officer(), world.new_patient());
    let mut command = Program::node("own-key-client", "browser.mjs");
    command.env("GATEWAY", &patient.access().gateway_url).env("TLS_ROOT", &patient.access().tls_root);
    command.env("PORTAL", world.portal_of(&patient));
    let mut browser = Program::start(command);
    let keys = browser.next().await;
    for key in ["sign_taken_out", "open_taken_out"] {
        assert_eq!(keys[key], json!(["InvalidAccessError", "InvalidAccessError"]), "{keys}");
    }

    // The organisation certifies the key that the page made, and the patient has the ledger know it.
    let (sign, open) = (public_key(&keys["sign"]), public_key(&keys["open"]));
    let request = Request::signing(patient.id().as_str(), "client");
    let certificate = world.authority_of(&patient).certify(&request, &PKey::public_key_from_der(&sign).unwrap());
    let certificate = certificate.unwrap().pem();
    patient.rotate_keys(&sign, &open).await;
    let taken = TakenKey::of(&patient);
    taken.certify(&certificate);
    comes_to_sign_elsewhere(&patient).await;

    let link = hospital.publish(patient.id(), "encounter-note", RECORD).await;
    assert_eq!(payer.open(&link, "payment").await.problem(), (403, "consent-required".to_owned()));
    let large = hospital.publish(patient.id(), "summary", &large_record()).await;
    let grantee = &payer.access().msp_id;
    let what =
        json!({ "certificate": certificate, "id": patient.id(), "link": link, "large": large, "grantee": grantee });
    browser.tell(&what.to_string()).await;
    let seen = browser.next().await;
    drop(taken);

    must_have_seen(&seen, [&link, &large], RECORD);
    // A page of a site that the gateway was not told of reads nothing, whatever it knows.
    assert!(seen["elsewhere"].as_str().unwrap().contains("Failed to fetch"), "{seen}");
    payer.comes_to_see(patient.id(), "payment", &[&link]).await;
    assert_eq!(payer.open(&link, "payment").await.body, RECORD);
}

fn public_key(base64: &Value) -> Vec<u8> {
    decode_block(base64.as_str().unwrap_or_default()).unwrap()
}
