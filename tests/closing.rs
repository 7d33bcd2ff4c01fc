//! The closing handshake and failures: RFC 6455 §5.5.1, §7.

mod common;

use common::*;
use sockless::close::{self, CloseCode, InvalidCloseCode};
use sockless::{Config, Connection, EntropyError, Error, Event, Fin, Role, SendError, State};

/// Each variant of `Error` but the handshake's: a conversation that provokes it, and its code.
fn violations(role: Role) -> Vec<(Vec<u8>, Error, u16)> {
    let from = peer(role);
    let say = |first, payload: &[u8]| frame(from, first, payload);
    let (wrong_mask, unmasked) = match role {
        Role::Server => (Error::MissingMask, frame(Role::Server, FIN | TEXT, b"a")),
        Role::Client => (Error::UnexpectedMask, frame(Role::Client, FIN | TEXT, b"a")),
    };
    let mask = if role == Role::Server { 0x80 } else { 0 };
    vec![
        (say(FIN | RSV1 | TEXT, b""), Error::ReservedBits, 1002),
        (say(FIN | 3, b""), Error::ReservedOpcode(3), 1002),
        (say(PING, b""), Error::FragmentedControl, 1002),
        (say(FIN | PING, &[0; 126]), Error::ControlTooLong, 1002),
        (unmasked, wrong_mask, 1002),
        (
            vec![FIN | TEXT, mask | 126, 0, 1],
            Error::NonMinimalLength,
            1002,
        ),
        (
            vec![FIN | TEXT, mask | 127, 0x80],
            Error::LengthOverflow,
            1002,
        ),
        (header(from, FIN | TEXT, 1001), Error::FrameTooLarge, 1009),
        (say(FIN, b""), Error::UnexpectedContinuation, 1002),
        (
            [say(TEXT, b""), say(TEXT, b"")].concat(),
            Error::ExpectedContinuation,
            1002,
        ),
        (
            [say(TEXT, &[b'a'; 1000]), say(FIN, &[b'a'; 501])].concat(),
            Error::MessageTooLarge,
            1009,
        ),
        (
            [say(TEXT, b""), say(0, b""), say(0, b""), say(0, b"")].concat(),
            Error::TooManyFragments,
            1008,
        ),
        (say(FIN | TEXT, b"\xff"), Error::InvalidUtf8, 1007),
        (say(FIN | CLOSE, b"\x03"), Error::CloseTooShort, 1002),
        (
            say(FIN | CLOSE, &close_body(1005, "")),
            Error::InvalidCloseCode(1005),
            1002,
        ),
        (
            say(FIN | CLOSE, b"\x03\xe8\xff"),
            Error::InvalidCloseReason,
            1007,
        ),
    ]
}

fn limited() -> Config {
    Config::default()
        .max_frame_size(1000)
        .max_message_size(1500)
        .max_fragments(3)
}

/// T22: every error of the peer, its code row by row, the Close that says so, and the end of it all.
#[test]
fn r200_r201_t22_every_violation() {
    for role in ROLES {
        for (wire, error, code) in violations(role) {
            assert_eq!(error.close_code().map(u16::from), Some(code), "{error:?}");
            // R201: one Close, with the code. (`fails` asserts it, under every split.)
            fails(role, limited(), &wire, error);
            // R200: whatever follows is ignored, in the same read and in later ones, a Close too.
            let from = peer(role);
            let after = [
                frame(from, FIN | PING, b"?"),
                frame(from, FIN | TEXT, b"hello"),
                frame(from, FIN | CLOSE, &close_body(1000, "")),
                vec![0xff; 20],
            ]
            .concat();
            fails(
                role,
                limited(),
                &[wire.clone(), after.clone()].concat(),
                error,
            );

            let mut talk = Talk::with(role, limited());
            assert_eq!(feed(&mut talk.ws, &wire), [Event::Fail(error)]);
            assert_eq!(talk.ws.state(), State::Closing);
            assert!(!(talk.ws.state() == State::Closed));
            assert_eq!(talk.ws.send_text("x"), Ok(()));
            assert_eq!(talk.ws.send_pong(b"x"), Ok(()));
            assert_eq!(talk.ws.close(CloseCode::NORMAL, ""), Ok(()));
            assert_eq!(feed(&mut talk.ws, &after), []);
            assert_eq!(talk.written().len(), 1);
            // Nothing is awaited, by a client neither.
            assert!((talk.ws.state() == State::Closed));
            assert_eq!(talk.ws.state(), State::Closed);
            assert_eq!(feed(&mut talk.ws, &after), []);
            assert!(talk.ws.output().is_empty());
        }
    }
}

