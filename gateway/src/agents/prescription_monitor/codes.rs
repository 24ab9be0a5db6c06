//! Drug codes and their classes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use healthchain_rules::AtcClass;

/// FHIR's name of the ATC classification.
const ATC: &str = "http://www.whocc.no/atc";
/// FHIR's name of RxNorm.
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const SHIPPED: &str = include_str!("../../../data/rxnorm-atc.csv");

/// The classes of RxNorm's drugs.
#[derive(Debug)]
pub(crate) struct Codes(BTreeMap<String, AtcClass>);

/// Why a site's own table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CodesError {
    /// It cannot be read.
    #[error("[agents.prescription_monitor] rxnorm_map: {}: {error}", path.display())]
    Unreadable {
        /// The table.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// One of its lines is not understood.
    #[error("[agents.prescription_monitor] rxnorm_map: line {line} of {} is not `rxcui,atc,drug`", path.display())]
    Malformed {
        /// The table.
        path: PathBuf,
        /// Its first such line, from 1.
        line: usize,
    },
}

impl Codes {
    /// The table that comes with the gateway, `gateway/data/rxnorm-atc.csv`.
    pub(crate) fn shipped() -> Self {
        Self(table(SHIPPED).expect("a test reads every line of it"))
    }

    /// The same with a site's own table of the same form, which goes before.
    pub(crate) fn with_file(path: &Path) -> Result<Self, CodesError> {
        let unreadable = |error| CodesError::Unreadable { path: path.to_owned(), error };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let own = table(&text).map_err(|line| CodesError::Malformed { path: path.to_owned(), line })?;
        let Self(mut codes) = Self::shipped();
        codes.extend(own);
        Ok(Self(codes))
    }

    /// The class of a coded drug, if it is known.
    pub(crate) fn class_of(&self, system: &str, code: &str) -> Option<AtcClass> {
        match system {
            ATC => code.parse().ok(),
            RXNORM => self.0.get(code).cloned(),
            _ => None,
        }
    }
}

/// Lines of code, class and what is for people; else the number of the first that is none.
fn table(text: &str) -> Result<BTreeMap<String, AtcClass>, usize> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !is_remark(line));
    lines.map(|(line, number)| pair(line).ok_or(number)).collect()
}

fn is_remark(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#') || line.starts_with("rxcui")
}

fn pair(line: &str) -> Option<(String, AtcClass)> {
    let mut fields = line.split(',').map(str::trim);
    let (code, class) = (fields.next()?, fields.next()?);
    let is_code = !code.is_empty() && code.bytes().all(|letter| letter.is_ascii_digit());
    is_code.then_some((code.to_owned(), class.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Codes, CodesError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.csv");
        std::fs::write(&path, text).unwrap();
        Codes::with_file(&path)
    }

    #[test]
    fn every_line_of_the_table_is_understood_and_no_drug_is_there_twice() {
        let lines = SHIPPED.lines().filter(|line| !is_remark(line));
        assert_eq!(Codes::shipped().0.len(), lines.count());
    }

    #[test]
    fn a_drug_is_known_by_its_system_and_code() {
        let codes = Codes::shipped();
        assert_eq!(codes.class_of(RXNORM, "562251"), "J01CR02".parse().ok());
        assert_eq!(codes.class_of(ATC, "N02AA01"), "N02AA01".parse().ok());
        for (system, code) in [(RXNORM, "N02AA01"), (ATC, "562251"), ("http://snomed.info/sct", "562251"), ("", "")] {
            assert_eq!(codes.class_of(system, code), None, "{system} {code}");
        }
    }

    #[test]
    fn a_sites_own_table_goes_before_the_shipped_one() {
        let codes = with("# ours\nrxcui,atc,drug\n\n1, J01CA04 ,a, b\n2,N02AX02\n562251,J01CA04,\n").unwrap();
        for (code, class) in [("1", "J01CA04"), ("2", "N02AX02"), ("562251", "J01CA04"), ("860975", "A10BA02")] {
            assert_eq!(codes.class_of(RXNORM, code), class.parse().ok(), "{code}");
        }
    }

    #[test]
    fn a_table_with_a_line_that_is_not_understood_is_none() {
        for line in ["1", "1,", ",J01CA04", "x,J01CA04", "1,penicillin", "1;J01CA04"] {
            let error = with(&format!("2,J01CA04\n{line}\n")).unwrap_err();
            assert!(matches!(error, CodesError::Malformed { line: 2, .. }), "{line}: {error}");
        }
        assert!(matches!(Codes::with_file(Path::new("/no/such/file")), Err(CodesError::Unreadable { .. })));
    }
}
