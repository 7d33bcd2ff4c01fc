//! What the caller sends on a [`Connection`], and what there is to write.

use alloc::vec::Vec;

use super::Connection;
use crate::close::CloseCode;
use crate::connection::sender::Fin;
#[cfg(feature = "deflate")]
use crate::deflate::Compression;
use crate::error::SendError;
use crate::frame::Header;
use crate::prepared::Prepared;

impl Connection {
    /// Queues a text message (§5.6), in fragments if [`Config::fragment_size`](crate::Config::fragment_size) says so.
    ///
    /// # Errors
    ///
    /// [`SendError::Connecting`] or [`SendError::Closed`] if the connection is not open,
    /// [`SendError::MessageInProgress`] inside a message sent in parts, [`SendError::FrameInProgress`]
    /// inside a frame sent in pieces, [`SendError::Entropy`] if a client finds no mask.
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.sender.send_text(text)
    }

    /// Queues a binary message (§5.6), in fragments if [`Config::fragment_size`](crate::Config::fragment_size) says so.
    ///
    /// # Errors
    ///
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_binary(&mut self, data: &[u8]) -> Result<(), SendError> {
        self.sender.send_binary(data)
    }

    /// Queues a message that is shared with other connections, or too large to copy (§5.6).
    ///
    /// A server queues a header and a reference to the payload. A client has to mask each frame with
    /// a key of its own, so it masks a copy; so does a connection whose
    /// [`Config::fragment_size`](crate::Config::fragment_size) is below the payload's length. Where
    /// compression was agreed on, the payload is the compressed form, which [`Prepared`] says more of.
    ///
    /// A broadcast can reach a connection just after its peer's Close, or after its failure: that
    /// receiver answers [`SendError::Closed`], which says only that it is on its way out. Go on with the
    /// others.
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
        self.sender.send_text_part(text, fin)
    }

    /// Queues a part of a binary message whose length need not be known (§5.4).
    ///
    /// # Errors
    ///
    /// As [`send_text_part`](Self::send_text_part), with the types the other way round.
    pub fn send_binary_part(&mut self, data: &[u8], fin: Fin) -> Result<(), SendError> {
        self.sender.send_binary_part(data, fin)
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
    /// [`SendError::FrameInProgress`] inside a frame; [`SendError::Connecting`],
    /// [`SendError::Closed`] or [`SendError::Entropy`] as [`send_text`](Self::send_text).
    pub fn send_frame_header(&mut self, header: &Header) -> Result<(), SendError> {
        self.sender.send_frame_header(header)
    }

    /// Queues a piece of the payload of the frame that was begun, not masked (§5.2). The frame is
    /// complete with the last byte that its header announced.
    ///
    /// # Errors
    ///
    /// [`SendError::FrameOverrun`] for more than that, or without a frame; [`SendError::Connecting`] or
    /// [`SendError::Closed`] as [`send_text`](Self::send_text).
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
    /// [`SendError::ControlTooLong`] for a longer payload; [`SendError::Connecting`] or
    /// [`SendError::Closed`] before the connection opens and after the peer's Close, but not while
    /// ours is unanswered; [`SendError::FrameInProgress`] inside a frame sent in pieces;
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
    /// use sockless::{Config, Connection, Event, Role};
    ///
    /// let mut ws = Connection::upgraded(Role::Server, Config::default());
    /// let mut bytes = *b"\x88\x87\0\0\0\0\x0f\xa0hello"; // a Close of 4000, masked with zeros
    /// let mut input = &mut bytes[..];
    /// while let Some(event) = ws.receive(&mut input) {
    ///     if let Event::Close(close) = event {
    ///         if let Some(code) = close.code {
    ///             ws.close(code, &close.reason)?; // the reason goes back as well
    ///         }
    ///     }
    /// }
    /// assert_eq!(ws.output(), b"\x88\x07\x0f\xa0hello");
    /// # Ok::<(), sockless::SendError>(())
    /// ```
    ///
    /// From here on messages can no longer be sent: a handler that closes, and then goes on with what
    /// it has received, gets [`SendError::Closed`]. A message that is being sent in parts is left
    /// unfinished. If you closed before, or the connection failed, this does nothing: there is only ever
    /// one Close.
    ///
    /// # Errors
    ///
    /// [`SendError::Connecting`] before the connection is open, [`SendError::ReasonTooLong`],
    /// [`SendError::ClientCloseCode`] for code 1010 from a server, unless it answers a Close of 1010, [`SendError::FrameInProgress`] inside
    /// a frame sent in pieces, [`SendError::Entropy`] if a client finds no mask.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(code, reason)
    }

    /// As [`close`](Self::close), with a Close that has no code: the peer sees 1005 (§7.1.5).
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_without_code(&mut self) -> Result<(), SendError> {
        self.sender.close_without_code()
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
    /// When nothing is left the memory is given back, but for 128 bytes; of a connection that sends all
    /// the time up to 4 KiB are kept, until it has been idle for two turns of the loop, as
    /// [`tick`](Self::tick) counts them.
    #[inline]
    pub fn sent(&mut self, n: usize) {
        self.sender.queue.sent(n);
    }

    /// All output, by value; it counts as written. For transports that own what they write, such as
    /// io_uring, and for writing in another thread.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        self.sender.queue.take()
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
