//! Masking on the way in and out: RFC 6455 §5.3, §5.1, §10.3.

mod common;

use core::cell::{Cell, RefCell};
use std::collections::HashSet;

use common::*;
use sockless::{Config, Connection, EntropyError, Fin, Role, SendError, mask};

/// R140, T3: every length with every key phase, and every split of it, taken off by the connection.
/// (The algorithm alone is tested against a naive one in `mask`.)
#[test]
fn r140_t03_every_length_and_start() {
    for len in (0..300).step_by(7).chain([1, 2, 3, 4, 5, 8, 63, 64, 65]) {
        let payload: Vec<u8> = (1..=255).cycle().take(len).collect();
        let wire = frame(Role::Client, FIN | BINARY, &payload);
        let transcript = converse(Role::Server, Config::default(), &wire);
        assert_eq!(transcript.events, [binary(&payload)]);
    }
    // Three reads: the second one starts and ends at each phase.
    let payload: Vec<u8> = (0..40).collect();
    let wire = frame(Role::Client, FIN | BINARY, &payload);
    for first in 0..wire.len() {
        for second in first..wire.len() {
            let transcript = run(Role::Server, Config::default(), &wire, &[first, second]);
            assert_eq!(transcript.events, [binary(&payload)]);
        }
    }
}

/// R140: in place, wherever the frame lies in the caller's buffer.
#[test]
fn r140_every_alignment_of_the_buffer() {
    for len in [3, 64, 200] {
        let payload: Vec<u8> = (1..=255).cycle().take(len).collect();
        let wire = frame(Role::Client, FIN | BINARY, &payload);
        for start in 0..16 {
            let mut buffer = vec![0xee; start];
            buffer.extend(&wire);
            buffer.extend([0xee; 16]);
            let mut ws = open(Role::Server, Config::default());
            let mut input = &mut buffer[start..start + wire.len()];
            let event = ws.receive(&mut input).expect("a message");
            assert_eq!(event, binary(&payload));
            assert!(input.is_empty());
            assert!(buffer[..start].iter().all(|byte| *byte == 0xee));
            assert!(buffer[start + wire.len()..].iter().all(|b| *b == 0xee));
        }
    }
}

#[test]
fn r142_zero_key_is_legal() {
    let wire = [
        masked(FIN | TEXT, [0; 4], b"plain"),
        masked(FIN | PING, [0; 4], b""),
        masked(FIN | BINARY, [0; 4], &[9; 200]),
    ]
    .concat();
    let transcript = converse(Role::Server, Config::default(), &wire);
    assert_eq!(
        transcript.events,
        [text("plain"), ping(b""), binary(&[9; 200])]
    );
}

/// R146: the length says five, and five bytes follow the key.
#[test]
fn r146_key_is_not_part_of_the_length() {
    // RFC 6455 §5.7, twice.
    let hello = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    let transcript = converse(Role::Server, Config::default(), &[hello, hello].concat());
    assert_eq!(transcript.events, [text("Hello"), text("Hello")]);

    let mut client = open(Role::Client, Config::default());
    client.send_text("Hello").unwrap();
    let output = drain(&mut client);
    assert_eq!(output[..2], hello[..2]);
    assert_eq!(output.len(), hello.len());
}

/// R147: each frame has its own key, also after frames with no payload to use it on, in every kind
/// and behind lengths that leave the key in each phase.
#[test]
fn r147_no_key_outlives_its_frame() {
    let keys = [[1, 2, 3, 4], [0xff, 0, 0xff, 0], [0; 4], [9, 8, 7, 6]];
    for len in 0..5 {
        let wire = [
            masked(TEXT, keys[0], &b"abcd"[..len]),
            masked(FIN | PING, keys[1], b""),
            masked(CONTINUATION, keys[2], b""),
            masked(FIN | PONG, keys[3], b"xyz"),
            masked(CONTINUATION, keys[1], b"e"),
            masked(FIN | CONTINUATION, keys[0], b""),
            masked(FIN | BINARY, keys[3], b""),
            masked(FIN | BINARY, keys[1], b"0123456789"),
            masked(FIN | CLOSE, keys[0], &close_body(1000, "x")),
        ]
        .concat();
        let transcript = converse(Role::Server, Config::default(), &wire);
        let message = format!("{}e", &"abcd"[..len]);
        assert_eq!(
            transcript.events,
            [
                ping(b""),
                pong(b"xyz"),
                text(&message),
                binary(b""),
                binary(b"0123456789"),
                closed(1000, "x"),
            ]
        );
    }
}

