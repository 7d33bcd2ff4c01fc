//! What compression costs in memory and work (RFC 6455 §10.4, RFC 7692 §7.2): T45, T50.
#![cfg(feature = "deflate")]
#![allow(unsafe_code, reason = "an allocator that counts is unsafe to write")]

mod common;
mod deflate_support;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::time::Duration;
use std::alloc::System;

use common::*;
use deflate_support::*;
use sockless::deflate::Parameters;
use sockless::{Config, Connection, DeflateConfig, Delivery, Error, Event, Role};

/// The system's allocator; each thread, and so each test, counts its own.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // At a thread's end its counters may be gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller's promise, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller's promise, unchanged.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many bytes more are held behind `run` than before, and at the worst moment.
fn measured<T>(run: impl FnOnce() -> T) -> (T, isize, isize) {
    let held = HELD.get();
    PEAK.set(held);
    let result = run();
    (result, HELD.get() - held, PEAK.get() - held)
}

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
        // Two turns of the loop in which nothing is written: it is idle.
        for _ in 0..2 {
            let _ = server.tick(Duration::ZERO);
        }
        server
    };
    // The first fills the pool: codecs in there are nobody's.
    run(&mut open_eager(Role::Client, agreed));
    let mut client = open_eager(Role::Client, agreed);
    let (server, both, _) = measured(|| run(&mut client));
    let (_, servers, _) = measured(|| drop(server));
    assert!(both >= -servers);
    -servers
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
    for (bits, sent_kib, received) in [(15, 288, 32 << 10), (12, 155, 4 << 10), (9, 136, 512)] {
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
        let config = Config::default().max_message_size(limit).deflate(eager());
        let mut ws = open_with(Role::Server, agreed, config);
        let mut wire = frame(Role::Client, FIN | RSV1 | BINARY, &bomb);
        let ((), held, peak) = measured(|| {
            let event = ws.receive(&mut &mut wire[..]);
            assert_eq!(event, Some(Event::Fail(Error::MessageTooLarge)));
        });
        // What is gathered may double as it grows.
        let limit = isize::try_from(limit).unwrap();
        assert!(peak < limit * 3 + (256 << 10), "{peak}");
        assert!(held < 1024, "{held}");
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
        let (total, _, peak) = measured(|| {
            let mut total = 0;
            let mut input = &mut wire[..];
            while let Some(event) = ws.receive(&mut input) {
                match event {
                    Event::BinaryPart { data, .. } => total += data.len(),
                    other => panic!("{other:?}"),
                }
            }
            total
        });
        assert_eq!(total, 12 << 20);
        assert!(peak < 160 << 10, "{peak}");
    }
}

/// R340: final blocks cost more than others do, so there may not be any number of them.
#[test]
fn t45_final_blocks_without_end() {
    let window = noise(1, 40_000);
    let mut frames = frame(
        Role::Client,
        FIN | RSV1 | BINARY,
        &compressed_stored(&window),
    );
    for (size, fits) in [(10, false), (1000, true)] {
        // A stored block, then an empty final one.
        let block = stored(&noise(2, size));
        let member = [&block[..], b"\x03\x00"].concat();
        let payload = member.repeat(4 << 20 >> size.ilog2());
        let config = Config::default().deflate(eager());
        let mut ws = open_with(Role::Server, plain(), config);
        let start = frames.len();
        frames.extend(frame(Role::Client, FIN | RSV1 | BINARY, &payload));
        let events = feed(&mut ws, &frames);
        assert_eq!(events.len(), 2);
        match &events[1] {
            Event::Binary(data) => assert!(fits && data.len() > 1 << 20),
            other => assert!(!fits && *other == Event::Fail(Error::InvalidDeflate)),
        }
        frames.truncate(start);
    }
}

fn stored(data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap();
    [&[0], &len.to_le_bytes()[..], &(!len).to_le_bytes(), data].concat()
}

fn compressed_stored(data: &[u8]) -> Vec<u8> {
    [&stored(data)[..], b"\x00"].concat()
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
        let _ = dropped.send_text_part(&said, sockless::Fin::More);
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
        let ((), held, _) = measured(|| {
            let mut all: Vec<_> = (0..connections).map(|_| open()).collect();
            for ws in &mut all {
                assert_eq!(feed(ws, &frame(Role::Client, RSV1 | TEXT, first)), []);
            }
            for ws in &mut all {
                assert_eq!(feed(ws, &frame(Role::Client, FIN, rest)).len(), 1);
            }
        });
        held
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
