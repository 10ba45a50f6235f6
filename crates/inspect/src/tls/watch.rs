//! Follows both directions of a TLS connection until nothing more can be learnt.

use packet::DomainName;

use super::{
    Alert, ClientHello, LeafCertificate, MAX_CHAIN, MAX_CLIENT_HELLO, Peer, ServerHello, TlsEnd, TlsFailure,
    TlsOutcome,
    certificate::{CERTIFICATE, chain},
    client_hello::CLIENT_HELLO,
    groups,
    records::{
        ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, Fragment, HANDSHAKE, Message, Messages, Records,
        VERSION_2,
    },
    server_hello::{SERVER_HELLO, SERVER_KEY_EXCHANGE, key_exchange_group},
};

/// A TLS 1.2 server wants a certificate of the client.
const CERTIFICATE_REQUEST: u8 = 13;
/// The most of a `ServerHello` or a `ServerKeyExchange` that is kept.
const MAX_SMALL_MESSAGE: usize = 4096;
/// What TLS 1.3 adds to a record: the true content type and a tag (RFC 8446 §5.2).
const PROTECTION: u16 = 17;
/// An alert under TLS 1.3, unless it is padded.
const HIDDEN_ALERT: u16 = 2 + PROTECTION;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsPhase {
    /// The client's hello is not whole.
    #[default]
    Opening,
    /// The client's hello was read; see [`TlsFacts`].
    Greeted,
    /// The server has chosen.
    Answered,
    /// Both sides have finished the handshake, as far as can be told.
    Established,
    /// Nothing more can be learnt, and nothing failed.
    Over,
    /// It failed: see [`TlsWatch::ended`].
    Failed,
    /// What was said is not TLS, or cannot be followed (any more).
    Unreadable,
}

/// What a client offers; zeros where its hello could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The newest version.
    pub newest_version: u16,
    /// A key share of a post-quantum group.
    pub post_quantum_share: bool,
    /// A hello with an encrypted part, or one that pretends so.
    pub encrypted_hello: bool,
}

/// What was said in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The name the client asks for.
    pub server_name: Option<DomainName>,
    /// What else it offers.
    pub offer: Offer,
    /// What the server chose, once it has.
    pub server: Option<ServerHello>,
    /// The server asked for another hello first.
    pub retried: bool,
    /// The server's own certificate, where it is in the clear.
    pub certificate: Option<LeafCertificate>,
    /// The server asked for a certificate of the client; under TLS 1.3, that the client sent more than a bare
    /// `Finished`.
    pub client_certificate: bool,
}

/// Reads both directions of a TLS connection as they pass. Sans-IO; keeps only messages that are cut in pieces.
#[derive(Clone, Debug, Default)]
pub struct TlsWatch {
    client: Half,
    server: Half,
    facts: Box<TlsFacts>,
    /// The server's chain, until it is taken.
    chain: Vec<u8>,
    early_data: bool,
    failure: Option<TlsFailure>,
    phase: TlsPhase,
}

/// One direction.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what was seen of a direction comes in any combination"
)]
struct Half {
    records: Records,
    messages: Messages,
    /// An alert of which a part has arrived.
    alert: [u8; 2],
    alert_len: u8,
    /// From here on nothing is in the clear.
    encrypted: bool,
    /// Its end of the handshake is done.
    finished: bool,
    /// An alert that cannot be read was the last it sent.
    hidden_alert: bool,
    /// It sent data of its own.
    data: bool,
    /// Bytes are missing.
    blind: bool,
}

impl Half {
    fn is_lost(&self) -> bool {
        self.blind || self.records.is_broken()
    }
}

impl TlsWatch {
    /// Takes the next bytes of one direction, in order, and says how far the connection has come.
    pub fn push(&mut self, from: Peer, bytes: &[u8]) -> TlsPhase {
        if self.phase >= TlsPhase::Over || self.half(from).is_lost() {
            return self.phase;
        }
        let mut records = std::mem::take(&mut self.half(from).records);
        let mut rest = bytes;
        while let Some(fragment) = records.next(&mut rest) {
            self.fragment(from, fragment);
            if self.phase >= TlsPhase::Over {
                break;
            }
        }
        let broken = records.is_broken();
        let never = !records.has_started();
        self.half(from).records = records;
        // What does not begin as TLS is none; what ends being it can only not be followed.
        if broken && (never || from == Peer::Client && self.phase == TlsPhase::Opening) {
            self.phase = TlsPhase::Unreadable;
        }
        self.settle();
        self.phase
    }

    /// Bytes of this direction are missing: what follows cannot be understood.
    pub fn lose(&mut self, from: Peer) {
        self.half(from).blind = true;
        self.half(from).messages = Messages::default();
    }

    /// How far the connection has come.
    pub fn phase(&self) -> TlsPhase {
        self.phase
    }

    /// What was said in the clear so far.
    pub fn facts(&self) -> &TlsFacts {
        &self.facts
    }