thread_local! {
    /// What was drawn from [`counting`], in order.
    static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    static FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Numbers, each of them once, and a record of them.
fn counting(buffer: &mut [u8]) -> Result<(), EntropyError> {
    if FAIL.get() {
        return Err(EntropyError::default());
    }
    for chunk in buffer.chunks_mut(4) {
        NEXT.set(NEXT.get() + 1);
        // Scattered, so that keys of neighbours do not look alike.
        let number = NEXT.get().wrapping_mul(0x9e37_79b1).to_be_bytes();
        chunk.copy_from_slice(&number[..chunk.len()]);
    }
    DRAWN.with_borrow_mut(|drawn| drawn.extend_from_slice(buffer));
    Ok(())
}

/// The keys of a client's frames, all shorter than 126 bytes.
fn keys(mut bytes: &[u8]) -> Vec<[u8; 4]> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[1] & 0x80, 0x80, "masked");
        keys.push(bytes[2..6].try_into().unwrap());
        bytes = &bytes[6 + usize::from(bytes[1] & 0x7f)..];
    }
    keys
}

/// R141, T55: a key of its own for each frame of each kind, and each one from the caller's generator.
#[test]
fn r141_t55_fresh_keys() {
    let config = Config::default().entropy(counting).fragment_size(2);
    let mut ws = Connection::upgraded(Role::Client, config.clone());
    for _ in 0..40 {
        ws.send_text("abcde").unwrap();
        ws.send_binary(b"").unwrap();
        ws.send_text_part("", Fin::More).unwrap();
        ws.send_text_part("x", Fin::Last).unwrap();
        ws.send_ping(b"same").unwrap();
        ws.send_pong(b"same").unwrap();
        feed(&mut ws, &frame(Role::Server, FIN | PING, b"same"));
    }
    feed(&mut ws, &frame(Role::Server, FIN | CLOSE, b""));
    let keys = keys(&drain(&mut ws));
    assert_eq!(keys.len(), 40 * 9 + 1);
    let distinct: HashSet<_> = keys.iter().copied().collect();
    assert_eq!(distinct.len(), keys.len(), "no key twice");
    DRAWN.with_borrow(|drawn| {
        let drawn: HashSet<_> = drawn.chunks_exact(4).collect();
        assert!(keys.iter().all(|key| drawn.contains(&key[..])));
    });
    // Two connections of the same configuration share none.
    let mut other = Connection::upgraded(Role::Client, config);
    other.send_text("abcde").unwrap();
    let other = self::keys(&drain(&mut other));
    assert!(other.iter().all(|key| !distinct.contains(key)));
}

/// R141: without the generator there is no frame; there never is one with a guessable key.
#[test]
fn r141_no_entropy_no_frame() {
    let mut ws = Connection::upgraded(Role::Client, Config::default().entropy(counting));
    FAIL.set(true);
    assert_eq!(ws.send_text("secret"), Err(SendError::Entropy));
    assert!(ws.output().is_empty());
    FAIL.set(false);
    ws.send_text("secret").unwrap();
    assert_eq!(
        parse(Role::Client, &drain(&mut ws)),
        [wrote(FIN | TEXT, "secret")]
    );
    // A server needs none, not even one that works.
    fn never(_: &mut [u8]) -> Result<(), EntropyError> {
        panic!("a server draws no masks")
    }
    let mut ws = Connection::upgraded(Role::Server, Config::default().entropy(never));
    ws.send_text("public").unwrap();
    feed(&mut ws, &frame(Role::Client, FIN | PING, b"?"));
    feed(&mut ws, &frame(Role::Client, FIN | CLOSE, b""));
    assert_eq!(parse(Role::Server, &drain(&mut ws)).len(), 3);
}

