//! Objects that tests share the cluster with: pools and advertisements, which live in ferrolb's own
//! namespace, and whatever else cannot live in a test's own. A guard removes them.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::cluster::Lab;
use crate::state::write;

/// Where ferrolb is installed, and where it looks for its configuration.
pub const NAMESPACE: &str = "metallb-system";

/// Objects that are deleted when this is dropped, also when a test panics.
#[must_use = "the objects go when this is dropped"]
#[derive(Debug)]
pub struct Config {
    lab: Lab,
    yaml: String,
}

impl Config {
    /// Applies objects, each of which names its namespace.
    pub fn apply(lab: &Lab, yaml: &str) -> Result<Self> {
        // First the guard: of several objects, those before a bad one are made.
        let made = Self { lab: lab.clone(), yaml: yaml.to_owned() };
        lab.apply(yaml)?;
        Ok(made)
    }

    /// A pool of these addresses, and an advertisement with its name and nothing said in it.
    pub fn pool(lab: &Lab, name: &str, addresses: &str) -> Result<Self> {
        Self::apply(lab, &(pool(name, addresses) + &advertisement(name, "")))
    }

    /// Gives the same objects other contents.
    pub fn change(&self, yaml: &str) -> Result<()> {
        self.lab.apply(yaml).map(drop)
    }

    /// Removes them now, and says whether it worked.
    pub fn remove(self) -> Result<()> {
        let deleted = self.delete();
        std::mem::forget(self);
        deleted
    }

    fn delete(&self) -> Result<()> {
        let delete = ["delete", "--ignore-not-found", "--timeout=30s", "-f", "-"];
        self.lab.feed(&delete, &self.yaml).map(drop)
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let all =
                "ipaddresspools,l2advertisements,configurationstates,servicel2statuses,events";
            match self.lab.kubectl(&["-n", NAMESPACE, "get", all, "-o", "wide"]) {
                Ok(text) => eprintln!("namespace {NAMESPACE}\n{text}"),
                Err(error) => eprintln!("{error:#}"),
            }
        }
        if let Err(error) = self.delete() {
            eprintln!("objects stay: {error:#}\n{}", self.yaml);
        }
    }
}

/// A pool: addresses separated by commas.
pub fn pool(name: &str, addresses: &str) -> String {
    pool_with(name, addresses, "")
}

/// A pool with more lines in its spec: `autoAssign: false`.
pub fn pool_with(name: &str, addresses: &str, more: &str) -> String {
    let spec = format!("addresses: [{addresses}]\n{more}");
    object("IPAddressPool", name, &spec)
}

/// An advertisement with these lines as its spec; none: everything, from everywhere.
pub fn advertisement(name: &str, spec: &str) -> String {
    object("L2Advertisement", name, spec)
}

/// Four addresses for a test in which another host answers for one of them. The controller gives such
/// an address to nobody for minutes, so no other test in this cluster may need it, nor the next run of
/// this one.
pub fn disputed(lab: &Lab) -> Result<[IpAddr; 4]> {
    let first = Ipv4Addr::new(172, 17, 248, 0).to_bits() + 4 * dispute(lab)?;
    Ok([0, 1, 2, 3].map(|next| Ipv4Addr::from_bits(first + next).into()))
}

/// The same in IPv6.
pub fn disputed6(lab: &Lab) -> Result<[IpAddr; 4]> {
    let first =
        Ipv6Addr::new(0xfd17, 0x255, 0, 0, 0, 0, 1, 0).to_bits() + 4 * u128::from(dispute(lab)?);
    Ok([0, 1, 2, 3].map(|next| Ipv6Addr::from_bits(first + next).into()))
}

/// The number of a test with such addresses, counted in the lab's folder: each test is a process of its
/// own, and there is one at a time.
fn dispute(lab: &Lab) -> Result<u32> {
    let file = lab.folder.path("disputes");
    let number: u32 = match std::fs::read_to_string(&file) {
        Ok(text) => text.trim().parse()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    // Tests whose addresses were set aside first are free again when the numbers begin anew.
    write(&file, ((number + 1) % 128).to_string())?;
    Ok(number)
}

/// As a pool has it.
pub fn range(addresses: [IpAddr; 4]) -> String {
    format!("{}-{}", addresses[0], addresses[3])
}

fn object(kind: &str, name: &str, spec: &str) -> String {
    let mut text = format!(
        "---\napiVersion: metallb.io/v1beta1\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {NAMESPACE}}}\nspec:\n"
    );
    if spec.trim().is_empty() {
        text.truncate(text.len() - "\n".len());
        text.push_str(" {}\n");
    }
    for line in spec.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_spec_are_indented_and_an_empty_one_is_an_object() {
        let pool = pool_with("p", "192.0.2.0/24", "autoAssign: false");
        assert!(pool.ends_with("\nspec:\n  addresses: [192.0.2.0/24]\n  autoAssign: false\n"));
        assert!(advertisement("a", "").ends_with("\nspec: {}\n"));
    }
}