thread_local! {
    static ENTROPY_FAILS: core::cell::Cell<bool> = const { core::cell::Cell::new(false) };
}

fn fickle(buffer: &mut [u8]) -> Result<(), EntropyError> {
    match ENTROPY_FAILS.get() {
        true => Err(EntropyError::default()),
        false => entropy(buffer),
    }
}

/// The one error that is nobody's fault but the machine's: a reply that cannot be masked.
#[test]
fn r201_entropy_error() {
    assert_eq!(Error::Entropy.close_code(), Some(CloseCode::INTERNAL_ERROR));
    ENTROPY_FAILS.set(true);
    let mut ws = Connection::upgraded(Role::Client, Config::default().entropy(fickle));
    let events = feed(&mut ws, &frame(Role::Server, FIN | PING, b"?"));
    assert_eq!(events, [Event::Fail(Error::Entropy)]);
    // No Close can be masked either.
    assert!(ws.output().is_empty() && (ws.state() == State::Closed));
    assert_eq!(feed(&mut ws, &frame(Role::Server, FIN | TEXT, b"x")), []);
    let ending = ws.end_of_stream();
    assert_eq!((ending.clean, ending.error), (false, Some(Error::Entropy)));
    assert_eq!(ending.sent_code, None);
    // Another failure is reported as what it is, even though no Close can say so.
    let mut ws = Connection::upgraded(Role::Client, Config::default().entropy(fickle));
    let events = feed(&mut ws, &frame(Role::Server, FIN | 3, b""));
    assert_eq!(events, [Event::Fail(Error::ReservedOpcode(3))]);
    assert!(ws.output().is_empty() && (ws.state() == State::Closed));
    ENTROPY_FAILS.set(false);
}

/// R190, R225: one Close in answer, the code of the peer's and nothing more; none for none.
#[test]
fn r190_r225_close_is_answered() {
    for role in ROLES {
        for (body, event, answer) in [
            (b"".to_vec(), closed(None, ""), b"".to_vec()),
            (close_body(1000, ""), closed(1000, ""), close_body(1000, "")),
            (
                close_body(1001, "tab closed"),
                closed(1001, "tab closed"),
                close_body(1001, ""),
            ),
            (
                close_body(4999, &"é".repeat(61)),
                closed(4999, &"é".repeat(61)),
                close_body(4999, ""),
            ),
        ] {
            let wire = frame(peer(role), FIN | CLOSE, &body);
            let transcript = converse(role, Config::default(), &wire);
            assert_eq!(transcript.events, [event]);
            assert_eq!(transcript.written, [wrote(FIN | CLOSE, answer)]);
        }
    }
}

/// R192: no data behind our Close; the message that was being sent is left as it is.
#[test]
fn r192_no_data_after_our_close() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_text_part("half", Fin::More).unwrap();
        talk.ws.close(CloseCode::GOING_AWAY, "").unwrap();
        assert_eq!(talk.ws.state(), State::Closing);
        assert_eq!(talk.ws.send_text("a"), Ok(()));
        assert_eq!(talk.ws.send_binary(b""), Ok(()));
        assert_eq!(talk.ws.send_text_part("", Fin::Last), Ok(()));
        assert_eq!(talk.ws.send_binary_part(b"", Fin::More), Ok(()));
        assert_eq!(talk.ws.send_ping(b""), Ok(()));
        assert_eq!(
            talk.written(),
            [
                wrote(TEXT, "half"),
                wrote(FIN | CLOSE, close_body(1001, ""))
            ]
        );
        assert_eq!(talk.ws.send_text("a"), Ok(()));
        assert!(talk.ws.output().is_empty());
    }
}

#[test]
fn r193_t21_nothing_is_read_after_the_peers_close() {
    for role in ROLES {
        let from = peer(role);
        let close = frame(from, FIN | CLOSE, &close_body(1000, "first"));
        for after in [
            frame(from, FIN | TEXT, b"data"),
            frame(from, FIN | PING, b"ping"),
            frame(from, FIN | CLOSE, &close_body(1001, "second")),
            frame(from, FIN | CLOSE, b"x"),
            vec![0xff; 30],
            frame(peer(from), FIN | TEXT, b"wrong mask"),
        ] {
            let transcript = converse(role, Config::default(), &[&close[..], &after].concat());
            assert_eq!(transcript.events, [closed(1000, "first")]);
            assert_eq!(
                transcript.written,
                [wrote(FIN | CLOSE, close_body(1000, ""))]
            );
            assert!(transcript.ending.clean);
            assert_eq!(
                (transcript.ending.code, &*transcript.ending.reason),
                (1000, "first")
            );
            assert_eq!(transcript.ending.error, None);
        }
    }
}

