//! The real program, killed at random moments under load, again and again: what was acknowledged is there, once.
#![allow(clippy::unwrap_used)] // reason: a test that meets a surprise shall fail

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use fabric_client::{Client, ConnectOptions, Connection, Deadlines};
use fabric_contract::{Chaincode, Context, LedgerError, ServerOptions, TlsOptions, contract};
use fabric_embedded::ledger::{BlockSigner, Ledger, QueryResult, Storage};
use fabric_msp::{
    SigningIdentity,
    issue::{Authority, Issued, MspFolder, Request, write_msp_folder},
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

const KILLS: u32 = 250;
const LONGEST: Duration = Duration::from_secs(75);
const WRITERS: usize = 16;

/// Values by key.
#[contract(name = "Values")]
pub trait Values {
    /// Writes a value.
    #[submit]
    async fn put(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal>;
}

/// Why nothing was written.
#[derive(Debug)]
pub struct Refusal(String);

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self(error.to_string())
    }
}

impl From<Refusal> for (u16, String) {
    fn from(refusal: Refusal) -> Self {
        (500, refusal.0)
    }
}

impl std::str::FromStr for Refusal {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

struct Stored;

impl Values for Stored {
    async fn put(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal> {
        ctx.get(&key).await?;
        ctx.put(key, value);
        Ok(())
    }
}

/// What was acknowledged: values by key, and transaction ids.
type Acknowledged = Arc<Mutex<BTreeMap<String, (String, String)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_however_often_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::create(folder.path());
    let chaincode = network.serve_chaincode().await;
    network.write_configuration(chaincode);

    let acknowledged = Acknowledged::default();
    let (stop, stopped) = watch::channel(false);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(network.client(writer), writer, acknowledged.clone(), stopped.clone()));
    }

    let started = Instant::now();
    let mut kills = 0;
    while kills < KILLS && started.elapsed() < LONGEST {
        let mut program = network.start(&[]);
        if kills % 4 > 0 {
            network.wait_until_served().await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
        // Where a life is too short for a transaction, as on a busy machine, some last until one is acknowledged.
        while acknowledged.lock().await.len() * 2 < kills as usize && started.elapsed() < LONGEST {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(program.try_wait().unwrap().is_none(), "the program ended by itself");
        program.kill().unwrap();
        program.wait().unwrap();
        kills += 1;
    }
    stop.send(true).unwrap();
    let mut program = network.start(&[]);
    while writers.join_next().await.is_some() {}
    program.kill().unwrap();
    program.wait().unwrap();

    assert!(network.start(&["--verify"]).wait().unwrap().success(), "the chain does not verify");
    let acknowledged = acknowledged.lock().await;
    println!("{} acknowledged in {} lives", acknowledged.len(), kills + 1);
    assert!(kills >= 100 && acknowledged.len() >= 50, "{kills} kills, {} acknowledged: too few", acknowledged.len());
    network.check(&acknowledged);
}

/// Writes one key after another until it is told to stop; a key is never tried twice.
async fn write(client: Client, writer: usize, acknowledged: Acknowledged, stopped: watch::Receiver<bool>) {
    let contract = client.contract("crash", "values");
    for number in 0.. {
        if *stopped.borrow() {
            return;
        }
        let (key, value) = (format!("{writer}-{number}"), format!("value {number}"));
        let arguments = [&key, &value].map(|text| serde_json::to_vec(text).unwrap()).to_vec();
        let Ok(endorsed) = contract.proposal("Values:put", arguments).endorse().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let transaction = endorsed.transaction_id().to_owned();
        if endorsed.commit().await.is_ok_and(|committed| committed.valid().is_ok()) {
            acknowledged.lock().await.insert(key, (value, transaction));
        }
    }
}

const ORGANISATIONS: [&str; 2] = ["Org1MSP", "Org2MSP"];

/// Two organisations in a folder, as the program takes them.
struct Network<'a> {
    folder: &'a Path,
    signing: Vec<Authority>,
    tls: Authority,
    ports: Vec<u16>,
}

impl<'a> Network<'a> {
    fn create(folder: &'a Path) -> Self {
        let signing: Vec<_> = ORGANISATIONS.iter().map(|name| Authority::create("ca", name).unwrap()).collect();
        let tls = Authority::create("tls", "all").unwrap();
        for (name, authority) in ORGANISATIONS.iter().zip(&signing) {
            let under = folder.join(name);
            let issue = |unit: &str| authority.issue(&Request::signing(unit, unit)).unwrap();
            let write = |part: &str, signer: Option<&Issued>| {
                let content = MspFolder { authority, tls_authority: &tls, signer, revocation_lists: &[] };
                write_msp_folder(under.join(part), &content).unwrap();
            };
            write("msp", None);
            write("peer", Some(&issue("peer")));
            write("orderer", Some(&issue("orderer")));
        }
        let ports = ORGANISATIONS.iter().map(|_| free_port()).collect();
        Self { folder, signing, tls, ports }
    }

