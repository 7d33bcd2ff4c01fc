//! WebSockets behind hyper: the HTTP stack reads the request and writes the 101, `check_request` judges
//! what it read, and `Connection::upgraded_with` does everything after that.
//!
//! `cargo run --release -p hyper_upgrade`, then open the address that it prints.
//!
//! axum's `Request` is the same type with another body: `open` and `converse` fit into a handler of
//! axum as they are.

#[path = "../../memory/mod.rs"]
mod memory;

use std::convert::Infallible;
use std::error::Error;
use std::future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version, upgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use memory::{Budget, NO_ROOM, Share, turn_away};
use sockless::handshake::{HandshakeError, HttpVersion, check_request};
use sockless::{
    CloseCode, Config, Connection, DeflateConfig, Ending, Event, Input, Next, Role, Write,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

const PAGE: &str = include_str!("page.html");

/// The path of the WebSocket.
const ECHO: &str = "/echo";
/// What this server speaks; of several offered ones, the client's favourite.
const SUBPROTOCOLS: [&str; 2] = ["echo", "echo.v2"];

/// Nothing holds a connection for ever: neither a peer that sends no request, nor one that stops
/// reading, nor one that is gone without a word, nor too many at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a connection may ask for pages; hyper has no time by which a response is to be read.
const HTTP_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_CONNECTIONS: usize = 1024;
/// The head of a request, as long as it may be at the other examples; hyper would take 400 KiB.
const MAX_HEAD: usize = 16 * 1024;

/// Sends back every WebSocket message at /echo, behind hyper, and serves a page to try it from.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8081")]
    address: String,
    /// What all connections together may hold, beside 64 KiB each
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: usize,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if let Err(error) = listen(&arguments).await {
        log(format_args!("{}: {error}", arguments.address));
        process::exit(1);
    }
}

async fn listen(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind(&arguments.address).await?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}/", listener.local_addr()?)?;
    out.flush()?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    let deflate = DeflateConfig::new();
    let budget = Budget::new(arguments.memory);
    loop {
        let accepted = select! {
            accepted = accept(&listener, &places) => accepted,
            _ = &mut interrupt => break,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let visit = Visit {
                    peer,
                    deflate: deflate.clone(),
                    budget: budget.clone(),
                    stopping: stopping.clone(),
                    place: Arc::new(place),
                };
                tokio::spawn(serve(stream, visit));
            }
            // The peer's fault or the moment's (no more files), so it ends nothing.
            Err(error) => {
                log(format_args!("accept: {error}"));
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // Each connection closes when it is told, and has let go of this when it is done.
    drop((listener, stopping));
    let _ = stop.send(());
    let _ = timeout(2 * ANSWER_TIMEOUT, stop.closed()).await;
    Ok(())
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned();
    let place = place.await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// What goes with a connection, through its requests and its WebSocket.
#[derive(Clone)]
struct Visit {
    peer: SocketAddr,
    /// Clones share a pool of codecs.
    deflate: DeflateConfig,
    budget: Budget,
    stopping: watch::Receiver<()>,
    place: Arc<OwnedSemaphorePermit>,
}

/// The HTTP part of a connection.
async fn serve(stream: TcpStream, mut visit: Visit) {
    let _ = stream.set_nodelay(true);
    let (peer, guest) = (visit.peer, visit.clone());
    let service = service_fn(move |request| answer(request, guest.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ANSWER_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = select! {
        ended = &mut connection => Ok(ended),
        _ = timeout(HTTP_TIMEOUT, visit.stopping.changed()) => {
            connection.as_mut().graceful_shutdown();
            timeout(ANSWER_TIMEOUT, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log(format_args!("{peer} HTTP: {error}")),
        Err(_) => log(format_args!("{peer} HTTP: the response is not read")),
    }
}

async fn answer(
    request: Request<Incoming>,
    visit: Visit,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (peer, path) = (visit.peer, request.uri().path().to_owned());
    let response = match (request.method(), path.as_str()) {
        (_, ECHO) => open(request, visit).unwrap_or_else(refuse),
        (&Method::GET | &Method::HEAD, "/") => {
            respond(StatusCode::OK, "text/html; charset=utf-8", PAGE.into())
        }
        _ => respond(
            StatusCode::NOT_FOUND,
            "text/plain",
            "nothing here; the page is at /\n".into(),
        ),
    };
    log(format_args!(
        "{peer} {path:?} {}",
        response.status().as_u16()
    ));
    Ok(response)
}

/// The opening handshake: agrees to the request, and has the WebSocket begin behind the response.
fn open(
    mut request: Request<Incoming>,
    visit: Visit,
) -> Result<Response<Full<Bytes>>, HandshakeError> {
    let version = match request.version() {
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Http10,
    };
    // An echo has no secrets and does nothing on anybody's behalf, so every origin may come; others
    // compare `Origin` by `same_origin`.
    let asked = check_request(request.method().as_str(), version, request.headers())?;
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, text(&asked.accept()));
    if let Some(name) = asked.subprotocols().find(|n| SUBPROTOCOLS.contains(n)) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, text(name.as_bytes()));
    }
    let agreed = visit.deflate.choose(asked.extensions());
    if let Some(agreed) = &agreed {
        headers.insert(
            SEC_WEBSOCKET_EXTENSIONS,
            text(agreed.to_string().as_bytes()),
        );
    }
    let config = Config::default()
        .deflate(visit.deflate.clone())
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT)
        .back_pressure();
    let ws = Connection::upgraded_with(Role::Server, agreed, config);
    let upgrading = upgrade::on(&mut request);
    tokio::spawn(async move {
        let (peer, share) = (visit.peer, visit.budget.share());
        let ended = match upgrading.await {
            Ok(upgraded) => converse(TokioIo::new(upgraded), ws, share, visit.stopping).await,
            Err(error) => Err(error.into()),
        };
        match ended {
            Ok(ending) => log(format_args!("{peer} {ECHO:?} {ending}")),
            Err(error) => log(format_args!("{peer} {ECHO:?} broken off: {error}")),
        }
        drop(visit.place);
    });
    Ok(response)
}

type Outcome = Result<Ending, Box<dyn Error + Send + Sync>>;

/// The protocol: what hyper has read beyond the request comes first out of the stream.
async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    mut ws: Connection,
    mut share: Share,
    mut stopping: watch::Receiver<()>,
) -> Outcome {
    let (mut reader, mut writer) = split(stream);
    let (mut input, clock) = (input_for(&ws), Instant::now());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => echo(&mut ws, event),
            Next::Over(ending) => return Ok(*ending),
            Next::Io(_) if !share.has_room_for(&ws) => {
                return linger(reader, writer, &turn_away(ws, share)).await;
            }
            Next::Io(io) => select! {
                (write, done) = write(&mut writer, io.write, &ws) => ws.on_write(write, done),
                Ok(()) = stopping.changed() => ws.close(CloseCode::GOING_AWAY, "")?,
                done = reader.read(input.space()), if io.read => ws.on_read(done, &mut input),
                () = sleep(io.wait(clock.elapsed())) => {}
            },
        }
    }
}

