//! Looks at what is said inside a session that was opened, and has rules decide on it.

use decrypt::tls::{self, Facts, Leg, Tap};
use inspect::{
    AppDetector, Application, Ports, Recognition as Found, dns,
    doh::{self, NameRuling},
    http::{DnsRuling, Event, HttpInspector, HttpVersion, Judge, Passage, Ruling},
};
use logs::{Fact, Record};
use packet::{DomainName, Timestamp};
use policy::{Decision, DnsAction, SpywareProfile};

use crate::{
    Counters, Env, Outputs,
    records::{self, Requested, Threat},
    session::{Direction, Note, Recognition, Session},
    stages::{
        decide::{self, Again},
        dns as names, naming,
    },
};

/// What is kept of an opened session from one turn to the next.
#[derive(Debug)]
pub(crate) struct Inside {
    detector: AppDetector,
    /// The application is known, or will not be.
    settled: bool,
    http: Option<Box<HttpInspector>>,
}

impl Inside {
    /// `known`: what is said inside changes nothing in what the application is.
    pub(crate) fn new(known: bool) -> Self {
        Self {
            detector: AppDetector::new(packet::IpProtocol::TCP),
            settled: known,
            http: None,
        }
    }
}

/// The view into one opened session, for one turn.
pub(crate) struct Inspector<'a> {
    inside: &'a mut Inside,
    bench: Bench<'a>,
}

/// Who decides on what is said.
struct Bench<'a> {
    env: &'a Env<'a>,
    now: Timestamp,
    session: &'a mut Session,
    counters: &'a mut Counters,
    /// What is to be recorded once the turn is over.
    records: Vec<Record>,
    facts: Vec<Fact>,
    refused: Option<Decision>,
}

impl<'a> Inspector<'a> {
    pub(crate) fn new(
        env: &'a Env<'a>,
        now: Timestamp,
        session: &'a mut Session,
        inside: &'a mut Inside,
        counters: &'a mut Counters,
    ) -> Self {
        Self {
            inside,
            bench: Bench {
                env,
                now,
                session,
                counters,
                records: Vec::new(),
                facts: Vec::new(),
                refused: None,
            },
        }
    }

    /// Tells what was said that is to be recorded or known; the rule that refuses it, where one does.
    pub(crate) fn tell(self, out: &mut Outputs) -> Option<Decision> {
        for fact in self.bench.facts {
            out.fact(fact);
        }
        for record in self.bench.records {
            out.record(record);
        }
        self.bench.refused
    }

    fn application(&mut self, leg: Leg, bytes: &[u8]) -> Ruling {
        if self.inside.settled {
            return Ruling::Allow;
        }
        let tuple = self.bench.session.key().tuple();
        let ports = Ports {
            client: tuple.sport,
            server: tuple.dport,
        };
        match self.inside.detector.feed(ports, leg == Leg::Client, bytes) {
            Found::NeedMore => Ruling::Allow,
            Found::Unknown => {
                self.inside.settled = true;
                Ruling::Allow
            }
            Found::Recognised(application) => {
                self.inside.settled = true;
                self.bench.is(application)
            }
        }
    }
}

impl Tap for Inspector<'_> {
    fn opened(&mut self, facts: &Facts) {
        self.bench.session.set(Note::Decrypted, true);
        let version = match facts.alpn.as_deref() {
            Some(b"h2") => HttpVersion::Http2,
            Some(b"http/1.1") => HttpVersion::Http1,
            _ => HttpVersion::Unknown,
        };
        self.inside.http = Some(Box::new(HttpInspector::new(version)));
    }

    fn plaintext(
        &mut self,
        leg: Leg,
        bytes: &[u8],
        onward: &mut Vec<u8>,
        back: &mut Vec<u8>,
    ) -> tls::Passage {
        if self.application(leg, bytes) == Ruling::Cut {
            return tls::Passage::Cut;
        }
        let Some(http) = &mut self.inside.http else {
            return tls::Passage::Pass;
        };
        let passage = http.push(leg == Leg::Client, bytes, &mut self.bench, onward, back);
        if !http.is_reading() {
            self.inside.http = None;
        }
        match passage {
            Passage::Pass if back.is_empty() => tls::Passage::Pass,
            Passage::Pass => {
                onward.extend_from_slice(bytes);
                tls::Passage::Replaced
            }
            Passage::Replaced => tls::Passage::Replaced,
            Passage::Cut => tls::Passage::Cut,
        }
    }

    fn finished(&mut self, leg: Leg, onward: &mut Vec<u8>) {
        if let Some(http) = &mut self.inside.http {
            http.finish(leg == Leg::Client, &mut self.bench, onward);
        }
    }
}

