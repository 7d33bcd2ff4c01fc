//! Compressed messages that are received (RFC 7692 §6.2, §7.2.2): conformance R330 to R350.
#![cfg(feature = "deflate")]

mod common;
mod deflate_support;

use common::*;
use deflate_support::*;
use sockless::deflate::Parameters;
use sockless::{Config, Connection, Delivery, Error, Event, Fin, Role};

const DATA: u8 = FIN | RSV1 | TEXT;

/// Whatever the split, the peer's frames come to `events`.
fn gives(agreed: Parameters, frames: &[(u8, &[u8])], events: &[Event<'static>]) {
    for role in ROLES {
        let transcript = converse_on(|| open_eager(role, agreed), &wire(role, frames));
        assert_eq!(transcript.events, events, "{role:?}");
    }
}

fn fails_with(agreed: Parameters, config: &Config, frames: &[(u8, &[u8])], error: Error) {
    for role in ROLES {
        let open = || open_with(role, agreed, config.clone());
        let transcript = converse_on(open, &wire(role, frames));
        let before = transcript.events.len() - 1;
        let events = transcript.events[..before].to_vec();
        let replies = transcript.written[..transcript.written.len() - 1].to_vec();
        assert_failed(&transcript, &events, &replies, error);
    }
}

fn wire(role: Role, frames: &[(u8, &[u8])]) -> Vec<u8> {
    let frames = frames
        .iter()
        .map(|(first, payload)| frame(peer(role), *first, payload));
    frames.collect::<Vec<_>>().concat()
}

fn hello(times: usize) -> Vec<Event<'static>> {
    vec![text("Hello"); times]
}

/// A stored block that is not final.
fn stored(data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), data].concat()
}

#[test]
fn r335_r336_r337_vectors_of_the_rfc() {
    for payload in [HELLO, HELLO_STORED, HELLO_FINAL, HELLO_TWO_BLOCKS] {
        for agreed in [plain(), no_takeover(), windows(8), windows(9)] {
            gives(agreed, &[(DATA, payload)], &hello(1));
            gives(agreed, &[(DATA, payload), (DATA, payload)], &hello(2));
        }
    }
    // R336: a boundary of fragments lies anywhere.
    for cut in 0..=HELLO.len() {
        let (a, b) = HELLO.split_at(cut);
        gives(plain(), &[(RSV1 | TEXT, a), (FIN, b)], &hello(1));
    }
    let bytes = HELLO.chunks(1).map(|byte| (CONTINUATION, byte));
    let frames: Vec<_> = [(RSV1 | TEXT, &b""[..])]
        .into_iter()
        .chain(bytes)
        .chain([(FIN, &b""[..])])
        .collect();
    gives(plain(), &frames, &hello(1));
}

#[test]
fn r338_t46_the_window_is_kept() {
    gives(plain(), &[(DATA, HELLO), (DATA, HELLO_AGAIN)], &hello(2));
    gives(
        plain(),
        &[(DATA, HELLO), (DATA, HELLO_AGAIN), (DATA, HELLO_AGAIN)],
        &hello(3),
    );
}

#[test]
fn r339_t46_the_window_is_not_kept() {
    let config = Config::default().deflate(eager());
    let frames: [(u8, &[u8]); 2] = [(DATA, HELLO), (DATA, HELLO_AGAIN)];
    fails_with(no_takeover(), &config, &frames, Error::InvalidDeflate);
    // Each side's parameter is for what that side sends.
    let mut server = plain();
    server.server_no_context_takeover = true;
    let mut client = plain();
    client.client_no_context_takeover = true;
    for (receiver, keeps, resets) in [
        (Role::Client, client, server),
        (Role::Server, server, client),
    ] {
        let wire = wire(receiver, &frames);
        let kept = converse_on(|| open_eager(receiver, keeps), &wire);
        assert_eq!(kept.events, hello(2));
        let reset = converse_on(|| open_eager(receiver, resets), &wire);
        assert_eq!(
            reset.events,
            [text("Hello"), Event::Fail(Error::InvalidDeflate)]
        );
    }
    // A sender that resets when it need not is fine.
    gives(plain(), &[(DATA, HELLO), (DATA, HELLO)], &hello(2));
}

#[test]
fn r334_t50_plain_messages_between_compressed_ones() {
    let plain_text = "not compressed, ".repeat(20);
    gives(
        plain(),
        &[
            (DATA, HELLO),
            (FIN | TEXT, plain_text.as_bytes()),
            (BINARY, b"in "),
            (FIN, b"two"),
            (DATA, HELLO_AGAIN),
        ],
        &[
            text("Hello"),
            text(&plain_text),
            binary(b"in two"),
            text("Hello"),
        ],
    );
}