/// R141: the default source fills keys that differ between connections.
#[test]
#[cfg(feature = "getrandom")]
fn r141_the_default_source() {
    let mut seen = HashSet::new();
    for _ in 0..32 {
        let mut ws = Connection::upgraded(Role::Client, Config::default());
        for _ in 0..4 {
            ws.send_binary(b"").unwrap();
        }
        seen.extend(keys(&drain(&mut ws)));
    }
    // Of 128 random numbers of 32 bits, two are the same once in half a million runs.
    assert!(seen.len() >= 127, "{}", seen.len());
}

/// R141: keys that are still to be used do not get into logs.
#[test]
fn r141_keys_are_not_printed() {
    fn sevens(buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(0x77);
        Ok(())
    }
    let mut ws = Connection::upgraded(Role::Client, Config::default().entropy(sevens));
    ws.send_binary(b"").unwrap();
    drain(&mut ws);
    assert!(!format!("{ws:?}").contains("119"));
}

/// R143, T30: once a byte is on offer nothing changes it; the payload was copied, and is masked once.
#[test]
fn r143_what_is_on_offer_stays() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let mut payload = vec![b'a'; 300];
        ws.send_binary(&payload).unwrap();
        payload.fill(b'!');
        let offered = ws.output().to_vec();
        for n in 0..offered.len() {
            assert_eq!(ws.output(), &offered[n..]);
            assert_eq!(ws.output(), &offered[n..]);
            ws.sent(1);
        }
        assert_eq!(parse(role, &offered), [wrote(FIN | BINARY, [b'a'; 300])]);
    }
}

/// R144, R145: whatever carries the bytes, a client masks every frame and a server none.
#[test]
fn r144_r145_clients_mask_and_servers_do_not() {
    for role in ROLES {
        let mut talk = Talk::with(role, Config::default().fragment_size(100));
        talk.ws.send_text("t").unwrap();
        talk.ws.send_binary(&[1; 250]).unwrap();
        talk.ws.send_text_part("", Fin::More).unwrap();
        talk.ws.send_text_part("", Fin::Last).unwrap();
        talk.ws.send_ping(b"").unwrap();
        talk.ws.send_pong(b"").unwrap();
        talk.peer(FIN | PING, b"?");
        talk.peer(FIN | CLOSE, b"");
        // `parse` refuses a frame with the wrong mask bit.
        assert_eq!(talk.written().len(), 10);
    }
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.close_without_code().unwrap();
        assert_eq!(talk.written(), [wrote(FIN | CLOSE, "")]);
        // The Close of a failure.
        let mut talk = Talk::new(role);
        talk.peer(FIN | 3, b"");
        assert_eq!(talk.written().len(), 1);
    }
}

/// T3: in pieces of every length from every phase, with lengths that are no multiple of anything.
#[test]
fn t03_pieces() {
    let key = [0x80, 1, 0xff, 0x7e];
    let plain: Vec<u8> = (0..=255).cycle().take(300).collect();
    for piece in 1..=300 {
        for phase in 0..4 {
            let mut data = plain.clone();
            let mut at = phase;
            for part in data.chunks_mut(piece) {
                mask::apply(mask::rotate(key, at), part);
                at += part.len();
            }
            let expected: Vec<u8> = plain
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ key[(i + phase) % 4])
                .collect();
            assert_eq!(data, expected, "pieces of {piece} from phase {phase}");
        }
    }
    assert_eq!(mask::rotate(key, usize::MAX), mask::rotate(key, 3));
}
