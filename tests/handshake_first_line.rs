//! First lines that are none, RFC 9112 §3 and §4: refused at the byte that decides it. Rows R400 and R401.

mod drive;
mod handshake_support;

use drive::*;
use handshake_support::{Head, Outcome, accepting, asking, fixed_entropy};
use sockless::handshake::HandshakeError::{self, *};
use sockless::{ClientRequest, Config, Connection, Error, Event, State};

/// How many bytes pass before one decides, and what it comes to.
fn decided(mut ws: Connection, bytes: &[u8]) -> Option<(usize, HandshakeError)> {
    for (at, byte) in bytes.iter().enumerate() {
        match ws.receive(&mut &mut [*byte][..]) {
            Some(Event::Fail(Error::Handshake(error))) => return Some((at, error)),
            None => {}
            other => panic!("{other:?}"),
        }
    }
    None
}

fn client() -> Connection {
    let request = ClientRequest::new("ws://h").unwrap();
    let mut ws = Connection::client(request, Config::default().entropy(fixed_entropy)).unwrap();
    ws.sent(ws.output().len());
    ws
}

/// The same for every cut, and nothing behind the byte that decides matters.
fn told(outcome: &Outcome, at: (usize, HandshakeError), text: &str) {
    let (_, error) = at;
    assert_eq!(
        outcome.events,
        [Event::Fail(Error::Handshake(error))],
        "{text}"
    );
    assert_eq!(outcome.state, State::Closed, "{text}");
}

/// T73: none of these ever sends an empty line, and most wait for an answer.
#[test]
fn r400_r401_t73_other_protocols_at_a_server() {
    let cases: [(&str, &[u8], usize, HandshakeError); 19] = [
        (
            "TLS 1.2",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            0,
            UnexpectedTls,
        ),
        (
            "a TLS alert",
            b"\x15\x03\x03\x00\x02\x02\x28",
            0,
            UnexpectedTls,
        ),
        ("SSL 2", b"\x80\x2e\x01\x03\x01", 0, NotHttp),
        (
            "SOCKS 4",
            b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
            0,
            NotHttp,
        ),
        ("SOCKS 5", b"\x05\x01\x00", 0, NotHttp),
        ("RDP", b"\x03\x00\x00\x13\x0e\xe0\x00\x00", 0, NotHttp),
        (
            "a frame",
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            0,
            NotHttp,
        ),
        ("a frame of binary", b"\x82\x80\0\0\0\0", 0, NotHttp),
        ("MQTT", b"\x10\x10\x00\x04MQTT\x04", 0, NotHttp),
        ("settings of HTTP/2", b"\0\0\0\x04\0\0\0\0\0", 0, NotHttp),
        (
            "the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            11,
            UnsupportedHttpVersion,
        ),
        ("SMTP", b"HELO x\r\n", 6, MalformedHead),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 19, NotHttp),
        (
            "a proxy's protocol",
            b"PROXY TCP4 1.2.3.4",
            11,
            MalformedHead,
        ),
        ("a response", b"HTTP/1.1 200 OK\r\n", 4, NotHttp),
        ("a space first", b" GET / HTTP/1.1\r\n", 0, NotHttp),
        ("HTTP/0.9", b"GET /\r\n", 5, MalformedHead),
        ("RTSP", b"OPTIONS * RTSP/1.0\r\n", 10, MalformedHead),
        ("SIP", b"OPTIONS sip:a SIP/2.0\r\n", 14, MalformedHead),
    ];
    for (what, bytes, at, error) in cases {
        let decision = (at, error);
        let server = Connection::server(Config::default());
        assert_eq!(decided(server, bytes), Some(decision), "{what}");
        let outcome = accepting(bytes);
        told(&outcome, decision, what);
        // In plain text, also to who speaks TLS.
        let status = error.status().unwrap();
        assert!(
            outcome.text().starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}"
        );
        assert!(outcome.text().ends_with(&format!("{error}\n")), "{what}");
        // Behind the one empty line that may come first, too.
        let server = Connection::server(Config::default());
        let later = decided(server, &[b"\r\n", bytes].concat());
        assert_eq!(later, Some((at + 2, error)), "{what}");
    }
}

