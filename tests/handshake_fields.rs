//! The handshake's checks over header fields, for foreign HTTP stacks, and the grammar of lists:
//! rows R100 to R108, the origin of R076, and the vectors.

use sockless::handshake::{
    Agreed, HandshakeError, HttpVersion, Offer, accept_key, check_request, extensions, same_origin,
};

const REQUEST: [(&str, &[u8]); 5] = [
    ("host", b"example.com"),
    ("upgrade", b"websocket"),
    ("connection", b" keep-alive,Upgrade "),
    ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-websocket-version", b" 13"),
];

fn with<'h>(more: &[(&'h str, &'h [u8])]) -> Vec<(&'h str, &'h [u8])> {
    [&REQUEST[..], more].concat()
}

/// The elements of a list with their parameters, written out.
fn list(value: &str) -> Result<Vec<String>, HandshakeError> {
    let write = |offer: sockless::handshake::Extension<'_>| {
        let parameters = offer.parameters().map(|(name, value)| match value {
            Some(value) => format!(";{name}={value}"),
            None => format!(";{name}"),
        });
        offer.name().to_owned() + &parameters.collect::<String>()
    };
    extensions(value.as_bytes())
        .map(|offer| offer.map(write))
        .collect()
}

#[track_caller]
fn reads(value: &str, expected: &[&str]) {
    assert_eq!(
        list(value).unwrap_or_else(|_| panic!("refused: {value}")),
        expected,
        "{value}"
    );
}

#[track_caller]
fn refuses(value: &str) {
    assert_eq!(
        list(value),
        Err(HandshakeError::InvalidExtensions),
        "{value}"
    );
}

#[test]
fn w_accept_vectors() {
    let cases = [
        ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Ia3dQjfWrAug/6qm7mTZOg==", "JkE58n3uIigYDMvC+KsBbGZsp1A="),
        ("wk60yiym2FEwCAMVZE3FgQ==", "XRfPnS+8xl11QWZherej/dkHPHM="),
        ("AQIDBAUGBwgJCgsMDQ4PEA==", "C/0nmHhBztSRGR1CwL6Tf4ZjwpY="),
        ("AQIDBAUGBwgJCgsMDQ4PEC==", "OfS0wDaT5NoxF2gqm7Zj2YtetzM="),
    ];
    for (key, accept) in cases {
        assert_eq!(accept_key(key.as_bytes()), accept.as_bytes());
    }
}

