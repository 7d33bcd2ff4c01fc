//! What `{:?}` prints of the opening handshake, and what it does not: row R410.

mod drive;
mod handshake_support;

use drive::*;
use handshake_support::{Head, accepting, asking};
use sockless::handshake::{
    HttpVersion, Offer, PseudoHeaders, check_extended_connect, check_request,
};
use sockless::{ClientRequest, Config, Connection, Event, Response};

const SECRET: &str = "hunter2";

fn hides(printed: &str) {
    assert!(!printed.contains(SECRET), "{printed}");
}

/// T82.
#[test]
fn r410_t82_no_secrets_of_a_request() {
    let head = [
        "Cookie",
        "Authorization",
        "proxy-authorization",
        "X-Api-Key",
        "Sec-WebSocket-Protocol",
    ]
    .iter()
    .fold(Head::request(), |head, name| head.add(name, SECRET));
    let head = head
        .first(&format!("GET /chat?token={SECRET} HTTP/1.1"))
        .add("User-Agent", "a \"b\" \u{e9}");
    let events = format!("{:?}", accepting(&head.bytes()).events);
    hides(&events);
    // What is there can still be seen.
    assert!(events.contains(r#"target: "/chat?"<13 bytes>"#), "{events}");
    assert!(events.contains(r#""Cookie": <7 bytes>"#), "{events}");
    assert!(events.contains(r#""Host": "example.com""#), "{events}");
    let agent = r#""User-Agent": "a \"b\" \xc3\xa9""#;
    assert!(events.contains(agent), "{events}");
}

/// T82.
#[test]
fn r410_t82_no_secrets_of_a_response() {
    let opened = Head::response()
        .add("Set-Cookie", SECRET)
        .add("Location", format!("/?code={SECRET}"));
    let refused = Head::status("HTTP/1.1 302 Found")
        .add("Location", format!("/?code={SECRET}"))
        .add("WWW-Authenticate", "Basic")
        .add("Set-Cookie", SECRET);
    let opened = format!("{:?}", asking(&opened.bytes()));
    let refused = format!(
        "{:?}",
        asking(&[refused.bytes(), b"text".to_vec()].concat())
    );
    hides(&opened);
    hides(&refused);
    assert!(opened.contains(r#""Set-Cookie": <7 bytes>"#), "{opened}");
    assert!(
        refused.contains(r#""WWW-Authenticate": "Basic""#),
        "{refused}"
    );
    assert!(
        refused.contains(r#"body: "text""#) || refused.contains("body: text"),
        "{refused}"
    );
}

/// T82.
#[test]
fn r410_t82_no_secrets_of_a_client() {
    let request = ClientRequest::new(&format!("wss://h/chat?token={SECRET}"))
        .unwrap()
        .with_subprotocol(SECRET)
        .and_then(|request| request.with_header("Cookie", SECRET))
        .and_then(|request| request.with_basic_auth("user", SECRET))
        .unwrap();
    let printed = format!("{request:?} {:?}", request.pseudo_headers());
    hides(&printed);
    // Nor in base64.
    assert!(!printed.contains("Basic"), "{printed}");
    assert!(
        printed.contains(r#"target: "/chat?"<13 bytes>"#),
        "{printed}"
    );
    assert!(
        printed.contains(r#"path: Some("/chat?"<13 bytes>)"#),
        "{printed}"
    );
    let offer = Offer::new(b"dGhlIHNhbXBsZSBub25jZQ==").subprotocols(request.subprotocols());
    hides(&format!("{offer:?}"));
    let plain = ClientRequest::new("ws://h/chat").unwrap();
    assert!(format!("{plain:?}").contains(r#"target: "/chat","#));
}

/// T82: nor of the fields of a foreign HTTP stack.
#[test]
fn r410_t82_no_secrets_of_foreign_fields() {
    let fields = [
        ("host", "example.com"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
        ("cookie", SECRET),
    ];
    hides(&format!(
        "{:?}",
        check_request("GET", HttpVersion::Http11, fields).unwrap()
    ));
    let path = format!("/?{SECRET}");
    let pseudo = PseudoHeaders {
        method: "CONNECT",
        protocol: Some("websocket"),
        scheme: Some("https"),
        authority: Some("example.com"),
        path: Some(&path),
    };
    let fields = [("sec-websocket-version", "13"), ("cookie", SECRET)];
    hides(&format!(
        "{pseudo:?} {:?}",
        check_extended_connect(pseudo, fields).unwrap()
    ));
}

/// R410: nor the subprotocol that a server chose, which may be the token that a page sent.
#[test]
fn r410_the_chosen_subprotocol_is_hidden() {
    let mut ws = Connection::server(Config::default());
    let head = Head::request().add("Sec-WebSocket-Protocol", "SECRETTOKEN");
    let Some(Event::Request(request)) = ws.receive(&mut &mut head.bytes()[..]) else {
        panic!("a request")
    };
    let sent = Response::default().with_subprotocol(&request, |_| true);
    assert_eq!(sent.subprotocol(), Some("SECRETTOKEN"));
    let offer = Offer::new(b"dGhlIHNhbXBsZSBub25jZQ==").subprotocols("SECRETTOKEN");
    let headers = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("sec-websocket-protocol", "SECRETTOKEN"),
    ];
    let agreed = offer.check(101, headers).unwrap();
    assert_eq!(agreed.subprotocol, Some("SECRETTOKEN"));
    for shown in [format!("{sent:?}"), format!("{agreed:?}")] {
        assert!(
            shown.contains("<11 bytes>") && !shown.contains("SECRET"),
            "{shown}"
        );
    }
}
