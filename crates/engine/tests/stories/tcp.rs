//! Who can only guess the five-tuple of a connection neither ends it nor keeps it alive.

use packet::{
    TcpFlags,
    build::{Ends, Segment, ethernet_icmp_error, ethernet_tcp},
};
use policy::{Action, AppId, NonSyn, Settings, TcpSettings};

use crate::{
    lab::{Fate, Lab, Plan},
    quarantine::ends,
};

pub(crate) const WINDOW: u16 = 64_000;

/// Both ends of a connection, and what each has sent so far.
pub(crate) struct Connection {
    pub(crate) ends: Ends,
    /// The next byte of client and server.
    pub(crate) next: [u32; 2],
}

impl Connection {
    pub(crate) fn new(client: &str, port: u16, server: &str) -> Self {
        Self {
            ends: ends(client, port, server),
            next: [1000, 9_000_000],
        }
    }

    /// Shakes hands.
    pub(crate) fn open(lab: &mut Lab, client: &str, port: u16, server: &str) -> Self {
        let mut open = Self::new(client, port, server);
        let shaken = [
            open.client(lab, TcpFlags::SYN, b""),
            open.server(lab, TcpFlags::SYN | TcpFlags::ACK, b""),
            open.client(lab, TcpFlags::ACK, b""),
        ];
        assert_eq!(shaken, [Fate::Forwarded, Fate::Forwarded, Fate::Forwarded]);
        open
    }

    /// A segment as `offset` bytes past what its sender sent last; it does not count as sent.
    pub(crate) fn stray(&self, from_client: bool, flags: TcpFlags, offset: u32, payload: &[u8]) -> Vec<u8> {
        let [client, server] = self.next;
        let (ends, seq, ack) = if from_client {
            (self.ends, client, server)
        } else {
            (self.ends.reversed(), server, client)
        };
        let segment = Segment {
            seq: seq.wrapping_add(offset),
            ack: if flags.ack() { ack } else { 0 },
            flags,
            window: WINDOW,
            payload,
        };
        ethernet_tcp(&ends, &segment)
    }

    fn say(&mut self, lab: &mut Lab, from_client: bool, flags: TcpFlags, payload: &[u8]) -> Fate {
        let frame = self.stray(from_client, flags, 0, payload);
        let taken = u32::try_from(payload.len()).unwrap() + u32::from(flags.syn()) + u32::from(flags.fin());
        self.next[usize::from(!from_client)] += taken;
        lab.send(&frame)
    }

    pub(crate) fn client(&mut self, lab: &mut Lab, flags: TcpFlags, payload: &[u8]) -> Fate {
        self.say(lab, true, flags, payload)
    }

    pub(crate) fn server(&mut self, lab: &mut Lab, flags: TcpFlags, payload: &[u8]) -> Fate {
        self.say(lab, false, flags, payload)
    }

    pub(crate) fn client_says(&mut self, lab: &mut Lab, payload: &[u8]) -> Fate {
        self.client(lab, TcpFlags::PSH | TcpFlags::ACK, payload)
    }

    pub(crate) fn server_says(&mut self, lab: &mut Lab, payload: &[u8]) -> Fate {
        self.server(lab, TcpFlags::PSH | TcpFlags::ACK, payload)
    }
}

const CLIENT: &str = "192.168.1.7";
const SERVER: &str = "198.51.100.9:4000";

fn open(lab: &mut Lab) -> Connection {
    Connection::open(lab, CLIENT, 50_000, SERVER)
}

#[test]
fn what_lies_outside_the_window_neither_ends_a_session_nor_keeps_it() {
    let mut lab = Lab::new(&Plan::default());
    let mut open = open(&mut lab);
    open.client_says(&mut lab, b"hello");
    lab.wait(3599);
    for offset in [1 << 20, 1 << 31, u32::MAX - (1 << 20)] {
        for from_client in [true, false] {
            for flags in [
                TcpFlags::RST,
                TcpFlags::RST | TcpFlags::ACK,
                TcpFlags::ACK,
                TcpFlags::FIN | TcpFlags::ACK,
            ] {
                let blind = open.stray(from_client, flags, offset, b"evil");
                assert_eq!(
                    lab.send(&blind),
                    Fate::Dropped("tcp-out-of-window"),
                    "{offset} {flags:?}"
                );
            }
        }
    }
    assert_eq!(lab.told(), [""; 0]);
    lab.wait(1);
    assert_eq!(
        lab.told(),
        ["end 192.168.1.7 insufficient-data allow aged-out by all"]
    );
    lab.assert_frames(4, 0, &[("tcp-out-of-window", 24)]);
}

