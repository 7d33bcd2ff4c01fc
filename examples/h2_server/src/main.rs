//! WebSockets over HTTP/2 (RFC 8441): many of them on one TCP connection, each on a stream of its own.
//!
//! `cargo run --release -p h2_server`, then open the address that it prints; the certificate is made at
//! the start, so a browser has to be told to go on.
//!
//! A browser asks by HTTP/2 once it has an HTTP/2 connection that allows it, such as the one that the
//! page came by. A server for all clients takes HTTP/1.1 on the same port as well: see `hyper_upgrade`.

#[path = "../../memory/mod.rs"]
mod memory;

use std::error::Error;
use std::future;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS};
use http::{Method, Request, Response, StatusCode};
use memory::{Budget, NO_ROOM, Share, turn_away};
use sockless::handshake::{HandshakeError, PseudoHeaders, check_extended_connect};
use sockless::{
    CloseCode, Config, Connection, DeflateConfig, Ending, Event, Input, Next, Role, Write,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

const PAGE: &str = include_str!("page.html");

/// Nothing holds a connection or a stream for ever: neither a peer that does not go on, nor one that
/// stops reading, nor one that is gone without a word, nor too many at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_CONNECTIONS: usize = 256;
const MAX_STREAMS: u32 = 100;
/// On all connections together.
const MAX_WEBSOCKETS: usize = 1024;
const MAX_MESSAGE: usize = 1 << 20;

/// The header fields of a request, as long as they are at the other examples; h2 would take 16 MiB.
const MAX_HEADERS: u32 = 16 * 1024;

/// What a peer may send on a stream before it is read; and on all of them together, so that one that
/// is not read does not hold up the others.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// Sends back every WebSocket message, over HTTP/2 only, and serves a page to try it from.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8443")]
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

async fn listen(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let tls = self_signed()?;
    let listener = TcpListener::bind(&arguments.address).await?;
    let mut out = io::stdout();
    writeln!(out, "listening on https://{}/", listener.local_addr()?)?;
    out.flush()?;
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    let deflate = DeflateConfig::new();
    let budget = Budget::new(arguments.memory);
    let sockets = Arc::new(Semaphore::new(MAX_WEBSOCKETS));
    loop {
        let accepted = select! {
            accepted = accept(&listener, &places) => accepted,
            _ = &mut interrupt => break,
        };
        match accepted {
            Ok((socket, peer, place)) => {
                let visit = Visit {
                    peer,
                    deflate: deflate.clone(),
                    budget: budget.clone(),
                    sockets: Arc::clone(&sockets),
                    stopping: stopping.clone(),
                };
                let tls = tls.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(socket, &tls, &visit).await {
                        log(format_args!("{peer} {error}"));
                    }
                    drop((visit, place));
                });
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
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, place))
}

/// TLS with a new certificate for this machine, for HTTP/2 and nothing else.
fn self_signed() -> Result<TlsAcceptor, Box<dyn Error>> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config).into())
}

/// What goes with a connection and each of its streams.
#[derive(Clone)]
struct Visit {
    peer: SocketAddr,
    /// Clones share a pool of codecs.
    deflate: DeflateConfig,
    budget: Budget,
    /// Places for WebSockets.
    sockets: Arc<Semaphore>,
    stopping: watch::Receiver<()>,
}

/// The HTTP/2 connection: a task for each of its streams.
async fn serve(
    socket: TcpStream,
    tls: &TlsAcceptor,
    visit: &Visit,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    socket.set_nodelay(true)?;
    let tls = timeout(ANSWER_TIMEOUT, tls.accept(socket)).await??;
    let mut settings = h2::server::Builder::new();
    settings
        .enable_connect_protocol()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let mut http = timeout(ANSWER_TIMEOUT, settings.handshake(tls)).await??;
    log(format_args!("{} HTTP/2", visit.peer));
    let mut stopping = visit.stopping.clone();
    let pings = http.ping_pong().ok_or("no pings")?;
    let gone = unanswered(pings);
    tokio::pin!(gone);
    loop {
        select! {
            accepted = http.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    tokio::spawn(answer(request, respond, visit.clone()));
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
            Ok(()) = stopping.changed() => http.graceful_shutdown(),
            error = &mut gone => return Err(error),
            () = sleep(IDLE_TIMEOUT) => if !http.has_streams() {
                return Ok(());
            },
        }
    }
}

