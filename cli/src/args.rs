//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 it failed, and said why on standard error; 2 the command line is wrong.";

/// Works with ferrolb, the load balancer for bare-metal Kubernetes.
///
/// Under the name kubectl-ferrolb, anywhere in PATH, it is a plugin of kubectl: `kubectl ferrolb`.
#[derive(Debug, Parser)]
#[command(name = "kubectl ferrolb", bin_name = "kubectl ferrolb", version, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn a ConfigMap of MetalLB 0.12 or older into today's objects
    ///
    /// Prints IPAddressPool and L2Advertisement objects that mean the same as the ConfigMap `config`
    /// that MetalLB read before version 0.13. Touches no cluster. Everything that is wrong is
    /// reported at once, and then nothing is printed. What belongs to BGP is left out with a warning:
    /// a pool of protocol bgp stays a pool, which nobody announces.
    #[command(after_help = EXIT_CODES)]
    Migrate(Migrate),
    /// Have a node hand over all addresses that it announces
    ///
    /// Marks the node with the label ferrolb.io/drain, and waits until its speaker has handed over
    /// everything: for each address the next node answers before this one stops. The mark stays, and
    /// the node takes no addresses, until `kubectl ferrolb undrain NODE`. Pods are left alone; that is
    /// what `kubectl drain` is for.
    #[command(after_help = EXIT_CODES)]
    Drain(Drain),
    /// Let a drained node take addresses again
    ///
    /// Takes the mark off, label and annotation alike, and waits until the node's speaker says so.
    /// Nothing comes back at once: the controller evens out the spread later.
    #[command(after_help = EXIT_CODES)]
    Undrain(Drain),
}

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// The file to read; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    pub input: PathBuf,
    /// The input is not a ConfigMap, but only what stands under its key `config`
    #[arg(long)]
    pub only_data: bool,
    /// Write to this file instead of standard output; one that exists is left alone
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Overwrite the file named by --output
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Take warnings for errors
    #[arg(long)]
    pub strict: bool,
    /// The namespace of the objects [default: the ConfigMap's, else metallb-system]
    #[arg(short, long)]
    pub namespace: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Drain {
    /// The node's name
    pub node: String,
    /// How long to wait: 90, 90s, 5m or 1h; 0 for as long as it takes
    #[arg(long, default_value = "60s", value_parser = parse_timeout)]
    pub timeout: Duration,
    /// Set or remove the mark, and do not wait
    #[arg(long, conflicts_with = "timeout")]
    pub no_wait: bool,
    #[command(flatten)]
    pub cluster: Cluster,
}

/// Which cluster, and where ferrolb is in it.
#[derive(Debug, clap::Args)]
pub struct Cluster {
    /// The namespace that ferrolb is installed in
    #[arg(short, long, default_value = "metallb-system")]
    pub namespace: String,
    /// The context of the kubeconfig to use [default: the current one]
    #[arg(long)]
    pub context: Option<String>,
}

/// A number of seconds, or one with its unit.
fn parse_timeout(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no time: 90, 90s, 5m or 1h");
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3_600), ("0", 0)] {
            assert_eq!(parse_timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "1d", "1.5s", "-1", "99999999999999999h"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }
}
