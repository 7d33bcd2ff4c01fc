//! A complete WebSocket endpoint ([RFC 6455], both roles) with no sockets in it: bytes in, events out,
//! bytes out.
//!
//! Nothing here reads a socket, a clock or a thread, so it embeds in any runtime. Everything that is the
//! protocol's is done: the handshake, masking, fragments, UTF-8, pings, the closing handshake, deadlines,
//! and the right answer to every violation.
//!
//! # The loop
//!
//! Every adapter is this loop; here on a blocking socket, and the same with `.await` on an
//! asynchronous one.
//!
#![cfg_attr(feature = "std", doc = "```no_run")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use std::io::{Read, Write};
//! use std::net::{Shutdown, TcpStream};
//!
//! use sockless::{Config, Connection, Ending, Event, Response, SendError, State, Transport};
//!
//! fn echo(mut stream: TcpStream) -> Result<Ending, SendError> {
//!     let mut ws = Connection::server(Config::default());
//!     let mut buf = [0; 16 * 1024];
//!     let mut is_broken = false;
//!     loop {
//!         while !ws.output().is_empty() && !is_broken {
//!             match stream.write(ws.output()) {
//!                 Ok(n) => ws.sent(n),
//!                 Err(_) => is_broken = true, // what the peer sent before is still to be read
//!             }
//!         }
//!         match ws.transport() {
//!             Transport::Keep => {}
//!             Transport::ShutWrite => drop(stream.shutdown(Shutdown::Write)),
//!             Transport::Drop => return Ok(ws.end_of_stream()),
//!         }
//!         let n = match stream.read(&mut buf) {
//!             Ok(0) if !is_broken => return Ok(ws.end_of_stream()), // clean or not, and why
//!             Ok(0) | Err(_) => return Ok(ws.transport_reset()),
//!             Ok(n) => n,
//!         };
//!         let mut input = &mut buf[..n];
//!         while let Some(event) = ws.receive(&mut input) {
//!             match event {
//!                 Event::Text(_) | Event::Binary(_) if ws.state() == State::Closing => {} // too late
//!                 Event::Request(_) => ws.accept(Response::default())?,
//!                 Event::Text(text) => ws.send_text(&text)?,
//!                 Event::Binary(data) => ws.send_binary(&data)?,
//!                 _ => {} // pings, closes and violations are answered already
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! This one has no deadlines; [a client](_cookbook#a-client) in the cookbook has everything. The arm for
//! [`State::Closing`] is for those who call [`Connection::close`]: the peer's next message may be in the
//! same read, to answer it is [`SendError::Closed`], and to leave then would lose the Close.
//!
//! A client begins with [`Connection::client`] and otherwise does the same. Complete programs are
//! `examples/echo_std.rs` and `examples/client_std.rs`; the [cookbook](_cookbook) has the loop for TLS,
//! HTTP stacks, tokio and two tasks.
//!
//! # Three concepts
//!
//! **Input is the caller's.** [`Connection::receive`] advances a slice of yours past what it used, and
//! unmasks in it. A message that lies in it whole is lent from it; any other is gathered and handed over
//! by value. One buffer can serve every connection of a thread, and an idle connection holds none.
//!
//! **Events** say what the peer did, after it has been answered. They do not borrow the connection, so
//! it can be used while they are looked at. A violation is an event too, [`Event::Fail`], and never an
//! error that could leave the loop before its Close is written. The loop goes on after the last event,
//! until [`Transport::Drop`] or the end of the transport: the answer is still to be written. Errors ([`SendError`]) are for what the
//! caller does wrong; then nothing has changed.
//!
//! **Output** is kept in the connection until [`Connection::sent`] says how much of it was written, for
//! receiving can cause output. So partial writes, batching and cancelled futures need no care, and
//! back-pressure is a number: [`Connection::buffered_amount`]. A caller that stops reading while that is
//! high stops its peer as well; what the connection queues by itself is bounded.
//!
//! Two more methods, for those who want them: [`Connection::tick`] for deadlines, and
//! [`Connection::transport`] for an end that loses nothing.
//!
//! # The life of a connection
//!
//! ```text
//!    Connection::server          Connection::client           Connection::upgraded
//!            │                           │                              │
//!            ▼                           ▼                              │
//!   ┌────────────────── State::Connecting ─────────────────┐            │
//!   │ Event::Request,                 Event::Open          │            │
//!   │ then accept or respond          or Event::Rejected   │            │
//!   └────────┬────────────────────────────────────┬────────┘            │
//!            │ accepted                           │ refused, rejected,  │
//!            ▼                                    │ failed              │
//!   ┌───────────────────── State::Open ───────────┼────────┐            │
//!   │ Event::Text, Binary, Ping, Pong             │        │ ◀──────────┘
//!   │ send_text, send_binary, send_ping, ...      │        │
//!   └────────┬───────────────────────────┬────────┼────────┘
//!            │ close, or Event::Close    │ Event::Fail
//!            ▼                           ▼        ▼
//!   ┌──────────────────── State::Closing ──────────────────┐
//!   │ The last bytes are written. Behind a Close of ours   │
//!   │ the peer's messages still come, until Event::Close.  │
//!   └────────┬─────────────────────────────────────────────┘
//!            │ by the first of these that applies:
//!            │ * failed or refused: the last byte is written
//!            │ * a server: it has written and received a Close
//!            ▼ * a client: the server has ended the transport
//!   ┌──────────────────── State::Closed ───────────────────┐
//!   │ Transport::ShutWrite, and read on to the end; then   │
//!   │ Transport::Drop                                      │
//!   └──────────────────────────────────────────────────────┘
//! ```
//!
//! From every state [`Connection::end_of_stream`] and [`Connection::transport_reset`] lead to Closed, and
//! say how it ended: [`Ending`].
//!
//! `Event::Request` is the only event that waits for an answer of yours. `Event::Close`, `Event::Fail` and
//! `Event::Rejected` are each the last one.
//!
//! # A byte's way
//!
//! ```text
//!  read ─▶ your buffer ─▶ receive
//!    connecting ────────────────▶ head, checks ───▶ Request, Open, Rejected
//!    a whole message is in it ──▶ unmask, UTF-8 ──▶ Text, Binary (lent from it)
//!    anything else ─▶ frame ─┬──▶ message ────────▶ Text, Binary (gathered)
//!                            └──▶ control frame ──▶ Ping, Pong, Close
//!                                   │ the answer
//!                                   ▼
//!  send_text ─▶ deflate, if agreed ─▶ frame, mask ─▶ queue ─▶ output ─▶ write
//!                                                      ▲                  │
//!                                                      └───── sent(n) ────┘
//! ```
//!
//! [The design](_design) has the same with file names, and the reasons.
//!
//! # Pages
//!
//! * [Cookbook](_cookbook): servers, clients, TLS, hyper and axum, HTTP/2, asynchronous loops, streaming,
//!   broadcast, deadlines, back-pressure, `no_std`, tests without sockets.
//! * [Migration](_migration) from tungstenite, tokio-tungstenite and fastwebsockets, call by call.
//! * [Design](_design): decisions, what was refused, rooms, invariants, how to add things.
//! * [`handshake`] for HTTP stacks and HTTP/2, [`deflate`] for compression, [`frame`], [`mask`], [`utf8`] and
//!   [`close`](mod@close) for layers that are usable alone.
//!
//! # Features
//!
//! | Feature | Default | Effect |
//! |---|---|---|
//! | `std` | yes | [`Ending`] converts to `std::io::Result`; vector instructions are chosen at run time for UTF-8 and searching. Without it the crate is `no_std` with `alloc` |
//! | `getrandom` | yes | the operating system is the source of a client's masks; without it [`Config::entropy`] has to be set |
//! | `deflate` | no | compressed messages, RFC 7692, where `Config::deflate` configures them; needs `std`, for its codec does |
//!
//! Features add API and change no behaviour. With `--cfg sockless_no_unsafe` in `RUSTFLAGS` the crate
//! forbids unsafe code; without it there are three calls, in one file, `src/fast.rs`.
//!
//! # Limits
//!
//! All are set in [`Config`] and exact: what is at the limit passes. Sizes and counts are finite by default. `SECURITY.md` names
//! the tests on both sides of each.
//!
//! | Limit | Default | Why this much | Above it |
//! |---|---|---|---|
//! | [`max_frame_size`](Config::max_frame_size) | that of the message | judged at the header, and memory follows what has arrived | 1009 |
//! | [`max_message_size`](Config::max_message_size) | 16 MiB | what a peer can make this end gather, and hold while it does; inflated size if compressed | 1009 |
//! | [`max_fragments`](Config::max_fragments) | 131,072 | fragments cost no memory, so this ends only messages that never end | 1008 |
//! | [`high_water_mark`](Config::high_water_mark) | 64 KiB | a peer that pings and does not read: above it only its latest ping is answered | fewer pongs |
//! | [`max_head_size`](Config::max_head_size) | 16 KiB | cookies and tokens have room; what the handshake may gather | 431, or failure |
//! | [`max_headers`](Config::max_headers) | 100 | more than browsers and proxies send | 431, or failure |
//! | [`max_interim_responses`](Config::max_interim_responses) | 8 | a client skips 100, 102 and 103, but not without end | failure |
//! | [`max_response_body`](Config::max_response_body) | 16 KiB | the text of a refusal, for people | cut |
//! | [`max_early_data`](Config::max_early_data) | 64 KiB | what a client sends before its request is answered | failure |
//! | [`handshake_timeout`](Config::handshake_timeout) | 30 s | a slow network, not a peer that sends a byte a minute | 408, or failure |
//! | [`close_timeout`](Config::close_timeout) | 10 s | the Close is behind what is queued | the transport is dropped |
//! | [`keepalive`](Config::keepalive) | off | whether pings are wanted depends on who pays for them | 1011 |
//! | [`idle_timeout`](Config::idle_timeout) | off | silence is normal for some protocols | 1001 |
//! | [`no_message_timeout`](Config::no_message_timeout) | off | whether an unused connection is wanted | 1001 |
//! | [`message_timeout`](Config::message_timeout) | off | depends on the size of messages | 1008 |
//! | `DeflateConfig::max_ratio` | off | `max_message_size` bounds inflating already | 1009 |
//!
//! Times take effect by [`Connection::tick`] alone. What you send has no limit:
//! [`Connection::buffered_amount`] is for you to watch.
//!
//! # What it does not do
//!
//! * No I/O, no TLS, no DNS, no proxies: that is the loop's surroundings.
//! * No `Stream`, `Sink`, `AsyncRead` or connection type of a runtime.
//! * No text of HTTP/2 or HTTP/3: their stack makes the stream, [`handshake`] has the checks.
//! * No redirects, cookies or routing, and of authentication only Basic: a client hands you the response, a server the request.
//! * No decoding of `%` escapes in paths and queries.
//! * No extensions but permessage-deflate, and no version but 13.
//! * No connection limits and no rate limits: those are of a server, not of a connection.
//!
//! [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455
#![cfg_attr(feature = "deflate", doc = "[`deflate`]: crate::deflate")]
#![cfg_attr(not(feature = "deflate"), doc = "[`deflate`]: crate#features")]
#![no_std]
#![cfg_attr(sockless_no_unsafe, forbid(unsafe_code))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::alloc_instead_of_core, clippy::std_instead_of_core)]
#![deny(clippy::cast_possible_truncation)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backoff;
pub mod close;
mod config;
mod connection;
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub mod deflate;
mod error;
mod event;
#[cfg_attr(sockless_no_unsafe, path = "fast/safe.rs")]
mod fast;
pub mod frame;
pub mod handshake;
pub mod mask;
mod message;
mod prepared;
pub mod utf8;

pub use backoff::Backoff;
pub use close::{Close, CloseCode};
pub use config::{Config, Delivery, Entropy, PongMode};
pub use connection::receiver::{Obligation, Receiver};
pub use connection::sender::{Fin, Sender};
pub use connection::{Connection, State, Transport};
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use deflate::{Compression, DeflateConfig};
pub use error::{EntropyError, Error, SendError};
pub use event::{Ending, Event};
pub use frame::Role;
pub use handshake::{ClientRequest, Request, Response};
pub use prepared::Prepared;

// Pages, of which users compile nothing.

#[cfg(doc)]
#[doc = include_str!("docs/cookbook.md")]
#[doc = include_str!("docs/cookbook/asynchronous.md")]
#[doc = include_str!("docs/cookbook/messages.md")]
#[cfg_attr(feature = "deflate", doc = "\n[`deflate`]: crate::deflate")]
#[cfg_attr(not(feature = "deflate"), doc = "\n[`deflate`]: crate#features")]
pub mod _cookbook {}

#[cfg(doc)]
#[doc = include_str!("docs/migration.md")]
pub mod _migration {}

#[cfg(doc)]
#[doc = include_str!("../DESIGN.md")]
pub mod _design {}

/// The code in README is compiled.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
