//! Starts that meet something: another start, a killed server, a stranger's pid, an impatient caller.

use std::path::Path;

use fraiseql_cluster::{Cluster, Progress};
use fraiseql_postgres::{Target, connect_control};
use fraiseql_process::{ProcessId, is_alive};
use rustix::process::Signal;
use tokio::sync::Notify;

use crate::{execute, folder, kill, options, rows, start};

#[tokio::test]
async fn two_starts_at_once_end_with_one_server() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let ((one, first), (two, second)) = tokio::join!(start(&data_dir), start(&data_dir));
    assert_eq!(one.pid(), two.pid());
    let adopted = [first, second].into_iter().filter(|happened| happened.contains(&Progress::Adopted));
    assert_eq!(adopted.count(), 1);
    one.stop().await.unwrap();
    assert!(!{ two }.is_running());
}

#[tokio::test]
async fn two_data_directories_may_stand_side_by_side() {
    let folder = folder();
    let (one, _) = start(&folder.path().join("one")).await;
    let (two, _) = start(&folder.path().join("two")).await;
    assert_ne!(one.pid(), two.pid());
    assert!(one.ensure_database("app").await.unwrap() && two.ensure_database("app").await.unwrap());
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_with_a_comma_and_quotes_in_its_name_works() {
    let folder = folder();
    let (cluster, _) = start(&folder.path().join("a, \"b\" 'c' %d").join("data")).await;
    assert!(cluster.ensure_database("app").await.unwrap());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_link_to_a_data_directory_is_the_same_data_directory() {
    let folder = folder();
    let (cluster, _) = start(&folder.path().join("data")).await;
    std::os::unix::fs::symlink(folder.path().join("data"), folder.path().join("link")).unwrap();
    let (adopted, happened) = start(&folder.path().join("link")).await;
    assert_eq!(happened, [Progress::Adopted]);
    assert_eq!(adopted.pid(), cluster.pid());
    adopted.stop().await.unwrap();
}

/// A backend that cannot notice that its postmaster is dead keeps the shared memory in use.
#[tokio::test]
async fn a_stuck_process_of_a_killed_server_is_ended() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let (mut cluster, _) = start(&data_dir).await;
    cluster.ensure_database("app").await.unwrap();
    execute(&cluster, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let client = connect_control(&Target::parse(&cluster.url("app")).unwrap()).await.unwrap();
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let stuck = ProcessId::of(pid.cast_unsigned()).unwrap();
    assert!(stuck.signal(Signal::STOP));
    kill(cluster.pid());
    cluster.wait().await;
    assert!(is_alive(stuck));

    let (cluster, happened) = start(&data_dir).await;
    assert_eq!(happened, [Progress::Clearing, Progress::Starting, Progress::Ready]);
    assert!(!is_alive(stuck));
    assert_eq!(rows(&cluster).await, 1);
    cluster.stop().await.unwrap();
}

/// The one case in which PostgreSQL itself refuses for ever: the pid is in use by the same user.
#[tokio::test]
async fn a_pid_that_another_server_has_by_now_is_left_alone() {
    let folder = folder();
    let (mut other, _) = start(&folder.path().join("other")).await;
    let data_dir = folder.path().join("data");
    let (cluster, _) = start(&data_dir).await;
    let socket_lock = folder.path().join("data-socket").join(".s.PGSQL.5432.lock");
    cluster.stop().await.unwrap();
    for path in [data_dir.join("postmaster.pid"), socket_lock] {
        std::fs::write(path, format!("{}\n{}\n", other.pid(), data_dir.display())).unwrap();
    }
    let (cluster, happened) = start(&data_dir).await;
    assert_eq!(happened, [Progress::Starting, Progress::Ready]);
    assert!(other.is_running());
    cluster.stop().await.unwrap();
    other.stop().await.unwrap();
}

/// Drops a start as soon as `at` happens.
async fn drop_start(data_dir: &Path, at: Progress) {
    let reached = Notify::new();
    let tell = |progress| {
        if progress == at {
            reached.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = reached.notified() => {}
        outcome = Cluster::start(options(data_dir.to_owned()), &tell) => panic!("it was not dropped: {outcome:?}"),
    }
}

#[tokio::test]
async fn a_start_that_is_dropped_leaves_nothing_in_the_way() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    drop_start(&data_dir, Progress::Initdb).await;
    assert!(!data_dir.exists());
    let (cluster, happened) = start(&data_dir).await;
    assert_eq!(happened[0], Progress::Initdb);
    cluster.stop().await.unwrap();

    drop_start(&data_dir, Progress::Starting).await;
    let (cluster, _) = start(&data_dir).await;
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".new-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_large_log_is_emptied_while_the_server_runs() {
    let folder = folder();
    let (mut cluster, _) = start(&folder.path().join("data")).await;
    let log = folder.path().join("data.log");
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(20 << 20).unwrap();
    assert!(cluster.is_running());
    assert!(std::fs::metadata(&log).unwrap().len() < 1 << 20);
    cluster.stop().await.unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("shut down") && !text.contains('\0'),
        "the server writes on at the new end: {text}"
    );
}
