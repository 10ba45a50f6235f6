//! HTTPS sites of the lab's internet: good ones and such as no proxy can open. Certificates by a root of their own;
//! nginx serves most, OpenSSL what only it can be talked into, and the lab itself what is not TLS at all.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most certificates are like any other in all but one thing"
)]

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::lab::{Lab, Outcome, on, within};

/// A site's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// As it should be, with a P-256 key.
    Good,
    /// As it should be, with an RSA key.
    Rsa,
    Expired,
    /// An issuer that nobody knows has signed it.
    UnknownIssuer,
    /// Signed with its own key, and no authority.
    SelfSigned,
    /// Signed with its own key, and an authority: what `openssl req -x509` makes.
    SelfSignedAuthority,
    /// For another name.
    OtherName,
    /// It has a common name and no other.
    CommonName,
    /// It stands on its issuer's list.
    Revoked,
    /// X.509 version 1.
    FirstVersion,
    /// Signed with SHA-1.
    Sha1,
    /// With an RSA key of 1024 bits.
    ShortKey,
    /// With a key on secp256k1.
    Koblitz,
}

/// How a site is served.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    Nginx,
    /// `openssl s_server` with these arguments.
    OpenSsl(&'static [&'static str]),
    /// Once it has heard something, it says this and closes.
    Says(&'static [u8]),
    /// Once something has come, it resets.
    Resets,
    /// It never says anything.
    Silent,
}

/// A site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) address: &'static str,
    pub(crate) certificate: Certificate,
    pub(crate) server: Server,
}

pub(crate) const fn site(
    name: &'static str,
    address: &'static str,
    certificate: Certificate,
    server: Server,
) -> Site {
    Site {
        name,
        address,
        certificate,
        server,
    }
}

const TLS10: Server = Server::OpenSsl(&["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"]);

pub(crate) const GOOD: Site = site(
    "www.good.example",
    "203.0.113.10",
    Certificate::Good,
    Server::Nginx,
);
/// Its clients know its key.
pub(crate) const PINNED: Site = site(
    "api.pinned.example",
    "203.0.113.11",
    Certificate::Good,
    Server::Nginx,
);
pub(crate) const EXPIRED: Site = site(
    "www.expired.example",
    "203.0.113.12",
    Certificate::Expired,
    Server::Nginx,
);
pub(crate) const UNKNOWN: Site = site(
    "www.unknown.example",
    "203.0.113.13",
    Certificate::UnknownIssuer,
    Server::Nginx,
);
/// It speaks TLS 1.0 and nothing else.
pub(crate) const OLD: Site = site("www.old.example", "203.0.113.14", Certificate::Good, TLS10);
pub(crate) const BANK: Site = site(
    "www.bank.example",
    "203.0.113.15",
    Certificate::Good,
    Server::Nginx,
);
pub(crate) const SITES: [Site; 6] = [GOOD, PINNED, EXPIRED, UNKNOWN, OLD, BANK];

/// Common name of the root that signs the sites' certificates.
pub(crate) const ROOT: &str = "The Internet's Root";
/// Of the certificate that is revoked.
const REVOKED: u64 = 0x00DE_AD00;

/// The sites, as long as they are served.
pub(crate) struct Sites {
    servers: Vec<Child>,
    folder: PathBuf,
}

