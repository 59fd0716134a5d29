//! Services by the hundred at once, then nothing at all: how fast, and at what cost to the API server.
//! With LONG=1 nothing at all lasts a minute, and the figures go to `target/bench/scale.json`, from
//! which `docs/performance.md` is made.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::cluster::Lab;
use e2e::config::Config;
use e2e::many;
use e2e::temp_ns::TempNamespace;
use e2e::usage::{self, Usage};
use e2e::wait::{Look, until};
use e2e::writes::{Writes, quiet};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_mins(1);
/// The test `idle` looks on for a minute each time.
const A_MOMENT: Duration = Duration::from_secs(5);

fn is_long() -> bool {
    std::env::var_os("LONG").is_some()
}

/// What came in a time in which nobody did anything, and what our programs used.
async fn idle(lab: &Lab) -> Result<(Writes, Value)> {
    let time = if is_long() { MINUTE } else { A_MOMENT };
    let begun = Instant::now();
    let (before, usage_before) = (Writes::now(lab)?, usages()?);
    until(2 * MINUTE, "the end of the observation", async || {
        let passed = begun.elapsed();
        Ok(Look::when((passed >= time).then_some(()), || format!("{passed:?}")))
    })
    .await?;
    let writes = Writes::now(lab)?.since(&before);
    let mut programs = serde_json::Map::new();
    for ((name, old), (_, new)) in usage_before.iter().zip(usages()?) {
        let pair = |(old, new): (&Usage, &Usage)| json!({"cpu_s": (new.processor.saturating_sub(old.processor)).as_secs_f64(), "rss_bytes": new.resident});
        programs.insert((*name).to_owned(), old.iter().zip(&new).map(pair).collect());
    }
    Ok((writes, Value::Object(programs)))
}

fn usages() -> Result<Vec<(&'static str, Vec<Usage>)>> {
    let of =
        |name| Ok((name, usage::programs(name).into_iter().map(usage::of).collect::<Result<_>>()?));
    ["controller", "speaker"].into_iter().map(of).collect()
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn hundreds_of_services_get_addresses_at_once_and_then_nothing_is_written() -> Result<()> {
    at_once(300).await
}

#[tokio::test]
#[ignore = "needs a lab: make test-long"]
async fn a_thousand_services_get_addresses_at_once_and_then_nothing_is_written() -> Result<()> {
    at_once(1_000).await
}

async fn at_once(services: usize) -> Result<()> {
    let lab = Lab::attach()?;
    let _config = Config::pool(&lab, "scale", "172.17.240.0/21")?;
    TempNamespace::with(&lab, "scale", async |space| {
        let client = lab.kube_client().await?;
        many::create(&client, &space.name, 1).await?;
        many::watch_assigned(client.clone(), space.name.clone(), 1, MINUTE).await?;
        quiet(&lab).await?;
        let (_, with_one) = idle(&lab).await?;
        space.kubectl(&["delete", "service,endpointslice", "--all"])?;
        quiet(&lab).await?;

        let before = Writes::now(&lab)?;
        let (begun, usage_before) = (Instant::now(), usages()?);
        let watch = many::watch_assigned(client.clone(), space.name.clone(), services, 3 * MINUTE);
        let watch = tokio::spawn(watch);
        let last_made = many::create(&client, &space.name, services).await?;
        let assigned = watch.await??;
        let last = assigned.last().context("none")?;
        quiet(&lab).await?;
        let burst = Writes::now(&lab)?.since(&before);
        let after_last = last.saturating_duration_since(last_made);
        eprintln!(
            "{services} Services: made in {:.1} s, the last address {:.2} s after",
            seconds(last_made - begun),
            seconds(after_last)
        );
        eprintln!("writes: {burst}");
        let cost: Vec<Value> = usage_before
            .iter()
            .zip(usages()?)
            .map(|((name, old), (_, new))| {
                let spent = old
                    .iter()
                    .zip(&new)
                    .map(|(old, new)| seconds(new.processor.saturating_sub(old.processor)));
                json!({"program": name, "cpu_s": spent.collect::<Vec<_>>()})
            })
            .collect();

        let (in_rest, with_many) = idle(&lab).await?;
        eprintln!("idle: {} writes ({in_rest})", in_rest.total());

        let before = Writes::now(&lab)?;
        lab.kubectl(&[
            "-n",
            "metallb-system",
            "rollout",
            "restart",
            "deployment/ferrolb-controller",
        ])?;
        lab.kubectl(&[
            "-n",
            "metallb-system",
            "rollout",
            "status",
            "deployment/ferrolb-controller",
            "--timeout=120s",
        ])?;
        quiet(&lab).await?;
        let restart = Writes::now(&lab)?.since(&before);
        eprintln!("controller restart: {restart}");

        if is_long() {
            let figures = json!({
                "services": services,
                "created_s": seconds(last_made - begun),
                "last_address_after_last_creation_s": seconds(after_last),
                "status_writes": burst.to("services/status"),
                "burst": burst.to_string(),
                "burst_cost": cost,
                "idle_writes": in_rest.total(),
                "restart": restart.to_string(),
                "with_1": with_one,
                "with_1000": with_many,
            });
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");
            std::fs::create_dir_all(folder)?;
            std::fs::write(
                format!("{folder}/scale.json"),
                serde_json::to_string_pretty(&figures)?,
            )?;
        }

        ensure!(assigned.given_twice().is_empty(), "given twice: {:?}", assigned.given_twice());
        ensure!(assigned.changed.is_empty(), "changed: {:?}", assigned.changed);
        ensure!(after_last <= Duration::from_secs(2), "the last address came after {after_last:?}");
        let status = burst.to("services/status");
        ensure!(status == services as u64, "{status} status writes for {services} Services");
        ensure!(in_rest.total() == 0, "while nothing happened: {in_rest}");
        ensure!(restart.to("services/status") == 0, "a restart wrote to Services: {restart}");
        many::delete(&client, &space.name).await
    })
    .await
}
