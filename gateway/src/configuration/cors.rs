use serde::Deserialize;
use url::{Origin, Url};

/// `[cors]`: the other sites whose pages may use this gateway, with their visitor's certificate or in a session.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfiguration {
    /// Their origins: `https://portal.example`.
    pub origins: Vec<AllowedOrigin>,
}

/// An origin (RFC 6454): scheme, host and port, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedOrigin(String);

impl AllowedOrigin {
    /// As a browser says it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AllowedOrigin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let origin = Url::parse(&text).map(|url| url.origin());
        match origin {
            Ok(origin @ Origin::Tuple(..))
                if origin.ascii_serialization() == text && text.starts_with("http") && !text.contains('*') =>
            {
                Ok(Self(text))
            }
            _ => Err(format!("{text:?} is no origin: write https://HOST or https://HOST:PORT, one for each site")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_says_of_itself_is_an_origin() {
        for origin in ["https://portal.example", "https://portal.example:8443", "http://localhost:3000"] {
            assert_eq!(AllowedOrigin::try_from(origin.to_owned()).unwrap().as_str(), origin);
        }
        for other in [
            "*",
            "null",
            "",
            "portal.example",
            "https://portal.example/",
            "https://portal.example/app",
            "ftp://a.b",
            "https://Portal.example",
            "https://portal.example:443",
            "https://*.example",
            "file:///a",
        ] {
            assert!(AllowedOrigin::try_from(other.to_owned()).is_err(), "{other}");
        }
    }
}
