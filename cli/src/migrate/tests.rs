use crds::api::v1beta1::{IPAddressPool, L2Advertisement};

use super::*;

/// What is wrong with a configuration, in words.
fn errors(config: &str) -> Vec<String> {
    let migration = migrate(config, Form::OnlyData, None);
    assert!(migration.yaml.is_none(), "{:?}", migration.yaml);
    migration.findings.errors.iter().map(ToString::to_string).collect()
}

fn warnings(config: &str) -> (Vec<String>, String) {
    let migration = migrate(config, Form::OnlyData, None);
    assert_eq!(migration.findings.errors, []);
    let warnings = migration.findings.warnings.iter().map(ToString::to_string).collect();
    (warnings, migration.yaml.unwrap())
}

/// A configuration of one pool, written in one line.
fn pool(settings: &str) -> String {
    format!("address-pools: [{{{settings}}}]")
}

const GOOD: &str = "name: p, protocol: layer2, addresses: [192.0.2.0/24]";

#[test]
fn each_mistake_is_told_by_pool_and_key() {
    for (settings, expected) in [
        ("protocol: layer2, addresses: [192.0.2.0/24]", "address-pools[0]: name: is missing"),
        ("name: p, addresses: [192.0.2.0/24]", "address-pools[0] \"p\": protocol: is missing"),
        (
            "name: p, protocol: l2, addresses: [192.0.2.0/24]",
            "address-pools[0] \"p\": protocol: \"l2\" is no protocol; did you mean \"layer2\"?",
        ),
        (
            "name: p, protocol: ospf, addresses: [192.0.2.0/24]",
            "address-pools[0] \"p\": protocol: \"ospf\" is no protocol; there are: layer2, bgp",
        ),
        (
            "name: p, protocol: [layer2], addresses: [192.0.2.0/24]",
            "address-pools[0] \"p\": protocol: must be layer2 or bgp, and is a list",
        ),
        (
            "name: [p], protocol: layer2, addresses: [192.0.2.0/24]",
            "address-pools[0]: name: must be a text, and is a list",
        ),
        (
            "name: 17-2, protocol: layer2, addresses: [192.0.2.0/24]",
            "address-pools[0] \"17-2\": name: no name for an object can be made from \"17-2\", which has no letter: rename the pool",
        ),
        (
            "name: my pool, protocol: layer2, addresses: [192.0.2.0/24]",
            "address-pools[0] \"my pool\": name: \"my pool\" would become \"my pool\", which is no name for an object: rename the pool",
        ),
        (
            "name: p, protocol: layer2",
            "address-pools[0] \"p\": addresses: pool has no prefixes defined",
        ),
        (
            "name: p, protocol: layer2, addresses: 192.0.2.0/24",
            "address-pools[0] \"p\": addresses: must be a list of addresses, and is the text \"192.0.2.0/24\"",
        ),
        (
            "name: p, protocol: layer2, addresses: [192.0.2.0/24, 7]",
            "address-pools[0] \"p\": addresses[1]: must be a CIDR or a range, and is the number 7",
        ),
        (
            "name: p, protocol: layer2, addresses: [192.0.2.0/24, 198.51.100.1]",
            "address-pools[0] \"p\": addresses[1]: invalid CIDR \"198.51.100.1\" in pool \"p\": invalid CIDR \"198.51.100.1\"",
        ),
        (
            &format!("{GOOD}, autoAssign: false"),
            "address-pools[0] \"p\": autoAssign: no such key; did you mean \"auto-assign\"?",
        ),
        (
            &format!("{GOOD}, interfaces: [eth0]"),
            "address-pools[0] \"p\": interfaces: no such key; there are: name, protocol, addresses, auto-assign, avoid-buggy-ips, bgp-advertisements",
        ),
        (
            &format!("{GOOD}, auto-assign: maybe"),
            "address-pools[0] \"p\": auto-assign: must be true or false, and is the text \"maybe\"",
        ),
        (
            &format!("{GOOD}, avoid-buggy-ips: 1"),
            "address-pools[0] \"p\": avoid-buggy-ips: must be true or false, and is the number 1",
        ),
        (
            &format!("{GOOD}, bgp-advertisements: [{{aggregation-length: 32}}]"),
            "address-pools[0] \"p\": bgp-advertisements: only a pool of protocol bgp may have them",
        ),
    ] {
        assert_eq!(errors(&pool(settings)), [expected], "{settings}");
    }
}