#[test]
fn r060_check_of_a_foreign_stack() {
    let offers: [(&str, &[u8]); 3] = [
        ("sec-websocket-protocol", b"b, a"),
        ("Sec-WebSocket-Protocol", b"c"),
        (
            "sec-websocket-extensions",
            b"permessage-deflate; client_max_window_bits",
        ),
    ];
    let upgrade = check_request("GET", HttpVersion::Http11, with(&offers)).unwrap();
    assert_eq!(&upgrade.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(upgrade.subprotocols().eq(["b", "a", "c"]));
    assert!(
        upgrade
            .extensions()
            .map(|offer| offer.name())
            .eq(["permessage-deflate"])
    );
    let old = check_request("GET", HttpVersion::Http10, with(&[]));
    assert_eq!(old.err(), Some(HandshakeError::UnsupportedHttpVersion));
    let put = check_request("PUT", HttpVersion::Http11, with(&[]));
    assert_eq!(put.err(), Some(HandshakeError::MethodNotAllowed));
    let body = check_request(
        "GET",
        HttpVersion::Http11,
        with(&[("content-length", b"1")]),
    );
    assert_eq!(body.err(), Some(HandshakeError::UnexpectedBody));
}

/// The types of the crate `http`, which hyper and axum have, go in as they are; and so does text.
#[test]
fn r060_headers_in_other_types() {
    let mut map = http::HeaderMap::new();
    for (name, value) in with(&[("Sec-WebSocket-Protocol", b"b, a")]) {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, http::HeaderValue::from_bytes(value).unwrap());
    }
    let upgrade = check_request("GET", HttpVersion::Http11, &map).unwrap();
    assert_eq!(&upgrade.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert!(upgrade.subprotocols().eq(["b", "a"]));
    assert_eq!(upgrade.extensions().count(), 0);
    map.append("sec-websocket-protocol", "a".parse().unwrap());
    let twice = check_request("GET", HttpVersion::Http11, &map);
    assert_eq!(twice.err(), Some(HandshakeError::RepeatedSubprotocol));

    let owned: Vec<(String, Vec<u8>)> = REQUEST.map(|(n, v)| (n.into(), v.into())).into();
    let pairs = owned.iter().map(|(name, value)| (name, value));
    assert!(check_request("GET", HttpVersion::Http11, pairs).is_ok());
    let slice: &[(&str, &[u8])] = &REQUEST;
    assert!(check_request("GET", HttpVersion::Http11, slice.iter().copied()).is_ok());

    map.clear();
    map.insert("upgrade", "websocket".parse().unwrap());
    map.insert("connection", "Upgrade".parse().unwrap());
    map.insert(
        "sec-websocket-accept",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap(),
    );
    let offer = Offer::new(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(offer.check(101, &map), Ok(Agreed::default()));
}

#[test]
fn r060_every_field_is_needed() {
    let errors = [
        HandshakeError::InvalidHost,
        HandshakeError::MissingUpgrade,
        HandshakeError::MissingConnection,
        HandshakeError::InvalidKey,
        HandshakeError::InvalidVersion,
    ];
    for (missing, error) in errors.into_iter().enumerate() {
        let mut headers = REQUEST.to_vec();
        headers.remove(missing);
        let result = check_request("GET", HttpVersion::Http11, headers);
        assert_eq!(result.err(), Some(error));
    }
}

#[test]
fn r030_check_of_a_foreign_stack() {
    let response: [(&str, &[u8]); 3] = [
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "),
        ("Upgrade", b"websocket"),
    ];
    let offer = Offer::new(b"dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(offer.check(101, response).unwrap().subprotocol, None);
    let status = offer.check(404, response);
    assert_eq!(status, Err(HandshakeError::UnexpectedStatus(404)));
    let other = Offer::new(b"AQIDBAUGBwgJCgsMDQ4PEA==").check(101, response);
    assert_eq!(other, Err(HandshakeError::InvalidAccept));
    let required = offer
        .subprotocols("a")
        .require_subprotocol()
        .check(101, response);
    assert_eq!(required, Err(HandshakeError::MissingSubprotocol));
}

#[test]
fn r076_origins() {
    let same = [
        ("https://a.example", "https://a.example"),
        ("HTTPS://A.Example", "https://a.example:443"),
        ("http://a:80", "http://a"),
        ("wss://a", "wss://a:443"),
        ("ws://a:80", "WS://a"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("app+x://a", "app+x://a"),
    ];
    for (one, other) in same {
        assert!(
            same_origin(one, other) && same_origin(other, one),
            "{one} {other}"
        );
    }
    let different = [
        ("https://a.example", "http://a.example"),
        ("https://a.example", "https://a.example:444"),
        ("https://a.example", "https://a.example.evil"),
        ("https://a.example", "https://evil-a.example"),
        ("https://a.example", "https://a.example@evil"),
        ("https://a.example", "https://a.example/"),
        ("https://a.example", "https://a.example "),
        ("https://a.example", "https://a.exampl\u{e9}"),
        ("app://a", "app://a:80"),
    ];
    for (one, other) in different {
        assert!(
            !same_origin(one, other) && !same_origin(other, one),
            "{one} {other}"
        );
    }
    for text in [
        "null",
        "",
        "a.example",
        "://a",
        "https://",
        "https:a",
        "1s://a",
        "https://a:x",
    ] {
        assert!(!same_origin(text, text), "{text}");
    }
}

#[test]
fn r100_empty_elements() {
    reads("a, ,b", &["a", "b"]);
    reads(",a,,", &["a"]);
    reads("", &[]);
    reads(" \t", &[]);
    reads(",,,", &[]);
    // A request must have an element in its list.
    for value in [&b""[..], b",,,", b" "] {
        let headers = with(&[("sec-websocket-extensions", value)]);
        let result = check_request("GET", HttpVersion::Http11, headers);
        assert_eq!(result.err(), Some(HandshakeError::InvalidExtensions));
    }
}

#[test]
fn r101_whitespace() {
    reads(" a \t;\tb = c ; d=\t\"e\" ,\tf ", &["a;b=c;d=e", "f"]);
    for value in ["a b", "a;b c", "a;b=c d", "a\u{b}", "a\u{a0}", "a\n"] {
        refuses(value);
    }
}

#[test]
fn r102_values() {
    reads("x;a=\"10\";b=10", &["x;a=10;b=10"]);
    reads("x;a=\"\\1\\0\"", &["x;a=10"]);
    for value in [
        "x;a=\"b c\"",
        "x;a=\"\"",
        "x;a=\"\u{e9}\"",
        "x;a=\u{e9}",
        "x;a=\"b\"c",
        "x;\"a\"",
    ] {
        refuses(value);
    }
}

#[test]
fn r103_quoted_strings() {
    for value in [
        "foo; bar=\"a,b\", permessage-deflate",
        "x;a=\"b;c\"",
        "x;a=\"b\\\"c\"",
        "x;a=\"b\\\\c\"",
        "x;a=\"b\\",
        "x;a=\"b\\\"",
        "x;a=\"b",
        "x;a=\"",
        "x;a=b\"c\"",
        "x;a=b\\c",
        "\"x\"",
    ] {
        refuses(value);
    }
}

#[test]
fn r103_hostile_values_of_a_megabyte() {
    for value in [
        format!("x;a=\"{}", "\\a".repeat(1 << 20)),
        format!("x;a=\"{}", "\\".repeat(1 << 20)),
        format!("x;a={}", "\"".repeat(1 << 20)),
        format!("x{}", ";".repeat(1 << 20)),
        format!("x{}y", " ".repeat(1 << 20)),
        format!("x{}", ";a".repeat(1 << 20)),
    ] {
        refuses(&value);
    }
    reads(&",".repeat(1 << 20), &[]);
    reads(&", ".repeat(1 << 20), &[]);
    assert_eq!(
        list(&"a,".repeat(10_000)).map(|list| list.len()),
        Ok(10_000)
    );
    reads(
        &format!("x;a=\"{}\"", "\\a".repeat(1 << 10)),
        &[&format!("x;a={}", "a".repeat(1 << 10))],
    );
}

#[test]
fn r104_missing_parts() {
    for value in [
        "permessage-deflate;;",
        "a;",
        "a; ,b",
        ";b",
        "a;b=",
        "a;b=,c",
        "a;=c",
        "=",
        "a=b",
    ] {
        refuses(value);
    }
}

#[test]
fn r105_several_lines_are_one_list() {
    let lines: [(&str, &[u8]); 4] = [
        ("sec-websocket-extensions", b"a;x"),
        ("sec-websocket-extensions", b""),
        ("SEC-WEBSOCKET-EXTENSIONS", b",b, c"),
        ("sec-websocket-extensions", b"d"),
    ];
    let upgrade = check_request("GET", HttpVersion::Http11, with(&lines)).unwrap();
    // R108: in their order.
    assert!(
        upgrade
            .extensions()
            .map(|offer| offer.name())
            .eq(["a", "b", "c", "d"])
    );
    // A quoted string does not go on in the next line.
    let cut: [(&str, &[u8]); 2] = [
        ("sec-websocket-extensions", b"a;x=\"b"),
        ("sec-websocket-extensions", b"c\""),
    ];
    let result = check_request("GET", HttpVersion::Http11, with(&cut));
    assert_eq!(result.err(), Some(HandshakeError::InvalidExtensions));
}

#[test]
fn r106_names_as_sent() {
    reads(
        "Permessage-Deflate; Server_Max=X",
        &["Permessage-Deflate;Server_Max=X"],
    );
}

#[test]
fn r107_counts() {
    let parameters = |count| format!("x{}", ";a=\"b\"".repeat(count));
    assert!(list(&parameters(16)).is_ok());
    refuses(&parameters(17));
    let check = |name, value: String| {
        check_request(
            "GET",
            HttpVersion::Http11,
            with(&[(name, value.as_bytes())]),
        )
        .err()
    };
    let names = |count: usize| (0..count).map(|n| format!("p{n},")).collect::<String>();
    for name in ["sec-websocket-extensions", "sec-websocket-protocol"] {
        assert_eq!(check(name, names(64)), None);
        assert_eq!(check(name, names(65)), Some(HandshakeError::TooManyOffers));
        assert_eq!(
            check(name, names(10_000)),
            Some(HandshakeError::TooManyOffers)
        );
    }
    let same = "a,".repeat(10_000);
    assert_eq!(
        check("sec-websocket-protocol", same),
        Some(HandshakeError::RepeatedSubprotocol)
    );
}

#[test]
fn r108_order_is_kept() {
    let value = "permessage-deflate; client_max_window_bits; server_max_window_bits=10, \
                 permessage-deflate; client_max_window_bits";
    reads(
        value,
        &[
            "permessage-deflate;client_max_window_bits;server_max_window_bits=10",
            "permessage-deflate;client_max_window_bits",
        ],
    );
}

#[test]
fn errors_are_small_and_say_what_is_wrong() {
    assert!(size_of::<HandshakeError>() <= 4);
    let texts = [
        (
            HandshakeError::UnexpectedStatus(404),
            "unexpected status 404 (Not Found)",
        ),
        (
            HandshakeError::UnexpectedStatus(799),
            "unexpected status 799",
        ),
        (
            HandshakeError::InvalidHost,
            "missing, repeated or invalid host",
        ),
    ];
    for (error, text) in texts {
        assert_eq!(error.to_string(), text);
    }
    assert_eq!(HandshakeError::UnexpectedStatus(404).status(), None);
    assert_eq!(HandshakeError::TargetTooLong.status(), Some(414));
}
