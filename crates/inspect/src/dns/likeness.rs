//! Is this DNS? Asked of payloads on any port, so the answer must not be yes by chance.

use packet::DomainName;

use super::message::{CLASS_IN, HEADER_LEN, Header, Question, question, skip_question};
use super::query::{MAX_QUESTIONS, MIN_RECORD};

/// Whether something is DNS over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It is not, whatever follows.
    No,
    /// It may be; more bytes will tell.
    Undecided,
    /// It is.
    Yes,
}

/// The smallest message with a question: header, root name, type, class.
pub(super) const MIN_MESSAGE: usize = HEADER_LEN + 5;

/// Whether a datagram is DNS. On DNS's own port a header that makes sense is enough; elsewhere its questions must be
/// there and valid.
pub(crate) fn looks_like_dns(payload: &[u8], own_port: bool) -> bool {
    let Some(header) = Header::parse(payload) else {
        return false;
    };
    let opcode = header.flags.opcode();
    if own_port {
        // Also notifications and updates, and errors without a question.
        return opcode <= 6 && header.questions <= u16::from(MAX_QUESTIONS);
    }
    if !plausible(&header, payload.len()) {
        return false;
    }
    let mut at = HEADER_LEN;
    for _ in 0..header.questions {
        match question(payload, at) {
            Some((question, end)) if likely(&question) => at = end,
            _ => return false,
        }
    }
    true
}

/// The first question of what may be a query or a response.
pub(crate) fn first_question(payload: &[u8]) -> Option<Question> {
    let header = Header::parse(payload)?;
    let plausible = header.questions == 1 && header.records() <= payload.len() / MIN_RECORD;
    plausible
        .then(|| question(payload, HEADER_LEN))
        .flatten()
        .map(|(question, _)| question)
}

impl Question {
    /// Whether this asks for a `NetBIOS` name: half-bytes as letters, and a type of its own (RFC 1002 §4.2.1.2).
    pub(crate) fn netbios(&self) -> bool {
        let encoded =
            self.name.labels().next().is_some_and(|label| {
                label.len() == 32 && label.iter().all(|byte| (b'A'..=b'P').contains(byte))
            });
        encoded && matches!(self.qtype, 0x20 | 0x21)
    }
}

/// Whether a question makes sense. Nobody asks for the root but in the Internet class, and no type is 0.
fn likely(question: &Question) -> bool {
    question.qtype != 0 && (question.name != DomainName::ROOT || question.qclass == CLASS_IN)
}

/// Whether counts and flags could be those of a DNS message of `length` bytes.
fn plausible(header: &Header, length: usize) -> bool {
    let questions = usize::from(header.questions);
    let room = length
        .saturating_sub(HEADER_LEN)
        .saturating_sub(questions.saturating_mul(5));
    // The reserved bit is zero (RFC 1035 §4.1.1); a query has no answers and no result.
    header.flags.opcode() == 0
        && header.flags.0 & 0x0040 == 0
        && (1..=u16::from(MAX_QUESTIONS)).contains(&header.questions)
        && header.records() <= (room / MIN_RECORD).saturating_add(1)
        && (header.flags.response() || header.answers == 0 && header.flags.rcode() == 0)
}

/// Whether the first bytes of a stream's direction are DNS over TCP, a query or a response.
///
/// `Yes` once the first message's header and questions are seen and valid.
pub fn looks_like_dns_tcp(first: &[u8]) -> Likeness {
    let Some((length, message)) = first.split_first_chunk::<2>() else {
        return Likeness::Undecided;
    };
    let length = usize::from(u16::from_be_bytes(*length));
    if length < MIN_MESSAGE {
        return Likeness::No;
    }
    let message = message.get(..length).unwrap_or(message);
    let whole = message.len() == length;
    let Some(header) = Header::parse(message) else {
        // The opcode may already tell.
        return match message.get(2) {
            Some(flags) if flags & 0x78 != 0 => Likeness::No,
            _ => Likeness::Undecided,
        };
    };
    if !plausible(&header, length) {
        return Likeness::No;
    }
    let mut at = HEADER_LEN;
    for _ in 0..header.questions {
        match skip_question(message, at) {
            Some(end) => at = end,
            None if whole || broken(message, at) => return Likeness::No,
            None => return Likeness::Undecided,
        }
    }
    Likeness::Yes
}

/// Whether the name at `at` is wrong in the bytes that are there.
fn broken(message: &[u8], at: usize) -> bool {
    let mut at = at;
    while let Some(&length) = message.get(at) {
        match length {
            1..=63 => at = at.saturating_add(1).saturating_add(usize::from(length)),
            0 | 0xc0.. => return false,
            _ => return true,
        }
        if at > HEADER_LEN.saturating_add(usize::from(MAX_QUESTIONS).saturating_mul(260)) {
            return true;
        }
    }
    false
}
