//! What a start refuses, and what it says.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fraiseql_cluster::{Cluster, ClusterError, ClusterOptions, Programs};
use fraiseql_model::errors;

use crate::{folder, options, start};

#[track_caller]
fn check(error: &ClusterError, code: &errors::ErrorCode, contains: &str) {
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(contains), "{error}");
}

fn programs_that_say(folder: &Path, script: &str) {
    for name in ["postgres", "initdb"] {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn programs_that_cannot_be_used_say_why() {
    let folder = folder();
    let find = || Programs::find(Some(folder.path()), &[], None).unwrap_err();
    check(&find(), &errors::PG_NO_SERVER, "there is no postgres");
    programs_that_say(folder.path(), "echo 'postgres (PostgreSQL) 9.6.24'");
    check(&find(), &errors::PG_TOO_OLD, "9.6.24");
    programs_that_say(folder.path(), "echo 'libxml2.so.2: cannot open shared object file' >&2; exit 127");
    check(&find(), &errors::PG_NO_SERVER, "libxml2.so.2");
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        check(&find(), &errors::IO_READ, "whom the server runs as");
    }
    assert!(find().hint().is_some());
}

#[test]
fn a_relative_folder_of_path_is_not_searched() {
    let found = Programs::find(None, &[], Some(std::ffi::OsStr::new(".:bin:")));
    assert!(found.is_ok_and(|found| found.bin_dir.is_absolute()));
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_left_as_it_is() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    fs::create_dir(&data_dir).unwrap();
    fs::write(data_dir.join("thesis.txt"), "mine").unwrap();
    let refused = Cluster::start(options(data_dir.clone()), &|_| {}).await.unwrap_err();
    check(&refused, &errors::IO_WRITE, "use as a data directory");
    assert_eq!(fs::read_to_string(data_dir.join("thesis.txt")).unwrap(), "mine");
}

#[tokio::test]
async fn an_empty_folder_becomes_the_data_directory() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    fs::create_dir(&data_dir).unwrap();
    start(&data_dir).await.0.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_ends_at_once_says_why() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    start(&data_dir).await.0.stop().await.unwrap();
    let settings = vec!["no_such_setting=1".to_owned()];
    let wrong = ClusterOptions { settings, ..options(data_dir.clone()) };
    let refused = Cluster::start(wrong, &|_| {}).await.unwrap_err();
    check(&refused, &errors::PG_START, "no_such_setting");
    start(&data_dir).await.0.stop().await.unwrap();
}

#[tokio::test]
async fn an_initdb_that_fails_leaves_nothing() {
    let folder = folder();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::set_permissions(&bin, Permissions::from_mode(0o755)).unwrap();
    programs_that_say(&bin, "echo 'postgres (PostgreSQL) 15.0'; test \"$1\" = --version");
    let programs = Programs::find(Some(&bin), &[], None).unwrap();
    let data_dir = folder.path().join("data");
    let broken = ClusterOptions { programs, ..options(data_dir.clone()) };
    let refused = Cluster::start(broken, &|_| {}).await.unwrap_err();
    check(&refused, &errors::PG_INITDB, "PostgreSQL");
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("data.new")).collect();
    assert!(left.is_empty() && !data_dir.exists(), "{left:?}");
}

#[tokio::test]
async fn a_link_in_place_of_the_log_is_not_followed() {
    let folder = folder();
    let data_dir = folder.path().join("data");
    let target = folder.path().join("target");
    std::os::unix::fs::symlink(&target, folder.path().join("data.log")).unwrap();
    let refused = Cluster::start(options(data_dir), &|_| {}).await.unwrap_err();
    check(&refused, &errors::IO_WRITE, "data.log");
    assert!(!target.exists());
}

/// `postgres` may come to a machine after a data directory that `nobody` has.
#[tokio::test]
async fn as_root_a_data_directory_is_served_by_its_owner() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = folder();
    let data_dir = folder.path().join("data");
    start(&data_dir).await.0.stop().await.unwrap();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            std::os::unix::fs::lchown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    let (cluster, _) = start(&data_dir).await;
    let status = fs::metadata(format!("/proc/{}", cluster.pid())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&status), NOBODY);
    cluster.stop().await.unwrap();
}
