//! Who is let in: carries out what [`access`](super::access) decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use kube::Client;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::access::{Access, Fingerprint, Next};
use super::review;
use crate::client::brief;

/// How long a request may wait for the API server. Prometheus itself waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Questions to the API server at one time.
const QUESTIONS: usize = 4;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is answered.
    Served,
    /// It has no token, or one of nobody.
    Unauthenticated,
    /// Its user may not.
    Forbidden,
    /// The API server could not be asked.
    Unknown,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Served, Self::Unauthenticated, Self::Forbidden, Self::Unknown];

    const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) struct Guard {
    client: Client,
    access: Mutex<Access>,
    questions: Semaphore,
    start: Instant,
    /// The API server could not be asked last time, and that was logged.
    is_in_the_dark: AtomicBool,
    requests: IntCounterVec,
}

impl Guard {
    /// Asks by `client`, counts in `registry`.
    ///
    /// # Errors
    /// When the counter is there already.
    pub(super) fn new(client: Client, registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "ferrolb_metrics_requests_total",
            "Requests for metrics, by what became of them.",
        );
        let requests = IntCounterVec::new(opts, &["outcome"])?;
        registry.register(Box::new(requests.clone()))?;
        for outcome in Outcome::ALL {
            requests.with_label_values(&[outcome.name()]);
        }
        Ok(Self {
            client,
            access: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
            start: Instant::now(),
            is_in_the_dark: AtomicBool::new(false),
            requests,
        })
    }

    /// Whether a request with these headers is answered. Takes a few seconds at most.
    pub(super) async fn judge(&self, headers: &HeaderMap) -> Outcome {
        let outcome = match bearer(headers) {
            Some(token) => self.judge_token(token).await,
            None => Outcome::Unauthenticated,
        };
        self.requests.with_label_values(&[outcome.name()]).inc();
        outcome
    }

    async fn judge_token(&self, token: &str) -> Outcome {
        let print = Fingerprint::of(token);
        let asked = tokio::time::timeout(PATIENCE, self.ask(token, print)).await;
        let why = match asked {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => brief(&error),
            Err(_too_late) => "it does not answer".to_owned(),
        };
        let is_news = !self.is_in_the_dark.swap(true, Ordering::Relaxed);
        if is_news {
            tracing::warn!(error = why, "the API server cannot be asked who may read metrics");
        } else {
            tracing::debug!(error = why, "the API server cannot be asked who may read metrics");
        }
        if self.access().had_the_last_word(print, self.now()) {
            Outcome::Served
        } else {
            Outcome::Unknown
        }
    }

    /// Asks until the answer is known: two questions, if nothing was.
    async fn ask(&self, token: &str, print: Fingerprint) -> kube::Result<Outcome> {
        loop {
            let next = self.access().next(print, self.now());
            match next {
                Next::Serve => return Ok(Outcome::Served),
                Next::Unauthenticated => return Ok(Outcome::Unauthenticated),
                Next::Forbidden => return Ok(Outcome::Forbidden),
                Next::Identify => {
                    let _turn = self.questions.acquire().await;
                    let owner = review::identify(&self.client, token).await?;
                    self.access().identified(print, owner, self.now());
                }
                Next::Authorise(user) => {
                    let _turn = self.questions.acquire().await;
                    let may = review::authorise(&self.client, &user).await?;
                    self.access().authorised(print, &user, may, self.now());
                }
            }
            self.is_in_the_dark.store(false, Ordering::Relaxed);
        }
    }

    fn access(&self) -> MutexGuard<'_, Access> {
        self.access.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_what_follows_the_word_bearer() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            headers
        };
        assert_eq!(bearer(&HeaderMap::new()), None);
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
        ] {
            assert_eq!(bearer(&headers(value)), token, "{value}");
        }
    }
}
