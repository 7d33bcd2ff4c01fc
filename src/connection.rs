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
use clock::{Seen, Stage, Verdict};
use opening::{Opening, Over, Progress};
use receiver::Receiver;
use sender::Sender;

/// One end of a WebSocket connection (RFC 6455), without its socket.
///
/// Its methods are of four kinds:
///
/// * input: [`receive`](Self::receive) takes bytes that the transport delivered and returns events,
///   [`end_of_stream`](Self::end_of_stream) takes the end of the transport, [`tick`](Self::tick) the
///   time;
/// * what the caller wants: [`accept`](Self::accept) and [`respond`](Self::respond) answer a request,
///   [`send_text`](Self::send_text) and its kin send, [`close`](Self::close) closes;
/// * output: [`output`](Self::output) is what to write, [`sent`](Self::sent) says how much of it was;
/// * questions: [`transport`](Self::transport) and [`is_closed`](Self::is_closed) say what to do with
///   the transport, [`state`](Self::state), [`buffered_amount`](Self::buffered_amount),
///   [`round_trip_time`](Self::round_trip_time) and [`role`](Self::role) how things stand.
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
    /// The caller has been told to shut the write side.
    shut_said: bool,
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
    /// Nothing is left to write or to wait for by the protocol. The transport is to be ended as
    /// [`Connection::transport`] says.
    Closed,
}

