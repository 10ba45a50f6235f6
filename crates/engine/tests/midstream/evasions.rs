//! Clients that want a session that nobody opens, with servers that know nothing of it.

use packet::TcpFlags;

use crate::lab::{
    End::{Client, Server},
    ISN, Lab, Sent, hello, is_hello,
};

/// The beginning of what a server answers to a hello.
const ANSWER: &[u8] = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03";

fn at(seq: u32, payload: &[u8]) -> Sent {
    Sent {
        seq: Some(seq),
        payload: payload.to_vec(),
        ..Sent::default()
    }
}

/// The session is ended, both ends are told, and the server's answer goes no further.
fn cut_at_the_answer(lab: &mut Lab) {
    let frame = lab.frame(
        Server,
        &Sent {
            payload: ANSWER.to_vec(),
            ..Sent::default()
        },
    );
    let (_, arrived) = lab.take(Server, &frame);
    assert_eq!(arrived.len(), 2, "{arrived:?}");
    assert!(
        arrived
            .iter()
            .all(|segment| segment.flags.rst() && segment.payload.is_empty())
    );
    let told = lab.told();
    assert!(
        told[0].starts_with("decryption")
            && told[0].ends_with("decrypt-error: TLS that was not seen to begin"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("traffic") && told[1].ends_with("decrypt-error"),
        "{told:?}"
    );
}

/// An empty segment may claim any number in the window: it says nothing of what has been sent.
#[test]
fn a_number_from_the_future_lets_no_hello_through() {
    let mut lab = Lab::new(443);
    let theirs = hello("www.example");
    let start = lab.next[0];
    lab.send(Client, &at(start.wrapping_add(5000), b""));
    lab.say(Client, &theirs);
    assert!(is_hello(&lab.heard[1]) && lab.heard[1] != theirs);
    assert_eq!(lab.counters().adopted, 1);
}

/// A hello that no server can have accepted yet settles nothing.
#[test]
fn a_hello_ahead_of_the_handshake_settles_nothing() {
    let mut lab = Lab::unopened(443);
    let theirs = hello("www.example");
    lab.send_syn(Client, 0, b"");
    lab.got[0] = 77;
    let start = lab.next[0];
    for sent in theirs.chunks(1448) {
        let frame = lab.frame(Client, &at(lab.next[0], sent));
        let (_, _) = lab.take(Client, &frame);
        lab.next[0] = lab.next[0].wrapping_add(u32::try_from(sent.len()).unwrap());
    }
    lab.send_syn(Server, 0, b"");
    let after = std::mem::replace(&mut lab.next[0], start);
    lab.send(Client, &Sent::default());
    lab.say(Client, &theirs);
    assert_eq!(
        (lab.next[0], &lab.heard[1]),
        (after, &theirs),
        "it was not taken over"
    );
    cut_at_the_answer(&mut lab);
}

/// The same in the midst of a hello.
#[test]
fn an_acknowledgment_between_two_halves_lets_neither_through() {
    let mut lab = Lab::new(443);
    let theirs = hello("www.example");
    let start = lab.next[0];
    let (first, second) = theirs.split_at(200);
    for _ in 0..2 {
        lab.send(Client, &at(start, first));
        lab.send(Client, &at(start.wrapping_add(200), b""));
        assert_eq!(lab.heard[1], b"");
    }
    lab.next[0] = start.wrapping_add(200);
    lab.say(Client, second);
    assert!(is_hello(&lab.heard[1]) && lab.heard[1] != theirs);
}

/// Data in a SYN, with or without a cookie, waits for the handshake.
#[test]
fn data_in_a_syn_decides_nothing() {
    let mut lab = Lab::unopened(443);
    let theirs = hello("www.example");
    let syn = lab.send_syn(Client, 0, &theirs);
    assert!(syn.iter().all(|segment| segment.payload.is_empty()), "{syn:?}");
    lab.send_syn(Server, 0, b"");
    lab.send(Client, &Sent::default());
    lab.say(Client, &theirs);
    assert!(is_hello(&lab.heard[1]) && lab.heard[1] != theirs);
    assert_eq!((lab.counters().adopted, lab.counters().not_adopted), (1, 0));
}

/// What passes here need not arrive: a packet can die on its way to the server, and its bytes be others the second time.
#[test]
fn a_hello_in_the_place_of_what_never_arrived_gets_no_answer() {
    let mut lab = Lab::new(443);
    let theirs = hello("www.example");
    let start = lab.next[0];
    let frame = lab.frame(Client, &at(start, &vec![b'A'; theirs.len()]));
    let (_, _) = lab.take(Client, &frame);
    let frame = lab.frame(Client, &at(start, &theirs));
    let (_, _) = lab.take(Client, &frame);
    lab.next[0] = start.wrapping_add(u32::try_from(theirs.len()).unwrap());
    lab.got[1] = lab.next[0];
    cut_at_the_answer(&mut lab);
}

/// A command that no other firewall knows, and the hello ahead of it.
#[test]
fn a_hello_that_overtakes_its_command_gets_no_answer() {
    let mut lab = Lab::new(2000);
    lab.say(Server, b"hello\n");
    lab.say(Client, b"please ");
    let start = lab.next[0];
    let theirs = hello("www.example");
    let frame = lab.frame(Client, &at(start.wrapping_add(8), &theirs));
    let (_, _) = lab.take(Client, &frame);
    let frame = lab.frame(Client, &at(start, b"upgrade\n"));
    let (_, _) = lab.take(Client, &frame);
    lab.next[0] = start.wrapping_add(8 + u32::try_from(theirs.len()).unwrap());
    lab.got[1] = lab.next[0];
    lab.say(Server, b"all right\n");
    cut_at_the_answer(&mut lab);
}

/// A binary protocol that nobody knows.
#[test]
fn a_hello_behind_bytes_that_mean_nothing_gets_no_answer() {
    let mut lab = Lab::new(2000);
    lab.say(Client, &[&[0xff, 0, 1][..], &hello("www.example")].concat());
    assert_eq!(lab.counters().adopted, 0);
    cut_at_the_answer(&mut lab);
}

/// TLS to a name that stays closed may begin as it likes.
#[test]
fn what_stays_closed_is_not_cut() {
    let mut lab = Lab::new(3128);
    lab.say(Client, b"GET / HTTP/1.1\r\nHost: bank.example\r\n\r\n");
    lab.say(Server, b"HTTP/1.1 200 OK\r\n\r\n");
    lab.say(Client, &[&[0xff, 0, 1][..], &hello("www.example")].concat());
    let arrived = lab.say(Server, ANSWER);
    assert_eq!(arrived[0].payload, ANSWER);
}

/// Whoever takes a connection over cannot answer for marks of congestion that it was not asked about.
#[test]
fn neither_end_marks_packets_of_what_may_be_opened() {
    let mut lab = Lab::unopened(443);
    let arrived = lab.send_syn(Client, 0xc0, b"");
    assert_eq!(arrived[0].flags, TcpFlags::SYN);
    assert_eq!(arrived[0].window, 64_000);
}

/// Anyone can make up a frame with the right addresses and ports.
#[test]
fn a_made_up_packet_redirects_nothing() {
    let mut lab = Lab::new(443);
    lab.say(Client, &hello("www.example"));
    assert_eq!(lab.counters().adopted, 1);
    let own = lab.frame(Server, &Sent::default());
    for sent in [
        at(lab.next[1].wrapping_add(1_000_000), b"x"),
        at(lab.next[1].wrapping_sub(1_000_000), b""),
        Sent {
            ack: Some(ISN[0].wrapping_sub(2_000_000)),
            payload: b"x".to_vec(),
            ..Sent::default()
        },
    ] {
        let mut frame = lab.frame(
            Server,
            &Sent {
                seq: Some(sent.seq.unwrap_or(lab.next[1])),
                ..sent
            },
        );
        frame[..12].copy_from_slice(&[2, 9, 9, 9, 9, 9, 2, 8, 8, 8, 8, 8]);
        let (_, _) = lab.take(Server, &frame);
    }
    // Something to say to the client: the server is told off, and the client with it.
    let arrived = lab.say(Server, b"\x15\x03\x03\x00\x02\x02\x28");
    let to_client = arrived.iter().find(|segment| segment.at == Client).unwrap();
    assert_eq!(to_client.frame[..12], own[..12]);
}
