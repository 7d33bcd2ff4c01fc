//! Prepared messages on connections that compress (RFC 7692 §6.1): R398.
#![cfg(feature = "deflate")]

mod common;
mod counting;
mod deflate_support;

use std::sync::Barrier;
use std::thread;

use common::*;
use counting::measured;
use deflate_support::*;
use sockless::{Compression, Config, Connection, DeflateConfig, Event, Prepared, Role};

/// Where the payload stands that a server has to write.
fn payload_address(ws: &Connection) -> usize {
    let runs: Vec<_> = ws.outputs().collect();
    assert_eq!(runs.len(), 2, "a header, and what is shared");
    runs[1].as_ptr().addr()
}

fn members(count: usize, config: &Config) -> Vec<Connection> {
    let open = || open_with(Role::Server, no_takeover(), config.clone());
    (0..count).map(|_| open()).collect()
}

#[test]
fn r398_t71_compressed_once_for_all() {
    let said = prose(1, 20_000);
    let message = Prepared::text(said.clone());
    let deflate = DeflateConfig::new();
    let config = Config::default().deflate(deflate.clone());
    let mut all = members(64, &config);
    for ws in &mut all {
        ws.send_prepared(&message.clone()).unwrap();
    }
    let first = payload_address(&all[0]);
    assert!(all.iter().all(|ws| payload_address(ws) == first));
    for ws in &mut all {
        let frames = parse(Role::Server, &drain(ws));
        assert_eq!(frames.len(), 1);
        assert!(frames[0].payload.len() < said.len() / 3);
        let opened = messages(&mut Oracle::default(), &frames);
        assert_eq!(opened, [(true, said.clone().into_bytes())]);
    }
    // The next one has a form of its own, also if it says the same.
    let other = Prepared::text(said);
    all[0].send_prepared(&other).unwrap();
    all[1].send_prepared(&message).unwrap();
    assert_eq!(payload_address(&all[1]), first);
    assert_ne!(payload_address(&all[0]), first);
}

/// All at the same time: one of them compresses, and the others have what it made.
#[test]
fn r398_compressed_once_by_many_threads() {
    const THREADS: usize = 8;
    for round in 0..20 {
        let deflate = DeflateConfig::new();
        let config = Config::default().deflate(deflate.clone());
        let message = Prepared::binary(prose(round, 50_000));
        let start = Barrier::new(THREADS);
        let mut all = members(THREADS, &config);
        thread::scope(|scope| {
            for ws in &mut all {
                let (start, message) = (&start, message.clone());
                scope.spawn(move || {
                    start.wait();
                    ws.send_prepared(&message).unwrap();
                });
            }
        });
        let first = payload_address(&all[0]);
        assert!(all.iter().all(|ws| payload_address(ws) == first));
        // As many codecs wait in the pool as were ever in use at once.
        assert_eq!(format!("{deflate:?}").matches("Deflater").count(), 1);
    }
}

