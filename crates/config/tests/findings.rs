//! Every kind of finding, with its exact place. Most faults are one line of a document that is right
//! otherwise; what each line says is the contract with whoever reads `cordon check`.

use cordon_config::{Compiled, SourceText, Sources, compile, parse};
use tags::TagNames;

/// A wire and two zones, put behind a snippet so that its lines keep their numbers.
const NETWORK: &str = r#"
[virtual-wire.w]
interface1 = "lan0"
interface2 = "wan0"
[zone.inside]
interfaces = ["lan0"]
[zone.outside]
interfaces = ["wan0"]
"#;

/// Every finding about a whole document, with the texts of its lists and categories by name.
fn findings_with(text: &str, files: &[(&str, Result<&str, &str>)]) -> Vec<String> {
    let parsed = parse("fw", text);
    let lines = |findings: &[cordon_config::Finding]| findings.iter().map(ToString::to_string).collect();
    let Some(document) = parsed.document else {
        return lines(&parsed.findings);
    };
    let mut sources = Sources::new();
    let mut folders = Vec::new();
    for file in document.external_files() {
        if let Some((_, given)) = files.iter().find(|(name, _)| *name == &*file.name) {
            sources.insert(
                &file,
                match given {
                    Ok(text) => SourceText::Read((*text).to_owned()),
                    Err(why) => SourceText::Failed((*why).to_owned()),
                },
            );
        }
    }
    folders.extend(["government", "shopping"].map(str::to_owned));
    sources.category_folders(folders);
    let Compiled { running, findings } = compile(&document, &sources, &TagNames::new(), None, 1);
    let has_errors = findings
        .iter()
        .any(|finding| finding.to_string().contains(": error: "));
    assert_eq!(running.is_none(), has_errors, "only errors stop a commit");
    lines(&findings)
}

/// Every finding about a snippet in front of a network.
fn findings(snippet: &str) -> Vec<String> {
    findings_with(&format!("{snippet}{NETWORK}"), &[])
}

/// Runs a table of snippets, each with what must be found.
macro_rules! found {
    ($($(#[$doc:meta])* $name:ident: $snippet:expr => [$($line:expr),* $(,)?];)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            let expected: &[&str] = &[$($line),*];
            assert_eq!(findings($snippet), expected);
        }
    )*};
}

