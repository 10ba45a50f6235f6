//! Records as lines of JSON, many of them: what most lines have in common is made once.
//!
//! [`Record::write_json`] is what a line is; this only writes the same faster.

use std::net::{IpAddr, Ipv4Addr};

use packet::{IpProtocol, Timestamp};
use policy::{Action, AppId, Symbol};
use tags::TagSet;

use crate::{
    Body, FlowFields, Record, SessionEndReason, Traffic, View, calendar, json,
    value::{Fields as _, Named, Tags},
};

/// Sections of lines that are kept; one for each rule, application and end that is frequent.
const SECTIONS: usize = 256;
/// Seconds whose text is kept.
const SECONDS: usize = 16;
/// Bytes of `2026-11-24T04:16:00.`.
const SECOND_LEN: usize = 20;
/// Room that is asked for at once: more than a traffic record takes, but for long names.
const ROOM: usize = 1024;

/// Writes records as lines of JSON.
///
/// All records are to be shown with one policy's names, or with those of later ones that were extended from it.
#[derive(Debug)]
pub struct LineWriter {
    sections: Box<[Section]>,
    seconds: [Second; SECONDS],
}

/// What stands between the ports and the session's number of a line.
#[derive(Clone, Debug, Default)]
struct Section {
    key: Option<SectionKey>,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SectionKey {
    proto: IpProtocol,
    app: AppId,
    names: [Symbol; 5],
    /// Of traffic records.
    end: Option<(Action, SessionEndReason)>,
    /// How many names there were: one that is not known yet is written as the empty one.
    known: usize,
}

#[derive(Clone, Copy, Debug)]
struct Second {
    number: u64,
    text: [u8; SECOND_LEN],
}

impl LineWriter {
    /// With nothing kept yet.
    pub fn new() -> Self {
        let mut epoch = Second {
            number: 0,
            text: [0; SECOND_LEN],
        };
        epoch.fill(0);
        Self {
            sections: vec![Section::default(); SECTIONS].into_boxed_slice(),
            seconds: [epoch; SECONDS],
        }
    }

    /// Appends the record's line, as [`Record::write_json`] does.
    pub fn write(&mut self, record: &Record, view: View<'_>, out: &mut Vec<u8>) {
        let Some(flow) = record.flow() else {
            record.write_json(view, out);
            return;
        };
        out.reserve(ROOM);
        out.extend_from_slice(b"{\"seqno\":");
        number(record.seqno, out);
        out.extend_from_slice(b",\"receive_time\":\"");
        self.time(record.time, out);
        if let Body::Traffic(traffic) = &record.body {
            out.extend_from_slice(b"\",\"type\":\"traffic\",\"subtype\":\"");
            out.extend_from_slice(traffic.subtype.name().as_bytes());
            ends(flow, out);
            self.section(
                flow,
                Some((traffic.action, traffic.session_end_reason)),
                view,
                out,
            );
            self.rest_of_traffic(traffic, view, out);
            return;
        }
        let named = Named { record, view };
        let log_type = record.log_type();
        out.extend_from_slice(b"\",\"type\":\"");
        out.extend_from_slice(log_type.name().as_bytes());
        out.extend_from_slice(b"\",\"subtype\":\"");
        if let Body::Threat(threat) = &record.body {
            out.extend_from_slice(threat.subtype.name().as_bytes());
        }
        ends(flow, out);
        self.section(flow, None, view, out);
        for field in log_type.fields_behind_flow() {
            json::write_member(b',', *field, named.value(*field), out);
        }
        out.extend_from_slice(b"}\n");
    }

    fn rest_of_traffic(&mut self, traffic: &Traffic, view: View<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"sessionid\":");
        number(traffic.flow.sessionid, out);
        out.extend_from_slice(b",\"bytes\":");
        number(traffic.bytes_sent.saturating_add(traffic.bytes_received), out);
        out.extend_from_slice(b",\"bytes_sent\":");
        number(traffic.bytes_sent, out);
        out.extend_from_slice(b",\"bytes_received\":");
        number(traffic.bytes_received, out);
        out.extend_from_slice(b",\"packets\":");
        number(traffic.packets, out);
        out.extend_from_slice(b",\"start\":\"");
        self.time(traffic.start, out);
        out.extend_from_slice(b"\",\"elapsed\":");
        number(traffic.elapsed, out);
        out.extend_from_slice(b",\"category\":");
        if traffic.category == Symbol::EMPTY {
            out.extend_from_slice(b"\"\"");
        } else {
            json::write_string(view.symbols.resolve(traffic.category), out);
        }
        if traffic.decrypted {
            out.extend_from_slice(b",\"decrypted\":true,\"repeatcnt\":");
        } else {
            out.extend_from_slice(b",\"decrypted\":false,\"repeatcnt\":");
        }
        number(traffic.repeatcnt.into(), out);
        out.extend_from_slice(b",\"src_tags\":");
        tags(&traffic.flow.src_tags, view, out);
        out.extend_from_slice(b",\"dst_tags\":");
        tags(&traffic.flow.dst_tags, view, out);
        out.extend_from_slice(b"}\n");
    }

