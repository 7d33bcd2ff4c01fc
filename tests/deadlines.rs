//! Time as data: every deadline on both sides of it, in every state, with no clock but the test's
//! own.

mod common;

use std::time::Duration;

use common::*;
use sockless::handshake::HandshakeError;
use sockless::{
    Backoff, ClientRequest, CloseCode, Config, Connection, Error, Event, Fin, Response, Role, State,
};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn nothing() -> Vec<Event<'static>> {
    Vec::new()
}

/// Asserts that the deadline `at` is announced and missed at the nanosecond, and no earlier.
fn misses(ws: &mut Connection, now: Duration, at: Duration, error: Error) {
    assert_eq!(ws.tick(now), Some(at));
    let just_before = at - Duration::from_nanos(1);
    assert_eq!(ws.tick(just_before), Some(at));
    assert_eq!(feed_at(ws, just_before, b""), nothing());
    assert_eq!(ws.missed(at), Event::Fail(error));
    assert_eq!(feed(ws, b""), nothing(), "reported once");
}

#[test]
fn without_a_call_there_are_no_deadlines_and_without_a_deadline_no_wake() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        assert_eq!(ws.tick(ms(0)), None);
        assert_eq!(ws.tick(Duration::MAX), None);
        assert_eq!(
            feed(&mut ws, &frame(peer(role), FIN | TEXT, b"x")),
            [Event::Text("x".into())]
        );
    }
}

/// R085: a server answers a head that does not come with 408.
#[test]
fn r085_server_handshake_deadline() {
    let mut ws = Connection::server(Config::default().handshake_timeout(ms(1000)));
    ws.tick(ms(50));
    assert_eq!(
        feed_at(&mut ws, ms(900), b"GET / HTTP/1.1\r\nHost:"),
        nothing()
    );
    let error = Error::Handshake(HandshakeError::Timeout);
    misses(&mut ws, ms(900), ms(1050), error);
    let answer = String::from_utf8(drain(&mut ws)).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"),
        "{answer}"
    );
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(ws.transport(), Transport::ShutWrite);
    let ending = ws.end_of_stream();
    assert_eq!(
        (ending.code, ending.clean, ending.error),
        (1006, false, Some(error))
    );
}

/// R085: a client sends nothing more and drops the transport.
#[test]
fn r085_client_handshake_deadline() {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let config = Config::default()
        .handshake_timeout(ms(1000))
        .entropy(entropy);
    let mut ws = Connection::client(request, config).unwrap();
    ws.tick(ms(0));
    feed_at(&mut ws, ms(10), b"HTTP/1.1 101 Swi");
    misses(
        &mut ws,
        ms(10),
        ms(1000),
        Error::Handshake(HandshakeError::Timeout),
    );
    assert_eq!((ws.transport(), ws.output()), (Transport::Drop, &b""[..]));
}

/// R085: the deadline is the peer's, not the caller's who thinks about the answer.
#[test]
fn r085_the_caller_has_no_deadline() {
    let mut ws = Connection::server(Config::default().handshake_timeout(ms(1000)));
    ws.tick(ms(0));
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert!(matches!(
        feed_at(&mut ws, ms(5000), request.as_bytes())[..],
        [Event::Request(_)]
    ));
    assert_eq!(ws.tick(ms(5000)), None);
    ws.accept(Response::default()).unwrap();
    drain(&mut ws);
    assert_eq!((ws.tick(ms(6000)), ws.state()), (None, State::Open));
}

/// The only frame that waits to be written, which is a ping: its payload.
fn written_ping(ws: &mut Connection) -> Vec<u8> {
    let written = drain(ws);
    let [ping] = &parse(ws.role(), &written)[..] else {
        panic!("one ping")
    };
    assert_eq!(ping.first, FIN | PING);
    ping.payload.clone()
}

