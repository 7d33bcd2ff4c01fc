//! What the fuzz targets assert, a file for each, on nothing but sockless and the standard library,
//! whose allocator counts here:
//! the fuzzers run them, and `tests/corpus.rs` replays what the fuzzers have found.
#![allow(dead_code, reason = "each user has its part")]

#[path = "../../tests/counting/mod.rs"]
mod counting;
pub(crate) mod decoder;
#[cfg(feature = "deflate")]
pub(crate) mod deflate;
pub(crate) mod endpoint;
pub(crate) mod handshake;
pub(crate) mod head;
pub(crate) mod header_list;
pub(crate) mod pair;
pub(crate) mod parts;
pub(crate) mod proxy;
pub(crate) mod reference;
pub(crate) mod source;
pub(crate) mod watch;
pub(crate) mod wire;

use sockless::Role;

/// Takes any bytes, and panics if something does not hold.
pub(crate) type Check = fn(&[u8]);

pub(crate) const TARGETS: &[(&str, Check)] = &[
    ("head", head::check),
    ("decoder", decoder::check),
    ("server", |data| endpoint::check(Role::Server, data)),
    ("client", |data| endpoint::check(Role::Client, data)),
    ("server_handshake", handshake::check_server),
    ("client_handshake", handshake::check_client),
    ("pair", pair::check),
    ("header_list", header_list::check),
    ("parts", parts::check),
    ("proxy", proxy::check),
    #[cfg(feature = "deflate")]
    ("negotiation", deflate::check_negotiation),
    #[cfg(feature = "deflate")]
    ("inflating", deflate::check_inflating),
    #[cfg(feature = "deflate")]
    ("round_trip", deflate::check_round_trip),
];
