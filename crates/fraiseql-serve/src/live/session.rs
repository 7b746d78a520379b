//! One WebSocket that speaks graphql-transport-ws, from its first message to its close code.
//!
//! Each operation is a task of the session; they hand their messages to one bounded queue, so that
//! a client that does not read holds nothing but that, and its operations wait with the newest.

use std::collections::HashMap;
use std::future::pending;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fraiseql_engine::OperationKind;
use fraiseql_model::identity::Identity;
use fraiseql_model::response::{Code, GraphqlError};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::connection::{Ending, Stop};
use crate::identity::{Caller, Credential, Denial};
use crate::live::hub::State;
use crate::live::protocol::{self, ClientMessage, CloseReason};
use crate::live::requests::{self, Whole};
use crate::live::socket::Socket;
use crate::params::{Origin, Params};
use crate::serving::Serving;

/// How long a client may take to answer the close of its WebSocket.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// What a quiet WebSocket takes for its buffers, each way; they grow with what is read and written.
const BUFFER_BYTES: usize = 4 << 10;
/// Between two pings, so that nobody on the way takes a quiet connection for a dead one.
const PING_EVERY: Duration = Duration::from_secs(25);
/// What a subscriber is told beyond the limits.
const TOO_MANY_HERE: &str = "this connection has as many operations as it may: complete one first";
const TOO_MANY: &str = "the server has as many subscriptions as it may: try again later";

/// Serves a WebSocket to its end.
pub(crate) async fn run(serving: Arc<Serving>, socket: Socket, stop: &Stop) -> Ending {
    let Ok(upgraded) = socket.upgrade.await else { return Ending::Closed };
    let options = &serving.live.options;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(options.message_bytes))
        .max_frame_size(Some(options.message_bytes));
    let stream = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (sender, outgoing) = mpsc::channel(options.buffer_results.max(1));
    let mut session = Session {
        serving: Arc::clone(&serving),
        stream,
        sender,
        outgoing,
        operations: HashMap::new(),
        tasks: JoinSet::new(),
        next_serial: 0,
        asker: socket.asker,
        address: socket.address,
        identity: Arc::default(),
        denied: Box::pin(pending()),
        acknowledged: false,
        draining: false,
    };
    let ended = tokio::select! {
        ended = session.serve(socket.speaks, stop) => ended,
        () = stop.now.cancelled() => return Ending::Cut,
    };
    session.tasks.shutdown().await;
    match ended {
        End::Close(reason) => session.close(reason).await,
        End::Gone => {}
        End::Slow => serving.live.tally.slow.increment(),
    }
    Ending::Closed
}

