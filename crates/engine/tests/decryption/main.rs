//! Stories of TLS that is opened: clients, servers and the firewall in one process, on a clock of their own.
//!
//! Both ends are real: rustls over the TCP of [`decrypt::tcp`]. No frame is ever unaccounted for.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers stop it where anything is amiss"
)]

mod bypass;
mod certificates;
mod churn;
mod closed;
mod closing;
mod excluding;
mod failing;
mod firewall;
mod greeting;
mod host;
mod hostile;
mod loss;
mod names;
mod opening;
mod requests;
mod world;
