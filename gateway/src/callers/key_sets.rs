//! Others' public keys as JWK sets (RFC 7517): in a file, at an address, or where an OpenID provider says that they are. They are fetched
//! again when a token names a key that is not there, but never more often than [`Pace`] allows, whatever strangers send.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, MutexGuard, RwLock};
use url::Url;

use super::jwt::fits;
use crate::configuration::read;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest document that is read, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// How often keys are fetched.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Not again within this time, whether the last time succeeded or not.
    pub least: Duration,
    /// Again after this time, so that keys that were withdrawn are known to be.
    pub usual: Duration,
    /// Keys older than this are not used, if they cannot be fetched again.
    pub most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            least: Duration::from_secs(10),
            usual: Duration::from_secs(10 * 60),
            most: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Keys are needed and cannot be had. The text is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the keys at {place} cannot be had: {reason}")]
pub(super) struct KeysUnavailable {
    place: String,
    reason: String,
}

/// Where keys are.
pub(super) enum Place {
    /// In a file; it may change.
    File(PathBuf),
    /// At this address.
    Address(Url),
    /// Where the provider's discovery document says (OpenID Connect Discovery 1.0 section 4).
    Issuer(Url),
}

/// The keys of one provider or client.
pub(super) struct KeySet {
    place: Place,
    http: reqwest::Client,
    pace: Pace,
    held: RwLock<Held>,
    /// Held while the keys are fetched; says when that was last tried.
    tried: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Held {
    keys: Vec<Jwk>,
    fetched: Option<Instant>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: Url,
}

impl KeySet {
    /// Keys at a place; nothing is fetched yet. `tls_root` (PEM) is trusted instead of the system's authorities.
    pub(super) fn new(place: Place, tls_root: Option<&Path>, pace: Pace) -> Result<Self, String> {
        let mut http =
            reqwest::Client::builder().https_only(true).redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
        if let Some(file) = tls_root {
            let pem = read(file).map_err(|error| error.to_string())?;
            let roots =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| format!("{}: {error}", file.display()))?;
            http = http.tls_certs_only(roots);
        }
        let http = http.build().map_err(|error| error.to_string())?;
        Ok(Self { place, http, pace, held: RwLock::default(), tried: Mutex::default() })
    }

    /// The key of this id for this algorithm; none if there is none.
    pub(super) async fn key(&self, id: &str, algorithm: Algorithm) -> Result<Option<Jwk>, KeysUnavailable> {
        let (found, age) = self.held(id, algorithm).await;
        let is_younger_than = |limit| found.is_some() && age.is_some_and(|age| age < limit);
        if is_younger_than(self.pace.usual) {
            return Ok(found);
        }
        let tried = match self.tried.try_lock() {
            Ok(tried) => tried,
            // A provider that does not answer holds up one caller at a time, not all of them.
            Err(_) if is_younger_than(self.pace.most) => return Ok(found),
            Err(_) => self.tried.lock().await,
        };
        let failure = self.refresh(tried).await.err();
        let (found, age) = self.held(id, algorithm).await;
        match (age, failure) {
            (Some(age), _) if age < self.pace.most => Ok(found),
            (_, Some(failure)) => Err(failure),
            (..) => Err(self.unavailable("a moment ago it failed; it is tried again soon")),
        }
    }

    async fn held(&self, id: &str, algorithm: Algorithm) -> (Option<Jwk>, Option<Duration>) {
        let held = self.held.read().await;
        let is_it = |key: &&Jwk| key.common.key_id.as_deref() == Some(id) && fits(key, algorithm);
        (held.keys.iter().find(is_it).cloned(), held.fetched.map(|at| at.elapsed()))
    }

    /// Fetches the keys, unless that was tried a moment ago.
    async fn refresh(&self, mut tried: MutexGuard<'_, Option<Instant>>) -> Result<(), KeysUnavailable> {
        if tried.is_some_and(|at| at.elapsed() < self.pace.least) {
            return Ok(());
        }
        *tried = Some(Instant::now());
        let keys = self.fetch().await.map_err(|reason| {
            let failure = self.unavailable(&reason);
            tracing::warn!(%failure, "keys were not fetched");
            failure
        })?;
        *self.held.write().await = Held { keys, fetched: Some(Instant::now()) };
        Ok(())
    }

    async fn fetch(&self) -> Result<Vec<Jwk>, String> {
        match &self.place {
            Place::File(file) => {
                let text = read(file).map_err(|error| error.to_string())?;
                keys(serde_json::from_slice(&text).map_err(|error| error.to_string())?)
            }
            Place::Address(url) => keys(self.document(url.clone()).await?),
            Place::Issuer(issuer) => {
                let wanted = issuer.as_str().trim_end_matches('/');
                let url = format!("{wanted}/.well-known/openid-configuration");
                let found: Discovery = self.document(url.parse().map_err(|_| "no such address".to_owned())?).await?;
                if found.issuer.trim_end_matches('/') != wanted {
                    return Err(format!("its discovery document is another issuer's: {}", found.issuer));
                }
                keys(self.document(found.jwks_uri).await?)
            }
        }
    }

