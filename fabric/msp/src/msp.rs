//! One organisation's verifier: which certificates are its members', and in which roles.

use std::fmt;
use std::path::Path;

use fabric_protos::common::msp_role::MspRoleType;
use fabric_protos::msp::{FabricMspConfig, FabricOuIdentifier, MspConfig};
use openssl::sha::Sha256;
use prost::Message;

use crate::chain::single_chain;
use crate::folder::{self, FolderError};
use crate::revocation::RevocationList;
use crate::{Certificate, CertificateError, Invalidity};

/// One organisation's membership service provider.
pub struct Msp {
    configuration: FabricMspConfig,
    roots: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    /// Authorities that issued another authority: members below them are refused.
    inner: Vec<Certificate>,
    administrators: Vec<Certificate>,
    revocation_lists: Vec<RevocationList>,
    units: Vec<(String, CertifiersId)>,
    node_units: Option<NodeUnits>,
}

/// Why a configuration makes no MSP.
#[derive(Debug, thiserror::Error)]
pub enum MspError {
    /// The folder cannot be read.
    #[error("the MSP folder cannot be read: {0}")]
    Folder(#[from] FolderError),
    /// The message is not a Fabric MSP's configuration.
    #[error("the MSP configuration cannot be decoded: {0}")]
    Undecodable(String),
    /// A certificate cannot be read.
    #[error("MSP {msp_id}: {source}")]
    Certificate {
        /// The organisation.
        msp_id: String,
        /// What is wrong.
        source: CertificateError,
    },
    /// The configuration contradicts itself or lacks something.
    #[error("MSP {msp_id}: {reason}")]
    Configuration {
        /// The organisation.
        msp_id: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// SHA-256 over the DER of a chain's authorities, issuer first.
pub(crate) type CertifiersId = [u8; 32];

/// What a valid member's certificate says beside its names.
pub(crate) struct Standing {
    pub(crate) certifiers: CertifiersId,
}

struct NodeUnits {
    client: Option<NodeUnit>,
    peer: Option<NodeUnit>,
    administrator: Option<NodeUnit>,
    orderer: Option<NodeUnit>,
}

struct NodeUnit {
    name: String,
    /// Absent: whichever authority of the organisation.
    certifiers: Option<CertifiersId>,
}

impl Msp {
    /// Reads a verifying MSP from a folder (`cacerts/`, `config.yaml`, …); its private key, if any, is not looked at.
    pub fn load(msp_folder: impl AsRef<Path>, msp_id: &str) -> Result<Self, MspError> {
        Self::from_config(folder::read(msp_folder.as_ref(), msp_id)?)
    }

    /// Reads the value of a channel configuration's `MSP`.
    pub fn from_msp_config(config: &MspConfig) -> Result<Self, MspError> {
        if config.r#type != 0 {
            return Err(MspError::Undecodable(format!("its type is {}, only 0 (X.509) is supported", config.r#type)));
        }
        let config = FabricMspConfig::decode(config.config.as_slice())
            .map_err(|error| MspError::Undecodable(error.to_string()))?;
        Self::from_config(config)
    }

    /// Checks a configuration as Fabric does when a channel starts.
    pub fn from_config(configuration: FabricMspConfig) -> Result<Self, MspError> {
        let msp_id = configuration.name.clone();
        let wrong = |reason: String| MspError::Configuration { msp_id: msp_id.clone(), reason };
        let read = |pems: &[Vec<u8>]| -> Result<Vec<Certificate>, MspError> {
            pems.iter()
                .map(Certificate::from_pem)
                .collect::<Result<_, _>>()
                .map_err(|source| MspError::Certificate { msp_id: msp_id.clone(), source })
        };
        if configuration.name.is_empty() {
            return Err(wrong("its name is empty; name it as the channel does, for example HospitalMSP".to_owned()));
        }
        if configuration.root_certs.is_empty() {
            return Err(wrong("expected at least one CA certificate; put the root's into cacerts/".to_owned()));
        }
        let mut msp = Self {
            roots: read(&configuration.root_certs)?,
            intermediates: read(&configuration.intermediate_certs)?,
            inner: Vec::new(),
            administrators: read(&configuration.admins)?,
            revocation_lists: Vec::new(),
            units: Vec::new(),
            node_units: None,
            configuration,
        };
        msp.canonicalise_authorities();
        for pem in &msp.configuration.revocation_list {
            msp.revocation_lists.push(RevocationList::from_pem(pem).map_err(&wrong)?);
        }
        msp.check_authorities().map_err(&wrong)?;
        msp.check_tls_authorities(&read)?;
        msp.read_units().map_err(&wrong)?;
        msp.check_administrators().map_err(&wrong)?;
        Ok(msp)
    }

    /// The organisation's name on the channel.
    pub fn id(&self) -> &str {
        &self.configuration.name
    }

    /// The configuration, as a channel's genesis block carries it.
    pub fn to_config(&self) -> &FabricMspConfig {
        &self.configuration
    }

    /// The same, as the value `MSP` of the organisation's group.
    pub fn to_msp_config(&self) -> MspConfig {
        MspConfig { r#type: 0, config: self.configuration.encode_to_vec() }
    }

    /// The organisation's TLS authorities, PEM.
    pub fn tls_root_certificates(&self) -> &[Vec<u8>] {
        &self.configuration.tls_root_certs
    }

    /// The member's certificate in its canonical form (low S). An error means what Fabric calls a malformed creator: an
    /// ECDSA-signed certificate that no single chain of this MSP leads to.
    pub(crate) fn canonical(&self, certificate: Certificate) -> Result<Certificate, Invalidity> {
        if !certificate.is_ecdsa_signed() {
            return Ok(certificate);
        }
        let chain = self.single_chain(&certificate)?;
        let issuer = chain.get(1).copied().unwrap_or(&certificate);
        Ok(certificate.with_low_s(issuer.public_key()))
    }

    /// Judges a member: key, chain, revocation, organizational units. Dates play no part: chains are looked at one second
    /// after the certificate's own start of validity, so expired and not yet valid certificates pass.
    pub(crate) fn validate(&self, certificate: &Certificate) -> Result<Standing, Invalidity> {
        use openssl::pkey::Id;
        if ![Id::EC, Id::ED25519].contains(&certificate.public_key().id()) {
            return Err(Invalidity::KeyAlgorithm);
        }
        if certificate.is_authority() {
            return Err(Invalidity::Authority);
        }
        let chain = self.single_chain(certificate)?;
        let issuer = *chain.get(1).ok_or_else(|| Invalidity::Chain("it is its own issuer".to_owned()))?;
        if self.inner.contains(issuer) {
            return Err(Invalidity::Chain("its issuer also issued an intermediate authority".to_owned()));
        }
        self.check_revocation(certificate, issuer)?;
        let standing = Standing { certifiers: certifiers_id(&chain[1..]) };
        self.check_units(certificate, &standing)?;
        Ok(standing)
    }

    /// Whether a valid member has a role.
    pub(crate) fn has_role(&self, certificate: &Certificate, role: MspRoleType) -> bool {
        let by_unit = |select: fn(&NodeUnits) -> &Option<NodeUnit>| {
            let unit = self.node_units.as_ref().and_then(|units| select(units).as_ref());
            unit.is_some_and(|unit| certificate.has_organizational_unit(&unit.name))
        };
        match role {
            MspRoleType::Member => true,
            MspRoleType::Admin => self.administrators.contains(certificate) || by_unit(|units| &units.administrator),
            MspRoleType::Client => by_unit(|units| &units.client),
            MspRoleType::Peer => by_unit(|units| &units.peer),
            MspRoleType::Orderer => by_unit(|units| &units.orderer),
        }
    }

    /// Whether certificates tell roles apart by their organizational unit.
    pub(crate) fn has_node_units(&self) -> bool {
        self.node_units.is_some()
    }

    fn canonicalise_authorities(&mut self) {
        let issuers: Vec<Certificate> = self.roots.iter().chain(&self.intermediates).cloned().collect();
        for authority in self.roots.iter_mut().chain(self.intermediates.iter_mut()) {
            if let Some(issuer) = issuers.iter().find(|issuer| authority.is_issued_by(issuer)) {
                *authority = authority.with_low_s(issuer.public_key());
            }
        }
    }

    fn check_authorities(&mut self) -> Result<(), String> {
        for authority in self.roots.iter().chain(&self.intermediates) {
            check_authority(authority)?;
            let chain = self
                .single_chain(authority)
                .map_err(|reason| format!("the CA certificate of {} is not valid: {reason}", authority.subject()))?;
            if let Some(issuer) = chain.get(1) {
                self.check_revocation(authority, issuer).map_err(|reason| {
                    format!("the CA certificate of {} is not valid: {reason}", authority.subject())
                })?;
            }
        }
        let mut inner = Vec::new();
        for authority in &self.intermediates {
            let chain = self.single_chain(authority).map_err(|reason| reason.to_string())?;
            inner.extend(chain[1..].iter().map(|issuer| (*issuer).clone()));
        }
        self.inner = inner;
        Ok(())
    }

    fn check_tls_authorities(
        &self,
        read: &impl Fn(&[Vec<u8>]) -> Result<Vec<Certificate>, MspError>,
    ) -> Result<(), MspError> {
        let wrong = |reason: String| MspError::Configuration { msp_id: self.id().to_owned(), reason };
        let roots = read(&self.configuration.tls_root_certs)?;
        let intermediates = read(&self.configuration.tls_intermediate_certs)?;
        for authority in roots.iter().chain(&intermediates) {
            check_authority(authority).map_err(wrong)?;
            single_chain(authority, &roots, &intermediates).map_err(|reason| {
                wrong(format!("the TLS CA certificate of {} is not valid: {reason}", authority.subject()))
            })?;
        }
        Ok(())
    }

    fn read_units(&mut self) -> Result<(), String> {
        for unit in &self.configuration.organizational_unit_identifiers {
            let certifiers = self.certifiers_of(&unit.certificate)?;
            self.units.push((unit.organizational_unit_identifier.clone(), certifiers));
        }
        let Some(nodes) = self.configuration.fabric_node_ous.as_ref() else { return Ok(()) };
        let read = |unit: &Option<FabricOuIdentifier>| -> Result<Option<NodeUnit>, String> {
            let Some(unit) = unit else { return Ok(None) };
            let certifiers =
                if unit.certificate.is_empty() { None } else { Some(self.certifiers_of(&unit.certificate)?) };
            Ok(Some(NodeUnit { name: unit.organizational_unit_identifier.clone(), certifiers }))
        };
        let units = NodeUnits {
            client: read(&nodes.client_ou_identifier)?,
            peer: read(&nodes.peer_ou_identifier)?,
            administrator: read(&nodes.admin_ou_identifier)?,
            orderer: read(&nodes.orderer_ou_identifier)?,
        };
        if nodes.enable && units.all().next().is_some() {
            self.node_units = Some(units);
        }
        Ok(())
    }

    fn check_administrators(&mut self) -> Result<(), String> {
        let by_unit = self.node_units.as_ref().is_some_and(|units| units.administrator.is_some());
        if self.administrators.is_empty() && !by_unit {
            return Err(
                "administrators must be declared when no admin ou classification is set; enable NodeOUs with an \
                        AdminOUIdentifier in config.yaml or put a certificate into admincerts/"
                    .to_owned(),
            );
        }
        // Empty while they are judged: being listed must not by itself make one an administrator here.
        let listed = std::mem::take(&mut self.administrators);
        let mut administrators = Vec::new();
        for certificate in &listed {
            let named =
                |reason: Invalidity| format!("the administrator {} is invalid: {reason}", certificate.subject());
            let canonical = self.canonical(certificate.clone()).map_err(named)?;
            if self.node_units.is_none() {
                self.validate(&canonical).map_err(named)?;
            } else if !self.has_role(&canonical, MspRoleType::Client) && !self.has_role(&canonical, MspRoleType::Admin)
            {
                return Err(format!(
                    "the administrator {} has neither the client's nor the admin's OU",
                    canonical.subject()
                ));
            }
            administrators.push(canonical);
        }
        self.administrators = administrators;
        Ok(())
    }

    fn check_revocation(&self, certificate: &Certificate, issuer: &Certificate) -> Result<(), Invalidity> {
        let revoked = |list: &RevocationList| list.revokes(certificate.serial(), issuer);
        if self.revocation_lists.iter().any(revoked) { Err(Invalidity::Revoked) } else { Ok(()) }
    }

    fn check_units(&self, certificate: &Certificate, standing: &Standing) -> Result<(), Invalidity> {
        let own = certificate.organizational_units();
        let listed = |own: &String| self.units.iter().any(|(name, by)| name == own && *by == standing.certifiers);
        if !self.units.is_empty() && !own.iter().any(listed) {
            return Err(Invalidity::UnitNotListed { units: own.to_vec(), msp_id: self.id().to_owned() });
        }
        let Some(nodes) = &self.node_units else { return Ok(()) };
        let mut roles = 0;
        for unit in own.iter().filter_map(|own| nodes.all().find(|unit| unit.name == *own)) {
            if unit.certifiers.is_some_and(|by| by != standing.certifiers) {
                return Err(Invalidity::Certifiers { units: own.to_vec(), msp_id: self.id().to_owned() });
            }
            roles += 1;
        }
        match roles {
            1 => Ok(()),
            0 => Err(Invalidity::NoNodeUnit { units: own.to_vec(), msp_id: self.id().to_owned() }),
            _ => Err(Invalidity::SeveralNodeUnits { units: own.to_vec(), msp_id: self.id().to_owned() }),
        }
    }

    fn certifiers_of(&self, pem: &[u8]) -> Result<CertifiersId, String> {
        let authority = Certificate::from_pem(pem).map_err(|error| format!("an OU's certificate: {error}"))?;
        let canonical = self.canonical(authority).map_err(|error| format!("an OU's certificate: {error}"))?;
        if !self.roots.contains(&canonical) && !self.intermediates.contains(&canonical) {
            return Err(format!(
                "an OU's certificate, {}, is not in root or intermediate certs; name one of cacerts/ or intermediatecerts/",
                canonical.subject()
            ));
        }
        let chain = self.single_chain(&canonical).map_err(|error| format!("an OU's certificate: {error}"))?;
        Ok(certifiers_id(&chain))
    }

    fn single_chain<'a>(&'a self, certificate: &'a Certificate) -> Result<Vec<&'a Certificate>, Invalidity> {
        single_chain(certificate, &self.roots, &self.intermediates)
    }
}

impl fmt::Debug for Msp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Msp").field("id", &self.id()).field("roots", &self.roots).finish_non_exhaustive()
    }
}

impl NodeUnits {
    fn all(&self) -> impl Iterator<Item = &NodeUnit> {
        [&self.client, &self.peer, &self.administrator, &self.orderer].into_iter().flatten()
    }
}

fn check_authority(authority: &Certificate) -> Result<(), String> {
    let subject = authority.subject();
    if !authority.is_authority() {
        return Err(format!("CA Certificate did not have the CA attribute: {subject}"));
    }
    if authority.extensions().subject_key_id.is_none() {
        return Err(format!("CA Certificate problem with Subject Key Identifier extension: {subject} has none"));
    }
    if authority.extensions().name_constraints {
        return Err(format!("the CA certificate of {subject} has name constraints, which are not supported"));
    }
    Ok(())
}

fn certifiers_id(chain: &[&Certificate]) -> CertifiersId {
    let mut hash = Sha256::new();
    chain.iter().for_each(|authority| hash.update(authority.der()));
    hash.finish()
}
