//! What is shown to people: every error says something of its own in one line, and what a peer sent
//! cannot forge a line of a log.

mod common;
mod handshake_support;

use core::fmt::{Debug, Display};
use core::time::Duration;
use std::collections::BTreeSet;

use common::{BINARY, Drive, FIN, ROLES, TEXT, feed, frame, peer};
use handshake_support::{Head, accepting, ask, asking, fixed_entropy};
use sockless::close::InvalidCloseCode;
use sockless::handshake::{HandshakeError, InvalidHeader, InvalidUri, same_origin};
use sockless::utf8::InvalidUtf8;
use sockless::{
    Backoff, ClientRequest, CloseCode, Config, Connection, EntropyError, Error, Event, Prepared,
    Response, Role, SendError, State,
};

/// One line each, and no two the same.
fn distinct<T: Display + Debug>(errors: impl IntoIterator<Item = T>) {
    let mut texts = BTreeSet::new();
    for error in errors {
        let text = error.to_string();
        assert!(text.len() > 5 && text.is_ascii(), "{error:?}: {text}");
        assert!(!text.contains(char::is_control), "{error:?}: {text}");
        assert!(texts.insert(text), "{error:?} says what another says");
    }
}

/// R200 (§7.4.1): a failure of the handshake has no Close frame, nor has one that comes after it.
#[test]
fn errors_of_the_peer() {
    let handshake = HandshakeError::InvalidKey;
    let errors = [
        Error::from(handshake),
        Error::ReservedBits,
        Error::ReservedOpcode(3),
        Error::ReservedOpcode(11),
        Error::FragmentedControl,
        Error::ControlTooLong,
        Error::MissingMask,
        Error::UnexpectedMask,
        Error::NonMinimalLength,
        Error::LengthOverflow,
        Error::FrameTooLarge,
        Error::UnexpectedContinuation,
        Error::ExpectedContinuation,
        Error::MessageTooLarge,
        Error::TooManyFragments,
        Error::InvalidUtf8,
        Error::CloseTooShort,
        Error::InvalidCloseCode(1005),
        Error::InvalidCloseCode(999),
        Error::InvalidCloseReason,
        Error::IdleTimeout,
        Error::NoMessageTimeout,
        Error::PongTimeout,
        Error::MessageTimeout,
        Error::CloseTimeout,
        Error::Entropy,
    ];
    distinct(errors);
    let silent = errors
        .into_iter()
        .filter(|error| error.close_code().is_none());
    assert!(silent.eq([Error::Handshake(handshake), Error::CloseTimeout]));
    assert!(errors[0].to_string().ends_with(&handshake.to_string()));
    assert!(Error::ReservedOpcode(11).to_string().ends_with(" 11"));
    assert!(Error::InvalidCloseCode(999).to_string().ends_with(" 999"));
}

#[test]
fn errors_of_the_caller() {
    distinct([
        SendError::Connecting,
        SendError::ControlTooLong,
        SendError::ReasonTooLong,
        SendError::ClientCloseCode,
        SendError::MessageInProgress,
        SendError::NoMessage,
        SendError::FrameInProgress,
        SendError::FrameOverrun,
        SendError::InvalidControl,
        SendError::ReservedBits,
        SendError::Entropy,
        SendError::NoRequest,
        SendError::NotUpgrade,
        SendError::SubprotocolNotOffered,
        SendError::InvalidStatus,
        SendError::UnexpectedBody,
    ]);
    distinct([
        InvalidUri::Scheme,
        InvalidUri::UserInfo,
        InvalidUri::Host,
        InvalidUri::Port,
        InvalidUri::Fragment,
        InvalidUri::Target {
            at: 9,
            character: '|',
        },
    ]);
    distinct([
        InvalidHeader::Name,
        InvalidHeader::Value,
        InvalidHeader::Reserved,
        InvalidHeader::Subprotocol,
        InvalidHeader::RepeatedSubprotocol,
        InvalidHeader::Origin,
        InvalidHeader::Host,
        InvalidHeader::Credentials,
    ]);
    distinct([EntropyError::default()]);
    let invalid: InvalidUtf8 = sockless::utf8::validate(b"\xff").unwrap_err();
    assert_eq!(invalid.to_string(), "invalid UTF-8");
    assert_eq!(format!("{:?}", CloseCode::NORMAL), "CloseCode(1000)");
    let code = InvalidCloseCode(1005).to_string();
    assert_eq!(code, "1005 may not be the code of a Close frame");
}

