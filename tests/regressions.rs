//! What reviews found wrong once, each as it would be met.

mod common;
mod counting;

use std::time::Duration;

use common::*;
use counting::measured;
use sockless::handshake::HandshakeError;
use sockless::{
    ClientRequest, CloseCode, Config, Connection, EntropyError, Error, Event, Prepared, Response,
    Role, State,
};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn client(config: Config) -> Connection {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let mut ws = Connection::client(request, config.entropy(entropy)).unwrap();
    drain(&mut ws);
    ws
}

/// Output that is written elsewhere is taken, not borrowed: a pong may go ahead of what is borrowed.
#[test]
fn taken_output_is_whole_whatever_comes_between() {
    for role in ROLES {
        let mut ws = open(role, Config::default().high_water_mark(100));
        for sent in [0, 1, 500] {
            ws.send_binary(&[7; 1000]).unwrap();
            ws.send_prepared(&Prepared::binary(vec![8; 1000])).unwrap();
            let mut wire: Vec<u8> = ws.outputs().flatten().take(sent).copied().collect();
            ws.sent(sent);
            feed(&mut ws, &frame(peer(role), FIN | PING, b"hi"));
            wire.extend(ws.written());
            assert_eq!((ws.output(), ws.buffered_amount()), (&b""[..], 0));
            feed(&mut ws, &frame(peer(role), FIN | PING, b"again"));
            wire.extend(ws.written());
            let frames = parse(role, &wire);
            assert_eq!(frames.len(), 4);
            assert_eq!(frames.last(), Some(&wrote(FIN | PONG, "again")));
        }
        ws.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(parse(role, &ws.written()).len(), 1);
        feed(&mut ws, &frame(peer(role), FIN | CLOSE, b""));
        assert!(ws.end_of_stream().clean, "what was taken counts as written");
    }
}

/// The pong's time begins when the ping is written, to the precision of the ticks.
#[test]
fn the_pong_deadline_begins_with_the_ping_on_the_wire() {
    let mut ws = open(
        Role::Server,
        Config::default().keepalive(secs(30), secs(10)),
    );
    ws.tick(secs(0));
    ws.send_binary(&[0; 100_000]).unwrap();
    ws.tick(secs(30));
    for now in 31..=38 {
        ws.tick(secs(now));
    }
    drain(&mut ws);
    assert_eq!(ws.tick(secs(39)), Some(secs(48)));
}

/// A peer that guesses the payload of a ping cannot confirm it before it has it.
#[test]
fn a_pong_does_not_confirm_a_ping_that_is_not_written() {
    let mut ws = open(
        Role::Server,
        Config::default().keepalive(secs(30), secs(10)),
    );
    ws.tick(secs(0));
    ws.tick(secs(30));
    let ping = parse(Role::Server, ws.output()).remove(0);
    feed_at(
        &mut ws,
        secs(31),
        &frame(Role::Client, FIN | PONG, &ping.payload),
    );
    ws.tick(secs(31));
    assert_eq!(ws.round_trip_time(), None);
    drain(&mut ws);
    feed_at(
        &mut ws,
        secs(33),
        &frame(Role::Client, FIN | PONG, &ping.payload),
    );
    ws.tick(secs(33));
    assert_eq!(ws.round_trip_time(), Some(secs(3)));
}

/// R179, R181: a control frame that drips shows that the peer lives, as whole ones would; and is no message.
#[test]
fn a_dripping_control_frame_does_not_hold_off_the_deadline_for_messages() {
    let config = Config::default().keepalive(secs(30), secs(10));
    let mut ws = open(Role::Server, config.no_message_timeout(secs(60)));
    ws.tick(secs(0));
    for (i, byte) in frame(Role::Client, FIN | PONG, &[0; 100])
        .iter()
        .enumerate()
    {
        let events = feed_at(&mut ws, secs(1 + i as u64), &[*byte]);
        drain(&mut ws);
        if ws.state() != State::Open {
            assert_eq!(i, 59);
            assert_eq!(events, [Event::Fail(Error::NoMessageTimeout)]);
            return;
        }
    }
    panic!("it was held off");
}

/// R030: what has come of a rejection is not lost when the rest is late.
#[test]
fn r030_a_rejection_with_a_slow_body_is_reported() {
    for head in ["Content-Length: 100\r\n\r\n", "\r\n"] {
        let mut ws = client(Config::default().handshake_timeout(secs(30)));
        ws.tick(secs(0));
        let answer = format!("HTTP/1.1 401 Unauthorized\r\n{head}hello");
        assert_eq!(feed_at(&mut ws, secs(29), answer.as_bytes()), []);
        let Event::Rejected(response) = ws.missed(secs(30)) else {
            panic!("rejected")
        };
        assert_eq!((response.status(), response.body()), (401, &b"hello"[..]));
        let ending = ws.end_of_stream();
        assert_eq!(
            (ending.status, ending.opened, ending.truncated),
            (Some(401), false, false)
        );
        let error = Error::Handshake(HandshakeError::UnexpectedStatus(401));
        assert_eq!(ending.error, Some(error));
    }
}

