//! Long random lives, beside the model of RFC 6455: one connection whose peer does as it likes, and two that talk
//! to each other through pipes that delay and cut what they carry.
//!
//! `cargo test` plays a few thousand, the same each time. For millions of moves, in release:
//! `SOCKLESS_LIVES=50000 cargo test --release --all-features --test lives -- --nocapture`.

mod common;
#[cfg(feature = "deflate")]
mod deflate_support;
mod model;

use std::collections::VecDeque;
use std::fmt::Debug;

use common::*;
use model::rfc::Call;
use model::{Effect, Fault, Life, Move, Reads, Setup, guarded, setups, shrink};
use sockless::Delivery;

fn lives() -> usize {
    let asked = std::env::var("SOCKLESS_LIVES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(2000)
}

/// The moves of a life.
const LEN: usize = 200;

fn choose<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len())]
}

/// What ends a life, and is rare in a long one.
const LAST: [Move; 13] = {
    use Move::*;
    [
        Close,
        CloseWithoutCode,
        FrameClose,
        PeerMiddle,
        PeerLast,
        PeerClose,
        PeerEmptyClose,
        PeerBadClose,
        PeerViolation,
        PeerBadText,
        PeerTwoBytes,
        PeerHalfClose,
        End,
    ]
};

/// What only a connection that has agreed on compression can take, and one inside a message cannot.
const RISKY: [Move; 5] = {
    use Move::*;
    [
        PeerCompressed,
        PeerFirst,
        PeerText,
        PeerBinary,
        PeerHalfText,
    ]
};

/// A life of some hundred moves, of which one in `risk` may end it.
fn sequence(random: &mut Random) -> Vec<Move> {
    let risk = choose(random, &[4, 30, 300]);
    let mut in_message = false;
    let mut moves = Vec::with_capacity(LEN);
    while moves.len() < LEN {
        let next = choose(random, Move::ALL);
        let rare = match next {
            Move::PeerMiddle | Move::PeerLast => !in_message,
            _ if RISKY.contains(&next) => in_message || next == Move::PeerCompressed,
            _ => LAST.contains(&next),
        };
        if rare && random.below(risk) > 0 {
            continue;
        }
        match next {
            Move::PeerFirst => in_message = true,
            Move::PeerLast => in_message = false,
            _ => {}
        }
        moves.push(next);
    }
    moves
}

#[test]
fn random_lives_of_one_connection() {
    let setups: Vec<_> = [Reads::Whole, Reads::InTwo, Reads::ByteByByte]
        .into_iter()
        .flat_map(setups)
        .collect();
    let all = each_seed(|random, seed| {
        let setup = setups[seed % setups.len()];
        let live = |moves: &[Move]| {
            guarded(|| {
                let mut life = Life::new(setup);
                for next in moves {
                    if life.play(*next)? == Effect::Over {
                        return Ok(());
                    }
                }
                life.settle()
            })
        };
        report(&sequence(random), live, &setup)
    });
    println!("{all} moves in {} lives", lives());
}

#[test]
fn random_lives_of_two_connections() {
    let setups = setups(Reads::Whole);
    let all = each_seed(|random, _| {
        let client = choose(random, &setups);
        let server = Setup {
            role: peer(client.role),
            delivery: choose(
                random,
                &[Delivery::Messages, Delivery::Parts, Delivery::Frames],
            ),
            ..client
        };
        let live = |moves: &[PairMove]| {
            guarded(|| {
                let mut pair = Pair::new([client, server]);
                for next in moves {
                    pair.play(*next)?;
                }
                pair.settle()
            })
        };
        report(&pair_sequence(random), live, &(client, server))
    });
    println!("{all} moves in {} lives", lives());
}

/// Two connections that talk to each other.
struct Pair {
    ends: [Life; 2],
    /// What each end has written, and the other has not read.
    pipes: [VecDeque<u8>; 2],
}

