use crate::data::{Kind, Role};
#[cfg(feature = "ours-deflate")]
use crate::peer::DeflateMode;
use crate::peer::{Peer, Profile};
use crate::wire::Io;
use bytes::Bytes;
use sockless::{ClientRequest, Config, Connection, Event, Input, Next, Prepared, Response, Write};
use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

/// As much as the wire hands out at once (`--chunks 64k`).
fn read_size() -> usize {
    std::env::var("PEER_READ").ok().and_then(|v| v.parse().ok()).unwrap_or(64 * 1024)
}

thread_local! {
    /// The shared inputs of a thread: a connection holds one only while there is input in it that the caller
    /// has not asked for yet.
    static INPUTS: RefCell<Vec<Input>> = const { RefCell::new(Vec::new()) };
}

/// As a user would: the loop of the crate's documentation, with an input of its own.
///
/// What is counted: `poll` until it asks for I/O; the copy out of the wire into [`Input::space`], which is
/// what the `Read` of every other contestant does; and one vectored write, which copies into the wire, for
/// all that is queued. Large messages are gathered in the memory of the one before, which the program gives
/// back ([`Input::reuse`]), as other crates recycle theirs. What is not counted: reading a clock; there are no deadlines.
pub struct Sockless {
    ws: Connection,
    io: Io,
    input: Input,
}

