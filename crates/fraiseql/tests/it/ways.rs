//! How clients come through the proxy: TLS, HTTP/2, sockets, streams of events; and who gets where.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_testkit::{Authority, replace};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::http::{get, post, post_with};
use crate::process::wait_until;
use crate::project::block_on;
use crate::proxy::Service;

const LIVE: &str = "
type Subscription {
  artists: [Artist!]!
}
";
const QUERY: &str = "{ artists { name } }";

#[test]
fn users_stay_on_their_release_and_only_those_move_who_must() {
    let service = Service::start(2);
    let mut number = 0;
    let mut of_users = |share: u64, sticky: Value| -> Vec<String> {
        number += 1;
        let mut generation = service.generation(number, &[100 - share, share]);
        generation["sticky"] = sticky;
        service.apply(&generation);
        let ask = |user: u64| {
            let before = service.requests();
            let headers = format!("X-User: u{user}\r\nCookie: a=b; sid=u{user}\r\n");
            post_with(service.port, &headers, QUERY).expect("an answer");
            let after = service.requests();
            let moved = after.iter().zip(&before).find(|(after, before)| after.1 > before.1);
            moved.expect("it was counted").0.0.clone()
        };
        (0..60).map(ask).collect()
    };
    let header = json!({ "header": "x-user" });
    let small = of_users(20, header.clone());
    assert_eq!(small, of_users(20, header.clone()), "a user does not flap");
    let large = of_users(50, header);
    let count = |releases: &[String]| releases.iter().filter(|release| *release == "b").count();
    assert!((4..=22).contains(&count(&small)) && count(&large) > count(&small), "{small:?} {large:?}");
    for (before, after) in small.iter().zip(&large) {
        assert!(before == "a" || after == "b", "a user went back although the share grew");
    }
    assert_eq!(of_users(50, json!({ "cookie": "sid" })), large, "the same key, the same place");
}

#[test]
fn a_tester_chooses_and_a_line_tells_of_it() {
    let service = Service::start_with(2, "", &["proxy.choose_header=x-release", "proxy.access_log=true"]);
    let generation = service.generation(1, &[100, 0]).to_string();
    let generation = generation.replace("\"release\":\"b\"", "\"release\":\"green\"");
    service.apply(&serde_json::from_str(&generation).expect("JSON"));
    let requests =
        |release: &str| service.requests().iter().find(|found| found.0 == release).map_or(0, |found| found.1);
    post_with(service.port, "X-Release: green\r\n", QUERY).expect("an answer");
    post_with(service.port, "X-Release: nosuch\r\n", QUERY).expect("an answer");
    assert_eq!((requests("a"), requests("green")), (1, 1));
    wait_until("the requests are logged", || {
        let said = service.proxy.said();
        let line = said.lines().find(|line| line.contains("release=\"green\""))?.to_owned();
        let told = ["POST /graphql", "status=200", "address=\"127.0.0.1\"", "instance=\"b-1\""];
        assert!(told.iter().all(|part| line.contains(part)), "{line}");
        Some(())
    });
    let page = get(service.port, "/metrics").expect("an answer").1;
    for line in [
        "fraiseql_proxy_requests_total{release=\"green\"} 1",
        "fraiseql_proxy_weight_percent{release=\"green\"} 0",
        "fraiseql_proxy_backend_ready{release=\"green\",instance=\"b-1\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
}

#[test]
fn events_stream_through() {
    let service = Service::start_with(1, LIVE, &[]);
    service.apply(&service.generation(1, &[100]));
    let body = json!({ "query": "subscription { artists { name } }" }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", service.port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    write!(
        stream,
        "POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Accept: text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it takes it");
    let mut text = String::new();
    let mut until = |wanted: &str| {
        let mut buffer = [0; 4_096];
        while !text.contains(wanted) {
            let count = stream.read(&mut buffer).expect("it goes on");
            assert!(count > 0, "it ended before {wanted}: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    // Each event arrives while the stream goes on.
    until("{\"artists\":[]}");
    post(service.port, "mutation { insertArtist(object: {artistId: 1, name: \"Ann\"}) { name } }")
        .expect("an answer");
    until("Ann");
}

#[test]
fn who_waits_at_an_instance_that_hangs_is_answered_by_another() {
    let service = Service::start_with(2, "", &["proxy.probe_timeout_ms=500"]);
    let mut generation = service.generation(1, &[100, 0]);
    generation["arms"][0]["backends"] =
        json!([generation["arms"][0]["backends"][0], generation["arms"][1]["backends"][0]]);
    generation["arms"].as_array_mut().expect("a list").truncate(1);
    service.apply(&generation);
    service.instances[0].0.signal(Signal::STOP);
    // Without a probe that notices, each would wait for a minute, and every second one be lost.
    for _ in 0..8 {
        let answer = post(service.port, QUERY).expect("an answer");
        assert!(answer["data"].is_object(), "{answer}");
    }
    service.instances[0].0.signal(Signal::CONT);
    wait_until("it is ready again", || {
        let state = service.state();
        let all = state["backends"].as_array().expect("a list");
        all.iter().all(|backend| backend["health"] == "ready").then_some(())
    });
}

/// Returns what a client uses that trusts one authority.
fn trusting(authority: &Authority, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM"))
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(config)
}

/// Asks by HTTP/2 within TLS; returns the answer's `Strict-Transport-Security` and body.
async fn ask_within_tls(port: u16, authority: &Authority) -> Option<(String, String)> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = tokio_rustls::TlsConnector::from(trusting(authority, b"h2"));
    let stream = connector.connect(name, stream).await.ok()?;
    let (mut client, connection) = h2::client::handshake(stream).await.ok()?;
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(connection);
    let request =
        hyper::Request::post("https://localhost/graphql").header("content-type", "application/json");
    let (response, mut sending) = client.send_request(request.body(()).ok()?, false).ok()?;
    sending.send_data(Bytes::from(json!({ "query": QUERY }).to_string()), true).ok()?;
    let response = response.await.ok()?;
    let hsts = response.headers().get("strict-transport-security")?.to_str().ok()?.to_owned();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece.ok()?);
    }
    Some((hsts, String::from_utf8(text).ok()?))
}

#[test]
fn it_speaks_tls_and_takes_new_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let (certificate, key) = first.issue(&["localhost"]).write(folder.path(), "server");
    let flags = [
        format!("tls.certificate={}", certificate.display()),
        format!("tls.key={}", key.display()),
        "tls.hsts_s=60".to_owned(),
        "tls.look_interval_ms=100".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let service = Service::start_with(1, "", &flags);
    service.apply(&service.generation(1, &[100]));
    let answer = block_on(ask_within_tls(service.port, &first)).expect("an answer");
    assert_eq!(answer, ("max-age=60".to_owned(), r#"{"data":{"artists":[]}}"#.to_owned()));
    // Who speaks plain HTTP is told.
    let (status, told) = get(service.port, "/health").expect("an answer");
    assert!(status == 400 && told.contains("https://"), "{told}");

    assert!(block_on(ask_within_tls(service.port, &second)).is_none(), "nobody has signed it yet");
    let new = second.issue(&["localhost"]);
    replace(&certificate, &new.certificate);
    replace(&key, &new.key);
    wait_until("the new certificate holds", || block_on(ask_within_tls(service.port, &second)));
}
