//! RFC 6455 once more, written from its text and not from `src/`: what the bytes of one direction are
//! ([`Reader`]), and what one endpoint has to see, to answer and to say of its end ([`Rfc`]).

use std::collections::VecDeque;

use sockless::{Delivery, Role};

use super::{Fault, Setup, ensure, ensure_same, inflate};
use crate::common::*;

/// What an endpoint's caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// §6.2: the type, and all of the data.
    Message(u8, Vec<u8>),
    /// A frame that is passed on as it is.
    Frame(Frame),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// §5.5.1: the body.
    Close(Vec<u8>),
    /// §7.1.7: the connection fails, with this code.
    Fail(u16),
}

/// Reads what one end writes, byte by byte if need be (§5).
pub(crate) struct Reader {
    from: Role,
    /// RSV1 has a meaning (RFC 7692 §6).
    rsv1: bool,
    /// The opcode of the message that is in progress (§5.4).
    pub(crate) message: Option<u8>,
    bytes: VecDeque<u8>,
}

impl Reader {
    pub(crate) fn new(from: Role, rsv1: bool) -> Self {
        Self {
            from,
            rsv1,
            message: None,
            bytes: VecDeque::new(),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub(crate) fn is_mid_frame(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next frame, unmasked; `Err` is the code of a rule that it breaks, at the first byte that does.
    pub(crate) fn frame(&mut self) -> Result<Option<Frame>, u16> {
        let bytes = self.bytes.make_contiguous();
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let (fin, opcode) = (first & FIN != 0, first & 0x0f);
        let is_control = opcode >= CLOSE;
        // §5.2: reserved bits and opcodes. RFC 7692 §6: RSV1 on the first frame of a message only.
        let rsv1 = self.rsv1 && matches!(opcode, TEXT | BINARY);
        if first & (RSV2 | RSV3) != 0 || (first & RSV1 != 0 && !rsv1) {
            return Err(1002);
        }
        if matches!(opcode, 3..=7 | 11..) {
            return Err(1002);
        }
        // §5.5: control frames are not fragmented, and short.
        if is_control && !fin {
            return Err(1002);
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let len = second & 0x7f;
        if is_control && len > 125 {
            return Err(1002);
        }
        // §5.1: a client masks, a server does not.
        let masked = second & 0x80 != 0;
        if masked != (self.from == Role::Client) {
            return Err(1002);
        }
        // §5.4: a message is not begun inside another, and not continued without one.
        match (opcode, self.message) {
            (CONTINUATION, None) | (TEXT | BINARY, Some(_)) => return Err(1002),
            _ => {}
        }
        // §5.2: the length, in its shortest form.
        let (len, at) = match len {
            126 => (bytes.get(2..4).map(number), 4),
            127 => (bytes.get(2..10).map(number), 10),
            len => (Some(usize::from(len)), 2),
        };
        let Some(len) = len else { return Ok(None) };
        if (at == 4 && len < 126) || (at == 10 && len < 65536) {
            return Err(1002);
        }
        let start = if masked { at + 4 } else { at };
        let Some(payload) = bytes.get(start..start + len) else {
            return Ok(None);
        };
        // §5.3.
        let mut payload = payload.to_vec();
        if masked {
            for (i, byte) in payload.iter_mut().enumerate() {
                *byte ^= bytes[at + i % 4];
            }
        }
        self.bytes.drain(..start + len);
        if !is_control {
            self.message = match fin {
                true => None,
                false => Some(self.message.unwrap_or(opcode)),
            };
        }
        Ok(Some(Frame { first, payload }))
    }
}

fn number(bytes: &[u8]) -> usize {
    (bytes.iter()).fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// One endpoint: what it has been sent, what it owes, and what of that has left.
pub(crate) struct Rfc {
    role: Role,
    setup: Setup,
    /// What the peer writes.
    reader: Reader,
    incoming: Option<Message>,
    /// The body of the peer's Close (§7.1.4).
    pub(crate) peer_close: Option<Vec<u8>>,
    /// The code that the connection failed with (§7.1.7).
    pub(crate) failed: Option<u16>,
    /// What the receiving half has handed over, and the sending half not yet taken.
    owed: VecDeque<Owed>,

    /// What this end has written.
    writer: Reader,
    outgoing: Option<Message>,
    /// Messages that were sent, and are not all on the wire.
    messages: VecDeque<Sent>,
    /// Pings and pongs of the caller that are not on the wire.
    pings: VecDeque<Vec<u8>>,
    pongs: VecDeque<Vec<u8>>,
    /// Pings of the peer that are not answered.
    asked: Vec<Asked>,
    /// The frame that the caller sends in pieces.
    pub(crate) piecewise: Option<Piecewise>,
    /// The Close that goes out at the end of that frame.
    deferred: Option<OurClose>,
    our_close: Option<OurClose>,
    /// All of it has been written.
    close_written: bool,
    /// The peer's Close or a failure has been taken note of by the sending half.
    peer_closed: bool,
    shut: bool,
    closed_first: Option<Role>,
    /// The transport is gone: nothing can be written any more.
    pub(crate) died: bool,
    /// The most bytes that may ever have been queued.
    pub(crate) queued: usize,
    /// How many pings the caller did not send.
    pub(crate) keepalive_pings: usize,
    /// The last ping that the peer has got and not answered (§5.5.3: it need answer no other).
    pub(crate) latest_ping: Option<Vec<u8>>,
}

/// A message as its frames come (§5.4).
struct Message {
    opcode: u8,
    compressed: bool,
    data: Vec<u8>,
}

/// A message as the caller sends it.
#[derive(Default)]
struct Sent {
    opcode: u8,
    /// What the caller gave, and whether as payload of a frame of its own.
    pieces: Vec<(Vec<u8>, bool)>,
    complete: bool,
}

struct Asked {
    payload: Vec<u8>,
    answer: Answer,
}

/// What has become of the answer to a ping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It waits for the end of a frame that is sent in pieces.
    Held,
    Due,
    /// A later ping has been answered (§5.5.3).
    Overtaken,
}

/// A frame whose payload comes in pieces (§5.2).
pub(crate) struct Piecewise {
    opcode: u8,
    pub(crate) rest: usize,
    payload: Vec<u8>,
}

enum Owed {
    Pong(Vec<u8>),
    Close(Vec<u8>),
    Fail(u16),
}

struct OurClose {
    body: Vec<u8>,
    /// It repeats the peer's code, as the caller has not said otherwise.
    by_default: bool,
    /// A failure gives a reason in its own words.
    any_reason: bool,
    /// It answers the peer's Close, or the peer gets no answer any more: nothing goes behind it.
    last: bool,
}

/// What a caller may want to send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Message,
    Part(u8),
    Ping,
    Pong,
    Close,
    Header(u8),
    Payload(usize),
}

impl Rfc {
    pub(crate) fn new(setup: Setup) -> Self {
        let role = setup.role;
        Self {
            role,
            setup,
            reader: Reader::new(
                peer(role),
                setup.deflate.is_some() || setup.delivery == Delivery::Frames,
            ),
            incoming: None,
            peer_close: None,
            failed: None,
            owed: VecDeque::new(),
            writer: Reader::new(role, setup.deflate.is_some()),
            outgoing: None,
            messages: VecDeque::new(),
            pings: VecDeque::new(),
            pongs: VecDeque::new(),
            asked: Vec::new(),
            piecewise: None,
            deferred: None,
            our_close: None,
            close_written: false,
            peer_closed: false,
            shut: false,
            closed_first: None,
            died: false,
            queued: 0,
            keepalive_pings: 0,
            latest_ping: None,
        }
    }

    // What the peer does.

    /// The peer's bytes arrive: what the caller has to see of them.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let mut seen = Vec::new();
        // §5.5.1, §7.1.7: nothing is processed behind a Close or a failure.
        if self.is_deaf() {
            return seen;
        }
        self.reader.push(bytes);
        while !self.is_deaf() {
            match self.reader.frame() {
                Ok(None) => break,
                Ok(Some(frame)) => match self.on_frame(frame) {
                    Ok(event) => seen.extend(event),
                    Err(code) => seen.push(self.fail(code)),
                },
                Err(code) => seen.push(self.fail(code)),
            }
        }
        if self.is_deaf() {
            self.reader.bytes.clear();
        }
        seen
    }

    fn on_frame(&mut self, frame: Frame) -> Result<Option<Seen>, u16> {
        let Frame { first, payload } = frame;
        let relayed = self.setup.delivery == Delivery::Frames;
        match first & 0x0f {
            CLOSE => {
                let body = match close_body_is_valid(&payload) {
                    Ok(()) => payload.clone(),
                    // What a relayed Close says is for the ends to judge.
                    Err(_) if relayed => Vec::new(),
                    Err(code) => return Err(code),
                };
                self.peer_close = Some(body.clone());
                self.owed.push_back(Owed::Close(body));
            }
            // §5.5.2: a ping is answered with its own payload.
            PING if !relayed => self.owed.push_back(Owed::Pong(payload.clone())),
            PING | PONG => {}
            _ if relayed => {}
            opcode => {
                let message = self.incoming.get_or_insert(Message {
                    opcode,
                    compressed: first & RSV1 != 0,
                    data: Vec::new(),
                });
                message.data.extend(&payload);
                if first & FIN == 0 {
                    return Ok(None);
                }
                let message = self.incoming.take();
                let message = message.expect("it was put there");
                let data = match message.compressed {
                    true => inflate(&message.data).ok_or(1007_u16)?,
                    false => message.data,
                };
                // §8.1.
                if message.opcode == TEXT && core::str::from_utf8(&data).is_err() {
                    return Err(1007);
                }
                return Ok(Some(Seen::Message(message.opcode, data)));
            }
        }
        Ok(Some(match first & 0x0f {
            _ if relayed => Seen::Frame(Frame { first, payload }),
            CLOSE => Seen::Close(payload),
            PING => Seen::Ping(payload),
            _ => Seen::Pong(payload),
        }))
    }

    /// §7.1.7: the connection fails.
    pub(crate) fn fail(&mut self, code: u16) -> Seen {
        self.failed = Some(code);
        self.owed.push_back(Owed::Fail(code));
        Seen::Fail(code)
    }

    /// The sending half learns what it owes.
    pub(crate) fn carry(&mut self) {
        while let Some(owed) = self.owed.pop_front() {
            match owed {
                Owed::Pong(payload) => {
                    if !self.shut {
                        self.queued += 6 + payload.len();
                        let answer = match self.piecewise {
                            None => Answer::Due,
                            Some(_) => Answer::Held,
                        };
                        self.asked.push(Asked { payload, answer });
                    }
                }
                Owed::Close(body) => {
                    self.peer_closed = true;
                    self.closed_first.get_or_insert_with(|| peer(self.role));
                    // §5.5.1: one Close in answer, with the code that came; a proxy passes on the one
                    // of the other end.
                    if self.setup.delivery != Delivery::Frames {
                        let code = body[..body.len().min(2)].to_vec();
                        self.owe_close(code, false);
                    }
                }
                Owed::Fail(code) => {
                    self.peer_closed = true;
                    self.owe_close(code.to_be_bytes().to_vec(), true);
                }
            }
        }
    }

    fn owe_close(&mut self, body: Vec<u8>, any_reason: bool) {
        self.shut = true;
        let close = OurClose {
            body,
            by_default: !any_reason,
            any_reason,
            last: true,
        };
        match &self.piecewise {
            _ if self.our_close.is_some() => {}
            None => self.queue_close(close),
            // The caller's own Close is the only one.
            Some(frame) if frame.opcode == CLOSE => {}
            // §5.4: nothing goes inside a frame.
            Some(_) => self.deferred = Some(close),
        }
    }

    fn queue_close(&mut self, close: OurClose) {
        self.queued += 6 + 125;
        self.closed_first.get_or_insert(self.role);
        self.our_close = Some(close);
    }

    // What the caller does.

    /// Whether the call has to succeed.
    pub(crate) fn allows(&self, call: Call) -> bool {
        let between_frames = self.piecewise.is_none() && !self.died;
        let open = between_frames && self.our_close.is_none() && !self.shut;
        let message = self.messages.back().filter(|sent| !sent.complete);
        match call {
            // §5.4: a message is not begun inside another.
            Call::Message | Call::Header(TEXT | BINARY) => open && message.is_none(),
            Call::Part(opcode) => open && message.is_none_or(|sent| sent.opcode == opcode),
            Call::Header(CONTINUATION) => open && message.is_some(),
            Call::Header(_) | Call::Ping => open,
            // §5.5.2: the peer may wait for pongs until its Close has come.
            Call::Pong => open || between_frames && self.our_close.is_some() && !self.peer_closed,
            Call::Payload(len) => {
                !self.died
                    && self
                        .piecewise
                        .as_ref()
                        .is_some_and(|frame| len <= frame.rest)
            }
            // §5.5.1: the second wish to close is met already, and so is one that waits.
            Call::Close => self.piecewise.is_none() || self.shut || self.died,
        }
    }

    /// Whether the call comes after the end of all that can be sent, and is dropped.
    pub(crate) fn drops(&self, call: Call) -> bool {
        let is_over = self.our_close.is_some() || self.shut;
        !matches!(call, Call::Close)
            && !self.allows(call)
            && (self.died || is_over && self.piecewise.is_none())
    }

    pub(crate) fn on_message(&mut self, opcode: u8, data: &[u8]) {
        self.on_part(opcode, data, true);
    }

    pub(crate) fn on_part(&mut self, opcode: u8, data: &[u8], complete: bool) {
        self.queued += data.len() + 32;
        let sent = match self.messages.back_mut() {
            Some(sent) if !sent.complete => sent,
            _ => {
                self.messages.push_back(Sent {
                    opcode,
                    ..Sent::default()
                });
                self.messages.back_mut().expect("it was pushed")
            }
        };
        sent.pieces.push((data.to_vec(), false));
        sent.complete = complete;
    }

    pub(crate) fn on_ping(&mut self, payload: &[u8]) {
        self.queued += payload.len() + 6;
        self.pings.push_back(payload.to_vec());
    }

    pub(crate) fn on_pong(&mut self, payload: &[u8]) {
        self.queued += payload.len() + 6;
        self.pongs.push_back(payload.to_vec());
    }

    /// §7.1.2; `unwritten` is how many bytes wait to be written.
    pub(crate) fn on_close(&mut self, body: &[u8], unwritten: usize) {
        let mask = if self.role == Role::Client { 4 } else { 0 };
        let answer = match (&mut self.our_close, &mut self.deferred) {
            (None, None) if self.piecewise.is_none() && !self.died => {
                return self.queue_close(OurClose {
                    body: body.to_vec(),
                    by_default: false,
                    any_reason: false,
                    last: self.peer_closed,
                });
            }
            (Some(close), _) if unwritten >= 2 + mask + close.body.len() => close,
            (None, Some(close)) => close,
            _ => return,
        };
        // The caller's own answer takes the place of the default one, of which nothing is written yet.
        if core::mem::take(&mut answer.by_default) {
            answer.body = body.to_vec();
        }
    }

    pub(crate) fn on_header(&mut self, first: u8, len: usize) {
        self.queued += 14;
        let opcode = first & 0x0f;
        match opcode {
            TEXT | BINARY => self.messages.push_back(Sent {
                opcode,
                ..Sent::default()
            }),
            _ => {}
        }
        self.piecewise = Some(Piecewise {
            opcode,
            rest: len,
            payload: Vec::new(),
        });
        if len == 0 {
            self.on_payload(b"");
        }
    }

    pub(crate) fn on_payload(&mut self, piece: &[u8]) {
        self.queued += piece.len();
        let frame = self.piecewise.as_mut().expect("it was allowed");
        frame.payload.extend(piece);
        frame.rest -= piece.len();
        if frame.rest > 0 {
            return;
        }
        let Piecewise {
            opcode, payload, ..
        } = self.piecewise.take().expect("it is there");
        match opcode {
            CLOSE => self.queue_close(OurClose {
                body: payload,
                by_default: false,
                any_reason: false,
                last: self.peer_closed,
            }),
            PING => self.pings.push_back(payload),
            PONG => self.pongs.push_back(payload),
            _ => {
                let sent = self.messages.back_mut().expect("its header began it");
                sent.pieces.push((payload, true));
                sent.complete = true;
            }
        }
        // What waited for the end of the frame: a Close makes the pongs before it a matter of taste.
        match self.deferred.take() {
            Some(close) => self.queue_close(close),
            None if self.shut => {}
            None => {
                let held = self.asked.iter_mut();
                held.filter(|asked| asked.answer == Answer::Held)
                    .for_each(|asked| asked.answer = Answer::Due);
            }
        }
    }

    // What leaves.

    /// Bytes have been written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.writer.push(bytes);
        while let Some(frame) = self.writer.frame().map_err(|_| {
            Fault::new(
                "what is written are frames (§5)",
                format!("{:02x?}", self.writer.bytes),
            )
        })? {
            self.on_written(frame)?;
        }
        Ok(())
    }

    fn on_written(&mut self, Frame { first, payload }: Frame) -> Result<(), Fault> {
        let opcode = first & 0x0f;
        if self.close_written {
            let last = self.our_close.as_ref().is_some_and(|close| close.last);
            ensure!(
                opcode == PONG && !last,
                "behind our Close are pongs only, while the peer's is awaited (§5.5.1)",
                first
            );
        }
        match opcode {
            CLOSE => {
                let Some(close) = &self.our_close else {
                    return Err(Fault::new(
                        "a Close has a reason (§7.1.2)",
                        format!("{payload:02x?}"),
                    ));
                };
                let right = match close.any_reason {
                    true => payload.starts_with(&close.body) && payload.len() > 2,
                    false => payload == close.body,
                };
                ensure!(
                    right,
                    "our Close says what it has to (§5.5.1)",
                    (&close.body, &payload)
                );
                self.close_written = true;
            }
            PING => {
                if self.pings.front() == Some(&payload) {
                    self.pings.pop_front();
                } else {
                    self.keepalive_pings += 1;
                }
                self.latest_ping = Some(payload);
            }
            PONG => {
                // §5.5.3: a pong answers the ping with its payload; those before that need none any more.
                if let Some(at) = (self.asked.iter()).position(|asked| asked.payload == payload) {
                    self.asked.remove(at);
                    let earlier = self.asked[..at].iter_mut();
                    earlier.for_each(|asked| asked.answer = Answer::Overtaken);
                } else {
                    let expected = self.pongs.pop_front();
                    ensure_same!(
                        expected.as_ref(),
                        Some(&payload),
                        "a pong answers a ping or was sent (§5.5.3)"
                    );
                }
            }
            _ => {
                let message = self.outgoing.get_or_insert(Message {
                    opcode,
                    compressed: first & RSV1 != 0,
                    data: Vec::new(),
                });
                message.data.extend(&payload);
                if first & FIN != 0 {
                    let message = self.outgoing.take().expect("it was put there");
                    self.on_message_written(message)?;
                }
            }
        }
        Ok(())
    }

    /// §6.1: each message leaves once, in order.
    fn on_message_written(&mut self, message: Message) -> Result<(), Fault> {
        let sent = self.messages.pop_front().unwrap_or_default();
        ensure!(
            sent.complete && sent.opcode == message.opcode,
            "messages leave in order, once and as they were sent (§6.1)",
            &message.data
        );
        let data = match message.compressed {
            false => message.data,
            true => inflate(&message.data).ok_or_else(|| {
                let data = format!("{:02x?}", message.data);
                Fault::new("what is compressed can be inflated (RFC 7692 §7.2)", data)
            })?,
        };
        let expected = sent.data(message.compressed);
        ensure_same!(
            data,
            expected,
            "messages leave in order, once and as they were sent (§6.1)"
        );
        Ok(())
    }

    /// All output has been written: nothing may be missing.
    pub(crate) fn on_drained(&self) -> Result<(), Fault> {
        let mid_frame = self.piecewise.is_some();
        ensure!(
            self.writer.is_mid_frame() == mid_frame || self.died,
            "what is written ends with a frame (§5.2)",
            &self.writer.bytes
        );
        if self.died {
            return Ok(());
        }
        let close_due = self.our_close.is_some();
        ensure_same!(
            self.close_written,
            close_due,
            "a Close that is due is written (§5.5.1)"
        );
        let due = (self.asked.iter()).find(|asked| asked.answer == Answer::Due);
        ensure!(
            due.is_none(),
            "every ping is answered, or a later one (§5.5.2)",
            due.map(|asked| &asked.payload)
        );
        ensure!(
            self.pings.is_empty() && self.pongs.is_empty(),
            "what is sent is written",
            (&self.pings, &self.pongs)
        );
        let complete = self.messages.iter().filter(|sent| sent.complete).count();
        ensure_same!(complete, 0, "what is sent is written");
        if let (Some(sent), Some(message), false) =
            (self.messages.front(), &self.outgoing, mid_frame)
        {
            ensure!(
                message.compressed || message.data == sent.data(false),
                "messages leave in order, once and as they were sent (§6.1)",
                &message.data
            );
        }
        Ok(())
    }

    // How things stand.

    /// Nothing is received any more.
    pub(crate) fn is_deaf(&self) -> bool {
        self.peer_close.is_some() || self.failed.is_some() || self.died
    }

    /// Neither end has begun to close.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_deaf() && self.our_close.is_none()
    }

