//! Frames as frames: what a proxy passes on is what it got, frame by frame.

mod common;

use std::time::Duration;

use common::*;
use sockless::frame::{Header, Opcode};
use sockless::{
    CloseCode, Config, Connection, Delivery, Error, Event, Fin, Role, SendError, State,
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
            (header(from, FIN | BINARY, 1 << 40), Error::MessageTooLarge),
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
        assert_eq!(ws.send_frame_header(&text(0)), Ok(()));
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

/// What the peer says inside a frame that is sent in pieces, and what goes out behind the frame.
fn said_inside(role: Role) -> Vec<(Vec<u8>, Vec<Frame>)> {
    let from = peer(role);
    let pings = [
        frame(from, FIN | PING, b"first"),
        frame(from, FIN | PING, b"second"),
    ]
    .concat();
    let pong = wrote(FIN | PONG, "second");
    let close = frame(from, FIN | CLOSE, &close_body(4000, "theirs"));
    let answer = wrote(FIN | CLOSE, close_body(4000, ""));
    let violation = frame(from, FIN | TEXT, b"\xff");
    let failure = wrote(FIN | CLOSE, close_body(1007, "text is not valid UTF-8"));
    vec![
        (pings.clone(), vec![pong.clone()]),
        (close.clone(), vec![answer.clone()]),
        (violation.clone(), vec![failure.clone()]),
        ([&pings[..], &close].concat(), vec![pong.clone(), answer]),
        ([&pings[..], &violation].concat(), vec![pong, failure]),
    ]
}

/// R177, R190, R201, T60: a pong, the answer to a Close and the Close of a failure wait for the end of a
/// frame that is sent in pieces, and go out then.
#[test]
fn r190_t60_what_is_owed_goes_out_behind_the_frame() {
    for role in ROLES {
        for (said, owed) in said_inside(role) {
            let ends = owed.last().unwrap().first == FIN | CLOSE;
            for sent in [0, 1, 100, 1000] {
                let mut ws = open(role, Config::default());
                ws.send_frame_header(&whole(Opcode::Binary, 400)).unwrap();
                ws.send_frame_payload(&[1; 150]).unwrap();
                let mut wire = ws.output()[..sent.min(ws.buffered_amount())].to_vec();
                ws.sent(sent);
                feed(&mut ws, &said);
                wire.extend(drain(&mut ws));
                assert!(!(ws.state() == State::Closed));
                assert_eq!(ws.transport(), Transport::Keep);
                let refused = Err(SendError::FrameInProgress);
                assert_eq!(ws.send_text("x"), refused);
                assert_eq!(ws.send_ping(b"x"), refused);
                assert_eq!(ws.send_frame_header(&whole(Opcode::Text, 0)), refused);
                assert_eq!(
                    ws.send_frame_payload(&[1; 251]),
                    Err(SendError::FrameOverrun)
                );
                ws.send_frame_payload(&[1; 249]).unwrap();
                assert!(wire.len() + ws.buffered_amount() < 410, "not yet");
                ws.send_frame_payload(&[1; 1]).unwrap();
                wire.extend(drain(&mut ws));
                let expected = [&[wrote(FIN | BINARY, [1; 400])], &owed[..]].concat();
                assert_eq!(parse(role, &wire), expected);
                if ends {
                    assert_eq!(ws.send_frame_payload(b"x"), Ok(()));
                    let ending = ws.end_of_stream();
                    assert_eq!(ending.clean, ending.error.is_none());
                } else {
                    ws.send_text("and on").unwrap();
                }
            }
        }
    }
}

/// R204, T60: a frame that is not completed holds a Close back until the deadline.
#[test]
fn r204_t60_a_frame_that_does_not_end() {
    let secs = Duration::from_secs;
    for role in ROLES {
        for said in [
            frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
            frame(peer(role), FIN | TEXT, b"\xff"),
        ] {
            let mut ws = open(role, Config::default().close_timeout(secs(5)));
            ws.tick(secs(0));
            ws.send_frame_header(&whole(Opcode::Binary, 400)).unwrap();
            feed_at(&mut ws, secs(1), &said);
            drain(&mut ws);
            assert_eq!(ws.tick(secs(1)), Some(secs(6)));
            assert_eq!(ws.tick(secs(6)), None);
            assert_eq!(ws.transport(), Transport::Drop);
            assert!(!ws.end_of_stream().clean);
            assert_eq!(ws.send_frame_payload(b"x"), Ok(()));
        }
    }
}

/// R208, T60: the caller's own answer to a Close, given inside a frame.
#[test]
fn r208_t60_own_answer_inside_a_frame() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        ws.send_frame_header(&whole(Opcode::Binary, 1)).unwrap();
        assert_eq!(
            ws.close(CloseCode::NORMAL, ""),
            Err(SendError::FrameInProgress)
        );
        feed(
            &mut ws,
            &frame(peer(role), FIN | CLOSE, &close_body(4000, "theirs")),
        );
        ws.close(CloseCode::NORMAL, "ours").unwrap();
        ws.close(CloseCode::NORMAL, "again").unwrap();
        ws.send_frame_payload(b"x").unwrap();
        ws.close(CloseCode::NORMAL, "and again").unwrap();
        assert_eq!(
            parse(role, &drain(&mut ws)),
            [
                wrote(FIN | BINARY, "x"),
                wrote(FIN | CLOSE, close_body(1000, "ours"))
            ]
        );
        // R221: 1010 is repeated by a server too.
        let clients = CloseCode::MANDATORY_EXTENSION;
        let mut ws = open(role, Config::default());
        ws.send_frame_header(&whole(Opcode::Binary, 1)).unwrap();
        feed(
            &mut ws,
            &frame(peer(role), FIN | CLOSE, &close_body(1010, "")),
        );
        ws.close(clients, "ours").unwrap();
        ws.send_frame_payload(b"x").unwrap();
        let close = wrote(FIN | CLOSE, close_body(1010, "ours"));
        assert_eq!(parse(role, &drain(&mut ws)).last(), Some(&close));
        // After a failure there is nothing to choose.
        let mut ws = open(role, Config::default());
        ws.send_frame_header(&whole(Opcode::Binary, 1)).unwrap();
        feed(&mut ws, &frame(peer(role), FIN | TEXT, b"\xff"));
        ws.close(CloseCode::NORMAL, "ours").unwrap();
        ws.send_frame_payload(b"x").unwrap();
        let written = parse(role, &drain(&mut ws));
        assert_eq!(written[1].payload[..2], 1007_u16.to_be_bytes());
    }
}

