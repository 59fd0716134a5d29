//! What the speaker is told at its start: flags as typed, and the checked configuration made of
//! them. MetalLB's flags and environment variables are all accepted.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Parser;
use kit::goflags;

use crate::link::Exclusions;
use crate::mesh::seal::{Keyring, SecretKey};

mod exclude_file;

/// Answers ARP for the addresses of Services of type LoadBalancer.
#[derive(Debug, Parser)]
#[command(name = "speaker", version, max_term_width = 100)]
pub struct Args {
    /// The name of the node this speaker runs on
    #[arg(long, env = "METALLB_NODE_NAME")]
    node_name: String,
    /// The name of the pod this speaker runs in
    #[arg(long, env = "METALLB_POD_NAME", default_value = "")]
    pod_name: String,
    /// The namespace of the configuration objects and of the other speakers
    #[arg(long, env = "METALLB_NAMESPACE")]
    namespace: Option<String>,
    /// Announce Services with this loadBalancerClass; without it, those that have none
    #[arg(long, default_value = "")]
    lb_class: String,
    /// Let nodes with the label node.kubernetes.io/exclude-from-external-load-balancers announce
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value = "false",
          require_equals = true, value_parser = goflags::parse_bool, action = clap::ArgAction::Set)]
    ignore_exclude_lb: bool,
    /// A file with the interfaces never to announce on, as MetalLB writes it; may be absent
    #[arg(long, default_value = "/etc/metallb/excludel2.yaml", value_name = "FILE")]
    excludel2_file: PathBuf,
    /// How many announcements a second to send on each interface at most; an announcement is two frames
    #[arg(long, default_value_t = 500, value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    announcements_per_second: u32,
    /// Answer for a node whose speaker is away, as long as the node itself is there
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value = "true",
          require_equals = true, value_parser = goflags::parse_bool, action = clap::ArgAction::Set)]
    deputies: bool,
    /// The folder for what a restarted speaker needs while the API server is away; empty: none
    #[arg(long, default_value = "", value_name = "FOLDER")]
    state_dir: String,

    /// The address the mesh of speakers uses; empty turns it off: then every node counts as alive
    #[arg(long, env = "METALLB_ML_BIND_ADDR", default_value = "", value_name = "ADDRESS")]
    ml_bindaddr: String,
    /// The UDP and TCP port the mesh uses, the same on every node
    #[arg(long, env = "METALLB_ML_BIND_PORT", default_value_t = 7946, value_name = "PORT")]
    ml_bindport: u16,
    /// The labels of the speaker pods, as key=value,key=value; empty turns the mesh off
    #[arg(long, env = "METALLB_ML_LABELS", default_value = "", value_name = "LABELS")]
    ml_labels: String,
    /// The folder that holds the file `secretkey`, which all speakers share, and while it is being
    /// changed the other key in the file `secretkey-also`
    #[arg(long, env = "METALLB_ML_SECRET_KEY_PATH", default_value = "", value_name = "FOLDER")]
    ml_secret_key_path: String,

    #[command(flatten)]
    metrics: kit::metrics_server::Flags,
    #[command(flatten)]
    tls: kit::tls::Flags,
    /// The port /healthz and /readyz are served on, on 127.0.0.1; 0 turns them off
    #[arg(long, default_value_t = 17472, value_name = "PORT")]
    health_probe_port: u16,
    /// How much to log: all, debug, info, warn, error or none
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log_level: String,

    #[command(flatten)]
    ignored: Ignored,
}

/// Flags of MetalLB that have no effect here. Accepted, so that manifests written for it start.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Accepted for MetalLB's sake, without effect")]
struct Ignored {
    /// Deprecated in MetalLB, too
    #[arg(long, env = "METALLB_HOST", hide = true)]
    host: Option<String>,
    /// The mesh finds its own pace
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
          value_parser = goflags::parse_bool)]
    ml_wan_config: Option<bool>,
    /// Profiling is not built in
    #[arg(long, value_name = "ADDRESS")]
    pprof_bind_address: Option<String>,
    /// BGP is not spoken
    #[arg(long, env = "METALLB_BGP_DEBOUNCE_TIMEOUT", value_name = "MS")]
    bgp_debounce_timeout: Option<String>,
    /// BGP is not spoken
    #[arg(long, env = "FRRK8S_NAMESPACE", value_name = "NAMESPACE")]
    frrk8s_namespace: Option<String>,
    /// BGP is not spoken
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true,
          value_parser = goflags::parse_bool)]
    frrk8s_secret_passthrough: Option<bool>,
    /// native, frr or frr-k8s: BGP is not spoken. A variable in MetalLB's manifests, and no flag
    #[arg(long, env = "METALLB_BGP_TYPE", hide = true)]
    bgp_type: Option<String>,
}

/// The checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node.
    pub node: String,
    /// This pod; empty when it runs in none.
    pub pod: String,
    /// Where the configuration objects and the other speakers are.
    pub namespace: String,
    /// The `loadBalancerClass` announced.
    pub class: Option<String>,
    /// The exclude label on nodes does not count.
    pub ignore_exclude_label: bool,
    /// Interfaces never to be used.
    pub exclusions: Exclusions,
    /// The pace on each link.
    pub announcements_per_second: u32,
    /// Answer for a node whose speaker is away.
    pub deputies: bool,
    /// Where state is kept for the next start.
    pub state_dir: Option<PathBuf>,
    /// The mesh, if there is to be one.
    pub mesh: Option<MeshConfig>,
    /// How metrics are served.
    pub metrics: Option<kit::metrics_server::Config>,
    /// Where health is served.
    pub health: Option<SocketAddr>,
    /// How much to log.
    pub log_level: String,
    /// Flags given that have no effect, by name.
    pub without_effect: Vec<&'static str>,
}

