//! A client by rustls that takes any certificate and remembers who signed it.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, Stream,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::site::{GOOD, ROOT};

/// What waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that has shaken hands.
#[derive(Debug)]
pub(crate) struct Visit {
    socket: TcpStream,
    tls: ClientConnection,
    name: &'static str,
}

impl Visit {
    /// Connects and shakes hands.
    pub(crate) fn begin(config: &Arc<ClientConfig>, to: SocketAddr, name: &'static str) -> io::Result<Self> {
        let mut socket = TcpStream::connect(to)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let server = ServerName::try_from(name).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(config), server).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Self { socket, tls, name })
    }

    /// The same, where a proxy must be in between.
    pub(crate) fn through_proxy(config: &Arc<ClientConfig>, to: SocketAddr) -> io::Result<Self> {
        let visit = Self::begin(config, to, GOOD)?;
        if visit.is_closed_to_others() {
            return Err(io::Error::other(
                "the site's own certificate: nothing is decrypted",
            ));
        }
        Ok(visit)
    }

    /// Whether the site's own certificate was shown.
    pub(crate) fn is_closed_to_others(&self) -> bool {
        let chain = self.tls.peer_certificates().unwrap_or_default();
        // Names stand in a certificate in plain letters.
        let names = |der: &CertificateDer<'_>| der.windows(ROOT.len()).any(|part| part == ROOT.as_bytes());
        chain.first().is_some_and(names)
    }

    /// What both ends have agreed on.
    pub(crate) fn parameters(&self) -> String {
        let group = self
            .tls
            .negotiated_key_exchange_group()
            .map(rustls::crypto::SupportedKxGroup::name);
        format!("{:?}, {group:?}", self.tls.protocol_version())
    }

    /// Asks for something and waits for the small answer.
    pub(crate) fn ask(&mut self, path: &str) -> io::Result<()> {
        self.send(path)?;
        let mut stream = Stream::new(&mut self.tls, &mut self.socket);
        let (mut answer, mut length) = ([0; 4096], 0);
        while !answer[..length].ends_with(b"\r\n\r\nok\n") {
            match stream.read(&mut answer[length..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => length += more,
            }
        }
        Ok(())
    }

    /// Asks for something.
    pub(crate) fn send(&mut self, path: &str) -> io::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.name);
        let mut stream = Stream::new(&mut self.tls, &mut self.socket);
        stream.write_all(request.as_bytes())
    }

    /// Takes some of what comes.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::new(&mut self.tls, &mut self.socket).read(buffer)
    }

    /// Closes without having said a word, as one does who knows another certificate.
    pub(crate) fn leave(mut self) {
        self.tls.send_close_notify();
        // Gone already: all the better.
        drop(self.tls.complete_io(&mut self.socket));
    }
}

/// Shakes hands in full each time.
pub(crate) fn config(provider: &Arc<CryptoProvider>) -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(Arc::clone(provider))))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