/// R199, T61: our own Close in pieces counts when it is whole, and written whole.
#[test]
fn r199_t61_half_a_close_is_none() {
    for role in ROLES {
        let theirs = frame(peer(role), FIN | CLOSE, &close_body(4000, ""));
        for (pieces, written, clean) in [
            (0, usize::MAX, false),
            (1, usize::MAX, false),
            (2, 0, false),
            (2, 1, false),
            (2, usize::MAX, true),
        ] {
            for before in [false, true] {
                let mut ws = open(role, Config::default());
                if before {
                    feed(&mut ws, &theirs[..0]);
                    ws.send_text("before").unwrap();
                    drain(&mut ws);
                }
                ws.send_frame_header(&whole(Opcode::Close, 2)).unwrap();
                for byte in &close_body(1000, "")[..pieces] {
                    ws.send_frame_payload(&[*byte]).unwrap();
                }
                ws.sent(written);
                feed(&mut ws, &theirs);
                let frames = usize::from(pieces == 2);
                assert_eq!((ws.state() == State::Closed), role == Role::Server && clean);
                let ending = ws.end_of_stream();
                assert_eq!(ending.clean, clean, "{pieces} of 2, {written} written");
                assert_eq!(ending.sent_code.is_some(), frames == 1);
                let first = if frames == 1 { role } else { peer(role) };
                assert_eq!(ending.closed_first, Some(first));
            }
        }
        // The peer's comes inside ours: there is one, and it is finished.
        let mut ws = open(role, Config::default());
        ws.send_frame_header(&whole(Opcode::Close, 2)).unwrap();
        feed(&mut ws, &frame(peer(role), FIN | PING, b"?"));
        feed(&mut ws, &theirs);
        ws.send_frame_payload(&close_body(1000, "")).unwrap();
        ws.close(CloseCode::NORMAL, "late").unwrap();
        assert_eq!(
            parse(role, &drain(&mut ws)),
            [wrote(FIN | CLOSE, close_body(1000, ""))]
        );
        assert!(ws.end_of_stream().clean);
    }
}

/// R195, R198, T62: the peer's Close, handed over as a frame, was first; and what answers it is the last
/// that is sent.
#[test]
fn r198_t62_the_peer_closed_first() {
    for role in ROLES {
        for theirs in [&close_body(4000, "")[..], b""] {
            the_peer_closed_first(role, &frame(peer(role), FIN | CLOSE, theirs));
        }
    }
}

fn the_peer_closed_first(role: Role, theirs: &[u8]) {
    type Answer = fn(&mut Connection);
    let answers: [Answer; 2] = [
        |ws| {
            ws.send_frame_header(&whole(Opcode::Close, 2)).unwrap();
            ws.send_frame_payload(&close_body(4000, "")).unwrap();
        },
        |ws| ws.close(CloseCode::new(4000).unwrap(), "").unwrap(),
    ];
    for answer in answers {
        for answered_before in [false, true] {
            let mut ws = raw(role);
            if answered_before {
                answer(&mut ws);
                drain(&mut ws);
            }
            feed(&mut ws, theirs);
            if !answered_before {
                // The other end may have more to say before it closes.
                ws.send_frame_header(&whole(Opcode::Text, 0)).unwrap();
                answer(&mut ws);
                assert_eq!(ws.transport(), Transport::Keep, "it is to be written");
                drain(&mut ws);
            }
            assert_eq!(ws.send_pong(b""), Ok(()));
            assert_eq!(ws.buffered_amount(), 0);
            let end = match role {
                Role::Server => Transport::ShutWrite,
                Role::Client => Transport::Keep,
            };
            assert_eq!(ws.transport(), end);
            let ending = ws.end_of_stream();
            let first = if answered_before { role } else { peer(role) };
            assert_eq!((ending.clean, ending.closed_first), (true, Some(first)));
        }
    }
}