/// R049: the end of the transport in the handshake is an error with a name; R030: a body that lasts
/// until then is not cut off.
#[test]
fn r049_the_ending_says_what_became_of_the_handshake() {
    let end = Error::Handshake(HandshakeError::EndOfStream);
    let mut ws = client(Config::default());
    feed(&mut ws, b"HTTP/1.1 101 Swi");
    let ending = ws.end_of_stream();
    assert_eq!(
        (ending.error, ending.truncated, ending.opened),
        (Some(end), true, false)
    );

    let mut ws = client(Config::default());
    feed(&mut ws, b"HTTP/1.1 503 Busy\r\n\r\nlater");
    let ending = ws.end_of_stream();
    assert_eq!((ending.status, ending.truncated), (Some(503), false));
    assert_eq!(
        ending.response.as_ref().map(|r| r.body()),
        Some(&b"later"[..])
    );

    let mut ws = Connection::server(Config::default());
    feed(&mut ws, b"GET /");
    assert_eq!(ws.end_of_stream().error, Some(end));

    // A page that was served, or a refusal, is what the caller wanted.
    let mut ws = Connection::server(Config::default().serve_plain_http());
    feed(&mut ws, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ws.respond(Response::new(200).with_html("<p>")).unwrap();
    drain(&mut ws);
    let ending = ws.end_of_stream();
    assert_eq!((ending.status, ending.error), (Some(200), None));
    assert!(std::io::Result::from(ending).is_ok());
}

/// R038, R100: an extension header without an extension breaks its grammar.
#[test]
fn r038_an_empty_list_of_extensions_is_refused() {
    for value in ["", " , ,", ","] {
        let mut ws = client(Config::default());
        let answer = format!(
            "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Extensions: {value}\r\n\r\n"
        );
        let error = Error::Handshake(HandshakeError::InvalidExtensions);
        assert_eq!(feed(&mut ws, answer.as_bytes()), [Event::Fail(error)]);
    }
}

/// R060: each line of `Upgrade` keeps to the grammar, also beside one that does.
#[test]
fn r060_a_malformed_upgrade_line_is_refused() {
    let mut ws = Connection::server(Config::default());
    let request = format!("{REQUEST}Upgrade: @@ @\r\n\r\n");
    let error = Error::Handshake(HandshakeError::MalformedHead);
    assert_eq!(feed(&mut ws, request.as_bytes()), [Event::Fail(error)]);
}

/// R198: the peer's Close has come, whether or not it can be answered.
#[test]
fn r198_a_close_that_cannot_be_answered_is_known() {
    let config = Config::default().entropy(|_| Err(EntropyError::default()));
    let mut ws = Connection::upgraded(Role::Client, config);
    let events = feed(
        &mut ws,
        &frame(Role::Server, FIN | CLOSE, &close_body(4000, "bye")),
    );
    assert!(matches!(&events[..], [Event::Close(close)] if &*close.reason == "bye"));
    let ending = ws.end_of_stream();
    assert_eq!((ending.code, ending.clean), (4000, false));
}

/// The sum of what is shared may be above what a small machine can count.
#[test]
fn shared_payloads_may_add_up_to_anything() {
    let message = Prepared::binary(vec![1; 64 << 20]);
    let mut ws = open(Role::Server, Config::default());
    for _ in 0..70 {
        ws.send_prepared(&message).unwrap();
    }
    let (mut written, mut turns) = (0_u64, 0);
    while !ws.output().is_empty() {
        let n = ws.output().len();
        written += n as u64;
        ws.sent(n);
        turns += 1;
        assert!(turns <= 140, "it ends");
    }
    assert_eq!(written, 70 * (10 + (64 << 20)));
}

/// A queue that is never quite empty gives back what it once needed.
#[test]
fn a_queue_that_never_drains_shrinks() {
    let mut ws = open(Role::Server, Config::default());
    let ((), total) = measured(|| {
        ws.send_binary(vec![1; 4 << 20]).unwrap();
        for _ in 0..1000 {
            ws.send_binary(&[2; 100]).unwrap();
            let n = ws.buffered_amount() - 1;
            ws.sent(n);
        }
    });
    assert_eq!(ws.buffered_amount(), 1);
    assert!(total.held < 16 << 10, "{total:?}");
}

/// What is received and sent may be secret, and does not stand in what `Debug` prints.
#[test]
fn debug_tells_no_secrets() {
    let request = ClientRequest::new("ws://example.com/").unwrap();
    let request = request
        .with_header("Authorization", "Bearer secret")
        .unwrap();
    let ws = Connection::client(request, Config::default().entropy(entropy)).unwrap();
    let mut open = open(Role::Server, Config::default());
    open.send_text("secret").unwrap();
    feed(&mut open, &frame(Role::Client, TEXT, b"secret"));
    let numbers = format!("{:?}", "secret".as_bytes());
    let numbers = numbers.trim_matches(['[', ']']);
    let printed = [format!("{ws:?}"), format!("{open:?}")];
    for text in printed {
        assert!(
            !text.contains("secret") && !text.contains(numbers),
            "{text}"
        );
    }
}

/// Nothing follows a plain request: what comes behind it is neither kept nor held against it.
#[test]
fn what_follows_a_plain_request_is_ignored() {
    let mut ws = Connection::server(Config::default().serve_plain_http().max_early_data(10));
    let get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(feed(&mut ws, &get.repeat(5)).len(), 1);
    ws.respond(Response::new(200).with_text("one").with_html("two"))
        .unwrap();
    let answer = String::from_utf8(drain(&mut ws)).unwrap();
    assert_eq!(answer.matches("Content-Type").count(), 1);
    assert!(answer.ends_with("two"));
    assert_eq!(ws.state(), State::Closed);
}
