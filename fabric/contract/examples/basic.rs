//! Assets by key: a small chaincode as a service, for trying peers and clients of any language.
//!
//! ```sh
//! CHAINCODE_SERVER_ADDRESS=127.0.0.1:9999 CHAINCODE_ID=basic:… CHAINCODE_TLS_DISABLED=true cargo run --example basic
//! peer chaincode query -C mychannel -n basic -c '{"Args":["readAsset","\"a1\""]}'
//! ```

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use fabric_contract::{Chaincode, Context, LedgerError, ServerOptions, contract};

/// Assets by key.
#[contract(name = "Assets")]
pub trait Assets {
    /// Writes an asset, and an event of the name `AssetPut` with its key.
    #[submit]
    async fn put_asset(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal>;
    /// Deletes an asset; an unknown one is refused.
    #[submit]
    async fn delete_asset(&self, ctx: &mut Context, key: String) -> Result<(), Refusal>;
    /// An asset's value; an unknown one is refused.
    #[evaluate]
    async fn read_asset(&self, ctx: &Context, key: String) -> Result<String, Refusal>;
    /// The keys from `start` up to `end`; empty bounds are open.
    #[evaluate]
    async fn keys(&self, ctx: &Context, start: String, end: String) -> Result<Vec<String>, Refusal>;
}

/// Why a call is refused: an HTTP status, and words.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal(u16, String);

struct Ledger;

impl Assets for Ledger {
    async fn put_asset(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal> {
        ctx.set_event("AssetPut", key.as_str());
        ctx.put(key, value);
        Ok(())
    }

    async fn delete_asset(&self, ctx: &mut Context, key: String) -> Result<(), Refusal> {
        self.read_asset(ctx, key.clone()).await?;
        ctx.delete(key);
        Ok(())
    }

    async fn read_asset(&self, ctx: &Context, key: String) -> Result<String, Refusal> {
        let value = ctx.get(&key).await?.ok_or_else(|| Refusal(404, format!("there is no asset {key}")))?;
        Ok(String::from_utf8_lossy(&value).into_owned())
    }

    async fn keys(&self, ctx: &Context, start: String, end: String) -> Result<Vec<String>, Refusal> {
        Ok(ctx.range(&start, &end).collect().await?.into_iter().map(|(key, _)| key).collect())
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self(500, error.to_string())
    }
}

impl From<Refusal> for (u16, String) {
    fn from(Refusal(status, text): Refusal) -> Self {
        (status, text)
    }
}

impl FromStr for Refusal {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(400, text.to_owned()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.1)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = ServerOptions::from_environment()?;
    Chaincode::new().contract(AssetsDispatcher::new(Ledger)).serve(options).await?;
    Ok(())
}