found! {
    nothing: "" => [];
    unknown_key: "[address.a]\nip-netmask = '10.0.0.1'\nip-netmsk = '10.0.0.2'" => [
        "fw:1:10: warning: address `a` is not used",
        "fw:3:1: error: unknown key `ip-netmsk` in address.a; nearest valid name: `ip-netmask`",
    ];
    unknown_top_key: "adress = 1" => [
        "fw:1:1: error: unknown key `adress` in the document; nearest valid name: `address`",
    ];
    unknown_key_far_from_all: "[setting.tcp]\nzzz = 1" => [
        "fw:2:1: error: unknown key `zzz` in setting.tcp; known are non-syn, asymmetric",
    ];
    wrong_type: "[tag]\nx = 1\n[setting]\nsession.timeout-udp = '30'\ntagging.never-tag = 'x'" => [
        "fw:2:5: error: tag.x must be a table, not a whole number",
        "fw:4:23: error: setting.session.timeout-udp must be a whole number, without quotes, not a text",
        "fw:5:21: error: setting.tagging.never-tag must be an array of texts: [\"…\"], not a text",
    ];
    verify_sni_without_resolvers: "[profiles.decryption.p]\nverify-sni = true\n[profiles.decryption.q]\nverify-sni = false" => [
        "fw:1:22: warning: decryption profile `p` is not used",
        "fw:2:14: warning: decryption profile `p`: no zone lists `resolvers`, so verify-sni believes whatever any DNS server answers, a client's own included",
        "fw:3:22: warning: decryption profile `q` is not used",
    ];
    wrong_boolean: "[setting.session]\ntimeout-udp = 30.5\n[profiles.decryption.p]\nssl-forward-proxy.strip-alpn = 'yes'" => [
        "fw:2:15: error: setting.session.timeout-udp must be a whole number, without quotes, not a number with a fraction",
        "fw:3:22: warning: decryption profile `p` is not used",
        "fw:4:32: error: profiles.decryption.p.ssl-forward-proxy.strip-alpn must be true or false, without quotes, not a text",
    ];
    wrong_word: "[[rulebase.security.rules]]\nname = 'r'\naction = 'alow'" => [
        "fw:3:10: error: rulebase.security.rules `r`.action must be one of allow, deny, drop, reset-client, reset-server, reset-both, not `alow`; nearest valid name: `allow`",
    ];
    missing_key: "[[rulebase.security.rules]]\nfrom = ['any']\n[address.a]\n[virtual-wire.v]\ninterface1 = 'x0'" => [
        "fw:1:1: error: rulebase.security.rules[0] lacks `name`",
        "fw:1:1: error: rulebase.security.rules[0] lacks `action`: one of allow, deny, drop, reset-client, reset-server, reset-both",
        "fw:3:10: error: address.a lacks its value: `ip-netmask`, `ip-range`, `ip-wildcard` or `fqdn`",
        "fw:3:10: warning: address `a` is not used",
        "fw:4:15: error: virtual-wire.v lacks `interface2`",
        "fw:5:14: warning: interface `x0` is in no zone: its packets are dropped",
    ];
    reserved_name: "[address.any]\nip-netmask = '10.0.0.1'" => [
        "fw:1:10: error: a name must not be `any`, which stands for everything",
        "fw:1:10: warning: address `any` is not used",
    ];
    bad_names: "[tag.'']\n[tag.'a ']\n[tag.\"a\\n\"]" => [
        "fw:1:6: error: a name must not be empty",
        "fw:2:6: error: a name must not begin or end with a space: `a `",
        "fw:2:6: warning: tag `a ` is not used",
        "fw:3:6: error: a name must not hold control characters: `a\\n`",
    ];
    dangling_address: "[address.ipad]\nip-netmask = '10.0.0.1'\n[[rulebase.security.rules]]\nname = 'r'\nsource = ['any', 'ipad']\ndestination = [\"ipda\"]\naction = 'allow'" => [
        "fw:1:10: warning: address `ipad` is not used",
        "fw:5:11: error: security rule `r`: source: `any` must stand alone",
        "fw:6:16: error: security rule `r`: destination names `ipda`, which is no address, address group or external list of type ip; nearest valid name: `ipad`",
    ];
    dangling_zone: "[[rulebase.security.rules]]\nname = 'r'\nfrom = ['insid']\naction = 'allow'" => [
        "fw:3:9: error: security rule `r`: from names `insid`, which is no zone; nearest valid name: `inside`",
    ];
    dangling_group_member: "[address-group.g]\nstatic = ['nobody', '10.0.0.300', '10.0.0.1/33']" => [
        "fw:1:16: warning: address group `g` is not used",
        "fw:2:11: error: address group `g`: static names `nobody`, which is no address, address group or external list of type ip",
        "fw:2:21: error: address group `g`: static names `10.0.0.300`: expected an address such as 192.0.2.1 or 2001:db8::1, a prefix or a range",
        "fw:2:35: error: address group `g`: static names `10.0.0.1/33`: a prefix length is a number from 0 to 32 (IPv4) or 128 (IPv6)",
    ];
    dangling_service: "[[rulebase.security.rules]]\nname = 'r'\nservice = ['service-htp']\napplication = ['web-browsin']\naction = 'allow'" => [
        "fw:3:12: error: security rule `r`: service names `service-htp`, which is no service or service group; nearest valid name: `service-http`",
        "fw:4:16: error: security rule `r`: application names `web-browsin`, which is no application or application group; nearest valid name: `web-browsing`",
    ];
    dangling_profile: "[[rulebase.security.rules]]\nname = 'r'\nlog-setting = 'x'\nprofile-setting.profiles.spyware = ['y']\naction = 'allow'\n[[rulebase.decryption.rules]]\nname = 'r'\nprofile = 'z'" => [
        "fw:3:15: error: security rule `r`: log-setting names `x`, which is no log forwarding profile",
        "fw:4:37: error: security rule `r`: profile-setting.profiles.spyware names `y`, which is no anti-spyware profile",
        "fw:8:11: error: decryption rule `r`: profile names `z`, which is no decryption profile",
    ];
    dangling_list: "[profiles.spyware.p]\nbotnet-domains.sinkhole.ipv4-address = '10.0.0.1'\n[[profiles.spyware.p.botnet-domains.lists]]\nname = 'l'\naction = 'sinkhole'" => [
        "fw:1:19: warning: anti-spyware profile `p` is not used",
        "fw:4:8: error: anti-spyware profile `p`: lists names `l`, which is no external list of type domain",
    ];
    dangling_category: "[setting.url-categories]\ndirectory = 'categories'\n[[rulebase.decryption.rules]]\nname = 'r'\ncategory = ['goverment', '../x']" => [
        "fw:5:13: error: decryption rule `r`: category names `goverment`, which is no URL category or external list of type url; nearest valid name: `government`",
        "fw:5:26: error: decryption rule `r`: category names `../x`, which is no URL category or external list of type url",
    ];
    dangling_interface: "[zone.dmz]\ninterfaces = ['lan1', 'lan0.20', 'lan0.5000']" => [
        "fw:2:15: error: zone `dmz`: interface `lan1` is no end of a virtual wire; nearest valid name: `lan0`",
        "fw:2:34: error: zone `dmz`: `5000` is no VLAN id: a number from 0 (untagged) to 4094 follows the dot",
    ];
    duplicate_rule: "[[rulebase.security.rules]]\nname = 'r'\naction = 'deny'\nfrom = ['inside']\n[[rulebase.security.rules]]\nname = 'r'\naction = 'allow'" => [
        "fw:6:8: error: duplicate name: security rule `r` is called like the security rule on line 2",
    ];
    duplicate_table: "[address.a]\nip-netmask = '10.0.0.1'\n[address.a]\nip-netmask = '10.0.0.2'" => [
        "fw:1:10: warning: address `a` is not used",
        "fw:3:1: error: duplicate table `a`, first given on line 1",
    ];
    duplicate_across_kinds: "[address.a]\nip-netmask = '10.0.0.1'\n[address-group.a]\nstatic = ['a']" => [
        "fw:3:16: error: duplicate name: address group `a` is called like the address on line 1",
    ];
    duplicate_match_list: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'traffic'\n[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'traffic'" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:2:8: warning: match list entry `m` has no actions: it does nothing",
        "fw:5:8: error: duplicate name: match list entry `m` is called like the match list entry on line 2",
        "fw:5:8: warning: match list entry `m` has no actions: it does nothing",
    ];
    filter_fault: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'threat'\nfilter = \"(actoin eq sinkhole) and (action eq sinkhol)\"" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:2:8: warning: match list entry `m` has no actions: it does nothing",
        "fw:4:12: error: unknown field `actoin` of threat records; nearest valid name: `action`",
        "fw:4:47: error: `sinkhol` is no value of `action`; expected one of the values of this field; nearest valid name: `sinkhole`",
    ];
    filter_fault_behind_escapes: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'traffic'\nfilter = \"(rule eq \\\"\\u00fc\\\") and (zone.src is x)\"" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:2:8: warning: match list entry `m` has no actions: it does nothing",
        "fw:4:46: error: expected an operator (eq, neq, leq, geq, in, notin or contains), found `is`; nearest valid name: `eq`",
    ];
    filter_fault_on_a_later_line: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'traffic'\nfilter = '''\n(rule eq 'ü')\n  or (nonsense eq 1)'''" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:2:8: warning: match list entry `m` has no actions: it does nothing",
        "fw:6:7: error: unknown field `nonsense` of traffic records",
    ];
    filter_loose_spelling: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'traffic'\nfilter = '(session_end_reason eq decrypt-cert-validation-err)'" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:2:8: warning: match list entry `m` has no actions: it does nothing",
        "fw:4:34: warning: `decrypt-cert-validation-err` is taken for `decrypt-cert-validation`; write it so",
    ];
    group_filter_fault: "[address-group.g]\ndynamic.filter = \"'a' nd b\"\n[tag.a]\n[tag.b]" => [
        "fw:1:16: warning: address group `g` is not used",
        "fw:2:23: error: address group `g`: expected `and`, `or` or the end",
        "fw:3:6: warning: tag `a` is not used",
        "fw:4:6: warning: tag `b` is not used",
    ];
    group_filter_in_vain: "[address-group.g]\ndynamic.filter = \"'infected' or 'typo'\"\n[tag.infected]" => [
        "fw:1:16: warning: address group `g` is not used",
        "fw:2:34: warning: nothing sets or defines tag `typo`",
    ];
    group_cycle: "[address-group.a]\nstatic = ['b']\n[address-group.b]\nstatic = ['c', '10.0.0.1']\n[address-group.c]\nstatic = ['a']\n[address-group.d]\nstatic = ['d']" => [
        "fw:1:16: error: address groups contain each other: `a` > `b` > `c` > `a`",
        "fw:7:16: error: address groups contain each other: `d` > `d`",
    ];
    group_cycle_by_tag: "[address-group.a]\nstatic = ['b']\ntag = ['t']\n[address-group.b]\ndynamic.filter = 't'" => [
        "fw:1:16: error: address groups contain each other: `a` > `b` > `a`",
    ];
    group_of_both_kinds: "[address-group.a]\nstatic = ['10.0.0.1']\ndynamic.filter = 't'\n[address-group.b]\n[tag.t]" => [
        "fw:1:16: error: address-group.a is both static and dynamic; keep one of `static` and `dynamic.filter`",
        "fw:1:16: warning: address group `a` is not used",
        "fw:4:16: error: address-group.b lacks `dynamic.filter` or `static`",
        "fw:4:16: warning: address group `b` is not used",
    ];
    group_empty: "[address-group.a]\nstatic = []\n[service-group.s]\nmembers = []\n[application-group.p]\nmembers = []" => [
        "fw:1:16: warning: address group `a` is not used",
        "fw:2:10: warning: address group `a` is empty: it matches nobody",
        "fw:3:16: warning: service group `s` is empty",
        "fw:3:16: warning: service group `s` is not used",
        "fw:5:20: warning: application group `p` is empty",
        "fw:5:20: warning: application group `p` is not used",
    ];
    service_group_cycle: "[service-group.a]\nmembers = ['b']\n[service-group.b]\nmembers = ['a']\n[application-group.p]\nmembers = ['p']" => [
        "fw:1:16: error: service groups contain each other: `a` > `b` > `a`",
        "fw:5:20: error: application groups contain each other: `p` > `p`",
    ];
    tagging_cycle: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'ip-tag'\n[[log-settings.profiles.p.match-list.actions]]\nname = 'a'\ntype.tagging = { tags = ['t'] }\n[tag.t]" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:6:6: error: action `a`: type.tagging: a cycle: ip-tag records are what tagging itself writes, so an action on them would tag on and on",
    ];
    tagging_not_supported: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'threat'\n[[log-settings.profiles.p.match-list.actions]]\nname = 'a'\ntype.tagging = { target = 'user', registration = 'panorama', tags = ['t'] }\n[[log-settings.profiles.p.match-list.actions]]\nname = 'b'\ntype.tagging = { target = 'xff-address', registration = 'remote', http-profile = 'h', tags = ['t'] }\n[tag.t]" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:6:27: error: action `a`: type.tagging: target `user` is not supported; use source-address or destination-address",
        "fw:6:50: error: action `a`: type.tagging: registration `panorama` is not supported; use localhost",
        "fw:9:27: error: action `b`: type.tagging: target `xff-address` is not supported; use source-address or destination-address",
        "fw:9:57: error: action `b`: type.tagging: registration `remote` is not supported; use localhost",
        "fw:9:67: error: log-settings.profiles.p.match-list `m`.actions `b`.type.tagging.http-profile is not supported",
    ];
    tagging_misspelt: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'threat'\nmode = 'shadwo'\n[[log-settings.profiles.p.match-list.actions]]\nname = 'a'\ntype.tagging = { target = 'source', action = 'add', registration = 'local', tags = [], timeout = 43201, scope = 'name', evidence = { clients = 0, window = '10' } }" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:4:8: error: log-settings.profiles.p.match-list `m`.mode must be one of enforce, shadow, not `shadwo`; nearest valid name: `shadow`",
        "fw:7:27: error: action `a`: type.tagging: target `source` is unknown; use source-address or destination-address; nearest valid name: `source-address`",
        "fw:7:46: error: log-settings.profiles.p.match-list `m`.actions `a`.type.tagging.action must be one of add-tag, remove-tag, not `add`; nearest valid name: `add-tag`",
        "fw:7:68: error: action `a`: type.tagging: registration `local` is unknown; use localhost",
        "fw:7:84: error: action `a`: type.tagging: tags is empty; name at least one",
        "fw:7:98: error: log-settings.profiles.p.match-list `m`.actions `a`.type.tagging.timeout must be from 0 to 43200, not 43201",
        "fw:7:113: error: log-settings.profiles.p.match-list `m`.actions `a`.type.tagging.scope must be one of address, server-name, client, not `name`",
        "fw:7:144: error: log-settings.profiles.p.match-list `m`.actions `a`.type.tagging.evidence.clients must be from 1 to 256, not 0",
        "fw:7:156: error: action `a`: type.tagging: evidence.window must be a time span up to 24h such as 90s, 10m or 2h, not `10`",
    ];
    tagging_idle: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'traffic'\n[[log-settings.profiles.p.match-list.actions]]\nname = 'a'\ntype.tagging = { action = 'remove-tag', tags = ['t'], timeout = 5, scope = 'client' }\n[[log-settings.profiles.p.match-list.actions]]\nname = 'b'\ntype.tagging = { tags = ['t'], scope = 'server-name', evidence = { window = '1h' } }\n[tag.t]" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:6:65: warning: action `a`: type.tagging: timeout says nothing for remove-tag",
        "fw:6:76: warning: action `a`: type.tagging: scope client says nothing for source-address: a client is its own client",
        "fw:9:40: warning: action `b`: type.tagging: traffic records hold no server name, so nothing is tagged; use log-type decryption, url or threat",
        "fw:9:55: warning: action `b`: type.tagging: evidence without clients asks for one client only",
    ];
    tag_in_vain: "[tag.infected-host]\n[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'threat'\n[[log-settings.profiles.p.match-list.actions]]\nname = 'a'\ntype.tagging = { tags = ['infected-hots'] }" => [
        "fw:1:6: warning: tag `infected-host` is not used",
        "fw:2:25: warning: log forwarding profile `p` is not used",
        "fw:7:26: warning: no address group asks for tag `infected-hots`, and it is not defined; nearest valid name: `infected-host`",
    ];
    log_type_not_supported: "[[log-settings.profiles.p.match-list]]\nname = 'm'\nlog-type = 'wildfire'\nsend-syslog = ['s']\n[[log-settings.profiles.p.match-list]]\nname = 'n'\nlog-type = 'trafic'" => [
        "fw:1:25: warning: log forwarding profile `p` is not used",
        "fw:2:8: warning: match list entry `m` has no actions: it does nothing",
        "fw:3:12: error: log-settings.profiles.p.match-list `m`: log-type `wildfire` is not supported",
        "fw:4:1: error: log-settings.profiles.p.match-list `m`.send-syslog is not supported",
        "fw:6:8: warning: match list entry `n` has no actions: it does nothing",
        "fw:7:12: error: log-settings.profiles.p.match-list `n`.log-type must be one of traffic, threat, url, decryption, ip-tag, system, config, not `trafic`; nearest valid name: `traffic`",
    ];
    vendor_lists: "[[profiles.spyware.p.botnet-domains.lists]]\nname = 'default-paloalto-dns'\naction = 'block'\n[external-list.l]\ntype = 'predefined-ip'\nurl = 'file:x'\n[[rulebase.security.rules]]\nname = 'r'\ndestination = ['panw-highrisk-ip-list']\naction = 'deny'" => [
        "fw:1:20: warning: anti-spyware profile `p` is not used",
        "fw:2:8: error: anti-spyware profile `p`: lists names `default-paloalto-dns`: vendor lists are not supported",
        "fw:5:8: error: external-list.l: lists of this type are not supported; use domain, ip or url",
        "fw:6:7: warning: external list `l` is fetched by a running firewall; here it counts as empty",
        "fw:9:16: error: security rule `r`: destination names `panw-highrisk-ip-list`: vendor lists are not supported",
    ];
    panos_keys_not_supported: "[profiles.virus.v]\n[[rulebase.nat.rules]]\n[[rulebase.security.rules]]\nname = 'r'\naction = 'deny'\nsource-user = ['bob']\nsource-hip = ['any']\nschedule = 'night'" => [
        "fw:1:11: error: profiles.virus is not supported",
        "fw:2:12: error: rulebase.nat is not supported",
        "fw:6:16: error: rulebase.security.rules `r`.source-user is not supported; only [\"any\"] is",
        "fw:8:1: error: rulebase.security.rules `r`.schedule is not supported",
    ];
    decryption_not_supported: "[[rulebase.decryption.rules]]\nname = 'r'\naction = 'decrypt-and-forward'\ntype = 'ssh-proxy'" => [
        "fw:3:10: error: rulebase.decryption.rules `r`: decrypt-and-forward is not supported",
        "fw:4:8: error: rulebase.decryption.rules `r`: this type is not supported; use ssl-forward-proxy",
    ];
    numbers_out_of_range: "[setting.session]\ntimeout-udp = 0\ntimeout-tcp = 16000000\n[setting.tagging]\nmax-new-per-hour = -1\nmax-subjects = 0\n[setting.management]\nports = [22, 70000]\naddresses = ['10.0.0.1', 'x']" => [
        "fw:2:15: error: setting.session.timeout-udp must be from 1 to 15999999, not 0",
        "fw:3:15: error: setting.session.timeout-tcp must be from 1 to 15999999, not 16000000",
        "fw:5:20: error: setting.tagging.max-new-per-hour must be from 0 to 4294967295, not -1",
        "fw:6:16: error: setting.tagging.max-subjects must be from 1 to 67108864, not 0",
        "fw:8:14: error: setting.management.ports must be from 1 to 65535, not 70000",
        "fw:9:26: error: setting.management.addresses: `x` is not valid: expected an address such as 192.0.2.1 or 2001:db8::1, a prefix or a range",
    ];
    zones_overlap: "[zone.dmz]\ninterfaces = ['lan0.20']\n[zone.lab]\ninterfaces = ['lan0.20', 'wan0']" => [
        "fw:4:15: error: interface `lan0.20` is already in zone `dmz`, on line 2; each interface and VLAN has one zone",
        "fw:11:15: error: interface `wan0` is already in zone `lab`, on line 4; each interface and VLAN has one zone",
    ];
    zone_without_interfaces: "[zone.dmz]\ninterfaces = []\n[zone.lab]\nanti-spoof = 'deny'" => [
        "fw:1:7: warning: zone `dmz` has no interfaces: nothing comes from it",
        "fw:3:7: warning: zone `lab` has no interfaces: nothing comes from it",
        "fw:4:14: error: zone.lab.anti-spoof must be one of no-tag, drop, not `deny`",
    ];
    zone_of_tags: "[zone.dmz]\ninterfaces = ['lan0.7']\nresolvers = ['g']\n[address-group.g]\ndynamic.filter = 't'\n[tag.t]" => [
        "fw:1:7: error: the networks and resolvers of a zone cannot be a dynamic address group",
    ];
    zone_vlan_that_cannot_cross: "[virtual-wire.v]\ninterface1 = 'a0'\ninterface2 = 'b0'\ntag-allowed = '0-9'\n[zone.dmz]\ninterfaces = ['a0.20', 'a0.5', 'b0']" => [
        "fw:6:15: warning: zone `dmz`: VLAN 20 does not cross the wire of `a0`; see its tag-allowed",
    ];
    wires_share_an_interface: "[virtual-wire.v]\ninterface1 = 'lan0'\ninterface2 = 'lan0'\nethertypes = ['arp', 'lldb']\ntag-allowed = '1-5000'" => [
        "fw:3:14: error: interface `lan0` is already the end of a virtual wire, on line 2; every end needs its own",
        "fw:4:22: error: unknown ethertype `lldb`; use a name or a number such as 0x88cc; nearest valid name: `lldp`",
        "fw:5:15: error: virtual-wire.v.tag-allowed: `1-5000` is not valid: a VLAN id is a number from 0 (untagged) to 4094, as in `0,10,100-199`",
        "fw:7:14: error: interface `lan0` is already the end of a virtual wire, on line 2; every end needs its own",
    ];
    sinkhole_without_address: "[external-list.l]\ntype = 'domain'\nurl = 'file:l'\n[profiles.spyware.p]\nbotnet-domains.sinkhole.fqdn = 'sink.example'\n[[profiles.spyware.p.botnet-domains.lists]]\nname = 'l'\naction = 'sinkhole'\n[[profiles.spyware.p.botnet-domains.lists]]\nname = 'l'\naction = 'alert'" => [
        "fw:3:7: warning: external list `l` is fetched by a running firewall; here it counts as empty",
        "fw:4:19: warning: anti-spyware profile `p` is not used",
        "fw:8:10: error: anti-spyware profile `p` sinkholes but has no address; give botnet-domains.sinkhole.ipv4-address or ipv6-address",
        "fw:10:8: error: anti-spyware profile `p`: lists names `l` twice; the first decides",
    ];
    sinkhole_of_nobody: "[profiles.spyware.p]\nbotnet-domains.sinkhole.ipv4-address = '0.0.0.0'\nbotnet-domains.sinkhole.ipv6-address = '72.5.65.111'\nbotnet-domains.sinkhole.fqdn = 'a..b'" => [
        "fw:1:19: warning: anti-spyware profile `p` is not used",
        "fw:2:40: error: a sinkhole needs the address of one host",
        "fw:3:40: error: profiles.spyware.p.botnet-domains.sinkhole.ipv6-address: `72.5.65.111` is not valid: invalid IPv6 address syntax",
        "fw:4:32: error: profiles.spyware.p.botnet-domains.sinkhole.fqdn: `a..b` is not valid: the name has an empty label",
    ];
    shadowed_rules: "[[rulebase.security.rules]]\nname = 'all'\nfrom = ['any']\naction = 'allow'\n[[rulebase.security.rules]]\nname = 'late'\nsource = ['10.0.0.1']\naction = 'deny'\n[[rulebase.decryption.rules]]\nname = 'all'\n[[rulebase.decryption.rules]]\nname = 'late'\naction = 'decrypt'" => [
        "fw:6:8: warning: security rule `late` is shadowed: `all` on line 2 matches whatever it would",
        "fw:12:8: warning: decryption rule `late` is shadowed: `all` on line 10 matches whatever it would",
    ];
    /// What is left of a rule with a fault says nothing about shadows; the others are still looked at.
    shadows_beside_faults: "[address-group.g]\nstatic = ['nobody']\n[[rulebase.security.rules]]\nname = 'faulty'\nsource = ['g']\naction = 'allow'\n[[rulebase.security.rules]]\nname = 'also'\nsorce = ['10.0.0.9']\nservice = ['application-default']\naction = 'allow'\n[[rulebase.security.rules]]\nname = 'ten'\nsource = ['10.0.0.0/8']\naction = 'deny'\n[[rulebase.security.rules]]\nname = 'late'\nsource = ['10.0.0.1']\naction = 'deny'" => [
        "fw:2:11: error: address group `g`: static names `nobody`, which is no address, address group or external list of type ip",
        "fw:9:1: error: unknown key `sorce` in rulebase.security.rules `also`; nearest valid name: `source`",
        "fw:17:8: warning: security rule `late` is shadowed: `ten` on line 13 matches whatever it would",
    ];
    unused_objects: "[tag.t]\n[address.a]\nfqdn = 'a.example'\n[service.s]\nprotocol.tcp.port = '80'\n[external-list.l]\ntype = 'ip'\nurl = 'https://lists.example/ip'\n[profiles.custom-url-category.c]\nlist = []\n[profiles.decryption.d]\n[profile-group.pg]" => [
        "fw:1:6: warning: tag `t` is not used",
        "fw:2:10: warning: address `a` is not used",
        "fw:3:8: warning: address `a`: `a.example` is looked up by a running firewall; here it stands for no address",
        "fw:4:10: warning: service `s` is not used",
        "fw:6:16: warning: external list `l` is not used",
        "fw:8:7: warning: external list `l` is fetched by a running firewall; here it counts as empty",
        "fw:9:31: warning: URL category `c` is not used",
        "fw:11:22: warning: decryption profile `d` is not used",
        "fw:12:16: warning: profile group `pg` is not used",
    ];
    loose_addresses: "[address.a]\nip-netmask = '192.168.1.20/24'\n[address.b]\nip-netmask = '10.0.0.1-10.0.0.9'\n[address.c]\nip-range = '10.0.0.1'\n[address.d]\nip-wildcard = '10.0.0.1/24'\n[address.e]\nfqdn = '10.0.0.1'\n[address.f]\nip-netmask = '10.0.0.1'\nip-range = '10.0.0.1-10.0.0.2'" => [
        "fw:1:10: warning: address `a` is not used",
        "fw:2:14: warning: `192.168.1.20/24` stands for the whole of 192.168.1.0/24",
        "fw:3:10: warning: address `b` is not used",
        "fw:4:14: error: address `b`: `10.0.0.1-10.0.0.9` is not valid: ip-netmask takes an address or prefix; use ip-range",
        "fw:5:10: warning: address `c` is not used",
        "fw:6:12: error: address `c`: `10.0.0.1` is not valid: ip-range takes two addresses, as in 10.0.0.1-10.0.0.99",
        "fw:7:10: warning: address `d` is not used",
        "fw:8:15: error: address `d`: `10.0.0.1/24` is not valid: expected an IPv4 address and a wildcard mask with zeros where bits must match, as in 10.0.0.1/0.0.255.0",
        "fw:9:10: warning: address `e` is not used",
        "fw:10:8: error: address `e`: `10.0.0.1` is not valid: an address, not a name: use ip-netmask",
        "fw:11:10: warning: address `f` is not used",
        "fw:13:12: error: address.f has more than one value; give one of ip-netmask, ip-range, ip-wildcard, fqdn",
    ];
    services_with_faults: "[service.a]\nprotocol.tcp.port = '80,'\n[service.b]\nprotocol.tcp.port = '1'\nprotocol.udp.port = '1'\n[service.c]\nprotocol.udp.source-port = '9-1'\n[service.d]\n[service.e]\nprotocol.sctp.port = '1'" => [
        "fw:1:10: warning: service `a` is not used",
        "fw:2:21: error: service.a.protocol.tcp.port: `80,` is not valid: a port is a number from 0 to 65535, as in `80,443,1000-2000`",
        "fw:3:10: warning: service `b` is not used",
        "fw:4:1: error: service.b.protocol is both tcp and udp; make two services",
        "fw:6:10: warning: service `c` is not used",
        "fw:7:10: error: service.c.protocol.udp lacks `port`",
        "fw:7:28: error: service.c.protocol.udp.source-port: `9-1` is not valid: a range of ports goes from the lower to the higher",
        "fw:8:10: error: service.d lacks `protocol.tcp.port` or `protocol.udp.port`",
        "fw:8:10: warning: service `d` is not used",
        "fw:9:10: warning: service `e` is not used",
        "fw:10:1: error: service.e.protocol lacks `tcp.port` or `udp.port`",
        "fw:10:10: error: unknown key `sctp` in service.e.protocol; nearest valid name: `tcp`",
    ];
    rule_columns: "[[rulebase.security.rules]]\nname = 'r'\nsource = []\nservice = ['application-default', 'service-http']\nicmp-unreachable = true\nprofile-setting.group = ['a', 'b']\nprofile-setting.profiles.spyware = ['p']\naction = 'deny'\n[[rulebase.security.rules]]\nname = 'interzone-default'\naction = 'deny'\nsource = 'any'\nservice = [80]" => [
        "fw:3:10: error: security rule `r`: source is empty; write [\"any\"] for everything",
        "fw:4:12: error: security rule `r`: service: `application-default` must stand alone",
        "fw:5:20: warning: security rule `r`: icmp-unreachable says nothing unless the action is drop",
        "fw:6:25: error: security rule `r`: profile-setting.group: give either a group or profiles, not both",
        "fw:7:37: error: security rule `r`: profile-setting.profiles.spyware names `p`, which is no anti-spyware profile",
        "fw:10:8: error: security rule `interzone-default`: this name belongs to the default rule",
        "fw:12:10: error: rulebase.security.rules `interzone-default`.source must be an array of texts: [\"…\"], not a text",
        "fw:13:12: error: rulebase.security.rules `interzone-default`.service must be an array of texts in quotes, not a whole number",
    ];
    list_locations: "[external-list.a]\ntype = 'domain'\nurl = 'lists/a.txt'\nexpand-domain = true\n[external-list.b]\ntype = 'ip'\nurl = 'ftp://x/y'\nexpand-domain = true\nexception-list = ['x']\nrecurring = 'weekly'" => [
        "fw:1:16: warning: external list `a` is not used",
        "fw:3:7: error: a list comes from file:PATH, https://… or http://…, not `lists/a.txt`; nearest valid name: `file:lists/a.txt`",
        "fw:5:16: error: external-list.b.expand-domain is for lists of type domain only",
        "fw:5:16: warning: external list `b` is not used",
        "fw:7:7: error: a list comes from file:PATH, https://… or http://…, not `ftp://x/y`",
        "fw:9:19: error: exception-list: `x` is not valid: expected an address such as 192.0.2.1 or 2001:db8::1, a prefix or a range",
        "fw:10:13: error: external-list.b.recurring must be one of five-minute, hourly, daily, not `weekly`",
    ];
    decryption_versions: "[profiles.decryption.p]\nssl-protocol-settings.min-version = 'tls1-3'\nssl-protocol-settings.max-version = 'tls1-2'\n[profiles.decryption.q]\nssl-protocol-settings.min-version = 'max'" => [
        "fw:1:22: warning: decryption profile `p` is not used",
        "fw:3:37: error: decryption profile `p`: min-version tls1-3 is above max-version tls1-2",
        "fw:4:22: warning: decryption profile `q` is not used",
        "fw:5:37: error: profiles.decryption.q.ssl-protocol-settings.min-version must be one of tls1-0, tls1-1, tls1-2, tls1-3, not `max`",
    ];
    exclusions_with_faults: "[[setting.ssl-decrypt.ssl-exclude-cert]]\nname = 'A.example'\n[[setting.ssl-decrypt.ssl-exclude-cert]]\nname = 'a.example'\n[[setting.ssl-decrypt.ssl-exclude-cert]]\nname = 'www*.example'\n[[setting.ssl-decrypt.ssl-exclude-cert]]\nname = '*.*'\n[[setting.ssl-decrypt.ssl-exclude-cert]]\nexclude = true" => [
        "fw:4:8: error: setting.ssl-decrypt.ssl-exclude-cert: `a.example` is there twice",
        "fw:6:8: error: setting.ssl-decrypt.ssl-exclude-cert: `www*.example` is not valid: `*` stands for a whole label, as in `*.example.com`",
        "fw:8:8: error: setting.ssl-decrypt.ssl-exclude-cert: `*.*` is not valid: a name of nothing but `*` would exclude everything",
        "fw:9:1: error: setting.ssl-decrypt.ssl-exclude-cert[4] lacks `name`",
    ];
    trusted_roots_with_faults: "[setting.ssl-decrypt]\ntrusted-root-ca = ['/etc/ssl/a.pem']\ncrl = ['file:']\nroot-ca-exclude-list = ['x']" => [
        "fw:2:20: error: setting.ssl-decrypt.trusted-root-ca: expected `system` or `file:PATH`, not `/etc/ssl/a.pem`",
        "fw:3:8: error: setting.ssl-decrypt.crl: expected `file:PATH`, not `file:`",
        "fw:4:1: error: setting.ssl-decrypt.root-ca-exclude-list is not supported",
    ];
    decryption_profile_with_faults: "[profiles.decryption.p]\nssl-no-proxy.block-unknown-cert = true\nssl-protocol-settings.enc-algo-rc4 = true\nssl-protocol-settings.enc-algo-rc5 = true\nssl-inbound-proxy.block-if-no-resource = true" => [
        "fw:1:22: warning: decryption profile `p` is not used",
        "fw:2:14: error: unknown key `block-unknown-cert` in profiles.decryption.p.ssl-no-proxy; known are block-expired-certificate, block-untrusted-issuer",
        "fw:3:38: warning: profiles.decryption.p.ssl-protocol-settings.enc-algo-rc4 = true changes nothing: cordon speaks ECDHE with AES-GCM or ChaCha20-Poly1305 only, and a server that has nothing else cannot be decrypted",
        "fw:4:23: error: unknown key `enc-algo-rc5` in profiles.decryption.p.ssl-protocol-settings; nearest valid name: `enc-algo-rc4`",
        "fw:5:1: error: profiles.decryption.p.ssl-inbound-proxy is not supported",
    ];
    decryption_profile_without_algorithms: "[profiles.decryption.p]\n[profiles.decryption.p.ssl-protocol-settings]\nkeyxchg-algo-ecdhe = false\nauth-algo-sha256 = false\nenc-algo-aes-256-gcm = false" => [
        "fw:1:22: warning: decryption profile `p` is not used",
        "fw:3:22: error: decryption profile `p`: without keyxchg-algo-ecdhe nothing can be decrypted: cordon speaks no other key exchange",
        "fw:5:24: error: decryption profile `p`: no cipher is left to decrypt with; allow one of aes-128-gcm with sha256, aes-256-gcm with sha384, chacha20-poly1305 with sha256",
    ];
    categories_with_faults: "[profiles.custom-url-category.c]\ntype = 'Category Match'\nlist = ['https://a.example/', 'a.*.example', '*.b.example']" => [
        "fw:1:31: warning: URL category `c` is not used",
        "fw:2:8: error: profiles.custom-url-category.c: type `Category Match` is not supported",
        "fw:3:9: error: URL category `c`: `https://a.example/` is not valid: expected a host name or `*.name`, without scheme, port and path",
        "fw:3:31: error: URL category `c`: `a.*.example` is not valid: `*` stands only before the first dot, as in `*.example.com`",
    ];
}

