//! The session that a rule is sought for, as the command line describes it.

use std::{fmt, net::IpAddr};

use clap::Args;
use engine::Sides;
use inspect::domains::ListEntry;
use packet::{DomainName, FlowTuple, IpProtocol, VlanTags, Wire};
use policy::{CategorySet, Column, Match, Policy, SymbolsBuilder, ZoneId};
use serde::Serialize;
use tags::{Context, TagNames, TagSet};

use super::{Asked, Complaint, unknown};

/// The words that describe a session.
#[derive(Clone, Debug, Args)]
pub(super) struct SessionArguments {
    /// Zone of the client [default: from where the source would come over the first wire]
    #[arg(long, value_name = "ZONE")]
    from: Option<String>,
    /// Zone of the server [default: the other end of the first wire]
    #[arg(long, value_name = "ZONE")]
    to: Option<String>,
    /// Address of the client
    #[arg(long, value_name = "ADDRESS")]
    source: IpAddr,
    /// Address of the server
    #[arg(long, value_name = "ADDRESS")]
    destination: IpAddr,
    /// Protocol by name or number [default: tcp, or what the application runs over]
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol)]
    protocol: Option<IpProtocol>,
    /// Port of the client
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    source_port: u16,
    /// Port of the server [default: the application's]
    #[arg(long, value_name = "PORT")]
    destination_port: Option<u16>,
    /// Name of the server; its URL categories follow from it
    #[arg(long, value_name = "NAME", value_parser = host, conflicts_with = "category")]
    host: Option<ListEntry>,
    /// URL category of the server
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    /// Tag that is registered on the client's address
    #[arg(long, value_name = "TAG")]
    source_tag: Vec<String>,
    /// Tag that is registered on the server's address
    #[arg(long, value_name = "TAG")]
    destination_tag: Vec<String>,
}

/// A protocol, by its keyword or number.
fn protocol(text: &str) -> Result<IpProtocol, &'static str> {
    IpProtocol::from_name(text).ok_or("expected a name such as tcp, udp or icmp, or a number up to 255")
}

/// A name as in lists, so that international ones can be typed.
fn host(text: &str) -> Result<ListEntry, String> {
    text.parse::<ListEntry>().map_err(|fault| fault.to_string())
}

/// What the kind of rule adds to a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Defaults {
    /// Where the command line names none.
    pub(super) protocol: IpProtocol,
    /// Where the command line names none; `None`: it must.
    pub(super) port: Option<u16>,
}

/// The session with every name found.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) from: ZoneId,
    pub(super) to: ZoneId,
    pub(super) tuple: FlowTuple,
    pub(super) category: Option<CategorySet>,
    pub(super) src_tags: TagSet,
    pub(super) dst_tags: TagSet,
}

impl SessionArguments {
    /// The server's name, where one is given.
    pub(super) fn host(&self) -> Option<&DomainName> {
        self.host.as_ref().map(|host| &host.name)
    }

    /// The protocol, where one is given.
    pub(super) fn protocol(&self) -> Option<IpProtocol> {
        self.protocol
    }

    /// ICMP of the client's family.
    pub(super) fn icmp(&self) -> IpProtocol {
        if self.source.is_ipv4() {
            IpProtocol::ICMP
        } else {
            IpProtocol::ICMPV6
        }
    }

    /// What the words mean to whom is asked.
    pub(super) fn resolve(&self, asked: &Asked<'_>, defaults: Defaults) -> Result<Session, Complaint> {
        let policy = asked.policy;
        if self.source.is_ipv4() != self.destination.is_ipv4() {
            return Err("source and destination must both be IPv4 or both IPv6".to_owned());
        }
        let sides = Sides::new(Vec::new(), policy, Wire(0));
        let client_end = usize::from(!sides.contains(self.source));
        let protocol = self.protocol.unwrap_or(defaults.protocol);
        let (sport, dport) = self.ports(protocol, defaults.port)?;
        Ok(Session {
            from: zone(policy, self.from.as_deref(), "--from", client_end)?,
            to: zone(policy, self.to.as_deref(), "--to", 1 - client_end)?,
            tuple: FlowTuple {
                src: self.source,
                dst: self.destination,
                sport,
                dport,
                protocol,
            },
            category: self.categories(policy)?,
            src_tags: self.tags(asked, &self.source_tag, [self.source, self.destination])?,
            dst_tags: self.tags(asked, &self.destination_tag, [self.destination, self.source])?,
        })
    }

