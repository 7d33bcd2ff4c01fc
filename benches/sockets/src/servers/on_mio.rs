//! The same loop on readiness: one thread, and one input for all connections.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use sockless::{Config, Connection, Input, Next, Write};

use super::{LISTEN, announce, answer};
use crate::Failure;

/// The connections are numbered from 0.
const LISTENER: Token = Token(usize::MAX);

/// How often deadlines are looked after: they are tens of seconds.
const TICK: Duration = Duration::from_secs(1);

pub(super) fn serve() -> Result<(), Failure> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(LISTEN)?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?)?;

    let mut events = Events::with_capacity(1024);
    let mut input = Input::shared(64 * 1024);
    let mut guests: Slab<Guest> = Slab::new();
    let clock = Instant::now();
    let mut ticked = clock.elapsed();
    loop {
        if let Err(error) = poll.poll(&mut events, Some(TICK)) {
            if error.kind() == ErrorKind::Interrupted {
                continue;
            }
            return Err(error.into());
        }
        let now = clock.elapsed();
        for event in &events {
            if event.token() == LISTENER {
                while let Some((mut stream, _)) = if_ready(listener.accept())? {
                    stream.set_nodelay(true)?;
                    let place = guests.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, Token(place.key()), interest)?;
                    let ws = Connection::server(Config::default().back_pressure());
                    let until = None;
                    let mut guest = Guest { stream, ws, until };
                    if guest.converse(&mut input, now, true) {
                        place.insert(guest);
                    }
                }
            } else if let Some(guest) = guests.get_mut(event.token().0)
                && !guest.converse(&mut input, now, event.is_read_closed())
            {
                guests.remove(event.token().0);
            }
        }
        if now >= ticked + TICK {
            ticked = now;
            guests.retain(|_, guest| {
                guest.until.is_none_or(|until| now < until)
                    || guest.converse(&mut input, now, false)
            });
        }
    }
}

/// A connection and its socket.
struct Guest {
    stream: TcpStream,
    ws: Connection,
    until: Option<Duration>,
}

impl Guest {
    /// Goes on until the socket has nothing to read and takes nothing more, and says whether the
    /// connection lives on.
    ///
    /// A read that did not fill the input has emptied the socket, and what comes later is an event; but
    /// if the peer `has_ended`, the end is still to be read.
    fn converse(&mut self, input: &mut Input, now: Duration, has_ended: bool) -> bool {
        let (stream, ws) = (&mut self.stream, &mut self.ws);
        let mut is_empty = false;
        loop {
            let io = match ws.poll(input, now) {
                Next::Event(event) => {
                    if let Err(error) = answer(ws, event) {
                        eprintln!("connection: {error}");
                        ws.handler_failed();
                    }
                    continue;
                }
                Next::Io(io) => io,
                Next::Over(ending) => {
                    if let Err(error) = io::Result::from(*ending) {
                        eprintln!("connection: {error}");
                    }
                    return false;
                }
            };
            if let Some(write) = io.write {
                let done = match write {
                    Write::Output => stream.write_vectored(&ws.output_slices()),
                    Write::Flush => stream.flush().map(|()| 0),
                    Write::Shutdown => stream.shutdown(Shutdown::Write).map(|()| 0),
                };
                if !would_block(&done) {
                    ws.on_write(write, done);
                    continue;
                }
            }
            if io.read && !is_empty {
                let space = input.space();
                let done = stream.read(space);
                if !would_block(&done) {
                    is_empty = !has_ended && done.as_ref().is_ok_and(|n| *n < space.len());
                    ws.on_read(done, input);
                    continue;
                }
            }
            self.until = io.until;
            return true;
        }
    }
}

fn would_block<T>(done: &io::Result<T>) -> bool {
    matches!(done, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// What a call on a socket did, or `None` if it would have to wait.
fn if_ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
