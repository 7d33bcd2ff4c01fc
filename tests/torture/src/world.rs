//! Two ends, the transport between them, the clock and the dice.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::time::Duration;

/// What an end is called that only produces messages.
pub const PRODUCER: usize = 2;

/// No life lasts as long as this: its deadlines are far below.
const LIMIT: Duration = Duration::from_secs(600);

/// More in one life than any that is not spinning.
const MAX_MOVES: u64 = 3_000_000;

#[derive(Default)]
pub struct Flag(pub AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What happens to a life that nobody wished for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The write side of an end fails behind so many bytes.
    pub fail_after: [Option<u64>; 2],
    /// Both ends find the transport reset at this time.
    pub reset_at: Option<Duration>,
    /// The transport ends without a warning behind so many bytes.
    pub cut_after: [Option<u64>; 2],
}

/// From one end to the other.
#[derive(Default)]
pub struct Pipe {
    /// Written, and held back until a flush.
    held: Vec<u8>,
    flight: VecDeque<(Duration, Vec<u8>)>,
    under_way: usize,
    written: u64,
    last: Duration,
    eof: Option<Duration>,
    /// The reader is gone.
    is_deaf: bool,
    /// A write or a flush has failed, and said so.
    pub has_failed: bool,
    is_shut: bool,
    /// All that was written, for the check of the frames.
    pub log: Vec<u8>,
}

pub struct World {
    seed: u64,
    pub now: Duration,
    pub pipes: [Pipe; 2],
    pub woken: [Arc<Flag>; 3],
    timers: BTreeSet<(Duration, usize)>,
    pub moves: u64,
    /// Operations that did nothing, by the dice, and timers that went off: each may cost a poll.
    pub idle: [u64; 2],
    pub bytes: [u64; 2],
    pub faults: Faults,
    pub buffers: bool,
    pub delays: u64,
    pub blocks: u64,
    pub capacity: usize,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new(0));
}

/// Lends the world.
pub fn world<T>(f: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(f)
}

