//! The reply that leads a client to the sinkhole instead of a listed name.

use std::net::{Ipv4Addr, Ipv6Addr};

use packet::DomainName;

use super::message::{CLASS_IN, Edns, Flags, HEADER_LEN, Question, TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_OPT};
use super::query::Query;
use super::response::Response;

/// Time to live of forged records, in seconds: short, so that a healed client soon asks again.
pub const SINKHOLE_TTL: u32 = 30;
/// The UDP payload size we say we take (the size that avoids fragments, DNS flag day 2020).
const OUR_UDP_SIZE: u16 = 1232;
/// The largest UDP reply for a client without EDNS (RFC 1035 §4.2.1).
const PLAIN_UDP_SIZE: usize = 512;

/// RCODE 3: the name does not exist.
const NXDOMAIN: u8 = 3;

/// Where clients are led.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinkholeAnswer {
    /// The answer to A.
    pub ipv4: Option<Ipv4Addr>,
    /// The answer to AAAA.
    pub ipv6: Option<Ipv6Addr>,
    /// The alias in between; without it the asked name itself carries the address.
    pub fqdn: Option<DomainName>,
}

/// Writes the reply to a query for a listed name into `out`, which is cleared first.
///
/// Same id, the question section byte for byte, QR and RA set, RD copied, EDNS answered where asked. A and
/// AAAA questions of class IN get the sinkhole's address; everything else gets NOERROR without records.
pub fn sinkhole_reply(query: &Query<'_>, answer: &SinkholeAnswer, out: &mut Vec<u8>) {
    Reply::to(query).write(query.questions(), answer, out);
}

/// Writes the reply that replaces an upstream response into `out`, which is cleared first: as
/// [`sinkhole_reply`], with id, question and RD of the response.
pub fn sinkhole_response(response: &Response<'_>, answer: &SinkholeAnswer, out: &mut Vec<u8>) {
    Reply {
        id: response.id(),
        flags: response.flags(),
        edns: response.edns(),
    }
    .write(response.questions(), answer, out);
}

/// What the reply takes over from the message it answers.
pub(super) struct Reply {
    id: u16,
    flags: Flags,
    edns: Option<Edns>,
}

impl Reply {
    /// A reply to this query.
    pub(super) fn to(query: &Query<'_>) -> Self {
        Self {
            id: query.id(),
            flags: query.flags(),
            edns: query.edns(),
        }
    }

    /// Writes a reply that says the name does not exist.
    pub(super) fn write_absent(&self, questions: impl Iterator<Item = Question> + Clone, out: &mut Vec<u8>) {
        self.write(questions, &SinkholeAnswer::default(), out);
        if let Some(flags) = out.get_mut(3) {
            *flags |= NXDOMAIN;
        }
    }

    fn write(
        &self,
        questions: impl Iterator<Item = Question> + Clone,
        answer: &SinkholeAnswer,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        // QR and RA; RD as asked; never AD: nothing here was validated.
        let flags = 0x8080 | (self.flags.0 & 0x0100);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&flags.to_be_bytes());
        out.extend_from_slice(&[0; 8]);
        let mut asked = 0_u16;
        for question in questions.clone() {
            asked = asked.saturating_add(1);
            write_question(&question, out);
        }
        let mut owner = HEADER_LEN;
        let mut answers = 0_u16;
        for question in questions {
            answers = answers.saturating_add(self.answer_one(&question, owner, answer, out));
            owner = owner
                .saturating_add(question.name.as_wire().len())
                .saturating_add(4);
        }
        let additionals = u16::from(self.edns.is_some());
        if let Some(edns) = self.edns {
            write_opt(edns, out);
        }
        let counts = [asked, answers, 0, additionals];
        if let Some(head) = out.get_mut(4..HEADER_LEN) {
            for (place, count) in head.chunks_exact_mut(2).zip(counts) {
                place.copy_from_slice(&count.to_be_bytes());
            }
        }
    }

    /// Appends the records that answer one question, whose name stands at `owner`; returns how many.
    fn answer_one(
        &self,
        question: &Question,
        owner: usize,
        answer: &SinkholeAnswer,
        out: &mut Vec<u8>,
    ) -> u16 {
        if question.qclass != CLASS_IN {
            return 0;
        }
        let (v4, v6);
        let address: &[u8] = match (question.qtype, answer.ipv4, answer.ipv6) {
            (TYPE_A, Some(address), _) => {
                v4 = address.octets();
                &v4
            }
            (TYPE_AAAA, _, Some(address)) => {
                v6 = address.octets();
                &v6
            }
            _ => return 0,
        };
        // Aliasing a name to itself would send the client in a circle.
        let alias = answer
            .fqdn
            .as_ref()
            .filter(|fqdn| **fqdn != question.name && self.fits(out.len(), fqdn.as_wire().len()));
        if let Some(fqdn) = alias {
            write_record(owner, TYPE_CNAME, fqdn.as_wire(), out);
            let target = out.len().saturating_sub(fqdn.as_wire().len());
            write_record(target, question.qtype, address, out);
            2
        } else {
            write_record(owner, question.qtype, address, out);
            1
        }
    }

    /// Whether an alias of `length` bytes and an address behind `used` bytes keep within what the client takes.
    fn fits(&self, used: usize, length: usize) -> bool {
        let limit = self.edns.map_or(PLAIN_UDP_SIZE, |edns| {
            usize::from(edns.udp_size).max(PLAIN_UDP_SIZE)
        });
        // Two records of 12 bytes, an IPv6 address and an OPT record.
        used.saturating_add(length).saturating_add(2 * 12 + 16 + 11) <= limit
    }
}

/// Appends a question as it was asked. A compressed name is written out: what its pointers led to may not
/// stand in the reply.
fn write_question(question: &Question, out: &mut Vec<u8>) {
    out.extend_from_slice(question.name.as_wire());
    out.extend_from_slice(&question.qtype.to_be_bytes());
    out.extend_from_slice(&question.qclass.to_be_bytes());
}

/// Appends a record whose owner is the name at offset `owner`.
fn write_record(owner: usize, rtype: u16, data: &[u8], out: &mut Vec<u8>) {
    // Questions and alias end far below the 16 KiB that a pointer reaches.
    let pointer = 0xc000 | u16::try_from(owner).unwrap_or(0x0c);
    let length = u16::try_from(data.len()).unwrap_or(0);
    out.extend_from_slice(&pointer.to_be_bytes());
    out.extend_from_slice(&rtype.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    out.extend_from_slice(&SINKHOLE_TTL.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(data);
}

/// Appends our OPT record; DO is copied (RFC 3225 §3).
fn write_opt(asked: Edns, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&TYPE_OPT.to_be_bytes());
    out.extend_from_slice(&OUR_UDP_SIZE.to_be_bytes());
    out.extend_from_slice(&[0, 0, if asked.dnssec_ok { 0x80 } else { 0 }, 0]);
    out.extend_from_slice(&[0, 0]);
}
