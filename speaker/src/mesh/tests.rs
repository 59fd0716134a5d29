//! A handful of meshes in one process, under virtual time.

use super::*;
use crate::mesh::seal::SecretKey;

struct Cluster {
    meshes: BTreeMap<SocketAddr, Mesh>,
    /// Members that are cut off: nothing reaches them or comes from them.
    cut: BTreeSet<SocketAddr>,
    now: Moment,
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 7946))
}

fn node(n: u8) -> NodeName {
    format!("n{n}").into()
}

fn mesh(n: u8, life: u8, now: Moment) -> Mesh {
    let member = Member { node: node(n), addr: addr(n), started: life.into(), renewals: 0 };
    let keys = SecretKey::derive(b"secret").into();
    Mesh::new(
        Identity { member, instance: [n.wrapping_add(life * 32); 16], keys, seed: n.into() },
        now,
    )
}

impl Cluster {
    fn of(count: u8) -> Self {
        let peers: BTreeSet<_> = (1..=count).map(addr).collect();
        let meshes = (1..=count).map(|n| {
            let mut mesh = mesh(n, 0, Moment::START);
            mesh.set_peers(peers.clone());
            (addr(n), mesh)
        });
        Self { meshes: meshes.collect(), cut: BTreeSet::new(), now: Moment::START }
    }

    /// Delivers everything at once and without loss until `done`, at most for `limit`.
    fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now.since(start) < limit, "not reached in {limit:?}: {}", self.show());
            self.now = self.now + Duration::from_millis(5);
            let now = self.now;
            let mut queue: Vec<_> = self
                .meshes
                .iter_mut()
                .flat_map(|(from, mesh)| {
                    let due = mesh.next_deadline().is_some_and(|due| due <= now);
                    let sent = if due { mesh.tick(now).datagrams } else { Vec::new() };
                    sent.into_iter().map(|(to, frame)| (*from, to, frame)).collect::<Vec<_>>()
                })
                .collect();
            while let Some((from, to, frame)) = queue.pop() {
                if self.cut.contains(&from) || self.cut.contains(&to) {
                    continue;
                }
                let Some(mesh) = self.meshes.get_mut(&to) else {
                    continue;
                };
                let answers = mesh.receive(&frame, now).datagrams;
                queue.extend(answers.into_iter().map(|(next, frame)| (to, next, frame)));
            }
        }
        self.now.since(start)
    }

    fn sees(&self, n: u8, count: usize) -> bool {
        self.meshes[&addr(n)].alive().count() == count
    }

    /// Whom each member misses.
    fn show(&self) -> String {
        let nodes: Vec<NodeName> =
            self.meshes.values().map(|mesh| mesh.foca.identity().node.clone()).collect();
        let missed =
            |mesh: &Mesh| nodes.iter().filter(|name| !is_alive(mesh, name)).cloned().collect();
        let missed: BTreeMap<_, Vec<NodeName>> =
            self.meshes.iter().map(|(at, mesh)| (at, missed(mesh))).collect();
        format!("{missed:?}")
    }
}

const SOON: Duration = Duration::from_secs(3);

fn is_alive(mesh: &Mesh, node: &NodeName) -> bool {
    mesh.alive().any(|alive| alive == node)
}

#[test]
fn members_find_one_another_and_are_settled_then() {
    let mut cluster = Cluster::of(5);
    assert!(!cluster.meshes[&addr(1)].is_settled(cluster.now));
    cluster.run_until(SOON, |cluster| (1..=5).all(|n| cluster.sees(n, 5)));
    assert!(cluster.meshes.values().all(|mesh| mesh.is_settled(cluster.now)));
}

#[test]
fn one_who_finds_nobody_goes_on_alone_after_a_while() {
    let mut cluster = Cluster::of(3);
    cluster.cut.insert(addr(1));
    let waited =
        cluster.run_until(SOON, |cluster| cluster.meshes[&addr(1)].is_settled(cluster.now));
    assert_eq!(waited, SETTLING);
}

// Who is dead is found out by asking (`ownership::watch`); the mesh only forgets them, in its own time.
#[test]
fn a_death_is_known_everywhere_within_four_seconds() {
    for count in [3, 10, 30] {
        let mut cluster = Cluster::of(count);
        let members = usize::from(count);
        cluster.run_until(SOON, |cluster| (1..=count).all(|n| cluster.sees(n, members)));
        cluster.cut.insert(addr(1));
        let took = cluster.run_until(Duration::from_secs(4), |cluster| {
            (2..=count).all(|n| !is_alive(&cluster.meshes[&addr(n)], &node(1)))
        });
        assert!(took > Duration::from_millis(500), "{count}: too hasty, after {took:?}");
    }
}

#[test]
fn one_given_up_in_error_comes_back_within_a_second() {
    let mut cluster = Cluster::of(3);
    cluster.run_until(SOON, |cluster| (1..=3).all(|n| cluster.sees(n, 3)));
    cluster.cut.insert(addr(1));
    cluster
        .run_until(SOON, |cluster| cluster.sees(2, 2) && cluster.sees(3, 2) && cluster.sees(1, 1));
    cluster.cut.clear();
    cluster.run_until(Duration::from_secs(1), |cluster| (1..=3).all(|n| cluster.sees(n, 3)));
}

#[test]
fn a_restarted_member_takes_its_own_place_again() {
    let mut cluster = Cluster::of(3);
    cluster.run_until(SOON, |cluster| (1..=3).all(|n| cluster.sees(n, 3)));
    let mut again = mesh(1, 1, cluster.now);
    again.set_peers((1..=3).map(addr).collect());
    cluster.meshes.insert(addr(1), again);
    cluster.run_until(Duration::from_secs(1), |cluster| (1..=3).all(|n| cluster.sees(n, 3)));
}

#[test]
fn strangers_and_recordings_are_counted_and_change_nothing() {
    let (mut a, mut b) = (mesh(1, 0, Moment::START), mesh(2, 0, Moment::START));
    a.set_peers(BTreeSet::from([addr(2)]));
    let (_, frame) = a.tick(Moment::START).datagrams.remove(0);
    assert!(!b.receive(&frame, Moment::START).datagrams.is_empty());
    assert!(b.receive(&frame, Moment::START).datagrams.is_empty());
    let unknown_kind = Sealer::new(&SecretKey::derive(b"secret").into(), [99; 16]).seal(&[77]);
    for stray in [&b""[..], &[9; 60], &[seal::VERSION; 60], &unknown_kind] {
        assert!(b.receive(stray, Moment::START).datagrams.is_empty());
    }
    let expected =
        Counts { received: 1, malformed: 1, version: 1, unsealed: 1, replayed: 1, refused: 1 };
    assert_eq!(b.counts(), expected);
}
