//! Page tokens: a position in a query's answer, written so that nobody is tempted to read it.
//!
//! A token can be forged; it names a place within the query and never a key, so that a forged one finds nothing that the query would
//! not give.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use healthchain_interface::PageToken;
use healthchain_rules::{Refusal, RefusalCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Token<Query, Position> {
    query: Query,
    position: Position,
}

/// The token of a position within a query.
pub(crate) fn write<Query: Serialize, Position: Serialize>(
    query: &Query,
    position: &Position,
) -> Result<PageToken, Refusal> {
    let json = serde_json::to_vec(&Token { query, position })
        .map_err(|error| Refusal::new(RefusalCode::Ledger, format!("the page token cannot be written: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(json).try_into()?)
}

/// The position that a token names; refused when the token is of another query.
pub(crate) fn read<Query: DeserializeOwned + PartialEq, Position: DeserializeOwned>(
    query: &Query,
    token: &PageToken,
) -> Result<Position, Refusal> {
    let read: Option<Token<Query, Position>> =
        URL_SAFE_NO_PAD.decode(token.as_str()).ok().and_then(|json| serde_json::from_slice(&json).ok());
    read.filter(|read| read.query == *query)
        .map(|read| read.position)
        .ok_or_else(|| Refusal::new(RefusalCode::PageTokenMismatch, "use a page token with the query that gave it"))
}
