//! `fast.rs` without unsafe code, for `--cfg sockless_no_unsafe`.

use crate::mask;

pub(crate) fn xor(key: [u8; 4], data: &mut [u8]) -> u64 {
    mask::xor(key, data)
}

pub(crate) fn unmask_text(key: [u8; 4], data: &mut [u8]) -> Result<&str, &[u8]> {
    xor(key, data);
    Err(data)
}

pub(crate) fn ascii(data: &[u8]) -> Result<&str, &[u8]> {
    Err(data)
}
