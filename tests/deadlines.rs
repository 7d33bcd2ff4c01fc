//! Time as data: every deadline on both sides of it, in every state, with no clock but the test's
//! own.

mod common;

use std::time::Duration;

use common::*;
use sockless::handshake::HandshakeError;
use sockless::{
    Backoff, ClientRequest, CloseCode, Config, Connection, Error, Event, Fin, Response, Role,
    State, Transport,
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
    assert_eq!(feed(ws, b""), nothing());
    ws.tick(at);
    assert_eq!(feed(ws, b""), [Event::Fail(error)]);
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
    assert_eq!(feed(&mut ws, b"GET / HTTP/1.1\r\nHost:"), nothing());
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
    feed(&mut ws, b"HTTP/1.1 101 Swi");
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
        feed(&mut ws, request.as_bytes())[..],
        [Event::Request(_)]
    ));
    assert_eq!(ws.tick(ms(5000)), None);
    ws.accept(Response::default()).unwrap();
    assert_eq!((ws.tick(ms(6000)), ws.state()), (None, State::Open));
}

/// R178: a ping after silence; its own pong confirms it, and says how long it took.
#[test]
fn r178_keepalive_is_confirmed_by_its_own_pong_only() {
    for role in ROLES {
        let mut ws = open(role, Config::default().keepalive(ms(100), ms(30)));
        assert_eq!(ws.tick(ms(0)), Some(ms(100)));
        assert_eq!(ws.output(), b"");
        assert_eq!(ws.tick(ms(100)), Some(ms(130)));
        let [ping] = &parse(role, &drain(&mut ws))[..] else {
            panic!("one ping")
        };
        assert_eq!(ping.first, FIN | PING);
        // A foreign pong is an event like any other, and confirms nothing.
        let foreign = frame(peer(role), FIN | PONG, b"foreign!");
        assert_eq!(
            feed(&mut ws, &foreign),
            [Event::Pong(b"foreign!"[..].into())]
        );
        assert_eq!(
            (ws.tick(ms(110)), ws.round_trip_time()),
            (Some(ms(130)), None)
        );
        feed(&mut ws, &frame(peer(role), FIN | PONG, &ping.payload));
        assert_eq!(ws.tick(ms(117)), Some(ms(217)));
        assert_eq!(ws.round_trip_time(), Some(ms(17)));
        // The stale one confirms no later ping.
        assert_eq!(ws.tick(ms(217)), Some(ms(247)));
        let [second] = &parse(role, &drain(&mut ws))[..] else {
            panic!("one ping")
        };
        assert_ne!(second.payload, ping.payload);
        feed(&mut ws, &frame(peer(role), FIN | PONG, &ping.payload));
        misses(&mut ws, ms(240), ms(247), Error::PongTimeout);
        let written = parse(role, &drain(&mut ws));
        assert_eq!(
            written,
            [wrote(FIN | CLOSE, close_body(1011, "no pong in time"))]
        );
        assert_eq!(ws.transport(), Transport::ShutWrite);
    }
}

/// R178: a pong that guesses right confirms nothing before its ping is written, however what came before
/// was written.
#[test]
fn r178_a_guessed_pong_confirms_nothing() {
    for role in ROLES {
        for first in [0, 50] {
            let mut ws = open(role, Config::default().keepalive(ms(100), ms(30)));
            ws.tick(ms(0));
            ws.send_binary(&[0; 100]).unwrap();
            ws.sent(first);
            drain(&mut ws);
            assert_eq!(ws.tick(ms(100)), Some(ms(130)));
            let ping = parse(role, ws.output()).remove(0);
            feed(&mut ws, &frame(peer(role), FIN | PONG, &ping.payload));
            assert_eq!(
                (ws.tick(ms(110)), ws.round_trip_time()),
                (Some(ms(130)), None)
            );
        }
    }
}

