//! Queries.

use super::message::{Edns, Flags, HEADER_LEN, Header, Question, question, record, skip_question};

/// Questions read of one query. Servers answer exactly one; more than this is not DNS.
pub const MAX_QUESTIONS: u8 = 4;
/// Records behind the questions that are searched for EDNS.
const MAX_RECORDS: usize = 32;
/// The smallest record: root name, type, class, time to live, length.
pub(super) const MIN_RECORD: usize = 11;

/// A standard query, checked: every question in it is whole and has a valid name.
#[derive(Clone, Copy, Debug)]
pub struct Query<'m> {
    message: &'m [u8],
    header: Header,
    edns: Option<Edns>,
}

/// Reads a standard query (QR 0, OPCODE 0) with one to four questions; `None` for anything else.
///
/// Random bytes do not pass: the questions' names must be valid, and what the counts claim must fit into
/// the bytes there are. What follows the questions may be damaged or cut off: a server may answer such a
/// query all the same, so it must not slip past a list. Flags other than QR are not judged, for the same
/// reason.
pub fn parse_query(message: &[u8]) -> Option<Query<'_>> {
    let header = Header::parse(message)?;
    if header.flags.response()
        || header.flags.opcode() != 0
        || !(1..=u16::from(MAX_QUESTIONS)).contains(&header.questions)
    {
        return None;
    }
    let mut at = HEADER_LEN;
    for _ in 0..header.questions {
        at = skip_question(message, at)?;
    }
    // A frame cut by a snap length may have lost one record, the OPT at its end.
    let room = message.len().saturating_sub(at) / MIN_RECORD;
    if header.records() > room.saturating_add(1) {
        return None;
    }
    Some(Query {
        message,
        header,
        edns: find_edns(message, at, header.records().min(MAX_RECORDS)),
    })
}

/// The first OPT record among `count` records from `at` on.
pub(super) fn find_edns(message: &[u8], at: usize, count: usize) -> Option<Edns> {
    let mut at = at;
    for _ in 0..count {
        let record = record(message, at)?;
        if let Some(edns) = record.edns() {
            return Some(edns);
        }
        at = record.end;
    }
    None
}

impl<'m> Query<'m> {
    /// The message it was read from.
    pub fn message(&self) -> &'m [u8] {
        self.message
    }

    /// The transaction's id.
    pub fn id(&self) -> u16 {
        self.header.id
    }

    /// The flags it came with.
    pub fn flags(&self) -> Flags {
        self.header.flags
    }

    /// The header it came with.
    pub fn header(&self) -> Header {
        self.header
    }

    /// EDNS, where the client speaks it.
    pub fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// What is asked, one to four questions.
    pub fn questions(&self) -> impl Iterator<Item = Question> + Clone + use<'m> {
        questions(self.message, self.header.questions)
    }
}

/// The first `count` questions of a message whose question section was checked.
pub(super) fn questions(message: &[u8], count: u16) -> impl Iterator<Item = Question> + Clone {
    let mut at = HEADER_LEN;
    (0..count).map_while(move |_| {
        let (question, end) = question(message, at)?;
        at = end;
        Some(question)
    })
}
