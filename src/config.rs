//! [`Config`]: the limits of a connection and the few choices that RFC 6455 leaves open.

use core::time::Duration;

#[cfg(feature = "deflate")]
use crate::deflate::DeflateConfig;
use crate::error::EntropyError;

/// Fills a buffer with unpredictable bytes; see [`Config::entropy`].
pub type Entropy = fn(&mut [u8]) -> Result<(), EntropyError>;

/// Who answers the peer's pings (RFC 6455 §5.5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PongMode {
    /// The connection: at once, or only the latest when its output is backed up.
    #[default]
    Automatic,
    /// The caller, with [`send_pong`](crate::Connection::send_pong) on each
    /// [`Event::Ping`](crate::Event::Ping).
    Manual,
    /// Nobody: pings are neither answered nor reported. This breaks §5.5.2; it is for tests of a
    /// peer's keepalive.
    Off,
}

/// How messages are handed over (RFC 6455 §5.4, §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Whole, in [`Event::Text`](crate::Event::Text) and [`Event::Binary`](crate::Event::Binary).
    #[default]
    Messages,
    /// As they arrive, in [`Event::TextPart`](crate::Event::TextPart) and
    /// [`Event::BinaryPart`](crate::Event::BinaryPart): nothing is gathered, so memory does not
    /// depend on the size of a message. Its limits hold all the same.
    Parts,
    /// As frames, control frames included, in [`Event::FrameHeader`](crate::Event::FrameHeader) and
    /// [`Event::FramePayload`](crate::Event::FramePayload): for proxies that pass them on with
    /// [`send_frame_header`](crate::Connection::send_frame_header) exactly as they came.
    ///
    /// Headers, their order and the limits are checked; what payloads say is for the ends to judge,
    /// RSV1 is theirs to agree on, and pings and Closes are theirs to answer. After a Close frame
    /// nothing more is received.
    Frames,
}

/// The limits and choices of a [`Connection`](crate::Connection).
///
/// Every limit is finite by default and exact: a value at the limit passes, one above fails. Sizes
/// are in bytes.
///
/// ```
/// use sockless::{Config, Connection};
///
/// let config = Config::default().max_message_size(64 * 1024).fragment_size(16 * 1024);
/// let ws = Connection::server(config);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) max_frame_size: usize,
    pub(crate) max_message_size: usize,
    pub(crate) max_fragments: u32,
    pub(crate) fragment_size: usize,
    pub(crate) high_water_mark: usize,
    pub(crate) back_pressure: bool,
    pub(crate) pong_mode: PongMode,
    pub(crate) max_head_size: usize,
    pub(crate) max_headers: usize,
    pub(crate) max_interim_responses: usize,
    pub(crate) max_response_body: usize,
    pub(crate) max_early_data: usize,
    pub(crate) plain_http: bool,
    pub(crate) require_subprotocol: bool,
    pub(crate) delivery: Delivery,
    pub(crate) handshake_timeout: Duration,
    pub(crate) ping_interval: Duration,
    pub(crate) pong_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) no_message_timeout: Duration,
    pub(crate) message_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) entropy: Entropy,
    #[cfg(feature = "deflate")]
    pub(crate) deflate: Option<DeflateConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame_size: usize::MAX,
            max_message_size: 16 << 20,
            max_fragments: 1 << 17,
            fragment_size: usize::MAX,
            high_water_mark: 64 << 10,
            back_pressure: false,
            pong_mode: PongMode::Automatic,
            max_head_size: 16 << 10,
            max_headers: 100,
            max_interim_responses: 8,
            max_response_body: 16 << 10,
            max_early_data: 64 << 10,
            plain_http: false,
            require_subprotocol: false,
            delivery: Delivery::Messages,
            handshake_timeout: Duration::from_secs(30),
            ping_interval: Duration::MAX,
            pong_timeout: Duration::MAX,
            idle_timeout: Duration::MAX,
            no_message_timeout: Duration::MAX,
            message_timeout: Duration::MAX,
            write_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(10),
            entropy: default_entropy,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

