//! Echo servers on real sockets, compared under one load: see the README.

mod client;
mod contestant;
mod report;
mod rounds;
mod servers;
mod tape;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

/// Any failure of a server or of the measurement; it ends the run.
type Failure = Box<dyn Error + Send + Sync>;

/// Compares WebSocket echo servers over loopback sockets.
#[derive(Parser)]
enum Command {
    /// Echo on 127.0.0.1, on a port that is printed, until the standard input ends
    Serve { server: servers::Server },
    /// Measure all servers in turns, and write what came out
    Run(Box<rounds::Plan>),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Serve { server } => server.serve(),
        Command::Run(plan) => rounds::run(&plan),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
