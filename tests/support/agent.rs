//! The binary under test: its configuration, its life and its answers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// The binary.
pub fn towline() -> Command {
    Command::new(env!("CARGO_BIN_EXE_towline"))
}

/// A running `towline run`.
pub struct Agent {
    child: Child,
    /// Its standard error.
    pub log: PathBuf,
}

impl Agent {
    /// Starts the agent with a configuration file.
    pub fn run(config: &Path) -> Self {
        let log = config.with_extension("stderr");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("log file");
        let child = towline()
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("towline starts");
        Self { child, log }
    }

    /// SIGKILL, without any warning.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM; panics when it does not end in time or not with status 0.
    pub fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        super::wait_until("the agent stops", Duration::from_secs(30), || {
            self.child.try_wait().expect("wait").is_some()
        });
        let status = self.child.wait().expect("wait");
        assert!(status.success(), "{status}: {}", self.errors());
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// What it wrote to standard error.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let errors = self.errors();
            let from = errors.len().saturating_sub(4000);
            eprintln!("the agent said: …{}", errors.get(from..).unwrap_or(&errors));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end.
pub fn output(args: &[&str]) -> Output {
    towline().args(args).stdin(Stdio::null()).output().expect("towline runs")
}

/// `towline status --json` of an agent, or null.
pub fn status(config: &Path) -> serde_json::Value {
    let output = towline().args(["status", "--json", "--config"]).arg(config).output();
    output.ok().and_then(|out| serde_json::from_slice(&out.stdout).ok()).unwrap_or_default()
}
