//! What the consortium's founding puts on the ledger: its organisations and their members, each by its own administrator.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use fabric_client::{Client, ConnectOptions, Connection, Contract, Error};
use fabric_contract::CallError;
use fabric_msp::{Certificate, SigningIdentity};
use futures::future::{join_all, try_join_all};
use healthchain_interface::{EnterOrganisation, Founder, Founders, MembersClient, NewMember, OrganisationsClient};
use healthchain_rules::{KeyHash, OrganisationState, PublicKey, Refusal, RefusalCode, Role};
use openssl::pkey::PKey;

use crate::{CertificateFiles, Member, NetworkError, Organisation, network::PeerAccess, site::Site};

/// How long the ledger may take to answer a call for the first time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const INTERVAL: Duration = Duration::from_millis(100);
/// Organisations that enter at the same moment may conflict.
const CONFLICT_RETRIES: u32 = 5;

/// Completes what is missing on the ledger; first of all, every organisation's peer must answer for the chaincode.
pub(crate) async fn complete(site: &Site) -> Result<(), NetworkError> {
    let organisations = &site.consortium.organisations;
    let administrators: Vec<_> =
        organisations.iter().map(|organisation| Administrator::of(site, organisation)).collect::<Result<_, _>>()?;
    let answers = try_join_all(administrators.iter().map(Administrator::entered)).await?;
    if answers.iter().flatten().next().is_none() {
        administrators[0].found(organisations).await?;
        try_join_all(administrators.iter().map(Administrator::until_founded)).await?;
    }
    let newcomers = administrators.iter().zip(&answers).filter(|(_, entered)| **entered != Some(true));
    try_join_all(newcomers.map(|(administrator, _)| administrator.enter())).await?;
    try_join_all(administrators.iter().map(Administrator::register_all)).await.map(drop)
}

/// How many blocks an organisation's peer has.
pub(crate) async fn height(site: &Site, organisation: &Organisation) -> Result<u64, NetworkError> {
    let administrator = Administrator::of(site, organisation)?;
    let info = administrator.contract.client().chain_info(&site.consortium.channel).await;
    info.map(|info| info.height).map_err(|error| NetworkError::ledger("the ledger's height", error))
}

/// Where an organisation's gateway is.
pub(crate) fn gateway_url(organisation: &Organisation) -> String {
    format!("https://localhost:{}", organisation.ports().gateway)
}

/// How to reach an organisation's peer.
pub(crate) fn peer(site: &Site, organisation: &Organisation) -> PeerAccess {
    PeerAccess {
        msp_id: organisation.msp_id.clone(),
        endpoint: format!("https://localhost:{}", organisation.ports().peer),
        tls_root: site.layout.organisation(&organisation.name).tls_root(),
    }
}

/// An organisation's first administrator, at its own peer.
struct Administrator<'a> {
    site: &'a Site,
    organisation: &'a Organisation,
    contract: Contract,
}

impl<'a> Administrator<'a> {
    fn of(site: &'a Site, organisation: &'a Organisation) -> Result<Self, NetworkError> {
        let PeerAccess { endpoint, tls_root, .. } = peer(site, organisation);
        let options = ConnectOptions { endpoint, tls_root_pem: Some(read(&tls_root)?), ..ConnectOptions::default() };
        let refuse = |reason: String| NetworkError::identity(&organisation.name, reason);
        let connection = Connection::lazy(options).map_err(|error| refuse(error.to_string()))?;
        let CertificateFiles { certificate, key } =
            site.layout.organisation(&organisation.name).member_identity(organisation.founder().id.as_str());
        let identity = SigningIdentity::from_pem(organisation.msp_id.as_str(), read(&certificate)?, read(&key)?)
            .map_err(|error| refuse(error.to_string()))?;
        let contract = Client::new(connection, identity)
            .contract(&site.consortium.channel, &site.consortium.chaincode.name)
            .conflict_retries(CONFLICT_RETRIES);
        Ok(Self { site, organisation, contract })
    }

    /// Whether the organisation has entered; `None` before the consortium is founded.
    async fn entered(&self) -> Result<Option<bool>, NetworkError> {
        let client = OrganisationsClient::new(self.contract.clone());
        let what = format!("{}'s peer answers for the chaincode", self.organisation.name);
        let all = patiently(&what, || client.organisations()).await?.map_err(|refusal| refused(&what, &refusal))?;
        let own = all.iter().find(|organisation| organisation.msp_id == self.organisation.msp_id);
        Ok(own.map(|organisation| matches!(organisation.state, OrganisationState::Active { .. })))
    }

