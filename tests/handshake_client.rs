//! The client's side of the opening handshake, RFC 6455 §3 and §4.1: rows R001 to R052.

mod drive;
mod handshake_support;

use drive::*;
use handshake_support::{ACCEPT, Head, KEY, Outcome, ask, asking, fixed_entropy, written};
use sockless::handshake::{HandshakeError, InvalidHeader, InvalidUri, Offer};
use sockless::{
    ClientRequest, Config, Connection, EntropyError, Error, Event, Response, SendError, State,
};

fn uri(uri: &str) -> ClientRequest {
    ClientRequest::new(uri).unwrap_or_else(|error| panic!("{uri}: {error}"))
}

/// The response opens the connection.
fn opens(head: &Head) -> Response {
    opens_bytes(&head.bytes())
}

fn opens_bytes(bytes: &[u8]) -> Response {
    let outcome = asking(bytes);
    assert_eq!(outcome.state, State::Open, "{outcome:?}");
    match &outcome.events[..] {
        [Event::Open(response)] => Response::clone(response),
        other => panic!("{other:?}"),
    }
}

/// The response fails the handshake, and nothing more is sent.
fn fails(head: &Head, error: HandshakeError) {
    fails_bytes(&Config::default(), &head.bytes(), error);
}

fn fails_bytes(config: &Config, bytes: &[u8], error: HandshakeError) {
    check_failure(&ask(config, &uri("ws://example.com/"), bytes), error);
}

fn check_failure(outcome: &Outcome, error: HandshakeError) {
    assert_eq!(outcome.events, [Event::Fail(Error::Handshake(error))]);
    assert_eq!(outcome.output, b"");
    assert_eq!(outcome.state, State::Closed);
    assert_eq!(outcome.ending.error, Some(Error::Handshake(error)));
}

/// The response is another than 101, and complete.
fn rejects(config: &Config, bytes: &[u8]) -> Response {
    let outcome = ask(config, &uri("ws://example.com/"), bytes);
    assert_eq!(
        (outcome.state, &outcome.output[..]),
        (State::Closed, &b""[..])
    );
    match &outcome.events[..] {
        [Event::Rejected(response)] => Response::clone(response),
        other => panic!("{other:?}"),
    }
}

#[test]
fn r001_schemes_and_ports() {
    let cases = [
        ("ws://h", "h", 80, false),
        ("wss://h", "h", 443, true),
        ("WS://h:443/", "h", 443, false),
        ("Wss://h:80", "h", 80, true),
        ("ws://h:", "h", 80, false),
        ("ws://[::1]:9001/", "::1", 9001, false),
        ("ws://127.0.0.1:65535?x", "127.0.0.1", 65535, false),
    ];
    for (text, host, port, secure) in cases {
        let request = uri(text);
        assert_eq!(
            (request.host(), request.port(), request.is_secure()),
            (host, port, secure)
        );
    }
    for text in [
        "http://h",
        "https://h",
        "ws:/h",
        "ws:h",
        "//h",
        "h",
        "",
        "wsx://h",
        " ws://h",
    ] {
        assert_eq!(
            ClientRequest::new(text).err(),
            Some(InvalidUri::Scheme),
            "{text}"
        );
    }
    for text in [
        "ws://h:65536",
        "ws://h:x",
        "ws://h:+80",
        "ws://h:-1",
        "ws://[::1]:99999",
    ] {
        assert_eq!(
            ClientRequest::new(text).err(),
            Some(InvalidUri::Port),
            "{text}"
        );
    }
}

#[test]
fn r002_fragment() {
    for text in ["ws://h/#", "ws://h/a#b", "ws://h?a#b", "ws://h#x"] {
        assert_eq!(
            ClientRequest::new(text).err(),
            Some(InvalidUri::Fragment),
            "{text}"
        );
    }
    assert_eq!(uri("ws://h/%23").target(), "/%23");
}

#[test]
fn r003_target() {
    let cases = [
        ("ws://h", "/"),
        ("ws://h/", "/"),
        ("ws://h?x", "/?x"),
        ("ws://h/?", "/?"),
        ("ws://h/a/b?c=d?e/f", "/a/b?c=d?e/f"),
        ("ws://h//a@b:c", "//a@b:c"),
    ];
    for (text, target) in cases {
        assert_eq!(uri(text).target(), target);
        assert!(written(&uri(text)).starts_with(&format!("GET {target} HTTP/1.1\r\n")));
    }
}

#[test]
fn r004_nothing_splits_the_request() {
    for bad in [
        "\r\n", "\n", "\r", "\0", " ", "\t", "\u{7f}", "\u{e9}", "\u{2028}",
    ] {
        let host = format!("ws://h{bad}x/");
        assert_eq!(
            ClientRequest::new(&host).err(),
            Some(InvalidUri::Host),
            "{bad:?}"
        );
        let character = bad.chars().next().unwrap();
        for before in ["ws://h/a", "ws://h?a"] {
            assert_eq!(
                ClientRequest::new(&format!("{before}{bad}b")).err(),
                Some(InvalidUri::Target { at: 8, character }),
                "{bad:?}"
            );
        }
    }
}

