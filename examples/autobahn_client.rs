//! The client that the Autobahn|Testsuite tests: asks it how many cases there are, runs each, and
//! sends every message back.
//!
//! `tests/autobahn/run.sh` starts the suite and this; it is also the shortest client of these
//! examples.

#![expect(
    clippy::std_instead_of_core,
    reason = "a program with an operating system"
)]

#[cfg(feature = "deflate")]
mod deflate_options;

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use clap::Parser;
use sockless::{ClientRequest, Config, Connection, Ending, Event, SendError, Transport};

/// No case waits for us longer than this.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the cases of an Autobahn fuzzing server.
#[derive(Parser)]
struct Arguments {
    /// ws://host:port of the fuzzing server
    url: String,
    /// The name in the report
    agent: String,
    #[cfg(feature = "deflate")]
    #[command(flatten)]
    deflate: deflate_options::DeflateOptions,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let (url, agent) = (&arguments.url, &arguments.agent);
    let config = Config::default();
    #[cfg(feature = "deflate")]
    let config = arguments.deflate.add_to(config);
    let mut cases = 0;
    converse(&format!("{url}/getCaseCount"), &config, |_, event| {
        if let Event::Text(text) = event {
            cases = text.parse().unwrap_or(0);
        }
        Ok(())
    })?;
    for case in 1..=cases {
        let url = format!("{url}/runCase?case={case}&agent={agent}");
        // Most cases are there to end badly; whether they end right is for the suite to judge.
        if let Err(error) = converse(&url, &config, echo) {
            eprintln!("case {case}: {error}");
        }
    }
    converse(&format!("{url}/updateReports?agent={agent}"), &config, echo)?;
    println!("{cases} cases");
    Ok(())
}

fn echo(ws: &mut Connection, event: Event<'_>) -> Result<(), SendError> {
    match event {
        Event::Text(text) => ws.send_text(&text),
        Event::Binary(data) => ws.send_binary(&data),
        _ => Ok(()), // pings, closes and violations are already answered
    }
}

/// One connection, from its first byte to its last.
fn converse(
    url: &str,
    config: &Config,
    mut on_event: impl FnMut(&mut Connection, Event<'_>) -> Result<(), SendError>,
) -> Result<Ending, Box<dyn Error>> {
    let request = ClientRequest::new(url)?;
    let mut stream = TcpStream::connect((request.host(), request.port()))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut ws = Connection::client(request, config.clone())?;
    let mut buf = [0; 16 * 1024];
    let mut is_broken = false;
    loop {
        while !ws.output().is_empty() && !is_broken {
            match stream.write(ws.output()) {
                Ok(n) => ws.sent(n),
                Err(_) => is_broken = true, // what the suite sent before is still to be read
            }
        }
        match ws.transport() {
            Transport::Keep => {}
            // Fails if the server was faster.
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(ws.end_of_stream()),
        }
        let n = match stream.read(&mut buf) {
            Ok(0) if !is_broken => return Ok(ws.end_of_stream()),
            // The suite ends connections in all the ways that there are.
            Ok(0) | Err(_) => return Ok(ws.transport_reset()),
            Ok(n) => n,
        };
        let mut input = &mut buf[..n];
        while let Some(event) = ws.receive(&mut input) {
            on_event(&mut ws, event)?;
        }
    }
}
