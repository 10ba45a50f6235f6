//! Two interfaces joined by sockets that pass the kernel's stack by.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::{
    lab::{Lab, Stop, live},
    wire::{bulk, echo},
};
use cordon_ports::live::{Interface, Waiter, Waker, XdpCounters, XdpMode, XdpWire};

/// Forwards between the firewall's interfaces while `during` runs.
fn forwarding(lab: &Lab, during: impl FnOnce()) -> ([XdpMode; 2], [XdpCounters; 2]) {
    let open = || {
        let [lan, wan] = ["lan0", "wan0"].map(|name| Interface::find(name).unwrap());
        XdpWire::open([&lan, &wan]).unwrap()
    };
    let mut wire = lab.firewall.run(open).unwrap();
    let waker = Waker::new().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut waiter = Waiter::new(&waker, &wire.fds());
            while !stop.load(Ordering::Relaxed) {
                if wire.forward() == 0 {
                    waiter.wait(Some(Duration::from_millis(10))).unwrap();
                }
            }
        });
        let _stop = Stop(&stop, &waker);
        during();
    });
    (wire.modes(), wire.counters())
}

#[test]
fn frames_cross_between_xdp_sockets_with_their_checksums_finished() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let (modes, [there, back]) = forwarding(&lab, || {
        echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 1_000, 100);
        bulk(&lab, "10.0.0.2:9999", 20_000_000);
    });
    assert_eq!(modes, [XdpMode::Native; 2]);
    // What a veth's neighbour sends is never finished: without repair nothing would have been taken.
    assert!(there.repaired >= 1_000 + 20_000_000 / 1_460, "{there:?}");
    assert!(back.repaired >= 1_000, "{back:?}");
    assert!(there.forwarded > there.repaired, "ARP has no checksum: {there:?}");
}

#[test]
fn the_interfaces_are_the_kernels_again_when_the_sockets_are_gone() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    for _ in 0..2 {
        forwarding(&lab, || echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 10, 100));
    }
    // A frame that the program took would not arrive here.
    lab.forwarding(|_| {}, || echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 10, 100));
}
