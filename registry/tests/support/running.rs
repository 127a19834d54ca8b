//! The program itself, started and ended by a test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A registry that ends with the test.
pub struct Running {
    pub child: Child,
    pub address: SocketAddr,
    pub realm: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub fn start(data_dir: &Path) -> Self {
        Self::with(data_dir, &[])
    }

    /// The same with more arguments.
    pub fn with(data_dir: &Path, extra: &[&str]) -> Self {
        let child = command(data_dir)
            .args(["--json", "--listen", "127.0.0.1:0", "--set", "passwords.bcrypt_cost=4"])
            .args(extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self::of(child)
    }

    /// One that was started with `--json` just now.
    fn of(mut child: Child) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let field = |name: &str| {
            let (_, rest) = line.split_once(&format!("\"{name}\":\"")).unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        assert!(line.starts_with(r#"{"type":"ready","listen":""#), "{line}");
        Self { child, address: field("listen").parse().unwrap(), realm: field("realm") }
    }

    pub fn stop(mut self) -> Duration {
        let began = Instant::now();
        let signal = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(signal.success());
        assert!(self.child.wait().unwrap().success());
        began.elapsed()
    }
}

pub fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.arg("--data-dir").arg(data_dir).env("XDG_CONFIG_HOME", data_dir).stdin(Stdio::null());
    command
}

/// Somebody who connects and says nothing.
pub fn stranger(running: &Running) -> std::net::TcpStream {
    let socket = std::net::TcpStream::connect(running.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Runs `command` until `story` is over; all that it logged, and what the story says.
pub fn logged<T>(mut command: Command, story: impl FnOnce(SocketAddr) -> T) -> (String, T) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let reader = common::thread::spawn("stderr", move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let running = Running::of(child);
    let told = story(running.address);
    running.stop();
    (reader.unwrap().join(), told)
}

/// Exit code and stderr of a program that is to end by itself, soon.
pub fn output(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (sender, told) = crossbeam_channel::bounded(1);
    let reader = common::thread::spawn("stderr", move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        sender.send(text).unwrap();
    });
    let told = told.recv_timeout(PATIENCE);
    if told.is_err() {
        child.kill().unwrap();
    }
    let code = child.wait().unwrap().code();
    reader.unwrap().join();
    (code, told.expect("it should have ended by itself"))
}
