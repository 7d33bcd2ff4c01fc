//! The sending half: messages and replies in, bytes out.

#[cfg(feature = "deflate")]
mod deflating;
mod keys;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::close::{CloseCode, MAX_REASON};
use crate::config::{Config, Delivery};
use crate::connection::queue::Queue;
use crate::connection::receiver::Reply;
#[cfg(feature = "deflate")]
use crate::deflate::outbound::Outbound;
use crate::error::{EntropyError, Error, SendError};
use crate::frame::{Header, MAX_CONTROL_PAYLOAD, Opcode, Role};
use crate::mask;
use crate::prepared::Prepared;
use keys::Keys;

/// Whether a part of a message that is sent in parts is the last one: the FIN bit (RFC 6455 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is one bit")]
pub enum Fin {
    /// More parts of the message follow.
    More,
    /// The message is complete.
    Last,
}

/// The sending half of a connection.
pub(crate) struct Sender {
    pub(crate) queue: Queue,
    gate: Gate,
    role: Role,
    /// The type of the message that is being sent in parts.
    parts: Option<Opcode>,
    fragment_size: usize,
    high_water_mark: usize,
    /// A client's source of masks.
    keys: Option<Box<Keys>>,
    /// The frame whose payload is sent in pieces, if the gate says so.
    frame: OpenFrame,
    /// What waits for the end of that frame.
    held: Option<Box<Held>>,
    /// The peer's Close has come, and is the caller's to answer.
    peer_closed: bool,
    /// The size of the frame that answers the peer's Close by default, as long as the caller may answer
    /// otherwise.
    default_answer: Option<u8>,
    /// RSV1 means something: an extension that defines it was agreed on, or the ends may have.
    rsv1: bool,
    /// The code of the Close that was queued.
    sent_code: Option<CloseCode>,
    /// The end whose Close came first.
    closed_first: Option<Role>,
    /// What compresses, if that was agreed on.
    #[cfg(feature = "deflate")]
    outbound: Option<Box<Outbound>>,
}

/// What may still be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Nothing yet: the handshake is not complete.
    Connecting,
    /// Everything.
    Open,
    /// The rest of a frame whose payload is sent in pieces.
    InFrame,
    /// Our Close is queued: pongs only, for the peer may wait for them (R173).
    Closing,
    /// Nothing any more.
    Shut,
}

/// A frame whose header has been queued, and not yet all of its payload.
#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    opcode: Opcode,
    /// The key for the next byte.
    mask: Option<[u8; 4]>,
    /// How much of the payload is missing.
    rest: u64,
    body: CodeReader,
}

/// What cannot be sent inside a frame, and goes out behind it.
#[derive(Debug, Default)]
struct Held {
    /// The latest ping is answered (R174).
    pong: Option<Vec<u8>>,
    end: Option<LastFrame>,
}

/// The Close that a connection ends with.
#[derive(Debug)]
enum LastFrame {
    /// In answer to the peer's.
    Answer(Option<CloseCode>, Box<str>),
    /// Because of what the peer did.
    Failure(Error),
}

/// The first two bytes of a Close frame's body.
#[derive(Clone, Copy, Debug, Default)]
struct CodeReader {
    bytes: [u8; 2],
    len: u8,
}

