//! The cable that live benchmarks lay: client, firewall and server in network namespaces of their own, and veth
//! pairs between them with offloads as they are by default.

use std::{fs, io};

use ports::live::{Interface, Namespace, OpenOptions, PacketSocket, Receiver};

/// `c0` of the client is plugged into `lan0` of the firewall, `s0` of the server into `wan0`.
#[derive(Debug)]
pub struct Cable {
    /// Where traffic comes from, 10.0.0.1.
    pub client: Namespace,
    /// What lies between; nothing connects its two ports yet.
    pub firewall: Namespace,
    /// Where traffic goes to, 10.0.0.2.
    pub server: Namespace,
}

impl Cable {
    /// Lays it. It is gone when this is dropped.
    pub fn lay() -> io::Result<Self> {
        let cable = Self {
            client: Namespace::create("bench-client")?,
            firewall: Namespace::create("bench-firewall")?,
            server: Namespace::create("bench-server")?,
        };
        cable.client.veth("c0", &cable.firewall, "lan0", 1500)?;
        cable.firewall.veth("wan0", &cable.server, "s0", 1500)?;
        cable.client.ip("addr add 10.0.0.1/24 dev c0")?;
        cable.server.ip("addr add 10.0.0.2/24 dev s0")?;
        Ok(cable)
    }

    /// Connects the ports by the kernel's bridge while `what` runs.
    pub fn with_bridge<T>(&self, what: impl FnOnce() -> T) -> io::Result<T> {
        let ip = |arguments| self.firewall.ip(arguments);
        ip("link add br0 type bridge")?;
        ip("link set lan0 master br0")?;
        ip("link set wan0 master br0")?;
        ip("link set br0 up")?;
        // Where the bridge's frames pass the packet filter by default, it has half the speed.
        let no_filter = || fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
        // Not there where the filter for bridges is not loaded: then nothing passes it.
        drop(self.firewall.run(no_filter));
        let result = what();
        ip("link delete br0")?;
        Ok(result)
    }

    /// Frames that the server's interface has received.
    pub fn arrived(&self) -> io::Result<u64> {
        let table = self
            .server
            .run(|| fs::read_to_string("/proc/thread-self/net/dev"))??;
        let row = table.lines().find_map(|line| line.trim().strip_prefix("s0:"));
        row.and_then(|row| row.split_whitespace().nth(1)?.parse().ok())
            .ok_or_else(|| io::Error::other("s0 has no counters"))
    }
}

/// Both halves of an interface in `namespace`.
pub fn open(namespace: &Namespace, name: &str) -> io::Result<PacketSocket> {
    namespace
        .run(|| PacketSocket::open(&OpenOptions::new(&Interface::find(name)?)))?
        .map_err(io::Error::other)
}

/// A tap of an interface in `namespace` with this many slots: it sees what comes and what leaves.
pub fn tap(namespace: &Namespace, name: &str, slots: u32) -> io::Result<Receiver> {
    let open = || {
        let interface = Interface::find(name)?;
        Receiver::open(&OpenOptions {
            receive_slots: slots,
            outgoing: true,
            ..OpenOptions::new(&interface)
        })
    };
    namespace.run(open)?.map_err(io::Error::other)
}
