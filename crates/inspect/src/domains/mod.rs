//! Domain lists: which lists a name stands on, a million names and more.
//!
//! Lists come from outside, possibly from somebody who wants to block too much: a bad line costs that
//! line, and an entry that would cover a public suffix is refused.

mod builder;
mod entry;
mod folding;
mod groups;
mod set;
mod suffixes;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use builder::{DomainSetBuilder, ListOptions, ListReport};
pub use entry::{InvalidEntry, ListEntry, Scope};
pub use groups::ListTag;
pub use set::{DomainSet, Hit, Hits};
