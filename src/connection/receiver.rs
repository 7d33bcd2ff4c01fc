//! The receiving half: bytes in, events out, and what the sending half owes for them.
//!
//! A message that lies in the input whole goes from its header to its event in
//! [`take_message`](Receiver::take_message), without touching stored state. Everything else takes the
//! resumable way of [`advance`](Receiver::advance).

#[cfg(feature = "deflate")]
mod inflating;
mod reply;

use alloc::borrow::Cow;
#[cfg(feature = "deflate")]
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::close::Close;
use crate::config::{Config, Delivery, PongMode};
use crate::connection::clock::{Clock, Heard};
use crate::connection::sender::Fin;
#[cfg(feature = "deflate")]
use crate::deflate::Parameters;
#[cfg(feature = "deflate")]
use crate::deflate::inbound::Inbound;
use crate::error::{EntropyError, Error};
use crate::event::Event;
use crate::frame::{Decoder, Header, Opcode, Role, Rules};
use crate::input::Store;
use crate::mask;
#[cfg(feature = "deflate")]
use crate::message::deflated_limit;
use crate::message::{Assembler, Limits};
use crate::utf8::{self, Validator};
pub(crate) use reply::Reply;

/// The receiving half of a connection.
pub(crate) struct Receiver {
    phase: Phase,
    role: Role,
    /// Messages shorter than this may be lent without a closer look.
    lend_below: usize,
    pong_mode: PongMode,
    delivery: Delivery,
    decoder: Decoder,
    /// The frame in progress, if `phase` says so.
    frame: Frame,
    assembler: Assembler,
    /// How much of the payload waits in the caller's memory, unmasked, and the text that it is.
    kept: usize,
    kept_text: Validator,
    /// What has arrived of a control frame that was cut.
    control: Vec<u8>,
    /// Whether the peer's Close cut a message off (R161).
    cut_off: bool,
    ended: Ended,
    /// What inflates, if that was agreed on.
    #[cfg(feature = "deflate")]
    inbound: Option<Box<Inbound>>,
    /// What was agreed on, also where nothing is inflated.
    #[cfg(feature = "deflate")]
    agreed: Option<Parameters>,
    /// Deadlines.
    pub(crate) clock: Clock,
    /// What was received since the clock last looked.
    pub(crate) heard: Heard,
}

/// Longer text is gathered where a read cuts it: what is kept is validated as it comes, and once more when it
/// is lent, and from here on that costs more than to copy it. (Measured, by instructions.)
const MAX_KEPT_TEXT: usize = 2 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Frames are not expected yet.
    Connecting,
    /// Between two messages that may be lent whole, with nothing stored: the state of every idle
    /// connection, unless messages are handed over in parts.
    Idle,
    /// In or before any other header.
    Header,
    Payload,
    /// In the payload of a message that is to be lent, and waits in the caller's memory for its rest.
    Kept,
    /// Nothing is processed any more.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// The key for the next byte of the payload.
    mask: Option<[u8; 4]>,
    /// How much of the payload is still to come.
    rest: u64,
}

impl Frame {
    /// Whether what has arrived ends the message.
    const fn end(&self) -> Fin {
        if self.fin && self.rest == 0 {
            Fin::Last
        } else {
            Fin::More
        }
    }
}

/// Why nothing more is received, where the peer is the reason.
#[derive(Debug)]
enum Ended {
    No,
    Closed(Close),
    Failed(Error),
}

impl Receiver {
    pub(crate) fn new(role: Role, config: &Config) -> Self {
        let max_payload = u64::try_from(config.max_frame_size).unwrap_or(u64::MAX);
        Self {
            phase: Phase::Connecting,
            role,
            lend_below: match config.max_fragments {
                0 => 0,
                _ => config
                    .max_frame_size
                    .min(config.max_message_size)
                    .saturating_add(1),
            },
            pong_mode: config.pong_mode,
            delivery: config.delivery,
            decoder: Decoder::new(Rules {
                role,
                rsv1: config.delivery == Delivery::Frames,
                max_payload,
            }),
            frame: Frame {
                opcode: Opcode::Continuation,
                fin: true,
                mask: None,
                rest: 0,
            },
            assembler: Assembler::new(Limits {
                max_message_size: config.max_message_size,
                max_fragments: config.max_fragments,
            }),
            kept: 0,
            kept_text: Validator::new(),
            control: Vec::new(),
            cut_off: false,
            ended: Ended::No,
            #[cfg(feature = "deflate")]
            inbound: None,
            #[cfg(feature = "deflate")]
            agreed: None,
            clock: Clock::new(config),
            heard: Heard::default(),
        }
    }

