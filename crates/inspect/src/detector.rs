//! Decides which application a session speaks from the first bytes of either side.

use packet::IpProtocol;

use crate::{Application, signature};

/// The ports of a session, as the two sides see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The port of the side that opened the session.
    pub client: u16,
    /// The port that was called.
    pub server: u16,
}

/// What is known of a session's application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// This is it; nothing later changes it.
    Recognised(Application),
    /// More payload will tell.
    NeedMore,
    /// Enough was seen to say that it is none of those known here.
    Unknown,
}

/// Bytes kept of each direction, enough for every signature.
const PREFIX: usize = 40;
/// Payloads looked at before giving up.
const MAX_TRIES: u8 = 8;

/// The first bytes one side sent; of datagrams, those of the last.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    len: u8,
    bytes: [u8; PREFIX],
}

impl Prefix {
    const EMPTY: Self = Self {
        len: 0,
        bytes: [0; PREFIX],
    };

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn append(&mut self, bytes: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(usize::from(self.len)).zip(bytes) {
            *place = *byte;
            self.len = self.len.saturating_add(1);
        }
    }

    fn is_full(&self) -> bool {
        usize::from(self.len) == PREFIX
    }
}

/// Recognises the application of one session. Small and plain, to be kept in the session.
///
/// Feed it the first bytes of either direction of a TCP session in order, or each datagram of a UDP
/// session, until it answers something else than [`Recognition::NeedMore`].
#[derive(Clone, Copy, Debug)]
pub struct AppDetector {
    protocol: IpProtocol,
    tries: u8,
    client: Prefix,
    server: Prefix,
}

impl AppDetector {
    /// A detector for one session of this protocol.
    pub fn new(protocol: IpProtocol) -> Self {
        Self {
            protocol,
            tries: 0,
            client: Prefix::EMPTY,
            server: Prefix::EMPTY,
        }
    }

    /// Takes the next payload. An empty one tells nothing.
    pub fn feed(&mut self, ports: Ports, from_client: bool, payload: &[u8]) -> Recognition {
        if payload.is_empty() {
            return Recognition::NeedMore;
        }
        let found = match self.protocol {
            IpProtocol::UDP => self.datagram(ports, from_client, payload),
            IpProtocol::TCP => self.stream(ports, from_client, payload),
            protocol => Application::of_protocol(protocol, false),
        };
        self.tries = self.tries.saturating_add(1);
        match found {
            Some(application) => Recognition::Recognised(application),
            None if self.tries >= MAX_TRIES || self.client.is_full() && self.server.is_full() => {
                self.hopeless()
            }
            None => Recognition::NeedMore,
        }
    }

    /// Datagrams get all their tries; a stream's beginning does not change once it is there.
    fn hopeless(&self) -> Recognition {
        if self.protocol == IpProtocol::TCP || self.tries >= MAX_TRIES {
            Recognition::Unknown
        } else {
            Recognition::NeedMore
        }
    }

    fn stream(&mut self, ports: Ports, from_client: bool, payload: &[u8]) -> Option<Application> {
        let (mine, other) = if from_client {
            (&mut self.client, &self.server)
        } else {
            (&mut self.server, &self.client)
        };
        // A first segment is read where it is: a signature may look further than what is kept.
        let first = mine.len == 0;
        mine.append(payload);
        let seen = if first { payload } else { mine.as_slice() };
        signature::stream(ports, from_client, seen, other.as_slice(), mine.is_full())
    }

    fn datagram(&mut self, ports: Ports, from_client: bool, payload: &[u8]) -> Option<Application> {
        let (mine, other) = if from_client {
            (&mut self.client, &self.server)
        } else {
            (&mut self.server, &self.client)
        };
        let heard = signature::Heard {
            same: mine.as_slice(),
            other: other.as_slice(),
        };
        let found = signature::datagram(ports, heard, payload);
        *mine = Prefix::EMPTY;
        mine.append(payload);
        found
    }
}