    async fn document<T: DeserializeOwned>(&self, url: Url) -> Result<T, String> {
        let failed = |error: reqwest::Error| format!("{:?}", error.without_url());
        let response = self.http.get(url).header("accept", "application/json").send().await.map_err(failed)?;
        let mut response = response.error_for_status().map_err(failed)?;
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_BYTES {
                return Err("its answer is too long".into());
            }
        }
        serde_json::from_slice(&document).map_err(|error| error.to_string())
    }

    fn unavailable(&self, reason: &str) -> KeysUnavailable {
        let place = match &self.place {
            Place::File(file) => file.display().to_string(),
            Place::Address(url) | Place::Issuer(url) => url.to_string(),
        };
        KeysUnavailable { place, reason: reason.to_owned() }
    }
}

/// Keys of kinds that are not known are passed over, as RFC 7517 section 5 asks.
fn keys(set: serde_json::Value) -> Result<Vec<Jwk>, String> {
    let Some(keys) = set.get("keys").and_then(serde_json::Value::as_array) else {
        return Err("it is no JWK set".into());
    };
    let set = JwkSet { keys: keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect() };
    Ok(set.keys)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
    const PACE: Pace =
        Pace { least: Duration::from_millis(200), usual: Duration::from_secs(3600), most: Duration::from_secs(7200) };

    fn write(file: &Path, ids: &[&str]) {
        let keys: Vec<_> =
            ids.iter().map(|id| json!({"kty": "EC", "crv": "P-256", "kid": id, "x": X, "y": Y})).collect();
        std::fs::write(file, json!({"keys": keys}).to_string()).unwrap();
    }

    fn set(file: &Path, pace: Pace) -> KeySet {
        KeySet::new(Place::File(file.to_owned()), None, pace).unwrap()
    }

    async fn has(set: &KeySet, id: &str) -> bool {
        set.key(id, Algorithm::ES256).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn a_new_key_is_found_but_keys_are_not_fetched_for_each_unknown_id() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        write(&file, &["first"]);
        let set = set(&file, PACE);
        assert!(has(&set, "first").await);
        write(&file, &["first", "second"]);
        for _ in 0..10 {
            assert!(!has(&set, "second").await);
        }
        tokio::time::sleep(PACE.least).await;
        assert!(has(&set, "second").await);
    }

    #[tokio::test]
    async fn a_withdrawn_key_is_forgotten_and_a_lost_set_keeps_its_keys_for_a_while_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        write(&file, &["first", "second"]);
        let quick = Duration::from_millis(50);
        let set = set(&file, Pace { least: quick, usual: quick, most: Duration::from_millis(600) });
        assert!(has(&set, "first").await);
        write(&file, &["second"]);
        tokio::time::sleep(quick).await;
        assert!(!has(&set, "first").await);
        assert!(has(&set, "second").await);
        std::fs::remove_file(&file).unwrap();
        tokio::time::sleep(quick).await;
        assert!(has(&set, "second").await);
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(set.key("second", Algorithm::ES256).await.is_err());
    }

    #[tokio::test]
    async fn a_key_serves_only_the_algorithm_and_use_that_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.json");
        let ec = |id: &str| json!({"kty": "EC", "crv": "P-256", "kid": id, "x": X, "y": Y});
        let (mut sealing, mut other) = (ec("sealing"), ec("other"));
        sealing["use"] = json!("enc");
        other["alg"] = json!("ES384");
        let secret = json!({"kty": "oct", "kid": "secret", "k": "AAAA"});
        let unknown = json!({"kty": "AKP", "kid": "unknown", "pub": "AAAA"});
        std::fs::write(&file, json!({"keys": [sealing, other, secret, unknown, ec("good")]}).to_string()).unwrap();
        let set = set(&file, PACE);
        for id in ["sealing", "other", "secret", "unknown"] {
            assert!(!has(&set, id).await, "{id}");
        }
        for algorithm in [Algorithm::ES384, Algorithm::RS256, Algorithm::HS256] {
            assert!(set.key("good", algorithm).await.unwrap().is_none(), "{algorithm:?}");
            assert!(set.key("secret", algorithm).await.unwrap().is_none(), "{algorithm:?}");
        }
        assert!(has(&set, "good").await);
    }

    #[tokio::test]
    async fn what_is_no_key_set_is_told_to_be_unavailable() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "[]", r#"{"keys": 1}"#] {
            let file = folder.path().join("keys.json");
            std::fs::write(&file, text).unwrap();
            assert!(set(&file, PACE).key("first", Algorithm::ES256).await.is_err(), "{text}");
        }
    }
}
