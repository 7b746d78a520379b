//! `fraiseql backup`: base backups, archived WAL, restore points, drills.

pub(crate) mod gate;
mod status;

pub(crate) use gate::require_backup;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use fraiseql_backup::{
    BackupKey, BackupManifest, BackupPlace, CreateOptions, Moment, Repository, Retention, Watcher,
    create_backup, create_point, prune, push_wal, verify,
};
use fraiseql_cluster::Custody;
use serde_json::json;

use super::up;
use super::usage::database_target;
use crate::archiving;
use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::progress::Progress;
use crate::project::Project;

const DAY: Duration = Duration::from_secs(86_400);

/// Commands on backups.
#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Make the repository, and print the settings with which a server of yours archives into it
    Init(Init),
    /// Make a key for backup.encryption_key: the private part on stdout, once
    Keygen,
    /// Take a base backup, read it again, and list it only then
    Create(Create),
    /// Take a base backup unless there is a verified one that is younger than backup.age_max_h
    Ensure(Place),
    /// Tell how old the newest backup, the last archived WAL and the last drill are
    Status(Place),
    /// List backups, restore points and drills
    List(Place),
    /// Read every backup and all WAL again, compare all digests, look for gaps
    Verify(Place),
    /// Name this moment, and archive everything before it at once
    Point(Point),
    /// Forget backups and WAL that are older than backup.keep_count and backup.keep_days keep
    Prune(Prune),
    /// Restore the newest state aside, check it, throw it away; tells how long it took
    Drill(Drill),
    /// Archive one file of WAL: the archive_command of PostgreSQL
    WalPush(WalPush),
}

/// Which project, and which repository.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The project
    #[command(flatten)]
    pub(crate) project: ProjectArguments,
    /// The folder of the backups, or s3://BUCKET/PREFIX; default: backup.repository
    #[arg(long, value_name = "DIR")]
    pub(crate) repository: Option<PathBuf>,
}

/// Arguments of `backup init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where
    #[command(flatten)]
    place: Place,
    /// For a bucket: write the access key into this file, for the server's user alone
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
}

/// Arguments of `backup create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Where
    #[command(flatten)]
    place: Place,
    /// The most kilobytes a second that are read from the server
    #[arg(long, value_name = "KB", value_parser = clap::value_parser!(u64).range(32..=1_048_576))]
    rate: Option<u64>,
}

/// Arguments of `backup point`.
#[derive(Debug, Args)]
pub(crate) struct Point {
    /// The name, for example before-deploy-42
    name: String,
    /// Where
    #[command(flatten)]
    place: Place,
}

/// Arguments of `backup prune`.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Where
    #[command(flatten)]
    place: Place,
    /// Say what would be forgotten, and forget nothing
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `backup drill`.
#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Where
    #[command(flatten)]
    place: Place,
    /// A folder with room for the database
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// Arguments of `backup wal-push`.
#[derive(Debug, Args)]
pub(crate) struct WalPush {
    /// The folder of the backups, or s3://BUCKET/PREFIX
    #[arg(long, value_name = "DIR")]
    repository: PathBuf,
    /// The public key to encrypt to
    #[arg(long, value_name = "KEY")]
    recipient: Option<String>,
    /// The file that `backup init` or `up` wrote, with what reaches the bucket
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// The file: %p
    file: PathBuf,
}

