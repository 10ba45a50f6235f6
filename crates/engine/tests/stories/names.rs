//! A client's word for its server keeps a session closed only where DNS has said the same.

use packet::{build, build::ethernet_udp};

use crate::{
    lab::{Fate, Lab, Plan},
    quarantine::{ends, query},
    tcp::Connection,
};

const CLIENT: &str = "192.168.1.2";
const RESOLVER: &str = "203.0.113.53";
const BANK: &str = "198.51.100.7";
const ELSEWHERE: &str = "198.51.100.66";
const NAME: &str = "www.bank.example";

/// An answer to a query: these names, one the alias of the one before, and where the last of them is.
fn reply(query: &[u8], aliases: &[&str], address: &str) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] = 0x81;
    message[3] = 0x80;
    message[7] = u8::try_from(aliases.len() + 1).unwrap();
    let mut owner = 12;
    for alias in aliases {
        let target: Vec<u8> = alias
            .split('.')
            .flat_map(|label| [&[u8::try_from(label.len()).unwrap()][..], label.as_bytes()].concat())
            .chain([0])
            .collect();
        record(&mut message, owner, 5, &target);
        owner = message.len() - target.len();
    }
    let address: std::net::Ipv4Addr = address.parse().unwrap();
    record(&mut message, owner, 1, &address.octets());
    message
}

fn record(message: &mut Vec<u8>, owner: usize, kind: u16, data: &[u8]) {
    message.extend((0xC000 | u16::try_from(owner).unwrap()).to_be_bytes());
    message.extend([kind.to_be_bytes(), [0, 1], [0, 0], [0, 60]].concat());
    message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    message.extend_from_slice(data);
}

/// Asks `server` for a name from a port of its own, and hears what it says.
fn look_up(lab: &mut Lab, server: &str, name: &str, answer: impl FnOnce(&[u8]) -> Vec<u8>) {
    let ends = ask(lab, server, name);
    let query = query(name, 1);
    assert_eq!(
        lab.send(&ethernet_udp(&ends.reversed(), &answer(&query))),
        Fate::Forwarded
    );
}

fn ask(lab: &mut Lab, server: &str, name: &str) -> build::Ends {
    lab.wait(1);
    let port = 40_000 + u16::try_from(lab.now.as_nanos() / 1_000_000_000 % 20_000).unwrap();
    let ends = ends(CLIENT, port, &format!("{server}:53"));
    assert_eq!(lab.send(&ethernet_udp(&ends, &query(name, 1))), Fate::Forwarded);
    ends
}

/// Opens a TLS session and has it end; the decryption rule that has decided on it.
fn rule_for(lab: &mut Lab, server: &str, name: &str) -> String {
    lab.wait(1);
    let port = 20_000 + u16::try_from(lab.now.as_nanos() / 1_000_000_000 % 20_000).unwrap();
    let mut open = Connection::open(lab, CLIENT, port, &format!("{server}:443"));
    assert_eq!(open.client_says(lab, &hello(name)), Fate::Forwarded);
    open.client(lab, packet::TcpFlags::RST | packet::TcpFlags::ACK, b"");
    lab.wait(20);
    let told = lab.records();
    let rules: Vec<&str> = told
        .iter()
        .filter(|record| record["type"] == "decryption" && record["dst"] == server)
        .map(|record| record["policy_name"].as_str().unwrap())
        .collect();
    let [rule] = rules[..] else { panic!("{rules:?}") };
    rule.to_owned()
}

fn hello(name: &str) -> Vec<u8> {
    let sized = |size: usize, bytes: &[u8]| -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[4 - size..], bytes].concat()
    };
    let names = sized(2, &[&[0][..], &sized(2, name.as_bytes())].concat());
    let extension = [&[0, 0][..], &sized(2, &names)].concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &sized(2, &[0x13, 1]),
        &[1, 0],
        &sized(2, &extension),
    ]
    .concat();
    let message = [&[1][..], &sized(3, &body)].concat();
    [&[22, 3, 1][..], &sized(2, &message)].concat()
}

fn lab(resolvers: Vec<&'static str>) -> Lab {
    Lab::new(&Plan {
        verifying: Some(resolvers),
        ..Plan::default()
    })
}

#[test]
fn a_name_is_believed_where_dns_has_said_the_same() {
    let mut lab = lab(Vec::new());
    assert_eq!(
        rule_for(&mut lab, BANK, NAME),
        "open",
        "nobody has said where it is"
    );
    assert_eq!(lab.doubted(), 1);
    look_up(&mut lab, RESOLVER, NAME, |query| {
        reply(query, &["a.cdn.example", "b.cdn.example"], BANK)
    });
    assert_eq!(rule_for(&mut lab, BANK, "WWW.Bank.example"), "private");
    assert_eq!(
        rule_for(&mut lab, BANK, "other.bank.example"),
        "open",
        "another name"
    );
    assert_eq!(rule_for(&mut lab, ELSEWHERE, NAME), "open", "a lie");
    assert_eq!(
        rule_for(&mut lab, ELSEWHERE, "shop.example"),
        "open",
        "nothing rests on it"
    );
    assert_eq!(lab.doubted(), 3);
    lab.wait(24 * 3600);
    assert_eq!(rule_for(&mut lab, BANK, NAME), "open", "a day later");
}

