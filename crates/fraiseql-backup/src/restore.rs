//! Restores: into a folder aside, replayed, looked at, and only then in the place of the old data
//! directory, which is kept under another name.
//!
//! Each step is in the journal before it begins. What was interrupted before the switch is undone and
//! done again, since nothing of the old database was touched; the switch itself is finished.

use std::path::{Path, PathBuf};

use fraiseql_cluster::{Custody, Programs};
use fraiseql_postgres::{Target, connect_control};

use crate::base::read_base;
use crate::check::{amcheck, compare_rows, databases};
use crate::error::{BackupError, damaged, file};
use crate::event::Watcher;
use crate::folder::sync_folder;
use crate::journal::{Interrupted, Journal, RestoreStep, Undertaking, beside};
use crate::moment::Moment;
use crate::plan::{Planned, RestorePlan, RestoreRequest, plan_in};
use crate::records::BackupManifest;
use crate::recover::{Aside, Recovered, recover};
use crate::repository::Repository;
use crate::tool;

/// What a restore is done with.
#[derive(Debug)]
pub struct RestoreOptions<'o> {
    /// PostgreSQL's programs, of the major version of the backup.
    pub programs: &'o Programs,
    /// The data directory to replace; it need not be there.
    pub data_dir: &'o Path,
    /// The clock of this machine.
    pub clock: fn() -> std::time::SystemTime,
    /// What is looked at before the restored database is accepted.
    pub inspection: Inspection,
}

/// What is looked at before a restored database is accepted. Digests of backup and WAL, and that the
/// target was reached, are compared in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inspection {
    /// The restored files are read again, by `pg_verifybackup` and `amcheck`.
    Full,
    /// They are not.
    Quick,
}

const SKIPPED: &str = "pg_verifybackup and amcheck, which read the restored files once more";

/// What a restore did.
#[derive(Debug)]
pub struct RestoreReport {
    /// Its id, which is in the names of what it left.
    pub id: String,
    /// What was done; `None` when only the switch of an interrupted restore was finished.
    pub plan: Option<RestorePlan>,
    /// The timeline that the database goes on with; `None` as above.
    pub timeline: Option<u32>,
    /// Where the old data directory is, if there was one.
    pub kept: Option<PathBuf>,
    /// What was looked at, in words.
    pub checks: Vec<String>,
    /// What was left out, in words.
    pub skipped: Vec<String>,
}

/// Restores and switches. The server of the old data directory must not run, and is not started.
///
/// Until the switch an error, or `kill -9`, leaves the old data directory as it was; after an error
/// nothing else is left, after a kill [`resume`] or [`abandon`] goes on. The switch is two renames, and
/// [`resume`] finishes it whichever of them was done. `restore_survives_a_crash_at_every_step` shows it.
pub async fn restore(
    repository: &Repository,
    request: &RestoreRequest,
    options: &RestoreOptions<'_>,
    watcher: &Watcher<'_>,
) -> Result<RestoreReport, BackupError> {
    let journal = Journal::of(options.data_dir, options.clock);
    if let Some(found) = journal.interrupted()? {
        return Err(found.error(options.data_dir));
    }
    require_stopped(options.data_dir)?;
    let id = Moment::of((options.clock)()).compact();
    let undertaking = Undertaking {
        repository: repository.shown(),
        request: request.clone(),
        aside: beside(options.data_dir, &format!(".restore-{id}")),
        kept: beside(options.data_dir, &format!(".before-{id}")),
        id,
    };
    journal.begin(&undertaking)?;
    let aside = Aside::create(undertaking.aside.clone())?;
    let RestoreOptions { programs, inspection, .. } = *options;
    let work = Work { repository, request, programs, watcher, inspection, journal: Some(&journal) };
    let done = match work.until_checked(&aside, options.data_dir).await {
        Ok(done) => done,
        Err(error) => {
            aside.remove().await?;
            journal.end("failed")?;
            return Err(error);
        }
    };
    let kept = switch(&journal, &undertaking, options.data_dir, watcher)?;
    let Done { plan, timeline, checks } = done;
    let skipped = (inspection == Inspection::Quick).then(|| SKIPPED.to_owned()).into_iter().collect();
    Ok(RestoreReport {
        id: undertaking.id,
        plan: Some(plan),
        timeline: Some(timeline),
        kept,
        checks,
        skipped,
    })
}

