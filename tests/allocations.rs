//! Allocations, counted: memory is in proportion to what arrived, never to what was announced, and
//! the work to grow it is linear (R251; RFC 6455 §10.4).

mod common;
mod counting;

use core::cell::Cell;
use core::time::Duration;

use common::*;
use counting::measured;
use sockless::{Config, Connection, Error, Event, Fin, Input, Next, Role};

/// An input with all of its memory, so that it takes none later, and keeps nothing.
fn input(size: usize) -> Input {
    let mut input = Input::shared(size);
    let _ = input.space();
    input
}

/// An open connection whose clock runs.
fn running(role: Role, config: Config) -> Connection {
    let mut ws = open(role, config);
    let _ = ws.tick(Duration::ZERO);
    let some = Duration::from_nanos(1);
    feed_at(&mut ws, some, &frame(peer(role), FIN | TEXT, b"busy"));
    ws.send_ping(b"").unwrap();
    let _ = ws.tick(some);
    drain(&mut ws);
    assert!(ws.tick(some).is_some(), "it may rest");
    ws
}

/// The number of messages in `wire`, with no memory of the test's own.
fn receive(ws: &mut Connection, input: &mut Input, wire: &[u8]) -> usize {
    input.extend_from_slice(wire);
    let mut messages = 0;
    while let Next::Event(event) = ws.poll(input, Duration::ZERO) {
        assert!(!matches!(event, Event::Fail(_)), "{event:?}");
        messages += usize::from(matches!(event, Event::Text(_) | Event::Binary(_)));
    }
    messages
}

#[test]
fn the_counters_count() {
    let (data, one) = measured(|| core::hint::black_box(vec![1_u8; 1000]));
    assert_eq!((one.calls, one.asked, one.held), (1, 1000, 1000));
    let ((), freed) = measured(|| drop(data));
    assert_eq!((freed.calls, freed.held), (0, -1000));
}

#[test]
fn r251_whole_messages_allocate_nothing() {
    for role in ROLES {
        let mut wire = Vec::new();
        for len in [0, 1, 7, 125, 126, 5000, 65535, 65536, 100_000] {
            for opcode in [TEXT, BINARY, PONG] {
                let len = if opcode == PONG { len.min(125) } else { len };
                wire.extend(frame(peer(role), FIN | opcode, &vec![b'a'; len]));
            }
        }
        let mut ws = running(role, Config::default());
        let mut input = input(wire.len());
        let (messages, total) = measured(|| receive(&mut ws, &mut input, &wire));
        assert_eq!(messages, 18);
        assert_eq!(total.calls, 0);
    }
}

#[test]
fn r251_t06_header_that_announces_the_limit() {
    for role in ROLES {
        for first in [FIN | BINARY, BINARY, FIN | TEXT, TEXT] {
            let mut wire = header(peer(role), first, 16 << 20);
            let head = wire.len();
            // The start of what was announced: as of a frame that is shorter.
            let sample = frame(peer(role), first, &[b'a'; 1000]);
            wire.extend(&sample[sample.len() - 1000..]);
            let mut ws = running(role, Config::default());
            let mut input = input(4096);
            let (head, payload) = wire.split_at(head);
            let (_, total) = measured(|| receive(&mut ws, &mut input, head));
            assert!(total.peak <= 64, "{total:?}");
            let (few, rest) = payload.split_at(10);
            let (_, total) = measured(|| receive(&mut ws, &mut input, few));
            assert!(total.peak <= 64, "{total:?}");
            let (_, total) = measured(|| receive(&mut ws, &mut input, rest));
            assert!(total.peak <= 4096, "{total:?}");
        }
    }
}

/// T6: while a long frame arrives in short reads, what is held is in proportion to what came, and
/// does not depend on the number of reads.
#[test]
fn r251_memory_follows_what_arrived() {
    for role in ROLES {
        for read in [1, 100, 4096] {
            let mut ws = running(role, Config::default());
            let mut input = input(4096);
            receive(
                &mut ws,
                &mut input,
                &header(peer(role), FIN | BINARY, 16 << 20),
            );
            let mut arrived = 0;
            let ((), total) = measured(|| {
                while arrived < 200_000 {
                    receive(&mut ws, &mut input, &[0; 4096][..read]);
                    arrived += read;
                }
            });
            let arrived = isize::try_from(arrived).unwrap();
            // Fourfold at most, where the end of the message is in sight.
            assert!(total.held <= 4 * arrived + 4096, "{total:?}");
            assert!(total.calls <= 24, "{total:?}");
            // Growing needs the old and the new at once, at worst.
            assert!(total.peak <= 5 * arrived + 8192, "{total:?}");
        }
    }
}

