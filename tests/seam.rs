//! What a loop asks and tells: the one question, in every state; output in flight; input that is kept, lent
//! and reused; sends that come too late.

mod common;

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use common::*;
use sockless::frame::{Header, Opcode};
use sockless::{
    Close, CloseCode, Config, Connection, Error, Event, Fin, Input, Io, Next, Prepared, Response,
    Role, SendError, State, Write,
};

const NOW: Duration = Duration::ZERO;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn io_at(ws: &mut Connection, input: &mut Input, now: Duration) -> Io {
    match ws.poll(input, now) {
        Next::Io(io) => io,
        other => panic!("{other:?}"),
    }
}

fn io_of(ws: &mut Connection) -> Io {
    io_at(ws, &mut Input::shared(0), NOW)
}

fn begin_frame(ws: &mut Connection, payload_len: u64) {
    let header = Header {
        fin: true,
        rsv1: false,
        opcode: Opcode::Binary,
        mask: None,
        payload_len,
    };
    ws.send_frame_header(&header).unwrap();
}

// Input.

/// A message that is cut anywhere, by one read or by many, is lent from the input like any other.
#[test]
fn cut_messages_are_lent() {
    for role in ROLES {
        for (opcode, payload) in [
            (TEXT, "grün ".repeat(50).into_bytes()),
            (BINARY, vec![0xff; 300]),
        ] {
            let wire = [
                frame(peer(role), FIN | opcode, &payload),
                frame(peer(role), FIN | opcode, &payload),
            ]
            .concat();
            for read in 1..wire.len() {
                let mut ws = open(role, Config::default());
                let mut input = Input::new(2000);
                let mut messages = 0;
                for piece in wire.chunks(read) {
                    input.extend_from_slice(piece);
                    let range = input.unread().as_ptr_range();
                    while let Next::Event(event) = ws.poll(&mut input, NOW) {
                        let lent = match &event {
                            Event::Text(Cow::Borrowed(text)) => text.as_bytes(),
                            Event::Binary(Cow::Borrowed(data)) => data,
                            other => panic!("not lent, in reads of {read}: {other:?}"),
                        };
                        assert_eq!(lent, payload);
                        let lent = lent.as_ptr_range();
                        assert!(range.start <= lent.start && lent.end <= range.end);
                        messages += 1;
                    }
                    assert_eq!(ws.gathered_amount(), 0);
                }
                assert_eq!(messages, 2);
            }
        }
    }
}

/// What is larger than the input is gathered, and so is everything where the input is shared.
#[test]
fn what_cannot_be_kept_is_gathered() {
    for role in ROLES {
        for (mut input, len) in [(Input::new(1200), 601), (Input::shared(1200), 10)] {
            let mut ws = open(role, Config::default());
            let wire = frame(peer(role), FIN | BINARY, &vec![7; len]);
            let (one, two) = wire.split_at(wire.len() - 1);
            assert_eq!(feed_into(&mut ws, &mut input, one), []);
            assert!(input.unread().is_empty());
            assert!(ws.gathered_amount() >= len - 1);
            input.extend_from_slice(two);
            let next = ws.poll(&mut input, NOW);
            assert!(
                matches!(next, Next::Event(Event::Binary(Cow::Owned(data))) if data.len() == len)
            );
        }
    }
}

/// R233: text that cannot become valid is refused at its first wrong byte, also where it is kept.
#[test]
fn r233_kept_text_is_refused_at_once() {
    for role in ROLES {
        let wire = frame(peer(role), FIN | TEXT, b"abc\xc3\x28defghi");
        let mut ws = open(role, Config::default());
        let mut input = Input::new(1000);
        let mut at = 0;
        let failed = loop {
            let events = feed_into(&mut ws, &mut input, &wire[at..=at]);
            at += 1;
            if !events.is_empty() {
                break events;
            }
        };
        assert_eq!(failed, [Event::Fail(Error::InvalidUtf8)]);
        assert_eq!(wire.len() - at, 6, "the six bytes behind it need not come");
    }
}

/// R381: a message that is kept and does not end is truncated.
#[test]
fn r381_a_kept_message_is_truncated() {
    for role in ROLES {
        let wire = frame(peer(role), FIN | TEXT, b"hello");
        for len in 1..wire.len() {
            let mut ws = open(role, Config::default());
            let mut input = Input::default();
            assert_eq!(feed_into(&mut ws, &mut input, &wire[..len]), []);
            assert!(ws.end_of_stream().truncated, "{len}");
        }
    }
}

/// `message_timeout` counts for what is kept, from its first byte on.
#[test]
fn a_kept_message_has_its_deadline() {
    for role in ROLES {
        let mut ws = open(role, Config::default().message_timeout(secs(5)));
        let mut input = Input::default();
        let wire = frame(peer(role), FIN | TEXT, b"hello");
        input.extend_from_slice(&wire[..wire.len() - 2]);
        assert_eq!(io_at(&mut ws, &mut input, secs(1)).until, Some(secs(6)));
        input.extend_from_slice(&wire[wire.len() - 2..wire.len() - 1]);
        assert_eq!(io_at(&mut ws, &mut input, secs(5)).until, Some(secs(6)));
        let next = ws.poll(&mut input, secs(6));
        assert!(matches!(
            next,
            Next::Event(Event::Fail(Error::MessageTimeout))
        ));
        io_at(&mut ws, &mut input, secs(6));
        assert!(input.unread().is_empty(), "the rest is of no use");
    }
}

/// An input that another connection has used, or that is not the one that a message began in, is the
/// caller's mistake: the connection fails, and hands over nothing wrong.
#[test]
fn the_wrong_input_fails_the_connection() {
    for role in ROLES {
        let wire = frame(peer(role), FIN | TEXT, b"hello");
        let (one, two) = wire.split_at(wire.len() - 1);
        let mut ws = open(role, Config::default());
        let mut input = Input::default();
        assert_eq!(feed_into(&mut ws, &mut input, one), []);

        let mut other = open(role, Config::default());
        let wrong = [Event::Fail(Error::WrongInput)];
        assert_eq!(feed_into(&mut other, &mut input, two), wrong);
        assert_eq!(
            other.end_of_stream().sent_code,
            Some(CloseCode::INTERNAL_ERROR)
        );
        assert_eq!(feed_into(&mut ws, &mut Input::default(), two), wrong);
    }
}

