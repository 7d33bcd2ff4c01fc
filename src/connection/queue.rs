//! The bytes to write, in order: frames behind each other in one buffer, and beside it what does not
//! go through the buffer.
//!
//! A payload that is shared or given away is not copied: the buffer holds its frame's header, and the payload
//! is written behind that. A pong that would have to wait behind a long backlog goes ahead of it: it is written
//! where the frame that is being written ends (R177), and while it has not begun, a newer one takes
//! its place (R174).

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::frame::{Header, MAX_HEADER_SIZE, Opcode, Role, Rules};
use crate::mask;
use crate::prepared::SharedPayload;

#[derive(Default)]
pub(crate) struct Queue {
    /// Handshake text, frames, and the headers of frames whose payload is shared.
    bytes: Vec<u8>,
    /// How much of `bytes` has been written.
    sent: usize,
    /// The start of some frame in `bytes`, from which [`frame_end`](Self::frame_end) walks on; or
    /// the end of the text.
    boundary: usize,
    close: Mark,
    /// All bytes that have ever been written, but for those of frames that went ahead: what such a frame
    /// is replaced by may be shorter, and where the others end must not depend on it.
    written: u64,
    /// It has drained since it last rested. What is written once, a response or a message after a while,
    /// leaves no memory behind.
    is_busy: bool,
    aside: Option<Box<Aside>>,
    /// What the caller has taken to write it; kept once there was one.
    flight: Option<Box<Flight>>,
}

/// Output that was taken, and of which nobody knows yet whether it was written.
#[derive(Default)]
struct Flight {
    left: usize,
    /// What [`Queue::written`] says when all of it is written.
    ends_at: u64,
}

/// What is written between the bytes of the buffer.
#[derive(Default)]
struct Aside {
    shared: VecDeque<Shared>,
    /// What is left of all shared payloads.
    shared_len: u64,
    urgent: Urgent,
}

/// A payload that stands in no buffer of ours.
struct Shared {
    payload: Lent,
    /// Its length when it was queued, which its header announces.
    len: usize,
    sent: usize,
    /// Where in the queue's `bytes` it is due: the end of its header.
    at: usize,
}

/// Who a payload belongs to.
enum Lent {
    /// Several connections, perhaps.
    Shared(SharedPayload),
    /// This one.
    Owned(Vec<u8>),
}

/// Frames that go ahead of what waits in the buffer.
#[derive(Default)]
struct Urgent {
    /// A frame that has begun to be written, if any, then the newest one.
    bytes: Vec<u8>,
    sent: usize,
    /// The end of the frame that has begun.
    begun: usize,
    /// Where in the queue's `bytes` they are due: the end of a frame, behind its payload.
    at: usize,
}

/// How far this endpoint's Close frame has come.
#[derive(Debug, Default)]
enum Mark {
    #[default]
    None,
    /// It ends here in `bytes`.
    At(usize),
    /// It was taken, and has not been reported as written; so many bytes were taken behind it.
    InFlight(usize),
    Passed,
}

/// What the buffer grows to at once, and keeps when it drains: a short answer then needs no
/// allocation, and an idle connection holds next to nothing.
const KEPT: usize = 128;

/// What it keeps while the connection is busy, until that [rests](Queue::rest): a megabyte with its header, so
/// that the allocator does not give memory back to the operating system between two messages.
const KEPT_BUSY: usize = (1 << 20) + 64;

/// Shared payloads below this are copied: that is cheaper than a run of their own.
const SHARED: usize = 256;

/// Payloads that are given away are copied below this.
const OWNED: usize = 4096;

impl Queue {
    /// The next bytes to write; empty while others are in flight, else only if there are none at all.
    #[inline]
    pub(crate) fn output(&self) -> &[u8] {
        match &self.aside {
            _ if self.is_in_flight() => &[],
            None => self.bytes.get(self.sent..).unwrap_or_default(),
            Some(_) => self.runs().next().unwrap_or_default(),
        }
    }

