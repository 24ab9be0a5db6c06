//! Who calls: the identity that signed the proposal.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::Certificate;
use fabric_protos::msp::SerializedIdentity;
use prost::Message;
use serde::Deserialize;
use x509_parser::oid_registry::OID_X509_ORGANIZATIONAL_UNIT;
use x509_parser::oid_registry::asn1_rs::{Oid, oid};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// From the last of Go's order to the first, since RFC 2253 begins with the last.
static NAME_ATTRIBUTES: [(&str, Oid<'static>); 9] = [
    ("SERIALNUMBER", oid!(2.5.4.5)),
    ("CN", oid!(2.5.4.3)),
    ("POSTALCODE", oid!(2.5.4.17)),
    ("STREET", oid!(2.5.4.9)),
    ("ST", oid!(2.5.4.8)),
    ("L", oid!(2.5.4.7)),
    ("OU", oid!(2.5.4.11)),
    ("O", oid!(2.5.4.10)),
    ("C", oid!(2.5.4.6)),
];

/// The identity that signed the proposal; the peer has checked its certificate and the signature.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    msp_id: String,
    certificate_der: Vec<u8>,
    key_hash: [u8; 32],
    organizational_units: Vec<String>,
    id: String,
    attributes: BTreeMap<String, String>,
}

/// Fabric's certificate authority writes attributes into this extension, as JSON.
#[derive(Deserialize)]
struct Attributes {
    attrs: BTreeMap<String, String>,
}

impl ClientIdentity {
    /// The MSP that vouches for the certificate.
    pub fn msp_id(&self) -> &str {
        &self.msp_id
    }

    /// The X.509 certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// SHA-256 of the certificate's public key (SubjectPublicKeyInfo, DER): stays the same when a certificate is renewed for its key.
    pub fn key_hash(&self) -> [u8; 32] {
        self.key_hash
    }

    /// Whether the certificate's subject names this organizational unit, such as `admin` or `client`.
    pub fn has_organizational_unit(&self, unit: &str) -> bool {
        self.organizational_units.iter().any(|known| known == unit)
    }

    /// The id that the Go SDK gives: base64 of `x509::` subject `::` issuer, both as RFC 2253 writes them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// An attribute that Fabric's certificate authority put into the certificate (extension 1.2.3.4.5.6.7.8.1).
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Reads a proposal's creator.
    pub(crate) fn read(creator: &[u8]) -> Result<Self, String> {
        let identity =
            SerializedIdentity::decode(creator).map_err(|error| format!("the creator cannot be read: {error}"))?;
        // Strict, for the peer that checked the signature must have read the same certificate.
        let whole = Certificate::from_pem(&identity.id_bytes).map_err(|error| format!("the creator is {error}"))?;
        let (_, certificate) =
            X509Certificate::from_der(whole.der()).map_err(|error| format!("the creator's certificate: {error}"))?;

        let subject = certificate.subject();
        let organizational_units = subject
            .iter_by_oid(&OID_X509_ORGANIZATIONAL_UNIT)
            .filter_map(|unit| unit.as_str().ok().map(str::to_owned))
            .collect();
        let attributes = certificate
            .get_extension_unique(&oid!(1.2.3.4.5.6.7.8.1))
            .map_err(|_| "the creator's certificate has the attribute extension twice")?
            .map(|extension| serde_json::from_slice::<Attributes>(extension.value))
            .transpose()
            .map_err(|error| format!("the attributes in the creator's certificate: {error}"))?
            .map(|attributes| attributes.attrs);
        let id = format!("x509::{}::{}", distinguished_name(subject), distinguished_name(certificate.issuer()));

        Ok(Self {
            msp_id: identity.mspid,
            key_hash: whole.key_hash(),
            organizational_units,
            id: STANDARD.encode(id),
            attributes: attributes.unwrap_or_default(),
            certificate_der: whole.der().to_vec(),
        })
    }
}

/// As the Go SDK writes a name: RFC 2253, but only the attributes that it knows, those of one kind together, in its order.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let sets = NAME_ATTRIBUTES.iter().filter_map(|(kind, oid)| {
        let mut values: Vec<&str> = name.iter_by_oid(oid).filter_map(|value| value.as_str().ok()).collect();
        if matches!(*kind, "CN" | "SERIALNUMBER") {
            values.drain(..values.len().saturating_sub(1));
        }
        let parts: Vec<String> = values.into_iter().map(|value| format!("{kind}={}", escaped(value))).collect();
        (!parts.is_empty()).then(|| parts.join("+"))
    });
    sets.collect::<Vec<_>>().join(",")
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (position, character) in value.chars().enumerate() {
        let special = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            '#' => position == 0,
            ' ' => position == 0 || position == last,
            _ => false,
        };
        // Writing to a String does not fail.
        let _ = if special { write!(text, "\\{character}") } else { write!(text, "{character}") };
    }
    text
}

