//! Anything, fed to a connection from its very first byte on.

use sockless::handshake::{HandshakeError, accept_key};
use sockless::{ClientRequest, Config, Connection, Error, Event, Response, Role, State};

use super::head;
use super::reference::{self, Limits, Seen};
use super::source::{Cuts, Source};
use super::watch::{Transcript, Watched, converse, entropy, measure, rewind_entropy};
use super::wire;

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

const FRAMES: Limits = Limits {
    frame: 1 << 16,
    message: 1 << 16,
    fragments: 1 << 10,
};

/// The limits of the handshake alone.
struct Small {
    head: usize,
    early: usize,
    body: usize,
}

impl Small {
    fn pick(source: &mut Source<'_>) -> (Self, Config) {
        let small = *source.pick(&[
            (16 << 10, 100, 64 << 10, 16 << 10, 8),
            (400, 8, 50, 30, 1),
            (64, 2, 0, 0, 0),
        ]);
        let (head, headers, early, body, interim) = small;
        let config = FRAMES
            .config()
            .max_head_size(head)
            .max_headers(headers)
            .max_early_data(early)
            .max_response_body(body)
            .max_interim_responses(interim);
        (Self { head, early, body }, config)
    }
}

/// How a server's caller answers a request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Accept,
    Refuse,
    Never,
}

impl Answer {
    fn give(self, ws: &mut Connection) {
        // Refused for a request that has failed meanwhile, or is not for a WebSocket.
        let _ = match self {
            Self::Accept => ws.accept(Response::default()),
            Self::Refuse => ws.respond(Response::new(403).with_text("no")),
            Self::Never => Ok(()),
        };
    }

    fn at_once(self) -> impl Fn(&mut Connection, &Event<'_>) {
        move |ws, event| {
            if matches!(event, Event::Request(_)) {
                self.give(ws);
            }
        }
    }
}

pub(crate) fn check_server(data: &[u8]) {
    let mut source = Source::new(data);
    let (small, mut config) = Small::pick(&mut source);
    let answer = *source.pick(&[Answer::Accept, Answer::Refuse, Answer::Never]);
    let choices = source.byte();
    if choices & 1 != 0 {
        config = config.serve_plain_http();
    }
    let wait = usize::from(choices >> 4);
    let cuts = Cuts::some(&mut source);
    let mut bytes = source.rest().to_vec();
    if choices & 2 != 0 {
        bytes.splice(..0, REQUEST.iter().copied());
    }
    if bytes.len() > 8 << 10 {
        return;
    }

    let make = || Connection::server(config.clone());
    let whole = converse(make(), &bytes, Cuts::Whole, answer.at_once());
    check_answered(&whole, &bytes);
    for cuts in cuts {
        if matches!(answer, Answer::Never) && bytes.len() > small.early {
            // The rest of a piece that has the end of the head is early data too.
            continue;
        }
        let cut = converse(make(), &bytes, cuts, answer.at_once());
        assert_eq!(cut, whole, "{cuts:?}");
        // What comes before the answer waits for it.
        let (late, early) = late(make(), &bytes, cuts, wait, answer);
        // Nothing that follows a plain request is kept, so there is never too much of it.
        let plain =
            matches!(&whole.events[..], [Event::Request(request), ..] if !request.is_upgrade());
        if early <= small.early || plain {
            assert_eq!(late, whole, "{cuts:?}, answered {wait} pieces later");
        } else {
            let too_much = Error::Handshake(HandshakeError::TooMuchEarlyData);
            assert_eq!(late.events[1..], [Event::Fail(too_much)]);
        }
    }

    let limit = 5 * small.head + 4 * small.early + 5 * bytes.len() + 4096;
    measure(make, &bytes, cuts[1], limit, answer.at_once());
    measure(make, &bytes, cuts[0], limit, |_, _| {});
}

/// Answers so many pieces after the request; and how much came between the two.
fn late(
    ws: Connection,
    bytes: &[u8],
    cuts: Cuts,
    mut wait: usize,
    answer: Answer,
) -> (Transcript, usize) {
    let mut watched = Watched::new(ws);
    let (mut fed, mut early, mut asked) = (0, 0, false);
    for piece in cuts.pieces(bytes) {
        fed += piece.len();
        let was_open = watched.ws.state() != State::Connecting;
        watched.feed(piece, |_, event| {
            asked |= matches!(event, Event::Request(_))
        });
        if asked && !was_open {
            early = fed - head_end(bytes);
            if wait == 0 {
                answer.give(&mut watched.ws);
            }
            wait = wait.saturating_sub(1);
        }
        watched.write(usize::MAX);
    }
    if asked {
        answer.give(&mut watched.ws);
    }
    watched.feed(b"", |_, _| {});
    watched.write(usize::MAX);
    (watched.finish(), early)
}

