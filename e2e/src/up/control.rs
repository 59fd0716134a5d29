//! Starts the control plane. It is a machine of its own without a kubelet; its kube-proxy is
//! needed all the same, or the API server could reach no webhook behind a Service.

use anyhow::Result;

use super::await_in;
use crate::cluster::Lab;
use crate::plan::{API_PORT, SERVICES, SERVICES6};
use crate::state::Folder;
use crate::wait::Look;

const ETCD: &str = "http://127.0.0.1:2379";
const PEER: &str = "http://127.0.0.1:2380";

pub(super) fn start_api(lab: &Lab) -> Result<()> {
    let Lab { folder, facts } = lab;
    let control = &facts.plan.control;
    let start = |name: &str, args: Vec<String>| {
        folder.spawn(name, &control.namespace, &facts.parts.join(name), &args)
    };
    start(
        "etcd",
        vec![
            format!("--data-dir={}", folder.bulk.join("etcd").display()),
            format!("--listen-client-urls={ETCD}"),
            format!("--advertise-client-urls={ETCD}"),
            format!("--listen-peer-urls={PEER}"),
            format!("--initial-advertise-peer-urls={PEER}"),
            format!("--initial-cluster=default={PEER}"),
            // The lab is thrown away: nothing in it has to survive a power cut.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ],
    )?;
    let pki = |name: &str| folder.pki(name).display().to_string();
    start(
        "kube-apiserver",
        vec![
            format!("--etcd-servers={ETCD}"),
            format!("--bind-address={}", control.ip),
            format!("--advertise-address={}", control.ip),
            format!("--secure-port={API_PORT}"),
            format!("--service-cluster-ip-range={SERVICES},{SERVICES6}"),
            format!("--tls-cert-file={}", pki("apiserver.crt")),
            format!("--tls-private-key-file={}", pki("apiserver.key")),
            format!("--client-ca-file={}", pki("ca.crt")),
            format!("--kubelet-certificate-authority={}", pki("ca.crt")),
            format!("--kubelet-client-certificate={}", pki("apiserver-client.crt")),
            format!("--kubelet-client-key={}", pki("apiserver-client.key")),
            // Without it the controllers look for it again and again before they start.
            format!("--requestheader-client-ca-file={}", pki("ca.crt")),
            "--requestheader-allowed-names=front-proxy".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            // Node names resolve nowhere; without this, `kubectl logs` and `exec` try to.
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            format!("--service-account-key-file={}", pki("service-accounts.pub")),
            format!("--service-account-signing-key-file={}", pki("service-accounts.key")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--cert-dir={}", folder.path("pki").display()),
        ],
    )
}

pub(super) fn await_api(lab: &Lab) -> Result<()> {
    await_in(lab, "the API server", || lab.kubectl(&["get", "--raw", "/readyz"]).map(Look::Seen))
        .map(drop)
}

pub(super) fn start_controllers(lab: &Lab) -> Result<()> {
    let Lab { folder, facts } = lab;
    let space = &facts.plan.control.namespace;
    let pki = |name: &str| folder.pki(name).display().to_string();
    let mut manager = as_user(folder, "controller-manager");
    manager.extend([
        format!("--service-account-private-key-file={}", pki("service-accounts.key")),
        format!("--root-ca-file={}", pki("ca.crt")),
        "--use-service-account-credentials=true".to_owned(),
    ]);
    if lab.nodes().iter().any(|node| node.bare) {
        // Nobody reports for nodes without a kubelet: they stay as they were registered.
        manager.push("--node-monitor-grace-period=24h".to_owned());
    }
    let name = "kube-controller-manager";
    folder.spawn(name, space, &facts.parts.join(name), &manager)?;
    let name = "kube-scheduler";
    folder.spawn(name, space, &facts.parts.join(name), &as_user(folder, "scheduler"))
}

/// The arguments both controllers take: who they are, and that they are the only one.
fn as_user(folder: &Folder, who: &str) -> Vec<String> {
    let config = folder.kubeconfig(who).display().to_string();
    vec![
        format!("--kubeconfig={config}"),
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        format!("--cert-dir={}", folder.path("pki").display()),
        "--bind-address=127.0.0.1".to_owned(),
        "--leader-elect=false".to_owned(),
    ]
}