struct Session {
    serving: Arc<Serving>,
    stream: WebSocketStream<TokioIo<Upgraded>>,
    sender: mpsc::Sender<Outgoing>,
    outgoing: mpsc::Receiver<Outgoing>,
    operations: HashMap<String, Operation>,
    tasks: JoinSet<()>,
    next_serial: u64,
    /// Who asks by the headers of the upgrade.
    asker: Option<(Credential<'static>, Caller)>,
    address: Option<IpAddr>,
    /// Who asks, once the client was acknowledged.
    identity: Arc<Identity>,
    /// Tells when the caller must stop.
    denied: Pin<Box<dyn Future<Output = Denial> + Send>>,
    acknowledged: bool,
    draining: bool,
}

/// One operation of the client. The serial tells it from an earlier one under the same id.
struct Operation {
    serial: u64,
    live: bool,
    task: AbortHandle,
}

/// What an operation has to say.
struct Outgoing {
    id: Arc<str>,
    serial: u64,
    said: Said,
}

enum Said {
    /// A response, and maybe nothing else after it.
    Next(Bytes),
    Complete,
    Error(Arc<Vec<GraphqlError>>),
}

/// How a session ends.
enum End {
    /// We close it.
    Close(CloseReason),
    /// The client is gone.
    Gone,
    /// The client does not read.
    Slow,
}

impl Session {
    async fn serve(&mut self, speaks: bool, stop: &Stop) -> End {
        if !speaks {
            return End::Close(protocol::NOT_ACCEPTABLE);
        }
        let begun = Instant::now();
        let mut init = pin!(sleep_until(begun + self.serving.live.options.init_timeout));
        let mut ping = interval_at(begun + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.draining && self.operations.is_empty() {
                return End::Close(protocol::GOING_AWAY);
            }
            let step = tokio::select! {
                () = stop.soon.cancelled(), if !self.draining => self.drain().await,
                message = self.stream.next() => self.receive(message).await,
                Some(outgoing) = self.outgoing.recv() => self.deliver(outgoing).await,
                Some(_ended) = self.tasks.join_next() => Ok(()),
                () = &mut init, if !self.acknowledged => Err(End::Close(protocol::INIT_TIMEOUT)),
                denial = &mut self.denied => Err(End::Close(protocol::denied(denial))),
                _ = ping.tick() => self.send(Message::Ping(Bytes::new())).await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(End::Close(protocol::BAD_MESSAGE)),
            // Pings are answered by the library, and its answer to a close is sent by the next read.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_))) => {
                return Ok(());
            }
            Some(Err(Error::Capacity(_))) => return Err(End::Close(protocol::TOO_BIG)),
            Some(Err(Error::Utf8(_))) => return Err(End::Close(protocol::BAD_MESSAGE)),
            Some(Err(_)) | None => return Err(End::Gone),
        };
        match protocol::parse(&text) {
            None => Err(End::Close(protocol::BAD_MESSAGE)),
            Some(ClientMessage::Init { .. }) if self.acknowledged => {
                Err(End::Close(protocol::TOO_MANY_INITS))
            }
            Some(ClientMessage::Init { credential }) => self.init(credential).await,
            Some(ClientMessage::Ping { payload }) => self.say(protocol::pong(payload.as_deref())).await,
            Some(ClientMessage::Pong) => Ok(()),
            Some(ClientMessage::Subscribe { .. }) if !self.acknowledged => {
                Err(End::Close(protocol::UNAUTHORIZED))
            }
            Some(ClientMessage::Subscribe { id, params }) => {
                let origin = Origin { address: self.address, ..Origin::default() };
                self.subscribe(id, params.asked_by(&self.identity, &origin)).await
            }
            Some(ClientMessage::Complete { id }) => {
                // An id that is not known was completed by us in the same moment.
                if let Some(operation) = self.operations.remove(&id) {
                    operation.task.abort();
                }
                Ok(())
            }
        }
    }

    /// Lets the caller in whom the message names, else the one of the upgrade's headers.
    async fn init(&mut self, credential: Result<Option<Credential<'static>>, Denial>) -> Result<(), End> {
        let identities = &self.serving.identities;
        let closed = |denial| End::Close(protocol::denied(denial));
        if identities.is_on() {
            let (credential, caller) =
                match (credential.map_err(|denial| closed(identities.denied(denial)))?, self.asker.take()) {
                    (None, Some((credential, caller))) => (Some(credential), caller),
                    (credential, _) => {
                        let asked = identities.authenticate(&self.serving.pool, credential.as_ref());
                        let caller = asked.await.map_err(closed)?;
                        (credential, caller)
                    }
                };
            self.identity = Arc::clone(&caller.identity);
            let serving = Arc::clone(&self.serving);
            self.denied = Box::pin(async move {
                serving.identities.until_denied(&serving.pool, credential.as_ref(), caller).await
            });
        }
        self.acknowledged = true;
        self.say(protocol::ack()).await
    }

    async fn subscribe(&mut self, id: String, params: Params<'static>) -> Result<(), End> {
        if self.operations.contains_key(&id) {
            return Err(End::Close(protocol::DUPLICATE));
        }
        let refuse = |code, message: &str| protocol::error(&id, &[GraphqlError::new(code, message)]);
        if self.draining {
            return self.say(refuse(Code::Unavailable, "the server is about to end")).await;
        }
        if self.operations.len() >= self.serving.live.options.per_connection {
            return self.say(refuse(Code::LimitExceeded, TOO_MANY_HERE)).await;
        }
        let rates = &self.serving.rates;
        let mut paid = rates.charge_address(self.address, 1).await;
        if paid.is_ok() {
            paid = rates.charge_caller(&params.identity, 1).await;
        }
        if let Err(overdraft) = paid {
            return self.say(protocol::error(&id, &[overdraft.error()])).await;
        }
        let kind = match requests::kind(&self.serving, &params) {
            Ok(kind) => kind,
            Err(errors) => return self.say(protocol::error(&id, &errors)).await,
        };
        self.serving.metrics.graphql_request(kind.into());
        self.next_serial += 1;
        let serial = self.next_serial;
        let live = kind == OperationKind::Subscription;
        let voice = Voice { sender: self.sender.clone(), id: Arc::from(id.as_str()), serial };
        let serving = Arc::clone(&self.serving);
        let task = if live {
            self.tasks.spawn(subscribed(serving, params, voice))
        } else {
            self.tasks.spawn(answered(serving, params, voice))
        };
        self.operations.insert(id, Operation { serial, live, task });
        Ok(())
    }