/// One roll of 0..n.
pub fn dice(n: u64) -> u64 {
    world(|world| world.dice(n))
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66,
            now: Duration::ZERO,
            pipes: Default::default(),
            woken: Default::default(),
            timers: BTreeSet::new(),
            moves: 0,
            idle: [0; 2],
            bytes: [0; 2],
            faults: Faults::default(),
            buffers: false,
            delays: 0,
            blocks: 0,
            capacity: 0,
        }
    }

    pub fn dice(&mut self, n: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n.max(1)
    }

    pub fn wake(&self, end: usize) {
        self.woken[end].0.store(true, Ordering::Relaxed);
    }

    pub fn alarm(&mut self, at: Duration, end: usize) {
        self.timers.insert((at, end));
    }

    /// Goes on to the next timer; false if there is none.
    pub fn pass_time(&mut self) -> bool {
        let Some((at, end)) = self.timers.pop_first() else {
            return false;
        };
        self.now = self.now.max(at);
        assert!(self.now < LIMIT, "not ended by its deadlines");
        if end < 2 {
            self.idle[end] += 1;
        }
        self.wake(end);
        true
    }

    /// Whether the next timer is one of the transport's, and no deadline.
    pub fn is_soon(&self) -> bool {
        let soon = self.now + Duration::from_millis(1);
        self.timers.first().is_some_and(|(at, _)| *at <= soon)
    }

    pub fn step(&mut self) {
        self.moves += 1;
        assert!(self.moves < MAX_MOVES, "spins");
    }

    fn is_reset(&self) -> bool {
        self.faults.reset_at.is_some_and(|at| at <= self.now)
    }

    /// The dice say that nothing is done this time.
    pub fn balks(&mut self, end: usize) -> bool {
        let (blocks, roll) = (self.blocks, self.dice(16));
        let balks = roll < blocks;
        if balks {
            self.idle[end] += 1;
            let soon = self.now + Duration::from_micros(self.dice(300));
            self.alarm(soon, end);
        }
        balks
    }

    /// `None` if there is nothing to read now.
    pub fn read(&mut self, end: usize, buf: &mut [u8]) -> Option<io::Result<usize>> {
        self.step();
        if self.is_reset() {
            return Some(Err(ErrorKind::ConnectionReset.into()));
        }
        let limit = 1 + self.dice(buf.len() as u64) as usize;
        let (now, whole) = (self.now, self.dice(2) == 0);
        let buffers = self.buffers && self.dice(4) == 0;
        let pipe = &mut self.pipes[1 - end];
        let mut n = 0;
        let limit = if whole { buf.len() } else { limit };
        while let Some((at, bytes)) = pipe.flight.front_mut() {
            if *at > now || n == limit {
                break;
            }
            let part = bytes.len().min(limit - n);
            buf[n..n + part].copy_from_slice(&bytes[..part]);
            bytes.drain(..part);
            n += part;
            if bytes.is_empty() {
                pipe.flight.pop_front();
            }
        }
        if n > 0 {
            pipe.under_way -= n;
            self.bytes[end] += n as u64;
            self.wake(1 - end);
            return Some(Ok(n));
        }
        match pipe.eof {
            Some(at) if at <= now && pipe.flight.is_empty() => Some(match buffers {
                true => Err(ErrorKind::UnexpectedEof.into()),
                false => Ok(0),
            }),
            _ => None,
        }
    }

    /// `None` if there is no room now.
    pub fn write(&mut self, end: usize, bytes: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        self.step();
        let total: usize = bytes.iter().map(|slice| slice.len()).sum();
        assert!(total > 0, "writes nothing");
        let pipe = &mut self.pipes[end];
        assert!(!pipe.has_failed, "writes behind a failed write");
        assert!(!pipe.is_shut, "writes behind a shutdown");
        let fails = self.faults.fail_after[end].is_some_and(|after| pipe.written >= after);
        if fails || pipe.is_deaf || self.is_reset() {
            self.pipes[end].has_failed = true;
            return Some(Err(ErrorKind::BrokenPipe.into()));
        }
        let room = self.capacity.saturating_sub(self.pipes[end].under_way);
        if room == 0 {
            return None;
        }
        let most = total.min(room);
        let n = if self.dice(2) == 0 {
            most
        } else {
            1 + self.dice(most as u64) as usize
        };
        let pipe = &mut self.pipes[end];
        let mut left = n;
        for slice in bytes {
            let part = &slice[..slice.len().min(left)];
            pipe.held.extend_from_slice(part);
            pipe.log.extend_from_slice(part);
            left -= part.len();
        }
        pipe.under_way += n;
        pipe.written += n as u64;
        self.bytes[end] += n as u64;
        // What fills a buffer, or a record, goes out by itself.
        if !self.buffers || n == room || self.dice(4) == 0 {
            self.release(end);
        }
        Some(Ok(n))
    }

    fn release(&mut self, end: usize) {
        let delay = Duration::from_micros(self.dice(self.delays));
        let cut = self.faults.cut_after[end];
        let pipe = &mut self.pipes[end];
        pipe.last = pipe.last.max(self.now + delay);
        let at = pipe.last;
        if cut.is_some_and(|after| pipe.written > after) {
            pipe.under_way -= pipe.held.len();
            pipe.held.clear();
            pipe.eof.get_or_insert(at);
        } else if !pipe.held.is_empty() {
            pipe.flight.push_back((at, std::mem::take(&mut pipe.held)));
        }
        self.alarm(at, 1 - end);
    }

    pub fn flush(&mut self, end: usize) -> io::Result<usize> {
        self.step();
        assert!(!self.pipes[end].is_shut, "flushes behind a shutdown");
        assert!(!self.pipes[end].has_failed, "flushes behind a failed write");
        if self.pipes[end].is_deaf || self.is_reset() {
            self.pipes[end].has_failed = true;
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.release(end);
        Ok(0)
    }

    pub fn shutdown(&mut self, end: usize) -> io::Result<usize> {
        self.step();
        assert!(!self.pipes[end].is_shut, "is shut down twice");
        self.pipes[end].is_shut = true;
        if self.is_reset() {
            return Err(ErrorKind::NotConnected.into());
        }
        self.release(end);
        let pipe = &mut self.pipes[end];
        pipe.eof.get_or_insert(pipe.last);
        Ok(0)
    }

    /// The transport is dropped by this end.
    pub fn hang_up(&mut self, end: usize) {
        self.release(end);
        let pipe = &mut self.pipes[end];
        pipe.eof.get_or_insert(pipe.last);
        let at = pipe.last;
        let unread = &mut self.pipes[1 - end];
        // A socket that is closed with bytes unread resets the connection.
        if unread.under_way > unread.held.len() && self.faults.reset_at.is_none() {
            self.faults.reset_at = Some(at);
        }
        self.pipes[1 - end].is_deaf = true;
        self.alarm(at, 1 - end);
        self.wake(1 - end);
    }
}