    /// Gives away the server's chain of DER certificates, its own first; there is one once, right after
    /// [`TlsFacts::certificate`] is there.
    pub fn take_chain(&mut self) -> Vec<Vec<u8>> {
        let body = std::mem::take(&mut self.chain);
        chain(&body).map(<[u8]>::to_vec).collect()
    }

    /// What failed, if anything did, now that the connection has ended thus.
    pub fn ended(&self, end: TlsEnd) -> Option<TlsOutcome> {
        let failure = self.failure.or_else(|| self.failure_at(end))?;
        Some(TlsOutcome::of(failure, self.facts.client_certificate))
    }

    /// The failure that only the end shows.
    fn failure_at(&self, end: TlsEnd) -> Option<TlsFailure> {
        match self.phase {
            TlsPhase::Unreadable | TlsPhase::Over | TlsPhase::Failed | TlsPhase::Opening => None,
            // Where bytes of a direction are missing, that nothing was seen in it means nothing.
            TlsPhase::Greeted | TlsPhase::Answered | TlsPhase::Established
                if self.client.is_lost() || self.server.is_lost() =>
            {
                None
            }
            TlsPhase::Established => self.failure_of_established(end),
            TlsPhase::Greeted | TlsPhase::Answered => match end {
                TlsEnd::Closed(by) => Some(TlsFailure::CutShort { by }),
                // A client that goes once it has seen the certificate is one that does not like it.
                TlsEnd::Reset(Peer::Client) if self.phase == TlsPhase::Answered => {
                    Some(TlsFailure::CutShort { by: Peer::Client })
                }
                TlsEnd::Reset(by) => Some(TlsFailure::Reset { by }),
                TlsEnd::Silent => None,
            },
        }
    }

    fn failure_of_established(&self, end: TlsEnd) -> Option<TlsFailure> {
        let client_left = match end {
            TlsEnd::Closed(peer) | TlsEnd::Reset(peer) => peer == Peer::Client,
            TlsEnd::Silent => false,
        };
        if !self.client.data && (client_left || self.client.hidden_alert) {
            return Some(TlsFailure::ClosedBeforeData);
        }
        // A server that says nothing but an alert to what the client sent; an idle connection it may close.
        let asked = self.client.data || self.facts.client_certificate;
        (self.server.hidden_alert && asked).then_some(TlsFailure::HiddenAlert { from: Peer::Server })
    }

    fn half(&mut self, peer: Peer) -> &mut Half {
        match peer {
            Peer::Client => &mut self.client,
            Peer::Server => &mut self.server,
        }
    }

    /// Whether the server has chosen TLS 1.3 for good.
    fn is_version_1_3(&self) -> bool {
        self.facts
            .server
            .as_ref()
            .is_some_and(ServerHello::is_version_1_3)
    }

    fn fragment(&mut self, from: Peer, fragment: Fragment<'_>) {
        let encrypted = self.half(from).encrypted;
        match fragment.kind {
            HANDSHAKE if encrypted => {
                // Up to TLS 1.2: the first encrypted handshake message is Finished.
                self.half(from).finished = true;
            }
            HANDSHAKE => self.handshake(from, fragment.bytes),
            ALERT if encrypted && !self.is_version_1_3() => self.half(from).hidden_alert = true,
            ALERT => self.alert(from, fragment),
            // TLS 1.3 sends it only for the sake of middleboxes (RFC 8446 §D.4).
            CHANGE_CIPHER_SPEC if !self.is_version_1_3() && !self.facts.retried => {
                self.half(from).encrypted = true;
            }
            APPLICATION_DATA if fragment.first => self.protected(from, fragment.length),
            VERSION_2 if from == Peer::Client && self.phase == TlsPhase::Opening => {
                self.phase = TlsPhase::Greeted;
            }
            _ => {}
        }
    }

    fn handshake(&mut self, from: Peer, bytes: &[u8]) {
        let mut messages = std::mem::take(&mut self.half(from).messages);
        let mut rest = bytes;
        let keep = |kind| match (from, kind) {
            (Peer::Client, CLIENT_HELLO) => MAX_CLIENT_HELLO,
            (Peer::Server, SERVER_HELLO | SERVER_KEY_EXCHANGE) => MAX_SMALL_MESSAGE,
            (Peer::Server, CERTIFICATE) => MAX_CHAIN,
            _ => 0,
        };
        while let Some(message) = messages.next(&mut rest, keep) {
            self.message(from, message);
        }
        self.half(from).messages = messages;
    }

    fn message(&mut self, from: Peer, message: Message<'_>) {
        match (from, message.kind, message.body) {
            (Peer::Client, CLIENT_HELLO, body) => {
                let hello = body.and_then(ClientHello::parse);
                if self.phase == TlsPhase::Opening {
                    self.phase = TlsPhase::Greeted;
                }
                if let Some(hello) = hello {
                    self.client_hello(&hello);
                }
            }
            (Peer::Server, SERVER_HELLO, Some(body)) => {
                if let Some(hello) = ServerHello::parse(&body) {
                    self.server_hello(hello);
                }
            }
            (Peer::Server, CERTIFICATE, Some(body)) if self.facts.certificate.is_none() => {
                self.facts.certificate = chain(&body).next().and_then(LeafCertificate::parse);
                if self.facts.certificate.is_some() {
                    self.chain = body.into_owned();
                }
            }
            (Peer::Server, SERVER_KEY_EXCHANGE, Some(body)) => {
                if let Some(server) = &mut self.facts.server
                    && matches!(groups::key_exchange_name(server.cipher_suite, None), "ECDHE")
                {
                    server.group = key_exchange_group(&body);
                }
            }
            (Peer::Server, CERTIFICATE_REQUEST, _) => self.facts.client_certificate = true,
            _ => {}
        }
    }

