//! Deadlines, for callers who say what time it is.
//!
//! Nothing here is touched while messages come and go: [`Clock::tick`] looks at what has changed
//! since it was last called, and moves its deadlines then.

use alloc::boxed::Box;
use core::time::Duration;

use crate::config::Config;
use crate::error::Error;
use crate::handshake::HandshakeError;

#[derive(Debug)]
pub(crate) struct Clock {
    timeouts: Timeouts,
    /// `None` until the first call, so that nobody else pays for it.
    running: Option<Box<Running>>,
}

/// In nanoseconds; [`NEVER`] where there is no deadline.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    handshake: u64,
    ping: u64,
    pong: u64,
    idle: u64,
    message: u64,
    close: u64,
}

const NEVER: u64 = u64::MAX;

#[derive(Debug, Default)]
struct Running {
    now: u64,
    stage: Stage,
    stage_since: u64,
    heard_at: u64,
    /// The message in progress, and when it was first seen.
    message: Option<(u32, u64)>,
    /// The ping that waits for its pong.
    ping: Option<Ping>,
    pings: u64,
    round_trip: Option<u64>,
}

#[derive(Debug)]
struct Ping {
    number: u64,
    confirmed: bool,
    /// When it was queued.
    sent_at: u64,
    /// When its pong was last known to be still on its way: the ping or what stands before it was
    /// being written, or a frame that the pong cannot overtake was arriving.
    waiting_since: u64,
    /// How much will have been written in all when the ping is out, and how much of it is left.
    ends_at: u64,
    left: u64,
}

/// Where the connection stands, as far as deadlines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The peer owes a part of the handshake.
    #[default]
    Handshake,
    /// The caller owes the answer to a request.
    Caller,
    Open,
    /// There is something left to write, or an end to wait for.
    Closing,
    Over,
}

/// What the clock has to know of the connection.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) stage: Stage,
    /// Something has been received since the last call.
    pub(crate) heard: bool,
    /// A number for the message in progress, if there is one.
    pub(crate) message: Option<u32>,
    pub(crate) is_mid_frame: bool,
    /// No frame is being sent in pieces.
    pub(crate) can_ping: bool,
    /// Bytes written since the connection began.
    pub(crate) written: u64,
}

/// What the time amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing, until then.
    Wait(Option<Duration>),
    /// A ping with this payload is due.
    Ping([u8; 8]),
    /// A deadline was missed.
    Missed(Error),
}

impl Clock {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            timeouts: Timeouts {
                handshake: nanos(config.handshake_timeout),
                ping: nanos(config.ping_interval),
                pong: nanos(config.pong_timeout),
                idle: nanos(config.idle_timeout),
                message: nanos(config.message_timeout),
                close: nanos(config.close_timeout),
            },
            running: None,
        }
    }

    pub(crate) fn tick(&mut self, now: Duration, seen: &Seen) -> Verdict {
        let now = nanos(now);
        let running = self.running.get_or_insert_with(|| {
            let stage = seen.stage;
            Box::new(Running {
                stage,
                stage_since: now,
                heard_at: now,
                ..Running::default()
            })
        });
        running.catch_up(now, seen);
        running.judge(&self.timeouts, seen.can_ping)
    }

    /// A ping with the payload of the last [`Verdict::Ping`] was queued; `ends_at` as in [`Ping`].
    pub(crate) fn on_ping_sent(&mut self, ends_at: u64) {
        if let Some(running) = &mut self.running {
            running.pings += 1;
            running.ping = Some(Ping {
                number: running.pings,
                confirmed: false,
                sent_at: running.now,
                waiting_since: running.now,
                ends_at,
                left: u64::MAX,
            });
        }
    }

    /// R178: a pong confirms the ping with its payload; there is only ever one that waits. Others
    /// confirm nothing, nor does one for a ping that is not `written` yet.
    pub(crate) fn on_pong(&mut self, payload: &[u8], written: u64) {
        if let Some(Running {
            ping: Some(ping), ..
        }) = self.running.as_deref_mut()
        {
            ping.confirmed |= payload == ping.number.to_be_bytes() && written >= ping.ends_at;
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.running.as_ref()?.round_trip.map(Duration::from_nanos)
    }
}

impl Running {
    /// Takes note of what has changed since the last call; all of it happens now.
    fn catch_up(&mut self, now: u64, seen: &Seen) {
        // A clock that goes backwards stands still.
        let before = self.now;
        self.now = self.now.max(now);
        let now = self.now;
        if self.stage != seen.stage {
            (self.stage, self.stage_since, self.heard_at) = (seen.stage, now, now);
            self.ping = None;
        }
        if seen.heard {
            self.heard_at = now;
        }
        self.message = seen.message.map(|number| match self.message {
            Some((known, since)) if known == number => (known, since),
            _ => (number, now),
        });
        match &mut self.ping {
            Some(ping) if ping.confirmed => {
                self.round_trip = Some(now - ping.sent_at);
                self.ping = None;
            }
            Some(ping) => {
                // While output moves, or a frame that no pong can overtake, the peer is alive.
                let left = ping.ends_at.saturating_sub(seen.written);
                let moved = left < ping.left;
                if moved && left > 0 || seen.heard && seen.is_mid_frame {
                    ping.waiting_since = now;
                } else if moved {
                    // Its last byte was written after the last look.
                    ping.waiting_since = ping.waiting_since.max(before);
                }
                ping.left = left;
            }
            None => {}
        }
    }

    fn judge(&self, timeouts: &Timeouts, can_ping: bool) -> Verdict {
        let missed =
            |since: u64, timeout, error| (since.saturating_add(timeout), Verdict::Missed(error));
        let earliest = match self.stage {
            Stage::Handshake => {
                let error = Error::Handshake(HandshakeError::Timeout);
                Some(missed(self.stage_since, timeouts.handshake, error))
            }
            Stage::Closing => Some(missed(
                self.stage_since,
                timeouts.close,
                Error::CloseTimeout,
            )),
            Stage::Caller | Stage::Over => None,
            Stage::Open => {
                let alive = match &self.ping {
                    Some(ping) => missed(ping.waiting_since, timeouts.pong, Error::PongTimeout),
                    // The turn of the loop that ends the frame asks again.
                    None if !can_ping => (NEVER, Verdict::Wait(None)),
                    None => {
                        let payload = (self.pings + 1).to_be_bytes();
                        (
                            self.heard_at.saturating_add(timeouts.ping),
                            Verdict::Ping(payload),
                        )
                    }
                };
                let idle = missed(self.heard_at, timeouts.idle, Error::IdleTimeout);
                let message = self
                    .message
                    .map(|(_, since)| missed(since, timeouts.message, Error::MessageTimeout));
                [alive, idle]
                    .into_iter()
                    .chain(message)
                    .min_by_key(|(at, _)| *at)
            }
        };
        match earliest {
            None | Some((NEVER, _)) => Verdict::Wait(None),
            Some((at, verdict)) if at <= self.now => verdict,
            Some((at, _)) => Verdict::Wait(Some(Duration::from_nanos(at))),
        }
    }
}

/// A span of more than 584 years counts as no end at all.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
