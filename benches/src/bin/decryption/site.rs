//! The server: HTTPS by rustls, one thread a connection, with a good and an expired certificate.

use std::{
    error::Error,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use ports::live::Namespace;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ServerConfig, ServerConnection, Stream,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::PrivateKeyDer,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Names that the server has certificates for.
pub(crate) const GOOD: &str = "www.good.example";
pub(crate) const EXPIRED: &str = "www.expired.example";
/// Who has signed them.
pub(crate) const ROOT: &str = "The Internet's Root";

/// Answers and closes.
pub(crate) const CLOSE: &str = "/close";
/// Answers, and waits for the next request.
pub(crate) const KEEP: &str = "/keep";
/// Answers, and keeps the connection until the server goes.
pub(crate) const HOLD: &str = "/hold";
/// Sends without end.
pub(crate) const BULK: &str = "/bulk";

/// How keys are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// By X25519, which all proxies speak.
    Classical,
    /// With a post-quantum part, which the others do not.
    Hybrid,
}

impl Exchange {
    pub(crate) const ALL: [Self; 2] = [Self::Classical, Self::Hybrid];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Classical => "classical",
            Self::Hybrid => "hybrid",
        }
    }

    pub(crate) fn provider(self) -> CryptoProvider {
        match self {
            Self::Classical => CryptoProvider {
                kx_groups: vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1],
                ..aws_lc_rs::default_provider()
            },
            Self::Hybrid => aws_lc_rs::default_provider(),
        }
    }
}

/// What connections that are held keep open.
type Held = Arc<Mutex<Vec<(TcpStream, ServerConnection)>>>;

/// The server as a process of its own, until this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    /// The root's certificate, as PEM.
    pub(crate) root: String,
    process: Child,
}

impl Site {
    /// Serves port 443 of all addresses in `namespace`.
    pub(crate) fn start(namespace: &Namespace, exchange: Exchange) -> Result<Self, Box<dyn Error>> {
        let own = std::env::current_exe()?;
        let mut process = namespace
            .command(&own.to_string_lossy())
            .args(["serve", exchange.name()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut root = String::new();
        let mut told = BufReader::new(process.stdout.take().ok_or("no output")?);
        while !root.ends_with("-----END CERTIFICATE-----\n") {
            if told.read_line(&mut root)? == 0 {
                return Err("the server does not start".into());
            }
        }
        Ok(Self { root, process })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Gone already: all the better.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What that process does: it says who has signed its certificates, and serves.
pub(crate) fn serve(exchange: Exchange) -> Result<(), Box<dyn Error>> {
    let provider = Arc::new(exchange.provider());
    let (root, certificates) = Certificates::new(&provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    // Each connection is to shake hands in full.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    let config = Arc::new(config);
    let listener = TcpListener::bind("0.0.0.0:443")?;
    print!("{root}");
    io::stdout().flush()?;
    let held = Held::default();
    for socket in listener.incoming() {
        let (config, held) = (Arc::clone(&config), Arc::clone(&held));
        let socket = socket?;
        // One that goes wrong is the visitor's to tell.
        thread::spawn(move || drop(attend(socket, config, &held)));
    }
    Ok(())
}

fn attend(mut socket: TcpStream, config: Arc<ServerConfig>, held: &Held) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut request = [0; 2048];
    loop {
        let mut stream = Stream::new(&mut tls, &mut socket);
        let mut length = 0;
        while !request[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut request[length..])? {
                0 => return Ok(()),
                more => length += more,
            }
        }
        let asks = |path: &str| request.starts_with(format!("GET {path} ").as_bytes());
        if asks(BULK) {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")?;
            let block = vec![0x55; 64 << 10];
            loop {
                stream.write_all(&block)?;
            }
        }
        let more = if asks(CLOSE) { "close" } else { "keep-alive" };
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: {more}\r\n\r\nok\n");
        stream.write_all(answer.as_bytes())?;
        if asks(CLOSE) {
            tls.send_close_notify();
            return tls.complete_io(&mut socket).map(drop);
        }
        if asks(HOLD) {
            held.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((socket, tls));
            return Ok(());
        }
    }
}

/// By the name asked for.
#[derive(Debug)]
struct Certificates {
    good: Arc<CertifiedKey>,
    expired: Arc<CertifiedKey>,
}

impl Certificates {
    fn new(provider: &CryptoProvider) -> Result<(String, Self), Box<dyn Error>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, ROOT);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let certify = |name: &str, until| -> Result<Arc<CertifiedKey>, Box<dyn Error>> {
            let mut params = CertificateParams::new(vec![name.to_owned()])?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_before = date_time_ymd(2024, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &issuer)?.der().clone();
            let key = provider
                .key_provider
                .load_private_key(PrivateKeyDer::try_from(key.serialize_der())?)?;
            Ok(Arc::new(CertifiedKey::new(vec![certificate], key)))
        };
        let certificates = Self {
            good: certify(GOOD, 2100)?,
            expired: certify(EXPIRED, 2025)?,
        };
        Ok((root, certificates))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let expired = hello.server_name() == Some(EXPIRED);
        Some(Arc::clone(if expired { &self.expired } else { &self.good }))
    }
}
