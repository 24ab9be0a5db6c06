//! Each organisation's authorities, certificates and keys. What is there already is kept.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use fabric_msp::issue::{Authority, Issued, MspFolder, Request, write_msp_folder};
use openssl::{
    ec::{Asn1Flag, EcGroup, EcKey},
    error::ErrorStack,
    nid::Nid,
    pkey::PKey,
};

use crate::{
    NetworkError,
    consortium::{Consortium, Organisation},
    layout::{CertificateFiles, ChaincodeFiles, Layout, OrganisationFolder, read_text, write_file, write_secret},
};

/// Makes what is missing.
pub(crate) fn make(layout: &Layout, consortium: &Consortium) -> Result<(), NetworkError> {
    for organisation in &consortium.organisations {
        let folder = layout.organisation(&organisation.name);
        let issuer = Issuer::open(organisation, &folder)?;
        issuer.programs(organisation, &folder)?;
        issuer.members(organisation, &folder)?;
    }
    embedded_chaincode(layout)
}

/// An organisation's two authorities.
struct Issuer<'a> {
    owner: &'a str,
    signing: Authority,
    tls: Authority,
}

impl<'a> Issuer<'a> {
    fn open(organisation: &'a Organisation, folder: &OrganisationFolder) -> Result<Self, NetworkError> {
        let name = &organisation.name;
        let open = |path, what| authority(path, &format!("{name} {what}"), name);
        Ok(Self {
            owner: name,
            signing: open(&folder.authority(), "authority")?,
            tls: open(&folder.tls_authority(), "TLS authority")?,
        })
    }

    /// Verifying MSP, operator, peer, orderer, chaincode, gateway.
    fn programs(&self, organisation: &Organisation, folder: &OrganisationFolder) -> Result<(), NetworkError> {
        write_file(&folder.tls_root(), self.tls.certificate().pem())?;
        if !folder.verifying_msp().join("config.yaml").exists() {
            self.msp(&folder.verifying_msp(), None)?;
        }
        self.signing_msp(&folder.operator_msp(), "operator", "admin")?;
        self.tls(&folder.operator_tls(), "operator")?;
        self.signing_msp(&folder.peer().join("msp"), "peer", "peer")?;
        self.tls(&folder.peer_tls(), "peer")?;
        if organisation.orderer {
            self.signing_msp(&folder.orderer().join("msp"), "orderer", "orderer")?;
            self.tls(&folder.orderer_tls(), "orderer")?;
        }
        chaincode(&self.tls, self.owner, &folder.chaincode())?;
        self.signing(&folder.gateway_identity(), "gateway")?;
        // Other organisations' gateways know a gateway by this common name, under its organisation's root.
        self.tls(&folder.gateway_tls(), "gateway")?;
        encryption_key(self.owner, &folder.encryption_key())?;
        crate::layout::make_folder(&folder.records())
    }

    /// Each member's own TLS certificate, and its entry in the gateway's wallet.
    fn members(&self, organisation: &Organisation, folder: &OrganisationFolder) -> Result<(), NetworkError> {
        for member in &organisation.members {
            let id = member.id.as_str();
            let tls = folder.member_tls(id);
            self.tls(&tls, id)?;
            encryption_key(self.owner, &folder.member_encryption_key(id))?;
            // An administrator of the ledger is one by certificate, too.
            let unit = if member.role == healthchain_rules::Role::Administrator { "admin" } else { "client" };
            self.signing_as(&folder.member_identity(id), id, unit)?;
            let bound = folder.wallet(id).join("tls-certificate.pem");
            if !bound.exists() {
                write_file(&bound, read_text(&tls.certificate)?)?;
            }
        }
        Ok(())
    }

    fn signing(&self, files: &CertificateFiles, name: &str) -> Result<(), NetworkError> {
        self.signing_as(files, name, "client")
    }

    fn signing_as(&self, files: &CertificateFiles, name: &str, unit: &str) -> Result<(), NetworkError> {
        if files.certificate.exists() {
            return Ok(());
        }
        store(files, &issue(&self.signing, self.owner, &Request::signing(name, unit))?)
    }

    fn tls(&self, files: &CertificateFiles, name: &str) -> Result<(), NetworkError> {
        tls(&self.tls, self.owner, files, name)
    }

    fn signing_msp(&self, folder: &Path, name: &str, unit: &str) -> Result<(), NetworkError> {
        // config.yaml is what write_msp_folder writes last.
        if folder.join("config.yaml").exists() {
            return Ok(());
        }
        let issued = issue(&self.signing, self.owner, &Request::signing(name, unit))?;
        self.msp(folder, Some(&issued))
    }

    fn msp(&self, folder: &Path, signer: Option<&Issued>) -> Result<(), NetworkError> {
        let content = MspFolder { authority: &self.signing, tls_authority: &self.tls, signer, revocation_lists: &[] };
        write_msp_folder(folder, &content).map_err(|error| NetworkError::identity(self.owner, error))
    }
}

