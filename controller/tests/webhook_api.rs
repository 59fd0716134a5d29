//! The webhook against a fake API server: certificate and trust by its writes, reviews over HTTP.

#![allow(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::support::fake_api::{FakeApi, Write};
use crate::support::reviewing::{EXISTING, POOL, pool, post, post_with, review, start};
use controller::webhook::certs::judge::{Pair, judge};
use controller::webhook::certs::{Material, Wall, bundle, make, names};
use controller::webhook::inject::Behind;
use controller::webhook::keeper::{self, keep};
use http::StatusCode;
use k8s_openapi::ByteString;
use kit::tls::Certificate;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const SECRETS: &str = "/api/v1/namespaces/ns/secrets";
const WEBHOOKS: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
const PATIENCE: Duration = Duration::from_mins(1);

/// A keeper that runs; until when the certificate counts that it serves, 0 for none.
struct Keeping(Arc<AtomicI64>);

impl Keeping {
    fn start(api: &FakeApi) -> Self {
        let settings = keeper::Settings {
            behind: Behind { service: "s".to_owned(), namespace: "ns".to_owned() },
            secret: "cert".to_owned(),
            configuration: "hooks".to_owned(),
        };
        let until = Arc::new(AtomicI64::new(0));
        let (client, told) = (api.client.clone(), Arc::clone(&until));
        tokio::spawn(async move {
            let certificate = Certificate::default();
            let used = |until| told.store(until, Ordering::Relaxed);
            keep(client, settings, &certificate, used, CancellationToken::new()).await;
        });
        Self(until)
    }

    fn serves(&self) -> Wall {
        self.0.load(Ordering::Relaxed)
    }
}

fn configuration(version: &str, text: &str) -> Value {
    let client = json!({
        "caBundle": ByteString(text.as_bytes().to_vec()),
        "service": {"name": "s", "namespace": "ns"},
    });
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hooks", "resourceVersion": version},
        "webhooks": [{
            "name": "a", "clientConfig": client, "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }],
    })
}

fn secret(version: &str, data: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "cert", "namespace": "ns", "resourceVersion": version}, "data": data,
    })
}

fn data(material: &Material) -> Value {
    let encoded = |(key, text): (&str, &str)| (key.to_owned(), json!(ByteString(text.into())));
    Value::Object(material.entries().into_iter().map(encoded).collect())
}

#[expect(clippy::disallowed_methods, reason = "certificates are judged by the time of day")]
fn now() -> Wall {
    jiff::Timestamp::now().as_second()
}

fn made() -> Material {
    make::anew(&names("s", "ns"), now()).unwrap()
}

/// What a Secret that was written is good for.
fn judged(data: &Value) -> Pair {
    let text = |key: &str| serde_json::from_value::<ByteString>(data[key].clone()).unwrap().0;
    let all = ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|key| (key, text(key)));
    let entry = |key: &str| all.iter().find(|(name, _)| *name == key).map(|(_, text)| &text[..]);
    judge(&Material::read(entry).unwrap(), "s.ns.svc", now()).unwrap()
}

fn written_bundle(write: &Write) -> String {
    let text = write.body["webhooks"][0]["clientConfig"]["caBundle"].clone();
    String::from_utf8(serde_json::from_value::<ByteString>(text).unwrap().0).unwrap()
}

async fn next(api: &mut FakeApi) -> Write {
    api.next_write(PATIENCE).await.expect("a write")
}

