//! A primary and a replica of it that streams, both of their own, to be killed, held back and promoted.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fraiseql_cluster::Scratch;
use fraiseql_postgres::{Target, connect_control};

use crate::{database, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// Both servers; they end when this is dropped.
#[derive(Debug)]
pub struct Replicated {
    replica: Standby,
    primary: Scratch,
}

#[derive(Debug)]
struct Standby {
    child: Option<Child>,
    dir: PathBuf,
    programs: PathBuf,
}

impl Replicated {
    /// Starts a primary, and a replica of what `setup` leaves in it.
    ///
    /// # Panics
    /// When one of them does not start, as everything here does.
    pub async fn start(setup: &str) -> Self {
        let mut options = database::options();
        options.settings.push("wal_writer_delay=10ms".to_owned());
        let programs = options.programs.clone().expect("the tests choose them").bin_dir;
        let primary = Scratch::start(options).await.expect("a primary");
        primary.create_database("app").await.expect("a database");
        execute(&primary.url("app"), setup).await;
        let dir = primary.folder().join("r");
        let mut replica = Standby { child: None, dir, programs };
        let socket = socket_of(&primary);
        let made = replica
            .command("pg_basebackup", primary.folder())
            .args(["-U", "postgres", "-X", "stream", "-c", "fast", "-R", "-h"])
            .arg(&socket)
            .arg("-D")
            .arg(&replica.dir)
            .status()
            .expect("it runs");
        assert!(made.success(), "a base backup");
        replica.start(primary.folder());
        let pair = Self { replica, primary };
        pair.answers().await;
        pair
    }

    /// Returns the connection string of the primary.
    pub fn primary_url(&self) -> String {
        self.primary.url("app")
    }

    /// Returns the connection string of the replica.
    pub fn replica_url(&self) -> String {
        let socket = self.replica.dir.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@/app?host={socket}&sslmode=disable")
    }

    /// Returns one connection string for whichever of both may write.
    pub fn writer_url(&self) -> String {
        let primary = socket_of(&self.primary);
        format!(
            "host={},{} user=postgres dbname=app sslmode=disable target_session_attrs=read-write",
            primary.display(),
            self.replica.dir.display()
        )
    }

    /// Runs statements on the replica.
    pub async fn on_replica(&self, sql: &str) {
        execute(&self.replica_url(), sql).await;
    }

    /// Runs statements on the primary.
    pub async fn on_primary(&self, sql: &str) {
        execute(&self.primary_url(), sql).await;
    }

    /// Kills the replica.
    pub fn kill_replica(&mut self) {
        self.replica.kill();
    }

    /// Starts the replica again.
    pub async fn start_replica(&mut self) {
        self.replica.start(self.primary.folder());
        self.answers().await;
    }

    /// Kills the primary, for good.
    pub fn kill_primary(&self) {
        crash(self.primary.process().pid);
    }

    /// Makes the replica a primary.
    pub async fn promote(&self) {
        let done = self
            .replica
            .command("pg_ctl", self.primary.folder())
            .arg("promote")
            .arg("-D")
            .arg(&self.replica.dir)
            .status();
        assert!(done.expect("it runs").success());
        let url = self.replica_url();
        wait_until(LIMIT, || async {
            let client =
                connect_control(&Target::parse(&url).expect("our own URL")).await.expect("it answers");
            let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await.expect("the query runs");
            !row.get::<_, bool>(0)
        })
        .await;
    }

    async fn answers(&self) {
        let url = self.replica_url();
        let target = Target::parse(&url).expect("our own URL");
        wait_until(LIMIT, || async { connect_control(&target).await.is_ok() }).await;
    }
}

impl Standby {
    /// Returns a program that runs as the owner of `folder`, who is the servers' account.
    fn command(&self, program: &str, folder: &Path) -> Command {
        let owner = std::fs::metadata(folder).expect("it is there");
        let mut command = Command::new(self.programs.join(program));
        command.uid(owner.uid()).gid(owner.gid()).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&mut self, folder: &Path) {
        std::fs::set_permissions(&self.dir, Permissions::from_mode(0o700)).expect("it is ours");
        let owner = std::fs::metadata(folder).expect("it is there");
        chown(&self.dir, Some(owner.uid()), Some(owner.gid())).expect("it may be given");
        let socket = format!("unix_socket_directories={}", self.dir.display());
        let child = self
            .command("postgres", folder)
            .arg("-D")
            .arg(&self.dir)
            .args(["-c", &socket, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"])
            .args(["-c", "hot_standby=on", "-c", "max_wal_senders=40", "-c", "shared_buffers=64MB"])
            .args([
                "-c",
                "max_replication_slots=40",
                "-c",
                "wal_level=logical",
                "-c",
                "logging_collector=off",
            ])
            .spawn();
        self.child = Some(child.expect("it starts"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            crash(child.id());
            child.wait().expect("it ends");
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends a server and its children at once, without a checkpoint. After a SIGKILL of the first process the
/// others would go on until they notice.
fn crash(pid: u32) {
    let told = Command::new("kill").args(["-QUIT", &pid.to_string()]).status();
    assert!(told.expect("kill runs").success());
}

fn socket_of(primary: &Scratch) -> PathBuf {
    PathBuf::from(Target::parse(&primary.url("app")).expect("our own URL").host())
}

async fn execute(url: &str, sql: &str) {
    let client = connect_control(&Target::parse(url).expect("our own URL")).await.expect("it answers");
    client.batch_execute(sql).await.expect("legal statements");
}