    fn client_hello(&mut self, hello: &ClientHello<'_>) {
        self.facts.server_name = hello.server_name();
        self.facts.offer = Offer {
            newest_version: hello.newest_version(),
            post_quantum_share: hello.has_post_quantum_share(),
            encrypted_hello: hello.has_encrypted_hello(),
        };
        self.early_data |= hello.has_early_data();
    }

    fn server_hello(&mut self, hello: ServerHello) {
        if hello.is_retry {
            self.facts.retried = true;
            // What the client sent early is thrown away, and its second hello is in the clear.
            self.client.encrypted = false;
            return;
        }
        if hello.is_version_1_3() {
            self.server.encrypted = true;
            self.client.encrypted = true;
        }
        self.facts.server = Some(hello);
        if self.phase < TlsPhase::Answered {
            self.phase = TlsPhase::Answered;
        }
    }

    fn alert(&mut self, from: Peer, fragment: Fragment<'_>) {
        let half = self.half(from);
        if fragment.first {
            half.alert_len = 0;
        }
        for &byte in fragment.bytes.iter().take(2) {
            if let Some(place) = half.alert.get_mut(usize::from(half.alert_len)) {
                *place = byte;
                half.alert_len = half.alert_len.saturating_add(1);
            }
        }
        if fragment.length != 2 || half.alert_len < 2 {
            return;
        }
        let [level, description] = half.alert;
        let alert = Alert { level, description };
        if alert.is_fatal() {
            self.failure.get_or_insert(TlsFailure::Alert { from, alert });
            self.phase = TlsPhase::Failed;
        }
    }

    /// A record of the type that data has; under TLS 1.3 it may be part of the handshake, or an alert.
    fn protected(&mut self, from: Peer, length: u16) {
        if !self.is_version_1_3() {
            // Without the server's choice this is early data, or a connection met in the middle.
            self.half(from).data = true;
            return;
        }
        match from {
            Peer::Client => self.protected_by_client(length),
            Peer::Server if !self.client.finished => {
                // Nothing in a server's handshake is as short as an alert.
                if length == HIDDEN_ALERT {
                    self.failure
                        .get_or_insert(TlsFailure::HiddenAlert { from: Peer::Server });
                    self.phase = TlsPhase::Failed;
                }
            }
            Peer::Server if length == HIDDEN_ALERT && !self.server.data => self.server.hidden_alert = true,
            Peer::Server => {
                self.server.hidden_alert = false;
                self.server.data = true;
            }
        }
    }

    fn protected_by_client(&mut self, length: u16) {
        if self.early_data {
            // Early data and what follows look alike.
            self.client.finished = true;
            self.client.data = true;
            return;
        }
        if self.client.finished {
            match length {
                HIDDEN_ALERT => self.client.hidden_alert = true,
                _ => self.client.data = true,
            }
            return;
        }
        if length == HIDDEN_ALERT {
            self.failure
                .get_or_insert(TlsFailure::HiddenAlert { from: Peer::Client });
            self.phase = TlsPhase::Failed;
            return;
        }
        self.client.finished = true;
        if length != self.finished_length() {
            // A certificate, an empty one perhaps. Where its flight ends cannot be told: the rest counts as data.
            self.facts.client_certificate = true;
        }
    }

    /// The length of a record with nothing but `Finished`.
    fn finished_length(&self) -> u16 {
        let suite = self.facts.server.as_ref().map(|server| server.cipher_suite);
        let hash: u16 = if suite.is_some_and(groups::is_sha384) {
            48
        } else {
            32
        };
        hash.saturating_add(4 + PROTECTION)
    }

    /// Moves on where both directions together show more than either.
    fn settle(&mut self) {
        if self.phase == TlsPhase::Answered
            && self.client.finished
            && (self.server.finished || self.is_version_1_3())
        {
            self.phase = TlsPhase::Established;
        }
        // Once the client has sent data and the server has answered it, only closing is left. A client may send data before
        // the server has finished (False Start, RFC 7918).
        let answered = if self.is_version_1_3() {
            self.server.data
        } else {
            self.client.finished && self.server.finished
        };
        let met_in_the_middle = self.phase < TlsPhase::Answered && self.server.data;
        if self.phase < TlsPhase::Over && self.client.data && (answered || met_in_the_middle) {
            self.phase = TlsPhase::Over;
        }
        if self.phase >= TlsPhase::Over {
            self.client.messages = Messages::default();
            self.server.messages = Messages::default();
        }
    }
}
