//! Frames through `AF_XDP`: past the kernel's stack, in memory that it shares with the process.

mod bpf;
mod memory;
mod program;
mod repair;
mod ring;
mod socket;
mod wire;

pub use bpf::XdpMode;
pub use wire::{XdpCounters, XdpWire};
