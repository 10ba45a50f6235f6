//! Subjects carry tags with deadlines and causes; the packet path reads them without a lock.
//!
//! What is tagged is decided by log records, and so by whoever sends packets: every table here has
//! a bound, and a full one refuses. Readers never wait for a writer, nor for expiry, which is
//! enforced where tags are read. No I/O, no clock, no threads: `now` is passed in.

mod entry;
mod name;
mod set;
mod store;
mod subject;

pub use entry::{Cause, CauseSource, Entry};
pub use name::{InvalidTagName, TagId, TagNames};
pub use set::TagSet;
pub use store::{Context, Limit, Registration, Stamp, TagLimits, TagStore};
pub use subject::{AddressRange, Addresses, InvalidSubject, Prefix, Qualifier, Subject};
