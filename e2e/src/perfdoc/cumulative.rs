//! Empirical distributions: in which share of the runs it was over after how long.

use crate::axis::Spread;
use crate::axis::plain;
use crate::chart::{Chart, Mark, Point, Series};

/// Several distributions, each under its name; values above zero, in order.
pub fn chart<'a>(title: &'a str, x_title: &'a str, all: &[(String, &[f64])]) -> Chart<'a> {
    let values = || all.iter().flat_map(|(_, values)| values.iter().copied());
    let counts: Vec<String> = all.iter().map(|(_, values)| values.len().to_string()).collect();
    let low = values().fold(f64::INFINITY, f64::min).max(1.0);
    let high = values().fold(low, f64::max);
    Chart {
        title,
        subtitle: format!("every run; from left to right in the legend n = {}", counts.join(", ")),
        x_title,
        x_ticks: ticks(low, high),
        y_title: "share of the runs, %",
        spread: Spread::Linear,
        show: plain,
        series: all
            .iter()
            .map(|(name, values)| Series {
                name: name.clone(),
                mark: Mark::Path,
                points: steps(values),
            })
            .collect(),
    }
}

/// 1, 2, 5, 10, ... from the last that is not above `low` to the first that is not below `high`.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let decades = std::iter::successors(Some(1.0), |decade| Some(decade * 10.0)).take(9);
    let all: Vec<f64> = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|n| n * decade)).collect();
    let first = all.iter().rposition(|tick| *tick <= low).unwrap_or(0);
    let last = all.iter().position(|tick| *tick >= high).unwrap_or(all.len() - 1);
    // A scale has two ends.
    all[first..=last.max(first + 1)].iter().map(|tick| (tick.log10(), plain(*tick))).collect()
}

/// Up by one share at each value.
fn steps(values: &[f64]) -> Vec<Point> {
    let count = u32::try_from(values.len()).map_or(f64::MAX, f64::from);
    let shares = (0..).map(|at| f64::from(at) * 100.0 / count);
    let pairs = values.iter().map(|value| value.max(1.0).log10()).zip(shares);
    let point = |x, y| Point { x, y, bounds: None };
    pairs.flat_map(|(x, y)| [point(x, y), point(x, y + 100.0 / count)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_enclose_the_values() {
        let shown = |low, high| {
            ticks(low, high).into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(430.0, 900.0), "200 500 1,000");
        assert_eq!(shown(500.0, 500.0), "500 1,000");
        assert_eq!(shown(0.2, 3.0), "1 2 5");
    }

    #[test]
    fn the_last_step_ends_at_all_runs() {
        let points = steps(&[10.0, 20.0, 20.0, 100.0]);
        let ends: Vec<f64> = points.iter().map(|point| point.y).collect();
        assert_eq!(ends, [0.0, 25.0, 25.0, 50.0, 50.0, 75.0, 75.0, 100.0]);
    }
}
