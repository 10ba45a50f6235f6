//! What a record must at least have for a filter to let it pass: most records fail by one comparison.

use packet::IpProtocol;
use policy::{Action, AppId, Symbol, Symbols};
use smallvec::SmallVec;
use tags::Addresses;

use super::{Filter, Literal, Node, Operator, Test};
use crate::{Attribute, Body, Field, FlowFields, LogType, Record, SessionEndReason, Traffic, TrafficSubtype};

/// A necessary condition: a record that fails it does not pass the filter, one that meets it may.
///
/// Names are compared by their symbols, so a screen is made for one set of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    log_type: LogType,
    /// One of them is to hold; `None` where nothing is known to be necessary.
    probes: Option<SmallVec<[Probe; 1]>>,
}

/// One comparison of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Probe {
    expected: Expected,
    /// It must not be this.
    negated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    Src(Addresses),
    Dst(Addresses),
    Sport(Span),
    Dport(Span),
    Protocol(IpProtocol),
    App(AppId),
    From(Option<Symbol>),
    To(Option<Symbol>),
    InboundIf(Option<Symbol>),
    OutboundIf(Option<Symbol>),
    Rule(Option<Symbol>),
    Subtype(TrafficSubtype),
    Action(Action),
    EndReason(SessionEndReason),
    Bytes(Span),
    BytesSent(Span),
    BytesReceived(Span),
    Packets(Span),
    Elapsed(Span),
}

/// Numbers from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: u64,
    last: u64,
}

/// A list of alternatives, and how few records are expected to meet it: the less the better.
type Condition = (u8, Vec<Probe>);

/// More alternatives than this are no quick look any more.
const MOST: usize = 8;

impl Filter {
    /// What a record must at least have to pass.
    pub(crate) fn screen(&self, symbols: &Symbols) -> Screen {
        let probes = self.root.necessary(self.log_type, symbols);
        Screen {
            log_type: self.log_type,
            probes: probes.map(|(_, probes)| probes.into_iter().collect()),
        }
    }
}

impl Screen {
    /// Whether the filter may let a record pass that has this flow.
    pub(crate) fn admits(&self, log_type: LogType, record: &Record, flow: &FlowFields) -> bool {
        if log_type != self.log_type {
            return false;
        }
        let Some(probes) = &self.probes else {
            return true;
        };
        let traffic = match &record.body {
            Body::Traffic(traffic) => Some(traffic),
            Body::Threat(_)
            | Body::Url(_)
            | Body::Decryption(_)
            | Body::IpTag(_)
            | Body::System(_)
            | Body::Config(_) => None,
        };
        probes
            .iter()
            .any(|probe| probe.expected.is(flow, traffic) != probe.negated)
    }
}

impl Node {
    fn necessary(&self, log_type: LogType, symbols: &Symbols) -> Option<Condition> {
        match self {
            Self::All => None,
            Self::Test(test) => test.necessary(false, log_type, symbols),
            Self::Not(inner) => match &**inner {
                Self::Test(test) => test.necessary(true, log_type, symbols),
                Self::All | Self::Or(_) | Self::And(_) | Self::Not(_) => None,
            },
            // Each part is necessary: the one that fewest records meet.
            Self::And(parts) => parts
                .iter()
                .filter_map(|part| part.necessary(log_type, symbols))
                .min_by_key(|(share, probes)| (*share, probes.len())),
            Self::Or(parts) => {
                let mut all: Condition = (0, Vec::new());
                for part in parts {
                    let (share, probes) = part.necessary(log_type, symbols)?;
                    all.0 = all.0.max(share);
                    all.1.extend(probes);
                }
                (all.1.len() <= MOST).then_some(all)
            }
        }
    }
}

