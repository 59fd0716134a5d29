//! What the process itself uses, under the names that Go's Prometheus client gives it and MetalLB's
//! users know: `process_cpu_seconds_total` and others.
//!
//! Read from `/proc` when somebody asks. Not by the `prometheus` crate's own collector: that counts
//! processor time in whole seconds, of which these programs need one in minutes.

use std::collections::HashMap;
use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Error, Gauge};

/// The kernel's unit of time in `/proc` (USER_HZ): a hundredth of a second on every architecture
/// there are images for.
const TICKS_A_SECOND: f64 = 100.0;

/// A metric: its name, its help text, and how it follows from what was read.
type Series = (&'static str, &'static str, fn(&Texts) -> Option<f64>);

const SERIES: [Series; 7] = [
    ("process_cpu_seconds_total", "Processor time used, in seconds.", cpu_seconds),
    ("process_start_time_seconds", "When the process began, in seconds since 1970.", start),
    ("process_resident_memory_bytes", "Memory in use, in bytes.", |it| kilobytes(it, "VmRSS:")),
    ("process_virtual_memory_bytes", "Address space in use, in bytes.", |it| {
        kilobytes(it, "VmSize:")
    }),
    ("process_threads", "Threads.", |it| word(&it.status, "Threads:", 0)),
    ("process_open_fds", "Open file descriptors.", |it| it.open_fds),
    ("process_max_fds", "How many file descriptors may be open.", |it| {
        word(&it.limits, "Max open files", 0)
    }),
];

/// What the kernel says: the files of these names, and how many descriptors are open. What cannot
/// be read is empty, and its series are left out.
#[derive(Debug, Default)]
struct Texts {
    stat: String,
    status: String,
    limits: String,
    /// `/proc/stat`, which is about the machine.
    machine: String,
    open_fds: Option<f64>,
}

impl Texts {
    #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 descriptors")]
    fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            stat: text("/proc/self/stat"),
            status: text("/proc/self/status"),
            limits: text("/proc/self/limits"),
            machine: text("/proc/stat"),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as f64),
        }
    }
}

/// Reads them whenever metrics are gathered.
pub(crate) struct Process(Vec<Desc>);

impl Process {
    /// The collector for this process.
    ///
    /// # Errors
    /// Only for a name that is none, which a test rules out.
    pub(crate) fn new() -> Result<Self, Error> {
        let describe = |(name, help, _): &Series| {
            Desc::new((*name).to_owned(), (*help).to_owned(), Vec::new(), HashMap::new())
        };
        SERIES.iter().map(describe).collect::<Result<_, _>>().map(Self)
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.0.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let texts = Texts::read();
        let families = SERIES.iter().filter_map(|series| family(series, &texts).ok());
        families.flatten().collect()
    }
}

fn family((name, help, value): &Series, texts: &Texts) -> Result<Vec<MetricFamily>, Error> {
    let Some(value) = value(texts) else { return Ok(Vec::new()) };
    if name.ends_with("_total") {
        let counter = Counter::new(*name, *help)?;
        counter.inc_by(value);
        return Ok(counter.collect());
    }
    let gauge = Gauge::new(*name, *help)?;
    gauge.set(value);
    Ok(gauge.collect())
}

/// The number at `position` after `key`, which begins a line of `text`.
fn word(text: &str, key: &str, position: usize) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().nth(position)?.parse().ok()
}

fn kilobytes(texts: &Texts, key: &str) -> Option<f64> {
    word(&texts.status, key, 0).map(|kilobytes| kilobytes * 1024.0)
}

/// The field of `/proc/self/stat` that proc(5) gives this number, in seconds. The second one is the
/// program's name in parentheses, which may contain anything; what follows it begins with the third.
fn seconds(texts: &Texts, number: usize) -> Option<f64> {
    let (_, rest) = texts.stat.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().nth(number - 3)?.parse().ok()?;
    Some(ticks / TICKS_A_SECOND)
}

fn cpu_seconds(texts: &Texts) -> Option<f64> {
    Some(seconds(texts, 14)? + seconds(texts, 15)?)
}

fn start(texts: &Texts) -> Option<f64> {
    Some(word(&texts.machine, "btime", 0)? + seconds(texts, 22)?)
}

#[cfg(test)]
mod tests {
    use prometheus::{Registry, TextEncoder};

    use super::*;

    fn values(texts: &Texts) -> Vec<(&'static str, Option<f64>)> {
        SERIES.iter().map(|(name, _, value)| (*name, value(texts))).collect()
    }

    #[test]
    fn each_value_is_where_the_kernel_writes_it() {
        let texts = Texts {
            stat: "7 (a) b (c) S 1 7 7 0 -1 4194304 9 8 7 6 150 25 3 4 20 0 12 0 5000 1 2 3"
                .to_owned(),
            status: "Name:\ta) b (c\nVmSize:\t    2048 kB\nVmRSS:\t     512 kB\nThreads:\t12\n"
                .to_owned(),
            limits: "Limit            Soft Limit  Hard Limit  Units\n\
                     Max open files   1024        524288      files\n"
                .to_owned(),
            machine: "cpu  1 2 3\nbtime 1700000000\n".to_owned(),
            open_fds: Some(9.0),
        };
        let expected = [
            ("process_cpu_seconds_total", Some(1.75)),
            ("process_start_time_seconds", Some(1_700_000_050.0)),
            ("process_resident_memory_bytes", Some(524_288.0)),
            ("process_virtual_memory_bytes", Some(2_097_152.0)),
            ("process_threads", Some(12.0)),
            ("process_open_fds", Some(9.0)),
            ("process_max_fds", Some(1024.0)),
        ];
        assert_eq!(values(&texts), expected);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert!(values(&Texts::default()).iter().all(|(_, value)| value.is_none()));
        let limits = "Max open files   unlimited  unlimited  files\n".to_owned();
        let texts = Texts { limits, ..Texts::default() };
        assert!(values(&texts).iter().all(|(_, value)| value.is_none()));
    }

    #[test]
    fn all_of_a_living_process_can_be_read() {
        let registry = Registry::new();
        registry.register(Box::new(Process::new().unwrap())).unwrap();
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for (name, ..) in SERIES {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            assert!(text.contains(&format!("# TYPE {name} {kind}\n{name} ")), "{name}: {text}");
        }
        let resident =
            text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        assert!(resident.unwrap().parse::<f64>().unwrap() > 1e6, "{text}");
    }
}
