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
//! half (`receiver`) and the sending half (`sender`) know nothing of each other; here what one
//! owes is handed to the other.

pub(crate) mod clock;
mod opening;
pub(crate) mod poll;
pub(crate) mod queue;
pub(crate) mod receiver;
pub(crate) mod sender;
mod sending;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use core::{fmt, mem};

use crate::close::{ABNORMAL, NO_STATUS};
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::deflate::Parameters;
use crate::error::{EntropyError, Error, SendError};
use crate::event::{Ending, Event};
use crate::frame::Role;
use crate::handshake::{ClientHandshake, ClientRequest, HandshakeError, Response, ServerHandshake};
use crate::input::Store;
use clock::{Seen, Stage, Verdict};
use opening::{Opening, Over, Progress};
use receiver::Receiver;
use sender::Sender;

/// One end of a WebSocket connection (RFC 6455), without its socket.
///
/// [`poll`](Self::poll) is the one question of a loop: it returns events, and says what I/O to do. Its other
/// methods are of three kinds:
///
/// * what was done: [`on_read`](Self::on_read) and [`on_write`](Self::on_write), or without `std`
///   [`Input::filled`](crate::Input::filled), [`read_ended`](Self::read_ended),
///   [`transport_reset`](Self::transport_reset), [`sent`](Self::sent), [`flushed`](Self::flushed),
///   [`shut`](Self::shut) and [`write_failed`](Self::write_failed);
/// * what you want: [`accept`](Self::accept) and [`respond`](Self::respond) answer a request,
///   [`send_text`](Self::send_text) and its kin send, [`close`](Self::close) closes;
/// * how things stand: [`output`](Self::output), [`state`](Self::state),
///   [`buffered_amount`](Self::buffered_amount), [`round_trip_time`](Self::round_trip_time).
///
/// All of them may be called at any time and in any order.
///
/// ```
/// use core::time::Duration;
/// use sockless::{Config, Connection, Event, Input, Next, Role};
///
/// let mut ws = Connection::upgraded(Role::Server, Config::default());
/// let mut input = Input::default();
/// // RFC 6455 §5.7: a masked "Hello".
/// input.extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
/// while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
///     if let Event::Text(text) = event {
///         ws.send_text(text)?;
///     }
/// }
/// assert_eq!(ws.output(), b"\x81\x05Hello");
/// ws.sent(7);
/// assert!(ws.output().is_empty());
/// # Ok::<(), sockless::SendError>(())
/// ```
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    role: Role,
    /// What is not needed once the connection is open, and idle connections do not hold.
    opening: Option<Box<Opening>>,
    /// What a missed deadline came to, and no event has said yet.
    unreported: Option<Box<Event<'static>>>,
    /// The transport has ended, and so did the connection.
    ending: Option<Box<Ending>>,
    /// What was written may not have been flushed.
    is_unflushed: bool,
    /// The write side has been shut down.
    is_shut: bool,
    /// A write has failed.
    is_broken: bool,
    /// A write took nothing, and none has taken anything since.
    is_stuck: bool,
    /// The peer has ended its side of the transport.
    is_ended: bool,
    back_pressure: bool,
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
    /// Nothing is left to write or to wait for by the protocol. The transport is to be ended, as
    /// [`Connection::poll`] says.
    Closed,
}

