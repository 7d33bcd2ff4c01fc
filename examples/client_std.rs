//! A client on a standard socket: sends the lines that are typed, prints the messages that arrive.
//!
//! `cargo run --release --example client_std -- ws://127.0.0.1:8080/`

#[cfg(feature = "deflate")]
mod deflate_options;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use clap::Parser;
use sockless::{ClientRequest, CloseCode, Config, Connection, Ending, Event, State, Transport};

/// How long the server may take to be connected to, and to answer a request or a Close.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may happen before the socket is looked at again.
const NAP: Duration = Duration::from_millis(5);

/// Sends each line of its input as a WebSocket message and prints the messages that arrive.
///
/// The end of input (Ctrl-D) closes the connection. The exit status is 0 if it ended cleanly.
#[derive(Parser)]
struct Arguments {
    /// ws://host[:port][/path][?query]
    url: String,
    /// Offer a subprotocol; may be repeated, the preferred one first
    #[arg(long, value_name = "NAME")]
    subprotocol: Vec<String>,
    /// Send a ping with this payload before the input
    #[arg(long, value_name = "TEXT")]
    ping: Option<String>,
    /// Send this file as one binary message before the input
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    #[cfg(feature = "deflate")]
    #[command(flatten)]
    deflate: deflate_options::DeflateOptions,
}

fn main() {
    // Exits rather than returns: a thread may still wait for a line.
    match run(Arguments::parse()) {
        Ok(ending) => {
            note(format_args!("{ending}"));
            process::exit(if ending.clean { 0 } else { 1 });
        }
        Err(error) => {
            note(format_args!("{error}"));
            process::exit(1);
        }
    }
}

fn run(arguments: Arguments) -> Result<Ending, Box<dyn Error>> {
    let mut request = ClientRequest::new(&arguments.url)?;
    for name in &arguments.subprotocol {
        request = request.with_subprotocol(name)?;
    }
    if request.is_secure() {
        return Err("wss:// needs TLS, which this example does not have".into());
    }
    let binary = match &arguments.binary {
        Some(path) => Some(fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => None,
    };
    let mut stream =
        connect(request.host(), request.port()).map_err(|e| format!("{}: {e}", arguments.url))?;
    let config = Config::default()
        .handshake_timeout(ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT);
    #[cfg(feature = "deflate")]
    let config = arguments.deflate.add_to(config);
    let ws = Connection::client(request, config)?;
    let mut user = User {
        ping: arguments.ping,
        binary,
        lines: None,
    };
    converse(&mut stream, ws, &mut user)
}

/// The protocol: everything else in this file is the arguments, the keyboard and the screen.
///
/// The socket never blocks, so that a long message can leave while its echo arrives.
fn converse(
    stream: &mut TcpStream,
    mut ws: Connection,
    user: &mut User,
) -> Result<Ending, Box<dyn Error>> {
    let start = Instant::now();
    let mut buf = [0; 16 * 1024];
    let mut is_broken = false;
    loop {
        ws.tick(start.elapsed());
        if !ws.output().is_empty() && !is_broken {
            match if_ready(stream.write(ws.output())) {
                Ok(n) => ws.sent(n.unwrap_or(0)),
                Err(_) => is_broken = true, // what the server sent before is still to be read
            }
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(ws.end_of_stream()),
        }
        let n = match if_ready(stream.read(&mut buf)) {
            Ok(Some(0)) if !is_broken => return Ok(ws.end_of_stream()),
            Ok(Some(0)) | Err(_) => return Ok(ws.transport_reset()),
            Ok(n) => n.unwrap_or(0),
        };
        let mut input = &mut buf[..n];
        while let Some(event) = ws.receive(&mut input) {
            user.show(&mut ws, event)?;
        }
        user.act(&mut ws, if n == 0 { NAP } else { Duration::ZERO })?;
    }
}

/// What a call on the socket did, or `None` if it would have to wait.
fn if_ready(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(n) => Ok(Some(n)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The other end of the conversation: what is typed, and what is printed.
struct User {
    ping: Option<String>,
    binary: Option<Vec<u8>>,
    /// The lines of the input, from the moment that the connection is open to the end of the input.
    lines: Option<Receiver<String>>,
}

impl User {
    fn show(&mut self, ws: &mut Connection, event: Event<'_>) -> Result<(), Box<dyn Error>> {
        match event {
            Event::Open(response) => {
                match response.subprotocol() {
                    Some(name) => note(format_args!("open, subprotocol {name:?}")),
                    None => note(format_args!("open")),
                }
                if let Some(payload) = self.ping.take() {
                    ws.send_ping(payload.as_bytes())?;
                }
                if let Some(data) = self.binary.take() {
                    ws.send_binary(&data)?;
                }
                self.lines = Some(read_lines()?);
            }
            Event::Text(text) => print(&text)?,
            Event::Binary(data) => {
                let (start, more) = (
                    &data[..data.len().min(16)],
                    if data.len() > 16 { "…" } else { "" },
                );
                note(format_args!(
                    "binary, {} bytes: {start:02x?}{more}",
                    data.len()
                ));
            }
            Event::Ping(data) => note(format_args!("ping \"{}\"", data.escape_ascii())),
            Event::Pong(data) => note(format_args!("pong \"{}\"", data.escape_ascii())),
            _ => {} // what else there is, the ending tells
        }
        Ok(())
    }

    /// Sends a line, if one is typed within `wait` and the ones before it are on their way.
    fn act(&self, ws: &mut Connection, wait: Duration) -> Result<(), Box<dyn Error>> {
        let idle = ws.state() == State::Open && ws.output().is_empty();
        let Some(lines) = self.lines.as_ref().filter(|_| idle) else {
            thread::sleep(wait);
            return Ok(());
        };
        match lines.recv_timeout(wait) {
            Ok(line) => ws.send_text(&line)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                ws.close(CloseCode::NORMAL, "")?;
            }
        }
        Ok(())
    }
}

/// The lines of standard input, read by a thread of their own because nothing else can wait for them
/// and for a socket; the channel holds a few, and ends with the input.
fn read_lines() -> io::Result<Receiver<String>> {
    let (sender, lines) = mpsc::sync_channel(64);
    thread::Builder::new().spawn(move || {
        for line in io::stdin().lines() {
            match line {
                Ok(line) => {
                    if sender.send(line).is_err() {
                        return; // the connection is over
                    }
                }
                Err(error) => return note(format_args!("standard input: {error}")),
            }
        }
    })?;
    Ok(lines)
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A message as one line on standard output; its control characters are escaped, so that a server
/// cannot forge a second line or drive the terminal.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for part in text.split_inclusive(|c: char| c.is_control() && c != '\t') {
        let plain = part.trim_end_matches(|c: char| c.is_control() && c != '\t');
        write!(out, "{plain}{}", part[plain.len()..].escape_default())?;
    }
    writeln!(out)
}

/// A line beside the messages; unlike `eprintln!`, does not panic when nobody takes it.
fn note(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
