//! TLS that begins in the middle of a session: two hosts whose segments are written by hand, and the firewall between
//! them. What leaves is looked at to the byte.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers stop it where anything is amiss"
)]

mod evasions;
mod lab;
mod upgrades;