/// R194: a peer may finish what it is saying; it still has to keep to the rules (R202).
#[test]
fn r194_data_after_our_close_is_delivered() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        assert_eq!(talk.peer(BINARY, b"be"), []);
        talk.ws.close(CloseCode::NORMAL, "enough").unwrap();
        assert_eq!(talk.peer(CONTINUATION, b"gu"), []);
        assert_eq!(
            talk.written(),
            [wrote(FIN | CLOSE, close_body(1000, "enough"))]
        );
        assert_eq!(talk.peer(FIN, b"n"), [binary(b"begun")]);
        assert_eq!(talk.peer(FIN | TEXT, b"late"), [text("late")]);
        assert_eq!(talk.peer(FIN | PONG, b"late"), [pong(b"late")]);
        assert!(talk.ws.output().is_empty());
        assert_eq!(talk.ws.state(), State::Closing);
        assert_eq!(
            talk.peer(FIN | CLOSE, close_body(1000, "")),
            [closed(1000, "")]
        );
        assert!(talk.ws.output().is_empty());
        assert!(talk.ws.end_of_stream().clean);
    }
}

/// R195, as far as `is_closed` goes: a server is done once its Close is written, to the last byte, a
/// client when the server ends the transport.
#[test]
fn r195_who_ends_the_transport() {
    for role in ROLES {
        // The peer begins.
        let mut talk = Talk::new(role);
        talk.peer(FIN | CLOSE, close_body(1000, ""));
        let len = talk.ws.output().len();
        for _ in 0..len {
            assert!(!(talk.ws.state() == State::Closed));
            assert_eq!(talk.ws.state(), State::Closing);
            talk.ws.sent(1);
        }
        assert_eq!((talk.ws.state() == State::Closed), role == Role::Server);
        assert!(talk.ws.end_of_stream().clean);
        assert!((talk.ws.state() == State::Closed));
        assert_eq!(talk.ws.state(), State::Closed);
        // We begin.
        let mut talk = Talk::new(role);
        talk.ws.close(CloseCode::NORMAL, "").unwrap();
        talk.written();
        assert!(
            !(talk.ws.state() == State::Closed),
            "the peer's Close is to come"
        );
        talk.peer(FIN | CLOSE, close_body(1000, ""));
        assert_eq!((talk.ws.state() == State::Closed), role == Role::Server);
        talk.ws.end_of_stream();
        assert!((talk.ws.state() == State::Closed));
        // Data that was queued before goes first.
        let mut talk = Talk::new(role);
        talk.ws.send_binary(&[1; 1000]).unwrap();
        talk.peer(FIN | CLOSE, b"");
        assert!(!(talk.ws.state() == State::Closed));
        assert_eq!(
            talk.written(),
            [wrote(FIN | BINARY, [1; 1000]), wrote(FIN | CLOSE, "")]
        );
        assert_eq!((talk.ws.state() == State::Closed), role == Role::Server);
    }
}

/// R197: our Close may have been written already, or wait; either way it is the only one.
#[test]
fn r197_t21_simultaneous_close() {
    for role in ROLES {
        for written_first in [true, false] {
            for body in [b"".to_vec(), close_body(3000, "mine")] {
                let mut talk = Talk::new(role);
                talk.ws.close(CloseCode::GOING_AWAY, "ours").unwrap();
                let mut written = Vec::new();
                if written_first {
                    written.extend(talk.written());
                }
                let events = talk.peer(FIN | CLOSE, &body);
                assert_eq!(events.len(), 1);
                assert!(matches!(events[0], Event::Close(_)));
                written.extend(talk.written());
                assert_eq!(written, [wrote(FIN | CLOSE, close_body(1001, "ours"))]);
                assert_eq!((talk.ws.state() == State::Closed), role == Role::Server);
                let ending = talk.ws.end_of_stream();
                assert!(ending.clean);
                assert_eq!(ending.sent_code, Some(CloseCode::GOING_AWAY));
                let expected = if body.is_empty() {
                    (1005, "")
                } else {
                    (3000, "mine")
                };
                assert_eq!((ending.code, &*ending.reason), expected);
            }
        }
    }
}