    async fn deliver(&mut self, Outgoing { id, serial, said }: Outgoing) -> Result<(), End> {
        // What was said before the client completed the operation is of no use to it.
        if self.operations.get(&*id).is_none_or(|operation| operation.serial != serial) {
            return Ok(());
        }
        match said {
            Said::Next(response) => {
                self.serving.live.tally.sent.increment();
                self.say(protocol::next(&id, &response)).await
            }
            Said::Complete => {
                self.operations.remove(&*id);
                self.say(protocol::complete(&id)).await
            }
            Said::Error(errors) => {
                self.operations.remove(&*id);
                self.say(protocol::error(&id, &errors)).await
            }
        }
    }

    /// Completes the subscriptions; what runs otherwise may finish.
    async fn drain(&mut self) -> Result<(), End> {
        self.draining = true;
        let live: Vec<String> = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.live)
            .map(|(id, _)| id.clone())
            .collect();
        for id in live {
            if let Some(operation) = self.operations.remove(&id) {
                operation.task.abort();
            }
            self.say(protocol::complete(&id)).await?;
        }
        Ok(())
    }

    async fn say(&mut self, text: Bytes) -> Result<(), End> {
        // Everything that is written here is made of JSON text.
        let Ok(text) = Utf8Bytes::try_from(text) else { return Err(End::Close(protocol::BAD_MESSAGE)) };
        self.send(Message::Text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.serving.live.options.send_timeout, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_broken)) => Err(End::Gone),
            Err(_elapsed) => Err(End::Slow),
        }
    }

    /// Sends the close code and waits a moment for the client's, so that the code is not lost.
    async fn close(&mut self, reason: CloseReason) {
        let frame = CloseFrame { code: reason.code.into(), reason: Utf8Bytes::from_static(reason.text) };
        let closing = async {
            if self.stream.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        let _in_time = timeout(CLOSE_TIMEOUT, closing).await.is_ok();
    }
}

/// What an operation speaks with.
struct Voice {
    sender: mpsc::Sender<Outgoing>,
    id: Arc<str>,
    serial: u64,
}

impl Voice {
    async fn say(&self, said: Said) {
        let outgoing = Outgoing { id: Arc::clone(&self.id), serial: self.serial, said };
        if self.sender.send(outgoing).await.is_err() {
            // The session is gone, and this task is about to be aborted.
            pending::<()>().await;
        }
    }
}

/// Answers a query or a mutation once.
async fn answered(serving: Arc<Serving>, params: Params<'static>, voice: Voice) {
    match requests::once(&serving, &params).await {
        Whole::Response { json, .. } => {
            voice.say(Said::Next(json)).await;
            voice.say(Said::Complete).await;
        }
        Whole::Refused(_, errors) => voice.say(Said::Error(Arc::new(errors))).await,
    }
}

/// Hands on every answer of a subscription; one that was replaced before it could be sent is left out.
async fn subscribed(serving: Arc<Serving>, params: Params<'static>, voice: Voice) {
    let Some(_active) = serving.live.tally.enter(serving.live.options.total) else {
        let error = GraphqlError::new(Code::LimitExceeded, TOO_MANY);
        return voice.say(Said::Error(Arc::new(vec![error]))).await;
    };
    let mut states = serving.live.hub.join(&serving, params);
    loop {
        match newest(&mut states).await {
            Some(State::Answered(json)) => voice.say(Said::Next(json)).await,
            Some(State::Ended(errors)) => return voice.say(Said::Error(errors)).await,
            Some(State::Waiting) => {}
            None => return voice.say(Said::Complete).await,
        }
    }
}

/// Returns the newest state that was not returned before; `None` when there will be no other.
pub(crate) async fn newest(states: &mut watch::Receiver<State>) -> Option<State> {
    // The first one may be there already.
    states.changed().await.ok()?;
    Some(states.borrow_and_update().clone())
}