/// T76: RFC 3986 §3.3 and §3.4, the whole of ASCII.
#[test]
fn r404_r004_t76_characters_of_path_and_query() {
    let raw = "!$&'()*+,-./:;=?@_~";
    for character in (0..=0x7f_u8).map(char::from) {
        let is_raw = character.is_ascii_alphanumeric() || raw.contains(character);
        for before in ["ws://h/", "ws://h/p?q=", "wss://[::1]:8/%20"] {
            let text = format!("{before}{character}x");
            let expected = match character {
                '#' => Some(InvalidUri::Fragment),
                _ if is_raw => None,
                _ => Some(InvalidUri::Target {
                    at: before.len(),
                    character,
                }),
            };
            assert_eq!(ClientRequest::new(&text).err(), expected, "{text:?}");
        }
    }
    // The first of several, and its place in bytes.
    let many = ClientRequest::new("WSS://example.com?\u{e9}|").err();
    let expected = InvalidUri::Target {
        at: 18,
        character: '\u{e9}',
    };
    assert_eq!(many, Some(expected));
    let text = expected.to_string();
    assert!(
        text.contains("'\u{e9}' at byte 18") && text.ends_with("%C3%A9"),
        "{text}"
    );
}

/// T76: what users meet it with.
#[test]
fn r404_t76_escapes() {
    for bad in ["%", "%2", "%2g", "%g2", "%%20", "%-1", "%+1", "% 1"] {
        for (text, at) in [
            (format!("ws://h/a{bad}"), 8),
            (format!("ws://h/?t=50{bad}"), 12),
            (format!("ws://h/%41{bad}/b"), 10),
        ] {
            let expected = InvalidUri::Target { at, character: '%' };
            assert_eq!(ClientRequest::new(&text).err(), Some(expected), "{text}");
            assert!(expected.to_string().ends_with(" %25"));
        }
    }
    for good in ["/%20", "/%7C%7c", "/%00", "/?%ff%FF", "/%25zz"] {
        assert_eq!(uri(&format!("ws://h{good}")).target(), good);
    }
    let token = ClientRequest::new("ws://h/?Token=Bearer abc")
        .err()
        .unwrap();
    assert!(token.to_string().starts_with("' ' at byte 20 "), "{token}");
}

/// T76: an escape is no way to write in a host what cannot stand there.
#[test]
fn r404_t76_escapes_in_a_host() {
    for bad in [
        "%00.h", "h%0d%0a", "%20", "%2F", "%3a80", "u%40h", "%25", "%7f", "%5b", "%", "%4", "%zz",
        "a\\b", "a|b", "a\"b", "a{b}", "a^b", "a`b", "a<b>",
    ] {
        let refused = ClientRequest::new(&format!("ws://{bad}/")).err();
        assert_eq!(refused, Some(InvalidUri::Host), "{bad}");
        assert_eq!(
            uri("ws://h").with_host(bad).err(),
            Some(InvalidHeader::Host),
            "{bad}"
        );
    }
    for good in ["%41.h", "b%C3%BCcher", "a_b", "h%2d", "x!$&'()*+,;=-._~"] {
        assert_eq!(uri(&format!("ws://{good}/")).host(), good);
    }
}

/// T77.
#[test]
fn r405_t77_host_of_the_caller() {
    for host in [
        "chat.example.com",
        "chat.example.com:8080",
        "example.com:443",
        "[2001:db8::1]:9",
        "[::1]",
        "10.0.0.1",
        "h:",
    ] {
        let request = uri("wss://127.0.0.1:8443/a?b").with_host("before").unwrap();
        let request = request.with_host(host).unwrap();
        let text = written(&request);
        assert_eq!(text.matches("Host:").count(), 1);
        assert!(text.starts_with(&format!("GET /a?b HTTP/1.1\r\nHost: {host}\r\n")));
        let pseudo = request.pseudo_headers();
        assert_eq!(pseudo.authority, Some(host));
        assert_eq!((request.host(), request.port()), ("127.0.0.1", 8443));
    }
    for host in [
        "", ":80", "a b", "a, b", "u@h", "h/p", "h:x", "h:65536", "[::1", "a\r\nb", "http://h",
        "\u{e9}",
    ] {
        let refused = uri("ws://h").with_host(host);
        assert_eq!(refused.err(), Some(InvalidHeader::Host), "{host:?}");
    }
    // Who tries it as a header is told of the setter.
    let refused = uri("ws://h").with_header("Host", "x").unwrap_err();
    assert!(refused.to_string().contains("with_host"));
}

/// T78: RFC 7617 §2, with its example.
#[test]
fn r406_t78_user_and_password() {
    let aladdin =
        |request: ClientRequest| request.with_basic_auth("Aladdin", "open sesame").unwrap();
    let field = "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
    assert!(written(&aladdin(uri("ws://h"))).contains(field));
    // Once, whatever was there before, and nothing else is lost.
    let before = uri("ws://h")
        .with_header("X", "y")
        .and_then(|request| request.with_header("authorization", "Bearer x"))
        .and_then(|request| request.with_basic_auth("a", "b"))
        .unwrap();
    let text = written(&aladdin(before));
    assert!(text.contains(field) && text.contains("\r\nX: y\r\n"));
    assert_eq!(text.to_lowercase().matches("authorization").count(), 1);
    let bearer = aladdin(uri("ws://h")).with_header("AUTHORIZATION", "Bearer x");
    let text = written(&bearer.unwrap());
    assert!(text.contains("\r\nAUTHORIZATION: Bearer x\r\n"));
    assert_eq!(text.to_lowercase().matches("authorization").count(), 1);
    for (user, password, encoded) in [
        ("", "", "Og=="),
        ("a", "", "YTo="),
        ("", ":::", "Ojo6Og=="),
        ("test", "123\u{a3}", "dGVzdDoxMjPCow=="),
    ] {
        let request = uri("ws://h").with_basic_auth(user, password).unwrap();
        assert!(written(&request).contains(&format!("Basic {encoded}\r\n")));
    }
    for (user, password) in [
        ("a:b", "c"),
        (":", ""),
        ("a\0", ""),
        ("a", "b\n"),
        ("\x7f", "b"),
    ] {
        let refused = uri("ws://h").with_basic_auth(user, password);
        assert_eq!(refused.err(), Some(InvalidHeader::Credentials));
    }
    // A URI has no place for them, and the error says where they go.
    let refused = ClientRequest::new("ws://u:p@h/").err().unwrap();
    assert_eq!(refused, InvalidUri::UserInfo);
    assert!(refused.to_string().contains("with_basic_auth"));
}

