//! A client, a firewall and a server, each in a network namespace of its own, with a veth pair between
//! neighbours: `c0`-`lan0` and `wan0`-`s0`. Made and removed by the test, which must be root.

use std::{
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use cordon_ports::live::{
    Interface, LiveFrame, Namespace, OpenOptions, PacketSocket, Receiver, Sender, Waiter, Waker,
};

/// Whether live tests can run; says so where not, and fails where they must.
pub(crate) fn live() -> bool {
    let permitted = Namespace::permitted().unwrap();
    if !permitted {
        println!("skipped: needs root");
    }
    permitted
}

pub(crate) struct Lab {
    pub(crate) client: Namespace,
    pub(crate) firewall: Namespace,
    pub(crate) server: Namespace,
}

impl Lab {
    pub(crate) fn new(mtu: u32) -> Self {
        Self::laid(|lab| {
            lab.client.veth("c0", &lab.firewall, "lan0", mtu)?;
            lab.firewall.veth("wan0", &lab.server, "s0", mtu)
        })
    }

    fn laid(lay: impl FnOnce(&Self) -> std::io::Result<()>) -> Self {
        let made = |name| Namespace::create(name).unwrap();
        let lab = Self {
            client: made("cl"),
            firewall: made("fw"),
            server: made("sv"),
        };
        lay(&lab).unwrap();
        lab.client.ip("addr add 10.0.0.1/24 dev c0").unwrap();
        lab.server.ip("addr add 10.0.0.2/24 dev s0").unwrap();
        lab
    }

    /// The same, with several queues at each end.
    pub(crate) fn with_queues(mtu: u32, queues: u32) -> Self {
        Self::laid(|lab| {
            lab.client
                .veth_with_queues("c0", &lab.firewall, "lan0", mtu, queues)?;
            lab.firewall
                .veth_with_queues("wan0", &lab.server, "s0", mtu, queues)
        })
    }

    /// Frames that an interface of the firewall has received, as the kernel counts.
    pub(crate) fn received(&self, name: &str) -> u64 {
        Self::received_in(&self.firewall, name)
    }

    pub(crate) fn server_received(&self) -> u64 {
        Self::received_in(&self.server, "s0")
    }

    fn received_in(namespace: &Namespace, name: &str) -> u64 {
        let table = namespace
            .run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap())
            .unwrap();
        let row = table
            .lines()
            .find_map(|line| line.trim().strip_prefix(&format!("{name}:")))
            .unwrap();
        row.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn find(&self, name: &str) -> Interface {
        self.firewall.run(|| Interface::find(name).unwrap()).unwrap()
    }

    pub(crate) fn open(&self, name: &str) -> PacketSocket {
        let open = || {
            let interface = Interface::find(name).unwrap();
            PacketSocket::open(&OpenOptions::new(&interface)).unwrap()
        };
        self.firewall.run(open).unwrap()
    }

    /// Forwards all frames while `during` runs, and shows each to `see`. The two ports, afterwards.
    pub(crate) fn forwarding<T>(
        &self,
        mut see: impl FnMut(&LiveFrame<'_>) + Send,
        during: impl FnOnce() -> T,
    ) -> (T, PacketSocket, PacketSocket) {
        let (mut lan, mut wan) = (self.open("lan0"), self.open("wan0"));
        let waker = Waker::new().unwrap();
        let stop = AtomicBool::new(false);
        let mut pump = |from: &mut Receiver, to: &mut Sender| {
            let burst = from.receive();
            for frame in burst.iter() {
                see(&frame);
                to.send(frame.bytes, frame.offload).unwrap();
            }
            to.flush();
            burst.len()
        };
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                let mut waiter = Waiter::new(&waker, &[lan.rx.as_fd(), wan.rx.as_fd()]);
                while !stop.load(Ordering::Relaxed) {
                    if pump(&mut lan.rx, &mut wan.tx) + pump(&mut wan.rx, &mut lan.tx) == 0 {
                        waiter.wait(None).unwrap();
                    }
                }
            });
            // Also where the test fails.
            let _stop = Stop(&stop, &waker);
            during()
        });
        (result, lan, wan)
    }
}

/// Ends a thread that forwards.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool, pub(crate) &'a Waker);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.wake();
    }
}
