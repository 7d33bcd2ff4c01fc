//! The two halves of a connection: they share nothing, and lose nothing.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::*;
use proptest::prelude::*;
use sockless::{
    CloseCode, Config, Connection, Error, Event, Obligation, Receiver, Response, Role, Sender,
    State,
};

fn halves(role: Role) -> (Receiver, Sender) {
    open(role, Config::default()).split().expect("it is open")
}

/// Feeds one piece; returns the events, and what is owed for them.
fn feed_half(receiver: &mut Receiver, piece: &[u8]) -> (Vec<Event<'static>>, Vec<Obligation>) {
    let mut bytes = piece.to_vec();
    let mut input = &mut bytes[..];
    let (mut events, mut owed) = (Vec::new(), Vec::new());
    while let Some((event, obligation)) = receiver.receive(&mut input) {
        events.push(event.into_owned());
        owed.extend(obligation);
    }
    assert!(input.is_empty());
    (events, owed)
}

fn write_all(sender: &mut Sender) -> Vec<u8> {
    let bytes: Vec<u8> = sender.outputs().flatten().copied().collect();
    sender.sent(bytes.len());
    assert_eq!((sender.output(), sender.buffered_amount()), (&b""[..], 0));
    bytes
}

#[test]
fn halves_are_send_and_sync_and_obligations_small() {
    const fn check<T: Send + Sync + 'static>() {}
    check::<Receiver>();
    check::<Sender>();
    check::<Obligation>();
    assert!(size_of::<Obligation>() <= 128);
}

#[test]
fn output_is_taken_whole() {
    for role in ROLES {
        let (_, mut sender) = halves(role);
        sender.send_text("one").unwrap();
        sender.send_text("two").unwrap();
        sender.sent(1);
        let expected: Vec<u8> = sender.outputs().flatten().copied().collect();
        assert_eq!(sender.take_output(), expected);
        assert_eq!((sender.output(), sender.buffered_amount()), (&b""[..], 0));
        assert_eq!(sender.take_output(), b"");
    }
}

#[test]
fn only_an_open_connection_is_split() {
    let ws = Connection::server(Config::default());
    assert!(ws.split().is_err());
    let mut ws = open(Role::Server, Config::default());
    ws.close(CloseCode::NORMAL, "").unwrap();
    let mut ws = ws.split().expect_err("it is closing");
    assert_eq!(drain(&mut ws).len(), 4, "and it is handed back as it was");
    // What came early has to be received first.
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut ws = Connection::server(Config::default());
    feed(&mut ws, request.as_bytes());
    feed(&mut ws, &frame(Role::Client, FIN | TEXT, b"early"));
    ws.accept(Response::default()).unwrap();
    let mut ws = ws.split().expect_err("there is something to receive");
    assert_eq!(feed(&mut ws, b""), [Event::Text("early".into())]);
    assert!(ws.split().is_ok());
}

/// T52: split in the middle of a frame, of a message and of what is being sent.
#[test]
fn t52_splitting_in_mid_frame_keeps_everything() {
    for role in ROLES {
        let wire = [
            frame(peer(role), TEXT, "grün".as_bytes()),
            frame(peer(role), FIN | PING, b"p"),
            frame(peer(role), FIN | CONTINUATION, b" und so"),
        ]
        .concat();
        for cut in 0..=wire.len() {
            let mut ws = open(role, Config::default());
            ws.send_text("one").unwrap();
            let mut written: Vec<u8> = ws.output()[..2].to_vec();
            ws.sent(2);
            let mut events = feed(&mut ws, &wire[..cut]);
            let (mut receiver, mut sender) = ws.split().unwrap();
            let (more, owed) = feed_half(&mut receiver, &wire[cut..]);
            events.extend(more);
            owed.into_iter()
                .for_each(|owed| sender.fulfill(owed).unwrap());
            written.extend(write_all(&mut sender));
            assert_eq!(
                events,
                [
                    Event::Ping(b"p"[..].into()),
                    Event::Text("grün und so".into())
                ]
            );
            assert_eq!(
                parse(role, &written),
                [wrote(FIN | TEXT, "one"), wrote(FIN | PONG, "p")]
            );
        }
    }
}

