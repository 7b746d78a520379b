//! A disk that is full while the artifact is written: an error, and the old artifact is unchanged.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Ended, Running, clean};
use crate::project::{MUSIC, Project, TABLES, database};

/// Compiles with a limit on the size of files: none may grow.
fn compile_without_room(project: &Project, url: &str) -> Ended {
    let script = r#"trap '' XFSZ; ulimit -f 0; exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_fraiseql")]);
    command.args(["compile", "shop", "--database-url", url]);
    clean(&mut command, project.root());
    Running::spawn(command).end()
}

/// Takes the random name of the half-written file out of what was shown.
fn without_temporary_path(shown: &str) -> String {
    let lines = shown.lines().map(|line| line.split_once(" at path ").map_or(line, |(before, _)| before));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the names in a folder.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("it is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn no_file_may_grow() {
    let project = Project::new(MUSIC);
    let url = database(TABLES).url();
    let ended = compile_without_room(&project, &url);
    insta::assert_snapshot!(without_temporary_path(&ended.shown(&[])), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-IO-005]: write shop/schema.compiled.json
      = cause: File too large (os error 27)
      = help: make room and run the command again; what was there before is unchanged
    ");
    assert_eq!(names(&project.dir()), ["schema.graphql"]);

    project.compile(&url).ok();
    let old = project.read("schema.compiled.json");
    project.write("schema.graphql", &MUSIC.replace("  name: String\n", ""));
    assert_eq!(compile_without_room(&project, &url).status.code(), Some(5));
    assert_eq!(project.read("schema.compiled.json"), old);
    assert_eq!(names(&project.dir()), ["schema.compiled.json", "schema.graphql"]);
}

/// A file system in memory with room for 64 KiB.
#[derive(Debug)]
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Returns `None` where mounting is not allowed.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).expect("nothing is in the way");
        let mut mount = Command::new("mount");
        let output = mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&at).output();
        output.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

#[test]
fn the_disk_is_full() {
    let project = Project::new(MUSIC);
    let url = database(TABLES).url();
    let at = project.root().join("disk");
    let Some(disk) = SmallDisk::mount(at.clone()) else {
        println!("skipped: this user may not mount; no_file_may_grow shows the same");
        return;
    };
    let out = at.join("schema.compiled.json");
    let compile = |project: &Project| {
        let out = out.display().to_string();
        project.run(&["compile", "shop", "--database-url", &url, "--out", &out])
    };
    compile(&project).ok();
    let old = std::fs::read_to_string(&out).expect("it was written");
    assert!(out.metadata().expect("it is there").permissions().mode() & 0o444 == 0o444);

    // What does not fit: more types than the disk has room for.
    let (mut schema, mut fields) = (String::new(), String::new());
    for number in 0..400 {
        fields.push_str(&format!("  artists{number}: [Artist{number}!]!\n"));
        let artist = "@relation(name: \"artist\") { artistId: Int! name: String }";
        schema.push_str(&format!("type Artist{number} {artist}\n"));
    }
    project.write("schema.graphql", &format!("type Query {{\n{fields}}}\n{schema}"));
    let ended = compile(&project);
    let root = project.root().display().to_string();
    insta::assert_snapshot!(without_temporary_path(&ended.shown(&[(&root, "[ROOT]")])), @r"
    exit status: 5
    -- stdout
    -- stderr
    error[FQ-IO-005]: write [ROOT]/disk/schema.compiled.json
      = cause: No space left on device (os error 28)
      = help: make room and run the command again; what was there before is unchanged
    ");
    assert_eq!(std::fs::read_to_string(&out).expect("it is there"), old);
    assert_eq!(names(&at), ["schema.compiled.json"]);
    drop(disk);
}
