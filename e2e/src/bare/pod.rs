//! What a Pod asks the kubelet for: files, arguments, environment.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client, ResourceExt as _};

use crate::config::NAMESPACE;
use crate::plan::Node;
use crate::state::{create_dir, write};

/// Everything that is the same on all nodes.
pub(super) struct Recipe {
    pub(super) account: String,
    args: Vec<String>,
    env: Vec<core::EnvVar>,
    /// Where the program expects each volume, and the files in it.
    volumes: BTreeMap<String, Files>,
}

type Files = BTreeMap<String, Vec<u8>>;

/// What the program is started with on one node.
pub(super) struct Start {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

impl Recipe {
    pub(super) async fn read(client: &Client, pod: core::PodSpec) -> Result<Self> {
        let container = pod.containers.into_iter().next().context("no container")?;
        let mut volumes = BTreeMap::new();
        for mount in container.volume_mounts.unwrap_or_default() {
            let named = |it: &&core::Volume| it.name == mount.name;
            let volume = pod.volumes.iter().flatten().find(named).context("no such volume")?;
            volumes.insert(mount.mount_path, contents(client, volume).await?);
        }
        Ok(Self {
            account: pod.service_account_name.unwrap_or_else(|| "default".to_owned()),
            args: container.args.unwrap_or_default(),
            env: container.env.unwrap_or_default(),
            volumes,
        })
    }

    /// Lays the files under `folder`; gives arguments and environment that lead to them.
    pub(super) fn cook(&self, folder: &Path, node: &Node, pod: &core::Pod) -> Result<Start> {
        let mut places = Vec::new();
        for (number, (mounted, files)) in self.volumes.iter().enumerate() {
            let place = folder.join(format!("volume-{number}"));
            create_dir(&place)?;
            for (name, bytes) in files {
                write(&place.join(name), bytes)?;
            }
            places.push((mounted, place.display().to_string()));
        }
        let moved = |text: &str| {
            places.iter().fold(text.to_owned(), |text, (from, to)| text.replace(*from, to))
        };
        let args = self.args.iter().map(|arg| moved(arg)).collect();
        let value = |it: &core::EnvVar| Ok((it.name.clone(), moved(&value(it, node, pod)?)));
        let env = self.env.iter().map(value).collect::<Result<_>>()?;
        Ok(Start { args, env })
    }
}

fn value(variable: &core::EnvVar, node: &Node, pod: &core::Pod) -> Result<String> {
    let from = variable.value_from.as_ref().and_then(|source| source.field_ref.as_ref());
    let Some(field) = from else {
        return Ok(variable.value.clone().unwrap_or_default());
    };
    Ok(match field.field_path.as_str() {
        "metadata.name" => pod.name_any(),
        "metadata.namespace" => NAMESPACE.to_owned(),
        "metadata.uid" => pod.uid().unwrap_or_default(),
        "spec.nodeName" => node.name.clone(),
        "status.hostIP" | "status.podIP" => node.ip.to_string(),
        other => bail!("{}: no value is known for {other}", variable.name),
    })
}

async fn contents(client: &Client, volume: &core::Volume) -> Result<Files> {
    if let Some(secret) = &volume.secret {
        let api: Api<core::Secret> = Api::namespaced(client.clone(), NAMESPACE);
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let data = api.get(name).await.with_context(|| format!("Secret {name}"))?.data;
        return Ok(data.unwrap_or_default().into_iter().map(|(file, it)| (file, it.0)).collect());
    }
    if let Some(map) = &volume.config_map {
        let api: Api<core::ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let data = api.get(&map.name).await.with_context(|| format!("map {}", map.name))?.data;
        let bytes = |(file, text): (String, String)| (file, text.into_bytes());
        return Ok(data.unwrap_or_default().into_iter().map(bytes).collect());
    }
    // Whatever else it is begins empty.
    Ok(Files::new())
}
