//! TLS intercepted in memory: full and resumed interceptions, and plaintext relayed, for each second of one core that
//! the proxy itself uses; by the relay alone, and by the whole engine from frame to frame. Client and server run beside
//! it, and their time is not counted.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark: it reads the clock, prints, and may stop"
)]

mod firewall;
mod frames;

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use cordon_benches::{Figure, Figures, processor_time};
use decrypt::{
    Authority, Trust,
    tls::{Facts, Leg, Passage, Proxy, Relay, State, Tap, Terms},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, RootCertStore, ServerConfig, ServerConnection,
    SideData,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::NoServerSessionStorage,
};

const NAME: &str = "www.example.org";
const HANDSHAKES: u32 = 2_000;
const BULK: usize = 1 << 30;
const READ: usize = 64 * 1024;

/// Each is measured so often, in turns.
const ROUNDS: usize = 5;

fn main() {
    let figures = Figures::of_this_run();
    let lab = Lab::new(aws_lc_rs::default_provider());
    let classical = Lab::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    });
    measure(
        &figures,
        "a core-second",
        &[
            ("TLS alone, in full, certificate from the cache", &|| {
                lab.handshakes(false)
            }),
            ("TLS alone, both legs resumed", &|| lab.handshakes(true)),
            ("frames in, frames out, in full, by X25519MLKEM768", &|| {
                frames::interceptions(&lab)
            }),
            ("frames in, frames out, in full, by X25519", &|| {
                frames::interceptions(&classical)
            }),
        ],
    );
    measure(
        &figures,
        "Gbit/s of plaintext per core",
        &[
            ("TLS alone", &|| lab.bulk()),
            ("frames of up to 64 KiB, as between virtual links", &|| {
                frames::bulk(&lab, frames::WHOLE)
            }),
            ("frames of 1,514 bytes, with checksums", &|| {
                frames::bulk(&lab, frames::SINGLE)
            }),
        ],
    );
}

fn measure(figures: &Figures, unit: &str, all: &[(&str, &dyn Fn() -> f64)]) {
    let mut rows: Vec<_> = all
        .iter()
        .map(|(what, _)| (format!("cordon, {what}"), Vec::new()))
        .collect();
    for _ in 0..ROUNDS {
        for ((_, once), (_, rounds)) in all.iter().zip(&mut rows) {
            rounds.push(once());
        }
    }
    for (what, rounds) in &rows {
        let figure = Figure::of("Interception in memory", what, unit, rounds, None);
        println!(
            "{what:<60} {:.1} {unit} ({:.1}-{:.1})",
            figure.median, figure.least, figure.most
        );
        figures.keep(&figure);
    }
}

struct Lab {
    proxy: Arc<Proxy>,
    client: ClientConfig,
    server: ServerConfig,
    now: Duration,
}

struct Through;

impl Tap for Through {
    fn opened(&mut self, _: &Facts) {}

    fn plaintext(&mut self, _: Leg, _: &[u8], _: &mut Vec<u8>, _: &mut Vec<u8>) -> Passage {
        Passage::Pass
    }
}

/// One connection, and the time that the relay took of it.
struct Run {
    relay: Relay,
    client: ClientConnection,
    server: ServerConnection,
    spent: Duration,
    wires: [Vec<u8>; 2],
}

