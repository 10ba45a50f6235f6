//! Clients of the lab's sites: curl, OpenSSL's, and such as only bytes of our own can be.

use std::{
    fs,
    io::{self, Read, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use ports::live::Namespace;
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::{
    lab::{Lab, Outcome, on, text},
    sites::Site,
};

/// How a client of our own behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It says hello and listens until the end.
    Waits,
    /// It closes when it has seen the first bytes of the server, without a word.
    Leaves,
    /// It resets in the midst of its hello.
    ResetsInHello,
    /// It closes in the midst of its hello.
    ClosesInHello,
    /// The same, after more segments than are held.
    ClosesAfterManySegments,
    /// It does nothing out of the ordinary.
    Browses,
    /// Its hello comes byte by byte.
    InBytes,
    /// Its hello comes in two segments.
    InHalves,
    /// Its hello comes in many records.
    InRecords,
    /// Its hello has a post-quantum key share, which the answer must have used.
    PostQuantum,
}

/// What a client got.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) page: String,
    /// Who has signed the certificate that it saw.
    pub(crate) issuer: String,
    #[expect(dead_code, reason = "seen where a row is wrong")]
    pub(crate) error: String,
}

/// On the healthy host.
pub(crate) struct Visitors<'a> {
    lab: &'a Lab,
    folder: PathBuf,
}

impl<'a> Visitors<'a> {
    /// Writes `trusted.pem`, cordon's certificate and the internet's root, and a certificate for clients.
    pub(crate) fn new(lab: &'a Lab, binary: &Path) -> Outcome<Self> {
        let ours = Command::new(binary)
            .args(["ca", "export", "--state"])
            .arg(lab.file("state"))
            .output()?;
        if !ours.status.success() {
            return Err(String::from_utf8_lossy(&ours.stderr).into());
        }
        let mut pem = ours.stdout;
        pem.extend(fs::read(lab.file("root.pem"))?);
        fs::write(lab.file("trusted.pem"), pem)?;
        let key = rcgen::KeyPair::generate()?;
        let own = rcgen::CertificateParams::new(vec!["client".to_owned()])?.self_signed(&key)?;
        fs::write(lab.file("client.pem"), own.pem())?;
        fs::write(lab.file("client.key"), key.serialize_pem())?;
        Ok(Self {
            lab,
            folder: lab.folder.path().to_owned(),
        })
    }

    /// curl that trusts what is in a file of the lab's.
    pub(crate) fn curl(&self, site: Site, trusted: &str, extra: &[&str]) -> Outcome<Visit> {
        let resolve = format!("{}:443:{}", site.name, site.address);
        let url = format!("https://{}/", site.name);
        let output = self
            .lab
            .healthy
            .command("curl")
            .current_dir(&self.folder)
            .args([
                "-sv",
                "--max-time",
                "5",
                "--cacert",
                trusted,
                "--resolve",
                &resolve,
            ])
            .arg(&url)
            .args(extra)
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let issuer = told
            .lines()
            .find_map(|line| line.trim_start_matches("* ").trim().strip_prefix("issuer: "));
        Ok(Visit {
            page: String::from_utf8_lossy(&output.stdout).into_owned(),
            issuer: issuer.unwrap_or_default().to_owned(),
            error: errors(&told),
        })
    }

    /// `openssl s_client` that trusts the internet's root only.
    pub(crate) fn openssl(&self, site: Site) -> Outcome<Visit> {
        let script = format!(
            "(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1) | openssl s_client -connect {}:443 -servername {} \
             -CAfile {} -verify_return_error -ign_eof",
            site.address,
            site.name,
            self.lab.file("root.pem").display()
        );
        let output = on(&self.lab.healthy, "timeout", &["5", "bash", "-c", &script])?;
        let page = text(&output);
        let issuer = page.lines().find_map(|line| line.strip_prefix("issuer="));
        Ok(Visit {
            issuer: issuer.unwrap_or_default().to_owned(),
            error: errors(&String::from_utf8_lossy(&output.stderr)),
            page,
        })
    }

    /// HTTP on the port of HTTPS.
    pub(crate) fn plain(&self, site: Site) -> Outcome<String> {
        let url = format!("http://{}:443/", site.address);
        Ok(text(&on(
            &self.lab.healthy,
            "curl",
            &["-s", "--max-time", "5", &url],
        )?))
    }