/// R394: a message that is almost as large as it may be and does not end, in fragments and in one frame;
/// then one of a single byte.
#[test]
fn r394_t69_an_unfinished_message_holds_the_limit_at_most() {
    for role in ROLES {
        for limit in [10_000_usize, 64 << 10, (1 << 20) + 12_345] {
            for (first, opcode) in [(b'a', TEXT), (0xff, BINARY)] {
                for (fragment, read) in [
                    (1000, 16 << 10),
                    (16 << 10, 16 << 10),
                    (limit / 3, 4096),
                    (limit / 2, limit),
                    (limit, 16 << 10),
                    (limit, 100),
                ] {
                    let config = Config::default().max_message_size(limit);
                    let mut ws = running(role, config);
                    let mut input = input(read);
                    let mut rest = limit - 1;
                    let mut opening = opcode;
                    let mut wire = Vec::new();
                    while rest > 0 {
                        let len = fragment.min(rest);
                        // One frame announces what it has and a byte more.
                        let fin = if fragment == limit { FIN } else { 0 };
                        let mut part = frame(peer(role), opening | fin, &vec![first; len + 1]);
                        if fin == 0 {
                            part = frame(peer(role), opening, &vec![first; len]);
                        } else {
                            part.pop();
                        }
                        wire.extend(part);
                        (opening, rest) = (CONTINUATION, rest - len);
                    }
                    let ((), total) = measured(|| {
                        for piece in wire.chunks(read) {
                            assert_eq!(receive(&mut ws, &mut input, piece), 0);
                        }
                    });
                    let bound = isize::try_from(limit).unwrap();
                    let case = format!("{role:?}, {limit}, {fragment}, {read}: {total:?}");
                    assert!(total.held <= bound + 64, "{case}");
                    assert!(total.peak <= bound / 2 * 3 + 64, "{case}");
                    let end = frame(peer(role), FIN, &[first]);
                    let end = match fragment == limit {
                        true => &end[end.len() - 1..],
                        false => &end,
                    };
                    assert_eq!(receive(&mut ws, &mut input, end), 1);
                    // R251: what the last one came to is not reserved for the next.
                    let little = frame(peer(role), BINARY, b"x");
                    let (_, total) = measured(|| receive(&mut ws, &mut input, &little));
                    assert!(total.peak <= 64, "{case}, then {total:?}");
                }
            }
        }
    }
}

/// R253, T12: four mebibytes of text in tiny frames.
#[test]
fn r253_t12_tiny_fragments_are_linear() {
    const TOTAL: usize = 4 << 20;
    let text = "é".repeat(32);
    for (role, size) in [
        (Role::Server, 1),
        (Role::Client, 1),
        (Role::Server, 64),
        (Role::Client, 63),
    ] {
        let config = Config::default().max_fragments(u32::MAX);
        let mut ws = running(role, config);
        let bytes = text.repeat(size);
        let wire: Vec<u8> = bytes
            .as_bytes()
            .chunks(size)
            .flat_map(|part| frame(peer(role), CONTINUATION, part))
            .collect();
        let mut input = input(wire.len());
        receive(&mut ws, &mut input, &frame(peer(role), TEXT, b""));
        let (rounds, total) = measured(|| {
            let rounds = TOTAL / bytes.len();
            for _ in 0..rounds {
                receive(&mut ws, &mut input, &wire);
            }
            rounds
        });
        assert!(total.calls <= 40, "{size}: {total:?}");
        assert!(total.asked <= 5 * TOTAL, "{size}: {total:?}");
        assert!(total.held <= 2 * isize::try_from(TOTAL).unwrap());
        input.extend_from_slice(&frame(peer(role), FIN, b""));
        match ws.poll(&mut input, Duration::ZERO) {
            Next::Event(Event::Text(text)) => assert_eq!(text.len(), rounds * bytes.len()),
            other => panic!("{other:?}"),
        }
    }
}

/// R159, T11: fragments with nothing in them hold nothing.
#[test]
fn r159_t11_empty_fragments_hold_nothing() {
    for role in ROLES {
        for first in [TEXT, BINARY] {
            let mut ws = running(role, Config::default());
            let mut wire = frame(peer(role), first, b"");
            wire.extend(frame(peer(role), CONTINUATION, b"").repeat(100_000));
            let mut input = input(wire.len());
            let (_, total) = measured(|| receive(&mut ws, &mut input, &wire));
            assert!(total.peak <= 64, "{total:?}");
            let wire = frame(peer(role), CONTINUATION, b"").repeat(100_000);
            input.extend_from_slice(&wire);
            let (failed, total) = measured(|| {
                matches!(
                    ws.poll(&mut input, Duration::ZERO),
                    Next::Event(Event::Fail(Error::TooManyFragments))
                )
            });
            assert!(failed);
            assert!(total.peak <= 256, "its Close: {total:?}");
        }
    }
}