/// Goes on with an interrupted restore: finishes its switch if that had begun, else undoes what was
/// done and does it again, to the same target.
pub async fn resume(
    repository: impl FnOnce() -> Result<Repository, BackupError>,
    options: &RestoreOptions<'_>,
    watcher: &Watcher<'_>,
) -> Result<RestoreReport, BackupError> {
    let (journal, found) = interrupted(options)?;
    if found.is_harmless() {
        found.aside().remove().await?;
        journal.end("undone, to be done again")?;
        let repository = repository()?;
        if repository.shown() != found.undertaking.repository {
            let (ours, theirs) = (repository.shown(), &found.undertaking.repository);
            let reason = format!("it reads from {theirs}, and {ours} is given");
            return Err(BackupError::Resume { reason });
        }
        return restore(&repository, &found.undertaking.request, options, watcher).await;
    }
    let kept = switch(&journal, &found.undertaking, options.data_dir, watcher)?;
    Ok(RestoreReport {
        id: found.undertaking.id,
        plan: None,
        timeline: None,
        kept,
        checks: Vec::new(),
        skipped: Vec::new(),
    })
}

/// Undoes an interrupted restore. Fails once its switch has begun: then only [`resume`] helps.
pub async fn abandon(options: &RestoreOptions<'_>) -> Result<String, BackupError> {
    let (journal, found) = interrupted(options)?;
    if !found.is_harmless() {
        let reason = "its switch had begun: finish it with --resume, the old data is kept".to_owned();
        return Err(BackupError::Resume { reason });
    }
    found.aside().remove().await?;
    journal.end("abandoned")?;
    Ok(found.undertaking.id)
}

fn interrupted(options: &RestoreOptions<'_>) -> Result<(Journal, Interrupted), BackupError> {
    let journal = Journal::of(options.data_dir, options.clock);
    let none = || BackupError::Resume {
        reason: format!("no restore of {} was interrupted", options.data_dir.display()),
    };
    let found = journal.interrupted()?.ok_or_else(none)?;
    Ok((journal, found))
}

/// Fails when a server runs in the data directory.
fn require_stopped(data_dir: &Path) -> Result<(), BackupError> {
    let Ok(found) = data_dir.canonicalize() else { return Ok(()) };
    match Custody::of(&found)?.servers(&found).first() {
        Some(server) => Err(BackupError::Running { data_dir: found, pid: server.pid }),
        None => Ok(()),
    }
}

/// What a restore and a drill have in common.
pub(crate) struct Work<'w> {
    pub(crate) repository: &'w Repository,
    pub(crate) request: &'w RestoreRequest,
    pub(crate) programs: &'w Programs,
    pub(crate) watcher: &'w Watcher<'w>,
    pub(crate) inspection: Inspection,
    pub(crate) journal: Option<&'w Journal>,
}

/// What was done aside.
pub(crate) struct Done {
    pub(crate) plan: RestorePlan,
    pub(crate) timeline: u32,
    pub(crate) checks: Vec<String>,
}

impl Work<'_> {
    fn begin(&self, step: RestoreStep) -> Result<(), BackupError> {
        if let Some(journal) = self.journal {
            journal.intend(step)?;
        }
        self.watcher.step(step.name());
        Ok(())
    }

    fn done(&self, step: RestoreStep) -> Result<(), BackupError> {
        self.journal.map_or(Ok(()), |journal| journal.done(step))
    }

    /// Restores into `aside` and checks; the server there is stopped when this returns.
    pub(crate) async fn until_checked(&self, aside: &Aside, data_dir: &Path) -> Result<Done, BackupError> {
        let custody = Custody::of(data_dir)?;
        self.begin(RestoreStep::Plan)?;
        let planned =
            plan_in(self.repository, self.programs, self.request, &aside.root, &custody, self.watcher)?;
        self.done(RestoreStep::Plan)?;
        self.begin(RestoreStep::Unpack)?;
        let mut checks = vec![unpack(self, aside, &planned.backup, &custody)?];
        self.done(RestoreStep::Unpack)?;
        self.begin(RestoreStep::Recover)?;
        let Recovered { cluster, timeline } = recover(aside, &planned, self.programs, &custody).await?;
        checks.push(format!("replayed to the target, timeline {timeline}"));
        let checked = async {
            self.done(RestoreStep::Recover)?;
            self.begin(RestoreStep::Check)?;
            let found = look(&|database| cluster.url(database), &planned, self.inspection).await?;
            self.done(RestoreStep::Check)?;
            Ok::<_, BackupError>(found)
        };
        let checked = checked.await;
        cluster.stop().await?;
        checks.extend(checked?);
        Ok(Done { plan: planned.plan, timeline, checks })
    }
}

