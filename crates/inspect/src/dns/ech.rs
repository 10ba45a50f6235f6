//! Encrypted Client Hello taken out of HTTPS and SVCB records (RFC 9460, RFC 9848), so that clients name
//! their server in the clear.

use super::message::{CLASS_IN, HEADER_LEN, Header, Record, record, skip_name, skip_question};

/// SVCB and HTTPS (RFC 9460 §14.1).
const TYPE_SVCB: u16 = 64;
const TYPE_HTTPS: u16 = 65;
/// The parameter that holds the configurations of ECH (RFC 9848 §2).
const KEY_ECH: u16 = 5;
/// The parameter that lists keys a client must know (RFC 9460 §8).
const KEY_MANDATORY: u16 = 0;
/// Records looked at. Responses with more are not changed.
const MAX_RECORDS: usize = 512;

/// Whether a record is one whose parameters may hold ECH.
fn is_service(record: &Record) -> bool {
    matches!(record.rtype, TYPE_SVCB | TYPE_HTTPS) && record.class == CLASS_IN
}

/// Writes `message` without the `ech` parameters of its HTTPS and SVCB records into `out`, which is cleared
/// first; `false` and nothing written where there are none, or where the message is damaged.
///
/// The message keeps its length: where a parameter is taken out, what follows moves up inside its record, and
/// a parameter of a private key (RFC 9460 §14.3.2), which every client skips, fills the place with zeros.
/// So all names, and the pointers between them, stay right. A record in which that cannot be said (`mandatory`
/// asks for `ech`, parameters out of order) gets priority and target only, the rest of it filled alike.
///
/// Signatures (RRSIG) are left where they are: they no longer fit the record, and a client that validates
/// rejects it, which is what it should do with a record that was changed; dropping them would say that the
/// zone is unsigned, which it would reject as well. AD is cleared: nobody vouches for the changed set.
pub fn strip_ech(message: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    let Some(header) = Header::parse(message).filter(|header| header.flags.response()) else {
        return false;
    };
    let mut at = HEADER_LEN;
    for _ in 0..header.questions {
        let Some(end) = skip_question(message, at) else {
            return false;
        };
        at = end;
    }
    for _ in 0..header.records().min(MAX_RECORDS) {
        let Some(record) = record(message, at) else { break };
        at = record.end;
        if let Some(parameters) = parameters_at(message, &record)
            && let Some(changed) = without_ech(message.get(parameters..record.end).unwrap_or_default())
        {
            if out.is_empty() {
                out.extend_from_slice(message);
            }
            if let Some(place) = out.get_mut(parameters..record.end) {
                place.copy_from_slice(&changed);
            }
        }
    }
    if let Some(flags) = out.get_mut(3) {
        *flags &= !0x20;
    }
    !out.is_empty()
}

/// Where the parameters of a service record begin: behind priority and target, which is not compressed.
fn parameters_at(message: &[u8], record: &Record) -> Option<usize> {
    if !is_service(record) {
        return None;
    }
    let target = record.data.checked_add(2)?;
    skip_name(message, target).filter(|at| *at <= record.end)
}

/// The parameters without `ech`, filled up to the same length; `None` where it is not among them.
fn without_ech(parameters: &[u8]) -> Option<Vec<u8>> {
    let (mut kept, mut rest) = (Vec::with_capacity(parameters.len()), parameters);
    let (mut found, mut broken, mut last) = (false, false, None);
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let &[k0, k1, l0, l1] = head;
        let (key, length) = (
            u16::from_be_bytes([k0, k1]),
            usize::from(u16::from_be_bytes([l0, l1])),
        );
        let Some((value, more)) = tail.split_at_checked(length) else {
            broken = true;
            break;
        };
        found |= key == KEY_ECH;
        broken |= last.is_some_and(|last| last >= key) || key == KEY_MANDATORY && lists_ech(value);
        last = Some(key);
        if key != KEY_ECH {
            kept.extend_from_slice(head);
            kept.extend_from_slice(value);
        }
        rest = more;
    }
    if !found {
        return None;
    }
    if broken {
        kept.clear();
        last = None;
    }
    fill(&mut kept, parameters.len(), last.filter(|last| *last != KEY_ECH));
    Some(kept)
}

fn lists_ech(mandatory: &[u8]) -> bool {
    mandatory.chunks(2).any(|key| key == KEY_ECH.to_be_bytes())
}

