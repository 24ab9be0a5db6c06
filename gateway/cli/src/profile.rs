//! Profiles: which gateway, and who one is there. Each is a file of its own in the user's configuration folder, for its owner's eyes only.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::Error;

/// Who calls, and whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Address of the gateway of the member's organisation.
    pub(crate) gateway: Url,
    /// The member's TLS client certificate (PEM).
    pub(crate) certificate: PathBuf,
    /// Its private key (PEM); the key stays in its own file.
    pub(crate) key: PathBuf,
    /// The gateway's TLS authority (PEM); the system's authorities without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<PathBuf>,
    /// The member's id, as the gateway told it at login.
    pub(crate) member: String,
}

/// The folder that profiles are in.
pub(crate) struct Profiles(PathBuf);

impl Profiles {
    /// `HEALTHCHAIN_CONFIG`, else `healthchain` in the user's configuration folder (XDG Base Directory).
    pub(crate) fn of_user() -> Result<Self, Error> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user = || set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        let folder = set("HEALTHCHAIN_CONFIG").or_else(|| Some(user()?.join("healthchain")));
        folder.map(Self).ok_or_else(|| Error::Input("set HOME or HEALTHCHAIN_CONFIG: profiles have no place".into()))
    }

    /// A profile that was stored.
    pub(crate) fn load(&self, name: &str) -> Result<Profile, Error> {
        let file = self.file(name)?;
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Input(format!(
                    "there is no profile {name:?} yet; make it with `healthchain login --profile {name} …`"
                )));
            }
            Err(error) => return Err(Error::file(file)(error)),
        };
        toml::from_str(&text).map_err(|error| Error::Input(format!("{} is no profile: {error}", file.display())))
    }

    /// Stores a profile, in one step; returns its file.
    pub(crate) fn store(&self, name: &str, profile: &Profile) -> Result<PathBuf, Error> {
        let file = self.file(name)?;
        let new = file.with_extension("new");
        let text = toml::to_string(profile).expect("a profile is a table of texts");
        let write = || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let _ = std::fs::remove_file(&new);
            let mut stored = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            stored.write_all(text.as_bytes())?;
            std::fs::rename(&new, &file)
        };
        write().map_err(Error::file(&file))?;
        Ok(file)
    }

    /// Forgets a profile; the certificate and key stay where they are.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        self.load(name)?;
        let file = self.file(name)?;
        std::fs::remove_file(&file).map_err(Error::file(file))
    }

    /// All profiles by name.
    pub(crate) fn all(&self) -> Result<Vec<(String, Profile)>, Error> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&self.0)(error)),
        };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "toml"));
        let mut names: Vec<_> = files.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names.into_iter().map(|name| Ok((name.clone(), self.load(&name)?))).collect()
    }

    fn file(&self, name: &str) -> Result<PathBuf, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(Error::Input(format!("{name:?} is no name of a profile; use letters, digits, - and _")));
        }
        Ok(self.0.join(format!("{name}.toml")))
    }
}

/// Whether others than its owner can read a file, if that can be told.
pub(crate) fn is_open_to_others(key: &Path) -> bool {
    std::fs::metadata(key).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            gateway: "https://gateway.example:8443".parse().unwrap(),
            certificate: "/c.pem".into(),
            key: "/k.pem".into(),
            root: None,
            member: "dr-grey".into(),
        }
    }

    #[test]
    fn a_stored_profile_is_for_its_owners_eyes_only() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = Profiles(folder.path().join("healthchain"));
        let file = profiles.store("hospital", &profile()).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(profiles.all().unwrap(), [("hospital".to_owned(), profile())]);
        profiles.remove("hospital").unwrap();
        assert!(profiles.all().unwrap().is_empty());
    }

    #[test]
    fn a_profile_that_is_not_there_says_how_to_make_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = Profiles(folder.path().to_owned()).load("clinic").unwrap_err().to_string();
        assert!(error.contains("healthchain login --profile clinic"), "{error}");
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "../x", "a/b", "a.b"] {
            assert!(Profiles(folder.path().to_owned()).store(name, &profile()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_file_that_is_no_profile_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.toml"), "gateway = 1").unwrap();
        assert!(Profiles(folder.path().to_owned()).load("x").unwrap_err().to_string().contains("x.toml"));
    }
}
