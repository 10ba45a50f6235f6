//! External lists of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::{AddressObject, AddressRef, AddressValue, Symbol};
use tags::Addresses;

use super::{Compiler, lists::Lines};
use crate::{document::ListEntry, finding::Quoted};

/// Entries taken from one list.
const MAX_ENTRIES: usize = 1_000_000;

impl<'a> Compiler<'a> {
    pub(super) fn address_list(&mut self, entry: &'a ListEntry, name: Symbol, text: &str) -> Lines {
        let mut exceptions: Vec<Addresses> = Vec::new();
        for exception in &entry.exceptions {
            match exception.value.parse() {
                Ok(addresses) => exceptions.push(addresses),
                Err(fault) => self.report_exception(exception, &fault),
            }
        }
        exceptions.sort_unstable();
        let mut lines = Lines::default();
        let mut addresses = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let Some(word) = lines.entry_of(line) else {
                continue;
            };
            match word.parse::<Addresses>() {
                Ok(_) if lines.entries >= MAX_ENTRIES => {
                    lines.over_limit = lines.over_limit.saturating_add(1);
                }
                Ok(parsed) => {
                    lines.entries = lines.entries.saturating_add(1);
                    without(parsed, &exceptions, &mut addresses);
                }
                Err(fault) => lines.invalid(number, || format!("{}: {fault}", Quoted(word))),
            }
        }
        let value = AddressValue::List(addresses);
        let id = self.builder.add_address(AddressObject {
            name,
            value,
            tags: Vec::new(),
        });
        self.addresses.add(
            "external list",
            &entry.name,
            AddressRef::Object(id),
            self.findings,
        );
        lines
    }
}

/// Appends what is left of `addresses` without `exceptions`, which are in order.
fn without(addresses: Addresses, exceptions: &[Addresses], left: &mut Vec<Addresses>) {
    let (mut first, last) = (addresses.first(), addresses.last());
    let mut whole = true;
    for exception in exceptions {
        if exception.first() > last
            || exception.last() < first
            || exception.first().is_ipv4() != first.is_ipv4()
        {
            continue;
        }
        whole = false;
        if exception.first() > first
            && let Some(end) = step(exception.first(), false)
        {
            left.extend(Addresses::range(first, end));
        }
        match step(exception.last(), true) {
            Some(next) if next <= last => first = next,
            _ => return,
        }
    }
    if whole {
        left.push(addresses);
    } else {
        left.extend(Addresses::range(first, last));
    }
}

/// The next address, or the one before; `None` at the end of the family.
fn step(address: IpAddr, up: bool) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            let bits = if up {
                bits.checked_add(1)
            } else {
                bits.checked_sub(1)
            };
            Ipv4Addr::from_bits(bits?).into()
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let bits = if up {
                bits.checked_add(1)
            } else {
                bits.checked_sub(1)
            };
            Ipv6Addr::from_bits(bits?).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first: u8, last: u8) -> Addresses {
        let address = |last: u8| IpAddr::from([255, 255, 255, last]);
        Addresses::range(address(first.min(last)), address(first.max(last))).unwrap()
    }

    #[test]
    fn families_stay_apart() {
        let mut left = Vec::new();
        let all = ["::/0".parse().unwrap(), "0.0.0.0/1".parse().unwrap()];
        without("10.0.0.0/8".parse().unwrap(), &all[..1], &mut left);
        assert_eq!(left, ["10.0.0.0/8".parse().unwrap()], "written as it was");
        without("10.0.0.0/8".parse().unwrap(), &all[1..], &mut left);
        without("::/1".parse().unwrap(), &all[..1], &mut left);
        assert_eq!(left.len(), 1);
    }

    proptest! {
        /// Against asking each address.
        #[test]
        fn leaves_what_is_not_excepted(
            entry in (any::<u8>(), any::<u8>()),
            exceptions in prop::collection::vec((any::<u8>(), any::<u8>()), 0..6),
        ) {
            let entry = range(entry.0, entry.1);
            let mut exceptions: Vec<_> = exceptions.into_iter().map(|(a, b)| range(a, b)).collect();
            exceptions.sort_unstable();
            let mut left = Vec::new();
            without(entry, &exceptions, &mut left);
            for last in 0..=255 {
                let address = IpAddr::from([255, 255, 255, last]);
                let expected = entry.contains(address) && !exceptions.iter().any(|e| e.contains(address));
                prop_assert_eq!(left.iter().any(|part| part.contains(address)), expected);
            }
        }
    }
}
