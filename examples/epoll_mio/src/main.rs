//! An echo server for ten thousand connections on one thread: mio, and one buffer for all of them.
//!
//! `cargo run --release -p epoll_mio -- --stats 1`

#[path = "../../memory/mod.rs"]
mod memory;

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};
use std::{fs, process};

use clap::Parser;
use epoll_mio::{Timers, if_ready, log, read, write};
use memory::{Budget, NO_ROOM, Share, turn_away};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use slab::Slab;
use socket2::{Domain, Socket, Type};
use sockless::{CloseCode, Config, Connection, Event, Input, Next, Response};

/// What is read at once, by whichever connection has something to read.
const READ_SIZE: usize = 512 * 1024;
/// After so many reads the others have their turn.
const READS_IN_A_TURN: usize = 4;
/// How many may wait to be accepted, if the system allows so many: they come in crowds.
const BACKLOG: i32 = 4096;
/// How long no connection is accepted after one that could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// How long connections may take to close when the server ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

const LISTENER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

/// Sends back every WebSocket message, on one thread.
///
/// Ctrl-C prints the statistics, closes the connections, and ends the server.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Print the statistics as often as this
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    stats: Option<u64>,
    /// The most connections at a time; others wait to be accepted
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    max_connections: usize,
    /// What all connections together may hold, beside 64 KiB each
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: usize,
}

fn main() {
    let arguments = Arguments::parse();
    let served = Server::new(&arguments).and_then(|mut server| {
        let mut out = io::stdout();
        let address = server.listener.local_addr()?;
        writeln!(out, "listening on ws://{address}/")?;
        out.flush()?;
        server.run(arguments.stats.map(Duration::from_secs))
    });
    if let Err(error) = served {
        log(format_args!("{}: {error}", arguments.address));
        process::exit(1);
    }
}

/// What becomes of a connection after its turn.
enum Turn {
    /// It waits for its socket, until then at the latest.
    Wait(Option<Duration>),
    /// There is more to read, once the others have had their turn.
    Again,
    /// There is no room for what it holds.
    Full,
    Over,
}

/// The protocol: everything else in this file is accepting, waiting, and counting.
fn converse(peer: &mut Peer, input: &mut Input, now: Duration, messages: &mut u64) -> Turn {
    let Peer { stream, ws, .. } = peer;
    let mut reads = 0;
    loop {
        let io = match ws.poll(input, now) {
            Next::Event(event) => {
                on_event(ws, event, messages);
                continue;
            }
            Next::Io(_) if !peer.share.has_room_for(ws) => return Turn::Full,
            Next::Io(io) => io,
            Next::Over(_) => return Turn::Over,
        };
        if write(stream, ws, io) {
            continue;
        }
        if io.read && reads == READS_IN_A_TURN {
            return Turn::Again;
        }
        if !io.read || !read(stream, ws, input) {
            return Turn::Wait(io.until);
        }
        reads += 1;
    }
}

fn on_event(ws: &mut Connection, event: Event<'_>, messages: &mut u64) {
    *messages += u64::from(matches!(event, Event::Text(_) | Event::Binary(_)));
    let done = match event {
        Event::Request(_) => ws.accept(Response::default()),
        // A long message is given away, and not copied.
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    };
    if done.is_err() {
        ws.handler_failed();
    }
}

struct Peer {
    stream: TcpStream,
    ws: Connection,
    share: Share,
    /// It is noted down in [`Server::ready`], and has its next turn from there.
    is_ready: bool,
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    signals: Signals,
    config: Config,
    max_connections: usize,
    peers: Slab<Peer>,
    budget: Budget,
    timers: Timers,
    /// Those that have more to read, though no event will say so.
    ready: Vec<usize>,
    /// Those that were turned away, and until when they may read why.
    leaving: VecDeque<(Duration, TcpStream)>,
    /// When to accept again, if there may be somebody to accept.
    accept_at: Option<Duration>,
    /// The server ends when the last connection has.
    closing: bool,
    /// What any of them has read, one at a time.
    input: Input,
    start: Instant,
    /// The time since the start, looked at once after each wait.
    now: Duration,
    statistics: Statistics,
}

