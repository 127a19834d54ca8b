//! The terminal front-end in front of an engine that panics at the first command: what a bug of ours must not do to
//! somebody's terminal. Driven by `scenarios::shutdown`; takes the folder for the line history as its argument.

use std::process::ExitCode;

use common::queue::bounded;
use peer::api::{Event, Told};
use peer::frontend::password::Passwords;
use peer::frontend::settings::Settings;
use peer::frontend::signals::Signals;
use peer::frontend::terminal::Modes;
use peer::frontend::{Wires, repl};

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).expect("the folder is named");
    let _modes = Modes::remember();
    let signals = Signals::watch().expect("signals can be watched");
    let (commands, asked) = bounded(4);
    let (told, events) = bounded(4);
    std::panic::set_hook(Box::new(|_| {}));
    let engine = common::thread::spawn("engine", move || {
        let listen = "127.0.0.1:9".parse().expect("an address");
        told.send(Told { re: None, event: Event::Ready { listen } }).expect("the front-end listens");
        let asked = asked.recv();
        panic!("as planned, at {asked:?}");
    });
    let engine = engine.expect("a thread");
    let setup = repl::Setup {
        settings: Settings::default(),
        color: true,
        words: false,
        history: std::path::Path::new(&folder).join("history"),
        first_run: false,
        signs_in: true,
        enters_room: false,
    };
    let exit = repl::run_terminal(
        Wires { commands, events, written: Default::default() },
        setup,
        &Passwords::Nowhere,
        &signals,
    );
    assert!(engine.join_quietly().is_err(), "the engine panicked");
    ExitCode::from(exit.expect("the terminal works") as u8)
}
