//! The page, in Markdown. Whatever it says of the figures is worked out from them.

use std::fmt::Write;
use std::time::SystemTime;
use std::{fmt, fs, thread};

use super::{Figures, Report, load_average, median, quantile};
use crate::Failure;
use crate::contestant::Ticks;
use crate::rounds::Load;

/// From this share on, the kernel is said to dominate.
const DOMINATES: f64 = 0.75;
/// Up to this many times the CPU time of the cheapest server, another is said to be near it.
const NEAR: f64 = 1.25;
/// Where the kernel's clock did not tick often enough.
const UNKNOWN: &str = "?";
/// The crates whose versions say what was compared.
const CRATES: [&str; 8] = [
    "sockless",
    "tokio-tungstenite",
    "tungstenite",
    "fastwebsockets",
    "tokio-websockets",
    "sockudo-ws",
    "tokio",
    "mio",
];

impl Report<'_> {
    pub(crate) fn markdown(&self) -> Result<String, Failure> {
        let mut page = String::new();
        let rows: Vec<_> = self
            .plan
            .all_loads()
            .map(|load| {
                let figures: Vec<_> = (0..self.titles.len())
                    .map(|server| self.figures(load, server))
                    .collect();
                (load, figures)
            })
            .collect();
        self.introduction(&mut page)?;
        self.kernel(&mut page, &rows)?;

        writeln!(page, "\n## CPU time of the server for one message, in µs\n")?;
        self.table(&mut page, &rows, |figures| micros(figures.cpu))?;
        writeln!(
            page,
            "\nThe same in the cheapest round of each server: what it comes to when nothing disturbs.\n"
        )?;
        self.table(&mut page, &rows, |figures| micros(figures.cpu_least))?;

        writeln!(page, "\n## Messages per second\n")?;
        writeln!(
            page,
            "These depend on what else the machine did, much more than CPU times do.\n"
        )?;
        self.table(&mut page, &rows, |figures| {
            thousands(figures.messages_per_second)
        })?;
        self.certainty(&mut page, &rows)?;
        Ok(page)
    }

    fn introduction(&self, page: &mut String) -> Result<(), Failure> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let cpu = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .map_or("unknown CPU", |rest| {
                rest.trim_start_matches([' ', '\t', ':'])
            });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let revision = self.plan.revision.as_deref().unwrap_or("not told");
        let command = self.plan.command.as_deref().unwrap_or("not told");
        writeln!(
            page,
            "# Echo over real sockets\n\n\
             Written by `benches/sockets/run.sh`; its [README](../../benches/sockets/README.md) says how it \
             measures. Each\nfigure is a median over rounds in which all servers took turns; every turn is in \
             [`sockets.csv`](sockets.csv).\n\n\
             | | |\n|---|---|\n\
             | date | {} |\n| CPU | {cpu}, {} of them |\n| kernel | Linux {} |\n\
             | load average | {} before, {} after |\n| took | {:.0} s, turns of {} ms |\n\
             | commit | {revision} |\n| versions | {} |\n| command | `{command}` |\n",
            httpdate::fmt_http_date(SystemTime::now()),
            thread::available_parallelism()?,
            kernel.trim(),
            self.load_before,
            load_average()?,
            self.elapsed.as_secs_f64(),
            self.plan.turn,
            self.versions(),
        )?;
        if self.was_busy()? {
            writeln!(
                page,
                "Other programs kept the machine busy: take ratios, and the cheapest rounds, rather than rates.\n"
            )?;
        }
        writeln!(
            page,
            "Text messages of ASCII. Every server has one thread, but for `sockless std`, which has one for \
             each connection.\nA load is connections × messages in flight on each × bytes of a message; one with \
             more than {} MiB in flight is\nleft out. TCP_NODELAY everywhere.",
            self.plan.max_in_flight,
        )?;
        Ok(())
    }

    /// Says what the kernel takes, and what is left to differ by.
    fn kernel(&self, page: &mut String, rows: &[(Load, Vec<Figures>)]) -> fmt::Result {
        writeln!(page, "\n## Where the kernel decides\n")?;
        let mut table = format!(
            "| in flight | bytes | {} |\n|---|---|{}\n",
            self.titles.join(" | "),
            "---:|".repeat(self.titles.len()),
        );
        for (depth, size) in self.plan.kinds() {
            let alike: Vec<_> = rows
                .iter()
                .filter(|(load, _)| load.depth == depth && load.size == size)
                .map(|(_, figures)| figures)
                .collect();
            if alike.is_empty() {
                continue;
            }
            let costs: Vec<_> = (0..self.titles.len())
                .map(|server| relative_cost(&alike, server))
                .collect();
            let shares: Vec<_> = (0..self.titles.len())
                .map(|server| kernel_share(&alike, server))
                .collect();
            let cells: Vec<_> = costs
                .iter()
                .zip(&shares)
                .map(|(cost, share)| {
                    let share = share.map_or_else(|| UNKNOWN.to_owned(), percent);
                    format!("{cost:.2} ({share})")
                })
                .collect();
            writeln!(table, "| {depth} | {size} | {} |", cells.join(" | "))?;

            let mut known: Vec<_> = shares[..self.internal].iter().flatten().copied().collect();
            known.sort_by(f64::total_cmp);
            let [least, .., most] = known[..] else {
                continue;
            };
            let near: Vec<_> = (0..self.titles.len())
                .filter(|&server| costs[server] <= NEAR)
                .map(|server| &*self.titles[server])
                .collect();
            let middle = median(&known);
            let verdict = if middle >= DOMINATES {
                ", so it dominates"
            } else {
                ""
            };
            writeln!(
                page,
                "* {depth} in flight, {size} bytes: the kernel takes {} to {} of a Rust server's CPU time, \
                 {} in the median{verdict}. Within {} of the cheapest: {}.",
                percent(least),
                percent(most),
                percent(middle),
                percent(NEAR - 1.0),
                near.join(", "),
            )?;
        }
        writeln!(
            page,
            "\nFrom {} on it is said to dominate: what servers differ by there is how often they call it, and \
             little that a\nlibrary does between two calls. The table has the CPU time of each server in \
             relation to the cheapest one's at the\nsame load, as the geometric mean over all numbers of \
             connections, and in brackets the kernel's share of it, from the\nkernel's clock, which samples: \
             a few percent more or less.\n",
            percent(DOMINATES),
        )?;
        page.write_str(&table)
    }

    fn certainty(&self, page: &mut String, rows: &[(Load, Vec<Figures>)]) -> fmt::Result {
        writeln!(page, "\n## The client, and how sure the figures are\n")?;
        writeln!(
            page,
            "The client's CPU time for one message and how much of the time it ran (where that is nearly all, \
             the client is what\nmessages per second measure): medians over the servers. Scatter: how far the \
             middle half of a server's rounds is\napart, as a part of its median CPU time; the median and the \
             worst of the servers. What differs by less than the\nscatter does not differ.\n"
        )?;
        writeln!(
            page,
            "| {LOAD} | rounds | client, µs | client ran | scatter | worst |"
        )?;
        writeln!(page, "|---|---|---|---:|---:|---:|---:|---:|")?;
        for (load, figures) in rows {
            let rounds = self
                .samples
                .iter()
                .filter(|sample| sample.load == *load && sample.server == 0)
                .count();
            let sorted = |value: fn(&Figures) -> f64| {
                let mut values: Vec<_> = figures.iter().map(value).collect();
                values.sort_by(f64::total_cmp);
                values
            };
            let scatter = sorted(|figures| figures.scatter);
            writeln!(
                page,
                "| {load} | {rounds} | {} | {} | {} | {} |",
                micros(median(&sorted(|figures| figures.client))),
                percent(median(&sorted(|figures| figures.client_busy))),
                percent(median(&scatter)),
                percent(quantile(&scatter, 1.0)),
            )?;
        }
        Ok(())
    }

    fn table(
        &self,
        page: &mut String,
        rows: &[(Load, Vec<Figures>)],
        cell: impl Fn(&Figures) -> String,
    ) -> fmt::Result {
        writeln!(page, "| {LOAD} | {} |", self.titles.join(" | "))?;
        writeln!(page, "|---|---|---{}|", "|---:".repeat(self.titles.len()))?;
        for (load, figures) in rows {
            let cells: Vec<_> = figures.iter().map(&cell).collect();
            writeln!(page, "| {load} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }

    /// Whether more wanted to run than could, before the run began.
    fn was_busy(&self) -> Result<bool, Failure> {
        let running: f64 = self
            .load_before
            .split(',')
            .next()
            .unwrap_or_default()
            .parse()?;
        Ok(running >= thread::available_parallelism()?.get() as f64)
    }

    fn versions(&self) -> String {
        let lock = include_str!("../../Cargo.lock");
        let version = |name: &str| {
            lock.split_once(&format!("name = \"{name}\"\nversion = \""))
                .and_then(|(_, rest)| rest.split_once('"'))
                .map_or(UNKNOWN, |(version, _)| version)
        };
        let crates: Vec<_> = CRATES
            .iter()
            .map(|name| format!("{name} {}", version(name)))
            .collect();
        let mut versions = crates.join(", ");
        for title in &self.titles[self.internal..] {
            let _ = write!(versions, ", {title}");
        }
        versions
    }
}

/// The first columns of every table.
const LOAD: &str = "connections | in flight | bytes";

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {}", self.connections, self.depth, self.size)
    }
}

/// The CPU time of a server in relation to the cheapest one's at the same load: the geometric mean.
fn relative_cost(loads: &[&Vec<Figures>], server: usize) -> f64 {
    let logarithms = loads.iter().map(|figures| {
        let cheapest = figures.iter().map(|f| f.cpu).fold(f64::INFINITY, f64::min);
        (figures[server].cpu / cheapest).ln()
    });
    (logarithms.sum::<f64>() / loads.len() as f64).exp()
}

/// The kernel's share of the CPU time of a server; unknown if its clock never ticked.
fn kernel_share(loads: &[&Vec<Figures>], server: usize) -> Option<f64> {
    let ticks = loads
        .iter()
        .fold(Ticks::default(), |sum, figures| sum + figures[server].ticks);
    let all = ticks.user + ticks.system;
    (all > 0).then(|| ticks.system as f64 / all as f64)
}

fn micros(nanoseconds: f64) -> String {
    let micros = nanoseconds / 1000.0;
    match micros {
        10.0.. => format!("{micros:.1}"),
        _ => format!("{micros:.2}"),
    }
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

fn thousands(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        assert_eq!(thousands(7.0), "7");
        assert_eq!(thousands(1234.4), "1,234");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
