//! The proxies, each in its turn between client and server: cordon on the wire, the others on a router that hands
//! them what goes to port 443.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use cordon_benches::{Cable, Firewall};
use ports::live::Namespace;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use crate::site::GOOD;

const CONFIG: &str = include_str!("decryption.toml");
/// Where a proxy on a router listens.
const PORT: u16 = 8443;
const PATIENCE: Duration = Duration::from_secs(30);

/// What is between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Between {
    /// `cordon run` with one worker.
    Cordon,
    /// With the key for all its certificates that it makes itself: RSA, 2048 bits.
    Sslsplit,
    /// With a P-256 key for all its certificates, as cordon.
    SslsplitEcdsa,
    /// `ssl_bump`, certificates cached.
    Squid,
}

pub(crate) const ALL: [Between; 4] = [
    Between::Cordon,
    Between::Sslsplit,
    Between::SslsplitEcdsa,
    Between::Squid,
];

impl Between {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Sslsplit => "sslsplit",
            Self::SslsplitEcdsa => "sslsplit, P-256",
            Self::Squid => "squid",
        }
    }

    /// Where the server is reached.
    pub(crate) fn server(self) -> SocketAddr {
        match self {
            Self::Cordon => SocketAddr::from(([10, 0, 0, 2], 443)),
            Self::Sslsplit | Self::SslsplitEcdsa | Self::Squid => SocketAddr::from(([10, 0, 2, 1], 443)),
        }
    }

    fn program(self) -> Option<&'static str> {
        match self {
            Self::Cordon => None,
            Self::Sslsplit | Self::SslsplitEcdsa => Some("sslsplit"),
            Self::Squid => Some("squid"),
        }
    }

    /// Says so where its program is missing.
    pub(crate) fn is_here(self) -> bool {
        let Some(program) = self.program() else {
            return true;
        };
        let asked = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }
}

/// A proxy that runs.
pub(crate) struct Running<'a> {
    cable: &'a Cable,
    proxy: Proxy,
    /// Its files.
    folder: tempfile::TempDir,
}

enum Proxy {
    Cordon(Firewall),
    Routed(Child),
}

impl<'a> Running<'a> {
    /// Starts it and waits until it listens. `root` is who signs the server's certificates.
    pub(crate) fn start(between: Between, cable: &'a Cable, root: &str) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let proxy = match between {
            Between::Cordon => {
                let mut firewall = Firewall::new(CONFIG, &[("root.pem", root)])?;
                firewall.start(&cable.firewall, 1)?;
                Proxy::Cordon(firewall)
            }
            Between::Sslsplit | Between::SslsplitEcdsa | Between::Squid => {
                route(&cable.firewall)?;
                let mut command = if between == Between::Squid {
                    squid(cable, folder.path(), root)?
                } else {
                    sslsplit(cable, folder.path(), between == Between::SslsplitEcdsa)?
                };
                let log = fs::File::create(folder.path().join("log"))?;
                command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
                Proxy::Routed(command.spawn()?)
            }
        };
        let running = Self { cable, proxy, folder };
        if matches!(running.proxy, Proxy::Routed(_)) {
            running.wait()?;
        }
        Ok(running)
    }

    fn wait(&self) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        let listens = || {
            ["tcp", "tcp6"].iter().any(|family| {
                let table = fs::read_to_string(format!("/proc/thread-self/net/{family}")).unwrap_or_default();
                table
                    .lines()
                    .any(|row| row.contains(&format!(":{PORT:04X} ")) && row.contains(" 0A "))
            })
        };
        while !self.cable.firewall.run(listens)? {
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(format!("the proxy does not listen\n{log}").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// cordon, where it is what runs.
    pub(crate) fn cordon(&self) -> Option<&Firewall> {
        match &self.proxy {
            Proxy::Cordon(firewall) => Some(firewall),
            Proxy::Routed(_) => None,
        }
    }

    fn process(&self) -> u32 {
        match &self.proxy {
            Proxy::Cordon(firewall) => firewall.process().unwrap_or_default(),
            Proxy::Routed(child) => child.id(),
        }
    }

    /// Processor time of the proxy and all its processes so far. What the kernel does for them in their name is in it.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks: u64 = family(self.process()).into_iter().filter_map(ticks).sum();
        // As Linux tells it to programs, on all of today's machines.
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory of the proxy and all its processes, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        family(self.process()).into_iter().filter_map(resident).sum()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Proxy::Routed(child) = &mut self.proxy {
            for process in family(child.id()) {
                // Gone already: all the better.
                drop(Command::new("kill").args(["-9", &process.to_string()]).status());
            }
            drop(child.wait());
            drop(unroute(&self.cable.firewall));
        }
    }
}

