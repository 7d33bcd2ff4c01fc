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
        ws.send_text("Hello").unwrap();
        ws.send_text("Hello").unwrap();
        assert_eq!(
            written(&mut ws),
            [
                wrote(FIN | RSV1 | TEXT, HELLO),
                wrote(FIN | RSV1 | TEXT, HELLO_AGAIN)
            ]
        );
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
            ws.send_text("").unwrap();
            ws.send_text("Hello").unwrap();
            ws.send_binary(b"").unwrap();
            ws.send_text("Hello").unwrap();
            let frames = written(&mut ws);
            // Without takeover nothing obliges to compress what gets no shorter.
            let (first, empty): (u8, &[u8]) = match agreed.server_no_context_takeover {
                true => (FIN, b""),
                false => (FIN | RSV1, b"\x00"),
            };
            assert_eq!(frames[0], wrote(first | TEXT, empty));
            assert_eq!(frames[2], wrote(first | BINARY, empty));
            let messages = messages(&mut Oracle::default(), &frames);
            assert_eq!(messages[1].1, b"Hello");
            assert_eq!(messages[3].1, b"Hello");
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
                    vec![b""],
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
                        ws.send_binary(message).unwrap();
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
        ws.send_text(&"Hello".repeat(100)).unwrap();
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
        for threshold in [0, 1, 64, 1000] {
            let mut ws = sender(role, plain(), eager().threshold(threshold));
            for len in [threshold, threshold.wrapping_sub(1)] {
                if len > 1000 {
                    continue;
                }
                ws.send_binary(&vec![0; len]).unwrap();
                let frames = written(&mut ws);
                assert_eq!(frames[0].first & RSV1 != 0, len >= threshold);
            }
        }
    }
}

#[test]
fn r349_a_message_can_be_left_uncompressed() {
    let secret = "secret ".repeat(50);
    for role in ROLES {
        let mut ws = sender(role, plain(), eager());
        ws.send_text("Hello").unwrap();
        ws.set_compression(Compression::Never);
        ws.send_text(&secret).unwrap();
        ws.send_text_part(&secret, Fin::More).unwrap();
        // What has begun goes on as it was.
        ws.set_compression(Compression::Automatic);
        ws.send_text_part(&secret, Fin::Last).unwrap();
        ws.send_text_part("Hel", Fin::More).unwrap();
        ws.set_compression(Compression::Never);
        ws.send_text_part("lo", Fin::Last).unwrap();
        ws.set_compression(Compression::Automatic);
        ws.send_text("Hello").unwrap();
        let frames = written(&mut ws);
        assert_eq!(frames[1], wrote(FIN | TEXT, &secret));
        assert_eq!(frames[2], wrote(TEXT, &secret));
        assert_eq!(frames[3], wrote(FIN, &secret));
        // R334: the window knows nothing of it.
        let messages = messages(&mut Oracle::default(), &frames);
        let compressed: Vec<_> = messages.iter().filter(|message| message.0).collect();
        assert_eq!(compressed, [&(true, b"Hello".to_vec()); 3]);
        assert!(frames[6].payload.len() <= HELLO_AGAIN.len());
    }
}

#[test]
fn r346_what_was_fed_with_takeover_is_sent_compressed() {
    let data = noise(9, 5000);
    for role in ROLES {
        let mut ws = sender(role, plain(), eager());
        ws.send_binary(&data).unwrap();
        ws.send_binary(&data).unwrap();
        let frames = written(&mut ws);
        assert!(frames[0].first & RSV1 != 0 && frames[0].payload.len() > data.len());
        assert!(frames[1].first & RSV1 != 0 && frames[1].payload.len() < 200);
        let opened = messages(&mut Oracle::default(), &frames);
        assert!(opened.iter().all(|message| message.1 == data));
        // Without takeover nobody refers to it, so it goes as it is.
        let mut ws = sender(role, no_takeover(), eager());
        ws.send_binary(&data).unwrap();
        assert!(written(&mut ws) == [wrote(FIN | BINARY, &data)]);
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
    let data = noise(3, 1000);
    for parts in [false, true] {
        let config = Config::default().fragment_size(10).deflate(eager());
        let mut ws =
            Connection::upgraded_with(Role::Client, Some(plain()), config.entropy(failing));
        let mut oracle = Oracle::default();
        ws.send_text("Hello").unwrap();
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
        assert_eq!(opened[0].1, b"Hello");
        assert_eq!(opened[1].1.len(), if parts { 1005 } else { 1000 });
        assert!(opened[1].1.ends_with(&data));
    }
}

/// A prepared message is shared as it is: that is legal on any connection.
#[test]
fn r334_prepared_messages() {
    let message = Prepared::text("for everyone ".repeat(100));
    let mut ws = sender(Role::Server, plain(), eager());
    ws.send_prepared(&message).unwrap();
    assert!(written(&mut ws) == [wrote(FIN | TEXT, message.payload())]);
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

/// A compressed message that a frame ended leaves the next one as it begins: compressed or not.
#[test]
fn parts_after_a_message_that_a_frame_ended() {
    for role in ROLES {
        let mut ws = sender(role, plain(), eager());
        ws.send_text_part("Hello", Fin::More).unwrap();
        ws.send_frame_header(&Header {
            fin: true,
            rsv1: false,
            opcode: Opcode::Continuation,
            mask: None,
            payload_len: 1,
        })
        .unwrap();
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
