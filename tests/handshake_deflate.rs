//! Compression that the answer to one request declines: row R411.
#![cfg(feature = "deflate")]

mod drive;
mod handshake_support;

use drive::*;
use handshake_support::{Head, serve};
use sockless::{Config, Connection, DeflateConfig, Event, Response, SendError, State};

fn config() -> Config {
    Config::default().deflate(DeflateConfig::new())
}

fn request() -> Head {
    Head::request().add("Sec-WebSocket-Extensions", "permessage-deflate")
}

#[test]
fn r411_the_answer_declines() {
    let agreed = serve(&config(), &request().bytes(), |ws| {
        ws.accept(Response::default()).unwrap();
        assert!(ws.deflate().is_some());
    });
    assert!(
        agreed
            .text()
            .contains("\r\nSec-WebSocket-Extensions: permessage-deflate")
    );
    // A compressed message behind it is refused then, as where nothing was offered.
    let bytes = [&request().bytes()[..], b"\xc1\x81\0\0\0\0x"].concat();
    let declined = serve(&config(), &bytes, |ws| {
        ws.accept(Response::default().without_compression())
            .unwrap();
        assert_eq!(ws.deflate(), None);
        ws.send_text("a".repeat(1000)).unwrap();
    });
    let sent = String::from_utf8_lossy(&declined.output);
    assert!(!sent.contains("Sec-WebSocket-Extensions"));
    assert!(matches!(
        &declined.events[..],
        [
            Event::Request(_),
            Event::Fail(sockless::Error::ReservedBits)
        ]
    ));
    assert!(sent.contains(&"a".repeat(1000)), "sent plain");
}

/// One that was refused has declined nothing.
#[test]
fn r411_an_answer_that_does_not_fit_changes_nothing() {
    let mut ws = Connection::server(config());
    let mut bytes = request().bytes();
    let _ = ws.receive(&mut &mut bytes[..]);
    let wrong = Response::new(404).without_compression();
    assert_eq!(ws.accept(wrong), Err(SendError::InvalidStatus));
    ws.accept(Response::default()).unwrap();
    assert!(ws.deflate().is_some());
}

/// Where there is nothing to decline, and in a refusal, it means nothing.
#[test]
fn r411_nothing_to_decline() {
    let head = Head::request().bytes();
    for config in [config(), Config::default()] {
        let outcome = serve(&config, &head, |ws| {
            ws.respond(Response::default().without_compression())
                .unwrap();
        });
        assert_eq!(outcome.state, State::Open);
        let refused = serve(&config, &head, |ws| {
            ws.respond(Response::new(403).without_compression())
                .unwrap();
        });
        assert_eq!(refused.ending.status, Some(403));
    }
}