/// A domain list that a rule uses, and its text in front of `NETWORK`.
fn listed(options: &str, text: Result<&str, &str>) -> Vec<String> {
    let document = format!(
        "[external-list.l]\ntype = 'domain'\nurl = 'file:lists/l.txt'\n{options}\n\
         [[rulebase.security.rules]]\nname = 'r'\naction = 'allow'\nprofile-setting.profiles.spyware = ['p']\n\
         [[profiles.spyware.p.botnet-domains.lists]]\nname = 'l'\naction = 'block'{NETWORK}"
    );
    findings_with(&document, &[("l", text)])
}

#[test]
fn a_list_that_cannot_be_read_is_an_error() {
    assert_eq!(
        listed("", Err("lists/l.txt: no such file")),
        ["fw:3:7: error: `l`: lists/l.txt: no such file"]
    );
}

#[test]
fn lines_of_lists_are_told_by_their_file() {
    let text = "# comment\nok.example\n1.2.3.4\nhttps://x.example/\n*.com\nalso.ok.example # why\n";
    assert_eq!(
        listed("", Ok(text)),
        [
            "lists/l.txt:3:1: warning: an address, not a name: use a list of type ip",
            "lists/l.txt:4:1: warning: `https://x.example/`: a URL, not a name: keep only the host",
            "lists/l.txt:5:1: warning: `*.com` covers a public suffix; allow-public-suffix = true takes it",
        ]
    );
    assert_eq!(
        listed("allow-public-suffix = true", Ok("*.com\n*.co.uk\n")),
        Vec::<String>::new()
    );
    assert_eq!(
        listed("exception-list = ['a.example', '*bad']", Ok("*.example\n")),
        [
            "fw:4:32: error: exception-list: `*bad` is not valid: `*` may only stand as `*.` in front of a name"
        ]
    );
}

