//! Real signs that something is ready, and the wait for them.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use crate::{
    NetworkError,
    layout::CertificateFiles,
    process::{Component, Processes},
};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(25);

/// How one sees that a component is ready.
#[derive(Debug, Clone)]
pub(crate) enum Sign {
    /// Its ports take connections.
    Listening,
    /// Its ports take connections, and this address answers 200.
    Answers(Address),
}

/// An address to ask.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) url: String,
    /// For HTTPS: what to trust, and who we are.
    pub(crate) tls: Option<(std::path::PathBuf, CertificateFiles)>,
}

/// Whether a component is ready.
///
/// # Errors
/// The text says what is seen instead.
pub(crate) async fn look(component: &Component) -> Result<(), String> {
    // A peer says that it is healthy before it takes calls.
    for port in &component.ports {
        TcpStream::connect(("127.0.0.1", *port)).await.map_err(|error| format!("port {port}: {error}"))?;
    }
    match &component.sign {
        Sign::Listening => Ok(()),
        Sign::Answers(address) => fetch(address).await.map(drop),
    }
}

/// The body that an address answers with status 200.
///
/// # Errors
/// The text says what came instead.
pub(crate) async fn fetch(address: &Address) -> Result<String, String> {
    let client = client(address).map_err(|error| error.to_string())?;
    let answer = client.get(&address.url).send().await.map_err(|error| with_causes(&error))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| with_causes(&error))?;
    if status.is_success() { Ok(body) } else { Err(format!("{} answers {status}: {body}", address.url)) }
}

fn client(address: &Address) -> Result<reqwest::Client, Box<dyn std::error::Error>> {
    let mut builder = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy();
    if let Some((root, identity)) = &address.tls {
        builder = builder
            .tls_certs_only([reqwest::Certificate::from_pem(&std::fs::read(root)?)?])
            .identity(client_identity(identity)?);
    }
    Ok(builder.build()?)
}

/// A TLS client's certificate and key, as reqwest takes them.
pub(crate) fn client_identity(files: &CertificateFiles) -> Result<reqwest::Identity, Box<dyn std::error::Error>> {
    let mut pem = std::fs::read(&files.key)?;
    pem.extend(std::fs::read(&files.certificate)?);
    Ok(reqwest::Identity::from_pem(&pem)?)
}

/// The value of a gauge in Prometheus' text format, of the one line that has this name and this label text.
pub(crate) fn gauge(metrics: &str, name: &str, label: &str) -> Option<f64> {
    metrics
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')) && line.contains(label))
        .find_map(|line| line.rsplit(' ').next()?.parse().ok())
}

/// Waits until a component is ready; fails as soon as its process ends.
pub(crate) async fn ready(
    processes: &Processes,
    component: &Component,
    patience: Duration,
) -> Result<(), NetworkError> {
    let begun = Instant::now();
    loop {
        let seen = look(component).await;
        if processes.pid(&component.name).is_none() {
            return Err(processes.failure(&component.name, "ended while starting"));
        }
        match seen {
            Ok(()) => return Ok(()),
            Err(last) if begun.elapsed() > patience => {
                let reason = format!("was not ready within {} s ({last})", patience.as_secs());
                return Err(processes.failure(&component.name, reason));
            }
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// Waits until `attempt` succeeds, and returns what it gives.
pub(crate) async fn until<T, E: Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    patience: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, NetworkError> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(last) if begun.elapsed() > patience => {
                return Err(NetworkError::TooLate {
                    what: what.to_owned(),
                    seconds: patience.as_secs(),
                    last: last.to_string(),
                });
            }
            Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_read_by_name_and_label() {
        let metrics = "# HELP x y\nledger_height_total{channel=\"a\"} 1\nledger_height{channel=\"b\"} 7\n\
                       ledger_height{channel=\"a\"} 12\n";

        assert_eq!(gauge(metrics, "ledger_height", "channel=\"a\""), Some(12.0));
        assert_eq!(gauge(metrics, "ledger_height", "channel=\"c\""), None);
    }

    #[tokio::test]
    async fn a_wait_in_vain_says_what_was_seen_last() {
        let error = until("the leader's election", Duration::ZERO, || async { Err::<(), _>("no leader") }).await;

        assert!(error.unwrap_err().to_string().contains("the leader's election did not happen within 0 s: no leader"));
    }
}
