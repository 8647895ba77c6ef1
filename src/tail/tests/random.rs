//! Numbered lines under random rotations and restarts.
//!
//! Renaming loses and repeats nothing, whenever it happens. Copying and truncating neither, as long as nothing is
//! written between the copy and the truncation: what is written then is in no file any more unless it was read in
//! between; no reader can promise it.

use super::*;

/// A small generator, so that a seed replays.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

struct Writer {
    next: u64,
    rotations: u64,
    /// The end of the last line is not written yet.
    torn: Option<String>,
}

impl Writer {
    fn write(&mut self, desk: &Desk, dice: &mut Dice) {
        let mut text = self.torn.take().unwrap_or_default();
        for _ in 0..=dice.roll(40) {
            let noise = "x".repeat(usize::try_from(dice.roll(200)).expect("small"));
            text += &format!("number {} {noise}\n", self.next);
            self.next += 1;
        }
        if dice.roll(3) == 0 {
            let at = text.len() - 1 - usize::try_from(dice.roll(5)).expect("small");
            self.torn = Some(text.split_off(at));
        }
        desk.append("a.log", text);
    }

    /// Rotation schemes rotate whole lines only where the writer is asked to reopen; a torn one is finished first.
    fn finish_line(&mut self, desk: &Desk) {
        if let Some(rest) = self.torn.take() {
            desk.append("a.log", rest);
        }
    }

    fn shift(&mut self, desk: &Desk) {
        for n in (1..60).rev() {
            for ending in ["", ".gz"] {
                let from = desk.path(&format!("a.log.{n}{ending}"));
                if from.exists() {
                    let to = desk.path(&format!("a.log.{}{ending}", n + 1));
                    fs::rename(from, to).expect("can be renamed");
                }
            }
        }
        self.rotations += 1;
    }
}

#[derive(Clone, Copy)]
enum Rotation {
    Rename,
    Copy,
}

/// Runs one seed; every line must come once, in order within its file.
fn run(seed: u64, glob: &str, rotation: Rotation, taking: Taking) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut desk = Desk::new(&[glob]);
    desk.taking = taking;
    let mut writer = Writer { next: 0, rotations: 0, torn: None };
    let mut log = Vec::new();
    for _ in 0..60 {
        match dice.roll(12) {
            0..=4 => writer.write(&desk, &mut dice),
            5..=7 => desk.pass(Duration::from_millis(dice.roll(3000))),
            8 => {
                log.push(format!("restart before {}", writer.next));
                desk.tailer = tailer(&desk.settings, desk.positions.values().cloned().collect());
            }
            9 => {
                log.push(format!("minute before {}", writer.next));
                desk.minute();
            }
            // What nobody saw under its own name is nobody's.
            _ if desk.positions.is_empty() => {}
            _ => {
                log.push(format!("rotation before {}", writer.next));
                writer.finish_line(&desk);
                writer.shift(&desk);
                match rotation {
                    Rotation::Rename => desk.rename("a.log", "a.log.1"),
                    Rotation::Copy => desk.copytruncate("a.log", "a.log.1"),
                }
                writer.write(&desk, &mut dice);
                if dice.roll(2) == 0 {
                    desk.second();
                }
            }
        }
    }
    writer.finish_line(&desk);
    desk.minute();
    check(&mut desk, &writer, &format!("seed {seed} {glob}: {log:#?}"));
}

fn check(desk: &mut Desk, writer: &Writer, story: &str) {
    let mut seen = vec![0_u32; usize::try_from(writer.next).expect("small")];
    for line in desk.text().lines() {
        let number = line.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok());
        seen[number.unwrap_or_else(|| panic!("torn: {line:?}; {story}"))] += 1;
    }
    let wrong: Vec<_> = seen.iter().enumerate().filter(|&(_, &n)| n != 1).collect();
    assert!(wrong.is_empty(), "not once: {wrong:?}; lost {:?}; {story}", desk.lost);
    assert!(writer.next > 0);
}

#[test]
fn renaming_loses_and_repeats_nothing() {
    for seed in 0..30 {
        run(seed, "a.log", Rotation::Rename, Taking::All);
        run(seed, "a.log*", Rotation::Rename, Taking::Records);
    }
}

#[test]
fn copying_and_truncating_loses_and_repeats_nothing_that_is_in_the_copy() {
    for seed in 0..30 {
        run(seed, "a.log", Rotation::Copy, Taking::All);
        run(seed, "a.log*", Rotation::Copy, Taking::Records);
    }
}
