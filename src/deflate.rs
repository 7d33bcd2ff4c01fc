//! Compressed messages: permessage-deflate, [RFC 7692].
//!
//! A [`DeflateConfig`] in [`Config::deflate`](crate::Config::deflate) is all that a
//! [`Connection`](crate::Connection) needs: it negotiates, inflates and deflates by itself. For those
//! whose HTTP stack does the handshake, [`DeflateConfig::choose`] is the server's part of the
//! negotiation and [`DeflateConfig::check`] the client's, over header values; what they agree on, the
//! [`Parameters`], goes into [`Connection::upgraded_with`](crate::Connection::upgraded_with).
//!
//! ```
//! use sockless::handshake::extensions;
//! use sockless::{Config, Connection, DeflateConfig, Role};
//!
//! // One for all connections: its clones share a pool of codecs.
//! let deflate = DeflateConfig::new();
//! let offered = extensions(b"permessage-deflate; client_max_window_bits").flatten();
//! let agreed = deflate.choose(offered).expect("it is acceptable");
//! let value = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
//! assert_eq!(agreed.to_string(), value); // for Sec-WebSocket-Extensions
//! let config = Config::default().deflate(deflate.clone());
//! let mut ws = Connection::upgraded_with(Role::Server, Some(agreed), config);
//! ws.send_text(&"well, ".repeat(100))?;
//! assert!(ws.buffered_amount() < 30);
//! # Ok::<(), sockless::SendError>(())
//! ```
//!
//! # Memory
//!
//! By default nothing is taken over from one message to the next. Then a connection keeps no state of
//! a codec between messages: it takes one from the pool of its [`DeflateConfig`], which is shared by
//! all clones, and gives it back at the message's end. Context takeover compresses short messages that
//! resemble each other far better, and costs memory for as long as the connection lives, in each
//! direction for itself:
//!
//! | window bits | to send | to receive |
//! |---:|---:|---:|
//! | 15 | 296 KiB | at most 32 KiB |
//! | 12 | 159 KiB | at most 4 KiB |
//! | 9 | 136 KiB | at most 512 bytes |
//!
//! What sends is given back with the connection's Close, what receives with the peer's. A message that is
//! being inflated takes 63 KiB beside what is gathered of it, or 95 KiB where it is handed over in parts.
//!
//! # What is sent compressed
//!
//! A whole message never gets longer by compression: one that would is sent as it is. With context takeover
//! the compressor is then set back to the last 8 KiB of what the peer has of it. (That takes 17 µs, and all
//! 32 KiB would take 60 µs.) The first of many short messages often gets no shorter, and as long as none
//! has, none can refer to another.
//!
//! A message that is sent in parts is compressed from its first part on, and each part ends with a flush of
//! five or six bytes, so that it can be read when it is there. Parts below a hundred bytes or so get longer by that:
//! [`Compression::Never`] is for them.
//!
//! A [`Prepared`](crate::Prepared) message is compressed once for all connections without context takeover
//! that have agreed on the same window, and once for each connection with it.
//!
//! Where frames of your own ([`send_frame_header`](crate::Connection::send_frame_header)) belong to a
//! compressed message, what is compressed behind them refers to nothing before them. Such a frame has to end
//! as a part does, with a flush or the end of the message.
//!
//! # The codec
//!
//! It is [zlib-rs], which nothing outside of this module can see. Compared with `miniz_oxide` 0.9 (and
//! `flate2`, which wraps either): for 1 KiB of JSON zlib-rs takes 14 µs to deflate at level 6 and
//! 2.6 µs to inflate, `miniz_oxide` takes 4.0 µs to inflate; and `miniz_oxide` deflates with a window of
//! 32 KiB only, so it cannot keep to a smaller one that a client demands. zlib-rs keeps to 9 to 15
//! bits. What it lacks:
//!
//! * It needs `std`, and so does the feature `deflate`.
//! * It cannot deflate with a window of 8 bits: such an offer is declined by a server, and a client
//!   that is told so sends everything uncompressed, which is always allowed.
//! * It ends at a final block: the stream is begun anew behind it, with the window put back. There may be any
//!   number of them in a message. One that reaches back across the final block before it costs about 1 µs; the
//!   work stays in proportion to what is received.
//! * Its inflater has a window of 32 KiB whatever was agreed. What is kept from one message to the
//!   next is what was agreed; within a message, a sender that reaches back further is not found out.
//! * Its hash table is 128 KiB large whatever the window, and clearing it for each message takes 4 µs.
//!
//! # Secrets
//!
//! The length of a compressed message tells how much its parts resemble each other. A secret that
//! stands next to text which an attacker chooses can be guessed from lengths alone, encryption or not
//! (§8): send such messages with [`Compression::Never`].
//!
//! [RFC 7692]: https://www.rfc-editor.org/rfc/rfc7692
//! [zlib-rs]: https://crates.io/crates/zlib-rs

mod codec;
mod history;
mod negotiate;
pub(crate) mod outbound;
mod pool;
pub(crate) mod shared;

pub(crate) mod inbound;

use alloc::sync::Arc;

