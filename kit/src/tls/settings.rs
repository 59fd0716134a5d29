//! MetalLB's three TLS flags, and the configuration of rustls made of them.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, NamedGroup, ProtocolVersion, ServerConfig, SupportedCipherSuite};

use super::Certificate;

/// Curves that Go has by default and we have not: P-521 and the hybrids with ML-KEM. Whoever lists them lists
/// others beside them.
const CURVES_OF_GO: [u16; 4] = [25, 4587, 4588, 4589];

/// Suites of TLS 1.2 that Go knows by name and we do not offer: those without forward secrecy, with CBC,
/// RC4 or 3DES.
const SUITES_OF_GO: [&str; 16] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// The one protocol that [`serve`](super::serve) speaks, by its ALPN name (RFC 7301).
pub const HTTP_1: &str = "http/1.1";

/// What of TLS is offered. By default what MetalLB offers: version 1.3 only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    version_1_2_too: bool,
    /// The suites of TLS 1.2; `None`: all that there are. Those of 1.3 are not for choosing, as in Go.
    suites: Option<Vec<CipherSuite>>,
    /// The best first; empty: all that there are.
    curves: Vec<NamedGroup>,
}

/// What is wrong with the flags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a version of TLS that can be the lowest.
    #[error("--tls-min-version: \"{0}\" is neither VersionTLS12 nor VersionTLS13")]
    Version(String),
    /// The suites of TLS 1.3 are fixed.
    #[error(
        "--tls-cipher-suites: only those of TLS 1.2 can be chosen; add --tls-min-version=VersionTLS12"
    )]
    SuitesOf13,
    /// Not a suite; or all that were given are not offered here.
    #[error("--tls-cipher-suites: \"{name}\" is not supported; supported are {}", supported.join(", "))]
    Suite {
        /// What was given.
        name: String,
        /// What could have been.
        supported: Vec<String>,
    },
    /// Not a curve; or all that were given are not offered here.
    #[error(
        "--tls-curve-preferences: \"{id}\" is not supported; supported are {}",
        supported.join(", ")
    )]
    Curve {
        /// What was given.
        id: String,
        /// What could have been.
        supported: Vec<String>,
    },
}

/// Why settings make no server.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Offered to clients, it would be a promise that [`serve`](super::serve) does not keep.
    #[error("the protocol {0} is not spoken here")]
    Protocol(String),
    /// What is left after the settings is not enough.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
}

impl Settings {
    /// Reads the texts of `--tls-min-version`, `--tls-cipher-suites` and `--tls-curve-preferences`;
    /// each may be empty. Suites are named as Go names them, curves by their numbers (RFC 8446,
    /// 4.2.7), both separated by commas. What Go has and we have not is left out with a warning, so that
    /// MetalLB's settings work, as long as something is left.
    ///
    /// # Errors
    /// [`SettingsError`], naming the flag and, where something is not known, all that is.
    pub fn parse(min_version: &str, suites: &str, curves: &str) -> Result<Self, SettingsError> {
        let version_1_2_too = match min_version {
            "" | "VersionTLS13" => false,
            "VersionTLS12" => true,
            other => return Err(SettingsError::Version(other.to_owned())),
        };
        let suites =
            offered("--tls-cipher-suites", suites, suite, |name| SUITES_OF_GO.contains(&name))?;
        if suites.is_some() && !version_1_2_too {
            return Err(SettingsError::SuitesOf13);
        }
        let is_of_go = |id: &str| id.parse().is_ok_and(|id| CURVES_OF_GO.contains(&id));
        let curves = offered("--tls-curve-preferences", curves, curve, is_of_go)?;
        Ok(Self { version_1_2_too, suites, curves: curves.unwrap_or_default() })
    }

    /// The server's side of TLS: `certificate` is asked at each handshake, clients need none, and
    /// `protocols` (of which [`HTTP_1`] is the only one there is) are offered by ALPN.
    ///
    /// # Errors
    /// [`ConfigError`] for another protocol.
    pub fn server_config(
        &self,
        certificate: Arc<Certificate>,
        protocols: &[&str],
    ) -> Result<ServerConfig, ConfigError> {
        if let Some(unknown) = protocols.iter().find(|name| **name != HTTP_1) {
            return Err(ConfigError::Protocol((*unknown).to_owned()));
        }
        let versions = if self.version_1_2_too { &[&TLS13, &TLS12][..] } else { &[&TLS13][..] };
        let config = ServerConfig::builder_with_provider(Arc::new(self.provider()))
            .with_protocol_versions(versions)
            .map_err(ConfigError::Tls)?;
        let mut config = config.with_no_client_auth().with_cert_resolver(certificate);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(config)
    }

    fn provider(&self) -> CryptoProvider {
        let mut provider = ring::default_provider();
        if let Some(chosen) = &self.suites {
            provider.cipher_suites.retain(|suite| {
                suite.version().version == ProtocolVersion::TLSv1_3
                    || chosen.contains(&suite.suite())
            });
        }
        if !self.curves.is_empty() {
            let groups = provider.kx_groups;
            let group = |curve| groups.iter().find(|group| group.name() == curve).copied();
            provider.kx_groups = self.curves.iter().copied().filter_map(group).collect();
        }
        provider
    }
}

