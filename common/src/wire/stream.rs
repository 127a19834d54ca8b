//! Whole frames from and to a blocking stream, under an absolute deadline: a byte now and then does not extend it.

#![expect(clippy::disallowed_methods, reason = "a deadline is kept against the clock, here and nowhere above")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::frame::{BadFrameLength, FrameDecoder};

/// What a deadline needs of a stream besides reading and writing. Both halves are set apart: two threads use them.
pub trait Timed {
    /// The next read gives up after `timeout`.
    fn limit_read(&self, timeout: Duration) -> io::Result<()>;
    /// The next write gives up after `timeout`.
    fn limit_write(&self, timeout: Duration) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn limit_read(&self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))
    }

    fn limit_write(&self, timeout: Duration) -> io::Result<()> {
        self.set_write_timeout(Some(timeout))
    }
}

impl<T: Timed + ?Sized> Timed for &T {
    fn limit_read(&self, timeout: Duration) -> io::Result<()> {
        (**self).limit_read(timeout)
    }

    fn limit_write(&self, timeout: Duration) -> io::Result<()> {
        (**self).limit_write(timeout)
    }
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the other side closed the connection")]
    Closed,
    #[error("nothing came in time")]
    Late,
    #[error(transparent)]
    Length(#[from] BadFrameLength),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads until one whole frame is there or `deadline` has passed. What arrived stays in `decoder` either way.
pub fn read_frame<S: Read + Timed>(
    mut stream: S,
    decoder: &mut FrameDecoder,
    deadline: Instant,
) -> Result<Vec<u8>, ReadError> {
    loop {
        if let Some(frame) = decoder.next_frame()? {
            return Ok(frame.to_vec());
        }
        fill(&mut stream, decoder, deadline)?;
    }
}

/// Reads until `count` bytes are there, and takes them out of `decoder`'s stream.
pub fn read_preamble<S: Read + Timed>(mut stream: S, deadline: Instant) -> Result<[u8; 4], ReadError> {
    let mut bytes = [0; 4];
    let mut held = 0;
    while held < bytes.len() {
        stream.limit_read(remaining(deadline)?)?;
        match stream.read(&mut bytes[held..]) {
            Ok(0) => return Err(ReadError::Closed),
            Ok(count) => held += count,
            Err(error) => retry(error)?,
        }
    }
    Ok(bytes)
}

/// Reads once into `decoder`, however little comes, before `deadline`.
pub fn fill<S: Read + Timed>(stream: &mut S, decoder: &mut FrameDecoder, deadline: Instant) -> Result<(), ReadError> {
    stream.limit_read(remaining(deadline)?)?;
    match decoder.fill(stream) {
        Ok(0) => Err(ReadError::Closed),
        Ok(_) => Ok(()),
        Err(error) => retry(error),
    }
}

/// Writes all of `bytes` before `deadline`.
pub fn write_all<S: Write + Timed>(mut stream: S, mut bytes: &[u8], deadline: Instant) -> Result<(), ReadError> {
    while !bytes.is_empty() {
        stream.limit_write(remaining(deadline)?)?;
        match stream.write(bytes) {
            Ok(0) => return Err(ReadError::Closed),
            Ok(count) => bytes = &bytes[count..],
            Err(error) => retry(error)?,
        }
    }
    Ok(())
}

fn remaining(deadline: Instant) -> Result<Duration, ReadError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ReadError::Late) } else { Ok(left.max(Duration::from_millis(1))) }
}

fn retry(error: io::Error) -> Result<(), ReadError> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error.into()),
    }
}
