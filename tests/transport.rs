//! The end of the transport, in every state: RFC 6455 §7.1.4 to §7.1.6.

mod common;

use common::*;
use sockless::{CloseCode, Config, Connection, Ending, Error, Fin, Role, State};

/// Asserts that everything is over, and stays so whatever is called (R381).
fn is_over(ws: &mut Connection, from: Role, ending: &Ending) {
    for _ in 0..2 {
        assert!((ws.state() == State::Closed));
        assert_eq!(ws.state(), State::Closed);
        assert!(ws.output().is_empty());
        assert_eq!(ws.buffered_amount(), 0);
        assert_eq!(&ws.end_of_stream(), ending);
        for input in [
            frame(from, FIN | TEXT, b"late"),
            frame(from, FIN | PING, b"late"),
            frame(from, FIN | CLOSE, &close_body(1000, "late")),
            vec![0xff; 20],
            Vec::new(),
        ] {
            assert_eq!(feed(ws, &input), []);
        }
        assert_eq!(ws.send_text("x"), Ok(()));
        assert_eq!(ws.send_binary(b"x"), Ok(()));
        assert_eq!(ws.send_text_part("x", Fin::Last), Ok(()));
        assert_eq!(ws.send_binary_part(b"x", Fin::Last), Ok(()));
        assert_eq!(ws.send_ping(b"x"), Ok(()));
        assert_eq!(ws.send_pong(b"x"), Ok(()));
        assert_eq!(ws.close(CloseCode::NORMAL, "x"), Ok(()));
        assert_eq!(ws.close_without_code(), Ok(()));
        assert_eq!(ws.buffered_amount(), 0);
        ws.sent(0);
        ws.sent(usize::MAX);
    }
}

