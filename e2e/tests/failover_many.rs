//! A node with thousands of addresses dies: all are answered again within two seconds, and the
//! announcements keep to their pace.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::cluster::Lab;
use e2e::crowd;
use e2e::scene::ms;

const FAILOVER: Duration = Duration::from_secs(2);

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn hundreds_of_addresses_of_a_dead_node_are_answered_within_two_seconds() -> Result<()> {
    die(300).await
}

/// `make bench-failover` does it with three times as many.
#[tokio::test]
#[ignore = "needs a lab: make test-long"]
async fn a_thousand_addresses_of_a_dead_node_are_answered_within_two_seconds() -> Result<()> {
    die(1_000).await
}

async fn die(addresses: usize) -> Result<()> {
    let lab = Lab::attach()?;
    crowd::with(&lab, addresses, async |crowd| {
        let death = crowd.dies().await?;
        let slowest = death.failover.slowest();
        let (frames, allowed) = (&death.frames, death.allowed);
        eprintln!(
            "{addresses} addresses: the last after {:.0} ms; announcing frames in 100 ms: \
             {frames:?}, allowed {allowed}",
            ms(slowest)
        );
        ensure!(slowest <= FAILOVER, "the last after {:.0} ms", ms(slowest));
        ensure!(frames.values().all(|most| *most <= allowed), "{frames:?}, allowed {allowed}");
        Ok(())
    })
    .await
}
