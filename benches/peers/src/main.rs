//! See README.md.
#![cfg_attr(not(feature = "all"), allow(dead_code))]
mod alloc;
#[cfg(feature = "codec")]
mod codec;
mod cpu;
mod data;
mod hs;
#[cfg(feature = "ideal")]
mod ideal;
#[cfg(feature = "ideal")]
mod ideal_hs;
mod kernels;
mod masks;
mod peer;
#[cfg(feature = "ours")]
mod scale;
#[cfg(any(feature = "ideal", feature = "codec"))]
mod tinyflate;
mod wire;
#[allow(clippy::duplicate_mod)]
mod peers {
    #[cfg(feature = "fastwebsockets")]
    pub mod fastws;
    #[cfg(feature = "ours")]
    pub mod ours;
    #[cfg(feature = "ratchet")]
    pub mod ratchet;
    #[cfg(feature = "websocket-sans-io")]
    pub mod sans_io;
    #[cfg(feature = "sockudo-ws")]
    pub mod sockudo;
    #[cfg(feature = "soketto")]
    pub mod soketto;
    #[cfg(feature = "tokio-websockets")]
    pub mod tokio_ws;
    #[cfg(feature = "tungstenite")]
    pub mod tungstenite;
    #[cfg(feature = "web-socket")]
    pub mod web_socket;
    #[cfg(feature = "wtx")]
    pub mod wtx;
    #[cfg(feature = "yawc")]
    pub mod yawc;
}

use bytes::Bytes;
use data::{Kind, Role, Workload};
use peer::{DeflateMode, Peer, Profile};
use std::collections::BTreeMap;
use std::hint::black_box;
use cpu::Instant;
use wire::{Chunk, Io, SinkMode, Wire};

#[global_allocator]
static GLOBAL: alloc::Counting = alloc::Counting;

/// The one list of peers.
macro_rules! for_each_peer {
    ($m:ident) => {
        #[cfg(feature = "tungstenite")]
        $m!(peers::tungstenite::Tungstenite);
        #[cfg(feature = "tungstenite")]
        $m!(peers::tungstenite::Tungstenite4k);
        #[cfg(feature = "fastwebsockets")]
        $m!(peers::fastws::FastWebsockets);
        #[cfg(feature = "tokio-websockets")]
        $m!(peers::tokio_ws::TokioWebsockets);
        #[cfg(feature = "soketto")]
        $m!(peers::soketto::Soketto);
        #[cfg(feature = "web-socket")]
        $m!(peers::web_socket::WebSocketCrate);
        #[cfg(feature = "yawc")]
        $m!(peers::yawc::Yawc);
        #[cfg(feature = "sockudo-ws")]
        $m!(peers::sockudo::Sockudo);
        #[cfg(feature = "wtx")]
        $m!(peers::wtx::Wtx);
        #[cfg(feature = "websocket-sans-io")]
        $m!(peers::sans_io::SansIo);
        #[cfg(feature = "ratchet")]
        $m!(peers::ratchet::Ratchet);
        #[cfg(feature = "ours")]
        $m!(peers::ours::Sockless);
        #[cfg(feature = "ours")]
        $m!(peers::ours::Shared);
        #[cfg(feature = "ours")]
        $m!(peers::ours::ByReference);
        #[cfg(feature = "ideal")]
        $m!(ideal::Floor);
        #[cfg(feature = "ideal")]
        $m!(ideal::IdealSafe);
        #[cfg(feature = "ideal")]
        $m!(ideal::IdealOwned);
        #[cfg(feature = "ideal")]
        $m!(ideal::Ideal);
    };
}

/// A connection, type erased at the level of a batch.
trait Runner {
    fn recv(&mut self, n: usize) -> u64;
    fn recv_check(&mut self, want: &[data::Msg]);
    fn send(&mut self, msgs: &[data::Msg]);
    fn send_batch(&mut self, msgs: &[data::Msg], every: usize);
    fn send_vecs(&mut self, msgs: &[data::Msg], lent: bool);
    fn echo(&mut self, n: usize);
}

struct R<P>(P);

impl<P: Peer> Runner for R<P> {
    #[inline(never)]
    fn recv(&mut self, n: usize) -> u64 {
        let mut sum = 0u64;
        for _ in 0..n {
            self.0.recv(&mut |k, d| {
                black_box(d.as_ptr());
                sum = sum.wrapping_add(d.len() as u64 + k as u64);
            });
        }
        sum
    }
    fn recv_check(&mut self, want: &[data::Msg]) {
        for (i, w) in want.iter().enumerate() {
            self.0.recv(&mut |k, d| {
                assert!(k == w.kind && d == &w.data[..], "{}: message {i} differs ({} against {} bytes)", P::NAME, d.len(), w.data.len());
            });
        }
    }
    #[inline(never)]
    fn send(&mut self, msgs: &[data::Msg]) {
        for m in msgs {
            self.0.send(m.kind, black_box(&m.data));
        }
    }
    #[inline(never)]
    fn send_batch(&mut self, msgs: &[data::Msg], every: usize) {
        for c in msgs.chunks(every) {
            for m in c {
                self.0.feed(m.kind, black_box(&m.data));
            }
            self.0.flush();
        }
    }
    /// Each message in memory of its own, which is made here and counts for everybody.
    #[inline(never)]
    fn send_vecs(&mut self, msgs: &[data::Msg], lent: bool) {
        for m in msgs {
            let data = black_box(&m.data).to_vec();
            match lent {
                true => self.0.send_lent(m.kind, data),
                false => self.0.send_vec(m.kind, data),
            }
        }
    }
    #[inline(never)]
    fn echo(&mut self, n: usize) {
        for _ in 0..n {
            self.0.echo();
        }
    }
}

