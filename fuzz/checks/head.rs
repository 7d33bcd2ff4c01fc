//! Heads of requests and responses: built of lines that are known to be right or wrong, so that it is
//! known what must become of them; or any bytes at all, and what was taken must be right.

use sockless::handshake::{HttpVersion, check_request};
use sockless::{Config, Connection, Event, Request, Response};

use super::handshake::{accept_for, client};
use super::source::{Cuts, Source};
use super::watch::{Watched, entropy};
use super::wire;

/// What a line means for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Must be there, once.
    One(u8),
    /// Must be there.
    Some(u8),
    /// May be there, once.
    Maybe(u8),
    /// May be there.
    Free,
    /// Must not be there.
    Bad,
}

use Line::{Bad, Free, Maybe, One, Some as AtLeastOne};

const REQUEST_LINES: &[(&[u8], Line)] = &[
    (b"Host: example.com", One(0)),
    (b"Upgrade: websocket", AtLeastOne(1)),
    (b"Connection: Upgrade", AtLeastOne(2)),
    (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", One(3)),
    (b"Sec-WebSocket-Version: 13", One(4)),
    (b"host:[::1]:8080", One(0)),
    (b"Host: a b", Bad),
    (b"Host: user@example.com", Bad),
    (b"Host:", Bad),
    (b"UPGRADE:\tWebSocket \t", AtLeastOne(1)),
    (b"Upgrade: h2c, ,websocket", AtLeastOne(1)),
    (b"Upgrade: web socket", Bad),
    (b"Upgrade: notwebsocket", Free),
    (b"connection: keep-alive,\tUPGRADE", AtLeastOne(2)),
    (b"Connection: keep-alive", Free),
    (b"Connection: notupgrade, upgraded", Free),
    (b"Connection: \"upgrade\"", Bad),
    (b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==", One(3)),
    // Erratum 3150: what is left of the last character may be anything.
    (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==", One(3)),
    (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=", Bad),
    (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA", Bad),
    (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA", Bad),
    (b"Sec-WebSocket-Version: 8", Bad),
    (b"Sec-WebSocket-Version: 13, 8", Bad),
    (b"Sec-WebSocket-Version: +13", Bad),
    (b"Sec-WebSocket-Protocol: chat, superchat", Maybe(5)),
    (b"Sec-WebSocket-Protocol: Chat", Maybe(6)),
    (b"Sec-WebSocket-Protocol: a b", Bad),
    (b"Sec-WebSocket-Protocol: x, x", Bad),
    (
        b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        Free,
    ),
    (b"Sec-WebSocket-Extensions: a; b=\"c\", d", Free),
    (b"Sec-WebSocket-Extensions: a;", Bad),
    (b"Sec-WebSocket-Extensions: a; b=\"c d\"", Bad),
    (b"Content-Length: 0", Maybe(7)),
    (b"Content-Length: 5", Bad),
    (b"Content-Length: 0, 0", Bad),
    (b"Transfer-Encoding: chunked", Bad),
    (b"Expect: 100-continue", Bad),
    (b"Origin: http://example.com", Maybe(8)),
    (b"Origin: null", Maybe(8)),
    (b"Cookie: a=b; c=d", Free),
    (b"X-Empty:", Free),
    (b"X-Latin: \xe9", Free),
    (b"X-Comma: ,,\"", Free),
    (b"X-Null: \0", Bad),
    (b"X-Bell: \x07", Bad),
    (b"X Space: x", Bad),
    (b"X-Space : x", Bad),
    (b" Folded: x", Bad),
    (b"No colon", Bad),
    (b": no name", Bad),
];

const REQUEST_STARTS: &[(&[u8], bool)] = &[
    (b"GET / HTTP/1.1", true),
    (b"GET /chat?x=1&y=%20 HTTP/1.1", true),
    (b"GET http://example.com/x HTTP/1.1", true),
    (b"HEAD / HTTP/1.1", false),
    (b"get / HTTP/1.1", false),
    (b"POST / HTTP/1.1", false),
    (b"GET / HTTP/1.0", false),
    (b"GET / HTTP/2.0", false),
    (b"GET * HTTP/1.1", false),
    (b"GET  / HTTP/1.1", false),
    (b"GET /a b HTTP/1.1", false),
    (b"GET / HTTP/1.1 ", false),
    (b" GET / HTTP/1.1", false),
    (b"GET /", false),
    (b"GET /\0 HTTP/1.1", false),
];

const RESPONSE_LINES: &[(&[u8], Line)] = &[
    (b"Upgrade: websocket", One(0)),
    (b"Connection: Upgrade", AtLeastOne(1)),
    (b"Sec-WebSocket-Accept: ?", One(2)),
    (b"upgrade:WEBSOCKET", One(0)),
    (b"Upgrade: websocket, h2c", Bad),
    (b"connection: keep-alive, upgrade", AtLeastOne(1)),
    (b"Connection: close", Free),
    (b"Connection: a b", Bad),
    (b"sec-websocket-accept: ? ", One(2)),
    (b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Bad),
    (b"Sec-WebSocket-Accept: ?=", Bad),
    (b"Sec-WebSocket-Accept:", Bad),
    (b"Sec-WebSocket-Protocol: chat", Maybe(3)),
    (b"Sec-WebSocket-Protocol: Chat", Bad),
    (b"Sec-WebSocket-Protocol: chat, chat", Bad),
    (b"Sec-WebSocket-Protocol:", Bad),
    (b"Sec-WebSocket-Extensions: permessage-deflate", Bad),
    (b"Sec-WebSocket-Extensions: ;", Bad),
    (b"Sec-WebSocket-Extensions:", Bad),
    (b"Content-Length: 5", Free),
    (b"Transfer-Encoding: chunked", Free),
    (b"Set-Cookie: a=b", Free),
    (b"X-Folded: a \r\n\t b\r\n c", Free),
    (b"X-Null: \0", Bad),
    (b"No colon", Bad),
];

const RESPONSE_STARTS: &[(&[u8], bool)] = &[
    (b"HTTP/1.1 101 Switching Protocols", true),
    (b"HTTP/1.1 101 ", true),
    (b"HTTP/1.0 101 Switching Protocols", false),
    (b"HTTP/2 101 Switching Protocols", false),
    (b"HTTP/1.1 200 OK", false),
    (b"HTTP/1.1 099 No", false),
    (b"HTTP/1.1 1O1 No", false),
    (b"HTTP/1.1 1010 No", false),
    (b" HTTP/1.1 101 Yes", false),
];

pub(crate) fn check(data: &[u8]) {
    let mut source = Source::new(data);
    match source.byte() % 3 {
        0 => check_request_of_lines(&mut source),
        1 => check_response_of_lines(&mut source),
        _ => check_any_request(source.rest()),
    }
}

fn check_request_of_lines(source: &mut Source<'_>) {
    let (start, mut right) = *source.pick(REQUEST_STARTS);
    let (mut bytes, before) = match source.byte() % 8 {
        6 => (b"\r\n".to_vec(), 2),
        7 => {
            right = false;
            (b"\r\n\r\n".to_vec(), 4)
        }
        _ => (Vec::new(), 0),
    };
    bytes.extend(start);
    bytes.extend(b"\r\n");
    right &= lines(source, REQUEST_LINES, 5, &mut bytes);

    // At the limits it passes, below them it does not (R082).
    let (size, count) = (
        bytes.len() - before,
        bytes.iter().filter(|b| **b == b'\n').count(),
    );
    let mut config = Config::default();
    match source.byte() {
        0 => {
            config = config
                .max_head_size(size)
                .max_headers(count - 2 - before / 2)
        }
        1 => (config, right) = (config.max_head_size(size - 1), false),
        2 => {
            (config, right) = (
                config.max_headers((count - 2 - before / 2).max(1) - 1),
                false,
            )
        }
        _ => {}
    }
    let mut watched = Watched::new(Connection::server(config));
    watched.feed(&bytes, |ws, event| {
        if matches!(event, Event::Request(_)) {
            ws.accept(Response::default()).expect("an upgrade");
        }
    });
    watched.write(usize::MAX);
    let done = watched.finish();
    match &done.events[..] {
        [Event::Request(request)] => {
            assert!(right, "took {}", bytes.escape_ascii());
            check_request_event(request, &bytes[before..]);
            let fields = fields(&bytes[before..]);
            let fields = fields.iter().map(|(name, value)| (*name, *value));
            let upgrade = check_request(request.method(), HttpVersion::Http11, fields);
            let (status, frames) = wire::answer(&done.output).expect("an answer");
            assert_eq!((status, frames), (101, Vec::new()));
            let accept = upgrade.expect("the same checks").accept();
            let accept = [b"Sec-WebSocket-Accept: ", &accept[..], b"\r\n"].concat();
            assert!(done.output.windows(accept.len()).any(|w| w == accept));
        }
        [Event::Fail(error)] => {
            assert!(!right, "{error} for {}", bytes.escape_ascii());
            let (status, _) = wire::answer(&done.output).expect("an answer");
            assert!((400..600).contains(&status));
        }
        events => panic!("{events:?} for {}", bytes.escape_ascii()),
    }
}

fn check_response_of_lines(source: &mut Source<'_>) {
    let asks = source.flag();
    let (start, mut right) = *source.pick(RESPONSE_STARTS);
    let ws = client(&Config::default(), asks);
    let accept = accept_for(ws.output());
    let mut bytes = [start, b"\r\n"].concat();
    right &= lines(source, RESPONSE_LINES, 3, &mut bytes);
    let has_protocol = bytes
        .windows(28)
        .any(|w| w == b"Sec-WebSocket-Protocol: chat");
    right &= asks || !has_protocol;
    let bytes: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| match byte {
            b'?' => accept.as_bytes(),
            byte => core::slice::from_ref(byte),
        })
        .copied()
        .collect();
    let mut watched = Watched::new(ws);
    watched.write(usize::MAX);
    watched.feed(&bytes, |_, _| {});
    watched.write(usize::MAX);
    let done = watched.finish();
    let text = bytes.escape_ascii();
    match &done.events[..] {
        [Event::Open(response)] => {
            assert!(right, "took {text}");
            assert_eq!(response.status(), 101);
            assert_eq!(response.subprotocol().is_some(), has_protocol);
            let seen: Vec<_> = response.headers().collect();
            // R409: the fold of `X-Folded` is read as spaces.
            let read = core::str::from_utf8(&bytes).expect("ASCII");
            let read = read.replace("a \r\n\t b\r\n c", "a b c");
            assert_eq!(seen, fields(read.as_bytes()));
        }
        [] | [Event::Rejected(_)] => assert!(start.ends_with(b"200 OK"), "{text}"),
        [Event::Fail(error)] => assert!(!right, "{error} for {text}"),
        events => panic!("{events:?} for {text}"),
    }
    if !right {
        let (_, rest) = wire::head(&done.output).expect("a request");
        assert!(rest.is_empty(), "nothing follows a handshake that failed");
    }
}

/// Appends lines and the empty one: whether they are right together.
fn lines(
    source: &mut Source<'_>,
    table: &[(&[u8], Line)],
    needed: usize,
    out: &mut Vec<u8>,
) -> bool {
    let mut counts = [0; 16];
    let mut right = true;
    let mut add = |(text, line): &(&[u8], Line), end: &[u8]| {
        out.extend(*text);
        out.extend(end);
        match line {
            One(slot) | AtLeastOne(slot) | Maybe(slot) => counts[usize::from(*slot)] += 1,
            Free => {}
            Bad => right = false,
        }
    };
    // The needed ones first, but for those that a bit takes away; then others.
    let without = source.byte() & source.byte();
    for (i, entry) in table.iter().enumerate().take(needed) {
        if without >> i & 1 == 0 {
            add(entry, b"\r\n");
        }
    }
    for _ in 0..source.byte() % 8 {
        add(source.pick(table), b"\r\n");
    }
    for (_, line) in table {
        right &= match line {
            One(slot) => counts[usize::from(*slot)] == 1,
            AtLeastOne(slot) => counts[usize::from(*slot)] >= 1,
            Maybe(slot) => counts[usize::from(*slot)] <= 1,
            Free | Bad => true,
        };
    }
    // A line end without CR, or CR without LF.
    match source.byte() {
        251.. => {
            out.extend(b"X: y\n");
            right = false;
        }
        246..=250 => {
            out.extend(b"X: \r y\r\n");
            right = false;
        }
        _ => {}
    }
    out.extend(b"\r\n");
    right
}

/// Whatever a server takes for a request is one (§4.2.1).
fn check_any_request(bytes: &[u8]) {
    let config = Config::default().serve_plain_http().entropy(entropy);
    let mut watched = Watched::new(Connection::server(config));
    for piece in Cuts::Whole.pieces(bytes) {
        watched.feed(piece, |_, _| {});
    }
    let done = watched.finish();
    if let Some(Event::Request(request)) = done.events.first() {
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let end = bytes[start..].windows(4).position(|w| w == b"\r\n\r\n");
        let end = start + end.expect("the end of the head") + 4;
        check_request_event(request, &bytes[start..end]);
    }
}

/// The fields of a head that was found to be right, by the letter.
fn fields(head: &[u8]) -> Vec<(&str, &[u8])> {
    let text = head.strip_suffix(b"\r\n\r\n").expect("a whole head");
    let mut fields = Vec::new();
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|two| two == b"\r\n");
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = &rest[end.map_or(rest.len(), |end| end + 2)..];
        if core::mem::take(&mut first) {
            continue;
        }
        let colon = line.iter().position(|b| *b == b':').expect("a colon");
        let name = core::str::from_utf8(&line[..colon]).expect("a token");
        fields.push((name, trim(&line[colon + 1..])));
    }
    fields
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A request is what the bytes say, and what §4.2.1 asks for.
pub(crate) fn check_request_event(request: &Request, head: &[u8]) {
    let line = head.split(|byte| *byte == b'\r').next().expect("a line");
    let line = core::str::from_utf8(line).expect("a request line is ASCII");
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!(words[..2], [request.method(), request.target()], "{line:?}");
    assert_eq!(words.len(), 3, "{line:?}");
    let fields = fields(head);
    let seen: Vec<_> = request.headers().collect();
    assert_eq!(seen, fields);
    let values = |wanted: &str| -> Vec<&[u8]> {
        let named = fields.iter();
        let named = named.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| *value).collect()
    };
    let names = |field: &str, wanted: &[u8]| {
        let mut items = values(field)
            .into_iter()
            .flat_map(|value| value.split(|byte| *byte == b','));
        items.any(|item| trim(item).eq_ignore_ascii_case(wanted))
    };
    assert!(values("transfer-encoding").is_empty(), "R079");
    assert!(values("host").len() <= 1, "R064");
    if !request.is_upgrade() {
        assert_ne!(request.method(), "CONNECT", "R407");
        return;
    }
    assert_eq!((words[0], words[2]), ("GET", "HTTP/1.1"), "R061, R062");
    assert_eq!(values("host").len(), 1, "R064");
    assert!(names("upgrade", b"websocket"), "R065");
    assert!(names("connection", b"upgrade"), "R066");
    assert_eq!(values("sec-websocket-version"), [b"13"], "R070");
    let keys = values("sec-websocket-key");
    let [key] = keys[..] else {
        panic!("one key, not {}: R067", keys.len());
    };
    assert_eq!(key.len(), 24, "R068");
    assert!(key.ends_with(b"=="), "R068");
    assert!(
        key[..22]
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')),
        "R068"
    );
}
