//! A peer on a real pseudo-terminal, and the screen a person would see. The parser stands for the terminal: what it
//! shows is what the program drew, including what it left behind when it ended.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use common::thread::{Handle, spawn};
use crossbeam_channel::{Receiver, RecvTimeoutError, unbounded};
use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, SlavePty, native_pty_system};

use super::build::{of_this_package, program};
use super::emulator::Deeds;
use super::launch::{Launch, UNWANTED};
use super::process::{DEADLINE, send_signal};
use super::transcript::Transcript;

pub struct TermPeer {
    pub launch: Launch,
    pid: u32,
    keyboard: RefCell<Box<dyn Write + Send>>,
    bytes: Receiver<Vec<u8>>,
    ended: Receiver<ExitStatus>,
    screen: RefCell<vt100::Parser<Deeds>>,
    written: RefCell<Vec<u8>>,
    status: RefCell<Option<ExitStatus>>,
    termios_before: String,
    termios_after: RefCell<String>,
    // Open until the program has ended, so that the terminal does not hang up on it.
    slave: RefCell<Option<Box<dyn SlavePty + Send>>>,
    master: Box<dyn MasterPty + Send>,
    // They end when the program has and `slave` is closed.
    threads: Vec<Handle>,
}

impl TermPeer {
    /// Starts `peer` on a terminal of `rows` and `columns`.
    pub fn launch(launch: Launch, rows: u16, columns: u16) -> Self {
        let arguments = launch.arguments();
        Self::run(launch, program("peer").into_os_string(), arguments, rows, columns)
    }