    /// All bytes to write, in order, as slices of which none is empty.
    pub(crate) fn runs(&self) -> Runs<'_> {
        let (shared_sent, urgent_sent) = self.aside.as_ref().map_or((0, 0), |aside| {
            (
                aside.shared.front().map_or(0, |shared| shared.sent),
                aside.urgent.sent,
            )
        });
        Runs {
            queue: self,
            sent: self.sent,
            shared: 0,
            shared_sent,
            urgent_sent,
        }
    }

    /// The first `n` bytes of what is to be written have been written.
    #[inline]
    pub(crate) fn sent(&mut self, n: usize) {
        if self.is_in_flight() {
            return self.landed(n);
        }
        // All of it: most often so, and then nothing has to be worked out.
        if self.is_plain() && n >= self.bytes.len() - self.sent {
            self.written += u64::try_from(self.bytes.len() - self.sent).unwrap_or_default();
            self.sent = self.bytes.len();
            self.drained();
        } else {
            self.sent_in_part(n);
        }
    }

    /// All bytes that are still to be written, or in flight.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.waiting().saturating_add(self.in_flight())
    }

    #[inline]
    fn waiting(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, |aside| {
            let shared = usize::try_from(aside.shared_len).unwrap_or(usize::MAX);
            shared.saturating_add(aside.urgent.bytes.len() - aside.urgent.sent)
        });
        aside.saturating_add(self.bytes.len() - self.sent)
    }

    /// Moves all bytes that are to be written to `out`, which is emptied; they are in flight until
    /// [`sent`](Self::sent) says that they were written. While some are, `out` is left as it is, for they are
    /// what it ends with. Where they begin.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) -> usize {
        if self.is_in_flight() {
            return out.len().saturating_sub(self.in_flight());
        }
        out.clear();
        let ends_at = self.end();
        let behind = self.behind_close();
        match self.is_plain() && self.sent == 0 {
            true => core::mem::swap(&mut self.bytes, out),
            false => {
                out.reserve_exact(self.waiting());
                for run in self.runs() {
                    out.extend_from_slice(run);
                }
            }
        }
        if let Some(aside) = &mut self.aside {
            aside.empty();
        }
        if let Mark::At(_) = self.close {
            self.close = match self.close_sent() {
                true => Mark::Passed,
                false => Mark::InFlight(behind),
            };
        }
        self.empty();
        if !out.is_empty() {
            let left = out.len();
            *self.flight.get_or_insert_default().as_mut() = Flight { left, ends_at };
        }
        0
    }

    /// How much is to be written behind our Close: pongs, for the peer may wait for them.
    fn behind_close(&self) -> usize {
        let Mark::At(end) = self.close else { return 0 };
        let urgent = self.aside.as_ref().map(|aside| &aside.urgent);
        let urgent = urgent.filter(|urgent| urgent.at >= end);
        let urgent = urgent.map_or(0, |urgent| urgent.bytes.len() - urgent.sent);
        self.bytes.len() - end + urgent
    }

    #[inline]
    pub(crate) fn is_in_flight(&self) -> bool {
        self.in_flight() > 0
    }

    #[inline]
    fn in_flight(&self) -> usize {
        self.flight.as_ref().map_or(0, |flight| flight.left)
    }

    /// The first `n` bytes of what is in flight have been written.
    fn landed(&mut self, n: usize) {
        let Some(flight) = &mut self.flight else {
            return;
        };
        flight.left = flight.left.saturating_sub(n);
        let left = u64::try_from(flight.left).unwrap_or(u64::MAX);
        // Frames that went ahead are not counted, so this may be a little early, but never goes back.
        self.written = self.written.max(flight.ends_at.saturating_sub(left));
        if matches!(self.close, Mark::InFlight(behind) if flight.left <= behind) {
            self.close = Mark::Passed;
        }
    }

    /// Whether an idle connection should [rest](Self::rest).
    pub(crate) fn holds_memory(&self) -> bool {
        self.bytes.is_empty() && (self.bytes.capacity() > KEPT || self.aside.is_some())
    }

    /// Whether nothing is written between the bytes of the buffer.
    #[inline]
    fn is_plain(&self) -> bool {
        self.aside.as_ref().is_none_or(|aside| aside.is_empty())
    }

    /// Gives back what is kept of a busy time that is over.
    pub(crate) fn rest(&mut self) {
        self.is_busy = false;
        if self.is_plain() {
            self.aside = None;
        }
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT {
            self.bytes = Vec::new();
        }
    }

    /// All bytes that have been written, from the beginning on, but for frames that went ahead.
    #[inline]
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// What [`written`](Self::written) will say when all that is queued now is written.
    pub(crate) fn end(&self) -> u64 {
        let shared = self.aside.as_ref().map_or(0, |aside| aside.shared_len);
        let bytes = u64::try_from(self.bytes.len() - self.sent).unwrap_or(u64::MAX);
        let before = match &self.flight {
            Some(flight) if flight.left > 0 => flight.ends_at,
            _ => self.written,
        };
        before.saturating_add(bytes).saturating_add(shared)
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
        self.make_room(MAX_HEADER_SIZE + payload.len());
        write_frame(&mut self.bytes, header, payload);
        if header.opcode == Opcode::Close {
            self.close = Mark::At(self.bytes.len());
        }
    }

    #[inline]
    fn make_room(&mut self, size: usize) {
        if self.bytes.capacity() - self.bytes.len() < size {
            self.grow(size);
        }
    }

    #[cold]
    fn grow(&mut self, size: usize) {
        match self.bytes.capacity() {
            0 => self.bytes.reserve_exact(size.max(KEPT)),
            _ => self.bytes.reserve(size),
        }
    }

    /// Appends a frame whose payload is not masked, and is not copied unless it is short.
    pub(crate) fn push_shared(&mut self, header: &Header, payload: &SharedPayload) {
        let len = payload.bytes().len();
        if len < SHARED {
            return self.push(header, payload.bytes());
        }
        self.push_lent(header, Lent::Shared(SharedPayload::clone(payload)), len);
    }

    /// Appends a frame whose payload is given away: it is masked where it lies, and copied only if it is
    /// short.
    pub(crate) fn push_owned(&mut self, header: &Header, mut payload: Vec<u8>) {
        if payload.len() < OWNED {
            return self.push(header, &payload);
        }
        if let Some(key) = header.mask {
            mask::apply(key, &mut payload);
        }
        let len = payload.len();
        self.push_lent(header, Lent::Owned(payload), len);
    }

    fn push_lent(&mut self, header: &Header, payload: Lent, len: usize) {
        self.begin_pieces(header);
        let aside = self.aside.get_or_insert_default();
        aside.shared_len = aside
            .shared_len
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        aside.shared.push_back(Shared {
            payload,
            len,
            sent: 0,
            at: self.bytes.len(),
        });
    }

    /// Appends the header of a frame whose payload comes in pieces.
    pub(crate) fn begin_pieces(&mut self, header: &Header) {
        self.make_room(MAX_HEADER_SIZE);
        header.append(&mut self.bytes);
    }

    /// Appends a piece of the payload of the frame whose header was pushed last.
    pub(crate) fn push_piece(&mut self, piece: &[u8], mask: Option<[u8; 4]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(piece);
        if let (Some(key), Some(piece)) = (mask, self.bytes.get_mut(start..)) {
            mask::apply(key, piece);
        }
    }

    /// The frame whose payload was pushed in pieces is complete.
    pub(crate) fn end_pieces(&mut self, opcode: Opcode) {
        // Its header may be gone already, so nobody could walk over it.
        self.boundary = self.bytes.len();
        if opcode == Opcode::Close {
            self.close = Mark::At(self.bytes.len());
        }
    }

    /// Queues a control frame ahead of every frame that has not begun to be written, in place of an
    /// earlier one that has not.
    pub(crate) fn push_urgent(&mut self, header: &Header, payload: &[u8]) {
        let at = self.frame_end();
        let urgent = &mut self.aside.get_or_insert_default().urgent;
        if urgent.bytes.is_empty() {
            urgent.at = at;
        }
        urgent.bytes.truncate(urgent.begun);
        write_frame(&mut urgent.bytes, header, payload);
    }

    /// The state to go [back](Self::back_to) to if what follows cannot all be queued.
    pub(crate) fn mark(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back the frames that were pushed since the mark was made.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.bytes.truncate(mark);
        if self.waiting() == 0 {
            self.bytes = Vec::new();
            (self.sent, self.boundary) = (0, 0);
        }
    }

    /// Where our Close begins, which is the last frame of the queue and `len` bytes long; `None` if some of
    /// it has been written.
    pub(crate) fn unwritten_close(&self, len: usize) -> Option<usize> {
        match self.close {
            Mark::At(end) if self.sent <= end.saturating_sub(len) => end.checked_sub(len),
            _ => None,
        }
    }

    /// Takes back our Close, which begins here.
    pub(crate) fn take_back_close(&mut self, start: usize) {
        self.bytes.truncate(start);
        self.close = Mark::None;
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
            written: self.written,
            ..Self::default()
        };
    }

    /// Whether a Close frame was queued, and all of it has been written.
    pub(crate) const fn close_sent(&self) -> bool {
        match self.close {
            Mark::None => false,
            Mark::At(end) => self.sent >= end,
            Mark::InFlight(_) => false,
            Mark::Passed => true,
        }
    }

    #[inline(never)]
    fn sent_in_part(&mut self, n: usize) {
        let n = n.min(self.waiting());
        let end = self.end();
        match self.aside {
            None => self.sent += n,
            Some(_) => self.sent_with_aside(n),
        }
        // Nothing was queued meanwhile, so what is missing at the end has been written.
        self.written += end - self.end();
        if self.sent == self.bytes.len() && self.is_plain() {
            self.drained();
        } else if self.sent >= KEPT && self.sent > self.bytes.len() / 2 {
            self.compact();
        }
    }

    fn sent_with_aside(&mut self, n: usize) {
        let mut runs = self.runs();
        runs.skip_bytes(n);
        let Runs {
            sent,
            shared,
            shared_sent,
            urgent_sent,
            ..
        } = runs;
        let Some(aside) = &mut self.aside else { return };
        let shared_bytes = n - (sent - self.sent) - (urgent_sent - aside.urgent.sent);
        let shared_bytes = u64::try_from(shared_bytes).unwrap_or(u64::MAX);
        aside.shared_len = aside.shared_len.saturating_sub(shared_bytes);
        self.sent = sent;
        if let Some(last) = aside.shared.drain(..shared).next_back() {
            // Its frame ends here; what is gone cannot be walked over.
            self.boundary = self.boundary.max(last.at);
        }
        if let Some(front) = aside.shared.front_mut() {
            front.sent = shared_sent;
        }
        aside.urgent.sent_up_to(urgent_sent);
    }

    /// The end of the frame that is being written, or where the next one begins.
    ///
    /// Walks over each frame once, and only when somebody asks, so that no frame pays for it.
    fn frame_end(&mut self) -> usize {
        let shared = self.aside.iter().flat_map(|aside| &aside.shared);
        let mut shared = shared.map(|shared| shared.at).peekable();
        while self.boundary < self.sent {
            let frame = self.bytes.get(self.boundary..).and_then(frame_size);
            let (header, payload) = frame.unwrap_or((self.bytes.len() - self.boundary, 0));
            self.boundary += header;
            if shared.next_if_eq(&self.boundary).is_none() {
                self.boundary = self.boundary.saturating_add(payload);
            }
        }
        self.boundary
    }

    /// Everything has been written.
    #[inline]
    fn drained(&mut self) {
        if let Mark::At(_) = self.close {
            self.close = Mark::Passed;
        }
        self.empty();
    }

    fn empty(&mut self) {
        let kept = match core::mem::replace(&mut self.is_busy, true) {
            true => KEPT_BUSY,
            false => KEPT,
        };
        if self.bytes.capacity() > kept {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
        (self.sent, self.boundary) = (0, 0);
    }

    /// Moves what is left to the front: less than what has been written, so that the work stays in
    /// proportion to it.
    fn compact(&mut self) {
        self.frame_end();
        let moved = self.sent;
        self.close = match self.close {
            _ if self.close_sent() => Mark::Passed,
            Mark::At(end) => Mark::At(end - moved),
            Mark::InFlight(behind) => Mark::InFlight(behind),
            Mark::None | Mark::Passed => Mark::None,
        };
        self.bytes.drain(..moved);
        // A queue that never drains gives back what it once needed all the same.
        if self.bytes.capacity() / 4 > self.bytes.len().max(1024) {
            self.bytes.shrink_to(2 * self.bytes.len());
        }
        self.sent = 0;
        self.boundary -= moved;
        if let Some(aside) = &mut self.aside {
            aside.urgent.at = aside.urgent.at.saturating_sub(moved);
            for shared in &mut aside.shared {
                shared.at -= moved;
            }
        }
    }
}

