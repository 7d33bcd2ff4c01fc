//! A connection under watch: what must hold at each call, whatever was fed.

use core::cell::Cell;
use core::time::Duration;

use sockless::{
    CloseCode, Config, Connection, Ending, EntropyError, Event, Fin, Input, Next, Response, Role,
    SendError, State, Write,
};

use super::counting::measured;
use super::source::Cuts;

std::thread_local! {
    static NEXT_KEY: Cell<u8> = const { Cell::new(1) };
    static CALLS_LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
}

/// Not random, so that two runs can be compared.
pub(crate) fn entropy(buffer: &mut [u8]) -> Result<(), EntropyError> {
    let left = CALLS_LEFT.get().checked_sub(1);
    CALLS_LEFT.set(left.ok_or_else(EntropyError::default)?);
    for byte in buffer {
        *byte = NEXT_KEY.get();
        NEXT_KEY.set(NEXT_KEY.get().wrapping_add(1));
    }
    Ok(())
}

/// Makes the next keys those of the first call.
pub(crate) fn rewind_entropy() {
    NEXT_KEY.set(1);
    CALLS_LEFT.set(u32::MAX);
}

/// Makes [`entropy`] fail after so many calls.
pub(crate) fn limit_entropy(calls: u32) {
    CALLS_LEFT.set(calls);
}

pub(crate) struct Watched {
    pub(crate) ws: Connection,
    pub(crate) events: Vec<Event<'static>>,
    /// All that was written.
    pub(crate) output: Vec<u8>,
    state: State,
    is_shut: bool,
    /// The last event has come.
    over: bool,
    /// How many more events there may be: one for each byte and each tick, and what is
    /// [allowed](Self::allow).
    budget: usize,
    /// What was fed; by default one that keeps nothing.
    pub(crate) input: Input,
}

/// What came of it all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) output: Vec<u8>,
    pub(crate) ending: Ending,
}

impl Watched {
    pub(crate) fn new(ws: Connection) -> Self {
        Self {
            state: ws.state(),
            ws,
            events: Vec::new(),
            output: Vec::new(),
            is_shut: false,
            over: false,
            budget: 0,
            input: Input::shared(0),
        }
    }

