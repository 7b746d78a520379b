//! One connection on the data plane: startup, login, the session contract, and framing.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::ScramSha256;
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{PostgresError, SqlError};
use crate::login;
use crate::pooler;
use crate::statements::Statements;
use crate::stream::{Address, Stream, addresses, connect};
use crate::target::{Pooler, Target};

/// PostgreSQL never sends a larger message than this; anything else is not PostgreSQL.
const MESSAGE_BYTES_MAX: u32 = 0x4000_0000;
const READ_BYTES: usize = 32 * 1024;
/// What stands before the value in a row of one column.
const ROW_HEAD_BYTES: usize = 11;

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    read: BytesMut,
    pub(crate) write: BytesMut,
    pub(crate) statements: Statements,
    /// Statements that the server still has and nobody wants: closed with the next batch.
    pub(crate) unwanted: Vec<Arc<str>>,
    pub(crate) address: Address,
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
    server_version: u32,
    /// ReadyForQuery messages that are still to come.
    pub(crate) pending: usize,
    /// The status of the last ReadyForQuery.
    pub(crate) transaction: u8,
    /// The runtime that the socket is registered with, by number.
    pub(crate) home: usize,
    /// The pool's login that it was opened with, by number.
    pub(crate) login: u64,
}

impl Connection {
    /// Connects to the first place of the target that lets us in.
    pub(crate) async fn open(target: &Target, timeout: Duration) -> Result<Self, PostgresError> {
        let mut last = None;
        for address in addresses(target) {
            let attempt = Self::open_at(target, &address, timeout);
            match tokio::time::timeout(timeout, attempt).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = Some(error),
                Err(_) => {
                    let source = std::io::Error::from(std::io::ErrorKind::TimedOut);
                    last = Some(PostgresError::Connect { target: target.to_string(), source });
                }
            }
        }
        Err(last.unwrap_or(PostgresError::Closed))
    }

    async fn open_at(target: &Target, address: &Address, timeout: Duration) -> Result<Self, PostgresError> {
        let stream = connect(target, address, timeout).await?;
        let mut connection = Self {
            stream,
            read: BytesMut::with_capacity(READ_BYTES),
            write: BytesMut::new(),
            statements: Statements::default(),
            unwanted: Vec::new(),
            address: address.clone(),
            process_id: 0,
            secret_key: 0,
            server_version: 0,
            pending: 0,
            transaction: b'I',
            home: 0,
            login: 0,
        };
        connection.start(target).await?;
        match target.pooler {
            Pooler::None => connection.keep_contract(target).await?,
            Pooler::Transaction => pooler::keep_contract(&mut connection, target).await?,
        }
        login::check_kind(&mut connection, target).await?;
        Ok(connection)
    }

    async fn start(&mut self, target: &Target) -> Result<(), PostgresError> {
        let mut parameters =
            vec![("user", target.user()), ("database", target.database()), ("client_encoding", "UTF8")];
        parameters.push(("application_name", target.config.get_application_name().unwrap_or("fraiseql")));
        if target.pooler == Pooler::Transaction {
            parameters.extend(pooler::PARAMETERS);
        } else if let Some(options) = target.config.get_options() {
            parameters.push(("options", options));
        }
        frontend::startup_message(parameters, &mut self.write)?;
        self.flush().await?;
        let mut scram: Option<ScramSha256> = None;
        let mut proven = false;
        loop {
            match self.receive().await? {
                Message::AuthenticationOk if scram.is_some() && !proven => {
                    return Err(auth_error(target, "it does not prove that it knows the password"));
                }
                Message::AuthenticationOk if !proven && login::must_be_bound(target) => {
                    return Err(auth_error(target, "it binds no login to TLS, and channel_binding=require"));
                }
                Message::AuthenticationOk => {}
                Message::AuthenticationCleartextPassword => {
                    if !self.stream.is_private() {
                        return Err(auth_error(target, "it wants the password in the clear, without TLS"));
                    }
                    let password = password(target)?.to_vec();
                    frontend::password_message(&password, &mut self.write)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(target.user().as_bytes(), password(target)?, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut self.write)?;
                }
                Message::AuthenticationSasl(body) => {
                    let offered: Vec<String> = body.mechanisms().map(|name| Ok(name.to_owned())).collect()?;
                    let (mechanism, binding) = login::mechanism(target, &offered, self.stream.end_point())?;
                    let exchange = ScramSha256::new(password(target)?, binding);
                    frontend::sasl_initial_response(mechanism, exchange.message(), &mut self.write)?;
                    scram = Some(exchange);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let exchange =
                        scram.as_mut().ok_or(PostgresError::Protocol { what: "SASL out of turn" })?;
                    exchange.update(body.data())?;
                    frontend::sasl_response(exchange.message(), &mut self.write)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let exchange =
                        scram.as_mut().ok_or(PostgresError::Protocol { what: "SASL out of turn" })?;
                    if exchange.finish(body.data()).is_err() {
                        return Err(auth_error(target, "it does not know the password itself"));
                    }
                    proven = true;
                }
                Message::BackendKeyData(body) => {
                    self.process_id = body.process_id();
                    self.secret_key = body.secret_key();
                }
                Message::ParameterStatus(body) if body.name()? == "server_version" => {
                    self.server_version = major_version(body.value()?)?;
                }
                Message::ParameterStatus(_) => {}
                Message::NoticeResponse(_) => {}
                Message::ErrorResponse(body) => return Err(login_error(target, sql_error(&body)?)),
                Message::ReadyForQuery(_) => return Ok(()),
                _ => return Err(auth_error(target, "it wants a method that is not supported")),
            }
            self.flush().await?;
        }
    }

    /// Returns the server's major version, or that it is too old.
    pub(crate) fn checked_version(&self) -> Result<u32, PostgresError> {
        if self.server_version < 10 {
            return Err(PostgresError::TooOld { found: self.server_version.to_string() });
        }
        Ok(self.server_version)
    }

    /// Sets what compiled SQL relies on, whatever the server's or the role's defaults are.
    async fn keep_contract(&mut self, target: &Target) -> Result<(), PostgresError> {
        let version = self.checked_version()?;
        let mut settings = String::from(
            "SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'; SET DateStyle = 'ISO'; \
             SET bytea_output = 'hex'; SET standard_conforming_strings = on;",
        );
        settings.push_str(if version >= 12 {
            "SET extra_float_digits = 1; SET plan_cache_mode = 'auto';"
        } else {
            "SET extra_float_digits = 3;"
        });
        if version >= 11 {
            settings.push_str("SET jit = off;");
        }
        self.simple(&settings).await.map_err(|error| match error {
            PostgresError::Sql(error) => login_error(target, *error),
            other => other,
        })
    }

    /// Runs statements by the simple protocol and throws their rows away.
    pub(crate) async fn simple(&mut self, sql: &str) -> Result<(), PostgresError> {
        frontend::query(sql, &mut self.write)?;
        self.pending += 1;
        self.flush().await?;
        let mut failed = None;
        while self.pending > 0 {
            match self.receive().await? {
                Message::ErrorResponse(body) => failed = Some(sql_error(&body)?),
                Message::ReadyForQuery(body) => self.ready(body.status()),
                Message::ParameterStatus(_) | Message::NoticeResponse(_) => {}
                _ => {}
            }
        }
        failed.map_or(Ok(()), |error| Err(PostgresError::Sql(Box::new(error))))
    }

    /// Notes a ReadyForQuery.
    pub(crate) fn ready(&mut self, status: u8) {
        self.pending = self.pending.saturating_sub(1);
        self.transaction = status;
    }

    /// Reads and throws away until the server is ready again.
    pub(crate) async fn drain(&mut self) -> Result<(), PostgresError> {
        while self.pending > 0 {
            if let Message::ReadyForQuery(body) = self.receive().await? {
                self.ready(body.status());
            }
        }
        Ok(())
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> Result<(), PostgresError> {
        if !self.write.is_empty() {
            // Takes from the buffer what was written, so that a dropped call can be made again.
            self.stream.write_all_buf(&mut self.write).await?;
            self.stream.flush().await?;
        }
        Ok(())
    }

    /// Returns the next message.
    pub(crate) async fn receive(&mut self) -> Result<Message, PostgresError> {
        loop {
            if let Some(header) = self.read.get(1..5).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
                && u32::from_be_bytes(header) > MESSAGE_BYTES_MAX
            {
                return Err(PostgresError::Protocol { what: "a message of an impossible length" });
            }
            if let Some(message) = Message::parse(&mut self.read)? {
                return Ok(message);
            }
            self.read.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(PostgresError::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Copies the only column of the row that is at the front of what was read, if a whole row with
    /// one column is there; NULL is written as `null`. Nothing is allocated but by `into`.
    pub(crate) fn take_only_column(&mut self, null: &[u8], into: &mut BytesMut) -> bool {
        // Int8 'D', Int32 length without the type, Int16 columns, Int32 length of the value or -1.
        let Some(head) = self.read.first_chunk::<ROW_HEAD_BYTES>() else { return false };
        let [b'D', a, b, c, d, 0, 1, e, f, g, h] = *head else { return false };
        let (length, value) = (u32::from_be_bytes([a, b, c, d]), i32::from_be_bytes([e, f, g, h]));
        let size = usize::try_from(value).unwrap_or(0);
        let whole = ROW_HEAD_BYTES + size;
        if length > MESSAGE_BYTES_MAX || length as usize + 1 != whole || self.read.len() < whole {
            return false;
        }
        into.extend_from_slice(if value < 0 { null } else { &self.read[ROW_HEAD_BYTES..whole] });
        self.read.advance(whole);
        true
    }

    /// Returns true when the connection can be used: nothing pending, nothing said, not hung up.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending == 0 && self.transaction == b'I' && self.read.is_empty() && self.stream.is_quiet()
    }

    /// Registers the socket with the calling thread's runtime, whose number is `home`.
    ///
    /// A socket under TLS stays where it is: it works from everywhere, and wakes its own runtime first.
    pub(crate) fn move_to(&mut self, home: usize) -> std::io::Result<()> {
        if self.home != home && self.stream.register_here()? {
            self.home = home;
        }
        Ok(())
    }

    /// Says goodbye. Errors do not matter: the connection is given up anyway.
    pub(crate) async fn close(mut self) {
        frontend::terminate(&mut self.write);
        if self.flush().await.is_ok() {
            drop(self.stream.shutdown().await);
        }
    }
}

/// Reads the major version of `15.18 (Debian ...)` or `18beta1`.
fn major_version(text: &str) -> Result<u32, PostgresError> {
    let digits = text.split(|character: char| !character.is_ascii_digit()).next().unwrap_or("");
    digits.parse().map_err(|_| PostgresError::Protocol { what: "the server's version" })
}

fn password(target: &Target) -> Result<&[u8], PostgresError> {
    target.config.get_password().ok_or_else(|| auth_error(target, "it wants a password and none was given"))
}

pub(crate) fn auth_error(target: &Target, reason: &str) -> PostgresError {
    PostgresError::Auth { target: target.to_string(), reason: reason.to_owned() }
}

/// Sorts the errors of a login by what a person has to do about them.
pub(crate) fn login_error(target: &Target, error: SqlError) -> PostgresError {
    match error.sqlstate.as_str() {
        "28000" | "28P01" => PostgresError::Auth { target: target.to_string(), reason: error.message },
        // Starting up, shutting down, or in recovery: away for now.
        "57P01" | "57P02" | "57P03" => PostgresError::Connect {
            target: target.to_string(),
            source: std::io::Error::new(std::io::ErrorKind::ConnectionRefused, error.message),
        },
        "3D000" => PostgresError::NoDatabase { target: target.to_string() },
        _ => PostgresError::Sql(Box::new(error)),
    }
}

/// Reads the fields of an ErrorResponse.
pub(crate) fn sql_error(body: &ErrorResponseBody) -> Result<SqlError, PostgresError> {
    let mut error = SqlError::default();
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => error.sqlstate = text,
            b'V' => error.severity = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'n' => error.constraint = Some(text),
            b's' => error.schema = Some(text),
            b't' => error.table = Some(text),
            b'c' => error.column = Some(text),
            _ => {}
        }
    }
    Ok(error)
}
