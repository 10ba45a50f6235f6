//! A wire between two live ports carries what a cable would.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::lab::{self, Lab, live};
use cordon_ports::live::{
    ChecksumState, GsoKind, LiveFrame, Namespace, Offload, PacketSocket, Waiter, Waker,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn udp(namespace: &Namespace, address: &str) -> UdpSocket {
    let socket = namespace.run(|| UdpSocket::bind(address).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends `count` datagrams of `length` bytes one by one, each after the echo of the last.
pub(crate) fn echo(lab: &Lab, client: &str, server: &str, count: usize, length: usize) {
    let (here, there) = (udp(&lab.client, client), udp(&lab.server, server));
    here.connect(there.local_addr().unwrap()).unwrap();
    let mut buffer = vec![0; length + 1];
    for number in 0..count {
        let sent: Vec<u8> = (0..length).map(|at| (at * 7 + number) as u8).collect();
        here.send(&sent).unwrap();
        let (received, from) = there.recv_from(&mut buffer).unwrap();
        there.send_to(&buffer[..received], from).unwrap();
        let received = here.recv(&mut buffer).unwrap();
        assert!(buffer[..received] == sent[..], "datagram {number} has changed");
    }
}

/// Sends `length` bytes over one TCP connection; the server has checked every one.
pub(crate) fn bulk(lab: &Lab, server: &str, length: usize) {
    const PATTERN: usize = 251;
    let listener = lab.server.run(|| TcpListener::bind(server).unwrap()).unwrap();
    let data: Vec<u8> = (0..length).map(|at| (at % PATTERN) as u8).collect();
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut received = Vec::with_capacity(length);
            stream.read_to_end(&mut received).unwrap();
            received
        });
        let connect = || TcpStream::connect(server).unwrap();
        let mut stream = lab.client.run(connect).unwrap();
        stream.write_all(&data).unwrap();
        drop(stream);
        assert!(reading.join().unwrap() == data, "bytes have changed");
    });
}

/// Nothing is lost between the ports, and nobody counts differently.
fn nothing_lost(lan: &mut PacketSocket, wan: &mut PacketSocket) {
    for (from, to) in [(&mut lan.rx, &wan.tx), (&mut wan.rx, &lan.tx)] {
        let (received, sent) = (from.counters(), to.counters());
        assert_eq!((received.frames, received.bytes), (sent.frames, sent.bytes));
        assert_eq!(
            (received.dropped_by_kernel, received.too_large, received.damaged),
            (0, 0, 0)
        );
        assert_eq!((sent.full, sent.too_long, sent.down, sent.refused), (0, 0, 0, 0));
    }
}

#[test]
fn datagrams_and_arp_cross_and_none_is_lost() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let during = || echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 2_000, 100);
    let ((), mut lan, mut wan) = lab.forwarding(|_| {}, during);
    nothing_lost(&mut lan, &mut wan);
    // Our own frames do not come back to us.
    assert!((2_000..2_100).contains(&lan.rx.counters().frames));
    assert!((2_000..2_100).contains(&wan.rx.counters().frames));
}

#[test]
fn tcp_crosses_with_the_offloads_of_virtual_links() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let (mut uncut, mut unfinished, mut longest) = (0, 0, 0);
    let see = |frame: &LiveFrame<'_>| {
        uncut += usize::from(frame.offload.gso.is_some_and(|gso| gso.kind == GsoKind::TcpV4));
        unfinished += usize::from(matches!(
            frame.offload.checksum,
            ChecksumState::Unfinished {
                start: 34,
                offset: 16
            }
        ));
        longest = longest.max(frame.bytes.len());
        assert_eq!(frame.original_len as usize, frame.bytes.len());
    };
    let ((), mut lan, mut wan) = lab.forwarding(see, || bulk(&lab, "10.0.0.2:80", 32 << 20));
    nothing_lost(&mut lan, &mut wan);
    assert!(uncut > 0 && unfinished > uncut, "{uncut} {unfinished}");
    assert!(longest > 30_000 && lan.rx.counters().large > 0, "{longest}");
}

