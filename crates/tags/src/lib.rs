//! Subjects carry tags with deadlines and causes; the packet path reads them without a lock.
//!
//! What is tagged is decided by log records, and so by whoever sends packets: every table here has
//! a bound, and a full one refuses. Readers never wait for a writer, nor for expiry, which is
//! enforced where tags are read. No I/O, no clock, no threads: `now` is passed in.

mod book;
mod carried;
mod entry;
mod hosts;
mod name;
mod networks;
mod published;
mod set;
mod stamp;
mod store;
mod subject;
mod sync;
mod table;

pub use entry::{Cause, CauseSource, Entry};
pub use name::{InvalidTagName, TagId, TagNames};
pub use set::TagSet;
pub use stamp::Stamp;
pub use store::{Context, Limit, Registration, TagLimits, TagStore};
pub use subject::{AddressRange, Addresses, InvalidSubject, Prefix, Qualifier, Subject};
