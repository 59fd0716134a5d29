//! Reads the old configuration, and writes the objects it becomes.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use super::Error;
use crate::args::Migrate;
use crate::migrate::{Form, migrate};

pub(super) fn run(args: &Migrate) -> Result<(), Error> {
    let text = read(&args.input).map_err(|why| Error::Read { path: args.input.clone(), why })?;
    let form = if args.only_data { Form::OnlyData } else { Form::ConfigMap };
    let migration = migrate(&text, form, args.namespace.as_deref());
    for warning in &migration.findings.warnings {
        eprintln!("warning: {warning}");
    }
    for error in &migration.findings.errors {
        eprintln!("error: {error}");
    }
    let errors = migration.findings.errors.len();
    let warnings = migration.findings.warnings.len();
    match migration.yaml {
        None => Err(Error::Refused(count(errors, "error"))),
        Some(_) if args.strict && warnings > 0 => Err(Error::Refused(count(warnings, "warning"))),
        Some(yaml) => write(args, &yaml),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn read(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return fs::read_to_string(path);
    }
    if io::stdin().is_terminal() {
        eprintln!("reading a ConfigMap from standard input; end it with Ctrl-D");
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn write(args: &Migrate, yaml: &str) -> Result<(), Error> {
    let Some(path) = &args.output else {
        return Ok(io::stdout().lock().write_all(yaml.as_bytes())?);
    };
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(yaml.as_bytes()));
    written.map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(path.clone()),
        _ => Error::Write { path: path.clone(), why },
    })
}
