//! R255, T1: whatever arrives in the opening handshake, and however it is cut, nothing panics and
//! the same comes out.

mod handshake_support;

use handshake_support::{ACCEPT, Head, ask, serve};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sockless::handshake::{HandshakeError, extensions};
use sockless::{ClientRequest, Config, Connection, Event, Response};

/// Pieces that heads are made of, right and wrong.
const PIECES: [&[u8]; 36] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b":",
    b",",
    b"\0",
    b"\xff",
    b"GET / HTTP/1.1\r\n",
    b"HEAD /?x HTTP/1.0\r\n",
    b"GET http://h/p HTTP/1.1\r\n",
    b"HTTP/1.1 101 OK\r\n",
    b"HTTP/1.1 103\r\n\r\n",
    b"HTTP/1.1 404 X\r\n",
    b"HTTP/2 200\r\n",
    b"Host: example.com\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Version: 8\r\n",
    b"Sec-WebSocket-Protocol: a, b\r\n",
    b"Sec-WebSocket-Protocol: a\r\n",
    b"Sec-WebSocket-Extensions: x; y=\"z\"\r\n",
    b"Sec-WebSocket-Accept: C/0nmHhBztSRGR1CwL6Tf4ZjwpY=\r\n",
    b"Origin: null\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 4\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"\x81\x82\0\0\0\0hi",
    b"\x81\x02hi",
    b"X: \xfc\r\n",
    b"XYZ",
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&PIECES[..]), 0..16).prop_map(|pieces| pieces.concat())
}

/// A head that is right, but for a few bytes.
fn nearly(head: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let size = head.len();
    let bytes = prop_oneof![any::<u8>(), select(&b"\r\n \t:,;\"\\=/"[..])];
    vec((0..size, bytes), 0..3).prop_map(move |edits| {
        let mut head = head.clone();
        for (at, byte) in edits {
            head[at] = byte;
        }
        head
    })
}

fn full_request() -> Vec<u8> {
    let head = Head::request()
        .add("Sec-WebSocket-Protocol", "a, b")
        .add("Origin", "https://h");
    let head = head
        .add("Sec-WebSocket-Extensions", "x; y=\"z\"")
        .add("Content-Length", "0");
    [&head.bytes()[..], b"\x81\x82\0\0\0\0hi"].concat()
}

fn full_response() -> Vec<u8> {
    let head = Head::response()
        .add("Sec-WebSocket-Protocol", "a")
        .add("Set-Cookie", "x=y");
    [
        &Head::status("HTTP/1.1 103 X").bytes()[..],
        &head.bytes(),
        b"\x81\x02hi",
    ]
    .concat()
}

fn chunked_response() -> Vec<u8> {
    let head = Head::status("HTTP/1.1 404 Not Found").add("Transfer-Encoding", "chunked");
    [
        &head.bytes()[..],
        b"3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    ]
    .concat()
}

fn answer(ws: &mut Connection) {
    ws.accept(Response::default())
        .or_else(|_| ws.respond(Response::new(200).with_text("page")))
        .expect("one of the two");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r255_server(
        bytes in prop_oneof![soup(), nearly(full_request())],
        max_head_size in select(&[64, 200, 16 << 10][..]),
    ) {
        let config = Config::default().max_head_size(max_head_size).max_headers(7);
        let refusing = serve(&config, &bytes, answer);
        let serving = serve(&config.serve_plain_http(), &bytes, answer);
        for outcome in [refusing, serving] {
            // A connection is agreed to or not, and what is not is answered, once.
            let text = String::from_utf8_lossy(&outcome.output);
            prop_assert!(text.matches("HTTP/1.1 ").count() <= 1);
            let opened = text.starts_with("HTTP/1.1 101 ");
            let upgrade = matches!(
                outcome.events.first(), Some(Event::Request(request)) if request.is_upgrade()
            );
            prop_assert_eq!(opened, upgrade);
            prop_assert_eq!(text.is_empty(), outcome.events.is_empty());
        }
    }

    #[test]
    fn r255_client(
        bytes in prop_oneof![soup(), nearly(full_response()), nearly(chunked_response())],
        limit in select(&[0, 5, 100, 16 << 10][..]),
    ) {
        let config = Config::default().max_response_body(limit).max_headers(5);
        let request = ClientRequest::new("ws://h").unwrap().with_subprotocol("a").unwrap();
        let outcome = ask(&config, &request, &bytes);
        match outcome.events.first() {
            Some(Event::Open(_)) => {
                prop_assert!(bytes.windows(ACCEPT.len()).any(|w| w == ACCEPT.as_bytes()));
            }
            Some(Event::Rejected(response)) => prop_assert!(response.body().len() <= limit),
            Some(other) => prop_assert!(matches!(other, Event::Fail(_)), "{other:?}"),
            None => {}
        }
    }

    /// The reading of lists agrees with one that is written down as the grammar is.
    #[test]
    fn r100_lists(value in vec(select(&b"aab,;;==\"\"\\ \t\x7f\xe9"[..]), 0..24)) {
        let ours: Result<Vec<_>, HandshakeError> = extensions(&value)
            .map(|offer| offer.map(|offer| {
                let parameters = offer.parameters();
                let own = |(name, value): (&str, Option<_>)| (name.to_owned(), value);
                (offer.name().to_owned(), parameters.map(own).collect::<Vec<_>>())
            }))
            .collect();
        let naive = naive_list(&value);
        prop_assert_eq!(ours.is_ok(), naive.is_some());
        for ((name, parameters), offer) in ours.into_iter().flatten().zip(naive.into_iter().flatten()) {
            prop_assert_eq!(&name, &offer[0].0);
            prop_assert_eq!(parameters.len(), offer.len() - 1);
            for ((name, value), (wanted, wanted_value)) in parameters.iter().zip(&offer[1..]) {
                prop_assert_eq!(name, wanted);
                prop_assert_eq!(value.as_deref(), wanted_value.as_deref());
            }
        }
    }
}

/// The name of an extension, which has no value, and its parameters.
type NaiveOffer = Vec<(String, Option<String>)>;

/// Splits first and looks later: since no right value has a comma or a semicolon in quotes, that
/// finds the same.
fn naive_list(value: &[u8]) -> Option<Vec<NaiveOffer>> {
    let value: String = value.iter().map(|byte| char::from(*byte)).collect();
    let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_graphic() && !",;=\"\\".contains(c))
    };
    let mut list = Vec::new();
    for element in value
        .split(',')
        .map(trim)
        .filter(|element| !element.is_empty())
    {
        let mut offer = Vec::new();
        for (at, part) in element.split(';').map(trim).enumerate() {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (part, None),
            };
            let value = match value {
                Some(quoted) if quoted.starts_with('"') => {
                    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
                    let mut plain = String::new();
                    let mut rest = inner.chars();
                    while let Some(c) = rest.next() {
                        plain.push(if c == '\\' { rest.next()? } else { c });
                    }
                    // An escaped character is as good as a plain one, if it may stand in a token.
                    Some(plain)
                }
                other => other,
            };
            if !is_token(&name) || value.as_deref().is_some_and(|value| !is_token(value)) {
                return None;
            }
            if at == 0 && value.is_some() {
                return None;
            }
            offer.push((name, value));
        }
        list.push(offer);
    }
    Some(list)
}