#[derive(Clone, Copy, Debug)]
enum PairMove {
    /// A move of one of the callers, or of its clock.
    Of(usize, Move),
    /// So many bytes, at most, go from an end to the other.
    Carry(usize, usize),
}

impl Pair {
    fn new(setups: [Setup; 2]) -> Self {
        Self {
            ends: setups.map(Life::new),
            pipes: Default::default(),
        }
    }

    fn play(&mut self, next: PairMove) -> Result<(), Fault> {
        match next {
            PairMove::Of(end, next) => {
                self.ends[end].play(next)?;
                self.pipes[end].extend(self.ends[end].wire.drain(..));
            }
            PairMove::Carry(from, len) => {
                let pipe = &mut self.pipes[from];
                let bytes: Vec<u8> = pipe.drain(..len.min(pipe.len())).collect();
                self.ends[1 - from].deliver(&bytes)?;
            }
        }
        Ok(())
    }

    /// Everything that was begun is finished and read, then one end closes and the other answers.
    fn settle(&mut self) -> Result<(), Fault> {
        self.exchange()?;
        if self.ends[0].rfc.is_open() {
            self.ends[0].play(Move::Close)?;
        }
        self.exchange()?;
        for end in [0, 1] {
            // A proxy passes on the Close of its other end.
            if self.ends[end].rfc.peer_close.is_some()
                && self.ends[end].rfc.allows(Call::Header(CLOSE))
            {
                self.ends[end].play(Move::FrameClose)?;
            }
            self.exchange()?;
        }
        for end in &mut self.ends {
            end.play(Move::End)?;
        }
        Ok(())
    }

    fn exchange(&mut self) -> Result<(), Fault> {
        // An answer is written in the second round, and its answer in the third.
        for _ in 0..4 {
            for end in [0, 1] {
                self.ends[end].finish()?;
                self.play(PairMove::Of(end, Move::WriteAll))?;
                self.play(PairMove::Carry(end, usize::MAX))?;
            }
        }
        Ok(())
    }
}

/// Some hundred moves of two connections.
fn pair_sequence(random: &mut Random) -> Vec<PairMove> {
    let of_a_caller = |next: &Move| {
        use Move::*;
        let writes = matches!(next, WriteByte | WriteHalf | WriteAll);
        let of_time = matches!(next, Second | Timeout | Interval);
        writes || of_time || (*next as usize) < PeerText as usize
    };
    let moves: Vec<Move> = Move::ALL.iter().copied().filter(of_a_caller).collect();
    let risk = choose(random, &[4, 30, 300]);
    let mut sequence = Vec::new();
    while sequence.len() < LEN {
        let end = random.below(2);
        let next = choose(random, &moves);
        if LAST.contains(&next) && random.below(risk) > 0 {
            continue;
        }
        sequence.push(PairMove::Of(end, next));
        if random.below(2) == 0 {
            let len = choose(random, &[1, 7, 60, 1000]);
            sequence.push(PairMove::Carry(random.below(2), len));
        }
    }
    sequence
}

/// How many moves were played from all seeds.
fn each_seed(mut live: impl FnMut(&mut Random, usize) -> Result<usize, String>) -> usize {
    let mut moves = 0;
    let mut broken = String::new();
    for seed in 0..lives() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1) << 20);
        match live(&mut random, seed) {
            Ok(played) => moves += played,
            Err(fault) => {
                broken = format!("seed {seed}: {fault}");
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{broken}");
    moves
}

/// How many moves there were; or the shortest sequence that breaks the same.
fn report<T: Clone + Debug>(
    moves: &[T],
    live: impl Fn(&[T]) -> Result<(), Fault>,
    setup: &dyn Debug,
) -> Result<usize, String> {
    match live(moves) {
        Ok(()) => Ok(moves.len()),
        Err(fault) => {
            let (moves, Fault { rule, detail }) = shrink(moves, fault, live);
            Err(format!("{rule}:\n  {moves:?}\n  {setup:?}\n  {detail}"))
        }
    }
}