fn unpack(
    work: &Work<'_>,
    aside: &Aside,
    backup: &BackupManifest,
    custody: &Custody,
) -> Result<String, BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let data = aside.data();
    std::fs::DirBuilder::new().mode(0o700).create(&data).map_err(file("create", &data))?;
    custody.give(&data)?;
    work.watcher.begin(format!("unpacking backup {}", backup.label), backup.stored_bytes);
    let facts = read_base(work.repository, &backup.label, Some((&data, custody)), work.watcher)?;
    work.watcher.end();
    require_same(backup, &facts.stored_sha256)?;
    if work.inspection == Inspection::Full {
        verify_by_program(work.programs, &data)?;
    }
    Ok(format!("{} files as PostgreSQL wrote them down", facts.files))
}

/// Fails when what was read is not what was stored.
pub(crate) fn require_same(backup: &BackupManifest, sha256: &str) -> Result<(), BackupError> {
    match backup.stored_sha256 == sha256 {
        true => Ok(()),
        false => {
            let what = format!("backup {}", backup.label);
            Err(damaged(what, "it has another SHA-256 than was written down"))
        }
    }
}

/// Lets PostgreSQL's own program compare the files with the manifest. WAL lies elsewhere.
fn verify_by_program(programs: &Programs, data: &Path) -> Result<(), BackupError> {
    const PROGRAM: &str = "pg_verifybackup";
    let mut command = tool::command(programs, PROGRAM)?;
    command.args(["--no-parse-wal", "--quiet", "--exit-on-error"]).arg(data);
    let output = tool::output(PROGRAM, &mut command)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(BackupError::Verify { reason: tool::last_lines(&output.stderr) }),
    }
}

async fn look(
    url: &(dyn Fn(&str) -> String + Sync),
    planned: &Planned,
    inspection: Inspection,
) -> Result<Vec<String>, BackupError> {
    let connect = async |database: &str| connect_control(&Target::parse(&url(database))?).await;
    let mut checks = Vec::new();
    for database in databases(&connect("postgres").await?).await? {
        let client = connect(&database).await?;
        if inspection == Inspection::Full {
            match amcheck(&client, &database, planned.backup.major).await? {
                Some(check) => checks.push(check),
                None => checks.push(format!("no amcheck of {database}: the extension is not installed")),
            }
        }
        if let Some(expected) = planned.plan.rows.get(&database) {
            checks.push(compare_rows(&client, &database, expected).await?);
        }
    }
    Ok(checks)
}

