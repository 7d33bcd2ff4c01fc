//! [`Queue`]: what waits for one reader, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockless::CloseCode;
use tokio::sync::Notify;

use crate::memory::Share;

/// What an item costs beside its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 64;

/// 1013 rather than 1008: the reader broke no rule, and may come again at once with an empty queue; 1008
/// is for those who had better not.
pub(crate) const TOO_SLOW: Reason = (CloseCode::TRY_AGAIN_LATER, "you read too slowly");

pub(crate) type Reason = (CloseCode, &'static str);

/// Items for one reader, from any number of writers who never wait: a reader that falls too far behind
/// loses what is queued, and is told so.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Notify,
    max_bytes: usize,
}

struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    /// Where what is queued has to find room, beside the queue's own limit.
    share: Option<Share>,
    open: bool,
    /// Why it was closed, until the reader knows.
    untold: Option<Reason>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    Item(T),
    /// There will be no more.
    Closed(Reason),
}

impl<T> Queue<T> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                bytes: 0,
                share: None,
                open: true,
                untold: None,
            }),
            changed: Notify::new(),
            max_bytes,
        }
    }

    /// Counts what is queued in a budget too.
    pub(crate) fn within(self, share: Share) -> Self {
        self.lock().share = Some(share);
        self
    }

    /// Adds an item of `bytes`, or closes the queue as [`TOO_SLOW`] if it does not fit.
    pub(crate) fn push(&self, item: T, bytes: usize) {
        let mut state = self.lock();
        if !state.open {
            return;
        }
        let bytes = bytes.saturating_add(OVERHEAD);
        let sum = state.bytes.saturating_add(bytes);
        if sum <= self.max_bytes && state.hold(sum) {
            state.items.push_back((item, bytes));
        } else {
            state.close(TOO_SLOW);
        }
        self.changed.notify_one();
    }

    /// Gives up what is queued; the reader is told why before anything else.
    pub(crate) fn close(&self, reason: Reason) {
        let mut state = self.lock();
        if state.open {
            state.close(reason);
            self.changed.notify_one();
        }
    }

    /// The next item, if the reader `wants` one, or else only the end. For one reader.
    ///
    /// Loses nothing when it is cancelled: between taking an item and returning it nothing is awaited.
    pub(crate) async fn next(&self, wants: bool) -> Taken<T> {
        loop {
            if let Some(next) = self.try_next(wants) {
                return next;
            }
            self.changed.notified().await;
        }
    }

    /// As [`next`](Self::next), if that need not wait.
    pub(crate) fn try_next(&self, wants: bool) -> Option<Taken<T>> {
        let mut state = self.lock();
        if let Some(reason) = state.untold.take() {
            return Some(Taken::Closed(reason));
        }
        if !wants {
            return None;
        }
        let (item, bytes) = state.items.pop_front()?;
        let rest = state.bytes - bytes;
        state.hold(rest);
        Some(Taken::Item(item))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn close(&mut self, reason: Reason) {
        self.open = false;
        self.untold = Some(reason);
        self.items = VecDeque::new();
        self.hold(0);
    }

    /// Whether there is room for so many bytes; always, for fewer than before.
    fn hold(&mut self, bytes: usize) -> bool {
        let has_room = self.share.as_mut().is_none_or(|share| share.hold(bytes));
        if has_room {
            self.bytes = bytes;
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Budget, FREE};

    #[test]
    fn items_come_in_order_when_they_are_wanted() {
        let queue = Queue::new(10 * (OVERHEAD + 1));
        (0..10).for_each(|n| queue.push(n, 1));
        assert_eq!(queue.try_next(false), None);
        for n in 0..10 {
            assert_eq!(queue.try_next(true), Some(Taken::Item(n)));
        }
        assert_eq!(queue.try_next(true), None);
    }

    #[test]
    fn the_limit_is_exact_and_what_was_taken_does_not_count() {
        let queue = Queue::new(2 * (OVERHEAD + 5));
        for n in 0..100 {
            queue.push(n, 5);
            queue.push(n, 5);
            assert_eq!(queue.try_next(true), Some(Taken::Item(n)));
            assert_eq!(queue.try_next(true), Some(Taken::Item(n)));
        }
        queue.push(0, 5);
        queue.push(1, 6);
        // Told at once, even to a reader that wants no items; once; and then nothing more comes.
        assert_eq!(queue.try_next(false), Some(Taken::Closed(TOO_SLOW)));
        queue.push(2, 1);
        queue.close((CloseCode::GOING_AWAY, ""));
        assert_eq!(queue.try_next(true), None);
    }

    #[test]
    fn what_all_queues_hold_has_a_limit_too() {
        let budget = Budget::new(1);
        let queue = || Queue::new(4 << 20).within(budget.share());
        let (slow, quick) = (queue(), queue());
        slow.push((), 1 << 20);
        quick.push((), FREE - OVERHEAD);
        assert_eq!(quick.try_next(true), Some(Taken::Item(())));
        quick.push((), 1 << 17);
        assert_eq!(quick.try_next(false), Some(Taken::Closed(TOO_SLOW)));
        assert_eq!(slow.try_next(true), Some(Taken::Item(())));
        let late = queue();
        late.push((), 1 << 20);
        assert_eq!(late.try_next(true), Some(Taken::Item(())));
    }

    #[tokio::test]
    async fn a_cancelled_wait_loses_nothing() {
        let queue = Queue::new(1000);
        for n in 0..3 {
            tokio::select! {
                biased;
                _ = queue.next(true) => panic!("there is nothing yet"),
                () = async {} => {}
            }
            queue.push(n, 1);
            tokio::select! {
                biased;
                () = async {} => {}
                _ = queue.next(true) => panic!("not reached"),
            }
            assert_eq!(queue.next(true).await, Taken::Item(n));
        }
    }
}
