//! What a tag sits on.

use std::{
    cmp::Ordering,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use packet::DomainName;

/// Why a text or a pair of addresses is no subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubject {
    /// Not an IPv4 or IPv6 address.
    #[error("expected an address such as 192.0.2.1 or 2001:db8::1, a prefix or a range")]
    Address,
    /// Not a number, or longer than the address.
    #[error("a prefix length is a number from 0 to 32 (IPv4) or 128 (IPv6)")]
    PrefixLength,
    /// Its ends are of different families, or the last comes before the first.
    #[error("a range goes from a lower to a higher address of the same family, as in 192.0.2.1-192.0.2.9")]
    Range,
    /// Neither `name=` nor `client=`, or what follows is no name or address.
    #[error("a qualifier is name= and a domain name, or client= and an address")]
    Qualifier,
}

/// What a tag sits on: addresses, possibly only as the server of a name or towards a client.
///
/// Written `ADDRESSES`, `ADDRESSES name=NAME` or `ADDRESSES client=ADDRESS`. The order is the one in
/// which records name subjects: by first address (IPv4 first), then last address, then qualifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Which addresses.
    pub addresses: Addresses,
    /// In which sessions of theirs.
    pub qualifier: Qualifier,
}

impl Subject {
    /// A host, in all its sessions.
    pub const fn host(address: IpAddr) -> Self {
        Self {
            addresses: Addresses::Host(address),
            qualifier: Qualifier::None,
        }
    }
}

impl From<Addresses> for Subject {
    fn from(addresses: Addresses) -> Self {
        Self {
            addresses,
            qualifier: Qualifier::None,
        }
    }
}

/// A host, a prefix or a range, of either family. Made by [`Addresses::prefix`] and
/// [`Addresses::range`], which normalise: what covers one address is a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// One address.
    Host(IpAddr),
    /// All addresses that begin with the same bits.
    Prefix(Prefix),
    /// All addresses from one to another.
    Range(AddressRange),
}

/// A network prefix of more than one address; its host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    network: IpAddr,
    length: u8,
}

/// A range of at least two addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// In which sessions of its addresses a tag counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// In all.
    #[default]
    None,
    /// In those that ask for this server name. Boxed, as few tags have one and a name is 256 bytes.
    ServerName(Box<DomainName>),
    /// In those whose other end is this host.
    Client(IpAddr),
}

impl Addresses {
    /// The prefix of `length` bits around `address`; its host bits are cleared.
    pub fn prefix(address: IpAddr, length: u8) -> Result<Self, InvalidSubject> {
        let (network, bits) = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX
                    .checked_shl(32_u32.saturating_sub(length.into()))
                    .unwrap_or(0);
                (Ipv4Addr::from_bits(v4.to_bits() & mask).into(), 32)
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX
                    .checked_shl(128_u32.saturating_sub(length.into()))
                    .unwrap_or(0);
                (Ipv6Addr::from_bits(v6.to_bits() & mask).into(), 128)
            }
        };
        match length.cmp(&bits) {
            Ordering::Less => Ok(Self::Prefix(Prefix { network, length })),
            Ordering::Equal => Ok(Self::Host(address)),
            Ordering::Greater => Err(InvalidSubject::PrefixLength),
        }
    }

    /// The range from `first` to `last`, both included. One that could be written as a prefix stays a
    /// range.
    pub fn range(first: IpAddr, last: IpAddr) -> Result<Self, InvalidSubject> {
        match first.cmp(&last) {
            Ordering::Equal => Ok(Self::Host(first)),
            Ordering::Less if first.is_ipv4() == last.is_ipv4() => {
                Ok(Self::Range(AddressRange { first, last }))
            }
            Ordering::Less | Ordering::Greater => Err(InvalidSubject::Range),
        }
    }

    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        match *self {
            Self::Host(address) => address,
            Self::Prefix(prefix) => prefix.network,
            Self::Range(range) => range.first,
        }
    }

    /// The highest address.
    pub fn last(&self) -> IpAddr {
        match *self {
            Self::Host(address) => address,
            Self::Prefix(prefix) => prefix.last(),
            Self::Range(range) => range.last,
        }
    }

    /// Whether `address` is one of them. An IPv4-mapped IPv6 address is an IPv6 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        // The order of `IpAddr` keeps the families apart.
        self.first() <= address && address <= self.last()
    }

    /// Two forms can cover the same addresses; records name the prefix before the range.
    const fn form(&self) -> u8 {
        match self {
            Self::Host(_) => 0,
            Self::Prefix(_) => 1,
            Self::Range(_) => 2,
        }
    }
}

impl Prefix {
    /// The lowest address.
    pub const fn network(&self) -> IpAddr {
        self.network
    }

    /// In bits: less than 32 for IPv4, less than 128 for IPv6.
    pub const fn length(&self) -> u8 {
        self.length
    }

    fn last(&self) -> IpAddr {
        let length = self.length.into();
        match self.network {
            IpAddr::V4(v4) => {
                Ipv4Addr::from_bits(v4.to_bits() | u32::MAX.checked_shr(length).unwrap_or(0)).into()
            }
            IpAddr::V6(v6) => {
                Ipv6Addr::from_bits(v6.to_bits() | u128::MAX.checked_shr(length).unwrap_or(0)).into()
            }
        }
    }
}

impl AddressRange {
    /// The lowest address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub const fn last(&self) -> IpAddr {
        self.last
    }
}

