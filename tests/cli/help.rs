//! The help of every command, as it is printed. `INSTA_UPDATE=always` takes what is printed now as right.

use crate::command::{end, tenure};

/// The names of a command's own commands, from its help.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// Snapshots the help of `path` and of everything below it.
fn snapshot(path: &[String]) {
    let mut args: Vec<_> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = end(tenure(&args)).well();
    insta::assert_snapshot!(format!("help_{}", ["tenure", &path.join("_")].join("_")), help);
    assert!(help.contains("\nExample"), "{path:?} has no example");
    for command in commands(&help) {
        snapshot(&[path, &[command]].concat());
    }
}

#[test]
fn help_says_what_it_said() {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.bind(|| snapshot(&[]));
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = end(tenure(&["completions", shell])).well();
        assert!(script.contains("history") && script.contains("follow"), "{shell}");
    }
}
