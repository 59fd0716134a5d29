//! Decides what each test needs, and which command it is part of. Pure: tables, read from top to
//! bottom. A test that none of them names needs a cluster with ferrolb and is part of `make test`, so a
//! new one has to be named here only if it is unusual.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use clap::ValueEnum;

/// What must be there for a test, and what must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// No cluster: it makes its own network namespaces.
    Namespaces,
    /// A cluster with ferrolb in it; it bears whatever runs beside it.
    Cluster,
    /// A cluster without ferrolb, and the images of MetalLB; it bears the same.
    Fresh,
    /// A cluster with ferrolb, and beside it nothing but tests that wait as much as it does: it judges
    /// times of milliseconds.
    Quiet,
    /// The same, and nothing beside it: it keeps all processors busy.
    Alone,
    /// As [`Self::Alone`], in a cluster without ferrolb.
    Changeover,
}

/// The command that a test is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// `make test`: what every change must pass.
    Test,
    /// `make test-long`: repetitions, variants, and long quiet times.
    Long,
}

use Needs::{Alone, Changeover, Cluster, Fresh, Namespaces, Quiet};

/// Tests by the beginnings of their names. The first line that fits counts.
const NEEDS: &[(&str, Needs)] = &[
    ("netns_", Namespaces),
    ("manifests::", Fresh),
    ("takeover::", Changeover),
    ("agent::", Quiet),
    ("arp::a_new_owner", Quiet),
    ("drain::", Quiet),
    ("dual_stack::a_drained_node_hands_over_both_families", Quiet),
    ("dual_stack::a_killed_speaker", Quiet),
    ("dual_stack::both_addresses_go_to_one_node", Quiet),
    ("dual_stack::ipv6_addresses_are_spread", Quiet),
    ("duplicate::an_owner_keeps_its_address", Quiet),
    ("failover::", Quiet),
    ("failover_many::", Alone),
    ("lab::a_cut_node_falls_silent", Quiet),
    ("lab::every_machine_answers", Quiet),
    ("lab::thirty_addresses", Quiet),
    ("lab::two_hosts_with_one_address", Quiet),
    ("placement::an_excluded_node", Quiet),
    ("rollout::", Alone),
    ("scale::", Alone),
    ("split::", Quiet),
    ("spread::", Quiet),
    ("traffic_policy::an_ingress", Quiet),
];

/// Tests of `make test-long`, and what covers the same in `make test`.
const LONG: &[(&str, &str)] = &[
    (
        "agent::a_killed_speaker_costs_a_fifth_of_a_second_however_long_it_stays_away",
        "dual_stack::a_killed_speaker_moves_no_address_of_either_family",
    ),
    (
        "drain::a_node_marked_for_draining_hands_over_and_says_so",
        "dual_stack::a_drained_node_hands_over_both_families",
    ),
    (
        "dual_stack::ipv6_addresses_are_spread_and_survive_the_death_of_a_node",
        "dual_stack::both_addresses_go_to_one_node_when_theirs_dies",
    ),
    (
        "failover::a_node_whose_cable_is_pulled_is_replaced_within_a_second",
        "dual_stack::both_addresses_go_to_one_node_when_theirs_dies",
    ),
    (
        "failover::a_node_behind_a_dead_switch_is_replaced_within_a_second",
        "dual_stack::both_addresses_go_to_one_node_when_theirs_dies",
    ),
    (
        "failover_many::a_thousand_addresses_of_a_dead_node_are_answered_within_two_seconds",
        "failover_many::hundreds_of_addresses_of_a_dead_node_are_answered_within_two_seconds",
    ),
    (
        "idle::nothing_is_written_in_an_idle_minute_nor_after_a_pod_was_replaced",
        "idle::nothing_is_written_while_nothing_happens_nor_after_a_pod_was_replaced",
    ),
    (
        "rollout::a_rollout_of_the_speakers_changes_no_mac_and_fails_no_request",
        "rollout::nor_do_three_with_addresses_of_both_families_that_change_the_key",
    ),
    (
        "rollout::nor_does_a_key_that_is_changed_in_one_step_and_followed",
        "rollout::nor_do_three_with_addresses_of_both_families_that_change_the_key",
    ),
    (
        "scale::a_thousand_services_get_addresses_at_once_and_then_nothing_is_written",
        "scale::hundreds_of_services_get_addresses_at_once_and_then_nothing_is_written",
    ),
    (
        "spread::a_node_that_goes_on_coming_and_going_loses_each_address_once",
        "spread::a_node_that_comes_and_goes_loses_each_address_once_and_waits_for_the_plan",
    ),
    (
        "takeover::from_metallb_as_its_manifests_install_it_and_back",
        "takeover::from_metallb_as_helm_installs_it_and_back",
    ),
];

/// What the test of this name needs.
pub fn needs(name: &str) -> Needs {
    NEEDS.iter().find(|(start, _)| name.starts_with(start)).map_or(Cluster, |(_, needs)| *needs)
}

/// The command that the test of this name is part of.
pub fn part(name: &str) -> Part {
    if LONG.iter().any(|(long, _)| *long == name) { Part::Long } else { Part::Test }
}

/// Every line of the tables must fit one of these tests, or it has outlived it; what covers a long test
/// must be a short one.
pub fn check<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: BTreeSet<&str> = names.collect();
    for (start, _) in NEEDS {
        let fits = names.iter().any(|name| name.starts_with(start));
        ensure!(fits, "runner/plan.rs: no test's name begins with {start}");
    }
    for (long, covered) in LONG {
        ensure!(names.contains(long), "runner/plan.rs: there is no test {long}");
        let is_covered = names.contains(covered) && part(covered) == Part::Test;
        ensure!(is_covered, "runner/plan.rs: {covered}, for {long}, is no test of make test");
    }
    Ok(())
}
