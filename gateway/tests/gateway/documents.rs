//! A server of others' documents, over TLS: keys, and where they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use fabric_msp::issue::{Authority, Request};
use healthchain_gateway::http::connections::{self, Limits};
use healthchain_gateway::http::listener::TlsListener;
use tokio::sync::watch;

use super::world::own;

/// It ends with this.
pub(crate) struct Documents {
    pub(crate) url: String,
    folder: tempfile::TempDir,
    served: Arc<Mutex<Served>>,
    _stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Served {
    answers: BTreeMap<String, (u16, String)>,
    asked: BTreeMap<String, usize>,
}

impl Documents {
    pub(crate) async fn start() -> Self {
        let authority = Authority::create("tls root", "Elsewhere").unwrap();
        let certificate = authority.issue(&Request::tls("documents", &["localhost"], &[])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), authority.certificate().pem()).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TlsListener::bind(any, own(&certificate).server().unwrap()).await.unwrap();
        let url = format!("https://localhost:{}", listener.address().port());
        let served = Arc::default();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&served));
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(connections::serve(listener, router, Limits::default(), stopped));
        Self { url, folder, served, _stop: stop }
    }

    /// The authority of its certificate.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// What it answers at a path from now on; a redirection's text is where to.
    pub(crate) fn put(&self, path: &str, status: u16, text: impl ToString) {
        self.served.lock().unwrap().answers.insert(path.to_owned(), (status, text.to_string()));
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.served.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }
}

async fn serve(State(served): State<Arc<Mutex<Served>>>, uri: Uri) -> (StatusCode, HeaderMap, String) {
    let mut served = served.lock().unwrap();
    *served.asked.entry(uri.path().to_owned()).or_default() += 1;
    let (status, text) = served.answers.get(uri.path()).cloned().unwrap_or((404, String::new()));
    let location = (300..400).contains(&status).then(|| ("location".parse().unwrap(), text.parse().unwrap()));
    (StatusCode::from_u16(status).unwrap(), HeaderMap::from_iter(location), text)
}
