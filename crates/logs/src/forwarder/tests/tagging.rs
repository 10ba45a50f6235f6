//! What the forwarder tags and tells.

use super::*;

#[test]
fn the_guide_s_quarantine() {
    let mut lab = Lab::new(vec![infected()]);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("register infected-host on {CLIENT} by record 1")]
    );
    assert_eq!(lab.tags(CLIENT), ["infected-host"]);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("refresh infected-host on {CLIENT} by record 3")]
    );
    let seqnos: Vec<u64> = lab.out.iter().map(|record| record.seqno).collect();
    assert_eq!(seqnos, [1, 2, 3, 4]);
    let Body::IpTag(change) = &lab.out[1].body else {
        panic!()
    };
    assert_eq!((change.match_list.as_deref(), change.timeout), (Some("Entry"), 0));
    lab.after(100 * 86_400);
    assert_eq!(lab.expire(), [""; 0], "0 minutes are for ever");
    let counters = lab.forwarder.counters();
    assert_eq!(
        (
            counters.records,
            counters.tags_registered,
            counters.tags_refreshed
        ),
        (4, 1, 1)
    );
}

#[test]
fn the_guide_s_decryption_bypass() {
    let mut lab = Lab::new(vec![bypass_entry(bypass())]);
    let told = lab.decrypt_error(CLIENT, SERVER, trusted());
    assert_eq!(told, [format!("register decrypt-error on {SERVER} by record 1")]);
    lab.after(10 * 60);
    let told = lab.decrypt_error("192.168.1.3", SERVER, trusted());
    assert_eq!(told, [format!("refresh decrypt-error on {SERVER} by record 3")]);
    lab.after(15 * 60 - 1);
    assert_eq!(lab.tags(SERVER), ["decrypt-error"]);
    assert_eq!(lab.expire(), [""; 0]);
    lab.after(1);
    assert_eq!(lab.tags(SERVER), [""; 0], "over, cleaned up or not");
    assert_eq!(
        lab.expire(),
        [format!("timeout decrypt-error on {SERVER} by record 3")]
    );
    assert_eq!(lab.expire(), [""; 0]);
}

#[test]
fn what_expires_is_told_in_order_of_subject() {
    let mut lab = Lab::new(vec![bypass_entry(bypass())]);
    for server in ["203.0.113.9", "2001:db8::1", "198.51.100.7", "203.0.113.10"] {
        lab.decrypt_error(CLIENT, server, trusted());
    }
    lab.after(3600);
    let order: Vec<String> = lab.expire();
    assert_eq!(
        order,
        [
            "timeout decrypt-error on 198.51.100.7 by record 5",
            "timeout decrypt-error on 203.0.113.9 by record 1",
            "timeout decrypt-error on 203.0.113.10 by record 7",
            "timeout decrypt-error on 2001:db8::1 by record 3",
        ]
    );
}

#[test]
fn every_matching_entry_and_action_acts() {
    let mut second = infected();
    second.name = "Second".into();
    second.actions = vec![action(2, TagTarget::Source), action(3, TagTarget::Destination)];
    second.actions[0].tags.push(Names::new().tag("host"));
    let other = entry(
        LogType::Threat,
        "action eq alert",
        vec![action(1, TagTarget::Source)],
    );
    let traffic = entry(LogType::Traffic, "", vec![action(1, TagTarget::Source)]);
    let mut lab = Lab::new(vec![infected(), other, traffic, second]);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [
            format!("register infected-host on {CLIENT} by record 1"),
            format!("register a b on {CLIENT} by record 1"),
            format!("register host on {CLIENT} by record 1"),
            format!("register host on {SERVER} by record 1"),
        ]
    );
}

#[test]
fn only_the_rule_s_profile_is_asked() {
    let mut lab = Lab::new(vec![infected()]);
    let threat = samples::threat(&lab.names);
    for log_setting in [None, Some(LogSetting(Symbol::INTERZONE_DEFAULT))] {
        let record = Record {
            origin: trusted(),
            log_setting,
            ..Record::unforwarded(lab.now, Body::Threat(Box::new(threat.clone())))
        };
        lab.forwarder
            .record(lab.now, record, &lab.policy, &lab.store, &mut lab.out);
    }
    assert_eq!(lab.out.len(), 2, "recorded, and nothing else");
    assert_eq!(lab.tags(CLIENT), [""; 0]);
}

#[test]
fn removing_takes_off_what_is_there() {
    let mut heal = infected();
    heal.name = "Heal".into();
    heal.filter = Filter::parse("action eq alert", LogType::Threat).unwrap().0;
    heal.actions[0].operation = TagOperation::Remove;
    let mut lab = Lab::new(vec![infected(), heal]);
    let heal = |lab: &mut Lab| {
        let mut threat = samples::threat(&lab.names);
        threat.action = crate::ThreatAction::Alert;
        lab.feed(Body::Threat(Box::new(threat)), trusted())
    };
    assert_eq!(heal(&mut lab), [""; 0], "nothing there");
    lab.sinkhole(CLIENT);
    assert_eq!(
        heal(&mut lab),
        [format!("unregister infected-host on {CLIENT} by record 4")]
    );
    assert_eq!(lab.tags(CLIENT), [""; 0]);
}

