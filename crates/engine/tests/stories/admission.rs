//! VLANs that may cross, and VLANs that keep equal five-tuples apart.

use packet::{TcpFlags, VlanTags, build};

use crate::{
    lab::{Fate, Lab, Plan},
    quarantine::ends,
    tcp::Connection,
};

const CLIENT: &str = "192.168.1.7";
const SERVER: &str = "198.51.100.9:4000";

#[test]
fn equal_five_tuples_in_different_vlans_are_different_sessions() {
    let mut lab = Lab::new(&Plan::default());
    let mut plain = Connection::open(&mut lab, CLIENT, 50_000, SERVER);
    let mut tagged = Connection::new(CLIENT, 50_000, SERVER);
    tagged.ends = tagged.ends.in_vlans(VlanTags::single(20));
    tagged.next = [500_000_000, 700_000_000];
    for (flags, from_client) in [
        (TcpFlags::SYN, true),
        (TcpFlags::SYN | TcpFlags::ACK, false),
        (TcpFlags::ACK, true),
    ] {
        let fate = if from_client {
            tagged.client(&mut lab, flags, b"")
        } else {
            tagged.server(&mut lab, flags, b"")
        };
        assert_eq!(fate, Fate::Forwarded);
    }
    // A reset in one of them is none in the other.
    assert_eq!(tagged.client(&mut lab, TcpFlags::RST, b""), Fate::Forwarded);
    assert_eq!(plain.client_says(&mut lab, b"still here"), Fate::Forwarded);
    lab.wait(15);
    assert_eq!(
        lab.told(),
        ["end 192.168.1.7 incomplete allow tcp-rst-from-client by all"]
    );
    let mut double = Connection::new(CLIENT, 50_000, SERVER);
    double.ends = double.ends.in_vlans(VlanTags::double(20, 20));
    assert_eq!(double.client(&mut lab, TcpFlags::SYN, b""), Fate::Forwarded);
    lab.assert_sessions([3, 0, 0], 0, 0, 0);
    lab.assert_frames(9, 0, &[]);
}

#[test]
fn only_vlans_of_the_wire_cross_it() {
    let plan = Plan {
        vlans: "0,10",
        ..Plan::default()
    };
    let mut lab = Lab::new(&plan);
    let within = |vlans| build::ethernet_udp(&ends(CLIENT, 1000, SERVER).in_vlans(vlans), b"hello");
    assert_eq!(lab.send(&within(VlanTags::NONE)), Fate::Forwarded);
    assert_eq!(lab.send(&within(VlanTags::single(10))), Fate::Forwarded);
    assert_eq!(lab.send(&within(VlanTags::single(11))), Fate::Dropped("vlan"));
    lab.assert_frames(2, 0, &[("vlan", 1)]);
    lab.assert_sessions([0, 2, 0], 0, 0, 0);
}
