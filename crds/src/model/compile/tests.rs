use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;

fn pool(yaml: &str) -> IPAddressPool {
    let head = "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\n";
    serde_yaml::from_str(&format!("{head}{yaml}")).unwrap()
}

fn advertisement(yaml: &str) -> L2Advertisement {
    let head = "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\n";
    serde_yaml::from_str(&format!("{head}{yaml}")).unwrap()
}

fn simple_pool(name: &str, addresses: &str) -> IPAddressPool {
    pool(&format!("metadata: {{name: {name}}}\nspec: {{addresses: [{addresses}]}}"))
}

fn messages(compiled: &Compiled) -> Vec<String> {
    compiled.problems.iter().map(ToString::to_string).collect()
}

/// Every rejection of MetalLB's parser, each with the object and the field in its message, and
/// with a good pool and a good advertisement beside it that must go on working.
#[test]
fn rejects_each_bad_pool_by_name_and_field_and_leaves_the_others_working() {
    for (spec, message) in [
        ("addresses: []", "spec.addresses: pool has no prefixes defined"),
        (
            "addresses: [192.0.2.0/24, 198.51.100.1]",
            "spec.addresses[1]: invalid CIDR \"198.51.100.1\" in pool \"bad\": invalid CIDR \"198.51.100.1\"",
        ),
        (
            "addresses: [192.0.2.0/40]",
            "spec.addresses[0]: invalid CIDR \"192.0.2.0/40\" in pool \"bad\": invalid CIDR \"192.0.2.0/40\"",
        ),
        (
            "addresses: [x-192.0.2.9]",
            "spec.addresses[0]: invalid CIDR \"x-192.0.2.9\" in pool \"bad\": invalid IP range \"x-192.0.2.9\": invalid start IP \"x\"",
        ),
        (
            "addresses: [192.0.2.9-192.0.2.y]",
            "spec.addresses[0]: invalid CIDR \"192.0.2.9-192.0.2.y\" in pool \"bad\": invalid IP range \"192.0.2.9-192.0.2.y\": invalid end IP \"192.0.2.y\"",
        ),
        (
            "addresses: [192.0.2.9-192.0.2.1]",
            "spec.addresses[0]: invalid CIDR \"192.0.2.9-192.0.2.1\" in pool \"bad\": invalid IP range \"192.0.2.9-192.0.2.1\": start IP \"192.0.2.9\" is after the end IP \"192.0.2.1\"",
        ),
        (
            "addresses: [10.0.0.1-fc00::1]",
            "spec.addresses[0]: invalid CIDR \"10.0.0.1-fc00::1\" in pool \"bad\": invalid IP range \"10.0.0.1-fc00::1\": start IP \"10.0.0.1\" and end IP \"fc00::1\" are of different families",
        ),
        (
            "addresses: [192.0.2.0/24, 192.0.2.128/25]",
            "spec.addresses[1]: CIDR \"192.0.2.128/25\" in pool \"bad\" overlaps with already defined CIDR \"192.0.2.0/24\" of pool \"bad\"",
        ),
        (
            "addresses: [203.0.113.200-203.0.113.210]",
            "spec.addresses[0]: CIDR \"203.0.113.200-203.0.113.210\" in pool \"bad\" overlaps with already defined CIDR \"203.0.113.0/24\" of pool \"aaa\"",
        ),
        (
            "{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [a, b, a]}}",
            "spec.serviceAllocation.namespaces[2]: duplicate definition in namespaces field \"a\"",
        ),
        (
            "{addresses: [192.0.2.0/24], serviceAllocation: {namespaceSelectors: [{matchLabels: {a: b}}, {matchLabels: {a: b}}]}}",
            "spec.serviceAllocation.namespaceSelectors[1]: duplicate definition of namespaceSelectors: an equal selector stands before it",
        ),
        (
            "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [x, y]}]}, {matchExpressions: [{key: a, operator: In, values: [y, x]}]}]}}",
            "spec.serviceAllocation.serviceSelectors[1]: duplicate definition of serviceSelectors: an equal selector stands before it",
        ),
        (
            "{addresses: [192.0.2.0/24], serviceAllocation: {namespaceSelectors: [{matchExpressions: [{key: a, operator: Like, values: [x]}]}]}}",
            "spec.serviceAllocation.namespaceSelectors[0]: invalid label selector: \"Like\" is not a valid label selector operator",
        ),
        (
            "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [x, x]}]}]}}",
            "spec.serviceAllocation.serviceSelectors[0]: invalid label selector: duplicate definition of match expression value in label selector \"x\"",
        ),
        (
            "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: Exists}, {key: a, operator: Exists}]}]}}",
            "spec.serviceAllocation.serviceSelectors[0]: invalid label selector: duplicate definition of match expressions in label selector, key \"a\"",
        ),
    ] {
        let spec = if spec.starts_with('{') { spec.to_owned() } else { format!("{{{spec}}}") };
        let resources = Resources {
            pools: vec![
                pool(&format!("metadata: {{name: bad}}\nspec: {spec}")),
                simple_pool("aaa", "203.0.113.0/24"),
            ],
            advertisements: vec![advertisement("metadata: {name: all}")],
            ..Resources::default()
        };
        let compiled = compile(&resources, &Config::default());
        assert_eq!(messages(&compiled), [format!("IPAddressPool \"bad\": {message}")]);
        let names: Vec<_> = compiled.config.pools.keys().map(PoolName::as_str).collect();
        assert_eq!(names, ["aaa"], "{message}");
        assert!(compiled.config.unreadable_pools.contains(&"bad".into()), "{message}");
        assert!(compiled.config.advertisements["all"].pools.contains(&"aaa".into()), "{message}");
    }
}