#[test]
fn r336_control_frames_between_compressed_fragments() {
    gives(
        plain(),
        &[
            (RSV1 | TEXT, &HELLO[..3]),
            (FIN | PING, b"one"),
            (CONTINUATION, &HELLO[3..4]),
            (FIN | PONG, b"two"),
            (FIN, &HELLO[4..]),
            (DATA, HELLO_AGAIN),
        ],
        &[ping(b"one"), pong(b"two"), text("Hello"), text("Hello")],
    );
}

#[test]
fn r332_r333_t13_rsv1_elsewhere() {
    let config = Config::default().deflate(eager());
    for first in [FIN | RSV1 | PING, FIN | RSV1 | PONG, FIN | RSV1 | CLOSE] {
        fails_with(plain(), &config, &[(first, b"")], Error::ReservedBits);
    }
    for first in [FIN | RSV1, RSV1] {
        let frames: [(u8, &[u8]); 2] = [(RSV1 | TEXT, &HELLO[..3]), (first, &HELLO[3..])];
        fails_with(plain(), &config, &frames, Error::ReservedBits);
    }
    for bit in [RSV2, RSV3] {
        fails_with(
            plain(),
            &config,
            &[(DATA | bit, HELLO)],
            Error::ReservedBits,
        );
    }
    // R322: without agreement it is illegal on any frame, configured or not.
    for role in ROLES {
        let wire = wire(role, &[(DATA, HELLO)]);
        fails(role, config.clone(), &wire, Error::ReservedBits);
        let open = || open_with_none(role, config.clone());
        assert_failed(&converse_on(open, &wire), &[], &[], Error::ReservedBits);
    }
}

fn open_with_none(role: Role, config: Config) -> Connection {
    Connection::upgraded_with(role, None, config.entropy(entropy))
}

#[test]
fn r340_r341_t47_final_blocks_with_more_behind_them() {
    // RFC 7692 §7.2.3.4, then the next message: both with and without reference to the first.
    for next in [HELLO, HELLO_AGAIN, HELLO_FINAL, HELLO_STORED] {
        gives(plain(), &[(DATA, HELLO_FINAL), (DATA, next)], &hello(2));
    }
    // In mid-message; what follows refers to what stands before the final block. `f3 00 11 00 00` is
    // the second "Hello" of the RFC, final.
    let double = [&HELLO_FINAL[..7], HELLO_AGAIN].concat();
    let again = [&HELLO_FINAL[..7], b"\xf3\x00\x11\x00\x00"].concat();
    for agreed in [plain(), no_takeover()] {
        gives(agreed, &[(DATA, &double)], &[text("HelloHello")]);
        // Nothing behind a final block: then there is nothing to end.
        gives(agreed, &[(DATA, &again)], &[text("HelloHello")]);
        gives(agreed, &[(DATA, &HELLO_FINAL[..7])], &hello(1));
        gives(
            agreed,
            &[(RSV1 | TEXT, &HELLO_FINAL[..7]), (FIN, b"")],
            &hello(1),
        );
    }
    // And over two messages with a plain one between.
    gives(
        plain(),
        &[(DATA, &double), (FIN | TEXT, b"-"), (DATA, HELLO_AGAIN)],
        &[text("HelloHello"), text("-"), text("Hello")],
    );
    // A final block of which the sender has left out the end: an empty stored one is `01`.
    let cut = [
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff".as_slice(),
        b"\x01",
    ]
    .concat();
    gives(plain(), &[(DATA, &cut), (DATA, HELLO_AGAIN)], &hello(2));
}