/// R198: what the peer said, and what we said, apart.
#[test]
fn r198_code_of_the_first_close_received() {
    for role in ROLES {
        for (body, code, reason) in [
            (b"".to_vec(), 1005, ""),
            (close_body(1000, ""), 1000, ""),
            (close_body(4000, "why"), 4000, "why"),
        ] {
            let mut talk = Talk::new(role);
            talk.peer(FIN | CLOSE, &body);
            talk.written();
            let ending = talk.ws.end_of_stream();
            assert_eq!((ending.code, &*ending.reason), (code, reason));
            assert_eq!(ending.sent_code, CloseCode::new(code));
        }
        // None received.
        let mut talk = Talk::new(role);
        talk.ws.close(CloseCode::POLICY_VIOLATION, "no").unwrap();
        talk.written();
        let ending = talk.ws.end_of_stream();
        assert_eq!((ending.code, &*ending.reason), (1006, ""));
        assert_eq!(ending.sent_code, Some(CloseCode::POLICY_VIOLATION));
        // One without a code sent.
        let mut talk = Talk::new(role);
        talk.ws.close_without_code().unwrap();
        talk.peer(FIN | CLOSE, close_body(1000, ""));
        talk.written();
        let ending = talk.ws.end_of_stream();
        assert_eq!(
            (ending.code, ending.sent_code, ending.clean),
            (1000, None, true)
        );
    }
}

/// R199: at each byte of our answer; also behind data, and behind the pong of a late ping.
#[test]
fn r199_clean_is_both_closes_exchanged() {
    for role in ROLES {
        for data in [0, 10, 1000] {
            let full = {
                let mut talk = Talk::new(role);
                talk.ws.send_binary(vec![1; data]).unwrap();
                talk.peer(FIN | CLOSE, close_body(1000, ""));
                talk.ws.buffered_amount()
            };
            for n in 0..=full {
                let mut talk = Talk::new(role);
                talk.ws.send_binary(vec![1; data]).unwrap();
                talk.peer(FIN | CLOSE, close_body(1000, ""));
                talk.ws.sent(n);
                let ending = talk.ws.end_of_stream();
                assert_eq!(ending.clean, n == full, "{n} of {full} bytes");
                assert_eq!((ending.code, ending.error), (1000, None));
            }
        }
        // Our Close is written, a pong behind it is not: the Closes have been exchanged.
        let mut talk = Talk::new(role);
        talk.ws.close(CloseCode::NORMAL, "").unwrap();
        let close = talk.ws.buffered_amount();
        talk.peer(FIN | PING, b"late");
        talk.peer(FIN | CLOSE, close_body(1000, ""));
        talk.ws.sent(close);
        assert!(talk.ws.buffered_amount() > 0);
        assert!(talk.ws.end_of_stream().clean);
        // The same behind data, with any part of the pongs written.
        for n in (0..300).step_by(10) {
            let mut talk = Talk::new(role);
            talk.ws.send_binary(&[1; 300]).unwrap();
            talk.ws.close(CloseCode::NORMAL, "").unwrap();
            let close = talk.ws.buffered_amount();
            for late in 0..4 {
                talk.peer(FIN | PING, [late; 80]);
            }
            talk.peer(FIN | CLOSE, close_body(1000, ""));
            talk.ws.sent(close - 1);
            for _ in 0..=n {
                talk.ws.sent(1);
            }
            assert!(talk.ws.end_of_stream().clean, "{n} bytes of pongs written");
        }
    }
}

/// R202: the peer breaks a rule after our Close: no second one, and no more waiting.
#[test]
fn r202_violation_after_our_close() {
    for role in ROLES {
        for (wire, error, _) in violations(role) {
            for written_first in [true, false] {
                let mut talk = Talk::with(role, limited());
                talk.ws.close(CloseCode::NORMAL, "").unwrap();
                let mut written = Vec::new();
                if written_first {
                    written.extend(talk.written());
                    assert!(!(talk.ws.state() == State::Closed));
                }
                assert_eq!(feed(&mut talk.ws, &wire), [Event::Fail(error)]);
                written.extend(talk.written());
                assert_eq!(written, [wrote(FIN | CLOSE, close_body(1000, ""))]);
                assert!((talk.ws.state() == State::Closed));
                let ending = talk.ws.end_of_stream();
                assert_eq!((ending.code, ending.clean), (1006, false));
                assert_eq!(ending.sent_code, Some(CloseCode::NORMAL));
                assert_eq!(ending.error, Some(error));
            }
        }
    }
}

