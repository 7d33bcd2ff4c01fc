//! Finding and parsing the head of a request or response: [RFC 9112 §2].
//!
//! [`HeadReader`] finds the end of the head, however the bytes arrive, and looks once at each byte
//! (R083); at those of the first line also for whether they can be one. What it finds goes to `httparse` as a whole; a head that lies whole in the input is
//! not copied for that, and the usual one is not even searched for its end.
//!
//! [RFC 9112 §2]: https://www.rfc-editor.org/rfc/rfc9112#section-2

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::mem::{MaybeUninit, take};

use httparse::{Header, ParserConfig, Status};
use memchr::{memchr, memchr_iter, memchr2};

use super::error::HandshakeError;
use super::first_line::FirstLine;
use super::syntax::push_all;
use crate::config::Config;

/// The most header lines that can be parsed.
const MAX_HEADERS: usize = 128;

/// Room for the header lines of one head, on the stack.
pub(super) type HeaderSlots<'b> = [MaybeUninit<Header<'b>>; MAX_HEADERS];

pub(super) const fn header_slots<'b>() -> HeaderSlots<'b> {
    [const { MaybeUninit::uninit() }; MAX_HEADERS]
}

/// Gathers a head until its empty line.
#[derive(Clone, Debug)]
pub(super) struct HeadReader {
    /// The part of the head that came with earlier input.
    head: Vec<u8>,
    scanner: Scanner,
}

impl HeadReader {
    /// Reads heads that begin with such a line.
    pub(super) fn new(first_line: FirstLine, config: &Config) -> Self {
        let max_lines = config.max_headers.min(MAX_HEADERS) + 1;
        Self {
            head: Vec::new(),
            scanner: Scanner::new(first_line, config.max_head_size, max_lines),
        }
    }

    /// Takes from `input` what belongs to the head; `None` when that is all of it and the head is
    /// not complete. After a head it waits for the next one.
    ///
    /// The head starts with an empty line if one came before it.
    pub(super) fn read<'b>(
        &mut self,
        input: &mut &'b mut [u8],
    ) -> Option<Result<Cow<'b, [u8]>, HandshakeError>> {
        // R082: the scanner refuses what is over the limit, so that no more than it is ever kept.
        let end = match self.scanner.scan(input) {
            Ok(end) => end,
            Err(error) => return Some(Err(error)),
        };
        let Some(end) = end else {
            let taken: &mut [u8] = take(input);
            self.head.extend_from_slice(taken);
            return None;
        };
        let (taken, rest) = take(input).split_at_mut_checked(end)?;
        *input = rest;
        if self.head.is_empty() {
            return Some(Ok(Cow::Borrowed(taken)));
        }
        self.head.extend_from_slice(taken);
        Some(Ok(Cow::Owned(take(&mut self.head))))
    }

    /// The short way for a request that lies whole in the first input, right in its form and within
    /// the limits: parses it, and says how long it is. For whatever else, [`read`](Self::read) finds
    /// out what it is.
    pub(super) fn parse_at_once<'s, 'b>(
        &self,
        input: &'b [u8],
        slots: &'s mut HeaderSlots<'b>,
    ) -> Option<(usize, httparse::Request<'s, 'b>)> {
        // `httparse` would skip any number of empty lines before the request.
        if self.scanner.is_under_way() || input.starts_with(b"\r") {
            return None;
        }
        let slots = slots.get_mut(..self.scanner.max_lines - 1)?;
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(input, slots) {
            Ok(Status::Complete(size))
                if size <= self.scanner.max_size && has_no_bare_lf(input.get(..size)?) =>
            {
                Some((size, request))
            }
            _ => None,
        }
    }

    /// Whether the first line of the head is not complete yet.
    pub(super) const fn is_in_first_line(&self) -> bool {
        self.scanner.lines == 0
    }
}

/// Looks for the end of the head through one piece of input after the other.
#[derive(Clone, Debug)]
struct Scanner {
    first_line: FirstLine,
    max_size: usize,
    max_lines: usize,
    /// Bytes of the head so far, without an empty line before it.
    size: usize,
    /// Complete lines so far, the first one included.
    lines: usize,
    line_has_content: bool,
    /// The last byte was a CR.
    after_cr: bool,
    /// An empty line came before the head.
    skipped: bool,
}

impl Scanner {
    const fn new(first_line: FirstLine, max_size: usize, max_lines: usize) -> Self {
        Self {
            first_line,
            max_size,
            max_lines,
            size: 0,
            lines: 0,
            line_has_content: false,
            after_cr: false,
            skipped: false,
        }
    }

