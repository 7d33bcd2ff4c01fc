//! Two of our connections, and a list of what their callers and the transport do.

use core::time::Duration;

use sockless::{
    ClientRequest, CloseCode, Config, Connection, Delivery, Event, Fin, Input, Prepared, Response,
    Role, SendError, State,
};

use super::parts::Joined;
use super::reference::Seen;
use super::source::Source;
use super::watch::{Watched, entropy, open, rewind_entropy};
use super::wire;

struct Side {
    watched: Watched,
    delivery: Delivery,
    /// Written, and not yet with the peer.
    wire: Vec<u8>,
    /// What the peer must get, in this order.
    sent: Vec<Seen>,
    /// The message that is being sent in parts.
    parts: Option<Seen>,
    pings: u32,
    /// The length of the one long message: less where it is sent in many fragments.
    long: usize,
}

pub(crate) fn check(data: &[u8]) {
    let mut source = Source::new(data);
    let with_handshake = source.flag();
    let mut sides =
        [Role::Client, Role::Server].map(|role| Side::new(role, with_handshake, &mut source));
    let mut now = Duration::ZERO;
    for _ in 0..150 {
        if source.is_empty() {
            break;
        }
        let choice = source.byte();
        let [client, server] = &mut sides;
        let (side, peer) = if choice & 0x80 == 0 {
            (client, server)
        } else {
            (server, client)
        };
        match choice % 12 {
            kind @ ..6 => {
                let message = if matches!(kind, 0 | 2 | 3) {
                    Seen::Text(side.text(&mut source))
                } else {
                    Seen::Binary(side.blob(&mut source))
                };
                match kind {
                    0 | 1 => side.send(message, choice & 0x40 != 0),
                    2 | 4 => side.send_part(message, Fin::More),
                    _ => side.send_part(message, Fin::Last),
                }
            }
            6 => side.ping(usize::from(source.byte())),
            7 => side.pong(usize::from(source.byte())),
            8 => {
                let n = usize::from(source.byte());
                // Often so few that a control frame is cut.
                let bytes = side.watched.write(if n < 128 { n % 16 } else { n });
                side.wire.extend(bytes);
            }
            9 => side.deliver(peer, usize::from(source.byte())),
            10 => {
                now += Duration::from_millis(u64::from(source.word()));
                side.watched.tick(now);
            }
            _ => match source.byte() {
                201.. => side.close(&mut source),
                // From now on what a read cuts is kept.
                0..=15 if side.watched.input.unread().is_empty() => {
                    side.watched.input = Input::new(1 << 12);
                }
                _ => {}
            },
        }
    }

    // Everything arrives, and somebody closes.
    let [client, server] = &mut sides;
    pump(client, server);
    for side in [&*client, &*server] {
        assert_ne!(side.watched.ws.state(), State::Connecting);
    }
    if client.watched.ws.state() == State::Open {
        let ws = &mut client.watched.ws;
        ws.close(CloseCode::NORMAL, "bye").expect("open");
        pump(client, server);
    }
    client.compare(server);
    server.compare(client);

    let [client, server] = sides;
    for side in [&client, &server] {
        let bytes = &side.watched.output[..];
        let role = side.watched.ws.role();
        let frames = if with_handshake {
            wire::head(bytes).expect("a head").1
        } else {
            bytes
        };
        let closes = wire::written(role, frames, true);
        let closes = closes.iter().filter(|frame| frame.opcode == wire::CLOSE);
        assert_eq!(closes.count(), 1);
    }
    assert!(server.watched.ws.state() == State::Closed, "R195");
    let [client, server] = [client, server].map(|side| side.watched.finish().ending);
    for (one, other) in [(&client, &server), (&server, &client)] {
        assert!(one.clean && one.error.is_none(), "{one:?}");
        assert_eq!(one.code, other.sent_code.map_or(1005, u16::from));
        assert!(one.closed_first.is_some());
    }
}