#[test]
fn r203_t21_second_close_does_nothing() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        assert_eq!(talk.ws.close(CloseCode::NORMAL, "one"), Ok(()));
        let queued = talk.ws.buffered_amount();
        assert_eq!(talk.ws.close(CloseCode::GOING_AWAY, "two"), Ok(()));
        assert_eq!(talk.ws.close_without_code(), Ok(()));
        assert_eq!(talk.ws.buffered_amount(), queued);
        assert_eq!(
            talk.written(),
            [wrote(FIN | CLOSE, close_body(1000, "one"))]
        );
        assert_eq!(talk.ws.close(CloseCode::GOING_AWAY, "three"), Ok(()));
        assert!(talk.ws.output().is_empty());
        // After the peer's, answered and written or not; and after the end.
        talk.peer(FIN | CLOSE, b"");
        assert_eq!(talk.ws.close(CloseCode::GOING_AWAY, "four"), Ok(()));
        assert!(talk.ws.output().is_empty());
        let ending = talk.ws.end_of_stream();
        assert_eq!(ending.sent_code, Some(CloseCode::NORMAL));
        assert_eq!(talk.ws.close(CloseCode::GOING_AWAY, "five"), Ok(()));
        assert!(talk.ws.output().is_empty());
        assert_eq!(talk.ws.end_of_stream(), ending);

        let mut talk = Talk::new(role);
        talk.peer(FIN | CLOSE, close_body(4001, "theirs"));
        assert_eq!(talk.written(), [wrote(FIN | CLOSE, close_body(4001, ""))]);
        assert_eq!(talk.ws.close(CloseCode::NORMAL, "late"), Ok(()));
        assert!(talk.ws.output().is_empty());
    }
}

/// R208: the caller may answer the peer's Close itself, with a reason of its own, as long as nothing of
/// the default answer has been written; once.
#[test]
fn r208_the_caller_answers_the_peers_close() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_text("before").unwrap();
        talk.peer(FIN | PING, b"p");
        talk.peer(FIN | CLOSE, close_body(4001, "theirs"));
        let queued = talk.ws.buffered_amount();
        // What is wrong changes nothing, and leaves the choice.
        let long = "x".repeat(124);
        let refused = Err(SendError::ReasonTooLong);
        assert_eq!(talk.ws.close(CloseCode::NORMAL, &long), refused);
        assert_eq!(talk.ws.buffered_amount(), queued);
        talk.ws.close(CloseCode::NORMAL, "ours").unwrap();
        // The first wish counts.
        talk.ws.close(CloseCode::GOING_AWAY, "again").unwrap();
        talk.ws.close_without_code().unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | TEXT, "before"),
                wrote(FIN | PONG, "p"),
                wrote(FIN | CLOSE, close_body(1000, "ours"))
            ]
        );
        let ending = talk.ws.end_of_stream();
        assert_eq!((ending.code, ending.clean), (4001, true));
        assert_eq!(ending.sent_code, Some(CloseCode::NORMAL));
        assert_eq!(ending.closed_first, Some(peer(role)));
    }
}

/// R208, R221: a server repeats 1010, which is else a client's to send, with a reason of its own.
#[test]
fn r208_r221_a_server_repeats_1010() {
    let clients = CloseCode::MANDATORY_EXTENSION;
    for (theirs, ours) in [(1010, Ok(())), (1000, Err(SendError::ClientCloseCode))] {
        let mut talk = Talk::new(Role::Server);
        talk.peer(FIN | CLOSE, close_body(theirs, "theirs"));
        assert_eq!(talk.ws.close(clients, "ours"), ours);
        let reason = if ours.is_ok() { "ours" } else { "" };
        assert_eq!(
            talk.written(),
            [wrote(FIN | CLOSE, close_body(theirs, reason))]
        );
    }
}

