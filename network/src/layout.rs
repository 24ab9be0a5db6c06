//! Where a network keeps what, inside its one folder. No path is put together anywhere else.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The folder of one network.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

/// The folder of one organisation.
#[derive(Debug, Clone)]
pub struct OrganisationFolder {
    root: PathBuf,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key (PKCS#8, readable for its owner only).
    pub key: PathBuf,
}

impl Layout {
    /// The layout of a folder, which need not exist yet.
    ///
    /// # Errors
    /// When the current folder is needed to make the path absolute and cannot be read.
    pub fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { root: std::path::absolute(root)? })
    }

    /// The network's own folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An organisation's folder.
    #[must_use]
    pub fn organisation(&self, name: &str) -> OrganisationFolder {
        OrganisationFolder { root: self.root.join("organisations").join(name) }
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Which ledger the folder was made for.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The consortium that the folder was made for, with the ports it has here.
    pub(crate) fn consortium(&self) -> PathBuf {
        self.root.join("consortium.toml")
    }

    /// What the network was made from.
    pub(crate) fn origin(&self) -> PathBuf {
        self.root.join("made-from.toml")
    }

    /// Where Fabric's programs were found.
    pub(crate) fn fabric_programs(&self) -> PathBuf {
        self.root.join("fabric-programs")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// Whatever a network puts into its folder; `ledger` last, for it says that the folder is a network's.
    pub(crate) fn everything(&self) -> Vec<PathBuf> {
        let organisations = self.root.join("organisations");
        vec![
            organisations,
            self.embedded(),
            self.channel(),
            self.builder(),
            self.run(),
            self.logs(),
            self.fabric_programs(),
            self.origin(),
            self.consortium(),
            self.lock(),
            self.ledger(),
        ]
    }

    /// The external builder that real Fabric's peers call.
    pub(crate) fn builder(&self) -> PathBuf {
        self.root.join("builder")
    }

    /// The folder that configtxgen reads.
    pub(crate) fn channel(&self) -> PathBuf {
        self.root.join("channel")
    }

    pub(crate) fn genesis(&self) -> PathBuf {
        self.channel().join("genesis.block")
    }

    /// The embedded ledger's own folder.
    pub(crate) fn embedded(&self) -> PathBuf {
        self.root.join("embedded")
    }

    /// The authority of the certificate that the embedded ledger's chaincode process shows.
    pub(crate) fn embedded_authority(&self) -> PathBuf {
        self.embedded().join("authority")
    }

    /// Its root.
    pub(crate) fn embedded_root(&self) -> PathBuf {
        self.embedded_authority().join("ca-cert.pem")
    }

    pub(crate) fn embedded_chaincode(&self) -> ChaincodeFiles {
        ChaincodeFiles { folder: self.embedded().join("chaincode") }
    }
}

impl OrganisationFolder {
    /// The authority that issues signing certificates.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.root.join("authority")
    }

    /// The authority that issues TLS certificates.
    pub(crate) fn tls_authority(&self) -> PathBuf {
        self.root.join("tls-authority")
    }

    /// What others need to verify this organisation's signatures: an MSP folder without a key.
    #[must_use]
    pub fn verifying_msp(&self) -> PathBuf {
        self.root.join("msp")
    }

    /// The root of the organisation's TLS certificates.
    #[must_use]
    pub fn tls_root(&self) -> PathBuf {
        self.root.join("tls-root.pem")
    }

    /// The MSP folder of the person who runs the organisation's peer and orderer.
    #[must_use]
    pub fn operator_msp(&self) -> PathBuf {
        self.root.join("operator/msp")
    }

    pub(crate) fn operator_tls(&self) -> CertificateFiles {
        tls(&self.root.join("operator"))
    }

    pub(crate) fn peer(&self) -> PathBuf {
        self.root.join("peer")
    }

    pub(crate) fn peer_tls(&self) -> CertificateFiles {
        tls(&self.peer())
    }

    pub(crate) fn orderer(&self) -> PathBuf {
        self.root.join("orderer")
    }

    pub(crate) fn orderer_tls(&self) -> CertificateFiles {
        tls(&self.orderer())
    }

    pub(crate) fn chaincode(&self) -> ChaincodeFiles {
        ChaincodeFiles { folder: self.root.join("chaincode") }
    }

    pub(crate) fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// What the gateway signs its own transactions with.
    #[must_use]
    pub fn gateway_identity(&self) -> CertificateFiles {
        signing(&self.gateway())
    }

    pub(crate) fn gateway_tls(&self) -> CertificateFiles {
        tls(&self.gateway())
    }

    /// The organisation's encryption key, which its gateway holds.
    #[must_use]
    pub fn encryption_key(&self) -> PathBuf {
        self.gateway().join("encryption.pem")
    }

    /// The records that the gateway keeps, encrypted.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.gateway().join("records")
    }

    /// A member's entry in the gateway's wallet.
    #[must_use]
    pub fn wallet(&self, member: &str) -> PathBuf {
        self.gateway().join("wallet").join(member)
    }

    /// What the gateway signs a member's transactions with.
    #[must_use]
    pub fn member_identity(&self, member: &str) -> CertificateFiles {
        signing(&self.wallet(member))
    }

    /// A member's encryption key.
    #[must_use]
    pub fn member_encryption_key(&self, member: &str) -> PathBuf {
        self.wallet(member).join("encryption.pem")
    }

    /// What a member shows to the gateway: the TLS client certificate and key in the member's own hands.
    #[must_use]
    pub fn member_tls(&self, member: &str) -> CertificateFiles {
        tls(&self.root.join("members").join(member))
    }
}

