//! The name by which a network asks browsers to leave DNS to it.

use std::sync::LazyLock;

use packet::DomainName;

use super::{query::Query, sinkhole::Reply};

static CANARY: LazyLock<DomainName> =
    LazyLock::new(|| "use-application-dns.net".parse().unwrap_or(DomainName::ROOT));

/// Whether a name is Mozilla's canary domain, `use-application-dns.net`: answered with NXDOMAIN, browsers
/// that were not told otherwise by their user turn their own DNS over HTTPS off.
pub fn is_canary(name: &DomainName) -> bool {
    *name == *CANARY
}

/// Writes the reply that says a name does not exist (NXDOMAIN) into `out`, which is cleared first: same id and
/// question, QR and RA set, RD copied, EDNS answered where asked, no records.
pub fn absent_reply(query: &Query<'_>, out: &mut Vec<u8>) {
    Reply::to(query).write_absent(query.questions(), out);
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, ResponseCode};

    use super::{super::parse_query, *};

    #[test]
    fn the_canary_is_absent() {
        let message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x13Use-application-dns\x03net\0\0\x1c\0\x01\
\0\0\x29\x10\0\0\0\0\0\0\0";
        let query = parse_query(message).unwrap();
        assert!(query.questions().all(|question| is_canary(&question.name)));
        assert!(!is_canary(&"a.use-application-dns.net".parse().unwrap()));
        let mut out = Vec::new();
        absent_reply(&query, &mut out);
        let reply = Message::from_vec(&out).unwrap();
        assert_eq!(reply.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(
            (reply.metadata.id, reply.answers.len(), reply.queries.len()),
            (0x1234, 0, 1)
        );
        assert!(reply.edns.is_some() && reply.metadata.recursion_desired);
    }
}