/// R208: at each place that the output can have been written to, with what goes ahead of a backlog, and
/// compacted.
#[test]
fn r208_until_the_default_answer_is_begun() {
    for role in ROLES {
        let config = || Config::default().high_water_mark(1000);
        let mut talk = Talk::with(role, config());
        talk.ws.send_binary(&[7; 1500]).unwrap();
        talk.peer(FIN | PING, b"ahead");
        talk.peer(FIN | CLOSE, close_body(4001, ""));
        let all = talk.ws.buffered_amount();
        for sent in 0..=all {
            let mut talk = Talk::with(role, config());
            talk.ws.send_binary(&[7; 1500]).unwrap();
            talk.peer(FIN | PING, b"ahead");
            talk.peer(FIN | CLOSE, close_body(4001, ""));
            let mut wire = Vec::new();
            while wire.len() < sent {
                let n = talk.ws.output().len().min(sent - wire.len()).min(300);
                wire.extend(&talk.ws.output()[..n]);
                talk.ws.sent(n);
            }
            talk.ws.close(CloseCode::NORMAL, "ours").unwrap();
            wire.extend(drain(&mut talk.ws));
            let frames = parse(role, &wire);
            let header = if role == Role::Client { 6 } else { 2 };
            let answer = if sent <= all - header - 2 {
                close_body(1000, "ours")
            } else {
                close_body(4001, "")
            };
            assert_eq!(frames.last(), Some(&wrote(FIN | CLOSE, answer)), "{sent}");
            assert_eq!(frames.len(), 3);
            assert!(talk.ws.end_of_stream().clean);
        }
    }
}

/// R205: behind everything that was queued; a failure's Close cuts no frame that has begun.
#[test]
fn r205_order_of_close_and_data() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_text("one").unwrap();
        talk.ws.send_ping(b"two").unwrap();
        talk.ws.send_binary_part(b"three", Fin::More).unwrap();
        talk.peer(FIN | PING, b"four");
        talk.ws.close(CloseCode::NORMAL, "five").unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | TEXT, "one"),
                wrote(FIN | PING, "two"),
                wrote(BINARY, "three"),
                wrote(FIN | PONG, "four"),
                wrote(FIN | CLOSE, close_body(1000, "five")),
            ]
        );
        let len = 1000;
        for n in [0, 1, 500, len] {
            let mut talk = Talk::new(role);
            talk.ws.send_binary(vec![7; len]).unwrap();
            let mut written = talk.ws.output()[..n].to_vec();
            talk.ws.sent(n);
            talk.peer(FIN | 3, b"");
            written.extend(drain(&mut talk.ws));
            let frames = parse(role, &written);
            assert!(frames.contains(&wrote(FIN | BINARY, vec![7; len])) || n == 0);
            assert_is_failing_close(frames.last().unwrap(), Error::ReservedOpcode(3));
        }
    }
}

/// R199, T23: a Close that has left has left, even if a pong behind it has not.
#[test]
fn r199_t23_a_pong_behind_the_close_is_not_needed() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        ws.send_binary(&[1; 400]).unwrap();
        ws.close(CloseCode::NORMAL, "").unwrap();
        feed(&mut ws, &frame(peer(role), FIN | PING, &[b'p'; 20]));
        // In two steps, of which the first lets the rest be moved to the front.
        let all = ws.buffered_amount();
        ws.sent(300);
        ws.sent(all - 300 - 5);
        assert_eq!(ws.buffered_amount(), 5);
        feed(
            &mut ws,
            &frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
        );
        assert!(ws.end_of_stream().clean);
    }
}

/// R210, R211, T20: bodies of every length.
#[test]
fn r210_r211_t20_body_lengths() {
    for role in ROLES {
        let wire = frame(peer(role), FIN | CLOSE, b"");
        assert_eq!(
            converse(role, Config::default(), &wire).events,
            [closed(None, "")]
        );
        for byte in [0, 3, 0xff] {
            let wire = frame(peer(role), FIN | CLOSE, &[byte]);
            fails(role, Config::default(), &wire, Error::CloseTooShort);
        }
        for len in 0..=123 {
            let reason = "r".repeat(len);
            let wire = frame(peer(role), FIN | CLOSE, &close_body(1000, &reason));
            let transcript = converse(role, Config::default(), &wire);
            assert_eq!(transcript.events, [closed(1000, &reason)]);
        }
        let wire = frame(peer(role), FIN | CLOSE, &close_body(1000, &"r".repeat(124)));
        fails(role, Config::default(), &wire, Error::ControlTooLong);
    }
}

