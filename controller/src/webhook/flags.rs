//! The webhook's flags, which are MetalLB's and two of our own.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use kit::goflags::parse_bool;
use kit::tls;

use super::inject::Behind;
use super::{Settings, Source, keeper};

/// How the webhook is served, and whether anything else is done.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Flags {
    /// enabled, disabled, or onlywebhook: then no Service is looked at
    #[arg(long, default_value = "enabled")]
    pub webhook_mode: Mode,

    /// Port of the webhook, on all addresses
    #[arg(long, default_value_t = 9443, value_parser = clap::value_parser!(u16).range(1..))]
    pub webhook_port: u16,

    /// Service in front of the webhook, in the namespace of the configuration
    #[arg(long, default_value = "metallb-webhook-service")]
    pub cert_service_name: String,

    /// Secret with the webhook's certificate, which is made and renewed in it
    #[arg(long, default_value = "metallb-webhook-cert")]
    pub webhook_secret: String,

    /// ValidatingWebhookConfiguration that is told which authority to trust
    #[arg(long, default_value = "metallb-webhook-configuration")]
    pub webhook_configuration: String,

    /// Neither makes certificates nor tells anybody to trust them; reads one from --cert-dir
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", value_parser = parse_bool)]
    pub disable_cert_rotation: bool,

    /// Folder with tls.crt and tls.key, for --disable-cert-rotation
    #[arg(long, default_value = "/tmp/k8s-webhook-server/serving-certs")]
    pub cert_dir: PathBuf,

    /// Accepted for MetalLB's manifests; HTTP/1.1 is spoken in any case
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", value_parser = parse_bool)]
    pub webhook_http2: bool,
}

/// What of the controller runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// All of it.
    Enabled,
    /// All but the webhook.
    Disabled,
    /// The webhook.
    Onlywebhook,
}

impl Flags {
    /// How the webhook is to be served, if it is.
    pub fn settings(&self, namespace: &str, tls: tls::Settings) -> Option<Settings> {
        let kept = || keeper::Settings {
            behind: Behind {
                service: self.cert_service_name.clone(),
                namespace: namespace.to_owned(),
            },
            secret: self.webhook_secret.clone(),
            configuration: self.webhook_configuration.clone(),
        };
        let source = if self.disable_cert_rotation {
            Source::Folder(self.cert_dir.clone())
        } else {
            Source::Kept(kept())
        };
        let address = kit::admin::everywhere(self.webhook_port);
        (self.webhook_mode != Mode::Disabled).then_some(Settings { address, tls, source })
    }
}