type Open = fn(Role, Io, Profile) -> Option<Box<dyn Runner>>;
type OpenDeflate = fn(Io, DeflateMode) -> Option<Box<dyn Runner>>;

#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    note: &'static str,
    open: Open,
    open_deflate: OpenDeflate,
    accept: fn(Io) -> bool,
    connect: fn(Io) -> bool,
    size: usize,
}

#[allow(unused_mut, clippy::vec_init_then_push)]
fn entries() -> Vec<Entry> {
    let mut v = Vec::new();
    macro_rules! add {
        ($t:ty) => {{
            fn open(r: Role, io: Io, p: Profile) -> Option<Box<dyn Runner>> {
                <$t as Peer>::open(r, io, p).map(|x| Box::new(R(x)) as Box<dyn Runner>)
            }
            fn open_deflate(io: Io, d: DeflateMode) -> Option<Box<dyn Runner>> {
                <$t as Peer>::open_deflate(io, d).map(|x| Box::new(R(x)) as Box<dyn Runner>)
            }
            v.push(Entry {
                name: <$t as Peer>::NAME,
                note: <$t as Peer>::NOTE,
                open,
                open_deflate,
                accept: <$t as Peer>::accept,
                connect: <$t as Peer>::connect,
                size: std::mem::size_of::<$t>(),
            });
        }};
    }
    for_each_peer!(add);
    v
}

fn leak(v: Vec<u8>) -> &'static [u8] {
    // a cache line to start on
    let n = v.len();
    let mut b = vec![0u8; n + 64];
    let a = b.as_ptr().align_offset(64);
    b[a..a + n].copy_from_slice(&v);
    &Box::leak(b.into_boxed_slice())[a..a + n]
}

struct Opt {
    cmd: String,
    rounds: usize,
    ms: f64,
    peers: Option<Vec<String>>,
    loads: Option<Vec<String>>,
    roles: Vec<Role>,
    chunks: Vec<Chunk>,
    own: bool,
    n: usize,
    csv: Option<String>,
}

fn parse_args() -> Opt {
    let mut o = Opt {
        cmd: "all".into(),
        rounds: 15,
        ms: 2.0,
        peers: None,
        loads: None,
        roles: vec![Role::Server, Role::Client],
        chunks: vec![Chunk::Whole, Chunk::Fixed(65536), Chunk::Fixed(4096), Chunk::Tiny],
        own: false,
        n: 1,
        csv: None,
    };
    let mut a = std::env::args().skip(1);
    let list = |s: String| Some(s.split(',').map(str::to_owned).collect::<Vec<_>>());
    while let Some(x) = a.next() {
        let mut val = || a.next().unwrap_or_else(|| panic!("{x} wants a value"));
        match x.as_str() {
            "--rounds" => o.rounds = val().parse().unwrap(),
            "--ms" => o.ms = val().parse().unwrap(),
            "--peers" => o.peers = list(val()),
            "--loads" => o.loads = list(val()),
            "--own" => o.own = true,
            "--n" => o.n = val().parse().unwrap(),
            "--csv" => o.csv = Some(val()),
            "--roles" => {
                o.roles = val().split(',').map(|r| if r == "client" { Role::Client } else { Role::Server }).collect()
            }
            "--chunks" => {
                o.chunks = val()
                    .split(',')
                    .map(|c| match c {
                        "whole" => Chunk::Whole,
                        "tiny" => Chunk::Tiny,
                        "cut" => Chunk::Cut(0),
                        c => match c.strip_suffix('k') {
                            Some(k) => Chunk::Fixed(k.parse::<usize>().unwrap() * 1024),
                            None => Chunk::Fixed(c.parse().unwrap()),
                        },
                    })
                    .collect()
            }
            c if !c.starts_with('-') => o.cmd = c.into(),
            _ => panic!("unknown option {x}"),
        }
    }
    o
}

fn median(v: &mut [f64]) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

#[derive(Default, Clone)]
struct Cell {
    ns: f64,
    best: f64,
    ratio: f64,
    allocs: f64,
    abytes: f64,
    reads: f64,
    writes: f64,
}

struct Lane<'a> {
    wire: &'static Wire,
    run: Box<dyn FnMut() + 'a>,
    /// messages per call
    per: f64,
}

