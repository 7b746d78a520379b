//! Embeds the pages of `docs/errors`, so that `fraiseql explain` needs no network.

use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Asked for when it runs: a cache of builds may be shared by clones in several places.
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo names the folder of the crate")?;
    let pages = Path::new(&crate_dir).join("../../docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut entries: Vec<_> = std::fs::read_dir(&pages)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut table = String::from("&[\n");
    for entry in entries {
        let path = entry.path().canonicalize()?;
        let code = path.file_stem().ok_or("a page without a name")?.to_string_lossy().into_owned();
        writeln!(table, "    ({code:?}, include_str!({:?})),", path.display().to_string())?;
    }
    table.push(']');
    let target = std::env::var("OUT_DIR")?;
    #[expect(clippy::disallowed_methods, reason = "cargo throws half an output directory away")]
    std::fs::write(Path::new(&target).join("pages.rs"), table)?;
    Ok(())
}
