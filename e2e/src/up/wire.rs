//! Lays the wire: one bridge in a namespace of its own, one cable to each machine, routes. Nothing
//! of it exists in the machine's own namespace, where the same addresses may mean something else.

use std::fmt::Write;
use std::process::Command;

use anyhow::Result;

use crate::namespace::{ip, output, sysctl};
use crate::plan::{
    CLIENT, Machine, OBSERVERS6, OUTSIDE, OUTSIDE_HOST, OUTSIDE_ROUTER, POOL, POOL6, Plan, SWITCH,
};

/// The client's table for what comes from outside: tests change how it reaches the pool.
pub(super) const OUTSIDE_TABLE: &str = "77";

pub(super) fn lay(plan: &Plan) -> Result<()> {
    add(SWITCH)?;
    // The switch is a switch: frames that cross it are nobody's business, and it sends none of its own.
    // Its ports would, to whoever is behind them, past the rules of a fault that lets nothing pass: router
    // solicitations and reports of groups, for minutes after a cable was put in.
    let sysctls = [
        ("net/bridge/bridge-nf-call-iptables", "0"),
        ("net/ipv6/conf/all/disable_ipv6", "1"),
        ("net/ipv6/conf/default/disable_ipv6", "1"),
    ];
    sysctl(SWITCH, &sysctls)?;
    // Without spanning tree, and without group snooping, which would swallow neighbour discovery.
    ip(
        SWITCH,
        "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
                link set br0 up\n",
    )?;
    for machine in plan.machines() {
        plug(machine)?;
    }
    // The client is the router of all the others. Each needs a default route even for addresses
    // that never leave it: kube-proxy rewrites a packet to a Service only after the route lookup.
    for machine in plan.machines().filter(|machine| machine.namespace != CLIENT) {
        let Plan { client, .. } = plan;
        ip(
            &machine.namespace,
            &format!("route add default via {}\nroute add default via {}\n", client.ip, client.ip6),
        )?;
    }
    // The pool is on the segment for the client: it asks for those addresses itself.
    ip(CLIENT, &format!("route add {POOL} dev eth0\nroute add {POOL6} dev eth0\n"))?;
    for machine in plan.machines() {
        ip(&machine.namespace, &pod_routes(plan, machine))?;
    }
    lay_outside(plan)
}

/// Makes a machine and plugs it into the switch. Also used for hosts that tests add.
pub fn plug(machine: &Machine) -> Result<()> {
    let Machine { namespace, ip: address, ip6, mac, port, .. } = machine;
    add(namespace)?;
    sysctl(
        namespace,
        &[
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv6/conf/all/forwarding", "1"),
            // Addresses are usable at once; nobody else can have them.
            ("net/ipv6/conf/all/accept_dad", "0"),
            ("net/ipv6/conf/default/accept_dad", "0"),
        ],
    )?;
    ip(
        SWITCH,
        &format!(
            "link add {port} type veth peer name eth0 address {mac} netns {namespace}\n\
         link set {port} master br0\n\
         link set {port} up\n"
        ),
    )?;
    ip(
        namespace,
        &format!(
            "link set lo up\n\
         link set eth0 up\n\
         addr add {address}/24 dev eth0\n\
         addr add {ip6}/64 dev eth0 nodad\n"
        ),
    )?;
    // An answer to an observer, unlike one in ARP, is a packet like any other, and these machines
    // forward: it would be sent back, with a redirect, and asked for. A rule, since the kernel
    // takes link-local addresses from no route that names another interface, as a blackhole does.
    let rule = ["-n", namespace, "-6", "rule", "add", "to", OBSERVERS6, "blackhole"];
    output(Command::new("ip").args(rule)).map(drop)
}

/// Unplugs a machine that [`plug`] made.
pub fn unplug(machine: &Machine) -> Result<()> {
    ip(SWITCH, &format!("link del {}\n", machine.port))?;
    output(Command::new("ip").args(["netns", "del", &machine.namespace])).map(drop)
}

fn add(namespace: &str) -> Result<()> {
    output(Command::new("ip").args(["netns", "add", namespace])).map(drop)
}

/// The other nodes' pods, each behind its node.
fn pod_routes(plan: &Plan, machine: &Machine) -> String {
    let mut script = String::new();
    for node in plan.nodes.iter().filter(|node| node.machine != *machine) {
        let _ = writeln!(script, "route add {} via {}", node.pods, node.ip);
        let _ = writeln!(script, "route add {} via {}", node.pods6, node.ip6);
    }
    script
}

/// A host behind the client, for which the pool lies behind the first node.
fn lay_outside(plan: &Plan) -> Result<()> {
    add(OUTSIDE)?;
    ip(
        CLIENT,
        &format!(
            "link add out0 type veth peer name eth0 netns {OUTSIDE}\n\
         link set out0 up\n\
         addr add {OUTSIDE_ROUTER}/24 dev out0\n\
         rule add iif out0 lookup {OUTSIDE_TABLE}\n"
        ),
    )?;
    ip(
        OUTSIDE,
        &format!(
            "link set lo up\n\
         link set eth0 up\n\
         addr add {OUTSIDE_HOST}/24 dev eth0\n\
         route add default via {OUTSIDE_ROUTER}\n"
        ),
    )?;
    match plan.nodes.first() {
        Some(node) => route_outside(node),
        None => Ok(()),
    }
}

/// Sends what comes from outside for the pool to this node, whoever owns the address.
pub fn route_outside(node: &Machine) -> Result<()> {
    ip(CLIENT, &format!("route replace {POOL} via {} table {OUTSIDE_TABLE}\n", node.ip))
}
