//! The recipe of `docs/DEPLOY.md`, run as it stands there: cordon on the cable between a bridge of LAN ports and the
//! gateway's address, the kernel behind it routing, masquerading and serving DHCP.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers stop it where anything is amiss"
)]

#[expect(dead_code, reason = "the quarantine's tests use the rest")]
mod lab;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command},
    time::Duration,
};

use lab::{Outcome, on, text, within};
use packet::{
    VlanTags,
    build::{Ends, ethernet_udp},
};
use ports::live::{Interface, Namespace, Offload, OpenOptions, PacketSocket, Receiver};

const RECIPE: &str = include_str!("../../../docs/DEPLOY.md");

const CONFIG: &str = r#"
[virtual-wire.cable]
interface1 = "lan0"
interface2 = "wan0"
[zone.lan]
interfaces = ["lan0", "lan0.20"]
[zone.gateway]
interfaces = ["wan0", "wan0.20"]
[[rulebase.security.rules]]
name = "out"
from = ["lan"]
to = ["gateway"]
source = ["any"]
destination = ["any"]
application = ["any"]
service = ["any"]
action = "allow"
"#;

/// The shell block behind `<!-- recipe: NAME -->`.
fn recipe(name: &str) -> String {
    let (_, after) = RECIPE
        .split_once(&format!("<!-- recipe: {name} -->\n```sh\n"))
        .unwrap();
    after.split_once("\n```").unwrap().0.to_owned()
}

/// What is started besides cordon, and ends with the test.
struct Servers(Vec<Child>);

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The gateway of the recipe, its LAN and the internet.
struct Network {
    gateway: Namespace,
    wired: Namespace,
    trunk: Namespace,
    internet: Namespace,
    kernel_has_vlans: bool,
    folder: tempfile::TempDir,
    _servers: Servers,
}

impl Network {
    /// Runs the recipe's blocks and starts cordon.
    fn new() -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let gateway = Namespace::create("gateway")?;
        let (wired, trunk, internet) = (
            Namespace::create("wired")?,
            Namespace::create("trunk")?,
            Namespace::create("internet")?,
        );
        wired.veth("eth0", &gateway, "lan1", 1500)?;
        trunk.veth("eth0", &gateway, "lan2", 1500)?;
        internet.veth("eth0", &gateway, "wan", 1500)?;
        internet.ip("address add 203.0.113.1/24 dev eth0")?;
        gateway.ip("address add 203.0.113.2/24 dev wan")?;
        gateway.ip("route add default via 203.0.113.1")?;
        shell(&gateway, &recipe("cable"))?;
        let kernel_has_vlans = gateway.ip("link add link gw0 name probe type vlan id 9").is_ok();
        if kernel_has_vlans {
            shell(&gateway, &recipe("vlan"))?;
        } else {
            eprintln!("this kernel has no 802.1Q: tagged frames are sent by hand");
        }
        let elsewhere = format!("{}/dnsmasq", folder.path().display());
        shell(
            &gateway,
            &recipe("services").replace("/run/dnsmasq-gw0", &elsewhere),
        )?;

        fs::write(folder.path().join("cordon.toml"), CONFIG)?;
        let log = fs::File::create(folder.path().join("cordon.log"))?;
        let socket = folder.path().join("cordon.sock");
        let cordon = gateway
            .command(env!("CARGO_BIN_EXE_cordon"))
            .arg("run")
            .arg(folder.path().join("cordon.toml"))
            .arg("--state")
            .arg(folder.path().join("state"))
            .arg("--socket")
            .arg(&socket)
            .stderr(log)
            .spawn()?;
        let servers = Servers(vec![cordon]);
        let answers = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cordon"));
            let asked = command
                .args(["show", "info", "--json", "--socket"])
                .arg(&socket)
                .output();
            asked.is_ok_and(|output| output.status.success())
        };
        within(Duration::from_secs(10), "cordon answers", answers).map_err(|error| {
            let log = fs::read_to_string(folder.path().join("cordon.log")).unwrap_or_default();
            format!("{error}\n{log}")
        })?;
        Ok(Self {
            gateway,
            wired,
            trunk,
            internet,
            kernel_has_vlans,
            folder,
            _servers: servers,
        })
    }
}

fn shell(host: &Namespace, script: &str) -> Outcome<()> {
    let output = on(host, "sh", &["-euc", script])?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{script}", String::from_utf8_lossy(&output.stderr)).into())
}

