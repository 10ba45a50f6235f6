//! The columns of a rule, and whether a session agrees with each.
//!
//! [`Criteria::check`] is the one place that says what a column means: deciding, explaining and the
//! linear scan that tests compare with all end here.

use packet::{FlowTuple, IpProtocol};

use crate::address_group::{AddressBook, CarriedTags, Flattened};
use crate::app_set::AppSet;
use crate::id_set::IdSet;
use crate::{AppId, AppKnowledge, CategoryId, CategorySet, Service, ZoneId};

/// A column of a draft: everything, or one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Criterion<T> {
    /// `any`.
    #[default]
    Any,
    /// One of these; none at all matches nothing.
    Of(Vec<T>),
}

/// For which pairs of zones a rule is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RuleType {
    /// All that `from` and `to` name.
    #[default]
    Universal,
    /// Sessions that stay in one of the `from` zones.
    Intrazone,
    /// Sessions between two different zones.
    Interzone,
}

/// A column of a rule, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// The rule is disabled.
    Disabled,
    /// `rule-type`.
    RuleType,
    /// `from`.
    From,
    /// `to`.
    To,
    /// `source`, with `negate-source`.
    Source,
    /// `destination`, with `negate-destination`.
    Destination,
    /// `application`.
    Application,
    /// `service`.
    Service,
    /// `category`.
    Category,
}

impl Column {
    /// The key of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::RuleType => "rule-type",
            Self::From => "from",
            Self::To => "to",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Application => "application",
            Self::Service => "service",
            Self::Category => "category",
        }
    }
}

/// Whether a rule matches a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It does.
    Sure,
    /// It depends on what is not known yet.
    Open {
        /// The application decides.
        application: bool,
        /// The name decides: the rule has a `category`.
        name: bool,
    },
    /// It does not, for this column.
    Refused(Column),
}

/// A session as the columns see it.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) from: ZoneId,
    pub(crate) to: ZoneId,
    pub(crate) tuple: &'a FlowTuple,
    pub(crate) app: AppKnowledge,
    pub(crate) category: Option<&'a CategorySet>,
    pub(crate) src: CarriedTags<'a>,
    pub(crate) dst: CarriedTags<'a>,
}

/// A compiled `source` or `destination`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AddressColumn {
    /// `None`: any.
    pub(crate) members: Option<Flattened>,
    pub(crate) negate: bool,
}

impl AddressColumn {
    fn matches(&self, book: &AddressBook, carried: &CarriedTags<'_>) -> bool {
        let inside = self
            .members
            .as_ref()
            .is_none_or(|members| book.holds(members, carried));
        inside != self.negate
    }
}

/// A compiled `service`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ServiceColumn {
    Any,
    /// The application's own default ports.
    ApplicationDefault,
    Of(Vec<Service>),
}

/// The compiled columns of a rule. Any part that is absent matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Criteria {
    pub(crate) disabled: bool,
    pub(crate) rule_type: RuleType,
    pub(crate) from: IdSet,
    pub(crate) to: IdSet,
    pub(crate) source: AddressColumn,
    pub(crate) destination: AddressColumn,
    pub(crate) applications: Option<AppSet>,
    pub(crate) service: ServiceColumn,
    pub(crate) categories: Option<CategorySet>,
}

/// The zones of a draft, compiled: an intrazone rule's `to` says nothing.
pub(crate) fn zones(rule_type: RuleType, from: &Criterion<ZoneId>, to: &Criterion<ZoneId>) -> (IdSet, IdSet) {
    let set = |zones: &Criterion<ZoneId>| match zones {
        Criterion::Any => IdSet::ALL,
        Criterion::Of(zones) => zones.iter().map(|zone| zone.index()).collect(),
    };
    let implied = rule_type == RuleType::Intrazone;
    (set(from), set(if implied { &Criterion::Any } else { to }))
}

/// The applications of a draft, compiled.
pub(crate) fn applications(apps: &Criterion<AppId>) -> Option<AppSet> {
    match apps {
        Criterion::Any => None,
        Criterion::Of(apps) => Some(apps.iter().copied().collect()),
    }
}

/// The categories of a draft, compiled.
pub(crate) fn categories(categories: &Criterion<CategoryId>) -> Option<CategorySet> {
    match categories {
        Criterion::Any => None,
        Criterion::Of(categories) => Some(categories.iter().copied().collect()),
    }
}

impl Criteria {
    /// Whether the rule matches, and if not, the first column that refuses.
    pub(crate) fn check(&self, book: &AddressBook, facts: &Facts<'_>) -> Match {
        let zones = self.check_zones(facts.from, facts.to);
        if let Some(column) = zones {
            return Match::Refused(column);
        }
        if !self.source.matches(book, &facts.src) {
            return Match::Refused(Column::Source);
        }
        if !self.destination.matches(book, &facts.dst) {
            return Match::Refused(Column::Destination);
        }
        let application = match self.check_application(facts) {
            Ok(open) => open,
            Err(column) => return Match::Refused(column),
        };
        let name = match (&self.categories, facts.category) {
            (None, _) => false,
            // Only TCP and UDP carry what names a host.
            (Some(_), _) if !has_ports(facts.tuple.protocol) => return Match::Refused(Column::Category),
            (Some(_), None) => true,
            (Some(wanted), Some(known)) if wanted.intersects(known) => false,
            (Some(_), Some(_)) => return Match::Refused(Column::Category),
        };
        if application || name {
            Match::Open { application, name }
        } else {
            Match::Sure
        }
    }

    fn check_zones(&self, from: ZoneId, to: ZoneId) -> Option<Column> {
        let fits = match self.rule_type {
            RuleType::Universal => true,
            RuleType::Intrazone => from == to,
            RuleType::Interzone => from != to,
        };
        if self.disabled {
            Some(Column::Disabled)
        } else if !self.from.contains(from.index()) {
            Some(Column::From)
        } else if !self.to.contains(to.index()) {
            Some(Column::To)
        } else if !fits {
            Some(Column::RuleType)
        } else {
            None
        }
    }

    /// Whether `application` and `service`, which depend on each other, are still open.
    fn check_application(&self, facts: &Facts<'_>) -> Result<bool, Column> {
        let FlowTuple {
            protocol,
            sport,
            dport,
            ..
        } = *facts.tuple;
        let wanted = |apps: &AppSet| self.applications.is_none_or(|wanted| wanted.intersects(apps));
        let open = match facts.app {
            AppKnowledge::Known(app) => {
                if !self.applications.is_none_or(|wanted| wanted.contains(app)) {
                    return Err(Column::Application);
                }
                false
            }
            AppKnowledge::Unknown => {
                // An application that never runs over this protocol will not turn up.
                if !wanted(AppSet::over(protocol)) {
                    return Err(Column::Application);
                }
                true
            }
        };
        match &self.service {
            ServiceColumn::Any => Ok(open && self.applications.is_some()),
            ServiceColumn::Of(services) => {
                let used = services
                    .iter()
                    .any(|service| service.matches(protocol, sport, dport));
                used.then_some(open && self.applications.is_some())
                    .ok_or(Column::Service)
            }
            ServiceColumn::ApplicationDefault => {
                let possible = match facts.app {
                    AppKnowledge::Known(app) => app.is_default(protocol, dport),
                    AppKnowledge::Unknown => wanted(AppSet::at_home(protocol, dport)),
                };
                possible.then_some(open).ok_or(Column::Service)
            }
        }
    }
}

pub(crate) fn has_ports(protocol: IpProtocol) -> bool {
    protocol == IpProtocol::TCP || protocol == IpProtocol::UDP
}
