//! Every sequence of moves up to a depth, on a connection and on a model of RFC 6455 beside it.
//!
//! `cargo test` plays the short ones. For the deep run, of a minute or two in release:
//! `SOCKLESS_DEPTH=4 cargo test --release --all-features --test small_scope -- --nocapture`.
//!
//! What is covered: from each [setup](model::setups) every sequence of `depth` moves out of all that there are, and
//! of half as many more out of each [theme](THEMES), without compression unless the theme is about that; where reads
//! are cut, of one less. Behind each, a live peer and a good caller bring the connection to its end
//! ([`Life::settle`](model::Life::settle)), in some twenty moves more.
//!
//! A move without effect (a call that is refused, a write of nothing, bytes behind the end) is played and checked,
//! and so is the end behind it, but no other move follows it: what follows is what follows without it. Nothing else
//! is left out. In particular, states that look alike from outside are not taken for one: what a connection hides is
//! what it gets wrong.

mod common;
#[cfg(feature = "deflate")]
mod deflate_support;
mod model;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use model::{Fault, Move, Reads, Setup, play, setups, shrink};

/// Moves that have to do with each other.
const THEMES: [(&str, &[Move]); 3] = {
    use Move::*;
    [
        (
            "closing",
            &[
                PartMore,
                Close,
                FrameBinary,
                FrameClose,
                PayloadByte,
                PayloadRest,
                WriteByte,
                WriteAll,
                PeerPing,
                PeerClose,
                PeerViolation,
                End,
            ],
        ),
        (
            "keepalive",
            &[
                Binary,
                Ping,
                FrameBinary,
                PayloadRest,
                WriteHalf,
                WriteAll,
                PeerText,
                PeerPing,
                PeerLongPing,
                PeerPong,
                Timeout,
                Interval,
            ],
        ),
        (
            "messages",
            &[
                Text,
                PartMore,
                PartLast,
                FrameContinuation,
                PayloadRest,
                WriteHalf,
                PeerText,
                PeerFirst,
                PeerLast,
                PeerCompressed,
                PeerTwoBytes,
                PeerRest,
            ],
        ),
    ]
};

/// Sequences that broke a rule once.
const BROKE: [&[Move]; 13] = {
    use Move::*;
    [
        // A pong for the caller's ping was no sign of life.
        &[Interval, Ping],
        // A short pong in place of a long one, and the ping behind it was never taken for written.
        &[Binary, PeerLongPing, Interval, PeerPing],
        &[Binary, PeerLongPing, Second, Interval, PeerPing],
        // What was owed inside a frame was not sent behind it.
        &[FrameBinary, PeerClose],
        &[FrameBinary, PeerPing],
        // A Close that had only begun counted as sent.
        &[FrameClose, WriteAll, PeerClose, End],
        // Relayed, the peer's Close was not known to the sending half; nor was it that it cut a message off.
        &[PeerClose, End],
        &[PeerEmptyClose, FrameClose, PayloadRest],
        &[PeerFirst, PeerClose],
        // A pong for the receiving half was lost.
        &[Interval, WriteAll, PeerPong, Timeout],
        // What compressed one message was referred to by the next.
        &[PartMore, FrameContinuation, PayloadRest, Text],
        // The order of fragments was judged late.
        &[PeerFirst, PeerTwoBytes],
        // A peer that talks kept a connection alive that nothing was written to.
        &[Second, PeerText, Interval],
    ]
};

#[test]
fn every_sequence_of_moves() {
    let depth = std::env::var("SOCKLESS_DEPTH")
        .ok()
        .and_then(|depth| depth.parse().ok())
        .unwrap_or(2);
    let mut searches = vec![
        ("all moves", Move::ALL, Reads::Whole, depth),
        ("all moves", Move::ALL, Reads::InTwo, depth - 1),
        ("all moves", Move::ALL, Reads::ByteByByte, depth - 1),
    ];
    for (name, moves) in THEMES {
        searches.push((name, moves, Reads::Whole, depth + depth / 2));
        searches.push((name, moves, Reads::ByteByByte, depth + depth / 2 - 1));
    }
    let mut finds = BTreeMap::new();
    let (mut sequences, mut moves) = (0, 0);
    for (name, alphabet, reads, depth) in searches {
        let mut setups = setups(reads);
        if !alphabet.contains(&Move::PeerCompressed) {
            setups.retain(|setup| setup.deflate.is_none());
        }
        let tally = search_all(&setups, alphabet, depth);
        println!(
            "{name}, {depth} of {}, reads {reads:?}: {} sequences",
            alphabet.len(),
            tally.sequences
        );
        sequences += tally.sequences;
        moves += tally.moves;
        for find in tally.finds.into_values() {
            keep_shortest(&mut finds, find);
        }
    }
    println!("{sequences} sequences, {moves} moves before they settle");
    assert!(finds.is_empty(), "{}", show(&finds));
}

