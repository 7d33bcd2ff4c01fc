//! Frame headers as they are received: RFC 6455 §5.2, §5.5 and §10.4.

mod common;

use common::*;
use sockless::{Config, Delivery, Error, Event, Role, State};

const CONTROLS: [u8; 3] = [CLOSE, PING, PONG];
const OPCODES: [u8; 6] = [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG];

/// The first two bytes decide; neither what follows them nor its absence matters.
fn fails_at(role: Role, config: &Config, wire: &[u8], at: usize, error: Error) {
    assert_eq!(
        failed_at(role, config.clone(), wire),
        Some((at, error)),
        "{role:?} {wire:x?}"
    );
    assert_eq!(
        failed_at(role, config.clone(), &wire[..at]),
        Some((at, error))
    );
    fails(role, config.clone(), wire, error);
}

#[test]
fn r120_t13_reserved_bits_on_every_frame() {
    for role in ROLES {
        for bits in (RSV3..=RSV1 | RSV2 | RSV3).step_by(RSV3.into()) {
            for opcode in OPCODES {
                for fin in [0, FIN] {
                    for payload in [&b""[..], b"\x03\xe8..."] {
                        let wire = frame(peer(role), fin | bits | opcode, payload);
                        fails_at(role, &Config::default(), &wire, 1, Error::ReservedBits);
                    }
                }
            }
        }
    }
}

#[test]
fn r121_reserved_opcodes() {
    for role in ROLES {
        for opcode in (3..8).chain(11..16) {
            for fin in [0, FIN] {
                for len in [0, 1, 125, 126, 65536] {
                    let wire = header(peer(role), fin | opcode, len);
                    let error = Error::ReservedOpcode(opcode);
                    fails_at(role, &Config::default(), &wire, 1, error);
                }
            }
        }
    }
}

/// T7: every way in which a control frame can be wrong is known from its first two bytes.
#[test]
fn t07_r130_r131_control_frames() {
    for role in ROLES {
        let mask = if role == Role::Server { 0x80 } else { 0 };
        for opcode in CONTROLS {
            // R131: FIN=0, empty or not.
            for len in [0, 1, 125] {
                let wire = header(peer(role), opcode, len);
                fails_at(role, &Config::default(), &wire, 1, Error::FragmentedControl);
            }
            // R130: a length code of 126 or 127, whatever follows, short lengths too.
            for tail in [
                &[126, 0, 126][..],
                &[126, 0, 5],
                &[126, 0xff, 0xff],
                &[127, 0, 0, 0, 0, 0, 0, 0, 126],
                &[127, 0, 0, 0, 0, 0, 1, 0, 0],
                &[127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            ] {
                let mut wire = vec![FIN | opcode];
                wire.extend(tail);
                wire[1] |= mask;
                fails_at(role, &Config::default(), &wire, 2, Error::ControlTooLong);
            }
            // Each reserved bit, and the opcodes next to them.
            for bit in [RSV1, RSV2, RSV3] {
                let wire = header(peer(role), FIN | bit | opcode, 0);
                fails_at(role, &Config::default(), &wire, 1, Error::ReservedBits);
            }
        }
        for opcode in 11..16 {
            let wire = header(peer(role), FIN | opcode, 0);
            fails_at(
                role,
                &Config::default(),
                &wire,
                1,
                Error::ReservedOpcode(opcode),
            );
        }
    }
}

#[test]
fn r122_t08_unmasked_frame_of_a_client() {
    for opcode in OPCODES {
        for payload in [&b""[..], b"\x03\xe8bye"] {
            // As a server would write it.
            let wire = frame(Role::Server, FIN | opcode, payload);
            fails_at(
                Role::Server,
                &Config::default(),
                &wire,
                2,
                Error::MissingMask,
            );
        }
    }
}

#[test]
fn r123_t08_masked_frame_of_a_server() {
    for opcode in OPCODES {
        for key in [KEY, [0; 4]] {
            for payload in [&b""[..], b"\x03\xe8bye"] {
                let wire = masked(FIN | opcode, key, payload);
                fails_at(
                    Role::Client,
                    &Config::default(),
                    &wire,
                    2,
                    Error::UnexpectedMask,
                );
            }
        }
    }
}

/// A header whose length is written in `size` bytes, needed or not.
fn long_form(role: Role, first: u8, size: usize, len: u64) -> Vec<u8> {
    let mask = if role == Role::Server { 0x80 } else { 0 };
    let mut bytes = vec![first, mask | if size == 2 { 126 } else { 127 }];
    bytes.extend(&len.to_be_bytes()[8 - size..]);
    if role == Role::Server {
        bytes.extend(KEY);
    }
    bytes
}

#[test]
fn r124_16_bit_length_below_126() {
    for role in ROLES {
        for first in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
            for len in 0..126 {
                let mut wire = long_form(role, first, 2, len);
                wire.resize(wire.len() + usize::try_from(len).unwrap(), b'a');
                let at = failed_at(role, Config::default(), &wire);
                assert_eq!(at, Some((4, Error::NonMinimalLength)));
                fails(role, Config::default(), &wire, Error::NonMinimalLength);
            }
        }
        let mut wire = long_form(role, FIN | BINARY, 2, 126);
        wire.resize(wire.len() + 126, b'a');
        assert_eq!(converse(role, Config::default(), &wire).events.len(), 1);
    }
}

