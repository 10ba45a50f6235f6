//! One end of an intercepted TCP connection, taken on in its middle.
//!
//! An [`Endpoint`] speaks to a real host in the name of the other one: with that host's addresses, sequence numbers,
//! window scale and timestamps, from the moment on at which the firewall stopped forwarding. It holds no socket, no
//! clock and no timer: segments come in with the time, [`Endpoint::poll`] gives the segments that are to be sent, and
//! [`Endpoint::deadline`] tells when to ask again.
//!
//! Segments come from outside: whatever stands in them may be a lie. Everything that grows has a bound in
//! [`Limits`] or a constant of this module.
//!
//! The sender is our own because no library has one to take: loss detection is RACK-TLP (RFC 8985) on a SACK
//! scoreboard, recovery is proportional (RFC 9937), the window is CUBIC's (RFC 9438) behind `HyStart++` (RFC 9406).
#![deny(clippy::indexing_slicing)]

mod acknowledge;
mod counters;
mod cubic;
mod delayed_ack;
mod endpoint;
mod held_ranges;
mod hystart;
mod input;
mod options;
mod output;
mod path_mtu;
mod rack;
mod receiver;
mod recovery;
mod rtt;
mod scoreboard;
mod segment;
mod sender;
mod sequence;
mod timers;
mod transmit;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use endpoint::Endpoint;
pub use options::SynOptions;
pub use segment::{Cutting, Limits, SegmentIn, SegmentOut, Taking};
