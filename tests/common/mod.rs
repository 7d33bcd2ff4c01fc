//! What the tests of the protocol share: frames as bytes, conversations under every split of the
//! input, and an independent reading of what the connection writes.
#![allow(dead_code, reason = "each test file uses its part")]

use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;

use sockless::{
    Close, CloseCode, Config, Connection, Ending, EntropyError, Error, Event, Input, Next, Role,
};

#[path = "../drive/mod.rs"]
mod drive;

#[allow(unused_imports, reason = "each test file uses its part")]
pub(crate) use drive::*;

pub(crate) const ROLES: [Role; 2] = [Role::Client, Role::Server];

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const RSV2: u8 = 0x20;
pub(crate) const RSV3: u8 = 0x10;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The other end.
pub(crate) fn peer(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// A frame as `from` writes it: masked by a client, with its length in the shortest form.
pub(crate) fn frame(from: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(from, first, payload.len() as u64);
    match from {
        Role::Client => bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k)),
        Role::Server => bytes.extend(payload),
    }
    bytes
}

/// The header of [`frame`] for a payload of `len` bytes, key included.
pub(crate) fn header(from: Role, first: u8, len: u64) -> Vec<u8> {
    let mask = if from == Role::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(mask | low_byte(len)),
        126..=65535 => {
            bytes.push(mask | 126);
            bytes.extend(&len.to_be_bytes()[6..]);
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    if from == Role::Client {
        bytes.extend(KEY);
    }
    bytes
}

/// A client's frame with this key.
pub(crate) fn masked(first: u8, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(Role::Client, first, payload.len() as u64);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    bytes
}

/// `n` modulo 256.
pub(crate) fn low_byte(n: u64) -> u8 {
    n.to_be_bytes()[7]
}

/// The body of a Close frame.
pub(crate) fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

pub(crate) fn text(text: &str) -> Event<'static> {
    Event::Text(text.to_owned().into())
}

pub(crate) fn binary(data: &[u8]) -> Event<'static> {
    Event::Binary(data.to_vec().into())
}

pub(crate) fn ping(payload: &[u8]) -> Event<'static> {
    Event::Ping(payload.to_vec().into())
}

pub(crate) fn pong(payload: &[u8]) -> Event<'static> {
    Event::Pong(payload.to_vec().into())
}

/// A Close with `code`, or the one with an empty body.
pub(crate) fn closed(code: impl Into<Option<u16>>, reason: &str) -> Event<'static> {
    let mut close = Close::default();
    close.code = code
        .into()
        .map(|code| CloseCode::new(code).expect("may be sent"));
    close.reason = reason.into();
    Event::Close(close)
}

/// What came of feeding a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Event<'static>>,
    /// All that it wrote, as frames.
    pub(crate) written: Vec<Frame>,
    /// What its transport's end amounts to, everything written.
    pub(crate) ending: Ending,
}

/// A frame that a connection wrote, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn wrote(first: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame {
        first,
        payload: payload.as_ref().to_vec(),
    }
}

/// An open connection in `role`, with keys that tests can tell apart.
pub(crate) fn open(role: Role, config: Config) -> Connection {
    Connection::upgraded(role, config.entropy(entropy))
}

/// Not random, so that two runs can be compared; never the same byte four times.
pub(crate) fn entropy(buffer: &mut [u8]) -> Result<(), EntropyError> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    for byte in buffer {
        *byte = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Feeds one piece, of which nothing stays behind; returns the events.
pub(crate) fn feed(ws: &mut Connection, piece: &[u8]) -> Vec<Event<'static>> {
    let mut input = Input::shared(piece.len());
    let events = feed_into(ws, &mut input, piece);
    assert!(input.unread().is_empty(), "a shared input keeps nothing");
    events
}

/// As [`feed`], at that time.
pub(crate) fn feed_at(ws: &mut Connection, now: Duration, piece: &[u8]) -> Vec<Event<'static>> {
    feed_into_at(ws, &mut Input::shared(piece.len()), now, piece)
}

