//! A hand on the connections of a running child: they are cut or slowed as a network would do it, wherever they go,
//! and the program learns of it from its sockets alone. Linux only, and only for one's own children.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use socket2::Socket;

/// The connected sockets of a child, shared with it.
pub fn connections(pid: u32) -> io::Result<Vec<Socket>> {
    let process = owned(call(libc::SYS_pidfd_open, [libc::c_long::from(pid), 0, 0])?);
    let mut sockets = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let is_socket = std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_string_lossy().parse::<RawFd>();
        let Some(number) = number.ok().filter(|_| is_socket) else { continue };
        let of_child = [libc::c_long::from(process.as_raw_fd()), libc::c_long::from(number), 0];
        match call(libc::SYS_pidfd_getfd, of_child) {
            Ok(shared) => sockets.push(Socket::from(owned(shared))),
            // Closed meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            Err(error) => return Err(error),
        }
    }
    sockets.retain(|socket| socket.peer_addr().is_ok());
    Ok(sockets)
}

/// Lets at most so many bytes a second out of a socket.
pub fn slow_down(socket: &Socket, bytes_per_second: u32) -> io::Result<()> {
    let (value, size) = (&raw const bytes_per_second, size_of::<u32>());
    let size = libc::socklen_t::try_from(size).expect("four bytes");
    #[expect(unsafe_code, reason = "std has no pacing; setsockopt(2) reads four bytes that outlive the call")]
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, value.cast(), size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn call(number: libc::c_long, [first, second, third]: [libc::c_long; 3]) -> io::Result<RawFd> {
    #[expect(unsafe_code, reason = "libc wraps neither of the two calls; they take numbers and touch no memory")]
    let result = unsafe { libc::syscall(number, first, second, third) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(RawFd::try_from(result).expect("a descriptor")) }
}

fn owned(descriptor: RawFd) -> OwnedFd {
    #[expect(unsafe_code, reason = "the descriptor was made for us a moment ago, and nobody else knows it")]
    unsafe {
        OwnedFd::from_raw_fd(descriptor)
    }
}
