//! Memory and work: RFC 6455 §10.4.

mod common;

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::*;
use sockless::{Config, Connection, Error, Event, Fin, Input, Next, Role, State};

#[test]
fn r251_sizes() {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Connection>();
    assert_eq!(size_of::<Event<'_>>(), 32);
    assert!(
        size_of::<Connection>() <= 512,
        "{}",
        size_of::<Connection>()
    );
}

/// R251: a message that lies in the input whole is a part of the input, of any form and length.
#[test]
fn r251_whole_messages_are_lent() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        for len in [0, 1, 125, 126, 65535, 65536, 1 << 20] {
            for opcode in [TEXT, BINARY, PING, PONG] {
                let len = if opcode > BINARY { len.min(125) } else { len };
                let mut input = Input::shared(0);
                input.extend_from_slice(&frame(peer(role), FIN | opcode, &vec![b'a'; len]));
                let range = input.unread().as_ptr_range();
                let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) else {
                    panic!("a message")
                };
                let payload = match &event {
                    Event::Text(Cow::Borrowed(text)) => text.as_bytes(),
                    Event::Binary(Cow::Borrowed(data))
                    | Event::Ping(Cow::Borrowed(data))
                    | Event::Pong(Cow::Borrowed(data)) => data,
                    other => panic!("not lent: {other:?}"),
                };
                assert_eq!(payload.len(), len);
                let lent = payload.as_ptr_range();
                assert!(len == 0 || (range.start <= lent.start && lent.end <= range.end));
            }
        }
    }
}

/// Of a message that was gathered, its length and what it holds.
fn capacity(event: Event<'_>) -> (usize, usize) {
    match event {
        Event::Text(Cow::Owned(text)) => (text.len(), text.capacity()),
        Event::Binary(Cow::Owned(data)) => (data.len(), data.capacity()),
        other => panic!("not gathered: {other:?}"),
    }
}

/// T53: what is handed over holds what it needs: a message of one frame to the byte, however it was
/// read, and one of fragments less than twice that.
#[test]
fn t53_capacity_of_what_is_handed_over() {
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            for len in [1, 2, 100, 1000, 40_000] {
                for read in [1, 7, 1000, 16_384] {
                    let mut ws = open(role, Config::default());
                    let wire = frame(peer(role), FIN | opcode, &vec![b'a'; len]);
                    let mut events = Vec::new();
                    // The header and nothing else first, so that it is cut in any case.
                    let (head, payload) = wire.split_at(wire.len() - len);
                    assert_eq!(feed(&mut ws, head), []);
                    for read in payload.chunks(read) {
                        events.extend(feed(&mut ws, read));
                    }
                    if read >= len {
                        continue;
                    }
                    assert_eq!(capacity(events.pop().unwrap()), (len, len));
                }
                // A long one before it leaves nothing behind.
                let mut talk = Talk::new(role);
                talk.peer(opcode, vec![b'a'; 300_000]);
                let (got, held) = capacity(talk.peer(FIN, "b").pop().unwrap());
                assert!(got == 300_001 && held <= 2 * got, "{held}");
                talk.peer(opcode, vec![b'a'; len]);
                let (got, held) = capacity(talk.peer(FIN, "b").pop().unwrap());
                assert!(got == len + 1 && held <= 2 * got, "{held}");
            }
        }
    }
}

/// T53: what was reserved up to the limit is given back where more than half of it is left over, and is
/// not moved for less.
#[test]
fn t53_spare_capacity_is_given_back() {
    for role in ROLES {
        for (first, len, held) in [
            (TEXT, 4999, 4999),
            (BINARY, 4999, 4999),
            (TEXT, 5000, 10_000),
            (BINARY, 5000, 10_000),
        ] {
            let mut talk = Talk::with(role, Config::default().max_message_size(10_000));
            talk.peer(first, vec![b'a'; len]);
            let message = talk.peer(FIN, "").pop().unwrap();
            assert_eq!(capacity(message), (len, held));
        }
    }
}

/// R159, T11: a message that never ends: the caller has the failure in its hands, at the limit.
#[test]
fn r159_t11_endless_empty_fragments() {
    for role in ROLES {
        let from = peer(role);
        let mut talk = Talk::with(role, Config::default().max_fragments(10_000));
        assert_eq!(talk.peer(TEXT, ""), []);
        let mut bytes = frame(from, CONTINUATION, b"").repeat(20_000);
        let mut input = &mut bytes[..];
        let event = talk.ws.receive(&mut input);
        assert_eq!(event, Some(Event::Fail(Error::TooManyFragments)));
        assert_eq!(talk.ws.receive(&mut input), None);
        assert!(input.is_empty());
    }
}

