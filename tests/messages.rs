//! Messages from frames: RFC 6455 §5.4, and the limits of §10.4.

mod common;

use common::*;
use sockless::{ClientRequest, Config, Connection, Error, Event, Response, Role};

/// The frames as the peer of `role` writes them.
fn wire(role: Role, frames: &[(u8, &[u8])]) -> Vec<u8> {
    let frames = frames.iter();
    frames
        .flat_map(|(first, payload)| frame(peer(role), *first, payload))
        .collect()
}

#[test]
fn r150_t09_continuation_of_nothing() {
    for role in ROLES {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            for payload in [&b""[..], b"x"] {
                let error = Error::UnexpectedContinuation;
                let alone = wire(role, &[(first, payload)]);
                fails(role, Config::default(), &alone, error);
                // Behind a message of one frame, and behind one of two.
                let after = wire(role, &[(FIN | TEXT, b"a"), (first, payload)]);
                fails_after(role, Config::default(), &after, &[text("a")], &[], error);
                let after = wire(role, &[(BINARY, b"a"), (FIN, b"b"), (first, payload)]);
                fails_after(
                    role,
                    Config::default(),
                    &after,
                    &[binary(b"ab")],
                    &[],
                    error,
                );
                // A control frame begins no message.
                let after = wire(role, &[(FIN | PONG, b"p"), (first, payload)]);
                fails_after(role, Config::default(), &after, &[pong(b"p")], &[], error);
            }
        }
    }
}

#[test]
fn r151_t09_new_message_inside_a_message() {
    for role in ROLES {
        for begin in [TEXT, BINARY] {
            for first in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
                for payload in [&b""[..], b"x"] {
                    let error = Error::ExpectedContinuation;
                    // Also when nothing at all has been gathered.
                    for gathered in [
                        &[(begin, &b"a"[..])][..],
                        &[(begin, b"")],
                        &[(begin, b""), (CONTINUATION, b"")],
                        &[(begin, b"a"), (CONTINUATION, b"")],
                    ] {
                        let frames = [gathered, &[(first, payload)]].concat();
                        fails(role, Config::default(), &wire(role, &frames), error);
                    }
                }
            }
        }
    }
}

#[test]
fn r152_t10_control_frames_between_fragments() {
    for role in ROLES {
        let frames = wire(
            role,
            &[
                (TEXT, b"5 \xe2"),
                (FIN | PING, b"\xff\x80"),
                (FIN | PONG, b""),
                (CONTINUATION, b"\x82"),
                (FIN | PING, b""),
                (CONTINUATION, b""),
                (FIN | PONG, b"\xac"),
                (FIN | CONTINUATION, b"\xac."),
                (FIN | PING, b"after"),
            ],
        );
        let transcript = converse(role, Config::default(), &frames);
        assert_eq!(
            transcript.events,
            [
                ping(b"\xff\x80"),
                pong(b""),
                ping(b""),
                pong(b"\xac"),
                text("5 €."),
                ping(b"after"),
            ]
        );
        assert_eq!(
            transcript.written,
            [
                wrote(FIN | PONG, b"\xff\x80"),
                wrote(FIN | PONG, b""),
                wrote(FIN | PONG, b"after"),
            ]
        );
        // At once: before the message goes on, let alone ends.
        let mut talk = Talk::new(role);
        assert_eq!(talk.peer(BINARY, b"a"), []);
        assert_eq!(talk.peer(FIN | PING, b"now"), [ping(b"now")]);
        assert_eq!(talk.written(), [wrote(FIN | PONG, b"now")]);
        assert_eq!(talk.peer(FIN | CLOSE, b""), [closed(None, "")]);
        assert_eq!(talk.written(), [wrote(FIN | CLOSE, b"")]);
    }
}