#[test]
fn shadow_tells_and_leaves_the_tags_alone() {
    let mut shadow = infected();
    shadow.mode = Mode::Shadow;
    let mut heal = shadow.clone();
    heal.name = "Heal".into();
    heal.actions[0].operation = TagOperation::Remove;
    let mut lab = Lab::with_config(ForwarderConfig {
        max_new_per_hour: Some(1),
        ..config(vec![shadow, heal])
    });
    for client in [CLIENT, CLIENT, "192.168.1.3"] {
        let told = lab.sinkhole(client);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("shadow infected-host on {client}")),
            "{told:?}"
        );
        assert_eq!(lab.tags(client), [""; 0]);
    }
    let told = lab.sinkhole("192.168.1.53");
    assert!(
        told[0].starts_with("refused infected-host on 192.168.1.53"),
        "{told:?}"
    );
    assert_eq!(lab.store.subjects(), 0);
}

#[test]
fn a_scope_qualifies_the_subject() {
    let scoped = |scope| Lab::new(vec![bypass_entry(TagAction { scope, ..bypass() })]);
    let named = || Origin {
        server_name: Some(Box::new("www.example.com".parse().unwrap())),
        ..trusted()
    };
    let mut lab = scoped(TagScope::ServerName);
    let told = lab.decrypt_error(CLIENT, SERVER, named());
    assert_eq!(
        told,
        [format!(
            "register decrypt-error on {SERVER} name=www.example.com by record 1"
        )]
    );
    assert_eq!(
        lab.tags_towards(SERVER, CLIENT, Some("WWW.example.com")),
        ["decrypt-error"]
    );
    assert_eq!(lab.tags_towards(SERVER, CLIENT, Some("example.com")), [""; 0]);
    assert_eq!(lab.tags_towards(SERVER, CLIENT, None), [""; 0]);
    assert_eq!(
        lab.decrypt_error(CLIENT, SERVER, trusted()),
        [
            format!("refused decrypt-error on {SERVER} by record 3"),
            "low no-server-name".to_owned()
        ]
    );
    assert_eq!(lab.decrypt_error(CLIENT, SERVER, trusted()).len(), 1, "told once");

    let mut lab = scoped(TagScope::Client);
    let told = lab.decrypt_error(CLIENT, SERVER, named());
    assert_eq!(
        told,
        [format!(
            "register decrypt-error on {SERVER} client={CLIENT} by record 1"
        )]
    );
    assert_eq!(lab.tags_towards(SERVER, CLIENT, None), ["decrypt-error"]);
    assert_eq!(lab.tags_towards(SERVER, "192.168.1.3", None), [""; 0]);
}

#[test]
fn evidence_of_several_clients_tags_for_all() {
    let evidence = Evidence {
        clients: 3,
        window: Duration::from_mins(10),
    };
    let mut lab = Lab::new(vec![bypass_entry(TagAction { evidence, ..bypass() })]);
    let mut error = |client: &str, origin: Origin| lab.decrypt_error(client, SERVER, origin).remove(0);
    let on = |subject: &str, event: &str| format!("{event} decrypt-error on {subject} by record ");
    let qualified = |client: &str| format!("{SERVER} client={client}");
    assert!(error("10.0.0.1", trusted()).starts_with(&on(&qualified("10.0.0.1"), "register")));
    assert!(error("10.0.0.1", trusted()).starts_with(&on(&qualified("10.0.0.1"), "refresh")));
    assert!(error("10.0.0.2", trusted()).starts_with(&on(&qualified("10.0.0.2"), "register")));
    assert!(
        error("10.0.0.9", Origin::default()).starts_with(&on(&qualified("10.0.0.9"), "register")),
        "a source that may be forged is no evidence"
    );
    assert!(
        error("10.0.0.3", trusted()).starts_with(&on(SERVER, "register")),
        "the third"
    );
    assert!(error("10.0.0.1", trusted()).starts_with(&on(SERVER, "refresh")));
    lab.after(600);
    let told = lab.decrypt_error("10.0.0.1", SERVER, trusted());
    assert!(
        told[0].starts_with(&on(&qualified("10.0.0.1"), "refresh")),
        "the window is over: {told:?}"
    );
    assert_eq!(
        lab.tags_towards(SERVER, "10.0.0.77", None),
        ["decrypt-error"],
        "but not the tag"
    );
}