/// The codes of §7.4 and of the registry: what may stand in a frame.
fn is_legal(code: u16) -> bool {
    match code {
        // R214.
        0..=999 => false,
        // R215.
        1000..=1003 => true,
        // R213.
        1004..=1006 => false,
        // R215.
        1007..=1011 => true,
        // R216: registered after the RFC.
        1012..=1014 => true,
        // R213, R217.
        1015..=2999 => false,
        // R218.
        3000..=4999 => true,
        // R219.
        5000.. => false,
    }
}

/// R213, R214, R215, R216, R217, R218, R219, T20: each of the 65,536 codes, received and parsed.
#[test]
fn r213_r214_r215_r216_r217_r218_r219_t20_every_code() {
    for role in ROLES {
        for code in 0..=u16::MAX {
            let body = close_body(code, "");
            let mut talk = Talk::new(role);
            let events = talk.peer(FIN | CLOSE, &body);
            if is_legal(code) {
                assert_eq!(events, [closed(code, "")]);
                assert_eq!(talk.written(), [wrote(FIN | CLOSE, body)]);
            } else {
                assert_eq!(events, [Event::Fail(Error::InvalidCloseCode(code))]);
            }
        }
        for code in [
            0,
            999,
            1004,
            1005,
            1006,
            1015,
            1016,
            2999,
            5000,
            0x8000 | 1000,
            65535,
        ] {
            for reason in ["", "reason"] {
                let wire = frame(peer(role), FIN | CLOSE, &close_body(code, reason));
                fails(
                    role,
                    Config::default(),
                    &wire,
                    Error::InvalidCloseCode(code),
                );
            }
        }
        for code in [
            1000, 1003, 1007, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
        ] {
            let wire = frame(peer(role), FIN | CLOSE, &close_body(code, "reason"));
            let transcript = converse(role, Config::default(), &wire);
            assert_eq!(transcript.events, [closed(code, "reason")]);
        }
    }
    // A code that may not be sent is worse than its reason.
    let wire = frame(Role::Client, FIN | CLOSE, b"\x03\xed\xff");
    fails(
        Role::Server,
        Config::default(),
        &wire,
        Error::InvalidCloseCode(1005),
    );
}

/// R220: no other code can be sent, because no other `CloseCode` exists.
#[test]
fn r220_codes_that_can_be_sent() {
    for code in 0..=u16::MAX {
        let made = CloseCode::new(code);
        assert_eq!(made.is_some(), is_legal(code), "{code}");
        assert_eq!(
            CloseCode::try_from(code),
            made.ok_or(InvalidCloseCode(code))
        );
        if let Some(made) = made {
            assert_eq!((made.get(), u16::from(made)), (code, code));
            assert!(made.to_string().starts_with(&code.to_string()));
            assert_eq!(made.description().is_some(), code < 3000);
        }
    }
    for role in ROLES {
        for code in [1000, 1003, 1007, 1009, 1011, 1012, 1013, 1014, 3000, 4999] {
            let mut talk = Talk::new(role);
            talk.ws.close(CloseCode::new(code).unwrap(), "").unwrap();
            assert_eq!(talk.written(), [wrote(FIN | CLOSE, close_body(code, ""))]);
        }
    }
}

#[test]
fn r221_1010_is_the_clients() {
    let mut server = Talk::new(Role::Server);
    let error = Err(SendError::ClientCloseCode);
    assert_eq!(server.ws.close(CloseCode::MANDATORY_EXTENSION, ""), error);
    assert!(server.ws.output().is_empty());
    assert_eq!(server.ws.state(), State::Open);
    // Still open, not only by name.
    server.ws.send_text("x").unwrap();
    server.ws.close(CloseCode::INTERNAL_ERROR, "").unwrap();
    assert_eq!(
        server.written(),
        [
            wrote(FIN | TEXT, "x"),
            wrote(FIN | CLOSE, close_body(1011, ""))
        ]
    );
    let mut client = Talk::new(Role::Client);
    client
        .ws
        .close(CloseCode::MANDATORY_EXTENSION, "x")
        .unwrap();
    assert_eq!(
        client.written(),
        [wrote(FIN | CLOSE, close_body(1010, "x"))]
    );
    let mut client = Talk::new(Role::Client);
    client.ws.close(CloseCode::INTERNAL_ERROR, "").unwrap();
    assert_eq!(client.written(), [wrote(FIN | CLOSE, close_body(1011, ""))]);
}

/// R222: a reason needs a code, since the call without a code takes none.
#[test]
fn r222_close_without_a_code() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.close_without_code().unwrap();
        assert_eq!(talk.written(), [wrote(FIN | CLOSE, "")]);
        assert_eq!(talk.ws.state(), State::Closing);
    }
}

