//! A program under measurement: killed when dropped, and what the system says of it.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Killed and waited for when dropped.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a server and waits until it accepts at `address`.
    pub(super) fn serve(command: &mut Command, address: SocketAddr) -> io::Result<Self> {
        let null = std::process::Stdio::null;
        let mut running = Self(command.stdin(null()).stdout(null()).stderr(null()).spawn()?);
        let deadline = Instant::now() + START_WITHIN;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.0.try_wait()? {
                return Err(io::Error::other(format!("it ended at once: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not listen"));
            }
            let _ = crossbeam_channel::after(LOOK_AGAIN).recv();
        }
        Ok(running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}

/// A port of loopback that is free now.
pub(super) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Where a program is, in this folder or wherever programs are; an error says that it is nowhere.
pub(super) fn installed(program: &str, only_in: Option<&Path>) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = || std::env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from)).collect();
    let folders: Vec<PathBuf> = only_in.map_or_else(usual, |folder| vec![folder.to_owned()]);
    let found = folders.into_iter().map(|folder| folder.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{program} is not installed")))
}

/// Resident memory of a process in KiB, without what it shares with files on disk.
pub(super) fn resident_kib(pid: u32) -> io::Result<f64> {
    status_kib(pid, "RssAnon:")
}

/// The whole of it.
pub(super) fn resident_with_files_kib(pid: u32) -> io::Result<f64> {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: u32, field: &str) -> io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let value = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("the system says no {field}")))
}

/// Time that a process has spent on cores so far.
pub(super) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; user and system time are fields 14 and 15.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// How many files this process may open.
pub(super) fn files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(FILES_EVERYWHERE)
}

/// What every system allows.
const FILES_EVERYWHERE: usize = 1024;
/// Where Debian puts servers; the search path of a user may lack it.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];
/// `sysconf(_SC_CLK_TCK)` on every Linux there is.
const TICKS_PER_SECOND: u64 = 100;
const START_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
