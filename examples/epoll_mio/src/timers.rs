use std::collections::BTreeSet;
use std::time::Duration;

/// When each of many connections wants to be looked at, at most one time each.
///
/// Most deadlines move to a later time with every message. Such a move is not recorded: the
/// connection is looked at too early, once, and asked again. So traffic costs a comparison, and a
/// wake-up costs nothing for those that are not due.
#[derive(Debug, Default)]
pub struct Timers {
    order: BTreeSet<(Duration, usize)>,
    /// The time in `order` of each key.
    scheduled: Vec<Option<Duration>>,
}

impl Timers {
    /// Wants `key` looked at by `due`, if at all.
    pub fn set(&mut self, key: usize, due: Option<Duration>) {
        let Some(due) = due else { return };
        if self.scheduled.len() <= key {
            self.scheduled.resize(key + 1, None);
        }
        if let Some(scheduled) = self.scheduled.get_mut(key) {
            match *scheduled {
                Some(earlier) if earlier <= due => return,
                Some(later) => drop(self.order.remove(&(later, key))),
                None => {}
            }
            *scheduled = Some(due);
            self.order.insert((due, key));
        }
    }

    /// Forgets `key`, which may be given to another connection.
    pub fn remove(&mut self, key: usize) {
        if let Some(due) = self.scheduled.get_mut(key).and_then(Option::take) {
            self.order.remove(&(due, key));
        }
    }

    /// When the first is due.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.order.first().map(|(due, _)| *due)
    }

    /// One that is due, no longer scheduled.
    pub fn pop(&mut self, now: Duration) -> Option<usize> {
        let (_, key) = *self.order.first().filter(|(due, _)| *due <= now)?;
        self.remove(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_earliest_is_first_and_comes_once() {
        let mut timers = Timers::default();
        timers.set(7, Some(at(3)));
        timers.set(2, Some(at(1)));
        timers.set(4, None);
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.pop(at(0)), None);
        assert_eq!(timers.pop(at(5)), Some(2));
        assert_eq!(timers.pop(at(5)), Some(7));
        assert_eq!(timers.pop(at(5)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_earlier_time_replaces_a_later_one_and_not_the_other_way_round() {
        let mut timers = Timers::default();
        timers.set(0, Some(at(5)));
        timers.set(0, Some(at(9)));
        assert_eq!(timers.next(), Some(at(5)));
        timers.set(0, Some(at(2)));
        assert_eq!(timers.pop(at(9)), Some(0));
        assert_eq!(timers.pop(at(9)), None);
    }

    #[test]
    fn a_removed_key_is_free_for_another() {
        let mut timers = Timers::default();
        timers.set(1, Some(at(1)));
        timers.remove(1);
        timers.remove(1);
        assert_eq!(timers.pop(at(9)), None);
        timers.set(1, Some(at(4)));
        assert_eq!(timers.next(), Some(at(4)));
    }
}