#[test]
fn rejects_each_bad_advertisement_by_name_and_field_and_leaves_the_others_working() {
    let selector_lists = ["ipAddressPoolSelectors", "nodeSelectors", "serviceSelectors"];
    let twice = selector_lists.map(|field| {
        (
            format!("{{{field}: [{{matchLabels: {{a: b}}}}, {{matchLabels: {{a: b}}}}]}}"),
            format!("spec.{field}[1]: duplicate definition of {field}: an equal selector stands before it"),
        )
    });
    let unreadable = selector_lists.map(|field| {
        (
            format!("{{{field}: [{{matchExpressions: [{{key: a, operator: In}}]}}]}}"),
            format!("spec.{field}[0]: invalid label selector: values of key \"a\": for 'in', 'notin' operators, values set can't be empty"),
        )
    });
    let others = [
        (
            "{ipAddressPools: [p, q, p]}",
            "spec.ipAddressPools[2]: duplicate definition of ipAddressPools \"p\"",
        ),
        (
            "{preferredNodeSelectors: [{weight: 101, preference: {}}]}",
            "spec.preferredNodeSelectors[0]: weight 101 is not from 1 to 100",
        ),
        (
            "{preferredNodeSelectors: [{weight: 1, preference: {matchLabels: {'a b': c}}}]}",
            "spec.preferredNodeSelectors[0]: invalid label selector: label key \"a b\" is not valid",
        ),
    ]
    .map(|(spec, message)| (spec.to_owned(), message.to_owned()));
    for (spec, message) in twice.into_iter().chain(unreadable).chain(others) {
        let resources = Resources {
            pools: vec![simple_pool("p", "192.0.2.0/24")],
            advertisements: vec![
                advertisement("metadata: {name: good}"),
                advertisement(&format!("metadata: {{name: bad}}\nspec: {spec}")),
            ],
            ..Resources::default()
        };
        let compiled = compile(&resources, &Config::default());
        assert_eq!(messages(&compiled), [format!("L2Advertisement \"bad\": {message}")]);
        let names: Vec<_> = compiled.config.advertisements.keys().collect();
        assert_eq!(names, ["good"], "{message}");
    }
}

#[test]
fn an_object_that_turns_invalid_keeps_its_last_valid_form() {
    let good = Resources {
        pools: vec![simple_pool("p", "192.0.2.0/24")],
        advertisements: vec![advertisement("metadata: {name: a}\nspec: {interfaces: [eth0]}")],
        ..Resources::default()
    };
    let first = compile(&good, &Config::default()).config;
    let broken = Resources {
        pools: vec![simple_pool("p", "192.0.2.0/24, oops")],
        advertisements: vec![advertisement("metadata: {name: a}\nspec: {ipAddressPools: [p, p]}")],
        ..Resources::default()
    };
    let second = compile(&broken, &first);
    assert_eq!(second.config, first);
    assert_eq!(second.problems.len(), 2, "{:?}", second.problems);
    let mended = compile(&good, &second.config);
    assert_eq!((mended.config, mended.problems), (first, vec![]));
}

#[test]
fn an_advertisement_goes_on_covering_a_pool_that_cannot_be_read() {
    let mut broken = simple_pool("p", "oops");
    broken.metadata.labels = Some(Labels::from([("zone".to_owned(), "a".to_owned())]));
    for spec in
        ["{}", "{ipAddressPools: [p]}", "{ipAddressPoolSelectors: [{matchLabels: {zone: a}}]}"]
    {
        let resources = Resources {
            pools: vec![broken.clone()],
            advertisements: vec![advertisement(&format!("metadata: {{name: a}}\nspec: {spec}"))],
            ..Resources::default()
        };
        let config = compile(&resources, &Config::default()).config;
        assert!(config.advertisements["a"].pools.contains(&"p".into()), "{spec}");
    }
}