/// Final blocks are as valid as others, in any number and behind a full window: those of nothing, those
/// that stand alone, and those that reach back over the final block before them.
#[test]
fn r390_t66_final_blocks_in_any_number() {
    let window = noise(1, 40_000);
    let start = [stored(&window), vec![0]].concat();
    let fixed = &HELLO_FINAL[..7];
    for (block, each) in [
        (&b"\x03\x00"[..], ""),
        (b"\x01\x00\x00\xff\xff", ""),
        (fixed, "Hello"),
        (b"\xf3\x00\x11\x00", "Hello"),
        (b"\x01\x05\x00\xfa\xffHello", "Hello"),
    ] {
        for times in [1, 32, 33, 200] {
            let payload = [fixed, &block.repeat(times)].concat();
            let event = text(&["Hello", &each.repeat(times)].concat());
            let (a, b) = payload.split_at(payload.len() / 2 + 1);
            let frames: [(u8, &[u8]); 5] = [
                (FIN | RSV1 | BINARY, &start),
                (DATA, &payload),
                (RSV1 | TEXT, a),
                (FIN, b),
                // The window is that of before.
                (DATA, b"\xf2\x00\x11\x00\x00"),
            ];
            let events = [binary(&window), event.clone(), event, text("Hello")];
            // By the byte it takes a while.
            let cuts = if times == 33 { 1 } else { 100 };
            for role in ROLES {
                for reads in [usize::MAX, cuts] {
                    let mut ws = open_eager(role, plain());
                    let wire = wire(role, &frames);
                    let got: Vec<_> = wire
                        .chunks(reads.min(wire.len()))
                        .flat_map(|piece| feed(&mut ws, piece))
                        .collect();
                    assert!(got == events, "{times} of {block:x?}, {role:?}, {reads}");
                }
            }
        }
    }
    // Without takeover, and where messages come in parts: what is looked back at was handed over.
    let again = [fixed, &b"\xf3\x00\x11\x00".repeat(20)].concat();
    gives(
        no_takeover(),
        &[(DATA, &again)],
        &[text(&"Hello".repeat(21))],
    );
    for agreed in [plain(), no_takeover()] {
        for role in ROLES {
            let config = Config::default().delivery(Delivery::Parts).deflate(eager());
            let mut ws = open_with(role, agreed, config);
            let events = feed_all(&mut ws, &wire(role, &[(DATA, &again), (DATA, &again)]));
            let said = (true, "Hello".repeat(21).into_bytes());
            assert_eq!(gathered(&events), [said.clone(), said]);
        }
    }
}

/// Messages of fixed blocks, final or not, of literals and of matches that reach back anywhere.
#[test]
fn r340_r390_final_blocks_at_random() {
    for seed in 0..4 {
        let mut random = Random(seed + 1);
        let bits = [9, 12, 15][random.below(3)];
        let agreed = match random.below(2) {
            0 => windows(bits),
            _ => no_takeover(),
        };
        let takes_over = agreed != no_takeover();
        let window = if takes_over { 1 << bits } else { 1 << 15 };
        let mut oracle = Oracle::default();
        let (mut frames, mut expected) = (Vec::new(), Vec::new());
        let first = stored(&noise(seed, 40_000));
        let mut payload = [&first[..], b"\x00"].concat();
        for round in 0..4 {
            if round > 0 {
                payload = blocks(&mut random, if takes_over { window } else { 0 }, window);
            }
            if !takes_over {
                oracle = Oracle::default();
            }
            expected.push(oracle.message(&payload));
            frames.push(payload.clone());
        }
        assert!(oracle.furthest <= window);
        let frames: Vec<(u8, &[u8])> = frames
            .iter()
            .map(|payload| (FIN | RSV1 | BINARY, &payload[..]))
            .collect();
        for role in ROLES {
            let wire = wire(role, &frames);
            for delivery in [Delivery::Messages, Delivery::Parts] {
                for most in [1, 20, 1000, 100_000] {
                    let config = Config::default().delivery(delivery).deflate(eager());
                    let mut ws = open_with(role, agreed, config);
                    let (mut rest, mut events) = (&wire[..], Vec::new());
                    while !rest.is_empty() {
                        let size = 1 + random.below(most).min(rest.len() - 1);
                        events.extend(feed_all(&mut ws, &rest[..size]));
                        rest = &rest[size..];
                    }
                    let got: Vec<_> = match delivery {
                        Delivery::Messages => events
                            .into_iter()
                            .map(|event| match event {
                                Event::Binary(data) => data.into_owned(),
                                other => panic!("{seed}, {role:?}: {other:?}"),
                            })
                            .collect(),
                        _ => gathered(&events).into_iter().map(|part| part.1).collect(),
                    };
                    assert!(got == expected, "{seed}, {role:?}, {delivery:?}, {most}");
                }
            }
        }
    }
}

/// A message of fixed blocks behind `before` bytes that it may refer to.
fn blocks(random: &mut Random, before: usize, window: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let mut there = before;
    let code = |bits: &mut Vec<bool>, value: usize, len: usize| {
        bits.extend((0..len).rev().map(|place| value >> place & 1 == 1));
    };
    for _ in 0..1 + random.below(60) {
        let is_final = random.below(3) > 0;
        bits.extend([is_final, true, false]);
        for _ in 0..random.below(4) * random.below(4) {
            if random.below(2) == 0 || there == 0 {
                code(&mut bits, 0x30 + random.below(144), 8);
                there += 1;
            } else {
                let distance = 1 + random.below(there.min(window));
                let len = random.below(8);
                code(&mut bits, 1 + len, 7);
                let (symbol, extra, value) = distance_code(distance);
                code(&mut bits, symbol, 5);
                bits.extend((0..extra).map(|place| value >> place & 1 == 1));
                there += 3 + len;
            }
        }
        code(&mut bits, 0, 7);
        if is_final {
            // What fills the last byte means nothing.
            let filling = random.below(2) == 0;
            bits.resize(bits.len().next_multiple_of(8), filling);
        }
    }
    bits.extend([false; 3]); // an empty stored block
    bytes(&bits)
}

