//! Where the two programs are: built once per test run beside the test itself, with the same profile, because cargo
//! does not build another member's binaries for a test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of a program of this workspace, up to date with its sources.
pub fn program(name: &str) -> PathBuf {
    let path = FOLDER.get_or_init(build).join(name);
    assert!(path.exists(), "cargo built no {}", path.display());
    path
}

/// From now on programs are those in `folder`, built before; not once one has been used.
pub fn use_programs_of(folder: PathBuf) {
    assert!(FOLDER.set(folder).is_ok(), "no program was used before");
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace")
}

/// Where cargo puts what it builds in this run.
pub fn target_folder() -> PathBuf {
    profile_folder().parent().expect("a profile's folder lies in the target folder").to_owned()
}

/// Variables by which cargo told this test of itself: another cargo below it must not see them, or build scripts that
/// look at them run again, and everything above them is built again.
pub fn of_this_package() -> Vec<OsString> {
    let is_ours = |name: &OsString| name.to_str().is_some_and(|name| OURS.iter().any(|start| name.starts_with(start)));
    std::env::vars_os().map(|(name, _)| name).filter(is_ours).collect()
}

/// Other test processes may do the same at the same time: cargo's own lock of the target folder makes them wait.
fn build() -> PathBuf {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--quiet", "--package=registry", "--package=peer", "--bins"]);
    cargo.arg("--profile").arg(profile).arg("--target-dir").arg(target_folder()).current_dir(workspace());
    for name in of_this_package() {
        cargo.env_remove(name);
    }
    let built = cargo.output().expect("cargo runs");
    assert!(built.status.success(), "the programs do not build:\n{}", String::from_utf8_lossy(&built.stderr));
    folder
}

/// A test lies in `target/PROFILE/deps`, a program in `target/PROFILE`.
fn profile_folder() -> PathBuf {
    let mut folder = std::env::current_exe().expect("this program has a path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

const OURS: [&str; 5] = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"];
