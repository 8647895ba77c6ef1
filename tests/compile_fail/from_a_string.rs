//! A string does not become clean or shippable by conversion or construction.

use towline::guard::{Clean, Shippable};

fn main() {
    let _ = Clean("root\n".to_owned());
    let _ = Shippable("root\n".to_owned());
    let _: Clean = "root\n".to_owned().into();
    let _: Shippable = "root\n".to_owned().into();
    let _: Shippable = "root\n".parse().unwrap();
}
