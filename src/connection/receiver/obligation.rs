//! What the receiving half hands to the sending half, and nothing else passes between them.

use crate::close::CloseCode;
use crate::error::{EntropyError, Error};
use crate::frame::MAX_CONTROL_PAYLOAD;

/// What the sending half owes the peer for something that was received.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply<'a> {
    /// A pong with this payload (§5.5.2).
    Pong(&'a [u8]),
    /// The answer to a Close with this code (§5.5.1).
    Close(Option<CloseCode>),
    /// A Close that says why this endpoint gives up (§7.1.7).
    Fail(Error),
    /// Nothing: the peer's Close was handed over as a frame, for the caller to answer.
    PeerClosed,
}

/// What the sending half owes the peer for something that the receiving half received: the answer to
/// a ping or a Close, or the Close of a failure. With [`Delivery::Frames`](crate::Delivery::Frames), where
/// the answers are the caller's, that the peer's Close has come.
///
/// A small value that owns what it needs, for [`Sender::fulfill`](crate::Sender::fulfill). To be
/// carried over in the order in which they come. A later pong may take the place of an earlier one
/// (§5.5.3); a Close may not be lost.
#[derive(Clone, Copy, Debug)]
#[must_use = "the peer waits for it"]
pub struct Obligation(Owed);

#[derive(Clone, Copy, Debug)]
enum Owed {
    Pong {
        payload: [u8; MAX_CONTROL_PAYLOAD],
        len: u8,
    },
    Close(Option<CloseCode>),
    Fail(Error),
    PeerClosed,
}

impl Obligation {
    pub(crate) fn new(reply: Reply<'_>) -> Self {
        Self(match reply {
            Reply::Pong(ping) => {
                let (mut payload, mut len) = ([0; MAX_CONTROL_PAYLOAD], 0);
                for (slot, byte) in payload.iter_mut().zip(ping) {
                    *slot = *byte;
                    len += 1;
                }
                Owed::Pong { payload, len }
            }
            Reply::Close(code) => Owed::Close(code),
            Reply::Fail(error) => Owed::Fail(error),
            Reply::PeerClosed => Owed::PeerClosed,
        })
    }

    pub(crate) fn reply(&self) -> Reply<'_> {
        match &self.0 {
            Owed::Pong { payload, len } => {
                Reply::Pong(payload.get(..usize::from(*len)).unwrap_or_default())
            }
            Owed::Close(code) => Reply::Close(*code),
            Owed::Fail(error) => Reply::Fail(*error),
            Owed::PeerClosed => Reply::PeerClosed,
        }
    }
}

pub(super) fn owe(owed: &mut Option<Obligation>, reply: Reply<'_>) -> Result<(), EntropyError> {
    *owed = Some(Obligation::new(reply));
    Ok(())
}
