//! MPLS label stacks (RFC 3032), which are stepped over like VLAN tags.

use super::link_layer::Carries;
use crate::{Link, Malformed, read::array};

/// Labels of one frame; a frame with more is malformed.
pub const MAX_MPLS_LABELS: usize = 16;

/// PPP protocol numbers of MPLS, unicast and multicast (RFC 3032 §4.3).
pub(super) const PPP: [u16; 2] = [0x0281, 0x0283];

/// Steps over the label stack at `link.header_len`. Nothing in it names what it carries: IP is known by its first
/// four bits, as routers know it (RFC 4928 §3). Anything else, a pseudowire with a control word (RFC 4385) among it,
/// is not looked into.
pub(super) fn parse(mut link: Link, frame: &[u8], original_len: usize) -> Result<(Link, Carries), Malformed> {
    for _ in 0..MAX_MPLS_LABELS {
        let [_, _, bottom, _] = array(frame, link.header_len).ok_or(Malformed::FrameTooShort)?;
        link.header_len = link.header_len.saturating_add(4);
        if bottom & 1 == 1 {
            let claimed = original_len.saturating_sub(link.header_len);
            let carries = match frame.get(link.header_len).map(|byte| byte >> 4) {
                Some(4) => Carries::Ipv4 { claimed },
                Some(6) => Carries::Ipv6 { claimed },
                _ => Carries::NonIp,
            };
            return Ok((link, carries));
        }
    }
    Err(Malformed::MplsLabelStack)
}
