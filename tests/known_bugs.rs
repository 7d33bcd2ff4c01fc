//! The bugs of others, `docs/known-bugs.md`: each is named by a test, or a part of it is listed here as open.
//!
//! A test names a bug by its function (`t01_…`, `r150_t09_…`), anywhere in `tests/`, in `fuzz/src/`
//! where it needs other implementations, or in `examples/` where it is a loop's. The rows of the
//! handshake have their tests here, as conversations of both roles; what the same rules say of every field
//! is in `tests/handshake_*.rs`.

mod handshake_support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use handshake_support::{ACCEPT, Head, KEY, Outcome, accepting, ask, asking, serve, written};
use sockless::handshake::{HandshakeError, InvalidHeader, InvalidUri};
use sockless::{ClientRequest, Config, Connection, Error, Event, Input, Next, Response, State};

/// The numbers in `docs/known-bugs.md`, each of which stands there once.
fn listed() -> BTreeSet<u8> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/known-bugs.md");
    let table = fs::read_to_string(table).expect("the list");
    let mut listed = BTreeSet::new();
    for row in table.lines().filter_map(|line| line.strip_prefix("- T")) {
        let number = row.split(' ').next().and_then(|number| number.parse().ok());
        let is_new = listed.insert(number.expect("a number"));
        assert!(is_new, "twice: T{row}");
    }
    listed
}

