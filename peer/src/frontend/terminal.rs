//! What the operating system knows of the terminal: its modes, put back however the program ends, and its width.
//! `main` keeps the modes; the printer asks for the width. Nothing here writes text.

#![expect(unsafe_code, reason = "tcgetattr, tcsetattr and TIOCGWINSZ have no safe call in std")]

use std::mem::MaybeUninit;

/// The terminal's modes at the time of the call; dropping it puts them back.
pub struct Modes {
    /// `None` without a terminal.
    saved: Option<libc::termios>,
}

impl Modes {
    pub fn remember() -> Self {
        let mut modes = MaybeUninit::uninit();
        // SAFETY: `tcgetattr` fills the structure if it returns 0, and it is read only then.
        let saved =
            unsafe { (libc::tcgetattr(libc::STDIN_FILENO, modes.as_mut_ptr()) == 0).then(|| modes.assume_init()) };
        Self { saved }
    }

    /// Puts them back now.
    pub fn restore(&self) {
        let Some(saved) = &self.saved else { return };
        // SAFETY: the structure came from `tcgetattr`. A terminal that has gone away needs no modes.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, saved) };
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        self.restore();
    }
}

/// No echo while it lives: between two prompts, what is typed ahead waits for the next one.
pub struct Quiet {
    before: Modes,
}

impl Quiet {
    pub fn begin() -> Self {
        Self::without(libc::ECHO)
    }

    /// Before a password is asked for: from the prompt's first character on nothing typed shows, and Ctrl-C is a key
    /// like any other, which the prompt reads.
    pub fn for_password() -> Self {
        Self::without(libc::ECHO | libc::ICANON | libc::ISIG)
    }

    fn without(flags: libc::tcflag_t) -> Self {
        let before = Modes::remember();
        if let Some(mut modes) = before.saved {
            modes.c_lflag &= !flags;
            // SAFETY: the structure came from `tcgetattr`.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const modes) };
        }
        Self { before }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.before.restore();
    }
}

/// Columns of the terminal behind standard output, if there is one and it says.
pub fn columns() -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: TIOCGWINSZ fills a `winsize`; zeroes are a valid one.
    let size = unsafe {
        if libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, size.as_mut_ptr()) != 0 {
            return None;
        }
        size.assume_init()
    };
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}
