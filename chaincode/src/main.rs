//! Serves Healthchain's chaincode to peers. Settings come from the environment: CHAINCODE_SERVER_ADDRESS, CHAINCODE_ID, the PEM
//! files CHAINCODE_TLS_KEY, CHAINCODE_TLS_CERT and CHAINCODE_CLIENT_CA_CERT, and RUST_LOG.

use std::io::IsTerminal as _;

use fabric_contract::{ServeError, ServerOptions};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    match serve().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the chaincode cannot be served");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), ServeError> {
    let options = ServerOptions::from_environment()?;
    let server = healthchain_chaincode::chaincode().bind(options).await?;
    tracing::info!(address = %server.local_address(), "serving");
    server.run_until(stopped()).await
}

/// Waits for Ctrl-C or, on Unix, for SIGTERM.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without a handler there is nothing to wait for: the process is stopped from outside.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
