//! `backup` and `restore`: what was acknowledged before the moment is there, nothing later is, and
//! nothing is overwritten, whatever dies when.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use fraiseql_postgres::{Target, connect_control};

use crate::process::{Ended, Running, fraiseql};
use crate::project::{MUSIC, Project, TABLES, block_on, execute};
use crate::up::interrupt;

/// A project whose PostgreSQL archives into `backups` beside it.
fn archived() -> Project {
    let seed = format!("{TABLES}CREATE TABLE counter (number int PRIMARY KEY);\n");
    let project = Project::seeded(MUSIC, &seed);
    project.write(
        "fraiseql.toml",
        "[embedded]\nseed = [\"seed.sql\"]\n[backup]\nrepository = \"../backups\"\nkeep_count = 1\nkeep_days = 0\n",
    );
    project
}

#[track_caller]
fn backup(project: &Project, arguments: &[&str]) -> String {
    command(project, "backup", arguments).ok()
}

#[track_caller]
fn command(project: &Project, command: &str, arguments: &[&str]) -> Ended {
    project.run(&[&[command], arguments].concat())
}

fn value(url: &str, sql: &str) -> String {
    block_on(async {
        let client = connect_control(&Target::parse(url).expect("a URL")).await.expect("it answers");
        client.query_one(sql, &[]).await.expect("a legal query").get(0)
    })
}

fn moment(url: &str) -> String {
    value(url, "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")
}

fn names(project: &Project) -> Vec<String> {
    let data_dir = project.data_dir();
    let folder = data_dir.parent().expect("it is in a folder");
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(&*data_dir.file_name().expect("a name").to_string_lossy()))
        .collect();
    names.sort();
    names
}

/// Commits numbers from 1 on without a pause, until told to stop; returns the last acknowledged.
struct Writer {
    stop: Arc<AtomicBool>,
    last: Arc<AtomicI32>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    fn start(url: &str) -> Self {
        let (stop, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI32::new(0)));
        let (url, stopping, acknowledged) = (url.to_owned(), Arc::clone(&stop), Arc::clone(&last));
        let write = move || {
            block_on(async {
                let target = Target::parse(&url).expect("a URL");
                let client = connect_control(&target).await.expect("it answers");
                for number in 1.. {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    client.execute("INSERT INTO counter VALUES ($1)", &[&number]).await.expect("it commits");
                    acknowledged.store(number, Ordering::SeqCst);
                }
            });
        };
        Self { stop, last, thread: std::thread::spawn(write) }
    }

    fn acknowledged(&self) -> i32 {
        self.last.load(Ordering::SeqCst)
    }

    fn wait_for_more(&self) {
        let before = self.acknowledged();
        crate::process::wait_until("it writes", || (self.acknowledged() > before + 20).then_some(()));
    }

    fn end(self) -> i32 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("no writer panics");
        self.last.load(Ordering::SeqCst)
    }
}