/// While a read has the memory nothing is taken out of it, and no other read is asked for.
#[test]
fn memory_that_a_read_has() {
    for role in ROLES {
        let wire = frame(peer(role), FIN | TEXT, b"hello");
        for cut in 0..wire.len() {
            let mut ws = open(role, Config::default());
            let mut input = Input::new(1000);
            let mut memory = input.take();
            assert!(memory.is_empty() && memory.capacity() >= 256);
            assert!(!io_at(&mut ws, &mut input, NOW).read);
            memory.extend_from_slice(&wire[..cut]);
            input.put_back(memory);
            ws.on_read(Ok(cut.max(1)), &mut input);
            let io = io_at(&mut ws, &mut input, NOW);
            assert!(io.read);

            let mut memory = input.take();
            assert!(!io_at(&mut ws, &mut input, NOW).read);
            memory.extend_from_slice(&wire[cut..]);
            input.put_back(memory);
            ws.on_read(Ok(wire.len() - cut), &mut input);
            let next = ws.poll(&mut input, NOW);
            assert!(matches!(next, Next::Event(Event::Text(text)) if text == "hello"));
        }
    }
}

/// Memory that is given back is what the next message is gathered in.
#[test]
fn memory_is_reused() {
    for role in ROLES {
        for opcode in [TEXT, BINARY] {
            let mut ws = open(role, Config::default());
            let mut input = Input::new(1000);
            let mut places = Vec::new();
            for _ in 0..3 {
                let wire = frame(peer(role), FIN | opcode, &[b'a'; 50_000]);
                let mut events = Vec::new();
                for piece in wire.chunks(1448) {
                    events.extend(feed_into(&mut ws, &mut input, piece));
                }
                match events.remove(0) {
                    Event::Text(Cow::Owned(text)) => {
                        places.push(text.as_ptr());
                        input.reuse(text);
                    }
                    Event::Binary(Cow::Owned(data)) => {
                        places.push(data.as_ptr());
                        input.reuse(data);
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(places[0] == places[1] && places[1] == places[2]);
            // Not for one that is much shorter, which somebody may keep.
            let wire = frame(peer(role), FIN | BINARY, &[1; 2000]);
            let (one, two) = wire.split_at(1000);
            feed_into(&mut ws, &mut input, one);
            let events = feed_into(&mut ws, &mut input, two);
            assert!(
                matches!(&events[..], [Event::Binary(Cow::Owned(data))] if data.capacity() < 4000)
            );
        }
    }
}

/// There is always space, however much has been read and not used.
#[test]
fn space_is_never_empty() {
    let mut input = Input::new(0);
    for _ in 0..20 {
        let len = input.space().len();
        assert!(len > 0);
        input.filled(len);
    }
    assert!(input.unread().len() >= 20 * 256);
    input.filled(usize::MAX);
    let len = input.unread().len();
    input.filled(1);
    assert_eq!(input.unread().len(), len, "no more than there is");
}

// Output.

/// Output that was taken is in flight until it is reported: buffered, not sent, and nothing else is to be
/// written meanwhile.
#[test]
fn output_in_flight() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let mut input = Input::shared(0);
        ws.send_text("one").unwrap();
        ws.close(CloseCode::NORMAL, "").unwrap();
        feed(
            &mut ws,
            &frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
        );
        let len = ws.buffered_amount();
        let mut bytes = Vec::new();
        ws.take_output(&mut bytes);
        assert_eq!((bytes.len(), ws.buffered_amount()), (len, len));
        assert_eq!(ws.state(), State::Closing);
        assert_eq!((ws.output(), ws.outputs().count()), (&b""[..], 0));
        assert_eq!(io_at(&mut ws, &mut input, NOW).write, Some(Write::Output));
        let taken = bytes.clone();
        assert_eq!(ws.take_output(&mut bytes), 0, "the same");
        assert_eq!(bytes, taken);

        ws.on_write(Write::Output, Ok(len - 1));
        assert_eq!(ws.buffered_amount(), 1);
        assert_eq!(io_at(&mut ws, &mut input, NOW).write, Some(Write::Output));
        assert_eq!(ws.take_output(&mut bytes), len - 1);
        assert_eq!(bytes, taken);
        let mut lost = open(role, Config::default());
        core::mem::swap(&mut lost, &mut ws);
        assert!(
            !lost.end_of_stream().clean,
            "a byte of the Close is missing"
        );
    }
}

/// R199: our Close has left when it has landed.
#[test]
fn r199_a_close_in_flight_is_not_sent() {
    for role in ROLES {
        for landed in [false, true] {
            let mut ws = open(role, Config::default());
            feed(&mut ws, &frame(peer(role), FIN | CLOSE, b""));
            let mut bytes = Vec::new();
            ws.take_output(&mut bytes);
            if landed {
                ws.sent(bytes.len());
                assert_eq!(ws.buffered_amount(), 0);
            }
            // What is in flight cannot be taken back.
            ws.close(CloseCode::NORMAL, "other").unwrap();
            assert_eq!(ws.output(), b"");
            assert_eq!(ws.end_of_stream().clean, landed);
        }
    }
}

/// R199: nor does it wait for what was taken behind it.
#[test]
fn r199_a_close_in_flight_before_a_pong() {
    for role in ROLES {
        for mark in [0, 1000] {
            for missing in 0..20 {
                let mut ws = open(role, Config::default().high_water_mark(mark));
                ws.send_text("before").unwrap();
                ws.close(CloseCode::NORMAL, "").unwrap();
                ws.sent(ws.output().len() - 1);
                feed(&mut ws, &frame(peer(role), FIN | PING, b"still there?"));
                feed(&mut ws, &frame(peer(role), FIN | CLOSE, b""));
                let mut bytes = Vec::new();
                ws.take_output(&mut bytes);
                ws.sent(bytes.len() - missing.min(bytes.len()));
                let pong = bytes.len() - 1;
                assert_eq!(
                    ws.end_of_stream().clean,
                    missing <= pong,
                    "{missing} of {pong}"
                );
            }
        }
    }
}

/// What is queued while output is in flight comes behind it, and the memory goes back and forth.
#[test]
fn the_memory_of_output_in_flight() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let (mut wire, mut bytes) = (Vec::new(), Vec::new());
        let mut places = Vec::new();
        for number in 0..6 {
            ws.send_binary(&[number; 1000]).unwrap();
            ws.take_output(&mut bytes);
            wire.extend_from_slice(&bytes);
            ws.send_binary(&[number; 10]).unwrap();
            assert_eq!(ws.output(), b"");
            places.push(bytes.as_ptr());
            ws.sent(bytes.len());
            assert!(!ws.output().is_empty());
        }
        wire.extend(drain(&mut ws));
        let frames = parse(role, &wire);
        let sizes: Vec<_> = frames.iter().map(|frame| frame.payload.len()).collect();
        assert_eq!(sizes, [1000, 10].repeat(6));
        places[2..].sort_unstable();
        places.dedup();
        assert!(places.len() <= 4, "two, once they have grown: {places:?}");
    }
}

