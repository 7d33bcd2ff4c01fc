//! An echo server on compio: a task for each connection, all of them on one thread, and the kernel owns the
//! buffers that it reads into and writes from (io_uring, IOCP).
//!
//! `cargo run --release -p compio_echo`

use std::error::Error;
use std::future::Future;
use std::io::{self, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::pin::pin;
use std::process;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use clap::Parser;
use compio::buf::{BufResult, IntoInner, IoBuf};
use compio::io::{AsyncReadExt, AsyncWrite};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::{Runtime, spawn};
use compio::time::sleep;
use futures_util::future::{Fuse, FusedFuture, FutureExt};
use futures_util::{pin_mut, select_biased};
use sockless::{
    CloseCode, Config, Connection, Ending, Event, Input, Next, Response, SendError, Write,
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
}

fn main() {
    let arguments = Arguments::parse();
    if let Err(error) = run(&arguments) {
        log(format_args!("{}: {error}", arguments.address));
        process::exit(1);
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let leave = on_interrupt()?;
    let runtime = Runtime::new()?;
    log(format_args!("I/O by {:?}", runtime.driver_type()));
    runtime.block_on(listen(arguments, leave))
}

async fn listen(arguments: &Arguments, leave: Receiver<()>) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(arguments.address).await?;
    let mut out = io::stdout();
    writeln!(out, "listening on ws://{}/", listener.local_addr()?)?;
    out.flush()?;
    // Every task holds a copy of the sender: it counts them, and the last one closes the channel.
    let (alive, all_gone) = async_channel::bounded::<()>(1);
    while !leave.is_closed() {
        if alive.sender_count() > MAX_CONNECTIONS {
            sleep(ACCEPT_PAUSE).await;
            continue;
        }
        let accept = listener.accept().fuse();
        let interrupt = leave.recv().fuse();
        pin_mut!(accept, interrupt);
        select_biased! {
            _ = interrupt => {}
            accepted = accept => match accepted {
                Ok((stream, peer)) => {
                    spawn(serve(stream, peer, leave.clone(), alive.clone())).detach();
                }
                // It is the peer's fault or the moment's (no more files), so it ends nothing.
                Err(error) => {
                    log(format_args!("accept: {error}"));
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(alive);
    let _ = all_gone.recv().await;
    Ok(())
}

async fn serve(stream: TcpStream, peer: SocketAddr, leave: Receiver<()>, alive: Sender<()>) {
    let leave = async move {
        let _ = leave.recv().await;
    };
    if let Err(error) = converse(&stream, Connection::server(config()), leave).await {
        log(format_args!("{peer}: broken off: {error}"));
    }
    drop(alive);
}

/// The protocol: everything else in this file is accepting, and the end.
async fn converse(
    stream: &TcpStream,
    mut ws: Connection,
    leave: impl Future<Output = ()>,
) -> Result<Ending, SendError> {
    let (mut input, mut output, clock) = (Input::default(), Vec::new(), Instant::now());
    let (mut reading, mut writing) = (pin!(Fuse::terminated()), pin!(Fuse::terminated()));
    let mut leave = pin!(leave.fuse());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => on_event(&mut ws, event).unwrap_or_else(|_| ws.handler_failed()),
            Next::Io(io) => {
                if let (Some(what), true) = (io.write, writing.is_terminated()) {
                    let at = ws.take_output(&mut output);
                    writing.set(write(stream, what, mem::take(&mut output), at).fuse());
                }
                if io.read {
                    reading.set(read(stream, input.take()).fuse());
                }
                select_biased! {
                    (what, BufResult(done, bytes)) = writing => {
                        output = bytes;
                        ws.on_write(what, done);
                    }
                    BufResult(done, bytes) = reading => ws.on_read(done, input.put_back(bytes)),
                    () = leave => ws.close(CloseCode::GOING_AWAY, "")?,
                    () = sleep(io.wait(clock.elapsed())).fuse() => {}
                }
            }
            Next::Over(ending) => return Ok(*ending),
        }
    }
}

async fn read(mut stream: &TcpStream, bytes: Vec<u8>) -> BufResult<usize, Vec<u8>> {
    stream.append(bytes).await
}

async fn write(
    mut stream: &TcpStream,
    what: Write,
    bytes: Vec<u8>,
    at: usize,
) -> (Write, BufResult<usize, Vec<u8>>) {
    let done = match what {
        Write::Output => stream.write(bytes.slice(at..)).await.into_inner(),
        Write::Flush => BufResult(stream.flush().await.map(|()| 0), bytes),
        Write::Shutdown => BufResult(stream.shutdown().await.map(|()| 0), bytes),
    };
    (what, done)
}

fn on_event(ws: &mut Connection, event: Event<'_>) -> Result<(), SendError> {
    match event {
        Event::Request(_) => ws.accept(Response::default()),
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    }
}

fn config() -> Config {
    Config::default()
        .handshake_timeout(ANSWER_TIMEOUT)
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT)
        .back_pressure()
}

/// A channel that is closed by Ctrl-C.
fn on_interrupt() -> Result<Receiver<()>, ctrlc::Error> {
    let (sender, leave) = async_channel::bounded(1);
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
