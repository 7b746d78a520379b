//! A session borrowed from the pool: batches under one Sync, rows as they come from the wire.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::{Connection, sql_error};
use crate::error::{PostgresError, SqlError};
use crate::pool::Shelf;
use crate::read_only::{HOLDING, hold};
use crate::statements::Lookup;
use crate::stream::{Address, connect};
use crate::target::Target;

const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// One statement of a batch. Parameters are in text format; `None` is NULL.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// SQL with `$1` and so on, cast to their types.
    pub sql: &'a str,
    /// As many values as the SQL has parameters.
    pub params: &'a [Option<Bytes>],
}

/// A connection that nobody else uses. Dropping it gives it back; what was not read is cancelled
/// and drained in the background first.
#[derive(Debug)]
pub struct Session {
    connection: Option<Connection>,
    shelf: Shelf,
    claims: Option<Claims>,
}

/// The only parameter of [`CLAIM`].
type Claims = Arc<[Option<Bytes>; 1]>;

/// Tells the transaction that it runs in who asks. Its end forgets it.
const CLAIM: &str = "SELECT pg_catalog.set_config('fraiseql.claims', $1, true)";

impl Session {
    pub(crate) fn new(connection: Connection, shelf: Shelf) -> Self {
        Self { connection: Some(connection), shelf, claims: None }
    }

    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a session has its connection until it is dropped")
    }

    /// Gives every batch from now on these claims, as JSON, in `fraiseql.claims` for its transaction, in
    /// the same round trip.
    pub fn announce(&mut self, claims: Bytes) {
        self.claims = Some(Arc::new([Some(claims)]));
    }

    /// Sends statements under one Sync: one round trip, and one transaction unless one is open.
    ///
    /// Each text is prepared once per connection. An SQL error ends the batch and is returned by
    /// [`Rows::next`] once the server is ready again; what the batch did is undone. The whole batch
    /// is sent before anything is read, so large parameters belong into its first statement and
    /// many rows come from its last. Fails when the rows of the batch before were not read to their end.
    pub async fn run<'s>(&'s mut self, batch: &'s [Query<'s>]) -> Result<Rows<'s>, PostgresError> {
        let (batch, hidden) = match self.shelf.is_read_only() {
            true => (hold(batch), HOLDING),
            false => (Cow::Borrowed(batch), 0),
        };
        let claims = self.claims.clone();
        let hidden = hidden + usize::from(claims.is_some());
        let connection = self.connection();
        if connection.pending > 0 {
            return Err(PostgresError::Protocol { what: "a batch before the last one was read" });
        }
        let parsed = write_batch(connection, &with_claims(claims.as_ref(), &batch))?;
        connection.flush().await?;
        Ok(Rows {
            session: self,
            batch,
            claims,
            hidden,
            parsed,
            parses: 0,
            statement: 0,
            received: false,
            retried: false,
            failed: None,
        })
    }

    /// Runs statements without parameters and throws their rows away: BEGIN, SAVEPOINT, COMMIT.
    pub async fn simple(&mut self, sql: &str) -> Result<(), PostgresError> {
        self.connection().simple(sql).await
    }

    /// Returns what cancels this session's running statement from elsewhere.
    pub fn canceller(&self) -> Canceller {
        let connection = self.connection.as_ref().expect("a session has its connection until it is dropped");
        canceller(&self.shelf.target(), connection)
    }
}

pub(crate) fn canceller(target: &Target, connection: &Connection) -> Canceller {
    Canceller {
        target: target.clone(),
        address: connection.address.clone(),
        process_id: connection.process_id,
        secret_key: connection.secret_key,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shelf.give_back(connection);
        }
    }
}

/// Puts the claims before a batch, if there are any.
fn with_claims<'b>(claims: Option<&'b Claims>, batch: &'b [Query<'b>]) -> Cow<'b, [Query<'b>]> {
    let Some(claims) = claims else { return Cow::Borrowed(batch) };
    let mut claimed = Vec::with_capacity(1 + batch.len());
    claimed.push(Query { sql: CLAIM, params: &claims[..] });
    claimed.extend_from_slice(batch);
    Cow::Owned(claimed)
}