/// R340: what a block behind a final one reaches back to is a code point that the last read ended in.
#[test]
fn r390_final_block_inside_a_code_point() {
    let euro = "€".as_bytes();
    for cut in 1..3 {
        let len = u8::try_from(cut).unwrap();
        let start = [&[1, len, 0, !len, 0xff][..], &euro[..cut]].concat();
        // The rest of it, then all three bytes once more, from 3 before: `03 22 00` is that match, final.
        let rest = stored(&euro[cut..]);
        let payload = [&start[..], &rest, b"\x03\x22\x00", b"\x00"].concat();
        gives(plain(), &[(DATA, &payload)], &[text("€€")]);
        let mut oracle = Oracle::default();
        assert_eq!(oracle.message(&payload), "€€".as_bytes());
    }
}

#[test]
fn r344_t47_payload_of_no_bytes() {
    for agreed in [plain(), no_takeover()] {
        gives(agreed, &[(DATA, b"")], &[text("")]);
        gives(agreed, &[(DATA, b"\x00")], &[text("")]);
        gives(
            agreed,
            &[(RSV1 | BINARY, b""), (CONTINUATION, b""), (FIN, b"")],
            &[binary(b"")],
        );
    }
    // The window is as it was before.
    gives(
        plain(),
        &[
            (DATA, HELLO),
            (DATA, b""),
            (DATA, b"\x00"),
            (DATA, HELLO_AGAIN),
        ],
        &[text("Hello"), text(""), text(""), text("Hello")],
    );
}

