//! Globs on values: `*` stands for any bytes, maybe none; everything else for itself.

/// Whether the whole text fits the glob. At most as many steps as both lengths multiplied.
#[must_use]
pub fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where the last star was, and how much of the text it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if glob.get(at) == Some(&b'*') {
            star = Some((at + 1, seen));
            at += 1;
        } else if glob.get(at) == Some(&text[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((behind, taken)) = star {
            star = Some((behind, taken + 1));
            at = behind;
            seen = taken + 1;
        } else {
            return false;
        }
    }
    glob[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (glob, text, fits) in [
            ("c2s*", "c2s55d0", true),
            ("c2s*", "s2sin", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("", "x", false),
            ("a", "a", true),
            ("*a", "bab", false),
        ] {
            assert_eq!(matches(glob.as_bytes(), text.as_bytes()), fits, "{glob} {text}");
        }
    }
}