/// What a chaincode process and the peer that calls it keep for their connection.
#[derive(Debug, Clone)]
pub(crate) struct ChaincodeFiles {
    folder: PathBuf,
}

impl ChaincodeFiles {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn server(&self) -> CertificateFiles {
        tls(&self.folder)
    }

    pub(crate) fn client(&self) -> CertificateFiles {
        tls(&self.folder.join("callers"))
    }

    /// The authority that issues the caller's certificate, and nothing else.
    pub(crate) fn client_authority(&self) -> PathBuf {
        self.folder.join("callers/authority")
    }

    /// Whose certificates the chaincode process takes.
    pub(crate) fn client_root(&self) -> PathBuf {
        self.client_authority().join("ca-cert.pem")
    }

    pub(crate) fn package(&self) -> PathBuf {
        self.folder.join("package.tar.gz")
    }
}

fn signing(folder: &Path) -> CertificateFiles {
    CertificateFiles { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

fn tls(folder: &Path) -> CertificateFiles {
    CertificateFiles { certificate: folder.join("tls-certificate.pem"), key: folder.join("tls-key.pem") }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), crate::NetworkError> {
    fs::create_dir_all(path).map_err(crate::NetworkError::file(path))
}

/// Writes a file so that a crash leaves either the old or the new content.
pub(crate) fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), crate::NetworkError> {
    write_with_mode(path, content.as_ref(), 0o644)
}

/// As [`write_file`], readable for its owner only.
pub(crate) fn write_secret(path: &Path, content: impl AsRef<[u8]>) -> Result<(), crate::NetworkError> {
    write_with_mode(path, content.as_ref(), 0o600)
}

/// As [`write_file`], executable.
pub(crate) fn write_script(path: &Path, content: impl AsRef<[u8]>) -> Result<(), crate::NetworkError> {
    write_with_mode(path, content.as_ref(), 0o755)
}

fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> Result<(), crate::NetworkError> {
    use std::{
        io::Write as _,
        os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    };
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let write = || {
        let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&new)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        fs::rename(&new, path)
    };
    write().map_err(crate::NetworkError::file(path))
}

/// Reads a file as text.
pub(crate) fn read_text(path: &Path) -> Result<String, crate::NetworkError> {
    fs::read_to_string(path).map_err(crate::NetworkError::file(path))
}
