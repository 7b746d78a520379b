//! Backups that are encrypted, in a folder and in a bucket of S3: whoever has not the key reads nothing.

use std::fs;
use std::path::{Path, PathBuf};

use fraiseql_testkit::{S3Server, replace};

use crate::process::Ended;
use crate::project::{MUSIC, Project, TABLES, block_on, execute};
use crate::up::interrupt;

const MARK: &str = "a row that nobody else may read";

/// A project with encrypted backups at a place.
fn encrypted(place: &str, more: &str) -> Project {
    let project = Project::seeded(MUSIC, TABLES);
    let key = project.run(&["backup", "keygen"]).ok();
    replace(&project.root().join("key"), &key);
    project.write("fraiseql.toml", &settings(&project, place, "key", more));
    project
}

fn settings(project: &Project, place: &str, key: &str, more: &str) -> String {
    let key = project.root().join(key);
    format!(
        "[embedded]\nseed = [\"seed.sql\"]\n[backup]\nrepository = \"{place}\"\n\
         encryption_key = \"file://{}\"\n{more}",
        key.display()
    )
}

/// Takes a backup and a point, destroys data, and goes back to the point.
fn rolled_back(project: &Project) {
    let (up, _) = project.up();
    execute(&project.url(), &format!("INSERT INTO artist VALUES (1, '{MARK}')"));
    project.run(&["backup", "create", "shop"]).ok();
    project.run(&["backup", "point", "before", "shop"]).ok();
    execute(&project.url(), "DELETE FROM artist");
    interrupt(project, up);
    let told = project.run(&["restore", "shop", "--to-point", "before"]).ok();
    assert!(told.contains("rows of") && told.contains("is kept as"), "{told}");
    let (up, _) = project.up();
    let sql = "SELECT name FROM artist";
    let found: String = block_on(async {
        let target = fraiseql_postgres::Target::parse(&project.url()).expect("a URL");
        let client = fraiseql_postgres::connect_control(&target).await.expect("it answers");
        client.query_one(sql, &[]).await.expect("one row").get(0)
    });
    assert_eq!(found, MARK);
    project.run(&["backup", "create", "shop"]).ok();
    interrupt(project, up);
    let told = project.run(&["backup", "verify", "shop"]).ok();
    assert_eq!(told.matches("is whole").count(), 2, "{told}");
}

#[track_caller]
fn refused(ended: &Ended, expected: &[&str]) {
    assert!(!ended.status.success(), "{}", ended.stdout);
    for text in expected {
        assert!(ended.stderr.contains(text), "{text} is not in {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("AGE-SECRET-KEY"), "{}", ended.stderr);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn an_encrypted_folder_shows_nothing_and_a_wrong_key_or_a_flipped_bit_is_found() {
    let project = encrypted("../backups", "");
    rolled_back(&project);
    let folder = project.root().join("backups");
    for path in files(&folder) {
        let bytes = fs::read(&path).expect("it can be read");
        // Compressed content begins with this; nothing but the header may be readable.
        let zstd = [0x28, 0xb5, 0x2f, 0xfd];
        let readable = bytes.windows(4).take(1_000).any(|window| window == zstd);
        assert!(!readable, "{} is not encrypted", path.display());
        let name = path.display().to_string();
        let is_record = ["/base/", "/points/"].iter().any(|part| name.contains(part));
        assert!(!is_record || bytes.starts_with(b"age-encryption.org/v1"), "{name}");
    }

    let other = project.run(&["backup", "keygen"]).ok();
    replace(&project.root().join("other"), &other);
    project.write("fraiseql.toml", &settings(&project, "../backups", "other", ""));
    refused(
        &project.run(&["restore", "shop", "--to-point", "before"]),
        &["FQ-BAK-018", "is encrypted to age1", "the key is that of age1"],
    );
    project.write("fraiseql.toml", "[backup]\nrepository = \"../backups\"\n");
    refused(&project.run(&["backup", "list", "shop"]), &["FQ-BAK-018", "no key is set"]);

    project.write("fraiseql.toml", &settings(&project, "../backups", "key", ""));
    let wal: Vec<PathBuf> = files(&folder.join("wal"));
    let base = files(&folder.join("base")).into_iter().find(|path| path.ends_with("base.tar.zst"));
    for path in [base.expect("a backup"), wal[wal.len() / 2].clone()] {
        let whole = fs::read(&path).expect("it can be read");
        let mut broken = whole.clone();
        let middle = broken.len() / 2;
        broken[middle] ^= 4;
        put(&path, &broken);
        refused(&project.run(&["backup", "verify", "shop"]), &["FQ-BAK-004"]);
        put(&path, &whole);
    }
    project.run(&["backup", "verify", "shop"]).ok();
}

fn put(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let file = fs::OpenOptions::new().write(true).truncate(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("it can be written");
}

#[test]
fn a_database_comes_back_from_an_encrypted_bucket() {
    let Some(server) = block_on(S3Server::start()) else { return };
    let more = format!(
        "s3_endpoint = \"{}\"\ns3_access_key = \"{}\"\ns3_secret_key = \"{}\"\n",
        server.url(),
        S3Server::ACCESS_KEY,
        S3Server::SECRET_KEY
    );
    let project = encrypted("s3://backups/shop", &more);
    rolled_back(&project);
    let drill = project.run(&["backup", "drill", "shop"]).ok();
    assert!(drill.contains("RTO"), "{drill}");
    let list = project.run(&["backup", "list", "shop"]).ok();
    assert_eq!((list.matches("backup  ").count(), list.matches("drill   ").count()), (2, 1), "{list}");
    project.run(&["backup", "prune", "shop"]).ok();

    drop(server);
    refused(&project.run(&["backup", "list", "shop"]), &["FQ-BAK-017", "s3://backups/shop/"]);
}

#[test]
fn half_an_access_key_does_not_become_somebody_elses() {
    let project = Project::seeded(MUSIC, TABLES);
    let half = "[backup]\nrepository = \"s3://backups/shop\"\ns3_access_key = \"fraiseql\"\n";
    project.write("fraiseql.toml", half);
    refused(&project.run(&["backup", "list", "shop"]), &["FQ-CFG", "one of its two parts is not set"]);
}
