//! A certificate authority to talk to: the one in this repository, or a Fabric CA server.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fabric_client::ca::{CaClient, Registration, Wishes};
use fabric_embedded::ca::{CaOptions, RunningCa};
use fabric_msp::issue::{Authority, Issued, Request};
use fabric_msp::{SigningIdentity, SoftwareSigner, certification_request};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};

pub(crate) const NAME: &str = "hospital";
const REGISTRAR: (&str, &str) = ("registrar", "registrar-secret");
const PROGRAM: &str = "fabric-ca-server";
const START_TRIES: u32 = 300;

pub(crate) struct World {
    pub(crate) client: CaClient,
    pub(crate) url: String,
    _running: Running,
}

enum Running {
    Embedded { _ca: RunningCa },
    Server { child: Child, _folder: tempfile::TempDir },
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Server { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl World {
    pub(crate) async fn embedded() -> Self {
        let (root, tls) = tls();
        let options = CaOptions {
            name: NAME.into(),
            authority: Authority::create("ca", "Hospital").unwrap(),
            registrar: (REGISTRAR.0.into(), REGISTRAR.1.into()),
            valid_days: 365,
        };
        let ca = RunningCa::start(options, &tls, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = ca.url();
        Self { client: client(&url, &root), url, _running: Running::Embedded { _ca: ca } }
    }

    /// None where the program is not on PATH.
    pub(crate) async fn server() -> Option<Self> {
        let found = Command::new(PROGRAM).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            println!("skipped: {PROGRAM} is not on PATH");
            return None;
        }
        let (root, tls) = tls();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tls.pem"), tls.certificate_pem()).unwrap();
        std::fs::write(folder.path().join("tls-key.pem"), tls.key_pem()).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let child = start(folder.path(), port);
        let url = format!("https://localhost:{port}");
        let client = client(&url, &root);
        let running = Running::Server { child, _folder: folder };
        for _ in 0..START_TRIES {
            if client.info().await.is_ok() {
                return Some(Self { client, url, _running: running });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{PROGRAM} does not answer");
    }

    /// The first registrar, who may do everything.
    pub(crate) async fn registrar(&self) -> SigningIdentity {
        self.enrolled(REGISTRAR.0, REGISTRAR.1).await
    }

    /// Somebody new, without rights.
    pub(crate) async fn member(&self, id: &str) -> SigningIdentity {
        let secret = self.client.register(&self.registrar().await, &registration(id)).await.unwrap();
        self.enrolled(id, &secret).await
    }

    pub(crate) async fn enrolled(&self, id: &str, secret: &str) -> SigningIdentity {
        let (key, request) = request(id);
        let certificate = self.client.enroll(id, secret, &request, &Wishes::default()).await.unwrap();
        SigningIdentity::from_key("HospitalMSP", certificate, key).unwrap()
    }
}

fn start(folder: &Path, port: u16) -> Child {
    let (id, secret) = REGISTRAR;
    Command::new(PROGRAM)
        .args(["start", "--boot", &format!("{id}:{secret}"), "--ca.name", NAME])
        .args(["--address", "127.0.0.1", "--port", &port.to_string()])
        .env("FABRIC_CA_SERVER_OPERATIONS_LISTENADDRESS", "127.0.0.1:0")
        .args(["--tls.enabled", "--tls.certfile", "tls.pem", "--tls.keyfile", "tls-key.pem"])
        .arg("--home")
        .arg(folder)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn registration(id: &str) -> Registration {
    Registration { id: id.into(), kind: "client".into(), ..Registration::default() }
}

/// A new key and a request for its certificate.
pub(crate) fn request(id: &str) -> (PKey<Private>, String) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let public = key.public_key_to_der().unwrap();
    let request = certification_request(id, &public, &SoftwareSigner::new(key.clone()).unwrap()).unwrap();
    (key, request)
}

fn tls() -> (Authority, Issued) {
    let root = Authority::create("tls root", "Hospital").unwrap();
    let issued = root.issue(&Request::tls("ca", &["localhost"], &[])).unwrap();
    (root, issued)
}

fn client(url: &str, root: &Authority) -> CaClient {
    CaClient::new(url, root.certificate().pem().as_bytes(), Some(NAME.into())).unwrap()
}
