//! The repository as it lies on disk, read once: text files, and the Rust files among them parsed.
//!
//! Reads only. What `.gitignore` names is left out, so build output and run-time state never count.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::rust_file::RustFile;
use crate::tidy::Finding;

/// A repository, ready for the rules of `tidy`.
#[derive(Debug)]
pub struct Workspace {
    /// Every text file, sorted by path.
    pub(crate) files: Vec<TextFile>,
    /// Every Rust file that can be parsed, sorted by path.
    pub(crate) rust: Vec<RustFile>,
    /// Rust files that cannot be parsed.
    pub(crate) unparsed: Vec<Finding>,
}

/// A text file.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Path from the root, with slashes.
    pub(crate) path: String,
    /// Content; what is not UTF-8 is replaced.
    pub(crate) text: String,
}

/// Returns the root of this repository.
pub fn root() -> PathBuf {
    // Asked for when it runs: a cache of builds may be shared by clones in several places.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs it");
    Path::new(&here).ancestors().nth(2).expect("this crate lies two folders below the root").to_owned()
}

impl Workspace {
    /// Reads the repository at `root`. Fails when a folder or file there cannot be read.
    pub fn load(root: &Path) -> io::Result<Self> {
        let ignored = Ignored::read(root)?;
        let mut files = Vec::new();
        collect(root, "", &ignored, &mut files)?;
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self::of(files))
    }

    pub(crate) fn of(files: Vec<TextFile>) -> Self {
        let (mut rust, mut unparsed) = (Vec::new(), Vec::new());
        for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
            match RustFile::parse(&file.path, &file.text) {
                Ok(parsed) => rust.push(parsed),
                Err(error) => {
                    let line = error.span().start().line;
                    unparsed.push(Finding::new(&file.path, line, "syntax", error.to_string()));
                }
            }
        }
        Self { files, rust, unparsed }
    }

    /// Returns the text of the file at `path`.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Returns the names of the folders below `crates/`, sorted.
    pub(crate) fn crates(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .files
            .iter()
            .filter_map(|file| file.path.strip_prefix("crates/")?.split('/').next())
            .collect();
        names.dedup();
        names
    }

    #[cfg(test)]
    pub(crate) fn sample(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| TextFile { path: (*path).into(), text: (*text).into() };
        Self::of(files.iter().map(file).collect())
    }
}

fn collect(folder: &Path, prefix: &str, ignored: &Ignored, files: &mut Vec<TextFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if ignored.holds(&path, &name) {
            continue;
        }
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), ignored, files)?;
        } else if kind.is_file() {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
            files.push(TextFile { path, text });
        }
    }
    Ok(())
}

/// The patterns of `.gitignore`, in the three forms that ours uses: `/at-the-root`, `name/`, `*.suffix`.
struct Ignored(Vec<String>);

impl Ignored {
    fn read(root: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(root.join(".gitignore"))?;
        let mut patterns: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        patterns.retain(|pattern| !pattern.is_empty() && !pattern.starts_with('#'));
        patterns.push(".git/".to_owned());
        Ok(Self(patterns))
    }

    fn holds(&self, path: &str, name: &str) -> bool {
        self.0.iter().any(|pattern| {
            if let Some(suffix) = pattern.strip_prefix('*') {
                return name.ends_with(suffix);
            }
            match pattern.strip_prefix('/') {
                Some(rooted) => path == rooted.trim_end_matches('/'),
                None => name == pattern.trim_end_matches('/'),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_does_not_count() {
        let ignored = Ignored(["/target", ".fraiseql/", "*.compiled.json"].map(str::to_owned).into());
        assert!(ignored.holds("target", "target"));
        assert!(!ignored.holds("docs/target", "target"));
        assert!(ignored.holds("examples/chinook/.fraiseql", ".fraiseql"));
        assert!(ignored.holds("a/schema.compiled.json", "schema.compiled.json"));
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let workspace = Workspace::sample(&[("crates/a/src/lib.rs", "//! A.\nfn (")]);
        assert_eq!(workspace.unparsed.len(), 1);
        assert_eq!(workspace.crates(), ["a"]);
    }
}