/// Fills up to `length` with a parameter of a private key, behind whatever key stands last.
fn fill(kept: &mut Vec<u8>, length: usize, last: Option<u16>) {
    let missing = length.saturating_sub(kept.len());
    // At least four bytes are missing: the head of the parameter that was taken out.
    let value = u16::try_from(missing.saturating_sub(4)).unwrap_or(0);
    let key = last.map_or(65_280, |last| last.saturating_add(1).max(65_280));
    kept.extend_from_slice(&key.to_be_bytes());
    kept.extend_from_slice(&value.to_be_bytes());
    kept.resize(length, 0);
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{Message, MessageType, OpCode, Query, ResponseCode},
        rr::{
            Name, RData, Record as HickoryRecord, RecordType,
            rdata::{
                A, HTTPS, SVCB,
                svcb::{EchConfigList, IpHint, SvcParamKey, SvcParamValue, Unknown},
            },
        },
    };
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// A response with service records, each with ECH or without, between others.
    fn response(services: &[(Option<Vec<u8>>, u16, bool)]) -> Message {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(name("a.example."), RecordType::HTTPS));
        message.metadata.response_code = ResponseCode::NoError;
        message.metadata.authentic_data = true;
        for (ech, priority, hint) in services {
            let mut parameters = Vec::new();
            if *hint {
                parameters.push((
                    SvcParamKey::Ipv4Hint,
                    SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
                ));
            }
            if let Some(ech) = ech {
                parameters.push((
                    SvcParamKey::EchConfigList,
                    SvcParamValue::EchConfigList(EchConfigList(ech.clone())),
                ));
            }
            let service = SVCB::new(*priority, name("b.a.example."), parameters);
            let data = if priority % 2 == 0 {
                RData::SVCB(service)
            } else {
                RData::HTTPS(HTTPS(service))
            };
            message.add_answer(HickoryRecord::from_rdata(name("a.example."), 60, data));
            message.add_additional(HickoryRecord::from_rdata(
                name("b.a.example."),
                60,
                RData::A(A::new(192, 0, 2, 2)),
            ));
        }
        message
    }

    /// Each service record's target and the keys that mean something.
    fn services(message: &Message) -> Vec<(Name, Vec<(SvcParamKey, SvcParamValue)>)> {
        let service = |record: &HickoryRecord| {
            let (RData::SVCB(service) | RData::HTTPS(HTTPS(service))) = &record.data else {
                return None;
            };
            let filler = |key: &SvcParamKey, value: &SvcParamValue| {
                matches!(key, SvcParamKey::Key(65_280..))
                    && matches!(value, SvcParamValue::Unknown(Unknown(zeros)) if zeros.iter().all(|byte| *byte == 0))
            };
            let known = service
                .svc_params
                .iter()
                .filter(|(key, value)| !filler(key, value));
            Some((service.target_name.clone(), known.cloned().collect()))
        };
        message.answers.iter().filter_map(service).collect()
    }

    proptest! {
        #[test]
        fn only_ech_is_gone(
            wanted in prop::collection::vec(
                (prop::option::of(prop::collection::vec(any::<u8>(), 1..80)), 1_u16..9, any::<bool>()),
                0..5,
            ),
        ) {
            let bytes = response(&wanted).to_vec().unwrap();
            let mut out = vec![1; 3];
            let changed = strip_ech(&bytes, &mut out);
            prop_assert_eq!(changed, wanted.iter().any(|(ech, ..)| ech.is_some()));
            if changed {
                prop_assert_eq!(out.len(), bytes.len());
                let bare: Vec<_> = wanted.iter().map(|(_, priority, hint)| (None, *priority, *hint)).collect();
                let (left, bare) = (Message::from_vec(&out).unwrap(), response(&bare));
                prop_assert_eq!(services(&left), services(&bare));
                prop_assert_eq!(&left.additionals, &bare.additionals);
                prop_assert!(!left.metadata.authentic_data);
                let mut again = Vec::new();
                prop_assert!(!strip_ech(&out, &mut again));
            } else {
                prop_assert!(out.is_empty());
            }
        }

        #[test]
        fn no_bytes_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            good: bool,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            if good {
                bytes = response(&[(Some(vec![1, 2, 3]), 1, true)]).to_vec().unwrap();
                for (at, byte) in damage {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            let mut out = Vec::new();
            if strip_ech(&bytes, &mut out) {
                prop_assert_eq!(out.len(), bytes.len());
                prop_assert!(!strip_ech(&out.clone(), &mut out));
            }
        }
    }

    #[test]
    fn a_record_that_insists_on_ech_keeps_no_parameters() {
        let parameters = [&[0, 0, 0, 2, 0, 5][..], &[0, 3, 0, 2, 1, 187], &[0, 5, 0, 1, 9]].concat();
        let changed = without_ech(&parameters).unwrap();
        assert_eq!(changed[..4], [0xff, 0, 0, 13]);
        assert_eq!(changed[4..], [0; 13]);
        // Behind a key that is high already, the filler's is higher: keys stand in order.
        let parameters = [&[0, 5, 0, 1, 9][..], &[0xff, 5, 0, 0]].concat();
        assert_eq!(
            without_ech(&parameters).unwrap(),
            [0xff, 5, 0, 0, 0xff, 6, 0, 1, 0]
        );
    }
}
