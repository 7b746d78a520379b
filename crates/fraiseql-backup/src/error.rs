//! What can go wrong with a backup, its WAL, or a restore.

use std::io::ErrorKind;
use std::path::PathBuf;

use fraiseql_cluster::ClusterError;
use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_postgres::PostgresError;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system is in the way.
    #[error("{action} {}", path.display())]
    File {
        /// A verb: "create", "read", ...
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The bucket does not answer, or refuses.
    #[error("{action} {place}")]
    Storage {
        /// A verb: "read", "write", ...
        action: &'static str,
        /// The object, with its bucket.
        place: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key does not fit.
    #[error("use the encryption key of the backups: {reason}")]
    Key {
        /// Why not. Never shows a private key.
        reason: String,
    },
    /// The folder is no repository, or is one of another version.
    #[error("use {root} as a repository of backups: {reason}")]
    Repository {
        /// The folder or the URL.
        root: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository belongs to another cluster: two would overwrite each other's WAL.
    #[error("use {root} for this server: it holds cluster {expected}, this is {found}")]
    OtherCluster {
        /// The repository.
        root: String,
        /// The system identifier in the repository.
        expected: String,
        /// The system identifier that came.
        found: String,
    },
    /// PostgreSQL's own word for a file of WAL was not recognized.
    #[error("archive {}: its name is not one of WAL", file.display())]
    NotWal {
        /// What was handed over.
        file: PathBuf,
    },
    /// Something else was archived under the name.
    #[error("archive {name}: it is archived already, with other content")]
    Conflict {
        /// The name of the WAL file.
        name: String,
    },
    /// What is there is not what was written.
    #[error("trust {what}: {reason}")]
    Damaged {
        /// The backup or the WAL file.
        what: String,
        /// How it shows.
        reason: String,
    },
    /// WAL between the backup and the target is missing.
    #[error("follow the WAL from backup {backup}: {missing} is missing, {last} is there")]
    Gap {
        /// The backup.
        backup: String,
        /// The first segment that is missing.
        missing: String,
        /// The last segment that is there.
        last: String,
    },
    /// WAL does not arrive.
    #[error("rely on the server's WAL archiving: {reason}")]
    Archiving {
        /// What the server says, or what did not come.
        reason: String,
    },
    /// A program is missing or failed.
    #[error("run {program}: {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Its last lines.
        reason: String,
    },
    /// No backup can be the beginning of this restore.
    #[error("restore to {target}: {reason}")]
    NoBackup {
        /// The target.
        target: String,
        /// Which backups there are.
        reason: String,
    },
    /// WAL ends before the target.
    #[error("restore to {target}: the archived WAL does not reach it; {last}")]
    NotReached {
        /// The target.
        target: String,
        /// Where it ends.
        last: String,
    },
    /// A target that cannot be understood.
    #[error("understand {text:?}: {reason}")]
    Target {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another command works on the repository.
    #[error("work on {root}: another command does")]
    Busy {
        /// The repository.
        root: String,
    },
    /// A restore was interrupted.
    #[error("restore {}: restore {id} was interrupted at the step {step:?}", data_dir.display())]
    Unfinished {
        /// The data directory.
        data_dir: PathBuf,
        /// The restore.
        id: String,
        /// The step.
        step: String,
    },
    /// There is no restore to go on with, or it cannot be given up any more.
    #[error("go back to the interrupted restore: {reason}")]
    Resume {
        /// Why not.
        reason: String,
    },
    /// The restored database is not what it should be.
    #[error("accept the restored database: {reason}")]
    Verify {
        /// What was found.
        reason: String,
    },
    /// A restore point is not there or is there already.
    #[error("use the restore point {name:?}: {reason}")]
    Point {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The database that is to be replaced still runs.
    #[error("replace {}: process {pid} serves it", data_dir.display())]
    Running {
        /// The data directory.
        data_dir: PathBuf,
        /// The server.
        pid: u32,
    },
    /// The server has what this engine cannot back up.
    #[error("back up this server: {reason}")]
    Unsupported {
        /// What it has.
        reason: String,
    },
    /// A server of our own does not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The database refuses us.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

impl BackupError {
    /// Returns the registered code.
    pub fn code(&self) -> &'static ErrorCode {
        match self {
            Self::File { source, .. } if source.kind() == ErrorKind::StorageFull => &errors::IO_DISK_FULL,
            Self::File { action, .. } if *action == "read" => &errors::IO_READ,
            Self::File { .. } => &errors::IO_WRITE,
            Self::Storage { .. } => &errors::BAK_STORAGE,
            Self::Key { .. } => &errors::BAK_KEY,
            Self::Repository { .. } => &errors::BAK_REPOSITORY,
            Self::OtherCluster { .. } => &errors::BAK_OTHER_CLUSTER,
            Self::Conflict { .. } => &errors::BAK_CONFLICT,
            Self::NotWal { .. } | Self::Damaged { .. } => &errors::BAK_DAMAGED,
            Self::Gap { .. } => &errors::BAK_GAP,
            Self::Archiving { .. } => &errors::BAK_ARCHIVING,
            Self::Program { .. } => &errors::BAK_PROGRAM,
            Self::NoBackup { .. } => &errors::BAK_NO_BACKUP,
            Self::NotReached { .. } => &errors::BAK_NOT_REACHED,
            Self::Target { .. } => &errors::BAK_TARGET,
            Self::Busy { .. } => &errors::BAK_BUSY,
            Self::Unfinished { .. } | Self::Resume { .. } => &errors::BAK_UNFINISHED,
            Self::Verify { .. } => &errors::BAK_VERIFY,
            Self::Point { .. } => &errors::BAK_POINT,
            Self::Running { .. } => &errors::BAK_RUNNING,
            Self::Unsupported { .. } => &errors::BAK_UNSUPPORTED,
            Self::Cluster(error) => error.code(),
            Self::Postgres(error) => error.code(),
        }
    }

    /// Returns what to type.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::File { source, .. } if source.kind() == ErrorKind::StorageFull => {
                "make room and run the command again; what was there before is unchanged"
            }
            Self::Storage { .. } => {
                "look at backup.s3_endpoint, backup.s3_region, the access key and the bucket's rights"
            }
            Self::Key { .. } => {
                "set backup.encryption_key to the key of this repository, or begin a new repository"
            }
            Self::Repository { .. } => "set backup.repository to the folder of the backups",
            Self::OtherCluster { .. } => "give each cluster a repository of its own with backup.repository",
            Self::Conflict { .. } => {
                "two servers archive into one repository: turn the archiving of the wrong one off"
            }
            Self::Damaged { .. } => "take a new backup: `fraiseql backup create`",
            Self::Gap { .. } => {
                "restore to a moment before the gap, or take a new backup: `fraiseql backup create`"
            }
            Self::Archiving { .. } => {
                "set archive_mode = on and archive_command = 'fraiseql backup wal-push --repository DIR %p'"
            }
            Self::Program { .. } => {
                "install PostgreSQL's server and client programs, or name their folder with embedded.bin_dir"
            }
            Self::NoBackup { .. } => "look at the backups with `fraiseql backup list`",
            Self::NotReached { .. } => {
                "restore to --latest, or archive what the server still has: `fraiseql backup point NAME`"
            }
            Self::Target { .. } => "write a moment with its zone: --to \"2026-01-26 14:03:00+00\"",
            Self::Busy { .. } => "wait until it has ended and try again",
            Self::Unfinished { .. } => "finish it with --resume, or undo it with --abandon",
            Self::Point { .. } => "look at the restore points with `fraiseql backup list`",
            Self::Running { .. } => "stop `fraiseql up` first: it archives the last WAL when it stops",
            Self::Verify { .. } => "nothing was switched; look at the backups with `fraiseql backup verify`",
            Self::Cluster(error) => return error.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Makes a [`BackupError::File`].
pub(crate) fn file(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.into();
    move |source| BackupError::File { action, path, source }
}

/// Makes a [`BackupError::Damaged`].
pub(crate) fn damaged(what: impl Into<String>, reason: impl Into<String>) -> BackupError {
    BackupError::Damaged { what: what.into(), reason: reason.into() }
}
