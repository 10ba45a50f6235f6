//! What a live port says when something is not as it should be.

use std::{net::UdpSocket, os::fd::AsFd, time::Duration};

use crate::lab::{self, Lab, live};
use cordon_ports::live::{
    Fanout, Interface, LinkEvent, LinkWatch, Offload, OpenOptions, PacketSocket, PortError, PortFault,
    Receiver, Sender, SenderCounters, TransmitDrop, Waiter, Waker,
};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// A frame of a protocol for experiments, between addresses that nobody has.
fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0; length];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x88, 0xb5]);
    frame
}

/// Waits until a receiver has something to say.
fn wait(receiver: &Receiver) {
    let waker = Waker::new().unwrap();
    let mut waiter = Waiter::new(&waker, &[receiver.as_fd()]);
    let ready = waiter.wait(PATIENCE).unwrap();
    assert!(ready.readable(0) || ready.fault(0), "nothing came");
}

/// Waits for events until `enough`.
fn events(watch: &mut LinkWatch, enough: impl Fn(&[LinkEvent]) -> bool) -> Vec<LinkEvent> {
    let waker = Waker::new().unwrap();
    let mut told = Vec::new();
    while !enough(&told) {
        let mut waiter = Waiter::new(&waker, &[watch.as_fd()]);
        assert!(
            waiter.wait(PATIENCE).unwrap().readable(0),
            "no event after {told:?}"
        );
        watch.events(|event| told.push(event));
    }
    told
}

/// How many frames of [`frame`] a receiver gets before one that is `last` bytes long.
fn count_until(receiver: &mut Receiver, last: usize) -> usize {
    let mut count = 0;
    loop {
        for frame in receiver.receive().iter() {
            if frame.bytes[12..14] == [0x88, 0xb5] {
                if frame.bytes.len() == last {
                    return count;
                }
                count += 1;
            }
        }
        wait(receiver);
    }
}

#[test]
fn what_cannot_be_a_port_is_refused_with_the_reason() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let open = |name: &str| {
        let open = || PacketSocket::open(&OpenOptions::new(&Interface::find(name)?)).map(drop);
        lab.firewall.run(open).unwrap().unwrap_err().to_string()
    };
    assert_eq!(open("lna0"), "lna0: no such interface; did you mean lan0?");
    assert_eq!(
        open("lo"),
        "lo: is no Ethernet interface (link type 772); use an Ethernet, VLAN, bridge or veth interface"
    );
    lab.firewall
        .run(|| Interface::find("lan0").unwrap().set_up(false).unwrap())
        .unwrap();
    assert_eq!(
        open("lan0"),
        "lan0: the interface is down; run 'ip link set dev lan0 up'"
    );
}

#[test]
fn an_interface_that_goes_between_look_up_and_opening_is_missed() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let lan = lab.find("lan0");
    lab.firewall.ip("link delete lan0").unwrap();
    let opened = lab
        .firewall
        .run(|| PacketSocket::open(&OpenOptions::new(&lan)))
        .unwrap();
    assert!(
        matches!(opened, Err(PortError::NoSuchInterface { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_port_does_not_see_what_it_sent_and_a_tap_does() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let lan = lab.find("lan0");
    let mut port = lab.open("lan0");
    let mut neighbour = lab.client.run(|| {
        let c0 = Interface::find("c0").unwrap();
        PacketSocket::open(&OpenOptions::new(&c0)).unwrap()
    });
    let neighbour = neighbour.as_mut().unwrap();
    let tap = OpenOptions {
        outgoing: true,
        ..OpenOptions::new(&lan)
    };
    let mut tap = lab.firewall.run(|| Receiver::open(&tap).unwrap()).unwrap();
    for length in [60, 61] {
        port.tx.send(&frame(length), Offload::COMPLETE).unwrap();
    }
    port.tx.flush();
    assert_eq!(count_until(&mut neighbour.rx, 61), 1);
    neighbour.tx.send(&frame(62), Offload::COMPLETE).unwrap();
    neighbour.tx.flush();
    assert_eq!(count_until(&mut port.rx, 62), 0);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for frame in tap.receive().iter() {
            if frame.bytes[12..14] == [0x88, 0xb5] {
                seen.push((frame.bytes.len(), frame.outgoing));
            }
        }
        if seen.is_empty() {
            wait(&tap);
        }
    }
    assert_eq!(seen, [(60, true), (61, true), (62, false)]);
}

#[test]
fn frames_beyond_the_mtu_are_counted_and_not_sent() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let mut port = lab.open("lan0").tx;
    assert_eq!(
        port.send(&frame(1515), Offload::COMPLETE),
        Err(TransmitDrop::TooLong)
    );
    assert_eq!(
        port.send(&frame(3000), Offload::COMPLETE),
        Err(TransmitDrop::TooLong)
    );
    assert_eq!(port.send(&frame(1514), Offload::COMPLETE), Ok(()));
    port.set_mtu(1400);
    assert_eq!(
        port.send(&frame(1415), Offload::COMPLETE),
        Err(TransmitDrop::TooLong)
    );
    port.flush();
    let counted = SenderCounters {
        frames: 1,
        bytes: 1514,
        too_long: 3,
        ..SenderCounters::default()
    };
    assert_eq!(port.counters(), counted);
}

#[test]
fn the_ring_never_waits_and_frames_keep_their_order() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let options = |interface| OpenOptions {
        transmit_slots: 512,
        ..OpenOptions::new(interface)
    };
    let lan = lab.find("lan0");
    let mut sender = lab
        .firewall
        .run(|| Sender::open(&options(&lan)).unwrap())
        .unwrap();
    let mut receiver = lab.client.run(|| {
        let c0 = Interface::find("c0").unwrap();
        Receiver::open(&OpenOptions::new(&c0)).unwrap()
    });
    let receiver = receiver.as_mut().unwrap();
    // More than the ring holds: it is emptied on the way.
    let mut sent = 0_u16;
    for _ in 0..2_000 {
        let mut frame = frame(60);
        frame[14..16].copy_from_slice(&sent.to_be_bytes());
        if sender.send(&frame, Offload::COMPLETE).is_ok() {
            sent += 1;
        }
    }
    sender.flush();
    assert_eq!((sender.waiting(), sent), (0, 2_000));
    assert_eq!(sender.counters().frames + sender.counters().full, 2_000);
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(sender.counters().frames).unwrap() {
        for frame in receiver.receive().iter() {
            if frame.bytes[12..14] == [0x88, 0xb5] {
                seen.push(u16::from_be_bytes([frame.bytes[14], frame.bytes[15]]));
            }
        }
        if seen.is_empty() {
            wait(receiver);
        }
    }
    assert!(seen.is_sorted(), "{seen:?}");
}

