//! Completes events of a connection with what its earlier lines said.
//!
//! Servers write the address on one line and the name on another, with the same connection id. A mapping's `[session]`
//! table says which ids count, which kinds open and close a connection and which fields its later events inherit;
//! [`Rules`] is that table with names resolved, [`Memory`] what is known of the connections of one source.
//!
//! What is learnt, and what is not:
//!
//! - An opening begins anew: ids are reused, and nothing of the connection before belongs to the new one.
//! - A closing is completed and then forgotten.
//! - **Names** (`user.*`, JIDs, resources) are learnt from what shows a user who is in: a successful authentication, an
//!   event of an established session, an account that was registered while nobody was logged in. Never from an attempt or
//!   a failure. And an attempt or a failure to authenticate is never given the name of whoever is logged in.
//! - From a failure nothing is learnt but the addresses and the encryption: what it names was only claimed.
//! - Values that belong together (a name and its domain, an address and its port) are learnt, replaced and inherited
//!   together, so that no event shows the address of one and the port of another.
//! - An event that is tagged as a possible forgery teaches nothing, closes nothing and is given nothing.
//!
//! `towline.session.id` is on every event of a connection whose opening was seen, and on no other: without the opening
//! nobody knows which connection of that id it is. What lines without an opening teach is kept all the same, for
//! programs whose openings are not logged, until an opening of that id shows that it is another's.
//!
//! Nothing of it is written to disk. Everything has a maximum: connections per file, files, bytes, the length of ids and
//! values. When one is reached, the connections that were quiet longest are forgotten.
//!
//! Pure: time is that of the events.

mod memory;
mod rules;
mod table;

pub use self::{
    memory::{Limits, Memory},
    rules::{Rules, RulesError},
};

/// Tag of events that may have been forged by somebody whose text the program logged.
pub const TAG_FORGERY: &str = "possible-log-forgery";

/// Longest id of a connection, in bytes. What is longer is no id.
pub const ID_BYTES_MAX: usize = 256;

/// Longest text that is remembered, in bytes.
pub const VALUE_BYTES_MAX: usize = 1_024;

/// Most fields that a mapping may have remembered.
pub const KEEP_MAX: usize = 64;

#[cfg(test)]
mod tests;
