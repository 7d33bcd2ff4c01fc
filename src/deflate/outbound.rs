//! What is sent compressed: [RFC 7692 §6.1, §7.2.1].
//!
//! [RFC 7692 §6.1, §7.2.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::codec::Deflater;
use super::pool::Pool;
use super::{Compression, Context, DeflateConfig, Parameters, TAIL};
use crate::connection::sender::Fin;
use crate::frame::Role;

#[derive(Debug)]
pub(crate) struct Outbound {
    pool: Arc<Pool>,
    context: Context,
    level: u8,
    window_bits: u8,
    threshold: usize,
    pub(crate) compression: Compression,
    /// In a message, and with takeover between messages too.
    deflater: Option<Deflater>,
    /// Whether the message that is being sent in parts is compressed.
    pub(crate) parts: bool,
}

impl Outbound {
    /// `None` if nothing may be compressed: R320, a window of 8 bits is not kept to, so it is not used.
    pub(crate) fn new(role: Role, agreed: &Parameters, deflate: &DeflateConfig) -> Option<Self> {
        let (own_context, own_bits) = deflate.own(role);
        let window_bits = match agreed.window_bits(role) {
            ..9 => return None,
            bits => bits.min(own_bits),
        };
        Some(Self {
            pool: Arc::clone(&deflate.pool),
            context: match agreed.context(role) {
                Context::Takeover => own_context,
                Context::NoTakeover => Context::NoTakeover,
            },
            level: deflate.level,
            window_bits,
            threshold: deflate.threshold,
            compression: Compression::Automatic,
            deflater: None,
            parts: false,
        })
    }

    /// Whether a message of `len` bytes is to be compressed.
    pub(crate) fn wants(&self, len: usize) -> bool {
        self.compression == Compression::Automatic && len >= self.threshold
    }

    /// The compressed form of a whole message, or `None` if it is not worth it.
    pub(crate) fn message(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.part(data, Fin::Last);
        // R346: what a later message may refer to has to be sent as it was compressed.
        if self.context == Context::NoTakeover && bytes.len() >= data.len() {
            return None;
        }
        Some(bytes)
    }

    /// The compressed form of the next part of a message.
    pub(crate) fn part(&mut self, data: &[u8], fin: Fin) -> Vec<u8> {
        let mut out = Vec::new();
        if !data.is_empty() {
            let deflater = self
                .deflater
                .get_or_insert_with(|| self.pool.take_deflater(self.level, self.window_bits));
            deflater.run(data, &mut out);
        }
        if fin == Fin::Last {
            // R342: from the end of the message, and nowhere else. R343: where nothing was fed there
            // is nothing to take it from, and an empty block stands for it.
            if out.ends_with(&TAIL) {
                out.truncate(out.len() - TAIL.len());
            } else {
                out.push(0x00);
            }
            if self.context == Context::NoTakeover {
                // R345: nobody refers to it any more.
                if let Some(deflater) = self.deflater.take() {
                    self.pool.give_deflater(deflater);
                }
            }
        }
        out
    }

    /// What was compressed last is not sent after all, so nothing may refer to it. (A stream that
    /// refers to nothing can begin behind any flush.)
    pub(crate) fn forget(&mut self) {
        self.deflater = None;
    }
}