impl Aside {
    #[inline]
    fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.urgent.bytes.is_empty()
    }

    /// Keeps the memory for what comes next.
    fn empty(&mut self) {
        self.shared.clear();
        self.shared_len = 0;
        self.urgent = Urgent::default();
    }
}

impl Shared {
    /// What is left behind the first `sent` bytes; nothing, if the payload has become shorter.
    fn rest(&self, sent: usize) -> &[u8] {
        self.payload.bytes().get(sent..self.len).unwrap_or_default()
    }
}

impl Lent {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(payload) => payload.bytes(),
            Self::Owned(payload) => payload,
        }
    }
}

impl Urgent {
    fn sent_up_to(&mut self, sent: usize) {
        self.sent = sent;
        if self.sent == self.bytes.len() {
            *self = Self::default();
        } else if self.sent >= self.begun {
            // A frame that has been written is not kept, or a peer that pings and reads slowly grows
            // this without end.
            self.bytes.drain(..self.begun);
            self.sent -= self.begun;
            self.begun = if self.sent > 0 { self.bytes.len() } else { 0 };
        }
    }
}

/// All that a queue has to write, run by run.
#[derive(Clone)]
pub(crate) struct Runs<'q> {
    queue: &'q Queue,
    /// How far the buffer, the shared payloads (and the first of those left) and the urgent frames
    /// have come.
    sent: usize,
    shared: usize,
    shared_sent: usize,
    urgent_sent: usize,
}