    pub(crate) fn feed(&mut self, piece: &[u8], react: impl FnMut(&mut Connection, &Event<'_>)) {
        self.budget += piece.len();
        self.input.extend_from_slice(piece);
        self.poll(Duration::ZERO, react);
    }

    /// Takes all events that there are, and says when to look again.
    fn poll(
        &mut self,
        now: Duration,
        mut react: impl FnMut(&mut Connection, &Event<'_>),
    ) -> Option<Duration> {
        loop {
            let event = match self.ws.poll(&mut self.input, now) {
                Next::Event(event) => event,
                Next::Io(io) => {
                    let is_done = self.ws.state() == State::Closed;
                    match io.write {
                        Some(Write::Output) => assert!(self.ws.buffered_amount() > 0),
                        Some(Write::Flush) => self.ws.flushed(),
                        // The write side is shut once, when all is written, and nothing but the end comes
                        // after.
                        Some(Write::Shutdown) => {
                            assert!(is_done && !self.is_shut);
                            self.is_shut = true;
                            self.ws.shut();
                        }
                        None => {
                            assert!(io.read, "waits for nothing");
                            assert!(self.is_shut || !is_done);
                            self.look();
                            return io.until;
                        }
                    }
                    if io.write == Some(Write::Output) {
                        self.look();
                        return io.until;
                    }
                    continue;
                }
                Next::Over(_) => {
                    assert_eq!(self.ws.state(), State::Closed);
                    assert!(self.input.unread().is_empty());
                    self.look();
                    return None;
                }
            };
            assert!(!self.over, "an event after the last one: {event:?}");
            assert!(self.budget > 0, "more events than bytes: {event:?}");
            self.budget -= 1;
            self.over = matches!(event, Event::Close(_) | Event::Fail(_) | Event::Rejected(_));
            react(&mut self.ws, &event);
            self.events.push(event.into_owned());
            self.look();
        }
    }

    /// More events than bytes, by so many.
    pub(crate) fn allow(&mut self, events: usize) {
        self.budget += events;
    }

    pub(crate) fn tick(&mut self, now: Duration) -> Option<Duration> {
        self.budget += 1;
        let until = self.poll(now, |_, _| {});
        assert!(until.is_none_or(|until| until > now), "woken for nothing");
        until
    }

    /// Writes at most `n` bytes, and returns them.
    pub(crate) fn write(&mut self, n: usize) -> &[u8] {
        let start = self.output.len();
        let (mut left, mut all) = (n, 0);
        let first = self.ws.outputs().next().unwrap_or_default();
        assert_eq!(first.len(), self.ws.output().len());
        for run in self.ws.outputs() {
            assert!(!run.is_empty());
            let taken = left.min(run.len());
            self.output.extend(&run[..taken]);
            left -= taken;
            all += run.len();
        }
        assert_eq!(all, self.ws.buffered_amount());
        self.ws.sent(n);
        assert_eq!(self.ws.buffered_amount(), all - (n - left), "a byte lost");
        self.look();
        &self.output[start..]
    }

    /// The transport ends: what is told then is the last word.
    pub(crate) fn finish(mut self) -> Transcript {
        let ending = self.ws.end_of_stream();
        self.look();
        assert_eq!(self.ws.state(), State::Closed);
        assert_eq!(self.ws.buffered_amount(), 0);
        // Nothing wakes it.
        self.over = true;
        self.feed(b"\x81\x00\x89\x00 GET / HTTP/1.1\r\n\r\n", |_, _| {});
        let closed = Ok(());
        assert_eq!(self.ws.send_text("late"), closed);
        assert_eq!(self.ws.send_binary_part(b"late", Fin::Last), closed);
        assert_eq!(self.ws.send_ping(b"late"), closed);
        assert_eq!(self.ws.send_pong(b"late"), closed);
        assert_eq!(self.ws.close(CloseCode::NORMAL, "late"), Ok(()));
        // Too late, if it was ever the time.
        let late = match ending.opened {
            true => Err(SendError::NoRequest),
            false => Ok(()),
        };
        assert_eq!(self.ws.accept(Response::default()), late);
        assert_eq!(self.ws.respond(Response::new(404)), late);
        assert_eq!(self.poll(Duration::MAX, |_, _| {}), None);
        assert_eq!(self.ws.end_of_stream(), ending);
        assert_eq!(self.ws.transport_reset(), ending);
        self.look();
        assert_eq!(self.ws.buffered_amount(), 0);
        Transcript {
            events: self.events,
            output: self.output,
            ending,
        }
    }

    fn look(&mut self) {
        let rank = |state| match state {
            State::Connecting => 0,
            State::Open => 1,
            State::Closing => 2,
            State::Closed => 3,
        };
        let state = self.ws.state();
        assert!(
            rank(self.state) <= rank(state),
            "back from {:?} to {state:?}",
            self.state
        );
        self.state = state;
        let (next, all) = (self.ws.output().len(), self.ws.buffered_amount());
        assert!(next <= all);
        assert_eq!(next == 0, all == 0, "output is empty only if there is none");
        assert!(all == 0 || state != State::Closed, "closed with output");
    }
}

/// Feeds all of `bytes`, every piece answered and the answers written.
pub(crate) fn converse(
    ws: Connection,
    bytes: &[u8],
    cuts: Cuts,
    react: impl FnMut(&mut Connection, &Event<'_>),
) -> Transcript {
    converse_watched(Watched::new(ws), bytes, cuts, react)
}

/// As [`converse`], with an input that keeps what a read cuts.
pub(crate) fn converse_keeping(
    ws: Connection,
    bytes: &[u8],
    cuts: Cuts,
    react: impl FnMut(&mut Connection, &Event<'_>),
) -> Transcript {
    let mut watched = Watched::new(ws);
    watched.input = Input::new(1 << 12);
    converse_watched(watched, bytes, cuts, react)
}

fn converse_watched(
    mut watched: Watched,
    bytes: &[u8],
    cuts: Cuts,
    mut react: impl FnMut(&mut Connection, &Event<'_>),
) -> Transcript {
    watched.write(usize::MAX);
    for piece in cuts.pieces(bytes) {
        watched.feed(piece, &mut react);
        watched.write(usize::MAX);
    }
    watched.write(usize::MAX);
    watched.finish()
}

/// The most of frames that an endpoint queues by itself, with this high-water mark: up to that mark
/// and one beyond it, a pong that has begun and one that waits, and a Close.
pub(crate) const fn most_queued(mark: usize) -> usize {
    mark + 4 * (14 + 125)
}

/// Feeds all of `bytes` and writes nothing: what the connection holds must be in proportion to what
/// it received, and below `limit`, at each moment.
pub(crate) fn measure(
    make: impl Fn() -> Connection,
    bytes: &[u8],
    cuts: Cuts,
    limit: usize,
    mut react: impl FnMut(&mut Connection, &Event<'_>),
) {
    /// The keys of a client, what a server knows of a handshake, the first sizes of buffers.
    const SLACK: usize = 2048;
    let mut input = Input::shared(bytes.len());
    let _ = input.space();
    let (mut ws, made) = measured(make);
    let (mut held, mut fed, mut handed_over) = (made.held, 0, 0);
    for piece in cuts.pieces(bytes) {
        input.extend_from_slice(piece);
        fed += piece.len();
        let ((), heap) = measured(|| {
            while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
                react(&mut ws, &event);
                handed_over += 1;
            }
        });
        let peak = usize::try_from(held + heap.peak).expect("more was made than freed");
        held += heap.held;
        assert!(
            peak <= SLACK + 4 * fed,
            "{peak} bytes of heap after {fed} bytes"
        );
        assert!(
            peak <= SLACK + limit,
            "{peak} bytes of heap, whatever was received"
        );
        assert!(ws.buffered_amount() <= limit, "output without bound");
    }
    assert!(handed_over <= fed + 1);
    let ((), freed) = measured(|| drop((ws, react)));
    assert!(held + freed.held <= 0, "memory lost");
}

/// An open connection with the first of keys.
pub(crate) fn open(role: Role, config: Config) -> Connection {
    rewind_entropy();
    Connection::upgraded(role, config.entropy(entropy))
}
