//! What the fuzz targets run; each file in `fuzz_targets/` only names one of these.

#[path = "../checks/mod.rs"]
mod checks;
mod differential;

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            /// The target of this name, on any bytes.
            pub fn $name(data: &[u8]) {
                let (_, check) = checks::TARGETS
                    .iter()
                    .find(|target| target.0 == stringify!($name))
                    .expect("a target");
                check(data);
            }
        )*
    };
}

targets! { head decoder server client server_handshake client_handshake pair header_list parts proxy
negotiation inflating round_trip }

/// Ours and other implementations, on the same traffic.
pub fn differential(data: &[u8]) {
    differential::check(data);
}