impl Connection {
    /// The server's end: waits for a request (§4.2).
    #[must_use]
    pub fn server(config: Config) -> Self {
        let mut connection = Self::new(Role::Server, &config);
        connection.opening = Some(Box::new(Opening::Request {
            handshake: ServerHandshake::new(&config),
            progress: Progress::Nothing,
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
    /// For hyper, axum and the like: [`check_request`](crate::handshake::check_request) and
    /// [`Offer`](crate::handshake::Offer) are the checks of the handshake over their header fields.
    /// Also for streams of HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220):
    /// [`check_extended_connect`](crate::handshake::check_extended_connect).
    /// Bytes that the other stack has read beyond its part are the first to
    /// put into the [`Input`](crate::Input::extend_from_slice).
    #[must_use]
    pub fn upgraded(role: Role, config: Config) -> Self {
        let mut connection = Self::new(role, &config);
        connection.open();
        connection
    }

    /// As [`upgraded`](Self::upgraded), with the compression that was agreed on (RFC 7692).
    ///
    /// See [`deflate`](crate::deflate) for how it is negotiated. `config` needs its
    /// [`Config::deflate`] for everything else, such as the pool.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    #[must_use]
    pub fn upgraded_with(role: Role, agreed: Option<Parameters>, config: Config) -> Self {
        let mut connection = Self::new(role, &config);
        if let Some(agreed) = agreed {
            let deflate = config.deflate.unwrap_or_default();
            connection.receiver.inflate_with(&agreed, &deflate);
            connection.sender.deflate_with(&agreed, &deflate);
        }
        connection.open();
        connection
    }

    /// The next event of `input`, which is advanced past what it used. `None` means that the rest belongs to
    /// a message that is kept, and that more has to be read.
    #[inline]
    fn next_event<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
    ) -> Option<Event<'b>> {
        // What came before a late answer goes first.
        if self.opening.is_some() || *store.kept > 0 {
            return self.receive_slowly(input, store);
        }
        let Some(event) = self.receiver.take_message(input) else {
            return self.receive_slowly(input, store);
        };
        let written = self.sender.queue.written();
        self.receiver.heard.note_message(written);
        match event {
            Ok(event) => Some(event),
            Err(error) => Some(self.fail(error)),
        }
    }

    /// The transport is gone in both directions, or given up: says how the connection ended (§7.1.4 to
    /// §7.1.6), as [`Next::Over`](crate::Next::Over) does.
    ///
    /// Forgets pending output, which nobody can write any more. May be called again: the answer
    /// stays the same. If only reading has come to its end, call [`read_ended`](Self::read_ended).
    pub fn end_of_stream(&mut self) -> Ending {
        self.end(Reset::No)
    }

    /// As [`end_of_stream`](Self::end_of_stream), for a transport that was reset, or failed in another
    /// way, rather than ended: [`Ending::reset`] says so.
    ///
    /// A write that fails is no reason yet: that is [`write_failed`](Self::write_failed).
    pub fn transport_reset(&mut self) -> Ending {
        self.end(Reset::Yes)
    }

    /// Looks at the time, which may queue a ping or a Close, and says when to look again.
    fn look_at_clock(&mut self, now: Duration) -> Option<Duration> {
        loop {
            let seen = Seen {
                stage: self.stage(),
                heard: mem::take(&mut self.receiver.heard),
                message: self.receiver.message_in_progress(),
                can_ping: !self.sender.is_in_frame(),
                is_drained: self.buffered_amount() == 0,
                holds_memory: self.sender.queue.holds_memory(),
                written: self.sender.queue.written(),
            };
            match self.receiver.clock.tick(now, &seen) {
                Verdict::Wait(until) => return until,
                Verdict::Rest => self.sender.queue.rest(),
                Verdict::Ping(payload) => match self.sender.send_ping(&payload) {
                    Ok(()) => {
                        let ends_at = self.sender.queue.end();
                        self.receiver.clock.on_ping_sent(ends_at);
                    }
                    Err(_) => self.on_deadline(Error::Entropy),
                },
                Verdict::Missed(error) => self.on_deadline(error),
            }
        }
    }

    /// Agrees to the request (§4.2.2): queues the 101, and the connection is open.
    ///
    /// [`Response::default`] is enough; a subprotocol and further headers can be added to it.
    ///
    /// It need not be at once. What the client sends meanwhile is kept, up to
    /// [`Config::max_early_data`], and comes after the answer; more than that ends the attempt with
    /// [`Event::Fail`]. An answer to a request that has come to nothing meanwhile is dropped. No deadline covers
    /// the caller's own time.
    ///
    /// # Errors
    ///
    /// [`SendError::NoRequest`] if no request waits for an answer, [`SendError::NotUpgrade`] if it is
    /// not one for a WebSocket; [`SendError::SubprotocolNotOffered`], [`SendError::InvalidStatus`] or
    /// [`SendError::UnexpectedBody`] for a response that does not fit.
    pub fn accept(&mut self, response: Response) -> Result<(), SendError> {
        let Some(Opening::Request {
            handshake,
            progress: Progress::Asked,
            early,
            ..
        }) = self.opening.as_deref_mut()
        else {
            return self.late_answer();
        };
        self.sender
            .queue
            .text(|out| handshake.accept(&response, out))?;
        #[cfg(feature = "deflate")]
        if let Some((agreed, deflate)) = handshake.agreed(&response) {
            self.receiver.inflate_with(&agreed, deflate);
            self.sender.deflate_with(&agreed, deflate);
        }
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
    /// The connection is closed once the response has been written. In answer to HEAD the body is not sent,
    /// but its length is (RFC 9110 §9.3.2). A response with status 101 is
    /// [accepted](Self::accept), so that whoever judges requests can return either.
    ///
    /// # Errors
    ///
    /// [`SendError::NoRequest`] if no request waits for an answer; [`SendError::InvalidStatus`] for a
    /// status other than 300 to 599 in answer to an upgrade, or 200 to 599 to a plain request;
    /// [`SendError::UnexpectedBody`] for a body that the status does not allow; those of
    /// [`accept`](Self::accept) for 101.
    pub fn respond(&mut self, response: Response) -> Result<(), SendError> {
        if response.status() == 101 {
            return self.accept(response);
        }
        let Some(Opening::Request {
            handshake,
            progress: Progress::Asked,
            ..
        }) = self.opening.as_deref_mut()
        else {
            return self.late_answer();
        };
        self.sender
            .queue
            .text(|out| handshake.respond(&response, out))?;
        self.on_handshake_over(Over {
            error: None,
            status: Some(response.status()),
        });
        Ok(())
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> State {
        if self.is_done() {
            State::Closed
        } else if self.is_connecting() {
            State::Connecting
        } else if self.sender.is_open() && !self.receiver.is_done() && !self.is_ended {
            State::Open
        } else {
            State::Closing
        }
    }

    /// Whether nothing is left to write or to wait for by the protocol.
    ///
    /// After a closing handshake a server is done once its Close has been written; a client waits
    /// for the server to end the transport (§7.1.1). A connection that failed or was refused is done
    /// once its last bytes have been written.
    fn is_done(&self) -> bool {
        if self.ending.is_some() {
            return true;
        }
        // R190: a Close may wait for the end of the frame that is being sent in pieces.
        if self.buffered_amount() > 0 || self.sender.is_in_frame() {
            return false;
        }
        match self.opening.as_deref() {
            Some(Opening::Over(_)) => true,
            _ if self.receiver.failure().is_some() => true,
            // R195: both Closes have been exchanged.
            _ => {
                self.role == Role::Server
                    && self.receiver.peer_close().is_some()
                    && !self.sender.is_open()
            }
        }
    }

    /// The time between the last keepalive ping and its pong, to the precision of the calls of
    /// [`poll`](Self::poll); see [`Config::keepalive`].
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.receiver.clock.round_trip()
    }

    /// The bytes of memory that are held for what has come of a message that has not ended: what is
    /// gathered, with the memory that is taken ahead for it, and the codec of a compressed message. At
    /// most [`Config::max_message_size`] and 64 KiB; 96 KiB with [`Delivery::Parts`](crate::Delivery::Parts)
    /// of a compressed message. Before a request is answered, what has come behind it.
    ///
    /// With [`buffered_amount`](Self::buffered_amount), what grows with what the peer does: a server adds
    /// both up over its connections, to bound what all of them hold together. To free it, drop the
    /// connection; [`close`](Self::close) alone frees nothing. What compression keeps between messages, with
    /// context takeover, is not in it. (RFC 6455 §10.4)
    #[must_use]
    pub fn gathered_amount(&self) -> usize {
        let early = self.opening.as_deref().map_or(0, Opening::early_amount);
        self.receiver.gathered_amount() + early
    }

    /// What was agreed on compression, while messages may still arrive; `None` if nothing was.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    #[must_use]
    pub fn deflate(&self) -> Option<Parameters> {
        self.receiver.deflate()
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
            unreported: None,
            ending: None,
            is_unflushed: false,
            is_shut: false,
            is_broken: false,
            is_stuck: false,
            is_ended: false,
            back_pressure: config.back_pressure,
        }
    }

    /// Whoever answers a request that has come to nothing meanwhile is only late: nothing is sent.
    fn late_answer(&self) -> Result<(), SendError> {
        match self.opening.as_deref() {
            Some(Opening::Over(over)) if over.error.is_some() && self.role == Role::Server => {
                Ok(())
            }
            None if self.ending.as_ref().is_some_and(|ending| !ending.opened) => Ok(()),
            _ => Err(SendError::NoRequest),
        }
    }

    fn is_connecting(&self) -> bool {
        matches!(
            self.opening.as_deref(),
            Some(Opening::Request { .. } | Opening::Response(_))
        )
    }

    fn is_opened(&self) -> bool {
        matches!(self.opening.as_deref(), None | Some(Opening::Early { .. }))
    }

    fn stage(&self) -> Stage {
        match self.opening.as_deref() {
            _ if self.ending.is_some() => Stage::Over,
            Some(Opening::Request {
                progress: Progress::Asked,
                ..
            }) => Stage::Caller,
            Some(Opening::Request { .. } | Opening::Response(_)) => Stage::Handshake,
            Some(Opening::Over(_)) if self.role == Role::Client => Stage::Over,
            _ if self.sender.is_open() && !self.receiver.is_done() && !self.is_ended => Stage::Open,
            _ => Stage::Closing,
        }
    }

    /// Everything that is not a whole message in the input.
    #[inline(never)]
    fn receive_slowly<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
    ) -> Option<Event<'b>> {
        if self.opening.is_some() {
            if !input.is_empty() {
                self.receiver.heard.note(self.sender.queue.written());
            }
            if let Some(event) = self.receive_opening(input) {
                return Some(event);
            }
        }
        self.receive_frames(input, store)
    }

