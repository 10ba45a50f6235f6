//! Whom the forwarder does not tag, and how it says so.

use super::*;

#[test]
fn removing_needs_a_sender_that_is_believed() {
    let mut heal = infected();
    heal.actions[0].operation = TagOperation::Remove;
    let mut lab = Lab::new(vec![heal]);
    let tag = lab.store.names().get("infected-host").unwrap();
    let subject = CLIENT.parse().unwrap();
    let command = TagCommand {
        subject,
        tag,
        operation: TagOperation::Add,
        timeout: 0,
        admin: "root".into(),
    };
    lab.forwarder.command(lab.now, &command, &lab.store, &mut lab.out);
    let told = lab.sinkhole_from(CLIENT, Origin::default());
    assert_eq!(told, [format!("refused infected-host on {CLIENT} by record 2")]);
    assert_eq!(lab.tags(CLIENT), ["infected-host"]);
}

#[test]
fn some_addresses_are_never_tagged() {
    let mut lab = Lab::with_config(ForwarderConfig {
        own_addresses: vec!["192.168.1.254".parse().unwrap()],
        ..config(vec![infected()])
    });
    for client in [
        "192.168.1.53",
        "72.5.65.111",
        "192.168.1.1",
        "192.168.1.254",
        "0.0.0.0",
        "::",
        "224.0.0.251",
        "ff02::fb",
        "255.255.255.255",
    ] {
        let told = lab.sinkhole(client);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("refused infected-host on {client} by")),
            "{told:?}"
        );
    }
    assert_eq!(lab.store.subjects(), 0);
    assert_eq!(lab.forwarder.counters().tags_refused, 9);
}

#[test]
fn a_tag_can_spare_its_bearer_other_tags() {
    let mut lab = Lab::new(vec![infected()]);
    let command = TagCommand {
        subject: CLIENT.parse().unwrap(),
        tag: lab.names.tag("spared"),
        operation: TagOperation::Add,
        timeout: 0,
        admin: "root".into(),
    };
    lab.forwarder.command(lab.now, &command, &lab.store, &mut lab.out);
    assert_eq!(
        lab.sinkhole(CLIENT),
        [format!("refused infected-host on {CLIENT} by record 2")]
    );
}

#[test]
fn a_source_that_is_not_proven_is_not_tagged() {
    let mut lab = Lab::new(vec![infected(), {
        let mut destination = infected();
        destination.name = "Destination".into();
        destination.actions[0].target = TagTarget::Destination;
        destination
    }]);
    assert_eq!(
        lab.sinkhole_from(CLIENT, Origin::default()),
        [
            format!("refused infected-host on {CLIENT} by record 1"),
            format!("register infected-host on {SERVER} by record 1"),
        ]
    );
    let inside_a_tunnel = Origin {
        unproven_destination: true,
        ..Origin::default()
    };
    assert_eq!(
        lab.sinkhole_from(CLIENT, inside_a_tunnel)[1..],
        [format!("refused infected-host on {SERVER} by record 4")]
    );
}

#[test]
fn a_foreign_link_layer_address_waits_until_the_binding_has_aged() {
    let mut lab = Lab::new(vec![infected()]);
    lab.seen(CLIENT, MAC_A);
    lab.after(10);
    lab.seen(CLIENT, MAC_B);
    assert_eq!(
        lab.sinkhole_from(CLIENT, from_mac(MAC_B)),
        [
            format!("refused infected-host on {CLIENT} by record 1"),
            "medium foreign-link-layer-address".to_owned(),
        ]
    );
    let Body::System(system) = &lab.out[2].body else {
        panic!()
    };
    assert!(
        system.opaque.contains("came from 02:00:00:00:00:0b")
            && system.opaque.contains("02:00:00:00:00:0a holds"),
        "{}",
        system.opaque
    );
    assert_eq!(
        lab.sinkhole_from(CLIENT, from_mac(MAC_A)),
        [format!("register infected-host on {CLIENT} by record 4")]
    );
    lab.after(290);
    lab.seen(CLIENT, MAC_B);
    assert_eq!(
        lab.sinkhole_from(CLIENT, from_mac(MAC_B)),
        [format!("refresh infected-host on {CLIENT} by record 6")],
        "A was last seen 300 s ago"
    );
    let told = lab.sinkhole_from(CLIENT, from_mac(MAC_A));
    assert_eq!(told.len(), 2, "now A is the foreigner: {told:?}");
}

