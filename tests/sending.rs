//! What is sent, and what is refused before it is: RFC 6455 §6.1, §5.2, §5.4.

mod common;

use core::cell::Cell;

use common::*;
use sockless::frame::Opcode;
use sockless::{CloseCode, Config, Connection, EntropyError, Fin, Role, SendError, State};

/// Asserts that `call` is refused with `error` and changes nothing that can be seen.
fn refused(
    ws: &mut Connection,
    error: SendError,
    call: impl FnOnce(&mut Connection) -> Result<(), SendError>,
) {
    changes_nothing(ws, Err(error), call);
}

fn changes_nothing(
    ws: &mut Connection,
    answer: Result<(), SendError>,
    call: impl FnOnce(&mut Connection) -> Result<(), SendError>,
) {
    let (output, waiting, state) = (ws.output().to_vec(), ws.buffered_amount(), ws.state());
    assert_eq!(call(ws), answer);
    assert_eq!(ws.output(), output);
    assert_eq!((ws.buffered_amount(), ws.state()), (waiting, state));
}

/// All that sends, with arguments that are right by themselves.
type Call = fn(&mut Connection) -> Result<(), SendError>;
const DATA: [Call; 6] = [
    |ws| ws.send_text("x"),
    |ws| ws.send_binary(b""),
    |ws| ws.send_text_part("x", Fin::More),
    |ws| ws.send_text_part("", Fin::Last),
    |ws| ws.send_binary_part(b"x", Fin::More),
    |ws| ws.send_binary_part(b"", Fin::Last),
];
const CONTROL: [Call; 2] = [|ws| ws.send_ping(b"x"), |ws| ws.send_pong(b"x")];
const CLOSING: [Call; 2] = [
    |ws| ws.close(CloseCode::NORMAL, "x"),
    |ws| ws.close_without_code(),
];

/// R260, T31: before the connection is open.
#[test]
fn r260_t31_not_while_connecting() {
    let mut ws = Connection::server(Config::default());
    assert_eq!(ws.state(), State::Connecting);
    for call in DATA.into_iter().chain(CONTROL).chain(CLOSING) {
        refused(&mut ws, SendError::Connecting, call);
    }
}

/// R260, T31: after a Close of either side, a failure, or the end; whatever of it is written.
#[test]
fn r260_t31_not_when_closing_or_closed() {
    let ends: [fn(&mut Talk); 6] = [
        |talk| talk.ws.close(CloseCode::NORMAL, "").unwrap(),
        |talk| talk.ws.close_without_code().unwrap(),
        |talk| drop(talk.peer(FIN | CLOSE, close_body(1000, ""))),
        |talk| drop(talk.peer(FIN | 3, "")),
        |talk| {
            talk.ws.close(CloseCode::NORMAL, "").unwrap();
            talk.peer(FIN | CLOSE, "");
        },
        |talk| drop(talk.ws.end_of_stream()),
    ];
    for role in ROLES {
        for (number, end) in ends.into_iter().enumerate() {
            let pongs_go = number < 2;
            let mut talk = Talk::new(role);
            talk.ws.send_text("before").unwrap();
            end(&mut talk);
            for written in [false, true] {
                if written {
                    talk.written();
                }
                for call in DATA {
                    changes_nothing(&mut talk.ws, Ok(()), call);
                }
                changes_nothing(&mut talk.ws, Ok(()), CONTROL[0]);
                if !pongs_go {
                    changes_nothing(&mut talk.ws, Ok(()), CONTROL[1]);
                }
            }
            // Unless only ours was sent (R173).
            talk.ws.send_pong(b"x").unwrap();
            assert_eq!(talk.ws.output().is_empty(), !pongs_go);
        }
    }
}

/// R261: each length around the forms, as bytes.
#[test]
fn r261_shortest_length() {
    for (len, unmasked) in [
        (0, &[0x82, 0][..]),
        (1, &[0x82, 1]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (127, &[0x82, 126, 0, 127]),
        (255, &[0x82, 126, 0, 255]),
        (256, &[0x82, 126, 1, 0]),
        (65535, &[0x82, 126, 0xff, 0xff]),
        (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (70000, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
    ] {
        let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
        for role in ROLES {
            let mut head = unmasked.to_vec();
            let key = match role {
                Role::Client => 4,
                Role::Server => 0,
            };
            head[1] |= if role == Role::Client { 0x80 } else { 0 };
            let mut ws = open(role, Config::default());
            ws.send_binary(&payload).unwrap();
            assert_eq!(ws.buffered_amount(), head.len() + key + len);
            let bytes = drain(&mut ws);
            assert_eq!(bytes[..head.len()], head);
            assert_eq!(parse(role, &bytes), [wrote(FIN | BINARY, &payload)]);
        }
    }
}

/// R262, R264: type first, then opcode 0, FIN last, no reserved bit; control frames between.
#[test]
fn r262_r264_message_in_parts() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        let ws = &mut talk.ws;
        ws.send_text_part("a", Fin::More).unwrap();
        ws.send_text_part("", Fin::More).unwrap();
        ws.send_ping(b"p").unwrap();
        ws.send_pong(b"q").unwrap();
        ws.send_text_part("b", Fin::Last).unwrap();
        ws.send_binary_part(b"", Fin::More).unwrap();
        ws.send_binary_part(b"", Fin::Last).unwrap();
        // One part is a message.
        ws.send_binary_part(b"c", Fin::Last).unwrap();
        ws.send_text_part("", Fin::Last).unwrap();
        ws.send_text("d").unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(TEXT, "a"),
                wrote(CONTINUATION, ""),
                wrote(FIN | PING, "p"),
                wrote(FIN | PONG, "q"),
                wrote(FIN | CONTINUATION, "b"),
                wrote(BINARY, ""),
                wrote(FIN | CONTINUATION, ""),
                wrote(FIN | BINARY, "c"),
                wrote(FIN | TEXT, ""),
                wrote(FIN | TEXT, "d"),
            ]
        );
    }
}

