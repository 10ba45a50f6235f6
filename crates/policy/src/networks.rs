//! A set of addresses: sorted, disjoint ranges of both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tags::Addresses;

/// A set of IPv4 and IPv6 addresses. An IPv4-mapped IPv6 address is an IPv6 address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => covers(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => covers(&self.v6, v6.to_bits()),
        }
    }

    /// Whether the set has no address.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether every address of `other` is in this set.
    pub fn is_superset(&self, other: &Self) -> bool {
        includes(&self.v4, &other.v4) && includes(&self.v6, &other.v6)
    }

    /// The IPv4 part: sorted ranges, both ends included, with a gap between any two.
    pub(crate) fn v4(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 part, in the same form.
    pub(crate) fn v6(&self) -> &[(u128, u128)] {
        &self.v6
    }

    /// Joins several sets.
    pub(crate) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend_from_slice(&set.v4);
            v6.extend_from_slice(&set.v6);
        }
        Self {
            v4: merged(v4, |last| last.checked_add(1)),
            v6: merged(v6, |last| last.checked_add(1)),
        }
    }

    /// The ranges of the set in order, IPv4 first, each written as shortly as it can be: a host, a prefix
    /// where the range is one, else a range.
    pub fn iter(&self) -> impl Iterator<Item = Addresses> + '_ {
        let v4 = self.v4.iter().filter_map(|&(first, last)| {
            let length =
                prefix_length(u128::from(first), u128::from(last)).map(|bits| 32_u32.saturating_sub(bits));
            shortest(
                Ipv4Addr::from_bits(first).into(),
                Ipv4Addr::from_bits(last).into(),
                length,
            )
        });
        let v6 = self.v6.iter().filter_map(|&(first, last)| {
            let length = prefix_length(first, last).map(|bits| 128_u32.saturating_sub(bits));
            shortest(
                Ipv6Addr::from_bits(first).into(),
                Ipv6Addr::from_bits(last).into(),
                length,
            )
        });
        v4.chain(v6)
    }
}

impl<'a> FromIterator<&'a Addresses> for Networks {
    fn from_iter<I: IntoIterator<Item = &'a Addresses>>(addresses: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for addresses in addresses {
            match (addresses.first(), addresses.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits())),
                // `Addresses` never mixes families.
                (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
            }
        }
        Self {
            v4: merged(v4, |last| last.checked_add(1)),
            v6: merged(v6, |last| last.checked_add(1)),
        }
    }
}

impl FromIterator<Addresses> for Networks {
    fn from_iter<I: IntoIterator<Item = Addresses>>(addresses: I) -> Self {
        let addresses: Vec<Addresses> = addresses.into_iter().collect();
        addresses.iter().collect()
    }
}

fn covers<A: Ord + Copy>(ranges: &[(A, A)], address: A) -> bool {
    let after = ranges.partition_point(|&(first, _)| first <= address);
    after
        .checked_sub(1)
        .and_then(|at| ranges.get(at))
        .is_some_and(|&(_, last)| address <= last)
}

/// As `outer` has gaps between its ranges, each range of `inner` must lie in one of them.
fn includes<A: Ord + Copy>(outer: &[(A, A)], inner: &[(A, A)]) -> bool {
    inner.iter().all(|&(first, last)| {
        let after = outer.partition_point(|&(start, _)| start <= first);
        after
            .checked_sub(1)
            .and_then(|at| outer.get(at))
            .is_some_and(|&(_, end)| last <= end)
    })
}

/// Sorts ranges and joins those that overlap or touch.
fn merged<A: Ord + Copy>(mut ranges: Vec<(A, A)>, next: impl Fn(A) -> Option<A>) -> Vec<(A, A)> {
    ranges.sort_unstable();
    let mut out: Vec<(A, A)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            // The end of the address space touches everything.
            Some((_, end)) if next(*end).is_none_or(|beyond| first <= beyond) => *end = last.max(*end),
            _ => out.push((first, last)),
        }
    }
    out.shrink_to_fit();
    out
}

/// The number of host bits, where the range is a prefix.
fn prefix_length(first: u128, last: u128) -> Option<u32> {
    let host = first ^ last;
    let bits = u128::BITS.saturating_sub(host.leading_zeros());
    let is_mask = host.checked_add(1).is_none_or(u128::is_power_of_two);
    (is_mask && first & host == 0).then_some(bits)
}

fn shortest(first: IpAddr, last: IpAddr, length: Option<u32>) -> Option<Addresses> {
    match length.and_then(|length| u8::try_from(length).ok()) {
        Some(length) => Addresses::prefix(first, length).ok(),
        None => Addresses::range(first, last).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(texts: &[&str]) -> Networks {
        texts
            .iter()
            .map(|text| text.parse::<Addresses>().unwrap())
            .collect()
    }

    #[test]
    fn joins_and_writes_shortly() {
        let joined = set(&[
            "10.0.0.128/25",
            "10.0.0.0/25",
            "10.1.0.5",
            "10.1.0.6-10.1.0.9",
            "255.255.255.255",
            "::/1",
            "8000::/1",
        ]);
        let written: Vec<String> = joined.iter().map(|part| part.to_string()).collect();
        assert_eq!(
            written,
            ["10.0.0.0/24", "10.1.0.5-10.1.0.9", "255.255.255.255", "::/0"]
        );
        assert!(!joined.contains("10.0.1.0".parse().unwrap()));
        assert!(joined.contains("10.0.0.255".parse().unwrap()));
        assert!(joined.contains("ffff::".parse().unwrap()));
    }

    #[test]
    fn families_stay_apart() {
        assert!(!set(&["0.0.0.0/0"]).contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!set(&["::/0"]).contains("10.0.0.1".parse().unwrap()));
        assert!(set(&[]).is_empty() && !set(&["::1"]).is_empty());
    }

    fn small() -> impl Strategy<Value = Addresses> {
        (any::<bool>(), 0_u8..32, 0_u8..32).prop_map(|(v6, a, b)| {
            let address = |last: u8| -> IpAddr {
                if v6 {
                    Ipv6Addr::from_bits(u128::from(last)).into()
                } else {
                    Ipv4Addr::from_bits(u32::MAX - 31 + u32::from(last)).into()
                }
            };
            Addresses::range(address(a.min(b)), address(a.max(b))).unwrap()
        })
    }

    fn probes() -> Vec<IpAddr> {
        (0..40_u32)
            .flat_map(|at| {
                let v6 = IpAddr::from(Ipv6Addr::from_bits(at.into()));
                [IpAddr::from(Ipv4Addr::from_bits(u32::MAX - at)), v6]
            })
            .collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_list(a in prop::collection::vec(small(), 0..8), b in prop::collection::vec(small(), 0..8)) {
            let (left, right): (Networks, Networks) = (a.iter().collect(), b.iter().collect());
            let in_list = |list: &[Addresses], ip| list.iter().any(|part| part.contains(ip));
            for ip in probes() {
                prop_assert_eq!(left.contains(ip), in_list(&a, ip));
                prop_assert_eq!(Networks::union([&left, &right]).contains(ip), in_list(&a, ip) || in_list(&b, ip));
            }
            let superset = probes().into_iter().all(|ip| left.contains(ip) || !right.contains(ip));
            prop_assert_eq!(left.is_superset(&right), superset);
            prop_assert_eq!(left.iter().collect::<Networks>(), left);
        }
    }
}
