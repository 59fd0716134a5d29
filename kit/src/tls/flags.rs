//! MetalLB's TLS flags, the same for both programs and for everything a program serves over TLS.

use super::{Settings, SettingsError};

/// To be flattened into a program's arguments.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// The lowest version of TLS to speak: VersionTLS12 or VersionTLS13 [default: VersionTLS13]
    #[arg(
        long = "tls-min-version",
        default_value = "",
        hide_default_value = true,
        value_name = "VERSION"
    )]
    min_version: String,
    /// The cipher suites of TLS 1.2 to offer, separated by commas [default: all]
    #[arg(
        long = "tls-cipher-suites",
        default_value = "",
        hide_default_value = true,
        value_name = "SUITES"
    )]
    cipher_suites: String,
    /// The curves to offer, the best first: 23, 24 or 29, separated by commas [default: all]
    #[arg(
        long = "tls-curve-preferences",
        default_value = "",
        hide_default_value = true,
        value_name = "CURVES"
    )]
    curve_preferences: String,
}

impl Flags {
    /// What they ask for.
    ///
    /// # Errors
    /// [`SettingsError`], naming the flag.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        let Self { min_version, cipher_suites, curve_preferences } = self;
        Settings::parse(min_version, cipher_suites, curve_preferences)
    }
}
