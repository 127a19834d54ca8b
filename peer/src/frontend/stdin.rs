//! Standard input as lines on a channel, for the faces that do not edit lines.

use std::io::{self, BufRead};

use common::queue::{Receiver, bounded};

/// What standard input had. After `End` nothing more comes.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    Line(String),
    /// A line that is not UTF-8.
    NotText,
    /// A line longer than any that could be accepted; it was skipped.
    TooLong,
    End,
}

/// Starts reading. What `take` does not take itself goes into the queue. That is short and reading waits when it is full,
/// so that a fast writer waits too.
pub fn lines(mut take: impl FnMut(Typed) -> Option<Typed> + Send + 'static) -> io::Result<Receiver<Typed>> {
    let (sender, receiver) = bounded(QUEUE_LINES);
    let thread = common::thread::spawn("stdin", move || {
        let mut input = io::stdin().lock();
        loop {
            let typed = next_line(&mut input);
            let end = typed == Typed::End;
            let gone = take(typed).is_some_and(|typed| sender.send(typed).is_err());
            if gone || end {
                return;
            }
        }
    })?;
    // A blocked read of standard input cannot be interrupted, and the program must be able to end while its input
    // stays open: this thread is left behind and goes with the process.
    thread.detach();
    Ok(receiver)
}

fn next_line(input: &mut impl BufRead) -> Typed {
    let (mut line, mut too_long) = (Vec::new(), false);
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => &[],
        };
        if available.is_empty() {
            if line.is_empty() && !too_long {
                return Typed::End;
            }
            break;
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(available.len(), |index| index + 1);
        if line.len() + taken > LINE_BYTES_MAX {
            too_long = true;
        } else {
            line.extend_from_slice(&available[..newline.unwrap_or(taken)]);
        }
        input.consume(taken);
        if newline.is_some() {
            break;
        }
    }
    if too_long {
        return Typed::TooLong;
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_or(Typed::NotText, Typed::Line)
}

/// The longest text with every character escaped as `\u` and four digits, and as much again around it.
const LINE_BYTES_MAX: usize = 12 * common::limits::TEXT_BYTES_MAX;

/// Lines read ahead of the one being worked on.
const QUEUE_LINES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_or_are_named_for_what_is_wrong() {
        let mut bytes = b"one\r\ntwo\n\n\xff\n".to_vec();
        bytes.extend(vec![b'x'; LINE_BYTES_MAX + 1]);
        bytes.extend(b"\nlast");
        let mut input = io::BufReader::with_capacity(7, bytes.as_slice());
        let line = |text: &str| Typed::Line(text.to_owned());
        let expected = [line("one"), line("two"), line(""), Typed::NotText, Typed::TooLong, line("last"), Typed::End];
        for expected in expected {
            assert_eq!(next_line(&mut input), expected);
        }
    }
}
