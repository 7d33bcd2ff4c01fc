//! What is received compressed: [RFC 7692 §6.2, §7.2.2].
//!
//! An [`Inbound`] inflates the messages of one connection, a bounded piece at a time. No more is ever
//! produced than the limit and one byte, and what is kept between messages is the agreed window, or
//! nothing. Within a message that is gathered, what was gathered is the window, so that no second copy
//! of it is kept.
//!
//! [RFC 7692 §6.2, §7.2.2]: https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2

use alloc::sync::Arc;

use super::codec::{Inflater, Step, Stop};
use super::history::History;
pub(crate) use super::pool::CHUNK;
use super::pool::{Pool, Scratch};
use super::{Context, DeflateConfig, Parameters, TAIL};
use crate::error::Error;
use crate::frame::Role;

/// The ratio is judged before every so many bytes of the wire, and at the end: at places that do not
/// depend on how the input was cut, for what a number of bytes inflates to does not either.
const RATIO_STEP: usize = 256;

/// Up to here a message may have any ratio.
const RATIO_FREE: usize = 64 << 10;

/// How much of a stream is tried without the window, behind a final block. (Measured: putting 32 KiB
/// back takes about 1 µs, inflating a short block 0.05 µs.)
const TRIED: usize = 64;

/// What ends a message: the bytes that its sender left out, and a final block that only a stream at the
/// boundary of a block takes for one.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

#[derive(Debug)]
pub(crate) struct Inbound {
    pool: Arc<Pool>,
    context: Context,
    window: usize,
    max_size: usize,
    max_ratio: Option<usize>,
    /// The window before the message, with takeover; and of a message that is handed over in parts,
    /// what was inflated of it.
    history: History,
    message: Option<Message>,
}

/// The message in progress.
#[derive(Debug, Default)]
struct Message {
    /// From its first byte on.
    scratch: Option<Scratch>,
    stream: Stream,
    received: usize,
    inflated: usize,
    /// Whether the last output was cut, so that there may be more of it.
    is_cut: bool,
    /// How much of [`END`] has been used.
    end: usize,
}

/// How far the stream has come that the message, or what follows in it behind a final block, is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stream {
    /// No byte of the message has been inflated.
    #[default]
    Awaited,
    /// No byte behind a final block has.
    BehindFinal,
    Begun,
}

