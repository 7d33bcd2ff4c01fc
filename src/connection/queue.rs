//! The bytes to write, in order, and the one frame that may overtake.
//!
//! Whole frames are queued behind each other in one buffer. A pong that would have to wait behind a
//! long backlog goes ahead of it instead: it is written where the frame that is being written ends
//! (R177), and while it has not begun, a newer one takes its place (R174).

use alloc::vec::Vec;

use crate::frame::{Header, MAX_HEADER_SIZE, Opcode, Role, Rules};
use crate::mask;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Handshake text and frames; `bytes[sent..]` is still to be written.
    bytes: Vec<u8>,
    sent: usize,
    /// The start of some frame in `bytes`, from which [`frame_end`](Self::frame_end) walks on; or
    /// the end of the text.
    boundary: usize,
    urgent: Urgent,
    close: Mark,
    /// All bytes that have ever been written.
    written: u64,
}

/// Frames that go ahead of what waits in `bytes`.
#[derive(Debug, Default)]
struct Urgent {
    /// A frame that has begun to be written, if any, then the newest one.
    bytes: Vec<u8>,
    sent: usize,
    /// The end of the frame that has begun.
    begun: usize,
    /// Where in the queue's `bytes` they are due: the end of a frame.
    at: usize,
}

/// How far this endpoint's Close frame has come.
#[derive(Debug, Default)]
enum Mark {
    #[default]
    None,
    /// It ends here in `bytes`.
    At(usize),
    Passed,
}

/// What the buffer grows to at once, and keeps when it drains: an answer of usual size then needs no
/// allocation, and an idle connection holds next to nothing.
const KEPT: usize = 128;

impl Queue {
    /// The next bytes to write; empty only if there are none at all.
    #[inline]
    pub(crate) fn output(&self) -> &[u8] {
        if self.urgent.bytes.is_empty() {
            self.bytes.get(self.sent..).unwrap_or_default()
        } else {
            self.output_with_urgent()
        }
    }

    /// The first `n` bytes of [`output`](Self::output) have been written.
    #[inline]
    pub(crate) fn sent(&mut self, n: usize) {
        let n = n.min(self.output().len());
        self.written += u64::try_from(n).unwrap_or_default();
        if self.urgent.bytes.is_empty() || self.sent < self.urgent.at {
            self.sent += n;
        } else {
            self.urgent.advance(n);
        }
        if self.sent == self.bytes.len() {
            self.drained();
        } else if self.sent >= KEPT && self.sent > self.bytes.len() / 2 {
            self.compact();
        }
    }

    /// All bytes that are still to be written.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent + self.urgent.bytes.len() - self.urgent.sent
    }

    /// All bytes that have been written, from the beginning on.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Text of the handshake, to be appended to; no frames may be in the queue yet.
    pub(crate) fn text<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let written = write(&mut self.bytes);
        self.boundary = self.bytes.len();
        written
    }

    /// Appends a frame.
    #[inline]
    pub(crate) fn push(&mut self, header: &Header, payload: &[u8]) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve(KEPT);
        }
        write_frame(&mut self.bytes, header, payload);
        if header.opcode == Opcode::Close {
            self.close = Mark::At(self.bytes.len());
        }
    }

    /// Queues a control frame ahead of every frame that has not begun to be written, in place of an
    /// earlier one that has not.
    pub(crate) fn push_urgent(&mut self, header: &Header, payload: &[u8]) {
        if self.urgent.bytes.is_empty() {
            self.urgent.at = self.frame_end();
        }
        self.urgent.bytes.truncate(self.urgent.begun);
        write_frame(&mut self.urgent.bytes, header, payload);
    }

    /// Takes back what was appended beyond `len` bytes of [`len`](Self::len).
    pub(crate) fn truncate(&mut self, len: usize) {
        let excess = self.len().saturating_sub(len);
        self.bytes.truncate(self.bytes.len() - excess);
    }

    /// Forgets everything: the transport has ended, or nothing may be sent.
    pub(crate) fn clear(&mut self) {
        let close = if self.close_sent() {
            Mark::Passed
        } else {
            Mark::None
        };
        *self = Self {
            close,
            ..Self::default()
        };
    }

    /// Whether a Close frame was queued, and all of it has been written.
    pub(crate) const fn close_sent(&self) -> bool {
        match self.close {
            Mark::None => false,
            Mark::At(end) => self.sent >= end,
            Mark::Passed => true,
        }
    }

    fn output_with_urgent(&self) -> &[u8] {
        if self.sent < self.urgent.at {
            self.bytes
                .get(self.sent..self.urgent.at)
                .unwrap_or_default()
        } else {
            self.urgent
                .bytes
                .get(self.urgent.sent..)
                .unwrap_or_default()
        }
    }

    /// The end of the frame that is being written, or where the next one begins.
    ///
    /// Walks over each frame once, and only when somebody asks, so that no frame pays for it.
    fn frame_end(&mut self) -> usize {
        while self.boundary < self.sent {
            let size = self.bytes.get(self.boundary..).and_then(frame_size);
            self.boundary =
                size.map_or(self.bytes.len(), |size| self.boundary.saturating_add(size));
        }
        self.boundary
    }

    /// Everything in `bytes` has been written.
    fn drained(&mut self) {
        if self.close_sent() {
            self.close = Mark::Passed;
        }
        if self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
        (self.sent, self.boundary, self.urgent.at) = (0, 0, 0);
    }

    /// Moves what is left to the front: less than what has been written, so that the work stays in
    /// proportion to it.
    fn compact(&mut self) {
        self.frame_end();
        let close_sent = self.close_sent();
        self.bytes.drain(..self.sent);
        self.boundary -= self.sent;
        self.urgent.at = self.urgent.at.saturating_sub(self.sent);
        self.close = match self.close {
            Mark::At(end) if !close_sent => Mark::At(end - self.sent),
            _ if close_sent => Mark::Passed,
            _ => Mark::None,
        };
        self.sent = 0;
    }
}

impl Urgent {
    fn advance(&mut self, n: usize) {
        self.sent += n;
        if self.sent == self.bytes.len() {
            *self = Self {
                at: self.at,
                ..Self::default()
            };
        } else if self.sent > self.begun {
            self.begun = self.bytes.len();
        }
    }
}

#[inline]
fn write_frame(out: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    out.reserve(MAX_HEADER_SIZE + payload.len());
    out.extend_from_slice(header.encode(&mut [0; MAX_HEADER_SIZE]).unwrap_or_default());
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(key), Some(payload)) = (header.mask, out.get_mut(start..)) {
        mask::apply(key, payload);
    }
}

/// The size of the frame that `bytes` begin with.
fn frame_size(bytes: &[u8]) -> Option<usize> {
    for role in [Role::Client, Role::Server] {
        let rules = Rules {
            role,
            rsv1: true,
            max_payload: u64::MAX,
        };
        if let Ok(Some((header, size))) = Header::decode(bytes, &rules) {
            return size.checked_add(usize::try_from(header.payload_len).ok()?);
        }
    }
    None
}