/// Addresses for the way through a router, beside those for the way through a wire.
pub(crate) fn address(cable: &Cable) -> Result<(), Box<dyn Error>> {
    cable.client.ip("addr add 10.0.1.1/24 dev c0")?;
    cable.client.ip("route add 10.0.2.0/24 via 10.0.1.254")?;
    cable.server.ip("addr add 10.0.2.1/24 dev s0")?;
    cable.server.ip("route add 10.0.1.0/24 via 10.0.2.254")?;
    Ok(())
}

fn route(firewall: &Namespace) -> Result<(), Box<dyn Error>> {
    firewall.ip("addr add 10.0.1.254/24 dev lan0")?;
    firewall.ip("addr add 10.0.2.254/24 dev wan0")?;
    firewall.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))??;
    let rules = format!(
        "table ip nat {{ chain prerouting {{ type nat hook prerouting priority dstnat; iifname lan0 tcp dport 443 redirect to :{PORT}; }}; }}"
    );
    nft(firewall, &[&rules])
}

fn unroute(firewall: &Namespace) -> Result<(), Box<dyn Error>> {
    nft(firewall, &["flush", "ruleset"])?;
    firewall.ip("addr flush dev lan0")?;
    firewall.ip("addr flush dev wan0")?;
    Ok(())
}

fn nft(namespace: &Namespace, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    if namespace.command("nft").args(arguments).status()?.success() {
        return Ok(());
    }
    Err("nft refuses the rules".into())
}

/// Writes `ca.pem`, `ca.key` and `leaf.key`.
fn authority(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "The Proxy's Root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    fs::write(folder.join("ca.pem"), params.self_signed(&key)?.pem())?;
    fs::write(folder.join("ca.key"), key.serialize_pem())?;
    fs::write(folder.join("leaf.key"), KeyPair::generate()?.serialize_pem())?;
    Ok(())
}

fn sslsplit(cable: &Cable, folder: &Path, ecdsa: bool) -> Result<Command, Box<dyn Error>> {
    authority(folder)?;
    let mut command = cable.firewall.command("sslsplit");
    command.current_dir(folder);
    command.args(["-u", "root", "-k", "ca.key", "-c", "ca.pem", "-P"]);
    if ecdsa {
        command.args(["-K", "leaf.key"]);
    }
    command.args(["ssl", "0.0.0.0", &PORT.to_string()]);
    Ok(command)
}

fn squid(cable: &Cable, folder: &Path, root: &str) -> Result<Command, Box<dyn Error>> {
    authority(folder)?;
    let path = folder.display();
    fs::write(folder.join("root.pem"), root)?;
    // It asks itself whether the name in the request is that of the address.
    fs::write(folder.join("hosts"), format!("10.0.2.1 {GOOD}\n"))?;
    let config = format!(
        "http_port 3128\n\
         https_port {PORT} intercept ssl-bump tls-cert={path}/ca.pem tls-key={path}/ca.key generate-host-certificates=on dynamic_cert_mem_cache_size=16MB\n\
         sslcrtd_program /usr/lib/squid/security_file_certgen -s {path}/certificates -M 16MB\n\
         acl hello at_step SslBump1\nssl_bump peek hello\nssl_bump bump all\n\
         tls_outgoing_options cafile={path}/root.pem\n\
         http_access allow all\ncache deny all\naccess_log none\ncache_log {path}/cache.log\n\
         pid_filename none\nhosts_file {path}/hosts\ncoredump_dir {path}\nmax_filedescriptors 65536\nshutdown_lifetime 1 second\n"
    );
    fs::write(folder.join("squid.conf"), config)?;
    // It works as a user of its own.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
    for name in ["ca.pem", "ca.key", "root.pem", "hosts", "squid.conf"] {
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o644))?;
    }
    let made = Command::new("/usr/lib/squid/security_file_certgen")
        .args(["-c", "-s"])
        .arg(folder.join("certificates"))
        .args(["-M", "16MB"])
        .stdout(Stdio::null())
        .status()?;
    let given = Command::new("chown").args(["-R", "proxy"]).arg(folder).status()?;
    if !made.success() || !given.success() {
        return Err("squid's store of certificates cannot be made".into());
    }
    let mut command = cable.firewall.command("squid");
    command.args(["-N", "-f"]).arg(folder.join("squid.conf"));
    Ok(command)
}

/// A process and all it has started.
fn family(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        at += 1;
        let tasks = fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
            .flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
    }
    all
}

/// `utime` and `stime`, and those of children that have ended.
fn ticks(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may have spaces; what follows it is the third field.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().ok())
        .sum()
}

fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let row = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    row.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()
        .map(|kilobytes| kilobytes * 1024)
}