/// R178, R179: a ping after silence; whatever comes shows that the peer lives, and its own pong how long
/// it took.
#[test]
fn r178_r179_keepalive() {
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(ms(100), ms(30)));
        assert_eq!(ws.tick(ms(0)), Some(ms(100)));
        assert_eq!(ws.output(), b"");
        assert_eq!(ws.tick(ms(100)), Some(ms(130)));
        let first = written_ping(&mut ws);
        feed_at(&mut ws, ms(117), &frame(peer(role), FIN | PONG, &first));
        assert_eq!(ws.tick(ms(117)), Some(ms(200)), "the last write was at 100");
        assert_eq!(ws.round_trip_time(), Some(ms(17)));
        assert_eq!(ws.tick(ms(200)), Some(ms(230)));
        let second = written_ping(&mut ws);
        assert_ne!(second, first);
        // The stale one says nothing of the second's time, but that the peer lives.
        feed_at(&mut ws, ms(210), &frame(peer(role), FIN | PONG, &first));
        assert_eq!(ws.tick(ms(210)), Some(ms(300)));
        assert_eq!(ws.round_trip_time(), Some(ms(17)));
        // Its own may still come.
        feed_at(&mut ws, ms(225), &frame(peer(role), FIN | PONG, &second));
        assert_eq!(ws.tick(ms(225)), Some(ms(300)));
        assert_eq!(ws.round_trip_time(), Some(ms(25)));
        feed_at(&mut ws, ms(240), &frame(peer(role), FIN | PONG, &second));
        assert_eq!(
            (ws.tick(ms(240)), ws.round_trip_time()),
            (Some(ms(300)), Some(ms(25)))
        );
        assert_eq!(ws.tick(ms(300)), Some(ms(330)));
        written_ping(&mut ws);
        misses(&mut ws, ms(310), ms(330), Error::PongTimeout);
        let written = parse(role, &drain(&mut ws));
        assert_eq!(
            written,
            [wrote(
                FIN | CLOSE,
                close_body(1011, "nothing received after a ping")
            )]
        );
        assert_eq!(ws.transport(), Transport::ShutWrite);
    }
}

/// R179, T57: each thing that a live peer may send instead of the pong, whole or a byte of it.
#[test]
fn r179_t57_whatever_comes_shows_that_the_peer_lives() {
    for role in ROLES {
        let from = peer(role);
        for sent in [
            frame(from, FIN | PONG, b"app"),
            frame(from, FIN | PING, b""),
            frame(from, FIN | TEXT, b"a message in the fast way"),
            frame(from, BINARY, b"fragment"),
            frame(from, FIN | TEXT, b"x")[..1].to_vec(),
        ] {
            let mut ws = open(role, Config::default().keepalive(ms(100), ms(30)));
            ws.tick(ms(0));
            ws.tick(ms(100));
            written_ping(&mut ws);
            feed_at(&mut ws, ms(129), &sent);
            ws.tick(ms(129));
            assert_eq!(feed_at(&mut ws, ms(199), b""), nothing());
            ws.tick(ms(199));
            assert_eq!(
                feed_at(&mut ws, ms(200), b""),
                nothing(),
                "alive after {sent:x?}"
            );
            // And if nothing more comes, the next ping tells.
            assert_eq!(ws.tick(ms(200)), Some(ms(230)));
            drain(&mut ws);
            misses(&mut ws, ms(200), ms(230), Error::PongTimeout);
        }
    }
}

/// R178, T57: the pong of a later ping, one that the application sent, is the only one that a peer owes.
#[test]
fn r178_t57_pong_of_a_later_ping() {
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(ms(30_000), ms(10_000)));
        ws.tick(ms(0));
        ws.tick(ms(30_000));
        ws.send_ping(b"app").unwrap();
        drain(&mut ws);
        feed_at(&mut ws, ms(30_001), &frame(peer(role), FIN | PONG, b"app"));
        for now in [30_001, 40_000, 41_000, 59_999] {
            ws.tick(ms(now));
            assert_eq!(feed(&mut ws, b""), nothing(), "at {now}");
        }
        assert_eq!(ws.round_trip_time(), None);
    }
}

