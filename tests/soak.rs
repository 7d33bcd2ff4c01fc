//! Long lives: millions of messages between two connections, gigabytes in parts, thousands of receivers;
//! memory stays flat.
//!
//! `cargo test` runs a short version. For the long one, in release:
//! `SOCKLESS_SOAK=10000000 cargo test --release --test soak -- --nocapture`.

mod common;
mod counting;

use std::time::Duration;

use common::*;
use counting::measured;
use sockless::{
    CloseCode, Config, Connection, Delivery, Event, Fin, Input, Next, PongMode, Prepared, Role,
    State,
};

fn messages() -> u64 {
    let asked = std::env::var("SOCKLESS_SOAK")
        .ok()
        .and_then(|n| n.parse().ok());
    asked.unwrap_or(20_000)
}

/// What one end has sent and received.
#[derive(Default)]
struct Tally {
    sent: u64,
    received: u64,
    closed: bool,
    /// The message that arrives in parts.
    part: Vec<u8>,
}

/// A message that says which one it is, of a size that differs.
fn fill(number: u64, buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend(number.to_be_bytes());
    let len = match number % 1000 {
        0 => 70_000,
        n @ 1..=20 => 1000 + usize::try_from(n).unwrap() * 37,
        n => usize::try_from(n % 130).unwrap(),
    };
    buffer.resize(8 + len, number.to_be_bytes()[7]);
}

fn send(ws: &mut Connection, tally: &mut Tally, random: &mut Random, buffer: &mut Vec<u8>) {
    fill(tally.sent, buffer);
    match random.below(10) {
        0 => {
            let (first, second) = buffer.split_at(random.below(buffer.len()));
            ws.send_binary_part(first, Fin::More).unwrap();
            ws.send_ping(b"between").unwrap();
            ws.send_binary_part(second, Fin::Last).unwrap();
        }
        1 => ws.send_prepared(&Prepared::binary(buffer.clone())).unwrap(),
        2 => ws.send_binary(buffer.clone()).unwrap(),
        _ => ws.send_binary(&*buffer).unwrap(),
    }
    tally.sent += 1;
}

fn receive(
    ws: &mut Connection,
    now: Duration,
    tally: &mut Tally,
    input: &mut Input,
    bytes: &[u8],
    expected: &mut Vec<u8>,
) {
    input.extend_from_slice(bytes);
    let mut whole = |data: &[u8]| {
        fill(tally.received, expected);
        assert_eq!(data, expected, "message {}", tally.received);
        tally.received += 1;
    };
    while let Next::Event(event) = ws.poll(input, now) {
        match event {
            Event::Binary(data) => whole(&data),
            Event::BinaryPart { data, first, fin } => {
                assert_eq!(first, tally.part.is_empty());
                tally.part.extend_from_slice(&data);
                if fin == Fin::Last {
                    whole(&tally.part);
                    tally.part.clear();
                }
            }
            Event::Ping(_) | Event::Pong(_) => {}
            Event::Close(_) => tally.closed = true,
            other => panic!("{other:?}"),
        }
    }
}

/// Moves up to `n` bytes from one end to the other.
fn carry(from: &mut Connection, buffer: &mut [u8], n: usize) -> usize {
    let mut len = 0;
    for run in from.outputs() {
        let taken = run.len().min(n - len);
        buffer[len..len + taken].copy_from_slice(&run[..taken]);
        len += taken;
    }
    from.sent(len);
    len
}