/// R380, R381, T23: the table of the endings.
#[test]
fn r380_r381_t23_end_in_every_state() {
    type Step = fn(&mut Talk);
    /// The code, whether it is clean, whether it is truncated.
    type Expected = (u16, bool, bool);
    type Row = (&'static str, Step, Expected, Option<u16>, Option<Error>);
    let table: &[Row] = &[
        ("open, idle", |_| {}, (1006, false, false), None, None),
        (
            "open, after messages",
            |talk| {
                talk.peer(FIN | TEXT, b"a");
                talk.peer(BINARY, b"a");
                talk.peer(FIN, b"a");
                talk.ws.send_text("b").unwrap();
            },
            (1006, false, false),
            None,
            None,
        ),
        (
            "in a header",
            |talk| drop(feed(&mut talk.ws, &[FIN | TEXT])),
            (1006, false, true),
            None,
            None,
        ),
        (
            "in a payload",
            |talk| {
                let bytes = frame(peer(talk.role), FIN | TEXT, b"text");
                feed(&mut talk.ws, &bytes[..bytes.len() - 1]);
            },
            (1006, false, true),
            None,
            None,
        ),
        (
            "before a payload",
            |talk| {
                let bytes = header(peer(talk.role), FIN | TEXT, 5);
                feed(&mut talk.ws, &bytes);
            },
            (1006, false, true),
            None,
            None,
        ),
        (
            "in a ping",
            |talk| {
                let bytes = frame(peer(talk.role), FIN | PING, b"ping");
                feed(&mut talk.ws, &bytes[..bytes.len() - 1]);
            },
            (1006, false, true),
            None,
            None,
        ),
        (
            "in a Close",
            |talk| {
                let bytes = frame(peer(talk.role), FIN | CLOSE, &close_body(1000, ""));
                feed(&mut talk.ws, &bytes[..bytes.len() - 1]);
            },
            (1006, false, true),
            None,
            None,
        ),
        (
            "in a message, between its frames",
            |talk| drop(talk.peer(TEXT, b"part")),
            (1006, false, true),
            None,
            None,
        ),
        (
            "in a message, nothing gathered",
            |talk| drop(talk.peer(BINARY, b"")),
            (1006, false, true),
            None,
            None,
        ),
        (
            "in a message, after a ping",
            |talk| {
                talk.peer(BINARY, b"");
                talk.peer(FIN | PING, b"");
            },
            (1006, false, true),
            None,
            None,
        ),
        (
            "our Close queued",
            |talk| talk.ws.close(CloseCode::NORMAL, "").unwrap(),
            (1006, false, false),
            Some(1000),
            None,
        ),
        (
            "our Close written",
            |talk| {
                talk.ws.close(CloseCode::GOING_AWAY, "").unwrap();
                talk.written();
            },
            (1006, false, false),
            Some(1001),
            None,
        ),
        (
            "our Close written, in a message",
            |talk| {
                talk.ws.close_without_code().unwrap();
                talk.written();
                talk.peer(TEXT, b"a");
            },
            (1006, false, true),
            None,
            None,
        ),
        (
            "the peer's Close, our answer queued",
            |talk| drop(talk.peer(FIN | CLOSE, close_body(4000, ""))),
            (4000, false, false),
            Some(4000),
            None,
        ),
        (
            "the peer's Close without a code, our answer queued",
            |talk| drop(talk.peer(FIN | CLOSE, b"")),
            (1005, false, false),
            None,
            None,
        ),
        (
            "the peer's Close, our answer begun",
            |talk| {
                talk.peer(FIN | CLOSE, close_body(4000, ""));
                talk.ws.sent(1);
            },
            (4000, false, false),
            Some(4000),
            None,
        ),
        (
            "both, the peer first",
            |talk| {
                talk.peer(FIN | CLOSE, close_body(4000, ""));
                talk.written();
            },
            (4000, true, false),
            Some(4000),
            None,
        ),
        (
            "both, we first",
            |talk| {
                talk.ws.close(CloseCode::NORMAL, "").unwrap();
                talk.written();
                talk.peer(FIN | CLOSE, close_body(4000, ""));
            },
            (4000, true, false),
            Some(1000),
            None,
        ),
        (
            "both at once, ours still queued",
            |talk| {
                talk.ws.close(CloseCode::NORMAL, "").unwrap();
                talk.peer(FIN | CLOSE, close_body(4000, ""));
            },
            (4000, false, false),
            Some(1000),
            None,
        ),
        (
            "both, in mid-message",
            |talk| {
                talk.peer(TEXT, b"a");
                talk.peer(FIN | CLOSE, close_body(4000, ""));
                talk.written();
            },
            (4000, true, true),
            Some(4000),
            None,
        ),
        (
            "failed, the Close queued",
            |talk| drop(talk.peer(FIN | 3, b"")),
            (1006, false, false),
            Some(1002),
            Some(Error::ReservedOpcode(3)),
        ),
        (
            "failed, the Close written",
            |talk| {
                talk.peer(FIN | TEXT, b"\xff");
                talk.written();
            },
            (1006, false, false),
            Some(1007),
            Some(Error::InvalidUtf8),
        ),
        (
            "failed after our Close",
            |talk| {
                talk.ws.close(CloseCode::NORMAL, "").unwrap();
                talk.peer(FIN | 3, b"");
                talk.written();
            },
            (1006, false, false),
            Some(1000),
            Some(Error::ReservedOpcode(3)),
        ),
        (
            "failed, then a Close",
            |talk| {
                talk.peer(FIN | 3, b"");
                talk.written();
                talk.peer(FIN | CLOSE, close_body(1000, "x"));
            },
            (1006, false, false),
            Some(1002),
            Some(Error::ReservedOpcode(3)),
        ),
    ];
    for role in ROLES {
        for (name, step, (code, clean, truncated), sent_code, error) in table {
            let mut talk = Talk::new(role);
            step(&mut talk);
            let ending = talk.ws.end_of_stream();
            assert_eq!(
                (ending.code, ending.clean, ending.truncated),
                (*code, *clean, *truncated),
                "{name}"
            );
            assert_eq!(ending.sent_code.map(u16::from), *sent_code, "{name}");
            assert_eq!(ending.error, *error, "{name}");
            assert_eq!(ending.response, None);
            is_over(&mut talk.ws, peer(role), &ending);
        }
    }
}

/// R380: in the handshake, as far as it can be seen without one.
#[test]
fn r380_end_in_the_handshake() {
    let mut ws = Connection::server(Config::default());
    assert_eq!(ws.state(), State::Connecting);
    feed(&mut ws, b"GET ");
    let ending = ws.end_of_stream();
    assert_eq!(
        (ending.code, ending.clean, ending.truncated),
        (1006, false, true)
    );
    assert_eq!(ending.sent_code, None);
    is_over(&mut ws, Role::Client, &ending);
}

/// R206: at every byte of a conversation: `truncated` inside of a frame or message, whatever its
/// kind, and never a part of a message as an event.
#[test]
fn r206_t23_cut_off_at_every_byte() {
    for role in ROLES {
        let from = peer(role);
        let frames = [
            (frame(from, FIN | TEXT, b"one"), false),
            (frame(from, BINARY, &[2; 130]), true),
            (frame(from, FIN | PING, b"ping"), true),
            (frame(from, CONTINUATION, b""), true),
            (frame(from, FIN | CONTINUATION, b"end"), false),
            (frame(from, FIN | TEXT, b""), false),
            (frame(from, FIN | PONG, b"pong"), false),
        ];
        let events = [
            text("one"),
            ping(b"ping"),
            binary(&[&[2; 130][..], b"end"].concat()),
            text(""),
            pong(b"pong"),
        ];
        let mut before = Vec::new();
        let mut in_message = false;
        for (frame, open_after) in frames {
            for n in 0..frame.len() {
                let wire = [&before[..], &frame[..n]].concat();
                for cuts in [Vec::new(), (1..wire.len()).collect()] {
                    let transcript = run(role, Config::default(), &wire, &cuts);
                    assert_eq!(transcript.ending.truncated, n > 0 || in_message);
                    assert_eq!(
                        (transcript.ending.code, transcript.ending.clean),
                        (1006, false)
                    );
                    assert_eq!(transcript.events, events[..transcript.events.len()]);
                }
            }
            before.extend(frame);
            in_message = open_after;
        }
        assert_eq!(run(role, Config::default(), &before, &[]).events, events);
    }
}

/// R381: what was queued is forgotten with the transport, at any byte of it; the ending does not
/// change when it is asked again.
#[test]
fn r381_output_after_the_end() {
    for role in ROLES {
        for n in [0, 1, 100, 399] {
            let mut talk = Talk::with(role, Config::default().high_water_mark(10));
            talk.ws.send_binary(&[1; 400]).unwrap();
            talk.peer(FIN | PING, b"urgent");
            talk.ws.sent(n);
            let ending = talk.ws.end_of_stream();
            is_over(&mut talk.ws, peer(role), &ending);
        }
    }
}

/// `Ending` as a result: clean or an error that says how.
#[test]
#[cfg(feature = "std")]
fn r199_ending_as_a_result() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.peer(FIN | CLOSE, b"");
        talk.written();
        std::io::Result::from(talk.ws.end_of_stream()).expect("clean");
        let mut talk = Talk::new(role);
        let error = std::io::Result::from(talk.ws.end_of_stream()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
        let ending = error.into_inner().unwrap().downcast::<Ending>().unwrap();
        assert_eq!(ending.code, 1006);
        let mut talk = Talk::new(role);
        talk.peer(FIN | 3, b"");
        let error = std::io::Result::from(talk.ws.end_of_stream()).unwrap_err();
        let ending = error.into_inner().unwrap().downcast::<Ending>().unwrap();
        assert_eq!(ending.error, Some(Error::ReservedOpcode(3)));
    }
}

