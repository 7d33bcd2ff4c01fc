//! Pings and pongs, and what overtakes what: RFC 6455 §5.5.2, §5.5.3, §5.4.

mod common;

use common::*;
use sockless::{CloseCode, Config, Connection, Error, Event, Fin, PongMode, Role};

/// T27: the pong is there with the event, before anything else is called.
#[test]
fn r170_t27_pong_at_once() {
    for role in ROLES {
        let mut bytes = frame(peer(role), FIN | PING, b"now");
        bytes.extend(frame(peer(role), FIN | PING, b"later"));
        let mut ws = open(role, Config::default());
        let mut input = &mut bytes[..];
        assert_eq!(ws.receive(&mut input), Some(ping(b"now")));
        assert!(!input.is_empty());
        assert!(ws.buffered_amount() > 0);
        assert_eq!(parse(role, &drain(&mut ws)), [wrote(FIN | PONG, "now")]);
        assert_eq!(ws.receive(&mut input), Some(ping(b"later")));
        assert_eq!(parse(role, &drain(&mut ws)), [wrote(FIN | PONG, "later")]);
    }
}

/// R171: every length, every byte; also behind a backlog, where the pong takes another way.
#[test]
fn r171_pong_repeats_the_payload() {
    for role in ROLES {
        for mark in [0, 64 << 10] {
            let config = Config::default().high_water_mark(mark);
            for len in 0..=125 {
                let payload: Vec<u8> = (0..=255).rev().cycle().skip(len).take(len).collect();
                let mut talk = Talk::with(role, config.clone());
                assert_eq!(talk.peer(FIN | PING, &payload), [ping(&payload)]);
                assert_eq!(talk.written(), [wrote(FIN | PONG, &payload)]);
            }
            let all: Vec<u8> = (0..=255).collect();
            for payload in all.chunks(100) {
                let wire = frame(peer(role), FIN | PING, payload);
                let transcript = converse(role, config.clone(), &wire);
                assert_eq!(transcript.written, [wrote(FIN | PONG, payload)]);
            }
        }
    }
}

#[test]
fn r172_t29_no_pong_after_the_peers_close_or_a_failure() {
    for role in ROLES {
        let from = peer(role);
        let late = frame(from, FIN | PING, b"late");
        let wire = [frame(from, FIN | CLOSE, b""), late.clone()].concat();
        let transcript = converse(role, Config::default(), &wire);
        assert_eq!(transcript.events, [closed(None, "")]);
        assert_eq!(transcript.written, [wrote(FIN | CLOSE, "")]);
        let wire = [frame(from, FIN | 3, b""), late.clone()].concat();
        fails(role, Config::default(), &wire, Error::ReservedOpcode(3));
        // Simultaneous, with our Close written or not.
        for written in [true, false] {
            let mut talk = Talk::new(role);
            talk.ws.close(CloseCode::NORMAL, "").unwrap();
            if written {
                talk.written();
            }
            talk.peer(FIN | CLOSE, b"");
            let pending = talk.ws.buffered_amount();
            assert_eq!(feed(&mut talk.ws, &late), []);
            assert_eq!(talk.ws.buffered_amount(), pending);
            assert_eq!(talk.ws.send_pong(b"late"), Ok(()));
            assert_eq!(talk.ws.buffered_amount(), pending);
        }
        // What was asked before the Close may still be answered.
        let mut talk = Talk::new(role);
        talk.peer(FIN | PING, b"in time");
        talk.peer(FIN | CLOSE, b"");
        assert_eq!(
            talk.written(),
            [wrote(FIN | PONG, "in time"), wrote(FIN | CLOSE, "")]
        );
    }
}

