//! Frames through `AF_XDP`: past the kernel's stack, in memory that it shares with the process.

mod attachment;
mod bpf;
mod memory;
mod program;
mod repair;
mod ring;
mod side;
mod socket;
mod wire;

pub use bpf::XdpMode;
pub use memory::{XdpFrame, XdpMemory};
pub use wire::{XdpDemand, XdpManner, XdpWire};
