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

/// The token of where a query goes on, if it does.
pub(crate) fn write<Query: Serialize, Position: Serialize>(
    query: &Query,
    position: Option<Position>,
) -> Result<Option<PageToken>, Refusal> {
    let Some(position) = position else { return Ok(None) };
    let json = serde_json::to_vec(&Token { query, position })
        .map_err(|error| Refusal::new(RefusalCode::Ledger, format!("the page token cannot be written: {error}")))?;
    Ok(Some(URL_SAFE_NO_PAD.encode(json).try_into()?))
}

/// The position that a token names, if there is one; refused when the token is of another query.
pub(crate) fn read<Query: DeserializeOwned + PartialEq, Position: DeserializeOwned>(
    query: &Query,
    token: Option<PageToken>,
) -> Result<Option<Position>, Refusal> {
    let Some(token) = token else { return Ok(None) };
    let read: Option<Token<Query, Position>> =
        URL_SAFE_NO_PAD.decode(token.as_str()).ok().and_then(|json| serde_json::from_slice(&json).ok());
    read.filter(|read| read.query == *query)
        .map(|read| Some(read.position))
        .ok_or_else(|| Refusal::new(RefusalCode::PageTokenMismatch, "use a page token with the query that gave it"))
}
