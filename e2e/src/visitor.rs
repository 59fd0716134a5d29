//! A client that fetches a page again and again. It either has forgotten the server's MAC each time, so
//! that every request meets whoever answers for the address at that moment; or it remembers, as hosts
//! do that have something to say to one another.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};

/// Below the second after which the kernel repeats a lost question or a lost SYN: what is lost
/// fails, and is not made up for in silence.
const PATIENCE: Duration = Duration::from_millis(900);

/// What came of the requests.
#[derive(Debug, Default)]
pub struct Visits {
    pub made: usize,
    /// Which address, when after the start, and why.
    pub failed: Vec<String>,
    pub slowest: Duration,
}

/// Requests under way; they end when this is finished or dropped.
#[derive(Debug)]
pub struct Visitor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Visits>>,
}

impl Visitor {
    /// Visits these addresses in turn, port 80, one request every `interval`. For the client's
    /// network namespace.
    pub fn start(addresses: Vec<IpAddr>, interval: Duration) -> Result<Self> {
        Self::with(addresses, interval, forget)
    }

    /// The same, but what the kernel knows of the neighbours it keeps.
    pub fn remembering(addresses: Vec<IpAddr>, interval: Duration) -> Result<Self> {
        Self::with(addresses, interval, |_| ())
    }

    fn with(addresses: Vec<IpAddr>, interval: Duration, before: fn(IpAddr)) -> Result<Self> {
        ensure!(!addresses.is_empty(), "nobody to visit");
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let work = move || visit(&addresses, interval, before, &told);
        let thread = std::thread::Builder::new().name("visitor".to_owned()).spawn(work)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    pub fn finish(mut self) -> Result<Visits> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("finished before")?;
        thread.join().map_err(|_| anyhow!("the visitor died"))
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn visit(
    addresses: &[IpAddr],
    interval: Duration,
    before: fn(IpAddr),
    stop: &AtomicBool,
) -> Visits {
    let mut visits = Visits::default();
    let begun = Instant::now();
    let mut due = begun;
    for &ip in addresses.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        before(ip);
        let asked = Instant::now();
        let result = fetch(ip);
        let took = asked.elapsed();
        visits.made += 1;
        visits.slowest = visits.slowest.max(took);
        if let Err(error) = result {
            // Whether one packet was lost, or nothing gets through.
            let again = fetch(ip).map_or_else(|error| format!("{error:#}"), |()| "fine".to_owned());
            let (at, entry) = (asked - begun, neighbour(ip));
            visits.failed.push(format!("{ip} after {at:.3?}: {error:#}; {entry}; again: {again}"));
        }
        due = (due + interval).max(Instant::now());
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    visits
}

/// What the kernel knows of the neighbour.
fn neighbour(ip: IpAddr) -> String {
    let mut command = Command::new("ip");
    command.args(["-s", "neigh", "show", &ip.to_string(), "dev", "eth0"]).stdin(Stdio::null());
    let printed = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&printed).trim().to_owned()
}

/// Removes one entry of the neighbour cache. There may be none.
fn forget(ip: IpAddr) {
    let address = ip.to_string();
    let mut command = Command::new("ip");
    command.args(["neigh", "del", &address, "dev", "eth0"]);
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

fn fetch(ip: IpAddr) -> Result<()> {
    let address = SocketAddr::from((ip, 80));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("connecting")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /index.html HTTP/1.0\r\nHost: {address}\r\n\r\n").context("asking")?;
    let mut page = String::new();
    stream.read_to_string(&mut page).context("reading")?;
    ensure!(page.lines().next().is_some_and(|line| line.contains(" 200 ")), "{page:?}");
    Ok(())
}
