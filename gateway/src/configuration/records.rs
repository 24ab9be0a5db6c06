use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::{Host, Url};

use super::read;
use crate::records::RecordsError;
use crate::records::object_store::ObjectRecords;

/// `records = "folder"` or `[records]`: where the organisation's encrypted records lie. Credentials that are not named here are
/// those of the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`) or of the machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields, remote = "Self")]
pub enum RecordsConfiguration {
    /// A folder of this machine.
    Folder {
        /// Which.
        path: PathBuf,
    },
    /// Amazon S3, or a server that speaks its protocol.
    S3 {
        /// Which bucket.
        bucket: String,
        /// What the objects' names begin with.
        #[serde(default)]
        prefix: String,
        /// Where the bucket is.
        #[serde(default)]
        region: Option<String>,
        /// `https://` of the server, if it is not Amazon's; `http://` on this machine only.
        #[serde(default)]
        endpoint: Option<Url>,
        /// PEM file with the server's TLS authority, if it is none of the system's.
        #[serde(default)]
        tls_root: Option<PathBuf>,
        /// The access key's id.
        #[serde(default)]
        access_key_id: Option<String>,
        /// File with the access key's secret.
        #[serde(default)]
        secret_access_key_file: Option<PathBuf>,
    },
    /// Google Cloud Storage.
    Gcs {
        /// Which bucket.
        bucket: String,
        /// What the objects' names begin with.
        #[serde(default)]
        prefix: String,
        /// JSON file of the service account.
        #[serde(default)]
        service_account: Option<PathBuf>,
    },
    /// Azure Blob Storage.
    Azure {
        /// Which storage account.
        account: String,
        /// Which container.
        container: String,
        /// What the objects' names begin with.
        #[serde(default)]
        prefix: String,
        /// File with the account's access key.
        #[serde(default)]
        access_key_file: Option<PathBuf>,
    },
}

impl RecordsConfiguration {
    /// The store. Whether it can be reached, only using it shows.
    pub fn open(&self) -> Result<ObjectRecords, RecordsError> {
        let unusable = |error: object_store::Error| RecordsError::Unavailable(format!("[records]: {error}"));
        Ok(match self {
            Self::Folder { path } => ObjectRecords::in_folder(path)?,
            Self::S3 { bucket, prefix, region, endpoint, tls_root, access_key_id, secret_access_key_file } => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry());
                if let Some(region) = region {
                    builder = builder.with_region(region);
                }
                if let Some(endpoint) = endpoint {
                    let is_near = is_this_machine(endpoint)?;
                    builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_allow_http(is_near);
                }
                if let Some(file) = tls_root {
                    let root = Certificate::from_pem(&secret(file)?.into_bytes()).map_err(unusable)?;
                    builder = builder.with_client_options(ClientOptions::new().with_root_certificate(root));
                }
                if let Some(id) = access_key_id {
                    builder = builder.with_access_key_id(id);
                }
                if let Some(file) = secret_access_key_file {
                    builder = builder.with_secret_access_key(secret(file)?);
                }
                ObjectRecords::new(Arc::new(builder.build().map_err(unusable)?), prefix)
            }
            Self::Gcs { bucket, prefix, service_account } => {
                let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry());
                if let Some(file) = service_account {
                    builder = builder.with_service_account_path(file.display().to_string());
                }
                ObjectRecords::new(Arc::new(builder.build().map_err(unusable)?), prefix)
            }
            Self::Azure { account, container, prefix, access_key_file } => {
                let mut builder = MicrosoftAzureBuilder::from_env()
                    .with_account(account)
                    .with_container_name(container)
                    .with_retry(retry());
                if let Some(file) = access_key_file {
                    builder = builder.with_access_key(secret(file)?);
                }
                ObjectRecords::new(Arc::new(builder.build().map_err(unusable)?), prefix)
            }
        })
    }

    pub(super) fn resolve(&mut self, folder: &Path) {
        let files = match self {
            Self::Folder { path } => vec![path],
            Self::S3 { tls_root, secret_access_key_file, .. } => {
                tls_root.iter_mut().chain(secret_access_key_file).collect()
            }
            Self::Gcs { service_account: file, .. } | Self::Azure { access_key_file: file, .. } => {
                file.iter_mut().collect()
            }
        };
        for file in files {
            *file = folder.join(&*file);
        }
    }
}

