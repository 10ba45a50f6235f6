//! Documents that are right, and what comes of them.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expected"
)]

use std::{fs, net::IpAddr, path::Path, sync::Arc, time::Duration};

use cordon_config::{
    Compiled, ListKind, Location, Previous, Purpose, Recurring, Running, Severity, SourceText, Sources,
    compile, parse,
};
use inspect::domains::ListTag;
use logs::{Mode, TagScope, TagTarget};
use packet::{DomainName, FlowTuple, IpProtocol};
use policy::{Action, AppId, AppKnowledge, CategorySet, DnsAction, ListId, Query, SpywareProfileId};
use tags::{TagNames, TagSet};

/// Every key there is, used as it is meant. `docs/CONFIG.md` describes each.
const EVERY_KEY: &str = include_str!("every_key.toml");

const FILES: [(&str, &str); 5] = [
    ("Bad-Names", "bad.example\n*.worse.example # a comment\n"),
    ("Bad-Hosts", "203.0.113.0/24 ; a comment\n2001:db8:bad::/48\n"),
    ("Bad-Urls", "urls.example/\n"),
    ("shopping", "shop.example\n"),
    ("health-and-medicine", "clinic.example\n"),
];

fn running(text: &str, files: &[(&str, &str)]) -> Running {
    let document = parse("fw.toml", text).document.expect("TOML");
    let mut sources = Sources::new();
    for file in document.external_files() {
        let found = files.iter().find(|(name, _)| *name == &*file.name);
        let (_, text) = found.unwrap_or_else(|| panic!("{} is not expected", file.name));
        sources.insert(&file, SourceText::Read((*text).to_owned()));
    }
    sources.resolved("updates.example", vec!["198.51.100.7".parse().unwrap()]);
    let Compiled { running, findings } = compile(&document, &sources, &TagNames::new(), None, 1);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    running.expect("no errors, and yet no policy")
}

/// The rule that decides a TCP session from inside to outside, and what it does.
fn decide(running: &Running, src: &str, dst: &str, dport: u16) -> (String, Action) {
    let policy = &running.policy;
    let tuple = FlowTuple {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        sport: 50_000,
        dport,
        protocol: IpProtocol::TCP,
    };
    let zone = |name: &str| {
        let mut zones = policy.zones().iter().zip(0..);
        let found = zones.find(|(zone, _)| policy.symbols().resolve(zone.name) == name);
        policy::ZoneId(found.unwrap().1)
    };
    let none = TagSet::new();
    let decision = policy.decide(&Query {
        from: zone("inside"),
        to: zone("outside"),
        tuple,
        app: AppKnowledge::Known(AppId::SSL),
        category: Some(CategorySet::NONE),
        src_tags: &none,
        dst_tags: &none,
    });
    let name = policy.symbols().resolve(policy.rule(decision.rule).name);
    (name.to_owned(), decision.action)
}

#[test]
fn every_key_is_understood_without_a_word() {
    running(EVERY_KEY, &FILES);
}

/// A key that is understood but not described would be found by nobody.
#[test]
fn every_key_is_described() {
    let guide = include_str!("../../../docs/CONFIG.md");
    for line in EVERY_KEY.lines().filter(|line| !line.starts_with(['#', '['])) {
        let Some((key, _)) = line.split_once('=') else {
            continue;
        };
        let last = key.trim().rsplit('.').next().unwrap();
        let described = [format!("`{last}`"), format!(".{last}`")]
            .iter()
            .any(|name| guide.contains(name));
        assert!(described, "{last} is not described");
    }
}