#[test]
fn a_full_receive_ring_is_counted() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let c0 = lab.client.run(|| Interface::find("c0").unwrap()).unwrap();
    let small = OpenOptions {
        receive_slots: 1,
        ..OpenOptions::new(&c0)
    };
    let mut receiver = lab.client.run(|| Receiver::open(&small).unwrap()).unwrap();
    let mut port = lab.open("lan0").tx;
    let total = receiver.slots() + 100;
    for _ in 0..total {
        port.send(&frame(60), Offload::COMPLETE).unwrap();
        port.flush();
    }
    let mut frames = 0;
    loop {
        let burst = receiver.receive();
        if burst.is_empty() {
            break;
        }
        frames += burst
            .iter()
            .filter(|frame| frame.bytes[12..14] == [0x88, 0xb5])
            .count();
    }
    assert!(frames <= receiver.slots() as usize);
    assert!(receiver.counters().dropped_by_kernel >= 100, "{receiver:?}");
    // There is room again.
    port.send(&frame(61), Offload::COMPLETE).unwrap();
    port.flush();
    assert_eq!(count_until(&mut receiver, 61), 0);
}

#[test]
fn a_link_that_goes_down_is_told_and_carries_again_when_it_is_up() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let lan = lab.find("lan0");
    let mut watch = lab
        .firewall
        .run(|| LinkWatch::new(&["wan0", "lan0"]).unwrap())
        .unwrap();
    assert!(watch.state(1).unwrap().works());
    let mut port = lab.open("lan0");
    lab.firewall.run(|| lan.set_up(false).unwrap()).unwrap();
    wait(&port.rx);
    assert_eq!(port.rx.fault(), Some(PortFault::Down));
    port.tx.send(&frame(60), Offload::COMPLETE).unwrap();
    port.tx.flush();
    assert_eq!(port.tx.waiting(), 0);
    assert_eq!((port.tx.counters().down, port.tx.counters().frames), (1, 0));
    let told = events(&mut watch, |told| told.iter().any(|event| !event.now.unwrap().up));
    assert!(told.iter().all(|event| event.link == 1));
    assert_eq!(told[0].before.unwrap().index, lan.index);

    lab.firewall.run(|| lan.set_up(true).unwrap()).unwrap();
    events(&mut watch, |told| {
        told.iter().any(|event| event.now.unwrap().works())
    });
    assert_eq!(port.rx.fault(), None);
    let mut neighbour = lab.client.run(|| {
        let c0 = Interface::find("c0").unwrap();
        PacketSocket::open(&OpenOptions::new(&c0)).unwrap()
    });
    let neighbour = neighbour.as_mut().unwrap();
    neighbour.tx.send(&frame(62), Offload::COMPLETE).unwrap();
    neighbour.tx.flush();
    assert_eq!(count_until(&mut port.rx, 62), 0);
    port.tx.send(&frame(63), Offload::COMPLETE).unwrap();
    port.tx.flush();
    assert_eq!(count_until(&mut neighbour.rx, 63), 0);
}

#[test]
fn the_other_end_of_a_link_brought_down_loses_its_carrier() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let mut watch = lab.client.run(|| LinkWatch::new(&["c0"]).unwrap()).unwrap();
    let lan = lab.find("lan0");
    lab.firewall.run(|| lan.set_up(false).unwrap()).unwrap();
    let told = events(&mut watch, |told| {
        told.iter().any(|event| !event.now.unwrap().carrier)
    });
    assert!(told.last().unwrap().now.unwrap().up);
}