/// The one chaincode process of the embedded ledger, under authorities that serve nothing else.
fn embedded_chaincode(layout: &Layout) -> Result<(), NetworkError> {
    let owner = "the embedded ledger";
    let authority = authority(&layout.embedded_authority(), "embedded ledger", "embedded ledger")?;
    chaincode(&authority, owner, &layout.embedded_chaincode())
}

/// The caller's certificate is from an authority of its own: whoever else has a TLS certificate of the organisation must not be
/// taken for the peer.
fn chaincode(tls_authority: &Authority, owner: &str, files: &ChaincodeFiles) -> Result<(), NetworkError> {
    tls(tls_authority, owner, &files.server(), "chaincode")?;
    let callers = authority(&files.client_authority(), &format!("{owner} callers"), owner)?;
    tls(&callers, owner, &files.client(), "chaincode's caller")
}

fn tls(authority: &Authority, owner: &str, files: &CertificateFiles, name: &str) -> Result<(), NetworkError> {
    if files.certificate.exists() {
        return Ok(());
    }
    let request = Request::tls(name, &["localhost"], &[IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    store(files, &issue(authority, owner, &request)?)
}

fn authority(folder: &Path, name: &str, organisation: &str) -> Result<Authority, NetworkError> {
    let refuse = |error| NetworkError::identity(name, error);
    if folder.exists() {
        return Authority::load(folder).map_err(refuse);
    }
    let authority = Authority::create(name, organisation).map_err(refuse)?;
    // Complete or not there at all: a key without its certificate could not be loaded.
    let new = folder.with_extension("new");
    authority.save(&new).map_err(refuse)?;
    std::fs::rename(&new, folder).map_err(NetworkError::file(folder))?;
    Ok(authority)
}

fn issue(authority: &Authority, owner: &str, request: &Request) -> Result<Issued, NetworkError> {
    authority.issue(request).map_err(|error| NetworkError::identity(owner, error))
}

/// The key first: where there is a certificate, there is its key.
fn store(files: &CertificateFiles, issued: &Issued) -> Result<(), NetworkError> {
    write_secret(&files.key, issued.key_pem())?;
    write_file(&files.certificate, issued.certificate_pem())
}

fn encryption_key(owner: &str, file: &Path) -> Result<(), NetworkError> {
    if file.exists() {
        return Ok(());
    }
    let make = || -> Result<Vec<u8>, ErrorStack> {
        let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
        PKey::from_ec_key(EcKey::generate(&group)?)?.private_key_to_pem_pkcs8()
    };
    write_secret(file, make().map_err(|error| NetworkError::identity(owner, error))?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn identities_are_made_once_and_keys_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let consortium = Consortium::parse(include_str!("../consortium.toml")).unwrap();

        make(&layout, &consortium).unwrap();
        let patients = layout.organisation("patients");
        let key = patients.member_identity("patient-1").key;
        let before = std::fs::read(&key).unwrap();
        make(&layout, &consortium).unwrap();

        assert_eq!(std::fs::read(&key).unwrap(), before);
        for secret in [key, patients.encryption_key(), patients.gateway_tls().key] {
            assert_eq!(std::fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    /// Found by review: a chaincode process took every TLS certificate of its organisation, members' too, for the peer's.
    #[test]
    fn only_the_peer_has_a_certificate_that_its_chaincode_takes() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let consortium = Consortium::parse(include_str!("../consortium.toml")).unwrap();
        make(&layout, &consortium).unwrap();
        let read = |path: &Path| openssl::x509::X509::from_pem(&std::fs::read(path).unwrap()).unwrap();

        let mut all = vec![layout.embedded_chaincode()];
        for organisation in &consortium.organisations {
            let folder = layout.organisation(&organisation.name);
            let founder = folder.member_tls(organisation.founder().id.as_str());
            let root = read(&folder.chaincode().client_root()).public_key().unwrap();
            for other in [folder.peer_tls(), folder.gateway_tls(), folder.operator_tls(), founder] {
                assert!(!read(&other.certificate).verify(&root).unwrap(), "{}", other.certificate.display());
            }
            all.push(folder.chaincode());
        }
        for files in &all {
            let root = read(&files.client_root()).public_key().unwrap();
            assert!(read(&files.client().certificate).verify(&root).unwrap());
            assert!(!read(&files.server().certificate).verify(&root).unwrap());
            let takes = |other: &&ChaincodeFiles| read(&other.client().certificate).verify(&root).unwrap();
            assert_eq!(all.iter().filter(takes).count(), 1, "no two organisations share the authority");
        }
    }

    #[test]
    fn a_member_added_later_gets_an_entry_in_the_wallet() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        let text = include_str!("../consortium.toml");
        make(&layout, &Consortium::parse(text).unwrap()).unwrap();

        let more =
            text.replace("{ id = \"patient-2\"", "{ id = \"patient-new\", role = \"patient\" },\n{ id = \"patient-2\"");
        make(&layout, &Consortium::parse(&more).unwrap()).unwrap();

        assert!(layout.organisation("patients").wallet("patient-new").join("tls-certificate.pem").exists());
    }
}
