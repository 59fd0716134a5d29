//! Logs as MetalLB writes them: one JSON object a line on standard output, keys in alphabetical
//! order, always with `caller`, `level`, `msg` and `ts` (RFC 3339, whole seconds).
//!
//! Fields of a tracing event become keys. A field of *bytes* is taken for JSON text, which is how
//! lists get in: `tracing::info!(ip = &*telemetry::json(&addresses), "...")`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Crates whose lines follow the level asked for; those of others are kept to warnings, or the
/// HTTP client would drown everything else.
const OURS: [&str; 4] = ["controller", "speaker", "kit", "crds"];

/// Why logging could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not one of MetalLB's levels.
    #[error("invalid log level \"{0}\": use one of all, debug, info, warn, error, none")]
    Level(String),
    /// `init` was called before.
    #[error("logging is set up already")]
    Again,
}

/// Starts logging at `level`: `all`, `debug`, `info`, `warn`, `error` or `none`.
///
/// # Errors
/// [`Error`] for another level, or when called twice.
pub fn init(level: &str) -> Result<(), Error> {
    let filter = filter(level)?;
    tracing_subscriber::registry()
        .with(Lines.with_filter(filter))
        .try_init()
        .map_err(|_| Error::Again)
}

pub(crate) fn filter(level: &str) -> Result<Targets, Error> {
    let level = match level {
        "all" => return Ok(Targets::new().with_default(LevelFilter::TRACE)),
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        "none" => LevelFilter::OFF,
        other => return Err(Error::Level(other.to_owned())),
    };
    Ok(Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|name| (name, level))))
}

/// `value` as the JSON text that a field of bytes carries into the log line.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The layer that prints.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = render(event, &timestamp());
        line.push('\n');
        // Nobody is left to tell when standard output is gone.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

#[expect(clippy::disallowed_methods, reason = "a log line says when it was written")]
fn timestamp() -> String {
    let seconds = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |ts| ts.to_string())
}

pub(crate) fn render(event: &Event<'_>, timestamp: &str) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let Fields(mut keys) = fields;
    let metadata = event.metadata();
    let level = match *metadata.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    };
    let file = metadata.file().unwrap_or_default();
    // The file and its folder, as Go's logger shows: "reconcile/run.rs:12".
    let mut slashes = file.rmatch_indices('/').map(|(at, _)| at + 1);
    let short = &file[slashes.nth(1).unwrap_or(0)..];
    let caller = format!("{short}:{}", metadata.line().unwrap_or_default());
    keys.insert("caller", Value::String(caller));
    keys.insert("level", Value::String(level.to_owned()));
    keys.insert("ts", Value::String(timestamp.to_owned()));
    serde_json::to_string(&keys).unwrap_or_default()
}

/// The keys of one line; a BTreeMap, since its order is that of the line.
#[derive(Default)]
struct Fields(BTreeMap<&'static str, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let key = match field.name() {
            "message" => "msg",
            name => name,
        };
        self.0.insert(key, value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        let as_text = || Value::String(String::from_utf8_lossy(value).into_owned());
        self.put(field, serde_json::from_slice(value).unwrap_or_else(|_| as_text()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps the lines instead of printing them.
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let line = render(event, "2026-01-02T03:04:05Z");
            self.0.lock().unwrap().push(line);
        }
    }

    fn lines(level: &str, log: impl FnOnce()) -> Vec<String> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let layer = Kept(Arc::clone(&kept)).with_filter(filter(level).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let lines = kept.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn a_line_has_its_keys_in_alphabetical_order() {
        let written = lines("info", || {
            let ip = json(&["172.17.255.1"]);
            tracing::info!(
                event = "ipAllocated",
                ip = &*ip,
                service = %"default/web",
                "IP address assigned by controller"
            );
        });
        let caller_end = written[0].find("\",\"event\"").unwrap();
        assert!(written[0].starts_with("{\"caller\":\"src/telemetry.rs:"), "{written:?}");
        assert_eq!(
            &written[0][caller_end..],
            "\",\"event\":\"ipAllocated\",\"ip\":[\"172.17.255.1\"],\"level\":\"info\",\
             \"msg\":\"IP address assigned by controller\",\"service\":\"default/web\",\
             \"ts\":\"2026-01-02T03:04:05Z\"}"
        );
    }

    #[test]
    fn other_crates_are_kept_to_warnings() {
        let written = lines("debug", || {
            tracing::info!(target: "hyper::client", "chatter");
            tracing::warn!(target: "hyper::client", "trouble");
            tracing::debug!(target: "controller::reconcile", "ours");
        });
        assert_eq!(written.len(), 2, "{written:?}");
        assert!(lines("none", || tracing::error!("anything")).is_empty());
    }

    #[test]
    fn the_time_has_whole_seconds() {
        let now = timestamp();
        assert_eq!(now.len(), "2026-01-02T03:04:05Z".len(), "{now}");
    }

    #[test]
    fn an_unknown_level_is_refused_by_name() {
        assert_eq!(filter("loud").unwrap_err(), Error::Level("loud".to_owned()));
    }
}
