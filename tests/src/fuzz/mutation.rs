//! Changes to inputs, as a fuzzer makes them: bits, bytes, pieces, and two inputs crossed.

use common::fuzz::attacks;

use crate::world::Random;

/// Some input of `corpus`, changed a few times.
pub(super) fn of(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(corpus).cloned().unwrap_or_default();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
            1 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = any(random)),
            2 => input.insert(at, any(random)),
            3 => drop(input.drain(at..(at + random.below(16)).min(input.len()))),
            4 => input.truncate(at),
            5 => {
                let piece = match random.below(2) {
                    0 => random.pick(TROUBLE).copied().unwrap_or_default().to_owned(),
                    _ => random.pick(&attacks()).cloned().unwrap_or_default(),
                };
                input.splice(at..at, piece.bytes());
            }
            _ => {
                let other = random.pick(corpus).map_or(&[][..], Vec::as_slice);
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
        }
    }
    input
}

fn any(random: &mut Random) -> u8 {
    const INTERESTING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xc0, 0xc1, 0xdf, 0xff];
    match random.below(2) {
        0 => INTERESTING[random.below(INTERESTING.len())],
        _ => u8::try_from(random.below(256)).expect("it is below 256"),
    }
}

/// What parsers and readers have stumbled over, and what some of ours look for.
const TROUBLE: &[&str] =
    &["\r\n", "\n14:03 <carol> ", "\0", "/msg bob ", "\"", "^bob ", "limits.sessions=", "[[[[", "{\"line\":\""];
