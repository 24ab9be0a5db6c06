//! Which subject of an OpenID provider is which member: a file that an administrator writes, one line a subject.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use healthchain_rules::MemberId;

use crate::configuration::read;
use crate::file_stamp::FileStamp;

/// A TOML file of lines `"subject" = "member-id"`. A change counts from the next request on.
pub(super) struct Subjects {
    file: PathBuf,
    latest: RwLock<(Option<FileStamp>, BTreeMap<String, MemberId>)>,
}

impl Subjects {
    /// Reads the file.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let stamp = FileStamp::of(file);
        let latest = RwLock::new((stamp, load(file)?));
        Ok(Self { file: file.to_owned(), latest })
    }

    /// Who the subject is. A file that cannot be read any more maps nobody.
    pub(super) fn member(&self, subject: &str) -> Option<MemberId> {
        let stamp = FileStamp::of(&self.file);
        {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            if latest.0 == stamp {
                return latest.1.get(subject).cloned();
            }
        }
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        let members = load(&self.file).unwrap_or_else(|error| {
            tracing::error!(%error, "nobody is mapped until the file can be read");
            BTreeMap::new()
        });
        *latest = (stamp, members);
        latest.1.get(subject).cloned()
    }
}

fn load(file: &Path) -> Result<BTreeMap<String, MemberId>, String> {
    let text = String::from_utf8_lossy(&read(file).map_err(|error| error.to_string())?).into_owned();
    // The parser's own message quotes the line, and with it the subject.
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count());
        format!(
            "{}, near line {line}: expected lines like \"subject\" = \"member-id\", no subject twice",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_mapped_by_its_whole_text_and_a_change_counts_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("subjects.toml");
        std::fs::write(&file, "\"248289761001\" = \"dr-grey\"\n").unwrap();
        let subjects = Subjects::open(&file).unwrap();
        assert_eq!(subjects.member("248289761001").unwrap().as_str(), "dr-grey");
        for other in ["", "24828976100", "2482897610011", "dr-grey", "248289761001 "] {
            assert!(subjects.member(other).is_none(), "{other}");
        }
        std::fs::write(&file, "\"248289761001\" = \"dr-yang\"\n").unwrap();
        assert_eq!(subjects.member("248289761001").unwrap().as_str(), "dr-yang");
        std::fs::remove_file(&file).unwrap();
        assert!(subjects.member("248289761001").is_none());
    }

    #[test]
    fn a_file_with_a_subject_twice_or_no_member_id_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("subjects.toml");
        for text in ["\"secret\" = \"a\"\n\"secret\" = \"b\"", "\"secret\" = \"Dr Grey\"", "\"secret\" = 7", "secret"] {
            std::fs::write(&file, text).unwrap();
            let error = Subjects::open(&file).err().unwrap();
            assert!(error.contains("subjects.toml") && !error.contains("secret"), "{error}");
        }
    }
}
