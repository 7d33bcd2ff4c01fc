//! [`Prepared`]: a message that many connections send, and none copies.

// Where there are no atomic pointers, as on the smallest of microcontrollers, a connection that holds
// shared payloads cannot be `Send`.
#[cfg(not(target_has_atomic = "ptr"))]
use alloc::rc::Rc as Arc;
#[cfg(target_has_atomic = "ptr")]
use alloc::sync::Arc;
use core::fmt;

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
}

/// Bytes that several connections may hold.
pub(crate) type SharedPayload = Arc<dyn Payload>;

/// What a payload can be lent from, for as long as it is held.
pub(crate) trait Payload: Send + Sync {
    fn bytes(&self) -> &[u8];
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
        Self {
            opcode: Opcode::Text,
            payload: Arc::new(Text(text)),
        }
    }

    /// A binary message (RFC 6455 §5.6).
    ///
    /// `data` has to lend the same bytes each time: what has been announced to a peer is sent.
    #[must_use]
    pub fn binary(data: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self {
            opcode: Opcode::Binary,
            payload: Arc::new(Binary(data)),
        }
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.bytes()
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
