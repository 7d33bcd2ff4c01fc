//! What all connections of a server may hold together; for the servers among these examples.
//!
//! Each limit of a connection holds for that connection: a thousand of them, each in the middle of a
//! message of 16 MiB, hold 16 GiB. So what a connection holds for its peer counts: the message that it
//! gathers, and the output that the peer does not take. [`FREE`] bytes of that are every connection's; what
//! is more has to find room in the [`Budget`], or the connection ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sockless::{CloseCode, Connection};

/// What a connection may hold in any case: nearly all of them get by with it.
pub(crate) const FREE: usize = 64 << 10;

/// Why such a connection ends.
pub(crate) const NO_ROOM: &str = "there is no room for what it holds";

/// What all connections hold beyond what is [`FREE`]. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Room>);

#[derive(Debug)]
struct Room {
    limit: usize,
    taken: AtomicUsize,
}

/// What one connection has of the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    taken: usize,
}

impl Budget {
    pub(crate) fn new(mebibytes: usize) -> Self {
        Self(Arc::new(Room {
            limit: mebibytes.saturating_mul(1 << 20),
            taken: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            taken: 0,
        }
    }
}

impl Share {
    /// Whether there is room for what the connection holds now: if not, it has to end.
    ///
    /// It counts twice, for memory that grows is copied, and a compressed answer is made before the message
    /// that it answers is let go.
    pub(crate) fn has_room_for(&mut self, ws: &Connection) -> bool {
        self.hold(2 * (ws.gathered_amount() + ws.buffered_amount()))
    }

    /// The same for what is not in the connection; always, for less than before.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let Room { limit, taken } = &*self.budget.0;
        let wanted = bytes.saturating_sub(FREE);
        if wanted < self.taken {
            taken.fetch_sub(self.taken - wanted, Ordering::Relaxed);
        } else if wanted > self.taken {
            let more = wanted - self.taken;
            let with_more = |taken: usize| taken.checked_add(more).filter(|sum| sum <= limit);
            let order = Ordering::Relaxed;
            if taken.fetch_update(order, order, with_more).is_err() {
                return false;
            }
        }
        self.taken = wanted;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

/// There is no room for what the connection holds: gives it back at once, and returns what is to be written
/// instead, up to a Close of 1013. Nothing, if that would have to wait behind output that is not taken.
///
/// Write it, shut the write side, and read on for a while: a transport that is dropped with input unread is
/// reset, and the Close is lost.
pub(crate) fn turn_away(mut ws: Connection, share: Share) -> Vec<u8> {
    let mut last = Vec::new();
    let is_read = ws.buffered_amount() <= FREE;
    if is_read && ws.close(CloseCode::TRY_AGAIN_LATER, "").is_ok() {
        ws.take_output(&mut last);
    }
    drop((ws, share));
    last
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sockless::{Config, Event, Input, Next, Role};

    use super::*;

    fn budget(bytes: usize) -> Budget {
        Budget(Arc::new(Room {
            limit: bytes,
            taken: AtomicUsize::new(0),
        }))
    }

    #[test]
    fn t85_what_is_free_needs_no_room_and_the_limit_is_exact() {
        let budget = budget(100);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.hold(FREE) && one.hold(FREE + 60));
        assert!(two.hold(FREE) && two.hold(FREE + 40) && !two.hold(FREE + 41));
        // Refused: nothing has changed.
        assert!(two.hold(FREE + 40) && !one.hold(FREE + 61));
        assert!(two.hold(0) && one.hold(FREE + 100));
        assert!(two.hold(FREE) && !two.hold(FREE + 1));
    }

    #[test]
    fn t85_a_share_is_given_back_by_whoever_goes() {
        let budget = budget(100);
        for _ in 0..3 {
            let mut share = budget.share();
            assert!(share.hold(FREE + 100));
            assert!(!budget.share().hold(usize::MAX));
        }
        assert!(budget.share().hold(FREE + 100));
    }

    #[test]
    fn t85_a_message_that_is_gathered_and_output_that_waits_count() {
        // A whole message of 60,000 bytes, and of the next one all but the last byte.
        let mut bytes = vec![0; 2 * 60_008];
        for message in bytes.chunks_mut(60_008) {
            message[..4].copy_from_slice(b"\x82\xfe\xea\x60");
        }
        let mut ws = Connection::upgraded(Role::Server, Config::default());
        assert!(budget(0).share().has_room_for(&ws));
        let mut input = Input::shared(0);
        input.extend_from_slice(&bytes[..2 * 60_008 - 1]);
        while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
            if let Event::Binary(data) = event {
                ws.send_binary(data).expect("it is open");
            }
        }
        assert!(budget(4 * 60_008).share().has_room_for(&ws));
        assert!(!budget(4 * 59_000 - FREE).share().has_room_for(&ws));
        ws.sent(usize::MAX);
        assert!(!budget(2 * 59_000 - FREE).share().has_room_for(&ws));
        assert!(
            budget(0)
                .share()
                .has_room_for(&Connection::server(Config::default()))
        );
    }

    #[test]
    fn t85_who_is_turned_away_is_told_unless_it_does_not_read() {
        let budget = budget(0);
        let mut ws = Connection::upgraded(Role::Server, Config::default());
        ws.send_text("read").expect("it is open");
        let last = turn_away(ws, budget.share());
        assert_eq!(last, b"\x81\x04read\x88\x02\x03\xf5");

        let mut ws = Connection::upgraded(Role::Server, Config::default());
        ws.send_binary(vec![0; FREE]).expect("it is open");
        assert_eq!(turn_away(ws, budget.share()), b"");
    }
}