#[test]
fn r153_empty_fragments() {
    for role in ROLES {
        for begin in [TEXT, BINARY] {
            let message = |data: &str| match begin {
                TEXT => text(data),
                _ => binary(data.as_bytes()),
            };
            for (frames, expected) in [
                (&["", "a"][..], "a"),
                (&["a", ""], "a"),
                (&["a", "", "b"], "ab"),
                (&["", "", "a", "", "", "b", ""], "ab"),
                (&["", ""], ""),
                (&["", "", "", "", ""], ""),
            ] {
                let bytes: Vec<u8> = (0..)
                    .zip(frames)
                    .flat_map(|(i, part)| {
                        let opcode = if i == 0 { begin } else { CONTINUATION };
                        let fin = if i + 1 == frames.len() { FIN } else { 0 };
                        frame(peer(role), fin | opcode, part.as_bytes())
                    })
                    .collect();
                // Twice: the first one leaves nothing behind.
                let transcript = converse(role, Config::default(), &bytes.repeat(2));
                assert_eq!(transcript.events, [message(expected), message(expected)]);
            }
        }
    }
}

#[test]
fn r154_empty_messages() {
    for role in ROLES {
        let frames = wire(
            role,
            &[(FIN | TEXT, b""), (FIN | BINARY, b""), (FIN | TEXT, b"")],
        );
        let transcript = converse(role, Config::default(), &frames);
        assert_eq!(transcript.events, [text(""), binary(b""), text("")]);
    }
}

/// R155: the continuations of a binary message are not text, nor the other way round, whatever the
/// message before it was.
#[test]
fn r155_type_of_the_first_frame() {
    for role in ROLES {
        let frames = wire(
            role,
            &[
                (BINARY, b"a"),
                (CONTINUATION, b"\xff"),
                (FIN, b"b"),
                (TEXT, b"a"),
                (CONTINUATION, b"-"),
                (FIN, b"b"),
                (FIN | BINARY, b"\xff"),
                (BINARY, b""),
                (FIN, b"\xfe"),
            ],
        );
        let transcript = converse(role, Config::default(), &frames);
        assert_eq!(
            transcript.events,
            [
                binary(b"a\xffb"),
                text("a-b"),
                binary(b"\xff"),
                binary(b"\xfe")
            ]
        );
    }
}

/// R156: in one frame, in two at every place, one byte to a frame. (At random in `properties.rs`.)
#[test]
fn r156_any_cut_into_fragments_is_the_same_message() {
    for role in ROLES {
        let message = "a €uro – 😀!";
        let bytes = message.as_bytes();
        for at in 0..=bytes.len() {
            let frames = wire(role, &[(TEXT, &bytes[..at]), (FIN, &bytes[at..])]);
            assert_eq!(
                converse(role, Config::default(), &frames).events,
                [text(message)]
            );
        }
        let mut single = frame(peer(role), TEXT, b"");
        single.extend(
            bytes
                .iter()
                .flat_map(|byte| frame(peer(role), CONTINUATION, &[*byte])),
        );
        single.extend(frame(peer(role), FIN, b""));
        assert_eq!(
            converse(role, Config::default(), &single).events,
            [text(message)]
        );
    }
}