/// The numbers that stand as `t01_` in the name of a test.
fn named(folder: &Path, into: &mut BTreeMap<u8, String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            named(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            // A name counts only behind `#[test]`; other attributes and comments may stand between.
            let plain = text.match_indices("#[test]\n");
            let on_tokio = text.match_indices("#[tokio::test");
            for (_, test) in plain.chain(on_tokio).map(|(at, _)| text.split_at(at)) {
                let Some((_, name)) = test.split_once("fn ") else {
                    continue;
                };
                let name = name.split('(').next().unwrap_or_default();
                for word in name.split('_') {
                    let number = word.strip_prefix('t').filter(|number| number.len() == 2);
                    if let Some(number) = number.and_then(|number| number.parse().ok()) {
                        into.insert(number, name.into());
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_known_bug_has_a_test() {
    let listed = listed();
    assert!(listed.len() > 55, "the list was understood");
    let mut tested = BTreeMap::new();
    for folder in ["tests", "fuzz/src", "examples"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        named(&folder, &mut tested).expect("tests");
    }
    let missing: Vec<_> = listed
        .iter()
        .filter(|number| !tested.contains_key(number))
        .collect();
    assert!(missing.is_empty(), "bugs without a test: {missing:?}");
}

/// The request opens the connection, under every cut.
#[track_caller]
fn accepted(head: &Head) -> Outcome {
    let outcome = accepting(&head.bytes());
    assert_eq!((outcome.error(), outcome.state), (None, State::Open));
    outcome
}

/// The request is refused before the caller sees it.
#[track_caller]
fn refused(head: &Head, error: HandshakeError) -> Outcome {
    let outcome = accepting(&head.bytes());
    assert_eq!(outcome.events, [Event::Fail(Error::Handshake(error))]);
    assert_eq!(outcome.state, State::Closed);
    outcome
}

/// The response opens the connection.
#[track_caller]
fn agreed(head: &Head) {
    let outcome = asking(&head.bytes());
    assert_eq!((outcome.error(), outcome.state), (None, State::Open));
}

/// The response fails the connection.
#[track_caller]
fn disagreed(head: &Head, error: HandshakeError) {
    let outcome = asking(&head.bytes());
    assert_eq!(outcome.events, [Event::Fail(Error::Handshake(error))]);
    assert_eq!(outcome.state, State::Closed);
}

#[test]
fn t32_heads_are_limited_and_frames_do_not_count() {
    let head = Head::request().add("X", "y".repeat(500)).bytes();
    let exact = Config::default().max_head_size(head.len()).max_headers(6);
    let many = b"\x82\x80\0\0\0\0".repeat(1000);
    let mut ws = Connection::server(exact.clone());
    let mut input = Input::default();
    input.extend_from_slice(&[&head[..], &many].concat());
    let mut messages = 0;
    while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
        match event {
            Event::Request(_) => ws.accept(Response::default()).unwrap(),
            Event::Binary(data) if data.is_empty() => messages += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(messages, 1000);

    let smaller = exact.clone().max_head_size(head.len() - 1);
    let outcome = serve(&smaller, &head, |_| {});
    assert_eq!(outcome.error(), Some(HandshakeError::HeadTooLarge));
    let outcome = serve(&exact.max_headers(5), &head, |_| {});
    assert_eq!(outcome.error(), Some(HandshakeError::TooManyHeaders));
}

#[test]
fn t33_connection_is_a_list_of_the_request() {
    accepted(&Head::request().set("Connection", "keep-alive, Upgrade"));
    accepted(
        &Head::request()
            .set("Connection", "close")
            .add("connection", "uPGRADE"),
    );
    for value in ["notupgrade", "upgrade-insecure", "keep-alive", "up,grade"] {
        let head = Head::request().set("Connection", value);
        refused(&head, HandshakeError::MissingConnection);
    }
}

#[test]
fn t34_connection_is_a_list_of_the_response() {
    agreed(&Head::response().set("Connection", "keep-alive, Upgrade"));
    agreed(
        &Head::response()
            .set("Connection", "keep-alive")
            .add("CONNECTION", "upgrade"),
    );
    disagreed(
        &Head::response().set("Connection", "keep-alive, notupgrade"),
        HandshakeError::MissingConnection,
    );
}

#[test]
fn t35_keys() {
    let long = "A".repeat(4000);
    for key in [
        "",
        &KEY[..23],
        &format!("{KEY}="),
        "AQIDBAUGBwgJCgsMDQ4P",
        "AQIDBAUGBwgJCgsMDQ4PEBE=",
        "AQIDBAUGBwgJ*gsMDQ4PEA==",
        &long,
    ] {
        let head = Head::request().set("Sec-WebSocket-Key", key);
        refused(&head, HandshakeError::InvalidKey);
    }
    refused(
        &Head::request().remove("Sec-WebSocket-Key"),
        HandshakeError::InvalidKey,
    );
    refused(
        &Head::request().add("Sec-WebSocket-Key", KEY),
        HandshakeError::RepeatedKey,
    );
}

#[test]
fn t36_accepts() {
    let other_case = ACCEPT.to_ascii_uppercase();
    for accept in [
        "",
        &ACCEPT[..27],
        &format!("{ACCEPT}="),
        &other_case,
        "\u{e9}",
        KEY,
    ] {
        let head = Head::response().set("Sec-WebSocket-Accept", accept);
        disagreed(&head, HandshakeError::InvalidAccept);
    }
    disagreed(
        &Head::response().remove("Sec-WebSocket-Accept"),
        HandshakeError::InvalidAccept,
    );
    disagreed(
        &Head::response().add("Sec-WebSocket-Accept", ACCEPT),
        HandshakeError::RepeatedAccept,
    );
}

#[test]
fn t37_versions() {
    let name = "Sec-WebSocket-Version";
    let malformed = [
        Head::request().remove(name),
        Head::request().add(name, "13"),
        Head::request().set(name, "13, 8"),
    ];
    for head in malformed {
        let outcome = refused(&head, HandshakeError::InvalidVersion);
        assert!(outcome.text().contains("\r\nSec-WebSocket-Version: 13\r\n"));
    }
    let outcome = refused(
        &Head::request().set(name, "8"),
        HandshakeError::UnsupportedVersion,
    );
    assert!(outcome.text().starts_with("HTTP/1.1 426 "));
    assert!(outcome.text().contains("\r\nSec-WebSocket-Version: 13\r\n"));
}

#[test]
fn t38_subprotocols() {
    let name = "Sec-WebSocket-Protocol";
    let request = ClientRequest::new("ws://h")
        .unwrap()
        .with_subprotocol("chat")
        .unwrap();
    let answered = |config: &Config, values: &[&str]| {
        let head = values
            .iter()
            .fold(Head::response(), |head, value| head.add(name, value));
        ask(config, &request, &head.bytes()).error()
    };
    let config = Config::default();
    assert_eq!(answered(&config, &["chat"]), None);
    assert_eq!(answered(&config, &[]), None);
    let strict = Config::default().require_subprotocol();
    let missing = HandshakeError::MissingSubprotocol;
    assert_eq!(answered(&strict, &[]), Some(missing));
    let unoffered = HandshakeError::UnofferedSubprotocol;
    assert_eq!(answered(&config, &["other"]), Some(unoffered));
    assert_eq!(answered(&config, &["Chat"]), Some(unoffered));
    let invalid = HandshakeError::InvalidSubprotocol;
    assert_eq!(answered(&config, &[""]), Some(invalid));
    assert_eq!(answered(&config, &["chat", "chat"]), Some(invalid));
    // What is offered twice.
    refused(
        &Head::request().add(name, "a, b, a"),
        HandshakeError::RepeatedSubprotocol,
    );
    let offered = |name| request.clone().with_subprotocol(name).is_ok();
    assert!(!offered("chat") && !offered("") && !offered("a b") && offered("Chat"));
}

#[test]
fn t39_extensions() {
    let name = "Sec-WebSocket-Extensions";
    let unoffered = Head::response().add(name, "permessage-deflate");
    disagreed(&unoffered, HandshakeError::UnofferedExtension);
    // What is not known is declined, whatever its parameters, and the connection opens.
    for offers in [
        "x; a; a=1",
        "x; a=\"quoted\"",
        "x; unknown, permessage-deflate",
    ] {
        let outcome = accepted(&Head::request().add(name, offers));
        assert!(!outcome.text().contains(name));
    }
}

#[test]
fn t40_frames_in_the_read_of_the_head() {
    let bytes = [&Head::response().bytes()[..], b"\x81\x02hi"].concat();
    let outcome = asking(&bytes);
    assert_eq!(outcome.events[1..], [Event::Text("hi".into())]);
    let bytes = [&Head::request().bytes()[..], b"\x81\x82\0\0\0\0hi"].concat();
    let outcome = accepting(&bytes);
    assert_eq!(outcome.events[1..], [Event::Text("hi".into())]);
    // After a refusal they are nobody's.
    let bytes = [
        &Head::request().remove("Upgrade").bytes()[..],
        b"\x81\x82\0\0\0\0hi",
    ];
    let outcome = serve(&Config::default(), &bytes.concat(), |ws| {
        ws.respond(Response::new(404)).unwrap();
    });
    assert_eq!(outcome.events.len(), 1);
}

#[test]
fn t41_nothing_splits_a_head() {
    let request = ClientRequest::new("ws://h/").unwrap();
    for bad in ["\r\n", "\r", "\n", "\0"] {
        let uri = |text: &str| ClientRequest::new(text).err();
        assert_eq!(uri(&format!("ws://h{bad}x/")), Some(InvalidUri::Host));
        let character = bad.chars().next().unwrap();
        assert_eq!(
            uri(&format!("ws://h/a{bad}b")),
            Some(InvalidUri::Target { at: 8, character })
        );
        assert!(
            request
                .clone()
                .with_subprotocol(&format!("a{bad}b"))
                .is_err()
        );
        let value = format!("a{bad}X: y");
        let header = request.clone().with_header("X", &value);
        assert_eq!(header.err(), Some(InvalidHeader::Value));
        let header = request.clone().with_header(&value, "v");
        assert_eq!(header.err(), Some(InvalidHeader::Name));
        let header = Response::default().with_header("X", &value);
        assert_eq!(header.err(), Some(InvalidHeader::Value));
        let header = Response::default().with_header(&value, "v");
        assert_eq!(header.err(), Some(InvalidHeader::Name));
    }
}

#[test]
fn t42_requests_that_are_something_else() {
    let body = Head::request().add("Transfer-Encoding", "chunked");
    refused(&body, HandshakeError::UnexpectedBody);
    let body = Head::request().add("Content-Length", "1");
    refused(&body, HandshakeError::UnexpectedBody);
    let old = Head::request().first("GET / HTTP/1.0");
    refused(&old, HandshakeError::UnsupportedHttpVersion);
    let post = Head::request().first("POST / HTTP/1.1");
    refused(&post, HandshakeError::MethodNotAllowed);
    refused(&Head::request().remove("Host"), HandshakeError::InvalidHost);

    let absolute = accepted(&Head::request().first("GET http://other:81/p HTTP/1.1"));
    let Some(Event::Request(request)) = absolute.events.first() else {
        panic!("no request")
    };
    assert_eq!((request.host(), request.path()), ("other:81", "/p"));
    accepted(&Head::request().set("Host", "[2001:db8::1]:8080"));

    for (uri, host) in [
        ("ws://[::1]/", "[::1]"),
        ("ws://h:80/", "h"),
        ("wss://h:443/", "h"),
        ("wss://h:80/", "h:80"),
    ] {
        let text = written(&ClientRequest::new(uri).unwrap());
        assert!(text.contains(&format!("\r\nHost: {host}\r\n")), "{uri}");
    }
}

#[test]
fn t44_rejections_with_a_body() {
    let config = Config::default().max_response_body(4);
    let request = ClientRequest::new("ws://h").unwrap();
    for (line, status) in [("HTTP/1.1 302 Found", 302), ("HTTP/1.1 403 Forbidden", 403)] {
        let head = Head::status(line)
            .add("Location", "/x")
            .add("Content-Length", "6");
        let bytes = [&head.bytes()[..], b"denied"].concat();
        let outcome = ask(&config, &request, &bytes);
        let [Event::Rejected(response)] = &outcome.events[..] else {
            panic!("{:?}", outcome.events)
        };
        assert_eq!(response.status(), status);
        assert_eq!(response.header("location"), Some(&b"/x"[..]));
        assert_eq!(response.body(), b"deni");
        assert_eq!(outcome.state, State::Closed);
    }
    // Chunks are cut to the byte as well.
    let head = Head::status("HTTP/1.1 403 Forbidden").add("Transfer-Encoding", "chunked");
    let bytes = [&head.bytes()[..], b"6\r\ndenied\r\n0\r\n\r\n"].concat();
    let outcome = ask(&config, &request, &bytes);
    let [Event::Rejected(response)] = &outcome.events[..] else {
        panic!("{:?}", outcome.events)
    };
    assert_eq!(response.body(), b"deni");
}
