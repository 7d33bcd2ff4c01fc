//! The client's side of the opening handshake: [RFC 6455 §4.1].
//!
//! [`ClientHandshake`] writes the request, and takes bytes until it knows the answer.
//!
//! [RFC 6455 §4.1]: https://www.rfc-editor.org/rfc/rfc6455#section-4.1

use alloc::boxed::Box;
use alloc::vec::Vec;

use memchr::memchr;

use super::body::{BodyReader, Progress};
use super::client_request::ClientRequest;
use super::error::HandshakeError;
use super::first_line::FirstLine;
use super::head::{HeadReader, header_slots, parse_response, unfold};
use super::key::{accept_key, encode_key};
use super::offer::Offer;
use super::response::Response;
use crate::config::Config;
#[cfg(feature = "deflate")]
use crate::deflate::{DeflateConfig, Parameters};

#[derive(Clone, Debug)]
pub(crate) struct ClientHandshake {
    reader: HeadReader,
    accept: [u8; 28],
    /// The offered subprotocols, joined as they were sent.
    subprotocols: Box<str>,
    require_subprotocol: bool,
    interim_responses_left: usize,
    max_response_body: usize,
    rejection: Option<Box<Rejection>>,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateConfig>,
    /// What the server agreed to.
    #[cfg(feature = "deflate")]
    agreed: Option<Parameters>,
}

/// How the server answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Open(Box<Response>),
    Rejected(Box<Response>),
}

/// A response other than 101 whose body is still coming.
#[derive(Clone, Debug)]
struct Rejection {
    response: Response,
    body: BodyReader,
}

impl ClientHandshake {
    /// Appends the request to `out`. `nonce` is random and was never used before (R013).
    pub(crate) fn new(
        request: &ClientRequest,
        nonce: [u8; 16],
        config: &Config,
        out: &mut Vec<u8>,
    ) -> Self {
        let key = encode_key(&nonce);
        #[cfg(feature = "deflate")]
        let extensions = config.deflate.as_ref().map(DeflateConfig::offer);
        #[cfg(not(feature = "deflate"))]
        let extensions = None::<alloc::string::String>;
        request.write(&key, extensions.as_deref(), out);
        Self {
            reader: HeadReader::new(FirstLine::of_response(), config),
            accept: accept_key(&key),
            subprotocols: request.subprotocols().into(),
            require_subprotocol: config.require_subprotocol,
            interim_responses_left: config.max_interim_responses,
            max_response_body: config.max_response_body,
            rejection: None,
            #[cfg(feature = "deflate")]
            deflate: config.deflate.clone(),
            #[cfg(feature = "deflate")]
            agreed: None,
        }
    }

    /// Takes from the front of `input`. `None`: all of it is used and the answer is not known.
    /// Behind an [`Answer::Open`], `input` stands at the first byte of a frame (R047).
    pub(crate) fn receive(
        &mut self,
        input: &mut &mut [u8],
    ) -> Option<Result<Answer, HandshakeError>> {
        loop {
            if let Some(mut rejection) = self.rejection.take() {
                let progress = rejection.body.read(input);
                if progress == Progress::Partial {
                    self.rejection = Some(rejection);
                    return None;
                }
                return Some(Ok(Answer::Rejected(rejection.finish(progress))));
            }
            let checked = match self.reader.read(input)? {
                Ok(head) => self.check(&unfold(head)),
                Err(error) => Err(error),
            };
            match checked {
                Ok(None) => {}
                Ok(Some(response)) => return Some(Ok(Answer::Open(response))),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The transport has ended in its order: the response other than 101 whose body lasts until then, or
    /// is cut by it.
    pub(crate) fn end_of_stream(&mut self) -> Option<Box<Response>> {
        let rejection = self.rejection.take()?;
        let progress = rejection.body.at_end_of_stream();
        Some(rejection.finish(progress))
    }

    /// No more is read, though the transport has not ended in its order: what has come of a response
    /// other than 101.
    pub(crate) fn give_up(&mut self) -> Option<Box<Response>> {
        Some(self.rejection.take()?.finish(Progress::Cut))
    }

    /// `None` if more has to be read: after an interim response, or in a rejection.
    fn check(&mut self, head: &[u8]) -> Result<Option<Box<Response>>, HandshakeError> {
        let slots = &mut header_slots();
        let parsed = parse_response(head, slots)?;
        let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
            return Err(HandshakeError::MalformedHead);
        };
        let headers = parsed
            .headers
            .iter()
            .map(|header| (header.name, header.value));
        match status {
            101 => {
                // R032: HTTP/1.0 knows no such status (§4.1, RFC 9110 §15.2).
                if minor == 0 {
                    return Err(HandshakeError::UnsupportedHttpVersion);
                }
                #[cfg_attr(
                    not(feature = "deflate"),
                    expect(unused_variables, reason = "the subprotocol is in the response")
                )]
                let agreed = self.offer().check(status, headers)?;
                #[cfg(feature = "deflate")]
                {
                    self.agreed = agreed.deflate;
                }
                return Ok(Some(Box::new(Response::received(status, fields(head)))));
            }
            // R031: interim responses come before the answer (RFC 9110 §15.2), but not without end.
            ..=199 => {
                let left = self.interim_responses_left.checked_sub(1);
                self.interim_responses_left =
                    left.ok_or(HandshakeError::TooManyInterimResponses)?;
            }
            // R030: any other status is the end of the attempt, and the caller's to read.
            _ => {
                let body = BodyReader::new(status, headers, self.max_response_body)?;
                let response = Response::received(status, fields(head));
                self.rejection = Some(Box::new(Rejection { response, body }));
            }
        }
        Ok(None)
    }

    /// How messages are compressed, if they are.
    #[cfg(feature = "deflate")]
    pub(crate) fn agreed(&self) -> Option<(Parameters, &DeflateConfig)> {
        self.agreed.zip(self.deflate.as_ref())
    }

    fn offer(&self) -> Offer<'_> {
        let offer = Offer::with_accept(self.accept).subprotocols(&self.subprotocols);
        #[cfg(feature = "deflate")]
        let offer = match &self.deflate {
            Some(deflate) => offer.deflate(deflate),
            None => offer,
        };
        if self.require_subprotocol {
            offer.require_subprotocol()
        } else {
            offer
        }
    }
}

impl Rejection {
    fn finish(self, progress: Progress) -> Box<Response> {
        let Self { mut response, body } = self;
        response.set_received_body(body.finish(), progress == Progress::Complete);
        Box::new(response)
    }
}

/// The header lines of a head that was parsed: without its first line and its empty one.
fn fields(head: &[u8]) -> &[u8] {
    let start = memchr(b'\n', head).map_or(head.len(), |end| end + 1);
    head.get(start..head.len().saturating_sub(2))
        .unwrap_or_default()
}