/// Keepalive and `buffered_amount` count what is in flight as waiting.
#[test]
fn a_ping_in_flight_is_not_written() {
    for role in ROLES {
        let config = Config::default()
            .keepalive(secs(30), secs(10))
            .write_timeout(secs(25));
        let mut ws = open(role, config);
        let mut input = Input::shared(0);
        io_at(&mut ws, &mut input, secs(0));
        let mut bytes = Vec::new();
        ws.take_output(&mut bytes);
        assert!(bytes.is_empty(), "there was nothing");
        // It comes due while something else is in flight.
        ws.send_text("in flight").unwrap();
        ws.take_output(&mut bytes);
        io_at(&mut ws, &mut input, secs(10));
        io_at(&mut ws, &mut input, secs(30));
        assert!(ws.buffered_amount() > bytes.len(), "the ping");
        ws.sent(bytes.len());
        ws.take_output(&mut bytes);
        assert_eq!(io_at(&mut ws, &mut input, secs(31)).until, Some(secs(41)));
        ws.sent(bytes.len());
        assert_eq!(io_at(&mut ws, &mut input, secs(39)).until, Some(secs(41)));
    }
}

/// What is given away is not copied, but where it is short or has to be put together anew; a client masks it
/// where it lies.
#[test]
fn what_is_given_away_is_not_copied() {
    for role in ROLES {
        for len in [4096, 100_000] {
            let mut ws = open(role, Config::default());
            let (data, text) = (vec![7; len], "a".repeat(len));
            let given = [data.as_ptr(), text.as_ptr()];
            ws.send_text("before").unwrap();
            ws.send_binary(data).unwrap();
            ws.send_text(text).unwrap();
            ws.send_text("behind").unwrap();
            let runs: Vec<_> = ws.outputs().map(<[u8]>::as_ptr).collect();
            assert!(given.iter().all(|place| runs.contains(place)));
            let frames = parse(role, &drain(&mut ws));
            let sizes: Vec<_> = frames.iter().map(|frame| frame.payload.len()).collect();
            assert_eq!(sizes, [6, len, len, 6]);
            assert!(frames[1].payload.iter().all(|byte| *byte == 7));
        }
        let mut ws = open(role, Config::default().fragment_size(3000));
        ws.send_binary(vec![7; 5000]).unwrap();
        ws.send_text(String::from("short")).unwrap();
        ws.send_text(Cow::Borrowed("lent")).unwrap();
        let frames = parse(role, &drain(&mut ws));
        assert_eq!(frames.len(), 4);
    }
}

/// All kinds of payload in one queue, written by any number of bytes, in order.
#[test]
fn all_kinds_of_payload_in_order() {
    for role in ROLES {
        for step in [1, 7, 1000, 5000, usize::MAX] {
            let mut ws = open(role, Config::default().high_water_mark(100));
            let shared = Prepared::binary(vec![3; 6000]);
            for round in 0..3 {
                ws.send_binary(&[1; 500]).unwrap();
                ws.send_binary(vec![2; 7000 + round]).unwrap();
                ws.send_prepared(&shared).unwrap();
                feed(&mut ws, &frame(peer(role), FIN | PING, b"ahead"));
            }
            let mut wire = Vec::new();
            while ws.buffered_amount() > 0 {
                let n = step.min(ws.output().len());
                wire.extend_from_slice(&ws.output()[..n]);
                ws.sent(n);
            }
            let frames = parse(role, &wire);
            let data: Vec<_> = frames.iter().filter(|f| f.first == FIN | BINARY).collect();
            let sizes: Vec<_> = data.iter().map(|frame| frame.payload.len()).collect();
            assert_eq!(sizes, [500, 7000, 6000, 500, 7001, 6000, 500, 7002, 6000]);
            assert!(
                data.iter()
                    .all(|f| f.payload.iter().all(|b| *b == f.payload[0]))
            );
            assert_eq!(frames.last().map(|_| ()), Some(()));
        }
    }
}

#[test]
fn slices_for_a_vectored_write() {
    let mut ws = open(Role::Server, Config::default());
    assert!(ws.output_slices().is_empty());
    for _ in 0..20 {
        ws.send_binary(vec![1; 5000]).unwrap();
    }
    let slices = ws.output_slices();
    assert_eq!(slices.len(), 8);
    let all: Vec<u8> = ws.outputs().flatten().copied().collect();
    assert_eq!(
        slices.iter().flat_map(|s| s.to_vec()).collect::<Vec<_>>(),
        all[..4 * 5004]
    );
}