/// Runs the lanes interleaved; each round gives every lane one time slice of
/// about `ms`, in rotating order. Time is CPU time of this thread.
fn measure(lanes: &mut [Option<Lane>], rounds: usize, ms: f64) -> Vec<Option<Cell>> {
    let n = lanes.len();
    let mut calls = vec![1usize; n];
    // warm up and calibrate
    for (i, l) in lanes.iter_mut().enumerate() {
        if let Some(l) = l {
            (l.run)();
            (l.run)();
            let mut k = 1;
            loop {
                let t = Instant::now();
                for _ in 0..k {
                    (l.run)();
                }
                let e = t.elapsed().as_secs_f64() * 1e3;
                if e > ms / 4.0 || k > 1 << 20 {
                    calls[i] = ((k as f64 * ms / e).ceil() as usize).max(1);
                    break;
                }
                k *= 2;
            }
        }
    }
    let mut t: Vec<Vec<f64>> = vec![vec![]; n];
    let mut out: Vec<Option<Cell>> = vec![None; n];
    for r in 0..rounds {
        for i in 0..n {
            let i = (i + r) % n;
            if let Some(l) = &mut lanes[i] {
                let st = Instant::now();
                for _ in 0..calls[i] {
                    (l.run)();
                }
                t[i].push(st.elapsed().as_nanos() as f64 / (calls[i] as f64 * l.per));
            }
        }
    }
    for (i, l) in lanes.iter_mut().enumerate() {
        if let Some(l) = l {
            l.wire.reset_counts();
            let a = alloc::snap();
            for _ in 0..calls[i] {
                (l.run)();
            }
            let b = alloc::snap();
            let m = calls[i] as f64 * l.per;
            let w = l.wire.inner();
            out[i] = Some(Cell {
                allocs: (b.allocs - a.allocs) as f64 / m,
                abytes: (b.bytes - a.bytes) as f64 / m,
                reads: w.reads as f64 / m,
                writes: w.writes as f64 / m,
                best: t[i].iter().copied().fold(f64::MAX, f64::min),
                ..Cell::default()
            });
        }
    }
    // ratio of medians, to the last lane (the bar)
    for i in 0..n {
        if out[i].is_some() {
            let bar = if t[n - 1].is_empty() { f64::NAN } else { median(&mut t[n - 1].clone()) };
            let ns = median(&mut t[i]);
            let c = out[i].as_mut().unwrap();
            c.ns = ns;
            c.ratio = ns / bar;
        }
    }
    out
}

struct Report {
    csv: Vec<String>,
}

impl Report {
    #[allow(clippy::too_many_arguments)]
    fn table(&mut self, section: &str, title: &str, es: &[Entry], cells: &[Option<Cell>], bytes: f64) {
        println!("\n### {section}: {title}\n");
        println!("| {:<17} | {:>10} | {:>10} | {:>8} | {:>7} | {:>8} | {:>9} | {:>8} | {:>8} |", "peer", "ns/msg", "min", "GB/s", "x ideal", "allocs", "alloc B", "reads", "writes");
        println!("|{}|-----------:|-----------:|---------:|--------:|---------:|----------:|---------:|---------:|", "-".repeat(19));
        let mut order: Vec<usize> = (0..es.len()).filter(|i| cells[*i].is_some()).collect();
        order.sort_by(|a, b| cells[*a].as_ref().unwrap().ns.total_cmp(&cells[*b].as_ref().unwrap().ns));
        for i in order {
            let c = cells[i].as_ref().unwrap();
            println!(
                "| {:<17} | {:>10.1} | {:>10.1} | {:>8.3} | {:>7.2} | {:>8.3} | {:>9.1} | {:>8.3} | {:>8.3} |",
                es[i].name,
                c.ns,
                c.best,
                bytes / c.ns,
                c.ratio,
                c.allocs,
                c.abytes,
                c.reads,
                c.writes
            );
            self.csv.push(format!(
                "{section},{},{},{:.2},{:.2},{:.4},{:.3},{:.4},{:.1},{:.4},{:.4}",
                title.replace(", ", "; ").replace(',', ";"),
                es[i].name,
                c.ns,
                c.best,
                bytes / c.ns,
                c.ratio,
                c.allocs,
                c.abytes,
                c.reads,
                c.writes
            ));
        }
    }
}

fn picks<'a>(o: &Opt, es: &'a [Entry]) -> Vec<Entry> {
    es.iter().filter(|e| o.peers.as_ref().is_none_or(|p| p.iter().any(|x| x == e.name))).copied().collect::<Vec<_>>()
}

fn loads(o: &Opt) -> Vec<Workload> {
    data::workloads().into_iter().filter(|w| o.loads.as_ref().is_none_or(|l| l.iter().any(|x| x == w.name))).collect()
}

fn ring(w: &Workload) -> usize {
    (w.msgs.iter().map(|m| m.data.len()).max().unwrap() + 64).max(256 * 1024)
}

