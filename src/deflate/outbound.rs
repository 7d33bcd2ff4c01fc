//! What is sent compressed: [RFC 7692 §6.1, §7.2.1].
//!
//! [RFC 7692 §6.1, §7.2.1]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::codec::Deflater;
use super::history::History;
use super::pool::Pool;
use super::{Compression, Context, DeflateConfig, Parameters, TAIL};
use crate::connection::sender::Fin;
use crate::frame::Role;
use crate::prepared::{Prepared, SharedPayload, shared};

/// How much of what was sent is kept for the compressor to begin with again. (Measured: 17 µs for this
/// much, 60 µs for a whole window of 32 KiB, where a message of 60 bytes takes 2.5 µs.)
const KEPT: usize = 8 << 10;

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
    /// Whether what the deflater refers to is not what the peer has.
    is_stale: bool,
    /// With takeover, the end of what was sent compressed.
    history: History,
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
            is_stale: false,
            history: no_history(window_bits),
            parts: false,
        })
    }

    /// Whether a message of `len` bytes is to be compressed.
    pub(crate) fn wants(&self, len: usize) -> bool {
        self.compression == Compression::Automatic && len >= self.threshold
    }

    /// Whether a message in parts is to be compressed that begins now, or the one that `has_begun`.
    pub(crate) fn wants_parts(&self, has_begun: bool) -> bool {
        match has_begun {
            true => self.parts,
            false => self.compression == Compression::Automatic,
        }
    }

    /// Whether messages refer to earlier ones.
    pub(crate) fn takes_over(&self) -> bool {
        self.context == Context::Takeover
    }

    /// The compressed form of a whole message, or `None` if that is not shorter (R392). To be
    /// [confirmed](Self::sent) or [taken back](Self::not_sent).
    pub(crate) fn message(&mut self, data: &[u8]) -> Option<Vec<u8>> {
        // R343: no message is shorter than that of no bytes.
        if data.is_empty() {
            return None;
        }
        let bytes = self.deflate(data, Fin::Last);
        if bytes.len() >= data.len() {
            self.not_sent();
            return None;
        }
        Some(bytes)
    }

    /// The compressed form of a message that many connections send, for those without takeover, or `None`
    /// if that is not shorter.
    pub(crate) fn prepared(&mut self, message: &Prepared) -> Option<SharedPayload> {
        let (level, window_bits) = (self.level, self.window_bits);
        message.forms.get_or_init(level, window_bits, || {
            let mut bytes = self.message(message.payload())?;
            bytes.shrink_to_fit();
            Some(shared(bytes))
        })
    }

    /// What was compressed last is on its way.
    pub(crate) fn sent(&mut self, data: &[u8]) {
        if self.takes_over() {
            self.history.push(data);
        }
    }

    /// What was compressed last is not sent after all, so nothing may refer to it (R346).
    pub(crate) fn not_sent(&mut self) {
        self.is_stale = self.deflater.is_some();
    }

    /// A frame of the caller's own belongs to a compressed message, the first one if `is_first`: nothing
    /// here knows what the peer's window holds from here on, so what follows refers to nothing before it.
    pub(crate) fn foreign_frame(&mut self, is_first: bool, rsv1: bool, fin: bool) {
        let is_compressed = if is_first { rsv1 } else { self.parts };
        if !is_compressed {
            return;
        }
        self.parts = !fin;
        self.history = no_history(self.window_bits);
        self.not_sent();
        if fin {
            self.end();
        }
    }

    /// The compressed form of a message, or of the next part of one. To be [confirmed](Self::sent) or
    /// [taken back](Self::not_sent).
    pub(crate) fn deflate(&mut self, data: &[u8], fin: Fin) -> Vec<u8> {
        let mut out = Vec::new();
        if !data.is_empty() {
            let deflater = self
                .deflater
                .get_or_insert_with(|| self.pool.take_deflater(self.level, self.window_bits));
            // R393: a stream that refers to what the peer has, or to nothing, can begin behind any flush.
            if mem::take(&mut self.is_stale) {
                deflater.restart(self.history.runs());
            }
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
            self.end();
        }
        out
    }

    /// R345: without takeover nobody refers to a message behind its end.
    fn end(&mut self) {
        if self.context == Context::NoTakeover {
            self.is_stale = false;
            if let Some(deflater) = self.deflater.take() {
                self.pool.give_deflater(deflater);
            }
        }
    }
}

fn no_history(window_bits: u8) -> History {
    History::new(KEPT.min(1 << window_bits))
}