// The question.

/// T87: a transport that buffers is flushed whenever all output was written, and before the write side ends.
#[test]
fn t87_flush_before_waiting_and_before_the_end() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        assert_eq!(io_of(&mut ws).write, None, "nothing was written");
        ws.send_text("one").unwrap();
        assert_eq!(io_of(&mut ws).write, Some(Write::Output));
        let n = ws.output().len();
        ws.on_write(Write::Output, Ok(n - 1));
        assert_eq!(io_of(&mut ws).write, Some(Write::Output));
        ws.on_write(Write::Output, Ok(1));
        assert_eq!(io_of(&mut ws).write, Some(Write::Flush));
        // More may come before it is done, and is written first.
        ws.on_write(Write::Flush, Err(io::ErrorKind::WouldBlock.into()));
        ws.send_text("two").unwrap();
        assert_eq!(io_of(&mut ws).write, Some(Write::Output));
        drain(&mut ws);
        assert_eq!(io_of(&mut ws).write, Some(Write::Flush));
        ws.on_write(Write::Flush, Ok(0));
        assert_eq!(io_of(&mut ws).write, None);

        feed(&mut ws, &frame(peer(role), FIN | RSV2 | TEXT, b""));
        drain(&mut ws);
        assert_eq!(io_of(&mut ws).write, Some(Write::Flush));
        ws.on_write(Write::Flush, Ok(0));
        assert_eq!(io_of(&mut ws).write, Some(Write::Shutdown));
        ws.on_write(Write::Shutdown, Err(io::ErrorKind::WouldBlock.into()));
        assert_eq!(
            io_of(&mut ws).write,
            Some(Write::Shutdown),
            "it is not done"
        );
        ws.on_write(Write::Shutdown, Ok(0));
        assert_eq!((io_of(&mut ws).write, io_of(&mut ws).read), (None, true));
    }
}

/// T88: after a failed write what the peer sent before is still received, its Close among it; nothing more is
/// written, and the end is bounded.
#[test]
fn t88_a_failed_write() {
    for role in ROLES {
        for told in [
            |ws: &mut Connection| ws.write_failed(),
            |ws: &mut Connection| ws.on_write(Write::Output, Err(io::ErrorKind::BrokenPipe.into())),
            |ws: &mut Connection| {
                ws.on_write(Write::Output, Ok(0));
                ws.on_write(Write::Flush, Ok(0));
                ws.on_write(Write::Output, Ok(0));
            },
            |ws: &mut Connection| {
                ws.on_write(Write::Flush, Err(io::ErrorKind::ConnectionReset.into()))
            },
        ] {
            for closes in [false, true] {
                let mut ws = open(role, Config::default().close_timeout(secs(5)));
                let mut input = Input::default();
                ws.send_text("lost").unwrap();
                io_at(&mut ws, &mut input, secs(1));
                told(&mut ws);
                let io = io_at(&mut ws, &mut input, secs(1));
                assert_eq!((io.write, io.read, io.send), (None, true, false));
                assert_eq!((io.until, ws.state()), (Some(secs(6)), State::Closing));
                ws.send_text("late").unwrap();
                assert_eq!(ws.buffered_amount(), 0);
                let text = frame(peer(role), FIN | TEXT, b"before");
                assert_eq!(
                    feed_into(&mut ws, &mut input, &text),
                    [Event::Text("before".into())]
                );
                if closes {
                    let close = frame(peer(role), FIN | CLOSE, &close_body(1001, "going"));
                    let events = feed_into(&mut ws, &mut input, &close);
                    assert_eq!(events, [closed(1001, "going")]);
                } else {
                    let next = ws.poll(&mut input, secs(6));
                    assert!(matches!(
                        next,
                        Next::Event(Event::Fail(Error::CloseTimeout))
                    ));
                }
                if role == Role::Client && closes {
                    ws.on_read(Ok(0), &mut input);
                }
                let Next::Over(ending) = ws.poll(&mut input, secs(6)) else {
                    panic!("it is over")
                };
                assert_eq!((ending.clean, ending.reset), (false, true));
                assert_eq!(ending.code, if closes { 1001 } else { 1006 });
            }
        }
    }
}

/// What reading may come to.
#[test]
fn what_a_read_may_come_to() {
    use io::ErrorKind::{
        BrokenPipe, ConnectionReset, Interrupted, TimedOut, UnexpectedEof, WouldBlock,
    };
    for role in ROLES {
        for (done, over) in [
            (Ok(0), Some(false)),
            (Err(UnexpectedEof), Some(false)),
            (Err(ConnectionReset), Some(true)),
            (Err(BrokenPipe), Some(true)),
            (Err(WouldBlock), None),
            (Err(TimedOut), None),
            (Err(Interrupted), None),
        ] {
            let mut ws = open(role, Config::default());
            let mut input = Input::default();
            ws.on_read(done.map_err(io::Error::from), &mut input);
            if over == Some(false) {
                assert_eq!(io_at(&mut ws, &mut input, NOW).write, Some(Write::Shutdown));
                ws.shut();
            }
            match (ws.poll(&mut input, NOW), over) {
                (Next::Over(ending), Some(reset)) => assert_eq!(ending.reset, reset),
                (Next::Io(io), None) => assert!(io.read),
                (next, _) => panic!("{done:?}: {next:?}"),
            }
        }
    }
}

/// Over is over, and stays so.
#[test]
fn over_is_said_again() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let ending = ws.end_of_stream();
        for _ in 0..3 {
            let mut input = Input::default();
            input.extend_from_slice(&frame(peer(role), FIN | TEXT, b"late"));
            match ws.poll(&mut input, secs(9)) {
                Next::Over(again) => assert_eq!(*again, ending),
                next => panic!("{next:?}"),
            }
        }
    }
}