/// R158, T14: the limit is that of the sum, exact, and checked before the payload that exceeds it.
#[test]
fn r158_t14_message_limit() {
    for role in ROLES {
        for limit in [0, 1, 125, 126, 300] {
            let config = Config::default().max_message_size(limit);
            let all = vec![b'm'; limit];
            let more = vec![b'm'; limit + 1];
            for (opcode, event) in [
                (TEXT, text(core::str::from_utf8(&all).unwrap())),
                (BINARY, binary(&all)),
            ] {
                // One frame.
                let bytes = wire(role, &[(FIN | opcode, &all)]);
                assert_eq!(
                    converse(role, config.clone(), &bytes).events,
                    core::slice::from_ref(&event)
                );
                let bytes = wire(role, &[(FIN | opcode, &more)]);
                fails(role, config.clone(), &bytes, Error::MessageTooLarge);
                // Two at every place, twice: the sum starts anew with each message.
                for at in (0..=limit).step_by(1 + limit / 10) {
                    let message = wire(role, &[(opcode, &all[..at]), (FIN, &all[at..])]);
                    let transcript = run(role, config.clone(), &message.repeat(2), &[]);
                    assert_eq!(transcript.events, [event.clone(), event.clone()]);
                    let above = wire(role, &[(opcode, &more[..at]), (FIN, &more[at..])]);
                    let both = [&message[..], &above].concat();
                    fails_after(
                        role,
                        config.clone(),
                        &both,
                        core::slice::from_ref(&event),
                        &[],
                        Error::MessageTooLarge,
                    );
                    // By the header.
                    let begun = wire(role, &[(opcode, &all[..at])]);
                    let rest = u64::try_from(limit - at + 1).unwrap();
                    let begun = [begun, header(peer(role), CONTINUATION, rest)].concat();
                    let error = Some((begun.len(), Error::MessageTooLarge));
                    assert_eq!(failed_at(role, config.clone(), &begun), error);
                }
            }
        }
    }
}

/// T14: neither a control frame nor an empty fragment between them resets the sum.
#[test]
fn t14_sum_over_everything_between() {
    for role in ROLES {
        let config = Config::default().max_message_size(10);
        let frames = [
            (BINARY, &b"12345"[..]),
            (FIN | PING, b"0123456789"),
            (CONTINUATION, b""),
            (CONTINUATION, b"12345"),
            (CONTINUATION, b""),
        ];
        let events = [ping(b"0123456789")];
        let fits = wire(role, &[&frames[..], &[(FIN, b"")]].concat());
        let transcript = converse(role, config.clone(), &fits);
        assert_eq!(
            transcript.events,
            [&events[..], &[binary(b"1234512345")]].concat()
        );
        let above = wire(role, &[&frames[..], &[(FIN, b"6")]].concat());
        fails_after(
            role,
            config,
            &above,
            &events,
            &[wrote(FIN | PONG, b"0123456789")],
            Error::MessageTooLarge,
        );
    }
}

#[test]
fn r159_fragment_limit() {
    for role in ROLES {
        for limit in [1, 2, 3, 10] {
            let config = Config::default().max_fragments(limit);
            let limit = usize::try_from(limit).unwrap();
            for part in [&b""[..], b"x"] {
                let message = |frames: usize| {
                    let mut bytes = Vec::new();
                    for i in 1..=frames {
                        let opcode = if i == 1 { TEXT } else { CONTINUATION };
                        let fin = if i == frames { FIN } else { 0 };
                        bytes.extend(frame(peer(role), fin | opcode, part));
                        // Control frames do not count.
                        bytes.extend(frame(peer(role), FIN | PONG, b""));
                    }
                    bytes
                };
                let pongs = |n| vec![pong(b""); n];
                let mut at = pongs(limit - 1);
                at.extend([text(&"x".repeat(limit * part.len())), pong(b"")]);
                let transcript = converse(role, config.clone(), &message(limit).repeat(2));
                assert_eq!(transcript.events, [at.clone(), at].concat());
                let before = pongs(limit);
                let error = Error::TooManyFragments;
                fails_after(
                    role,
                    config.clone(),
                    &message(limit + 1),
                    &before,
                    &[],
                    error,
                );
            }
        }
    }
}

/// R159: a limit of nothing lets nothing through, however the frame arrives.
#[test]
fn r159_fragment_limit_of_zero() {
    for role in ROLES {
        for payload in [&b""[..], b"x", &[b'x'; 200]] {
            let mut bytes = frame(peer(role), FIN | TEXT, payload);
            bytes.extend(frame(peer(role), FIN | PING, b"after it"));
            fails(
                role,
                Config::default().max_fragments(0),
                &bytes,
                Error::TooManyFragments,
            );
        }
    }
}

