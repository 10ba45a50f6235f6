//! Understands payloads: which application a session speaks, what a DNS message asks and where its
//! answers lead, which server name a client wants, and on which domain lists a name stands.
//!
//! Every payload was chosen by the hosts on either side, possibly to be misread: lengths, counts and
//! pointers are checked against what is there, all work per payload is bounded, and what is not
//! understood is said to be unknown, never guessed. Domain lists come from outside too: a bad line costs
//! that line. No I/O, no clock, no threads; nothing here allocates per packet unless a listed name is hit
//! or a message arrives in pieces.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails, as it should"
    )
)]

mod application;
mod detector;
pub mod dns;
pub mod doh;
pub mod domains;
pub mod http;
mod server_name;
mod signature;
pub mod tls;
mod upgrade;

pub use application::Application;
pub use detector::{AppDetector, Ports, Recognition};
pub use server_name::{NameSearch, ServerNameFinder};
pub use upgrade::{AskedHost, UpgradeWatch};
