//! Ours, tungstenite and tokio-websockets, on the same traffic: the same messages, and the same end.
//!
//! Where they differ, ours has to be what RFC 6455 says. These are all of the differences.
//!
//! Of tungstenite:
//!
//! * §5.2, "the minimal number of bytes MUST be used to encode the length": it takes longer forms. So
//!   such frames are not generated.
//! * §7.4.2, "Status codes in the range 1000-2999 are reserved for definition by this protocol, its
//!   future revisions, and extensions specified in a permanent and readily available public
//!   specification": it takes 1014 for a code of none, and the registry that §11.7 founds has it, "The
//!   server was acting as a gateway or proxy and received an invalid response from the upstream server."
//! * §7.4.2, codes that are "not used": both fail the connection, but it reports that as a Close of its
//!   own wording.
//! * §8.1, "that endpoint MUST _Fail the WebSocket Connection_": both do, tungstenite once the message
//!   is complete. So what follows the first bad byte is only looked at if the message is complete.
//!
//! Of tokio-websockets:
//!
//! * §8.1 again: it does not look at a text that an empty fragment ends in the middle of a character, and
//!   hands it over. That counts as if it had failed there.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use sockless::{Config, Event, Role};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_websockets::{ClientBuilder, Limits, ServerBuilder};
use tungstenite::protocol::{self, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use crate::checks::source::{Cuts, Source};
use crate::checks::{watch, wire};

/// As both see it.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The connection failed; the two name the reasons in different ways.
    Fail,
}

const LARGEST: usize = 2000;

pub(crate) fn check(data: &[u8]) {
    let mut source = Source::new(data);
    let role = if source.flag() {
        Role::Server
    } else {
        Role::Client
    };
    let cuts = Cuts::some(&mut source)[2];
    let mut bytes = Vec::new();
    for _ in 0..60 {
        if source.is_empty() {
            break;
        }
        frame(role.peer(), &mut source, &mut bytes);
    }
    let ours = ours(role, &bytes, cuts);
    compare_to_tungstenite(&ours, &tungstenite(role, &bytes, cuts), role, &bytes);
    assert_same(&ours, &tokio_websockets(role, &bytes, cuts));
}

fn compare_to_tungstenite(ours: &[Seen], theirs: &[Seen], role: Role, bytes: &[u8]) {
    let early = matches!(ours.last(), Some(Seen::Fail)) && ours.len() == theirs.len() + 1;
    match (ours, theirs) {
        ([ours @ .., Seen::Close(Some(1014), _)], [theirs @ .., Seen::Fail]) => {
            assert_same(ours, theirs);
        }
        _ if early && is_in_bad_text(role, bytes) => assert_same(&ours[..theirs.len()], theirs),
        _ => assert_same(ours, theirs),
    }
}

#[track_caller]
fn assert_same(ours: &[Seen], theirs: &[Seen]) {
    let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let rest = (&ours[same..], &theirs[same..]);
    assert!(ours == theirs, "ours and theirs: {rest:?}");
}

/// Appends a frame, most often one that is right.
fn frame(from: Role, source: &mut Source<'_>, out: &mut Vec<u8>) {
    let first = match source.byte() {
        byte @ 250.. => source.byte() | byte & 0x80,
        byte => *[0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x81, 0x80]
            .get(usize::from(byte % 10))
            .expect("ten"),
    };
    let first = if source.byte() > 240 { 0x88 } else { first };
    let payload: Vec<u8> = match source.byte() {
        len @ ..100 => source.take(usize::from(len % 20)).to_vec(),
        byte @ 100..200 => "aé€😀".bytes().cycle().take(usize::from(byte)).collect(),
        byte @ 200..240 => vec![b'x'; usize::from(byte - 150)],
        byte => vec![b'y'; usize::from(byte) * 10],
    };
    let masked_right = source.byte() < 250;
    let from = if masked_right { from } else { from.peer() };
    out.extend(wire::frame(from, first, &payload));
}

/// Whether the bytes end in a message of text that is wrong already, before it is complete.
fn is_in_bad_text(role: Role, bytes: &[u8]) -> bool {
    let limits = crate::checks::reference::Limits {
        frame: LARGEST,
        message: LARGEST,
        fragments: u32::MAX,
    };
    let expected = crate::checks::reference::read(role, limits, bytes);
    let invalid = crate::checks::reference::Seen::Fail(sockless::Error::InvalidUtf8);
    expected.events.last() == Some(&invalid)
}