/// Pings the peer, and returns when it does not answer: what h2 has been given waits for a peer that
/// reads nothing, and its streams with it, also when their tasks have ended.
async fn unanswered(mut pings: PingPong) -> Box<dyn Error + Send + Sync> {
    loop {
        sleep(PING_INTERVAL).await;
        match timeout(IDLE_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return "no answer to a ping".into(),
        }
    }
}

/// One stream, from its request to its end.
async fn answer(request: Request<RecvStream>, respond: SendResponse<Bytes>, visit: Visit) {
    let (peer, path) = (visit.peer, request.uri().path().to_owned());
    let stream = respond.stream_id().as_u32();
    let done = match (request.method(), path.as_str()) {
        (&Method::CONNECT, _) => websocket(request, respond, visit).await,
        (&Method::GET, "/") => {
            page(respond, StatusCode::OK, "text/html; charset=utf-8", PAGE).await
        }
        _ => {
            let text = "nothing here; the page is at /\n";
            page(respond, StatusCode::NOT_FOUND, "text/plain", text).await
        }
    };
    match done {
        Ok(what) => log(format_args!("{peer} stream {stream} {path:?} {what}")),
        Err(error) => log(format_args!(
            "{peer} stream {stream} {path:?} broken off: {error}"
        )),
    }
}

type Outcome = Result<String, Box<dyn Error + Send + Sync>>;

/// The opening handshake, and the WebSocket behind it.
async fn websocket(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    visit: Visit,
) -> Outcome {
    let (mut response, agreed) = match check(&request, &visit.deflate) {
        Ok(agreed) => (Response::new(()), agreed),
        Err(error) => return refuse(respond, error),
    };
    let Ok(_place) = visit.sockets.try_acquire() else {
        let text = "there are too many WebSockets\n";
        return page(respond, StatusCode::SERVICE_UNAVAILABLE, "text/plain", text).await;
    };
    if let Some(agreed) = agreed {
        let value = agreed.to_string().parse()?;
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_EXTENSIONS, value);
    }
    let config = Config::default()
        .max_message_size(MAX_MESSAGE)
        .deflate(visit.deflate.clone())
        .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
        .close_timeout(ANSWER_TIMEOUT)
        .back_pressure();
    let ws = Connection::upgraded_with(Role::Server, agreed, config);
    let mut send = respond.send_response(response, false)?;
    log(format_args!(
        "{} stream {} {:?} open, by extended CONNECT",
        visit.peer,
        send.stream_id().as_u32(),
        request.uri().path()
    ));
    let (mut recv, share) = (request.into_body(), visit.budget.share());
    let ended = converse((&mut recv, &mut send), ws, share, visit.stopping).await;
    // What has not ended in order is reset; an end in order is answered with one.
    match &ended {
        Ok(ending) if !ending.reset => drop(send.send_data(Bytes::new(), true)),
        _ => send.send_reset(Reason::CANCEL),
    }
    Ok(ended?.to_string())
}

/// Judges an extended CONNECT, and chooses a compression.
fn check(
    request: &Request<RecvStream>,
    deflate: &DeflateConfig,
) -> Result<Option<sockless::deflate::Parameters>, HandshakeError> {
    let uri = request.uri();
    let pseudo = PseudoHeaders {
        method: request.method().as_str(),
        protocol: request.extensions().get().map(Protocol::as_str),
        scheme: uri.scheme_str(),
        authority: uri.authority().map(|authority| authority.as_str()),
        path: uri.path_and_query().map(|path| path.as_str()),
    };
    // An echo has no secrets and does nothing on anybody's behalf, so every origin may come; others
    // compare `origin` by `same_origin`.
    let asked = check_extended_connect(pseudo, request.headers())?;
    Ok(deflate.choose(asked.extensions()))
}

