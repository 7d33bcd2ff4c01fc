//! A client on a standard socket: sends the lines that are typed, prints the messages that arrive.
//!
//! `cargo run --release --example client_std -- ws://127.0.0.1:8080/`

#[cfg(feature = "deflate")]
mod deflate_options;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fs, process, thread};

use clap::Parser;
use sockless::{
    ClientRequest, CloseCode, Config, Connection, Ending, Event, Input, Io, Next, Write,
};

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
            // 1011 is this end's own trouble.
            let done = ending.clean && ending.sent_code != Some(CloseCode::INTERNAL_ERROR);
            process::exit(if done { 0 } else { 1 });
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
    let stream =
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
    Ok(converse(&stream, ws, &mut user))
}

/// The protocol: everything else in this file is the arguments, the keyboard and the screen.
///
/// The socket never blocks, so that a long message can leave while its echo arrives.
fn converse(mut stream: &TcpStream, mut ws: Connection, user: &mut User) -> Ending {
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        let io = match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => {
                user.on_event(&mut ws, event);
                continue;
            }
            Next::Io(io) => io,
            Next::Over(ending) => return *ending,
        };
        if let Some(write) = io.write {
            ws.on_write(write, perform(write, stream, &ws));
        }
        match stream.read(input.space()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => user.act(&mut ws, io),
            done => ws.on_read(done, &mut input),
        }
    }
}

fn perform(write: Write, mut stream: &TcpStream, ws: &Connection) -> io::Result<usize> {
    match write {
        Write::Output => stream.write_vectored(&ws.output_slices()),
        Write::Flush => stream.flush().map(|()| 0),
        Write::Shutdown => stream.shutdown(Shutdown::Write).map(|()| 0),
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
    fn on_event(&mut self, ws: &mut Connection, event: Event<'_>) {
        if let Err(error) = self.show(ws, event) {
            note(format_args!("{error}"));
            ws.handler_failed();
        }
    }

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
                    ws.send_binary(data)?;
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

    /// Sends a line, if one is typed soon and the ones before it are on their way.
    fn act(&self, ws: &mut Connection, io: Io) {
        let Some(lines) = self.lines.as_ref().filter(|_| io.send) else {
            return thread::sleep(NAP);
        };
        let done = match lines.recv_timeout(NAP) {
            Ok(line) => ws.send_text(line),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => ws.close(CloseCode::NORMAL, ""),
        };
        if let Err(error) = done {
            note(format_args!("{error}"));
            ws.handler_failed();
        }
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
