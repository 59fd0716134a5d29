//! Starts what a node runs: containerd, kubelet, kube-proxy. Several nodes share this machine's
//! kernel and file system, so each gets its own folders and sockets, and every default that two
//! of them would fight over is switched off.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::images::PAUSE;
use crate::cluster::Lab;
use crate::plan::{DNS_SERVICE, Node, PODS, PODS6};
use crate::state::{Folder, create_dir, write};

/// The CNI network of a node; clean-up finds its leftovers by this prefix.
pub const NETWORK: &str = "ferrolb-lab-";

pub(super) fn start_runtime(lab: &Lab, node: &Node) -> Result<()> {
    let folder = &lab.folder;
    let networks = folder.node(&node.name, "cni");
    create_dir(&networks)?;
    write(&networks.join("10-lab.conflist"), network(folder, node).to_string())?;
    let config = folder.node(&node.name, "containerd.toml");
    write(&config, runtime(folder, node))?;
    folder.spawn(
        &format!("containerd-{}", node.name),
        &node.namespace,
        Path::new("containerd"),
        &["--config".to_owned(), config.display().to_string()],
    )
}

/// The file system on which overlays are laid decides whether they can be: not on another overlay.
pub(super) fn snapshotter(folder: &Folder) -> &'static str {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let holds = |place: &str| folder.bulk.starts_with(place);
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.nth(1)?, fields.next()?))
        })
        .filter(|(place, _)| holds(place))
        .max_by_key(|(place, _)| place.len())
        .map_or("", |(_, kind)| kind);
    if kind == "overlay" { "native" } else { "overlayfs" }
}

fn runtime(folder: &Folder, node: &Node) -> String {
    let place = |name: &str| folder.node(&node.name, name).display().to_string();
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
# Mounting helpers and checkpoints of other installations are none of our business.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# Not every machine lets even root lower a score.
restrict_oom_score_adj = true
# Pods' network namespaces in this folder and not in the machine's /run/netns: they go with it.
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{runc}"
"#,
        root = folder.bulk.join(&node.name).display(),
        state = place("containerd"),
        socket = folder.socket(&node.name).display(),
        cni = place("cni"),
        runc = place("runc"),
        snapshotter = snapshotter(folder),
    )
}

fn network(folder: &Folder, node: &Node) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": format!("{NETWORK}{}", node.name),
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isDefaultGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    // The default folder would be one for all nodes.
                    "dataDir": folder.node(&node.name, "ipam"),
                    "ranges": [[{"subnet": node.pods}], [{"subnet": node.pods6}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

pub(super) fn start_kubelet(lab: &Lab, node: &Node) -> Result<()> {
    let Lab { folder, facts } = lab;
    let config = folder.node(&node.name, "kubelet.json");
    let resolver = folder.node(&node.name, "resolv.conf");
    // The machine's own would lead pods to servers that do not exist in the lab.
    write(&resolver, format!("nameserver {DNS_SERVICE}\n"))?;
    write(&config, kubelet(folder, node).to_string())?;
    let root = folder.node(&node.name, "kubelet");
    create_dir(&root)?;
    folder.spawn(
        &format!("kubelet-{}", node.name),
        &node.namespace,
        &facts.parts.join("kubelet"),
        &[
            format!("--config={}", config.display()),
            format!("--root-dir={}", root.display()),
            format!("--kubeconfig={}", folder.kubeconfig(&node.name).display()),
            format!("--hostname-override={}", node.name),
            format!("--node-ip={},{}", node.ip, node.ip6),
        ],
    )
}

fn kubelet(folder: &Folder, node: &Node) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"x509": {"clientCAFile": folder.pki("ca.crt")}},
        "tlsCertFile": folder.pki(&format!("{}.crt", node.name)),
        "tlsPrivateKeyFile": folder.pki(&format!("{}.key", node.name)),
        "containerRuntimeEndpoint": format!("unix://{}", folder.socket(&node.name).display()),
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "resolvConf": folder.node(&node.name, "resolv.conf"),
        "podLogsDir": folder.node(&node.name, "pod-logs"),
        "cgroupDriver": "cgroupfs",
        // One tree for all kubelets: with groups per quality of service, each would take the
        // others' pods for orphans and kill them.
        "cgroupRoot": folder.cgroup(),
        "cgroupsPerQOS": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "failCgroupV1": false,
        "localStorageCapacityIsolation": false,
        // A developer's full disk must neither evict the tests nor collect their images.
        "evictionHard": {
            "memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
    })
}

/// kube-proxy on every node and, under the first node's name, on the control plane: what serves
/// the API must reach Services too, and a name without a Node object costs half a minute.
pub(super) fn start_proxies(lab: &Lab) -> Result<()> {
    let plan = &lab.facts.plan;
    for node in plan.kubelets() {
        start_proxy(lab, &node.name, &node.namespace, &node.name)?;
    }
    match plan.nodes.first() {
        Some(node) => start_proxy(lab, &plan.control.name, &plan.control.namespace, &node.name),
        None => Ok(()),
    }
}

fn start_proxy(lab: &Lab, machine: &str, space: &str, node: &str) -> Result<()> {
    let Lab { folder, facts } = lab;
    create_dir(&folder.path(machine))?;
    let config = folder.node(machine, "kube-proxy.json");
    let settings = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node,
        "clusterCIDR": format!("{PODS},{PODS6}"),
        "clientConnection": {"kubeconfig": folder.kubeconfig("proxy")},
        // These kernel parameters belong to the machine, not to a namespace.
        "conntrack": {
            "maxPerCore": 0, "min": 0,
            "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s",
        },
    });
    write(&config, settings.to_string())?;
    folder.spawn(
        &format!("kube-proxy-{machine}"),
        space,
        &facts.parts.join("kube-proxy"),
        &[format!("--config={}", config.display())],
    )
}