/// What was agreed on and what is configured say which form it is.
#[test]
fn r398_a_form_for_each_window_and_level() {
    let data = noise(1, 3000).repeat(4);
    let message = Prepared::binary(data.clone());
    let mut addresses = Vec::new();
    for (bits, level) in [(15, 6), (10, 6), (12, 6), (15, 9), (10, 6), (15, 6)] {
        let mut agreed = windows(bits);
        agreed.server_no_context_takeover = true;
        let config = Config::default().deflate(eager().level(level));
        let mut ws = open_with(Role::Server, agreed, config);
        ws.send_prepared(&message).unwrap();
        addresses.push((bits, level, payload_address(&ws)));
        let mut oracle = Oracle::default();
        let opened = messages(&mut oracle, &parse(Role::Server, &drain(&mut ws)));
        assert_eq!(opened[0].1, data);
        assert!(oracle.furthest <= 1 << bits, "{bits}: {}", oracle.furthest);
    }
    assert_eq!(addresses[0], addresses[5]);
    // With 10 bits nothing of it repeats within the window: it is sent as it is.
    assert_eq!(addresses[1], addresses[4]);
    assert_eq!(addresses[1].2, message.payload().as_ptr().addr());
    let mut distinct: Vec<_> = addresses.iter().map(|(_, _, address)| address).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn r349_r398_settings_of_each_connection() {
    let said = prose(1, 2000);
    let message = Prepared::text(said.clone());
    for role in ROLES {
        for agreed in [plain(), no_takeover()] {
            let open = |config: Config| open_with(role, agreed, config);
            let deflate = DeflateConfig::new();
            let config = Config::default().deflate(deflate.clone());
            let sent = |ws: &mut Connection| {
                ws.send_prepared(&message).unwrap();
                parse(role, &drain(ws))
            };
            let as_it_is = [wrote(FIN | TEXT, &said)];
            // R349: never.
            let mut ws = open(config.clone());
            ws.set_compression(Compression::Never);
            assert_eq!(sent(&mut ws), as_it_is);
            ws.set_compression(Compression::Automatic);
            assert_eq!(sent(&mut ws)[0].first, FIN | RSV1 | TEXT);
            // The threshold.
            for (threshold, is_compressed) in [(said.len(), true), (said.len() + 1, false)] {
                let deflate = deflate.clone().threshold(threshold);
                let mut ws = open(Config::default().deflate(deflate));
                assert_eq!(sent(&mut ws) != as_it_is, is_compressed);
            }
            // Fragments, which are those of the compressed form.
            for size in [100, 1000, 5000] {
                let mut ws = open(config.clone().fragment_size(size));
                let frames = sent(&mut ws);
                let whole = sent(&mut open(config.clone())).remove(0).payload;
                assert_eq!(frames.len(), whole.len().div_ceil(size));
                assert!(frames.iter().all(|frame| frame.payload.len() <= size));
                assert_eq!(
                    messages(&mut Oracle::default(), &frames),
                    [(true, said.clone().into_bytes())]
                );
            }
            // What gets no shorter.
            let incompressible = Prepared::binary(noise(1, 2000));
            let mut ws = open(config.clone());
            ws.send_prepared(&incompressible).unwrap();
            ws.send_prepared(&incompressible).unwrap();
            let expected = wrote(FIN | BINARY, incompressible.payload());
            assert_eq!(parse(role, &drain(&mut ws)), [expected.clone(), expected]);
        }
    }
}

/// A client's frames have a mask of their own each, over the same form.
#[test]
fn r398_clients_mask_a_copy() {
    let message = Prepared::text(prose(1, 2000));
    let config = Config::default().deflate(DeflateConfig::new());
    let mut ws = open_with(Role::Client, no_takeover(), config);
    ws.send_prepared(&message).unwrap();
    ws.send_prepared(&message).unwrap();
    let bytes = drain(&mut ws);
    let (a, b) = bytes.split_at(bytes.len() / 2);
    assert_ne!(a, b);
    let frames = parse(Role::Client, &bytes);
    assert_eq!(frames[0], frames[1]);
    let mut server = open_eager(Role::Server, no_takeover());
    let events = feed(&mut server, &bytes);
    assert_eq!(events[0], text(&prose(1, 2000)));
    assert_eq!(events[0], events[1]);
}

/// With takeover each connection compresses for itself: it refers to what that peer has.
#[test]
fn r398_connections_with_takeover_refer_to_what_they_sent() {
    let message = Prepared::text(prose(1, 2000));
    for role in ROLES {
        let mut ws = open_eager(role, plain());
        let mut receiver = open_eager(peer(role), plain());
        for round in 0..3 {
            ws.send_prepared(&message).unwrap();
            let bytes = drain(&mut ws);
            assert!(round == 0 || bytes.len() < 40, "{}", bytes.len());
            let events = feed(&mut receiver, &bytes);
            assert!(
                matches!(&events[..], [Event::Text(text)] if text.as_bytes() == message.payload())
            );
            ws.send_text("and something else").unwrap();
            feed(&mut receiver, &drain(&mut ws));
        }
    }
}

/// The form lives as long as the message, or as long as it takes to be written.
#[test]
fn r398_memory_of_the_form() {
    let deflate = DeflateConfig::new();
    let config = Config::default().deflate(deflate.clone());
    let mut all = members(64, &config);
    // The compressor that waits is nobody's.
    all[0].send_text(prose(2, 2000)).unwrap();
    let (message, ready) = measured(|| Prepared::text(prose(1, 20_000)));
    let ((), total) = measured(|| {
        for ws in &mut all {
            ws.send_prepared(&message).unwrap();
        }
    });
    // Each has a header in its buffer, and one payload is shared.
    let each = 64 * (128 + 256);
    assert!(total.held < 8000 + each, "{total:?}");
    let ((), freed) = measured(|| {
        drop(message);
        for ws in &mut all {
            drain(ws);
        }
        drop(all);
    });
    assert!(freed.held <= -(total.held + ready.held), "{freed:?}");
}
