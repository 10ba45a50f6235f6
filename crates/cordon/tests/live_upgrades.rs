//! TLS that begins in the middle of a session, on a live wire: after STARTTLS in mail, and inside a tunnel that a
//! proxy opened. Real clients, and servers of our own where there are no small ones.

#[expect(dead_code, reason = "other live tests use the rest")]
mod lab;
#[path = "lab/sites.rs"]
#[expect(dead_code, reason = "other live tests use the rest")]
mod sites;
#[path = "lab/visitors.rs"]
#[expect(dead_code, reason = "other live tests use the rest")]
mod visitors;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use lab::{Lab, Outcome, on, text, within};
use ports::live::Namespace;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use sites::{BANK, GOOD, Site, Sites};
use visitors::Visitors;

const CONFIG: &str = include_str!("../examples/live_decryption.toml");
const PROXY: &str = "203.0.113.90";

#[test]
fn tls_is_opened_wherever_it_begins() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    let mut lab = Lab::new(Path::new(env!("CARGO_BIN_EXE_cordon")), CONFIG, &[])?;
    let _sites = Sites::serve(&lab, &[GOOD, BANK])?;
    lab.internet.ip(&format!("address add {PROXY}/32 dev lo"))?;
    for site in [GOOD, BANK] {
        serve_mail(&lab, site)?;
    }
    serve_tunnels(&lab)?;
    lab.start()?;
    let visitors = Visitors::new(&lab, Path::new(env!("CARGO_BIN_EXE_cordon")))?;
    for (site, issuer) in [(GOOD, "cordon"), (BANK, sites::ROOT)] {
        let told = mail_by_openssl(&lab, site)?;
        assert!(told.contains("221 hello from") && told.contains(issuer), "{told}");
        let proxy = format!("http://{PROXY}:3128");
        let visit = visitors.curl(site, "trusted.pem", &["--proxy", &proxy])?;
        assert!(
            visit.page.contains("hello from") && visit.issuer.contains(issuer),
            "{visit:?}"
        );
    }
    assert!(mail_without_waiting(&lab, GOOD)?.contains("cordon"));
    for (address, app, opened) in [
        (GOOD.address, "smtp", true),
        (BANK.address, "smtp", false),
        (PROXY, "web-browsing", true),
    ] {
        within(Duration::from_secs(40), "its record", || {
            let filter = format!("(addr.dst in {address})");
            lab.ask(&["show", "logs", "traffic", &filter])
                .is_ok_and(|answer| {
                    let logs = answer["logs"].as_array().cloned().unwrap_or_default();
                    logs.iter()
                        .any(|record| record["app"] == app && record["decrypted"] == opened)
                })
        })?;
    }
    assert_eq!(lab.stop()?, Some(0));
    Ok(())
}

/// `openssl s_client` that says goodbye as soon as it may.
fn mail_by_openssl(lab: &Lab, site: Site) -> Outcome<String> {
    let script = format!(
        "(sleep 1; printf 'QUIT\\r\\n'; sleep 1) | openssl s_client -starttls smtp -connect {}:25 -servername {} \
         -CAfile {} -verify_return_error -ign_eof 2>&1",
        site.address,
        site.name,
        lab.file("trusted.pem").display()
    );
    Ok(text(&on(
        &lab.healthy,
        "timeout",
        &["10", "bash", "-c", &script],
    )?))
}

/// A client that sends its hello in one breath with the command. Returns the certificate it was shown, in which names
/// stand in plain letters.
fn mail_without_waiting(lab: &Lab, site: Site) -> Outcome<String> {
    let address = SocketAddr::new(site.address.parse::<IpAddr>()?, 25);
    let mut socket = lab.healthy.run(|| TcpStream::connect(address))??;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(lab.file("trusted.pem"))? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), ServerName::try_from(site.name)?)?;
    line(&mut socket)?;
    let mut said = b"STARTTLS\r\n".to_vec();
    while tls.wants_write() {
        tls.write_tls(&mut said)?;
    }
    socket.write_all(&said)?;
    line(&mut socket)?;
    let mut stream = StreamOwned::new(tls, socket);
    stream.write_all(b"QUIT\r\n")?;
    let answer = line(&mut stream)?;
    if !answer.starts_with("221 hello") {
        return Err(answer.into());
    }
    let shown = stream.conn.peer_certificates().and_then(|chain| chain.first());
    Ok(shown
        .map(|der| String::from_utf8_lossy(der).into_owned())
        .unwrap_or_default())
}

/// One line, and not a byte more: what follows may be TLS.
fn line(from: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        from.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// A mail server that knows STARTTLS and little else.
fn serve_mail(lab: &Lab, site: Site) -> Outcome<()> {
    let file = |ending: &str| lab.file("sites").join(format!("{}.{ending}", site.name));
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(file("pem"))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(file("key"))?;
    let config = Arc::new(
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)?,
    );
    let address = SocketAddr::new(site.address.parse::<IpAddr>()?, 25);
    let listener = lab.internet.run(|| TcpListener::bind(address))??;
    serve(listener, move |client| mail(client, &config, site.name))
}

fn mail(mut client: TcpStream, config: &Arc<ServerConfig>, name: &str) -> Outcome<()> {
    write!(client, "220 {name} ESMTP\r\n")?;
    loop {
        let command = line(&mut client)?;
        if command.starts_with("STARTTLS") {
            break;
        }
        write!(client, "250-{name}\r\n250 STARTTLS\r\n")?;
    }
    client.write_all(b"220 go on\r\n")?;
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(config))?, client);
    line(&mut stream)?;
    write!(stream, "221 hello from {name}\r\n")?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

/// A proxy that opens tunnels to the sites.
fn serve_tunnels(lab: &Lab) -> Outcome<()> {
    let address = SocketAddr::new(PROXY.parse::<IpAddr>()?, 3128);
    // A thread that is begun in a namespace stays there.
    lab.internet.run(|| serve(TcpListener::bind(address)?, tunnel))?
}

fn tunnel(mut client: TcpStream) -> Outcome<()> {
    let request = line(&mut client)?;
    while line(&mut client)? != "\r\n" {}
    let host = request.split([' ', ':']).nth(1).unwrap_or_default();
    let site = [GOOD, BANK].into_iter().find(|site| site.name == host);
    let Some(site) = site else {
        return Ok(client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")?);
    };
    let mut server = TcpStream::connect(SocketAddr::new(site.address.parse::<IpAddr>()?, 443))?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    thread::Builder::new().spawn(move || {
        // Whoever ends first ends both.
        drop(io::copy(&mut up, &mut down));
        drop(down.shutdown(std::net::Shutdown::Write));
    })?;
    io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Write)?;
    Ok(())
}

fn serve(
    listener: TcpListener,
    how: impl Fn(TcpStream) -> Outcome<()> + Clone + Send + 'static,
) -> Outcome<()> {
    thread::Builder::new().name("server".to_owned()).spawn(move || {
        for client in listener.incoming().flatten() {
            let how = how.clone();
            // One that cannot be served is not served.
            drop(thread::Builder::new().spawn(move || how(client)));
        }
    })?;
    Ok(())
}
