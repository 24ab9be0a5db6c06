//! Drug codes and their classes.

use std::collections::BTreeMap;

use healthchain_rules::AtcClass;

/// FHIR's name of the ATC classification.
const ATC: &str = "http://www.whocc.no/atc";
/// FHIR's name of RxNorm.
const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
const SHIPPED: &str = include_str!("../../../data/rxnorm-atc.csv");

/// The classes of RxNorm's drugs.
pub(crate) struct Codes(BTreeMap<&'static str, AtcClass>);

impl Codes {
    /// The table that comes with the gateway, `gateway/data/rxnorm-atc.csv`.
    pub(crate) fn shipped() -> Self {
        let lines = SHIPPED.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let pairs = lines.filter_map(|line| {
            let (code, rest) = line.split_once(',')?;
            Some((code, rest.split_once(',')?.0.parse().ok()?))
        });
        Self(pairs.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_understood_and_no_drug_is_there_twice() {
        let lines = SHIPPED.lines().filter(|line| !line.starts_with('#') && !line.starts_with("rxcui"));
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
}
