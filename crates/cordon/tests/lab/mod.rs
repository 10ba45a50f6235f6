//! A small network of its own in namespaces: two hosts on a switch, cordon on the cable to their gateway, and behind
//! it a resolver and a web server as the internet, IPv4 and IPv6. Everything is gone when the lab is dropped.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use ports::live::Namespace;
use serde_json::Value;

/// What tests say of a step that did not go as told.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub(crate) const INFECTED: [&str; 2] = ["192.168.1.2", "fd00:1::2"];
pub(crate) const HEALTHY: [&str; 2] = ["192.168.1.3", "fd00:1::3"];
pub(crate) const RESOLVER: [&str; 2] = ["198.51.100.53", "2001:db8:53::53"];
pub(crate) const WEB: [&str; 2] = ["203.0.113.80", "2001:db8:80::80"];

/// The network, and cordon in it once it is started.
pub(crate) struct Lab {
    pub(crate) infected: Namespace,
    pub(crate) healthy: Namespace,
    pub(crate) firewall: Namespace,
    pub(crate) internet: Namespace,
    /// Last of the namespaces: the switch's cables go to all of them.
    _switch: Namespace,
    pub(crate) folder: tempfile::TempDir,
    cordon: Option<Child>,
    servers: Vec<Child>,
    /// The binary under test.
    binary: PathBuf,
}

impl Lab {
    /// Lays the cables and starts the resolver and the web server. `config` is the guide's, or like it: with the
    /// interfaces `lan0` and `wan0`. `names` stand on its list `names.txt`.
    pub(crate) fn new(binary: &Path, config: &str, names: &[&str]) -> Outcome<Self> {
        Self::with_queues(binary, config, names, 1)
    }

