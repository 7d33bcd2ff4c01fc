//! What the receiving half hands to the sending half, and nothing else passes between them.

use crate::close::CloseCode;
use crate::error::Error;

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