fn verify(o: &Opt, es: &[Entry]) {
    masks::verify();
    // the floor does not do anything that could be checked
    let es = &es.iter().copied().filter(|e| !e.name.starts_with('(')).collect::<Vec<_>>()[..];
    for w in loads(o) {
        for &role in &o.roles {
            let src = leak(w.wire(role == Role::Server));
            for &chunk in &o.chunks {
                if chunk == Chunk::Tiny && w.payload() > 4 << 20 {
                    continue;
                }
                for e in es {
                    for profile in [Profile::Fast, Profile::Default, Profile::Lean] {
                        if profile == Profile::Default && w.payload() > 1 << 20 {
                            // default limits of some are below 1 MiB
                            continue;
                        }
                        if profile == Profile::Lean && w.payload() > 1 << 20 {
                            continue;
                        }
                        let wire = Wire::leak(src, chunk, SinkMode::Keep, 0);
                        let mut r = (e.open)(role, Io(wire), profile).unwrap();
                        // twice: across the seam as well
                        r.recv_check(&w.msgs);
                        r.recv_check(&w.msgs);
                        let out = data::parse(&wire.take_sink());
                        let pongs = out.iter().filter(|f| f.0 == 10).count();
                        assert!(pongs + 1 >= 2 * w.pings, "{} {}: {pongs} pongs for {} pings", e.name, w.name, 2 * w.pings);
                    }
                }
            }
            for e in es {
                let wire = Wire::leak(src, Chunk::Whole, SinkMode::Keep, 0);
                let mut r = (e.open)(role, Io(wire), Profile::Fast).unwrap();
                r.send(&w.msgs);
                check_sent(e.name, w.name, &wire.take_sink(), &w.msgs);
                for lent in [false, true] {
                    r.send_vecs(&w.msgs, lent);
                    check_sent(e.name, w.name, &wire.take_sink(), &w.msgs);
                }
                r.send_batch(&w.msgs, 16);
                check_sent(e.name, w.name, &wire.take_sink(), &w.msgs);
                if w.pings == 0 {
                    r.echo(w.msgs.len());
                    check_sent(e.name, w.name, &wire.take_sink(), &w.msgs);
                }
            }
        }
    }
    for e in es {
        let wire = Wire::leak(b"", Chunk::Whole, SinkMode::Keep, 0);
        wire.rewind_once(hs::REQUEST);
        let ok = (e.accept)(Io(wire));
        if ok {
            let s = String::from_utf8(wire.take_sink()).unwrap();
            assert!(s.contains(hs::ACCEPT), "{}: {s}", e.name);
        }
        let wire = Wire::leak(b"", Chunk::Whole, SinkMode::Respond, 0);
        let c = (e.connect)(Io(wire));
        println!("{:<18} handshake: server {ok}, client {c}", e.name);
    }
    println!("verified: every peer receives, sends and echoes every workload correctly");
}

fn check_sent(peer: &str, load: &str, out: &[u8], want: &[data::Msg]) {
    let fr: Vec<_> = data::parse(out).into_iter().filter(|f| f.0 != 10).collect();
    assert_eq!(fr.len(), want.len(), "{peer} {load}: frames sent");
    for (f, w) in fr.iter().zip(want) {
        assert!(f.0 == data::op(w.kind) && f.1 && f.3 == w.data[..], "{peer} {load}: frame differs");
    }
}

fn recv(o: &Opt, es: &[Entry], rep: &mut Report) {
    for w in loads(o) {
        for &role in &o.roles {
            let src = leak(w.wire(role == Role::Server));
            for &chunk in &o.chunks {
                let n = w.msgs.len();
                let chunk = chunk.of(src.len(), n);
                let mut lanes: Vec<Option<Lane>> = es
                    .iter()
                    .map(|e| {
                        let wire = Wire::leak(src, chunk, SinkMode::Ring, 256 * 1024);
                        (e.open)(role, Io(wire), Profile::Fast).map(|mut r| Lane { wire, run: Box::new(move || { black_box(r.recv(n)); }), per: n as f64 })
                    })
                    .collect();
                let c = measure(&mut lanes, o.rounds, o.ms);
                rep.table("receive", &format!("{} ({}), {}, chunks {}", w.name, w.what, role.name(), chunk.name()), es, &c, w.payload() as f64 / n as f64);
            }
        }
    }
}

/// How messages are sent: one by one from memory at hand, so many and then a flush, or each in memory of its own.
#[derive(Clone, Copy)]
enum How {
    Single,
    Batch(usize),
    /// given away where the crate takes that
    Value,
    /// lent where the crate takes that
    Lent,
}

fn run_send(r: &mut dyn Runner, msgs: &[data::Msg], how: How) {
    match how {
        How::Single => r.send(msgs),
        How::Batch(n) => r.send_batch(msgs, n),
        How::Value => r.send_vecs(msgs, false),
        How::Lent => r.send_vecs(msgs, true),
    }
}

