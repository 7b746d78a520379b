//! HTTP/2: by prior knowledge and within TLS, its end, and clients that misuse it.

use std::time::Duration;

use bytes::Bytes;
use fraiseql_serve::{LifeOptions, TlsOptions, TlsVersion};
use fraiseql_testkit::{Authority, wait_until};
use h2::RecvStream;
use h2::client::{SendRequest, handshake};
use hyper::{Method, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::connect;
use crate::fixture::{SOON, database, start, start_unready, wait_for_running};
use crate::tls;

/// Speaks HTTP/2 on a stream; the task ends with what ended the connection.
async fn speak<S>(stream: S, tasks: &mut JoinSet<Result<(), h2::Error>>) -> SendRequest<Bytes>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = handshake(stream).await.unwrap();
    tasks.spawn(connection);
    client.ready().await.unwrap()
}

fn query(document: &str) -> (Request<()>, Bytes) {
    let request = Request::builder().method(Method::POST).uri("http://localhost/graphql");
    let request = request.header("content-type", "application/json").body(()).unwrap();
    (request, Bytes::from(serde_json::json!({ "query": document }).to_string()))
}

async fn text(mut body: RecvStream) -> Result<String, h2::Error> {
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(text).unwrap())
}

async fn answer(client: &mut SendRequest<Bytes>, document: &str) -> Result<String, h2::Error> {
    let (request, body) = query(document);
    let (response, mut sending) = client.send_request(request, false)?;
    sending.send_data(body, true)?;
    text(response.await?.into_body()).await
}

#[tokio::test]
async fn it_is_spoken_without_tls_by_who_knows() {
    let server = start(&database().await).await;
    let mut tasks = JoinSet::new();
    let mut client = speak(connect(server.address).await, &mut tasks).await;
    let expected = r#"{"data":{"author":{"id":1}}}"#;
    assert_eq!(answer(&mut client, "{ author(id: 1) { id } }").await.unwrap(), expected);
    let mut several = Vec::new();
    for _ in 0..50 {
        let (request, body) = query("{ author(id: 1) { id } }");
        let (response, mut sending) =
            client.clone().ready().await.unwrap().send_request(request, false).unwrap();
        sending.send_data(body, true).unwrap();
        several.push(response);
    }
    for response in several {
        assert_eq!(text(response.await.unwrap().into_body()).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn within_tls_the_handshake_chooses_it() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
    let (certificate, key) = authority.issue(&["localhost"]).write(folder.path(), "server");
    let options = TlsOptions {
        certificate,
        key,
        client_ca: None,
        min_version: TlsVersion::Tls13,
        look_every: Duration::from_secs(1),
        hsts_s: 0,
    };
    let life = LifeOptions { tls: Some(options), ..LifeOptions::default() };
    let server = start_unready(&database().await.url(), |options| options.life = life).await;
    let both: [&[u8]; 2] = [b"http/1.1", b"h2"];
    let stream = tls::connect(server.address, &tls::trusting(&authority, None, &both)).await.unwrap();
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        Some(b"h2".as_slice()),
        "the better one is ours to choose"
    );
    let mut tasks = JoinSet::new();
    let mut client = speak(stream, &mut tasks).await;
    let expected = r#"{"data":{"author":{"id":1}}}"#;
    assert_eq!(answer(&mut client, "{ author(id: 1) { id } }").await.unwrap(), expected);
}

#[tokio::test]
async fn a_drain_says_goaway_and_lets_the_running_request_finish() {
    let database = database().await;
    let mut server = start(&database).await;
    let mut tasks = JoinSet::new();
    let mut client = speak(connect(server.address).await, &mut tasks).await;
    let (request, body) = query("{ slow(seconds: 0.5) }");
    let (response, mut sending) = client.send_request(request, false).unwrap();
    sending.send_data(body, true).unwrap();
    wait_for_running(&database, "slow", 1).await;
    server.stop();
    // No new stream after GOAWAY.
    wait_until(SOON, || async { client.clone().ready().await.is_err() }).await;
    let got = text(response.await.unwrap().into_body()).await.unwrap();
    assert_eq!(got, r#"{"data":{"slow":1}}"#);
    assert_eq!(server.ended().await.finished, 1);
}

/// Returns a frame: section 4.1 of RFC 9113.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Reads frames until the other side says GOAWAY; returns why.
async fn goaway(stream: &mut TcpStream) -> u32 {
    loop {
        let mut head = [0_u8; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload =
            vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == GOAWAY {
            return u32::from_be_bytes(payload[4..8].try_into().unwrap());
        }
    }
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 1 | 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
const ENHANCE_YOUR_CALM: u32 = 11;
/// GET, http, `/`: the static table of RFC 7541.
const GET: [u8; 3] = [0x82, 0x86, 0x84];

#[tokio::test]
async fn a_client_that_takes_back_what_it_asks_is_thrown_out() {
    let server = start(&database().await).await;
    let mut stream = connect(server.address).await;
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    flood.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in (1..400).step_by(2) {
        flood.extend(frame(HEADERS, WHOLE, stream, &GET));
        flood.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    stream.write_all(&flood).await.unwrap();
    let why = tokio::time::timeout(SOON, goaway(&mut stream)).await.expect("it is thrown out");
    assert_eq!(why, ENHANCE_YOUR_CALM);
    let mut tasks = JoinSet::new();
    let mut other = speak(connect(server.address).await, &mut tasks).await;
    assert!(answer(&mut other, "{ author(id: 1) { id } }").await.is_ok(), "others are served");
}

#[tokio::test]
async fn headers_have_a_limit() {
    let server = start(&database().await).await;
    let mut tasks = JoinSet::new();
    let mut client = speak(connect(server.address).await, &mut tasks).await;
    let (mut request, _) = query("{ author(id: 1) { id } }");
    for index in 0..40 {
        let name: hyper::header::HeaderName = format!("x-{index}").parse().unwrap();
        request.headers_mut().insert(name, "y".repeat(4_000).parse().unwrap());
    }
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(response.await.map(|response| response.status().as_u16()).unwrap_or(431), 431);
    let mut other = speak(connect(server.address).await, &mut tasks).await;
    assert!(answer(&mut other, "{ author(id: 1) { id } }").await.is_ok());
}
