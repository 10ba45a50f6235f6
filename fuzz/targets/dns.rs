//! DNS messages: a forged reply reads as a reply to its question; over TCP no cut changes what is read.
#![no_main]

use inspect::dns::{self, SinkholeAnswer, TcpMessages};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&cut, message)) = data.split_first() else {
        return;
    };
    let answer = SinkholeAnswer {
        ipv4: Some([192, 0, 2, 1].into()),
        ipv6: (cut & 1 == 0).then(|| [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
        fqdn: (cut & 2 == 0).then(|| "sinkhole.example".parse().unwrap()),
    };
    let mut out = Vec::new();
    if let Some(query) = dns::parse_query(message) {
        dns::sinkhole_reply(&query, &answer, &mut out);
        let reply = dns::parse_response(&out).expect("a forged reply is a reply");
        let asked = query.questions().map(|question| question.name);
        assert!(reply.questions().map(|question| question.name).eq(asked));
    }
    if let Some(response) = dns::parse_response(message) {
        let _ = (response.aliases().count(), response.addresses().count());
        dns::sinkhole_response(&response, &answer, &mut out);
        let replaced = dns::parse_response(&out).expect("a replaced reply is a reply");
        assert_eq!(replaced.id(), response.id());
    }
    let read = |pieces: [&[u8]; 2]| {
        let (mut stream, mut messages) = (TcpMessages::new(64), Vec::new());
        for piece in pieces {
            stream.push(piece, &mut |message| messages.push(message.to_vec()));
        }
        (messages, stream.pending(), stream.cut())
    };
    let (first, second) = message.split_at(usize::from(cut).min(message.len()));
    assert_eq!(read([message, &[]]), read([first, second]));
});
