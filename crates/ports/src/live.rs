//! Live interfaces on Linux: frames in and out through rings shared with the kernel (`AF_PACKET`; between two
//! interfaces also `AF_XDP`, [`XdpWire`]).
//!
//! Frames of a network are an attacker's; the kernel's descriptions of them are not, but are checked
//! against the slot they describe all the same. Nothing here waits except [`Waiter::wait`], and nothing
//! in [`Receiver`] and [`Sender`] allocates once they are open.

mod burst;
mod carrier;
mod checksum;
mod claim;
mod error;
mod interface;
#[cfg(feature = "testing")]
mod netns;
mod offload;
mod opening;
mod options;
mod packet_socket;
mod receive;
mod ring;
mod sys;
mod transmit;
mod vigil;
mod wait;
mod watch;
mod xdp;

pub use burst::{Burst, LiveFrame};
pub use carrier::{CarrierAction, CarrierRelay, End, SETTLE};
pub use checksum::finish_checksum;
pub use claim::Claim;
pub use error::PortError;
pub use interface::Interface;
#[cfg(feature = "testing")]
pub use netns::Namespace;
pub use offload::{ChecksumState, Gso, GsoKind, Offload};
pub use options::{FEWEST_SLOTS, Fanout, OpenOptions};
pub use packet_socket::PacketSocket;
pub use receive::{BURST, MAX_LIVE_FRAME, PortFault, Receiver, ReceiverCounters};
pub use transmit::{Sender, SenderCounters, TransmitDrop};
pub use vigil::Vigil;
pub use wait::{Ready, Waiter, Waker};
pub use watch::{LinkEvent, LinkState, LinkWatch};
#[cfg(feature = "testing")]
pub use xdp::Flood;
pub use xdp::{XdpDemand, XdpFrame, XdpManner, XdpMemory, XdpMode, XdpWire, checksum_is_right};