#[test]
fn a_reset_ends_a_session_only_at_the_byte_its_receiver_expects() {
    for from_client in [true, false] {
        let mut lab = Lab::new(&Plan::default());
        let mut open = open(&mut lab);
        open.client_says(&mut lab, b"hello");
        open.server_says(&mut lab, b"hello");
        // In the window, but not exact: its receiver will challenge it. Traffic goes on, and keeps the session.
        assert_eq!(
            lab.send(&open.stray(from_client, TcpFlags::RST, 1, b"")),
            Fate::Forwarded
        );
        assert_eq!(open.client_says(&mut lab, b"still here"), Fate::Forwarded);
        lab.wait(60);
        assert_eq!(open.server_says(&mut lab, b"so am I"), Fate::Forwarded);
        assert_eq!(lab.told(), [""; 0], "challenged");
        // Again, and this time nobody answers: the session was gone, and ages soon.
        assert_eq!(
            lab.send(&open.stray(from_client, TcpFlags::RST, 1, b"")),
            Fate::Forwarded
        );
        lab.wait(30);
        assert_eq!(
            lab.told(),
            ["end 192.168.1.7 insufficient-data allow aged-out by all"]
        );

        let mut open = Connection::open(&mut lab, CLIENT, 50_001, SERVER);
        open.client_says(&mut lab, b"hello");
        assert_eq!(
            lab.send(&open.stray(from_client, TcpFlags::RST, 0, b"")),
            Fate::Forwarded
        );
        lab.wait(15);
        let side = if from_client { "client" } else { "server" };
        assert_eq!(
            lab.told(),
            [format!(
                "end 192.168.1.7 insufficient-data allow tcp-rst-from-{side} by all"
            )]
        );
        lab.assert_frames(14, 0, &[]);
        lab.assert_sessions([2, 0, 0], 0, 0, 0);
    }
}

/// Before a server has said anything only its true answer counts (RFC 9293 §3.10.7.3).
#[test]
fn a_blind_answer_to_a_syn_changes_nothing() {
    let mut lab = Lab::new(&Plan::default());
    let mut open = Connection::new(CLIENT, 50_000, SERVER);
    open.client(&mut lab, TcpFlags::SYN, b"");
    for (flags, ack) in [
        (TcpFlags::RST, 0),
        (TcpFlags::RST | TcpFlags::ACK, 77),
        (TcpFlags::ACK, 77),
        (TcpFlags::PSH | TcpFlags::ACK, 1_000_000),
        (TcpFlags::SYN | TcpFlags::ACK, 77),
    ] {
        let blind = Segment {
            seq: 123,
            ack,
            flags,
            window: 1,
            payload: b"",
        };
        let blind = ethernet_tcp(&open.ends.reversed(), &blind);
        assert_eq!(lab.send(&blind), Fate::Dropped("tcp-out-of-window"), "{flags:?}");
    }
    // The true one is accepted, and the connection works.
    assert_eq!(
        open.server(&mut lab, TcpFlags::SYN | TcpFlags::ACK, b""),
        Fate::Forwarded
    );
    assert_eq!(open.client(&mut lab, TcpFlags::ACK, b""), Fate::Forwarded);
    assert_eq!(open.server_says(&mut lab, &[b'x'; 1000]), Fate::Forwarded);
    assert_eq!(lab.told(), [""; 0]);
    lab.assert_frames(4, 0, &[("tcp-out-of-window", 5)]);
    lab.assert_sessions([1, 0, 0], 0, 0, 0);
}

#[test]
fn a_refused_connection_ends_by_its_reset() {
    let mut lab = Lab::new(&Plan::default());
    let mut refused = Connection::new(CLIENT, 50_000, SERVER);
    refused.client(&mut lab, TcpFlags::SYN, b"");
    refused.next[1] = 0;
    assert_eq!(
        refused.server(&mut lab, TcpFlags::RST | TcpFlags::ACK, b""),
        Fate::Forwarded
    );
    lab.wait(15);
    assert_eq!(
        lab.told(),
        ["end 192.168.1.7 incomplete allow tcp-rst-from-server by all"]
    );
    lab.assert_frames(2, 0, &[]);
}

/// A client's data fixes what its server may say, though the server was not heard yet.
#[test]
fn a_session_met_in_its_middle_believes_neither_side_blindly() {
    let mut lab = Lab::new(&Plan::default());
    let mut met = Connection::new(CLIENT, 50_000, SERVER);
    assert_eq!(met.client_says(&mut lab, b"in the middle"), Fate::Forwarded);
    // 2^31 away: no scaled window reaches so far.
    for flags in [TcpFlags::RST, TcpFlags::ACK] {
        let blind = met.stray(false, flags, 1 << 31, b"");
        assert_eq!(lab.send(&blind), Fate::Dropped("tcp-out-of-window"), "{flags:?}");
    }
    assert_eq!(met.server_says(&mut lab, b"indeed"), Fate::Forwarded);
    assert_eq!(met.client_says(&mut lab, b"good"), Fate::Forwarded);
    met.client(&mut lab, TcpFlags::FIN | TcpFlags::ACK, b"");
    met.server(&mut lab, TcpFlags::FIN | TcpFlags::ACK, b"");
    lab.wait(15);
    assert_eq!(
        lab.told(),
        ["end 192.168.1.7 insufficient-data allow tcp-fin by all"]
    );
    lab.assert_frames(5, 0, &[("tcp-out-of-window", 2)]);
}

