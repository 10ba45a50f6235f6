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
use cordon_ports::live::{
    ChecksumState, End, Flood, Interface, Namespace, Offload, PortError, Waiter, Waker, XdpDemand, XdpMode,
    XdpWire,
};

fn open(lab: &Lab, workers: usize) -> Result<Vec<XdpWire>, PortError> {
    let open = || {
        let [lan, wan] = ["lan0", "wan0"].map(|name| Interface::find(name).unwrap());
        XdpWire::open_for([&lan, &wan], workers, XdpDemand::Any)
    };
    lab.firewall.run(open).unwrap()
}

/// Forwards between the firewall's interfaces while `during` runs; the wire afterwards.
fn forwarding(lab: &Lab, during: impl FnOnce()) -> XdpWire {
    let mut wire = open(lab, 1).unwrap().pop().unwrap();
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
    wire
}

#[test]
fn frames_cross_between_xdp_sockets_with_their_checksums_finished() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let wire = forwarding(&lab, || {
        echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 1_000, 100);
        bulk(&lab, "10.0.0.2:9999", 20_000_000);
    });
    assert_eq!(wire.manner().modes, [XdpMode::Native; 2]);
    assert!(!wire.manner().zero_copy, "a veth has no queues of its own memory");
    // What a veth's neighbour sends is never finished: without repair nothing would have been taken.
    let [there, back] = [End::First, End::Second].map(|end| wire.repaired(end));
    assert!(there >= 1_000 + 20_000_000 / 1_460, "{there}");
    assert!(back >= 1_000, "{back}");
    let frames = wire.received(End::First).frames;
    assert!(frames > there, "ARP has no checksum: {frames}");
    assert_eq!(wire.sent(End::Second).frames, frames);
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

/// Takes what arrives at `lan0` within a while, at least `frames`.
fn take(wire: &mut XdpWire, frames: usize) -> Vec<(Vec<u8>, ChecksumState)> {
    let (memory, mut burst, mut taken) = (wire.memory(), Vec::new(), Vec::new());
    let waker = Waker::new().unwrap();
    for _ in 0..500 {
        wire.receive(End::First, &mut burst);
        for frame in burst.drain(..) {
            let live = memory.frame(&frame);
            taken.push((live.bytes.to_vec(), live.offload.checksum));
            wire.release(frame);
        }
        wire.flush();
        if taken.len() >= frames {
            break;
        }
        let mut waiter = Waiter::new(&waker, &wire.fds());
        waiter.wait(Some(Duration::from_millis(10))).unwrap();
    }
    taken
}

/// Sends datagrams of this many bytes from the client to an address whose neighbour is known.
fn datagrams(lab: &Lab, count: u16, bytes: usize) {
    let send = || {
        for port in 0..count {
            let socket = std::net::UdpSocket::bind(("10.0.0.1", 20_000 + port)).unwrap();
            socket.send_to(&vec![0x55; bytes], "10.0.0.2:9").unwrap();
        }
    };
    lab.client
        .ip("neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev c0")
        .unwrap();
    lab.client.run(send).unwrap();
}

fn is_datagram(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&17)
}

#[test]
fn frames_are_read_handed_on_or_answered() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let mut wire = open(&lab, 1).unwrap().pop().unwrap();
    datagrams(&lab, 1, 600);
    let taken = take(&mut wire, 1);
    let (frame, checksum) = taken.iter().find(|(frame, _)| is_datagram(frame)).unwrap();
    assert_eq!(frame.len(), 642);
    let unfinished = ChecksumState::Unfinished { start: 34, offset: 6 };
    assert_eq!(*checksum, unfinished, "a veth leaves it undone");
    // An answer, a frame larger than a chunk that is still to be cut, in this order.
    let mut answer = frame.clone();
    answer[..6].copy_from_slice(
        &lab.client
            .run(|| Interface::find("c0").unwrap().mac.unwrap().0)
            .unwrap(),
    );
    wire.send(End::First, &answer, Offload::COMPLETE).unwrap();
    let long = vec![0; 5000];
    assert!(
        wire.send(End::First, &long, Offload::COMPLETE).is_err(),
        "longer than the MTU"
    );
    wire.flush();
    let sent = wire.sent(End::First);
    assert_eq!((sent.frames, sent.bytes, sent.too_long), (1, 642, 1));
    // Handed on, the other end's neighbour has it.
    let before = lab.server_received();
    let mut burst = Vec::new();
    datagrams(&lab, 1, 600);
    while burst.is_empty() {
        wire.receive(End::First, &mut burst);
    }
    for frame in burst.drain(..) {
        wire.hand_on(End::First, frame).unwrap();
    }
    wire.flush();
    assert!(lab.server_received() > before);
    // Our own frames do not come back to us.
    wire.receive(End::Second, &mut burst);
    assert!(
        burst
            .iter()
            .all(|frame| !is_datagram(wire.memory().frame(frame).bytes))
    );
}

