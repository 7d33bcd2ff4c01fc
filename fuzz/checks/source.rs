//! Choices from bytes: every input means something, and a small change of it changes little.

pub(crate) struct Source<'d> {
    rest: &'d [u8],
}

impl<'d> Source<'d> {
    pub(crate) fn new(data: &'d [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte; 0 once there is none.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                byte
            }
            None => 0,
        }
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub(crate) fn pick<'t, T>(&mut self, table: &'t [T]) -> &'t T {
        &table[usize::from(self.byte()) % table.len()]
    }

    pub(crate) fn take(&mut self, len: usize) -> &'d [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub(crate) fn rest(self) -> &'d [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Sizes of pieces to cut something of `len` bytes into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cuts {
    Whole,
    Bytes,
    /// Of 1 to `most` bytes, at random.
    Random {
        seed: u16,
        most: u16,
    },
}

impl Cuts {
    pub(crate) fn pieces(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = bytes;
        let mut state = match self {
            Self::Random { seed, .. } => u32::from(seed) | 0x1_0000,
            _ => 0,
        };
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let len = match self {
                Self::Whole => rest.len(),
                Self::Bytes => 1,
                Self::Random { most, .. } => {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    1 + state as usize % usize::from(most.max(1))
                }
            };
            let (piece, after) = rest.split_at(len.min(rest.len()));
            rest = after;
            Some(piece)
        })
    }

    /// Some ways to cut that all must come to the same.
    pub(crate) fn some(source: &mut Source<'_>) -> [Self; 3] {
        let seed = source.word();
        [
            Self::Bytes,
            Self::Random { seed, most: 5 },
            Self::Random { seed, most: 300 },
        ]
    }
}
