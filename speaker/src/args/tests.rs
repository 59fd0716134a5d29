use kit::testing;

use super::*;

/// MetalLB's flags: name, default, and the environment variable that stands for it.
const METALLBS: [testing::Flag; 23] = [
    ("namespace", "", Some("METALLB_NAMESPACE")),
    ("log-level", "info", None),
    ("port", "9120", None),
    ("pprof-bind-address", "", None),
    ("health-probe-port", "17472", None),
    ("lb-class", "", None),
    ("pod-name", "", Some("METALLB_POD_NAME")),
    ("tls-min-version", "", None),
    ("tls-cipher-suites", "", None),
    ("tls-curve-preferences", "", None),
    ("metrics-cert-dir", "", None),
    ("node-name", "", Some("METALLB_NODE_NAME")),
    ("host", "", Some("METALLB_HOST")),
    ("ml-bindaddr", "", Some("METALLB_ML_BIND_ADDR")),
    ("ml-bindport", "7946", Some("METALLB_ML_BIND_PORT")),
    ("ml-labels", "", Some("METALLB_ML_LABELS")),
    ("ml-secret-key-path", "", Some("METALLB_ML_SECRET_KEY_PATH")),
    ("ml-wan-config", "", None),
    ("ignore-exclude-lb", "false", None),
    ("bgp-debounce-timeout", "", Some("METALLB_BGP_DEBOUNCE_TIMEOUT")),
    ("frrk8s-namespace", "", Some("FRRK8S_NAMESPACE")),
    ("frrk8s-secret-passthrough", "", None),
    // A variable only.
    ("bgp-type", "", Some("METALLB_BGP_TYPE")),
];

fn check(args: &[&str]) -> Result<Config, String> {
    let always = ["speaker", "--node-name=n1", "--namespace=metallb-system"];
    let all = always.iter().chain(args).map(OsString::from);
    let args = Args::try_parse_from(goflags::normalise(all)).map_err(|error| error.to_string())?;
    args.check().map_err(|error| error.to_string())
}

#[test]
fn defaults_are_metallbs() {
    let config = check(&[]).unwrap();
    let metrics = config.metrics.unwrap();
    assert_eq!((metrics.address.port(), metrics.cert_dir), (9120, None));
    assert_eq!(config.health.unwrap().to_string(), "127.0.0.1:17472");
    assert_eq!((config.class, config.ignore_exclude_label), (None, false));
    assert!(config.mesh.is_none() && config.without_effect.is_empty());
    assert!(config.deputies && config.state_dir.is_none());
}

#[test]
fn flags_of_our_own_are_written_as_metallbs_are() {
    let config = check(&["-deputies=false", "--state-dir", "/var/lib/ferrolb"]).unwrap();
    assert!(!config.deputies);
    assert_eq!(config.state_dir, Some(PathBuf::from("/var/lib/ferrolb")));
}

#[test]
fn every_flag_of_metallb_is_accepted_in_gos_syntax() {
    let config = check(&[
        "-port=0",
        "--health-probe-port=0",
        "-log-level=debug",
        "-pprof-bind-address=",
        "--host",
        "192.0.2.1",
        "-lb-class=mine",
        "--pod-name=p",
        "--ignore-exclude-lb",
        "-ml-wan-config=true",
        "--ml-bindport=1",
        "--ml-bindaddr=",
        "--ml-labels=",
        "--ml-secret-key-path=",
        "--bgp-debounce-timeout=3000",
        "--frrk8s-namespace=x",
        "--frrk8s-secret-passthrough",
        "--tls-min-version=VersionTLS13",
        "--tls-cipher-suites=",
        "--tls-curve-preferences=",
        "--metrics-cert-dir=",
    ])
    .unwrap();
    assert_eq!((config.metrics, config.health), (None, None));
    assert_eq!(config.class.as_deref(), Some("mine"));
    assert!(config.ignore_exclude_label);
    let expected =
        ["bgp-debounce-timeout", "frrk8s-namespace", "ml-wan-config", "frrk8s-secret-passthrough"];
    assert_eq!(config.without_effect, expected);
}

#[test]
fn a_type_of_bgp_is_warned_of_unless_it_is_the_one_without_frr() {
    for (kind, warned) in [
        ("frr", &["METALLB_BGP_TYPE"][..]),
        ("frr-k8s", &["METALLB_BGP_TYPE"]),
        ("native", &[]),
        ("", &[]),
    ] {
        let config = check(&[&format!("--bgp-type={kind}")]).unwrap();
        assert_eq!(config.without_effect, warned, "{kind}");
    }
}

#[test]
fn mistakes_name_the_flag() {
    for (args, expected) in [
        (&["--ml-bindaddr=x", "--ml-labels=a=b"][..], "--ml-bindaddr: \"x\" is not an IP address"),
        (&["--ml-bindaddr=0.0.0.0", "--ml-labels=a=b"], "to reach this one at 0.0.0.0, and cannot"),
        (&["--ml-bindaddr=::", "--ml-labels=a=b"], "--ml-bindaddr: other speakers are told"),
        (&["--ml-bindaddr=192.0.2.1", "--ml-labels=a=b"], "--ml-secret-key-path: is needed"),
        (
            &["--ml-bindaddr=192.0.2.1", "--ml-labels=a=b", "--ml-secret-key-path=/nonexistent"],
            "/nonexistent/secretkey: No such file",
        ),
        (&["--tls-min-version=1.2"], "--tls-min-version: \"1.2\" is neither"),
        (&["--ignore-exclude-lb=maybe"], "--ignore-exclude-lb"),
        (&["--prot=1"], "--prot"),
    ] {
        let error = check(args).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for args in [&["speaker", "--node-name=n1", "--prot=1"][..], &["speaker", "--namespace=x"]] {
        let error = Args::try_parse_from(args).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
    }
}

#[test]
fn flags_that_are_shared_leave_the_help_as_it_is() {
    let help = <Args as clap::CommandFactory>::command().render_long_help().to_string();
    assert!(help.starts_with("Answers ARP for the addresses"), "{help}");
    let ignored = help.find("without effect").unwrap();
    assert!(help.find("--metrics-cert-dir").unwrap() < ignored, "{help}");
    assert!(help.find("--pprof-bind-address").unwrap() > ignored, "{help}");
}

#[test]
fn metallbs_flags_have_its_defaults_and_its_environment() {
    testing::assert_table(&<Args as clap::CommandFactory>::command(), &METALLBS);
}

#[test]
fn every_flag_is_described() {
    let page = include_str!("../../../docs/reference/flags.md");
    testing::assert_documented(&<Args as clap::CommandFactory>::command(), page, &["bgp-type"]);
}
