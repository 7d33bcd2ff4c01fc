//! An echo server on blocking sockets, a thread for each connection, with a page to try it from.
//!
//! `cargo run --release --example echo_std`, then open the address that it prints.

#![expect(
    clippy::std_instead_of_core,
    reason = "a program with an operating system"
)]

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{process, thread};

use clap::Parser;
use sockless::{Config, Connection, Ending, Event, Request, Response};

const PAGE: &str = include_str!("echo_std/page.html");

/// The path on which a line is pushed every [`TICK`]; each other path is a pure echo.
const TICKER: &str = "/ticker";
const TICK: Duration = Duration::from_secs(2);

/// Threads are the scarce thing here, so nothing holds one for ever: neither a peer that sends no
/// request, nor one that stops reading, nor one that is gone without a word, nor too many at once.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
const LINGER_TIMEOUT: Duration = Duration::from_secs(3);
const LINGER_BYTES: usize = 32 << 20;
const MAX_CONNECTIONS: usize = 256;

/// Sends back every WebSocket message, and serves a page to try it from.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
}

fn main() {
    let Arguments { address } = Arguments::parse();
    if let Err(error) = listen(&address) {
        log(format_args!("{address}: {error}"));
        process::exit(1);
    }
}

fn listen(address: &str) -> io::Result<()> {
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
        let thread = thread::Builder::new().spawn(move || {
            serve(stream, peer);
            drop(place);
        });
        if let Err(error) = thread {
            log(format_args!("{peer}: no thread: {error}"));
        }
    }
}

/// One connection, from its first byte to its last.
fn serve(mut stream: TcpStream, peer: SocketAddr) {
    let mut visit = Visit::new(peer);
    match converse(&mut stream, &mut visit) {
        // A page was logged when it was served; a browser also opens connections only to be ready.
        Ok(ending) if visit.path.is_none() && ending.error.is_none() => {}
        Ok(ending) => visit.log(format_args!("{ending}")),
        Err(error) => visit.log(format_args!("broken off: {error}")),
    }
    linger(&mut stream);
}

/// The protocol: everything else in this file is the page, the arguments, the clock and the log.
fn converse(stream: &mut TcpStream, visit: &mut Visit) -> Result<Ending, Box<dyn Error>> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut ws = Connection::server(Config::default().serve_plain_http());
    let mut buf = [0; 16 * 1024];
    loop {
        while !ws.output().is_empty() {
            let n = ws.output().len();
            stream.write_all(ws.output())?;
            ws.sent(n);
        }
        if ws.is_closed() {
            return Ok(ws.end_of_stream());
        }
        let Some(n) = read_until(stream, &mut buf, visit.due)? else {
            visit.wake(&mut ws)?;
            continue;
        };
        if n == 0 {
            return Ok(ws.end_of_stream());
        }
        visit.heard = Instant::now();
        let mut input = &mut buf[..n];
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

/// Reads what there is, or nothing when it is `due` before there is something.
fn read_until(stream: &mut TcpStream, buf: &mut [u8], due: Instant) -> io::Result<Option<usize>> {
    loop {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(None);
        }
        stream.set_read_timeout(Some(wait))?;
        match stream.read(buf) {
            Ok(n) => return Ok(Some(n)),
            Err(error) => match error.kind() {
                // A timeout has the first name on Unix, the second on Windows.
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
    }
}

/// Ends the TCP connection after the last byte of ours has arrived (RFC 6455 §7.1.1).
///
/// To close a socket with unread input resets it, and a reset takes our Close with it if the peer has
/// not read that yet. So the peer is told that no more comes, and is read until it says the same.
fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let until = Instant::now() + LINGER_TIMEOUT;
    let (mut buf, mut left) = ([0; 16 * 1024], LINGER_BYTES);
    while let Ok(Some(n @ 1..)) = read_until(stream, &mut buf, until) {
        left = left.saturating_sub(n);
        if left == 0 {
            return;
        }
    }
}

/// What the server knows of a peer beside the protocol: who it is, what it asked for, what time it is.
struct Visit {
    peer: SocketAddr,
    /// The path of its WebSocket, once it has one.
    path: Option<String>,
    since: Instant,
    heard: Instant,
    /// When [`wake`](Self::wake) is due.
    due: Instant,
}

impl Visit {
    fn new(peer: SocketAddr) -> Self {
        let now = Instant::now();
        Self {
            peer,
            path: None,
            since: now,
            heard: now,
            due: now + HANDSHAKE_TIMEOUT,
        }
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
            self.due = Instant::now() + self.interval();
            self.log(format_args!("open"));
            return Ok(());
        }
        let response = match path {
            "/" => Response::new(200).with_html(PAGE),
            TICKER => Response::new(426).with_text("this is for a WebSocket\n"),
            _ => Response::new(404).with_text("nothing here; the page is at /\n"),
        };
        log(format_args!("{} {path:?} {}", self.peer, response.status()));
        Ok(ws.respond(response)?)
    }

    /// What is due at a certain time, whatever the peer does.
    fn wake(&mut self, ws: &mut Connection) -> Result<(), Box<dyn Error>> {
        if self.path.is_none() {
            return Err("no request in time".into());
        }
        let silence = self.heard.elapsed();
        if silence > SILENCE_TIMEOUT {
            return Err("no answer to a ping".into());
        }
        if silence > SILENCE_TIMEOUT / 2 {
            ws.send_ping(b"")?;
        }
        if self.ticks() {
            ws.send_text(&format!(
                "connected for {} s",
                self.since.elapsed().as_secs()
            ))?;
        }
        self.due = Instant::now() + self.interval();
        Ok(())
    }

    fn ticks(&self) -> bool {
        self.path.as_deref() == Some(TICKER)
    }

    fn interval(&self) -> Duration {
        if self.ticks() {
            TICK
        } else {
            SILENCE_TIMEOUT / 2
        }
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
