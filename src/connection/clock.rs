//! Deadlines, for callers who say what time it is.
//!
//! Nothing here is touched while messages come and go: [`Clock::tick`] looks at what has changed
//! since it was last called, and moves its deadlines then.

use alloc::boxed::Box;
use core::mem;
use core::time::Duration;

use crate::config::Config;
use crate::error::Error;
use crate::handshake::HandshakeError;

#[derive(Debug)]
pub(crate) struct Clock {
    timeouts: Timeouts,
    /// `None` while nothing runs, so that a connection at rest does not pay for it.
    running: Option<Box<Running>>,
}

/// In nanoseconds; [`NEVER`] where there is no deadline.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    handshake: u64,
    ping: u64,
    pong: u64,
    idle: u64,
    no_message: u64,
    message: u64,
    write: u64,
    close: u64,
}

const NEVER: u64 = u64::MAX;

/// How long a connection keeps the memory of a busy time: long enough that one that is busy allocates
/// nothing, short enough that one that is not holds nothing.
const REST: u64 = 1_000_000_000;

#[derive(Debug)]
struct Running {
    now: u64,
    stage: Stage,
    stage_since: u64,
    /// The connection has opened, and no message has come.
    is_fresh: bool,
    heard_at: u64,
    /// When some of a message was last received.
    message_at: u64,
    /// When something was last written, and how much had been by then.
    wrote_at: u64,
    written: u64,
    /// Since when output waits and none of it was written; [`NEVER`] if none waits.
    stalled_since: u64,
    /// The message in progress, and when it was first seen.
    message: Option<(u32, u64)>,
    /// The latest ping, whose payload is how many there have been.
    ping: Option<Ping>,
    pings: u64,
    /// [`NEVER`] if none is known.
    round_trip: u64,
}

#[derive(Debug)]
struct Ping {
    progress: Progress,
    /// When it was queued.
    sent_at: u64,
    /// When the peer last showed that it lives: it sent something, or took some of the output that the
    /// ping stands in.
    waiting_since: u64,
    /// How much will have been written in all when the ping is out.
    ends_at: u64,
}

/// What has come of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing was received since it was written.
    Waiting,
    /// Something was: the peer lives, and only the pong's own time is not known.
    Alive,
    /// Its pong has come.
    Answered,
    /// That has been noted down.
    Done,
}

/// Where the connection stands, as far as deadlines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The peer owes a part of the handshake.
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
    pub(crate) heard: Heard,
    /// A number for the message in progress, if there is one.
    pub(crate) message: Option<u32>,
    /// No frame is being sent in pieces.
    pub(crate) can_ping: bool,
    /// No output waits to be written.
    pub(crate) is_drained: bool,
    /// The queue holds more memory than an idle connection should.
    pub(crate) holds_memory: bool,
    /// Bytes written since the connection began, as [`Queue::written`](super::queue::Queue::written)
    /// counts them.
    pub(crate) written: u64,
}

/// What was received since the clock last looked: for each kind one more than had been written when that
/// was, or 0 if nothing was. A message leaves its mark with one store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    message: u64,
    any: u64,
}

impl Heard {
    /// A message, or a part of one, was received when so much had been written.
    #[inline]
    pub(crate) const fn note_message(&mut self, written: u64) {
        self.message = written + 1;
    }

    /// Something was received.
    pub(crate) const fn note(&mut self, written: u64) {
        self.any = written + 1;
    }

    /// What was [noted](Self::note) last was a part of a message.
    pub(crate) const fn was_message(&mut self) {
        self.message = self.any;
    }

    fn behind(&self) -> u64 {
        self.any.max(self.message)
    }
}

