//! Sessions that turn to TLS as their protocols have it.

use packet::TcpFlags;

use crate::lab::{
    End::{Client, Server},
    Lab, Sent, hello, is_hello,
};

const GREETING: &[u8] = b"220 mail.example ESMTP\r\n";
const CAPABILITIES: &[u8] = b"250-mail.example\r\n250 STARTTLS\r\n";

/// A session of mail, up to where TLS is granted.
fn mail() -> Lab {
    let mut lab = Lab::new(25);
    lab.say(Server, GREETING);
    lab.say(Client, b"EHLO client.example\r\n");
    lab.say(Server, CAPABILITIES);
    lab.say(Client, b"STARTTLS\r\n");
    lab.say(Server, b"220 Ready\r\n");
    assert_eq!(lab.counters().consumed, 0, "plaintext goes through untouched");
    assert_eq!(lab.heard[1], b"EHLO client.example\r\nSTARTTLS\r\n");
    assert_eq!(lab.heard[0], [GREETING, CAPABILITIES, b"220 Ready\r\n"].concat());
    lab
}

/// The server has got a hello of our own where the client's would have stood, and the client waits.
fn opened(lab: &Lab, before: &[u8], theirs: &[u8]) {
    let ours = lab.heard[1].strip_prefix(before).unwrap();
    assert!(is_hello(ours) && ours != theirs, "{ours:02x?}");
    assert_eq!((lab.counters().adopted, lab.counters().held), (1, 0));
}

#[test]
fn a_session_of_mail_is_opened_where_tls_begins() {
    let mut lab = mail();
    let before = lab.heard[1].clone();
    let theirs = hello("mail.example");
    let [at, got] = [lab.next[0], lab.got[0]];
    let arrived = lab.say(Client, &theirs);
    opened(&lab, &before, &theirs);
    let to_server = arrived.iter().find(|segment| segment.at == Server).unwrap();
    assert_eq!((to_server.seq, to_server.ack), (at, got), "where the client was");
    let to_client = arrived.iter().rev().find(|segment| segment.at == Client).unwrap();
    assert_eq!(
        (to_client.seq, to_client.ack),
        (got, lab.next[0]),
        "its hello has come"
    );
    // No end takes back what the other had allowed: 500 units of 128.
    assert!(to_client.ack.wrapping_add(to_client.window).wrapping_sub(at) >= 64_000);
    assert!(to_server.ack.wrapping_add(to_server.window).wrapping_sub(got) >= 64_000);
    // The server says no.
    lab.say(Server, b"\x15\x03\x03\x00\x02\x02\x28");
    assert_eq!(
        lab.told(),
        [
            "decryption smtp decrypt-unsupport-param: the server ended the handshake (handshake_failure)",
            "traffic smtp decrypt-unsupport-param"
        ],
        "mail stays mail"
    );
}

