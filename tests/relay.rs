//! Frames as frames: what a proxy passes on is what it got, frame by frame.

mod common;

use std::time::Duration;

use common::*;
use sockless::frame::{Header, Opcode};
use sockless::{
    CloseCode, Config, Connection, Delivery, Error, Event, Fin, Role, SendError, State, Transport,
};

fn raw(role: Role) -> Connection {
    open(role, Config::default().delivery(Delivery::Frames))
}

/// The header of a message of one frame.
fn whole(opcode: Opcode, payload_len: u64) -> Header {
    Header {
        fin: true,
        rsv1: false,
        opcode,
        mask: None,
        payload_len,
    }
}

/// Passes on what `from` receives of `piece`, and returns what `to` writes for it.
fn relay(from: &mut Connection, to: &mut Connection, piece: &[u8]) -> Vec<u8> {
    for event in feed(from, piece) {
        match event {
            Event::FrameHeader(header) => to.send_frame_header(&header).unwrap(),
            Event::FramePayload(data) => to.send_frame_payload(&data).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    drain(to)
}

/// R266, R157: opcode, FIN, RSV1, fragments and payload stay; only the mask is each hop's own.
#[test]
fn frames_pass_through_as_they_came() {
    for role in ROLES {
        let from = peer(role);
        let frames = [
            wrote(RSV1 | TEXT, b"compressed, for all we know"),
            wrote(FIN | PING, b"not ours to answer"),
            wrote(CONTINUATION, b""),
            wrote(FIN | CONTINUATION, b"\xff\xfe"),
            wrote(FIN | TEXT, b"\xc0 not UTF-8 either"),
            wrote(FIN | BINARY, [7; 300]),
            wrote(FIN | PONG, b""),
            wrote(FIN | CLOSE, close_body(4000, "why not")),
        ];
        let wire: Vec<u8> = frames
            .iter()
            .flat_map(|f| frame(from, f.first, &f.payload))
            .collect();
        for step in 1..=wire.len() {
            let (mut near, mut far) = (raw(role), raw(from));
            let out: Vec<u8> = wire
                .chunks(step)
                .flat_map(|piece| relay(&mut near, &mut far, piece))
                .collect();
            assert_eq!(parse(from, &out), frames, "in steps of {step}");
            assert_eq!(near.output(), b"", "nothing is answered");
            // The far end's answer goes the other way, and that is the end of both.
            let answer = frame(role, FIN | CLOSE, &close_body(4000, ""));
            let back = relay(&mut far, &mut near, &answer);
            assert_eq!(
                parse(role, &back),
                [wrote(FIN | CLOSE, close_body(4000, ""))]
            );
            for (ws, reason) in [(&mut near, "why not"), (&mut far, "")] {
                let ending = ws.end_of_stream();
                assert_eq!(
                    (ending.code, &*ending.reason, ending.clean),
                    (4000, reason, true)
                );
                assert_eq!(ending.sent_code, CloseCode::new(4000));
            }
        }
    }
}

/// The rules of frames and of their order hold; a violation is answered as ever.
#[test]
fn frames_are_checked_as_frames() {
    for role in ROLES {
        let from = peer(role);
        let bad = [
            (frame(from, FIN | RSV2 | TEXT, b""), Error::ReservedBits),
            (frame(from, FIN | RSV1 | PING, b""), Error::ReservedBits),
            (
                frame(from, FIN | CONTINUATION, b""),
                Error::UnexpectedContinuation,
            ),
            (
                [frame(from, TEXT, b""), frame(from, FIN | BINARY, b"")].concat(),
                Error::ExpectedContinuation,
            ),
            (
                frame(role, FIN | TEXT, b"x"),
                match role {
                    Role::Server => Error::MissingMask,
                    Role::Client => Error::UnexpectedMask,
                },
            ),
            (header(from, FIN | BINARY, 1 << 40), Error::FrameTooLarge),
        ];
        for (wire, error) in bad {
            let mut ws = raw(role);
            assert_eq!(feed(&mut ws, &wire).last(), Some(&Event::Fail(error)));
            assert_eq!(parse(role, &drain(&mut ws)).len(), 1);
            assert_eq!(ws.transport(), Transport::ShutWrite);
        }
    }
}

/// R158, R159, T11: frames count as parts of their message, though none is gathered.
#[test]
fn t11_t14_limits_of_messages_that_pass_through() {
    for role in ROLES {
        let from = peer(role);
        let config = Config::default()
            .delivery(Delivery::Frames)
            .max_message_size(10)
            .max_fragments(3);
        let large = [frame(from, BINARY, &[0; 6]), frame(from, FIN, &[0; 5])];
        let many = [
            frame(from, BINARY, b"x"),
            frame(from, CONTINUATION, b"").repeat(3),
        ];
        for (frames, error) in [
            (large, Error::MessageTooLarge),
            (many, Error::TooManyFragments),
        ] {
            let mut ws = open(role, config.clone());
            let events = feed(&mut ws, &frames.concat());
            assert_eq!(events.last(), Some(&Event::Fail(error)));
        }
    }
}

/// R266: the announced length is kept exactly: neither more, nor less, nor anything between.
#[test]
fn r266_a_frame_in_pieces_is_kept_whole() {
    let text = |payload_len| whole(Opcode::Text, payload_len);
    for role in ROLES {
        let mut ws = raw(role);
        assert_eq!(ws.send_frame_payload(b"x"), Err(SendError::FrameOverrun));
        ws.send_frame_header(&text(5)).unwrap();
        ws.send_frame_payload(b"He").unwrap();
        let before = ws.buffered_amount();
        assert_eq!(ws.send_frame_payload(b"llo!"), Err(SendError::FrameOverrun));
        assert_eq!(
            ws.send_frame_header(&text(1)),
            Err(SendError::FrameInProgress)
        );
        assert_eq!(ws.send_text("x"), Err(SendError::FrameInProgress));
        assert_eq!(
            ws.send_text_part("x", Fin::Last),
            Err(SendError::FrameInProgress)
        );
        assert_eq!(ws.send_ping(b""), Err(SendError::FrameInProgress));
        assert_eq!(ws.send_pong(b""), Err(SendError::FrameInProgress));
        assert_eq!(
            ws.close(CloseCode::NORMAL, ""),
            Err(SendError::FrameInProgress)
        );
        assert_eq!(ws.buffered_amount(), before, "nothing was queued");
        ws.send_frame_payload(b"").unwrap();
        ws.send_frame_payload(b"llo").unwrap();
        assert_eq!(ws.send_frame_payload(b"x"), Err(SendError::FrameOverrun));
        ws.send_frame_header(&text(0)).unwrap();
        ws.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(ws.send_frame_header(&text(0)), Err(SendError::Closed));
        let written = parse(role, &drain(&mut ws));
        let close = wrote(FIN | CLOSE, close_body(1000, ""));
        assert_eq!(
            written,
            [wrote(FIN | TEXT, "Hello"), wrote(FIN | TEXT, ""), close]
        );
    }
}

/// R262, R263, R126: no frame leaves that would break a rule.
#[test]
fn r262_r263_frames_keep_the_rules_of_sending() {
    let header = |opcode, fin, rsv1, payload_len| Header {
        fin,
        rsv1,
        opcode,
        mask: None,
        payload_len,
    };
    for role in ROLES {
        let mut ws = raw(role);
        for (wrong, error) in [
            (
                header(Opcode::Ping, false, false, 0),
                SendError::InvalidControl,
            ),
            (
                header(Opcode::Pong, true, true, 0),
                SendError::InvalidControl,
            ),
            (
                header(Opcode::Close, true, false, 126),
                SendError::ControlTooLong,
            ),
            (
                header(Opcode::Continuation, true, false, 0),
                SendError::NoMessage,
            ),
            (
                header(Opcode::Binary, true, false, 1 << 63),
                SendError::FrameOverrun,
            ),
        ] {
            assert_eq!(ws.send_frame_header(&wrong), Err(error));
        }
        assert_eq!(ws.buffered_amount(), 0);
        ws.send_frame_header(&header(Opcode::Text, false, false, 0))
            .unwrap();
        let second = header(Opcode::Binary, true, false, 0);
        assert_eq!(
            ws.send_frame_header(&second),
            Err(SendError::MessageInProgress)
        );
        ws.send_frame_header(&header(Opcode::Ping, true, false, 0))
            .unwrap();
        ws.send_frame_header(&header(Opcode::Continuation, true, false, 0))
            .unwrap();
        ws.send_frame_header(&second).unwrap();
        let firsts: Vec<_> = parse(role, &drain(&mut ws))
            .iter()
            .map(|f| f.first)
            .collect();
        assert_eq!(firsts, [TEXT, FIN | PING, FIN | CONTINUATION, FIN | BINARY]);
    }
    let mut connecting = Connection::server(Config::default());
    assert_eq!(
        connecting.send_frame_payload(b""),
        Err(SendError::Connecting)
    );
}

/// R205, T21: whatever the peer says, nothing goes out inside a frame that is sent in pieces.
#[test]
fn r205_t21_nothing_goes_inside_a_frame() {
    let header = whole(Opcode::Binary, 10);
    for role in ROLES {
        for said in [
            frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
            frame(peer(role), FIN | 3, b""),
            frame(peer(role), FIN | PING, b"?"),
        ] {
            let mut ws = open(role, Config::default());
            ws.send_frame_header(&header).unwrap();
            let before = ws.buffered_amount();
            feed(&mut ws, &said);
            assert_eq!(ws.buffered_amount(), before, "{said:?}");
        }
    }
}

/// A failure inside a frame that is sent in pieces leaves no Close: it would be read as payload.
#[test]
fn r205_a_close_never_cuts_a_frame() {
    for role in ROLES {
        for sent in [0, 1, 200] {
            let mut ws = open(role, Config::default());
            let header = whole(Opcode::Binary, 400);
            ws.send_frame_header(&header).unwrap();
            ws.send_frame_payload(&[1; 150]).unwrap();
            ws.sent(sent);
            let pending = ws.buffered_amount();
            // A ping is not answered either.
            feed(&mut ws, &frame(peer(role), FIN | PING, b"p"));
            feed(&mut ws, &frame(peer(role), FIN | TEXT, b"\xff"));
            assert_eq!(ws.buffered_amount(), pending);
            assert_eq!(ws.send_frame_payload(&[1; 250]), Err(SendError::Closed));
            drain(&mut ws);
            assert_eq!(ws.transport(), Transport::ShutWrite);
        }
    }
}

/// R195: after a Close that was handed over as a frame, the transport waits for the one that is passed
/// back.
#[test]
fn r195_the_answer_to_a_passed_on_close_can_still_be_sent() {
    for role in ROLES {
        let mut ws = raw(role);
        feed(&mut ws, &frame(peer(role), FIN | CLOSE, b"\x03\xe8"));
        assert_eq!(
            (ws.state(), ws.transport()),
            (State::Closing, Transport::Keep)
        );
        let header = whole(Opcode::Close, 2);
        ws.send_frame_header(&header).unwrap();
        ws.send_frame_payload(b"\x03\xe8").unwrap();
        assert_eq!(ws.transport(), Transport::Keep, "still to be written");
        assert_eq!(
            parse(role, &drain(&mut ws)),
            [wrote(FIN | CLOSE, b"\x03\xe8")]
        );
        // §7.1.1: the server ends it.
        let end = match role {
            Role::Server => Transport::ShutWrite,
            Role::Client => Transport::Keep,
        };
        assert_eq!(ws.transport(), end);
        assert!(ws.end_of_stream().clean);
    }
}

/// R195, R199: whichever end closes, both see a clean end through a proxy that asks nothing but `transport`.
#[test]
fn r195_closing_through_a_proxy() {
    for closer in ROLES {
        let mut client = open(Role::Client, Config::default());
        let (mut near, mut far) = (raw(Role::Server), raw(Role::Client));
        let mut server = open(Role::Server, Config::default());
        client.send_text("there").unwrap();
        server.send_text("and back").unwrap();
        match closer {
            Role::Client => client.close(CloseCode::GOING_AWAY, "bye").unwrap(),
            Role::Server => server.close(CloseCode::GOING_AWAY, "bye").unwrap(),
        }
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let from_client = drain(&mut client);
            let passed_on = relay(&mut near, &mut far, &from_client);
            to_server.extend(feed(&mut server, &passed_on));
            let from_server = drain(&mut server);
            let passed_on = relay(&mut far, &mut near, &from_server);
            to_client.extend(feed(&mut client, &passed_on));
        }
        for (ws, expected) in [
            (&mut server, Transport::ShutWrite),
            (&mut far, Transport::Keep),
            (&mut near, Transport::ShutWrite),
            (&mut client, Transport::Keep),
        ] {
            assert_eq!(ws.transport(), expected);
        }
        for (events, message) in [(to_server, "there"), (to_client, "and back")] {
            assert_eq!(events[0], text(message));
            assert!(
                matches!(&events[1..], [Event::Close(close)] if close.code == Some(CloseCode::GOING_AWAY))
            );
        }
        for mut ws in [server, far, near, client] {
            let ending = ws.end_of_stream();
            assert_eq!((ending.code, ending.clean), (1001, true));
        }
    }
}

/// R204: a Close that was handed over as a frame begins the wait for what the other end says to it.
#[test]
fn r204_close_deadline_among_the_frames() {
    let secs = Duration::from_secs;
    for role in ROLES {
        let config = Config::default()
            .delivery(Delivery::Frames)
            .close_timeout(secs(5));
        let mut ws = open(role, config);
        assert_eq!(ws.tick(secs(0)), None);
        feed(&mut ws, &frame(peer(role), FIN | CLOSE, b"\x03\xe9"));
        assert_eq!(ws.tick(secs(1)), Some(secs(6)));
        assert_eq!(ws.transport(), Transport::Keep);
        assert_eq!((ws.tick(secs(6)), ws.transport()), (None, Transport::Drop));
        let ending = ws.end_of_stream();
        assert_eq!((ending.code, ending.clean), (1001, false));
    }
}

/// T30: pongs find the frame ends again after a frame that was sent in pieces.
#[test]
fn t30_pongs_after_a_frame_in_pieces() {
    let header = whole(Opcode::Binary, 600);
    for role in ROLES {
        for sent in 0..620 {
            let mut ws = open(role, Config::default().high_water_mark(0));
            let mut wire = Vec::new();
            let mut write = |ws: &mut Connection, n: usize| {
                wire.extend(ws.outputs().flatten().take(n));
                ws.sent(n);
            };
            ws.send_frame_header(&header).unwrap();
            ws.send_frame_payload(&[0x81; 300]).unwrap();
            write(&mut ws, sent);
            ws.send_frame_payload(&[0x81; 300]).unwrap();
            ws.send_binary(&[0x82; 100]).unwrap();
            write(&mut ws, 200);
            feed(&mut ws, &frame(peer(role), FIN | PING, b"p"));
            ws.send_binary(&[0x83; 100]).unwrap();
            write(&mut ws, usize::MAX);
            let frames = parse(role, &wire);
            let data: Vec<_> = frames.iter().filter(|f| f.first == FIN | BINARY).collect();
            assert_eq!(data.len(), 3);
            assert_eq!(*data[0], wrote(FIN | BINARY, [0x81; 600]));
            assert_eq!((frames.len(), data[2].payload[0]), (4, 0x83));
        }
    }
}

/// R266: a keepalive ping that comes due inside a frame that is sent in pieces waits for its end.
#[test]
fn keepalive_waits_for_the_end_of_a_frame_in_pieces() {
    let secs = Duration::from_secs;
    let header = whole(Opcode::Binary, 10);
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(secs(30), secs(10)));
        assert_eq!(ws.tick(secs(0)), Some(secs(30)));
        ws.send_frame_header(&header).unwrap();
        ws.send_frame_payload(b"12345").unwrap();
        assert_eq!(ws.tick(secs(31)), None);
        assert_eq!((ws.poll_event(), ws.state()), (None, State::Open));
        ws.send_frame_payload(b"67890").unwrap();
        assert_eq!(ws.tick(secs(32)), Some(secs(42)));
        let frames = parse(role, &drain(&mut ws));
        assert_eq!(frames[0], wrote(FIN | BINARY, "1234567890"));
        assert_eq!((frames.len(), frames[1].first), (2, FIN | PING));
    }
}

/// R178: with frames as frames, the peer's pong confirms a ping of this end as ever, however it is cut.
#[test]
fn r178_keepalive_knows_its_pong_among_the_frames() {
    let secs = Duration::from_secs;
    for role in ROLES {
        for cut in 0..20 {
            let config = Config::default().keepalive(secs(30), secs(10));
            let mut ws = open(role, config.delivery(Delivery::Frames));
            ws.tick(secs(0));
            ws.tick(secs(30));
            let sent = parse(role, &drain(&mut ws));
            assert_eq!((sent.len(), sent[0].first), (1, FIN | PING));
            // Another pong before it confirms nothing, and is not taken for its beginning.
            feed(&mut ws, &frame(peer(role), FIN | PONG, b"other"));
            ws.tick(secs(31));
            assert_eq!(ws.round_trip_time(), None);
            let pong = frame(peer(role), FIN | PONG, &sent[0].payload);
            let (first, rest) = pong.split_at(cut.min(pong.len()));
            feed(&mut ws, first);
            feed(&mut ws, rest);
            assert_eq!(ws.tick(secs(32)), Some(secs(62)));
            assert_eq!(ws.round_trip_time(), Some(secs(2)));
            assert_eq!(ws.poll_event(), None);
        }
    }
}
