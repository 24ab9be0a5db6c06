//! `gateway.toml`: what one organisation's gateway is told at its start.
//!
//! A section is a struct in a file of its own, which also says which of its values are paths; here it is one line in
//! [`Configuration`] and one in `resolve`. A new section or key has a default, so that every older file stays valid.

mod agents;
pub mod callers;
mod cors;
mod environment;
mod fabric_ca;
mod file_or;
mod identity;
mod limits;
mod log;
mod operations;
mod organisation;
mod peer;
mod records;
mod replicas;
#[cfg(test)]
mod sample;
mod state;
mod telemetry;
mod tls;
mod wallet;
mod webhooks;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use crate::content::content_bytes_at_most;

pub use self::agents::{
    AgentsConfiguration, AmendmentPolicy, PrescriptionMonitorConfiguration, StatisticsReleasesConfiguration,
};
pub use self::callers::CallersConfiguration;
pub use self::cors::{AllowedOrigin, CorsConfiguration};
pub use self::environment::PREFIX;
pub use self::fabric_ca::FabricCaConfiguration;
pub use self::file_or::FileOr;
pub use self::identity::IdentityConfiguration;
pub use self::limits::LimitsConfiguration;
pub use self::log::{LogConfiguration, LogFormat};
pub use self::operations::OperationsConfiguration;
pub use self::organisation::OtherOrganisation;
pub use self::peer::PeerConfiguration;
pub use self::records::RecordsConfiguration;
pub use self::replicas::ReplicasConfiguration;
pub use self::state::{PlaceError, StateConfiguration};
pub use self::telemetry::TelemetryConfiguration;
pub use self::tls::TlsConfiguration;
pub use self::wallet::{Pkcs11Configuration, WalletConfiguration};
pub use self::webhooks::WebhooksConfiguration;

/// The whole configuration. Relative paths are resolved against the folder of the file it was read from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// MSP id of the organisation that this gateway serves.
    pub msp_id: String,
    /// Address that the HTTPS listener binds; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where members and the other organisations' gateways reach this gateway (`https://…`).
    pub public_url: Url,
    /// Fabric channel of the consortium.
    pub channel: String,
    /// Name of the chaincode on that channel.
    pub chaincode: String,
    /// Where this organisation's encrypted records lie: a folder, or a section.
    pub records: RecordsConfiguration,
    /// The members' identities: a folder, or a table that also says how the keys are kept.
    #[serde(deserialize_with = "wallet::folder_or_table")]
    pub wallet: WalletConfiguration,
    /// File in which an earlier release remembered up to where the key custodian has read the ledger's events; it is taken over
    /// into the state once.
    #[serde(default = "default_checkpoint")]
    pub checkpoint: PathBuf,
    /// Largest record that is accepted, in bytes: at most 3 GB, as the ledger counts a content's bytes up to 2³².
    #[serde(default = "default_max_record_bytes")]
    pub max_record_bytes: usize,
    /// Where the gateway remembers what is not on the ledger.
    #[serde(default)]
    pub state: StateConfiguration,
    /// Where the ledger is for development only: the sentence that says so wherever the gateway is seen.
    #[serde(default)]
    pub development: Option<String>,
    /// The organisation's own peer.
    pub peer: PeerConfiguration,
    /// This gateway's certificate for TLS, both as a server and as a client of other gateways.
    pub tls: TlsConfiguration,
    /// This gateway's identity on the ledger and the organisation's encryption key.
    pub identity: IdentityConfiguration,
    /// Who may call with what besides a TLS client certificate.
    #[serde(default)]
    pub callers: CallersConfiguration,
    /// The organisation's certificate authority; without one, nothing is renewed.
    #[serde(default)]
    pub fabric_ca: Option<FabricCaConfiguration>,
    /// The other organisations whose gateways are dialled and answered.
    #[serde(default)]
    pub organisations: Vec<OtherOrganisation>,
    /// Whose records copies are kept of.
    #[serde(default)]
    pub replicas: ReplicasConfiguration,
    /// How much one caller may ask for.
    #[serde(default)]
    pub limits: LimitsConfiguration,
    /// Other sites whose pages may use this gateway.
    #[serde(default)]
    pub cors: CorsConfiguration,
    /// Servers that members have told of events.
    #[serde(default)]
    pub webhooks: WebhooksConfiguration,
    /// What is written to the log, and how.
    #[serde(default)]
    pub log: LogConfiguration,
    /// Where traces go.
    #[serde(default)]
    pub telemetry: TelemetryConfiguration,
    /// The listener for who runs the gateway.
    #[serde(default)]
    pub operations: OperationsConfiguration,
    /// Programs that act for the organisation.
    #[serde(default)]
    pub agents: AgentsConfiguration,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not a valid configuration.
    #[error("{} is not a gateway configuration: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// The file with what the environment says is not a valid configuration.
    #[error("{} with {variables} from the environment is not a gateway configuration: {source}", path.display())]
    Overridden {
        /// The file.
        path: PathBuf,
        /// Names of the variables.
        variables: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A variable cannot stand in place of a key.
    #[error("{name}: {reason}; write {PREFIX}KEY or {PREFIX}SECTION__KEY, in capitals")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `public_url` cannot be sealed into links.
    #[error("public_url must be an https URL with nothing after the host and port, but is {0}")]
    PublicUrl(Url),
    /// `max_record_bytes` is more than a link can be of.
    #[error(
        "max_record_bytes must be at most 3000000000, as the ledger takes contents of up to 2^32 bytes, but is {0}"
    )]
    MaxRecordBytes(usize),
    /// `keep_for` names what is not the MSP id of another organisation.
    #[error(
        "[replicas] keep_for: {0:?} is not the MSP id of another organisation; it must be one of [[organisations]]"
    )]
    KeepFor(String),
    /// `sample_ratio` is no share.
    #[error("[telemetry] sample_ratio must be from 0.0 to 1.0, but is {0}")]
    SampleRatio(f64),
}

