//! [`Connection`]: a whole endpoint, and every transition of its state.
//!
//! ```text
//!                    accept (server)                       close, or
//!                    101 (client)                          the peer's Close
//!   ┌────────────┐ ────────────────────▶ ┌──────────┐ ────────────────────▶ ┌───────────┐
//!   │ Connecting │                       │   Open   │                       │  Closing  │
//!   └────────────┘                       └──────────┘                       └───────────┘
//!         │  respond, refusal, failure        │  failure, end of stream           │  both Closes
//!         │                                   ▼                                   │  exchanged
//!         │  end of stream               ┌──────────┐                             │
//!         └────────────────────────────▶ │  Closed  │ ◀───────────────────────────┘
//!                                        └──────────┘   failure, end of stream
//! ```
//!
//! A failure or refusal passes through Closing while its last bytes wait to be written. The receiving
//! half ([`receiver`]) and the sending half ([`sender`]) know nothing of each other; here what one
//! owes is handed to the other.

pub(crate) mod queue;
pub(crate) mod receiver;
pub(crate) mod sender;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use crate::close::{ABNORMAL, CloseCode, NO_STATUS};
use crate::config::Config;
use crate::error::{EntropyError, Error, SendError};
use crate::event::{Ending, Event};
use crate::frame::{Opcode, Role};
use crate::handshake::{
    Answer, ClientHandshake, ClientRequest, HandshakeError, Response, ServerHandshake,
};
use receiver::Receiver;
use sender::{Fin, Sender};

/// One end of a WebSocket connection (RFC 6455), without its socket.
///
/// Its methods are of four kinds:
///
/// * input: [`receive`](Self::receive) takes bytes that the transport delivered and returns events,
///   [`end_of_stream`](Self::end_of_stream) takes the end of the transport;
/// * what the caller wants: [`accept`](Self::accept) and [`respond`](Self::respond) answer a request,
///   [`send_text`](Self::send_text) and its kin send, [`close`](Self::close) closes;
/// * output: [`output`](Self::output) is what to write, [`sent`](Self::sent) says how much of it was;
/// * questions: [`state`](Self::state), [`is_closed`](Self::is_closed),
///   [`buffered_amount`](Self::buffered_amount), [`role`](Self::role).
///
/// All of them may be called at any time and in any order. After any call of the first two kinds
/// there may be output: write until it is empty.
///
/// ```
/// use sockless::{Config, Connection, Event, Role};
///
/// let mut ws = Connection::upgraded(Role::Server, Config::default());
/// // RFC 6455 §5.7: a masked "Hello".
/// let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let mut input = &mut bytes[..];
/// while let Some(event) = ws.receive(&mut input) {
///     match event {
///         Event::Text(text) => ws.send_text(&text)?,
///         _ => {}
///     }
/// }
/// assert_eq!(ws.output(), b"\x81\x05Hello");
/// ws.sent(7);
/// assert!(ws.output().is_empty());
/// # Ok::<(), sockless::SendError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    role: Role,
    /// What is not needed once the connection is open, and idle connections do not hold.
    opening: Option<Box<Opening>>,
    /// The transport has ended, and so did the connection.
    ending: Option<Box<Ending>>,
}

/// Where a connection stands: `readyState` of the browser's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the four states of the WebSocket API"
)]
pub enum State {
    /// The opening handshake is under way.
    Connecting,
    /// Messages can be sent.
    Open,
    /// A Close was sent or received, or the connection failed or was refused: there is something
    /// left to write or to wait for.
    Closing,
    /// Nothing is left to write or to wait for; the transport can be dropped.
    Closed,
}

/// The way to the open connection.
#[derive(Debug)]
enum Opening {
    /// Server: the request is arriving or, if `asked`, with the caller; then what arrives until it is
    /// answered is kept in `early`.
    Request {
        handshake: ServerHandshake,
        asked: bool,
        early: Vec<u8>,
        max_early_data: usize,
    },
    /// Client: the response is arriving.
    Response(ClientHandshake),
    /// Server, open: what arrived before the answer is still to be read, from `at` on.
    Early { bytes: Vec<u8>, at: usize },
    /// The handshake came to nothing.
    Over(Option<HandshakeError>),
}

impl Connection {
    /// The server's end: waits for a request (§4.2).
    #[must_use]
    pub fn server(config: Config) -> Self {
        let mut connection = Self::new(Role::Server, &config);
        connection.opening = Some(Box::new(Opening::Request {
            handshake: ServerHandshake::new(&config),
            asked: false,
            early: Vec::new(),
            max_early_data: config.max_early_data,
        }));
        connection
    }

