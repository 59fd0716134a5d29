//! The loop around `certs::rotation`: sees the Secret and the places where trust is written, and does
//! what is to be done about them. Every replica runs it. Each write is bound to the version it was
//! decided on, so of several replicas that decide the same at once one writes, and the others then see
//! what it wrote.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kit::feed::feed;
use kit::tls::Certificate;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::certs::judge::{Flaw, judge};
use super::certs::rotation::{self, Act, Rotation, Sight};
use super::certs::{Authority, Material, Wall, make, names};
use super::inject::{self, Behind, CONVERTED, Place};
use crate::lease::fence::Clock;

mod sight;

use sight::Seen;

/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// The pause after somebody else was faster; what they wrote is usually seen before.
const LOST: Duration = Duration::from_secs(1);

/// How often things are done and looked at again without a pause: more than any change needs.
const TURNS: usize = 8;

/// What is kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The Service in front, in whose namespace the Secret is.
    pub behind: Behind,
    /// The Secret's name.
    pub secret: String,
    /// The ValidatingWebhookConfiguration's name.
    pub configuration: String,
}

/// The objects that trust is written into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Webhooks,
    Conversion,
}

struct Keeper<'a, Used> {
    client: Client,
    settings: Settings,
    names: [String; 3],
    certificate: &'a Certificate,
    used: Used,
    clock: Clock,
    rotation: Rotation,
    /// No write before this time, since one failed.
    not_before: Duration,
    secret: Seen,
    webhooks: Option<Place>,
    conversion: Option<Place>,
}

