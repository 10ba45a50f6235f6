//! Arbitrary and plausible frames at arbitrary times through all shards, tags and forwarder included.
#![no_main]

use cordon_fuzz::{Lab, SESSIONS_PER_SHARD};
use engine::SHARDS;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut lab = Lab::new();
    let mut input = data;
    while lab.step(&mut input) {
        assert!(lab.sessions() <= SESSIONS_PER_SHARD * SHARDS);
    }
    let held = lab.finish();
    assert_eq!(lab.counted() + held, lab.frames, "a frame is unaccounted for");
});
