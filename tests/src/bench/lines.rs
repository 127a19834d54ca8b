//! Bytes from a pipe or socket as they come, with a deadline on every wait: lines, or whatever a protocol counts.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// What was read and not taken yet.
pub(super) struct Incoming<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    /// Nothing measured takes longer.
    pub(super) patience: Duration,
}

impl<R: Read + AsRawFd> Incoming<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0, patience: PATIENCE }
    }

    pub(super) fn source(&mut self) -> &mut R {
        &mut self.source
    }

    /// What is here.
    pub(super) fn held(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// The first `count` bytes of it were understood.
    pub(super) fn take(&mut self, count: usize) {
        self.start += count;
    }

    /// Reads once, waiting no longer than its patience.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        wait_readable(self.source.as_raw_fd(), self.patience)?;
        let held = self.buffer.len();
        self.buffer.resize(held + READ_BYTES, 0);
        let read = self.source.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended")),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How many of the lines that are here are wanted; waits until one is.
    pub(super) fn count_lines(&mut self, wanted: impl Fn(&[u8]) -> bool) -> io::Result<u64> {
        loop {
            let held = &self.buffer[self.start..];
            let end = held.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let lines = held[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let count = lines.filter(|line| wanted(line)).count();
            self.start += end;
            if count > 0 {
                return Ok(count as u64);
            }
            self.fill()?;
        }
    }

    /// The first line that is wanted; those before it are passed over.
    pub(super) fn line(&mut self, wanted: impl Fn(&str) -> bool) -> io::Result<String> {
        loop {
            while let Some(end) = self.held().iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&self.held()[..end]).trim_end().to_owned();
                self.start += end + 1;
                if wanted(&line) {
                    return Ok(line);
                }
            }
            self.fill()?;
        }
    }
}

/// Waits until something can be read, or the far end has closed.
fn wait_readable(file: i32, patience: Duration) -> io::Result<()> {
    let mut wanted = libc::pollfd { fd: file, events: libc::POLLIN, revents: 0 };
    let millis = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    #[expect(unsafe_code, reason = "a pipe has no time-out in std; poll(2) reads and writes one entry of this frame")]
    let ready = unsafe { libc::poll(&raw mut wanted, 1, millis) };
    match ready {
        1 => Ok(()),
        0 => Err(io::Error::new(io::ErrorKind::TimedOut, format!("nothing came in {patience:?}"))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A search in bytes; the needle is short.
pub(super) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

const PATIENCE: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 256 * 1024;
