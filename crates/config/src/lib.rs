//! The document compiled into proven types, every finding at once.
//!
//! Configurations are written by administrators, lists by whoever publishes them: nothing in either may
//! panic, hang or slip through half understood. Texts come in, proven types and findings with their places
//! come out; files are read by the caller. No I/O, no clock, no threads.
#![forbid(unsafe_code)]

mod compile;
mod document;
mod finding;
mod reader;
mod source;
mod sources;
mod syntax;

pub use compile::{Compiled, DomainLists, ListSummary, Previous, Running, compile};
pub use document::{Document, ListKind, Parsed, Recurring, parse};
pub use finding::{Finding, Severity};
pub use source::Place;
pub use sources::{ExternalFile, Location, Purpose, SourceText, Sources};
