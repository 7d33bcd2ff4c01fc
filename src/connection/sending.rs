//! What the caller sends on a [`Connection`], and what there is to write.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::Connection;
use crate::close::CloseCode;
use crate::connection::sender::Fin;
#[cfg(feature = "deflate")]
use crate::deflate::Compression;
use crate::error::SendError;
use crate::frame::{Header, Opcode};
use crate::prepared::Prepared;

impl Connection {
    /// Queues a text message (§5.6), in fragments if [`Config::fragment_size`](crate::Config::fragment_size)
    /// says so.
    ///
    /// It takes `&str`, `String`, and the `Cow` of an event. What is lent is copied into the output; what is
    /// given away is not, unless it is shorter than 4 KiB. For one message to many connections, and for
    /// other owners of text, there is [`Prepared`].
    ///
    /// After a Close, a failure or the end of the transport the message is dropped, as the browser's `send` does
    /// it: the peer's messages may still come then, and an answer that is too late is no error.
    /// [`state`](Self::state) says whether it is.
    ///
    /// # Errors
    ///
    /// [`SendError::Connecting`] before the connection is open,
    /// [`SendError::MessageInProgress`] inside a message sent in parts, [`SendError::FrameInProgress`]
    /// inside a frame sent in pieces, [`SendError::Entropy`] if a client finds no mask.
    #[inline]
    pub fn send_text<'a>(&mut self, text: impl Into<Cow<'a, str>>) -> Result<(), SendError> {
        match text.into() {
            Cow::Borrowed(text) => self.sender.send_message(Opcode::Text, text.as_bytes()),
            Cow::Owned(text) => self.sender.send_owned(Opcode::Text, text.into_bytes()),
        }
    }

    /// Queues a binary message (§5.6), as [`send_text`](Self::send_text) does.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary<'a>(&mut self, data: impl Into<Cow<'a, [u8]>>) -> Result<(), SendError> {
        match data.into() {
            Cow::Borrowed(data) => self.sender.send_message(Opcode::Binary, data),
            Cow::Owned(data) => self.sender.send_owned(Opcode::Binary, data),
        }
    }

    /// Queues a message that is shared with other connections, or too large to copy (§5.6).
    ///
    /// A server queues a header and a reference to the payload. A client has to mask each frame with
    /// a key of its own, so it masks a copy; so does a connection whose
    /// [`Config::fragment_size`](crate::Config::fragment_size) is below the payload's length. Where
    /// compression was agreed on, the payload is the compressed form, which [`Prepared`] says more of.
    ///
    /// A broadcast can reach a connection just after its peer's Close, or after its failure: there it is dropped.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    pub fn send_prepared(&mut self, message: &Prepared) -> Result<(), SendError> {
        self.sender.send_prepared(message)
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

    /// Queues the header of a frame, whose payload follows in any number of
    /// [`send_frame_payload`](Self::send_frame_payload) (§5.2): for proxies that pass frames on as they
    /// came, with [`Delivery::Frames`](crate::Delivery::Frames). A client's key is drawn afresh,
    /// whatever `header` says of a mask.
    ///
    /// What a frame may carry is the caller's responsibility. RSV1 stands on the first frame of a message
    /// only, and where an extension was agreed on; with [`Delivery::Frames`](crate::Delivery::Frames) that
    /// is the ends' business.
    ///
    /// Until the payload is complete nothing else can be sent. What the connection owes the peer
    /// meanwhile, a pong, the answer to a Close or the Close of a failure, goes out behind the frame: so
    /// complete it, also after [`Event::Close`](crate::Event::Close) and
    /// [`Event::Fail`](crate::Event::Fail); [`Config::close_timeout`](crate::Config::close_timeout) ends
    /// the wait. A Close frame is this end's Close.
    ///
    /// # Errors
    ///
    /// [`SendError::ReservedBits`] for RSV1 on a continuation frame, or where no extension was agreed on; [`SendError::InvalidControl`] or [`SendError::ControlTooLong`] for a control frame that breaks
    /// §5.5; [`SendError::NoMessage`] or [`SendError::MessageInProgress`] for a data frame out of order
    /// (§5.4); [`SendError::FrameOverrun`] for a length of 2^63 or more;
    /// [`SendError::FrameInProgress`] inside a frame; [`SendError::Connecting`]
    /// or [`SendError::Entropy`] as [`send_text`](Self::send_text).
    pub fn send_frame_header(&mut self, header: &Header) -> Result<(), SendError> {
        self.sender.send_frame_header(header)
    }

    /// Queues a piece of the payload of the frame that was begun, not masked (§5.2). The frame is
    /// complete with the last byte that its header announced.
    ///
    /// # Errors
    ///
    /// [`SendError::FrameOverrun`] for more than that, or without a frame; [`SendError::Connecting`] as
    /// [`send_text`](Self::send_text).
    pub fn send_frame_payload(&mut self, piece: &[u8]) -> Result<(), SendError> {
        self.sender.send_frame_payload(piece)
    }

    /// Which of the messages that begin from here on are compressed, where that was agreed on.
    ///
    /// For a secret that stands next to text which somebody else chooses (RFC 7692 §8), and for
    /// payloads that are compressed already:
    ///
    /// ```
    /// # use sockless::{Config, Connection, Role, SendError};
    /// use sockless::Compression;
    ///
    /// # fn send(ws: &mut Connection, token: &str) -> Result<(), SendError> {
    /// ws.set_compression(Compression::Never);
    /// ws.send_text(token)?;
    /// ws.set_compression(Compression::Automatic);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn set_compression(&mut self, compression: Compression) {
        self.sender.set_compression(compression);
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
    /// [`SendError::ControlTooLong`] for a longer payload; [`SendError::Connecting`] before the connection
    /// opens; [`SendError::FrameInProgress`] inside a frame sent in pieces;
    /// [`SendError::Entropy`] if a client finds no mask.
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.send_pong(payload)
    }

    /// Begins to close (§7.1.2): queues a Close with `code` and a `reason` of at most 123 bytes,
    /// behind all that is queued. Until the peer's Close arrives its messages are still delivered.
    ///
    /// After [`Event::Close`](crate::Event::Close) it is the answer to the peer's Close, in place of the
    /// default one, which repeats the code and no reason: once, and as long as nothing of that has been
    /// written.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sockless::{Config, Connection, Event, Input, Next, Role};
    ///
    /// let mut ws = Connection::upgraded(Role::Server, Config::default());
    /// let mut input = Input::default();
    /// input.extend_from_slice(b"\x88\x87\0\0\0\0\x0f\xa0hello"); // a Close of 4000, masked with zeros
    /// if let Next::Event(Event::Close(close)) = ws.poll(&mut input, Duration::ZERO) {
    ///     if let Some(code) = close.code {
    ///         ws.close(code, &close.reason)?; // the reason goes back as well
    ///     }
    /// }
    /// assert_eq!(ws.output(), b"\x88\x07\x0f\xa0hello");
    /// # Ok::<(), sockless::SendError>(())
    /// ```
    ///
    /// From here on messages can no longer be sent: what a handler sends that closes, and then goes on with what
    /// it has received, is dropped. A message that is being sent in parts is left
    /// unfinished. If you closed before, or the connection failed, this does nothing: there is only ever
    /// one Close.
    ///
    /// # Errors
    ///
    /// [`SendError::Connecting`] before the connection is open, [`SendError::ReasonTooLong`],
    /// [`SendError::ClientCloseCode`] for code 1010 from a server, unless it answers a Close of 1010, [`SendError::FrameInProgress`] inside
    /// a frame sent in pieces, [`SendError::Entropy`] if a client finds no mask.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.begin_close(Some(code), reason)
    }

    /// As [`close`](Self::close), with a Close that has no code: the peer sees 1005 (§7.1.5).
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_without_code(&mut self) -> Result<(), SendError> {
        self.sender.begin_close(None, "")
    }

    /// The next bytes to write to the transport; empty only when there are none at all.
    ///
    /// It may be a part of what is pending: write, tell [`sent`](Self::sent), and ask again. It is what
    /// comes next only as long as it is borrowed, for a pong may go ahead of what has not been written;
    /// to write from a copy, or in another thread, use [`take_output`](Self::take_output).
    #[inline]
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.sender.queue.output()
    }

    /// All bytes to write to the transport, in order, as slices of which none is empty; for
    /// transports that can write several at once, with
    /// [`IoSlice`](https://doc.rust-lang.org/std/io/struct.IoSlice.html). The first is
    /// [`output`](Self::output).
    pub fn outputs(&self) -> impl Iterator<Item = &[u8]> {
        self.sender.queue.runs()
    }

    /// The first `n` bytes of [`output`](Self::output), or of all [`outputs`](Self::outputs) together,
    /// have been written. A larger `n` counts as all of them.
    ///
    /// When nothing is left up to 1 MiB of memory is kept for what is sent next, and given back when the connection
    /// has been idle for a second, by the clock that [`poll`](Self::poll) is told.
    #[inline]
    pub fn sent(&mut self, n: usize) {
        if n > 0 {
            (self.is_unflushed, self.is_stuck) = (true, false);
            self.sender.queue.sent(n);
        }
    }

    /// Moves all output to `bytes`, whose contents are lost, and returns where in `bytes` it begins. For
    /// transports that own what they write, such as io_uring, and for writing in another thread.
    ///
    /// It is in flight until [`sent`](Self::sent) or [`on_write`](Self::on_write) says how much of it was
    /// written: until then it counts as [buffered](Self::buffered_amount), and there is no other output. If a
    /// write takes only a part of it, call this again with the same `bytes`, which are left as they are then: it
    /// returns where the rest begins. When all is written the memory of `bytes` is used again.
    ///
    /// ```
    /// use sockless::{Config, Connection, Role};
    ///
    /// let mut ws = Connection::upgraded(Role::Server, Config::default());
    /// let mut bytes = Vec::new();
    /// ws.send_text("Hello")?;
    /// let at = ws.take_output(&mut bytes);
    /// assert_eq!(bytes[at..], *b"\x81\x05Hello");
    /// ws.sent(3); // no more was written
    /// let at = ws.take_output(&mut bytes);
    /// assert_eq!(bytes[at..], *b"ello");
    /// # Ok::<(), sockless::SendError>(())
    /// ```
    pub fn take_output(&mut self, bytes: &mut Vec<u8>) -> usize {
        self.sender.queue.take(bytes)
    }

    /// All bytes that wait to be written: `bufferedAmount` of the browser's API, with headers.
    ///
    /// It grows with each send and has no limit of its own: a caller that produces faster than its
    /// peer reads watches it. What the connection queues by itself adds at most three pongs, two pings and a
    /// Close to [`Config::high_water_mark`](crate::Config::high_water_mark).
    #[inline]
    #[must_use]
    pub fn buffered_amount(&self) -> usize {
        self.sender.queue.len()
    }
}
