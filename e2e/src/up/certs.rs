//! Issues the keys and certificates of a cluster, and the configuration files that hold them.
//! Fresh for each lab; nothing here is worth protecting beyond its folder's rights.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

use crate::plan::{API_PORT, API_SERVICE, Plan};
use crate::state::{Folder, write};

type Authority = Issuer<'static, KeyPair>;

pub(super) fn issue(folder: &Folder, plan: &Plan) -> Result<()> {
    let authority = found(folder)?;
    // The key that signs service account tokens.
    let key = KeyPair::generate()?;
    write(&folder.pki("service-accounts.key"), key.serialize_pem())?;
    write(&folder.pki("service-accounts.pub"), key.public_key_pem())?;

    let names = [
        "kubernetes".to_owned(),
        "kubernetes.default".to_owned(),
        "kubernetes.default.svc".to_owned(),
        "kubernetes.default.svc.cluster.local".to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        API_SERVICE.to_string(),
        plan.control.ip.to_string(),
        plan.control.ip6.to_string(),
    ];
    certify(folder, &authority, "apiserver", "kube-apiserver", "", &names)?;
    // The API server itself, when it asks kubelets for logs.
    certify(folder, &authority, "apiserver-client", "kube-apiserver", "system:masters", &[])?;

    let users = [
        ("admin", "admin", "system:masters"),
        ("controller-manager", "system:kube-controller-manager", ""),
        ("scheduler", "system:kube-scheduler", ""),
        ("proxy", "system:kube-proxy", ""),
    ];
    for (who, name, group) in users {
        certify(folder, &authority, who, name, group, &[])?;
        configure(folder, plan, who)?;
    }
    for node in &plan.nodes {
        let name = format!("system:node:{}", node.name);
        let addresses = [node.ip.to_string(), node.ip6.to_string(), node.name.clone()];
        // One certificate for both roles: the kubelet serves, and it is a client.
        certify(folder, &authority, &node.name, &name, "system:nodes", &addresses)?;
        configure(folder, plan, &node.name)?;
    }
    Ok(())
}

fn found(folder: &Folder) -> Result<Authority> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "ferrolb-lab");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    write(&folder.pki("ca.crt"), params.self_signed(&key)?.pem())?;
    Ok(Issuer::new(params, key))
}

/// Writes `FILE.crt` and `FILE.key` for a name, its group and its addresses.
fn certify(
    folder: &Folder,
    authority: &Authority,
    file: &str,
    name: &str,
    group: &str,
    addresses: &[String],
) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(addresses)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if !group.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    write(&folder.pki(&format!("{file}.crt")), params.signed_by(&key, authority)?.pem())?;
    write(&folder.pki(&format!("{file}.key")), key.serialize_pem())
}

/// A kubeconfig for the owner of a certificate. JSON is YAML.
fn configure(folder: &Folder, plan: &Plan, who: &str) -> Result<()> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": who}}],
        "clusters": [{"name": "lab", "cluster": {
            "server": format!("https://{}:{API_PORT}", plan.control.ip),
            "certificate-authority": folder.pki("ca.crt"),
        }}],
        "users": [{"name": who, "user": {
            "client-certificate": folder.pki(&format!("{who}.crt")),
            "client-key": folder.pki(&format!("{who}.key")),
        }}],
    });
    write(&folder.kubeconfig(who), serde_json::to_string_pretty(&config)?)
}