#[test]
fn r347_t50_corrupt_streams() {
    let config = Config::default().deflate(eager());
    let corrupt: [&[u8]; 13] = [
        b"\x06",                                 // block of the reserved type
        b"\x07",                                 // and a final one
        b"\x00\x05\x00\xfa\xfe",                 // lengths of a stored block that do not fit
        b"\xf2\x00\x11\x00\x00",                 // a distance before the beginning
        b"\x04\xfd\xff\xff\xff",                 // a table of codes that is over-subscribed
        b"\xfc\x00\x00",                         // too many length codes
        &HELLO[..3],                             // ends inside a block
        &HELLO_STORED[..7],                      // ends inside a stored one
        &HELLO_STORED[..3],                      // ends inside the header of one
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x05", // ends behind one block, inside the next
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x01\x01", // behind a final block, rubbish
        &HELLO_FINAL[..6],                       // a final block that only the tail would complete
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for payload in corrupt {
        for agreed in [plain(), no_takeover()] {
            let frames: [(u8, &[u8]); 1] = [(FIN | RSV1 | BINARY, payload)];
            fails_with(agreed, &config, &frames, Error::InvalidDeflate);
            let behind: [(u8, &[u8]); 3] = [(DATA, HELLO), (RSV1 | BINARY, payload), (FIN, b"")];
            if payload != HELLO_AGAIN {
                fails_with(agreed, &config, &behind, Error::InvalidDeflate);
            }
        }
    }
    // T50: what failed leaves nothing behind for the next connection of the same pool.
    for role in ROLES {
        for payload in corrupt {
            let mut broken = open_with(role, no_takeover(), config.clone());
            feed(&mut broken, &wire(role, &[(DATA, payload)]));
            let mut ws = open_with(role, no_takeover(), config.clone());
            assert_eq!(feed(&mut ws, &wire(role, &[(DATA, HELLO)])), hello(1));
        }
    }
}

#[test]
fn r335_t19_text_is_checked_behind_the_inflater() {
    let config = Config::default().deflate(eager());
    let euro = "€".as_bytes();
    // A code point that a block, a fragment or both cut in two.
    let (a, b) = (stored(&euro[..1]), [stored(&euro[1..]), vec![0]].concat());
    gives(plain(), &[(DATA, &[&a[..], &b].concat())], &[text("€")]);
    gives(plain(), &[(RSV1 | TEXT, &a), (FIN, &b)], &[text("€")]);
    // Cut off, or wrong.
    let half = [&a[..], b"\x00"].concat();
    fails_with(plain(), &config, &[(DATA, &half)], Error::InvalidUtf8);
    let wrong = [stored(b"ok \xff"), vec![0]].concat();
    fails_with(plain(), &config, &[(DATA, &wrong)], Error::InvalidUtf8);
    gives(
        plain(),
        &[(FIN | RSV1 | BINARY, &wrong)],
        &[binary(b"ok \xff")],
    );
    // The first of two faults is the one that is reported, however they were cut.
    let small = Config::default().max_message_size(4).deflate(eager());
    let both = [stored(b"ok \xff and more"), vec![0]].concat();
    fails_with(plain(), &small, &[(DATA, &both)], Error::InvalidUtf8);
    let both = [stored(b"ok, but more"), vec![0]].concat();
    fails_with(plain(), &small, &[(DATA, &both)], Error::MessageTooLarge);
    let both = [stored(b"ok \xff"), b"\x07".to_vec()].concat();
    fails_with(plain(), &config, &[(DATA, &both)], Error::InvalidUtf8);
    // Compressed bytes need not be UTF-8, and R233 holds for what they stand for.
    for role in ROLES {
        let mut ws = open_eager(role, plain());
        let start = frame(peer(role), RSV1 | TEXT, &stored(b"\xc0"));
        assert_eq!(feed(&mut ws, &start), [Event::Fail(Error::InvalidUtf8)]);
    }
}

#[test]
fn r330_r331_reach_beyond_the_window() {
    let config = Config::default().deflate(eager());
    for bits in 8..=15 {
        let window = 1 << bits;
        let first: Vec<u8> = noise(7, window + 300);
        // A fixed block: a match of 3 bytes at this distance.
        for (distance, reaches) in [(window, true), (window + 1, false)] {
            if distance > 32768 {
                continue;
            }
            let reference = matching(distance);
            let pieces: Vec<_> = first.chunks(60000).map(stored).collect();
            let start = [pieces.concat(), vec![0]].concat();
            for role in ROLES {
                let mut ws = open_with(role, windows(bits), config.clone());
                let wire = wire(
                    role,
                    &[
                        (FIN | RSV1 | BINARY, &start),
                        (FIN | RSV1 | BINARY, &reference),
                    ],
                );
                let events = feed(&mut ws, &wire);
                let at = first.len() - distance;
                let expected = if reaches {
                    binary(&first[at..at + 3])
                } else {
                    Event::Fail(Error::InvalidDeflate)
                };
                assert_eq!(events, [binary(&first), expected], "{bits} {distance}");
            }
        }
    }
}

/// A message of 3 bytes that stand `distance` before.
fn matching(distance: usize) -> Vec<u8> {
    let mut bits = vec![false, true, false]; // not final, fixed codes
    bits.extend([false, false, false, false, false, false, true]); // length 3: code 257
    let (symbol, extra, value) = distance_code(distance);
    bits.extend((0..5).rev().map(|place| symbol >> place & 1 == 1));
    bits.extend((0..extra).map(|place| value >> place & 1 == 1));
    bits.extend([false; 7]); // the end of the block
    bits.extend([false; 3]); // an empty stored one
    bytes(&bits)
}

/// The code of a distance, and how many bits of which value follow (RFC 1951 §3.2.5).
fn distance_code(distance: usize) -> (usize, usize, usize) {
    match distance {
        1..=4 => (distance - 1, 0, 0),
        _ => {
            let extra = (distance - 1).ilog2() as usize - 1;
            let symbol = 2 * extra + ((distance - 1) >> extra);
            (symbol, extra, (distance - 1) & ((1 << extra) - 1))
        }
    }
}

fn bytes(bits: &[bool]) -> Vec<u8> {
    bits.chunks(8)
        .map(|byte| {
            byte.iter()
                .enumerate()
                .fold(0, |sum, (place, bit)| sum | u8::from(*bit) << place)
        })
        .collect()
}

#[test]
fn r348_t45_t14_limit_of_what_is_inflated() {
    let bomb = |len: usize| -> Vec<u8> {
        let mut ws = open_with(
            Role::Server,
            no_takeover(),
            Config::default().deflate(sockless::DeflateConfig::new().level(9)),
        );
        ws.send_binary(vec![0; len]).unwrap();
        parse(Role::Server, &drain(&mut ws)).remove(0).payload
    };
    for limit in [100, 1000, 16383, 16384, 16385, 100_000] {
        let config = Config::default().max_message_size(limit).deflate(eager());
        let (fits, too_large) = (bomb(limit), bomb(limit + 1));
        for agreed in [plain(), no_takeover()] {
            for role in ROLES {
                let open = || open_with(role, agreed, config.clone());
                let whole = converse_on(open, &wire(role, &[(FIN | RSV1 | BINARY, &fits)]));
                assert_eq!(whole.events, [binary(&vec![0; limit])]);
            }
            let frames: [(u8, &[u8]); 1] = [(FIN | RSV1 | BINARY, &too_large)];
            fails_with(agreed, &config, &frames, Error::MessageTooLarge);
            // Fragments share the budget.
            let (a, b) = too_large.split_at(too_large.len() / 2);
            let frames: [(u8, &[u8]); 2] = [(RSV1 | BINARY, a), (FIN, b)];
            fails_with(agreed, &config, &frames, Error::MessageTooLarge);
        }
    }
}

/// T45: blocks that end the stream, so that the inflater begins anew, share the message's budget.
#[test]
fn r348_t45_final_blocks_share_the_limit() {
    let config = Config::default().max_message_size(1000).deflate(eager());
    let block = [&[1, 0x58, 2, 0xa7, 0xfd][..], &[7; 600]].concat();
    let frames: [(u8, &[u8]); 1] = [(FIN | RSV1 | BINARY, &block.repeat(2))];
    fails_with(plain(), &config, &frames, Error::MessageTooLarge);
}

/// T14: what comes plain on a compressed connection has the limit of plain messages, to the byte.
#[test]
fn r158_t14_limit_of_plain_messages() {
    let config = Config::default().max_message_size(1000).deflate(eager());
    let whole: [(u8, &[u8]); 1] = [(FIN | BINARY, &[0; 1001])];
    let fragments: [(u8, &[u8]); 2] = [(BINARY, &[0; 500]), (FIN, &[0; 501])];
    fails_with(plain(), &config, &whole, Error::MessageTooLarge);
    fails_with(plain(), &config, &fragments, Error::MessageTooLarge);
    let fits: [(u8, &[u8]); 2] = [(BINARY, &[0; 500]), (FIN, &[0; 500])];
    for role in ROLES {
        let open = || open_with(role, plain(), config.clone());
        let transcript = converse_on(open, &wire(role, &fits));
        assert_eq!(transcript.events, [binary(&[0; 1000])]);
    }
}

#[test]
fn r348_limit_of_what_is_on_the_wire() {
    // Empty blocks inflate to nothing at all, however many there are.
    let config = Config::default().max_message_size(1000).deflate(eager());
    let allowed = 1000 + 250 + 256;
    let empty = stored(b"").repeat(allowed / 5);
    let enough = [&empty[..], &vec![0; allowed % 5]].concat();
    assert_eq!(enough.len(), allowed);
    gives_with(&config, &enough, b"");
    let more = [&empty[..], &vec![0; allowed % 5 + 1]].concat();
    let frames: [(u8, &[u8]); 1] = [(DATA, &more)];
    fails_with(plain(), &config, &frames, Error::MessageTooLarge);
    // What does not get shorter gets longer, and a message at the limit still fits.
    let data = noise(1, 1000);
    let pieces: Vec<_> = data.chunks(30).map(stored).collect();
    let longer = [pieces.concat(), vec![0]].concat();
    assert!(longer.len() > 1000);
    for role in ROLES {
        let open = || open_with(role, plain(), config.clone());
        let transcript = converse_on(open, &wire(role, &[(FIN | RSV1 | BINARY, &longer)]));
        assert_eq!(transcript.events, [binary(&data)]);
    }
}

#[test]
fn t45_limit_of_the_ratio() {
    let zeros = |len: usize| compressed(&vec![0; len]);
    let frames: [(u8, &[u8]); 1] = [(FIN | RSV1 | BINARY, &zeros(200_000))];
    let config = Config::default().deflate(eager().max_ratio(100));
    fails_with(plain(), &config, &frames, Error::RatioTooHigh);
    // It counts from 64 KiB on, and what compresses less is not meant.
    gives_with(&config, &zeros((1 << 16) - 1), &vec![0; (1 << 16) - 1]);
    let frames: [(u8, &[u8]); 1] = [(FIN | RSV1 | BINARY, &zeros(1 << 16))];
    fails_with(plain(), &config, &frames, Error::RatioTooHigh);
    let tame = prose(3, 200_000);
    let mut ws = open_with(Role::Server, no_takeover(), config.clone());
    ws.send_binary(tame.as_bytes()).unwrap();
    let payload = parse(Role::Server, &drain(&mut ws)).remove(0).payload;
    assert!(payload.len() < tame.len() / 3);
    gives_with(&config, &payload, tame.as_bytes());
    // However tame the start was.
    let config = Config::default().deflate(eager().max_ratio(2));
    let mut ws = open_with(Role::Server, no_takeover(), config.clone());
    ws.send_binary([noise(1, 200_000), vec![0; 900_000]].concat())
        .unwrap();
    let payload = parse(Role::Server, &drain(&mut ws)).remove(0).payload;
    let mut ws = open_with(Role::Client, plain(), config);
    let events = feed(&mut ws, &frame(Role::Server, FIN | RSV1 | BINARY, &payload));
    assert_eq!(events, [Event::Fail(Error::RatioTooHigh)]);
}

/// The verdict is about what a number of bytes came to, and the same for every cut: of messages that are
/// as large as they may be, a little more or a little less, at 64 KiB, at their end or in between.
#[test]
fn r391_t67_ratio_is_judged_alike_for_every_cut() {
    let mut random = Random(4711);
    let (mut passed, mut failed) = (0, 0);
    for round in 0..200 {
        let ratio = 3 + random.below(60);
        // Noise, then what repeats: 64 KiB that come to about a `ratio`th of it.
        let repeats = vec![[&b"\0"[..], b"ab", b"Hello, "][random.below(3)]; 1 << 16].concat();
        let near = (1 << 16) / ratio;
        let mut data = noise(round, (near - 270 / random.below(4).max(1)).max(100));
        data.extend(&repeats[..(1 << 16) - data.len()]);
        for _ in 0..random.below(3) {
            let size = random.below(2000);
            data.extend(noise(round + 1, size / ratio));
            data.extend(&repeats[..size]);
        }
        let payload = compressed(&data);
        let ratio = match random.below(3) {
            0 => data.len() / payload.len(),
            _ => ratio,
        };
        let ratio = u32::try_from(ratio + random.below(2)).unwrap();
        let config = Config::default().deflate(eager().max_ratio(ratio));
        let wire = frame(Role::Server, FIN | RSV1 | BINARY, &payload);
        let outcome = |cut: &mut dyn FnMut() -> usize| {
            let mut ws = open_with(Role::Client, no_takeover(), config.clone());
            let (mut rest, mut events) = (&wire[..], Vec::new());
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(cut().min(rest.len()));
                events.extend(feed(&mut ws, piece));
                rest = more;
            }
            events
        };
        let whole = outcome(&mut || usize::MAX);
        match &whole[..] {
            [Event::Binary(got)] => {
                assert!(**got == data);
                passed += 1;
            }
            [Event::Fail(Error::RatioTooHigh)] => failed += 1,
            other => panic!("{} events", other.len()),
        }
        assert!(outcome(&mut || 1) == whole, "byte by byte, {round}");
        for most in [10, 300, 5000] {
            let mut cuts = Random(round + 1);
            assert!(outcome(&mut || 1 + cuts.below(most)) == whole, "{round}");
        }
    }
    assert!(passed > 30 && failed > 30, "{passed} and {failed}");
}

