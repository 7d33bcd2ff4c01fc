//! What a server answers where no WebSocket comes of it, and what both ends are told of that.

mod drive;
mod handshake_support;

use core::time::Duration;

use drive::*;
use handshake_support::{Head, accepting, ask, asking, fixed_entropy, serve};
use sockless::handshake::HandshakeError;
use sockless::{ClientRequest, Close, CloseCode, Config, Connection, Event, Response, Role};

/// R061, R065, R070: a foreign HTTP stack is told of the fields that the crate's own answer has.
#[test]
fn fields_of_a_refusal() {
    let websocket = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
    ];
    let version = "Sec-WebSocket-Version";
    let cases: [(_, _, &[_]); 5] = [
        (
            Head::request().first("POST / HTTP/1.1"),
            HandshakeError::MethodNotAllowed,
            &[("allow", "GET")],
        ),
        (
            Head::request().remove("Upgrade"),
            HandshakeError::MissingUpgrade,
            &websocket,
        ),
        (
            Head::request().set(version, "8"),
            HandshakeError::UnsupportedVersion,
            &websocket,
        ),
        (
            Head::request().remove(version),
            HandshakeError::InvalidVersion,
            &websocket[2..],
        ),
        (
            Head::request().remove("Host"),
            HandshakeError::InvalidHost,
            &[],
        ),
    ];
    for (head, error, fields) in cases {
        let outcome = accepting(&head.bytes());
        assert_eq!(outcome.error(), Some(error));
        assert_eq!(error.headers(), fields);
        let sent = outcome.text().to_ascii_lowercase();
        for (name, value) in fields {
            // That the connection is closed as well is the crate's to say.
            let line = format!("\r\n{name}: {value}").to_ascii_lowercase();
            assert!(sent.contains(&line), "{line:?} in {sent:?}");
        }
        let about_body = ["content-length", "content-type", "connection"];
        let others = sent.lines().skip(1).filter_map(|line| line.split_once(':'));
        for (name, _) in others.filter(|(name, _)| !about_body.contains(name)) {
            assert!(
                fields.iter().any(|field| field.0 == name),
                "{name} for {error}"
            );
        }
    }
}

/// R095: the type of the body is replaced, and the other fields stay.
#[test]
fn type_of_the_body() {
    let response = Response::new(404)
        .with_header("X-First", "1")
        .unwrap()
        .with_html("<p>")
        .with_header("X-Second", "2")
        .unwrap()
        .with_text("plain");
    let fields: Vec<_> = response.headers().collect();
    assert_eq!(
        fields,
        [
            ("X-First", &b"1"[..]),
            ("X-Second", b"2"),
            ("Content-Type", b"text/plain; charset=utf-8"),
        ]
    );
    assert_eq!(response.body(), b"plain");
}

#[test]
fn ending_of_a_refusal() {
    let config = Config::default();
    let outcome = serve(&config, &Head::request().bytes(), |ws| {
        ws.respond(Response::new(403)).unwrap();
    });
    assert_eq!(outcome.ending.error, None);
    assert_eq!(outcome.ending.status, Some(403));
    assert_eq!(outcome.ending.to_string(), "not opened: HTTP status 403");
    // A client tells of it as what it misses.
    let refused = Head::status("HTTP/1.1 403 No").add("Content-Length", "0");
    assert_eq!(asking(&refused.bytes()).ending.status, Some(403));
}

#[test]
fn close_to_compare_with() {
    let mut ws = Connection::upgraded(Role::Client, Config::default());
    let mut bytes = *b"\x88\x05\x03\xe9bye";
    assert_eq!(
        ws.receive(&mut &mut bytes[..]),
        Some(Event::Close(Close::new(CloseCode::GOING_AWAY, "bye")))
    );
}

