//! The lab as a test sees it: its nodes, and the ways to talk to its API.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::kubectl;
use crate::namespace::{self, inside, output};
use crate::plan::{CLIENT, Node};
use crate::process::Process;
use crate::state::{Facts, Folder};

/// A lab that is up.
#[derive(Debug, Clone)]
pub struct Lab {
    pub folder: Folder,
    pub facts: Facts,
}

impl Lab {
    /// The lab that is up, whoever asks.
    pub fn find() -> Result<Self> {
        let folder = Folder::from_env();
        let facts = folder.facts()?;
        Ok(Self { folder, facts })
    }

    /// The lab, for a test: which has to run in the client's namespace, as `lab run` does it.
    pub fn attach() -> Result<Self> {
        const HOW: &str =
            "run the tests with `make e2e`, or one with `lab up` and `lab run -- ...`";
        let lab = Self::find().context(HOW)?;
        let client = fs::metadata(namespace::path(CLIENT)).context(HOW)?.ino();
        if Process::this()?.network() != Some(client) {
            bail!("not in the client's network namespace; {HOW}");
        }
        Ok(lab)
    }

    pub fn nodes(&self) -> &[Node] {
        &self.facts.plan.nodes
    }

    pub fn node(&self, name: &str) -> Result<&Node> {
        self.nodes().iter().find(|node| node.name == name).with_context(|| format!("node {name}?"))
    }

    /// The node whose interface has this MAC.
    pub fn node_with_mac(&self, mac: &str) -> Option<&Node> {
        self.nodes().iter().find(|node| node.mac.eq_ignore_ascii_case(mac))
    }

    /// A command with the lab's tools and configuration, inside the client's namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = inside(CLIENT, program);
        self.equip(&mut command);
        command
    }

    /// Gives a command the lab's tools and configuration.
    pub fn equip(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/sbin:/usr/bin:/sbin:/bin".into());
        command
            .env("KUBECONFIG", self.folder.kubeconfig("admin"))
            .env(crate::state::VARIABLE, &self.folder.root)
            .env("PATH", format!("{}:{path}", self.facts.parts.display()));
    }

    /// Runs kubectl; returns what it printed.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        kubectl::run(&self.folder, args)
    }

    /// `kubectl apply` of this text.
    pub fn apply(&self, yaml: &str) -> Result<String> {
        self.feed(&["apply", "-f", "-"], yaml)
    }

    /// Runs kubectl with this input, which an argument `-` stands for; returns what it printed.
    pub fn feed(&self, args: &[&str], input: &str) -> Result<String> {
        kubectl::feed(&self.folder, args, input)
    }

    /// Runs helm; returns what it printed.
    pub fn helm(&self, args: &[&str]) -> Result<String> {
        output(self.command("helm").args(args))
    }

    /// A client of the API, as the administrator.
    pub async fn kube_client(&self) -> Result<kube::Client> {
        use kube::config::{KubeConfigOptions, Kubeconfig};

        let file = Kubeconfig::read_from(self.folder.kubeconfig("admin"))?;
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options).await?;
        // Tests stop the API server on purpose; a request to it has to end some time.
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(Duration::from_secs(30));
        Ok(kube::Client::try_from(config)?)
    }
}