/// A message that is cut off in the middle of a long run, so that what its end comes to takes more than
/// one buffer: the same for each delivery, with every limit around 64 KiB, where the ratio begins to count.
#[test]
fn r391_t67_ratio_is_judged_alike_for_every_delivery() {
    let payload = [
        &b"\xec\xc1\x31\x01\0\0\0\xc2\xa0\xf5\x4fm\x09\x4f\xa0"[..],
        &[0; 15][..],
        &b"\x8a\0\0\0\x03\0\0\0\0\0\x02\0xxxxx\0\0\0\0\0\x04\x7e\0\xfe\xa0"[..],
        &[0; 15][..],
        &b"\x8a\0\0\0\x03\0\0\0\0\0\xc1"[..],
    ]
    .concat();
    for role in ROLES {
        let wire = wire(role, &[(FIN | RSV1 | BINARY, &payload)]);
        for limit in (65_000..66_000).step_by(100).chain(65_530..65_545) {
            let last = |delivery| {
                let config = Config::default()
                    .delivery(delivery)
                    .max_message_size(limit)
                    .deflate(eager().max_ratio(2));
                let events = feed(&mut open_with(role, plain(), config), &wire);
                events.last().cloned()
            };
            let whole = last(Delivery::Messages);
            assert!(matches!(whole, Some(Event::Fail(_))));
            assert_eq!(last(Delivery::Parts), whole, "{limit}");
        }
    }
}