    /// Serves the chaincode in this process, over mutual TLS on a real port.
    async fn serve_chaincode(&self) -> String {
        let (certificate, key) = self.tls_pair();
        let client_authorities = self.tls.certificate().pem().into_bytes();
        let server = Chaincode::new()
            .contract(ValuesDispatcher::new(Stored))
            .bind(ServerOptions {
                address: "127.0.0.1:0".into(),
                chaincode_id: "values:1".into(),
                tls: Some(TlsOptions { certificate, key, client_authorities }),
            })
            .await
            .unwrap();
        let address = server.local_address().to_string();
        tokio::spawn(server.run_until(std::future::pending()));
        address
    }

    fn write_configuration(&self, chaincode: String) {
        let put = |name: &str, content: &[u8]| std::fs::write(self.folder.join(name), content).unwrap();
        let (certificate, key) = self.tls_pair();
        put("tls.pem", &certificate);
        put("tls-key.pem", &key);
        put("tls-ca.pem", self.tls.certificate().pem().as_bytes());
        let mut text = "channel = 'crash'\ndata = 'data'\nbatch = { timeout_milliseconds = 10 }\n\
                        orderer = { msp_id = 'Org1MSP', msp = 'Org1MSP/orderer' }\n"
            .to_owned();
        for (name, port) in ORGANISATIONS.iter().zip(&self.ports) {
            text += &format!(
                "[[organisations]]\nmsp_id = '{name}'\nmsp = '{name}/msp'\npeer_msp = '{name}/peer'\n\
                 listen = '127.0.0.1:{port}'\ntls_certificate = 'tls.pem'\ntls_key = 'tls-key.pem'\n"
            );
        }
        text += &format!(
            "[[chaincodes]]\nname = 'values'\nversion = '1'\nsequence = 1\npackage_id = 'values:1'\naddress = '{chaincode}'\n\
             policy = \"AND('Org1MSP.peer', 'Org2MSP.peer')\"\nroot_certificate = 'tls-ca.pem'\n\
             client_certificate = 'tls.pem'\nclient_key = 'tls-key.pem'\n"
        );
        put("embedded.toml", text.as_bytes());
    }

    fn tls_pair(&self) -> (Vec<u8>, Vec<u8>) {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let issued = self.tls.issue(&Request::tls("localhost", &["localhost"], &[here])).unwrap();
        (issued.certificate_pem().into_bytes(), issued.key_pem().to_vec())
    }

    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_fabric-embedded"))
            .arg("--config")
            .arg(self.folder.join("embedded.toml"))
            .args(arguments)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    /// Three lives in four begin with load; the others may end before anything is served.
    async fn wait_until_served(&self) {
        while tokio::net::TcpStream::connect(("127.0.0.1", self.ports[0])).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A client of its own connection, at one organisation or the other.
    fn client(&self, number: usize) -> Client {
        let at = number % ORGANISATIONS.len();
        // A peer asks for a client certificate and then does not look at it, as Fabric without mutual TLS.
        let stranger = Authority::create("tls", "stranger").unwrap().issue(&Request::tls("eve", &[], &[])).unwrap();
        let client_identity =
            (number == 0).then(|| (stranger.certificate_pem().into_bytes(), stranger.key_pem().to_vec()));
        let connection = Connection::lazy(ConnectOptions {
            endpoint: format!("https://127.0.0.1:{}", self.ports[at]),
            tls_root_pem: Some(self.tls.certificate().pem().into_bytes()),
            client_identity,
            ..ConnectOptions::default()
        });
        let issued = self.signing[at].issue(&Request::signing(format!("writer{number}"), "client")).unwrap();
        let identity =
            SigningIdentity::from_pem(ORGANISATIONS[at], issued.certificate_pem(), issued.key_pem()).unwrap();
        Client::new(connection.unwrap(), identity).with_deadlines(Deadlines {
            endorse: Duration::from_millis(400),
            submit: Duration::from_secs(3),
            commit_status: Duration::from_secs(5),
            lookup: Duration::from_secs(1),
            ..Deadlines::default()
        })
    }

    /// Each acknowledged key has its value, written once, and its transaction is valid, once in the whole chain.
    fn check(&self, acknowledged: &BTreeMap<String, (String, String)>) {
        let storage = Storage::Folder(self.folder.join("data"));
        let ledger = Ledger::open(&storage, Arc::new(NoSigner), || panic!("the ledger is gone")).unwrap();
        let mut valid: BTreeMap<String, u32> = BTreeMap::new();
        for number in 0..ledger.height() {
            let block = ledger.committed_block(number).unwrap().unwrap();
            for transaction in block.transactions.iter().filter(|transaction| transaction.code as i32 == 0) {
                *valid.entry(transaction.transaction_id.clone()).or_default() += 1;
            }
        }
        let mut simulator = ledger.simulate("check").unwrap();
        for (key, (value, transaction)) in acknowledged {
            assert_eq!(valid.get(transaction), Some(&1), "transaction of {key}");
            let history = simulator.open_history("values", key).unwrap();
            let written: Vec<_> = simulator.next_batch(history).unwrap().results;
            let [QueryResult::History(only)] = &written[..] else { panic!("{key}: {written:?}") };
            assert_eq!((&only.value[..], &only.tx_id), (value.as_bytes(), transaction));
        }
    }
}

struct NoSigner;

impl BlockSigner for NoSigner {
    fn creator(&self) -> Vec<u8> {
        Vec::new()
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, String> {
        Err("this test only reads".into())
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
