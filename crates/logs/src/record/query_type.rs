//! DNS query types by name.

use std::fmt;

/// A DNS query type (IANA "Resource Record (RR) TYPEs"), written by its mnemonic, or `TYPE65280` (RFC 3597).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryType(pub(crate) u16);

impl QueryType {
    /// The mnemonics this knows.
    pub(crate) const NAMES: &'static [(u16, &'static str)] = &[
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (10, "NULL"),
        (12, "PTR"),
        (13, "HINFO"),
        (15, "MX"),
        (16, "TXT"),
        (17, "RP"),
        (24, "SIG"),
        (25, "KEY"),
        (28, "AAAA"),
        (29, "LOC"),
        (33, "SRV"),
        (35, "NAPTR"),
        (36, "KX"),
        (37, "CERT"),
        (39, "DNAME"),
        (41, "OPT"),
        (43, "DS"),
        (44, "SSHFP"),
        (45, "IPSECKEY"),
        (46, "RRSIG"),
        (47, "NSEC"),
        (48, "DNSKEY"),
        (49, "DHCID"),
        (50, "NSEC3"),
        (51, "NSEC3PARAM"),
        (52, "TLSA"),
        (53, "SMIMEA"),
        (55, "HIP"),
        (59, "CDS"),
        (60, "CDNSKEY"),
        (61, "OPENPGPKEY"),
        (62, "CSYNC"),
        (63, "ZONEMD"),
        (64, "SVCB"),
        (65, "HTTPS"),
        (99, "SPF"),
        (108, "EUI48"),
        (109, "EUI64"),
        (249, "TKEY"),
        (250, "TSIG"),
        (251, "IXFR"),
        (252, "AXFR"),
        (255, "ANY"),
        (256, "URI"),
        (257, "CAA"),
    ];

    /// Reads a mnemonic in either case, `TYPEn`, or a number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((number, _)) = Self::NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
        {
            return Some(Self(*number));
        }
        let has_prefix = text
            .get(..4)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("TYPE"));
        let digits = if has_prefix { text.get(4..)? } else { text };
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().map(Self)
    }
}

impl fmt::Display for QueryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.binary_search_by_key(&self.0, |&(number, _)| number) {
            Ok(at) => f.write_str(Self::NAMES[at].1),
            Err(_) => write!(f, "TYPE{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_back() {
        assert!(QueryType::NAMES.is_sorted_by_key(|&(number, _)| number));
        for number in 0..=u16::MAX {
            assert_eq!(
                QueryType::parse(&QueryType(number).to_string()),
                Some(QueryType(number))
            );
        }
        assert_eq!(QueryType::parse("aaaa"), Some(QueryType(28)));
        assert_eq!(QueryType::parse("28"), Some(QueryType(28)));
        for text in ["", "TYPE", "TYPE+1", "TYPE70000", "AAAAA"] {
            assert_eq!(QueryType::parse(text), None, "{text}");
        }
    }
}
