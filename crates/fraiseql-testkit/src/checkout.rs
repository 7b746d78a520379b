//! Where the files of the checkout are.

use std::path::{Path, PathBuf};

/// Returns the root of the checkout that the tests run in. It is asked for when they run: a build that is
/// kept elsewhere may be older than the place of the checkout.
///
/// # Panics
/// When the tests are not run by cargo.
pub fn checkout() -> PathBuf {
    let crate_dir = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&crate_dir).join("../..")
}
