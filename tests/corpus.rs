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
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*
    };
}

replays! { head decoder server client server_handshake client_handshake pair header_list parts }
