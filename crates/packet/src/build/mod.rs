//! Frames of our own making, always with right lengths and checksums.
//!
//! What answers or replaces a packet goes into a buffer the caller keeps ([`udp_reply`],
//! [`udp_replacement`], [`tcp_toward_source`], [`tcp_toward_destination`]); what starts from nothing
//! ([`ethernet_udp`] and its siblings) serves tests, demonstrations and generators, and allocates.

mod around;
mod fragment;
mod fresh;
mod headers;
mod link_length;
mod reply;
mod segments;
mod tunnel;

pub use fragment::fragment;
pub use fresh::{
    Ends, ethernet_icmp_echo, ethernet_icmp_error, ethernet_ip, ethernet_tcp, ethernet_tcp_with_options,
    ethernet_udp, with_link,
};
pub use headers::Segment;
pub(crate) use headers::put16;
pub(crate) use link_length::{has_8023_length, set_link_length, type_field_at};
pub use reply::{
    can_answer, tcp_toward_destination, tcp_toward_source, tcp_toward_source_with_options, udp_replacement,
    udp_reply,
};
pub use segments::{SegmentFrames, Summing, TooLong, Unfinished};
pub use tunnel::{Wrapping, in_tunnel, with_labels};

#[cfg(test)]
mod tests;
