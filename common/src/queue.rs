//! Bounded channels between threads whose receiver goes to sleep at once. crossbeam's receivers first look again for
//! some microseconds; where every message crosses several threads on one core, that is most of its way. One thread may
//! wait at several queues: they share its [`Bell`], which whoever sends rings.

#![expect(clippy::disallowed_methods, reason = "a deadline is kept against the clock, here and nowhere above")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};

/// What wakes one thread, the same for all queues it waits at.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Rope>);

#[derive(Debug, Default)]
struct Rope {
    /// The thread sleeps, or is about to look a last time before it does.
    is_asleep: AtomicBool,
    // Guards who sleeps; taken only by those who wake, and once by each thread that waits.
    sleeper: Mutex<Option<Thread>>,
}

/// The sending end. The receiver learns when all of them are gone.
#[derive(Debug)]
pub struct Sender<T> {
    queue: crossbeam_channel::Sender<T>,
    // Dropped behind the queue's end, so that whoever is woken by the last one finds it gone.
    end: End,
}

/// The receiving end; one thread waits at a time.
#[derive(Debug)]
pub struct Receiver<T> {
    queue: crossbeam_channel::Receiver<T>,
    bell: Bell,
    senders: Arc<AtomicUsize>,
}

/// Counts a sender as long as it lives, and rings when it ends.
#[derive(Debug)]
struct End {
    bell: Bell,
    senders: Arc<AtomicUsize>,
}

/// A queue for `capacity` items, with a bell of its own.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    bounded_at(&Bell::default(), capacity)
}

/// One whose receiver waits at other queues, too.
pub fn bounded_at<T>(bell: &Bell, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(capacity);
    let senders = Arc::new(AtomicUsize::new(1));
    let end = End { bell: bell.clone(), senders: Arc::clone(&senders) };
    (Sender { queue: sender, end }, Receiver { queue: receiver, bell: bell.clone(), senders })
}

impl Bell {
    /// Sleeps until somebody rings and `is_ready`, or until `deadline`.
    pub fn sleep(&self, deadline: Option<Instant>, is_ready: impl Fn() -> bool) {
        while !is_ready() {
            self.announce();
            // Whatever was sent before the announcement is seen here, and whoever sends after it rings.
            if is_ready() {
                break;
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => thread::park_timeout(left),
                    _ => break,
                },
            }
        }
        self.0.is_asleep.store(false, Ordering::SeqCst);
    }

    fn announce(&self) {
        let mut sleeper = self.0.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
        let this = thread::current();
        if sleeper.as_ref().is_none_or(|known| known.id() != this.id()) {
            *sleeper = Some(this);
        }
        drop(sleeper);
        self.0.is_asleep.store(true, Ordering::SeqCst);
    }

    /// Wakes the thread if it sleeps.
    fn ring(&self) {
        if self.0.is_asleep.load(Ordering::SeqCst) && self.0.is_asleep.swap(false, Ordering::SeqCst) {
            let sleeper = self.0.sleeper.lock().unwrap_or_else(PoisonError::into_inner);
            sleeper.iter().for_each(Thread::unpark);
        }
    }
}

impl<T> Sender<T> {
    /// Waits while the queue is full. `Err`: the receiver is gone.
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        self.queue.send(item)?;
        self.end.bell.ring();
        Ok(())
    }

    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.queue.try_send(item)?;
        self.end.bell.ring();
        Ok(())
    }

    /// To wait for room together with other things.
    pub fn channel(&self) -> &crossbeam_channel::Sender<T> {
        &self.queue
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.end.senders.fetch_add(1, Ordering::SeqCst);
        let end = End { bell: self.end.bell.clone(), senders: Arc::clone(&self.end.senders) };
        Self { queue: self.queue.clone(), end }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.senders.fetch_sub(1, Ordering::SeqCst);
        self.bell.ring();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: self.bell.clone(), senders: Arc::clone(&self.senders) }
    }
}

impl<T> Receiver<T> {
    /// What another queue needs whose receiver is the same thread.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Whether `try_recv` has something to say: an item, or that all senders are gone.
    pub fn is_ready(&self) -> bool {
        !self.queue.is_empty() || self.senders.load(Ordering::SeqCst) == 0
    }

    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.queue.try_recv()
    }

    pub fn try_iter(&self) -> crossbeam_channel::TryIter<'_, T> {
        self.queue.try_iter()
    }

    /// The next item; `Err` when all senders are gone and all items taken.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(None).map_err(|_| RecvError)
    }

    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(Instant::now() + timeout))
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        loop {
            match self.queue.try_recv() {
                Ok(item) => return Ok(item),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return Err(RecvTimeoutError::Timeout);
                }
                Err(TryRecvError::Empty) => self.bell.sleep(deadline, || self.is_ready()),
            }
        }
    }

    /// To wait for items together with other things.
    pub fn channel(&self) -> &crossbeam_channel::Receiver<T> {
        &self.queue
    }

    /// The same for good.
    pub fn into_channel(self) -> crossbeam_channel::Receiver<T> {
        self.queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::spawn;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn nothing_sent_is_slept_through() {
        // Two threads that wait for each other a hundred thousand times: a ring that is lost stops both.
        let (there, here) = bounded::<u32>(1);
        let (back, answers) = bounded::<u32>(1);
        let echo = spawn("echo", move || {
            while let Ok(number) = here.recv() {
                back.send(number).unwrap();
            }
        });
        for number in 0..100_000 {
            there.send(number).unwrap();
            assert_eq!(answers.recv_timeout(LONG), Ok(number));
        }
        drop(there);
        echo.unwrap().join();
        assert_eq!(answers.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn one_bell_wakes_for_every_queue_and_for_the_end_of_each() {
        let (numbers, received) = bounded::<u32>(4);
        let (words, heard) = bounded_at::<&str>(received.bell(), 4);
        let other = words.clone();
        let sender = spawn("sender", move || {
            numbers.send(1).unwrap();
            drop(words);
            other.send("one").unwrap();
        });
        let wait = |ready: &dyn Fn() -> bool| {
            let deadline = Instant::now() + LONG;
            received.bell().sleep(Some(deadline), ready);
            assert!(Instant::now() < deadline, "nobody rang");
        };
        wait(&|| received.is_ready());
        assert_eq!(received.try_recv(), Ok(1));
        wait(&|| heard.is_ready());
        assert_eq!(heard.recv(), Ok("one"));
        wait(&|| heard.is_ready() && received.is_ready());
        assert_eq!(heard.try_recv(), Err(TryRecvError::Disconnected));
        sender.unwrap().join();
    }

    #[test]
    fn a_deadline_ends_the_wait() {
        let (_sender, receiver) = bounded::<u32>(1);
        assert_eq!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
    }
}
