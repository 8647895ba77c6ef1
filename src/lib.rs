//! Towline ships the logs of chat servers and clients to a SIEM: recognised, typed, safe and complete.
//!
//! ```text
//! files ─► tail ─► parse ─► map ─► session ─► guard ─► detect ─► guard ─► spool ─► encode ─► deliver ─► SIEM
//!          lines   record   event  + context  text     + alerts  privacy  frames   ECS/CEF   acks
//! ```
//!
//! The modules below stand in the order in which the data travels. A module knows the ones before it and
//! never one after it; `agent` and `cli` know all and are known by none.

pub mod event;
pub mod problem;
pub mod tail;
pub mod parse;
pub mod map;
pub mod session;
pub mod guard;
pub mod detect;
pub mod spool;
pub mod encode;
pub mod deliver;
pub mod config;
pub mod report;
pub mod agent;
pub mod cli;