/// Closing and failing through the halves comes to what it comes to in one piece.
#[test]
fn halves_close_and_fail_as_a_whole_does() {
    for role in ROLES {
        let wires = [
            frame(peer(role), FIN | CLOSE, &close_body(1001, "bye")),
            frame(peer(role), FIN | CLOSE, b""),
            frame(peer(role), FIN | TEXT, b"\xff and more"),
            frame(peer(role), FIN | RSV2 | TEXT, b""),
            [
                frame(peer(role), FIN | PING, b"1"),
                frame(peer(role), FIN | CLOSE, b"x"),
            ]
            .concat(),
        ];
        for wire in wires {
            let whole = run(role, Config::default(), &wire, &[]);
            let (mut receiver, mut sender) = halves(role);
            let (events, owed) = feed_half(&mut receiver, &wire);
            assert_eq!(events, whole.events);
            assert!(!sender.is_finished());
            owed.into_iter()
                .for_each(|owed| sender.fulfill(owed).unwrap());
            assert_eq!(parse(role, &write_all(&mut sender)), whole.written);
            assert!(sender.is_finished());
            let failure = whole.ending.error;
            assert_eq!(receiver.failure(), failure);
            assert_eq!(receiver.peer_close().is_some(), failure.is_none());
            assert!(sender.send_text("late").is_err());
            assert_eq!(
                Connection::join(receiver, sender).end_of_stream(),
                whole.ending
            );
        }
    }
}

