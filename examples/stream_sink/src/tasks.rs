use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// What a task wants of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Stream,
    Sink,
}

/// The tasks that polled each side last. I/O wakes both, for either can go on with it.
#[derive(Debug, Default)]
pub(crate) struct Tasks([Mutex<Option<Waker>>; 2]);

impl Tasks {
    pub(crate) fn register(&self, side: Side, waker: &Waker) {
        let mut slot = self.0[side as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &mut *slot {
            Some(slot) => slot.clone_from(waker),
            None => *slot = Some(waker.clone()),
        }
    }

    pub(crate) fn wake_side(&self, side: Side) {
        let waker = self.0[side as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_side(Side::Stream);
        self.wake_side(Side::Sink);
    }
}
