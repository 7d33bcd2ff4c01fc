use crate::data::{Kind, Role};
#[cfg(feature = "ours-deflate")]
use crate::peer::DeflateMode;
use crate::peer::{Peer, Profile};
use crate::wire::Io;
use bytes::Bytes;
use sockless::{ClientRequest, Config, Connection, Event, Prepared, Response};
use std::cell::RefCell;
use std::io::IoSlice;

const READ: usize = 16 * 1024;

thread_local! {
    /// One read buffer serves all connections of a thread: a connection holds one only while there is
    /// input in it that the caller has not asked for yet.
    static BUFFERS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// As a user would: the loop of the crate's documentation, on shared buffers of 16 KiB.
pub struct Sockless {
    ws: Connection,
    io: Io,
    buf: Box<[u8]>,
    at: usize,
    end: usize,
}

impl Sockless {
    fn new(ws: Connection, io: Io) -> Self {
        Self { ws, io, buf: Box::default(), at: 0, end: 0 }
    }
    #[inline(never)]
    fn read(&mut self) {
        if self.buf.is_empty() {
            self.buf = BUFFERS.with_borrow_mut(|pool| pool.pop()).unwrap_or_else(|| vec![0; READ].into());
        }
        self.end = self.io.0.read(&mut self.buf);
        self.at = 0;
    }
    #[inline(never)]
    fn give_back(&mut self) {
        (self.at, self.end) = (0, 0);
        BUFFERS.with_borrow_mut(|pool| pool.push(std::mem::take(&mut self.buf)));
    }
    #[inline]
    fn write(&mut self) {
        while !self.ws.output().is_empty() {
            let n = self.ws.output().len();
            self.io.0.write(self.ws.output());
            self.ws.sent(n);
        }
    }
    /// Shows the next data message to `f`, which may answer it.
    #[inline]
    fn next(&mut self, mut f: impl FnMut(&mut Connection, Kind, &[u8])) {
        loop {
            let mut input = &mut self.buf[self.at..self.end];
            let before = input.len();
            let event = self.ws.receive(&mut input);
            self.at += before - input.len();
            match event {
                Some(Event::Text(text)) => f(&mut self.ws, Kind::Text, text.as_bytes()),
                Some(Event::Binary(data)) => f(&mut self.ws, Kind::Binary, &data),
                Some(Event::Ping(_)) => {
                    self.write();
                    continue;
                }
                Some(Event::Pong(_)) => continue,
                Some(event) => panic!("{event:?}"),
                None => {
                    self.read();
                    continue;
                }
            }
            if self.at == self.end {
                self.give_back();
            }
            return;
        }
    }
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

fn config() -> Config {
    Config::default().max_frame_size(64 << 20).max_message_size(64 << 20)
}

impl Peer for Sockless {
    const NAME: &'static str = "sockless";
    const NOTE: &'static str = "the default loop; keys from the operating system";
    fn open(role: Role, io: Io, _: Profile) -> Option<Self> {
        let role = match role {
            Role::Server => sockless::Role::Server,
            Role::Client => sockless::Role::Client,
        };
        Some(Self::new(Connection::upgraded(role, config()), io))
    }
    #[inline]
    fn recv(&mut self, f: &mut impl FnMut(Kind, &[u8])) {
        self.next(|_, kind, data| f(kind, data))
    }
    #[inline]
    fn send(&mut self, kind: Kind, data: &Bytes) {
        send(&mut self.ws, kind, data);
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
    #[inline]
    fn echo(&mut self) {
        self.next(send);
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
        Some(Self::new(ws, io))
    }
    fn accept(io: Io) -> bool {
        let mut peer = Self::new(Connection::server(Config::default()), io);
        let mut buf = [0; 4096];
        loop {
            let n = peer.io.0.read(&mut buf);
            let mut input = &mut buf[..n];
            if let Some(event) = peer.ws.receive(&mut input) {
                assert!(matches!(event, Event::Request(_)));
                peer.ws.accept(Response::default()).unwrap();
                peer.write();
                return true;
            }
        }
    }
    fn connect(io: Io) -> bool {
        let request = ClientRequest::new("ws://example.com/chat").unwrap();
        let mut peer = Self::new(Connection::client(request, Config::default()).unwrap(), io);
        peer.write();
        let mut buf = [0; 4096];
        loop {
            let n = peer.io.0.read(&mut buf);
            let mut input = &mut buf[..n];
            if let Some(event) = peer.ws.receive(&mut input) {
                assert!(matches!(event, Event::Open(_)));
                return true;
            }
        }
    }
}

/// The same, with payloads sent by reference and one vectored write.
pub struct ByReference(Sockless);

impl ByReference {
    #[inline]
    fn write(&mut self) {
        let Sockless { ws, io, .. } = &mut self.0;
        let mut slices = [IoSlice::new(&[]); 16];
        while ws.buffered_amount() > 0 {
            let mut count = 0;
            for (slot, run) in slices.iter_mut().zip(ws.outputs()) {
                *slot = IoSlice::new(run);
                count += 1;
            }
            let n = io.0.writev(&slices[..count]);
            slices = [IoSlice::new(&[]); 16];
            ws.sent(n);
        }
    }
}

impl Peer for ByReference {
    const NAME: &'static str = "sockless, by reference";
    const NOTE: &'static str = "`send_prepared` of the payload at hand, vectored writes";
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
        self.write();
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
        self.write()
    }
    #[inline]
    fn echo(&mut self) {
        self.0.echo()
    }
}
