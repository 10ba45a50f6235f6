//! The parts that every DNS message has: header, questions, records (RFC 1035 §4).

use std::borrow::Cow;

use hickory_proto::rr::RecordType;
use packet::DomainName;

use super::MAX_QUESTIONS;

/// Bytes of the header; the first question follows it.
pub(crate) const HEADER_LEN: usize = 12;
/// Record types that are handled by number.
pub(crate) const TYPE_A: u16 = 1;
pub(crate) const TYPE_CNAME: u16 = 5;
pub(crate) const TYPE_AAAA: u16 = 28;
pub(crate) const TYPE_OPT: u16 = 41;
/// The Internet class.
pub(crate) const CLASS_IN: u16 = 1;

/// The second word of the header (RFC 1035 §4.1.1, RFC 4035 §3.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// QR: set on a response.
    pub fn response(self) -> bool {
        self.0 & 0x8000 != 0
    }

    /// OPCODE: 0 is a standard query.
    pub fn opcode(self) -> u8 {
        u8::try_from((self.0 >> 11) & 0x0f).unwrap_or(u8::MAX)
    }

    /// TC: the message was cut to fit.
    pub fn truncated(self) -> bool {
        self.0 & 0x0200 != 0
    }

    /// RD: recursion desired.
    pub fn recursion_desired(self) -> bool {
        self.0 & 0x0100 != 0
    }

    /// RCODE, without the extension that EDNS adds.
    pub fn rcode(self) -> u8 {
        u8::try_from(self.0 & 0x0f).unwrap_or(u8::MAX)
    }
}

/// A message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Chosen by the client, repeated by the server.
    pub id: u16,
    /// Flags, opcode and response code.
    pub flags: Flags,
    /// QDCOUNT, as claimed.
    pub questions: u16,
    /// ANCOUNT, as claimed.
    pub answers: u16,
    /// NSCOUNT, as claimed.
    pub authorities: u16,
    /// ARCOUNT, as claimed.
    pub additionals: u16,
}

impl Header {
    /// Reads the header of `message`; `None` where it is too short.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let &[i0, i1, f0, f1, q0, q1, a0, a1, n0, n1, r0, r1] = message.first_chunk::<HEADER_LEN>()?;
        Some(Self {
            id: u16::from_be_bytes([i0, i1]),
            flags: Flags(u16::from_be_bytes([f0, f1])),
            questions: u16::from_be_bytes([q0, q1]),
            answers: u16::from_be_bytes([a0, a1]),
            authorities: u16::from_be_bytes([n0, n1]),
            additionals: u16::from_be_bytes([r0, r1]),
        })
    }

    /// Whether a message with this header can be a standard query or the response to one, as far as the header tells.
    #[inline]
    pub fn is_of_standard_query(&self) -> bool {
        self.flags.opcode() == 0 && self.questions <= u16::from(MAX_QUESTIONS)
    }

    /// Records claimed behind the questions.
    pub(crate) fn records(&self) -> usize {
        usize::from(self.answers)
            .saturating_add(usize::from(self.authorities))
            .saturating_add(usize::from(self.additionals))
    }
}

/// One entry of the question section.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The name asked, in the case it was asked in.
    pub name: DomainName,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
}

/// What the OPT pseudo-record says (RFC 6891 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP payload the sender takes, in bytes.
    pub udp_size: u16,
    /// DO: DNSSEC records are wanted.
    pub dnssec_ok: bool,
}

/// A record, without its owner's labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Where the owner's name begins.
    pub(crate) owner: usize,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Where the data begins.
    pub(crate) data: usize,
    /// Behind the data.
    pub(crate) end: usize,
}

