//! What makes two requests to different servers the same.

use fraiseql_postgres::Target;
use sha2::{Digest, Sha256};

use crate::pipeline::Job;
use crate::prepared::{Piece, PreparedQuery};

/// Returns the key of a query for all servers: its statement and the frame of its response, what it
/// is bound to (`key`, from its `skipped` first bytes on), and as whom which database is asked.
pub(super) fn shared_key(job: &Job<'_>, query: &PreparedQuery, key: &[u8], skipped: usize) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(asked_as(&job.serving.pool.target()).as_bytes());
    add(query.statement.as_ref().map_or("", |statement| &statement.sql).as_bytes());
    for piece in &query.pieces {
        match piece {
            Piece::Text(text) => add(text),
            Piece::Column(column) => add(column.to_string().as_bytes()),
            Piece::Rows => add(b"*"),
        }
    }
    add(key.get(skipped..).unwrap_or_default());
    hex(&hash.finalize())
}

/// Returns what tells databases apart, as part of a key.
pub(super) fn database_key(target: &Target) -> String {
    let whole = format!("{}:{}/{}", target.host(), target.port(), target.database());
    hex(&Sha256::digest(whole.as_bytes())[..8])
}

fn asked_as(target: &Target) -> String {
    format!("{}@{}:{}/{}", target.user(), target.host(), target.port(), target.database())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