#[test]
fn r125_64_bit_length_below_65536() {
    for role in ROLES {
        for len in [0, 1, 125, 126, 127, 255, 256, 65534, 65535] {
            let wire = long_form(role, FIN | TEXT, 8, len);
            fails_at(role, &Config::default(), &wire, 10, Error::NonMinimalLength);
        }
        let wire = long_form(role, FIN | TEXT, 8, 65536);
        assert_eq!(failed_at(role, Config::default(), &wire), None);
    }
}

#[test]
fn r126_top_bit_of_a_64_bit_length() {
    let no_limit = Config::default()
        .max_frame_size(usize::MAX)
        .max_message_size(usize::MAX);
    for role in ROLES {
        for len in [1 << 63, 1 << 63 | 1, (1 << 63) + 65535, u64::MAX] {
            for config in [&Config::default(), &no_limit] {
                let wire = long_form(role, FIN | BINARY, 8, len);
                fails_at(role, config, &wire, 3, Error::LengthOverflow);
            }
        }
    }
}

#[test]
fn r127_t05_frame_limit_by_the_header_alone() {
    for role in ROLES {
        for limit in [0, 1, 125, 126, 127, 65535, 65536, 70000] {
            let config = Config::default().max_frame_size(limit);
            let limit = u64::try_from(limit).unwrap();
            for first in [FIN | BINARY, BINARY, FIN | TEXT] {
                let wire = header(peer(role), first, limit);
                assert_eq!(failed_at(role, config.clone(), &wire), None, "{limit}");
                // One more, with not one byte of the payload.
                let wire = header(peer(role), first, limit + 1);
                let (at, error) = failed_at(role, config.clone(), &wire).expect("too long");
                assert_eq!(error, Error::FrameTooLarge);
                assert!(at <= wire.len());
                fails(role, config.clone(), &wire, Error::FrameTooLarge);
            }
        }
        // At the limit, whole and cut.
        let config = Config::default().max_frame_size(300);
        let wire = frame(peer(role), FIN | BINARY, &[7; 300]);
        assert_eq!(
            converse(role, config.clone(), &wire).events,
            [binary(&[7; 300])]
        );
        let wire = frame(peer(role), FIN | BINARY, &[7; 301]);
        fails(role, config.clone(), &wire, Error::FrameTooLarge);
        // The limit is that of a frame: a continuation has it too, a message of two may be longer.
        let begin = frame(peer(role), BINARY, &[7; 300]);
        let wire = [&begin[..], &frame(peer(role), FIN, &[7; 300])].concat();
        assert_eq!(
            converse(role, config.clone(), &wire).events,
            [binary(&[7; 600])]
        );
        let wire = [&begin[..], &frame(peer(role), FIN, &[7; 301])].concat();
        fails(role, config, &wire, Error::FrameTooLarge);
    }
}

