//! Decides which application a session speaks from the first bytes of either side.

use packet::IpProtocol;

use crate::{Application, dns};

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

/// How HTTP/1 begins, from either side.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"PATCH ",
    b"HTTP/1.",
];

/// The first bytes one side sent.
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
            IpProtocol::UDP => datagram(ports, payload),
            IpProtocol::TCP => self.stream(ports, from_client, payload),
            protocol => Application::of_protocol(protocol, false),
        };
        self.tries = self.tries.saturating_add(1);
        match found {
            Some(application) => Recognition::Recognised(application),
            None if self.tries >= MAX_TRIES => Recognition::Unknown,
            None => Recognition::NeedMore,
        }
    }

    fn stream(&mut self, ports: Ports, from_client: bool, payload: &[u8]) -> Option<Application> {
        let prefix = if from_client {
            &mut self.client
        } else {
            &mut self.server
        };
        let first = prefix.len == 0;
        prefix.append(payload);
        let seen = if first { payload } else { prefix.as_slice() };
        if dns::looks_like_dns_tcp(seen) == dns::Likeness::Yes {
            return Some(Application::Dns);
        }
        if seen.starts_with(b"SSH-") {
            return Some(Application::Ssh);
        }
        if let [0x16, 3, 0..=4, _, _, 1 | 2, ..] = seen {
            return Some(if ports.server == 853 {
                Application::DnsOverTls
            } else {
                Application::Ssl
            });
        }
        METHODS
            .iter()
            .any(|method| seen.starts_with(method))
            .then_some(Application::WebBrowsing)
    }
}

fn datagram(ports: Ports, payload: &[u8]) -> Option<Application> {
    if ports.client == 5353 && ports.server == 5353 {
        return Some(Application::Mdns);
    }
    if ports.server == 5355 {
        return Some(Application::Llmnr);
    }
    if dns::parse_query(payload).is_some() || dns::parse_response(payload).is_some() {
        return Some(Application::Dns);
    }
    if ports.server == 123 && payload.len() >= 48 {
        return Some(Application::Ntp);
    }
    if let [0xc0..=0xff, 0, 0, 0, 1, ..] = payload {
        return Some(Application::Quic);
    }
    None
}
