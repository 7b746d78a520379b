//! Servers that last, and servers that do not, against the real programs.

#![expect(clippy::disallowed_methods, reason = "half a file of a test harms nobody")]

mod owner;
mod refusing;
mod starting;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_cluster::{Cluster, ClusterError, ClusterOptions, Programs, Progress, Scratch, ScratchOptions};
use fraiseql_postgres::{Target, connect_control};
use fraiseql_process::{ProcessId, is_alive};
use rustix::process::Signal;

/// Of another major version, when FRAISEQL_TEST_BIN_DIR names its programs.
fn programs() -> Programs {
    let dir = std::env::var_os("FRAISEQL_TEST_BIN_DIR").map(PathBuf::from);
    Programs::find(dir.as_deref(), &[], std::env::var_os("PATH").as_deref()).expect("PostgreSQL is installed")
}

/// A folder that the server's user can reach, removed at the end.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("fraiseql cluster ").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn options(data_dir: PathBuf) -> ClusterOptions {
    ClusterOptions { programs: programs(), data_dir, settings: vec!["fsync=off".to_owned()] }
}

/// Starts a cluster and returns what happened on the way.
async fn start(data_dir: &Path) -> (Cluster, Vec<Progress>) {
    let happened = std::cell::RefCell::new(Vec::new());
    let tell = |progress| happened.borrow_mut().push(progress);
    let cluster = Cluster::start(options(data_dir.to_owned()), &tell).await.unwrap();
    (cluster, happened.into_inner())
}

async fn execute(cluster: &Cluster, sql: &str) {
    let client = connect_control(&Target::parse(&cluster.url("app")).unwrap()).await.unwrap();
    client.batch_execute(sql).await.unwrap();
}

async fn rows(cluster: &Cluster) -> i64 {
    let client = connect_control(&Target::parse(&cluster.url("app")).unwrap()).await.unwrap();
    client.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0)
}

fn kill(pid: u32) {
    let process = ProcessId::of(pid).expect("it runs");
    process.signal(Signal::KILL);
}

#[tokio::test]
async fn data_outlives_stop_adoption_and_kill() {
    let folder = folder();
    let data_dir = folder.path().join("with spaces").join("data");
    let (cluster, happened) = start(&data_dir).await;
    assert_eq!(happened, [Progress::Initdb, Progress::Starting, Progress::Ready]);
    assert!(cluster.ensure_database("app").await.unwrap());
    assert!(!cluster.ensure_database("app").await.unwrap(), "the second time it is there");
    execute(&cluster, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    cluster.stop().await.unwrap();

    let (cluster, happened) = start(&data_dir).await;
    assert_eq!(happened, [Progress::Starting, Progress::Ready]);
    assert_eq!(rows(&cluster).await, 1);

    // The owner is killed: nobody calls stop, and the next start takes the server over.
    let pid = cluster.pid();
    let (mut adopted, happened) = start(&data_dir).await;
    assert_eq!(happened, [Progress::Adopted]);
    assert_eq!(adopted.pid(), pid);
    execute(&adopted, "INSERT INTO t VALUES (2)").await;

    // The server is killed: what was committed is there.
    kill(pid);
    adopted.wait().await;
    drop(cluster);
    let (cluster, _) = start(&data_dir).await;
    assert_eq!(rows(&cluster).await, 2);
    assert_ne!(cluster.pid(), pid);
    let process = ProcessId::of(cluster.pid()).unwrap();
    cluster.stop().await.unwrap();
    assert!(!is_alive(process));
}

#[tokio::test]
async fn leftovers_of_a_killed_initdb_are_cleared_away() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let left = folder.path().join("data.new-999999999");
    std::fs::create_dir_all(left.join("base")).unwrap();
    let (cluster, _) = start(&data_dir).await;
    assert!(!left.exists());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_does_not_stop_the_start() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let (cluster, _) = start(&data_dir).await;
    cluster.stop().await.unwrap();
    std::fs::write(data_dir.join("postmaster.pid"), format!("{}\n", std::process::id())).unwrap();
    let (cluster, _) = start(&data_dir).await;
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_very_long_path_still_has_a_short_socket() {
    let folder = folder();
    let data_dir = folder.path().join("x".repeat(120)).join("data");
    let (cluster, _) = start(&data_dir).await;
    assert!(cluster.ensure_database("app").await.unwrap());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_is_refused() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    std::fs::write(data_dir.join("PG_VERSION"), "9\n").unwrap();
    let refused = Cluster::start(options(data_dir), &|_| {}).await.unwrap_err();
    assert!(matches!(refused, ClusterError::OtherMajor { .. }), "{refused}");
}

#[test]
fn programs_that_are_missing_or_too_old_are_named() {
    let folder = folder();
    let missing = Programs::find(Some(folder.path()), &[], None).unwrap_err();
    assert!(matches!(missing, ClusterError::Incomplete { missing: "postgres", .. }), "{missing}");
    for name in ["postgres", "initdb"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let old = Programs::find(Some(folder.path()), &[], None).unwrap_err();
    assert!(matches!(old, ClusterError::TooOld { .. }), "{old}");
}

#[tokio::test]
async fn a_scratch_server_goes_with_its_owner() {
    let scratch = Scratch::start(ScratchOptions { programs: Some(programs()), ..ScratchOptions::default() })
        .await
        .unwrap();
    scratch.create_database("app").await.unwrap();
    let (process, folder) = (scratch.process(), scratch.folder().to_owned());
    assert!(is_alive(process) && folder.exists());
    drop(scratch);
    assert!(process.gone(Duration::from_secs(60)).await);
    assert!(!folder.exists());
}
