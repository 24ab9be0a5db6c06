//! Whom the authority knows and what it has issued.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use fabric_msp::Certificate;
use fabric_msp::issue::{Authority, Request};
use openssl::nid::Nid;
use openssl::rand::rand_bytes;
use openssl::x509::X509Req;
use serde::Deserialize;

use super::CaOptions;
use super::call::Refusal;

/// What the first registrar may do.
const ALL_RIGHTS: [(&str, &str); 3] = [("hf.Registrar.Roles", "*"), ("hf.Revoker", "true"), ("hf.GenCRL", "true")];

pub(super) struct Registry {
    name: String,
    authority: Authority,
    valid_days: u32,
    identities: BTreeMap<String, Identity>,
    issued: Vec<Entry>,
    list_number: u32,
}

struct Identity {
    secret: String,
    kind: String,
    attributes: BTreeMap<String, Attribute>,
    /// None: no limit.
    enrolments_left: Option<i64>,
    revoked: bool,
}

struct Attribute {
    value: String,
    in_certificates: bool,
}

struct Entry {
    id: String,
    certificate: Certificate,
    revoked: bool,
}

/// An attribute that is asked for.
#[derive(Deserialize)]
pub(super) struct Wish {
    name: String,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
pub(super) struct Registration {
    id: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    secret: String,
    #[serde(default)]
    max_enrollments: i64,
    #[serde(default)]
    attrs: Vec<RegisteredAttribute>,
}

#[derive(Deserialize)]
struct RegisteredAttribute {
    name: String,
    value: String,
    #[serde(default)]
    ecert: bool,
}

#[derive(Deserialize)]
pub(super) struct Revocation {
    #[serde(default)]
    id: String,
    #[serde(default)]
    serial: String,
    #[serde(default)]
    aki: String,
}

impl Registry {
    pub(super) fn new(options: CaOptions) -> Self {
        let (id, secret) = options.registrar;
        let mut registry = Self {
            name: options.name,
            authority: options.authority,
            valid_days: options.valid_days,
            identities: BTreeMap::new(),
            issued: Vec::new(),
            list_number: 0,
        };
        let attrs = ALL_RIGHTS.map(|(name, value)| RegisteredAttribute {
            name: name.into(),
            value: value.into(),
            ecert: false,
        });
        let kind = "client".to_owned();
        registry.insert(Registration { id, kind, secret, max_enrollments: -1, attrs: attrs.into() });
        registry
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn authority(&self) -> &Certificate {
        self.authority.certificate()
    }

    /// Checks a secret and counts its use.
    pub(super) fn log_in(&mut self, id: &str, secret: &str) -> Result<(), Refusal> {
        let identity = self.identities.get_mut(id).ok_or_else(Refusal::authentication)?;
        let right = openssl::memcmp::eq(
            &openssl::sha::sha256(identity.secret.as_bytes()),
            &openssl::sha::sha256(secret.as_bytes()),
        );
        if !right || identity.revoked || identity.enrolments_left == Some(0) {
            return Err(Refusal::authentication());
        }
        identity.enrolments_left = identity.enrolments_left.map(|left| left - 1);
        Ok(())
    }

    /// Whose certificate it is, if it is good.
    pub(super) fn holder(&self, certificate: &Certificate) -> Result<String, Refusal> {
        let entry = self.issued.iter().find(|entry| entry.certificate.serial() == certificate.serial());
        let entry = entry.ok_or_else(Refusal::authentication)?;
        if entry.revoked || certificate.not_after() < now() {
            return Err(Refusal::authentication());
        }
        Ok(entry.id.clone())
    }

    pub(super) fn enroll(&mut self, id: &str, request: &str, wishes: Option<&[Wish]>) -> Result<Certificate, Refusal> {
        let bad = |reason: &str| Refusal(400, 31, format!("CSR Decode failed: {reason}"));
        let request = X509Req::from_pem(request.as_bytes()).map_err(|_| bad("no PKCS#10 in PEM"))?;
        let key = request.public_key().map_err(|_| bad("no public key"))?;
        if !request.verify(&key).unwrap_or(false) {
            return Err(bad("its signature does not hold"));
        }
        let name = request.subject_name().entries_by_nid(Nid::COMMONNAME).next();
        if name.is_none_or(|name| name.data().as_slice() != id.as_bytes()) {
            return Err(Refusal(403, 77, "The CSR subject common name must equal the enrollment ID".into()));
        }
        let identity = self.identities.get(id).ok_or_else(Refusal::authentication)?;
        let request = Request {
            valid_days: self.valid_days,
            attributes: identity.wished(wishes)?,
            ..Request::signing(id, identity.kind.clone())
        };
        let certificate = self.authority.certify(&request, &key).map_err(Refusal::internal)?;
        self.issued.push(Entry { id: id.to_owned(), certificate: certificate.clone(), revoked: false });
        Ok(certificate)
    }

    /// Returns the secret.
    pub(super) fn register(&mut self, caller: &str, mut registration: Registration) -> Result<String, Refusal> {
        let kinds = self.attribute(caller, "hf.Registrar.Roles").unwrap_or_default();
        if kinds != "*" && !kinds.split(',').any(|kind| kind == registration.kind) {
            return Err(Refusal::authorization());
        }
        if self.identities.contains_key(&registration.id) {
            return Err(Refusal(409, 74, format!("Identity '{}' is already registered", registration.id)));
        }
        if registration.secret.is_empty() {
            let mut random = [0; 16];
            rand_bytes(&mut random).map_err(Refusal::internal)?;
            registration.secret = hex::encode(random);
        }
        let secret = registration.secret.clone();
        self.insert(registration);
        Ok(secret)
    }

    /// Returns serial numbers and authority key identifiers.
    pub(super) fn revoke(&mut self, caller: &str, asked: &Revocation) -> Result<Vec<(String, String)>, Refusal> {
        let aki = self.key_id();
        let one =
            (!asked.serial.is_empty() && !asked.aki.is_empty()).then(|| (normal(&asked.serial), normal(&asked.aki)));
        let target = match &one {
            Some((serial, key_id)) => {
                let found = self.issued.iter().find(|entry| &entry.serial() == serial && key_id == &normal(&aki));
                let found = found.ok_or_else(|| Refusal(404, 8, "Certificate was not found".into()))?;
                if found.revoked {
                    return Err(Refusal(404, 66, "Certificate was already revoked".into()));
                }
                found.id.clone()
            }
            None if asked.id.is_empty() => {
                return Err(Refusal(400, 15, "Either Name or Serial and AKI are required".into()));
            }
            None => asked.id.clone(),
        };
        if caller != target && self.attribute(caller, "hf.Revoker").as_deref() != Some("true") {
            return Err(Refusal::authorization());
        }
        let identity = self.identities.get_mut(&target);
        let identity = identity.ok_or_else(|| Refusal(404, 10, format!("Identity {target} was not found")))?;
        identity.revoked |= one.is_none();
        let mut revoked = Vec::new();
        for entry in self.issued.iter_mut().filter(|entry| entry.id == target && !entry.revoked) {
            if one.as_ref().is_none_or(|(serial, _)| &entry.serial() == serial) {
                entry.revoked = true;
                revoked.push((entry.serial(), normal(&aki)));
            }
        }
        Ok(revoked)
    }

    pub(super) fn revocation_list(&mut self, caller: &str) -> Result<String, Refusal> {
        if self.attribute(caller, "hf.GenCRL").as_deref() != Some("true") {
            return Err(Refusal::authorization());
        }
        self.list_number += 1;
        let revoked: Vec<_> =
            self.issued.iter().filter(|entry| entry.revoked).map(|entry| &entry.certificate).collect();
        self.authority.revocation_list(&revoked, self.list_number).map_err(Refusal::internal)
    }

    fn insert(&mut self, registration: Registration) {
        let Registration { id, kind, secret, max_enrollments, attrs } = registration;
        let mut attributes: BTreeMap<_, _> = attrs
            .into_iter()
            .map(|attribute| (attribute.name, Attribute { value: attribute.value, in_certificates: attribute.ecert }))
            .collect();
        for (name, value) in [("hf.EnrollmentID", &id), ("hf.Type", &kind), ("hf.Affiliation", &String::new())] {
            attributes
                .entry(name.to_owned())
                .or_insert_with(|| Attribute { value: value.clone(), in_certificates: true });
        }
        let enrolments_left = (max_enrollments > 0).then_some(max_enrollments);
        self.identities.insert(id, Identity { secret, kind, attributes, enrolments_left, revoked: false });
    }

    fn attribute(&self, id: &str, name: &str) -> Option<String> {
        Some(self.identities.get(id)?.attributes.get(name)?.value.clone())
    }

    fn key_id(&self) -> String {
        let x509 = openssl::x509::X509::from_der(self.authority().der()).ok();
        x509.and_then(|x509| Some(hex::encode(x509.subject_key_id()?.as_slice()))).unwrap_or_default()
    }
}

impl Identity {
    fn wished(&self, wishes: Option<&[Wish]>) -> Result<BTreeMap<String, String>, Refusal> {
        let Some(wishes) = wishes else {
            let own = self.attributes.iter().filter(|(_, attribute)| attribute.in_certificates);
            return Ok(own.map(|(name, attribute)| (name.clone(), attribute.value.clone())).collect());
        };
        let mut given = BTreeMap::new();
        for wish in wishes {
            match self.attributes.get(&wish.name) {
                Some(attribute) => {
                    given.insert(wish.name.clone(), attribute.value.clone());
                }
                None if wish.optional => {}
                None => return Err(Refusal::internal(format!("The attribute '{}' is not owned", wish.name))),
            }
        }
        Ok(given)
    }
}

impl Entry {
    fn serial(&self) -> String {
        normal(&hex::encode(self.certificate.serial()))
    }
}

/// Small letters, without leading zeros, as the server compares.
fn normal(hexadecimal: &str) -> String {
    hexadecimal.to_lowercase().replace(':', "").trim_start_matches('0').to_owned()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
