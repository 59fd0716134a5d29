//! `target/bench/arp_wire.json`, as the speaker's benchmark `arp_wire` writes it.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Wire {
    pub kernel: String,
    pub cores: usize,
    pub load_average_at_start: String,
    pub answering: Answering,
    pub flood: Flood,
}

#[derive(Debug, Deserialize)]
pub struct Answering {
    /// The kernel first, then ours with few and with many addresses.
    pub rows: Vec<Responder>,
}

/// One that answers; medians of the repeats' own quantiles and rates.
#[derive(Debug, Deserialize)]
pub struct Responder {
    #[serde(rename = "responder")]
    pub name: String,
    /// None for the kernel, which answers for its own.
    pub addresses: u64,
    pub repeats: u64,
    pub round_trips_each: u64,
    pub rtt_p50_us: f64,
    pub rtt_p99_us: f64,
    pub replies_per_second: f64,
    pub replies_per_second_runs: Vec<f64>,
    pub lost: u64,
}

/// What a flood of requests for nobody's address costs.
#[derive(Debug, Deserialize)]
pub struct Flood {
    /// Requests a second.
    pub rate: u64,
    pub seconds: u64,
    pub repeats: u64,
    pub rows: Vec<Cost>,
}

/// CPU time of one party, in percent of one core, medians of the repeats.
#[derive(Debug, Deserialize)]
pub struct Cost {
    pub cpu: String,
    /// With no responder at all.
    pub none: f64,
    /// With a packet socket whose filter drops everything.
    pub empty_filter: f64,
    /// With the port at work, for 10,000 addresses.
    pub port: f64,
}

impl Wire {
    pub fn kernel_responder(&self) -> Option<&Responder> {
        self.answering.rows.iter().find(|row| row.addresses == 0)
    }
}
