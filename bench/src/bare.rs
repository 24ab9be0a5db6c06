//! A contract of bare puts and gets, beside the contracts that are measured: in the same chaincode, under the same endorsement policy.

use std::convert::Infallible;
use std::fmt;
use std::process::Stdio;

use clap::Args;
use fabric_contract::{Context, LedgerError, ServerOptions, contract};
use healthchain_end_to_end::World;
use tokio::process::{Child, Command};

/// Serves the chaincode with the bare contract in it; settings come from the environment, as the chaincode's do.
#[derive(Args)]
pub(crate) struct Options;

/// The ledger cannot be read.
#[derive(Debug)]
struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<LedgerError> for Unreadable {
    fn from(error: LedgerError) -> Self {
        Self(error.to_string())
    }
}

impl From<Unreadable> for (u16, String) {
    fn from(Unreadable(reason): Unreadable) -> Self {
        (500, reason)
    }
}

impl std::str::FromStr for Unreadable {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// One write, one read: nobody can do with less.
#[contract(name = "Bare")]
trait Bare {
    /// Writes a value.
    #[submit]
    async fn put(&self, context: &mut Context, key: String, value: String) -> Result<(), Unreadable>;
    /// Reads it.
    #[evaluate]
    async fn get(&self, context: &Context, key: String) -> Result<Option<String>, Unreadable>;
}

struct Stored;

impl Bare for Stored {
    async fn put(&self, context: &mut Context, key: String, value: String) -> Result<(), Unreadable> {
        context.put(stored(&key), value);
        Ok(())
    }

    async fn get(&self, context: &Context, key: String) -> Result<Option<String>, Unreadable> {
        let value = context.get(&stored(&key)).await?;
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }
}

/// Where none of the measured contracts looks.
fn stored(key: &str) -> String {
    format!("bare/{key}")
}

pub(crate) async fn serve(_: &Options) {
    let chaincode = healthchain_chaincode::chaincode().contract(BareDispatcher::new(Stored));
    let server = chaincode.bind(ServerOptions::from_environment().unwrap()).await.unwrap();
    server.run_until(std::future::pending()).await.unwrap();
}

/// Serves it in the place of each of the network's chaincode processes, for as long as what is given lives.
pub(crate) async fn in_place_of_the_chaincode(world: &World) -> Vec<Child> {
    let mut servers = Vec::new();
    for process in world.network.chaincodes().unwrap() {
        world.network.stop(&process.name).await.unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("bare").envs(process.environment).stdin(Stdio::null()).kill_on_drop(true);
        servers.push(command.spawn().unwrap());
    }
    servers
}
