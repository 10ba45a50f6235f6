use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{
    Edns as HickoryEdns, Message, MessageType, OpCode, Query as HickoryQuery, ResponseCode,
};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, rdata};
use proptest::prelude::*;

use super::*;

fn query(name: &str, qtype: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(HickoryQuery::query(Name::from_ascii(name).unwrap(), qtype));
    message
}

fn guide() -> SinkholeAnswer {
    SinkholeAnswer {
        ipv4: Some(Ipv4Addr::new(72, 5, 65, 111)),
        ipv6: Some("2600:5200::1".parse().unwrap()),
        fqdn: Some("sinkhole.paloaltonetworks.com".parse().unwrap()),
    }
}

fn reply_to(bytes: &[u8], answer: &SinkholeAnswer) -> Message {
    let mut out = vec![0xff; 3];
    sinkhole_reply(&parse_query(bytes).unwrap(), answer, &mut out);
    Message::from_vec(&out).unwrap()
}

#[test]
fn an_address_question_gets_alias_and_address() {
    for (qtype, address) in [
        (RecordType::A, RData::A(rdata::A(Ipv4Addr::new(72, 5, 65, 111)))),
        (
            RecordType::AAAA,
            RData::AAAA(rdata::AAAA("2600:5200::1".parse().unwrap())),
        ),
    ] {
        let bytes = query("GolfSource.us.", qtype).to_vec().unwrap();
        let reply = reply_to(&bytes, &guide());
        assert_eq!(reply.metadata.id, 0x1234);
        assert_eq!(reply.metadata.message_type, MessageType::Response);
        assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
        assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
        assert!(
            !reply.metadata.authentic_data && !reply.metadata.authoritative && !reply.metadata.truncation
        );
        assert_eq!(reply.queries[0].name().to_ascii(), "GolfSource.us.");
        let sinkhole = Name::from_ascii("sinkhole.paloaltonetworks.com.").unwrap();
        let [alias, last] = reply.answers.as_slice() else {
            panic!("two records are wanted, got {:?}", reply.answers)
        };
        assert_eq!(alias.data, RData::CNAME(rdata::CNAME(sinkhole.clone())));
        assert_eq!((alias.ttl, last.ttl), (SINKHOLE_TTL, SINKHOLE_TTL));
        assert_eq!((&last.name, &last.data), (&sinkhole, &address));
        assert!(reply.edns.is_none());
    }
}

#[test]
fn other_types_and_classes_get_no_records() {
    for qtype in [
        RecordType::HTTPS,
        RecordType::SVCB,
        RecordType::TXT,
        RecordType::ANY,
        RecordType::CNAME,
    ] {
        let reply = reply_to(&query("a.example.", qtype).to_vec().unwrap(), &guide());
        assert_eq!(
            (reply.metadata.response_code, reply.answers.len()),
            (ResponseCode::NoError, 0),
            "{qtype}"
        );
    }
    let mut chaos = query("a.example.", RecordType::A);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(reply_to(&chaos.to_vec().unwrap(), &guide()).answers.len(), 0);
}

#[test]
fn without_an_alias_the_asked_name_carries_the_address() {
    let answer = SinkholeAnswer {
        fqdn: None,
        ..guide()
    };
    let reply = reply_to(&query("a.Example.", RecordType::A).to_vec().unwrap(), &answer);
    assert_eq!(reply.answers.len(), 1);
    assert_eq!(reply.answers[0].name, Name::from_ascii("a.example.").unwrap());
    // Nor is a name made an alias of itself.
    let own = query("Sinkhole.paloaltonetworks.com.", RecordType::A)
        .to_vec()
        .unwrap();
    assert_eq!(reply_to(&own, &guide()).answers.len(), 1);
    // A family without an address has no records.
    let v4_only = SinkholeAnswer {
        ipv6: None,
        ..guide()
    };
    assert_eq!(
        reply_to(&query("a.", RecordType::AAAA).to_vec().unwrap(), &v4_only)
            .answers
            .len(),
        0
    );
}

#[test]
fn edns_is_answered_where_asked() {
    let mut asked = query("a.example.", RecordType::A);
    let mut edns = HickoryEdns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true).set_version(0);
    asked.edns = Some(edns);
    let bytes = asked.to_vec().unwrap();
    assert_eq!(
        parse_query(&bytes).unwrap().edns(),
        Some(Edns {
            udp_size: 4096,
            dnssec_ok: true
        })
    );
    let edns = reply_to(&bytes, &guide()).edns.unwrap();
    assert_eq!(
        (edns.max_payload(), edns.version(), edns.flags().dnssec_ok),
        (1232, 0, true)
    );
}

