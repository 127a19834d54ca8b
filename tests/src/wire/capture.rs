//! Every packet on this machine's loopback while it runs, as a packet capture sees it. Needs the right to open a raw
//! socket; whoever runs the tests without it is told so.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::thread::{Handle, spawn};
use socket2::{Domain, Protocol, Socket, Type};

pub struct Capture {
    is_over: Arc<AtomicBool>,
    // Ends soon after it is told to.
    thread: Option<Handle<Vec<u8>>>,
}

impl Capture {
    /// Begins to listen; an error if this user may not.
    pub fn start() -> io::Result<Self> {
        let every_protocol = i32::from(ETH_P_ALL.to_be());
        let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(every_protocol)))?;
        // What does not fit is lost to the capture, not to the programs.
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_read_timeout(Some(LOOK_AGAIN))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let body = move || {
            let (mut heard, mut packet) = (Vec::new(), vec![0; PACKET_BYTES_MAX]);
            let mut over_since = None;
            loop {
                if over.load(Ordering::Acquire) {
                    over_since.get_or_insert_with(Instant::now);
                }
                match socket.read(&mut packet) {
                    // Others on this machine may never be silent.
                    _ if over_since.is_some_and(|since: Instant| since.elapsed() > LINGER) => return heard,
                    Ok(count) => heard.extend_from_slice(&packet[..count]),
                    // Silence: everything sent before the end has been heard.
                    Err(_) if over.load(Ordering::Acquire) => return heard,
                    Err(_) => {}
                }
            }
        };
        Ok(Self { is_over, thread: Some(spawn("capture", body)?) })
    }

    /// Everything heard, packet after packet.
    pub fn stop(mut self) -> Vec<u8> {
        self.is_over.store(true, Ordering::Release);
        self.thread.take().map(Handle::join).unwrap_or_default()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// `linux/if_ether.h`
const ETH_P_ALL: u16 = 3;
const PACKET_BYTES_MAX: usize = 128 * 1024;
const BUFFER_BYTES: usize = 32 * 1024 * 1024;
/// What was sent before the end is read by then.
const LINGER: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