/// Gives the old data directory its new name and the restored one its place. May be called again at
/// any time: it looks what was done. Returns where the old one is, if there was one.
fn switch(
    journal: &Journal,
    undertaking: &Undertaking,
    data_dir: &Path,
    watcher: &Watcher<'_>,
) -> Result<Option<PathBuf>, BackupError> {
    let aside = Aside { root: undertaking.aside.clone() };
    let restored = aside.data();
    let rename = |from: &Path, to: &Path| -> Result<(), BackupError> {
        std::fs::rename(from, to).map_err(file("rename", from))?;
        sync_folder(data_dir.parent().unwrap_or(Path::new("/")))
    };
    if data_dir.exists() && undertaking.kept.exists() && restored.exists() {
        let reason = format!(
            "{} was made anew meanwhile; the restored database is {}, the old one {}",
            data_dir.display(),
            restored.display(),
            undertaking.kept.display()
        );
        return Err(BackupError::Resume { reason });
    }
    if data_dir.exists() && restored.exists() {
        journal.intend(RestoreStep::Keep)?;
        watcher.step(RestoreStep::Keep.name());
        require_stopped(data_dir)?;
        rename(data_dir, &undertaking.kept)?;
        journal.done(RestoreStep::Keep)?;
    }
    if restored.exists() {
        journal.intend(RestoreStep::Switch)?;
        watcher.step(RestoreStep::Switch.name());
        rename(&restored, data_dir)?;
        journal.done(RestoreStep::Switch)?;
    }
    if aside.root.exists() {
        std::fs::remove_dir_all(&aside.root).map_err(file("remove", &aside.root))?;
    }
    journal.end("switched")?;
    Ok(undertaking.kept.exists().then(|| undertaking.kept.clone()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::event::BackupEvent;
    use crate::plan::RestoreTarget;

    fn clock() -> std::time::SystemTime {
        std::time::UNIX_EPOCH
    }

    struct Bench {
        folder: tempfile::TempDir,
        undertaking: Undertaking,
    }

    impl Bench {
        /// A data directory, and a restored one beside it that passed its checks.
        fn new(with_old: bool) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let data_dir = folder.path().join("data");
            let undertaking = Undertaking {
                id: "r1".to_owned(),
                repository: folder.path().join("repository").display().to_string(),
                request: RestoreRequest { target: RestoreTarget::Latest, timeline: None, backup: None },
                aside: beside(&data_dir, ".restore-r1"),
                kept: beside(&data_dir, ".before-r1"),
            };
            let bench = Self { folder, undertaking };
            if with_old {
                fs::create_dir(bench.data_dir()).unwrap();
                bench.mark(&bench.data_dir(), "old");
            }
            fs::create_dir_all(bench.undertaking.aside.join("data")).unwrap();
            bench.mark(&bench.undertaking.aside.join("data"), "new");
            bench.journal().begin(&bench.undertaking).unwrap();
            bench
        }

        fn data_dir(&self) -> PathBuf {
            self.folder.path().join("data")
        }

        fn mark(&self, folder: &Path, text: &str) {
            crate::folder::replace(&folder.join("mark"), text.as_bytes()).unwrap();
        }

        fn journal(&self) -> Journal {
            Journal::of(&self.data_dir(), clock)
        }

        /// Switches, and dies in the step of that name.
        fn switch_dying_at(&self, step: &'static str) {
            let die = move |event: BackupEvent| assert_ne!(event, BackupEvent::Step(step), "the crash");
            let data_dir = self.data_dir();
            let journal = self.journal();
            let switching = || switch(&journal, &self.undertaking, &data_dir, &Watcher(&die)).map(|_| ());
            assert!(catch_unwind(AssertUnwindSafe(switching)).is_err(), "it lived through {step}");
        }

        #[track_caller]
        fn check_resumed(&self, kept: bool) {
            let programs = Programs::find(None, &[], None).unwrap();
            let data_dir = self.data_dir();
            let options = RestoreOptions {
                programs: &programs,
                data_dir: &data_dir,
                clock,
                inspection: Inspection::Full,
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            assert!(matches!(runtime.block_on(abandon(&options)), Err(BackupError::Resume { .. })));
            let report = runtime
                .block_on(resume(|| unreachable!("it is past that"), &options, &Watcher(&|_| ())))
                .unwrap();
            assert_eq!(fs::read_to_string(data_dir.join("mark")).unwrap(), "new");
            let old = report.kept.map(|kept| fs::read_to_string(kept.join("mark")).unwrap());
            assert_eq!(old.as_deref(), kept.then_some("old"));
            assert!(!self.undertaking.aside.exists());
            assert_eq!(self.journal().interrupted().unwrap(), None);
        }
    }

    #[test]
    fn a_switch_is_finished_wherever_it_was_interrupted() {
        for step in ["keep", "switch"] {
            let bench = Bench::new(true);
            bench.switch_dying_at(step);
            bench.check_resumed(true);
        }
        // The rename was done, and its outcome was not written down.
        let bench = Bench::new(true);
        bench.switch_dying_at("keep");
        fs::rename(bench.data_dir(), &bench.undertaking.kept).unwrap();
        bench.check_resumed(true);
        let bench = Bench::new(true);
        bench.switch_dying_at("switch");
        fs::rename(bench.undertaking.aside.join("data"), bench.data_dir()).unwrap();
        bench.check_resumed(true);
    }

    #[test]
    fn a_switch_without_an_old_database_is_finished_too() {
        let bench = Bench::new(false);
        bench.switch_dying_at("switch");
        bench.check_resumed(false);
    }

    #[test]
    fn a_data_directory_that_was_made_meanwhile_is_not_touched() {
        let bench = Bench::new(true);
        bench.switch_dying_at("switch");
        fs::create_dir(bench.data_dir()).unwrap();
        bench.mark(&bench.data_dir(), "stranger");
        let journal = bench.journal();
        let switched = switch(&journal, &bench.undertaking, &bench.data_dir(), &Watcher(&|_| ()));
        assert!(matches!(switched, Err(BackupError::Resume { .. })), "{switched:?}");
        assert_eq!(fs::read_to_string(bench.data_dir().join("mark")).unwrap(), "stranger");
    }
}
