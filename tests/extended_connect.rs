//! WebSockets over HTTP/2 and HTTP/3: the rows of section T, RFC 8441 and RFC 9220.

mod common;

use common::{
    BINARY, CLOSE, Drive, FIN, ROLES, TEXT, Transport, close_body, entropy, feed, frame, peer,
};
use sockless::handshake::{
    Agreed, HandshakeError, HttpVersion, Offer, PseudoHeaders, SETTINGS_ENABLE_CONNECT_PROTOCOL,
    check_extended_connect, check_request,
};
use sockless::{ClientRequest, CloseCode, Config, Connection, Event, Role, State};

type Fields<'h> = Vec<(&'h str, &'h str)>;

const PSEUDO: PseudoHeaders<'_> = PseudoHeaders {
    method: "CONNECT",
    protocol: Some("websocket"),
    scheme: Some("https"),
    authority: Some("example.com"),
    path: Some("/chat?room=1"),
};

const VERSION: (&str, &str) = ("sec-websocket-version", "13");

/// What the check of these fields comes to, with the usual pseudo-headers.
fn with(more: &[(&str, &str)]) -> Result<(), HandshakeError> {
    let fields: Fields<'_> = [&[VERSION][..], more].concat();
    check(PSEUDO, &fields)
}

/// What the check of these pseudo-headers comes to, with the usual fields.
fn pseudo(pseudo: PseudoHeaders<'_>) -> Result<(), HandshakeError> {
    check(pseudo, &[VERSION])
}

fn check(pseudo: PseudoHeaders<'_>, fields: &[(&str, &str)]) -> Result<(), HandshakeError> {
    let result = check_extended_connect(pseudo, fields.iter().copied()).map(drop);
    if let Err(error) = result {
        // Each can be answered, and with fields that HTTP/2 has (RFC 9113 §8.2.2).
        assert!(matches!(error.status(), Some(400 | 417 | 501)), "{error:?}");
        let forbidden = |name: &str| matches!(name, "upgrade" | "connection" | "allow");
        assert!(!error.headers().iter().any(|field| forbidden(field.0)));
    }
    result
}

/// The number of the setting is the same in both registries (RFC 8441 §9.1, RFC 9220 §5).
#[test]
fn r360_r370_setting() {
    assert_eq!(SETTINGS_ENABLE_CONNECT_PROTOCOL, 8);
}

#[test]
fn r361_pseudo_headers_of_a_client() {
    let cases = [
        ("wss://h/a?b", "https", "h", "/a?b"),
        ("WS://h", "http", "h", "/"),
        ("wss://h:443", "https", "h", "/"),
        ("ws://h:443?x", "http", "h:443", "/?x"),
        ("wss://[::1]:8443/", "https", "[::1]:8443", "/"),
    ];
    for (uri, scheme, authority, path) in cases {
        let request = ClientRequest::new(uri).unwrap();
        let expected = PseudoHeaders {
            scheme: Some(scheme),
            authority: Some(authority),
            path: Some(path),
            ..PSEUDO
        };
        assert_eq!(request.pseudo_headers(), expected);
        assert_eq!(pseudo(request.pseudo_headers()), Ok(()));
    }
}

#[test]
fn r361_pseudo_headers_at_a_server() {
    assert_eq!(pseudo(PSEUDO), Ok(()));
    for scheme in ["http", "https", "HTTPS"] {
        let scheme = Some(scheme);
        assert_eq!(pseudo(PseudoHeaders { scheme, ..PSEUDO }), Ok(()));
    }
    for scheme in [None, Some(""), Some("ws"), Some("wss"), Some("https:")] {
        let error = pseudo(PseudoHeaders { scheme, ..PSEUDO });
        assert_eq!(error, Err(HandshakeError::InvalidTarget), "{scheme:?}");
    }
    for path in [
        None,
        Some(""),
        Some("*"),
        Some("chat"),
        Some("/a b"),
        Some("/a#b"),
        Some("/\r\n"),
        Some("https://example.com/"),
    ] {
        let error = pseudo(PseudoHeaders { path, ..PSEUDO });
        assert_eq!(error, Err(HandshakeError::InvalidTarget), "{path:?}");
    }
    for authority in [None, Some(""), Some("user@h"), Some("h:x"), Some("h/")] {
        let error = pseudo(PseudoHeaders {
            authority,
            ..PSEUDO
        });
        assert_eq!(error, Err(HandshakeError::InvalidHost), "{authority:?}");
    }
    for method in ["GET", "connect", "OPTIONS", ""] {
        let error = pseudo(PseudoHeaders { method, ..PSEUDO });
        assert_eq!(error, Err(HandshakeError::NotExtendedConnect), "{method}");
    }
    let error = pseudo(PseudoHeaders::default());
    assert_eq!(error, Err(HandshakeError::NotExtendedConnect));
}

