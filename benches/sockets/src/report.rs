//! What came out: every turn as a line of a CSV file, and the medians as a page.

mod page;

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use crate::Failure;
use crate::client::Turn;
use crate::contestant::Ticks;
use crate::rounds::{Load, Plan, Sample};

pub(crate) struct Report<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) titles: Vec<String>,
    /// How many of the servers, the first ones, are of this program.
    pub(crate) internal: usize,
    pub(crate) samples: Vec<Sample>,
    pub(crate) load_before: String,
    pub(crate) elapsed: Duration,
}

/// What the rounds of one server at one load come to.
struct Figures {
    messages_per_second: f64,
    /// CPU time of the server for one message, in nanoseconds: the median of the rounds.
    cpu: f64,
    /// The same in the cheapest round.
    cpu_least: f64,
    /// How far the middle half of the rounds is apart, as a part of the median.
    scatter: f64,
    ticks: Ticks,
    /// CPU time of the client for one message, in nanoseconds.
    client: f64,
    /// How much of the time the client was running, from 0 to 1.
    client_busy: f64,
}

impl Report<'_> {
    pub(crate) fn csv(&self) -> String {
        let mut csv = "connections,in_flight,bytes,server,round,messages,seconds,\
            server_cpu_ns,server_user_ticks,server_system_ticks,client_cpu_ns\n"
            .to_owned();
        for Sample {
            load,
            server,
            round,
            turn,
        } in &self.samples
        {
            // Writing to a string cannot fail.
            let _ = writeln!(
                csv,
                "{},{},{},{},{round},{},{:.6},{},{},{},{}",
                load.connections,
                load.depth,
                load.size,
                self.titles[*server],
                turn.messages,
                turn.elapsed.as_secs_f64(),
                turn.server.as_nanos(),
                turn.ticks.user,
                turn.ticks.system,
                turn.client.as_nanos(),
            );
        }
        csv
    }

    fn figures(&self, load: Load, server: usize) -> Figures {
        let turns: Vec<_> = self
            .samples
            .iter()
            .filter(|sample| sample.load == load && sample.server == server)
            .map(|sample| &sample.turn)
            .collect();
        let sorted = |value: fn(&Turn) -> f64| {
            let mut values: Vec<_> = turns.iter().map(|turn| value(turn)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let cpu = sorted(|turn| turn.server.as_nanos() as f64 / turn.messages as f64);
        let client = sorted(|turn| turn.client.as_nanos() as f64 / turn.messages as f64);
        let rate = sorted(|turn| turn.messages as f64 / turn.elapsed.as_secs_f64());
        let busy = sorted(|turn| turn.client.as_secs_f64() / turn.elapsed.as_secs_f64());
        Figures {
            messages_per_second: median(&rate),
            cpu: median(&cpu),
            cpu_least: quantile(&cpu, 0.0),
            scatter: (quantile(&cpu, 0.75) - quantile(&cpu, 0.25)) / median(&cpu),
            ticks: turns
                .iter()
                .fold(Ticks::default(), |sum, turn| sum + turn.ticks),
            client: median(&client),
            client_busy: median(&busy),
        }
    }
}

/// How many processes wanted to run, over the last 1, 5 and 15 minutes.
pub(crate) fn load_average() -> Result<String, Failure> {
    let line = fs::read_to_string("/proc/loadavg")?;
    Ok(line.split(' ').take(3).collect::<Vec<_>>().join(", "))
}

fn median(sorted: &[f64]) -> f64 {
    quantile(sorted, 0.5)
}

/// Between the two values that are next to it. There is always a value: a load has at least one round.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let at = part * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 3.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(quantile(&[1.0, 2.0], 0.0), 1.0);
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0, 4.0], 0.75), 3.0);
    }
}
