//! The opening handshake: [RFC 6455 §4].
//!
//! [RFC 6455 §4]: https://www.rfc-editor.org/rfc/rfc6455#section-4