#[test]
fn the_rest_of_many_bad_lines_is_summed_up() {
    let found = listed("", Ok(&"bad/line\n".repeat(1234)));
    assert_eq!(found.len(), 11);
    assert_eq!(
        found[0],
        "lists/l.txt:1:1: warning: `bad/line`: a URL, not a name: keep only the host"
    );
    assert_eq!(
        found[10],
        "lists/l.txt:10:1: warning: 1224 more lines of this file are skipped"
    );
}

#[test]
fn an_empty_list_is_told() {
    assert_eq!(
        listed("", Ok("# nothing yet\n")),
        ["fw:1:16: warning: external list `l` has no entries"]
    );
}

#[test]
fn lines_of_address_and_host_lists_are_told() {
    let document = format!(
        "[external-list.a]\ntype = 'ip'\nurl = 'file:a'\n[external-list.u]\ntype = 'url'\nurl = 'http://u.example/'\n\
         [setting.url-categories]\ndirectory = 'categories/'\n\
         [[rulebase.decryption.rules]]\nname = 'r'\nsource = ['a']\ncategory = ['u', 'shopping', 'government']{NETWORK}"
    );
    let files = [
        (
            "a",
            Ok("10.0.0.1 ; a comment\n10.0.0.0/33\n2001:db8::1-2001:db8::9\n"),
        ),
        ("u", Ok("a.example/\nb.example/path\n")),
        ("shopping", Ok("shop.example\nsh*p.example\n")),
        ("government", Err("permission denied")),
    ];
    assert_eq!(
        findings_with(&document, &files),
        [
            "fw:6:7: warning: fetched without TLS, anybody on the way can change this list; use https://",
            "fw:12:30: error: `government`: permission denied",
            "a:2:1: warning: `10.0.0.0/33`: a prefix length is a number from 0 to 32 (IPv4) or 128 (IPv6)",
            "categories/shopping/domains:2:1: warning: `sh*p.example`: `*` stands only before the first dot, as in \
             `*.example.com`",
            "http://u.example/:2:1: warning: `b.example/path`: expected a host name or `*.name`, without scheme, port \
             and path",
        ]
    );
}

