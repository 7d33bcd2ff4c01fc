//! The keys that a client masks its frames with.

use crate::config::Entropy;
use crate::error::EntropyError;

/// Masks for a client's frames (R141, §5.3), drawn from the source of entropy in batches: a call to
/// the operating system costs more than the frame.
pub(super) struct Keys {
    entropy: Entropy,
    bytes: [u8; 256],
    used: usize,
}

impl Keys {
    pub(super) const fn new(entropy: Entropy) -> Self {
        Self {
            entropy,
            bytes: [0; 256],
            used: 256,
        }
    }

    /// A key that no frame has had.
    #[inline]
    pub(super) fn draw(&mut self) -> Result<[u8; 4], EntropyError> {
        loop {
            if let Some(key) = self.bytes.get(self.used..).and_then(<[u8]>::first_chunk) {
                self.used += key.len();
                return Ok(*key);
            }
            (self.entropy)(&mut self.bytes)?;
            self.used = 0;
        }
    }
}
