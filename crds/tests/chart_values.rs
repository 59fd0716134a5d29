//! The chart's settings beside MetalLB's: a values file written for the one must mean the same to the
//! other. `charts/ferrolb/ci/metallb-defaults-values.yaml` has all of MetalLB's with their defaults.
#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// The settings below `charts/ferrolb/`, each by its path; an empty list or object is a setting.
fn settings(file: &str) -> BTreeMap<String, Value> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ferrolb");
    let text = fs::read_to_string(chart.join(file)).unwrap();
    let mut found = BTreeMap::new();
    collect("", &serde_yaml::from_str(&text).unwrap(), &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(&format!("{path}{dot}{name}"), value, found);
            }
        }
        value => drop(found.insert(path.to_owned(), value.clone())),
    }
}

/// Whether a setting of MetalLB's is about BGP, which the chart accepts and does not have.
fn is_about_bgp(path: &str) -> bool {
    let heads = [
        "frrk8s.",
        "frr-k8s",
        "speaker.frr.",
        "speaker.reloader.",
        "speaker.frrMetrics.",
        "speaker.initContainers.",
        "speaker.startupProbe.",
        "speaker.bgpDebounceTimeout",
        "prometheus.prometheusRule.bgpSessionDown.",
    ];
    heads.iter().any(|head| path.starts_with(head))
}

#[test]
fn the_chart_has_metallbs_defaults_but_for_these() {
    let ours = settings("values.yaml");
    let theirs = settings("ci/metallb-defaults-values.yaml");
    let layer2 = theirs.iter().filter(|(path, _)| !is_about_bgp(path));
    let mut seen = 0;
    let mut other = Vec::new();
    for (path, default) in layer2 {
        seen += 1;
        match ours.get(path) {
            Some(ours) if ours == default => {}
            Some(ours) => other.push(format!("{path}: {ours}, not {default}")),
            // It is an object here, and not an empty one.
            None => other.push(format!("{path}: not {default}")),
        }
    }
    assert!(seen > 90, "{seen}");
    let probes = ["controller", "speaker"].into_iter().flat_map(|program| {
        [
            format!("{program}.livenessProbe.failureThreshold: 6, not 3"),
            format!("{program}.livenessProbe.timeoutSeconds: 5, not 1"),
            format!("{program}.readinessProbe.initialDelaySeconds: 0, not 10"),
            format!("{program}.readinessProbe.periodSeconds: 2, not 10"),
            format!("{program}.readinessProbe.timeoutSeconds: 2, not 1"),
        ]
    });
    let mut expected: Vec<String> = probes.collect();
    expected.extend([
        "controller.image.repository: \"ferrolb/controller\", not \"quay.io/metallb/controller\""
            .to_owned(),
        "speaker.image.repository: \"ferrolb/speaker\", not \"quay.io/metallb/speaker\"".to_owned(),
        "speaker.resources: not {}".to_owned(),
        "speaker.securityContext: not {}".to_owned(),
    ]);
    expected.sort();
    other.sort();
    assert_eq!(other, expected);
}

/// Not all of it: these are set in a pod where MetalLB sets nothing.
#[test]
fn what_the_chart_adds_to_pods_is_this() {
    let ours = settings("values.yaml");
    let theirs = settings("ci/metallb-defaults-values.yaml");
    let heads = ["controller.securityContext.", "speaker.securityContext.", "speaker.resources."];
    let added = ours.keys().filter(|path| heads.iter().any(|head| path.starts_with(head)));
    let added: Vec<_> = added.filter(|path| !theirs.contains_key(*path)).collect();
    let expected = [
        "controller.securityContext.runAsGroup",
        "controller.securityContext.seccompProfile.type",
        "speaker.resources.requests.cpu",
        "speaker.resources.requests.memory",
        "speaker.securityContext.seccompProfile.type",
    ];
    assert_eq!(added, expected);
}
