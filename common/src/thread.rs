//! The only place that starts threads. Every thread has a name to be seen in a debugger, is joined when its handle
//! is dropped, and passes its panic on to whoever joins it.

#![expect(clippy::disallowed_methods, reason = "this is the one spawner of the workspace")]

use std::io;
use std::thread;

/// A running thread; dropping the handle waits for it.
/// Whatever tells the thread to end must be dropped before: declare it above the handle.
#[derive(Debug)]
pub struct Handle<T = ()> {
    // `None` only after `join` or `detach` took it.
    inner: Option<thread::JoinHandle<T>>,
}

/// Starts a thread with the default stack.
pub fn spawn<T: Send + 'static>(name: &str, body: impl FnOnce() -> T + Send + 'static) -> io::Result<Handle<T>> {
    start(thread::Builder::new().name(name.to_owned()), body)
}

/// Starts a thread whose stack has `stack_bytes`; for the many threads of a registry.
pub fn spawn_small<T: Send + 'static>(
    name: &str,
    stack_bytes: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Handle<T>> {
    start(thread::Builder::new().name(name.to_owned()).stack_size(stack_bytes), body)
}

fn start<T: Send + 'static>(
    builder: thread::Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Handle<T>> {
    builder.spawn(body).map(|inner| Handle { inner: Some(inner) })
}

impl<T> Handle<T> {
    /// Waits for the thread and returns what it returned. A panic in it goes on here.
    pub fn join(mut self) -> T {
        let inner = self.inner.take().expect("a handle is joined once");
        inner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Waits for the thread; a panic in it is returned instead of going on.
    pub fn join_quietly(mut self) -> thread::Result<T> {
        self.inner.take().expect("a handle is joined once").join()
    }

    pub fn is_finished(&self) -> bool {
        self.inner.as_ref().is_none_or(thread::JoinHandle::is_finished)
    }

    /// Lets the thread run on unjoined: only for one that blocks in a call nobody can interrupt.
    pub fn detach(mut self) {
        self.inner.take();
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        if inner.thread().id() == thread::current().id() {
            return;
        }
        if let Err(panic) = inner.join()
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_travel_to_the_joiner() {
        let handle = spawn("doomed", || panic!("as planned")).unwrap();
        assert!(handle.join_quietly().is_err());
    }

    #[test]
    fn threads_have_names() {
        let name = spawn("link-7-read", || thread::current().name().map(str::to_owned)).unwrap().join();
        assert_eq!(name.as_deref(), Some("link-7-read"));
    }
}