/// What the caller has of the message in progress, and gives back for the window.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gathered<'a> {
    /// All that was inflated so far.
    All([&'a [u8]; 2]),
    /// Nothing: it was handed over in parts.
    Nothing,
}

impl Inbound {
    pub(crate) fn new(
        role: Role,
        agreed: &Parameters,
        deflate: &DeflateConfig,
        max_size: usize,
    ) -> Self {
        let window = 1 << agreed.window_bits(role.peer());
        Self {
            pool: Arc::clone(&deflate.pool),
            context: agreed.context(role.peer()),
            window,
            max_size,
            max_ratio: match deflate.max_ratio {
                u32::MAX => None,
                ratio => Some(usize::try_from(ratio).unwrap_or(usize::MAX)),
            },
            history: History::new(window),
            message: None,
        }
    }

    /// A compressed message begins.
    pub(crate) fn begin(&mut self) {
        self.message = Some(Message::default());
    }

    /// Whether the message in progress is compressed.
    pub(crate) const fn is_inflating(&self) -> bool {
        self.message.is_some()
    }

    /// Whether there may be output without further input.
    pub(crate) const fn is_cut(&self) -> bool {
        matches!(&self.message, Some(message) if message.is_cut)
    }

    /// The memory that the message in progress takes here, in bytes.
    pub(crate) fn held(&self) -> usize {
        let scratch = self.message.as_ref().and_then(|m| m.scratch.as_ref());
        // With takeover the window is kept between messages too.
        let window = match self.context {
            Context::NoTakeover => self.history.capacity(),
            Context::Takeover => 0,
        };
        scratch.map_or(0, |scratch| Inflater::SIZE + scratch.out.len() + window)
    }

    /// Inflates the next bytes: how many of `input` were used, and what they came to. If that is
    /// nothing, all were used.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        gathered: Gathered<'_>,
    ) -> Result<(usize, &[u8]), Error> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if rest.is_empty() && !self.is_cut() {
                return Ok((used, &[]));
            }
            let step = self.step(rest, gathered)?;
            used += step.used;
            if step.made > 0 {
                return Ok((used, self.out(step.made)));
            }
        }
    }

    /// All bytes of the message have been inflated: what more they come to, piece by piece, and `None`
    /// at last.
    pub(crate) fn finish(&mut self, gathered: Gathered<'_>) -> Result<Option<&[u8]>, Error> {
        loop {
            // As before every step: once all that came before has been inflated.
            if let Some(message) = self.message.as_ref().filter(|message| !message.is_cut) {
                message.judge_ratio(self.max_ratio)?;
            }
            // R344: nothing has begun, be it that nothing came at all (a payload of 0 bytes) or
            // nothing behind a final block, so there is nothing to end.
            let begun = |message: &&Message| message.stream == Stream::Begun;
            let Some(message) = self.message.as_ref().filter(begun) else {
                self.end(gathered);
                return Ok(None);
            };
            // R337 (§7.2.2): the bytes that the sender left out.
            let rest = match message.is_cut {
                true => &[],
                false => END.get(message.end..).unwrap_or_default(),
            };
            let step = self.step(rest, gathered)?;
            let Some(message) = &mut self.message else {
                return Ok(None);
            };
            message.end += step.used;
            // R347: what they complete is an empty stored block, which may itself be final. Anything
            // else was cut off in the middle.
            if step.stop == Stop::End {
                if message.end != TAIL.len() && message.end != END.len() {
                    return Err(Error::InvalidDeflate);
                }
            } else if message.end == END.len() && !message.is_cut {
                return Err(Error::InvalidDeflate);
            }
            if step.made > 0 {
                return Ok(Some(self.out(step.made)));
            }
        }
    }

    fn step(&mut self, mut input: &[u8], gathered: Gathered<'_>) -> Result<Step, Error> {
        let Some(message) = &mut self.message else {
            return Err(Error::InvalidDeflate);
        };
        if self.max_ratio.is_some() {
            let to_check = RATIO_STEP - message.received % RATIO_STEP;
            if to_check == RATIO_STEP {
                if message.is_cut {
                    // What all bytes before it come to is inflated first.
                    input = &[];
                } else {
                    message.judge_ratio(self.max_ratio)?;
                }
            }
            input = input.get(..to_check).unwrap_or(input);
        }
        let scratch = message
            .scratch
            .get_or_insert_with(|| self.pool.take_inflater());
        // R348: one byte beyond the limit shows that it is broken, and no more is produced. All up to
        // the limit is judged before, so that no cut changes what is reported.
        let to_limit = (self.max_size - message.inflated).max(1);
        let room = to_limit.min(scratch.out.len());
        let out = scratch.out.get_mut(..room).unwrap_or_default();
        let inflater = &mut scratch.inflater;
        let tried = match message.stream {
            // R340, R341 (§7.2.1): behind a final block another may follow, at the next byte and with
            // the same window. Putting that back costs more than most blocks do, so it is done only
            // for those that do not come to an end without it.
            Stream::BehindFinal => inflater.try_run(input.get(..TRIED).unwrap_or(input), out),
            Stream::Awaited | Stream::Begun => None,
        };
        let step = match tried {
            Some(step) => step,
            None => {
                if message.stream != Stream::Begun {
                    // R338, R339: with takeover the window goes on, else it is empty.
                    let window = last(self.window, &self.history, gathered);
                    inflater
                        .restart(window)
                        .map_err(|_| Error::InvalidDeflate)?;
                }
                inflater.run(input, out)
            }
        };
        // R347: once what came before has been judged.
        if step.stop == Stop::Corrupt && step.made == 0 {
            return Err(Error::InvalidDeflate);
        }
        message.received = message.received.saturating_add(step.used);
        message.inflated += step.made;
        if message.inflated > self.max_size {
            return Err(Error::MessageTooLarge);
        }
        message.stream = match step.stop {
            Stop::End => Stream::BehindFinal,
            Stop::Room | Stop::Corrupt => Stream::Begun,
        };
        message.is_cut = match step.stop {
            Stop::Room => step.made == room,
            Stop::End => false,
            Stop::Corrupt => true,
        };
        if let Gathered::Nothing = gathered {
            self.history
                .push(scratch.out.get(..step.made).unwrap_or_default());
        }
        Ok(step)
    }

    fn end(&mut self, gathered: Gathered<'_>) {
        let message = self.message.take();
        if let Some(scratch) = message.and_then(|message| message.scratch) {
            self.pool.give_inflater(scratch);
        }
        match (self.context, gathered) {
            (Context::Takeover, Gathered::All(runs)) => {
                for run in runs {
                    self.history.push(run);
                }
            }
            (Context::Takeover, Gathered::Nothing) => {}
            (Context::NoTakeover, _) => self.history = History::new(self.window),
        }
    }

    fn out(&self, made: usize) -> &[u8] {
        let scratch = self.message.as_ref().and_then(|m| m.scratch.as_ref());
        scratch
            .and_then(|scratch| scratch.out.get(..made))
            .unwrap_or_default()
    }
}

impl Message {
    /// Judges what all bytes received so far came to.
    fn judge_ratio(&self, max_ratio: Option<usize>) -> Result<(), Error> {
        let most = max_ratio.map_or(usize::MAX, |ratio| self.received.saturating_mul(ratio));
        if self.inflated >= RATIO_FREE && self.inflated > most {
            return Err(Error::RatioTooHigh);
        }
        Ok(())
    }
}

/// The last `window` bytes that were inflated, the oldest first.
fn last<'a>(
    window: usize,
    history: &'a History,
    gathered: Gathered<'a>,
) -> impl Iterator<Item = &'a [u8]> {
    let [older, newer] = history.runs();
    let [begin, end] = match gathered {
        Gathered::All(runs) => runs,
        Gathered::Nothing => [&[][..]; 2],
    };
    let runs = [older, newer, begin, end];
    let all: usize = runs.iter().map(|run| run.len()).sum();
    let mut beyond = all.saturating_sub(window);
    runs.into_iter().filter_map(move |run| {
        let (gone, kept) = run.split_at(beyond.min(run.len()));
        beyond -= gone.len();
        Some(kept).filter(|kept| !kept.is_empty())
    })
}
