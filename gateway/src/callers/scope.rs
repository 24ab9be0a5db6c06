//! What a clinic system's token lets it ask for (SMART App Launch 2.2, scopes `system/*.cruds`), besides the ledger's own rules.

use std::fmt;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Makes something new.
    Create,
    /// Reads one thing, or opens a record.
    Read,
    /// Replaces or changes.
    Update,
    /// Deletes.
    Delete,
    /// Lists or searches.
    Search,
}

/// Lists whose names are not in the plural.
const LISTS: [&str; 3] = ["audit", "accounting", "consent-history"];

impl Act {
    const ALL: [(Self, char); 5] =
        [(Self::Create, 'c'), (Self::Read, 'r'), (Self::Update, 'u'), (Self::Delete, 'd'), (Self::Search, 's')];

    /// What a request of this method to this route (with its parameters in braces) does. Opening is reading, although it is a POST, for
    /// the ledger commits it; a search for what must not stand in an address is a POST, too. Lists are called by plural nouns.
    pub fn of(method: &str, route: &str) -> Self {
        let last = route.rsplit('/').next().unwrap_or_default();
        match method {
            "GET" | "HEAD" | "OPTIONS" if last.ends_with('s') || LISTS.contains(&last) => Self::Search,
            "GET" | "HEAD" | "OPTIONS" => Self::Read,
            "PUT" | "PATCH" => Self::Update,
            "DELETE" => Self::Delete,
            _ if last == "openings" => Self::Read,
            _ if last == "searches" => Self::Search,
            _ if last == "removals" => Self::Delete,
            _ => Self::Create,
        }
    }
}

/// A set of acts, written `system/*.cruds` with the letters in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope(u8);

impl Scope {
    /// Reads scopes, separated by spaces. Those that this gateway does not know are an error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for one in text.split(' ').filter(|one| !one.is_empty()) {
            let letters = one.strip_prefix("system/*.").filter(|letters| !letters.is_empty());
            let scope = letters.and_then(Self::of_letters).ok_or_else(|| one.to_owned())?;
            all = Self(all.0 | scope.0);
        }
        Ok(all)
    }

    /// Whether it holds no act.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it lets this be done.
    pub fn permits(self, act: Act) -> bool {
        self.0 & bit(act) != 0
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn of_letters(letters: &str) -> Option<Self> {
        let scope =
            Self(Act::ALL.iter().filter(|(_, letter)| letters.contains(*letter)).map(|(act, _)| bit(*act)).sum());
        // The same letters again, so that none is unknown, twice or out of its order.
        (scope.letters() == letters).then_some(scope)
    }

    fn letters(self) -> String {
        Act::ALL.iter().filter(|(act, _)| self.permits(*act)).map(|(_, letter)| letter).collect()
    }
}

fn bit(act: Act) -> u8 {
    1 << act as u8
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { Ok(()) } else { write!(formatter, "system/*.{}", self.letters()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_written_in_their_order() {
        for text in ["system/*.cruds", "system/*.rs", "system/*.c", ""] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Scope::parse("system/*.rs  system/*.c").unwrap().to_string(), "system/*.crs");
    }

    #[test]
    fn what_is_no_scope_of_the_system_over_everything_is_refused_by_name() {
        for text in [
            "system/*.sr",
            "system/*.rr",
            "system/*.x",
            "system/*.",
            "system/Patient.rs",
            "user/*.rs",
            "openid",
            "system/*.rs?x=1",
        ] {
            assert_eq!(Scope::parse(&format!("system/*.rs {text}")), Err(text.to_owned()));
        }
    }

    #[test]
    fn each_request_needs_its_letter() {
        for (method, route, letter) in [
            ("GET", "/v1/links/{link}", 'r'),
            ("GET", "/v1/me", 'r'),
            ("GET", "/v1/openings/{opening}/content", 'r'),
            ("GET", "/v1/links/{link}/erasure-receipt", 'r'),
            ("GET", "/v1/patients/{patient}/audit", 's'),
            ("GET", "/v1/patients/{patient}/links", 's'),
            ("HEAD", "/v1/organisations", 's'),
            ("POST", "/v1/links/{link}/openings", 'r'),
            ("POST", "/v1/patient-index/searches", 's'),
            ("POST", "/v1/patient-index/removals", 'd'),
            ("POST", "/v1/links", 'c'),
            ("POST", "/v1/links/{link}/withdrawal", 'c'),
            ("PUT", "/v1/links/{link}", 'u'),
            ("PATCH", "/v1/links/{link}", 'u'),
            ("DELETE", "/v1/links/{link}", 'd'),
            ("ANYTHING", "/v1/links/{link}", 'c'),
        ] {
            let act = Act::of(method, route);
            assert!(Scope::parse(&format!("system/*.{letter}")).unwrap().permits(act), "{method} {route}");
            let others: String = "cruds".chars().filter(|other| *other != letter).collect();
            assert!(!Scope::parse(&format!("system/*.{others}")).unwrap().permits(act), "{method} {route}");
        }
    }

    #[test]
    fn a_client_gets_no_more_than_both_sides_say() {
        let scope = |text: &str| Scope::parse(text).unwrap();
        assert_eq!(scope("system/*.crs").and(scope("system/*.ruds")).to_string(), "system/*.rs");
        assert!(scope("system/*.c").and(scope("system/*.rs")).is_empty());
    }
}
