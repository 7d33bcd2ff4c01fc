//! What compression costs in memory and work (RFC 6455 §10.4, RFC 7692 §7.2): T45, T50.
#![cfg(feature = "deflate")]

mod common;
mod counting;
mod deflate_support;

use core::time::Duration;

use common::*;
use counting::measured;
use deflate_support::*;
use sockless::deflate::Parameters;
use sockless::frame::{Header, Opcode};
use sockless::{Config, Connection, DeflateConfig, Delivery, Error, Event, Fin, Role};

fn exchange(from: &mut Connection, to: &mut Connection, message: &str) {
    from.send_text(message).unwrap();
    let mut bytes = drain(from);
    let mut input = &mut bytes[..];
    assert!(matches!(to.receive(&mut input), Some(Event::Text(text)) if text == message));
}

/// Opens a server and lets it exchange messages with a client, which is not counted; the heap that it
/// holds when it is idle.
fn idle(agreed: Parameters, deflate: &DeflateConfig, messages: u64) -> isize {
    let said: Vec<_> = (0..messages).map(|seed| prose(seed, 4096)).collect();
    let config = Config::default().deflate(deflate.clone());
    let run = |client: &mut Connection| {
        let mut server = open_with(Role::Server, agreed, config.clone());
        for text in &said {
            exchange(client, &mut server, text);
            exchange(&mut server, client, text);
        }
        // A second in which nothing happens: it is idle.
        let _ = server.tick(Duration::ZERO);
        assert_eq!(server.tick(Duration::from_secs(1)), None);
        server
    };
    // The first fills the pool: codecs in there are nobody's.
    run(&mut open_eager(Role::Client, agreed));
    let mut client = open_eager(Role::Client, agreed);
    let (server, both) = measured(|| run(&mut client));
    let ((), freed) = measured(|| drop(server));
    assert!(both.held >= -freed.held);
    -freed.held
}

#[test]
fn t45_idle_connections_hold_no_codec() {
    let held = idle(no_takeover(), &DeflateConfig::new(), 10);
    assert!((0..1024).contains(&held), "{held} bytes");
    // Not even where takeover is configured but not agreed on.
    let held = idle(no_takeover(), &eager(), 10);
    assert!((0..1024).contains(&held), "{held} bytes");
}

#[test]
fn t46_takeover_costs_what_the_documentation_says() {
    for (bits, sent_kib, received) in [(15, 296, 32 << 10), (12, 159, 4 << 10), (9, 136, 512)] {
        let (mut sends, mut receives) = (windows(bits), windows(bits));
        sends.client_no_context_takeover = true;
        receives.server_no_context_takeover = true;
        let held = idle(sends, &eager(), 12);
        let documented = sent_kib * 1024;
        assert!(
            (documented - 1024..=documented).contains(&held),
            "{bits}: {held} bytes"
        );
        let held = idle(receives, &eager(), 12);
        assert!(
            (received..received + 1024).contains(&held),
            "{bits}: {held} bytes"
        );
        // It grows with what is received.
        let little = idle(receives, &eager(), 0);
        assert!(little < 1024, "{bits}: {little} bytes");
    }
}

#[test]
fn t45_a_bomb_costs_no_more_than_the_limit() {
    let bomb = compressed(&vec![0; 16 << 20]);
    for agreed in [plain(), no_takeover()] {
        let limit = 1 << 20;
        let config = Config::default().max_message_size(1 << 20).deflate(eager());
        let mut ws = open_with(Role::Server, agreed, config);
        let mut wire = frame(Role::Client, FIN | RSV1 | BINARY, &bomb);
        let ((), total) = measured(|| {
            let event = ws.receive(&mut &mut wire[..]);
            assert_eq!(event, Some(Event::Fail(Error::MessageTooLarge)));
        });
        assert!(total.peak <= limit / 2 * 3, "{total:?}");
        assert!(total.held < 1024, "{total:?}");
    }
}

