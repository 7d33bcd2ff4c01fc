//! Text: RFC 6455 §5.6 and §8.1.

mod common;

use common::*;
use sockless::{Config, Error, Event};

/// What cannot become UTF-8, and the byte that decides it, counted from 1.
const INVALID: &[(&[u8], usize)] = &[
    // R234: stray continuation bytes.
    (b"\x80", 1),
    (b"\xbf", 1),
    // Overlong.
    (b"\xc0\x80", 1),
    (b"\xc1\xbf", 1),
    (b"\xe0\x80\x80", 2),
    (b"\xe0\x9f\xbf", 2),
    (b"\xf0\x80\x80\x80", 2),
    (b"\xf0\x8f\xbf\xbf", 2),
    // Surrogates.
    (b"\xed\xa0\x80", 2),
    (b"\xed\xaf\xbf", 2),
    (b"\xed\xb0\x80", 2),
    (b"\xed\xbf\xbf", 2),
    (b"\xed\xa0\xb5\xed\xb2\xa9", 2),
    // Above U+10FFFF.
    (b"\xf4\x90\x80\x80", 2),
    (b"\xf4\xbf\xbf\xbf", 2),
    (b"\xf5\x80\x80\x80", 1),
    (b"\xf8\x88\x80\x80\x80", 1),
    (b"\xfc\x84\x80\x80\x80\x80", 1),
    (b"\xfe", 1),
    (b"\xff", 1),
    // Cut off by what follows.
    (b"\xc3a", 2),
    (b"\xe2\x82a", 3),
    (b"\xf0\x9f\x98a", 4),
    (b"\xe2\xe2", 2),
    (b"\xf0\x9f\xc3", 3),
];

/// R235: legal, all of it.
const VALID: &[&str] = &[
    "\0",
    "a\0b",
    "\u{feff}",
    "\u{feff}text",
    "\u{fffe}\u{ffff}\u{fdd0}\u{fdef}\u{1fffe}\u{1ffff}\u{10fffe}",
    "\u{10ffff}",
    "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}",
    "\u{d7ff}\u{e000}",
    "\u{fffd}",
];

/// Where `bytes` come in a message that is valid otherwise, below and above the widths of vectors.
const PREFIXES: [&str; 4] = [
    "",
    "aé",
    "0123456789abcde€",
    "😀 and enough text for the vectors: zwölf Boxkämpfer jagen Eva quer über den Sylter Deich",
];

#[test]
fn r230_r234_invalid_text() {
    for role in ROLES {
        for (bytes, _) in INVALID {
            for prefix in PREFIXES {
                for suffix in ["", "z", "some text behind it that is fine"] {
                    let message = [prefix.as_bytes(), bytes, suffix.as_bytes()].concat();
                    let wire = frame(peer(role), FIN | TEXT, &message);
                    fails(role, Config::default(), &wire, Error::InvalidUtf8);
                }
            }
        }
    }
}

/// R233, T16: at the first hopeless byte, be it inside a frame, at its start, or behind a cut. The
/// rest of the frame, and of the message, need not come at all.
#[test]
fn r233_t16_refused_at_the_deciding_byte() {
    for role in ROLES {
        let head = header(peer(role), TEXT, 0).len();
        for (bytes, deciding) in INVALID {
            for prefix in PREFIXES {
                for first in [TEXT, FIN | TEXT] {
                    // One long frame.
                    let mut message = [prefix.as_bytes(), bytes].concat();
                    message.resize(1000, b'-');
                    let wire = frame(peer(role), first, &message);
                    let at = wire.len() - message.len() + prefix.len() + deciding;
                    let expected = Some((at, Error::InvalidUtf8));
                    assert_eq!(failed_at(role, Config::default(), &wire), expected);
                    assert_eq!(failed_at(role, Config::default(), &wire[..at]), expected);
                    // In one read up to there.
                    let events = run(role, Config::default(), &wire[..at], &[]).events;
                    assert_eq!(events, [Event::Fail(Error::InvalidUtf8)]);
                }
                // One byte to a frame.
                let message = [prefix.as_bytes(), bytes].concat();
                let mut wire = frame(peer(role), TEXT, b"");
                for byte in &message {
                    wire.extend(frame(peer(role), CONTINUATION, &[*byte]));
                }
                let at = head + (prefix.len() + deciding) * (head + 1);
                assert_eq!(
                    failed_at(role, Config::default(), &wire),
                    Some((at, Error::InvalidUtf8))
                );
            }
        }
    }
}