/// The guide's Database Rollback: a migration destroys data while writers go on.
#[test]
fn a_bad_statement_is_undone_and_every_commit_before_it_is_there() {
    let project = archived();
    let (up, _) = project.up();
    let url = project.url();
    let writer = Writer::start(&url);
    writer.wait_for_more();
    let label = backup(&project, &["create", "shop"]);
    let label = label.split_whitespace().next().expect("a label").to_owned();
    writer.wait_for_more();
    backup(&project, &["point", "before-deploy-42", "shop"]);
    writer.wait_for_more();
    let acknowledged = writer.acknowledged();
    let before = moment(&url);
    execute(&url, "INSERT INTO artist VALUES (1, 'written after the moment')");
    execute(&url, "UPDATE counter SET number = -number");
    let last = writer.end();
    let after: i64 = value(&url, "SELECT count(*)::text FROM counter").parse().expect("a number");
    assert!(after > 0 && last >= acknowledged);
    interrupt(&project, up);

    let planned = command(&project, "restore", &["plan", "shop", "--to", &before]).ok();
    assert!(planned.contains(&format!("from   backup {label}")), "{planned}");
    assert!(planned.contains("archived commits, from"), "{planned}");
    let told = command(&project, "restore", &["shop", "--to", &before]).ok();
    assert!(told.contains("ok   amcheck of") && told.contains("is kept as"), "{told}");

    let (up, _) = project.up();
    let url = project.url();
    let restored: i32 =
        value(&url, "SELECT coalesce(max(number), 0)::text FROM counter").parse().expect("a number");
    assert!(
        restored >= acknowledged,
        "{acknowledged} was acknowledged before the moment, {restored} is there"
    );
    assert_eq!(value(&url, "SELECT count(*)::text FROM counter WHERE number < 0"), "0", "the bad statement");
    assert_eq!(value(&url, "SELECT count(*)::text FROM artist"), "0", "a commit after the moment");
    let rows = value(&url, "SELECT count(*)::text FROM counter");
    assert_eq!(rows, restored.to_string(), "no number is missing");
    assert!(names(&project).iter().any(|name| name.contains(".before-")), "{:?}", names(&project));
    assert!(!names(&project).iter().any(|name| name.contains(".restore-")), "{:?}", names(&project));

    // A restore of a restore, to a point on the new timeline.
    execute(&url, "INSERT INTO artist VALUES (2, 'kept')");
    backup(&project, &["point", "second", "shop"]);
    execute(&url, "INSERT INTO artist VALUES (3, 'lost')");
    interrupt(&project, up);
    let told = command(&project, "restore", &["shop", "--to-point", "second"]).ok();
    assert!(told.contains("timeline 3") && told.contains("ok   rows of"), "{told}");
    let (up, _) = project.up();
    let url = project.url();
    assert_eq!(value(&url, "SELECT string_agg(name, ',') FROM artist"), "kept");
    assert_eq!(value(&url, "SELECT max(number)::text FROM counter"), restored.to_string());
    interrupt(&project, up);
    assert_eq!(backup(&project, &["verify", "shop"]).matches("is whole").count(), 1);
}

/// Killed at each step before the switch: the old database is as it was, and nothing starts beside an
/// unfinished restore. The switch itself is interrupted in the tests of the library.
#[test]
fn restore_survives_a_crash_at_every_step() {
    let project = archived();
    let (up, _) = project.up();
    backup(&project, &["create", "shop"]);
    backup(&project, &["point", "empty", "shop"]);
    execute(&project.url(), "INSERT INTO artist VALUES (1, 'old')");
    interrupt(&project, up);
    let before = names(&project);
    for step in ["plan", "unpack", "recover", "check"] {
        let arguments = ["restore", "shop", "--to-point", "empty"];
        let mut restore = Running::spawn(fraiseql(project.root(), arguments));
        restore.wait_for(&format!("restore: {step}"));
        restore.kill();
        for refused in [&["up", "shop", "--port", "0"][..], &["restore", "shop", "--latest"]] {
            let refused = project.run(refused);
            assert!(refused.stderr.contains("error[FQ-BAK-012]"), "{step}: {}", refused.shown(&[]));
        }
        if step == "check" {
            break;
        }
        command(&project, "restore", &["shop", "--abandon"]).ok();
        let journal = |name: &String| !name.ends_with(".restores.jsonl");
        assert_eq!(names(&project).into_iter().filter(journal).collect::<Vec<_>>(), before, "{step}");
    }
    let told = command(&project, "restore", &["shop", "--resume"]).ok();
    assert!(told.contains("is kept as"), "{told}");
    let again = command(&project, "restore", &["shop", "--resume"]);
    assert!(again.stderr.contains("no restore of"), "{}", again.shown(&[]));
    let (up, _) = project.up();
    assert_eq!(value(&project.url(), "SELECT count(*)::text FROM artist"), "0");
    interrupt(&project, up);
}

fn archived_wal(project: &Project) -> Vec<PathBuf> {
    let folder = project.root().join("backups/wal/00000001");
    let entries = fs::read_dir(folder).expect("it is there");
    let mut segments: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    segments.retain(|path| path.file_name().is_some_and(|name| name.len() == 28));
    segments.sort();
    segments
}

