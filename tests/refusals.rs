//! What a server answers where no WebSocket comes of it, and what both ends are told of that.

mod handshake_support;

use handshake_support::{Head, accepting, asking, serve};
use sockless::handshake::HandshakeError;
use sockless::{Close, CloseCode, Config, Connection, Event, Response, Role};

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
