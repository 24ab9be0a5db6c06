//! A chaincode that answers each organisation something else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use fabric_contract::{Chaincode, Context, ServeError, Server, ServerOptions, TlsOptions, contract};

/// What the dishonest chaincode can be asked.
pub const DISHONEST_FUNCTION: &str = "Dishonest:count";

/// Why it refuses: never.
#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("never")
    }
}

impl From<Never> for (u16, String) {
    fn from(_: Never) -> Self {
        (500, String::new())
    }
}

impl std::str::FromStr for Never {
    type Err = std::convert::Infallible;

    fn from_str(_: &str) -> Result<Self, Self::Err> {
        Ok(Self)
    }
}

/// Writes and answers another number at each call, so that no two organisations agree.
#[contract(name = "Dishonest")]
trait Dishonest {
    #[submit]
    async fn count(&self, context: &mut Context) -> Result<u64, Never>;
}

/// One count for all servers, for each organisation may have one of its own.
static COUNT: AtomicU64 = AtomicU64::new(0);

struct Counter;

impl Dishonest for Counter {
    async fn count(&self, context: &mut Context) -> Result<u64, Never> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        context.put("count", number.to_string().into_bytes());
        Ok(number)
    }
}

/// Listens in the place of a chaincode process, with the environment that the process had.
///
/// # Errors
/// When the address is taken or the certificates cannot be used.
pub async fn serve_dishonestly(environment: &BTreeMap<String, String>) -> Result<Server, ServeError> {
    let file = |name: &str| std::fs::read(&environment[name]).expect("the network wrote the chaincode's files");
    let options = ServerOptions {
        address: environment["CHAINCODE_SERVER_ADDRESS"].clone(),
        chaincode_id: environment["CHAINCODE_ID"].clone(),
        tls: Some(TlsOptions {
            certificate: file("CHAINCODE_TLS_CERT"),
            key: file("CHAINCODE_TLS_KEY"),
            client_authorities: file("CHAINCODE_CLIENT_CA_CERT"),
        }),
    };
    Chaincode::new().contract(DishonestDispatcher::new(Counter)).bind(options).await
}