#[test]
fn t04_every_length() {
    let max = u64::try_from(usize::MAX >> 1).unwrap().min((1 << 63) - 1);
    let no_limit = Config::default()
        .max_frame_size(usize::MAX)
        .max_message_size(usize::MAX);
    for role in ROLES {
        for len in [0, 125, 126, 65535, 65536, 1 << 31, 1 << 32, (1 << 63) - 1] {
            let wire = header(peer(role), FIN | BINARY, len);
            let default = failed_at(role, Config::default(), &wire);
            match len {
                ..=65536 => assert_eq!(default, None),
                _ => assert_eq!(default.unwrap().1, Error::MessageTooLarge),
            }
            if len <= max {
                assert_eq!(failed_at(role, no_limit.clone(), &wire), None);
                let some = [&wire[..], b"some"].concat();
                let transcript = converse(role, no_limit.clone(), &some);
                assert!(transcript.events.is_empty() || len == 0);
            }
            // No limit is above what the machine can count; a sum that would overflow is over the limit
            // of the message.
            let countable = usize::try_from(len).is_ok();
            let begun = [&frame(peer(role), BINARY, b"x")[..], &wire].concat();
            let small = no_limit.clone().max_message_size(1);
            let error = failed_at(role, small, &begun).map(|(_, error)| error);
            assert_eq!(error, Some(Error::ExpectedContinuation));
            let wire = header(peer(role), FIN | CONTINUATION, len);
            let begun = [&frame(peer(role), BINARY, b"x")[..], &wire].concat();
            let small = no_limit.clone().max_message_size(1);
            let error = failed_at(role, small, &begun).map(|(_, error)| error);
            let expected = match countable {
                true => Error::MessageTooLarge,
                false => Error::FrameTooLarge,
            };
            assert_eq!(error, (len > 0).then_some(expected));
        }
    }
}

#[test]
fn r128_lengths_around_the_forms() {
    for role in ROLES {
        for len in [0, 125, 126, 127, 128, 65535, 65536, 65537] {
            let payload: Vec<u8> = (b' '..=b'~').cycle().take(len).collect();
            for first in [FIN | TEXT, FIN | BINARY] {
                let wire = frame(peer(role), first, &payload);
                let transcript = converse(role, Config::default(), &wire);
                let expected = match first {
                    0x81 => text(core::str::from_utf8(&payload).unwrap()),
                    _ => binary(&payload),
                };
                assert_eq!(transcript.events, [expected]);
                assert_eq!(transcript.written, []);
                assert!(!transcript.ending.truncated);
            }
        }
        for len in [0, 1, 124, 125] {
            let payload = vec![0xfe; len];
            let wire = frame(peer(role), FIN | PING, &payload);
            assert_eq!(
                converse(role, Config::default(), &wire).events,
                [ping(&payload)]
            );
        }
    }
}

/// The deciding byte of each violation, counted from the start of its frame. (Each case runs under
/// every split in its own test.)
#[test]
fn r129_reported_at_the_deciding_byte() {
    for role in ROLES {
        let m = if role == Role::Server { 0x80 } else { 0 };
        let config = Config::default().max_frame_size(70_000);
        for (wire, at, error) in [
            (vec![0xc1], 1, Error::ReservedBits),
            (vec![0x83], 1, Error::ReservedOpcode(3)),
            (vec![0x09], 1, Error::FragmentedControl),
            (vec![0x89, m | 126], 2, Error::ControlTooLong),
            (
                vec![0x81, m ^ 0x80],
                2,
                match role {
                    Role::Server => Error::MissingMask,
                    Role::Client => Error::UnexpectedMask,
                },
            ),
            (vec![0x81, m | 126, 0, 125], 4, Error::NonMinimalLength),
            (vec![0x81, m | 127, 0x80], 3, Error::LengthOverflow),
            (
                [&[0x81, m | 127][..], &65535_u64.to_be_bytes()].concat(),
                10,
                Error::NonMinimalLength,
            ),
            (
                [&[0x81, m | 127][..], &70_001_u64.to_be_bytes()].concat(),
                10,
                Error::FrameTooLarge,
            ),
        ] {
            assert_eq!(wire.len(), at);
            let before = frame(peer(role), FIN | TEXT, b"fine");
            let wire = [&before[..], &wire].concat();
            let at = before.len() + at;
            assert_eq!(
                failed_at(role, config.clone(), &wire),
                Some((at, error)),
                "{wire:x?}"
            );
            fails_after(role, config.clone(), &wire, &[text("fine")], &[], error);
        }
    }
}

