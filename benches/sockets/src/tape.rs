//! What a connection sends and what has to come back, prepared: a few messages, played in a loop.

use sockless::{Config, Connection, Role};

use crate::Failure;

pub(crate) struct Tape {
    /// The client's frames in order, going on beyond the first repetition, so that as many as may be
    /// in flight can be written at once from wherever one begins.
    asked: Vec<u8>,
    /// The server's frames, once each.
    answered: Vec<u8>,
    asked_frame: usize,
    answered_frame: usize,
    messages: usize,
}

impl Tape {
    /// Text messages of `size` bytes for up to `depth` of them in flight. There are more than that
    /// and no two are alike, so one that is lost, doubled or out of order is noticed.
    pub(crate) fn new(size: usize, depth: usize) -> Result<Self, Failure> {
        let messages = depth + 1;
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut client = Connection::upgraded(Role::Client, Config::default());
        let mut server = Connection::upgraded(Role::Server, Config::default());
        for i in 0..messages + depth {
            let text = text(size, i % messages);
            client.send_text(&text)?;
            write(&mut client, &mut asked);
            if i < messages {
                server.send_text(&text)?;
                write(&mut server, &mut answered);
            }
        }
        Ok(Self {
            asked_frame: asked.len() / (messages + depth),
            answered_frame: answered.len() / messages,
            asked,
            answered,
            messages,
        })
    }

    /// A place to begin, another one for neighbouring connections.
    pub(crate) const fn start(&self, connection: usize) -> Place {
        let message = connection % self.messages;
        Place {
            asked: message * self.asked_frame,
            answered: message * self.answered_frame,
            owed: 0,
        }
    }
}

/// Moves all that is queued to the end of `tape`.
fn write(ws: &mut Connection, tape: &mut Vec<u8>) {
    tape.extend(ws.outputs().flatten());
    ws.sent(ws.buffered_amount());
}

/// Where a connection is on its tape.
pub(crate) struct Place {
    asked: usize,
    answered: usize,
    /// How many bytes of what was asked for are still to be written.
    owed: usize,
}

impl Place {
    /// That many messages more are to be written.
    pub(crate) const fn ask(&mut self, tape: &Tape, messages: usize) {
        self.owed += messages * tape.asked_frame;
    }

    /// What is to be written.
    pub(crate) fn output<'t>(&self, tape: &'t Tape) -> &'t [u8] {
        &tape.asked[self.asked..self.asked + self.owed]
    }

    pub(crate) const fn sent(&mut self, tape: &Tape, n: usize) {
        self.owed -= n;
        self.asked = (self.asked + n) % (tape.messages * tape.asked_frame);
    }

    /// Compares what was read with what had to come, and says how many messages it completes.
    pub(crate) fn received(&mut self, tape: &Tape, mut bytes: &[u8]) -> Result<usize, Failure> {
        let complete = (self.answered % tape.answered_frame + bytes.len()) / tape.answered_frame;
        while !bytes.is_empty() {
            let expected = &tape.answered[self.answered..];
            let n = bytes.len().min(expected.len());
            if bytes[..n] != expected[..n] {
                return Err("an echo is not what was sent".into());
            }
            self.answered = (self.answered + n) % tape.answered.len();
            bytes = &bytes[n..];
        }
        Ok(complete)
    }
}

/// `size` letters, which depend on `number` from the first on.
fn text(size: usize, number: usize) -> String {
    (b'a'..=b'z')
        .cycle()
        .skip(number)
        .step_by(1 + number / 26)
        .take(size)
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPTH: usize = 16;

    #[test]
    fn no_two_messages_are_alike() {
        let texts: std::collections::HashSet<_> = (0..=DEPTH).map(|i| text(20, i)).collect();
        assert_eq!(texts.len(), DEPTH + 1);
    }

    #[test]
    fn the_right_echoes_in_pieces_are_counted() -> Result<(), Failure> {
        let tape = Tape::new(20, DEPTH)?;
        let mut place = tape.start(40);
        let mut answers = tape.answered[place.answered..].to_vec();
        answers.extend_from_slice(&tape.answered);
        let mut complete = 0;
        for piece in answers.chunks(7) {
            complete += place.received(&tape, piece)?;
        }
        assert_eq!(complete * tape.answered_frame, answers.len());
        Ok(())
    }

    #[test]
    fn a_lost_message_is_noticed() -> Result<(), Failure> {
        let tape = Tape::new(20, DEPTH)?;
        let mut place = tape.start(0);
        assert!(
            place
                .received(&tape, &tape.answered[tape.answered_frame..])
                .is_err()
        );
        Ok(())
    }

    #[test]
    fn a_longer_or_shorter_message_is_noticed() -> Result<(), Failure> {
        let tape = Tape::new(20, DEPTH)?;
        for size in [19, 21] {
            let other = Tape::new(size, DEPTH)?;
            assert!(tape.start(0).received(&tape, &other.answered).is_err());
        }
        Ok(())
    }

    #[test]
    fn as_many_as_may_be_in_flight_can_be_written_from_anywhere() -> Result<(), Failure> {
        let tape = Tape::new(1024, DEPTH)?;
        let mut place = tape.start(DEPTH);
        for _ in 0..3 * DEPTH {
            place.ask(&tape, DEPTH);
            while !place.output(&tape).is_empty() {
                let n = place.output(&tape).len().min(999);
                place.sent(&tape, n);
            }
        }
        assert_eq!(place.asked % tape.asked_frame, 0);
        Ok(())
    }
}