/// T57: where the ping ends in the output does not depend on a pong that went ahead, and was replaced by
/// a shorter one.
#[test]
fn t57_a_shorter_pong_ahead_of_the_ping() {
    for role in ROLES {
        for take in [false, true] {
            let mut ws = open(role, Config::default().keepalive(ms(30_000), ms(10_000)));
            ws.tick(ms(0));
            ws.send_binary(&[0; 70_000]).unwrap();
            ws.sent(1_000);
            feed_at(
                &mut ws,
                ms(31_000),
                &frame(peer(role), FIN | PING, &[1; 125]),
            );
            ws.tick(ms(31_000));
            feed_at(&mut ws, ms(31_250), &frame(peer(role), FIN | PING, b""));
            if take {
                let _ = ws.written();
            } else {
                drain(&mut ws);
            }
            feed_at(
                &mut ws,
                ms(31_250),
                &frame(peer(role), FIN | PONG, &1_u64.to_be_bytes()),
            );
            ws.tick(ms(31_250));
            assert_eq!(ws.round_trip_time(), Some(ms(250)));
            ws.tick(ms(42_000));
            assert_eq!(feed(&mut ws, b""), nothing());
        }
    }
}

/// R178: what is written after the ping is no sign of the peer's life, for it may go nowhere.
#[test]
fn r178_a_dead_peer_that_is_sent_to() {
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(ms(100), ms(30)));
        ws.tick(ms(0));
        ws.tick(ms(100));
        for now in 101..130 {
            ws.send_text("more").unwrap();
            drain(&mut ws);
            assert_eq!(ws.tick(ms(now)), Some(ms(130)));
        }
        misses(&mut ws, ms(129), ms(130), Error::PongTimeout);
    }
}

/// R180: a ping in each interval also while the first is not answered, and no time is won by that.
#[test]
fn r180_pings_of_a_patient_keepalive() {
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(ms(10), ms(35)));
        ws.tick(ms(0));
        let mut payloads = Vec::new();
        for now in [10, 20, 30, 40] {
            let next = (now + 10).min(45);
            assert_eq!(ws.tick(ms(now)), Some(ms(next)));
            payloads.push(written_ping(&mut ws));
            assert_eq!(ws.tick(ms(now + 1)), Some(ms(next)));
        }
        payloads.dedup();
        assert_eq!(payloads.len(), 4);
        misses(&mut ws, ms(41), ms(45), Error::PongTimeout);
    }
}

/// R180, R254: nor do pings pile up behind output that moves slowly.
#[test]
fn r180_r254_pings_do_not_pile_up_behind_a_backlog() {
    for role in ROLES {
        let config = Config::default().keepalive(ms(1000), Duration::MAX);
        let mut ws = open(role, config);
        ws.tick(ms(0));
        ws.tick(ms(1000));
        written_ping(&mut ws);
        ws.tick(ms(1001));
        ws.send_binary(&[0; 100_000]).unwrap();
        let before = ws.buffered_amount();
        for round in 1..1000 {
            ws.sent(1);
            ws.tick(ms(2000 * round));
            ws.tick(ms(2000 * round + 1500));
        }
        assert_eq!(ws.buffered_amount(), before - 999);
    }
}

/// R178: a pong that guesses right says nothing of a ping that is not written yet, however what came
/// before was written.
#[test]
fn r178_a_guessed_pong_confirms_nothing() {
    for role in ROLES {
        for first in [0, 50] {
            let mut ws = open(role, Config::default().keepalive(ms(100), ms(30)));
            ws.tick(ms(0));
            ws.send_binary(&[0; 100]).unwrap();
            ws.sent(first);
            drain(&mut ws);
            assert_eq!(ws.tick(ms(50)), Some(ms(100)));
            assert_eq!(ws.tick(ms(100)), Some(ms(130)));
            let ping = parse(role, ws.output()).remove(0);
            feed_at(
                &mut ws,
                ms(110),
                &frame(peer(role), FIN | PONG, &ping.payload),
            );
            // But the peer lives.
            assert_eq!(
                (ws.tick(ms(110)), ws.round_trip_time()),
                (Some(ms(140)), None)
            );
            drain(&mut ws);
            misses(&mut ws, ms(110), ms(140), Error::PongTimeout);
        }
    }
}