/// R132: the order that `frame` documents, then what only the message knows.
#[test]
fn r132_order_of_the_checks() {
    for role in ROLES {
        let (right, wrong) = match role {
            Role::Server => (0x80, 0),
            Role::Client => (0, 0x80),
        };
        let wrong_mask = match role {
            Role::Server => Error::MissingMask,
            Role::Client => Error::UnexpectedMask,
        };
        let config = Config::default()
            .max_frame_size(100)
            .max_message_size(50)
            .max_fragments(0);
        let top = [0xff; 8];
        for (first, second, rest, error) in [
            // Reserved bits, over all of the rest.
            (0x7b, wrong | 127, &top[..], Error::ReservedBits),
            (0x79, wrong | 127, &top, Error::ReservedBits),
            // Opcode.
            (0x0b, wrong | 127, &top, Error::ReservedOpcode(11)),
            // FIN of a control frame.
            (0x09, wrong | 127, &top, Error::FragmentedControl),
            // Length of a control frame.
            (0x89, wrong | 127, &top, Error::ControlTooLong),
            // Mask.
            (0x81, wrong | 127, &top, wrong_mask),
            (0x80, wrong | 126, &[0, 101], wrong_mask),
            // The place in a message.
            (0x80, right | 127, &top, Error::UnexpectedContinuation),
            (0x80, right | 126, &[0, 101], Error::UnexpectedContinuation),
            (
                0x80,
                right | 126,
                &[0xff, 0xff],
                Error::UnexpectedContinuation,
            ),
            // The highest bit of the length.
            (0x81, right | 127, &top, Error::LengthOverflow),
            // Its form: 101 bytes are too many as well.
            (0x81, right | 126, &[0, 101], Error::NonMinimalLength),
            (
                0x81,
                right | 127,
                &[0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Error::NonMinimalLength,
            ),
            // Size limit.
            (
                0x81,
                right | 126,
                &[0, 126, 1, 2, 3, 4],
                Error::FrameTooLarge,
            ),
            // The number of fragments, the size of the message.
            (0x81, right | 51, &[1, 2, 3, 4], Error::TooManyFragments),
        ] {
            let wire = [&[first, second], rest].concat();
            fails(role, config.clone(), &wire, error);
        }
        let config = config.max_fragments(1);
        fails(
            role,
            config,
            &frame(peer(role), FIN | TEXT, &[0xff; 51]),
            Error::MessageTooLarge,
        );
    }
}

/// R129, R150, R151, T64: fragments out of order, at the second byte of the header, whatever length it
/// announces.
#[test]
fn r129_t64_order_of_fragments_at_the_second_byte() {
    for role in ROLES {
        let mask = if role == Role::Server { 0x80 } else { 0 };
        let begun = header(peer(role), TEXT, 0);
        for (before, first, error) in [
            (&[][..], FIN, Error::UnexpectedContinuation),
            (&[], CONTINUATION, Error::UnexpectedContinuation),
            (&begun, FIN | TEXT, Error::ExpectedContinuation),
            (&begun, BINARY, Error::ExpectedContinuation),
        ] {
            for len in [0, 5, 125, 126, 127] {
                for rest in [&[][..], &[0xff; 8], &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]] {
                    let wire = [before, &[first, mask | len], rest].concat();
                    let at = before.len() + 2;
                    let failed = failed_at(role, Config::default(), &wire);
                    assert_eq!(failed, Some((at, error)), "{wire:x?}");
                    fails(role, Config::default(), &wire, error);
                }
            }
        }
    }
}

