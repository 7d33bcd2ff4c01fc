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
use std::io::{self, Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use clap::Parser;
use sockless::{ClientRequest, Config, Connection, Ending, Event, Input, Next, Write};

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
    let config = Config::default()
        .handshake_timeout(TIMEOUT)
        .idle_timeout(TIMEOUT)
        .back_pressure();
    #[cfg(feature = "deflate")]
    let config = arguments.deflate.add_to(config);
    let mut cases = 0;
    run(&format!("{url}/getCaseCount"), &config, |_, event| {
        if let Event::Text(text) = event {
            cases = text.parse().unwrap_or(0);
        }
    })?;
    for case in 1..=cases {
        let url = format!("{url}/runCase?case={case}&agent={agent}");
        // Most cases are there to end badly; whether they end right is for the suite to judge.
        if let Err(error) = run(&url, &config, echo) {
            eprintln!("case {case}: {error}");
        }
    }
    run(&format!("{url}/updateReports?agent={agent}"), &config, echo)?;
    println!("{cases} cases");
    Ok(())
}

fn echo(ws: &mut Connection, event: Event<'_>) {
    let done = match event {
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    };
    if done.is_err() {
        ws.handler_failed();
    }
}

/// One connection, from its first byte to its last.
fn run(
    url: &str,
    config: &Config,
    on_event: impl FnMut(&mut Connection, Event<'_>),
) -> Result<Ending, Box<dyn Error>> {
    let request = ClientRequest::new(url)?;
    let stream = TcpStream::connect((request.host(), request.port()))?;
    stream.set_nodelay(true)?;
    let ws = Connection::client(request, config.clone())?;
    Ok(converse(ws, stream, on_event))
}

/// The protocol: everything else in this file is what the suite is asked for.
fn converse(
    mut ws: Connection,
    stream: TcpStream,
    mut on_event: impl FnMut(&mut Connection, Event<'_>),
) -> Ending {
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => on_event(&mut ws, event),
            Next::Io(io) => match (io.write, io.wait(clock.elapsed())) {
                (Some(write), wait) => ws.on_write(write, perform(write, &ws, &stream, wait)),
                (None, wait) => ws.on_read(read(&stream, input.space(), wait), &mut input),
            },
            Next::Over(ending) => return *ending,
        }
    }
}

fn read(mut stream: &TcpStream, space: &mut [u8], wait: Duration) -> io::Result<usize> {
    stream.set_read_timeout(Some(wait))?;
    stream.read(space)
}

fn perform(
    write: Write,
    ws: &Connection,
    mut stream: &TcpStream,
    wait: Duration,
) -> io::Result<usize> {
    stream.set_write_timeout(Some(wait))?;
    match write {
        Write::Output => stream.write_vectored(&ws.output_slices()),
        Write::Flush => stream.flush().map(|()| 0),
        Write::Shutdown => stream.shutdown(Shutdown::Write).map(|()| 0),
    }
}
