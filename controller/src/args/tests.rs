use kit::testing;

use super::*;

/// MetalLB's flags: name, default, and the environment variable that stands for it.
const METALLBS: [testing::Flag; 19] = [
    ("port", "9120", None),
    ("namespace", "", Some("METALLB_NAMESPACE")),
    ("ml-secret-name", "", Some("METALLB_ML_SECRET_NAME")),
    ("deployment", "", Some("METALLB_DEPLOYMENT")),
    ("pod-name", "controller", Some("METALLB_POD_NAME")),
    ("log-level", "info", None),
    ("pprof-bind-address", "", None),
    ("health-probe-port", "17472", None),
    ("disable-cert-rotation", "false", None),
    ("cert-dir", "/tmp/k8s-webhook-server/serving-certs", None),
    ("cert-service-name", "metallb-webhook-service", None),
    ("webhook-secret", "metallb-webhook-cert", None),
    ("webhook-mode", "enabled", None),
    ("webhook-http2", "false", None),
    ("lb-class", "", None),
    ("tls-min-version", "", None),
    ("tls-cipher-suites", "", None),
    ("tls-curve-preferences", "", None),
    ("metrics-cert-dir", "", None),
];

fn parse(flags: &[&str]) -> Args {
    let args = ["controller"].iter().chain(flags).map(OsString::from);
    Args::parse_from(normalise(args))
}

#[test]
fn the_arguments_of_metallbs_manifest_are_understood() {
    let args = parse(&[
        "--port=9120",
        "--log-level=info",
        "-webhook-mode=enabled",
        "--tls-min-version=VersionTLS13",
        "--metrics-cert-dir=/etc/metrics-certs",
        "-disable-cert-rotation",
        "--webhook-http2=false",
        "-lb-class",
        "metallb",
    ]);
    assert!(args.webhook.disable_cert_rotation && !args.webhook.webhook_http2);
    let config = args.check(Some("metallb-system\n".to_owned())).unwrap();
    assert_eq!(config.namespace, "metallb-system");
    assert_eq!(config.class.as_deref(), Some("metallb"));
    let metrics = config.metrics.unwrap();
    assert_eq!(metrics.address.port(), 9120);
    assert_eq!(metrics.cert_dir.as_deref(), Some(Path::new("/etc/metrics-certs")));
    let folder = "/tmp/k8s-webhook-server/serving-certs".into();
    let webhook = config.webhook.unwrap();
    assert_eq!(webhook.source, webhook::Source::Folder(folder));
    assert_eq!(webhook.address.port(), 9443);
    assert_eq!(config.ignored, [""; 0]);
}

#[test]
fn without_a_namespace_it_does_not_start() {
    let mut args = parse(&[]);
    args.namespace = None;
    assert!(matches!(args.check(None), Err(Error::NoNamespace)));
}

#[test]
fn an_unknown_flag_ends_with_2() {
    let error = Args::try_parse_from(["controller", "--prot=1"]).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
}

#[test]
fn a_lease_that_could_not_be_renewed_twice_is_refused() {
    let args = parse(&["--namespace=x", "--lease-duration=2s", "--lease-renew=1s"]);
    assert!(matches!(args.check(None), Err(Error::LeaseTooShort)));
}

#[test]
fn settings_of_tls_that_cannot_be_are_refused() {
    let args = parse(&["--namespace=x", "--tls-curve-preferences=25", "--port=0"]);
    let error = args.check(None).unwrap_err().to_string();
    assert!(error.contains("--tls-curve-preferences: \"25\""), "{error}");
}

#[test]
fn port_zero_turns_a_server_off() {
    let config = parse(&["--namespace=x", "-port=0"]).check(None).unwrap();
    assert_eq!(config.metrics, None);
}

#[test]
fn the_mode_says_what_of_the_controller_runs() {
    for (mode, webhook, is_idle) in
        [("enabled", true, false), ("disabled", false, false), ("onlywebhook", true, true)]
    {
        let args = parse(&["--namespace=x", &format!("-webhook-mode={mode}")]);
        let config = args.check(None).unwrap();
        assert_eq!((config.webhook.is_some(), config.is_idle), (webhook, is_idle), "{mode}");
    }
}

#[test]
fn metallbs_flags_have_its_defaults_and_its_environment() {
    testing::assert_table(&<Args as clap::CommandFactory>::command(), &METALLBS);
}

#[test]
fn a_type_of_bgp_is_warned_of_unless_it_is_the_one_without_frr() {
    let variable = ("bgp-type", "native", Some("METALLB_BGP_TYPE"));
    testing::assert_table(&<Args as clap::CommandFactory>::command(), &[variable]);
    for (kind, warned) in [
        ("frr", &["METALLB_BGP_TYPE"][..]),
        ("frr-k8s", &["METALLB_BGP_TYPE"]),
        ("native", &[]),
        ("", &[]),
    ] {
        let args = parse(&["--namespace=x", &format!("--bgp-type={kind}")]);
        assert_eq!(args.check(None).unwrap().ignored, warned, "{kind}");
    }
}

#[test]
fn health_is_told_on_all_addresses() {
    let health = |flags: &[&str]| parse(flags).check(Some("x".to_owned())).unwrap().health;
    let address = health(&[]).unwrap();
    assert!(address.ip().is_unspecified(), "{address}");
    assert_eq!(address.port(), 17472);
    assert_eq!(health(&["--health-probe-port=0"]), None);
}

#[test]
fn every_flag_is_described() {
    let page = include_str!("../../../docs/reference/flags.md");
    testing::assert_documented(&<Args as clap::CommandFactory>::command(), page, &["bgp-type"]);
}

#[test]
fn every_flag_of_metallb_is_accepted_in_gos_syntax() {
    for (name, default, _) in METALLBS {
        for dashes in ["-", "--"] {
            let flag = format!("{dashes}{name}={default}");
            let config = parse(&[&flag]).check(Some("x".to_owned()));
            // An empty namespace is none.
            assert_eq!(config.is_err(), name == "namespace", "{flag}");
            assert!(config.is_err() || config.unwrap().ignored.is_empty(), "{flag}");
        }
    }
    let asked = ["-pprof-bind-address=:6060", "--webhook-http2", "--bgp-type=frr"];
    let ignored = parse(&asked).check(Some("x".to_owned())).unwrap().ignored;
    assert_eq!(ignored, ["pprof-bind-address", "webhook-http2", "METALLB_BGP_TYPE"]);
}
