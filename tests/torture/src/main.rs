//! Every loop of `src/docs/loops`, word for word, over a transport that writes partly, blocks, fails, resets,
//! half-closes, delays and holds back what is not flushed; against an independent peer, or another loop.
//!
//! `SOCKLESS_LIVES` is the number of lives, `SOCKLESS_SEED` the first seed; one seed is one life.

mod ends;
mod loops;
mod naive;
mod streams;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::env;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::process::exit;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use ends::{Connection, End, Temper};
use naive::Heard;
use sockless::{ClientRequest, Config, Ending, Input, Role};
use streams::{ACTORS, Instant, TURN, TcpStream, advance, sleep};
use tokio::sync::mpsc;
use world::{Faults, PRODUCER, World, dice, world};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Blocking,
    Tokio,
    Mio,
    Compio,
    Naive,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// Nothing goes wrong, so nothing may be lost.
    Calm,
    /// Anything may go wrong.
    Rough,
    /// Both ends send without reading.
    Standoff,
}

type Counts = BTreeMap<String, u64>;

fn main() {
    let number = |name: &str, default| {
        env::var(name)
            .ok()
            .and_then(|n| n.parse().ok())
            .unwrap_or(default)
    };
    let (lives, first) = (number("SOCKLESS_LIVES", 10_000), number("SOCKLESS_SEED", 0));
    let (mut counts, mut moves, mut failed) = (Counts::new(), 0, 0);
    for seed in first..first + lives {
        let done = panic::catch_unwind(AssertUnwindSafe(|| life(seed, &mut counts)));
        let left = ACTORS.with_borrow_mut(std::mem::take);
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(left)));
        moves += world(|world| world.moves);
        if done.is_err() {
            println!("FAIL  seed {seed}");
            failed += 1;
            if failed == 5 {
                break;
            }
        }
    }
    for (what, n) in &counts {
        println!("{n:9} {what}");
    }
    println!("{moves:9} moves");
    println!("{} passed, {failed} failed", lives - failed);
    exit(i32::from(failed > 0));
}

fn life(seed: u64, counts: &mut Counts) {
    world(|world| *world = World::new(seed));
    TURN.set(0);
    let loops = [Kind::Tokio, Kind::Mio, Kind::Compio, Kind::Blocking];
    let mut kinds = [loops[dice(4) as usize], loops[dice(3) as usize]];
    let mood = match dice(20) {
        0..9 => Mood::Calm,
        9..19 => Mood::Rough,
        _ => Mood::Standoff,
    };
    if mood != Mood::Standoff && dice(3) == 0 {
        kinds[1] = Kind::Naive;
    }
    let roles = match dice(2) {
        0 => [Role::Server, Role::Client],
        _ => [Role::Client, Role::Server],
    };
    set_the_scene(mood);
    let is_upgraded = kinds[1] == Kind::Naive || dice(2) == 0;
    // Two ends that both stop reading wait for each other, which is no calm life; and a blocking one does not
    // read while it writes.
    let presser = if kinds[0] == Kind::Blocking {
        0
    } else {
        dice(3) as usize
    };
    let mut connections = [0, 1].map(|end| {
        let back_pressure =
            mood == Mood::Standoff || presser == end || mood == Mood::Rough && dice(2) == 0;
        let mark = [0, 100, 1000, 64 << 10][dice(4) as usize];
        let config = config(mood, mark, back_pressure);
        let inner = match (is_upgraded, roles[end]) {
            (true, role) => sockless::Connection::upgraded(role, config),
            (false, Role::Server) => sockless::Connection::server(config),
            (false, Role::Client) => {
                let request = ClientRequest::new("ws://example.com/chat").expect("a valid address");
                sockless::Connection::client(request, config).expect("entropy")
            }
        };
        let owns_reads = kinds[end] == Kind::Compio;
        let mut ws = Connection {
            inner,
            end,
            mark,
            back_pressure,
            owns_reads,
            in_flight: 0,
            is_shut: false,
        };
        if is_upgraded && kinds[end] != Kind::Naive {
            ws.greet().expect("an open connection takes messages");
        }
        Some(ws)
    });
    let mut direct = None;
    for end in [0, 1] {
        let stream = TcpStream {
            end,
            timeouts: None,
        };
        let ws = connections[end].take().expect("each is used once");
        world(|world| world.wake(end));
        match kinds[end] {
            Kind::Blocking => direct = Some((stream, ws)),
            Kind::Mio => start_mio(end, stream, ws),
            Kind::Tokio => {
                let (sender, outbox) = mpsc::channel(4);
                start(end, async move {
                    let ending = loops::tokio_loop::run(stream, ws, outbox).await;
                    over(end, Ok(ending));
                });
                if end == 0 {
                    world(|world| world.wake(PRODUCER));
                    start(PRODUCER, produce(sender));
                }
            }
            Kind::Compio => {
                start(end, async move {
                    let ending = loops::compio_loop::run(stream, ws).await;
                    over(end, Ok(ending));
                });
            }
            Kind::Naive => {
                let largest = ends::end(end, |end| end.largest);
                start(
                    end,
                    naive::run(stream, roles[end], mood == Mood::Calm, largest),
                );
            }
        }
    }
    if let Some((stream, ws)) = direct {
        over(
            0,
            loops::blocking::run(stream, ws).map_err(|error| error.to_string()),
        );
    }
    let is_live =
        |end: usize| kinds[end] != Kind::Naive && ends::end(end, |end| end.ending.is_none());
    while is_live(0) || is_live(1) {
        assert!(advance(), "{kinds:?} wait for each other");
    }
    judge(kinds, roles, mood, is_upgraded);
    for end in [0, 1] {
        if let Some(ending) = ends::end(end, |end| end.ending.clone()) {
            let how = match ending {
                Err(error) => error,
                Ok(ending) if ending.clean => "clean".into(),
                Ok(Ending {
                    error: Some(error), ..
                }) => format!("failed: {error}"),
                Ok(ending) if ending.reset => "reset".into(),
                Ok(ending) if ending.status.is_some() => "refused".into(),
                Ok(_) => "ended without a closing handshake".into(),
            };
            *counts
                .entry(format!("{:?} {:?}", kinds[end], roles[end]))
                .or_default() += 1;
            *counts.entry(format!("{mood:?}: {how}")).or_default() += 1;
        }
    }
}

