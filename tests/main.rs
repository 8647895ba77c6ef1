//! Index of the integration tests. A test of one function stands at the foot of its file; a test of a mapping stands
//! in the mapping; what crosses processes, sockets or the whole house stands here.
//!
//! | module | what it shows |
//! |---|---|
//! | `tidy` | the house rules: direction of imports, no product in the code, nothing of the corpus in a mapping |
//! | `corpus` | the mappings against the labelled corpus (skipped loudly where the corpus is missing) |
//! | `delivery` | every event of the corpus exactly once at rsyslog, syslog-ng and OpenSearch |
//! | `dry_run` | `towline map` prints what would be shipped |
//! | `crash` | SIGKILL, absent and refusing receivers: nothing lost, nothing twice |
//!
//! Receivers are real (`support/receivers.rs`); `cargo xtask test` installs them and runs everything.

mod config_errors;
mod corpus;
mod crash;
mod delivery;
mod dry_run;
mod support;
mod tidy;