#[test]
fn sequences_that_broke_a_rule() {
    let mut finds = BTreeMap::new();
    for reads in [Reads::Whole, Reads::InTwo, Reads::ByteByByte] {
        for setup in setups(reads) {
            for moves in BROKE {
                if let Err((_, fault)) = play(setup, moves) {
                    keep_shortest(&mut finds, Find::new(setup, moves, fault));
                }
            }
        }
    }
    assert!(finds.is_empty(), "{}", show(&finds));
}

/// What a search has come to.
#[derive(Default)]
struct Tally {
    sequences: u64,
    moves: u64,
    finds: Finds,
}

/// The shortest sequence found for each rule that was broken.
type Finds = BTreeMap<&'static str, Find>;

/// A sequence that broke a rule.
struct Find {
    setup: Setup,
    moves: Vec<Move>,
    fault: Fault,
}

impl Find {
    fn new(setup: Setup, moves: &[Move], fault: Fault) -> Self {
        let live = |moves: &[Move]| play(setup, moves).map(drop).map_err(|(_, fault)| fault);
        let (moves, fault) = shrink(moves, fault, live);
        Self {
            setup,
            moves,
            fault,
        }
    }
}

fn keep_shortest(finds: &mut Finds, find: Find) {
    match finds.get(find.fault.rule) {
        Some(known) if known.moves.len() <= find.moves.len() => {}
        _ => drop(finds.insert(find.fault.rule, find)),
    }
}

fn show(finds: &Finds) -> String {
    finds.values().fold(String::new(), |mut text, find| {
        let Fault { rule, detail } = &find.fault;
        let _ = writeln!(
            text,
            "\n{rule}:\n  {:?}\n  {:?}\n  {detail}",
            find.moves, find.setup
        );
        text
    })
}

/// Plays every sequence from every setup, on all processors.
fn search_all(setups: &[Setup], alphabet: &[Move], depth: usize) -> Tally {
    let tasks: Vec<_> = (setups.iter())
        .flat_map(|setup| alphabet.iter().map(|first| (*setup, *first)))
        .collect();
    let (next, total) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                while let Some((setup, first)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    search(*setup, *first, alphabet, depth, &mut tally);
                }
                let mut total = total.lock().expect("no search panics");
                total.sequences += tally.sequences;
                total.moves += tally.moves;
                for find in tally.finds.into_values() {
                    keep_shortest(&mut total.finds, find);
                }
            });
        }
    });
    total.into_inner().expect("no search panics")
}

/// Plays every sequence of up to `depth` moves that begins with `first`.
fn search(setup: Setup, first: Move, alphabet: &[Move], depth: usize, tally: &mut Tally) {
    // The moves behind the first, as places in the alphabet.
    let mut choices = vec![0; depth.saturating_sub(1)];
    let mut moves = vec![first; depth.max(1)];
    loop {
        for (slot, choice) in moves.iter_mut().skip(1).zip(&choices) {
            *slot = alphabet[*choice];
        }
        tally.sequences += 1;
        // How many moves decided what came of it; those behind are not gone into.
        let decided = match play(setup, &moves) {
            Ok((played, _)) => {
                tally.moves += played as u64;
                played
            }
            Err((played, fault)) => {
                if !tally.finds.contains_key(fault.rule) {
                    keep_shortest(&mut tally.finds, Find::new(setup, &moves, fault));
                }
                (played + 1).min(moves.len())
            }
        };
        // The next sequence has another move in the last place that can have one.
        let place = (0..decided - 1)
            .rev()
            .find(|at| choices[*at] + 1 < alphabet.len());
        let Some(place) = place else { return };
        choices[place] += 1;
        choices[place + 1..].fill(0);
    }
}
