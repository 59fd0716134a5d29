//! Words in a chart: how wide, in which lines, and what XML makes of them.

/// Long names below an axis are broken at about so many characters.
const LINE: f64 = 22.0;

/// Characters, which is about how wide a text is.
pub fn width(text: &str) -> f64 {
    f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX))
}

/// In lines of so many characters, and no longer than names below an axis may be.
pub fn broken(text: &str, room: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if width(line) + width(word) < room.min(LINE) => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_broken_between_words() {
        let text = "node cut off while the API server is stopped";
        assert_eq!(broken(text, 40.0), ["node cut off while the", "API server is stopped"]);
        let narrow = ["node cut off", "while the API", "server is", "stopped"];
        assert_eq!(broken(text, 14.0), narrow);
    }

    #[test]
    fn what_xml_reserves_is_escaped() {
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
