//! Starts a server on restored files, lets it replay to the target, and looks where it really is.
//!
//! Its exit code, and that it takes connections, prove nothing: it may have stopped early.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_cluster::{Cluster, ClusterOptions, Custody, Programs};
use fraiseql_postgres::{ControlClient, PostgresError, Target, connect_control};
use tokio::time::Instant;

use crate::error::{BackupError, file};
use crate::lsn::Lsn;
use crate::plan::{Planned, STAGED, StopAt};

/// Replay that makes no progress for so long has failed.
const REPLAY_STALL: Duration = Duration::from_secs(120);
const PROMOTE_TIMEOUT_S: i32 = 120;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A folder beside a data directory in which one is restored.
#[derive(Clone, Debug)]
pub(crate) struct Aside {
    pub(crate) root: PathBuf,
}

impl Aside {
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Makes the folder. The server's user may pass through it.
    pub(crate) fn create(root: PathBuf) -> Result<Self, BackupError> {
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        fs::DirBuilder::new().mode(0o711).create(&root).map_err(file("create", &root))?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o711)).map_err(file("open", &root))?;
        Ok(Self { root })
    }

    /// Ends what runs in it and removes it. Does nothing when it is not there.
    pub(crate) async fn remove(&self) -> Result<(), BackupError> {
        if !self.root.exists() {
            return Ok(());
        }
        let data = self.data();
        Custody::of(&data)?.end_servers(&data).await?;
        fs::remove_dir_all(&self.root).map_err(file("remove", &self.root))
    }
}

/// A restored server that replayed to the target and begins a new timeline.
pub(crate) struct Recovered {
    pub(crate) cluster: Cluster,
    pub(crate) timeline: u32,
}

/// Starts the server, waits for the target, checks that it is the target, and promotes.
pub(crate) async fn recover(
    aside: &Aside,
    planned: &Planned,
    programs: &Programs,
    custody: &Custody,
) -> Result<Recovered, BackupError> {
    let data = aside.data();
    prepare(aside, custody)?;
    let options =
        ClusterOptions { programs: programs.clone(), data_dir: data, settings: settings(aside, planned) };
    let mut cluster = Cluster::start(options, &|_| ()).await?;
    let reached = async {
        let client = connect_control(&Target::parse(&cluster.url("postgres"))?).await?;
        wait_for_pause(&client).await?;
        require_stop(&client, &planned.plan.stop).await?;
        promote(&client, planned.plan.timeline).await
    };
    match reached.await {
        Ok(timeline) => Ok(Recovered { cluster, timeline }),
        Err(error) => {
            let error = match cluster.is_running() {
                true => error,
                false => BackupError::Verify { reason: format!("PostgreSQL ended: {}", log_end(aside)) },
            };
            cluster.stop().await?;
            Err(error)
        }
    }
}

/// Writes what a server needs that its own machine keeps elsewhere, and asks for a recovery.
fn prepare(aside: &Aside, custody: &Custody) -> Result<(), BackupError> {
    let data = aside.data();
    let make = |path: PathBuf, text: &str| -> Result<(), BackupError> {
        if path.exists() {
            return Ok(());
        }
        let mut new = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(file("create", &path))?;
        new.write_all(text.as_bytes()).map_err(file("write", &path))?;
        Ok(custody.give(&path)?)
    };
    make(data.join("recovery.signal"), "")?;
    make(data.join("postgresql.conf"), "")?;
    make(data.join("pg_hba.conf"), "local all all peer\n")?;
    // Its socket lies in a folder of its user alone.
    make(hba(aside), "local all all trust\n")
}

fn hba(aside: &Aside) -> PathBuf {
    aside.root.join("hba.conf")
}

