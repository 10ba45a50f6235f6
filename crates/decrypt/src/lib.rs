//! The forward proxy of one flow: two TCP endpoints, two TLS sides, a minted leaf, a classified failure.
//!
//! No I/O, no clock, no threads: segments and bytes go in with the time, segments and bytes come out, and what is
//! to happen later is a deadline that can be asked for.

mod authority;
mod failure;
mod flow;
pub mod tcp;
pub mod tls;
mod trust;

pub use authority::{Authority, AuthorityError, AuthorityPem, CaDescription, KeyKind};
pub use failure::{ErrorIndex, Failure, FailureClass};
pub use flow::{Ending, Flow};
pub use trust::{ChainStatus, Trust, Verdict};
