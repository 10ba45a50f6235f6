//! TLS as a third party sees it: what is offered, what is chosen, who is certified, what fails.
//!
//! Both ends may be hostile, and may be in league: nothing read here is proof of more than that it was said. Memory is
//! bounded by [`MAX_CLIENT_HELLO`] and [`MAX_CHAIN`]; a watch that has seen its handshake holds only what was learnt.

mod alert;
mod certificate;
mod client_hello;
mod failure;
mod groups;
mod records;
mod server_hello;
mod watch;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use alert::{Alert, FailureClass, Peer};
pub use certificate::{CertificateFault, LeafCertificate, MAX_CHAIN};
pub(crate) use client_hello::host_name;
pub use client_hello::{ClientHello, HelloReader, HelloSearch, MAX_CLIENT_HELLO, client_hello};
pub use failure::{TlsEnd, TlsFailure, TlsOutcome};
pub use groups::{cipher_suite_name, is_post_quantum, key_exchange_name, version_name};
pub use server_hello::ServerHello;
pub use watch::{Offer, TlsFacts, TlsPhase, TlsWatch};
