//! An echo server on smol: a task for each connection, all of them on one thread.
//!
//! `cargo run --release -p smol_echo`

#[path = "../../memory/mod.rs"]
mod memory;

use std::error::Error;
use std::io::{self, Write as _};
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
use sockless::{
    CloseCode, Config, Connection, Ending, Event, Input, Io, Next, Response, State, Write,
};

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
                let leave = leave.clone();
                let task = async move {
                    if let Err(error) = converse(stream, leave, share).await {
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

/// What came first of all that a connection waits for.
enum Done {
    Read(io::Result<usize>),
    Wrote(Write, io::Result<usize>),
    Leave,
    Due,
}

/// The protocol: everything else in this file is accepting, waiting, and the end.
async fn converse(stream: TcpStream, leave: Receiver<()>, mut share: Share) -> io::Result<Ending> {
    let (mut ws, mut input, clock) = (server(), Input::default(), Instant::now());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => on_event(&mut ws, event),
            Next::Io(_) if !share.has_room_for(&ws) => {
                linger(stream, &turn_away(ws, share)).await?;
                return Err(io::Error::other(NO_ROOM));
            }
            Next::Io(io) => match first(io, &stream, &ws, &mut input, clock, &leave).await {
                Done::Read(done) => {
                    ws.on_read(done, &mut input);
                    future::yield_now().await; // a peer that never pauses leaves the others their turn
                }
                Done::Wrote(write, done) => ws.on_write(write, done),
                Done::Leave => go_away(&mut ws),
                Done::Due => {}
            },
            Next::Over(ending) => return Ok(*ending),
        }
    }
}

/// Writes, reads and waits at once, until one of it is done.
async fn first(
    io: Io,
    stream: &TcpStream,
    ws: &Connection,
    input: &mut Input,
    clock: Instant,
    leave: &Receiver<()>,
) -> Done {
    let (mut reader, mut writer) = (stream.clone(), stream.clone());
    let leaving = async {
        // Once it closes there is nothing to be told.
        match ws.state() {
            State::Connecting | State::Open => drop(leave.recv().await),
            State::Closing | State::Closed => future::pending().await,
        }
        Done::Leave
    };
    let writing = async {
        let Some(write) = io.write else {
            return future::pending().await;
        };
        let done = match write {
            Write::Output => writer.write_vectored(&ws.output_slices()).await,
            Write::Flush => writer.flush().await.map(|()| 0),
            Write::Shutdown => writer.shutdown(Shutdown::Write).map(|()| 0),
        };
        Done::Wrote(write, done)
    };
    let reading = async {
        match io.read {
            true => Done::Read(reader.read(input.space()).await),
            false => future::pending().await,
        }
    };
    let due = async {
        Timer::after(io.wait(clock.elapsed())).await;
        Done::Due
    };
    leaving.or(writing).or(reading).or(due).await
}

fn on_event(ws: &mut Connection, event: Event<'_>) {
    let done = match event {
        Event::Request(_) => ws.accept(Response::default()),
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    };
    if done.is_err() {
        ws.handler_failed();
    }
}

/// The server ends.
fn go_away(ws: &mut Connection) {
    if ws.close(CloseCode::GOING_AWAY, "").is_err() {
        ws.end_of_stream(); // it is not open yet, and has nothing to lose
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

fn server() -> Connection {
    let config = Config::default()
        .handshake_timeout(ANSWER_TIMEOUT)
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT)
        .back_pressure();
    Connection::server(config)
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
