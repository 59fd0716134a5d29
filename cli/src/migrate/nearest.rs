//! What a user may have meant.

/// The word of `known` that `word` resembles most, if it resembles one.
pub(super) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = word.to_lowercase().replace(['_', ' '], "-");
    let close = known.iter().filter_map(|candidate| {
        let distance = distance(&plain, candidate);
        (distance <= (candidate.len() / 3).max(1)).then_some((distance, *candidate))
    });
    close.min().map(|(_, candidate)| candidate)
}

/// How many letters differ. None, if letters were only left out: `l2` is short for `layer2`.
fn distance(word: &str, candidate: &str) -> usize {
    let is_part = word.len() >= 2 && candidate.contains(word);
    if is_part || is_short_for(word, candidate) {
        return 0;
    }
    strsim::damerau_levenshtein(word, candidate)
}

fn is_short_for(word: &str, candidate: &str) -> bool {
    let mut rest = candidate.chars();
    word.len() >= 2
        && word.chars().next() == candidate.chars().next()
        && word.chars().all(|letter| rest.any(|other| other == letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_and_nothing_far_fetched() {
        const KEYS: [&str; 4] = ["name", "protocol", "addresses", "auto-assign"];
        const PROTOCOLS: [&str; 2] = ["layer2", "bgp"];
        for (word, known, expected) in [
            ("l2", &PROTOCOLS[..], Some("layer2")),
            ("Layer2", &PROTOCOLS, Some("layer2")),
            ("layer-2", &PROTOCOLS, Some("layer2")),
            ("layer3", &PROTOCOLS, Some("layer2")),
            ("BGP", &PROTOCOLS, Some("bgp")),
            ("ospf", &PROTOCOLS, None),
            ("arp", &PROTOCOLS, None),
            ("autoAssign", &KEYS, Some("auto-assign")),
            ("auto_assign", &KEYS, Some("auto-assign")),
            ("adresses", &KEYS, Some("addresses")),
            ("porotcol", &KEYS, Some("protocol")),
            ("interfaces", &KEYS, None),
            ("x", &KEYS, None),
            ("", &KEYS, None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
