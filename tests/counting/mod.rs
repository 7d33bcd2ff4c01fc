//! An allocator that counts, for the test binaries that ask what is held.
#![allow(unsafe_code, reason = "an allocator that counts is unsafe to write")]
#![allow(dead_code, reason = "each test file uses its part")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

/// The system's allocator; each thread, and so each test, counts its own.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// Bytes asked for: what growing in place copies, at most.
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(asked: usize, freed: usize) {
    // At a thread's end its counters may be gone.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + usize::from(asked > 0)));
    let _ = ASKED.try_with(|sum| sum.set(sum.get() + asked));
    let _ = HELD.try_with(|held| {
        let change = |bytes| isize::try_from(bytes).unwrap_or(isize::MAX);
        held.set(held.get() + change(asked) - change(freed));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise, unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's promise, unchanged.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old and the new at once, which is the worst that the system can do.
        count(size, 0);
        count(0, layout.size());
        // SAFETY: the caller's promise, unchanged.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) calls: usize,
    pub(crate) asked: usize,
    /// More than at the start, at the worst moment and now.
    pub(crate) peak: isize,
    pub(crate) held: isize,
}

pub(crate) fn measured<T>(run: impl FnOnce() -> T) -> (T, Counted) {
    let (calls, asked, held) = (CALLS.get(), ASKED.get(), HELD.get());
    PEAK.set(held);
    let result = run();
    let total = Counted {
        calls: CALLS.get() - calls,
        asked: ASKED.get() - asked,
        peak: PEAK.get() - held,
        held: HELD.get() - held,
    };
    (result, total)
}