/// Flips the last bit of a file, looks what `look` says, and flips it back.
fn with_flipped_bit(path: &Path, look: impl FnOnce()) {
    let flip = || {
        let mut bytes = fs::read(path).expect("it is there");
        *bytes.last_mut().expect("it is not empty") ^= 1;
        let mut file = fs::OpenOptions::new().write(true).open(path).expect("it is ours");
        std::io::Write::write_all(&mut file, &bytes).expect("there is room");
    };
    flip();
    look();
    flip();
}

#[test]
fn damage_gaps_and_targets_out_of_reach_are_found_before_anything_is_switched() {
    let project = archived();
    let (up, _) = project.up();
    let label = backup(&project, &["create", "shop"]);
    let label = label.split_whitespace().next().expect("a label");
    for name in ["one", "two", "three"] {
        execute(
            &project.url(),
            &format!(
                "INSERT INTO artist VALUES ({}, '{name}')",
                name.len() * 7 + name.as_bytes()[1] as usize
            ),
        );
        backup(&project, &["point", name, "shop"]);
    }
    let taken = command(&project, "backup", &["point", "two", "shop"]);
    assert!(taken.stderr.contains("error[FQ-BAK-014]"), "{}", taken.shown(&[]));
    // Archiving that fails is known at once, not at the end of a long copy.
    let folder = project.root().join("backups/wal/00000001");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("it is ours");
    let refused = command(&project, "backup", &["create", "shop"]);
    assert!(refused.stderr.contains("error[FQ-BAK-006]"), "{}", refused.shown(&[]));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let running = command(&project, "restore", &["shop", "--latest"]);
    assert!(running.stderr.contains("error[FQ-RUN-001]"), "{}", running.shown(&[]));
    interrupt(&project, up);

    let before = names(&project);
    #[track_caller]
    fn check(project: &Project, arguments: &[&str], expected: &[&str]) {
        let ended = command(project, "restore", &[&["shop"], arguments].concat());
        assert!(!ended.status.success(), "{}", ended.shown(&[]));
        for expected in expected {
            assert!(ended.stderr.contains(expected), "{expected}: {}", ended.shown(&[]));
        }
    }
    check(&project, &["--to", "2026-01-26 14:03:00"], &["FQ-BAK-010", "no zone"]);
    check(&project, &["--to", "2020-01-26 14:03:00+00"], &["FQ-BAK-008", label]);
    check(&project, &["--to", "2099-01-26 14:03:00+00"], &["FQ-BAK-009", "--latest"]);
    check(&project, &["--to-lsn", "FF/0"], &["FQ-BAK-009"]);
    check(&project, &["--to-point", "tree"], &["FQ-BAK-014", "did you mean \"three\"?"]);
    let segments = archived_wal(&project);
    let broken = &segments[segments.len() - 2];
    let name = broken.file_stem().expect("a name").to_string_lossy().into_owned();
    with_flipped_bit(broken, || {
        check(&project, &["--latest"], &["FQ-BAK-004", &name]);
        check(&project, &["--to-point", "three"], &["FQ-BAK-004", &name]);
        let verified = command(&project, "backup", &["verify", "shop"]);
        assert!(verified.stderr.contains(&format!("trust {name}")), "{}", verified.shown(&[]));
        // What lies before the damage can still be reached.
        command(&project, "restore", &["plan", "shop", "--to-point", "one"]).ok();
    });
    let away = project.root().join("away");
    fs::rename(broken, &away).expect("it is ours");
    check(&project, &["--latest"], &["FQ-BAK-005", &format!("{name} is missing")]);
    let verified = command(&project, "backup", &["verify", "shop"]);
    assert!(verified.stderr.contains("FQ-BAK-005"), "{}", verified.shown(&[]));
    fs::rename(&away, broken).expect("it is ours");
    let base = project.root().join("backups/base").join(label).join("base.tar.zst");
    with_flipped_bit(&base, || {
        check(&project, &["--latest"], &["FQ-BAK-004", label]);
        let verified = command(&project, "backup", &["verify", "shop"]);
        assert!(verified.stderr.contains("FQ-BAK-004"), "{}", verified.shown(&[]));
    });
    let journal = |name: &String| !name.ends_with(".restores.jsonl");
    assert_eq!(names(&project).into_iter().filter(journal).collect::<Vec<_>>(), before);
    backup(&project, &["verify", "shop"]);
}