/// Two ends, each in two threads: everything arrives in order, every ping is answered, both close.
#[test]
fn halves_in_threads() {
    /// What the reading thread tells the writing one.
    enum Word {
        Owed(Obligation),
        /// Everything has arrived, so this end may close.
        All,
    }

    /// One end: reads `from` in one thread and writes `to` in another.
    fn end(
        role: Role,
        from: mpsc::Receiver<Vec<u8>>,
        to: mpsc::Sender<Vec<u8>>,
    ) -> thread::JoinHandle<(Vec<Event<'static>>, Connection)> {
        let (mut receiver, mut sender) = halves(role);
        let (tell, told) = mpsc::channel::<Word>();
        let writing = thread::spawn(move || {
            let mut waiting = Vec::new();
            for number in 0..2000u32 {
                sender.send_text(&number.to_string()).unwrap();
                if number % 100 == 0 {
                    sender.send_ping(&number.to_be_bytes()).unwrap();
                }
                for word in told.try_iter() {
                    match word {
                        Word::Owed(owed) => sender.fulfill(owed).unwrap(),
                        Word::All => waiting.push(Word::All),
                    }
                }
                if number % 7 == 0 {
                    to.send(write_all(&mut sender)).unwrap();
                }
            }
            to.send(write_all(&mut sender)).unwrap();
            for word in waiting.into_iter().chain(told) {
                match word {
                    Word::Owed(owed) => sender.fulfill(owed).unwrap(),
                    Word::All => sender.close(CloseCode::NORMAL, "done").unwrap(),
                }
                let _ = to.send(write_all(&mut sender));
            }
            sender
        });
        thread::spawn(move || {
            let (mut events, mut texts) = (Vec::new(), 0);
            for piece in from {
                let (more, owed) = feed_half(&mut receiver, &piece);
                texts += more
                    .iter()
                    .filter(|event| matches!(event, Event::Text(_)))
                    .count();
                events.extend(more);
                owed.into_iter()
                    .for_each(|owed| tell.send(Word::Owed(owed)).unwrap());
                if texts == 2000 {
                    texts = 0;
                    tell.send(Word::All).unwrap();
                }
                if receiver.peer_close().is_some() {
                    break;
                }
            }
            drop(tell);
            (events, Connection::join(receiver, writing.join().unwrap()))
        })
    }
    let ((to_server, from_client), (to_client, from_server)) = (mpsc::channel(), mpsc::channel());
    let client = end(Role::Client, from_server, to_server);
    let server = end(Role::Server, from_client, to_client);
    for end in [client, server] {
        let (events, mut ws) = end.join().unwrap();
        let texts = events.iter().filter_map(|event| match event {
            Event::Text(text) => Some(text.parse::<u32>().unwrap()),
            _ => None,
        });
        assert!(texts.eq(0..2000));
        let count = |matches: fn(&Event<'_>) -> bool| events.iter().filter(|e| matches(e)).count();
        assert_eq!(count(|event| matches!(event, Event::Ping(_))), 20);
        assert_eq!(count(|event| matches!(event, Event::Close(_))), 1);
        let ending = ws.end_of_stream();
        assert_eq!(
            (ending.code, ending.clean, &*ending.reason),
            (1000, true, "done")
        );
    }
}

proptest! {
    /// Any order in which the halves' work can interleave: the obligations wait in a queue that is
    /// emptied when it suits, while the sender goes on by itself. What is written is always whole
    /// frames, at most one Close, nothing behind it but pongs, and nothing at all behind the answer.
    #[test]
    fn any_interleaving_of_the_halves(
        order in prop::collection::vec(0..6u8, 1..80),
        peers in prop::collection::vec(0..12u8, 1..40),
    ) {
        for role in ROLES {
            let (mut receiver, mut sender) = halves(role);
            let (mut owed, mut peers) = (Vec::new(), peers.iter());
            let (mut wire, mut events) = (Vec::new(), Vec::new());
            for step in &order {
                match step {
                    0 | 1 => {
                        let Some(kind) = peers.next() else { continue };
                        let (first, payload) = match kind {
                            0 => (FIN | CLOSE, close_body(1000, "")),
                            1 => (FIN | RSV3 | TEXT, Vec::new()),
                            2..=6 => (FIN | PING, vec![*kind; 3]),
                            _ => (FIN | TEXT, b"text".to_vec()),
                        };
                        let bytes = frame(peer(role), first, &payload);
                        let (more, obligations) = feed_half(&mut receiver, &bytes);
                        events.extend(more);
                        owed.extend(obligations);
                    }
                    2 => {
                        for obligation in owed.drain(..) {
                            sender.fulfill(obligation).unwrap();
                        }
                    }
                    3 => drop(sender.send_text("mine")),
                    4 => sender.close(CloseCode::GOING_AWAY, "").unwrap(),
                    _ => wire.extend(write_all(&mut sender)),
                }
            }
            for obligation in owed {
                sender.fulfill(obligation).unwrap();
            }
            wire.extend(write_all(&mut sender));
            let frames = parse(role, &wire);
            let closes = frames.iter().filter(|f| f.first == FIN | CLOSE).count();
            let over = receiver.peer_close().is_some() || receiver.failure().is_some();
            prop_assert!(closes <= 1);
            prop_assert!(closes == 1 || !over);
            let behind = frames.iter().skip_while(|f| f.first != FIN | CLOSE).skip(1);
            prop_assert!(behind.clone().all(|f| f.first == FIN | PONG));
            let last = events.iter().position(|e| matches!(e, Event::Close(_) | Event::Fail(_)));
            prop_assert!(last.is_none_or(|at| at == events.len() - 1));
            prop_assert!(!over || sender.is_finished());
            let ending = Connection::join(receiver, sender).end_of_stream();
            prop_assert_eq!(ending.clean, ending.code == 1000);
            prop_assert!(matches!(ending.error, None | Some(Error::ReservedBits)));
        }
    }
}

/// What was received while a connection was split is no silence when it is whole again, and a pong
/// confirms its ping.
#[test]
fn r178_joined_halves_have_heard() {
    const SECOND: Duration = Duration::from_secs(1);
    let config = Config::default()
        .idle_timeout(10 * SECOND)
        .keepalive(4 * SECOND, 7 * SECOND);
    let mut ws = Connection::upgraded(Role::Server, config);
    assert_eq!(ws.tick(Duration::ZERO), Some(4 * SECOND));
    let _ = ws.tick(4 * SECOND);
    let ping = ws.take_output();
    let _ = ws.tick(4 * SECOND);
    let (mut receiver, sender) = ws.split().expect("it is open");
    let mut pong = frame(Role::Client, FIN | 0xa, &ping[2..]);
    let event = receiver.receive(&mut &mut pong[..]);
    assert!(matches!(event, Some((Event::Pong(_), None))), "{event:?}");
    let mut ws = Connection::join(receiver, sender);
    let _ = ws.tick(12 * SECOND);
    assert_eq!((ws.poll_event(), ws.state()), (None, State::Open));
    assert!(ws.round_trip_time().is_some());
}
