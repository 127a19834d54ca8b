//! A data folder on a disk of its own that can be filled up. Where nobody may mount one, the system is told to let the
//! program write nothing: the error is another, and what must follow from it the same.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::launch::Launch;

/// Unmounted when dropped; declare it before the peer, so that it goes after it.
pub struct SmallDisk {
    is_mounted: bool,
    // The folder stays until the disk is gone from it.
    launch: Launch,
}

impl SmallDisk {
    /// The data folder of `launch` gets a disk of its own, before its first start.
    pub fn under(launch: &mut Launch) -> Self {
        let folder = launch.data_dir();
        fs::create_dir_all(&folder).expect("a folder for a disk");
        let is_mounted = run("mount", &["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", text(&folder)]);
        if !is_mounted {
            say("nobody may mount a disk here: the size of files is limited instead");
            launch.through = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
        }
        Self { is_mounted, launch: launch.clone() }
    }

    /// From now on the peer with this process number can write nothing.
    pub fn fill(&self, pid: u32) {
        if !self.is_mounted {
            assert!(limit(pid, "0:"), "prlimit is part of every Linux");
            return;
        }
        let mut filler = File::create(self.filler()).expect("a file that fills the disk");
        for size in [64 * 1024, 4 * 1024] {
            let block = vec![1; size];
            while filler.write_all(&block).is_ok() {}
        }
    }

    /// There is space again.
    pub fn free(&self, pid: u32) {
        if self.is_mounted {
            fs::remove_file(self.filler()).expect("the file that fills the disk");
        } else {
            // One that has ended takes its limit along.
            limit(pid, "unlimited:");
        }
    }

    fn filler(&self) -> std::path::PathBuf {
        self.launch.data_dir().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_mounted && !run("umount", &["--lazy", text(&self.launch.data_dir())]) {
            say(&format!("a disk is left at {}", self.launch.data_dir().display()));
        }
    }
}

/// The soft limit of a process for the files it writes.
fn limit(pid: u32, size: &str) -> bool {
    run("prlimit", &["--pid", &pid.to_string(), &format!("--fsize={size}")])
}

/// To whoever runs the tests, also of one that passes.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}
