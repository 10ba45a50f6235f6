//! Frames through `AF_XDP`: past the kernel's stack, in memory that it shares with the process.

mod attachment;
mod bpf;
#[cfg(feature = "testing")]
mod flood;
mod memory;
mod program;
mod repair;
mod ring;
mod side;
mod socket;
mod wire;

pub use bpf::XdpMode;
#[cfg(feature = "testing")]
pub use flood::Flood;
pub use memory::{XdpFrame, XdpMemory};
pub use repair::checksum_is_right;
pub use wire::{XdpDemand, XdpManner, XdpWire};