impl Sockless {
    fn new(ws: Connection, io: Io, input: Input) -> Self {
        Self { ws, io, input }
    }
    #[inline]
    fn write(&mut self) {
        write(&mut self.ws, self.io)
    }
    /// Shows the next data message to `f`, which may answer it, and returns memory that it has no more use for.
    #[inline]
    fn next(&mut self, f: impl FnMut(&mut Connection, Event<'_>) -> Vec<u8>) {
        next(&mut self.ws, self.io, &mut self.input, f)
    }
}

/// Writes all that is queued.
#[inline]
fn write(ws: &mut Connection, mut io: Io) {
    while !ws.output().is_empty() {
        let done = std::io::Write::write_vectored(&mut io, &ws.output_slices());
        ws.on_write(Write::Output, done);
    }
}

#[inline]
fn next(ws: &mut Connection, mut io: Io, input: &mut Input, mut f: impl FnMut(&mut Connection, Event<'_>) -> Vec<u8>) {
    loop {
        match ws.poll(input, Duration::ZERO) {
            Next::Event(event @ (Event::Text(_) | Event::Binary(_))) => {
                let memory = f(ws, event);
                if memory.capacity() > 0 {
                    input.reuse(memory);
                }
                return;
            }
            // A pong, if that was a ping, is written before the next message is taken: as the other adapters do
            // it.
            Next::Event(Event::Ping(_) | Event::Pong(_)) => write(ws, io),
            Next::Io(_) => {
                let done = std::io::Read::read(&mut io, input.space());
                ws.on_read(done, input);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[inline]
fn show(event: Event<'_>, f: &mut impl FnMut(Kind, &[u8])) -> Vec<u8> {
    match event {
        Event::Text(text) => {
            f(Kind::Text, text.as_bytes());
            match text {
                Cow::Owned(text) => text.into_bytes(),
                Cow::Borrowed(_) => Vec::new(),
            }
        }
        Event::Binary(data) => {
            f(Kind::Binary, &data);
            match data {
                Cow::Owned(data) => data,
                Cow::Borrowed(_) => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// As the documentation does it: what the event owns is given away.
#[inline]
fn answer(ws: &mut Connection, event: Event<'_>) -> Vec<u8> {
    match event {
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()),
    }
    .unwrap();
    Vec::new()
}

#[inline]
fn send(ws: &mut Connection, kind: Kind, data: &[u8]) {
    match kind {
        // What `send_text` takes is known to be text; here it comes as bytes.
        Kind::Text => ws.send_text(unsafe { std::str::from_utf8_unchecked(data) }),
        Kind::Binary => ws.send_binary(data),
    }
    .unwrap()
}

#[inline]
fn give(ws: &mut Connection, kind: Kind, data: Vec<u8>) {
    match kind {
        Kind::Text => ws.send_text(unsafe { String::from_utf8_unchecked(data) }),
        Kind::Binary => ws.send_binary(data),
    }
    .unwrap()
}

fn config() -> Config {
    Config::default().max_frame_size(64 << 20).max_message_size(64 << 20)
}

fn upgraded(role: Role) -> Connection {
    let role = match role {
        Role::Server => sockless::Role::Server,
        Role::Client => sockless::Role::Client,
    };
    Connection::upgraded(role, config())
}

macro_rules! sending {
    () => {
        #[inline]
        fn send(&mut self, kind: Kind, data: &Bytes) {
            send(&mut self.ws, kind, data);
            self.write();
        }
        #[inline]
        fn send_vec(&mut self, kind: Kind, data: Vec<u8>) {
            give(&mut self.ws, kind, data);
            self.write();
        }
        #[inline]
        fn send_lent(&mut self, kind: Kind, data: Vec<u8>) {
            send(&mut self.ws, kind, &data);
            self.write();
        }
        #[inline]
        fn feed(&mut self, kind: Kind, data: &Bytes) {
            send(&mut self.ws, kind, data)
        }
        #[inline]
        fn flush(&mut self) {
            self.write()
        }
    };
}

impl Peer for Sockless {
    const NAME: &'static str = "sockless";
    const NOTE: &'static str = "the default loop, an `Input` of 64 KiB for each connection; keys from the operating system";
    fn open(role: Role, io: Io, profile: Profile) -> Option<Self> {
        let input = match profile {
            Profile::Fast => Input::new(read_size()),
            Profile::Default | Profile::Lean => Input::default(),
        };
        Some(Self::new(upgraded(role), io, input))
    }
    #[inline]
    fn recv(&mut self, f: &mut impl FnMut(Kind, &[u8])) {
        self.next(|_, event| show(event, f))
    }
    sending!();
    #[inline]
    fn echo(&mut self) {
        self.next(answer);
        self.write();
    }
    #[cfg(feature = "ours-deflate")]
    fn open_deflate(io: Io, mode: DeflateMode) -> Option<Self> {
        use sockless::{DeflateConfig, handshake::extensions};
        thread_local! {
            static CONFIGS: [DeflateConfig; 3] = [
                DeflateConfig::new(),
                DeflateConfig::new().server_context_takeover().client_context_takeover(),
                DeflateConfig::new().level(1),
            ];
        }
        let deflate = CONFIGS.with(|[default, takeover, fast]| match mode {
            DeflateMode::NoTakeover => default.clone(),
            DeflateMode::Takeover => takeover.clone(),
            DeflateMode::Lean => fast.clone(),
        });
        let agreed = deflate.choose(extensions(b"permessage-deflate").flatten()).unwrap();
        let ws = Connection::upgraded_with(sockless::Role::Server, Some(agreed), config().deflate(deflate));
        Some(Self::new(ws, io, Input::new(read_size())))
    }
    fn accept(io: Io) -> bool {
        let mut peer = Self::new(Connection::server(Config::default()), io, Input::new(4096));
        loop {
            match peer.ws.poll(&mut peer.input, Duration::ZERO) {
                Next::Event(Event::Request(_)) => {
                    peer.ws.accept(Response::default()).unwrap();
                    peer.write();
                    return true;
                }
                Next::Io(_) => {
                    let done = std::io::Read::read(&mut peer.io, peer.input.space());
                    peer.ws.on_read(done, &mut peer.input);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    fn connect(io: Io) -> bool {
        let request = ClientRequest::new("ws://example.com/chat").unwrap();
        let mut peer = Self::new(Connection::client(request, Config::default()).unwrap(), io, Input::new(4096));
        peer.write();
        loop {
            match peer.ws.poll(&mut peer.input, Duration::ZERO) {
                Next::Event(Event::Open(_)) => return true,
                Next::Io(_) => {
                    let done = std::io::Read::read(&mut peer.io, peer.input.space());
                    peer.ws.on_read(done, &mut peer.input);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The same with inputs that all connections of a thread share.
pub struct Shared {
    ws: Connection,
    io: Io,
    /// While there is something unread in it.
    input: Option<Input>,
}

impl Shared {
    #[inline]
    fn write(&mut self) {
        write(&mut self.ws, self.io)
    }
    #[inline]
    fn next(&mut self, f: impl FnMut(&mut Connection, Event<'_>) -> Vec<u8>) {
        let input = self.input.get_or_insert_with(|| {
            let free = INPUTS.with_borrow_mut(Vec::pop);
            free.unwrap_or_else(|| Input::shared(read_size()))
        });
        next(&mut self.ws, self.io, input, f);
        if input.unread().is_empty() {
            INPUTS.with_borrow_mut(|free| free.extend(self.input.take()));
        }
    }
}

impl Peer for Shared {
    const NAME: &'static str = "sockless-shared";
    const NOTE: &'static str = "the default loop, `Input::shared` of 64 KiB for all connections";
    fn open(role: Role, io: Io, _: Profile) -> Option<Self> {
        Some(Self { ws: upgraded(role), io, input: None })
    }
    #[inline]
    fn recv(&mut self, f: &mut impl FnMut(Kind, &[u8])) {
        self.next(|_, event| show(event, f))
    }
    sending!();
    #[inline]
    fn echo(&mut self) {
        self.next(answer);
        self.write();
    }
}

/// The same, with payloads sent by reference.
pub struct ByReference(Sockless);

impl Peer for ByReference {
    const NAME: &'static str = "sockless, by reference";
    const NOTE: &'static str = "`send_prepared` of the payload at hand";
    fn open(role: Role, io: Io, profile: Profile) -> Option<Self> {
        Sockless::open(role, io, profile).map(Self)
    }
    #[inline]
    fn recv(&mut self, f: &mut impl FnMut(Kind, &[u8])) {
        self.0.recv(f)
    }
    #[inline]
    fn send(&mut self, kind: Kind, data: &Bytes) {
        self.feed(kind, data);
        self.0.write();
    }
    #[inline]
    fn feed(&mut self, kind: Kind, data: &Bytes) {
        struct Text(Bytes);
        impl AsRef<str> for Text {
            fn as_ref(&self) -> &str {
                unsafe { std::str::from_utf8_unchecked(&self.0) }
            }
        }
        let message = match kind {
            Kind::Text => Prepared::text(Text(data.clone())),
            Kind::Binary => Prepared::binary(data.clone()),
        };
        self.0.ws.send_prepared(&message).unwrap()
    }
    #[inline]
    fn flush(&mut self) {
        self.0.write()
    }
    #[inline]
    fn echo(&mut self) {
        self.0.echo()
    }
}
