//! DNS carried in HTTP: what a judge of [`crate::http`] does with the messages, in one call each.

use packet::DomainName;

use crate::{
    dns::{self, SinkholeAnswer},
    http::DnsRuling,
};

/// What is to become of a name.
#[derive(Clone, Copy, Debug)]
pub enum NameRuling<'a> {
    /// It may be asked for.
    Pass,
    /// It is led to the sinkhole.
    Sinkhole(&'a SinkholeAnswer),
    /// It does not exist, as far as this client hears (NXDOMAIN).
    Absent,
    /// It is refused without an answer of DNS.
    Refuse,
}

/// Rules on a query: `lookup` is asked for each name in it, and the first that may not pass decides.
///
/// A message that is no standard query passes: no server answers it with addresses.
pub fn query<'a>(
    message: &[u8],
    reply: &mut Vec<u8>,
    mut lookup: impl FnMut(&DomainName, u16) -> NameRuling<'a>,
) -> DnsRuling {
    let Some(query) = dns::parse_query(message) else {
        return DnsRuling::Pass;
    };
    for question in query.questions() {
        match lookup(&question.name, question.qtype) {
            NameRuling::Pass => {}
            NameRuling::Sinkhole(answer) => {
                dns::sinkhole_reply(&query, answer, reply);
                return DnsRuling::Answer;
            }
            NameRuling::Absent => {
                dns::absent_reply(&query, reply);
                return DnsRuling::Answer;
            }
            NameRuling::Refuse => return DnsRuling::Refuse,
        }
    }
    DnsRuling::Pass
}

/// Rules on a reply: `lookup` is asked for each name that the asked one is an alias of. Where `strip_ech`,
/// the keys of Encrypted Client Hello are taken out of a reply that passes.
pub fn reply<'a>(
    message: &[u8],
    replacement: &mut Vec<u8>,
    strip_ech: bool,
    mut lookup: impl FnMut(&DomainName) -> NameRuling<'a>,
) -> DnsRuling {
    if let Some(response) = dns::parse_response(message) {
        for name in response.aliases() {
            match lookup(&name) {
                NameRuling::Pass => {}
                NameRuling::Sinkhole(answer) => {
                    dns::sinkhole_response(&response, answer, replacement);
                    return DnsRuling::Answer;
                }
                NameRuling::Absent | NameRuling::Refuse => return DnsRuling::Refuse,
            }
        }
    }
    if strip_ech && dns::strip_ech(message, replacement) {
        return DnsRuling::Answer;
    }
    DnsRuling::Pass
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
    const ALIAS: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07example\0\0\x01\0\x01\
\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e";

    #[test]
    fn queries_and_replies_are_ruled_by_name() {
        let answer = SinkholeAnswer {
            ipv4: Some([192, 0, 2, 1].into()),
            ..SinkholeAnswer::default()
        };
        let ask = |ruling| {
            let mut out = Vec::new();
            let ruled = query(QUERY, &mut out, |name, qtype| {
                assert_eq!((name.to_string().as_str(), qtype), ("a.example", 1));
                ruling
            });
            (ruled, out)
        };
        assert_eq!(ask(NameRuling::Pass), (DnsRuling::Pass, Vec::new()));
        assert_eq!(ask(NameRuling::Refuse).0, DnsRuling::Refuse);
        let (ruled, out) = ask(NameRuling::Sinkhole(&answer));
        assert_eq!(ruled, DnsRuling::Answer);
        assert_eq!(dns::parse_response(&out).unwrap().addresses().count(), 1);
        let (ruled, out) = ask(NameRuling::Absent);
        assert_eq!(ruled, DnsRuling::Answer);
        assert_eq!(dns::parse_response(&out).unwrap().flags().rcode(), 3);

        let mut out = Vec::new();
        let ruled = reply(ALIAS, &mut out, true, |name| match name.to_string().as_str() {
            "b.example" => NameRuling::Sinkhole(&answer),
            _ => NameRuling::Pass,
        });
        assert_eq!(ruled, DnsRuling::Answer);
        assert_eq!(dns::parse_response(&out).unwrap().addresses().count(), 1);
        let mut out = Vec::new();
        assert_eq!(
            reply(ALIAS, &mut out, true, |_| NameRuling::Pass),
            DnsRuling::Pass
        );
        assert_eq!(
            reply(b"no message", &mut out, true, |_| NameRuling::Refuse),
            DnsRuling::Pass
        );
    }
}
