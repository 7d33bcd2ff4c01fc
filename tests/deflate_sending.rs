//! Compressed messages that are sent (RFC 7692 §6.1, §7.2.1): conformance R330, R342 to R349.
#![cfg(feature = "deflate")]

mod common;
mod deflate_support;

use core::sync::atomic::{AtomicBool, Ordering};

use common::*;
use deflate_support::*;
use sockless::deflate::Parameters;
use sockless::frame::{Header, Opcode};
use sockless::{
    Compression, Config, Connection, DeflateConfig, Delivery, EntropyError, Event, Fin, Prepared,
    Role, SendError,
};

fn written(ws: &mut Connection) -> Vec<Frame> {
    let bytes = drain(ws);
    parse(ws.role(), &bytes)
}

fn sender(role: Role, agreed: Parameters, deflate: DeflateConfig) -> Connection {
    open_with(role, agreed, Config::default().deflate(deflate))
}

#[test]
fn r342_r346_vectors_of_the_rfc() {
    for role in ROLES {
        let mut ws = sender(role, plain(), eager());
        for vector in [HELLO, HELLO_AGAIN] {
            ws.send_text_part("Hello", Fin::More).unwrap();
            ws.send_text_part("", Fin::Last).unwrap();
            let flushed = [vector, &[0, 0, 0xff, 0xff]].concat();
            assert_eq!(
                written(&mut ws),
                [wrote(RSV1 | TEXT, flushed), wrote(FIN, b"\x00")]
            );
        }
    }
}

#[test]
fn r345_t46_each_message_begins_with_an_empty_window() {
    let said = prose(1, 500);
    for role in ROLES {
        for (agreed, config) in [
            (no_takeover(), eager()),
            // Of its own accord: a sender that resets when it need not is fine.
            (plain(), DeflateConfig::new()),
        ] {
            let mut ws = sender(role, agreed, config);
            ws.send_text(&said).unwrap();
            ws.send_text(&said).unwrap();
            let frames = written(&mut ws);
            assert_eq!(frames[0], frames[1]);
            assert_eq!(frames[0].first, FIN | RSV1 | TEXT);
            assert!(frames[0].payload.len() < 400);
        }
        // Each side's parameter is for what that side sends.
        let (mut own, mut others) = (plain(), plain());
        match role {
            Role::Server => {
                own.server_no_context_takeover = true;
                others.client_no_context_takeover = true;
            }
            Role::Client => {
                own.client_no_context_takeover = true;
                others.server_no_context_takeover = true;
            }
        }
        for (agreed, resets) in [(own, true), (others, false)] {
            let mut ws = sender(role, agreed, eager());
            ws.send_text(&said).unwrap();
            ws.send_text(&said).unwrap();
            let frames = written(&mut ws);
            assert_eq!(frames[0] == frames[1], resets);
        }
    }
}

#[test]
fn r343_empty_messages() {
    for role in ROLES {
        for agreed in [plain(), no_takeover()] {
            let mut ws = sender(role, agreed, eager());
            // Whole, it gets no shorter.
            ws.send_text("").unwrap();
            ws.send_binary_part(b"", Fin::Last).unwrap();
            assert_eq!(
                written(&mut ws),
                [wrote(FIN | TEXT, b""), wrote(FIN | BINARY, b"")]
            );
            let mut oracle = Oracle::default();
            for part in ["Hello", "", "Hello", ""] {
                ws.send_text_part(part, Fin::More).unwrap();
                ws.send_text_part("", Fin::Last).unwrap();
                let frames = written(&mut ws);
                assert_eq!(frames[1], wrote(FIN, b"\x00"));
                let said = (true, part.as_bytes().to_vec());
                assert_eq!(messages(&mut oracle, &frames), [said]);
            }
        }
    }
}

