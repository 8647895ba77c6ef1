//! Running other programs, with an error that says which one failed and how.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a command of `xtask` answers: nothing, or what went wrong in one sentence.
pub(crate) type Done<T = ()> = Result<T, String>;

/// The project's folder.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the project").to_owned()
}

/// Runs a program in the project's folder and shows what it prints.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Done {
    eprintln!("+ {program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(project())
        .status()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{program} {}` failed: {status}", arguments.join(" ")))
    }
}

/// Whether a program can be run at all.
pub(crate) fn is_there(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a program and returns what it prints.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Done<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(project())
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Installs a cargo subcommand where it is missing.
pub(crate) fn install(package: &str, subcommand: &str) -> Done {
    if is_there(&format!("cargo-{subcommand}"), "--version") {
        return Ok(());
    }
    run("cargo", &["install", "--locked", package])
}