#[test]
fn a_session_to_a_sinkhole_gets_the_name_that_led_there() {
    let mut lab = Lab::new(vec![infected()]);
    let sinkhole = "72.5.65.111".parse().unwrap();
    let query = |lab: &mut Lab, client: &str, name: &str| {
        let mut threat = samples::threat(&lab.names);
        threat.flow.src = client.parse().unwrap();
        threat.misc = name.parse().ok();
        threat.threat_name = "golfsource.us".parse().ok();
        threat.sinkhole = Some(sinkhole);
        lab.feed(Body::Threat(Box::new(threat)), trusted());
    };
    let session = |lab: &mut Lab, client: &str| {
        let mut threat = samples::threat(&lab.names);
        threat.flow.src = client.parse().unwrap();
        threat.flow.dst = sinkhole;
        (threat.misc, threat.threat_name, threat.qtype) = (None, None, None);
        threat.list = Symbol::EMPTY;
        let at = lab.out.len();
        let told = lab.feed(Body::Threat(Box::new(threat)), trusted());
        let Body::Threat(written) = &lab.out[at].body else {
            panic!()
        };
        let text = |name: Option<DomainName>| name.map(|name| name.to_string()).unwrap_or_default();
        let list = lab.policy.symbols().resolve(written.list).to_owned();
        (text(written.misc), text(written.threat_name), list, told.len())
    };
    assert_eq!(
        session(&mut lab, CLIENT),
        (String::new(), String::new(), String::new(), 1),
        "nobody asked"
    );
    let full = |misc: &str| (misc.to_owned(), "golfsource.us".to_owned(), "lan0".to_owned(), 1);
    query(&mut lab, "192.168.1.53", "a.golfsource.us");
    assert_eq!(
        session(&mut lab, CLIENT),
        full("a.golfsource.us"),
        "the resolver asked for it"
    );
    query(&mut lab, CLIENT, "b.golfsource.us");
    query(&mut lab, "192.168.1.53", "c.golfsource.us");
    assert_eq!(
        session(&mut lab, CLIENT),
        full("b.golfsource.us"),
        "its own name comes first"
    );
    assert_eq!(session(&mut lab, "192.168.1.3"), full("c.golfsource.us"));
}

#[test]
fn an_unlisted_resolver_is_told_once() {
    let mut lab = Lab::new(vec![infected()]);
    let answered = |lab: &mut Lab, server: &str| {
        lab.fact(Fact::AnsweredDns {
            server: server.parse().unwrap(),
            client: CLIENT.parse().unwrap(),
        })
    };
    assert_eq!(answered(&mut lab, "192.168.1.53"), [""; 0], "it is listed");
    assert_eq!(answered(&mut lab, "192.168.1.54"), ["medium unlisted-resolver"]);
    assert_eq!(answered(&mut lab, "192.168.1.54"), [""; 0]);
    assert_eq!(answered(&mut lab, "192.168.1.55"), ["medium unlisted-resolver"]);
    let told = lab.sinkhole("192.168.1.54");
    assert!(
        told[0].starts_with("register"),
        "only `resolvers` exempts: {told:?}"
    );
}

#[test]
fn commands_tag_by_hand() {
    let mut lab = Lab::new(vec![]);
    let tag = lab.store.names().get("infected-host").unwrap();
    let mut command = TagCommand {
        subject: "10.0.0.0/24".parse().unwrap(),
        tag,
        operation: TagOperation::Add,
        timeout: 5,
        admin: "uid 0".into(),
    };
    let mut run = |lab: &mut Lab, operation| {
        command.operation = operation;
        let before = lab.out.len();
        let outcome = lab.forwarder.command(lab.now, &command, &lab.store, &mut lab.out);
        (outcome, lab.told(before))
    };
    let (outcome, told) = run(&mut lab, TagOperation::Add);
    assert_eq!(outcome, CommandOutcome::Added(Registration::New));
    assert_eq!(told, ["register infected-host on 10.0.0.0/24 by socket uid 0"]);
    assert_eq!(lab.tags("10.0.0.7"), ["infected-host"]);
    let (outcome, told) = run(&mut lab, TagOperation::Remove);
    assert_eq!(outcome, CommandOutcome::Removed);
    assert_eq!(told, ["unregister infected-host on 10.0.0.0/24 by socket uid 0"]);
    assert_eq!(
        run(&mut lab, TagOperation::Remove),
        (CommandOutcome::Absent, vec![])
    );
    run(&mut lab, TagOperation::Add);
    lab.after(300);
    assert_eq!(
        lab.expire(),
        ["timeout infected-host on 10.0.0.0/24 by socket uid 0"]
    );
}

#[test]
fn numbering_goes_on_where_it_stopped() {
    let mut lab = Lab::new(vec![infected()]);
    lab.forwarder.continue_after(100);
    lab.sinkhole(CLIENT);
    assert_eq!(lab.forwarder.last_seqno(), 102);
    assert_eq!((lab.out[0].seqno, lab.out[1].seqno), (101, 102));
}

#[test]
fn a_pause_stores_records_and_tags_nobody() {
    let mut lab = Lab::new(vec![infected()]);
    lab.forwarder
        .pause_tagging(lab.now.saturating_add(Duration::from_mins(1)));
    assert_eq!(lab.sinkhole(CLIENT), [""; 0]);
    assert_eq!(lab.forwarder.counters().records_paused, 1);
    assert_eq!(lab.out.len(), 1);
    lab.after(60);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("register infected-host on {CLIENT} by record 2")]
    );
}
