//! DNS messages: what a query asks, where a response leads, the sinkhole's reply, and the framing over TCP.
//!
//! Messages come from the network. The walkers here are our own because they run for every DNS packet:
//! they borrow from the message, allocate nothing, and look at each byte a bounded number of times.

mod canary;
mod ech;
mod likeness;
mod message;
mod query;
mod response;
mod sinkhole;
mod tcp;

#[cfg(test)]
mod tests;

pub use canary::{absent_reply, is_canary};
pub use ech::strip_ech;
pub use likeness::{Likeness, looks_like_dns_tcp};
pub(crate) use likeness::{first_question, looks_like_dns};
pub use message::{Edns, Flags, Header, Question, record_type_name};
pub use query::{MAX_QUESTIONS, Query, parse_query};
pub use response::{MAX_ALIASES, Response, parse_response};
pub use sinkhole::{SINKHOLE_TTL, SinkholeAnswer, sinkhole_reply, sinkhole_response};
pub use tcp::{DEFAULT_MAX_MESSAGE, TcpMessages};
