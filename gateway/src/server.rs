//! Putting a gateway together from its configuration, and running it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use healthchain_rules::MspId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::agents::{self, prescription_monitor::CodesError};
use crate::callers::{Callers, CallersError, Pace};
use crate::configuration::{Configuration, ConfigurationError, PlaceError};
use crate::contents::https::HttpsContents;
use crate::custodian;
use crate::events::hub::Hub;
use crate::gateway::{Gateway, OwnOrganisation, OwnSigner, Patience};
use crate::http::browsers::Origins;
use crate::http::connections::{self, Limits};
use crate::http::listener::TlsListener;
use crate::http::rates::Rates;
use crate::http::router::router;
use crate::http::streams::Stopping;
use crate::keeper::{self, Keeping};
use crate::ledger::Ledger;
use crate::ledger::fabric::FabricLedger;
use crate::operations;
use crate::records::RecordsError;
use crate::replicas::{self, Pace as CopyingPace};
use crate::sealing::SealingError;
use crate::state::{KeyError, State, StateError, StateKey, checkpoint, retention};
use crate::tls::{OwnCertificate, TlsError, Trust};
use crate::use_cases::read_record::Wholes;
use crate::wallet::folder::{FolderWallet, WalletError};
use crate::wallet::key_store::{KeyStore, KeyStoreError};
use crate::wallet::renewal::{Renewal, RenewalError};
use crate::webhooks::delivery;
use crate::webhooks::sender::{Sender, SenderError};

