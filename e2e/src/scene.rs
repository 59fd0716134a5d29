//! Where every test of a fault begins: announced addresses with an observer on all of them, one
//! steady answerer for each. And what is asked of every trace afterwards.

pub mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Lab;
use crate::config::Config;
use crate::fault::Fault;
use crate::many::{self, Batch};
use crate::observer::{INTERVAL, Mac, Observer};
use crate::plan::Node;
use crate::temp_ns::TempNamespace;
use crate::trace::Trace;
use crate::wait::{Look, until};

/// How long nothing may have changed before a fault is made.
pub const QUIET: Duration = Duration::from_secs(2);
/// How long what a fault stirs up may take to lie down.
pub const SETTLED: Duration = Duration::from_mins(1);
/// kubectl deletes so many Services one after the other without anybody noticing.
const A_FEW: usize = 100;
/// An observer that was this late makes no statement about times of tens of milliseconds.
const LATE: Duration = Duration::from_millis(50);

/// The addresses of [`Scene::with`].
const POOL: &str = "172.17.255.100-172.17.255.199";
const POOL6: &str = "fd17:255::100-fd17:255::1ff";

/// Announced addresses, watched.
pub struct Scene<'a> {
    pub lab: &'a Lab,
    pub space: &'a TempNamespace,
    pub client: kube::Client,
    pub observer: Observer,
    pub addresses: Vec<IpAddr>,
}

/// A node, and the addresses it answers for.
#[derive(Debug, Clone)]
pub struct Holder {
    pub node: Node,
    pub mac: Mac,
    pub owned: BTreeSet<IpAddr>,
}

/// A node's death as the segment saw it.
#[derive(Debug, Clone)]
pub struct Failover {
    /// When it was cut off, on the trace's clock.
    pub at: Duration,
    /// For each of its addresses, how long it took until another node answered.
    pub after: BTreeMap<IpAddr, Duration>,
}

impl Failover {
    pub fn slowest(&self) -> Duration {
        self.after.values().max().copied().unwrap_or_default()
    }
}

