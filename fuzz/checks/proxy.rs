//! Frames that are passed on: what comes out is what went in, as far as it went.

use sockless::{Config, Delivery, Error, Event, Role};

use super::reference::{self, Limits, Seen};
use super::source::{Cuts, Source};
use super::watch::{Watched, open};

pub(crate) fn check(data: &[u8]) {
    let mut source = Source::new(data);
    let limits = Limits::pick(&mut source);
    let choices = source.byte();
    let role = if choices & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let cuts = Cuts::some(&mut source);
    let bytes = source.rest();
    if bytes.len() > 8 << 10 {
        return;
    }
    for cuts in cuts.into_iter().chain([Cuts::Whole]) {
        let mut near = Watched::new(open(role, limits.config().delivery(Delivery::Frames)));
        // What one end receives as a server it passes on as a client.
        let mut far = Watched::new(open(role.peer(), Config::default()));
        for piece in cuts.pieces(bytes) {
            near.feed(piece, |_, event| match event {
                Event::FrameHeader(header) => {
                    far.ws.send_frame_header(header).expect("in order");
                    let (len, before) = (header.payload_len, far.ws.buffered_amount());
                    let overrun = usize::try_from(len).is_ok_and(|len| len < 100);
                    if choices & 2 != 0 && overrun {
                        // Refused, and nothing has changed.
                        let result = far.ws.send_frame_payload(&[0; 100]);
                        assert!(result.is_err());
                        assert_eq!(far.ws.buffered_amount(), before);
                    }
                }
                Event::FramePayload(data) => far.ws.send_frame_payload(data).expect("it fits"),
                Event::Fail(_) => {}
                event => panic!("{event:?}"),
            });
            far.write(usize::from(choices >> 2));
        }
        far.write(usize::MAX);

        // A limit of this end is no limit of the next.
        let wide = Limits {
            frame: usize::MAX,
            message: usize::MAX,
            fragments: u32::MAX,
        };
        let passed_on = reference::read(role, wide, &far.output);
        let mut expected = reference::read(role, limits, bytes);
        if let Some(Seen::Fail(error)) = expected.events.last() {
            // Of the rules, those for the ends are not checked on the way.
            let for_the_ends = match error {
                Error::InvalidUtf8
                | Error::CloseTooShort
                | Error::InvalidCloseCode(_)
                | Error::InvalidCloseReason => true,
                _ => passed_on.events.last() == Some(&Seen::Fail(Error::ReservedBits)),
            };
            if !for_the_ends {
                expected.events.pop();
            }
        }
        assert_eq!(passed_on.events, expected.events, "{cuts:?}");
    }
}
