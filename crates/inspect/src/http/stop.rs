//! Why reading ends inside a push.

use super::judge::Departure;

/// Why a push ends early.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// The session is to be cut.
    Cut,
    /// It is no longer read.
    Depart(Departure),
}

impl From<Departure> for Stop {
    fn from(departure: Departure) -> Self {
        Self::Depart(departure)
    }
}