/// What the time amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing, until then.
    Wait(Option<Duration>),
    /// The connection is idle: memory is to be given back.
    Rest,
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
                // An interval of nothing would be a ping at each look.
                ping: nanos(config.ping_interval).max(1),
                pong: nanos(config.pong_timeout),
                idle: nanos(config.idle_timeout),
                no_message: nanos(config.no_message_timeout),
                message: nanos(config.message_timeout),
                write: nanos(config.write_timeout),
                close: nanos(config.close_timeout),
            },
            running: None,
        }
    }

    pub(crate) fn tick(&mut self, now: Duration, seen: &Seen) -> Verdict {
        let now = nanos(now);
        let is_calm = seen.stage == Stage::Open
            && seen.is_drained
            && seen.message.is_none()
            && !self.timeouts.watch_the_open();
        if is_calm && self.running.is_none() && !seen.holds_memory {
            return Verdict::Wait(None);
        }
        let running = self.running.get_or_insert_with(|| {
            let stage = seen.stage;
            Box::new(Running {
                now,
                stage,
                stage_since: now,
                is_fresh: false,
                heard_at: now,
                message_at: now,
                wrote_at: now,
                written: seen.written,
                stalled_since: NEVER,
                message: None,
                ping: None,
                pings: 0,
                round_trip: NEVER,
            })
        });
        running.catch_up(now, seen);
        let verdict = running.judge(&self.timeouts, seen);
        let Verdict::Wait(until) = verdict else {
            return verdict;
        };
        if seen.stage != Stage::Open || !seen.is_drained || !(is_calm || seen.holds_memory) {
            return verdict;
        }
        // Until a message has come there is nothing to be busy with.
        if is_calm && !seen.holds_memory && running.is_fresh {
            self.running = None;
            return verdict;
        }
        let rest_at = running.heard_at.max(running.wrote_at).saturating_add(REST);
        if rest_at > running.now {
            let rest_at = Duration::from_nanos(rest_at);
            return Verdict::Wait(Some(until.map_or(rest_at, |until| until.min(rest_at))));
        }
        if is_calm {
            self.running = None;
        }
        match seen.holds_memory {
            true => Verdict::Rest,
            false => Verdict::Wait(until),
        }
    }

    /// A ping with the payload of the last [`Verdict::Ping`] was queued; `ends_at` as in [`Ping`].
    pub(crate) fn on_ping_sent(&mut self, ends_at: u64) {
        if let Some(running) = &mut self.running {
            running.pings += 1;
            let fresh = Ping {
                progress: Progress::Waiting,
                sent_at: running.now,
                waiting_since: running.now,
                ends_at,
            };
            running.ping = Some(match running.ping.take() {
                // What has to come is what was missing before.
                Some(ping) if ping.progress == Progress::Waiting => Ping {
                    sent_at: running.now,
                    ..ping
                },
                _ => fresh,
            });
        }
    }

    /// R178: the round trip is that of the ping with this payload, and only of the latest one; not of
    /// one that is not `written` yet.
    pub(crate) fn on_pong(&mut self, payload: &[u8], written: u64) {
        if let Some(Running {
            ping: Some(ping),
            pings,
            ..
        }) = self.running.as_deref_mut()
        {
            let is_its_own = payload == pings.to_be_bytes() && written >= ping.ends_at;
            if is_its_own && ping.progress != Progress::Done {
                ping.progress = Progress::Answered;
            }
        }
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let round_trip = self.running.as_ref()?.round_trip;
        (round_trip != NEVER).then(|| Duration::from_nanos(round_trip))
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
            (self.stage, self.stage_since) = (seen.stage, now);
            self.is_fresh = true;
            (self.heard_at, self.message_at, self.wrote_at) = (now, now, now);
            self.ping = None;
        } else if self.written != seen.written {
            // A loop writes after the last look, and waits before this one: what counts is that by the
            // next deadline something has been written again.
            self.wrote_at = before;
        }
        let written_before = mem::replace(&mut self.written, seen.written);
        self.stalled_since = match self.stalled_since {
            _ if seen.is_drained => NEVER,
            NEVER => now,
            _ if seen.written != written_before => now,
            since => since,
        };
        let heard = seen.heard.behind() > 0;
        if heard {
            self.heard_at = now;
        }
        if seen.heard.message > 0 {
            self.is_fresh = false;
            self.message_at = now;
        }
        self.message = seen.message.map(|number| match self.message {
            Some((known, since)) if known == number => (known, since),
            _ => (number, now),
        });
        let Some(ping) = &mut self.ping else { return };
        match ping.progress {
            // R179: whatever is received once the ping is written shows that the peer lives.
            Progress::Waiting if seen.heard.behind() > ping.ends_at => {
                ping.progress = Progress::Alive;
            }
            Progress::Waiting if heard => ping.waiting_since = now,
            // So does output that moves, up to the ping.
            Progress::Waiting if seen.written < ping.ends_at => {
                if seen.written > written_before {
                    ping.waiting_since = now;
                }
            }
            // Its last byte was written after the last look.
            Progress::Waiting if written_before < ping.ends_at => {
                ping.waiting_since = ping.waiting_since.max(before);
            }
            Progress::Answered => {
                self.round_trip = now - ping.sent_at;
                ping.progress = Progress::Done;
            }
            Progress::Waiting | Progress::Alive | Progress::Done => {}
        }
    }

    fn judge(&self, timeouts: &Timeouts, seen: &Seen) -> Verdict {
        let mut first = Earliest {
            at: NEVER,
            verdict: Verdict::Wait(None),
        };
        match self.stage {
            Stage::Caller | Stage::Over => {}
            Stage::Handshake => {
                let error = Error::Handshake(HandshakeError::Timeout);
                first.miss(self.stage_since, timeouts.handshake, error);
            }
            Stage::Closing => first.miss(self.stage_since, timeouts.close, Error::CloseTimeout),
            Stage::Open => {
                let waiting = self
                    .ping
                    .as_ref()
                    .filter(|ping| ping.progress == Progress::Waiting);
                if let Some(ping) = waiting {
                    first.miss(ping.waiting_since, timeouts.pong, Error::PongTimeout);
                }
                // The turn of the loop that ends a frame asks again.
                if timeouts.ping != NEVER && seen.can_ping {
                    // R180: what is between may end a connection on which one end alone talks.
                    let quiet_since = match waiting {
                        None => self.heard_at.min(self.wrote_at),
                        // One at a time waits to be written.
                        Some(_) if seen.is_drained => self.wrote_at,
                        // It may be written at once: then is the time to look again.
                        Some(_) => self.now,
                    };
                    let payload = (self.pings + 1).to_be_bytes();
                    first.take(quiet_since, timeouts.ping, Verdict::Ping(payload));
                }
                first.miss(self.heard_at, timeouts.idle, Error::IdleTimeout);
                first.miss(
                    self.message_at,
                    timeouts.no_message,
                    Error::NoMessageTimeout,
                );
                if let Some((_, since)) = self.message {
                    first.miss(since, timeouts.message, Error::MessageTimeout);
                }
                first.miss(self.stalled_since, timeouts.write, Error::WriteTimeout);
            }
        }
        match first.at {
            NEVER => Verdict::Wait(None),
            at if at <= self.now => first.verdict,
            at => Verdict::Wait(Some(Duration::from_nanos(at))),
        }
    }
}

/// The deadline that comes first, and what it is.
struct Earliest {
    at: u64,
    verdict: Verdict,
}

impl Earliest {
    fn miss(&mut self, since: u64, timeout: u64, error: Error) {
        self.take(since, timeout, Verdict::Missed(error));
    }

    /// The first of two at the same time counts.
    #[inline]
    fn take(&mut self, since: u64, timeout: u64, verdict: Verdict) {
        let at = since.saturating_add(timeout);
        if at < self.at {
            *self = Self { at, verdict };
        }
    }
}

impl Timeouts {
    /// Whether there are deadlines while the connection is open and nothing is under way.
    fn watch_the_open(&self) -> bool {
        [self.ping, self.idle, self.no_message]
            .iter()
            .any(|timeout| *timeout != NEVER)
    }
}

/// A span of more than 584 years counts as no end at all.
#[inline]
fn nanos(duration: Duration) -> u64 {
    match duration.as_secs().checked_mul(1_000_000_000) {
        Some(nanos) => nanos.saturating_add(duration.subsec_nanos().into()),
        None => NEVER,
    }
}