impl Ord for Addresses {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |addresses: &Self| (addresses.first(), addresses.last(), addresses.form());
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Addresses {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Qualifier {
    /// Only in sessions that ask for `name`.
    pub fn server_name(name: DomainName) -> Self {
        Self::ServerName(Box::new(name))
    }
}

impl Ord for Qualifier {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::None, Self::None) => Ordering::Equal,
            (Self::ServerName(a), Self::ServerName(b)) => folded(a).cmp(folded(b)),
            (Self::Client(a), Self::Client(b)) => a.cmp(b),
            (Self::None, _) | (Self::ServerName(_), Self::Client(_)) => Ordering::Less,
            (_, Self::None) | (Self::Client(_), Self::ServerName(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Qualifier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The name's bytes as its equality sees them.
fn folded(name: &DomainName) -> impl Iterator<Item = u8> + '_ {
    name.as_wire().iter().map(u8::to_ascii_lowercase)
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.qualifier {
            Qualifier::None => write!(f, "{}", self.addresses),
            Qualifier::ServerName(name) => write!(f, "{} name={name}", self.addresses),
            Qualifier::Client(client) => write!(f, "{} client={client}", self.addresses),
        }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(address) => write!(f, "{address}"),
            Self::Prefix(prefix) => write!(f, "{}/{}", prefix.network, prefix.length),
            Self::Range(range) => write!(f, "{}-{}", range.first, range.last),
        }
    }
}

impl FromStr for Addresses {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| InvalidSubject::Address);
        if let Some((network, length)) = text.split_once('/') {
            let length = Some(length)
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .ok_or(InvalidSubject::PrefixLength)?;
            return Self::prefix(address(network)?, length);
        }
        if let Some((first, last)) = text.split_once('-') {
            return Self::range(address(first)?, address(last)?);
        }
        address(text).map(Self::Host)
    }
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        let mut words = text.split_ascii_whitespace();
        let addresses = words.next().ok_or(InvalidSubject::Address)?.parse()?;
        let qualifier = match words.next() {
            None => Qualifier::None,
            Some(word) => word.parse()?,
        };
        match words.next() {
            None => Ok(Self { addresses, qualifier }),
            Some(_) => Err(InvalidSubject::Qualifier),
        }
    }
}

impl FromStr for Qualifier {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        match text.split_once('=') {
            Some(("name", name)) => name
                .parse()
                .map(Self::server_name)
                .map_err(|_| InvalidSubject::Qualifier),
            Some(("client", client)) => client
                .parse()
                .map(Self::Client)
                .map_err(|_| InvalidSubject::Qualifier),
            _ => Err(InvalidSubject::Qualifier),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(text: &str) -> Subject {
        text.parse().unwrap()
    }

    #[test]
    fn text_is_normalised() {
        for (given, written) in [
            ("192.168.1.20", "192.168.1.20"),
            ("192.168.1.20/32", "192.168.1.20"),
            ("192.168.1.20/24", "192.168.1.0/24"),
            ("10.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::1/128", "2001:db8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::1/0", "::/0"),
            ("10.0.0.0-10.0.0.255", "10.0.0.0-10.0.0.255"),
            ("10.0.0.7-10.0.0.7", "10.0.0.7"),
            ("fd00::1-fd00::ff", "fd00::1-fd00::ff"),
            ("10.0.0.1 name=Example.com.", "10.0.0.1 name=Example.com"),
            ("10.0.0.0/8 client=fd00::1", "10.0.0.0/8 client=fd00::1"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ] {
            assert_eq!(subject(given).to_string(), written);
            assert_eq!(subject(written), subject(given));
        }
    }

    #[test]
    fn names_the_fault() {
        for (text, fault) in [
            ("", InvalidSubject::Address),
            ("host", InvalidSubject::Address),
            ("10.0.0", InvalidSubject::Address),
            ("10.0.0.0/33", InvalidSubject::PrefixLength),
            ("10.0.0.0/+8", InvalidSubject::PrefixLength),
            ("10.0.0.0/", InvalidSubject::PrefixLength),
            ("::/129", InvalidSubject::PrefixLength),
            ("10.0.0.9-10.0.0.1", InvalidSubject::Range),
            ("10.0.0.9-fd00::1", InvalidSubject::Range),
            ("10.0.0.1 name=", InvalidSubject::Qualifier),
            ("10.0.0.1 client=x", InvalidSubject::Qualifier),
            ("10.0.0.1 user=x", InvalidSubject::Qualifier),
            ("10.0.0.1 client=::1 name=x", InvalidSubject::Qualifier),
        ] {
            assert_eq!(text.parse::<Subject>(), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn covers_its_addresses() {
        let contains = |subject: &str, address: &str| {
            subject
                .parse::<Addresses>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(!contains("::/0", "10.0.0.1"));
        assert!(contains("::/0", "::ffff:10.0.0.1"));
        assert!(contains("10.0.0.5-10.0.1.5", "10.0.1.5"));
        assert!(!contains("10.0.0.5-10.0.1.5", "10.0.1.6"));
    }

    #[test]
    fn orders_as_records_name_them() {
        let ordered = [
            "9.0.0.0",
            "10.0.0.0",
            "10.0.0.0 name=a.example",
            "10.0.0.0 name=B.example",
            "10.0.0.0 client=1.1.1.1",
            "10.0.0.0-10.0.0.5",
            "10.0.0.0/24",
            "10.0.0.0-10.0.0.255",
            "10.0.0.0/8",
            "10.0.0.1",
            "::1",
        ];
        let mut sorted: Vec<Subject> = ordered.iter().rev().map(|text| subject(text)).collect();
        sorted.sort();
        assert_eq!(sorted.iter().map(Subject::to_string).collect::<Vec<_>>(), ordered);
        assert_eq!(
            subject("1.1.1.1 name=A.b").cmp(&subject("1.1.1.1 name=a.B")),
            Ordering::Equal
        );
    }
}