/// How to reach the other speakers.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// Where datagrams and connections are received.
    pub bind: SocketAddr,
    /// The label selector of the speaker pods.
    pub labels: String,
    /// Made of what all speakers share.
    pub keys: Keyring,
    /// The folder that they were read from.
    pub key_folder: PathBuf,
}

/// What is wrong with the flags.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag with a value that cannot be.
    #[error("--{flag}: {why}")]
    Flag {
        /// Its name.
        flag: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A file that cannot be used.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The flags about TLS ask for what there is not.
    #[error(transparent)]
    Tls(#[from] kit::tls::SettingsError),
}

impl Args {
    /// Reads the command line, in clap's syntax or Go's; ends the process on `--help` and errors.
    pub fn from_command_line(args: impl IntoIterator<Item = OsString>) -> Self {
        Self::parse_from(goflags::normalise(args))
    }

    /// Checks everything and reads the files that are named.
    ///
    /// # Errors
    /// [`Error`], naming the flag or file.
    pub fn check(self) -> Result<Config, Error> {
        let without_effect = self.ignored.given();
        let exclusions = exclude_file::read(&self.excludel2_file)?;
        let mesh = self.mesh()?;
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, self.health_probe_port));
        Ok(Config {
            node: self.node_name,
            pod: self.pod_name,
            namespace: self.namespace.or_else(kit::client::pod_namespace).ok_or(Error::Flag {
                flag: "namespace",
                why: "is needed outside a pod, or set METALLB_NAMESPACE".to_owned(),
            })?,
            class: Some(self.lb_class).filter(|class| !class.is_empty()),
            ignore_exclude_label: self.ignore_exclude_lb,
            exclusions,
            announcements_per_second: self.announcements_per_second,
            deputies: self.deputies,
            state_dir: (!self.state_dir.is_empty()).then(|| PathBuf::from(&self.state_dir)),
            mesh,
            metrics: self.metrics.config(&self.tls.settings()?),
            health: (self.health_probe_port != 0).then_some(local),
            log_level: self.log_level,
            without_effect,
        })
    }

    fn mesh(&self) -> Result<Option<MeshConfig>, Error> {
        if self.ml_bindaddr.is_empty() || self.ml_labels.is_empty() {
            return Ok(None);
        }
        let address: IpAddr = self.ml_bindaddr.parse().map_err(|_| Error::Flag {
            flag: "ml-bindaddr",
            why: format!("\"{}\" is not an IP address", self.ml_bindaddr),
        })?;
        if address.is_unspecified() || address.is_multicast() {
            return Err(Error::Flag {
                flag: "ml-bindaddr",
                why: format!("other speakers are told to reach this one at {address}, and cannot"),
            });
        }
        if self.ml_secret_key_path.is_empty() {
            return Err(Error::Flag {
                flag: "ml-secret-key-path",
                why: "is needed: speakers do not talk to one another without a key".to_owned(),
            });
        }
        Ok(Some(MeshConfig {
            bind: SocketAddr::new(address, self.ml_bindport),
            labels: self.ml_labels.clone(),
            keys: keys(Path::new(&self.ml_secret_key_path))?,
            key_folder: PathBuf::from(&self.ml_secret_key_path),
        }))
    }
}

/// The keys in this folder.
///
/// # Errors
/// [`Error::File`], which names the file: it cannot be read, or holds less than a key.
pub fn keys(folder: &Path) -> Result<Keyring, Error> {
    let also = folder.join("secretkey-also");
    let also = if also.exists() { Some(key(also)?) } else { None };
    Ok(Keyring::new(key(folder.join("secretkey"))?, also))
}

fn key(path: PathBuf) -> Result<SecretKey, Error> {
    match std::fs::read(&path) {
        Ok(secret) if secret.len() >= 16 => Ok(SecretKey::derive(&secret)),
        Ok(secret) => {
            let why = format!("holds {} bytes; a key has at least 16", secret.len());
            Err(Error::File { path, why })
        }
        Err(error) => Err(Error::File { path, why: error.to_string() }),
    }
}

impl Ignored {
    fn given(&self) -> Vec<&'static str> {
        let Self {
            // Set by every manifest, and deprecated there: not worth a word.
            host: _,
            ml_wan_config,
            pprof_bind_address,
            bgp_debounce_timeout,
            frrk8s_namespace,
            frrk8s_secret_passthrough,
            bgp_type,
        } = self;
        // What every manifest of MetalLB's says that has nothing to do with FRR.
        let bgp_type = bgp_type.clone().filter(|kind| kind != "native");
        let texts = [
            ("pprof-bind-address", pprof_bind_address),
            ("bgp-debounce-timeout", bgp_debounce_timeout),
            ("frrk8s-namespace", frrk8s_namespace),
            ("METALLB_BGP_TYPE", &bgp_type),
        ];
        let bools = [
            ("ml-wan-config", ml_wan_config),
            ("frrk8s-secret-passthrough", frrk8s_secret_passthrough),
        ];
        let texts =
            texts.into_iter().filter(|(_, value)| value.as_ref().is_some_and(|v| !v.is_empty()));
        let bools = bools.into_iter().filter(|(_, value)| **value == Some(true));
        texts.map(|(name, _)| name).chain(bools.map(|(name, _)| name)).collect()
    }
}

#[cfg(test)]
mod tests;
