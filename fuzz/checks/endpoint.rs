//! Anything, fed to an open connection.

use sockless::{Config, Event, Role};

use super::reference::{self, Limits, Seen};
use super::source::{Cuts, Source};
use super::watch::{converse, measure, open};
use super::wire;

/// Longer input could meet the high-water mark, where how it is cut does matter for the pongs.
const LONGEST: usize = 8 << 10;

pub(crate) fn check(role: Role, data: &[u8]) {
    let mut source = Source::new(data);
    let limits = Limits::pick(&mut source);
    let is_echo = source.flag();
    let cuts = Cuts::some(&mut source);
    let bytes = source.rest();
    if bytes.len() > LONGEST {
        return;
    }
    let echo = |ws: &mut sockless::Connection, event: &Event<'_>| {
        if !is_echo {
            return;
        }
        match event {
            Event::Text(text) => ws.send_text(text).expect("open"),
            Event::Binary(data) => ws.send_binary(data).expect("open"),
            _ => {}
        }
    };

    let whole = converse(open(role, limits.config()), bytes, Cuts::Whole, echo);
    let expected = reference::read(role, limits, bytes);
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
    expected.check_answers(&frames, &whole.ending);

    for cuts in cuts {
        let cut = converse(open(role, limits.config()), bytes, cuts, echo);
        assert_eq!(cut, whole, "{cuts:?}");
    }

    // Of what nobody writes, less than the mark, a pong or two, and a Close; of the message, twice
    // its size and once more while it moves.
    let mark = 300;
    let config = || -> Config { limits.config().high_water_mark(mark) };
    let limit = 3 * limits.message.min(bytes.len()) + 3 * mark + 1024;
    for cuts in [Cuts::Whole, cuts[1]] {
        measure(|| open(role, config()), bytes, cuts, limit, |_, _| {});
    }
}
