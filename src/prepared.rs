//! [`Prepared`]: a message that many connections send, and none copies.

// Where there are no atomic pointers, as on the smallest of microcontrollers, a connection that holds
// shared payloads cannot be `Send`.
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
#[cfg(feature = "deflate")]
use alloc::vec::Vec;
use core::fmt;

#[cfg(feature = "deflate")]
use crate::deflate::shared::Forms;
use crate::frame::Opcode;

/// A message to send to any number of connections, whose payload is shared rather than copied.
///
/// It takes what holds the payload by value (a `String`, a `Vec<u8>`, an `Arc<[u8]>`, or anything else
/// that lends bytes) and gives it back to the allocator when the last connection has written it. A
/// clone costs a reference count. Also for a single large message:
/// [`send_binary`](crate::Connection::send_binary) copies its payload once,
/// [`send_prepared`](crate::Connection::send_prepared) never does, unless it is short or has to be
/// masked.
///
/// Connections that compress without context takeover share a compressed form as well (RFC 7692). It is made
/// when the first of them sends the message, once for each window and level, and lives as
/// long as the message. A connection with context takeover compresses it for itself. A message that gets
/// no shorter, one below the threshold of a connection, and one that is sent with
/// `Compression::Never` goes out as it is.
///
/// ```
/// use sockless::{Config, Connection, Prepared, Role};
///
/// let message = Prepared::text("a line for everyone ".repeat(100));
/// let mut members: Vec<_> =
///     (0..1000).map(|_| Connection::upgraded(Role::Server, Config::default())).collect();
/// for member in &mut members {
///     member.send_prepared(&message)?;
/// }
/// assert_eq!(members[999].buffered_amount(), 4 + 2000);
/// # Ok::<(), sockless::SendError>(())
/// ```
#[derive(Clone)]
pub struct Prepared {
    pub(crate) opcode: Opcode,
    pub(crate) payload: SharedPayload,
    #[cfg(feature = "deflate")]
    pub(crate) forms: Arc<Forms>,
}

/// Bytes that several connections may hold.
pub(crate) type SharedPayload = Arc<dyn Payload>;

/// What a payload can be lent from, for as long as it is held.
pub(crate) trait Payload: Send + Sync {
    fn bytes(&self) -> &[u8];
}

/// A payload that nobody else has yet.
#[cfg(feature = "deflate")]
pub(crate) fn shared(bytes: Vec<u8>) -> SharedPayload {
    Arc::new(Binary(bytes))
}

struct Text<T>(T);
struct Binary<T>(T);

impl<T: AsRef<str> + Send + Sync> Payload for Text<T> {
    fn bytes(&self) -> &[u8] {
        self.0.as_ref().as_bytes()
    }
}

impl<T: AsRef<[u8]> + Send + Sync> Payload for Binary<T> {
    fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl Prepared {
    /// A text message (RFC 6455 §5.6).
    ///
    /// `text` has to lend the same text each time: what has been announced to a peer is sent.
    #[must_use]
    pub fn text(text: impl AsRef<str> + Send + Sync + 'static) -> Self {
        Self::new(Opcode::Text, Arc::new(Text(text)))
    }

    /// A binary message (RFC 6455 §5.6).
    ///
    /// `data` has to lend the same bytes each time: what has been announced to a peer is sent.
    #[must_use]
    pub fn binary(data: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self::new(Opcode::Binary, Arc::new(Binary(data)))
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.bytes()
    }

    fn new(opcode: Opcode, payload: SharedPayload) -> Self {
        Self {
            opcode,
            payload,
            #[cfg(feature = "deflate")]
            forms: Arc::default(),
        }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("opcode", &self.opcode)
            .field("len", &self.payload().len())
            .finish()
    }
}