#[test]
fn r362_fields_of_http_1_1() {
    let specific = Err(HandshakeError::ConnectionSpecificField);
    assert_eq!(with(&[("upgrade", "websocket")]), specific);
    assert_eq!(with(&[("Connection", "Upgrade")]), specific);
    assert_eq!(with(&[("connection", "\"malformed")]), specific);
    // A copy of the authority says nothing new (RFC 9113 §8.3.1).
    assert_eq!(with(&[("host", "EXAMPLE.com")]), Ok(()));
    let host = Err(HandshakeError::InvalidHost);
    assert_eq!(with(&[("host", "example.com:443")]), host);
    assert_eq!(with(&[("host", "other")]), host);
    assert_eq!(with(&[("host", "")]), host);
    let copies = [("host", "example.com"), ("host", "example.com")];
    assert_eq!(with(&copies), host);
    // Nor does a client write any.
    let fields = Offer::extended_connect().subprotocols("a").headers();
    let names: Vec<_> = fields.map(|field| field.0).collect();
    assert_eq!(names, ["sec-websocket-version", "sec-websocket-protocol"]);
}

#[test]
fn r363_keys_mean_nothing() {
    for key in ["dGhlIHNhbXBsZSBub25jZQ==", "", "not a key"] {
        let key = ("sec-websocket-key", key);
        assert_eq!(with(&[key]), Ok(()));
        assert_eq!(with(&[key, key]), Ok(()));
    }
    let offer = Offer::extended_connect();
    for accept in ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "", "not one"] {
        let accept = ("sec-websocket-accept", accept);
        assert_eq!(offer.check(200, [accept]), Ok(Agreed::default()));
        assert_eq!(offer.check(200, [accept, accept]), Ok(Agreed::default()));
    }
}

#[test]
fn r364_version() {
    let error = check(PSEUDO, &[]);
    assert_eq!(error, Err(HandshakeError::InvalidVersion));
    for version in ["8", "0", "14", "013", "", "13, 8", "thirteen"] {
        let error = check(PSEUDO, &[("sec-websocket-version", version)]);
        assert_eq!(error, Err(HandshakeError::InvalidVersion), "{version}");
    }
    assert_eq!(with(&[VERSION]), Err(HandshakeError::InvalidVersion));
    assert_eq!(check(PSEUDO, &[("Sec-WebSocket-Version", " 13\t")]), Ok(()));
    // The answer says which version is meant.
    assert_eq!(HandshakeError::InvalidVersion.status(), Some(400));
    assert_eq!(HandshakeError::InvalidVersion.headers(), [VERSION]);
}

/// What is the same in HTTP/1.1 is judged in the same way.
#[test]
fn r364_other_fields() {
    let in_http_1_1 = |more: &[(&str, &str)]| {
        let fields: Fields<'_> = [
            ("host", "example.com"),
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            VERSION,
        ]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
        check_request("GET", HttpVersion::Http11, fields).map(drop)
    };
    type Line<'h> = (&'h [(&'h str, &'h str)], Option<HandshakeError>);
    let lines: [Line<'_>; 15] = [
        (&[("x", "y")], None),
        (&[("content-length", "0")], None),
        (
            &[("content-length", "1")],
            Some(HandshakeError::UnexpectedBody),
        ),
        (
            &[("content-length", "x")],
            Some(HandshakeError::InvalidContentLength),
        ),
        (
            &[("transfer-encoding", "chunked")],
            Some(HandshakeError::UnexpectedBody),
        ),
        (
            &[("expect", "100-continue")],
            Some(HandshakeError::UnsupportedExpectation),
        ),
        (&[("origin", "https://example.com")], None),
        (
            &[("origin", "https://a"), ("origin", "https://a")],
            Some(HandshakeError::InvalidOrigin),
        ),
        (&[("origin", "\u{e9}")], Some(HandshakeError::InvalidOrigin)),
        (
            &[
                ("sec-websocket-protocol", "a, b"),
                ("Sec-WebSocket-Protocol", "c"),
            ],
            None,
        ),
        (
            &[
                ("sec-websocket-protocol", "a"),
                ("sec-websocket-protocol", "a"),
            ],
            Some(HandshakeError::RepeatedSubprotocol),
        ),
        (
            &[("sec-websocket-protocol", "a b")],
            Some(HandshakeError::InvalidSubprotocols),
        ),
        (&[("sec-websocket-extensions", "x; a, y")], None),
        (
            &[("sec-websocket-extensions", "")],
            Some(HandshakeError::InvalidExtensions),
        ),
        (
            &[("sec-websocket-extensions", &"a,".repeat(65))],
            Some(HandshakeError::TooManyOffers),
        ),
    ];
    for (fields, error) in lines {
        assert_eq!(with(fields).err(), error, "{fields:?}");
        assert_eq!(in_http_1_1(fields).err(), error, "{fields:?}");
    }
}