/// T74: a body that is not all there says so, however it was cut.
#[test]
fn r403_t74_bodies_that_are_not_all_there() {
    let limit = Config::default().max_response_body(4);
    let request = ClientRequest::new("ws://h").unwrap();
    let cases = [
        // What states the length, what comes, what is kept, and whether that is all.
        ("Content-Length: 4", "abcd", "abcd", true),
        ("Content-Length: 4", "abcdef", "abcd", true),
        ("Content-Length: 0", "", "", true),
        ("Content-Length: 5", "abcd", "abcd", false),
        (
            "Content-Length: 99999999999999999999999",
            "abcd",
            "abcd",
            false,
        ),
        ("X: y", "abcd", "abcd", false),
        (
            "Transfer-Encoding: chunked",
            "3\r\nabc\r\n0\r\n",
            "abc",
            true,
        ),
        ("Transfer-Encoding: chunked", "0\r\n", "", true),
        (
            "Transfer-Encoding: chunked",
            "4\r\nabcd\r\n000\r\n\r\n",
            "abcd",
            true,
        ),
        (
            "Transfer-Encoding: chunked",
            "4\r\nabcd\r\n1\r\n",
            "abcd",
            false,
        ),
        ("Transfer-Encoding: chunked", "5\r\nabcd", "abcd", false),
        ("Transfer-Encoding: chunked", "4\r\nabcdX", "abcd", false),
        ("Transfer-Encoding: chunked", "2\r\nab\rX", "ab", false),
        (
            "Transfer-Encoding: chunked",
            "2\r\nab\r\nx\r\n",
            "ab",
            false,
        ),
        ("Transfer-Encoding: chunked", "-1\r\n", "", false),
        (
            "Transfer-Encoding: chunked",
            "1ffffffffffffffff\r\n",
            "",
            false,
        ),
    ];
    for (field, sent, kept, is_complete) in cases {
        let text = format!("HTTP/1.1 403 Forbidden\r\n{field}\r\n\r\n{sent}");
        let outcome = ask(&limit, &request, text.as_bytes());
        let [Event::Rejected(response)] = &outcome.events[..] else {
            panic!("{text}: {outcome:?}")
        };
        assert_eq!(response.body(), kept.as_bytes(), "{text}");
        assert_eq!(response.is_complete(), is_complete, "{text}");
    }
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
        let outcome = asking(text.as_bytes());
        assert!(
            matches!(&outcome.events[..], [Event::Rejected(response)] if response.is_complete())
        );
    }
}

/// T74: what the end of the transport makes of a body, in its order and otherwise.
#[test]
fn r403_t74_bodies_that_the_end_of_the_transport_ends() {
    let cases = [
        // And whether that is all, where the transport ends in its order.
        ("X: y", "", "", true),
        ("X: y", "abc", "abc", true),
        ("Transfer-Encoding: gzip", "abc", "abc", true),
        ("Content-Length: 4", "abc", "abc", false),
        ("Content-Length: 18446744073709551615", "abc", "abc", false),
        (
            "Content-Length: 99999999999999999999999",
            "abc",
            "abc",
            false,
        ),
        ("Transfer-Encoding: chunked", "", "", false),
        ("Transfer-Encoding: chunked", "4\r\nabc", "abc", false),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n", "abc", false),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0", "abc", false),
    ];
    for (field, sent, kept, is_complete) in cases {
        let text = format!("HTTP/1.1 403 Forbidden\r\n{field}\r\n\r\n{sent}");
        let is_right = |response: &Response, is_complete: bool| {
            assert_eq!(response.body(), kept.as_bytes(), "{text}");
            assert_eq!(response.is_complete(), is_complete, "{text}");
        };
        let outcome = asking(text.as_bytes());
        is_right(&outcome.ending.response.expect("a response"), is_complete);

        let begun = || {
            let config = Config::default().entropy(fixed_entropy);
            let mut ws = Connection::client(ClientRequest::new("ws://h").unwrap(), config).unwrap();
            let _ = ws.tick(Duration::ZERO);
            assert_eq!(ws.receive(&mut &mut text.clone().into_bytes()[..]), None);
            ws
        };
        let ending = begun().transport_reset();
        is_right(&ending.response.expect("a response"), false);
        let mut late = begun();
        let Event::Rejected(response) = late.missed(Duration::from_secs(60)) else {
            panic!("{text}")
        };
        is_right(&response, false);
    }
}

/// A response of one's own is complete, and so is one with a new body.
#[test]
fn r403_bodies_of_ones_own() {
    assert!(Response::default().is_complete());
    assert!(Response::new(404).with_text("no").is_complete());
    let text = "HTTP/1.1 403 Forbidden\r\nContent-Length: 99\r\n\r\nabc";
    let cut = *asking(text.as_bytes()).ending.response.unwrap();
    assert!(!cut.is_complete() && format!("{cut:?}").contains("is_complete: false"));
    assert!(cut.with_body("abc").is_complete());
}