#[test]
fn a_response_leads_along_its_aliases_in_any_order() {
    let mut message = query("a.example.", RecordType::A);
    message.metadata.message_type = MessageType::Response;
    let name = |text| Name::from_ascii(text).unwrap();
    let alias = |from, to| Record::from_rdata(name(from), 60, RData::CNAME(rdata::CNAME(name(to))));
    message.add_answer(Record::from_rdata(
        name("d.example."),
        60,
        RData::A(rdata::A(Ipv4Addr::LOCALHOST)),
    ));
    // Whoever asked for `a.example` was not told where this one is.
    message.add_answer(Record::from_rdata(
        name("bank.example."),
        60,
        RData::A(rdata::A(Ipv4Addr::new(192, 0, 2, 66))),
    ));
    message.add_answer(alias("c.example.", "d.example."));
    message.add_answer(alias("stranger.example.", "else.example."));
    message.add_answer(alias("A.example.", "b.example."));
    message.add_answer(alias("b.example.", "C.example."));
    let bytes = message.to_vec().unwrap();
    let response = parse_response(&bytes).unwrap();
    let aliases: Vec<String> = response
        .aliases()
        .map(|name| name.to_string().to_ascii_lowercase())
        .collect();
    assert_eq!(aliases, ["b.example", "c.example", "d.example"]);
    assert_eq!(
        response.addresses().collect::<Vec<IpAddr>>(),
        [IpAddr::from(Ipv4Addr::LOCALHOST)]
    );

    let mut out = Vec::new();
    sinkhole_response(&response, &guide(), &mut out);
    let reply = Message::from_vec(&out).unwrap();
    assert_eq!((reply.metadata.id, reply.answers.len()), (0x1234, 2));
    // A loop ends at the bound.
    let mut looped = query("a.example.", RecordType::A);
    looped.metadata.message_type = MessageType::Response;
    looped.add_answer(alias("a.example.", "a.example."));
    assert_eq!(
        parse_response(&looped.to_vec().unwrap())
            .unwrap()
            .aliases()
            .count(),
        MAX_ALIASES
    );
}

fn labels() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6)
}

proptest! {
    #[test]
    fn reads_what_hickory_writes(
        id: u16,
        names in prop::collection::vec(labels(), 1..=4),
        qtype: u16,
        class in prop_oneof![Just(1_u16), any::<u16>()],
        edns: Option<(u16, bool)>,
    ) {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        for labels in &names {
            let name = Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
            let mut question = HickoryQuery::query(name, RecordType::from(qtype));
            question.set_query_class(DNSClass::from(class));
            message.add_query(question);
        }
        message.edns = edns.map(|(size, dnssec)| {
            let mut edns = HickoryEdns::new();
            edns.set_max_payload(size).set_dnssec_ok(dnssec);
            edns
        });
        let bytes = message.to_vec().unwrap();
        let query = parse_query(&bytes).unwrap();
        prop_assert_eq!(query.id(), id);
        prop_assert_eq!(query.questions().count(), names.len());
        for (question, labels) in query.questions().zip(&names) {
            prop_assert_eq!(question.name.labels().map(<[u8]>::to_vec).collect::<Vec<_>>(), labels.clone());
            prop_assert_eq!((question.qtype, question.qclass), (qtype, class));
        }
        prop_assert_eq!(query.edns().is_some(), edns.is_some());
        let reply = reply_to(&bytes, &guide());
        prop_assert_eq!(reply.queries, message.queries);
    }

    #[test]
    fn no_bytes_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), response: bool, few: bool) {
        if few && bytes.len() >= 12 {
            // Past the header's checks, into the walkers.
            bytes[2..12].copy_from_slice(&[if response { 0x80 } else { 0 }, 0, 0, 1, 0, 3, 0, 1, 0, 1]);
        }
        if let Some(query) = parse_query(&bytes) {
            let mut out = Vec::new();
            sinkhole_reply(&query, &guide(), &mut out);
            prop_assert!(query.questions().count() >= 1);
            prop_assert!(parse_response(&out).is_some());
        }
        if let Some(response) = parse_response(&bytes) {
            let _ = (response.aliases().count(), response.addresses().count());
        }
        let _ = looks_like_dns_tcp(&bytes);
    }

    #[test]
    fn tcp_messages_do_not_depend_on_the_cuts(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
        cuts in prop::collection::vec(0_usize..400, 0..12),
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(message);
        }
        let bound = 40;
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < stream.len()).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut splitter = TcpMessages::new(bound);
        let mut delivered = Vec::new();
        for piece in cuts.windows(2) {
            splitter.push(&stream[piece[0]..piece[1]], &mut |message| delivered.push(message.to_vec()));
            prop_assert!(splitter.pending() <= bound + 2);
        }
        let wanted: Vec<Vec<u8>> = messages
            .iter()
            .filter(|message| !message.is_empty())
            .map(|message| message[..message.len().min(bound)].to_vec())
            .collect();
        prop_assert_eq!(delivered, wanted);
        let long = messages.iter().filter(|message| message.len() > bound).count();
        prop_assert_eq!(splitter.cut(), u64::try_from(long).unwrap());
        prop_assert_eq!(splitter.pending(), 0);
    }
}

/// A pointer may lead into labels that run on over it, into what stands behind the question. Servers
/// answer such queries, so they are matched; the reply must not depend on bytes that it does not have.
#[test]
fn a_name_that_runs_over_its_own_pointer_is_answered_as_it_was_read() {
    let mut bytes = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01".to_vec();
    bytes.extend_from_slice(b"\x03a\x06b\xc0\x0e\0\x01\0\x01");
    bytes.extend_from_slice(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    let query = parse_query(&bytes).unwrap();
    let mut out = Vec::new();
    sinkhole_reply(&query, &guide(), &mut out);
    let reply = parse_response(&out).expect("a reply");
    let names = |questions: &mut dyn Iterator<Item = Question>| -> Vec<_> {
        questions
            .map(|question| (question.name, question.qtype, question.qclass))
            .collect()
    };
    assert_eq!(names(&mut reply.questions()), names(&mut query.questions()));
    assert_eq!((reply.aliases().count(), reply.addresses().count()), (1, 1));
}
