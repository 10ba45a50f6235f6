//! The length fields that some link headers have.

use super::headers::put16;
use crate::{Link, LinkType, read::be16};

/// Where the type or length field stands that follows the VLAN tags, if the link type has one.
pub(crate) fn type_field_at(link: &Link) -> Option<usize> {
    let untagged = match link.kind {
        LinkType::Ethernet => 12,
        LinkType::Sll => 14,
        LinkType::Sll2 if link.vlans.outer().is_none() => 0,
        LinkType::Sll2 => 18,
        LinkType::RawIp | LinkType::Null | LinkType::Ppp => return None,
    };
    let tags = [link.vlans.outer(), link.vlans.inner()].iter().flatten().count();
    Some(tags.saturating_mul(4).saturating_add(untagged))
}

/// Whether `frame` begins with an 802.3 length where others have an `EtherType`.
pub(crate) fn has_8023_length(frame: &[u8], link: &Link) -> bool {
    // Cooked headers have a protocol number, which is no length, however small.
    let on_the_wire = link.kind == LinkType::Ethernet || link.vlans.outer().is_some();
    let number = type_field_at(link).and_then(|at| be16(frame, at));
    on_the_wire && number.is_some_and(|number| number < 0x0600)
}

/// Sets the length fields in the link header at the start of `frame`, which `link` describes, for an IP
/// packet of `ip_len` bytes: those of 802.3 and `PPPoE`. Other link headers have none.
pub(crate) fn set_link_length(frame: &mut [u8], link: &Link, ip_len: usize) {
    let Some(type_at) = type_field_at(link) else {
        return;
    };
    if link.ethertype == Link::PPPOE_SESSION {
        let pppoe_at = if link.kind == LinkType::Sll2 && type_at == 0 {
            20
        } else {
            type_at.saturating_add(2)
        };
        // What PPPoE counts is the PPP protocol field and the packet.
        let ppp_len = link
            .header_len
            .saturating_sub(pppoe_at)
            .saturating_sub(6)
            .saturating_add(ip_len);
        let length = u16::try_from(ppp_len).unwrap_or(u16::MAX);
        put16(frame, pppoe_at.saturating_add(4), length);
    } else if has_8023_length(frame, link) {
        // An 802.3 length counts LLC and SNAP, eight bytes.
        let length = u16::try_from(ip_len.saturating_add(8)).unwrap_or(u16::MAX);
        put16(frame, type_at, length);
    }
}