/// T17: every code point cut at every place: by a frame, by a read (`converse`), with control frames
/// and empty fragments in the cut.
#[test]
fn r231_t17_cut_code_points() {
    for role in ROLES {
        let from = peer(role);
        for code_point in ["é", "€", "😀", "\u{10ffff}", "\u{800}"] {
            for before in [0, 1, 15, 16, 31, 62, 63, 64, 65] {
                let message = format!("{}{code_point}!", "x".repeat(before));
                let bytes = message.as_bytes();
                for cut in before..=before + code_point.len() {
                    let wire = [
                        frame(from, TEXT, &bytes[..cut]),
                        frame(from, FIN | PING, b"\x80"),
                        frame(from, CONTINUATION, b""),
                        frame(from, CONTINUATION, b""),
                        frame(from, FIN, &bytes[cut..]),
                    ]
                    .concat();
                    let events = run(role, Config::default(), &wire, &[]).events;
                    assert_eq!(events, [ping(b"\x80"), text(&message)]);
                    if before < 2 {
                        converse(role, Config::default(), &wire);
                    }
                }
            }
        }
        // Every byte of it in a fragment of its own, empty ones between.
        let message = "né€😀";
        let mut wire = frame(from, TEXT, b"");
        for byte in message.bytes() {
            wire.extend(frame(from, CONTINUATION, &[byte]));
            wire.extend(frame(from, CONTINUATION, b""));
        }
        wire.extend(frame(from, FIN, b""));
        assert_eq!(
            converse(role, Config::default(), &wire).events,
            [text(message)]
        );
    }
}

/// R231: two fragments cut anywhere, three reads cut anywhere, across the vectors.
#[test]
fn r231_long_text_cut_by_reads() {
    for role in ROLES {
        let message = "aé€😀\u{feff}".repeat(12);
        let wire = frame(peer(role), FIN | TEXT, message.as_bytes());
        for first in 0..wire.len() {
            for second in (first..wire.len()).step_by(5) {
                let transcript = run(role, Config::default(), &wire, &[first, second]);
                assert_eq!(transcript.events, [text(&message)]);
            }
        }
    }
}

/// T18: the end of the message inside a code point, in one frame, at a fragment's end, and with
/// nothing in the last fragment.
#[test]
fn r232_t18_message_that_ends_in_a_code_point() {
    for role in ROLES {
        let from = peer(role);
        for cut in [
            &b"\xc3"[..],
            b"\xe2",
            b"\xe2\x82",
            b"\xf0",
            b"\xf0\x9f",
            b"\xf0\x9f\x98",
        ] {
            for prefix in ["", "a", "€", PREFIXES[3]] {
                let bytes = [prefix.as_bytes(), cut].concat();
                let (start, end) = bytes.split_at(bytes.len() - 1);
                for wire in [
                    frame(from, FIN | TEXT, &bytes),
                    [frame(from, TEXT, start), frame(from, FIN, end)].concat(),
                    [frame(from, TEXT, &bytes), frame(from, FIN, b"")].concat(),
                    [
                        frame(from, TEXT, &bytes),
                        frame(from, CONTINUATION, b""),
                        frame(from, FIN, b""),
                    ]
                    .concat(),
                ] {
                    fails(role, Config::default(), &wire, Error::InvalidUtf8);
                    // Not before: it could have gone on.
                    let (at, _) = failed_at(role, Config::default(), &wire).unwrap();
                    assert_eq!(at, wire.len());
                }
            }
        }
    }
}

