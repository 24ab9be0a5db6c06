//! Certificates of every kind, good and bad, for tests: what `issue` would never make.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // reason: each test file uses a part; these are tests

use fabric_msp::{Msp, MspError, Msps};
use fabric_protos::msp::{FabricMspConfig, FabricNodeOUs, FabricOuIdentifier, SerializedIdentity};
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Extension, X509NameBuilder};
use prost::Message;

/// 2020-01-01, when all these certificates start unless said otherwise.
pub const START: i64 = 1_577_836_800;
pub const YEAR: i64 = 365 * 24 * 60 * 60;

/// A certificate and its key.
#[derive(Clone)]
pub struct Made {
    pub x509: X509,
    pub key: PKey<Private>,
}

/// What a certificate shall say.
#[derive(Clone)]
pub struct Wish {
    pub name: String,
    pub units: Vec<&'static str>,
    pub authority: bool,
    pub path_length: Option<u32>,
    pub start: i64,
    pub end: i64,
    pub client_usage_only: bool,
    pub unknown_critical: bool,
    pub subject_key_id: bool,
    pub key: Option<PKey<Private>>,
}

pub fn member(name: &str, units: &[&'static str]) -> Wish {
    Wish {
        name: name.to_owned(),
        units: units.to_vec(),
        authority: false,
        path_length: None,
        start: START,
        end: START + 50 * YEAR,
        client_usage_only: false,
        unknown_critical: false,
        subject_key_id: true,
        key: None,
    }
}

pub fn authority(name: &str) -> Wish {
    Wish { authority: true, ..member(name, &[]) }
}

pub fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

impl Wish {
    pub fn self_signed(&self) -> Made {
        self.made(None)
    }

    pub fn issued_by(&self, issuer: &Made) -> Made {
        self.made(Some(issuer))
    }

    fn made(&self, issuer: Option<&Made>) -> Made {
        let key = self.key.clone().unwrap_or_else(new_key);
        let mut name = X509NameBuilder::new().unwrap();
        for unit in &self.units {
            name.append_entry_by_nid(Nid::ORGANIZATIONALUNITNAME, unit).unwrap();
        }
        name.append_entry_by_nid(Nid::COMMONNAME, &self.name).unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let mut serial = BigNum::new().unwrap();
        serial.rand(127, MsbOption::ONE, false).unwrap();
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(issuer.map_or(&name, |issuer| issuer.x509.subject_name())).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(self.start).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(self.end).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        if self.authority {
            let mut constraints = BasicConstraints::new();
            constraints.critical().ca();
            if let Some(length) = self.path_length {
                constraints.pathlen(length);
            }
            builder.append_extension(constraints.build().unwrap()).unwrap();
            builder.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap()).unwrap();
        }
        if self.client_usage_only {
            builder.append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap()).unwrap();
        }
        if self.unknown_critical {
            let oid = Asn1Object::from_str("1.2.3.4.5").unwrap();
            let value = Asn1OctetString::new_from_bytes(&[5, 0]).unwrap();
            builder.append_extension(X509Extension::new_from_der(&oid, true, &value).unwrap()).unwrap();
        }
        if self.subject_key_id {
            let id = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(id).unwrap();
        }
        builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
        Made { x509: builder.build(), key }
    }
}

impl Made {
    pub fn pem(&self) -> Vec<u8> {
        self.x509.to_pem().unwrap()
    }

    pub fn serialized(&self, msp_id: &str) -> Vec<u8> {
        SerializedIdentity { mspid: msp_id.to_owned(), id_bytes: self.pem() }.encode_to_vec()
    }
}

/// The configuration of organisation `A` with NodeOUs on.
pub fn configuration(root: &Made) -> FabricMspConfig {
    let unit = |name: &str| {
        Some(FabricOuIdentifier { certificate: Vec::new(), organizational_unit_identifier: name.to_owned() })
    };
    FabricMspConfig {
        name: "A".to_owned(),
        root_certs: vec![root.pem()],
        fabric_node_ous: Some(FabricNodeOUs {
            enable: true,
            client_ou_identifier: unit("client"),
            peer_ou_identifier: unit("peer"),
            admin_ou_identifier: unit("admin"),
            orderer_ou_identifier: unit("orderer"),
        }),
        ..FabricMspConfig::default()
    }
}

pub fn msps(configuration: FabricMspConfig) -> Msps {
    Msps::new(vec![Msp::from_config(configuration).unwrap()])
}

pub fn refusal(configuration: FabricMspConfig) -> String {
    let error: MspError = Msp::from_config(configuration).unwrap_err();
    error.to_string()
}