fn ping(host: &Namespace, address: &str) -> Outcome<bool> {
    Ok(on(host, "ping", &["-c", "2", "-i", "0.2", "-W", "2", address])?
        .status
        .success())
}

#[test]
fn the_recipe_makes_a_gateway() -> Outcome<()> {
    if !Namespace::permitted()? {
        eprintln!("skipped: needs root");
        return Ok(());
    }
    let network = Network::new()?;
    dhcp_and_nat(&network)?;
    router_advertisements(&network)?;
    let Network { trunk, .. } = &network;
    if network.kernel_has_vlans {
        trunk.ip("link add link eth0 name eth0.20 type vlan id 20")?;
        trunk.ip("address add 192.168.20.2/24 dev eth0.20")?;
        trunk.ip("link set eth0.20 up")?;
        trunk.ip("route add default via 192.168.20.1")?;
        assert!(
            ping(trunk, "192.168.20.1")?,
            "the gateway does not answer in the VLAN"
        );
        assert!(
            ping(trunk, "203.0.113.1")?,
            "the internet does not answer the VLAN"
        );
    }
    tagged_frames_cross(trunk, &network.gateway)
}

/// A lease from the gateway's server, through the wire; then the internet answers, and has seen the gateway's
/// address only.
fn dhcp_and_nat(network: &Network) -> Outcome<()> {
    let Network {
        wired,
        internet,
        folder,
        ..
    } = network;
    let script = folder.path().join("lease.sh");
    fs::write(
        &script,
        "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip address add $ip/24 dev $interface\nip route add default via $router\n",
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let script = script.display().to_string();
    let lease = on(
        wired,
        "udhcpc",
        &[
            "-i", "eth0", "-n", "-q", "-f", "-t", "10", "-T", "1", "-s", &script,
        ],
    )?;
    assert!(
        lease.status.success(),
        "no lease: {}",
        String::from_utf8_lossy(&lease.stderr)
    );
    let addresses = text(&on(wired, "ip", &["-4", "address", "show", "dev", "eth0"])?);
    assert!(addresses.contains("inet 192.168.1.1"), "{addresses}");
    assert!(ping(wired, "203.0.113.1")?, "the internet does not answer");
    let neighbours = text(&on(internet, "ip", &["neighbour"])?);
    assert!(
        neighbours.contains("203.0.113.2") && !neighbours.contains("192.168."),
        "{neighbours}"
    );
    Ok(())
}

/// An IPv6 address by itself.
fn router_advertisements(Network { wired, .. }: &Network) -> Outcome<()> {
    on(wired, "sysctl", &["-qw", "net.ipv6.conf.eth0.accept_ra=2"])?;
    wired.ip("link set eth0 down")?;
    wired.ip("link set eth0 up")?;
    let shown = [
        "-6",
        "address",
        "show",
        "dev",
        "eth0",
        "scope",
        "global",
        "-tentative",
    ];
    within(
        Duration::from_secs(15),
        "an address by router advertisement",
        || on(wired, "ip", &shown).is_ok_and(|output| text(&output).contains("inet6 fd00:1:")),
    )?;
    assert!(ping(wired, "fd00:1::1")?, "the gateway does not answer over IPv6");
    Ok(())
}

/// A frame with a VLAN tag, sent into the trunk, arrives at the gateway's end with its tag.
fn tagged_frames_cross(trunk: &Namespace, gateway: &Namespace) -> Outcome<()> {
    let ends = Ends {
        vlans: VlanTags::single(20),
        ..Ends::new("192.168.20.2:4000".parse()?, "192.168.20.1:4000".parse()?)
    };
    let frame = ethernet_udp(&ends, b"tagged");
    let mut arrivals = gateway.run(|| {
        Receiver::open(&OpenOptions {
            outgoing: false,
            ..OpenOptions::new(&Interface::find("gw0")?)
        })
    })??;
    let mut sender = trunk
        .run(|| PacketSocket::open(&OpenOptions::new(&Interface::find("eth0")?)))??
        .tx;
    within(Duration::from_secs(5), "the tagged frame arrives", || {
        assert_eq!(sender.send(&frame, Offload::COMPLETE), Ok(()));
        sender.flush();
        std::thread::sleep(Duration::from_millis(20));
        arrivals.receive().iter().any(|arrived| arrived.bytes == frame)
    })
}
