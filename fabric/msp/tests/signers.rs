//! Identities whose key somebody else holds.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::sync::Arc;

use fabric_msp::issue::{Authority, Issued, Request};
use fabric_msp::{Identity, Msp, Msps, Signer, SigningError, SigningIdentity};
use openssl::bn::BigNum;
use openssl::ec::EcKey;
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::{PKey, Private};

/// A device that always gives the high form, unless told to give something else.
struct Device {
    key: EcKey<Private>,
    gives: Option<Result<Vec<u8>, &'static str>>,
}

impl Signer for Device {
    fn sign_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, SigningError> {
        if let Some(given) = &self.gives {
            return given.clone().map_err(|reason| SigningError::Device(reason.to_owned()));
        }
        let signature = EcdsaSig::sign(digest, &self.key).unwrap();
        let mut order = BigNum::new().unwrap();
        self.key.group().order(&mut order, &mut openssl::bn::BigNumContext::new().unwrap()).unwrap();
        let mut flipped = BigNum::new().unwrap();
        flipped.checked_sub(&order, signature.s()).unwrap();
        let high = if &flipped > signature.s() { flipped } else { signature.s().to_owned().unwrap() };
        let signature = EcdsaSig::from_private_components(signature.r().to_owned().unwrap(), high).unwrap();
        Ok(signature.to_der().unwrap())
    }

    fn may_wait(&self) -> bool {
        true
    }
}

struct Hospital {
    authority: Authority,
    issued: Issued,
}

impl Hospital {
    fn new() -> Self {
        let authority = Authority::create("root", "Hospital").unwrap();
        let issued = authority.issue(&Request::signing("amy", "client")).unwrap();
        Self { authority, issued }
    }

    fn device(&self) -> Device {
        let key = PKey::private_key_from_pem(self.issued.key_pem()).unwrap().ec_key().unwrap();
        Device { key, gives: None }
    }

    fn identity(&self, device: Device) -> Result<SigningIdentity, SigningError> {
        SigningIdentity::with_signer("HospitalMSP", self.issued.certificate().clone(), Arc::new(device))
    }

    fn recognised(&self, signer: &SigningIdentity) -> Identity {
        let folder = tempfile::tempdir().unwrap();
        let content = fabric_msp::issue::MspFolder {
            authority: &self.authority,
            tls_authority: &Authority::create("tls", "Hospital").unwrap(),
            signer: None,
            revocation_lists: &[],
        };
        fabric_msp::issue::write_msp_folder(folder.path(), &content).unwrap();
        Msps::new(vec![Msp::load(folder.path(), "HospitalMSP").unwrap()]).identify(signer.serialized()).unwrap()
    }
}

#[test]
fn what_a_device_signs_is_brought_to_the_low_form() {
    let hospital = Hospital::new();
    let signer = hospital.identity(hospital.device()).unwrap();
    assert!(signer.may_wait());
    for round in 0..16u8 {
        hospital.recognised(&signer).verify(&[round], &signer.sign(&[round]).unwrap()).unwrap();
    }
}

#[test]
fn a_device_with_another_key_makes_no_identity() {
    let hospital = Hospital::new();
    let error = hospital.identity(Hospital::new().device()).unwrap_err();
    assert!(matches!(error, SigningError::Mismatch { .. }), "{error}");
}

#[test]
fn a_device_that_fails_or_gives_nonsense_is_an_error_and_no_signature() {
    let hospital = Hospital::new();
    for gives in [Err("the token was removed"), Ok(b"nonsense".to_vec()), Ok(Vec::new())] {
        let error = hospital.identity(Device { gives: Some(gives), ..hospital.device() }).unwrap_err();
        assert!(matches!(error, SigningError::Device(_)), "{error}");
    }
}

#[test]
fn a_new_certificate_is_taken_for_the_same_key_only() {
    let hospital = Hospital::new();
    let signer = hospital.identity(hospital.device()).unwrap();
    let request = Request { valid_days: 30, ..Request::signing("amy", "client") };
    let renewed = hospital.authority.certify(&request, hospital.issued.certificate().public_key()).unwrap();
    let after = signer.with_certificate(renewed.clone()).unwrap();
    assert_eq!(after.certificate(), &renewed);
    assert_eq!(after.certificate().key_hash(), signer.certificate().key_hash());
    hospital.recognised(&after).verify(b"message", &after.sign(b"message").unwrap()).unwrap();

    let another = hospital.authority.issue(&request).unwrap();
    let error = signer.with_certificate(another.certificate().clone()).unwrap_err();
    assert!(matches!(error, SigningError::Mismatch { .. }), "{error}");
}

#[test]
fn a_request_for_a_certificate_is_signed_by_the_device_and_asks_for_its_key_and_name() {
    let hospital = Hospital::new();
    let signer = hospital.identity(hospital.device()).unwrap();
    let request = openssl::x509::X509Req::from_pem(signer.certification_request().unwrap().as_bytes()).unwrap();
    let key = request.public_key().unwrap();
    assert!(request.verify(&key).unwrap());
    assert_eq!(key.public_key_to_der().unwrap(), signer.certificate().spki());
    let names: Vec<_> = request.subject_name().entries().map(|entry| entry.data().as_slice().to_vec()).collect();
    assert_eq!(names, [b"amy".to_vec()]);
}
