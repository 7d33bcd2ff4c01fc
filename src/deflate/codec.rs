//! The library behind it all, and the only file that names it: [RFC 1951].
//!
//! An [`Inflater`] stops at what a final block ends, and is then [restarted](Inflater::restart), if what
//! follows cannot be [inflated without a window](Inflater::try_run); a
//! [`Deflater`] flushes behind each piece, so that its output ends on a byte.
//!
//! [RFC 1951]: https://www.rfc-editor.org/rfc/rfc1951

use alloc::vec::Vec;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

use super::TAIL;

/// The largest window.
const MAX_BITS: u8 = 15;

pub(super) struct Inflater(Inflate);

/// What one call did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) used: usize,
    pub(super) made: usize,
    pub(super) stop: Stop,
}

/// Why it went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// All input is used, or the output is full.
    Room,
    /// A final block has ended.
    End,
    /// What follows is no deflate stream; a further call says so again.
    Corrupt,
}

/// Not a deflate stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corrupt;

impl Inflater {
    /// What it takes of the heap, in bytes.
    pub(super) const SIZE: usize = 47_552;

    pub(super) fn new() -> Self {
        Self(Inflate::new(false, MAX_BITS))
    }

    /// Begins a stream that may refer to `window`, given in order.
    pub(super) fn restart<'a>(
        &mut self,
        window: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), Corrupt> {
        self.0.reset(false);
        for run in window {
            self.0.set_dictionary(run).map_err(|_| Corrupt)?;
        }
        Ok(())
    }

    /// Begins a stream that refers to nothing, if `input` is that up to a final block's end and comes to
    /// no more than `out`. Else nothing has been inflated, and the stream is to be begun with a window.
    pub(super) fn try_run(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        self.0.reset(false);
        Some(self.run(input, out)).filter(|step| step.stop == Stop::End)
    }

    /// Inflates until all of `input` is used, `out` is full, or a final block has ended.
    pub(super) fn run(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        let before = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, out, InflateFlush::SyncFlush);
        Step {
            stop: match status {
                Ok(Status::StreamEnd) => Stop::End,
                Ok(_) => Stop::Room,
                Err(_) => Stop::Corrupt,
            },
            used: delta(before.0, self.0.total_in()),
            made: delta(before.1, self.0.total_out()),
        }
    }
}

pub(super) struct Deflater {
    deflate: Deflate,
    pub(super) level: u8,
    pub(super) window_bits: u8,
}

impl Deflater {
    /// Keeps to a window of `window_bits`, from 9 to 15.
    pub(super) fn new(level: u8, window_bits: u8) -> Self {
        // Less than what zlib takes by default: messages are flushed long before that is full.
        let mem_level = i32::from(window_bits).saturating_sub(8).clamp(2, 6);
        let config = DeflateConfig {
            level: level.into(),
            window_bits: -i32::from(window_bits),
            mem_level,
            ..DeflateConfig::default()
        };
        Self {
            deflate: Deflate::new_with_config(config),
            level,
            window_bits,
        }
    }

    /// Begins a stream that refers to nothing before it but `window`, given in order.
    pub(super) fn restart(&mut self, window: [&[u8]; 2]) {
        self.deflate.reset();
        for run in window.into_iter().filter(|run| !run.is_empty()) {
            let taken = self.deflate.set_dictionary(run);
            debug_assert!(taken.is_ok(), "always, at the start of a raw stream");
        }
    }

    /// Appends the compressed form of `data`, which is not empty: whole bytes that end with an empty
    /// stored block.
    pub(super) fn run(&mut self, mut data: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        // Enough for most, so that one call does; more than a flush takes, so that none is cut.
        let mut room = data.len() / 2 + 64;
        loop {
            let at = out.len();
            out.resize(at + room, 0);
            let before = (self.deflate.total_in(), self.deflate.total_out());
            let tail = out.get_mut(at..).unwrap_or_default();
            let status = self.deflate.compress(data, tail, DeflateFlush::SyncFlush);
            let made = delta(before.1, self.deflate.total_out());
            out.truncate(at + made);
            let used = delta(before.0, self.deflate.total_in());
            data = data.get(used..).unwrap_or_default();
            if status.is_err() || made < room {
                break;
            }
            room = room.saturating_mul(2).min(1 << 16);
        }
        debug_assert!(data.is_empty() && out.get(start..).unwrap_or_default().ends_with(&TAIL));
    }
}

fn delta(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

impl core::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Deflater")
            .field("level", &self.level)
            .field("window_bits", &self.window_bits)
            .finish_non_exhaustive()
    }
}