/// R262, T31: no other message begins inside of one, and no part changes its type.
#[test]
fn r262_t31_message_in_progress() {
    for role in ROLES {
        for binary in [false, true] {
            for first in ["", "a"] {
                let part = |ws: &mut Connection, data: &str, fin| match binary {
                    true => ws.send_binary_part(data.as_bytes(), fin),
                    false => ws.send_text_part(data, fin),
                };
                let mut talk = Talk::new(role);
                part(&mut talk.ws, first, Fin::More).unwrap();
                let other: [Call; 4] = [
                    |ws| ws.send_text("x"),
                    |ws| ws.send_binary(b"x"),
                    |ws| ws.send_text(""),
                    |ws| ws.send_binary(b""),
                ];
                let wrong_type = match binary {
                    false => &DATA[4..],
                    true => &DATA[2..4],
                };
                for call in other.iter().chain(wrong_type) {
                    refused(&mut talk.ws, SendError::MessageInProgress, call);
                }
                // The message goes on as if nothing had been asked.
                part(&mut talk.ws, "b", Fin::Last).unwrap();
                talk.ws.send_text("next").unwrap();
                let opcode = if binary { BINARY } else { TEXT };
                assert_eq!(
                    talk.written(),
                    [
                        wrote(opcode, first),
                        wrote(FIN | CONTINUATION, "b"),
                        wrote(FIN | TEXT, "next"),
                    ]
                );
            }
        }
    }
}

#[test]
fn r263_t31_control_payloads() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        for payload in [&[0; 126][..], &[0; 127], &[0; 65536]] {
            refused(&mut talk.ws, SendError::ControlTooLong, |ws| {
                ws.send_ping(payload)
            });
            refused(&mut talk.ws, SendError::ControlTooLong, |ws| {
                ws.send_pong(payload)
            });
        }
        talk.ws.send_ping(&[1; 125]).unwrap();
        talk.ws.send_pong(&[2; 125]).unwrap();
        assert_eq!(
            talk.written(),
            [wrote(FIN | PING, [1; 125]), wrote(FIN | PONG, [2; 125])]
        );
        // No setting of fragments cuts a control frame.
        let mut talk = Talk::with(role, Config::default().fragment_size(1));
        talk.ws.send_ping(&[1; 125]).unwrap();
        talk.ws.close(CloseCode::NORMAL, "reason").unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | PING, [1; 125]),
                wrote(FIN | CLOSE, close_body(1000, "reason"))
            ]
        );
    }
}

/// R265: messages at, below and above the size, and its multiples; parts as well.
#[test]
fn r265_fragment_size() {
    for role in ROLES {
        for size in [0, 1, 2, 7, 125, 126] {
            let config = Config::default().fragment_size(size);
            let size = size.max(1);
            for len in [
                0,
                1,
                size - 1,
                size,
                size + 1,
                2 * size,
                2 * size + 1,
                10 * size,
            ] {
                let message = "m".repeat(len);
                let mut expected: Vec<Frame> = message
                    .as_bytes()
                    .chunks(size)
                    .map(|chunk| wrote(CONTINUATION, chunk))
                    .collect();
                if expected.is_empty() {
                    expected.push(wrote(CONTINUATION, ""));
                }
                expected[0].first |= TEXT;
                let mut open_end = expected.clone();
                expected.last_mut().unwrap().first |= FIN;

                let mut talk = Talk::with(role, config.clone());
                talk.ws.send_text(&message).unwrap();
                let bytes = drain(&mut talk.ws);
                assert_eq!(parse(role, &bytes), expected);
                let other = run(peer(role), Config::default(), &bytes, &[]);
                assert_eq!(other.events, [text(&message)]);

                talk.ws.send_text_part(&message, Fin::More).unwrap();
                talk.ws.send_text_part("", Fin::Last).unwrap();
                open_end.push(wrote(FIN | CONTINUATION, ""));
                assert_eq!(talk.written(), open_end);
            }
        }
    }
}

