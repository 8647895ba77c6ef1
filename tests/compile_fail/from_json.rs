//! Nothing that is read back becomes clean or shippable without being validated.

use towline::guard::{Clean, Shippable};

fn main() {
    let _: Clean = serde_json::from_str("\"root\\n\"").unwrap();
    let _: Shippable = serde_json::from_str("\"root\\n\"").unwrap();
}