#[test]
fn errors_of_the_handshake() {
    distinct([
        HandshakeError::UnexpectedTls,
        HandshakeError::NotHttp,
        HandshakeError::InvalidLineEnd,
        HandshakeError::MalformedHead,
        HandshakeError::HeadTooLarge,
        HandshakeError::TooManyHeaders,
        HandshakeError::UnsupportedHttpVersion,
        HandshakeError::InvalidContentLength,
        HandshakeError::UnexpectedBody,
        HandshakeError::MissingUpgrade,
        HandshakeError::MissingConnection,
        HandshakeError::InvalidExtensions,
        HandshakeError::TargetTooLong,
        HandshakeError::InvalidTarget,
        HandshakeError::MethodNotAllowed,
        HandshakeError::InvalidHost,
        HandshakeError::UnsupportedExpectation,
        HandshakeError::UnsupportedVersion,
        HandshakeError::InvalidVersion,
        HandshakeError::InvalidKey,
        HandshakeError::RepeatedKey,
        HandshakeError::InvalidSubprotocols,
        HandshakeError::RepeatedSubprotocol,
        HandshakeError::TooManyOffers,
        HandshakeError::InvalidOrigin,
        HandshakeError::TooMuchEarlyData,
        HandshakeError::NotExtendedConnect,
        HandshakeError::UnsupportedProtocol,
        HandshakeError::ConnectionSpecificField,
        HandshakeError::Timeout,
        HandshakeError::EndOfStream,
        HandshakeError::TooManyInterimResponses,
        HandshakeError::UnexpectedStatus(404),
        HandshakeError::InvalidAccept,
        HandshakeError::RepeatedAccept,
        HandshakeError::UnofferedExtension,
        HandshakeError::UnacceptableExtension,
        HandshakeError::UnofferedSubprotocol,
        HandshakeError::InvalidSubprotocol,
        HandshakeError::MissingSubprotocol,
    ]);
}

/// R095: each status that a caller answers with, as it stands on the wire.
#[test]
fn phrases_of_statuses() {
    let cases = [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "304 Not Modified",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 Method Not Allowed",
        "406 Not Acceptable",
        "407 Proxy Authentication Required",
        "408 Request Timeout",
        "409 Conflict",
        "410 Gone",
        "412 Precondition Failed",
        "414 URI Too Long",
        "417 Expectation Failed",
        "418 ",
        "421 Misdirected Request",
        "426 Upgrade Required",
        "428 Precondition Required",
        "429 Too Many Requests",
        "431 Request Header Fields Too Large",
        "500 Internal Server Error",
        "501 Not Implemented",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "505 HTTP Version Not Supported",
        "599 ",
    ];
    for line in cases {
        let mut ws = Connection::server(Config::default());
        let mut head = Head::request().bytes();
        assert!(ws.receive(&mut &mut head[..]).is_some());
        let status = line[..3].parse().unwrap();
        ws.respond(Response::new(status)).unwrap();
        let line = format!("HTTP/1.1 {line}\r\n");
        assert!(ws.output().starts_with(line.as_bytes()), "{line:?}");
    }
    // As a client tells of them.
    for (status, text) in [
        (101, "101 (Switching Protocols)"),
        (200, "200 (OK)"),
        (204, "204 (No Content)"),
        (206, "206 (Partial Content)"),
    ] {
        let text = format!("unexpected status {text}");
        assert_eq!(HandshakeError::UnexpectedStatus(status).to_string(), text);
    }
}

