//! The port against the kernel's own ARP responder, on a veth pair between two private network
//! namespaces: round trip, load, and what a flood of foreign requests costs.
//!
//! `cargo bench -p speaker --bench arp_wire` as root. Prints a markdown table and writes
//! `target/bench/arp_wire.json`. Everything that is compared is measured in turns, several times,
//! since other work on the machine comes and goes; medians are shown.
//!
//! The responder runs as a process of its own (this program, called again inside the node's
//! namespace), so that its CPU time can be read by itself. On a veth pair the receiving side's
//! kernel work, our filter included, is done in the *sender's* time: hence the sender's CPU time
//! and the whole machine's are shown as well. That work has a floor that no filter can lower: the
//! kernel's own ARP gets its frames before a socket bound to one link does, finds them shared, and
//! clones each. Measured apart (Linux 6.18, 40 runs of 20,000 frames): 1.94 µs for a foreign frame
//! with no socket at all, 2.22 with one that drops everything, 2.22 with our filter, and 2.08 with
//! one bound to ETH_P_ALL, which comes first, but would then see all traffic.
#![expect(clippy::disallowed_methods, reason = "measures in real time")]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark that fails should say where")]
#![allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
#![allow(unreachable_pub, reason = "a program has no one to reach")]

#[path = "arp_wire/client.rs"]
mod client;
#[path = "arp_wire/cpu.rs"]
mod cpu;
#[path = "../tests/netns/mod.rs"]
mod netns;
#[path = "arp_wire/responder.rs"]
mod responder;

use std::fmt::Write as _;
use std::time::Duration;

use client::{Client, Flood, Load};
use netns::Wire;
use responder::{FIRST, Responder};
use serde_json::{Value, json};

const ROUND_TRIPS: usize = 10_000;
const LOAD_TIME: Duration = Duration::from_secs(2);
const IN_FLIGHT: usize = 32;
const ANSWER_REPEATS: usize = 5;
const FLOOD_RATE: u32 = 20_000;
const FLOOD_TIME: Duration = Duration::from_secs(10);
const FLOOD_REPEATS: usize = 5;
/// Who answers: the kernel for its own address, or the port for so many.
const RESPONDERS: [(&str, u32); 3] =
    [("kernel", 0), ("ferrolb, 1 address", 1), ("ferrolb, 10,000 addresses", 10_000)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, index, mac, addresses] = &arguments[..]
        && command == "responder"
    {
        return responder::serve(index, mac, addresses);
    }
    // Cargo passes this for `cargo bench`, and not for `cargo test --all-targets`.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("SKIPPED: run it with cargo bench, as root");
        return;
    }
    let wire = Wire::new();
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap();
    let (table, answering) = answering(&wire);
    println!("{table}");
    let (table, flood) = flood(&wire);
    println!("{table}");
    let report = json!({
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim(),
        "cores": std::thread::available_parallelism().unwrap().get(),
        "load_average_at_start": load_average.trim(),
        "answering": answering,
        "flood": flood,
    });
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");
    std::fs::create_dir_all(folder).unwrap();
    let text = serde_json::to_string_pretty(&report).unwrap();
    std::fs::write(format!("{folder}/arp_wire.json"), text).unwrap();
}