fn send(o: &Opt, es: &[Entry], rep: &mut Report, how: How) {
    for w in loads(o) {
        if ["frag1m", "pings"].contains(&w.name) {
            continue;
        }
        let msgs = &w.msgs;
        for &role in &o.roles {
            let n = msgs.len();
            let mut lanes: Vec<Option<Lane>> = es
                .iter()
                .map(|e| {
                    let wire = Wire::leak(b"\x89\x00", Chunk::Whole, SinkMode::Ring, ring(&w));
                    (e.open)(role, Io(wire), Profile::Fast).map(|mut r| Lane {
                        wire,
                        run: Box::new(move || run_send(&mut *r, msgs, how)) as Box<dyn FnMut()>,
                        per: n as f64,
                    })
                })
                .collect();
            let c = measure(&mut lanes, o.rounds, o.ms);
            let s = match how {
                How::Single => "send",
                How::Batch(_) => "batch",
                How::Value => "value",
                How::Lent => "lent",
            };
            rep.table(s, &format!("{} ({}), {}", w.name, w.what, role.name()), es, &c, w.payload() as f64 / n as f64);
        }
    }
}

/// From which size on it pays to give a payload away, for the crates that can also copy a lent one.
fn owned(o: &Opt, es: &[Entry]) {
    println!("\n### owned: ns a message, binary, each in memory of its own\n");
    println!("| peer | role | bytes | lent | given away | ratio |\n|---|---|---:|---:|---:|---:|");
    for size in [512, 1024, 2048, 3072, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768, 65_536, 131_072] {
        let msgs = &vec![data::Msg { kind: Kind::Binary, data: Bytes::from(vec![0x5a; size]) }; 16];
        for &role in &o.roles {
            for e in es {
                let mut lanes: Vec<Option<Lane>> = [How::Lent, How::Value]
                    .iter()
                    .map(|&how| {
                        let wire = Wire::leak(b"\x89\x00", Chunk::Whole, SinkMode::Ring, 256 * 1024);
                        (e.open)(role, Io(wire), Profile::Fast)
                            .map(|mut r| Lane { wire, run: Box::new(move || run_send(&mut *r, msgs, how)), per: msgs.len() as f64 })
                    })
                    .collect();
                if let [Some(lent), Some(value)] = &measure(&mut lanes, o.rounds, o.ms)[..] {
                    println!("| {} | {} | {size} | {:.1} | {:.1} | {:.3} |", e.name, role.name(), lent.ns, value.ns, value.ns / lent.ns);
                }
            }
        }
    }
}

fn echo(o: &Opt, es: &[Entry], rep: &mut Report) {
    for w in loads(o) {
        for &role in &o.roles {
            let src = leak(w.wire(role == Role::Server));
            for &chunk in o.chunks.iter().filter(|c| matches!(c, Chunk::Fixed(_))) {
                let n = w.msgs.len();
                let mut lanes: Vec<Option<Lane>> = es
                    .iter()
                    .map(|e| {
                        let wire = Wire::leak(src, chunk, SinkMode::Ring, ring(&w));
                        (e.open)(role, Io(wire), Profile::Fast).map(|mut r| Lane { wire, run: Box::new(move || r.echo(n)), per: n as f64 })
                    })
                    .collect();
                let c = measure(&mut lanes, o.rounds, o.ms);
                rep.table("echo", &format!("{} ({}), {}, chunks {}", w.name, w.what, role.name(), chunk.name()), es, &c, w.payload() as f64 / n as f64);
            }
        }
    }
}

fn handshake(o: &Opt, es: &[Entry], rep: &mut Report) {
    for server in [true, false] {
        let mut lanes: Vec<Option<Lane>> = es
            .iter()
            .map(|e| {
                let mode = if server { SinkMode::Ring } else { SinkMode::Respond };
                let wire = Wire::leak(b"", Chunk::Whole, mode, 65536);
                let f = if server { e.accept } else { e.connect };
                if server {
                    wire.rewind_once(hs::REQUEST);
                }
                if !f(Io(wire)) {
                    return None;
                }
                Some(Lane {
                    wire,
                    run: Box::new(move || {
                        if server {
                            wire.rewind_once(hs::REQUEST);
                        }
                        assert!(f(Io(wire)));
                    }),
                    per: 1.0,
                })
            })
            .collect();
        let c = measure(&mut lanes, o.rounds, o.ms);
        let t = if server { format!("server: {} B request, 14 headers, parse + answer", hs::REQUEST.len()) } else { "client: request + far end + verify".into() };
        rep.table("handshake", &t, es, &c, 0.0);
    }
    // what the far end alone costs
    let req = b"GET / HTTP/1.1\r\nHost: server.example.com:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut out = Vec::new();
    let mut v = vec![];
    for _ in 0..o.rounds {
        let t = Instant::now();
        for _ in 0..2000 {
            hs::respond(black_box(req), &mut out);
        }
        v.push(t.elapsed().as_nanos() as f64 / 2000.0);
    }
    println!("\nfar end of the client handshake alone: {:.0} ns", median(&mut v));
}

fn deflate_workload(role_masked: bool) -> (Vec<data::Msg>, &'static [u8], usize) {
    let mut r = data::Rng(99);
    let msgs: Vec<data::Msg> = (0..256).map(|_| data::Msg { kind: Kind::Text, data: Bytes::from(data::json(&mut r, 1024)) }).collect();
    let mut c = flate2::Compress::new(flate2::Compression::new(6), false);
    let mut wire = Vec::new();
    let mut total = 0;
    for m in &msgs {
        c.reset();
        let mut z = Vec::with_capacity(4096);
        c.compress_vec(&m.data, &mut z, flate2::FlushCompress::Sync).unwrap();
        z.truncate(z.len() - 4);
        total += z.len();
        let key = (r.next() as u32).to_ne_bytes();
        data::frame_rsv(&mut wire, true, 1, &z, role_masked.then_some(key), true);
    }
    (msgs, leak(wire), total)
}

