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
        for target in [Target::speaker(&lab.nodes()[0]), Target::controller(&lab)?] {
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