/// Checks the name at `at` and returns the offset behind it.
///
/// Pointers must go backwards and not into the header: a forged reply repeats the question's bytes under
/// a header of its own, so a name that borrows from the header would change.
pub(crate) fn skip_name(message: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut behind = None;
    let mut length_left = DomainName::MAX;
    loop {
        let length = usize::from(*message.get(at)?);
        match length & 0xc0 {
            0x00 => {
                let taken = length.saturating_add(1);
                length_left = length_left.checked_sub(taken)?;
                let end = at.saturating_add(taken);
                if length == 0 {
                    return Some(behind.unwrap_or(end));
                }
                at = end;
            }
            0xc0 => {
                let low = usize::from(*message.get(at.saturating_add(1))?);
                let target = ((length & 0x3f) << 8) | low;
                if target >= at || target < HEADER_LEN {
                    return None;
                }
                behind.get_or_insert(at.saturating_add(2));
                at = target;
            }
            _ => return None,
        }
    }
}

/// Reads the question at `at`.
pub(crate) fn question(message: &[u8], at: usize) -> Option<(Question, usize)> {
    let fixed = skip_name(message, at)?;
    let (name, _) = DomainName::from_message(message, at).ok()?;
    let &[t0, t1, c0, c1] = message.get(fixed..)?.first_chunk::<4>()?;
    let end = fixed.saturating_add(4);
    let question = Question {
        name,
        qtype: u16::from_be_bytes([t0, t1]),
        qclass: u16::from_be_bytes([c0, c1]),
    };
    Some((question, end))
}

/// Checks the question at `at` without reading its name; returns the offset behind it.
pub(crate) fn skip_question(message: &[u8], at: usize) -> Option<usize> {
    let end = skip_name(message, at)?.saturating_add(4);
    (end <= message.len()).then_some(end)
}

/// Reads the record at `at`; its owner is not checked beyond finding its end.
pub(crate) fn record(message: &[u8], at: usize) -> Option<Record> {
    let fixed = skip_owner(message, at)?;
    let &[t0, t1, c0, c1, l0, l1, l2, l3, d0, d1] = message.get(fixed..)?.first_chunk::<10>()?;
    let data = fixed.saturating_add(10);
    let end = data.saturating_add(usize::from(u16::from_be_bytes([d0, d1])));
    (end <= message.len()).then_some(Record {
        owner: at,
        rtype: u16::from_be_bytes([t0, t1]),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        data,
        end,
    })
}

/// The offset behind the name at `at`, pointers not followed.
fn skip_owner(message: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        let length = *message.get(at)?;
        match length & 0xc0 {
            0x00 => at = at.saturating_add(1).saturating_add(usize::from(length)),
            0xc0 => return Some(at.saturating_add(2)),
            _ => return None,
        }
        if length == 0 {
            return Some(at);
        }
    }
}

impl Record {
    /// What an OPT record says.
    pub(crate) fn edns(&self) -> Option<Edns> {
        (self.rtype == TYPE_OPT).then_some(Edns {
            udp_size: self.class,
            dnssec_ok: self.ttl & 0x8000 != 0,
        })
    }
}

/// The mnemonic of a record type, as in zone files; `TYPE123` where there is none (RFC 3597 §5).
pub fn record_type_name(number: u16) -> Cow<'static, str> {
    let known = RecordType::from(number);
    if !matches!(known, RecordType::Unknown(_)) {
        return Cow::Borrowed(known.into());
    }
    // Types that hickory-proto has no decoder for (IANA DNS Parameters).
    Cow::Borrowed(match number {
        11 => "WKS",
        14 => "MINFO",
        17 => "RP",
        18 => "AFSDB",
        27 => "GPOS",
        29 => "LOC",
        36 => "KX",
        42 => "APL",
        45 => "IPSECKEY",
        49 => "DHCID",
        55 => "HIP",
        63 => "ZONEMD",
        99 => "SPF",
        108 => "EUI48",
        109 => "EUI64",
        249 => "TKEY",
        253 => "MAILB",
        256 => "URI",
        _ => return Cow::Owned(format!("TYPE{number}")),
    })
}
