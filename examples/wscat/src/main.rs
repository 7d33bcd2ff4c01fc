//! The client for the toolbox: talks to any WebSocket server, from a terminal or a script.
//!
//! `cargo run --release -p wscat -- ws://127.0.0.1:8080/`

mod arguments;
mod keyboard;
mod screen;
mod session;
mod stream;
mod tls;
mod transcript;
mod websocket;

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use std::{fs, process};

use clap::Parser;
use mio::{Events, Interest, Poll, Token, Waker};
use sockless::{Connection, Ending};

use arguments::Arguments;
use keyboard::Keyboard;
use screen::{Screen, escape, note};
use session::Session;
use stream::Stream;
use websocket::{Turn, WebSocket};

const SOCKET: Token = Token(0);
const KEYBOARD: Token = Token(1);

/// Why there was nothing to converse with, and the exit status that says so.
struct Failure(u8, Box<dyn Error>);

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(1, error.into())
    }
}

fn main() {
    let arguments = Arguments::parse();
    // Exits rather than returns: a thread may still wait for a line.
    let status = Program::new(&arguments).and_then(|mut program| program.run());
    process::exit(i32::from(status.unwrap_or_else(
        |Failure(status, error)| {
            note(format_args!("wscat: {}", escape(&error.to_string())));
            status
        },
    )));
}

struct Program<'a> {
    arguments: &'a Arguments,
    /// What is sent first, over each connection.
    files: Vec<Vec<u8>>,
    screen: Screen,
    keyboard: Keyboard,
    poll: Poll,
}

impl<'a> Program<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for path in &arguments.binary_in {
            files.push(fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), KEYBOARD)?;
        Ok(Self {
            arguments,
            files,
            screen: Screen {
                json: arguments.json,
                binary_out: arguments.binary_out.clone(),
                next_file: 0,
            },
            keyboard: Keyboard::new(waker)?,
            poll,
        })
    }

    fn run(&mut self) -> Result<u8, Failure> {
        match (&self.arguments.url, self.arguments.listen) {
            (Some(url), _) => self.connect(url),
            (None, Some(address)) => self.listen(address),
            (None, None) => Err(Failure(2, "nobody to talk to".into())),
        }
    }

    fn connect(&mut self, url: &str) -> Result<u8, Failure> {
        let request = self
            .arguments
            .request(url)
            .map_err(|error| Failure(2, error))?;
        let tls = match request.is_secure() {
            true => Some(tls::client(request.host(), &self.arguments.trust())?),
            false => None,
        };
        let to = (request.host(), request.port());
        let stream = Stream::connect(to, tls, self.arguments.timeout())
            .map_err(|error| Failure(3, format!("{url}: {error}").into()))?;
        let ws = Connection::client(request, self.arguments.config())?;
        Ok(self.converse(WebSocket::new(stream, ws))?)
    }

    /// One client after the other, until the first one, the input or Ctrl-C ends it.
    fn listen(&mut self, address: SocketAddr) -> Result<u8, Failure> {
        let listener = TcpListener::bind(address)
            .map_err(|error| Failure(3, format!("{address}: {error}").into()))?;
        self.screen.show_address(listener.local_addr()?)?;
        loop {
            let stream = match listener.accept() {
                Ok((stream, _)) => Stream::accepted(stream)?,
                Err(error) => {
                    note(format_args!("accept: {error}"));
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            let ws = Connection::server(self.arguments.config());
            let names = &self.arguments.subprotocol;
            let status = self.converse(WebSocket::new(stream, ws).with_subprotocols(names))?;
            let over = self.keyboard.is_ended() || self.keyboard.is_interrupted();
            if self.arguments.once || over {
                return Ok(status);
            }
        }
    }

    /// One connection, from its first byte to its last; its exit status.
    fn converse(&mut self, mut socket: WebSocket) -> io::Result<u8> {
        if self.arguments.verbose {
            socket = socket.with_transcript();
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        let tcp = socket.stream().tcp();
        self.poll.registry().register(tcp, SOCKET, both)?;
        self.keyboard.set_connected(true);
        let mut session = Session::new(self.arguments, &mut self.screen, &self.files);
        let ending = wait_and_talk(
            &mut self.poll,
            &mut socket,
            &mut session,
            &mut self.keyboard,
        )?;
        self.keyboard.set_connected(false);
        self.poll.registry().deregister(socket.stream().tcp())?;
        Ok(session.status(&ending))
    }
}

/// Waits for the socket, the keyboard and the time, and gives each of them its turn.
fn wait_and_talk(
    poll: &mut Poll,
    socket: &mut WebSocket,
    session: &mut Session<'_>,
    keyboard: &mut Keyboard,
) -> io::Result<Ending> {
    let start = Instant::now();
    let mut events = Events::with_capacity(16);
    loop {
        let due = match socket.turn(start.elapsed(), session)? {
            Turn::Over(ending) => return Ok(ending),
            Turn::Wait(due) => due,
            Turn::Again => Some(Duration::ZERO),
        };
        let pending = socket.buffered_amount();
        let wanted = session.act(socket, keyboard, start.elapsed())?;
        if socket.buffered_amount() > pending {
            continue;
        }
        let due = due.into_iter().chain(wanted).min();
        let timeout = due.map(|due| due.saturating_sub(start.elapsed()));
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
}