#[test]
fn r364_offers_are_read() {
    let mut map = http::HeaderMap::new();
    for (name, value) in [
        VERSION,
        ("sec-websocket-protocol", "b, a"),
        ("sec-websocket-protocol", "c"),
        (
            "sec-websocket-extensions",
            "permessage-deflate; client_max_window_bits",
        ),
    ] {
        map.append(name, value.parse().unwrap());
    }
    let request = check_extended_connect(PSEUDO, &map).unwrap();
    assert!(request.subprotocols().eq(["b", "a", "c"]));
    let names = request.extensions().map(|offer| offer.name());
    assert!(names.eq(["permessage-deflate"]));
}

#[test]
fn r365_success() {
    let none: [(&str, &str); 0] = [];
    let offer = Offer::extended_connect();
    for status in [200, 201, 204, 299] {
        assert_eq!(offer.check(status, none), Ok(Agreed::default()));
    }
    for status in [100, 101, 199, 300, 302, 401, 404, 501] {
        let error = offer.check(status, none);
        assert_eq!(error, Err(HandshakeError::UnexpectedStatus(status)));
    }
    // What would say that there is a body is ignored (RFC 9110 §9.3.6).
    let body = [("content-length", "5"), ("transfer-encoding", "chunked")];
    assert_eq!(offer.check(200, body), Ok(Agreed::default()));
    // And 200 is no answer to HTTP/1.1.
    let error = Offer::new(b"dGhlIHNhbXBsZSBub25jZQ==").check(200, none);
    assert_eq!(error, Err(HandshakeError::UnexpectedStatus(200)));
}

#[test]
fn r365_subprotocol_and_extensions() {
    let offer = Offer::extended_connect().subprotocols("chat, superchat");
    let answered = |fields: &[(&str, &str)]| offer.check(200, fields.iter().copied()).err();
    let name = "sec-websocket-protocol";
    let agreed = offer.check(200, [(name, "superchat")]).unwrap();
    assert_eq!(agreed.subprotocol, Some("superchat"));
    let unoffered = Some(HandshakeError::UnofferedSubprotocol);
    assert_eq!(answered(&[(name, "Chat")]), unoffered);
    let invalid = Some(HandshakeError::InvalidSubprotocol);
    assert_eq!(answered(&[(name, "chat"), (name, "chat")]), invalid);
    assert_eq!(answered(&[(name, "a b")]), invalid);
    let extension = ("sec-websocket-extensions", "permessage-deflate");
    let unoffered = Some(HandshakeError::UnofferedExtension);
    assert_eq!(answered(&[extension]), unoffered);
    let none: [(&str, &str); 0] = [];
    let missing = offer.require_subprotocol().check(200, none);
    assert_eq!(missing, Err(HandshakeError::MissingSubprotocol));
}

/// The whole of it, from the client's URI to the closing handshake and the end of the stream.
#[test]
fn r366_r371_t43_a_conversation() {
    let request = ClientRequest::new("wss://example.com/chat")
        .unwrap()
        .with_subprotocol("chat")
        .unwrap();
    let offer = Offer::extended_connect().subprotocols(request.subprotocols());
    let sent: Vec<_> = offer.headers().collect();
    let sent = sent.iter().map(|(name, value)| (*name, &**value));
    let received = check_extended_connect(request.pseudo_headers(), sent).unwrap();
    let chosen = received.subprotocols().next().unwrap();
    let agreed = offer.check(200, [("sec-websocket-protocol", chosen)]);
    assert_eq!(agreed.unwrap().subprotocol, Some("chat"));

    let config = Config::default().entropy(entropy).max_message_size(5);
    let mut client = Connection::upgraded(Role::Client, config.clone());
    let mut server = Connection::upgraded(Role::Server, config);
    for ws in [&mut client, &mut server] {
        assert_eq!(
            (ws.state(), ws.output()),
            (State::Open, &b""[..]),
            "no head"
        );
    }
    client.send_text("hi").unwrap();
    let mut wire = client.written();
    assert_eq!(wire[1] & 0x80, 0x80, "masked");
    assert_eq!(feed(&mut server, &wire), [Event::Text("hi".into())]);
    server.send_text("ho").unwrap();
    wire = server.written();
    assert_eq!(wire, b"\x81\x02ho");
    assert_eq!(feed(&mut client, &wire), [Event::Text("ho".into())]);

    client.close(CloseCode::new(3001).unwrap(), "").unwrap();
    feed(&mut server, &client.written());
    wire = server.written();
    // The server ends the stream, and the client has the last word.
    assert_eq!(server.transport(), Transport::ShutWrite);
    feed(&mut client, &wire);
    assert_eq!(client.transport(), Transport::Keep);
    for ws in [&mut client, &mut server] {
        let ending = ws.end_of_stream();
        assert!(ending.clean && !ending.reset);
        assert_eq!(ending.code, 3001);
        assert_eq!(ws.transport(), Transport::Drop);
    }
}