#[test]
fn an_answer_that_nobody_asked_for_says_nothing() {
    let mut lab = lab(Vec::new());
    look_up(&mut lab, RESOLVER, NAME, |query| {
        let mut forged = reply(query, &[], ELSEWHERE);
        forged[1] ^= 1;
        forged
    });
    look_up(&mut lab, RESOLVER, "shop.example", |_| {
        reply(&query(NAME, 1), &[], ELSEWHERE)
    });
    // The right answer to another question, with a word about the bank beside it.
    look_up(&mut lab, RESOLVER, "shop.example", |query| {
        let mut answer = reply(query, &["www.bank.example"], BANK);
        let bank = answer.len() - 16 - 18;
        record(&mut answer, bank, 1, &[198, 51, 100, 66]);
        answer[7] = 3;
        answer
    });
    assert_eq!(rule_for(&mut lab, ELSEWHERE, NAME), "open");
    let ends = ask(&mut lab, RESOLVER, NAME);
    let answer = reply(&query(NAME, 1), &[], BANK);
    assert_eq!(
        lab.send(&ethernet_udp(&ends.reversed(), &answer)),
        Fate::Forwarded
    );
    let second = reply(&query(NAME, 1), &[], ELSEWHERE);
    assert_eq!(
        lab.send(&ethernet_udp(&ends.reversed(), &second)),
        Fate::Forwarded
    );
    assert_eq!(rule_for(&mut lab, BANK, NAME), "private");
    assert_eq!(
        rule_for(&mut lab, ELSEWHERE, NAME),
        "open",
        "it was answered once already"
    );
}

#[test]
fn where_resolvers_are_listed_no_other_counts() {
    let mut lab = lab(vec![RESOLVER]);
    look_up(&mut lab, "203.0.113.66", NAME, |query| {
        reply(query, &[], ELSEWHERE)
    });
    assert_eq!(
        rule_for(&mut lab, ELSEWHERE, NAME),
        "open",
        "the client's own server"
    );
    look_up(&mut lab, RESOLVER, NAME, |query| reply(query, &[], BANK));
    assert_eq!(rule_for(&mut lab, BANK, NAME), "private");
}

#[test]
fn a_listed_resolver_is_believed_what_it_is_answered() {
    let mut lab = lab(vec![CLIENT]);
    look_up(&mut lab, "203.0.113.1", NAME, |query| reply(query, &[], BANK));
    assert_eq!(rule_for(&mut lab, BANK, NAME), "private");
}

#[test]
fn what_a_tag_lets_by_unopened_is_counted_for_it() {
    let mut lab = lab(vec![RESOLVER]);
    assert_eq!(rule_for(&mut lab, ELSEWHERE, "shop.example"), "open");
    assert_eq!(lab.passed_under(ELSEWHERE), (0, 0));
    lab.tag(ELSEWHERE, "decrypt-error");
    assert_eq!(rule_for(&mut lab, ELSEWHERE, "shop.example"), "bypass");
    let (sessions, bytes) = lab.passed_under(ELSEWHERE);
    assert_eq!(sessions, 1);
    assert!(bytes > 200, "{bytes}");
    let name = format!("{ELSEWHERE} name=shop.example");
    assert_eq!(lab.passed_under(&name), (sessions, bytes));
    assert_eq!(
        lab.passed_under(&format!("{ELSEWHERE} name=other.example")),
        (0, 0)
    );
    assert_eq!(
        lab.hits("all", "bypass"),
        [Some((2, 2 * bytes)), Some((1, bytes))]
    );
    // What stays closed anyway is no tag's doing.
    look_up(&mut lab, RESOLVER, NAME, |query| reply(query, &[], BANK));
    lab.tag(BANK, "decrypt-error");
    assert_eq!(rule_for(&mut lab, BANK, NAME), "private");
    assert_eq!(lab.passed_under(BANK), (0, 0));
}

#[test]
fn a_name_that_carries_a_tag_must_be_known_as_well() {
    let mut lab = lab(Vec::new());
    lab.tag(&format!("{ELSEWHERE} name=app.example"), "decrypt-error");
    assert_eq!(rule_for(&mut lab, ELSEWHERE, "app.example"), "open");
    look_up(&mut lab, RESOLVER, "app.example", |query| {
        reply(query, &[], ELSEWHERE)
    });
    assert_eq!(rule_for(&mut lab, ELSEWHERE, "app.example"), "bypass");
    assert_eq!(lab.passed_under(ELSEWHERE).0, 1);
}