impl Lab {
    fn new(provider: CryptoProvider) -> Self {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let root_key = KeyPair::generate().expect("a key");
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_der = root.self_signed(&root_key).expect("a root").der().clone();
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
        let leaf = leaf
            .signed_by(&key, &Issuer::new(root, root_key))
            .expect("a leaf");
        let authority = Authority::generate(now.as_secs(), "bench").expect("authorities");
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.trust_certificate_pem().as_bytes()) {
            roots.add(certificate.expect("PEM")).expect("a root");
        }
        let provider = Arc::new(provider);
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a certificate");
        let (trust, warnings) = Trust::from_ders([root_der], []);
        assert!(warnings.is_empty());
        Self {
            proxy: Arc::new(Proxy::new(authority, trust)),
            client,
            server,
            now,
        }
    }

    fn run(&self, client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Run {
        let name = ServerName::try_from(NAME).expect("a name");
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let before = processor_time();
        let relay = Relay::open(&self.proxy, Terms::default(), address, self.now);
        Run {
            relay,
            spent: processor_time().saturating_sub(before),
            client: ClientConnection::new(Arc::clone(client), name).expect("a client"),
            server: ServerConnection::new(Arc::clone(server)).expect("a server"),
            wires: [Vec::new(), Vec::new()],
        }
    }

    /// Interceptions for each second of the relay's.
    fn handshakes(&self, resumed: bool) -> f64 {
        let mut client = self.client.clone();
        let mut server = self.server.clone();
        if !resumed {
            client.resumption = Resumption::disabled();
            server.session_storage = Arc::new(NoServerSessionStorage {});
        }
        let (client, server) = (Arc::new(client), Arc::new(server));
        let mut spent = Duration::ZERO;
        for round in 0..HANDSHAKES {
            let mut run = self.run(&client, &server);
            run.until_quiet();
            assert_eq!(*run.relay.state(), State::Open);
            let facts = run.relay.facts();
            let (towards_client, towards_server) = (facts.client.expect("open"), facts.server.expect("open"));
            if round > 0 {
                assert_eq!(
                    (towards_client.resumed, towards_server.resumed),
                    (resumed, resumed)
                );
            }
            spent += run.spent;
        }
        f64::from(HANDSHAKES) / spent.as_secs_f64()
    }

    /// Gigabits for each second of the relay's.
    fn bulk(&self) -> f64 {
        let mut run = self.run(&Arc::new(self.client.clone()), &Arc::new(self.server.clone()));
        run.until_quiet();
        run.spent = Duration::ZERO;
        run.server.set_buffer_limit(None);
        let page = vec![7; 1 << 20];
        let mut got = 0;
        while got < BULK {
            run.server.writer().write_all(&page).expect("no limit");
            got += run.until_quiet();
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
        let bits = got as f64 * 8.0;
        bits / run.spent.as_secs_f64() / 1e9
    }
}

impl Run {
    /// Carries bytes until nothing moves; returns how much plaintext the client got.
    fn until_quiet(&mut self) -> usize {
        let mut got = 0;
        loop {
            let mut moved = false;
            let [from_client, from_server] = &mut self.wires;
            write(&mut self.client, from_client);
            write(&mut self.server, from_server);
            for (leg, wire) in [(Leg::Client, from_client), (Leg::Server, from_server)] {
                let mut at = 0;
                while at < wire.len() {
                    let end = wire.len().min(at + READ);
                    let before = processor_time();
                    let taken = self.relay.receive(leg, &wire[at..end], &mut Through);
                    self.spent += processor_time().saturating_sub(before);
                    if taken == 0 {
                        break;
                    }
                    at += taken;
                    moved = true;
                    moved |= read(
                        &mut self.relay,
                        Leg::Client,
                        &mut self.client,
                        &mut got,
                        &mut self.spent,
                    );
                    moved |= read(
                        &mut self.relay,
                        Leg::Server,
                        &mut self.server,
                        &mut 0,
                        &mut self.spent,
                    );
                }
                wire.drain(..at);
            }
            if !moved {
                return got;
            }
        }
    }
}

fn write<D: SideData>(peer: &mut ConnectionCommon<D>, wire: &mut Vec<u8>) {
    while peer.wants_write() {
        peer.write_tls(wire).expect("a Vec takes everything");
    }
}

fn read<D: SideData>(
    relay: &mut Relay,
    leg: Leg,
    peer: &mut ConnectionCommon<D>,
    got: &mut usize,
    spent: &mut Duration,
) -> bool {
    let mut rest = relay.outgoing(leg);
    let count = rest.len();
    let mut plaintext = [0; 16 * 1024];
    while !rest.is_empty() {
        peer.read_tls(&mut rest).expect("room");
        peer.process_new_packets().expect("TLS");
        while let Ok(count @ 1..) = peer.reader().read(&mut plaintext) {
            *got += count;
        }
    }
    let before = processor_time();
    relay.sent(leg, count);
    *spent += processor_time().saturating_sub(before);
    count > 0
}
