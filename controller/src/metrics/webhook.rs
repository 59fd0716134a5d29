//! The numbers of the webhook, which is also served where nothing else is done.

use prometheus::{Error, IntCounterVec, IntGauge, Opts, Registry};

use super::registered;

/// All series of the webhook.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Reviews, by kind and verdict.
    pub reviews: IntCounterVec,
    /// Denials, by kind and by what is wrong.
    pub denials: IntCounterVec,
    /// Until when the certificate counts, in seconds since 1970; 0: there is none.
    pub certificate_until: IntGauge,
}

impl Metrics {
    /// Makes all series, in `registry`.
    ///
    /// # Errors
    /// When one of them is registered already.
    pub fn new(registry: &Registry) -> Result<Self, Error> {
        let reviews = Opts::new(
            "ferrolb_webhook_reviews_total",
            "Objects that the API server asked about before they were made or changed, by verdict",
        );
        let denials = Opts::new(
            "ferrolb_webhook_denials_total",
            "Objects that were denied, by what is wrong with them; each fault counts once",
        );
        let certificate_until = IntGauge::new(
            "ferrolb_webhook_certificate_expiry_timestamp_seconds",
            "When the certificate that the webhook is served with expires; 0 without one",
        )?;
        Ok(Self {
            reviews: registered(registry, IntCounterVec::new(reviews, &["kind", "verdict"])?)?,
            denials: registered(registry, IntCounterVec::new(denials, &["kind", "reason"])?)?,
            certificate_until: registered(registry, certificate_until)?,
        })
    }
}
