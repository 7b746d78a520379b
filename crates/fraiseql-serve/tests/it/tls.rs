//! TLS on the listener: who is let in, and what happens when the files change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fraiseql_serve::{LifeOptions, ServeError, TlsFault, TlsOptions, TlsVersion};
use fraiseql_testkit::{Authority, Certified, Database, replace, wait_until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Got, receive, request, send};
use crate::fixture::{Running, SOON, database, start_with};

fn options(folder: &Path) -> TlsOptions {
    TlsOptions {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
        client_ca: None,
        min_version: TlsVersion::Tls12,
        look_every: Duration::from_millis(10),
        hsts_s: 86_400,
    }
}

async fn start(database: &Database, tls: TlsOptions) -> Running {
    let life = LifeOptions { tls: Some(tls), ..LifeOptions::default() };
    let running = crate::fixture::start_unready(&database.url(), |options| options.life = life).await;
    wait_until(SOON, || async { !running.events.with("DatabaseReturned").is_empty() }).await;
    running
}

/// Returns what a client uses that trusts one authority.
pub(crate) fn trusting(
    authority: &Authority,
    client: Option<&Certified>,
    protocols: &[&[u8]],
) -> ClientConfig {
    trusting_from(authority, client, protocols, rustls::DEFAULT_VERSIONS)
}