/// At the mark reading goes on, above it it rests; only where that is configured, and not once the connection
/// is closing, for then nothing grows.
#[test]
fn back_pressure_at_the_mark() {
    for role in ROLES {
        for configured in [false, true] {
            let config = Config::default().high_water_mark(100);
            let config = match configured {
                true => config.back_pressure(),
                false => config,
            };
            let mut ws = open(role, config);
            let head = if role == Role::Client { 6 } else { 2 };
            ws.send_binary(vec![1; 100 - head]).unwrap();
            assert_eq!(ws.buffered_amount(), 100);
            let io = io_of(&mut ws);
            assert_eq!((io.read, io.send), (true, true));
            ws.send_binary(b"").unwrap();
            let io = io_of(&mut ws);
            assert_eq!((io.read, io.send), (!configured, false));
            ws.sent(head);
            let io = io_of(&mut ws);
            assert_eq!((io.read, io.send), (true, true));
            ws.send_binary(&[1; 100]).unwrap();
            ws.close(CloseCode::NORMAL, "").unwrap();
            let io = io_of(&mut ws);
            assert_eq!((io.read, io.send), (true, false));
        }
    }
}

/// A peer that takes nothing of what waits is given up; time runs from when something began to wait, or was
/// last written.
#[test]
fn write_deadline() {
    for role in ROLES {
        let mut ws = open(
            role,
            Config::default()
                .write_timeout(secs(60))
                .close_timeout(secs(5)),
        );
        let mut input = Input::shared(0);
        io_at(&mut ws, &mut input, secs(0));
        ws.send_binary(&[0; 1000]).unwrap();
        assert_eq!(io_at(&mut ws, &mut input, secs(500)).until, Some(secs(560)));
        ws.sent(1);
        assert_eq!(io_at(&mut ws, &mut input, secs(559)).until, Some(secs(619)));
        assert_eq!(io_at(&mut ws, &mut input, secs(618)).until, Some(secs(619)));
        let next = ws.poll(&mut input, secs(619));
        assert!(matches!(
            next,
            Next::Event(Event::Fail(Error::WriteTimeout))
        ));
        assert_eq!(io_at(&mut ws, &mut input, secs(619)).until, Some(secs(624)));
        let Next::Over(ending) = ws.poll(&mut input, secs(624)) else {
            panic!("it is over")
        };
        assert_eq!(ending.error, Some(Error::WriteTimeout));
        assert_eq!(ending.sent_code, Some(CloseCode::POLICY_VIOLATION));
    }
}

#[test]
fn how_long_to_wait() {
    for (until, wait) in [
        (None, secs(3600)),
        (Some(secs(100_000)), secs(3600)),
        (Some(secs(11)), secs(1)),
        (Some(secs(10)), Duration::from_millis(1)),
        (Some(secs(1)), Duration::from_millis(1)),
    ] {
        let mut io = io_of(&mut open(Role::Server, Config::default()));
        io.until = until;
        assert_eq!(io.wait(secs(10)), wait);
    }
}

// Handlers.

/// T89: a handler that closes, and then answers what came in the same read, loses no Close.
#[test]
fn t89_bye_and_more_in_one_read() {
    fn on_event(ws: &mut Connection, event: Event<'_>) -> Result<(), SendError> {
        match event {
            Event::Text(text) if text == "bye" => ws.close(CloseCode::NORMAL, ""),
            Event::Text(text) => ws.send_text(text),
            _ => Ok(()),
        }
    }
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let mut input = Input::default();
        for text in ["bye", "more"] {
            input.extend_from_slice(&frame(peer(role), FIN | TEXT, text.as_bytes()));
        }
        while let Next::Event(event) = ws.poll(&mut input, NOW) {
            on_event(&mut ws, event).unwrap();
        }
        let written = parse(role, &drain(&mut ws));
        assert_eq!(written, [wrote(FIN | CLOSE, close_body(1000, ""))]);
        feed_into(
            &mut ws,
            &mut input,
            &frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
        );
        assert!(ws.end_of_stream().clean);
    }
}

/// What a handler's failure comes to: 1011, 500, or nothing where the peer has been told already.
#[test]
fn a_handler_that_fails() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        ws.handler_failed();
        ws.handler_failed();
        let written = parse(role, &drain(&mut ws));
        assert_eq!(written, [wrote(FIN | CLOSE, close_body(1011, ""))]);

        let mut ws = open(role, Config::default());
        ws.close(CloseCode::NORMAL, "").unwrap();
        ws.handler_failed();
        let written = parse(role, &drain(&mut ws));
        assert_eq!(written, [wrote(FIN | CLOSE, close_body(1000, ""))]);

        // Inside a message in parts the Close goes between them; inside a frame nothing can be said.
        let mut ws = open(role, Config::default());
        ws.send_text_part("half", Fin::More).unwrap();
        ws.handler_failed();
        assert_eq!(parse(role, &drain(&mut ws)).len(), 2);
        let mut ws = open(role, Config::default());
        begin_frame(&mut ws, 9);
        ws.handler_failed();
        assert_eq!(ws.buffered_amount(), 0);
        assert_eq!(ws.state(), State::Closing);

        // A Close that the peer sent meanwhile is still answered behind the frame.
        let mut ws = open(role, Config::default());
        begin_frame(&mut ws, 2);
        feed(&mut ws, &frame(peer(role), FIN | CLOSE, b""));
        ws.handler_failed();
        ws.send_frame_payload(b"ab").unwrap();
        let written = parse(role, &drain(&mut ws));
        assert_eq!(
            written,
            [wrote(FIN | BINARY, b"ab"), wrote(FIN | CLOSE, b"")]
        );
    }
    let mut ws = Connection::server(Config::default());
    feed(&mut ws, REQUEST);
    ws.handler_failed();
    assert!(drain(&mut ws).starts_with(b"HTTP/1.1 500 "));
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// T89: an answer to a request that has come to nothing meanwhile is dropped, and what was said instead is
/// written; a second answer is a mistake.
#[test]
fn t89_late_answers_to_a_request() {
    type Answer = fn(&mut Connection) -> Result<(), SendError>;
    let answers: [Answer; 2] = [
        |ws| ws.accept(Response::default()),
        |ws| ws.respond(Response::new(404)),
    ];
    for answer in answers {
        let mut ws = Connection::server(Config::default().max_early_data(10));
        assert_eq!(feed(&mut ws, REQUEST).len(), 1);
        assert!(matches!(feed(&mut ws, &[0; 11])[..], [Event::Fail(_)]));
        let before = ws.output().to_vec();
        assert_eq!(answer(&mut ws), Ok(()));
        assert_eq!(ws.output(), before);

        let mut ws = Connection::server(Config::default());
        feed(&mut ws, REQUEST);
        ws.end_of_stream();
        assert_eq!(answer(&mut ws), Ok(()));
        assert_eq!(ws.buffered_amount(), 0);

        let mut ws = Connection::server(Config::default());
        assert_eq!(answer(&mut ws), Err(SendError::NoRequest), "too early");
        feed(&mut ws, REQUEST);
        assert_eq!(answer(&mut ws), Ok(()));
        assert_eq!(answer(&mut ws), Err(SendError::NoRequest), "twice");
    }
}

