//! What a network was made from, so that a later `up` need not be told again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Consortium, Layout, NetworkError, layout::read_text};

/// The consortium's file and how far its ports were moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The consortium's file; absent for the one that we ship.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consortium: Option<PathBuf>,
    /// How far its ports were moved.
    pub port_offset: u16,
}

impl Origin {
    /// What the network in a folder was made from; `None` where there is none, or nobody said.
    ///
    /// # Errors
    /// When the folder's note of it cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Option<Self>, NetworkError> {
        let file = Layout::new(folder).map_err(NetworkError::file(folder))?.origin();
        if !file.exists() {
            return Ok(None);
        }
        let origin = toml::from_str(&read_text(&file)?);
        origin.map(Some).map_err(|error| NetworkError::file(file)(std::io::Error::other(error)))
    }

    /// The consortium itself.
    ///
    /// # Errors
    /// When its file cannot be read or is refused.
    pub fn consortium(&self) -> Result<Consortium, NetworkError> {
        let consortium = match &self.consortium {
            Some(file) => Consortium::load(file)?,
            None => Consortium::shipped(),
        };
        Ok(consortium.with_port_offset(self.port_offset)?)
    }

    /// As a later call finds it, from whichever folder.
    pub(crate) fn to_toml(&self) -> String {
        let consortium =
            self.consortium.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
        let origin = Self { consortium, ..self.clone() };
        toml::to_string(&origin).expect("an origin has no map with keys that are no text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_remembered_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin { consortium: Some("/somewhere/five.toml".into()), port_offset: 300 };

        assert_eq!(Origin::of_folder(folder.path()).unwrap(), None);
        std::fs::write(Layout::new(folder.path()).unwrap().origin(), origin.to_toml()).unwrap();

        assert_eq!(Origin::of_folder(folder.path()).unwrap(), Some(origin));
    }
}