/// Runs a command.
pub(crate) async fn run(command: Backup, printer: &Printer) -> Result<(), Failure> {
    match command {
        Backup::Init(arguments) => init(&arguments, printer).await,
        Backup::Keygen => keygen(printer),
        Backup::Create(arguments) => create(&arguments, printer).await,
        Backup::Ensure(place) => gate::run(&place, printer).await,
        Backup::Status(place) => status::run(&place, printer).await,
        Backup::List(place) => list(&place, printer).await,
        Backup::Verify(place) => verify_all(&place, printer).await,
        Backup::Point(arguments) => point(&arguments, printer).await,
        Backup::Prune(arguments) => forget(&arguments, printer).await,
        Backup::Drill(arguments) => drill(&arguments, printer).await,
        Backup::WalPush(arguments) => {
            let (file, public) = (arguments.access.as_deref(), arguments.recipient.as_deref());
            let repository = archiving::open_to_archive(&arguments.repository, file, public)?;
            push_wal(&repository, &arguments.file, Moment::of(now()))?;
            Ok(())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "backups carry the time of day")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

async fn opened(place: &Place) -> Result<(Project, Repository), Failure> {
    let project = Project::open(&place.project, &[])?;
    let repository = archiving::open(&project, place.repository.as_deref()).await?;
    Ok((project, repository))
}

async fn init(arguments: &Init, printer: &Printer) -> Result<(), Failure> {
    let project = Project::open(&arguments.place.project, &[])?;
    let access = archiving::required(&project, arguments.place.repository.as_deref()).await?;
    let public = access.key.public();
    let mut file = None;
    let custody = match &access.location {
        // As root the server's user owns it, as it will archive into it.
        BackupPlace::Folder(root) => Some(Custody::of(root)?),
        BackupPlace::Bucket(options) => {
            if let Some(path) = &arguments.access {
                file = Some(archiving::write_access(path, options, &Custody::of(path)?)?);
            }
            None
        }
    };
    let repository = Repository::prepare(&access.location, access.key, custody.as_ref())?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::internal("find the path of this program", &error))?;
    let place = repository.shown();
    let command = archiving::command(&program, &place, public.as_deref(), file.as_deref());
    let timeout = project.settings.integer("backup.archive_timeout_s");
    let quoted = command.replace('\'', "''");
    if printer.is_json() {
        printer.data_json(&json!({ "repository": place, "archive_command": command }));
        return Ok(());
    }
    printer.data(&format!("archive_mode = on\narchive_timeout = {timeout}\narchive_command = '{quoted}'\n"));
    printer.say("put these lines into postgresql.conf and restart the server; `up` sets them by itself");
    Ok(())
}

fn keygen(printer: &Printer) -> Result<(), Failure> {
    let (secret, public) = BackupKey::generate();
    if printer.is_json() {
        printer.data_json(&json!({ "private": secret.expose(), "public": public }));
        return Ok(());
    }
    printer.data(&format!("{}\n", secret.expose()));
    printer.say(&format!("its public part is {public}"));
    printer.say("keep it where the loss of this machine does not take it: without it no backup can be read");
    Ok(())
}

async fn create(arguments: &Create, printer: &Printer) -> Result<(), Failure> {
    let (project, repository) = opened(&arguments.place).await?;
    let target = database_target(&project).await?;
    let programs = up::programs(&project)?;
    let progress = Progress::new(printer, "backup");
    let options = CreateOptions {
        repository: &repository,
        target: &target,
        programs: &programs,
        rate_kb: arguments.rate.unwrap_or(0),
        clock: now,
    };
    let manifest = create_backup(&options, &Watcher(&|event| progress.show(event))).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "backup": manifest }));
        return Ok(());
    }
    printer.data(&format!("{}\n", line(&manifest)));
    let same = |root| up::place(&project).is_ok_and(|(data_dir, _)| archiving::same_disk(&data_dir, root));
    if repository.root().is_some_and(same) {
        printer.say("warning: the backups lie on the disk of the database: its loss takes both");
    }
    Ok(())
}

fn line(backup: &BackupManifest) -> String {
    format!(
        "{}  verified  {:>10}  stored {:>10}  timeline {}  {}  {}",
        backup.label,
        bytes(backup.bytes),
        bytes(backup.stored_bytes),
        backup.timeline,
        backup.stop_lsn,
        backup.stopped_at
    )
}

fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}