fn compressed(data: &[u8]) -> Vec<u8> {
    let config = Config::default().deflate(eager());
    let mut ws = open_with(Role::Server, no_takeover(), config);
    ws.send_binary(data).unwrap();
    parse(Role::Server, &drain(&mut ws)).remove(0).payload
}

fn gives_with(config: &Config, payload: &[u8], data: &[u8]) {
    for role in ROLES {
        let mut ws = open_with(role, plain(), config.clone());
        let wire = wire(role, &[(FIN | RSV1 | BINARY, payload)]);
        assert_eq!(feed(&mut ws, &wire), [binary(data)]);
    }
}

#[test]
fn t48_sizes_around_the_buffer() {
    for len in [16383, 16384, 16385, 32767, 32768, 32769, 65536] {
        for data in [noise(5, len), prose(5, len).into_bytes(), vec![7; len]] {
            for role in ROLES {
                let mut sender = open_eager(peer(role), plain());
                let mut ws = open_eager(role, plain());
                for _ in 0..3 {
                    sender.send_binary(&data).unwrap();
                    let wire = drain(&mut sender);
                    assert_eq!(feed(&mut ws, &wire), [binary(&data)]);
                }
            }
        }
    }
}

/// T53: what is handed over holds what it needs: to the byte, if it is short and came in one piece.
#[test]
fn t53_capacity_of_what_is_inflated() {
    for role in ROLES {
        let mut sender = open_eager(peer(role), plain());
        let mut ws = open_eager(role, plain());
        for len in [
            100, 1000, 2000, 10_000, 16_383, 16_384, 20_000, 50_000, 100_000,
        ] {
            sender.send_text(prose(1, len)).unwrap();
            let mut wire = drain(&mut sender);
            let Some(Event::Text(text)) = ws.receive(&mut &mut wire[..]) else {
                panic!("no text");
            };
            let text = text.into_owned();
            let most = if len < 16 << 10 {
                text.len()
            } else {
                2 * text.len()
            };
            assert!(text.capacity() <= most, "{} for {len}", text.capacity());
        }
    }
}

