//! What is measured, by the name that it has on the page, and what is promised of it.

use super::table::Row;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cut,
    CutSilently,
    CutWithoutApi,
    RolledOut,
    Killed,
    KilledAgain,
    KilledOnceMore,
    Hung,
    Drained,
    MeshCut,
    Isolated,
    Halves,
    Flapping,
    Added,
    Crowd,
}

/// The most that may be seen; what is not named here is not limited. Times in milliseconds.
#[derive(Debug, Default)]
struct Promise {
    median: Option<f64>,
    /// The 99th percentile, or the highest of fewer than 100.
    p99: Option<f64>,
    two_answered: Option<f64>,
    changes: Option<usize>,
    unanswered_asks: Option<usize>,
}

impl Kind {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Cut => "node cut off",
            Self::CutSilently => "node cut off, its carrier stays",
            Self::CutWithoutApi => "node cut off while the API server is stopped",
            Self::RolledOut => "speakers rolled out",
            Self::Killed => "speaker killed",
            Self::KilledAgain => "speaker killed again",
            Self::KilledOnceMore => "speaker killed a third time",
            Self::Hung => "speaker hangs for 10 s",
            Self::Drained => "node drained",
            Self::MeshCut => "mesh cut between all nodes for 60 s",
            Self::Isolated => "nodes isolated by the switch for 60 s, its last 2 s and after",
            Self::Halves => "wire and mesh in two halves, from the heal on",
            Self::Flapping => {
                "node cut off 5 times in a minute, changes beyond one of its addresses"
            }
            Self::Added => "node added to nodes with 100 addresses",
            Self::Crowd => "node with 3,000 addresses cut off (each address)",
        }
    }

    const fn promise(self) -> Promise {
        let nothing = Promise {
            median: None,
            p99: None,
            two_answered: None,
            changes: None,
            unanswered_asks: None,
        };
        let unmoved = Promise { two_answered: Some(0.0), changes: Some(0), ..nothing };
        match self {
            Self::Cut | Self::CutSilently | Self::CutWithoutApi => {
                Promise { median: Some(500.0), p99: Some(1000.0), ..unmoved }
            }
            Self::RolledOut => Promise { unanswered_asks: Some(0), ..unmoved },
            Self::Killed | Self::KilledAgain | Self::KilledOnceMore => {
                Promise { p99: Some(200.0), ..unmoved }
            }
            Self::Hung => Promise { two_answered: Some(100.0), changes: Some(0), ..nothing },
            Self::Added => Promise { unanswered_asks: Some(0), ..nothing },
            Self::Drained => {
                Promise { two_answered: Some(100.0), unanswered_asks: Some(0), ..nothing }
            }
            Self::MeshCut => unmoved,
            Self::Isolated => Promise { two_answered: Some(0.0), ..nothing },
            Self::Halves => Promise { two_answered: Some(1000.0), ..nothing },
            Self::Flapping => Promise { changes: Some(0), ..nothing },
            Self::Crowd => Promise { p99: Some(2000.0), ..nothing },
        }
    }

    /// What of this does not hold for these figures.
    pub fn broken(self, row: &Row) -> Vec<String> {
        let promise = self.promise();
        let mut sorted = row.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| sorted.get(sorted.len().saturating_sub(1) * percent / 100);
        let rare = if sorted.len() < 100 { 100 } else { 99 };
        let two = row.two_answered_ms.iter().copied().reduce(f64::max);
        let most = |counts: &[usize]| counts.iter().copied().max();
        let found = [
            exceeds("the median", at(50).copied(), promise.median),
            exceeds("the 99th percentile", at(rare).copied(), promise.p99),
            exceeds("two MACs", two, promise.two_answered),
            exceeds("changes of owner", most(&row.owner_changes), promise.changes),
            exceeds("asks without an answer", most(&row.unanswered_asks), promise.unanswered_asks),
        ];
        let told = |text: String| format!("{}: {text}", self.title());
        found.into_iter().flatten().map(told).collect()
    }
}

fn exceeds<T: PartialOrd + std::fmt::Display>(
    what: &str,
    seen: Option<T>,
    at_most: Option<T>,
) -> Option<String> {
    let (seen, at_most) = (seen?, at_most?);
    (seen > at_most).then(|| format!("{what}: {seen}, {at_most} at most"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_mac_in_a_hundred_returns_breaks_the_promise() {
        let mut row = Row { milliseconds: vec![430.0; 100], ..Row::default() };
        row.two_answered_ms = vec![0.0; 100];
        row.owner_changes = vec![0; 100];
        assert_eq!(Kind::Cut.broken(&row), Vec::<String>::new());
        row.two_answered_ms[7] = 10.0;
        row.owner_changes[7] = 2;
        row.milliseconds[7] = 1500.0;
        let broken = [
            "node cut off: two MACs: 10, 0 at most",
            "node cut off: changes of owner: 2, 0 at most",
        ];
        assert_eq!(Kind::Cut.broken(&row), broken, "one of 100 is not the 99th percentile");
        row.milliseconds.truncate(50);
        assert!(Kind::Cut.broken(&row)[0].contains("99th percentile: 1500"), "of fewer, it is");
    }
}