/// R173: our Close is out, the peer's is not: it may wait for the pong before it answers.
#[test]
fn r173_t29_pong_after_our_close() {
    for role in ROLES {
        for written in [true, false] {
            let mut talk = Talk::new(role);
            talk.ws.close(CloseCode::NORMAL, "").unwrap();
            let mut frames = Vec::new();
            if written {
                frames.extend(talk.written());
            }
            assert_eq!(
                talk.peer(FIN | PING, b"still there?"),
                [ping(b"still there?")]
            );
            talk.ws.send_pong(b"by hand").unwrap();
            frames.extend(talk.written());
            assert_eq!(
                frames,
                [
                    wrote(FIN | CLOSE, close_body(1000, "")),
                    wrote(FIN | PONG, "still there?"),
                    wrote(FIN | PONG, "by hand"),
                ]
            );
            talk.peer(FIN | CLOSE, close_body(1000, ""));
            assert!(talk.ws.output().is_empty());
            assert!(talk.ws.end_of_stream().clean);
        }
        // Behind a backlog: ahead of what waits, the Close as well.
        let mut talk = Talk::with(role, Config::default().high_water_mark(10));
        talk.ws.send_binary(&[1; 300]).unwrap();
        talk.ws.close(CloseCode::NORMAL, "").unwrap();
        talk.peer(FIN | PING, b"1");
        talk.peer(FIN | PING, b"2");
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | PONG, "2"),
                wrote(FIN | BINARY, [1; 300]),
                wrote(FIN | CLOSE, close_body(1000, "")),
            ]
        );
        talk.peer(FIN | CLOSE, b"");
        assert!(talk.ws.end_of_stream().clean);
    }
}

/// R174, T26: while output is small each ping is answered, drained between or not (Autobahn 2.10).
#[test]
fn r174_t26_ten_pings_ten_pongs() {
    for role in ROLES {
        for drained in [true, false] {
            let mut talk = Talk::new(role);
            let mut written = Vec::new();
            for i in 0..10_u8 {
                talk.peer(FIN | PING, [i; 125]);
                if drained {
                    written.extend(talk.written());
                }
            }
            written.extend(talk.written());
            let expected: Vec<_> = (0..10_u8).map(|i| wrote(FIN | PONG, [i; 125])).collect();
            assert_eq!(written, expected);
        }
        // In one read.
        let wire: Vec<u8> = (0..10_u8)
            .flat_map(|i| frame(peer(role), FIN | PING, &[i]))
            .collect();
        let expected: Vec<_> = (0..10_u8).map(|i| wrote(FIN | PONG, [i])).collect();
        assert_eq!(converse(role, Config::default(), &wire).written, expected);
    }
}

/// R174: the mark is exact, and counts everything that waits.
#[test]
fn r174_high_water_mark() {
    for role in ROLES {
        let head = header(role, FIN | BINARY, 300).len();
        for (len, answered) in [(299, &["1", "2"][..]), (300, &["2"])] {
            let mut talk = Talk::with(role, Config::default().high_water_mark(head + 300));
            talk.ws.send_binary(vec![0; len]).unwrap();
            assert_eq!(talk.ws.buffered_amount(), head + len);
            talk.peer(FIN | PING, b"1");
            if len < 300 {
                // One byte below: the first one is queued behind, and then the mark is passed.
                talk.peer(FIN | PING, b"2");
                assert_eq!(
                    talk.written(),
                    [
                        wrote(FIN | PONG, answered[1]),
                        wrote(FIN | BINARY, vec![0; len]),
                        wrote(FIN | PONG, answered[0]),
                    ]
                );
            } else {
                talk.peer(FIN | PING, b"2");
                assert_eq!(
                    talk.written(),
                    [
                        wrote(FIN | PONG, answered[0]),
                        wrote(FIN | BINARY, vec![0; len])
                    ]
                );
            }
            // Drained: one for one again.
            talk.peer(FIN | PING, b"3");
            talk.peer(FIN | PING, b"4");
            assert_eq!(
                talk.written(),
                [wrote(FIN | PONG, "3"), wrote(FIN | PONG, "4")]
            );
        }
    }
}