fn set_the_scene(mood: Mood) {
    world(|world| {
        world.buffers = world.dice(2) == 0;
        world.delays = [1, 100, 2_000][world.dice(3) as usize];
        world.blocks = [0, 1, 6][world.dice(3) as usize];
        world.capacity = [40, 500, 4096, 65_536][world.dice(4) as usize];
        if mood == Mood::Standoff {
            world.capacity = 4096;
        }
        if mood == Mood::Rough {
            let mut faults = Faults::default();
            for end in [0, 1] {
                let after = world.dice(100_000) >> world.dice(12);
                match world.dice(6) {
                    0 => faults.fail_after[end] = Some(after),
                    1 => faults.cut_after[end] = Some(after),
                    _ => {}
                }
            }
            if world.dice(6) == 0 {
                let at = Duration::from_micros(world.dice(3_000_000) >> world.dice(12));
                faults.reset_at = Some(at);
                world.alarm(at, 0);
                world.alarm(at, 1);
            }
            world.faults = faults;
        }
    });
    let capacity = world(|world| world.capacity);
    for end in [0, 1] {
        let (budget, greeting, silent) = (dice(12), 1 + dice(2), dice(10) == 0);
        ends::end(end, |end| {
            *end = End {
                temper: if mood == Mood::Rough {
                    Temper::Rough
                } else {
                    Temper::Calm
                },
                largest: match mood {
                    Mood::Standoff => 200_000,
                    _ if capacity < 4096 => 2_000,
                    _ => 150_000,
                },
                budget,
                greeting: if mood == Mood::Standoff { 20 } else { greeting },
                is_silent: mood == Mood::Rough && silent,
                ..End::default()
            };
        });
    }
}

