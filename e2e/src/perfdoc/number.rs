//! Numbers for readers: three significant digits, thousands apart, the unit beside them.

/// One power of a thousand each, from nanoseconds up.
const UNITS: [&str; 4] = ["ns", "µs", "ms", "s"];

/// A whole number, thousands apart: `12,836,864`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With so many decimals, thousands apart.
pub fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    // Too large for a count: as it is.
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
    let is_zero = text.chars().all(|character| matches!(character, '0' | '.'));
    let sign = if value < 0.0 && !is_zero { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// To three digits; whole numbers keep all of theirs.
pub fn significant(value: f64) -> String {
    fixed(value, decimals(value))
}

/// A duration given in nanoseconds: `3.87 µs`.
pub fn duration(nanoseconds: f64) -> String {
    let (scale, unit) = unit(nanoseconds);
    format!("{} {unit}", significant(nanoseconds / scale))
}

/// Two durations in the unit that fits a third, to its decimals: `3.76 to 4.35 µs`.
pub fn interval(around: f64, low: f64, high: f64) -> String {
    let (scale, unit) = unit(around);
    let decimals = decimals(around / scale);
    format!("{} to {} {unit}", fixed(low / scale, decimals), fixed(high / scale, decimals))
}

/// Memory in MiB, without the unit.
pub fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let bytes = bytes as f64;
    fixed(bytes / f64::from(1 << 20), 1)
}

/// Several values of one kind: `0.17 / 0.19 / 0.20`.
pub fn several<T: Copy>(values: &[T], show: impl Fn(T) -> String) -> String {
    values.iter().map(|value| show(*value)).collect::<Vec<_>>().join(" / ")
}

/// How many decimals make three digits.
fn decimals(value: f64) -> usize {
    if value == 0.0 { 0 } else { usize::try_from(2 - exponent(value)).unwrap_or(0) }
}

/// The power of ten of a value rounded to three digits: 999.7 has 3.
fn exponent(value: f64) -> i32 {
    let text = format!("{value:.2e}");
    text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

fn unit(nanoseconds: f64) -> (f64, &'static str) {
    let power = usize::try_from(exponent(nanoseconds) / 3).unwrap_or(0).min(UNITS.len() - 1);
    (1000_f64.powi(i32::try_from(power).unwrap_or(0)), UNITS[power])
}

/// The middle value, or the mean of the two in the middle. Takes them sorted.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let high = sorted.get(middle)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], *high)
    } else {
        *high
    })
}

/// The smallest value that 99 % do not exceed; of fewer than a hundred that would be the largest,
/// and says nothing. Takes them sorted.
pub fn p99(sorted: &[f64]) -> Option<f64> {
    (sorted.len() >= 100).then(|| sorted[(sorted.len() * 99).div_ceil(100) - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart() {
        let shown = [0, 999, 1_000, 12_836_864].map(count);
        assert_eq!(shown, ["0", "999", "1,000", "12,836,864"]);
    }

    #[test]
    fn three_digits_are_shown_also_where_rounding_adds_one() {
        let shown = [0.0, 0.012_34, 9.6, 9.999, 47.94, 123.4, 999.6, 89_442.4].map(significant);
        assert_eq!(shown, ["0", "0.0123", "9.60", "10.0", "47.9", "123", "1,000", "89,442"]);
        assert_eq!([-0.5, -0.001].map(|value| fixed(value, 2)), ["-0.50", "0.00"]);
    }

    #[test]
    fn durations_take_the_unit_that_fits() {
        let shown = [0.8, 14.0, 999.4, 999.6, 3_871.2, 4.4e6, 2.5e9, 3.6e12].map(duration);
        let expected =
            ["0.800 ns", "14.0 ns", "999 ns", "1.00 µs", "3.87 µs", "4.40 ms", "2.50 s", "3,600 s"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_interval_has_the_unit_and_decimals_of_its_median() {
        assert_eq!(interval(3_871.2, 3_762.2, 4_351.6), "3.76 to 4.35 µs");
        assert_eq!(interval(990.0, 981.4, 1_012.3), "981 to 1,012 ns");
    }

    #[test]
    fn memory_is_in_mebibytes_and_lists_are_joined() {
        assert_eq!(mebibytes(67_528_294), "64.4");
        assert_eq!(several(&[0.17, 0.2], |value| fixed(value, 2)), "0.17 / 0.20");
    }

    #[test]
    fn quantiles_of_few_and_of_many() {
        assert_eq!(
            (median(&[]), median(&[1.0, 2.0, 9.0]), median(&[1.0, 3.0])),
            (None, Some(2.0), Some(2.0))
        );
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((p99(&hundred), p99(&hundred[..99])), (Some(99.0), None));
    }
}
