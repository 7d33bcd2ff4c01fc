//! Messages from frames: [RFC 6455 §5.4].
//!
//! An [`Assembler`] gathers what cannot be lent from the caller's buffer: messages of several
//! fragments, and frames cut by the end of a read. Its memory grows with the bytes that arrive, never
//! with a length that a header declares, and never beyond the limit for a message.
//!
//! [RFC 6455 §5.4]: https://www.rfc-editor.org/rfc/rfc6455#section-5.4

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::connection::sender::Fin;
use crate::error::Error;
use crate::event::Event;
use crate::fast;
use crate::frame::{Header, Opcode};
use crate::mask;
use crate::utf8::Validator;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_message_size: usize,
    pub(crate) max_fragments: u32,
}

#[derive(Debug)]
pub(crate) struct Assembler {
    limits: Limits,
    /// Frames of the message in progress that have begun.
    fragments: u32,
    /// The payload that they announced, together, and may announce.
    size: usize,
    max_size: usize,
    /// The most that a compressed message may announce.
    max_deflated_size: usize,
    /// Counts messages, to tell one from the next.
    number: u32,
    /// Whether a part of the message in progress has been handed over.
    begun: bool,
    message: Message,
}

/// What has arrived of the message in progress.
#[derive(Debug)]
enum Message {
    None,
    /// Valid UTF-8, and the code point that it was cut in.
    Text(String, Validator),
    Binary(Vec<u8>),
}

