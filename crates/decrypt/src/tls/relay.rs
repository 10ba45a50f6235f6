//! One intercepted connection: what either leg sends goes in, what is to be sent to either leg comes out.

use std::{
    io::{BufRead, Write},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use rustls::{
    AlertDescription, CipherSuite, ClientConnection, ConnectionCommon, Error, IoState, ServerConnection,
    SideData, SignatureScheme,
    pki_types::CertificateDer,
    server::{Accepted, Acceptor, ClientHello},
};

use super::{
    Ciphers, ErrorIndex, Facts, Failure, FailureClass, Handshake, Leg, Passage, Proxy, State, Tap, Terms,
    hello,
    leaf::{Leaf, Likeness},
    outgoing::Outgoing,
    proxy::{MintError, Versions, Wanted},
    server_name,
    upstream::{Findings, Strictness},
};
use crate::{
    authority::KeyKind,
    failure::{Circumstances, alert_for_the_other_leg, classify},
    trust::Verdict,
};

/// Bytes that wait for a leg, from which on nothing more is taken that would add to them.
const OUTGOING: usize = 64 * 1024;
/// Plaintext that waits for the other leg's handshake.
const WAITING: usize = 16 * 1024;
/// A `ClientHello`, record headers included (rustls takes 64 KiB of a message).
const HELLO: usize = 80 * 1024;
/// What rustls keeps of buffers in an idle connection.
const IDLE_BUFFERS: usize = 4 * 1024;

/// Both TLS sides of one connection.
pub struct Relay {
    proxy: Arc<Proxy>,
    terms: Terms,
    address: IpAddr,
    client: ClientSide,
    server: Option<Box<ClientConnection>>,
    judged: Option<(Box<Leaf>, Verdict)>,
    facts: Box<Facts>,
    state: State,
    to_client: Outgoing,
    to_server: Outgoing,
    client_stream: Stream,
    server_stream: Stream,
}

/// How far the side towards the client is.
enum ClientSide {
    /// Its hello is not whole. The bytes are kept for what rustls does not tell.
    Hello(Box<Acceptor>, Vec<u8>),
    /// Its hello is held until the server has answered.
    Held(Box<Accepted>, KeyKind),
    Connected(Box<ServerConnection>),
    Gone,
}

/// What came from a leg, and what became of the way to it.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Stream {
    /// Plaintext that has not been passed on.
    waiting: usize,
    /// A `close_notify` came.
    notified: bool,
    /// No byte more will come: `close_notify`, FIN or RST.
    ended: bool,
    /// The end was passed on to the other leg.
    passed_on: bool,
    /// Nothing more is to be sent to this leg.
    finished: bool,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Relay")
            .field("state", &self.state)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// A connection to `server`, of which nothing has been received. `now` is the time since 1970: dates of
    /// certificates are held against it.
    pub fn open(proxy: &Arc<Proxy>, terms: Terms, server: IpAddr, now: Duration) -> Self {
        proxy.set_time(now);
        Self {
            proxy: Arc::clone(proxy),
            terms,
            address: server,
            client: ClientSide::Hello(Box::default(), Vec::new()),
            server: None,
            judged: None,
            facts: Box::default(),
            state: State::Handshaking,
            to_client: Outgoing::default(),
            to_server: Outgoing::default(),
            client_stream: Stream::default(),
            server_stream: Stream::default(),
        }
    }

    /// Takes bytes that came from a leg and returns how many it took: fewer than there are, or none, where there is
    /// no room towards the other leg or that leg's handshake has to come first. The rest is to be offered again
    /// after [`Relay::sent`] or when the other leg has been heard.
    pub fn receive(&mut self, leg: Leg, bytes: &[u8], tap: &mut dyn Tap) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            if self.is_over() || self.stream(leg).ended {
                return bytes.len();
            }
            let rest = bytes.get(taken..).unwrap_or_default();
            let count = match (leg, &self.client) {
                (Leg::Client, ClientSide::Hello(..)) => self.receive_hello(rest),
                (Leg::Client, ClientSide::Held(..) | ClientSide::Gone) => 0,
                (Leg::Client, ClientSide::Connected(_)) | (Leg::Server, _) => {
                    self.receive_tls(leg, rest, tap)
                }
            };
            if count == 0 {
                break;
            }
            taken += count;
        }
        taken
    }

    /// Bytes that are to be sent to a leg.
    pub fn outgoing(&self, leg: Leg) -> &[u8] {
        match leg {
            Leg::Client => self.to_client.bytes(),
            Leg::Server => self.to_server.bytes(),
        }
    }

    /// The first `count` of [`Relay::outgoing`] need not be kept any longer.
    pub fn sent(&mut self, leg: Leg, count: usize) {
        self.out(leg).sent(count);
    }

    /// The leg will say nothing more: what the tap has kept back goes on. To be called before
    /// [`Relay::end_of_stream`].
    pub fn last_words(&mut self, leg: Leg, tap: &mut dyn Tap) {
        if self.state != State::Open || self.stream(leg).ended {
            return;
        }
        let mut onward = Vec::new();
        tap.finished(leg, &mut onward);
        let (ClientSide::Connected(client), Some(server)) = (&mut self.client, &mut self.server) else {
            return;
        };
        // A writer without a limit takes everything, unless its end is closed: then nobody listens.
        let written = match leg {
            Leg::Client => server.writer().write_all(&onward),
            Leg::Server => client.writer().write_all(&onward),
        };
        drop(written);
        self.flush();
    }

    /// The leg's TCP stream ended (FIN), all its bytes having been received.
    pub fn end_of_stream(&mut self, leg: Leg) {
        if self.is_over() || self.stream(leg).ended {
            return;
        }
        if self.state == State::Open {
            let clean = self.stream(leg).notified;
            self.end(leg, clean);
        } else if leg == Leg::Server && self.server_is_connected() {
            // The client's handshake goes on: what the server sent before is for it.
            self.server_stream.ended = true;
        } else {
            let failure = if self.misses_a_certificate(leg) {
                Failure::client_certificate()
            } else {
                Failure::new(
                    FailureClass::Error,
                    leg,
                    "closed in the handshake without an alert",
                )
            };
            let failure = if self.has_been_shown_a_certificate(leg) {
                failure.refused()
            } else {
                failure
            };
            self.fail(failure, AlertDescription::InternalError, false);
        }
    }

    /// The leg's TCP connection was reset.
    pub fn was_reset(&mut self, leg: Leg) {
        if self.is_over() {
            return;
        }
        if self.state == State::Open {
            if leg == Leg::Client && self.looks_pinned() {
                self.fail_as_pinned("reset without a byte after the handshake: pinning");
            } else if self.misses_a_certificate(leg) {
                self.fail(
                    Failure::client_certificate(),
                    AlertDescription::AccessDenied,
                    true,
                );
            } else {
                self.close(State::Closed);
            }
            return;
        }
        let class = match leg {
            Leg::Client => FailureClass::ResetByClient,
            Leg::Server => FailureClass::ResetByServer,
        };
        let failure = if self.misses_a_certificate(leg) {
            Failure::client_certificate()
        } else {
            Failure::new(class, leg, "reset in the handshake")
        };
        let failure = if self.has_been_shown_a_certificate(leg) {
            failure.refused()
        } else {
            failure
        };
        self.fail(failure, AlertDescription::InternalError, true);
    }

    /// The handshake took too long: the caller's timer.
    pub fn timed_out(&mut self) {
        if self.state != State::Handshaking {
            return;
        }
        let leg = match &self.client {
            ClientSide::Held(..) => Leg::Server,
            ClientSide::Hello(..) | ClientSide::Connected(_) | ClientSide::Gone => Leg::Client,
        };
        let failure = Failure::new(FailureClass::Timeout, leg, "silent in the handshake");
        self.fail(
            failure.of(ErrorIndex::Resource),
            AlertDescription::InternalError,
            false,
        );
    }

    /// Everything is sent to the leg that will ever be: its stream is to be finished (FIN).
    pub fn wants_finish(&self, leg: Leg) -> bool {
        self.stream(leg).finished && self.outgoing(leg).is_empty()
    }

    /// Where the connection stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is known so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Bytes it holds, apart from what the [`Proxy`] shares. What rustls keeps inside is an estimate.
    pub fn memory(&self) -> usize {
        let client = match &self.client {
            ClientSide::Hello(_, bytes) => size_of::<Acceptor>() + bytes.capacity() + IDLE_BUFFERS,
            ClientSide::Held(..) => size_of::<Accepted>() + IDLE_BUFFERS,
            ClientSide::Connected(_) => size_of::<ServerConnection>() + IDLE_BUFFERS,
            ClientSide::Gone => 0,
        };
        let server = self
            .server
            .as_ref()
            .map_or(0, |_| size_of::<ClientConnection>() + IDLE_BUFFERS);
        size_of::<Self>()
            + size_of::<Facts>()
            + self.facts.memory()
            + client
            + server
            + self.to_client.capacity()
            + self.to_server.capacity()
            + self.client_stream.waiting
            + self.server_stream.waiting
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Failed(_) | State::Closed)
    }

    fn stream(&self, leg: Leg) -> &Stream {
        match leg {
            Leg::Client => &self.client_stream,
            Leg::Server => &self.server_stream,
        }
    }

    fn stream_mut(&mut self, leg: Leg) -> &mut Stream {
        match leg {
            Leg::Client => &mut self.client_stream,
            Leg::Server => &mut self.server_stream,
        }
    }

    fn out(&mut self, leg: Leg) -> &mut Outgoing {
        match leg {
            Leg::Client => &mut self.to_client,
            Leg::Server => &mut self.to_server,
        }
    }

    fn server_is_connected(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| !server.is_handshaking())
    }

    fn has_been_shown_a_certificate(&self, leg: Leg) -> bool {
        leg == Leg::Client && matches!(self.client, ClientSide::Connected(_))
    }

    // The client's hello, and the server's side that is opened for it.

    fn receive_hello(&mut self, bytes: &[u8]) -> usize {
        let ClientSide::Hello(acceptor, hello) = &mut self.client else {
            return 0;
        };
        let mut rest = bytes;
        let count = acceptor.read_tls(&mut rest).unwrap_or(0);
        hello.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if count == 0 || hello.len() > HELLO {
            let failure = Failure::new(FailureClass::Error, Leg::Client, "the ClientHello is too large");
            self.fail(failure, AlertDescription::DecodeError, false);
            return bytes.len();
        }
        let highest = hello::highest_version(hello);
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) if self.offers_enough(highest) => self.open_server_side(accepted),
            Ok(Some(_)) => self.fail_over_version(Leg::Client, "the client's highest version is too low"),
            Err((error, mut alert)) => {
                if self.offers_enough(highest) {
                    // A queue takes everything.
                    drop(alert.write_all(&mut self.to_client));
                    self.fail_by(Leg::Client, &error);
                } else {
                    // rustls complains of what such a hello lacks, not of its version.
                    self.fail_over_version(Leg::Client, "the client's highest version is too low");
                }
            }
        }
        count
    }

    fn offers_enough(&self, highest: Option<u16>) -> bool {
        let least = match Versions::between(self.terms.min_version, self.terms.max_version) {
            Some(Versions::Tls13) => 0x0304,
            Some(Versions::Both | Versions::Tls12) | None => 0x0303,
        };
        highest.is_none_or(|version| version >= least)
    }

    fn fail_over_version(&mut self, leg: Leg, error: &'static str) {
        let failure = Failure::new(FailureClass::UnsupportedParameter, leg, error).of(ErrorIndex::Version);
        self.fail(failure, AlertDescription::ProtocolVersion, false);
    }

    fn open_server_side(&mut self, accepted: Accepted) {
        let Some(versions) = Versions::between(self.terms.min_version, self.terms.max_version) else {
            self.fail_over_version(Leg::Client, "the profile allows no version that is spoken here");
            return;
        };
        let hello = accepted.client_hello();
        self.facts.sni = hello.server_name().map(str::to_owned);
        let kind = key_kind(&hello, versions, self.terms.ciphers);
        let protocols = match hello.alpn() {
            Some(protocols) if !self.terms.strip_alpn => protocols.map(<[u8]>::to_vec).collect(),
            _ => Vec::new(),
        };
        let name = server_name(self.facts.sni.as_deref(), self.address);
        let connection = self
            .proxy
            .client_config(&self.terms, versions)
            .and_then(|config| ClientConnection::new_with_alpn(config, name, protocols));
        match connection {
            Ok(mut connection) => {
                connection.set_buffer_limit(None);
                self.server = Some(Box::new(connection));
                self.client = ClientSide::Held(Box::new(accepted), kind);
                self.flush();
            }
            Err(error) => self.fail_by(Leg::Server, &error),
        }
    }

    // Records, once a leg has its TLS.

    fn receive_tls(&mut self, leg: Leg, bytes: &[u8], tap: &mut dyn Tap) -> usize {
        let has_room = self.to_client.len() < OUTGOING && self.to_server.len() < OUTGOING;
        if !has_room || self.stream(leg).waiting >= WAITING {
            return 0;
        }
        drop(Findings::take());
        let (count, result) = match (leg, &mut self.client, &mut self.server) {
            (Leg::Client, ClientSide::Connected(client), _) => feed(client, bytes),
            (Leg::Server, _, Some(server)) => feed(server, bytes),
            _ => return 0,
        };
        if leg == Leg::Server {
            self.note(Findings::take());
        }
        let state = match result {
            Ok(state) => state,
            Err(error) => {
                self.pass_on_what_waits(tap);
                if !self.is_over() {
                    self.fail_by(leg, &error);
                }
                return bytes.len();
            }
        };
        let stream = self.stream_mut(leg);
        stream.waiting = state.plaintext_bytes_to_read();
        stream.notified |= state.peer_has_closed();
        if count == 0 {
            // rustls reads nothing behind a close_notify; else a record does not fit, which it would have told.
            return if stream.notified { bytes.len() } else { 0 };
        }
        self.progress(tap);
        count
    }

    fn note(&mut self, findings: Findings) {
        self.facts.client_certificate_requested |= findings.certificate_requested;
        if let Some((leaf, verdict)) = findings.judged {
            self.facts.note_leaf(&leaf, &verdict);
            self.judged = Some((leaf, verdict));
        }
    }

    /// Does what the last bytes made possible.
    fn progress(&mut self, tap: &mut dyn Tap) {
        self.flush();
        if self.state == State::Handshaking {
            self.shake_hands(tap);
        }
        self.pass_on_what_waits(tap);
    }

    fn shake_hands(&mut self, tap: &mut dyn Tap) {
        if self.facts.client_certificate_requested && self.terms.block_client_cert {
            self.fail(
                Failure::client_certificate(),
                AlertDescription::AccessDenied,
                false,
            );
            return;
        }
        if matches!(self.client, ClientSide::Held(..)) && self.server_is_connected() {
            self.open_client_side();
        }
        let (ClientSide::Connected(client), Some(server)) = (&self.client, &self.server) else {
            return;
        };
        if client.is_handshaking() || server.is_handshaking() {
            return;
        }
        self.facts.client = Some(Handshake::of(client));
        self.judged = None;
        self.state = State::Open;
        tap.opened(&self.facts);
    }

    /// The server has answered: the client is shown its likeness.
    fn open_client_side(&mut self) {
        let Some(server) = &self.server else { return };
        self.facts.server = Some(Handshake::of(server));
        self.facts.alpn = server.alpn_protocol().map(<[u8]>::to_vec);
        let chain: Vec<CertificateDer<'static>> = server.peer_certificates().unwrap_or_default().to_vec();
        let Some(der) = chain.first() else {
            let failure = Failure::new(FailureClass::CertValidation, Leg::Server, "no certificate");
            self.fail(failure, AlertDescription::InternalError, false);
            return;
        };
        // A resumed session was judged when it was new; what was right then may not be now.
        if self.judged.is_none() && !self.judge_again(&chain) {
            return;
        }
        let Some((leaf, verdict)) = &self.judged else {
            return;
        };
        let ClientSide::Held(accepted, kind) = std::mem::replace(&mut self.client, ClientSide::Gone) else {
            return;
        };
        let address;
        let name = if let Some(name) = &self.facts.sni {
            name
        } else {
            address = self.address.to_string();
            &address
        };
        let versions =
            Versions::between(self.terms.min_version, self.terms.max_version).unwrap_or(Versions::Both);
        let wanted = Wanted {
            name,
            leaf,
            der,
            trusted: verdict.is_trusted(),
            alpn: self.facts.alpn.as_deref(),
            kind,
            versions,
            ciphers: self.terms.ciphers,
            likeness: Likeness {
                restricted: self.terms.restrict_cert_exts,
                named_by_common_name: self.terms.auto_include_altname,
            },
        };
        let config = match self.proxy.server_config(&wanted) {
            Ok(config) => config,
            Err(error) => {
                self.client = ClientSide::Held(accepted, kind);
                let text = match error {
                    MintError::Certificate(_) => "the certificate cannot be imitated",
                    MintError::Configuration(_) => "the client's side cannot be set up",
                };
                let failure = Failure::new(FailureClass::CertValidation, Leg::Server, text);
                self.fail(
                    failure.of(ErrorIndex::Certificate),
                    AlertDescription::InternalError,
                    false,
                );
                return;
            }
        };
        match accepted.into_connection(config) {
            Ok(mut connection) => {
                connection.set_buffer_limit(None);
                self.client = ClientSide::Connected(Box::new(connection));
                self.flush();
            }
            Err((error, mut alert)) => {
                drop(alert.write_all(&mut self.to_client));
                self.fail_by(Leg::Client, &error);
            }
        }
    }

    fn judge_again(&mut self, chain: &[CertificateDer<'static>]) -> bool {
        let Some((der, intermediates)) = chain.split_first() else {
            return false;
        };
        let Some(leaf) = Leaf::read(der) else {
            return false;
        };
        let name = server_name(self.facts.sni.as_deref(), self.address);
        let now = self.proxy.now();
        let verdict = self
            .proxy
            .trust()
            .judge(der, intermediates, &name, now, leaf.validity);
        let objection = Strictness::of(&self.terms).objection(&verdict);
        self.note(Findings {
            certificate_requested: false,
            judged: Some((Box::new(leaf), verdict)),
        });
        match objection {
            None => true,
            Some(error) => {
                let error = Error::InvalidCertificate(error);
                let failure = classify(Leg::Server, &error, self.circumstances());
                self.fail(failure, alert_for_the_other_leg(&error), false);
                false
            }
        }
    }

    // Plaintext.

    fn pass_on_what_waits(&mut self, tap: &mut dyn Tap) {
        for leg in [Leg::Server, Leg::Client] {
            if self.state != State::Open {
                return;
            }
            if self.stream(leg).waiting > 0 && self.pass_on(leg, tap) == Passage::Cut {
                self.tell(Leg::Client, AlertDescription::AccessDenied);
                self.tell(Leg::Server, AlertDescription::AccessDenied);
                self.close(State::Closed);
                return;
            }
            let stream = *self.stream(leg);
            if (stream.notified || stream.ended) && !stream.passed_on {
                if stream.notified && !stream.ended {
                    self.last_words(leg, tap);
                }
                self.end(leg, stream.notified);
            }
        }
    }

    fn pass_on(&mut self, leg: Leg, tap: &mut dyn Tap) -> Passage {
        let (ClientSide::Connected(client), Some(server)) = (&mut self.client, &mut self.server) else {
            return Passage::Pass;
        };
        let (count, passage) = match leg {
            Leg::Client => pump(leg, client, server, &mut self.to_server, tap),
            Leg::Server => pump(leg, server, client, &mut self.to_client, tap),
        };
        match leg {
            Leg::Client => self.facts.from_client += count,
            Leg::Server => self.facts.from_server += count,
        }
        self.stream_mut(leg).waiting = 0;
        self.flush();
        passage
    }

    // Ends.

    /// No more will come from `leg`.
    fn end(&mut self, leg: Leg, clean: bool) {
        if leg == Leg::Client && !self.server_stream.ended && self.looks_pinned() {
            self.fail_as_pinned("closed without a byte after the handshake: pinning");
            return;
        }
        if self.misses_a_certificate(leg) {
            self.fail(
                Failure::client_certificate(),
                AlertDescription::AccessDenied,
                true,
            );
            return;
        }
        let stream = self.stream_mut(leg);
        stream.ended = true;
        stream.passed_on = true;
        if clean {
            self.tell(leg.other(), AlertDescription::CloseNotify);
        }
        self.stream_mut(leg.other()).finished = true;
        if self.client_stream.ended && self.server_stream.ended {
            self.close(State::Closed);
        }
    }

    /// A client that says nothing to a server whose certificate it was shown has seen another than it knows. Where
    /// the server speaks first, silence means nothing; in HTTP it never does.
    fn looks_pinned(&self) -> bool {
        let facts = &self.facts;
        let client_speaks_first = matches!(facts.alpn.as_deref(), Some(b"h2" | b"http/1.1" | b"http/1.0"));
        let resumed = facts.client.is_some_and(|client| client.resumed);
        facts.from_client == 0 && (facts.from_server == 0 || client_speaks_first) && !resumed
    }

    /// A server that goes without an answer, having asked for a certificate and been shown none, insists on it. Only
    /// the client can show one, so only an untouched connection can.
    fn misses_a_certificate(&self, leg: Leg) -> bool {
        let facts = &self.facts;
        let was_asked = self.state == State::Handshaking || facts.from_client > 0;
        leg == Leg::Server && facts.client_certificate_requested && was_asked && facts.from_server == 0
    }

    fn fail_as_pinned(&mut self, error: &'static str) {
        let failure = Failure::new(FailureClass::Error, Leg::Client, error).of(ErrorIndex::Certificate);
        self.fail(failure.refused(), AlertDescription::CloseNotify, true);
    }

    fn circumstances(&self) -> Circumstances {
        let leaf = self.judged.as_ref().map(|(leaf, _)| leaf);
        Circumstances {
            client_certificate_requested: self.facts.client_certificate_requested,
            rsa_bits: leaf.map_or(0, |leaf| leaf.rsa_bits),
            self_signed: leaf.is_some_and(|leaf| leaf.self_signed),
        }
    }

    /// rustls reported an error on a leg, which it has told.
    fn fail_by(&mut self, leg: Leg, error: &Error) {
        let failure = classify(leg, error, self.circumstances());
        self.fail(failure, alert_for_the_other_leg(error), true);
    }

    /// Ends it all; `told` where the leg of the failure knows, or cannot be told.
    fn fail(&mut self, mut failure: Failure, alert: AlertDescription, told: bool) {
        failure.may_bypass = self.may_bypass(&failure);
        self.flush();
        if !told {
            self.tell(failure.leg, alert);
        }
        self.tell(failure.leg.other(), alert);
        self.close(State::Failed(failure));
    }

    fn may_bypass(&self, failure: &Failure) -> bool {
        match (failure.class, failure.index) {
            (FailureClass::UnsupportedParameter, ErrorIndex::Version) => {
                !self.terms.block_unsupported_version
            }
            (FailureClass::UnsupportedParameter, _) => !self.terms.block_unsupported_cipher,
            (FailureClass::CertValidation, _) if failure.leg == Leg::Server => {
                if self.facts.client_certificate_requested {
                    return !self.terms.block_client_cert;
                }
                let strictness = Strictness::of(&self.terms);
                let judged = self.judged.as_ref();
                let objected = judged
                    .and_then(|(_, verdict)| strictness.objection(verdict))
                    .is_some();
                !objected && !self.terms.block_untrusted_issuer
            }
            _ => false,
        }
    }

    /// Puts an alert into a leg's way, or a `close_notify` where rustls can say no more than that.
    fn tell(&mut self, leg: Leg, alert: AlertDescription) {
        match (leg, &mut self.client, &mut self.server) {
            (Leg::Client, ClientSide::Connected(client), _) => client.send_close_notify(),
            (Leg::Client, ClientSide::Hello(..) | ClientSide::Held(..), _) => {
                // Nothing is encrypted yet (RFC 8446 §6.2).
                self.to_client.push(&[21, 3, 3, 0, 2, 2, u8::from(alert)]);
            }
            (Leg::Client, ClientSide::Gone, _) | (Leg::Server, _, None) => {}
            (Leg::Server, _, Some(server)) => server.send_close_notify(),
        }
        self.flush();
    }

    fn close(&mut self, state: State) {
        self.state = state;
        self.client = ClientSide::Gone;
        self.server = None;
        self.judged = None;
        self.client_stream = Stream {
            finished: true,
            ..Stream::default()
        };
        self.server_stream = Stream {
            finished: true,
            ..Stream::default()
        };
    }

    /// What rustls has to send waits with what is to be sent.
    fn flush(&mut self) {
        if let ClientSide::Connected(client) = &mut self.client {
            drain(client, &mut self.to_client);
        }
        if let Some(server) = &mut self.server {
            drain(server, &mut self.to_server);
        }
    }
}