/// T73.
#[test]
fn r400_r401_t73_other_protocols_at_a_client() {
    let cases: [(&str, &[u8], usize, HandshakeError); 18] = [
        ("settings of HTTP/2", b"\0\0\x12\x04\0\0\0\0\0", 0, NotHttp),
        (
            "a TLS alert",
            b"\x15\x03\x01\x00\x02\x02\x46",
            0,
            UnexpectedTls,
        ),
        ("a TLS handshake", b"\x16\x03\x03\x00\x40", 0, UnexpectedTls),
        ("its first byte inside a name", b"HT\x16", 2, NotHttp),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 0, NotHttp),
        ("SMTP", b"220 mail ESMTP\r\n", 0, NotHttp),
        ("a frame", b"\x81\x05hello", 0, NotHttp),
        ("a Close", b"\x88\x02\x03\xea", 0, NotHttp),
        ("a page", b"<html>", 0, NotHttp),
        ("a bad request", b"HTTP/1.1 Bad", 9, MalformedHead),
        ("an empty line", b"\r\nHTTP/1.1 101", 0, MalformedHead),
        ("HTTP, in small letters", b"http/1.1 101", 0, NotHttp),
        ("nearly HTTP", b"HTTPS/1.1 101", 4, NotHttp),
        ("HTTP/2 in text", b"HTTP/2 101", 5, UnsupportedHttpVersion),
        ("HTTP/1.2", b"HTTP/1.2 101", 7, UnsupportedHttpVersion),
        (
            "a status of two digits",
            b"HTTP/1.1 10\r\n",
            11,
            MalformedHead,
        ),
        (
            "a status below 100",
            b"HTTP/1.1 099 No\r\n",
            9,
            MalformedHead,
        ),
        (
            "a control character",
            b"HTTP/1.1 101 a\0",
            14,
            MalformedHead,
        ),
    ];
    for (what, bytes, at, error) in cases {
        assert_eq!(decided(client(), bytes), Some((at, error)), "{what}");
        let outcome = asking(bytes);
        told(&outcome, (at, error), what);
        assert_eq!(outcome.output, b"", "{what}");
        // After an interim response there is a first line again.
        let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        let later = decided(client(), &[interim, bytes].concat());
        assert_eq!(later, Some((interim.len() + at, error)), "{what}");
    }
}

/// What has begun well is waited for, whatever comes of it.
#[test]
fn r400_what_may_still_become_a_first_line() {
    for bytes in [
        &b"GET"[..],
        b"\r\nGET /chat",
        b"x!#$%&'*+-.^_`|~09 *",
        b"GET /{a}|\"b\"^`\\<>[] HTTP/1.1\r",
        b"OPTIONS * HTTP/1.0\r\nHos",
        b"BREW pot HTTP/1.",
    ] {
        assert_eq!(decided(Connection::server(Config::default()), bytes), None);
    }
    for bytes in [
        &b"HTTP"[..],
        b"HTTP/1.0 999",
        b"HTTP/1.1 101\r",
        b"HTTP/1.1 101 \xfcber\tall\r\nX",
    ] {
        assert_eq!(decided(client(), bytes), None);
    }
}

/// Where a bad line end is also a line that is none, the first of the two counts.
#[test]
fn r400_r081_line_ends() {
    for (bytes, at, error) in [
        (&b"GET /a\rb"[..], 6, MalformedHead),
        (b"GET /a\nb", 6, InvalidLineEnd),
        (b"GET / HTTP/1.1\n", 14, InvalidLineEnd),
        (b"GET / HTTP/1.1\rx", 15, InvalidLineEnd),
        (b"GET / HTTP/1.1 \r\n", 14, MalformedHead),
        (b"\n", 0, InvalidLineEnd),
        (b"\rG", 1, InvalidLineEnd),
        (b"\r\n\r\n", 2, MalformedHead),
    ] {
        let server = Connection::server(Config::default());
        assert_eq!(decided(server, bytes), Some((at, error)));
        assert_eq!(accepting(bytes).error(), Some(error));
    }
}

/// R083: the limit is as before, and so is the work.
#[test]
fn r400_a_first_line_of_megabytes() {
    let limit = 4 << 20;
    let mut ws = Connection::server(Config::default().max_head_size(limit));
    for _ in 0..limit {
        assert_eq!(ws.receive(&mut &mut b"a".to_owned()[..]), None);
    }
    assert_eq!(
        ws.receive(&mut &mut b"a".to_owned()[..]),
        Some(Event::Fail(Error::Handshake(TargetTooLong)))
    );
    // A right one is still right.
    let bytes = Head::request().bytes();
    assert_eq!(accepting(&bytes).state, State::Open);
}
