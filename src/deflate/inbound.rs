//! What is received compressed: [RFC 7692 §6.2, §7.2.2].
//!
//! An [`Inbound`] inflates the messages of one connection, a bounded piece at a time. No more is ever
//! produced than the limit and one byte, and what is kept between messages is the agreed window, or
//! nothing.
//!
//! [RFC 7692 §6.2, §7.2.2]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2

use alloc::sync::Arc;
use core::mem;

use super::codec::{Step, Stop};
use super::history::History;
pub(crate) use super::pool::CHUNK;
use super::pool::{Pool, Scratch};
use super::{Context, DeflateConfig, Parameters, TAIL};
use crate::error::Error;
use crate::frame::Role;

/// How often the ratio is looked at: at places that do not depend on how the input was cut.
const RATIO_STEP: usize = 64 << 10;

/// How much history may be put back, behind final blocks, for each byte received: enough for a final
/// block in every other kilobyte.
const RELOAD_PER_BYTE: usize = 64;
const RELOAD_FREE: usize = 1 << 20;

/// What ends a message: the bytes that its sender left out, and a final block that only a stream at the
/// boundary of a block takes for one.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

#[derive(Debug)]
pub(crate) struct Inbound {
    pool: Arc<Pool>,
    context: Context,
    window: usize,
    max_size: usize,
    max_ratio: usize,
    /// With takeover and between messages, the window; else empty.
    history: History,
    message: Option<Message>,
}

/// The message in progress.
#[derive(Debug, Default)]
struct Message {
    /// From its first byte on.
    scratch: Option<Scratch>,
    received: usize,
    inflated: usize,
    reloaded: usize,
    /// Whether the last output was cut, so that there may be more of it.
    is_cut: bool,
    /// Whether bytes were inflated since the stream began, or began again.
    is_begun: bool,
    /// How much of [`END`] has been used.
    end: usize,
}

impl Inbound {
    pub(crate) fn new(
        role: Role,
        agreed: &Parameters,
        deflate: &DeflateConfig,
        max_size: usize,
    ) -> Self {
        let window = 1 << agreed.window_bits(role.peer());
        Self {
            pool: Arc::clone(&deflate.pool),
            context: agreed.context(role.peer()),
            window,
            max_size,
            max_ratio: usize::try_from(deflate.max_ratio).unwrap_or(usize::MAX),
            history: History::new(window),
            message: None,
        }
    }

    /// A compressed message begins.
    pub(crate) fn begin(&mut self) {
        self.message = Some(Message::default());
    }

    /// Whether the message in progress is compressed.
    pub(crate) const fn is_inflating(&self) -> bool {
        self.message.is_some()
    }

    /// Whether there may be output without further input.
    pub(crate) const fn is_cut(&self) -> bool {
        matches!(&self.message, Some(message) if message.is_cut)
    }

