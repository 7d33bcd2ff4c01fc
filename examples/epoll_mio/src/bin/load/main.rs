//! The load for an echo server: many connections on one thread, and not a message lost or changed.
//!
//! `cargo run --release -p epoll_mio --bin load -- ws://127.0.0.1:8080/`

mod tally;

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::process;
use std::time::Duration;

use clap::Parser;
use epoll_mio::{Timers, log, read, write};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, SockRef, Socket, Type};
use sockless::{ClientRequest, CloseCode, Config, Connection, Ending, Event, Fin, Input, Io, Next};
use tally::Tally;

/// After so many reads the others have their turn.
const READS_IN_A_TURN: usize = 4;

const NORMAL: u16 = CloseCode::NORMAL.get();

/// Opens many connections to an echo server, and sends messages over each of them.
///
/// Checks that each message comes back as it went, in order. The exit status is 0 if all of them did
/// and all connections ended as they should.
#[derive(Parser)]
struct Arguments {
    /// ws://host[:port][/path] of the server
    url: String,
    /// How many connections are open at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    connections: usize,
    /// How many of them may be in their handshake at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 500)]
    opening: usize,
    /// Rest so long when all are open, before the first message
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    idle: u64,
    /// Send so long
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// The length of a message in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    size: usize,
    /// How many messages each connection has on their way at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    window: usize,
    /// How long each connection rests after an echo
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pause: u64,
    /// End so many connections in each second, in one of four ways, and open others for them
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    churn: u32,
    /// How long the server may take for an answer of any kind before that is its fault
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Makes the random choices the same again
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() {
    match Load::new(Arguments::parse()).and_then(Load::run) {
        Ok(tally) => process::exit(if tally.print() { 0 } else { 1 }),
        Err(error) => {
            log(format_args!("{error}"));
            process::exit(2);
        }
    }
}

/// What becomes of a connection after its turn.
enum Turn {
    /// It waits for its socket, until then at the latest.
    Wait(Option<Duration>),
    /// There is more to read, once the others have had their turn.
    Again,
    Over(Box<Ending>),
}

/// The protocol: everything else in this file is what is sent, and what has become of it.
fn converse(client: &mut Client, tally: &mut Tally, input: &mut Input, now: Duration) -> Turn {
    let mut reads = 0;
    loop {
        let io = match client.ws.poll(input, now) {
            Next::Event(event) => {
                client.on_event(event, tally);
                continue;
            }
            Next::Io(io) => io,
            Next::Over(ending) => return Turn::Over(ending),
        };
        if client.send_what_is_due(io, tally, now) || write(&mut client.stream, &mut client.ws, io)
        {
            continue;
        }
        if reads == READS_IN_A_TURN {
            return Turn::Again;
        }
        if !read(&mut client.stream, &mut client.ws, input) {
            return Turn::Wait(client.until(io, tally));
        }
        reads += 1;
    }
}

struct Client {
    stream: TcpStream,
    ws: Connection,
    id: u32,
    /// The number of the next message.
    next: u64,
    /// Those that have not come back, and when they were sent.
    in_flight: VecDeque<(u64, Duration)>,
    /// When the rest after the last echo is over.
    send_at: Duration,
    was_open: bool,
}

impl Client {
    fn on_event(&mut self, event: Event<'_>, tally: &mut Tally) {
        match event {
            Event::Open(_) => {
                self.was_open = true;
                tally.opened += 1;
            }
            Event::Text(text) => self.on_echo(text.as_bytes(), false, tally),
            Event::Binary(data) => self.on_echo(&data, true, tally),
            _ => {} // the ending tells of the others
        }
    }

    /// Whether there is a message to send, once the rest is over.
    fn has_message(&self, io: Io, tally: &Tally) -> bool {
        io.send && tally.sending && self.in_flight.len() < tally.window
    }

    fn until(&self, io: Io, tally: &Tally) -> Option<Duration> {
        let send_at = Some(self.send_at).filter(|_| self.has_message(io, tally));
        io.until.into_iter().chain(send_at).min()
    }

    /// Sends a message if it is time; `false` if not.
    fn send_what_is_due(&mut self, io: Io, tally: &mut Tally, now: Duration) -> bool {
        if !self.has_message(io, tally) || self.send_at > now {
            return false;
        }
        let number = self.next;
        let message = tally.message(self.id, number);
        let sent = match is_binary(number) {
            true => self.ws.send_binary(message.as_bytes()),
            false => self.ws.send_text(message),
        };
        if sent.is_err() {
            self.ws.handler_failed();
        }
        self.next += 1;
        self.in_flight.push_back((number, tally.start.elapsed()));
        true
    }