fn inflate(z: &[u8]) -> Vec<u8> {
    let mut d = flate2::Decompress::new(false);
    let mut out = Vec::with_capacity(1 << 16);
    let mut z = z.to_vec();
    z.extend_from_slice(&[0, 0, 0xff, 0xff]);
    d.decompress_vec(&z, &mut out, flate2::FlushDecompress::Sync).unwrap();
    out
}

fn deflate(o: &Opt, es: &[Entry], rep: &mut Report) {
    let (msgs, src, total) = deflate_workload(true);
    println!("\npermessage-deflate: 256 JSON messages of 1024 B; level 6, no takeover: {} B on average", total / 256);
    for mode in [DeflateMode::NoTakeover, DeflateMode::Takeover, DeflateMode::Lean] {
        let mut sizes = BTreeMap::new();
        for e in es {
            let wire = Wire::leak(src, Chunk::Fixed(4096), SinkMode::Keep, 0);
            if let Some(mut r) = (e.open_deflate)(Io(wire), mode) {
                r.recv_check(&msgs);
                r.send(&msgs);
                let fr = data::parse(&wire.take_sink());
                assert_eq!(fr.len(), msgs.len());
                if mode != DeflateMode::Takeover {
                    for (f, m) in fr.iter().zip(&msgs) {
                        let d = if f.2 { inflate(&f.3) } else { f.3.clone() };
                        assert!(d == m.data[..], "{}: compressed frame differs", e.name);
                    }
                }
                sizes.insert(e.name, fr.iter().map(|f| f.3.len()).sum::<usize>() / fr.len());
            }
        }
        let lanes = |dir: u8| -> Vec<Option<Lane>> {
            es.iter()
                .map(|e| {
                    let wire = Wire::leak(src, Chunk::Fixed(65536), SinkMode::Ring, 256 * 1024);
                    let msgs = &msgs;
                    (e.open_deflate)(Io(wire), mode).map(|mut r| Lane {
                        wire,
                        run: if dir == 0 { Box::new(move || { black_box(r.recv(256)); }) as Box<dyn FnMut()> } else { Box::new(move || r.send(msgs)) },
                        per: 256.0,
                    })
                })
                .collect()
        };
        for (dir, what) in [(0, "receive (decompress)"), (1, "send (compress)")] {
            let c = measure(&mut lanes(dir), o.rounds, o.ms * 2.0);
            rep.table("deflate", &format!("{mode:?}: {what}, server, 1 KiB JSON"), es, &c, 1024.0);
        }
        println!("\ncompressed size: {sizes:?}");
        println!("\nheap per connection after one message each way (bytes):\n");
        for e in es {
            let wire = || Wire::leak(src, Chunk::Fixed(first_frame(src)), SinkMode::Null, 0);
            let ws: Vec<_> = (0..50).map(|_| wire()).collect();
            // whatever is shared, or built once, comes first
            if (e.open_deflate)(Io(wire()), mode).map(|mut r| { r.recv(1); r.send(&msgs[..1]); }).is_none() {
                continue;
            }
            let mut keep = Vec::with_capacity(64);
            let a = alloc::snap();
            for w in ws {
                let mut r = (e.open_deflate)(Io(w), mode).unwrap();
                r.recv(1);
                r.send(&msgs[..1]);
                keep.push(r);
            }
            let b = alloc::snap();
            println!("| {:<17} | {:>8} |", e.name, (b.live - a.live) / 50);
            rep.csv.push(format!("deflate-memory,{mode:?},{},{}", e.name, (b.live - a.live) / 50));
        }
    }
}

fn first_frame(b: &[u8]) -> usize {
    let n = (b[1] & 0x7f) as usize;
    if n == 126 { u16::from_be_bytes([b[2], b[3]]) as usize + 4 + if b[1] & 0x80 != 0 { 4 } else { 0 } } else { n + 2 + if b[1] & 0x80 != 0 { 4 } else { 0 } }
}