    /// Whether it has seen a part of the head.
    const fn is_under_way(&self) -> bool {
        self.size > 0 || self.skipped
    }

    /// Where in `input` the head ends, if it does.
    fn scan(&mut self, input: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(None);
            }
            // R048, R082: the limit is exact, and bytes behind the head do not count.
            let window = rest.get(..self.max_size - self.size).unwrap_or(rest);
            let Some(first) = window.first() else {
                return Err(HandshakeError::HeadTooLarge);
            };
            if !self.after_cr {
                let line_end = memchr2(b'\r', b'\n', window);
                let is_bare_lf = line_end.is_some_and(|end| window.get(end) == Some(&b'\n'));
                let taken = line_end.map_or(window.len(), |end| end + usize::from(!is_bare_lf));
                if self.lines == 0 {
                    self.first_line
                        .take(window.get(..taken).unwrap_or(window))?;
                }
                // R081: a line ends with CR LF, not with LF alone (RFC 9112 §2.2).
                if is_bare_lf {
                    return Err(HandshakeError::InvalidLineEnd);
                }
                self.line_has_content |= line_end != Some(0);
                self.after_cr = line_end.is_some();
                self.size += taken;
                at += taken;
                continue;
            }
            // R045, R081: nor is there a CR without LF.
            if *first != b'\n' {
                return Err(HandshakeError::InvalidLineEnd);
            }
            self.size += 1;
            at += 1;
            if self.ends_head()? {
                return Ok(Some(at));
            }
        }
    }

    /// At the end of a line: whether that was the last one.
    fn ends_head(&mut self) -> Result<bool, HandshakeError> {
        self.after_cr = false;
        if take(&mut self.line_has_content) {
            self.lines += 1;
            // R048, R082: the lines are counted as they come.
            if self.lines > self.max_lines {
                return Err(HandshakeError::TooManyHeaders);
            }
            return Ok(false);
        }
        // One empty line is allowed before a request, and the first line refuses another (RFC 9112 §2.2).
        if self.lines == 0 {
            self.skipped = true;
            self.size = 0;
            return Ok(false);
        }
        *self = Self::new(self.first_line.restarted(), self.max_size, self.max_lines);
        Ok(true)
    }
}

/// R409: in a response a line that was folded is one, with a space where the fold was (RFC 9112 §5.2).
///
/// Behind the first line nothing is folded: there is no field yet to go on with, and what begins with a
/// space there stays an error (RFC 9112 §2.2).
pub(super) fn unfold(head: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let is_fold = |end: usize| matches!(head.get(end + 1), Some(b' ' | b'\t'));
    if !memchr_iter(b'\n', &head).skip(1).any(is_fold) {
        return head;
    }
    let mut unfolded = Vec::with_capacity(head.len());
    let mut rest = &head[..];
    while let Some((line, after)) =
        memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end + 1))
    {
        rest = after;
        if unfolded.is_empty() || !matches!(after, [b' ' | b'\t', ..]) {
            unfolded.extend_from_slice(line);
            continue;
        }
        let mut line = line.strip_suffix(b"\r\n").unwrap_or(line);
        while let [before @ .., b' ' | b'\t'] = line {
            line = before;
        }
        while let [b' ' | b'\t', behind @ ..] = rest {
            rest = behind;
        }
        push_all(&mut unfolded, &[line, b" "]);
    }
    Cow::Owned(unfolded)
}

/// R081: `httparse` takes a line that ends with LF alone; we do not (RFC 9112 §2.2).
///
/// Written so that it compiles to vector instructions.
fn has_no_bare_lf(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    let bare = |(before, byte): (&u8, &u8)| u8::from(*before != b'\r') & u8::from(*byte == b'\n');
    !head.starts_with(b"\n") && pairs.map(bare).fold(0, |any, bare| any | bare) == 0
}

/// Parses the head of a request, from its first line to its empty one: R060, R081.
pub(super) fn parse_request<'s, 'b>(
    head: &'b [u8],
    slots: &'s mut HeaderSlots<'b>,
) -> Result<httparse::Request<'s, 'b>, HandshakeError> {
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, slots) {
        Ok(Status::Complete(size)) if size == head.len() => Ok(request),
        _ => Err(HandshakeError::MalformedHead),
    }
}

/// Parses the head of a response, from its first line to its empty one: R032, R045.
pub(super) fn parse_response<'s, 'b>(
    head: &'b [u8],
    slots: &'s mut HeaderSlots<'b>,
) -> Result<httparse::Response<'s, 'b>, HandshakeError> {
    let mut response = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, slots) {
        Ok(Status::Complete(size)) if size == head.len() => Ok(response),
        _ => Err(HandshakeError::MalformedHead),
    }
}
