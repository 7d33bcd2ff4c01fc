//! An echo server on blocking sockets, a thread for each connection, with a page to try it from.
//!
//! `cargo run --release --example echo_std`, then open the address that it prints.

#[cfg(feature = "deflate")]
mod deflate_options;
mod memory;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{process, thread};

use clap::Parser;
use memory::{Budget, NO_ROOM, Share, turn_away};
use sockless::{Config, Connection, Ending, Event, Request, Response, SendError, State, Transport};

const PAGE: &str = include_str!("echo_std/page.html");

/// The path on which a line is pushed every [`TICK`]; each other path is a pure echo.
const TICKER: &str = "/ticker";
const TICK: Duration = Duration::from_secs(2);

/// Threads are the scarce thing here, so nothing holds one for ever: neither a peer that sends no
/// request, nor one that stops reading, nor one that is gone without a word, nor too many at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const MAX_CONNECTIONS: usize = 256;

/// What is read at once. Compressed it can be a thousand times as much, before anybody asks the budget.
const READ_SIZE: usize = if cfg!(feature = "deflate") {
    1024
} else {
    16 * 1024
};

/// Sends back every WebSocket message, and serves a page to try it from.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
    /// What all connections together may hold, beside 64 KiB each
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: usize,
    #[cfg(feature = "deflate")]
    #[command(flatten)]
    deflate: deflate_options::DeflateOptions,
}

fn main() {
    let arguments = Arguments::parse();
    let config = Config::default()
        .serve_plain_http()
        .handshake_timeout(ANSWER_TIMEOUT)
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT);
    #[cfg(feature = "deflate")]
    let config = arguments.deflate.add_to(config);
    if let Err(error) = listen(&arguments, &config) {
        log(format_args!("{}: {error}", arguments.address));
        process::exit(1);
    }
}

fn listen(arguments: &Arguments, config: &Config) -> io::Result<()> {
    let listener = TcpListener::bind(&arguments.address)?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}/", listener.local_addr()?)?;
    out.flush()?;
    let places = Arc::new(());
    let budget = Budget::new(arguments.memory);
    loop {
        // A failed accept is the peer's or the moment's (no more files), so it ends nothing.
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                log(format_args!("accept: {error}"));
                thread::sleep(Duration::from_millis(50));
                continue;
            }
        };
        let place = Arc::clone(&places);
        if Arc::strong_count(&places) > MAX_CONNECTIONS + 1 {
            log(format_args!(
                "{peer}: refused, {MAX_CONNECTIONS} connections are open"
            ));
            continue;
        }
        let (config, share) = (config.clone(), budget.share());
        let thread = thread::Builder::new().spawn(move || {
            serve(stream, peer, config, share);
            drop(place);
        });
        if let Err(error) = thread {
            log(format_args!("{peer}: no thread: {error}"));
        }
    }
}

/// One connection, from its first byte to its last.
fn serve(mut stream: TcpStream, peer: SocketAddr, config: Config, share: Share) {
    let mut visit = Visit::new(peer);
    match converse(&mut stream, config, share, &mut visit) {
        // A page was logged when it was served; a browser also opens connections only to be ready.
        Ok(ending) if !ending.opened && ending.error.is_none() => {}
        Ok(ending) => visit.log(format_args!("{ending}")),
        Err(error) => visit.log(format_args!("broken off: {error}")),
    }
}

/// The protocol: everything else in this file is the page, the arguments, the ticker and the log.
fn converse(
    stream: &mut TcpStream,
    config: Config,
    mut share: Share,
    visit: &mut Visit,
) -> Result<Ending, Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut ws = Connection::server(config);
    let mut buf = [0; READ_SIZE];
    let mut is_broken = false;
    loop {
        let due = visit
            .push_line(&mut ws)?
            .min(ws.tick(visit.now()).unwrap_or(Duration::MAX));
        if !share.has_room_for(&ws) {
            linger(stream, &turn_away(ws, share))?;
            return Err(NO_ROOM.into());
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(ws.end_of_stream()),
        }
        let wait = due.saturating_sub(visit.now());
        if !ws.output().is_empty() && !is_broken {
            match write_within(stream, ws.output(), wait) {
                Ok(n) => ws.sent(n),
                Err(_) => is_broken = true, // what the peer sent before is still to be read
            }
            continue;
        }
        let mut input = match read_within(stream, &mut buf, wait) {
            Ok(Some(0)) if !is_broken => return Ok(ws.end_of_stream()),
            Ok(Some(0)) | Err(_) => return Ok(ws.transport_reset()),
            Ok(Some(n)) => &mut buf[..n],
            Ok(None) => continue,
        };
        while let Some(event) = ws.receive(&mut input) {
            match event {
                Event::Text(_) | Event::Binary(_) if ws.state() == State::Closing => {} // too late
                Event::Request(request) => visit.answer(&mut ws, &request)?,
                Event::Text(text) => ws.send_text(&text)?,
                Event::Binary(data) => ws.send_binary(&data)?,
                _ => {} // pings, closes and violations are already answered
            }
        }
    }
}

