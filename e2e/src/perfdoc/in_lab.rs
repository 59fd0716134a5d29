//! The section on a thousand Services in a real cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::field::{self, COLUMN};
use crate::number::{count, fixed, mebibytes, several, significant};
use crate::page::Page;
use crate::scale::{AtRest, Programs, Scale, Writes};

/// What the test itself writes: the Services, an EndpointSlice for each, and, on the API server's
/// part, the record of each cluster IP.
const BY_THE_TEST: [&str; 3] = ["POST services", "POST endpointslices", "POST ipaddresses"];

pub fn section(page: &mut Page, scale: &Scale) {
    let services = count(scale.services);
    page.heading(&format!("{services} Services in a cluster"));
    page.paragraph(&format!(
        "In the lab: three nodes, control plane, client and all programs share this machine's cores. \
         {services} Services are made at once, by requests over 16 connections (4 in the other run). n = 1, \
         and 1 in the other run."
    ));
    let burst = by_resource(&scale.burst);
    at_once(page, scale, &burst);
    page.paragraph(
        "Writes to the API server in that burst, by its own count, refused ones included; without leases, \
         nodes, and what making the Services itself takes. n = 1, and 1 in the other run.",
    );
    let resources = burst.keys().copied().chain(field::WRITES.map(|(resource, _)| resource));
    let rows = resources.collect::<BTreeSet<_>>().into_iter().map(|resource| {
        let theirs = field::WRITES.iter().find(|(name, _)| *name == resource);
        let theirs = theirs.map_or_else(String::new, |(_, writes)| count(*writes));
        vec![resource.to_owned(), count(burst.get(resource).copied().unwrap_or(0)), theirs]
    });
    page.table(&["Resource", "ferrolb", COLUMN], &rows.collect::<Vec<_>>());
    at_rest(page, scale);
}

fn at_once(page: &mut Page, scale: &Scale, burst: &BTreeMap<&str, u64>) {
    let cpu = |program: &str| {
        let spent = scale.burst_cost.iter().find(|spent| spent.program == program);
        spent.map_or_else(String::new, |spent| several(&spent.cpu_s, |cpu| fixed(cpu, 2)))
    };
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let for_each = burst.values().sum::<u64>() as f64 / scale.services as f64;
    let last_address = fixed(scale.last_address_after_last_creation_s, 2);
    let restart = count(scale.restart.to("services/status"));
    let rows = [
        ("all Services made after, s", fixed(scale.created_s, 1), field::CREATED_S),
        ("last address, after the last was made, s", last_address, field::LAST_ADDRESS_S),
        ("CPU of each controller's processes, s", cpu("controller"), field::BURST_CONTROLLER_CPU_S),
        ("CPU of each speaker, s", cpu("speaker"), field::BURST_SPEAKER_CPU_S),
        (
            "writes for each Service, besides making it",
            significant(for_each),
            field::WRITES_FOR_EACH,
        ),
        ("all writes in an idle minute afterwards", count(scale.idle_writes), ""),
        (
            "writes to Services' status when the controller restarts",
            restart,
            field::RESTART_STATUS_WRITES,
        ),
    ];
    let rows = rows.map(|(what, ours, theirs)| vec![what.to_owned(), ours, theirs.to_owned()]);
    page.table(&["", "ferrolb", COLUMN], &rows);
}

/// Without the test's own.
fn by_resource(writes: &Writes) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::new();
    for write in writes.0.iter().filter(|write| !BY_THE_TEST.contains(&write.kind.as_str())) {
        *sums.entry(write.resource.as_str()).or_default() += write.count;
    }
    sums
}

fn at_rest(page: &mut Page, scale: &Scale) {
    page.paragraph(&format!(
        "At rest: CPU time in 60 s, and resident memory, of each process; of two controllers one works, \
         and each has a second process for the webhook alone. \
         n = 1 minute with 1 Service, and 1 with {}; as many in the other run.",
        count(scale.services)
    ));
    let both = [&scale.with_1, &scale.with_1000];
    let mut rows = Vec::new();
    for theirs in &field::AT_REST {
        let program = theirs.program;
        let ours = |show| both.map(|programs| each_process(programs, program, show));
        let cpu = ours(|process| fixed(process.cpu_s, 2));
        let memory = ours(|process| mebibytes(process.rss_bytes));
        for (what, ours, theirs) in
            [("CPU, s", cpu, theirs.cpu_s), ("memory, MiB", memory, theirs.rss_mib)]
        {
            let mut row = vec![format!("{program}: {what}")];
            row.extend(ours.into_iter().chain(theirs.map(str::to_owned)));
            rows.push(row);
        }
    }
    let (one, many) = (format!("{COLUMN}: 1 Service"), format!("{COLUMN}: 1,000"));
    page.table(&["", "ferrolb: 1 Service", "ferrolb: 1,000", &one, &many], &rows);
}

fn each_process(programs: &Programs, program: &str, show: fn(AtRest) -> String) -> String {
    programs.get(program).map_or_else(String::new, |processes| several(processes, show))
}
