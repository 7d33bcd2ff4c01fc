//! What the tests of the opening handshake share: heads to edit, and conversations under every
//! split of the input.
#![allow(dead_code, reason = "each test file uses its part")]

use core::time::Duration;

use sockless::handshake::HandshakeError;
use sockless::{
    ClientRequest, Config, Connection, Ending, EntropyError, Error, Event, Input, Next, Response,
    State,
};

/// The key of a client with [`fixed_entropy`], and the answer to it.
pub(crate) const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEA==";
pub(crate) const ACCEPT: &str = "C/0nmHhBztSRGR1CwL6Tf4ZjwpY=";

/// A head to be edited: a first line and header fields.
#[derive(Clone)]
pub(crate) struct Head {
    first: String,
    fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// A request that a server agrees to.
    pub(crate) fn request() -> Self {
        Self {
            first: "GET /chat?room=1 HTTP/1.1".into(),
            fields: Vec::new(),
        }
        .add("Host", "example.com")
        .add("Upgrade", "websocket")
        .add("Connection", "Upgrade")
        .add("Sec-WebSocket-Key", KEY)
        .add("Sec-WebSocket-Version", "13")
    }

    /// A response that a client with [`fixed_entropy`] agrees to.
    pub(crate) fn response() -> Self {
        Self {
            first: "HTTP/1.1 101 Switching Protocols".into(),
            fields: Vec::new(),
        }
        .add("Upgrade", "websocket")
        .add("Connection", "Upgrade")
        .add("Sec-WebSocket-Accept", ACCEPT)
    }

    /// A response without header fields.
    pub(crate) fn status(first: &str) -> Self {
        Self {
            first: first.into(),
            fields: Vec::new(),
        }
    }

    pub(crate) fn first(mut self, line: &str) -> Self {
        self.first = line.into();
        self
    }

    pub(crate) fn add(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.into(), value.as_ref().into()));
        self
    }

    pub(crate) fn remove(mut self, name: &str) -> Self {
        self.fields
            .retain(|field| !field.0.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn set(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.remove(name).add(name, value)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.first).into_bytes();
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }
}

/// What came of a handshake.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) output: Vec<u8>,
    pub(crate) state: State,
    pub(crate) ending: Ending,
}

impl Outcome {
    pub(crate) fn error(&self) -> Option<HandshakeError> {
        match self.events.last() {
            Some(Event::Fail(Error::Handshake(error))) => Some(*error),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.output).unwrap()
    }
}

/// Feeds a server, which does with each request what `answer` says, with `bytes` under every split.
pub(crate) fn serve(config: &Config, bytes: &[u8], answer: fn(&mut Connection)) -> Outcome {
    under_every_split(bytes, || Connection::server(config.clone()), answer)
}

/// Feeds a server that accepts.
pub(crate) fn accepting(bytes: &[u8]) -> Outcome {
    serve(&Config::default(), bytes, |ws| {
        ws.accept(Response::default()).unwrap()
    })
}

/// Feeds a client with the response `bytes` under every split. The output is what follows the
/// request.
pub(crate) fn ask(config: &Config, request: &ClientRequest, bytes: &[u8]) -> Outcome {
    let config = config.clone().entropy(fixed_entropy);
    let connect = || {
        let mut ws = Connection::client(request.clone(), config.clone()).unwrap();
        ws.sent(ws.output().len());
        ws
    };
    under_every_split(bytes, connect, |_| {})
}

/// Feeds a client of `ws://example.com/`.
pub(crate) fn asking(bytes: &[u8]) -> Outcome {
    ask(
        &Config::default(),
        &ClientRequest::new("ws://example.com/").unwrap(),
        bytes,
    )
}

/// The request that a client writes.
pub(crate) fn written(request: &ClientRequest) -> String {
    let config = Config::default().entropy(fixed_entropy);
    let ws = Connection::client(request.clone(), config).unwrap();
    String::from_utf8(ws.output().to_vec()).unwrap()
}

pub(crate) fn fixed_entropy(buffer: &mut [u8]) -> Result<(), EntropyError> {
    for (byte, number) in buffer.iter_mut().zip((1..=u8::MAX).cycle()) {
        *byte = number;
    }
    Ok(())
}

fn under_every_split(
    bytes: &[u8],
    connect: impl Fn() -> Connection,
    answer: fn(&mut Connection),
) -> Outcome {
    let whole = run(connect(), [bytes].into_iter(), answer);
    assert_eq!(
        run(connect(), bytes.chunks(1), answer),
        whole,
        "byte by byte"
    );
    // Long heads are for their limits, and cut at a few places only.
    for cut in (0..bytes.len()).step_by(bytes.len() / 1024 + 1) {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(
            run(connect(), [front, back].into_iter(), answer),
            whole,
            "cut at {cut}"
        );
    }
    whole
}

fn run<'a>(
    mut ws: Connection,
    pieces: impl Iterator<Item = &'a [u8]>,
    answer: fn(&mut Connection),
) -> Outcome {
    let (mut events, mut output) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut input = Input::shared(0);
        input.extend_from_slice(piece);
        while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
            let event = event.into_owned();
            if matches!(event, Event::Request(_)) {
                answer(&mut ws);
            }
            events.push(event);
        }
        assert!(input.unread().is_empty(), "input left");
        output.extend_from_slice(ws.output());
        ws.sent(ws.output().len());
    }
    Outcome {
        events,
        output,
        state: ws.state(),
        ending: ws.end_of_stream(),
    }
}