/// R160: limits on messages are not limits on control frames, used up or not.
#[test]
fn r160_control_frames_have_their_own_limit() {
    for role in ROLES {
        let config = Config::default()
            .max_frame_size(1)
            .max_message_size(2)
            .max_fragments(3);
        let long = [b'c'; 125];
        let frames = wire(
            role,
            &[
                (FIN | PING, &long),
                (BINARY, b"1"),
                (FIN | PONG, &long),
                (CONTINUATION, b"2"),
                (FIN | PING, &long),
                (FIN, b""),
                (FIN | CLOSE, &close_body(1000, &"r".repeat(123))),
            ],
        );
        let transcript = converse(role, config, &frames);
        assert_eq!(
            transcript.events,
            [
                ping(&long),
                pong(&long),
                ping(&long),
                binary(b"12"),
                closed(1000, &"r".repeat(123)),
            ]
        );
        let none = Config::default()
            .max_frame_size(0)
            .max_message_size(0)
            .max_fragments(0);
        let frames = wire(role, &[(FIN | PING, &long), (FIN | CLOSE, b"")]);
        let transcript = converse(role, none, &frames);
        assert_eq!(transcript.events, [ping(&long), closed(None, "")]);
    }
}

/// R161: the part is not delivered, and the ending tells of it; the closing handshake is a good one.
#[test]
fn r161_close_in_mid_message() {
    for role in ROLES {
        for begin in [TEXT, BINARY] {
            for part in [&b""[..], b"part"] {
                let frames = wire(
                    role,
                    &[(begin, part), (FIN | CLOSE, &close_body(1001, "off"))],
                );
                let transcript = converse(role, Config::default(), &frames);
                assert_eq!(transcript.events, [closed(1001, "off")]);
                assert_eq!(
                    transcript.written,
                    [wrote(FIN | CLOSE, close_body(1001, ""))]
                );
                assert!(transcript.ending.clean && transcript.ending.truncated);
                assert_eq!(
                    (transcript.ending.code, transcript.ending.error),
                    (1001, None)
                );
            }
        }
        // Between messages nothing is lost.
        let frames = wire(role, &[(TEXT, b"a"), (FIN, b"b"), (FIN | CLOSE, b"")]);
        assert!(!converse(role, Config::default(), &frames).ending.truncated);
    }
}

/// T15: what came before the error counts, in the same read as well; what comes after it does not.
#[test]
fn t15_good_messages_before_an_error() {
    for role in ROLES {
        let good = wire(
            role,
            &[
                (FIN | TEXT, b"one"),
                (FIN | PING, b"?"),
                (BINARY, b"tw"),
                (FIN, b"o"),
                (FIN | TEXT, b"three, which is longer"),
            ],
        );
        let events = [
            text("one"),
            ping(b"?"),
            binary(b"two"),
            text("three, which is longer"),
        ];
        for (bad, error) in [
            (wire(role, &[(FIN | 3, b"")]), Error::ReservedOpcode(3)),
            (wire(role, &[(FIN | TEXT, b"\xff")]), Error::InvalidUtf8),
            (
                wire(role, &[(FIN | TEXT, b"\xff and more bytes")]),
                Error::InvalidUtf8,
            ),
            (wire(role, &[(FIN | CLOSE, b"x")]), Error::CloseTooShort),
            (wire(role, &[(FIN, b"")]), Error::UnexpectedContinuation),
        ] {
            let after = wire(
                role,
                &[(FIN | TEXT, b"not this"), (FIN | PING, b"nor this")],
            );
            let all = [&good[..], &bad, &after].concat();
            fails_after(
                role,
                Config::default(),
                &all,
                &events,
                &[wrote(FIN | PONG, "?")],
                error,
            );
        }
    }
}

