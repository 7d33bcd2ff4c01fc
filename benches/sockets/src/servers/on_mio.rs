//! The same loop on readiness: one thread, and one buffer for all connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use sockless::{Config, Connection, Event, Response, Transport};

use super::{LISTEN, announce};
use crate::Failure;

/// The connections are numbered from 0.
const LISTENER: Token = Token(usize::MAX);

pub(super) fn serve() -> Result<(), Failure> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(LISTEN)?;
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?)?;

    let mut events = Events::with_capacity(1024);
    let mut buf = vec![0; 64 * 1024];
    let mut guests = Slab::new();
    loop {
        if let Err(error) = poll.poll(&mut events, None) {
            if error.kind() == ErrorKind::Interrupted {
                continue;
            }
            return Err(error.into());
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Some((mut stream, _)) = if_ready(listener.accept())? {
                    stream.set_nodelay(true)?;
                    let place = guests.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    registry.register(&mut stream, Token(place.key()), interest)?;
                    let ws = Connection::server(Config::default());
                    let is_broken = false;
                    place.insert(Guest {
                        stream,
                        ws,
                        is_broken,
                    });
                }
            } else if let Some(guest) = guests.get_mut(event.token().0) {
                let stays = guest.converse(&mut buf).unwrap_or_else(|error| {
                    eprintln!("connection: {error}");
                    false
                });
                if !stays {
                    guests.remove(event.token().0);
                }
            }
        }
    }
}

/// A connection and its socket.
struct Guest {
    stream: TcpStream,
    ws: Connection,
    /// A write failed.
    is_broken: bool,
}

impl Guest {
    /// Goes on until the socket has nothing to read or takes nothing more, and says whether the
    /// connection lives on.
    fn converse(&mut self, buf: &mut [u8]) -> Result<bool, Failure> {
        let ws = &mut self.ws;
        // A read that did not fill the buffer has emptied the socket: what comes later is an event.
        let mut emptied = false;
        loop {
            while !ws.output().is_empty() && !self.is_broken {
                match if_ready(self.stream.write(ws.output())) {
                    Ok(Some(n)) => ws.sent(n),
                    Ok(None) => return Ok(true),
                    Err(_) => self.is_broken = true, // what the peer sent before is still to be read
                }
            }
            match ws.transport() {
                Transport::Keep => {}
                Transport::ShutWrite => drop(self.stream.shutdown(Shutdown::Write)),
                Transport::Drop => return Ok(false),
            }
            if emptied {
                return Ok(true);
            }
            let n = match if_ready(self.stream.read(buf)) {
                Ok(Some(0)) if !self.is_broken => {
                    io::Result::from(ws.end_of_stream())?;
                    return Ok(false);
                }
                Ok(Some(0)) | Err(_) => {
                    io::Result::from(ws.transport_reset())?;
                    return Ok(false);
                }
                Ok(Some(n)) => n,
                Ok(None) => return Ok(true),
            };
            emptied = n < buf.len();
            let mut input = &mut buf[..n];
            while let Some(event) = ws.receive(&mut input) {
                match event {
                    Event::Request(_) => ws.accept(Response::default())?,
                    Event::Text(text) => ws.send_text(&text)?,
                    Event::Binary(data) => ws.send_binary(&data)?,
                    _ => {} // pings, closes and violations are answered already
                }
            }
        }
    }
}

/// What a call on a socket did, or `None` if it would have to wait.
fn if_ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
