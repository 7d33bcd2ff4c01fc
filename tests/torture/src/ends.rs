//! What a program does with its connection, and the audit of what the connection asks of its loop.

use std::borrow::Cow;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

pub use sockless::Event;
use sockless::{CloseCode, Ending, Fin, Input, Next, Response, SendError, State, Write};

use crate::world::{dice, world};

/// A message, short enough to keep thousands.
pub type Digest = (bool, usize, u64);

pub fn digest(is_text: bool, bytes: &[u8]) -> Digest {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    (is_text, bytes.len(), hasher.finish())
}

/// What a handler may do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Temper {
    /// It answers until it has had enough, and closes.
    #[default]
    Calm,
    /// It may also fail, fall silent, or close early.
    Rough,
}

#[derive(Default)]
pub struct End {
    pub accepted: Vec<Digest>,
    pub received: Vec<Digest>,
    pub saw_close: bool,
    pub ending: Option<Result<Ending, String>>,
    pub temper: Temper,
    pub budget: u64,
    pub largest: usize,
    /// Messages that it begins with.
    pub greeting: u64,
    pub is_silent: bool,
    pub polls: u64,
}

thread_local! {
    static ENDS: RefCell<[End; 2]> = RefCell::default();
}

pub fn end<T>(which: usize, f: impl FnOnce(&mut End) -> T) -> T {
    ENDS.with_borrow_mut(|ends| f(&mut ends[which]))
}

/// The connection, with an audit before each answer.
pub struct Connection {
    pub inner: sockless::Connection,
    pub end: usize,
    pub mark: usize,
    pub back_pressure: bool,
    /// Whether reads own the memory, so that nobody here knows whether one is under way.
    pub owns_reads: bool,
    pub in_flight: usize,
    pub is_shut: bool,
}

impl Deref for Connection {
    type Target = sockless::Connection;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}

