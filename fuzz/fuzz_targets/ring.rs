//! A client that writes whatever it likes, whenever it likes, against the engine's side of a channel.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../shm/tests/oracle.rs"]
mod oracle;

fuzz_target!(|script: &[u8]| oracle::run(script));
