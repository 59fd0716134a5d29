//! The tests that wait for a cluster: the longest first, so that no cluster works on alone at the end.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::plan::Needs;

/// A test to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub program: PathBuf,
    pub name: String,
    pub needs: Needs,
    /// How long it took the last time.
    pub expected: Duration,
}

#[derive(Debug)]
pub struct Queue(Mutex<Vec<Task>>);

impl Queue {
    pub fn new(mut tasks: Vec<Task>) -> Self {
        tasks.sort_by(|a, b| b.expected.cmp(&a.expected).then_with(|| a.name.cmp(&b.name)));
        Self(Mutex::new(tasks))
    }

    /// The next test of this kind.
    pub fn take(&self, kind: Needs) -> Option<Task> {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = tasks.iter().position(|task| task.needs == kind)?;
        Some(tasks.remove(at))
    }

    /// What nobody took.
    pub fn rest(&self) -> Vec<Task> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many tests of these kinds wait.
    pub fn count(&self, kinds: &[Needs]) -> usize {
        let tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().filter(|task| kinds.contains(&task.needs)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(name: &str, needs: Needs, expected: u64) -> Task {
        let expected = Duration::from_secs(expected);
        Task { program: PathBuf::new(), name: name.to_owned(), needs, expected }
    }

    #[test]
    fn the_longest_of_a_kind_comes_first_and_no_other_kind() {
        let queue = Queue::new(vec![
            task("a", Needs::Cluster, 1),
            task("b", Needs::Fresh, 9),
            task("c", Needs::Namespaces, 2),
            task("d", Needs::Cluster, 3),
        ]);
        let mut order = Vec::new();
        while let Some(task) = queue.take(Needs::Cluster) {
            order.push(task.name);
        }
        assert_eq!(order, ["d", "a"]);
        assert_eq!(queue.count(&[Needs::Namespaces, Needs::Fresh]), 2);
    }
}