/// Round trips and load, for each responder in turn.
fn answering(wire: &Wire) -> (String, Value) {
    let client = Client::open(wire);
    let mut trips: [Vec<Vec<u64>>; 3] = Default::default();
    let mut loads: [Vec<Load>; 3] = Default::default();
    for _ in 0..ANSWER_REPEATS {
        for (at, (_, addresses)) in RESPONDERS.into_iter().enumerate() {
            let _responder = (addresses > 0).then(|| Responder::start(wire, addresses));
            let targets = targets(addresses);
            trips[at].push(client.round_trips(&targets, ROUND_TRIPS));
            loads[at].push(client.load(&targets, IN_FLIGHT, LOAD_TIME));
        }
    }
    let mut table = format!(
        "| Responder | rtt p50 µs | rtt p99 µs | replies/s, {IN_FLIGHT} in flight | lost |\n\
         | --- | --- | --- | --- | --- |\n"
    );
    let mut rows = vec![];
    for (at, (name, addresses)) in RESPONDERS.into_iter().enumerate() {
        let quantile = |q: usize| {
            median(trips[at].iter().map(|run| run[run.len() * q / 100] as f64 / 1000.0).collect())
        };
        let (p50, p99) = (quantile(50), quantile(99));
        let rates: Vec<f64> = loads[at].iter().map(Load::replies_per_second).collect();
        let rate = median(rates.clone());
        let lost: u64 = loads[at].iter().map(|load| load.lost).sum();
        writeln!(table, "| {name} | {p50:.1} | {p99:.1} | {rate:.0} | {lost} |").unwrap();
        rows.push(json!({
            "responder": name, "addresses": addresses, "repeats": ANSWER_REPEATS,
            "round_trips_each": ROUND_TRIPS, "rtt_p50_us": p50, "rtt_p99_us": p99,
            "replies_per_second": rate, "replies_per_second_runs": rates, "lost": lost,
        }));
    }
    let of = |at: usize, key: &str| rows[at][key].as_f64().unwrap();
    let ratios = json!({
        "rtt_p50_10000_to_1": of(2, "rtt_p50_us") / of(1, "rtt_p50_us"),
        "load_1_to_10000": of(1, "replies_per_second") / of(2, "replies_per_second"),
        "rtt_p50_to_kernel": of(1, "rtt_p50_us") / of(0, "rtt_p50_us"),
        "load_to_kernel": of(1, "replies_per_second") / of(0, "replies_per_second"),
    });
    writeln!(table, "\nratios: {ratios}").unwrap();
    (table, json!({ "rows": rows, "ratios": ratios }))
}

/// What the client asks for: the node's own address, or addresses from all over the table.
fn targets(addresses: u32) -> Vec<u32> {
    match addresses {
        0 => vec![u32::from_be_bytes([192, 0, 2, 2])],
        _ => (0..addresses).map(|n| FIRST + n * 7919 % addresses).collect(),
    }
}

/// One figure of a flood run.
type Pick = fn(&Flood) -> f64;

/// A flood of requests for nobody's address: without a responder, with a port whose filter drops
/// everything (what any packet socket for ARP costs), and with a port at work, in turn.
fn flood(wire: &Wire) -> (String, Value) {
    let client = Client::open(wire);
    let mut runs: [Vec<Flood>; 3] = Default::default();
    for _ in 0..FLOOD_REPEATS {
        for (runs, addresses) in runs.iter_mut().zip([None, Some(0), Some(10_000)]) {
            let responder = addresses.map(|addresses| Responder::start(wire, addresses));
            runs.push(client.flood(FLOOD_RATE, FLOOD_TIME, responder.as_ref()));
        }
    }
    let seconds = FLOOD_TIME.as_secs();
    let mut table = format!(
        "Flood: {FLOOD_RATE} foreign requests a second for {seconds} s, {FLOOD_REPEATS} times \
         each; CPU in % of one core\n\n\
         | | no responder | port with an empty filter | port with 10,000 addresses \
         | more than with none |\n| --- | --- | --- | --- | --- |\n"
    );
    let mut rows = vec![];
    let picks: [(&str, Pick); 3] = [
        ("the responder's own", |run| run.responder),
        ("the sender's, with the receiving kernel's work", |run| run.sender),
        ("whole machine", |run| run.machine),
    ];
    for (name, pick) in picks {
        let of = |runs: &[Flood]| median(runs.iter().map(pick).collect());
        let [none, empty, port] = [of(&runs[0]), of(&runs[1]), of(&runs[2])];
        let more = (port / none - 1.0) * 100.0;
        let shown = if none > 0.0 { format!("{more:+.1} %") } else { "-".to_owned() };
        writeln!(table, "| {name} | {none:.2} | {empty:.2} | {port:.3} | {shown} |").unwrap();
        rows.push(json!({ "cpu": name, "none": none, "empty_filter": empty, "port": port }));
    }
    let [none, empty, port] = runs.map(|runs| runs.iter().map(Flood::json).collect::<Vec<_>>());
    let report = json!({
        "rate": FLOOD_RATE, "seconds": seconds, "repeats": FLOOD_REPEATS, "rows": rows,
        "runs": { "none": none, "empty_filter": empty, "port": port },
    });
    (table, report)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
