//! The run: every server takes its turn at every load, round after round.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use clap::{Args, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::Failure;
use crate::client::{Fleet, Turn};
use crate::contestant::Contestant;
use crate::report::{self, Report};
use crate::servers::Server;
use crate::tape::Tape;

/// Files that a process has open beside its connections; generous.
const OTHER_FILES: usize = 64;

#[derive(Args)]
pub(crate) struct Plan {
    /// How long it may take in all; what is left when each load has had its rounds makes more of them
    #[arg(long, value_name = "SECONDS", default_value_t = 360)]
    budget: u64,
    /// The servers of this program that take part
    #[arg(long, value_enum, value_delimiter = ',',
          default_values_t = Server::value_variants().to_vec())]
    servers: Vec<Server>,
    /// Another server: a title, and the command that prints its port
    #[arg(long, value_name = "TITLE=COMMAND", value_parser = external)]
    external: Vec<(String, Vec<String>)>,
    /// How many connections there are
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1000])]
    connections: Vec<usize>,
    /// How many messages each connection has in flight
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    depths: Vec<usize>,
    /// How long a message is, in bytes
    #[arg(long, value_delimiter = ',', default_values_t = [20, 1024, 64 * 1024])]
    sizes: Vec<usize>,
    /// A load with more than this in flight is left out: it would measure the kernel's buffers
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    pub(crate) max_in_flight: usize,
    /// How long a server is measured in its turn, at least
    #[arg(long, value_name = "MS", default_value_t = 50)]
    pub(crate) turn: u64,
    /// How many rounds there are, at least
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What is measured, for the page: a commit
    #[arg(long)]
    pub(crate) revision: Option<String>,
    /// How to do it again, for the page
    #[arg(long)]
    pub(crate) command: Option<String>,
    /// Where every turn's figures go
    #[arg(long)]
    csv: PathBuf,
    /// Where the page goes
    #[arg(long)]
    markdown: PathBuf,
}

/// What a server has to bear in a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) size: usize,
}

impl Load {
    /// How many bytes of messages are under way.
    const fn in_flight(self) -> usize {
        self.connections * self.depth * self.size
    }
}

/// One server's turn at one load.
pub(crate) struct Sample {
    pub(crate) load: Load,
    pub(crate) server: usize,
    pub(crate) round: usize,
    pub(crate) turn: Turn,
}

pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    let started = Instant::now();
    plan.check()?;
    let load_before = report::load_average()?;
    let contestants = plan.contestants()?;
    let most = plan.connections.iter().copied().max().unwrap_or_default();
    raise_file_limit(contestants.len() * most + OTHER_FILES)?;

    let mut samples = Vec::new();
    for (i, &connections) in plan.connections.iter().enumerate() {
        let left = Duration::from_secs(plan.budget).saturating_sub(started.elapsed());
        let share = left / u32::try_from(plan.connections.len() - i)?;
        samples.extend(plan.phase(&contestants, connections, share)?);
    }
    let report = Report {
        plan,
        internal: plan.servers.len(),
        titles: contestants.iter().map(|c| c.title.clone()).collect(),
        samples,
        load_before,
        elapsed: started.elapsed(),
    };
    for contestant in contestants {
        let title = contestant.title.clone();
        contestant
            .stop()
            .map_err(|error| format!("{title}: {error}"))?;
    }
    fs::write(&plan.csv, report.csv())?;
    fs::write(&plan.markdown, report.markdown()?)?;
    Ok(())
}

impl Plan {
    /// The loads with so many connections, in the order in which they are tried.
    pub(crate) fn loads(&self, connections: usize) -> impl Iterator<Item = Load> {
        self.sizes
            .iter()
            .flat_map(move |&size| {
                self.depths.iter().map(move |&depth| Load {
                    connections,
                    depth,
                    size,
                })
            })
            .filter(|load| load.in_flight() <= self.max_in_flight << 20)
    }

