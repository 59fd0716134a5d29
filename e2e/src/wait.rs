//! Waits for conditions: with a deadline, and with the last state seen in the error. Nothing in the
//! tests sleeps for a time that somebody guessed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::runner::record::Busy;

/// What a look at the world found.
#[derive(Debug)]
pub enum Look<T> {
    /// It is as it should be.
    Seen(T),
    /// It is not; this is how it looks instead.
    NotYet(String),
    /// It is not and cannot become so any more: waiting on would be in vain.
    Never(String),
}

impl<T> Look<T> {
    /// `Seen` if there is something, else `NotYet` with the state.
    pub fn when(found: Option<T>, state: impl FnOnce() -> String) -> Self {
        found.map_or_else(|| Self::NotYet(state()), Self::Seen)
    }
}

/// How long what should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Between two looks, at first and after a while: short against what was waited for so far, long enough
/// not to load the API server.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(400);

/// How long to wait between two looks, so long after the first.
fn pause(waited: Duration) -> Duration {
    (waited / 8).clamp(SHORTEST, LONGEST)
}

/// Looks until the condition holds. An error of `look` counts as a state, since an API server that
/// is just coming back is an ordinary thing here; it ends the wait only at the deadline.
pub async fn until<T>(
    deadline: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    let start = Instant::now();
    let _waiting = Busy::with(what);
    loop {
        // The look itself is bounded too: a request to a stopped API server never returns.
        let left = deadline.saturating_sub(start.elapsed()).max(LONGEST);
        let state = match tokio::time::timeout(left, look()).await {
            Ok(Ok(Look::Seen(value))) => return Ok(value),
            Ok(Ok(Look::NotYet(state))) => state,
            Ok(Ok(Look::Never(state))) => bail!("waiting for {what} is in vain: {state}"),
            Ok(Err(error)) => format!("error: {error:#}"),
            Err(_) => "no answer to the question itself".to_owned(),
        };
        if start.elapsed() >= deadline {
            bail!("gave up after {deadline:?} waiting for {what}; last seen: {state}");
        }
        tokio::time::sleep(pause(start.elapsed())).await;
    }
}

/// The same without a runtime, for the lab itself. Gives up at once when the user interrupts.
pub fn until_blocking<T>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Look<T>>,
) -> Result<T> {
    let start = Instant::now();
    let _waiting = Busy::with(what);
    loop {
        let state = match look() {
            Ok(Look::Seen(value)) => return Ok(value),
            Ok(Look::NotYet(state)) => state,
            Ok(Look::Never(state)) => bail!("waiting for {what} is in vain: {state}"),
            Err(error) => format!("error: {error:#}"),
        };
        if crate::interrupt::requested() {
            bail!("interrupted while waiting for {what}");
        }
        if start.elapsed() >= deadline {
            bail!("gave up after {deadline:?} waiting for {what}; last seen: {state}");
        }
        std::thread::sleep(pause(start.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_what_was_seen() {
        let mut looks = 0;
        let seen = until(Duration::from_secs(5), "three looks", async || {
            looks += 1;
            Ok(Look::when((looks == 3).then_some(looks), || format!("{looks} looks")))
        })
        .await;
        assert_eq!(seen.unwrap(), 3);
    }

    #[test]
    fn tells_the_last_state_at_the_deadline() {
        let error = until_blocking(Duration::ZERO, "a miracle", || {
            Ok(Look::<()>::NotYet("water".to_owned()))
        })
        .unwrap_err()
        .to_string();
        assert!(error.contains("a miracle") && error.contains("last seen: water"), "{error}");
    }

    #[test]
    fn takes_an_error_for_a_state() {
        let mut looks = 0;
        let seen = until_blocking(Duration::from_secs(5), "the API", || {
            looks += 1;
            if looks == 1 {
                bail!("refused")
            }
            Ok(Look::Seen(looks))
        });
        assert_eq!(seen.unwrap(), 2);
    }
}