impl Sender {
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        Self {
            queue: Queue::default(),
            gate: Gate::Connecting,
            role,
            parts: None,
            fragment_size: config.fragment_size,
            high_water_mark: config.high_water_mark,
            keys: match role {
                Role::Client => Some(Box::new(Keys::new(config.entropy))),
                Role::Server => None,
            },
            frame: OpenFrame {
                opcode: Opcode::Continuation,
                mask: None,
                rest: 0,
                body: CodeReader::default(),
            },
            held: None,
            peer_closed: false,
            default_answer: None,
            rsv1: config.delivery == Delivery::Frames,
            sent_code: None,
            closed_first: None,
            #[cfg(feature = "deflate")]
            outbound: None,
        }
    }

    pub(crate) const fn open(&mut self) {
        self.gate = Gate::Open;
    }

    /// Nothing more is queued; what is queued may still be written.
    pub(crate) fn shut(&mut self) {
        self.gate = Gate::Shut;
        self.held = None;
        #[cfg(feature = "deflate")]
        self.drop_deflater();
    }

    pub(crate) fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        if self.is_late_for_message()? {
            return Ok(());
        }
        #[cfg(feature = "deflate")]
        if self.deflates(message.payload().len()) {
            return Ok(self.push_deflated_prepared(message)?);
        }
        Ok(self.push_prepared(message)?)
    }

    pub(crate) fn send_frame_header(&mut self, header: &Header) -> Result<(), SendError> {
        if self.is_late()? {
            return Ok(());
        }
        let Header {
            fin,
            rsv1,
            opcode,
            payload_len,
            ..
        } = *header;
        match (opcode, self.parts) {
            // R263 (§5.5).
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) if !fin || rsv1 => {
                return Err(SendError::InvalidControl);
            }
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _)
                if payload_len > MAX_CONTROL_PAYLOAD as u64 =>
            {
                return Err(SendError::ControlTooLong);
            }
            // R264, R333 (§5.2, RFC 7692 §6): of a data frame's only the first of a message, and only
            // where somebody can have agreed on what it means.
            _ if rsv1 && !(self.rsv1 && opcode != Opcode::Continuation) => {
                return Err(SendError::ReservedBits);
            }
            // R262 (§5.4).
            (Opcode::Continuation, None) => return Err(SendError::NoMessage),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(SendError::MessageInProgress),
            // R126 (§5.2).
            _ if payload_len >> 63 != 0 => return Err(SendError::FrameOverrun),
            _ => {}
        }
        let drawn = self.header(opcode, Fin::Last, 0)?;
        self.queue.begin_pieces(&Header {
            mask: drawn.mask,
            ..*header
        });
        if !opcode.is_control() {
            let begun = self.parts.unwrap_or(opcode);
            self.parts = if fin { None } else { Some(begun) };
            #[cfg(feature = "deflate")]
            self.on_foreign_frame(header);
        }
        let body = CodeReader::default();
        self.frame = OpenFrame {
            opcode,
            mask: drawn.mask,
            rest: payload_len,
            body,
        };
        self.gate = Gate::InFrame;
        self.end_frame_if_complete();
        Ok(())
    }

    pub(crate) fn send_frame_payload(&mut self, piece: &[u8]) -> Result<(), SendError> {
        match self.gate {
            Gate::InFrame => {}
            Gate::Open => return Err(SendError::FrameOverrun),
            _ => return self.is_late().map(|_| ()),
        }
        // R266 (§5.2): not a byte more than was announced.
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let frame = &mut self.frame;
        frame.rest = frame.rest.checked_sub(len).ok_or(SendError::FrameOverrun)?;
        self.queue.push_piece(piece, frame.mask);
        frame.mask = frame.mask.map(|key| mask::rotate(key, piece.len()));
        frame.body.read(piece);
        self.end_frame_if_complete();
        Ok(())
    }

    pub(crate) fn send_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        if self.is_late()? {
            return Ok(());
        }
        self.send_control(Opcode::Ping, payload)
    }

    pub(crate) fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        if self.gate != Gate::Closing && self.is_late()? {
            return Ok(());
        }
        self.send_control(Opcode::Pong, payload)
    }

    #[inline]
    pub(crate) fn send_message(&mut self, opcode: Opcode, data: &[u8]) -> Result<(), SendError> {
        if self.is_late_for_message()? {
            return Ok(());
        }
        #[cfg(feature = "deflate")]
        if self.deflates(data.len()) {
            return Ok(self.push_deflated(opcode, data)?);
        }
        if data.len() <= self.fragment_size {
            return Ok(self.push(opcode, Fin::Last, data)?);
        }
        Ok(self.push_fragments(opcode, Fin::Last, data)?)
    }

    /// As [`send_message`](Self::send_message), with a payload that is given away.
    pub(crate) fn send_owned(&mut self, opcode: Opcode, data: Vec<u8>) -> Result<(), SendError> {
        if self.is_late_for_message()? {
            return Ok(());
        }
        #[cfg(feature = "deflate")]
        if self.deflates(data.len()) {
            return Ok(self.push_deflated(opcode, &data)?);
        }
        if data.len() <= self.fragment_size {
            let header = self.header(opcode, Fin::Last, data.len())?;
            self.queue.push_owned(&header, data);
            return Ok(());
        }
        Ok(self.push_fragments(opcode, Fin::Last, &data)?)
    }

    pub(crate) fn send_part(
        &mut self,
        opcode: Opcode,
        data: &[u8],
        fin: Fin,
    ) -> Result<(), SendError> {
        if self.is_late()? {
            return Ok(());
        }
        let first = match self.parts {
            None => opcode,
            Some(begun) if begun == opcode => Opcode::Continuation,
            Some(_) => return Err(SendError::MessageInProgress),
        };
        #[cfg(feature = "deflate")]
        if self.deflates_part() {
            self.push_deflated_part(first, fin, data)?;
        } else {
            self.push_fragments(first, fin, data)?;
        }
        #[cfg(not(feature = "deflate"))]
        self.push_fragments(first, fin, data)?;
        self.parts = match fin {
            Fin::More => Some(opcode),
            Fin::Last => None,
        };
        Ok(())
    }

    /// Queues our Close, the only one ever (R190); a second wish to close is met already (R203).
    pub(crate) fn begin_close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        // R221 (§7.4.1): 1010 is how a client says that it misses an extension. A server repeats it, as it
        // does by default.
        let is_clients = code == Some(CloseCode::MANDATORY_EXTENSION);
        if is_clients && self.role == Role::Server && !self.answers_by_default(code) {
            return Err(SendError::ClientCloseCode);
        }
        // R223 (§5.5): the reason shares a control frame with the code.
        if reason.len() > MAX_REASON {
            return Err(SendError::ReasonTooLong);
        }
        match self.gate {
            Gate::Connecting => Err(SendError::Connecting),
            Gate::Open => Ok(self.push_close(code, reason)?),
            Gate::InFrame => self.hold_close(code, reason),
            Gate::Closing => Ok(()),
            Gate::Shut => Ok(self.answer_otherwise(code, reason)?),
        }
    }

    /// Whether this is the code of the default answer, which has been queued or waits for a frame's end.
    fn answers_by_default(&self, code: Option<CloseCode>) -> bool {
        match self.held.as_ref().and_then(|held| held.end.as_ref()) {
            Some(LastFrame::Answer(answer, _)) => *answer == code,
            _ => self.default_answer.is_some() && self.sent_code == code,
        }
    }

    /// Answers the peer's Close, which has been answered by default, with this one, if that is not too
    /// late (R190: usually with the same code, but that is the application's to say).
    fn answer_otherwise(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
    ) -> Result<(), EntropyError> {
        let answer = self.default_answer;
        if let Some(start) = answer.and_then(|len| self.queue.unwritten_close(len.into())) {
            let header = self.header(Opcode::Close, Fin::Last, 0)?;
            self.default_answer = None;
            self.queue.take_back_close(start);
            self.put_close(header, code, reason);
        }
        Ok(())
    }

    /// As [`begin_close`](Self::begin_close), inside a frame.
    fn hold_close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<(), SendError> {
        let held = self.held.as_deref_mut();
        match held.and_then(|held| held.end.as_mut()) {
            None => Err(SendError::FrameInProgress),
            Some(LastFrame::Failure(_)) => Ok(()),
            Some(answer) => {
                if self.default_answer.take().is_some() {
                    *answer = LastFrame::Answer(code, reason.into());
                }
                Ok(())
            }
        }
    }

    /// Does what the receiving half owes the peer.
    pub(crate) fn reply(&mut self, reply: Reply<'_>) -> Result<(), EntropyError> {
        // The first Close that this end sees: ours counts once it is whole.
        if let Reply::Close(_) | Reply::PeerClosed = reply {
            let peer = self.role.peer();
            self.closed_first.get_or_insert(peer);
        }
        match (reply, self.gate) {
            (Reply::Pong(payload), Gate::Open | Gate::Closing) => self.pong(payload),
            (Reply::Pong(payload), Gate::InFrame) => {
                self.held.get_or_insert_default().pong = Some(payload.to_vec());
                Ok(())
            }
            (Reply::Pong(_), Gate::Connecting | Gate::Shut) => Ok(()),
            // R190 (§5.5.1): answered with the same code; R225: the reason is not ours to repeat.
            (Reply::Close(code), _) => self.end_with(LastFrame::Answer(code, Box::default())),
            // R201, R202 (§7.1.7): with a fitting code, if no Close was sent yet.
            (Reply::Fail(error), _) => self.end_with(LastFrame::Failure(error)),
            (Reply::PeerClosed, gate) => {
                self.peer_closed = true;
                if gate == Gate::Closing {
                    self.shut();
                }
                Ok(())
            }
        }
    }

    /// Sends this Close, unless there was one before, and nothing more.
    fn end_with(&mut self, last: LastFrame) -> Result<(), EntropyError> {
        // R177 (§5.4): never inside a frame. R190: and not lost to one.
        if self.gate == Gate::InFrame {
            let may_answer = matches!(last, LastFrame::Answer(..));
            self.default_answer = (may_answer && self.frame.opcode != Opcode::Close).then_some(0);
            self.held.get_or_insert_default().end = Some(last);
            return Ok(());
        }
        let answer = match (self.gate, last) {
            (Gate::Open, LastFrame::Answer(code, reason)) => {
                let before = self.queue.mark();
                let answer = self.push_close(code, &reason);
                self.default_answer = u8::try_from(self.queue.mark() - before).ok();
                answer
            }
            (Gate::Open, LastFrame::Failure(error)) => match error.close_code() {
                Some(code) => self.push_close(Some(code), error.rule()),
                None => Ok(()),
            },
            _ => Ok(()),
        };
        self.shut();
        answer
    }

    /// The bytes of our Close have been written.
    pub(crate) const fn close_sent(&self) -> bool {
        self.queue.close_sent()
    }

    pub(crate) const fn sent_code(&self) -> Option<CloseCode> {
        self.sent_code
    }

    pub(crate) const fn closed_first(&self) -> Option<Role> {
        self.closed_first
    }

    pub(crate) const fn high_water_mark(&self) -> usize {
        self.high_water_mark
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.gate, Gate::Open | Gate::InFrame)
    }

    /// A frame is being sent in pieces, so nothing else can be.
    pub(crate) const fn is_in_frame(&self) -> bool {
        matches!(self.gate, Gate::InFrame)
    }

    /// Whether what is sent now is too late, and dropped, as the browser's `send` does it: a Close was sent or
    /// received, or the connection failed. That is nobody's mistake: the peer's messages still come after
    /// a close of the caller's own.
    #[inline]
    fn is_late(&self) -> Result<bool, SendError> {
        match self.gate {
            Gate::Open => Ok(false),
            Gate::Connecting => Err(SendError::Connecting),
            Gate::InFrame => Err(SendError::FrameInProgress),
            Gate::Closing | Gate::Shut => Ok(true),
        }
    }

    /// As [`is_late`](Self::is_late), for a message, which may not begin inside another.
    #[inline]
    fn is_late_for_message(&self) -> Result<bool, SendError> {
        if self.gate == Gate::Open && self.parts.is_none() {
            return Ok(false);
        }
        self.is_late_otherwise()
    }

    #[cold]
    #[inline(never)]
    fn is_late_otherwise(&self) -> Result<bool, SendError> {
        match self.is_late()? {
            true => Ok(true),
            false => Err(SendError::MessageInProgress),
        }
    }

    fn end_frame_if_complete(&mut self) {
        let OpenFrame {
            opcode,
            rest: 0,
            body,
            ..
        } = self.frame
        else {
            return;
        };
        self.queue.end_pieces(opcode);
        self.gate = Gate::Open;
        if opcode == Opcode::Close {
            self.sent_code = body.code();
            self.on_close_queued();
        }
        if let Some(held) = self.held.take() {
            self.release(*held);
        }
    }

    /// The frame is complete that this waited for. Without entropy there is no mask, and no answer.
    fn release(&mut self, held: Held) {
        // R172: once both Closes are there, nobody waits for a pong.
        let is_over = self.gate != Gate::Open && held.end.is_some();
        if let Some(pong) = held.pong.filter(|_| !is_over) {
            let _ = self.reply(Reply::Pong(&pong));
        }
        if let Some(end) = held.end {
            let may_answer_otherwise = self.default_answer.is_some();
            let _ = self.end_with(end);
            if !may_answer_otherwise {
                self.default_answer = None;
            }
        }
    }

    fn on_close_queued(&mut self) {
        self.closed_first.get_or_insert(self.role);
        if self.peer_closed {
            self.shut();
        } else {
            self.gate = Gate::Closing;
            #[cfg(feature = "deflate")]
            self.drop_deflater();
        }
    }

    fn send_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), SendError> {
        // R263 (§5.5).
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::ControlTooLong);
        }
        Ok(self.push(opcode, Fin::Last, payload)?)
    }

    /// R174 (§5.5.3): each ping is answered while output is small; behind a backlog only the latest
    /// is, ahead of what waits, so that a peer that reads nothing cannot grow the queue.
    fn pong(&mut self, payload: &[u8]) -> Result<(), EntropyError> {
        if self.queue.len() < self.high_water_mark {
            return self.push(Opcode::Pong, Fin::Last, payload);
        }
        let header = self.header(Opcode::Pong, Fin::Last, payload.len())?;
        self.queue.push_urgent(&header, payload);
        Ok(())
    }

    fn push_close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<(), EntropyError> {
        let header = self.header(Opcode::Close, Fin::Last, 0)?;
        self.put_close(header, code, reason);
        self.on_close_queued();
        Ok(())
    }

    /// Queues a Close whose length `header` does not say yet.
    fn put_close(&mut self, header: Header, code: Option<CloseCode>, reason: &str) {
        let mut body = [0; MAX_CONTROL_PAYLOAD];
        let mut len = 0;
        if let Some(code) = code {
            let bytes = code.get().to_be_bytes();
            for (slot, byte) in body.iter_mut().zip(bytes.iter().chain(reason.as_bytes())) {
                *slot = *byte;
                len += 1;
            }
        }
        let body = body.get(..len).unwrap_or_default();
        let payload_len = u64::try_from(len).unwrap_or_default();
        self.queue.push(
            &Header {
                payload_len,
                ..header
            },
            body,
        );
        self.sent_code = code;
    }

    /// Queues a message that many connections send, as it is.
    fn push_prepared(&mut self, message: &Prepared) -> Result<(), EntropyError> {
        let (opcode, payload) = (message.opcode, message.payload());
        if self.keys.is_some() || payload.len() > self.fragment_size {
            return self.push_fragments(opcode, Fin::Last, payload);
        }
        let header = self.header(opcode, Fin::Last, payload.len())?;
        self.queue.push_shared(&header, &message.payload);
        Ok(())
    }

    /// Queues `data` in frames of at most `fragment_size`: all of them, or none.
    #[inline(never)]
    fn push_fragments(
        &mut self,
        mut opcode: Opcode,
        fin: Fin,
        data: &[u8],
    ) -> Result<(), EntropyError> {
        let mark = self.queue.mark();
        let mut rest = data;
        loop {
            let (piece, more) = rest.split_at(rest.len().min(self.fragment_size));
            let last = if more.is_empty() { fin } else { Fin::More };
            if let Err(error) = self.push(opcode, last, piece) {
                self.queue.back_to(mark);
                return Err(error);
            }
            if more.is_empty() {
                return Ok(());
            }
            (opcode, rest) = (Opcode::Continuation, more);
        }
    }

    #[inline]
    fn push(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> Result<(), EntropyError> {
        let header = self.header(opcode, fin, payload.len())?;
        self.queue.push(&header, payload);
        Ok(())
    }

    #[inline]
    fn header(&mut self, opcode: Opcode, fin: Fin, len: usize) -> Result<Header, EntropyError> {
        Ok(Header {
            fin: matches!(fin, Fin::Last),
            rsv1: false,
            opcode,
            mask: match &mut self.keys {
                Some(keys) => Some(keys.draw()?),
                None => None,
            },
            payload_len: u64::try_from(len).unwrap_or(u64::MAX),
        })
    }
}

impl CodeReader {
    fn read(&mut self, piece: &[u8]) {
        let unread = self.bytes.iter_mut().skip(self.len.into());
        for (slot, byte) in unread.zip(piece) {
            *slot = *byte;
            self.len += 1;
        }
    }

    fn code(self) -> Option<CloseCode> {
        CloseCode::new(u16::from_be_bytes(self.bytes))
    }
}