/// Keeps Secret, trust and `certificate` in order until `stop`; tells of each certificate that is
/// served until when it counts.
pub async fn keep(
    client: Client,
    settings: Settings,
    certificate: &Certificate,
    used: impl Fn(Wall),
    stop: CancellationToken,
) {
    let only = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
    let secrets = Api::namespaced(client.clone(), &settings.behind.namespace);
    let mut secrets = pin!(feed(secrets, only(&settings.secret), |_: &mut Secret| ()));
    let webhooks = Api::all(client.clone());
    let nothing = |_: &mut ValidatingWebhookConfiguration| ();
    let mut webhooks = pin!(feed(webhooks, only(&settings.configuration), nothing));
    let definitions = Api::all(client.clone());
    let strip = |definition: &mut CustomResourceDefinition| definition.spec.versions.clear();
    let mut definitions = pin!(feed(definitions, only(CONVERTED), strip));
    let mut keeper = Keeper {
        names: names(&settings.behind.service, &settings.behind.namespace),
        client,
        settings,
        certificate,
        used,
        clock: Clock::start(),
        rotation: Rotation::default(),
        not_before: Duration::ZERO,
        secret: Seen::Unknown,
        webhooks: None,
        conversion: None,
    };
    loop {
        let wait = keeper.turns().await;
        tokio::select! {
            () = stop.cancelled() => return,
            Some(change) = secrets.next() => keeper.secret.take(&change),
            Some(change) = webhooks.next() => {
                let behind = keeper.settings.behind.clone();
                sight::take(&mut keeper.webhooks, &change, |object| inject::webhooks(object, &behind));
            }
            Some(change) = definitions.next() => {
                let behind = keeper.settings.behind.clone();
                sight::take(&mut keeper.conversion, &change, |object| inject::conversion(object, &behind));
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Why something was not done, and in how long it is tried again.
struct Failed(Duration);

impl<Used: Fn(Wall)> Keeper<'_, Used> {
    /// Does what is to be done, and says in how long to look again.
    async fn turns(&mut self) -> Duration {
        let pause = self.not_before.saturating_sub(self.clock.elapsed());
        if !pause.is_zero() {
            return pause;
        }
        for _ in 0..TURNS {
            let (acts, wait) = self.step();
            if acts.is_empty() {
                return wait;
            }
            // One that fails holds up no other: what cannot be published may have to be served.
            let mut failed: Option<Duration> = None;
            for act in acts {
                if let Err(Failed(pause)) = self.act(act).await {
                    failed = failed.max(Some(pause));
                }
            }
            if let Some(pause) = failed {
                self.not_before = self.clock.elapsed() + pause;
                return pause;
            }
        }
        tracing::warn!("the webhook's certificate comes to no rest");
        PAUSE
    }

    fn step(&mut self) -> (Vec<Act<At>>, Duration) {
        let wall = wall();
        let secret = match (&self.secret, self.judged(wall)) {
            (Seen::Unknown, _) => rotation::Secret::Unknown,
            (_, Ok(pair)) => rotation::Secret::Good(pair),
            (_, Err(_)) => rotation::Secret::Useless,
        };
        let trusted = |place: &Option<Place>| {
            let place = place.as_ref()?;
            Some(place.entries.iter().map(|(_, trusted)| trusted.clone()).collect())
        };
        let places =
            [(At::Webhooks, trusted(&self.webhooks)), (At::Conversion, trusted(&self.conversion))];
        let now = self.clock.elapsed();
        self.rotation.step(&Sight { secret: &secret, places: &places, wall, now })
    }

    fn judged(&self, wall: Wall) -> Result<super::certs::judge::Pair, Flaw> {
        match &self.secret {
            Seen::There(_, Some(material)) => judge(material, &self.names[0], wall),
            Seen::Unknown | Seen::Absent | Seen::There(..) => Err(Flaw::Incomplete),
        }
    }

    async fn act(&mut self, act: Act<At>) -> Result<(), Failed> {
        match act {
            Act::Make => {
                if let (Seen::There(_, Some(_)), Err(flaw)) = (&self.secret, self.judged(wall())) {
                    tracing::warn!(secret = self.settings.secret, error = %flaw, "not to be served");
                }
                let made = made(make::anew(&self.names, wall()))?;
                self.write_secret(&made, "a new authority and certificate").await
            }
            Act::Renew => {
                let Seen::There(_, Some(old)) = &self.secret else {
                    return Ok(());
                };
                let made = made(make::renewed(old, &self.names, wall()))?;
                self.write_secret(&made, "a new certificate").await
            }
            Act::Publish(at, authorities) => self.publish(at, &authorities).await,
            Act::Serve(pair) => {
                let replaced =
                    self.certificate.replace(pair.certificate.as_bytes(), pair.key.as_bytes());
                if let Err(error) = replaced {
                    tracing::error!(%error, "webhook certificate");
                    return Err(Failed(PAUSE));
                }
                let until = Timestamp::from_second(pair.until).unwrap_or_default();
                tracing::info!(secret = self.settings.secret, %until, "webhook certificate served");
                (self.used)(pair.until);
                self.rotation.served(pair);
                Ok(())
            }
        }
    }

    async fn write_secret(&mut self, material: &Material, what: &str) -> Result<(), Failed> {
        let api: Api<Secret> =
            Api::namespaced(self.client.clone(), &self.settings.behind.namespace);
        let encoded =
            |(key, text): (&str, &str)| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
        let data: BTreeMap<_, _> = material.entries().into_iter().map(encoded).collect();
        let name = &self.settings.secret;
        let written = match &self.secret {
            Seen::There(version, _) => {
                let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
                api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
            }
            Seen::Unknown | Seen::Absent => {
                let secret = Secret {
                    metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
                    data: Some(data),
                    ..Secret::default()
                };
                api.create(&PostParams::default(), &secret).await
            }
        };
        let written = written.map_err(|error| failed(&error, name))?;
        tracing::info!(secret = name, "{what} in the webhook's Secret");
        self.secret = Seen::of(&written);
        Ok(())
    }

    async fn publish(&mut self, at: At, authorities: &[Authority]) -> Result<(), Failed> {
        let (client, params) = (self.client.clone(), PatchParams::default());
        let name = match at {
            At::Webhooks => {
                let place = self.webhooks.clone().unwrap_or_default();
                let name = self.settings.configuration.as_str();
                let patch = Patch::Strategic(inject::webhooks_patch(&place, authorities));
                let api: Api<ValidatingWebhookConfiguration> = Api::all(client);
                let written = api.patch(name, &params, &patch).await;
                let written = written.map_err(|error| failed(&error, name))?;
                self.webhooks = Some(inject::webhooks(&written, &self.settings.behind));
                name
            }
            At::Conversion => {
                let place = self.conversion.clone().unwrap_or_default();
                let patch = Patch::Merge(inject::conversion_patch(&place, authorities));
                let api: Api<CustomResourceDefinition> = Api::all(client);
                let written = api.patch(CONVERTED, &params, &patch).await;
                let written = written.map_err(|error| failed(&error, CONVERTED))?;
                self.conversion = Some(inject::conversion(&written, &self.settings.behind));
                CONVERTED
            }
        };
        tracing::info!(name, authorities = authorities.len(), "caBundle written");
        Ok(())
    }
}

fn made(made: Result<Material, rcgen::Error>) -> Result<Material, Failed> {
    made.map_err(|error| {
        tracing::error!(%error, "no certificate for the webhook can be made");
        Failed(PAUSE)
    })
}

fn failed(error: &kube::Error, name: &str) -> Failed {
    let is_lost = matches!(error, kube::Error::Api(status) if status.code == 409);
    let error = kit::client::brief(error);
    if is_lost {
        tracing::debug!(name, error, "somebody else was faster");
        return Failed(LOST);
    }
    tracing::warn!(name, error, "not written, trying again");
    Failed(PAUSE)
}

#[expect(clippy::disallowed_methods, reason = "certificates count by the time of day")]
fn wall() -> Wall {
    Timestamp::now().as_second()
}
