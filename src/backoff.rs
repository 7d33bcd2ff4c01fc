//! [`Backoff`]: when to connect again, [RFC 6455 §7.2.3].
//!
//! [RFC 6455 §7.2.3]: https://www.rfc-editor.org/rfc/rfc6455#section-7.2.3

use core::time::Duration;

use crate::config::{Config, Entropy};
use crate::error::EntropyError;

/// The delays of a client that connects again after a connection that ended abnormally (RFC 6455
/// §7.2.3).
///
/// The first is random, so that the clients of a server that restarts do not all come back at once;
/// each later one is random as well, from a range twice as long, up to a limit. Waiting is the
/// caller's part. So is not to have two connections to one host on the way at a time: the others wait
/// for the one (§4.1).
///
/// ```
/// use core::time::Duration;
/// use sockless::Backoff;
///
/// let mut backoff = Backoff::new();
/// assert!(backoff.next_delay()? < Duration::from_secs(5));
/// assert!(backoff.next_delay()? >= Duration::from_secs(5));
/// backoff.reset(); // once a connection has been open for a while
/// assert!(backoff.next_delay()? < Duration::from_secs(5));
/// # Ok::<(), sockless::EntropyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
    entropy: Entropy,
}

impl Backoff {
    /// A first delay of up to 5 seconds, doubled each time to at most 5 minutes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(300),
            attempts: 0,
            entropy: Config::default().entropy,
        }
    }

    /// Sets the range of the first delay, and the longest delay.
    #[must_use]
    pub const fn range(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// The source of the random part, as in [`Config::entropy`].
    #[must_use]
    pub const fn entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// How long to wait before the next attempt.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the source of entropy fails.
    pub fn next_delay(&mut self) -> Result<Duration, EntropyError> {
        let mut random = [0; 4];
        (self.entropy)(&mut random)?;
        // From 0 to first, from first to twice that, from there to four times that, and so on.
        let end = match 1u32.checked_shl(self.attempts) {
            Some(factor) => self.first.saturating_mul(factor).min(self.longest),
            None => self.longest,
        };
        let start = if self.attempts == 0 {
            Duration::ZERO
        } else {
            end / 2
        };
        self.attempts = self.attempts.saturating_add(1);
        let part = f64::from(u32::from_ne_bytes(random)) / (f64::from(u32::MAX) + 1.0);
        Ok(start + (end - start).mul_f64(part))
    }

    /// Begins again with the first delay: a connection has been open, best for a while.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}
