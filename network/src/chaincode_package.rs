//! Fabric's chaincode package: the same input gives the same bytes, so that its id (label and SHA-256) stays.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use openssl::sha::sha256;
use serde::Serialize;

/// A package as a peer installs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// The tar.gz.
    pub(crate) bytes: Vec<u8>,
    /// `label:hex`, as the peer computes it.
    pub(crate) id: String,
}

/// How a peer reaches a chaincode that runs as a service.
#[derive(Debug, Serialize)]
pub(crate) struct Connection {
    /// host:port
    pub(crate) address: String,
    /// The peer's patience with a connection that does not come up.
    pub(crate) dial_timeout: &'static str,
    pub(crate) tls_required: bool,
    pub(crate) client_auth_required: bool,
    /// PEM.
    pub(crate) client_key: String,
    /// PEM.
    pub(crate) client_cert: String,
    /// PEM.
    pub(crate) root_cert: String,
}

/// Packs the connection under a label.
///
/// # Errors
/// Never in practice: everything is written to memory.
pub(crate) fn pack(label: &str, connection: &Connection) -> io::Result<Package> {
    let code = archive(&[("connection.json", &serde_json::to_vec_pretty(connection)?)])?;
    let metadata = serde_json::to_vec(&serde_json::json!({ "label": label, "path": "", "type": "service" }))?;
    let bytes = archive(&[("code.tar.gz", &code), ("metadata.json", &metadata)])?;
    let id = format!("{label}:{}", hex::encode(sha256(&bytes)));
    Ok(Package { bytes, id })
}

fn archive(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_path(name)?;
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        tar.append(&header, *content)?;
    }
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
    gzip.write_all(&tar.into_inner()?)?;
    gzip.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(address: &str) -> Connection {
        Connection {
            address: address.into(),
            dial_timeout: "3s",
            tls_required: true,
            client_auth_required: true,
            client_key: "key".into(),
            client_cert: "certificate".into(),
            root_cert: "root".into(),
        }
    }

    #[test]
    fn the_same_connection_makes_the_same_bytes_and_id() {
        let package = pack("healthchain_1", &connection("localhost:7")).unwrap();

        assert_eq!(package, pack("healthchain_1", &connection("localhost:7")).unwrap());
        insta::assert_snapshot!(package.id);
    }

    #[test]
    fn another_address_makes_another_id() {
        let package = pack("healthchain_1", &connection("localhost:7")).unwrap();

        assert_ne!(package.id, pack("healthchain_1", &connection("localhost:8")).unwrap().id);
    }
}
