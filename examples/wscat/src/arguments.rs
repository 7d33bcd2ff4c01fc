//! The command line.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{ArgAction, ArgGroup, Parser};
use sockless::{ClientRequest, CloseCode, Config, DeflateConfig};

use crate::tls::Trust;

/// Talks to a WebSocket server: sends lines, prints messages.
///
/// Each line of the input is sent as a text message, and the end of the input closes the connection.
/// Messages are printed on standard output, everything else on standard error. Ctrl-C closes the
/// connection, a second one leaves at once.
#[derive(Parser)]
#[command(version, after_help = STATUS)]
#[command(group(ArgGroup::new("peer").required(true).args(["url", "listen"])))]
pub(crate) struct Arguments {
    /// ws://host[:port][/path][?query], or wss:// for TLS
    pub(crate) url: Option<String>,
    /// Be a server instead: print what clients send, and send them the input; one at a time
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// With --listen: end with the first client
    #[arg(long, requires = "listen")]
    pub(crate) once: bool,

    /// Send a header field; may be repeated
    #[arg(
        short = 'H',
        long,
        value_name = "NAME: VALUE",
        conflicts_with = "listen"
    )]
    header: Vec<String>,
    /// Offer a subprotocol, the preferred one first; with --listen: agree to it; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(crate) subprotocol: Vec<String>,
    /// Send this origin, as a page would
    #[arg(short, long, conflicts_with = "listen")]
    origin: Option<String>,
    /// Send a name and password (basic authentication)
    #[arg(long, value_name = "USER:PASSWORD", conflicts_with = "listen")]
    auth: Option<String>,

    /// Trust the certificates in this file (PEM), and no others
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    cacert: Option<PathBuf>,
    /// Ask for no proof of who the server is
    #[arg(short = 'k', long)]
    insecure: bool,

    /// Compress messages, if the peer can too
    #[arg(short, long)]
    compress: bool,
    /// Let messages refer to earlier ones, in both directions
    #[arg(long, requires = "compress")]
    takeover: bool,
    /// How far back messages may refer, in both directions: 2 to the power of this, 8 to 15
    #[arg(long, requires = "compress", value_name = "BITS", default_value_t = 15)]
    #[arg(value_parser = clap::value_parser!(u8).range(8..=15))]
    window_bits: u8,

    /// Send this text instead of the input; may be repeated
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Vec<String>,
    /// Send this file as one binary message, before anything else; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) binary_in: Vec<PathBuf>,
    /// Write each binary message to a file in this folder: 000001.bin and so on
    #[arg(long, value_name = "FOLDER")]
    pub(crate) binary_out: Option<PathBuf>,
    /// Send nothing of the input: only print
    #[arg(short, long)]
    pub(crate) no_input: bool,
    /// When everything is sent, stay so long before closing; -1 is without end. Default: 0; with
    /// --no-input alone without end, with --count as long as --timeout
    #[arg(short, long, value_name = "SECONDS", allow_hyphen_values = true)]
    wait: Option<i64>,
    /// Close when so many messages have come; their absence is a failure
    #[arg(long, value_name = "NUMBER")]
    pub(crate) count: Option<u64>,
    /// Close with this code
    #[arg(long, value_name = "CODE", default_value = "1000", value_parser = parse_code)]
    pub(crate) close_code: CloseCode,
    /// Close with this reason
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) close_reason: String,

    /// Send a ping as often as this, and show how long its pong takes
    #[arg(short, long, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) ping: Option<u64>,
    /// The longest message to take, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_size: usize,
    /// How long the peer may take to be connected to, and to answer a request or a Close
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Print the handshake and the frames as they pass, both ways
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub(crate) verbose: bool,
    /// Print everything as JSON, an object on each line
    #[arg(long)]
    pub(crate) json: bool,
}

const STATUS: &str = "\
Exit status:
  0    closed cleanly, with code 1000, 1001 or none
  1    something went wrong on this side: a file, the output
  2    wrong arguments, a bad URL among them
  3    no connection: no such host, refused, TLS
  4    the server answered with another HTTP status than 101
  5    the peer broke a rule of the protocol, or took too long
  6    the connection ended without a closing handshake
  7    closed cleanly, but before --count messages had come
  8    closed cleanly, with another code
  130  Ctrl-C before there was a connection, or twice";

impl Arguments {
    pub(crate) fn request(&self, url: &str) -> Result<ClientRequest, Box<dyn Error>> {
        let mut request = ClientRequest::new(url).map_err(|error| format!("{url:?}: {error}"))?;
        for name in &self.subprotocol {
            request = request.with_subprotocol(name)?;
        }
        if let Some(origin) = &self.origin {
            request = request.with_origin(origin)?;
        }
        if let Some(auth) = &self.auth {
            let value = format!("Basic {}", BASE64_STANDARD.encode(auth));
            request = request.with_header("Authorization", value)?;
        }
        for header in &self.header {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| format!("--header {header:?}: no colon in it"))?;
            request = request
                .with_header(name, value.trim())
                .map_err(|error| format!("--header {header:?}: {error}"))?;
        }
        Ok(request)
    }

    pub(crate) fn config(&self) -> Config {
        let config = Config::default()
            .max_message_size(self.max_size)
            .max_frame_size(self.max_size)
            .handshake_timeout(self.timeout())
            .close_timeout(self.timeout());
        if !self.compress {
            return config;
        }
        let mut deflate = DeflateConfig::new()
            .server_max_window_bits(self.window_bits)
            .client_max_window_bits(self.window_bits);
        if self.takeover {
            deflate = deflate.server_context_takeover().client_context_takeover();
        }
        config.deflate(deflate)
    }

    pub(crate) fn trust(&self) -> Trust<'_> {
        match &self.cacert {
            _ if self.insecure => Trust::All,
            Some(path) => Trust::File(path),
            None => Trust::Authorities,
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// How long to stay when everything is sent, if not without end.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self.wait {
            Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
            None if self.count.is_some() => Some(self.timeout()),
            None if self.no_input && self.message.is_empty() => None,
            None => Some(Duration::ZERO),
        }
    }

    pub(crate) fn reads_input(&self) -> bool {
        self.message.is_empty() && !self.no_input
    }
}

fn parse_code(text: &str) -> Result<CloseCode, String> {
    let code = text.parse().ok().and_then(CloseCode::new);
    code.ok_or_else(|| "not a code that may be sent: 1000-1003, 1007-1014, 3000-4999".into())
}
