//! Where a project's backups go, and how PostgreSQL is told to archive its WAL there.

use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use fraiseql_backup::{BackupError, BackupKey, BackupPlace, BucketOptions, Repository, unfinished_restore};
use fraiseql_cluster::Custody;
use fraiseql_model::errors;
use fraiseql_model::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::project::Project;
use crate::secrets;

/// What the name of a bucket begins with.
const S3: &str = "s3://";

/// Where a project's backups are, and the key to them.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) location: BackupPlace,
    pub(crate) key: BackupKey,
}

/// Returns how the repository of a project is reached: that of the command line, else the setting;
/// `None` without both.
pub(crate) async fn access(project: &Project, given: Option<&Path>) -> Result<Option<Access>, Failure> {
    let configured = || project.settings.text("backup.repository").map(PathBuf::from);
    let Some(place) = given.map(Path::to_owned).or_else(configured) else { return Ok(None) };
    let settings = &project.settings;
    let resolver = secrets::resolver(settings)?;
    let key = match secrets::value(&resolver, settings, "backup.encryption_key").await? {
        Some(secret) => BackupKey::private(&secret)?,
        None => BackupKey::Open,
    };
    let location = match place.to_str().and_then(|text| text.strip_prefix(S3)) {
        None if given.is_some() => BackupPlace::Folder(place),
        None => BackupPlace::Folder(project.dir.join(place)),
        Some(name) => {
            let id = secrets::value(&resolver, settings, "backup.s3_access_key").await?;
            let secret = secrets::value(&resolver, settings, "backup.s3_secret_key").await?;
            if id.is_some() != secret.is_some() {
                let message = "use the access key of the bucket: one of its two parts is not set";
                let hint = "set backup.s3_access_key and backup.s3_secret_key, or neither";
                return Err(Failure::new(&errors::CFG_MISSING, message).hint(hint));
            }
            let parallel = usize::try_from(settings.integer("backup.parallel")).unwrap_or(1);
            BackupPlace::Bucket(BucketOptions {
                endpoint: settings.text("backup.s3_endpoint").map(str::to_owned),
                region: settings.text("backup.s3_region").map(str::to_owned),
                credentials: id.zip(secret),
                parallel: NonZeroUsize::new(parallel).unwrap_or(NonZeroUsize::MIN),
                ..bucket(name)
            })
        }
    };
    Ok(Some(Access { location, key }))
}

/// Reads `BUCKET/PREFIX`.
fn bucket(name: &str) -> BucketOptions {
    let (bucket, prefix) = name.split_once('/').unwrap_or((name, ""));
    BucketOptions {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: None,
        region: None,
        credentials: None,
        parallel: NonZeroUsize::MIN,
    }
}

/// Opens the repository of a project; fails when none is configured.
pub(crate) async fn open(project: &Project, given: Option<&Path>) -> Result<Repository, Failure> {
    let access = required(project, given).await?;
    Ok(Repository::open(&access.location, access.key)?)
}

/// Returns how the repository is reached; fails when none is configured.
pub(crate) async fn required(project: &Project, given: Option<&Path>) -> Result<Access, Failure> {
    access(project, given).await?.ok_or_else(|| {
        Failure::new(&errors::CFG_MISSING, "find the backups: backup.repository is not set")
            .hint("set backup.repository in fraiseql.toml, or name the folder with --repository")
    })
}

/// Returns the settings with which the embedded PostgreSQL archives; none without a repository.
pub(crate) async fn settings(project: &Project, data_dir: &Path) -> Result<Vec<String>, Failure> {
    let Some(Access { location, key }) = access(project, None).await? else { return Ok(Vec::new()) };
    let custody = Custody::of(data_dir)?;
    let public = key.public();
    let repository = Repository::prepare(&location, key, Some(&custody))?;
    let (program, file) = match &location {
        BackupPlace::Folder(_) => {
            let root = repository.root().unwrap_or(data_dir);
            if !custody.can_reach(root) {
                let message = format!("let PostgreSQL archive into {}", root.display());
                let hint = "open the folders above it to every user with `chmod o+x`, or set another backup.repository";
                return Err(Failure::new(&errors::IO_WRITE, message).hint(hint));
            }
            (program(root, &custody)?, None)
        }
        BackupPlace::Bucket(options) => {
            let folder = own_folder(data_dir, &custody)?;
            (program(&folder, &custody)?, Some(write_access(&folder.join(ACCESS), options, &custody)?))
        }
    };
    Ok(vec![
        "archive_mode=on".to_owned(),
        format!("archive_timeout={}", project.settings.integer("backup.archive_timeout_s")),
        format!(
            "archive_command={}",
            command(&program, &repository.shown(), public.as_deref(), file.as_deref())
        ),
    ])
}

const ACCESS: &str = "access.json";

/// What the program that archives needs for a bucket: it runs in PostgreSQL's environment, as its user.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessFile {
    format: u32,
    endpoint: Option<String>,
    region: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
}

const ACCESS_FORMAT: u32 = 1;

/// Returns a folder beside a data directory that belongs to the server's user.
fn own_folder(data_dir: &Path, custody: &Custody) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let mut name = data_dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(".archiving");
    let folder = data_dir.with_file_name(name);
    let make = || -> std::io::Result<()> {
        fs::create_dir_all(folder.parent().unwrap_or(Path::new("/")))?;
        match folder.is_dir() {
            true => Ok(()),
            false => fs::DirBuilder::new().mode(0o700).create(&folder),
        }
    };
    make().map_err(|error| {
        Failure::new(&errors::IO_WRITE, format!("create {}", folder.display())).because(&error)
    })?;
    custody.give(&folder)?;
    Ok(folder)
}