#[test]
fn what_the_kernel_drops_is_counted_and_nothing_else_is_lost() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let mut wire = open(&lab, 1).unwrap().pop().unwrap();
    take(&mut wire, usize::MAX);
    let (counted, arrived) = (wire.received(End::First), lab.received("lan0"));
    // More than the ring holds, while nobody looks.
    datagrams(&lab, 3_000, 60);
    let taken = take(&mut wire, usize::MAX).len() as u64;
    let now = wire.received(End::First);
    let dropped = now.dropped_by_kernel + now.no_buffer + now.too_large
        - (counted.dropped_by_kernel + counted.no_buffer + counted.too_large);
    assert_eq!(now.frames - counted.frames, taken);
    assert_eq!(taken + dropped, lab.received("lan0") - arrived, "{now:?}");
    assert!(dropped > 500 && taken > 1_500, "{taken} taken, {dropped} dropped");
}

#[test]
fn workers_share_the_queues() {
    if !live() {
        return;
    }
    let lab = Lab::with_queues(1500, 2);
    let mut wires = open(&lab, 2).unwrap();
    datagrams(&lab, 200, 60);
    let taken: Vec<usize> = wires.iter_mut().map(|wire| take(wire, 200).len()).collect();
    assert!(taken.iter().all(|taken| *taken > 20), "{taken:?}");
    // A third worker has no queue, and sends all the same.
    drop(wires);
    let mut wires = open(&lab, 3).unwrap();
    let mut last = wires.pop().unwrap();
    assert!(last.fds().is_empty());
    let frame = [0xff; 60];
    last.send(End::Second, &frame, Offload::COMPLETE).unwrap();
    last.flush();
    assert_eq!(last.sent(End::Second).frames, 1);
}

#[test]
fn an_mtu_that_does_not_fit_is_refused() {
    if !live() {
        return;
    }
    let lab = Lab::new(9000);
    let error = open(&lab, 1).unwrap_err().to_string();
    assert!(
        error.starts_with("lan0: frames of its MTU of 9000 do not fit into AF_XDP's buffers, 3818 at most"),
        "{error}"
    );
    let lab = Lab::new(1500);
    let mut wire = open(&lab, 1).unwrap().pop().unwrap();
    assert!(wire.set_mtu(End::First, 1400));
    assert!(!wire.set_mtu(End::First, 3000), "chunks are of 2 KiB");
}

#[test]
fn facts_of_a_driver_are_told() {
    if !live() {
        return;
    }
    let lab = Lab::with_queues(1500, 2);
    let facts = lab.firewall.run(|| {
        let lan = Interface::find("lan0").unwrap();
        (lan.driver(), lan.receive_queues(), lan.is_virtual())
    });
    assert_eq!(facts.unwrap(), ("veth".to_owned(), 2, true));
    let none: Namespace = Namespace::create("nothing").unwrap();
    let lo = none
        .run(|| Interface::find("lo").unwrap().receive_queues())
        .unwrap();
    assert_eq!(lo, 1);
}

#[test]
fn a_flood_comes_as_fast_as_it_is_told() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let mut wire = open(&lab, 1).unwrap().pop().unwrap();
    take(&mut wire, usize::MAX);
    let mut frame = [0; 60];
    frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17]);
    let send = |nanos, calls| {
        let left = std::cell::Cell::new(calls);
        let done = || left.replace(left.get() - 1) == 0;
        let run = || {
            let c0 = Interface::find("c0").unwrap();
            Flood::new(&c0, frame).unwrap().send(nanos, done).unwrap()
        };
        run()
    };
    let sent = lab.client.run(|| send(1_000_000, 1)).unwrap();
    let taken = take(&mut wire, usize::MAX);
    let ours = taken
        .iter()
        .filter(|(taken, _)| is_datagram(taken) && taken[22..34] == frame[22..34]);
    assert_eq!(ours.count() as u64, sent);
    // A round that comes too early for the next frame sends none.
    assert!((1..1 << 17).contains(&sent), "{sent}");
    assert_eq!(lab.client.run(|| send(0, 1)).unwrap(), 1 << 17);
}