#[test]
fn r342_r343_parts_are_one_stream() {
    let said = prose(2, 3000);
    let (a, rest) = said.as_bytes().split_at(1000);
    let (b, c) = rest.split_at(1000);
    for role in ROLES {
        for agreed in [plain(), no_takeover()] {
            for fragment_size in [usize::MAX, 100, 1] {
                let config = Config::default()
                    .fragment_size(fragment_size)
                    .deflate(eager());
                let mut ws = open_with(role, agreed, config);
                let mut oracle = Oracle::default();
                for parts in [
                    vec![a, b, c],
                    vec![a, b, c, b""],
                    vec![b"", b"", a, b"", b],
                    vec![b"", b""],
                ] {
                    let (last, more) = parts.split_last().unwrap();
                    for part in more {
                        ws.send_binary_part(part, Fin::More).unwrap();
                        ws.send_ping(b"between").unwrap();
                    }
                    ws.send_binary_part(last, Fin::Last).unwrap();
                    let frames = written(&mut ws);
                    let data: Vec<_> = frames.iter().filter(|frame| frame.first & 8 == 0).collect();
                    assert_eq!(data[0].first & !FIN, RSV1 | BINARY);
                    assert!(
                        data[1..]
                            .iter()
                            .all(|frame| frame.first & !FIN == CONTINUATION)
                    );
                    assert!(
                        data.iter()
                            .all(|frame| frame.payload.len() <= fragment_size)
                    );
                    if last.is_empty() {
                        assert_eq!(data[data.len() - 1].payload, b"\x00");
                    }
                    // Each part is complete when it is there: it ends with a flush.
                    if fragment_size == usize::MAX && parts[0].len() == 1000 {
                        assert!(data[0].payload.ends_with(&[0, 0, 0xff, 0xff]));
                    }
                    if agreed == no_takeover() {
                        oracle = Oracle::default();
                    }
                    assert_eq!(messages(&mut oracle, &frames), [(true, parts.concat())]);
                }
                ws.send_binary(a).unwrap();
                assert!(messages(&mut oracle, &written(&mut ws)) == [(true, a.to_vec())]);
            }
        }
    }
}

#[test]
fn fragments_of_a_compressed_message() {
    let said = prose(4, 2000);
    for role in ROLES {
        for size in [1, 7, 100, 5000] {
            let config = Config::default().fragment_size(size).deflate(eager());
            let mut ws = open_with(role, plain(), config);
            ws.send_text(&said).unwrap();
            let frames = written(&mut ws);
            let (last, more) = frames.split_last().unwrap();
            assert!(more.iter().all(|frame| frame.payload.len() == size));
            assert!(last.payload.len() <= size && last.first & FIN != 0);
            assert!(more.iter().all(|frame| frame.first & FIN == 0));
            let messages = messages(&mut Oracle::default(), &frames);
            assert_eq!(messages, [(true, said.clone().into_bytes())]);
        }
    }
}

#[test]
fn r330_r331_no_window_is_exceeded() {
    // What repeats at a distance just below, at, and above each window.
    for bits in 9..=15 {
        for role in ROLES {
            let levels = match role {
                Role::Server => 1..=9,
                Role::Client => 6..=6,
            };
            for level in levels {
                let mut ws = sender(role, windows(bits), eager().level(level));
                let mut oracle = Oracle::default();
                for (seed, distance) in [(1 << bits) - 300, 1 << bits, (1 << bits) + 300]
                    .into_iter()
                    .enumerate()
                {
                    let data = noise(seed as u64, distance).repeat(3);
                    for message in data.chunks(10_000) {
                        // In parts, noise is compressed too.
                        ws.send_binary_part(message, Fin::More).unwrap();
                        ws.send_binary_part(b"", Fin::Last).unwrap();
                        let opened = messages(&mut oracle, &written(&mut ws));
                        assert!(opened == [(true, message.to_vec())]);
                    }
                }
                assert!(oracle.furthest <= 1 << bits, "{bits}: {}", oracle.furthest);
                assert!(
                    oracle.furthest > (1 << bits) / 4,
                    "{bits}: {}",
                    oracle.furthest
                );
            }
        }
    }
}

