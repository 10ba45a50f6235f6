//! Which way a packet goes.

/// Which way a packet goes in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ClientToServer,
    ServerToClient,
}

impl Direction {
    pub(crate) fn reversed(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    /// The sender's of a pair that holds the client's first.
    pub(crate) fn pick<T>(self, [client, server]: [T; 2]) -> T {
        match self {
            Self::ClientToServer => client,
            Self::ServerToClient => server,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::ClientToServer => 0,
            Self::ServerToClient => 1,
        }
    }
}