impl Scene<'_> {
    /// Runs `body` with the addresses of so many Services, all quiet.
    pub async fn with(
        test: &str,
        services: impl Into<Batch>,
        body: impl AsyncFnOnce(&Scene<'_>) -> Result<()>,
    ) -> Result<()> {
        let services = services.into();
        let lab = Lab::attach()?;
        let _config = Config::pool(&lab, "scene", &services.families.pool(POOL, POOL6))?;
        Self::within(&lab, test, services, INTERVAL, body).await
    }

    /// The same with pools and advertisements that the caller has made.
    pub async fn within(
        lab: &Lab,
        test: &str,
        services: impl Into<Batch>,
        interval: Duration,
        body: impl AsyncFnOnce(&Scene<'_>) -> Result<()>,
    ) -> Result<()> {
        let services = services.into();
        let count = services.count;
        TempNamespace::with(lab, test, async |space| {
            let client = lab.kube_client().await?;
            let deadline = SETTLED * 5;
            let watch = many::watch_assigned(client.clone(), space.name.clone(), count, deadline);
            let (assigned, made) =
                tokio::join!(watch, many::create(&client, &space.name, services));
            made?;
            let addresses: Vec<IpAddr> = assigned?.addresses().collect();
            let scene = Scene::of(lab, space, addresses, interval).await?;
            let result = scene.play(body).await;
            if count > A_FEW {
                // What the namespace does when it goes would take minutes.
                many::delete(&client, &space.name).await?;
            }
            result
        })
        .await
    }

    /// Watches these addresses; returns when all are quiet.
    pub async fn of<'a>(
        lab: &'a Lab,
        space: &'a TempNamespace,
        addresses: Vec<IpAddr>,
        interval: Duration,
    ) -> Result<Scene<'a>> {
        let observer = Observer::watch_every(lab, &addresses, interval)?;
        let client = lab.kube_client().await?;
        let scene = Scene { lab, space, client, observer, addresses };
        scene.settle().await?;
        Ok(scene)
    }

    /// Runs `body`; when it fails, the observer tells what it saw.
    pub async fn play(self, body: impl AsyncFnOnce(&Scene<'_>) -> Result<()>) -> Result<()> {
        body(&self).await?;
        self.observer.finish().map(drop)
    }

    /// Waits until every address has one steady answerer.
    pub async fn settle(&self) -> Result<()> {
        self.observer.settle(QUIET, SETTLED).await
    }

    /// Now, on the trace's clock.
    pub fn now(&self) -> Duration {
        self.observer.now()
    }

    /// Looks on for this long: what a test states about a time must be watched for that time.
    pub async fn look_on(&self, time: Duration) -> Result<()> {
        let begun = self.now();
        until(time * 2 + SETTLED, "the end of the observation", async || {
            let passed = self.now().saturating_sub(begun);
            Ok(Look::when((passed >= time).then_some(()), || format!("{passed:?}")))
        })
        .await
    }

    /// What was seen since then.
    pub fn since(&self, at: Duration) -> Trace {
        self.observer.peek(|trace| trace.since(at))
    }

    /// What was seen since then, if the observer itself kept up: else nothing can be said about
    /// tens of milliseconds.
    pub fn judged(&self, at: Duration) -> Result<Trace> {
        self.judged_to(LATE, at)
    }

    /// The same where no more is to be said than about times as long as `precision`.
    pub fn judged_to(&self, precision: Duration, at: Duration) -> Result<Trace> {
        let trace = self.since(at);
        let good = kept_up_to(precision, &trace);
        ensure!(good, "the machine was too busy to judge this trace\n{trace}");
        Ok(trace)
    }

    /// Who answered last for each address.
    pub fn owners(&self) -> BTreeMap<IpAddr, Mac> {
        self.observer
            .peek(|trace| trace.answers.iter().map(|answer| (answer.ip, answer.mac)).collect())
    }

    /// Every node, and what it answers for.
    pub fn holders(&self) -> Result<Vec<Holder>> {
        let owners = self.owners();
        let of = |node: &Node| -> Result<Holder> {
            let mac: Mac = node.mac.parse()?;
            let owned = owners.iter().filter(|(_, owner)| **owner == mac).map(|(ip, _)| *ip);
            Ok(Holder { node: node.clone(), mac, owned: owned.collect() })
        };
        self.lab.nodes().iter().map(of).collect()
    }

    /// The node that answers for most addresses.
    pub fn busiest(&self) -> Result<Holder> {
        self.busiest_where(|_| true)
    }

    /// The same among the nodes that `fit`.
    pub fn busiest_where(&self, fits: impl Fn(&Node) -> bool) -> Result<Holder> {
        let holders = self.holders()?.into_iter().filter(|holder| fits(&holder.node));
        let busiest = holders.max_by_key(|holder| holder.owned.len());
        busiest.filter(|holder| !holder.owned.is_empty()).context("none answers for anything")
    }

    /// Difference between the busiest and the idlest node.
    pub fn spread(&self) -> Result<usize> {
        let holders = self.holders()?;
        let counts = || holders.iter().map(|holder| holder.owned.len());
        Ok(counts().max().unwrap_or_default() - counts().min().unwrap_or_default())
    }

    /// Cuts a node off and waits until others answer for all its addresses. It stays cut off until
    /// the fault is healed.
    pub async fn fail_over(
        &self,
        dead: &Holder,
        cut: impl FnOnce(&Node) -> Result<Fault>,
    ) -> Result<(Failover, Fault)> {
        let at = self.now();
        let fault = cut(&dead.node)?;
        let after = until(SETTLED, "others to answer for all addresses", async || {
            let after = self.taken_over(dead, at);
            let (seen, all) = (after.len(), dead.owned.len());
            Ok(Look::when((seen == all).then_some(after), || format!("{seen} of {all}")))
        })
        .await?;
        Ok((Failover { at, after }, fault))
    }

    /// How long after `at` another node answered for each address of a dead one, if one did.
    fn taken_over(&self, dead: &Holder, at: Duration) -> BTreeMap<IpAddr, Duration> {
        let mut after = BTreeMap::new();
        self.observer.peek(|trace| {
            let first = trace.answers.partition_point(|answer| answer.at <= at);
            for answer in &trace.answers[first..] {
                if answer.mac != dead.mac && dead.owned.contains(&answer.ip) {
                    after.entry(answer.ip).or_insert(answer.at.saturating_sub(at));
                }
            }
        });
        after
    }

    /// No address but these has another answerer than before.
    pub fn ensure_unmoved(&self, trace: &Trace, except: &BTreeSet<IpAddr>) -> Result<()> {
        for ip in self.addresses.iter().filter(|ip| !except.contains(ip)) {
            let changes = trace.changes(*ip);
            ensure!(changes.is_empty(), "{ip} moved: {changes:?}");
        }
        Ok(())
    }

    /// All addresses of a Service went the same way, and are at one node.
    pub async fn ensure_together(&self, trace: &Trace) -> Result<()> {
        for (name, addresses) in many::addresses(&self.client, &self.space.name).await? {
            let way = |ip: &IpAddr| {
                let moves: Vec<Mac> = trace.moves(*ip).iter().map(|it| it.to).collect();
                (moves, trace.owner_at(*ip, trace.end))
            };
            let ways: BTreeSet<_> = addresses.iter().map(way).collect();
            ensure!(ways.len() == 1, "{name} with {addresses:?} went {ways:?}\n{trace}");
        }
        Ok(())
    }
}

/// Whether the observer was on time.
pub fn kept_up(trace: &Trace) -> bool {
    kept_up_to(LATE, trace)
}

fn kept_up_to(precision: Duration, trace: &Trace) -> bool {
    trace.lag() <= precision.max(trace.interval) && trace.skipped() * 50 <= trace.asks.len()
}

/// No address was answered by two for longer than this; each such ask counts as one interval.
pub fn ensure_one_answerer(trace: &Trace, at_most: Duration) -> Result<()> {
    for ip in &trace.addresses {
        for rivalry in trace.rivalries(*ip).iter().filter(|rivalry| rivalry.sure > 0) {
            let length = rivalry.length(trace.interval);
            ensure!(length <= at_most, "{ip} was answered by several: {rivalry:?}");
        }
    }
    Ok(())
}

/// No address went unanswered for longer than this.
pub fn ensure_answered(trace: &Trace, at_most: Duration) -> Result<()> {
    let longest = longest_gap(trace);
    ensure!(longest <= at_most, "an address went unanswered for {:.1} ms", ms(longest));
    Ok(())
}

/// No address went unanswered twice in a row. An answer that came late, since the machine was busy,
/// is one.
pub fn ensure_no_two_unanswered(trace: &Trace) -> Result<()> {
    for ip in &trace.addresses {
        let unanswered = trace.unanswered(*ip);
        let next = |ask: &Duration| trace.asks.iter().find(|next| *next > ask);
        let two = unanswered.windows(2).find(|pair| next(&pair[0]) == Some(&pair[1]));
        ensure!(two.is_none(), "{ip} went unanswered: {two:?}\n{:?}", trace.gaps(*ip));
    }
    Ok(())
}

pub fn longest_gap(trace: &Trace) -> Duration {
    let gaps = trace.addresses.iter().map(|ip| trace.longest_gap(*ip).length());
    gaps.max().unwrap_or_default()
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
