//! Whether the controller is ready: it has once seen everything it needs. A standby is ready too;
//! a new leader stays so while it lists anew.

use std::sync::{Mutex, PoisonError};

/// What is still missing; cheap to ask.
#[derive(Debug, Default)]
pub struct Ready(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    reconciling: State,
    /// What the webhook still lacks; `None` also when there is none.
    webhook: Option<&'static str>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Starting,
    Missing(Vec<&'static str>),
    Ready,
}

impl Ready {
    /// Tells what is missing now. Once that was nothing, it stays nothing.
    pub fn set(&self, missing: Vec<&'static str>) {
        let state = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).reconciling;
        *state = match *state {
            State::Ready => State::Ready,
            State::Starting | State::Missing(_) if missing.is_empty() => State::Ready,
            State::Starting | State::Missing(_) => State::Missing(missing),
        };
    }

    /// Tells what the webhook lacks; `None`: nothing.
    pub fn webhook(&self, missing: Option<&'static str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).webhook = missing;
    }

    /// The answer for the kubelet.
    pub fn ask(&self) -> kit::admin::Health {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reconciling = match &parts.reconciling {
            State::Ready => None,
            State::Starting => Some("starting".to_owned()),
            State::Missing(kinds) => Some(format!("not listed yet: {}", kinds.join(", "))),
        };
        let webhook = parts.webhook.map(|missing| format!("webhook: {missing}"));
        let missing: Vec<_> = reconciling.into_iter().chain(webhook).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_what_is_missing_and_stays_ready_once_it_was() {
        let ready = Ready::default();
        assert_eq!(ready.ask(), Err("starting".to_owned()));
        ready.set(vec!["Services", "Namespaces"]);
        assert_eq!(ready.ask(), Err("not listed yet: Services, Namespaces".to_owned()));
        ready.set(Vec::new());
        ready.set(vec!["Services"]);
        assert_eq!(ready.ask(), Ok(()));
    }

    #[test]
    fn a_webhook_that_is_to_be_served_must_be_there_too() {
        let ready = Ready::default();
        ready.webhook(Some("no certificate yet"));
        assert_eq!(ready.ask(), Err("starting; webhook: no certificate yet".to_owned()));
        ready.set(Vec::new());
        assert_eq!(ready.ask(), Err("webhook: no certificate yet".to_owned()));
        ready.webhook(None);
        assert_eq!(ready.ask(), Ok(()));
    }
}