fn trusting_from(
    authority: &Authority,
    client: Option<&Certified>,
    protocols: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = vec![CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

/// Connects and shakes hands.
pub(crate) async fn connect(
    address: SocketAddr,
    config: &ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> Option<Got> {
    stream.write_all(request("GET", path, &[], "").as_bytes()).await.ok()?;
    receive(stream).await
}

/// Returns the certificate that a new connection is shown.
async fn shown(address: SocketAddr, config: &ClientConfig) -> Option<Vec<u8>> {
    let stream = connect(address, config).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
}

fn der(certified: &Certified) -> Vec<u8> {
    CertificateDer::from_pem_slice(certified.certificate.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn it_speaks_tls_and_browsers_are_told_to_stay_with_it() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(&["localhost"]).write(folder.path(), "server");
    let server = start(&database().await, options(folder.path())).await;
    let mut stream = connect(server.address, &trusting(&authority, None, &[])).await.unwrap();
    for _kept in 0..2 {
        let got = ask(&mut stream, "/health").await.unwrap();
        assert_eq!(got.status, 200);
        assert_eq!(got.header("strict-transport-security"), Some("max-age=86400"));
        assert_eq!(got.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    }
    let metrics = ask(&mut stream, "/metrics").await.unwrap().text();
    assert!(!metrics.contains("fraiseql_tls_certificate_days_left 0\n"), "{metrics}");
    let stranger = Authority::new("another");
    assert!(connect(server.address, &trusting(&stranger, None, &[])).await.is_err());
    let got = send(server.address, request("GET", "/health", &[], "").as_bytes()).await;
    assert_eq!((got.status, got.complete), (400, true));
    assert_eq!(got.text(), "this port speaks TLS: ask again with https://\r\n");
    let failed = "fraiseql_tls_handshakes_failed_total 2\n";
    // The refused one is counted when the server has heard of it.
    let deadline = tokio::time::Instant::now() + SOON;
    while !ask(&mut stream, "/metrics").await.unwrap().text().contains(failed) {
        assert!(tokio::time::Instant::now() < deadline, "it is not counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn new_files_hold_for_new_connections_and_bad_ones_change_nothing() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let first = authority.issue(&["localhost"]);
    first.write(folder.path(), "server");
    let server = start(&database().await, options(folder.path())).await;
    let config = trusting(&authority, None, &[]);
    let mut kept = connect(server.address, &config).await.unwrap();
    assert_eq!(shown(server.address, &config).await.unwrap(), der(&first));

    let second = authority.issue(&["localhost"]);
    replace(&folder.path().join("server.key"), &second.key);
    wait_until(SOON, || async { server.events.with("Mismatch").len() == 1 }).await;
    assert_eq!(shown(server.address, &config).await.unwrap(), der(&first), "half of a pair is no pair");
    replace(&folder.path().join("server.pem"), &second.certificate);
    wait_until(SOON, || async { shown(server.address, &config).await == Some(der(&second)) }).await;

    authority.issue_ended(&["localhost"]).write(folder.path(), "server");
    wait_until(SOON, || async { server.events.with("Expired").len() == 1 }).await;
    replace(&folder.path().join("server.pem"), "nonsense");
    wait_until(SOON, || async { server.events.with("BEGIN CERTIFICATE").len() == 1 }).await;
    std::fs::remove_file(folder.path().join("server.pem")).unwrap();
    wait_until(SOON, || async { server.events.with("NotFound").len() == 1 }).await;
    assert_eq!(shown(server.address, &config).await.unwrap(), der(&second));

    let metrics = ask(&mut kept, "/metrics").await.expect("the old connection goes on").text();
    assert!(metrics.contains("fraiseql_tls_reloads_total{outcome=\"loaded\"} 1\n"), "{metrics}");
    let third = authority.issue(&["localhost"]);
    third.write(folder.path(), "server");
    wait_until(SOON, || async { shown(server.address, &config).await == Some(der(&third)) }).await;
}

#[tokio::test]
async fn only_clients_with_a_certificate_come_in_when_an_authority_is_named() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(&["localhost"]).write(folder.path(), "server");
    let clients = Authority::new("clients");
    let client_ca = folder.path().join("clients.pem");
    replace(&client_ca, clients.pem());
    let tls = TlsOptions { client_ca: Some(client_ca), ..options(folder.path()) };
    let server = start(&database().await, tls).await;
    let with = |client: Option<&Certified>| trusting(&authority, client, &[]);
    let mut welcome = connect(server.address, &with(Some(&clients.issue_client("a")))).await.unwrap();
    assert_eq!(ask(&mut welcome, "/health").await.unwrap().status, 200);
    for refused in [None, Some(&Authority::new("another").issue_client("a"))] {
        // With TLS 1.3 the client learns of it only when it reads.
        let Ok(mut stream) = connect(server.address, &with(refused)).await else { continue };
        stream.write_all(request("GET", "/health", &[], "").as_bytes()).await.unwrap_or_default();
        let mut bytes = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
        assert!(read.is_err() && bytes.is_empty(), "{bytes:?}");
    }
}

#[tokio::test]
async fn an_old_version_of_tls_is_refused_when_the_setting_says_so() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(&["localhost"]).write(folder.path(), "server");
    let old = trusting_from(&authority, None, &[], &[&rustls::version::TLS12]);
    let server = start(&database().await, options(folder.path())).await;
    assert!(connect(server.address, &old).await.is_ok());
    let tls = TlsOptions { min_version: TlsVersion::Tls13, ..options(folder.path()) };
    let server = start(&database().await, tls).await;
    assert!(connect(server.address, &old).await.is_err());
    assert!(connect(server.address, &trusting(&authority, None, &[])).await.is_ok());
}

/// A server that cannot speak TLS does not start, and says which file is to blame.
async fn check(tls: TlsOptions, expected: &str) {
    let life = LifeOptions { tls: Some(tls), ..LifeOptions::default() };
    let options = crate::fixture::options("postgres://nobody@localhost/nothing").0;
    let options = fraiseql_serve::ServeOptions { life, ..options };
    let error = fraiseql_serve::Server::bind(options).await.err().expect("it does not start");
    assert_eq!(error.code().code, "FQ-NET-003");
    let ServeError::Tls(fault) = &error else { panic!("{error:?}") };
    let told = format!("{fault}; {}", error.hint());
    assert!(told.contains(expected), "{told}");
    if matches!(fault, TlsFault::Mismatch { .. }) {
        assert!(told.contains("openssl pkey -pubout -in"), "{told}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_which_file_is_told_at_the_start() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    check(options(folder.path()), "server.pem").await;
    let pair = authority.issue(&["localhost"]);
    pair.write(folder.path(), "server");
    replace(&folder.path().join("server.key"), &authority.issue(&["localhost"]).key);
    check(options(folder.path()), "they do not belong together").await;
    replace(&folder.path().join("server.key"), &pair.certificate);
    check(options(folder.path()), "server.key: there is no BEGIN PRIVATE KEY in it").await;
    replace(&folder.path().join("server.pem"), "");
    check(options(folder.path()), "server.pem: there is no BEGIN CERTIFICATE in it").await;
}

#[tokio::test]
async fn a_drain_ends_connections_within_tls_too() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    authority.issue(&["localhost"]).write(folder.path(), "server");
    let mut server = start(&database().await, options(folder.path())).await;
    let mut idle = connect(server.address, &trusting(&authority, None, &[])).await.unwrap();
    assert_eq!(ask(&mut idle, "/health").await.unwrap().status, 200);
    let _half_shaken = TcpStream::connect(server.address).await.unwrap();
    server.stop();
    assert_eq!(server.ended().await.finished, 2);
    assert!(ask(&mut idle, "/health").await.is_none());
}

#[tokio::test]
async fn without_tls_nobody_is_told_to_come_by_https() {
    let server = start_with(&database().await.url(), |_| ()).await;
    let got = crate::client::get(server.address, "/health").await;
    assert_eq!(got.header("strict-transport-security"), None);
}