#[cfg(test)]
mod tests {
    use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::PKey;
    use openssl::x509::{X509, X509Extension, X509NameBuilder};

    use super::*;

    fn creator(names: &[(&str, &str)], attributes: Option<&str>) -> Vec<u8> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        for (kind, value) in names {
            name.append_entry_by_text(kind, value).unwrap();
        }
        let name = name.build();
        let mut certificate = X509::builder().unwrap();
        certificate.set_version(2).unwrap();
        certificate.set_subject_name(&name).unwrap();
        certificate.set_issuer_name(&name).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        if let Some(attributes) = attributes {
            let oid = Asn1Object::from_str("1.2.3.4.5.6.7.8.1").unwrap();
            let value = Asn1OctetString::new_from_bytes(attributes.as_bytes()).unwrap();
            certificate.append_extension(X509Extension::new_from_der(&oid, false, &value).unwrap()).unwrap();
        }
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let id_bytes = certificate.build().to_pem().unwrap();
        SerializedIdentity { mspid: "ClinicMSP".into(), id_bytes }.encode_to_vec()
    }

    fn id_text(identity: &ClientIdentity) -> String {
        String::from_utf8(STANDARD.decode(identity.id()).unwrap()).unwrap()
    }

    #[test]
    fn an_identity_has_its_units_and_the_id_of_the_go_sdk() {
        let names = [
            ("C", "CH"),
            ("ST", "Bern"),
            ("OU", "client"),
            ("O", "A+B"),
            ("OU", "ward 1"),
            ("CN", "#ann "),
            ("emailAddress", "ann@example.org"),
        ];
        let identity = ClientIdentity::read(&creator(&names, None)).unwrap();
        let name = r"CN=\#ann\ ,ST=Bern,OU=client+OU=ward 1,O=A\+B,C=CH";
        assert_eq!(id_text(&identity), format!("x509::{name}::{name}"));
        assert!(identity.has_organizational_unit("ward 1") && !identity.has_organizational_unit("ward"));
        assert_eq!(identity.msp_id(), "ClinicMSP");
    }

    #[test]
    fn attributes_of_the_certificate_authority_are_read() {
        let attributes = r#"{"attrs":{"role":"nurse","hf.Affiliation":""}}"#;
        let identity = ClientIdentity::read(&creator(&[("CN", "ann")], Some(attributes))).unwrap();
        assert_eq!(identity.attribute("role"), Some("nurse"));
        assert_eq!(identity.attribute("hf.Affiliation"), Some(""));
        assert_eq!(identity.attribute("other"), None);
    }

    /// Found by review: a peer takes the second certificate for the creator's and verifies the attacker's own signature, since Go passes
    /// over a block whose END has another label; this chaincode took the first, the victim's.
    #[test]
    fn a_creator_that_holds_a_colleagues_certificate_before_its_own_is_refused() {
        let pem = |name| SerializedIdentity::decode(&creator(&[("CN", name)], None)[..]).unwrap().id_bytes;
        let (victim, attacker) = (pem("victim"), pem("attacker"));
        let victim = String::from_utf8(victim).unwrap();
        for first in
            [victim.replace("END CERTIFICATE", "END X"), victim.replace("BEGIN CERTIFICATE", "BEGIN X"), victim]
        {
            let id_bytes = [first.as_bytes(), &attacker].concat();
            let crafted = SerializedIdentity { mspid: "ClinicMSP".into(), id_bytes }.encode_to_vec();
            let refusal = ClientIdentity::read(&crafted).unwrap_err();
            assert!(refusal.contains("give one certificate in PEM"), "{refusal}");
        }
    }

    #[test]
    fn bytes_after_the_certificates_end_are_refused() {
        let whole = SerializedIdentity::decode(&creator(&[("CN", "ann")], None)[..]).unwrap().id_bytes;
        let mut der = X509::from_pem(&whole).unwrap().to_der().unwrap();
        der.push(0);
        let id_bytes =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der)).into_bytes();
        let longer = SerializedIdentity { mspid: "ClinicMSP".into(), id_bytes }.encode_to_vec();
        assert!(ClientIdentity::read(&longer).is_err());
    }

    #[test]
    fn a_creator_that_is_no_certificate_is_refused() {
        let no_pem = SerializedIdentity { mspid: "ClinicMSP".into(), id_bytes: b"ann".to_vec() }.encode_to_vec();
        assert!(ClientIdentity::read(&no_pem).is_err());
        assert!(ClientIdentity::read(b"\xff").is_err());
        assert!(ClientIdentity::read(&[]).is_err());
        assert!(ClientIdentity::read(&creator(&[("CN", "ann")], Some("no JSON"))).is_err());
    }
}
