use healthchain_rules::{Malformed, limit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bounded part of a long answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The items, in the query's order. A page may hold fewer than asked for, even none, and still have a next one.
    pub items: Vec<T>,
    /// Asks for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<PageToken>,
}

/// Where a page begins. Opaque: take it from the page before, and use it with the same query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Za-z0-9_-]{1,512}$"))]
pub struct PageToken(String);

/// How many items a page has at most: 1 to 100, 20 when the caller does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("minimum" = 1, "maximum" = limit::PAGE))]
pub struct PageLimit(u32);

impl PageToken {
    /// The token's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PageToken {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        let is_token_character = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if (1..=limit::PAGE_TOKEN_CHARACTERS).contains(&text.len()) && text.bytes().all(is_token_character) {
            Ok(Self(text))
        } else {
            Err(Malformed::new("a page token", "taken, unchanged, from the page before"))
        }
    }
}

impl From<PageToken> for String {
    fn from(token: PageToken) -> Self {
        token.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(limit::PAGE_DEFAULT)
    }
}

impl TryFrom<u32> for PageLimit {
    type Error = Malformed;

    fn try_from(items: u32) -> Result<Self, Malformed> {
        if (1..=limit::PAGE).contains(&items) {
            Ok(Self(items))
        } else {
            Err(Malformed::new("a page's limit", "1 to 100"))
        }
    }
}

impl From<PageLimit> for u32 {
    fn from(limit: PageLimit) -> Self {
        limit.0
    }
}