/// Feeds one piece by way of `input`; returns the events.
pub(crate) fn feed_into(
    ws: &mut Connection,
    input: &mut Input,
    piece: &[u8],
) -> Vec<Event<'static>> {
    feed_into_at(ws, input, Duration::ZERO, piece)
}

fn feed_into_at(
    ws: &mut Connection,
    input: &mut Input,
    now: Duration,
    piece: &[u8],
) -> Vec<Event<'static>> {
    input.extend_from_slice(piece);
    let mut events = Vec::new();
    while let Next::Event(event) = ws.poll(input, now) {
        events.push(event.into_owned());
        assert!(
            events.len() <= piece.len() + 2,
            "an event for each byte at most"
        );
    }
    events
}

/// Writes all output, and returns it.
pub(crate) fn drain(ws: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !ws.output().is_empty() {
        let n = ws.output().len();
        bytes.extend(ws.output());
        ws.sent(n);
    }
    assert_eq!(ws.buffered_amount(), 0);
    bytes
}

/// Reads what `from` wrote, by the letter of §5.2 and with none of the crate's code.
pub(crate) fn parse(from: Role, mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (first, second) = (bytes[0], bytes[1]);
        assert_eq!(
            second & 0x80 != 0,
            from == Role::Client,
            "clients mask, servers do not"
        );
        let (len, mut at) = match second & 0x7f {
            126 => (
                u64::from(u16::from_be_bytes(bytes[2..4].try_into().unwrap())),
                4,
            ),
            127 => (u64::from_be_bytes(bytes[2..10].try_into().unwrap()), 10),
            len => (u64::from(len), 2),
        };
        assert!(at != 4 || len > 125, "shortest form");
        assert!(at != 10 || (len > 65535 && len >> 63 == 0), "shortest form");
        let mut key = [0; 4];
        if from == Role::Client {
            key.copy_from_slice(&bytes[at..at + 4]);
            assert_ne!(key, [0; 4]);
            at += 4;
        }
        let end = at + usize::try_from(len).unwrap();
        let payload = bytes[at..end]
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ key[i % 4])
            .collect();
        frames.push(Frame { first, payload });
        bytes = &bytes[end..];
    }
    frames
}

/// Runs a conversation: the peer of `role` sends `wire`, cut before each of the offsets `cuts`.
pub(crate) fn run(role: Role, config: Config, wire: &[u8], cuts: &[usize]) -> Transcript {
    run_on(open(role, config), Input::shared(0), wire, cuts)
}

fn run_on(mut ws: Connection, mut input: Input, wire: &[u8], cuts: &[usize]) -> Transcript {
    let role = ws.role();
    let (mut events, mut written) = (Vec::new(), Vec::new());
    let mut start = 0;
    for end in cuts.iter().copied().chain([wire.len()]) {
        events.extend(feed_into(&mut ws, &mut input, &wire[start..end]));
        written.extend(drain(&mut ws));
        start = end;
    }
    Transcript {
        events,
        written: parse(role, &written),
        ending: ws.end_of_stream(),
    }
}

/// Runs a conversation whole, byte by byte and cut in two at every place (or, if it is long, at the
/// ends and every so often), with an input that keeps what was cut and with one that does not: all must
/// come to the same.
pub(crate) fn converse(role: Role, config: Config, wire: &[u8]) -> Transcript {
    converse_on(|| open(role, config.clone()), wire)
}

/// [`converse`] with connections that `open` makes.
pub(crate) fn converse_on(open: impl Fn() -> Connection, wire: &[u8]) -> Transcript {
    let whole = run_on(open(), Input::shared(0), wire, &[]);
    let bytewise: Vec<usize> = (1..wire.len()).collect();
    let step = 1 + wire.len() / 512;
    let inputs = [
        || Input::shared(0),
        || Input::new(0),
        || Input::new(1 << 12),
    ];
    for input in inputs {
        assert_eq!(
            run_on(open(), input(), wire, &bytewise),
            whole,
            "byte by byte, {:?}",
            input()
        );
    }
    for cut in (0..=wire.len()).filter(|i| i % step == 0 || *i < 64 || i + 64 > wire.len()) {
        // Not all at each place, so that long conversations do not take three times as long.
        let input = inputs[cut % 3];
        assert_eq!(
            run_on(open(), input(), wire, &[cut]),
            whole,
            "cut at {cut}, {:?}",
            input()
        );
    }
    whole
}

