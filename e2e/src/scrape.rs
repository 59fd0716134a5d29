//! Reads the programs' metrics as Prometheus does: over TLS, with the token of a service account.

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Lab;
use crate::config::{Config, NAMESPACE};
use crate::namespace::{feed, inside};
use crate::plan::Node;
use crate::temp_ns::TempNamespace;
use crate::wait::{Look, SOON, until};

/// Longer than a program waits for the API server.
const MAX_TIME: &str = "15";

/// By the chart's default.
const PORT: u16 = 9120;
const WEBHOOK_PORT: u16 = 9121;

/// Where a program tells its metrics, and from which of the lab's namespaces it is asked.
#[derive(Debug)]
pub struct Target {
    namespace: String,
    address: String,
    port: u16,
}

impl Target {
    /// The speaker of this node; asked on the node itself.
    pub fn speaker(node: &Node) -> Self {
        Self { namespace: node.namespace.clone(), address: node.ip.to_string(), port: PORT }
    }

    /// One of the controllers; asked from its own node, which reaches all of its pods.
    pub fn controller(lab: &Lab) -> Result<Self> {
        Self::in_pod(lab, PORT)
    }

    /// The container beside it, which only serves the webhook.
    pub fn webhook(lab: &Lab) -> Result<Self> {
        Self::in_pod(lab, WEBHOOK_PORT)
    }

    fn in_pod(lab: &Lab, port: u16) -> Result<Self> {
        let path = "jsonpath={.items[0].spec.nodeName} {.items[0].status.podIP}";
        let label = "app.kubernetes.io/component=controller";
        let pod = lab.kubectl(&["-n", NAMESPACE, "get", "pods", "-l", label, "-o", path])?;
        let (node, ip) = pod.split_once(' ').context("a controller without a node")?;
        let namespace = lab.node(node)?.namespace.clone();
        Ok(Self { namespace, address: ip.trim().to_owned(), port })
    }

    /// What comes of asking with this token: the HTTP status, and the body. The certificate is one
    /// that the program made itself, so it is not checked.
    pub fn ask(&self, token: Option<&str>) -> Result<(u16, String)> {
        let url = format!("https://{}:{}/metrics", self.address, self.port);
        let mut command = inside(&self.namespace, "curl");
        command.args(["--silent", "--show-error", "--insecure", "--max-time", MAX_TIME]);
        // The token by standard input: the arguments are printed when something fails.
        command.args(["--header", "@-", "--write-out", "\n%{http_code}", &url]);
        let header = token.map(|token| format!("Authorization: Bearer {token}\n"));
        let printed = feed(&mut command, &header.unwrap_or_default())?;
        let (body, status) = printed.rsplit_once('\n').context("curl tells no status")?;
        Ok((status.parse()?, body.to_owned()))
    }
}

/// A service account of a test's own namespace, and its token.
#[derive(Debug)]
pub struct Reader {
    token: String,
    _right: Option<Config>,
}

impl Reader {
    /// One that may read metrics, for as long as this is there. Waits until the API server says so:
    /// a program that hears otherwise believes it for half a minute.
    pub async fn allowed(space: &TempNamespace, name: &str) -> Result<Self> {
        let right = right(&space.name, name);
        let right = Config::apply(space.lab(), &right)?;
        let token = token(space, name)?;
        let user = format!("--as=system:serviceaccount:{}:{name}", space.name);
        until(SOON, "the right to read metrics", async || {
            space.lab().kubectl(&["auth", "can-i", "get", "/metrics", &user]).map(Look::Seen)
        })
        .await?;
        Ok(Self { token, _right: Some(right) })
    }

    /// One that may do nothing.
    pub fn without_rights(space: &TempNamespace, name: &str) -> Result<Self> {
        Ok(Self { token: token(space, name)?, _right: None })
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The metrics of `target`.
    pub fn scrape(&self, target: &Target) -> Result<String> {
        let (status, body) = target.ask(Some(&self.token))?;
        ensure!(status == 200, "{target:?} answers with {status}: {body}");
        Ok(body)
    }
}

fn token(space: &TempNamespace, account: &str) -> Result<String> {
    space.kubectl(&["create", "serviceaccount", account])?;
    Ok(space.kubectl(&["create", "token", account, "--duration=1h"])?.trim().to_owned())
}

/// The right to read metrics, for this account of this namespace; what is not of a namespace has a
/// name that no other test uses.
fn right(namespace: &str, account: &str) -> String {
    format!(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {namespace}-{account}}}
rules:
- nonResourceURLs: ["/metrics"]
  verbs: ["get"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {namespace}-{account}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {namespace}-{account}}}
subjects:
- {{kind: ServiceAccount, namespace: {namespace}, name: {account}}}
"#
    )
}

/// The value of a series in a text that was scraped: `name` or `name{label="value"}`, as it stands
/// there.
pub fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name() {
        let text = "# TYPE a gauge\na_b 1\na{x=\"y\"} 2\na 3\n";
        assert_eq!(value(text, "a"), Some(3.0));
        assert_eq!(value(text, "a{x=\"y\"}"), Some(2.0));
        assert_eq!(value(text, "b"), None);
    }
}
