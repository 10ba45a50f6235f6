//! `cordon test security-policy-match`.

use std::fmt;

use clap::Args;
use packet::IpProtocol;
use policy::{AppId, AppKnowledge, Query};
use serde::Serialize;

use super::{
    Asked, Complaint, Question,
    session::{Defaults, SessionArguments, SessionView, Tried, write_tried},
    unknown,
};

/// What `cordon test security-policy-match` is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct SecurityQuestion {
    #[command(flatten)]
    session: SessionArguments,
    /// Application [default: still to be recognised]
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
}

/// The rule that decides a session.
#[derive(Debug, Serialize)]
pub(crate) struct SecurityAnswer {
    rule: String,
    /// Place in the rulebase, from 1; the default rules come last.
    index: usize,
    action: &'static str,
    /// The session passes for now: its application may change the decision.
    provisional: bool,
    /// The session passes for now: its server's name may change the decision.
    name_matters: bool,
    /// Anti-spyware profile of the rule.
    profile: Option<String>,
    log_setting: Option<String>,
    /// `null` while it is still to be recognised.
    application: Option<&'static str>,
    session: SessionView,
    tried: Vec<Tried>,
}

impl Question for SecurityQuestion {
    type Answer = SecurityAnswer;

    fn answer(&self, asked: &Asked<'_>) -> Result<SecurityAnswer, Complaint> {
        let policy = asked.policy;
        let symbols = policy.symbols();
        let application = self.known_application()?;
        let session = self
            .session
            .resolve(asked, defaults(application, &self.session))?;
        let explanation = policy.explain(&Query {
            from: session.from,
            to: session.to,
            tuple: session.tuple,
            app: application.map_or(AppKnowledge::Unknown, AppKnowledge::Known),
            category: session.category,
            src_tags: &session.src_tags,
            dst_tags: &session.dst_tags,
        });
        let view = SessionView::new(
            policy,
            asked.names,
            &session,
            &explanation.src_tags,
            &explanation.dst_tags,
        );
        let tried = explanation.tried.iter().map(|&(id, found)| {
            let rule = symbols.resolve(policy.rule(id).name);
            Tried::new(id.index().saturating_add(1), rule, found, &view)
        });
        let decision = explanation.decision;
        let rule = policy.rule(decision.rule);
        let forwarding = asked.forwarding;
        Ok(SecurityAnswer {
            rule: symbols.resolve(rule.name).to_owned(),
            index: decision.rule.index().saturating_add(1),
            action: decision.action.name(),
            provisional: decision.provisional,
            name_matters: decision.name_matters,
            profile: rule
                .spyware
                .map(|id| symbols.resolve(policy.spyware(id).name).to_owned()),
            log_setting: rule
                .log_setting
                .and_then(|id| forwarding.get(id))
                .map(|profile| profile.name.to_string()),
            application: application.map(AppId::name),
            tried: tried.collect(),
            session: view,
        })
    }
}

impl SecurityQuestion {
    fn known_application(&self) -> Result<Option<AppId>, Complaint> {
        let Some(name) = &self.application else {
            return Ok(None);
        };
        let found = AppId::from_name(name);
        let names = || AppId::all().map(AppId::name);
        found
            .map(Some)
            .ok_or_else(|| unknown("application", name, names()))
    }
}

/// What follows from the application where the command line does not say it.
fn defaults(application: Option<AppId>, session: &SessionArguments) -> Defaults {
    let icmp = session.icmp();
    let over = [IpProtocol::TCP, IpProtocol::UDP, icmp];
    let runs_over = |protocol: &IpProtocol| application.is_none_or(|app| app.runs_over(*protocol));
    let protocol = over.into_iter().find(runs_over).unwrap_or(IpProtocol::TCP);
    let named = session.protocol().unwrap_or(protocol);
    Defaults {
        protocol,
        port: application
            .filter(|app| !app.is_default(named, 0))
            .and_then(|app| (1..=u16::MAX).find(|port| app.is_default(named, *port))),
    }
}

impl fmt::Display for SecurityAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.rule, self.action)?;
        let application = self.application.unwrap_or("application still to be recognised");
        writeln!(f, "  session  {}, {application}", self.session)?;
        if self.provisional {
            writeln!(
                f,
                "  for now: the application is still to be known and may change this"
            )?;
        }
        if self.name_matters {
            writeln!(
                f,
                "  for now: the server's name is still to be known and may change this"
            )?;
        }
        if let Some(profile) = &self.profile {
            writeln!(f, "  anti-spyware profile  {profile}")?;
        }
        if let Some(log_setting) = &self.log_setting {
            writeln!(f, "  log forwarding  {log_setting}")?;
        }
        write_tried(f, &self.tried)
    }
}
