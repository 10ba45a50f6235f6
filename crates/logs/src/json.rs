//! Records as lines of JSON.

use std::{io::Write as _, net::IpAddr};

use crate::{
    Field, Record, View, calendar,
    value::{Fields, Named, Tags, TextBuffer, Value},
};

impl Record {
    /// Appends the record as one JSON object and a line end: every field of its type, in the contract's
    /// order, times in UTC with microseconds.
    pub fn write_json(&self, view: View<'_>, out: &mut Vec<u8>) {
        let named = Named { record: self, view };
        let mut separator = b'{';
        for field in self.log_type().fields() {
            write_member(separator, *field, named.value(*field), out);
            separator = b',';
        }
        out.extend_from_slice(b"}\n");
    }
}

pub(crate) fn write_member(separator: u8, field: Field, value: Value<'_>, out: &mut Vec<u8>) {
    out.push(separator);
    out.push(b'"');
    out.extend_from_slice(field.name().as_bytes());
    out.extend_from_slice(b"\":");
    value.write_json(out);
}

impl Value<'_> {
    fn write_json(self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => write_number(number, out),
            Self::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Self::Time(time) => {
                out.push(b'"');
                calendar::write_rfc3339(time, out);
                out.push(b'"');
            }
            Self::Tags(tags) => write_tags(tags, out),
            Self::Text(text) => write_string(text, out),
            Self::Address(_)
            | Self::Name(_)
            | Self::Addresses(_)
            | Self::Qualifier(_)
            | Self::Protocol(_)
            | Self::QueryType(_) => {
                let mut buffer = TextBuffer::new();
                write_string(self.text(&mut buffer), out);
            }
        }
    }
}

/// An address without its quotes.
pub(crate) fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    write!(out, "{address}").unwrap_or_default();
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

pub(crate) fn write_tags(tags: Tags<'_>, out: &mut Vec<u8>) {
    // By name: tags are numbered in the order in which they were first used.
    let mut names: smallvec::SmallVec<[&str; 8]> = smallvec::SmallVec::new();
    tags.any(|name| {
        names.push(name);
        false
    });
    names.sort_unstable();
    out.push(b'[');
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
    }
    out.push(b']');
}