/// Writes what reaches a bucket into a file that only the server's user may read.
pub(crate) fn write_access(
    path: &Path,
    options: &BucketOptions,
    custody: &Custody,
) -> Result<PathBuf, Failure> {
    let exposed = |which: fn(&(Secret, Secret)) -> &Secret| {
        options.credentials.as_ref().map(|keys| which(keys).expose().to_owned())
    };
    let access = AccessFile {
        format: ACCESS_FORMAT,
        endpoint: options.endpoint.clone(),
        region: options.region.clone(),
        access_key: exposed(|keys| &keys.0),
        secret_key: exposed(|keys| &keys.1),
    };
    let written = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        // Made for its owner alone.
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        new.write_all(&serde_json::to_vec(&access)?)?;
        new.as_file().sync_all()?;
        new.persist(path)?;
        Ok(())
    };
    written().map_err(|error| {
        Failure::new(&errors::IO_WRITE, format!("write {}", path.display())).because(&error)
    })?;
    custody.give(path)?;
    Ok(path.to_owned())
}

/// Opens a repository for the program that archives: to write, with the public key alone.
pub(crate) fn open_to_archive(
    place: &Path,
    file: Option<&Path>,
    public: Option<&str>,
) -> Result<Repository, Failure> {
    let key = public.map_or(Ok(BackupKey::Open), BackupKey::for_writing)?;
    let Some(name) = place.to_str().and_then(|text| text.strip_prefix(S3)) else {
        return Ok(Repository::open(&BackupPlace::Folder(place.to_owned()), key)?);
    };
    let mut options = bucket(name);
    if let Some(path) = file {
        let failed = || Failure::new(&errors::IO_READ, format!("read {}", path.display()));
        let text = fs::read(path).map_err(|error| failed().because(&error))?;
        let access: AccessFile = serde_json::from_slice(&text).map_err(|error| failed().because(&error))?;
        if access.format != ACCESS_FORMAT {
            let message = format!("read {}: it has format {}", path.display(), access.format);
            return Err(Failure::new(&errors::IO_READ, message));
        }
        options.endpoint = access.endpoint;
        options.region = access.region;
        options.credentials = access
            .access_key
            .zip(access.secret_key)
            .map(|(id, secret)| (Secret::new(id), Secret::new(secret)));
    }
    Ok(Repository::open(&BackupPlace::Bucket(options), key)?)
}

/// Returns the `archive_command` for a repository.
pub(crate) fn command(program: &Path, place: &str, public: Option<&str>, file: Option<&Path>) -> String {
    let mut command = format!("{} backup wal-push --repository {}", word(program), word(Path::new(place)));
    if let Some(public) = public {
        command.push_str(&format!(" --recipient {public}"));
    }
    if let Some(file) = file {
        command.push_str(&format!(" --access {}", word(file)));
    }
    command + " %p"
}

/// Returns true when the repository lies on the disk of the data: one loss takes both.
pub(crate) fn same_disk(data_dir: &Path, root: &Path) -> bool {
    let disk = |path: &Path| fs::metadata(path).map(|found| found.dev());
    matches!((disk(data_dir), disk(root)), (Ok(data), Ok(root)) if data == root)
}

/// Fails while a restore of the data directory was interrupted: it may be half switched, and a start
/// would make an empty database in its place.
pub(crate) fn require_whole(data_dir: &Path) -> Result<(), Failure> {
    match unfinished_restore(data_dir)? {
        None => Ok(()),
        Some((id, step)) => Err(BackupError::Unfinished { data_dir: data_dir.to_owned(), id, step }.into()),
    }
}

/// Returns a path as a word for the shell that PostgreSQL starts, and for PostgreSQL's own `%`.
fn word(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''").replace('%', "%%"))
}

/// Returns the path of this program for the server's user. Where that user cannot reach it, as in the
/// home of root, it gets a second name in the repository.
fn program(root: &Path, custody: &Custody) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(&errors::IO_WRITE, "give PostgreSQL a program to archive with").because(&error)
    };
    let this = std::env::current_exe().map_err(failed)?;
    let open = fs::metadata(&this).is_ok_and(|found| found.permissions().mode() & 0o005 == 0o005);
    if custody.can_reach(&this) && open {
        return Ok(this);
    }
    let folder = root.join("bin");
    fs::create_dir_all(&folder).map_err(failed)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    let (new, program) = (folder.join(".new"), folder.join("fraiseql"));
    if new.exists() {
        fs::remove_file(&new).map_err(failed)?;
    }
    // A second name costs nothing; on another disk it is a copy.
    if !open || fs::hard_link(&this, &new).is_err() {
        fs::copy(&this, &new).map_err(failed)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    fs::rename(&new, &program).map_err(failed)?;
    Ok(program)
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Cluster(error) => error.into(),
            BackupError::Postgres(error) => error.into(),
            error => {
                let mut failure = Self::new(error.code(), error.to_string());
                failure.hint = error.hint();
                match std::error::Error::source(&error) {
                    Some(source) => failure.because(source),
                    None => failure,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_shell_and_postgresql() {
        let text = command(Path::new("/opt/50% off/fraiseql"), "/mnt/it's", None, None);
        assert_eq!(text, r"'/opt/50%% off/fraiseql' backup wal-push --repository '/mnt/it'\''s' %p");
        let text = command(Path::new("/f"), "s3://b/p", Some("age1x"), Some(Path::new("/a b")));
        assert_eq!(text, "'/f' backup wal-push --repository 's3://b/p' --recipient age1x --access '/a b' %p");
    }
}
