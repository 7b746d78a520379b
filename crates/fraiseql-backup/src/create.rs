//! Takes a base backup: from the server into the repository, read again, listed only then.

use std::io::{Read, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fraiseql_cluster::Programs;
use fraiseql_postgres::Target;

use crate::base::read_base;
use crate::chain::Chain;
use crate::error::{BackupError, file};
use crate::event::Watcher;
use crate::moment::Moment;
use crate::records::{BackupManifest, FORMAT};
use crate::repository::Repository;
use crate::source::Source;
use crate::storage::Upload;
use crate::timeline::TimelinePath;
use crate::tool;

/// What a base backup is taken with.
#[derive(Debug)]
pub struct CreateOptions<'o> {
    /// Where to.
    pub repository: &'o Repository,
    /// Where from, as a role with the right to replicate.
    pub target: &'o Target,
    /// PostgreSQL's programs, of the server's major version or newer.
    pub programs: &'o Programs,
    /// The most kilobytes for each second; 0 is no limit.
    pub rate_kb: u64,
    /// The clock of the machine with the repository.
    pub clock: fn() -> std::time::SystemTime,
}

const PROGRAM: &str = "pg_basebackup";
const LEVEL: i32 = 3;
/// A server that sends nothing for so long waits for WAL that does not come into an archive.
const STALL: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Takes a base backup and returns it once every file was read again and compared with PostgreSQL's
/// manifest, and the WAL that it needs is in the repository, whole.
///
/// A crash, or an error, leaves no backup: what it had copied is removed by the next call. One call
/// at a time for a repository.
pub async fn create_backup(
    options: &CreateOptions<'_>,
    watcher: &Watcher<'_>,
) -> Result<BackupManifest, BackupError> {
    let repository = options.repository;
    let _lock = repository.lock()?;
    for left in repository.unfinished()? {
        repository.remove_backup(&left)?;
    }
    let source = Source::open(options.target).await?;
    repository.claim(source.system_id, source.segment_bytes)?;
    source.prove_archiving(repository).await?;
    let started_at = source.now().await?;
    let label = started_at.compact();
    watcher.begin(format!("copying about {} of files", human_bytes(source.bytes)), source.bytes);
    let stored = copy(options, &label, watcher)?;
    watcher.end();
    watcher.begin("reading the copy again", stored);
    let facts = read_base(repository, &label, None, watcher)?;
    watcher.end();
    source.archived(repository, facts.timeline, facts.stop_lsn).await?;
    let stopped_at = source.now().await?;
    let manifest = BackupManifest {
        format: FORMAT,
        label: label.clone(),
        system_id: source.system_id.to_string(),
        major: source.major,
        timeline: facts.timeline,
        start_lsn: facts.start_lsn,
        stop_lsn: facts.stop_lsn,
        started_at,
        stopped_at,
        segment_bytes: source.segment_bytes,
        bytes: facts.bytes,
        files: facts.files,
        stored_bytes: facts.stored_bytes,
        stored_sha256: facts.stored_sha256,
        verified_at: Moment::of((options.clock)()),
        settings: source.settings,
    };
    let path = TimelinePath::to(facts.timeline, &repository.histories()?)?;
    Chain::find(repository, &manifest, &path)?.require_to(&manifest, manifest.stop_lsn)?.check(repository)?;
    repository.add_manifest(&manifest)?;
    Ok(manifest)
}

/// Copies, and returns how many bytes are stored.
fn copy(options: &CreateOptions<'_>, label: &str, watcher: &Watcher<'_>) -> Result<u64, BackupError> {
    let mut command = tool::command(options.programs, PROGRAM)?;
    command.args(["--pgdata=-", "--format=tar", "--wal-method=none", "--checkpoint=fast", "--no-password"]);
    command.args(["--manifest-checksums=SHA256", &format!("--label=fraiseql {label}")]);
    if options.rate_kb > 0 {
        command.arg(format!("--max-rate={}", options.rate_kb));
    }
    command.envs(options.target.libpq_environment());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |reason: String| BackupError::Program { program: PROGRAM, reason };
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(mut stderr)) = (stdout, stderr) else {
        return Err(failed("its output cannot be read".to_owned()));
    };
    let child = Mutex::new(Some(child));
    let moved = AtomicU64::new(0);
    let (copied, said, stalled) = std::thread::scope(|scope| {
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            // What cannot be read is not shown.
            drop(stderr.read_to_end(&mut said));
            said
        });
        let watching = scope.spawn(|| watch(&child, &moved));
        let copied = store(stdout, options.repository, label, &moved, watcher);
        moved.store(u64::MAX, Ordering::Relaxed);
        let stalled = watching.join().unwrap_or(false);
        (copied, said.join().unwrap_or_default(), stalled)
    });
    let mut child = child.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(mut child) = child.take() else { return Err(failed("it is gone".to_owned())) };
    if copied.is_err() {
        // It would wait for somebody who reads.
        child.kill().map_err(|error| failed(error.to_string()))?;
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    let stored = copied?;
    if stalled {
        let reason = format!("the server waits for WAL that is not archived: {}", tool::last_lines(&said));
        return Err(BackupError::Archiving { reason });
    }
    match status.success() {
        true => Ok(stored),
        false => Err(failed(format!("{status}: {}", tool::last_lines(&said)))),
    }
}

/// Kills the program when nothing moves any more. Returns whether it did.
fn watch(child: &Mutex<Option<Child>>, moved: &AtomicU64) -> bool {
    let (mut last, mut still) = (0, Duration::ZERO);
    loop {
        let now = moved.load(Ordering::Relaxed);
        if now == u64::MAX {
            return false;
        }
        still = if now == last { still + LOOK_EVERY } else { Duration::ZERO };
        last = now;
        if still >= STALL {
            let mut child = child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            return child.as_mut().is_some_and(|child| child.kill().is_ok());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn store(
    mut from: ChildStdout,
    repository: &Repository,
    label: &str,
    moved: &AtomicU64,
    watcher: &Watcher<'_>,
) -> Result<u64, BackupError> {
    let mut target = Counting { to: repository.upload_base(label)?, bytes: 0 };
    let mut stored = || -> std::io::Result<()> {
        let mut encoder = zstd::stream::write::Encoder::new(repository.key().writer(&mut target)?, LEVEL)?;
        encoder.include_checksum(true)?;
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                return encoder.finish()?.finish().map(|_| ());
            }
            encoder.write_all(&buffer[..read])?;
            moved.fetch_add(read as u64, Ordering::Relaxed);
            watcher.bytes(read as u64);
        }
    };
    let place = || format!("backup {label} in {}", repository.shown());
    stored().map_err(|error| match repository.root() {
        Some(root) => file("write", root)(error),
        None => BackupError::Storage { action: "write", place: place(), source: Box::new(error) },
    })?;
    let bytes = target.bytes;
    target.to.finish()?;
    Ok(bytes)
}

/// Counts what is written through it.
struct Counting {
    to: Box<dyn Upload>,
    bytes: u64,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Returns a number of bytes for people.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64 / 1_000.0;
    for unit in UNITS {
        if value < 1_000.0 || unit == "TB" {
            return format!("{value:.1} {unit}");
        }
        value /= 1_000.0;
    }
    format!("{bytes} B")
}