/// R251, T53: after messages both ways, whole and cut, all written: what an idle connection holds.
#[test]
fn r251_idle_connection_after_traffic() {
    for role in ROLES {
        for len in [10, 1 << 10, 64 << 10] {
            let message = vec![b'm'; len];
            let whole = frame(peer(role), FIN | BINARY, &message);
            let fragments = [
                frame(peer(role), TEXT, &message),
                frame(peer(role), FIN | PING, &[b'p'; 125]),
                frame(peer(role), FIN | CONTINUATION, &message),
            ]
            .concat();
            let ping = frame(peer(role), FIN | PING, &[b'p'; 125]);
            let config = Config::default().entropy(entropy).high_water_mark(200);
            let mut input = input(fragments.len());
            let (_ws, total) = measured(|| {
                let mut ws = Connection::upgraded(role, config);
                for read in [whole.len(), 1000, 3] {
                    for wire in [&whole, &fragments, &ping] {
                        for part in wire.chunks(read) {
                            receive(&mut ws, &mut input, part);
                        }
                        ws.send_binary(&message).unwrap();
                        ws.send_binary_part(&message, Fin::More).unwrap();
                        ws.send_binary_part(&message, Fin::Last).unwrap();
                        ws.send_ping(&[1; 125]).unwrap();
                        while !ws.output().is_empty() {
                            let some = ws.output().len().min(1000);
                            ws.sent(some);
                        }
                    }
                }
                // A second in which nothing happens: it is idle, and nobody has to wake it.
                let until = ws.tick(Duration::ZERO);
                assert_eq!(until, Some(Duration::from_secs(1)));
                assert_eq!(ws.tick(Duration::from_secs(1)), None);
                ws
            });
            // A client has the masks of its next frames as well.
            let bound = if role == Role::Server { 128 } else { 128 + 320 };
            assert!(total.held <= bound, "{role:?}, {len}: {total:?}");
        }
    }
}

/// A message that could not be queued leaves no memory behind either.
#[test]
fn r251_failed_send_holds_nothing() {
    thread_local! {
        static LEFT: Cell<usize> = const { Cell::new(0) };
    }
    fn limited(buffer: &mut [u8]) -> Result<(), sockless::EntropyError> {
        let left = LEFT.get().checked_sub(1);
        LEFT.set(left.ok_or_else(sockless::EntropyError::default)?);
        entropy(buffer)
    }
    let config = Config::default().entropy(limited).fragment_size(10_000);
    let message = vec![0; 10_000_000];
    LEFT.set(1);
    let mut ws = Connection::upgraded(Role::Client, config);
    let (result, total) = measured(|| ws.send_binary(&message));
    assert_eq!(result, Err(sockless::SendError::Entropy));
    assert!(total.held <= 1024, "{total:?}");
}

/// R174, T26: pings with nothing drained, and with a little drained after each.
#[test]
fn r174_t26_ping_flood() {
    for role in ROLES {
        for drained in [0, 1, 126, 127, 128, 131, 132] {
            for (mark, backlog) in [(0, 0), (1000, 0), (1000, 5000), (64 << 10, 0)] {
                let config = Config::default().high_water_mark(mark);
                let mut ws = open(role, config);
                ws.send_binary(vec![0; backlog]).unwrap();
                let ping = frame(peer(role), FIN | PING, &[b'p'; 125]);
                let mut input = input(ping.len());
                let ((), total) = measured(|| {
                    for _ in 0..5000 {
                        assert_eq!(receive(&mut ws, &mut input, &ping), 0);
                        // Never all of it: something always waits.
                        let some = drained.min(ws.buffered_amount() - 1);
                        ws.sent(some.min(ws.output().len()));
                    }
                });
                // Growing needs the old and the new at once, at worst.
                let bound = 3 * (mark + backlog) + 2048;
                let bound = isize::try_from(bound).unwrap();
                assert!(
                    total.peak <= bound,
                    "{drained} of a pong drained, {backlog} bytes of data, mark {mark}: {total:?}"
                );
            }
        }
    }
}

/// R251: what has been written is given back while there is always something left to write.
#[test]
fn r254_output_that_never_drains() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let message = [0; 1000];
        ws.send_binary(&message).unwrap();
        let ((), total) = measured(|| {
            for _ in 0..5000 {
                ws.send_binary(&message).unwrap();
                // One message less a byte, the rest with the next.
                let n = ws.buffered_amount() - 1001;
                ws.sent(n);
            }
        });
        assert!(total.peak <= 16 << 10, "{total:?}");
        assert!(total.calls <= 40, "{total:?}");
    }
}
