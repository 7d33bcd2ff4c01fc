//! The way to the open connection: whose turn it is in the handshake, and what arrives early.

use alloc::vec::Vec;
use core::mem;

use super::Connection;
use crate::error::Error;
use crate::event::Event;
use crate::handshake::{Answer, ClientHandshake, HandshakeError, Response, ServerHandshake};
use crate::input::Store;

/// The way to the open connection.
#[derive(Debug)]
pub(super) enum Opening {
    /// Server: the request is arriving or with the caller; then what arrives until it is answered is
    /// kept in `early`.
    Request {
        handshake: ServerHandshake,
        progress: Progress,
        early: Vec<u8>,
        max_early_data: usize,
    },
    /// Client: the response is arriving.
    Response(ClientHandshake),
    /// Server, open: what arrived before the answer is still to be read, from `at` on.
    Early { bytes: Vec<u8>, at: usize },
    /// The handshake came to nothing.
    Over(Over),
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not a byte of it is there.
    Nothing,
    Begun,
    /// The caller has it, and is to answer.
    Asked,
}

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub(super) error: Option<HandshakeError>,
    /// The response that ended it.
    pub(super) status: Option<u16>,
}

impl Opening {
    /// The memory of what arrived before the request was answered.
    pub(super) fn early_amount(&self) -> usize {
        match self {
            Self::Request { early: bytes, .. } | Self::Early { bytes, .. } => bytes.capacity(),
            Self::Response(_) | Self::Over(_) => 0,
        }
    }
}

impl Over {
    /// The transport ended first.
    pub(super) const CUT_OFF: Self = Self {
        error: Some(HandshakeError::EndOfStream),
        status: None,
    };

    pub(super) fn rejected(response: &Response) -> Self {
        let status = response.status();
        Self {
            error: Some(HandshakeError::UnexpectedStatus(status)),
            status: Some(status),
        }
    }

    /// What the ending says of it.
    pub(super) fn report(self) -> (Option<Error>, Option<u16>) {
        (self.error.map(Error::Handshake), self.status)
    }
}

impl Connection {
    /// The handshake, and what came before its answer. `None` once frames may follow, or all input
    /// is used.
    pub(super) fn receive_opening<'b>(&mut self, input: &mut &'b mut [u8]) -> Option<Event<'b>> {
        match self.opening.as_deref_mut()? {
            Opening::Request {
                handshake,
                progress: progress @ (Progress::Nothing | Progress::Begun),
                ..
            } => {
                if !input.is_empty() {
                    *progress = Progress::Begun;
                }
                match handshake.receive(input)? {
                    Ok(request) => {
                        *progress = Progress::Asked;
                        Some(Event::Request(request))
                    }
                    Err(error) => Some(self.refuse(error)),
                }
            }
            Opening::Request {
                handshake,
                early,
                max_early_data,
                ..
            } => {
                // R084: kept for after the answer, within bounds; nothing follows a plain request.
                let bytes = mem::take(input);
                if !handshake.is_upgrade() {
                    return None;
                }
                if bytes.len() > max_early_data.saturating_sub(early.len()) {
                    return Some(self.refuse(HandshakeError::TooMuchEarlyData));
                }
                early.extend_from_slice(bytes);
                None
            }
            Opening::Response(handshake) => match handshake.receive(input)? {
                Ok(Answer::Open(response)) => {
                    #[cfg(feature = "deflate")]
                    if let Some((agreed, deflate)) = handshake.agreed() {
                        self.receiver.inflate_with(&agreed, deflate);
                        self.sender.deflate_with(&agreed, deflate);
                    }
                    self.open();
                    Some(Event::Open(response))
                }
                Ok(Answer::Rejected(response)) => {
                    self.sender.queue.clear();
                    self.on_handshake_over(Over::rejected(&response));
                    Some(Event::Rejected(response))
                }
                Err(error) => {
                    self.sender.queue.clear();
                    self.on_handshake_over(Over {
                        error: Some(error),
                        status: None,
                    });
                    Some(Event::Fail(Error::Handshake(error)))
                }
            },
            Opening::Early { bytes, at } => {
                let mut early = mem::take(bytes);
                let mut unread = early.get_mut(*at..).unwrap_or_default();
                let before = unread.len();
                let event = self.receive_early(&mut unread);
                let used = before - unread.len();
                match self.opening.as_deref_mut() {
                    Some(Opening::Early { bytes, at }) if event.is_some() => {
                        (*bytes, *at) = (early, *at + used);
                    }
                    _ => self.opening = None,
                }
                event
            }
            Opening::Over(_) => None,
        }
    }

    /// Nothing can be left in memory that is given up here.
    fn receive_early(&mut self, unread: &mut &mut [u8]) -> Option<Event<'static>> {
        let (mut kept, mut spare) = (0, Vec::new());
        let mut store = Store {
            limit: 0,
            kept: &mut kept,
            spare: &mut spare,
        };
        self.receive_frames(unread, &mut store)
            .map(Event::into_owned)
    }

    /// Answers a request that is none with the status that says why.
    pub(super) fn refuse<'b>(&mut self, error: HandshakeError) -> Event<'b> {
        self.sender.queue.text(|out| error.write_response(out));
        self.on_handshake_over(Over {
            error: Some(error),
            status: error.status(),
        });
        Event::Fail(Error::Handshake(error))
    }
}
