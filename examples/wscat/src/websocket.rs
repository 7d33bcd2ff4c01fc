//! [`WebSocket`]: the states and events that browsers have, on a socket that never blocks.

use std::io::{self, ErrorKind};
use std::time::Duration;

use sockless::{
    CloseCode, Connection, Ending, Event, Input, Io, Next, Request, Response, SendError, State,
    Write,
};

use crate::stream::Stream;
use crate::transcript::Transcript;

/// After so many events, reads and writes the keyboard has its turn.
const STEPS_IN_A_TURN: usize = 64;

pub(crate) struct WebSocket {
    stream: Stream,
    ws: Connection,
    input: Input,
    /// What reading or writing has failed with, for the user to see.
    failure: Option<String>,
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
    /// There is more to do.
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
            input: Input::new(64 * 1024),
            failure: None,
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
        for _ in 0..STEPS_IN_A_TURN {
            match self.ws.poll(&mut self.input, now) {
                Next::Event(event) => {
                    answer(&mut self.ws, &event, &self.subprotocols);
                    report(event, to)?;
                }
                Next::Io(io) => {
                    if !(self.try_write(io) || self.try_read(io)) {
                        return Ok(Turn::Wait(io.until));
                    }
                }
                Next::Over(ending) => {
                    self.report_ending(&ending, to)?;
                    return Ok(Turn::Over(*ending));
                }
            }
        }
        Ok(Turn::Again)
    }

    /// Whether the write side has done something, or failed.
    fn try_write(&mut self, io: Io) -> bool {
        let Some(write) = io.write else { return false };
        let done = match write {
            Write::Output => self.stream.write(self.ws.output()),
            Write::Flush => self.stream.flush().map(|()| 0),
            Write::Shutdown => self.stream.shut_write().map(|()| 0),
        };
        match &done {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => self.note_failure(error),
            Ok(n) => {
                if let Some(transcript) = &mut self.transcript {
                    transcript.sent(&self.ws.output()[..*n]);
                }
            }
        }
        self.ws.on_write(write, done);
        true
    }

    /// Whether the read side has delivered something, its end, or a failure.
    fn try_read(&mut self, io: Io) -> bool {
        if !io.read {
            return false;
        }
        let done = self.stream.read(self.input.space());
        match &done {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) => self.note_failure(error),
            Ok(n) => {
                if let Some(transcript) = &mut self.transcript {
                    transcript.received(&self.input.space()[..*n]);
                }
            }
        }
        self.ws.on_read(done, &mut self.input);
        true
    }

    fn note_failure(&mut self, error: &io::Error) {
        // Neither is one: a call to repeat, and an end without a farewell of TLS. Whether that is missing
        // anything, a WebSocket's Close tells.
        if !matches!(
            error.kind(),
            ErrorKind::Interrupted | ErrorKind::UnexpectedEof
        ) {
            self.failure = Some(error.to_string());
        }
    }

    fn report_ending(&self, ending: &Ending, to: &mut dyn Listener) -> io::Result<()> {
        if let Some(response) = &ending.response {
            to.on_event(SocketEvent::Rejected(response))?;
        }
        if !ending.clean {
            to.on_event(SocketEvent::Error(match &self.failure {
                Some(error) if ending.reset && ending.error.is_none() => error.clone(),
                _ => ending.to_string(),
            }))?;
        }
        to.on_event(SocketEvent::Close {
            code: ending.code,
            reason: &ending.reason,
            was_clean: ending.clean,
        })
    }
}

/// Agrees to a request; to everything else the connection has the answer.
fn answer(ws: &mut Connection, event: &Event<'_>, subprotocols: &[String]) {
    if let Event::Request(request) = event {
        if ws.accept(choose(request, subprotocols)).is_err() {
            ws.handler_failed();
        }
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
    Response::default().with_subprotocol(request, |offered| ours.iter().any(|name| name == offered))
}