impl Assembler {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            fragments: 0,
            size: 0,
            max_size: 0,
            max_deflated_size: limits.max_message_size,
            number: 0,
            begun: false,
            message: Message::None,
        }
    }

    /// Judges whether a data frame with this opcode may come now.
    pub(crate) const fn check_order(&self, opcode: Opcode) -> Result<(), Error> {
        // R150, R151: what is open counts, not what has been gathered, which may be empty.
        match (opcode, &self.message) {
            (Opcode::Continuation, Message::None) => Err(Error::UnexpectedContinuation),
            (Opcode::Continuation, _) | (_, Message::None) => Ok(()),
            _ => Err(Error::ExpectedContinuation),
        }
    }

    /// Judges a data frame by its header, before its payload, its order having been judged; the message
    /// in progress is the one that the frame belongs to from here on.
    pub(crate) fn begin_frame(&mut self, header: &Header) -> Result<(), Error> {
        if header.opcode != Opcode::Continuation {
            (self.fragments, self.size, self.begun) = (0, 0, false);
            self.max_size = if header.rsv1 {
                self.max_deflated_size
            } else {
                self.limits.max_message_size
            };
            self.number = self.number.wrapping_add(1);
        }
        // R159 (§10.4): empty fragments count, or a message of them would never end.
        if self.fragments >= self.limits.max_fragments {
            return Err(Error::TooManyFragments);
        }
        self.fragments += 1;
        // R158 (§10.4): by subtraction, so that no sum can overflow.
        let room = self.max_size.saturating_sub(self.size);
        match usize::try_from(header.payload_len) {
            Ok(len) if len <= room => self.size += len,
            _ => return Err(Error::MessageTooLarge),
        }
        match header.opcode {
            Opcode::Text => self.message = Message::Text(String::new(), Validator::new()),
            Opcode::Binary => self.message = Message::Binary(Vec::new()),
            _ => {}
        }
        Ok(())
    }

    /// Gathers the message that begins with the frame `header` in memory that is at hand, if that fits: no
    /// more than the message may have, and no more than twice what it is known to have.
    pub(crate) fn use_spare(&mut self, header: &Header, spare: &mut Vec<u8>) {
        let is_known = header.fin && !header.rsv1;
        let least = u64::try_from(spare.capacity() / 2).unwrap_or(u64::MAX);
        let fits = spare.capacity() > 0
            && spare.capacity() <= self.limits.max_message_size
            && (!is_known || header.payload_len >= least);
        if header.opcode == Opcode::Continuation || !fits {
            return;
        }
        match &mut self.message {
            Message::None => {}
            Message::Binary(data) => *data = core::mem::take(spare),
            Message::Text(text, _) => {
                *text = String::from_utf8(core::mem::take(spare)).unwrap_or_default();
            }
        }
    }

    /// Adds a piece of the frame in progress. `rest` is how much of the message is still to come, as
    /// far as that is known: the rest of the last frame, or `u64::MAX` before it.
    pub(crate) fn push(&mut self, piece: &[u8], rest: u64) -> Result<(), Error> {
        let growth = self.growth(rest);
        match &mut self.message {
            Message::None => {}
            Message::Binary(data) => {
                growth.reserve(data, piece.len());
                data.extend_from_slice(piece);
            }
            Message::Text(text, validator) => {
                // R233: refused as soon as no continuation could make it valid.
                let (cut, whole) = validator.feed(piece).map_err(|_| Error::InvalidUtf8)?;
                growth.push_text(text, cut, whole);
            }
        }
        Ok(())
    }

    /// As [`push`](Self::push), of a piece that is masked with `key`.
    pub(crate) fn push_masked(
        &mut self,
        key: [u8; 4],
        piece: &mut [u8],
        rest: u64,
    ) -> Result<(), Error> {
        let growth = self.growth(rest);
        match &mut self.message {
            Message::Binary(data) => {
                growth.reserve(data, piece.len());
                mask::append(key, piece, data);
                Ok(())
            }
            Message::Text(text, validator) if validator.is_complete() => {
                match fast::unmask_text(key, piece) {
                    Ok(piece) => {
                        growth.push_text(text, None, piece);
                        Ok(())
                    }
                    Err(piece) => self.push(piece, rest),
                }
            }
            _ => {
                mask::apply(key, piece);
                self.push(piece, rest)
            }
        }
    }

    const fn growth(&self, rest: u64) -> Growth {
        Growth {
            max_size: self.limits.max_message_size,
            rest,
        }
    }

    /// The memory that is held for the message in progress, in bytes.
    pub(crate) fn held(&self) -> usize {
        match &self.message {
            Message::None => 0,
            Message::Text(text, _) => text.capacity(),
            Message::Binary(data) => data.capacity(),
        }
    }

    /// What has been gathered of the message in progress: all of it, in order.
    #[cfg(feature = "deflate")]
    pub(crate) fn gathered(&self) -> [&[u8]; 2] {
        match &self.message {
            Message::None => [&[]; 2],
            Message::Text(text, validator) => [text.as_bytes(), validator.cut()],
            Message::Binary(data) => [data, &[]],
        }
    }

    /// Hands over the message in progress as it is, its last frame complete.
    pub(crate) fn finish(&mut self) -> Result<Option<Event<'static>>, Error> {
        match core::mem::replace(&mut self.message, Message::None) {
            Message::None => Ok(None),
            Message::Binary(mut data) => {
                if data.capacity() / 2 > data.len() {
                    data.shrink_to_fit();
                }
                Ok(Some(Event::Binary(Cow::Owned(data))))
            }
            // R232: not inside a code point, even if the last fragment is empty.
            Message::Text(_, validator) if !validator.is_complete() => Err(Error::InvalidUtf8),
            Message::Text(mut text, _) => {
                if text.capacity() / 2 > text.len() {
                    text.shrink_to_fit();
                }
                Ok(Some(Event::Text(Cow::Owned(text))))
            }
        }
    }

    /// Hands over a piece of the frame in progress as it is; `fin` if it ends the message.
    pub(crate) fn part<'b>(
        &mut self,
        piece: &'b [u8],
        fin: Fin,
    ) -> Result<Option<Event<'b>>, Error> {
        let first = !self.begun;
        let event = match &mut self.message {
            Message::None => return Ok(None),
            Message::Binary(_) => Event::BinaryPart {
                data: Cow::Borrowed(piece),
                first,
                fin,
            },
            Message::Text(_, validator) => {
                let (cut, text) = validator.feed(piece).map_err(|_| Error::InvalidUtf8)?;
                // R232: not inside a code point.
                if fin == Fin::Last && !validator.is_complete() {
                    return Err(Error::InvalidUtf8);
                }
                let text = match cut {
                    None => Cow::Borrowed(text),
                    Some(cut) => {
                        Cow::Owned(String::from_iter([cut.encode_utf8(&mut [0; 4]), text]))
                    }
                };
                if text.is_empty() && fin == Fin::More {
                    return Ok(None);
                }
                Event::TextPart { text, first, fin }
            }
        };
        if piece.is_empty() && fin == Fin::More {
            return Ok(None);
        }
        self.begun = true;
        if fin == Fin::Last {
            self.abort();
        }
        Ok(Some(event))
    }

    /// How many bytes of a part are to be handed over by themselves, because they complete a code
    /// point that the last one was cut in; 0 if none.
    pub(crate) const fn missing(&self) -> usize {
        match &self.message {
            Message::Text(_, validator) => validator.missing(),
            _ => 0,
        }
    }

    /// Messages are inflated to at most the size that is returned, which is the limit.
    #[cfg(feature = "deflate")]
    pub(crate) fn inflate(&mut self) -> usize {
        let limit = self.limits.max_message_size;
        // R348: on the wire it is another one, for what does not get shorter gets longer.
        let deflated = deflated_limit(u64::try_from(limit).unwrap_or(u64::MAX));
        self.max_deflated_size = usize::try_from(deflated).unwrap_or(usize::MAX);
        limit
    }

    /// The number of the message that began last.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Forgets the message in progress and gives its memory back.
    pub(crate) fn abort(&mut self) {
        self.message = Message::None;
    }

    /// Judges a frame that is a message of its own and lies in the input whole.
    pub(crate) fn lend_frame(&mut self, header: &Header) -> Result<(), Error> {
        self.begin_frame(header)?;
        self.message = Message::None;
        Ok(())
    }

    pub(crate) const fn is_idle(&self) -> bool {
        matches!(self.message, Message::None)
    }
}