/// Gives a connection bytes and lets it work on them.
fn feed<D: SideData>(connection: &mut ConnectionCommon<D>, bytes: &[u8]) -> (usize, Result<IoState, Error>) {
    let mut rest = bytes;
    let count = connection.read_tls(&mut rest).unwrap_or(0);
    (count, connection.process_new_packets())
}

fn drain<D: SideData>(connection: &mut ConnectionCommon<D>, outgoing: &mut Outgoing) {
    while connection.wants_write() {
        if connection.write_tls(outgoing).is_err() {
            return;
        }
    }
}

/// Passes plaintext from one connection to the other; returns how much came.
fn pump<F: SideData, O: SideData>(
    leg: Leg,
    from: &mut ConnectionCommon<F>,
    onto: &mut ConnectionCommon<O>,
    outgoing: &mut Outgoing,
    tap: &mut dyn Tap,
) -> (u64, Passage) {
    let mut total = 0;
    let mut onward = Vec::new();
    let mut back = Vec::new();
    loop {
        let mut reader = from.reader();
        let Ok(bytes) = reader.fill_buf() else { break };
        if bytes.is_empty() {
            break;
        }
        let count = bytes.len();
        total += count as u64;
        let passage = tap.plaintext(leg, bytes, &mut onward, &mut back);
        // A writer without a limit takes everything.
        let written = match passage {
            Passage::Pass => onto.writer().write_all(bytes),
            Passage::Replaced => onto.writer().write_all(&onward),
            Passage::Cut => return (total, Passage::Cut),
        };
        reader.consume(count);
        if written.is_err() {
            return (total, Passage::Cut);
        }
        if !back.is_empty() && from.writer().write_all(&back).is_err() {
            return (total, Passage::Cut);
        }
        onward.clear();
        back.clear();
        drain(onto, outgoing);
    }
    (total, Passage::Pass)
}

/// The kind of leaf this client can verify.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "hundreds of suites are registered, six count"
)]
fn key_kind(hello: &ClientHello<'_>, versions: Versions, ciphers: Ciphers) -> KeyKind {
    let signs = hello
        .signature_schemes()
        .contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
    let allowed = hello
        .cipher_suites()
        .iter()
        .filter(|suite| ciphers.allow(**suite));
    let suits = allowed.into_iter().any(|suite| match suite {
        // Of 1.3, where the signature is a matter of its own.
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => versions != Versions::Tls12,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => true,
        _ => false,
    });
    if signs && suits {
        KeyKind::Ecdsa
    } else {
        KeyKind::Rsa
    }
}
