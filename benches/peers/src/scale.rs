//! How costs grow: with the sizes of messages and reads, and with the number of connections.
use crate::cpu::Instant;
use crate::data::{self, Role};
use crate::peer::Profile;
use crate::wire::{Chunk, Io, SinkMode, Wire};
use crate::{Entry, alloc, leak, median};
use sockless::{Config, Connection, Event, Input, Next};
use std::hint::black_box;
use std::time::Duration;

/// What each measurement moves at least, in bytes on the wire.
const VOLUME: usize = 4 << 20;
const MOST: usize = 64 << 20;

/// Nanoseconds for each byte that `sockless` receives as a server, for messages and reads of any size.
pub fn linear(rounds: usize, csv: &mut Vec<String>) {
    println!("\n### linear cost: binary messages received by a server, ns per byte of payload\n");
    let sizes: Vec<usize> = (0..=26).step_by(2).map(|bits| 1 << bits).collect();
    let reads: Vec<usize> = (0..=20).step_by(4).map(|bits| 1 << bits).collect();
    println!("| message | {} |", reads.iter().map(|n| format!("reads of {}", human(*n))).collect::<Vec<_>>().join(" | "));
    println!("|---:|{}", "---:|".repeat(reads.len()));
    for size in sizes {
        let payload = vec![0x5a; size];
        let count = (VOLUME / (size + 14)).clamp(1, 1 << 16);
        let mut wire = Vec::new();
        for _ in 0..count {
            data::frame(&mut wire, true, 2, &payload, Some([1, 2, 3, 4]));
        }
        let mut cells = Vec::new();
        for &read in &reads {
            // Longer runs need fewer repetitions.
            let rounds = if size >= 1 << 22 || read == 1 { 3 } else { rounds };
            let mut times: Vec<f64> = (0..rounds).map(|_| {
                let config = Config::default().max_frame_size(MOST).max_message_size(MOST);
                let mut ws = Connection::upgraded(sockless::Role::Server, config);
                let mut input = Input::new(read);
                let mut messages = 0;
                let start = Instant::now();
                let mut rest = &wire[..];
                while !rest.is_empty() {
                    let space = input.space();
                    let n = read.min(space.len()).min(rest.len());
                    let (bytes, behind) = rest.split_at(n);
                    space[..n].copy_from_slice(bytes);
                    input.filled(n);
                    rest = behind;
                    while let Next::Event(event) = ws.poll(&mut input, Duration::ZERO) {
                        let Event::Binary(data) = event else { panic!("{event:?}") };
                        assert_eq!(data.len(), size);
                        black_box(&data);
                        messages += 1;
                    }
                }
                let taken = start.elapsed().as_nanos() as f64;
                assert_eq!(messages, count);
                taken / (count * size) as f64
            }).collect();
            let ns = median(&mut times);
            csv.push(format!("linear,{size},{read},{ns:.4}"));
            cells.push(format!("{ns:.3}"));
        }
        println!("| {} | {} |", human(size), cells.join(" | "));
    }
}

/// Heap of each idle connection, and the time of an echo, with more and more connections.
pub fn scale(entries: &[Entry], csv: &mut Vec<String>) {
    println!("\n### scale: connections that took turns to echo 125 B of text\n");
    println!("| connections | peer | heap bytes each | ns per echo, one of them active | all in turn |");
    println!("|---:|---|---:|---:|---:|");
    let all = data::workloads();
    let text = all.iter().find(|load| load.name == "text125").unwrap();
    let mut bytes = Vec::new();
    data::frame(&mut bytes, true, 1, &text.msgs[0].data, Some([1, 2, 3, 4]));
    let src = leak(bytes);
    // Wires are the benchmark's, and used again.
    let wires: Vec<&'static Wire> = (0..100_000).map(|_| Wire::leak(src, Chunk::Whole, SinkMode::Null, 0)).collect();
    for count in [1, 10, 100, 1_000, 10_000, 100_000] {
        for entry in entries {
            // What is shared by all connections, or made once, comes first.
            if let Some(mut connection) = (entry.open)(Role::Server, Io(wires[0]), Profile::Lean) {
                connection.echo(1);
            }
            let mut connections = Vec::with_capacity(count);
            let before = alloc::snap();
            for wire in &wires[..count] {
                let Some(mut connection) = (entry.open)(Role::Server, Io(wire), Profile::Lean) else { break };
                connection.echo(1);
                connections.push(connection);
            }
            if connections.len() < count {
                continue;
            }
            let heap = (alloc::snap().live - before.live) as usize / count;
            let one = time(2_000, |_| connections[0].echo(1));
            // Not in the order in which they lie in memory: a step that is prime to each count.
            let in_turn = time((2 * count).max(2_000), |i| connections[i * 7_919 % count].echo(1));
            csv.push(format!("scale,{},{count},{heap},{one:.1},{in_turn:.1}", entry.name));
            println!("| {count} | {} | {heap} | {one:.0} | {in_turn:.0} |", entry.name);
        }
    }
}

fn time(count: usize, mut run: impl FnMut(usize)) -> f64 {
    let mut times: Vec<f64> = (0..5).map(|_| {
        let start = Instant::now();
        (0..count).for_each(&mut run);
        start.elapsed().as_nanos() as f64 / count as f64
    }).collect();
    median(&mut times)
}

fn human(bytes: usize) -> String {
    match bytes {
        1_048_576.. => format!("{} MiB", bytes >> 20),
        1_024.. => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}
