//! Owners that are killed: this test binary runs itself as the owner.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fraiseql_cluster::{Progress, Scratch, ScratchOptions};
use fraiseql_process::{ProcessId, is_alive};

use crate::{folder, programs, rows, start};

const DATA_DIR: &str = "FRAISEQL_TEST_OWNED_DATA";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs one test of this binary as an owner, until it has printed `words` words behind "owned:".
fn spawn_owner(test: &str, data_dir: &Path) -> (Child, Vec<String>) {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DATA_DIR, data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(owner.stdout.take().unwrap());
    let mut lines = stdout.lines().map(|line| line.expect("the owner prints text"));
    let line = lines.find_map(|line| Some(line.split_once("owned:")?.1.to_owned()));
    let line = line.expect("the owner starts its server");
    (owner, line.split('|').map(|word| word.trim().to_owned()).collect())
}

fn kill(mut owner: Child) {
    owner.kill().unwrap();
    owner.wait().unwrap();
}

/// The owner of a scratch server, when a test runs it as such.
#[tokio::test]
async fn scratch_owner() {
    if std::env::var_os(DATA_DIR).is_some() {
        let scratch =
            Scratch::start(ScratchOptions { programs: Some(programs()), ..ScratchOptions::default() })
                .await
                .unwrap();
        println!("owned:{}|{}", scratch.process().pid, scratch.folder().display());
        std::future::pending::<()>().await;
    }
}

/// The owner of a cluster, when a test runs it as such.
#[tokio::test]
async fn cluster_owner() {
    if let Some(data_dir) = std::env::var_os(DATA_DIR) {
        let (cluster, _) = start(Path::new(&data_dir)).await;
        cluster.ensure_database("app").await.unwrap();
        crate::execute(&cluster, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
        println!("owned:{}", cluster.pid());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_scratch_server_goes_when_its_owner_is_killed() {
    let folder = folder();
    let (owner, words) = spawn_owner("owner::scratch_owner", folder.path());
    let process = ProcessId::of(words[0].parse().unwrap()).expect("the server runs");
    let scratch = PathBuf::from(&words[1]);
    assert!(scratch.exists());
    kill(owner);
    assert!(process.gone(LIMIT).await, "the watcher ends the server");
    let removed = async {
        while scratch.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, removed).await.expect("the watcher removes the folder");
}

#[tokio::test]
async fn a_cluster_outlives_its_killed_owner_and_is_adopted() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let (owner, words) = spawn_owner("owner::cluster_owner", &data_dir);
    let process = ProcessId::of(words[0].parse().unwrap()).expect("the server runs");
    kill(owner);
    let (mut cluster, happened) = start(&data_dir).await;
    assert_eq!(happened, [Progress::Adopted]);
    assert_eq!(cluster.pid(), process.pid);
    assert!(is_alive(process) && cluster.is_running());
    assert_eq!(rows(&cluster).await, 1);
    cluster.stop().await.unwrap();
    assert!(!is_alive(process), "a server that is not our child is stopped too");
}

#[tokio::test]
async fn owner_and_server_are_killed_and_the_data_is_there() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let (owner, words) = spawn_owner("owner::cluster_owner", &data_dir);
    let process = ProcessId::of(words[0].parse().unwrap()).expect("the server runs");
    kill(owner);
    crate::kill(process.pid);
    assert!(process.gone(LIMIT).await);
    let (cluster, happened) = start(&data_dir).await;
    assert_eq!(happened.last(), Some(&Progress::Ready));
    assert_eq!(rows(&cluster).await, 1);
    cluster.stop().await.unwrap();
}
