//! Reads a fuzzer's bytes as choices, so that a flipped bit is another decision and not another garbage.

/// What is left of the input; at its end every choice is zero.
#[derive(Debug, Clone)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is at most 65,536.
    pub fn below(&mut self, bound: usize) -> usize {
        let high = if bound > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (high | usize::from(self.byte())) % bound.max(1)
    }

    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// As many bytes as the next one says.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = self.below(256).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// `honest` with a few changes to its bytes.
    pub fn changed(&mut self, honest: &[u8]) -> Vec<u8> {
        let mut bytes = honest.to_vec();
        for _ in 0..self.below(CHANGES_MAX + 1) {
            let (kind, at) = (self.below(6), self.below(1 << 16) % (bytes.len() + 1));
            match kind {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= self.byte()),
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..(at + self.below(256)).min(bytes.len()).max(at))),
                3 => drop(bytes.splice(at..at, self.piece().iter().copied())),
                4 => {
                    let again = bytes[at..].iter().take(self.below(256)).copied().collect::<Vec<u8>>();
                    bytes.splice(at..at, again);
                }
                _ => bytes = self.piece().to_vec(),
            }
        }
        bytes
    }
}

const CHANGES_MAX: usize = 4;