/// R253: one event to a call, however many lie in the input, so that the caller can stop.
#[test]
fn r253_one_event_to_a_call() {
    for role in ROLES {
        let one = frame(peer(role), FIN | BINARY, b"");
        let mut bytes = one.repeat(1000);
        let mut ws = open(role, Config::default());
        let mut input = &mut bytes[..];
        for left in (0..1000).rev() {
            assert_eq!(ws.receive(&mut input), Some(binary(b"")));
            assert_eq!(input.len(), left * one.len());
        }
        assert_eq!(ws.receive(&mut input), None);
    }
}

/// R254: to the byte, over everything that is queued, whole or partly written.
#[test]
fn r254_buffered_amount() {
    for role in ROLES {
        let mut talk = Talk::with(role, Config::default().high_water_mark(500));
        let head = |len: usize| header(role, 0, len as u64).len();
        assert_eq!(talk.ws.buffered_amount(), 0);
        let mut expected = 0;
        talk.ws.send_text("hello").unwrap();
        expected += head(5) + 5;
        assert_eq!(talk.ws.buffered_amount(), expected);
        talk.ws.send_binary_part(&[0; 700], Fin::More).unwrap();
        expected += head(700) + 700;
        assert_eq!(talk.ws.buffered_amount(), expected);
        talk.ws.sent(3);
        expected -= 3;
        assert_eq!(talk.ws.buffered_amount(), expected);
        // Ahead of the rest, and in each other's place.
        talk.peer(FIN | PING, "1234");
        assert_eq!(talk.ws.buffered_amount(), expected + head(4) + 4);
        talk.peer(FIN | PING, "123");
        expected += head(3) + 3;
        assert_eq!(talk.ws.buffered_amount(), expected);
        while expected > 0 {
            talk.ws.sent(1);
            expected -= 1;
            assert_eq!(talk.ws.buffered_amount(), expected);
        }
        assert!(talk.ws.output().is_empty());
        assert_eq!(talk.ws.state(), State::Open);
    }
}

/// One at a time: what they measure is of the whole process.
static MEASURE: Mutex<()> = Mutex::new(());

/// What to ask the system for.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy)]
enum Memory {
    /// Whether or not it was ever touched. Threads of their own cost 128 MiB of this.
    Reserved,
    Touched,
}

/// By how many bytes the memory of the process grows. The tests of this file that run beside it hold
/// some megabytes at most.
#[cfg(target_os = "linux")]
fn grown<T>(memory: Memory, run: impl FnOnce() -> T) -> (T, usize) {
    let pages = || -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let mut numbers = statm.split(' ').map(|n| n.parse().expect("a number"));
        match memory {
            Memory::Reserved => numbers.next(),
            Memory::Touched => numbers.nth(1),
        }
        .expect("numbers")
    };
    let _alone = MEASURE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = pages();
    let result = run();
    (result, pages().saturating_sub(before) * 4096)
}

/// R251, T6: a header that announces the limit, and the first byte of what it announces, from each of
/// 256 peers: four gigabytes are announced.
#[test]
#[cfg(target_os = "linux")]
fn r251_t06_announced_is_not_reserved() {
    for role in ROLES {
        for first in [FIN | BINARY, BINARY, FIN | TEXT] {
            let (held, bytes) = grown(Memory::Reserved, || {
                let announce = |_| {
                    let mut ws = open(role, Config::default());
                    feed(&mut ws, &header(peer(role), first, 16 << 20));
                    feed(&mut ws, &[KEY[0] ^ b'a']);
                    ws
                };
                (0..256).map(announce).collect::<Vec<_>>()
            });
            assert_eq!(held.len(), 256);
            assert!(bytes < 1 << 30, "{bytes} bytes for {first:#x}");
        }
    }
}

/// R174, T26: a peer that pings for ever and reads a little at a time: what it has read is not kept.
#[test]
#[cfg(target_os = "linux")]
fn r174_t26_flood_drained_slowly() {
    let config = Config::default().high_water_mark(1000);
    let mut talk = Talk::with(Role::Server, config);
    talk.ws.send_binary(&[0; 1000]).unwrap();
    talk.ws.sent(1004);
    talk.ws.send_binary(&[0; 1000]).unwrap();
    let ping = frame(Role::Client, FIN | PING, &[b'p'; 125]);
    let pings = 500_000;
    let ((), bytes) = grown(Memory::Touched, || {
        for _ in 0..pings {
            let mut copy = ping.clone();
            let mut input = &mut copy[..];
            assert!(matches!(talk.ws.receive(&mut input), Some(Event::Ping(_))));
            // Never the whole of what waits.
            talk.ws.sent(127.min(talk.ws.output().len() - 1));
            assert!(talk.ws.buffered_amount() < 2000);
        }
    });
    assert!(bytes < 32 << 20, "{bytes} bytes after {pings} pings");
}
