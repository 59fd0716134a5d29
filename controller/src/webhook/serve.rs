//! The webhook's HTTP side: paths, bounds, and the answers. What is answered, `review` and `convert`
//! say.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use crds::model::compile::Resources;
use serde_json::Value;

use super::convert::convert;
use super::existing::Existing;
use super::question::{self, Question};
use super::review::{self, Subject, Verdict};
use crate::metrics::webhook::Metrics;

/// The longest body: no object of the API server's is longer, and a review holds two.
const LONGEST: usize = 3 << 20;

/// How long a body may take to arrive.
const LIMIT: Duration = Duration::from_secs(5);

/// What reviews need.
pub struct Reviewer {
    /// The pools that there are.
    pub existing: Existing,
    /// ferrolb's namespace.
    pub home: String,
    /// Where reviews are counted.
    pub metrics: Metrics,
}

/// MetalLB's paths.
pub fn routes(reviewer: &Arc<Reviewer>) -> Router {
    let mut routes = Router::new().route("/convert", post(converted));
    for (path, subject) in Subject::ALL {
        let reviewer = Arc::clone(reviewer);
        let review = move |request: Request| async move { reviewer.review(subject, request).await };
        routes = routes.route(path, post(review));
    }
    routes
}

/// Why there is no answer.
enum Failed {
    /// The request is to blame.
    Malformed(String),
    /// It cannot be told what there is.
    Blind,
}

impl Reviewer {
    async fn review(&self, subject: Subject, request: Request) -> Response {
        let (verdict, response) = match self.answer(subject, request).await {
            Ok((Verdict { denial: Some(denial), .. }, answer)) => {
                for reason in denial.reasons() {
                    self.metrics.denials.with_label_values(&[subject.kind(), reason]).inc();
                }
                ("denied", json(&answer))
            }
            Ok((Verdict { denial: None, .. }, answer)) => ("allowed", json(&answer)),
            Err(Failed::Malformed(why)) => ("malformed", text(StatusCode::BAD_REQUEST, why)),
            Err(Failed::Blind) => {
                let why = "the pools that exist cannot be listed".to_owned();
                ("failed", text(StatusCode::SERVICE_UNAVAILABLE, why))
            }
        };
        self.metrics.reviews.with_label_values(&[subject.kind(), verdict]).inc();
        response
    }

    async fn answer(&self, subject: Subject, request: Request) -> Result<(Verdict, Value), Failed> {
        let body = body(request.into_body()).await.map_err(Failed::Malformed)?;
        let question = question::read(&body);
        let question = question.map_err(|error| Failed::Malformed(error.to_string()))?;
        let kind = &question.kind;
        if kind.group != crds::names::GROUP || kind.kind != subject.kind() {
            let asked = format!("{}.{} is not asked about here", kind.kind, kind.group);
            return Err(Failed::Malformed(asked));
        }
        let verdict = if let Some(verdict) = review::at_once(subject, &question, &self.home) {
            verdict
        } else {
            let new = question.object.as_ref().unwrap_or(&Value::Null);
            match self.existing.now().await {
                Some(exist) => review::judge(subject, new, &exist),
                None if subject == Subject::Pool => return Err(Failed::Blind),
                // Pools matter to others for warnings only, and there is nothing to warn of.
                None => Verdict {
                    warnings: Vec::new(),
                    ..review::judge(subject, new, &Resources::default())
                },
            }
        };
        tell(subject, &question, &verdict);
        let answer = question::answer(&question, &verdict);
        Ok((verdict, answer))
    }
}

fn tell(subject: Subject, question: &Question, verdict: &Verdict) {
    let Some(error) = &verdict.denial else {
        return;
    };
    let object = question.object.as_ref();
    let name = object.and_then(|object| object["metadata"]["name"].as_str()).unwrap_or_default();
    let namespace = question.namespace.as_deref().unwrap_or_default();
    tracing::info!(event = "admissionDenied", kind = subject.kind(), namespace, name, %error);
}

async fn converted(request: Request) -> Response {
    match body(request.into_body()).await {
        Ok(body) => match convert(&body) {
            Ok(answer) => json(&answer),
            Err(error) => text(StatusCode::BAD_REQUEST, format!("not a ConversionReview: {error}")),
        },
        Err(why) => text(StatusCode::BAD_REQUEST, why),
    }
}

async fn body(body: Body) -> Result<Bytes, String> {
    match tokio::time::timeout(LIMIT, axum::body::to_bytes(body, LONGEST)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(format!("the body broke off or is longer than 3 MiB: {error}")),
        Err(_) => Err("the body took too long".to_owned()),
    }
}

/// Connections are not kept. Reviews are rare, and a kept one may lead to a replica that is about to
/// stop, or whose node has died: the API server tries a review once.
const CLOSE: (header::HeaderName, &str) = (header::CONNECTION, "close");

fn json(answer: &Value) -> Response {
    ([CLOSE, (header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn text(status: StatusCode, why: String) -> Response {
    tracing::warn!(%status, error = why, "a review is not answered");
    (status, [CLOSE], why).into_response()
}
