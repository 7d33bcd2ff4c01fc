//! Streaming delivery: messages in parts, as they arrive.

mod common;

use std::time::Duration;

use common::*;
use sockless::{Config, Delivery, Error, Event, Fin, Input, Next, Role};

/// A message put together from its parts: text or binary, and what it says.
#[derive(Debug, PartialEq, Eq)]
enum Whole {
    Text(String),
    Binary(Vec<u8>),
    /// Anything but a part.
    Other(Event<'static>),
}

/// Joins parts, and checks their marks: the first says so, one is the last, the type stays.
fn join(events: Vec<Event<'static>>) -> (Vec<Whole>, Option<Whole>) {
    let (mut done, mut open) = (Vec::new(), None);
    for event in events {
        let fin = match event {
            Event::TextPart { text, first, fin } => {
                assert_eq!(first, open.is_none());
                assert!(!text.is_empty() || fin == Fin::Last);
                match open.get_or_insert(Whole::Text(String::new())) {
                    Whole::Text(whole) => whole.push_str(&text),
                    other => panic!("text inside {other:?}"),
                }
                fin
            }
            Event::BinaryPart { data, first, fin } => {
                assert_eq!(first, open.is_none());
                assert!(!data.is_empty() || fin == Fin::Last);
                match open.get_or_insert(Whole::Binary(Vec::new())) {
                    Whole::Binary(whole) => whole.extend_from_slice(&data),
                    other => panic!("binary inside {other:?}"),
                }
                fin
            }
            other => {
                done.push(Whole::Other(other));
                continue;
            }
        };
        if fin == Fin::Last {
            done.extend(open.take());
        }
    }
    (done, open)
}

fn parts() -> Config {
    Config::default().delivery(Delivery::Parts)
}

/// Feeds `wire` whole, in two pieces for every cut, and byte by byte: joined, all must be the same, but
/// for the message that a failure cuts off, of which more has been handed over the sooner it was read.
fn converse_in_parts(role: Role, config: Config, wire: &[u8]) -> (Vec<Whole>, Option<Whole>) {
    let (done, open) = join(run(role, config.clone(), wire, &[]).events);
    let bytewise: Vec<usize> = (1..wire.len()).collect();
    assert_eq!(
        join(run(role, config.clone(), wire, &bytewise).events).0,
        done
    );
    for cut in 0..=wire.len() {
        let again = join(run(role, config.clone(), wire, &[cut]).events).0;
        assert_eq!(again, done, "cut at {cut}");
    }
    (done, open)
}

/// R157: the same messages, however they are cut, with control frames where they stood.
#[test]
fn r157_parts_make_up_the_message() {
    for role in ROLES {
        let from = peer(role);
        let wire = [
            frame(from, FIN | TEXT, "whole €uro".as_bytes()),
            frame(from, TEXT, b"cut inside \xe2"),
            frame(from, FIN | PING, b"p"),
            frame(from, CONTINUATION, b""),
            frame(from, CONTINUATION, b"\x82"),
            frame(
                from,
                FIN | CONTINUATION,
                "\u{20ac}".as_bytes().get(2..).unwrap(),
            ),
            frame(from, FIN | BINARY, b""),
            frame(from, BINARY, b""),
            frame(from, FIN | CONTINUATION, &[0, 255, 1]),
            frame(from, FIN | TEXT, b""),
            frame(from, FIN | CLOSE, &close_body(1000, "")),
        ]
        .concat();
        let (done, open) = converse_in_parts(role, parts(), &wire);
        assert_eq!(open, None);
        let [
            first,
            ping,
            second,
            empty,
            binary,
            last,
            Whole::Other(Event::Close(_)),
        ] = &done[..]
        else {
            panic!("{done:?}")
        };
        assert_eq!(*first, Whole::Text("whole €uro".into()));
        assert_eq!(*ping, Whole::Other(Event::Ping(b"p"[..].into())));
        assert_eq!(*second, Whole::Text("cut inside €".into()));
        assert_eq!(*empty, Whole::Binary(vec![]));
        assert_eq!(*binary, Whole::Binary(vec![0, 255, 1]));
        assert_eq!(*last, Whole::Text(String::new()));
    }
}

/// R157, R251: a part is lent from the input, also behind a code point that the last read cut.
#[test]
fn r157_parts_are_lent() {
    let text = "€".repeat(100);
    let wire = frame(Role::Server, FIN | TEXT, text.as_bytes());
    let mut ws = open(Role::Client, parts());
    let bytes = wire.clone();
    let (one, two) = bytes.split_at(2 + 2 + 100);
    let lent = |event: &Event<'_>| {
        matches!(
            event,
            Event::TextPart {
                text: std::borrow::Cow::Borrowed(_),
                ..
            }
        )
    };
    let mut input = Input::default();
    input.extend_from_slice(one);
    let now = Duration::ZERO;
    assert!(matches!(ws.poll(&mut input, now), Next::Event(part) if lent(&part)));
    assert!(matches!(ws.poll(&mut input, now), Next::Io(_)));
    // The rest of the code point goes alone, so that what follows can be lent.
    input.extend_from_slice(two);
    let cut = ws.poll(&mut input, now);
    assert!(matches!(cut, Next::Event(Event::TextPart { text, .. }) if text == "€"));
    let Next::Event(rest) = ws.poll(&mut input, now) else {
        panic!("a part")
    };
    assert!(lent(&rest) && matches!(rest, Event::TextPart { fin: Fin::Last, .. }));
}

