//! Refused at once or later, in silence or by resets that a real stack accepts.

use packet::{Checksums, LinkType, TcpFlags, Transport, parse};
use policy::{Action, AppId};

use crate::{
    lab::{Fate, Lab, Plan},
    tcp::Connection,
};

const CLIENT: &str = "192.168.1.7";
const SERVER: &str = "198.51.100.9:4000";

/// What a reset says: to which port it goes, its number, its acknowledgement.
fn resets(fate: Fate) -> Vec<(u16, u32, Option<u32>)> {
    let Fate::Answered(sent) = fate else {
        panic!("{fate:?}")
    };
    let read = sent.iter().map(|frame| {
        let packet = parse(LinkType::Ethernet, frame, frame.len(), Checksums::Verify).unwrap();
        let Transport::Tcp(tcp) = packet.ip().unwrap().transport else {
            panic!("no TCP")
        };
        assert!(tcp.flags.rst() && !tcp.flags.syn() && !tcp.flags.fin());
        (tcp.dport, tcp.seq, tcp.flags.ack().then_some(tcp.ack))
    });
    read.collect()
}

fn plan(action: Action, app: AppId) -> Plan {
    Plan {
        refused: vec![("refused", action, app)],
        ..Plan::default()
    }
}

#[test]
fn resets_carry_the_numbers_their_receivers_expect() {
    // The banner never gets through: the server has sent nothing that the client has seen, and the client's
    // ten bytes are what its server has seen of it.
    for (action, to_client, to_server) in [
        (Action::ResetClient, true, false),
        (Action::ResetServer, false, true),
        (Action::ResetBoth, true, true),
    ] {
        let mut lab = Lab::new(&plan(action, AppId::SSH));
        let mut open = Connection::open(&mut lab, CLIENT, 50_000, SERVER);
        let [client, server] = open.next;
        let sent = resets(open.client_says(&mut lab, b"SSH-2.0-OpenSSH_9.6\r\n"));
        let mut expected = Vec::new();
        if to_client {
            expected.push((50_000, server, Some(client + 21)));
        }
        if to_server {
            expected.push((4000, client, Some(server)));
        }
        assert_eq!(sent, expected, "{action:?}");
        let name = action.name();
        assert_eq!(
            lab.told(),
            [format!("deny 192.168.1.7 ssh {name} policy-deny by refused")]
        );
        // What follows is answered likewise, without a word; resets are never answered.
        assert_eq!(resets(open.client_says(&mut lab, b"again")).len(), expected.len());
        let reset = open.stray(true, TcpFlags::RST, 0, b"");
        assert_eq!(lab.send(&reset), Fate::Dropped("policy-deny"));
        assert_eq!(lab.told(), [""; 0]);
        lab.assert_frames(3, 2, &[("policy-deny", 1)]);
        lab.assert_sessions([1, 0, 0], 0, 0, 0);
    }
}

#[test]
fn a_server_that_gives_itself_away_is_refused_as_its_client_is() {
    let mut lab = Lab::new(&plan(Action::ResetBoth, AppId::SSH));
    let mut open = Connection::open(&mut lab, CLIENT, 50_000, SERVER);
    open.client_says(&mut lab, b"\x01\x02\x03");
    let [client, server] = open.next;
    let sent = resets(open.server_says(&mut lab, b"SSH-2.0-OpenSSH_9.6\r\n"));
    assert_eq!(
        sent,
        [(50_000, server, Some(client)), (4000, client, Some(server + 21))]
    );
    lab.assert_frames(4, 1, &[]);
}

#[test]
fn a_refused_syn_is_reset_as_a_closed_port_would() {
    for (quarantine, answered) in [
        (Action::ResetBoth, true),
        (Action::ResetServer, false),
        (Action::Drop, false),
    ] {
        let plan = Plan {
            quarantine,
            ..Plan::default()
        };
        let mut lab = Lab::new(&plan);
        infect(&mut lab);
        let mut refused = Connection::new(CLIENT, 50_000, SERVER);
        let fate = refused.client(&mut lab, TcpFlags::SYN, b"");
        // The server has not heard of it and needs no reset.
        if answered {
            assert_eq!(resets(fate), [(50_000, 0, Some(1001))]);
        } else {
            assert_eq!(fate, Fate::Dropped("policy-deny"));
        }
        let subtype = if quarantine == Action::Drop {
            "drop"
        } else {
            "deny"
        };
        let action = quarantine.name();
        assert_eq!(
            lab.told(),
            [format!(
                "{subtype} 192.168.1.7 not-applicable {action} policy-deny by quarantine"
            )]
        );
    }
}

fn infect(lab: &mut Lab) {
    use crate::quarantine::{ends, query};
    let query = query("golfsource.us", 1);
    let asked = packet::build::ethernet_udp(&ends(CLIENT, 40_000, "203.0.113.53:53"), &query);
    assert!(matches!(lab.send(&asked), Fate::Answered(_)));
    lab.told();
}

#[test]
fn a_running_session_is_cut_with_resets_where_the_rule_says_so() {
    let plan = Plan {
        quarantine: Action::ResetBoth,
        ..Plan::default()
    };
    let mut lab = Lab::new(&plan);
    let mut open = Connection::open(&mut lab, CLIENT, 50_000, SERVER);
    open.client_says(&mut lab, b"GET / HTTP/1.1\r\n\r\n");
    infect(&mut lab);
    let [client, server] = open.next;
    let sent = resets(open.server_says(&mut lab, b"HTTP/1.1 200 OK\r\n\r\n"));
    assert_eq!(
        sent,
        [(50_000, server, Some(client)), (4000, client, Some(server + 19))]
    );
    assert_eq!(
        lab.told(),
        ["end 192.168.1.7 web-browsing deny policy-deny by quarantine"]
    );
    lab.assert_frames(4, 2, &[]);
    lab.assert_sessions([1, 1, 0], 1, 1, 0);
}

/// A silent refusal ends by age and logs nothing more; a new attempt is refused and logged anew.
#[test]
fn a_refusal_is_remembered_for_as_long_as_it_is_retried() {
    let mut lab = Lab::new(&plan(Action::Deny, AppId::SSH));
    let mut open = Connection::open(&mut lab, CLIENT, 50_000, SERVER);
    let banner = open.stray(true, TcpFlags::PSH | TcpFlags::ACK, 0, b"SSH-2.0-x\r\n");
    assert_eq!(
        open.client_says(&mut lab, b"SSH-2.0-x\r\n"),
        Fate::Dropped("policy-deny")
    );
    assert_eq!(lab.told(), ["deny 192.168.1.7 ssh deny policy-deny by refused"]);
    for _ in 0..3 {
        lab.wait(89);
        assert_eq!(lab.send(&banner), Fate::Dropped("policy-deny"));
    }
    lab.wait(90);
    assert_eq!(lab.told(), [""; 0]);
    assert_eq!(lab.send(&banner), Fate::Dropped("policy-deny"));
    assert_eq!(lab.told(), ["deny 192.168.1.7 ssh deny policy-deny by refused"]);
    lab.assert_frames(3, 0, &[("policy-deny", 5)]);
    lab.assert_sessions([2, 0, 0], 0, 0, 0);
}
