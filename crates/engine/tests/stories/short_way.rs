//! The short way of an established session says and does what the long way would.

use packet::{
    TcpFlags,
    build::{ethernet_icmp_echo, ethernet_udp},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    lab::{Lab, Plan},
    quarantine::{ends, query},
    tcp::Connection,
};

const CLIENT: &str = "192.168.1.7";

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A segment of the TCP session: from whom, flags, how far from where it should be, payload.
    Segment(bool, TcpFlags, u32, Vec<u8>),
    /// A datagram of the call: from whom, payload.
    Datagram(bool, Vec<u8>),
    /// A ping.
    Echo(bool),
    /// The client asks for a name; `true`: a listed one, for which it is cut off.
    Lookup(bool),
    Heal,
    /// Seconds pass.
    Wait(u64),
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => Just(vec![0xff; 100]),
        1 => Just(Vec::new()),
        1 => Just(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        1 => Just(b"\x16\x03\x01\x00\x05hello".to_vec()),
        1 => Just(query("www.example.net", 1)),
        1 => Just(query("golfsource.us", 1)),
        2 => vec(any::<u8>(), 0..40),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![
        12 => Just(TcpFlags::ACK),
        4 => Just(TcpFlags::ACK | TcpFlags::PSH),
        1 => select(vec![
            TcpFlags::SYN,
            TcpFlags::SYN | TcpFlags::ACK,
            TcpFlags::FIN | TcpFlags::ACK,
            TcpFlags::RST,
            TcpFlags::RST | TcpFlags::ACK,
            TcpFlags::PSH,
        ]),
    ];
    let offset = prop_oneof![
        8 => Just(0_u32),
        1 => select(vec![1, 100, 63_000, 70_000, 1 << 31, u32::MAX, u32::MAX - 70_000]),
    ];
    prop_oneof![
        10 => (any::<bool>(), flags, offset, payload())
            .prop_map(|(from_client, flags, offset, payload)| Step::Segment(from_client, flags, offset, payload)),
        10 => (any::<bool>(), payload()).prop_map(|(from_client, payload)| Step::Datagram(from_client, payload)),
        2 => any::<bool>().prop_map(Step::Echo),
        1 => prop::bool::weighted(0.1).prop_map(Step::Lookup),
        1 => Just(Step::Heal),
        2 => (0_u64..70).prop_map(Step::Wait),
    ]
}

/// Takes a step, and tells all that came of it.
fn tell(lab: &mut Lab, connection: &mut Connection, step: &Step) -> String {
    let call = ends(CLIENT, 9000, "198.51.100.9:9000");
    let of = |from_client: bool, ends: packet::build::Ends| if from_client { ends } else { ends.reversed() };
    let fate = match step {
        Step::Segment(from_client, flags, offset, payload) => {
            let frame = connection.stray(*from_client, *flags, *offset, payload);
            let fate = lab.send(&frame);
            if *offset == 0 {
                let taken = payload.len() + usize::from(flags.syn()) + usize::from(flags.fin());
                let next = &mut connection.next[usize::from(!from_client)];
                *next = next.wrapping_add(u32::try_from(taken).unwrap());
            }
            Some(fate)
        }
        Step::Datagram(from_client, payload) => {
            Some(lab.send(&ethernet_udp(&of(*from_client, call), payload)))
        }
        Step::Echo(request) => Some(lab.send(&ethernet_icmp_echo(&of(*request, call), *request, 7, 1, b"x"))),
        Step::Lookup(listed) => {
            let name = if *listed {
                "tourindia.ion"
            } else {
                "www.example.net"
            };
            let asked = ends(CLIENT, 40_000, "203.0.113.53:53");
            Some(lab.send(&ethernet_udp(&asked, &query(name, 1))))
        }
        Step::Heal => {
            lab.try_heal(CLIENT);
            None
        }
        Step::Wait(seconds) => {
            lab.wait(*seconds);
            None
        }
    };
    format!("{fate:?} {:?} {:?}", lab.records(), lab.counted())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn both_ways_come_to_the_same(steps in vec(step(), 1..120)) {
        let mut labs = [Lab::new(&Plan::default()), Lab::new(&Plan::default())];
        labs[1].long_way = true;
        let [short, long] = &mut labs;
        let mut connections = [&mut *short, &mut *long].map(|lab| Connection::open(lab, CLIENT, 50_000, "198.51.100.9:443"));
        for step in &steps {
            let [of_short, of_long] = &mut connections;
            prop_assert_eq!(tell(short, of_short, step), tell(long, of_long, step), "{:?}", step);
        }
        prop_assert_eq!(short.finish(), long.finish());
        prop_assert_eq!(short.records(), long.records());
        prop_assert_eq!(long.short_ways, 0);
    }
}

/// The test above compares something: most of a settled session's packets do take the short way.
#[test]
fn a_settled_session_takes_the_short_way() {
    let mut lab = Lab::new(&Plan::default());
    let mut connection = Connection::open(&mut lab, CLIENT, 50_000, "198.51.100.9:443");
    for _ in 0..50 {
        for from_client in [true, false] {
            let step = Step::Segment(from_client, TcpFlags::ACK, 0, vec![0xff; 100]);
            tell(&mut lab, &mut connection, &step);
            tell(
                &mut lab,
                &mut connection,
                &Step::Datagram(from_client, vec![0xff; 100]),
            );
        }
    }
    assert!(lab.short_ways > 180, "{}", lab.short_ways);
}

/// Marks of change are shared: a stranger's makes a session look at its tags again, and nothing is decided by that.
#[test]
fn a_strangers_tag_decides_nothing_again() {
    let mut lab = Lab::new(&Plan::default());
    let call = ethernet_udp(&ends(CLIENT, 9000, "198.51.100.9:9000"), &[0xff; 100]);
    lab.send(&call);
    // Every address has the mark of prefixes.
    lab.tag("10.99.0.0/16", "stranger");
    lab.send(&call);
    assert_eq!(lab.counters().redecided, 0);
    lab.tag(CLIENT, "stranger");
    lab.send(&call);
    assert_eq!(lab.counters().redecided, 1);
}