/// The end of a head that was found to be right.
fn head_end(bytes: &[u8]) -> usize {
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let mut fours = bytes[start..].windows(4);
    let end = fours.position(|four| four == b"\r\n\r\n");
    start + end.expect("a request has an end") + 4
}

/// What a server says must follow from what it saw.
fn check_answered(whole: &Transcript, bytes: &[u8]) {
    let answered = wire::answer(&whole.output);
    let Some(Event::Request(request)) = whole.events.first() else {
        assert!(whole.events.len() <= 1, "frames without a request");
        let fails = matches!(whole.events.first(), Some(Event::Fail(_)));
        assert_eq!(answered.is_some(), fails, "each failure has an answer");
        assert!(answered.is_none_or(|(status, _)| status >= 400));
        return;
    };
    let end = head_end(bytes);
    let head = bytes[..end].strip_prefix(b"\r\n");
    head::check_request_event(request, head.unwrap_or(&bytes[..end]));
    if let Some((101, frames)) = answered {
        assert!(request.is_upgrade());
        let expected = reference::read(Role::Server, FRAMES, &bytes[end..]);
        assert_eq!(Seen::all(&whole.events), expected.events);
        expected.check_answers(&frames, &whole.ending);
    }
}

pub(crate) fn check_client(data: &[u8]) {
    let mut source = Source::new(data);
    let (small, mut config) = Small::pick(&mut source);
    let choices = source.byte();
    if choices & 1 != 0 {
        config = config.require_subprotocol();
    }
    let cuts = Cuts::some(&mut source);
    let make = || client(&config, choices & 4 != 0);
    let mut bytes = source.rest().to_vec();
    let response = if choices & 2 == 0 {
        0
    } else {
        let response = response_to(make().output());
        bytes.splice(..0, response.bytes());
        response.len()
    };
    if bytes.len() > 8 << 10 {
        return;
    }

    let whole = converse(make(), &bytes, Cuts::Whole, |_, _| {});
    let (_, frames) = wire::head(&whole.output).expect("a request");
    let frames = wire::written(Role::Client, frames, true);
    match whole.events.first() {
        Some(Event::Open(opened)) => {
            assert_eq!(opened.status(), 101);
            if response > 0 {
                let expected = reference::read(Role::Client, FRAMES, &bytes[response..]);
                assert_eq!(Seen::all(&whole.events), expected.events);
                expected.check_answers(&frames, &whole.ending);
            }
        }
        Some(Event::Rejected(response)) => {
            assert!((200..=999).contains(&response.status()));
            assert!(response.body().len() <= small.body);
        }
        _ => {}
    }
    if !matches!(whole.events.first(), Some(Event::Open(_))) {
        assert!(whole.events.len() <= 1, "the last event is the first");
        assert_eq!(frames, [], "R043: nothing is sent");
    }
    for cuts in cuts {
        assert_eq!(converse(make(), &bytes, cuts, |_, _| {}), whole, "{cuts:?}");
    }

    let limit = 4 * small.head + 3 * small.body + 5 * bytes.len() + 4096;
    measure(make, &bytes, cuts[1], limit, |_, _| {});
}

/// A client that asks for `chat`, if for anything, always with the same key.
pub(crate) fn client(config: &Config, asks: bool) -> Connection {
    rewind_entropy();
    let mut request = ClientRequest::new("ws://example.com/chat").expect("a URI");
    if asks {
        request = request.with_subprotocol("chat").expect("a name");
    }
    Connection::client(request, config.clone().entropy(entropy)).expect("entropy")
}

/// The `Sec-WebSocket-Accept` that a request wants.
pub(crate) fn accept_for(request: &[u8]) -> String {
    let (lines, _) = wire::head(request).expect("a request");
    let key = lines
        .iter()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = accept_key(key.expect("a key").as_bytes());
    String::from_utf8(accept.to_vec()).expect("base64")
}

fn response_to(request: &[u8]) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_for(request)
    )
}
