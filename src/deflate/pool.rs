//! Codecs that wait for the next message of any connection.
//!
//! Without context takeover a codec is of use only while a message is under way, so connections take
//! turns with a few. More than were ever in use at once are never kept.

use alloc::vec;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::codec::{Deflater, Inflater};

/// How many codecs of a kind wait at most.
const MAX_IDLE: usize = 16;

/// How much is inflated at a time.
pub(crate) const CHUNK: usize = 16 << 10;

#[derive(Debug, Default)]
pub(super) struct Pool {
    inflaters: Mutex<Vec<Scratch>>,
    deflaters: Mutex<Vec<Deflater>>,
}

/// What inflating a message takes.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) inflater: Inflater,
    /// What was inflated last.
    pub(super) out: Vec<u8>,
}

impl Pool {
    pub(super) fn take_inflater(&self) -> Scratch {
        let kept = lock(&self.inflaters).pop();
        kept.unwrap_or_else(|| Scratch {
            inflater: Inflater::new(),
            out: vec![0; CHUNK],
        })
    }

    pub(super) fn give_inflater(&self, scratch: Scratch) {
        give(&mut lock(&self.inflaters), scratch);
    }

    /// One that begins a stream.
    pub(super) fn take_deflater(&self, level: u8, window_bits: u8) -> Deflater {
        let kept = {
            let mut idle = lock(&self.deflaters);
            let fits = |deflater: &Deflater| {
                (deflater.level, deflater.window_bits) == (level, window_bits)
            };
            idle.iter()
                .rposition(fits)
                .map(|index| idle.swap_remove(index))
        };
        match kept {
            Some(mut deflater) => {
                deflater.restart([&[]; 2]);
                deflater
            }
            None => Deflater::new(level, window_bits),
        }
    }

    pub(super) fn give_deflater(&self, deflater: Deflater) {
        give(&mut lock(&self.deflaters), deflater);
    }
}

fn give<T>(idle: &mut Vec<T>, codec: T) {
    if idle.len() >= MAX_IDLE {
        // The oldest makes room, lest one that fits nobody any more stays for ever.
        idle.remove(0);
    }
    idle.push(codec);
}

/// A thread that panicked here has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
