//! The forward proxy of one flow: two TCP endpoints, two TLS sides, a minted leaf, a classified failure.
//!
//! No I/O, no clock, no threads: segments and bytes go in with the time, segments and bytes come out, and what is
//! to happen later is a deadline that can be asked for.

pub mod tcp;
pub mod tls;