/// The cut of one message is not continued by the next.
#[test]
fn r232_no_state_between_messages() {
    for role in ROLES {
        let from = peer(role);
        let wire = [
            frame(from, TEXT, b"\xe2\x82"),
            frame(from, FIN, b"\xac"),
            frame(from, BINARY, b"\xe2\x82"),
            frame(from, FIN, b""),
        ]
        .concat();
        for stray in [&b"\xac"[..], b"\x82"] {
            let wire = [&wire[..], &frame(from, FIN | TEXT, stray)].concat();
            let before = [text("€"), binary(b"\xe2\x82")];
            let error = Error::InvalidUtf8;
            fails_after(role, Config::default(), &wire, &before, &[], error);
        }
    }
}

#[test]
fn r235_all_of_unicode_is_text() {
    for role in ROLES {
        for message in VALID {
            for prefix in PREFIXES {
                let message = format!("{prefix}{message}");
                let wire = frame(peer(role), FIN | TEXT, message.as_bytes());
                // The same, byte order mark and all.
                assert_eq!(
                    converse(role, Config::default(), &wire).events,
                    [text(&message)]
                );
            }
        }
    }
}

#[test]
fn r236_binary_is_not_checked() {
    for role in ROLES {
        let from = peer(role);
        for (bytes, _) in INVALID {
            let wire = [
                frame(from, FIN | BINARY, bytes),
                frame(from, BINARY, bytes),
                frame(from, FIN, b"\xff"),
                frame(from, FIN | PING, bytes),
                frame(from, FIN | PONG, bytes),
            ]
            .concat();
            let transcript = converse(role, Config::default(), &wire);
            let longer = [bytes, &b"\xff"[..]].concat();
            assert_eq!(
                transcript.events,
                [binary(bytes), binary(&longer), ping(bytes), pong(bytes)]
            );
        }
    }
}

/// R238: text goes out as it is, and is text again at the other end, even if a fragment is shorter
/// than a code point.
#[test]
fn r238_sent_text() {
    for role in ROLES {
        for size in 1..6 {
            let mut talk = Talk::with(role, Config::default().fragment_size(size));
            talk.ws.send_text("a€😀\u{0}").unwrap();
            let wire = drain(&mut talk.ws);
            let frames = parse(role, &wire);
            let bytes: Vec<u8> = frames.into_iter().flat_map(|frame| frame.payload).collect();
            assert_eq!(bytes, "a€😀\u{0}".as_bytes());
            let other = converse(peer(role), Config::default(), &wire);
            assert_eq!(other.events, [text("a€😀\u{0}")]);
        }
    }
}

/// T19: reasons are text too; they have their own error, and the same code.
#[test]
fn r212_t19_close_reasons() {
    for role in ROLES {
        for (bytes, _) in INVALID {
            let body = [&[3, 0xe8, b'a'], *bytes].concat();
            let wire = frame(peer(role), FIN | CLOSE, &body);
            fails(role, Config::default(), &wire, Error::InvalidCloseReason);
        }
        // Cut off at its end, where a message could have gone on, also at the full length.
        for cut in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98"] {
            for len in [0, 1, 123 - cut.len()] {
                let body = [&[3, 0xe8][..], &vec![b'a'; len], cut].concat();
                let wire = frame(peer(role), FIN | CLOSE, &body);
                fails(role, Config::default(), &wire, Error::InvalidCloseReason);
            }
        }
        for reason in VALID {
            let wire = frame(peer(role), FIN | CLOSE, &close_body(1000, reason));
            let transcript = converse(role, Config::default(), &wire);
            assert_eq!(transcript.events, [closed(1000, reason)]);
            assert_eq!(&*transcript.ending.reason, *reason);
        }
    }
    assert_eq!(
        sockless::close::parse(b"\x03\xe8\xed\xa0\x80"),
        Err(Error::InvalidCloseReason)
    );
}

/// R237: there is no way around the validation: whatever is handed over as text is checked, in each
/// kind of delivery.
#[test]
fn r237_text_is_always_checked() {
    for role in ROLES {
        for delivery in [sockless::Delivery::Messages, sockless::Delivery::Parts] {
            let wire = frame(peer(role), FIN | TEXT, b"\xff");
            let config = Config::default().delivery(delivery);
            assert_eq!(
                converse(role, config, &wire).events,
                [Event::Fail(Error::InvalidUtf8)]
            );
        }
    }
}