    fn receive_frames<'b>(
        &mut self,
        input: &mut &'b mut [u8],
        store: &mut Store<'_>,
    ) -> Option<Event<'b>> {
        let written = self.sender.queue.written();
        self.receiver
            .receive_with(input, store, written, |reply| self.sender.reply(reply))
    }

    fn fail<'b>(&mut self, error: Error) -> Event<'b> {
        self.receiver.fail(error, |reply| self.sender.reply(reply))
    }

    fn end(&mut self, reset: Reset) -> Ending {
        if let Some(ending) = &self.ending {
            return Ending::clone(ending);
        }
        let mut response = None;
        let mut truncated = self.receiver.is_mid_message();
        let (error, status) = match self.opening.as_deref_mut() {
            Some(Opening::Response(handshake)) => {
                response = match reset {
                    Reset::No => handshake.end_of_stream(),
                    Reset::Yes => handshake.give_up(),
                };
                truncated = response.is_none();
                response
                    .as_deref()
                    .map_or(Over::CUT_OFF, Over::rejected)
                    .report()
            }
            // R049: the transport ended in the handshake. R056: not where it never began, which is how
            // load balancers ask whether somebody listens.
            Some(Opening::Request { progress, .. }) => {
                truncated = *progress == Progress::Begun;
                match progress {
                    Progress::Nothing => (None, None),
                    Progress::Begun | Progress::Asked => Over::CUT_OFF.report(),
                }
            }
            Some(Opening::Over(over)) => over.report(),
            None | Some(Opening::Early { .. }) => (self.receiver.failure(), None),
        };
        let close = self.receiver.peer_close();
        let ending = Ending {
            // R198 (§7.1.5): the code of the Close received.
            code: close.map_or(ABNORMAL, |close| close.code.map_or(NO_STATUS, u16::from)),
            reason: close.map_or_else(Box::default, |close| close.reason.clone()),
            // R199 (§7.1.4): only if ours has left too.
            clean: close.is_some() && self.sender.close_sent(),
            truncated,
            reset: matches!(reset, Reset::Yes) || self.is_broken,
            opened: self.is_opened(),
            closed_first: self.sender.closed_first(),
            sent_code: self.sender.sent_code(),
            error,
            status,
            response,
        };
        self.on_end(ending.clone());
        ending
    }

    // The transitions.

    /// Connecting → Open.
    fn open(&mut self) {
        self.opening = None;
        self.receiver.open();
        if !self.is_broken {
            self.sender.open();
        }
    }

    /// Connecting → Closing: answered, refused or failed; Closed once the answer is written.
    fn on_handshake_over(&mut self, over: Over) {
        self.opening = Some(Box::new(Opening::Over(over)));
        self.receiver.shut();
        self.sender.shut();
    }

    /// Connecting or Open → Closing, Closing → Closed: the peer took too long.
    fn on_deadline(&mut self, error: Error) {
        let event = match error {
            Error::Handshake(error) if self.role == Role::Server => self.refuse(error),
            Error::Handshake(error) => self.on_late_response(error),
            Error::CloseTimeout => {
                // What ended the connection has been reported, unless it is this.
                if self.receiver.is_done() {
                    self.end(Reset::No);
                    return;
                }
                let event = self.fail(error);
                self.end(Reset::No);
                event
            }
            _ => self.fail(error),
        };
        self.unreported = Some(Box::new(event));
    }

    /// Connecting → Closed, for a client: what has come of a rejection is handed over (R030).
    fn on_late_response(&mut self, error: HandshakeError) -> Event<'static> {
        let response = match self.opening.as_deref_mut() {
            Some(Opening::Response(handshake)) => handshake.give_up(),
            _ => None,
        };
        self.sender.queue.clear();
        match response {
            Some(response) => {
                self.on_handshake_over(Over::rejected(&response));
                Event::Rejected(response)
            }
            None => {
                self.on_handshake_over(Over {
                    error: Some(error),
                    status: None,
                });
                Event::Fail(Error::Handshake(error))
            }
        }
    }

    /// Any state → Closed: the transport has ended, or is given up.
    fn on_end(&mut self, ending: Ending) {
        self.ending = Some(Box::new(ending));
        self.opening = None;
        self.receiver.shut();
        self.sender.shut();
        self.sender.queue.clear();
    }
}

/// Whether a transport was reset.
#[derive(Clone, Copy)]
enum Reset {
    No,
    Yes,
}

/// Without what is received and sent, which may be secret.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role)
            .field("state", &self.state())
            .field("buffered_amount", &self.buffered_amount())
            .finish_non_exhaustive()
    }
}
