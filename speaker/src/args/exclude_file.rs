//! MetalLB's list of interfaces never to announce on: a YAML file with one key, mounted from a
//! ConfigMap. Read once, at the start.

use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use super::Error;
use crate::link::Exclusions;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "announcedInterfacesToExclude", default)]
    patterns: Vec<String>,
}

/// The exclusions that the file at `path` lists; none when there is no such file.
pub(super) fn read(path: &Path) -> Result<Exclusions, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(file_error(path, error.to_string())),
    };
    parse(&text).map_err(|why| file_error(path, why))
}

fn parse(text: &str) -> Result<Exclusions, String> {
    let file: Option<File> = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let patterns = file.map(|file| file.patterns).unwrap_or_default();
    Exclusions::new(patterns).map_err(|error| format!("announcedInterfacesToExclude: {error}"))
}

fn file_error(path: &Path, why: String) -> Error {
    Error::File { path: path.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_metallb_writes_them() {
        let exclusions = parse("announcedInterfacesToExclude: [\"^docker.*\", \"^lo$\"]").unwrap();
        assert_eq!(exclusions.excluding("docker0"), Some("^docker.*"));
        assert_eq!(exclusions.excluding("eth0"), None);
    }

    #[test]
    fn no_file_and_an_empty_one_exclude_nothing() {
        assert_eq!(parse("").unwrap().excluding("lo"), None);
        assert_eq!(read(Path::new("/nonexistent/excludel2.yaml")).unwrap().excluding("lo"), None);
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, expected) in [
            ("announcedInterfacesToExclude: [\"(\"]", "announcedInterfacesToExclude"),
            ("announcedInterfaceToExclude: []", "announcedInterfaceToExclude"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
