//! The window that is kept between messages: [RFC 7692 §7.2.2].
//!
//! The last bytes that were inflated, at most as many as the agreed window holds. It grows with what
//! arrives, so a connection that has received little keeps little.
//!
//! [RFC 7692 §7.2.2]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2

use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct History {
    /// A ring once it is full; before that, what there is from the front on.
    bytes: Vec<u8>,
    /// The oldest byte.
    at: usize,
    size: usize,
}

impl History {
    pub(super) const fn new(size: usize) -> Self {
        Self {
            bytes: Vec::new(),
            at: 0,
            size,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().saturating_sub(self.size);
        let mut bytes = bytes.get(kept..).unwrap_or_default();
        let room = self.size - self.bytes.len();
        if room > 0 {
            let (new, rest) = bytes.split_at(bytes.len().min(room));
            if self.bytes.capacity() - self.bytes.len() < new.len() {
                // Doubled, but never beyond the window.
                let more = new.len().max(self.bytes.len()).min(room);
                self.bytes.reserve_exact(more);
            }
            self.bytes.extend_from_slice(new);
            bytes = rest;
        }
        while !bytes.is_empty() {
            let (new, rest) = bytes.split_at(bytes.len().min(self.size - self.at));
            if let Some(old) = self.bytes.get_mut(self.at..self.at + new.len()) {
                old.copy_from_slice(new);
            }
            self.at = (self.at + new.len()) % self.size;
            bytes = rest;
        }
    }

    /// What is kept, the oldest first.
    pub(super) fn runs(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.at);
        [older, newer]
    }

    /// The memory that it takes.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_bytes() {
        for size in [256, 300, 512] {
            for piece in [1, 3, 100, 255, 256, 257, 511, 700, 1500] {
                let mut history = History::new(size);
                let mut all = Vec::new();
                for i in 0..20_u8 {
                    let bytes: Vec<u8> = (0..=u8::MAX)
                        .cycle()
                        .map(|j| i.wrapping_mul(37) ^ j)
                        .take(piece)
                        .collect();
                    history.push(&bytes);
                    all.extend_from_slice(&bytes);
                    let expected = &all[all.len().saturating_sub(size)..];
                    assert_eq!(history.runs().concat(), expected);
                    assert!(history.capacity() <= size);
                }
            }
        }
    }
}
