//! [`WebSocket`]: the states and events that browsers have, on a socket that never blocks.

use std::io;
use std::time::Duration;

use sockless::{
    CloseCode, Connection, Ending, Event, Request, Response, SendError, State, Transport,
};

use crate::stream::Stream;
use crate::transcript::Transcript;

/// After so many reads the keyboard has its turn.
const READS_IN_A_TURN: usize = 16;

pub(crate) struct WebSocket {
    stream: Stream,
    ws: Connection,
    buf: Box<[u8]>,
    transcript: Option<Transcript>,
    /// As a server: those that can be agreed on.
    subprotocols: Vec<String>,
}

/// What browsers call events, and what they keep to themselves.
pub(crate) enum SocketEvent<'e> {
    /// As a server: what the client asks for; the connection is open.
    Request(&'e Request),
    /// As a client: the connection is open.
    Open(&'e Response),
    Text(&'e str),
    Binary(&'e [u8]),
    Ping(&'e [u8]),
    Pong(&'e [u8]),
    /// As a client: the server answered otherwise. An error and a close follow.
    Rejected(&'e Response),
    /// What went wrong. A close follows.
    Error(String),
    /// The last one.
    Close {
        code: u16,
        reason: &'e str,
        was_clean: bool,
    },
}

/// What becomes of the connection after its turn.
pub(crate) enum Turn {
    /// It waits for its socket, until then at the latest.
    Wait(Option<Duration>),
    /// There is more to read.
    Again,
    Over(Ending),
}

/// Who is told of events. An error is the listener's own, and ends the program.
pub(crate) trait Listener {
    fn on_event(&mut self, event: SocketEvent<'_>) -> io::Result<()>;
}

impl WebSocket {
    pub(crate) fn new(stream: Stream, ws: Connection) -> Self {
        Self {
            stream,
            ws,
            buf: vec![0; 64 * 1024].into_boxed_slice(),
            transcript: None,
            subprotocols: Vec::new(),
        }
    }

    /// Prints what passes, in both directions.
    pub(crate) fn with_transcript(mut self) -> Self {
        self.transcript = Some(Transcript::new(self.ws.role()));
        self
    }

    pub(crate) fn with_subprotocols(mut self, names: &[String]) -> Self {
        self.subprotocols = names.to_vec();
        self
    }

    pub(crate) fn ready_state(&self) -> State {
        self.ws.state()
    }

    pub(crate) fn buffered_amount(&self) -> usize {
        self.ws.buffered_amount()
    }

    /// The compression that was agreed on, as in `Sec-WebSocket-Extensions`; or nothing.
    pub(crate) fn extensions(&self) -> String {
        let agreed = self.ws.deflate().map(|agreed| agreed.to_string());
        agreed.unwrap_or_default()
    }

    pub(crate) fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.ws.send_text(text)
    }

    pub(crate) fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        self.ws.send_binary(data)
    }

    pub(crate) fn send_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.ws.send_ping(payload)
    }

    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.ws.close(code, reason)
    }

    pub(crate) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// The protocol: everything else in this program is the arguments, the transport and the screen.
    pub(crate) fn turn(&mut self, now: Duration, to: &mut dyn Listener) -> io::Result<Turn> {
        for _ in 0..READS_IN_A_TURN {
            let due = self.ws.tick(now);
            while let Some(n) = self.stream.write(self.ws.output()) {
                self.note_sent(n);
                self.ws.sent(n);
            }
            match self.ws.transport() {
                Transport::Keep => {}
                Transport::ShutWrite => self.stream.shut_write(),
                Transport::Drop => return self.over(to, Ok(())),
            }
            let n = match self.stream.read(&mut self.buf) {
                Ok(Some(0)) => return self.over(to, Ok(())),
                Ok(Some(n)) => n,
                Ok(None) => return Ok(Turn::Wait(due)),
                Err(error) => return self.over(to, Err(error)),
            };
            self.note_received(n);
            let mut input = &mut self.buf[..n];
            while let Some(event) = self.ws.receive(&mut input) {
                if let Event::Request(request) = &event {
                    let response = choose(request, &self.subprotocols);
                    self.ws.accept(response).map_err(io::Error::other)?;
                }
                report(event, to)?;
            }
        }
        Ok(Turn::Again)
    }

    fn note_sent(&mut self, n: usize) {
        if let Some(transcript) = &mut self.transcript {
            transcript.sent(&self.ws.output()[..n]);
        }
    }

    fn note_received(&mut self, n: usize) {
        if let Some(transcript) = &mut self.transcript {
            transcript.received(&self.buf[..n]);
        }
    }

    /// The transport has ended, or broke.
    fn over(&mut self, to: &mut dyn Listener, how: io::Result<()>) -> io::Result<Turn> {
        let ending = if how.is_ok() && !self.stream.is_broken() {
            self.ws.end_of_stream()
        } else {
            self.ws.transport_reset()
        };
        if let Some(response) = &ending.response {
            to.on_event(SocketEvent::Rejected(response))?;
        }
        if !ending.clean {
            to.on_event(SocketEvent::Error(match how {
                Err(error) if ending.error.is_none() => error.to_string(),
                _ => ending.to_string(),
            }))?;
        }
        to.on_event(SocketEvent::Close {
            code: ending.code,
            reason: &ending.reason,
            was_clean: ending.clean,
        })?;
        Ok(Turn::Over(ending))
    }
}

fn report(event: Event<'_>, to: &mut dyn Listener) -> io::Result<()> {
    match event {
        Event::Request(request) => to.on_event(SocketEvent::Request(&request)),
        Event::Open(response) => to.on_event(SocketEvent::Open(&response)),
        Event::Rejected(response) => to.on_event(SocketEvent::Rejected(&response)),
        Event::Text(text) => to.on_event(SocketEvent::Text(&text)),
        Event::Binary(data) => to.on_event(SocketEvent::Binary(&data)),
        Event::Ping(payload) => to.on_event(SocketEvent::Ping(&payload)),
        Event::Pong(payload) => to.on_event(SocketEvent::Pong(&payload)),
        _ => Ok(()), // the ending tells of the others
    }
}

/// The first of the client's subprotocols that is ours too.
fn choose(request: &Request, ours: &[String]) -> Response {
    let common = request
        .subprotocols()
        .find(|offered| ours.iter().any(|name| name == offered));
    match common {
        Some(name) => Response::default().with_subprotocol(name),
        None => Response::default(),
    }
}
