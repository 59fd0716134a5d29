//! Names of pools were free text, names of objects are not. What MetalLB's converter makes of them is
//! made of them here, so that the results of both fit the same Services.

/// The longest that a name is left as it is.
const LONGEST: usize = 63;

/// Why a name of an object cannot be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// There is nothing to begin with.
    NoLetter,
    /// It would be this, and Kubernetes would refuse it.
    StillBad(String),
}

/// The name of the object for the pool `old`. One that fits stays as it is. Another is cut, made
/// lower case, given dashes for underscores, and begins with its first letter.
pub(super) fn object_name(old: &str) -> Result<String, Unfit> {
    if is_plain(old) {
        return Ok(old.to_owned());
    }
    let cut: String = old.chars().take(LONGEST).collect();
    let lower = cut.to_lowercase().replace('_', "-");
    let Some(start) = lower.find(char::is_alphabetic) else { return Err(Unfit::NoLetter) };
    let made = lower[start..].to_owned();
    if is_object_name(&made) { Ok(made) } else { Err(Unfit::StillBad(made)) }
}

/// One label, begun by a letter.
fn is_plain(name: &str) -> bool {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    (2..=LONGEST).contains(&name.len()) && begins && is_label(name)
}

/// As Kubernetes wants it: labels with dots between them (RFC 1123).
fn is_object_name(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty()
        && label.chars().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_stay_and_others_are_made_to() {
        let longest = "a".repeat(63);
        for (old, made) in [
            ("default", "default"),
            ("a-1", "a-1"),
            (longest.as_str(), longest.as_str()),
            ("Default", "default"),
            ("my_pool", "my-pool"),
            ("_My_Pool", "my-pool"),
            ("10-addresses", "addresses"),
            ("x", "x"),
            ("my.pool", "my.pool"),
            (&"a".repeat(70), longest.as_str()),
        ] {
            assert_eq!(object_name(old).as_deref(), Ok(made), "{old}");
        }
    }

    #[test]
    fn names_of_which_none_can_be_made_are_told_apart() {
        assert_eq!(object_name("172-17"), Err(Unfit::NoLetter));
        assert_eq!(object_name(""), Err(Unfit::NoLetter));
        for (old, made) in [
            ("my pool", "my pool"),
            ("Pool_", "pool-"),
            ("büro", "büro"),
            ("a..b", "a..b"),
            (&format!("{}-b", "a".repeat(62)), &format!("{}-", "a".repeat(62))),
        ] {
            assert_eq!(object_name(old), Err(Unfit::StillBad(made.to_owned())), "{old}");
        }
    }
}