#[test]
fn r320_window_of_8_bits_is_not_used() {
    for role in ROLES {
        let mut ws = sender(role, windows(8), eager());
        ws.send_text("Hello".repeat(100)).unwrap();
        ws.send_text_part("Hello", Fin::More).unwrap();
        ws.send_text_part("Hello", Fin::Last).unwrap();
        let frames = written(&mut ws);
        assert!(frames.iter().all(|frame| frame.first & RSV1 == 0));
        // Receiving with one is another matter.
        let hello = frame(peer(role), FIN | RSV1 | TEXT, HELLO);
        assert_eq!(feed(&mut ws, &hello), [text("Hello")]);
    }
}

#[test]
fn threshold() {
    for role in ROLES {
        for threshold in [0, 20, 64, 1000] {
            let mut ws = sender(role, plain(), eager().threshold(threshold));
            for len in [threshold.max(20), threshold.saturating_sub(1)] {
                ws.send_binary(vec![0; len]).unwrap();
                // One part is a message as any other.
                ws.send_binary_part(&vec![0; len], Fin::Last).unwrap();
                for frame in written(&mut ws) {
                    assert_eq!(frame.first & RSV1 != 0, len >= threshold && len > 0);
                }
            }
        }
    }
}

#[test]
fn r349_a_message_can_be_left_uncompressed() {
    let (said, secret) = (prose(1, 300), "secret ".repeat(50));
    for role in ROLES {
        let mut ws = sender(role, plain(), eager());
        ws.send_text(&said).unwrap();
        ws.set_compression(Compression::Never);
        ws.send_text(&secret).unwrap();
        ws.send_prepared(&Prepared::text(secret.clone())).unwrap();
        ws.send_text_part(&secret, Fin::More).unwrap();
        // What has begun goes on as it was.
        ws.set_compression(Compression::Automatic);
        ws.send_text_part(&secret, Fin::Last).unwrap();
        ws.send_text_part(&said[..10], Fin::More).unwrap();
        ws.set_compression(Compression::Never);
        ws.send_text_part(&said[10..], Fin::Last).unwrap();
        ws.set_compression(Compression::Automatic);
        ws.send_text(&said).unwrap();
        let frames = written(&mut ws);
        assert_eq!(frames[1], wrote(FIN | TEXT, &secret));
        assert_eq!(frames[2], wrote(FIN | TEXT, &secret));
        assert_eq!(frames[3], wrote(TEXT, &secret));
        assert_eq!(frames[4], wrote(FIN, &secret));
        // R334: the window knows nothing of it.
        let messages = messages(&mut Oracle::default(), &frames);
        let compressed: Vec<_> = messages.iter().filter(|message| message.0).collect();
        assert_eq!(compressed, [&(true, said.clone().into_bytes()); 3]);
        assert!(frames[7].payload.len() < 20);
    }
}