    /// Pongs may be among what is to be written.
    pub(crate) fn owes_pongs(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether a frame is being sent in pieces.
    pub(crate) fn is_mid_send(&self) -> bool {
        self.piecewise.is_some()
    }

    /// All that this end will ever write has been queued, as far as its sending half knows.
    pub(crate) fn has_finished(&self) -> bool {
        match self.setup.delivery {
            Delivery::Frames if self.failed.is_none() => {
                self.peer_closed && self.our_close.is_some() && self.piecewise.is_none()
            }
            _ => self.shut && self.piecewise.is_none(),
        }
    }

    /// The most bytes that may be held for a message that has begun and not ended: in proportion to what has
    /// come of it, which inflates at most to 1032 times its size; and the codec of one that is compressed.
    pub(crate) fn held(&self) -> usize {
        let is_inflated = self.setup.delivery != Delivery::Frames && !self.is_deaf();
        let is_compressed = match &self.incoming {
            Some(message) => message.compressed,
            None => self
                .reader
                .bytes
                .front()
                .is_some_and(|first| first & RSV1 != 0),
        };
        let codec = if is_inflated && is_compressed {
            64 << 10
        } else {
            0
        };
        codec + self.gathered()
    }

    fn gathered(&self) -> usize {
        match &self.incoming {
            _ if self.is_deaf() || self.setup.delivery != Delivery::Messages => 0,
            None if !self.reader.is_mid_frame() => 0,
            message => {
                let before = message.as_ref().map_or(0, |message| message.data.len());
                let received = before + self.reader.bytes.len();
                let ratio = self.setup.deflate.map_or(4, |_| 1032);
                ratio * received + 128
            }
        }
    }

    /// What the end of the transport amounts to (§7.1.4 to §7.1.6).
    pub(crate) fn ending(&self) -> End {
        let code_of = |body: &Vec<u8>| body.first_chunk().map(|code| u16::from_be_bytes(*code));
        End {
            code: match &self.peer_close {
                Some(body) => code_of(body).unwrap_or(1005),
                None => 1006,
            },
            clean: self.peer_close.is_some() && self.close_written,
            closed_first: self.closed_first,
            sent_code: self
                .our_close
                .as_ref()
                .and_then(|close| code_of(&close.body)),
            failed: self.failed,
            truncated: self.failed.is_none()
                && (self.reader.message.is_some() || self.reader.is_mid_frame()),
        }
    }
}

/// What an ending has to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: u16,
    pub(crate) clean: bool,
    pub(crate) closed_first: Option<Role>,
    pub(crate) sent_code: Option<u16>,
    pub(crate) failed: Option<u16>,
    pub(crate) truncated: bool,
}

impl Piecewise {
    pub(crate) fn is_close(&self) -> bool {
        self.opcode == CLOSE
    }
}

impl Sent {
    /// What the peer has to read. A frame of the caller's own inside a compressed message is a part of the
    /// stream; the tests only ever send the empty block, which is the byte 0 (RFC 7692 §7.2.3.6).
    fn data(&self, compressed: bool) -> Vec<u8> {
        (self.pieces.iter())
            .filter(|(_, raw)| !(compressed && *raw))
            .flat_map(|(data, _)| data.clone())
            .collect()
    }
}

/// §5.5.1, §7.4: empty, or a code that may be sent and a reason in UTF-8.
fn close_body_is_valid(body: &[u8]) -> Result<(), u16> {
    match body {
        [] => Ok(()),
        [_] => Err(1002),
        [high, low, reason @ ..] => match u16::from_be_bytes([*high, *low]) {
            1000..=1003 | 1007..=1014 | 3000..=4999 => {
                core::str::from_utf8(reason).map(drop).map_err(|_| 1007)
            }
            _ => Err(1002),
        },
    }
}
