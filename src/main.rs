//! Parses arguments, calls the command, prints the one error.
fn main() {}