/// R161, R206: a message that the peer's Close cuts off is truncated, whichever way it is handed over.
#[test]
fn r161_r206_a_close_that_cuts_a_message_off() {
    for role in ROLES {
        for delivery in [Delivery::Messages, Delivery::Parts, Delivery::Frames] {
            for body in [&close_body(1000, "")[..], b""] {
                for (first, truncated) in [(TEXT, true), (FIN | TEXT, false)] {
                    let message = frame(peer(role), first, b"half");
                    let wire = [message, frame(peer(role), FIN | CLOSE, body)].concat();
                    for cuts in [Vec::new(), (1..wire.len()).collect()] {
                        let config = Config::default().delivery(delivery);
                        let ending = run(role, config, &wire, &cuts).ending;
                        assert_eq!(ending.truncated, truncated, "{delivery:?}");
                    }
                }
            }
        }
    }
}

/// R178: a keepalive's pong that is handed over as a frame counts, whichever way it is received.
#[test]
fn r178_pong_as_a_frame() {
    let secs = Duration::from_secs;
    for role in ROLES {
        {
            let config = Config::default()
                .delivery(Delivery::Frames)
                .keepalive(secs(30), secs(10));
            let mut ws = open(role, config);
            ws.tick(secs(0));
            ws.tick(secs(30));
            let ping = parse(role, &drain(&mut ws)).remove(0);
            feed_at(
                &mut ws,
                secs(32),
                &frame(peer(role), FIN | PONG, &ping.payload),
            );
            ws.tick(secs(32));
            assert_eq!(ws.round_trip_time(), Some(secs(2)));
            ws.tick(secs(41));
            assert_eq!(ws.state(), State::Open);
        }
    }
}

/// R264, R333: RSV1 is refused where nothing can define it, and nothing is sent then.
#[test]
fn r264_r333_rsv1_where_nothing_defines_it() {
    let header = |opcode, rsv1| Header {
        fin: false,
        rsv1,
        opcode,
        mask: None,
        payload_len: 0,
    };
    for role in ROLES {
        for (delivery, first) in [
            (Delivery::Messages, Err(SendError::ReservedBits)),
            (Delivery::Parts, Err(SendError::ReservedBits)),
            (Delivery::Frames, Ok(())),
        ] {
            for opcode in [Opcode::Text, Opcode::Binary] {
                let mut ws = open(role, Config::default().delivery(delivery));
                assert_eq!(ws.send_frame_header(&header(opcode, true)), first);
                assert_eq!(ws.output().is_empty(), first.is_err());
                if first.is_err() {
                    ws.send_frame_header(&header(opcode, false)).unwrap();
                }
                drain(&mut ws);
                let continuation = header(Opcode::Continuation, true);
                let refused = ws.send_frame_header(&continuation);
                assert_eq!(refused, Err(SendError::ReservedBits));
                assert!(ws.output().is_empty());
            }
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
        feed_at(
            &mut ws,
            secs(1),
            &frame(peer(role), FIN | CLOSE, b"\x03\xe9"),
        );
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
        assert_eq!(ws.tick(secs(31)), Some(secs(91)), "the peer's to read");
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
            // Another pong before it is not taken for its beginning.
            feed_at(&mut ws, secs(31), &frame(peer(role), FIN | PONG, b"other"));
            ws.tick(secs(31));
            assert_eq!(ws.round_trip_time(), None);
            let pong = frame(peer(role), FIN | PONG, &sent[0].payload);
            let (first, rest) = pong.split_at(cut.min(pong.len()));
            feed_at(&mut ws, secs(32), first);
            feed_at(&mut ws, secs(32), rest);
            assert_eq!(
                ws.tick(secs(32)),
                Some(secs(60)),
                "the ping was the last to be written"
            );
            assert_eq!(ws.round_trip_time(), Some(secs(2)));
            assert_eq!(ws.poll_event(), None);
        }
    }
}

/// R293: what was agreed on is known, also where nothing is inflated, and also after the end.
#[cfg(feature = "deflate")]
#[test]
fn r293_what_was_agreed_on_is_known_where_nothing_is_inflated() {
    use sockless::DeflateConfig;
    use sockless::deflate::Parameters;

    for role in ROLES {
        for delivery in [Delivery::Messages, Delivery::Parts, Delivery::Frames] {
            let mut agreed = Parameters::default();
            agreed.server_max_window_bits = Some(10);
            let config = Config::default()
                .delivery(delivery)
                .deflate(DeflateConfig::new())
                .entropy(entropy);
            let mut ws = Connection::upgraded_with(role, Some(agreed), config);
            assert_eq!(ws.deflate(), Some(agreed));
            ws.end_of_stream();
            assert_eq!(ws.deflate(), Some(agreed));
        }
    }
}
