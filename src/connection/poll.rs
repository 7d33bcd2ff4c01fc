//! What the loop around a connection asks, and what it tells.

#[cfg(feature = "std")]
use core::ops::Deref;
use core::time::Duration;
#[cfg(feature = "std")]
use std::io::{self, ErrorKind, IoSlice};

use alloc::boxed::Box;

use super::opening::Opening;
use super::{Connection, Reset, State};
use crate::close::CloseCode;
use crate::error::SendError;
use crate::event::{Ending, Event};
use crate::frame::Role;
use crate::handshake::Response;
use crate::input::{Input, Parts};

/// What to do next; the answer of [`Connection::poll`].
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a loop that does not know all of it cannot be right"
)]
pub enum Next<'b> {
    /// The peer did something. Handle it, and poll again.
    Event(Event<'b>),
    /// There is I/O to do, or to wait for. Do what can be done, report it, and poll again.
    Io(Io),
    /// The connection is over, and this is how it ended. Drop the transport.
    Over(Box<Ending>),
}

/// The I/O that a connection waits for.
///
/// Where both can be under way at once, start [`write`](Self::write) and [`read`](Self::read) and poll again
/// when the first of them is done. Where nothing blocks, try `write`, and `read` if that could do nothing; wait
/// if neither could. A blocking loop does `write` if there is something to write, and reads otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Io {
    /// What to do with the write side, unless that is under way; report it with [`Connection::on_write`].
    /// `None` if there is nothing to write.
    pub write: Option<Write>,
    /// Whether to read; report it with [`Connection::on_read`]. `false` while a read has the memory of the
    /// [`Input`], while [`Config::back_pressure`](crate::Config::back_pressure) holds the peer back, and
    /// behind the end of reading.
    pub read: bool,
    /// Whether to queue more messages: the connection is open, and no more than
    /// [`Config::high_water_mark`](crate::Config::high_water_mark) waits to be written. For producers
    /// beside the peer, such as a channel.
    pub send: bool,
    /// The time at which to poll again at the latest, on the clock that [`Connection::poll`] is told;
    /// `None` if there is no deadline.
    pub until: Option<Duration>,
}

/// What to do with the write side of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three things that can be done with the write side"
)]
pub enum Write {
    /// Write some of [`Connection::output`], of [`Connection::outputs`], or of what
    /// [`Connection::take_output`] gives.
    Output,
    /// Flush the transport. TLS and other transports that buffer keep the last bytes back until then; for a
    /// socket there is nothing to do.
    Flush,
    /// Shut the write side down: `shutdown(Write)` for a socket, `close_notify` for TLS. Everything has been
    /// written and flushed. The connection reads on to the end of the transport, if that has not come. (RFC
    /// 6455 §7.1.1)
    Shutdown,
}

/// The longest that [`Io::wait`] answers.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The shortest: a timeout of 0 means without end to a socket, and some clocks are coarse.
const MIN_WAIT: Duration = Duration::from_millis(1);

impl Io {
    /// How long to wait from `now` on: to [`until`](Self::until), at least 1 ms and at most an hour, so
    /// that it can be a socket's timeout, and be added to any `Instant`.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        let left = self
            .until
            .map_or(MAX_WAIT, |until| until.saturating_sub(now));
        left.clamp(MIN_WAIT, MAX_WAIT)
    }
}