#[test]
fn settings_reach_the_policy() {
    let running = running(EVERY_KEY, &FILES);
    let settings = running.policy.settings();
    assert_eq!(settings.session.tcp, Duration::from_mins(30));
    assert_eq!(settings.session.discard_udp, Duration::from_secs(33));
    assert_eq!(settings.limits.sessions, 500_000);
    assert_eq!(settings.limits.fragment_bytes, 1_000_000);
    assert_eq!(settings.limits.tagged_subjects, 9000);
    assert_eq!(settings.tagging.max_new_per_hour, Some(100));
    assert_eq!(settings.tcp.non_syn, policy::NonSyn::Drop);
    assert_eq!(settings.tcp.asymmetric, policy::Asymmetric::Drop);
    assert_eq!(settings.management.ports, [22, 443]);
    assert!(
        settings
            .management
            .addresses
            .contains("192.168.1.9".parse().unwrap())
    );
    assert!(
        running
            .policy
            .never_tag("192.168.1.1".parse().unwrap(), &TagSet::new())
    );
    assert!(running.policy.is_resolver("192.168.1.53".parse().unwrap()));
    assert!(running.policy.is_sinkhole("2001:db8::bad".parse().unwrap()));
    let wire = &running.policy.wires()[0];
    assert!(wire.protect_link_local && wire.link_state_pass_through);
    assert_eq!(wire.io, policy::WireIo::Xdp);
    assert!(wire.allows_ethertype(0x88cc) && wire.allows_ethertype(0x9000) && !wire.allows_ethertype(0x8847));
}

#[test]
fn a_decryption_profile_reaches_the_policy() {
    let running = running(EVERY_KEY, &FILES);
    let profile = running
        .policy
        .decryption_rules()
        .find_map(|(_, rule)| running.policy.decryption_profile(rule.profile?))
        .unwrap();
    let proxy = profile.ssl_forward_proxy;
    assert!(proxy.restrict_cert_exts && proxy.auto_include_altname);
    assert!(proxy.block_tls13_downgrade_no_resource && !proxy.block_if_no_resource);
    let ciphers = policy::TlsCiphers {
        aes_256_gcm: true,
        ..policy::TlsCiphers::NONE
    };
    assert_eq!(
        profile.ciphers, ciphers,
        "two ciphers need the hash that is forbidden"
    );
}

#[test]
fn names_become_what_they_stand_for() {
    let running = running(EVERY_KEY, &FILES);
    let web = |src: &str, dst: &str, port: u16| decide(&running, src, dst, port);
    let is = |name: &str, action| (name.to_owned(), action);
    assert_eq!(
        web("10.0.0.9", "203.0.113.77", 443),
        is("Listed", Action::ResetBoth)
    );
    assert_eq!(
        web("10.0.0.9", "2001:db8:bad::1", 80),
        is("Listed", Action::ResetBoth)
    );
    assert_eq!(
        web("10.0.0.9", "203.0.113.9", 443),
        is("Web", Action::Allow),
        "excepted from the list"
    );
    assert_eq!(
        web("10.0.0.9", "192.0.2.1", 8080),
        is("Web", Action::Allow),
        "service-http"
    );
    assert_eq!(
        web("10.0.0.9", "192.0.2.1", 8443),
        is("Web", Action::Allow),
        "a group in a group"
    );
    assert_eq!(
        web("10.0.0.9", "192.0.2.1", 4444),
        is("interzone-default", Action::Deny)
    );
    assert_eq!(
        web("10.0.0.9", "198.51.100.7", 4444),
        is("Updates", Action::Allow),
        "the addresses of a name"
    );
    assert_eq!(
        web("172.16.1.9", "192.0.2.1", 443),
        is("interzone-default", Action::Deny),
        "not a source"
    );
    let rule = |name: &str| {
        let mut rules = running.policy.rules();
        rules
            .find(|(_, rule)| running.policy.symbols().resolve(rule.name) == name)
            .unwrap()
            .1
    };
    assert_eq!(
        rule("Web").spyware,
        rule("Updates").spyware,
        "by a profile group or directly"
    );
    assert_eq!(
        rule("Web").log_setting,
        running.forwarding.iter().next().map(|profile| profile.id)
    );
    assert!(rule("Web").log_start && !rule("Web").log_end);
    assert!(rule("Never").disabled && rule("Never").icmp_unreachable);
}

