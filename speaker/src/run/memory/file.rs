//! The file: one JSON object, a version and the events that bring a new engine up to date.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::inputs::Inputs;
use crate::engine::Event;

/// Goes up when an older program would misread what is written.
const VERSION: u32 = 1;
const NAME: &str = "state.json";
/// What is written first, and then takes the place of the file in one step.
const TEMPORARY: &str = "state.json.tmp";

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It does not hold what it should; a disk that was full, a machine that lost its power.
    #[error("it cannot be understood: {0}")]
    Content(#[from] serde_json::Error),
    /// Written by another release.
    #[error("it has version {0}, and this program reads version {VERSION}")]
    Version(u32),
}

/// What stands first; the rest is only looked at if the version is right.
#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Deserialize)]
struct Content {
    written: u64,
    events: Vec<Event>,
}

#[derive(Serialize)]
struct Fresh<'a> {
    version: u32,
    written: u64,
    events: &'a [Event],
}

/// What the file in `folder` holds, and when it was written; `None` if there is none.
pub(super) fn read(folder: &Path) -> Result<Option<(Inputs, u64)>, Error> {
    let text = match fs::read_to_string(folder.join(NAME)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let Header { version } = serde_json::from_str(&text)?;
    if version != VERSION {
        return Err(Error::Version(version));
    }
    let Content { written, events } = serde_json::from_str(&text)?;
    let mut inputs = Inputs::default();
    for event in events {
        inputs.take(event);
    }
    Ok(Some((inputs, written)))
}

/// Replaces the file in `folder`, which readers find either as it was or as it is now. It is not
/// forced to the disk: after a power failure the node's other speakers know better, and the flash of
/// small machines is spared.
pub(super) fn write(folder: &Path, inputs: &Inputs, written: u64) -> io::Result<()> {
    let events = inputs.events();
    let text = serde_json::to_vec(&Fresh { version: VERSION, written, events: &events })?;
    let temporary = folder.join(TEMPORARY);
    fs::write(&temporary, text)?;
    fs::rename(temporary, folder.join(NAME))
}