/// T52: a connection can be moved at any byte: nothing in it points into itself.
#[test]
fn t52_moved_in_mid_frame() {
    for role in ROLES {
        let frames = wire(
            role,
            &[
                (TEXT, "€ and more text".as_bytes()),
                (FIN | PING, b"ping"),
                (FIN, "😀".as_bytes()),
                (FIN | BINARY, &[7; 200]),
            ],
        );
        let mut ws = Box::new(open(role, Config::default()));
        ws.send_binary(&[3; 50]).unwrap();
        let (mut events, mut written) = (Vec::new(), Vec::new());
        for byte in frames {
            // To other memory, and the old memory is used for something else.
            let mut moved = Box::new(*ws);
            let other = Box::new(open(peer(role), Config::default()));
            events.extend(feed(&mut moved, &[byte]));
            written.extend(moved.output().first());
            moved.sent(1);
            drop(other);
            ws = moved;
        }
        written.extend(drain(&mut ws));
        assert_eq!(
            events,
            [ping(b"ping"), text("€ and more text😀"), binary(&[7; 200])]
        );
        assert_eq!(
            parse(role, &written),
            [wrote(FIN | BINARY, [3; 50]), wrote(FIN | PONG, "ping")]
        );
    }
}

/// T25: nothing that an event offers panics, whatever was received.
#[test]
fn t25_events_can_be_looked_at() {
    for role in ROLES {
        let mut frames = wire(
            role,
            &[
                (FIN | TEXT, b""),
                (FIN | BINARY, b"\xff"),
                (FIN | PING, &[0xff; 125]),
                (FIN | PONG, b""),
            ],
        );
        let closes = [
            wire(role, &[(FIN | CLOSE, b"")]),
            wire(
                role,
                &[(FIN | CLOSE, &close_body(4999, "\u{0}\n\u{10ffff}"))],
            ),
            wire(role, &[(FIN | CLOSE, b"x")]),
            wire(role, &[(FIN | CLOSE, &[0xff; 125])]),
            wire(role, &[(0x7f, b"")]),
        ];
        for close in closes {
            frames.extend(close);
            let transcript = converse(role, Config::default(), &frames);
            for event in transcript.events {
                assert!(!format!("{event:?}").is_empty());
                if let Event::Fail(error) = event {
                    assert!(!error.to_string().is_empty());
                }
            }
            let ending = transcript.ending;
            // One line, whatever the peer wrote into its reason.
            assert_eq!(ending.to_string().lines().count(), 1);
        }
    }
}

/// R251: what is held for a message in progress is told, and given back with it.
#[test]
fn r251_gathered_amount() {
    for role in ROLES {
        let from = peer(role);
        for first in [TEXT, BINARY] {
            let mut ws = open(role, Config::default());
            assert_eq!(ws.gathered_amount(), 0);
            feed(&mut ws, &frame(from, first, &[b'x'; 1000]));
            assert!((1000..=4000).contains(&ws.gathered_amount()));
            feed(&mut ws, &frame(from, FIN | PING, b""));
            assert!(ws.gathered_amount() >= 1000);
            feed(&mut ws, &frame(from, FIN, b""));
            assert_eq!(ws.gathered_amount(), 0);
            feed(&mut ws, &frame(from, first, &[b'x'; 1000]));
            feed(&mut ws, &frame(from, first, b""));
            assert_eq!(ws.gathered_amount(), 0, "it failed");
        }
    }
}

/// R251: so is what a client sends before its request is answered.
#[test]
fn r251_gathered_amount_before_the_answer() {
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut ws = Connection::server(Config::default());
    feed(&mut ws, request.as_bytes());
    assert_eq!(ws.gathered_amount(), 0);
    feed(&mut ws, &frame(Role::Client, FIN | BINARY, &[7; 1000]));
    assert!((1000..4000).contains(&ws.gathered_amount()));
    ws.accept(Response::default()).unwrap();
    assert!((1000..4000).contains(&ws.gathered_amount()));
    assert_eq!(ws.poll_event(), Some(binary(&[7; 1000])));
    assert_eq!(ws.poll_event(), None);
    assert_eq!(ws.gathered_amount(), 0);

    let request = ClientRequest::new("ws://example.com/").unwrap();
    let ws = Connection::client(request, Config::default()).unwrap();
    assert_eq!(ws.gathered_amount(), 0);
}