/// Reads what there is, or nothing if it takes longer than `wait`.
fn read_within(
    stream: &mut TcpStream,
    buf: &mut [u8],
    wait: Duration,
) -> io::Result<Option<usize>> {
    stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
    in_time(stream.read(buf))
}

/// Writes what can be written, which is nothing if it takes longer than `wait`.
fn write_within(stream: &mut TcpStream, bytes: &[u8], wait: Duration) -> io::Result<usize> {
    stream.set_write_timeout(Some(wait.max(Duration::from_millis(1))))?;
    Ok(in_time(stream.write(bytes))?.unwrap_or(0))
}

fn in_time(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(n) => Ok(Some(n)),
        Err(error) => match error.kind() {
            // A timeout has the first name on Unix, the second on Windows.
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

/// Writes the last bytes, and reads on for a while.
fn linger(stream: &mut TcpStream, last: &[u8]) -> io::Result<()> {
    if last.is_empty() {
        return Ok(());
    }
    let start = Instant::now();
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(last)?;
    stream.shutdown(Shutdown::Write)?;
    let mut buf = [0; READ_SIZE];
    while let Some(wait) = ANSWER_TIMEOUT.checked_sub(start.elapsed()) {
        match read_within(stream, &mut buf, wait)? {
            Some(1..) => {}
            _ => break,
        }
    }
    Ok(())
}

/// What the server knows of a peer beside the protocol: who it is, and what it asked for.
struct Visit {
    peer: SocketAddr,
    /// The path of its WebSocket, once it has one.
    path: Option<String>,
    since: Instant,
    /// When the next line of the ticker is due.
    line_due: Duration,
}

impl Visit {
    fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            path: None,
            since: Instant::now(),
            line_due: Duration::MAX,
        }
    }

    /// The time, as the connection is told it.
    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    fn answer(&mut self, ws: &mut Connection, request: &Request) -> Result<(), Box<dyn Error>> {
        let path = request.path();
        if request.is_upgrade() {
            // An echo has no secrets and does nothing on anybody's behalf, so every origin may come,
            // and every subprotocol is as good as another.
            let mut response = Response::default();
            if let Some(first) = request.subprotocols().next() {
                response = response.with_subprotocol(first);
            }
            ws.accept(response)?;
            self.path = Some(path.to_owned());
            if path == TICKER {
                self.line_due = self.now() + TICK;
            }
            self.log(format_args!("open"));
            return Ok(());
        }
        let response = match (request.method(), path) {
            ("GET" | "HEAD", "/") => Response::new(200).with_html(PAGE),
            ("GET" | "HEAD", TICKER) => Response::new(426).with_text("this is for a WebSocket\n"),
            (_, "/" | TICKER) => Response::new(405).with_header("Allow", "GET, HEAD")?,
            _ => Response::new(404).with_text("nothing here; the page is at /\n"),
        };
        log(format_args!("{} {path:?} {}", self.peer, response.status()));
        Ok(ws.respond(response)?)
    }

    /// Sends a line of the ticker when it is due, and says when the next one is.
    fn push_line(&mut self, ws: &mut Connection) -> Result<Duration, SendError> {
        if ws.state() != State::Open {
            return Ok(Duration::MAX);
        }
        if self.now() >= self.line_due {
            ws.send_text(&format!("connected for {} s", self.now().as_secs()))?;
            self.line_due += TICK;
        }
        Ok(self.line_due)
    }

    fn log(&self, what: std::fmt::Arguments<'_>) {
        // The path is the peer's: escaped, so that it cannot forge a line.
        log(format_args!(
            "{} {:?} {what}",
            self.peer,
            self.path.as_deref().unwrap_or_default()
        ));
    }
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