    /// A client of our own.
    pub(crate) fn own(&self, site: Site, manner: Manner) -> Outcome<Visit> {
        let address = SocketAddr::new(site.address.parse::<IpAddr>()?, 443);
        let mut socket = self.lab.healthy.run(|| TcpStream::connect(address))??;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(45)))?;
        let mut tls = self.connection(site)?;
        let mut hello = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut hello)?;
        }
        let middle = hello.len() / 2;
        match manner {
            Manner::Waits => {
                socket.write_all(&hello)?;
                return Ok(heard(&mut socket));
            }
            Manner::Leaves => {
                socket.write_all(&hello)?;
                socket.read_exact(&mut [0; 6])?;
                socket.shutdown(std::net::Shutdown::Write)?;
                heard(&mut socket);
                return Ok(Visit::default());
            }
            Manner::ResetsInHello => {
                socket.write_all(&hello[..middle])?;
                thread::sleep(Duration::from_millis(100));
                rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
                return Ok(Visit::default());
            }
            Manner::ClosesInHello => {
                socket.write_all(&hello[..middle])?;
                thread::sleep(Duration::from_millis(100));
                socket.shutdown(std::net::Shutdown::Write)?;
                return Ok(heard(&mut socket));
            }
            Manner::ClosesAfterManySegments => {
                for byte in &hello[..middle] {
                    socket.write_all(&[*byte])?;
                }
                socket.shutdown(std::net::Shutdown::Write)?;
                return Ok(heard(&mut socket));
            }
            Manner::Browses => socket.write_all(&hello)?,
            Manner::InBytes => {
                for byte in &hello {
                    socket.write_all(&[*byte])?;
                }
            }
            Manner::InHalves => {
                socket.write_all(&hello[..middle])?;
                thread::sleep(Duration::from_millis(50));
                socket.write_all(&hello[middle..])?;
            }
            Manner::InRecords => {
                for fragment in hello[5..].chunks(100) {
                    let [high, low] = u16::try_from(fragment.len())?.to_be_bytes();
                    socket.write_all(&[22, 3, 1, high, low])?;
                    socket.write_all(fragment)?;
                }
            }
            Manner::PostQuantum => {
                assert!(hello.len() > 1460, "no post-quantum hello");
                socket.write_all(&hello)?;
            }
        }
        let visit = browse(&mut tls, &mut socket, site)?;
        let group = tls
            .negotiated_key_exchange_group()
            .map(rustls::crypto::SupportedKxGroup::name);
        if manner == Manner::PostQuantum && group != Some(NamedGroup::X25519MLKEM768) {
            return Err(format!("the group is {group:?}").into());
        }
        Ok(visit)
    }

    fn connection(&self, site: Site) -> Outcome<ClientConnection> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(self.lab.file("trusted.pem"))? {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(ClientConnection::new(
            Arc::new(config),
            ServerName::try_from(site.name)?,
        )?)
    }
}

fn browse(tls: &mut ClientConnection, socket: &mut TcpStream, site: Site) -> Outcome<Visit> {
    let mut stream = rustls::Stream::new(tls, socket);
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        site.name
    )?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page)?;
    let shown = tls
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|der| der.to_vec());
    Ok(Visit {
        page: String::from_utf8_lossy(&page).into_owned(),
        // The names in it stand there in plain letters.
        issuer: String::from_utf8_lossy(&shown.unwrap_or_default()).into_owned(),
        error: String::new(),
    })
}

/// All that comes, however it ends.
fn heard(socket: &mut TcpStream) -> Visit {
    let mut bytes = Vec::new();
    let ended: io::Result<usize> = socket.read_to_end(&mut bytes);
    Visit {
        page: String::from_utf8_lossy(&bytes).into_owned(),
        issuer: String::new(),
        error: ended.err().map(|error| error.to_string()).unwrap_or_default(),
    }
}

fn errors(told: &str) -> String {
    let lines = told.lines();
    let wanted =
        lines.filter(|line| line.contains("curl: (") || line.contains("alert") || line.contains("error"));
    wanted.collect::<Vec<_>>().join("; ")
}

/// One of a host's TCP counters, by the kernel's name for it.
pub(crate) fn tcp_counter(host: &Namespace, name: &str) -> Outcome<u64> {
    let all = text(&on(host, "cat", &["/proc/net/netstat"])?);
    let mut lines = all.lines().filter(|line| line.starts_with("TcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return Err("no TCP counters".into());
    };
    let column = names.split(' ').position(|column| column == name);
    let value = column.and_then(|column| values.split(' ').nth(column));
    Ok(value.ok_or("no such counter")?.parse()?)
}