impl Side {
    fn new(role: Role, with_handshake: bool, source: &mut Source<'_>) -> Self {
        let delivery = *source.pick(&[Delivery::Messages, Delivery::Parts]);
        let fragment_size = *source.pick(&[usize::MAX, 1, 7, 125, 126, 300]);
        let config = Config::default()
            .delivery(delivery)
            .entropy(entropy)
            .fragment_size(fragment_size)
            .high_water_mark(*source.pick(&[1 << 16, 0, 100, 1000]))
            .handshake_timeout(Duration::MAX)
            .close_timeout(Duration::MAX)
            .write_timeout(Duration::MAX)
            .keepalive(
                *source.pick(&[Duration::MAX, Duration::from_secs(1)]),
                Duration::MAX,
            );
        let ws = match (role, with_handshake) {
            (_, false) => open(role, config),
            (Role::Server, _) => Connection::server(config),
            (Role::Client, _) => {
                rewind_entropy();
                let request = ClientRequest::new("ws://example.com/").expect("a URI");
                Connection::client(request, config).expect("entropy")
            }
        };
        Self {
            watched: Watched::new(ws),
            delivery,
            wire: Vec::new(),
            sent: Vec::new(),
            parts: None,
            pings: 0,
            long: if fragment_size < 300 { 1000 } else { 66_000 },
        }
    }

    /// A call that the connection must take if it is open and `fits`, and refuse without a trace if
    /// not.
    fn call(
        &mut self,
        fits: bool,
        call: impl FnOnce(&mut Connection) -> Result<(), SendError>,
    ) -> bool {
        let ws = &mut self.watched.ws;
        let (state, before) = (ws.state(), ws.buffered_amount());
        let result = call(ws);
        assert_eq!(ws.state(), state);
        if state == State::Open && fits {
            assert_eq!(result, Ok(()));
            assert!(ws.buffered_amount() > before);
            return true;
        }
        assert_eq!(ws.buffered_amount(), before);
        match (state, result) {
            (State::Connecting, result) => assert_eq!(result, Err(SendError::Connecting)),
            (State::Open, result) => assert!(result.is_err()),
            (_, result) => assert_eq!(result, Ok(()), "late, and dropped"),
        }
        false
    }

    fn send(&mut self, message: Seen, is_shared: bool) {
        let taken = self.call(self.parts.is_none(), |ws| match &message {
            Seen::Text(text) if is_shared => ws.send_prepared(&Prepared::text(text.clone())),
            Seen::Binary(data) if is_shared => ws.send_prepared(&Prepared::binary(data.clone())),
            Seen::Text(text) => ws.send_text(text),
            Seen::Binary(data) => ws.send_binary(data),
            _ => unreachable!(),
        });
        if taken {
            self.sent.push(message);
        }
    }

    fn send_part(&mut self, part: Seen, fin: Fin) {
        let fits = matches!(
            (&self.parts, &part),
            (None, _)
                | (Some(Seen::Text(_)), Seen::Text(_))
                | (Some(Seen::Binary(_)), Seen::Binary(_))
        );
        let taken = self.call(fits, |ws| match &part {
            Seen::Text(text) => ws.send_text_part(text, fin),
            Seen::Binary(data) => ws.send_binary_part(data, fin),
            _ => unreachable!(),
        });
        if !taken {
            return;
        }
        let whole = match (self.parts.take(), part) {
            (Some(Seen::Text(begun)), Seen::Text(part)) => Seen::Text(begun + &part),
            (Some(Seen::Binary(begun)), Seen::Binary(part)) => Seen::Binary([begun, part].concat()),
            (_, part) => part,
        };
        match fin {
            Fin::Last => self.sent.push(whole),
            Fin::More => self.parts = Some(whole),
        }
    }

    /// Each has its number, behind a byte that tells it from those of the keepalive.
    fn ping(&mut self, len: usize) {
        let mut payload = [&b"?"[..], &self.pings.to_be_bytes()].concat();
        payload.resize(payload.len().max(len), b'.');
        if self.call(payload.len() <= 125, |ws| ws.send_ping(&payload)) {
            self.pings += 1;
            self.sent.push(Seen::Ping(payload));
        }
    }