impl Test {
    fn necessary(&self, inverted: bool, log_type: LogType, symbols: &Symbols) -> Option<Condition> {
        let is_negative = matches!(self.operator, Operator::Neq | Operator::NotIn);
        let negated = is_negative != inverted;
        let (first, second) = self.attribute.fields();
        let probe = |field| {
            Some(Probe {
                expected: self.expected(field, log_type, symbols)?,
                negated,
            })
        };
        let first = probe(first)?;
        let mut probes = vec![first];
        // Either end is enough; where neither may be it, each alone says so.
        if let (Some(second), false) = (second, negated) {
            probes.push(probe(second)?);
        }
        Some((self.share(negated), probes))
    }

    /// What the field is compared with; `None` where only the filter itself can tell.
    fn expected(&self, field: Field, log_type: LogType, symbols: &Symbols) -> Option<Expected> {
        if self.operator == Operator::Contains {
            return None;
        }
        // Where records have an action or a subtype of their own, only traffic records have the rule's.
        let of_traffic = log_type == LogType::Traffic;
        Some(match (field, &self.literal) {
            (Field::Src, Literal::Addresses(addresses)) => Expected::Src(*addresses),
            (Field::Dst, Literal::Addresses(addresses)) => Expected::Dst(*addresses),
            (Field::Sport, Literal::Number(number)) => Expected::Sport(self.span(*number)),
            (Field::Dport, Literal::Number(number)) => Expected::Dport(self.span(*number)),
            (Field::Proto, Literal::Protocol(protocol)) => Expected::Protocol(*protocol),
            (Field::App, Literal::Text(name)) => Expected::App(AppId::from_name(name)?),
            (Field::From, Literal::Text(name)) => Expected::From(symbol(name, symbols)?),
            (Field::To, Literal::Text(name)) => Expected::To(symbol(name, symbols)?),
            (Field::InboundIf, Literal::Text(name)) => Expected::InboundIf(symbol(name, symbols)?),
            (Field::OutboundIf, Literal::Text(name)) => Expected::OutboundIf(symbol(name, symbols)?),
            (Field::Rule, Literal::Text(name)) => Expected::Rule(symbol(name, symbols)?),
            (Field::Subtype, Literal::Text(name)) if of_traffic => {
                Expected::Subtype(TrafficSubtype::from_name(name)?)
            }
            (Field::Action, Literal::Text(name)) if of_traffic => {
                let action = Action::ALL.iter().find(|action| action.name() == &**name)?;
                Expected::Action(*action)
            }
            (Field::SessionEndReason, Literal::Text(name)) if of_traffic => {
                Expected::EndReason(SessionEndReason::from_name(name)?)
            }
            (Field::Bytes, Literal::Number(number)) => Expected::Bytes(self.span(*number)),
            (Field::BytesSent, Literal::Number(number)) => Expected::BytesSent(self.span(*number)),
            (Field::BytesReceived, Literal::Number(number)) => Expected::BytesReceived(self.span(*number)),
            (Field::Packets, Literal::Number(number)) => Expected::Packets(self.span(*number)),
            (Field::Elapsed, Literal::Number(number)) => Expected::Elapsed(self.span(*number)),
            _ => return None,
        })
    }

    fn span(&self, number: u64) -> Span {
        match self.operator {
            Operator::Leq => Span {
                first: 0,
                last: number,
            },
            Operator::Geq => Span {
                first: number,
                last: u64::MAX,
            },
            Operator::Eq | Operator::Neq | Operator::In | Operator::NotIn | Operator::Contains => Span {
                first: number,
                last: number,
            },
        }
    }

    /// A guess at how many records meet it, from few to many.
    fn share(&self, negated: bool) -> u8 {
        if negated {
            return 4;
        }
        match (self.attribute, self.operator) {
            (_, Operator::Leq | Operator::Geq) => 2,
            (Attribute::One(Field::Proto | Field::Action | Field::Subtype), _) => 3,
            (
                Attribute::One(Field::Rule | Field::From | Field::To | Field::InboundIf | Field::OutboundIf)
                | Attribute::Zone
                | Attribute::Interface,
                _,
            ) => 1,
            _ => 0,
        }
    }
}