/// R158, R159, R230 to R233: limits and UTF-8 hold in parts too, at the same byte.
#[test]
fn r157_rules_hold_in_parts() {
    for role in ROLES {
        let from = peer(role);
        let fail =
            |config: Config, wire: Vec<u8>| match converse_in_parts(role, config, &wire).0.last() {
                Some(Whole::Other(Event::Fail(error))) => *error,
                other => panic!("{other:?}"),
            };
        let bad = frame(from, FIN | TEXT, b"good\xf4\x90");
        assert_eq!(fail(parts(), bad), Error::InvalidUtf8);
        let cut_at_end = [
            frame(from, TEXT, b"\xf0\x9f"),
            frame(from, FIN | CONTINUATION, b""),
        ];
        assert_eq!(fail(parts(), cut_at_end.concat()), Error::InvalidUtf8);
        let over = [
            frame(from, BINARY, &[0; 6]),
            frame(from, FIN | CONTINUATION, &[0; 5]),
        ]
        .concat();
        let limited = parts().max_message_size(10);
        assert_eq!(fail(limited.clone(), over), Error::MessageTooLarge);
        let exact = [
            frame(from, BINARY, &[0; 6]),
            frame(from, FIN | CONTINUATION, &[0; 4]),
        ]
        .concat();
        assert_eq!(
            converse_in_parts(role, limited, &exact).0,
            [Whole::Binary(vec![0; 10])]
        );
        let many = [frame(from, TEXT, b""), frame(from, CONTINUATION, b"")].concat();
        assert_eq!(
            fail(parts().max_fragments(1), many),
            Error::TooManyFragments
        );
        assert_eq!(
            fail(parts(), frame(from, FIN | CONTINUATION, b"")),
            Error::UnexpectedContinuation
        );
        let inside = [frame(from, TEXT, b""), frame(from, FIN | BINARY, b"")].concat();
        assert_eq!(fail(parts(), inside), Error::ExpectedContinuation);
    }
}

/// A proxy passes parts on as they come: what it writes is the same messages.
#[test]
fn parts_pass_on_to_another_connection() {
    let wire = [
        frame(Role::Client, TEXT, "grün €".as_bytes()),
        frame(Role::Client, FIN | CONTINUATION, b" and done"),
        frame(Role::Client, FIN | BINARY, &[9; 300]),
    ]
    .concat();
    let (mut from, mut to) = (open(Role::Server, parts()), open(Role::Client, parts()));
    let mut passed = Vec::new();
    for piece in wire.chunks(5) {
        for event in feed(&mut from, piece) {
            match event {
                Event::TextPart { text, fin, .. } => to.send_text_part(&text, fin).unwrap(),
                Event::BinaryPart { data, fin, .. } => to.send_binary_part(&data, fin).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        passed.extend(drain(&mut to));
    }
    let got = run(Role::Server, Config::default(), &passed, &[]).events;
    let expected = [
        Event::Text("grün € and done".into()),
        Event::Binary(vec![9; 300].into()),
    ];
    assert_eq!(got, expected);
}