pub use negotiate::Parameters;
use pool::Pool;

/// The name of the extension, which is compared exactly.
pub const NAME: &str = "permessage-deflate";

/// What a message's compressed form ends with and its sender leaves out (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// How an endpoint compresses; see [`Config::deflate`](crate::Config::deflate).
///
/// The settings with `server` and `client` in their names are the extension's parameters (RFC 7692
/// §7.1). An endpoint keeps to those for its own side, and asks its peer for those for the other.
///
/// Clones share one pool of codecs. So make one, and clone it (or the
/// [`Config`](crate::Config) that it is in) for each connection; the pool keeps as many codecs as
/// were ever in use at the same time, at most 16 for each direction.
#[derive(Clone, Debug)]
pub struct DeflateConfig {
    server_context: Context,
    client_context: Context,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
    client_bits: ClientBits,
    level: u8,
    threshold: usize,
    max_ratio: u32,
    pool: Arc<Pool>,
}

/// What becomes of the window between two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    Takeover,
    NoTakeover,
}

/// Whether a client's offer has `client_max_window_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientBits {
    Offered,
    Unmentioned,
}

/// Which of the messages that are sent get compressed; see
/// [`set_compression`](crate::Connection::set_compression).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Those of at least [`DeflateConfig::threshold`] bytes that get shorter by it, and those that are
    /// sent in two or more parts.
    #[default]
    Automatic,
    /// None: for what is secret, and for what is compressed already.
    Never,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl DeflateConfig {
    /// No context takeover on either side, windows of 15 bits, level 6; with a pool of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            server_context: Context::NoTakeover,
            client_context: Context::NoTakeover,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
            client_bits: ClientBits::Offered,
            level: 6,
            threshold: 64,
            max_ratio: u32::MAX,
            pool: Arc::default(),
        }
    }

    /// Lets the server's messages refer to earlier ones: as a server, unless the client forbids it; as
    /// a client, by not forbidding it. (RFC 7692 §7.1.1.1)
    #[must_use]
    pub const fn server_context_takeover(mut self) -> Self {
        self.server_context = Context::Takeover;
        self
    }

    /// Lets the client's messages refer to earlier ones: as a client, unless the server forbids it; as
    /// a server, by not forbidding it. (§7.1.1.2)
    #[must_use]
    pub const fn client_context_takeover(mut self) -> Self {
        self.client_context = Context::Takeover;
        self
    }

    /// How far back the server's messages may refer: 2 to the power of `bits` bytes. From 8 to 15; a
    /// server's own is at least 9. Default: 15. (§7.1.2.1)
    ///
    /// A client that sets less demands it, and gets no compression from a server that cannot.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = clamp(bits);
        self
    }

    /// How far back the client's messages may refer, as
    /// [`server_max_window_bits`](Self::server_max_window_bits). Default: 15. (§7.1.2.2)
    ///
    /// A server can only ask for less if the client's offer allows it; where it does not, nothing is asked
    /// for, and 15 is agreed.
    ///
    /// Do not ask for 8 as a server unless you know your clients: zlib cannot compress with a window that
    /// small. A client that is built on it, as most are, gives up the connection, or breaks it with its
    /// first long message. A client of this crate sends everything uncompressed. Ask for 9 or more.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = clamp(bits);
        self
    }

    /// Leaves `client_max_window_bits` out of a client's offer, for servers that refuse an offer with it.
    /// Default: it is in the offer, so that the server may set the client's window. (§7.1.2.2)
    ///
    /// A server that sets the window all the same fails the handshake with
    /// [`HandshakeError::UnacceptableExtension`](crate::handshake::HandshakeError::UnacceptableExtension).
    /// The client keeps to its own [`client_max_window_bits`](Self::client_max_window_bits) in any case. As a
    /// server it has no effect.
    #[must_use]
    pub const fn without_client_max_window_bits(mut self) -> Self {
        self.client_bits = ClientBits::Unmentioned;
        self
    }

    /// The effort, from 1 (fast) to 9 (small); other values count as the nearest of these. Default: 6.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = match level {
            0 => 1,
            1..=9 => level,
            _ => 9,
        };
        self
    }

    /// The length in bytes from which on a message is compressed. Default: 64.
    ///
    /// Without context takeover short messages hardly get shorter. With it they do: then a threshold
    /// of 0 may be right.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// How many times larger than its compressed form a received message may be, from 64 KiB on. It is
    /// judged after every 256 bytes of the compressed form and at the message's end, wherever the input is
    /// cut. A message above it fails with
    /// [`Error::RatioTooHigh`](crate::Error::RatioTooHigh) (1009). Default: no limit other than
    /// [`Config::max_message_size`](crate::Config::max_message_size), which is checked while
    /// inflating and holds in any case. What is possible at all is 1032.
    #[must_use]
    pub const fn max_ratio(mut self, ratio: u32) -> Self {
        self.max_ratio = ratio;
        self
    }
}

const fn clamp(bits: u8) -> u8 {
    match bits {
        ..8 => 8,
        8..=15 => bits,
        _ => 15,
    }
}
