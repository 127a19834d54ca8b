//! A man in the middle: holds every connection to one address, sees where a frame begins and ends and no more, and does
//! to one frame of each what a schedule says. Everything else passes as it is.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::limits::FRAME_BYTES_MAX;
use common::thread::{Handle, spawn};
use common::wire::frame::{FrameDecoder, write_frame};
use common::wire::stream::{read_frame, read_preamble, write_all};

use super::schedule::{Fault, Schedule, Schedules};

/// Listens until dropped.
pub struct Middle {
    address: String,
    is_over: Arc<AtomicBool>,
    acceptor: Option<Handle>,
}

/// One connection, as both of its directions know it.
struct Wire {
    schedules: Schedules,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    schedule: Option<Schedule>,
    has_happened: bool,
    /// Frames so far, of each side.
    frames: [u64; 2],
    /// Comes after the next one.
    held: Option<Vec<u8>>,
}

impl Middle {
    /// In front of `target`.
    pub fn start(target: &str, schedules: &Schedules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, schedules, target) = (Arc::clone(&is_over), schedules.clone(), target.to_owned());
        let accept = move || {
            let mut open: Vec<(TcpStream, Handle)> = Vec::new();
            for near in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                open.retain(|(_, thread)| !thread.is_finished());
                let Ok(far) = TcpStream::connect(&target) else { continue };
                let (copy, schedules) = (near.try_clone().expect("a socket can be shared"), schedules.clone());
                open.push((copy, spawn("middle", move || carry(&near, &far, &schedules)).expect("a thread")));
            }
            for (near, thread) in open {
                let _ = near.shutdown(Shutdown::Both);
                drop(thread);
            }
        };
        Self { address, is_over, acceptor: Some(spawn("middles", accept).expect("a thread")) }
    }

    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        self.acceptor = None;
    }
}

/// Both directions of one connection, to the end of both.
fn carry(near: &TcpStream, far: &TcpStream, schedules: &Schedules) {
    let plan = Mutex::new(Plan { schedule: schedules.take(), ..Plan::default() });
    let wire = Arc::new(Wire { schedules: schedules.clone(), plan });
    for stream in [near, far] {
        let _ = stream.set_nodelay(true);
    }
    let back = {
        let (near, far) = (near.try_clone().expect("a socket can be shared"), far.try_clone().expect("likewise"));
        let wire = Arc::clone(&wire);
        spawn("middle back", move || wire.pass(1, &far, &near)).expect("a thread")
    };
    let far_off = Instant::now() + LONG;
    if let Ok(preamble) = read_preamble(near, far_off)
        && write_all(far, &preamble, far_off).is_ok()
    {
        wire.pass(0, near, far);
    } else {
        end(near, far);
    }
    drop(back);
    if let Some(schedule) = &wire.plan().schedule {
        schedules.ended(schedule.seed);
    }
}

impl Wire {
    /// Frames of one side, until one of the two ends closes.
    fn pass(&self, side: usize, from: &TcpStream, to: &TcpStream) {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        while let Ok(frame) = read_frame(from, &mut decoder, Instant::now() + LONG) {
            let bytes = self.fate(side, &frame);
            self.schedules.keep(&frame);
            if write_all(to, &bytes, Instant::now() + LONG).is_err() {
                break;
            }
        }
        end(from, to);
    }

    /// What arrives in place of a frame.
    fn fate(&self, side: usize, frame: &[u8]) -> Vec<u8> {
        let plan = &mut *self.plan();
        let number = plan.frames[side];
        plan.frames[side] += 1;
        if plan.schedule.is_none() {
            // It was there before there was anything to play: counted from now on.
            plan.schedule = self.schedules.take();
            plan.schedule.iter_mut().for_each(|schedule| schedule.frame += plan.frames[schedule.side]);
        }
        let mut bytes = Vec::new();
        let Some(schedule) = plan.schedule.as_mut().filter(|schedule| schedule.side == side) else {
            write_frame(frame, &mut bytes);
            return bytes;
        };
        if plan.has_happened || number < schedule.frame {
            write_frame(frame, &mut bytes);
            if let Some(held) = plan.held.take() {
                write_frame(&held, &mut bytes);
            }
            return bytes;
        }
        plan.has_happened = true;
        self.schedules.played(schedule);
        match schedule.fault {
            Fault::Flip => {
                write_frame(frame, &mut bytes);
                let bit = schedule.random.below(bytes.len() * 8 - HIGH_BITS) + HIGH_BITS;
                bytes[bit / 8] ^= 0x80 >> (bit % 8);
            }
            Fault::Drop => {}
            Fault::Repeat => {
                write_frame(frame, &mut bytes);
                write_frame(frame, &mut bytes);
            }
            Fault::Reorder => plan.held = Some(frame.to_vec()),
            Fault::Splice => write_frame(&self.schedules.foreign(&mut schedule.random, frame), &mut bytes),
        }
        bytes
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// Longer than either end bears silence.
const LONG: Duration = Duration::from_secs(600);
/// Of a frame's length these are left alone: a frame said to be as long is waited for until enough has come to fill it.
const HIGH_BITS: usize = 7;