/// Length of the longest content that the ledger takes, in bytes.
const LARGEST_CONTENT: u64 = 1 << 32;

impl Configuration {
    /// Reads a configuration and resolves its paths against the file's folder.
    pub fn load(path: &Path) -> Result<Self, ConfigurationError> {
        Self::load_with(path, [])
    }

    /// The same, where a variable such as `HEALTHCHAIN_GATEWAY__PEER__ENDPOINT` goes before the file's `endpoint` under `[peer]`.
    pub fn load_with(
        path: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigurationError> {
        let malformed = |source| ConfigurationError::Malformed { path: path.to_owned(), source: Box::new(source) };
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let overrides = environment::overrides(variables);
        let mut configuration: Self = if overrides.is_empty() {
            // Not by way of a table, which would lose the lines that errors name.
            toml::from_str(&text).map_err(malformed)?
        } else {
            let mut table: toml::Table = toml::from_str(&text).map_err(malformed)?;
            overrides.iter().try_for_each(|variable| environment::apply(&mut table, variable))?;
            table.try_into().map_err(|source| ConfigurationError::Overridden {
                path: path.to_owned(),
                variables: overrides.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
                source: Box::new(source),
            })?
        };
        configuration.resolve(path.parent().unwrap_or(Path::new(".")));
        configuration.check()?;
        Ok(configuration)
    }

    fn check(&self) -> Result<(), ConfigurationError> {
        let (url, ratio) = (&self.public_url, self.telemetry.sample_ratio);
        if url.scheme() != "https" || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(ConfigurationError::PublicUrl(url.clone()));
        }
        if content_bytes_at_most(self.max_record_bytes) > LARGEST_CONTENT {
            return Err(ConfigurationError::MaxRecordBytes(self.max_record_bytes));
        }
        let is_known = |wanted: &&String| self.organisations.iter().any(|other| other.msp_id == **wanted);
        if let Some(unknown) = self.replicas.keep_for.iter().find(|wanted| !is_known(wanted)) {
            return Err(ConfigurationError::KeepFor(unknown.clone()));
        }
        if !(0.0..=1.0).contains(&ratio) {
            return Err(ConfigurationError::SampleRatio(ratio));
        }
        Ok(())
    }

    fn resolve(&mut self, folder: &Path) {
        self.checkpoint = folder.join(&self.checkpoint);
        self.records.resolve(folder);
        self.state.resolve(folder);
        self.wallet.resolve(folder);
        self.fabric_ca.iter_mut().for_each(|authority| authority.resolve(folder));
        self.peer.resolve(folder);
        self.tls.resolve(folder);
        self.identity.resolve(folder);
        self.callers.resolve(folder);
        self.webhooks.resolve(folder);
        self.agents.resolve(folder);
        self.organisations.iter_mut().for_each(|organisation| organisation.resolve(folder));
    }
}