/// R180, T58: something is written in each interval, also where the peer alone talks, for what is between
/// may look at one direction only.
#[test]
fn r180_t58_a_ping_while_only_the_peer_talks() {
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(ms(20_000), ms(10_000)));
        ws.tick(ms(0));
        let (mut pings, mut last) = (0, 0);
        for second in 1..=600 {
            feed_at(
                &mut ws,
                ms(1000 * second),
                &frame(peer(role), FIN | TEXT, b"a message in the fast way"),
            );
            ws.tick(ms(1000 * second));
            if !drain(&mut ws).is_empty() {
                assert!(second - last <= 20, "at {second}");
                (pings, last) = (pings + 1, second);
            }
        }
        assert_eq!(pings, 30);
        assert_eq!(ws.state(), State::Open);
    }
}

/// R180: what is sent takes the place of the ping, as long as something is heard as well.
#[test]
fn r180_no_ping_while_both_talk() {
    let mut ws = open(Role::Server, Config::default().keepalive(ms(100), ms(30)));
    assert_eq!(ws.tick(ms(0)), Some(ms(100)));
    for now in (10..1000).step_by(10) {
        feed_at(
            &mut ws,
            ms(now),
            &frame(Role::Client, FIN | TEXT, b"a message in the fast way"),
        );
        ws.tick(ms(now));
        ws.send_text("answer").unwrap();
        assert_eq!(
            parse(Role::Server, &drain(&mut ws)),
            [wrote(FIN | TEXT, "answer")]
        );
    }
    // Whoever only sends has to know whether somebody reads.
    for now in (1000..1090).step_by(10) {
        ws.tick(ms(now));
        ws.send_text("more").unwrap();
        drain(&mut ws);
    }
    ws.tick(ms(1090));
    written_ping(&mut ws);
}

/// One ping at a time waits behind output that does not move.
#[test]
fn r180_no_second_ping_before_the_first_is_written() {
    let mut ws = open(Role::Server, Config::default().keepalive(ms(10), ms(1000)));
    ws.tick(ms(0));
    for now in (10..1000).step_by(10) {
        assert_eq!(ws.tick(ms(now)), Some(ms(now + 10).min(ms(1010))));
        assert_eq!(parse(Role::Server, ws.output()).len(), 1);
    }
}

/// A ping behind a long queue is not late before it was written, as long as the queue moves.
#[test]
fn keepalive_does_not_blame_a_peer_that_reads_slowly() {
    let mut ws = open(Role::Server, Config::default().keepalive(ms(100), ms(30)));
    ws.tick(ms(0));
    ws.send_binary(&[0; 5000]).unwrap();
    assert_eq!(ws.tick(ms(100)), Some(ms(130)));
    for now in (120..=520).step_by(20) {
        ws.sent(200);
        assert_eq!(ws.tick(ms(now)), Some(ms(now + 30)), "at {now}");
    }
    // Now it stalls.
    misses(&mut ws, ms(540), ms(550), Error::PongTimeout);
}

/// Nor does a peer that reads nothing, but talks.
#[test]
fn keepalive_does_not_blame_a_peer_that_talks() {
    let mut ws = open(Role::Server, Config::default().keepalive(ms(100), ms(30)));
    ws.tick(ms(0));
    ws.send_binary(&[0; 5000]).unwrap();
    assert_eq!(ws.tick(ms(100)), Some(ms(130)));
    let long = frame(Role::Client, FIN | BINARY, &[7; 2000]);
    for (i, piece) in long[..1900].chunks(100).enumerate() {
        let now = ms(120 + 20 * i as u64);
        feed_at(&mut ws, now, piece);
        assert_eq!(ws.tick(now), Some(now + ms(30)));
    }
    misses(&mut ws, ms(490), ms(510), Error::PongTimeout);
}