impl<'q> Runs<'q> {
    /// Goes over the next `n` bytes.
    fn skip_bytes(&mut self, mut n: usize) {
        while n > 0 {
            let Some((run, sent)) = self.run() else {
                return;
            };
            let taken = run.len().min(n);
            n -= taken;
            *sent += taken;
            self.leave_payload();
        }
    }

    /// The next run, and the count of what has been written of it.
    fn run(&mut self) -> Option<(&'q [u8], &mut usize)> {
        let queue = self.queue;
        if queue.is_in_flight() {
            return None;
        }
        let mut end = queue.bytes.len();
        if let Some(aside) = &queue.aside {
            if let Some(shared) = aside.shared.get(self.shared) {
                if shared.at == self.sent {
                    return Some((shared.rest(self.shared_sent), &mut self.shared_sent));
                }
                end = end.min(shared.at);
            }
            let urgent = aside
                .urgent
                .bytes
                .get(self.urgent_sent..)
                .unwrap_or_default();
            if !urgent.is_empty() {
                if aside.urgent.at <= self.sent {
                    return Some((urgent, &mut self.urgent_sent));
                }
                end = end.min(aside.urgent.at);
            }
        }
        let rest = queue.bytes.get(self.sent..end)?;
        if rest.is_empty() {
            None
        } else {
            Some((rest, &mut self.sent))
        }
    }

