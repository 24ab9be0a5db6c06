//! `[callers]`: who may call with what besides a TLS client certificate.

use std::path::{Path, PathBuf};

use healthchain_rules::MemberId;
use serde::Deserialize;
use url::Url;

/// `[callers]`: without it, a TLS client certificate is the only proof.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallersConfiguration {
    /// The organisation's MSP folder (`cacerts/`, `crls/`, `config.yaml`, …). Signing certificates are judged by it, and sessions need
    /// it; without it, only a signing certificate's period counts.
    #[serde(default)]
    pub msp: Option<PathBuf>,
    /// OpenID providers whose access tokens are taken.
    #[serde(default)]
    pub oidc: Vec<ProviderConfiguration>,
    /// Clinic systems that get access tokens here (SMART Backend Services).
    #[serde(default)]
    pub smart: Vec<ClientConfiguration>,
}

/// `[[callers.oidc]]`: an OpenID provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfiguration {
    /// Its issuer identifier (`https://…`); its keys are found by its discovery document.
    pub issuer: Url,
    /// What tokens for this gateway name as their audience.
    pub audience: String,
    /// What may sign its tokens; public keys only.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// What tokens may name as their type. Add `JWT` for a provider whose access tokens are not marked (RFC 9068), and then give this
    /// gateway an audience that no ID token has.
    #[serde(default = "default_types")]
    pub types: Vec<String>,
    /// PEM file with the authority of its TLS certificate; absent: the system's authorities.
    #[serde(default)]
    pub tls_root: Option<PathBuf>,
    /// TOML file of lines `"subject" = "member-id"`.
    pub subjects: PathBuf,
}

/// `[[callers.smart]]`: a clinic system.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfiguration {
    /// Its client id.
    pub client: String,
    /// The member that it acts as.
    pub member: MemberId,
    /// The most that it may be given, such as `system/*.rs`.
    pub scopes: Vec<String>,
    /// File with its public keys (JWK set).
    #[serde(default)]
    pub jwks: Option<PathBuf>,
    /// Or where they are (`https://…`).
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// PEM file with the authority of that address's TLS certificate; absent: the system's authorities.
    #[serde(default)]
    pub tls_root: Option<PathBuf>,
}

impl CallersConfiguration {
    pub(super) fn resolve(&mut self, folder: &Path) {
        let providers = self.oidc.iter_mut().flat_map(|one| [Some(&mut one.subjects), one.tls_root.as_mut()]);
        let clients = self.smart.iter_mut().flat_map(|one| [one.jwks.as_mut(), one.tls_root.as_mut()]);
        for path in self.msp.iter_mut().chain(providers.chain(clients).flatten()) {
            *path = folder.join(&*path);
        }
    }
}

fn default_algorithms() -> Vec<String> {
    ["ES256", "ES384", "PS256", "RS256"].map(str::to_owned).to_vec()
}

fn default_types() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}
