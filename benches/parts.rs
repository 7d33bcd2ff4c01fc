//! The leaves: masking, headers, UTF-8.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sockless::frame::{Header, MAX_HEADER_SIZE, Opcode, Rules};
use sockless::utf8::{self, Validator};
use sockless::{Role, mask};
use sockless_benches::{frame, text};

fn masking(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask/apply");
    for len in [8, 20, 125, 1 << 10, 64 << 10, 1 << 20] {
        let mut data = vec![0x5a; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |b| {
            b.iter(|| mask::apply(black_box([1, 2, 3, 4]), black_box(&mut data)));
        });
    }
}

fn headers(c: &mut Criterion) {
    let rules = Rules {
        role: Role::Server,
        rsv1: false,
        max_payload: 1 << 30,
    };
    let mut group = c.benchmark_group("frame/header");
    for len in [20, 1 << 10, 64 << 10] {
        let bytes = frame(Role::Client, Opcode::Binary, true, &vec![0; len]);
        group.bench_function(BenchmarkId::new("decode", len), |b| {
            b.iter(|| Header::decode(black_box(&bytes), black_box(&rules)));
        });
        let (header, _) = Header::decode(&bytes, &rules)
            .expect("valid")
            .expect("complete");
        group.bench_function(BenchmarkId::new("encode", len), |b| {
            b.iter(|| {
                black_box(&header)
                    .encode(&mut [0; MAX_HEADER_SIZE])
                    .map(|bytes| black_box(bytes).len())
            });
        });
    }
}

fn validation(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    for (name, sample) in [("ascii", "the quick brown fox "), ("cjk", "发送数据")] {
        for len in [20, 125, 1 << 10, 64 << 10] {
            let text = text(len, sample);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(format!("whole/{name}"), len), |b| {
                b.iter(|| utf8::validate(black_box(text.as_bytes())).is_ok());
            });
            group.bench_function(
                BenchmarkId::new(format!("pieces of 100/{name}"), len),
                |b| {
                    b.iter(|| {
                        let mut validator = Validator::new();
                        for piece in black_box(text.as_bytes()).chunks(100) {
                            black_box(validator.feed(piece).expect("valid"));
                        }
                    });
                },
            );
        }
    }
}

criterion_group!(parts, masking, headers, validation);
criterion_main!(parts);