/// R382: a reset is told apart from an end; what was exchanged before counts all the same.
#[test]
fn r382_reset_is_not_the_end_of_the_stream() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.peer(TEXT, b"half of a");
        let ending = talk.ws.transport_reset();
        assert!(ending.reset && ending.truncated && ending.opened && !ending.clean);
        assert_eq!((ending.code, ending.error), (1006, None));
        assert_eq!(ending.to_string(), "transport was reset: 1006 (abnormal)");
        assert_eq!(talk.ws.end_of_stream(), ending, "the first word counts");

        let mut talk = Talk::new(role);
        talk.peer(FIN | CLOSE, close_body(1001, "so long"));
        talk.written();
        let ending = talk.ws.transport_reset();
        assert!(ending.reset && ending.clean);
        assert_eq!((ending.code, &*ending.reason), (1001, "so long"));

        let mut talk = Talk::new(role);
        assert!(!talk.ws.end_of_stream().reset);
    }
}

/// R207: no connection closes by itself, whatever its peer says by the rules.
#[test]
fn r207_nothing_closes_without_a_wish_or_a_fault() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        for _ in 0..1000 {
            talk.peer(FIN | PING, b"p");
            talk.peer(FIN | PONG, b"");
            talk.peer(FIN | TEXT, b"text");
            assert_eq!(talk.written(), [wrote(FIN | PONG, b"p")]);
        }
        assert_eq!(
            (talk.ws.state(), talk.ws.transport()),
            (State::Open, Transport::Keep)
        );
    }
}