/// R367, R370: the stream's end, by END_STREAM or FIN, and its reset, by RST_STREAM or
/// H3_REQUEST_CANCELLED, before and after the Closes were exchanged.
#[test]
fn r367_r370_end_and_reset_of_the_stream() {
    type Conversation = fn(&mut Connection, Role);
    let steps: [(Conversation, bool); 4] = [
        (|_, _| {}, false),
        (
            |ws, from| drop(feed(ws, &frame(from, BINARY, b"half of a message"))),
            false,
        ),
        (|ws, _| ws.close(CloseCode::NORMAL, "").unwrap(), false),
        (
            |ws, from| {
                ws.close(CloseCode::NORMAL, "").unwrap();
                let _ = ws.written();
                feed(ws, &frame(from, FIN | CLOSE, &close_body(1000, "")));
            },
            true,
        ),
    ];
    for role in ROLES {
        for (step, closed) in steps {
            for reset in [false, true] {
                let config = Config::default().entropy(entropy);
                let mut ws = Connection::upgraded(role, config);
                feed(&mut ws, &frame(peer(role), FIN | TEXT, b"before"));
                step(&mut ws, peer(role));
                let ending = if reset {
                    ws.transport_reset()
                } else {
                    ws.end_of_stream()
                };
                assert_eq!(ending.code, if closed { 1000 } else { 1006 });
                assert_eq!((ending.clean, ending.reset), (closed, reset));
                assert_eq!(ws.transport(), Transport::Drop);
            }
        }
    }
}

/// A CONNECT without `:protocol` asks for a tunnel to the authority, and is nothing for us.
#[test]
fn r368_no_tunnels() {
    let tunnel = PseudoHeaders {
        protocol: None,
        scheme: None,
        path: None,
        authority: Some("internal:22"),
        ..PSEUDO
    };
    assert_eq!(pseudo(tunnel), Err(HandshakeError::NotExtendedConnect));
    let protocol = None;
    let error = pseudo(PseudoHeaders { protocol, ..PSEUDO });
    assert_eq!(error, Err(HandshakeError::NotExtendedConnect));
    assert_eq!(HandshakeError::NotExtendedConnect.status(), Some(400));
}

#[test]
fn r369_unknown_protocols() {
    for protocol in ["webtransport", "connect-udp", "websocket/13", ""] {
        let protocol = Some(protocol);
        let error = pseudo(PseudoHeaders { protocol, ..PSEUDO });
        assert_eq!(error, Err(HandshakeError::UnsupportedProtocol));
    }
    assert_eq!(HandshakeError::UnsupportedProtocol.status(), Some(501));
    // Names of protocols are compared without regard to case (RFC 9110 §7.8).
    let protocol = Some("WebSocket");
    assert_eq!(pseudo(PseudoHeaders { protocol, ..PSEUDO }), Ok(()));
}

/// Compression is negotiated over header values and goes into a connection that is open.
#[cfg(feature = "deflate")]
#[test]
fn r371_compression() {
    use sockless::DeflateConfig;

    let deflate = DeflateConfig::new();
    let offer = Offer::extended_connect().deflate(&deflate);
    let sent: Vec<_> = offer.headers().collect();
    let sent = sent.iter().map(|(name, value)| (*name, &**value));
    let received = check_extended_connect(PSEUDO, sent).unwrap();
    let chosen = deflate.choose(received.extensions()).unwrap();
    let answer = chosen.to_string();
    let agreed = offer.check(200, [("sec-websocket-extensions", &*answer)]);
    assert_eq!(agreed.unwrap().deflate, Some(chosen));

    let config = Config::default().entropy(entropy).deflate(deflate.clone());
    let mut client = Connection::upgraded_with(Role::Client, Some(chosen), config.clone());
    let mut server = Connection::upgraded_with(Role::Server, Some(chosen), config);
    let text = "well, ".repeat(100);
    client.send_text(&text).unwrap();
    let wire = client.written();
    assert!(wire.len() < 40, "{}", wire.len());
    assert_eq!(feed(&mut server, &wire), [Event::Text(text.into())]);
}
