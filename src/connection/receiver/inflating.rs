//! The receiving half's compressed messages: [RFC 7692 §6.2].
//!
//! [RFC 7692 §6.2]: https://www.rfc-editor.org/rfc/rfc7692#section-6.2

use alloc::boxed::Box;

use super::{Receiver, take, unmask};
use crate::config::Delivery;
use crate::connection::sender::Fin;
use crate::deflate::inbound::{CHUNK, Gathered, Inbound};
use crate::deflate::{DeflateConfig, Parameters};
use crate::error::Error;
use crate::event::Event;
use crate::mask;

/// How much is unmasked at a time where it may have to be masked again.
const STEP: usize = 1 << 10;

impl Receiver {
    /// The extension was agreed on, before any frame has been read.
    pub(crate) fn inflate_with(&mut self, agreed: &Parameters, deflate: &DeflateConfig) {
        self.agreed = Some(*agreed);
        // What is handed over as frames is not inflated.
        if self.delivery == Delivery::Frames {
            return;
        }
        let max_size = self.assembler.inflate();
        let inbound = Inbound::new(self.role, agreed, deflate, max_size);
        self.inbound = Some(Box::new(inbound));
        self.decoder.define_rsv1();
    }

    pub(crate) const fn deflate(&self) -> Option<Parameters> {
        self.agreed
    }

    pub(super) fn is_inflating(&self) -> bool {
        self.inbound.as_deref().is_some_and(Inbound::is_inflating)
    }

    /// Whether there is more to hand over of what has been read.
    pub(super) fn is_inflated_cut(&self) -> bool {
        self.inbound.as_deref().is_some_and(Inbound::is_cut)
    }

    /// The memory that inflating the message in progress takes, in bytes.
    #[allow(dead_code, reason = "for what a connection holds in all")]
    pub(crate) fn inflating_held(&self) -> usize {
        self.inbound.as_deref().map_or(0, Inbound::held)
    }

    pub(super) fn begin_inflating(&mut self) {
        if let Some(inbound) = &mut self.inbound {
            inbound.begin();
        }
    }

    /// Adds a piece to a message that is gathered; `fin` if it is the last.
    pub(super) fn gather_inflated(&mut self, mut piece: &[u8], fin: Fin) -> Result<(), Error> {
        let Some(inbound) = &mut self.inbound else {
            return Ok(());
        };
        loop {
            let gathered = Gathered::All(self.assembler.gathered());
            let (used, out) = inbound.inflate(piece, gathered)?;
            piece = piece.get(used..).unwrap_or_default();
            if out.is_empty() {
                break;
            }
            // Most often this is all there is: then no more is reserved than it takes.
            let out_len = out.len();
            let rest = match fin {
                Fin::Last if piece.is_empty() && out_len < CHUNK => 0,
                _ => u64::MAX,
            };
            self.assembler.push(out, rest)?;
        }
        if fin == Fin::Last {
            while let Some(out) = inbound.finish(Gathered::All(self.assembler.gathered()))? {
                self.assembler.push(out, u64::MAX)?;
            }
        }
        Ok(())
    }

    /// Takes what it needs of the frame in progress to hand over a part, in constant memory: what a few
    /// bytes inflate to comes in as many parts as it takes.
    pub(super) fn inflate_part<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Event<'b>>, Error> {
        let Some(inbound) = &mut self.inbound else {
            return Ok(None);
        };
        let frame = &mut self.frame;
        loop {
            if !inbound.is_cut() && (frame.rest == 0 || input.is_empty()) {
                break;
            }
            let len = usize::try_from(frame.rest).unwrap_or(usize::MAX);
            let len = len.min(STEP).min(input.len());
            let piece = input.get_mut(..len).unwrap_or_default();
            unmask(frame.mask, piece);
            let (used, out) = inbound.inflate(piece, Gathered::Nothing)?;
            frame.mask = frame.mask.map(|key| mask::rotate(key, used));
            frame.rest -= u64::try_from(used).unwrap_or(frame.rest);
            // What is for the next call is masked again, as it was.
            unmask(frame.mask, piece.get_mut(used..).unwrap_or_default());
            take(input, used);
            if !out.is_empty() {
                if let Some(part) = self.assembler.part(out, Fin::More)? {
                    return Ok(Some(part.into_owned()));
                }
            }
        }
        if frame.rest > 0 {
            return Ok(None);
        }
        if frame.fin {
            while let Some(out) = inbound.finish(Gathered::Nothing)? {
                if let Some(part) = self.assembler.part(out, Fin::More)? {
                    return Ok(Some(part.into_owned()));
                }
            }
            let end = self.assembler.part(&[], Fin::Last)?;
            self.phase = self.between_frames();
            return Ok(end);
        }
        self.phase = self.between_frames();
        Ok(None)
    }
}
