//! An event does not get past the guard: what is raw is not clean, and what is clean is not shippable.

use towline::{
    event::{Event, Raw},
    guard::{Clean, Privacy, Shippable},
};

fn past_the_guard(raw: Event<Raw>, privacy: &Privacy) -> Event<Shippable> {
    privacy.apply(raw)
}

fn past_privacy(clean: Event<Clean>) -> Event<Shippable> {
    Event { ..clean }
}

fn swapped(mut shippable: Event<Shippable>, clean: Event<Clean>) -> Event<Shippable> {
    shippable.text = clean.text;
    shippable
}

fn written_into(mut shippable: Shippable) {
    shippable.0.push('\n');
}

fn main() {}