    fn section(
        &mut self,
        flow: &FlowFields,
        end: Option<(Action, SessionEndReason)>,
        view: View<'_>,
        out: &mut Vec<u8>,
    ) {
        let key = SectionKey {
            proto: flow.proto,
            app: flow.app,
            names: [flow.from, flow.to, flow.inbound_if, flow.outbound_if, flow.rule],
            end,
            known: view.symbols.len(),
        };
        let Some(section) = self.sections.get_mut(key.place()) else {
            return;
        };
        if section.key != Some(key) {
            section.key = Some(key);
            section.text.clear();
            key.write(view, &mut section.text);
        }
        out.extend_from_slice(&section.text);
    }

    fn time(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let micros = calendar::micros(time);
        let (second, fraction) = (micros / 1_000_000, micros % 1_000_000);
        // The remainder is an index.
        let place = usize::try_from(second % SECONDS as u64).unwrap_or(0);
        let kept = &mut self.seconds[place];
        if kept.number != second {
            kept.fill(second);
        }
        out.extend_from_slice(&kept.text);
        let mut text = *b"000000Z";
        for (place, pair) in [fraction / 10_000, fraction / 100 % 100, fraction % 100]
            .into_iter()
            .enumerate()
        {
            text[2 * place..2 * place + 2].copy_from_slice(&pair_of(pair));
        }
        out.extend_from_slice(&text);
    }
}

impl Default for LineWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl Second {
    fn fill(&mut self, second: u64) {
        let mut text = Vec::new();
        calendar::write_rfc3339(Timestamp::from_secs(second), &mut text);
        self.number = second;
        if let Some(kept) = text.first_chunk() {
            self.text = *kept;
        }
    }
}

impl SectionKey {
    /// Where it is kept, if it is: neighbouring rules and applications lie apart.
    fn place(&self) -> usize {
        let [from, to, _, _, rule] = self.names.map(Symbol::index);
        let end = self
            .end
            .map_or(0, |(action, reason)| 1 + action as usize + 8 * reason as usize);
        let mixed = rule
            .wrapping_add(self.app.index().wrapping_mul(31))
            .wrapping_add(end.wrapping_mul(7))
            .wrapping_add(from.wrapping_mul(13))
            .wrapping_add(to.wrapping_mul(61))
            .wrapping_add(usize::from(self.proto.0));
        mixed % SECTIONS
    }

    fn write(&self, view: View<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"proto\":\"");
        match self.proto.name() {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => number(self.proto.0.into(), out),
        }
        out.extend_from_slice(b"\",\"app\":");
        json::write_string(self.app.name(), out);
        let members = ["from", "to", "inbound_if", "outbound_if", "rule"];
        for (member, symbol) in members.into_iter().zip(self.names) {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(b"\":");
            json::write_string(view.symbols.resolve(symbol), out);
        }
        if let Some((action, reason)) = self.end {
            out.extend_from_slice(b",\"action\":\"");
            out.extend_from_slice(action.name().as_bytes());
            out.extend_from_slice(b"\",\"session_end_reason\":\"");
            out.extend_from_slice(reason.name().as_bytes());
            out.push(b'"');
        }
    }
}

fn ends(flow: &FlowFields, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\",\"src\":\"");
    address(flow.src, out);
    out.extend_from_slice(b"\",\"dst\":\"");
    address(flow.dst, out);
    out.extend_from_slice(b"\",\"sport\":");
    number(flow.sport.into(), out);
    out.extend_from_slice(b",\"dport\":");
    number(flow.dport.into(), out);
}

fn tags(set: &TagSet, view: View<'_>, out: &mut Vec<u8>) {
    if set.as_slice().is_empty() {
        out.extend_from_slice(b"[]");
    } else {
        json::write_tags(Tags::Ids(set, view.tags), out);
    }
}

fn address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => v4(address, out),
        IpAddr::V6(_) => json::write_address(address, out),
    }
}

