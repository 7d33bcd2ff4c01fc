//! The compressed forms of a message that many connections send.
//!
//! Without context takeover the form depends on nothing but the level and the window, so one does for
//! all connections with the same. It is made when the first of them asks, and once, also if several
//! threads ask at the same time.

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::prepared::SharedPayload;

/// At most one for each of 9 levels and 7 windows.
#[derive(Default)]
pub(crate) struct Forms(Mutex<Vec<Form>>);

struct Form {
    level: u8,
    window_bits: u8,
    /// `None` inside if the message is not worth compressing.
    payload: Arc<OnceLock<Option<SharedPayload>>>,
}

impl Forms {
    pub(super) fn get_or_init(
        &self,
        level: u8,
        window_bits: u8,
        deflate: impl FnOnce() -> Option<SharedPayload>,
    ) -> Option<SharedPayload> {
        // The lock is not held while it is compressed: connections with other parameters go on.
        let payload = self.find(level, window_bits);
        payload.get_or_init(deflate).clone()
    }

    fn find(&self, level: u8, window_bits: u8) -> Arc<OnceLock<Option<SharedPayload>>> {
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |form: &&Form| (form.level, form.window_bits) == (level, window_bits);
        if let Some(form) = forms.iter().find(fits) {
            return Arc::clone(&form.payload);
        }
        let payload = Arc::default();
        forms.push(Form {
            level,
            window_bits,
            payload: Arc::clone(&payload),
        });
        payload
    }
}
