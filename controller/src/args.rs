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
            ("METALLB_BGP_TYPE", !matches!(self.bgp_type.as_str(), "" | "native")),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }
}

/// The namespace of the pod we run in, if we do.
pub fn own_namespace() -> Option<String> {
    std::fs::read_to_string(Path::new(NAMESPACE_FILE)).ok()
}

#[cfg(test)]
mod tests;
