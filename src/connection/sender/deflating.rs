//! The sending half's compressed messages: [RFC 7692 §6.1].
//!
//! [RFC 7692 §6.1]: https://www.rfc-editor.org/rfc/rfc7692#section-6.1

use alloc::boxed::Box;

use super::{Fin, Sender};
use crate::deflate::outbound::Outbound;
use crate::deflate::{Compression, DeflateConfig, Parameters};
use crate::error::EntropyError;
use crate::frame::Opcode;

impl Sender {
    /// As [`Connection::set_compression`](crate::Connection::set_compression).
    pub fn set_compression(&mut self, compression: Compression) {
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
            Some(outbound) if self.parts.is_some() => outbound.parts,
            Some(outbound) => outbound.compression == Compression::Automatic,
            None => false,
        }
    }

    /// A frame of the caller's own has ended the message that was being sent in parts.
    pub(super) fn end_deflated_parts(&mut self) {
        if let Some(outbound) = &mut self.outbound {
            outbound.parts = false;
        }
    }

    #[inline(never)]
    pub(super) fn push_deflated(
        &mut self,
        opcode: Opcode,
        data: &[u8],
    ) -> Result<(), EntropyError> {
        let deflated = self.outbound.as_mut().and_then(|out| out.message(data));
        match deflated {
            Some(bytes) => self.push_compressed(opcode, Fin::Last, &bytes),
            None => self.push_fragments(opcode, Fin::Last, data),
        }
    }

    /// Compresses a part and queues it; the first one if `opcode` is not that of a continuation.
    #[inline(never)]
    pub(super) fn push_deflated_part(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        data: &[u8],
    ) -> Result<(), EntropyError> {
        let Some(outbound) = &mut self.outbound else {
            return self.push_fragments(opcode, fin, data);
        };
        let bytes = outbound.part(data, fin);
        self.push_compressed(opcode, fin, &bytes)?;
        if let Some(outbound) = &mut self.outbound {
            outbound.parts = fin == Fin::More;
        }
        Ok(())
    }

    /// Queues what was compressed, in fragments: all of them, or none.
    fn push_compressed(
        &mut self,
        mut opcode: Opcode,
        fin: Fin,
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
                        outbound.forget();
                    }
                    return Err(error);
                }
            }
            if more.is_empty() {
                return Ok(());
            }
            (opcode, rest) = (Opcode::Continuation, more);
        }
    }
}
