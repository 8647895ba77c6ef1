//! Index of the integration tests. A test of one function stands at the foot of its file; a test of a mapping stands
//! in the mapping; what crosses processes, sockets or the whole house stands here.
//!
//! | module | what it shows |
//! |---|---|
//! | `tidy` | the house rules: direction of imports, no product in the code, nothing of the corpus in a mapping |
//! | `cli`, `config_errors` | the command line: exit codes, what it says of right and of broken configurations |
//! | `corpus` | the mappings against the labelled corpus (skipped loudly where the corpus is missing) |
//! | `demo` | `towline demo`: it ends by itself, all arrives, attacks are harmless |
//! | `guard_types` | programs that try to get past the guard do not compile |
//! | `delivery` | every event of the corpus exactly once at rsyslog, syslog-ng and OpenSearch |
//! | `crash` | SIGKILL, absent and refusing receivers: nothing lost, nothing twice |
//!
//! Receivers are real (`support/receivers.rs`); `cargo xtask test` installs them and runs everything.

mod cli;
mod config_errors;
mod corpus;
mod crash;
mod delivery;
mod demo;
mod guard_types;
mod support;
mod tidy;