impl Config {
    /// The longest payload of a received frame. Default: no limit, but a frame is part of a message, and
    /// [`max_message_size`](Self::max_message_size) bounds it. (RFC 6455 §10.4)
    ///
    /// Frames of compressed messages may be a quarter and 256 bytes longer, because what does not get
    /// shorter gets longer.
    #[must_use]
    pub const fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = bytes;
        self
    }

    /// The longest received message, all its fragments together and after decompression. Default:
    /// 16 MiB. (§10.4)
    ///
    /// With [`Delivery::Parts`] nothing is gathered, and `usize::MAX` is a limit that costs no memory.
    #[must_use]
    pub const fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// The most frames in a received message, empty ones counted. Default: 131,072. (§10.4)
    ///
    /// The default is high because memory does not grow with the number of fragments here; it only
    /// ends a message of empty fragments that never ends by itself.
    #[must_use]
    pub const fn max_fragments(mut self, frames: u32) -> Self {
        self.max_fragments = frames;
        self
    }

    /// The longest payload of a frame that is sent: longer messages are cut into fragments of this
    /// size (§5.4). At least 1. Default: no limit, so each message is one frame.
    #[must_use]
    pub const fn fragment_size(mut self, bytes: usize) -> Self {
        self.fragment_size = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// The bytes of pending output that are enough. Default: 64 KiB.
    ///
    /// Above it pongs are no longer queued one for one: only the latest ping is answered, ahead of
    /// everything that waits, earlier pongs included (§5.5.3). [`Io::send`](crate::Io::send) is `false`, and
    /// with [`back_pressure`](Self::back_pressure) so is [`Io::read`](crate::Io::read).
    #[must_use]
    pub const fn high_water_mark(mut self, bytes: usize) -> Self {
        self.high_water_mark = bytes;
        self
    }

    /// Stops reading while more than [`high_water_mark`](Self::high_water_mark) waits to be written, so that a
    /// peer that sends and does not read is held back instead of making output grow. Default: off.
    ///
    /// For echoes, relays, and all that answers what it receives. Leave it off where both ends send of
    /// their own accord: if both stop reading, neither can go on, until
    /// [`write_timeout`](Self::write_timeout) ends it.
    #[must_use]
    pub const fn back_pressure(mut self) -> Self {
        self.back_pressure = true;
        self
    }

    /// Who answers pings. Default: the connection. (§5.5.2)
    #[must_use]
    pub const fn pong_mode(mut self, mode: PongMode) -> Self {
        self.pong_mode = mode;
        self
    }

    /// The longest head of a request or response: its first line, its header lines and the empty
    /// line. Default: 16 KiB.
    #[must_use]
    pub const fn max_head_size(mut self, bytes: usize) -> Self {
        self.max_head_size = bytes;
        self
    }

    /// The most header lines in a head; values above 128 count as 128. Default: 100.
    #[must_use]
    pub const fn max_headers(mut self, lines: usize) -> Self {
        self.max_headers = lines;
        self
    }

    /// The most interim responses (100, 102, 103) that a client skips. Default: 8. (RFC 9110 §15.2)
    #[must_use]
    pub const fn max_interim_responses(mut self, responses: usize) -> Self {
        self.max_interim_responses = responses;
        self
    }

    /// The most bytes of the body that a client keeps of a response other than 101. Default: 16 KiB.
    #[must_use]
    pub const fn max_response_body(mut self, bytes: usize) -> Self {
        self.max_response_body = bytes;
        self
    }

    /// The most bytes that a server keeps of what a client sends before its request is answered.
    /// Default: 64 KiB.
    #[must_use]
    pub const fn max_early_data(mut self, bytes: usize) -> Self {
        self.max_early_data = bytes;
        self
    }

    /// Hands requests that are not for a WebSocket to the caller too, in
    /// [`Event::Request`](crate::Event::Request), so that the same port can serve a page.
    /// [`Request::is_upgrade`](crate::Request::is_upgrade) tells them apart.
    ///
    /// All [methods](crate::Request::method) come but CONNECT, which is answered with 405: GET and HEAD for a
    /// page, OPTIONS of a load balancer's health check. A request with a body is answered with 400, as ever.
    ///
    /// Without it they are answered with 426 (Upgrade Required), and an unconditional
    /// [`accept`](crate::Connection::accept) is always right.
    #[must_use]
    pub const fn serve_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// As a client, fails the handshake when subprotocols were offered and the server chose none, as
    /// browsers do. RFC 6455 §4.1 allows it, so by default it is accepted.
    #[must_use]
    pub const fn require_subprotocol(mut self) -> Self {
        self.require_subprotocol = true;
        self
    }

    /// Whether messages are handed over whole or in parts. Default: whole.
    #[must_use]
    pub const fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// How long the peer may take for its part of the opening handshake. Default: 30 seconds. The
    /// answer to a request is the caller's part, and has no deadline.
    ///
    /// This and the other times are counted by what [`poll`](crate::Connection::poll) is told.
    /// [`Duration::MAX`] means without end.
    #[must_use]
    pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Keepalive: a ping when nothing was received, or nothing was written, for `interval`; and a failure
    /// with code 1011 when nothing at all is received for `timeout` after that. Default: no pings.
    /// (§5.5.2)
    ///
    /// So something is written every `interval`, also while the peer alone talks: a proxy between the two
    /// ends (nginx's `proxy_read_timeout`, many load balancers) may end a connection that one of them has
    /// not used for a while. Whatever is received once the ping is written shows that the peer lives, its
    /// pong or not; the pong tells the [`round_trip_time`](crate::Connection::round_trip_time).
    ///
    /// `timeout` does not run while the ping waits behind output that moves. A ping that comes due inside
    /// a frame that is [sent in pieces](crate::Connection::send_frame_header) waits for the end of that
    /// frame.
    ///
    /// With [`Delivery::Frames`] the ping is this end's own, and its pong comes as a frame like any other:
    /// leave keepalive to the ends, or do not pass on pongs that nobody there asked for.
    ///
    /// What counts is what was received. If you stop reading for the sake of back-pressure, nothing is:
    /// then `timeout` has to be longer than such a pause, or the peer fails that did nothing wrong.
    ///
    /// After [`Error::PongTimeout`](crate::Error::PongTimeout) the Close is still to be written, which a
    /// dead peer may never let happen: [`Next::Over`](crate::Next::Over) comes at the latest
    /// [`close_timeout`](Self::close_timeout) later.
    #[must_use]
    pub const fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        (self.ping_interval, self.pong_timeout) = (interval, timeout);
        self
    }

    /// How long the peer may be silent on an open connection, before it fails with code 1001: nothing is
    /// received, not even a ping or pong. Default: without end.
    ///
    /// With [`keepalive`](Self::keepalive) a peer that lives is never silent, for it answers pings. To end
    /// connections that nobody uses, set [`no_message_timeout`](Self::no_message_timeout).
    #[must_use]
    pub const fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long an open connection may go without receiving a message or a part of one, before it fails
    /// with code 1001. Pings and pongs do not count, the peer's answers to
    /// [`keepalive`](Self::keepalive) among them. Default: without end.
    #[must_use]
    pub const fn no_message_timeout(mut self, timeout: Duration) -> Self {
        self.no_message_timeout = timeout;
        self
    }

    /// How long a message may take from its first frame to its end, before the connection fails with
    /// code 1008. Default: without end.
    #[must_use]
    pub const fn message_timeout(mut self, timeout: Duration) -> Self {
        self.message_timeout = timeout;
        self
    }

    /// How long output may wait on an open connection without any of it being written, before the connection
    /// fails with code 1008: the peer does not read. Default: 60 seconds.
    #[must_use]
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// How long everything may take from the first Close, failure or refusal to the end of the
    /// transport, output that the peer does not read included. Default: 10 seconds. (§7.1.1)
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// The source of masks and of the handshake's key, which only a client needs (§5.3, §10.3).
    ///
    /// It must fill the whole buffer with bytes that a peer cannot predict. Default: the operating
    /// system's, with the feature `getrandom`; without that feature it fails until it is set.
    #[must_use]
    pub const fn entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// Compresses messages with permessage-deflate where the peer can too (RFC 7692): a client offers
    /// it, a server agrees to it. Default: no compression.
    ///
    /// Not for proxies: with [`Delivery::Frames`] nothing is inflated, and the other end has agreed to
    /// nothing.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    #[must_use]
    pub fn deflate(mut self, deflate: DeflateConfig) -> Self {
        self.deflate = Some(deflate);
        self
    }
}

#[cfg(feature = "getrandom")]
fn default_entropy(buffer: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(buffer).map_err(|_| EntropyError)
}

#[cfg(not(feature = "getrandom"))]
fn default_entropy(_: &mut [u8]) -> Result<(), EntropyError> {
    Err(EntropyError)
}