/// R181: pings and pongs feed `idle_timeout`, and not `no_message_timeout`.
#[test]
fn r181_t59_no_message_deadline() {
    for role in ROLES {
        let from = peer(role);
        let config = Config::default()
            .keepalive(ms(10), ms(5))
            .idle_timeout(ms(30))
            .no_message_timeout(ms(500));
        let mut ws = open(role, config);
        ws.tick(ms(0));
        let live_until = |ws: &mut Connection, from_ms: u64, to: u64| {
            for now in from_ms..to {
                ws.tick(ms(now));
                for ping in parse(role, &drain(ws)) {
                    feed_at(ws, ms(now), &frame(from, FIN | PONG, &ping.payload));
                }
                feed_at(ws, ms(now), &frame(from, FIN | PING, b""));
                drain(ws);
                assert_eq!(ws.state(), State::Open, "at {now}");
            }
        };
        live_until(&mut ws, 1, 400);
        // A message, or a part of one, is what it waits for.
        feed_at(
            &mut ws,
            ms(400),
            &frame(from, FIN | TEXT, b"a message in the fast way"),
        );
        live_until(&mut ws, 400, 800);
        feed_at(&mut ws, ms(800), &frame(from, BINARY, b"abc"));
        live_until(&mut ws, 800, 1200);
        let fragment = frame(from, CONTINUATION, b"def");
        let (head, rest) = fragment.split_at(fragment.len() - 1);
        feed_at(&mut ws, ms(1200), head);
        ws.tick(ms(1200));
        feed_at(&mut ws, ms(1201), rest);
        live_until(&mut ws, 1201, 1701);
        assert_eq!(ws.missed(ms(1701)), Event::Fail(Error::NoMessageTimeout));
        let written = parse(role, &drain(&mut ws));
        let close = close_body(1001, "no message for too long");
        assert_eq!(written.last(), Some(&wrote(FIN | CLOSE, close)));
    }
}

#[test]
fn idle_deadline() {
    for role in ROLES {
        let mut ws = open(role, Config::default().idle_timeout(ms(500)));
        assert_eq!(ws.tick(ms(7)), Some(ms(507)));
        feed_at(&mut ws, ms(400), &frame(peer(role), FIN | TEXT, b""));
        assert_eq!(ws.tick(ms(400)), Some(ms(900)));
        // Sending is no sign of the peer's life; empty input is none either.
        ws.send_text("x").unwrap();
        feed_at(&mut ws, ms(800), b"");
        drain(&mut ws);
        misses(&mut ws, ms(800), ms(900), Error::IdleTimeout);
        let written = parse(role, &drain(&mut ws));
        assert_eq!(
            written,
            [wrote(
                FIN | CLOSE,
                close_body(1001, "nothing received for too long")
            )]
        );
    }
}

#[test]
fn message_deadline_is_each_messages_own() {
    for role in ROLES {
        let from = peer(role);
        let mut ws = open(role, Config::default().message_timeout(ms(500)));
        assert_eq!(ws.tick(ms(0)), None);
        feed_at(&mut ws, ms(100), &frame(from, TEXT, b"a"));
        assert_eq!(ws.tick(ms(100)), Some(ms(600)));
        feed_at(&mut ws, ms(599), &frame(from, CONTINUATION, b"b"));
        feed_at(&mut ws, ms(599), &frame(from, FIN | PING, b""));
        assert_eq!(ws.tick(ms(599)), Some(ms(600)));
        // The next message begins before the clock looks again: it has its own time.
        feed_at(&mut ws, ms(600), &frame(from, FIN | CONTINUATION, b"c"));
        feed_at(&mut ws, ms(600), &frame(from, BINARY, b"d"));
        assert_eq!(ws.tick(ms(600)), Some(ms(1100)));
        drain(&mut ws);
        misses(&mut ws, ms(1000), ms(1100), Error::MessageTimeout);
        let written = parse(role, &drain(&mut ws));
        assert_eq!(
            written,
            [wrote(
                FIN | CLOSE,
                close_body(1008, "message not complete in time")
            )]
        );
    }
}

/// R204: our Close goes unanswered.
#[test]
fn r204_close_deadline() {
    for role in ROLES {
        let mut ws = open(role, Config::default().close_timeout(ms(200)));
        ws.tick(ms(0));
        ws.close(CloseCode::NORMAL, "").unwrap();
        drain(&mut ws);
        misses(&mut ws, ms(30), ms(230), Error::CloseTimeout);
        assert_eq!(
            (ws.state(), ws.transport(), ws.tick(ms(999))),
            (State::Closed, Transport::Drop, None)
        );
        let ending = ws.end_of_stream();
        assert_eq!(
            (ending.code, ending.clean, ending.error),
            (1006, false, Some(Error::CloseTimeout))
        );
        assert_eq!(ending.sent_code, Some(CloseCode::NORMAL));
    }
}

