//! The server's side of the opening handshake, RFC 6455 §4.2: rows R060 to R096.

mod drive;
mod handshake_support;

use core::time::Duration;

use drive::*;
use handshake_support::{ACCEPT, Head, KEY, Outcome, accepting, ask, serve};
use sockless::handshake::{HandshakeError, same_origin};
use sockless::{
    ClientRequest, Config, Connection, Ending, Error, Event, Request, Response, SendError, State,
};

fn request(outcome: &Outcome) -> &Request {
    match outcome.events.first() {
        Some(Event::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// The request opens a connection.
fn accepts(head: &Head) -> Outcome {
    accepts_bytes(&head.bytes())
}

fn accepts_bytes(bytes: &[u8]) -> Outcome {
    let outcome = accepting(bytes);
    assert_eq!(outcome.error(), None, "{}", String::from_utf8_lossy(bytes));
    assert!(request(&outcome).is_upgrade());
    assert!(outcome.text().starts_with("HTTP/1.1 101 "));
    assert_eq!(outcome.state, State::Open);
    outcome
}

/// The request is refused with a complete HTTP response.
fn refuses(head: &Head, error: HandshakeError) -> Outcome {
    refuses_bytes(&Config::default(), &head.bytes(), error)
}

fn refuses_bytes(config: &Config, bytes: &[u8], error: HandshakeError) -> Outcome {
    let outcome = serve(config, bytes, |_| panic!("a request came through"));
    let context = String::from_utf8_lossy(bytes);
    assert_eq!(
        outcome.events,
        [Event::Fail(Error::Handshake(error))],
        "{context}"
    );
    let status = error.status().expect("a status");
    let text = outcome.text();
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    assert!(
        head.lines()
            .any(|line| line.starts_with("Connection: ") && line.ends_with("close"))
    );
    assert!(
        head.lines()
            .any(|line| line == format!("Content-Length: {}", body.len())),
        "{text}"
    );
    assert_eq!(outcome.state, State::Closed);
    assert_eq!(outcome.ending.error, Some(Error::Handshake(error)));
    outcome
}

#[test]
fn r060_malformed_heads() {
    let cases: [&[u8]; 6] = [
        b"GET /\r\n\r\n",
        b"GET / HTTP\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n",
    ];
    for case in cases {
        refuses_bytes(&Config::default(), case, HandshakeError::MalformedHead);
    }
}

#[test]
fn r060_one_empty_line_before_the_request() {
    accepts_bytes(&[b"\r\n", &Head::request().bytes()[..]].concat());
}

#[test]
fn r061_method() {
    for method in ["POST", "HEAD", "get", "OPTIONS", "CONNECT"] {
        let head = Head::request().first(&format!("{method} /chat HTTP/1.1"));
        let outcome = refuses(&head, HandshakeError::MethodNotAllowed);
        assert!(outcome.text().contains("\r\nAllow: GET\r\n"));
        // No body, which a HEAD request could not have.
        assert!(outcome.text().ends_with("\r\nContent-Length: 0\r\n\r\n"));
    }
}

/// T75: a target of a form that only OPTIONS or CONNECT has is right for these, and they are refused as
/// methods.
#[test]
fn r402_r061_t75_targets_of_other_methods() {
    for line in [
        "OPTIONS * HTTP/1.1",
        "OPTIONS http://example.com/x HTTP/1.1",
        "CONNECT example.com:443 HTTP/1.1",
        "CONNECT [::1]:80 HTTP/1.1",
    ] {
        for head in [
            Head::request().first(line),
            Head::status(line).add("Host", "example.com"),
        ] {
            let outcome = refuses(&head, HandshakeError::MethodNotAllowed);
            assert!(
                outcome
                    .text()
                    .starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n")
            );
        }
        // The rules for every request come first.
        let head = Head::status(line);
        refuses(&head, HandshakeError::InvalidHost);
    }
    for line in [
        "GET * HTTP/1.1",
        "HEAD * HTTP/1.1",
        "options * HTTP/1.1",
        "OPTIONS ** HTTP/1.1",
        "OPTIONS example.com:443 HTTP/1.1",
        "POST example.com:443 HTTP/1.1",
        "CONNECT example.com HTTP/1.1",
        "CONNECT example.com: HTTP/1.1",
        "CONNECT example.com:443/x HTTP/1.1",
        "CONNECT * HTTP/1.1",
        "CONNECT u@example.com:443 HTTP/1.1",
        "CONNECT http://example.com/ HTTP/1.1",
    ] {
        refuses(&Head::request().first(line), HandshakeError::InvalidTarget);
    }
}

#[test]
fn r062_http_version() {
    for version in ["HTTP/1.0", "HTTP/2.0", "HTTP/3.0", "HTTP/0.9"] {
        let head = Head::request().first(&format!("GET / {version}"));
        refuses(&head, HandshakeError::UnsupportedHttpVersion);
    }
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    refuses_bytes(
        &Config::default(),
        preface,
        HandshakeError::UnsupportedHttpVersion,
    );
    for version in [
        "HTTP/1.10",
        "http/1.1",
        "HTTP/1.",
        "HTTPS/1.1",
        "HTTP/x",
        "HTTP/x.1",
    ] {
        let head = Head::request().first(&format!("GET / {version}"));
        refuses(&head, HandshakeError::MalformedHead);
    }
}

#[test]
fn r063_target_forms() {
    // Target, path, query, host.
    let cases = [
        ("/", "/", None, "example.com"),
        ("/a/b?c=d&e?f", "/a/b", Some("c=d&e?f"), "example.com"),
        ("/?", "/", Some(""), "example.com"),
        ("//x/y", "//x/y", None, "example.com"),
        ("/a?u=http://x/y", "/a", Some("u=http://x/y"), "example.com"),
        ("http://h/p", "/p", None, "h"),
        ("https://h:8443/p?q", "/p", Some("q"), "h:8443"),
        ("HTTP://h", "/", None, "h"),
        ("http://[::1]:80?q/r", "/", Some("q/r"), "[::1]:80"),
    ];
    for (target, path, query, host) in cases {
        let outcome = accepts(&Head::request().first(&format!("GET {target} HTTP/1.1")));
        let request = request(&outcome);
        assert_eq!(
            (
                request.target(),
                request.path(),
                request.query(),
                request.host()
            ),
            (target, path, query, host)
        );
    }
    for target in [
        "*",
        "h:80",
        "h/p",
        "ftp://h/p",
        "http:///p",
        "http://u@h/p",
        "http://",
        "?q",
    ] {
        let head = Head::request().first(&format!("GET {target} HTTP/1.1"));
        refuses(&head, HandshakeError::InvalidTarget);
    }
}

#[test]
fn r064_host() {
    for host in [
        "h",
        "example.com:8080",
        "[::1]",
        "[2001:db8::1]:443",
        "127.0.0.1",
        "h:",
        "%41",
    ] {
        assert_eq!(
            request(&accepts(&Head::request().set("Host", host))).host(),
            host
        );
    }
    refuses(&Head::request().remove("Host"), HandshakeError::InvalidHost);
    refuses(
        &Head::request().add("Host", "example.com"),
        HandshakeError::InvalidHost,
    );
    let cases = [
        "", ":80", "a b", "a, b", "u@h", "h/p", "h:x", "h:65536", "h:+80", "[::1", "[h]", "%00.h",
        "%2F", "%4", "%4g", "%g4", "%gg",
    ];
    for host in cases {
        refuses(
            &Head::request().set("Host", host),
            HandshakeError::InvalidHost,
        );
    }
    refuses(
        &Head::request().set("Host", b"b\xfccher.example"),
        HandshakeError::InvalidHost,
    );
}

#[test]
fn r065_upgrade() {
    for upgrade in [
        "websocket",
        "WebSocket",
        "h2c, websocket",
        ",websocket,",
        "websocket, websocket",
        "\tWEBSOCKET ",
    ] {
        accepts(&Head::request().set("Upgrade", upgrade));
    }
    accepts(
        &Head::request()
            .set("Upgrade", "h2c")
            .add("upgrade", "websocket"),
    );
    let cases = ["", "h2c", "websockets", "notwebsocket", "websocket/13"];
    for malformed in ["web socket", "websocket;"] {
        // R060: no list of protocols at all.
        refuses(
            &Head::request().set("Upgrade", malformed),
            HandshakeError::MalformedHead,
        );
    }
    for upgrade in cases {
        let outcome = refuses(
            &Head::request().set("Upgrade", upgrade),
            HandshakeError::MissingUpgrade,
        );
        assert!(outcome.text().contains("\r\nUpgrade: websocket\r\n"));
        assert!(
            outcome
                .text()
                .contains("\r\nConnection: Upgrade, close\r\n")
        );
        assert!(outcome.text().contains("\r\nSec-WebSocket-Version: 13\r\n"));
    }
    refuses(
        &Head::request().remove("Upgrade"),
        HandshakeError::MissingUpgrade,
    );
}

#[test]
fn r065_plain_http() {
    let config = Config::default().serve_plain_http();
    let plain = |first: &str| Head::status(first).add("Host", "example.com").bytes();
    let page = |ws: &mut Connection| {
        assert_eq!(ws.accept(Response::default()), Err(SendError::NotUpgrade));
        ws.respond(Response::new(200).with_html("<p>hi")).unwrap();
    };
    let outcome = serve(&config, &plain("GET /index.html HTTP/1.1"), page);
    assert!(!request(&outcome).is_upgrade());
    assert_eq!(
        outcome.text(),
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: 5\r\n\r\n<p>hi"
    );
    assert_eq!(outcome.state, State::Closed);

    // The answer to HEAD states the length of a body that it does not have.
    let outcome = serve(&config, &plain("HEAD / HTTP/1.1"), page);
    assert_eq!(request(&outcome).method(), "HEAD");
    assert!(outcome.text().ends_with("\r\nContent-Length: 5\r\n\r\n"));

    // HTTP/1.0 may ask for a page, even without a host, but not for a WebSocket.
    let outcome = serve(&config, b"GET / HTTP/1.0\r\n\r\n", page);
    assert_eq!(
        (request(&outcome).host(), request(&outcome).is_upgrade()),
        ("", false)
    );
    let upgrade = Head::request().first("GET / HTTP/1.0").bytes();
    refuses_bytes(&config, &upgrade, HandshakeError::UnsupportedHttpVersion);

    let other = Head::request().set("Upgrade", "h2c").bytes();
    assert!(!request(&serve(&config, &other, page)).is_upgrade());
    assert!(request(&serve(&config, &Head::request().bytes(), |_| {})).is_upgrade());
    let refused = [
        (
            Head::request().first("HEAD / HTTP/1.1").bytes(),
            HandshakeError::MethodNotAllowed,
        ),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            HandshakeError::InvalidHost,
        ),
        (
            Head::request()
                .remove("Upgrade")
                .add("Content-Length", "1")
                .bytes(),
            HandshakeError::UnexpectedBody,
        ),
    ];
    for (bytes, error) in refused {
        refuses_bytes(&config, &bytes, error);
    }
    // Without the option it is the first rule that such a request breaks.
    let bytes = plain("GET / HTTP/1.1");
    refuses_bytes(&Config::default(), &bytes, HandshakeError::MissingUpgrade);
}

/// T79: what a load balancer or a tool asks is the caller's to answer, but for bodies and tunnels.
#[test]
fn r407_t79_plain_requests_of_every_method() {
    let config = Config::default().serve_plain_http();
    for line in [
        "OPTIONS * HTTP/1.0",
        "OPTIONS * HTTP/1.1",
        "OPTIONS / HTTP/1.0",
        "OPTIONS http://example.com HTTP/1.1",
        "HEAD /health HTTP/1.1",
        "POST / HTTP/1.1",
        "PUT /a HTTP/1.1",
        "DELETE /a HTTP/1.1",
        "PATCH / HTTP/1.1",
        "TRACE / HTTP/1.1",
        "get / HTTP/1.1",
    ] {
        let head = Head::status(line)
            .add("Host", "example.com")
            .add("Content-Length", "0");
        let outcome = serve(&config, &head.bytes(), |ws| {
            ws.respond(Response::new(200).with_text("fine")).unwrap()
        });
        let request = request(&outcome);
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!((request.method(), request.target()), (words[0], words[1]));
        assert!(!request.is_upgrade());
        assert_eq!(request.host(), "example.com", "{line}");
        if words[1] == "*" {
            assert_eq!((request.path(), request.query()), ("*", None));
        } else {
            assert!(request.path().starts_with('/'));
        }
        let text = outcome.text();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 4\r\n"), "{text}");
        let has_body = text.ends_with("\r\n\r\nfine");
        assert_eq!(has_body, words[0] != "HEAD", "{text}");
        assert_eq!(outcome.state, State::Closed);
        // A body is refused, whatever the method.
        let body = head.set("Content-Length", "3");
        refuses_bytes(&config, &body.bytes(), HandshakeError::UnexpectedBody);
        // Who asks for a WebSocket does so with GET.
        if words[2] == "HTTP/1.1" {
            let upgrade = Head::request().first(line).bytes();
            refuses_bytes(&config, &upgrade, HandshakeError::MethodNotAllowed);
            let bytes = Head::status(line).add("Host", "example.com").bytes();
            refuses_bytes(&Config::default(), &bytes, HandshakeError::MethodNotAllowed);
        }
    }
    let tunnel = Head::status("CONNECT example.com:443 HTTP/1.1").add("Host", "example.com");
    refuses_bytes(&config, &tunnel.bytes(), HandshakeError::MethodNotAllowed);
}

/// What browsers leave in a query as it is (the WHATWG's query percent-encode set), a server takes.
#[test]
fn r408_targets_that_browsers_send() {
    for target in ["/?a|b^{c}[d]`\\'", "/a|b[c]^", "/?%zz&50%", "/?\"<>"] {
        let outcome = accepts(&Head::request().first(&format!("GET {target} HTTP/1.1")));
        assert_eq!(request(&outcome).target(), target);
    }
}

/// T33: lists, several lines, mixed case, and no substrings.
#[test]
fn r065_r066_said_twice_is_said() {
    for (name, value) in [("Upgrade", "websocket"), ("Connection", "upgrade")] {
        accepts(&Head::request().set(name, value).add(name, value));
    }
}

#[test]
fn r066_connection() {
    for connection in [
        "upgrade",
        "UPGRADE",
        "keep-alive, Upgrade",
        "Upgrade,keep-alive",
        "upgrade, upgrade",
        ", upgrade",
    ] {
        accepts(&Head::request().set("Connection", connection));
    }
    accepts(
        &Head::request()
            .set("Connection", "keep-alive")
            .add("connection", "upgrade"),
    );
    for connection in [
        "",
        "close",
        "notupgrade",
        "upgrades",
        "up grade",
        "upgrade;q=1",
        "upgrade, @",
    ] {
        let head = Head::request().set("Connection", connection);
        refuses(&head, HandshakeError::MissingConnection);
    }
    refuses(
        &Head::request().remove("Connection"),
        HandshakeError::MissingConnection,
    );
}

/// T35.
#[test]
fn r067_key() {
    for key in [
        "dGhlIHNhbXBsZSBub25jZQ==",
        "Ia3dQjfWrAug/6qm7mTZOg==",
        "++++++++++++++++////+w==",
    ] {
        accepts(&Head::request().set("Sec-WebSocket-Key", key));
    }
    let long = "A".repeat(8000);
    let cases = [
        "",
        "AQIDBAUGBwgJCgsMDQ4PE===", // 22 characters of text expected, 21 here
        "AQIDBAUGBwgJCgsMDQ4PEA=",  // 23 characters
        "AQIDBAUGBwgJCgsMDQ4PEAA==", // 25 characters
        "AQIDBAUGBwgJCgsMDQ4PEA",   // no padding
        "AQIDBAUGBwgJCgsMDQ4P",     // 15 bytes
        "AQIDBAUGBwgJCgsMDQ4PEBE=", // 17 bytes
        "AQIDBAUGBwgJCgsMDQ4PEBES", // 18 bytes
        "AQIDBAUGBwgJ_gsMDQ4PEA==", // the alphabet of URLs
        "AQIDBAUGBwgJ CgsMDQ4PA==",
        "AQIDBAUGBwgJCg==DQ4PEA==",
        "========================",
        &long,
    ];
    for key in cases {
        refuses(
            &Head::request().set("Sec-WebSocket-Key", key),
            HandshakeError::InvalidKey,
        );
    }
    refuses(
        &Head::request().remove("Sec-WebSocket-Key"),
        HandshakeError::InvalidKey,
    );
}

#[test]
fn r068_repeated_key() {
    refuses(
        &Head::request().add("sec-websocket-key", KEY),
        HandshakeError::RepeatedKey,
    );
    let joined = Head::request().set("Sec-WebSocket-Key", format!("{KEY}, {KEY}"));
    refuses(&joined, HandshakeError::RepeatedKey);
}

#[test]
fn r069_key_with_pad_bits() {
    let outcome = accepts(&Head::request().set("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEC=="));
    assert!(
        outcome
            .text()
            .contains("Sec-WebSocket-Accept: OfS0wDaT5NoxF2gqm7Zj2YtetzM=\r\n")
    );
}

/// T37.
#[test]
fn r070_other_versions() {
    for version in ["0", "7", "8", "14", "25", "255"] {
        let head = Head::request().set("Sec-WebSocket-Version", version);
        let outcome = refuses(&head, HandshakeError::UnsupportedVersion);
        assert!(outcome.text().contains("\r\nSec-WebSocket-Version: 13\r\n"));
        assert!(outcome.text().contains("\r\nUpgrade: websocket\r\n"));
    }
}

#[test]
fn r071_malformed_versions() {
    for version in [
        "", "013", "+13", "-13", "13.0", "256", "1300", "13, 13", "13, 8", "x", "0x0d",
    ] {
        let head = Head::request().set("Sec-WebSocket-Version", version);
        let outcome = refuses(&head, HandshakeError::InvalidVersion);
        assert!(outcome.text().contains("\r\nSec-WebSocket-Version: 13\r\n"));
    }
    let name = "Sec-WebSocket-Version";
    refuses(
        &Head::request().remove(name),
        HandshakeError::InvalidVersion,
    );
    refuses(
        &Head::request().add(name, "13"),
        HandshakeError::InvalidVersion,
    );
    accepts(&Head::request().set(name, " \t13 \t"));
}

#[test]
fn r072_subprotocols() {
    let name = "Sec-WebSocket-Protocol";
    let outcome = accepts(
        &Head::request()
            .add(name, "b, a")
            .add(name, ",c ,")
            .add(name, ""),
    );
    assert!(request(&outcome).subprotocols().eq(["b", "a", "c"]));
    assert_eq!(
        request(&accepts(&Head::request())).subprotocols().count(),
        0
    );
    for list in ["", ",", "a b", "a;b", "a/b", "\"a\"", "a, (b)", "caf\u{e9}"] {
        refuses(
            &Head::request().add(name, list),
            HandshakeError::InvalidSubprotocols,
        );
    }
}

#[test]
fn r073_repeated_subprotocol() {
    let name = "Sec-WebSocket-Protocol";
    refuses(
        &Head::request().add(name, "a, b, a"),
        HandshakeError::RepeatedSubprotocol,
    );
    let lines = Head::request().add(name, "a").add(name, "a");
    refuses(&lines, HandshakeError::RepeatedSubprotocol);
    // RFC 7936: case makes a difference.
    accepts(&Head::request().add(name, "chat, Chat"));
}

/// T39: an offer that is not wanted does not fail the handshake.
#[test]
fn r074_extensions() {
    let name = "Sec-WebSocket-Extensions";
    let fine = [
        "permessage-deflate; client_max_window_bits",
        "x; a=\"b\", y, z;q=1",
        "a,,b",
    ];
    for offers in fine {
        let outcome = accepts(&Head::request().add(name, offers));
        assert!(
            !outcome.text().contains("Extensions"),
            "nothing is agreed to"
        );
    }
    for offers in [
        "",
        ",,,",
        "a;",
        "a=b",
        ";b",
        "a;b=",
        "a; b=\"\"",
        "a; b=\"c d\"",
        "a b",
    ] {
        refuses(
            &Head::request().add(name, offers),
            HandshakeError::InvalidExtensions,
        );
    }
}

#[test]
fn r075_unknown_headers() {
    let head = Head::request()
        .add("X-Anything", b"\xff\xfe opaque")
        .add("Sec-WebSocket-Foo", "1");
    let outcome = accepts(&head.add("COOKIE", " a=b ").add("cookie", "c=d"));
    let request = request(&outcome);
    assert_eq!(request.header("x-anything"), Some(&b"\xff\xfe opaque"[..]));
    assert_eq!(request.header("Cookie"), Some(&b"a=b"[..]));
    assert_eq!(request.header("x-nothing"), None);
    assert_eq!(request.headers().count(), 9);
    assert_eq!(request.headers().last(), Some(("cookie", &b"c=d"[..])));
    assert_eq!(request.method(), "GET");
}

/// A name is known by all of its letters, not by their number.
#[test]
fn r075_unknown_headers_of_every_length() {
    for len in 1..=32 {
        let outcome = accepts(&Head::request().add(&"x".repeat(len), "@;\""));
        assert!(request(&outcome).is_upgrade());
    }
}

#[test]
fn r076_origin() {
    let check = |ws: &mut Connection| ws.respond(Response::new(403)).unwrap();
    let head = Head::request().add("Origin", "https://evil.example");
    let outcome = serve(&Config::default(), &head.bytes(), check);
    let origin = request(&outcome).origin().unwrap();
    assert!(!same_origin(origin, "https://example.com"));
    assert!(
        outcome
            .text()
            .starts_with("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n")
    );
    assert_eq!(request(&accepts(&Head::request())).origin(), None);
    let repeated = head.add("Origin", "https://example.com");
    refuses(&repeated, HandshakeError::InvalidOrigin);
}

#[test]
fn r077_r078_answers_of_the_caller() {
    type Answer = fn(&mut Connection);
    let cases: [(Answer, &str); 3] = [
        (
            |ws| {
                ws.respond(Response::new(404).with_text("no such room"))
                    .unwrap()
            },
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\r\nno such room",
        ),
        (
            |ws| {
                let challenge = Response::new(401).with_header("WWW-Authenticate", "Basic");
                ws.respond(challenge.unwrap()).unwrap();
            },
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\
             WWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            |ws| {
                let location = Response::new(307).with_header("Location", "/other");
                ws.respond(location.unwrap()).unwrap();
            },
            "HTTP/1.1 307 Temporary Redirect\r\nConnection: close\r\n\
             Location: /other\r\nContent-Length: 0\r\n\r\n",
        ),
    ];
    for (answer, text) in cases {
        let outcome = serve(&Config::default(), &Head::request().bytes(), answer);
        assert_eq!(outcome.text(), text);
        assert_eq!((outcome.state, outcome.ending.error), (State::Closed, None));
    }
}

/// T42.
#[test]
fn r079_bodies() {
    for length in ["1", "5", "00001", "99999999999999999999999999"] {
        let head = Head::request().add("Content-Length", length);
        refuses(&head, HandshakeError::UnexpectedBody);
    }
    for coding in ["chunked", "identity", ""] {
        let head = Head::request().add("Transfer-Encoding", coding);
        refuses(&head, HandshakeError::UnexpectedBody);
    }
    for length in ["", "+0", "-1", "0, 0", "0x0", "1 2"] {
        let head = Head::request().add("Content-Length", length);
        refuses(&head, HandshakeError::InvalidContentLength);
    }
    let zero = Head::request().add("Content-Length", "0");
    accepts(&zero);
    refuses(
        &zero.add("Content-Length", "0"),
        HandshakeError::InvalidContentLength,
    );
}

#[test]
fn r080_expectation() {
    let head = Head::request().add("Expect", "100-continue");
    refuses(&head, HandshakeError::UnsupportedExpectation);
}

#[test]
fn r081_line_ends() {
    let good = String::from_utf8(Head::request().bytes()).unwrap();
    let cases = [
        good.replace("\r\n", "\n"),
        good.replacen("\r\n", "\n", 1),
        good.replace("Host: ", "Host: a\nX: "),
        good.replace("Host: ", "Host: a\nX: b\nY: "),
        good.replace("Host: ", "Host: a\rX: "),
        good.replace("\r\n\r\n", "\r\n\r\r\n"),
        good.replace("\r\n\r\n", "\r\n\n"),
        "\n".into(),
        "\ra".into(),
    ];
    for case in cases {
        refuses_bytes(
            &Config::default(),
            case.as_bytes(),
            HandshakeError::InvalidLineEnd,
        );
    }
}

#[test]
fn r081_a_bad_line_end_is_refused_at_once() {
    for (bytes, last) in [
        ("GET / HTTP/1.1", '\n'),
        ("GET / HTTP/1.1\r", 'x'),
        ("", '\n'),
    ] {
        let mut ws = Connection::server(Config::default());
        assert_eq!(
            ws.receive(&mut &mut bytes.to_owned().into_bytes()[..]),
            None
        );
        let error = Error::Handshake(HandshakeError::InvalidLineEnd);
        assert_eq!(
            ws.receive(&mut &mut [last as u8][..]),
            Some(Event::Fail(error))
        );
    }
}

#[test]
fn r081_malformed_lines() {
    let good = String::from_utf8(Head::request().bytes()).unwrap();
    let cases = [
        good.replace("Host:", "Host :"),
        good.replace("Host:", " Host:"),
        good.replace("Upgrade: websocket", "Upgrade: websocket\r\n folded: yes"),
        good.replace("Upgrade: websocket", "Upgrade:\r\n\twebsocket"),
        good.replace("Host:", "Ho st:"),
        good.replace("Host:", ":"),
        good.replace("Host:", "H\u{f6}st:"),
        good.replace("example.com", "example\0.com"),
        good.replace("example.com", "example\x01.com"),
        good.replace("example.com", "example\x7f.com"),
        good.replace("/chat", "/ch\0at"),
        good.replace("/chat", "/ch\x7fat"),
        good.replace("/chat", "/ch at"),
        good.replace("/chat", "/ch\tat"),
    ];
    for case in cases {
        refuses_bytes(
            &Config::default(),
            case.as_bytes(),
            HandshakeError::MalformedHead,
        );
    }
    for target in ["/caf\u{e9}", "/chat#top", "/#"] {
        let head = Head::request().first(&format!("GET {target} HTTP/1.1"));
        refuses(&head, HandshakeError::InvalidTarget);
    }
}

#[test]
fn r082_head_size_is_exact() {
    let head = Head::request().bytes();
    let exact = Config::default().max_head_size(head.len());
    // What follows the head does not count.
    let with_frames = [&head[..], &b"\x81\x80\0\0\0\0".repeat(100)].concat();
    let outcome = serve(&exact, &with_frames, |ws| {
        ws.accept(Response::default()).unwrap()
    });
    assert_eq!(outcome.events.len(), 101);
    // Nor does the empty line before it.
    let outcome = serve(&exact, &[b"\r\n", &head[..]].concat(), |_| {});
    assert!(request(&outcome).is_upgrade());
    let smaller = Config::default().max_head_size(head.len() - 1);
    refuses_bytes(&smaller, &head, HandshakeError::HeadTooLarge);
    refuses_bytes(
        &Config::default().max_head_size(0),
        &head,
        HandshakeError::TargetTooLong,
    );
    refuses_bytes(
        &Config::default(),
        &b"a".repeat(1 << 15),
        HandshakeError::TargetTooLong,
    );
    let long = Head::request().add("X", "a".repeat(1 << 15)).bytes();
    refuses_bytes(&Config::default(), &long, HandshakeError::HeadTooLarge);
}

#[test]
fn r082_head_is_refused_with_the_byte_that_is_too_much() {
    let mut ws = Connection::server(Config::default().max_head_size(100));
    assert_eq!(ws.receive(&mut &mut [b'a'; 100][..]), None);
    let error = Error::Handshake(HandshakeError::TargetTooLong);
    assert_eq!(ws.receive(&mut &mut [b'a'][..]), Some(Event::Fail(error)));
}

#[test]
fn r082_header_lines_are_counted() {
    let with = |lines: usize| {
        (5..lines)
            .fold(Head::request(), |head, n| head.add(&format!("X-{n}"), ""))
            .bytes()
    };
    accepts_bytes(&with(100));
    refuses_bytes(
        &Config::default(),
        &with(101),
        HandshakeError::TooManyHeaders,
    );
    let config = Config::default().max_headers(5);
    assert!(request(&serve(&config, &with(5), |_| {})).is_upgrade());
    refuses_bytes(&config, &with(6), HandshakeError::TooManyHeaders);
    // Larger limits count as 128.
    let config = Config::default().max_headers(usize::MAX);
    assert!(request(&serve(&config, &with(128), |_| {})).is_upgrade());
    refuses_bytes(&config, &with(129), HandshakeError::TooManyHeaders);
}

/// T32: a long head is not parsed again and again.
#[test]
fn r083_a_head_of_megabytes_byte_by_byte() {
    let limit = 4 << 20;
    let mut ws = Connection::server(Config::default().max_head_size(limit));
    let long = Head::request().add("X", "a".repeat(limit - 200)).bytes();
    for byte in long {
        if let Some(event) = ws.receive(&mut &mut [byte][..]) {
            assert!(matches!(event, Event::Request(_)));
            return;
        }
    }
    panic!("no request");
}

#[test]
fn r084_frames_before_the_answer() {
    let mut bytes = [&Head::request().bytes()[..], b"\x81\x82\0\0\0\0hi"].concat();
    let mut ws = Connection::server(Config::default());
    let mut input = &mut bytes[..];
    assert!(matches!(ws.receive(&mut input), Some(Event::Request(_))));
    assert_eq!(ws.receive(&mut input), None);
    assert_eq!(ws.output(), b"", "nothing before the answer");
    ws.accept(Response::default()).unwrap();
    assert_eq!(ws.receive(&mut input), Some(Event::Text("hi".into())));

    // Limited, and dropped after a refusal.
    let config = Config::default().max_early_data(8);
    let outcome = serve(&config, &bytes_with_early(8), |_| {});
    assert!(request(&outcome).is_upgrade());
    let outcome = serve(&config, &bytes_with_early(9), |_| {});
    assert_eq!(outcome.error(), Some(HandshakeError::TooMuchEarlyData));
    assert!(outcome.text().starts_with("HTTP/1.1 400 "));
    let refuse = |ws: &mut Connection| ws.respond(Response::new(503)).unwrap();
    let outcome = serve(&Config::default(), &bytes_with_early(9), refuse);
    assert_eq!(outcome.events.len(), 1);
}

fn bytes_with_early(size: usize) -> Vec<u8> {
    [
        Head::request().bytes(),
        b"\x81\x82\0\0\0\0hi!".get(..size).unwrap().to_vec(),
    ]
    .concat()
}

#[test]
fn r085_deadline() {
    let second = Duration::from_secs(1);
    let mut ws = Connection::server(Config::default().handshake_timeout(second));
    assert_eq!(ws.tick(Duration::ZERO), Some(second));
    let mut start = b"GET / HTTP/1.1\r\n".to_vec();
    assert_eq!(ws.receive(&mut &mut start[..]), None);
    // What trickles in does not move the deadline.
    assert_eq!(ws.tick(second / 2), Some(second));
    let error = Error::Handshake(HandshakeError::Timeout);
    assert_eq!(ws.missed(second), Event::Fail(error));
    assert!(ws.output().starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
}

#[test]
fn r086_end_of_stream_in_the_head() {
    let head = Head::request().bytes();
    for cut in 0..head.len() {
        let outcome = serve(&Config::default(), &head[..cut], |_| panic!("not complete"));
        assert_eq!((outcome.events.len(), outcome.output.len()), (0, 0));
        assert_eq!((outcome.ending.code, outcome.ending.clean), (1006, false));
    }
}

#[test]
fn r087_text_outside_ascii() {
    let head = Head::request().add("Origin", b"https://caf\xe9.example");
    refuses(&head, HandshakeError::InvalidOrigin);
    let head = Head::request().add("Sec-WebSocket-Protocol", b"\xff");
    refuses(&head, HandshakeError::InvalidSubprotocols);
    let head = Head::request().set("Sec-WebSocket-Key", b"\xff");
    refuses(&head, HandshakeError::InvalidKey);
    let head = Head::request().set("Sec-WebSocket-Version", b"\xff");
    refuses(&head, HandshakeError::InvalidVersion);
}

#[test]
fn r090_acceptance() {
    assert_eq!(
        accepts(&Head::request()).text(),
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        )
    );
}

fn answer_of(
    head: &Head,
    answer: impl FnOnce(&mut Connection) -> Result<(), SendError>,
) -> Result<String, SendError> {
    let mut ws = Connection::server(Config::default());
    let mut bytes = head.bytes();
    assert!(matches!(
        ws.receive(&mut &mut bytes[..]),
        Some(Event::Request(_))
    ));
    let result = answer(&mut ws);
    if result.is_err() {
        // The caller's mistake changes nothing: the request can still be answered.
        assert_eq!(ws.output(), b"");
        assert_eq!(ws.accept(Response::default()), Ok(()));
    }
    result.map(|()| String::from_utf8(ws.output().to_vec()).unwrap())
}

#[test]
fn r091_subprotocol() {
    let head = Head::request()
        .add("Sec-WebSocket-Protocol", "a, chat")
        .add("Sec-WebSocket-Protocol", "c");
    let choosing = |name: &str| {
        let request = request_of(&head);
        Response::default().with_subprotocol(&request, |offered| offered == name)
    };
    let text = answer_of(&head, |ws| ws.accept(choosing("chat"))).unwrap();
    assert_eq!(text.matches("Sec-WebSocket-Protocol: chat\r\n").count(), 1);
    for none in [
        choosing("Chat"),
        choosing(""),
        choosing("a, chat"),
        Response::default(),
    ] {
        assert_eq!(none.subprotocol(), None);
        let text = answer_of(&head, |ws| ws.accept(none)).unwrap();
        assert!(!text.contains("Protocol: "));
    }
    // The client's order, and the last call counts.
    let request = request_of(&head);
    let response = Response::default().with_subprotocol(&request, |_| true);
    assert_eq!(response.subprotocol(), Some("a"));
    let response = response.with_subprotocol(&request, |name| name != "a");
    assert_eq!(response.subprotocol(), Some("chat"));
    // One that was chosen for another request.
    for other in [
        Head::request(),
        Head::request().add("Sec-WebSocket-Protocol", "a"),
    ] {
        let refused = answer_of(&other, |ws| ws.accept(choosing("chat")));
        assert_eq!(refused, Err(SendError::SubprotocolNotOffered));
    }
}

fn request_of(head: &Head) -> Box<Request> {
    let mut ws = Connection::server(Config::default());
    match ws.receive(&mut &mut head.bytes()[..]) {
        Some(Event::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn r092_no_extension_unasked() {
    // The header is not the caller's to write.
    let added = Response::default().with_header("Sec-WebSocket-Extensions", "permessage-deflate");
    assert!(added.is_err());
    assert!(!accepts(&Head::request()).text().contains("Extensions"));
}

#[test]
fn r093_headers_of_the_acceptance() {
    let text = answer_of(&Head::request(), |ws| {
        ws.accept(
            Response::default()
                .with_header("Set-Cookie", "a=b")
                .unwrap(),
        )
    });
    assert!(text.unwrap().ends_with("=\r\nSet-Cookie: a=b\r\n\r\n"));
    let body = answer_of(&Head::request(), |ws| {
        ws.accept(Response::default().with_body("x"))
    });
    assert_eq!(body, Err(SendError::UnexpectedBody));
}

#[test]
fn r093_a_response_that_is_passed_on() {
    let upstream = Head::response()
        .add("Sec-WebSocket-Protocol", "chat")
        .add("Set-Cookie", "a=b");
    let request = ClientRequest::new("ws://h")
        .unwrap()
        .with_subprotocol("chat")
        .unwrap();
    let mut outcome = ask(&Config::default(), &request, &upstream.bytes());
    let Some(Event::Open(received)) = outcome.events.pop() else {
        panic!("not open")
    };

    let mut ws = Connection::server(Config::default());
    let head = Head::request().set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let mut bytes = head.add("Sec-WebSocket-Protocol", "chat").bytes();
    assert!(ws.receive(&mut &mut bytes[..]).is_some());
    ws.accept(*received).unwrap();
    assert_eq!(
        String::from_utf8_lossy(ws.output()),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
         Set-Cookie: a=b\r\n\r\n"
    );

    let upstream = "HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\
                    WWW-Authenticate: Basic\r\n\r\n3\r\nno!\r\n0\r\n\r\n";
    let mut outcome = ask(&Config::default(), &request, upstream.as_bytes());
    let Some(Event::Rejected(received)) = outcome.events.pop() else {
        panic!("not rejected")
    };
    let mut ws = Connection::server(Config::default());
    assert!(ws.receive(&mut &mut Head::request().bytes()[..]).is_some());
    ws.respond(*received).unwrap();
    assert_eq!(
        String::from_utf8_lossy(ws.output()),
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nWWW-Authenticate: Basic\r\n\
         Content-Length: 3\r\n\r\nno!"
    );
}

#[test]
fn r094_frames_follow_at_once() {
    let mut ws = Connection::server(Config::default());
    let mut bytes = Head::request().bytes();
    assert!(ws.receive(&mut &mut bytes[..]).is_some());
    assert_eq!(ws.send_text("early"), Err(SendError::Connecting));
    ws.accept(Response::default()).unwrap();
    assert_eq!(ws.state(), State::Open);
    ws.send_text("hi").unwrap();
    assert!(ws.output().ends_with(b"\r\n\r\n\x81\x02hi"));
}

#[test]
fn r095_status_of_a_refusal() {
    // The status says which answer it is.
    let mut ws = Connection::server(Config::default());
    let mut bytes = Head::request().bytes();
    assert!(ws.receive(&mut &mut bytes[..]).is_some());
    ws.respond(Response::default()).unwrap();
    assert_eq!(ws.state(), State::Open);
    for status in [0, 100, 103, 200, 204, 299, 600, 999, u16::MAX] {
        let mut ws = Connection::server(Config::default());
        let mut bytes = Head::request().bytes();
        assert!(ws.receive(&mut &mut bytes[..]).is_some());
        assert_eq!(
            ws.respond(Response::new(status)),
            Err(SendError::InvalidStatus)
        );
        assert_eq!(ws.output(), b"");
        if status != 101 {
            assert_eq!(
                ws.accept(Response::new(status)),
                Err(SendError::InvalidStatus)
            );
        }
        assert_eq!(ws.accept(Response::default()), Ok(()));
    }
    let text = answer_of(&Head::request(), |ws| ws.respond(Response::new(599))).unwrap();
    assert_eq!(
        text,
        "HTTP/1.1 599 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    let text = answer_of(&Head::request(), |ws| ws.respond(Response::new(304))).unwrap();
    assert_eq!(
        text,
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    );
    let text = answer_of(&Head::request(), |ws| ws.respond(Response::new(426))).unwrap();
    assert!(text.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"));
    assert!(text.contains("\r\nSec-WebSocket-Version: 13\r\n"));
    let body = answer_of(&Head::request(), |ws| {
        ws.respond(Response::new(304).with_body("x"))
    });
    assert_eq!(body, Err(SendError::UnexpectedBody));
}

#[test]
fn r096_one_answer() {
    let mut ws = Connection::server(Config::default());
    assert_eq!(ws.accept(Response::default()), Err(SendError::NoRequest));
    assert_eq!(ws.respond(Response::new(404)), Err(SendError::NoRequest));
    let mut bytes = Head::request().bytes();
    assert!(ws.receive(&mut &mut bytes[..]).is_some());
    assert_eq!(ws.respond(Response::new(404)), Ok(()));
    assert_eq!(ws.accept(Response::default()), Err(SendError::NoRequest));
    assert_eq!(ws.respond(Response::new(404)), Err(SendError::NoRequest));
}

/// R084, T40: what came before a late answer is received before what comes after it, wherever the
/// answer falls, and however whole the later message is.
#[test]
fn r084_early_bytes_come_before_later_ones() {
    let masked = |text: &[u8]| {
        let mut bytes = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        bytes.extend(text);
        bytes
    };
    let wire = [
        masked(b"first message"),
        masked(b"second message"),
        masked(b"third message"),
    ]
    .concat();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for early in 0..=wire.len() {
        let mut ws = Connection::server(Config::default());
        let mut bytes = [&request[..], &wire[..early]].concat();
        let mut input = &mut bytes[..];
        assert!(matches!(ws.receive(&mut input), Some(Event::Request(_))));
        assert!(ws.receive(&mut input).is_none());
        ws.accept(Response::default()).unwrap();
        let mut rest = wire[early..].to_vec();
        let mut input = &mut rest[..];
        let mut texts = Vec::new();
        while let Some(event) = ws.receive(&mut input) {
            match event {
                Event::Text(text) => texts.push(text.into_owned()),
                other => panic!("{other:?} after {early} early bytes"),
            }
        }
        assert_eq!(
            texts,
            ["first message", "second message", "third message"],
            "{early}"
        );
    }
}

/// R049, R056, T63: a client that goes before it sends a byte has broken nothing; one that goes in the
/// middle of its request has.
#[test]
fn r056_t63_a_probe_is_told_from_a_cut_request() {
    type How = fn(&mut Connection) -> Ending;
    let ways: [How; 2] = [Connection::end_of_stream, Connection::transport_reset];
    for (reset, end) in [false, true].into_iter().zip(ways) {
        let mut ws = Connection::server(Config::default());
        assert!(ws.receive(&mut &mut [][..]).is_none());
        let ending = end(&mut ws);
        assert_eq!((ending.error, ending.truncated), (None, false));
        assert_eq!(
            (ending.opened, ending.clean, ending.code),
            (false, false, 1006)
        );
        assert_eq!(ending.reset, reset);
        let text = if reset {
            "transport was reset: 1006 (abnormal)"
        } else {
            "transport ended before a request: 1006 (abnormal)"
        };
        assert_eq!(ending.to_string(), text);
        assert!(std::io::Result::from(ending).is_ok());

        for cut in ["G", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            let mut ws = Connection::server(Config::default());
            let mut bytes = cut.as_bytes().to_vec();
            assert!(ws.receive(&mut &mut bytes[..]).is_none());
            let ending = end(&mut ws);
            let error = Some(Error::Handshake(HandshakeError::EndOfStream));
            assert_eq!((ending.error, ending.truncated), (error, true));
            assert!(std::io::Result::from(ending).is_err());
        }
    }
}
