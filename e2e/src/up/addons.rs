//! Puts into the cluster what every cluster has: DNS at its usual Service, and the service account
//! without which no pod can be made.

use anyhow::Result;

use super::await_in;
use crate::cluster::Lab;
use crate::plan::DNS_SERVICE;
use crate::wait::Look;

const DNS: &str = include_str!("../../manifests/coredns.yaml");

pub(super) fn apply(lab: &Lab) -> Result<()> {
    lab.apply(&DNS.replace("DNS_SERVICE", &DNS_SERVICE.to_string())).map(drop)
}

pub(super) fn await_ready(lab: &Lab) -> Result<()> {
    // The controllers make it some seconds after their start; pods are refused until then.
    await_in(lab, "the default service account", || {
        lab.kubectl(&["get", "serviceaccount", "default"]).map(Look::Seen)
    })?;
    await_in(lab, "cluster DNS", || {
        let path = "jsonpath={.status.readyReplicas}";
        let ready = lab.kubectl(&["-n", "kube-system", "get", "deploy", "coredns", "-o", path])?;
        Ok(Look::when((ready == "1").then_some(()), || {
            lab.kubectl(&["-n", "kube-system", "get", "pods,events"])
                .unwrap_or_else(|error| error.to_string())
        }))
    })
}