    /// These tags, and those that a running firewall has registered on the first of two ends.
    fn tags(
        &self,
        asked: &Asked<'_>,
        given: &[String],
        [address, peer]: [IpAddr; 2],
    ) -> Result<TagSet, Complaint> {
        let mut set = TagSet::new();
        for tag in given {
            // Whoever may ask a running firewall must not fill its table of names.
            let id = match asked.registered {
                None => asked
                    .names
                    .intern(tag)
                    .map_err(|fault| format!("tag `{tag}`: {fault}"))?,
                Some(_) => asked
                    .names
                    .get(tag)
                    .ok_or_else(|| unknown("tag in use", tag, []))?,
            };
            set.insert(id);
        }
        if let Some((store, now)) = asked.registered {
            let context = Context {
                peer,
                server_name: self.host.as_ref().map(|host| &host.name),
            };
            store.lookup(now, address, context, &mut set);
        }
        Ok(set)
    }

    fn ports(&self, protocol: IpProtocol, default: Option<u16>) -> Result<(u16, u16), Complaint> {
        match (protocol, self.destination_port.or(default)) {
            (IpProtocol::TCP | IpProtocol::UDP, Some(port)) => Ok((self.source_port, port)),
            (IpProtocol::TCP | IpProtocol::UDP, None) => {
                Err("the server's port is needed: give --destination-port".to_owned())
            }
            _ if self.destination_port.is_some() || self.source_port != 0 => {
                Err("only tcp and udp have ports".to_owned())
            }
            _ => Ok((0, 0)),
        }
    }

    /// `None` where nothing is said: the name is still to be known.
    fn categories(&self, policy: &Policy) -> Result<Option<CategorySet>, Complaint> {
        if let Some(host) = &self.host {
            return Ok(Some(policy.categorize(&host.name)));
        }
        if self.category.is_empty() {
            return Ok(None);
        }
        let mut symbols = SymbolsBuilder::extend(policy.symbols());
        let mut set = CategorySet::NONE;
        for name in &self.category {
            let category = policy.category_id(symbols.intern(name));
            set.insert(category.ok_or_else(|| unknown("URL category in use", name, []))?);
        }
        Ok(Some(set))
    }
}

/// The zone that the command line names, or the one at this end of the first wire.
fn zone(policy: &Policy, name: Option<&str>, word: &str, end: usize) -> Result<ZoneId, Complaint> {
    let zone_names = || {
        let zones = policy.zones().iter();
        zones.map(|zone| policy.symbols().resolve(zone.name))
    };
    if let Some(name) = name {
        let number = zone_names().position(|known| known == name);
        return number
            .and_then(|number| u16::try_from(number).ok())
            .map(ZoneId)
            .ok_or_else(|| unknown("zone", name, zone_names()));
    }
    policy
        .wires()
        .first()
        .and_then(|wire| wire.interfaces.get(end))
        .and_then(|interface| policy.zone_of(*interface, VlanTags::NONE))
        .ok_or_else(|| format!("no zone follows from the first virtual wire: give {word}"))
}

/// A session as answers show it, with all its tags.
#[derive(Debug, Serialize)]
pub(super) struct SessionView {
    from: String,
    to: String,
    src: IpAddr,
    dst: IpAddr,
    proto: String,
    sport: u16,
    dport: u16,
    /// `null` while a name may still come.
    categories: Option<Vec<String>>,
    src_tags: Vec<String>,
    dst_tags: Vec<String>,
}

impl SessionView {
    /// `src_tags` and `dst_tags` are the registered and the configured ones.
    pub(super) fn new(
        policy: &Policy,
        names: &TagNames,
        session: &Session,
        src_tags: &TagSet,
        dst_tags: &TagSet,
    ) -> Self {
        let zone = |id| policy.symbols().resolve(policy.zone(id).name).to_owned();
        let tuple = &session.tuple;
        Self {
            from: zone(session.from),
            to: zone(session.to),
            src: tuple.src,
            dst: tuple.dst,
            proto: protocol_name(tuple.protocol),
            sport: tuple.sport,
            dport: tuple.dport,
            categories: session.category.map(|set| category_names(policy, &set)),
            src_tags: tag_names(names, src_tags),
            dst_tags: tag_names(names, dst_tags),
        }
    }

