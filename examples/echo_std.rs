//! An echo server on blocking sockets, a thread for each connection, with a page to try it from.
//!
//! `cargo run --release --example echo_std`, then open the address that it prints.

#[cfg(feature = "deflate")]
mod deflate_options;
mod memory;

use std::error::Error;
use std::io::{self, Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{process, thread};

use clap::Parser;
use memory::{Budget, NO_ROOM, Share, turn_away};
use sockless::{Config, Connection, Ending, Event, Input, Io, Next, Request, Response, Write};

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
        .close_timeout(ANSWER_TIMEOUT)
        .back_pressure();
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
fn serve(stream: TcpStream, peer: SocketAddr, config: Config, share: Share) {
    let mut visit = Visit::new(stream, peer);
    match converse(&mut visit, config, share) {
        // A page was logged when it was served; a browser also opens connections only to be ready.
        Ok(ending) if !ending.opened && ending.error.is_none() => {}
        Ok(ending) => visit.log(format_args!("{ending}")),
        Err(error) => visit.log(format_args!("broken off: {error}")),
    }
}

/// The protocol: everything else in this file is the page, the arguments, the ticker and the log.
fn converse(visit: &mut Visit, config: Config, mut share: Share) -> io::Result<Ending> {
    let (mut ws, mut input) = (Connection::server(config), Input::new(READ_SIZE));
    visit.stream.set_nodelay(true)?;
    loop {
        match ws.poll(&mut input, visit.now()) {
            Next::Event(event) => visit.on_event(&mut ws, event),
            Next::Io(_) if !share.has_room_for(&ws) => return visit.turn_away(ws, share),
            Next::Io(io) if visit.is_line_due(io) => visit.push_line(&mut ws),
            Next::Io(io) => match io.write {
                Some(write) => ws.on_write(write, visit.write(write, &ws, io)),
                None => ws.on_read(visit.read(input.space(), io), &mut input),
            },
            Next::Over(ending) => return Ok(*ending),
        }
    }
}

/// What the server knows of a peer beside the protocol: where it is, and what it asked for.
struct Visit {
    stream: TcpStream,
    peer: SocketAddr,
    /// The path of its WebSocket, once it has one.
    path: Option<String>,
    since: Instant,
    /// When the next line of the ticker is due.
    line_due: Option<Duration>,
}

impl Visit {
    fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self {
            stream,
            peer,
            path: None,
            since: Instant::now(),
            line_due: None,
        }
    }

    /// The time, as the connection is told it.
    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// Reads what there is, for as long as nothing else is due.
    fn read(&self, space: &mut [u8], io: Io) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.wait(io)))?;
        (&self.stream).read(space)
    }

    /// Does what is to be done with the write side, for as long as nothing else is due.
    fn write(&self, write: Write, ws: &Connection, io: Io) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.wait(io)))?;
        match write {
            Write::Output => (&self.stream).write_vectored(&ws.output_slices()),
            Write::Flush => (&self.stream).flush().map(|()| 0),
            Write::Shutdown => self.stream.shutdown(Shutdown::Write).map(|()| 0),
        }
    }

    /// Until the connection's next deadline, or the ticker's next line.
    fn wait(&self, mut io: Io) -> Duration {
        let line_due = self.line_due.filter(|_| io.send);
        io.until = io.until.into_iter().chain(line_due).min();
        io.wait(self.now())
    }

    /// There is no room for what the connection holds: says so, and reads on for a while.
    fn turn_away(&self, ws: Connection, share: Share) -> io::Result<Ending> {
        let (start, last) = (Instant::now(), turn_away(ws, share));
        if !last.is_empty() {
            self.stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
            (&self.stream).write_all(&last)?;
            self.stream.shutdown(Shutdown::Write)?;
            let mut buf = [0; READ_SIZE];
            while let Some(wait) = ANSWER_TIMEOUT.checked_sub(start.elapsed()) {
                let wait = wait.max(Duration::from_millis(1));
                self.stream.set_read_timeout(Some(wait))?;
                if (&self.stream).read(&mut buf)? == 0 {
                    break;
                }
            }
        }
        Err(io::Error::other(NO_ROOM))
    }

    fn on_event(&mut self, ws: &mut Connection, event: Event<'_>) {
        let done = match event {
            Event::Request(request) => self.answer(ws, &request),
            Event::Text(text) => ws.send_text(text).map_err(Into::into),
            Event::Binary(data) => ws.send_binary(data).map_err(Into::into),
            _ => Ok(()), // pings, closes and violations are already answered
        };
        if let Err(error) = done {
            self.log(format_args!("{error}"));
            ws.handler_failed();
        }
    }

    fn answer(&mut self, ws: &mut Connection, request: &Request) -> Result<(), Box<dyn Error>> {
        let path = request.path();
        if request.is_upgrade() {
            // An echo has no secrets and does nothing on anybody's behalf, so every origin may come,
            // and every subprotocol is as good as another.
            ws.accept(Response::default().with_subprotocol(request, |_| true))?;
            self.path = Some(path.to_owned());
            if path == TICKER {
                self.line_due = Some(self.now() + TICK);
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

    fn is_line_due(&self, io: Io) -> bool {
        io.send && self.line_due.is_some_and(|due| due <= self.now())
    }

    /// Sends a line of the ticker.
    fn push_line(&mut self, ws: &mut Connection) {
        self.line_due = Some(self.now() + TICK);
        let line = format!("connected for {} s", self.now().as_secs());
        if ws.send_text(line).is_err() {
            ws.handler_failed();
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
