//! What the time amounts to, in seconds: when a ping may and must be sent, and when the wait for a pong or
//! for the end is over. The endpoint sees what happened only when it is told the time, so a deadline lies
//! between two bounds.

/// The settings of every life; see `Config::keepalive` and `Config::close_timeout`.
pub(crate) const INTERVAL: u64 = 30;
pub(crate) const TIMEOUT: u64 = 10;
pub(crate) const CLOSE_TIMEOUT: u64 = 60;

#[derive(Default)]
pub(crate) struct Time {
    pub(crate) now: u64,
    heard: Moment,
    /// When something was last written.
    wrote: Moment,
    /// … that was certainly more than a pong which went ahead of the rest.
    wrote_more: Moment,
    /// When the closing began.
    closing: Option<Moment>,
    ping: Option<Ping>,
    pings: usize,
}

/// Between two looks at the clock.
#[derive(Clone, Copy, Default)]
struct Moment {
    after: u64,
    /// The first look since.
    before: Option<u64>,
}

/// A keepalive ping that waits for a sign of life.
struct Ping {
    /// Which of all it is.
    number: usize,
    /// When it was queued, or output moved or something arrived after that.
    moved: Moment,
    written: bool,
}

/// Whether something may happen at this look at the clock, and whether it must.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) may: bool,
    pub(crate) must: bool,
}

/// What is due at a look at the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadlines {
    pub(crate) ping: Due,
    pub(crate) pong_timeout: Due,
    pub(crate) close_timeout: Due,
}

/// What the clock has to know of the connection.
pub(crate) struct Standing {
    pub(crate) is_open: bool,
    pub(crate) is_mid_send: bool,
    pub(crate) has_output: bool,
}

impl Time {
    /// Bytes have arrived. Whatever comes after a ping was written shows that the peer lives; before that its
    /// time begins anew.
    pub(crate) fn on_heard(&mut self) {
        let now = self.moment();
        self.heard = now;
        match &mut self.ping {
            Some(ping) if !ping.written => ping.moved = now,
            _ => self.ping = None,
        }
    }

    /// Bytes have been written, perhaps of pongs only, and with them so many keepalive pings in all.
    pub(crate) fn on_written(&mut self, pings: usize, perhaps_pongs: bool) {
        self.wrote = self.moment();
        if !perhaps_pongs {
            self.wrote_more = self.wrote;
        }
        let moved = self.moment();
        if let Some(ping) = &mut self.ping {
            // What moves behind the ping says nothing.
            if !ping.written {
                ping.moved = moved;
            }
            ping.written |= pings >= ping.number;
        }
    }

    /// A keepalive ping has been queued. If one waits already, that one still has to be answered.
    pub(crate) fn on_ping_queued(&mut self) {
        self.pings += 1;
        let number = self.pings;
        match &mut self.ping {
            Some(_) => {}
            None => {
                let moved = Moment {
                    after: self.now,
                    before: Some(self.now),
                };
                self.ping = Some(Ping {
                    number,
                    moved,
                    written: false,
                });
            }
        }
    }

    pub(crate) fn on_closing(&mut self) {
        let now = self.moment();
        self.closing.get_or_insert(now);
        self.ping = None;
    }

    /// A look at the clock: what is due.
    pub(crate) fn look(&mut self, now: u64, standing: &Standing) -> Deadlines {
        self.now = now;
        let moments = [&mut self.heard, &mut self.wrote, &mut self.wrote_more].into_iter();
        let others = self.closing.iter_mut();
        let pings = self.ping.iter_mut().map(|ping| &mut ping.moved);
        for moment in moments.chain(others).chain(pings) {
            moment.before.get_or_insert(now);
        }
        let mut due = Deadlines::default();
        if let Some(closing) = &self.closing {
            due.close_timeout = closing.due(now, CLOSE_TIMEOUT);
        }
        if !standing.is_open {
            return due;
        }
        let heard = self.heard.due(now, INTERVAL);
        let wrote = self.wrote.due(now, INTERVAL);
        if !standing.is_mid_send {
            let waits = self.ping.is_some();
            // A pong that goes ahead need not count as output: a ping too many does no harm.
            let quiet = self.wrote_more.due(now, INTERVAL).may;
            due.ping.may = quiet || (heard.may && !waits);
        }
        match &self.ping {
            Some(ping) => {
                due.pong_timeout = ping.moved.due(now, TIMEOUT);
            }
            None => {
                let must = heard.must || (wrote.must && !standing.has_output);
                due.ping.must = must && due.ping.may;
            }
        }
        due
    }

    const fn moment(&self) -> Moment {
        Moment {
            after: self.now,
            before: None,
        }
    }
}

impl Moment {
    fn due(self, now: u64, span: u64) -> Due {
        Due {
            may: now - self.after >= span,
            must: self.before.is_some_and(|before| now - before >= span),
        }
    }
}