/// What a limit for payloads is where they are compressed.
#[cfg(feature = "deflate")]
pub(crate) const fn deflated_limit(limit: u64) -> u64 {
    limit.saturating_add(limit / 4).saturating_add(256)
}

/// Up to here memory does not have to follow what has arrived.
const SHORT: usize = 128;

/// How much memory to take for a message, when `rest` bytes of it are to come behind a piece.
///
/// Where the end of the message is in sight a [`SHORT`] one has all of its room at once; of others the room
/// grows fourfold, and from a fifth of the message there is room for all of it. Else it doubles, up to the
/// limit (R251). For a moment there is the old memory beside the new. So that both together are never more
/// than one and a half times what the message may have, the last step is taken from three eighths of that
/// at most; what is then left of the half is for inflating.
#[derive(Clone, Copy)]
struct Growth {
    max_size: usize,
    rest: u64,
}

impl Growth {
    #[inline]
    fn reserve(self, data: &mut Vec<u8>, new: usize) {
        let needed = data.len().saturating_add(new);
        if needed > data.capacity() {
            data.reserve_exact(self.capacity_for(needed) - data.len());
        }
    }

    #[inline]
    fn push_text(self, text: &mut String, cut: Option<char>, whole: &str) {
        let new = cut.map_or(0, char::len_utf8).saturating_add(whole.len());
        let needed = text.len().saturating_add(new);
        if needed > text.capacity() {
            text.reserve_exact(self.capacity_for(needed) - text.len());
        }
        text.extend(cut);
        text.push_str(whole);
    }

    /// At least `needed`.
    fn capacity_for(self, needed: usize) -> usize {
        let (end, wanted) = match self.rest {
            u64::MAX => (self.max_size, needed.saturating_mul(2)),
            rest => {
                let rest = usize::try_from(rest).unwrap_or(usize::MAX);
                let end = needed.saturating_add(rest);
                if needed >= end / 5 || end <= SHORT {
                    return end;
                }
                (end, needed.saturating_mul(4))
            }
        };
        let last_step = end / 8 * 3;
        if needed > last_step {
            end.max(needed)
        } else {
            wanted.min(last_step)
        }
    }
}
