//! Lives of a connection, move by move, beside a model of RFC 6455 that says after each move what has to be
//! so. [`rfc`] is the model, [`time`] its clock, [`life`] plays a move on both and compares.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod life;
pub(crate) mod rfc;
pub(crate) mod time;

use std::panic;

use sockless::{Delivery, Role};

use crate::common::ROLES;
pub(crate) use life::Life;

/// What a life begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    pub(crate) role: Role,
    pub(crate) delivery: Delivery,
    pub(crate) deflate: Option<Takeover>,
    pub(crate) reads: Reads,
}

/// What was agreed on permessage-deflate (RFC 7692 §7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takeover {
    No,
}

/// How what the peer sends at once is cut into reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Whole,
    InTwo,
    ByteByByte,
}

/// Every setup of a connection whose reads are cut as `reads` says.
pub(crate) fn setups(reads: Reads) -> Vec<Setup> {
    let deliveries = [Delivery::Messages, Delivery::Parts, Delivery::Frames];
    let agreed: &[_] = match cfg!(feature = "deflate") {
        true => &[None, Some(Takeover::No)],
        false => &[None],
    };
    let mut setups = Vec::new();
    for role in ROLES {
        for delivery in deliveries {
            setups.extend(agreed.iter().map(|&deflate| Setup {
                role,
                delivery,
                deflate,
                reads,
            }));
        }
    }
    setups
}

/// One thing that happens to a connection.
macro_rules! moves {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Move { $($(#[$doc])* $name,)* }

        impl Move {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

#[rustfmt::skip]
moves! {
    // The caller's calls; `Part…` sends a part of a text, `Frame…` the header of a message of three bytes in one
    // frame, of the last frame, of one byte, of a message that was begun in parts, or of a Close of two bytes,
    // `Payload…` one byte of its payload or all that are missing.
    Text, Binary, PartMore, PartLast, Ping, Pong, Close, CloseWithoutCode, FrameBinary, FrameContinuation,
    FrameClose, PayloadByte, PayloadRest,
    // What is done with the output.
    WriteByte, WriteHalf, WriteAll,
    // What the peer sends in one read: messages and fragments, pings, the right answer to the last ping that it has
    // got, once, and a pong that nobody asked for.
    PeerText, PeerBinary, PeerCompressed, PeerFirst, PeerMiddle, PeerLast, PeerPing, PeerLongPing, PeerTwoPings,
    PeerPong, PeerIdlePong,
    // A Close, a reserved opcode, and text that is none.
    PeerClose, PeerEmptyClose, PeerBadClose, PeerViolation, PeerBadText,
    // The first two bytes of a text frame, the first half of a frame, and what is missing of one.
    PeerTwoBytes, PeerHalfText, PeerHalfPing, PeerHalfClose, PeerRest,
    // Time passes: a second, or what `time` says.
    Second, Timeout, Interval,
    // The transport ends.
    End,
}

/// A rule that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) rule: &'static str,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(rule: &'static str, detail: String) -> Self {
        Self { rule, detail }
    }
}

/// Whether a move did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Some,
    /// The call was refused, or there was nothing to do: what follows is what follows without it.
    None,
    /// Nothing can follow.
    Over,
}

/// Plays a life up to a move without effect, then to its end: how many moves it took, and what the last one
/// did; or what broke, and at which move.
pub(crate) fn play(setup: Setup, moves: &[Move]) -> Result<(usize, Effect), (usize, Fault)> {
    let mut at = 0;
    let played = guarded(|| {
        let mut life = Life::new(setup);
        let mut effect = Effect::Some;
        for next in moves {
            effect = life.play(*next)?;
            at += 1;
            if effect != Effect::Some {
                break;
            }
        }
        if effect != Effect::Over {
            life.settle()?;
        }
        Ok(effect)
    });
    match played {
        Ok(effect) => Ok((at, effect)),
        Err(fault) => Err((at, fault)),
    }
}

/// What comes of a life; a panic is a fault as well.
pub(crate) fn guarded<T>(live: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    panic::catch_unwind(panic::AssertUnwindSafe(live)).unwrap_or_else(|panic| {
        let text = (panic.downcast_ref::<String>().cloned())
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Fault::new("nothing panics", text.unwrap_or_default()))
    })
}

/// The shortest sequence that comes of `moves` by leaving some out and breaks the same rule.
pub(crate) fn shrink<T: Clone>(
    moves: &[T],
    fault: Fault,
    live: impl Fn(&[T]) -> Result<(), Fault>,
) -> (Vec<T>, Fault) {
    let (mut shortest, mut fault) = (moves.to_vec(), fault);
    let mut len = shortest.len().div_ceil(2).max(1);
    loop {
        let (mut at, before) = (0, shortest.len());
        while at < shortest.len() {
            let mut shorter = shortest.clone();
            shorter.drain(at..(at + len).min(shorter.len()));
            match live(&shorter) {
                Err(found) if found.rule == fault.rule => (shortest, fault) = (shorter, found),
                _ => at += len,
            }
        }
        if len == 1 && shortest.len() == before {
            return (shortest, fault);
        }
        len = len.div_ceil(2);
    }
}

/// A compressed message without its tail, inflated with an empty window (RFC 7692 §7.2.2).
#[cfg(feature = "deflate")]
pub(crate) fn inflate(payload: &[u8]) -> Option<Vec<u8>> {
    // The inflater is as simple as can be: what is wrong makes it panic.
    panic::catch_unwind(|| crate::deflate_support::Oracle::default().message(payload)).ok()
}

#[cfg(not(feature = "deflate"))]
pub(crate) fn inflate(_: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Returns a [`Fault`] unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $rule:literal, $detail:expr) => {
        if !$holds {
            return Err(Fault::new($rule, format!("{:02x?}", $detail)));
        }
    };
}
pub(crate) use ensure;

/// … unless both are the same.
macro_rules! ensure_same {
    ($is:expr, $has_to_be:expr, $rule:literal) => {
        let (is, has_to_be) = (&$is, &$has_to_be);
        if is != has_to_be {
            return Err(Fault::new(
                $rule,
                format!("{is:02x?} and not {has_to_be:02x?}"),
            ));
        }
    };
}
pub(crate) use ensure_same;
