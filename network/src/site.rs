//! What every part of the work needs: the consortium, its folder, the programs, the processes.

use std::path::Path;

use crate::{
    NetworkError,
    chaincode_package::{self, Connection, Package},
    consortium::{Consortium, Organisation},
    health::{Address, Sign},
    layout::{ChaincodeFiles, Layout, read_text},
    process::{Component, Processes},
    programs::Programs,
    progress::Progress,
};

/// One network: its shape, its folder, its programs, its processes.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) consortium: Consortium,
    pub(crate) layout: Layout,
    pub(crate) programs: Programs,
    pub(crate) processes: Processes,
    pub(crate) progress: Progress,
}

impl Site {
    /// The gateway of an organisation.
    pub(crate) fn gateway(&self, organisation: &Organisation) -> Result<Component, NetworkError> {
        let folder = self.layout.organisation(&organisation.name);
        let founder = folder.member_tls(organisation.founder().id.as_str());
        let port = organisation.ports().gateway;
        Ok(Component {
            name: gateway_name(organisation),
            program: self.programs.own("healthchain-gateway")?,
            arguments: vec!["--config".into(), path(&folder.gateway().join("gateway.toml"))],
            environment: own_environment(),
            folder: folder.gateway(),
            ports: vec![port],
            sign: Sign::Answers(Address {
                url: format!("https://localhost:{port}/readyz"),
                tls: Some((folder.tls_root(), founder)),
            }),
        })
    }

    /// A chaincode process.
    pub(crate) fn chaincode(
        &self,
        name: String,
        files: &ChaincodeFiles,
        port: u16,
        package_id: String,
    ) -> Result<Component, NetworkError> {
        let mut environment = own_environment();
        environment.extend(
            [
                ("CHAINCODE_SERVER_ADDRESS", format!("127.0.0.1:{port}")),
                ("CHAINCODE_ID", package_id),
                ("CHAINCODE_TLS_CERT", path(&files.server().certificate)),
                ("CHAINCODE_TLS_KEY", path(&files.server().key)),
                ("CHAINCODE_CLIENT_CA_CERT", path(&files.client_root())),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        Ok(Component {
            name,
            program: self.programs.own("healthchain-chaincode")?,
            arguments: vec![],
            environment,
            folder: files.folder().to_owned(),
            ports: vec![port],
            sign: Sign::Listening,
        })
    }

    /// The package that tells a peer how to reach a chaincode process.
    pub(crate) fn package(&self, files: &ChaincodeFiles, root: &Path, port: u16) -> Result<Package, NetworkError> {
        let connection = Connection {
            address: format!("localhost:{port}"),
            dial_timeout: "3s",
            tls_required: true,
            client_auth_required: true,
            client_key: read_text(&files.client().key)?,
            client_cert: read_text(&files.client().certificate)?,
            root_cert: read_text(root)?,
        };
        let definition = &self.consortium.chaincode;
        let label = format!("{}_{}", definition.name, definition.version);
        chaincode_package::pack(&label, &connection).map_err(NetworkError::file(files.package()))
    }
}

pub(crate) fn gateway_name(organisation: &Organisation) -> String {
    format!("gateway.{}", organisation.name)
}

/// A path as an argument or a variable's value.
pub(crate) fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What our own programs take from the environment of the person who runs the network.
pub(crate) fn own_environment() -> Vec<(String, String)> {
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into());
    vec![("RUST_LOG".into(), level), ("NO_COLOR".into(), "1".into())]
}
