//! Go's flag syntax for clap: MetalLB's manifests, charts and people's scripts write `-port=9120`
//! as well as `--port=9120`, and durations as `1m30s`.
//!
//! It only rewrites the text of the arguments; it never knows which flags exist.

use std::ffi::OsString;
use std::time::Duration;

/// Turns `-flag` and `-flag=value` into `--flag` and `--flag=value`, and leaves all else alone:
/// the program's name, one-letter flags, negative numbers, and whatever follows a lone `--`.
pub fn normalise(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut verbatim = false;
    let rewrite = |(position, arg): (usize, OsString)| {
        verbatim |= arg == "--";
        if position == 0 || verbatim || !is_single_dash_flag(&arg) {
            return arg;
        }
        let mut long = OsString::from("-");
        long.push(arg);
        long
    };
    args.into_iter().enumerate().map(rewrite).collect()
}

fn is_single_dash_flag(arg: &OsString) -> bool {
    let bytes = arg.as_encoded_bytes();
    matches!(bytes, [b'-', letter, next, ..] if letter.is_ascii_alphabetic() && *next != b'=')
}

/// A text that is not one of Go's booleans.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a boolean: use true or false")]
pub struct InvalidBool(String);

/// Reads a boolean as Go does. For clap: `num_args = 0..=1, default_missing_value = "true",
/// require_equals = true, value_parser = goflags::parse_bool`.
///
/// # Errors
/// [`InvalidBool`] for any other text.
pub fn parse_bool(text: &str) -> Result<bool, InvalidBool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(InvalidBool(text.to_owned())),
    }
}

/// A text that is not one of Go's durations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a duration: write for example 1.5s, 200ms or 1m30s")]
pub struct InvalidDuration(String);

/// Reads a duration as Go writes it: decimal numbers, each with a unit, one after another. `0`
/// needs no unit; negative durations are refused.
///
/// # Errors
/// [`InvalidDuration`] for any other text.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let invalid = || InvalidDuration(text.to_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() || total.is_zero() && rest.len() == text.len() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(invalid()),
        };
        let part = Duration::try_from_secs_f64(number * unit).map_err(|_| invalid())?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_dashes_become_double_where_go_would_read_a_flag() {
        for (given, expected) in [
            ("-port=9120", "--port=9120"),
            ("-port", "--port"),
            ("--port=1", "--port=1"),
            ("-h", "-h"),
            ("-v=1", "-v=1"),
            ("-10", "-10"),
            ("plain", "plain"),
            ("-", "-"),
        ] {
            let args = normalise(["program", given].map(OsString::from));
            assert_eq!(args[1], expected, "{given}");
        }
    }

    #[test]
    fn what_follows_a_lone_double_dash_is_left_alone() {
        let args = normalise(["-program", "--", "-port"].map(OsString::from));
        assert_eq!(args, ["-program", "--", "-port"]);
    }

    #[test]
    fn booleans_are_those_of_go() {
        assert_eq!(parse_bool("T"), Ok(true));
        assert_eq!(parse_bool("0"), Ok(false));
        assert!(parse_bool("yes").is_err());
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000),
            ("1.5s", 1_500),
            ("200ms", 200),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
        ] {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5 s", "1m30", "5x", "."] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