fn config(mood: Mood, mark: usize, back_pressure: bool) -> Config {
    let seconds = |least, most| Duration::from_secs(least + dice(most - least));
    let config = Config::default().high_water_mark(mark);
    let config = if back_pressure {
        config.back_pressure()
    } else {
        config
    };
    match mood {
        Mood::Calm if dice(2) == 0 => config.keepalive(seconds(20, 30), seconds(20, 30)),
        Mood::Calm => config,
        Mood::Rough => config
            .keepalive(seconds(2, 20), seconds(2, 20))
            .handshake_timeout(seconds(1, 10))
            .write_timeout(seconds(1, 30))
            .close_timeout(seconds(1, 10))
            .no_message_timeout(seconds(5, 40)),
        Mood::Standoff => config
            .write_timeout(seconds(2, 10))
            .close_timeout(seconds(1, 10)),
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

fn start(end: usize, future: impl Future<Output = ()> + 'static) {
    let waker = Waker::from(world(|world| world.woken[end].clone()));
    let mut task: Task = Box::pin(future);
    let step = move || {
        task.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
    };
    ACTORS.with_borrow_mut(|actors| actors[end] = Some(Rc::new(RefCell::new(step))));
}

fn start_mio(end: usize, stream: TcpStream, ws: Connection) {
    let peer = loops::mio_loop::Peer {
        stream,
        ws,
        input: Input::default(),
        clock: Instant::now(),
    };
    let mut peer = Some(peer);
    let step = move || {
        match peer.as_mut().map(loops::mio_loop::run) {
            Some(Err(ending)) => {
                peer = None;
                over(end, Ok(ending));
            }
            Some(Ok(Some(until))) => world(|world| world.alarm(until, end)),
            _ => {}
        }
        peer.is_none()
    };
    ACTORS.with_borrow_mut(|actors| actors[end] = Some(Rc::new(RefCell::new(step))));
}

async fn produce(outbox: mpsc::Sender<String>) {
    for _ in 0..dice(6) {
        sleep(Duration::from_millis(dice(50))).await;
        if outbox
            .send("from the outbox ".repeat(1 + dice(20) as usize))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn over(end: usize, ending: Result<Ending, String>) {
    ends::end(end, |end| end.ending = Some(ending));
    world(|world| {
        for woken in &world.woken {
            woken.0.store(true, Ordering::Relaxed);
        }
    });
}

/// What has to be true of every life that is over.
fn judge(kinds: [Kind; 2], roles: [Role; 2], mood: Mood, is_upgraded: bool) {
    for end in [0, 1] {
        let log = world(|world| std::mem::take(&mut world.pipes[end].log));
        let frames = match is_upgraded {
            true => &log[..],
            false => log
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n")
                .map_or(&[][..], |at| &log[at + 4..]),
        };
        let refused = ends::end(
            1 - end,
            |end| matches!(&end.ending, Some(Ok(ending)) if ending.status.is_some()),
        ) || ends::end(
            end,
            |end| matches!(&end.ending, Some(Ok(ending)) if ending.status.is_some() || !ending.opened),
        );
        let mut heard = Heard::default();
        if !refused {
            heard.read(frames);
        }
        let accepted = ends::end(end, |end| std::mem::take(&mut end.accepted));
        let (received, saw_close) = ends::end(1 - end, |end| {
            (std::mem::take(&mut end.received), end.saw_close)
        });
        let who = format!("{:?} {:?} of {kinds:?}, {mood:?}", kinds[end], roles[end]);
        let is_loop = |end: usize| kinds[end] != Kind::Naive;
        if is_loop(end) {
            assert!(
                accepted.starts_with(&heard.messages),
                "{who}: wrote what it was not given"
            );
            let ending = ends::end(end, |end| end.ending.clone());
            if let Some(Ok(ending)) = ending {
                let has_failed = world(|world| world.pipes[end].has_failed);
                assert!(ending.reset || !has_failed, "{who}: forgets a failed write");
                if ending.clean {
                    assert_eq!(
                        heard.messages.len(),
                        accepted.len(),
                        "{who}: did not write all"
                    );
                    assert!(
                        heard.has_close && !heard.is_cut,
                        "{who}: is clean without a Close"
                    );
                }
                if mood == Mood::Calm {
                    assert!(ending.clean, "{who}: {ending}, {ending:?}");
                }
            } else {
                assert!(mood != Mood::Calm, "{who}: {ending:?}");
            }
        }
        if is_loop(1 - end) {
            assert!(
                heard.messages.starts_with(&received),
                "{who}: the other received what was not sent"
            );
            if saw_close {
                assert!(heard.has_close, "{who}: a Close from nowhere");
                assert_eq!(
                    heard.messages.len(),
                    received.len(),
                    "{who}: the other missed a message"
                );
            }
        }
    }
}