fn memory(_o: &Opt, es: &[Entry], rep: &mut Report) {
    println!("\n### memory: heap bytes per connection (its struct included), 200 connections\n");
    println!("fresh: opened, nothing read; idle: one 1 KiB text message received and echoed; after 64 KiB: then one such message\n");
    println!("| {:<17} | {:<7} | {:<6} | {:>8} | {:>9} | {:>12} |", "peer", "profile", "role", "fresh", "idle", "after 64 KiB");
    println!("|{}|---------|--------|---------:|----------:|-------------:|", "-".repeat(19));
    let all = data::workloads();
    let small = all.iter().find(|w| w.name == "text1k").unwrap();
    let big = all.iter().find(|w| w.name == "bin64k").unwrap();
    for role in [Role::Server, Role::Client] {
        let mut v = Vec::new();
        let key = (role == Role::Server).then_some([1, 2, 3, 4]);
        data::frame(&mut v, true, 1, &small.msgs[0].data, key);
        let n1 = v.len();
        data::frame(&mut v, true, 2, &big.msgs[0].data, key);
        let src = leak(v);
        for e in es.iter().filter(|e| !e.name.starts_with('(')) {
            for profile in [Profile::Default, Profile::Lean] {
                let ws: Vec<_> = (0..200).map(|_| Wire::leak(&src[..n1], Chunk::Whole, SinkMode::Null, 0)).collect();
                let w0 = Wire::leak(&src[..n1], Chunk::Whole, SinkMode::Null, 0);
                w0.rewind_once(&src[..n1]);
                let mut warm = (e.open)(role, Io(w0), profile).unwrap();
                warm.echo(1);
                drop(warm);
                let mut keep: Vec<Box<dyn Runner>> = Vec::with_capacity(200);
                let a = alloc::snap();
                for w in &ws {
                    w.rewind_once(&src[..n1]);
                    keep.push((e.open)(role, Io(w), profile).unwrap());
                }
                let b = alloc::snap();
                for r in &mut keep {
                    r.echo(1);
                }
                let c = alloc::snap();
                for (r, w) in keep.iter_mut().zip(&ws) {
                    w.rewind_once(&src[n1..]);
                    r.echo(1);
                }
                let d = alloc::snap();
                let f = |x: alloc::Snap| (x.live - a.live) / 200;
                println!("| {:<17} | {:<7} | {:<6} | {:>8} | {:>9} | {:>12} |", e.name, format!("{profile:?}"), role.name(), f(b), f(c), f(d));
                rep.csv.push(format!("memory,{},{},{:?},{},{},{}", e.name, role.name(), profile, f(b), f(c), f(d)));
            }
        }
    }
    println!("\nsize of the connection type: {}", es.iter().map(|e| format!("{} {}", e.name, e.size)).collect::<Vec<_>>().join(", "));
}

/// What the parts cost on their own.
fn pieces(o: &Opt) {
    let t = |name: &str, n: usize, f: &mut dyn FnMut()| {
        let mut v = vec![];
        for _ in 0..o.rounds {
            let st = Instant::now();
            for _ in 0..n {
                f();
            }
            v.push(st.elapsed().as_nanos() as f64 / n as f64);
        }
        println!("| {name:<50} | {:>9.1} ns |", median(&mut v));
    };
    let key = b"dGhlIHNhbXBsZSBub25jZQ==";
    t("SHA-1 of key + GUID, soft, + base64", 1000, &mut || {
        black_box(hs::accept_key(black_box(key)));
    });
    #[cfg(feature = "ideal")]
    {
        use sha1::{Digest, Sha1};
        t("SHA-1 of key + GUID, sha1 crate (SHA-NI)", 1000, &mut || {
            let mut h = Sha1::new();
            h.update(black_box(key));
            h.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
            black_box(h.finalize());
        });
        t("httparse of the request", 1000, &mut || {
            let mut h = [httparse::EMPTY_HEADER; 64];
            let mut r = httparse::Request::new(&mut h);
            r.parse(black_box(hs::REQUEST)).unwrap();
            black_box(&r);
        });
        let wire = Wire::leak(b"", Chunk::Whole, SinkMode::Ring, 65536);
        t("prototype: whole server handshake", 1000, &mut || {
            wire.rewind_once(hs::REQUEST);
            assert!(ideal_hs::accept(Io(wire)));
        });
        use rand_chacha::rand_core::{RngCore, SeedableRng};
        let mut r = rand_chacha::ChaCha8Rng::from_seed([1; 32]);
        t("mask key: ChaCha8, buffered", 4096, &mut || {
            black_box(r.next_u32());
        });
        let mut r = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
        t("mask key: ChaCha20, buffered", 4096, &mut || {
            black_box(r.next_u32());
        });
    }
    unsafe extern "C" {
        fn getrandom(buf: *mut u8, n: usize, flags: u32) -> isize;
    }
    t("mask key: getrandom system call", 1000, &mut || {
        let mut b = [0u8; 4];
        unsafe { getrandom(b.as_mut_ptr(), 4, 0) };
        black_box(b);
    });
    let mut x = data::Rng(7);
    t("mask key: xorshift (not cryptographic)", 4096, &mut || {
        black_box(x.next());
    });
    for (name, n) in [("20 B", 20usize), ("125 B", 125), ("1 KiB", 1024), ("64 KiB", 65536)] {
        let a = vec![b'a'; n];
        let c = "\u{4e2d}".repeat(n / 3).into_bytes();
        let reps = (200_000 / n).max(10);
        t(&format!("UTF-8 {name} ASCII: std"), reps, &mut || {
            black_box(std::str::from_utf8(black_box(&a)).is_ok());
        });
        t(&format!("UTF-8 {name} ASCII: simdutf8"), reps, &mut || {
            black_box(simdutf8::basic::from_utf8(black_box(&a)).is_ok());
        });
        t(&format!("UTF-8 {name} CJK: std"), reps, &mut || {
            black_box(std::str::from_utf8(black_box(&c)).is_ok());
        });
        t(&format!("UTF-8 {name} CJK: simdutf8"), reps, &mut || {
            black_box(simdutf8::basic::from_utf8(black_box(&c)).is_ok());
        });
    }
    t("malloc + free 20 B (Vec)", 1000, &mut || {
        black_box(Vec::<u8>::with_capacity(black_box(20)));
    });
    t("malloc + free 1 KiB (Vec)", 1000, &mut || {
        black_box(Vec::<u8>::with_capacity(black_box(1024)));
    });
    t("malloc + free 64 KiB (Vec)", 1000, &mut || {
        black_box(Vec::<u8>::with_capacity(black_box(65536)));
    });
    let mut b = bytes::BytesMut::with_capacity(1 << 20);
    t("BytesMut: split_to(26), freeze, drop", 4096, &mut || {
        if b.len() < 26 {
            b.clear();
            b.reserve(1 << 19);
            unsafe { b.set_len(1 << 19) };
        }
        black_box(b.split_to(26).freeze());
    });
}

