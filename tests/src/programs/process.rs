//! A child process on pipes: its lines come through a channel, its end through another, and it never outlives its
//! scenario. A panic in it fails the scenario.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::thread::{Handle, spawn};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::transcript::Transcript;

/// How long anything may take before a scenario fails: machines under load are slow, never this slow.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A running program.
pub struct Process {
    pub name: String,
    pub transcript: Transcript,
    pid: u32,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    ended: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
    panicked: Arc<AtomicBool>,
    // They end when the process has.
    threads: Vec<Handle>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    Signal(i32),
}

impl Process {
    /// Starts `command` with pipes on all three of its streams.
    pub fn start(name: &str, mut command: Command, transcript: &Transcript) -> Self {
        heed_interrupts(&mut command);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        transcript.add(name, '>', "(started)");
        let panicked = Arc::new(AtomicBool::new(false));
        let (line, lines) = unbounded();
        let (end, ended) = unbounded();
        let (stdin, pid) = (child.stdin.take(), child.id());
        let reader = Reader { name: name.to_owned(), transcript: transcript.clone(), panicked: Arc::clone(&panicked) };
        let (out, err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let of_errors = reader.clone();
        let threads = vec![
            spawn(&format!("{name} stdout"), move || reader.read(out, '<', Some(&line))).expect("a thread"),
            spawn(&format!("{name} stderr"), move || of_errors.read(err, '!', None)).expect("a thread"),
            spawn(&format!("{name} end"), move || {
                let _ = end.send(child.wait().expect("a child can be waited for"));
            })
            .expect("a thread"),
        ];
        let transcript = transcript.clone();
        Self { name: name.to_owned(), transcript, pid, stdin, lines, ended, status: None, panicked, threads }
    }

    /// Writes one line to the program; one that is gone does not read it.
    pub fn write_line(&mut self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    /// Writes a piece of a line.
    pub fn write(&mut self, piece: &str) {
        self.transcript.add(&self.name, '>', piece.trim_end_matches('\n'));
        if let Some(stdin) = &mut self.stdin {
            let _ = stdin.write_all(piece.as_bytes()).and_then(|()| stdin.flush());
        }
    }

    /// Ends the program's input.
    pub fn close_stdin(&mut self) {
        self.transcript.add(&self.name, '>', "(end of input)");
        self.stdin = None;
    }

    /// The next line before `deadline`, or why there is none.
    pub fn line(&self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        self.lines.recv_deadline(deadline)
    }

    /// Its lines as they come, to be waited for together with those of others; closed when it has ended.
    pub fn lines(&self) -> &Receiver<String> {
        &self.lines
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn end(&mut self) -> Ended {
        if self.status.is_none() {
            self.status = self.ended.recv_timeout(DEADLINE).ok();
        }
        match self.status {
            Some(status) => Ended::of(status),
            None => self.transcript.fail(&format!("waited {DEADLINE:?} for {} to end", self.name)),
        }
    }

    pub fn is_running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.ended.try_recv().ok();
        }
        self.status.is_none()
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn signal(&mut self, signal: i32) {
        if self.is_running() {
            self.transcript.add(&self.name, '>', &format!("(signal {signal})"));
            send_signal(self.pid, signal);
        }
    }

    /// Ends the program the hard way and waits until it is gone.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.signal(libc::SIGKILL);
        self.end();
    }
}

/// Whoever runs the tests may ignore Ctrl-C, as shells let what is in the background do; the programs would inherit that.
fn heed_interrupts(command: &mut Command) {
    #[expect(unsafe_code, reason = "std leaves the signals of a child as they are")]
    // SAFETY: between fork and exec only `signal` is called, which is async-signal-safe and touches no memory of ours.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            send_signal(self.pid, libc::SIGKILL);
        }
        // Everything it wrote has been read then.
        self.threads.clear();
        if self.panicked.load(Ordering::Acquire) && !std::thread::panicking() {
            panic!("{} panicked\n{}", self.name, self.transcript.text());
        }
    }
}

impl Ended {
    fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        status.code().map(Self::Exit).or_else(|| status.signal().map(Self::Signal)).expect("it exited or was killed")
    }
}

/// Sends a signal to a child that has not been waited for, so that the number is still its own.
pub(super) fn send_signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("a process number fits");
    #[expect(unsafe_code, reason = "std can only send SIGKILL; kill(2) takes two numbers and touches no memory")]
    unsafe {
        libc::kill(pid, signal);
    }
}

#[derive(Clone)]
struct Reader {
    name: String,
    transcript: Transcript,
    panicked: Arc<AtomicBool>,
}

impl Reader {
    fn read(&self, stream: impl Read, mark: char, lines: Option<&Sender<String>>) {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            bytes.clear();
            self.transcript.add(&self.name, mark, &line);
            if line.contains("panicked at") {
                self.panicked.store(true, Ordering::Release);
            }
            if let Some(lines) = lines {
                let _ = lines.send(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_interrupts(to: libc::sighandler_t) -> libc::sighandler_t {
        #[expect(unsafe_code, reason = "std does not set signals; signal(2) takes two numbers")]
        unsafe {
            libc::signal(libc::SIGINT, to)
        }
    }

    #[test]
    fn a_program_heeds_ctrl_c_also_where_the_tests_do_not() {
        let before = set_interrupts(libc::SIG_IGN);
        let mut process = Process::start("cat", Command::new("cat"), &Transcript::default());
        set_interrupts(before);
        process.signal(libc::SIGINT);
        assert_eq!(process.end(), Ended::Signal(libc::SIGINT));
    }
}