    /// Goes on behind a shared payload of which all is written.
    fn leave_payload(&mut self) {
        let aside = self.queue.aside.as_ref();
        if let Some(shared) = aside.and_then(|aside| aside.shared.get(self.shared)) {
            if shared.at == self.sent && shared.rest(self.shared_sent).is_empty() {
                (self.shared, self.shared_sent) = (self.shared + 1, 0);
            }
        }
    }
}

impl<'q> Iterator for Runs<'q> {
    type Item = &'q [u8];

    fn next(&mut self) -> Option<&'q [u8]> {
        let (run, sent) = self.run()?;
        *sent += run.len();
        self.leave_payload();
        Some(run)
    }
}

#[inline]
fn write_frame(out: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    header.append(out);
    match header.mask {
        None => out.extend_from_slice(payload),
        Some(key) => mask::append(key, payload, out),
    }
}

/// The size of the header that `bytes` begin with, and of the payload behind it.
fn frame_size(bytes: &[u8]) -> Option<(usize, usize)> {
    for role in [Role::Client, Role::Server] {
        let rules = Rules {
            role,
            rsv1: true,
            max_payload: u64::MAX,
        };
        if let Ok(Some((header, size))) = Header::decode(bytes, &rules) {
            return Some((size, usize::try_from(header.payload_len).ok()?));
        }
    }
    None
}
