//! One organisation's gateway: its own identity and key, and the ports that the use cases work with.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fabric_msp::SigningIdentity;
use healthchain_interface::LinksClient;
use healthchain_rules::{Category, Envelope, LinkId, MspId};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::callers::Callers;
use crate::content::Payload;
use crate::contents::Contents;
use crate::events::hub::Hub;
use crate::failure::Failure;
use crate::http::browsers::Origins;
use crate::http::rates::Rates;
use crate::http::streams::Streams;
use crate::ledger::{Contract, Ledger};
use crate::records::Records;
use crate::sealing::{DecryptionKey, EnvelopeContext};
use crate::state::State;
use crate::tls::Trust;
use crate::use_cases::busy;
use crate::use_cases::find_content::{Absences, Suspects};
use crate::use_cases::read_record::Wholes;
use crate::use_cases::upload::UploadLimits;
use crate::wallet::Wallet;
use crate::webhooks::sender::Sender;

/// What every use case has at hand. Clones share it all.
#[derive(Clone)]
pub struct Gateway {
    /// The organisation that this gateway serves.
    pub organisation: OwnOrganisation,
    /// Where members and other gateways reach this gateway.
    pub public_url: Url,
    /// Largest record that is taken, in bytes.
    pub max_record_bytes: usize,
    /// How long others are waited for.
    pub patience: Patience,
    /// Whose certificates count.
    pub trust: Arc<Trust>,
    /// Who calls, where a token says it.
    pub callers: Arc<Callers>,
    /// The members' keys.
    pub wallet: Arc<dyn Wallet>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The ledger's events, for those who follow them.
    pub events: Arc<Hub>,
    /// How many follow them at once.
    pub streams: Arc<Streams>,
    /// Tells members' servers of them.
    pub webhooks: Arc<Sender>,
    /// The organisation's own records.
    pub records: Arc<dyn Records>,
    /// The other organisations' records.
    pub contents: Arc<dyn Contents>,
    /// Whose gateways could not be reached a moment ago.
    pub absences: Arc<Absences>,
    /// Which contents of the own store are to be looked at.
    pub suspects: Arc<Suspects>,
    /// Memory for contents that can only be opened whole.
    pub wholes: Wholes,
    /// What is remembered beside the ledger.
    pub state: State,
    /// Requests that are carried through whether or not their callers still listen. Closed once the gateway is told to stop.
    pub under_way: TaskTracker,
    /// How much callers have asked for.
    pub rates: Arc<Rates>,
    /// How much they may upload.
    pub uploads: UploadLimits,
    /// Other sites whose pages may use this gateway.
    pub origins: Origins,
    /// What is said of a ledger that is for development only, on every answer.
    pub development: Option<String>,
}

/// The organisation, as its gateway acts for it.
#[derive(Clone)]
pub struct OwnOrganisation {
    /// Its MSP id.
    pub msp_id: MspId,
    /// Signs what the gateway does as key custodian.
    pub signer: OwnSigner,
    /// Opens envelopes sealed to the organisation.
    pub encryption_key: Arc<dyn DecryptionKey>,
}

/// The gateway's own identity, whose certificate may be renewed while the gateway runs. Clones share it.
#[derive(Debug, Clone)]
pub struct OwnSigner(Arc<RwLock<SigningIdentity>>);

impl OwnSigner {
    /// The identity as of now; ask again for what comes later.
    pub fn current(&self) -> SigningIdentity {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on signs under this identity.
    pub fn replace(&self, renewed: SigningIdentity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = renewed;
    }
}

impl From<SigningIdentity> for OwnSigner {
    fn from(identity: SigningIdentity) -> Self {
        Self(Arc::new(RwLock::new(identity)))
    }
}

/// How long a request waits for what others have yet to do.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the publisher's gateway to seal an envelope.
    pub envelope: Duration,
    /// For an opening that another organisation's peer has committed to arrive at the own peer.
    pub opening: Duration,
    /// For a whole content to arrive from the publisher's gateway.
    pub transfer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            envelope: Duration::from_secs(10),
            opening: Duration::from_secs(3),
            transfer: Duration::from_secs(3 * 60),
        }
    }
}

impl Gateway {
    /// The chaincode as this identity calls it.
    pub fn contract(&self, signer: &SigningIdentity) -> Contract {
        Contract::new(&self.ledger, signer)
    }

    /// The chaincode as the organisation's key custodian calls it.
    pub fn own_contract(&self) -> Contract {
        self.contract(&self.organisation.signer.current())
    }

    /// Whether it was told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.under_way.is_closed()
    }

    /// Where a content of this organisation is had by other gateways.
    pub(crate) fn content_url(&self, link: &LinkId, version: u32) -> String {
        content_url(self.public_url.clone(), link, version).into()
    }

    /// The payload of a version that this organisation published, from its own envelope on the ledger.
    pub(crate) async fn own_payload(
        &self,
        link: &LinkId,
        version: u32,
        category: Category,
    ) -> Result<Payload, Failure> {
        let envelope = LinksClient::new(self.own_contract()).custodian_envelope(link, &version).await?;
        unseal(Arc::clone(&self.organisation.encryption_key), envelope, link.clone(), version, category).await
    }
}

/// Where a gateway at this address serves a content.
pub(crate) fn content_url(mut gateway: Url, link: &LinkId, version: u32) -> Url {
    gateway.set_path(&format!("v1/contents/{link}/{version}"));
    gateway
}

/// Opens an envelope of a link's version with a key. The key may lie in a device, which takes its time.
pub(crate) async fn unseal(
    key: Arc<dyn DecryptionKey>,
    envelope: Envelope,
    link: LinkId,
    version: u32,
    category: Category,
) -> Result<Payload, Failure> {
    busy(move || {
        let context = EnvelopeContext {
            link: link.as_str(),
            version,
            category: category.as_str(),
            recipient_key_hash: envelope.recipient_key_hash.as_str(),
        };
        let sealed = STANDARD.decode(envelope.sealed.as_str()).map_err(|_| Failure::EnvelopeDoesNotOpen)?;
        let payload = key.unseal(&context, &sealed)?;
        Payload::from_bytes(&payload).map_err(|_| Failure::EnvelopeDoesNotOpen)
    })
    .await
}