/// R394: a message that is almost as large as it may be and does not end, however its bytes come.
#[test]
fn r394_t69_an_unfinished_message_holds_the_limit_at_most() {
    for limit in [1_usize << 20, (5 << 20) + 12_345, 16 << 20] {
        for (data, opcode) in [
            (vec![0; limit - 1], BINARY),
            ("€ 1234567"[..9].repeat(limit / 9).into_bytes(), TEXT),
        ] {
            let payload = compressed(&data);
            for agreed in [plain(), no_takeover()] {
                for read in [payload.len(), 100] {
                    let config = Config::default().max_message_size(limit).deflate(eager());
                    let mut ws = open_with(Role::Server, agreed, config);
                    let mut wire = frame(Role::Client, RSV1 | opcode, &payload);
                    let ((), total) = measured(|| {
                        for piece in wire.chunks_mut(read) {
                            let mut input = piece;
                            assert_eq!(ws.receive(&mut input), None);
                        }
                    });
                    let limit = isize::try_from(limit).unwrap();
                    assert!(total.held > limit / 2, "{limit}: {total:?}");
                    assert!(total.held <= limit + (64 << 10), "{limit}: {total:?}");
                    assert!(total.peak <= limit / 2 * 3, "{limit}: {total:?}");
                    // Little by little, behind a large one.
                    let mut end = frame(Role::Client, FIN, b"");
                    assert!(ws.receive(&mut &mut end[..]).is_some());
                    let mut little = frame(Role::Client, RSV1 | BINARY, HELLO);
                    let ((), total) = measured(|| {
                        assert_eq!(ws.receive(&mut &mut little[..]), None);
                    });
                    assert!(total.held <= 1024, "{total:?}");
                }
            }
        }
    }
}

fn compressed(data: &[u8]) -> Vec<u8> {
    let config = Config::default().deflate(eager().level(9));
    let mut ws = open_with(Role::Server, no_takeover(), config);
    ws.send_binary(data).unwrap();
    parse(Role::Server, &drain(&mut ws)).remove(0).payload
}

#[test]
fn t45_parts_take_constant_memory() {
    let payload = compressed(&vec![0; 12 << 20]);
    for agreed in [plain(), no_takeover()] {
        let config = Config::default().delivery(Delivery::Parts).deflate(eager());
        let mut ws = open_with(Role::Server, agreed, config);
        let mut wire = frame(Role::Client, FIN | RSV1 | BINARY, &payload);
        let (inflated, total) = measured(|| {
            let mut inflated = 0;
            let mut input = &mut wire[..];
            while let Some(event) = ws.receive(&mut input) {
                match event {
                    Event::BinaryPart { data, .. } => inflated += data.len(),
                    other => panic!("{other:?}"),
                }
            }
            inflated
        });
        assert_eq!(inflated, 12 << 20);
        assert!(total.peak < 128 << 10, "{total:?}");
    }
}

/// R340, R390: final blocks cost more than others do, and are valid in any number.
#[test]
fn t45_final_blocks_without_end() {
    let window = noise(1, 40_000);
    let start = frame(
        Role::Client,
        FIN | RSV1 | BINARY,
        &compressed_stored(&window),
    );
    let block = |size| stored(&noise(2, size));
    for (member, times, size) in [
        // Nothing but final blocks; a short block and a final one, a long one and a final one; and one
        // that reaches back for 3 bytes, as far as 32 KiB.
        (b"\x03\x00".to_vec(), 4 << 20, 0),
        ([&block(10)[..], b"\x03\x00"].concat(), 400_000, 10),
        ([&block(1000)[..], b"\x03\x00"].concat(), 4000, 1000),
        (b"\x03\xde\xff\x0f\x00".to_vec(), 400_000, 3),
    ] {
        let config = Config::default().deflate(eager());
        let mut ws = open_with(Role::Server, plain(), config);
        let message = frame(Role::Client, FIN | RSV1 | BINARY, &member.repeat(times));
        let events = feed(&mut ws, &[&start[..], &message].concat());
        assert_eq!(events.len(), 2);
        match &events[1] {
            Event::Binary(data) => assert_eq!(data.len(), times * size),
            other => panic!("{other:?}"),
        }
    }
}

fn stored(data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), data].concat()
}

fn compressed_stored(data: &[u8]) -> Vec<u8> {
    [&stored(data)[..], b"\x00"].concat()
}

