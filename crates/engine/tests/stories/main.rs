//! Stories: hosts, servers and the firewall in one process, on a clock of their own, told frame by frame.
//!
//! Every story ends with what became of every frame; a counter that moved for another reason fails it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers stop it where anything is amiss"
)]

mod admission;
mod allocation;
mod dns_over_tcp;
mod lab;
mod names;
mod quarantine;
mod refusal;
mod short_way;
mod table;
mod tcp;
