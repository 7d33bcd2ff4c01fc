//! The one client of all servers: as cheap as it can be, for what it takes is no server's merit.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use nix::time::ClockId;
use sockless::{ClientRequest, CloseCode, Config, Connection, Event, Input, Next, Role};

use crate::Failure;
use crate::contestant::{Contestant, Ticks};
use crate::tape::{Place, Tape};

/// A server that is silent for so long has failed; there is none that slow.
const SILENCE: Duration = Duration::from_secs(60);
/// How many connections are opened at once: fewer than any server's backlog.
const OPENING: usize = 64;

/// The open connections to one server.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    ships: Vec<Ship>,
    buf: Vec<u8>,
}

struct Ship {
    stream: mio::net::TcpStream,
    place: Place,
    /// Echoes that came, and for which nothing was asked yet.
    idle: usize,
}

/// What one turn of a server came to.
pub(crate) struct Turn {
    pub(crate) messages: u64,
    pub(crate) elapsed: Duration,
    /// CPU time of the server.
    pub(crate) server: Duration,
    /// CPU time of the client.
    pub(crate) client: Duration,
    /// How that of the server divides, from the first message to the last: as long as can be, for
    /// it is counted coarsely.
    pub(crate) ticks: Ticks,
}

/// A moment of a turn.
struct Mark {
    at: Instant,
    echoed: u64,
    server: Duration,
    client: Duration,
}

impl Fleet {
    pub(crate) fn open(port: u16, connections: usize) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        // Where to be on a tape is said when a turn begins.
        let nowhere = Tape::new(0, 0)?;
        let mut ships = Vec::with_capacity(connections);
        while ships.len() < connections {
            let opening = (connections - ships.len()).min(OPENING);
            let asked: Result<Vec<_>, Failure> = (0..opening).map(|_| ask(port)).collect();
            for (mut stream, mut ws) in asked? {
                await_open(&mut stream, &mut ws)?;
                stream.set_nonblocking(true)?;
                let mut stream = mio::net::TcpStream::from_std(stream);
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry()
                    .register(&mut stream, Token(ships.len()), interest)?;
                let place = nowhere.start(0);
                ships.push(Ship {
                    stream,
                    place,
                    idle: 0,
                });
            }
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            ships,
            buf: vec![0; 256 * 1024],
        })
    }

    /// Keeps up to `depth` messages in flight on every connection for `length`, after a warm-up of a
    /// quarter of that. Both last until as many have come back as are in flight, however long that is.
    ///
    /// More are sent when half of them are back. So what a server is sent comes in much the same
    /// pieces whether it answers one by one or all at once, and the work of the client is the same.
    pub(crate) fn turn(
        &mut self,
        server: &Contestant,
        tape: &Tape,
        depth: usize,
        length: Duration,
    ) -> Result<Turn, Failure> {
        let ticks = server.ticks()?;
        for (i, ship) in self.ships.iter_mut().enumerate() {
            ship.place = tape.start(i);
            ship.idle = 0;
            ship.place.ask(tape, depth);
            ship.write(tape)?;
        }
        let in_flight = (self.ships.len() * depth) as u64;
        let mut begin = None;
        let mut end = None;
        let (mut asked, mut echoed) = (in_flight, 0);
        let started = Instant::now();
        while echoed < asked {
            self.poll.poll(&mut self.events, Some(SILENCE))?;
            if self.events.is_empty() {
                return Err(format!("no echo for {SILENCE:?}").into());
            }
            for event in &self.events {
                let ship = &mut self.ships[event.token().0];
                if event.is_readable() {
                    let complete = ship.read(tape, &mut self.buf)?;
                    echoed += complete as u64;
                    ship.idle += complete;
                    if end.is_none() && ship.idle >= depth.div_ceil(2) {
                        asked += ship.idle as u64;
                        ship.place.ask(tape, ship.idle);
                        ship.idle = 0;
                    }
                }
                ship.write(tape)?;
            }
            match &begin {
                None if started.elapsed() >= length / 4 && echoed >= in_flight => {
                    begin = Some(Mark::now(server, echoed)?);
                }
                Some(begin)
                    if end.is_none()
                        && begin.at.elapsed() >= length
                        && echoed >= begin.echoed + in_flight =>
                {
                    end = Some(Mark::now(server, echoed)?);
                }
                _ => {}
            }
        }
        let (Some(begin), Some(end)) = (begin, end) else {
            return Err("more echoes than messages".into());
        };
        Ok(Turn {
            messages: end.echoed - begin.echoed,
            elapsed: end.at - begin.at,
            server: end.server - begin.server,
            client: end.client - begin.client,
            ticks: server.ticks()? - ticks,
        })
    }

    /// Closes every connection, and sees that the server does.
    pub(crate) fn close(self) -> Result<(), Failure> {
        let mut client = Connection::upgraded(Role::Client, Config::default());
        let mut server = Connection::upgraded(Role::Server, Config::default());
        client.close(CloseCode::NORMAL, "")?;
        server.close(CloseCode::NORMAL, "")?;
        for ship in self.ships {
            let mut stream = TcpStream::from(ship.stream);
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(SILENCE))?;
            stream.write_all(client.output())?;
            let mut answer = vec![0; server.output().len()];
            stream.read_exact(&mut answer)?;
            if answer != server.output() {
                return Err("a Close is not answered by the same Close".into());
            }
        }
        Ok(())
    }
}

impl Ship {
    /// Reads what there is, and says how many echoes are complete with it.
    fn read(&mut self, tape: &Tape, buf: &mut [u8]) -> Result<usize, Failure> {
        let mut complete = 0;
        loop {
            match self.stream.read(buf) {
                Ok(0) => return Err("the server ended a connection".into()),
                Ok(n) => {
                    complete += self.place.received(tape, &buf[..n])?;
                    // A read that did not fill the buffer has emptied the socket.
                    if n < buf.len() {
                        return Ok(complete);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(complete),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes what is asked for, as far as the socket takes it.
    fn write(&mut self, tape: &Tape) -> io::Result<()> {
        while !self.place.output(tape).is_empty() {
            match self.stream.write(self.place.output(tape)) {
                Ok(n) => self.place.sent(tape, n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Mark {
    fn now(server: &Contestant, echoed: u64) -> Result<Self, Failure> {
        Ok(Self {
            server: server.cpu_time()?,
            client: ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?.into(),
            at: Instant::now(),
            echoed,
        })
    }
}

/// Connects and sends the request.
fn ask(port: u16) -> Result<(TcpStream, Connection), Failure> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let request = ClientRequest::new(&format!("ws://{}:{port}/", Ipv4Addr::LOCALHOST))?;
    let mut ws = Connection::client(request, Config::default())?;
    stream.write_all(ws.output())?;
    ws.sent(ws.output().len());
    Ok((stream, ws))
}

/// Reads the response, which has to accept.
fn await_open(stream: &mut TcpStream, ws: &mut Connection) -> Result<(), Failure> {
    let mut input = Input::new(4096);
    loop {
        match ws.poll(&mut input, Duration::ZERO) {
            Next::Io(_) => ws.on_read(Ok(stream.read(input.space())?), &mut input),
            Next::Event(Event::Open(_)) => break,
            other => return Err(format!("no WebSocket: {other:?}").into()),
        }
    }
    if !input.unread().is_empty() {
        return Err("a server that speaks before it is spoken to".into());
    }
    Ok(())
}
