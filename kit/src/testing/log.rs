//! The log lines that a test causes.

use std::cell::RefCell;
use std::sync::Once;

use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::telemetry;

thread_local! {
    static LINES: RefCell<Option<Vec<Value>>> = const { RefCell::new(None) };
}

/// Collects what the present thread logs at level `debug`, until it is dropped. The tasks of a
/// `#[tokio::test]` run on the thread of the test, so theirs are among them.
#[derive(Debug)]
pub struct Log(());

impl Log {
    /// Begins to collect.
    ///
    /// One collector is set up for the whole process, and keeps apart by thread: with one for each
    /// test, tracing may remember of a line that another thread passed first that nobody wants it.
    pub fn collect() -> Self {
        static COLLECTOR: Once = Once::new();
        COLLECTOR.call_once(|| {
            let filter = telemetry::filter("debug").unwrap();
            Registry::default().with(Collector.with_filter(filter)).init();
        });
        LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
        Self(())
    }

    /// The lines since the last call, in order. Each is as [`telemetry`] prints it, but for `caller`
    /// and `ts`, which say nothing to a test.
    pub fn take(&self) -> Vec<Value> {
        LINES.with_borrow_mut(|lines| lines.replace(Vec::new())).unwrap_or_default()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct Collector;

impl<S: Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINES.with_borrow_mut(|lines| {
            let Some(lines) = lines else { return };
            let text = telemetry::render(event, "");
            let mut line: Value = serde_json::from_str(&text).unwrap();
            line.as_object_mut().unwrap().retain(|key, _| key != "caller" && key != "ts");
            lines.push(line);
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_collected_by_thread_until_nobody_wants_them() {
        let log = Log::collect();
        tracing::info!(event = "here", "first");
        std::thread::scope(|scope| {
            scope.spawn(|| tracing::info!(event = "elsewhere", "not ours"));
        });
        let line = json!({"event": "here", "level": "info", "msg": "first"});
        assert_eq!(log.take(), [line]);
        assert_eq!(log.take(), [Value::Null; 0]);
        drop(log);
        tracing::info!("while nobody looks");
        assert_eq!(Log::collect().take(), [Value::Null; 0]);
    }
}
