//! [`Session`]: what the user wants of one connection, from its opening to its close.

use std::io;
use std::time::{Duration, Instant};

use sockless::handshake::HandshakeError;
use sockless::{Ending, Error, State};

use crate::arguments::Arguments;
use crate::keyboard::{Input, Keyboard};
use crate::screen::{Screen, note};
use crate::websocket::{Listener, SocketEvent, WebSocket};

/// Above this many bytes that wait to be written, nothing more is taken of the input.
const HIGH_WATER_MARK: usize = 64 * 1024;

pub(crate) struct Session<'a> {
    arguments: &'a Arguments,
    screen: &'a mut Screen,
    /// What goes first.
    files: &'a [Vec<u8>],
    opened: bool,
    /// When everything was sent.
    sent_at: Option<Duration>,
    received: u64,
    /// When the next ping is due.
    ping_at: Option<Duration>,
    pings: u64,
    /// The last ping, until its pong is there.
    ping: Option<(u64, Instant)>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        arguments: &'a Arguments,
        screen: &'a mut Screen,
        files: &'a [Vec<u8>],
    ) -> Self {
        Self {
            arguments,
            screen,
            files,
            opened: false,
            sent_at: None,
            received: 0,
            ping_at: None,
            pings: 0,
            ping: None,
        }
    }

    /// Sends what there is to send now, and says when there may be more.
    pub(crate) fn act(
        &mut self,
        socket: &mut WebSocket,
        keyboard: &mut Keyboard,
        now: Duration,
    ) -> io::Result<Option<Duration>> {
        if socket.ready_state() != State::Open {
            return Ok(None);
        }
        if !self.opened {
            self.on_open(socket, now)?;
        }
        if self.ping_at.is_some_and(|at| at <= now) {
            self.send_ping(socket, now)?;
        }
        while self.sent_at.is_none() && socket.buffered_amount() < HIGH_WATER_MARK {
            match self.next_input(keyboard)? {
                Input::Line(line) => socket.send_text(&line).map_err(io::Error::other)?,
                Input::Nothing => break,
                Input::End => self.sent_at = Some(now),
            }
        }
        let wait = self.arguments.wait();
        let close_at = self.sent_at.zip(wait).map(|(sent, wait)| sent + wait);
        if keyboard.is_interrupted() || self.has_all() || close_at.is_some_and(|at| at <= now) {
            let (code, reason) = (self.arguments.close_code, &self.arguments.close_reason);
            socket.close(code, reason).map_err(io::Error::other)?;
            return Ok(None);
        }
        Ok(self.ping_at.into_iter().chain(close_at).min())
    }

    /// The exit status of the program, if this was all.
    pub(crate) fn status(&self, ending: &Ending) -> u8 {
        match ending.error {
            _ if ending.status.is_some() => 4,
            None | Some(Error::Handshake(HandshakeError::EndOfStream)) if !ending.clean => 6,
            Some(_) => 5,
            None if self.arguments.count.is_some() && !self.has_all() => 7,
            None if self.is_normal(ending) => 0,
            None => 8,
        }
    }

    fn is_normal(&self, ending: &Ending) -> bool {
        // The code that this end has chosen comes back.
        matches!(ending.code, 1000 | 1001 | 1005)
            || ending.sent_code == Some(self.arguments.close_code)
                && ending.code == u16::from(self.arguments.close_code)
    }

    fn has_all(&self) -> bool {
        self.arguments
            .count
            .is_some_and(|count| self.received >= count)
    }

    fn on_open(&mut self, socket: &mut WebSocket, now: Duration) -> io::Result<()> {
        self.opened = true;
        self.screen.show_agreed(&socket.extensions())?;
        for data in self.files {
            socket.send_binary(data).map_err(io::Error::other)?;
        }
        for text in &self.arguments.message {
            socket.send_text(text).map_err(io::Error::other)?;
        }
        self.ping_at = self.arguments.ping.map(|_| now);
        Ok(())
    }

    fn next_input(&self, keyboard: &mut Keyboard) -> io::Result<Input> {
        if self.arguments.reads_input() {
            keyboard.next()
        } else {
            Ok(Input::End)
        }
    }

    fn send_ping(&mut self, socket: &mut WebSocket, now: Duration) -> io::Result<()> {
        if let Some((number, sent_at)) = self.ping {
            let late = sent_at.elapsed().as_secs_f64();
            note(format_args!("no pong for ping {number} after {late:.1} s"));
        }
        self.pings += 1;
        socket
            .send_ping(&self.pings.to_be_bytes())
            .map_err(io::Error::other)?;
        self.ping = Some((self.pings, Instant::now()));
        let interval = self.arguments.ping.map(Duration::from_secs);
        self.ping_at = interval.map(|interval| now + interval);
        Ok(())
    }

    fn on_pong(&mut self, payload: &[u8]) -> io::Result<()> {
        let answered = self
            .ping
            .take_if(|(number, _)| payload == number.to_be_bytes());
        let round_trip = answered.map(|(_, sent_at)| sent_at.elapsed());
        self.screen.show_pong(payload, round_trip)
    }
}

impl Listener for Session<'_> {
    fn on_event(&mut self, event: SocketEvent<'_>) -> io::Result<()> {
        match event {
            SocketEvent::Text(_) | SocketEvent::Binary(_) => self.received += 1,
            SocketEvent::Pong(payload) => self.on_pong(payload)?,
            _ => {}
        }
        self.screen.show(&event)
    }
}