/// Everything arrives, in order and once, under random cuts, pings, parts, ticks and a Close at the
/// end of each life.
#[test]
fn soak_of_two_connections() {
    let config = |delivery| {
        let keepalive = (Duration::from_millis(500), Duration::from_millis(500));
        Config::default()
            .delivery(delivery)
            .entropy(entropy)
            .fragment_size(30_000)
            .high_water_mark(10_000)
            .keepalive(keepalive.0, keepalive.1)
    };
    let per_life = messages().div_ceil(10);
    let (mut buffer, mut expected) = (Vec::with_capacity(80_000), Vec::with_capacity(80_000));
    let mut wire = vec![0; 100_000];
    let mut tallies = [Tally::default(), Tally::default()];
    for tally in &mut tallies {
        tally.part.reserve(80_000);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut now = Duration::ZERO;
    let ((), total) = measured(|| {
        for _ in 0..10 {
            let mut ends = [
                Connection::upgraded(Role::Client, config(Delivery::Messages)),
                Connection::upgraded(Role::Server, config(Delivery::Parts)),
            ];
            // One keeps messages that a read cut, and the other does not.
            let mut inputs = [Input::new(2000), Input::shared(2000)];
            tallies.iter_mut().for_each(|tally| {
                *tally = Tally {
                    part: std::mem::take(&mut tally.part),
                    ..Tally::default()
                }
            });
            while ends.iter().any(|ws| ws.state() != State::Closed) {
                now += Duration::from_millis(random.below(20) as u64);
                for me in [0, 1] {
                    let ws = &mut ends[me];
                    while ws.state() == State::Open
                        && tallies[me].sent < per_life
                        && ws.buffered_amount() < 60_000
                    {
                        send(ws, &mut tallies[me], &mut random, &mut buffer);
                        if random.below(8) == 0 {
                            break;
                        }
                    }
                    let limit = [1, 50, 3000, 100_000][random.below(4)];
                    let n = carry(ws, &mut wire, 1 + random.below(limit));
                    let you = 1 - me;
                    receive(
                        &mut ends[you],
                        now,
                        &mut tallies[you],
                        &mut inputs[you],
                        &wire[..n],
                        &mut expected,
                    );
                    let all = tallies.iter().all(|t| t.received == per_life);
                    if all && me == 0 && ends[0].state() == State::Open {
                        ends[0].close(CloseCode::NORMAL, "enough").unwrap();
                    }
                }
                if ends[1].state() == State::Closed {
                    assert!(ends[1].end_of_stream().clean && ends[0].end_of_stream().clean);
                }
            }
            assert!(
                tallies
                    .iter()
                    .all(|tally| tally.received == per_life && tally.closed)
            );
        }
    });
    // What the two queues may hold, twice for growth, and a message being gathered.
    assert!(total.peak < 1 << 20, "{total:?}");
    assert_eq!(total.held, 0, "{total:?}");
    println!("{} messages each way in 10 lives: {total:?}", 10 * per_life);
}

/// A message of any size in parts: 64 MiB here, 1 GiB in the long run.
#[test]
fn a_gigabyte_in_parts_in_constant_memory() {
    let size: u64 = if messages() > 1_000_000 {
        1 << 30
    } else {
        16 << 20
    };
    let config = Config::default()
        .delivery(Delivery::Parts)
        .max_message_size(usize::MAX)
        .max_frame_size(usize::MAX);
    for role in ROLES {
        let mut sender = open(peer(role), config.clone());
        let mut receiver = open(role, config.clone());
        let piece = "grün ".repeat(2000);
        let mut wire = vec![0; 16 * 1024];
        let mut input = Input::new(16 * 1024);
        let mut sent = 0;
        let mut received = 0;
        let ((), total) = measured(|| {
            while sent < size || sender.buffered_amount() > 0 {
                if sent < size {
                    sender.send_text_part(&piece, Fin::More).unwrap();
                    sent += piece.len() as u64;
                }
                while sender.buffered_amount() > 0 {
                    let n = carry(&mut sender, &mut wire, 16 * 1024);
                    input.extend_from_slice(&wire[..n]);
                    while let Next::Event(event) = receiver.poll(&mut input, Duration::ZERO) {
                        let Event::TextPart { text, .. } = event else {
                            panic!("{event:?}")
                        };
                        received += text.len() as u64;
                    }
                }
            }
        });
        assert_eq!(received, sent);
        assert!(total.peak < 64 << 10, "{total:?}");
        println!("{received} bytes in parts, {role:?}: {total:?}");
    }
}

/// One payload, however many receivers: each pays for a header.
#[test]
fn ten_thousand_receivers_of_one_payload() {
    const RECEIVERS: usize = 10_000;
    let config = Config::default();
    let mut ends: Vec<_> = (0..RECEIVERS)
        .map(|_| open(Role::Server, config.clone()))
        .collect();
    let payload = vec![7_u8; 64 << 10];
    let ((), total) = measured(|| {
        let message = Prepared::binary(payload);
        for ws in &mut ends {
            ws.send_prepared(&message).unwrap();
        }
    });
    let each = usize::try_from(total.held).unwrap() / RECEIVERS;
    println!("{total:?}: {each} bytes each");
    assert!(each < 512, "a header and a reference, not 64 KiB: {each}");
    let ((), freed) = measured(|| ends.iter_mut().for_each(|ws| ws.sent(usize::MAX)));
    assert!(
        freed.held < -(64 << 10),
        "the payload is given back: {freed:?}"
    );
}

/// A connection that nothing is going on in holds its keys, if it is a client, and the little that its
/// queue keeps.
#[test]
fn an_idle_connection_holds_next_to_nothing() {
    for role in ROLES {
        let (mut ws, _) = measured(|| open(role, Config::default().pong_mode(PongMode::Automatic)));
        let ((), total) = measured(|| {
            for len in [0, 1 << 10, 64 << 10] {
                feed(&mut ws, &frame(peer(role), FIN | BINARY, &vec![1; len]));
                feed(&mut ws, &frame(peer(role), FIN | PING, b"p"));
                ws.send_binary(vec![1; len]).unwrap();
                drain(&mut ws);
            }
            let _ = ws.tick(Duration::from_secs(1));
        });
        println!("{role:?} after traffic: {total:?}");
        assert!((0..=128).contains(&total.held), "{total:?}");
    }
    println!(
        "a connection is {} bytes, an event {}",
        size_of::<Connection>(),
        size_of::<Event<'_>>()
    );
    assert!(size_of::<Connection>() <= 512);
}
