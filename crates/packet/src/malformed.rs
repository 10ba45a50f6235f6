//! Why a frame is refused before any policy sees it.

/// What is wrong with a frame. The name is the drop reason that counters and records carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Malformed {
    /// The frame ends inside its link header.
    FrameTooShort,
    /// More than two VLAN tags.
    TooManyVlanTags,
    /// A link header whose own length or version fields contradict the frame.
    BadLinkHeader,
    /// More than [`crate::MAX_MPLS_LABELS`] MPLS labels.
    MplsLabelStack,
    /// What should be an IP packet starts with neither version 4 nor version 6, or with another than it should.
    BadIpVersion,
    /// An IPv4 header that is cut off or contradicts itself.
    BadIpv4Header,
    /// An IPv6 header that is cut off or of another version.
    BadIpv6Header,
    /// The IP header claims more bytes than the frame had on the wire.
    IpLengthBeyondFrame,
    /// An IPv6 packet longer than 65,535 bytes (RFC 2675).
    Ipv6Jumbogram,
    /// IPv6 extension headers that are cut off, out of order, repeated, or more than
    /// [`crate::MAX_EXTENSION_HEADERS`].
    Ipv6ExtensionChain,
    /// A routing header that contradicts itself, leads to a multicast address, or is one of two that lead on.
    Ipv6SourceRoute,
    /// A fragment that is empty, ends beyond 65,535 bytes, or is not a multiple of 8 bytes long
    /// though more follow.
    BadFragment,
    /// A TCP header that is cut off or whose data offset is wrong.
    BadTcpHeader,
    /// A UDP header that is cut off or whose length is wrong.
    BadUdpHeader,
    /// An ICMP or `ICMPv6` message without its first eight bytes.
    BadIcmpHeader,
    /// A wrong IPv4 header, TCP, UDP, ICMP or `ICMPv6` checksum.
    BadChecksum,
}

impl Malformed {
    /// Every value, in the order of their discriminants.
    pub const ALL: &'static [Self] = &[
        Self::FrameTooShort,
        Self::TooManyVlanTags,
        Self::BadLinkHeader,
        Self::MplsLabelStack,
        Self::BadIpVersion,
        Self::BadIpv4Header,
        Self::BadIpv6Header,
        Self::IpLengthBeyondFrame,
        Self::Ipv6Jumbogram,
        Self::Ipv6ExtensionChain,
        Self::Ipv6SourceRoute,
        Self::BadFragment,
        Self::BadTcpHeader,
        Self::BadUdpHeader,
        Self::BadIcmpHeader,
        Self::BadChecksum,
    ];

    /// The drop reason, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::FrameTooShort => "frame-too-short",
            Self::TooManyVlanTags => "too-many-vlan-tags",
            Self::BadLinkHeader => "bad-link-header",
            Self::MplsLabelStack => "mpls-label-stack",
            Self::BadIpVersion => "bad-ip-version",
            Self::BadIpv4Header => "bad-ipv4-header",
            Self::BadIpv6Header => "bad-ipv6-header",
            Self::IpLengthBeyondFrame => "ip-length-beyond-frame",
            Self::Ipv6Jumbogram => "ipv6-jumbogram",
            Self::Ipv6ExtensionChain => "ipv6-extension-chain",
            Self::Ipv6SourceRoute => "ipv6-source-route",
            Self::BadFragment => "bad-fragment",
            Self::BadTcpHeader => "bad-tcp-header",
            Self::BadUdpHeader => "bad-udp-header",
            Self::BadIcmpHeader => "bad-icmp-header",
            Self::BadChecksum => "bad-checksum",
        }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_complete_ordered_and_named_apart() {
        for (index, reason) in Malformed::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
        assert_eq!(Malformed::BadChecksum as usize + 1, Malformed::ALL.len());
        let mut names: Vec<_> = Malformed::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Malformed::ALL.len());
    }
}
