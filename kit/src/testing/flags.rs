//! A program's flags, compared with a table of MetalLB's and with their description.

use clap::Command;

/// One of MetalLB's flags: its name, its default, and the environment variable that stands for it.
pub type Flag = (&'static str, &'static str, Option<&'static str>);

/// Every flag of `table` is one of `command`, with the same default and the same variable.
pub fn assert_table(command: &Command, table: &[Flag]) {
    for (name, default, env) in table {
        let mut flags = command.get_arguments();
        let flag = flags.find(|flag| flag.get_long() == Some(name)).expect(name);
        let ours = flag.get_default_values().first().and_then(|value| value.to_str());
        assert_eq!(ours.unwrap_or_default(), *default, "{name}");
        assert_eq!(flag.get_env().and_then(|name| name.to_str()), *env, "{name}");
    }
}

/// Every flag of `command` stands on `page`, those `apart` excepted.
pub fn assert_documented(command: &Command, page: &str, apart: &[&str]) {
    let names = command.get_arguments().filter_map(clap::Arg::get_long);
    for name in names.filter(|name| !apart.contains(name)) {
        assert!(page.contains(&format!("`--{name}`")), "--{name} is not described");
    }
}
