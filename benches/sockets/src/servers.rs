//! The servers: each echoes every data message, in the way that its own documentation shows.

mod fastwebsockets;
mod on_mio;
mod on_std;
mod on_tokio;
mod sockudo_ws;
mod tokio_tungstenite;
mod tokio_websockets;

use std::future::poll_fn;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::{process, thread};

use clap::ValueEnum;
use futures_util::{Sink, Stream};
use sockless::{Connection, Event, Response, SendError};
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;

/// Where every server listens: on a port that the system chooses.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The servers of this program.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// sockless, a thread for each connection
    Std,
    /// sockless on mio, one thread
    Mio,
    /// sockless on tokio, one thread
    Tokio,
    /// tokio-tungstenite, one thread
    TokioTungstenite,
    /// tokio-tungstenite with a read buffer of 8 KiB, one thread
    #[value(name = "tokio-tungstenite-8k")]
    TokioTungstenite8k,
    /// fastwebsockets behind hyper, on tokio, one thread
    Fastwebsockets,
    /// tokio-websockets, one thread
    TokioWebsockets,
    /// sockudo-ws on tokio, one thread
    SockudoWs,
}

impl Server {
    /// Serves until the standard input ends; then the process ends.
    pub(crate) fn serve(self) -> Result<(), Failure> {
        thread::Builder::new().spawn(end_with_input)?;
        match self {
            Self::Std => on_std::serve(),
            Self::Mio => on_mio::serve(),
            Self::Tokio => serve_on_tokio(on_tokio::echo),
            Self::TokioTungstenite => serve_on_tokio(tokio_tungstenite::echo),
            Self::TokioTungstenite8k => serve_on_tokio(tokio_tungstenite::echo_8k),
            Self::Fastwebsockets => serve_on_tokio(fastwebsockets::echo),
            Self::TokioWebsockets => serve_on_tokio(tokio_websockets::echo),
            Self::SockudoWs => serve_on_tokio(sockudo_ws::echo),
        }
    }

    /// What it is called in tables.
    pub(crate) fn title(self) -> String {
        let name = self.name();
        match self {
            Self::Std | Self::Mio | Self::Tokio => format!("sockless {name}"),
            _ => name,
        }
    }

    /// What it is called on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// What every server of ours does with an event. Pings, closes and violations are answered already.
fn answer(ws: &mut Connection, event: Event<'_>) -> Result<(), SendError> {
    match event {
        Event::Request(_) => ws.accept(Response::default()),
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()),
    }
}

/// So that no server outlives the run, however that ends.
fn end_with_input() {
    match io::copy(&mut io::stdin(), &mut io::sink()) {
        Ok(_) => process::exit(0),
        Err(error) => {
            eprintln!("standard input: {error}");
            process::exit(1)
        }
    }
}

/// Tells the run where to connect to.
fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{}", address.port())?;
    out.flush()
}

/// Accepts on a runtime of one thread, and has `echo` do the rest.
fn serve_on_tokio<F>(echo: fn(TcpStream) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(LISTEN).await?;
        announce(listener.local_addr()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                if let Err(error) = echo(stream).await {
                    eprintln!("connection: {error}");
                }
            });
        }
    })
}

/// The echo of every crate whose connection is a stream and a sink of messages: feeds what is at hand,
/// and flushes before it waits.
async fn relay<S, M, E>(mut ws: S, is_data: fn(&M) -> bool) -> Result<(), Failure>
where
    S: Stream<Item = Result<M, E>> + Sink<M, Error = E> + Unpin,
    Failure: From<E>,
{
    loop {
        let received = poll_fn(|cx| match Pin::new(&mut ws).poll_next(cx) {
            Poll::Ready(received) => Poll::Ready(received.transpose()),
            Poll::Pending => match Pin::new(&mut ws).poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Pending,
            },
        });
        let Some(message) = received.await? else {
            return Ok(());
        };
        if is_data(&message) {
            poll_fn(|cx| Pin::new(&mut ws).poll_ready(cx)).await?;
            Pin::new(&mut ws).start_send(message)?;
        }
    }
}