/// R174, T26: a flood that nobody drains: what waits is bounded, and the latest ping is answered.
#[test]
fn r174_t26_flood_never_drained() {
    for role in ROLES {
        for (config, mark) in [
            (Config::default(), 64 << 10),
            (Config::default().high_water_mark(0), 0),
            (Config::default().high_water_mark(1000), 1000),
        ] {
            let mut talk = Talk::with(role, config);
            for i in 0..3000_u32 {
                let payload = [&i.to_be_bytes()[..], &[0xaa; 121]].concat();
                talk.peer(FIN | PING, payload);
                // Below the mark plus the one that passes it, and one ahead of them.
                assert!(talk.ws.buffered_amount() <= mark + 2 * 131);
            }
            let written = talk.written();
            let last = [&2999_u32.to_be_bytes()[..], &[0xaa; 121]].concat();
            assert_eq!(written[0], wrote(FIN | PONG, last));
            let numbers: Vec<u32> = written[1..]
                .iter()
                .map(|pong| u32::from_be_bytes(*pong.payload.first_chunk().unwrap()))
                .collect();
            assert!(
                numbers
                    .iter()
                    .copied()
                    .eq(0..u32::try_from(numbers.len()).unwrap())
            );
            assert_eq!(numbers.is_empty(), mark == 0);
        }
    }
}

#[test]
fn r175_unsolicited_pong() {
    for role in ROLES {
        for payload in [&b""[..], b"alive", &[0xff; 125]] {
            let wire = frame(peer(role), FIN | PONG, payload).repeat(3);
            let transcript = converse(role, Config::default(), &wire);
            assert_eq!(
                transcript.events,
                [pong(payload), pong(payload), pong(payload)]
            );
            assert_eq!(transcript.written, []);
            assert_eq!(transcript.ending.error, None);
        }
    }
}

/// R176: from the first moment on, and inside a message; not after our Close (`r192`).
#[test]
fn r176_ping_at_any_time() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_ping(b"first").unwrap();
        talk.ws.send_text_part("a", Fin::More).unwrap();
        talk.ws.send_ping(&[1; 125]).unwrap();
        talk.ws.send_ping(b"").unwrap();
        talk.ws.send_text_part("b", Fin::Last).unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | PING, "first"),
                wrote(TEXT, "a"),
                wrote(FIN | PING, [1; 125]),
                wrote(FIN | PING, ""),
                wrote(FIN, "b"),
            ]
        );
        talk.ws.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(talk.ws.send_ping(b""), Ok(()));
    }
}

/// R177, T29: between fragments that wait; never inside one, wherever its writing has come to; and
/// no later than its end.
#[test]
fn r177_t29_pong_at_the_next_frame_boundary() {
    for role in ROLES {
        let config = Config::default().fragment_size(100).high_water_mark(50);
        let message: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let size = header(role, 0, 100).len() + 100;
        for written in 0..=1000 + 10 * (size - 100) {
            let mut talk = Talk::with(role, config.clone());
            talk.ws.send_binary(&message).unwrap();
            let mut bytes = talk.ws.output()[..written].to_vec();
            talk.ws.sent(written);
            let backlog = talk.ws.buffered_amount();
            talk.peer(FIN | PING, b"?");
            bytes.extend(drain(&mut talk.ws));
            let frames = parse(role, &bytes);
            assert_eq!(frames.len(), 11);
            let at = frames.iter().position(|frame| frame.first == FIN | PONG);
            // At the start of a frame, or behind the one that had begun. Below the mark: in order.
            let expected = if backlog < 50 {
                10
            } else {
                written.div_ceil(size)
            };
            assert_eq!(at, Some(expected), "{written} bytes written");
            let data: Vec<u8> = frames
                .into_iter()
                .filter(|frame| frame.first != FIN | PONG)
                .flat_map(|frame| frame.payload)
                .collect();
            assert_eq!(data, message);
        }
    }
}

#[test]
fn t29_pong_waits_for_one_large_frame_only() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_binary(&[1; 300_000]).unwrap();
        talk.ws.send_binary(&[2; 300_000]).unwrap();
        let mut bytes = talk.ws.output()[..1000].to_vec();
        talk.ws.sent(1000);
        talk.peer(FIN | PING, b"?");
        bytes.extend(drain(&mut talk.ws));
        assert_eq!(
            parse(role, &bytes),
            [
                wrote(FIN | BINARY, [1; 300_000]),
                wrote(FIN | PONG, "?"),
                wrote(FIN | BINARY, [2; 300_000]),
            ]
        );
    }
}