#[test]
fn bindings_do_not_concern_servers_other_segments_or_links_without_addresses() {
    let mut destination = infected();
    destination.actions = vec![action(0, TagTarget::Destination)];
    let mut lab = Lab::new(vec![destination]);
    lab.seen(CLIENT, MAC_A);
    lab.seen(SERVER, MAC_A);
    let told = lab.sinkhole_from(CLIENT, from_mac(MAC_B));
    assert_eq!(told, [format!("register infected-host on {SERVER} by record 1")]);

    let mut lab = Lab::new(vec![infected()]);
    lab.seen(CLIENT, MAC_A);
    for origin in [
        Origin {
            vlans: VlanTags::single(20),
            ..from_mac(MAC_B)
        },
        Origin {
            side: Side::Second,
            ..from_mac(MAC_B)
        },
        trusted(),
    ] {
        let told = lab.sinkhole_from(CLIENT, origin);
        assert!(!told[0].starts_with("refused"), "{told:?}");
    }
}

#[test]
fn the_quota_is_for_new_addresses_in_a_sliding_hour() {
    let mut second = infected();
    second.name = "Second".into();
    second.filter = Filter::parse("(src in 192.168.9.0/24)", LogType::Threat)
        .unwrap()
        .0;
    let mut lab = Lab::with_config(ForwarderConfig {
        max_new_per_hour: Some(2),
        ..config(vec![infected(), second])
    });
    let registered = |told: &[String]| told.iter().filter(|told| told.starts_with("register")).count();
    assert_eq!(registered(&lab.sinkhole("10.0.0.1")), 1);
    assert_eq!(
        registered(&lab.sinkhole("10.0.0.1")),
        0,
        "a refresh costs nothing"
    );
    lab.after(1800);
    assert_eq!(registered(&lab.sinkhole("10.0.0.2")), 1);
    assert_eq!(
        lab.sinkhole("10.0.0.3"),
        [
            "refused infected-host on 10.0.0.3 by record 7".to_owned(),
            "critical max-new-per-hour".to_owned()
        ]
    );
    assert_eq!(lab.sinkhole("10.0.0.4").len(), 1, "told once");
    assert_eq!(
        lab.sinkhole("10.0.0.1"),
        ["refresh infected-host on 10.0.0.1 by record 12"],
        "who is tagged already is refreshed all the same"
    );
    assert_eq!(
        lab.sinkhole("192.168.9.1")[1..],
        ["register infected-host on 192.168.9.1 by record 14"],
        "each entry has its own"
    );
    lab.after(1800);
    assert_eq!(
        registered(&lab.sinkhole("10.0.0.3")),
        1,
        "the first was an hour ago"
    );
    assert_eq!(
        lab.sinkhole("10.0.0.4").last().map(String::as_str),
        Some("critical max-new-per-hour"),
        "a crossing of its own"
    );
}

#[test]
fn an_address_counts_once_however_much_an_entry_puts_on_it() {
    let mut many = infected();
    many.actions = vec![action(0, TagTarget::Source), action(1, TagTarget::Source)];
    many.actions[0].tags.push(Names::new().tag("host"));
    let mut lab = Lab::with_config(ForwarderConfig {
        max_new_per_hour: Some(2),
        ..config(vec![many])
    });
    for client in ["10.0.0.1", "10.0.0.2"] {
        let told = lab.sinkhole(client);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|told| told.starts_with("register")), "{told:?}");
    }
    let told = lab.sinkhole("10.0.0.3");
    assert_eq!(
        told.iter().filter(|told| told.starts_with("refused")).count(),
        3,
        "{told:?}"
    );
    assert_eq!(
        told.iter().filter(|told| told.starts_with("critical")).count(),
        1,
        "{told:?}"
    );
}

#[test]
fn a_full_store_is_told_once() {
    let limits = TagLimits {
        subjects: 1,
        ..TagLimits::default()
    };
    let mut lab = Lab::with_limits(config(vec![infected()]), limits);
    lab.sinkhole("10.0.0.1");
    assert_eq!(
        lab.sinkhole("10.0.0.2"),
        [
            "refused infected-host on 10.0.0.2 by record 3".to_owned(),
            "critical tag-limit".to_owned()
        ]
    );
    assert_eq!(lab.sinkhole("10.0.0.3").len(), 1);
}

#[test]
fn a_commit_keeps_quota_and_evidence_of_entries_that_stay() {
    let one = |name: &str| ForwarderConfig {
        max_new_per_hour: Some(1),
        ..config(vec![MatchListEntry {
            name: name.into(),
            ..infected()
        }])
    };
    let mut lab = Lab::with_config(one("A"));
    lab.sinkhole("10.0.0.1");
    lab.forwarder.configure(one("A"));
    assert!(lab.sinkhole("10.0.0.2")[0].starts_with("refused"));
    lab.forwarder.configure(one("B"));
    assert!(lab.sinkhole("10.0.0.3")[0].starts_with("register"));
}