/// R266: a frame's length is that of the piece it was made of, so it cannot be missed; a Close in
/// mid-message comes between two whole frames.
#[test]
fn r266_frames_are_whole() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        let mut expected = Vec::new();
        for len in [0, 1, 125, 126, 65535, 65536] {
            let part = vec![b'p'; len];
            talk.ws.send_binary_part(&part, Fin::More).unwrap();
            let opcode = if len == 0 { BINARY } else { CONTINUATION };
            expected.push(wrote(opcode, part));
        }
        talk.ws.close(CloseCode::NORMAL, "").unwrap();
        expected.push(wrote(FIN | CLOSE, close_body(1000, "")));
        assert_eq!(talk.written(), expected);
    }
}

/// R267: the type has the six opcodes of the RFC.
#[test]
fn r267_reserved_opcodes_have_no_value() {
    for bits in 0..=255 {
        let legal = matches!(bits, 0..=2 | 8..=10);
        assert_eq!(Opcode::new(bits).is_some(), legal);
        if let Some(opcode) = Opcode::new(bits) {
            assert_eq!(opcode as u8, bits);
            assert_eq!(opcode.is_control(), bits >= 8);
        }
    }
}

/// T31: a Close that is refused.
#[test]
fn t31_close_arguments() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_text("before").unwrap();
        refused(&mut talk.ws, SendError::ReasonTooLong, |ws| {
            ws.close(CloseCode::NORMAL, &"r".repeat(124))
        });
        if role == Role::Server {
            refused(&mut talk.ws, SendError::ClientCloseCode, |ws| {
                ws.close(CloseCode::MANDATORY_EXTENSION, "")
            });
        }
        talk.ws.send_text("after").unwrap();
        assert_eq!(
            talk.written(),
            [wrote(FIN | TEXT, "before"), wrote(FIN | TEXT, "after")]
        );
        assert_eq!(talk.ws.end_of_stream().sent_code, None);
    }
}

thread_local! {
    /// How many more times [`limited`] works.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn limited(buffer: &mut [u8]) -> Result<(), EntropyError> {
    LEFT.set(
        LEFT.get()
            .checked_sub(1)
            .ok_or_else(EntropyError::default)?,
    );
    entropy(buffer)
}

/// SendError::Entropy, from each call that masks; the state of a message in parts stays as well.
#[test]
fn t31_no_entropy() {
    let config = Config::default().entropy(limited);
    for call in DATA.into_iter().chain(CONTROL).chain(CLOSING) {
        LEFT.set(0);
        let mut ws = Connection::upgraded(Role::Client, config.clone());
        refused(&mut ws, SendError::Entropy, call);
        assert_eq!(ws.end_of_stream().sent_code, None);
    }
    // A close that failed can be asked for again.
    LEFT.set(0);
    let mut ws = Connection::upgraded(Role::Client, config.clone());
    for call in CLOSING {
        refused(&mut ws, SendError::Entropy, call);
    }
    LEFT.set(usize::MAX);
    ws.send_text("x").unwrap();
    ws.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(
        parse(Role::Client, &drain(&mut ws)),
        [
            wrote(FIN | TEXT, "x"),
            wrote(FIN | CLOSE, close_body(1000, ""))
        ]
    );
}

/// T31, T50: a message of a thousand frames for which the masks run out: none of them is queued, what
/// was queued before stays, and the next message begins anew. Where it is in progress, it still is.
#[test]
fn t31_t50_entropy_runs_out_within_a_message() {
    let config = Config::default()
        .entropy(limited)
        .fragment_size(1)
        .high_water_mark(5);
    let message = "m".repeat(1000);
    for batches in 1..4 {
        for written in [0, 1, 3, 9] {
            LEFT.set(batches);
            let mut ws = Connection::upgraded(Role::Client, config.clone());
            ws.send_text_part("ab", Fin::More).unwrap();
            let mut bytes = ws.output()[..written].to_vec();
            ws.sent(written);
            feed(&mut ws, &frame(Role::Server, FIN | PING, b"?"));
            refused(&mut ws, SendError::Entropy, |ws| {
                ws.send_text_part(&message, Fin::Last)
            });
            refused(&mut ws, SendError::MessageInProgress, |ws| {
                ws.send_text("x")
            });
            LEFT.set(usize::MAX);
            ws.send_text_part("c", Fin::Last).unwrap();
            ws.send_binary(b"d").unwrap();
            bytes.extend(drain(&mut ws));
            let mut frames = parse(Role::Client, &bytes);
            let pong = frames.iter().position(|frame| frame.first == FIN | PONG);
            frames.remove(pong.expect("the pong"));
            assert_eq!(
                frames,
                [
                    wrote(TEXT, "a"),
                    wrote(CONTINUATION, "b"),
                    wrote(FIN | CONTINUATION, "c"),
                    wrote(FIN | BINARY, "d"),
                ]
            );
        }
        LEFT.set(batches);
        let mut ws = Connection::upgraded(Role::Client, config.clone());
        refused(&mut ws, SendError::Entropy, |ws| ws.send_text(&message));
        LEFT.set(usize::MAX);
        ws.send_binary(b"d").unwrap();
        assert_eq!(
            parse(Role::Client, &drain(&mut ws)),
            [wrote(FIN | BINARY, "d")]
        );
    }
}
