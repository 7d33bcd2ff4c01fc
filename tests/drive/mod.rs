//! A connection driven step by step, by way of the one question that a loop asks.
#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

use core::time::Duration;

use sockless::{Connection, Event, Input, Next, State, Write};

/// What a test asks one thing at a time, and a loop all at once by [`Connection::poll`].
pub(crate) trait Drive {
    /// Takes one event from the front of `input`; all of it, if that holds none.
    fn receive(&mut self, input: &mut &mut [u8]) -> Option<Event<'static>>;
    /// The next event that needs no input.
    fn poll_event(&mut self) -> Option<Event<'static>>;
    /// What the loop is told at that time, of a connection that has nothing to report.
    fn io(&mut self, now: Duration) -> Next<'static>;
    /// The next deadline; none, if the connection is over.
    fn tick(&mut self, now: Duration) -> Option<Duration>;
    /// The deadline that is missed at that time.
    fn missed(&mut self, now: Duration) -> Event<'static>;
    /// What to do with the transport; shutting its write side is done by that.
    fn transport(&mut self) -> Transport;
    /// All output by value, written at once.
    fn written(&mut self) -> Vec<u8>;
}

/// What to do with a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Keep,
    ShutWrite,
    Drop,
}

impl Drive for Connection {
    fn receive(&mut self, bytes: &mut &mut [u8]) -> Option<Event<'static>> {
        let mut input = Input::shared(bytes.len());
        input.extend_from_slice(bytes);
        let event = match self.poll(&mut input, Duration::ZERO) {
            Next::Event(event) => Some(event.into_owned()),
            _ => None,
        };
        let used = bytes.len() - input.unread().len();
        *bytes = &mut core::mem::take(bytes)[used..];
        event
    }

    fn poll_event(&mut self) -> Option<Event<'static>> {
        self.receive(&mut &mut [][..])
    }

    fn io(&mut self, now: Duration) -> Next<'static> {
        match self.poll(&mut Input::shared(0), now) {
            Next::Event(event) => panic!("{event:?}"),
            Next::Io(io) if io.write == Some(Write::Flush) => {
                self.flushed();
                self.io(now)
            }
            Next::Io(io) => Next::Io(io),
            Next::Over(ending) => Next::Over(ending),
        }
    }

    fn tick(&mut self, now: Duration) -> Option<Duration> {
        match self.io(now) {
            Next::Io(io) => io.until,
            _ => None,
        }
    }

    fn missed(&mut self, now: Duration) -> Event<'static> {
        match self.poll(&mut Input::shared(0), now) {
            Next::Event(event) => event.into_owned(),
            other => panic!("{other:?}"),
        }
    }

    fn transport(&mut self) -> Transport {
        match self.io(Duration::ZERO) {
            Next::Io(io) if io.write == Some(Write::Shutdown) => {
                assert_eq!(self.state(), State::Closed);
                self.shut();
                Transport::ShutWrite
            }
            Next::Over(_) => Transport::Drop,
            _ => Transport::Keep,
        }
    }

    fn written(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.take_output(&mut bytes);
        self.sent(bytes.len());
        bytes
    }
}