impl Server {
    fn new(arguments: &Arguments) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = listen(arguments.address)?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        let mut input = Input::shared(READ_SIZE);
        let _ = input.space(); // counts as memory from the start
        Ok(Self {
            poll,
            listener,
            signals,
            config: Config::default()
                .handshake_timeout(ANSWER_TIMEOUT)
                .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
                .close_timeout(CLOSE_TIMEOUT)
                .back_pressure(),
            max_connections: arguments.max_connections,
            peers: Slab::new(),
            budget: Budget::new(arguments.memory),
            timers: Timers::default(),
            ready: Vec::new(),
            leaving: VecDeque::new(),
            accept_at: None,
            closing: false,
            input,
            start: Instant::now(),
            now: Duration::ZERO,
            statistics: Statistics::default(),
        })
    }

    fn run(&mut self, interval: Option<Duration>) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        self.statistics.memory_at_start = resident_memory()?;
        let mut report_at = interval;
        while !(self.closing && self.peers.is_empty()) {
            self.wait(&mut events, report_at)?;
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    SIGNALS => self.on_signal()?,
                    Token(key) => self.turn(key),
                }
            }
            for key in std::mem::take(&mut self.ready) {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.is_ready = false;
                }
                self.turn(key);
            }
            while let Some(key) = self.timers.pop(self.now) {
                self.turn(key);
            }
            while self.leaving.front().is_some_and(|(at, _)| *at <= self.now) {
                self.leaving.pop_front();
            }
            if self.accept_at.is_some_and(|at| at <= self.now) {
                self.accept();
            }
            if report_at.is_some_and(|at| at <= self.now) {
                report_at = interval.map(|interval| self.now + interval);
                self.statistics.print(self.peers.len());
            }
        }
        Ok(())
    }

    /// Until something happens or is due.
    fn wait(&mut self, events: &mut Events, report_at: Option<Duration>) -> io::Result<()> {
        let leaving = self.leaving.front().map(|(at, _)| *at);
        let due = [self.timers.next(), leaving, self.accept_at, report_at];
        let timeout = if self.ready.is_empty() {
            let due = due.into_iter().flatten().min();
            due.map(|at| at.saturating_sub(self.start.elapsed()))
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.now = self.start.elapsed();
        Ok(())
    }

    /// Accepts whoever waits, as far as there is room. What fails is the peer's fault or the
    /// moment's (no more files), so it ends nothing; but the listener tells of those who wait only
    /// once, so they are looked after in a while.
    fn accept(&mut self) {
        self.accept_at = None;
        while !self.closing {
            if self.peers.len() + self.leaving.len() >= self.max_connections {
                self.accept_at = Some(self.now + ACCEPT_PAUSE);
                return;
            }
            match if_ready(|| self.listener.accept()) {
                Ok(Some((stream, _))) => self.welcome(stream),
                Ok(None) => return,
                Err(error) => {
                    self.statistics.on_accept_error(&error);
                    self.accept_at = Some(self.now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream) {
        let place = self.peers.vacant_entry();
        let key = place.key();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = stream
            .set_nodelay(true)
            .and_then(|()| self.poll.registry().register(&mut stream, Token(key), both));
        if let Err(error) = registered {
            log(format_args!("a connection is dropped: {error}"));
            return;
        }
        place.insert(Peer {
            stream,
            ws: Connection::server(self.config.clone()),
            share: self.budget.share(),
            is_ready: false,
        });
        self.turn(key);
    }

    fn turn(&mut self, key: usize) {
        // It may have ended since it was noted down; and one that is noted down has a single turn, or a
        // peer that sends without a pause would have more of them each time.
        let Some(peer) = self.peers.get_mut(key).filter(|peer| !peer.is_ready) else {
            return;
        };
        let messages = &mut self.statistics.messages;
        match converse(peer, &mut self.input, self.now, messages) {
            Turn::Wait(due) => self.timers.set(key, due),
            Turn::Again => {
                peer.is_ready = true;
                self.ready.push(key);
            }
            Turn::Full => self.turn_away(key),
            Turn::Over => drop(self.remove(key)),
        }
    }

    fn remove(&mut self, key: usize) -> Peer {
        self.timers.remove(key);
        self.peers.remove(key)
    }

    /// Its socket stays for a while, or the reset of a transport with input unread would take the last
    /// bytes with it.
    fn turn_away(&mut self, key: usize) {
        let Peer {
            mut stream,
            ws,
            share,
            ..
        } = self.remove(key);
        log(format_args!("a connection is turned away: {NO_ROOM}"));
        let last = turn_away(ws, share);
        // Without an event the rest of it could not be written, so it is all or nothing.
        let is_told = matches!(stream.write(&last), Ok(n) if n == last.len() && n > 0);
        if is_told && self.poll.registry().deregister(&mut stream).is_ok() {
            let _ = stream.shutdown(Shutdown::Write);
            self.leaving.push_back((self.now + CLOSE_TIMEOUT, stream));
        }
    }

    /// The first signal closes the connections, the second does not wait for them.
    fn on_signal(&mut self) -> io::Result<()> {
        if self.signals.pending().count() == 0 {
            return Ok(());
        }
        if std::mem::replace(&mut self.closing, true) {
            return Err(io::Error::other("ended with connections open"));
        }
        self.statistics.print(self.peers.len());
        self.poll.registry().deregister(&mut self.listener)?;
        let keys: Vec<usize> = self.peers.iter().map(|(key, _)| key).collect();
        for key in keys {
            // One that is not open yet has nothing to lose.
            if self.peers[key].ws.close(CloseCode::GOING_AWAY, "").is_err() {
                drop(self.remove(key));
            } else {
                self.turn(key);
            }
        }
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

#[derive(Default)]
struct Statistics {
    messages: u64,
    accept_errors: u64,
    memory_at_start: u64,
}

impl Statistics {
    fn print(&self, connections: usize) {
        let Ok(memory) = resident_memory() else {
            return;
        };
        let grown = memory.saturating_sub(self.memory_at_start);
        let each = match u64::try_from(connections) {
            Ok(0) | Err(_) => String::new(),
            Ok(connections) => format!(", {} bytes for each connection", grown / connections),
        };
        log(format_args!(
            "connections {connections}, messages {}, accept errors {}, memory {} KiB{each}",
            self.messages,
            self.accept_errors,
            memory / 1024,
        ));
    }

    /// Says so the first time, and counts: there may be twenty in a second.
    fn on_accept_error(&mut self, error: &io::Error) {
        if self.accept_errors == 0 {
            log(format_args!("accept: {error}; from now on only counted"));
        }
        self.accept_errors += 1;
    }
}

/// The memory that this process has in use, in bytes; what the kernel holds for its sockets is not
/// in it.
fn resident_memory() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}
