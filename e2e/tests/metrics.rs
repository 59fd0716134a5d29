//! Metrics: over TLS, for those who may read them, also while the API server is away.

use anyhow::{Result, ensure};
use e2e::cluster::Lab;
use e2e::fault;
use e2e::scrape::{Reader, Target, value};
use e2e::temp_ns::TempNamespace;
use e2e::wait::{Look, SOON, until};

const SERVED: &str = "ferrolb_metrics_requests_total{outcome=\"served\"}";

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn metrics_are_for_those_whom_the_cluster_lets_read_them() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "metrics", async |space| {
        let allowed = Reader::allowed(space, "allowed").await?;
        let other = Reader::without_rights(space, "other")?;
        let speaker = Target::speaker(&lab.nodes()[0]);
        for target in [speaker, Target::controller(&lab)?, Target::webhook(&lab)?] {
            let text = allowed.scrape(&target)?;
            ensure!(value(&text, SERVED).is_some_and(|count| count >= 1.0), "{target:?}: {text}");
            let memory = value(&text, "process_resident_memory_bytes");
            ensure!(memory.is_some_and(|bytes| bytes > 1e6), "{target:?}: {text}");
            for (token, expected) in [(None, 401), (Some("x.y.z"), 401), (Some(other.token()), 403)]
            {
                let (status, body) = target.ask(token)?;
                ensure!(status == expected, "{target:?}: {status}, not {expected}: {body}");
                ensure!(!body.contains("ferrolb_"), "{target:?} tells with {status}: {body}");
            }
        }
        Ok(())
    })
    .await
}

/// Both containers of a controller serve the webhook and count; only one of them has a configuration.
#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn the_webhooks_container_shows_what_concerns_the_webhook_and_nothing_else() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "metrics-webhook", async |space| {
        let reader = Reader::allowed(space, "reader").await?;
        for (target, has_configuration) in
            [(Target::controller(&lab)?, true), (Target::webhook(&lab)?, false)]
        {
            let text = reader.scrape(&target)?;
            let until = value(&text, "ferrolb_webhook_certificate_expiry_timestamp_seconds");
            ensure!(until.is_some_and(|until| until > 0.0), "{target:?}: {text}");
            let loaded = value(&text, "metallb_k8s_client_config_loaded_bool");
            ensure!(loaded.is_some() == has_configuration, "{target:?}: {text}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn who_was_let_in_is_let_in_while_the_api_server_is_away() -> Result<()> {
    let lab = Lab::attach()?;
    TempNamespace::with(&lab, "metrics-away", async |space| {
        let known = Reader::allowed(space, "known").await?;
        let new = Reader::allowed(space, "new").await?;
        let speaker = Target::speaker(&lab.nodes()[0]);
        known.scrape(&speaker)?;
        let away = fault::stop_api_server(&lab)?;
        let (asked, scraped) = (speaker.ask(Some(new.token())), known.scrape(&speaker));
        drop(away);
        let ((status, body), _text) = (asked?, scraped?);
        ensure!(status == 500, "asked by a stranger: {status}: {body}");
        until(SOON, "the stranger to be let in, too", async || {
            Ok(Look::Seen(new.scrape(&speaker)?))
        })
        .await?;
        Ok(())
    })
    .await
}
