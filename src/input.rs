//! [`Input`]: the memory that a transport reads into.

use alloc::vec::Vec;
use core::mem;

/// The memory that a transport reads into, and that events lend their payloads from.
///
/// Read into [`space`](Self::space), report how much that was with
/// [`Connection::on_read`](crate::Connection::on_read) or [`filled`](Self::filled), and give the `Input`
/// to [`Connection::poll`](crate::Connection::poll), which takes events out of it.
///
/// There are two kinds:
///
/// * [`Input::new`] belongs to one connection. A message that a read cuts stays in it until the rest has
///   come, and is lent like any other, if its payload is at most half of the size, and of text at most 2 KiB.
///   Always pass the same one to a connection.
/// * [`Input::shared`] serves any number of connections in turn, one read at a time. A message that a read
///   cuts is copied out into memory of its connection, so that an idle connection holds no buffer.
///
/// With both kinds, larger messages that are cut, fragmented and compressed ones are gathered in memory of
/// their own and handed over by value. [`reuse`](Self::reuse) takes such memory back for the next one.
///
/// No memory is taken before the first read.
///
/// ```
/// use core::time::Duration;
/// use sockless::{Config, Connection, Event, Input, Next, Role};
///
/// let mut ws = Connection::upgraded(Role::Server, Config::default());
/// let mut input = Input::new(16 * 1024);
/// // RFC 6455 §5.7: a masked "Hello", in two reads.
/// for bytes in [&b"\x81\x85\x37\xfa\x21\x3d\x7f"[..], b"\x9f\x4d\x51\x58"] {
///     input.space()[..bytes.len()].copy_from_slice(bytes);
///     input.filled(bytes.len());
///     while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
///         assert_eq!(event, Event::Text("Hello".into()));
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Input {
    /// All of it is initialized.
    bytes: Vec<u8>,
    /// What has been read and not been used: `bytes[start..end]`.
    start: usize,
    end: usize,
    size: usize,
    keeps: bool,
    /// How much of the front belongs to a message that waits for its rest, and has been looked at.
    kept: usize,
    /// How much space was given out for the next read.
    given: usize,
    /// A read that is under way has the memory.
    is_taken: bool,
    /// For the next message that has to be gathered.
    spare: Vec<u8>,
}

/// As much is read at a time at least, even into an `Input` of size 0.
const MIN_SIZE: usize = 256;

/// A [spare](Input::reuse) larger than this is given back to the allocator.
const MAX_SPARE: usize = 4 << 20;

impl Input {
    /// Memory of `size` bytes for one connection; 16 KiB is a good size, 64 KiB where messages are large or
    /// many.
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self::with(size, true)
    }

    /// Memory of `size` bytes for any number of connections in turn.
    #[must_use]
    pub const fn shared(size: usize) -> Self {
        Self::with(size, false)
    }

    const fn with(size: usize, keeps: bool) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            size: if size < MIN_SIZE { MIN_SIZE } else { size },
            keeps,
            kept: 0,
            given: 0,
            is_taken: false,
            spare: Vec::new(),
        }
    }

    /// Where to read to; never empty. Report what was read with
    /// [`Connection::on_read`](crate::Connection::on_read) or [`filled`](Self::filled).
    ///
    /// What a message that was cut has left here is moved to the front first. If you read again before
    /// [`poll`](crate::Connection::poll) has used what was read, the memory grows.
    #[must_use]
    pub fn space(&mut self) -> &mut [u8] {
        self.make_space(1);
        self.given = self.bytes.len() - self.end;
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `n` bytes of [`space`](Self::space) have been read. A larger `n` counts as all of them; what has
    /// no space before it counts nothing.
    pub fn filled(&mut self, n: usize) {
        self.end += n.min(mem::take(&mut self.given));
    }

    /// Adds bytes that were read elsewhere: what an HTTP stack has read beyond its part, or a test wants
    /// received. The memory grows if they do not fit.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.make_space(bytes.len());
        self.given = 0;
        if let Some(space) = self.bytes.get_mut(self.end..self.end + bytes.len()) {
            space.copy_from_slice(bytes);
            self.end += bytes.len();
        }
    }

    /// The memory by value, for transports that own what they read into, such as io_uring: append to it
    /// what is read, and [put it back](Self::put_back). It has room for some bytes at least.
    ///
    /// Until then [`Connection::poll`](crate::Connection::poll) takes no events out of it, and asks for no
    /// other read.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.compact();
        (self.is_taken, self.given) = (true, 0);
        let mut bytes = mem::take(&mut self.bytes);
        bytes.truncate(self.end);
        let room = self.size.saturating_sub(bytes.len()).max(MIN_SIZE);
        bytes.reserve_exact(room);
        bytes
    }

    /// Puts back what [`take`](Self::take) gave, with what was read appended. Returns itself, for
    /// [`Connection::on_read`](crate::Connection::on_read).
    pub fn put_back(&mut self, bytes: Vec<u8>) -> &mut Self {
        self.is_taken = false;
        self.bytes = bytes;
        (self.start, self.end) = (0, self.bytes.len());
        self
    }

    /// Takes memory for the next message that has to be gathered: that of the last one, when you are
    /// done with it. Up to 4 MiB are kept.
    ///
    /// Without this each message larger than the `Input` is memory from the allocator, which may have to
    /// ask the operating system for it each time.
    pub fn reuse(&mut self, memory: impl Into<Vec<u8>>) {
        let mut memory = memory.into();
        if memory.capacity() > self.spare.capacity() && memory.capacity() <= MAX_SPARE {
            memory.clear();
            self.spare = memory;
        }
    }

    /// What has been read and not been used yet.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Whether a read has the memory.
    pub(crate) const fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// The parts that receiving works with.
    #[inline]
    pub(crate) fn parts(&mut self) -> Parts<'_> {
        let unread = match self.is_taken {
            true => &mut [],
            false => self.bytes.get_mut(self.start..self.end).unwrap_or_default(),
        };
        Parts {
            unread,
            start: &mut self.start,
            store: Store {
                limit: if self.keeps { self.size / 2 } else { 0 },
                kept: &mut self.kept,
                spare: &mut self.spare,
            },
        }
    }

    fn compact(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > self.size {
                self.bytes = Vec::new();
            }
        } else if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    fn make_space(&mut self, least: usize) {
        self.compact();
        if self.bytes.len() < self.end.saturating_add(least).max(self.size) {
            let wanted = match self.end {
                0 => least.max(self.size),
                end => end.saturating_add(least.max(self.size)),
            };
            // What lies behind the end is of no value, so nothing is copied but what is unread.
            self.bytes.truncate(self.end);
            self.bytes.reserve_exact(wanted - self.end);
            self.bytes.resize(wanted, 0);
        }
    }
}

/// 16 KiB, for one connection.
impl Default for Input {
    fn default() -> Self {
        Self::new(16 << 10)
    }
}

/// What [`Input::parts`] gives.
pub(crate) struct Parts<'b> {
    pub(crate) unread: &'b mut [u8],
    pub(crate) start: &'b mut usize,
    pub(crate) store: Store<'b>,
}

/// What may be left in the caller's memory, or be taken from it, while a message is incomplete.
pub(crate) struct Store<'b> {
    /// The longest payload that may stay where it is.
    pub(crate) limit: usize,
    /// How much of a payload has stayed and been looked at.
    pub(crate) kept: &'b mut usize,
    pub(crate) spare: &'b mut Vec<u8>,
}
