//! Tokens that were given out, and what counts once only.

use serde::{Deserialize, Serialize};
use sqlx::Row as _;

use super::{State, StateError, StateKey};

/// The tables behind sessions and access tokens. They hold hashes: nobody gets a token out of them.
pub struct CallerTokens(State);

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// A session: the signing certificate (PEM) and the thumbprint of its key.
    Session {
        /// The signing certificate, PEM.
        certificate: String,
        /// Names the key that proofs are made with (RFC 7638).
        thumbprint: String,
    },
    /// A clinic system's access token.
    Access {
        /// Its client id.
        client: String,
        /// What it permits.
        scope: String,
    },
}

impl CallerTokens {
    /// The tables of this state.
    pub fn new(state: &State) -> Self {
        Self(state.clone())
    }

    /// Keeps a token until a time (seconds since 1970).
    pub async fn keep(&self, token: &str, held: &Held, expires: u64) -> Result<(), StateError> {
        let holder = serde_json::to_string(held).expect("texts are JSON");
        sqlx::query("INSERT INTO caller_tokens (token_hash, holder, expires_at) VALUES ($1, $2, $3)")
            .bind(hash(&["token", token]))
            .bind(holder)
            .bind(milliseconds(expires))
            .execute(self.0.pool())
            .await?;
        Ok(())
    }

    /// What a token stands for and until when (seconds since 1970), also shortly after that.
    pub async fn held(&self, token: &str) -> Result<Option<(Held, u64)>, StateError> {
        let found = sqlx::query("SELECT holder, expires_at FROM caller_tokens WHERE token_hash = $1");
        let Some(row) = found.bind(hash(&["token", token])).fetch_optional(self.0.pool()).await? else {
            return Ok(None);
        };
        let (holder, expires): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        // What another release wrote counts as unknown.
        Ok(serde_json::from_str(&holder).ok().map(|held| (held, expires.unsigned_abs() / 1000)))
    }

    /// Forgets a token; says whether it was there.
    pub async fn forget(&self, token: &str) -> Result<bool, StateError> {
        let forget = sqlx::query("DELETE FROM caller_tokens WHERE token_hash = $1");
        Ok(forget.bind(hash(&["token", token])).execute(self.0.pool()).await?.rows_affected() == 1)
    }

    /// Whether this is used for the first time, by whichever gateway; it is remembered until a time (seconds since 1970).
    pub async fn first_use(&self, what: &[&str], over: u64) -> Result<bool, StateError> {
        let remember = sqlx::query(
            "INSERT INTO caller_uses (use_hash, expires_at) VALUES ($1, $2) ON CONFLICT (use_hash) DO NOTHING",
        );
        let done = remember.bind(hash(what)).bind(milliseconds(over)).execute(self.0.pool()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The key that the gateways of an organisation share.
    pub fn key(&self) -> &StateKey {
        self.0.key()
    }
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Each text with its length, so that no two lists of texts have one encoding.
fn hash(texts: &[&str]) -> String {
    let mut all = Vec::new();
    for text in texts {
        all.extend_from_slice(&(text.len() as u64).to_be_bytes());
        all.extend_from_slice(text.as_bytes());
    }
    hex::encode(openssl::sha::sha256(&all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::retention::delete_expired;

    async fn tokens() -> (State, CallerTokens) {
        let state = State::in_memory().await.unwrap();
        let tokens = CallerTokens::new(&state);
        (state, tokens)
    }

    fn access() -> Held {
        Held::Access { client: "ehr".into(), scope: "system/*.rs".into() }
    }

    #[tokio::test]
    async fn a_token_is_known_until_it_is_forgotten_and_lies_there_as_a_hash_only() {
        let (state, tokens) = tokens().await;
        tokens.keep("secret-token", &access(), 100).await.unwrap();
        assert_eq!(tokens.held("secret-token").await.unwrap(), Some((access(), 100)));
        assert_eq!(tokens.held("secret-toke").await.unwrap(), None);
        let row = sqlx::query("SELECT token_hash, holder FROM caller_tokens").fetch_one(state.pool()).await.unwrap();
        let (hash, holder): (String, String) = (row.get(0), row.get(1));
        assert!(!hash.contains("secret-token") && !holder.contains("secret-token"));
        assert!(tokens.forget("secret-token").await.unwrap());
        assert!(!tokens.forget("secret-token").await.unwrap());
        assert_eq!(tokens.held("secret-token").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_thing_is_used_first_once_whoever_asks_at_the_same_time() {
        let (_state, tokens) = tokens().await;
        let uses = futures::future::join_all((0..20).map(|_| tokens.first_use(&["dpop", "a", "b"], 100))).await;
        assert_eq!(uses.into_iter().filter(|first| *first.as_ref().unwrap()).count(), 1);
        assert!(tokens.first_use(&["dpop", "ab", ""], 100).await.unwrap());
        assert!(tokens.first_use(&["dpop", "", "ab"], 100).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_past_its_time_is_deleted_and_nothing_else() {
        let (state, tokens) = tokens().await;
        tokens.keep("old", &access(), 100).await.unwrap();
        tokens.keep("new", &access(), 102).await.unwrap();
        assert!(tokens.first_use(&["old"], 100).await.unwrap());
        assert!(tokens.first_use(&["new"], 102).await.unwrap());
        let now = healthchain_rules::LedgerTime::from_milliseconds(101_000);
        delete_expired(&state, now).await.unwrap();
        assert_eq!(tokens.held("old").await.unwrap(), None);
        assert!(tokens.held("new").await.unwrap().is_some());
        assert!(tokens.first_use(&["old"], 200).await.unwrap());
        assert!(!tokens.first_use(&["new"], 200).await.unwrap());
    }
}