#[test]
fn a_name_that_stays_closed_passes_untouched() {
    for piece in [300, 5000] {
        let mut lab = mail();
        let theirs = hello("bank.example");
        for part in theirs.chunks(piece) {
            lab.say(Client, part);
        }
        assert!(lab.heard[1].ends_with(&theirs));
        lab.say(Server, b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03");
        lab.say(Client, b"\x14\x03\x03\x00\x01\x01");
        let counters = lab.counters();
        assert_eq!((counters.adopted, counters.held, counters.consumed), (0, 0, 0));
        assert_eq!(lab.told().last().unwrap(), "traffic smtp unknown");
    }
}

#[test]
fn a_hello_in_pieces_is_held_until_it_is_whole() {
    for piece in [1, 3, 100, 400] {
        let mut lab = mail();
        let before = lab.heard[1].clone();
        let theirs = hello("mail.example");
        for part in theirs.chunks(piece) {
            lab.say(Client, part);
        }
        opened(&lab, &before, &theirs);
    }
}

#[test]
fn a_hello_whose_second_half_comes_first_is_held_as_well() {
    let mut lab = mail();
    let before = lab.heard[1].clone();
    let theirs = hello("mail.example");
    let (first, second) = theirs.split_at(100);
    let at = lab.next[0];
    let part = |seq: u32, payload: &[u8]| Sent {
        seq: Some(seq),
        payload: payload.to_vec(),
        ..Sent::default()
    };
    assert!(lab.send(Client, &part(at.wrapping_add(100), second)).is_empty());
    lab.next[0] = at.wrapping_add(u32::try_from(theirs.len()).unwrap());
    lab.send(Client, &part(at, first));
    opened(&lab, &before, &theirs);
}

/// What is sent behind the command without waiting stays here, until the server has nothing more to say to it.
#[test]
fn a_client_that_does_not_wait_is_opened_too() {
    let mut lab = Lab::new(25);
    lab.say(Server, GREETING);
    let theirs = hello("mail.example");
    let command = b"STARTTLS\r\n";
    lab.acknowledges = false;
    let arrived = lab.say(Client, &[&command[..], &theirs].concat());
    assert_eq!(arrived[0].payload, command);
    assert_eq!(lab.heard[1], command, "not a byte of the hello");
    lab.acknowledges = true;
    lab.say(Server, b"220 Ready\r\n");
    opened(&lab, command, &theirs);
    // It says more to the command before it speaks TLS.
    lab.say(Server, b"250 and so on\r\n");
    assert!(lab.heard[0].ends_with(b"220 Ready\r\n250 and so on\r\n"));
    lab.say(Server, b"\x15\x03\x03\x00\x02\x02\x28");
    assert_eq!(
        lab.told()[0],
        "decryption smtp decrypt-unsupport-param: the server ended the handshake (handshake_failure)"
    );
}

/// The server never got the command: the client sends everything again, and only the command goes on.
#[test]
fn a_command_that_was_lost_is_sent_again() {
    let mut lab = Lab::new(25);
    lab.say(Server, GREETING);
    let theirs = hello("mail.example");
    let all = Sent {
        seq: Some(lab.next[0]),
        payload: [&b"STARTTLS\r\n"[..], &theirs[..300]].concat(),
        ..Sent::default()
    };
    let frame = lab.frame(Client, &all);
    for _ in 0..2 {
        let (_, arrived) = lab.take(Client, &frame);
        assert_eq!(arrived.len(), 1);
        assert_eq!(
            (arrived[0].at, &*arrived[0].payload),
            (Server, &b"STARTTLS\r\n"[..])
        );
    }
    assert_eq!(lab.counters().held, 1);
}

#[test]
fn a_tunnel_is_judged_by_the_host_that_is_asked_for() {
    let unnamed = hello("192.0.2.1");
    for (port, request, answer, stays_closed) in [
        (
            3128,
            &b"CONNECT bank.example:443 HTTP/1.1\r\nHost: www.example\r\n\r\n"[..],
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            true,
        ),
        (
            3128,
            b"CONNECT www.example:443 HTTP/1.1\r\nHost: bank.example\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            false,
        ),
        (
            1080,
            b"\x04\x01\x01\xbb\0\0\0\x01\0bank.example\0",
            b"\0\x5a\0\0\0\0\0\0",
            true,
        ),
        (
            1080,
            b"\x04\x01\x01\xbb\xc0\0\x02\x01\0",
            b"\0\x5a\0\0\0\0\0\0",
            false,
        ),
    ] {
        let mut lab = Lab::new(port);
        lab.say(Client, request);
        lab.say(Server, answer);
        lab.say(Client, &unnamed);
        assert_eq!(lab.counters().adopted == 0, stays_closed, "{request:?}");
        assert_eq!(lab.heard[1].ends_with(&unnamed), stays_closed, "{request:?}");
    }
}

/// A server that has said more than the client has heard could not say it again once its TLS is ours.
#[test]
fn nothing_is_taken_over_while_something_is_under_way() {
    let mut lab = mail();
    let before = lab.heard[1].clone();
    lab.acknowledges = false;
    let got = lab.got[0];
    lab.say(Server, b"250 one thing more\r\n");
    let theirs = hello("mail.example");
    lab.send(
        Client,
        &Sent {
            ack: Some(got),
            payload: theirs.clone(),
            ..Sent::default()
        },
    );
    assert_eq!((lab.counters().adopted, lab.counters().held), (0, 1));
    lab.acknowledges = true;
    let arrived = lab.send(Client, &Sent::default());
    opened(&lab, &before, &theirs);
    let to_client = arrived.iter().rev().find(|segment| segment.at == Client).unwrap();
    assert_eq!(to_client.seq, lab.got[0]);
}

#[test]
fn what_stays_plain_passes_as_it_is() {
    let mut lab = Lab::new(80);
    let upload: Vec<u8> = (0..60_000_u32)
        .map(|byte| ((byte * 31) >> 3).to_le_bytes()[0])
        .collect();
    let mut said = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 60000\r\n\r\n".to_vec();
    said.extend(&upload);
    for _ in 0..3 {
        lab.say(Client, &said);
        lab.say(Server, &[b"HTTP/1.1 200 OK\r\n\r\n", &upload[..]].concat());
    }
    assert_eq!(lab.heard[1], said.repeat(3));
    let counters = lab.counters();
    assert_eq!((counters.consumed, counters.held, counters.answered), (0, 0, 0));
    lab.send(
        Client,
        &Sent {
            flags: TcpFlags::FIN.0,
            ..Sent::default()
        },
    );
    assert_eq!(lab.told(), ["traffic web-browsing tcp-fin"]);
}

/// Segments of an upload that overtake each other are not held back.
#[test]
fn a_hole_in_an_upload_holds_nothing() {
    let mut lab = Lab::new(80);
    lab.say(Client, b"POST / HTTP/1.1\r\n\r\n");
    let at = lab.next[0];
    for place in [2, 1, 0] {
        let sent = Sent {
            seq: Some(at.wrapping_add(place * 1000)),
            payload: vec![7; 1000],
            ..Sent::default()
        };
        let frame = lab.frame(Client, &sent);
        let (_, arrived) = lab.take(Client, &frame);
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].frame, frame);
    }
}
