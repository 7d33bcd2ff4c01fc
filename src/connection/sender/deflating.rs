//! The sending half's compressed messages: [RFC 7692 §6.1].
//!
//! [RFC 7692 §6.1]: https://www.rfc-editor.org/rfc/rfc7692#section-6.1

use alloc::boxed::Box;

use super::{Fin, Sender};
use crate::deflate::outbound::Outbound;
use crate::deflate::{Compression, DeflateConfig, Parameters};
use crate::error::EntropyError;
use crate::frame::{Header, Opcode};
use crate::prepared::Prepared;

impl Sender {
    pub(crate) fn set_compression(&mut self, compression: Compression) {
        if let Some(outbound) = &mut self.outbound {
            outbound.compression = compression;
        }
    }

    /// The extension was agreed on, before any frame has been sent.
    pub(crate) fn deflate_with(&mut self, agreed: &Parameters, deflate: &DeflateConfig) {
        self.outbound = Outbound::new(self.role, agreed, deflate).map(Box::new);
        self.rsv1 = true;
    }

    /// Whether a message of `len` bytes is to be compressed.
    #[inline]
    pub(super) fn deflates(&self, len: usize) -> bool {
        match &self.outbound {
            Some(outbound) => outbound.wants(len),
            None => false,
        }
    }

    /// Whether the part of a message that is sent next is to be compressed.
    pub(super) fn deflates_part(&self) -> bool {
        match &self.outbound {
            Some(outbound) => outbound.wants_parts(self.parts.is_some()),
            None => false,
        }
    }

    /// A data frame of the caller's own was begun.
    pub(super) fn on_foreign_frame(&mut self, header: &Header) {
        if let Some(outbound) = &mut self.outbound {
            let is_first = header.opcode != Opcode::Continuation;
            outbound.foreign_frame(is_first, header.rsv1, header.fin);
        }
    }

    /// R396: no message can be sent any more, so what compresses is given back.
    pub(super) fn drop_deflater(&mut self) {
        self.outbound = None;
    }

    #[inline(never)]
    pub(super) fn push_deflated(
        &mut self,
        opcode: Opcode,
        data: &[u8],
    ) -> Result<(), EntropyError> {
        let deflated = self.outbound.as_mut().and_then(|out| out.message(data));
        match deflated {
            Some(bytes) => self.push_compressed(opcode, Fin::Last, data, &bytes),
            None => self.push_fragments(opcode, Fin::Last, data),
        }
    }

    /// Queues a message that many connections send. With context takeover it is compressed for this one
    /// alone: messages that refer to earlier ones are what takeover was asked for. Without, all share one
    /// form (R398).
    #[inline(never)]
    pub(super) fn push_deflated_prepared(
        &mut self,
        message: &Prepared,
    ) -> Result<(), EntropyError> {
        let (opcode, data) = (message.opcode, message.payload());
        let Some(outbound) = &mut self.outbound else {
            return self.push_prepared(message);
        };
        if outbound.takes_over() {
            return match outbound.message(data) {
                Some(bytes) => self.push_compressed(opcode, Fin::Last, data, &bytes),
                None => self.push_prepared(message),
            };
        }
        let Some(form) = outbound.prepared(message) else {
            return self.push_prepared(message);
        };
        let bytes = form.bytes();
        if self.keys.is_some() || bytes.len() > self.fragment_size {
            return self.push_compressed(opcode, Fin::Last, data, bytes);
        }
        let mut header = self.header(opcode, Fin::Last, bytes.len())?;
        header.rsv1 = true;
        self.queue.push_shared(&header, &form);
        Ok(())
    }

    /// Compresses a part and queues it; the first one if `opcode` is not that of a continuation.
    #[inline(never)]
    pub(super) fn push_deflated_part(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        data: &[u8],
    ) -> Result<(), EntropyError> {
        // The first part and the last: a message as any other.
        if opcode != Opcode::Continuation && fin == Fin::Last {
            return match self.deflates(data.len()) {
                true => self.push_deflated(opcode, data),
                false => self.push_fragments(opcode, fin, data),
            };
        }
        let Some(outbound) = &mut self.outbound else {
            return self.push_fragments(opcode, fin, data);
        };
        let bytes = outbound.deflate(data, fin);
        self.push_compressed(opcode, fin, data, &bytes)?;
        if let Some(outbound) = &mut self.outbound {
            outbound.parts = fin == Fin::More;
        }
        Ok(())
    }

    /// Queues what `data` was compressed to, in fragments: all of them, or none.
    fn push_compressed(
        &mut self,
        mut opcode: Opcode,
        fin: Fin,
        data: &[u8],
        bytes: &[u8],
    ) -> Result<(), EntropyError> {
        let mark = self.queue.mark();
        let mut rest = bytes;
        loop {
            let (piece, more) = rest.split_at(rest.len().min(self.fragment_size));
            let last = if more.is_empty() { fin } else { Fin::More };
            match self.header(opcode, last, piece.len()) {
                Ok(mut header) => {
                    // §6.1: on the first frame of the message only.
                    header.rsv1 = opcode != Opcode::Continuation;
                    self.queue.push(&header, piece);
                }
                Err(error) => {
                    self.queue.back_to(mark);
                    if let Some(outbound) = &mut self.outbound {
                        outbound.not_sent();
                    }
                    return Err(error);
                }
            }
            if more.is_empty() {
                if let Some(outbound) = &mut self.outbound {
                    outbound.sent(data);
                }
                return Ok(());
            }
            (opcode, rest) = (Opcode::Continuation, more);
        }
    }
}
