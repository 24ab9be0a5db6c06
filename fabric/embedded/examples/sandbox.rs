//! Runs a command beside a network in memory: two organisations on TLS ports, and a chaincode `assets`. For trying clients of
//! any language.
//!
//! ```sh
//! cargo run -p fabric-embedded --example sandbox -- npm test --prefix end-to-end/node-client
//! ```
//!
//! The command finds in its environment: `FABRIC_ENDPOINT` (host:port of Org1's peer), `FABRIC_TLS_ROOT`,
//! `FABRIC_CERTIFICATE` and `FABRIC_KEY` (PEM files), `FABRIC_MSP_ID`, `FABRIC_CHANNEL` and `FABRIC_CHAINCODE`. This program ends
//! with the command's own status.

use std::{
    fmt,
    process::{Command, ExitCode},
};

use fabric_contract::{Chaincode, Context, LedgerError, contract};
use fabric_embedded::{BANNER, testing::Network};
use fabric_msp::issue::Request;

/// Assets by key.
#[contract(name = "Assets")]
pub trait Assets {
    /// Writes an asset, with an event `AssetPut` that carries its key.
    #[submit]
    async fn put(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal>;
    /// An asset's value; an unknown one is refused with 404.
    #[evaluate]
    async fn read(&self, ctx: &Context, key: String) -> Result<String, Refusal>;
    /// Reads an asset and writes it anew, so that two at once conflict.
    #[submit]
    async fn replace(&self, ctx: &mut Context, key: String, value: String) -> Result<String, Refusal>;
}

/// Why a call is refused: a status, and words.
#[derive(Debug)]
pub struct Refusal(u16, String);

struct Stored;

impl Assets for Stored {
    async fn put(&self, ctx: &mut Context, key: String, value: String) -> Result<(), Refusal> {
        ctx.set_event("AssetPut", key.as_str());
        ctx.put(key, value);
        Ok(())
    }

    async fn read(&self, ctx: &Context, key: String) -> Result<String, Refusal> {
        let value = ctx.get(&key).await?.ok_or_else(|| Refusal(404, format!("there is no asset {key}")))?;
        Ok(String::from_utf8_lossy(&value).into_owned())
    }

    async fn replace(&self, ctx: &mut Context, key: String, value: String) -> Result<String, Refusal> {
        let before = self.read(ctx, key.clone()).await?;
        ctx.put(key, value);
        Ok(before)
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

impl std::str::FromStr for Refusal {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(500, text.to_owned()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.1)
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut words = std::env::args_os().skip(1);
    let program = words.next().ok_or("name the command to run, for example: npm test")?;
    eprintln!("{BANNER}");

    let chaincode = Chaincode::new().contract(AssetsDispatcher::new(Stored));
    let network = Network::of(&["Org1MSP", "Org2MSP"])
        .chaincode("assets", "AND('Org1MSP.peer', 'Org2MSP.peer')", move |id, outgoing, incoming| {
            chaincode.clone().serve_channel(id, outgoing, incoming)
        })
        .listen()
        .start()
        .await;

    let folder = tempfile::tempdir()?;
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).map(|()| path)
    };
    let user = network.authorities().of("Org1MSP").issue(&Request::signing("user", "client"))?;
    let port = network.address("Org1MSP").ok_or("the peer does not listen")?.port();
    let mut command = Command::new(program);
    command
        .args(words)
        .env("FABRIC_ENDPOINT", format!("localhost:{port}"))
        .env("FABRIC_TLS_ROOT", write("tls-ca.pem", network.tls_root().unwrap_or_default().as_bytes())?)
        .env("FABRIC_CERTIFICATE", write("certificate.pem", user.certificate_pem().as_bytes())?)
        .env("FABRIC_KEY", write("key.pem", user.key_pem())?)
        .env("FABRIC_MSP_ID", "Org1MSP")
        .env("FABRIC_CHANNEL", network.channel())
        .env("FABRIC_CHAINCODE", "assets");
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    network.stop().await;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}
