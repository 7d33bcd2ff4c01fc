//! Anything, fed to an open connection.

use core::time::Duration;

use sockless::{CloseCode, Config, Connection, Event, PongMode, Role, State};

use super::reference::{self, Limits, Seen};
use super::source::{Cuts, Source};
use super::watch::{
    Watched, converse, converse_keeping, limit_entropy, measure, most_queued, open,
};
use super::wire;

/// Longer input could meet the high-water mark, where how it is cut does matter for the pongs.
const LONGEST: usize = 8 << 10;

pub(crate) fn check(role: Role, data: &[u8]) {
    let mut source = Source::new(data);
    let limits = Limits::pick(&mut source);
    let choices = source.byte();
    let is_echo = choices & 1 != 0;
    let pongs = match choices >> 1 & 3 {
        1 => PongMode::Manual,
        2 => PongMode::Off,
        _ => PongMode::Automatic,
    };
    let cuts = Cuts::some(&mut source);
    let bytes = source.rest();
    if bytes.len() > LONGEST {
        return;
    }
    let echo = |ws: &mut Connection, event: &Event<'_>| {
        if !is_echo {
            return;
        }
        match event {
            Event::Text(text) => ws.send_text(&**text).expect("open"),
            Event::Binary(data) => ws.send_binary(&**data).expect("open"),
            _ => {}
        }
    };

    let make = || open(role, limits.config().pong_mode(pongs));
    let whole = converse(make(), bytes, Cuts::Whole, echo);
    let mut expected = reference::read(role, limits, bytes);
    let is_ping = |event: &Seen| matches!(event, Seen::Ping(_));
    if pongs == PongMode::Off {
        expected.events.retain(|event| !is_ping(event));
    }
    assert_eq!(Seen::all(&whole.events), expected.events);
    assert_eq!(Seen::all(&whole.events).len(), whole.events.len());
    let (echoes, frames): (Vec<_>, Vec<_>) = wire::written(role, &whole.output, true)
        .into_iter()
        .partition(|frame| frame.opcode < 8);
    let mut echoes = echoes.into_iter().map(|frame| frame.payload);
    if is_echo {
        // In the order of the events.
        for event in &expected.events {
            match event {
                Seen::Text(text) => assert_eq!(echoes.next().as_deref(), Some(text.as_bytes())),
                Seen::Binary(data) => assert_eq!(echoes.next().as_ref(), Some(data)),
                _ => {}
            }
        }
    }
    assert_eq!(echoes.next(), None);
    let answered = reference::Expected {
        // Nobody answers these.
        events: match pongs {
            PongMode::Manual => {
                let events = expected.events.iter();
                events.filter(|event| !is_ping(event)).cloned().collect()
            }
            _ => expected.events,
        },
        ..expected
    };
    answered.check_answers(&frames, &whole.ending);

    for cuts in cuts {
        let cut = converse(make(), bytes, cuts, echo);
        assert_eq!(cut, whole, "{cuts:?}");
    }

    let kept = converse_keeping(make(), bytes, cuts[2], echo);
    assert_eq!(kept, whole, "kept");

    // Of the message, four times what has come of it, or twice what it may come to.
    let mark = 300;
    let config = || -> Config { limits.config().high_water_mark(mark) };
    let gathered = limits.message.saturating_mul(2).min(4 * bytes.len());
    let limit = gathered + 2 * most_queued(mark);
    for cuts in [Cuts::Whole, cuts[1]] {
        measure(|| open(role, config()), bytes, cuts, limit, |_, _| {});
    }
    // And the queue alone, where it does not drown in messages.
    let mut watched = Watched::new(open(role, config()));
    watched.write(1);
    for piece in cuts[2].pieces(bytes) {
        watched.feed(piece, |_, _| {});
        let queued = watched.ws.buffered_amount();
        assert!(queued <= most_queued(mark), "{queued} bytes queued");
    }
    against_the_clock(role, limits, bytes, cuts[2]);
}

/// With deadlines, output that gets stuck and entropy that runs out, all as the bytes will have it:
/// what holds always holds then, and in the end it is over.
fn against_the_clock(role: Role, limits: Limits, bytes: &[u8], cuts: Cuts) {
    let step = u32::try_from(bytes.len() % 4).expect("below 4") * Duration::from_millis(300);
    let second = Duration::from_secs(1);
    let config = limits
        .config()
        .keepalive(second, second)
        .idle_timeout(3 * second)
        .message_timeout(2 * second)
        .close_timeout(second);
    let mut watched = Watched::new(open(role, config));
    limit_entropy(bytes.first().map_or(0, |byte| u32::from(byte % 4)));
    let mut now = Duration::ZERO;
    for piece in cuts.pieces(bytes) {
        watched.tick(now);
        watched.feed(piece, |ws, event| {
            // Whatever may become of it.
            let _ = match event {
                Event::Text(text) => ws.send_text(&**text),
                Event::Binary(data) if data.len() % 7 == 6 => ws.close(CloseCode::NORMAL, ""),
                Event::Binary(data) => ws.send_binary(&**data),
                Event::Pong(data) => ws.send_ping(data),
                _ => Ok(()),
            };
        });
        watched.write(usize::from(piece[0]));
        now += step;
    }
    let mut turns = 0;
    while let Some(until) = watched.tick(now) {
        watched.feed(b"", |_, _| {});
        now = until;
        turns += 1;
        assert!(turns < 10, "it does not end");
    }
    watched.feed(b"", |_, _| {});
    assert_eq!(watched.ws.state(), State::Closed, "left alone, it ends");
    let done = watched.finish();
    let frames = wire::written(role, &done.output, false);
    let closed = |event: &Event<'_>| matches!(event, Event::Close(_));
    let both = done.events.iter().any(closed) && frames.iter().any(|f| f.opcode == wire::CLOSE);
    assert_eq!(done.ending.clean, both, "R199: both Closes have left");
}
