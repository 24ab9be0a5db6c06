//! Records in an S3 server that others wrote (`s3s-fs`), over its real protocol.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt as _;
use healthchain_gateway::configuration::RecordsConfiguration;
use healthchain_gateway::gateway::Gateway;
use healthchain_gateway::records::object_store::ObjectRecords;
use healthchain_gateway::records::{Records, RecordsError, new_name};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::world::World;

pub(crate) const SECRET: &str = "not-a-secret-in-a-test";

/// A server of a folder.
pub(crate) struct Server {
    folder: PathBuf,
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    /// Serves on a free port.
    pub(crate) async fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join("records")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { folder: folder.to_owned(), address, serving: tokio::spawn(serve(folder.to_owned(), listener)) }
    }

    /// Ends it with all its connections.
    pub(crate) async fn crash(&mut self) {
        self.serving.abort();
        assert!((&mut self.serving).await.is_err_and(|error| error.is_cancelled()));
    }

    /// Serves again, on the same port.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serving = tokio::spawn(serve(self.folder.clone(), listener));
    }

    /// The store in the bucket `records` as a configuration names it.
    pub(crate) fn store(&self, secret: &str) -> ObjectRecords {
        let file = self.folder.join("secret");
        std::fs::write(&file, secret).unwrap();
        let configuration = RecordsConfiguration::S3 {
            bucket: "records".into(),
            prefix: "hospital".into(),
            region: Some("eu-central-1".into()),
            endpoint: Some(format!("http://{}", self.address).parse().unwrap()),
            tls_root: None,
            access_key_id: Some("hospital".into()),
            secret_access_key_file: Some(file),
        };
        configuration.open().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Connections end with this.
async fn serve(folder: PathBuf, listener: TcpListener) {
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single("hospital", SECRET));
    let service = service.build();
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.is_ok()
        });
    }
}

async fn fetch(records: &ObjectRecords, name: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let chunks: Vec<bytes::Bytes> = records.fetch(name, range).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}

#[tokio::test]
async fn a_content_of_one_piece_and_one_of_several_are_kept_listed_given_in_ranges_and_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let records = server.store(SECRET);
    records.check().await.unwrap();
    for length in [10, 14 << 20] {
        let name = new_name();
        let content: Vec<u8> = (0..length).map(|index: usize| (index / 251) as u8).collect();
        let mut object = records.create(&name);
        for chunk in content.chunks(1 << 20) {
            object.write(chunk.to_vec().into()).await.unwrap();
        }
        object.finish().await.unwrap();
        assert!(folder.path().join("records/hospital").join(&name).exists());
        assert!(fetch(&records, &name, None).await == content);
        assert!(fetch(&records, &name, Some(3..9)).await == content[3..9]);
        let listed: Vec<_> = records.list().try_collect().await.unwrap();
        assert_eq!(listed, [name.as_str()]);
        records.delete(&name).await.unwrap();
        records.delete(&name).await.unwrap();
        assert!(matches!(records.fetch(&name, None).await, Err(RecordsError::Lost)));
    }
}

#[tokio::test]
async fn credentials_that_the_store_does_not_know_are_told_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let records = server.store("another");
    assert!(matches!(records.check().await, Err(RecordsError::Unavailable(_))));
}

#[tokio::test]
async fn a_record_in_parts_is_shared_from_s3_and_nothing_in_the_bucket_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new().await;
    world.entitle_payer_at_publication();
    let gateway = Gateway::clone(&world.hospital.gateway);
    let server = Server::start(folder.path()).await;
    world.hospital.gateway = Arc::new(Gateway { records: Arc::new(server.store(SECRET)), ..gateway });
    world.restart_hospital().await;

    let record = "Anna Ström, born 1984-02-29: carcinoma. ".repeat(70_000);
    let request = world.hospital.member().post(world.hospital.at("/v1/links?patient=anna&category=imaging"));
    let request = request.header("idempotency-key", "scan").header("content-type", "text/plain");
    let (status, link) = super::world::answer(request.body(record.clone()).send().await.unwrap()).await;
    assert_eq!(status, 201, "{link}");
    for organisation in [&world.hospital, &world.payer] {
        let response = world.open(organisation, link["id"].as_str().unwrap()).await;
        assert!(response.text().await.unwrap() == record);
    }
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path().join("records/hospital")).unwrap() {
        let path = entry.unwrap().path();
        let stored = std::fs::read(&path).unwrap();
        for secret in ["Anna Str", "carcinoma", "1984-02-29", link["id"].as_str().unwrap()] {
            let found = stored.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found && !path.to_string_lossy().contains(secret), "{secret} in {}", path.display());
        }
        files += 1;
    }
    assert_eq!((files, std::fs::read_dir(world.hospital.records()).unwrap().count()), (1, 0));
}