#[test]
// R012 among them.
fn r010_to_r014_request() {
    assert_eq!(
        written(&uri("ws://example.com/chat?room=1")),
        format!(
            "GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    );
}

#[test]
fn r011_host() {
    let cases = [
        ("ws://h:80", "h"),
        ("ws://h:443", "h:443"),
        ("wss://h:443", "h"),
        ("wss://h:80", "h:80"),
        ("ws://[2001:db8::1]", "[2001:db8::1]"),
        ("ws://[::1]:81", "[::1]:81"),
        ("ws://h:0080", "h"),
    ];
    for (text, host) in cases {
        assert!(
            written(&uri(text)).contains(&format!("\r\nHost: {host}\r\n")),
            "{text}"
        );
    }
    for text in [
        "ws://u@h",
        "ws://u:p@h",
        "ws://@h",
        "ws://example.com@evil.example",
    ] {
        assert_eq!(
            ClientRequest::new(text).err(),
            Some(InvalidUri::UserInfo),
            "{text}"
        );
    }
    let cases = [
        "ws://",
        "ws:///p",
        "ws://:80",
        "ws://[::1",
        "ws://[::1]x",
        "ws://[x]",
        "ws://a%2",
    ];
    for text in cases {
        assert_eq!(
            ClientRequest::new(text).err(),
            Some(InvalidUri::Host),
            "{text}"
        );
    }
    assert_eq!(
        ClientRequest::new("ws://a:b:c").err(),
        Some(InvalidUri::Port)
    );
    assert_eq!(ClientRequest::new("ws://::1").err(), Some(InvalidUri::Host));
}

#[test]
fn r013_a_key_for_each_connection() {
    fn counting(buffer: &mut [u8]) -> Result<(), EntropyError> {
        use core::sync::atomic::{AtomicU8, Ordering};
        static COUNT: AtomicU8 = AtomicU8::new(0);
        buffer.fill(COUNT.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
    let config = Config::default().entropy(counting);
    let request = uri("ws://h");
    let first = Connection::client(request.clone(), config.clone()).unwrap();
    let second = Connection::client(request.clone(), config).unwrap();
    assert_ne!(first.output(), second.output());
    let config = Config::default().entropy(|_| Err(EntropyError::default()));
    assert_eq!(
        Connection::client(request, config).err(),
        Some(EntropyError::default())
    );
}

#[test]
fn r015_subprotocols() {
    let request = uri("ws://h")
        .with_subprotocol("chat")
        .unwrap()
        .with_subprotocol("Chat")
        .unwrap();
    assert!(written(&request).contains("\r\nSec-WebSocket-Protocol: chat, Chat\r\n"));
    assert!(!written(&uri("ws://h")).contains("Protocol"));
    let again = request.clone().with_subprotocol("chat");
    assert_eq!(again.err(), Some(InvalidHeader::RepeatedSubprotocol));
    for name in [
        "",
        " ",
        "a b",
        "a,b",
        "a;b",
        "a\r\nX: y",
        "a\0",
        "\u{e9}",
        "\"a\"",
    ] {
        let refused = request.clone().with_subprotocol(name);
        assert_eq!(refused.err(), Some(InvalidHeader::Subprotocol), "{name:?}");
    }
}

#[test]
fn r016_no_extension_is_offered() {
    assert!(!written(&uri("ws://h")).contains("Extensions"));
}

#[test]
fn r017_origin() {
    let request = uri("ws://h").with_origin("https://a.example").unwrap();
    assert!(written(&request).contains("\r\nOrigin: https://a.example\r\n"));
    // The last one counts, however it is set.
    let request = request.with_header("origin", "null").unwrap();
    assert!(written(&request).contains("\r\nOrigin: null\r\n"));
    assert_eq!(written(&request).matches("rigin: ").count(), 1);
    for origin in [
        "",
        "a.example",
        "https://",
        "https://a/",
        "https://a\r\nX: y",
        "https://\u{e9}",
    ] {
        let refused = request.clone().with_origin(origin);
        assert_eq!(refused.err(), Some(InvalidHeader::Origin), "{origin:?}");
    }
    let refused = request.with_header("Origin", b"\xff");
    assert_eq!(refused.err(), Some(InvalidHeader::Origin));
}

/// T41.
#[test]
fn r018_headers_of_the_caller() {
    let request = uri("ws://h")
        .with_header("Cookie", "a=b")
        .unwrap()
        .with_header("X", b"\xff\t")
        .unwrap();
    assert!(written_bytes(&request).ends_with(b"\r\nCookie: a=b\r\nX: \xff\t\r\n\r\n"));
    for name in ["", "a b", "a:", "a\r\nb", "\u{e9}", "a\0"] {
        assert_eq!(
            request.clone().with_header(name, "v").err(),
            Some(InvalidHeader::Name),
            "{name:?}"
        );
        let response = Response::default().with_header(name, "v");
        assert_eq!(response.err(), Some(InvalidHeader::Name), "{name:?}");
    }
    for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f", "\x1b[31m"] {
        let refused = request.clone().with_header("X", value);
        assert_eq!(refused.err(), Some(InvalidHeader::Value), "{value:?}");
        let response = Response::default().with_header("X", value);
        assert_eq!(response.err(), Some(InvalidHeader::Value), "{value:?}");
    }
    let reserved = [
        "Host",
        "upgrade",
        "CONNECTION",
        "Content-Length",
        "transfer-encoding",
        "Expect",
        "Sec-WebSocket-Key",
        "sec-websocket-version",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Anything",
    ];
    for name in reserved {
        let refused = request.clone().with_header(name, "v");
        assert_eq!(refused.err(), Some(InvalidHeader::Reserved), "{name}");
        let response = Response::default().with_header(name, "v");
        assert_eq!(response.err(), Some(InvalidHeader::Reserved), "{name}");
    }
}

fn written_bytes(request: &ClientRequest) -> Vec<u8> {
    let config = Config::default().entropy(fixed_entropy);
    Connection::client(request.clone(), config)
        .unwrap()
        .output()
        .to_vec()
}

#[test]
fn r019_nothing_before_the_response() {
    let config = Config::default().entropy(fixed_entropy);
    let mut ws = Connection::client(uri("ws://h"), config).unwrap();
    let request = ws.output().to_vec();
    assert_eq!(ws.send_text("x"), Err(SendError::Connecting));
    assert_eq!(ws.send_ping(b""), Err(SendError::Connecting));
    assert_eq!((ws.output(), ws.state()), (&request[..], State::Connecting));
}

/// T44.
#[test]
fn r030_other_statuses() {
    let cases = [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/1.1 301 Moved", 301),
        ("HTTP/1.1 401 Unauthorized", 401),
        ("HTTP/1.1 503", 503),
        ("HTTP/1.0 404 Not Found", 404),
        ("HTTP/1.1 999 \u{fc}ber", 999),
    ];
    for (line, status) in cases {
        let head = Head::status(line)
            .add("Location", "/x")
            .add("Content-Length", "5");
        let response = rejects(&Config::default(), &[&head.bytes()[..], b"hello"].concat());
        assert_eq!(
            (response.status(), response.body()),
            (status, &b"hello"[..])
        );
        assert_eq!(response.header("location"), Some(&b"/x"[..]));
    }
}

#[test]
fn r030_bodies() {
    let limit = Config::default().max_response_body(4);
    let none = Config::default().max_response_body(0);
    let plain = Config::default();
    let cases: [(&Config, &str, &str, &str); 19] = [
        // What states the length, what comes, what is kept.
        (&plain, "Content-Length: 3", "abc", "abc"),
        (&plain, "Content-Length: 3", "abcdef", "abc"),
        (&plain, "Content-Length: 0", "abc", ""),
        (&limit, "Content-Length: 4", "abcd", "abcd"),
        (&limit, "Content-Length: 5", "abcd", "abcd"),
        (
            &limit,
            "Content-Length: 99999999999999999999999",
            "abcd",
            "abcd",
        ),
        (&none, "Content-Length: 5", "", ""),
        (&limit, "X: y", "abcdef", "abcd"),
        (&none, "X: y", "", ""),
        (
            &plain,
            "Transfer-Encoding: chunked",
            "1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
            "abc",
        ),
        (
            &plain,
            "transfer-encoding: gzip, Chunked",
            "3\r\nabc\r\n00\r\n",
            "abc",
        ),
        (
            &limit,
            "Transfer-Encoding: chunked",
            "3\r\nabc\r\n3\r\nd",
            "abcd",
        ),
        (
            &limit,
            "Transfer-Encoding: chunked",
            "ffffffffffffffff\r\nabcd",
            "abcd",
        ),
        (
            &plain,
            "Transfer-Encoding: chunked\r\nContent-Length: 1",
            "2\r\nab\r\n0\r\n",
            "ab",
        ),
        // A chunk that breaks the coding ends the body.
        (&plain, "Transfer-Encoding: chunked", "2\r\nabX", "ab"),
        (&plain, "Transfer-Encoding: chunked", "2\r\nab\rX", "ab"),
        (
            &plain,
            "Transfer-Encoding: chunked",
            "2\r\nab\r\nx\r\n",
            "ab",
        ),
        (
            &plain,
            "Transfer-Encoding: chunked",
            "1ffffffffffffffff\r\n",
            "",
        ),
        (&none, "Transfer-Encoding: chunked", "1\r\n", ""),
    ];
    for (config, field, sent, kept) in cases {
        let text = format!("HTTP/1.1 403 Forbidden\r\n{field}\r\n\r\n{sent}");
        let response = rejects(config, text.as_bytes());
        assert_eq!(response.body(), kept.as_bytes(), "{text}");
    }
    for status in [204, 304] {
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(rejects(&plain, text.as_bytes()).body(), b"");
    }
    let endless = format!(
        "HTTP/1.1 403\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "1".repeat(256)
    );
    assert_eq!(rejects(&plain, endless.as_bytes()).body(), b"");
    // The longest line of a chunk, its end included, and one longer, however it is cut.
    for (len, kept) in [(256, "abc"), (257, "")] {
        let line = format!("3;{}\r\n", "x".repeat(len - 4));
        let text = format!("HTTP/1.1 403\r\nTransfer-Encoding: chunked\r\n\r\n{line}abc\r\n0\r\n");
        assert_eq!(rejects(&plain, text.as_bytes()).body(), kept.as_bytes());
    }
}

#[test]
fn r030_bodies_that_last_to_the_end_of_the_transport() {
    let cases = [
        ("X: y", "", ""),
        ("X: y", "abc", "abc"),
        ("Transfer-Encoding: gzip", "abc", "abc"),
        // Cut short.
        ("Content-Length: 4", "abc", "abc"),
        ("Transfer-Encoding: chunked", "4\r\nabc", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n0", "abc"),
    ];
    for (field, sent, kept) in cases {
        let text = format!("HTTP/1.1 403 Forbidden\r\n{field}\r\n\r\n{sent}");
        let outcome = asking(text.as_bytes());
        assert_eq!(outcome.events, []);
        let response = outcome.ending.response.expect("a response");
        assert_eq!(
            (response.status(), response.body()),
            (403, kept.as_bytes()),
            "{text}"
        );
    }
}

#[test]
fn r030_lengths_that_contradict() {
    for field in [
        "1, 2",
        "x",
        "",
        "-1",
        "+1",
        "1\r\nContent-Length: 1",
        "1\r\nContent-Length: 2",
    ] {
        let text = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {field}\r\n\r\nab");
        fails_bytes(
            &Config::default(),
            text.as_bytes(),
            HandshakeError::InvalidContentLength,
        );
    }
}

#[test]
fn r031_interim_responses() {
    let interim = |count: usize| {
        let lines = [
            "HTTP/1.1 100 Continue",
            "HTTP/1.1 103 Early Hints",
            "HTTP/1.1 199",
        ];
        let heads = lines.iter().cycle().take(count);
        heads
            .flat_map(|line| Head::status(line).add("Link", "</x>").bytes())
            .collect::<Vec<_>>()
    };
    let answer = Head::response().bytes();
    let response = opens_bytes(&[&interim(8)[..], &answer[..]].concat());
    assert_eq!(response.header("link"), None);
    let many = [&interim(9)[..], &answer[..]].concat();
    fails_bytes(
        &Config::default(),
        &many,
        HandshakeError::TooManyInterimResponses,
    );
    let none = Config::default().max_interim_responses(0);
    fails_bytes(&none, &interim(1), HandshakeError::TooManyInterimResponses);
}

#[test]
fn r032_status_line() {
    for line in [
        "HTTP/1.1 101",
        "HTTP/1.1 101 ",
        "HTTP/1.1 101 \u{fc}ber\tall",
        "HTTP/1.1 101 101",
    ] {
        opens(&Head::response().first(line));
    }
    for line in [
        "HTTP/1.0 101 Switching Protocols",
        "HTTP/2.0 101 X",
        "HTTP/2 101",
        "HTTP/3 101",
    ] {
        fails(
            &Head::response().first(line),
            HandshakeError::UnsupportedHttpVersion,
        );
    }
    let malformed = [
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1  101",
        "HTTP/1.1 1011",
        "HTTP/1.1 10",
        "HTTP/1.1 1x1",
        "HTTP/1.1 000",
        "HTTP/1.1 099",
        "HTTP/1.1 101 a\0",
    ];
    for line in malformed {
        fails(&Head::response().first(line), HandshakeError::MalformedHead);
    }
    for line in ["101", "ICY 200 OK", "http/1.1 101", "SSH-2.0-x"] {
        fails(&Head::response().first(line), HandshakeError::NotHttp);
    }
    let after_empty_line = [b"\r\n", &Head::response().bytes()[..]].concat();
    fails_bytes(
        &Config::default(),
        &after_empty_line,
        HandshakeError::MalformedHead,
    );
}

#[test]
fn r033_upgrade() {
    for value in ["websocket", "WebSocket", " \tWEBSOCKET "] {
        opens(&Head::response().set("Upgrade", value));
    }
    for value in ["", "h2c", "websocket, h2c", "websockets", "web"] {
        fails(
            &Head::response().set("Upgrade", value),
            HandshakeError::MissingUpgrade,
        );
    }
    fails(
        &Head::response().remove("Upgrade"),
        HandshakeError::MissingUpgrade,
    );
    fails(
        &Head::response().add("Upgrade", "websocket"),
        HandshakeError::MissingUpgrade,
    );
}

/// T34: a list is as good.
#[test]
fn r034_connection() {
    for value in [
        "upgrade",
        "UPGRADE",
        "keep-alive, Upgrade",
        "upgrade, upgrade",
        "Upgrade, x",
        ",upgrade,",
    ] {
        opens(&Head::response().set("Connection", value));
    }
    opens(
        &Head::response()
            .set("Connection", "keep-alive")
            .add("connection", "Upgrade"),
    );
    for value in [
        "",
        "close",
        "notupgrade",
        "upgrades",
        "up grade",
        "upgrade @",
    ] {
        fails(
            &Head::response().set("Connection", value),
            HandshakeError::MissingConnection,
        );
    }
    fails(
        &Head::response().remove("Connection"),
        HandshakeError::MissingConnection,
    );
    // A good line does not make up for one that is no list.
    fails(
        &Head::response().add("Connection", "@"),
        HandshakeError::MissingConnection,
    );
}

/// T36.
#[test]
fn r035_accept() {
    opens(&Head::response().set("Sec-WebSocket-Accept", format!(" \t{ACCEPT}\t ")));
    let cases = [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", // the answer to another key
        "C/0nmHhBztSRGR1CwL6Tf4ZjwpY",
        "C/0nmHhBztSRGR1CwL6Tf4ZjwpY==",
        "c/0NMhHbZTsrgr1cWl6tF4zJWPy=",
        "C/0nmHhBztSRGR1CwL6Tf4ZjwpZ=",
        "not base64 \u{e9}",
        KEY,
    ];
    for value in cases {
        fails(
            &Head::response().set("Sec-WebSocket-Accept", value),
            HandshakeError::InvalidAccept,
        );
    }
    fails(
        &Head::response().remove("Sec-WebSocket-Accept"),
        HandshakeError::InvalidAccept,
    );
}

#[test]
fn r036_repeated_accept() {
    let head = Head::response().add("sec-websocket-accept", ACCEPT);
    fails(&head, HandshakeError::RepeatedAccept);
}

#[test]
fn r037_extension_that_was_not_offered() {
    for value in ["permessage-deflate", "a; b=c, d"] {
        let head = Head::response().add("Sec-WebSocket-Extensions", value);
        fails(&head, HandshakeError::UnofferedExtension);
    }
}

#[test]
fn r038_malformed_extensions() {
    for value in ["a;", "a=b", "a; b=\"\"", "a b"] {
        let head = Head::response().add("Sec-WebSocket-Extensions", value);
        fails(&head, HandshakeError::InvalidExtensions);
    }
}

#[test]
fn r039_several_extension_lines() {
    let name = "Sec-WebSocket-Extensions";
    fails(
        &Head::response().add(name, "a").add(name, "b"),
        HandshakeError::UnofferedExtension,
    );
    fails(
        &Head::response().add(name, "a").add(name, ";"),
        HandshakeError::InvalidExtensions,
    );
}

fn answered(config: &Config, values: &[&str]) -> Outcome {
    let request = uri("ws://h")
        .with_subprotocol("chat")
        .unwrap()
        .with_subprotocol("mqtt")
        .unwrap();
    let head = values.iter().fold(Head::response(), |head, value| {
        head.add("Sec-WebSocket-Protocol", value)
    });
    ask(config, &request, &head.bytes())
}

/// T38.
#[test]
fn r040_subprotocol() {
    for name in ["chat", "mqtt", " mqtt\t"] {
        match &answered(&Config::default(), &[name]).events[..] {
            [Event::Open(response)] => assert_eq!(response.subprotocol(), Some(name.trim())),
            other => panic!("{other:?}"),
        }
    }
    for name in ["Chat", "cha", "chats", "other"] {
        let outcome = answered(&Config::default(), &[name]);
        check_failure(&outcome, HandshakeError::UnofferedSubprotocol);
    }
    let head = Head::response().add("Sec-WebSocket-Protocol", "chat");
    fails(&head, HandshakeError::UnofferedSubprotocol);
}

#[test]
fn r041_malformed_subprotocol() {
    for values in [
        &["chat, mqtt"][..],
        &[""],
        &["chat", "chat"],
        &["chat", "mqtt"],
        &["cha t"],
    ] {
        let outcome = answered(&Config::default(), values);
        check_failure(&outcome, HandshakeError::InvalidSubprotocol);
    }
}

/// §4.2.2 (5): no subprotocol is no field; the empty one is no legal value, not even where none was asked for.
#[test]
fn r041_empty_subprotocol_where_none_was_asked_for() {
    for value in ["", " \t", ","] {
        let head = Head::response().add("Sec-WebSocket-Protocol", value);
        fails(&head, HandshakeError::InvalidSubprotocol);
        let fields = [
            ("upgrade", "websocket"),
            ("connection", "upgrade"),
            ("sec-websocket-accept", ACCEPT),
            ("sec-websocket-protocol", value),
        ];
        let checked = Offer::new(KEY.as_bytes()).check(101, fields);
        assert_eq!(checked.err(), Some(HandshakeError::InvalidSubprotocol));
    }
}

/// What a server that refuses says of a subprotocol was never checked: a name is ASCII, or it is none.
#[test]
fn r041_subprotocol_of_a_refusal() {
    for (value, name) in [(&b"chat"[..], Some("chat")), ("\u{e9}".as_bytes(), None)] {
        let head = [
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nSec-WebSocket-Protocol: ",
            value,
            b"\r\n\r\n",
        ];
        let response = rejects(&Config::default(), &head.concat());
        assert_eq!(response.subprotocol(), name);
        assert_eq!(response.header("sec-websocket-protocol"), Some(value));
    }
}

#[test]
fn r042_no_subprotocol() {
    match &answered(&Config::default(), &[]).events[..] {
        [Event::Open(response)] => assert_eq!(response.subprotocol(), None),
        other => panic!("{other:?}"),
    }
    let strict = Config::default().require_subprotocol();
    check_failure(&answered(&strict, &[]), HandshakeError::MissingSubprotocol);
    assert_eq!(answered(&strict, &["chat"]).error(), None);
    // Nothing is required where nothing was offered.
    let outcome = ask(&strict, &uri("ws://h"), &Head::response().bytes());
    assert_eq!(outcome.state, State::Open);
}

#[test]
fn r043_the_answer_of_the_rfc() {
    // §1.3, with the key of this test.
    opens(&Head::response().first("HTTP/1.1 101 Switching Protocols"));
}

#[test]
fn r044_names_in_any_case_and_unknown_ones() {
    let text = format!(
        "HTTP/1.1 101 OK\r\nuPGRADE:websocket\r\nCONNECTION:upgrade\r\nServer: x/1\r\n\
         sec-websocket-ACCEPT:{ACCEPT}\r\nX-Opaque: \u{fc}\r\nSec-WebSocket-Foo:\r\n\r\n"
    );
    let response = opens_bytes(text.as_bytes());
    assert_eq!(response.header("X-OPAQUE"), Some("\u{fc}".as_bytes()));
    assert_eq!(response.header("sec-websocket-foo"), Some(&b""[..]));
    assert_eq!(response.headers().count(), 6);
}

/// A name is known by all of its letters, not by their number.
#[test]
fn r044_unknown_headers_of_every_length() {
    for len in 1..=32 {
        opens(&Head::response().add(&"x".repeat(len), "@;\""));
    }
}

#[test]
fn r045_malformed_lines() {
    let good = String::from_utf8(Head::response().bytes()).unwrap();
    let cases = [
        (
            good.replace("Upgrade:", "Upgrade :"),
            HandshakeError::MalformedHead,
        ),
        (
            good.replace("Upgrade:", " Upgrade:"),
            HandshakeError::MalformedHead,
        ),
        (
            good.replace("Upgrade:", "Up grade:"),
            HandshakeError::MalformedHead,
        ),
        (good.replace("Upgrade:", ":"), HandshakeError::MalformedHead),
        (
            good.replace("Upgrade: ", "Upgrade: \0"),
            HandshakeError::MalformedHead,
        ),
        (
            good.replace("Upgrade: ", "Upgrade "),
            HandshakeError::MalformedHead,
        ),
        (
            good.replace("Upgrade: ", "X: a\rUpgrade: "),
            HandshakeError::InvalidLineEnd,
        ),
        (
            good.replace("Upgrade: ", "X: a\nUpgrade: "),
            HandshakeError::InvalidLineEnd,
        ),
        (
            good.replace("\r\n\r\n", "\r\n\n"),
            HandshakeError::InvalidLineEnd,
        ),
    ];
    for (text, error) in cases {
        fails_bytes(&Config::default(), text.as_bytes(), error);
    }
}

/// T81: RFC 9112 §5.2: a client reads a fold as a space, wherever a response has one.
#[test]
fn r409_t81_folded_lines() {
    // What stands between two words, and what is read.
    for (fold, read) in [
        ("\r\n ", "a b"),
        ("\r\n\t", "a b"),
        (" \t\r\n\t  \t", "a b"),
        ("\r\n \r\n ", "a  b"),
        ("\r\n \r\n\t\r\n x\r\n ", "a   x b"),
        (",\r\n X: ", "a, X: b"),
    ] {
        // At both ends too, where it is whitespace like any other.
        for value in [format!("a{fold}b"), format!("\r\n a{fold}b\r\n\t")] {
            let opened = opens(&Head::response().add("X", &value).add("Y", "z"));
            assert_eq!(opened.header("x"), Some(read.as_bytes()), "{value:?}");
            assert_eq!(opened.header("y"), Some(&b"z"[..]));
            assert_eq!(opened.headers().count(), 5);
        }
    }
    // In the fields of the handshake, in what comes before the answer, and in a refusal.
    let policy = "default-src 'self';\r\n\tconnect-src 'self'";
    let folded = Head::response()
        .set("Upgrade", "\r\n websocket")
        .set("Connection", "keep-alive,\r\n\tUpgrade")
        .set("Sec-WebSocket-Accept", format!("{ACCEPT}\r\n "))
        .add("Content-Security-Policy", policy);
    let early = Head::status("HTTP/1.1 103 Early Hints").add("Link", "</a>,\r\n </b>");
    let opened = opens_bytes(&[early.bytes(), folded.bytes()].concat());
    assert_eq!(
        opened.header("content-security-policy"),
        Some(&b"default-src 'self'; connect-src 'self'"[..])
    );
    let frames = [&folded.bytes()[..], b"\x81\x02hi"].concat();
    assert_eq!(asking(&frames).events[1..], [Event::Text("hi".into())]);
    let refused = Head::status("HTTP/1.1 401 Unauthorized")
        .add("WWW-Authenticate", "Basic\r\n realm=\"x\"")
        .add("Content-Length", "\r\n 2");
    let refused = [&refused.bytes()[..], b"no"].concat();
    let refused = rejects(&Config::default(), &refused);
    assert_eq!(
        (refused.header("www-authenticate"), refused.body()),
        (Some(&b"Basic realm=\"x\""[..]), &b"no"[..])
    );
    // One that is passed on has no fold left.
    let mut ws = Connection::server(Config::default());
    let mut request = Head::request().bytes();
    let _ = ws.receive(&mut &mut request[..]);
    ws.respond(refused).unwrap();
    let text = String::from_utf8(ws.output().to_vec()).unwrap();
    assert!(text.contains("\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"));
}

/// T81: a fold is of a field, and it lifts no limit.
#[test]
fn r409_t81_folds_that_are_none() {
    let good = String::from_utf8(Head::response().bytes()).unwrap();
    for text in [
        good.replace("Upgrade: ", " Upgrade: "),
        good.replace("Upgrade: ", " Upgrade:\r\n "),
        good.replace("101 Switching", "101\r\n Switching"),
        good.replace("Upgrade: ", "\t\r\nUpgrade: "),
        good.replace("Upgrade: ", "Upgrade\r\n : "),
        good.replace("Upgrade: ", "Up\r\n grade: "),
        good.replace("Upgrade: ", "X: a\x0c\r\n b\r\nUpgrade: "),
        good.replace("Upgrade: ", "X: a\r\n \0\r\nUpgrade: "),
    ] {
        fails_bytes(
            &Config::default(),
            text.as_bytes(),
            HandshakeError::MalformedHead,
        );
    }
    for text in ["X: a\n b\r\nUpgrade: ", "X: a\r b\r\nUpgrade: "] {
        let text = good.replace("Upgrade: ", text);
        fails_bytes(
            &Config::default(),
            text.as_bytes(),
            HandshakeError::InvalidLineEnd,
        );
    }
    // Each line of a folded one counts, and so does each byte.
    let folded = Head::response().add("X", "a\r\n b\r\n c").bytes();
    let exact = Config::default().max_headers(6).max_head_size(folded.len());
    let outcome = ask(&exact, &uri("ws://h"), &folded);
    assert_eq!(outcome.state, State::Open);
    fails_bytes(
        &exact.clone().max_headers(5),
        &folded,
        HandshakeError::TooManyHeaders,
    );
    fails_bytes(
        &exact.max_head_size(folded.len() - 1),
        &folded,
        HandshakeError::HeadTooLarge,
    );
    // A server refuses them.
    let request = Head::request().add("X", "a\r\n b").bytes();
    let mut ws = Connection::server(Config::default());
    let error = Error::Handshake(HandshakeError::MalformedHead);
    assert_eq!(
        ws.receive(&mut &mut request.clone()[..]),
        Some(Event::Fail(error))
    );
}

/// T80: RFC 9112 §6.3: a 1xx ends with its empty line, whatever its fields say.
#[test]
fn r046_t80_body_headers_on_a_101() {
    let length = "Content-Length";
    for fields in [
        &[(length, "0")][..],
        &[(length, "5")],
        &[(length, "nonsense")],
        &[(length, "1"), (length, "2")],
        &[("Transfer-Encoding", "chunked")],
        &[("transfer-encoding", "gzip, chunked"), (length, "7")],
    ] {
        let head = fields.iter().fold(Head::response(), |head, (name, value)| {
            head.add(name, value)
        });
        assert!(opens(&head).is_complete());
        // Frames begin at once behind it.
        let outcome = asking(&[&head.bytes()[..], b"\x81\x02hi\x88\x00"].concat());
        assert!(
            matches!(&outcome.events[..], [Event::Open(_), Event::Text(text), Event::Close(_)] if text == "hi"),
            "{outcome:?}"
        );
        // The same holds of interim responses.
        let early = Head::status("HTTP/1.1 103 Early Hints");
        let early = fields
            .iter()
            .fold(early, |head, (name, value)| head.add(name, value));
        opens_bytes(&[early.bytes(), head.bytes()].concat());
    }
}

/// T40.
#[test]
fn r047_frames_behind_the_response() {
    let bytes = [&Head::response().bytes()[..], b"\x81\x02hi\x82\x00\x88\x00"].concat();
    let outcome = asking(&bytes);
    match &outcome.events[..] {
        [
            Event::Open(_),
            Event::Text(text),
            Event::Binary(data),
            Event::Close(_),
        ] => {
            assert_eq!((&text[..], &data[..]), ("hi", &b""[..]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn r048_limits() {
    let head = Head::response().bytes();
    let with_frames = [&head[..], &b"\x81\x01x".repeat(100)].concat();
    let exact = Config::default().max_head_size(head.len()).max_headers(3);
    let outcome = ask(&exact, &uri("ws://h"), &with_frames);
    assert_eq!(outcome.events.len(), 101);
    let smaller = Config::default().max_head_size(head.len() - 1);
    fails_bytes(&smaller, &head, HandshakeError::HeadTooLarge);
    fails_bytes(
        &Config::default().max_headers(2),
        &head,
        HandshakeError::TooManyHeaders,
    );
    fails_bytes(
        &Config::default(),
        &[b"HTTP/1.1 101 ", &b"x".repeat(1 << 15)[..]].concat(),
        HandshakeError::HeadTooLarge,
    );
    // Each head has the limit for itself.
    let interim = Head::status("HTTP/1.1 103 Early Hints")
        .add("A", "")
        .add("B", "")
        .bytes();
    let outcome = ask(
        &exact,
        &uri("ws://h"),
        &[&interim[..], &interim[..], &head[..]].concat(),
    );
    assert_eq!(outcome.state, State::Open);
}

#[test]
fn r049_end_of_stream_in_the_head() {
    let head = Head::response().bytes();
    for cut in 0..head.len() {
        let outcome = asking(&head[..cut]);
        assert_eq!(
            (outcome.events.len(), outcome.state),
            (0, State::Connecting)
        );
        let ending = outcome.ending;
        assert_eq!(
            (ending.code, ending.clean, ending.truncated),
            (1006, false, true)
        );
        assert_eq!(ending.response, None);
    }
}

#[test]
fn r050_text_outside_ascii() {
    let cases = [
        ("Upgrade", HandshakeError::MissingUpgrade),
        ("Connection", HandshakeError::MissingConnection),
        ("Sec-WebSocket-Accept", HandshakeError::InvalidAccept),
        ("Sec-WebSocket-Protocol", HandshakeError::InvalidSubprotocol),
        (
            "Sec-WebSocket-Extensions",
            HandshakeError::InvalidExtensions,
        ),
    ];
    for (name, error) in cases {
        fails(&Head::response().set(name, b"\xff\xc3"), error);
    }
}

#[test]
fn r051_cookies() {
    let with_cookies = |head: Head| head.add("Set-Cookie", "a=b").add("set-cookie", "c=d");
    let opened = opens(&with_cookies(Head::response()));
    let head = with_cookies(Head::status("HTTP/1.1 401 Unauthorized")).add("Content-Length", "0");
    for response in [opened, rejects(&Config::default(), &head.bytes())] {
        let cookies = response
            .headers()
            .filter(|field| field.0.eq_ignore_ascii_case("set-cookie"));
        assert!(cookies.map(|field| field.1).eq([b"a=b", b"c=d"]));
    }
}

#[test]
fn r052_supported_versions() {
    let name = "Sec-WebSocket-Version";
    let head = Head::status("HTTP/1.1 426 Upgrade Required").add("Content-Length", "0");
    let head = head
        .add(name, "13, 8")
        .add(name, "7, x, 256, +1, 08, 255, 0");
    let response = rejects(&Config::default(), &head.bytes());
    assert!(response.supported_versions().eq([13, 8, 7, 255, 0]));
}
