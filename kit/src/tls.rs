//! What is served over TLS: how it is set, with which certificate, and the server itself. rustls with
//! ring; it reads no file and decides nothing about who may ask.

mod certificate;
mod flags;
mod server;
mod settings;

pub use certificate::{Certificate, CertificateError, self_signed};
pub use flags::Flags;
pub use server::serve;
pub use settings::{ConfigError, HTTP_1, Settings, SettingsError};

#[cfg(test)]
mod tests;
