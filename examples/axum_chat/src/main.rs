//! A chat room behind axum: what one says, all hear. `sockless-tokio` is the WebSocket.
//!
//! `cargo run --release -p axum_chat`, then open the address that it prints, in two windows.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Router, serve};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use sockless_tokio::sockless::handshake::same_origin;
use sockless_tokio::sockless::{CloseCode, Config, DeflateConfig};
use sockless_tokio::{Error, Message, Upgraded, WebSocket, WebSocketUpgrade};
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::timeout;

const PAGE: &str = include_str!("page.html");

/// The names of the protocol that the page speaks, the newest first.
const SUBPROTOCOLS: [&str; 1] = ["chat.v1"];

/// How many messages a reader may be behind.
const BACKLOG: usize = 256;
const MAX_MESSAGE: usize = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A chat room behind axum.
#[derive(Parser)]
struct Options {
    /// Where to listen.
    #[arg(default_value = "127.0.0.1:3000")]
    address: SocketAddr,
}

#[derive(Clone)]
struct Room {
    said: broadcast::Sender<Message>,
    /// Clones share a pool of codecs.
    deflate: DeflateConfig,
    /// Each connection has a clone, and lets go of it when it is over.
    stopping: watch::Receiver<()>,
}

#[derive(Deserialize)]
struct Guest {
    name: String,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let Options { address } = Options::parse();
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    let (stop, stopping) = watch::channel(());
    let room = Room {
        said: broadcast::Sender::new(BACKLOG),
        deflate: DeflateConfig::new(),
        stopping,
    };
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/room", any(join))
        .with_state(room);
    tokio::select! {
        ended = async { serve(listener, app).await } => ended?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    let _ = stop.send(());
    let _ = timeout(2 * ANSWER_TIMEOUT, stop.closed()).await;
    Ok(())
}

async fn join(
    upgrade: WebSocketUpgrade,
    State(room): State<Room>,
    Query(guest): Query<Guest>,
    headers: HeaderMap,
) -> Response {
    if is_foreign(&headers) {
        return (StatusCode::FORBIDDEN, "this page is another's\n").into_response();
    }
    let config = Config::default()
        .max_message_size(MAX_MESSAGE)
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT);
    upgrade
        .config(config)
        .subprotocols(SUBPROTOCOLS)
        .deflate(room.deflate.clone())
        .on_upgrade(async move |ws| {
            let name = guest.name;
            match talk(ws, &name, room).await {
                Ok(()) => eprintln!("{name:?} left"),
                Err(error) => eprintln!("{name:?} left: {error}"),
            }
        })
}

/// Whether a page of another site asks.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name)?.to_str().ok();
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => {
            let ours = |scheme| same_origin(origin, &format!("{scheme}://{host}"));
            !ours("http") && !ours("https")
        }
        _ => headers.contains_key("origin"),
    }
}

async fn talk(mut ws: WebSocket<Upgraded>, name: &str, mut room: Room) -> Result<(), Error> {
    let mut said = room.said.subscribe();
    loop {
        tokio::select! {
            message = ws.next() => match message.transpose()? {
                Some(Message::Text(text)) => {
                    let _ = room.said.send(Message::text(format!("{name}: {text}")));
                }
                Some(data @ Message::Binary(_)) => {
                    let _ = room.said.send(data);
                }
                Some(_) => {} // pings and Closes have been answered
                None => return Ok(()),
            },
            message = said.recv() => match message {
                Ok(message) => ws.send(message).await?,
                Err(RecvError::Lagged(_)) => {
                    return ws.close_with(CloseCode::TRY_AGAIN_LATER, "too slow").await;
                }
                Err(RecvError::Closed) => return ws.close().await,
            },
            _ = room.stopping.changed() => {
                return ws.close_with(CloseCode::GOING_AWAY, "").await;
            }
        }
    }
}