#[test]
fn a_configuration_that_is_none_is_told() {
    for (config, expected) in [
        ("address-pools: x", "address-pools: must be a list of pools, and is the text \"x\""),
        (
            "address-pools: [x]",
            "address-pools[0]: must be a pool: a map of settings, and is the text \"x\"",
        ),
        ("[]", "config: must be a map of settings, and is a list"),
        ("address_pools: []", "address_pools: no such key; did you mean \"address-pools\"?"),
        ("1: []", "1: no such key; there are: address-pools, peers, bgp-communities, bfd-profiles"),
    ] {
        assert_eq!(errors(config), [expected], "{config}");
    }
    for config in ["a: [", "address-pools: []\naddress-pools: []"] {
        let found = errors(config);
        assert!(found.len() == 1 && found[0].contains("not YAML"), "{found:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_pools() {
    let config = "\
adress-pools: []
address-pools:
- {name: a, protocol: l2, addresses: [192.0.2.0/24], auto-asign: true}
- {name: b, protocol: layer2, addresses: [198.51.100.1, 203.0.113.9-203.0.113.1]}
- {protocol: bpg}
";
    assert_eq!(
        errors(config),
        [
            "adress-pools: no such key; did you mean \"address-pools\"?",
            "address-pools[0] \"a\": auto-asign: no such key; did you mean \"auto-assign\"?",
            "address-pools[0] \"a\": protocol: \"l2\" is no protocol; did you mean \"layer2\"?",
            "address-pools[1] \"b\": addresses[0]: invalid CIDR \"198.51.100.1\" in pool \"b\": invalid CIDR \"198.51.100.1\"",
            "address-pools[1] \"b\": addresses[1]: invalid CIDR \"203.0.113.9-203.0.113.1\" in pool \"b\": invalid IP range \"203.0.113.9-203.0.113.1\": start IP \"203.0.113.9\" is after the end IP \"203.0.113.1\"",
            "address-pools[2]: name: is missing",
            "address-pools[2]: protocol: \"bpg\" is no protocol; did you mean \"bgp\"?",
            "address-pools[2]: addresses: pool has no prefixes defined",
        ]
    );
}

#[test]
fn pools_that_overlap_are_refused() {
    let config = "\
address-pools:
- {name: a, protocol: layer2, addresses: [192.0.2.0/24]}
- {name: b, protocol: layer2, addresses: [192.0.2.200-192.0.2.210]}
";
    let expected = "address-pools[1] \"b\": addresses[0]: CIDR \"192.0.2.200-192.0.2.210\" in pool \"b\" overlaps with already defined CIDR \"192.0.2.0/24\" of pool \"a\"";
    assert_eq!(errors(config), [expected]);
}

#[test]
fn names_that_meet_are_refused_and_both_pools_are_judged() {
    let config = "\
address-pools:
- {name: My_Pool, protocol: layer2, addresses: [192.0.2.0/24]}
- {name: my-pool, protocol: layer2, addresses: [198.51.100.1]}
- {name: my-pool, protocol: layer2, addresses: [203.0.113.0/24]}
";
    assert_eq!(
        errors(config),
        [
            "address-pools[1] \"my-pool\": name: becomes \"my-pool\", as does that of address-pools[0] \"My_Pool\": rename one of them",
            "address-pools[1] \"my-pool\": addresses[0]: invalid CIDR \"198.51.100.1\" in pool \"address-pools[1] \"my-pool\"\": invalid CIDR \"198.51.100.1\"",
            "address-pools[2] \"my-pool\": name: becomes \"my-pool\", as does that of address-pools[0] \"My_Pool\": rename one of them",
        ]
    );
    let twice = "address-pools: [{name: p, protocol: layer2, addresses: [192.0.2.0/24]}, {name: p, protocol: layer2, addresses: [198.51.100.0/24]}]";
    assert_eq!(
        errors(twice),
        ["address-pools[1] \"p\": name: address-pools[0] \"p\" has that name as well"]
    );
}

#[test]
fn what_is_about_bgp_is_left_out_with_a_warning() {
    let config = "\
peers: [{peer-address: 192.0.2.1, peer-asn: 64500, my-asn: 64501}]
bgp-communities: {no-advertise: 65535:65282}
bfd-profiles: []
address-pools:
- {name: a, protocol: bgp, addresses: [192.0.2.0/24], bgp-advertisements: [{aggregation-length: 32}]}
- {name: b, protocol: layer2, addresses: [198.51.100.0/24]}
";
    let (warnings, yaml) = warnings(config);
    let section = "left out, since it is about BGP, which is not spoken here";
    assert_eq!(warnings[..2], [format!("peers: {section}"), format!("bgp-communities: {section}")]);
    assert!(warnings[2].starts_with("address-pools[0] \"a\": protocol: bgp is not spoken here"));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let kinds: Vec<_> = yaml.lines().filter(|line| line.starts_with("kind")).collect();
    assert_eq!(kinds, ["kind: IPAddressPool", "kind: IPAddressPool", "kind: L2Advertisement"]);
    // Counted among the advertisements, not among the pools.
    assert!(yaml.contains("name: l2advertisement1\n"), "{yaml}");
}

#[test]
fn a_pool_that_is_renamed_is_told_since_services_may_name_it() {
    let (warnings, yaml) = warnings(&pool(&GOOD.replace("name: p", "name: My_Pool")));
    let told = "address-pools[0] \"My_Pool\": name: \"My_Pool\" becomes \"my-pool\"; Services that name the pool in an annotation must name it so, too";
    assert_eq!(warnings, [told]);
    assert_eq!(yaml.matches("my-pool").count(), 2, "{yaml}");
}

#[test]
fn nothing_to_convert_gives_nothing_and_says_so() {
    for config in ["", "{}", "address-pools:", "address-pools: []"] {
        let nothing = (vec!["there is no pool: nothing to convert".to_owned()], String::new());
        assert_eq!(warnings(config), nothing, "{config}");
    }
}

#[test]
fn what_yaml_1_1_means_is_meant() {
    for (word, expected) in
        [("no", "false"), ("Off", "false"), ("yes", "true"), ("on", "true"), ("true", "true")]
    {
        let (_, yaml) = warnings(&pool(&format!("{GOOD}, auto-assign: {word}")));
        assert!(yaml.contains(&format!("autoAssign: {expected}\n")), "{word}: {yaml}");
    }
    let merged = "\
x: &common {protocol: layer2, avoid-buggy-ips: yes}
";
    // Only keys that are known may carry an anchor.
    assert_eq!(errors(merged).len(), 1);
    let merged = "\
address-pools:
- &first {name: a, protocol: layer2, addresses: [192.0.2.0/24], avoid-buggy-ips: yes}
- {<<: *first, name: b, addresses: [198.51.100.0/24]}
";
    let (_, yaml) = warnings(merged);
    assert_eq!(yaml.matches("avoidBuggyIPs: true").count(), 2, "{yaml}");
    assert_eq!(yaml.matches("kind: L2Advertisement").count(), 2, "{yaml}");
}

#[test]
fn only_what_was_given_is_written() {
    let (warnings, yaml) = warnings(&pool(&format!("{GOOD}, auto-assign: , avoid-buggy-ips: no")));
    assert_eq!(warnings, [""; 0]);
    for absent in ["autoAssign", "avoidBuggyIPs", "status"] {
        assert!(!yaml.contains(absent), "{yaml}");
    }
}

/// The API's own types read what is written, and mean what was judged.
#[test]
fn what_is_written_is_what_the_api_reads() {
    let settings = "name: p, protocol: layer2, addresses: [192.0.2.0/24, 'fc00::-fc00::ff'], auto-assign: false, avoid-buggy-ips: true";
    let migration = migrate(&pool(settings), Form::OnlyData, Some("elsewhere"));
    let yaml = migration.yaml.unwrap();
    let documents: Vec<&str> = yaml.split("---\n").collect();
    let pool: IPAddressPool = serde_yaml::from_str(documents[0]).unwrap();
    assert_eq!(pool.spec.addresses, ["192.0.2.0/24", "fc00::-fc00::ff"]);
    assert_eq!((pool.spec.auto_assign, pool.spec.avoid_buggy_ips), (false, true));
    let advertisement: L2Advertisement = serde_yaml::from_str(documents[1]).unwrap();
    assert_eq!(advertisement.spec.spec.ip_address_pools, ["p"]);
    for metadata in [&pool.metadata, &advertisement.metadata] {
        assert_eq!(metadata.namespace.as_deref(), Some("elsewhere"));
    }
}

fn whole(text: &str) -> Vec<String> {
    let migration = migrate(text, Form::ConfigMap, None);
    migration.findings.errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_config_map_is_found_among_other_objects_and_in_lists() {
    let map = "{kind: ConfigMap, metadata: {name: config, namespace: lb}, data: {config: 'address-pools: [{name: p, protocol: layer2, addresses: [192.0.2.0/24]}]'}}";
    for text in [
        map.to_owned(),
        format!(
            "kind: Namespace\nmetadata: {{name: lb}}\n---\n{map}\n---\nkind: ConfigMap\ndata: {{other: x}}"
        ),
        format!("kind: List\napiVersion: v1\nitems:\n- {map}"),
    ] {
        let migration = migrate(&text, Form::ConfigMap, None);
        assert_eq!(migration.findings, Findings::default(), "{text}");
        assert_eq!(migration.yaml.unwrap().matches("namespace: lb\n").count(), 2, "{text}");
    }
    let two = format!("{map}\n---\n{map}");
    let expected =
        "more than one ConfigMap with the key \"config\": lb/config, lb/config; give one at a time";
    assert_eq!(whole(&two), [expected]);
}

#[test]
fn an_input_without_a_config_map_is_told() {
    for (text, expected) in [
        ("", "no ConfigMap with the key \"config\" in the input, only: nothing"),
        (
            "a: b",
            "no ConfigMap with the key \"config\" in the input, only: an object without a kind",
        ),
        (
            "kind: Secret\ndata: {config: x}",
            "no ConfigMap with the key \"config\" in the input, only: Secret",
        ),
        (
            "kind: ConfigMap\ndata: {cfg: x}",
            "no ConfigMap with the key \"config\" in the input, only: ConfigMap",
        ),
        (
            "address-pools: []",
            "this is not a ConfigMap, but what stands under its key \"config\": add --only-data",
        ),
        (
            "kind: ConfigMap\ndata: {config: {address-pools: []}}",
            "data.config: must be a text: in a ConfigMap, `config: |` and indented lines below it, and is a map",
        ),
    ] {
        assert_eq!(whole(text), [expected], "{text}");
    }
    let wrong = migrate("kind: ConfigMap\ndata: {config: ''}", Form::OnlyData, None);
    assert_eq!(wrong.findings.errors[0].what, Fault::IsConfigMap);
    assert!(whole("a: [")[0].starts_with("not YAML: "));
}

#[test]
fn other_keys_of_the_config_map_are_told() {
    let text = "kind: ConfigMap\ndata: {config: '{}', extra: x}";
    let migration = migrate(text, Form::ConfigMap, None);
    let told: Vec<_> = migration.findings.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "data.extra: left out: MetalLB read the key \"config\" only");
}
