//! This program as a stage: real peers over pipes, as a front-end that is a program would run them.

use std::io::{self, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use super::child::Running;
use super::lines::{Incoming, contains};
use super::talk::{Listener, Speaker, Stage};
use crate::programs::{Launch, Registry};

/// A registry and people who are signed in at it.
pub(super) struct People {
    pub(super) registry: Registry,
    pub(super) all: Vec<Face>,
}

/// A peer, and both its pipes.
pub(super) struct Face {
    pub(super) name: String,
    pub(super) running: Running,
    input: ChildStdin,
    output: Incoming<ChildStdout>,
    /// Holds the folder it runs in.
    launch: Launch,
}

impl People {
    /// As many newcomers as are wanted, signed in.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let registry = Registry::start(&[]);
        let all = arrive(&registry, count)?;
        Ok(Self { registry, all })
    }

    /// All of them in one room, linked to each other and heard by all.
    pub(super) fn meet(&mut self, room: &str) -> io::Result<()> {
        let (first, others) = self.all.split_first_mut().expect("somebody is here");
        first.tell(&format!("/create {room}"))?;
        first.await_line(r#""type":"created""#)?;
        for other in others.iter_mut() {
            other.tell(&format!("/join {room}"))?;
            let own = format!(r#""user":"{}""#, other.name);
            other.await_where(|line| line.contains(r#""type":"joined""#) && line.contains(&own))?;
        }
        let whole = format!(r#""done":{0},"of":{0}"#, others.len());
        first.tell(&format!("{room} is everybody here?"))?;
        first.await_line(&whole)?;
        for other in others {
            other.await_line("is everybody here?")?;
        }
        Ok(())
    }

    /// The first of them speaks, all others listen.
    pub(super) fn stage(mut self, target: &str) -> io::Result<Stage> {
        let first = self.all.remove(0);
        let mut keeps: Vec<Box<dyn std::any::Any>> = Vec::new();
        let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
        for Face { running, input, output, launch, .. } in self.all {
            listeners.push(Box::new(Heard(output)));
            keeps.push(Box::new((running, input, launch)));
        }
        let Face { running, input, output, launch, .. } = first;
        keeps.push(Box::new((running, launch)));
        keeps.push(Box::new(self.registry));
        let speaker = Box::new(Typing { input, target: target.to_owned(), lines: String::new() });
        Ok(Stage { speaker, receipts: Some(Box::new(Delivered(output))), listeners, _keeps: keeps })
    }
}

/// As many newcomers at a registry, signed in.
pub(super) fn arrive(registry: &Registry, count: usize) -> io::Result<Vec<Face>> {
    let mut all = Vec::new();
    let names: Vec<String> = (0..count).map(|number| format!("person{number}")).collect();
    // Some at a time: each of them spends 64 MiB on its keys.
    for some in names.chunks(AT_ONCE) {
        let started = some.iter().map(|name| Face::start(&Launch::new(registry, name)));
        let mut started = started.collect::<io::Result<Vec<_>>>()?;
        for face in &mut started {
            face.await_line(r#""type":"signed_in""#)?;
        }
        all.append(&mut started);
    }
    Ok(all)
}

/// Two people who have spoken with each other.
pub(super) fn pair() -> io::Result<Stage> {
    let mut people = People::start(2)?;
    people.all[0].tell("@person1 are you there?")?;
    people.all[0].await_line(r#""state":"delivered""#)?;
    people.all[1].await_line("are you there?")?;
    people.stage("@person1")
}

/// A room of so many.
pub(super) fn room(count: usize) -> io::Result<Stage> {
    let mut people = People::start(count)?;
    people.meet("#bench")?;
    people.stage("#bench")
}

impl Face {
    pub(super) fn start(launch: &Launch) -> io::Result<Self> {
        let mut command = launch.json_command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running(command.spawn()?);
        let input = running.0.stdin.take().expect("piped");
        let output = Incoming::new(running.0.stdout.take().expect("piped"));
        Ok(Self { name: launch.name.clone(), running, input, output, launch: launch.clone() })
    }

    pub(super) fn tell(&mut self, line: &str) -> io::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes())
    }

    /// The next line with this in it.
    pub(super) fn await_line(&mut self, part: &str) -> io::Result<String> {
        self.await_where(|line| line.contains(part))
    }

    /// The same for what may take long.
    pub(super) fn await_patiently(&mut self, patience: Duration, part: &str) -> io::Result<String> {
        let before = std::mem::replace(&mut self.output.patience, patience);
        let line = self.await_line(part);
        self.output.patience = before;
        line
    }

    /// Ends it politely.
    pub(super) fn quit(mut self) -> io::Result<()> {
        self.tell("/quit")?;
        self.await_line(r#""type":"bye""#)?;
        self.running.0.wait()?;
        Ok(())
    }

    pub(super) fn await_where(&mut self, wanted: impl Fn(&str) -> bool) -> io::Result<String> {
        let name = self.name.clone();
        self.output.line(wanted).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    }
}

struct Typing {
    input: ChildStdin,
    target: String,
    lines: String,
}

impl Speaker for Typing {
    fn say(&mut self, texts: &[String]) -> io::Result<()> {
        self.lines.clear();
        for text in texts {
            self.lines.extend([self.target.as_str(), " ", text, "\n"]);
        }
        self.input.write_all(self.lines.as_bytes())
    }
}

/// Messages of others.
struct Heard(Incoming<ChildStdout>);

impl Listener for Heard {
    fn hear(&mut self) -> io::Result<u64> {
        self.0.count_lines(|line| line.starts_with(MESSAGE) && contains(line, br#""own":false"#))
    }
}

/// Messages of one's own that are on the disk of everybody they are for.
struct Delivered(Incoming<ChildStdout>);

impl Listener for Delivered {
    fn hear(&mut self) -> io::Result<u64> {
        self.0.count_lines(|line| line.starts_with(DELIVERY) && is_whole(line))
    }
}

/// Whether `done` is as much as `of`.
fn is_whole(line: &[u8]) -> bool {
    let number = |field: &[u8]| {
        let at = line.windows(field.len()).position(|window| window == field)? + field.len();
        line[at..].split(|byte| !byte.is_ascii_digit()).next()
    };
    let (done, of) = (number(br#""done":"#), number(br#""of":"#));
    done.is_some() && done == of
}

const MESSAGE: &[u8] = br#"{"type":"message""#;
const DELIVERY: &[u8] = br#"{"type":"delivery""#;
const AT_ONCE: usize = 8;

#[cfg(test)]
mod tests {
    #[test]
    fn a_delivery_is_whole_when_all_have_it() {
        assert!(super::is_whole(br#"{"type":"delivery","state":"delivered","done":9,"of":9}"#));
        assert!(!super::is_whole(br#"{"type":"delivery","state":"delivered","done":1,"of":10}"#));
        assert!(!super::is_whole(br#"{"type":"message"}"#));
    }
}
