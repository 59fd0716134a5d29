//! What is served over TLS: how it is set, with which certificate, and the server itself. rustls with
//! ring; it decides nothing about who may ask.

mod certificate;
mod flags;
mod follow;
mod server;
mod settings;

pub use certificate::{Certificate, CertificateError, self_signed};
pub use flags::Flags;
pub use follow::follow;
pub use server::{serve, serve_on};
pub use settings::{ConfigError, HTTP_1, Settings, SettingsError};

#[cfg(test)]
mod tests;
