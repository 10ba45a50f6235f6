//! HTTP inside a session that was decrypted, or never encrypted: what is asked and answered, and DNS
//! messages carried in it (RFC 8484).
//!
//! Both ends chose every byte, perhaps to be misread. Framing is read strictly; what two readers could take
//! differently ends the reading, and the judge hears of it. Memory is bounded, and bodies are stepped over
//! where they lie: only heads are looked into, and copies are made only of what comes in pieces or is changed.

mod fields;
mod h1;
mod h2;
mod hpack;
mod inspector;
mod judge;
mod onward;
mod stop;

#[cfg(test)]
mod tests;

pub use inspector::{HttpInspector, HttpVersion};
pub use judge::{Departure, DnsRuling, Event, Judge, Passage, Ruling};