/// For instruction counting: one peer, one workload, `--n` passes, no clock.
fn icount(o: &Opt, es: &[Entry]) {
    let what = o.loads.as_ref().expect("--loads");
    let (sect, load) = what[0].split_once(':').expect("--loads recv:text20");
    let e = &es[0];
    let role = o.roles[0];
    let all = data::small_workloads();
    if sect == "accept" || sect == "connect" {
        let mode = if sect == "accept" { SinkMode::Ring } else { SinkMode::Respond };
        let wire = Wire::leak(b"", Chunk::Whole, mode, 65536);
        for _ in 0..o.n * 100 {
            let ok = if sect == "accept" {
                wire.rewind_once(hs::REQUEST);
                (e.accept)(Io(wire))
            } else {
                (e.connect)(Io(wire))
            };
            if !ok {
                println!("UNSUPPORTED");
                return;
            }
        }
        println!("MSGS {}", o.n * 100);
        return;
    }
    let mixed = (load == "mixed1m").then(data::mixed1m);
    let w = all.iter().chain(&mixed).find(|w| w.name == load).unwrap();
    let src = leak(w.wire(role == Role::Server));
    let wire = Wire::leak(src, o.chunks[0].of(src.len(), w.msgs.len()), SinkMode::Ring, ring(w));
    let mut r = (e.open)(role, Io(wire), Profile::Fast).unwrap();
    let k = w.msgs.len().min(512);
    for _ in 0..o.n {
        match sect {
            "recv" => {
                black_box(r.recv(k));
            }
            "send" => r.send(&w.msgs[..k]),
            "batch" => r.send_batch(&w.msgs[..k], 16),
            "value" => r.send_vecs(&w.msgs[..k], false),
            "lent" => r.send_vecs(&w.msgs[..k], true),
            "echo" => r.echo(k),
            _ => panic!(),
        }
    }
    println!("MSGS {}", o.n * k);
    // What giving everything back takes depends on the heap's order, and differs by more than a message.
    std::process::exit(0);
}

fn main() {
    let o = parse_args();
    let es = picks(&o, &entries());
    let mut rep = Report { csv: vec![] };
    match o.cmd.as_str() {
        "list" => {
            for e in &es {
                println!("{:<18} {}", e.name, e.note);
            }
        }
        "verify" => verify(&o, &es),
        "masks" => masks::run(o.rounds, o.own),
        "recv" => recv(&o, &es, &mut rep),
        "send" => send(&o, &es, &mut rep, How::Single),
        "batch" => send(&o, &es, &mut rep, How::Batch(16)),
        "value" => send(&o, &es, &mut rep, How::Value),
        "owned" => owned(&o, &es),
        "lent" => send(&o, &es, &mut rep, How::Lent),
        "echo" => echo(&o, &es, &mut rep),
        "handshake" => handshake(&o, &es, &mut rep),
        "deflate" => deflate(&o, &es, &mut rep),
        "memory" => memory(&o, &es, &mut rep),
        #[cfg(feature = "codec")]
        "codec" => codec::run(o.rounds),
        "pieces" => pieces(&o),
        #[cfg(feature = "ours")]
        "linear" => scale::linear(o.rounds, &mut rep.csv),
        #[cfg(feature = "ours")]
        "scale" => scale::scale(&es, &mut rep.csv),
        "icount" => icount(&o, &es),
        "all" => {
            verify(&o, &es);
            masks::run(o.rounds, o.own);
            recv(&o, &es, &mut rep);
            for how in [How::Single, How::Batch(16), How::Value, How::Lent] {
                send(&o, &es, &mut rep, how);
            }
            echo(&o, &es, &mut rep);
            handshake(&o, &es, &mut rep);
            deflate(&o, &es, &mut rep);
            memory(&o, &es, &mut rep);
        }
        c => panic!("unknown command {c}"),
    }
    if let Some(p) = &o.csv {
        std::fs::write(p, rep.csv.join("\n") + "\n").unwrap();
    }
}
