//! MetalLB's flags about metrics, the same for both programs.

use std::path::PathBuf;

use super::Config;
use crate::{admin, tls};

/// To be flattened into a program's arguments.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// The port of /metrics, over TLS, on all addresses; 0 turns it off
    #[arg(long, default_value_t = 9120, value_name = "PORT")]
    port: u16,
    /// The folder with tls.crt and tls.key for /metrics [default: a certificate of its own making]
    #[arg(long, default_value = "", hide_default_value = true, value_name = "FOLDER")]
    metrics_cert_dir: String,
}

impl Flags {
    /// The server they ask for, with these settings of TLS; `None`: there shall be none.
    pub fn config(&self, tls: &tls::Settings) -> Option<Config> {
        let Self { port, metrics_cert_dir } = self;
        (*port != 0).then(|| Config {
            address: admin::everywhere(*port),
            cert_dir: (!metrics_cert_dir.is_empty()).then(|| PathBuf::from(metrics_cert_dir)),
            tls: tls.clone(),
        })
    }
}