/// All of an octet's text is copied, and what it does not have is cut off: no copy has a length of its own.
fn v4(address: Ipv4Addr, out: &mut Vec<u8>) {
    let mut text = [0_u8; 16];
    let mut length = 0;
    for octet in address.octets() {
        let (digits, count) = OCTETS[usize::from(octet)];
        if let Some(place) = text.get_mut(length..).and_then(|rest| rest.first_chunk_mut()) {
            *place = digits;
        }
        length += usize::from(count);
    }
    let end = out.len() + length.saturating_sub(1);
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// Every octet in decimal with a dot behind it, and how long that is.
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut octet = 0_u8;
    loop {
        let (hundreds, tens, ones) = (b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10);
        octets[octet as usize] = if octet >= 100 {
            ([hundreds, tens, ones, b'.'], 4)
        } else if octet >= 10 {
            ([tens, ones, b'.', 0], 3)
        } else {
            ([ones, b'.', 0, 0], 2)
        };
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut pair = 0_u8;
    while pair < 100 {
        pairs[pair as usize] = [b'0' + pair / 10, b'0' + pair % 10];
        pair += 1;
    }
    pairs
};

/// A number below 100 as two digits.
fn pair_of(number: u64) -> [u8; 2] {
    usize::try_from(number)
        .ok()
        .and_then(|number| PAIRS.get(number))
        .copied()
        .unwrap_or(*b"00")
}

/// The most digits of a number.
const DIGITS: usize = 20;

/// Copies as many bytes as the longest number has, and cuts off what it does not have.
fn number(mut number: u64, out: &mut Vec<u8>) {
    let mut text = [0_u8; 2 * DIGITS];
    let mut start = DIGITS;
    while number >= 100 {
        start -= 2;
        text[start..start + 2].copy_from_slice(&pair_of(number % 100));
        number /= 100;
    }
    if number >= 10 {
        start -= 2;
        text[start..start + 2].copy_from_slice(&pair_of(number));
    } else {
        start -= 1;
        text[start] = b'0' + u8::try_from(number).unwrap_or(0);
    }
    let end = out.len() + DIGITS - start;
    if let Some(digits) = text.get(start..).and_then(|rest| rest.first_chunk::<DIGITS>()) {
        out.extend_from_slice(digits);
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::{LogType, samples};

    #[test]
    fn writes_what_a_record_is() {
        let names = Arc::new(samples::Names::new());
        let any_record = {
            let names = Arc::clone(&names);
            select(LogType::ALL).prop_flat_map(move |log_type| samples::any_record(&names, log_type))
        };
        proptest!(ProptestConfig::with_cases(300), |(records in vec(any_record, 1..40), long in any::<[u64; 3]>())| {
            let mut writer = LineWriter::new();
            let (mut fast, mut plain) = (Vec::new(), Vec::new());
            // Twice: what was kept of the first time is used in the second.
            for mut record in records.iter().cloned().cycle().take(2 * records.len()) {
                if let Body::Traffic(traffic) = &mut record.body {
                    [traffic.packets, traffic.elapsed, _] = long;
                    record.seqno = long[2];
                }
                writer.write(&record, names.view(), &mut fast);
                record.write_json(names.view(), &mut plain);
            }
            prop_assert_eq!(String::from_utf8(fast), String::from_utf8(plain));
        });
    }

    #[test]
    fn names_that_come_later_are_written_then() {
        let names = samples::Names::new();
        let mut early = policy::SymbolsBuilder::new();
        early.intern("x");
        let (early, late) = (early.freeze(), names.view());
        let record = samples::record(Timestamp::ZERO, Body::Traffic(samples::traffic(&names)));
        let mut writer = LineWriter::new();
        for symbols in [&early, late.symbols, &early] {
            let view = View { symbols, ..late };
            let (mut fast, mut plain) = (Vec::new(), Vec::new());
            writer.write(&record, view, &mut fast);
            record.write_json(view, &mut plain);
            assert_eq!(String::from_utf8(fast), String::from_utf8(plain));
        }
    }

    #[test]
    fn every_number_and_octet_is_written() {
        let mut powers: Vec<u64> = (0..20).map(|power| 10_u64.pow(power)).collect();
        powers.extend([0, u64::MAX]);
        for around in powers {
            for value in [around.saturating_sub(1), around, around.saturating_add(1)] {
                let mut out = Vec::new();
                number(value, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
            }
        }
        for octet in 0..=u8::MAX {
            let address = Ipv4Addr::new(octet, 255 - octet, octet, octet);
            let mut out = Vec::new();
            v4(address, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
    }
}