/// R204, T24: what the peer still sends does not put it off.
#[test]
fn t24_close_deadline_of_a_peer_that_talks_on() {
    for role in ROLES {
        let mut ws = open(role, Config::default().close_timeout(ms(200)));
        ws.tick(ms(0));
        ws.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(ws.tick(ms(10)), Some(ms(210)));
        feed_at(
            &mut ws,
            ms(209),
            &frame(peer(role), FIN | TEXT, b"still here"),
        );
        assert_eq!(ws.tick(ms(209)), Some(ms(210)));
        assert_eq!(ws.missed(ms(210)), Event::Fail(Error::CloseTimeout));
    }
}

/// R204, T24: the one budget also covers output that nobody takes, and an end that does not come.
#[test]
fn t24_close_deadline_with_output_blocked() {
    for role in ROLES {
        let config = Config::default().close_timeout(ms(200));
        // The peer closes, and never reads our answer.
        let mut ws = open(role, config.clone());
        ws.tick(ms(0));
        ws.send_binary(&[0; 1000]).unwrap();
        feed_at(
            &mut ws,
            ms(10),
            &frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
        );
        assert_eq!(ws.tick(ms(10)), Some(ms(210)));
        ws.sent(500);
        assert_eq!(
            ws.tick(ms(209)),
            Some(ms(210)),
            "progress does not extend it"
        );
        assert_eq!((ws.tick(ms(210)), ws.transport()), (None, Transport::Drop));
        assert_eq!(
            feed_at(&mut ws, ms(0), b""),
            nothing(),
            "the Close was the last event"
        );
        let ending = ws.end_of_stream();
        assert_eq!(
            (ending.code, ending.clean, ending.error),
            (1000, false, None)
        );
        // The peer breaks a rule, and never reads why.
        let mut ws = open(role, config.clone());
        ws.tick(ms(0));
        feed_at(&mut ws, ms(10), &frame(peer(role), FIN | RSV2 | TEXT, b""));
        assert_eq!(ws.tick(ms(10)), Some(ms(210)));
        ws.tick(ms(210));
        assert_eq!((ws.transport(), ws.buffered_amount()), (Transport::Drop, 0));
        assert_eq!(ws.end_of_stream().error, Some(Error::ReservedBits));
        // All is exchanged, but the transport does not end.
        let mut ws = open(role, config);
        ws.tick(ms(0));
        feed_at(
            &mut ws,
            ms(10),
            &frame(peer(role), FIN | CLOSE, &close_body(1000, "")),
        );
        drain(&mut ws);
        assert_eq!(ws.tick(ms(10)), Some(ms(210)));
        ws.tick(ms(210));
        assert_eq!(ws.transport(), Transport::Drop);
        assert!(
            ws.end_of_stream().clean,
            "both Closes were exchanged before"
        );
    }
}

/// R195, R196: who ends the transport, and how, in every state.
#[test]
fn r195_r196_t56_what_to_do_with_the_transport() {
    let close = |role| frame(peer(role), FIN | CLOSE, &close_body(1000, ""));
    for role in ROLES {
        let mut ws = open(role, Config::default());
        assert_eq!(ws.transport(), Transport::Keep);
        ws.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(ws.transport(), Transport::Keep);
        drain(&mut ws);
        assert_eq!(
            (ws.transport(), ws.state()),
            (Transport::Keep, State::Closing)
        );
        feed(&mut ws, &close(role));
        // The server ends the transport, the client waits for that.
        let (transport, state) = match role {
            Role::Server => (Transport::ShutWrite, State::Closed),
            Role::Client => (Transport::Keep, State::Closing),
        };
        assert_eq!((ws.transport(), ws.state()), (transport, state));
        // T56: it is said once, or a loop that follows it at each turn would never rest.
        feed(&mut ws, b"more that nobody reads");
        assert_eq!((ws.transport(), ws.state()), (Transport::Keep, state));
        assert!(ws.end_of_stream().clean);
        assert_eq!(
            (ws.transport(), ws.state()),
            (Transport::Drop, State::Closed)
        );

        // The peer's Close: not before ours is written.
        let mut ws = open(role, Config::default());
        feed(&mut ws, &close(role));
        assert_eq!(ws.transport(), Transport::Keep);
        ws.sent(1);
        assert_eq!(ws.transport(), Transport::Keep);
        drain(&mut ws);
        assert_eq!(ws.transport(), transport);

        // A failure: both ends write, shut, and read to the end, lest a reset destroys the Close.
        let mut ws = open(role, Config::default());
        feed(&mut ws, &frame(peer(role), FIN | RSV3 | TEXT, b""));
        assert_eq!(ws.transport(), Transport::Keep);
        drain(&mut ws);
        assert_eq!(ws.transport(), Transport::ShutWrite);

        // After our Close, a violation ends the wait for the peer's (R202).
        let mut ws = open(role, Config::default());
        ws.close(CloseCode::NORMAL, "").unwrap();
        drain(&mut ws);
        feed(&mut ws, &frame(peer(role), FIN | RSV3 | TEXT, b""));
        assert_eq!(
            (ws.transport(), ws.output()),
            (Transport::ShutWrite, &b""[..])
        );
    }
}