fn ours(role: Role, bytes: &[u8], cuts: Cuts) -> Vec<Seen> {
    let config = Config::default()
        .max_frame_size(LARGEST)
        .max_message_size(LARGEST);
    let done = watch::converse(watch::open(role, config), bytes, cuts, |_, _| {});
    let events = done.events.into_iter().map(|event| match event {
        Event::Text(text) => Seen::Text(text.into_owned()),
        Event::Binary(data) => Seen::Binary(data.into_owned()),
        Event::Ping(data) => Seen::Ping(data.into_owned()),
        Event::Pong(data) => Seen::Pong(data.into_owned()),
        Event::Close(close) => Seen::Close(close.code.map(u16::from), close.reason.into()),
        Event::Fail(_) => Seen::Fail,
        event => panic!("{event:?}"),
    });
    events.collect()
}

fn tungstenite(role: Role, bytes: &[u8], cuts: Cuts) -> Vec<Seen> {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    let config = WebSocketConfig::default()
        .max_frame_size(Some(LARGEST))
        .max_message_size(Some(LARGEST));
    let stream = Pieces(cuts.pieces(bytes).collect());
    let mut ws = WebSocket::from_raw_socket(stream, role, Some(config));
    let mut seen = Vec::new();
    loop {
        let message = match ws.read() {
            Ok(message) => message,
            Err(tungstenite::Error::Io(_)) => return seen,
            Err(_) => {
                seen.push(Seen::Fail);
                return seen;
            }
        };
        seen.push(match message {
            Message::Text(text) => Seen::Text(text.to_string()),
            Message::Binary(data) => Seen::Binary(data.to_vec()),
            Message::Ping(data) => Seen::Ping(data.to_vec()),
            Message::Pong(data) => Seen::Pong(data.to_vec()),
            Message::Close(close) => {
                let close = close.map(|close| (u16::from(close.code), close.reason.to_string()));
                seen.push(match close.unzip() {
                    (Some(1002), Some(own)) if own == "Protocol violation" => Seen::Fail,
                    (code, reason) => Seen::Close(code, reason.unwrap_or_default()),
                });
                return seen;
            }
            Message::Frame(_) => unreachable!("only for writing"),
        });
    }
}

fn tokio_websockets(role: Role, bytes: &[u8], cuts: Cuts) -> Vec<Seen> {
    let stream = Pieces(cuts.pieces(bytes).collect());
    let limits = Limits::default().max_payload_len(Some(LARGEST));
    let mut ws = match role {
        Role::Client => ClientBuilder::new().limits(limits).take_over(stream),
        Role::Server => ServerBuilder::new().limits(limits).serve(stream),
    };
    let mut seen = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(next)) = Pin::new(&mut ws).poll_next(&mut context) {
        let Ok(message) = next else {
            seen.push(Seen::Fail);
            break;
        };
        let data = message.as_payload().to_vec();
        seen.push(if message.is_text() {
            String::from_utf8(data).map_or(Seen::Fail, Seen::Text)
        } else if message.is_binary() {
            Seen::Binary(data)
        } else if message.is_ping() {
            Seen::Ping(data)
        } else if message.is_pong() {
            Seen::Pong(data)
        } else {
            let (code, reason) = message.as_close().expect("no other type");
            let code = (!data.is_empty()).then(|| code.into());
            Seen::Close(code, reason.into())
        });
        if let Some(Seen::Fail | Seen::Close(..)) = seen.last() {
            break;
        }
    }
    seen
}

/// A transport that has these to read, and takes what is written.
struct Pieces<'b>(std::collections::VecDeque<&'b [u8]>);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let (now, later) = piece.split_at(piece.len().min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        if !later.is_empty() {
            self.0.push_front(later);
        }
        Ok(now.len())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.read(buffer.initialize_unfilled()) {
            Ok(n) => {
                buffer.advance(n);
                Poll::Ready(Ok(()))
            }
            Err(_) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Pieces<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::{fs, panic};

    fn seeds() -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/differential");
        let paths = fs::read_dir(folder).expect("the seeds");
        let read = |path: fs::DirEntry| fs::read(path.path()).expect("a seed");
        paths.map(|path| read(path.expect("a seed"))).collect()
    }

    /// The seeds, and each with some bytes changed: mostly right, long, and wrong somewhere.
    #[test]
    fn t54_same_as_others() {
        let seeds = seeds();
        assert!(seeds.len() > 50);
        let mut state = 1_u32;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as usize % below
        };
        for (i, seed) in seeds.iter().enumerate() {
            super::check(seed);
            for _ in 0..100 {
                let other = &seeds[random(seeds.len())];
                let mut data = [&seed[..], other].concat();
                for _ in 0..random(6) {
                    let at = random(data.len());
                    data[at] = random(256) as u8;
                }
                let result = panic::catch_unwind(|| super::check(&data));
                assert!(result.is_ok(), "seed {i}: {data:?}");
            }
        }
    }
}
