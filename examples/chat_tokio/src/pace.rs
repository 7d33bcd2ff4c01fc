//! [`Pace`]: how fast one member may send.

use std::time::Duration;

/// A token bucket: a steady rate, and twice that at once.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: f64,
    level: f64,
    at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// The message is not handed on.
    Refuse,
    /// It goes on and on: the connection is closed.
    Close,
}

impl Pace {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            level: 2.0 * per_second,
            at: Duration::ZERO,
        }
    }

    /// A message has come at `now`.
    pub(crate) fn step(&mut self, now: Duration) -> Verdict {
        let burst = 2.0 * self.per_second;
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.per_second).min(burst) - 1.0;
        if self.level >= 0.0 {
            Verdict::Pass
        } else if self.level >= -burst {
            Verdict::Refuse
        } else {
            Verdict::Close
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_is_refused_then_closes() {
        let mut pace = Pace::new(5);
        let now = Duration::from_secs(100);
        let verdicts: Vec<_> = (0..21).map(|_| pace.step(now)).collect();
        assert_eq!(verdicts[..10], [Verdict::Pass; 10]);
        assert_eq!(verdicts[10..20], [Verdict::Refuse; 10]);
        assert_eq!(verdicts[20], Verdict::Close);
    }

    #[test]
    fn the_steady_rate_passes_for_ever_and_a_pause_mends() {
        let mut pace = Pace::new(5);
        for turn in 0..1000 {
            assert_eq!(pace.step(Duration::from_millis(200 * turn)), Verdict::Pass);
        }
        let now = Duration::from_secs(500);
        while pace.step(now) == Verdict::Pass {}
        assert_eq!(pace.step(now + Duration::from_secs(1)), Verdict::Pass);
    }
}