/// What to do with the transport; see [`Connection::transport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the three things that can be done with a transport"
)]
pub enum Transport {
    /// Write the output, and read.
    Keep,
    /// Shut the write side, and read on to the end; what is read is ignored. All output has been
    /// written. Said once: from then on it is [`Keep`](Self::Keep) until the end.
    ShutWrite,
    /// Nothing more: it has ended, or can be dropped.
    Drop,
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
    /// [`receive`](Self::receive).
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
    /// used up and ignored (§7.1.7). Empty input is not the end of the stream.
    ///
    /// Bind the slice before the loop, as in the example above: `receive(&mut &mut buf[..n])` begins
    /// with the same bytes each time.
    #[inline]
    pub fn receive<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        // What came before a late answer goes first.
        if self.opening.is_some() {
            return self.receive_slowly(input);
        }
        let Some(event) = self.receiver.take_message(input) else {
            return self.receive_slowly(input);
        };
        let written = self.sender.queue.written();
        self.receiver.heard.note_message(written);
        match event {
            Ok(event) => Some(event),
            Err(error) => Some(self.fail(error)),
        }
    }

    /// The next event that needs no input: a deadline that [`tick`](Self::tick) found missed, or what
    /// came before a late [`accept`](Self::accept). The same as [`receive`](Self::receive) with empty
    /// input.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.receive_slowly(&mut &mut [][..])
    }

    /// The transport has ended, or was dropped: says how the connection ended (§7.1.4 to §7.1.6).
    ///
    /// Forgets pending output, which nobody can write any more. May be called again: the answer
    /// stays the same.
    pub fn end_of_stream(&mut self) -> Ending {
        self.end(Reset::No)
    }

    /// As [`end_of_stream`](Self::end_of_stream), for a transport that was reset, or failed in another
    /// way, rather than ended: [`Ending::reset`] says so.
    ///
    /// A write that fails is no reason yet: what the peer sent before may still wait to be read, its
    /// Close among it. So stop writing, read on until the transport ends or fails, and call this one
    /// then, whichever it was, because the write had failed. [`end_of_stream`](Self::end_of_stream) is
    /// for a transport that ended in order.
    pub fn transport_reset(&mut self) -> Ending {
        self.end(Reset::Yes)
    }

    /// Says what time it is, by any clock that does not go backwards, and answers at what time to
    /// call again: the earliest deadline in [`Config`], if there is one. Without calls there are no
    /// deadlines.
    ///
    /// To be called once before the first read, for the time begins to run then; and once in each turn
    /// of the loop, after what was read has been received, and at the time that it gave. It can cause output, a ping or a Close. When a deadline was missed,
    /// [`poll_event`](Self::poll_event) or the next [`receive`](Self::receive) returns
    /// [`Event::Fail`], and [`transport`](Self::transport) says what is left to do.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockless::{Config, Connection, Error, Event, Role};
    ///
    /// let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(10));
    /// let mut ws = Connection::upgraded(Role::Server, Config::default().keepalive(interval, timeout));
    /// assert_eq!(ws.tick(Duration::ZERO), Some(interval));
    /// assert_eq!(ws.tick(interval), Some(interval + timeout));
    /// ws.sent(ws.output().len()); // the ping
    /// let _ = ws.tick(interval + timeout);
    /// assert_eq!(ws.poll_event(), Some(Event::Fail(Error::PongTimeout)));
    /// ```
    pub fn tick(&mut self, now: Duration) -> Option<Duration> {
        self.sender.queue.turn();
        loop {
            let seen = Seen {
                stage: self.stage(),
                heard: mem::take(&mut self.receiver.heard),
                message: self.receiver.message_in_progress(),
                can_ping: !self.sender.is_in_frame(),
                is_drained: self.output().is_empty(),
                written: self.sender.queue.written(),
            };
            match self.receiver.clock.tick(now, &seen) {
                Verdict::Wait(until) => return until,
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
    /// [`Config::max_early_data`], and comes after the answer with [`poll_event`](Self::poll_event) or
    /// the next [`receive`](Self::receive); more than that ends the attempt with [`Event::Fail`], and
    /// then no request waits any more. No deadline covers the caller's own time.
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
            return Err(SendError::NoRequest);
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
            return Err(SendError::NoRequest);
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

    /// What to do with the transport now (§7.1.1). Following it loses neither data nor a Close to a
    /// reset of the transport, and does not wait without end if there are deadlines.
    ///
    /// [`Transport::ShutWrite`] is said once, so that a loop that asks at each turn shuts the write side
    /// once; a peer that does not end its own side then costs no turns. Do what it says before you ask
    /// again.
    ///
    /// A server ends the transport and a client waits for that, as §7.1.1 wants it. Ending it is
    /// shutting the write side and reading on: a transport that is dropped with input unread is
    /// reset, and takes with it what the peer has not read yet.
    #[must_use]
    pub fn transport(&mut self) -> Transport {
        if self.ending.is_some() {
            return Transport::Drop;
        }
        match (self.opening.as_deref(), self.role) {
            (Some(Opening::Over(_)), Role::Client) => Transport::Drop,
            _ if self.is_closed() && !mem::replace(&mut self.shut_said, true) => {
                Transport::ShutWrite
            }
            _ => Transport::Keep,
        }
    }

    /// Whether nothing is left to write or to wait for, so that the transport can be dropped; but see
    /// [`transport`](Self::transport) for how to do that gently.
    ///
    /// After a closing handshake a server is done once its Close has been written; a client waits
    /// for the server to end the transport (§7.1.1). A connection that failed or was refused is done
    /// once its last bytes have been written.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        if self.ending.is_some() {
            return true;
        }
        // R190: a Close may wait for the end of the frame that is being sent in pieces.
        if !self.output().is_empty() || self.sender.is_in_frame() {
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
    /// [`tick`](Self::tick); see [`Config::keepalive`].
    #[must_use]
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.receiver.clock.round_trip()
    }

    /// The two halves of an open connection, for two tasks that share no lock.
    ///
    /// The halves have no clock: deadlines rest while it is split, keepalive among them, and a caller
    /// that wants them needs timers of its own. [`Sender::is_finished`] says when to shut the write side
    /// of the transport. [`join`](Self::join) puts the halves together again, to ask how the connection
    /// ended, for example.
    ///
    /// # Errors
    ///
    /// The connection itself if it is not open, or if what came before a request was answered has not
    /// been received yet.
    #[expect(
        clippy::result_large_err,
        reason = "the connection is handed back, not reported"
    )]
    pub fn split(self) -> Result<(Receiver, Sender), Self> {
        match self.state() {
            State::Open if self.opening.is_none() => Ok((self.receiver, self.sender)),
            _ => Err(self),
        }
    }

    /// Puts the halves of one connection together again; those of two make no sense.
    ///
    /// Meant for the end of a connection. One that goes on has its deadlines again from the next
    /// [`tick`](Self::tick): what was received meanwhile counts as received then.
    #[must_use]
    pub fn join(mut receiver: Receiver, sender: Sender) -> Self {
        // The time between is nobody's: what may be missing begins to be missing now.
        receiver.heard.note_message(u64::MAX - 1);
        Self {
            role: sender.role(),
            receiver,
            sender,
            opening: None,
            unreported: None,
            ending: None,
            shut_said: false,
        }
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
            shut_said: false,
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
            _ if self.sender.is_open() && !self.receiver.is_done() => Stage::Open,
            _ => Stage::Closing,
        }
    }

    /// Everything that is not a whole message in the input.
    #[inline(never)]
    fn receive_slowly<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        if let Some(event) = self.unreported.take() {
            return Some(*event);
        }
        if self.opening.is_some() {
            if !input.is_empty() {
                self.receiver.heard.note(self.sender.queue.written());
            }
            if let Some(event) = self.receive_opening(input) {
                return Some(event);
            }
        }
        self.receive_frames(input)
    }

    fn receive_frames<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        let written = self.sender.queue.written();
        self.receiver
            .receive_with(input, written, |reply| self.sender.reply(reply))
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
            reset: matches!(reset, Reset::Yes),
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
        self.sender.open();
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