    fn pong(&mut self, len: usize) {
        let payload = vec![b'!'; len.max(1)];
        let ws = &mut self.watched.ws;
        if ws.state() == State::Closing {
            // Whether it may still be sent depends on whose Close is missing.
            let _ = ws.send_pong(&payload);
        } else if self.call(payload.len() <= 125, |ws| ws.send_pong(&payload)) {
            self.sent.push(Seen::Pong(payload));
        }
    }

    fn close(&mut self, source: &mut Source<'_>) {
        let ws = &mut self.watched.ws;
        let connecting = ws.state() == State::Connecting;
        let result = match source.byte() % 3 {
            0 => ws.close_without_code(),
            1 => ws.close(CloseCode::GOING_AWAY, "€ and more"),
            _ => ws.close(CloseCode::new(4000).expect("private use"), &"x".repeat(123)),
        };
        assert_eq!(result.is_err(), connecting);
    }

    fn text(&mut self, source: &mut Source<'_>) -> String {
        let len = self.len(source);
        let start = usize::from(source.byte() % 10);
        let chars = "aé€😀\0z\u{7ff}\u{800}\u{ffff}\u{10ffff}".chars();
        let round: String = chars.cycle().skip(start).take(10).collect();
        let rest: String = round.chars().take(len % 10).collect();
        round.repeat(len / 10) + &rest
    }

    fn blob(&mut self, source: &mut Source<'_>) -> Vec<u8> {
        let len = self.len(source);
        let start = source.byte();
        let round: Vec<u8> = (0..10).map(|i| start.wrapping_add(i)).collect();
        [round.repeat(len / 10), round[..len % 10].to_vec()].concat()
    }

    fn len(&mut self, source: &mut Source<'_>) -> usize {
        match source.byte() {
            255 => core::mem::replace(&mut self.long, 255),
            len => usize::from(len),
        }
    }

    /// Up to `n` bytes reach the peer.
    fn deliver(&mut self, peer: &mut Self, n: usize) {
        let arrived: Vec<_> = self.wire.drain(..n.min(self.wire.len())).collect();
        peer.arrive(&arrived);
    }

    fn arrive(&mut self, bytes: &[u8]) {
        self.watched.feed(bytes, |ws, event| match event {
            Event::Request(_) => ws.accept(Response::default()).expect("a request"),
            Event::Fail(error) => panic!("{error}"),
            Event::Rejected(response) => panic!("{response:?}"),
            _ => {}
        });
    }

    /// All that there is reaches the peer; how much that was.
    fn transfer(&mut self, peer: &mut Self) -> usize {
        let bytes = self.watched.write(usize::MAX);
        self.wire.extend(bytes);
        let bytes = core::mem::take(&mut self.wire);
        for piece in bytes.chunks(1000) {
            peer.arrive(piece);
        }
        bytes.len()
    }

    /// What the peer got of this side: all that it sent, in order, once.
    fn compare(&self, peer: &Self) {
        let mut joined = Joined::default();
        let mut got = Vec::new();
        let mut answered = vec![false; usize::try_from(peer.pings).expect("few")];
        for event in &peer.watched.events {
            let seen = match peer.delivery {
                Delivery::Parts => joined.put(event),
                _ => Seen::new(event),
            };
            match seen {
                // Answers to the peer's pings: not to all, and what overtakes a backlog overtakes
                // earlier answers in it too, but none comes twice.
                Some(Seen::Pong(payload)) if payload.first() == Some(&b'?') => {
                    let number = payload[1..5].try_into().map(u32::from_be_bytes);
                    let number = usize::try_from(number.expect("a number")).expect("few");
                    assert!(!core::mem::replace(&mut answered[number], true));
                }
                Some(Seen::Ping(payload) | Seen::Pong(payload)) if payload.first() == Some(&0) => {}
                Some(Seen::Close(..)) | None => {}
                Some(seen) => got.push(seen),
            }
        }
        assert_eq!(got, self.sent);
    }
}

/// All that was written arrives, in pieces, until nothing moves.
fn pump(client: &mut Side, server: &mut Side) {
    loop {
        if client.transfer(server) + server.transfer(client) == 0 {
            return;
        }
    }
}