/// A client that could not write all of its request may still read why.
#[test]
fn a_response_that_comes_before_the_request_is_written() {
    let request = sockless::ClientRequest::new("ws://example.com/").unwrap();
    let mut ws = Connection::client(request, Config::default().entropy(entropy)).unwrap();
    let mut input = Input::default();
    ws.write_failed();
    let io = io_at(&mut ws, &mut input, NOW);
    assert_eq!((io.write, io.read), (None, true));
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let events = feed_into(&mut ws, &mut input, busy);
    assert!(matches!(&events[..], [Event::Rejected(response)] if response.status() == 503));
    assert!(matches!(ws.poll(&mut input, NOW), Next::Over(ending) if ending.reset));
}

/// The peer's Close is answered whatever the handler does with it, and its default answer is `Close`'s.
#[test]
fn the_default_answer_repeats_the_code() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        let events = feed(
            &mut ws,
            &frame(peer(role), FIN | CLOSE, &close_body(4000, "x")),
        );
        let mut close = Close::default();
        (close.code, close.reason) = (CloseCode::new(4000), "x".into());
        assert_eq!(events, [Event::Close(close)]);
        ws.send_text("late").unwrap();
        let written = parse(role, &drain(&mut ws));
        assert_eq!(written, [wrote(FIN | CLOSE, close_body(4000, ""))]);
    }
}

/// T90: a peer that ends its side behind its Close, or behind a message, still gets what it is owed.
#[test]
fn t90_what_is_owed_at_the_end_of_reading() {
    for role in ROLES {
        for closes in [false, true] {
            let mut ws = open(role, Config::default().close_timeout(secs(5)));
            let mut input = Input::default();
            io_at(&mut ws, &mut input, secs(0));
            ws.send_text("echo").unwrap();
            if closes {
                let close = frame(peer(role), FIN | CLOSE, &close_body(1000, ""));
                feed_into(&mut ws, &mut input, &close);
            }
            ws.on_read(Ok(0), &mut input);
            let io = io_at(&mut ws, &mut input, secs(1));
            assert_eq!(
                (io.write, io.read, io.send),
                (Some(Write::Output), false, false)
            );
            let since = if closes { 0 } else { 1 };
            assert_eq!(
                (io.until, ws.state()),
                (Some(secs(since + 5)), State::Closing)
            );
            ws.send_text("late").unwrap();
            let written = parse(role, &drain(&mut ws));
            assert_eq!(written.len(), 1 + usize::from(closes));
            assert_eq!(written[0], wrote(FIN | TEXT, "echo"));
            assert_eq!(
                io_at(&mut ws, &mut input, secs(1)).write,
                Some(Write::Flush)
            );
            ws.on_write(Write::Flush, Ok(0));
            assert_eq!(
                io_at(&mut ws, &mut input, secs(1)).write,
                Some(Write::Shutdown)
            );
            ws.on_write(Write::Shutdown, Ok(0));
            let Next::Over(ending) = ws.poll(&mut input, secs(1)) else {
                panic!("it is over")
            };
            assert_eq!((ending.clean, ending.reset), (closes, false));
        }
    }
}

/// T90: for as long as it may take; and not where it cannot be written.
#[test]
fn t90_the_end_of_reading_is_no_reason_to_wait() {
    for role in ROLES {
        let mut input = Input::default();
        let config = Config::default().close_timeout(secs(5));
        let mut late = open(role, config.clone());
        late.send_text("echo").unwrap();
        late.on_read(Ok(0), &mut input);
        io_at(&mut late, &mut input, secs(1));
        assert_eq!(
            late.poll(&mut input, secs(6)).is_over(),
            Some((false, false))
        );

        let mut broken = open(role, config.clone());
        broken.send_text("echo").unwrap();
        broken.on_read(Ok(0), &mut input);
        broken.write_failed();
        assert_eq!(
            broken.poll(&mut input, secs(1)).is_over(),
            Some((false, true))
        );

        let mut idle = open(role, config.clone());
        idle.on_read(Ok(0), &mut input);
        idle.shut();
        assert_eq!(
            idle.poll(&mut input, secs(1)).is_over(),
            Some((false, false))
        );

        let mut cut = open(role, config);
        cut.send_text("echo").unwrap();
        feed_into(
            &mut cut,
            &mut input,
            &frame(peer(role), FIN | TEXT, b"cut")[..3],
        );
        cut.on_read(Ok(0), &mut input);
        assert!(cut.end_of_stream().truncated);
    }
}

trait IsOver {
    /// Whether it was clean, and whether it was reset.
    fn is_over(&self) -> Option<(bool, bool)>;
}