impl Sites {
    /// Makes certificates, `root.pem` and the root's list `root.crl` in the lab's folder among them, and serves sites.
    pub(crate) fn serve(lab: &Lab, all: &[Site]) -> Outcome<Self> {
        let folder = lab.file("sites");
        fs::create_dir(&folder)?;
        let makers = Makers {
            root: authority(ROOT)?,
            unknown: authority("Nobody's Root")?,
            folder: folder.clone(),
            lab,
        };
        fs::write(lab.file("root.pem"), &makers.root.certificate)?;
        fs::write(folder.join("root.pem"), &makers.root.certificate)?;
        fs::write(folder.join("root.key"), makers.root.issuer.key().serialize_pem())?;
        fs::write(lab.file("root.crl"), revocations(&makers.root)?)?;
        let mut config = String::from(
            "daemon off; worker_processes 1; pid nginx.pid; error_log stderr;\n\
             events { worker_connections 512; }\nhttp { access_log off; keepalive_timeout 75;\n\
             client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n",
        );
        let mut sites = Self {
            servers: Vec::new(),
            folder: folder.clone(),
        };
        for &site in all {
            lab.internet
                .ip(&format!("address replace {}/32 dev lo", site.address))?;
            match site.server {
                Server::Nginx => {
                    makers.certify(site)?;
                    write!(
                        config,
                        "server {{ listen {}:443 ssl http2 fastopen=16; server_name {name};\n\
                         ssl_protocols TLSv1.2 TLSv1.3;\n\
                         ssl_certificate {name}.pem; ssl_certificate_key {name}.key;\n\
                         location / {{ default_type text/plain; return 200 \"hello from {name}\\n\"; }}\n\
                         location /files/ {{ root .; }} }}\n",
                        site.address,
                        name = site.name,
                    )?;
                }
                Server::OpenSsl(arguments) => {
                    makers.certify(site)?;
                    let server = lab
                        .internet
                        .command("openssl")
                        .args(["s_server", "-quiet", "-www"])
                        .args(arguments)
                        .args(["-accept", &format!("{}:443", site.address)])
                        .arg("-cert")
                        .arg(folder.join(format!("{}.pem", site.name)))
                        .arg("-key")
                        .arg(folder.join(format!("{}.key", site.name)))
                        .stdin(Stdio::null())
                        .stdout(Stdio::null())
                        .stderr(fs::File::create(folder.join(format!("{}.log", site.name)))?)
                        .spawn()?;
                    sites.servers.push(server);
                }
                Server::Says(_) | Server::Resets | Server::Silent => speak_plainly(lab, site)?,
            }
        }
        config.push('}');
        fs::write(folder.join("nginx.conf"), config)?;
        let log = fs::File::create(folder.join("nginx.log"))?;
        let nginx = lab
            .internet
            .command("nginx")
            .args(["-p"])
            .arg(&folder)
            .args(["-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("nginx (Debian: nginx-light) does not start: {error}"))?;
        sites.servers.push(nginx);
        for site in all {
            let address = SocketAddr::new(site.address.parse::<IpAddr>()?, 443);
            within(Duration::from_secs(10), site.name, || {
                lab.internet
                    .run(|| TcpStream::connect(address))
                    .is_ok_and(|tried| tried.is_ok())
            })
            .map_err(|error| {
                let nginx = fs::read_to_string(folder.join("nginx.log")).unwrap_or_default();
                let own = fs::read_to_string(folder.join(format!("{}.log", site.name))).unwrap_or_default();
                format!("{error}\n{nginx}{own}")
            })?;
        }
        Ok(sites)
    }

    /// curl's spelling of a site's key, for those who know it.
    pub(crate) fn pin(&self, site: Site) -> Outcome<String> {
        use base64::Engine as _;
        use rcgen::PublicKeyData as _;
        use sha2::Digest as _;
        let key = KeyPair::from_pem(&fs::read_to_string(
            self.folder.join(format!("{}.key", site.name)),
        )?)?;
        let digest = sha2::Sha256::digest(key.subject_public_key_info());
        Ok(format!(
            "sha256//{}",
            base64::engine::general_purpose::STANDARD.encode(digest)
        ))
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // Gone already: all the better. nginx takes its worker along.
            drop(
                std::process::Command::new("kill")
                    .arg(server.id().to_string())
                    .status(),
            );
            drop(server.wait());
        }
    }
}

/// Serves a site that does not speak TLS.
fn speak_plainly(lab: &Lab, site: Site) -> Outcome<()> {
    let address = SocketAddr::new(site.address.parse::<IpAddr>()?, 443);
    let listener = lab.internet.run(|| TcpListener::bind(address))??;
    thread::Builder::new().name(site.name.to_owned()).spawn(move || {
        for client in listener.incoming().flatten() {
            // One that cannot be served is not served.
            drop(thread::Builder::new().spawn(move || speak(client, site.server)));
        }
    })?;
    Ok(())
}

fn speak(mut client: TcpStream, server: Server) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_mins(1)))?;
    let mut heard = [0; 16 << 10];
    match server {
        Server::Nginx | Server::OpenSsl(_) => {}
        Server::Says(bytes) => {
            if client.read(&mut heard)? == 0 {
                return Ok(());
            }
            client.write_all(bytes)?;
            client.shutdown(std::net::Shutdown::Write)?;
            while client.read(&mut heard)? > 0 {}
        }
        Server::Resets => {
            // Linux resets a connection that is closed with bytes unread.
            client.peek(&mut heard[..1])?;
        }
        Server::Silent => while client.read(&mut heard)? > 0 {},
    }
    Ok(())
}

