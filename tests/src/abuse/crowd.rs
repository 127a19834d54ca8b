//! Many connections that never sign in. One thread holds them all: it looks at each now and then, gives those that
//! dribble their byte a second, and notes when the registry closes one.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::wire::PREAMBLE;

use super::{pause, source};
use crate::wire::connect_from;

/// What such a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Silent,
    /// A byte a second from the first on.
    Dribbling,
    /// A good first message, then a byte a second.
    DribblingLater,
}

/// How long each of a crowd was let be.
#[derive(Debug)]
pub struct Crowd {
    /// By manner, from the connection to its end.
    pub lives: Vec<(Manner, Duration)>,
    /// Still open when patience ended.
    pub left: usize,
}

impl Crowd {
    /// Opens `count` connections, in turn of every manner and spread over `sources` addresses, and waits until all are
    /// closed or `patience` is over.
    pub fn stand(registry: &str, manners: &[Manner], count: usize, sources: usize, patience: Duration) -> Self {
        let begun = Instant::now();
        let mut lives = Vec::new();
        let mut open: Vec<Member> = Vec::new();
        for (number, manner) in (0..count).zip(manners.iter().cycle()) {
            match Member::connect(registry, *manner, number % sources) {
                Ok(member) => open.push(member),
                // Refused before it was in.
                Err(_) => lives.push((*manner, Duration::ZERO)),
            }
        }
        while !open.is_empty() && begun.elapsed() < patience {
            open.retain_mut(|member| {
                let is_open = member.goes_on();
                if !is_open {
                    lives.push((member.manner, member.since.elapsed()));
                }
                is_open
            });
            pause(LOOK_EVERY);
        }
        Self { lives, left: open.len() }
    }

    /// The longest of all lives of one manner.
    pub fn longest(&self, manner: Manner) -> Duration {
        let lives = self.lives.iter().filter(|(of, _)| *of == manner).map(|(_, life)| *life);
        lives.max().unwrap_or_default()
    }
}

struct Member {
    manner: Manner,
    stream: TcpStream,
    since: Instant,
    sent_at: Instant,
    rest: std::vec::IntoIter<u8>,
}

impl Member {
    fn connect(registry: &str, manner: Manner, number: usize) -> std::io::Result<Self> {
        let mut stream = connect_from(source(number), registry)?;
        let since = Instant::now();
        // Any 32 bytes can be a first message; a third one that long takes more than a minute at this pace.
        let first = [PREAMBLE.as_slice(), &[0, 32], &[0x55; 32]].concat();
        let third = [[0, 100].as_slice(), &[0x55; 100]].concat();
        let rest = match manner {
            Manner::Silent => Vec::new(),
            Manner::Dribbling => first,
            Manner::DribblingLater => {
                stream.write_all(&first)?;
                third
            }
        };
        stream.set_nonblocking(true)?;
        Ok(Self { manner, stream, since, sent_at: since, rest: rest.into_iter() })
    }

    // Sends what is due; whether the registry still lets it be.
    fn goes_on(&mut self) -> bool {
        if self.sent_at.elapsed() >= BYTE_EVERY
            && let Some(byte) = self.rest.next()
        {
            self.sent_at = Instant::now();
            if self.stream.write_all(&[byte]).is_err() {
                return false;
            }
        }
        match self.stream.read(&mut [0; 4096]) {
            Ok(count) => count > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

const BYTE_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