#[test]
fn tcp_over_ipv6_crosses() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    lab.client.ip("addr add fd00::1/64 dev c0 nodad").unwrap();
    lab.server.ip("addr add fd00::2/64 dev s0 nodad").unwrap();
    let mut uncut = 0;
    let see = |frame: &LiveFrame<'_>| {
        uncut += usize::from(frame.offload.gso.is_some_and(|gso| gso.kind == GsoKind::TcpV6));
    };
    let ((), mut lan, mut wan) = lab.forwarding(see, || bulk(&lab, "[fd00::2]:80", 4 << 20));
    nothing_lost(&mut lan, &mut wan);
    assert!(uncut > 0);
}

/// What is done to a frame on its way from one port to another.
#[derive(Clone, Copy)]
enum Hop {
    Tag,
    Forward,
    Untag,
}

/// VLAN 20, priority 1.
const TAG: [u8; 4] = [0x81, 0x00, 0x20, 20];

/// The offload of a frame whose bytes behind the addresses moved by `by`.
fn moved(mut offload: Offload, by: i16) -> Offload {
    if let ChecksumState::Unfinished { start, .. } = &mut offload.checksum {
        *start = start.strict_add_signed(by);
    }
    if let Some(gso) = &mut offload.gso {
        gso.header_len = gso.header_len.strict_add_signed(by);
    }
    offload
}

#[test]
fn tagged_frames_cross_with_their_tag() {
    if !live() {
        return;
    }
    // lan0 tags into m0; m1 to n0 is the wire; n1 untags into wan0. The kernel takes tags out on receive.
    let lab = Lab::new(1500);
    lab.firewall.veth("m0", &lab.firewall, "m1", 1500).unwrap();
    lab.firewall.veth("n0", &lab.firewall, "n1", 1500).unwrap();
    let mut ports = ["lan0", "m0", "m1", "n0", "n1", "wan0"].map(|name| lab.open(name));
    let way = [(0, 1, Hop::Tag), (2, 3, Hop::Forward), (4, 5, Hop::Untag)];
    let back = [(5, 4, Hop::Tag), (3, 2, Hop::Forward), (1, 0, Hop::Untag)];
    let done = AtomicBool::new(false);
    let waker = Waker::new().unwrap();
    let (mut tagged, mut uncut) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let fds: Vec<_> = ports.iter().map(|port| port.rx.as_fd()).collect();
            let mut waiter = Waiter::new(&waker, &fds);
            while !done.load(Ordering::Relaxed) {
                waiter.wait(None).unwrap();
                for (from, to, hop) in way.into_iter().chain(back) {
                    let [from, to] = ports.get_disjoint_mut([from, to]).unwrap();
                    for frame in from.rx.receive().iter() {
                        let mut bytes = frame.bytes.to_vec();
                        let is_tagged = bytes[12..14] == TAG[..2];
                        match hop {
                            Hop::Tag => {
                                bytes.splice(12..12, TAG);
                                to.tx.send(&bytes, moved(frame.offload, 4)).unwrap();
                            }
                            Hop::Untag if is_tagged => {
                                bytes.drain(12..16);
                                to.tx.send(&bytes, moved(frame.offload, -4)).unwrap();
                            }
                            Hop::Forward if is_tagged => {
                                assert_eq!(bytes[12..16], TAG);
                                assert_eq!(frame.original_len as usize, bytes.len());
                                tagged += 1;
                                uncut += usize::from(frame.offload.gso.is_some());
                                to.tx.send(&bytes, frame.offload).unwrap();
                            }
                            // The kernel's own, of the pairs in between.
                            Hop::Untag | Hop::Forward => {}
                        }
                    }
                    to.tx.flush();
                }
            }
        });
        let _stop = lab::Stop(&done, &waker);
        echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 200, 1472);
        bulk(&lab, "10.0.0.2:80", 8 << 20);
    });
    assert!(tagged > 400 && uncut > 0, "{tagged} {uncut}");
}

#[test]
fn jumbo_frames_cross_whole() {
    if !live() {
        return;
    }
    let lab = Lab::new(9000);
    let mut longest = 0;
    let see = |frame: &LiveFrame<'_>| longest = longest.max(frame.bytes.len());
    let during = || echo(&lab, "10.0.0.1:0", "10.0.0.2:7", 500, 8972);
    let ((), mut lan, mut wan) = lab.forwarding(see, during);
    nothing_lost(&mut lan, &mut wan);
    assert_eq!(longest, 9014);
    assert_eq!(lan.rx.counters().large, 0, "a slot holds a frame of the MTU");
}
