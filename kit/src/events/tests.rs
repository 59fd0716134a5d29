use http::{Request, Response};
use k8s_openapi::api::core::v1::Service;
use kube::client::Body;
use serde_json::Value;
use tower_test::mock;

use super::*;

type Handle = mock::Handle<Request<Body>, Response<Body>>;

async fn answer(handle: &mut Handle) -> (String, Value) {
    let (request, send) = handle.next_request().await.unwrap();
    let line = format!("{} {}", request.method(), request.uri().path());
    let body = request.into_body().collect_bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let object = CoreEvent::default();
    let text = serde_json::to_vec(&object).unwrap();
    send.send_response(Response::new(Body::from(text)));
    (line, body)
}

fn event() -> Event {
    let mut service = Service::default();
    service.metadata.name = Some("web".to_owned());
    service.metadata.namespace = Some("default".to_owned());
    service.metadata.uid = Some("u-1".to_owned());
    service.metadata.resource_version = Some("5".to_owned());
    Event {
        about: about(&service),
        severity: Severity::Normal,
        reason: "IPAllocated",
        message: "Assigned IP [\"192.0.2.1\"]".to_owned(),
    }
}

#[tokio::test]
async fn an_event_shows_its_component_as_its_source_and_a_repetition_is_counted() {
    let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let dropped = IntCounter::new("dropped", "x").unwrap();
    let (recorder, writer) = Recorder::new(client, "metallb-controller", "pod-1", dropped.clone());
    let writer = tokio::spawn(writer);

    recorder.publish(event());
    let (line, body) = answer(&mut handle).await;
    assert!(line.starts_with("POST /api/v1/namespaces/default/events"), "{line}");
    assert_eq!(body["source"], json!({"component": "metallb-controller"}));
    assert_eq!(body["involvedObject"]["kind"], "Service");
    assert_eq!(body["involvedObject"]["apiVersion"], "v1");
    assert_eq!(body["involvedObject"].get("resourceVersion"), None);
    assert_eq!(body["reason"], "IPAllocated");
    assert_eq!(body["message"], "Assigned IP [\"192.0.2.1\"]");
    assert_eq!(body["count"], 1);
    let name = body["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("web."), "{name}");

    recorder.publish(event());
    let (line, body) = answer(&mut handle).await;
    assert_eq!(line, format!("PATCH /api/v1/namespaces/default/events/{name}"));
    assert_eq!((&body["count"], &body["message"]), (&json!(2), &json!(event().message)));

    drop(recorder);
    writer.await.unwrap();
    assert_eq!(dropped.get(), 0);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_counted_without_waiting() {
    let (service, _handle) = mock::pair::<Request<Body>, Response<Body>>();
    let client = Client::new(service, "default");
    let dropped = IntCounter::new("dropped", "x").unwrap();
    let (recorder, _writer) = Recorder::new(client, "metallb-controller", "pod-1", dropped.clone());
    for _ in 0..QUEUE + 3 {
        recorder.publish(event());
    }
    assert_eq!(dropped.get(), 3);
}