/// Writes a batch and its Sync; returns which statements are parsed in it.
fn write_batch(connection: &mut Connection, batch: &[Query<'_>]) -> Result<Vec<bool>, PostgresError> {
    let lookups: Vec<Lookup> = batch.iter().map(|query| connection.statements.look_up(query.sql)).collect();
    connection.unwanted.extend(lookups.iter().filter_map(|lookup| lookup.evicted.clone()));
    // First of all, so that an error of the batch cannot leave them on the server.
    for name in std::mem::take(&mut connection.unwanted) {
        frontend::close(b'S', &name, &mut connection.write)?;
    }
    for (query, lookup) in batch.iter().zip(&lookups) {
        write_query(connection, query, lookup)?;
    }
    frontend::sync(&mut connection.write);
    connection.pending += 1;
    Ok(lookups.into_iter().map(|lookup| lookup.new).collect())
}

fn write_query(connection: &mut Connection, query: &Query<'_>, lookup: &Lookup) -> Result<(), PostgresError> {
    let name = &*lookup.name;
    if lookup.new {
        frontend::parse(name, query.sql, [], &mut connection.write)?;
    }
    let value = |param: &Option<Bytes>, buffer: &mut BytesMut| match param {
        Some(bytes) => {
            buffer.put_slice(bytes);
            Ok(IsNull::No)
        }
        None => Ok(IsNull::Yes),
    };
    frontend::bind("", name, [], query.params, value, [], &mut connection.write).map_err(
        |error| match error {
            frontend::BindError::Conversion(_) => PostgresError::Protocol { what: "a parameter" },
            frontend::BindError::Serialization(error) => PostgresError::Io(error),
        },
    )?;
    frontend::execute("", 0, &mut connection.write)?;
    Ok(())
}

/// The rows of a batch, statement after statement. Reads from the wire only when asked.
#[derive(Debug)]
pub struct Rows<'s> {
    session: &'s mut Session,
    batch: Cow<'s, [Query<'s>]>,
    /// What was sent before the batch.
    claims: Option<Claims>,
    /// How many statements are ours: those that tell who asks and hold the batch read-only.
    hidden: usize,
    /// Which statements were parsed in this batch.
    parsed: Vec<bool>,
    /// How many parses the server has completed.
    parses: usize,
    statement: usize,
    received: bool,
    retried: bool,
    /// The batch's error, until the server is ready again.
    failed: Option<SqlError>,
}

