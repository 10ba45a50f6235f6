//! Responses: the aliases that an answer leads through.

use std::net::IpAddr;

use packet::DomainName;

use super::message::{
    CLASS_IN, Edns, Flags, HEADER_LEN, Header, Question, Record, TYPE_A, TYPE_AAAA, TYPE_CNAME, record,
    skip_name, skip_question,
};
use super::query::{MAX_QUESTIONS, questions};

/// Aliases followed from the name asked; resolvers give up earlier.
pub const MAX_ALIASES: usize = 16;
/// CNAME records kept of one response, in whatever order they stand.
const MAX_CNAMES: usize = 32;

/// A response to a standard query.
#[derive(Clone, Copy, Debug)]
pub struct Response<'m> {
    message: &'m [u8],
    header: Header,
    questions_end: usize,
    edns: Option<Edns>,
    /// Offsets of the alias targets, in the order the chain leads through them.
    aliases: [u16; MAX_ALIASES],
    alias_count: usize,
}

/// Reads a response (QR 1, OPCODE 0) that repeats one to four questions; `None` for anything else.
///
/// Random bytes do not pass: the questions' names must be valid.
/// The chain of aliases starts at the first question. Records may stand in any order, a chain that loops
/// ends where it began, and records behind damage or a cut are not seen.
pub fn parse_response(message: &[u8]) -> Option<Response<'_>> {
    let header = Header::parse(message)?;
    if !header.flags.response() || header.flags.opcode() != 0 || header.questions > u16::from(MAX_QUESTIONS) {
        return None;
    }
    let mut at = HEADER_LEN;
    for _ in 0..header.questions {
        at = skip_question(message, at)?;
    }
    let mut response = Response {
        message,
        header,
        questions_end: at,
        edns: None,
        aliases: [0; MAX_ALIASES],
        alias_count: 0,
    };
    response.read_records();
    Some(response)
}

/// One CNAME record: where its owner and its target begin.
#[derive(Clone, Copy, Default)]
struct Cname {
    owner: usize,
    target: usize,
}

impl<'m> Response<'m> {
    fn read_records(&mut self) {
        let mut cnames = [Cname::default(); MAX_CNAMES];
        let mut count = 0_usize;
        let answers = usize::from(self.header.answers);
        for (index, record) in self.records(self.header.records()).enumerate() {
            if index < answers
                && record.rtype == TYPE_CNAME
                && let Some(slot) = cnames.get_mut(count)
            {
                *slot = Cname {
                    owner: record.owner,
                    target: record.data,
                };
                count = count.saturating_add(1);
            }
            if self.edns.is_none() {
                self.edns = record.edns();
            }
        }
        self.follow(cnames.get(..count).unwrap_or_default());
    }

    /// Follows the aliases from the first question on.
    fn follow(&mut self, cnames: &[Cname]) {
        if self.header.questions == 0 || cnames.is_empty() {
            return;
        }
        let mut current = HEADER_LEN;
        while let Some(slot) = self.aliases.get_mut(self.alias_count) {
            let message = self.message;
            let Some(next) = cnames
                .iter()
                .find(|cname| same_name(message, cname.owner, current))
                .filter(|cname| skip_name(message, cname.target).is_some())
            else {
                return;
            };
            let Ok(offset) = u16::try_from(next.target) else {
                return;
            };
            *slot = offset;
            self.alias_count = self.alias_count.saturating_add(1);
            current = next.target;
        }
    }

    /// The first `count` records behind the questions, as far as they are whole.
    fn records(&self, count: usize) -> impl Iterator<Item = Record> + use<'m> {
        let message = self.message;
        let mut at = self.questions_end;
        (0..count).map_while(move |_| {
            let record = record(message, at)?;
            at = record.end;
            Some(record)
        })
    }

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

    /// EDNS, where the server answered it.
    pub fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// What was asked: one to four questions.
    pub fn questions(&self) -> impl Iterator<Item = Question> + Clone + use<'m> {
        questions(self.message, self.header.questions)
    }

    /// The names that the asked name is an alias of, in order, at most [`MAX_ALIASES`].
    pub fn aliases(&self) -> impl Iterator<Item = DomainName> + use<'m> {
        let message = self.message;
        self.aliases
            .into_iter()
            .take(self.alias_count)
            .filter_map(move |offset| DomainName::from_message(message, usize::from(offset)).ok())
            .map(|(name, _)| name)
    }

    /// The addresses that the first question's name leads to, by aliases or without. What else the answer section
    /// tells, of names that nobody asked for, is not among them.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'m> {
        let message = self.message;
        let mut aliases = self.aliases.into_iter().take(self.alias_count);
        let owner = aliases.next_back().map_or(HEADER_LEN, usize::from);
        let answers = if self.header.questions == 0 {
            0
        } else {
            usize::from(self.header.answers)
        };
        self.records(answers)
            .filter(|record| record.class == CLASS_IN)
            .filter_map(move |record| {
                if !matches!(record.rtype, TYPE_A | TYPE_AAAA) || !same_name(message, record.owner, owner) {
                    return None;
                }
                let data = message.get(record.data..record.end)?;
                match record.rtype {
                    TYPE_A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
                    TYPE_AAAA => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
                    _ => None,
                }
            })
    }
}

/// Whether the names at two offsets are the same name. Broken names are equal to nothing.
fn same_name(message: &[u8], a: usize, b: usize) -> bool {
    let read = |at| DomainName::from_message(message, at).map(|(name, _)| name);
    match (read(a), read(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