impl Connection {
    /// Says what to do next. This is the one question of a loop:
    ///
    /// * [`Next::Event`]: the peer did something. Everything that RFC 6455 wants answered has been answered
    ///   already, except [`Event::Request`].
    /// * [`Next::Io`]: read, write, or wait. All events of `input` have been returned.
    /// * [`Next::Over`]: the transport can be dropped.
    ///
    /// `input` is what was read; pass the same [`Input`] each time, unless it is a [shared](Input::shared)
    /// one. Events borrow it, and not the connection, so that you can answer while you look at them.
    ///
    /// `now` is the time by any clock that does not go backwards, such as the time since the connection
    /// was made. Deadlines begin to run with the first call. With the same `now` each time there are none.
    ///
    /// It is cheap to call, and safe at any time and as often as you like.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockless::{Config, Connection, Error, Event, Input, Next, Role, Write};
    ///
    /// let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(10));
    /// let mut ws = Connection::upgraded(Role::Server, Config::default().keepalive(interval, timeout));
    /// let mut input = Input::default();
    /// let Next::Io(io) = ws.poll(&mut input, Duration::ZERO) else { panic!() };
    /// assert_eq!((io.write, io.read, io.until), (None, true, Some(interval)));
    /// let Next::Io(io) = ws.poll(&mut input, interval) else { panic!() };
    /// assert_eq!(io.write, Some(Write::Output)); // a ping
    /// ws.sent(ws.output().len());
    /// let next = ws.poll(&mut input, interval + timeout);
    /// assert!(matches!(next, Next::Event(Event::Fail(Error::PongTimeout))));
    /// ```
    #[inline]
    pub fn poll<'b>(&mut self, input: &'b mut Input, now: Duration) -> Next<'b> {
        let is_taken = input.is_taken();
        let Parts {
            mut unread,
            start,
            mut store,
        } = input.parts();
        let before = unread.len();
        // What is kept is not there while a read has the memory.
        let event = match is_taken {
            true => None,
            false => self.next_event(&mut unread, &mut store),
        };
        *start += before - unread.len();
        match event {
            Some(event) => Next::Event(event),
            None => self.poll_io(is_taken, now),
        }
    }

    /// The transport has been read: `done` is what reading into [`Input::space`] returned, or what it
    /// means that [`Input::put_back`] brought.
    ///
    /// `Ok(0)` is the [end of reading](Self::read_ended), and so is `UnexpectedEof`, with which TLS
    /// says that its own farewell is missing. `WouldBlock`, `TimedOut` and `Interrupted` mean that nothing
    /// was read. Any other error is a [reset](Self::transport_reset).
    #[cfg(feature = "std")]
    pub fn on_read(&mut self, done: io::Result<usize>, input: &mut Input) {
        match done {
            Ok(0) => self.read_ended(),
            Ok(n) => input.filled(n),
            Err(error) if is_temporary(&error) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => self.read_ended(),
            Err(_) => {
                self.transport_reset();
            }
        }
    }

    /// The write side has done what [`Io::write`] asked for, or failed: `done` is what it returned. For
    /// [`Write::Flush`] and [`Write::Shutdown`] the number has no meaning.
    ///
    /// `WouldBlock`, `TimedOut` and `Interrupted` mean that nothing was done. To write 0 bytes means that the
    /// transport's own buffer is full: a flush comes next, and if no byte can be written after that either, it
    /// is a failure. Any other error is [`write_failed`](Self::write_failed).
    #[cfg(feature = "std")]
    pub fn on_write(&mut self, write: Write, done: io::Result<usize>) {
        match (write, done) {
            (_, Err(error)) if is_temporary(&error) => {}
            (Write::Output, Ok(n @ 1..)) => self.sent(n),
            (Write::Flush, Ok(_)) => self.flushed(),
            // A transport that is gone has no write side.
            (Write::Shutdown, _) => self.shut(),
            (Write::Output, Ok(0)) if !self.is_stuck => {
                (self.is_stuck, self.is_unflushed) = (true, true);
            }
            (Write::Output, Ok(0)) | (_, Err(_)) => self.write_failed(),
        }
    }

    /// Does what [`Io::write`] asks for on a blocking or non-blocking stream, and reports it as
    /// [`on_write`](Self::on_write) does; `shut_down` shuts its write side down. `false` if the stream would
    /// block, or has timed out; anything else, a failure too, is `true`: poll again.
    #[cfg(feature = "std")]
    pub fn write_to<S: io::Write>(
        &mut self,
        stream: &mut S,
        write: Write,
        shut_down: impl FnOnce(&mut S) -> io::Result<()>,
    ) -> bool {
        let done = match write {
            Write::Output => stream.write_vectored(&self.output_slices()),
            Write::Flush => stream.flush().map(|()| 0),
            Write::Shutdown => shut_down(stream).map(|()| 0),
        };
        let is_done = !matches!(&done, Err(error) if is_temporary(error));
        self.on_write(write, done);
        is_done
    }

    /// Reads from a blocking or non-blocking stream, and reports it as [`on_read`](Self::on_read) does.
    /// `false` if the stream would block, or has timed out.
    #[cfg(feature = "std")]
    pub fn read_from(&mut self, stream: &mut impl io::Read, input: &mut Input) -> bool {
        let done = stream.read(input.space());
        let is_done = !matches!(&done, Err(error) if is_temporary(error));
        self.on_read(done, input);
        is_done
    }

    /// Reading has come to its end: the peer has ended its side of the transport in order.
    ///
    /// What the peer is still owed, such as the answer to its Close, is written and the write side shut before
    /// the connection is over, for [`Config::close_timeout`](crate::Config::close_timeout) at most. In the
    /// opening handshake it is over at once.
    pub fn read_ended(&mut self) {
        if self.is_connecting() || self.is_broken || self.is_shut {
            self.end(Reset::No);
        } else if self.ending.is_none() {
            self.is_ended = true;
            // A frame in pieces may still be completed.
            if !self.sender.is_in_frame() {
                self.sender.shut();
            }
        }
    }

    /// The transport has been flushed, as [`Write::Flush`] asks for.
    pub const fn flushed(&mut self) {
        self.is_unflushed = false;
    }

    /// The write side has been shut down, as [`Write::Shutdown`] asks for.
    pub const fn shut(&mut self) {
        self.is_shut = true;
    }

    /// A write or a flush has failed: nothing more can be written.
    ///
    /// What the peer sent before may still wait to be read, its Close among it. So the connection gives up
    /// what was queued, takes no more, and reads on to the end of the transport, for
    /// [`Config::close_timeout`](crate::Config::close_timeout) at most, or in the opening handshake for what
    /// is left of its time. [`Ending::reset`] will be true.
    pub fn write_failed(&mut self) {
        if self.ending.is_none() {
            self.is_broken = true;
            self.is_unflushed = false;
            self.sender.shut();
            self.sender.queue.clear();
        }
    }

    /// The program around the connection has failed to handle an event: closes with 1011, or answers a
    /// request that waits with 500. The loop goes on, so that the peer is told.
    ///
    /// Does nothing after a Close or a failure. (RFC 6455 §7.4.1)
    pub fn handler_failed(&mut self) {
        let told = match self.state() {
            State::Connecting => self.respond(Response::new(500)),
            State::Open => self.close(CloseCode::INTERNAL_ERROR, ""),
            State::Closing | State::Closed => Ok(()),
        };
        // Inside a frame that nobody will complete, or without entropy, the peer cannot be told.
        if let Err(SendError::FrameInProgress | SendError::Entropy) = told {
            self.write_failed();
        }
    }

    /// As [`outputs`](Self::outputs), for `write_vectored`.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn output_slices(&self) -> OutputSlices<'_> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut len = 0;
        for (slice, run) in slices.iter_mut().zip(self.outputs()) {
            *slice = IoSlice::new(run);
            len += 1;
        }
        OutputSlices { slices, len }
    }

    /// Everything behind the last event of the input.
    fn poll_io<'b>(&mut self, is_taken: bool, now: Duration) -> Next<'b> {
        let until = self.look_at_clock(now);
        if let Some(event) = self.unreported.take() {
            return Next::Event(*event);
        }
        let has_come_to_nothing = matches!(self.opening.as_deref(), Some(Opening::Over(_)));
        let is_done = self.is_done();
        // R190: a Close may wait for the end of the frame that is being sent in pieces.
        let is_written =
            self.buffered_amount() == 0 && !self.is_unflushed && !self.sender.is_in_frame();
        let has_nothing_left = match self.is_ended {
            true => self.is_broken || is_written && self.is_shut,
            false => is_done && self.is_broken,
        };
        if has_come_to_nothing && self.role == Role::Client || has_nothing_left {
            self.end(Reset::No);
        }
        if let Some(ending) = &self.ending {
            return Next::Over(ending.clone());
        }
        let write = if self.buffered_amount() > 0 && !(self.is_stuck && self.is_unflushed) {
            Some(Write::Output)
        } else if self.is_unflushed {
            Some(Write::Flush)
        } else if (is_done || self.is_ended && is_written) && !self.is_shut {
            Some(Write::Shutdown)
        } else {
            None
        };
        let is_open = self.sender.is_open() && !self.is_connecting() && !self.is_ended;
        let is_below = self.buffered_amount() <= self.sender.high_water_mark();
        Next::Io(Io {
            write,
            read: !is_taken && !self.is_ended && (is_below || !is_open || !self.back_pressure),
            send: is_open && is_below && !self.receiver.is_done(),
            until,
        })
    }
}

/// What [`Connection::output_slices`] gives: up to 8 slices.
#[cfg(feature = "std")]
#[derive(Debug)]
pub struct OutputSlices<'a> {
    slices: [IoSlice<'a>; MAX_SLICES],
    len: usize,
}

#[cfg(feature = "std")]
const MAX_SLICES: usize = 8;

#[cfg(feature = "std")]
impl<'a> Deref for OutputSlices<'a> {
    type Target = [IoSlice<'a>];

    fn deref(&self) -> &[IoSlice<'a>] {
        self.slices.get(..self.len).unwrap_or_default()
    }
}

#[cfg(feature = "std")]
fn is_temporary(error: &io::Error) -> bool {
    // A timeout of a socket has the first name on Unix, the second on Windows.
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