fn settings(aside: &Aside, planned: &Planned) -> Vec<String> {
    let quoted = |path: &Path| path.display().to_string().replace('\'', "'\\''").replace('%', "%%");
    let mut settings = vec![
        format!("restore_command=cp '{}/%f' '%p'", quoted(&aside.root.join(STAGED))),
        format!("recovery_target_timeline={}", planned.plan.timeline),
        "recovery_target_action=pause".to_owned(),
        // Those of the machine that was backed up.
        "recovery_target=".to_owned(),
        "recovery_target_time=".to_owned(),
        "recovery_target_xid=".to_owned(),
        "recovery_target_name=".to_owned(),
        "hot_standby=on".to_owned(),
        "primary_conninfo=".to_owned(),
        "ssl=off".to_owned(),
        format!("hba_file={}", hba(aside).display()),
        // What it writes is noted as to be archived, and is archived once it has taken its place.
        "archive_mode=on".to_owned(),
        "archive_command=".to_owned(),
    ];
    let (lsn, inclusive) = match planned.plan.stop {
        StopAt::Before { record, .. } => (record, "off"),
        StopAt::After { record } => (record, "on"),
    };
    settings.push(format!("recovery_target_lsn={lsn}"));
    settings.push(format!("recovery_target_inclusive={inclusive}"));
    settings.extend(planned.backup.settings.iter().map(|(name, value)| format!("{name}={value}")));
    settings
}

async fn wait_for_pause(client: &ControlClient) -> Result<(), BackupError> {
    let (mut last, mut since) = (String::new(), Instant::now());
    loop {
        let sql = "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() \
                   ELSE false END, coalesce(pg_last_wal_replay_lsn()::text, '')";
        let row = client.query_one(sql, &[]).await.map_err(PostgresError::from)?;
        let (recovering, paused, at): (bool, bool, String) = (row.get(0), row.get(1), row.get(2));
        if !recovering {
            let reason = format!("it ended its recovery at {at} without reaching the target");
            return Err(BackupError::Verify { reason });
        }
        if paused {
            return Ok(());
        }
        if at != last {
            (last, since) = (at, Instant::now());
        } else if since.elapsed() >= REPLAY_STALL {
            return Err(BackupError::Verify { reason: format!("its replay stands still at {last}") });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Fails when the server does not stand where the plan wants it.
async fn require_stop(client: &ControlClient, stop: &StopAt) -> Result<(), BackupError> {
    let sql = "SELECT pg_last_wal_replay_lsn()::text";
    let row = client.query_one(sql, &[]).await.map_err(PostgresError::from)?;
    let at = Lsn::parse(row.get(0))?;
    let (right, wanted) = match stop {
        StopAt::Before { record, previous } => {
            (*previous < at && at <= *record, format!("between {previous} and {record}"))
        }
        StopAt::After { record } => (at > *record, format!("behind {record}")),
    };
    match right {
        true => Ok(()),
        false => Err(BackupError::Verify { reason: format!("its replay stopped at {at}, not {wanted}") }),
    }
}

/// Ends the recovery and returns the new timeline.
async fn promote(client: &ControlClient, followed: u32) -> Result<u32, BackupError> {
    let wrong = |reason: String| BackupError::Verify { reason };
    let promoted = client.query_one("SELECT pg_promote(true, $1)", &[&PROMOTE_TIMEOUT_S]).await;
    if !promoted.map_err(PostgresError::from)?.get::<_, bool>(0) {
        return Err(wrong(format!("it was not promoted within {PROMOTE_TIMEOUT_S} s")));
    }
    let sql = "SELECT pg_is_in_recovery(), substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)";
    let row = client.query_one(sql, &[]).await.map_err(PostgresError::from)?;
    if row.get::<_, bool>(0) {
        return Err(wrong("it is still in recovery after it was promoted".to_owned()));
    }
    let name: String = row.get(1);
    let timeline = u32::from_str_radix(&name, 16).map_err(|error| wrong(error.to_string()))?;
    if timeline <= followed {
        return Err(wrong(format!("it goes on with timeline {timeline} instead of a new one")));
    }
    Ok(timeline)
}

fn log_end(aside: &Aside) -> String {
    match fs::read(aside.root.join("data.log")) {
        Ok(log) => crate::tool::last_lines(&log),
        Err(error) => format!("its log cannot be read: {error}"),
    }
}