    /// The first message in flight is the one to come back, as it was sent.
    fn on_echo(&mut self, data: &[u8], binary: bool, tally: &mut Tally) {
        let Some((number, sent_at)) = self.in_flight.pop_front() else {
            tally.wrong += 1;
            return;
        };
        if is_binary(number) != binary || tally.message(self.id, number).as_bytes() != data {
            tally.wrong += 1;
            return;
        }
        let now = tally.start.elapsed();
        let latency = now.saturating_sub(sent_at).as_micros();
        // At most a minute by construction; what is above the histogram's end counts as that.
        let latency = u64::try_from(latency).unwrap_or(u64::MAX);
        tally.latencies.saturating_record(latency);
        if !tally.pause.is_zero() {
            self.send_at = now + tally.pause;
        }
    }
}

/// Both types of message, in turns.
fn is_binary(number: u64) -> bool {
    number % 2 == 1
}

struct Load {
    arguments: Arguments,
    address: SocketAddr,
    /// The last byte of the address that connections come from: another one when its ports run out.
    source: u8,
    poll: Poll,
    events: Events,
    clients: Slab<Client>,
    timers: Timers,
    /// Those that have more to read, though no event will say so.
    ready: Vec<usize>,
    input: Input,
    now: Duration,
    dice: fastrand::Rng,
    made: u32,
    tally: Tally,
}

impl Load {
    fn new(arguments: Arguments) -> Result<Self, Box<dyn Error>> {
        let request = ClientRequest::new(&arguments.url)?;
        if request.is_secure() {
            return Err("this has no TLS".into());
        }
        let address = (request.host(), request.port())
            .to_socket_addrs()?
            .next()
            .ok_or("the host has no address")?;
        Ok(Self {
            address,
            source: 1,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Slab::new(),
            timers: Timers::default(),
            ready: Vec::new(),
            input: Input::shared(512 * 1024),
            now: Duration::ZERO,
            dice: fastrand::Rng::with_seed(arguments.seed),
            made: 0,
            tally: Tally::new(
                arguments.size,
                arguments.window,
                Duration::from_millis(arguments.pause),
            )?,
            arguments,
        })
    }

    fn run(mut self) -> Result<Tally, Box<dyn Error>> {
        let wanted = self.arguments.connections;
        let limit = self.patience();
        self.until(limit, |load| {
            load.tally.faults() > 0 || load.open() == wanted
        })?;
        if self.open() < wanted {
            return Err(format!("only {} of {wanted} connections are open", self.open()).into());
        }
        log(format_args!("{wanted} open after {:.1?}", self.now));
        self.until(Duration::from_secs(self.arguments.idle), |_| false)?;

        self.tally.sending = true;
        let begin = self.now;
        let lasting = Duration::from_secs(self.arguments.seconds);
        for key in self.keys() {
            self.turn(key);
        }
        let mut ended = 0;
        while self.now < begin + lasting {
            let elapsed = self.now - begin;
            self.until(Duration::from_millis(10), |_| false)?;
            let due = elapsed.as_secs_f64() * f64::from(self.arguments.churn);
            while f64::from(ended) < due {
                ended += 1;
                self.end_one();
            }
        }
        self.tally.sending = false;
        self.tally.sending_time = self.now - begin;

        // Nobody is connected anew from here on.
        self.arguments.connections = 0;
        // One that is in its handshake would miss its close.
        let settled = |client: &Client| client.was_open && client.in_flight.is_empty();
        let answered = |load: &Self| load.clients.iter().all(|(_, client)| settled(client));
        self.until(limit, answered)?;
        for key in self.keys() {
            // One that is not open has failed, or will be found to.
            let _ = self.clients[key].ws.close(CloseCode::NORMAL, "");
            self.turn(key);
        }
        self.until(limit, |load| load.clients.is_empty())?;
        for client in self.clients.drain() {
            self.tally.lost += client.in_flight.len();
            self.tally.fault("an end that does not come");
        }
        Ok(self.tally)
    }