/// R396: what compresses goes with the Close that ends all sending, whoever began to close; what inflates
/// with the Close that ends all receiving.
#[test]
fn r396_t72_codecs_go_with_the_connection() {
    let said = prose(1, 4096);
    let close = frame(Role::Client, FIN | CLOSE, b"");
    let broken = frame(Role::Client, FIN | 3, b"");
    let mut begun = header(Role::Client, FIN | RSV1 | BINARY, 100);
    begun.extend(b"123");
    type End<'a> = &'a dyn Fn(&mut Connection);
    let ends: [(&str, End<'_>, isize); 6] = [
        ("its own Close", &|ws| ws.close_without_code().unwrap(), 34),
        ("the peer's Close", &|ws| drop(feed(ws, &close)), 1),
        ("a failure", &|ws| drop(feed(ws, &broken)), 1),
        ("the end of the stream", &|ws| drop(ws.end_of_stream()), 1),
        (
            "a Close in pieces",
            &|ws| {
                ws.send_frame_header(&Header {
                    fin: true,
                    rsv1: false,
                    opcode: Opcode::Close,
                    mask: None,
                    payload_len: 2,
                })
                .unwrap();
                ws.send_frame_payload(&[3, 232]).unwrap();
            },
            34,
        ),
        (
            "an end in the middle of messages",
            &|ws| {
                ws.send_text_part("part", Fin::More).unwrap();
                feed(ws, &begun);
                ws.end_of_stream();
            },
            1,
        ),
    ];
    for (name, end, left) in ends {
        let mut client = open_eager(Role::Client, plain());
        let config = Config::default().deflate(eager());
        // The codecs that wait are nobody's.
        let mut other = open_with(Role::Server, plain(), config.clone());
        exchange(&mut client, &mut other, &said);
        let mut client = open_eager(Role::Client, plain());
        let ((), total) = measured(|| {
            let mut ws = open_with(Role::Server, plain(), config.clone());
            for _ in 0..10 {
                exchange(&mut client, &mut ws, &said);
                exchange(&mut ws, &mut client, &said);
            }
            let ((), freed) = measured(|| end(&mut ws));
            assert!(freed.held < -(290 << 10), "{name}: {freed:?}");
            let ((), rest) = measured(|| drop(ws));
            assert!(-rest.held <= left << 10, "{name}: {rest:?}");
        });
        assert!(total.peak > 300 << 10);
    }
}

/// T50: what was left half done is not found by the next.
#[test]
fn t50_connections_dropped_in_mid_message() {
    let config = Config::default().deflate(DeflateConfig::new());
    let said = prose(5, 3000);
    let payload = compressed(said.as_bytes());
    for cut in (0..payload.len()).step_by(7) {
        let mut dropped = open_with(Role::Server, no_takeover(), config.clone());
        feed(
            &mut dropped,
            &frame(Role::Client, RSV1 | TEXT, &payload[..cut]),
        );
        let _ = dropped.send_text_part(&said, Fin::More);
        drop(dropped);
        let mut ws = open_with(Role::Server, no_takeover(), config.clone());
        let wire = frame(Role::Client, FIN | RSV1 | TEXT, &payload);
        assert_eq!(feed(&mut ws, &wire), [text(&said)]);
        ws.send_text(&said).unwrap();
        let frames = parse(Role::Server, &drain(&mut ws));
        let opened = messages(&mut Oracle::default(), &frames);
        assert!(opened == [(true, said.clone().into_bytes())]);
    }
}

/// As many messages as there are connections are under way at once; afterwards 16 codecs of a kind wait.
#[test]
fn t45_codecs_that_wait_are_few() {
    let payload = compressed(prose(5, 3000).as_bytes());
    let (first, rest) = payload.split_at(20);
    let kept = |connections: usize| {
        let config = Config::default().deflate(DeflateConfig::new());
        let open = || open_with(Role::Server, no_takeover(), config.clone());
        let ((), total) = measured(|| {
            let mut all: Vec<_> = (0..connections).map(|_| open()).collect();
            for ws in &mut all {
                assert_eq!(feed(ws, &frame(Role::Client, RSV1 | TEXT, first)), []);
            }
            for ws in &mut all {
                assert_eq!(feed(ws, &frame(Role::Client, FIN, rest)).len(), 1);
            }
        });
        total.held
    };
    let (one, most) = (kept(1), kept(16));
    assert!(one > 16 << 10 && most > 15 * one, "{one} {most}");
    for more in [17, 40] {
        let held = kept(more);
        assert!(
            (most..most + one).contains(&held),
            "{more}: {held} of {most}"
        );
    }
}