/// How long requests under way may take when the gateway is stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or a file that it names, cannot be read.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// `msp_id` is not one.
    #[error("msp_id: {0}")]
    MspId(#[from] healthchain_rules::Malformed),
    /// A certificate, key or authority cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A certificate of the gateway's own is not good now.
    #[error("{0}: {1}")]
    Certificate(&'static str, String),
    /// TLS cannot be set up with the certificate and key.
    #[error("[tls] certificate and key: {0}; they must be one pair, PEM")]
    Rustls(#[from] rustls::Error),
    /// The gateway's signing identity cannot be used.
    #[error("[identity]: {0}")]
    Identity(#[from] fabric_msp::SigningError),
    /// The organisation's encryption key cannot be used.
    #[error("[identity] encryption_key: {0}")]
    EncryptionKey(#[from] SealingError),
    /// `[callers]` cannot be used.
    #[error(transparent)]
    Callers(#[from] CallersError),
    /// A private key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The certificate authority cannot be called.
    #[error("[fabric_ca]: {0}")]
    CertificateAuthority(#[from] RenewalError),
    /// The wallet cannot be used.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// An agent cannot read its table of drugs.
    #[error(transparent)]
    Codes(#[from] CodesError),
    /// Webhooks cannot be called.
    #[error(transparent)]
    Webhooks(#[from] SenderError),
    /// The record store cannot be used.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The configuration leads to no state.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The state's key cannot be had.
    #[error(transparent)]
    StateKey(#[from] KeyError),
    /// The state cannot be opened.
    #[error(transparent)]
    State(#[from] StateError),
    /// What an earlier release remembered cannot be taken over.
    #[error(transparent)]
    Adoption(#[from] checkpoint::AdoptionError),
    /// The peer's address or TLS authority cannot be used.
    #[error("[peer]: {0}")]
    Peer(String),
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}; is another gateway running there?")]
    Listen(SocketAddr, std::io::Error),
}

/// A gateway that answers requests.
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    under_way: TaskTracker,
    tasks: Vec<JoinHandle<()>>,
    /// The operators' listener, which goes on to the end: it says that the gateway is stopping.
    operations: Option<JoinHandle<()>>,
}

/// Builds a gateway from its configuration and starts it, with its tasks. It starts whether or not the peer is there.
pub async fn start(configuration: &Configuration) -> Result<Running, StartError> {
    let own = OwnCertificate::load(configuration)?;
    let keys = KeyStore::open(&configuration.wallet)?;
    let gateway = Arc::new(assemble(configuration, &own, &keys).await?);
    let state = gateway.state.clone();
    let renewal = Renewal::new(configuration, &keys, &gateway.organisation.signer)?;
    checkpoint::adopt(&state, custodian::READER, &configuration.checkpoint).await?;
    let listen = configuration.listen;
    let listener = TlsListener::bind(listen, own.server()?).await.map_err(|error| StartError::Listen(listen, error))?;
    let mut running = serve(Arc::clone(&gateway), listener, Limits::default());
    if let Some(address) = configuration.operations.listen {
        let operations =
            operations::listen(address, Arc::clone(&gateway), operations::certificates(configuration)).await;
        let (address, serve) = operations.map_err(|error| StartError::Listen(address, error))?;
        tracing::info!(%address, "serving /metrics");
        running.operations = Some(tokio::spawn(serve));
    }
    if let Some(renewal) = renewal {
        running.tasks.push(tokio::spawn(renewal.run()));
    }
    running.tasks.extend(agents::start(&gateway, &configuration.agents)?);
    running.tasks.extend([
        tokio::spawn(delivery::run(Arc::clone(&gateway), delivery::Pace::new(&configuration.webhooks))),
        tokio::spawn(custodian::run(Arc::clone(&gateway))),
        tokio::spawn(keeper::run(Arc::clone(&gateway), Keeping::default())),
        tokio::spawn(replicas::run(Arc::clone(&gateway), configuration.replicas.clone(), CopyingPace::default())),
        tokio::spawn(retention::run(state)),
    ]);
    Ok(running)
}

/// Serves a gateway that was put together elsewhere, without its tasks.
pub fn serve(gateway: Arc<Gateway>, listener: TlsListener, limits: Limits) -> Running {
    let address = listener.address();
    let (stop, stopped) = watch::channel(false);
    let under_way = gateway.under_way.clone();
    let router = router(gateway).layer(Extension(Stopping::new(stopped.clone())));
    let server = tokio::spawn(connections::serve(listener, router, limits, stopped));
    Running { address, stop, server, under_way, tasks: Vec::new(), operations: None }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections and is not ready any more, finishes the requests under way if that takes only seconds, and ends.
    pub async fn stop(mut self) {
        self.under_way.close();
        // An error means that the server has ended by itself.
        let _ = self.stop.send(true);
        self.tasks.iter().for_each(JoinHandle::abort);
        match tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the server did not end well"),
            Err(_) => {
                tracing::warn!("requests are still under way; they are cut off");
                self.server.abort();
            }
        }
        // Requests that nobody waits for.
        if tokio::time::timeout(STOP_TIMEOUT, self.under_way.wait()).await.is_err() {
            tracing::warn!("requests that nobody waits for are still under way; they are cut off");
        }
        self.operations.iter().for_each(JoinHandle::abort);
    }
}

pub(crate) async fn assemble(
    configuration: &Configuration,
    own: &OwnCertificate,
    keys: &KeyStore,
) -> Result<Gateway, StartError> {
    let identity = &configuration.identity;
    let msp_id: MspId = configuration.msp_id.parse()?;
    let state = open_state(configuration).await?;
    let signer = keys.own_signer(configuration)?.into();
    let ledger: Arc<dyn Ledger> = Arc::new(FabricLedger::connect(configuration)?);
    Ok(Gateway {
        callers: Arc::new(Callers::new(
            &configuration.callers,
            msp_id.as_str(),
            &configuration.public_url,
            &state,
            Pace::default(),
        )?),
        organisation: OwnOrganisation {
            signer: OwnSigner::clone(&signer),
            encryption_key: keys.decryption_key(&identity.encryption_key, None)?,
            msp_id,
        },
        public_url: configuration.public_url.clone(),
        max_record_bytes: configuration.max_record_bytes,
        patience: Patience::default(),
        trust: Arc::new(Trust::load(configuration)?),
        wallet: Arc::new(FolderWallet::open_with(&configuration.wallet.folder, &configuration.msp_id, keys.clone())?),
        events: Hub::new(&ledger, &signer),
        streams: Arc::default(),
        webhooks: Arc::new(Sender::new(&configuration.webhooks)?),
        ledger,
        records: Arc::new(configuration.records.open()?),
        contents: Arc::new(HttpsContents::load(configuration, own)?),
        absences: Arc::default(),
        suspects: Arc::default(),
        wholes: Wholes::default(),
        state,
        under_way: TaskTracker::new(),
        rates: Arc::new(Rates::new(&configuration.limits)),
        uploads: configuration.limits.of_uploads(),
        origins: Origins::new(&configuration.cors),
        development: configuration.development.clone(),
    })
}

pub(crate) async fn open_state(configuration: &Configuration) -> Result<State, StartError> {
    let key = StateKey::in_file(&configuration.state.key_file)?;
    Ok(State::open(&configuration.state.place()?, key).await?)
}