/// R250, T65: one limit for a message; a frame of it has one of its own only if that is set.
#[test]
fn r250_t65_a_frame_as_long_as_a_message_may_be() {
    for role in ROLES {
        for delivery in [Delivery::Messages, Delivery::Parts, Delivery::Frames] {
            let unlimited = Config::default()
                .delivery(delivery)
                .max_message_size(usize::MAX);
            let wire = header(peer(role), FIN | BINARY, 20 << 20);
            assert_eq!(failed_at(role, unlimited.clone(), &wire), None);
            let set = unlimited.max_frame_size(16 << 20);
            let error = failed_at(role, set, &wire).map(|(_, error)| error);
            assert_eq!(error, Some(Error::FrameTooLarge));
        }
    }
    // All of it, in constant memory.
    let config = Config::default()
        .delivery(Delivery::Parts)
        .max_message_size(usize::MAX);
    let mut ws = open(Role::Client, config);
    feed(&mut ws, &header(Role::Server, FIN | BINARY, 20 << 20));
    let mut received = 0;
    for _ in 0..20 << 4 {
        for event in feed(&mut ws, &[7; 64 << 10]) {
            let Event::BinaryPart { data, .. } = event else {
                panic!("{event:?}")
            };
            received += data.len();
            assert_eq!(ws.gathered_amount(), 0);
        }
    }
    assert_eq!(received, 20 << 20);
}

/// R348, T65: what is at the limit once it is inflated passes, though its frame is longer; and plain frames
/// have the limit itself.
#[cfg(feature = "deflate")]
#[test]
fn r348_t65_a_compressed_frame_at_the_limit_of_the_message() {
    use sockless::deflate::Parameters;
    use sockless::{Connection, DeflateConfig};

    // Ten bytes in a stored block.
    let stored = b"\x00\x0a\x00\xf5\xff0123456789\x00";
    for role in ROLES {
        let from = peer(role);
        let config = |frame, message| {
            Config::default()
                .max_frame_size(frame)
                .max_message_size(message)
                .deflate(DeflateConfig::new())
                .entropy(entropy)
        };
        let open = |frame, message| {
            let agreed = Some(Parameters::default());
            Connection::upgraded_with(role, agreed, config(frame, message))
        };
        let whole = frame(from, FIN | RSV1 | BINARY, stored);
        let pieces = [
            frame(from, RSV1 | BINARY, &stored[..1]),
            frame(from, FIN, &stored[1..]),
        ]
        .concat();
        for wire in [whole, pieces] {
            let transcript = converse_on(|| open(10, 10), &wire);
            assert_eq!(transcript.events, [binary(b"0123456789")]);
            let transcript = converse_on(|| open(10, 9), &wire);
            assert_eq!(transcript.events, [Event::Fail(Error::MessageTooLarge)]);
        }
        let plain = frame(from, FIN | BINARY, b"0123456789a");
        let transcript = converse_on(|| open(10, 100), &plain);
        assert_eq!(transcript.events, [Event::Fail(Error::FrameTooLarge)]);
        // A limit all the same: a quarter more, and 256 bytes.
        for (len, error) in [(268, None), (269, Some(Error::FrameTooLarge))] {
            let wire = header(from, RSV1 | BINARY, len);
            let mut ws = open(10, 1000);
            let failed = feed(&mut ws, &wire).pop();
            assert_eq!(failed, error.map(Event::Fail), "{len}");
        }
    }
}

/// R133, R255: no bytes are no event and no end, wherever they come.
#[test]
fn r133_empty_reads() {
    for role in ROLES {
        let from = peer(role);
        let wire = [
            frame(from, TEXT, b"a\xe2"),
            frame(from, FIN | PING, b"?"),
            frame(from, 0, b""),
            frame(from, FIN, b"\x82\xac"),
            frame(from, FIN | BINARY, &[5; 130]),
        ]
        .concat();
        let mut ws = open(role, Config::default());
        let mut events = Vec::new();
        for byte in wire {
            assert_eq!(feed(&mut ws, b""), []);
            assert_eq!(feed(&mut ws, b""), []);
            events.extend(feed(&mut ws, &[byte]));
        }
        assert_eq!(feed(&mut ws, b""), []);
        assert_eq!(events, [ping(b"?"), text("a€"), binary(&[5; 130])]);
        assert_eq!(ws.state(), State::Open);
        // Nor does it owe anything.
        drain(&mut ws);
        assert_eq!(feed(&mut ws, b""), []);
        assert!(ws.output().is_empty());
    }
}