#[test]
fn lists_and_categories_are_found_by_their_ids() {
    let running = running(EVERY_KEY, &FILES);
    let name = |text: &str| text.parse::<DomainName>().unwrap();
    let profile = running.policy.spyware(SpywareProfileId(0));
    let list = profile.lists[0].0;
    assert_eq!(profile.lists[0].1, DnsAction::Sinkhole);
    assert!(
        running
            .domains
            .set()
            .lookup(&name("www.bad.example"))
            .on(ListTag(list.0))
            .is_some(),
        "expand-domain"
    );
    assert!(
        running.domains.set().lookup(&name("good.bad.example")).is_empty(),
        "exception-list"
    );
    assert!(profile.excepts(&name("fine.example")));
    let categories = |host: &str| -> Vec<String> {
        let set = running.policy.categorize(&name(host));
        let ids = set
            .iter()
            .map(|id| running.policy.symbols().resolve(running.policy.category_name(id)));
        ids.map(str::to_owned).collect()
    };
    assert_eq!(categories("shop.example"), ["shopping"]);
    assert_eq!(categories("www.bank.example"), ["Never-Decrypt"]);
    assert_eq!(categories("urls.example"), ["Bad-Urls"]);
    let summaries: Vec<_> = running
        .lists
        .iter()
        .map(|list| (&*list.name, list.kind, list.entries))
        .collect();
    assert_eq!(
        summaries,
        [
            ("Bad-Names", ListKind::Domain, 2),
            ("Bad-Hosts", ListKind::Ip, 2),
            ("Bad-Urls", ListKind::Url, 1)
        ]
    );
    assert_eq!(
        running.policy.list_name(ListId(0)),
        running.policy.list_name(list)
    );
}

#[test]
fn match_lists_are_compiled() {
    let running = running(EVERY_KEY, &FILES);
    let profile = running.forwarding.iter().next().unwrap();
    let [entry, shadow] = &*profile.match_list else {
        panic!("two entries")
    };
    assert_eq!((entry.mode, shadow.mode), (Mode::Enforce, Mode::Shadow));
    assert!(shadow.filter.is_all());
    let action = &entry.actions[0];
    assert_eq!(
        (action.target, action.scope, action.timeout),
        (TagTarget::Destination, TagScope::ServerName, 15)
    );
    assert_eq!(
        (action.evidence.clients, action.evidence.window),
        (3, Duration::from_mins(10))
    );
}

#[test]
fn a_document_says_which_files_it_needs() {
    let document = parse("fw.toml", EVERY_KEY).document.unwrap();
    let files: Vec<_> = document
        .external_files()
        .into_iter()
        .map(|file| (file.name.to_string(), file.location.to_string(), file.purpose))
        .collect();
    let list = |kind, recurring| Purpose::List {
        kind: Some(kind),
        recurring,
    };
    let expected = [
        (
            "Bad-Names",
            "lists/names.txt",
            list(ListKind::Domain, Some(Recurring::Hourly)),
        ),
        (
            "Bad-Hosts",
            "/var/lib/hosts.txt",
            list(ListKind::Ip, Some(Recurring::FiveMinute)),
        ),
        (
            "Bad-Urls",
            "https://lists.example/urls",
            list(ListKind::Url, Some(Recurring::Daily)),
        ),
        ("shopping", "categories/shopping/domains", Purpose::Category),
        (
            "health-and-medicine",
            "categories/health-and-medicine/domains",
            Purpose::Category,
        ),
    ];
    assert_eq!(
        files,
        expected.map(|(name, place, purpose)| (name.to_owned(), place.to_owned(), purpose))
    );
    assert_eq!(document.host_names(), ["updates.example"]);
}

/// Records written under an earlier configuration can still be read.
#[test]
fn names_keep_their_symbols_over_commits() {
    let first = running(EVERY_KEY, &FILES);
    let rule = first.policy.rules().next().unwrap().1.name;
    let document = parse("fw.toml", "").document.unwrap();
    let symbols = first.policy.symbols();
    let previous = Previous {
        symbols,
        domains: &first.domains,
    };
    let compiled = compile(&document, &Sources::new(), &TagNames::new(), Some(previous), 1);
    let second = compiled.running.unwrap();
    assert_eq!(second.policy.symbols().resolve(rule), symbols.resolve(rule));
}

