//! The heap in use, where an allocator counts it: the fuzzers' does, the replay's does not.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// For the allocator.
pub(crate) fn on_allocate(size: usize) {
    let live = LIVE.fetch_add(size, Relaxed) + size;
    PEAK.fetch_max(live, Relaxed);
}

/// For the allocator.
pub(crate) fn on_free(size: usize) {
    LIVE.fetch_sub(size, Relaxed);
}

pub(crate) fn live() -> usize {
    LIVE.load(Relaxed)
}

/// The most that was in use since the last call.
pub(crate) fn peak() -> usize {
    PEAK.swap(live(), Relaxed)
}