/// T1: frames of all kinds, one after the other. (Random ones are in `properties.rs`.)
#[test]
fn t01_every_cut_of_a_conversation() {
    for role in ROLES {
        let from = peer(role);
        let long = [0xa5; 300];
        let wire = [
            frame(from, FIN | TEXT, "héllo".as_bytes()),
            frame(from, BINARY, b""),
            frame(from, FIN | PING, &[0; 125]),
            frame(from, CONTINUATION, &long),
            frame(from, FIN | PONG, b""),
            frame(from, FIN | CONTINUATION, b"end"),
            frame(from, FIN | BINARY, &long),
            frame(from, FIN | CLOSE, &close_body(4321, "bye")),
            frame(from, FIN | TEXT, b"too late"),
        ]
        .concat();
        let transcript = converse(role, Config::default(), &wire);
        assert_eq!(
            transcript.events,
            [
                text("héllo"),
                ping(&[0; 125]),
                pong(b""),
                binary(&[&long[..], b"end"].concat()),
                binary(&long),
                closed(4321, "bye"),
            ]
        );
        assert_eq!(
            transcript.written,
            [
                wrote(FIN | PONG, [0; 125]),
                wrote(FIN | CLOSE, close_body(4321, ""))
            ]
        );
        assert!(transcript.ending.clean);
    }
}

/// T2: nothing further has to arrive for it.
#[test]
fn t02_empty_payload_at_the_end_of_the_input() {
    for role in ROLES {
        let from = peer(role);
        for (first, expected) in [
            (FIN | TEXT, text("")),
            (FIN | BINARY, binary(b"")),
            (FIN | PING, ping(b"")),
            (FIN | PONG, pong(b"")),
            (FIN | CLOSE, closed(None, "")),
        ] {
            let wire = frame(from, first, b"");
            assert_eq!(
                feed(&mut open(role, Config::default()), &wire),
                core::slice::from_ref(&expected)
            );
            // The last byte alone, too.
            let mut ws = open(role, Config::default());
            let (last, rest) = wire.split_last().unwrap();
            assert_eq!(feed(&mut ws, rest), []);
            assert_eq!(feed(&mut ws, &[*last]), [expected]);
        }
        // And as the end of a message of several.
        let mut talk = Talk::new(role);
        assert_eq!(talk.peer(TEXT, b"a"), []);
        assert_eq!(talk.peer(FIN, b""), [text("a")]);
    }
}

/// R250: what nobody configured is limited as well.
#[test]
fn r250_the_default_limits() {
    for role in ROLES {
        let from = peer(role);
        let at = header(from, FIN | BINARY, 16 << 20);
        assert_eq!(failed_at(role, Config::default(), &at), None);
        let above = header(from, FIN | BINARY, (16 << 20) + 1);
        fails(role, Config::default(), &above, Error::MessageTooLarge);
        let config = Config::default().max_message_size(usize::MAX);
        assert_eq!(failed_at(role, config, &above), None, "one limit for both");

        let mut talk = Talk::new(role);
        let mut wire = frame(from, TEXT, b"");
        wire.extend(frame(from, CONTINUATION, b"").repeat((1 << 17) - 1));
        assert_eq!(feed(&mut talk.ws, &wire), []);
        assert_eq!(talk.peer(FIN, b""), [Event::Fail(Error::TooManyFragments)]);
    }
}

/// R252: nothing is inflated that was not agreed on: the frame is refused at its first byte.
#[test]
fn r252_nothing_is_inflated_unasked() {
    for role in ROLES {
        let bomb = frame(peer(role), FIN | RSV1 | BINARY, &[0; 100]);
        assert_eq!(
            failed_at(role, Config::default(), &bomb),
            Some((1, Error::ReservedBits))
        );
    }
}
