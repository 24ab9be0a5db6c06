//! What `issue` writes is what `Msp` and `SigningIdentity` read.

use std::os::unix::fs::PermissionsExt;

use fabric_msp::issue::{Authority, MspFolder, Request, write_msp_folder};
use fabric_msp::{Msp, Msps, SigningIdentity};

#[test]
fn a_written_msp_folder_is_read_back_and_its_signer_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create("ca.hospital", "Hospital").unwrap();
    let tls_authority = Authority::create("tls-ca.hospital", "Hospital").unwrap();
    let peer = authority.issue(&Request::signing("peer0", "peer")).unwrap();
    let content =
        MspFolder { authority: &authority, tls_authority: &tls_authority, signer: Some(&peer), revocation_lists: &[] };
    write_msp_folder(folder.path(), &content).unwrap();

    let signer = SigningIdentity::load(folder.path(), "HospitalMSP").unwrap();
    let msp = Msp::load(folder.path(), "HospitalMSP").unwrap();
    assert_eq!(msp.tls_root_certificates(), [tls_authority.certificate().pem().into_bytes()]);
    let msps = Msps::new(vec![Msp::from_msp_config(&msp.to_msp_config()).unwrap()]);

    let identity = msps.identify(signer.serialized()).unwrap();
    assert_eq!(identity.certificate(), peer.certificate());
    assert_eq!(identity.serialized(), signer.serialized());
    identity.verify(b"message", &signer.sign(b"message").unwrap()).unwrap();
    assert_eq!(identity.certificate().subject(), "CN=peer0,OU=peer,O=Hospital");
    assert_eq!(identity.certificate().issuer(), "CN=ca.hospital,O=Hospital");
}

#[test]
fn the_private_key_is_readable_by_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create("ca", "Hospital").unwrap();
    let signer = authority.issue(&Request::signing("gateway", "client")).unwrap();
    let content =
        MspFolder { authority: &authority, tls_authority: &authority, signer: Some(&signer), revocation_lists: &[] };
    write_msp_folder(folder.path(), &content).unwrap();
    authority.save(folder.path().join("ca")).unwrap();

    for key in ["keystore/key.pem", "ca/ca-key.pem"] {
        let mode = std::fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
}

#[test]
fn a_saved_authority_issues_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create("ca", "Hospital").unwrap();
    authority.save(folder.path()).unwrap();
    let again = Authority::load(folder.path()).unwrap();
    assert_eq!(again.certificate(), authority.certificate());
    let issued = again.issue(&Request::signing("amy", "client")).unwrap();
    SigningIdentity::from_pem("HospitalMSP", issued.certificate_pem(), issued.key_pem()).unwrap();
}

#[test]
fn an_authority_with_another_ones_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Authority::create("ca", "Hospital").unwrap().save(folder.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    Authority::create("ca", "Hospital").unwrap().save(other.path()).unwrap();
    std::fs::copy(other.path().join("ca-key.pem"), folder.path().join("ca-key.pem")).unwrap();
    let refusal = Authority::load(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains("does not belong"), "{refusal}");
}

#[test]
fn a_signer_with_another_ones_key_is_refused() {
    let authority = Authority::create("ca", "Hospital").unwrap();
    let amy = authority.issue(&Request::signing("amy", "client")).unwrap();
    let bob = authority.issue(&Request::signing("bob", "client")).unwrap();
    let refusal =
        SigningIdentity::from_pem("HospitalMSP", amy.certificate_pem(), bob.key_pem()).unwrap_err().to_string();
    assert!(refusal.contains("CN=amy"), "{refusal}");
}

#[test]
fn a_folder_without_key_or_certificates_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Msp::load(folder.path(), "A").unwrap_err().to_string().contains("cacerts"));
    assert!(SigningIdentity::load(folder.path(), "A").unwrap_err().to_string().contains("signcerts"));
}