#[test]
fn what_a_peer_sent_is_escaped() {
    let hostile = Head::request().add("User-Agent", b"\xff\"\t\xe2\x80\xa8");
    let shown = match &accepting(&hostile.bytes()).events[0] {
        Event::Request(request) => format!("{request:?}"),
        other => panic!("{other:?}"),
    };
    for part in ["\"GET\"", "/chat?", r#""\xff\"\t\xe2\x80\xa8""#, "Host"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(shown.is_ascii() && !shown.contains(char::is_control));

    let refusal = Head::status("HTTP/1.1 403 No")
        .add("Server", b"\xff")
        .add("Content-Length", "3");
    let bytes = [&refusal.bytes()[..], b"\r\n\xff"].concat();
    let shown = format!("{:?}", asking(&bytes).events);
    for part in ["403", r#""Server": "\xff""#, r"\r\n\xff"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(shown.is_ascii() && !shown.contains(char::is_control));
}

/// A header that the caller adds may be a password.
#[test]
fn secrets_of_the_caller_are_not_shown() {
    let request = ClientRequest::new("wss://h:81/p?q")
        .unwrap()
        .with_subprotocol("chat")
        .unwrap()
        .with_header("Authorization", "Bearer secret")
        .unwrap();
    let shown = format!("{request:?}");
    for part in ["\"h\"", "81", "\"/p?\"<1 bytes>", "<4 bytes>"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("secret"));

    let message = Prepared::text("the secret");
    let shown = format!("{message:?}");
    assert!(shown.contains("Text") && shown.contains("10"), "{shown}");
    assert!(!shown.contains("secret"));
    // Nor once it is queued, and long enough to be shared.
    let mut ws = Connection::upgraded(Role::Server, Config::default());
    ws.send_prepared(&Prepared::text("secret".repeat(10_000)))
        .unwrap();
    let shown = format!("{ws:?}");
    assert!(
        shown.contains("60004") && !shown.contains("secretsecret"),
        "{shown}"
    );
}

#[test]
fn how_a_connection_did_not_open() {
    let mut ws = Connection::server(Config::default());
    assert!(ws.receive(&mut &mut b"GET ".to_vec()[..]).is_none());
    assert_eq!(
        ws.end_of_stream().to_string(),
        "connection failed: opening handshake: transport ended before it was complete"
    );
    let refused = Head::status("HTTP/1.1 401 No").add("Content-Length", "0");
    let ending = asking(&refused.bytes()).ending;
    assert_eq!(
        ending.to_string(),
        "connection failed: opening handshake: unexpected status 401 (Unauthorized)"
    );
    let failed = asking(&Head::response().remove("Upgrade").bytes()).ending;
    let handshake = Error::Handshake(HandshakeError::MissingUpgrade);
    assert_eq!(
        failed.to_string(),
        format!("connection failed: {handshake}")
    );
    // With a reason that would be a line of its own.
    for role in ROLES {
        let mut ws = Connection::upgraded(role, Config::default().entropy(fixed_entropy));
        let mut close = frame(peer(role), FIN | common::CLOSE, b"\x03\xe8a\r\nb");
        assert!(ws.receive(&mut &mut close[..]).is_some());
        let shown = ws.end_of_stream().to_string();
        assert!(
            shown.ends_with(r#": 1000 (normal closure) "a\r\nb""#),
            "{shown}"
        );
    }
}

#[test]
fn timeouts_that_remain() {
    let mut ws = Connection::upgraded(
        Role::Server,
        Config::default().close_timeout(Duration::from_secs(1)),
    );
    ws.close_without_code().unwrap();
    let until = ws.tick(Duration::ZERO).expect("a deadline");
    assert_eq!(ws.missed(until), Event::Fail(Error::CloseTimeout));
    let ending = ws.end_of_stream();
    assert_eq!(ending.error, Some(Error::CloseTimeout));
    assert!(ending.to_string().ends_with("not closed in time"));
}

/// R141: a ping that cannot be masked is not sent, and the connection is not left waiting for its pong.
#[test]
fn keepalive_without_entropy() {
    let config = Config::default()
        .entropy(|_| Err(EntropyError::default()))
        .keepalive(Duration::from_secs(1), Duration::from_secs(1));
    let mut ws = Connection::upgraded(Role::Client, config);
    let until = ws.tick(Duration::ZERO).expect("a deadline");
    assert_eq!(ws.missed(until), Event::Fail(Error::Entropy));
    assert_eq!(ws.state(), State::Closed);
    assert_eq!(ws.output(), b"", "nothing without a mask");
    assert_eq!(ws.end_of_stream().error, Some(Error::Entropy));
}

/// R042, R050: a name of a subprotocol is ASCII.
#[test]
fn subprotocol_outside_ascii() {
    let request = ClientRequest::new("ws://h")
        .unwrap()
        .with_subprotocol("chat")
        .unwrap();
    let head = Head::response().add("Sec-WebSocket-Protocol", "ch\u{e4}t");
    let outcome = ask(&Config::default(), &request, &head.bytes());
    assert_eq!(outcome.error(), Some(HandshakeError::InvalidSubprotocol));
}

/// R076: what is not a scheme has no origin.
#[test]
fn origin_without_a_scheme() {
    assert!(same_origin("http://h", "http://h:80"));
    for origin in ["h_t://h", "ht tp://h", "1http://h", "://h", "http//h"] {
        assert!(!same_origin(origin, origin), "{origin}");
    }
}

#[test]
fn backoff_by_default() {
    let (mut made, mut default) = (Backoff::new(), Backoff::default());
    assert_eq!(format!("{made:?}"), format!("{default:?}"));
    assert!(made.next_delay().is_ok() && default.next_delay().is_ok());
}

/// The texts above are of frames as well.
#[test]
fn events_are_shown() {
    for (first, shown) in [(TEXT, "Text(\"hi\")"), (BINARY, "Binary([104, 105])")] {
        let mut ws = Connection::upgraded(Role::Client, Config::default());
        let mut bytes = frame(Role::Server, FIN | first, b"hi");
        let mut input = &mut bytes[..];
        let event = ws.receive(&mut input).expect("an event");
        assert_eq!(format!("{event:?}"), shown);
    }
}

/// The phrases of RFC 9110 §15 and RFC 6585, and none where there is no such status.
#[test]
fn statuses_and_their_phrases() {
    for (status, phrase) in [
        (200, "OK"),
        (204, "No Content"),
        (206, "Partial Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (407, "Proxy Authentication Required"),
        (408, "Request Timeout"),
        (409, "Conflict"),
        (410, "Gone"),
        (412, "Precondition Failed"),
        (414, "URI Too Long"),
        (417, "Expectation Failed"),
        (421, "Misdirected Request"),
        (426, "Upgrade Required"),
        (428, "Precondition Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
        (505, "HTTP Version Not Supported"),
        (299, ""),
        (599, ""),
    ] {
        let mut ws = Connection::server(Config::default().serve_plain_http());
        feed(&mut ws, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        ws.respond(Response::new(status)).unwrap();
        let line = format!("HTTP/1.1 {status} {phrase}\r\n");
        assert!(ws.output().starts_with(line.as_bytes()), "{line}");
    }
}