    /// Inflates the next bytes: how many of `input` were used, and what they came to. If that is
    /// nothing, all were used.
    pub(crate) fn inflate(&mut self, input: &[u8]) -> Result<(usize, &[u8]), Error> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if rest.is_empty() && !self.is_cut() {
                return Ok((used, &[]));
            }
            let step = self.step(rest)?;
            used += step.used;
            if step.stop == Stop::End {
                self.restart()?;
            }
            if step.made > 0 {
                return Ok((used, self.out(step.made)));
            }
        }
    }

    /// All bytes of the message have been inflated: what more they come to, piece by piece, and `None`
    /// at last.
    pub(crate) fn finish(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            // R344: nothing has begun, be it that nothing came at all (a payload of 0 bytes) or
            // nothing behind a final block, so there is nothing to end.
            let Some(message) = self.message.as_ref().filter(|message| message.is_begun) else {
                self.end();
                return Ok(None);
            };
            // R337 (§7.2.2): the bytes that the sender left out.
            let rest = END.get(message.end..).unwrap_or_default();
            let step = self.step(rest)?;
            let Some(message) = &mut self.message else {
                return Ok(None);
            };
            message.end += step.used;
            // R347: what they complete is an empty stored block, which may itself be final. Anything
            // else was cut off in the middle.
            if step.stop == Stop::End {
                if message.end != TAIL.len() && message.end != END.len() {
                    return Err(Error::InvalidDeflate);
                }
                message.is_begun = false;
            } else if message.end == END.len() && !message.is_cut {
                return Err(Error::InvalidDeflate);
            }
            if step.made > 0 {
                return Ok(Some(self.out(step.made)));
            }
        }
    }

    fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        let Some(message) = &mut self.message else {
            return Err(Error::InvalidDeflate);
        };
        let scratch = match &mut message.scratch {
            Some(scratch) => scratch,
            None => {
                let mut scratch = self.pool.take_inflater();
                // R338, R339: with takeover the window goes on, else it is empty.
                match self.context {
                    Context::Takeover => mem::swap(&mut scratch.history, &mut self.history),
                    Context::NoTakeover => scratch.history.clear(self.window),
                }
                let begun = scratch.inflater.restart(scratch.history.runs());
                begun.map_err(|_| Error::InvalidDeflate)?;
                message.scratch.insert(scratch)
            }
        };
        let to_ratio_check = RATIO_STEP - message.inflated % RATIO_STEP;
        let is_due = to_ratio_check == RATIO_STEP;
        if is_due && message.inflated > message.received.saturating_mul(self.max_ratio) {
            return Err(Error::RatioTooHigh);
        }
        // R348: one byte beyond the limit shows that it is broken, and no more is produced. All up to
        // the limit is judged before, so that no cut changes what is reported.
        let to_limit = (self.max_size - message.inflated).max(1);
        let room = to_limit.min(to_ratio_check).min(scratch.out.len());
        let out = scratch.out.get_mut(..room).unwrap_or_default();
        let step = scratch.inflater.run(input, out);
        // R347: once what came before has been judged.
        if step.stop == Stop::Corrupt && step.made == 0 {
            return Err(Error::InvalidDeflate);
        }
        message.received = message.received.saturating_add(step.used);
        message.inflated += step.made;
        if message.inflated > self.max_size {
            return Err(Error::MessageTooLarge);
        }
        message.is_cut = match step.stop {
            Stop::Room => step.made == room,
            Stop::End => false,
            Stop::Corrupt => true,
        };
        message.is_begun |= step.used > 0;
        scratch
            .history
            .push(scratch.out.get(..step.made).unwrap_or_default());
        Ok(step)
    }

    /// R340, R341 (§7.2.1): behind a final block another may follow, at the next byte and with the same
    /// window.
    fn restart(&mut self) -> Result<(), Error> {
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        message.is_begun = false;
        let Some(scratch) = &mut message.scratch else {
            return Ok(());
        };
        // Putting the window back costs more than a small block: so often and no more.
        message.reloaded += scratch.history.len();
        let allowed = message.received.saturating_mul(RELOAD_PER_BYTE);
        if message.reloaded > allowed.saturating_add(RELOAD_FREE) {
            return Err(Error::InvalidDeflate);
        }
        let begun = scratch.inflater.restart(scratch.history.runs());
        begun.map_err(|_| Error::InvalidDeflate)
    }

    fn end(&mut self) {
        let message = self.message.take();
        if let Some(mut scratch) = message.and_then(|message| message.scratch) {
            if self.context == Context::Takeover {
                mem::swap(&mut scratch.history, &mut self.history);
            }
            self.pool.give_inflater(scratch);
        }
    }

    fn out(&self, made: usize) -> &[u8] {
        let scratch = self.message.as_ref().and_then(|m| m.scratch.as_ref());
        scratch
            .and_then(|scratch| scratch.out.get(..made))
            .unwrap_or_default()
    }
}
