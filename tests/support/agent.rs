//! The binary under test: its configuration, its life and its answers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The binary.
pub(crate) fn towline() -> Command {
    Command::new(env!("CARGO_BIN_EXE_towline"))
}

/// A running `towline run`.
pub(crate) struct Agent {
    child: Child,
    /// Its standard error.
    pub(crate) log: PathBuf,
}

impl Agent {
    /// Starts the agent with a configuration file.
    pub(crate) fn run(config: &Path) -> Self {
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
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM; panics when it does not end in time or not with status 0.
    pub(crate) fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        super::wait_until("the agent stops", Duration::from_secs(30), || {
            self.child.try_wait().expect("wait").is_some()
        });
        let status = self.child.wait().expect("wait");
        assert!(status.success(), "{status}: {}", self.errors());
    }

    /// What it wrote to standard error.
    pub(crate) fn errors(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
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

/// `towline status --json` of an agent, or null.
pub(crate) fn status(config: &Path) -> serde_json::Value {
    let output = towline().args(["status", "--json", "--config"]).arg(config).output();
    output.ok().and_then(|out| serde_json::from_slice(&out.stdout).ok()).unwrap_or_default()
}