/// T28: the caller's own pongs are frames like any other: none is dropped, none drops a reply.
#[test]
fn t28_own_pong_and_reply() {
    for role in ROLES {
        let mut talk = Talk::new(role);
        talk.ws.send_pong(b"before").unwrap();
        talk.peer(FIN | PING, b"asked");
        talk.ws.send_pong(b"after").unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | PONG, "before"),
                wrote(FIN | PONG, "asked"),
                wrote(FIN | PONG, "after"),
            ]
        );
        // Behind a backlog the reply goes ahead, and a later one takes its place; theirs stay.
        let mut talk = Talk::with(role, Config::default().high_water_mark(1));
        talk.ws.send_pong(b"one").unwrap();
        talk.peer(FIN | PING, b"asked");
        talk.ws.send_pong(b"two").unwrap();
        talk.peer(FIN | PING, b"asked again");
        talk.ws.send_pong(b"three").unwrap();
        assert_eq!(
            talk.written(),
            [
                wrote(FIN | PONG, "asked again"),
                wrote(FIN | PONG, "one"),
                wrote(FIN | PONG, "two"),
                wrote(FIN | PONG, "three"),
            ]
        );
    }
}

/// R170, as configured: by the caller, or by nobody.
#[test]
fn r170_pong_modes() {
    for role in ROLES {
        let wire = [
            frame(peer(role), TEXT, b"a"),
            frame(peer(role), FIN | PING, b"?"),
            frame(peer(role), FIN | PONG, b"!"),
            frame(peer(role), FIN, b"b"),
        ]
        .concat();
        let manual = Config::default().pong_mode(PongMode::Manual);
        let transcript = converse(role, manual.clone(), &wire);
        assert_eq!(transcript.events, [ping(b"?"), pong(b"!"), text("ab")]);
        assert_eq!(transcript.written, []);
        let mut talk = Talk::with(role, manual);
        talk.peer(FIN | PING, b"?");
        talk.ws.send_pong(b"?").unwrap();
        assert_eq!(talk.written(), [wrote(FIN | PONG, "?")]);
        // The Close is answered in any mode.
        talk.peer(FIN | CLOSE, b"");
        assert_eq!(talk.written(), [wrote(FIN | CLOSE, "")]);

        let off = Config::default().pong_mode(PongMode::Off);
        let transcript = converse(role, off, &wire);
        assert_eq!(transcript.events, [pong(b"!"), text("ab")]);
        assert_eq!(transcript.written, []);
    }
}

/// What is written of a connection by steps of some kind.
struct Wire {
    talk: Talk,
    written: Vec<u8>,
}

impl Wire {
    /// Writes `n` bytes, or all that there are, over as many slices as it takes; says that `n` were.
    fn write(&mut self, n: usize) {
        let ws = &mut self.talk.ws;
        let (before, pending) = (self.written.len(), ws.buffered_amount());
        assert_eq!(ws.outputs().next().unwrap_or_default(), ws.output());
        assert_eq!(ws.outputs().map(<[u8]>::len).sum::<usize>(), pending);
        self.written.extend(ws.outputs().flatten().take(n));
        ws.sent(n);
        assert_eq!(ws.buffered_amount() + self.written.len() - before, pending);
    }
}

/// What a ping is owed.
struct Asked {
    payload: Vec<u8>,
    /// How much had been written when it came.
    at: usize,
    /// Whether it found the output at or above the mark.
    backed_up: bool,
}

