//! [`Tally`]: what is to be sent, and what has become of it.

use std::error::Error;
use std::fmt::Write;
use std::time::{Duration, Instant};

use epoll_mio::log;
use hdrhistogram::Histogram;

/// At how many places of the pattern a message may begin.
const SHIFTS: usize = 997;

/// What is to be sent, and what has become of it.
pub(crate) struct Tally {
    pub(crate) start: Instant,
    pub(crate) sending: bool,
    pub(crate) sending_time: Duration,
    pub(crate) window: usize,
    pub(crate) pause: Duration,
    size: usize,
    pattern: String,
    scratch: String,
    /// In microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) opened: usize,
    pub(crate) ended: usize,
    pub(crate) churned: usize,
    /// Messages on their way when this end broke the connection.
    pub(crate) abandoned: usize,
    pub(crate) lost: usize,
    pub(crate) wrong: usize,
    /// Connections that ended otherwise than they should.
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) fn new(size: usize, window: usize, pause: Duration) -> Result<Self, Box<dyn Error>> {
        let mut pattern = String::new();
        while pattern.len() < size + SHIFTS {
            let at = pattern.len();
            write!(pattern, "{at:x};")?;
        }
        Ok(Self {
            start: Instant::now(),
            sending: false,
            sending_time: Duration::ZERO,
            window,
            pause,
            size,
            pattern,
            scratch: String::new(),
            latencies: Histogram::new_with_max(60_000_000, 3)?,
            opened: 0,
            ended: 0,
            churned: 0,
            abandoned: 0,
            lost: 0,
            wrong: 0,
            failed: 0,
        })
    }

    /// The message of this number on this connection: like no other, if it is long enough, and
    /// different at every place.
    pub(crate) fn message(&mut self, id: u32, number: u64) -> &str {
        self.scratch.clear();
        let _ = write!(self.scratch, "{id:08x} {number:016x} ");
        let shift = usize::try_from(number).unwrap_or(0) % SHIFTS;
        if let Some(rest) = self.size.checked_sub(self.scratch.len()) {
            self.scratch.push_str(&self.pattern[shift..shift + rest]);
        }
        self.scratch.truncate(self.size);
        &self.scratch
    }

    pub(crate) fn faults(&self) -> usize {
        self.lost + self.wrong + self.failed
    }

    /// Says what the first ones are.
    pub(crate) fn fault(&mut self, what: &str) {
        self.failed += 1;
        if self.failed <= 5 {
            log(format_args!("a connection failed: {what}"));
        }
    }

    /// Whether all is as it should be.
    pub(crate) fn print(&self) -> bool {
        let millis = |quantile| {
            let micros = u32::try_from(self.latencies.value_at_quantile(quantile));
            f64::from(micros.unwrap_or(u32::MAX)) / 1000.0
        };
        let messages = self.latencies.len();
        let seconds = self.sending_time.as_secs_f64().max(0.001);
        // An f64 is exact up to 2^53.
        let rate = messages as f64 / seconds;
        println!(
            "{} connections opened, {} ended by chance with {} messages on their way",
            self.opened, self.churned, self.abandoned
        );
        println!(
            "{messages} echoes of {} bytes in {seconds:.1} s: {rate:.0} messages per second",
            self.size
        );
        println!(
            "latency in ms: 50 % {:.2}, 90 % {:.2}, 99 % {:.2}, 99.9 % {:.2}, longest {:.2}",
            millis(0.5),
            millis(0.9),
            millis(0.99),
            millis(0.999),
            millis(1.0)
        );
        println!(
            "lost {}, wrong {}, connections that failed {}",
            self.lost, self.wrong, self.failed
        );
        self.faults() == 0
    }
}
