//! HTTP sessions: no bytes panic, memory stays bounded, and in HTTP/1 what is allowed passes unchanged.
#![no_main]

use inspect::{
    dns::SinkholeAnswer,
    doh::{self, NameRuling},
    http::{DnsRuling, Event, HttpInspector, HttpVersion, Judge, Passage, Ruling},
};
use libfuzzer_sys::fuzz_target;

struct Resolver {
    answers: bool,
    asked: bool,
}

impl Judge for Resolver {
    fn event(&mut self, _: &Event<'_>) -> Ruling {
        Ruling::Allow
    }

    fn dns_query(&mut self, message: &[u8], reply: &mut Vec<u8>) -> DnsRuling {
        self.asked = true;
        let answer = SinkholeAnswer::default();
        let answers = self.answers;
        doh::query(message, reply, |_, _| {
            if answers {
                NameRuling::Sinkhole(&answer)
            } else {
                NameRuling::Pass
            }
        })
    }

    fn dns_reply(&mut self, message: &[u8], replacement: &mut Vec<u8>) -> DnsRuling {
        let answer = SinkholeAnswer::default();
        let answers = self.answers;
        doh::reply(message, replacement, answers, |_| {
            if answers {
                NameRuling::Sinkhole(&answer)
            } else {
                NameRuling::Pass
            }
        })
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, mut rest)) = data.split_first() else {
        return;
    };
    let version = [HttpVersion::Http1, HttpVersion::Http2, HttpVersion::Unknown][usize::from(choice) % 3];
    let mut inspector = HttpInspector::new(version);
    let mut judge = Resolver {
        answers: choice & 0x80 != 0,
        asked: false,
    };
    let (mut sent, mut came) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut cut = false;
    // Each piece is led by its direction and its length.
    while let Some((&head, tail)) = rest.split_first() {
        let from_client = head & 0x80 == 0;
        let (piece, more) = tail.split_at(usize::from(head & 0x7f).min(tail.len()));
        rest = more;
        let (mut onward, mut back) = (Vec::new(), Vec::new());
        match inspector.push(from_client, piece, &mut judge, &mut onward, &mut back) {
            Passage::Pass => came[usize::from(from_client)].extend_from_slice(piece),
            Passage::Replaced => came[usize::from(from_client)].extend_from_slice(&onward),
            Passage::Cut => cut = true,
        }
        came[usize::from(!from_client)].extend_from_slice(&back);
        sent[usize::from(from_client)].extend_from_slice(piece);
        assert!(inspector.memory() < 4 << 20);
    }
    for from_client in [false, true] {
        inspector.finish(from_client, &mut judge, &mut came[usize::from(from_client)]);
    }
    if choice % 3 == 0 && !judge.asked && !cut {
        let expects = came[0].starts_with(b"HTTP/1.1 100 Continue") && came[0].len() > sent[0].len();
        assert!(came[1] == sent[1] && (came[0] == sent[0] || expects));
    }
});