/// T30: data, pings and partial writes in a random order; then the whole of what was written is
/// compared with what was asked for.
#[test]
fn r174_t30_partial_drains() {
    for role in ROLES {
        for seed in 1..=400_u64 {
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mark = [0, 1, 60, 200, 700][random.below(5)];
            let step = [1, 2, 20, 300][random.below(4)];
            let config = Config::default()
                .high_water_mark(mark)
                .fragment_size([50, 1000][random.below(2)]);
            let mut wire = Wire {
                talk: Talk::with(role, config),
                written: Vec::new(),
            };
            let (mut data, mut asked, mut own) = (Vec::new(), Vec::new(), Vec::new());
            for number in 0..150_u32 {
                match random.below(12) {
                    0 | 1 => {
                        let bytes: Vec<u8> = (0..random.below(400))
                            .map(|i| low_byte(i as u64 % 251))
                            .collect();
                        wire.talk.ws.send_binary(&bytes).unwrap();
                        data.extend(&bytes);
                    }
                    2..=4 => {
                        let mut payload = number.to_be_bytes().to_vec();
                        payload.resize(4 + random.below(122), 0xcc);
                        asked.push(Asked {
                            payload: payload.clone(),
                            at: wire.written.len(),
                            backed_up: wire.talk.ws.buffered_amount() >= mark,
                        });
                        let events = wire.talk.peer(FIN | PING, &payload);
                        assert_eq!(events, [ping(&payload)]);
                    }
                    5 => {
                        let payload = [&b"own"[..], &number.to_be_bytes()].concat();
                        wire.talk.ws.send_ping(&payload).unwrap();
                        own.push(payload);
                    }
                    6 => wire.write(0),
                    7 => {
                        // All that is offered, and more than that.
                        wire.write(wire.talk.ws.output().len() + random.below(1000));
                    }
                    _ => {
                        for _ in 0..random.below(100) {
                            wire.write(random.below(step) + 1);
                        }
                    }
                }
                // Never nothing while something waits, and never more than waits.
                let ws = &wire.talk.ws;
                assert_eq!(ws.output().is_empty(), ws.buffered_amount() == 0);
                assert!(ws.output().len() <= ws.buffered_amount());
            }
            while wire.talk.ws.buffered_amount() > 0 {
                wire.write(step);
            }
            check_written(role, &wire.written, &data, &own, &asked);
        }
    }
}

fn check_written(role: Role, written: &[u8], data: &[u8], own: &[Vec<u8>], asked: &[Asked]) {
    // No frame is cut by another, or `parse` makes no sense of it.
    let frames = parse(role, written);
    let head = |len: usize| header(role, 0, len as u64).len();
    let mut boundaries = vec![0];
    for frame in &frames {
        let len = frame.payload.len();
        boundaries.push(boundaries.last().unwrap() + head(len) + len);
    }
    let is = |kind: u8| move |frame: &&Frame| frame.first & 15 == kind;
    // Nothing lost, doubled or out of order among what the caller queued.
    let got: Vec<u8> = frames
        .iter()
        .filter(|frame| frame.first & 8 == 0)
        .flat_map(|frame| frame.payload.clone())
        .collect();
    assert_eq!(got, data);
    let got: Vec<_> = frames
        .iter()
        .filter(is(PING))
        .map(|f| f.payload.clone())
        .collect();
    assert_eq!(got, own);
    // Each pong answers one ping, once.
    let start_of = |payload: &[u8]| {
        let mut places = (0..frames.len())
            .filter(|i| frames[*i].first == FIN | PONG && frames[*i].payload == payload);
        let place = places.next();
        assert!(places.next().is_none(), "a pong twice");
        place.map(|i| boundaries[i])
    };
    let starts: Vec<_> = asked.iter().map(|ping| start_of(&ping.payload)).collect();
    assert_eq!(
        starts.iter().flatten().count(),
        frames.iter().filter(is(PONG)).count()
    );
    // With little waiting: every one, in order.
    let in_order: Vec<_> = asked
        .iter()
        .zip(&starts)
        .filter(|(ping, _)| !ping.backed_up)
        .map(|(_, s)| s)
        .collect();
    assert!(in_order.iter().all(|start| start.is_some()));
    assert!(in_order.is_sorted());
    // Backed up: at the boundary that was next when it came, or, had its predecessor not begun by
    // then, in its place.
    let urgent: Vec<_> = asked
        .iter()
        .zip(&starts)
        .filter(|(ping, _)| ping.backed_up)
        .collect();
    let mut due = None;
    for (i, (ping, start)) in urgent.iter().enumerate() {
        let next_boundary = *boundaries.iter().find(|at| **at >= ping.at).unwrap();
        let due_here = due.unwrap_or(next_boundary);
        // The next one came when this one had not begun.
        let superseded = urgent
            .get(i + 1)
            .is_some_and(|(next, _)| next.at <= due_here);
        if superseded {
            assert_eq!(**start, None, "an older ping is not answered");
            due = Some(due_here);
        } else {
            assert_eq!(
                **start,
                Some(due_here),
                "the latest ping is answered, and when"
            );
            due = None;
        }
    }
}

