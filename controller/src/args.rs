//! The command line: MetalLB's flags, in Go's syntax or ours, and a few of our own. Read once,
//! checked once; nothing else reads the environment.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use clap::{ArgAction, Parser};
use kit::goflags::{normalise, parse_bool, parse_duration};

use crate::lease::decide::Terms;
use crate::mesh_secret::Wanted;
use crate::reconcile::mover::{self, Moves};
use crate::webhook;

/// Where Kubernetes tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Gives Services of type LoadBalancer their addresses.
///
/// Reads IPAddressPool and L2Advertisement objects from its own namespace and writes the status of
/// Services in all namespaces. Flags are those of MetalLB's controller and may be written with one
/// dash, as Go does, or with two.
#[derive(Debug, Clone, Parser)]
#[command(name = "controller", version)]
pub struct Args {
    /// How metrics are served
    #[command(flatten)]
    pub metrics: kit::metrics_server::Flags,

    /// TLS, for all that is served over it
    #[command(flatten)]
    pub tls: kit::tls::Flags,

    /// Port for /healthz and /readyz, on all addresses; 0 turns it off
    #[arg(long, default_value_t = 17472)]
    pub health_probe_port: u16,

    /// Namespace of the configuration objects [default: the pod's own]
    #[arg(long, env = "METALLB_NAMESPACE")]
    pub namespace: Option<String>,

    /// This pod's name, shown in the lease and in Events
    #[arg(long, env = "METALLB_POD_NAME", default_value = "controller")]
    pub pod_name: String,

    /// all, debug, info, warn, error or none
    #[arg(long, default_value = "info")]
    pub log_level: String,

    /// Serve only Services with this spec.loadBalancerClass; empty: only those without one
    #[arg(long, default_value = "")]
    pub lb_class: String,

    /// Name of the lease that replicas run for
    #[arg(long, default_value = "ferrolb-controller")]
    pub lease_name: String,

    /// How long the lease is good for without a renewal; a standby takes over after it
    #[arg(long, value_parser = parse_duration, default_value = "5s")]
    pub lease_duration: Duration,

    /// How often the lease is renewed
    #[arg(long, value_parser = parse_duration, default_value = "1.5s")]
    pub lease_renew: Duration,

    /// Evens out which nodes announce how many addresses, by telling some to hand over a few
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "true", value_parser = parse_bool)]
    pub placement: bool,

    /// How long nothing relevant must have changed before an address is moved; a node gets nothing
    /// in its first two such times
    #[arg(long, default_value_t = 30)]
    pub settling_seconds: u32,

    /// The most addresses that are being moved at one time
    #[arg(long, default_value_t = 10)]
    pub moves_at_once: u16,

    /// Nodes with the label node.kubernetes.io/exclude-from-external-load-balancers announce all the
    /// same; must be the same as for the speakers
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", value_parser = parse_bool)]
    pub ignore_exclude_lb: bool,

    /// The webhook
    #[command(flatten)]
    pub webhook: webhook::flags::Flags,

    /// Deployment that owns this pod; the Secret with the speakers' key goes with it
    #[arg(long, env = "METALLB_DEPLOYMENT", default_value = "")]
    pub deployment: String,

    /// Secret with the speakers' key, made if it is not there; empty: none is made
    #[arg(long, env = "METALLB_ML_SECRET_NAME", default_value = "")]
    pub ml_secret_name: String,

    /// Address for profiling
    #[arg(long, default_value = "", help_heading = LATER)]
    pub pprof_bind_address: String,

    /// native, frr or frr-k8s: BGP is not part of this program
    #[arg(long = "bgp-type", env = "METALLB_BGP_TYPE", default_value = "native", hide = true)]
    pub bgp_type: String,
}

const LATER: &str = "Accepted for MetalLB's manifests, without effect yet";

/// Why the arguments cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said where the configuration is.
    #[error(
        "no namespace: give --namespace, METALLB_NAMESPACE, or run in a pod with a service account"
    )]
    NoNamespace,
    /// Two leaders at a time would be possible, or none for long.
    #[error("--lease-renew must be more than 0 and less than half of --lease-duration")]
    LeaseTooShort,
    /// The flags about TLS ask for what there is not.
    #[error(transparent)]
    Tls(#[from] kit::tls::SettingsError),
}