    /// The handshake is complete: frames follow.
    pub(crate) fn open(&mut self) {
        self.phase = self.between_frames();
    }

    /// Nothing more is to be received: memory is given back, later input ignored.
    pub(crate) fn shut(&mut self) {
        self.phase = Phase::Done;
        self.assembler.abort();
        self.control = Vec::new();
        #[cfg(feature = "deflate")]
        {
            self.inbound = None;
        }
    }

    /// A frame that is a message by itself and lies in `input` whole, taken from it: its event.
    #[inline]
    pub(crate) fn take_message<'b>(
        &self,
        input: &mut &'b mut [u8],
    ) -> Option<Result<Event<'b>, Error>> {
        if self.phase != Phase::Idle {
            return None;
        }
        // Few compares, one of them for all of the first two bytes' flags; whatever does not fit,
        // right or wrong, is for the resumable way. (Measured: half the time of a short message.)
        let &[first, second, high, low, ..] = input.first_chunk::<8>()?;
        let opcode = match first {
            0x81 => Opcode::Text,
            0x82 => Opcode::Binary,
            _ => return None,
        };
        let masked = match self.role {
            Role::Server => 0x80,
            Role::Client => 0,
        };
        let (head, len) = match second ^ masked {
            len @ ..126 => (2, usize::from(len)),
            126 => match u16::from_be_bytes([high, low]) {
                ..126 => return None,
                len => (4, usize::from(len)),
            },
            _ => return None,
        };
        let head = if masked == 0 { head } else { head + 4 };
        if len >= self.lend_below || input.len() < head + len {
            return None;
        }
        let (frame, rest) = mem::take(input).split_at_mut(head + len);
        *input = rest;
        let (head, payload) = frame.split_at_mut(head);
        let key = match masked {
            0 => None,
            _ => head.last_chunk().copied(),
        };
        Some(lend(opcode, key, payload))
    }

    /// As [`Connection::gathered_amount`](crate::Connection::gathered_amount).
    pub(crate) fn gathered_amount(&self) -> usize {
        #[cfg(feature = "deflate")]
        let inflating = self.inflating_held();
        #[cfg(not(feature = "deflate"))]
        let inflating = 0;
        self.assembler.held() + inflating
    }

    /// The peer's Close, once it has been received (§7.1.4).
    pub(crate) const fn peer_close(&self) -> Option<&Close> {
        match &self.ended {
            Ended::Closed(close) => Some(close),
            _ => None,
        }
    }

    /// The rule that the peer broke, if it did (§7.1.7).
    pub(crate) const fn failure(&self) -> Option<Error> {
        match self.ended {
            Ended::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// Takes from the front of `input`, by way of stored state, until an event is complete or
    /// nothing is left. `written` is what had been written by then, as the clock wants to know it.
    pub(crate) fn receive_with<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
        written: u64,
        mut reply: impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Option<Event<'b>> {
        // What is kept has been heard of before.
        if input.len() > *store.kept {
            self.heard.note(written);
        }
        match self.advance(input, store, &mut reply) {
            Ok(event) => {
                match &event {
                    Some(Event::Pong(payload)) => self.clock.on_pong(payload, written),
                    Some(Event::FramePayload(_)) => {
                        if let Some(payload) = self.take_pong() {
                            self.clock.on_pong(&payload, written);
                        }
                    }
                    _ => {}
                }
                event
            }
            Err(error) => {
                *store.kept = 0;
                Some(self.fail(error, reply))
            }
        }
    }

    /// The peer broke a rule: all that follows is ignored (R200).
    pub(crate) fn fail<'b>(
        &mut self,
        error: Error,
        mut reply: impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Event<'b> {
        self.shut();
        self.ended = Ended::Failed(error);
        // Without entropy the Close cannot be masked, so none is sent.
        let _ = reply(Reply::Fail(error));
        Event::Fail(error)
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Whether the input ends inside a frame or a message.
    pub(crate) const fn is_mid_message(&self) -> bool {
        match self.phase {
            Phase::Payload | Phase::Kept => true,
            Phase::Header => self.decoder.is_mid_header() || !self.assembler.is_idle(),
            Phase::Connecting | Phase::Idle | Phase::Done => self.cut_off,
        }
    }

    /// The payload of the pong that the last piece of a frame has ended.
    fn take_pong(&mut self) -> Option<Vec<u8>> {
        match (self.phase, self.frame.opcode) {
            (Phase::Header, Opcode::Pong) => Some(mem::take(&mut self.control)),
            _ => None,
        }
    }

    /// A number for the message in progress, if there is one.
    pub(crate) const fn message_in_progress(&self) -> Option<u32> {
        match self.phase {
            Phase::Kept => Some(self.assembler.number()),
            _ if self.assembler.is_idle() => None,
            _ => Some(self.assembler.number()),
        }
    }

    fn advance<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
        reply: &mut impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Result<Option<Event<'b>>, Error> {
        let kept = match self.phase {
            Phase::Kept => self.kept,
            _ => 0,
        };
        if *store.kept != kept && !self.is_done() {
            return Err(Error::WrongInput);
        }
        loop {
            match self.phase {
                Phase::Idle | Phase::Header => {
                    let mut bytes: &[u8] = input;
                    let header = self.decode(&mut bytes)?;
                    let used = input.len() - bytes.len();
                    take(input, used);
                    let Some(header) = header else {
                        if self.decoder.is_mid_header() {
                            self.phase = Phase::Header;
                        }
                        return Ok(None);
                    };
                    if let Some(event) = self.begin(&header, input, store, reply)? {
                        return Ok(Some(event));
                    }
                }
                Phase::Payload => {
                    #[cfg(feature = "deflate")]
                    let is_cut = self.is_inflated_cut();
                    #[cfg(not(feature = "deflate"))]
                    let is_cut = false;
                    if input.is_empty() && self.frame.rest > 0 && !is_cut {
                        return Ok(None);
                    }
                    if !input.is_empty() && !self.frame.opcode.is_control() {
                        self.heard.was_message();
                    }
                    if let Some(event) = self.payload(input, reply)? {
                        return Ok(Some(event));
                    }
                }
                Phase::Kept => return self.go_on_keeping(input, store),
                Phase::Connecting | Phase::Done => {
                    *store.kept = 0;
                    take(input, input.len());
                    return Ok(None);
                }
            }
        }
    }

    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Error> {
        let (max_payload, max_with_rsv1) = self.frame_limits();
        let assembler = &self.assembler;
        self.decoder.decode_where(input, |opcode, rsv1| {
            // R129, R150, R151 (§5.4): as soon as the opcode is known to be one, whatever the length.
            if !opcode.is_control() {
                assembler.check_order(opcode)?;
            }
            Ok(if rsv1 { max_with_rsv1 } else { max_payload })
        })
    }

    /// The longest payload of the next frame, without RSV1 and with it.
    fn frame_limits(&self) -> (u64, u64) {
        let limit = self.decoder.max_payload();
        #[cfg(feature = "deflate")]
        if let Some(inbound) = &self.inbound {
            // R348 (RFC 7692 §6): what does not get shorter by compression gets longer.
            let deflated = deflated_limit(limit);
            return match inbound.is_inflating() {
                true => (deflated, deflated),
                false => (limit, deflated),
            };
        }
        (limit, limit)
    }

    /// Begins a frame; where it lies in the input whole and needs no gathering, ends it too.
    fn begin<'b>(
        &mut self,
        header: &Header,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
        reply: &mut impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Result<Option<Event<'b>>, Error> {
        if !header.opcode.is_control() {
            self.heard.was_message();
        }
        if self.delivery == Delivery::Frames {
            return self.begin_frame(header, reply).map(Some);
        }
        let whole = usize::try_from(header.payload_len)
            .ok()
            .filter(|len| *len <= input.len());
        if header.opcode.is_control() {
            if let Some(len) = whole {
                self.phase = self.between_frames();
                let payload = take(input, len);
                unmask(header.mask, payload);
                return self.control(header.opcode, Cow::Borrowed(payload), reply);
            }
        } else if self.is_lendable(header) {
            if let Some(len) = whole {
                self.assembler.lend_frame(header)?;
                self.phase = Phase::Idle;
                let payload = take(input, len);
                return lend(header.opcode, header.mask, payload).map(Some);
            }
            let limit = match header.opcode {
                Opcode::Text => store.limit.min(MAX_KEPT_TEXT),
                _ => store.limit,
            };
            if usize::try_from(header.payload_len).is_ok_and(|len| len <= limit) {
                self.assembler.lend_frame(header)?;
                self.begin_keeping(header);
                return Ok(None);
            }
            self.assembler.begin_frame(header)?;
            self.assembler.use_spare(header, store.spare);
        } else {
            self.assembler.begin_frame(header)?;
            if self.delivery == Delivery::Messages {
                self.assembler.use_spare(header, store.spare);
            }
            #[cfg(feature = "deflate")]
            if header.rsv1 {
                self.begin_inflating();
            }
        }
        self.phase = Phase::Payload;
        self.frame = Frame {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask,
            rest: header.payload_len,
        };
        Ok(None)
    }

    /// Whether a data frame is a message by itself that can be lent from where it lies.
    const fn is_lendable(&self, header: &Header) -> bool {
        header.fin
            && !header.rsv1
            && self.assembler.is_idle()
            && matches!(self.delivery, Delivery::Messages)
    }

    /// Begins a message whose payload stays in the caller's memory until all of it has come.
    const fn begin_keeping(&mut self, header: &Header) {
        self.phase = Phase::Kept;
        self.kept = 0;
        self.kept_text = Validator::new();
        self.frame = Frame {
            opcode: header.opcode,
            fin: true,
            mask: header.mask,
            rest: header.payload_len,
        };
    }

    /// Looks at what has come of the message that is kept, and lends it once it is complete.
    fn go_on_keeping<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
    ) -> Result<Option<Event<'b>>, Error> {
        let Frame {
            opcode, mask, rest, ..
        } = self.frame;
        let kept = self.kept;
        if input.len() <= kept {
            return Ok(None);
        }
        self.heard.was_message();
        let key = mask.map(|key| mask::rotate(key, kept));
        let len = usize::try_from(rest).unwrap_or(usize::MAX);
        if input.len() < len {
            let new = input.get_mut(kept..).unwrap_or_default();
            unmask(key, new);
            if opcode == Opcode::Text {
                // R233: refused as soon as no continuation could make it valid.
                self.kept_text.feed(new).map_err(|_| Error::InvalidUtf8)?;
            }
            (self.kept, *store.kept) = (input.len(), input.len());
            return Ok(None);
        }
        (self.phase, *store.kept) = (Phase::Idle, 0);
        let payload = take(input, len);
        unmask(key, payload.get_mut(kept..).unwrap_or_default());
        lend(opcode, None, payload).map(Some)
    }

    /// Takes what has arrived of the payload in progress; ends the frame if that is all of it.
    fn payload<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        reply: &mut impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Result<Option<Event<'b>>, Error> {
        let mut len = usize::try_from(self.frame.rest)
            .unwrap_or(usize::MAX)
            .min(input.len());
        let is_part = self.delivery == Delivery::Parts && !self.frame.opcode.is_control();
        #[cfg(feature = "deflate")]
        if is_part && self.is_inflating() {
            return self.inflate_part(input);
        }
        if is_part && self.assembler.missing() > 0 {
            len = len.min(self.assembler.missing());
        }
        let piece = take(input, len);
        let frame = &mut self.frame;
        let key = frame.mask;
        frame.mask = key.map(|key| mask::rotate(key, len));
        frame.rest -= u64::try_from(len).unwrap_or(frame.rest);
        let Frame { opcode, rest, .. } = *frame;
        if self.is_gathering() {
            return self.gather(key, piece);
        }
        unmask(key, piece);
        if self.delivery == Delivery::Frames {
            return Ok(self.end_frame_piece(piece, reply));
        }
        if opcode.is_control() {
            self.control.extend_from_slice(piece);
            if rest > 0 {
                return Ok(None);
            }
            self.phase = self.between_frames();
            let payload = mem::take(&mut self.control);
            return self.control(opcode, Cow::Owned(payload), reply);
        }
        let end = self.frame.end();
        #[cfg(feature = "deflate")]
        if self.is_inflating() {
            self.gather_inflated(piece, end)?;
            return self.end_gathered_piece();
        }
        let event = self.assembler.part(piece, end)?;
        if rest == 0 {
            self.phase = self.between_frames();
        }
        Ok(event)
    }

    /// Whether the frame in progress is gathered as it comes.
    fn is_gathering(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.is_inflating() {
            return false;
        }
        self.delivery == Delivery::Messages && !self.frame.opcode.is_control()
    }

    /// Adds a piece of the frame in progress, which is masked with `key`, to the message that is
    /// gathered.
    fn gather<'b>(
        &mut self,
        key: Option<[u8; 4]>,
        piece: &mut [u8],
    ) -> Result<Option<Event<'b>>, Error> {
        let Frame { fin, rest, .. } = self.frame;
        let to_come = if fin { rest } else { u64::MAX };
        match key {
            Some(key) => self.assembler.push_masked(key, piece, to_come)?,
            None => self.assembler.push(piece, to_come)?,
        }
        self.end_gathered_piece()
    }

    /// Ends the frame in progress, and the message, if they have been gathered.
    fn end_gathered_piece<'b>(&mut self) -> Result<Option<Event<'b>>, Error> {
        if self.frame.rest > 0 {
            return Ok(None);
        }
        let event = match self.frame.end() {
            Fin::Last => self.assembler.finish()?,
            Fin::More => None,
        };
        self.phase = self.between_frames();
        Ok(event)
    }

    /// Begins a frame that is handed over as a frame.
    fn begin_frame(
        &mut self,
        header: &Header,
        reply: &mut impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Result<Event<'static>, Error> {
        if header.opcode.is_control() {
            self.control.clear();
        } else {
            self.assembler.begin_frame(header)?;
        }
        self.phase = Phase::Payload;
        self.frame = Frame {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask,
            rest: header.payload_len,
        };
        if header.payload_len == 0 {
            // No piece follows that could end it.
            self.end_frame_piece(&[], reply);
        }
        Ok(Event::FrameHeader(*header))
    }

    /// Hands over a piece of a frame as it is, and ends the frame if it was the last.
    fn end_frame_piece<'b>(
        &mut self,
        piece: &'b [u8],
        reply: &mut impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Option<Event<'b>> {
        let Frame {
            opcode, fin, rest, ..
        } = self.frame;
        if matches!(opcode, Opcode::Close | Opcode::Pong) {
            self.control.extend_from_slice(piece);
        }
        if rest == 0 {
            self.phase = Phase::Header;
            if opcode == Opcode::Close {
                // What it says is the ends' business; what can be read of it, the ending tells.
                let close = Close::from_body(&self.control).unwrap_or_default();
                let _ = reply(Reply::PeerClosed);
                self.cut_off = !self.assembler.is_idle();
                self.shut();
                self.ended = Ended::Closed(close);
            } else if fin && !opcode.is_control() {
                self.assembler.abort();
            }
        }
        if piece.is_empty() {
            None
        } else {
            Some(Event::FramePayload(Cow::Borrowed(piece)))
        }
    }

    fn control<'b>(
        &mut self,
        opcode: Opcode,
        payload: Cow<'b, [u8]>,
        reply: &mut impl FnMut(Reply<'_>) -> Result<(), EntropyError>,
    ) -> Result<Option<Event<'b>>, Error> {
        match (opcode, self.pong_mode) {
            (Opcode::Ping, PongMode::Off) => Ok(None),
            (Opcode::Ping, mode) => {
                if mode == PongMode::Automatic {
                    reply(Reply::Pong(&payload)).map_err(|EntropyError| Error::Entropy)?;
                }
                Ok(Some(Event::Ping(payload)))
            }
            (Opcode::Close, _) => {
                let close = Close::from_body(&payload)?;
                // Without entropy no answer can be masked, but the Close has come all the same.
                let _ = reply(Reply::Close(close.code));
                self.cut_off = !self.assembler.is_idle();
                self.shut();
                self.ended = Ended::Closed(close.clone());
                Ok(Some(Event::Close(close)))
            }
            _ => Ok(Some(Event::Pong(payload))),
        }
    }

    /// The phase after a frame.
    const fn between_frames(&self) -> Phase {
        match self.delivery {
            Delivery::Messages if self.assembler.is_idle() => Phase::Idle,
            _ => Phase::Header,
        }
    }
}

/// The event of a message that lies in the input whole.
#[inline]
fn lend(opcode: Opcode, key: Option<[u8; 4]>, payload: &mut [u8]) -> Result<Event<'_>, Error> {
    if opcode == Opcode::Text {
        let text = match key {
            Some(key) => utf8::unmask(key, payload),
            None => utf8::validate(payload),
        };
        return match text {
            Ok(text) => Ok(Event::Text(Cow::Borrowed(text))),
            Err(_) => Err(Error::InvalidUtf8),
        };
    }
    unmask(key, payload);
    Ok(Event::Binary(Cow::Borrowed(payload)))
}

/// Takes `len` bytes, or all that there are, from the front of `input`.
fn take<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let all = mem::take(input);
    let (taken, rest) = all.split_at_mut(len.min(all.len()));
    *input = rest;
    taken
}

fn unmask(mask: Option<[u8; 4]>, payload: &mut [u8]) {
    if let Some(key) = mask {
        mask::apply(key, payload);
    }
}