/// Ten thousand rules with their own objects, none of which is wrong.
#[test]
fn a_big_document_is_compiled() {
    use std::fmt::Write as _;
    let mut text = String::from(
        "[virtual-wire.w]\ninterface1 = 'lan0'\ninterface2 = 'wan0'\n\
         [zone.inside]\ninterfaces = ['lan0']\n[zone.outside]\ninterfaces = ['wan0']\n",
    );
    for number in 0..10_000_u32 {
        let address = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number));
        write!(
            text,
            "[address.host-{number}]\nip-netmask = '{address}'\n\
             [service.port-{number}]\nprotocol.tcp.port = '{}'\n\
             [[rulebase.security.rules]]\nname = 'rule {number}'\nfrom = ['inside']\nto = ['outside']\n\
             source = ['host-{number}']\nservice = ['port-{number}']\naction = 'allow'\n",
            number + 1
        )
        .unwrap();
    }
    let running = running(&text, &[]);
    assert_eq!(running.policy.rules().count(), 10_002);
    assert_eq!(
        decide(&running, "10.0.39.15", "192.0.2.1", 10_000),
        ("rule 9999".to_owned(), Action::Allow)
    );
    assert_eq!(decide(&running, "10.0.39.15", "192.0.2.1", 9999).1, Action::Deny);
}

#[test]
fn the_shared_examples_are_accepted() {
    let Some(shared) = std::env::var_os("CORDON_SHARED") else {
        eprintln!("skipped: CORDON_SHARED is not set");
        return;
    };
    let folder = Path::new(&shared).join("design");
    for (name, expected) in [("example.toml", 2), ("open.toml", 0)] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let document = parse(name, &text).document.expect("TOML");
        let mut sources = Sources::new();
        for file in document.external_files() {
            let Location::File(path) = &file.location else {
                continue;
            };
            let text = fs::read_to_string(folder.join(&**path)).unwrap();
            sources.insert(&file, SourceText::Read(text));
        }
        let compiled = compile(&document, &sources, &TagNames::new(), None, 1);
        assert!(compiled.running.is_some(), "{:#?}", compiled.findings);
        assert_eq!(
            compiled.findings.len(),
            expected,
            "objects that no rule uses: {:#?}",
            compiled.findings
        );
        assert!(
            compiled
                .findings
                .iter()
                .all(|finding| finding.severity == Severity::Warning)
        );
    }
}

/// A reload shares its domain lists with the configuration before, as long as nothing of them is another; its findings
/// are those of the first time.
#[test]
fn domain_lists_that_are_the_same_are_shared() {
    let text = |options: &str| {
        format!(
            "[external-list.bad]\ntype = 'domain'\nurl = 'file:bad.txt'\n{options}\n\
             [virtual-wire.w]\ninterface1 = 'lan0'\ninterface2 = 'wan0'\n"
        )
    };
    let compiled = |options: &str, list: &str, previous: Option<&Running>| {
        let document = parse("fw.toml", &text(options)).document.unwrap();
        let mut sources = Sources::new();
        for file in document.external_files() {
            sources.insert(&file, SourceText::Read(list.to_owned()));
        }
        let previous = previous.map(|running| Previous {
            symbols: running.policy.symbols(),
            domains: &running.domains,
        });
        let Compiled { running, findings } = compile(&document, &sources, &TagNames::new(), previous, 1);
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        (running.unwrap(), findings)
    };
    let (first, told) = compiled("", "a.example\nnot a n@me\n", None);
    assert!(
        told.iter().any(|finding| finding.contains("bad.txt:2")),
        "{told:?}"
    );
    let (same, again) = compiled("", "a.example\nnot a n@me\n", Some(&first));
    assert!(Arc::ptr_eq(first.domains.set(), same.domains.set()));
    assert_eq!(again, told);
    assert_eq!(same.lists, first.lists);
    for (options, list) in [
        ("", "b.example\n"),
        ("expand-domain = true", "a.example\nnot a n@me\n"),
        ("exception-list = ['a.example']", "a.example\nnot a n@me\n"),
    ] {
        let (other, _) = compiled(options, list, Some(&first));
        let (fresh, _) = compiled(options, list, None);
        assert!(
            !Arc::ptr_eq(first.domains.set(), other.domains.set()),
            "{options}"
        );
        for name in ["a.example", "b.example", "x.a.example"] {
            let name: DomainName = name.parse().unwrap();
            assert_eq!(
                other.domains.set().lookup(&name),
                fresh.domains.set().lookup(&name)
            );
        }
    }
}