/// No message gets longer by compression, with takeover neither: it is sent as it is, and later ones do
/// not refer to it, but to what was sent compressed before it.
#[test]
fn r346_r392_r393_t68_no_message_gets_longer() {
    for role in ROLES {
        for agreed in [plain(), no_takeover(), windows(9)] {
            for fragment_size in [usize::MAX, 100] {
                let config = Config::default()
                    .fragment_size(fragment_size)
                    .deflate(eager());
                let mut ws = open_with(role, agreed, config.clone());
                let mut receiver = open_with(peer(role), agreed, config);
                let mut oracle = Oracle::default();
                let mut random = Random(99);
                let (mut plain_ones, mut compressed_ones) = (0, 0);
                for round in 0..300 {
                    let most = [10, 100, 1000, 20_000][random.below(4)];
                    let len = random.below(most);
                    let message = match random.below(3) {
                        0 => noise(round, len),
                        1 => prose(round, len).into_bytes(),
                        _ => [noise(round, len / 2), prose(1, len / 2).into_bytes()].concat(),
                    };
                    match random.below(4) {
                        0 => ws.send_prepared(&Prepared::binary(message.clone())),
                        1 => ws.send_binary_part(&message, Fin::Last),
                        _ => ws.send_binary(&message),
                    }
                    .unwrap();
                    let bytes = drain(&mut ws);
                    assert_eq!(feed(&mut receiver, &bytes), [binary(&message)]);
                    let frames = parse(role, &bytes);
                    let sent: usize = frames.iter().map(|frame| frame.payload.len()).sum();
                    let is_compressed = frames[0].first & RSV1 != 0;
                    assert!(sent < message.len() || !is_compressed && sent == message.len());
                    match is_compressed {
                        true => compressed_ones += 1,
                        false => plain_ones += 1,
                    }
                    if agreed == no_takeover() {
                        oracle = Oracle::default();
                    }
                    assert!(messages(&mut oracle, &frames) == [(is_compressed, message)]);
                }
                assert!(plain_ones > 50 && compressed_ones > 50);
            }
        }
        // What was sent before is still referred to, behind what was not sent compressed.
        let said = prose(1, 3000);
        let mut ws = sender(role, plain(), eager());
        ws.send_text(&said).unwrap();
        for seed in 0..3 {
            ws.send_binary(noise(seed, 50_000)).unwrap();
            ws.send_text(&said).unwrap();
        }
        let frames = written(&mut ws);
        for pair in frames[1..].chunks(2) {
            assert_eq!(pair[0].first, FIN | BINARY);
            assert!(pair[1].payload.len() < 50, "{}", pair[1].payload.len());
        }
    }
}

/// What gets no shorter arrives at an end with the same limits, to the byte.
#[test]
fn r392_t68_noise_at_the_limit_arrives() {
    for role in ROLES {
        for agreed in [plain(), no_takeover()] {
            for limit in [10, 1000, 65_536, 1 << 20] {
                let config = Config::default()
                    .max_message_size(limit)
                    .max_frame_size(limit)
                    .deflate(eager());
                let mut ws = open_with(role, agreed, config.clone());
                let mut receiver = open_with(peer(role), agreed, config);
                for (seed, len) in [(1, limit), (1, limit), (2, limit - 1), (3, limit / 2)] {
                    let data = noise(seed, len);
                    ws.send_binary(&data).unwrap();
                    let wire = drain(&mut ws);
                    assert!(feed(&mut receiver, &wire) == [binary(&data)]);
                }
            }
        }
    }
}

static FAILS: AtomicBool = AtomicBool::new(false);

fn failing(buffer: &mut [u8]) -> Result<(), EntropyError> {
    if FAILS.load(Ordering::Relaxed) {
        return Err(EntropyError::default());
    }
    entropy(buffer)
}

#[test]
fn t50_a_message_that_could_not_be_sent() {
    let data = [noise(3, 500), prose(4, 2000).into_bytes()].concat();
    for parts in [false, true] {
        let config = Config::default().fragment_size(10).deflate(eager());
        let mut ws =
            Connection::upgraded_with(Role::Client, Some(plain()), config.entropy(failing));
        let mut oracle = Oracle::default();
        let said = prose(1, 500);
        ws.send_text(&said).unwrap();
        if parts {
            ws.send_binary_part(b"Hello", Fin::More).unwrap();
        }
        FAILS.store(true, Ordering::Relaxed);
        // It takes more keys than a batch has.
        let sent = match parts {
            true => ws.send_binary_part(&data, Fin::More),
            false => ws.send_binary(&data),
        };
        assert_eq!(sent, Err(SendError::Entropy));
        FAILS.store(false, Ordering::Relaxed);
        // The peer's window does not have it, so nothing refers to it.
        match parts {
            true => ws.send_binary_part(&data, Fin::Last),
            false => ws.send_binary(&data),
        }
        .unwrap();
        let opened = messages(&mut oracle, &written(&mut ws));
        assert_eq!(opened[0], (true, said.into_bytes()));
        assert_eq!(
            opened[1].1.len(),
            if parts { 5 + data.len() } else { data.len() }
        );
        assert!(opened[1].0);
        assert!(opened[1].1.ends_with(&data));
    }
}

