//! TLS to the gateway peer.

#![allow(clippy::unwrap_used)] // reason: helpers of tests

mod fake;

use fabric_client::{Client, ConnectOptions, Connection, Error};
use fabric_msp::issue::{Authority, Request};
use fabric_protos::gateway::gateway_server::GatewayServer;
use fake::Peer;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

/// A peer with a certificate for localhost on some port; returns the port.
async fn serve(authority: &Authority, client_root: Option<&Authority>) -> u16 {
    let issued = authority.issue(&Request::tls("peer0", &["localhost"], &[])).unwrap();
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(issued.certificate_pem(), issued.key_pem()));
    if let Some(root) = client_root {
        tls = tls.client_ca_root(Certificate::from_pem(root.certificate().pem()));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = Server::builder().tls_config(tls).unwrap();
    let service = GatewayServer::new(Peer::up());
    tokio::spawn(server.add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    port
}

fn options(port: u16, root: &Authority) -> ConnectOptions {
    ConnectOptions {
        endpoint: format!("https://localhost:{port}"),
        tls_root_pem: Some(root.certificate().pem().into_bytes()),
        ..ConnectOptions::default()
    }
}

async fn evaluate(options: ConnectOptions) -> Result<Vec<u8>, Error> {
    let client = Client::new(Connection::lazy(options).unwrap(), fake::identity());
    client.contract("health", "ehr").evaluate("list", Vec::new()).await
}

#[tokio::test]
async fn the_peer_of_the_right_authority_is_trusted() {
    let authority = Authority::create("tls-ca", "Hospital").unwrap();
    let port = serve(&authority, None).await;
    assert_eq!(evaluate(options(port, &authority)).await.unwrap(), b"LIST");
}

#[tokio::test]
async fn the_peer_of_another_authority_or_name_is_refused() {
    let authority = Authority::create("tls-ca", "Hospital").unwrap();
    let other = Authority::create("tls-ca", "Hospital").unwrap();
    let port = serve(&authority, None).await;
    let error = evaluate(options(port, &other)).await.unwrap_err();
    assert!(error.is_transport(), "{error}");
    assert!(error.to_string().contains("certificate"), "the reason must be told: {error}");

    let elsewhere = ConnectOptions { server_name: Some("peer0.clinic".to_owned()), ..options(port, &authority) };
    assert!(evaluate(elsewhere).await.unwrap_err().is_transport());
}

#[tokio::test]
async fn with_mutual_tls_only_known_clients_are_served() {
    let authority = Authority::create("tls-ca", "Hospital").unwrap();
    let port = serve(&authority, Some(&authority)).await;
    let pair = |authority: &Authority| {
        let issued = authority.issue(&Request::tls("gateway", &[], &[])).unwrap();
        Some((issued.certificate_pem().into_bytes(), issued.key_pem().to_vec()))
    };
    let known = ConnectOptions { client_identity: pair(&authority), ..options(port, &authority) };
    assert_eq!(evaluate(known).await.unwrap(), b"LIST");

    let stranger = Authority::create("tls-ca", "Clinic").unwrap();
    let unknown = ConnectOptions { client_identity: pair(&stranger), ..options(port, &authority) };
    assert!(evaluate(unknown).await.unwrap_err().is_transport());
    assert!(evaluate(options(port, &authority)).await.unwrap_err().is_transport());
}
