//! `cargo xtask test`: everything that decides whether work lands.

use crate::{
    package,
    shell::{Done, install, run},
};

/// What to leave out while developing; nothing is left out in CI.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the installation of receivers and tools out
    #[arg(long)]
    no_setup: bool,
}

/// Sets up, checks form, lints, licences, then tests.
pub(crate) fn run_all(options: &Options) -> Done {
    if !options.no_setup {
        run("bash", &["tests/receivers/setup.sh"])?;
        install("cargo-deny", "deny")?;
    }
    run("cargo", &["fmt", "--all", "--check"])?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    // The advisory database is fetched from the network: `cargo deny check advisories` is for machines that reach it.
    run("cargo", &["deny", "check", "bans", "licenses", "sources"])?;
    run("cargo", &["test", "--workspace", "--locked"])?;
    package::run_all(&package::Options { verify: true })
}