    /// The same, with so many queues each way on cordon's two cables.
    pub(crate) fn with_queues(binary: &Path, config: &str, names: &[&str], queues: u32) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("cordon.toml"), config)?;
        fs::write(folder.path().join("names.txt"), names.join("\n"))?;
        let switch = Namespace::create("switch")?;
        let firewall = Namespace::create("firewall")?;
        let internet = Namespace::create("internet")?;
        switch.ip("link add lan type bridge")?;
        switch.ip("link set lan up")?;
        let plug = |port: &str, other: &Namespace, there: &str| -> Outcome<()> {
            switch.veth_with_queues(port, other, there, 1500, queues)?;
            switch.ip(&format!("link set {port} master lan"))?;
            Ok(())
        };
        plug("uplink", &firewall, "lan0")?;
        firewall.veth_with_queues("wan0", &internet, "lan0", 1500, queues)?;
        let host = |name: &str, addresses: [&str; 2]| -> Outcome<Namespace> {
            let host = Namespace::create(name)?;
            plug(name, &host, "eth0")?;
            host.ip(&format!("address add {}/24 dev eth0", addresses[0]))?;
            host.ip(&format!("address add {}/64 dev eth0 nodad", addresses[1]))?;
            host.ip("route add default via 192.168.1.1")?;
            host.ip("-6 route add default via fd00:1::1")?;
            Ok(host)
        };
        let infected = host("infected", INFECTED)?;
        let healthy = host("healthy", HEALTHY)?;
        internet.ip("address add 192.168.1.1/24 dev lan0")?;
        internet.ip("address add fd00:1::1/64 dev lan0 nodad")?;
        for [v4, v6] in [RESOLVER, WEB] {
            internet.ip(&format!("address add {v4}/32 dev lo"))?;
            internet.ip(&format!("address add {v6}/128 dev lo nodad"))?;
        }
        let mut lab = Self {
            infected,
            healthy,
            firewall,
            internet,
            _switch: switch,
            folder,
            cordon: None,
            servers: Vec::new(),
            binary: binary.to_owned(),
        };
        lab.serve_names()?;
        lab.serve_pages()?;
        Ok(lab)
    }

    /// dnsmasq as the internet's resolver: every name is the web server's.
    fn serve_names(&mut self) -> Outcome<()> {
        let mut command = self.internet.command("dnsmasq");
        command
            .args([
                "--no-daemon",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
            ])
            .args(["--pid-file=", "--user=root", "--log-facility=-"])
            .arg(format!("--listen-address={},{}", RESOLVER[0], RESOLVER[1]))
            .arg(format!("--address=/#/{}", WEB[0]))
            .arg(format!("--address=/#/{}", WEB[1]));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.servers
            .push(child.map_err(|error| format!("dnsmasq (Debian: dnsmasq-base) does not start: {error}"))?);
        Ok(())
    }

    /// A web server: `/` is a page, `/download` never ends.
    fn serve_pages(&self) -> Outcome<()> {
        for address in WEB {
            let address = SocketAddr::new(address.parse::<IpAddr>()?, 80);
            let listener = self.internet.run(|| TcpListener::bind(address))??;
            thread::Builder::new().name("web".to_owned()).spawn(move || {
                for client in listener.incoming().flatten() {
                    // One that cannot be served is not served.
                    drop(thread::Builder::new().spawn(move || serve(client)));
                }
            })?;
        }
        Ok(())
    }

    /// Starts cordon on the cable and waits until it answers.
    pub(crate) fn start(&mut self) -> Outcome<()> {
        self.start_with(&[])
    }

    /// The same, with further arguments.
    pub(crate) fn start_with(&mut self, arguments: &[&str]) -> Outcome<()> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.file("cordon.log"))?;
        let child = self
            .firewall
            .command(&self.binary.to_string_lossy())
            .arg("run")
            .arg(self.file("cordon.toml"))
            .arg("--state")
            .arg(self.file("state"))
            .arg("--socket")
            .arg(self.socket())
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.cordon = Some(child);
        within(Duration::from_secs(10), "cordon answers", || {
            self.ask(&["show", "info"]).is_ok()
        })
        .map_err(|error| format!("{error}\n{}", self.log()).into())
    }

    /// Its process, to be killed: `ip netns exec` becomes the command, so it is cordon itself.
    pub(crate) fn process(&mut self) -> Option<&mut Child> {
        self.cordon.as_mut()
    }

    /// Stops it as a service manager does, and returns how it ended.
    pub(crate) fn stop(&mut self) -> Outcome<Option<i32>> {
        let Some(mut child) = self.cordon.take() else {
            return Ok(None);
        };
        Command::new("kill").arg(child.id().to_string()).status()?;
        Ok(child.wait()?.code())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.file("cordon.sock")
    }

    /// What cordon has said to the operator.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("cordon.log")).unwrap_or_default()
    }

    /// Asks cordon by its own command line; the answer as JSON.
    pub(crate) fn ask(&self, words: &[&str]) -> Outcome<Value> {
        let output = Command::new(&self.binary)
            .args(words)
            .arg("--socket")
            .arg(self.socket())
            .arg("--json")
            .output()?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout)?);
        }
        Err(format!(
            "cordon {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )
        .into())
    }

    /// The same, as a person sees it.
    pub(crate) fn tell(&self, words: &[&str]) -> Outcome<String> {
        let output = Command::new(&self.binary)
            .args(words)
            .arg("--socket")
            .arg(self.socket())
            .output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let cordon = self.cordon.take();
        for mut child in cordon.into_iter().chain(self.servers.drain(..)) {
            // Gone already: all the better.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Runs a program on a host; its output, whatever its exit code.
pub(crate) fn on(host: &Namespace, program: &str, arguments: &[&str]) -> Outcome<Output> {
    let output = host.command(program).args(arguments).output()?;
    if output.status.code() == Some(127) || String::from_utf8_lossy(&output.stderr).contains("exec of") {
        return Err(format!("{program} is not installed").into());
    }
    Ok(output)
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a host gets the page, in two seconds at most.
pub(crate) fn browses(host: &Namespace, server: &str) -> Outcome<bool> {
    let url = if server.contains(':') {
        format!("http://[{server}]/")
    } else {
        format!("http://{server}/")
    };
    Ok(text(&on(host, "curl", &["-s", "--max-time", "2", &url])?) == PAGE)
}

/// Waits until something is so.
pub(crate) fn within(longest: Duration, what: &str, mut so: impl FnMut() -> bool) -> Outcome<()> {
    #[expect(clippy::disallowed_methods, reason = "a test waits")]
    let began = Instant::now();
    while !so() {
        if began.elapsed() > longest {
            return Err(format!("not within {longest:?}: {what}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

const PAGE: &str = "hello from the internet\n";

fn serve(mut client: TcpStream) -> io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(client.try_clone()?);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
    }
    if !request.starts_with("GET /download") {
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
            PAGE.len()
        )?;
        return client.flush();
    }
    client.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n",
    )?;
    client.set_read_timeout(Some(Duration::from_millis(1)))?;
    let block = [0x55_u8; 16 << 10];
    loop {
        client.write_all(&block)?;
        thread::sleep(Duration::from_millis(20));
        // Whoever has closed is not served for ever.
        if matches!(client.read(&mut [0; 1]), Ok(0)) {
            return Ok(());
        }
    }
}
