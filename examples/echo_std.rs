//! An echo server on blocking sockets, a thread for each connection, with a page to try it from.
//!
//! `cargo run --release --example echo_std`, then open the address that it prints.

#[cfg(feature = "deflate")]
mod deflate_options;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{process, thread};

use clap::Parser;
use sockless::handshake::HandshakeError;
use sockless::{Config, Connection, Ending, Event, Request, Response, SendError, State, Transport};

/// How a connection ends on which no whole request came.
const NOT_USED: Option<sockless::Error> =
    Some(sockless::Error::Handshake(HandshakeError::EndOfStream));

const PAGE: &str = include_str!("echo_std/page.html");

/// The path on which a line is pushed every [`TICK`]; each other path is a pure echo.
const TICKER: &str = "/ticker";
const TICK: Duration = Duration::from_secs(2);

/// Threads are the scarce thing here, so nothing holds one for ever: neither a peer that sends no
/// request, nor one that stops reading, nor one that is gone without a word, nor too many at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const MAX_CONNECTIONS: usize = 256;

/// Sends back every WebSocket message, and serves a page to try it from.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
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
    if let Err(error) = listen(&arguments.address, &config) {
        log(format_args!("{}: {error}", arguments.address));
        process::exit(1);
    }
}

fn listen(address: &str, config: &Config) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}/", listener.local_addr()?)?;
    out.flush()?;
    let places = Arc::new(());
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
        let config = config.clone();
        let thread = thread::Builder::new().spawn(move || {
            serve(stream, peer, config);
            drop(place);
        });
        if let Err(error) = thread {
            log(format_args!("{peer}: no thread: {error}"));
        }
    }
}

/// One connection, from its first byte to its last.
fn serve(mut stream: TcpStream, peer: SocketAddr, config: Config) {
    let mut visit = Visit::new(peer);
    match converse(&mut stream, config, &mut visit) {
        // A page was logged when it was served; a browser also opens connections only to be ready.
        Ok(ending) if !ending.opened && matches!(ending.error, None | NOT_USED) => {}
        Ok(ending) => visit.log(format_args!("{ending}")),
        Err(error) => visit.log(format_args!("broken off: {error}")),
    }
}

/// The protocol: everything else in this file is the page, the arguments, the ticker and the log.
fn converse(
    stream: &mut TcpStream,
    config: Config,
    visit: &mut Visit,
) -> Result<Ending, Box<dyn Error>> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut ws = Connection::server(config);
    let mut buf = [0; 16 * 1024];
    loop {
        let due = visit
            .push_line(&mut ws)?
            .min(ws.tick(visit.now()).unwrap_or(Duration::MAX));
        while !ws.output().is_empty() {
            let n = stream.write(ws.output())?;
            ws.sent(n);
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(ws.end_of_stream()),
        }
        let wait = due.saturating_sub(visit.now());
        let mut input = match read_within(stream, &mut buf, wait)? {
            Some(0) => return Ok(ws.end_of_stream()),
            Some(n) => &mut buf[..n],
            None => continue,
        };
        while let Some(event) = ws.receive(&mut input) {
            match event {
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
    match stream.read(buf) {
        Ok(n) => Ok(Some(n)),
        Err(error) => match error.kind() {
            // A timeout has the first name on Unix, the second on Windows.
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
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