#[test]
fn where_the_setting_says_so_the_middle_is_refused() {
    let plan = Plan {
        settings: Settings {
            tcp: TcpSettings {
                non_syn: NonSyn::Drop,
                ..TcpSettings::default()
            },
            ..Settings::default()
        },
        ..Plan::default()
    };
    let mut lab = Lab::new(&plan);
    let mut met = Connection::new(CLIENT, 50_000, SERVER);
    assert_eq!(
        met.client_says(&mut lab, b"in the middle"),
        Fate::Dropped("tcp-non-syn")
    );
    assert_eq!(met.server_says(&mut lab, b"indeed"), Fate::Dropped("tcp-non-syn"));
    open(&mut lab);
    assert_eq!(lab.told(), [""; 0]);
    lab.assert_frames(3, 0, &[("tcp-non-syn", 2)]);
    lab.assert_sessions([1, 0, 0], 0, 0, 0);
}

#[test]
fn ports_used_again_open_a_session_of_their_own() {
    let mut lab = Lab::new(&Plan::default());
    let mut first = open(&mut lab);
    first.client(&mut lab, TcpFlags::FIN | TcpFlags::ACK, b"");
    first.server(&mut lab, TcpFlags::FIN | TcpFlags::ACK, b"");
    let mut again = Connection::new(CLIENT, 50_000, SERVER);
    again.next = [700_000, 50];
    assert_eq!(again.client(&mut lab, TcpFlags::SYN, b""), Fate::Forwarded);
    assert_eq!(lab.told(), ["end 192.168.1.7 incomplete allow tcp-fin by all"]);
    again.server(&mut lab, TcpFlags::SYN | TcpFlags::ACK, b"");
    assert_eq!(again.client(&mut lab, TcpFlags::ACK, b""), Fate::Forwarded);
    // A SYN over an open connection ends nothing until the other side agrees.
    let mut third = Connection::new(CLIENT, 50_000, SERVER);
    third.next = [5_000_000, 1];
    assert_eq!(third.client(&mut lab, TcpFlags::SYN, b""), Fate::Forwarded);
    assert_eq!(again.client_says(&mut lab, b"still here"), Fate::Forwarded);
    assert_eq!(lab.told(), [""; 0]);
    lab.assert_sessions([2, 0, 0], 0, 0, 0);
    lab.assert_frames(10, 0, &[]);
}

#[test]
fn an_icmp_error_goes_where_the_session_it_quotes_may_go() {
    let plan = Plan {
        refused: vec![("no-ssh", Action::Deny, AppId::SSH)],
        ..Plan::default()
    };
    let mut lab = Lab::new(&plan);
    let mut open = open(&mut lab);
    let quoted = open.stray(true, TcpFlags::ACK, 0, b"");
    let router = ends("203.0.113.1", 0, &format!("{CLIENT}:0"));
    let error = ethernet_icmp_error(&router, 3, 4, &quoted[14..]);
    assert_eq!(lab.send(&error), Fate::Forwarded);
    // It does not keep the session, and opens none.
    lab.assert_sessions([1, 0, 0], 0, 0, 0);
    assert_eq!(
        open.client_says(&mut lab, b"SSH-2.0-x\r\n"),
        Fate::Dropped("policy-deny")
    );
    assert_eq!(
        lab.send(&error),
        Fate::Dropped("policy-deny"),
        "of a refused session"
    );
    assert_eq!(lab.told(), ["deny 192.168.1.7 ssh deny policy-deny by no-ssh"]);
    // An error about a session that nobody knows is a session like any other.
    let stranger = Connection::new(CLIENT, 50_001, SERVER);
    let quoted = stranger.stray(true, TcpFlags::ACK, 0, b"");
    assert_eq!(
        lab.send(&ethernet_icmp_error(&router, 3, 4, &quoted[14..])),
        Fate::Forwarded
    );
    lab.assert_sessions([1, 0, 1], 0, 0, 0);
    lab.assert_frames(5, 0, &[("policy-deny", 2)]);
}

#[test]
fn an_icmp_error_does_not_keep_its_session_alive() {
    let mut lab = Lab::new(&Plan::default());
    let open = open(&mut lab);
    let quoted = open.stray(true, TcpFlags::ACK, 0, b"");
    let error = ethernet_icmp_error(
        &ends("203.0.113.1", 0, &format!("{CLIENT}:0")),
        3,
        4,
        &quoted[14..],
    );
    lab.wait(3599);
    assert_eq!(lab.send(&error), Fate::Forwarded);
    lab.wait(1);
    assert_eq!(lab.told(), ["end 192.168.1.7 incomplete allow aged-out by all"]);
    lab.assert_frames(4, 0, &[]);
}