impl Bench<'_> {
    /// The application inside is known.
    fn is(&mut self, application: Application) -> Ruling {
        self.session
            .recognise(Recognition::Settled(self.env.ruleset.app(application)));
        self.decide()
    }

    fn decide(&mut self) -> Ruling {
        match decide::again(self.session, self.env, self.now, true) {
            Again::Unchanged | Again::Allowed => Ruling::Allow,
            Again::Refused(decision) => {
                self.refused = Some(decision);
                Ruling::Cut
            }
        }
    }

    /// Records a request, where the rule that lets it pass, or refuses it, forwards its records.
    fn requested(&mut self, asked: &Requested<'_>) {
        let record = records::requested(self.env, self.now, self.session, asked, self.refused);
        self.records.extend(record);
    }

    fn spyware(&self) -> Option<&SpywareProfile> {
        let policy = self.env.ruleset.policy();
        policy
            .rule(self.session.ruling.rule)
            .spyware
            .map(|profile| policy.spyware(profile))
    }

    fn note(&mut self, listed: &names::Listed, seen: Direction) {
        if listed.action == DnsAction::Sinkhole {
            self.counters.sinkholed += 1;
            self.session.set(Note::SinkholedQuery, true);
        }
        let threat = Threat {
            listed,
            asker: Direction::ClientToServer,
            seen,
        };
        self.records
            .push(records::listed_name(self.env, self.now, self.session, &threat));
    }
}

impl Judge for Bench<'_> {
    fn event(&mut self, event: &Event<'_>) -> Ruling {
        match event {
            // A request may go to another host than the one the session was opened for.
            Event::Request {
                method,
                host,
                path,
                forwarded_for,
                ..
            } => {
                let ruling = match host {
                    Some(host) if self.session.server_name() != Some(host) => {
                        self.session.extra_mut().server_name = Some(Box::new(*host));
                        self.decide()
                    }
                    Some(_) | None => Ruling::Allow,
                };
                self.requested(&Requested {
                    method,
                    host: host.as_ref(),
                    path,
                    forwarded_for: *forwarded_for,
                });
                ruling
            }
            Event::Response { .. } | Event::NotHttp(_) => Ruling::Allow,
        }
    }

    fn dns_query(&mut self, message: &[u8], reply: &mut Vec<u8>) -> DnsRuling {
        if self.is(Application::DnsOverHttps) == Ruling::Cut {
            return DnsRuling::Refuse;
        }
        let Some(profile) = self.spyware() else {
            return DnsRuling::Pass;
        };
        let domains = self.env.ruleset.domains();
        let answer = names::sinkhole_answer(profile);
        let mut found = None;
        let ruling = doh::query(message, reply, |name: &DomainName, qtype| {
            if dns::is_canary(name) {
                return NameRuling::Absent;
            }
            found = names::listed_name(domains, profile, name, *name, qtype);
            ruling_on(found.as_ref(), &answer)
        });
        if let Some(listed) = found {
            self.note(&listed, Direction::ClientToServer);
        }
        ruling
    }

    fn dns_reply(&mut self, message: &[u8], replacement: &mut Vec<u8>) -> DnsRuling {
        if let Some(response) = dns::parse_response(message) {
            let facts = &mut self.facts;
            naming::answered(self.env, self.now, self.session, &response, &mut |fact| {
                facts.push(fact);
            });
        }
        let Some(profile) = self.spyware() else {
            return DnsRuling::Pass;
        };
        let domains = self.env.ruleset.domains();
        let answer = names::sinkhole_answer(profile);
        let question = dns::parse_response(message).and_then(|response| response.questions().next());
        let mut found = None;
        let ruling = doh::reply(
            message,
            replacement,
            self.env.ruleset.strips_ech(),
            |name: &DomainName| {
                let Some(question) = &question else {
                    return NameRuling::Pass;
                };
                found = names::listed_name(domains, profile, name, question.name, question.qtype);
                ruling_on(found.as_ref(), &answer)
            },
        );
        if let Some(listed) = found {
            self.note(&listed, Direction::ServerToClient);
        }
        ruling
    }
}

fn ruling_on<'a>(listed: Option<&names::Listed>, answer: &'a dns::SinkholeAnswer) -> NameRuling<'a> {
    match listed.map(|listed| listed.action) {
        None | Some(DnsAction::Alert | DnsAction::Allow) => NameRuling::Pass,
        Some(DnsAction::Sinkhole) => NameRuling::Sinkhole(answer),
        Some(DnsAction::Block) => NameRuling::Refuse,
    }
}