/// The symbol of a name, which may belong to nothing here. `None` where records without a name have it too.
#[expect(
    clippy::option_option,
    reason = "a name that nothing has is one answer, no answer another"
)]
fn symbol(name: &str, symbols: &Symbols) -> Option<Option<Symbol>> {
    (!name.is_empty()).then(|| symbols.find(name))
}

impl Expected {
    fn is(&self, flow: &FlowFields, traffic: Option<&Traffic>) -> bool {
        match self {
            Self::Src(addresses) => addresses.contains(flow.src),
            Self::Dst(addresses) => addresses.contains(flow.dst),
            Self::Sport(span) => span.has(flow.sport.into()),
            Self::Dport(span) => span.has(flow.dport.into()),
            Self::Protocol(protocol) => flow.proto == *protocol,
            Self::App(app) => flow.app == *app,
            Self::From(symbol) => Some(flow.from) == *symbol,
            Self::To(symbol) => Some(flow.to) == *symbol,
            Self::InboundIf(symbol) => Some(flow.inbound_if) == *symbol,
            Self::OutboundIf(symbol) => Some(flow.outbound_if) == *symbol,
            Self::Rule(symbol) => Some(flow.rule) == *symbol,
            Self::Subtype(subtype) => traffic.is_some_and(|traffic| traffic.subtype == *subtype),
            Self::Action(action) => traffic.is_some_and(|traffic| traffic.action == *action),
            Self::EndReason(reason) => traffic.is_some_and(|traffic| traffic.session_end_reason == *reason),
            Self::Bytes(span) => traffic
                .is_some_and(|traffic| span.has(traffic.bytes_sent.saturating_add(traffic.bytes_received))),
            Self::BytesSent(span) => traffic.is_some_and(|traffic| span.has(traffic.bytes_sent)),
            Self::BytesReceived(span) => traffic.is_some_and(|traffic| span.has(traffic.bytes_received)),
            Self::Packets(span) => traffic.is_some_and(|traffic| span.has(traffic.packets)),
            Self::Elapsed(span) => traffic.is_some_and(|traffic| span.has(traffic.elapsed)),
        }
    }
}

impl Span {
    fn has(self, number: u64) -> bool {
        self.first <= number && number <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, Names};

    fn admits(text: &str, change: impl FnOnce(&mut Traffic)) -> bool {
        let names = Names::new();
        let (filter, _) = Filter::parse(text, LogType::Traffic).unwrap();
        let mut traffic = samples::traffic(&names);
        change(&mut traffic);
        let record = samples::record(packet::Timestamp::ZERO, Body::Traffic(traffic));
        let flow = record.flow().unwrap();
        let screen = filter.screen(names.view().symbols);
        screen.admits(record.log_type(), &record, flow)
    }

    /// That it never refuses what passes is shown beside the naive evaluator; that it refuses anything, here.
    #[test]
    fn refuses_by_one_comparison() {
        for refused in [
            "dport eq 9999 and action eq allow",
            "action eq allow and session_end_reason eq threat",
            "addr.dst in 198.18.0.0/15 and not action eq allow",
            "not action eq allow",
            "zone eq nowhere or zone.dst eq guest",
            "zone neq inside",
            "bytes geq 1000000 and proto eq udp",
            "packets leq 1",
            "action neq allow or subtype eq drop",
        ] {
            assert!(!admits(refused, |_| {}), "{refused}");
        }
        for admitted in [
            "",
            "dport eq 53 and action eq allow",
            "zone eq outside",
            "zone neq nowhere",
            "not (zone eq nowhere or zone.dst eq guest)",
            "rule contains gress",
            "action neq allow or src_tags eq x",
        ] {
            assert!(admits(admitted, |_| {}), "{admitted}");
        }
        assert!(admits("action neq allow", |traffic| traffic.action = Action::Deny));
        assert!(admits("zone.src eq ''", |traffic| traffic.flow.from = Symbol::EMPTY));
    }
}
