//! Live interfaces: ports between veth pairs in network namespaces that each test makes and removes.
//!
//! Needs root and iproute2, and says "skipped" without; `CORDON_REQUIRE_LIVE=1` makes that a failure.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "tests: they may stop and print, and cut patterns to bytes"
)]

mod lab;
mod ports;
mod wire;
mod xdp;