    /// Looks after the connections until they are as wanted, or for the given time.
    fn until(
        &mut self,
        limit: Duration,
        wanted: impl Fn(&Self) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let end = self.now + limit;
        while self.now < end && !wanted(self) {
            // Some may fail at once, so this is no loop until there are enough.
            let missing = self
                .arguments
                .connections
                .saturating_sub(self.clients.len());
            let opening = self.clients.len() - self.open();
            for _ in 0..missing.min(self.arguments.opening.saturating_sub(opening)) {
                self.connect()?;
            }
            // Those that failed at once are replaced without an event.
            let soon = end.min(self.now + Duration::from_millis(100));
            let due = self.timers.next().map_or(soon, |due| due.min(soon));
            let timeout = if self.ready.is_empty() {
                due.saturating_sub(self.tally.start.elapsed())
            } else {
                Duration::ZERO
            };
            match self.poll.poll(&mut self.events, Some(timeout)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            self.now = self.tally.start.elapsed();
            let mut keys = std::mem::take(&mut self.ready);
            keys.extend(self.events.iter().map(|event| event.token().0));
            for key in keys {
                self.turn(key);
            }
            while let Some(key) = self.timers.pop(self.now) {
                self.turn(key);
            }
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.arguments.patience)
    }

    fn keys(&self) -> Vec<usize> {
        self.clients.iter().map(|(key, _)| key).collect()
    }

    /// How many of the connections that exist have got through their handshake.
    fn open(&self) -> usize {
        self.tally.opened - self.tally.ended
    }

    fn connect(&mut self) -> Result<(), Box<dyn Error>> {
        let config = Config::default()
            .handshake_timeout(self.patience())
            .close_timeout(self.patience());
        let ws = Connection::client(ClientRequest::new(&self.arguments.url)?, config)?;
        let mut stream = self.connect_transport()?;
        let key = self.clients.vacant_key();
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(key), both)?;
        self.made += 1;
        self.clients.insert(Client {
            stream,
            ws,
            id: self.made,
            next: 0,
            in_flight: VecDeque::new(),
            send_at: Duration::ZERO,
            was_open: false,
        });
        self.turn(key);
        Ok(())
    }

    /// From the next of the loopback addresses when the ports of one are used up.
    fn connect_transport(&mut self) -> io::Result<TcpStream> {
        loop {
            match self.connect_from(self.source) {
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse
                    ) && self.address.ip() == Ipv4Addr::LOCALHOST
                        && self.source < 254 =>
                {
                    self.source += 1;
                }
                connected => return connected,
            }
        }
    }

    fn connect_from(&self, source: u8) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if source > 1 {
            let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, source), 0));
            socket.bind(&source.into())?;
        }
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    fn turn(&mut self, key: usize) {
        // It may have ended since it was noted down.
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let fault = match converse(client, &mut self.tally, &mut self.input, self.now) {
            Turn::Wait(due) => return self.timers.set(key, due),
            Turn::Again => return self.ready.push(key),
            Turn::Over(ending) if !ending.clean || ending.code != NORMAL => {
                Some(ending.to_string())
            }
            Turn::Over(_) if client.in_flight.is_empty() => None,
            Turn::Over(_) => Some("it closed before the last echo".into()),
        };
        self.tally.lost += self.remove(key).in_flight.len();
        if let Some(fault) = fault {
            self.tally.fault(&fault);
        }
    }

    fn remove(&mut self, key: usize) -> Client {
        self.timers.remove(key);
        let client = self.clients.remove(key);
        self.tally.ended += usize::from(client.was_open);
        client
    }

    /// Ends any of the connections that are open, in one of four ways.
    fn end_one(&mut self) {
        let keys = self.clients.iter().filter(|(_, client)| client.was_open);
        let Some(key) = self
            .dice
            .choice(keys.map(|(key, _)| key).collect::<Vec<_>>())
        else {
            return;
        };
        self.tally.churned += 1;
        let client = &mut self.clients[key];
        match self.dice.u8(..4) {
            // Closed: what is in flight has to come back before the answer.
            0 => {
                let _ = client.ws.close(CloseCode::NORMAL, "");
                return self.turn(key);
            }
            // Gone in mid-message.
            1 => {
                let _ = client.ws.send_binary_part(&[7; 100], Fin::More);
                let _ = client.stream.write(client.ws.output());
            }
            // Reset.
            2 => drop(SockRef::from(&client.stream).set_linger(Some(Duration::ZERO))),
            // Gone without a word.
            _ => {}
        }
        self.tally.abandoned += self.remove(key).in_flight.len();
    }
}