    /// All loads that are tried, in the same order.
    pub(crate) fn all_loads(&self) -> impl Iterator<Item = Load> {
        self.connections.iter().flat_map(|&n| self.loads(n))
    }

    /// What the loads differ in beside the number of connections: messages in flight and bytes.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (usize, usize)> {
        self.depths
            .iter()
            .flat_map(|&depth| self.sizes.iter().map(move |&size| (depth, size)))
    }

    /// Whether what is asked for can be measured.
    fn check(&self) -> Result<(), Failure> {
        let counts = [&self.connections, &self.depths].into_iter().flatten();
        if counts.copied().any(|count| count == 0) {
            return Err("connections and depths begin at 1".into());
        }
        if self.sizes.iter().any(|&size| size < 2) {
            return Err("a message is too short to differ from others".into());
        }
        if self.all_loads().next().is_none() {
            return Err("every load has more in flight than is allowed".into());
        }
        Ok(())
    }

    /// Starts the servers.
    fn contestants(&self) -> Result<Vec<Contestant>, Failure> {
        let myself = env::current_exe()?
            .into_os_string()
            .into_string()
            .map_err(|path| format!("{}: not UTF-8", path.display()))?;
        let mut commands = Vec::new();
        for server in &self.servers {
            let command = vec![myself.clone(), "serve".to_owned(), server.name()];
            commands.push((server.title(), command));
        }
        commands.extend(self.external.iter().cloned());
        commands
            .into_iter()
            .map(|(title, command)| {
                Contestant::start(title.clone(), &command)
                    .map_err(|error| format!("{title}: {error}").into())
            })
            .collect()
    }

    /// All rounds with so many connections. They stay open throughout, so that no turn pays for them.
    fn phase(
        &self,
        contestants: &[Contestant],
        connections: usize,
        share: Duration,
    ) -> Result<Vec<Sample>, Failure> {
        let started = Instant::now();
        let named = |server: usize, error: Failure| {
            let title = &contestants[server].title;
            Failure::from(format!("{title}, {connections} connections: {error}"))
        };
        let mut fleets = Vec::new();
        for (server, contestant) in contestants.iter().enumerate() {
            let fleet = Fleet::open(contestant.port(), connections);
            fleets.push(fleet.map_err(|error| named(server, error))?);
        }
        let mut samples = Vec::new();
        let length = Duration::from_millis(self.turn);
        let mut longest = Duration::ZERO;
        let mut round = 0;
        while round < self.rounds || started.elapsed() + longest < share {
            let round_started = Instant::now();
            for load in self.loads(connections) {
                let tape = Tape::new(load.size, load.depth)?;
                for i in 0..contestants.len() {
                    // Nobody always follows the same one.
                    let server = (i + round) % contestants.len();
                    let turn = fleets[server]
                        .turn(&contestants[server], &tape, load.depth, length)
                        .map_err(|error| named(server, error))?;
                    samples.push(Sample {
                        load,
                        server,
                        round,
                        turn,
                    });
                }
            }
            longest = longest.max(round_started.elapsed());
            round += 1;
        }
        for (server, fleet) in fleets.into_iter().enumerate() {
            fleet.close().map_err(|error| named(server, error))?;
        }
        eprintln!(
            "{connections} connections: {round} rounds in {:.0?}",
            started.elapsed()
        );
        Ok(samples)
    }
}

fn external(argument: &str) -> Result<(String, Vec<String>), String> {
    let (title, command) = argument
        .split_once('=')
        .ok_or("a title, = and a command are wanted")?;
    let command: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
    if command.is_empty() {
        return Err("no command".to_owned());
    }
    Ok((title.to_owned(), command))
}

/// As far as it goes; the servers inherit it.
fn raise_file_limit(wanted: usize) -> Result<(), Failure> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < wanted as u64 {
        return Err(format!("{wanted} files are needed, the limit is {hard}").into());
    }
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}