impl Connection {
    pub fn poll<'b>(&mut self, input: &'b mut Input, now: Duration) -> Next<'b> {
        let polls = end(self.end, |end| {
            end.polls += 1;
            end.polls
        });
        let (bytes, idle) = world(|world| {
            (
                world.bytes[0] + world.bytes[1],
                world.idle[0] + world.idle[1],
            )
        });
        assert!(
            polls <= 300 + 4 * (bytes + idle),
            "{polls} polls for {bytes} bytes: spins"
        );
        let next = self.inner.poll(input, now);
        let Next::Io(io) = &next else {
            return next;
        };
        let buffered = self.inner.buffered_amount();
        let is_open = self.inner.state() == State::Open;
        let is_below = buffered <= self.mark;
        assert!(
            buffered >= self.in_flight,
            "forgets {} bytes in flight",
            self.in_flight
        );
        assert_eq!(
            io.send,
            is_open && is_below,
            "{buffered} of {} bytes wait",
            self.mark
        );
        if is_open && !self.owns_reads {
            assert_eq!(
                io.read,
                is_below || !self.back_pressure,
                "{buffered} of {} bytes wait",
                self.mark
            );
        }
        if self.in_flight > 0 {
            assert_eq!(
                io.write,
                Some(Write::Output),
                "{} bytes are in flight",
                self.in_flight
            );
        }
        assert!(
            !(self.is_shut && io.write.is_some()),
            "asks for {:?} behind a shutdown",
            io.write
        );
        if let Some(until) = io.until {
            assert!(until > now, "a deadline has passed, and nothing came of it");
        }
        next
    }

    pub fn take_output(&mut self, bytes: &mut Vec<u8>) -> usize {
        let at = self.inner.take_output(bytes);
        let left = bytes.len() - at;
        assert!(self.in_flight == 0 || self.in_flight == left);
        self.in_flight = left;
        at
    }

    pub fn write_to<S: io::Write>(
        &mut self,
        stream: &mut S,
        write: Write,
        shut_down: impl FnOnce(&mut S) -> io::Result<()>,
    ) -> bool {
        let is_done = self.inner.write_to(stream, write, shut_down);
        self.is_shut |= write == Write::Shutdown && is_done;
        is_done
    }

    pub fn on_write(&mut self, write: Write, done: io::Result<usize>) {
        let is_temporary = |error: &io::Error| {
            use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
            matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
        };
        match &done {
            Ok(n) if write == Write::Output => self.in_flight = self.in_flight.saturating_sub(*n),
            Err(error) if is_temporary(error) => {}
            Err(_) => self.in_flight = 0,
            Ok(_) => {}
        }
        self.is_shut |= write == Write::Shutdown && !done.as_ref().is_err_and(is_temporary);
        self.inner.on_write(write, done);
    }

    pub fn send_text<'a>(&mut self, text: impl Into<Cow<'a, str>>) -> Result<(), SendError> {
        let text = text.into();
        let digest = digest(true, text.as_bytes());
        let is_open = self.inner.state() == State::Open;
        self.inner.send_text(text)?;
        self.accept_message(is_open, digest);
        Ok(())
    }

    fn send_binary<'a>(&mut self, data: impl Into<Cow<'a, [u8]>>) -> Result<(), SendError> {
        let data = data.into();
        let digest = digest(false, &data);
        let is_open = self.inner.state() == State::Open;
        self.inner.send_binary(data)?;
        self.accept_message(is_open, digest);
        Ok(())
    }

    fn send_in_parts(&mut self, data: &[u8]) -> Result<(), SendError> {
        let is_open = self.inner.state() == State::Open;
        let (head, tail) = data.split_at(dice(data.len() as u64 + 1) as usize);
        self.inner.send_binary_part(head, Fin::More)?;
        if dice(4) == 0 {
            self.inner.send_ping(b"between")?;
        }
        self.inner.send_binary_part(tail, Fin::Last)?;
        self.accept_message(is_open, digest(false, data));
        Ok(())
    }

    fn accept_message(&mut self, is_open: bool, digest: Digest) {
        if is_open {
            end(self.end, |end| end.accepted.push(digest));
        }
    }

    /// Sends something of any kind and size.
    fn send_something(&mut self) -> Result<(), SendError> {
        let largest = end(self.end, |end| end.largest);
        let size = match dice(4) {
            0 => dice(largest as u64 + 1),
            1 => dice(70_000.min(largest as u64 + 1)),
            _ => dice(140),
        };
        let fill = b'a' + dice(26) as u8;
        let mut bytes = vec![fill; size as usize];
        for (byte, digit) in bytes.iter_mut().zip(dice(u64::MAX).to_string().bytes()) {
            *byte = digit;
        }
        match dice(5) {
            0 => self.send_text(String::from_utf8(bytes).unwrap_or_default()),
            1 => self.send_text(&*String::from_utf8_lossy(&bytes)),
            2 => self.send_binary(bytes),
            3 => self.send_binary(&bytes[..]),
            _ => self.send_in_parts(&bytes),
        }
    }

    pub fn greet(&mut self) -> Result<(), SendError> {
        for _ in 0..end(self.end, |end| end.greeting) {
            self.send_something()?;
        }
        Ok(())
    }
}

/// The handler of all loops.
pub fn on_event(ws: &mut Connection, event: Event<'_>) -> Result<(), SendError> {
    let (temper, is_silent) = end(ws.end, |end| (end.temper, end.is_silent));
    match event {
        Event::Request(_) if temper == Temper::Rough && dice(8) == 0 => {
            return ws.respond(Response::new(403));
        }
        Event::Request(_) => {
            ws.accept(Response::default())?;
            return ws.greet();
        }
        Event::Open(_) => return ws.greet(),
        Event::Close(_) => end(ws.end, |end| end.saw_close = true),
        _ => {}
    }
    let (Event::Text(_) | Event::Binary(_)) = event else {
        return Ok(());
    };
    end(ws.end, |end| {
        end.received.push(match &event {
            Event::Text(text) => digest(true, text.as_bytes()),
            Event::Binary(data) => digest(false, data),
            _ => return,
        });
    });
    if is_silent {
        return Ok(());
    }
    if temper == Temper::Rough {
        match dice(40) {
            0 => return Err(SendError::NoMessage),
            1 => return ws.close(CloseCode::NORMAL, "early"),
            2 => end(ws.end, |end| end.is_silent = true),
            3 => return ws.send_ping(b"are you there"),
            _ => {}
        }
    }
    let has_budget = end(ws.end, |end| {
        let has = end.budget > 0;
        end.budget = end.budget.saturating_sub(1);
        has
    });
    if !has_budget {
        return ws.close(CloseCode::NORMAL, "enough");
    }
    match (dice(3), event) {
        (0, Event::Text(text)) => ws.send_text(text)?,
        (0, Event::Binary(data)) => ws.send_binary(data)?,
        (1, _) => {
            ws.send_something()?;
            ws.send_something()?;
        }
        _ => ws.send_something()?,
    }
    Ok(())
}