/// A root with its key.
struct Root {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

fn authority(name: &str) -> Outcome<Root> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Root {
        issuer: Issuer::new(params, key),
        certificate,
    })
}

fn revocations(root: &Root) -> Outcome<String> {
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2124, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(REVOKED),
            revocation_time: date_time_ymd(2024, 2, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(&root.issuer)?.pem()?)
}

/// What certificates are made with.
struct Makers<'a> {
    root: Root,
    unknown: Root,
    folder: PathBuf,
    lab: &'a Lab,
}

impl Makers<'_> {
    /// Writes `NAME.pem` and `NAME.key`.
    fn certify(&self, site: Site) -> Outcome<()> {
        let certificate = self.folder.join(format!("{}.pem", site.name));
        let key = self.folder.join(format!("{}.key", site.name));
        match site.certificate {
            Certificate::Rsa => self.by_openssl(site, &["rsa:2048"], &["-sha256"], true),
            Certificate::FirstVersion => self.by_openssl(site, &["rsa:2048"], &["-sha256"], false),
            Certificate::Sha1 => self.by_openssl(site, &["rsa:2048"], &["-sha1"], true),
            Certificate::ShortKey => self.by_openssl(site, &["rsa:1024"], &["-sha256"], true),
            Certificate::Koblitz => self.by_openssl(
                site,
                &["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
                &["-sha256"],
                true,
            ),
            _ => {
                let (pem, secret) = self.by_rcgen(site)?;
                fs::write(certificate, pem)?;
                fs::write(key, secret)?;
                Ok(())
            }
        }
    }

    fn by_rcgen(&self, site: Site) -> Outcome<(String, String)> {
        let name = match site.certificate {
            Certificate::OtherName => "www.another.example",
            _ => site.name,
        };
        let mut params = CertificateParams::new(match site.certificate {
            Certificate::CommonName => Vec::new(),
            _ => vec![name.to_owned()],
        })?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2024, 1, 1);
        match site.certificate {
            Certificate::Expired => params.not_after = date_time_ymd(2025, 1, 1),
            Certificate::Revoked => params.serial_number = Some(SerialNumber::from(REVOKED)),
            Certificate::SelfSignedAuthority => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            _ => {}
        }
        let key = KeyPair::generate()?;
        let certificate = match site.certificate {
            Certificate::SelfSigned | Certificate::SelfSignedAuthority => params.self_signed(&key)?,
            Certificate::UnknownIssuer => params.signed_by(&key, &self.unknown.issuer)?,
            _ => params.signed_by(&key, &self.root.issuer)?,
        };
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// What rcgen does not make.
    fn by_openssl(&self, site: Site, key: &[&str], digest: &[&str], extensions: bool) -> Outcome<()> {
        let file = |ending: &str| path(&self.folder.join(format!("{}.{ending}", site.name)));
        let of_root = |ending: &str| path(&self.folder.join(format!("root.{ending}")));
        let (request, secret, certificate) = (file("csr"), file("key"), file("pem"));
        let subject = format!("/CN={}", site.name);
        let name = format!("subjectAltName=DNS:{}", site.name);
        let mut asked = vec!["req", "-new", "-nodes", "-newkey"];
        asked.extend(key);
        asked.extend(["-keyout", &secret, "-out", &request, "-subj", &subject]);
        if extensions {
            asked.extend(["-addext", &name]);
        }
        let (root, root_key) = (of_root("pem"), of_root("key"));
        let mut signed = vec!["x509", "-req", "-in", &request, "-out", &certificate];
        signed.extend(["-CA", &root, "-CAkey", &root_key, "-days", "365"]);
        signed.extend(digest);
        if extensions {
            signed.extend(["-copy_extensions", "copy"]);
        }
        for arguments in [asked, signed] {
            let output = on(&self.lab.internet, "openssl", &arguments)?;
            if !output.status.success() {
                let told = String::from_utf8_lossy(&output.stderr);
                return Err(format!("openssl {}: {told}", arguments.join(" ")).into());
            }
        }
        Ok(())
    }
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