/// The arguments, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How to serve metrics.
    pub metrics: Option<kit::metrics_server::Config>,
    /// Where to serve health.
    pub health: Option<SocketAddr>,
    /// Where the configuration is.
    pub namespace: String,
    /// The load balancer class served.
    pub class: Option<String>,
    /// This pod.
    pub pod_name: String,
    /// The lease's name.
    pub lease_name: String,
    /// How the lease is held.
    pub terms: Terms,
    /// Which addresses are moved, and when.
    pub moves: mover::Settings,
    /// How the webhook is served; `None`: it is not.
    pub webhook: Option<webhook::Settings>,
    /// The Secret with the speakers' key to make.
    pub mesh_secret: Option<Wanted>,
    /// Whether to leave Services alone.
    pub is_idle: bool,
    /// What was asked for and is not done.
    pub ignored: Vec<&'static str>,
}

impl Args {
    /// Reads `args`; on `--help` and on errors it prints and exits, as clap does.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(normalise(args))
    }

    /// Checks them.
    ///
    /// # Errors
    /// [`Error`] when they make no sense together.
    pub fn check(self, namespace_file: Option<String>) -> Result<Config, Error> {
        let namespace = self.namespace.clone().or(namespace_file);
        let namespace = namespace
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .ok_or(Error::NoNamespace)?;
        // The holder stops at four fifths, and must have tried at least twice by then.
        if self.lease_renew.is_zero() || self.lease_renew * 2 >= self.lease_duration {
            return Err(Error::LeaseTooShort);
        }
        let health = self.health_probe_port;
        let tls = self.tls.settings()?;
        Ok(Config {
            mesh_secret: Wanted::new(&namespace, &self.ml_secret_name, &self.deployment),
            metrics: self.metrics.config(&tls),
            health: (health != 0).then(|| kit::admin::everywhere(health)),
            webhook: self.webhook.settings(&namespace, tls),
            namespace,
            ignored: self.ignored(),
            is_idle: self.webhook.webhook_mode == webhook::flags::Mode::Onlywebhook,
            class: Some(self.lb_class).filter(|class| !class.is_empty()),
            pod_name: self.pod_name,
            lease_name: self.lease_name,
            moves: mover::Settings {
                moves: if self.placement { Moves::On } else { Moves::Off },
                settling: Duration::from_secs(self.settling_seconds.into()),
                at_once: self.moves_at_once.into(),
                ignore_exclude_label: self.ignore_exclude_lb,
            },
            terms: Terms {
                duration: self.lease_duration,
                renew: self.lease_renew,
                retry: self.lease_renew / 3,
            },
        })
    }

    fn ignored(&self) -> Vec<&'static str> {
        let given = [
            ("pprof-bind-address", !self.pprof_bind_address.is_empty()),
            ("webhook-http2", self.webhook.webhook_http2),
            ("METALLB_BGP_TYPE", self.bgp_type != "native"),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }
}

/// The namespace of the pod we run in, if we do.
pub fn own_namespace() -> Option<String> {
    std::fs::read_to_string(Path::new(NAMESPACE_FILE)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MetalLB's flags: name, default, and the environment variable that stands for it.
    const METALLBS: [(&str, &str, Option<&str>); 19] = [
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
        let command = <Args as clap::CommandFactory>::command();
        for (name, default, env) in METALLBS {
            let mut flags = command.get_arguments();
            let flag = flags.find(|flag| flag.get_long() == Some(name)).expect(name);
            let ours = flag.get_default_values().first().and_then(|value| value.to_str());
            assert_eq!(ours.unwrap_or_default(), default, "{name}");
            assert_eq!(flag.get_env().and_then(|name| name.to_str()), env, "{name}");
        }
    }

    #[test]
    fn every_flag_is_described() {
        let page = include_str!("../../docs/reference/flags.md");
        let command = <Args as clap::CommandFactory>::command();
        for flag in command.get_arguments().filter(|flag| flag.get_id() != "bgp_type") {
            let Some(name) = flag.get_long() else { continue };
            assert!(page.contains(&format!("`--{name}`")), "--{name} is not in flags.md");
        }
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
}
