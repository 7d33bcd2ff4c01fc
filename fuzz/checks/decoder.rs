//! [`Decoder`] and [`Header::decode`] against a second reading of §5.2, and back by
//! [`Header::encode`].

use sockless::Role;
use sockless::frame::{Decoder, Header, MAX_HEADER_SIZE, Opcode, Rules};

use super::source::{Cuts, Source};
use super::wire::{self, Start};

pub(crate) fn check(data: &[u8]) {
    let mut source = Source::new(data);
    let rules = Rules {
        role: if source.flag() {
            Role::Server
        } else {
            Role::Client
        },
        rsv1: source.flag(),
        max_payload: *source.pick(&[0, 125, 126, 1000, 65535, 65536, 1 << 40, u64::MAX]),
    };
    let cuts = Cuts::some(&mut source);
    let bytes = source.rest();
    let naive = |bytes| wire::header(rules.role, rules.rsv1, rules.max_payload, bytes);

    // Every start of it.
    for end in 0..=bytes.len().min(MAX_HEADER_SIZE + 2) {
        let bytes = &bytes[..end];
        assert_eq!(seen(Header::decode(bytes, &rules)), naive(bytes));
        if let Ok(Some((header, size))) = Header::decode(bytes, &rules) {
            let again = &mut [0; MAX_HEADER_SIZE];
            assert_eq!(header.encode(again), Some(&bytes[..size]), "there and back");
        }
    }

    // Header after header.
    let (mut expected, mut at) = (Vec::new(), 0);
    let cut_end = loop {
        let start = naive(&bytes[at..]);
        match start {
            Start::Cut => break at < bytes.len(),
            Start::Bad(_) => {
                expected.push(start);
                break false;
            }
            Start::Header(header) => {
                expected.push(start);
                at += header.size;
            }
        }
    };
    for cuts in cuts.into_iter().chain([Cuts::Whole]) {
        let mut decoder = Decoder::new(rules);
        let mut found = Vec::new();
        'all: for mut piece in cuts.pieces(bytes) {
            while !piece.is_empty() {
                let before = piece.len();
                match decoder.decode(&mut piece) {
                    Ok(None) => assert!(piece.is_empty(), "`None` means that all is used"),
                    Ok(Some(header)) => {
                        assert!(piece.len() < before, "no progress");
                        assert!(!decoder.is_mid_header());
                        found.push(Ok(header));
                    }
                    Err(error) => {
                        found.push(Err(error));
                        break 'all;
                    }
                }
            }
        }
        let failed = matches!(found.last(), Some(Err(_)));
        assert_eq!(decoder.is_mid_header() && !failed, cut_end);
        let found: Vec<_> = found
            .into_iter()
            .map(|found| seen(found.map(|header| Some((header, size(&header))))))
            .collect();
        assert_eq!(found, expected, "{cuts:?}");
    }
}

fn seen(decoded: Result<Option<(Header, usize)>, sockless::Error>) -> Start {
    match decoded {
        Ok(None) => Start::Cut,
        Err(error) => Start::Bad(error),
        Ok(Some((header, size))) => Start::Header(wire::Header {
            fin: header.fin,
            rsv1: header.rsv1,
            opcode: match header.opcode {
                Opcode::Continuation => 0,
                Opcode::Text => 1,
                Opcode::Binary => 2,
                Opcode::Close => 8,
                Opcode::Ping => 9,
                Opcode::Pong => 10,
            },
            key: header.mask,
            len: header.payload_len,
            size,
        }),
    }
}

fn size(header: &Header) -> usize {
    let length = match header.payload_len {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    2 + length + if header.mask.is_some() { 4 } else { 0 }
}
