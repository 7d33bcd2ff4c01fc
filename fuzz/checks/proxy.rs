//! Frames that are passed on: what comes out is what went in, as far as it went.

use sockless::frame::{Header, Opcode};
use sockless::{Config, Connection, Delivery, Error, Event, Role, State};

use super::reference::{self, Limits, Seen};
use super::source::{Cuts, Source};
use super::watch::{Watched, measure, open};
use super::wire;

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
    let frames = || Config::default().delivery(Delivery::Frames);
    let make_near = || open(role, limits.config().delivery(Delivery::Frames));
    for cuts in cuts.into_iter().chain([Cuts::Whole]) {
        let mut near = Watched::new(make_near());
        let in_frame = choices & 4 != 0;
        if in_frame {
            begin_frame(&mut near.ws);
        }
        let begun = near.write(usize::MAX).len();
        // What one end receives as a server it passes on as a client.
        let mut far = Watched::new(open(role.peer(), frames()));
        for piece in cuts.pieces(bytes) {
            near.feed(piece, |_, event| match event {
                Event::FrameHeader(header) => {
                    far.ws.send_frame_header(header).expect("in order");
                    let (len, before) = (header.payload_len, far.ws.buffered_amount());
                    let overrun = usize::try_from(len).is_ok_and(|len| len < 100);
                    if choices & 2 != 0 && overrun {
                        // Refused, and nothing has changed.
                        let result = far.ws.send_frame_payload(&[0; 100]);
                        let is_over = far.ws.state() != State::Open;
                        assert!(result.is_err() || is_over, "late, or refused");
                        assert_eq!(far.ws.buffered_amount(), before);
                    }
                }
                Event::FramePayload(data) => far.ws.send_frame_payload(data).expect("it fits"),
                Event::Fail(_) => {}
                event => panic!("{event:?}"),
            });
            near.write(usize::MAX);
            far.write(usize::from(choices >> 2));
        }
        far.write(usize::MAX);

        // Of its own it writes nothing but a Close where a rule was broken, and none inside a frame.
        let near = near.finish();
        let failed = match near.events.last() {
            Some(Event::Fail(error)) => Some(*error),
            _ => None,
        };
        let own = wire::written(role, &near.output[begun..], true);
        let close = failed.filter(|_| !in_frame).and_then(|e| e.close_code());
        assert_eq!(own.len(), usize::from(close.is_some()));
        for frame in own {
            assert_eq!(frame.opcode, wire::CLOSE);
            assert_eq!(wire::close_body(&frame.payload).0, close.map(u16::from));
        }
        assert_eq!(near.ending.error, failed);
        assert_eq!(near.ending.sent_code, close);
        assert!(!near.ending.clean, "no Close was answered");

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

    // Where all is written at once, nothing is gathered.
    let mut far = open(role.peer(), frames());
    measure(make_near, bytes, cuts[2], 1024, move |_, event| {
        match event {
            Event::FrameHeader(header) => far.send_frame_header(header).expect("in order"),
            Event::FramePayload(data) => far.send_frame_payload(data).expect("it fits"),
            _ => {}
        }
        far.sent(usize::MAX);
    });
}

/// A frame from the other side of the proxy that does not come to its end.
fn begin_frame(ws: &mut Connection) {
    let header = Header {
        fin: true,
        rsv1: false,
        opcode: Opcode::Binary,
        mask: None,
        payload_len: 3,
    };
    ws.send_frame_header(&header).expect("open");
    ws.send_frame_payload(b"ab").expect("it fits");
}