/// The parts of a list with commas.
fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// What `read` makes of the parts of `list`, without those that only Go has; `None`: the list is empty.
fn offered<T>(
    flag: &str,
    list: &str,
    read: impl Fn(&str) -> Result<T, SettingsError>,
    is_of_go: impl Fn(&str) -> bool,
) -> Result<Option<Vec<T>>, SettingsError> {
    let (mut all, mut left_out) = (Vec::new(), None);
    for item in items(list) {
        match read(item) {
            Ok(found) => all.push(found),
            Err(error) if is_of_go(item) => {
                tracing::warn!(flag, item, "not offered here, and left out");
                left_out = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    match left_out {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok((!all.is_empty()).then_some(all)),
    }
}

fn suite(name: &str) -> Result<CipherSuite, SettingsError> {
    let known = || ring::ALL_CIPHER_SUITES.iter().map(SupportedCipherSuite::suite);
    known().find(|suite| go_name(*suite) == name).ok_or_else(|| SettingsError::Suite {
        name: name.to_owned(),
        supported: known().map(go_name).collect(),
    })
}

/// The suite as IANA and Go call it. rustls has its own prefix for those of TLS 1.3.
fn go_name(suite: CipherSuite) -> String {
    let name = suite.as_str().unwrap_or_default();
    name.strip_prefix("TLS13_").map_or_else(|| name.to_owned(), |rest| format!("TLS_{rest}"))
}

fn curve(id: &str) -> Result<NamedGroup, SettingsError> {
    let known = || ring::default_provider().kx_groups.into_iter().map(SupportedKxGroup::name);
    let number = id.parse().ok();
    known().find(|curve| Some(u16::from(*curve)) == number).ok_or_else(|| SettingsError::Curve {
        id: id.to_owned(),
        supported: known().map(|curve| format!("{} ({curve:?})", u16::from(curve))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOSEN: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";

    fn offered(settings: &Settings) -> (Vec<CipherSuite>, Vec<NamedGroup>) {
        let provider = settings.provider();
        let suites = provider.cipher_suites.iter().map(SupportedCipherSuite::suite);
        (suites.collect(), provider.kx_groups.iter().map(|group| group.name()).collect())
    }

    #[test]
    fn nothing_said_means_version_1_3_with_all_there_is() {
        let settings = Settings::parse("", "", "").unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!(settings, Settings::parse("VersionTLS13", "", "").unwrap());
        let all = ring::default_provider();
        let (suites, curves) = offered(&settings);
        assert_eq!((suites.len(), curves.len()), (all.cipher_suites.len(), all.kx_groups.len()));
    }

    #[test]
    fn chosen_suites_are_those_of_1_2_and_all_of_1_3_stay() {
        let list = format!(" {CHOSEN}, TLS_AES_128_GCM_SHA256,");
        let (suites, _) = offered(&Settings::parse("VersionTLS12", &list, "").unwrap());
        let expected = [
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        ];
        assert_eq!(suites, expected);
    }

    #[test]
    fn curves_are_offered_in_the_order_given() {
        let (_, curves) = offered(&Settings::parse("", "", "24, 29").unwrap());
        assert_eq!(curves, [NamedGroup::secp384r1, NamedGroup::X25519]);
    }

    #[test]
    fn what_cannot_be_is_refused_and_what_could_be_is_told() {
        let refused = |min, suites, curves| Settings::parse(min, suites, curves).unwrap_err();
        assert_eq!(refused("1.2", "", ""), SettingsError::Version("1.2".to_owned()));
        assert_eq!(refused("", CHOSEN, ""), SettingsError::SuitesOf13);
        assert_eq!(refused("VersionTLS13", CHOSEN, ""), SettingsError::SuitesOf13);
        let text = refused("VersionTLS12", "TLS_RSA_WITH_AES_128_CBC_SHA", "").to_string();
        assert!(text.contains("TLS_RSA_WITH_AES_128_CBC_SHA"), "{text}");
        assert!(text.contains(CHOSEN) && text.contains("TLS_AES_256_GCM_SHA384"), "{text}");
        for curve in ["25", "4588", "x", "-1"] {
            let text = refused("", "", curve).to_string();
            assert!(text.contains(curve) && text.contains("23 (secp256r1)"), "{text}");
        }
        assert!(refused("", "", "29,7").to_string().contains("\"7\" is not supported"));
    }

    #[test]
    fn what_only_go_has_is_left_out_where_something_else_is_left() {
        let suites = format!("TLS_RSA_WITH_AES_128_CBC_SHA,{CHOSEN}");
        let settings = Settings::parse("VersionTLS12", &suites, "4588,29,25").unwrap();
        assert_eq!(settings, Settings::parse("VersionTLS12", CHOSEN, "29").unwrap());
    }

    #[test]
    fn no_protocol_is_promised_that_is_not_spoken() {
        let certificate = Arc::new(Certificate::default());
        let refused = Settings::default().server_config(certificate, &["h2", HTTP_1]);
        assert_eq!(refused.unwrap_err(), ConfigError::Protocol("h2".to_owned()));
    }
}