#[test]
fn a_lost_disk_comes_back_after_drills_and_pruning() {
    let project = archived();
    let (up, _) = project.up();
    let url = project.url();
    backup(&project, &["create", "shop"]);
    execute(&url, "INSERT INTO artist SELECT n, 'artist ' || n FROM generate_series(1, 1000) n");
    backup(&project, &["point", "thousand", "shop"]);
    let json = backup(&project, &["--json", "drill", "shop"]);
    let drill: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(drill["drill"]["rto_ms"].as_u64().is_some_and(|rto| rto > 0), "{json}");
    let checks = drill["drill"]["checks"].to_string();
    assert!(checks.contains("amcheck") && checks.contains("replayed to the target"), "{checks}");
    // Labels are moments, to the second.
    let first = backup(&project, &["list", "shop"]);
    let second = backup(&project, &["create", "shop"]);
    let label = |line: &str| line.split_whitespace().find(|word| word.ends_with('Z')).map(str::to_owned);
    assert_ne!(label(&first), label(&second));
    let told = backup(&project, &["prune", "shop", "--dry-run"]);
    assert!(told.contains("would forget backup") && told.contains("would forget point thousand"), "{told}");
    let told = backup(&project, &["prune", "shop"]);
    assert!(told.contains(&format!("forgot backup {}", label(&first).expect("a label"))), "{told}");
    let listed = backup(&project, &["list", "shop"]);
    assert_eq!(listed.matches("backup  ").count(), 1, "{listed}");
    assert!(listed.contains("RTO"), "{listed}");
    backup(&project, &["verify", "shop"]);
    execute(&url, "INSERT INTO artist VALUES (2000, 'the last')");
    interrupt(&project, up);

    fs::remove_dir_all(project.data_dir()).expect("it is ours");
    let into = project.root().join("elsewhere");
    let arguments = ["shop", "--latest", "--quick", "--into", into.to_str().expect("text")];
    let told = command(&project, "restore", &arguments).ok();
    assert!(told.contains("not  pg_verifybackup") && !told.contains("ok   amcheck"), "{told}");
    assert!(into.join("PG_VERSION").exists());
    let there = command(&project, "restore", &arguments);
    assert!(there.stderr.contains("error[FQ-IO-004]"), "{}", there.shown(&[]));
    let told = command(&project, "restore", &["shop", "--latest"]).ok();
    assert!(!told.contains("is kept as") && !told.contains("not  "), "{told}");
    let (up, _) = project.up();
    let sql = "SELECT count(*)::text || ' ' || max(name) FROM artist";
    assert_eq!(value(&project.url(), sql), "1001 the last");
    interrupt(&project, up);
}

/// Every command of the page's walk through a rollback, in its order.
#[test]
fn the_commands_of_the_page_do_what_it_says() {
    let page = fs::read_to_string(fraiseql_testkit::checkout().join("docs/reference/backup.md"));
    let page = page.expect("the page is there");
    let section = page.split("## Database rollback").nth(1).expect("the section is there");
    let blocks: Vec<&str> =
        section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [before, restoring, after] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let project = archived();
    let run = |block: &str, moment: &str| {
        for line in block.lines() {
            let line = line.strip_prefix("fraiseql ").expect("a command of ours");
            let line = line.replace("\"2026-01-26 14:03:00+00\"", "MOMENT");
            let words: Vec<&str> =
                line.split(' ').map(|word| if word == "MOMENT" { moment } else { word }).collect();
            project.run(&words).ok();
        }
    };
    let (up, _) = project.up();
    execute(&project.url(), "INSERT INTO artist VALUES (1, 'kept')");
    run(before, "");
    let moment = moment(&project.url());
    execute(&project.url(), "UPDATE artist SET name = 'destroyed'");
    interrupt(&project, up);
    run(restoring, &moment);
    let (up, _) = project.up();
    assert_eq!(value(&project.url(), "SELECT name FROM artist"), "kept");
    run(after, "");
    interrupt(&project, up);
}
