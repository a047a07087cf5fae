//! Jobs made of arbitrary octets, on every tier, against aws-lc and plain integers.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../engine/kernels/tests/oracle.rs"]
mod oracle;

fuzz_target!(|octets: &[u8]| oracle::run(octets));
