//! Replays what the fuzzers have found, on any compiler: `fuzz/seeds/TARGET/*`, by the same checks
//! that the fuzz targets run.

#[path = "../fuzz/checks/mod.rs"]
mod checks;

use std::path::Path;
use std::{fs, panic};

fn replay(target: &str) {
    let (_, check) = checks::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target");
    // Short of everything, and nothing at all.
    check(&[]);
    check(&[0xff; 64]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).expect("the seeds") {
        let path = entry.expect("a seed").path();
        let data = fs::read(&path).expect("a seed");
        let result = panic::catch_unwind(|| check(&data));
        assert!(result.is_ok(), "{}", path.display());
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

macro_rules! replays {
    ($list:ident: $($name:ident)*) => {
        #[cfg(feature = "deflate")]
        const $list: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*
    };
}

replays! { PLAIN: head decoder server client server_handshake client_handshake pair header_list parts proxy }

#[cfg(feature = "deflate")]
replays! { DEFLATE: negotiation inflating round_trip }

/// Every target has its file, its binary, its seeds and its check, and is replayed here.
#[cfg(feature = "deflate")]
#[test]
fn every_target_is_everywhere() {
    use std::collections::BTreeSet;

    type Names = BTreeSet<String>;
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let listed = |folder: &str| -> Names {
        let entries = fs::read_dir(fuzz.join(folder)).expect("a folder");
        let stem = |path: &Path| path.file_stem()?.to_str().map(str::to_owned);
        let name = |entry: fs::DirEntry| stem(&entry.path()).expect("a name");
        entries.map(|entry| name(entry.expect("a file"))).collect()
    };
    let files = listed("fuzz_targets");

    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("the manifest");
    let mut bins = Names::new();
    for bin in manifest.split("[[bin]]").skip(1) {
        let value = |key: &str| bin.lines().find_map(|line| line.strip_prefix(key));
        let name = value("name = ").expect("a name").trim_matches('"');
        let path = format!("\"fuzz_targets/{name}.rs\"");
        assert_eq!(value("path = "), Some(&*path));
        let code = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs")));
        let call = format!("sockless_fuzz::{name}(data)");
        assert!(code.expect("the target").contains(&call), "{name}");
        bins.insert(name.to_owned());
    }
    assert_eq!(files, bins);
    assert_eq!(files, listed("seeds"));

    // It needs the other implementations, and is tested beside them.
    let elsewhere = "differential";
    let checks: Names = checks::TARGETS
        .iter()
        .map(|(name, _)| *name)
        .chain([elsewhere])
        .map(str::to_owned)
        .collect();
    assert_eq!(files, checks);
    let replayed: Names = [PLAIN, DEFLATE, &[elsewhere]]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(files, replayed);
}

/// What the fuzzers found, as it would be met.
mod found {
    use super::checks::wire;
    use core::time::Duration;
    use sockless::{Config, Connection, Delivery, Error, Event, Fin, Input, Next, Response, Role};

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    fn feed(ws: &mut Connection, bytes: &[u8]) -> Vec<Event<'static>> {
        let mut input = Input::shared(bytes.len());
        input.extend_from_slice(bytes);
        core::iter::from_fn(|| match ws.poll(&mut input, Duration::ZERO) {
            Next::Event(event) => Some(event.into_owned()),
            _ => None,
        })
        .collect()
    }

    fn text(payload: &str) -> Vec<u8> {
        wire::frame(Role::Client, 0x81, payload.as_bytes())
    }

    /// R084: what came before the answer comes before what came after it.
    #[test]
    fn early_data_is_not_overtaken() {
        let mut ws = Connection::server(Config::default());
        assert!(matches!(feed(&mut ws, REQUEST)[..], [Event::Request(_)]));
        assert_eq!(feed(&mut ws, &[text("first"), text("second")].concat()), []);
        ws.accept(Response::default()).expect("a request");
        let events = ["first", "second", "third"].map(|text| Event::Text(text.into()));
        assert_eq!(feed(&mut ws, &text("third")), events);
    }

    /// Nor is the payload of a frame that the answer cuts taken for frames.
    #[test]
    fn early_data_may_end_inside_a_frame() {
        let mut ws = Connection::server(Config::default());
        assert!(matches!(feed(&mut ws, REQUEST)[..], [Event::Request(_)]));
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let payload: Vec<u8> = wire::unmasked(key, &text("no frame of its own")).collect();
        let frame = wire::frame(Role::Client, 0x82, &payload);
        let (header, rest) = frame.split_at(6);
        assert_eq!(feed(&mut ws, header), []);
        ws.accept(Response::default()).expect("a request");
        assert_eq!(feed(&mut ws, rest), [Event::Binary(payload.into())]);
    }

    /// Whole frames too are parts, where parts are wanted.
    #[test]
    fn parts_are_parts_however_they_arrive() {
        let config = Config::default().delivery(Delivery::Parts);
        let mut ws = Connection::upgraded(Role::Server, config);
        let part = Event::TextPart {
            text: "one frame".into(),
            first: true,
            fin: Fin::Last,
        };
        assert_eq!(feed(&mut ws, &text("one frame")), [part]);
    }

    /// A limit of no fragments lets no message pass, not even an empty one.
    #[test]
    fn no_fragments_means_none() {
        let config = Config::default().max_fragments(0);
        let mut ws = Connection::upgraded(Role::Server, config);
        let bytes = [text(""), text("")].concat();
        assert_eq!(
            feed(&mut ws, &bytes),
            [Event::Fail(Error::TooManyFragments)]
        );
    }
}