/// What a check of the configuration says of it.
impl fmt::Display for RecordsConfiguration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path } => write!(formatter, "{}", path.display()),
            Self::S3 { bucket, prefix, .. } => write!(formatter, "s3://{bucket}/{prefix}"),
            Self::Gcs { bucket, prefix, .. } => write!(formatter, "gs://{bucket}/{prefix}"),
            Self::Azure { account, container, prefix, .. } => {
                write!(formatter, "azure://{account}/{container}/{prefix}")
            }
        }
    }
}

/// A text is a folder; a table says of what kind it is.
impl<'de> Deserialize<'de> for RecordsConfiguration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FolderOrStore;

        impl<'de> Visitor<'de> for FolderOrStore {
            type Value = RecordsConfiguration;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a folder, or a table with its kind (folder, s3, gcs or azure)")
            }

            fn visit_str<E>(self, folder: &str) -> Result<RecordsConfiguration, E> {
                Ok(RecordsConfiguration::Folder { path: folder.into() })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RecordsConfiguration, M::Error> {
                RecordsConfiguration::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(FolderOrStore)
    }
}

/// Over plain HTTP anybody on the way could have records lost, although nobody could read them.
fn is_this_machine(endpoint: &Url) -> Result<bool, RecordsError> {
    let is_near = match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match (endpoint.scheme(), is_near) {
        ("https", _) => Ok(false),
        ("http", true) => Ok(true),
        _ => Err(RecordsError::Unavailable(format!("[records] endpoint must be https://…, but is {endpoint}"))),
    }
}

/// A caller is told within seconds that the store is not there, and a store that is back is noticed at once.
fn retry() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(1), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 4, retry_timeout: Duration::from_secs(5) }
}

fn secret(file: &Path) -> Result<String, RecordsError> {
    let bytes = read(file).map_err(|error| RecordsError::Unavailable(format!("[records]: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<RecordsConfiguration, toml::de::Error> {
        #[derive(Deserialize)]
        struct File {
            records: RecordsConfiguration,
        }
        toml::from_str::<File>(text).map(|file| file.records)
    }

    #[test]
    fn a_folder_and_each_kind_of_store_is_understood() {
        for (text, shown) in [
            ("records = \"here\"", "here"),
            ("[records]\nkind = \"folder\"\npath = \"here\"", "here"),
            ("[records]\nkind = \"s3\"\nbucket = \"b\"\nprefix = \"p\"", "s3://b/p"),
            ("[records]\nkind = \"gcs\"\nbucket = \"b\"", "gs://b/"),
            ("[records]\nkind = \"azure\"\naccount = \"a\"\ncontainer = \"c\"", "azure://a/c/"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_store_is_refused_with_what_would_be_one() {
        for (text, reason) in [
            ("records = 7", "a folder, or a table"),
            ("[records]\nkind = \"ftp\"", "s3"),
            ("[records]\nbucket = \"b\"", "kind"),
            ("[records]\nkind = \"s3\"", "bucket"),
            ("[records]\nkind = \"s3\"\nbucket = \"b\"\nbukket = \"c\"", "bukket"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn files_are_those_of_the_configurations_folder() {
        let mut records =
            parse("[records]\nkind = \"s3\"\nbucket = \"b\"\nsecret_access_key_file = \"secret\"").unwrap();
        records.resolve(Path::new("/gateway"));
        let RecordsConfiguration::S3 { secret_access_key_file, .. } = &records else { panic!("{records}") };
        assert_eq!(secret_access_key_file.as_deref(), Some(Path::new("/gateway/secret")));
        assert!(records.open().unwrap_err().to_string().contains("/gateway/secret"));
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let open = |endpoint: &str| {
            let text = format!("[records]\nkind = \"s3\"\nbucket = \"b\"\nregion = \"r\"\nendpoint = \"{endpoint}\"");
            parse(&text).unwrap().open()
        };
        assert!(open("http://s3.example").unwrap_err().to_string().contains("must be https"));
        assert!(open("http://127.0.0.1:9000").is_ok() && open("https://s3.example").is_ok());
    }
}
