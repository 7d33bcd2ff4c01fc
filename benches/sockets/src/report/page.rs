//! The page, in Markdown. Whatever it says of the figures is worked out from them.

use std::fmt::Write;
use std::time::SystemTime;
use std::{fmt, fs, thread};

use super::{Figures, Report, load_average, median};
use crate::Failure;
use crate::rounds::Load;

/// From this share on, the kernel is said to dominate.
const DOMINATES: f64 = 0.75;
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
        writeln!(
            page,
            "The user's part in brackets: all that a library can change. The rest is the kernel's: the \
             calls, the copies,\nthe loopback.\n"
        )?;
        self.table(&mut page, &rows, |figures| {
            let user = figures
                .kernel
                .map_or_else(|| UNKNOWN.to_owned(), |k| micros(figures.cpu * (1.0 - k)));
            format!("{} ({user})", micros(figures.cpu))
        })?;

        writeln!(page, "\n## Messages per second\n")?;
        writeln!(
            page,
            "These depend on what else the machine did, the CPU times hardly. Where the client runs \
             nearly all the time,\nthe client is what they measure.\n"
        )?;
        self.table(&mut page, &rows, |figures| {
            thousands(figures.messages_per_second)
        })?;

        writeln!(page, "\n## The client, and how sure the figures are\n")?;
        writeln!(
            page,
            "The client's CPU time for one message and how much of the time it ran: medians over the \
             servers. Scatter: how\nfar the middle half of a server's rounds is apart, as a part of its \
             median CPU time; the median and the worst of the\nservers. What differs by less than the \
             scatter does not differ.\n"
        )?;
        writeln!(
            page,
            "| {LOAD} | rounds | client, µs | client ran | scatter | worst |"
        )?;
        writeln!(page, "|---|---|---|---|---|---|---|---|")?;
        for (load, figures) in &rows {
            let rounds = self
                .samples
                .iter()
                .filter(|s| s.load == *load)
                .map(|s| s.round);
            writeln!(
                page,
                "| {load} | {} | {} | {} | {} | {} |",
                rounds.max().map_or(0, |last| last + 1),
                micros(median(figures.iter().map(|f| f.client))),
                percent(median(figures.iter().map(|f| f.client_busy))),
                percent(median(figures.iter().map(|f| f.scatter))),
                percent(figures.iter().map(|f| f.scatter).fold(0.0, f64::max)),
            )?;
        }
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
        writeln!(
            page,
            "Text messages of ASCII. Every server has one thread, but for `sockless std`, which has one for \
             each connection.\nA load is connections × messages in flight on each × bytes of a message; one with \
             more than {} MiB in flight is\nleft out. TCP_NODELAY everywhere.",
            self.plan.max_in_flight,
        )?;
        Ok(())
    }

    /// Says where the kernel decides, by the figures of the servers of this program.
    fn kernel(&self, page: &mut String, rows: &[(Load, Vec<Figures>)]) -> fmt::Result {
        writeln!(page, "\n## Where the kernel decides\n")?;
        let mut dominated = Vec::new();
        let mut table = format!(
            "| {LOAD} | kernel's share, least | most | dearest / cheapest | the same, user's part |\n\
             |---|---|---|---|---|---|---|\n"
        );
        for (load, figures) in rows {
            let figures = &figures[..self.internal];
            let Some(shares) = figures.iter().map(|f| f.kernel).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let (least, most) = range(shares.iter().copied());
            let (cheapest, dearest) = range(figures.iter().map(|f| f.cpu));
            let (user_least, user_most) =
                range(figures.iter().zip(&shares).map(|(f, k)| f.cpu * (1.0 - k)));
            writeln!(
                table,
                "| {load} | {} | {} | {:.2} | {} |",
                percent(least),
                percent(most),
                dearest / cheapest,
                if user_least > 0.0 {
                    format!("{:.1}", user_most / user_least)
                } else {
                    UNKNOWN.to_owned()
                },
            )?;
            if least >= DOMINATES {
                dominated.push(dearest / cheapest);
            }
        }
        let (smallest, largest) = range(dominated.iter().copied());
        match dominated.len() {
            0 => writeln!(
                page,
                "In none of the {} loads does the kernel take {} or more of every Rust server's CPU time.\n",
                rows.len(),
                percent(DOMINATES),
            )?,
            n => writeln!(
                page,
                "In {n} of the {} loads the kernel takes {} or more of every Rust server's CPU time; there the \
                 dearest server\ntakes between {smallest:.2} and {largest:.2} times the CPU time of the cheapest, \
                 whatever their libraries do. What the\nlibraries differ by is the user's part. The Rust \
                 servers, at each load:\n",
                rows.len(),
                percent(DOMINATES),
            )?,
        }
        page.write_str(&table)
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

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(least, most), value| {
        (least.min(value), most.max(value))
    })
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