    /// Waits until the organisation's own peer has the founding, too: peers commit a block one after the other.
    async fn until_founded(&self) -> Result<(), NetworkError> {
        let begun = Instant::now();
        while self.entered().await?.is_none() {
            if begun.elapsed() > PATIENCE {
                let what = format!("{}'s peer has the consortium's founding", self.organisation.name);
                return Err(NetworkError::ledger(&what, "it does not commit the block; see the peer's log"));
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(())
    }

    async fn found(&self, organisations: &[Organisation]) -> Result<(), NetworkError> {
        let founders = organisations.iter().map(|it| Founder { msp_id: it.msp_id.clone(), kind: it.kind }).collect();
        let founders = Founders { organisations: founders };
        let client = OrganisationsClient::new(self.contract.clone());
        let what = "founding the consortium";
        patiently(what, || client.bootstrap(&founders)).await?.map(drop).map_err(|refusal| refused(what, &refusal))
    }

    async fn enter(&self) -> Result<(), NetworkError> {
        let folder = self.site.layout.organisation(&self.organisation.name);
        let administrator = self.organisation.founder();
        let what = format!("{} enters", self.organisation.name);
        let url = gateway_url(self.organisation);
        let call = EnterOrganisation {
            encryption_key: public_key(&folder.encryption_key())?,
            gateway_url: url.parse().map_err(|error| NetworkError::ledger(&what, error))?,
            gateway_key_hash: key_hash(&folder.gateway_identity().certificate)?,
            administrator: administrator.id.clone(),
            administrator_encryption_key: public_key(&folder.member_encryption_key(administrator.id.as_str()))?,
        };
        let client = OrganisationsClient::new(self.contract.clone());
        patiently(&what, || client.enter(&call)).await?.map(drop).map_err(|refusal| refused(&what, &refusal))
    }

    async fn register_all(&self) -> Result<(), NetworkError> {
        // The others' entering makes no difference to registering, so all members go at once.
        let members = self.organisation.members.iter().filter(|member| member.role != Role::Agent);
        let outcomes = join_all(members.map(|member| self.register(member))).await;
        outcomes.into_iter().collect()
    }

    async fn register(&self, member: &Member) -> Result<(), NetworkError> {
        let client = MembersClient::new(self.contract.clone());
        let what = format!("registering {}", member.id);
        match patiently(&what, || client.member(&member.id)).await? {
            Ok(_) => return Ok(()),
            Err(refusal) if refusal.code() == RefusalCode::UnknownMember => {}
            Err(refusal) => return Err(refused(&what, &refusal)),
        }
        let folder = self.site.layout.organisation(&self.organisation.name);
        let id = member.id.as_str();
        let call = NewMember {
            id: member.id.clone(),
            role: member.role,
            key_hash: key_hash(&folder.member_identity(id).certificate)?,
            encryption_key: public_key(&folder.member_encryption_key(id))?,
        };
        patiently(&what, || client.register(&call)).await?.map(drop).map_err(|refusal| refused(&what, &refusal))
    }
}

/// Calls until the ledger answers, which may be a refusal. Every call here may be repeated: the contracts say so.
async fn patiently<T, F: Future<Output = Result<T, CallError<Error, Refusal>>>>(
    what: &str,
    mut call: impl FnMut() -> F,
) -> Result<Result<T, Refusal>, NetworkError> {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(value) => return Ok(Ok(value)),
            Err(CallError::Refused(refusal)) => return Ok(Err(refusal)),
            Err(CallError::Failed(_)) if begun.elapsed() < PATIENCE => tokio::time::sleep(INTERVAL).await,
            Err(error) => return Err(NetworkError::ledger(what, error)),
        }
    }
}

fn refused(what: &str, refusal: &Refusal) -> NetworkError {
    NetworkError::ledger(what, format!("the ledger refuses: {}", refusal.detail()))
}

fn key_hash(certificate: &Path) -> Result<KeyHash, NetworkError> {
    let certificate = Certificate::from_pem(read(certificate)?)
        .map_err(|error| NetworkError::identity(certificate.display().to_string(), error))?;
    Ok(KeyHash::from_bytes(&certificate.key_hash()))
}

/// The public part of a key file.
fn public_key(key: &Path) -> Result<PublicKey, NetworkError> {
    let refuse = |reason: String| NetworkError::identity(key.display().to_string(), reason);
    let private = PKey::private_key_from_pem(&read(key)?).map_err(|error| refuse(error.to_string()))?;
    let spki = private.public_key_to_der().map_err(|error| refuse(error.to_string()))?;
    BASE64.encode(spki).parse().map_err(|error: healthchain_rules::Malformed| refuse(error.to_string()))
}

fn read(path: &Path) -> Result<Vec<u8>, NetworkError> {
    fs::read(path).map_err(NetworkError::file(path))
}
