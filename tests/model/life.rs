//! One life: a connection, its peer and its caller, beside the model.

use core::time::Duration;

use sockless::frame::{Header, Opcode};
use sockless::{
    CloseCode, Config, Connection, Delivery, Event, Fin, Input, Next, Role, SendError, State, Write,
};

use super::rfc::{Call, End, Rfc, Seen};
use super::time::{CLOSE_TIMEOUT, INTERVAL, Standing, TIMEOUT, Time};
use super::{Effect, Fault, Move, Reads, Setup, ensure, ensure_same};
use crate::common::*;

/// Above this many bytes of output only the latest ping is answered.
const HIGH_WATER_MARK: usize = 32;

/// What the caller sends: shorter than the mark, but compressible, and longer than it.
const TEXT_SENT: &str = "na na na na na na na";
const BINARY_SENT: &[u8] = &[7; 40];
const PART_SENT: &str = "na na na na na la";

pub(crate) struct Life {
    setup: Setup,
    ws: Connection,
    /// One that keeps what a read cut off, in every second life.
    input: Input,
    is_shut: bool,
    pub(crate) rfc: Rfc,
    pub(crate) time: Time,
    /// What has come of a message in parts, or of a frame in pieces.
    partial: Vec<u8>,
    partial_header: Option<Header>,
    /// What is missing of a frame that the peer has sent the first half of.
    peer_rest: Vec<u8>,
    pings: u8,
    written: usize,
    /// What has been written, and the other end has not taken.
    pub(crate) wire: Vec<u8>,
}

/// A call of the caller's, on the connection and on the model.
macro_rules! call {
    ($life:ident, $call:expr, $ws:ident => $send:expr, $rfc:ident => $note:expr) => {{
        let before = $life.pending();
        let $ws = &mut $life.ws;
        let sent = $send;
        $life.judge($call, before, sent, |$rfc| $note)
    }};
}

impl Life {
    pub(crate) fn new(setup: Setup) -> Self {
        let seconds = Duration::from_secs;
        let config = Config::default()
            .delivery(setup.delivery)
            .high_water_mark(HIGH_WATER_MARK)
            .keepalive(seconds(INTERVAL), seconds(TIMEOUT))
            .close_timeout(seconds(CLOSE_TIMEOUT))
            .write_timeout(Duration::MAX)
            .entropy(|buffer| {
                buffer.fill(0x5a);
                Ok(())
            });
        let mut ws = match setup.deflate {
            None => Connection::upgraded(setup.role, config),
            Some(_) => compressing(setup.role, config),
        };
        ws.tick(Duration::ZERO);
        Self {
            setup,
            ws,
            input: match setup.reads {
                Reads::InTwo => Input::new(0),
                Reads::Whole | Reads::ByteByByte => Input::shared(0),
            },
            is_shut: false,
            rfc: Rfc::new(setup),
            time: Time::default(),
            partial: Vec::new(),
            partial_header: None,
            peer_rest: Vec::new(),
            pings: 0,
            written: 0,
            wire: Vec::new(),
        }
    }

