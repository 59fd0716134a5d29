//! Whether the controller is ready: it has once seen everything it needs. A standby is ready too;
//! a new leader stays so while it lists anew.

use std::sync::{Mutex, PoisonError};

/// What is still missing; cheap to ask.
#[derive(Debug, Default)]
pub struct Ready(Mutex<State>);

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
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match *state {
            State::Ready => State::Ready,
            State::Starting | State::Missing(_) if missing.is_empty() => State::Ready,
            State::Starting | State::Missing(_) => State::Missing(missing),
        };
    }

    /// The answer for the kubelet.
    pub fn ask(&self) -> kit::admin::Health {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Ready => Ok(()),
            State::Starting => Err("starting".to_owned()),
            State::Missing(kinds) => Err(format!("not listed yet: {}", kinds.join(", "))),
        }
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
}
