use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigurationError, read};
use crate::state::{Place, StateError};

/// `[state]`: where the gateway remembers what is not on the ledger.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfiguration {
    /// `sqlite:FILE`, or `postgres://USER@HOST/DATABASE` for several gateways of the organisation.
    pub url: String,
    /// File with the password of the PostgreSQL user; without it, the server lets the user in without one.
    pub password_file: Option<PathBuf>,
    /// File with the key under which the state holds what nobody may read; made when it is missing. All gateways of one state have
    /// the same, and without it the state is lost.
    pub key_file: PathBuf,
}

impl Default for StateConfiguration {
    fn default() -> Self {
        Self { url: "sqlite:state.sqlite".into(), password_file: None, key_file: "state.key".into() }
    }
}

impl StateConfiguration {
    /// The database.
    pub fn place(&self) -> Result<Place, PlaceError> {
        if let Some(file) = self.url.strip_prefix(SQLITE) {
            return Ok(Place::File(file.into()));
        }
        let unusable = |reason| PlaceError::State(StateError::Url(reason));
        let mut url = url::Url::parse(&self.url).map_err(|_| unusable("it is not a URL"))?;
        if !["postgres", "postgresql"].contains(&url.scheme()) {
            return Err(unusable("it names no database that this gateway knows"));
        }
        if let Some(file) = &self.password_file {
            let password = String::from_utf8(read(file)?).map_err(|_| unusable("the password is not UTF-8"))?;
            url.set_password(Some(password.trim_end())).map_err(|()| unusable("it has no host for the password"))?;
        }
        Ok(Place::Postgres(url))
    }

    pub(super) fn resolve(&mut self, folder: &Path) {
        if let Some(file) = self.url.strip_prefix(SQLITE) {
            self.url = format!("{SQLITE}{}", folder.join(file.trim_start_matches("//")).display());
        }
        self.key_file = folder.join(&self.key_file);
        if let Some(file) = &mut self.password_file {
            *file = folder.join(&*file);
        }
    }
}

const SQLITE: &str = "sqlite:";

/// Why the configuration leads to no database.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] ConfigurationError),
    /// The URL is not one.
    #[error(transparent)]
    State(#[from] StateError),
}