/// T20, R223: 123 bytes of reason and not one more; bytes, not characters.
#[test]
fn r223_t20_long_reasons() {
    for role in ROLES {
        for (fits, above) in [
            ("r".repeat(123), "r".repeat(124)),
            ("€".repeat(41), "€".repeat(42)),
            ("é".repeat(61), "é".repeat(62)),
        ] {
            let mut talk = Talk::new(role);
            let error = Err(SendError::ReasonTooLong);
            assert_eq!(talk.ws.close(CloseCode::NORMAL, &above), error);
            assert!(talk.ws.output().is_empty());
            assert_eq!(talk.ws.state(), State::Open);
            // By explicit wish: cut between code points.
            let cut = close::truncate_reason(&above);
            assert!(above.starts_with(cut) && cut.len() <= 123 && cut.len() > 119);
            assert_eq!(close::truncate_reason(&fits), fits);
            talk.ws.close(CloseCode::NORMAL, &fits).unwrap();
            assert_eq!(
                talk.written(),
                [wrote(FIN | CLOSE, close_body(1000, &fits))]
            );
        }
        assert_eq!(close::truncate_reason(&"a€".repeat(60)).len(), 121);
    }
}

/// R224: the reason is the peer's; what is printed of an ending is one line with nothing raw in it.
#[test]
fn r224_reasons_are_escaped() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        let forged = "x\r\n2025-01-01 admin logged in\u{1b}[2J\u{0}\"";
        talk.peer(FIN | CLOSE, close_body(4000, forged));
        talk.written();
        let shown = talk.ws.end_of_stream().to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(shown.contains("4000") && shown.contains("admin"));
    }
}

/// T21: whatever happens, in whatever order, one Close is written and it is the last data.
#[test]
fn t21_one_close_ever() {
    for role in ROLES {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for _ in 0..2000 {
            let mut talk = Talk::with(role, limited());
            let mut written = Vec::new();
            for _ in 0..8 {
                match random.below(8) {
                    0 => drop(talk.ws.close(CloseCode::NORMAL, "a")),
                    1 => drop(talk.ws.close_without_code()),
                    2 => drop(talk.peer(FIN | CLOSE, close_body(1001, ""))),
                    3 => drop(talk.peer(FIN | CLOSE, b"x")),
                    4 => drop(talk.peer(FIN | TEXT, b"\xff")),
                    5 => drop(talk.peer(FIN | PING, b"")),
                    6 => drop(talk.ws.send_text("text")),
                    _ => {
                        let n = random.below(talk.ws.output().len() + 1);
                        written.extend(&talk.ws.output()[..n]);
                        talk.ws.sent(n);
                    }
                }
            }
            written.extend(drain(&mut talk.ws));
            let frames = parse(role, &written);
            let mut closes = frames
                .iter()
                .enumerate()
                .filter(|(_, f)| f.first == FIN | CLOSE);
            if let Some((at, _)) = closes.next() {
                assert!(closes.next().is_none());
                // A pong may follow (R173), nothing else.
                assert!(
                    frames[at + 1..]
                        .iter()
                        .all(|frame| frame.first == FIN | PONG)
                );
            }
        }
    }
}

/// T23: without a Close, with one, with both: three outcomes that cannot be mistaken.
#[test]
fn t23_ends_can_be_told_apart() {
    for role in ROLES {
        // As TLS without close_notify, or a cut: between two messages nothing else shows it.
        let mut talk = Talk::new(role);
        assert_eq!(talk.peer(FIN | TEXT, b"all is well"), [text("all is well")]);
        let ending = talk.ws.end_of_stream();
        assert_eq!(
            (ending.code, ending.clean, ending.truncated),
            (1006, false, false)
        );
        let shown = ending.to_string();
        assert!(shown.contains("without a closing handshake"), "{shown}");
        let mut talk = Talk::new(role);
        talk.peer(FIN | CLOSE, close_body(1000, ""));
        let ending = talk.ws.end_of_stream();
        assert_eq!((ending.code, ending.clean), (1000, false));
        let mut talk = Talk::new(role);
        talk.peer(FIN | CLOSE, close_body(1000, ""));
        talk.written();
        let ending = talk.ws.end_of_stream();
        assert_eq!((ending.code, ending.clean), (1000, true));
        assert!(ending.to_string().starts_with("closed"));
    }
}