/// Writes a JSON string. Control characters, the C1 set included, are escaped, so that a line shown as it
/// stands does nothing to a terminal.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        out.extend_from_slice(text.as_bytes());
    } else {
        for character in text.chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                _ if character.is_control() => {
                    // Writing to memory cannot fail.
                    write!(out, "\\u{:04x}", u32::from(character)).unwrap_or_default();
                }
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use packet::{IpProtocol, Timestamp};
    use policy::Symbol;
    use proptest::{prelude::*, sample::select};
    use serde_json::Value as Json;
    use tags::{CauseSource, TagSet};

    use super::*;
    use crate::{
        Body, IpTag, LogType, TagEvent,
        samples::{self, Names},
    };

    fn line(record: &Record, names: &Names) -> String {
        let mut out = Vec::new();
        record.write_json(names.view(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_traffic_record_has_the_contract_s_fields_in_order() {
        let names = Names::new();
        let mut traffic = samples::traffic(&names);
        traffic.flow.src_tags = [names.tag("infected-host"), names.tag("a b")]
            .into_iter()
            .collect();
        let record = samples::record(
            Timestamp::from_nanos(1_700_000_003_000_001_999),
            Body::Traffic(traffic),
        );
        assert_eq!(
            line(&record, &names),
            concat!(
                r#"{"seqno":42,"receive_time":"2023-11-14T22:13:23.000001Z","type":"traffic","subtype":"end","#,
                r#""src":"192.168.1.2","dst":"203.0.113.53","sport":40000,"dport":53,"proto":"udp","app":"dns","#,
                r#""from":"inside","to":"outside","inbound_if":"lan0","outbound_if":"wan0","rule":"egress-outside","#,
                r#""action":"allow","session_end_reason":"aged-out","sessionid":7,"bytes":200,"bytes_sent":70,"#,
                r#""bytes_received":130,"packets":2,"start":"2023-11-14T22:13:20.000000Z","elapsed":3,"category":"","#,
                r#""decrypted":false,"repeatcnt":1,"src_tags":["a b","infected-host"],"dst_tags":[]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_threat_record_keeps_the_case_of_the_query() {
        let names = Names::new();
        let record = samples::record(Timestamp::ZERO, Body::Threat(Box::new(samples::threat(&names))));
        let line = line(&record, &names);
        assert!(line.ends_with(concat!(
            r#""outbound_if":"wan0","rule":"egress-outside","sessionid":7,"action":"sinkhole","threatid":12000000,"#,
            r#""threat_name":"golfsource.us","severity":"medium","category":"","direction":"client-to-server","#,
            r#""misc":"GolfSource.us","list":"lan0","qtype":"A","repeatcnt":1,"src_tags":[]}"#,
            "\n"
        )), "{line}");
    }

    #[test]
    fn an_ip_tag_record_names_its_cause() {
        let names = Names::new();
        let mut change = IpTag {
            subject: "203.0.113.9 name=www.golfsource.us".parse().unwrap(),
            tag: names.tag("infected-host"),
            event: TagEvent::Register,
            source: CauseSource::Record(41),
            match_list: Some("Tag-Infected-Host".into()),
            timeout: 15,
        };
        let write = |change: &IpTag| {
            let record = samples::record(Timestamp::ZERO, Body::IpTag(Box::new(change.clone())));
            line(&record, &names)
        };
        let written = write(&change);
        assert!(written.ends_with(concat!(
            r#""type":"ip-tag","subtype":"","ip":"203.0.113.9","tag":"infected-host","event":"register","source":41,"#,
            r#""match_list":"Tag-Infected-Host","timeout":15,"qualifier":"name=www.golfsource.us"}"#,
            "\n"
        )), "{written}");
        change.source = CauseSource::Socket { admin: "root".into() };
        change.match_list = None;
        change.subject = "10.0.0.0/8".parse().unwrap();
        let written = write(&change);
        assert!(
            written.contains(r#""ip":"10.0.0.0/8","tag":"infected-host","event":"register","source":"socket","match_list":"","timeout":15,"qualifier":""}"#),
            "{written}"
        );
    }

    #[test]
    fn unknown_values_are_empty_and_odd_ones_numbers() {
        let names = Names::new();
        let mut threat = samples::threat(&names);
        (threat.misc, threat.threat_name, threat.qtype, threat.list) = (None, None, None, Symbol::EMPTY);
        threat.flow.proto = IpProtocol(253);
        threat.flow.src_tags = TagSet::new();
        let record = samples::record(Timestamp::ZERO, Body::Threat(Box::new(threat)));
        let written: Json = serde_json::from_str(&line(&record, &names)).unwrap();
        for member in ["misc", "threat_name", "qtype", "list"] {
            assert_eq!(written[member], "", "{member}");
        }
        assert_eq!(written["proto"], "253");
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let mut out = Vec::new();
        write_string("a\u{1b}[2J\u{9b}\r\n\"\\ä\u{2028}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\"a\\u001b[2J\\u009b\\u000d\\u000a\\\"\\\\ä\u{2028}\""
        );
    }

    #[test]
    fn every_line_is_json_with_the_fields_of_its_type() {
        let names = Arc::new(Names::new());
        let any = {
            let names = names.clone();
            select(LogType::ALL).prop_flat_map(move |log_type| samples::any_record(&names, log_type))
        };
        proptest!(ProptestConfig::with_cases(1000), |(record in any)| {
            let text = line(&record, &names);
            let is_line = text.ends_with("}\n") && text.matches('\n').count() == 1;
            prop_assert!(is_line, "not one line: {}", text);
            let parsed: Json = serde_json::from_str(&text).unwrap();
            // serde_json sorts members; their order is looked for in the text.
            let mut rest = text.as_str();
            for field in record.log_type().fields() {
                let member = format!("\"{}\":", field.name());
                let at = rest.find(&member);
                prop_assert!(at.is_some(), "{} is missing or out of order in {}", member, text);
                rest = &rest[at.unwrap() + member.len()..];
            }
            prop_assert_eq!(parsed.as_object().unwrap().len(), record.log_type().fields().len());
            prop_assert_eq!(&parsed["type"], record.log_type().name());
            prop_assert_eq!(&parsed["seqno"], record.seqno);
        });
    }
}
