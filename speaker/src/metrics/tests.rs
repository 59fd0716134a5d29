//! What Prometheus reads.

use prometheus::TextEncoder;

use crds::model::ids::PoolName;

use super::*;
use crate::announce::table::{Answer, Entry, Links};
use crate::engine::{self, Announcement};
use crate::io::clock::Clock;

mod ports;
mod services;

fn text(metrics: &Metrics) -> String {
    TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap()
}

#[test]
fn series_come_and_go_with_what_they_are_about() {
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    let deadline = Deadline::new(Clock::new());
    let metrics = Metrics::new("n1", Arc::clone(&table), deadline).unwrap();
    let entry = Entry { links: Links::All, answer: Answer::Own };
    let next = Table::following(&table.load(), [([192, 0, 2, 1], entry)]);
    next.iter().for_each(|(_, announced)| announced.counters.count_request());
    table.store(Arc::new(next));
    let service = ServiceKey::new("default", "web");
    let announcement = Announcement {
        uid: String::new(),
        addresses: vec![[192, 0, 2, 1].into()],
        pool: PoolName::from("p"),
        interfaces: [].into(),
        links: [].into(),
        claim: 1,
    };
    metrics.set_standing(service.clone(), Some(&Standing::Announced(announcement)));
    metrics.set_members(3, true);
    metrics.config.set(true);
    for _ in 0..2 {
        metrics.count_conflict([192, 0, 2, 1].into());
    }
    metrics.set_description(&Description {
        state: engine::State::Draining,
        returns: 3,
        waiting: [[192, 0, 2, 1].into()].into(),
        ..Description::default()
    });
    let shown = text(&metrics);
    for line in [
        "metallb_layer2_requests_received{ip=\"192.0.2.1\"} 1",
        "metallb_layer2_responses_sent{ip=\"192.0.2.1\"} 0",
        "metallb_layer2_gratuitous_sent{ip=\"192.0.2.1\"} 0",
        "metallb_k8s_client_update_errors_total 0",
        "metallb_speaker_announced{ip=\"192.0.2.1\",node=\"n1\",protocol=\"layer2\",service=\"default/web\"} 1",
        "metallb_k8s_client_config_loaded_bool 1",
        "metallb_k8s_client_config_stale_bool 0",
        "ferrolb_speaker_mesh_frames_total{outcome=\"unsealed\"} 0",
        "ferrolb_address_conflicts_total{ip=\"192.0.2.1\"} 2",
        "ferrolb_speaker_state{state=\"draining\"} 1",
        "ferrolb_speaker_returns_total 3",
        "ferrolb_speaker_state{state=\"active\"} 0",
        "ferrolb_speaker_services{standing=\"announced\"} 1",
        "ferrolb_speaker_announcements_begun_total 1",
        "ferrolb_speaker_probes_total{outcome=\"free\"} 0",
        "ferrolb_speaker_waiting_addresses 1",
        "ferrolb_speaker_may_answer 0",
        "ferrolb_speaker_members 3",
        "ferrolb_speaker_sees_most 1",
        "metallb_k8s_client_updates_total 0",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    table.store(Arc::new(Table::default()));
    metrics.set_standing(service, None);
    metrics.retain_conflicts(|_| false);
    let shown = text(&metrics);
    assert!(!shown.contains("192.0.2.1") && !shown.contains("standing="), "{shown}");
}

#[tokio::test]
async fn the_mesh_has_a_series_for_lost_datagrams_where_there_is_one() {
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    let metrics = Metrics::new("n1", table, Deadline::new(Clock::new())).unwrap();
    let name = "\nferrolb_speaker_mesh_send_errors_total";
    assert!(!text(&metrics).contains(name));
    metrics.set_mesh_socket(MeshSocket::bind(([127, 0, 0, 1], 0).into()).await.unwrap());
    assert!(text(&metrics).contains(&format!("{name} 0\n")));
}
