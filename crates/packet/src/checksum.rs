//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

use crate::IpProtocol;

/// A ones' complement sum being formed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes as big-endian 16-bit words; an odd last byte is the high half of a word, so that only
    /// the last piece added may be of odd length.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            // 32-bit words, folded at the end: 2^16 is 1 modulo 2^16 - 1. No frame has 2^32 of them.
            self.0 = self.0.wrapping_add(u64::from(u32::from_be_bytes(*word)));
        }
        let mut last = [0_u8; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.0 = self.0.wrapping_add(u64::from(u32::from_be_bytes(last)));
        self
    }

    /// Adds a number.
    pub(crate) fn number(mut self, number: u32) -> Self {
        self.0 = self.0.wrapping_add(u64::from(number));
        self
    }

    /// Adds the pseudo header of a transport protocol (RFC 9293 §3.1, RFC 8200 §8.1).
    pub(crate) fn pseudo_header(self, src: IpAddr, dst: IpAddr, protocol: IpProtocol, length: u32) -> Self {
        self.address(src)
            .address(dst)
            .number(u32::from(protocol.0))
            .number(length)
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.bytes(&v4.octets()),
            IpAddr::V6(v6) => self.bytes(&v6.octets()),
        }
    }

    /// The checksum: the complement of the folded sum. Over data that holds its own right checksum
    /// it is 0.
    pub(crate) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16).wrapping_add(sum & 0xffff);
        }
        !u16::try_from(sum).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 §4.1, word by word.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
            sum += u32::from(word);
            if sum > 0xffff {
                sum -= 0xffff;
            }
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn rfc_1071_example() {
        let sum = Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_sum(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let fast = Sum::default().bytes(&bytes).finish();
            // Two zeros exist in ones' complement; a naive sum may end at either.
            let slow = naive(&bytes);
            prop_assert!(fast == slow || (fast, slow) == (0xffff, 0) || (fast, slow) == (0, 0xffff));
        }
    }
}