async fn list(place: &Place, printer: &Printer) -> Result<(), Failure> {
    let (_, repository) = opened(place).await?;
    let (backups, points, drills) = (repository.backups()?, repository.points()?, repository.drills()?);
    if printer.is_json() {
        printer.data_json(&json!({ "backups": backups, "points": points, "drills": drills }));
        return Ok(());
    }
    if backups.is_empty() {
        printer.say("there is no backup yet: `fraiseql backup create`");
    }
    for backup in &backups {
        printer.data(&format!("backup  {}\n", line(backup)));
    }
    for point in &points {
        printer.data(&format!(
            "point   {}  timeline {}  {}  {}\n",
            point.name, point.timeline, point.lsn, point.at
        ));
    }
    if let Some(drill) = drills.last() {
        let (rto, rpo) = (drill.rto_ms as f64 / 1e3, drill.rpo_ms as f64 / 1e3);
        printer.data(&format!(
            "drill   {}  of backup {}  RTO {rto:.1} s  RPO {rpo:.1} s\n",
            drill.at, drill.backup
        ));
    }
    Ok(())
}

async fn verify_all(place: &Place, printer: &Printer) -> Result<(), Failure> {
    let (_, repository) = opened(place).await?;
    let progress = Progress::new(printer, "verify");
    let found = verify(&repository, &Watcher(&|event| progress.show(event)))?;
    if printer.is_json() {
        let problems: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        printer.data_json(&json!({ "verified": found, "problems": problems }));
    } else {
        for label in &found.backups {
            printer.data(&format!("backup {label} is whole\n"));
        }
        printer.data(&format!("{} files of WAL, {}\n", found.wal_files, bytes(found.wal_bytes)));
    }
    let mut problems = found.problems.into_iter();
    let Some(first) = problems.next() else { return Ok(()) };
    let mut failure = Failure::from(first);
    failure.causes.extend(problems.map(|problem| format!("also: {problem}")));
    Err(failure)
}

async fn point(arguments: &Point, printer: &Printer) -> Result<(), Failure> {
    let (project, repository) = opened(&arguments.place).await?;
    let target = database_target(&project).await?;
    let point = create_point(&repository, &target, &arguments.name).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "point": point }));
    } else {
        printer.data(&format!("{}  timeline {}  {}  {}\n", point.name, point.timeline, point.lsn, point.at));
        printer.say(&format!("go back to it with `fraiseql restore --to-point {}`", point.name));
    }
    Ok(())
}

async fn forget(arguments: &Prune, printer: &Printer) -> Result<(), Failure> {
    let (project, repository) = opened(&arguments.place).await?;
    let days = u32::try_from(project.settings.integer("backup.keep_days")).unwrap_or(u32::MAX);
    let retention = Retention { count: project.settings.integer("backup.keep_count"), age: DAY * days };
    let pruned = prune(&repository, retention, Moment::of(now()), !arguments.dry_run)?;
    if printer.is_json() {
        printer.data_json(&json!({ "pruned": pruned, "dry_run": arguments.dry_run }));
        return Ok(());
    }
    let verb = if arguments.dry_run { "would forget" } else { "forgot" };
    for label in &pruned.backups {
        printer.data(&format!("{verb} backup {label}\n"));
    }
    for name in &pruned.points {
        printer.data(&format!("{verb} point {name}\n"));
    }
    printer.data(&format!("{verb} {} files of WAL\n", pruned.wal.len()));
    Ok(())
}

async fn drill(arguments: &Drill, printer: &Printer) -> Result<(), Failure> {
    let (project, repository) = opened(&arguments.place).await?;
    let programs = up::programs(&project)?;
    let above = arguments.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let progress = Progress::new(printer, "drill");
    let watcher = Watcher(&|event| progress.show(event));
    let record = fraiseql_backup::drill(&repository, &programs, Path::new(&above), now, &watcher).await?;
    if printer.is_json() {
        printer.data_json(&json!({ "drill": record }));
        return Ok(());
    }
    for check in &record.checks {
        printer.data(&format!("ok   {check}\n"));
    }
    let (rto, rpo) = (record.rto_ms as f64 / 1e3, record.rpo_ms as f64 / 1e3);
    printer.data(&format!("RTO  {rto:.1} s for {} of backup {}\n", bytes(record.bytes), record.backup));
    printer.data(&format!("RPO  {rpo:.1} s since the last WAL was archived\n"));
    Ok(())
}