    /// The client's end: `request` is queued with a fresh random key (§4.1).
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if [`Config::entropy`] fails.
    pub fn client(request: ClientRequest, config: Config) -> Result<Self, EntropyError> {
        let mut nonce = [0; 16];
        (config.entropy)(&mut nonce)?;
        let mut connection = Self::new(Role::Client, &config);
        let queue = &mut connection.sender.queue;
        let handshake = queue.text(|out| ClientHandshake::new(&request, nonce, &config, out));
        connection.opening = Some(Box::new(Opening::Response(handshake)));
        Ok(connection)
    }

    /// Either end of a connection that another HTTP stack has upgraded: it is open at once.
    ///
    /// For hyper, axum and the like, and for HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220); the checks of
    /// the handshake are in [`handshake`](crate::handshake). Bytes that the other stack has read
    /// beyond its part are the first to [`receive`](Self::receive).
    #[must_use]
    pub fn upgraded(role: Role, config: Config) -> Self {
        let mut connection = Self::new(role, &config);
        connection.open();
        connection
    }

    /// Takes bytes that the transport delivered and returns what they amount to.
    ///
    /// Advances `input` past what it used and unmasks in place, so the buffer's contents are not
    /// kept. A message that lies in `input` whole is lent from it; one that was cut, by a read or
    /// into fragments, is gathered and handed over by value. `None` means that all of `input` is
    /// used: read more. Events do not borrow the connection, so it can be used while they are.
    ///
    /// What RFC 6455 wants answered is answered, in [`output`](Self::output), before the event is
    /// returned; so is a violation of its rules, which is reported as [`Event::Fail`]. After
    /// [`Event::Close`], [`Event::Fail`], [`Event::Rejected`] or the end of the stream, input is
    /// used up and ignored (§7.1.7). Empty input is not the end of the stream: it only lets a server
    /// that answered late read what came early.
    #[inline]
    pub fn receive<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        match self.receiver.take_message(input) {
            Some((opcode, payload)) => match receiver::lend(opcode, payload) {
                Ok(event) => Some(event),
                Err(error) => Some(self.fail(error)),
            },
            None => self.receive_slowly(input),
        }
    }

    /// The transport has ended, or was dropped: says how the connection ended (§7.1.4 to §7.1.6).
    ///
    /// Forgets pending output, which nobody can write any more. May be called again: the answer
    /// stays the same.
    pub fn end_of_stream(&mut self) -> Ending {
        if let Some(ending) = &self.ending {
            return Ending::clone(ending);
        }
        let (mut error, mut response) = (self.receiver.failure(), None);
        match self.opening.as_deref_mut() {
            Some(Opening::Response(handshake)) => response = handshake.end_of_stream(),
            Some(Opening::Over(failure)) => error = failure.map(Error::Handshake),
            _ => {}
        }
        let close = self.receiver.peer_close();
        let ending = Ending {
            // R198 (§7.1.5): the code of the Close received.
            code: close.map_or(ABNORMAL, |close| close.code.map_or(NO_STATUS, u16::from)),
            reason: close.map_or_else(Box::default, |close| close.reason.clone()),
            // R199 (§7.1.4): only if ours has left too.
            clean: close.is_some() && self.sender.close_sent(),
            truncated: self.is_connecting() || self.receiver.is_mid_message(),
            sent_code: self.sender.sent_code(),
            error,
            response,
        };
        self.on_end_of_stream(ending.clone());
        ending
    }

    /// Agrees to the request (§4.2.2): queues the 101, and the connection is open.
    ///
    /// [`Response::default`] is enough; a subprotocol and further headers can be added to it.
    ///
    /// # Errors
    ///
    /// [`SendError::NoRequest`] if no request waits for an answer, [`SendError::NotUpgrade`] if it is
    /// not one for a WebSocket; [`SendError::SubprotocolNotOffered`], [`SendError::InvalidStatus`] or
    /// [`SendError::UnexpectedBody`] for a response that does not fit.
    pub fn accept(&mut self, response: Response) -> Result<(), SendError> {
        let Some(Opening::Request {
            handshake,
            asked: true,
            early,
            ..
        }) = self.opening.as_deref_mut()
        else {
            return Err(SendError::NoRequest);
        };
        self.sender
            .queue
            .text(|out| handshake.accept(&response, out))?;
        let bytes = mem::take(early);
        // R094: open from here on.
        self.open();
        if !bytes.is_empty() {
            self.opening = Some(Box::new(Opening::Early { bytes, at: 0 }));
        }
        Ok(())
    }

    /// Answers the request with an ordinary HTTP response, and no WebSocket: refuses an upgrade, or
    /// serves a plain request that [`Config::serve_plain_http`] let through.
    ///
    /// The connection is closed once the response has been written.
    ///
    /// # Errors
    ///
    /// [`SendError::NoRequest`] if no request waits for an answer; [`SendError::InvalidStatus`] for a
    /// status other than 300 to 599 in answer to an upgrade, or 200 to 599 to a plain request.
    pub fn respond(&mut self, response: Response) -> Result<(), SendError> {
        let Some(Opening::Request {
            handshake,
            asked: true,
            ..
        }) = self.opening.as_deref_mut()
        else {
            return Err(SendError::NoRequest);
        };
        self.sender
            .queue
            .text(|out| handshake.respond(&response, out))?;
        self.on_handshake_over(None);
        Ok(())
    }

    /// Queues a text message (§5.6), in fragments if [`Config::fragment_size`] says so.
    ///
    /// # Errors
    ///
    /// [`SendError::Connecting`] or [`SendError::Closed`] if the connection is not open,
    /// [`SendError::MessageInProgress`] inside a message sent in parts, [`SendError::Entropy`] if a
    /// client finds no mask.
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.sender.send_message(Opcode::Text, text.as_bytes())
    }

    /// Queues a binary message (§5.6), in fragments if [`Config::fragment_size`] says so.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        self.sender.send_message(Opcode::Binary, data)
    }

    /// Queues a part of a text message whose length need not be known (§5.4).
    ///
    /// The first part begins the message, the one with [`Fin::Last`] ends it; until then pings, pongs
    /// and a close may be sent between, but no other message.
    ///
    /// ```
    /// use sockless::{Config, Connection, Fin, Role};
    ///
    /// let mut ws = Connection::upgraded(Role::Server, Config::default());
    /// ws.send_text_part("Hel", Fin::More)?;
    /// ws.send_text_part("lo", Fin::Last)?;
    /// // RFC 6455 §5.7: a fragmented "Hello".
    /// assert_eq!(ws.output(), b"\x01\x03Hel\x80\x02lo");
    /// # Ok::<(), sockless::SendError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text), with [`SendError::MessageInProgress`] for a part of a text
    /// message inside a binary one.
    pub fn send_text_part(&mut self, text: &str, fin: Fin) -> Result<(), SendError> {
        self.sender.send_part(Opcode::Text, text.as_bytes(), fin)
    }

    /// Queues a part of a binary message whose length need not be known (§5.4).
    ///
    /// # Errors
    ///
    /// As [`send_text_part`](Self::send_text_part), with the types the other way round.
    pub fn send_binary_part(&mut self, data: &[u8], fin: Fin) -> Result<(), SendError> {
        self.sender.send_part(Opcode::Binary, data, fin)
    }

    /// Queues a ping with at most 125 bytes of payload (§5.5.2).
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`] for a longer payload, else as [`send_text`](Self::send_text).
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.send_ping(payload)
    }

    /// Queues a pong with at most 125 bytes of payload (§5.5.3): a sign of life that nobody asked
    /// for, or the answer to a ping with [`PongMode::Manual`](crate::PongMode::Manual). It never
    /// takes the place of an automatic one.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`] for a longer payload; [`SendError::Connecting`] or
    /// [`SendError::Closed`] before the connection opens and after the peer's Close, but not while
    /// ours is unanswered; [`SendError::Entropy`] if a client finds no mask.
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.send_pong(payload)
    }

    /// Begins to close (§7.1.2): queues a Close with `code` and a `reason` of at most 123 bytes,
    /// behind all that is queued. Until the peer's Close arrives its messages are still delivered.
    ///
    /// A message that is being sent in parts is left unfinished. If a Close was queued before, or the
    /// peer's has come, this does nothing: there is only ever one.
    ///
    /// # Errors
    ///
    /// [`SendError::Connecting`] before the connection is open, [`SendError::ReasonTooLong`],
    /// [`SendError::ClientCloseCode`] for code 1010 from a server, [`SendError::Entropy`] if a client
    /// finds no mask.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(Some(code), reason)
    }

    /// As [`close`](Self::close), with a Close that has no code: the peer sees 1005 (§7.1.5).
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_without_code(&mut self) -> Result<(), SendError> {
        self.sender.close(None, "")
    }

    /// The next bytes to write to the transport; empty only when there are none at all.
    ///
    /// It may be a part of what is pending: write, tell [`sent`](Self::sent), and ask again.
    #[inline]
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.sender.queue.output()
    }

    /// The first `n` bytes of [`output`](Self::output) have been written. A larger `n` counts as all
    /// of it.
    #[inline]
    pub fn sent(&mut self, n: usize) {
        self.sender.queue.sent(n);
    }

    /// All bytes that wait to be written: `bufferedAmount` of the browser's API, with headers.
    ///
    /// It grows with each send and has no limit of its own: a caller that produces faster than its
    /// peer reads watches it. What the connection queues by itself stays below
    /// [`Config::high_water_mark`], one pong, and one Close.
    #[inline]
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.sender.queue.len()
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        if self.is_closed() {
            State::Closed
        } else if self.is_connecting() {
            State::Connecting
        } else if self.sender.is_open() && !self.receiver.is_done() {
            State::Open
        } else {
            State::Closing
        }
    }

    /// Whether nothing is left to write or to wait for, so that the transport can be dropped.
    ///
    /// After a closing handshake a server is done once its Close has been written; a client waits
    /// for the server to end the transport (§7.1.1). A connection that failed or was refused is done
    /// once its last bytes have been written.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        if self.ending.is_some() {
            return true;
        }
        if !self.output().is_empty() {
            return false;
        }
        match self.opening.as_deref() {
            Some(Opening::Over(_)) => true,
            _ if self.receiver.failure().is_some() => true,
            // R195: both Closes have been exchanged.
            _ => self.role == Role::Server && self.receiver.peer_close().is_some(),
        }
    }

    /// Which end this is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    fn new(role: Role, config: &Config) -> Self {
        Self {
            receiver: Receiver::new(role, config),
            sender: Sender::new(role, config),
            role,
            opening: None,
            ending: None,
        }
    }

    fn is_connecting(&self) -> bool {
        matches!(
            self.opening.as_deref(),
            Some(Opening::Request { .. } | Opening::Response(_))
        )
    }

    /// Everything that is not a whole message in the input.
    #[inline(never)]
    fn receive_slowly<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        if self.opening.is_some() {
            if let Some(event) = self.receive_opening(input) {
                return Some(event);
            }
        }
        self.receiver
            .receive(input, |reply| self.sender.reply(reply))
    }

    /// The handshake, and what came before its answer. `None` once frames may follow, or all input
    /// is used.
    fn receive_opening<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        match self.opening.as_deref_mut()? {
            Opening::Request {
                handshake,
                asked: asked @ false,
                ..
            } => match handshake.receive(input)? {
                Ok(request) => {
                    *asked = true;
                    Some(Event::Request(request))
                }
                Err(error) => Some(self.refuse(error)),
            },
            Opening::Request {
                early,
                max_early_data,
                ..
            } => {
                // R084: kept for after the answer, within bounds.
                let bytes = mem::take(input);
                if bytes.len() > max_early_data.saturating_sub(early.len()) {
                    return Some(self.refuse(HandshakeError::TooMuchEarlyData));
                }
                early.extend_from_slice(bytes);
                None
            }
            Opening::Response(handshake) => match handshake.receive(input)? {
                Ok(Answer::Open(response)) => {
                    self.open();
                    Some(Event::Open(response))
                }
                Ok(Answer::Rejected(response)) => {
                    self.sender.queue.clear();
                    self.on_handshake_over(None);
                    Some(Event::Rejected(response))
                }
                Err(error) => {
                    self.sender.queue.clear();
                    self.on_handshake_over(Some(error));
                    Some(Event::Fail(Error::Handshake(error)))
                }
            },
            Opening::Early { bytes, at } => {
                let mut early = bytes.get_mut(*at..).unwrap_or_default();
                let before = early.len();
                let sender = &mut self.sender;
                let event = self
                    .receiver
                    .receive(&mut early, |reply| sender.reply(reply));
                *at += before - early.len();
                match event {
                    Some(event) => Some(event.into_owned()),
                    None => {
                        self.opening = None;
                        None
                    }
                }
            }
            Opening::Over(_) => None,
        }
    }

    fn fail<'b>(&mut self, error: Error) -> Event<'b> {
        self.receiver.fail(error, |reply| self.sender.reply(reply))
    }

    /// Answers a request that is none with the status that says why.
    fn refuse<'b>(&mut self, error: HandshakeError) -> Event<'b> {
        self.sender.queue.text(|out| error.write_response(out));
        self.on_handshake_over(Some(error));
        Event::Fail(Error::Handshake(error))
    }

    // The transitions.

    /// Connecting → Open.
    fn open(&mut self) {
        self.opening = None;
        self.receiver.open();
        self.sender.open();
    }

    /// Connecting → Closing: answered, refused or failed; Closed once the answer is written.
    fn on_handshake_over(&mut self, error: Option<HandshakeError>) {
        self.opening = Some(Box::new(Opening::Over(error)));
        self.receiver.shut();
        self.sender.shut();
    }

    /// Any state → Closed.
    fn on_end_of_stream(&mut self, ending: Ending) {
        self.ending = Some(Box::new(ending));
        self.opening = None;
        self.receiver.shut();
        self.sender.shut();
        self.sender.queue.clear();
    }
}