/// Waits until it serves what counts until then.
async fn serves(keeping: &Keeping, until: Wall) {
    let waited = async {
        while keeping.serves() != until {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_hours(1), waited).await.expect("another certificate");
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_made_published_served_and_then_left_alone() {
    let mut api = FakeApi::new(&[(WEBHOOKS, vec![configuration("5", "")])]);
    let keeping = Keeping::start(&api);
    let write = next(&mut api).await;
    assert_eq!(write.line, format!("POST {SECRETS}"));
    let pair = judged(&write.body["data"]);
    let made = secret("10", &write.body["data"]);
    write.answer(&made);

    let write = next(&mut api).await;
    assert_eq!(write.line, format!("PATCH {WEBHOOKS}/hooks"));
    assert_eq!(write.body["metadata"]["resourceVersion"], "5");
    assert_eq!(write.body["webhooks"][0]["name"], "a");
    let text = written_bundle(&write);
    assert_eq!(bundle::read(text.as_bytes()), [pair.authority]);
    assert_eq!(keeping.serves(), 0, "served before it was trusted");
    write.answer(&configuration("6", &text));
    assert!(api.next_write(Duration::from_hours(30)).await.is_none(), "a write in a steady state");
    serves(&keeping, pair.until).await;

    // A reset, as by an upgrade of the chart, is mended.
    api.put(WEBHOOKS, "MODIFIED", &configuration("7", ""));
    let write = next(&mut api).await;
    assert_eq!(written_bundle(&write), text);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_make_it_at_once_the_loser_takes_what_the_winner_made() {
    let mut api = FakeApi::new(&[]);
    let keeping = Keeping::start(&api);
    let write = next(&mut api).await;
    let winners = data(&made());
    write.fail(StatusCode::CONFLICT);
    // The fake's watch tells only what happens while it is open.
    assert!(api.next_write(Duration::from_millis(100)).await.is_none());
    api.put(SECRETS, "ADDED", &secret("10", &winners));
    assert!(api.next_write(Duration::from_mins(1)).await.is_none(), "it was there already");
    serves(&keeping, judged(&winners).until).await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_secret_is_replaced_in_the_version_that_was_seen() {
    let mut api = FakeApi::new(&[(SECRETS, vec![secret("10", &json!({"tls.crt": "eA=="}))])]);
    let _keeping = Keeping::start(&api);
    let write = next(&mut api).await;
    assert_eq!(write.line, format!("PATCH {SECRETS}/cert"));
    assert_eq!(write.body["metadata"]["resourceVersion"], "10");
    judged(&write.body["data"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_is_served_only_a_while_after_its_authority_is_trusted() {
    let old = made();
    let mut api = FakeApi::new(&[
        (SECRETS, vec![secret("10", &data(&old))]),
        (WEBHOOKS, vec![configuration("5", &old.authority)]),
    ]);
    let keeping = Keeping::start(&api);
    serves(&keeping, judged(&data(&old)).until).await;
    // Another end tells it from the old one.
    let new = make::anew(&names("s", "ns"), now() - 1_000).unwrap();
    let until = judged(&data(&new)).until;
    api.put(SECRETS, "MODIFIED", &secret("11", &data(&new)));
    let write = next(&mut api).await;
    let text = written_bundle(&write);
    assert_eq!(bundle::read(text.as_bytes()).len(), 2, "both are trusted");
    write.answer(&configuration("6", &text));
    assert!(api.next_write(Duration::from_secs(9)).await.is_none());
    assert_ne!(keeping.serves(), until, "too early");
    assert!(api.next_write(Duration::from_secs(2)).await.is_none());
    assert_eq!(keeping.serves(), until);
    let write = api.next_write(Duration::from_hours(2)).await.expect("the old one goes");
    assert_eq!(bundle::read(written_bundle(&write).as_bytes()).len(), 1);
}

#[tokio::test]
async fn reviews_are_answered_by_what_exists_at_that_moment_and_counted() {
    let api = FakeApi::new(&[(EXISTING, vec![pool("odd", "x"), pool("first", "192.0.2.0/25")])]);
    let webhook = start(api.client.clone()).await;
    let address = webhook.address;
    let second = review("IPAddressPool", "ns", &pool("second", "192.0.2.128/25"));
    let (status, body) = post(address, POOL, &second).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["response"]["allowed"]), (200, &json!(true)), "{body}");

    api.put(EXISTING, "ADDED", &pool("third", "192.0.2.192/26"));
    let (_, body) = post(address, POOL, &second).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["response"]["allowed"], false);
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.ends_with("CIDR \"192.0.2.192/26\" of pool \"third\""), "{message}");

    let (status, body) = post(address, POOL, &review("L2Advertisement", "ns", &json!({}))).await;
    assert_eq!((status, &body[..]), (400, "L2Advertisement.metallb.io is not asked about here"));
    assert_eq!(post(address, POOL, "{").await.0, 400);
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(3 << 20));
    assert_eq!(post(address, POOL, &long).await.0, 400);
    assert_eq!(post(address, "/convert", "{").await.0, 400);
    let text = webhook.metrics();
    for (verdict, count) in [("allowed", 1), ("denied", 1), ("malformed", 3)] {
        let line = format!(
            "ferrolb_webhook_reviews_total{{kind=\"IPAddressPool\",verdict=\"{verdict}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

/// The paths stand in the webhooks that MetalLB's chart and manifests make, and in this chart's.
#[tokio::test]
async fn every_kind_is_asked_about_at_metallbs_path_and_nowhere_else() {
    let api = FakeApi::new(&[(EXISTING, Vec::new())]);
    let address = start(api.client.clone()).await.address;
    // Where nothing is served, nobody closes the connection by himself.
    let close = "Connection: close\r\n";
    let post = async |path, body: String| post_with(close, address, path, &body).await;
    for (path, kind) in [
        (POOL, "IPAddressPool"),
        ("/validate-metallb-io-v1beta1-l2advertisement", "L2Advertisement"),
        ("/validate-metallb-io-v1beta1-community", "Community"),
        ("/validate-metallb-io-v1beta1-bgpadvertisement", "BGPAdvertisement"),
        ("/validate-metallb-io-v1beta1-bfdprofile", "BFDProfile"),
        ("/validate-metallb-io-v1beta2-bgppeer", "BGPPeer"),
    ] {
        let (status, body) = post(path, review(kind, "ns", &pool("p", "192.0.2.0/24"))).await;
        assert!(status == 200 && body.contains("\"allowed\":true"), "{path}: {status} {body}");
        assert_eq!(post(path, review("Service", "ns", &json!({}))).await.0, 400, "{path}");
    }
    assert_eq!(post("/validate-metallb-io-v1beta1-bgppeer", "{}".to_owned()).await.0, 404);
}