/// Faults of the TOML itself hide what a statement says, so that what is missing is not told; the rest is.
#[test]
fn faults_of_the_toml_are_told_with_what_can_be_read() {
    let text = "[virtual-wire.w]\ninterface1 = lan0\ninterface2 = \"wan0\"\nethertyps = []\n[zone.inside\ninterfaces = 1\n";
    assert_eq!(
        findings_with(text, &[]),
        [
            "fw:2:14: error: text values must be quoted: \"…\"",
            "fw:4:1: error: unknown key `ethertyps` in virtual-wire.w; nearest valid name: `ethertypes`",
            "fw:5:13: error: expected a right bracket, found a newline",
        ]
    );
    assert_eq!(findings_with("a = 1 b = 2", &[]).len(), 1);
    assert_eq!(
        findings_with("\u{feff}x = \"", &[]),
        ["fw:1:5: error: this string has no closing quote"]
    );
}

#[test]
fn a_document_without_wires_passes_nothing() {
    assert_eq!(
        findings_with("", &[]),
        [
            "fw:1:1: warning: there is no virtual wire, so no packet can cross; add [virtual-wire.NAME] with interface1 \
          and interface2"
        ]
    );
}

#[test]
fn an_interface_in_no_zone_is_told() {
    assert_eq!(
        findings_with(
            "[virtual-wire.w]\ninterface1 = 'a'\ninterface2 = 'b'\n[zone.z]\ninterfaces = ['a']",
            &[]
        ),
        ["fw:3:14: warning: interface `b` is in no zone: its packets are dropped"]
    );
}

/// The nearest name is a field of its own, for programs.
#[test]
fn findings_carry_their_parts() {
    let parsed = parse("fw.toml", "adress = 1");
    let finding = &parsed.findings[0];
    assert_eq!((finding.place.line, finding.place.column), (1, 1));
    assert_eq!(finding.severity, cordon_config::Severity::Error);
    assert_eq!(finding.message, "unknown key `adress` in the document");
    assert_eq!(finding.nearest.as_deref(), Some("address"));
}