/// R191: the answer to a Close does not wait for the message that is being sent in parts; that is
/// left unfinished.
#[test]
fn r191_close_is_answered_in_mid_message() {
    for role in ROLES {
        let mut ws = open(role, Config::default());
        ws.send_text_part("half", Fin::More).unwrap();
        feed(
            &mut ws,
            &frame(peer(role), FIN | CLOSE, &close_body(1001, "")),
        );
        ws.send_text_part("other half", Fin::Last).unwrap(); // dropped
        let written = parse(role, &drain(&mut ws));
        assert_eq!(
            written,
            [
                wrote(TEXT, "half"),
                wrote(FIN | CLOSE, close_body(1001, ""))
            ]
        );
    }
}

#[test]
fn a_clock_that_goes_backwards_stands_still() {
    let mut ws = open(Role::Server, Config::default().idle_timeout(ms(100)));
    assert_eq!(ws.tick(ms(1000)), Some(ms(1100)));
    assert_eq!(ws.tick(ms(0)), Some(ms(1100)));
    feed_at(&mut ws, ms(500), &frame(Role::Client, FIN | PONG, b""));
    assert_eq!(ws.tick(ms(500)), Some(ms(1100)));
    assert_eq!(ws.missed(Duration::MAX), Event::Fail(Error::IdleTimeout));
}

/// R005: what a connection attempt is keyed by; R006: what TLS needs before the handshake.
#[test]
fn r005_r006_what_an_adapter_needs_of_a_request() {
    let request = ClientRequest::new("wss://example.com/chat").unwrap();
    assert_eq!(
        (request.host(), request.port(), request.is_secure()),
        ("example.com", 443, true)
    );
    let request = ClientRequest::new("ws://[::1]:9001/").unwrap();
    assert_eq!(
        (request.host(), request.port(), request.is_secure()),
        ("::1", 9001, false)
    );
}

/// R007: the first delay is random from 0 to 5 seconds, each later one longer, up to a limit.
#[test]
fn r007_delays_grow_up_to_a_limit() {
    let secs = Duration::from_secs;
    let mut backoff = Backoff::new().entropy(|bytes| {
        bytes.fill(0xff);
        Ok(())
    });
    let ends = [5, 10, 20, 40, 80, 160, 300, 300, 300];
    for end in ends {
        let delay = backoff.next_delay().unwrap();
        assert!(
            delay < secs(end) && delay > secs(end) - ms(1),
            "{delay:?} of {end} s"
        );
    }
    let mut backoff = Backoff::new().range(secs(1), secs(7)).entropy(|bytes| {
        bytes.fill(0);
        Ok(())
    });
    let delays: Vec<_> = (0..40).map(|_| backoff.next_delay().unwrap()).collect();
    assert_eq!(delays[..5], [secs(0), secs(1), secs(2), ms(3500), ms(3500)]);
    assert_eq!(delays[39], ms(3500));
    backoff.reset();
    assert_eq!(backoff.next_delay(), Ok(secs(0)));
    assert!(
        Backoff::new()
            .entropy(|_| Err(Default::default()))
            .next_delay()
            .is_err()
    );
}