/// R178: whoever talks needs no ping.
#[test]
fn r178_no_ping_while_the_peer_is_heard() {
    let mut ws = open(Role::Server, Config::default().keepalive(ms(100), ms(30)));
    assert_eq!(ws.tick(ms(0)), Some(ms(100)));
    feed(
        &mut ws,
        &frame(Role::Client, FIN | TEXT, b"a message in the fast way"),
    );
    assert_eq!(ws.tick(ms(80)), Some(ms(180)));
    assert_eq!(ws.tick(ms(179)), Some(ms(180)));
    assert_eq!(ws.output(), b"");
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

/// A pong cannot overtake a frame, so it is not late while one arrives.
#[test]
fn keepalive_waits_for_the_frame_in_progress() {
    let mut ws = open(Role::Server, Config::default().keepalive(ms(100), ms(30)));
    ws.tick(ms(0));
    let long = frame(Role::Client, FIN | BINARY, &[7; 2000]);
    feed(&mut ws, &long[..100]);
    assert_eq!(ws.tick(ms(10)), Some(ms(110)));
    ws.tick(ms(110));
    drain(&mut ws);
    for (i, piece) in long[100..1900].chunks(100).enumerate() {
        feed(&mut ws, piece);
        let now = ms(120 + 20 * i as u64);
        assert_eq!(ws.tick(now), Some(now + ms(30)));
    }
    misses(&mut ws, ms(470), ms(490), Error::PongTimeout);
}

#[test]
fn idle_deadline() {
    for role in ROLES {
        let mut ws = open(role, Config::default().idle_timeout(ms(500)));
        assert_eq!(ws.tick(ms(7)), Some(ms(507)));
        feed(&mut ws, &frame(peer(role), FIN | TEXT, b""));
        assert_eq!(ws.tick(ms(400)), Some(ms(900)));
        // Sending is no sign of the peer's life; empty input is none either.
        ws.send_text("x").unwrap();
        feed(&mut ws, b"");
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
        feed(&mut ws, &frame(from, TEXT, b"a"));
        assert_eq!(ws.tick(ms(100)), Some(ms(600)));
        feed(&mut ws, &frame(from, CONTINUATION, b"b"));
        feed(&mut ws, &frame(from, FIN | PING, b""));
        assert_eq!(ws.tick(ms(599)), Some(ms(600)));
        // The next message begins before the clock looks again: it has its own time.
        feed(&mut ws, &frame(from, FIN | CONTINUATION, b"c"));
        feed(&mut ws, &frame(from, BINARY, b"d"));
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
        feed(&mut ws, &frame(peer(role), FIN | TEXT, b"still here"));
        assert_eq!(ws.tick(ms(209)), Some(ms(210)));
        ws.tick(ms(210));
        assert_eq!(feed(&mut ws, b""), [Event::Fail(Error::CloseTimeout)]);
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
        feed(
            &mut ws,
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
            feed(&mut ws, b""),
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
        feed(&mut ws, &frame(peer(role), FIN | RSV2 | TEXT, b""));
        assert_eq!(ws.tick(ms(10)), Some(ms(210)));
        ws.tick(ms(210));
        assert_eq!((ws.transport(), ws.buffered_amount()), (Transport::Drop, 0));
        assert_eq!(ws.end_of_stream().error, Some(Error::ReservedBits));
        // All is exchanged, but the transport does not end.
        let mut ws = open(role, config);
        ws.tick(ms(0));
        feed(
            &mut ws,
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
fn r195_r196_what_to_do_with_the_transport() {
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
        assert!(ws.send_text_part("other half", Fin::Last).is_err());
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
    feed(&mut ws, &frame(Role::Client, FIN | PONG, b""));
    assert_eq!(ws.tick(ms(500)), Some(ms(1100)));
    ws.tick(Duration::MAX);
    assert_eq!(feed(&mut ws, b""), [Event::Fail(Error::IdleTimeout)]);
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
