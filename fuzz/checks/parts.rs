//! [`Delivery::Parts`] is [`Delivery::Messages`] in pieces.

use sockless::{Delivery, Event, Fin, Role};

use super::reference::{self, Limits, Seen};
use super::source::{Cuts, Source};
use super::watch::{converse, measure, open};
use super::wire;

pub(crate) fn check(data: &[u8]) {
    let mut source = Source::new(data);
    let limits = Limits::pick(&mut source);
    let role = if source.flag() {
        Role::Server
    } else {
        Role::Client
    };
    let cuts = Cuts::some(&mut source);
    let bytes = source.rest();
    let config = || limits.config().delivery(Delivery::Parts);
    if bytes.len() > 8 << 10 {
        return;
    }

    let expected = reference::read(role, limits, bytes);
    for cuts in cuts.into_iter().chain([Cuts::Whole]) {
        let parts = converse(open(role, config()), bytes, cuts, |_, _| {});
        let mut joined = Joined::default();
        let seen: Vec<_> = parts.events.iter().filter_map(|e| joined.put(e)).collect();
        assert_eq!(seen, expected.events, "{cuts:?}");
        let frames = wire::written(role, &parts.output, true);
        expected.check_answers(&frames, &parts.ending);
    }
    // Nothing is gathered but control frames; none of the pongs are written.
    measure(
        || open(role, config().high_water_mark(300)),
        bytes,
        cuts[1],
        1024,
        |_, _| {},
    );
}

/// Parts, put together.
#[derive(Default)]
pub(crate) struct Joined(Option<Seen>);

impl Joined {
    /// What an event completes, or is by itself.
    pub(crate) fn put(&mut self, event: &Event<'_>) -> Option<Seen> {
        let (piece, first, fin) = match event {
            Event::TextPart { text, first, fin } => (Seen::Text(text.to_string()), *first, *fin),
            Event::BinaryPart { data, first, fin } => (Seen::Binary(data.to_vec()), *first, *fin),
            Event::Text(_) | Event::Binary(_) => panic!("a whole message among parts: {event:?}"),
            _ => return Seen::new(event),
        };
        assert_eq!(first, self.0.is_none(), "`first` is the first part");
        self.0 = Some(match (self.0.take(), piece) {
            (None, piece) => piece,
            (Some(Seen::Text(mut text)), Seen::Text(piece)) => {
                assert!(!piece.is_empty() || fin == Fin::Last, "a part of nothing");
                text.push_str(&piece);
                Seen::Text(text)
            }
            (Some(Seen::Binary(mut data)), Seen::Binary(piece)) => {
                assert!(!piece.is_empty() || fin == Fin::Last, "a part of nothing");
                data.extend(piece);
                Seen::Binary(data)
            }
            (begun, piece) => panic!("{piece:?} behind {begun:?}"),
        });
        match fin {
            Fin::Last => self.0.take(),
            Fin::More => None,
        }
    }
}
