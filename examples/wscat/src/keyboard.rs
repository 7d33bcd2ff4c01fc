//! [`Keyboard`]: lines and Ctrl-C, each of which wakes whoever waits for a socket.

use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::thread;

use mio::Waker;

use crate::screen::note;

/// How many lines wait at most; the terminal or the pipe keeps the others.
const LINES: usize = 64;

const INTERRUPTED: i32 = 130;

/// Whether there is a connection to close, so that Ctrl-C does not end the program by itself.
static CONNECTED: AtomicBool = AtomicBool::new(false);
static INTERRUPT: AtomicBool = AtomicBool::new(false);
static WAKER: OnceLock<Arc<Waker>> = OnceLock::new();

pub(crate) enum Input {
    Line(String),
    /// None yet.
    Nothing,
    End,
}

/// Standard input, read by a thread of its own, because nothing else can wait for it and a socket.
pub(crate) struct Keyboard {
    /// `None` until somebody wants a line.
    lines: Option<Receiver<String>>,
    ended: bool,
    waker: Arc<Waker>,
}

impl Keyboard {
    pub(crate) fn new(waker: Waker) -> Result<Self, ctrlc::Error> {
        let waker = Arc::new(waker);
        let _ = WAKER.set(Arc::clone(&waker));
        ctrlc::set_handler(|| {
            if !CONNECTED.load(Ordering::SeqCst) || INTERRUPT.swap(true, Ordering::SeqCst) {
                process::exit(INTERRUPTED);
            }
            if let Some(Err(error)) = WAKER.get().map(|waker| waker.wake()) {
                note(format_args!("cannot close: {error}"));
                process::exit(INTERRUPTED);
            }
        })?;
        Ok(Self {
            lines: None,
            ended: false,
            waker,
        })
    }

    /// Whether there is a connection that Ctrl-C has to close.
    pub(crate) fn set_connected(&self, connected: bool) {
        CONNECTED.store(connected, Ordering::SeqCst);
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        INTERRUPT.load(Ordering::SeqCst)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn next(&mut self) -> io::Result<Input> {
        let lines = match &self.lines {
            Some(lines) => lines,
            None => self.lines.insert(read_lines(Arc::clone(&self.waker))?),
        };
        Ok(match lines.try_recv() {
            Ok(line) => Input::Line(line),
            Err(TryRecvError::Empty) => Input::Nothing,
            Err(TryRecvError::Disconnected) => {
                self.ended = true;
                Input::End
            }
        })
    }
}

fn read_lines(waker: Arc<Waker>) -> io::Result<Receiver<String>> {
    let (sender, lines) = mpsc::sync_channel(LINES);
    thread::Builder::new().spawn(move || {
        for line in io::stdin().lines() {
            match line {
                Ok(line) => {
                    if sender.send(line).is_err() {
                        return; // the connection is over
                    }
                    let _ = waker.wake();
                }
                Err(error) => {
                    note(format_args!("standard input: {error}"));
                    break;
                }
            }
        }
        drop(sender);
        let _ = waker.wake();
    })?;
    Ok(lines)
}