#[test]
fn of_two_pools_that_overlap_the_older_stays() {
    let at = |name: &str, seconds: i64| {
        let mut pool = simple_pool(name, "192.0.2.0/24");
        let stamp = serde_json::json!(format!("2026-01-01T00:00:{seconds:02}Z"));
        pool.metadata.creation_timestamp = Some(serde_json::from_value::<Time>(stamp).unwrap());
        pool
    };
    for pools in [vec![at("a", 9), at("b", 1)], vec![at("b", 1), at("a", 9)]] {
        let compiled = compile(&Resources { pools, ..Resources::default() }, &Config::default());
        assert!(compiled.config.pools.contains_key(&"b".into()));
        assert_eq!(compiled.problems[0].name, "a");
    }
}

#[test]
fn namespace_selectors_resolve_to_names_and_unite_with_the_list() {
    let object = pool(
        "metadata: {name: p}\nspec: {addresses: [192.0.2.0/24], serviceAllocation: {priority: 7, namespaces: [a], namespaceSelectors: [{matchLabels: {team: blue}}]}}",
    );
    let blue = Labels::from([("team".to_owned(), "blue".to_owned())]);
    let namespaces = BTreeMap::from([("b".to_owned(), blue), ("c".to_owned(), Labels::new())]);
    let resources = Resources { pools: vec![object], namespaces, ..Resources::default() };
    let config = compile(&resources, &Config::default()).config;
    let pool = &config.pools[&"p".into()];
    for (namespace, admitted) in [("a", true), ("b", true), ("c", false)] {
        assert_eq!(pool.admits(namespace, &Labels::new()), admitted, "{namespace}");
    }
}

#[test]
fn advertisements_choose_pools_by_name_by_label_or_all() {
    let mut labelled = simple_pool("labelled", "192.0.2.0/24");
    labelled.metadata.labels = Some(Labels::from([("zone".to_owned(), "a".to_owned())]));
    let pools = vec![labelled, simple_pool("plain", "198.51.100.0/24")];
    for (spec, chosen) in [
        ("{}", &["labelled", "plain"][..]),
        ("{ipAddressPools: [plain, missing]}", &["plain"]),
        ("{ipAddressPools: [missing]}", &[]),
        ("{ipAddressPoolSelectors: [{matchLabels: {zone: a}}]}", &["labelled"]),
        ("{ipAddressPoolSelectors: [{matchLabels: {zone: x}}]}", &[]),
        ("{ipAddressPools: [plain], ipAddressPoolSelectors: [{}]}", &["labelled", "plain"]),
    ] {
        let advertisements = vec![advertisement(&format!("metadata: {{name: a}}\nspec: {spec}"))];
        let resources = Resources { pools: pools.clone(), advertisements, ..Resources::default() };
        let config = compile(&resources, &Config::default()).config;
        let found: Vec<_> = config.advertisements["a"].pools.iter().map(PoolName::as_str).collect();
        assert_eq!(found, chosen, "{spec}");
    }
}

#[test]
fn an_object_that_fits_no_type_is_invalid_and_not_gone() {
    let good = Resources {
        pools: vec![simple_pool("p", "192.0.2.0/24")],
        advertisements: vec![advertisement("metadata: {name: a}")],
        ..Resources::default()
    };
    let first = compile(&good, &Config::default()).config;
    let unreadable = |kind, name: &str| Unreadable {
        kind,
        name: name.to_owned(),
        error: "spec: expected a map".to_owned(),
    };
    let broken = Resources {
        unreadable: vec![
            unreadable(Kind::IpAddressPool, "p"),
            unreadable(Kind::IpAddressPool, "never-read"),
            unreadable(Kind::L2Advertisement, "a"),
        ],
        ..Resources::default()
    };
    let second = compile(&broken, &first);
    assert_eq!(second.config.pools, first.pools);
    assert_eq!(second.config.advertisements, first.advertisements);
    assert_eq!(second.config.unreadable_pools, BTreeSet::from(["never-read".into()]));
    assert_eq!(
        messages(&second)[0],
        "IPAddressPool \"never-read\": spec: cannot be read: spec: expected a map"
    );
}

/// Whatever looks odd may be meant, or may be for a node that has not come yet.
#[test]
fn odd_things_that_metallb_accepts_are_accepted() {
    for spec in [
        "ipAddressPools: [nowhere]",
        "ipAddressPools: [\"\"]",
        "interfaces: [eth0, eth0, nosuch, \"\"]",
        "nodeSelectors: [{}, {matchLabels: {no: node}}]",
        "preferredNodeSelectors: [{weight: 1, preference: {}}, {weight: 1, preference: {}}]",
    ] {
        let odd = advertisement(&format!("metadata: {{name: odd}}\nspec: {{{spec}}}"));
        let resources = Resources { advertisements: vec![odd], ..Resources::default() };
        let compiled = compile(&resources, &Config::default());
        assert_eq!(messages(&compiled), [""; 0], "{spec}");
        assert!(compiled.config.advertisements.contains_key("odd"), "{spec}");
    }
}