impl IsOver for Next<'_> {
    fn is_over(&self) -> Option<(bool, bool)> {
        match self {
            Next::Over(ending) => Some((ending.clean, ending.reset)),
            // What the deadline came to is said first.
            Next::Event(Event::Fail(Error::CloseTimeout)) => Some((false, false)),
            _ => None,
        }
    }
}

/// T91: a write that takes nothing is a full buffer of the transport's, which is flushed; if it takes nothing
/// after that either, it has failed.
#[test]
fn t91_a_write_that_takes_nothing() {
    for role in ROLES {
        for fails in [false, true] {
            let mut ws = open(role, Config::default());
            ws.send_text("text").unwrap();
            for _ in 0..3 {
                assert_eq!(io_of(&mut ws).write, Some(Write::Output));
                ws.on_write(Write::Output, Ok(0));
                assert_eq!(io_of(&mut ws).write, Some(Write::Flush));
                ws.on_write(Write::Flush, Err(io::ErrorKind::WouldBlock.into()));
                assert_eq!(io_of(&mut ws).write, Some(Write::Flush));
                ws.on_write(Write::Flush, Ok(0));
                assert_eq!(io_of(&mut ws).write, Some(Write::Output));
                ws.on_write(Write::Output, Ok(usize::from(!fails)));
                if fails {
                    assert_eq!((ws.state(), ws.buffered_amount()), (State::Closing, 0));
                    break;
                }
            }
        }
    }
}

/// What was put in otherwise is not counted twice.
#[test]
fn bytes_are_counted_once() {
    let mut ws = open(Role::Client, Config::default());
    let mut input = Input::default();
    input.extend_from_slice(&frame(Role::Server, FIN | TEXT, b"one"));
    ws.on_read(Ok(5), &mut input);
    assert_eq!(input.unread().len(), 5);
}

/// A stream that does what it is told, in order.
struct Script(Vec<io::Result<usize>>);

impl Script {
    fn next(&mut self) -> io::Result<usize> {
        self.0.remove(0)
    }
}

impl io::Write for Script {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.next()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.next().map(drop)
    }
}

impl io::Read for Script {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.next()?;
        buf[..n].copy_from_slice(&[0x8a, 0, 0x8a, 0][..n]);
        Ok(n)
    }
}

#[test]
fn writing_to_and_reading_from_a_stream() {
    let blocked = || Err(io::ErrorKind::WouldBlock.into());
    let broken = || Err(io::ErrorKind::BrokenPipe.into());
    let shut_down = |script: &mut Script| script.next().map(drop);
    let mut ws = open(Role::Client, Config::default());
    ws.send_ping(b"").unwrap();
    let mut stream = Script(vec![blocked(), Ok(1), Ok(5), blocked(), Ok(0)]);
    assert!(!ws.write_to(&mut stream, Write::Output, shut_down));
    assert_eq!(ws.buffered_amount(), 6);
    assert!(ws.write_to(&mut stream, Write::Output, shut_down));
    assert_eq!(ws.buffered_amount(), 5);
    assert!(ws.write_to(&mut stream, Write::Output, shut_down));
    assert!(!ws.write_to(&mut stream, Write::Flush, shut_down));
    assert_eq!(io_of(&mut ws).write, Some(Write::Flush));
    assert!(ws.write_to(&mut stream, Write::Flush, shut_down));
    assert_eq!(io_of(&mut ws).write, None);

    let mut input = Input::default();
    let mut stream = Script(vec![blocked(), Ok(2), Ok(1)]);
    assert!(!ws.read_from(&mut stream, &mut input));
    assert!(ws.read_from(&mut stream, &mut input));
    assert!(matches!(
        ws.poll(&mut input, NOW),
        Next::Event(Event::Pong(_))
    ));
    assert!(ws.read_from(&mut stream, &mut input));
    io_at(&mut ws, &mut input, NOW);

    let mut stream = Script(vec![Ok(0), blocked(), Ok(0)]);
    assert!(ws.read_from(&mut stream, &mut input));
    assert_eq!(io_of(&mut ws).write, Some(Write::Shutdown));
    assert!(!ws.write_to(&mut stream, Write::Shutdown, shut_down));
    assert!(ws.write_to(&mut stream, Write::Shutdown, shut_down));
    assert!(matches!(ws.poll(&mut input, NOW), Next::Over(_)));

    let mut ws = open(Role::Client, Config::default());
    ws.send_ping(b"").unwrap();
    assert!(ws.write_to(&mut Script(vec![broken()]), Write::Output, shut_down));
    assert_eq!((ws.state(), ws.buffered_amount()), (State::Closing, 0));
    assert!(ws.read_from(&mut Script(vec![broken()]), &mut input));
    assert!(matches!(ws.poll(&mut input, NOW), Next::Over(ending) if ending.reset));
}

/// Told in any state, and more than once.
#[test]
fn told_at_any_time() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        ws.end_of_stream();
        ws.read_ended();
        ws.write_failed();
        ws.flushed();
        ws.shut();
        ws.handler_failed();
        ws.sent(0);
        ws.send_text("late".repeat(2000)).unwrap();
        assert!(!ws.end_of_stream().reset, "the first word counts");

        // The end of reading inside a frame that is sent in pieces: it can be completed.
        let mut ws = open(role, Config::default());
        begin_frame(&mut ws, 3);
        let mut open_end = open(role, Config::default());
        core::mem::swap(&mut open_end, &mut ws);
        open_end.read_ended();
        assert_eq!(open_end.state(), State::Closing);
        assert!(!io_of(&mut open_end).send);
        open_end.send_frame_payload(b"abc").unwrap();
        assert_eq!(parse(role, &drain(&mut open_end)).len(), 1);

        // And what waits for its end goes out behind it.
        begin_frame(&mut ws, 3);
        let close = frame(peer(role), FIN | CLOSE, &close_body(1000, ""));
        feed(&mut ws, &close);
        ws.read_ended();
        ws.send_frame_payload(b"abc").unwrap();
        let written = parse(role, &drain(&mut ws));
        assert_eq!(written.len(), 2);
        assert!(ws.end_of_stream().clean);
    }
    let mut ws = Connection::server(Config::default());
    feed(&mut ws, REQUEST);
    ws.read_ended();
    assert!(matches!(ws.poll(&mut Input::default(), NOW), Next::Over(_)));
}