/// The protocol, on a stream instead of a socket.
async fn converse(
    (recv, send): (&mut RecvStream, &mut SendStream<Bytes>),
    mut ws: Connection,
    mut share: Share,
    mut stopping: watch::Receiver<()>,
) -> Result<Ending, Box<dyn Error + Send + Sync>> {
    let (mut input, clock) = (Input::default(), Instant::now());
    loop {
        match ws.poll(&mut input, clock.elapsed()) {
            Next::Event(event) => echo(&mut ws, event),
            Next::Over(ending) => return Ok(*ending),
            Next::Io(_) if !share.has_room_for(&ws) => {
                linger(recv, send, turn_away(ws, share)).await;
                return Err(NO_ROOM.into());
            }
            Next::Io(io) => select! {
                (write, done) = write(send, io.write, &ws) => ws.on_write(write, done),
                Ok(()) = stopping.changed() => ws.close(CloseCode::GOING_AWAY, "")?,
                data = recv.data(), if io.read => on_data(&mut ws, data, recv, &mut input),
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

/// A stream has delivered a DATA frame, which may be empty; or its end, or a reset.
fn on_data(
    ws: &mut Connection,
    data: Option<Result<Bytes, h2::Error>>,
    recv: &mut RecvStream,
    input: &mut Input,
) {
    match data {
        Some(Ok(data)) => {
            input.extend_from_slice(&data);
            // The window opens again: the connection asks for data only when it has room. This fails if the
            // stream is gone, which the next read tells.
            let _ = recv.flow_control().release_capacity(data.len());
        }
        Some(Err(error)) => ws.on_read(Err(io::Error::other(error)), input),
        None => ws.on_read(Ok(0), input),
    }
}

async fn write(
    send: &mut SendStream<Bytes>,
    write: Option<Write>,
    ws: &Connection,
) -> (Write, io::Result<usize>) {
    let Some(write) = write else {
        return future::pending().await;
    };
    let done = match write {
        Write::Output => send_some(send, ws.output()).await,
        Write::Flush => Ok(0), // h2 keeps nothing back
        Write::Shutdown => send
            .send_data(Bytes::new(), true)
            .map(|()| 0)
            .map_err(io::Error::other),
    };
    (write, done)
}

/// Writes the last bytes, and reads on for a while.
async fn linger(recv: &mut RecvStream, send: &mut SendStream<Bytes>, last: Vec<u8>) {
    if last.is_empty() || send.send_data(last.into(), true).is_err() {
        return;
    }
    let read_on = async {
        while let Some(Ok(data)) = recv.data().await {
            let _ = recv.flow_control().release_capacity(data.len());
        }
    };
    let _ = timeout(ANSWER_TIMEOUT, read_on).await;
}

/// Sends as much as the peer's window has room for, once it has any.
///
/// h2 keeps whatever it is given, so what is given is never more than can leave: the rest waits in the
/// connection, which does not ask for more data while too much does.
async fn send_some(send: &mut SendStream<Bytes>, output: &[u8]) -> io::Result<usize> {
    send.reserve_capacity(output.len().min(STREAM_WINDOW as usize));
    while send.capacity() == 0 {
        let capacity = future::poll_fn(|cx| send.poll_capacity(cx)).await;
        capacity
            .ok_or(ErrorKind::BrokenPipe)?
            .map_err(io::Error::other)?;
    }
    let n = output.len().min(send.capacity());
    let data = Bytes::copy_from_slice(&output[..n]);
    send.send_data(data, false).map_err(io::Error::other)?;
    Ok(n)
}

/// A refusal as an ordinary answer: the rule has a status, and the fields that go with it.
fn refuse(mut respond: SendResponse<Bytes>, error: HandshakeError) -> Outcome {
    let mut response = Response::builder()
        .status(error.status().unwrap_or(400))
        .header(CONTENT_TYPE, "text/plain");
    for (name, value) in error.headers() {
        response = response.header(*name, *value);
    }
    let mut send = respond.send_response(response.body(())?, false)?;
    send.send_data(format!("{error}\n").into(), true)?;
    Ok(format!("refused: {error}"))
}

async fn page(
    mut respond: SendResponse<Bytes>,
    status: StatusCode,
    kind: &str,
    body: &'static str,
) -> Outcome {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind);
    let mut send = respond.send_response(response.body(())?, false)?;
    let mut body = Bytes::from_static(body.as_bytes());
    while !body.is_empty() {
        let sent = timeout(ANSWER_TIMEOUT, send_some(&mut send, &body)).await??;
        let _ = body.split_to(sent);
    }
    send.send_data(Bytes::new(), true)?;
    Ok(status.as_u16().to_string())
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