    /// Starts any program in place of `peer`.
    pub fn run(launch: Launch, path: OsString, arguments: Vec<OsString>, rows: u16, columns: u16) -> Self {
        let pair = native_pty_system().openpty(size(rows, columns)).expect("a pseudo-terminal");
        let termios_before = termios(pair.master.as_ref());
        let mut command = CommandBuilder::new(path);
        command.args(arguments);
        command.cwd(launch.folder());
        UNWANTED.iter().for_each(|name| command.env_remove(name));
        of_this_package().iter().for_each(|name| command.env_remove(name));
        command.env("TERM", "xterm-256color");
        launch.environment().into_iter().for_each(|(name, value)| command.env(name, value));
        let mut child = pair.slave.spawn_command(command).expect("the program starts");
        launch.transcript.add(&launch.name, '>', "(started on a terminal)");
        let pid = child.process_id().expect("a child has a number");
        let mut reader = pair.master.try_clone_reader().expect("the terminal can be read");
        let keyboard = RefCell::new(pair.master.take_writer().expect("the terminal can be written"));
        let ((byte, bytes), (end, ended)) = (unbounded(), unbounded());
        let screen_thread = spawn(&format!("{} screen", launch.name), move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let _ = byte.send(buffer[..count].to_vec());
            }
        });
        let end_thread = spawn(&format!("{} end", launch.name), move || {
            let _ = end.send(child.wait().expect("a child can be waited for"));
        });
        Self {
            launch,
            pid,
            keyboard,
            bytes,
            ended,
            screen: RefCell::new(vt100::Parser::new_with_callbacks(
                at_least_one(rows),
                at_least_one(columns),
                0,
                Deeds::default(),
            )),
            written: RefCell::default(),
            status: RefCell::new(None),
            termios_before,
            termios_after: RefCell::default(),
            slave: RefCell::new(Some(pair.slave)),
            master: pair.master,
            threads: vec![screen_thread.expect("a thread"), end_thread.expect("a thread")],
        }
    }

    pub fn transcript(&self) -> &Transcript {
        &self.launch.transcript
    }

    /// Types, as a keyboard would: `\r` is Enter.
    pub fn type_(&self, keys: &str) {
        self.transcript().add(&self.launch.name, '>', &format!("{keys:?}"));
        let mut keyboard = self.keyboard.borrow_mut();
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("the terminal takes keys");
    }

    /// Types a line and Enter.
    pub fn enter(&self, line: &str) {
        self.type_(&format!("{line}\r"));
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        self.transcript().add(&self.launch.name, '>', &format!("(resized to {rows}x{columns})"));
        self.screen.borrow_mut().set_size(at_least_one(rows), at_least_one(columns));
        self.master.resize(size(rows, columns)).expect("the terminal can be resized");
    }

    /// What is on the screen now.
    pub fn screen(&self) -> String {
        self.draw();
        self.screen.borrow().screen().contents()
    }

    /// Looks at the screen itself: colours, modes, the cursor.
    pub fn look<T>(&self, at: impl FnOnce(&vt100::Screen) -> T) -> T {
        self.draw();
        at(self.screen.borrow().screen())
    }

    /// What was done to the terminal besides drawing on it.
    pub fn deeds(&self) -> Vec<String> {
        self.draw();
        self.screen.borrow().callbacks().list().to_vec()
    }

    /// Every byte that the program wrote to its terminal so far.
    pub fn written(&self) -> String {
        self.draw();
        String::from_utf8_lossy(&self.written.borrow()).into_owned()
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn wait_screen(&self, text: &str) {
        self.wait_until(&format!("'{text}' on the screen"), |screen| screen.contents().contains(text));
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        self.wait_for(DEADLINE, what, wanted);
    }

    /// The same with a deadline of its own.
    #[track_caller]
    pub fn wait_for(&self, patience: Duration, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + patience;
        loop {
            self.draw();
            if wanted(self.screen.borrow().screen()) {
                return;
            }
            match self.bytes.recv_deadline(deadline) {
                Ok(bytes) => self.take(&bytes),
                Err(error) => {
                    let why = if error == RecvTimeoutError::Timeout { "in vain" } else { "and the program ended" };
                    self.fail(&format!("{} waited {patience:?} for {what}, {why}", self.launch.name));
                }
            }
        }
    }

    /// Fails with the screen and the transcript.
    #[track_caller]
    pub fn fail(&self, what: &str) -> ! {
        let screen = self.screen.borrow().screen().contents();
        self.transcript().fail(&format!("{what}\n--- the screen\n{screen}\n---"));
    }

    pub fn signal(&self, signal: i32) {
        self.transcript().add(&self.launch.name, '>', &format!("(signal {signal})"));
        send_signal(self.pid, signal);
    }

    /// Waits for the program's end; its exit code. The screen shows all it drew.
    #[track_caller]
    pub fn end(&self) -> u32 {
        let Ok(status) = self.ended.recv_timeout(DEADLINE) else {
            self.draw();
            self.fail(&format!("waited {DEADLINE:?} for {} to end", self.launch.name));
        };
        if let Some(signal) = status.signal() {
            self.fail(&format!("{} was killed by {signal}", self.launch.name));
        }
        *self.status.borrow_mut() = Some(status.clone());
        *self.termios_after.borrow_mut() = termios(self.master.as_ref());
        // Nobody has the other side open any more: what was drawn comes to its end.
        *self.slave.borrow_mut() = None;
        while let Ok(bytes) = self.bytes.recv_timeout(DEADLINE) {
            self.take(&bytes);
        }
        status.exit_code()
    }

    /// After the end: the terminal's settings are those from before, and nothing is switched on that a shell would
    /// not expect.
    #[track_caller]
    pub fn check_sane(&self) {
        let after = self.termios_after.borrow();
        if *after != self.termios_before {
            self.fail(&format!("the terminal was left changed\nbefore {}\nafter  {after}", self.termios_before));
        }
        let left_on = self.look(|screen| {
            let modes = [
                ("the alternate screen", screen.alternate_screen()),
                ("bracketed paste", screen.bracketed_paste()),
                ("a hidden cursor", screen.hide_cursor()),
                ("application keys", screen.application_cursor() || screen.application_keypad()),
                ("bold or inverse text", screen.bold() || screen.inverse() || screen.dim()),
                ("a colour", screen.fgcolor() != vt100::Color::Default || screen.bgcolor() != vt100::Color::Default),
                ("a cursor that is not at the start of a line", screen.cursor_position().1 != 0),
            ];
            modes.into_iter().find(|(_, is_on)| *is_on).map(|(what, _)| what)
        });
        if let Some(what) = left_on {
            self.fail(&format!("the program left {what} behind"));
        }
    }

    // Draws what has come.
    fn draw(&self) {
        for bytes in self.bytes.try_iter() {
            self.take(&bytes);
        }
    }

    fn take(&self, bytes: &[u8]) {
        self.screen.borrow_mut().process(bytes);
        self.written.borrow_mut().extend_from_slice(bytes);
    }
}

impl Drop for TermPeer {
    fn drop(&mut self) {
        if self.status.borrow().is_none() && self.ended.try_recv().is_err() {
            send_signal(self.pid, libc::SIGKILL);
        }
        *self.slave.borrow_mut() = None;
        self.threads.clear();
    }
}

fn termios(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn at_least_one(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen has rows and columns")
}