/// The parts of a message, put together; none is longer than 16 KiB.
fn gathered(events: &[Event<'static>]) -> Vec<(bool, Vec<u8>)> {
    let mut messages = Vec::new();
    for event in events {
        let (is_text, data, first, fin) = match event {
            Event::TextPart { text, first, fin } => (true, text.as_bytes(), *first, *fin),
            Event::BinaryPart { data, first, fin } => (false, &data[..], *first, *fin),
            other => panic!("{other:?}"),
        };
        assert!(data.len() <= 16 << 10);
        assert!(!data.is_empty() || fin == Fin::Last);
        if first {
            messages.push((is_text, Vec::new()));
        }
        messages.last_mut().expect("a first part").1.extend(data);
    }
    messages
}

/// More events than bytes: that is what compression is.
fn feed_all(ws: &mut Connection, piece: &[u8]) -> Vec<Event<'static>> {
    let mut bytes = piece.to_vec();
    let mut input = &mut bytes[..];
    let mut events = Vec::new();
    while let Some(event) = ws.receive(&mut input) {
        events.push(event.into_owned());
    }
    assert!(input.is_empty());
    events
}

#[test]
fn r336_parts_of_compressed_messages() {
    let config = Config::default()
        .delivery(Delivery::Parts)
        .deflate(eager().level(9));
    let long = prose(11, 70_000);
    for role in ROLES {
        for agreed in [plain(), no_takeover(), windows(9)] {
            let mut sender = open_with(
                peer(role),
                agreed,
                Config::default().fragment_size(1000).deflate(eager()),
            );
            sender.send_text(&long).unwrap();
            sender.send_binary(vec![0; 200_000]).unwrap();
            sender.send_text("").unwrap();
            sender.send_text("€").unwrap();
            let wire = drain(&mut sender);
            for read in [1, 7, 1000, wire.len()] {
                let mut ws = open_with(role, agreed, config.clone());
                let events: Vec<_> = wire
                    .chunks(read)
                    .flat_map(|piece| feed_all(&mut ws, piece))
                    .collect();
                let messages = gathered(&events);
                assert_eq!(messages.len(), 4);
                assert!(messages[0] == (true, long.clone().into_bytes()));
                assert!(messages[1] == (false, vec![0; 200_000]));
                assert_eq!(messages[2], (true, vec![]));
                assert_eq!(messages[3], (true, "€".into()));
            }
        }
    }
}

#[test]
fn r350_the_message_is_presented_as_any_other() {
    for role in ROLES {
        let mut ws = open_eager(role, plain());
        let events = feed(
            &mut ws,
            &wire(role, &[(DATA, HELLO), (FIN | TEXT, b"Hello")]),
        );
        assert_eq!(events[0], events[1]);
    }
}