/// Spare memory is not taken where it is more than a message may have, nor by frames that are handed over.
#[test]
fn spare_memory_within_limits() {
    for role in ROLES {
        let mut ws = open(role, Config::default().max_message_size(3000));
        let mut input = Input::shared(100);
        input.reuse(Vec::with_capacity(8 << 20)); // more than it keeps
        input.reuse(Vec::with_capacity(10_000));
        input.reuse(Vec::with_capacity(5000)); // less than it has
        let wire = [
            frame(peer(role), BINARY, &[1; 1000]),
            frame(peer(role), FIN | CONTINUATION, &[1; 1000]),
        ]
        .concat();
        let events = feed_into(&mut ws, &mut input, &wire);
        assert!(matches!(&events[..], [Event::Binary(Cow::Owned(data))] if data.capacity() < 3000));
        // Of fragments nobody knows how many there will be.
        let mut ws = open(role, Config::default());
        input.reuse(Vec::with_capacity(10_001));
        feed_into(&mut ws, &mut input, &frame(peer(role), TEXT, b"a"));
        assert!(ws.gathered_amount() >= 10_000);
    }
}

/// The same events, frames and ending, whichever input the bytes come through and however they are cut;
/// also if the loop polls while a read has the memory.
#[test]
fn every_way_in_comes_to_the_same() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..60 {
        let role = ROLES[round % 2];
        let mut wire = Vec::new();
        for _ in 0..1 + random.below(12) {
            let len = [0, 5, 125, 300, 3000, 20_000][random.below(6)];
            let text = "grün ".repeat(len / 6);
            let (first, payload) = match random.below(8) {
                0..=2 => (FIN | TEXT, text.as_bytes()),
                3 | 4 => (FIN | BINARY, text.as_bytes()),
                5 => (FIN | PING, &b"ping"[..]),
                6 => (FIN | PONG, &b""[..]),
                _ => (TEXT, text.as_bytes()),
            };
            wire.extend(frame(peer(role), first, payload));
            if first == TEXT {
                wire.extend(frame(peer(role), FIN | CONTINUATION, b"end"));
            }
        }
        if random.below(3) == 0 {
            let at = random.below(wire.len());
            wire[at] ^= 1 << random.below(8);
        }
        if random.below(3) == 0 {
            wire.extend(frame(peer(role), FIN | CLOSE, &close_body(1000, "")));
        }
        let whole = run(role, Config::default(), &wire, &[]);
        for way in 0..6 {
            let mut ws = open(role, Config::default());
            let mut input = match way % 3 {
                0 => Input::new([0, 1000, 8000, 70_000][random.below(4)]),
                1 => Input::shared([0, 1000][random.below(2)]),
                _ => Input::default(),
            };
            let least = if wire.len() < 3000 { 3 } else { 200 };
            let longest = [least, 500, 5000][random.below(3)];
            let most = 1 + random.below(longest);
            let (mut rest, mut events, mut written) = (&wire[..], Vec::new(), Vec::new());
            while !rest.is_empty() {
                let (piece, more) = rest.split_at((1 + random.below(most)).min(rest.len()));
                rest = more;
                match random.below(3) {
                    _ if way < 3 => input.extend_from_slice(piece),
                    0 => {
                        let mut memory = input.take();
                        let next = ws.poll(&mut input, NOW);
                        let is_over = matches!(next, Next::Over(_));
                        assert!(is_over || matches!(next, Next::Io(io) if !io.read));
                        memory.extend_from_slice(piece);
                        ws.on_read(Ok(piece.len()), input.put_back(memory));
                    }
                    _ => {
                        let mut left = piece;
                        while !left.is_empty() {
                            let space = input.space();
                            let n = space.len().min(left.len());
                            space[..n].copy_from_slice(&left[..n]);
                            ws.on_read(Ok(n), &mut input);
                            left = &left[n..];
                        }
                    }
                }
                while let Next::Event(event) = ws.poll(&mut input, NOW) {
                    events.push(event.into_owned());
                }
                written.extend(drain(&mut ws));
            }
            assert_eq!(events, whole.events, "{role:?}, way {way}, round {round}");
            assert_eq!(parse(role, &written), whole.written);
            assert_eq!(ws.end_of_stream(), whole.ending);
        }
    }
}

/// R190, R199: the end of reading shuts nothing inside a frame in pieces; a Close that was written stays written.
#[test]
fn r190_r199_what_a_close_waits_for() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        begin_frame(&mut ws, 2);
        drain(&mut ws);
        ws.flushed();
        feed(&mut ws, &frame(peer(role), FIN | CLOSE, b""));
        ws.read_ended();
        assert_eq!(io_of(&mut ws).write, None);
        ws.send_frame_payload(b"ab").unwrap();
        assert_eq!(io_of(&mut ws).write, Some(Write::Output));

        let mut ws = open(role, Config::default());
        ws.close(CloseCode::NORMAL, "").unwrap();
        let close = ws.buffered_amount();
        feed(&mut ws, &frame(peer(role), FIN | PING, b""));
        ws.sent(close);
        ws.take_output(&mut Vec::new());
        feed(&mut ws, &frame(peer(role), FIN | CLOSE, b""));
        ws.write_failed();
        assert!(ws.end_of_stream().clean);

        let mut input = Input::default();
        feed_into(&mut ws, &mut input, b"late");
        input.put_back(vec![1]);
        assert!(!input.space().is_empty());
    }
}