/// Asserts that the peer's `wire` comes to `before` and then to the failure `error`, under every
/// split: one Close with its code and a fixed reason behind the frames `wrote_before`, and an ending
/// that is not clean.
pub(crate) fn fails_after(
    role: Role,
    config: Config,
    wire: &[u8],
    before: &[Event<'static>],
    wrote_before: &[Frame],
    error: Error,
) {
    let transcript = converse(role, config, wire);
    assert_failed(&transcript, before, wrote_before, error);
}

/// [`fails_after`] for a first frame that is wrong.
pub(crate) fn fails(role: Role, config: Config, wire: &[u8], error: Error) {
    fails_after(role, config, wire, &[], &[], error);
}

/// What [`fails_after`] asserts.
pub(crate) fn assert_failed(
    transcript: &Transcript,
    before: &[Event<'static>],
    wrote_before: &[Frame],
    error: Error,
) {
    let (last, events) = transcript.events.split_last().expect("a failure");
    assert_eq!(*last, Event::Fail(error));
    assert_eq!(events, before);
    let (close, frames) = transcript.written.split_last().expect("a Close");
    assert_eq!(frames, wrote_before);
    assert_is_failing_close(close, error);
    let ending = &transcript.ending;
    assert_eq!(ending.error, Some(error));
    assert_eq!(ending.sent_code, error.close_code());
    assert_eq!(
        (ending.code, &*ending.reason, ending.clean),
        (1006, "", false)
    );
}

/// A Close with the code of `error`, and a reason that is a fixed text for its kind.
pub(crate) fn assert_is_failing_close(close: &Frame, error: Error) {
    assert_eq!(close.first, FIN | CLOSE);
    let (code, reason) = close.payload.split_at(2);
    let expected = error.close_code().expect("after the handshake").get();
    assert_eq!(code, expected.to_be_bytes(), "{error:?}");
    let reason = core::str::from_utf8(reason).expect("UTF-8");
    assert!(!reason.is_empty() && reason.len() <= 123);
    // Nothing of it depends on what the peer sent: it is what all errors of the kind start with.
    assert!(error.to_string().starts_with(reason), "{reason:?}");
}

/// How many bytes of `wire` it takes until the failure is reported, and the failure.
pub(crate) fn failed_at(role: Role, config: Config, wire: &[u8]) -> Option<(usize, Error)> {
    let mut ws = open(role, config);
    for (at, byte) in wire.iter().enumerate() {
        for event in feed(&mut ws, &[*byte]) {
            if let Event::Fail(error) = event {
                return Some((at + 1, error));
            }
        }
    }
    None
}

/// An open connection, and the peer that it talks to.
pub(crate) struct Talk {
    pub(crate) ws: Connection,
    pub(crate) role: Role,
}

impl Talk {
    pub(crate) fn new(role: Role) -> Self {
        Self::with(role, Config::default())
    }

    pub(crate) fn with(role: Role, config: Config) -> Self {
        Self {
            ws: open(role, config),
            role,
        }
    }

    /// The peer sends a frame; returns the events.
    pub(crate) fn peer(&mut self, first: u8, payload: impl AsRef<[u8]>) -> Vec<Event<'static>> {
        let bytes = frame(peer(self.role), first, payload.as_ref());
        feed(&mut self.ws, &bytes)
    }

    /// All that is written, as frames.
    pub(crate) fn written(&mut self) -> Vec<Frame> {
        let bytes = drain(&mut self.ws);
        parse(self.role, &bytes)
    }
}

/// A small generator for choices that need no shrinking (xorshift64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}