fn echo(ws: &mut Connection, event: Event<'_>) {
    let sent = match event {
        Event::Text(text) => ws.send_text(text),
        Event::Binary(data) => ws.send_binary(data),
        _ => Ok(()), // pings, closes and violations are already answered
    };
    if sent.is_err() {
        ws.handler_failed();
    }
}

/// Compressed, what is read at once can be a thousand times as much, before anybody asks the budget.
fn input_for(ws: &Connection) -> Input {
    match ws.deflate() {
        Some(_) => Input::new(1024),
        None => Input::default(),
    }
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    write: Option<Write>,
    ws: &Connection,
) -> (Write, io::Result<usize>) {
    let Some(write) = write else {
        return future::pending().await;
    };
    let done = match write {
        Write::Output => to.write_vectored(&ws.output_slices()).await,
        Write::Flush => to.flush().await.map(|()| 0),
        Write::Shutdown => to.shutdown().await.map(|()| 0),
    };
    (write, done)
}

/// There is no room for what the connection holds: writes the last bytes, and reads on for a while.
async fn linger(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    last: &[u8],
) -> Outcome {
    if !last.is_empty() {
        let say = async {
            writer.write_all(last).await?;
            writer.shutdown().await?;
            tokio::io::copy(&mut reader, &mut tokio::io::sink()).await
        };
        let _ = timeout(ANSWER_TIMEOUT, say).await;
    }
    Err(NO_ROOM.into())
}

/// A refusal as an ordinary answer: the rule has a status, and the fields that go with it.
fn refuse(error: HandshakeError) -> Response<Full<Bytes>> {
    let status = error.status().and_then(|s| StatusCode::from_u16(s).ok());
    let status = status.unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = respond(status, "text/plain", format!("{error}\n").into());
    for (name, value) in error.headers() {
        response
            .headers_mut()
            .insert(*name, HeaderValue::from_static(value));
    }
    response
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// What stands in a request, or is made of what stands there, can stand in the response.
fn text(value: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests;