impl<'s> Rows<'s> {
    /// Returns the next row, or `None` once the server is ready again.
    ///
    /// Fails with the batch's SQL error, or when the connection broke.
    pub async fn next(&mut self) -> Result<Option<Row>, PostgresError> {
        loop {
            if self.session.connection().pending == 0 {
                return Ok(None);
            }
            let message = match self.session.connection().receive().await {
                Ok(message) => message,
                // A server that ends the session says why before it hangs up.
                Err(error) => {
                    return Err(self.failed.take().map_or(error, |said| PostgresError::Sql(Box::new(said))));
                }
            };
            match message {
                Message::DataRow(_) if self.statement < self.hidden => {}
                Message::DataRow(body) => {
                    self.received = true;
                    let ranges = body.ranges().collect::<Vec<_>>()?;
                    return Ok(Some(Row {
                        statement: self.statement - self.hidden,
                        buffer: body.buffer_bytes().clone(),
                        ranges,
                    }));
                }
                Message::CommandComplete(_) | Message::EmptyQueryResponse => {
                    self.received |= self.statement >= self.hidden;
                    self.statement += 1;
                }
                Message::ParseComplete => self.parses += 1,
                Message::ErrorResponse(body) => {
                    let mut error = sql_error(&body)?;
                    error.statement = Some(self.statement.saturating_sub(self.hidden));
                    self.failed = Some(error);
                }
                Message::ReadyForQuery(body) => {
                    self.session.connection().ready(body.status());
                    match self.failed.take() {
                        None => return Ok(None),
                        Some(error) if self.may_retry(&error) => self.retry().await?,
                        Some(error) => {
                            self.forget_unparsed();
                            self.forget_stale(&error);
                            return Err(PostgresError::Sql(Box::new(error)));
                        }
                    }
                }
                Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                    return Err(PostgresError::Protocol { what: "COPY is not for batches" });
                }
                _ => {}
            }
        }
    }

    /// Appends the only column of the next row to `into`, or `null` for NULL; returns false once the
    /// server is ready again. The same as [`Rows::next`] for lists of one column, with less to do for
    /// each row; `before` is appended before each row's value.
    pub async fn append_next(
        &mut self,
        null: &[u8],
        before: &[u8],
        into: &mut BytesMut,
    ) -> Result<bool, PostgresError> {
        let start = into.len();
        into.extend_from_slice(before);
        if self.statement >= self.hidden && self.session.connection().take_only_column(null, into) {
            self.received = true;
            return Ok(true);
        }
        let row = self.next().await;
        match &row {
            Ok(Some(row)) => into.extend_from_slice(row.get(0).as_deref().unwrap_or(null)),
            Ok(None) | Err(_) => into.truncate(start),
        }
        Ok(row?.is_some())
    }

    /// A table changed under a prepared statement, or a pooler gave us another server connection.
    fn may_retry(&self, error: &SqlError) -> bool {
        let stale =
            error.sqlstate == "26000" || (error.sqlstate == "0A000" && error.message.contains("cached plan"));
        stale
            && !self.retried
            && !self.received
            && self.session.connection.as_ref().is_some_and(|c| c.transaction == b'I')
    }

    async fn retry(&mut self) -> Result<(), PostgresError> {
        self.forget_all();
        let connection = self.session.connection();
        self.parsed = write_batch(connection, &with_claims(self.claims.as_ref(), &self.batch))?;
        connection.flush().await?;
        (self.parses, self.statement, self.retried) = (0, 0, true);
        Ok(())
    }

    fn forget_all(&mut self) {
        for sql in self.texts() {
            let connection = self.session.connection();
            let name = connection.statements.forget(sql);
            connection.unwanted.extend(name);
        }
    }

    /// The statements as they were sent.
    fn texts(&self) -> Vec<&'s str> {
        let claim = self.claims.as_ref().map(|_| CLAIM);
        claim.into_iter().chain(self.batch.iter().map(|query| query.sql)).collect()
    }

    /// A stale statement that could not be tried again must not be met a second time.
    fn forget_stale(&mut self, error: &SqlError) {
        if is_stale(error) {
            self.forget_all();
        }
    }

    /// Statements whose Parse the server never completed must be parsed again next time.
    fn forget_unparsed(&mut self) {
        let texts = self.texts();
        let asked = texts.iter().zip(&self.parsed).filter(|(_, parsed)| **parsed);
        let missing: Vec<&str> = asked.skip(self.parses).map(|(sql, _)| *sql).collect();
        for sql in missing {
            let connection = self.session.connection();
            let name = connection.statements.forget(sql);
            connection.unwanted.extend(name);
        }
    }
}

/// The plan of a prepared statement does not fit any more, or the server does not have it.
fn is_stale(error: &SqlError) -> bool {
    error.sqlstate == "26000" || (error.sqlstate == "0A000" && error.message.contains("cached plan"))
}

/// A row: columns in text format that share the bytes read from the wire.
#[derive(Clone, Debug)]
pub struct Row {
    /// Index of the statement in its batch.
    pub statement: usize,
    buffer: Bytes,
    ranges: Vec<Option<Range<usize>>>,
}

impl Row {
    /// Returns a column; `None` for NULL, or past the last.
    pub fn get(&self, column: usize) -> Option<Bytes> {
        let range = self.ranges.get(column)?.clone()?;
        Some(self.buffer.slice(range))
    }

    /// Returns the number of columns.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Returns true for a row without columns.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Cancels what a session is running, over a connection of its own.
#[derive(Clone, Debug)]
pub struct Canceller {
    target: Target,
    address: Address,
    process_id: i32,
    secret_key: i32,
}

impl Canceller {
    /// Sends the request. The statement ends with SQLSTATE 57014, or had ended before.
    pub async fn cancel(&self) -> Result<(), PostgresError> {
        let mut stream = connect(&self.target, &self.address, CANCEL_TIMEOUT).await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        stream.write_all(&request).await?;
        // The server hangs up once the signal is sent: waiting for that keeps a late one from
        // reaching whoever uses the connection next.
        let mut nothing = [0_u8; 16];
        let hung_up = async { while stream.read(&mut nothing).await.is_ok_and(|count| count > 0) {} };
        tokio::time::timeout(CANCEL_TIMEOUT, hung_up).await.map_err(|_| PostgresError::Timeout)
    }
}