    /// Plays a move, on the connection and on the model, and compares.
    pub(crate) fn play(&mut self, next: Move) -> Result<Effect, Fault> {
        let effect = match next {
            Move::Text => call!(self, Call::Message, ws => ws.send_text(TEXT_SENT),
                rfc => rfc.on_message(TEXT, TEXT_SENT.as_bytes())),
            Move::Binary => call!(self, Call::Message, ws => ws.send_binary(BINARY_SENT),
                rfc => rfc.on_message(BINARY, BINARY_SENT)),
            Move::PartMore => self.part(Fin::More),
            Move::PartLast => self.part(Fin::Last),
            Move::Ping => {
                let ping = [b"app", &self.next_ping().to_be_bytes()[..]].concat();
                call!(self, Call::Ping, ws => ws.send_ping(&ping), rfc => rfc.on_ping(&ping))
            }
            Move::Pong => {
                call!(self, Call::Pong, ws => ws.send_pong(b"idle"), rfc => rfc.on_pong(b"idle"))
            }
            Move::Close => self.close(Some(CloseCode::GOING_AWAY), "bye"),
            Move::CloseWithoutCode => self.close(None, ""),
            Move::FrameBinary => self.header(Opcode::Binary, 3),
            Move::FrameContinuation => self.header(Opcode::Continuation, 1),
            Move::FrameClose => self.header(Opcode::Close, 2),
            Move::PayloadByte => self.payload(1),
            Move::PayloadRest => self.payload(self.missing()),
            Move::WriteByte => self.write(1),
            Move::WriteHalf => self.write(self.pending().div_ceil(2)),
            Move::WriteAll => self.write(usize::MAX),
            Move::PeerText => self.peer(&[(FIN | TEXT, b"text")]),
            Move::PeerBinary => self.peer(&[(FIN | BINARY, &[0xff; 30])]),
            Move::PeerFirst => self.peer(&[(TEXT, b"first ")]),
            Move::PeerMiddle => self.peer(&[(CONTINUATION, b"middle ")]),
            Move::PeerLast => self.peer(&[(FIN | CONTINUATION, b"last")]),
            Move::PeerPing => {
                let number = self.next_ping();
                self.peer(&[(FIN | PING, &[number])])
            }
            Move::PeerLongPing => {
                let number = self.next_ping();
                self.peer(&[(FIN | PING, &[number; 50])])
            }
            Move::PeerTwoPings => {
                let (first, second) = (self.next_ping(), self.next_ping());
                self.peer(&[(FIN | PING, &[first]), (FIN | PING, &[second])])
            }
            Move::PeerPong => match self.rfc.latest_ping.take() {
                Some(payload) => self.peer(&[(FIN | PONG, &payload)]),
                None => Ok(Effect::None),
            },
            Move::PeerIdlePong => self.peer(&[(FIN | PONG, b"?")]),
            Move::PeerClose => self.peer(&[(FIN | CLOSE, b"\x03\xe8done")]),
            Move::PeerEmptyClose => self.peer(&[(FIN | CLOSE, b"")]),
            Move::PeerBadClose => self.peer(&[(FIN | CLOSE, b"\x03")]),
            Move::PeerViolation => self.peer(&[(FIN | 3, b"")]),
            Move::PeerBadText => self.peer(&[(FIN | TEXT, b"\xff")]),
            Move::PeerCompressed => {
                self.peer(&[(FIN | RSV1 | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00")])
            }
            Move::PeerTwoBytes => {
                let header = frame(peer(self.setup.role), FIN | TEXT, b"four").len() - 2;
                self.peer_half(FIN | TEXT, b"four", header)
            }
            Move::PeerHalfText => self.peer_half(FIN | TEXT, b"halves", 3),
            Move::PeerHalfPing => {
                let number = self.next_ping();
                self.peer_half(FIN | PING, &[number; 4], 2)
            }
            Move::PeerHalfClose => self.peer_half(FIN | CLOSE, b"\x03\xe9half", 3),
            Move::PeerRest if self.peer_rest.is_empty() => Ok(Effect::None),
            Move::PeerRest => self.peer(&[]),
            Move::Second => self.tick(1),
            Move::Timeout => self.tick(TIMEOUT),
            Move::Interval => self.tick(INTERVAL),
            Move::End => self.end().map(|()| Effect::Over),
        }?;
        if effect != Effect::Over {
            self.compare()?;
        }
        Ok(effect)
    }

    /// What a live peer and a good caller do from here on: the frame and the message are finished, everything is
    /// read and the latest ping answered, in time; then both close, and the transport ends.
    pub(crate) fn settle(&mut self) -> Result<(), Fault> {
        use Move::*;
        self.finish()?;
        for next in [WriteAll, PeerRest, PeerPong, WriteAll] {
            self.play(next)?;
        }
        for next in [Timeout, WriteAll, PeerPong, Timeout] {
            self.play(next)?;
        }
        if self.rfc.is_open() {
            self.play(PeerPing)?;
        }
        for next in [WriteAll, PeerClose, WriteAll] {
            self.play(next)?;
        }
        if self.setup.delivery == Delivery::Frames && self.rfc.allows(Call::Header(CLOSE)) {
            for next in [FrameClose, PayloadRest, WriteAll] {
                self.play(next)?;
            }
        }
        self.end()
    }

    /// The caller finishes the frame and the message that it is sending.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        self.play(Move::PayloadRest)?;
        if self.rfc.allows(Call::Header(CONTINUATION)) {
            self.play(Move::PartLast)?;
        }
        Ok(())
    }

    // The caller.

    /// A call that the model allows has to succeed; one that comes too late is dropped, every other is
    /// refused, and both change nothing.
    fn judge(
        &mut self,
        call: Call,
        before: usize,
        sent: Result<(), SendError>,
        on_model: impl FnOnce(&mut Rfc),
    ) -> Result<Effect, Fault> {
        let allowed = self.rfc.allows(call);
        ensure_same!(
            sent.is_ok(),
            allowed || self.rfc.drops(call),
            "a call succeeds if the RFC allows it, or if it is late"
        );
        if allowed {
            on_model(&mut self.rfc);
            return Ok(Effect::Some);
        }
        let after = self.pending();
        ensure_same!(
            after,
            before,
            "what is refused or dropped changes nothing on the wire"
        );
        Ok(Effect::None)
    }

    fn part(&mut self, fin: Fin) -> Result<Effect, Fault> {
        call!(self, Call::Part(TEXT), ws => ws.send_text_part(PART_SENT, fin),
            rfc => rfc.on_part(TEXT, PART_SENT.as_bytes(), fin == Fin::Last))
    }

    fn close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<Effect, Fault> {
        let body = code.map_or_else(Vec::new, |code| close_body(code.get(), reason));
        let unwritten = self.pending();
        match code {
            Some(code) => call!(self, Call::Close, ws => ws.close(code, reason),
                rfc => rfc.on_close(&body, unwritten)),
            None => call!(self, Call::Close, ws => ws.close_without_code(),
                rfc => rfc.on_close(&body, unwritten)),
        }
    }

    fn header(&mut self, opcode: Opcode, payload_len: u64) -> Result<Effect, Fault> {
        let header = Header {
            fin: true,
            rsv1: false,
            opcode,
            mask: None,
            payload_len,
        };
        let first = FIN | opcode as u8;
        let len = usize::try_from(payload_len).expect("it is short");
        call!(self, Call::Header(opcode as u8), ws => ws.send_frame_header(&header),
            rfc => rfc.on_header(first, len))
    }

    /// The payload of a Close is code 1000, and every other is zeros.
    fn payload(&mut self, len: usize) -> Result<Effect, Fault> {
        let close = [0x03, 0xe8];
        let piece = match &self.rfc.piecewise {
            Some(frame) if frame.is_close() => &close[2 - frame.rest..][..len.min(frame.rest)],
            _ => &[0; 3][..len.min(3)],
        };
        let piece = if piece.is_empty() { &[0][..] } else { piece };
        call!(self, Call::Payload(piece.len()), ws => ws.send_frame_payload(piece),
            rfc => rfc.on_payload(piece))
    }

    fn missing(&self) -> usize {
        self.rfc.piecewise.as_ref().map_or(0, |frame| frame.rest)
    }

    /// Writes `len` bytes of the output, or all.
    fn write(&mut self, len: usize) -> Result<Effect, Fault> {
        let pending = self.pending();
        if pending == 0 {
            self.rfc.on_drained()?;
            return Ok(Effect::None);
        }
        let ws = &mut self.ws;
        let bytes: Vec<u8> = match len {
            1 => {
                let first = ws.output().first().copied();
                ws.sent(1);
                first.into_iter().collect()
            }
            usize::MAX => ws.written(),
            len => {
                let bytes: Vec<u8> = ws.outputs().flatten().copied().take(len).collect();
                ws.sent(len);
                bytes
            }
        };
        ensure_same!(
            bytes.len(),
            len.min(pending),
            "output is as long as is said"
        );
        self.written += bytes.len();
        self.wire.extend(&bytes);
        let perhaps_pongs = self.rfc.owes_pongs();
        self.rfc.write(&bytes)?;
        (self.time).on_written(self.rfc.keepalive_pings, perhaps_pongs);
        if self.pending() == 0 {
            self.rfc.on_drained()?;
        }
        Ok(Effect::Some)
    }

    /// Time passes.
    fn tick(&mut self, seconds: u64) -> Result<Effect, Fault> {
        let before = self.pending();
        let now = self.time.now + seconds;
        let standing = Standing {
            is_open: self.rfc.is_open(),
            is_mid_send: self.rfc.is_mid_send(),
            has_output: before > 0,
        };
        let due = self.time.look(now, &standing);
        let now = Duration::from_secs(now);
        let failure = match self.ws.poll(&mut self.input, now) {
            Next::Event(event) => Some(see(&event)),
            Next::Io(_) | Next::Over(_) => None,
        };
        let ended = self.is_over();
        ensure!(
            !due.pong_timeout.must || failure == Some(Seen::Fail(1011)),
            "a peer that is silent after a ping is given up (§5.5.2)",
            due
        );
        match failure {
            Some(Seen::Fail(1011)) => {
                ensure!(
                    due.pong_timeout.may,
                    "a peer that sent anything in time is alive (§5.5.2)",
                    due
                );
                self.rfc.fail(1011);
                self.rfc.carry();
            }
            Some(Seen::Fail(0)) if ended && !self.rfc.is_deaf() => self.rfc.failed = Some(0),
            None => {}
            other => return Err(Fault::new("time fails nothing else", format!("{other:?}"))),
        }
        ensure!(
            ended || !due.close_timeout.must,
            "the end is not waited for longer than is set (§7.1.1)",
            due
        );
        ensure!(
            due.close_timeout.may || !ended || self.rfc.died,
            "the end is waited for as long as is set (§7.1.1)",
            due
        );
        self.rfc.died |= ended;
        let pinged = self.pending() > before && !self.rfc.is_deaf();
        ensure!(
            due.ping.may || !pinged,
            "a keepalive ping waits for its interval",
            due
        );
        ensure!(
            pinged || !due.ping.must || self.rfc.is_deaf(),
            "a keepalive ping goes out at its interval",
            due
        );
        if pinged {
            self.rfc.queued += 14;
            self.time.on_ping_queued();
        }
        Ok(Effect::Some)
    }

    // The peer.

    /// A number for a ping of the caller or the peer, so that each has an answer of its own.
    fn next_ping(&mut self) -> u8 {
        self.pings = self.pings.wrapping_add(1);
        self.pings
    }

    /// The peer sends frames, behind what is missing of its last one.
    fn peer(&mut self, frames: &[(u8, &[u8])]) -> Result<Effect, Fault> {
        let mut bytes = core::mem::take(&mut self.peer_rest);
        for (first, payload) in frames {
            bytes.extend(frame(peer(self.setup.role), *first, payload));
        }
        self.receive(&bytes)
    }

    /// The peer sends a frame but for its last `missing` bytes.
    fn peer_half(&mut self, first: u8, payload: &[u8], missing: usize) -> Result<Effect, Fault> {
        let mut bytes = core::mem::take(&mut self.peer_rest);
        let frame = frame(peer(self.setup.role), first, payload);
        let (half, rest) = frame.split_at(frame.len() - missing);
        bytes.extend(half);
        self.peer_rest = rest.to_vec();
        self.receive(&bytes)
    }

    /// Bytes of another life arrive.
    pub(crate) fn deliver(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.receive(bytes)?;
        self.compare()
    }

    /// Bytes of the peer arrive, in reads as the setup has it.
    fn receive(&mut self, bytes: &[u8]) -> Result<Effect, Fault> {
        let was_deaf = self.rfc.is_deaf();
        if !bytes.is_empty() && !was_deaf {
            self.time.on_heard();
        }
        let expected = self.rfc.receive(bytes);
        let mut seen = Vec::new();
        let read = match self.setup.reads {
            Reads::Whole => bytes.len().max(1),
            Reads::InTwo => bytes.len().div_ceil(2).max(1),
            Reads::ByteByByte => 1,
        };
        for piece in bytes.chunks(read) {
            self.read(piece, &mut seen)?;
        }
        ensure_same!(
            seen,
            expected,
            "what arrives is seen, however it is cut (§6.2)"
        );
        self.rfc.carry();
        Ok(if was_deaf { Effect::None } else { Effect::Some })
    }

    fn read(&mut self, piece: &[u8], seen: &mut Vec<Seen>) -> Result<(), Fault> {
        self.input.extend_from_slice(piece);
        let mut calls = 0;
        loop {
            let event = match self.ws.poll(&mut self.input, Duration::ZERO) {
                Next::Event(event) => event.into_owned(),
                Next::Io(_) | Next::Over(_) => return Ok(()),
            };
            calls += 1;
            ensure!(
                calls <= 2 * piece.len() + 2,
                "an event for each byte at most",
                calls
            );
            match event {
                Event::TextPart { text, first, fin } => {
                    seen.extend(self.take_part(TEXT, text.as_bytes(), first, fin)?);
                }
                Event::BinaryPart { data, first, fin } => {
                    seen.extend(self.take_part(BINARY, &data, first, fin)?);
                }
                Event::FrameHeader(header) => {
                    ensure!(
                        self.partial_header.is_none(),
                        "a frame begins behind another (§5.4)",
                        header
                    );
                    self.partial_header = Some(header);
                    seen.extend(self.take_frame());
                }
                Event::FramePayload(data) => {
                    self.partial.extend_from_slice(&data);
                    seen.extend(self.take_frame());
                }
                event => seen.push(see(&event)),
            }
        }
    }

    fn take_part(
        &mut self,
        opcode: u8,
        data: &[u8],
        first: bool,
        fin: Fin,
    ) -> Result<Option<Seen>, Fault> {
        ensure!(
            !first || self.partial.is_empty(),
            "a part is the first once (§5.4)",
            data
        );
        self.partial.extend(data);
        Ok(match fin {
            Fin::More => None,
            Fin::Last => Some(Seen::Message(opcode, core::mem::take(&mut self.partial))),
        })
    }

    fn take_frame(&mut self) -> Option<Seen> {
        let header = self.partial_header?;
        if (self.partial.len() as u64) < header.payload_len {
            return None;
        }
        self.partial_header = None;
        let fin = if header.fin { FIN } else { 0 };
        let rsv1 = if header.rsv1 { RSV1 } else { 0 };
        Some(Seen::Frame(Frame {
            first: fin | rsv1 | header.opcode as u8,
            payload: core::mem::take(&mut self.partial),
        }))
    }

    // The end.

    fn end(&mut self) -> Result<(), Fault> {
        self.compare()?;
        let expected = self.rfc.ending();
        let ws = &mut self.ws;
        let ending = ws.end_of_stream();
        let end = End {
            code: ending.code,
            clean: ending.clean,
            closed_first: ending.closed_first,
            sent_code: ending.sent_code.map(CloseCode::get),
            failed: (ending.error).map(|error| error.close_code().map_or(0, CloseCode::get)),
            truncated: ending.truncated,
        };
        ensure_same!(
            end,
            expected,
            "the ending says how it was (§7.1.4 to §7.1.6)"
        );
        let again = ws.end_of_stream();
        let mut bytes = frame(peer(self.setup.role), FIN | TEXT, b"late");
        let late = (ws.receive(&mut &mut bytes[..]), ws.poll_event());
        let refused = ws.send_text("late").is_ok() && ws.buffered_amount() == 0;
        ensure!(
            again == ending && late == (None, None) && refused,
            "nothing comes behind the end",
            (&again, &late, &refused)
        );
        Ok(())
    }

    /// What can be asked at any time.
    fn compare(&mut self) -> Result<(), Fault> {
        if !self.rfc.is_open() {
            self.time.on_closing();
        }
        // Whoever asks what to do tells the time as well.
        self.tick(0)?;
        let pending = self.pending();
        let outputs: usize = self.ws.outputs().map(<[u8]>::len).sum();
        ensure_same!(outputs, pending, "the output is what is buffered");
        ensure!(
            self.written + pending <= self.rfc.queued,
            "memory for output follows what is sent and owed",
            (&self.written, &self.rfc.queued, &pending)
        );
        let held = self.ws.gathered_amount();
        ensure!(
            held <= self.rfc.held(),
            "memory for a message follows what has arrived of it (§10.4)",
            (self.rfc.held(), &held)
        );
        let finished = self.rfc.has_finished() && pending == 0;
        // §7.1.1: a client waits for the server to end the transport.
        let over = self.rfc.died
            || finished && (self.rfc.failed.is_some() || self.setup.role == Role::Server);
        let expected = match (over, self.rfc.is_open()) {
            (true, _) => State::Closed,
            (false, true) => State::Open,
            (false, false) => State::Closing,
        };
        ensure_same!(
            self.ws.state(),
            expected,
            "the state is what both ends have done (§7.1)"
        );
        if pending == 0 {
            self.ws.flushed();
        }
        let next = self.ws.poll(&mut self.input, Duration::ZERO);
        let Next::Io(io) = next else {
            ensure!(
                matches!(next, Next::Over(_)) && self.rfc.died,
                "no event comes of nothing",
                next
            );
            return Ok(());
        };
        let write = match (pending > 0, over) {
            (true, _) => Some(Write::Output),
            (false, true) if !self.is_shut => Some(Write::Shutdown),
            (false, _) => None,
        };
        ensure_same!(
            io.write,
            write,
            "output is written, and the write side is shut behind it"
        );
        if io.write == Some(Write::Shutdown) {
            self.ws.shut();
            self.is_shut = true;
        }
        ensure!(io.read, "what the peer sends is read to the end", io);
        Ok(())
    }

    fn is_over(&mut self) -> bool {
        matches!(self.ws.poll(&mut self.input, Duration::ZERO), Next::Over(_))
    }

    pub(crate) fn pending(&self) -> usize {
        self.ws.buffered_amount()
    }
}

/// The event that a caller sees, but for parts and frames.
fn see(event: &Event<'_>) -> Seen {
    match event {
        Event::Text(text) => Seen::Message(TEXT, text.as_bytes().to_vec()),
        Event::Binary(data) => Seen::Message(BINARY, data.to_vec()),
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Close(close) => Seen::Close(match close.code {
            Some(code) => close_body(code.get(), &close.reason),
            None => Vec::new(),
        }),
        Event::Fail(error) => Seen::Fail(error.close_code().map_or(0, CloseCode::get)),
        other => panic!("no event of an open connection: {other:?}"),
    }
}

/// An open connection that has agreed on compression without context takeover, and compresses whatever it sends.
#[cfg(feature = "deflate")]
fn compressing(role: Role, config: Config) -> Connection {
    use std::sync::LazyLock;

    use sockless::DeflateConfig;

    // Clones share a pool of codecs, without which each life would pay for two.
    static DEFLATE: LazyLock<DeflateConfig> = LazyLock::new(|| DeflateConfig::new().threshold(0));
    let config = config.deflate(DEFLATE.clone());
    Connection::upgraded_with(role, Some(crate::deflate_support::no_takeover()), config)
}

#[cfg(not(feature = "deflate"))]
fn compressing(_: Role, _: Config) -> Connection {
    unreachable!("no setup asks for it")
}
