//! Scales of a chart: from values to places along an axis, and where the ticks go.

use crate::number::significant;

/// How values spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// From zero.
    Linear,
    /// By powers of ten; for values above zero.
    Logarithmic,
}

/// One axis, from its lowest to its highest value.
#[derive(Debug)]
pub struct Axis {
    spread: Spread,
    low: f64,
    high: f64,
    /// Where a line is drawn, and whether the value is written beside it.
    pub ticks: Vec<(f64, bool)>,
}

impl Axis {
    /// Over all `values`, and up to a round one.
    pub fn over(spread: Spread, values: impl Iterator<Item = f64> + Clone) -> Self {
        let high = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        match spread {
            Spread::Linear => {
                let step = round_step(high / 5.0);
                let steps = (high / step).ceil();
                let ticks = counted(steps).map(|n| (n * step, true)).collect();
                Self { spread, low: 0.0, high: steps * step, ticks }
            }
            Spread::Logarithmic => {
                let low = values.fold(high, f64::min).log10().floor();
                let high = high.log10().ceil().max(low + 1.0);
                let decades = counted(high - low).map(|n| 10_f64.powf(low + n));
                // With few powers of ten there is room for more.
                let written = if high - low <= 2.0 { &[1.0, 2.0, 5.0][..] } else { &[1.0][..] };
                let lines = decades.flat_map(|decade| {
                    (1..=9).map(f64::from).map(move |n| (n * decade, written.contains(&n)))
                });
                let high = 10_f64.powf(high);
                let ticks = lines.filter(|(value, _)| *value <= high * 1.000_001).collect();
                Self { spread, low: 10_f64.powf(low), high, ticks }
            }
        }
    }

    /// Where `value` lies between the ends, 0 to 1.
    pub fn place(&self, value: f64) -> f64 {
        match self.spread {
            Spread::Linear => (value - self.low) / (self.high - self.low),
            Spread::Logarithmic => {
                (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
            }
        }
    }
}

/// The next of 1, 2, 5, 10, 20, ...
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * decade >= least * 0.999_999);
    step.unwrap_or(10.0) * decade
}

/// 0, 1, ... up to `last`.
fn counted(last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), |n| Some(n + 1.0)).take_while(move |n| *n <= last)
}

/// A tick's value without decimals that say nothing: `0.5`, `20`.
pub fn plain(value: f64) -> String {
    let text = significant(value);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().filter(|(_, written)| *written).map(|(value, _)| plain(*value)).collect()
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_ends_at_a_round_value() {
        let axis = Axis::over(Spread::Linear, [3.0, 43.0].into_iter());
        assert_eq!(written(&axis), ["0", "10", "20", "30", "40", "50"]);
        assert!((axis.place(25.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_logarithmic_axis_spans_whole_powers_of_ten() {
        let axis = Axis::over(Spread::Logarithmic, [130.0, 180.0].into_iter());
        assert_eq!(written(&axis), ["100", "200", "500", "1,000"]);
        let axis = Axis::over(Spread::Logarithmic, [3.9, 52_000.0].into_iter());
        assert_eq!(written(&axis), ["1", "10", "100", "1,000", "10,000", "100,000"]);
        assert!((axis.place(1_000.0) - 0.6).abs() < 1e-9);
    }

    #[test]
    fn steps_are_one_two_or_five() {
        let steps = [0.3, 1.0, 1.1, 4.0, 7.0, 1_301.0].map(round_step).map(plain);
        assert_eq!(steps, ["0.5", "1", "2", "5", "10", "2,000"]);
    }
}
