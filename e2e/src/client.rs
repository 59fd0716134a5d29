//! The client: what a person at a host on the segment would type, and what came of it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Lab;
use crate::namespace::{inside, output};
use crate::observer::Mac;
use crate::plan::{CLIENT, OUTSIDE};
use crate::wait::{Look, SOON, until};

/// The body of a page, asked for from the client; three seconds at most.
pub fn curl(url: &str) -> Result<String> {
    curl_from(CLIENT, url)
}

/// The same from outside the segment.
pub fn curl_from_outside(url: &str) -> Result<String> {
    curl_from(OUTSIDE, url)
}

/// The same from any namespace of the lab.
pub fn curl_from(namespace: &str, url: &str) -> Result<String> {
    // --globoff: the brackets of an IPv6 address are no pattern.
    let args = ["--silent", "--show-error", "--fail", "--globoff", "--max-time", "3", url];
    output(inside(namespace, "curl").args(args)).map(|body| body.trim_end().to_owned())
}

/// Where a web server at this address has its page.
pub fn page(ip: IpAddr) -> String {
    format!("http://{}/index.html", SocketAddr::from((ip, 80)))
}

/// Fetches a page again and again until all these servers have answered; the Service's
/// rules may come a moment after its address.
pub async fn curl_reaches(url: &str, servers: &BTreeSet<String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    until(SOON, &format!("{servers:?} at {url}"), async || {
        seen.insert(curl(url)?);
        Ok(Look::when((seen == *servers).then_some(()), || format!("{seen:?}")))
    })
    .await
}

/// The MACs that answer `arping`, in order of arrival. For IPv4.
pub fn arping(ip: IpAddr, times: u32) -> Result<Vec<Mac>> {
    ensure!(ip.is_ipv4(), "there is no ARP for {ip}");
    let (count, limit) = (times.to_string(), (times + 1).to_string());
    let mut command = inside(CLIENT, "arping");
    command.args(["-I", "eth0", "-c", &count, "-w", &limit, &ip.to_string()]);
    // It exits with an error when nobody answers, which is an answer too.
    let printed = command.output()?;
    Ok(bracketed_macs(&String::from_utf8_lossy(&printed.stdout)))
}

/// iputils prints `Unicast reply from 172.17.255.1 [02:F1:B0:00:00:0B]  0.6ms`.
fn bracketed_macs(text: &str) -> Vec<Mac> {
    text.lines()
        .filter_map(|line| line.split_once('[')?.1.split_once(']')?.0.parse().ok())
        .collect()
}

/// The MACs that answer `ndisc6` within a second, each once: to it an announcement in that second is
/// an answer too. For IPv6.
pub fn ndisc6(ip: IpAddr) -> Result<Vec<Mac>> {
    ensure!(ip.is_ipv6(), "there is no neighbour discovery for {ip}");
    let mut command = inside(CLIENT, "ndisc6");
    // All that answer one question; numbers, since no name server is here.
    command.args(["-m", "-q", "-n", "-r", "1", &ip.to_string(), "eth0"]);
    // It exits with an error when nobody answers, which is an answer too.
    let printed = command.output()?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let silent = printed.status.code() == Some(2);
    ensure!(printed.status.success() || silent, "{}", String::from_utf8_lossy(&printed.stderr));
    let mut macs = text.lines().map(str::parse).collect::<Result<Vec<Mac>>>()?;
    macs.sort_unstable();
    macs.dedup();
    Ok(macs)
}

/// What the client's neighbour cache holds for an address.
pub fn neighbour(ip: IpAddr) -> Result<Option<Mac>> {
    neighbour_entry(ip).map(|text| cached_mac(&text))
}

/// The state of that entry: `REACHABLE`, `STALE`; empty without one.
pub fn neighbour_state(ip: IpAddr) -> Result<String> {
    let text = neighbour_entry(ip)?;
    Ok(text.split_whitespace().last().unwrap_or_default().to_owned())
}

/// Puts the client's entry for an address in this state: `stale`, or `probe`, in which the kernel
/// asks the neighbour that it knows whether it is still there.
pub fn set_neighbour_state(ip: IpAddr, state: &str) -> Result<()> {
    let (mac, ip) = (neighbour(ip)?.context("no such neighbour")?.to_string(), ip.to_string());
    let entry = ["-n", CLIENT, "neigh", "change", &ip, "lladdr", &mac, "dev", "eth0", "nud", state];
    output(Command::new("ip").args(entry)).map(drop)
}

fn neighbour_entry(ip: IpAddr) -> Result<String> {
    // Without the device it would tell nothing of an IPv6 address.
    let entry = ["-n", CLIENT, "neigh", "show", "to", &ip.to_string(), "dev", "eth0"];
    output(Command::new("ip").args(entry))
}

fn cached_mac(text: &str) -> Option<Mac> {
    text.split_once("lladdr ")?.1.split_whitespace().next()?.parse().ok()
}

/// Empties the client's neighbour cache, so that the next packet asks anew.
pub fn forget_neighbours() -> Result<()> {
    output(Command::new("ip").args(["-n", CLIENT, "neigh", "flush", "all"])).map(drop)
}

/// Resolves a name at this server from a namespace; over TCP when told to.
pub fn dig(namespace: &str, server: Ipv4Addr, name: &str, tcp: bool) -> Result<String> {
    let server = format!("@{server}");
    let mut command = inside(namespace, "dig");
    command.args(["+short", "+time=2", "+tries=1", &server, name]);
    if tcp {
        command.arg("+tcp");
    }
    output(&mut command).map(|text| text.trim().to_owned())
}

impl Lab {
    /// Sends what comes from outside for the pool through this node.
    pub fn route_outside_via(&self, node: &str) -> Result<()> {
        crate::up::route_outside(self.node(node)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(page([192, 0, 2, 1].into()), "http://192.0.2.1:80/index.html");
        assert_eq!(page("fd17::1".parse().unwrap()), "http://[fd17::1]:80/index.html");
    }

    #[test]
    fn reads_arping() {
        let text = "ARPING 172.17.255.1 from 172.18.0.1 eth0\n\
                    Unicast reply from 172.17.255.1 [02:F1:B0:00:00:0B]  0.6ms\n\
                    Sent 1 probes (1 broadcast(s))\n";
        assert_eq!(bracketed_macs(text), [Mac([2, 0xf1, 0xb0, 0, 0, 0x0b])]);
    }

    #[test]
    fn reads_the_neighbour_cache() {
        let text = "172.18.0.11 dev eth0 lladdr 02:f1:b0:00:00:0b REACHABLE\n";
        assert_eq!(cached_mac(text), Some(Mac([2, 0xf1, 0xb0, 0, 0, 0x0b])));
        assert_eq!(cached_mac("172.18.0.12 dev eth0 FAILED\n"), None);
        assert_eq!(cached_mac(""), None);
    }
}