/// T30: output that is looked at and abandoned, over and over, changes nothing; more than all of it
/// may be said to be written.
#[test]
fn t30_abandoned_and_exaggerated() {
    for role in ROLES {
        for mark in [0, 1 << 20] {
            let config = Config::default().high_water_mark(mark);
            let mut talk = Talk::with(role, config);
            talk.ws.send_binary(&[1; 200]).unwrap();
            talk.peer(FIN | PING, b"?");
            talk.ws.send_binary(&[2; 200]).unwrap();
            let mut written = Vec::new();
            while !talk.ws.output().is_empty() {
                let first = talk.ws.output().to_vec();
                talk.ws.sent(0);
                assert_eq!(talk.ws.output(), first);
                assert_eq!(feed(&mut talk.ws, b""), []);
                assert_eq!(talk.ws.output(), first);
                written.extend(&first);
                talk.ws.sent(first.len());
            }
            assert_eq!(talk.ws.buffered_amount(), 0);
            assert_eq!(parse(role, &written).len(), 3);
            // More than there is counts as all of it.
            talk.ws.send_text("x").unwrap();
            talk.ws.sent(usize::MAX);
            assert_eq!((talk.ws.output(), talk.ws.buffered_amount()), (&b""[..], 0));
        }
    }
}

/// T30: every way to cut the writing in three, with a ping at each cut.
#[test]
fn t30_pings_at_every_pair_of_cuts() {
    for role in ROLES {
        let mut first_cut = 0;
        loop {
            let mut second_cut = 0;
            let mut more = false;
            loop {
                let config = Config::default().high_water_mark(0);
                let mut wire = Wire {
                    talk: Talk::with(role, config),
                    written: Vec::new(),
                };
                wire.talk.ws.send_binary(b"data").unwrap();
                wire.talk.ws.send_binary(b"more").unwrap();
                let mut asked = Vec::new();
                for (number, cut) in [(0_u8, first_cut), (1, second_cut), (2, 1), (3, 0)] {
                    let before = wire.written.len();
                    while wire.written.len() < before + cut && wire.talk.ws.buffered_amount() > 0 {
                        wire.write(1);
                    }
                    asked.push(Asked {
                        payload: vec![number; 4],
                        at: wire.written.len(),
                        backed_up: true,
                    });
                    wire.talk.peer(FIN | PING, [number; 4]);
                    more |= number == 1 && wire.written.len() == before + cut;
                }
                while wire.talk.ws.buffered_amount() > 0 {
                    wire.write(3);
                }
                check_written(role, &wire.written, b"datamore", &[], &asked);
                second_cut += 1;
                if second_cut > 40 {
                    break;
                }
            }
            first_cut += 1;
            if first_cut > 30 {
                assert!(more);
                break;
            }
        }
    }
}

/// The events of pings are not affected by how their answers wait.
#[test]
fn r174_each_ping_is_reported() {
    for role in ROLES {
        let mut ws: Connection = open(role, Config::default().high_water_mark(0));
        let wire = frame(peer(role), FIN | PING, b"x").repeat(50);
        let events = feed(&mut ws, &wire);
        assert_eq!(events.len(), 50);
        assert!(events.iter().all(|event| matches!(event, Event::Ping(_))));
    }
}