    /// Why a rule that looks at this column does not match.
    fn because(&self, column: Column) -> String {
        let tagged = |address: IpAddr, tags: &[String]| match tags {
            [] => format!("{address} without tags"),
            tags => format!("{address} tagged {}", tags.join(", ")),
        };
        match column {
            Column::Disabled => "the rule is disabled".to_owned(),
            Column::RuleType => format!("from {} to {}", self.from, self.to),
            Column::From => self.from.clone(),
            Column::To => self.to.clone(),
            Column::Source => tagged(self.src, &self.src_tags),
            Column::Destination => tagged(self.dst, &self.dst_tags),
            Column::Application => "another application".to_owned(),
            Column::Service if self.dport == 0 => self.proto.clone(),
            Column::Service => format!("{} {}", self.proto, self.dport),
            Column::Category => match self.categories.as_deref() {
                None | Some([]) => "no category".to_owned(),
                Some(names) => names.join(", "),
            },
        }
    }
}

impl fmt::Display for SessionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} -> {} {}, {}",
            self.from, self.src, self.to, self.dst, self.proto
        )?;
        if self.dport != 0 {
            write!(f, " {}", self.dport)?;
        }
        for (whose, tags) in [("source", &self.src_tags), ("destination", &self.dst_tags)] {
            if !tags.is_empty() {
                write!(f, ", {whose} tagged {}", tags.join(", "))?;
            }
        }
        match self.categories.as_deref() {
            None => Ok(()),
            Some([]) => f.write_str(", no category"),
            Some(names) => write!(f, ", category {}", names.join(", ")),
        }
    }
}

/// A rule that was tried, and what it said.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    /// Place in the rulebase, from 1.
    index: usize,
    rule: String,
    /// `yes`, `no`, or `open` where it depends on what is still to be known.
    matches: &'static str,
    /// The column that refused, or that is still open; else empty.
    column: &'static str,
    /// What the session has there.
    because: String,
}

impl Tried {
    pub(super) fn new(index: usize, rule: &str, found: Match, session: &SessionView) -> Self {
        let (matches, column, because) = match found {
            Match::Sure => ("yes", "", String::new()),
            Match::Refused(column) => ("no", column.name(), session.because(column)),
            Match::Open {
                application: true, ..
            } => ("open", Column::Application.name(), "still to be known".to_owned()),
            Match::Open { .. } => ("open", Column::Category.name(), "still to be known".to_owned()),
        };
        Self {
            index,
            rule: rule.to_owned(),
            matches,
            column,
            because,
        }
    }
}

/// The rules that were tried, a line each.
pub(super) fn write_tried(f: &mut fmt::Formatter<'_>, tried: &[Tried]) -> fmt::Result {
    let width = tried
        .iter()
        .map(|tried| tried.rule.chars().count())
        .max()
        .unwrap_or(0);
    for tried in tried {
        let Tried {
            index, rule, matches, ..
        } = tried;
        if tried.column.is_empty() {
            writeln!(f, "  {index:>5}  {rule:width$}  {matches}")?;
        } else {
            writeln!(
                f,
                "  {index:>5}  {rule:width$}  {matches:4}  {}: {}",
                tried.column, tried.because
            )?;
        }
    }
    Ok(())
}

fn protocol_name(protocol: IpProtocol) -> String {
    protocol
        .name()
        .map_or_else(|| protocol.0.to_string(), str::to_owned)
}

fn category_names(policy: &Policy, set: &CategorySet) -> Vec<String> {
    let names = set.iter().map(|category| policy.category_name(category));
    names
        .map(|name| policy.symbols().resolve(name).to_owned())
        .collect()
}

fn tag_names(names: &TagNames, set: &TagSet) -> Vec<String> {
    let mut tags: Vec<String> = set.iter().map(|tag| names.resolve(tag).to_string()).collect();
    tags.sort_unstable();
    tags
}