#[test]
fn levels() {
    let said = prose(8, 20_000);
    let sizes: Vec<_> = [1, 6, 9]
        .into_iter()
        .map(|level| {
            let mut ws = sender(Role::Server, no_takeover(), eager().level(level));
            ws.send_text(&said).unwrap();
            let frames = written(&mut ws);
            assert!(messages(&mut Oracle::default(), &frames) == [(true, said.clone().into())]);
            frames[0].payload.len()
        })
        .collect();
    assert!(sizes[0] > sizes[1] && sizes[1] >= sizes[2], "{sizes:?}");
}

#[test]
fn a_mark_in_the_queue_is_kept_by_pongs_that_overtake() {
    // R177: a pong that overtakes goes between whole frames, compressed ones included.
    for role in ROLES {
        let config = Config::default().high_water_mark(10).deflate(eager());
        let mut ws = open_with(role, plain(), config);
        let said = prose(6, 5000);
        ws.send_text(&said).unwrap();
        ws.send_text(&said).unwrap();
        let mut bytes = ws.output()[..5].to_vec();
        ws.sent(5);
        feed(&mut ws, &frame(peer(role), FIN | PING, b"now"));
        bytes.extend(drain(&mut ws));
        let frames = parse(role, &bytes);
        assert_eq!(frames[1], wrote(FIN | PONG, b"now"));
        assert_eq!(messages(&mut Oracle::default(), &frames).len(), 2);
    }
}

#[test]
fn levels_beyond_the_range_are_the_nearest() {
    let said = prose(3, 4000);
    let sent = |level| {
        let mut ws = sender(Role::Server, no_takeover(), eager().level(level));
        ws.send_text(&said).unwrap();
        drain(&mut ws)
    };
    assert_eq!(sent(0), sent(1));
    assert_eq!(sent(10), sent(9));
    assert_ne!(sent(1), sent(9));
}

/// What was said stays in the codecs, and is not shown with them.
#[test]
fn configuration_is_shown_without_what_was_sent() {
    for deflate in [DeflateConfig::new(), DeflateConfig::default()] {
        let mut ws = sender(Role::Server, no_takeover(), deflate.clone().threshold(0));
        ws.send_text("a secret, a secret, a secret").unwrap();
        assert_eq!(written(&mut ws)[0].first, FIN | RSV1 | TEXT);
        let mut hello = frame(Role::Client, FIN | RSV1 | TEXT, HELLO);
        assert!(ws.receive(&mut &mut hello[..]).is_some());
        let shown = format!("{deflate:?}");
        assert!(
            shown.contains("Deflater") && shown.contains("Inflater"),
            "{shown}"
        );
        assert!(!shown.contains("secret"));
    }
}

/// RFC 7692 §6: a relay passes frames on as they are.
#[test]
fn frames_are_not_inflated() {
    for role in ROLES {
        let config = Config::default()
            .deflate(eager())
            .delivery(Delivery::Frames);
        let mut ws = open_with(role, plain(), config);
        let mut bytes = frame(peer(role), FIN | RSV1 | TEXT, HELLO);
        let mut input = &mut bytes[..];
        let Some(Event::FrameHeader(header)) = ws.receive(&mut input) else {
            panic!("no header");
        };
        assert!(header.rsv1 && header.fin);
        assert_eq!(
            ws.receive(&mut input),
            Some(Event::FramePayload(HELLO.into()))
        );
    }
}

fn continuation(fin: bool, payload_len: u64) -> Header {
    Header {
        fin,
        rsv1: false,
        opcode: Opcode::Continuation,
        mask: None,
        payload_len,
    }
}

