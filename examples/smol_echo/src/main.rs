//! An echo server on smol: a task for each connection, all of them on one thread.
//!
//! `cargo run --release -p smol_echo`

#[path = "../../memory/mod.rs"]
mod memory;

use std::error::Error;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::process;
use std::time::{Duration, Instant};

use clap::Parser;
use memory::{Budget, NO_ROOM, Share, turn_away};
use smol::channel::{self, Receiver};
use smol::future::{self, FutureExt};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{LocalExecutor, Timer};
use sockless::{CloseCode, Config, Connection, Ending, Event, Response, State, Transport};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Others wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// How long no connection is accepted after one that could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const INTERRUPTED: i32 = 130;

/// Sends back every WebSocket message.
///
/// Ctrl-C closes the connections and ends the server, a second one does not wait for them.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// What all connections together may hold, beside 64 KiB each
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: usize,
}

fn main() {
    let arguments = Arguments::parse();
    let executor = LocalExecutor::new();
    if let Err(error) = smol::block_on(executor.run(listen(&arguments, &executor))) {
        log(format_args!("{}: {error}", arguments.address));
        process::exit(1);
    }
}

async fn listen(arguments: &Arguments, executor: &LocalExecutor<'_>) -> Result<(), Box<dyn Error>> {
    let leave = on_interrupt()?;
    let listener = TcpListener::bind(arguments.address).await?;
    let mut out = io::stdout();
    writeln!(out, "listening on ws://{}/", listener.local_addr()?)?;
    out.flush()?;
    let budget = Budget::new(arguments.memory);
    // Every task holds a copy of the sender: it counts them, and the last one closes the channel.
    let (alive, all_gone) = channel::bounded::<()>(1);
    while !leave.is_closed() {
        let accept = async {
            if alive.sender_count() > MAX_CONNECTIONS {
                Timer::after(ACCEPT_PAUSE).await;
                return Ok(None);
            }
            listener.accept().await.map(Some)
        };
        let interrupt = async { Ok(leave.recv().await.ok().and(None)) };
        match accept.or(interrupt).await {
            Ok(Some((stream, peer))) => {
                let (alive, share) = (alive.clone(), budget.share());
                let visit = Visit::new(leave.clone());
                let task = async move {
                    if let Err(error) = converse(stream, visit, share).await {
                        log(format_args!("{peer}: broken off: {error}"));
                    }
                    drop(alive);
                };
                executor.spawn(task).detach();
            }
            Ok(None) => {}
            // It is the peer's fault or the moment's (no more files), so it ends nothing.
            Err(error) => {
                log(format_args!("accept: {error}"));
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(alive);
    let _ = all_gone.recv().await;
    Ok(())
}

/// The protocol: everything else in this file is accepting, waiting, and the end.
async fn converse(
    mut stream: TcpStream,
    mut visit: Visit,
    mut share: Share,
) -> Result<Ending, Box<dyn Error>> {
    let mut ws = Connection::server(config());
    let mut buf = vec![0; 16 * 1024];
    let mut is_broken = false;
    loop {
        if visit.is_told_to_leave() && ws.close(CloseCode::GOING_AWAY, "").is_err() {
            return Ok(ws.end_of_stream()); // it is not open yet, and has nothing to lose
        }
        let due = ws.tick(visit.since.elapsed());
        if !share.has_room_for(&ws) {
            linger(stream, &turn_away(ws, share)).await?;
            return Err(NO_ROOM.into());
        }
        match ws.transport() {
            Transport::Keep => {}
            Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
            Transport::Drop => return Ok(ws.end_of_stream()),
        }
        if !ws.output().is_empty() && !is_broken {
            match visit.within(due, stream.write(ws.output())).await {
                Ok(n) => ws.sent(n.unwrap_or(0)),
                Err(_) => is_broken = true, // what the peer sent before is still to be read
            }
            continue;
        }
        let mut input = match visit.within(due, stream.read(&mut buf)).await {
            Ok(Some(0)) if !is_broken => return Ok(ws.end_of_stream()),
            Ok(Some(0)) | Err(_) => return Ok(ws.transport_reset()),
            Ok(Some(n)) => &mut buf[..n],
            Ok(None) => continue,
        };
        while let Some(event) = ws.receive(&mut input) {
            match event {
                Event::Text(_) | Event::Binary(_) if ws.state() == State::Closing => {} // too late
                Event::Request(_) => ws.accept(Response::default())?,
                Event::Text(text) => ws.send_text(&text)?,
                Event::Binary(data) => ws.send_binary(&data)?,
                _ => {} // pings, closes and violations are already answered
            }
        }
    }
}

/// Writes the last bytes, and reads on for a while.
async fn linger(mut stream: TcpStream, last: &[u8]) -> io::Result<()> {
    if last.is_empty() {
        return Ok(());
    }
    let say = async {
        stream.write_all(last).await?;
        stream.shutdown(Shutdown::Write)?;
        let mut buf = vec![0; 16 * 1024];
        while stream.read(&mut buf).await? > 0 {}
        Ok(())
    };
    let late = async {
        Timer::after(ANSWER_TIMEOUT).await;
        Ok(())
    };
    say.or(late).await
}

fn config() -> Config {
    Config::default()
        .handshake_timeout(ANSWER_TIMEOUT)
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT)
}

/// What a connection waits for beside its socket.
struct Visit {
    since: Instant,
    /// Closed when the server ends.
    leave: Receiver<()>,
    leaving: bool,
}

impl Visit {
    fn new(leave: Receiver<()>) -> Self {
        Self {
            since: Instant::now(),
            leave,
            leaving: false,
        }
    }

    /// Whether it is time to go, once.
    fn is_told_to_leave(&mut self) -> bool {
        self.leave.is_closed() && !std::mem::replace(&mut self.leaving, true)
    }

    /// What the socket did, or `None` when it is time to look at the clock or to leave.
    async fn within(
        &self,
        due: Option<Duration>,
        step: impl Future<Output = io::Result<usize>>,
    ) -> io::Result<Option<usize>> {
        let step = async { step.await.map(Some) };
        let alarm = async {
            match due {
                Some(due) => drop(Timer::at(self.since + due).await),
                None => future::pending().await,
            }
            Ok(None)
        };
        let leave = async {
            match self.leaving {
                true => future::pending().await,
                false => drop(self.leave.recv().await),
            }
            Ok(None)
        };
        step.or(alarm).or(leave).await
    }
}

/// A channel that is closed by Ctrl-C.
fn on_interrupt() -> Result<Receiver<()>, ctrlc::Error> {
    let (sender, leave) = channel::bounded(1);
    ctrlc::set_handler(move || {
        if !sender.close() {
            process::exit(INTERRUPTED);
        }
    })?;
    Ok(leave)
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