/// Reads a file, naming it when that fails.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigurationError> {
    std::fs::read(path).map_err(|source| ConfigurationError::Unreadable { path: path.to_owned(), source })
}

fn default_checkpoint() -> PathBuf {
    PathBuf::from("custodian-checkpoint.json")
}

fn default_max_record_bytes() -> usize {
    1 << 30
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Place;

    const COMPLETE: &str = r#"
        msp_id = "HospitalMSP"
        listen = "127.0.0.1:0"
        public_url = "https://localhost:8443"
        channel = "health"
        chaincode = "healthchain"
        records = "records"
        wallet = "/elsewhere/wallet"
        [peer]
        endpoint = "https://localhost:7051"
        tls_root = "peer-root.pem"
        [tls]
        certificate = "tls.pem"
        key = "tls-key.pem"
        member_root = "root.pem"
        [identity]
        certificate = "gateway.pem"
        key = "gateway-key.pem"
        encryption_key = "encryption.pem"
        [[organisations]]
        msp_id = "PayerMSP"
        tls_root = "payer.pem"
    "#;

    fn load(text: &str) -> (tempfile::TempDir, Result<Configuration, ConfigurationError>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = Configuration::load(&file);
        (folder, loaded)
    }

    #[test]
    fn relative_paths_start_at_the_files_folder() {
        let (folder, loaded) = load(COMPLETE);
        let configuration = loaded.unwrap();
        assert_eq!(configuration.records.to_string(), folder.path().join("records").display().to_string());
        assert_eq!(configuration.wallet.folder, Path::new("/elsewhere/wallet"));
        assert_eq!(configuration.organisations[0].tls_root, folder.path().join("payer.pem"));
        assert_eq!(configuration.max_record_bytes, 1 << 30);
        let Ok(Place::File(state)) = configuration.state.place() else { panic!("{:?}", configuration.state) };
        assert_eq!(state, folder.path().join("state.sqlite"));
    }

    #[test]
    fn a_wallet_is_a_folder_or_a_table() {
        let table = "[wallet]\nfolder = \"w\"\npassphrase_file = \"secret\"\nrequire_encrypted = true\n[wallet.pkcs11]\n\
                     module = \"/lib/hsm.so\"\ntoken = \"hospital\"\npin_file = \"pin\"";
        let text = COMPLETE.replace("wallet = \"/elsewhere/wallet\"", "") + table;
        let (folder, loaded) = load(&text);
        let wallet = loaded.unwrap().wallet;
        assert_eq!(wallet.folder, folder.path().join("w"));
        assert_eq!(wallet.passphrase_file, Some(folder.path().join("secret")));
        assert!(wallet.require_encrypted);
        let pkcs11 = wallet.pkcs11.unwrap();
        assert_eq!(pkcs11.module, Path::new("/lib/hsm.so"));
        assert_eq!(pkcs11.pin_file, folder.path().join("pin"));

        let (_folder, loaded) = load(&text.replace("require_encrypted", "requires_encrypted"));
        assert!(loaded.unwrap_err().to_string().contains("requires_encrypted"));
        let (_folder, loaded) = load(&COMPLETE.replace("\"/elsewhere/wallet\"", "7"));
        assert!(loaded.unwrap_err().to_string().contains("a path or a table"));
    }

    #[test]
    fn a_key_of_the_gateway_is_in_a_file_or_in_the_token() {
        let (_folder, loaded) = load(&COMPLETE.replace("\"gateway-key.pem\"", "{ label = \"gateway\" }"));
        let identity = loaded.unwrap().identity;
        assert!(matches!(identity.key, FileOr::Table(name) if name.label.as_deref() == Some("gateway")));
        let (_folder, loaded) = load(&COMPLETE.replace("\"gateway-key.pem\"", "{ colour = \"red\" }"));
        assert!(loaded.unwrap_err().to_string().contains("colour"));
    }

    #[test]
    fn a_limit_that_no_link_can_be_of_is_refused() {
        let (_folder, loaded) = load(&format!("max_record_bytes = 3300000000\n{COMPLETE}"));
        assert!(loaded.unwrap_err().to_string().contains("max_record_bytes must be at most 3000000000"));
        assert!(load(&format!("max_record_bytes = 3000000000\n{COMPLETE}")).1.is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let (_folder, loaded) = load(&format!("colour = \"red\"\n{COMPLETE}"));
        assert!(loaded.unwrap_err().to_string().contains("colour"));
    }

    #[test]
    fn a_public_url_that_is_not_plain_https_is_refused() {
        for url in ["http://localhost:8443", "https://localhost:8443/base", "https://localhost?x=1"] {
            let (_folder, loaded) = load(&COMPLETE.replace("https://localhost:8443", url));
            assert!(matches!(loaded, Err(ConfigurationError::PublicUrl(_))), "{url}");
        }
    }

    fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Configuration, ConfigurationError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, text).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Configuration::load_with(&file, variables)
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let variables = [
            ("HEALTHCHAIN_GATEWAY__PEER__ENDPOINT", "https://peer:1"),
            ("HEALTHCHAIN_GATEWAY__MAX_RECORD_BYTES", "5"),
            ("HEALTHCHAIN_GATEWAY__ORGANISATIONS", "[]"),
            ("PATH", "/bin"),
        ];
        let configuration = load_with(COMPLETE, &variables).unwrap();
        assert_eq!(configuration.peer.endpoint, "https://peer:1");
        assert_eq!(configuration.max_record_bytes, 5);
        assert!(configuration.organisations.is_empty());
    }

    #[test]
    fn a_variable_that_no_key_has_is_refused_by_name() {
        for variable in ["HEALTHCHAIN_GATEWAY__COLOUR", "HEALTHCHAIN_GATEWAY__PEER__COLOUR", "HEALTHCHAIN_GATEWAY__"] {
            let error = load_with(COMPLETE, &[(variable, "red")]).unwrap_err().to_string();
            assert!(error.contains(variable), "{error}");
        }
        let error = load_with(COMPLETE, &[("HEALTHCHAIN_GATEWAY__MAX_RECORD_BYTES", "many")]).unwrap_err().to_string();
        assert!(error.contains("max_record_bytes") && !error.contains("many\n"), "{error}");
    }

    #[test]
    fn an_error_in_the_file_tells_its_line() {
        let error = load_with("msp_id = 7", &[]).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
        let broken = [("HEALTHCHAIN_GATEWAY__MSP_ID", "HospitalMSP")];
        assert!(load_with("listen = \n", &broken).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn copies_are_kept_only_for_organisations_whose_gateways_are_known() {
        let load = |organisation: &str| load(&format!("{COMPLETE}[replicas]\nkeep_for = [{organisation:?}]")).1;
        assert!(load("PayerMSP").is_ok());
        for unknown in ["ClinicMSP", "HospitalMSP", ""] {
            assert!(matches!(load(unknown), Err(ConfigurationError::KeepFor(named)) if named == unknown));
        }
    }

    #[test]
    fn a_share_of_more_than_everything_is_refused() {
        for ratio in ["-0.1", "1.5", "nan"] {
            let loaded = load_with(COMPLETE, &[("HEALTHCHAIN_GATEWAY__TELEMETRY__SAMPLE_RATIO", ratio)]);
            assert!(matches!(loaded, Err(ConfigurationError::SampleRatio(_))), "{ratio}");
        }
    }

    #[test]
    fn the_state_is_a_file_or_a_postgresql_database_whose_password_is_shown_nowhere() {
        let place = |url: &str| {
            let (folder, loaded) = load(&format!("{COMPLETE}[state]\nurl = {url:?}\npassword_file = \"password\""));
            std::fs::write(folder.path().join("password"), "hunter2\n").unwrap();
            loaded.unwrap().state.place()
        };
        assert_eq!(place("sqlite:///var/lib/state.sqlite").unwrap(), Place::File("/var/lib/state.sqlite".into()));
        let postgres = place("postgres://gateway@database.example/gateway").unwrap();
        let expected = "postgres://gateway:hunter2@database.example/gateway".parse().unwrap();
        assert_eq!(postgres, Place::Postgres(expected));
        assert_eq!(format!("{postgres:?}"), "PostgreSQL database gateway at database.example");
        for url in ["state.sqlite", "mysql://gateway@database.example/gateway", ""] {
            let error = place(url).unwrap_err().to_string();
            assert!(error.contains("sqlite:FILE or postgres://"), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Configuration::load(Path::new("/nowhere/gateway.toml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/gateway.toml"));
    }
}
