//! A speaker dies or hangs while its node lives: clients keep the MAC they know.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::fault;
use e2e::scene::{self, Scene, ms, trial};
use e2e::speakers;

const ADDRESSES: usize = 12;
/// How long the kubelet lets a container wait that died three times.
const BACK_OFF: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_killed_speaker_costs_a_fifth_of_a_second_however_long_it_stays_away() -> Result<()> {
    Scene::with("killed", ADDRESSES, async |scene| {
        // Pods that have not died yet: the first death costs no back-off, the second 10 s of it.
        speakers::roll_out(scene.lab)?;
        scene.settle().await?;
        let holder = scene.busiest()?;
        trial::agent_dies(scene, &holder).await?;
        trial::agent_dies(scene, &holder).await?;
        let away = trial::agent_dies(scene, &holder).await?;
        ensure!(away >= BACK_OFF, "the speaker was away for {away:.1?} only");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs a lab: make e2e"]
async fn a_speaker_that_hangs_and_wakes_up_does_not_answer_beside_another() -> Result<()> {
    Scene::with("hung", ADDRESSES, async |scene| {
        let holder = scene.busiest()?;
        let hung = scene.now();
        let fault = fault::hang_agent(&holder.node)?;
        scene.look_on(Duration::from_secs(10)).await?;
        let while_hung = scene::longest_gap(&scene.since(hung));
        eprintln!("{} hung for 10 s: unanswered for {:.0} ms", holder.node.name, ms(while_hung));
        fault.heal()?;
        scene.look_on(Duration::from_secs(5)).await?;
        scene.settle().await?;
        let trace = scene.judged(hung)?;
        scene.ensure_unmoved(&trace, &BTreeSet::new())?;
        scene::ensure_one_answerer(&trace, trial::OVERLAP)?;
        // Whether it is dead or slow is not known as soon as with a killed one.
        ensure!(while_hung <= Duration::from_secs(1), "unanswered for {:.0} ms", ms(while_hung));
        Ok(())
    })
    .await
}
