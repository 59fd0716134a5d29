//! What MetalLB 0.16.1 did in a lab of the same kind: three worker nodes, each a network namespace,
//! on one machine with two cores. Measured on another day and partly by other means, so every
//! column made from this is headed [`COLUMN`]. The figures never change: they are not of this run.

pub const COLUMN: &str = "MetalLB 0.16.1, another run";

/// Answering ARP, asked by a client on the same bridge.
pub struct Answering {
    /// The row of ours that it stands beside, by number of addresses.
    pub beside: u64,
    pub who: &'static str,
    pub p50_us: f64,
    pub p99_us: f64,
    pub replies_per_second: f64,
}

/// Round trips: 3 runs of 10,000. Load: 32 in flight, median of 3 runs of 5 s.
pub const ANSWERING: [Answering; 3] = [
    Answering {
        beside: 0,
        who: "the kernel there",
        p50_us: 9.6,
        p99_us: 55.0,
        replies_per_second: 89_442.0,
    },
    Answering {
        beside: 1,
        who: "1 address",
        p50_us: 47.9,
        p99_us: 150.0,
        replies_per_second: 37_552.0,
    },
    Answering {
        beside: 10_000,
        who: "4,000 addresses",
        p50_us: 117.2,
        p99_us: 351.0,
        replies_per_second: 12_177.0,
    },
];

/// CPU of one speaker in a flood of 20,000 foreign requests a second for 10 s, percent of a core:
/// 2.07 and 3.21 s of CPU time, medians of 9 (three speakers, three runs).
pub const FLOOD: &str = "20.7 with 1 address, 32.1 with 1,000 (n = 9)";

/// 1,000 Services made by requests over 4 connections, once.
pub const CREATED_S: &str = "10.1";
/// All had an address 34.0 s after the start.
pub const LAST_ADDRESS_S: &str = "23.9";
pub const BURST_CONTROLLER_CPU_S: &str = "3.93";
pub const BURST_SPEAKER_CPU_S: &str = "3.0 to 3.1 each";
pub const RESTART_STATUS_WRITES: &str = "1,003";
pub const WRITES_FOR_EACH: &str = "9.5";

/// Writes in that burst by resource, refused ones included.
pub const WRITES: [(&str, u64); 5] = [
    ("services/status", 2_000),
    ("configurationstates/status", 2_415),
    ("ipaddresspools/status", 943 + 96),
    ("servicel2statuses", 2_000),
    ("events", 2_000),
];

/// A minute at rest, once: with 1 Service, with 1,000.
pub struct AtRest {
    pub program: &'static str,
    pub cpu_s: [&'static str; 2],
    pub rss_mib: [&'static str; 2],
}

pub const AT_REST: [AtRest; 2] = [
    AtRest { program: "controller", cpu_s: ["0.06", "0.05"], rss_mib: ["57.1", "84.1"] },
    AtRest {
        program: "speaker",
        cpu_s: ["0.17 / 0.19 / 0.20", "0.19 / 0.21 / 0.22"],
        rss_mib: ["64.4 / 65.0 / 66.4", "88.0 / 88.7 / 90.7"],
    },
];

/// From a fault to the first answer by another node, of one address; for a speaker that is killed,
/// drained or rolled out, the time without an answer. Found by the fault's exact name, so that
/// nothing is compared with another fault.
pub const FAILOVER: [(&str, &str); 6] = [
    (CUT, "n = 12: 4,114 / 5,476 / 6,502"),
    ("node cut off while the API server is stopped", "n = 3: 5,132 / 5,272 / 6,402"),
    ("speaker killed", "n = 3: 433 / 1,010 / 1,212"),
    ("speaker killed again", "n = 3: 5,290 / 5,868 / 6,073"),
    ("speakers rolled out", "n = 2: 63.6, 84.4"),
    ("node drained", "n = 6: 10.4 / 33.6 / 63.8"),
];

/// A node's cable is pulled.
pub const CUT: &str = "node cut off";
/// Each value of it, in order.
pub const CUT_MS: [f64; 12] = [
    4114.0, 5054.0, 5106.0, 5117.0, 5300.0, 5434.0, 5518.0, 5682.0, 5752.0, 5842.0, 6256.0, 6502.0,
];

/// For how long two MACs answered afterwards, in milliseconds.
pub const TWO_ANSWERED: [(&str, &str); 4] = [
    (CUT, "n = 11: 940 / 7,412 / over 17,290"),
    ("speaker killed again", "n = 3: 180 in one run"),
    ("speakers rolled out", "n = 2: 190, 205"),
    ("node drained", "n = 6: 0 / 0 / 0"),
];

/// Owner changes afterwards; after a cut, of one address.
pub const OWNER_CHANGES: [(&str, &str); 4] = [
    (CUT, "n = 11: 29 / 310 / 773"),
    ("speaker killed again", "n = 3: 2 / 2 / 8"),
    ("speakers rolled out", "n = 2: 298, 368"),
    ("node drained", "n = 6: 1 of each"),
];

/// Stripped, for linux/amd64.
pub const SIZES: [(&str, u64); 2] =
    [("controller, program", 63_819_938), ("speaker, program", 66_375_842)];