#[test]
fn an_interface_that_vanishes_is_gone_and_its_successor_is_another() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let mut watch = lab.firewall.run(|| LinkWatch::new(&["lan0"]).unwrap()).unwrap();
    let mut port = lab.open("lan0");
    let before = watch.state(0).unwrap().index;
    lab.firewall.ip("link delete lan0").unwrap();
    wait(&port.rx);
    // Down comes before gone; gone is what remains.
    events(&mut watch, |told| told.iter().any(|event| event.now.is_none()));
    assert_eq!(port.rx.fault(), Some(PortFault::Gone));
    assert_eq!(port.rx.fault(), Some(PortFault::Gone));
    port.tx.send(&frame(60), Offload::COMPLETE).unwrap();
    port.tx.flush();
    assert_eq!(port.tx.counters().down, 1);
    assert!(port.rx.receive().is_empty());

    lab.client.veth("c0", &lab.firewall, "lan0", 1500).unwrap();
    events(&mut watch, |told| {
        told.iter()
            .any(|event| event.now.is_some_and(cordon_ports::live::LinkState::works))
    });
    assert_ne!(watch.state(0).unwrap().index, before);
    let mut again = lab.open("lan0");
    assert_eq!(again.rx.fault(), None);
}

#[test]
fn a_group_divides_flows_and_agrees_on_both_directions() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let group = |name: &str| {
        let interface = lab.find(name);
        let open = |fanout| {
            let options = OpenOptions {
                fanout,
                ..OpenOptions::new(&interface)
            };
            lab.firewall
                .run(|| PacketSocket::open(&options).unwrap())
                .unwrap()
        };
        let first = open(Fanout::Found);
        let second = open(Fanout::Join(first.rx.fanout_group().unwrap()));
        [first, second]
    };
    let (mut lan, mut wan) = (group("lan0"), group("wan0"));
    assert_ne!(lan[0].rx.fanout_group(), wan[0].rx.fanout_group());
    let sockets = |namespace: &cordon_ports::live::Namespace, address: &str| {
        let bind = || UdpSocket::bind(address).unwrap();
        namespace.run(bind).unwrap()
    };
    let server = sockets(&lab.server, "10.0.0.2:7");
    let clients: Vec<_> = (0..64).map(|_| sockets(&lab.client, "10.0.0.1:0")).collect();
    for client in &clients {
        client.set_read_timeout(PATIENCE).unwrap();
    }
    // Which socket of its group has seen a client's port: going out, coming back.
    let mut seen = std::collections::HashMap::<u16, (Vec<usize>, Vec<usize>)>::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for worker in 0..2 {
                    let (lan, wan) = (&mut lan[worker], &mut wan[worker]);
                    for frame in lan.rx.receive().iter() {
                        if frame.bytes[12..14] == [8, 0] && frame.bytes[23] == 17 {
                            let port = u16::from_be_bytes([frame.bytes[34], frame.bytes[35]]);
                            seen.entry(port).or_default().0.push(worker);
                        }
                        wan.tx.send(frame.bytes, frame.offload).unwrap();
                    }
                    for frame in wan.rx.receive().iter() {
                        if frame.bytes[12..14] == [8, 0] && frame.bytes[23] == 17 {
                            let port = u16::from_be_bytes([frame.bytes[36], frame.bytes[37]]);
                            seen.entry(port).or_default().1.push(worker);
                        }
                        lan.tx.send(frame.bytes, frame.offload).unwrap();
                    }
                    lan.tx.flush();
                    wan.tx.flush();
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let waker = Waker::new().unwrap();
        let _stop = lab::Stop(&done, &waker);
        let mut buffer = [0; 16];
        for client in &clients {
            client.send_to(b"question", "10.0.0.2:7").unwrap();
            let (length, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..length], from).unwrap();
            assert_eq!(client.recv(&mut buffer).unwrap(), 8);
        }
    });
    // Each frame once, both ways to the same worker, and not all to one.
    let mut workers = [0, 0];
    for client in &clients {
        let (out, back) = &seen[&client.local_addr().unwrap().port()];
        assert_eq!((out.len(), back.len()), (1, 1));
        assert_eq!(out, back);
        workers[out[0]] += 1;
    }
    assert!(workers[0] > 0 && workers[1] > 0, "{workers:?}");
}

#[test]
fn a_group_that_is_not_there_for_this_interface_is_busy() {
    if !live() {
        return;
    }
    let lab = Lab::new(1500);
    let (lan, wan) = (lab.find("lan0"), lab.find("wan0"));
    let open = |interface, fanout| {
        let options = OpenOptions {
            fanout,
            ..OpenOptions::new(interface)
        };
        lab.firewall.run(|| Receiver::open(&options)).unwrap()
    };
    let first = open(&lan, Fanout::Found).unwrap();
    let group = first.fanout_group().unwrap();
    assert!(matches!(
        open(&wan, Fanout::Join(group)),
        Err(PortError::GroupBusy { .. })
    ));
    assert!(open(&lan, Fanout::Join(group)).is_ok());
}