/// A frame of the caller's own that ends a compressed message, or goes on with it, or begins it: what
/// follows refers to nothing before it, with takeover or without.
#[test]
fn r345_r395_t70_frames_of_the_caller_in_compressed_messages() {
    let said = prose(1, 400);
    for role in ROLES {
        for agreed in [plain(), no_takeover()] {
            let mut ws = sender(role, agreed, eager());
            let mut receiver = open_eager(peer(role), agreed);
            let mut oracle = Oracle::default();
            // What its bytes inflate to (RFC 7692 §7.2.3.1), and a flush behind it.
            let own = [HELLO, &[0, 0, 0xff, 0xff]].concat();
            let own_len = u64::try_from(own.len()).unwrap();
            for (begins, goes_on, ends) in [
                (false, false, true),
                (false, true, false),
                (false, true, true),
                (true, false, false),
                (true, true, false),
                (true, false, true),
            ] {
                let mut message = String::new();
                // Something to refer to.
                ws.send_text(&said).unwrap();
                if begins {
                    ws.send_frame_header(&Header {
                        rsv1: true,
                        opcode: Opcode::Text,
                        ..continuation(false, own_len)
                    })
                    .unwrap();
                    ws.send_frame_payload(&own).unwrap();
                    message.push_str("Hello");
                } else {
                    ws.send_text_part(&said, Fin::More).unwrap();
                    message.push_str(&said);
                }
                if goes_on {
                    ws.send_frame_header(&continuation(false, own_len)).unwrap();
                    ws.send_frame_payload(&own).unwrap();
                    message.push_str("Hello");
                }
                ws.send_text_part(&said, Fin::More).unwrap();
                message.push_str(&said);
                if ends {
                    ws.send_frame_header(&continuation(true, 1)).unwrap();
                    ws.send_frame_payload(&[0]).unwrap(); // an empty block
                } else {
                    ws.send_text_part(&said, Fin::Last).unwrap();
                    message.push_str(&said);
                }
                ws.send_text(&said).unwrap();
                ws.send_text(&said).unwrap();
                let wire = drain(&mut ws);
                let events = feed(&mut receiver, &wire);
                assert_eq!(
                    events,
                    [text(&said), text(&message), text(&said), text(&said)]
                );
                let frames = parse(role, &wire);
                let [.., first, second] = &frames[..] else {
                    panic!("{} frames", frames.len());
                };
                let refers = second.payload.len() < 20;
                assert_eq!(refers, agreed == plain());
                assert!(refers || first == second);
                if agreed == plain() {
                    let opened = messages(&mut oracle, &frames);
                    assert!(opened.iter().all(|(compressed, _)| *compressed));
                }
            }
        }
    }
    // A message of the caller's own that is not compressed changes nothing.
    let mut ws = sender(Role::Server, plain(), eager());
    ws.send_text(&said).unwrap();
    ws.send_frame_header(&Header {
        opcode: Opcode::Text,
        ..continuation(true, 1)
    })
    .unwrap();
    ws.send_frame_payload(b"x").unwrap();
    ws.send_text(&said).unwrap();
    assert!(written(&mut ws)[2].payload.len() < 20);
}

/// A compressed message that a frame ended leaves the next one as it begins: compressed or not.
#[test]
fn parts_after_a_message_that_a_frame_ended() {
    for role in ROLES {
        let mut ws = sender(role, plain(), eager());
        ws.send_text_part("Hello", Fin::More).unwrap();
        ws.send_frame_header(&continuation(true, 1)).unwrap();
        ws.send_frame_payload(&[0]).unwrap(); // an empty block
        drain(&mut ws);
        ws.set_compression(Compression::Never);
        ws.send_text_part("Hel", Fin::More).unwrap();
        ws.send_text_part("lo", Fin::Last).unwrap();
        assert_eq!(
            written(&mut ws),
            [wrote(TEXT, "Hel"), wrote(FIN | CONTINUATION, "lo")]
        );
    }
}
