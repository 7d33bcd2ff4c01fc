//! A chat server on tokio: rooms, names, private messages and files, over any number of servers.
//!
//! `cargo run --release -p chat_tokio -- --open`, then open the address that it prints. What is said on the
//! wire is documented in `wire.rs`.

mod admission;
mod hub;
mod link;
#[path = "../../memory/mod.rs"]
mod memory;
mod pace;
mod queue;
mod visit;
mod wire;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, process};

use clap::{ArgGroup, Parser};
use sockless::{Config, DeflateConfig, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use admission::{Admission, Door};
use hub::{Hub, Limits};
use link::Link;
use memory::Budget;
use wire::Sharing;

const PAGE: &str = include_str!("page.html");

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a message may take from its first byte to its last.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the connections may take to close when the server ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

/// A chat: rooms, private messages and files, in the browser.
///
/// Serves its page at / and rooms at /room/NAME. Listens for plain HTTP; a proxy in front adds TLS.
#[derive(Parser)]
#[command(group(ArgGroup::new("door").required(true).multiple(true)))]
struct Arguments {
    /// Where to listen; port 0 lets the system choose
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
    /// Let anybody in, under any name: for trying out
    #[arg(long, group = "door", conflicts_with_all = ["token", "tokens"])]
    open: bool,
    /// Let in who has this secret, under this name; may be repeated. Others on this machine can see it:
    /// better use --tokens
    #[arg(long, group = "door", value_name = "NAME=SECRET", value_parser = admission::parse_token)]
    token: Vec<(String, String)>,
    /// The same from a file, a line for each
    #[arg(long, group = "door", value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Let pages of this origin connect too, such as https://example.com; may be repeated. Others come from
    /// the address that this listens on, or from localhost
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Share rooms with the other servers at this Redis, such as redis://127.0.0.1/
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// What the names of Redis channels start with; servers with another prefix share nothing
    #[arg(long, value_name = "PREFIX", default_value = "chat:")]
    redis_prefix: String,
    /// Compress messages where the browser can: less traffic, but each receiver costs work of its own
    #[arg(long)]
    deflate: bool,
    /// The most connections at a time
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..1 << 20))]
    max_connections: u32,
    /// The most rooms at a time
    #[arg(long, value_name = "N", default_value_t = 500)]
    max_rooms: usize,
    /// The most connections to one room
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_members: usize,
    /// The longest message, text or file
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_message: usize,
    /// What may wait for one connection; who falls further behind is disconnected, with 1013
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    max_queue: usize,
    /// What all connections together may hold, beside 128 KiB each; what several of them are to be sent
    /// counts for each. Who holds more than there is room for is disconnected, with 1013
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: usize,
    /// The messages that one connection may send each second, or twice as many at once; who goes on and
    /// on is disconnected, with 1008
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

/// What all connections share.
struct Server {
    /// Tells it from the others at the same Redis.
    name: String,
    admission: Admission,
    config: Config,
    page: Response,
    budget: Budget,
    max_queue: usize,
    rate: u32,
    hub: Mutex<Hub>,
}

impl Server {
    fn new(arguments: &Arguments, address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        // A file is announced, and a text gets its sender's name: what may be sent must fit in.
        if arguments.max_queue < arguments.max_message.saturating_mul(2) {
            return Err("--max-queue must be at least twice --max-message".into());
        }
        let door = if arguments.open {
            Door::Open
        } else {
            let mut tokens = arguments.token.clone();
            if let Some(path) = &arguments.tokens {
                let told = |error: &dyn Display| format!("{}: {error}", path.display());
                let file = fs::read_to_string(path).map_err(|error| told(&error))?;
                tokens.extend(admission::parse_tokens(&file).map_err(|error| told(&error))?);
            }
            admission::door(tokens)?
        };
        let mut config = Config::default()
            .serve_plain_http()
            .max_frame_size(arguments.max_message)
            .max_message_size(arguments.max_message)
            .handshake_timeout(ANSWER_TIMEOUT)
            .keepalive(PING_INTERVAL, ANSWER_TIMEOUT)
            .message_timeout(MESSAGE_TIMEOUT)
            .close_timeout(ANSWER_TIMEOUT);
        if arguments.deflate {
            config = config.deflate(DeflateConfig::new());
        }
        let limits = Limits {
            rooms: arguments.max_rooms,
            members: arguments.max_members,
            message: arguments.max_message,
        };
        let sharing = match arguments.redis {
            Some(_) => Sharing::Lost, // until it is reached
            None => Sharing::Off,
        };
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let name = format!("{:016x}", u64::from_ne_bytes(random));
        Ok(Self {
            page: page(&door)?,
            admission: Admission::new(door, address, &arguments.origin),
            config,
            budget: Budget::new(arguments.memory),
            max_queue: arguments.max_queue,
            rate: arguments.rate,
            hub: Mutex::new(Hub::new(name.clone(), limits, sharing)),
            name,
        })
    }

    /// What is done under the lock is short, and awaits nothing.
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page asks for a token, or for a name where no token is needed.
fn page(door: &Door) -> Result<Response, Box<dyn Error>> {
    let door = match door {
        Door::Open => "open",
        Door::Tokens(_) => "token",
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'; img-src blob: data:; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    Ok(Response::new(200)
        .with_html(&PAGE.replace("{door}", door))
        .with_header("Content-Security-Policy", policy)?
        .with_header("Referrer-Policy", "no-referrer")?
        .with_header("X-Content-Type-Options", "nosniff")?
        .with_header("Cache-Control", "no-cache")?)
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let told = |error| format!("{}: {error}", arguments.address);
    let listener = TcpListener::bind(&arguments.address).await.map_err(told)?;
    let address = listener.local_addr()?;
    let server = Arc::new(Server::new(&arguments, address)?);
    let link = match &arguments.redis {
        Some(url) => Some(Link {
            client: redis::Client::open(url.as_str())
                .map_err(|error| format!("--redis: {error}"))?,
            prefix: arguments.redis_prefix,
            server: Arc::clone(&server),
        }),
        None => None,
    };
    let mut out = io::stdout();
    writeln!(out, "listening on http://{address}/")?;
    out.flush()?;
    let link = link.map(|link| tokio::spawn(link.run()));
    let places = Arc::new(Semaphore::new(arguments.max_connections as usize));
    tokio::select! {
        () = accept(&listener, &server, &places) => {}
        stopped = stop_signal() => stopped?,
    }
    drop(listener);
    log(format_args!("ending; once more to end at once"));
    tokio::spawn(async {
        let _ = stop_signal().await;
        process::exit(130);
    });
    server.hub().close_all();
    let all = places.acquire_many(arguments.max_connections);
    if timeout(STOP_TIMEOUT, all).await.is_err() {
        log(format_args!("some connections would not close"));
    }
    server.hub().close_link();
    if let Some(link) = link {
        // If Redis is away there is nobody to tell.
        let _ = timeout(Duration::from_secs(1), link).await;
    }
    Ok(())
}

async fn accept(listener: &TcpListener, server: &Arc<Server>, places: &Arc<Semaphore>) {
    for id in 0.. {
        // A failed accept is the peer's or the moment's (no more files), so it ends nothing.
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                log(format_args!("accept: {error}"));
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            log(format_args!(
                "{peer}: refused, there are too many connections"
            ));
            continue;
        };
        let server = Arc::clone(server);
        tokio::spawn(async move {
            visit::serve(stream, peer, id, server).await;
            drop(place);
        });
    }
}

/// Ctrl-C, or what a service manager sends.
async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// A line of the log; unlike `eprintln!`, does not panic when nobody takes it.
fn log(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}
